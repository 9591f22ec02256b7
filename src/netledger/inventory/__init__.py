"""A list of stored tensors → a graph without edges, for files that hold no graph.

A node for each module path, in the order of the file; roles are recognised by name and rank;
what is one and the same storage is tied.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from netledger.errors import SpecError, quoted
from netledger.graph import BIAS, BUFFER, WEIGHT, Graph, Node
from netledger.ops.fields import LARGEST
from netledger.ops.opaque import NO_GRAPH, Inventory

MOST_TENSORS = 150_000
MOST_AXES = 16


class StoredTensor(NamedTuple):
    """A tensor that a file holds.

    Attributes:
        name: Its whole name, ``layer1.0.conv1.weight``.
        shape: Its logical dimensions.
        dtype: As NumPy names it.
        nbytes: Bytes that it takes in the file, if that is not size × dtype.
        role: ``weight``, ``bias`` or ``buffer``; empty to be recognised.
        storage: What it is kept in; tensors with equal ones are one and the same. None: its own.
        unknown: Why its logical size is not known; empty if it is.
        kind: How it is packed, for people: ``GPTQ, 4 bits``; empty if it is not.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int | None = None
    role: str = ""
    storage: Hashable = None
    unknown: str = ""
    kind: str = ""

    @property
    def module(self) -> str:
        """The path of the module that it belongs to, ``layer1.0.conv1``; empty for the whole."""
        return self.name.rpartition(".")[0]

    @property
    def leaf(self) -> str:
        """Its name within its module, ``weight``."""
        return self.name.rpartition(".")[2]


Listed = tuple[str, StoredTensor]
"""A tensor, and its name within its module."""


def check_shape(shape: object, name: str) -> tuple[int, ...]:
    """The dimensions of a stored tensor, if they are such.

    Raises:
        SpecError: If they are no list of integers from 0 to 2⁶³ − 1, are too many, or multiply to
            more than that.
    """
    if not isinstance(shape, (list, tuple)) or not {*map(type, shape)} <= {int}:
        raise SpecError(f"the shape of {quoted(name)} is no list of integers")
    if len(shape) > MOST_AXES:
        raise SpecError(f"{quoted(name)} has {len(shape)} axes; at most {MOST_AXES} are read")
    if shape and min(shape) > 0 and prod(shape) <= LARGEST:  # nearly always
        return tuple(shape)
    count = 1
    for d in shape:
        count *= d
        if not 0 <= d <= LARGEST or count > LARGEST:
            raise SpecError(
                f"{quoted(name)} has an impossible shape",
                hint="dimensions run from 0 to 2^63 - 1, and so does their product",
            )
    return tuple(shape)


def check_count(count: int) -> None:
    """Refuses files with no tensors, or too many.

    Raises:
        SpecError: In both cases.
    """
    if not count:
        raise SpecError("there are no tensors in this file")
    if count > MOST_TENSORS:
        raise SpecError(f"{count:,} tensors; at most {MOST_TENSORS:,} are read")


def natural(tensors: Iterable[StoredTensor]) -> list[StoredTensor]:
    """By name, with numbers in the order of numbers: ``layers.2`` before ``layers.10``."""
    pieces = _Pieces()
    return sorted(tensors, key=lambda t: [pieces[p] for p in t.name.split(".")])


class _Pieces(dict[str, tuple[int, str]]):
    """How the parts of paths sort, a number by its length first; the same part comes often."""

    def __missing__(self, part: str) -> tuple[int, str]:
        self[part] = made = (len(part) if part.isdecimal() else 0, part)
        return made


