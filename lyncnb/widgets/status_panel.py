"""Define ``StatusPanel``, which guides the user from issued to installed certificates."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..authorities.certificates_on_record import load_issued_certificates
from ..authorities.handover import hand_over
from ..authorities.import_certificates import receive
from ..authorities.installed.deployed_results import RecordedDeployments
from ..authorities.read_plan import build_folder_origin, recreate_plan
from ..authorities.record_deployments import deployed
from ..authorities.returned.issued import IssuedCertificates
from ..authorities.status import FolderStatus, RequestStatus, folder_status
from ..authorities.summary_files import build_folder_summary
from ..authorities.survey.as_is import AS_IS_FILE
from ..base.disk.outputs import check_output_path, write_output
from ..base.records import Text
from ..base.shown import frames, tables
from ..base.shown.origin import Origin, mark_origin
from ..checks.check_plan import choose_evaluation_date
from ..deploy.package_passwords import show_password
from ..deploy.pfx_packages import Packages
from ..deploy.request_scripts import write_renewal_scripts
from ..deploy.server_steps import DeploymentSteps
from ..deploy.step_files import write_steps
from ..deploy.steps import deployment_steps
from ..deploy.write_pfx import write_pfx
from ..errors import LyncnbError, PlanRejected
from ..export.executors import Making, Progress
from ..export.renew import renew
from ..guide.what_you_can_do import list_help_rows
from ..pki.passphrase import Secret, check_passphrase
from ..plan.model import CertificatePlan
from ..plan.totals import build_origin
from ..probes.probe import probe
from ..probes.result import Probe
from ..probes.targets import FROM, list_targets
from ..request_folder.bundle import open_requests
from ..request_folder.manifest import NAME as MANIFEST
from ..request_folder.manifest import read_manifest
from ..rules.findings import group_findings
from ..rules.rule_files import load_recorded_rules
from ..topology.columns import get_column
from .background_job import CANCELLED, FAILED, FINISHED, Job, JobState, build_progress_message
from .editing.channel import GRID_SCRIPTS, Answers, Channel
from .editing.explanations import explain_recorded_request
from .editing.plan_editing import PlanEditing
from .editing.sheet import encode_rows
from .messages import Refusal, StatusToPage, StepResult
from .notebook_cells import call_after_changes, notify_change
from .panel import ShownAsPanel
from .request_run import RequestRun, parse_folder_path
from .status_texts import (
    build_step_before_requests,
    describe_refusals,
    describe_request,
    find_next_step,
)

# The class ``FolderWork`` runs the steps on a request folder in the background, and needs no
# browser. Each step calls a public function of lyncnb. Only one step runs at a time, and the result
# of the last step is kept.

Report = Callable[[Progress], None]


class FolderWork:
    """The tasks that follow in a request folder after lyncnb has created the requests.

    ``on_change`` is called with the state of the job, also from the job's thread.
    """

    def __init__(
        self,
        source: PlanEditing | str | os.PathLike[str],
        folder: str | os.PathLike[str] | None = None,
        *,
        answers: str | os.PathLike[str] | None = None,
        today: date | None = None,
    ):
        self.editor = source if isinstance(source, PlanEditing) else None
        path = folder if isinstance(source, PlanEditing) else source
        if self.editor is None and folder is not None:
            raise LyncnbError(
                f"{type(self).__name__} requires a folder, or an editor and a folder",
                hint=f"use ln.{type(self).__name__}(editor, request_folder)",
            )
        self.folder = parse_folder_path(path, type(self).__name__)
        self.answers = answers
        self.today = today
        self.on_change: Callable[[JobState], object] = lambda state: None
        self.job: Job[Any] = Job(lambda state: self.on_change(state))
        self.status  # noqa: B018  reports an unreadable folder when the panel is created

    @property
    def status(self) -> FolderStatus:
        """The state of every request in the folder, or None before the editor's plan is written."""
        if self.editor is not None and self.is_missing:
            day = self.today or choose_evaluation_date(self.editor.plan)
            return FolderStatus(folder=self.folder, today=day, requests=())
        return folder_status(self.folder, today=self.today)

    @property
    def is_missing(self) -> bool:
        """Whether the plan in the editor has not been written to the folder yet."""
        return self.editor is not None and not os.path.lexists(self.folder)

    @property
    def origin(self) -> Origin:
        """The deployment and table of the folder, or of the editor's plan before it is written."""
        if self.editor is not None and self.is_missing:
            return build_origin(self.editor.plan)
        return build_folder_origin(self.folder, read_manifest(self.folder))

    def describe_difference(self) -> str:
        """Describe how the request folder differs from the editor's plan.

        Return "" if it does not.
        """
        if self.editor is None or self.is_missing:
            return ""
        try:
            changes = RequestRun(self.editor, self.folder).look().counts()
        except PlanRejected:
            return (
                "The plan in the editor has errors that you have not accepted. See the "
                "findings in the editor."
            )
        changes.pop("kept", None)
        if not changes:
            return ""
        words = ", ".join(f"{number:,} {action}" for action, number in changes.items())
        return (
            "The plan in the editor differs from this folder. If you write the requests "
            f"again, the result is: {words}."
        )

    @property
    def result(self) -> Any:
        """The result of the last step on the request folder, or None before the first step."""
        return self.job.result

    def hand_over(
        self,
        out: str | os.PathLike[str],
        *,
        issuer: str = "",
        requests: Iterable[str] | None = None,
    ) -> None:
        """Start packaging requests for a CA: all waiting requests, or only the given requests."""
        request_ids = None if requests is None else tuple(requests)
        self._start_step(
            lambda _: hand_over(
                self.folder, out, issuer=issuer, requests=request_ids, today=self.today
            )
        )

    def receive(
        self, *paths: str | os.PathLike[str], accept: Mapping[str, str] | None = None
    ) -> None:
        """Start matching issued certificates with requests, and report differences from a plan.

        Accepted certificates are kept.

        `accept` contains the codes of errors to accept in these files, each with the reason.
        """
        self._start_step(lambda _: receive(self.folder, *paths, today=self.today, accept=accept))

    def describe_refusals(self, status: FolderStatus) -> dict[str, Refusal]:
        """Describe the last refused certificate of each request, by request ID."""
        if not any(request.refused for request in status.requests):
            return {}
        return describe_refusals(self._match_certificates(), status.requests)

    def package(self, passphrase: Secret | str, *, target_os: str = "") -> None:
        """Start creating a PFX package for each issued certificate, with its key and chain.

        Raises
        ------
        PassphraseError
            If the passphrase is not valid.
        """
        secret = check_passphrase(passphrase)

        def run_work(report: Report) -> Any:
            return write_pfx(
                self._match_certificates(),
                passphrase=secret,
                target_os=target_os,
                progress=_add_rate_to_progress(report),
                today=self.today,
            )

        self._start_step(run_work)

    def write_steps(self, *, effective: datetime | None = None) -> None:
        """Start the update of the deployment steps in the request folder."""

        def run_work(_: Report) -> Any:
            steps = deployment_steps(
                self._match_certificates(), effective=effective, today=self.today
            )
            write_steps(steps, self.folder)
            return steps

        self._start_step(run_work)

    def record_deployed(self, *names: str, on: date | None = None) -> None:
        """Start to record the deployment of all certificates, or of those with the given names.

        `on` is the date of the installation. The default is today. With `names`, it replaces a
        recorded date.
        """
        self._start_step(lambda _: deployed(self.folder, *names, on=on, today=self.today))

    def list_hosts(self, *, zone: str = "inside", hosts: str = "") -> tuple[str, ...]:
        """List the hosts that ``probe`` would connect to.

        No connection is made. The user confirms the hosts before the probe.
        """
        return list_targets(self._load_plan(), zone=zone, hosts=hosts or None).hosts

    def probe(
        self,
        seen: str | os.PathLike[str],
        *,
        zone: str = "inside",
        hosts: str | os.PathLike[str] | None = None,
    ) -> None:
        """Start a probe of the servers' certificates, and save the result to a file.

        `seen` is the file, as from ``lyncnb probe --save``. `zone` and `hosts` are as for
        :func:`lyncnb.probe`.
        """
        check_output_path(seen, AS_IS_FILE)
        plan = self._load_plan()

        def run_probe(report: Report, stop: threading.Event) -> Any:
            progress = _add_rate_to_progress(report)
            folder = None if self.is_missing else self.folder
            result = probe(
                plan, zone=zone, hosts=hosts, folder=folder, progress=progress, stop=stop
            )
            write_output(seen, result.as_is.to_json(), AS_IS_FILE)
            return result

        self.job.start(run_probe)

    def record_seen(self, seen: str | os.PathLike[str]) -> None:
        """Record the deployments in the result of an earlier probe, in the background."""
        self._start_step(lambda _: deployed(self.folder, reports=[seen], today=self.today))

    def _load_plan(self) -> CertificatePlan:
        """Return the plan of the editor, or create it from the table and options in the folder."""
        if self.editor is not None:
            return self.editor.plan
        return recreate_plan(self.folder)

    def renew(self, passphrase: Secret | str, *names: str, reason: str) -> None:
        """Start to renew the given requests, or by default all certificates due for renewal.

        Raises
        ------
        PassphraseError
            If the passphrase is not valid.
        """
        secret = check_passphrase(passphrase)

        def run_work(report: Report) -> Any:
            making = Making(progress=report)
            bundle = renew(
                self.folder, *names, passphrase=secret, reason=reason, due=not names,
                making=making, today=self.today,
            )  # fmt: skip
            write_renewal_scripts(bundle)
            return bundle

        self._start_step(run_work)

    def show_password(
        self, request_id: str, passphrase: Secret | str, *, show: Callable[[str], object]
    ) -> str:
        """Show the user the password of one package, and return the path of the package.

        Raises
        ------
        BundleError
            If the package does not exist, or the passphrase is wrong.
        """
        return show_password(self.folder, request_id, check_passphrase(passphrase), show=show)

    def wait(self, seconds: float | None = None) -> Any:
        """Wait until the running step ends, and return its result."""
        self.job.wait(seconds)
        return self.result

    def _match_certificates(self) -> Any:
        return load_issued_certificates(open_requests(self.folder), today=self.today)

    def _start_step(self, work: Callable[[Report], Any]) -> None:
        def run_step(report: Report, _: threading.Event) -> Any:
            return work(report)

        self.job.start(run_step)

    # -- The following methods provide the output for a notebook.
    @tables.document_columns(FolderStatus._columns)
    def to_frame(self) -> frames.DataFrame:
        """Return the requests and their states as a table, with one row for each generation."""
        return self.status.to_frame()

    def _repr_html_(self) -> str:
        if self.is_missing:
            return tables.format_paragraph(f"The folder {self.folder} contains no requests yet.")
        status = self.status
        refusals = self.describe_refusals(status)
        page = tables.rows_to_html(
            [heading for heading, *_ in _COLUMNS.values()],
            [
                [tell(request, refusals) for *_, tell in _COLUMNS.values()]
                for request in status.shown
            ],
            caption=f"Request folder {self.folder}. "
            f"Next step: {find_next_step(status, None)['words']}",
            limit=tables.ROWS_SHOWN,
        )
        return mark_origin(page, self.origin)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"


