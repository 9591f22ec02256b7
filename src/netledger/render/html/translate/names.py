"""Names: what is bound where, and what a name is called in JavaScript."""

from __future__ import annotations

import ast
from collections.abc import Iterable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


RESERVED = _words(
    "arguments await case catch class const debugger default delete do enum eval export extends "
    "function implements instanceof interface let new package private protected public static "
    "super switch this throw typeof var void with"
)
BUILTINS = _words(
    "AttributeError Exception ImportError KeyError TypeError ValueError abs all any bool dict "
    "divmod enumerate float frozenset getattr hash id int isinstance iter len list map max min "
    "next object ord range repr reversed round set slice sorted str sum super tuple type zip "
    "NotImplemented NotImplementedError property"
)
"""The builtins that the runtime has, each under its own name with a ``$`` before it."""

METHODS = _words(
    "add append capitalize copy count endswith extend format fromkeys get index insert "
    "intersection isalpha isdigit isprintable issubset items join keys lower lstrip maketrans "
    "partition pop remove removeprefix removesuffix replace rfind rpartition rsplit rstrip "
    "setdefault sort split splitlines startswith strip title translate union update upper "
    "values as_integer_ratio indices isdisjoint find is_integer"
)
"""Methods of Python's own types: a call of one asks at run time what it is called on."""


LIBRARY = {
    "collections.abc": None,
    "dataclasses": {"dataclass", "field", "fields", "replace"},
    "difflib": {"get_close_matches"},
    "fractions": {"Fraction"},
    "functools": {"cache", "cached_property", "lru_cache"},
    "importlib": {"import_module"},
    "itertools": {"pairwise"},
    "math": {"ceil", "gcd", "inf", "prod"},
    "operator": {"add", "sub", "mul", "floordiv", "mod", "lt", "le", "gt", "ge"},
    "os": {"PathLike"},
    "re": {"fullmatch", "sub", "compile"},
    "types": {"MappingProxyType"},
    "typing": None,
}
"""What the runtime has of Python's library; None: names for annotations."""


PROPERTIES = {"property", "cached_property"}
"""Decorators that make a method an attribute."""


def mangle(name: str) -> str:
    """The name in JavaScript."""
    return f"{name}_" if name in RESERVED else name


def bound(body: Iterable[ast.AST]) -> dict[str, None]:
    """The names that a block binds by itself, not counting nested functions and comprehensions."""
    found: dict[str, None] = {}
    waiting = list(body)
    while waiting:
        node = waiting.pop(0)
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = None
                continue
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                continue
            case ast.GeneratorExp():
                continue
            case ast.Name(id=name, ctx=ast.Store()):
                found[name] = None
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found.update((alias.asname or alias.name, None) for alias in names)
            case ast.ExceptHandler(name=str(name)):
                found[name] = None
        waiting += ast.iter_child_nodes(node)
    return found


def parameters(arguments: ast.arguments) -> list[str]:
    """The names of all parameters."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    stars = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return [a.arg for a in (*every, *stars)]


def targets(target: ast.AST) -> list[str]:
    """The names that a target of an assignment or a loop binds."""
    return [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]


def yields(function: ast.FunctionDef) -> bool:
    """True for a generator."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return False
