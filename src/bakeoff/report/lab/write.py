"""Tables of a comparison -> a lab report. This file tells its story. No torch at import."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bakeoff.comparison.run import Problem
from bakeoff.comparison.tables import Table
from bakeoff.errors import ConfigError
from bakeoff.report.extra import check_installed
from bakeoff.report.lab.appendix import appendix_section
from bakeoff.report.lab.architectures import models_section
from bakeoff.report.lab.discussion import conclusion_section, discussion_section
from bakeoff.report.lab.document import Document, Picture
from bakeoff.report.lab.images import data_section
from bakeoff.report.lab.markdown import as_markdown
from bakeoff.report.lab.method import method_section
from bakeoff.report.lab.page import as_html
from bakeoff.report.lab.question import objective, title
from bakeoff.report.lab.results import results_section
from bakeoff.runs.storage import make_folder, storage_errors, write_atomically

_OTHER_FILE = "FILE for -o"
_SUFFIXES = (".md", ".html")


def lab_report(tables: Sequence[Table], problems: Sequence[Problem], root: Path, output: Path) -> None:
    """Writes the report that a course asks for, as far as runs can write it.

    Args:
        tables: of a comparison, with their statistics.
        problems: what is in no table.
        root: the folder that was searched; paths are shown as seen from it.
        output: a `.md` file, with a folder of pictures beside it, or one `.html` file with everything inside.

    Raises:
        ConfigError: another kind of file, no finished run, or a library that is not installed.
        ResourceError: it cannot be written.
    """
    kind = output.suffix.lower()
    if kind not in _SUFFIXES:
        raise ConfigError(f"-o {output}: a lab report is a file that ends with {' or '.join(_SUFFIXES)}")
    check_installed()
    tables = [table for table in tables if table.settings]
    if not tables:
        raise ConfigError(
            f"{root}: no finished run, so there is nothing to report; bakeoff compare lists why"
        )
    document = lab_document(tables, problems, root)
    if kind == ".html":
        text = as_html(document)
    else:
        folder = output.with_name(f"{output.stem}_files")
        with storage_errors(output, _OTHER_FILE):
            output.parent.mkdir(parents=True, exist_ok=True)
        _write_pictures(document, folder)
        text = as_markdown(document, folder.name)
    content = text.encode("utf-8", "backslashreplace")
    write_atomically(output, partial(_write_bytes, content), _OTHER_FILE)


def lab_document(tables: Sequence[Table], problems: Sequence[Problem], root: Path) -> Document:
    """The whole report, in the order in which a student writes it."""
    return Document(
        title(tables),
        [
            *objective(tables),
            *data_section(tables),
            *models_section(tables),
            *method_section(tables),
            *results_section(tables),
            *discussion_section(tables),
            *conclusion_section(tables),
            *appendix_section(tables, problems, root),
        ],
    )


def _write_pictures(document: Document, folder: Path) -> None:
    pictures = [block for block in document.blocks if isinstance(block, Picture)]
    make_folder(folder)
    for picture in pictures:
        assert re.fullmatch(r"[a-z0-9-]+", picture.name)
        write_atomically(folder / f"{picture.name}.png", partial(_write_bytes, picture.png), _OTHER_FILE)


def _write_bytes(content: bytes, file: BinaryIO) -> None:
    file.write(content)
