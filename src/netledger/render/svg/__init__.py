"""A network as a drawing: volumes to scale for short chains of maps, else blocks."""

from __future__ import annotations

from netledger.ledger import Ledger
from netledger.render.common import View
from netledger.render.svg.blocks import draw_blocks
from netledger.render.svg.volumes import draw_volumes, volumes


def write(ledger: Ledger, view: View) -> str:
    """The drawing. AlexNet is drawn as volumes, ResNet-152 as blocks."""
    found = volumes(ledger, view)
    return draw_blocks(ledger, view) if found is None else draw_volumes(ledger, found)
