"""Weights that are packed several to a number: what they are logically.

Each scheme has a recogniser below, which looks at the tensors of one module by their names within
it. It answers only where the sizes of all tensors fit the scheme exactly; what fits none is
labelled unknown, with the reason. Scales and zero points are not learned: they are buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

from netledger.errors import SpecError
from netledger.graph import BUFFER, WEIGHT
from netledger.inventory import StoredTensor, check_shape
from netledger.untrusted import read_json

Payload = Callable[[str, int], bytes | None]
"""The bytes of a small tensor by name, if it has no more than so many."""

Parts = dict[str, StoredTensor]
"""The tensors that belong to one weight, by their names relative to it."""

Found = StoredTensor | None

WORD = 32
"""Bits of the integers that 4-bit weights and the like are packed in."""
FLOAT4 = "float4_e2m1fn"
_PLAIN = frozenset(("bfloat16", "float16", "float32", "float64"))


def unpack(
    tensors: Iterable[StoredTensor], config: Mapping[str, Any], payload: Payload
) -> list[StoredTensor]:
    """The same tensors, with packed weights at their logical size.

    Args:
        tensors: What a file holds.
        config: The model's configuration; empty if there is none.
        payload: Where small tensors that state a shape can be read.
    """
    listed = list(tensors)
    if not any(_suspect(t.leaf, t) or ".weight." in t.name for t in listed):
        return listed
    modules: dict[str, Parts] = {}
    for tensor in listed:
        modules.setdefault(tensor.module, {})[tensor.leaf] = tensor
        if ".weight." in tensor.name:  # bitsandbytes: the parts of one weight, down_proj.weight.*
            module, _, part = tensor.name.partition(".weight.")
            modules.setdefault(module, {})[f"weight.{part}"] = tensor
    known: dict[str, StoredTensor] = {}
    for parts in modules.values():
        for leaf, tensor in parts.items():
            suspect = _suspect(leaf, tensor) or "weight.absmax" in parts
            if suspect and tensor.name not in known:
                for companion in _companions(parts, leaf, config, payload):
                    known[companion.name] = companion
    return [known.get(t.name, t) for t in listed]


def _suspect(leaf: str, tensor: StoredTensor) -> bool:
    """Whether it may be packed; nearly all are plain, and there may be 150,000 of them."""
    if leaf == "weight":
        return tensor.dtype not in _PLAIN
    return leaf in ("qweight", "weight_packed") or leaf.endswith("_blocks")


def _companions(
    parts: Parts, leaf: str, config: Mapping[str, Any], payload: Payload
) -> list[StoredTensor]:
    """The weight `leaf` and the buffers that go with it, if it is a packed one."""
    for is_packed, recognise, companions in _SCHEMES:
        if is_packed(leaf, parts):
            found = recognise(parts, leaf, config, payload)
            if found is not None:
                buffers = [parts[c]._replace(role=BUFFER) for c in companions if c in parts]
                return [found._replace(role=WEIGHT), *buffers]
    tensor = parts[leaf]
    if leaf in ("qweight", "weight_packed") or (
        leaf == "weight" and tensor.dtype in ("uint8", "int32", "uint32")
    ):
        return [tensor._replace(role=WEIGHT, unknown=f"packed in {tensor.dtype}, unknown how")]
    return []


def _logical(
    tensor: StoredTensor, shape: tuple[int, ...], bits: int, kind: str, dtype: str = ""
) -> StoredTensor:
    return tensor._replace(
        shape=check_shape(shape, tensor.name),
        dtype=dtype or f"uint{bits}",
        nbytes=_stored(tensor),
        kind=f"{kind}, {bits} bits",
    )


def _stored(tensor: StoredTensor) -> int:
    if tensor.nbytes is not None:
        return tensor.nbytes
    return prod(tensor.shape) * {"uint8": 1, "int8": 1}.get(tensor.dtype, 4)


def _matrix(parts: Parts, *names: str) -> list[tuple[int, int]] | None:
    """The shapes of matrices; None if one is missing or no matrix."""
    shapes = [parts[name].shape for name in names if name in parts]
    if len(shapes) < len(names) or any(len(s) != 2 or not all(s) for s in shapes):
        return None
    return [(s[0], s[1]) for s in shapes]


def _gptq_awq(parts: Parts, leaf: str, config: Mapping[str, Any], payload: Payload) -> Found:
    """GPTQ packs along the inputs, AWQ along the outputs; both give zero points a column each."""
    found = _matrix(parts, "qweight", "qzeros", "scales")
    if found is None or parts[leaf].dtype not in ("int32", "uint32"):
        return None
    (rows, columns), (groups, packed), (scale_groups, out) = found
    bits, rest = divmod(packed * WORD, out)
    if rest or groups != scale_groups or not 1 <= bits <= 8 or bits != _bits(config, bits):
        return None
    if columns == out and rows * WORD % bits == 0:
        inputs = rows * WORD // bits
        order = parts.get("g_idx")
        if order is None or order.shape in ((inputs,), (0,)):
            return _logical(parts[leaf], (out, inputs), bits, "GPTQ")
    if columns == packed:
        return _logical(parts[leaf], (out, rows), bits, "AWQ")
    return None


def _bits(config: Mapping[str, Any], default: int) -> Any:
    """The bits that a configuration states."""
    for key in ("quantization_config", "quantization"):
        section = config.get(key)
        if isinstance(section, dict):
            return section.get("bits", default)
    return default


def _bitsandbytes(parts: Parts, leaf: str, config: Mapping[str, Any], payload: Payload) -> Found:
    """Two numbers to a byte; a small tensor holds JSON with the shape."""
    for name, state in parts.items():
        if name.startswith("weight.quant_state.bitsandbytes__"):
            text = payload(state.name, 4096)
            shape = _shape_in(text, state.name)
            if shape is not None and (prod(shape) + 1) // 2 == _stored(parts[leaf]):
                kind = name.rpartition("__")[2]
                return _logical(parts[leaf], shape, 4, f"bitsandbytes {kind}")
    return parts[leaf]._replace(
        unknown="bitsandbytes packs two numbers to a byte and the shape is not stated"
    )


def _shape_in(text: bytes | None, name: str) -> tuple[int, ...] | None:
    try:
        state = read_json(text or b"", name)
        return check_shape(state["shape"] if isinstance(state, dict) else None, name)
    except (SpecError, KeyError):
        return None


def _compressed(parts: Parts, leaf: str, config: Mapping[str, Any], payload: Payload) -> Found:
    """compressed-tensors: the shape is a tensor of its own; NVFP4 packs two to a byte."""
    packed, stated = parts[leaf], parts.get("weight_shape")
    if stated is not None and packed.dtype == "int32" and len(packed.shape) == 2:
        raw = payload(stated.name, 16) or b""
        width = {"int64": 8, "int32": 4}.get(stated.dtype, 0)
        if width and len(raw) == 2 * width:
            out, inputs = (int.from_bytes(raw[i : i + width], "little") for i in (0, width))
            for bits in (4, 8, 2, 3, 5, 6, 7):
                words = -(-inputs // (WORD // bits))
                if packed.shape == (out, words) and bits == _group_bits(config, bits):
                    return _logical(packed, (out, inputs), bits, "compressed-tensors")
    return _two_to_a_byte(parts, leaf, config, payload)


def _group_bits(config: Mapping[str, Any], default: int) -> Any:
    section = config.get("quantization_config")
    groups = section.get("config_groups") if isinstance(section, dict) else None
    if not isinstance(groups, dict):
        return default
    weights = [g.get("weights") for g in groups.values() if isinstance(g, dict)]
    stated = {w.get("num_bits") for w in weights if isinstance(w, dict)}
    return stated.pop() if len(stated) == 1 else default


def _two_to_a_byte(parts: Parts, leaf: str, config: Mapping[str, Any], payload: Payload) -> Found:
    """NVFP4: two numbers to a byte along the inputs, an 8-bit scale for each 16."""
    found = _matrix(parts, leaf, "weight_scale")
    if found is None or parts[leaf].dtype != "uint8":
        return None
    (out, packed), scales = found
    block = {"float8_e4m3fn": 16, "float8_e8m0fnu": 32, "uint8": 32}.get(
        parts["weight_scale"].dtype, 0
    )
    if not block or scales != (out, -(-2 * packed // block)):
        return None
    return _logical(parts[leaf], (out, 2 * packed), 4, "NVFP4" if block == 16 else "MXFP4", FLOAT4)


def _mxfp4(parts: Parts, leaf: str, config: Mapping[str, Any], payload: Payload) -> Found:
    """Blocks of 16 bytes, two numbers to a byte, and a scale for each block."""
    blocks, scales = parts[leaf], parts.get(leaf.removesuffix("_blocks") + "_scales")
    if scales is None or blocks.dtype != "uint8" or blocks.shape[:-1] != scales.shape:
        return None
    if len(blocks.shape) < 2 or blocks.shape[-1] != 16:
        return None
    *lead, groups, _ = blocks.shape
    shape = (*lead, groups * 32)
    return _logical(blocks, shape, 4, "MXFP4", FLOAT4)


def _mlx(parts: Parts, leaf: str, config: Mapping[str, Any], payload: Payload) -> Found:
    """MLX packs along the inputs; bits and group size stand in the configuration only."""
    section = config.get("quantization")
    found = _matrix(parts, "weight", "scales", "biases")
    if found is None:
        return None
    (out, words), scales, offsets = found
    bits = section.get("bits") if isinstance(section, dict) else None
    group = section.get("group_size") if isinstance(section, dict) else None
    if type(bits) is not int or type(group) is not int or bits not in (2, 3, 4, 5, 6, 8):
        return parts[leaf]._replace(
            unknown="packed in uint32; the bits are not stated", role=WEIGHT
        )
    inputs, rest = divmod(words * WORD, bits)
    if rest or scales != offsets or group < 1 or scales != (out, inputs // group):
        return None
    return _logical(parts[leaf], (out, inputs), bits, "MLX")


def _eight_bits(parts: Parts, leaf: str, config: Mapping[str, Any], payload: Payload) -> Found:
    """One number to a byte, with scales: the shape is the logical one."""
    return parts[leaf]._replace(kind="8 bits")


def _is_eight_bits(leaf: str, parts: Parts) -> bool:
    scaled = any(name in parts for name in _SCALES)
    return leaf == "weight" and parts[leaf].dtype.startswith(("int8", "float8")) and scaled


_SCALES = ("weight_scale", "weight_scale_inv", "SCB", "scale_weight", "scale")
_SCALE_PARTS = (
    *_SCALES,
    *("weight_scale_2", "weight_global_scale", "weight_zero_point", "weight_shape", "weight_g_idx"),
    *("input_scale", "input_global_scale", "k_scale", "v_scale", "weight_format"),
)
_BNB_PARTS = (
    *("weight.absmax", "weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map"),
    *("weight.quant_state.bitsandbytes__nf4", "weight.quant_state.bitsandbytes__fp4"),
)

_SCHEMES: tuple[
    tuple[
        Callable[[str, Parts], bool],
        Callable[[Parts, str, Mapping[str, Any], Payload], Found],
        tuple[str, ...],
    ],
    ...,
] = (
    (lambda leaf, parts: leaf == "qweight", _gptq_awq, ("qzeros", "scales", "g_idx")),
    (
        lambda leaf, parts: leaf == "weight" and "weight.absmax" in parts,
        _bitsandbytes,
        _BNB_PARTS,
    ),
    (lambda leaf, parts: leaf == "weight_packed", _compressed, _SCALE_PARTS),
    (
        lambda leaf, parts: leaf == "weight" and parts[leaf].dtype == "uint8",
        _two_to_a_byte,
        _SCALE_PARTS,
    ),
    (lambda leaf, parts: leaf.endswith("_blocks"), _mxfp4, ()),
    (
        lambda leaf, parts: leaf == "weight" and parts[leaf].dtype == "uint32",
        _mlx,
        ("scales", "biases"),
    ),
    (_is_eight_bits, _eight_bits, _SCALE_PARTS),
)
"""When to look for a scheme, its recogniser, and what goes with the weight."""
