"""Define ``RequestPanel``, which writes keys, requests and the summary of a plan step by step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..base.records import Text
from ..base.shown import tables
from ..base.shown.tables import format_count
from ..checks.check_plan import choose_evaluation_date
from ..errors import LyncnbError, PassphraseError
from ..guide.what_you_can_do import list_help_rows
from ..jupyter.run_notebook import is_unattended
from ..pki.passphrase import Secret
from ..plan.acceptances import is_acceptance_expired
from ..plan.model import CertificatePlan
from ..request_folder.bundle import RequestBundle
from .background_job import CANCELLED, FAILED, FINISHED, JobState, build_progress_message
from .editing.channel import Answers, Channel
from .editing.explanations import build_finding_items, explain_name, explain_request
from .editing.plan_editing import PlanEditing
from .messages import Look, RequestResult, RequestToPage
from .notebook_cells import notify_change
from .panel import ShownAsPanel
from .request_run import RequestRun

_ROWS_LISTED = 200


class RequestChannel(Channel[RequestToPage]):
    """The channel that answers a request panel's page. The panel does not store a passphrase."""

    scripts = ("findings_list.js", "help_dialog.js", "passphrase_field.js", "request_panel.js")

    def __init__(self, panel: RequestRun):
        self.panel = panel
        answers: Answers = {
            "ready": self._answer_first_message,
            "look": self._send_preview,
            "option": self._change_acceptance,
            "write": self._write_requests,
            "scripts": self._write_scripts,
            "recovery": self._name_recovery_key,
            "why": self._send_reasons,
            "cancel": panel.cancel,
        }
        self._looked_at: CertificatePlan | None = None
        # Whether the panel last told the page that the folder is new. The page asks twice for the
        # passphrase of a new folder.
        self._seen_new = False
        super().__init__(answers, f"Current state of the requests in the folder {panel.folder}:")
        panel.on_change = self.send_progress
        if panel.editor is not None:
            self.at_end.append(panel.editor.register_callback(lambda _: self.send_changed_plan()))

    def make_static_output(self) -> tuple[str, str, bool]:
        """Return the panel's content as HTML and text, and whether a result is shown.

        Readers without a kernel see this content.
        """
        panel = self.panel
        return panel._repr_html_(), repr(panel), panel.job.result is not None

    # -- The following methods send messages to the page of the request panel.
    def _answer_first_message(self) -> None:
        self.send({"type": "start", "folder": str(self.panel.folder), "help": list_help_rows()})
        self._send_preview()
        self._send_recovery_keys()
        self.send_progress(self.panel.job.state)

    def send_changed_plan(self) -> None:
        """Report to the page that the plan has changed. The page then requests a new preview."""
        if self._looked_at is not None:
            self.update_static()
            self.send({"type": "changed", "words": "The plan has changed in the editor."})

    def _send_findings(self) -> None:
        panel, accepted, limits = self.panel, self.panel.accepted, self.panel.acceptance_limits
        day = choose_evaluation_date(panel.plan, panel.findings.judged_on)
        groups = build_finding_items(
            panel.findings,
            panel.plan,
            acceptance_reasons=accepted,
            acceptance_limits=limits,
            expired_codes={
                code for code in limits if is_acceptance_expired(code, panel.plan.options, day=day)
            },
            is_open=lambda finding: finding.code not in accepted,
        )
        self.send({"type": "findings", "groups": groups, "open": list(panel.unaccepted)})

    def _send_preview(self) -> None:
        """Send the page a preview of the requests, or the reason why no preview is available."""
        panel = self.panel
        self._looked_at, self._seen_new = panel.plan, panel.is_new
        self._send_findings()
        message: Look = {
            "type": "look",
            "is_new": self._seen_new,
            "other": "",
            "consent": "",
            "rows": [],
            "notes": [],
            "ready": False,
            "plan": panel.totals,
            "label": f"Write {format_count(len(panel.plan.certificates), 'request')}",
            "words": "lyncnb is writing requests.",
        }
        if panel.unaccepted:
            codes = ", ".join(panel.unaccepted)
            message["words"] = (
                f"lyncnb cannot write requests because of these errors: {codes}. Correct "
                "or accept the errors first."
            )
        elif not panel.job.state.is_busy:
            try:
                _add_preview(message, panel.look(), panel.recovery)
                if (other := panel.other_deployment) is not None:
                    message |= {"other": other.description, "consent": other.consent_text}
            except LyncnbError as error:
                message["words"] = str(error)
        self.send(message)

    def send_progress(self, state: JobState) -> None:
        """Send the progress of writing the requests to the page, and finally the result."""
        self.send(build_progress_message(state))
        if state.name == FAILED:
            self.send_refusal("write", list(state.lines))
        if state.name in (CANCELLED, FINISHED) and self.panel.job.result is not None:
            self.send(_describe_result(self.panel.job.result))
        if state.name in (CANCELLED, FAILED, FINISHED):
            self._send_preview()
            self.update_static()
            notify_change()

    def _send_recovery_keys(self) -> None:
        self.send({"type": "recovery", "fingerprints": list(self.panel.recovery)})

    # -- The following methods answer messages from the page of the request panel.
    def _send_reasons(self, *, name: str) -> None:
        """Send the reasons for one name in a request, or for all names in the request."""
        of_it = explain_name if "." in name else explain_request
        self.send(of_it(self.panel.plan, name))

    def _name_recovery_key(self, *, file: Text) -> None:
        if not file.strip():
            raise LyncnbError(
                "the file name is missing",
                hint=("enter the path of the .pub file that you received"),
            )
        self.panel.name_recovery_key(file.strip())
        self.send({"type": "done", "added": []})
        self._send_recovery_keys()
        self._send_preview()

    def _change_acceptance(self, *, name: str, key: str, value: Text) -> None:
        self.panel.accept(key, value)
        self.send({"type": "done", "added": []})
        self._send_preview()

    def _write_requests(self, *, passphrase: Secret, again: Secret, replaces: bool = False) -> None:
        is_new = self.panel.is_new
        if not passphrase.reveal():
            raise PassphraseError(
                "the passphrase is missing", hint="enter the passphrase in the field"
            )
        if self._looked_at is not self.panel.plan:
            self._send_preview()
            raise LyncnbError(
                "the plan has changed since the preview, so lyncnb wrote no requests",
                hint="check the new preview above, then write the requests",
            )
        if self._seen_new is not is_new:
            self._send_preview()
            raise LyncnbError(
                "the folder has changed since the preview, so lyncnb wrote no requests",
                hint="check the new preview above, then enter the passphrase and write the "
                "requests",
            )
        self.panel.start(passphrase, again if is_new else None, replaces=replaces)

    def _write_scripts(self, *, computer: Text, template: Text, replaces: bool = False) -> None:
        panel = self.panel
        if panel.job.state.is_busy:
            raise LyncnbError(
                "lyncnb is already writing requests",
                hint=("wait until lyncnb has finished, or cancel the operation"),
            )
        steps = panel.write_scripts(
            computer=computer.strip(), template=template.strip(), replaces=replaces
        )
        self.send({"type": "done", "added": []})
        self.send(
            {
                "type": "scripts",
                "words": f"The folder {os.path.join(panel.folder, 'steps')} now contains "
                f"{format_count(len(steps.servers), 'script')}, and requests.html, which "
                "explains how to run the scripts. To import the resulting requests, use "
                f"lyncnb receive {panel.folder} --request.",
                "notes": [
                    f"{entry.request}: {entry.why}" for entry in steps.missing[:_ROWS_LISTED]
                ],
            }
        )
        self._send_preview()
        self.update_static()


