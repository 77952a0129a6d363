"""``PlanEditor``: edit roles and options in a notebook, and see the plan change at once.

``editor.topology`` and ``editor.options`` are always plain values, and everything works without a
browser.
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
from .panel import Panel, ShownAsPanel, panel_cells


class EditorView(Panel):
    """The widget of an editor, with counts of its plan for other controls."""

    #: Counts of the plan and its digest, for controls that follow it with ``observe`` or ``dlink``.
    #: It contains no names and is not synchronized with the browser, so no notebook stores it.
    overview = traitlets.Dict(read_only=True)

    channel: EditorChannel

    def __init__(self, editor: PlanEditing, scenarios: EditorScenarios):
        self.editor = editor
        self._is_followed = False  # the digest of a large plan takes a while
        shown = PlansShown(editor.state)
        stop = editor.follow(lambda _: shown.changed(editor.state))
        channel = EditorChannel(editor, scenarios)
        channel.older_cells = lambda: [
            cell for cell in shown.older(editor) if cell not in panel_cells()
        ]
        super().__init__(channel)
        channel.at_end += (stop, editor.follow(lambda _: self._follow()))

    @traitlets.default("overview")
    def _first_overview(self) -> dict[str, int | str]:
        self._is_followed = True
        return overview(self.editor)

    def observe(self, handler: Any, names: Any = traitlets.All, type: Any = "change") -> None:
        """Call `handler` when a trait changes. ``overview`` follows the plan from now on."""
        if "overview" in ([names] if isinstance(names, str) else names or ()):
            _ = self.overview
        super().observe(handler, names, type)

    def _follow(self) -> None:
        if self._is_followed:
            with self.channel.turn:
                self.set_trait("overview", overview(self.editor))


class PlanEditor(ShownAsPanel, PlanEditing):
    """Edit a topology and the options of a plan, in a notebook cell or in code.

    Parameters
    ----------
    topology : Topology
        n servers, as loaded. It is not changed.
    rules : Rules, optional
        The requirements of a product version for each role. The default is the product in the
        options, or the product of a topology document.
    options : PlanOptions, optional
        Initial choices, such as ``ln.PlanOptions.beside("contoso.csv")``.
    folder : path, optional
        The folder of ``editor.scenarios``. Created when you keep the first scenario.

    Raises
    ------
    PlanError
        If the rules do not contain a role of the topology.

    Notes
    -----
    Show it as the last line of a cell. You can undo every change in the panel and every call.
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
        #: The scenarios of the editor: ``editor.scenarios.keep("Wildcards")``.
        self.scenarios = EditorScenarios(self, Path(folder))

    @cached_property
    def view(self) -> EditorView:
        """The panel of this editor. It is the same one each time it is shown."""
        return EditorView(self, self.scenarios)

    def keep_drafts(self, place: str) -> None:
        """Keep unsaved edits as drafts from now on, if a user makes them.

        Parameters
        ----------
        place : str
            Identifies this editor in the kernel.
        """
        if has_kernel() and not is_unattended():
            self.view.channel.unsaved = UnsavedEdits(self, place)

    def _ipython_display_(self) -> None:
        if "view" not in vars(self):  # shown for the first time
            restored = restore(self)
            self.view.channel.restored = restored
            self.keep_drafts(cell_id())
        super()._ipython_display_()
