"""Which cells of a notebook show an editor or its plan, and how it was when they ran.

A cell depends on an editor if it names it, or a name that such a cell has bound. That is told by
the text of the cells, as the kernel keeps it; nothing is run.
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

from ..base.shown.tables import count_of
from ..errors import LyncnbError
from .editing.choices import change_rows
from .editing.draft import State
from .editing.plan_editing import PlanEditing


class StatementNames(NamedTuple):
    """The names that a statement of a cell reads, and those that it binds."""

    read: frozenset[str]
    bound: frozenset[str]


def has_kernel() -> bool:
    """Return whether a notebook's kernel runs this, and not a script or a shell."""
    return hasattr(get_ipython(), "kernel")


def cell_id() -> str:
    """Give the id of the cell that is running, or "" where there is none or it has no id."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return ""
    parent = kernel.get_parent("shell") or {}
    return str((parent.get("metadata") or {}).get("cellId", ""))


def execution_count() -> int:
    """Give the count of the cell that is running, or that will run next; 0 outside a kernel."""
    shell = get_ipython()
    return 0 if shell is None else int(shell.execution_count)


_after_changes: list[WeakMethod[Callable[[], object]]] = []


def after_changes(method: Callable[[], object]) -> None:
    """Call a method whenever a cell has run or a panel has written, as long as its object lives."""
    if (shell := get_ipython()) is not None:
        _follow_cells(shell)
    _after_changes.append(WeakMethod(method, _after_changes.remove))


@lru_cache(maxsize=1)
def _follow_cells(shell: Any) -> None:
    shell.events.register("post_run_cell", lambda *_: _call_after_changes())


def tell_change() -> None:
    """Say that a panel has written, so that those which follow its folder look at it again.

    In a thread of its own: who says it may hold a lock that one of the others waits for.
    """
    threading.Thread(target=_call_after_changes, name="lyncnb-changes", daemon=True).start()


def _call_after_changes() -> None:
    for living in tuple(_after_changes):
        if (method := living()) is not None:
            method()


def cells_showing(thing: object) -> list[int]:
    """Give the execution counts of the cells that depend on a thing, in order."""
    shell = get_ipython()
    if shell is None:
        return []
    names = {
        name for name, value in shell.user_ns.items() if value is thing and not name.startswith("_")
    }
    return dependent_cells(shell.user_ns.get("In", ()), names)


def dependent_cells(sources: Sequence[str], names: set[str]) -> list[int]:
    """Follow names from cell to cell.

    Parameters
    ----------
    sources : sequence of str
        The text of each cell that ran, by its execution count.
    names : set of str
        Names of the thing that is looked for.

    Returns
    -------
    list of int
        Places in `sources`.
    """
    following = set(names)
    found: list[int] = []
    for count, source in enumerate(sources):
        for statement in _statements(source):
            if not statement.read & following:
                following -= statement.bound - names
                continue
            following |= statement.bound
            if found[-1:] != [count]:
                found.append(count)
    return found


@lru_cache(maxsize=1000)
def _statements(source: str) -> tuple[StatementNames, ...]:
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError):  # a magic, or a cell that failed
        return ()
    return tuple(map(_names, statements))


def _names(statement: ast.stmt) -> StatementNames:
    used = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return StatementNames(
        frozenset(node.id for node in used if isinstance(node.ctx, ast.Load)),
        frozenset(node.id for node in used if isinstance(node.ctx, ast.Store)),
    )


class PlansShown:
    """What an editor held when each cell ran, so that outputs with an older plan can be marked."""

    def __init__(self, state: State):
        self._since: list[tuple[int, State]] = [(0, state)]

    def changed(self, state: State) -> None:
        """Keep what holds from now on."""
        count = execution_count()
        if self._since[-1][0] == count:
            self._since.pop()
        self._since.append((count, state))

    def older(self, thing: object) -> list[int]:
        """Give the counts of the cells that show an editor as it no longer is."""
        now = self._since[-1][1]
        return [count for count in cells_showing(thing) if not _same_plan(self._at(count), now)]

    def _at(self, count: int) -> State:
        return [state for since, state in self._since if since <= count][-1]


def _same_plan(one: State, other: State) -> bool:
    # Undo gives the very topology of before; comparing 100,000 rows would take its time.
    return one.topology is other.topology and one.options == other.options


# The edits of a cell's editor outlive the cell: "Run All" makes a new editor from the file, and
# without this it would lose what was not saved. An editor is found again by the cell that shows it
# and the name of its source. Nothing is kept beyond the kernel's life.

_shown: dict[tuple[str, str], PlanEditing] = {}


def restore(editor: PlanEditing) -> list[str]:
    """Make the edits of the editor that this cell showed before, and remember this one.

    Parameters
    ----------
    editor : PlanEditing
        Shown for the first time; one that the cell has changed itself stays as it is.

    Returns
    -------
    list of str
        What was restored, or why not; empty if there was nothing.
    """
    cell = cell_id()
    if not cell:
        return []
    place = cell, editor.topology.source
    earlier, _shown[place] = _shown.get(place), editor
    if earlier is None or earlier is editor or not earlier.has_changes or editor.has_changes:
        return []
    count = count_of(len(change_rows(earlier.loaded, earlier.state)), "change")
    source = PurePath(editor.topology.source).name
    try:
        is_same_file = editor.take_over(earlier)
    except LyncnbError as error:
        editor.earlier = earlier
        return [
            f"{source} is another table now, and {count} of before cannot be made on it.",
            f"Why: {error.message}",
            "To see them: editor.earlier.changes(). As Python: print(editor.earlier.code())",
        ]
    if is_same_file:
        return [f"Restored from before this cell was run again: {count} against {source}."]
    return [f"{source} or the options in the cell are new; {count} of before, made again on them."]