def _add_preview(message: Look, bundle: RequestBundle, recovery: Sequence[str]) -> None:
    """Describe in a message which changes lyncnb would make when it writes the requests.

    Unchanged requests are left out.
    """
    changes = [change for change in bundle.changes if change.action != "kept"]
    counts = ", ".join(f"{number:,} {action}" for action, number in bundle.counts().items())
    planned = format_count(len(bundle.requests), "request")
    known = {key.fingerprint for key in bundle.manifest.recovery}
    message["ready"] = not bundle.is_quiet or not known.issuperset(recovery)
    if changes:
        message["words"] = f"{planned} in the folder after the run: {counts or 'none'}."
    elif message["ready"]:
        message["words"] = f"{planned} without changes. lyncnb updates only its own records."
    else:
        message["words"] = f"The folder matches the plan: {planned}. There is nothing to write."
        message["label"] = "Nothing to write"
    message["rows"] = [[c.action, c.id, "; ".join(c.reasons)] for c in changes[:_ROWS_LISTED]]
    message["notes"] = [*bundle.notes]
    if len(changes) > _ROWS_LISTED:
        message["notes"].append(tables.describe_shown_rows(_ROWS_LISTED, len(changes)))


def _describe_result(bundle: RequestBundle) -> RequestResult:
    counts = ", ".join(f"{number:,} {action}" for action, number in bundle.counts().items())
    return {
        "type": "result",
        "words": f"Folder {bundle.folder}: {counts or 'nothing to do'}.",
        "notes": list(bundle.notes),
        "cancelled": bundle.cancelled,
    }


class RequestPanel(ShownAsPanel, RequestRun):
    """A panel that writes the requests of a plan, with a preview and a Cancel button.

    Parameters
    ----------
    source : PlanEditor or CertificatePlan
        An editor, whose changes the panel follows, or a plan of n certificates.
    folder : path
        The request folder. It does not have to exist yet.
    accept : mapping of str to str, optional
        Codes of error findings to accept, each with the reason.
    workers : int, optional
        The number of threads that create keys. The default is one for each core.
    recovery : sequence of path, optional
        Public keys (``FILE.pub``) of recovery key pairs that can open the folder.

    Notes
    -----
    To show the panel, make it the last line of a cell. Without a browser, use ``look``,
    ``start``, ``cancel`` and ``wait``, and ``bundle`` for the result. In ``lyncnb run``, there
    is no user who can press a button, so the panel writes the requests when it is created.
    """

    channel_of = RequestChannel

    def __init__(
        self,
        source: PlanEditing | CertificatePlan,
        folder: str | os.PathLike[str],
        *,
        accept: Mapping[str, str] | None = None,
        workers: int | None = None,
        recovery: Sequence[str | os.PathLike[str]] = (),
    ):
        super().__init__(source, folder, accept=accept, workers=workers, recovery=recovery)
        if is_unattended():
            self.write_unattended()
