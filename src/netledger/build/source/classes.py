"""Source code of classes: a constructor that makes the children, a forward pass that calls them.

PyTorch and flax differ in a few words, which are a `Style`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netledger.build.source.expression import (
    INDENT,
    WIDTH,
    Arg,
    Call,
    Items,
    Lined,
    Raw,
    flat,
    lines,
)
from netledger.build.source.forward import Forward, Growing, forward
from netledger.build.source.functions import listed
from netledger.build.source.kinds import Kind, Kinds
from netledger.build.source.notes import note
from netledger.build.source.tree import Block, Leaf

ANNOTATIONS = {bool: "bool", int: "int", float: "float", str: "str"}


@dataclass(frozen=True)
class Style:
    """The words of a framework of classes.

    Attributes:
        module: The base class of modules.
        sequence: The base class of a module that is a chain, if that may be another.
        tensor: The type of tensors, in annotations.
        forward: What the forward pass is called.
        extra: What constructors get besides, ``rngs: nnx.Rngs``, or nothing.
        start: The first line of a constructor, or nothing.
        reserved: Names that local variables must not have.
    """

    module: str
    sequence: str
    tensor: str
    forward: str
    extra: str = ""
    start: str = ""
    reserved: tuple[str, ...] = ()


def write_class(
    kind: Kind, kinds: Kinds, style: Style, docstring: list[str], rest: list[str] | None = None
) -> list[str]:
    """A class; `rest` are more lines of its constructor."""
    chain = bool(style.sequence) and is_chain(kind.block, kinds)
    base = style.sequence if chain else style.module
    found = [f"class {kind.name}({base}):", *docstring, ""]
    found += _constructor(kind, kinds, style, rest or [])
    if not chain and kind.block.outputs:
        found += ["", *_forward(kind, kinds, style)]
    return found


def is_chain(block: Block, kinds: Kinds) -> bool:
    """True if the children can be called one after the other, as modules."""
    return block.chain and all(
        kinds.written[child.node.name].chains if isinstance(child, Leaf) else kinds.call(child)
        for child in block.children
    )


def _constructor(kind: Kind, kinds: Kinds, style: Style, rest: list[str]) -> list[str]:
    arguments = [f"{p.name}: {annotation(kind, kinds, i)}" for i, p in enumerate(kind.parameters)]
    for i, p in enumerate(kind.parameters):
        if p.default is not ...:
            arguments[i] += f" = {flat(p.default)}"
    if style.extra:
        arguments = [*arguments, "*", style.extra] if arguments else [style.extra]
    found = signature("__init__", ["self", *arguments], "None", 1)
    body = [f"{INDENT * 2}{style.start}"] if style.start else []
    chain = bool(style.sequence) and is_chain(kind.block, kinds)
    for child in kind.block.children:
        if not chain and isinstance(child, Leaf) and kinds.written[child.node.name].inline:
            continue
        if child.name in kind.calls:
            body += _made(kind, child, kind.calls[child.name])
    return [*found, *(body + rest or [f"{INDENT * 2}pass"])]


def annotation(kind: Kind, kinds: Kinds, place: int) -> str:
    values = [kinds.calls[id(member)].args[place].value for member in kind.members]
    types = {type(value) for value in values}
    if len(types) == 1:
        return ANNOTATIONS.get(types.pop(), "tuple[int, ...]")
    return "float" if types <= {int, float} else "int | tuple[int, ...]"


def _made(kind: Kind, child: Leaf | Block, call: Call) -> list[str]:
    before = f"self.{child.name} = "
    if isinstance(child, Block) and child.numbered:
        made = sequence(child, call, kind.single)
        if kind.single or any(isinstance(v, Raw) for v, _ in made.items) or len(made.items) > 2:
            return lines(made, 2, before)
    return lines(call, 2, before, note=note(child) if kind.single else "")


def sequence(block: Block, call: Call, noted: bool) -> Lined:
    """A chain, one child a line; what repeats itself is a loop."""
    items: list[tuple[Any, str]] = []
    parts = list(zip(block.children, call.args, strict=True))
    while parts:
        child, arg = parts[0]
        same = 1
        while same < len(parts) and parts[same][1].value == arg.value:
            same += 1
        loop = Raw(f"*({flat(arg.value)} for _ in range({same}))")
        if same > 1 and len(loop.text) < WIDTH - 13 and isinstance(child, Block):
            items.append((loop, f"each {note(child)}" if noted else ""))
            parts = parts[same:]
        else:
            value = arg.value
            if isinstance(child, Block) and child.numbered and noted:
                value = sequence(child, value, noted)
                items.append((value, ""))
            else:
                items.append((value, note(child) if noted else ""))
            parts = parts[1:]
    return Lined(call.function, tuple(items))


def signature(name: str, arguments: list[str], returns: str, indent: int) -> list[str]:
    """The head of a function, folded as the formatter would."""
    margin = INDENT * indent
    one = f"{margin}def {name}({', '.join(arguments)}) -> {returns}:"
    if len(one) <= WIDTH:
        return [one]
    joined = f"{margin}{INDENT}{', '.join(arguments)}"
    if len(joined) <= WIDTH:
        return [f"{margin}def {name}(", joined, f"{margin}) -> {returns}:"]
    each = [f"{margin}{INDENT}{argument}," for argument in arguments]
    return [f"{margin}def {name}(", *each, f"{margin}) -> {returns}:"]


def _forward(kind: Kind, kinds: Kinds, style: Style) -> list[str]:
    passed = forward(kind.block, style.reserved, kinds.gathers)
    arguments = ["self", *(_argument(name, style.tensor) for name in passed.arguments)]
    many = len(passed.returned) > 1
    returns = f"tuple[{style.tensor}, ...]" if many else style.tensor
    found = signature(style.forward, arguments, returns, 1)
    return [*found, *statements(passed, kinds)]


def _argument(name: str, tensor: str) -> str:
    return f"{name[1:]}: list[{tensor}]" if name.startswith("*") else f"{name}: {tensor}"


def _grown(row: Growing) -> list[str]:
    """A list that grows by what each module makes of it."""
    layers = Items(tuple(Raw(f"self.{child.name}") for child in row.children), "()")
    return [
        *lines(Items(tuple(map(Raw, row.inputs))), 2, f"{row.name} = "),
        *lines(layers, 2, "for layer in ", ":"),
        f"{INDENT * 3}{row.name}.append(layer({row.name}))",
    ]


def statements(passed: Forward, kinds: Kinds) -> list[str]:
    """The statements of a forward pass; a last one that only makes the result returns it."""
    found = _grown(passed.grown) if passed.grown else []
    for place, step in enumerate(passed.steps):
        value, targets = _called(step.child, step.inputs, step.outputs, kinds)
        if (
            place == len(passed.steps) - 1
            and step.outputs == passed.returned
            and targets == ", ".join(step.outputs)
        ):
            return [*found, *lines(value, 2, "return ")]
        if flat(value) != targets:
            found += lines(value, 2, f"{targets} = ")
    returned = tuple(map(Raw, passed.returned))
    result: Any = returned[0] if len(returned) == 1 else Raw(", ".join(passed.returned))
    return [*found, *lines(result, 2, "return ")]


def _called(
    child: Leaf | Block, inputs: tuple[str, ...], outputs: tuple[str, ...], kinds: Kinds
) -> tuple[Any, str]:
    targets = ", ".join(outputs)
    if isinstance(child, Leaf):
        written = kinds.written[child.node.name]
        targets = written.targets.format(*outputs) if written.targets else targets
        if written.inline is not None:
            return written.inline(inputs), targets
        return Call(f"self.{child.name}", written.arguments(inputs)), targets
    if id(child) in kinds.gathers:
        return Call(f"self.{child.name}", (Arg("", listed(inputs)),)), targets
    arguments = tuple(Arg("", Raw(name)) for name in inputs)
    return Call(f"self.{child.name}", arguments), targets


def walk(kinds: Kinds) -> Iterator[Kind]:
    """The kinds in the order in which they are defined."""
    yield from kinds.found


__all__ = ["Items", "Style", "sequence", "signature", "statements", "walk", "write_class"]
