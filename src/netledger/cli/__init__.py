"""The command line: words in, words out; no arithmetic."""

from __future__ import annotations

import click

from netledger.cli.answers import check, diff
from netledger.cli.build import build
from netledger.cli.common import Group
from netledger.cli.ledgers import explain, layer, schema, show, zoo
from netledger.cli.reconcile import reconcile
from netledger.cli.report import report
from netledger.cli.verify import verify

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Group, context_settings=CONTEXT)
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
    netledger reconcile alexnet 60M      why a count is not the claimed one
    netledger report alexnet -o a.html   one page: graph, derivations, what-if
    netledger build alexnet --to torch   a real model: torch, keras, jax, onnx
    netledger verify alexnet --in torch  built, run, and compared row by row
    netledger zoo                        the networks it knows by name

    MODEL is a name of the zoo, a file, or a live model (package.module:attribute, timm:NAME ...).
    Exit codes: 0 fine, 1 the answer is "no", 2 bad input.
    """


for command in (show, explain, layer, check, diff, reconcile, report, build, verify, zoo, schema):
    main.add_command(command)
