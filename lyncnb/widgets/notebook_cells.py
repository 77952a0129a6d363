"""Find notebook cells that show a plan editor, and the state of the editor when a cell ran.

The same holds for cells that show the plan of an editor.

A cell depends on an editor if it uses the editor's name, or a name that such a cell
assigned. lyncnb reads this from the source text of the cells. It runs no code.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import PurePath
from typing import Any, NamedTuple
from weakref import WeakMethod

from IPython.core.getipython import get_ipython

from ..base.shown.tables import format_count
from ..errors import LyncnbError
from ..plan.model import CertificatePlan
from ..topology.topology import Topology
from .editing.choices import list_change_rows
from .editing.draft import State
from .editing.plan_editing import PlanEditing


class StatementNames(NamedTuple):
    """The names that a statement in a notebook cell reads, and the names that it assigns."""

    read: frozenset[str]
    bound: frozenset[str]


def has_kernel() -> bool:
    """Return whether the code runs in a notebook kernel, not in a script or a shell."""
    return hasattr(get_ipython(), "kernel")


def find_cell_id() -> str:
    """Return the ID of the running cell, or "" if no cell is running."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return ""
    parent = kernel.get_parent("shell") or {}
    return str((parent.get("metadata") or {}).get("cellId", ""))


def find_execution_count() -> int:
    """Return the execution count of the running or next cell, or 0 outside a kernel."""
    shell = get_ipython()
    return 0 if shell is None else int(shell.execution_count)


def find_running_cell() -> int:
    """Return the execution count of the running cell, or 0 outside a notebook kernel."""
    shell = get_ipython()
    return 0 if shell is None else len(shell.user_ns.get("In", ())) - 1


def forget_result(result: object) -> None:
    """Remove an object from IPython's history of results, but not from the user's variables."""
    shell = get_ipython()
    if shell is None:
        return
    history = shell.user_ns.get("Out", {})
    for count in [count for count, value in history.items() if value is result]:
        del history[count]
        for names in (shell.user_ns, shell.user_ns_hidden):
            names.pop(f"_{count}", None)


_after_changes: list[WeakMethod[Callable[[], object]]] = []


def call_after_changes(method: Callable[[], object]) -> None:
    """Call a method after each notebook cell and after each write by a panel.

    This ends when the method's object no longer exists.
    """
    if (shell := get_ipython()) is not None:
        _register_cell_hook(shell)
    _after_changes.append(WeakMethod(method, _after_changes.remove))


@lru_cache(maxsize=1)
def _register_cell_hook(shell: Any) -> None:
    shell.events.register("post_run_cell", lambda *_: _call_after_changes())


def notify_change() -> None:
    """Notify all panels of a request folder that one of them has changed the folder.

    The call uses a separate thread, because the caller may hold a lock that a panel waits for.
    """
    threading.Thread(target=_call_after_changes, name="lyncnb-changes", daemon=True).start()


def _call_after_changes() -> None:
    for living in tuple(_after_changes):
        if (method := living()) is not None:
            method()


def find_cells_that_depend_on(displayed_object: object) -> list[int]:
    """Return the execution counts of the notebook cells that depend on an object, in order."""
    shell = get_ipython()
    if shell is None:
        return []
    names = {
        name
        for name, value in shell.user_ns.items()
        if value is displayed_object and not name.startswith("_")
    }
    return find_dependent_cells(shell.user_ns.get("In", ()), names)


def find_dependent_cells(sources: Sequence[str], names: set[str]) -> list[int]:
    """Return the notebook cells that depend on certain variables, directly or through other cells.

    Parameters
    ----------
    sources : sequence of str
        The source text of each cell that ran, by execution count.
    names : set of str
        The names of the object.

    Returns
    -------
    list of int
        Indices in `sources`.
    """
    return _follow_names(sources, names)[0]


def _follow_names(sources: Sequence[str], names: set[str]) -> tuple[list[int], set[str]]:
    """Return the cells that depend on certain variables, and these and all dependent variables."""
    following = set(names)
    cells: list[int] = []
    for count, source in enumerate(sources):
        for statement in _parse_statements(source):
            if not statement.read & following:
                following -= statement.bound - names
                continue
            following |= statement.bound
            if cells[-1:] != [count]:
                cells.append(count)
    return cells, following


