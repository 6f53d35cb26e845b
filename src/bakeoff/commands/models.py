"""`bakeoff models`: lists the model files without importing any of them."""

import re

from bakeoff.arguments import Parser
from bakeoff.config.compose import conf_dir
from bakeoff.errors import OK

USAGE = "models"
SUMMARY = "list the models"


def models(words: list[str]) -> int:
    """Prints name, family and first sentence of every model's YAML."""
    parser().parse_args(words)
    rows = []
    for path in sorted((conf_dir() / "model").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        comments = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
        says = next((line for line in comments if not line.startswith("@package")), "")
        family = re.search(r"^  family: (\S+)", text, re.MULTILINE)
        rows.append((path.stem, family.group(1) if family else "unknown", says))
    widths = [max(len(row[column]) for row in [*rows, ("model", "family", "")]) for column in (0, 1)]
    for name, family_name, says in [("model", "family", "what it is"), *rows]:
        print(f"{name:<{widths[0]}}  {family_name:<{widths[1]}}  {says}")
    return OK


def parser() -> Parser:
    """What completion and the command read its options from."""
    return Parser("bakeoff models", description="Lists the models for train model=NAME.")
