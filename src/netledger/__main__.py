"""``python -m netledger``."""

from netledger.cli import main

main(prog_name="netledger")
