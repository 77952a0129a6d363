"""Define a draft: the topology and options that the user edits, the resulting plan, and undo.

Every change goes through this module. If ``Topology``, ``PlanOptions`` or the planner
rejects a change, nothing changes. Each state is a pair of immutable values, so undo
restores the earlier pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Concatenate, ParamSpec, TypeVar

from ...errors import LyncnbError
from ...plan.options import PlanOptions
from ...plan.planner import validate_options
from ...rules.model import Rules
from ...topology.columns import list_topology_columns
from ...topology.topology import Topology
from .live_plan import LivePlan

STEPS_KEPT = 200
Answer = TypeVar("Answer")
Parts = ParamSpec("Parts")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The table and options of a draft at one point in time. ``said`` describes the last step.

    ``scenario`` is the name of the scenario that was last opened or kept.
    """

    topology: Topology
    # The permanent IDs of the table rows. The loaded rows have the IDs 0 … n-1.
    ids: tuple[int, ...]
    options: PlanOptions
    said: str = ""
    scenario: str = ""

    def is_same(self, other_state: State) -> bool:
        """Return whether two states of a draft have the same table and the same options."""
        mine, others = self.topology, other_state.topology
        is_table = mine is others or (mine.columns, mine.texts) == (others.columns, others.texts)
        return is_table and self.options == other_state.options


class Draft:
    """The current state of an edited plan, with the states for undo and redo.

    ``report_text`` is a text that an edit reports instead of the description of a step. ``went_to``
    is the row ID and the column of a cell that Undo or Redo changed.
    """

    def __init__(self, topology: Topology, rules: Rules, options: PlanOptions):
        self._followers: list[Callable[[str], object]] = []
        self.begin(topology, rules, options)

    def begin(self, topology: Topology, rules: Rules, options: PlanOptions) -> None:
        """Load a table and its options. You cannot undo this step."""
        options = validate_options(topology, rules, options)
        ids = tuple(range(len(topology.cells)))
        self.loaded = State(topology=topology, ids=ids, options=options)
        self.live = LivePlan(rules, topology, options)
        self.state = self.loaded
        self.past: list[State] = []
        self.future: list[State] = []
        self.report_text = ""
        self.went_to: tuple[int, str] | None = None
        self._next_id = len(topology.cells)
        self._places: tuple[tuple[int, ...], dict[int, int]] = ((), {})

    @property
    def topology(self) -> Topology:
        """The current topology."""
        return self.state.topology

    @property
    def options(self) -> PlanOptions:
        """The current options."""
        return self.state.options

    # -- The following methods find rows of the table.
    def texts(self, name: str) -> list[str]:
        """Return each row's text in a column of the table.

        Without this column, the texts are blank.
        """
        if name not in self.topology.columns:
            return [""] * len(self.topology.cells)
        index = self.topology.columns.index(name)
        return [row[index] for row in self.topology.cells]

    def map_indices_by_id(self) -> dict[int, int]:
        """Return the index of each row by its ID.

        The result is cached, because most changes keep the IDs.
        """
        ids = self.state.ids
        if self._places[0] is not ids:
            self._places = ids, dict(zip(ids, range(len(ids))))
        return self._places[1]

    def find_row_indices(self, ids: Iterable[int]) -> list[int]:
        """Return the row indices for some IDs, in table order.

        IDs of removed rows are left out.
        """
        index_by_id = self.map_indices_by_id()
        return sorted(index_by_id[row_id] for row_id in set(ids) if row_id in index_by_id)

    def create_ids(self, count: int) -> tuple[int, ...]:
        """Return unused IDs for new table rows."""
        self._next_id += count
        return tuple(range(self._next_id - count, self._next_id))

    # -- Apply edits.
    def apply(
        self,
        edit: Callable[Concatenate[Draft, Parts], Answer],
        *args: Parts.args,
        **parts: Parts.kwargs,
    ) -> Answer:
        """Apply an edit to the draft, plan again, and call the registered functions.

        Parameters
        ----------
        edit : callable
            A function in ``lyncnb.widgets.editing.edits``, for example ``set_cells``.
        **parts
            The keyword arguments of the edit, such as ``ids=(0,), column="role", value="Edge"``.

        Returns
        -------
        object
            The return value of the edit, such as the IDs of new rows.

        Raises
        ------
        LyncnbError
            If the edit is not valid, or lyncnb cannot plan the result. Then nothing changes.
        """
        before = self.state, list(self.past), list(self.future)
        self.report_text, self.went_to = "", None
        try:
            answer = edit(self, *args, **parts)
            self.live.update(self.topology, self.options)
        except LyncnbError:
            self.state, self.past, self.future = before
            raise
        self._notify_followers(self.report_text)
        return answer

    def register_callback(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Register a function to call after each change of the draft.

        Parameters
        ----------
        callback : callable
            Called with the name of an undone or redone step, or with "" for other changes.

        Returns
        -------
        callable
            A function that ends the notifications.
        """
        self._followers.append(callback)
        return lambda: self._followers.remove(callback)

    def _notify_followers(self, description: str) -> None:
        for tell in tuple(self._followers):
            tell(description)

    def enter_state(self, state: State) -> None:
        """Add a new state to the draft as one step. A state without changes adds no step."""
        if state.is_same(self.state) and state.scenario == self.state.scenario:
            return
        self.past.append(self.state)
        del self.past[:-STEPS_KEPT]
        self.future.clear()
        self.state = state

    def name_scenario(self, name: str) -> None:
        """Set the name of the current scenario. The user cannot undo the change of the name."""
        self.state = replace(self.state, scenario=name)

    def rename_scenario(self, name: str, new: str) -> None:
        """Rename a scenario in the draft's current state and in all states for undo and redo."""

        def rename_in_state(state: State) -> State:
            return replace(state, scenario=new) if state.scenario == name else state

        self.state = rename_in_state(self.state)
        self.past, self.future = (
            [*map(rename_in_state, self.past)],
            [*map(rename_in_state, self.future)],
        )

    def adopt_draft(self, other_draft: Draft) -> None:
        """Copy the state and the undo and redo history from another draft of the same table."""
        self.state, self.past, self.future = (
            other_draft.state,
            list(other_draft.past),
            list(other_draft.future),
        )
        self._next_id = other_draft._next_id


def find_heading(name: str) -> str:
    """Return the heading of a table column."""
    known = {facts.name: facts.title for facts in list_topology_columns()}
    return known.get(name, name)
