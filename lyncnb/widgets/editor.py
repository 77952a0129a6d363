"""Define ``PlanEditor``, which edits roles and options in a notebook and shows the new plan.

``editor.topology`` and ``editor.options`` are always plain values. Everything works without
a browser.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ..base.shown.tables import ROWS_SHOWN, join_first_texts
from ..errors import TopologyError
from ..jupyter.run_notebook import is_unattended
from ..plan.options import DEFAULT_OPTIONS, PlanOptions
from ..plan.scenarios import DEFAULT_FOLDER
from ..rules.model import Rules
from ..topology.csv_file import TableSource
from ..topology.read_table import open_frame
from ..topology.topology import Topology
from .editing.choices import Server, list_change_rows, list_server_keys
from .editing.draft import find_heading
from .editing.editor_channel import EditorChannel
from .editing.edits import find_other_members, set_cells
from .editing.plan_editing import PlanEditing
from .editing.scenarios import EditorScenarios
from .editing.unsaved import UnsavedEdits
from .notebook_cells import PlansShown, find_cell_id, has_kernel, restore_edits
from .panel import Panel, ShownAsPanel, list_panel_cells


class EditorView(Panel):
    """The panel of a plan editor."""

    channel: EditorChannel


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
    table : path, optional
        The file from which `topology`, a DataFrame, was read. The editor then opens and saves this
        file, with its row numbers and notes. If you changed the DataFrame in pandas, the editor
        shows it, and you save it under a new name.
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
        table: str | os.PathLike[str] = "",
        folder: str | Path = DEFAULT_FOLDER,
        encoding: str = "",
    ):
        if table and not isinstance(topology, Topology):
            topology = open_frame(topology, table, encoding)
        super().__init__(topology, rules, options=options, encoding=encoding)
        #: For example, ``editor.scenarios.keep("Wildcards")`` keeps the current plan as a scenario.
        self.scenarios = EditorScenarios(self, Path(folder))
        self._unlink: list[Callable[[], object]] = []

    @cached_property
    def view(self) -> EditorView:
        """The panel that shows this editor. Each access returns the same panel."""
        shown_plans = PlansShown(self.state)
        stop = self.register_callback(lambda _: shown_plans.record_state(self.state))
        channel = EditorChannel(self, self.scenarios)
        channel.older_cells = lambda: [
            cell for cell in shown_plans.list_older_cells(self) if cell not in list_panel_cells()
        ]
        channel.at_end.append(stop)
        return EditorView(channel)

    def set_role(self, server: Server, role: str) -> None:
        """Change the role of a server in one step. The other servers in its pool change with it.

        Parameters
        ----------
        server : str
            The server, as in the column ``server_fqdn``. If it has several rows, add the role:
            ``("fe01.contoso.com", "FrontEnd")``.
        role : str
            The new role.

        Raises
        ------
        TopologyError
            If the server or the role does not exist, or the result is not valid. Then nothing
            changes.
        """
        keys = list_server_keys(self.topology)
        if server not in keys:
            raise TopologyError(
                f"the table has no row for the server {server!r}",
                hint="use the name in the column server_fqdn",
            )
        row = keys.index(server)
        rows = (row, *find_other_members(self, (row,), "role"))
        ids = tuple(self.state.ids[index] for index in rows)
        self.apply(set_cells, ids=ids, column="role", value=role)

    def link_role(self, server: Any, role: Any) -> None:
        """Connect two controls, which select a server and its role, to this editor.

        When you choose a role, the plan changes. When the plan changes, the controls follow.

        Parameters
        ----------
        server, role : ipywidgets.Dropdown
            The controls, without options.
        """

        def follow(_: object = None) -> None:
            roles = dict(zip(list_server_keys(self.topology), self.texts("role")))
            chosen = server.value
            options = [(k if isinstance(k, str) else ", ".join(k), k) for k in roles]
            if [*server.options] != options:
                server.options = options
                server.value = chosen if chosen in roles else None
            role.options = [*self.rules.roles]
            role.value = roles.get(chosen) or None

        def change_role(change: Any) -> None:
            if change.new:
                self.view.channel.run_in_turn(
                    "role", lambda: self.set_role(server.value, change.new)
                )
                follow()

        follow()
        server.observe(follow, "value")
        role.observe(change_role, "value")
        self.register_callback(follow)
        self._unlink += (
            partial(server.unobserve, follow, "value"),
            partial(role.unobserve, change_role, "value"),
        )

    def close_view(self) -> None:
        """Release the widget and the controls. ipywidgets keeps all controls in memory."""
        super().close_view()
        while self._unlink:
            self._unlink.pop()()

    def page(self, summary: str) -> str:
        """Return an HTML page with a summary, the changed roles, the servers, and the changes."""
        roles = [
            f"{server} {before} → {after}"
            for server, column, before, after in list_change_rows(self.loaded, self.state)
            if column == find_heading("role")
        ]
        # The plan of a long table may not be computed yet.
        if roles or len(self.topology.cells) <= ROWS_SHOWN:
            plans = (self.loaded_plan, self.plan) if roles else (self.plan,)
            names = " → ".join(f"{sum(len(c.names) for c in p.certificates):,}" for p in plans)
            summary += f" {join_first_texts(roles, 3)}{': ' if roles else ''}{names} names."
        return super().page(summary)

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