def _add_rate_to_progress(callback: Report) -> Callable[[int, int], None]:
    """Return a progress callback that also reports the rate and the remaining time.

    The callback is called with two numbers: the finished and the total steps.
    """
    start_time = time.monotonic()

    def report_progress(done: int, total: int) -> None:
        seconds = time.monotonic() - start_time
        rate = done / seconds if seconds > 0 else 0.0
        callback(Progress(done, total, rate, (total - done) / rate if rate else 0.0))

    return report_progress


# -- The following classes show the status panel. The widget stores neither the passphrase nor a
# password.

_ROWS_LISTED = 200
_REFUSALS_LISTED = 20
_Refusals = Mapping[str, Refusal]
# Each column has a heading, a minimum width in pixels, a share of the remaining width, and a
# function that returns the text for a request.
_COLUMNS: Mapping[str, tuple[str, int, int, Callable[[RequestStatus, _Refusals], str]]] = {
    "id": ("Request", 140, 2, lambda request, _: _format_generation(request)),
    "state": ("State", 80, 1, lambda request, _: request.state),
    "needs": (
        "Next step",
        300,
        6,
        lambda request, refusals: describe_request(request, refusals.get(request.id)),
    ),
    "usable_until": ("Valid until", 90, 1, lambda request, _: request.usable_until[:10]),
    "days_left": ("Days left", 80, 1, lambda request, _: tables.format_cell(request.days_left)),
    "servers": ("Servers", 140, 2, lambda request, _: "; ".join(request.servers)),
    "usages": ("Type", 110, 2, lambda request, _: "; ".join(request.usages) or request.role),
    "subject": ("Subject name", 140, 2, lambda request, _: request.subject),
}


