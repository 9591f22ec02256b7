"""The source code of a Keras model: a function that returns it, functions for repeated blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from netledger.build.keras.extras import EXTRAS, NORMAL
from netledger.build.keras.table import TABLE
from netledger.build.source.classes import annotation, signature
from netledger.build.source.expression import INDENT, Arg, Call, Items, Lined, Raw, flat, lines
from netledger.build.source.forward import Step, forward
from netledger.build.source.header import Header, docstring, members
from netledger.build.source.initialisation import published
from netledger.build.source.kinds import Kind, Kinds, Written
from netledger.build.source.names import Taken, identifier
from netledger.build.source.natural import Natural
from netledger.build.source.notes import note
from netledger.build.source.tree import Block, Leaf, tree
from netledger.errors import BuildError
from netledger.graph import Graph
from netledger.ops import Linear
from netledger.ops.conv import Convolution


@dataclass(frozen=True)
class Plan:
    """A graph, ready to be written.

    Attributes:
        net: The network, channels last.
        written: How each node is written.
        root: Its module tree; modules that occur once are part of the module around them.
        kinds: The repeated ones are functions.
        name: What the function of the whole is called.
        layers: For each node the name of its layer.
        blocks: For each repeated module its name, by identity.
    """

    net: Natural
    written: dict[str, Written]
    root: Block
    kinds: Kinds
    name: str
    layers: dict[str, str]
    blocks: dict[int, str]

    @classmethod
    def of(cls, graph: Graph) -> Plan:
        """Checks the graph and plans its functions.

        Raises:
            BuildError: If Keras cannot express a layer, or something is not known.
        """
        net = TABLE.natural(graph)
        if graph.ties:
            places = " and ".join(".".join(member) for member in graph.ties[0])
            raise BuildError(
                f"Keras cannot store {places} once: its layers do not share single tensors",
                hint="build it for torch, or share whole layers",
            )
        written = _completed(net, TABLE.write(net))
        root = tree(net.graph, net.ledger, lambda child: False)
        root.name = graph.name
        taken = Taken(("layers", "ops", "keras", "main", "normal", "inputs", "name", "x", "i"))
        name = taken.make(identifier(graph.name, "network"))
        kinds = Kinds(root, written, "", last=True, spread=True)
        for kind in kinds.found[:-1]:
            if not kind.single:
                kind.name = taken.make(identifier(kind.name))
        namer = _Namer(kinds)
        namer.enter(root)
        return cls(net, written, root, kinds, name, namer.layers, namer.blocks)

    def source(self) -> str:
        """The source code."""
        functions: list[str] = []
        for kind in self.kinds.found[:-1]:
            if not kind.single:
                functions += ["", "", *self._function(kind)]
        functions += ["", "", *self._whole(), "", "", *self._main()]
        code = "\n".join(functions)
        init = published(self.net.origin)
        extras = [NORMAL.format(std=init.std)] if init is not None else []
        extras += [t for n, t in EXTRAS.items() if re.search(rf"(?<![.\w]){n}\(", code)]
        code = "".join(f"\n\n{extra.rstrip()}\n" for extra in extras) + code
        words = ", ".join(w for w in ("layers", "ops") if re.search(rf"(?<![.\w]){w}\.", code))
        title = Header(self.net, "").title
        head = f'"""{title}, in Keras."""\n\nimport keras\n'
        head += f"from keras import {words}\n" if words else ""
        return head + code + "\n"

    def _function(self, kind: Kind) -> list[str]:
        """The function of a repeated module."""
        passed = forward(kind.block, self._reserved(kind))
        arguments = [f"{name}: keras.KerasTensor" for name in passed.arguments]
        for i, p in enumerate(kind.parameters):
            usual = "" if p.default is ... else f" = {flat(p.default)}"
            arguments.append(f"{p.name}: {annotation(kind, self.kinds, i)}{usual}")
        arguments += ["*", "name: str"] if kind.parameters else ["name: str"]
        many = len(passed.returned) > 1
        returns = "tuple[keras.KerasTensor, ...]" if many else "keras.KerasTensor"
        found = signature(identifier(kind.name), arguments, returns, 0)
        found += members(kind)
        *steps, last = passed.steps
        found += self._statements(steps, kind)
        if last.outputs == passed.returned:
            return [*found, *self._statement(last, kind, "return ")]
        found += self._statements([last], kind)
        return [*found, f"{INDENT}return {', '.join(passed.returned)}"]

    def _reserved(self, kind: Kind | None = None) -> tuple[str, ...]:
        """Names that no local variable may have: modules, functions, parameters."""
        functions = [k.name for k in self.kinds.found if not k.single]
        own = [p.name for p in kind.parameters] if kind else []
        return (*("keras", "layers", "ops", "name", "i", "inputs", self.name), *functions, *own)

    def _whole(self) -> list[str]:
        """The function of the whole network."""
        graph = self.net.graph
        found = [f"def {self.name}() -> keras.Model:"]
        found += docstring(Header(self.net, "(N, H, W, C)"))
        block = _spread(self.root, self.kinds)
        title = Raw(f'"{_clean(graph.name) or "network"}"')
        inputs = [self._input(name) for name in graph.inputs]
        leaves = [child for child in block.children if isinstance(child, Leaf)]
        plain = len(leaves) == len(block.children)
        if block.chain and plain and all(self.written[c.node.name].chains for c in leaves):
            layers: list[tuple[Any, str]] = [(inputs[0], "")]
            layers += [(self._made(c, None), note(c)) for c in leaves]
            listed = Lined("", tuple(layers), brackets="[]")
            end = (Arg("name", title, True),)
            return [*found, *_sequential(listed, end)]
        passed = forward(block, self._reserved())
        if len(inputs) == 1:
            found += lines(inputs[0], 1, f"{passed.arguments[0]} = inputs = ")
        else:
            found += lines(Lined("", tuple((i, "") for i in inputs), brackets="[]"), 1, "inputs = ")
            found.append(f"{INDENT}{', '.join(passed.arguments)} = inputs")
        found += self._statements(list(passed.steps), None)
        outputs = tuple(map(Raw, passed.returned))
        result = outputs[0] if len(outputs) == 1 else Items(outputs)
        model = Call(
            "keras.Model", (Arg("", Raw("inputs")), Arg("", result), Arg("name", title, True))
        )
        return [*found, *lines(model, 1, "return ")]

    def _input(self, name: str) -> Call:
        t = self.net.graph.inputs[name]
        shape = Arg("shape", tuple(t.shape[1:]))
        dtype = Arg("dtype", _clean(t.dtype), True, "float32")
        return Call("keras.Input", (shape, Arg("name", _clean(name) or "input", True), dtype))

    def _statements(self, steps: list[Step], kind: Kind | None) -> list[str]:
        found: list[str] = []
        while steps:
            step, run = steps[0], self._run(steps) if kind is None else 1
            if run > 1:
                found += self._loop(step, run)
            else:
                found += self._statement(step, kind, f"{', '.join(step.outputs)} = ")
            steps = steps[run:]
        return found

    def _statement(self, step: Step, kind: Kind | None, before: str) -> list[str]:
        value = self._made(step.child, kind)
        about = "" if kind else note(step.child)
        if isinstance(step.child, Block):
            assert value is not None
            return lines(_with_inputs(value, step.inputs), 1, before, note=about)
        if value is None:
            inline = self.written[step.child.node.name].inline
            assert inline is not None
            return lines(inline(step.inputs), 1, before)
        written = self.written[step.child.node.name]
        given = written.arguments(step.inputs or (self._anything(kind),))
        joined = ", ".join(flat(arg.value) for arg in given)
        after = f"([{joined}])" if _takes_a_list(step.child) else f"({joined})"
        return lines(value, 1, before, after, about)

    def _anything(self, kind: Kind | None) -> str:
        """A variable that is always there, for a layer that needs no input of its own."""
        block = kind.block if kind else _spread(self.root, self.kinds)
        return forward(block, self._reserved(kind)).arguments[0]

    def _made(self, child: Leaf | Block, kind: Kind | None) -> Call | None:
        """The call that makes a layer, or a module, with its name."""
        if kind is not None:
            made = kind.calls.get(child.name)
            title: Any = Raw(f'f"{{name}}_{_clean(child.key)}"')
        elif isinstance(child, Block):
            made, title = self.kinds.calls[id(child)], self.blocks[id(child)]
        else:
            made, title = self.written[child.node.name].module, self.layers[child.node.name]
        if made is None:
            return None
        function = made.function
        if isinstance(child, Block):
            function = identifier(self.kinds.kind_of[id(child)].name)
        return Call(function, (*made.args, Arg("name", title, True)))

    def _run(self, steps: list[Step]) -> int:
        """How many steps are the same repeated module, numbered, each feeding the next."""
        first, count = steps[0], 0
        if not isinstance(first.child, Block) or first.inputs != first.outputs:
            return 1
        stem, number = _numbered(self.blocks[id(first.child)])
        for step in steps:
            alike = isinstance(step.child, Block) and step.inputs == step.outputs == first.inputs
            if not alike or number is None:
                break
            same = self.kinds.calls[id(step.child)] == self.kinds.calls[id(first.child)]
            if not same or _numbered(self.blocks[id(step.child)]) != (stem, number + count):
                break
            count += 1
        return max(count, 1)

    def _loop(self, step: Step, run: int) -> list[str]:
        assert isinstance(step.child, Block)
        stem, number = _numbered(self.blocks[id(step.child)])
        assert number is not None
        made = self._made(step.child, None)
        assert made is not None
        title = Arg("name", Raw(f'f"{stem}{{i}}"'), True)
        value = _with_inputs(replace(made, args=(*made.args[:-1], title)), step.inputs)
        each = f"each {note(step.child)}"
        limits = f"{number}, {number + run}" if number else str(run)
        head = f"{INDENT}for i in range({limits}):"
        return [f"{head}  # {each}", *lines(value, 2, f"{step.outputs[0]} = ")]

    def _main(self) -> list[str]:
        """What `python net.py` does."""
        found = [
            "def main() -> None:",
            '    """Prints a summary, and runs one forward pass."""',
            f"    model = {self.name}()",
            "    model.summary()",
        ]
        inputs = self.net.graph.inputs
        for i, t in enumerate(inputs.values()):
            name = "x" if len(inputs) == 1 else f"x{i + 1}"
            sizes = tuple(d if isinstance(d, int) else 1 for d in t.shape)
            float_ = "float" in t.dtype
            made = "keras.random.normal" if float_ else "keras.ops.zeros"
            dtype = "" if t.dtype == "float32" else f', dtype="{_clean(t.dtype)}"'
            found.append(f"    {name} = {made}({sizes}{dtype})")
        names = ["x"] if len(inputs) == 1 else [f"x{i + 1}" for i in range(len(inputs))]
        given = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
        found.append(f"    y = model({given}, training=False)")
        if len(self.net.graph.outputs) == 1:
            found.append('    print(f"output: {tuple(y.shape)}")')
        else:
            found.append('    print("outputs:", [tuple(part.shape) for part in y])')
        return [*found, "", "", 'if __name__ == "__main__":', "    main()"]


class _Namer:
    """Names every layer: its path in the graph, in characters that Keras takes."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds, self.taken = kinds, Taken()
        self.automatic = _automatic(kinds)
        self.layers: dict[str, str] = {}
        self.blocks: dict[int, str] = {}

    def enter(self, block: Block) -> None:
        """Names what is in a module that occurs once."""
        for child in _spread(block, self.kinds).children:
            if isinstance(child, Leaf):
                name = _clean(child.node.name) or "layer"
                if re.sub(r"_\d+$", "", name) in self.automatic:
                    name += "_layer"  # Keras itself uses the plain word
                self.layers[child.node.name] = self.taken.make(name)
            else:
                self.repeated(child, self.taken.make(_clean(child.scope) or "module"))

    def repeated(self, block: Block, name: str) -> None:
        """Names what is in one of several like modules."""
        self.blocks[id(block)] = name
        model = self.kinds.kind_of[id(block)].block
        for child, like in zip(block.children, model.children, strict=True):
            full = f"{name}_{_clean(like.key)}"
            if isinstance(child, Block):
                self.repeated(child, full)
            else:
                self.layers[child.node.name] = full


