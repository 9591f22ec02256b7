"""What torch.save writes of a tensor: a storage, and a view into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from netledger.errors import SpecError, quoted
from netledger.inventory import check_shape
from netledger.inventory.pickle_machine import Global, Made
from netledger.ops.fields import LARGEST

_STORAGES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "QInt8": "qint8",
    "QUInt8": "quint8",
    "QInt32": "qint32",
    "Untyped": "uint8",
}
_BYTES = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
    **dict.fromkeys(("float32", "int32", "uint32", "qint32"), 4),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 2),
    **dict.fromkeys(("int8", "uint8", "bool", "qint8", "quint8"), 1),
    **dict.fromkeys(("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"), 1),
    **dict.fromkeys(("float8_e8m0fnu", "float4_e2m1fn_x2"), 1),
    "complex128": 16,
}
"""Bytes of one number of a dtype that torch can save."""
_LARGEST_STORAGE = LARGEST // 16
"""Numbers; none takes more than 16 bytes."""

DTYPES = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "cfloat": "complex64",
    "cdouble": "complex128",
    **{name: name for name in _BYTES},
}


@dataclass(slots=True)
class Storage:
    """Where tensors are kept.

    Attributes:
        key: Its name in the file.
        dtype: What its numbers are; for an untyped one, bytes.
        nbytes: Its size.
        begin: Where it begins in a larger one of the same key.
    """

    key: str
    dtype: str
    nbytes: int
    begin: int = 0


@dataclass(slots=True)
class View:
    """A tensor: a part of a storage, in a shape.

    Attributes:
        shape: Its dimensions.
        dtype: What its numbers are.
        nbytes: Bytes of the storage that it spans.
        place: Storage, first byte and end; None if nothing is stored.
        learned: True for a parameter, None if the file does not say.
    """

    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    place: tuple[str, int, int] | None
    learned: bool | None = None


def storage(pid: Any) -> Storage:
    """What a persistent id stands for: ``("storage", type, key, place, numel)``.

    Raises:
        SpecError: If it is anything else.
    """
    if isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] in ("storage", b"storage"):
        kind, key, count = pid[1], pid[2], pid[4]
        name = kind.name.rpartition(".")[2] if isinstance(kind, Global) else ""
        name = name.removesuffix("Storage")
        dtype = _STORAGES.get(name)
        if dtype is not None and isinstance(key, str) and type(count) is int:
            if not 0 <= count <= _LARGEST_STORAGE:
                raise SpecError(f"the storage {quoted(key)} has an impossible size")
            nbytes = count * _BYTES[dtype]
            view = pid[5] if len(pid) == 6 else None
            if view is None:
                return Storage(key, dtype, nbytes)
            if isinstance(view, tuple) and len(view) == 3 and type(view[1]) is int:
                return Storage(key, dtype, nbytes, view[1] * _BYTES[dtype])
    raise SpecError("not a pickle of torch.save: a persistent id that is no storage")


def _tensor(args: tuple[Any, ...], dtype: Any = None) -> View:
    kept, offset, size, strides, *_ = args
    if not isinstance(kept, Storage):
        raise ValueError
    known = _dtype(dtype) if dtype is not None else kept.dtype
    shape = check_shape(size, kept.key)
    if not isinstance(strides, tuple) or len(strides) != len(shape) or type(offset) is not int:
        raise ValueError
    if offset < 0:
        raise ValueError
    reach = 1
    for d, s in zip(shape, strides, strict=True):
        if type(s) is not int or not 0 <= s <= LARGEST:
            raise ValueError
        reach += (d - 1) * s
    width = _BYTES[known]
    extent = reach * width if all(shape) else 0
    begin = kept.begin + offset * width
    if offset * width + extent > kept.nbytes:
        raise SpecError(
            f"a tensor reaches to byte {offset * width + extent:,} of the storage "
            f"{quoted(kept.key)}, which has {kept.nbytes:,}"
        )
    return View(shape, known, extent, (kept.key, begin, begin + extent))


def _dtype(value: Any) -> str:
    name = value.name.removeprefix("torch.") if isinstance(value, Global) else ""
    if name not in DTYPES:
        raise ValueError
    return DTYPES[name]


def _parameter(args: tuple[Any, ...]) -> Any:
    data = args[0]
    return replace(data, learned=True) if isinstance(data, View) else data


def _sparse(args: tuple[Any, ...]) -> View:
    _, data = args
    parts = [part for part in data if isinstance(part, View)]
    sizes = [part for part in data if isinstance(part, tuple)]
    if not parts or not sizes:
        raise ValueError
    shape = check_shape(sizes[0], "a sparse tensor")
    return View(shape, parts[-1].dtype, sum(part.nbytes for part in parts), None)


def _meta(args: tuple[Any, ...]) -> View:
    return View(check_shape(args[1], "a tensor without data"), _dtype(args[0]), 0, None)


def _from_type(args: tuple[Any, ...]) -> Any:
    function, kind, inner, _ = args
    known = CALLS.get(function.name) if isinstance(function, Global) else None
    return known(inner) if known and isinstance(inner, tuple) else Made(kind, (inner,))


def _ordered(args: tuple[Any, ...]) -> Any:
    if not args:
        return {}
    pairs = args[0]
    if not isinstance(pairs, list) or not all(isinstance(p, list | tuple) for p in pairs):
        raise ValueError
    made = {}
    for key, value in pairs:
        if not isinstance(key, str | int):
            raise ValueError
        made[key] = value
    return made


def _size(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(args[0]) if args else ()


CALLS: Mapping[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _ordered,
    "torch.Size": _size,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": lambda args: _tensor(args, args[6]),
    "torch._utils._rebuild_qtensor": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._tensor._rebuild_from_type_v2": _from_type,
}
"""The functions that a checkpoint may call, and how their arguments are read."""
