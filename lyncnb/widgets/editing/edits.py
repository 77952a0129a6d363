"""Define the edits of a draft. Each edit is a function that changes the draft it receives.

The keyword arguments are also the parts of the page's message. Their annotations validate
the message.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any

from ...base.pasted_text import shown
from ...base.records import Text, build_range_check
from ...base.shown import tables
from ...base.shown.tables import format_count, join_first_texts
from ...checks.check_plan import choose_evaluation_date
from ...errors import LyncnbError, TopologyError
from ...plan.acceptances import is_acceptance_expired
from ...topology.columns import (
    find_misspelled_column,
    list_topology_columns,
)
from ...topology.columns import get_column as column_named
from ...topology.fix_table import fix_table
from ...topology.source_table import raise_problems
from ...topology.topology import Topology, open_topology, read_topology
from .cell_blocks import (
    CellText,
    TakenBlock,
    apply_block,
    copy_rows,
    describe_block,
    plan_pool_moves,
)
from .choices import Server, ServerEdits, list_server_keys
from .draft import Draft, State, find_heading
from .forms import DEPLOYMENT, describe_option, parse_option_value, split_entries
from .sheet import find_edited_cells, list_differences, list_group_names

RowId = Annotated[int, build_range_check(0, 2**31)]
RowIds = tuple[RowId, ...]


# -- The following functions edit cells and rows.


def set_cells(draft: Draft, *, ids: RowIds, column: str, value: Text) -> None:
    """Set a column in some rows. If the column belongs to the pool, all rows of the pool change."""
    indices = _find_selected_rows(draft, ids)
    description = (
        f"{find_heading(column)} of {_describe_servers(indices, draft)}: "
        f"{_format_for_display(value)}"
    )
    rejected = {cell.row for cell in draft.topology.rejected if cell.column == column}
    if column == "pool_fqdn" and not rejected.issuperset(indices):
        _move_servers(draft, indices, value, _describe_move(draft, indices, value, description))
    else:
        _set_column(draft, column, _find_rows_to_set(draft, column, indices), value, description)


def set_for_deployment(draft: Draft, *, name: str, value: str) -> None:
    """Set a column for the whole deployment.

    A yes/no column of pools is set for every pool that uses the column.
    """
    facts = column_named(name)
    if facts.scope == "pool":
        indices = [n for n, role in enumerate(draft.texts("role")) if facts.is_used_by(role)]
        targets = _find_rows_to_set(draft, name, indices)
    else:
        texts = enumerate(draft.texts(name))
        targets = [n for n, text in texts if text or not value] or [0]
    _set_column(draft, name, targets, value, f"{facts.title}: {_format_for_display(value)}")


def leave_pool(draft: Draft, *, ids: RowIds, column: str, value: Text) -> None:
    """Move servers out of their pool and set one of their columns, such as the role, in one step.

    The values of the old pool stay in the old pool.
    """
    indices = _find_selected_rows(draft, ids)
    change = f"{find_heading(column)}: {_format_for_display(value)}"
    _move_servers(
        draft,
        indices,
        "",
        f"{_describe_servers(indices, draft)} removed from the pool; {change}",
        **{column: value},
    )


def create_pool(draft: Draft, *, ids: RowIds, pool: Text) -> None:
    """Create a pool from some servers. No other pool may have the new name."""
    indices, name = _find_selected_rows(draft, ids), pool.strip().lower()
    if not name:
        raise LyncnbError(
            "the new pool has no name",
            hint=("enter the FQDN of the pool, such as pool02.contoso.com"),
        )
    if name in set(list_group_names(draft.topology, "pool")):
        raise LyncnbError(
            f"the pool {name} already exists",
            hint="to add servers to this pool, change the Pool column of the servers",
        )
    _move_servers(draft, indices, name, f"new pool {name} with {_describe_servers(indices, draft)}")


def add_server(draft: Draft, *, values: Mapping[str, str]) -> tuple[int, ...]:
    """Add a server at the end of the table, and return the ID of the new row."""
    row = {name: text for name, text in values.items() if text}
    return _add_rows(draft, [row], f"added {row.get('server_fqdn', '')}")


def duplicate_servers(draft: Draft, *, ids: RowIds) -> tuple[int, ...]:
    """Copy servers, each with the next free number in its name. Return the IDs of the new rows."""
    rows = copy_rows(draft.topology, _find_selected_rows(draft, ids))
    names = rows[0]["server_fqdn"] if len(rows) == 1 else f"{len(rows):,} servers"
    return _add_rows(draft, rows, f"added {names}")


def remove_servers(draft: Draft, *, ids: RowIds) -> None:
    """Remove rows from the table. At least one row must remain."""
    indices = _find_selected_rows(draft, ids)
    removed = set(indices)
    remaining_ids = tuple(row_id for n, row_id in enumerate(draft.state.ids) if n not in removed)
    topology, description = (
        draft.topology.with_rows(remove=indices),
        f"removed {_describe_servers(indices, draft)}",
    )
    draft.enter_state(replace(draft.state, topology=topology, ids=remaining_ids, said=description))


@dataclass(frozen=True, slots=True)
class BlockText:
    """The new text for a cell in an existing table row."""

    row: RowId
    column: str
    text: Text


@dataclass(frozen=True, slots=True)
class BlockRow:
    """The texts of a table row to add, by column. ``row`` is its number on the page.

    The row is inserted above the row ``before``, or added at the end of the table.
    """

    row: RowId
    values: Mapping[str, str]
    before: RowId | None = None


def set_block(
    draft: Draft,
    *,
    cells: tuple[BlockText, ...],
    add: tuple[BlockRow, ...] = (),
    said: str = "",
) -> TakenBlock:
    """Set a block of cells and add new rows, in one step.

    Valid texts are used. The result contains each rejected cell with the reason.
    """
    index_by_id, known = draft.map_indices_by_id(), {*draft.topology.columns, *_list_scopes()}
    texts = [CellText(index_by_id[c.row], c.column, c.text) for c in cells if c.row in index_by_id]
    rows = [{k: v for k, v in row.values.items() if k in known} for row in add]
    result = apply_block(draft.topology, texts, rows)
    ids = (*draft.state.ids, *draft.create_ids(result.added))
    said = describe_block(draft.topology, result, said)
    topology = result.topology
    if any(row.before is not None for row in add):
        order = _order_rows(draft, add, result)
        topology, ids = topology.with_order(order), tuple(ids[old] for old in order)
    draft.enter_state(replace(draft.state, topology=topology, ids=ids, said=said))
    return result


def fix_cells(draft: Draft) -> None:
    """Apply the safe fixes for rejected cells, in one step."""
    fixed = fix_table(draft.topology)
    if fixed.lines:
        said = f"corrected {format_count(len(fixed.lines), 'rejected text')}"
        draft.enter_state(replace(draft.state, topology=fixed.topology, said=said))


def name_column(draft: Draft, *, heading: Text, column: str) -> None:
    """Use the column with an unknown heading as a known column."""
    topology = draft.topology.with_headings({heading: column}, keeps_rejected=True)
    said = f'"{heading}" is the column {find_heading(column)}'
    draft.enter_state(replace(draft.state, topology=topology, said=said))


def _order_rows(draft: Draft, add: Sequence[BlockRow], applied_block: TakenBlock) -> list[int]:
    """Return the order of all table rows after a block of rows was applied.

    Its new rows are still at the end.
    """
    refused = {number for number, _ in applied_block.refused_rows}
    accepted = [row for number, row in enumerate(add, start=1) if number not in refused]
    count = len(draft.state.ids)
    index_by_id = draft.map_indices_by_id()
    # Rows that are inserted above the same existing row keep their order.
    keys = [(n, 1) for n in range(count)]
    keys += [
        (count, 0) if row.before is None else (index_by_id.get(row.before, count), 0)
        for row in accepted
    ]
    return sorted(range(len(keys)), key=keys.__getitem__)


def reject_misspelled_columns(topology: Topology, edits: ServerEdits) -> None:
    """Raise an error if edits add a column whose name is almost the name of a known column.

    Other new columns are allowed, because a table can have columns that lyncnb does not read. If
    the same edit also sets the known column, the name is not misspelled.
    """
    for values in (*(values for _, values in edits.change), *edits.add):
        for name in values:
            near = None if name in topology.columns else find_misspelled_column(name)
            if near is not None and near not in values:
                raise TopologyError(
                    f"the table has no column {shown(name)}", hint=f"did you mean {near}?"
                )


def edit_table(draft: Draft, *, edits: ServerEdits, description: str) -> None:
    """Change, add and remove table rows by server name, in one step."""
    state = draft.state
    rows = [dict(zip(state.topology.columns, row)) for row in state.topology.texts]
    index_by_server = {key: index for index, key in enumerate(list_server_keys(state.topology))}
    for servers, values in edits.change:
        for server in servers:
            rows[_find_row(index_by_server, server)].update(values)
    removed = {_find_row(index_by_server, server) for server in edits.remove}
    new = [dict(values) for values in edits.add]
    ids = [row_id for index, row_id in enumerate(state.ids) if index not in removed]
    rows = [row for index, row in enumerate(rows) if index not in removed] + new
    topology, ids = _build_topology(rows, state.topology), [*ids, *draft.create_ids(len(new))]
    draft.enter_state(replace(state, topology=topology, ids=tuple(ids), said=description))


# -- Edit options.


def change_options(draft: Draft, *, values: Mapping[str, object], description: str = "") -> None:
    """Change options of the plan. A new value can be an object or text."""
    new_values: dict[str, Any] = {
        name: parse_option_value(name, value) for name, value in values.items()
    }
    description = description or "; ".join(
        describe_option(name, value) for name, value in new_values.items()
    )
    draft.enter_state(
        replace(draft.state, options=replace(draft.options, **new_values), said=description)
    )


def accept_findings(draft: Draft, *, code: str, reason: str) -> None:
    """Accept all findings that have the given code. A blank reason withdraws the acceptance.

    If an earlier acceptance has expired, the new acceptance has no end date.
    """
    options, reason = draft.options, reason.strip()
    until, only = dict(options.accepted_until), dict(options.accepted_for)
    if not reason or is_acceptance_expired(
        code, options, day=choose_evaluation_date(draft.live.plan)
    ):
        until.pop(code, None)
    if not reason:
        only.pop(code, None)
    values: dict[str, Mapping[str, object]] = {
        "accepted": {**options.accepted, code: reason},
        "accepted_until": until,
        "accepted_for": only,
    }
    changed = {k: v for k, v in values.items() if k == "accepted" or v != getattr(options, k)}
    change_options(draft, values=changed)


def change_option(draft: Draft, *, name: str, value: Text, key: str | None = None) -> None:
    """Change the option or table column that a field on the page edits.

    ``name`` is an option, or ``column:`` followed by a column of the whole deployment. If the
    option has several texts, ``key`` is the usage or finding code of the text to change.
    """
    kind, _, of_deployment = name.partition(":")
    if kind == "column" and of_deployment in DEPLOYMENT:
        is_list = DEPLOYMENT[of_deployment] == "list"
        text = ";".join(split_entries(value)) if is_list else value.strip()
        set_for_deployment(draft, name=of_deployment, value=text)
    elif key is None:
        change_options(draft, values={name: value})
    elif name == "accepted":
        accept_findings(draft, code=key, reason=value)
    else:
        change_options(draft, values={name: {**getattr(draft.options, name), key: value}})


# -- The following functions undo and redo steps, and restore complete states.


def repeat_edits(draft: Draft, *, edits: ServerEdits, options: Mapping[str, object]) -> None:
    """Repeat another draft's edits in two steps: edits of the table, then edits of options."""
    if edits:
        edit_table(draft, edits=edits, description="reapplied your earlier changes to the table")
    change_options(
        draft, values=options, description=("reapplied your earlier changes to the options")
    )


