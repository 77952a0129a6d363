"""``PlanEditor``: tune roles and options in a notebook, and watch the plan change at once.

A way to write arguments: ``editor.topology`` and ``editor.options`` are plain values at every
moment, and all of it works without a browser.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import traitlets

from ..jupyter.run_notebook import is_unattended
from ..plan.options import DEFAULT_OPTIONS, PlanOptions
from ..plan.scenarios import DEFAULT_FOLDER
from ..rules.model import Rules
from ..topology.topology import Topology
from .editing.editor_channel import EditorChannel
from .editing.plan_editing import PlanEditing
from .editing.plan_views import overview
from .editing.scenarios import EditorScenarios
from .editing.unsaved import UnsavedEdits
from .notebook_cells import PlansShown, cell_id, has_kernel, restore
from .panel import Panel, ShownAsPanel


class EditorView(Panel):
    """The widget of an editor, with counts of its plan for other controls."""

    #: Counts of the plan and its digest, for controls that follow it by ``observe`` or ``dlink``.
    #: It holds no name, and it is not synchronized with the browser, so no notebook stores it.
    overview = traitlets.Dict(read_only=True)

    channel: EditorChannel

    def __init__(self, editor: PlanEditing, scenarios: EditorScenarios):
        self.editor = editor
        self._is_followed = False  # the digest of a large plan takes a while
        shown = PlansShown(editor.state)
        editor.follow(lambda _: shown.changed(editor.state))
        channel = EditorChannel(editor, scenarios)
        channel.older_cells = lambda: shown.older(editor)
        super().__init__(channel)
        editor.follow(lambda _: self._follow())

    @traitlets.default("overview")
    def _first_overview(self) -> dict[str, int | str]:
        self._is_followed = True
        return overview(self.editor)

    def observe(self, handler: Any, names: Any = traitlets.All, type: Any = "change") -> None:
        """Have `handler` called when a trait changes; ``overview`` follows the plan from now on."""
        if "overview" in ([names] if isinstance(names, str) else names or ()):
            _ = self.overview
        super().observe(handler, names, type)

    def _follow(self) -> None:
        if self._is_followed:
            with self.channel.turn:
                self.set_trait("overview", overview(self.editor))


class PlanEditor(ShownAsPanel, PlanEditing):
    """Edit a topology and the options of a plan, in a notebook cell or by calls.

    Parameters
    ----------
    topology : Topology
        n servers, as loaded; it is not changed.
    rules : Rules, optional
        What one product version asks of each role; left out, those of the product that the
        options name, or that a topology document is of.
    options : PlanOptions, optional
        Choices to start from, e.g. ``ln.PlanOptions.beside("contoso.csv")``.
    folder : path, optional
        Where ``editor.scenarios`` are kept; made when the first is.

    Raises
    ------
    PlanError
        If the rules do not know a role of the topology.

    Notes
    -----
    Show it as the last line of a cell. Every change there and every call here can be undone.
    """

    def __init__(
        self,
        topology: Topology,
        rules: Rules | None = None,
        *,
        options: PlanOptions = DEFAULT_OPTIONS,
        folder: str | Path = DEFAULT_FOLDER,
    ):
        super().__init__(topology, rules, options=options)
        #: What is kept under names of its own: ``editor.scenarios.keep("Wildcards")``.
        self.scenarios = EditorScenarios(self, Path(folder))

    @cached_property
    def view(self) -> EditorView:
        """The panel of this editor; there is one, however often it is shown."""
        return EditorView(self, self.scenarios)

    def keep_drafts(self, place: str) -> None:
        """Keep edits that are not saved as drafts from now on, if a person makes them.

        Parameters
        ----------
        place : str
            What tells this editor from others of the same kernel.
        """
        if has_kernel() and not is_unattended():
            self.view.channel.unsaved = UnsavedEdits(self, place)

    def _ipython_display_(self) -> None:
        if "view" not in vars(self):  # it is shown for the first time
            restored = restore(self)
            self.view.channel.restored = restored
            self.keep_drafts(cell_id())
        super()._ipython_display_()
