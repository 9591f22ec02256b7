"""The command that writes a network as one self-contained page."""

from __future__ import annotations

import click

from netledger.cli.common import input_option, model_argument, read_ledger, write_text


@click.command()
@model_argument
@input_option
@click.option("--batch", "-b", type=click.IntRange(min=1), help="Count for this batch.")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="COUNT",
    help="Explain why the count is not this one (60M, 62,378,344, 4.1G:macs); each explanation "
    "can be tried with a click. May be repeated.",
)
@click.option(
    "--output", "-o", metavar="FILE", required=True, help="Where the page goes; - prints it."
)
def report(
    model: str, inputs: tuple[str, ...], batch: int | None, claims: tuple[str, ...], output: str
) -> None:
    """Write MODEL as one page: table, graph, derivations, and what-if.

    The page is a single file that opens from disk and loads nothing. It calculates by itself, by
    the same rules: change the batch, an input or a hyperparameter, and every number that depends
    on it changes; what has been changed stands in the page's address.

    \b
    netledger report alexnet -o alexnet.html
    netledger report alexnet --claim 60M -o alexnet.html
    netledger report model.onnx --input 224x224x3 -o model.html
    """
    from netledger.reconcile import reconcile
    from netledger.render.html import page
    from netledger.render.html.changes import encode_claim

    ledger = read_ledger(model, inputs, batch)
    answers = [encode_claim(reconcile(ledger, claim)) for claim in claims]
    text = page(ledger, claims=answers)
    write_text(text, None if output == "-" else output)
