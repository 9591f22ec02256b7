"""The command that builds a network in real frameworks and runs it against its ledger."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from netledger.cli.common import (
    ANSWER_IS_NO,
    chosen,
    format_option,
    input_option,
    model_argument,
    output_option,
    write_text,
)

if TYPE_CHECKING:
    from netledger.verify.run import Watch

FORMATS = ("text", "json", "markdown")


@click.command()
@model_argument
@click.option(
    "--in",
    "targets",
    default="torch",
    show_default=True,
    metavar="NAMES",
    help="The frameworks, with commas: torch,keras,jax,onnx.",
)
@input_option
@click.option(
    "--batch",
    "-b",
    type=click.IntRange(min=1),
    help="Samples at once; by default 1, or 2 with batch normalisation.",
)
@format_option(FORMATS)
@output_option
@click.pass_context
def verify(
    ctx: click.Context,
    model: str,
    targets: str,
    inputs: tuple[str, ...],
    batch: int | None,
    format: str | None,
    output: str | None,
) -> None:
    """Build MODEL in real frameworks, run it, and compare every row with the ledger.

    Each framework runs a forward and a backward pass on noise (ONNX Runtime a forward pass). For
    every row the shape, the dtype and the number of parameters must be those that the rules
    predict; on the whole the parameters, the gradients, and the multiply-accumulates where the
    framework counts them. Exit code 1 where the books do not balance.

    A run that would not fit into memory is refused before anything is built.

    \b
    netledger verify alexnet
    netledger verify alexnet --in torch,keras,jax,onnx
    netledger verify net.prototxt --in torch --format json -o net.json
    """
    from netledger.readers.inputs import from_command_line
    from netledger.render.verification import write
    from netledger.verify import verify as check

    format = chosen(format, output, FORMATS)
    names = [name.strip() for name in targets.split(",") if name.strip()]
    with _progress() as watch:
        found = check(model, names, from_command_line(inputs), batch=batch, watch=watch)
    write_text(write(found, format), output)
    ctx.exit(0 if found.balances else ANSWER_IS_NO)


@contextmanager
def _progress() -> Iterator[Watch | None]:
    """A bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns: Any = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("", total=None)

        def watch(what: str, done: int, of: int) -> None:
            bars.update(bar, description=what, completed=done, total=of if done else None)

        yield watch
