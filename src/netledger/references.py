"""Texts that name a live model.

    package.module:attribute    a model, or a function or class that returns one
    file.py:attribute           the same, in a file
    timm:NAME                   timm.create_model(NAME)
    torchvision:NAME            torchvision.models.get_model(NAME)
    keras:NAME                  keras.applications.NAME(weights=None)
    hf:FOLDER                   transformers' model for the config.json in FOLDER, or that file

This is the only place that runs a user's Python, and it does so only for these texts. Nothing is
downloaded. PyTorch models are made on the meta device, where tensors have a shape and no numbers.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from netledger.errors import MissingPackage, NetledgerError, UnknownName, UsageError
from netledger.keras_backend import ready

_DOTTED = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_PYTHON = re.compile(rf"(?P<module>{_DOTTED}|.*\.py):(?P<attribute>{_DOTTED})")
_COLLECTIONS = ("timm", "torchvision", "keras", "hf")
LARGE = 4096
"""How many numbers a tensor may have that is made for real where a model computes with them."""
_HINT = "write package.module:attribute or file.py:attribute"


def is_reference(name: str) -> bool:
    """True for a text that names a live model, whether or not there is one.

    >>> is_reference("torchvision.models:resnet50"), is_reference("resnet50.onnx")
    (True, False)
    """
    collection, colon, rest = name.partition(":")
    if colon and collection in _COLLECTIONS:
        return True
    return _PYTHON.fullmatch(name) is not None and not rest.startswith("\\")


def resolve(name: str) -> Any:
    """The object that a reference names. Runs Python.

    Raises:
        NetledgerError: If there is no such thing, or its code fails; the message says where.
    """
    ready()
    collection, _, rest = name.partition(":")
    if collection in _FINDERS:
        return _FINDERS[collection](rest)
    match = _PYTHON.fullmatch(name)
    if match is None:
        raise UsageError(f"{name!r} names no model", hint=_HINT)
    module, attribute = match["module"], match["attribute"]
    found = _import_file(module) if module.endswith(".py") else _import(module)
    return _made(_attribute(found, module, attribute), name)


def _import(module: str) -> Any:
    """The module, imported as if Python had been started in the current folder."""
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        if module.partition(".")[0] in ("torchvision", "timm"):
            return beside_torchvision(module)
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise _no_module(error.name) from None
        raise _failed(error, f"importing {module}") from None
    except NetledgerError:
        raise
    except Exception as error:
        raise _failed(error, f"importing {module}") from None
    finally:
        if added:
            sys.path.remove(here)


_EXTRAS = {
    **dict.fromkeys(("torch", "torchvision", "timm"), "torch"),
    "transformers": "hf",
    "keras": "keras",
    "jax": "jax",
}


def _no_module(name: str) -> NetledgerError:
    top = name.partition(".")[0]
    if name in ("torchvision", "timm"):
        fact = f"this model needs the package {name!r}, which is not installed"
        return UsageError(fact, hint=f"pip install {name}")
    if name in _EXTRAS:
        return MissingPackage(name, extra=_EXTRAS[name], purpose="this model")
    hint = "a module is looked for where Python does, and in the current folder"
    if os.path.exists(f"{name}.py"):
        hint = f"write {name}.py:attribute"
    inside = f" in {top}" if top != name else ""
    return UsageError(f"there is no module {name!r}{inside}", hint=hint)


def _import_file(path: str) -> Any:
    """A file as a module; what lies beside it can be imported, as when it is run."""
    if not os.path.isfile(path):
        raise UsageError(f"there is no file {path!r}", hint=_HINT)
    full = os.path.abspath(path)
    name = os.path.splitext(os.path.basename(full))[0]
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == full:
        return known
    if known is not None:
        name = f"_netledger_{name}"
    spec = importlib.util.spec_from_file_location(name, full)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path!r} is no Python file", hint=_HINT)
    module = importlib.util.module_from_spec(spec)
    folder = os.path.dirname(full)
    sys.path.insert(0, folder)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(name, None)
        raise _failed(error, f"running {path}", path) from None
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def _failed(error: BaseException, doing: str, path: str = "") -> NetledgerError:
    """An error out of the user's code: what it says, and the innermost line of it."""
    if isinstance(error, NetledgerError):
        return error
    said = " ".join(str(error).split()) or "no message"
    said = said if len(said) <= 400 else f"{said[:400]}…"
    line, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if path and os.path.abspath(file) == os.path.abspath(path):
            line = f"{path}:{trace.tb_lineno}"
        trace = trace.tb_next
    missing = isinstance(error, ModuleNotFoundError) and error.name
    hint = f"pip install {error.name}" if missing else ""  # type: ignore[attr-defined]
    return UsageError(f"{doing} failed: {type(error).__name__}: {said}", source=line, hint=hint)


def _attribute(module: Any, name: str, attribute: str) -> Any:
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [k for k in vars(found) if k[0] != "_"] if hasattr(found, "__dict__") else []
            hint = f"it has {', '.join(known[:8])}" if known else ""
            raise UnknownName(f"attribute of {name}", part, known, hint=hint)
        found = getattr(found, part)
    return found


