"""An exported program's JSON, checked as it is read: tensors, stored tensors, calls.

torch/_export/serde/schema.py says what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from netledger.aten import Frame, Stored
from netledger.errors import SpecError, quoted
from netledger.formula import Dim, Formula
from netledger.graph import BATCH, BIAS, BUFFER, WEIGHT, TensorType
from netledger.inventory import check_shape, role
from netledger.ops.fields import LARGEST
from netledger.readers.torch_export.symbols import parse

DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    9: "complex32",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz",
}
"""``ScalarType``, as NumPy names it."""

MOST_NODES = 20_000
MOST_AXES = 16


class Invocation(NamedTuple):
    """A node of the graph, not yet looked into: what is called, with what, making what."""

    name: str
    target: str
    args: dict[str, Any]
    outputs: tuple[str | None, ...]
    stack: tuple[Frame, ...]
    """The modules around it, outermost first."""


def need(value: Any, kind: type, what: str, *of: Any) -> Any:
    """`value`, if it is of that kind: JSON has no others that are like it.

    Args:
        value: What stands there.
        kind: What has to.
        what: What it is called in messages, with ``{}`` for each of the rest.
        *of: What it belongs to.

    Raises:
        SpecError: If it is not.
    """
    if type(value) is not kind:
        raise SpecError(f"{what.format(*of)} is not what an exported program has there")
    return value


class Program:
    """The graph of an exported program.

    Attributes:
        inputs: The user's inputs that are tensors.
        stored: Parameters, buffers and constants, by the names that the graph gives them.
        outputs: The values that it returns.
        calls: Its nodes.
    """

    def __init__(self, root: Any) -> None:
        module = need(need(root, dict, "the program").get("graph_module"), dict, "graph_module")
        self._graph = need(module.get("graph"), dict, "graph")
        self._tensors = need(self._graph.get("tensor_values"), dict, "tensor_values")
        self._sizes = need(self._graph.get("sym_int_values"), dict, "sym_int_values")
        signature = need(module.get("signature"), dict, "signature")
        specs = need(signature.get("input_specs"), list, "input_specs")
        self._names: dict[str, Dim] = {}
        self._types: dict[tuple[tuple[int, ...], str], TensorType] = {}
        inputs, stored = _specs(specs)
        self._name_batch(inputs)
        self.inputs = {name: self._stated(name) for name in inputs}
        self.stored: dict[str, Stored] = {}
        for name, (kind, full) in stored.items():
            self.stored[name] = self._stored(name, kind, full)
        self.outputs = [
            name
            for spec in need(signature.get("output_specs"), list, "output_specs")
            for name in _names_in(need(spec, dict, "an output").get("user_output"))
        ]
        nodes = need(self._graph.get("nodes"), list, "nodes")
        if len(nodes) > MOST_NODES:
            raise SpecError(f"{len(nodes):,} nodes; at most {MOST_NODES:,} are read")
        self.calls = [self._call(node, i) for i, node in enumerate(nodes)]

    def type(self, name: str) -> TensorType | None:
        """What the program says of a tensor; None if it says nothing that is understood."""
        meta = self._tensors.get(name)
        if not isinstance(meta, dict):
            return None
        sizes: Any = meta.get("sizes")
        if type(sizes) is not list:  # the name is quoted only if it is needed
            need(sizes, list, "the sizes of {}", quoted(name))
        if len(sizes) > MOST_AXES:
            raise SpecError(f"{quoted(name)} has {len(sizes)} axes; at most {MOST_AXES} are read")
        code = meta.get("dtype")
        dtype = DTYPES.get(code, "unknown") if isinstance(code, int) else "unknown"
        shape = _numbers(sizes)
        if shape is None:
            return self._symbolic(sizes, dtype, name)
        made = self._types.get((shape, dtype))  # tensors that are alike share it
        if made is None:
            made = self._types[shape, dtype] = TensorType(check_shape(shape, name), dtype)
        return made

    def _symbolic(self, sizes: list[Any], dtype: str, name: str) -> TensorType | None:
        """The type of a tensor whose sizes are not all plain numbers."""
        shape = [self.size(size) for size in sizes]
        known = tuple([d for d in shape if d is not None])
        if len(known) < len(shape):
            return None
        check_shape([d if isinstance(d, int) else 1 for d in known], name)
        return TensorType(known, dtype)

    def size(self, value: Any) -> Dim | None:
        """A size: ``{"as_int": 3}``, or an expression."""
        if type(value) is not dict:
            return None
        if "as_int" in value:
            return int(need(value["as_int"], int, "a size"))
        expression = value.get("as_expr")
        text = expression.get("expr_str") if isinstance(expression, dict) else None
        return parse(text, self._names) if isinstance(text, str) else None

    def symbolic(self, value: Any) -> Dim | None:
        """A size in an argument: a number, or the name of one that the graph computes."""
        if isinstance(value, dict) and "as_name" in value:
            return self.size(self._sizes.get(need(value["as_name"], str, "the name of a size")))
        return self.size(value)

    def _name_batch(self, inputs: list[str]) -> None:
        """A symbol that is the first axis of an input is the batch."""
        for name in inputs:
            known = self.type(name)
            if known and known.shape and isinstance(known.shape[0], Formula):
                first = known.shape[0]
                if first.name and not self._names:
                    self._names[first.name] = BATCH

    def _stated(self, name: str) -> TensorType:
        known = self.type(name)
        if known is None:
            raise SpecError(f"the program does not say what {quoted(name)} is")
        return known

    def _stored(self, name: str, kind: str, full: str) -> Stored:
        known = self._stated(name)
        sizes = tuple([d for d in known.shape if isinstance(d, int)])
        if len(sizes) < len(known.shape):
            raise SpecError(f"the stored tensor {quoted(full)} has a symbol for a size")
        if kind != "parameter":
            return Stored(full, BUFFER, known, False)
        named = role(full.rpartition(".")[2], sizes, known.dtype)
        learned = self._tensors[name].get("requires_grad") is not False
        return Stored(full, BIAS if named == BIAS else WEIGHT, known, learned)

    def _call(self, node: Any, number: int) -> Invocation:
        need(node, dict, "node {:,}", number)
        target = need(node.get("target"), str, "the target of node {:,}", number)
        outputs: list[str | None] = []
        for output in need(node.get("outputs"), list, "the outputs of node {:,}", number):
            outputs += _outputs(need(output, dict, "an output of node {:,}", number))
        args = {}
        inputs = need(node.get("inputs"), list, "the inputs of node {:,}", number)
        for i, given in enumerate(inputs):
            need(given, dict, "an input of node {:,}", number)
            name = given.get("name")
            args[name if isinstance(name, str) and name else f"arg{i}"] = given.get("arg")
        metadata = node.get("metadata")
        stack = metadata.get("nn_module_stack") if isinstance(metadata, dict) else None
        own = node.get("name")
        first = next((name for name in outputs if name is not None), "")
        name = own if isinstance(own, str) and own else first
        return Invocation(
            name, target, args, tuple(outputs), _stack(stack if isinstance(stack, str) else "")
        )


def _numbers(sizes: list[Any]) -> tuple[int, ...] | None:
    """The sizes of a tensor if all of them are numbers, as they mostly are."""
    try:
        found = tuple([size["as_int"] for size in sizes])
    except (KeyError, TypeError):
        return None
    for d in found:
        if type(d) is not int:
            return None
    return found


def _specs(specs: list[Any]) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """The user's inputs, and for each stored tensor its kind and its name in the model."""
    inputs: list[str] = []
    stored: dict[str, tuple[str, str]] = {}
    for spec in specs:
        for kind, content in need(spec, dict, "an input").items():
            need(content, dict, "an input")
            if kind == "user_input":
                inputs += _names_in(content)
                continue
            if kind not in ("parameter", "buffer", "tensor_constant"):
                continue  # numbers, tokens, custom objects: no tensors
            arg = need(content.get("arg"), dict, "an input")
            name = need(arg.get("name"), str, "the name of an input")
            full = need(content.get(f"{kind}_name"), str, "the name of a {}", kind)
            if name in stored:
                raise SpecError(f"two inputs are called {quoted(name)}")
            stored[name] = (kind, full)
    if len(set(inputs)) < len(inputs) or set(inputs) & set(stored):
        raise SpecError("two inputs have the same name")
    return inputs, stored


