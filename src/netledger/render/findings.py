"""What checks found, as text, JSON, SARIF (for code scanning) and annotations of GitHub Actions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netledger.check.budgets import KINDS, Verdict
from netledger.check.report import BOOKS, Report
from netledger.check.rules import INFO, RULES, WARNING
from netledger.ledger import Finding, plain
from netledger.render.common import LONGEST_TEXT, inert, number

FORMATS = ("text", "json", "sarif", "github")
"""The formats that findings can be written in."""
MOST_ALIKE = 5
"""Of how many findings of one rule in one network the text tells; the others are counted."""

Reports = Sequence[tuple[str, Report]]
"""What each network is called on the command line, and what was found in it."""


def write(reports: Reports, format: str = "text", *, every: bool = False) -> str:
    """The findings in one of `FORMATS`; with `every`, the text leaves none out."""
    if format == "text":
        return _text(reports, every)
    return _WRITERS[format](reports)


def _text(reports: Reports, every: bool) -> str:
    lines: list[str] = []
    for model, report in reports:
        told: dict[str, int] = {}
        for finding in report.findings:
            told[finding.code] = told.get(finding.code, 0) + 1
            if every or told[finding.code] <= MOST_ALIKE:
                lines += _told(model, finding)
        for code, count in told.items():
            if not every and count > MOST_ALIKE:
                lines.append(f"{inert(model)}: {code} {count - MOST_ALIKE} more (--all lists them)")
        lines += [_kept(model, verdict) for verdict in report.verdicts if verdict.kept]
    return "\n".join([*lines, _summary(reports)])


def _told(model: str, finding: Finding) -> list[str]:
    place = f"{inert(model)}: {inert(finding.row)}" if finding.row else inert(model)
    line = f"{place}: {finding.code} {finding.level} {inert(finding.message, LONGEST_TEXT)}"
    hint = [f"  hint: {inert(finding.hint, LONGEST_TEXT)}"] if finding.hint else []
    return [line, *hint]


def _kept(model: str, verdict: Verdict) -> str:
    kind = verdict.kind
    return (
        f"{inert(model)}: {number(verdict.value)} {kind.unit}, within the budget of "
        f"{verdict.limit:,}"
    )


def _summary(reports: Reports) -> str:
    if not reports:
        return "nothing was checked"
    counts = _counts(reports)
    words = {"error": "error", "warning": "warning", "info": "note"}
    found = [
        f"{count} {words[level]}{'s' * (count != 1)}" for level, count in counts.items() if count
    ]
    networks = f"{len(reports)} network{'s' * (len(reports) != 1)}"
    rules = max((report.rules for _, report in reports), default=0)
    by = f"{rules} rule{'s' * (rules != 1)}"
    return f"checked {networks} by {by}: {', '.join(found) or 'nothing found'}"


def _counts(reports: Reports) -> dict[str, int]:
    counts: dict[str, int] = {"error": 0, "warning": 0, "info": 0}
    for _, report in reports:
        for level, count in report.counts().items():
            counts[level] += count
    return counts


def _json(reports: Reports) -> str:
    return json.dumps(
        {
            "schema": "netledger-check/1",
            "ok": all(report.ok for _, report in reports),
            "counts": _counts(reports),
            "models": [_model(model, report) for model, report in reports],
        },
        indent=2,
    )


def _model(model: str, report: Report) -> dict[str, Any]:
    sources = {row.name: row.source for row in report.ledger.ops}
    return {
        "model": model,
        "ok": report.ok,
        "findings": [
            {
                "code": finding.code,
                "level": finding.level,
                "row": finding.row,
                "message": finding.message,
                "hint": finding.hint,
                "source": sources.get(finding.row, ""),
            }
            for finding in report.findings
        ],
        "budgets": [
            {
                "name": verdict.kind.name,
                "limit": verdict.limit,
                "value": plain(verdict.value),
                "at_least": verdict.least,
                "kept": verdict.kept,
            }
            for verdict in report.verdicts
        ],
    }


SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_SARIF_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def _sarif(reports: Reports) -> str:
    from netledger import __version__

    rules = _described()
    index = {rule["id"]: i for i, rule in enumerate(rules)}
    results = [
        _result(model, report, finding, index)
        for model, report in reports
        for finding in report.findings
    ]
    driver = {"name": "netledger", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _described() -> list[dict[str, Any]]:
    """Every rule as SARIF describes it, those of the books and the budgets too."""
    known = [(BOOKS, "books do not balance", "error", "The source says otherwise than the rule.")]
    known += [(rule.code, rule.name, rule.level, rule.summary()) for rule in RULES]
    known += [
        (kind.code, f"budget of {kind.unit}", "error", f"More {kind.unit} than are allowed.")
        for kind in KINDS
    ]
    return [
        {
            "id": code,
            "name": name,
            "shortDescription": {"text": summary},
            "defaultConfiguration": {"level": _SARIF_LEVELS[level]},
        }
        for code, name, level, summary in known
    ]


def _result(
    model: str, report: Report, finding: Finding, index: Mapping[str, int]
) -> dict[str, Any]:
    row = inert(finding.row or model)
    text = inert(finding.message, LONGEST_TEXT)
    hint = f"\nHint: {inert(finding.hint, LONGEST_TEXT)}" if finding.hint else ""
    logical = {"name": row, "fullyQualifiedName": f"{inert(model)}/{row}", "kind": "element"}
    location: dict[str, Any] = {"logicalLocations": [logical]}
    file, line = _place(report, finding)
    if file:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": _uri(file)},
            **({"region": {"startLine": line}} if line else {}),
        }
    return {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": _SARIF_LEVELS[finding.level],
        "message": {"text": f"{row}: {text}{hint}"},
        "locations": [location],
    }


def _place(report: Report, finding: Finding) -> tuple[str, int]:
    """The file, and the line if it is known; no file for a network of the zoo."""
    graph = report.ledger.graph
    source = next((row.source for row in report.ledger.ops if row.name == finding.row), "")
    match = re.fullmatch(r"(.+):(\d{1,9})", source)
    if match:
        return match[1], int(match[2])
    return ("" if graph.reader == "zoo" else graph.source), 0


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path.replace("\\", "/"), errors="replace")


_COMMANDS = {"error": "error", WARNING: "warning", INFO: "notice"}


def _github(reports: Reports) -> str:
    lines = []
    for model, report in reports:
        for finding in report.findings:
            file, line = _place(report, finding)
            title = f"{finding.code} {finding.row or model}"
            where = [
                *([f"file={_property(file)}"] if file else []),
                *([f"line={line}"] * bool(line)),
            ]
            text = _told(model, finding)
            hint = "".join(f"%0A{_data(part.strip())}" for part in text[1:])
            properties = ",".join([*where, f"title={_property(title)}"])
            lines.append(f"::{_COMMANDS[finding.level]} {properties}::{_data(text[0])}{hint}")
    return "\n".join([*lines, _summary(reports)])


def _data(text: str) -> str:
    """Text as a workflow command takes it; what does not print has been made inert before."""
    return text.replace("%", "%25")


def _property(text: str) -> str:
    return _data(inert(text)).replace(":", "%3A").replace(",", "%2C")


_WRITERS: Mapping[str, Callable[[Reports], str]] = {
    "json": _json,
    "sarif": _sarif,
    "github": _github,
}
