"""``RequestPanel``: from a plan to keys, requests and the summary table, by hand and in safety."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ..base import tables
from ..checks.check_plan import check_plan
from ..errors import BundleError, LyncnbError, PassphraseError, PlanRejected
from ..export.write import write_requests
from ..pki.passphrase import Secret, as_passphrase
from ..plan.model import CertificatePlan
from ..plan.summary_content import totals
from ..request_folder.bundle import RequestBundle, open_requests
from ..request_folder.files_on_disk import SUMMARY_NAMES
from ..rules.findings import Findings
from .background_job import CANCELLED, FAILED, FINISHED, Job, JobState, progress_words
from .explanations import finding_groups
from .panel import Panel, read_scripts

# From a plan to keys, requests and the summary table, in the background; without a browser.
#
# Everything that decides or writes is in ``write_requests``.


class RequestRun:
    """The requests of a plan, looked at and written in the background, accepted findings kept.

    ``on_change`` is called with the state of the job, in its thread too.
    """

    def __init__(
        self,
        plan: CertificatePlan,
        folder: str | os.PathLike[str],
        *,
        accept: Mapping[str, str] | None = None,
        workers: int | None = None,
    ):
        self.plan = plan
        self.folder = Path(folder)
        self.findings: Findings = check_plan(plan)
        self.accepted = {**plan.options.accepted, **(accept or {})}
        self.workers = workers
        self.on_change: Callable[[JobState], object] = lambda state: None
        self.job = Job(lambda state: self.on_change(state))

    @property
    def bundle(self) -> RequestBundle | None:
        """The request folder as the last run left it, None before the first."""
        return self.job.result

    @property
    def unaccepted(self) -> tuple[str, ...]:
        """Codes of error findings that nobody accepted."""
        errors = {finding.code for finding in self.findings if finding.severity == "error"}
        return tuple(sorted(errors - self.accepted.keys()))

    @property
    def is_new(self) -> bool:
        """Whether the folder has no key yet, so that the passphrase is asked for twice."""
        try:
            records = open_requests(self.folder).requests
        except BundleError:
            return True
        return not any(record.is_written for record in records)

    def accept(self, code: str, reason: str) -> None:
        """Accept the error findings of a code, or no longer if the reason is blank.

        Raises
        ------
        PlanRejected
            If the plan has no finding of that code.
        """
        if code not in {finding.code for finding in self.findings}:
            raise PlanRejected(
                f'the plan has no finding "{code}"', hint="accept one that the list shows"
            )
        if reason.strip():
            self.accepted[code] = reason.strip()
        else:
            self.accepted.pop(code, None)

    def look(self) -> RequestBundle:
        """Say what a run would do with the folder, and touch nothing.

        Raises
        ------
        PlanRejected
            If errors are not accepted.
        BundleError
            If the folder needs attention.
        """
        return write_requests(
            self.plan,
            self.folder,
            passphrase=None,
            accept=self.accepted,
            findings=self.findings,
            dry_run=True,
        )

    def start(self, passphrase: Secret | str, again: Secret | str | None = None) -> None:
        """Begin to write in the background.

        Parameters
        ----------
        passphrase : Secret or str
            Of the folder; at least 12 characters.
        again : Secret or str, optional
            The same again, if somebody typed it.

        Raises
        ------
        PassphraseError
            If the two differ or it will not do.
        LyncnbError
            If a run is going on.
        """
        secret = as_passphrase(passphrase)
        if again is not None and as_passphrase(again) != secret:
            raise PassphraseError("the two passphrases differ", hint="type both again")
        accepted = dict(self.accepted)
        self.job.start(
            lambda progress, stop: write_requests(
                self.plan,
                self.folder,
                passphrase=secret,
                accept=accepted,
                findings=self.findings,
                workers=self.workers,
                progress=progress,
                cancel=stop,
            )
        )

    def cancel(self) -> None:
        """Stop the run; what is finished is kept, and the next run completes it."""
        self.job.cancel()

    def wait(self, seconds: float | None = None) -> RequestBundle | None:
        """Wait for the end of the run and give the request folder."""
        self.job.wait(seconds)
        return self.bundle

    # -- showing
    def to_frame(self) -> tables.DataFrame:
        """Give the requests of the last run, or the plan before the first."""
        return (self.bundle or self.plan).to_frame()

    def _repr_html_(self) -> str:
        if self.bundle is None:
            return "\n".join(
                [tables.paragraph(f"To be written into {self.folder}: "
                                  f"{totals(self.plan, self.findings)}"),
                 self.plan._repr_html_()]
            )  # fmt: skip
        return self.links() + self.bundle._repr_html_()

    def links(self) -> str:
        """Give links to the summary as HTML; a notebook opens them beside itself."""
        here = Path.cwd()
        found = [
            tables.link(name, os.path.relpath(self.folder / name, here))
            for name in SUMMARY_NAMES
            if (self.folder / name).is_file()
        ]
        return f"<p>Open: {' · '.join(found)}</p>" if found else ""

    def __repr__(self) -> str:
        name, count = type(self).__name__, len(self.plan.certificates)
        return f"{name}({count} certificates, {str(self.folder)!r})"


# The widget of a request panel: asks, shows how far it is, and keeps no passphrase.

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


class RequestPanel(RequestRun):
    """Write the requests of a plan, with a look before and a Cancel meanwhile.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    folder : path
        The request folder; need not exist.
    accept : mapping of str to str, optional
        Codes of error findings to accept, each with the reason.
    workers : int, optional
        Threads that make keys, by default one for each core.

    Notes
    -----
    Show it as the last line of a cell. Without a browser: ``look``, ``start``, ``cancel``,
    ``wait``, and ``bundle`` for the result.
    """

    @cached_property
    def view(self) -> RequestView:
        """The widget; there is one, however often it is shown."""
        return RequestView(self)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.view.whole_bundle()

    def _ipython_display_(self) -> None:
        self.view.show()