SIGNS = {
    " + ": "add",
    " - ": "subtract",
    " * ": "multiply",
    " / ": "true_divide",
    "**": "power",
    " @ ": "matmul",
    "[": "get_item",
}
"""What Keras calls the operations behind signs."""


def _automatic(kinds: Kinds) -> set[str]:
    """What Keras will call the functions that are no layers, but for a number behind it."""
    lines = []
    for leaf in kinds.found[-1].block.leaves():
        inline = kinds.written[leaf.node.name].inline
        lines += [flat(inline(("x",) * len(leaf.inputs)))] if inline else []
    code = " ".join(lines)
    signs = {word for sign, word in SIGNS.items() if sign in code}
    return {*re.findall(r"\bops\.(\w+)\(", code), *signs}


def _completed(net: Natural, written: dict[str, Written]) -> dict[str, Written]:
    """Initial values as published, and what is frozen."""
    init = published(net.origin)
    found = dict(written)
    for node in net.graph.nodes:
        made, extra = written[node.name].module, []
        if made is None:
            continue
        if init is not None and isinstance(node.op, Convolution | Linear):
            extra.append(Arg("kernel_initializer", Raw("normal()"), True))
            bias = "ones" if node.name in init.ones else "zeros"
            extra.append(Arg("bias_initializer", bias, True, "zeros"))
        if not node.trainable:
            extra.append(Arg("trainable", False, True))
        if extra:
            made = Call(made.function, (*made.args, *extra))
            found[node.name] = replace(written[node.name], module=made)
    return found


