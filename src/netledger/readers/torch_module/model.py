"""The user's model: what it keeps, and how it is left as it was."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from netledger.aten import Stored
from netledger.graph import BIAS, BUFFER, WEIGHT, ModuleCall, TensorType
from netledger.inventory import StoredTensor, role
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
    parameters = model.named_parameters(remove_duplicate=False)
    for kind, tensors in (
        ("", parameters),
        (BUFFER, model.named_buffers(remove_duplicate=False)),
    ):
        for name, tensor in tensors:
            found.setdefault(id(tensor), (name, kind, tensor))
            homes.setdefault(id(tensor), []).append(name)
    return {
        name: (_stored(name, kind, tensor, tuple(homes[key])), tensor)
        for key, (name, kind, tensor) in found.items()
    }


def _stored(name: str, kind: str, tensor: Any, homes: tuple[str, ...]) -> Stored:
    shape, dtype = tuple(tensor.shape), str(tensor.dtype)[6:]
    if kind != BUFFER:
        named = role(StoredTensor(name, shape, dtype))
        kind = BIAS if named == BIAS else WEIGHT
    learned = kind != BUFFER and bool(tensor.requires_grad)
    return Stored(name, kind, TensorType(shape, dtype), learned, homes=homes)


@contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """Whatever the forward pass does to the model is undone."""
    modules = list(model.modules())
    training = [module.training for module in modules]
    before = [_snapshot(module) for module in modules]
    numbers = _random_state()
    try:
        yield
    finally:
        for module, state, mode in zip(modules, before, training, strict=True):
            _restore(module, state)
            if module.training != mode:  # a scripted module keeps it elsewhere
                module.training = mode
        _restore_random(numbers)


Snapshot = tuple[dict[str, Any], list[tuple[Any, Any]]]


def _snapshot(module: Any) -> Snapshot:
    """Its attributes, and what is in those that are containers."""
    attributes = dict(module.__dict__)
    inside = [
        (value, value.copy())
        for value in attributes.values()
        if isinstance(value, dict | list | set)
    ]
    return attributes, inside


def _restore(module: Any, state: Snapshot) -> None:
    attributes, inside = state
    for value, copy in inside:
        if isinstance(value, list):
            if len(value) != len(copy) or any(a is not b for a, b in zip(value, copy, strict=True)):
                value[:] = copy
        elif value.keys() != copy.keys() if isinstance(value, dict) else value != copy:
            value.clear()
            value.update(copy)
        elif isinstance(value, dict):
            for key, item in copy.items():
                if value[key] is not item:
                    value[key] = item
    own = module.__dict__
    for name in [name for name in own if name not in attributes]:
        del own[name]
    for name, value in attributes.items():
        if own.get(name) is not value or name not in own:
            own[name] = value


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
def recording(model: Any, trace: Trace) -> Iterator[None]:
    """Every call of a module is told to the trace; nothing is computed, nothing is learned."""
    with ExitStack() as stack:
        stack.enter_context(unchanged(model))
        for module in model.modules():
            if module.training:
                module.training = False
        stack.enter_context(_fast_path_off())
        stack.enter_context(_not_compiled())
        stack.enter_context(_told(model, trace))
        stack.enter_context(torch.inference_mode())
        stack.enter_context(operators_of_torchvision())
        stack.enter_context(trace)
        yield


@contextmanager
def _told(model: Any, trace: Trace) -> Iterator[None]:
    """Module calls by way of the hooks that PyTorch has for all modules, in this thread."""
    paths = {id(m): (name, _kind(m)) for name, m in model.named_modules()}
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


def _kind(module: Any) -> str:
    kind = type(module)
    return f"{kind.__module__}.{kind.__qualname__}"


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