def reset_draft(draft: Draft) -> None:
    """Restore the loaded file. You can undo this step."""
    if not draft.state.is_same(draft.loaded):
        draft.enter_state(replace(draft.loaded, said="restored the loaded file"))


def undo(draft: Draft) -> str:
    """Undo one step and return its description, or "" if there is no step."""
    if not draft.past:
        return ""
    description = draft.state.said
    draft.future.append(draft.state)
    _return_to_state(draft, draft.past.pop(), f"Undone: {description}")
    return description


def redo(draft: Draft) -> str:
    """Redo one step and return its description, or "" if there is no step."""
    if not draft.future:
        return ""
    draft.past.append(draft.state)
    state = draft.future.pop()
    _return_to_state(draft, state, f"Redone: {state.said}")
    return draft.state.said


def _return_to_state(draft: Draft, state: State, description: str) -> None:
    """Restore an earlier or later state of the draft, and record which cells change."""
    before, draft.state, draft.report_text = draft.state, state, description
    if before.ids != state.ids:
        known = set(before.ids)
        added = (row_id for row_id in state.ids if row_id not in known)
        draft.went_to = next(((row_id, "server_fqdn") for row_id in added), None)
        return
    indices = find_edited_cells(before.topology, state.topology)[0]
    changed = (
        (index, *change)
        for index in indices
        for change in list_differences(before.topology, state.topology, index)
    )
    first = list(itertools.islice(changed, 2))
    if first:
        index, column, old, new = first[0]
        draft.went_to = (state.ids[index], column)
    if len(first) == 1:
        server = _describe_servers([index], draft)
        values = f"{_format_for_display(old)} -> {_format_for_display(new)}"
        draft.report_text = (
            f"{description.partition(': ')[0]}: {find_heading(column)} of {server}: {values}"
        )