def _made(thing: Any, name: str) -> Any:
    """The model itself: a function or class is called, without arguments, if it takes none."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return thing
    needed = _required(thing)
    if needed and inspect.isclass(thing):
        raise UsageError(
            f"{name} is a class that needs {', '.join(needed)}",
            hint="write a function that returns the model, and name that",
        )
    return thing if needed else _on_meta(thing, f"calling {name.rpartition(':')[2]}()", name)


def _required(thing: Callable[..., Any]) -> list[str]:
    """The arguments without a default."""
    try:
        arguments = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return []
    named = (p for p in arguments if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    return [p.name for p in named if p.default is p.empty]


def _on_meta(make: Callable[[], Any], doing: str, name: str = "") -> Any:
    """Calls it with PyTorch's tensors on the meta device; with numbers if it needs them."""
    path = name.partition(":")[0]
    path = path if path.endswith(".py") else ""
    if "torch" not in sys.modules:
        return _called(make, doing, path)
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for place in (torch.device("meta"), _large_on_meta()):
            try:
                with place:
                    return make()
            except Exception:  # it computes while it is made, and needs numbers for that
                continue
        return _called(make, doing, path)


def _large_on_meta() -> Any:
    """Puts only tensors of more than a few numbers on the meta device."""
    import torch
    from torch.overrides import TorchFunctionMode

    makers = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full)

    class LargeOnMeta(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if function in makers and kwargs.get("device") is None:
                sizes = args[0] if args and isinstance(args[0], tuple | list) else args
                if math.prod(s for s in sizes if isinstance(s, int)) > LARGE:
                    kwargs = {**kwargs, "device": "meta"}
            return function(*args, **kwargs)

    return LargeOnMeta()


def _called(make: Callable[[], Any], doing: str, path: str) -> Any:
    try:
        return make()
    except Exception as error:
        raise _failed(error, doing, path) from None


def _timm(name: str) -> Any:
    timm = _import("timm")
    plain = name.partition(".")[0]
    if plain not in timm.list_models():
        raise UnknownName("timm model", name, timm.list_models())
    return _on_meta(lambda: timm.create_model(name), f"timm.create_model({name!r})")


def _torchvision(name: str) -> Any:
    models = _import("torchvision.models")
    if name not in models.list_models():
        raise UnknownName("torchvision model", name, models.list_models())
    given: dict[str, Any] = {"weights": None}
    if "weights_backbone" in inspect.signature(models.get_model_builder(name)).parameters:
        given["weights_backbone"] = None
    return _on_meta(lambda: models.get_model(name, **given), f"torchvision's {name}")


def _keras(name: str) -> Any:
    applications = _import("keras").applications
    known = [k for k, v in vars(applications).items() if inspect.isroutine(v)]
    if name not in known:
        raise UnknownName("keras.applications model", name, known)
    make = getattr(applications, name)
    with _no_values():
        return _called(lambda: make(weights=None), f"keras.applications.{name}", "")


@contextmanager
def _no_values() -> Iterator[None]:
    """Variables of Keras that are made here have a shape and get no values, now or later."""
    import keras
    from keras.src.backend.common import global_state

    waiting = list(global_state.get_global_attribute("uninitialized_variables") or ())
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute("uninitialized_variables", waiting)


def _hf(path: str) -> Any:
    """The model of transformers for a config: made on the meta device, nothing is loaded."""
    file = os.path.join(path, "config.json") if os.path.isdir(path) else path
    if not os.path.isfile(file):
        raise UsageError(
            f"there is no config.json at {path!r}", hint="hf: takes a folder or a file on disk"
        )
    try:
        with open(file, encoding="utf-8") as stream:
            given = json.load(stream)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no JSON: {error}") from None
    if not isinstance(given, dict) or not isinstance(given.get("model_type"), str):
        raise UsageError(f"{file} has no model_type", hint="it is not a config of transformers")
    if importlib.util.find_spec("torchvision") is not None:
        _import("torchvision")  # transformers imports it too, and stumbles where it does not load
    transformers = _import("transformers")
    _import("torch")
    if given["model_type"] not in transformers.CONFIG_MAPPING:
        raise _foreign(file, given, transformers.CONFIG_MAPPING)
    own = {key: value for key, value in given.items() if key != "auto_map"}  # code that it brings
    try:
        config = transformers.AutoConfig.for_model(**own)
    except Exception as error:
        raise _failed(error, f"reading {file}") from None
    if getattr(config, "use_pretrained_backbone", False):
        config.use_pretrained_backbone = False  # which would be downloaded
    named = [n for n in given.get("architectures") or () if isinstance(n, str)]
    kind = getattr(transformers, named[0], None) if named else None
    model = kind if hasattr(kind, "_from_config") else transformers.AutoModel
    make = "_from_config" if model is kind else "from_config"
    return _on_meta(lambda: getattr(model, make)(config), f"making the model of {file}")


def _foreign(file: str, given: dict[str, Any], known: Iterable[str]) -> NetledgerError:
    """The error about a kind of model that transformers does not have."""
    kind = given["model_type"]
    if "auto_map" not in given:
        return UnknownName("model_type of transformers", kind, list(known))
    return UsageError(
        f"{file}: models of type {kind!r} are made by code beside it (auto_map), which is not run",
        hint="look at that code; then name what makes the model: file.py:attribute",
    )


_FINDERS: dict[str, Callable[[str], Any]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "keras": _keras,
    "hf": _hf,
}

_kept: list[Any] = []
"""Operators vanish with the library object that declares them."""


def beside_torchvision(module: str) -> Any:
    """The module; also beside a torchvision whose compiled operators do not load.

    It then fails on import for two operators that models need only after the last layer; to
    declare them is enough, for nothing is computed.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingPackage("torch", extra="torch", purpose="this model")
    try:
        return importlib.import_module(module)
    except RuntimeError as error:
        if "torchvision::" not in str(error) or _kept:
            raise
    import torch

    for name in [m for m in sys.modules if m.partition(".")[0] in ("torchvision", "timm")]:
        del sys.modules[name]
    operators = torch.library.Library("torchvision", "FRAGMENT")
    _kept.append(operators)
    for operator in ("nms", "qnms"):
        operators.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module(module)
