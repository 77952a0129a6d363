"""The plan under change as a picture, drawn when somebody looks; a pool in it leads to its rows."""

from __future__ import annotations

from collections.abc import Iterable

from ..base import tables
from ..plan.figures import DEFAULT, KINDS, figure
from .editing import PlanEditing

_TITLES = {
    "topology": "Who speaks to whom",
    "coverage": "Which name on whose certificate",
    "timeline": "Days that matter",
}
_ROWS_LISTED = 200
Message = dict[str, object]


def picture(editing: PlanEditing, kind: str, site: str) -> Message:
    """Draw the plan; who speaks to whom with marks where it differs from the loaded file's.

    Parameters
    ----------
    editing : PlanEditing
        The plan.
    kind : str
        One of ``KINDS``; any other is the first.
    site : str
        The site to show; one that the topology has not is none.

    Returns
    -------
    dict
        The picture, its words and the same data as a table of 200 rows at most.
    """
    kind = kind if kind in KINDS else DEFAULT
    sites = sorted({pool.site for pool in editing.plan.topology.pools} - {""})
    site = site if site in sites and kind != "timeline" else ""
    is_compared = kind == DEFAULT and editing.has_changes
    drawn = figure(editing.effects() if is_compared else editing.plan, kind, site=site)
    frame = [list(map(tables.cell_text, row)) for row in drawn.rows[:_ROWS_LISTED]]
    return {
        "type": "picture",
        "kind": kind,
        "site": site,
        "kinds": [[name, _TITLES[name]] for name in KINDS],
        "sites": sites if len(sites) > 1 and kind != "timeline" else [],
        "title": drawn.title,
        "words": drawn.description,
        "svg": drawn.svg,
        "headings": list(drawn.columns),
        "rows": frame,
        "total": len(drawn.rows),
    }


def pool_rows(editing: PlanEditing, pools: Iterable[str]) -> list[int]:
    """List the ids of the rows of some pools, named as the picture does: role and name."""
    wanted, ids = set(pools), editing.draft.state.ids
    return [
        ids[computer.row]
        for pool in editing.topology.pools
        if f"{pool.role}/{pool.fqdn}" in wanted
        for computer in pool.computers
    ]
