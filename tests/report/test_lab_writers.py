"""A document in Markdown and in HTML: the same words, and names of anybody's as text."""

import base64
import hashlib
import re

import pytest
from read_lab import MADE, read_html, read_markdown, texts

from bakeoff.report.lab.document import Code, Document, Grid, Heading, Items, Paragraph, Picture, ToDo
from bakeoff.report.lab.markdown import as_markdown
from bakeoff.report.lab.page import as_html

HOSTILE = [
    "<script>alert(1)</script>", "](javascript:alert(1))", "[a](http://x.example)", "a | b", "`code` and ``more``",
    "**bold** _it_ __b__ ~~s~~", "![x](http://x.example/p.png)", "1. list", "- item", "+ item", "# title", "> quoted",
    "=====", "&lt;b&gt; &amp; &#60;", "$x^2$", "a\\|b\\", "<img src=x onerror=alert(1)>", "http://x.example www.x.example",
    "{{ 7*7 }}{% if %}", "</style></title>", "<!-- c -->", "--- | ---", "\"quoted\" 'q'", "12) next", ":smile:",
    "<https://x.example>", "x\ny", "a@x.example", "a  b", "[x]: http://x.example", "***", "~~~", "    indented", "<",
]  # fmt: skip


def document(name: str) -> Document:
    return Document(
        name,
        [
            Heading(2, name),
            Paragraph(name),
            Items([name, f"{name} again"]),
            ToDo(name),
            Grid(("layer", name), [(name, "1.5"), (f"  {name}", name)], name, has_total=True),
            Picture("model-1", b"\x89PNG", name, name, 100),
            Code([name]),
        ],
    )


def shown(name: str) -> str:
    """As it is printed: a line break is no letter that a page should act on."""
    return " ".join(name.replace("\n", "\\x0a").split())


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_in_both_ways_of_writing(name: str) -> None:
    page, markdown = read_html(as_html(document(name))), read_markdown(as_markdown(document(name), "f"))
    for reader in (page, markdown):
        assert set(reader.tags) <= MADE, name
        assert [text for kind, text in reader.blocks if kind in ("h1", "h2")] == [shown(name)] * 2
        assert ("p", shown(name)) in reader.blocks
        assert ("p", f"TO DO (you): {shown(name)}") in reader.blocks
        assert [text for kind, text in reader.blocks if kind == "li"] == [shown(name), shown(f"{name} again")]
        assert [text for kind, text in reader.blocks if kind == "td"] == [
            shown(name),
            "1.5",
            *[shown(name)] * 2,
        ]
        assert ("pre", shown(name)) in reader.blocks
        alt = dict(reader.attributes)["img.alt"] or ""
        assert " ".join(alt.split()) == shown(name)
    assert texts(page) == texts(markdown)


def test_the_same_tags_whatever_the_names() -> None:
    plain = (
        read_html(as_html(document("plain"))).tags,
        read_markdown(as_markdown(document("plain"), "f")).tags,
    )
    for name in HOSTILE[::5]:
        assert read_html(as_html(document(name))).tags == plain[0]
        assert read_markdown(as_markdown(document(name), "f")).tags == plain[1], name


def test_what_github_links_by_itself_is_broken_up() -> None:
    text = as_markdown(document("http://x.example www.x.example a@x.example :smile: $a$"), "f").split("```")[
        0
    ]
    assert not re.search(r"http://|www\.|@|:smile:|\$", text)


def test_no_script_no_request_and_a_policy_that_holds() -> None:
    text = as_html(document("plain"))
    reader = read_html(text)
    policy = dict(reader.attributes)["meta.content"], text
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    wanted = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    assert wanted in [value for key, value in reader.attributes if key == "meta.content"], policy
    names = {key.partition(".")[2] for key, _ in reader.attributes}
    assert not {"style", "href", "onerror", "onload"} & names
    assert all(
        (value or "").startswith("data:image/png;base64,")
        for key, value in reader.attributes
        if key == "img.src"
    )


def test_a_folder_of_any_name_is_found() -> None:
    text = as_markdown(document("plain"), "my (lab) 1_files")
    assert dict(read_markdown(text).attributes)["img.src"] == "my%20%28lab%29%201_files/model-1.png"
