"""netledger's own Python, translated to JavaScript: the page runs the rules themselves.

Nothing is written twice. The rules of operations, the inference, the edits, the derivations and
their printing are the modules that Python runs too, put into JavaScript statement by statement.
The translation knows the part of Python that these modules are written in, and refuses the rest
with the file and the line; ``tests/page`` compares both languages over every operation.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib.resources import files

from netledger.render.html.translate.names import PROPERTIES, bound, mangle
from netledger.render.html.translate.statements import Statements, Untranslatable

ROOTS = (
    "netledger.infer",
    "netledger.again",
    "netledger.edits",
    "netledger.explain",
    "netledger.check.follow",
    "netledger.render.common.sizes",
    "netledger.render.common.numbers",
)
"""What the page runs, with everything that it imports."""

WITHOUT = frozenset({"netledger.formula.parsing", "netledger.garbage"})


@cache
def script(roots: tuple[str, ...] = ROOTS) -> str:
    """The modules `roots` and all that they import, as JavaScript for ``runtime.js``."""
    trees: dict[str, ast.Module] = {}
    for root in roots:
        _collect(root, trees)
    classes, methods = _names(trees)
    return "\n".join(_module(name, tree, classes, methods) for name, tree in trees.items())


def _collect(name: str, trees: dict[str, ast.Module], path: tuple[str, ...] = ()) -> None:
    """A module after those that it imports at its top, so that each finds what it needs."""
    if name in trees or name in WITHOUT or name in path:
        return
    tree = ast.parse(_source(name))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("netledger"):
            _collect(str(node.module), trees, (*path, name))
    trees[name] = tree
    later = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    for module in sorted(m for m in later if m and m.startswith("netledger")):
        if module not in path and not _only_for_types(tree, module):
            _collect(module, trees, (*path, name))


def _only_for_types(tree: ast.Module, module: str) -> bool:
    """True for a module that is imported for annotations alone."""
    typed = [n for n in tree.body if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n)]
    kept = {id(n) for block in typed for n in ast.walk(block)}
    return all(
        id(n) in kept
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom) and n.module == module
    )


def _source(name: str) -> str:
    package, _, stem = name.rpartition(".")
    file = files(package) / f"{stem}.py"
    return (file if file.is_file() else files(name) / "__init__.py").read_text(encoding="utf-8")


def _names(trees: dict[str, ast.Module]) -> tuple[set[str], set[str]]:
    classes = {"Fraction"}
    methods: set[str] = set()
    for tree in trees.values():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                classes.add(node.name)
                methods |= {
                    f.name
                    for f in node.body
                    if isinstance(f, ast.FunctionDef)
                    and not any(ast.unparse(d) in PROPERTIES for d in f.decorator_list)
                }
    return classes, methods


def _module(name: str, tree: ast.Module, classes: set[str], methods: set[str]) -> str:
    own = bound(tree.body)
    writer = Statements(classes, methods)
    writer.scopes.append({"TYPE_CHECKING", *own})
    try:
        body = writer.block(tree.body)
    except Untranslatable as error:
        raise Untranslatable(tree, f"{name}, {error}") from None
    names = {n: mangle(n) for n in own if n != "annotations"}
    exports = ", ".join(f"{name}: {mangled}" for name, mangled in names.items())
    text = f"let {', '.join(names.values())};\n{body}\nreturn {{{exports}}};"
    return f'$define("{name}", () => {{\n{text}\n}});'


__all__ = ["ROOTS", "Untranslatable", "script"]
