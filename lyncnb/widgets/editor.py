"""``PlanEditor``: tune roles and options, and watch the plan change at once.

A way to write arguments: ``editor.topology`` and ``editor.options`` are plain values at every
moment, and all of it works without a browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import traitlets

from ..base.tables import ROWS_SHOWN, count_of
from ..errors import LyncnbError, Problem, TopologyError
from ..plan.compare import CountChange, plan_sizes
from ..plan.figures import figure
from ..plan.model import CertificatePlan
from ..plan.options import DEFAULT_OPTIONS, PlanOptions
from ..plan.scenarios import DEFAULT_FOLDER
from ..rules.model import Rules
from ..topology.columns import topology_columns
from ..topology.topology import Topology
from . import explanations, name_reasons, plan_picture, plan_views
from .earlier_edits import restore
from .editing import PlanEditing
from .editor_table import FINDINGS, Sheet, encode_rows
from .forms import (
    DEPLOYMENT,
    LABELS,
    column_facts,
    deployment_values,
    entries,
    option_groups,
    usage_issuers,
)
from .notebook_cells import PlansShown
from .panel import (
    GRID_SCRIPTS,
    SHARED_SCRIPTS,
    Message,
    Panel,
    error_lines,
    read_scripts,
)
from .saved_choices import loading_code, option_changes, plain, saved_files
from .scenarios import EditorScenarios
from .scenarios_tab import ScenariosTab
from .table_edits import TakenBlock
from .undo_history import State, title

# The panel of a plan editor: answers the browser's messages. Decides nothing.

_REFUSED_TOLD = 500  # cells of a block, each with its reason
_ROWS_TOLD = 5


class EditorView(Panel):
    """The widget; rows, options and results travel as messages.

    ``at_once`` is how many rows are sent, or certificates checked (a third of those in a whole
    plan's own checks), before anything else is told: some 20 ms. Of more rows ``first`` come first.
    """

    at_once = 1000
    first = 200

    #: Counts of the plan and its digest, for controls that follow it by ``observe`` or ``dlink``.
    #: It holds no name, and it is not synchronized with the browser, so no notebook stores it.
    overview = traitlets.Dict(read_only=True)

    _esm = read_scripts(
        *SHARED_SCRIPTS,
        *GRID_SCRIPTS,
        "tabs.js",
        "table_layout.js",
        "shortcut_list.js",
        "server_certificates.js",
        "servers_tab.js",
        "deployment_tab.js",
        "certificates_tab.js",
        "names_tab.js",
        "picture_tab.js",
        "findings_list.js",
        "changes_tab.js",
        "scenarios_tab.js",
        "save_tab.js",
        "older_outputs.js",
        "plan_editor.js",
    )

    def __init__(self, editor: PlanEditing, scenarios: EditorScenarios):
        self.editor = editor
        self._scenarios = ScenariosTab(self, scenarios)
        self._sheet = Sheet(editor.draft.loaded.topology)
        self._is_told = False  # nobody has asked for rows yet
        self._ahead: tuple[dict[str, object], list[bytes]] | None = None  # all rows, to be sent
        self._is_all_new = False  # rows were made anew, and none says yet what was found
        self._before = editor.draft.state  # the last that was told, and what its plan counts
        is_loaded = editor.draft.state is editor.draft.loaded  # then it may wait to be planned
        self._sizes = None if is_loaded else editor.live.sizes()
        self._loaded: tuple[CertificatePlan | None, dict[str, int]] = (None, {})
        self._step = ""
        self._shown = PlansShown(editor.draft.state)
        self._rules, self._groups = editor.rules, option_groups(editor.rules)  # as told
        self._lang = editor.options.lang  # likewise
        self._older: list[int] = []  # as the browser was told
        self.restored: list[str] = []
        self._is_followed = False  # the digest of a large plan takes a while
        wishes = {
            "ready": self._start,
            "edit": self._edit,
            "block": self._block,
            "leave_pool": self._leave_pool,
            "new_pool": self._new_pool,
            "duplicate": self._duplicate,
            "add": self._add,
            "remove": self._remove,
            "option": self._option,
            "set_up": self._set_up,
            "mend": self._mend,
            "undo": lambda _: editor.undo(),
            "redo": lambda _: editor.redo(),
            "reset": lambda _: editor.reset(),
            "explain": lambda asked: self.send(
                explanations.explain(editor, asked["ids"], total=int(asked["total"]))
            ),
            "findings": lambda _: self.send(explanations.findings(editor)),
            "names": lambda asked: self.send(plan_views.by_name(editor, str(asked["search"]))),
            "certificates": lambda _: self.send(plan_views.certificates(editor)),
            "why": lambda asked: self.send(name_reasons.of_name(editor.plan, str(asked["name"]))),
            "picture": lambda asked: self.send(
                plan_picture.picture(editor, str(asked["shows"]), str(asked["site"]))
            ),
            "pools": self._choose_pools,
            "changes": lambda _: self.send(explanations.changes(editor)),
            "code": lambda _: self.send({"type": "code", "code": editor.code()}),
            "save": self._save,
            **self._scenarios.wishes(),
        }
        super().__init__(wishes, f"Plan editor of {editor.topology.source}, as it stands:")
        editor.follow(self.changed)

    # -- following
    @traitlets.default("overview")
    def _first_overview(self) -> dict[str, int | str]:
        self._is_followed = True
        return plan_views.overview(self.editor)

    def observe(self, handler: Any, names: Any = traitlets.All, type: Any = "change") -> None:
        """Have `handler` called when a trait changes; ``overview`` follows the plan from now on."""
        if "overview" in ([names] if isinstance(names, str) else names or ()):
            _ = self.overview
        super().observe(handler, names, type)

    def static_form(self) -> tuple[str, str, bool]:
        """Give HTML and text for whoever has no kernel; the live panel hides it."""
        editor, page = self.editor, self.editor._repr_html_()
        if len(editor.topology.cells) <= ROWS_SHOWN:  # of more, it would show part of the servers
            page += figure(editor.plan).to_html()
        return page, repr(editor), False

    def first_form(self) -> tuple[str, str, bool]:
        """Give the same; without plan and findings while these would keep many rows waiting."""
        editor = self.editor
        if len(editor.topology.cells) <= self.at_once:
            return self.static_form()
        self.update_static()
        words = f"{count_of(len(editor.topology.cells), 'row')}; the plan is on its way."
        return editor.page(words), words, False

    def work_ahead(self) -> None:
        """Have the rows in sight ready to send."""
        self._ahead = self._encode_first()

    # -- telling
    def _start(self, _: Message) -> None:
        editor = self.editor
        self._rules, self._groups = editor.rules, option_groups(editor.rules)
        self.send(
            {
                "type": "start",
                "source": editor.topology.source,
                "columns": self._column_facts(),
                "groups": self._groups,
                "folder": "plan",
            }
        )
        self._step = ""
        if self.restored:
            self.send({"type": "restored", "lines": self.restored})
        self._older = []
        self._send_older()
        if len(editor.draft.state.ids) <= self.at_once:
            self._send_all()
            self._send_rest("")
            return
        self._is_told = False
        self.send(*(self._ahead or self._encode_first()))
        self._ahead = None
        self.update_static()  # not before the rows are seen
        self.once_sent(self._send_all_in_turn)

    def _column_facts(self) -> list[Mapping[str, object]]:
        editor = self.editor
        self._lang = editor.options.lang
        return column_facts(editor.topology, editor.rules, self._lang)

    def _encode_first(self) -> tuple[dict[str, object], list[bytes]]:
        state = self.editor.draft.state
        columns = self._sheet.first(state.topology, state.ids, self.first)
        message, buffers = encode_rows(state.ids[: self.first], columns, whole=True)
        return {**message, "total": len(state.ids)}, buffers

    def _send_all_in_turn(self) -> None:
        self._send_all()
        self.once_sent(lambda: self._send_rest(""))

    def _send_all(self) -> None:
        state, sheet = self.editor.draft.state, self._sheet
        sheet.rebuild(state.topology, state.ids)
        self._is_told = self._is_all_new = True
        self.send(*encode_rows(sheet.ids, sheet.columns, whole=True))

    def changed(self, said: str) -> None:
        """Tell the browser what a change changed: rows first, then what the checks say."""
        with self.turn:
            self._tell(said)
            if self._is_followed:
                self.set_trait("overview", plan_views.overview(self.editor))

    def _tell(self, said: str) -> None:
        editor, sheet = self.editor, self._sheet
        state = editor.draft.state
        self._step = self._step_words(state, said)
        self._shown.changed(state)
        self.update_static()
        if not self._is_told:
            self._ahead = None
            return
        self._send_other_groups()
        is_other = state.topology.columns != sheet.topology.columns
        is_other |= editor.rules is not self._rules or editor.options.lang != self._lang
        if state.ids != sheet.ids or is_other:
            self._rules = editor.rules
            self.send({"type": "columns", "columns": self._column_facts()})
            self._send_all()
        elif state.topology is not sheet.topology:
            self._send_rows(*sheet.update(state.topology))
        self._send_rest(said)
        self._send_older()

    def _send_older(self) -> None:
        """Name the cells whose output shows the plan as it was before."""
        older = self._shown.older(self.editor)
        if older != self._older:
            self._older = older
            self.send({"type": "older", "cells": older})

    def _send_rows(self, places: Sequence[int], columns: Mapping[str, list[str]]) -> None:
        if places and columns:
            ids = [self._sheet.ids[place] for place in places]
            self.send(*encode_rows(ids, columns, whole=False))

    def _send_rest(self, said: str) -> None:
        """Tell what follows from the rows; where that takes a while, findings when it is seen."""
        live, plan = self.editor.live, self.editor.plan
        if max(live.unchecked(), len(plan.certificates) // 3) > self.at_once:
            self._send_state(said, live.sizes())
            self.once_sent(self._send_checked)
            return
        self._send_options()
        self._send_findings()
        self._send_state(said, live.counts())

    def _send_checked(self) -> None:
        self._send_options()
        self._send_findings()
        self.send({"type": "checked", "counts": self.editor.live.counts()})

    def _send_findings(self) -> None:
        sheet = self._sheet
        touched = self.editor.live.take_touched()
        if self._is_all_new:
            self._is_all_new, touched = False, None
        found = sheet.set_findings(self.editor.live.words_by_server(), touched)
        texts = sheet.columns[FINDINGS]
        self._send_rows(found, {FINDINGS: [texts[place] for place in found]})

    def _send_other_groups(self) -> None:
        """Send the form again where another product has other types to name an issuer for."""
        groups = option_groups(self.editor.rules)
        if groups != self._groups:
            self._groups = groups
            self.send({"type": "form", "groups": groups})

    def _send_options(self) -> None:
        editor = self.editor
        values: dict[str, Any] = {}
        odd: dict[str, str] = {}
        for name in LABELS:
            value = plain(getattr(editor.options, name))
            if isinstance(value, tuple):
                value = "\n".join(value)
            values[name] = "" if value is None else value
        keys = ("", "internal", "public", *usage_issuers(editor.rules))
        for name in ("issuer", "ca"):
            chosen = values.pop(name)
            values.update((f"{name} {key}", chosen.get(key, "")) for key in keys)
        for name, text, label in deployment_values(editor.topology):
            values[f"column:{name}"] = text
            odd[f"column:{name}"] = label
        self.send({"type": "options", "values": values, "odd": odd})

    def _send_state(self, said: str, counts: Mapping[str, int]) -> None:
        editor, draft = self.editor, self.editor.draft
        changes = self._sheet.changes + len(option_changes(draft.loaded.options, draft.options))
        words = "as loaded" if not changes else count_of(changes, "change")
        scenario = self._scenarios.words()
        words += "" if editor.is_saved or self._scenarios.is_kept else ", not saved"
        self.send(
            {
                "type": "state",
                "counts": counts,
                "before": self._sizes_of_loaded(),
                "said": said,
                "done": self._step,
                "undo": draft.state.said if draft.past else "",
                "redo": draft.future[-1].said if draft.future else "",
                "changes": changes,
                "saved_words": f"{scenario}; {words}" if scenario else words,
            }
        )

    def _sizes_of_loaded(self) -> dict[str, int]:
        plan = self.editor.loaded_plan
        if plan is not self._loaded[0]:
            self._loaded = (plan, plan_sizes(plan.certificates))
        return self._loaded[1]

    def _step_words(self, state: State, said: str) -> str:
        """Say what the last step was and what it did to the plan; "" if there was none."""
        if state is self._before:  # saved, or told once more
            return ""
        old, new = self._sizes or self._sizes_of_loaded(), self.editor.live.sizes()
        self._before, self._sizes = state, new
        counts = [CountChange(what=what, before=old[what], after=new[what]) for what in new]
        effect = ", ".join(str(count) for count in counts if count.before != count.after)
        return f"{said or state.said}: {effect}" if effect else said or state.said

    # -- wishes
    def _edit(self, message: Message) -> None:
        ids, name, value = message["ids"], str(message["column"]), str(message["value"])
        try:
            self.editor.set_cells(ids, name, value)
        except TopologyError as error:
            rows = {place + 2 for place in self.editor.draft.places(ids)}
            problems = tuple(_beside_the_grid(problem, name, rows) for problem in error.problems)
            if name != "role" or not self.editor.are_in_pools(ids):
                raise TopologyError(error.message, hint=error.hint, problems=problems) from None
            hint = "press the button to do both, or set the pool first"
            problems = tuple(replace(problem, hint="") for problem in problems)
            told = TopologyError(error.message, hint=hint, problems=problems)
            lines, cell = error_lines(told), message.get("cell")
            self.refuse("edit", lines, cell=cell, offer="Take out of the pool and change")
        else:
            self.send({"type": "done"})

    def _leave_pool(self, message: Message) -> None:
        self.editor.leave_pool(message["ids"], str(message["column"]), str(message["value"]))
        self.send({"type": "done"})

    def _new_pool(self, message: Message) -> None:
        self.editor.new_pool(message["ids"], str(message["pool"]))
        self.send({"type": "done"})

    def _duplicate(self, message: Message) -> None:
        ids = self.editor.duplicate(message["ids"])
        self.send({"type": "added", "ids": list(ids)})
        self.send({"type": "done"})

    def _block(self, message: Message) -> None:
        cells = [(int(row_id), str(name), str(text)) for row_id, name, text in message["cells"]]
        add = [{str(k): str(v) for k, v in row.items()} for row in message["add"]]
        known = {*self.editor.topology.columns, *(c.name for c in topology_columns())}
        add = [{name: text for name, text in row.items() if name in known} for row in add]
        taken = self.editor.set_block(cells, add, said=str(message["said"]))
        self.send({"type": "done"})
        ids = self.editor.draft.state.ids
        wrong = [
            {
                "cell": [ids[one.place], one.column],
                "text": one.text,
                "lines": error_lines(LyncnbError(one.problem.message, hint=one.problem.hint)),
            }
            for one in taken.refused[:_REFUSED_TOLD]
        ]
        self.send({"type": "refused_cells", "cells": wrong, "lines": _block_words(taken)})

    def _choose_pools(self, message: Message) -> None:
        ids = plan_picture.pool_rows(self.editor, map(str, message["pools"]))
        if ids:
            self.send({"type": "chosen", "ids": ids})

    def _add(self, message: Message) -> None:
        values = {str(name): str(text) for name, text in message["values"].items()}
        try:
            row_id = self.editor.add_server(values)
        except TopologyError as error:
            new = {len(self.editor.topology.cells) + 2}
            problems = tuple(_beside_the_grid(problem, "", new) for problem in error.problems)
            words = f"the server cannot be added: {count_of(len(problems), 'problem')}"
            raise TopologyError(words, hint=error.hint, problems=problems) from None
        self.send({"type": "done"})
        self.send({"type": "added", "ids": [row_id]})

    def _remove(self, message: Message) -> None:
        self.editor.remove_rows(message["ids"])
        self.send({"type": "done"})

    def _option(self, message: Message) -> None:
        name, value = str(message["name"]), message["value"]
        if not self.guarded("option", lambda: self._set_option(name, value, message.get("key"))):
            self._send_options()  # the form goes back to what is so
            return
        self.send({"type": "done"})

    def _set_up(self, message: Message) -> None:
        is_chosen = message["value"] is True
        ids = plan_views.at_set_up(self.editor, str(message["id"]), is_chosen=is_chosen)
        self.editor.change_options(at_set_up=ids)
        self.send({"type": "done"})

    def _mend(self, message: Message) -> None:
        if not self.editor.mend(str(message["code"])):
            self.refuse("mend", ["Each fix contradicts something else: change it by hand."])

    def _set_option(self, name: str, value: object, key: object) -> None:
        if name.startswith("column:") and name[7:] in DEPLOYMENT:
            text = ";".join(entries(str(value))) if name[7:] in _LISTS else str(value).strip()
            self.editor.set_everywhere(name[7:], text)
            return
        if name == "accepted" and isinstance(key, str):
            self.editor.accept(key, str(value))
            return
        if isinstance(key, str):
            chosen = dict(getattr(self.editor.options, name))
            chosen[key] = str(value)
            value = chosen
        self.editor.change_options(**{name: value})

    def _save(self, message: Message) -> None:
        folder = Path(message["folder"].strip() or ".")
        replaced = [path.name for path in saved_files(folder) if path.exists()]
        paths = self.editor.save(folder, overwrite=message.get("overwrite") is True)
        what = f"replaced {' and '.join(replaced)} there" if replaced else "nothing was replaced"
        text = f"Saved: {' and '.join(map(str, paths))}; {what}."
        self.send({"type": "done"})
        self.send({"type": "saved", "text": text, "again": loading_code(*paths)})


def _beside_the_grid(problem: Problem, column: str, rows: set[int]) -> Problem:
    """Leave out of a problem's place what one sees: `column` of `rows`, numbered as in a file."""
    if problem.row in rows:
        seen = "" if problem.column == column else title(problem.column)
        return replace(problem, file="", row=0, column=seen)
    return replace(problem, column=title(problem.column))


def _block_words(taken: TakenBlock) -> list[str]:
    """Say how much of a block was not taken; nothing if all of it was."""
    lines = []
    if taken.refused:
        lines.append(
            f"{count_of(len(taken.refused), 'cell')} could not be taken; they stand in red "
            "with the reason, and the rest is taken."
        )
    for number, problem in taken.refused_rows[:_ROWS_TOLD]:
        lines.append(f"New row {number} is not added: {problem.message}. {problem.hint}")
    if len(taken.refused_rows) > _ROWS_TOLD:
        lines.append(f"… and {len(taken.refused_rows) - _ROWS_TOLD:,} more rows are not added")
    return lines


_LISTS = {name for name, kind in DEPLOYMENT.items() if kind == "list"}


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
        rules: Rules,
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

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.view.whole_bundle()

    def _ipython_display_(self) -> None:
        if "view" not in vars(self):  # it is shown for the first time
            restored = restore(self)
            self.view.restored = restored
        self.view.show()
