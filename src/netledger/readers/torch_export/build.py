"""Exported program → graph: its calls and arguments, in the words of `netledger.aten`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from netledger.aten import Arguments, Builder, Call, Calls, Invocation, Value
from netledger.errors import NetledgerError, SpecError, quoted
from netledger.graph import Node
from netledger.ops import LocalResponseNorm, Op
from netledger.readers.torch_export.program import Invocation as Listed
from netledger.readers.torch_export.program import Program, bounded

_LRN = "torch.nn.modules.normalization.LocalResponseNorm"
_PREFIXES = ("torch.ops.aten.", "torch.ops.higher_order.", "torch.ops.")


class Translation:
    """The graph of a program while it is made.

    Attributes:
        nodes: The nodes.
        calls: The calls of modules.
        ties: Uses of one and the same stored tensor.
        homes: The names of the stored tensors in the model.
        outputs: The values that the program returns.
    """

    def __init__(self, program: Program, places: dict[str, str]) -> None:
        self.program = program
        self.calls = Calls()
        inside = Counter(call.stack[-1].path for call in program.calls if call.stack and call.name)
        self._builder = Builder(program.inputs, program.stored, inside, places)
        self._normalisations: dict[int, tuple[str, list[Call]]] = {}
        for call in program.calls:
            self._add(call)

        whole = {
            at: (path, normalisation(calls)) for at, (path, calls) in self._normalisations.items()
        }
        found = {at: (path, op) for at, (path, op) in whole.items() if op is not None}
        self.outputs = self._builder.finish(self._known(program.outputs), found)
        self.nodes: Sequence[Node] = self._builder.nodes
        self.ties = self._builder.ties()
        self.homes = self._builder.homes()

    def _add(self, listed: Listed) -> None:
        names = [name for name in listed.outputs if name is not None]
        for name in names:
            if name in self._builder:
                raise SpecError(f"two values are called {quoted(name)}")
        args = {name: self.argument(arg) for name, arg in listed.args.items()}
        if not names:
            return
        stated = tuple([self.program.type(name) for name in names])
        call = Call(_base(listed.target), Arguments(args), stated)
        path = listed.stack[-1].path if listed.stack else ""
        within = self.calls.within(listed.stack)
        if listed.stack and listed.stack[-1].kind == _LRN:
            self._normalisations.setdefault(within, (path, []))[1].append(call)
        self._builder.add(Invocation(listed.name, call, names, path, within))

    def _known(self, names: Sequence[str]) -> Sequence[str]:
        for name in names:
            self.value(name)
        return names

    def argument(self, arg: Any) -> Any:
        """An argument as numbers, texts and tensors."""
        if not isinstance(arg, dict) or len(arg) != 1:
            return None
        ((kind, content),) = arg.items()
        if kind == "as_tensor" and isinstance(content, dict):
            return self.value(content.get("name"))
        if kind in ("as_tensors", "as_optional_tensors") and isinstance(content, list):
            found = [t.get("as_tensor", t) if isinstance(t, dict) else {} for t in content]
            return [self.value(t["name"]) for t in found if isinstance(t, dict) and "name" in t]
        if kind == "as_optional_tensor":
            return self.argument(content)
        if kind == "as_sym_int":
            return self.program.symbolic(content)
        if kind == "as_sym_ints" and isinstance(content, list):
            return [self.program.symbolic(c) for c in content]
        if kind == "as_ints" and isinstance(content, list):
            return content if all(map(bounded, content)) else None
        if kind == "as_int":
            return content if bounded(content) else None
        plain = kind in ("as_float", "as_bool", "as_string", "as_floats")
        return content if plain else None

    def value(self, name: Any) -> Value:
        """The tensor of that name."""
        known = self._builder.values.get(name) if isinstance(name, str) else None
        if known is not None:
            return known
        if not isinstance(name, str) or name not in self._builder:
            raise SpecError(f"the value {quoted(str(name))} is used before it is made")
        return self._builder.value(name)


def normalisation(calls: Sequence[Call]) -> Op | None:
    """Local response normalisation, from the numbers in the calls that PyTorch makes of it."""
    made: dict[str, Any] = {}
    try:
        for call in calls:
            other, exponent = call.args.get("other"), call.args.get("exponent")
            if call.target in ("avg_pool2d", "avg_pool3d"):
                made["size"] = max(call.integers("kernel_size"))
            elif call.target in ("mul", "add") and isinstance(other, int | float):
                made["alpha" if call.target == "mul" else "k"] = float(other)
            elif call.target == "pow" and isinstance(exponent, int | float):
                made["beta"] = float(exponent)
        return LocalResponseNorm(**made) if len(made) == 4 else None
    except NetledgerError:  # numbers that it does not have
        return None


def _base(target: str) -> str:
    """``torch.ops.aten.conv2d.default`` → ``conv2d``."""
    for prefix in _PREFIXES:
        if target.startswith(prefix):
            return target.removeprefix(prefix).partition(".")[0]
    return target
