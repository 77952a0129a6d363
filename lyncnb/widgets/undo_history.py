"""A topology and its options while a planner changes them, with the way back. Knows no widget.

Guards the truth of the plan editor: every change passes here, and what ``Topology`` or
``PlanOptions`` refuse changes nothing. Each state is a pair of frozen values, so undo is going
back to the pair before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import LyncnbError
from ..plan.options import PlanOptions
from ..topology.columns import column, topology_columns
from ..topology.topology import Topology
from .editor_table import group_names
from .table_edits import CellText, TakenBlock, copied_rows, pool_moves, take_block

STEPS_KEPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the planner has at one moment; ``said`` is what led there.

    ``scenario`` names the one that was opened or kept last, on the way there.
    """

    topology: Topology
    ids: tuple[int, ...]  # names of the rows for good: 0 … n-1 are those of the loaded file
    options: PlanOptions
    said: str = ""
    scenario: str = ""


class Draft:
    """The state in force, those before it, and those that were undone."""

    def __init__(self, topology: Topology, options: PlanOptions):
        self.loaded = State(
            topology=topology, ids=tuple(range(len(topology.cells))), options=options
        )
        self.state = self.loaded
        self.past: list[State] = []
        self.future: list[State] = []
        self._next_id = len(topology.cells)
        self._places: tuple[tuple[int, ...], dict[int, int]] = ((), {})

    @property
    def topology(self) -> Topology:
        """The topology in force."""
        return self.state.topology

    @property
    def options(self) -> PlanOptions:
        """The options in force."""
        return self.state.options

    def server_names(self) -> list[str]:
        """Give each row its server's name."""
        at = self.topology.columns.index("server_fqdn")
        return [row[at] for row in self.topology.cells]

    def places(self, ids: Iterable[int]) -> list[int]:
        """Find rows by their ids; those that are gone are left out."""
        place = self._place_of()
        return sorted(place[row_id] for row_id in set(ids) if row_id in place)

    def _place_of(self) -> dict[int, int]:
        """Give each id its row; most changes leave the ids, so they are looked up once."""
        ids = self.state.ids
        if self._places[0] is not ids:
            self._places = ids, dict(zip(ids, range(len(ids))))
        return self._places[1]

    def _chosen(self, ids: Iterable[int]) -> list[int]:
        places = self.places(ids)
        if not places:
            raise LyncnbError("no server is selected", hint="tick the servers first")
        return places

    # -- changes
    def set_cells(self, ids: Iterable[int], name: str, value: str) -> None:
        """Set one column of some rows; of their pools, where the column is the pool's.

        Raises
        ------
        TopologyError
            If the value or the topology that it makes is refused.
        """
        places = self._chosen(ids)
        text = self._shown(name, value)
        said = f"{title(name)} of {_servers(places, self)}: {text}"
        if name == "pool_fqdn":
            self._move(places, value, said)
        else:
            self._set(name, self._targets(name, places), value, said)

    def _move(self, places: Sequence[int], pool: str, said: str, **values: str) -> None:
        """Put servers into another pool; what belongs to their old one stays with it."""
        changes = pool_moves(self.topology, dict.fromkeys(places, pool))
        for place in places:
            changes[place] |= values
        topology = self.topology.with_cells(changes)
        if topology.cells != self.topology.cells:
            self._enter(replace(self.state, topology=topology, said=said))

    def leave_pool(self, ids: Iterable[int], name: str, value: str) -> None:
        """Take servers out of their pool and set a column of theirs, as one step.

        Raises
        ------
        TopologyError
            If the value or the topology that it makes is refused.
        """
        places = self._chosen(ids)
        text = f"{title(name)} {self._shown(name, value)}"
        said = f"{_servers(places, self)} out of the pool, {text}"
        self._move(places, "", said, **{name: value})

    def new_pool(self, ids: Iterable[int], pool: str) -> None:
        """Make a pool of some servers.

        Raises
        ------
        TopologyError
            If the name cannot be, there is such a pool, or the servers have several roles.
        """
        places = self._chosen(ids)
        name = pool.strip().lower()
        if not name:
            raise LyncnbError(
                "the new pool has no name", hint="type its FQDN, e.g. pool02.contoso.com"
            )
        if name in set(group_names(self.topology, "pool")):
            raise LyncnbError(
                f"there is a pool {name} already", hint="set the column Pool to put servers into it"
            )
        self._move(places, name, f"new pool {name} of {_servers(places, self)}")

    def set_block(
        self,
        cells: Iterable[tuple[int, str, str]],
        add: Sequence[Mapping[str, str]],
        said: str,
    ) -> TakenBlock:
        """Put texts into cells, by the ids of their rows, and rows at the end, as one step."""
        place = self._place_of()
        texts = [CellText(place[row_id], name, t) for row_id, name, t in cells if row_id in place]
        taken = take_block(self.topology, texts, add)
        if taken.added or taken.topology.cells != self.topology.cells:
            ids = (*self.state.ids, *self.new_ids(taken.added))
            self.enter(taken.topology, ids, said)
        return taken

    def duplicate(self, ids: Iterable[int]) -> tuple[int, ...]:
        """Copy servers under their names with the next free number; give the ids of the rows.

        Raises
        ------
        LyncnbError
            If a name has no number.
        """
        places = self._chosen(ids)
        rows = copied_rows(self.topology, places)
        topology = self.topology.with_rows(add=rows)
        new = self.new_ids(len(rows))
        names = rows[0]["server_fqdn"] if len(rows) == 1 else f"{len(rows):,} servers"
        self.enter(topology, (*self.state.ids, *new), f"added {names}")
        return new

    def set_everywhere(self, name: str, value: str) -> None:
        """Set a column for the whole deployment: in each row that fills it, else in the first.

        A yes or no of pools is set for every pool that heeds it.
        """
        facts = column(name)
        if facts.scope == "pool":
            at = self.topology.columns.index("role")
            rows = enumerate(self.topology.cells)
            places = [n for n, row in rows if facts.heeded_by(row[at])]
            targets = self._targets(name, places)
        else:
            texts = self._texts(name)
            targets = [n for n, text in enumerate(texts) if text or not value] or [0]
        self._set(name, targets, value, f"{facts.title}: {self._shown(name, value)}")

    def _targets(self, name: str, places: Sequence[int]) -> list[int]:
        """Find the rows to write in so that the groups of these rows get one value."""
        known = {facts.name: facts for facts in topology_columns()}
        scope = known[name].scope if name in known else "server"
        if scope == "server":
            return list(places)
        groups = group_names(self.topology, scope)
        first: dict[str, int] = {}
        for place in places:
            first.setdefault(groups[place], place)
        filled = [n for n, text in enumerate(self._texts(name)) if text and groups[n] in first]
        missing = set(first) - {groups[place] for place in filled}
        return sorted({*filled, *(first[group] for group in missing)})

    def _set(self, name: str, places: Sequence[int], value: str, said: str) -> None:
        if all(text == value for text in (self._texts(name)[place] for place in places)):
            return
        topology = self.topology.with_cells({place: {name: value} for place in places})
        self._enter(replace(self.state, topology=topology, said=said))

    def add_server(self, values: Mapping[str, str]) -> int:
        """Add a row at the end and give its id.

        Raises
        ------
        TopologyError
            If it cannot be a server of this topology.
        """
        topology = self.topology.with_rows(add=[{k: v for k, v in values.items() if v}])
        ids = (*self.state.ids, self._next_id)
        self._next_id += 1
        said = f"added {values.get('server_fqdn', '')}"
        self._enter(replace(self.state, topology=topology, ids=ids, said=said))
        return ids[-1]

    def remove(self, ids: Iterable[int]) -> None:
        """Take rows out.

        Raises
        ------
        TopologyError
            If nothing would be left, or what is left is no topology.
        """
        places = self._chosen(ids)
        said = f"removed {_servers(places, self)}"
        topology = self.topology.with_rows(remove=places)
        gone = set(places)
        kept = tuple(row_id for n, row_id in enumerate(self.state.ids) if n not in gone)
        self._enter(replace(self.state, topology=topology, ids=kept, said=said))

    def set_options(self, said: str, **values: Any) -> None:
        """Change some options.

        Raises
        ------
        OptionsError
            If an option cannot have its value.
        """
        options = replace(self.options, **values)
        if options != self.options:
            self._enter(replace(self.state, options=options, said=said))

    def enter(self, topology: Topology, ids: tuple[int, ...], said: str) -> None:
        """Take over a topology that was made elsewhere, as one step."""
        self._next_id = max(self._next_id, max(ids, default=-1) + 1)
        self._enter(replace(self.state, topology=topology, ids=ids, said=said))

    def mend(self, topology: Topology, options: PlanOptions, said: str) -> None:
        """Take over a table of the same rows and options, as one step."""
        self._enter(replace(self.state, topology=topology, options=options, said=said))

    def switch(self, state: State) -> None:
        """Take over another table and other options, as one step."""
        self._next_id = max(self._next_id, max(state.ids, default=-1) + 1)
        self._enter(state)

    def name_scenario(self, name: str) -> None:
        """Note under which name the state is kept; that is no step."""
        self.state = replace(self.state, scenario=name)

    def rename_scenario(self, name: str, new: str) -> None:
        """Call a scenario otherwise, in every state of the way back and forth."""

        def renamed(state: State) -> State:
            return replace(state, scenario=new) if state.scenario == name else state

        self.state = renamed(self.state)
        self.past, self.future = [*map(renamed, self.past)], [*map(renamed, self.future)]

    def adopt(self, other: Draft) -> None:
        """Take over the state of another draft of the same table, with its way back."""
        self.state, self.past, self.future = other.state, list(other.past), list(other.future)
        self._next_id = other._next_id

    def new_ids(self, count: int) -> tuple[int, ...]:
        """Give ids that no row ever had."""
        return tuple(range(self._next_id, self._next_id + count))

    # -- the way back
    def undo(self) -> str:
        """Go back one step and say which, or "" at the beginning."""
        if not self.past:
            return ""
        said = self.state.said
        self.future.append(self.state)
        self.state = self.past.pop()
        return said

    def redo(self) -> str:
        """Go forward again and say what was done, or "" at the end."""
        if not self.future:
            return ""
        self.past.append(self.state)
        self.state = self.future.pop()
        return self.state.said

    def reset(self) -> None:
        """Go back to the loaded file, as a step that can be undone."""
        now, first = self.state, self.loaded
        if now.topology is not first.topology or now.options != first.options:
            self._enter(replace(first, said="back to the file as loaded", scenario=""))

    def _enter(self, state: State) -> None:
        self.past.append(self.state)
        del self.past[:-STEPS_KEPT]
        self.future.clear()
        self.state = state

    def _texts(self, name: str) -> list[str]:
        if name not in self.topology.columns:
            return [""] * len(self.topology.cells)
        at = self.topology.columns.index(name)
        return [row[at] for row in self.topology.cells]

    def _shown(self, name: str, value: str) -> str:
        return " ".join(value.split()) or "blank"


def title(name: str) -> str:
    """Give the heading of a column that planners see."""
    known = {facts.name: facts.title for facts in topology_columns()}
    return known.get(name, name)


def _servers(places: Sequence[int], draft: Draft) -> str:
    """Name a row, by its role too where its server has several; count more of them."""
    if len(places) > 1:
        return f"{len(places):,} servers"
    names, place = draft.server_names(), places[0]
    if names.count(names[place]) == 1:
        return names[place]
    role = draft.topology.cells[place][draft.topology.columns.index("role")]
    return f"{names[place]}, {role}"
