"""Apply the safe fixes for the rejected cells and the unknown headings of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..errors import TopologyError
from .columns import list_topology_columns
from .rejected_cells import Place
from .source_table import raise_problems
from .topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTable:
    """A table before and after its safe fixes, its new headings, and texts by row and column."""

    before: Topology
    topology: Topology
    headings: Mapping[str, str]
    texts: Mapping[Place, str]
    lines: tuple[str, ...]

    @property
    def cells(self) -> dict[int, dict[str, str]]:
        """The new texts by row index and column."""
        return _group_by_row(self.texts)

    def reject_incomplete(self) -> None:
        """Raise an error that lists the rejected cells before the fixes, with their new texts."""
        if not self.before.rejected:
            return
        problems = []
        for cell in self.before.rejected:
            text = self.texts.get(cell.place)
            hint = f'change the text to "{text}"' if text else cell.problem.hint
            problems.append(replace(cell.problem, hint=hint))
        headings = [f'heading "{heading}" -> "{name}"' for heading, name in self.headings.items()]
        hint = "; ".join(["to write these fixes, omit --json", *headings])
        raise_problems(self.before.source, problems, hint=hint)


def _group_by_row(texts: Mapping[Place, str]) -> dict[int, dict[str, str]]:
    changes: dict[int, dict[str, str]] = {}
    for (row, column), text in texts.items():
        changes.setdefault(row, {})[column] = text
    return changes


def fix_table(topology: Topology) -> FixedTable:
    """Return a table after its safe fixes.

    A missing server or role column is the unknown column whose texts look like it. A rejected cell
    gets its only certain text, unless this text contradicts another row.
    """
    required = {column.name for column in list_topology_columns() if column.required}
    suggested = topology.suggest_columns() if topology.rejected else {}
    headings = {heading: name for heading, name in suggested.items() if name in required}
    named = topology.with_headings(headings) if headings else topology
    fixes = named.list_cell_fixes()
    texts = {place: fix.texts[0] for place, fix in fixes.items() if fix.is_safe}
    old = {cell.place: cell for cell in named.rejected}
    fixed = named
    while texts:
        try:
            fixed = named.with_cells(_group_by_row(texts))
            break
        except TopologyError as error:
            wrong = {(problem.row - 2, problem.column) for problem in error.problems}
            left = {place: text for place, text in texts.items() if place not in wrong}
            texts = left if len(left) < len(texts) else {}
    lines = [f'heading "{heading}" -> "{name}"' for heading, name in headings.items()]
    lines += [
        f'{old[place].problem.where}: "{old[place].text}" -> "{text}"'
        for place, text in texts.items()
    ]
    return FixedTable(
        before=topology, topology=fixed, headings=headings, texts=texts, lines=tuple(lines)
    )
