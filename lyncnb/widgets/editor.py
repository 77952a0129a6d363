"""``PlanEditor``: tune roles and options, and watch the plan change at once.

A way to write arguments: ``editor.topology`` and ``editor.options`` are plain values at every
moment, and all of it works without a browser.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from .editing import PlanEditing
from .editor_view import EditorView


class PlanEditor(PlanEditing):
    """Edit a topology and the options of a plan, in a notebook cell or by calls.

    Parameters
    ----------
    topology : Topology
        n servers, as loaded; it is not changed.
    rules : Rules
        What one product version asks of each role.
    options : PlanOptions, optional
        Choices to start from, e.g. ``ln.PlanOptions.from_toml("plan.toml")``.

    Raises
    ------
    PlanError
        If the rules do not know a role of the topology.

    Notes
    -----
    Show it as the last line of a cell. Every change there and every call here can be undone.
    """

    @cached_property
    def view(self) -> EditorView:
        """The panel of this editor; there is one, however often it is shown."""
        return EditorView(self)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.view.whole_bundle()

    def _ipython_display_(self) -> None:
        self.view.show()
