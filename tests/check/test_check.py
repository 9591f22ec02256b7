"""`check` itself: what is chosen, budgets, settings, and what it says of the whole zoo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import netledger
from netledger import NetledgerError, zoo
from netledger.builder import Network
from netledger.check import check
from netledger.check.budgets import KINDS, parse_budget
from netledger.check.config import Settings, nearest, read_settings
from netledger.check.report import examine
from netledger.check.rules import LEVELS, RULES
from netledger.graph import BATCH
from netledger.ops import Linear, Opaque

DOCS = Path(__file__).parents[2] / "docs" / "check.md"


def test_the_whole_zoo(golden: Callable[[str, str], None]) -> None:
    """Nothing but what a careful engineer would say."""
    lines = []
    for name in zoo.NETWORKS:
        findings = check(name)
        lines += [f"{name}: {'nothing' if not findings else len(findings)}"]
        lines += [f"  {f.row}: {f.code} {f.level} {f.message}" for f in findings]
    golden("check.txt", "\n".join(lines) + "\n")


def test_a_name_a_graph_and_a_ledger_are_checked_alike() -> None:
    graph = netledger.read("alexnet-naive")
    assert check("alexnet-naive") == check(graph) == check(netledger.ledger(graph)) != ()
    assert netledger.check("alexnet-naive") == check(graph)


def test_the_public_name_stays_a_function_whatever_is_imported() -> None:
    import netledger.check.rules

    assert callable(netledger.check)


def test_findings_are_in_the_order_of_the_rows() -> None:
    rows = [row.name for row in netledger.ledger("alexnet-naive").ops]
    found = [rows.index(f.row) for f in check("alexnet-naive")]
    assert found == sorted(found) and len(found) == 6


@pytest.mark.parametrize(
    ("select", "ignore", "codes"),
    [
        ((), (), {"NL102", "NL131", "NL132"}),
        (("NL10",), (), {"NL102"}),
        (("NL10", "NL132"), (), {"NL102", "NL132"}),
        (("NL10,NL132",), (), {"NL102", "NL132"}),
        ((), ("NL13",), {"NL102"}),
        (("NL13",), ("NL131",), {"NL132"}),
        ("NL102", (), {"NL102"}),
        (("NL001",), (), set()),
    ],
)
def test_select_and_ignore(
    select: tuple[str, ...], ignore: tuple[str, ...], codes: set[str]
) -> None:
    assert {f.code for f in check("alexnet-naive", select=select, ignore=ignore)} == codes


@pytest.mark.parametrize("wish", [{"select": ["NL9"]}, {"ignore": ["E501"]}, {"select": ["NL2"]}])
def test_codes_that_do_not_exist(wish: dict[str, list[str]]) -> None:
    with pytest.raises(NetledgerError, match="unknown rule"):
        check("alexnet", **wish)


def test_codes_are_unique_and_in_order() -> None:
    codes = [*(rule.code for rule in RULES), *(kind.code for kind in KINDS)]
    assert len(set(codes)) == len(codes)
    assert {rule.level for rule in RULES} <= set(LEVELS)
    assert all(rule.name and rule.summary().endswith(".") for rule in RULES)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("params", "5M", 5_000_000),
        ("params", "7B", 7_000_000_000),
        ("params", "62,378,344", 62_378_344),
        ("params", "5_000_000", 5_000_000),
        ("macs", "1.5G", 1_500_000_000),
        ("macs", "0.3 g", 300_000_000),
        ("activations", "2k", 2_000),
        ("size", "20MB", 20_000_000),
        ("size", "20MiB", 20 * 2**20),
        ("size", "1.5 GiB", 3 * 2**29),
        ("size", "100", 100),
        ("size", "5B", 5),
        ("params", 7, 7),
        ("params", 5e6, 5_000_000),
    ],
)
def test_budgets_are_exact(name: str, text: object, value: int) -> None:
    assert parse_budget(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("params", text) for text in ("", "M", "-5M", "5Q", "5MB", "1.2.3", "5 M M", "٥M")),
        *(("size", text) for text in ("20 miles", "20iB", "MB", "9" * 200)),
        *(("params", value) for value in (True, None, -1, float("nan"), float("inf"), [5])),
    ],
)
def test_what_is_no_budget(name: str, text: object) -> None:
    with pytest.raises(NetledgerError, match=f"cannot read the budget max-{name}"):
        parse_budget(name, text)


def test_a_budget_is_kept_up_to_the_last_number() -> None:
    totals = netledger.ledger("lenet5").totals
    for name, value in (
        ("params", totals.params),
        ("macs", totals.macs),
        ("activations", totals.activations),
        ("size", totals.bytes),
    ):
        report = examine("lenet5", budgets={name: value})
        assert report.ok and report.verdicts[0].kept
        report = examine("lenet5", budgets={name: value - 1})
        assert not report.ok and report.verdicts[0].kept is False
        assert "1 over the budget" in report.findings[-1].message


def test_a_broken_budget_says_how_far_and_where() -> None:
    finding = check("resnet50", budgets={"params": "5M"})[-1]
    assert (finding.code, finding.level, finding.row) == ("NL201", "error", "")
    assert finding.message == "25,557,032 parameters are 20,557,032 over the budget of 5,000,000"
    assert finding.hint.startswith("the largest: layer4.0.conv2 2,359,296 (9 %)")


def test_a_budget_over_something_unknown() -> None:
    net = Network("unknown", (64,))
    x = net(Linear(10))
    net(Opaque("Custom", [(BATCH, 10)], reason="a plugin"), x)
    (low,) = check(net.graph(), budgets={"params": 100})
    assert (low.level, low.message) == (
        "error",
        "at least 650 parameters are 550 over the budget of 100",
    )
    (open_,) = check(net.graph(), budgets={"params": 1000})
    assert (open_.level, open_.message) == (
        "warning",
        "at least 650 parameters: the budget of 1,000 may be broken",
    )
    assert open_.hint == "unknown at opaque: a plugin"


def test_a_budget_over_symbols() -> None:
    finding = check(netledger.read("lenet5", "HxWx1"), budgets={"macs": "1M"})[-1]
    assert finding.code == "NL202" and finding.level == "warning"
    assert "H" in finding.message and finding.message.endswith("cannot be judged")
    assert "//" not in finding.message


def test_neither_select_nor_ignore_concerns_a_budget() -> None:
    assert [f.code for f in check("alexnet", select=["NL101"], budgets={"size": "1MB"})] == [
        "NL204"
    ]


def test_a_budget_of_something_else() -> None:
    with pytest.raises(NetledgerError, match="did you mean 'params'"):
        check("alexnet", budgets={"param": 5})


def settings(folder: Path, text: str) -> Settings:
    path = folder / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path)


def test_settings(tmp_path: Path) -> None:
    text = '[tool.netledger.check]\nselect = ["NL1"]\nignore = ["NL131"]\nmax-params = "5M"\n'
    found = settings(tmp_path, text + "max-size = 1000\n")
    assert found.select == ("NL1",) and found.ignore == ("NL131",)
    assert found.budgets == {"params": "5M", "size": 1000}


def test_the_nearest_settings_count(tmp_path: Path) -> None:
    settings(tmp_path, '[tool.netledger.check]\nignore = ["NL131"]\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert nearest(inner).ignore == ("NL131",)
    settings(tmp_path / "a", "[project]\n")
    assert nearest(inner) == replace(Settings(), source=str(tmp_path / "a" / "pyproject.toml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.netledger.check]\nmax-param = 5\n", "did you mean 'max-params'"),
        ("[tool.netledger.check]\nselct = []\n", "did you mean 'select'"),
        ("[tool.netledger.chek]\n", "did you mean 'tool.netledger.check'"),
        ('[tool.netledger.check]\nselect = "NL1"\n', "must be a list of codes"),
        ("[tool.netledger.check]\nignore = [1]\n", "must be a list of codes"),
        ("[tool.netledger]\ncheck = 5\n", "check must be a table"),
        ("tool = 5\n", "tool must be a table"),
        ("[tool", "cannot be read"),
        ("a = " + "[" * 100_000, "cannot be read"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(NetledgerError) as caught:
        settings(tmp_path, text)
    assert message in str(caught.value) and "pyproject.toml" in str(caught.value)


def test_every_code_has_a_section_in_the_docs() -> None:
    page = DOCS.read_text(encoding="utf-8")
    for code in ["NL001", *(r.code for r in RULES), *(k.code for k in KINDS)]:
        assert page.count(f"### {code}: ") == 1, code


def test_the_table_in_the_docs_is_that_of_the_rules() -> None:
    page = DOCS.read_text(encoding="utf-8")
    table = page.split("<!-- rules -->\n")[1].split("<!-- /rules -->")[0]
    rows = [f"| {rule.code} | {rule.level} | {rule.summary()} |" for rule in RULES]
    rows += [f"| {k.code} | error | More {k.unit} than the budget allows. |" for k in KINDS]
    head = "| code | level | what it finds |\n|---|---|---|\n"
    books = "| NL001 | error | The source says otherwise than the rule. |"
    assert table == head + "\n".join([books, *rows]) + "\n"
