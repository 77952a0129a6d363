"""The panel of a plan editor: answers the browser's messages. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .. import tables
from ..errors import TopologyError
from ..plan import PlannedCertificate
from ..summary import count_of
from .draft import Draft
from .editing import CHANGE_COLUMNS, PlanEditing
from .facts import (
    DEPLOYMENT,
    LABELS,
    column_facts,
    deployment_values,
    option_groups,
    usage_issuers,
)
from .found import finding_groups
from .panel import Panel, read_scripts
from .replay import change_rows, option_changes, plain
from .sheet import FINDINGS, Sheet
from .wire import encode_rows

_ROWS_LISTED = 500


class EditorView(Panel):
    """The widget; rows, options and results travel as messages."""

    _esm = read_scripts(
        "dom.js",
        "rows.js",
        "grid.js",
        "detail.js",
        "servers.js",
        "form.js",
        "lists.js",
        "editor.js",
    )

    def __init__(self, editor: PlanEditing):
        self.editor = editor
        self._sheet = Sheet(editor.draft.loaded.topology)
        self._is_told = False  # nobody has asked for rows yet
        answers = {
            "ready": self._start,
            "edit": self._edit,
            "add": self._add,
            "remove": self._remove,
            "option": self._option,
            "undo": lambda _: editor.undo(),
            "redo": lambda _: editor.redo(),
            "reset": lambda _: editor.reset(),
            "explain": self._explain,
            "findings": self._findings,
            "changes": self._changes,
            "code": lambda _: self.send({"type": "code", "code": editor.code()}),
            "save": self._save,
        }
        super().__init__(answers, f"Plan editor of {editor.topology.source}, as it stands:")
        editor.on_change = self.changed

    def static_form(self) -> tuple[str, str, bool]:
        """Give HTML and text for whoever has no kernel; the live panel hides it."""
        return self.editor._repr_html_(), repr(self.editor), False

    # -- telling
    def _start(self, _: dict) -> None:
        editor = self.editor
        self.send(
            {
                "type": "start",
                "source": editor.topology.source,
                "columns": column_facts(editor.topology, editor.rules),
                "groups": option_groups(editor.rules),
                "folder": "plan",
            }
        )
        if not self._is_told:
            self._is_told = True
            state = editor.draft.state
            self._sheet.rebuild(state.topology, state.ids)
        self._send_all()
        self._send_options()
        self._send_findings(None)
        self._send_state("")

    def changed(self, said: str) -> None:
        """Tell the browser what a change changed: rows first, then what the checks say."""
        editor, sheet = self.editor, self._sheet
        state = editor.draft.state
        self.update_static()
        if not self._is_told:
            return
        if state.ids != sheet.ids or state.topology.columns != sheet.topology.columns:
            sheet.rebuild(state.topology, state.ids)
            self.send({"type": "columns", "columns": column_facts(editor.topology, editor.rules)})
            self._send_all()
            self._send_findings(None)
        else:
            if state.topology is not sheet.topology:
                self._send_rows(*sheet.update(state.topology))
            self._send_findings(editor.live.take_touched())
        self._send_options()
        self._send_state(said)

    def _send_all(self) -> None:
        self.send(*encode_rows(self._sheet.ids, self._sheet.columns, whole=True))

    def _send_rows(self, places: Sequence[int], columns: Mapping[str, list[str]]) -> None:
        if places and columns:
            ids = [self._sheet.ids[place] for place in places]
            self.send(*encode_rows(ids, columns, whole=False))

    def _send_findings(self, touched: set[str] | None) -> None:
        sheet = self._sheet
        found = sheet.set_findings(self.editor.live.words_by_server(), touched)
        texts = sheet.columns[FINDINGS]
        self._send_rows(found, {FINDINGS: [texts[place] for place in found]})

    def _send_options(self) -> None:
        editor = self.editor
        values: dict[str, object] = {}
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

    def _send_state(self, said: str) -> None:
        editor, draft = self.editor, self.editor.draft
        changes = self._sheet.changes + len(option_changes(draft.loaded.options, draft.options))
        words = "as loaded" if not changes else count_of(changes, "change")
        self.send(
            {
                "type": "state",
                "counts": editor.live.counts(),
                "said": said,
                "undo": draft.state.said if draft.past else "",
                "redo": draft.future[-1].said if draft.future else "",
                "changes": changes,
                "saved_words": words + ("" if editor.is_saved else ", not saved"),
            }
        )

    # -- wishes
    def _edit(self, message: dict) -> None:
        ids, name, value = message["ids"], str(message["column"]), str(message["value"])
        try:
            self.editor.set_cells(ids, name, value)
        except TopologyError as error:
            if name != "role":
                raise
            hint = "to take a server out of a pool, set its pool first, then its role"
            raise TopologyError(error.message, hint=hint, problems=error.problems) from None
        self.send({"type": "done"})

    def _add(self, message: dict) -> None:
        values = {str(name): str(text) for name, text in message["values"].items()}
        row_id = self.editor.add_server(values)
        self.send({"type": "done"})
        self.send({"type": "added", "id": row_id})

    def _remove(self, message: dict) -> None:
        self.editor.remove_rows(message["ids"])
        self.send({"type": "done"})

    def _option(self, message: dict) -> None:
        name, value = str(message["name"]), message["value"]
        if not self.guarded("option", lambda: self._set_option(name, value, message.get("key"))):
            self._send_options()  # the form goes back to what is so
            return
        self.send({"type": "done"})

    def _set_option(self, name: str, value: object, key: object) -> None:
        if name.startswith("column:") and name[7:] in DEPLOYMENT:
            text = ";".join(str(value).split()) if name[7:] in _LISTS else str(value).strip()
            self.editor.set_everywhere(name[7:], text)
            return
        if isinstance(key, str):
            chosen = dict(getattr(self.editor.options, name))
            chosen[key] = str(value)
            value = chosen
        self.editor.change_options(**{name: value})

    def _save(self, message: dict) -> None:
        folder = message["folder"].strip() or "."
        paths = self.editor.save(folder, overwrite=message.get("overwrite") is True)
        self.send({"type": "done"})
        self.send({"type": "saved", "text": f"Saved: {' and '.join(map(str, paths))}"})

    # -- questions
    def _explain(self, message: dict) -> None:
        draft: Draft = self.editor.draft
        places = draft.places(message["ids"])
        names = draft.server_names()
        servers = list(dict.fromkeys(str(names[place]) for place in places))
        total = int(message.get("total", len(servers)))
        found = self.editor.live.of_servers(servers)
        title = f"What {servers[0]} gets" if len(servers) == 1 else f"What {total:,} servers get"
        note = "" if total <= len(places) else f"The first {len(places)} of {total:,} servers."
        if not servers:
            title = "Choose a server to see what it gets"
        elif not found:
            note = "It needs no certificate." if len(servers) == 1 else "They need no certificate."
        names = self._names(servers)
        self.send(
            {
                "type": "explain",
                "title": title,
                "note": note,
                "certificates": [self._certificate(one, names.get(one.id, [])) for one in found],
                "findings": self._findings_of(servers, found),
            }
        )

    def _names(self, servers: list[str]) -> dict[str, list[dict[str, str]]]:
        """Explain the names of these servers' certificates, by certificate."""
        names: dict[str, list[dict[str, str]]] = {}
        for server in servers:
            explained: dict[str, list[dict[str, str]]] = {}
            for item in self.editor.plan.explain(server).names:
                entry = {"name": item.name, "place": item.place, "why": item.why}
                explained.setdefault(item.certificate, []).append({**entry, "source": item.source})
            names |= explained
        return names

    def _certificate(
        self, certificate: PlannedCertificate, names: list[dict[str, str]]
    ) -> dict[str, object]:
        shared = {"pool": "one for the whole pool", "deployment": "one for the deployment"}
        owner = certificate.pool or "the deployment"
        if certificate.shared_by == "server":
            owner = certificate.servers[0]
        ca = f" ({certificate.ca})" if certificate.ca else ""
        return {
            "id": certificate.id,
            "title": ", ".join(certificate.usages) or certificate.role,
            "owner": owner,
            "subject": certificate.subject.to_rfc4514(),
            "key": f"{certificate.key}, {certificate.hash}",
            "issuer": f"{certificate.issuer}{ca}",
            "shared": shared.get(certificate.shared_by, ""),
            "names": names,
        }

    def _findings_of(
        self, servers: list[str], certificates: list[PlannedCertificate]
    ) -> list[dict[str, str]]:
        about = {c.id for c in certificates if c.shared_by != "deployment"} | {*servers}
        return [
            {"severity": f.severity, "message": f.message, "hint": f.hint}
            for f in self.editor.findings
            if f.about in about
        ]

    def _findings(self, _: dict) -> None:
        editor = self.editor
        servers = {c.id: c.servers[0] for c in editor.plan.certificates if c.servers}
        servers.update((name, name) for name in map(str, editor.draft.server_names()))
        groups = finding_groups(
            editor.findings, editor.rules, accepted=editor.options.accepted, servers=servers
        )
        self.send({"type": "findings", "groups": groups})

    def _changes(self, _: dict) -> None:
        draft = self.editor.draft
        rows = change_rows(draft.loaded, draft.state)
        shown = [list(map(tables.cell_text, row)) for row in rows[:_ROWS_LISTED]]
        self.send(
            {
                "type": "changes",
                "title": f"Changed against {self.editor.topology.source}",
                "headings": list(CHANGE_COLUMNS),
                "rows": shown,
                "note": "" if len(rows) <= _ROWS_LISTED else tables.left_out(len(shown), len(rows)),
            }
        )


_LISTS = {name for name, kind in DEPLOYMENT.items() if kind == "list"}
