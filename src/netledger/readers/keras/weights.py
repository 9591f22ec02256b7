"""The stored tensors of each layer, from the two ways in which Keras lays them out in HDF5.

Keras 3 (``model.weights.h5``, alone or in a ``.keras``) has a group for each layer, named after
its class and a counter, with ``vars/0``, ``vars/1`` … in it; ``vars`` says the layer's real name
(in files since 2024-09). The older ``.h5`` has a group for each layer of the outermost model, by
its name, and a list of the tensors in it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from netledger.errors import SpecError
from netledger.graph import BIAS, BUFFER, WEIGHT
from netledger.readers.keras.config import MODELS
from netledger.readers.keras.hdf5 import Dataset, Group


class Stored(NamedTuple):
    """A tensor in a file: its path below the layer, and what it is."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool = True


class Weights(Protocol):
    """What is stored of a model or a layer."""

    def layers(self, named: Sequence[tuple[str, str]]) -> Mapping[str, Weights]:
        """What is stored of each of a model's layers, given as name and class, in order."""

    def tensors(self) -> tuple[Stored, ...]:
        """Every tensor, in the order in which Keras made them."""


class Modern:
    """A group of Keras 3."""

    def __init__(self, group: Group) -> None:
        self.group = group

    def layers(self, named: Sequence[tuple[str, str]]) -> Mapping[str, Weights]:
        """See `Weights`."""
        stored = self.group.group("layers").members
        if not stored:  # files of the first Keras 3 and of tf-keras
            stored = self.group.group("_layer_checkpoint_dependencies").members
        own = {key: g for key, g in stored.items() if isinstance(g, Group)}
        by_name = {str(g.group("vars").attributes.get("name")): key for key, g in own.items()}
        found: dict[str, Weights] = {}
        counts: dict[str, int] = {}
        for name, kind in named:
            base = snake_case(kind)
            count = counts[base] = counts.get(base, -1) + 1
            key = by_name.get(name, f"{base}_{count}" if count else base)
            if key in own:
                found[name] = Modern(own[key])
        return found

    def tensors(self) -> tuple[Stored, ...]:
        """See `Weights`."""
        return tuple(_below(self.group, ""))


class Legacy:
    """Tensors of the older layout, with paths such as ``inner/conv2d/kernel:0``."""

    def __init__(self, found: tuple[Stored, ...]) -> None:
        self.found = found

    def layers(self, named: Sequence[tuple[str, str]]) -> Mapping[str, Weights]:
        """See `Weights`.

        Keras 3 leaves the names of nested models out of the paths: what is of no layer here is of
        a layer in one of the models here.
        """
        of: dict[str, list[Stored]] = {name: [] for name, _ in named}
        deeper: list[Stored] = []
        for one in self.found:
            steps = one.path.split("/")
            parents = {
                "/".join(steps[i:j]) for i in range(len(steps)) for j in range(i + 1, len(steps))
            }
            owners = [name for name in parents if name in of]
            if len(owners) == 1:
                of[owners[0]].append(one)
            elif not owners:
                deeper.append(one)
        for name, kind in named:
            of[name] = of[name] or (deeper if kind in MODELS else [])
        return {name: Legacy(tuple(some)) for name, some in of.items()}

    def tensors(self) -> tuple[Stored, ...]:
        """See `Weights`."""
        return self.found


class LegacyFile:
    """The ``model_weights`` of an older file."""

    def __init__(self, group: Group) -> None:
        self.group = group

    def layers(self, named: Sequence[tuple[str, str]]) -> Mapping[str, Weights]:
        """See `Weights`."""
        groups = {name: _find(self.group, name) for name, _ in named}
        return {
            name: Legacy(tuple(_listed(group)))
            for name, group in groups.items()
            if isinstance(group, Group)
        }

    def tensors(self) -> tuple[Stored, ...]:
        """See `Weights`."""
        names = texts(self.group, "layer_names") or list(self.group.members)
        found = ((name, _find(self.group, name)) for name in names)
        return tuple(
            one._replace(path=one.path if one.path.startswith(name) else f"{name}/{one.path}")
            for name, group in found
            if isinstance(group, Group)
            for one in _listed(group)
        )


def texts(group: Group, key: str) -> list[str]:
    """An attribute that lists texts; Keras cuts long lists up: ``key0``, ``key1`` and so on."""
    whole = group.attributes.get(key)
    if isinstance(whole, list):
        return whole
    found: list[str] = []
    parts = (group.attributes.get(f"{key}{i}") for i in itertools.count())
    for part in itertools.takewhile(lambda p: isinstance(p, list), parts):
        found += part or []
    return found


def _listed(group: Group) -> Iterator[Stored]:
    for name in texts(group, "weight_names"):
        found = _find(group, name)
        if not isinstance(found, Dataset):
            raise SpecError(f"the weights {name[:200]!r} are listed in the file but are not in it")
        yield Stored(name.removesuffix(":0"), found.shape, found.dtype)


def _find(group: Group, path: str) -> Group | Dataset | None:
    found: Group | Dataset | None = group
    for step in path.split("/"):
        if not isinstance(found, Group):
            return None
        found = found.members.get(step)
    return found


def _below(group: Group, path: str) -> Iterator[Stored]:
    own = group.group("vars").members
    for name in sorted(own, key=lambda n: (len(n), n)):
        found = own[name]
        if isinstance(found, Dataset):
            dtype = found.attributes.get("dtype")
            yield Stored(
                f"{path}{name}", found.shape, dtype if isinstance(dtype, str) else found.dtype
            )
    for name, member in group.members.items():
        if name not in ("vars", "seed_generator") and isinstance(member, Group):
            yield from _below(member, f"{path}{name}/")


def snake_case(name: str) -> str:
    """A class name as Keras writes it in files: ``Conv2D`` → ``conv2d``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def role(path: str, shape: tuple[int, ...]) -> str:
    """What a tensor is, by its name and its number of axes."""
    name = path.rpartition("/")[2]
    if re.match(r"moving_|(running_)?(mean|variance|var|count)\b", name):
        return BUFFER
    if name in ("bias", "beta") or (name.isdigit() and len(shape) == 1):
        return BIAS
    return WEIGHT
