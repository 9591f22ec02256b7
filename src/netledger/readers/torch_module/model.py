"""The user's model: what it keeps, and how it is left as it was."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from operator import is_
from typing import Any

import torch

from netledger.aten import Stored
from netledger.graph import BIAS, BUFFER, WEIGHT, ModuleCall, TensorType
from netledger.inventory import role
from netledger.readers.torch_module.higher_order import attention_without_device
from netledger.readers.torch_module.torchvision_ops import operators_of_torchvision
from netledger.readers.torch_module.trace import Trace


def unwrap(model: Any) -> Any:
    """The model inside of what torch.compile or DataParallel makes of it."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in ("DataParallel", "DistributedDataParallel"):
            inner = getattr(model, "module", None)
        if not isinstance(inner, torch.nn.Module):
            return model
        model = inner


def kept(model: Any) -> dict[str, tuple[Stored, Any]]:
    """Every parameter and buffer once, by its first name."""
    found: dict[int, tuple[str, str, Any]] = {}
    homes: dict[int, list[str]] = {}
    modules = list(model.named_modules(remove_duplicate=False))
    for role_of, tensors in (("", "_parameters"), (BUFFER, "_buffers")):
        for path, module in modules:
            for leaf, tensor in getattr(module, tensors).items():
                if tensor is None:
                    continue
                name = f"{path}.{leaf}" if path else leaf
                if id(tensor) in found:
                    homes[id(tensor)].append(name)
                else:
                    found[id(tensor)], homes[id(tensor)] = (name, role_of, tensor), [name]
    return {
        name: (_stored(name, kind, tensor, tuple(homes[key])), tensor)
        for key, (name, kind, tensor) in found.items()
    }


def _stored(name: str, kind: str, tensor: Any, homes: tuple[str, ...]) -> Stored:
    shape, dtype = tuple(tensor.shape), str(tensor.dtype)[6:]
    if kind != BUFFER:
        named = role(name.rpartition(".")[2], shape, dtype)
        kind = BIAS if named == BIAS else WEIGHT
    learned = kind != BUFFER and bool(tensor.requires_grad)
    return Stored(name, kind, TensorType(shape, dtype), learned, homes=homes)


@contextmanager
def unchanged(modules: Iterable[Any]) -> Iterator[None]:
    """Whatever the forward pass does to the modules is undone."""
    training = [getattr(module, "training", None) for module in modules]  # a frozen one has none
    before = [_snapshot(module) for module in modules]
    numbers = _random_state()
    try:
        yield
    finally:
        for module, state, mode in zip(modules, before, training, strict=True):
            _restore(module, state)
            if mode is not None and module.training != mode:  # a scripted module keeps it elsewhere
                module.training = mode
        _restore_random(numbers)


Snapshot = tuple[dict[str, Any], list[tuple[Any, Any]]]
_CONTAINERS = (dict, list, set)


def _snapshot(module: Any) -> Snapshot:
    """Its attributes, and what is in those that are containers."""
    attributes = dict(module.__dict__)
    inside = []
    for value in attributes.values():
        if isinstance(value, _CONTAINERS):  # mostly empty: the many kinds of hooks
            inside.append((value, _copy(value) if value else ()))
    return attributes, inside


def _copy(value: Any) -> Any:
    return next(kind(value) for kind in _CONTAINERS if isinstance(value, kind))


def _restore(module: Any, state: Snapshot) -> None:
    attributes, inside = state
    for value, before in ((module.__dict__, attributes), *inside):
        if not (value or before) or _same(value, before):
            continue
        if isinstance(value, list):
            value[:] = before
        else:
            value.clear()
            value.update(before)


def _same(value: Any, before: Any) -> bool:
    """True if a container holds the very same things, in their order."""
    if len(value) != len(before):
        return False
    if isinstance(value, dict):
        return all(map(is_, value, before)) and all(map(is_, value.values(), before.values()))
    return all(map(is_, value, before)) if isinstance(value, list) else bool(value == before)


def _random_state() -> tuple[Any, ...]:
    numpy = sys.modules.get("numpy")
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return (
        torch.get_rng_state(),
        devices,
        random.getstate(),
        numpy.random.get_state() if numpy is not None else None,
    )


def _restore_random(state: tuple[Any, ...]) -> None:
    cpu, devices, python, numpy = state
    torch.set_rng_state(cpu)
    if devices is not None:
        torch.cuda.set_rng_state_all(devices)
    random.setstate(python)
    if numpy is not None:
        sys.modules["numpy"].random.set_state(numpy)


@contextmanager
def recording(modules: Mapping[str, Any], trace: Trace) -> Iterator[None]:
    """Every call of a module is told to the trace; nothing is computed, nothing is learned."""
    with ExitStack() as stack:
        stack.enter_context(unchanged(modules.values()))
        for module in modules.values():
            if getattr(module, "training", False):
                module.training = False
        stack.enter_context(_fast_path_off())
        stack.enter_context(_not_compiled())
        stack.enter_context(_told(modules, trace))
        stack.enter_context(torch.inference_mode())
        stack.enter_context(operators_of_torchvision())
        stack.enter_context(attention_without_device())
        stack.enter_context(trace)
        yield


@contextmanager
def _told(modules: Mapping[str, Any], trace: Trace) -> Iterator[None]:
    """Module calls by way of the hooks that PyTorch has for all modules, in this thread."""
    paths = {id(module): (name, kind(module)) for name, module in modules.items()}
    thread = threading.get_ident()
    outer: list[tuple[Any, int]] = []

    def enter(module: Any, args: Any) -> None:
        path = paths.get(id(module))
        if path is not None and threading.get_ident() == thread:
            outer.append((module, trace.at))
            parent, trace.at = trace.at, len(trace.calls)
            trace.calls.append(ModuleCall(*path, parent))
            trace.module, trace.given = module, args

    def leave(module: Any, args: Any, made: Any) -> None:
        if id(module) in paths and threading.get_ident() == thread:
            last, at = outer.pop()
            while last is not module:  # the model went on after an error of its own
                last, at = outer.pop()
            trace.at, trace.module = at, outer[-1][0] if outer else None

    hooks = torch.nn.modules.module
    with ExitStack() as stack:
        stack.callback(hooks.register_module_forward_pre_hook(enter).remove)
        stack.callback(hooks.register_module_forward_hook(leave).remove)
        yield


def kind(module: Any) -> str:
    """Its class, with the module that has it."""
    own = type(module)
    return f"{own.__module__}.{own.__qualname__}"


@contextmanager
def _fast_path_off() -> Iterator[None]:
    """Attention modules as their operators, not as one fused function."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _not_compiled() -> Iterator[None]:
    """Compiled functions run as they were written; only where the compiler is loaded at all."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
