"""Causes in words: the second network as seen from the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netledger.diff.align import Part
from netledger.diff.changes import Change
from netledger.diff.counts import Counts, is_zero
from netledger.diff.steps import Step, row_of
from netledger.edits import Edit, Rewire, SetField, SetInput, SetOp, Tie, Untie, has_weights
from netledger.formula import formula
from netledger.graph import show_dim
from netledger.ledger import Row, add_up
from netledger.ops import Linear
from netledger.ops.base import show_value
from netledger.ops.norm import ChannelNorm

FEW = 4
"""So many names are listed in full."""


def say(step: Step) -> str:
    """The cause of a step, in words."""
    return WORDS.get(step.group.kind, _plain)(step)


def arithmetic(rows: dict[str, Counts]) -> str:
    """``−307,200 −663,552 −442,368 = −1,413,120``, of the parameters; equal ones together."""
    terms = [delta.params for delta in rows.values() if not is_zero(delta.params)]
    shown = [text for _, text in _counted(signed(x) for x in terms)]
    if not terms or len(shown) > 8:
        return signed(add_up(terms)) if terms else ""
    return f"{' '.join(shown)} = {signed(add_up(terms))}" if len(terms) > 1 else shown[0]


def signed(value: Any) -> str:
    """``+4,097``, ``−307,200``."""
    if isinstance(value, int):
        return f"{'−' if value < 0 else '+'}{abs(value):,}"
    text = formula(value).text()
    return text if text.startswith("−") else f"+{text}"


def listed(names: Iterable[str]) -> str:
    """Names in a row, the first few of many."""
    found = list(dict.fromkeys(names))
    if len(found) <= FEW:
        return ", ".join(found)
    return f"{', '.join(found[: FEW - 1])} and {len(found) - FEW + 1:,} more"


def _counted(texts: Iterable[str]) -> list[tuple[int, str]]:
    """Equal neighbours together: ``+64 (3 times)``."""
    runs: list[tuple[int, str]] = []
    for text in texts:
        if runs and runs[-1][1] == text:
            runs[-1] = (runs[-1][0] + 1, text)
        else:
            runs.append((1, text))
    return [(n, f"{n}×({text})" if n > 1 else text) for n, text in runs]


def consequence(step: Step) -> str:
    """What layers see instead that were not edited themselves, and therefore store more or less."""
    own = {row_of(edit) for edit in step.edits}
    texts = []
    for name, delta in step.deltas.items():
        before, after = step.before.get(name), step.after.get(name)
        if name in own or before is None or after is None or is_zero(delta.params):
            continue
        if step.group.kind in ("width", "depth", "wiring"):
            continue
        new, old = _seen(after), _seen(before)
        old = old.removesuffix(" features") if new.endswith(" features") else old
        old = old.replace(" features at", " at") if new.endswith(" features") else old
        texts.append(f"{name} sees {new} instead of {old}")
    return "; ".join(texts[:2]) + (f" and {len(texts) - 2:,} more like it" if texts[2:] else "")


def _seen(row: Row) -> str:
    shape = row.input_types[0].shape if row.input_types else ()
    if isinstance(row.op, Linear):
        features = _number(shape[-1])
        if len(shape) <= 2:
            return f"{features} features"
        return f"{features} features at each of {'×'.join(map(show_dim, shape[1:-1]))} positions"
    return "×".join(map(show_dim, shape[1:]))


def _number(d: Any) -> str:
    return f"{d:,}" if isinstance(d, int) else show_dim(d)


def _parts(step: Step, *, new: bool) -> list[Part]:
    """The layers that come, or those that go."""
    changes = step.group.changes
    return [c.part for c in changes if not c.stays and (c.a is None) == new]


def _come_and_go(step: Step, describe: Callable[[list[Part]], str]) -> str:
    new, gone = _parts(step, new=True), _parts(step, new=False)
    if new and gone and _tally(new) == _tally(gone) and step.group.kind != "depth":
        return "; ".join([f"{_tally(new)} elsewhere", *_changed(step)])
    texts = [f"{describe(gone)} missing"] if gone else []
    if new:
        texts.append(f"{describe(new)} added")
    return "; ".join([*texts, *_changed(step)])


def _plain(step: Step) -> str:
    return _come_and_go(step, lambda parts: _tally(parts))


def _tally(parts: list[Part]) -> str:
    kinds: dict[str, int] = {}
    for part in parts:
        word = part.node.op.kind
        kinds[word] = kinds.get(word, 0) + 1
    return ", ".join(f"{word} ×{n}" if n > 1 else word for word, n in kinds.items())


def _named(parts: list[Part]) -> str:
    return listed(_with_kind(part) for part in parts)


def _with_kind(part: Part) -> str:
    name, kind = part.node.name, part.node.op.kind
    last = name.rpartition(".")[2].lower()
    if last == part.node.op.key:
        return kind if name.lower() == last else f"{kind} in {part.node.scope}"
    return name if last.startswith(kind.lower()) else f"{name} ({kind})"


def _changed(step: Step) -> list[str]:
    """Edited hyperparameters: ``stride 2 instead of 1 in a, b``; equal changes together."""
    found: dict[str, list[str]] = {}
    for change in step.group.changes:
        for edit in change.edits if change.stays else ():
            assert change.a is not None
            for what in _edited(change, edit):
                found.setdefault(what, []).append(change.a.node.name)
    return [f"{what} in {listed(rows)}" for what, rows in found.items()]


def _edited(change: Change, edit: Edit) -> list[str]:
    a, b = change.a, change.b
    assert a is not None and b is not None
    if isinstance(edit, SetField):
        return [_value_change(edit.field, getattr(a.node.op, edit.field, None), edit.value)]
    if not isinstance(edit, SetOp):
        return []
    if a.kind != b.kind or a.fields == b.fields:
        return [f"{edit.op.kind} instead of {a.node.op.kind}"]
    differ = [name for name, value in a.fields.items() if value != b.fields.get(name)]
    return [_value_change(name, a.fields[name], b.fields.get(name)) for name in differ]


_NOUNS = {
    "out_channels": "{} kernels instead of {}",
    "out_features": "{} neurons instead of {}",
    "kernel_size": "kernel {} instead of {}",
    "num_embeddings": "a vocabulary of {} instead of {}",
    "function": "{} instead of {}",
}
_ROUNDED = {
    "floor": "windows rounded down",
    "ceil": "windows rounded up",
    "ceil_clipped": "windows rounded up unless they begin outside",
}


def _value_change(key: str, old: Any, new: Any) -> str:
    if key == "rounding":
        return _ROUNDED[new]
    if isinstance(new, bool):
        return f"{'' if new else 'no '}{key.replace('_', ' ')}"
    pattern = _NOUNS.get(key, f"{key.replace('_', ' ')} {{}} instead of {{}}")
    return pattern.format(_show(new, key), _show(old, key))


def _show(value: Any, key: str) -> str:
    while isinstance(value, tuple) and value and len(set(value)) == 1:
        value = value[0]
    if isinstance(value, int):
        return f"{value}×{value}" if key == "kernel_size" else f"{value:,}"
    return show_value(value)


def _fields(step: Step) -> str:
    return _come_and_go(step, _named)


def _input(step: Step) -> str:
    texts = []
    for edit in step.edits:
        assert isinstance(edit, SetInput)
        before = step.before.get(edit.name)
        new = "×".join(map(show_dim, edit.type.shape[1:]))
        if before is None:
            texts.append(f"one more input, {edit.name}: {new}")
        else:
            was = before.outputs[0].shape
            old = "×".join(map(show_dim, was[1:]))
            if new == old:
                new, old = f"batch {show_dim(edit.type.shape[0])}", f"{show_dim(was[0])}"
            texts.append(f"input {new} instead of {old}")
    return "; ".join(texts)


def _groups(step: Step) -> str:
    found: dict[Any, list[str]] = {}
    for change in step.group.changes:
        for edit in change.edits:
            if isinstance(edit, SetField):
                found.setdefault(edit.value, []).append(edit.row)
    texts = [
        f"{listed(rows)} {'in one group' if value == 1 else f'in {value:,} groups'}"
        for value, rows in found.items()
    ]
    return "; ".join(texts) if texts else _fields(step)


def _bias(step: Step) -> str:
    changes = [c for c in step.group.changes if c.stays]
    edits = [e for c in changes for e in c.edits if isinstance(e, SetField)]
    if len(edits) < len(step.edits) or any(not isinstance(e.value, bool) for e in edits):
        return _fields(step)
    takers: dict[str, list[Row]] = {}
    for row in step.after.values():
        for value in row.inputs:
            takers.setdefault(value, []).append(row)
    normed = all(
        any(isinstance(row.op, ChannelNorm) for row in takers.get(c.part.node.name, ()))
        for c in changes
    )
    what = "biases" if edits[0].value else "no biases"
    where = " before normalisation" if normed else ""
    kinds = {c.part.kind for c in changes}
    noun = "convolutions" if kinds <= {"Conv", "DepthwiseConv"} else "layers"
    if len(changes) <= FEW:
        return f"{what}{where} in {listed(c.part.node.name for c in changes)}"
    return f"{what}{where} ({len(changes):,} {noun})"


def _classes(step: Step) -> str:
    for change in step.group.changes:
        for edit in change.edits:
            if isinstance(edit, SetField) and change.a is not None:
                old = getattr(change.a.node.op, edit.field)
                return f"{_number(edit.value)} classes instead of {_number(old)} ({edit.row})"
    return _fields(step)


def _depth(step: Step) -> str:
    return _come_and_go(step, _blocks)


def _blocks(parts: list[Part]) -> str:
    """Layers with weights by name, or the modules that they fill."""
    deep = [p for p in parts if has_weights(p.node.op)]
    shown = deep or parts
    scopes = list(dict.fromkeys(p.node.scope for p in shown if p.node.scope))
    if len(shown) > FEW and scopes and all(p.node.scope for p in shown):
        scopes = _outermost(scopes)
        word = "block" if len(scopes) == 1 else "blocks"
        return f"{len(scopes):,} {word} ({_ranges(scopes)})"
    word = "layer" if len(shown) == 1 else "layers"
    return f"{len(shown):,} {word} with weights ({listed(p.node.name for p in shown)})"


def _outermost(scopes: list[str]) -> list[str]:
    known = set(scopes)
    return [s for s in scopes if not any(s.startswith(f"{o}.") for o in known if o != s)]


def _ranges(scopes: list[str]) -> str:
    """``layer3.6 … layer3.22``."""
    runs: list[list[str]] = []
    for scope in scopes:
        stem = scope.rstrip("0123456789")
        if runs and runs[-1][-1].rstrip("0123456789") == stem != scope:
            runs[-1].append(scope)
        else:
            runs.append([scope])
    return listed(run[0] if len(run) == 1 else f"{run[0]} … {run[-1]}" for run in runs)


def _heads(step: Step) -> str:
    def describe(parts: list[Part]) -> str:
        tops = dict.fromkeys((p.node.scope or p.node.name).split(".")[0] for p in parts)
        return f"auxiliary head{'s' if len(tops) > 1 else ''} {listed(tops)}"

    return _come_and_go(step, describe)


def _norm(step: Step) -> str:
    def describe(parts: list[Part]) -> str:
        return _tally(parts) + (f" ({_named(parts)})" if len(parts) <= FEW else "")

    return _come_and_go(step, describe)


def _ties(step: Step) -> str:
    texts = []
    for edit in step.edits:
        assert isinstance(edit, Tie | Untie)
        names = listed(".".join(member) for member in edit.members)
        texts.append(f"{names} are {'' if isinstance(edit, Tie) else 'not '}shared")
    return "; ".join(texts[:FEW]) + (f" and {len(texts) - FEW:,} more" if texts[FEW:] else "")


def _frozen(step: Step) -> str:
    return listed(edit.describe() for edit in step.edits)


def _wiring(step: Step) -> str:
    rows = [edit.row for edit in step.edits if isinstance(edit, Rewire)]
    return f"other inputs of {listed(rows)}"


WORDS: dict[str, Callable[[Step], str]] = {
    "input-size": _input,
    "pooling": _fields,
    "flatten": _fields,
    "padding": _fields,
    "rounding-mode": _fields,
    "kernel": _fields,
    "stride": _fields,
    "width": _fields,
    "vocabulary": _fields,
    "norm-affine": _fields,
    "buffers": _fields,
    "groups": _groups,
    "bias": _bias,
    "classes": _classes,
    "depth": _depth,
    "aux-head": _heads,
    "normalisation": _norm,
    "tied-embedding": _ties,
    "frozen": _frozen,
    "wiring": _wiring,
}
