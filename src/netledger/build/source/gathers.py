"""Modules that take a list of tensors, however many, and join it: the layers of a DenseNet.

Each takes all that was made before it, one tensor more than the one before. They are one class
whose forward pass takes a list, and a row of them is a loop over a list that grows.
"""

from __future__ import annotations

from collections.abc import Collection

from netledger.build.source.tree import Block, Leaf
from netledger.ops import Concat


def joined_by(block: Block) -> Leaf | None:
    """The child that joins all that the module takes, if nothing else needs any of it."""
    given = set(block.inputs)
    takers = [child for child in block.children if given.intersection(child.inputs)]
    if len(takers) != 1 or given.intersection(block.outputs):
        return None
    (first,) = takers
    if isinstance(first, Leaf) and _joins(first) and first.inputs == block.inputs:
        return first
    return None


def _joins(child: Leaf | Block) -> bool:
    return isinstance(child, Leaf) and isinstance(child.row.op, Concat)


def growing(block: Block, gathers: Collection[int]) -> int:
    """How many of the first children make a list grow, each taking all that was there before.

    Fewer than two are none; nor are any if something else needs a single part of the list.
    """
    first = block.children[0]
    if not isinstance(first, Block) or id(first) not in gathers:
        return 0
    listed, count = first.inputs, 0
    for child in block.children:
        if id(child) not in gathers or child.inputs != listed or len(child.outputs) != 1:
            break
        listed, count = (*listed, *child.outputs), count + 1
    users = [c for c in block.children[count:] if set(listed).intersection(c.inputs)]
    whole = all(c.inputs == listed and (_joins(c) or id(c) in gathers) for c in users)
    apart = not set(listed).intersection(block.outputs)
    return count if count > 1 and whole and apart else 0
