"""Statements, functions and classes of Python in JavaScript."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from typing import Any

from netledger.render.html.translate.expressions import Expressions, Untranslatable
from netledger.render.html.translate.names import (
    LIBRARY,
    PROPERTIES,
    bound,
    mangle,
    parameters,
    targets,
    yields,
)

NOTHING_HERE = {"no_garbage()"}
IGNORED_DECORATORS = {"dataclass_transform"}


class Statements(Expressions):
    """Translates blocks of statements."""

    def block(self, body: list[ast.stmt]) -> str:
        """Statements, one a line."""
        return "\n".join(text for node in body if (text := self.statement(node)))

    def statement(self, node: ast.stmt) -> str:
        """One statement; empty for what has no effect."""
        rule = self.STATEMENTS.get(type(node))
        if rule is None:
            raise Untranslatable(node, f"{type(node).__name__} has no counterpart")
        return rule(self, node)

    def _expression(self, node: Any) -> str:
        if isinstance(node.value, ast.Constant):
            return ""  # a docstring
        return f"{self.show(node.value)};"

    def _assign(self, node: Any) -> str:
        value = self.show(node.value)
        *others, last = node.targets
        text = self._store(last, value)
        return text + "".join(self._store(other, self.show(last)) for other in others)

    def _store(self, target: Any, value: str) -> str:
        if isinstance(target, ast.Subscript):
            return f"$set_item({self.show(target.value)}, {self.show(target.slice)}, {value});"
        if isinstance(target, ast.Attribute):
            if isinstance(target.value, ast.Name) and target.value.id != "self":
                owner = self.show(target.value)
                return f"$setattr({owner}, {json.dumps(target.attr)}, {value});"
            return f"{self.target(target)} = {value};"
        if isinstance(target, ast.Tuple):
            stars = [i for i, e in enumerate(target.elts) if isinstance(e, ast.Starred)]
            if stars and stars[0] < len(target.elts) - 1:
                return self._spread(target, stars[0], value)
            return f"{self.target(target)} = {value};"
        return f"{self.target(target)} = {value};"

    def _spread(self, target: Any, at: int, value: str) -> str:
        """``*positions, features = x``: JavaScript takes the rest only at the end."""
        names = [e.value if isinstance(e, ast.Starred) else e for e in target.elts]
        wanted = ", ".join(map(self.target, names))
        return f"[{wanted}] = $spread({value}, {at}, {len(names) - at - 1});"

    def _annotated(self, node: Any) -> str:
        return self._store(node.target, self.show(node.value)) if node.value else ""

    def _augmented(self, node: Any) -> str:
        load = ast.parse(ast.unparse(node.target), mode="eval").body
        changed = ast.BinOp(left=load, op=node.op, right=node.value)
        if isinstance(node.op, ast.Add):
            value = f"$iadd({self.show(load)}, {self.show(node.value)})"
        else:
            value = self.show(changed)
        return self._store(node.target, value)

    def _return(self, node: Any) -> str:
        return f"return {self.show(node.value)};" if node.value else "return null;"

    def _if(self, node: Any) -> str:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return ""
        text = f"if ({self.test(node.test)}) {{\n{self.block(node.body)}\n}}"
        return f"{text} else {{\n{self.block(node.orelse)}\n}}" if node.orelse else text

    def _for(self, node: Any) -> str:
        if node.orelse:
            raise Untranslatable(node, "for … else")
        head = f"for ({self.target(node.target)} of {self.show(node.iter)})"
        return f"{head} {{\n{self.block(node.body)}\n}}"

    def _while(self, node: Any) -> str:
        return f"while ({self.test(node.test)}) {{\n{self.block(node.body)}\n}}"

    def _raise(self, node: Any) -> str:
        return "throw $e;" if node.exc is None else f"throw {self.show(node.exc)};"

    def _try(self, node: Any) -> str:
        if node.finalbody or node.orelse:
            raise Untranslatable(node, "finally or else of a try")
        text = f"try {{\n{self.block(node.body)}\n}} catch ($e) {{\n"
        for handler in node.handlers:
            kinds = self.show(handler.type)
            naming = f"{mangle(handler.name)} = $e;\n" if handler.name else ""
            text += (
                f"if ($isinstance($e, {kinds})) {{\n{naming}{self.block(handler.body)}\n}} else "
            )
        return text + "{ throw $e; }\n}"

    def _with(self, node: Any) -> str:
        """Only what concerns Python's own memory: the block alone remains."""
        managers = [ast.unparse(item.context_expr) for item in node.items]
        if not set(managers) <= NOTHING_HERE:
            raise Untranslatable(node, f"with {', '.join(managers)}")
        return self.block(node.body)

    def _delete(self, node: Any) -> str:
        return "".join(
            f"$del_item({self.show(t.value)}, {self.show(t.slice)});" for t in node.targets
        )

    def _assert(self, node: Any) -> str:
        return f'if (!{self.test(node.test)}) throw new Error("assertion");'

    def _import(self, node: Any) -> str:
        for alias in node.names:
            if alias.name not in LIBRARY:
                raise Untranslatable(node, f"import {alias.name}")
        return "".join(
            f"{mangle(a.asname or a.name)} = $module({json.dumps(a.name)});" for a in node.names
        )

    def _import_from(self, node: Any) -> str:
        if node.module == "__future__":
            return ""
        names = [a for a in node.names if a.name != "TYPE_CHECKING"]
        known = LIBRARY.get(node.module, set())
        if not node.module.startswith("netledger") and known is not None:
            for alias in names:
                if alias.name not in known:
                    raise Untranslatable(node, f"from {node.module} import {alias.name}")
        parts = ", ".join(f"{a.name}: {mangle(a.asname or a.name)}" for a in names)
        return f"({{{parts}}} = $module({json.dumps(node.module)}));" if names else ""

    def _function(self, node: Any) -> str:
        """A function that is not a method."""
        text = f"{mangle(node.name)} = $function({self._signature(node)}, {self.function(node)});"
        for decorator in reversed(node.decorator_list):
            if self._decorator(decorator) not in IGNORED_DECORATORS:
                text += f"{mangle(node.name)} = {self.show(decorator)}({mangle(node.name)});"
        return text

    @staticmethod
    def _decorator(node: Any) -> str:
        called = node.func if isinstance(node, ast.Call) else node
        return called.id if isinstance(called, ast.Name) else ""

    def _signature(self, node: Any, skip: int = 0) -> str:
        a = node.args
        names = [x.arg for x in (*a.posonlyargs, *a.args)][skip:] + [x.arg for x in a.kwonlyargs]
        return json.dumps([names, a.vararg is not None, a.kwarg is not None])

    def function(self, node: Any, method: bool = False, name: str = "") -> str:
        """The function without its decorators; of a method, what stands in the class."""
        a = node.args
        plain = [*a.posonlyargs, *a.args][1 if method else 0 :]
        own = bound(node.body)
        self.scopes.append({*parameters(a), *own})
        lines = []
        if method:
            lines.append(f"const {mangle((*a.posonlyargs, *a.args)[0].arg)} = this;")
        head = self._heads(node, plain)
        if a.kwarg is not None:  # named arguments come last, all in one
            rest = mangle(a.vararg.arg) if a.vararg else "[$rest]"
            head += "" if a.vararg else f"{', ' * bool(head)}$rest"
            lines.append(f"const {mangle(a.kwarg.arg)} = $keywords({rest});")
        local = [mangle(n) for n in own if n not in parameters(a)]
        if local:
            lines.append(f"let {', '.join(local)};")
        lines.append(self.block(node.body))
        if not isinstance(node.body[-1], ast.Return | ast.Raise):
            lines.append("return null;")
        self.scopes.pop()
        star = "*" if yields(node) else ""
        text = "\n".join(lines)
        if name:
            return f"{star}{name}({head}) {{\n{text}\n}}"
        return f"function{star} ({head}) {{\n{text}\n}}"

    def _heads(self, node: Any, plain: list[Any]) -> str:
        a = node.args
        defaults = [None] * (len(plain) - len(a.defaults)) + a.defaults[-len(plain) or None :]
        pairs = list(zip(plain, defaults, strict=True))
        pairs += zip(a.kwonlyargs, a.kw_defaults, strict=True)
        parts = [f"{mangle(x.arg)} = {self.show(d)}" if d else mangle(x.arg) for x, d in pairs]
        if a.vararg is not None:
            if a.kwonlyargs:
                raise Untranslatable(node, "parameters after *")
            parts.append(f"...{mangle(a.vararg.arg)}")
        return ", ".join(parts)

    def _class(self, node: Any) -> str:
        bases = [b for b in node.bases if not isinstance(b, ast.Subscript)]
        base = self.show(bases[0]) if bases else "$Object"
        members, variables, fields, signatures, static = [], [], [], [], []
        for item in node.body:
            match item:
                case ast.FunctionDef(name=name):
                    kinds = {self._decorator(d) for d in item.decorator_list}
                    method = "staticmethod" not in kinds
                    prefix = "get " if kinds & PROPERTIES else ""
                    members.append(prefix + self.function(item, method, json.dumps(name)))
                    signatures.append(f"{json.dumps(name)}: {self._signature(item, int(method))}")
                    if kinds & {"staticmethod", "classmethod"}:
                        static.append(name)
                case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=value):
                    if "ClassVar" in ast.unparse(kind):
                        if value is not None:
                            variables.append((name, self.show(value)))
                        continue
                    default = f", () => {self.show(value)}" if value is not None else ""
                    fields.append(f"[{json.dumps(name)}{default}]")
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    variables.append((name, self.show(value)))
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    pairs = zip(names, values, strict=True)
                    variables += [(self.target(name), self.show(value)) for name, value in pairs]
                case ast.Expr(value=ast.Constant()):
                    pass
                case _:
                    raise Untranslatable(item, "this in a class")
        told = ", ".join(f"{json.dumps(name)}: {value}" for name, value in variables)
        name = mangle(node.name)
        body = "\n".join(members)
        text = (
            f"{name} = $class({json.dumps(node.name)}, class extends {base} {{\n{body}\n}}, "
            f"{{{told}}}, [{', '.join(fields)}], {{{', '.join(signatures)}}}, "
            f"{json.dumps(static)});"
        )
        for decorator in reversed(node.decorator_list):
            text += f"\n{name} = $call({self.show(decorator)}, [{name}]);"
        return text

    STATEMENTS: Mapping[type[ast.AST], Callable[[Any, Any], str]] = {
        ast.Expr: _expression,
        ast.Assign: _assign,
        ast.AnnAssign: _annotated,
        ast.AugAssign: _augmented,
        ast.Return: _return,
        ast.If: _if,
        ast.For: _for,
        ast.While: _while,
        ast.Raise: _raise,
        ast.Try: _try,
        ast.With: _with,
        ast.Delete: _delete,
        ast.Assert: _assert,
        ast.Import: _import,
        ast.ImportFrom: _import_from,
        ast.FunctionDef: _function,
        ast.ClassDef: _class,
        ast.Pass: lambda self, node: "",
        ast.Break: lambda self, node: "break;",
        ast.Continue: lambda self, node: "continue;",
    }


__all__ = ["Statements", "Untranslatable", "targets"]
