"""Exchange messages between a plan editor and its page, without a notebook."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...base.records import Text
from ...base.shown.tables import (
    ROWS_SHOWN,
    describe_shown_rows,
    format_count,
    format_paragraph,
)
from ...errors import LyncnbError, Problem, TopologyError
from ...guide.what_you_can_do import list_help_rows
from ...plan.plan_toml import build_options_path
from ...reports.compare import CountChange, count_certificates_and_names
from ...reports.figures import figure
from ...topology.encodings import ENCODINGS
from ...topology.fix_table import fix_table
from . import explanations, plan_views
from .cell_blocks import TakenBlock
from .channel import GRID_SCRIPTS, Answers, Channel, describe_unexpected_error, format_error
from .choices import CHANGE_COLUMNS, convert_to_plain, find_option_changes
from .draft import State, find_heading
from .edits import (
    EDITS,
    BlockRow,
    RowId,
    add_server,
    change_option,
    change_options,
    find_other_members,
    set_block,
    set_cells,
)
from .forms import (
    LABELS,
    describe_columns,
    describe_option_groups,
    find_usage_issuers,
    list_deployment_values,
)
from .messages import (
    ColumnFacts,
    EditorToPage,
    FieldGroup,
    RefusedCell,
    RefusedRow,
    TableCell,
    TableRows,
)
from .plan_editing import PlanEditing
from .scenarios import EditorScenarios
from .scenarios_tab import ScenariosTab
from .sheet import FINDINGS, INHERITED, Sheet, describe_origin, encode_rows
from .tables_here import list_tables
from .unsaved import UnsavedEdits

#: The functions that return a view of the plan, by message type.
VIEWS: Mapping[str, Callable[..., EditorToPage]] = MappingProxyType(
    {
        "explain": explanations.explain_servers,
        "findings": explanations.list_findings,
        "names": plan_views.search_names,
        "certificates": plan_views.list_certificates,
        "picture": plan_views.draw_picture,
        "changes": explanations.list_changes,
    }
)
#: The actions that the page offers if a change to some servers of a pool contradicts the values of
#: its other servers.
POOL_OFFERS = ("Change all servers in the pool", "Remove the changed servers from the pool")
# The largest number of rejected cells whose reasons the page shows after a block of cells is
# changed.
_REFUSED_LISTED = 500
_IN_CODE = 'specify the encoding in code, such as ln.PlanEditor(data, encoding="cp1252")'
_KEEP_ENCODING = "To keep this choice, save the table: lyncnb writes UTF-8."


class EditorChannel(Channel[EditorToPage]):
    """The channel that sends rows, options and results to the page of a plan editor on request.

    ``at_once`` is the number of rows to send, or certificates to check, before any other
    message. This takes about 20 ms. The check of a whole plan counts a third of its
    certificates. If there are more rows, lyncnb sends the first ``first`` rows before the
    others.
    """

    scripts = (
        *GRID_SCRIPTS,
        "tabs.js",
        "table_layout.js",
        "shortcut_list.js",
        "server_certificates.js",
        "pool_rows.js",
        "servers_tab.js",
        "rejected_note.js",
        "pools_tab.js",
        "deployment_tab.js",
        "certificates_tab.js",
        "names_tab.js",
        "picture_tab.js",
        "findings_list.js",
        "changes_tab.js",
        "scenarios_tab.js",
        "save_tab.js",
        "draft_offer.js",
        "older_outputs.js",
        "help_dialog.js",
        "plan_editor.js",
    )
    #: The delay in seconds after an edit before the channel writes the draft.
    until_kept = 0.5
    at_once = 1000
    first = 200

    def __init__(self, editor: PlanEditing, scenarios: EditorScenarios):
        self.editor = editor
        self._scenarios = ScenariosTab(self, scenarios)
        self._first_path = editor.path
        self._forget_page()
        #: A function that returns the notebook cells whose output shows an earlier plan.
        self.older_cells: Callable[[], list[int]] = list
        # The execution counts of outdated cells, as last sent to the page.
        self._older: list[int] = []
        self.restored: list[str] = []
        #: The object that keeps unsaved edits for the user's next kernel. If it is None, no drafts
        #: are kept.
        self.unsaved: UnsavedEdits | None = None
        self._draft_seconds = 0.0  # The number of seconds that it took to write the last draft.
        self._draft_end = 0.0  # The monotonic time at which the last draft was written.
        answers: Answers = {
            **{kind: partial(self._show_view, view) for kind, view in VIEWS.items()},
            **{kind: partial(self._apply_edit, edit) for kind, edit in EDITS.items()},
            "ready": self._answer_first_message,
            "edit": self._set_cells,
            "block": self._set_block,
            "add": self._add_server,
            "option": self._change_option,
            "set_up": self._choose_setup,
            "fix": self._apply_fixes,
            "choose": self._choose_answer,
            "why": self._send_reasons,
            "why_cell": self._explain_cell,
            "pools": self._choose_pools,
            "code": self._send_code,
            "save": self._save_table,
            "open": self._open_table,
            "draft_restore": self._restore_draft,
            "draft_compare": self._compare_draft,
            "draft_discard": self._discard_draft,
            **self._scenarios.list_answers(),
        }
        text = f"Current state of the plan editor for {editor.topology.source}:"
        super().__init__(answers, text, signatures={**VIEWS, **EDITS})
        self.at_end.append(editor.register_callback(self.send_change))

    def _forget_page(self) -> None:
        """Forget what was sent to the page, because the page is new or another table is open."""
        editor = self.editor
        self._loaded = editor.loaded
        self._sheet = Sheet(editor.loaded.topology)
        self._has_rows = False  # Whether lyncnb has sent all table rows to the page.
        # The first table rows, encoded and ready to send.
        self._ahead: tuple[TableRows, list[bytes]] | None = None
        # After another table is opened, all rows are new, and their findings are not known yet.
        self._is_all_new = False
        # The last state of the draft that the editor sent to the page. ``_sizes`` contains the
        # counts for the plan of this state.
        self._before = editor.state
        # The page shows the counts of a plan only after an edit. Before the first edit, lyncnb does
        # not compute the plan.
        is_loaded = editor.state is editor.loaded
        self._sizes = None if is_loaded else editor.live.count_sizes()
        self.__dict__.pop("_loaded_sizes", None)
        self._step = ""
        # The rejected cells that were last sent to the page.
        self._rejected: tuple[object, ...] = ()
        self._columns, self._groups = (
            self._build_descriptions()
        )  # The description of the draft that was last sent to the page.

    def make_static_output(self) -> tuple[str, str, bool]:
        """Return the editor's content as HTML and text for readers without a kernel.

        The live panel hides this output.
        """
        editor, page = self.editor, self.editor._repr_html_()
        if len(editor.topology.cells) <= ROWS_SHOWN:
            # The static output shows only the first rows of a long table.
            page += self._draw_static_picture()
        return page, repr(editor), False

    def _draw_static_picture(self) -> str:
        """Return the picture of the plan as HTML, or why it is missing."""
        try:
            return figure(self.editor.plan).to_html()
        except Exception as error:
            # Without the picture, the cell still shows the editor with all edits.
            lines = describe_unexpected_error(
                error, "lyncnb could not draw the picture of the plan."
            )
            return format_paragraph(" ".join(lines))

    def make_first_output(self) -> tuple[str, str, bool]:
        """Return the static output that is shown until the first update.

        If there are many rows, it does not contain the plan and findings.
        """
        editor = self.editor
        if len(editor.topology.cells) <= self.at_once:
            return self.make_static_output()
        self.update_static()
        words = (
            f"The table has {format_count(len(editor.topology.cells), 'row')}. lyncnb is still "
            "computing the plan."
        )
        return editor.page(words), words, False

    def prepare_content(self) -> None:
        """Compute the table rows that the user sees first."""
        self._ahead = self._encode_first_rows()

    def send_refusal(self, message_type: str, lines: Sequence[str], **fields: Any) -> None:
        """Report to the page why an action was rejected.

        The text contains the column headings that the page shows.
        """
        if message_type in EDITS:
            lines = list(map(explanations.replace_column_names, lines))
        super().send_refusal(message_type, lines, **fields)

    # -- The following methods send messages to the page of the editor.
    def _answer_first_message(self) -> None:
        editor = self.editor
        self._columns, self._groups = self._build_descriptions()
        self.send(
            {
                "type": "start",
                "source": editor.topology.source,
                "columns": self._columns,
                "groups": self._groups,
                "help": list_help_rows(),
                "encodings": [
                    {
                        "name": reading.encoding,
                        "title": f"{ENCODINGS[reading.encoding]} ({reading.encoding})",
                        "lines": reading.lines,
                        "chosen": reading.is_chosen,
                    }
                    for reading in editor.topology.readings
                ],
            }
        )
        self._step, self._rejected = "", ()
        if self.restored:
            self.send({"type": "restored", "lines": self.restored})
        if self.unsaved:
            self._send_draft(self.unsaved)
        self._older = []
        self._send_outdated_cells()
        if len(editor.state.ids) <= self.at_once:
            self._send_all()
            self._send_row_dependent_parts("")
            return
        self._has_rows = False
        self.send(*(self._ahead or self._encode_first_rows()))
        self._ahead = None
        # All other messages wait until the table rows are visible on the page.
        self.update_static()
        self.run_after_sending(self._send_all_in_turn)

    def _build_descriptions(self) -> tuple[list[ColumnFacts], list[FieldGroup]]:
        """Return the descriptions of the table's columns and of the options form."""
        editor = self.editor
        columns = describe_columns(editor.topology, editor.rules, editor.options.lang)
        return columns, describe_option_groups(editor.rules)

    def _encode_first_rows(self) -> tuple[TableRows, list[bytes]]:
        state = self.editor.state
        columns = self._sheet.list_initial_texts(state.topology, state.ids, self.first)
        message, buffers = encode_rows(state.ids[: self.first], columns, is_complete=True)
        return {**message, "total": len(state.ids)}, buffers

    def _send_all_in_turn(self) -> None:
        self._send_all()
        self.run_after_sending(lambda: self._send_row_dependent_parts(""))

    def _send_all(self) -> None:
        state, sheet = self.editor.state, self._sheet
        sheet.compute_texts(state.topology, state.ids)
        self._has_rows = self._is_all_new = True
        self.send(*encode_rows(sheet.ids, sheet.columns, is_complete=True))

    def send_change(self, description: str) -> None:
        """Send a change of the plan to the browser: first the table rows, then the findings."""
        with self.turn:
            if self._loaded is self.editor.loaded:
                self._send_changes(description)
            else:
                # After another table is opened, the page needs the descriptions of all columns
                # again.
                self._forget_page()
                self.restored = []
                self._answer_first_message()
        if self.unsaved:
            # Writing the draft of a large table takes a long time, so lyncnb waits until the user
            # pauses, but not longer than a minute.
            is_recent = time.monotonic() - self._draft_end < 60
            pause = 20 * self._draft_seconds if is_recent else 0
            self.run_later("draft", max(self.until_kept, pause), self.keep_draft)

    def keep_draft(self) -> None:
        """Write the unsaved edits to a draft file.

        If writing fails, report it once and keep no more drafts.
        """
        if self.unsaved:
            start_time = time.monotonic()
            try:
                self.unsaved.keep_draft()
            except LyncnbError as error:
                self.unsaved = None
                message = (
                    "lyncnb cannot keep your edits as a draft, so save the edits before "
                    f"you {self.host.leave}"
                )
                problem = Problem(message=f"{message}: {error.message}", hint=error.hint)
                self.send_refusal("draft", format_error(LyncnbError(message, problems=(problem,))))
            self._draft_end = time.monotonic()
            self._draft_seconds = self._draft_end - start_time

    def _send_draft(self, unsaved: UnsavedEdits) -> None:
        draft = unsaved.find_draft()
        words = draft[1].describe_draft(self.editor.saved) if draft else ""
        self.send({"type": "draft", "words": words})

    def _send_changes(self, description: str) -> None:
        editor, sheet = self.editor, self._sheet
        state = editor.state
        self._step = self._describe_step(state, description)
        self.update_static()
        if not self._has_rows:
            self._ahead = None
            return
        columns, groups = self._build_descriptions()
        if groups != self._groups:
            # If the options name another product, the form has other certificate types.
            self.send({"type": "form", "groups": groups})
        is_other = columns != self._columns or state.topology.columns != sheet.topology.columns
        self._columns, self._groups = columns, groups
        if is_other:
            self.send({"type": "columns", "columns": columns})
            self._send_all()
        elif state.topology is not sheet.topology:
            order = None if state.ids == sheet.ids else state.ids
            self._is_all_new |= order is not None
            self._send_rows(*sheet.update_texts(state.topology, state.ids), order=order)
        self._send_row_dependent_parts(description)
        self._send_outdated_cells()

    def _send_outdated_cells(self) -> None:
        """Send the list of notebook cells whose output shows an earlier plan."""
        older = self.older_cells()
        if older != self._older:
            self._older = older
            self.send({"type": "older", "cells": older})

    def _send_rows(
        self,
        row_indices: Sequence[int],
        columns: Mapping[str, list[str]],
        order: Sequence[int] | None = None,
    ) -> None:
        if (row_indices and columns) or order is not None:
            ids = [self._sheet.ids[index] for index in row_indices]
            self.send(*encode_rows(ids, columns, is_complete=False, order=order))

    def _send_row_dependent_parts(self, description: str) -> None:
        """Send the parts of the page that depend on the table rows.

        If the checks are slow, send the findings later.
        """
        live, plan = self.editor.live, self.editor.plan
        if max(live.count_unchecked(), len(plan.certificates) // 3) > self.at_once:
            self._send_state(description, live.count_sizes())
            self.run_after_sending(self._send_checked_findings)
            return
        self._send_options()
        self._send_findings()
        self._send_state(description, live.count_all())

    def _send_checked_findings(self) -> None:
        self._send_options()
        self._send_findings()
        self.send({"type": "checked", "counts": self.editor.live.count_all()})

    def _send_findings(self) -> None:
        sheet = self._sheet
        touched = self.editor.live.take_changed_servers()
        if self._is_all_new:
            self._is_all_new, touched = False, None
        indices = sheet.set_findings(self.editor.live.describe_findings_by_server(), touched)
        texts = sheet.columns[FINDINGS]
        self._send_rows(indices, {FINDINGS: [texts[index] for index in indices]})

    def _send_options(self) -> None:
        editor = self.editor
        values: dict[str, Any] = {}
        notes: dict[str, str] = {}
        for name in LABELS:
            value = convert_to_plain(getattr(editor.options, name))
            if isinstance(value, tuple):
                value = "\n".join(value)
            values[name] = "" if value is None else value
        keys = ("", "internal", "public", *find_usage_issuers(editor.rules))
        for name in ("issuer", "ca"):
            values_by_usage = values.pop(name)
            values.update((f"{name} {key}", values_by_usage.get(key, "")) for key in keys)
        for name, text, label in list_deployment_values(editor.topology):
            values[f"column:{name}"] = text
            notes[f"column:{name}"] = label
        self.send({"type": "options", "values": values, "odd": notes})

    def _send_state(self, description: str, counts: Mapping[str, int]) -> None:
        editor = self.editor
        changes = self._sheet.changes + len(
            find_option_changes(editor.loaded.options, editor.options)
        )
        scenario = self._scenarios.describe_scenario()
        words = "as loaded" if not changes else format_count(changes, "change")
        if scenario:
            # "unchanged" refers to the scenario, but the number of changes refers to the loaded
            # plan.
            words = f"{words} to the loaded plan" if changes else "same as the loaded plan"
        words += "" if editor.is_saved or self._scenarios.is_kept_as_scenario else ", not saved"
        self.send(
            {
                "type": "state",
                "counts": counts,
                "before": self._loaded_sizes,
                "said": description,
                "done": self._step,
                "cell": editor.went_to if description else None,
                "undo": editor.state.said if editor.past else "",
                "redo": editor.future[-1].said if editor.future else "",
                "changes": changes,
                "saved_words": f"{scenario}; {words}" if scenario else words,
            }
        )
        self._send_rejected()

    def _send_rejected(self) -> None:
        """Send the rejected cells of the table, each with the reason and the proposed texts."""
        state = self.editor.state
        topology = state.topology
        if topology.rejected is self._rejected:
            return
        self._rejected = topology.rejected
        fixes = topology.list_cell_fixes()
        headings = topology.suggest_columns() if topology.rejected else {}
        cells: list[TableCell] = [
            {
                "cell": (state.ids[cell.row], cell.column),
                "text": cell.text,
                "lines": _describe_problem(cell.problem),
                "choices": list(fixes[cell.place].texts) if cell.place in fixes else [],
            }
            for cell in topology.rejected[:_REFUSED_LISTED]
        ]
        self.send(
            {
                "type": "rejected",
                "words": topology.describe_rejected(),
                "cells": cells,
                "fixes": list(fix_table(topology).lines),
                "headings": [(h, name, find_heading(name)) for h, name in headings.items()],
            }
        )

    @cached_property
    def _loaded_sizes(self) -> dict[str, int]:
        return count_certificates_and_names(self.editor.loaded_plan.certificates)

    def _describe_step(self, state: State, description: str) -> str:
        """Describe the last step and its effect on the plan, or return "" if nothing changed."""
        if state is self._before:  # The editor only saved or resent a state that has not changed.
            return ""
        old, new = self._sizes or self._loaded_sizes, self.editor.live.count_sizes()
        self._before, self._sizes = state, new
        counts = [CountChange(what=kind, before=old[kind], after=new[kind]) for kind in new]
        effect = ", ".join(str(count) for count in counts if count.before != count.after)
        return f"{description or state.said}: {effect}" if effect else description or state.said

    # -- The following methods answer messages from the page of the editor.
    def _show_view(self, view: Callable[..., EditorToPage], **parts: object) -> None:
        self.send(view(self.editor, **parts))

    def _apply_edit(self, edit: Callable[..., object], **parts: Any) -> None:
        answer = self.editor.apply(edit, **parts)
        self.send({"type": "done", "added": list(answer) if isinstance(answer, tuple) else []})

    def _set_cells(self, ids: Sequence[int], column: str, value: str) -> None:
        try:
            self._apply_edit(set_cells, ids=ids, column=column, value=value)
        except TopologyError as error:
            indices = self.editor.find_row_indices(ids)
            rows = {index + 2 for index in indices}
            problems = tuple(_remove_location(p, column, rows) for p in error.problems)
            if not find_other_members(self.editor, indices, column):
                raise TopologyError(error.message, hint=error.hint, problems=problems) from None
            hint = "choose one of the buttons in this message, or change the pool first"
            problems = tuple(replace(problem, hint="") for problem in problems)
            combined = TopologyError(error.message, hint=hint, problems=problems)
            self.send_refusal("edit", format_error(combined), offers=POOL_OFFERS)

    def _set_block(self, *, add: Sequence[BlockRow] = (), **parts: Any) -> None:
        before = self.editor.state
        result = self.editor.apply(set_block, add=tuple(add), **parts)
        self.send({"type": "done", "added": []})
        new = sorted(set(self.editor.state.ids).difference(before.ids))
        ids = (*before.ids, *new)
        wrong: list[RefusedCell] = [
            {
                "cell": (ids[cell.place], cell.column),
                "text": cell.text,
                "lines": _describe_problem(cell.problem),
            }
            for cell in result.refused[:_REFUSED_LISTED]
        ]
        rows: list[RefusedRow] = [
            {
                "row": add[number - 1].row,
                "column": problem.column or "server_fqdn",
                "lines": _describe_problem(problem),
            }
            for number, problem in result.refused_rows
        ]
        self.send(
            {
                "type": "refused_cells",
                "answered": [row.row for row in add],
                "cells": wrong,
                "rows": rows,
                "lines": _describe_rejected_cells(result),
                "added": new,
                "changed": self.editor.state is not before,
            }
        )

    def _choose_pools(self, *, pools: tuple[str, ...]) -> None:
        if ids := plan_views.find_pool_rows(self.editor, pools):
            self.send({"type": "chosen", "ids": ids})

    def _send_reasons(self, *, name: str) -> None:
        self.send(explanations.explain_name(self.editor.plan, name))

    def _explain_cell(self, *, row: RowId, column: str) -> None:
        """Send the page the origin of a cell's value, and why certificates contain the value."""
        editor, sheet = self.editor, self._sheet
        for index in editor.find_row_indices([row]):
            server = editor.texts("server_fqdn")[index]
            text = sheet.columns.get(column, editor.texts(column))[index].lstrip(INHERITED)
            origin = describe_origin(editor.topology, index, column)
            self.send(
                {
                    **explanations.explain_name(editor.plan, text.lower()),
                    "title": f"{find_heading(column)} of {server}: {text or 'blank'}",
                    "note": origin,
                }
            )

    def _send_code(self) -> None:
        path, target = self.editor.path, self.editor.save_path
        options = build_options_path(target) if target else None
        self.send(
            {
                "type": "code",
                "code": self.editor.code(),
                "path": path,
                "target": target.as_posix() if target else "",
                "options": options.name if options else "",
                "has_options": options is not None and options.is_file(),
                "files": list_tables(path),
            }
        )

    def _open_table(self, *, path: Text, encoding: Text = "") -> None:
        editor = self.editor
        path = editor.path if encoding else path.strip()
        if not path:
            hint = "choose a file, or enter its name"
            raise TopologyError("no table is selected", hint=_IN_CODE if encoding else hint)
        self.keep_draft()
        if not editor.is_saved and (encoding or not self.unsaved):
            raise LyncnbError(
                "the table has unsaved edits, which would be lost",
                hint="undo the edits first" if encoding else "save or undo the edits first",
            )
        source = editor.loaded.topology.source
        draft_note = (
            f" lyncnb keeps the edits to {source} as a draft. To restore the edits, open "
            "that table again."
        )
        draft_note = "" if editor.is_saved else draft_note
        editor.open(path, encoding=encoding)
        done = f"Read as {encoding}: {path}. {_KEEP_ENCODING}" if encoding else f"Opened: {path}."
        self._send_saved(f"{done}{draft_note}")
        self._send_code()

    def _send_saved(self, text: str) -> None:
        """Report which files were saved, and the line of code that opens the same table again."""
        path = Path(self.editor.path)
        is_first = bool(self._first_path) and path == Path(self._first_path)
        hint, line = self.host.next_session(path, is_first)
        self.send({"type": "saved", "text": text, "hint": hint, "line": line})

    def _add_server(self, **parts: Any) -> None:
        try:
            self._apply_edit(add_server, **parts)
        except TopologyError as error:
            new = {len(self.editor.topology.cells) + 2}
            problems = tuple(_remove_location(problem, "", new) for problem in error.problems)
            count = format_count(len(problems), "problem")
            message = f"you cannot add the server, because its row has {count}"
            raise TopologyError(message, hint=error.hint, problems=problems) from None

    def _change_option(self, **parts: Any) -> None:
        try:
            self._apply_edit(change_option, **parts)
        except LyncnbError:
            # After lyncnb has rejected the value of an option, the form must show the current
            # values again.
            self._send_options()
            raise

    def _choose_setup(self, *, id: str, is_chosen: bool) -> None:
        ids = plan_views.choose_setup_ids(self.editor, id, is_chosen=is_chosen)
        self._apply_edit(change_options, values={"at_set_up": ids})

    def _apply_fixes(self, *, codes: tuple[str, ...]) -> None:
        if not self.editor.apply_fixes(*codes):
            self.send_refusal(
                "fix",
                [
                    (
                        "lyncnb applied no fix, because each fix conflicts with other data. "
                        "Edit the table yourself."
                    )
                ],
            )

    def _choose_answer(self, *, code: str, about: str, answer: int) -> None:
        self.editor.choose(code, about, answer)

    def _restore_draft(self) -> None:
        if self.unsaved:
            self.unsaved.restore_draft()
            self._send_draft(self.unsaved)

    def _compare_draft(self) -> None:
        rows = self.unsaved.compare_draft() if self.unsaved else []
        self.send(
            {
                "type": "draft_changes",
                "title": f"{format_count(len(rows), 'change')} in the draft",
                "headings": CHANGE_COLUMNS,
                "rows": rows[:ROWS_SHOWN],
                "note": describe_shown_rows(ROWS_SHOWN, len(rows))
                if len(rows) > ROWS_SHOWN
                else "",
            }
        )

    def _discard_draft(self) -> None:
        if self.unsaved:
            self.unsaved.discard_draft()
            self._send_draft(self.unsaved)

    def _save_table(self, *, path: Text, overwrite: bool) -> None:
        paths = self.editor.save(path.strip(), overwrite=overwrite)
        self.send({"type": "done", "added": []})
        self._send_saved(f"{self.host.saved}: {' and '.join(map(str, paths))}.")
        self.host.deliver(paths)
        self._send_code()


def _remove_location(problem: Problem, column: str, rows: set[int]) -> Problem:
    """Remove the column and row from an error message that the page shows next to the cell."""
    if problem.row in rows:
        seen = "" if problem.column == column else find_heading(problem.column)
        return replace(problem, file="", row=0, column=seen)
    return replace(problem, column=find_heading(problem.column))


def _describe_rejected_cells(applied_block: TakenBlock) -> list[str]:
    """Describe the rejected cells and rows of a pasted block.

    If there are none, return no lines.
    """
    lines = []
    if applied_block.refused:
        lines.append(
            f"lyncnb did not change {format_count(len(applied_block.refused), 'cell')}. The "
            "rejected text is shown in red, with the reason. lyncnb changed all other cells."
        )
    if applied_block.refused_rows:
        lines.append(
            f"lyncnb did not add {format_count(len(applied_block.refused_rows), 'row')}. The "
            "rejected rows stay at the end of the table, with the reason. Correct these rows, "
            "or choose Undo to remove them."
        )
    return lines


def _describe_problem(problem: Problem) -> list[str]:
    lines = format_error(LyncnbError(problem.message, hint=problem.hint))
    return list(map(explanations.replace_column_names, lines))
