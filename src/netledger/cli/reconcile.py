"""The command that explains why a count is not a claimed one. Exit code 1 if nothing does."""

from __future__ import annotations

from typing import Any

import click

from netledger.cli.common import (
    ANSWER_IS_NO,
    chosen,
    format_option,
    input_option,
    model_argument,
    output_option,
    read_ledger,
    write_text,
)

FORMATS = ("text", "json")


def again(model: str, shape: tuple[Any, ...]) -> Any:
    """The ledger of MODEL on another input."""
    return read_ledger(model, ("x".join(map(str, shape)),), None)


@click.command()
@model_argument
@click.argument("claim")
@input_option
@format_option(FORMATS)
@output_option
@click.pass_context
def reconcile(
    ctx: click.Context,
    model: str,
    claim: str,
    inputs: tuple[str, ...],
    format: str | None,
    output: str | None,
) -> None:
    """Explain why the count of MODEL is not CLAIM.

    CLAIM is an exact number (62,378,344) or a rounded one (60M, 25.6 million, 4.1 GFLOPs, 528 MB),
    of parameters unless its unit says otherwise; 4.1G:macs names the quantity. A rounded one
    stands for every count that rounds to it or begins with it.

    What leads from the count to the claim is told with arithmetic that adds up exactly, the most
    plausible explanation first. Exit code 0 if there is one, 1 if nothing was found.

    \b
    netledger reconcile alexnet 60M
    netledger reconcile alexnet-keras-noflatten 62,378,344
    netledger reconcile resnet50 25636712
    netledger reconcile resnet50 3.8G:macs --format json
    """
    from netledger.reconcile import SECONDS
    from netledger.reconcile.answer import answer
    from netledger.reconcile.claim import parse_claim
    from netledger.render.reconciliation import write

    format = chosen(format, output, FORMATS)
    stated = parse_claim(claim)
    ledger = read_ledger(model, inputs, None)
    found = answer(ledger, stated, SECONDS, lambda shape: again(model, shape))
    write_text(write(found, format), output)
    ctx.exit(0 if found.explanations else ANSWER_IS_NO)
