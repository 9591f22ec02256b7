"""A ledger as JSON, in the form of `Ledger.to_dict`; plain ASCII, so every name is safe in it."""

from __future__ import annotations

import json

from netledger.ledger import Ledger
from netledger.render.common import View


def write(ledger: Ledger, view: View) -> str:
    """The ledger as JSON. Integers are exact at any size."""
    return json.dumps(ledger.to_dict(ops=view.ops, depth=view.depth), indent=2)
