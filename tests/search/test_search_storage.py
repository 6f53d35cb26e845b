"""Storages that do not answer, answers that are lost, and URLs whose password nobody sees."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from bakeoff.config.adaptive import TuneConfig, take_section
from bakeoff.errors import ConfigError, ResourceError
from bakeoff.sweeps.search import patience
from bakeoff.sweeps.search.patience import Patience, patient
from bakeoff.sweeps.search.storage import LOG, _journal, open_storage
from bakeoff.sweeps.search.url import is_masked, masked, masked_words

SECRETS = [
    ("postgresql+psycopg://me:se@cr/et@host:5432/x", "postgresql+psycopg://me:***@host:5432/x"),
    ("postgresql+psycopg://me@host/x", "postgresql+psycopg://me@host/x"),
    ("postgresql://host/x?user=me&password=secret&a=1", "postgresql://host/x?user=me&password=***&a=1"),
    ("mysql://:secret@host/x", "mysql://:***@host/x"),
    ("sqlite", "sqlite"),
]


@pytest.mark.parametrize(("url", "shown"), SECRETS)
def test_a_password_is_masked(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert masked_words(["a=1", f"tune.storage={url}"]) == ["a=1", f"tune.storage={shown}"]
    assert is_masked(shown) is (url != shown)
    assert masked(shown) == shown


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls are made again at once; gives what was said."""
    monkeypatch.setattr(patience, "_sleep", lambda _seconds: None)
    monkeypatch.setattr(patience, "_SECONDS_UNTIL_TOLD", -1)
    return []


class Flaky:
    """A storage whose answers are lost: what it was told it did, or did not."""

    def __init__(self, inner: Any, *, after: bool) -> None:
        self.inner, self.after, self.lost = inner, after, set[str]()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.inner, name)

        def call(*words: Any, **named: Any) -> Any:
            from optuna.exceptions import StorageInternalError

            if name in self.lost:
                return real(*words, **named)
            self.lost.add(name)
            if self.after:
                real(*words, **named)
            raise StorageInternalError("An exception is raised during the commit")

        return call


@pytest.mark.usefixtures("tune_extra")
@pytest.mark.parametrize("after", [True, False])
def test_an_answer_that_was_lost_changes_nothing(tmp_path: Path, impatient: list[str], after: bool) -> None:
    import optuna

    inner = open_storage(tmp_path, "sqlite", Patience())
    waits = Patience(most_seconds=5)
    waits.say = impatient.append
    storage = patient(Flaky(inner, after=after), waits)  # type: ignore[arg-type]
    study = optuna.create_study(storage=storage, study_name="one", load_if_exists=True)
    trial = study.ask()
    assert 0 <= trial.suggest_float("x", 0, 1) <= 1
    trial.report(0.5, 1)
    study.tell(trial.number, 0.25)
    again = optuna.load_study(study_name="one", storage=inner)
    (found,) = again.get_trials()
    assert (found.number, found.values, found.intermediate_values) == (0, [0.25], {1: 0.5})
    assert impatient[0].startswith("note: the study's storage does not answer; asking again, for at most 5 s")
    assert impatient[1] == "note: the study's storage answers again"


@pytest.mark.usefixtures("tune_extra")
def test_it_is_not_waited_for_ever(impatient: list[str]) -> None:
    from sqlalchemy.exc import OperationalError

    def away() -> None:
        raise OperationalError("select 1", {}, OSError("connection refused by host, password=secret"))

    waits = Patience(most_seconds=0)
    waits.say = impatient.append
    with pytest.raises(ResourceError, match=r"no answer for .* refused by host, password=\*\*\*"):
        waits.call(away)


@pytest.mark.usefixtures("tune_extra")
def test_a_connection_that_breaks_in_a_transaction_is_no_mistake() -> None:
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import IntegrityError, PendingRollbackError

    for cause, is_away in (
        (PendingRollbackError("Can't reconnect until invalid transaction is rolled back"), True),
        (IntegrityError("insert", {}, ValueError("twice")), False),
    ):
        error = StorageInternalError("invalid data in the commit")
        error.__cause__ = cause
        assert patience.is_away(error) is is_away


@pytest.mark.usefixtures("tune_extra")
def test_a_mistake_is_not_repeated(impatient: list[str]) -> None:
    calls: list[int] = []

    def wrong() -> None:
        calls.append(1)
        raise KeyError("no such study")

    with pytest.raises(KeyError):
        Patience().call(wrong)
    assert calls == [1]


@pytest.mark.usefixtures("tune_extra")
@pytest.mark.parametrize(
    ("url", "kind", "told"),
    [
        ("postgresql+psycopg://me:secret@127.0.0.1:1/x", ResourceError, "refused"),
        ("nosuch://me:secret@host/x", ConfigError, "no URL of a database"),
        ("postgresql+pg8000://me:secret@host/x", ConfigError, "pip install pg8000"),
        ("postgresql+psycopg://me:secret@host:port/x", ConfigError, "no URL of a database"),
    ],
)
def test_a_server_that_cannot_be_opened_is_one_line(
    tmp_path: Path, url: str, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told) as found:
        open_storage(tmp_path, url, Patience())
    assert "secret" not in str(found.value)
    assert "\n" not in str(found.value)
    assert found.value.__cause__ is None


@pytest.mark.usefixtures("tune_extra")
def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(pickle.dumps("no database" * 1000))
    with pytest.raises(ResourceError, match="cannot be opened"):
        open_storage(tmp_path, "sqlite", Patience())


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_any_url_can_be_given(quote: str) -> None:
    url = "postgresql+psycopg://me:se,cr[et@host/x?sslmode=disable&a=$b"
    options, rest = take_section("tune", TuneConfig, [f"tune.storage={quote}{url}{quote}", "seed=1"])
    assert (options.storage, rest) == (url, ["seed=1"])


@pytest.mark.usefixtures("tune_extra")
def test_a_journal_whose_lock_a_killed_process_left_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("night").mkdir()
    backend = _journal(Path("night", LOG))._backend
    lock, link = backend._lock, Path("night", f"{LOG}.lock")
    lock.acquire()
    assert link.exists()  # of a link: that it leads to something
    lock.grace_period = 1  # seconds
    backend.append_logs([{"op_code": 0}])
    assert not link.is_symlink()