#: The edits by message type. The fields of a message are the keyword arguments of the edit.
EDITS: Mapping[str, Callable[..., object]] = MappingProxyType(
    {
        "edit": set_cells,
        "block": set_block,
        "fix_cells": fix_cells,
        "name_column": name_column,
        "leave_pool": leave_pool,
        "new_pool": create_pool,
        "duplicate": duplicate_servers,
        "add": add_server,
        "remove": remove_servers,
        "option": change_option,
        "undo": undo,
        "redo": redo,
        "reset": reset_draft,
    }
)


# -- The following functions are used by the edits above.


def _list_scopes() -> dict[str, str]:
    return {facts.name: facts.scope for facts in list_topology_columns()}


def _format_for_display(value: str) -> str:
    return " ".join(value.split()) or "blank"


def _find_selected_rows(draft: Draft, ids: Iterable[int]) -> list[int]:
    indices = draft.find_row_indices(ids)
    if not indices:
        raise LyncnbError(
            "no server is selected", hint=("select the check boxes of one or more servers")
        )
    return indices


def find_other_members(draft: Draft, row_indices: Sequence[int], column: str) -> list[int]:
    """Return the other rows of the same pools whose value in the column must be the same.

    Parameters
    ----------
    draft : Draft
        The draft with n rows.
    row_indices : sequence of int
        The indices of some rows.
    column : str
        The column. The rows of a pool share its site, and the servers of a pool share its role.
        For any other column, the result is empty.
    """
    if column not in ("role", "site"):
        return []
    pools, roles = list_group_names(draft.topology, "pool"), draft.texts("role")
    keys = list(zip(pools, roles if column == "role" else pools))
    selected_keys, selected_rows = {keys[index] for index in row_indices}, set(row_indices)
    return [
        index
        for index, key in enumerate(keys)
        if key in selected_keys and index not in selected_rows
    ]


