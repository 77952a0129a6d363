"""Define ``PlanEditor``, which edits roles and options in a notebook and shows the new plan.

``editor.topology`` and ``editor.options`` are always plain values. Everything works without
a browser.
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
from ..topology.csv_file import TableSource
from ..topology.topology import Topology
from .editing.editor_channel import EditorChannel
from .editing.plan_editing import PlanEditing
from .editing.plan_views import build_overview
from .editing.scenarios import EditorScenarios
from .editing.unsaved import UnsavedEdits
from .notebook_cells import PlansShown, find_cell_id, has_kernel, restore_edits
from .panel import Panel, ShownAsPanel, list_panel_cells


class EditorView(Panel):
    """The widget of a plan editor. Other controls can read the counts of the plan from it."""

    #: The trait contains the counts and the digest of the plan, for controls that follow the plan
    #: with ``observe`` or ``dlink``. It contains no names and is not sent to the browser, so no
    #: notebook stores it.
    overview = traitlets.Dict(read_only=True)

    channel: EditorChannel

    def __init__(self, editor: PlanEditing, scenarios: EditorScenarios):
        self.editor = editor
        # Computing the digest of a large plan takes time, so the widget computes it only after the
        # user pauses.
        self._is_followed = False
        shown_plans = PlansShown(editor.state)
        stop = editor.register_callback(lambda _: shown_plans.record_state(editor.state))
        channel = EditorChannel(editor, scenarios)
        channel.older_cells = lambda: [
            cell for cell in shown_plans.list_older_cells(editor) if cell not in list_panel_cells()
        ]
        super().__init__(channel)
        channel.at_end += (stop, editor.register_callback(lambda _: self._follow_plan()))

    @traitlets.default("overview")
    def _build_first_overview(self) -> dict[str, int | str]:
        self._is_followed = True
        return build_overview(self.editor)

    def observe(self, handler: Any, names: Any = traitlets.All, type: Any = "change") -> None:
        """Call `handler` when a trait changes.

        From then on, the trait ``overview`` is kept current.
        """
        if "overview" in ([names] if isinstance(names, str) else names or ()):
            _ = self.overview
        super().observe(handler, names, type)

    def _follow_plan(self) -> None:
        if self._is_followed:
            with self.channel.turn:
                self.set_trait("overview", build_overview(self.editor))


class PlanEditor(ShownAsPanel, PlanEditing):
    """An editor for a topology and the options of a plan, in a notebook cell or in code.

    Parameters
    ----------
    topology : Topology, path, bytes or DataFrame
        The loaded topology of n servers, which does not change. From any other source, the editor
        opens the table also if texts in it cannot be used: it shows these cells in red, with their
        texts and the reasons. ``ln.read_topology`` raises an error instead.
    rules : Rules, optional
        The requirements of a product version for each role. The default is the product in the
        options, or the product in a topology document.
    options : PlanOptions, optional
        The initial options, such as ``ln.PlanOptions.beside("contoso.csv")``.
    folder : path, optional
        The folder for ``editor.scenarios``. lyncnb creates it when you keep the first scenario.
    encoding : str, optional
        The encoding of a CSV file, as for ``ln.read_topology``.

    Raises
    ------
    PlanError
        If the rules do not contain a role in the topology.

    Notes
    -----
    To show the editor, make it the last line of a cell. You can undo every change that you make
    in the panel or in code.
    """

    def __init__(
        self,
        topology: Topology | TableSource,
        rules: Rules | None = None,
        *,
        options: PlanOptions = DEFAULT_OPTIONS,
        folder: str | Path = DEFAULT_FOLDER,
        encoding: str = "",
    ):
        super().__init__(topology, rules, options=options, encoding=encoding)
        #: For example, ``editor.scenarios.keep("Wildcards")`` keeps the current plan as a scenario.
        self.scenarios = EditorScenarios(self, Path(folder))

    @cached_property
    def view(self) -> EditorView:
        """The panel that shows this editor. Each access returns the same panel."""
        return EditorView(self, self.scenarios)

    def keep_drafts(self, editor_id: str) -> None:
        """If a person uses the notebook, start keeping unsaved edits as drafts.

        Parameters
        ----------
        editor_id : str
            An identifier of this editor in the kernel.
        """
        if has_kernel() and not is_unattended():
            self.view.channel.unsaved = UnsavedEdits(self, editor_id)

    def _ipython_display_(self) -> None:
        # When the notebook shows the editor for the first time, lyncnb starts to keep drafts of
        # unsaved edits.
        if "view" not in vars(self):
            restored = restore_edits(self)
            self.view.channel.restored = restored
            self.keep_drafts(find_cell_id())
        super()._ipython_display_()
