"""Create the edits to table cells that resolve findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, count

from ..rules.findings import CellEdit, Edit
from ..topology.model import Pool
from .plan_lookups import PlanView

# The first labels of proposed names, which are the same as in the guide.
_SERVICE_LABELS = {
    "web_external_fqdn": "web",
    "access_edge_fqdn": "access",
    "webconf_edge_fqdn": "webconf",
    "av_edge_fqdn": "av",
}


def find_rows(view: PlanView, *pools: Pool) -> list[int]:
    """Return the table rows of pools and of their collocated roles, which use the same values."""
    named = (other for pool in pools for other in view.find_pools_by_name(pool.fqdn))
    return list(dict.fromkeys(computer.row for pool in named for computer in pool.computers))


def get_cell_text(view: PlanView, row: int, column: str) -> str:
    """Return the text of a table cell."""
    topology = view.plan.topology
    return topology.cells[row][topology.columns.index(column)]


def set_cells(rows: Iterable[int], column: str, text: str) -> tuple[Edit, ...]:
    """Return the edits that enter a text in a column of several rows."""
    return tuple(CellEdit(row=row, column=column, text=text) for row in rows)


def replace_cells(
    view: PlanView, pools: Iterable[Pool], column: str, text: str = ""
) -> tuple[Edit, ...]:
    """Return the edits that replace or clear the cells of a column that have a text."""
    rows = (row for row in find_rows(view, *pools) if get_cell_text(view, row, column))
    return set_cells(rows, column, text)


def fill_cell(view: PlanView, server: str, column: str, text: str) -> tuple[Edit, ...]:
    """Return the edit that fills a blank cell in the first row of the pool of a first server."""
    row = view.pools_by_first_server[server][0].computers[0].row
    return set_cells([row] if text else [], column, text)


def list_free_names(view: PlanView, label: str, domain: str = "") -> Iterator[str]:
    """Yield names that are not in the plan: access.contoso.com, then access2.contoso.com.

    ``label`` is the first label, or the column for which a name is proposed.
    """
    label = _SERVICE_LABELS.get(label, label)
    names = (f"{label}{number}.{domain}" for number in chain(("",), count(2)))
    return (name for name in names if name not in view.names_in_use)


def list_adjacent_pools(view: PlanView, row: int) -> Iterator[str]:
    """Yield the pools of the nearest rows above and below, in which all rows have the same role."""
    if "pool_fqdn" not in view.plan.topology.columns or get_cell_text(view, row, "pool_fqdn"):
        return
    role = get_cell_text(view, row, "role")
    for rows in (range(row - 1, -1, -1), range(row + 1, len(view.plan.topology.cells))):
        for other in rows:
            name = get_cell_text(view, other, "pool_fqdn")
            if get_cell_text(view, other, "role") != role:
                break
            if name:
                yield name
                break


def format_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Format pairs of a usage and a value as the text of a table cell."""
    return "; ".join(f"{key}={value}" if key else str(value) for key, value in pairs)