def _find_whole_pool(row_indices: Sequence[int], draft: Draft) -> str:
    """Return the name of the pool that consists of exactly the given rows, or ""."""
    names = list_group_names(draft.topology, "pool")
    pools = {names[index] for index in row_indices}
    pool = pools.pop()
    return pool if not pools and names.count(pool) == len(row_indices) else ""


def _describe_servers(row_indices: Sequence[int], draft: Draft) -> str:
    """Return a description of servers: a server name, a pool, or the number of servers."""
    if len(row_indices) > 1:
        pool = _find_whole_pool(row_indices, draft)
        return f"pool {pool}" if pool else f"{len(row_indices):,} servers"
    names, index = draft.texts("server_fqdn"), row_indices[0]
    if names.count(names[index]) == 1:
        return names[index]
    return f"{names[index]}, {draft.texts('role')[index]}"


def _describe_move(draft: Draft, row_indices: Sequence[int], pool: str, description: str) -> str:
    """Describe a move of servers to another pool: whether it renames, merges or splits pools."""
    names, moved, new = (
        list_group_names(draft.topology, "pool"),
        set(row_indices),
        pool.strip().lower(),
    )
    old = _find_whole_pool(row_indices, draft)
    if old and new and old not in draft.texts("server_fqdn"):
        return f"merged pool {old} into {new}" if new in names else f"renamed pool {old} to {new}"
    former_pools = {names[index] for index in row_indices} - {new}
    remaining_names = [
        name for index, name in enumerate(names) if name in former_pools and index not in moved
    ]
    split = [
        f"{name} keeps {format_count(remaining_names.count(name), 'row')}"
        for name in dict.fromkeys(remaining_names)
    ]
    return (
        f"{description}; this change splits the pool, because {join_first_texts(split, 3)}"
        if split
        else description
    )


