"""A page in Debian's Chromium, without a network; what it says, asks for and fails at is kept."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

RELOAD_SECONDS = 3600  # of pages whose clock a test puts forward: none reloads by itself


def browser_path() -> str:
    """The browser; without one the test is skipped, which `.ci/run` makes a failure."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        found = None
    if found is None:
        message = "needs playwright and Debian's chromium"
        if os.environ.get("BAKEOFF_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


@dataclass
class Opened:
    """An open page, and what went wrong in it."""

    page: Any
    complaints: list[str] = field(default_factory=list)  # messages, errors, requests

    def wait_until_drawn(self) -> None:
        self.page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=60_000)

    def marks(self, figure: str) -> dict[int, int]:
        """Number of a layer -> how many marks of it are in a figure's drawing."""
        counts: dict[str, int] = self.page.evaluate(
            """figure => {
              const counts = {};
              for (const group of document.getElementById(figure).querySelectorAll(".plot svg g.role-mark")) {
                const layer = /layer_(\\d+)_marks/.exec(group.getAttribute("class"));
                if (layer) counts[layer[1]] = (counts[layer[1]] ?? 0) + group.children.length;
              }
              return counts;
            }""",
            figure,
        )
        return {int(layer): count for layer, count in counts.items()}

    def wait_for(self, *figures: str) -> None:
        """Until figures are drawn as the choices and the table say."""
        for figure in figures:
            self.page.wait_for_selector(f"#{figure}[data-drawn=yes]", timeout=60_000)

    def load_again(self) -> None:
        """Lets so much time pass that a page that follows its runs reloads."""
        with self.page.expect_event("load"):
            self.page.clock.fast_forward(1000 * RELOAD_SECONDS)
        self.wait_until_drawn()

    def texts(self, selector: str) -> list[str]:
        """What all that fits a selector says."""
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser for several pages."""
    path = browser_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(
    browser: Any,
    file: Path,
    *,
    width: int = 1280,
    height: int = 900,
    scheme: str = "light",
    own_clock: bool = False,
) -> Opened:
    """A file in a context of its own, that has no network; its clock can be put forward."""
    context = browser.new_context(
        offline=True, viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
    )
    page = context.new_page()
    if own_clock:
        page.clock.install()
    found = Opened(page)
    page.on("console", lambda message: found.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.complaints.append(f"error: {error}"))

    def asked(request: Any) -> None:
        if not request.url.startswith(("data:", "blob:")) and request.url != file.as_uri():
            found.complaints.append(f"request: {request.url}")

    page.on("request", asked)
    page.goto(file.as_uri())
    found.wait_until_drawn()
    return found