def _spread(block: Block, kinds: Kinds) -> Block:
    """A module with the children of those of its modules that occur once."""
    return replace(block, children=list(_spread_children(block, kinds)))


def _spread_children(block: Block, kinds: Kinds) -> Iterator[Leaf | Block]:
    for child in block.children:
        if isinstance(child, Block) and kinds.kind_of[id(child)].single:
            yield from _spread_children(child, kinds)
        else:
            yield child


def _clean(name: str) -> str:
    """A name in letters, digits, ``_`` and ``-``: Keras with PyTorch takes no dots."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", name[:120]).strip("_-")


def _numbered(name: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(.*?)(0|[1-9][0-9]{0,6})", name)
    return (found[1], int(found[2])) if found else (name, None)


def _takes_a_list(child: Leaf) -> bool:
    """True for layers that merge several tensors."""
    return child.row.op is not None and child.row.op.arity[1] is None


def _with_inputs(made: Call, inputs: tuple[str, ...]) -> Call:
    return Call(made.function, (*(Arg("", Raw(name)) for name in inputs), *made.args))


def _sequential(listed: Lined, end: tuple[Arg, ...]) -> list[str]:
    """``keras.Sequential`` with a list of layers."""
    made = lines(listed, 2, after=",")
    named = [f"{INDENT * 2}{arg.name}={arg.value.text}," for arg in end]
    return [f"{INDENT}return keras.Sequential(", *made, *named, f"{INDENT})"]
