"""Commands whose answer may be "no": check, diff. Exit code 1 then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from netledger.cli.common import (
    ANSWER_IS_NO,
    BAD_INPUT,
    chosen,
    complain,
    complete_model,
    format_option,
    input_option,
    output_option,
    read_ledger,
    write_text,
)
from netledger.errors import NetledgerError

FINDING_FORMATS = ("text", "json", "sarif", "github")
DIFF_FORMATS = ("text", "table", "markdown", "json", "html")


def _budget_option(name: str, example: str) -> Callable[[Any], Any]:
    return click.option(f"--max-{name}", metavar="N", help=f"Most {name} allowed: {example}.")


@click.command()
@click.argument(
    "models", nargs=-1, required=True, metavar="MODEL...", shell_complete=complete_model
)
@input_option
@click.option("--select", multiple=True, metavar="CODES", help="Only rules that begin so: NL10.")
@click.option("--ignore", multiple=True, metavar="CODES", help="No rules that begin so.")
@_budget_option("params", "5M")
@_budget_option("macs", "300M")
@_budget_option("activations", "1.5G")
@_budget_option("size", "20MB or 20MiB, as stored")
@click.option("--all", "every", is_flag=True, help="Tell of every finding, however many alike.")
@format_option(FINDING_FORMATS)
@output_option
def check(
    models: tuple[str, ...],
    inputs: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    every: bool,
    format: str | None,
    output: str | None,
    **limits: str | None,
) -> None:
    """Look for mistakes in each MODEL, like a linter, and hold it to budgets.

    Settings may stand in the nearest pyproject.toml, in [tool.netledger.check]: select, ignore,
    max-params, max-macs, max-activations, max-size; what the command line says comes first.
    Exit code 1 on a finding of level error, which a broken budget is.

    \b
    netledger check alexnet-keras-noflatten
    netledger check model.onnx --max-params 5M --max-macs 300M --ignore NL131
    netledger check a.keras b.keras --format sarif -o findings.sarif
    """
    from pathlib import Path

    from netledger.check.config import nearest
    from netledger.check.report import examine
    from netledger.render.findings import write

    format = chosen(format, output, FINDING_FORMATS)
    limits = {name.removeprefix("max_"): text for name, text in limits.items() if text is not None}
    wishes = nearest(Path.cwd()).under(select, ignore, limits)
    reports, failed = [], False
    for model in models:
        try:
            reports.append((model, examine(read_ledger(model, inputs, None), **wishes)))
        except NetledgerError as error:
            complain(error)
            failed = True
    write_text(write(reports, format, every=every), output)
    answer = 0 if all(report.ok for _, report in reports) else ANSWER_IS_NO
    click.get_current_context().exit(BAD_INPUT if failed else answer)


@click.command()
@click.argument("a", shell_complete=complete_model)
@click.argument("b", shell_complete=complete_model)
@input_option
@format_option(DIFF_FORMATS)
@output_option
@click.pass_context
def diff(
    ctx: click.Context,
    a: str,
    b: str,
    inputs: tuple[str, ...],
    format: str | None,
    output: str | None,
) -> None:
    """Compare the networks A and B: what differs, and the cause of every difference.

    Layers are aligned by name, structure and shape, whatever their layout. What the causes change
    in parameters, buffers and MACs adds up exactly to the difference of the totals. Exit code 1
    if the networks differ. Formats: text gives the causes, table every layer too.

    \b
    netledger diff alexnet alexnet-2012
    netledger diff resnet50 resnet50-v1 --format table
    netledger diff mine.keras theirs.onnx --input 224x224x3
    """
    from netledger.diff import diff as compare
    from netledger.render.difference import write

    format = chosen(format, output, DIFF_FORMATS)
    found = compare(read_ledger(a, inputs, None), read_ledger(b, inputs, None))
    if format == "html":
        from netledger.render.html import difference

        text = difference(found)
    else:
        text = write(found, format)
    write_text(text, output)
    ctx.exit(0 if found.empty else ANSWER_IS_NO)
