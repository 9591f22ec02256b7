"""The source code of a PyTorch model: classes, initialisation, a summary when it is run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netledger.build.source.classes import Style, write_class
from netledger.build.source.expression import INDENT, Items, Raw, lines
from netledger.build.source.header import Header, docstring, members
from netledger.build.source.initialisation import Published, published
from netledger.build.source.kinds import Kinds, Written
from netledger.build.source.natural import Natural
from netledger.build.source.tree import Block, Leaf, tree
from netledger.build.torch.extras import EXTRAS
from netledger.build.torch.table import TABLE
from netledger.graph import Graph

STYLE = Style(
    "nn.Module",
    "nn.Sequential",
    "Tensor",
    "forward",
    start="super().__init__()",
    reserved=("torch", "nn"),
)

RESERVED = (
    *("add_module", "append", "apply", "bfloat16", "buffers", "call_super_init", "children"),
    *("compile", "cpu", "cuda", "double", "dump_patches", "eval", "extend", "extra_repr", "float"),
    *("forward", "get_buffer", "get_extra_state", "get_parameter", "get_submodule", "half"),
    *("insert", "ipu", "load_state_dict", "modules", "mtia", "named_buffers", "named_children"),
    *("named_modules", "named_parameters", "parameters", "pop", "register_buffer"),
    *("register_forward_hook", "register_module", "register_parameter", "requires_grad_"),
    *("set_extra_state", "set_submodule", "share_memory", "state_dict", "to", "to_empty"),
    *("train", "training", "type", "xpu", "zero_grad", "self"),
)
"""What a module has already."""


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
            BuildError: If PyTorch cannot express a layer, or something is not known.
        """
        net = TABLE.natural(graph)
        written = TABLE.write(net)

        def modular(child: Leaf | Block) -> bool:
            return isinstance(child, Block) or written[child.node.name].chains

        root = tree(net.graph, net.ledger, modular, RESERVED)
        root.name = graph.name
        kinds = Kinds(root, written, "nn.Sequential", last=False, taken=("Tensor", "F", *EXTRAS))
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
            about = docstring(Header(self.net, "(N, C, H, W)")) if last else members(kind)
            body += [
                "",
                "",
                *write_class(kind, self.kinds, STYLE, about, self._rest() if last else []),
            ]
        code = "\n".join([*body, "", "", *self._main()])
        for name, extra in EXTRAS.items():
            if re.search(rf"(?<![.\w]){name}\(", code):
                code = f"\n\n{extra}{code}"
        head = [f'"""{Header(self.net, "").title}, in PyTorch."""', "", "import torch"]
        if "F." in code:
            head.append("import torch.nn.functional as F")
        head.append(
            "from torch import Tensor, nn" if ": Tensor" in code else "from torch import nn"
        )
        return "\n".join(head) + "\n" + code + "\n"

    def _rest(self) -> list[str]:
        """What the constructor of the whole does besides: initial values, ties, frozen layers."""
        found: list[str] = []
        init = published(self.net.origin)
        if init is not None:
            found += self._initialised(init)
        for group in self.net.graph.ties:
            first = self._place(group[0])
            for member in group[1:]:
                found += lines(Raw(first), 2, f"{self._place(member)} = ", note="one storage")
        for node in self.net.graph.nodes:
            if not node.trainable:
                found += [f"{INDENT * 2}{self._path(node.name)}.requires_grad_(False)"]
        return found

    def _place(self, member: tuple[str, str]) -> str:
        return f"{self._path(member[0])}.{member[1]}"

    def _path(self, node: str) -> str:
        parts = self.paths[node].split(".")
        return "self" + "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in parts)

    def _initialised(self, init: Published) -> list[str]:
        ones = [self._path(name) for name in init.ones]
        found = [
            f"{INDENT * 2}# As published: weights from N(0, {init.std}²), biases 1 or 0.",
            f"{INDENT * 2}for layer in self.modules():",
            f"{INDENT * 3}if isinstance(layer, (nn.Conv2d, nn.Linear)):",
            f"{INDENT * 4}nn.init.normal_(layer.weight, std={init.std})",
            f"{INDENT * 4}nn.init.zeros_(layer.bias)",
        ]
        found += lines(Items(tuple(map(Raw, ones)), "()"), 2, "for layer in ", ":")
        return [*found, f"{INDENT * 3}nn.init.ones_(layer.bias)"]

    def _main(self) -> list[str]:
        """What `python net.py` does."""
        graph = self.net.graph
        found = [
            "def main() -> None:",
            '    """Prints the parameters of each layer, and runs one forward pass."""',
            f"    model = {self.name}().eval()",
            "    for name, layer in model.named_modules():",
            "        count = sum(p.numel() for p in layer.parameters(recurse=False))",
            "        if count:",
            '            print(f"{name:40} {count:>13,}")',
            "    total = sum(p.numel() for p in model.parameters())",
            "    print(f\"{'total':40} {total:>13,}\")",
        ]
        names = []
        for i, t in enumerate(graph.inputs.values()):
            names.append("x" if len(graph.inputs) == 1 else f"x{i + 1}")
            sizes = tuple(d if isinstance(d, int) else 1 for d in t.shape)
            kind = "randn" if "float" in t.dtype else "zeros"
            dtype = "" if "float" in t.dtype else f", dtype=torch.{t.dtype}"
            found.append(
                f"    {names[-1]} = torch.randn({', '.join(map(str, sizes))})"
                if kind == "randn"
                else f"    {names[-1]} = torch.zeros({sizes}{dtype})"
            )
        found += ["    with torch.no_grad():", f"        y = model({', '.join(names)})"]
        if len(graph.outputs) == 1:
            found.append('    print(f"output: {tuple(y.shape)}")')
        else:
            found.append('    print("outputs:", [tuple(part.shape) for part in y])')
        return [*found, "", "", 'if __name__ == "__main__":', "    main()"]