def remove_replaced_objects(shell: Any, source: str) -> list[object]:
    """Remove the variables that depend on the table that a cell is about to replace.

    If the cell fails, no later cell can use the earlier table or a plan that was made from it.
    A cell replaces a table, plan or editor if it assigns the name again without reading an earlier
    one.

    Parameters
    ----------
    shell : InteractiveShell
        The shell that is about to run the cell.
    source : str
        The source text of the cell.

    Returns
    -------
    list of object
        The values of the removed variables.
    """
    variables = shell.user_ns
    held = {
        name
        for name, value in variables.items()
        if isinstance(value, (Topology, CertificatePlan, PlanEditing)) and not name.startswith("_")
    }
    statements = _parse_statements(shell.transform_cell(source))
    # A DataFrame from read_table is a table, too. Other cells only read it.
    bound = {name for statement in statements for name in statement.bound}
    held |= {name for name in bound if "source" in getattr(variables.get(name), "attrs", ())}
    assigned: set[str] = set()
    for statement in statements:
        if (statement.read - assigned) & held:
            return []
        assigned |= statement.bound
    if not assigned & held:
        return []
    _, names = _follow_names(variables.get("In", ()), assigned & held)
    return [variables.pop(name) for name in sorted(names & variables.keys())]


@lru_cache(maxsize=1000)
def _parse_statements(source: str) -> tuple[StatementNames, ...]:
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError):
        # Skip code that is not valid Python, such as a magic command.
        return ()
    return tuple(map(_find_names, statements))


def _find_names(statement: ast.stmt) -> StatementNames:
    used = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return StatementNames(
        frozenset(node.id for node in used if isinstance(node.ctx, ast.Load)),
        frozenset(node.id for node in used if isinstance(node.ctx, ast.Store)),
    )


class PlansShown:
    """The history of an editor's states, which shows whether a cell's output is outdated."""

    def __init__(self, state: State):
        self._since: list[tuple[int, State]] = [(0, state)]

    def record_state(self, state: State) -> None:
        """Record that the editor has a new state."""
        count = find_execution_count()
        if self._since[-1][0] == count:
            self._since.pop()
        self._since.append((count, state))

    def list_older_cells(self, displayed_object: object) -> list[int]:
        """Return the execution counts of the cells that show an earlier state of the editor."""
        now = self._since[-1][1]
        return [
            count
            for count in find_cells_that_depend_on(displayed_object)
            if not _is_same_plan(self._find_state(count), now)
        ]

    def _find_state(self, count: int) -> State:
        return [state for since, state in self._since if since <= count][-1]


def _is_same_plan(state: State, other_state: State) -> bool:
    # States are compared by identity, because comparing 100,000 rows would be slow. Undo restores
    # the same topology object, so its identity is sufficient.
    return state.topology is other_state.topology and state.options == other_state.options


# When a user selects "Run All", the cell creates a new editor from the file, and unsaved edits
# would be lost. Therefore, lyncnb looks for the earlier editor of the same cell and the same
# source, and repeats the edits. If the kernel ends, all editors are lost.

_shown: dict[tuple[str, str], PlanEditing] = {}


def restore_edits(editor: PlanEditing) -> list[str]:
    """Apply the edits that were made in an earlier run of this cell to the new editor.

    Parameters
    ----------
    editor : PlanEditing
        An editor that is shown for the first time. If the cell already changed it, no edits are
        repeated.

    Returns
    -------
    list of str
        Lines that describe what was restored, or why nothing was. Empty if there were no edits.
    """
    cell = find_cell_id()
    if not cell:
        return []
    key = cell, editor.topology.source
    earlier, _shown[key] = _shown.get(key), editor
    if earlier is None or earlier is editor or editor.has_changes:
        return []
    base = editor.find_base_state(earlier)
    if base.is_same(earlier.state):
        return []
    count = format_count(len(list_change_rows(base, earlier.state)), "change")
    source = PurePath(editor.topology.source).name
    try:
        is_same_file = editor.repeat_changes_of(earlier)
    except LyncnbError as error:
        editor.earlier = earlier
        return [
            (
                f"Your edits ({count}) do not fit the new table {source}, so lyncnb did not "
                "apply the edits."
            ),
            f"Reason: {error.message}",
            "To see the edits, run editor.earlier.changes() or print(editor.earlier.code()).",
        ]
    if is_same_file:
        return [f"This cell ran again, and lyncnb restored your edits: {count} in {source}."]
    return [
        (
            f"{source} or the options in the cell have changed. lyncnb applied your edits "
            f"again: {count}."
        )
    ]
