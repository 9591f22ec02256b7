"""Takes the pictures of the report page for README and docs, in light and dark.

``python docs/screenshots.py`` writes ``docs/images/report-*.png``; it needs Playwright and
Chromium. Colours and positions are the page's, so there is no test that compares pixels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import netledger
from netledger.render.html import difference, page

IMAGES = Path(__file__).parent / "images"
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1280, 860


def pages() -> Iterator[tuple[str, str, str]]:
    """The name of each picture, its page, and what is done before it is taken."""
    alexnet = netledger.ledger("alexnet")
    yield "alexnet", page(alexnet), ""
    graph = "document.getElementById('tab-graph').click();"
    graph += "document.querySelectorAll('#canvas .twist')[4].click();"
    yield "resnet50", page(netledger.ledger("resnet50")), graph
    what_if = "netledger.edit(['SetField', 'Conv-1', 'kernel_size', 9]);"
    what_if += "netledger.edit(['SetField', 'Conv-2', 'groups', 2]); netledger.select('Conv-2');"
    yield "what-if", page(alexnet), what_if
    both = netledger.diff(alexnet, netledger.ledger("alexnet-2012"))
    yield "diff", difference(both), "netledger.select('Conv-2')"


def take(browser: Any, name: str, text: str, script: str, scheme: str, folder: Path) -> None:
    """One picture."""
    path = folder / f"{name}.html"
    path.write_text(text, encoding="utf-8")
    size = {"width": WIDTH, "height": HEIGHT}
    shown = browser.new_page(viewport=size, color_scheme=scheme)
    shown.goto(path.as_uri())
    if script:
        shown.evaluate(script)
    shown.wait_for_timeout(800)  # the findings are there too
    shown.screenshot(path=IMAGES / f"report-{name}-{scheme}.png")
    shown.close()


def main() -> None:
    """All pictures."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        for name, text, script in pages():
            for scheme in ("light", "dark"):
                take(browser, name, text, script, scheme, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
