"""The report page: its size, and how long an edit takes until everything on it is new."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

CHROMIUM = "/usr/bin/chromium"
Line = tuple[str, str, str]

# From the click to the end of script, style and layout; the next edit waits for the frame.
TIMED = """(value) => {
  const begin = performance.now();
  CHANGE;
  document.body.getBoundingClientRect();
  return performance.now() - begin;
}"""
SCROLL = """async () => {
  const spent = [];
  const end = document.body.scrollHeight - innerHeight;
  for (let i = 0; i <= 40; i++) {
    const begin = performance.now();
    scrollTo(0, (end * i) / 40);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    document.body.getBoundingClientRect();
    spent.push(performance.now() - begin);
  }
  return spent.sort((a, b) => a - b);
}"""


def run() -> list[Line]:
    """What was measured, the value, the target."""
    if not Path(CHROMIUM).exists():
        return [("the report page", f"not measured: there is no {CHROMIUM}", "")]
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            return [*_resnet(browser, Path(folder)), *_large(browser, Path(folder))]
        finally:
            browser.close()


def _open(browser: Any, path: Path, text: str) -> Any:
    path.write_text(text, encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(path.as_uri())
    page.wait_for_timeout(1500)  # what the page does while nobody waits
    return page


def _edits(page: Any, row: str, values: list[int]) -> str:
    """Changes of the filters of a row."""
    return _changes(page, f'netledger.edit(["SetField", "{row}", "out_channels", value])', values)


def _changes(page: Any, change: str, values: list[int]) -> str:
    """CPU time of the page's thread for each change, and the time on the clock."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    script, cpu, clock = TIMED.replace("CHANGE", change), [], []
    for value in values:
        before = _task(session)
        clock.append(page.evaluate(script, value))
        page.wait_for_timeout(30)  # the frame is drawn
        cpu.append(1000 * (_task(session) - before))
    return f"{_told(cpu)}; on the clock {statistics.median(clock):.0f} ms"


def _task(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


def _told(spent: list[float]) -> str:
    return f"{statistics.median(spent):.0f} ms (shortest {min(spent):.0f} ms)"


def _resnet(browser: Any, folder: Path) -> list[Line]:
    import netledger
    from netledger.render.html import page

    text = page(netledger.ledger("resnet152"))
    shown = _open(browser, folder / "resnet152.html", text)
    spent = _edits(shown, "layer1.0.conv1", [64 + i % 7 for i in range(60)])
    batch = _changes(shown, "netledger.set([], value)", [2 + i for i in range(60)])
    shown.evaluate("netledger.set([]); netledger.select('layer1.0.conv1', { scroll: true })")
    chosen = _edits(shown, "layer1.0.conv1", [64 + i % 7 for i in range(60)])
    return [
        ("report page of resnet152: size", f"{len(text.encode()) / 1000:.0f} kB", "< 1 MB"),
        ("report page of resnet152: an edit", spent, "< 50 ms"),
        ("report page of resnet152: an edit of the chosen row", chosen, "< 50 ms"),
        ("report page of resnet152: another batch, which changes every row", batch, "< 50 ms"),
    ]


def _large(browser: Any, folder: Path) -> list[Line]:
    """A network of 5,000 rows, all of them open."""
    from netledger.builder import Network
    from netledger.infer import infer
    from netledger.ops import BatchNorm, Conv
    from netledger.render.html import page

    net = Network("5,000 rows", (32, 32, 16))
    for i in range(2500):
        with net.scope(f"stage{i // 250}"), net.scope(f"block{i}"):
            net(Conv(16, 3, padding=1), name="conv")
            net(BatchNorm(), name="norm")
    shown = _open(browser, folder / "large.html", page(infer(net.graph())))
    opening = shown.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    shown.click("#openall")
    scroll = shown.evaluate(SCROLL)
    spent = _edits(shown, "stage5.block1300.conv", [17, 18, 16, 17, 18, 16])
    return [
        ("report page of 5,000 rows: until it is there, wall time", f"{opening:.0f} ms", ""),
        ("report page of 5,000 rows: a jump in the open table, wall time", _told(scroll), ""),
        ("report page of 5,000 rows: an edit", spent, ""),
    ]
