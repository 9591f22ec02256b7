"""What may stand in a spec, as data: its keys, and a JSON Schema made from the operations' fields.

The reader takes its keys from here, the writer its order, editors and other checkers the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netledger.ops import by_key
from netledger.ops.base import Op
from netledger.ops.fields import (
    CHOICE,
    DIMS,
    FLAG,
    INTEGER,
    INTEGERS,
    LARGEST,
    NUMBER,
    PADDING,
    PER_AXIS,
    REQUIRED,
    SHAPES,
    TENSORS,
    TEXT,
    Rule,
)

Schema = dict[str, Any]

FIRST, LAST = "channels_first", "channels_last"
LAYOUTS = (LAST, FIRST)

_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1}
_NAMES: Schema = {"type": "array", "items": _NAME}
_FORMULA: Schema = {"$ref": "#/$defs/formula"}
_DIM: Schema = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": LARGEST}, _FORMULA]}
_SHAPE: Schema = {"type": "array", "items": _DIM, "maxItems": 16}
_TYPE_TEXT: Schema = {"type": "string", "pattern": r"^\s*\w+\[.*\]\s*$"}
_ROLE: Schema = {"enum": ["weight", "bias", "buffer"]}
_PARAMETER = {"type": "array", "prefixItems": [_NAME, _NAME], "minItems": 2, "maxItems": 2}


def _closed(properties: Mapping[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    closed = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**closed, "required": list(required)} if required else closed


def _said(text: str, schema: Schema) -> Schema:
    return {"description": text, **schema}


INPUT_KEYS: Mapping[str, Schema] = {
    "shape": _said("sizes of the axes", _SHAPE),
    "dtype": _said("as NumPy names it; by default float32", _TEXT),
    "batch": _said(
        "false: the shape is complete, no batch axis is put before it", {"type": "boolean"}
    ),
}
"""The keys of an input that is written as a mapping."""

PARAMETER_KEYS: Mapping[str, Schema] = {
    "name": _said("its name within the layer", _NAME),
    "role": _said("weight, bias or buffer", _ROLE),
    "shape": _said("its sizes", _SHAPE),
    "dtype": _said("by default that of the layer", _TEXT),
    "trainable": _said("false: frozen", {"type": "boolean"}),
    "bytes": _said("where that is not size × dtype", {"type": "integer", "minimum": 0}),
}
"""The keys of a recorded parameter."""

RECORDED_KEYS: Mapping[str, Schema] = {
    "outputs": _said(
        "the type of each output, batch included: float32[N, 55, 55, 96]; null: not known",
        {"type": "array", "items": {"anyOf": [_TYPE_TEXT, {"type": "null"}]}},
    ),
    "parameters": _said(
        "every stored tensor",
        {"type": "array", "items": _closed(PARAMETER_KEYS, ("name", "role", "shape"))},
    ),
    "macs": _said(
        "multiply-accumulates; a formula in N where they grow with the batch: 48*N",
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]},
    ),
}
"""The keys of `recorded`: the second entry of the books."""

_INPUT: Schema = {"anyOf": [_SHAPE, _TYPE_TEXT, _closed(INPUT_KEYS, ("shape",))]}

LAYER_KEYS: Mapping[str, Schema] = {
    "name": _said("its name; by default its operation's word, numbered where needed", _NAME),
    "inputs": _said(
        "what feeds it; by default the layer before. The second output of split is split:1",
        {"anyOf": [_NAME, _NAMES]},
    ),
    "outputs": _said(
        "how many outputs are kept, or their names",
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 10_000}, _NAMES]},
    ),
    "trainable": _said("false: its parameters are frozen", {"type": "boolean"}),
    "tie": _said(
        "a layer whose parameters these are too; or, by parameter, layer/parameter",
        {
            "anyOf": [
                _NAME,
                {"type": "object", "additionalProperties": {"anyOf": [_NAME, _PARAMETER]}},
            ]
        },
    ),
    "scope": _said("the module that it belongs to: encoder.layer1", _TEXT),
    "recorded": _said(
        "what a paper or a file says of it; compared with what the rules give",
        _closed(RECORDED_KEYS),
    ),
}
"""The keys of every layer, besides those of its operation."""

TOP_KEYS: Mapping[str, Schema] = {
    "name": _said("what the network is called; by default the file's name", _NAME),
    "title": _said("one line about it", _TEXT),
    "input": _said(
        "the only input, without the batch: [227, 227, 3], [H, W, 3], int64[128]", _INPUT
    ),
    "inputs": _said(
        "the inputs by name, instead of input", {"type": "object", "additionalProperties": _INPUT}
    ),
    "symbols": _said("symbols for hyperparameters, besides those of the inputs", _NAMES),
    "layout": _said("on which axis maps have their channels", {"enum": list(LAYOUTS)}),
    "outputs": _said(
        "what the network returns; by default the last layer", {"anyOf": [_NAME, _NAMES]}
    ),
    "layers": _said(
        "each feeds the next unless it names its inputs",
        {"type": "array", "items": {"$ref": "#/$defs/layer"}},
    ),
}
"""The keys of the whole spec, in the order in which they are written."""


def _integer(rule: Rule) -> Schema:
    least = -LARGEST if rule.minimum is None else rule.minimum
    return {"anyOf": [{"type": "integer", "minimum": least, "maximum": LARGEST}, _FORMULA]}


def _several(rule: Rule) -> Schema:
    items = {"type": "array", "items": _integer(rule), "minItems": 1, "maxItems": 16}
    return {"anyOf": [*_integer(rule)["anyOf"], items]}


def _padding(rule: Rule) -> Schema:
    pair = {"type": "array", "items": _integer(rule), "minItems": 2, "maxItems": 2}
    pairs = {"type": "array", "items": pair, "minItems": 1}
    words = [{"enum": list(rule.choices)}] if rule.choices else []
    return {"anyOf": [*words, *_several(rule)["anyOf"], pairs]}


def _dims(rule: Rule) -> Schema:
    return {"type": "array", "items": _integer(rule), "maxItems": 16}


def _tensors(rule: Rule) -> Schema:
    stored = [_TEXT, _ROLE, _dims(rule), _TEXT, {"type": ["integer", "null"]}]
    tensor = {"type": "array", "prefixItems": stored, "minItems": 5, "maxItems": 5}
    return {"type": "array", "items": tensor}


_KINDS: Mapping[str, Callable[[Rule], Schema]] = {
    INTEGER: _integer,
    INTEGERS: _several,
    PER_AXIS: _several,
    PADDING: _padding,
    FLAG: lambda rule: {"type": "boolean"},
    CHOICE: lambda rule: {"enum": list(rule.choices)},
    TEXT: lambda rule: _TEXT,
    NUMBER: lambda rule: {"type": "number"},
    DIMS: _dims,
    SHAPES: lambda rule: {"type": "array", "items": _dims(rule)},
    TENSORS: _tensors,
}


def field_schema(rule: Rule) -> Schema:
    """What a hyperparameter may be, as JSON Schema."""
    schema = _KINDS[rule.kind](rule)
    if rule.default is None:
        schema = {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}
    if rule.default is not REQUIRED and rule.default is not None:
        default = list(rule.default) if isinstance(rule.default, tuple) else rule.default
        schema = {**schema, "default": default}
    return _said(rule.help, schema)


def required_fields(op_class: type[Op]) -> tuple[str, ...]:
    """The hyperparameters of an operation that have no default."""
    return tuple(name for name, rule in op_class.rules.items() if rule.default is REQUIRED)


def needs_inputs(op_class: type[Op]) -> bool:
    """Whether a layer must name its inputs, for it joins several: ``add``, ``concat``."""
    least, most = op_class.arity
    return least > 0 and most is None and op_class.key != "einsum"


def summary(op_class: type[Op]) -> str:
    """The first line of an operation's description."""
    return (op_class.__doc__ or "").strip().partition("\n")[0]


