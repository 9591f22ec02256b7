"""Canonical weights: what each must be like, and the order of columns behind a flattened map."""

from __future__ import annotations

from typing import Any

from netledger.build.source.natural import Natural, columns_to_natural, columns_to_origin
from netledger.errors import BuildError
from netledger.infer import infer

Key = tuple[str, str]


class Carrier:
    """Carries weights between the canonical layout and a framework's axis order.

    Canonical are the shapes of the ledger: a convolution's weight is (out, in/groups, *kernel), a
    fully connected layer's (out, in), its columns in the order in which the graph flattens.

    Attributes:
        shapes: The shape of each parameter, by node and name; shared ones under every name.
    """

    def __init__(self, net: Natural) -> None:
        self.net = net
        self.shapes: dict[Key, tuple[int, ...]] = {
            (row.name, p.name): tuple(p.shape)  # type: ignore[arg-type]
            for row in infer(net.origin).ops
            for p in row.parameters
        }

    def into(self, key: Key, weights: dict[Key, Any]) -> Any:
        """A canonical array, its columns as the framework flattens.

        Raises:
            BuildError: If it is missing or has another shape.
        """
        if key not in weights:
            raise BuildError(f"no {key[1]} is given", where=key[0], hint="every weight is needed")
        array, shape = weights[key], self.shapes[key]
        if tuple(array.shape) != shape:
            raise BuildError(
                f"{key[1]} must have the shape {list(shape)}; got {list(array.shape)}",
                where=key[0],
                hint="weights are in canonical layout: (out, in/groups, *kernel), (out, in)",
            )
        return (
            columns_to_natural(array, body, self.net.last) if (body := self._body(key)) else array
        )

    def out(self, key: Key, array: Any) -> Any:
        """The framework's array in canonical layout."""
        return columns_to_origin(array, body, self.net.last) if (body := self._body(key)) else array

    def _body(self, key: Key) -> tuple[int, ...] | None:
        return self.net.columns.get(key[0]) if key[1] == "weight" else None