def _find_rows_to_set(draft: Draft, name: str, row_indices: Sequence[int]) -> list[int]:
    """Return the rows to change, so that all rows of a pool or site agree on one value."""
    scope = _list_scopes().get(name, "server")
    rejected = {cell.row for cell in draft.topology.rejected if cell.column == name}
    if scope == "server" or rejected.issuperset(row_indices):
        return list(row_indices)
    groups = list_group_names(draft.topology, scope)
    first: dict[str, int] = {}
    for index in row_indices:
        first.setdefault(groups[index], index)
    filled = [n for n, text in enumerate(draft.texts(name)) if text and groups[n] in first]
    missing = set(first) - {groups[index] for index in filled}
    return sorted({*filled, *(first[group] for group in missing)})


def _set_column(
    draft: Draft, name: str, row_indices: Sequence[int], value: str, description: str
) -> None:
    texts, rejected = draft.texts(name), {(c.row, c.column) for c in draft.topology.rejected}
    if any(texts[index] != value or (index, name) in rejected for index in row_indices):
        topology = draft.topology.with_cells({index: {name: value} for index in row_indices})
        draft.enter_state(replace(draft.state, topology=topology, said=description))


def _move_servers(
    draft: Draft, row_indices: Sequence[int], pool: str, description: str, **values: str
) -> None:
    """Move servers to another pool. The old pool keeps its values."""
    changes = plan_pool_moves(draft.topology, dict.fromkeys(row_indices, pool))
    for index in row_indices:
        changes[index] |= values
    draft.enter_state(
        replace(draft.state, topology=draft.topology.with_cells(changes), said=description)
    )


def _add_rows(draft: Draft, rows: Sequence[Mapping[str, str]], description: str) -> tuple[int, ...]:
    topology, new = draft.topology.with_rows(add=rows), draft.create_ids(len(rows))
    ids = (*draft.state.ids, *new)
    draft.enter_state(replace(draft.state, topology=topology, ids=ids, said=description))
    return new


def _find_row(index_by_server: Mapping[Server, int], server: Server) -> int:
    if server in index_by_server:  # This includes the texts of rejected cells.
        return index_by_server[server]
    key = server.strip().lower() if isinstance(server, str) else (server[0], server[1])
    if key in index_by_server:
        return index_by_server[key]
    several = [
        f"{other!r}" for other in index_by_server if isinstance(other, tuple) and other[0] == key
    ]
    hint = (
        f"the server has several rows; to select one row, use {' or '.join(several)}"
        if several
        else "use the name in the column server_fqdn"
    )
    raise TopologyError(f"the table has no row for the server {server!r}", hint=hint)


def _build_topology(rows: list[dict[str, str]], loaded_topology: Topology) -> Topology:
    names = dict.fromkeys((*loaded_topology.columns, *(name for row in rows for name in row)))
    cells = [tuple(row.get(name, "") for name in names) for row in rows]
    frame = tables.to_frame(tuple(names), cells)
    if loaded_topology.rejected:
        topology = open_topology(frame)
        known = {(cell.column, cell.text) for cell in loaded_topology.rejected}
        new = [c.problem for c in topology.rejected if (c.column, c.text) not in known]
        if new:
            raise_problems(loaded_topology.source, new)
    else:
        topology = read_topology(frame)
    return replace(
        topology,
        source=loaded_topology.source,
        notes=loaded_topology.notes,
        path=loaded_topology.path,
    )