def _names_in(content: Any) -> Iterator[str]:
    """The name of the tensor in ``{"arg": {"as_tensor": {"name": …}}}``, if it is one."""
    arg = content.get("arg") if isinstance(content, dict) else None
    tensor = arg.get("as_tensor") if isinstance(arg, dict) else None
    if isinstance(tensor, dict):
        yield need(tensor.get("name"), str, "the name of a tensor")


def _outputs(output: dict[str, Any]) -> list[str | None]:
    """Names of the tensors that an output is; None for a number."""
    if isinstance(output.get("as_tensor"), dict):
        return [need(output["as_tensor"].get("name"), str, "the name of a tensor")]
    tensors = output.get("as_tensors")
    if isinstance(tensors, list):
        return [
            need(need(t, dict, "a tensor").get("name"), str, "the name of a tensor")
            for t in tensors
        ]
    return [None]


@lru_cache(maxsize=64)
def _stack(text: str) -> tuple[Frame, ...]:
    """``L__self__,,Net;L__self__conv,conv,torch.nn.modules.conv.Conv2d``."""
    if len(text) > 20_000:
        return ()
    entries = [entry.split(",") for entry in text.split(";")]
    known = [Frame(e[1], e[2], e[0]) for e in entries if len(e) == 3]
    return tuple(frame for frame in known if not frame.path.startswith("_empty"))


def bounded(value: Any) -> bool:
    """True for a whole number that a size or index may be."""
    return isinstance(value, int) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
