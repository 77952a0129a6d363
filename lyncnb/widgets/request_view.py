"""The widget of a request panel: asks, shows how far it is, and keeps no passphrase."""

from __future__ import annotations

from typing import Any

from ..base import tables
from ..errors import LyncnbError, PassphraseError
from ..pki.passphrase import Secret
from ..plan.summary import totals
from ..request_folder.bundle import RequestBundle
from .found import finding_groups
from .job import CANCELLED, FAILED, FINISHED, JobState, progress_words
from .panel import Panel, read_scripts
from .requesting import RequestRun

_ROWS_LISTED = 200


class RequestView(Panel):
    """The widget; the passphrase comes as a message, is handed on, and is gone."""

    _esm = read_scripts("dom.js", "lists.js", "secret.js", "request.js")

    def __init__(self, panel: RequestRun):
        self.panel = panel
        answers = {
            "ready": self._start,
            "look": lambda _: self._look(),
            "option": self._accept,
            "write": self._write,
            "cancel": lambda _: panel.cancel(),
        }
        super().__init__(answers, f"Requests into {panel.folder}, as they stand:")
        panel.on_change = self.job_changed

    def static_form(self) -> tuple[str, str, bool]:
        """Give HTML and text for whoever has no kernel, and whether to show it beside the panel."""
        panel = self.panel
        return panel._repr_html_(), repr(panel), panel.bundle is not None

    # -- telling
    def _start(self, _: dict) -> None:
        panel = self.panel
        self.send(
            {
                "type": "start",
                "folder": str(panel.folder),
                "plan": totals(panel.plan, panel.findings),
                "count": len(panel.plan.certificates),
            }
        )
        self._send_findings()
        self._look()
        self.job_changed(panel.job.state)

    def _send_findings(self) -> None:
        panel = self.panel
        groups = finding_groups(panel.findings, panel.plan.rules, accepted=panel.accepted)
        self.send({"type": "findings", "groups": groups, "open": list(panel.unaccepted)})

    def _look(self) -> None:
        """Tell what a run would do; what stands in its way is told in its place."""
        panel = self.panel
        message = {"type": "look", "is_new": panel.is_new, "rows": [], "notes": [], "ready": False}
        if panel.unaccepted:
            codes = ", ".join(panel.unaccepted)
            message["words"] = f"Errors stand in the way: {codes}. Correct or accept them first."
        elif panel.job.state.is_busy:
            message["words"] = "A run is going on."
        else:
            try:
                message |= _foreseen(panel.look())
            except LyncnbError as error:
                message["words"] = str(error)
        self.send(message)

    def job_changed(self, state: JobState) -> None:
        """Tell how far the run is; at its end, what it did."""
        done, total, *_ = state.progress
        self.send(
            {
                "type": "job",
                "state": state.name,
                "busy": state.is_busy,
                "done": done,
                "total": total,
                "words": progress_words(state),
            }
        )
        if state.name == FAILED:
            self.refuse("write", list(state.lines))
        if state.name in (CANCELLED, FINISHED):
            self.send(_result(self.panel.bundle))
        if state.name in (CANCELLED, FAILED, FINISHED):
            self._look()
            self.update_static()

    # -- wishes
    def _accept(self, message: dict) -> None:
        self.panel.accept(str(message["key"]), str(message["value"]))
        self.send({"type": "done"})
        self._send_findings()
        self._look()

    def _write(self, message: dict) -> None:
        # Nothing but these two objects holds the text, and they end with the run.
        first = Secret(str(message.pop("passphrase", "")))
        again = Secret(str(message.pop("again", ""))) if self.panel.is_new else None
        if not first.reveal():
            raise PassphraseError("no passphrase was typed", hint="type it into the field")
        self.panel.start(first, again)


def _foreseen(bundle: RequestBundle) -> dict[str, Any]:
    """Give what a dry run says, requests that stay as they are left out of the list."""
    changes = [change for change in bundle.changes if change.action != "kept"]
    counts = ", ".join(f"{number:,} {action}" for action, number in bundle.counts().items())
    return {
        "ready": True,
        "words": f"{len(bundle.requests):,} requests after the run: {counts or 'none'}."
        if changes
        else f"The folder is as planned: {len(bundle.requests):,} requests, nothing to do.",
        "rows": [[c.action, c.id, "; ".join(c.reasons)] for c in changes[:_ROWS_LISTED]],
        "notes": [*bundle.notes, *_left_out(len(changes))],
        "quiet": not changes,
    }


def _result(bundle: RequestBundle) -> dict[str, Any]:
    counts = ", ".join(f"{number:,} {action}" for action, number in bundle.counts().items())
    return {
        "type": "result",
        "words": f"{bundle.folder}: {counts or 'nothing to do'}.",
        "notes": list(bundle.notes),
        "cancelled": bundle.cancelled,
    }


def _left_out(total: int) -> list[str]:
    return [tables.left_out(_ROWS_LISTED, total)] if total > _ROWS_LISTED else []
