"""The command that writes a real model."""

from __future__ import annotations

import click

from netledger.cli.common import input_option, model_argument, output_option, write_text
from netledger.errors import UsageError

TARGETS = ("torch", "keras", "jax", "onnx")


@click.command()
@model_argument
@click.option("--to", "to", type=click.Choice(TARGETS), required=True, help="The framework.")
@click.option(
    "--width", type=float, default=1.0, help="Times so many channels: 0.125 for an eighth."
)
@click.option("--classes", type=click.IntRange(min=1), help="Another number of classes.")
@input_option
@output_option
def build(
    model: str,
    to: str,
    width: float,
    classes: int | None,
    inputs: tuple[str, ...],
    output: str | None,
) -> None:
    """Write a real, trainable model of MODEL: source code, or for ONNX a file.

    Any network can be built of which every layer is fully known, whatever format it was read from.
    The code needs that framework alone and runs by itself: it prints its layers and does a forward
    pass. Weights begin as the paper says where the zoo knows it, else as the framework does.

    What the framework cannot express is an error that names the layer; nothing is written then.

    \b
    netledger build alexnet --to torch -o alexnet.py
    netledger build net.prototxt --to keras -o net.py
    netledger build resnet50 --to onnx -o resnet50.onnx
    netledger build alexnet-owt --to torch --width 0.125 --classes 10 -o small.py
    """
    from netledger.build import write
    from netledger.build.narrow import narrow
    from netledger.readers import read
    from netledger.readers.inputs import from_command_line

    if to == "onnx" and output is None:
        raise UsageError("an ONNX file is not text", hint="add -o FILE.onnx")
    graph = read(model, from_command_line(inputs))
    if width != 1.0 or classes is not None:
        graph = narrow(graph, width, classes)
    made = write(graph, to)
    if isinstance(made, str):
        write_text(made.rstrip("\n"), output)
    else:
        assert output is not None
        _write_bytes(made, output)


def _write_bytes(made: bytes, output: str) -> None:
    try:
        with open(output, "wb") as file:
            file.write(made)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from None