def _format_generation(request: RequestStatus) -> str:
    is_over = request.generation and request.state in ("superseded", "retired")
    return f"{request.id} ({request.generation})" if is_over else request.id


class StatusChannel(Channel[StatusToPage]):
    """The channel that answers a status panel's page, starts the steps, and shows their results."""

    scripts = (*GRID_SCRIPTS, "help_dialog.js", "passphrase_field.js", "status_panel.js")

    def __init__(self, work: FolderWork):
        self.work = work
        answers: Answers = {
            "ready": self._answer_first_message,
            "look": self._send_status,
            "handover": self._hand_over,
            "receive": self._receive_files,
            "accept": self._accept_error,
            "package": self._package_certificates,
            "password": self._show_password,
            "steps": self._write_steps,
            "hosts": self._send_hosts,
            "probe": self._probe_servers,
            "seen": self._record_probe_results,
            "deployed": self._record_deployed,
            "renew": self._renew_certificates,
            "why": self._send_reasons,
        }
        super().__init__(answers, f"Request folder {work.folder}, current state:")
        work.on_change = self.send_progress
        self._shown_time = 0  # The time at which the displayed manifest was written.
        call_after_changes(self._send_changed_status)
        if work.editor is not None:
            stop = work.editor.register_callback(
                lambda _: self.send({"type": "changed", "words": ""})
            )
            self.at_end.append(stop)

    def make_static_output(self) -> tuple[str, str, bool]:
        """Return the panel's content as HTML and text for readers without a kernel.

        The live panel hides this output.
        """
        return self.work._repr_html_(), repr(self.work), False

    # -- The following methods send messages to the page of the status panel.
    def _send_changed_status(self) -> None:
        """Update the page, because a notebook cell or another panel may have changed the folder."""
        if (
            self._shown_time
            and self._shown_time != self._read_time()
            and not self.work.job.state.is_busy
        ):
            self.run_in_turn("look", self._send_status)

    def _read_time(self) -> int:
        with suppress(OSError):
            return (self.work.folder / MANIFEST).stat().st_mtime_ns
        return 1

    def _answer_first_message(self) -> None:
        folder = self.work.folder
        self.send(
            {
                "type": "start",
                "folder": str(folder),
                "columns": [
                    {"name": name, "title": heading, "least": least, "share": share}
                    for name, (heading, least, share, _) in _COLUMNS.items()
                ],
                "systems": ["", *get_column("target_os").choices],
                "help": list_help_rows(),
                "returned": str(self.work.answers or folder / "returned"),
                "out": f"{folder.name}-handover.zip",
                "zones": list(FROM[::-1]),
                "seen": f"{folder.name}-seen.json",
            }
        )
        self._send_status()
        self.send_progress(self.work.job.state)

    def _send_status(self) -> None:
        self._shown_time = self._read_time()
        status = self.work.status
        ids = range(len(status.requests))
        refusals = self.work.describe_refusals(status)
        texts = {
            name: [tell(request, refusals) for request in status.requests]
            for name, (*_, tell) in _COLUMNS.items()
        }
        self.send(*encode_rows(ids, texts, is_complete=True))
        packaged = [request.id for request in status.requests if request.state == "packaged"]
        self.send(
            {
                "type": "status",
                "plan": self.work.origin.subject_text,
                "today": str(status.today),
                "counts": status.counts(),
                "problems": [str(problem) for problem in status.problems],
                "notes": list(status.notes),
                "behind": self.work.describe_difference(),
                "packaged": packaged,
                "next": build_step_before_requests()
                if self.work.is_missing
                else find_next_step(status, self.work.result),
                "refusals": [*refusals.values()][:_REFUSALS_LISTED],
                "more_refusals": max(len(refusals) - _REFUSALS_LISTED, 0),
            }
        )

    def send_progress(self, state: JobState) -> None:
        """Send the progress of the running step to the page, and finally its result."""
        self.send(build_progress_message(state))
        if state.name == FAILED:
            self.send_refusal("step", list(state.lines))
        if state.name in (CANCELLED, FINISHED):
            self.send(_describe_step_result(self.work.result))
        if state.name in (CANCELLED, FAILED, FINISHED):
            self._send_status()
            self.update_static()
            notify_change()

    # -- The following methods answer messages from the page of the status panel.
    def _send_reasons(self, *, name: str) -> None:
        manifest = read_manifest(self.work.folder)
        # The ID of a request can be followed by the number of a generation.
        request_id = name.partition(" ")[0]
        record = manifest.by_id.get(request_id)
        others = record.plan.san if record and record.plan else ()
        summary = build_folder_summary(self.work.folder, manifest)
        names = load_recorded_rules(manifest.product).names if summary else {}
        self.send(explain_recorded_request(summary, names, request_id, others))

    def _hand_over(self, *, out: Text, issuer: Text, requests: tuple[str, ...]) -> None:
        out = out.strip()
        if not out:
            raise LyncnbError("the package has no name", hint="enter a name that ends in .zip")
        self.work.hand_over(out, issuer=issuer.strip(), requests=requests or None)

    def _receive_files(self, *, paths: Text) -> None:
        lines = [line.strip() for line in paths.splitlines() if line.strip()]
        returned_folder = self.work.folder / "returned"
        # The default folder for issued certificates. It does not have to exist yet.
        lines = [] if lines == [str(returned_folder)] else lines
        if not lines and not any(path.is_file() for path in returned_folder.rglob("*")):
            raise LyncnbError(
                f"{returned_folder} contains no files",
                hint="copy the CA's files to this folder, or enter their path",
            )
        self.work.receive(*map(Path, lines))

    def _accept_error(self, *, id: Text, code: Text, reason: Text) -> None:
        """Evaluate the refused certificate of a request again, with one of its errors accepted."""
        if not reason.strip():
            raise LyncnbError(
                "the reason is missing", hint="explain why the certificate is still acceptable"
            )
        refusal = self.work.describe_refusals(self.work.status).get(id)
        if refusal is None:
            raise LyncnbError(
                f'there is no refused certificate for the request "{id}"', hint="choose Refresh"
            )
        accepted = {code: reason.strip()}
        self.work.receive(self.work.folder / refusal["file"], accept=accepted)

    def _package_certificates(self, *, passphrase: Secret, target_os: Text) -> None:
        self.work.package(passphrase, target_os=target_os)

    def _show_password(self, *, id: Text, passphrase: Secret) -> None:
        passwords: list[str] = []
        file = self.work.show_password(id, passphrase, show=passwords.append)
        # The page sends the passphrase as a buffer, because a server that logs messages does not
        # log buffers.
        self.send({"type": "password", "file": file}, [passwords.pop().encode()])

    def _send_hosts(self, *, zone: Text, hosts: Text) -> None:
        """Send the hosts to probe to the page. The user confirms them before lyncnb connects."""
        hosts_to_probe = self.work.list_hosts(zone=zone, hosts=hosts.strip())
        if not hosts_to_probe:
            raise LyncnbError(
                f"the plan has no ports that lyncnb can probe from {zone}", hint="change the zone"
            )
        self.send({"type": "hosts", "hosts": list(hosts_to_probe)})

    def _probe_servers(self, *, zone: Text, hosts: Text, seen: Text) -> None:
        if not seen.strip():
            raise LyncnbError("the file has no name", hint="enter a name that ends in .json")
        self.work.probe(seen.strip(), zone=zone, hosts=hosts.strip() or None)

    def _record_probe_results(self, *, seen: Text) -> None:
        self.work.record_seen(seen.strip())

    def _record_deployed(self, *, requests: tuple[str, ...], on: Text) -> None:
        if not requests:
            raise LyncnbError(
                "all packaged certificates are already recorded as installed",
                hint="to change the date of a deployment, first select its certificates in the "
                "table",
            )
        try:
            day = date.fromisoformat(on)
        except ValueError:
            raise LyncnbError(
                f'"{on}" is not a date', hint="enter the date in the format 2026-12-01"
            ) from None
        self.work.record_deployed(*requests, on=day)

    def _renew_certificates(
        self, *, requests: tuple[str, ...], reason: Text, passphrase: Secret
    ) -> None:
        if not reason.strip():
            raise LyncnbError(
                "the reason is missing", hint="enter a reason, such as yearly renewal"
            )
        self.work.renew(passphrase, *requests, reason=reason.strip())

    def _write_steps(self, *, effective: Text) -> None:
        text = effective.strip()
        try:
            moment = datetime.fromisoformat(text) if text else None
        except ValueError:
            raise LyncnbError(
                f'"{text}" is not a date and time', hint="use the format 2026-12-01T08:00"
            ) from None
        self.work.write_steps(effective=moment)


