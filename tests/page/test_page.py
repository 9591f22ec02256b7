"""The page as people meet it: nothing is loaded, nothing hostile acts, all of it can be reached."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import netledger
from netledger import Ledger, zoo
from netledger.builder import Network
from netledger.edits import SetField, apply
from netledger.formula import symbol
from netledger.graph import BATCH, Graph, Node
from netledger.infer import infer
from netledger.ops import BatchNorm, Conv, Flatten, Inventory, Linear, Opaque
from netledger.render.html import difference, page
from netledger.render.html.changes import encode_claim

OpenPage = Callable[..., Any]

HOSTILE = {
    "html": "<script>document.title='bad'</script><img src=x onerror=alert(1)>&amp;",
    "end of data": "</script><script>alert(1)</script><!-- <script> ]]> -->",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "template": "{{script}} ${alert(1)} `x`",
    "link": "javascript:alert(1) http://evil.example/x.png url(http://evil.example)",
    "ansi": "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "newlines": "one\ntwo\r\nthree\u2028four\x0bfive",
    "null": "a\x00b\x7f",
    "bidi": "abc\u202edcba\u2066x\u2069",
    "zero width": "pay\u200bpal\ufeff",
    "prototype": "__proto__ constructor toString",
    "long": "n" * 10_000,
    "wide": "层" * 2_000,
    "surrogate": "a\ud800b",
}


def hostile(text: str) -> Ledger:
    """A ledger with `text` in every place where a file could put it."""
    net = Network(f"model {text}", {text: (symbol(text[:40]), 8, 3)}, title=text)
    net(Conv(4, 3), name=f"{text}1")
    with net.scope(text.replace(".", "")):
        net(BatchNorm(), name=f"{text}2")
    net(Opaque(text, [(BATCH, 4, 4, 2)], reason=text), name=f"{text}3")
    net(Flatten(), name=f"{text}4")
    net(Linear(5), name=f"{text}5")
    net(Linear(5), name="__proto__")
    net.tie((f"{text}5", "bias"), ("__proto__", "bias"))
    return infer(net.graph())


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_names_are_only_text(kind: str, open_page: OpenPage) -> None:
    ledger = hostile(HOSTILE[kind])
    opened = open_page(page(ledger))
    opened.page.click("#tab-graph")
    for row in ledger.ops:
        opened.run("(name) => netledger.select(name)", row.name)
    # Elements and attributes are our own; a name makes none.
    assert opened.run("document.querySelectorAll('script').length") == 2
    found = opened.run(
        "[...document.querySelectorAll('*')].flatMap((e) => e.getAttributeNames())"
        ".filter((a) => a.startsWith('on') || a === 'src' || a === 'href')"
    )
    assert found == []
    assert opened.run("document.querySelectorAll('img, a, iframe, object, link').length") == 0
    assert opened.run("document.title").endswith("· netledger")
    shown = {row[0] for row in opened.run("netledger.snapshot().rows")}
    assert "__proto__" in shown


@pytest.mark.parametrize("name", ["alexnet", "resnet152"])
def test_one_small_file_that_asks_nobody(name: str) -> None:
    text = page(netledger.ledger(name))
    assert len(text.encode()) < 1_000_000
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1] and "unsafe" not in policy[1]
    addresses = set(re.findall(r"https?://[^\s\"'`)]*", text))
    assert addresses == {  # the names of two languages, which nobody looks up
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1998/Math/MathML",
    }


def test_the_policy_is_obeyed(open_page: OpenPage) -> None:
    opened = open_page(page(netledger.ledger("lenet5")))
    opened.run("document.body.insertAdjacentHTML('beforeend', '<img src=http://evil.example/>')")
    opened.run(
        "() => { const s = document.createElement('script'); s.textContent = 'alert(1)';"
        " document.body.append(s); }"
    )
    opened.page.wait_for_timeout(50)
    assert len(opened.faults) == 2
    assert all("Content Security Policy" in fault for fault in opened.faults), opened.faults
    opened.faults.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("what", ["alexnet", "resnet18", "difference", "edited", "small"])
def test_axe_finds_no_violation(what: str, scheme: str, open_page: OpenPage) -> None:
    playwright = pytest.importorskip("axe_playwright_python.sync_playwright")
    size = (420, 800) if what == "small" else (1280, 800)
    opened = open_page(_text(what), scheme, size)
    if what == "edited":
        opened.run("netledger.edit(['SetField', 'Conv-4', 'groups', 5])")
        opened.run("netledger.select('Conv-4')")
    if what == "resnet18":
        opened.page.click("#openall")
        opened.page.click("#tab-graph")
    found = playwright.Axe().run(opened.page).response["violations"]
    told = [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found]
    assert told == []


def _text(what: str) -> str:
    if what == "difference":
        both = netledger.diff(netledger.ledger("alexnet"), netledger.ledger("alexnet-2012"))
        return difference(both)
    name = what if what in zoo.NETWORKS else "alexnet"
    ledger = netledger.ledger(name)
    claims = [encode_claim(netledger.reconcile(ledger, "60M"))] if what == "small" else []
    return page(ledger, claims=claims)


def test_the_address_keeps_the_state(open_page: OpenPage) -> None:
    opened = open_page(page(netledger.ledger("alexnet")))
    opened.run("netledger.edit(['SetField', 'Conv-2', 'groups', 2])")
    opened.run("netledger.select('Conv-2')")
    shown = opened.run("netledger.snapshot()")
    expected = infer(apply(zoo.load("alexnet"), SetField("Conv-2", "groups", 2))).totals
    assert shown["totals"]["params"] == f"{expected.params:,}"
    opened.page.wait_for_timeout(100)
    fragment = opened.run("location.hash")
    opened.page.goto("about:blank")
    opened.go(fragment)
    assert opened.run("netledger.snapshot()") == shown
    assert opened.page.inner_text("#layer h2") == "Conv-2"
    assert opened.page.input_value("#field-groups") == "2"


def test_a_wrong_address_is_left_out(open_page: OpenPage) -> None:
    opened = open_page(page(netledger.ledger("alexnet")))
    before = opened.run("netledger.snapshot()")
    for fragment in ("#x", "#W10", "#" + "A" * 4000, "#bnVsbA", "#W251bGwsW1siRXZpbCJdXSxudWxsXQ"):
        opened.page.goto("about:blank")
        opened.go(fragment)
        assert opened.run("netledger.snapshot()") == before


def test_undo_and_redo(open_page: OpenPage) -> None:
    opened = open_page(page(netledger.ledger("alexnet")))
    shots = [opened.run("netledger.snapshot()")]
    for edit in (["SetField", "Conv-1", "kernel_size", 9], ["Remove", "MaxPool-3"]):
        opened.run("(edit) => netledger.edit(edit)", edit)
        shots.append(opened.run("netledger.snapshot()"))
    assert len({str(shot) for shot in shots}) == 3
    for shot in reversed(shots[:-1]):
        opened.page.keyboard.press("Control+z")
        assert opened.run("netledger.snapshot()") == shot
    opened.page.click("#redo")
    assert opened.run("netledger.snapshot()") == shots[1]
    opened.page.click("#reset")
    assert opened.run("netledger.snapshot()") == shots[0]


def test_hands_on_what_if(open_page: OpenPage) -> None:
    """What a person does: choose a row, type a number, see old and new, be told what is wrong."""
    opened = open_page(page(netledger.ledger("alexnet")))
    web = opened.page
    web.click("text=Conv-2")
    web.fill("#field-groups", "2")
    web.press("#field-groups", "Enter")
    assert web.inner_text("[data-total=params]") == "62,071,144"
    assert "62,378,344" in web.inner_text("#totals")
    line = web.locator("#canvas .row", has_text="Conv-2")
    assert line.locator(".params .is").inner_text() == "307,456"
    web.fill("#field-groups", "none")
    web.press("#field-groups", "Enter")
    assert web.get_attribute("#field-groups", "aria-invalid") == "true"
    assert web.inner_text("#field-groups-help") == "none is no whole number"
    web.fill("#field-groups", "0")
    web.press("#field-groups", "Enter")
    assert web.inner_text("#field-groups-help").startswith(
        "groups must be an integer of at least 1"
    )
    web.fill("#field-groups", "5")
    web.press("#field-groups", "Enter")
    assert web.inner_text("[data-total=params]") == "unknown"
    assert "in_channels=96 is not divisible by groups=5" in web.inner_text("#problem")
    web.click("#problem >> text=Undo")
    web.fill("#batch", "128")
    web.press("#batch", "Enter")
    assert web.inner_text("[data-total=macs]") == f"{128 * 911_307_296:,}"


def test_keys(open_page: OpenPage) -> None:
    opened = open_page(page(netledger.ledger("resnet50")))
    web = opened.page
    web.keyboard.press("/")
    web.keyboard.type("layer2 downsample")
    shown = web.locator("#canvas .row .label").all_inner_texts()
    assert shown == ["layer2", "0", "downsample", "0", "1"]
    web.keyboard.press("Escape")
    web.focus("#grid")
    web.keyboard.press("Home")
    assert web.inner_text("#layer h2") == "input"
    for _ in range(4):
        web.keyboard.press("ArrowDown")
    assert web.inner_text("#layer h2") == "layer1"
    chosen = "#canvas [aria-selected=true]"
    assert web.get_attribute(chosen, "aria-expanded") == "false"
    web.keyboard.press("ArrowRight")
    assert web.get_attribute(chosen, "aria-expanded") == "true"
    web.keyboard.press("ArrowRight")
    assert web.inner_text("#layer h2") == "layer1.0"
    web.keyboard.press("ArrowLeft")
    assert web.inner_text("#layer h2") == "layer1"
    assert web.get_attribute("#grid", "aria-activedescendant") == web.get_attribute(chosen, "id")


def test_sort_filter_and_shade(open_page: OpenPage) -> None:
    opened = open_page(page(netledger.ledger("alexnet")))
    web = opened.page
    labels = web.locator("#canvas .row .label")
    web.click("#head >> text=Parameters")
    assert labels.all_inner_texts()[:3] == ["FC-1", "FC-2", "FC-3"]
    web.click("#head >> text=Layer")
    web.select_option("#kind", "Conv")
    assert labels.all_inner_texts() == [f"Conv-{i}" for i in range(1, 6)]
    web.select_option("#heat", "macs")
    assert web.locator("#canvas .macs.heated").count() == 5
    web.select_option("#kind", "")
    web.check("#ops")
    assert "flatten" in " ".join(labels.all_inner_texts()).lower()


def test_where_the_numbers_are_is_told(open_page: OpenPage) -> None:
    opened = open_page(page(netledger.ledger("alexnet")))
    told = opened.page.inner_text("#bars")
    assert "94.0 % in 3 fully connected layers" in told
    assert "94.8 % in 5 convolutions" in told


def test_an_explanation_is_tried_with_a_click(open_page: OpenPage) -> None:
    ledger = netledger.ledger("alexnet")
    opened = open_page(page(ledger, claims=[encode_claim(netledger.reconcile(ledger, "60965224"))]))
    opened.page.click("#claims >> text=Try it >> nth=0")
    assert opened.page.inner_text("[data-total=params]") == "60,965,224"
    assert opened.page.locator("#edits li").count() == 3


def test_a_difference_shows_both_sides(open_page: OpenPage) -> None:
    both = netledger.diff(netledger.ledger("alexnet"), netledger.ledger("alexnet-2012"))
    web = open_page(difference(both)).page
    assert "Conv-2, Conv-4, Conv-5 in 2 groups" in web.inner_text("#causes")
    assert web.inner_text("#causes tfoot td >> nth=0") == "−1,413,120"
    line = web.locator("#canvas .row", has_text="Conv-2")
    assert line.locator(".params .was").text_content() == "was 614,656"
    assert line.locator(".params .is").inner_text() == "307,456"
    assert web.locator("#canvas .row.added").count() == 2  # two normalisations
    assert "buffers" not in web.inner_text("#causes thead")  # none of the causes has any


def test_only_rows_that_change_are_higher(open_page: OpenPage) -> None:
    """Each begins where the one above it ends, also below a change in a long table."""
    web = open_page(page(netledger.ledger("resnet152"))).page
    web.click("#openall")
    web.evaluate("netledger.edit(['SetField', 'layer1.0.conv1', 'out_channels', 48])")

    def boxes() -> list[tuple[float, float]]:
        found = web.locator("#canvas .row").evaluate_all(
            "rows => rows.map(r => [r.getBoundingClientRect().top, r.offsetHeight])"
        )
        return sorted((top, height) for top, height in found)

    def high(name: str) -> Any:
        row = web.locator("#canvas .row", has=web.locator(f"[title='{name}']"))
        return row.evaluate("row => row.offsetHeight")

    assert (high("layer1.0.conv1"), high("conv1")) == (42, 30)
    web.focus("#grid")
    for key in ("Home", "End"):
        web.keyboard.press(key)
        web.wait_for_timeout(100)
        seen = boxes()
        assert all(abs(a[0] + a[1] - b[0]) < 0.6 for a, b in pairwise(seen))
        assert web.locator("#canvas [aria-selected=true]").count() == 1


def test_findings_are_those_of_the_network_as_it_is(open_page: OpenPage) -> None:
    web = open_page(page(netledger.ledger("alexnet-keras-noflatten"))).page
    web.click("#canvas .label >> text=FC-1")
    finding = web.locator("#layer .finding", has_text="NL101")
    finding.wait_for()
    assert finding.inner_text().startswith("warning NL101 dense layer on a 13×13 map")
    before = web.locator("#canvas .row", has_text="Conv-5").locator(".label")
    before.click()
    web.select_option("#layer select[aria-label^=Add]", label="flatten")
    web.click("#canvas .label >> text=FC-1")
    finding.wait_for(state="detached")
    web.click("#undo")
    finding.wait_for()


def test_five_thousand_rows(open_page: OpenPage) -> None:
    net = Network("deep", (8, 8, 4))
    for i in range(2500):
        with net.scope(f"stage{i // 250}"), net.scope(f"block{i}"):
            net(Conv(4, 3, padding=1), name="conv")
            net(BatchNorm(), name="norm")
    ledger = infer(net.graph())
    opened = open_page(page(ledger))
    web = opened.page
    assert web.locator("#canvas .row").count() == 11  # shut at first
    web.click("#openall")
    assert web.get_attribute("#grid", "aria-rowcount") == str(1 + 5001 + 10 + 2500)
    assert web.locator("#canvas .row").count() < 100  # only what is seen is there
    web.focus("#grid")
    web.keyboard.press("End")
    assert web.inner_text("#layer h2") == "stage9.block2499.norm"
    assert web.locator("#canvas [aria-selected=true]").count() == 1
    web.click("#tab-graph")
    assert web.locator("#drawing .box").count() < 100
    opened.run("netledger.edit(['SetField', 'stage0.block1.conv', 'bias', false])")
    assert web.inner_text("[data-total=params]") == f"{ledger.totals.params - 4:,}"


def test_printed_every_row_is_there(open_page: OpenPage) -> None:
    opened = open_page(page(netledger.ledger("vgg16")))
    opened.run("dispatchEvent(new Event('beforeprint'))")
    opened.page.emulate_media(media="print")
    rows = opened.page.locator("#canvas .row")
    assert rows.count() == len(netledger.ledger("vgg16").rows)
    canvas, last = opened.page.locator("#canvas").bounding_box(), rows.last.bounding_box()
    assert last["y"] + last["height"] <= canvas["y"] + canvas["height"] + 1  # nothing is cut off


def test_without_a_script_the_numbers_are_there(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    ledger = hostile(HOSTILE["html"])
    path.write_text(page(ledger), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    web = context.new_page()
    web.goto(path.as_uri())
    assert "needs its script" in web.inner_text(".notice")
    assert web.locator(".asread tbody tr").count() == len(ledger.rows)
    assert web.inner_text(".asread tbody tr:last-child").split("\t")[0] == "__proto__"
    assert web.locator("#grid").is_hidden() and web.locator(".tools").is_hidden()
    context.close()


def test_a_module_of_one_row_has_no_branch(open_page: OpenPage) -> None:
    stored = Inventory([("weight", "weight", (3, 2), "float16", None)])
    names = ("model.embed", "model.head.norm", "model.head.out")
    graph = Graph("stored", {}, tuple(Node(name, stored, scope=name) for name in names))
    labels = open_page(page(infer(graph))).page.locator("#canvas .row .label")
    assert labels.all_inner_texts() == ["model", "embed", "head", "norm", "out"]
