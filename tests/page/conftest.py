"""A real browser for the tests of the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window; the tests are skipped where it is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with sync_api.sync_playwright() as driver:
        options = {"executable_path": str(CHROMIUM), "args": ["--no-sandbox", "--disable-gpu"]}
        chromium = driver.chromium.launch(**options)
        yield chromium
        chromium.close()


class Opened:
    """A page that was opened from disk, and what it did that it should not."""

    def __init__(self, browser: Any, path: Path, scheme: str, size: tuple[int, int]) -> None:
        self.context = browser.new_context(
            color_scheme=scheme, viewport={"width": size[0], "height": size[1]}
        )
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        self.context.route("**/*", self._route)
        self.path = path
        self.go()

    def go(self, fragment: str = "") -> None:
        """Opens it anew."""
        self.page.goto(f"{self.path.as_uri()}{fragment}")

    def _route(self, route: Any) -> None:
        if route.request.url.split("#")[0] == self.path.as_uri():
            route.continue_()
            return
        self.faults.append(f"request: {route.request.url}")
        route.abort()

    def run(self, script: str, given: Any = None) -> Any:
        """What a script says in the page."""
        return self.page.evaluate(script, given)


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """``open_page(html)``: the page in the browser; it has to behave until the end of the test."""
    opened: list[Opened] = []

    def make(text: str, scheme: str = "light", size: tuple[int, int] = (1280, 800)) -> Opened:
        path = tmp_path / f"page{len(opened)}.html"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        opened.append(Opened(browser, path, scheme, size))
        return opened[-1]

    yield make
    for one in opened:
        one.context.close()
        assert one.faults == []


@pytest.fixture(scope="session")
def bare() -> Callable[[Any], Any]:
    """Data as the page tells it: whole numbers as text."""

    def convert(value: Any) -> Any:
        if isinstance(value, bool) or value is None or isinstance(value, str):
            return value
        if isinstance(value, int):
            return str(value)
        if isinstance(value, dict):
            return {key: convert(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [convert(item) for item in value]
        return json.loads(json.dumps(value))

    return convert
