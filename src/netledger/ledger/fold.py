"""The views of a ledger: which rows are folded into which."""

from __future__ import annotations

from netledger.ledger.row import Row, Sums, add_up


def fold_pointwise(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Folds parameterless pointwise rows into the row that feeds them, as papers print networks."""
    if not any([row.op is not None and row.op.folds for row in rows]):
        return rows
    kept: dict[str, list[Row]] = {}
    heads: dict[str, str] = {}
    made_by: dict[str, str] = {}
    for row in rows:
        source = made_by.get(row.inputs[0]) if row.inputs else None
        if row.op is not None and row.op.folds and source is not None and not row.parameters:
            head = heads[source]
            kept[head].append(row)
        else:
            head = row.name
            kept[head] = []
        heads[row.name] = head
        for value in row.made:
            made_by[value] = row.name
    by_name = {row.name: row for row in rows}
    return tuple(
        by_name[name]._replace(folded=tuple(folded)) if folded else by_name[name]
        for name, folded in kept.items()
    )


def fold_modules(rows: tuple[Row, ...], depth: int) -> tuple[Row, ...]:
    """Folds every subtree of the module tree that lies deeper than `depth` into one row."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        path = row.scope.split(".") if row.scope else []
        deep = len(path) > depth - 1 and depth > 0
        groups.setdefault(".".join(path[:depth]) if deep and path else row.name, []).append(row)
    return tuple(
        members[0] if len(members) == 1 and members[0].name == name else _module(name, members)
        for name, members in groups.items()
    )


def shown_in(rows: tuple[Row, ...]) -> dict[str, str]:
    """For each value that a folded row makes, the row of the view that it is folded into."""
    found: dict[str, str] = {}
    for row in rows:
        inside = [*row.folded]
        while inside:
            part = inside.pop()
            found.update(dict.fromkeys(part.made, row.name))
            inside += part.folded
    return found


def _module(name: str, members: list[Row]) -> Row:
    last = members[-1]
    unknown: dict[str, str] = {}
    for row in members:
        unknown.update(row.unknown)
    return Row(
        name=name,
        kind="Module",
        scope=name.rpartition(".")[0],
        inputs=members[0].inputs,
        input_types=members[0].input_types,
        outputs=last.outputs,
        parameters=tuple(
            p._replace(name=f"{row.name}.{p.name}") for row in members for p in row.parameters
        ),
        sums=Sums(*map(add_up, zip(*[row.sums for row in members], strict=True))),
        macs=add_up(row.macs for row in members),
        elements=last.elements,
        receptive_field=last.receptive_field,
        unknown=unknown,
        folded=tuple(members),
    )
