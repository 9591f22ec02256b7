"""Expressions of Python as expressions of JavaScript.

Whole numbers are BigInt, so they are exact at any size; what Python's operators and builtin types
do beyond JavaScript's own is done by the functions of ``runtime.js``, whose names begin with ``$``.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from typing import Any

from netledger.render.html.translate.names import BUILTINS, METHODS, mangle, parameters, targets

OPERATORS: Mapping[type[ast.AST], str] = {
    ast.Add: "$add",
    ast.Sub: "$sub",
    ast.Mult: "$mul",
    ast.FloorDiv: "$floordiv",
    ast.Mod: "$mod",
    ast.Div: "$div",
    ast.Pow: "$pow",
    ast.BitOr: "$or",
    ast.BitAnd: "$and",
}
COMPARISONS: Mapping[type[ast.AST], str] = {
    ast.Eq: "$eq({}, {})",
    ast.NotEq: "!$eq({}, {})",
    ast.Lt: "$lt({}, {})",
    ast.LtE: "$le({}, {})",
    ast.Gt: "$lt({1}, {0})",
    ast.GtE: "$le({1}, {0})",
    ast.Is: "({} === {})",
    ast.IsNot: "({} !== {})",
    ast.In: "$in({}, {})",
    ast.NotIn: "!$in({}, {})",
}
BUILTIN_CLASSES = {"dict", "set", "frozenset", *(n for n in BUILTINS if n.endswith("Error"))}
BOOLEAN_CALLS = {"isinstance", "bool", "any", "all"}


class Untranslatable(Exception):
    """Something that the translation has no counterpart for."""

    def __init__(self, node: ast.AST, what: str) -> None:
        super().__init__(f"line {getattr(node, 'lineno', '?')}: {what}")


class Expressions:
    """Translates expressions; scopes tell local names from builtins.

    Attributes:
        scopes: The names that are bound, from the module inward.
        classes: The names that are known to be classes, which are called with ``new``.
        methods: The names of all methods of all classes: used as values, they are bound.
    """

    def __init__(self, classes: set[str], methods: set[str]) -> None:
        self.scopes: list[set[str]] = []
        self.classes = classes
        self.methods = methods

    def show(self, node: ast.AST) -> str:
        """`node` in JavaScript."""
        rule = self.RULES.get(type(node))
        if rule is None:
            raise Untranslatable(node, f"{type(node).__name__} has no counterpart")
        return rule(self, node)

    def every(self, nodes: list[Any]) -> str:
        """Expressions with commas between them."""
        return ", ".join(map(self.show, nodes))

    def test(self, node: ast.AST) -> str:
        """`node` as a condition, with Python's idea of what is true."""
        if _is_boolean(node):
            return self.show(node)
        return f"$t({self.show(node)})"

    def _name(self, node: Any) -> str:
        name = node.id
        if any(name in scope for scope in self.scopes):
            return mangle(name)
        if name in BUILTINS:
            return f"${name}"
        raise Untranslatable(node, f"{name} is not known")

    def _constant(self, node: Any) -> str:
        value = node.value
        match value:
            case None | True | False:
                return {None: "null", True: "true", False: "false"}[value]
            case int():
                return f"{value}n"
            case str() | float():
                return json.dumps(value)
        if value is ...:
            return "$ellipsis"
        raise Untranslatable(node, f"a constant {value!r}")

    def _text(self, node: Any) -> str:
        return " + ".join(['""', *(self._piece(part) for part in node.values)])

    def _piece(self, part: Any) -> str:
        if isinstance(part, ast.Constant):
            return json.dumps(part.value)
        convert = '"r"' if part.conversion == ord("r") else '""'
        spec = f"({self.show(part.format_spec)})" if part.format_spec else '""'
        return f"$format({self.show(part.value)}, {convert}, {spec})"

    def _attribute(self, node: Any) -> str:
        if node.attr == "__dict__":
            return f"$vars({self.show(node.value)})"
        value = self.show(node.value)
        if node.attr in self.methods and isinstance(node.ctx, ast.Load):
            if isinstance(node.value, ast.Name):  # nearly always no method: then it is there
                return f"$own({value}.{node.attr}, {value}, {json.dumps(node.attr)})"
            return f"$attr({value}, {json.dumps(node.attr)})"
        if isinstance(node.value, ast.Call) and value.startswith("$type("):
            return f"$attr({value}, {json.dumps(node.attr)})"
        return f"{value}.{node.attr}"

    def _subscript(self, node: Any) -> str:
        value = self.show(node.value)
        if isinstance(node.slice, ast.Slice):
            cut = node.slice
            ends = (self.show(end) if end else "null" for end in (cut.lower, cut.upper, cut.step))
            return f"$cut({value}, {', '.join(ends)})"
        return f"$get({value}, {self.show(node.slice)})"

    def _sequence(self, node: Any) -> str:
        return f"[{self.every(node.elts)}]"

    def _dict(self, node: Any) -> str:
        parts = [
            f"[{self.show(key)}, {self.show(value)}]"
            if key is not None
            else f"...$pairs({self.show(value)})"
            for key, value in zip(node.keys, node.values, strict=True)
        ]
        return f"new $dict([{', '.join(parts)}])"

    def _binary(self, node: Any) -> str:
        operator = OPERATORS.get(type(node.op))
        if operator is None:
            raise Untranslatable(node, f"the operator {type(node.op).__name__}")
        return f"{operator}({self.show(node.left)}, {self.show(node.right)})"

    def _unary(self, node: Any) -> str:
        if isinstance(node.op, ast.Not):
            return f"!{self.test(node.operand)}"
        if isinstance(node.operand, ast.Constant):
            return f"-{self.show(node.operand)}"
        return f"$neg({self.show(node.operand)})"

    def _both(self, node: Any) -> str:
        joined, first = ("&&", "{1}") if isinstance(node.op, ast.And) else ("||", "{0}")
        if all(map(_is_boolean, node.values)):
            return f"({f' {joined} '.join(map(self.show, node.values))})"
        *before, text = map(self.show, node.values)
        for value in reversed(before):
            then = ("$x", f"({text})") if first == "{0}" else (f"({text})", "$x")
            text = f"(($x) => $t($x) ? {then[0]} : {then[1]})({value})"
        return text

    def _compare(self, node: Any) -> str:
        values = [node.left, *node.comparators]
        parts, texts = [], [self.show(v) for v in values]
        for i, operator in enumerate(node.ops):
            parts.append(COMPARISONS[type(operator)].format(texts[i], texts[i + 1]))
        # What stands in the middle of a chain is evaluated twice: it is a name or a plain call.
        return parts[0] if len(parts) == 1 else f"({' && '.join(parts)})"

    def _choice(self, node: Any) -> str:
        return f"({self.test(node.test)} ? {self.show(node.body)} : {self.show(node.orelse)})"

    def _starred(self, node: Any) -> str:
        return f"...{self.show(node.value)}"

    def _lambda(self, node: Any) -> str:
        names = parameters(node.args)
        self.scopes.append(set(names))
        text = f"(({', '.join(map(mangle, names))}) => {self.show(node.body)})"
        self.scopes.pop()
        return text

    def _comprehension(self, node: Any, item: Callable[[], str], into: str = "[]") -> str:
        names = {name for g in node.generators for name in targets(g.target)}
        head = f"const $r = {into}; "
        tail = ""
        first = self.show(node.generators[0].iter)  # is evaluated outside
        self.scopes.append(names)
        for i, g in enumerate(node.generators):
            source = first if i == 0 else self.show(g.iter)
            head += f"for (const {self.target(g.target)} of {source}) {{ "
            head += "".join(f"if ({self.test(c)}) " for c in g.ifs)
            tail += " }"
        text = f"(() => {{ {head}{item()};{tail} return $r; }})()"
        self.scopes.pop()
        return text

    def _list(self, node: Any) -> str:
        return self._comprehension(node, lambda: f"$r.push({self.show(node.elt)})")

    def _set(self, node: Any) -> str:
        return self._comprehension(node, lambda: f"$r.add({self.show(node.elt)})", "new $set()")

    def _mapping(self, node: Any) -> str:
        return self._comprehension(
            node,
            lambda: f"$r.set({self.show(node.key)}, {self.show(node.value)})",
            "new $dict()",
        )

    def _set_display(self, node: Any) -> str:
        return f"new $set([{self.every(node.elts)}])"

    def _yield(self, node: Any) -> str:
        return f"(yield {self.show(node.value)})"

    def _yield_from(self, node: Any) -> str:
        return f"(yield* {self.show(node.value)})"

    def target(self, node: Any) -> str:
        """What is assigned to."""
        if isinstance(node, ast.Tuple):
            return f"[{', '.join(map(self.target, node.elts))}]"
        if isinstance(node, ast.Starred):
            return f"...{self.target(node.value)}"
        if isinstance(node, ast.Name):
            return mangle(node.id)
        if isinstance(node, ast.Attribute):
            return f"{self.show(node.value)}.{node.attr}"
        raise Untranslatable(node, "a target of this kind")

    def _call(self, node: Any) -> str:
        function, named = node.func, self._named(node)
        given = self.every(node.args)
        match function:
            case ast.Call(func=ast.Name(id="super")):
                raise Untranslatable(node, "super without a method")
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=method):
                if named:
                    return f"$kwof(super.{method}).call(this, [{given}], {named})"
                return f"super.{method}({given})"
            case ast.Attribute(value=value, attr=method):
                return self._method(self.show(value), method, given, named)
            case ast.Name(id="super"):
                return "super"
        called = self.show(function)
        if named:
            return f"$kw({called}, [{given}], {named})"
        if isinstance(function, ast.Name):
            if function.id in self.classes or function.id in BUILTIN_CLASSES:
                return f"new {called}({given})"
            if (
                called == "$tuple"
                and node.args
                and isinstance(node.args[0], ast.ListComp | ast.GeneratorExp)
            ):
                return given  # a new array already
            if called.startswith("$") or function.id in self.scopes[0]:
                return f"{called}({given})"
        return f"$call({called}, [{given}])"

    def _method(self, value: str, method: str, given: str, named: str) -> str:
        if named:
            return f"$mkw({value}, {json.dumps(method)}, [{given}], {named})"
        if method in METHODS:
            return f"$m({value}, {json.dumps(method)}, [{given}])"
        return f"{value}.{method}({given})"

    def _named(self, node: Any) -> str:
        """Arguments that are named, as an object; empty if there is none."""
        parts = [
            f"{json.dumps(k.arg)}: {self.show(k.value)}"
            if k.arg is not None
            else f"...$object({self.show(k.value)})"
            for k in node.keywords
        ]
        return f"{{{', '.join(parts)}}}" if parts else ""

    RULES: Mapping[type[ast.AST], Callable[[Any, Any], str]] = {
        ast.Name: _name,
        ast.Constant: _constant,
        ast.JoinedStr: _text,
        ast.Attribute: _attribute,
        ast.Subscript: _subscript,
        ast.Tuple: _sequence,
        ast.List: _sequence,
        ast.Dict: _dict,
        ast.Set: _set_display,
        ast.BinOp: _binary,
        ast.UnaryOp: _unary,
        ast.BoolOp: _both,
        ast.Compare: _compare,
        ast.IfExp: _choice,
        ast.Starred: _starred,
        ast.Lambda: _lambda,
        ast.ListComp: _list,
        ast.GeneratorExp: _list,
        ast.SetComp: _set,
        ast.DictComp: _mapping,
        ast.Yield: _yield,
        ast.YieldFrom: _yield_from,
        ast.Call: _call,
    }


def _is_boolean(node: ast.AST) -> bool:
    """True for an expression whose value in JavaScript is true or false."""
    match node:
        case ast.Compare() | ast.Constant(value=bool()) | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in BOOLEAN_CALLS
        case ast.BoolOp(values=values):
            return all(map(_is_boolean, values))
    return False
