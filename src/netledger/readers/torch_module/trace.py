"""One forward pass on the meta device, recorded: tensors have shapes and no numbers.

In inference mode PyTorch hands every operator to a dispatch mode whole, as it was called: linear,
attention, einsum and LSTM are not yet taken apart. Parameters stay what they are, wherever they
are: the mode puts a tensor of the same shape on the meta device in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from netledger.graph import ModuleCall
from netledger.readers.torch_module.batch import BatchLoop, refuse_loops
from netledger.readers.torch_module.data import ASKED, LARGEST, asked
from netledger.readers.torch_module.higher_order import RUN_THROUGH
from netledger.readers.torch_module.operators import Operator, look


class Tensor:
    """A tensor at one moment: a new one for each operator that makes or changes it.

    Attributes:
        name: What it is called in the graph.
        meta: The tensor on the meta device.
        spec: What operators see of it: shape, strides, dtype, whether it is stored.
        stored: The parameter or buffer that it is; empty if it is computed.
        constant: True if neither an input nor a stored tensor is in it.
        root: The tensor that it is a view of.
        maker: The call that made it.
    """

    __slots__ = ("constant", "maker", "meta", "name", "root", "spec", "stored")

    def __init__(self, name: str, meta: Any, stored: str = "", constant: bool = False) -> None:
        self.name, self.meta, self.stored, self.constant = name, meta, stored, constant
        strides = meta.stride() if meta.layout is torch.strided else ()
        self.spec = (meta.shape, strides, meta.dtype, bool(stored))
        self.root: Any = None
        self.maker: Recorded | None = None


class Recorded(NamedTuple):
    """A call of an operator.

    Attributes:
        function: The operator, with its overload.
        args: Its arguments, as they were given.
        kwargs: Its named arguments.
        tensors: The tensors among them, in order.
        results: What it makes.
        call: The call of a module around it, by its place in `Trace.calls`.
        key: Equal for calls that differ only in which tensors they take.
    """

    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: tuple[Tensor, ...]
    results: tuple[Tensor, ...]
    call: int
    key: Any


_MADE = ("new_", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like")
"""They take a tensor for its shape only."""
_META = torch.device("meta")


class Trace(TorchDispatchMode):  # type: ignore[misc]
    """Records every operator that runs while it is entered.

    Args:
        batch: The size of the batch, if it is distinctive: it is then never taken apart.

    Attributes:
        records: The operators, in order.
        calls: The calls of modules, in order.
        module: The module whose call is running, or failed.
        given: What the module that was called last was called with.
        packed: Weights that came out of packed objects: a twin of each, and the dtype it has there.
    """

    supports_higher_order_operators = True

    def __init__(self, batch: int | None = None) -> None:
        super().__init__()
        self.records: list[Recorded] = []
        self.calls: list[ModuleCall] = []
        self.at = -1
        self.module: Any = None
        self.given: tuple[Any, ...] = ()
        self.packed: dict[str, tuple[Any, str]] = {}
        self.batch = batch
        self._known: dict[int, Tensor] = {}
        self._kept: list[Any] = []  # an id is a tensor's own only while the tensor lives
        self._results: dict[Any, Any] = {}
        self._count = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping would import the compiler, which takes a second

    def enter_input(self, name: str, meta: Any) -> Any:
        """Makes a tensor known as an input."""
        return self._remember(meta, Tensor(name, meta))

    def enter_stored(self, name: str, tensor: Any) -> None:
        """Makes a parameter or buffer known."""
        known = Tensor(name, _twin(tensor), stored=name)
        known.maker = Recorded(None, (tensor,), {}, (), (), self.at, None)
        self._remember(tensor, known)

    def tensor(self, tensor: Any) -> Tensor:
        """What is known of a tensor; one of which nothing is known is a constant."""
        known = self._known.get(id(tensor))
        if known is None:
            known = Tensor(self._name("constant"), _twin(tensor), constant=True)
            known.maker = Recorded(None, (tensor,), {}, (), (), self.at, None)
            self._remember(tensor, known)
        return known

    def _remember(self, tensor: Any, known: Tensor) -> Any:
        self._known[id(tensor)] = known
        self._kept.append(tensor)
        if known.meta is not tensor:
            self._known[id(known.meta)] = known
        return tensor

    def _name(self, base: str) -> str:
        self._count += 1
        return f"{base} {self._count}"

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if isinstance(function, HigherOrderOperator):
            return self._run_through(function, args, kwargs)
        operator = look(function)
        if operator.packed is not None:
            stands = self._unpacked(operator.packed, args)
            if stands is not None:
                return stands
        tensors: list[Tensor] = []
        key: Any = (function, self._scan(args, tensors))
        if kwargs:
            key = (*key, tuple([(k, self._scan(v, tensors)) for k, v in kwargs.items()]))
        if self.batch is not None:
            refuse_loops(self.batch, operator.name, args, kwargs)
        if operator.composed is not None:
            parts = self._taken_apart(operator.composed, args, kwargs)
            if parts is not NotImplemented:
                return parts
        known = self._results.get(key) if operator.pure or operator.same else None
        if known is not None:
            result = args[0] if operator.same else known()
        else:
            result = self._run(function, operator, args, kwargs, tensors)
            if operator.same:
                self._results[key] = lambda: None
                result = args[0]
            elif operator.pure:
                maker = _again(result)
                if maker is not None:
                    self._results[key] = maker
        self._record(function, operator, args, kwargs, tuple(tensors), result, key)
        return result

    def _unpacked(self, unpack: Any, args: tuple[Any, ...]) -> Any:
        """Calls the operator that one with packed weights stands for."""
        found = unpack(self.module, args)
        if found is None:
            return None
        (function, given), kept = found
        path = self.calls[self.at].path if self.at >= 0 else ""
        for name, twin, dtype in kept:
            full = f"{path}.{name}" if path else name
            self.packed.setdefault(full, (twin, dtype))
            self._remember(twin, Tensor(full, twin, stored=full))
        return self.__torch_dispatch__(function, (), given)

    def _run_through(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs what takes the model's own functions: a loop, a choice, attention."""
        run = RUN_THROUGH.get(function.name())
        if run is None:
            raise NotImplementedError(f"the operator {function.name()} is not read")
        with self:
            return run(*args, **kwargs)

    def _taken_apart(self, parts: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the operators that one is composed of, each of which is recorded."""
        before = len(self.records)
        try:
            with self:
                args, kwargs = self._on_meta(args), {k: self._on_meta(v) for k, v in kwargs.items()}
                return parts(*args, **kwargs)
        except BatchLoop:
            raise
        except Exception:  # some parts need numbers, or are not for the meta device
            del self.records[before:]
            return NotImplemented

    def _scan(self, arg: Any, tensors: list[Tensor]) -> Any:
        """An argument as part of a key; its tensors are listed."""
        kind = type(arg)
        if kind is int or kind is str or kind is bool or arg is None:
            return arg
        if kind is float:
            return ("float", arg)
        if isinstance(arg, torch.Tensor):
            known = self._known.get(id(arg)) or self.tensor(arg)
            tensors.append(known)
            return known.spec
        if isinstance(arg, list | tuple):
            return tuple([self._scan(a, tensors) for a in arg])
        return arg

    def _run(
        self, function: Any, operator: Operator, args: Any, kwargs: Any, tensors: list[Tensor]
    ) -> Any:
        """What the operator makes of tensors on the meta device."""
        if any([t.meta is not None and t.meta.device is not _META for t in tensors]) or tensors:
            args = self._on_meta(args)
            kwargs = {k: self._on_meta(v) for k, v in kwargs.items()} if kwargs else kwargs
        if operator.device is not None:
            args, kwargs = _to_meta(operator, args, kwargs)
        largest = LARGEST.get(operator.name)
        if largest is not None:
            found = largest(function, *args, **kwargs)
            if found is not None:
                return found
        if operator.name in ASKED:
            return asked(function, operator.name, tensors)
        return function(*args, **kwargs)

    def _on_meta(self, arg: Any) -> Any:
        if isinstance(arg, torch.Tensor):
            return self._known[id(arg)].meta
        if isinstance(arg, tuple | list):
            return type(arg)([self._on_meta(a) for a in arg])
        return arg

    def _record(
        self,
        function: Any,
        operator: Operator,
        args: Any,
        kwargs: Any,
        tensors: tuple[Tensor, ...],
        result: Any,
        key: Any,
    ) -> None:
        made = [t for t in _flat(result) if isinstance(t, torch.Tensor)]
        idle = not operator.written and operator.name != "dropout"
        if idle and len(made) == 1 and any([t.meta is made[0] for t in tensors]):
            return  # contiguous, to, expand …: there was nothing to do
        constant = all([t.constant for t in tensors]) or operator.name.startswith(_MADE)
        results = []
        for tensor in made:
            known = Tensor(self._name(operator.name), _twin(tensor), constant=constant)
            if operator.view and tensors:
                known.root = tensors[0].root or tensors[0]
            results.append(known)
        entry = Recorded(function, args, kwargs, tensors, tuple(results), self.at, key)
        for known, tensor in zip(results, made, strict=True):
            known.maker = entry
            self._remember(tensor, known)
        self.records.append(entry)
        if operator.written and tensors:
            self._write_through(tensors[0], results)

    def _write_through(self, target: Tensor, results: list[Tensor]) -> None:
        """A change of a view changes what it is a view of."""
        root = target.root
        if root is None or not results:
            return
        whole = self._known[id(root.meta)]
        changed = Tensor(self._name("copy"), whole.meta)
        changed.constant = whole.constant and results[0].constant
        function = torch.ops.aten.copy.default
        args = (whole.meta, results[0].meta)
        entry = Recorded(
            function, args, {}, (whole, results[0]), (changed,), self.at, "a view was changed"
        )
        changed.maker = entry
        self.records.append(entry)
        self._known[id(root.meta)] = changed


def _twin(tensor: Any) -> Any:
    """A tensor of the same shape on the meta device."""
    if tensor.is_meta:
        return tensor
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return torch.empty(tensor.shape, dtype=_plain_dtype(tensor), device=_META)
    with torch.inference_mode(tensor.is_inference()):  # a view of it must be of its kind
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_META)


def _plain_dtype(tensor: Any) -> Any:
    return torch.float32 if tensor.is_quantized else tensor.dtype


def _flat(result: Any) -> list[Any]:
    if isinstance(result, list | tuple):
        return [t for part in result for t in _flat(part)]
    return [result]


def _again(result: Any) -> Callable[[], Any] | None:
    """What makes such a result again; None if it holds anything but tensors."""
    if isinstance(result, torch.Tensor):
        if result.layout is not torch.strided or not result.is_meta:
            return None
        shape, strides, dtype = tuple(result.shape), result.stride(), result.dtype
        return lambda: torch.empty_strided(shape, strides, dtype=dtype, device=_META)
    if isinstance(result, list | tuple):
        parts = [_again(part) for part in result]
        if all(parts):
            kind = type(result)
            return lambda: kind([part() for part in parts if part])
    return None


def _to_meta(operator: Operator, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments, with meta for whatever device they name."""
    place = operator.device
    if place is not None and place < len(args):
        return (*args[:place], _META, *args[place + 1 :]), kwargs
    return args, {**kwargs, "device": _META}
