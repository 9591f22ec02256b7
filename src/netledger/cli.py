"""The command line: words in, words out; no arithmetic."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from netledger.errors import NetledgerError, UsageError

if TYPE_CHECKING:
    from netledger.graph import Graph
    from netledger.ledger import Ledger

LEDGER_FORMATS = ("table", "markdown", "csv", "json", "latex", "yaml")
FINDING_FORMATS = ("text", "json", "sarif", "github")
EXPLAIN_FORMATS = ("text", "markdown", "latex", "json")
DIFF_FORMATS = ("text", "table", "markdown", "json")
ANSWER_IS_NO, BAD_INPUT = 1, 2


class _Group(click.Group):
    """Turns every error of ours into one message and exit code 2."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from netledger.errors import did_you_mean

            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"{error.message} {hint}".strip(), ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NetledgerError as error:
            _complain(error)
            ctx.exit(BAD_INPUT)
        except BrokenPipeError:  # the reader of the pipe has seen enough
            sys.stderr.close()
            ctx.exit(0)


def _complain(error: NetledgerError) -> None:
    """Prints an error, and the ledger up to the failing layer if there is one."""
    from netledger.render.common import LONGEST_TEXT, inert

    if error.partial is not None and any(row.op for row in error.partial.ops):
        click.echo(_table(error.partial, stream=sys.stderr), err=True)
        click.echo("", err=True)
    for line in str(error).split("\n"):
        click.echo(inert(line, LONGEST_TEXT), err=True)


CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=_Group, context_settings=CONTEXT)
@click.version_option(package_name="netledger", message="netledger %(version)s")
def main() -> None:
    """The books of a neural network, kept in double entry.

    Every tensor size, weight, bias, parameter, multiply-add and byte is derived by a written rule,
    with the arithmetic shown, and checked against what a file says.

    \b
    netledger show alexnet               the ledger
    netledger explain alexnet Conv-1     every number of a row, derived
    netledger check alexnet              findings, like a linter; budgets
    netledger diff alexnet alexnet-2012  what differs, with the cause of every difference
    netledger zoo                        the networks it knows by name

    MODEL is a name of the zoo or a file. Exit codes: 0 fine, 1 the answer is "no", 2 bad input.
    """


def _complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from netledger.zoo import NETWORKS

    known = [
        CompletionItem(n, help=e.story) for n, e in NETWORKS.items() if n.startswith(incomplete)
    ]
    return [*known, CompletionItem(incomplete, type="file")]


def _complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from netledger.ops import by_key

    return [key for key in by_key() if key.startswith(incomplete)]


model_argument = click.argument("model", shell_complete=_complete_model)
input_option = click.option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="SHAPE",
    help="Shape of the input without the batch: 224x224x3, HxWx3 (symbols), int64[128]; "
    "NAME=SHAPE for one of several inputs. May be repeated.",
)
output_option = click.option(
    "--output", "-o", metavar="FILE", help="Write to FILE instead of the terminal."
)


def _format_option(formats: tuple[str, ...]) -> Callable[[Any], Any]:
    return click.option(
        "--format",
        "-f",
        "format",
        type=click.Choice(formats, case_sensitive=False),
        default=formats[0],
        show_default=True,
        help="How to print it.",
    )


@main.command()
@model_argument
@input_option
@click.option("--batch", "-b", type=click.IntRange(min=1), help="Count for this batch.")
@_format_option(LEDGER_FORMATS)
@output_option
@click.option("--ops", is_flag=True, help="A row for every operation, the pointwise ones too.")
@click.option("--depth", "-d", type=click.IntRange(min=1), help="Fold modules deeper than this.")
@click.option(
    "--layout",
    type=click.Choice(("hwc", "chw", "source")),
    help="Order in which tensor sizes are printed. By default hwc for channels-last networks, "
    "else the source's own.",
)
def show(
    model: str,
    inputs: tuple[str, ...],
    batch: int | None,
    format: str,
    output: str | None,
    ops: bool,
    depth: int | None,
    layout: str | None,
) -> None:
    """Print the ledger of MODEL: sizes, weights, biases, parameters, multiply-adds.

    MODEL is a name of the zoo (see 'netledger zoo') or a file: a YAML spec, or a model in any
    format that netledger reads. Nothing of a file is ever executed.

    Counts are per sample unless --batch is given. MACs are the multiply-accumulates of
    convolutions, matrix products and attention; biases are not counted.

    \b
    netledger show alexnet
    netledger show alexnet --input HxWx3
    netledger show resnet50 --depth 1
    netledger show my-net.yaml --format csv -o my-net.csv
    """
    ledger = _ledger(model, inputs, batch)
    if format == "table":
        text = _table(ledger, sys.stdout, output, ops=ops, depth=depth, layout=layout)
    else:
        from netledger.render import render

        text = render(ledger, format, ops=ops, depth=depth, layout=layout)
    _write(text, output)


@main.command()
@model_argument
@click.argument("row", required=False)
@input_option
@_format_option(EXPLAIN_FORMATS)
@output_option
def explain(
    model: str, row: str | None, inputs: tuple[str, ...], format: str, output: str | None
) -> None:
    """Derive every number of a ROW of MODEL, or of all rows and the totals.

    For each number: the rule, the numbers put in, the result.

    \b
    netledger explain alexnet Conv-1
    netledger explain alexnet
    netledger explain alexnet FC-1 --format latex
    """
    from netledger.explain import add_up
    from netledger.explain import explain as derive
    from netledger.render.explanation import write

    ledger = _ledger(model, inputs, None)
    sums = () if row is not None else add_up(ledger)
    _write(write(ledger, derive(ledger, row), sums, format), output)


