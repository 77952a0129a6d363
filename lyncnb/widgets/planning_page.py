"""Define ``PlanningPage``: one page that plans certificates and writes requests.

``lyncnb dash`` serves the page. The editor with its tables and pictures, and the request
panel show the same plan.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets
from IPython.display import display

from ..base.records import Text
from ..errors import TopologyError
from ..plan.options import DEFAULT_OPTIONS, PlanOptions
from ..plan.scenarios import is_scenario, open_scenario
from ..topology.topology import read_topology
from .editing.channel import Answers, Channel
from .editing.tables_here import list_tables
from .editor import PlanEditor
from .guide_panel import GuidePanel
from .messages import TableToPage
from .panel import Panel
from .request_panel import RequestPanel


class TableChannel(Channel[TableToPage]):
    """The channel through which the user opens a workspace file or a pasted table."""

    scripts = ("table_source.js",)

    def __init__(self, page: PlanningPage):
        self._page = page
        answers: Answers = {
            "ready": self._answer_first_message,
            "open": self._open_table,
            "ask": self._ask_questions,
        }
        super().__init__(answers, "Open a table to plan its certificates.")

    def _answer_first_message(self) -> None:
        files = list_tables(scenarios=True)
        self.send({"type": "start", "files": files, "folder": "requests"})

    def _open_table(self, *, path: Text, pasted: Text, folder: Text) -> None:
        path = path.strip()
        if not path and not pasted.strip():
            raise TopologyError(
                "there is no table yet", hint="choose a file, or paste rows with their headings"
            )
        self._page.open(pasted.encode() if pasted.strip() else path, folder.strip())
        remarks = self._page.editor.topology.remarks if self._page.editor else ()
        words = [
            f"Opened: {path or 'the pasted table'}.",
            *(f"Note: {remark}." for remark in remarks),
        ]
        self.send({"type": "opened", "words": " ".join(words)})

    def _ask_questions(self, *, folder: Text) -> None:
        self._page.ask_questions(folder.strip())
        self.send({"type": "opened", "words": "The questions are below."})


class PlanningPage:
    """A page that opens a table and shows its plan.

    Notes
    -----
    To show the page, make it the last line of a cell. lyncnb writes no requests until you
    choose the button in the request panel.
    """

    def __init__(self) -> None:
        self._table = Panel(TableChannel(self))
        self.box = ipywidgets.VBox([self._table])
        self.editor: PlanEditor | None = None
        self.request: RequestPanel | None = None

    def open(self, source: str | bytes, folder: str) -> None:
        """Plan the certificates for a table, and replace the panels on the planning page.

        Parameters
        ----------
        source : str or bytes
            The path of a table, the content of a table, or the folder of a scenario.
        folder : str
            The request folder for the new requests.

        Raises
        ------
        LyncnbError
            If the source is not a topology, or the folder is blank. Then the page does not change.
        """
        if isinstance(source, str) and is_scenario(source):
            scenario = open_scenario(source)
            editor = PlanEditor(scenario.topology, scenario.rules, options=scenario.options)
            if Path(source).parent == editor.scenarios.folder:
                editor.name_scenario(scenario.name)
        else:
            topology = read_topology(source)
            beside = PlanOptions.beside(source) if isinstance(source, str) else DEFAULT_OPTIONS
            editor = PlanEditor(topology, options=beside)
        self._show_panels(editor, folder)

    def ask_questions(self, folder: str) -> None:
        """Ask the questions for a first plan, write the plan, and then show its panels.

        Parameters
        ----------
        folder : str
            The request folder for the new requests.
        """
        guide = GuidePanel("first-plan")

        def show_new_plan(_: Path) -> None:
            first = guide.first
            editor = PlanEditor(first.topology, first.plan.rules, options=first.plan.options)
            self._show_panels(editor, folder or "requests", guide.view)

        guide.on_written = show_new_plan
        self.box.children = (self._table, guide.view)

    def _show_panels(self, editor: PlanEditor, folder: str, *above: Panel) -> None:
        if self.editor is not None:
            # If an earlier session left unsaved edits, the page offers to restore them.
            self.editor.view.channel.keep_draft()
        editor.keep_drafts("page")
        request = RequestPanel(editor, folder)
        self.editor, self.request = editor, request
        self.box.children = (self._table, *above, editor.view, request.view)

    def _ipython_display_(self) -> None:
        show: Any = display  # IPython does not declare types for the function ``display``.
        show(self.box)
