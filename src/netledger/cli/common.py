"""What the commands share: options, errors, where their text goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from netledger.errors import NetledgerError, UsageError

if TYPE_CHECKING:
    from netledger.ledger import Ledger

ANSWER_IS_NO, BAD_INPUT = 1, 2


class Group(click.Group):
    """Turns every error of ours into one message and exit code 2."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Finds the command; a wrong name gets a hint."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from netledger.errors import did_you_mean

            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"{error.message} {hint}".strip(), ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; what it refuses is told in one message."""
        try:
            return super().invoke(ctx)
        except NetledgerError as error:
            complain(error)
            ctx.exit(BAD_INPUT)
        except BrokenPipeError:  # the reader of the pipe has seen enough
            sys.stderr.close()
            ctx.exit(0)


def complain(error: NetledgerError) -> None:
    """Prints an error, and the ledger up to the failing layer if there is one."""
    from netledger.render.common import LONGEST_TEXT, inert

    if error.partial is not None and any(row.op for row in error.partial.ops):
        click.echo(table(error.partial, stream=sys.stderr), err=True)
        click.echo("", err=True)
    for line in str(error).split("\n"):
        click.echo(inert(line, LONGEST_TEXT), err=True)


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """The zoo's networks and files, for the shell."""
    from click.shell_completion import CompletionItem

    from netledger.zoo import NETWORKS

    known = [
        CompletionItem(n, help=e.story) for n, e in NETWORKS.items() if n.startswith(incomplete)
    ]
    return [*known, CompletionItem(incomplete, type="file")]


def complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The operations, for the shell."""
    from netledger.ops import by_key

    return [key for key in by_key() if key.startswith(incomplete)]


model_argument = click.argument("model", shell_complete=complete_model)
input_option = click.option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="SHAPE",
    help="Shape of the input without the batch: 224x224x3, HxWx3 (symbols), 4hx4wx3, int64[128]; "
    "NAME=SHAPE for one of several inputs. May be repeated. As JSON, all arguments of a live model "
    'with the batch: \'{"tokens": "int64[1,128]"}\'.',
)
output_option = click.option(
    "--output", "-o", metavar="FILE", help="Write to FILE instead of the terminal."
)


def format_option(formats: tuple[str, ...]) -> Callable[[Any], Any]:
    """``--format``; see `chosen` for what it is where it is not given."""
    return click.option(
        "--format",
        "-f",
        "format",
        type=click.Choice(formats, case_sensitive=False),
        help=f"How to print it; by default as the ending of FILE says, else {formats[0]}.",
    )


ENDINGS = {
    ".md": "markdown",
    ".csv": "csv",
    ".json": "json",
    ".tex": "latex",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".sarif": "sarif",
    ".html": "html",
    ".svg": "svg",
}
"""The format that a file's name asks for."""


def chosen(format: str | None, output: str | None, formats: tuple[str, ...]) -> str:
    """The format that is asked for: by ``--format``, by the file's ending, or else the first.

    Raises:
        UsageError: If the file's ending asks for a format that the command does not write.
    """
    if format is not None or output is None:
        return format or formats[0]
    ending = os.path.splitext(output)[1].lower()
    wanted = ENDINGS.get(ending, formats[0])
    if wanted not in formats:
        hint = f"give --format: {', '.join(formats)}"
        raise UsageError(f"this command writes no {wanted} ({output})", hint=hint)
    return wanted


def read_ledger(model: str, inputs: tuple[str, ...], batch: int | None) -> Ledger:
    """The ledger of what the user named."""
    from netledger.garbage import no_garbage
    from netledger.infer import infer
    from netledger.readers import read
    from netledger.readers.inputs import from_command_line

    with no_garbage():
        return infer(read(model, from_command_line(inputs)), batch=batch)


def table(ledger: Ledger, stream: Any, output: str | None = None, **view: Any) -> str:
    """The ledger as a table that fits where it goes."""
    from netledger.render import render

    columns = width(stream, output)
    colored = columns is not None and _color()
    return render(ledger, "table", width=columns, color=colored, **view)


def width(stream: Any, output: str | None = None) -> int | None:
    """The terminal's width; None for a pipe or a file, which have no end."""
    if output is not None or not stream.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def _color() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write_text(text: str, output: str | None) -> None:
    """Prints, or writes to the file of ``--output``."""
    if output is None:
        click.echo(text)
        return
    try:
        with open(output, "w", encoding="utf-8", newline="") as file:
            file.write(text if text.endswith("\n") else text + "\n")
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from None