@main.command()
@click.argument("kind", required=False, shell_complete=_complete_kind)
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@input_option
@_format_option(EXPLAIN_FORMATS)
@output_option
def layer(
    kind: str | None,
    values: tuple[str, ...],
    inputs: tuple[str, ...],
    format: str,
    output: str | None,
) -> None:
    """Derive one layer without any model: a calculator.

    Without KIND it lists the operations; with a KIND alone, the keys of that operation.

    \b
    netledger layer conv --input 227x227x3 out_channels=96 kernel_size=11 stride=4
    netledger layer lstm --input 100x64 hidden_size=128 bias_vectors=1
    netledger layer max_pool
    """
    from netledger.layer import describe_operations, one_layer

    if kind is None or (not values and not inputs):
        _write(describe_operations(kind), output)
        return
    if not inputs:
        raise UsageError("no input is given", hint="add --input 227x227x3")
    from netledger.explain import explain as derive
    from netledger.infer import infer
    from netledger.render.explanation import write

    graph = one_layer(kind, values, inputs)
    ledger = infer(graph)
    _write(write(ledger, derive(ledger, graph.nodes[-1].name), format=format), output)


def _budget_option(name: str, example: str) -> Callable[[Any], Any]:
    return click.option(f"--max-{name}", metavar="N", help=f"Most {name} allowed: {example}.")


@main.command()
@click.argument(
    "models", nargs=-1, required=True, metavar="MODEL...", shell_complete=_complete_model
)
@input_option
@click.option("--select", multiple=True, metavar="CODES", help="Only rules that begin so: NL10.")
@click.option("--ignore", multiple=True, metavar="CODES", help="No rules that begin so.")
@_budget_option("params", "5M")
@_budget_option("macs", "300M")
@_budget_option("activations", "1.5G")
@_budget_option("size", "20MB or 20MiB, as stored")
@click.option("--all", "every", is_flag=True, help="Tell of every finding, however many alike.")
@_format_option(FINDING_FORMATS)
@output_option
def check(
    models: tuple[str, ...],
    inputs: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    every: bool,
    format: str,
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

    limits = {name.removeprefix("max_"): text for name, text in limits.items() if text is not None}
    wishes = nearest(Path.cwd()).under(select, ignore, limits)
    reports, failed = [], False
    for model in models:
        try:
            reports.append((model, examine(_ledger(model, inputs, None), **wishes)))
        except NetledgerError as error:
            _complain(error)
            failed = True
    _write(write(reports, format, every=every), output)
    answer = 0 if all(report.ok for _, report in reports) else ANSWER_IS_NO
    click.get_current_context().exit(BAD_INPUT if failed else answer)


@main.command()
@click.argument("a", shell_complete=_complete_model)
@click.argument("b", shell_complete=_complete_model)
@input_option
@_format_option(DIFF_FORMATS)
@output_option
@click.pass_context
def diff(
    ctx: click.Context, a: str, b: str, inputs: tuple[str, ...], format: str, output: str | None
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

    found = compare(_ledger(a, inputs, None), _ledger(b, inputs, None))
    _write(write(found, format), output)
    ctx.exit(0 if found.empty else ANSWER_IS_NO)


@main.command()
@click.option("--format", "-f", "format", type=click.Choice(("table", "json")), default="table")
@output_option
def zoo(format: str, output: str | None) -> None:
    """List the networks that are known by name: year, input, parameters, MACs, story."""
    from netledger.render.zoo import write

    _write(write(format, width=_width(sys.stdout, output)), output)


@main.command()
@output_option
def schema(output: str | None) -> None:
    """Print the JSON Schema of the YAML spec, for editors that complete and validate."""
    import json

    from netledger.schema import json_schema

    _write(json.dumps(json_schema(), indent=2), output)


def _ledger(model: str, inputs: tuple[str, ...], batch: int | None) -> Ledger:
    from netledger.infer import infer
    from netledger.readers import read

    graph = read(model)
    return infer(_with_inputs(graph, inputs), batch=batch)


def _with_inputs(graph: Graph, inputs: tuple[str, ...]) -> Graph:
    if not inputs:
        return graph
    from netledger.readers.inputs import parse_inputs

    named = dict(text.split("=", 1) for text in inputs if "=" in text)
    if named and len(named) < len(inputs):
        raise UsageError("some inputs are named and some are not", hint="write NAME=SHAPE for all")
    given: Any = named or (inputs[0] if len(inputs) == 1 else list(inputs))
    return graph.with_inputs(parse_inputs(given, graph))


def _table(ledger: Ledger, stream: Any, output: str | None = None, **view: Any) -> str:
    from netledger.render import render

    width = _width(stream, output)
    return render(ledger, "table", width=width, color=width is not None and _color(), **view)


def _width(stream: Any, output: str | None = None) -> int | None:
    """The terminal's width; None for a pipe or a file, which have no end."""
    if output is not None or not stream.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def _color() -> bool:
    import os

    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _write(text: str, output: str | None) -> None:
    if output is None:
        click.echo(text)
        return
    try:
        with open(output, "w", encoding="utf-8", newline="") as file:
            file.write(text if text.endswith("\n") else text + "\n")
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from None
