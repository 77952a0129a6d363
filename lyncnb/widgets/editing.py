"""Change a topology and its options, plan again, save and replay: all of it without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..base import tables
from ..base.tables import count_of
from ..checks.check_plan import judging_day
from ..checks.mend_plan import mend_plan
from ..errors import LyncnbError, TopologyError
from ..plan.acceptances import is_over
from ..plan.compare import PlanDifference, compare_plans
from ..plan.model import CertificatePlan
from ..plan.options import DEFAULT_OPTIONS, PlanOptions
from ..plan.planner import settled_options
from ..plan.summary_from_plan import totals
from ..rules.findings import Findings
from ..rules.model import Rules
from ..topology.topology import Topology, read_topology
from .editor_table import pool_names
from .forms import SHOWN, option_value, option_words
from .live_plan import LivePlan
from .saved_choices import (
    Server,
    change_rows,
    edits_between,
    option_changes,
    same_rows,
    save_plan,
    saved_files,
    server_keys,
    to_code,
)
from .table_edits import TakenBlock
from .undo_history import Draft, State

Answer = TypeVar("Answer")
CHANGE_COLUMNS = ("Server", "Column", "Before", "After")


class PlanEditing:
    """A topology and options under change, with the plan that follows them.

    ``earlier`` is the editor whose edits could not be made again when the cell was run again.
    """

    def __init__(self, topology: Topology, rules: Rules, *, options: PlanOptions = DEFAULT_OPTIONS):
        options = settled_options(topology, rules, options)
        self.draft = Draft(topology, options)
        self.live = LivePlan(rules, topology, options)
        self._saved = self.draft.state
        self._followers: list[Callable[[str], object]] = []
        self.earlier: PlanEditing | None = None

    # -- what there is
    @property
    def topology(self) -> Topology:
        """The topology with every change made so far."""
        return self.draft.topology

    @property
    def options(self) -> PlanOptions:
        """The options with every change made so far."""
        return self.draft.options

    @property
    def rules(self) -> Rules:
        """The rules of the product that the options name."""
        return self.live.rules

    @property
    def plan(self) -> CertificatePlan:
        """The plan of the topology and options as they are now."""
        return self.live.plan

    @property
    def loaded_plan(self) -> CertificatePlan:
        """The plan of the table and options as they were loaded."""
        return self.live.first

    @property
    def findings(self) -> Findings:
        """What the checks say of the plan as it is now."""
        return self.live.findings

    def changes(self) -> tables.DataFrame:
        """Give what changed against the loaded file, one row per cell or option, 4 columns."""
        return tables.to_frame(CHANGE_COLUMNS, change_rows(self.draft.loaded, self.draft.state))

    def effects(self) -> PlanDifference:
        """Compare the plan of the loaded file with the one in force: certificates and names."""
        return compare_plans(self.loaded_plan, self.plan)

    def code(self) -> str:
        """Give the Python that repeats every choice, for the cell that makes the editor."""
        return to_code(self.draft.loaded, self.draft.state)

    # -- following
    def follow(self, tell: Callable[[str], object]) -> None:
        """Have `tell` called after each change.

        Parameters
        ----------
        tell : callable
            Called with what was taken back or made again, if that was it, else with "".
        """
        self._followers.append(tell)

    def _tell(self, said: str) -> None:
        for tell in self._followers:
            tell(said)

    # -- changing
    def edit(
        self,
        *,
        change: Iterable[tuple[Iterable[Server], Mapping[str, str]]] = (),
        add: Iterable[Mapping[str, str]] = (),
        remove: Iterable[Server] = (),
    ) -> None:
        """Change, add and remove servers in one step.

        Parameters
        ----------
        change : iterable of (servers, values), optional
            Names of servers (with a role, ``("fe01.contoso.com", "FrontEnd")``, where a server
            has several rows) and, by column, the texts to put in their cells.
        add : iterable of mappings, optional
            For each new server its texts by column.
        remove : iterable of servers, optional
            Names as in `change`.

        Raises
        ------
        TopologyError
            If a server is not there, or the result is no topology; then nothing is changed.
        """
        self._changing(lambda: self._enter(change, add, remove, "servers changed by a call"))

    def _enter(
        self,
        change: Iterable[tuple[Iterable[Server], Mapping[str, str]]],
        add: Iterable[Mapping[str, str]],
        remove: Iterable[Server],
        said: str,
    ) -> None:
        state = self.draft.state
        rows = [dict(zip(state.topology.columns, row)) for row in state.topology.cells]
        place_of = {key: place for place, key in enumerate(server_keys(state.topology))}
        for servers, values in change:
            for server in [servers] if isinstance(servers, str) else servers:
                rows[_place(place_of, server)].update(values)
        gone = {_place(place_of, server) for server in remove}
        new = [dict(values) for values in add]
        ids = [row_id for place, row_id in enumerate(state.ids) if place not in gone]
        rows = [row for place, row in enumerate(rows) if place not in gone] + new
        topology = _topology_of(rows, state.topology)
        self.draft.enter(topology, (*ids, *self.draft.new_ids(len(new))), said)

    def set_cells(self, ids: Iterable[int], column: str, value: str) -> None:
        """Set a column of some rows, by their ids; of their pools, where the pool has the column.

        Raises
        ------
        TopologyError
            If the value or the topology that it makes is refused.
        """
        self._changing(lambda: self.draft.set_cells(ids, column, value))

    def set_everywhere(self, column: str, value: str) -> None:
        """Set a column of the deployment, or a yes or no of all pools that heed it.

        Raises
        ------
        TopologyError
            If the value is refused.
        """
        self._changing(lambda: self.draft.set_everywhere(column, value))

    def set_block(
        self,
        cells: Iterable[tuple[int, str, str]],
        add: Sequence[Mapping[str, str]] = (),
        *,
        said: str = "a block of cells",
    ) -> TakenBlock:
        """Put texts into cells and rows at the end of the table, as one step.

        Parameters
        ----------
        cells : iterable of (int, str, str)
            Id of a row, column, text.
        add : sequence of mapping of str to str, optional
            For each new row its texts by column.
        said : str, optional
            What the step is called.

        Returns
        -------
        TakenBlock
            What could not be taken, cell by cell, with the reason; the rest is taken.
        """
        return self._changing(lambda: self.draft.set_block(cells, add, said))

    def are_in_pools(self, ids: Iterable[int]) -> bool:
        """Tell whether each of these rows shares its pool with another server."""
        pools = pool_names(self.topology)
        places = self.draft.places(ids)
        return bool(places) and all(pools.count(pools[place]) > 1 for place in places)

    def leave_pool(self, ids: Iterable[int], column: str, value: str) -> None:
        """Take servers out of their pool and set a column of theirs, e.g. the role, as one step.

        Raises
        ------
        TopologyError
            If the value or the topology that it makes is refused.
        """
        self._changing(lambda: self.draft.leave_pool(ids, column, value))

    def new_pool(self, ids: Iterable[int], pool: str) -> None:
        """Make a pool of some servers, by the ids of their rows.

        Raises
        ------
        LyncnbError
            If the name cannot be, there is such a pool, or the servers have several roles.
        """
        self._changing(lambda: self.draft.new_pool(ids, pool))

    def duplicate(self, ids: Iterable[int]) -> tuple[int, ...]:
        """Copy servers, each under its name with the next free number; give the new ids.

        Raises
        ------
        LyncnbError
            If a name has no number to go on from.
        """
        return self._changing(lambda: self.draft.duplicate(ids))

    def add_server(self, values: Mapping[str, str]) -> int:
        """Add a server at the end of the table and give the id of its row.

        Raises
        ------
        TopologyError
            If it cannot be a server of this topology.
        """
        return self._changing(lambda: self.draft.add_server(values))

    def remove_rows(self, ids: Iterable[int]) -> None:
        """Take rows out, by their ids.

        Raises
        ------
        TopologyError
            If nothing would be left.
        """
        self._changing(lambda: self.draft.remove(ids))

    def change_options(self, **values: object) -> None:
        """Change options in one step.

        Parameters
        ----------
        **values
            Fields of ``PlanOptions``; texts will do, e.g. ``key="RSA 3072"`` or
            ``planned_issue_date="2026-01-31"``.

        Raises
        ------
        OptionsError
            If there is no such option, or it cannot have the value; then nothing is changed.
        """
        wanted = {name: option_value(name, value) for name, value in values.items()}
        said = "; ".join(option_words(name, value) for name, value in wanted.items())
        self._changing(lambda: self.draft.set_options(said, **wanted))

    def accept(self, code: str, reason: str) -> None:
        """Accept the findings of a code, or no longer if the reason is blank.

        A reason for what was accepted until a day that has passed counts without an end.

        Raises
        ------
        OptionsError
            If there is no finding of that code, or no reason excuses it.
        """
        options = self.options
        chosen = {**options.accepted, code: reason.strip()}
        until, only = dict(options.accepted_until), dict(options.accepted_for)
        if not reason.strip() or is_over(code, options, on=judging_day(self.plan)):
            until.pop(code, None)
        if not reason.strip():
            only.pop(code, None)
        values: dict[str, Mapping[str, object]] = {
            "accepted": chosen, "accepted_until": until, "accepted_for": only}  # fmt: skip
        self.change_options(
            **{k: v for k, v in values.items() if k == "accepted" or v != getattr(options, k)}
        )

    def mend(self, *codes: str) -> Findings:
        """Mend what has one safe answer and brings no other finding, in one step.

        Parameters
        ----------
        *codes : str, optional
            The findings to mend, by their codes; left out, all.

        Returns
        -------
        Findings
            What is mended; nothing else changed.
        """
        mended = mend_plan(self.plan, codes=codes)
        if mended.fixed:
            said = f"Mended: {', '.join(dict.fromkeys(one.code for one in mended.fixed))}"
            plan = mended.plan
            self._changing(lambda: self.draft.mend(plan.topology, plan.options, said))
        return Findings(mended.fixed, mended.findings.judged_on)

    def undo(self) -> str:
        """Take the last change back and say which it was; "" if there is none."""
        return self._changing(self.draft.undo, "Taken back: ")

    def redo(self) -> str:
        """Make the change again that was taken back last; "" if there is none."""
        return self._changing(self.draft.redo, "Made again: ")

    def reset(self) -> None:
        """Go back to the loaded file. This can be undone as well."""
        self._changing(self.draft.reset)

    def switch(self, topology: Topology, options: PlanOptions, *, scenario: str) -> None:
        """Take over another table and other options, as one step; rows of a server stay its rows.

        Parameters
        ----------
        topology : Topology
            It is called as the one before, which is where the editor began.
        options : PlanOptions
            They may name another product.
        scenario : str
            What both are kept as.

        Raises
        ------
        LyncnbError
            If no plan can be made of them; then nothing is changed.
        """
        draft = self.draft
        named = replace(topology, source=draft.topology.source)
        ids = same_rows(topology, (draft.state, draft.loaded), draft.new_ids(len(topology.cells)))
        state = State(
            topology=named,
            ids=ids,
            options=options,
            said=f"opened scenario {scenario}",
            scenario=scenario,
        )
        self._changing(lambda: draft.switch(state))

    def name_scenario(self, name: str) -> None:
        """Note as which scenario the state is kept."""
        self.draft.name_scenario(name)
        self._tell(f"Kept as scenario {name}")

    def rename_scenario(self, name: str, new: str) -> None:
        """Note that a scenario is called otherwise; "" if it is no more."""
        self.draft.rename_scenario(name, new)
        self._tell(f"Scenario {name} is called {new}" if new else f"Scenario {name} is removed")

    def save(self, folder: str | Path, *, overwrite: bool = False) -> tuple[Path, Path]:
        """Write ``topology.csv`` and ``plan.toml`` into a folder.

        Parameters
        ----------
        folder : path
            Made if it is not there.
        overwrite : bool, optional
            Replace a table, or choices, that were neither loaded nor saved here before.

        Returns
        -------
        tuple of Path
            The table, columns that lyncnb does not know included, and the options.

        Raises
        ------
        LyncnbError
            If other files are there, or the folder cannot be written; nothing is lost then.
        """
        known = (self.draft.loaded, self._saved)
        save_plan(Path(folder), self.draft.state, known=known, overwrite=overwrite)
        self._saved = self.draft.state
        self._tell("")
        return saved_files(Path(folder))

    @property
    def has_changes(self) -> bool:
        """Whether anything differs from what was loaded."""
        return not _is_same(self.draft.loaded, self.draft.state)

    def take_over(self, earlier: PlanEditing) -> bool:
        """Make the changes of an earlier editor of the same source.

        Parameters
        ----------
        earlier : PlanEditing
            Its steps can be undone here, if it was made from the same table and options.

        Returns
        -------
        bool
            Whether table and options are those that it was made from.

        Raises
        ------
        LyncnbError
            If a change does not fit what was loaded now; then nothing is changed.
        """
        before, after = earlier.draft.loaded, earlier.draft.state
        if _is_same(before, self.draft.loaded):
            self._changing(lambda: self.draft.adopt(earlier.draft))
            self._saved = earlier._saved
            return True
        edits = edits_between(before, after)
        options = {
            name: getattr(after.options, name)
            for name in option_changes(before.options, after.options)
        }

        def make_again() -> None:
            if edits:
                self._enter(edits.change, edits.add, edits.remove, "changes of before")
            self.draft.set_options("options of before", **options)

        self._changing(make_again)
        return False

    @property
    def is_saved(self) -> bool:
        """Whether nothing changed since loading or saving."""
        return _is_same(self._saved, self.draft.state)

    def _changing(self, change: Callable[[], Answer], verb: str = "") -> Answer:
        """Make a change, plan again, tell who follows; go back if no plan can be made of it.

        `verb` says what the answer of the change is, where it is a step that was found.
        """
        draft = self.draft
        before = draft.state, list(draft.past), list(draft.future)
        try:
            answer = change()
            self.live.update(draft.topology, draft.options)
        except LyncnbError:
            draft.state, draft.past, draft.future = before
            raise
        self._tell(f"{verb}{answer}" if verb and answer else "")
        return answer

    # -- showing
    def to_frame(self) -> tables.DataFrame:
        """Give the topology's table as it is now."""
        return self.topology.to_frame()

    def _repr_html_(self) -> str:
        found = self.findings
        counted = [finding for finding in found if self.live.is_open(finding)]
        accepted = len(found) - len(counted)
        words = totals(self.plan, counted)
        return self.page(f"{words} {accepted:,} accepted." if accepted else words)

    def page(self, summary: str) -> str:
        """Write a sentence, the servers, and what changed as HTML, 200 rows of each at most."""
        table, source = self.topology, self.topology.source
        columns = [name for name in SHOWN if name in table.columns]
        places = [table.columns.index(name) for name in columns]
        first = table.cells[: tables.ROWS_SHOWN]
        rows = [tuple(row[place] for place in places) for row in first]
        parts = [
            tables.paragraph(summary),
            tables.rows_to_html(columns, rows, caption=f"Servers of {source}"),
        ]
        if len(first) < len(table.cells):
            parts.append(tables.paragraph(tables.left_out(len(first), len(table.cells))))
        changed = change_rows(self.draft.loaded, self.draft.state)
        if changed:
            caption = f"{count_of(len(changed), 'change')} against {source}"
            parts.append(
                tables.rows_to_html(
                    CHANGE_COLUMNS, changed, caption=caption, limit=tables.ROWS_SHOWN
                )
            )
        return "\n".join(parts)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.topology.source!r}, "
            f"{count_of(len(self.topology.cells), 'row')}, "
            f"{count_of(len(self.plan.certificates), 'certificate')})"
        )


def _is_same(one: State, other: State) -> bool:
    """Tell whether two states hold the same table and options."""
    same = one.topology is other.topology or (
        (one.topology.columns, one.topology.cells) == (other.topology.columns, other.topology.cells)
    )
    return same and one.options == other.options


def _place(place_of: Mapping[Server, int], server: Server) -> int:
    key = server.strip().lower() if isinstance(server, str) else (server[0], server[1])
    if key in place_of:
        return place_of[key]
    several = [f"{other!r}" for other in place_of if isinstance(other, tuple) and other[0] == key]
    hint = (
        f"it has several rows; name one as {' or '.join(several)}"
        if several
        else ("write the name as in the column server_fqdn")
    )
    raise TopologyError(f"there is no row for the server {server!r}", hint=hint)


def _topology_of(rows: list[dict[str, str]], loaded: Topology) -> Topology:
    names = dict.fromkeys((*loaded.columns, *(name for row in rows for name in row)))
    cells = [tuple(row.get(name, "") for name in names) for row in rows]
    made = read_topology(tables.to_frame(tuple(names), cells))
    return replace(made, source=loaded.source, notes=loaded.notes)