def _operation(op_class: type[Op], implied: Mapping[str, Any]) -> Schema:
    own = {k: field_schema(rule) for k, rule in op_class.rules.items() if k not in implied}
    required = required_fields(op_class) + ("inputs",) * needs_inputs(op_class)
    common = {key: {"$ref": f"#/$defs/every_{key}"} for key in LAYER_KEYS}
    schema = _closed({**common, **own}, required)
    if not required:
        schema["type"] = ["object", "null"]
    text = f"The function {next(iter(implied.values()))}." if implied else summary(op_class)
    return _said(text, schema)


def json_schema() -> Schema:
    """The JSON Schema (2020-12) of a spec, made from the rules of all operations' fields."""
    words = by_key()
    bare = [
        key
        for key, (op_class, _) in words.items()
        if not required_fields(op_class) and not needs_inputs(op_class)
    ]
    formula = {
        "description": "a size in symbols: H, 64*N, (H - 11)//4 + 1",
        "type": "string",
        "minLength": 1,
        "maxLength": 1000,
    }
    layer = {
        "anyOf": [
            {"enum": bare},
            {
                **_closed({key: {"$ref": f"#/$defs/{key}"} for key in words}),
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    }
    top = _closed(TOP_KEYS, ("layers",))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netledger spec",
        "description": "A neural network: its inputs, and its layers in order.",
        **top,
        "oneOf": [{"required": ["input"]}, {"required": ["inputs"]}],
        "$defs": {
            "formula": formula,
            "layer": layer,
            **{f"every_{key}": schema for key, schema in LAYER_KEYS.items()},
            **{key: _operation(*entry) for key, entry in words.items()},
        },
    }
