"""The URL of a study's database, which may hold a password: what of it may be shown and stored. No torch."""

from collections.abc import Sequence

from bakeoff.text import without_passwords

SQLITE, JOURNAL, SERVER = "sqlite", "journal", "server"
_KEY = "tune.storage="
_HIDDEN = "***"


def kind_of(storage: str) -> str:
    """Which of the three kinds `tune.storage` names."""
    return storage if storage in (SQLITE, JOURNAL) else SERVER


def masked(text: str) -> str:
    """A URL, or a text with one, without its password."""
    return without_passwords(text)


def masked_words(words: Sequence[str]) -> list[str]:
    """Words of a command line as they may be stored."""
    return [masked(word) if word.lstrip("+~").startswith(_KEY) else word for word in words]


def is_masked(text: str) -> bool:
    """Whether a password was taken out of a URL, so that it opens nothing."""
    return f":{_HIDDEN}@" in text or f"={_HIDDEN}" in text
