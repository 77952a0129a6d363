"""Run the planner page: open tables, answer the panels, and pass files to the browser.

This module runs in the page's worker, where there is no notebook, no disk and no network. The
working folder is in memory, and the browser downloads what a user saves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base.disk import files
from ..base.json_text import NotJson, parse_json
from ..errors import BundleError, LyncnbError, PlanError, TopologyError
from ..guide.first_plan import ANSWERS_FILE
from ..plan.model import CertificatePlan
from ..plan.options import PlanOptions
from ..plan.plan_toml import build_options_path
from ..plan.scenarios import DEFAULT_FOLDER, OPTIONS_FILE, TOPOLOGY_FILE
from ..reports.figures import KINDS, figure
from ..reports.summary.formats import write_plan_table
from ..rules.findings import Finding
from ..rules.rule_files import load_rules
from ..widgets.editing.channel import Channel, describe_unexpected_error, format_all_problems
from ..widgets.editing.editor_channel import EditorChannel
from ..widgets.editing.first_guide import FirstPlanGuide, GuideChannel
from ..widgets.editing.host import Host
from ..widgets.editing.plan_editing import PlanEditing
from ..widgets.editing.scenarios import EditorScenarios
from ..widgets.editing.unsaved import UnsavedEdits

_LARGEST = 1 << 28
_TABLES = (".csv", ".xlsx", ".xlsm", ".ods", ".tbxml", ".xml")
# The working folder is in memory, so the page does not show the name of a folder.
_LOCATION = "on this page until you close it"
_DRAFT_FOLDER = Path(".lyncnb-draft")

#: The documents that the page offers, by key and with a title.
DOCUMENTS: Mapping[str, str] = {
    ".html": "Summary, web page (.html)",
    ".xlsx": "Summary, workbook (.xlsx)",
    ".csv": "Summary, table (.csv)",
    ".md": "Summary, Markdown (.md)",
    ".json": "Plan (.json)",
    **{kind: f"Picture: {kind} (.svg)" for kind in KINDS},
}


def _describe_next_session(path: Path, is_first: bool) -> tuple[str, str]:
    options = build_options_path(path).name
    return f"To continue later, open {path.name} together with {options}.", ""


class PageSession:
    """The tables, panels and files of one planner page.

    Parameters
    ----------
    post : callable
        The function that sends a message, with its parts and buffers, to the page.
    """

    def __init__(self, post: Callable[..., object]):
        self._post = post
        self._channel: Channel[Any] | None = None
        self.editor: PlanEditing | None = None
        self._unsaved: UnsavedEdits | None = None
        self._requested: tuple[CertificatePlan, str, Sequence[Finding]]
        self._host = Host(
            start_again="open this page again",
            leave="close this page",
            saved="Downloaded",
            next_session=_describe_next_session,
            deliver=self._deliver_files,
        )

    # -- The following methods process messages from the planner page. Each of them reports its
    # errors to the page.
    def start_session(self, names: Sequence[str], product: str) -> None:
        """Open the files in the planner page. Without a table, show the first questions."""
        self._run_safely(lambda: self._start_session(list(names), product))

    def open_files(self, names: Sequence[str]) -> None:
        """Open files that the user has chosen: a table with options, or a draft."""
        self._run_safely(lambda: self._open_files(list(names)))

    def ask_questions(self) -> None:
        """Show the questions that lead to a first plan."""
        self._run_safely(self._start_guide)

    def receive(self, message: str) -> None:
        """Answer a message from the panel on the page."""
        if self._channel is not None:
            self._channel.receive(json.loads(message))

    def write_document(self, kind: str) -> None:
        """Make the browser download a document or a picture of the plan."""
        self._run_safely(lambda: self._write_document(kind))

    def download_draft(self) -> None:
        """Download the unsaved edits as a draft. The page or a notebook can restore the draft."""
        self._run_safely(self._download_draft)

    def prepare_requests(self, now: str) -> None:
        """Send the data from which the page creates keys. `now` is the recorded time in UTC."""
        self._run_safely(lambda: self._prepare_requests(now))

    def write_request_files(self, written_requests: Mapping[str, Mapping[str, str]]) -> None:
        """Send a request folder's files to the page, with the requests that the page created."""
        self._run_safely(lambda: self._write_request_files(written_requests))

    def _run_safely(self, work: Callable[[], object]) -> None:
        try:
            work()
        except LyncnbError as error:
            self._post("refused", {"lines": format_all_problems(error)})
        except Exception as error:
            # If the error were not shown, the page would seem not to respond.
            self._post("refused", {"lines": describe_unexpected_error(error)})

    # -- Open tables.
    def _start_session(self, names: list[str], product: str) -> None:
        if product:
            load_rules(product)
        if names:
            # The page lists the file with the product's rules too, and it is already loaded.
            self._open_files([name for name in names if name != product])
        else:
            self._start_guide()

    def _open_files(self, names: list[str]) -> None:
        drafts = [name for name in names if _is_draft(Path(name))]
        tables = [name for name in names if Path(name).suffix.lower() in _TABLES]
        if len(tables) > 1:
            raise TopologyError(
                f"you selected {len(tables)} tables: {', '.join(tables)}",
                hint="open only one table at a time",
            )
        if not tables and not drafts:
            raise TopologyError(
                f"none of the selected files is a table of servers: {', '.join(names)}",
                hint=(
                    f"open a table ({' '.join(_TABLES)}) and, if you have one, the table's "
                    "options (.plan.toml)"
                ),
            )
        for name in tables:
            self._open_table_file(name, names)
        for name in drafts:
            self._offer_draft(Path(name))
        if tables and drafts:
            # Somebody who opens a table together with its draft wants the edits.
            self.receive(json.dumps({"type": "draft_restore"}))

    def _open_table_file(self, name: str, selected_names: Sequence[str] = ()) -> None:
        if self.editor is not None:
            loaded = self.editor.loaded
            self.receive(json.dumps({"type": "open", "path": name}))
            if self.editor.loaded is loaded:
                return  # The panel itself shows the reason for the error.
        else:
            self._show_editor(PlanEditing(name, options=PlanOptions.beside(name)))
        beside = build_options_path(Path(name))
        has_options = beside.is_file()
        words = (
            f"{name} and {beside.name} are open."
            if has_options
            else (
                f"{name} is open with the default options, because you did not open "
                f"{beside.name} at the same time."
            )
        )
        used = (name, beside.name)
        unused = [n for n in selected_names if n not in used and not _is_draft(Path(n))]
        if unused:
            words += f" lyncnb did not use {', '.join(unused)}."
        if not has_options and any(n.lower().endswith(".toml") for n in unused):
            words += f" The options of {name} must have the name {beside.name}."
        self._post("said", {"words": words})

    def _show_editor(self, editor: PlanEditing) -> None:
        channel = EditorChannel(
            editor, EditorScenarios(editor, Path(DEFAULT_FOLDER), location=_LOCATION)
        )
        self._unsaved = channel.unsaved = UnsavedEdits(editor, "page", _DRAFT_FOLDER)
        channel.at_end.append(editor.register_callback(lambda _: self._send_state()))
        self.editor = editor
        self._show_panel("editor", channel)
        channel.prepare_content()
        self._send_state()

    def _show_panel(self, panel: str, channel: Channel[Any]) -> None:
        if self._channel is not None:
            self._channel.end()
        self._channel, channel.host = channel, self._host
        channel.send = lambda message, buffers=(): self._post("panel", message, buffers)
        self._post("show", {"panel": panel})

    def _send_state(self) -> None:
        editor = self.editor
        unsaved = editor.count_unsaved_edits() if editor else 0
        self._post("state", {"has_plan": editor is not None, "unsaved": unsaved})

    def _start_guide(self) -> None:
        if self.editor is not None and not self.editor.is_saved:
            raise PlanError(
                "the open table has unsaved edits, which would be lost",
                hint="save the table or download a draft first",
            )
        guide = FirstPlanGuide(".")

        def open_first_plan(folder: Path) -> None:
            paths = [folder / name for name in (TOPOLOGY_FILE, OPTIONS_FILE, ANSWERS_FILE)]
            self._deliver_files(paths)
            self._open_table_file(str(paths[0]))

        guide.on_written = open_first_plan
        self.editor = None
        self._show_panel("guide", GuideChannel(guide))
        self._send_state()

    # -- The following methods pass files to the user.
    def _deliver_files(self, paths: Sequence[Path]) -> None:
        for path in paths:
            data = files.read_specified_file(path, limit=_LARGEST, error_class=BundleError)
            self._post("file", {"name": path.name}, [data])

    def _write_document(self, kind: str) -> None:
        editor = self._get_editor()
        stem = Path(editor.topology.source).stem
        if kind in KINDS:
            name, data = f"{stem}-{kind}.svg", figure(editor.plan, kind).to_svg()
        else:
            name = f"{stem}-plan{kind}"
            data = write_plan_table(editor.plan, editor.findings, kind)
        self._post("file", {"name": name}, [data])

    # The modules for requests are loaded on first use, because few sessions create requests.
    def _prepare_requests(self, now: str) -> None:
        from .request_folder_of import prepare_folder

        editor = self._get_editor()
        contents = prepare_folder(editor.plan, now, findings=editor.findings)
        self._requested = (editor.plan, now, editor.findings)
        # The user can open another table before downloading the archive, so its name has the table.
        table = Path(editor.topology.source)
        archive = f"{table.stem}-requests.zip"
        self._post("requests", {**contents, "table": table.name, "archive": archive})

    def _write_request_files(self, written_requests: Mapping[str, Mapping[str, str]]) -> None:
        from .request_folder_of import build_folder_files

        # The plan at the time when the page began to create its keys.
        plan, now, findings = self._requested
        self._post(
            "request_files", build_folder_files(plan, now, written_requests, findings=findings)
        )

    def _get_editor(self) -> PlanEditing:
        if self.editor is None:
            raise PlanError(
                "no table is open", hint=("open a table, or select Start with questions")
            )
        return self.editor

    def _download_draft(self) -> None:
        editor = self._get_editor()
        draft = self._unsaved.keep_draft() if self._unsaved else None
        if draft is None:
            raise PlanError(
                (
                    f"{editor.topology.source} has no unsaved edits, so there is nothing to "
                    "save in a draft"
                ),
                hint="a draft contains only unsaved edits",
            )
        data = files.read_specified_file(draft, limit=_LARGEST, error_class=BundleError)
        self._post("file", {"name": f"{Path(editor.topology.source).stem}-draft.json"}, [data])

    def _offer_draft(self, path: Path) -> None:
        editor = self._get_editor()
        files.make_folder(_DRAFT_FOLDER)
        data = files.read_specified_file(path, limit=_LARGEST, error_class=BundleError)
        files.replace_file(_DRAFT_FOLDER / f"opened-{path.stem}.json", data)
        if self._unsaved is None or self._unsaved.find_draft() is None:
            raise PlanError(
                f"the draft {path.name} does not belong to {editor.topology.source}",
                hint="first open the table that the draft belongs to, then open the draft",
            )
        self._post("show", {"panel": "editor"})


def _is_draft(path: Path) -> bool:
    if path.suffix.lower() != ".json":
        return False
    try:
        values = parse_json(
            files.read_specified_file(path, limit=_LARGEST, error_class=BundleError)
        )
    except (NotJson, LyncnbError):
        return False
    return isinstance(values, dict) and str(values.get("format", "")).startswith("lyncnb-draft/")