def inventory(
    tensors: Iterable[StoredTensor], name: str, *, about: str, source: str, reader: str
) -> Graph:
    """The graph of a file that holds tensors only.

    Args:
        tensors: What it holds; in the order in which it is to be listed.
        name: What the network is called.
        about: What is known about it, in a few words; the title says besides that there is no
            graph.
        source: The file's path.
        reader: What read it.

    Raises:
        SpecError: If there is nothing in it, or too much.
    """
    modules: dict[str, list[Listed]] = {}
    count = 0
    for tensor in tensors:
        path, _, leaf = tensor.name.rpartition(".")
        modules.setdefault(path, []).append((leaf, tensor))
        count += 1
    check_count(count)
    top = "(top)"
    while top in modules:
        top = f"({top})"
    alike: dict[tuple[Any, ...], Inventory] = {}
    nodes = tuple(
        [
            Node(path or top, _inventory(members, alike), scope=path)
            for path, members in modules.items()
        ]
    )
    title = f"{about}; {NO_GRAPH}" if about else NO_GRAPH
    ties = _ties(modules, top)
    return Graph(name, {}, nodes, (), ties, title=title, source=source, reader=reader)


def _inventory(members: list[Listed], alike: dict[tuple[Any, ...], Inventory]) -> Inventory:
    """What one module stores; modules that store the same share it."""
    key = tuple(
        [(leaf, t.shape, t.dtype, t.nbytes, t.role, t.kind, t.unknown) for leaf, t in members]
    )
    known = alike.get(key)
    if known is None:
        known = alike[key] = _made_of(members)
    return known


def _made_of(members: list[Listed]) -> Inventory:
    rows = tuple(
        [
            (leaf, t.role or role(leaf, t.shape, t.dtype, t.kind), t.shape, t.dtype, t.nbytes)
            for leaf, t in members
        ]
    )
    if any([row[0] == "zero_point" for row in rows]):  # quantised: its scale is a setting
        rows = tuple([(row[0], BUFFER, *row[2:]) if row[0] == "scale" else row for row in rows])
    reasons = dict.fromkeys([t.unknown for _, t in members if t.unknown])
    return Inventory.of(rows, "; ".join(reasons))


def _ties(modules: dict[str, list[Listed]], top: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    groups: dict[Hashable, list[tuple[str, str]]] = {}
    for path, members in modules.items():
        for leaf, tensor in members:
            if tensor.storage is not None:
                groups.setdefault(tensor.storage, []).append((path or top, leaf))
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


_BUFFERS = frozenset(
    (
        *("running_mean", "running_var", "moving_mean", "moving_variance", "num_batches_tracked"),
        *("inv_freq", "original_inv_freq", "rotary_emb", "cos_cached", "sin_cached", "freqs_cis"),
        *("position_ids", "token_type_ids", "masked_bias", "causal_mask", "attn_mask", "mask"),
        *("relative_position_index", "relative_coords_table", "e_score_correction_bias"),
        *("rope_freqs", "freqs", "scales", "absmax", "zero_point", "g_idx", "total_ops"),
    )
)
_BUFFER_ENDS = re.compile(r"_buffer$|_(scale|scale_inv|scales|zero_point|absmax|g_idx)$")
_BIASES = re.compile(r"(^|_)(bias|beta)$|^bias_|^b$|^b_[a-z]+$")
_WHOLE = ("int", "uint", "bool")


def role(leaf: str, shape: tuple[int, ...], dtype: str, kind: str = "") -> str:
    """What a tensor is, by its name within its module, its rank and how it is packed.

    >>> role("running_var", (64,), "float32"), role("bias_hh_l0", (64,), "float32")
    ('buffer', 'bias')
    >>> role("bias", (1, 1, 1024, 1024), "float32")
    'buffer'
    """
    found = _role(leaf, dtype, bool(kind))
    if found == BIAS and len(shape) == 4 and shape[:2] == (1, 1) and shape[2] == shape[3] > 1:
        return BUFFER  # a mask
    return found


@lru_cache(maxsize=1024)
def _role(leaf: str, dtype: str, packed: bool) -> str:
    whole = dtype.startswith(_WHOLE)
    if leaf in _BUFFERS or _BUFFER_ENDS.search(leaf):
        return BUFFER
    if _BIASES.search(leaf):
        return BUFFER if whole else BIAS
    if whole and not packed and leaf != "weight":
        return BUFFER  # whole numbers are not learned, unless something is packed in them
    return WEIGHT
