"""The source code of a flax nnx model: classes, and a summary when it is run."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from netledger.build.jax.extras import ADAPTIVE, EXTRAS
from netledger.build.jax.layers import RNGS
from netledger.build.jax.table import TABLE
from netledger.build.jax.weights import storage
from netledger.build.source.classes import Style, write_class
from netledger.build.source.expression import Raw, lines
from netledger.build.source.header import Header, docstring, members
from netledger.build.source.kinds import Kinds, Written
from netledger.build.source.natural import Natural
from netledger.build.source.tree import Block, Leaf, tree
from netledger.graph import BUFFER, Graph

STYLE = Style(
    "nnx.Module",
    "",
    "jax.Array",
    "__call__",
    extra="rngs: nnx.Rngs",
    reserved=("jax", "jnp", "nnx", "rngs", *EXTRAS),
)
RESERVED = ("eval", "iter_children", "iter_modules", "perturb", "set_attributes", "sow", "train")
"""What a module has already."""

FROZEN = '''

class Frozen(nnx.Variable):
    """Numbers that are not trained."""
'''


@dataclass(frozen=True)
class Plan:
    """A graph, ready to be written."""

    net: Natural
    written: dict[str, Written]
    root: Block
    kinds: Kinds
    paths: dict[str, str]

    @classmethod
    def of(cls, graph: Graph) -> Plan:
        """Checks the graph and plans its modules.

        Raises:
            BuildError: If flax cannot express a layer, or something is not known.
        """
        net = TABLE.natural(graph)
        written = TABLE.write(net)
        _check(net)

        def modular(child: Leaf | Block) -> bool:
            return isinstance(child, Block) or written[child.node.name].chains

        root = tree(net.graph, net.ledger, modular, RESERVED)
        root.name = graph.name
        taken = ("Callable", "Frozen", "jax", "jnp", "nnx", *EXTRAS)
        kinds = Kinds(root, written, "nnx.Sequential", True, taken, (RNGS,))
        return cls(net, written, root, kinds, dict(root.paths()))

    @property
    def name(self) -> str:
        """The class of the whole model."""
        return self.kinds.found[-1].name

    def source(self) -> str:
        """The source code."""
        body: list[str] = []
        for kind in self.kinds.found:
            last = kind is self.kinds.found[-1]
            about = docstring(Header(self.net, "(N, H, W, C)")) if last else members(kind)
            rest = self._rest() if last else []
            body += ["", "", *write_class(kind, self.kinds, STYLE, about, rest)]
        main = self._main()
        code = "\n".join([*body, "", "", *main])
        said = _names(code)
        frozen = FROZEN if "Frozen" in said else ""
        extras = [extra for name, extra in EXTRAS.items() if name in said]
        head = [f'"""{Header(self.net, "").title}, in JAX with flax nnx."""', ""]
        if ADAPTIVE in extras:
            head += ["from collections.abc import Callable", ""]
        code = "".join(f"\n{extra}" for extra in extras) + frozen + code
        jnp = ["import jax.numpy as jnp"] if "jnp" in _names(code) else []
        head += ["import jax", *jnp, "from flax import nnx"]
        return "\n".join(head) + "\n" + code + "\n"

    def _rest(self) -> list[str]:
        """What the constructor of the whole does besides: frozen and shared numbers."""
        found: list[str] = []
        shared = {member for group in self.net.graph.ties for member in group[1:]}
        for row in self.net.ledger.ops:
            for p in row.parameters:
                if (
                    row.op is None
                    or p.trainable
                    or p.role == BUFFER
                    or (row.name, p.name) in shared
                ):
                    continue
                own = f"self.{self._path(row.name, p.name)}"
                found += lines(Raw(f"Frozen({own}[...])"), 2, f"{own} = ")
        for group in self.net.graph.ties:
            first, *others = [self._path(*member) for member in group]
            for other in others:
                found += lines(Raw(f"self.{first}"), 2, f"self.{other} = ", note="one storage")
        return found

    def place(self, node: str, parameter: str) -> list[str | int]:
        """Where a parameter is in the model: attributes and places in a sequence."""
        found: list[str | int] = []
        for part in self.paths[node].split("."):
            found += ["layers", int(part)] if part.isdigit() else [part]
        return [*found, *storage(self.net.graph.node(node), parameter).path.split(".")]

    def _path(self, node: str, parameter: str) -> str:
        parts = self.place(node, parameter)
        return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts)[1:]

    def _main(self) -> list[str]:
        """What `python net.py` does."""
        graph = self.net.graph
        found = [
            "def main() -> None:",
            '    """Prints the parameters of each layer, and runs one forward pass."""',
            f"    model = {self.name}(rngs=nnx.Rngs(0))",
            "    model.eval()",
            "    total = 0",
            "    for path, param in nnx.to_flat_state(nnx.state(model, nnx.Param)):",
            "        total += param.size",
            "        print(f\"{'.'.join(map(str, path)):40} {param.size:>13,}\")",
            "    print(f\"{'total':40} {total:>13,}\")",
        ]
        names = []
        for i, t in enumerate(graph.inputs.values()):
            names.append("x" if len(graph.inputs) == 1 else f"x{i + 1}")
            sizes = tuple(d if isinstance(d, int) else 1 for d in t.shape)
            made = f"jax.random.normal(jax.random.key({i}), {sizes})"
            if "float" not in t.dtype:
                made = f'jnp.zeros({sizes}, dtype="{_dtype(t.dtype)}")'
            found.append(f"    {names[-1]} = {made}")
        found.append(f"    y = model({', '.join(names)})")
        if len(graph.outputs) == 1:
            found.append('    print(f"output: {y.shape}")')
        else:
            found.append('    print("outputs:", [part.shape for part in y])')
        return [*found, "", "", 'if __name__ == "__main__":', "    main()"]


def _names(code: str) -> set[str]:
    """The names that code says; what a text in it says is none."""
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def _dtype(dtype: str) -> str:
    """JAX counts in 32 bits unless it is told otherwise."""
    return dtype.replace("64", "32")


def _check(net: Natural) -> None:
    """Refuses numbers that are shared by layers that keep them in different orders."""
    for group in net.graph.ties:
        nodes = [net.graph.node(name) for name, _ in group]
        if len({type(node.op) for node in nodes}) > 1:
            row = next(row for row in net.ledger.ops if row.name == nodes[1].name)
            raise TABLE.refuse(nodes[1], row)