def _describe_step_result(result: Any) -> StepResult:
    """Describe the result of a step in a sentence, with a table of findings or other notes."""
    rows: Iterable[tuple[str, ...]] = ()
    headings: tuple[str, ...] = ()
    if isinstance(result, IssuedCertificates):
        headings = ("Severity", "About", "Finding", "What to do")
        rows = [
            (group.severity, group.places, group.message, group.hint)
            for group in group_findings(result.findings, is_by_subject=False)
        ]
    elif isinstance(result, Packages):
        headings = ("Request", "Why there is no package")
        rows = [
            (p.request_id, p.why) for p in result.packages if p.action in ("refused", "waiting")
        ]
    elif isinstance(result, RecordedDeployments):
        headings = ("Request", "Recorded", "Servers", "Day", "Serial number")
        rows = [(o.id, o.what, "; ".join(o.servers), o.on, o.serial) for o in result.recorded]
    elif isinstance(result, Probe):
        headings = ("Result", "Port", "Certificate", "Valid until", "Details")
        rows = [
            (
                line.result,
                line.place,
                line.id,
                line.certificate.not_after[:10] if line.certificate else "",
                "; ".join(line.format_lines()),
            )
            for line in result.seen
        ]
    elif isinstance(result, DeploymentSteps):
        headings = ("Request", "Why the request is not in the steps")
        rows = [(entry.request, entry.why) for entry in result.missing]
    listed_rows = [list(map(tables.format_cell, row)) for row in list(rows)[:_ROWS_LISTED]]
    words = result.summary() if hasattr(result, "summary") else str(result)
    return {"type": "result", "words": words, "headings": list(headings), "rows": listed_rows}


class StatusPanel(ShownAsPanel, FolderWork):
    """A panel that shows the state of the requests in a folder, and runs the next steps.

    Parameters
    ----------
    source : path or PlanEditor
        A request folder, or an editor together with `folder`.
    folder : path, optional
        The request folder of an editor. It does not have to exist yet. The panel reports if the
        editor's plan differs from the folder.
    answers : path, optional
        The folder with the CA's files. The default is ``returned`` in the request folder.
    today : date, optional
        The evaluation date instead of today, for reproducible results.

    Raises
    ------
    BundleError
        If the path is not a request folder.

    Notes
    -----
    To show the panel, make it the last line of a cell. Without a browser, ``hand_over``,
    ``receive``, ``package`` and ``write_steps`` start a step, and ``wait`` returns its result.
    """

    channel_of = StatusChannel
