"""Commands that print ledgers and derivations: show, explain, layer, zoo, schema."""

from __future__ import annotations

import sys

import click

from netledger.cli.common import (
    chosen,
    complete_kind,
    format_option,
    input_option,
    model_argument,
    output_option,
    read_ledger,
    table,
    width,
    write_text,
)
from netledger.errors import UsageError

LEDGER_FORMATS = ("table", "markdown", "csv", "json", "latex", "yaml", "html", "svg")
CONVENTION_FORMATS = ("table", "json")
EXPLAIN_FORMATS = ("text", "markdown", "latex", "json")
ZOO_FORMATS = ("table", "json")


@click.command()
@model_argument
@input_option
@click.option("--batch", "-b", type=click.IntRange(min=1), help="Count for this batch.")
@format_option(LEDGER_FORMATS)
@output_option
@click.option("--ops", is_flag=True, help="A row for every operation, the pointwise ones too.")
@click.option("--depth", "-d", type=click.IntRange(min=1), help="Fold modules deeper than this.")
@click.option(
    "--layout",
    type=click.Choice(("hwc", "chw", "source")),
    help="Order in which tensor sizes are printed. By default hwc for channels-last networks, "
    "else the source's own.",
)
@click.option(
    "--conventions",
    is_flag=True,
    help="Count it as others do (torchinfo, fvcore, …) and say why each total is not ours; "
    "formats: table, json.",
)
def show(
    model: str,
    inputs: tuple[str, ...],
    batch: int | None,
    format: str | None,
    output: str | None,
    ops: bool,
    depth: int | None,
    layout: str | None,
    conventions: bool,
) -> None:
    """Print the ledger of MODEL: sizes, weights, biases, parameters, multiply-adds.

    MODEL is a name of the zoo (see 'netledger zoo'), a file, or a live model. The content of a file
    tells its format; nothing of it is ever executed.

    \b
    spec           YAML, in netledger's own words
    Keras          .keras, .h5, the text of to_json()
    ONNX           .onnx
    PyTorch        .pt2 (torch.export); .pt, .pth, .bin (tensors by module)
    safetensors    a file, the index of shards, a folder of them with config.json
    GGUF           .gguf (tensors by module)
    Caffe          .prototxt
    cuda-convnet   layer files, .cfg
    live           package.module:attribute, file.py:attribute (these run your Python),
                   torchvision:NAME, timm:NAME, keras:NAME, hf:FOLDER

    Counts are per sample unless --batch is given. MACs are the multiply-accumulates of
    convolutions, matrix products and attention; biases are not counted.

    \b
    netledger show alexnet
    netledger show alexnet --input HxWx3
    netledger show resnet50 --depth 1
    netledger show resnet50 --conventions
    netledger show my-net.yaml --format csv -o my-net.csv
    netledger show torchvision.models:resnet50 --input 3x224x224
    """
    format = chosen(format, output, LEDGER_FORMATS)
    if conventions:
        if format not in CONVENTION_FORMATS:
            raise UsageError(
                f"conventions are not written as {format}",
                hint=f"--format: {', '.join(CONVENTION_FORMATS)}",
            )
        from netledger.render.conventions import write

        write_text(write(read_ledger(model, inputs, batch), format), output)
        return
    ledger = read_ledger(model, inputs, batch)
    if format == "table":
        text = table(ledger, sys.stdout, output, ops=ops, depth=depth, layout=layout)
    else:
        from netledger.render import render

        text = render(ledger, format, ops=ops, depth=depth, layout=layout)
    write_text(text, output)


@click.command()
@model_argument
@click.argument("row", required=False)
@input_option
@format_option(EXPLAIN_FORMATS)
@output_option
def explain(
    model: str, row: str | None, inputs: tuple[str, ...], format: str | None, output: str | None
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

    format = chosen(format, output, EXPLAIN_FORMATS)
    ledger = read_ledger(model, inputs, None)
    sums = () if row is not None else add_up(ledger)
    columns = width(sys.stdout, output)
    write_text(write(ledger, derive(ledger, row), sums, format, width=columns), output)


@click.command()
@click.argument("kind", required=False, shell_complete=complete_kind)
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@input_option
@format_option(EXPLAIN_FORMATS)
@output_option
def layer(
    kind: str | None,
    values: tuple[str, ...],
    inputs: tuple[str, ...],
    format: str | None,
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
        write_text(describe_operations(kind), output)
        return
    if not inputs:
        raise UsageError("no input is given", hint="add --input 227x227x3")
    from netledger.explain import explain as derive
    from netledger.infer import infer
    from netledger.render.explanation import write

    format = chosen(format, output, EXPLAIN_FORMATS)
    graph = one_layer(kind, values, inputs)
    ledger = infer(graph)
    derived = derive(ledger, graph.nodes[-1].name)
    text = write(ledger, derived, format=format, width=width(sys.stdout, output))
    write_text(text, output)


@click.command()
@format_option(ZOO_FORMATS)
@output_option
def zoo(format: str | None, output: str | None) -> None:
    """List the networks that are known by name: year, input, parameters, MACs, story."""
    from netledger.render.zoo import write

    format = chosen(format, output, ZOO_FORMATS)
    write_text(write(format, width=width(sys.stdout, output)), output)


@click.command()
@output_option
def schema(output: str | None) -> None:
    """Print the JSON Schema of the YAML spec, for editors that complete and validate."""
    import json

    from netledger.schema import json_schema

    write_text(json.dumps(json_schema(), indent=2), output)
