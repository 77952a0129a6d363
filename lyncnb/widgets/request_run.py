"""Define ``RequestRun``, which previews and writes the requests of a plan in the background.

``write_requests`` makes all decisions and writes all files.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from IPython.display import DisplayHandle, display

from ..authorities.summary_files import build_folder_summary
from ..base.disk.file_names import make_relative_path
from ..base.shown import frames, tables
from ..base.shown.tables import format_count
from ..checks.check_plan import check_plan, choose_evaluation_date
from ..deploy.request_scripts import request_scripts, write_request_scripts
from ..deploy.server_steps import DeploymentSteps
from ..errors import BundleError, LyncnbError, PassphraseError, PlanRejected
from ..export.executors import Making, Progress
from ..export.other_deployment import OtherDeployment, compare_deployments
from ..export.requests_elsewhere import request_elsewhere
from ..export.write import write_requests
from ..pki.passphrase import Secret, ask_passphrase, check_passphrase
from ..plan.acceptances import describe_acceptance_limits, list_accepted_codes
from ..plan.model import CertificatePlan
from ..plan.totals import build_origin, format_totals
from ..reports.summary.from_plan import build_summary
from ..request_folder.bundle import RequestBundle, open_requests
from ..request_folder.files_on_disk import SUMMARY_NAMES
from ..request_folder.recovery_key import read_recovery_key
from ..rules.findings import Findings
from .background_job import Job, JobState
from .editing.plan_editing import PlanEditing
from .summary_table import SummaryTable


class NothingWritten:
    """A placeholder for the table of a request folder that does not exist yet.

    When the requests are written, the folder's table replaces the placeholder.
    """

    def __init__(self, folder: Path):
        self._words = (
            f"The folder {folder} contains no requests yet. To write requests, use the request "
            "panel."
        )
        self._handles: list[DisplayHandle] = []

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return self._words

    def _repr_html_(self) -> str:
        # The CSS class tells the page that the output shows no plan. The page never marks such an
        # output as out of date.
        return f'<div class="lyncnb-unwritten">{tables.format_paragraph(self._words)}</div>'

    def _ipython_display_(self) -> None:
        bundle = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        if handle is not None:
            self._handles.append(handle)

    def replace_placeholders(self, bundle: RequestBundle) -> None:
        """Replace each placeholder in the notebook with the table of requests that lyncnb wrote."""
        for handle in self._handles:
            data = {"text/html": bundle._repr_html_(), "text/plain": repr(bundle)}
            handle.update(data, raw=True)  # type: ignore[no-untyped-call]


class RequestRun:
    """A background job that previews and writes the requests of a plan, with accepted findings.

    ``on_change`` is called with the state of the job, also from the job's thread.
    """

    def __init__(
        self,
        source: PlanEditing | CertificatePlan,
        folder: str | os.PathLike[str],
        *,
        accept: Mapping[str, str] | None = None,
        workers: int | None = None,
        recovery: Sequence[str | os.PathLike[str]] = (),
    ):
        self.editor = source if isinstance(source, PlanEditing) else None
        self._plan = source if isinstance(source, CertificatePlan) else None
        if self.editor is None and self._plan is None:
            raise LyncnbError(
                (
                    f"{type(self).__name__} requires an editor or a plan, "
                    f"not {_describe_plan(source)}"
                ),
                hint=f"use ln.{type(self).__name__}(editor, request_folder)",
            )
        self.folder = parse_folder_path(folder, type(self).__name__)
        self._accepted_here = dict(accept or {})
        self._checked: tuple[CertificatePlan, Findings] | None = None
        self.workers = workers
        self._recovery: dict[str, Path] = {}
        for file in recovery:
            self.name_recovery_key(file)
        self.on_change: Callable[[JobState], object] = lambda state: None
        self.job: Job[RequestBundle] = Job(lambda state: self.on_change(state))
        self._nothing = NothingWritten(self.folder)
        self._summaries: list[
            DisplayHandle
        ] = []  # The placeholders that the notebook shows until the requests are written.

    @property
    def plan(self) -> CertificatePlan:
        """The plan to write: the current plan of the editor, or the plan from the constructor."""
        if self.editor is not None:
            return self.editor.plan
        assert self._plan is not None  # The caller must pass either a plan or an editor.
        return self._plan

    @property
    def totals(self) -> str:
        """The deployment and table of the plan, and its numbers of certificates and findings."""
        subject = build_origin(self.plan).subject_text
        return f"{subject} · {format_totals(self.plan, self.findings)}"

    @property
    def findings(self) -> Findings:
        """The findings for the plan."""
        if self.editor is not None:
            return self.editor.findings
        if self._checked is None:
            self._checked = self.plan, check_plan(self.plan)
        return self._checked[1]

    @property
    def accepted(self) -> dict[str, str]:
        """The reasons for accepted errors, by finding code.

        They come from the plan's options or were entered in the request panel.
        """
        findings, options = self.findings, self.plan.options
        day = choose_evaluation_date(self.plan, findings.judged_on)
        together = {
            **list_accepted_codes(findings, options, day=day),
            **self._accepted_here,
        }
        return {code: reason for code, reason in together.items() if reason}

    @property
    def acceptance_limits(self) -> dict[str, str]:
        """The limits of the acceptances in the plan's options, as texts by finding code."""
        options = self.plan.options
        codes = options.accepted.keys() - {
            code for code, reason in self._accepted_here.items() if reason
        }
        return {code: describe_acceptance_limits(code, options) for code in codes}

    @property
    def recovery(self) -> tuple[str, ...]:
        """The fingerprints of the recovery keys that will be added to the request folder."""
        return tuple(self._recovery)

    def name_recovery_key(self, file: str | os.PathLike[str]) -> str:
        """Select a recovery key that lyncnb adds to the folder when it writes the requests.

        Parameters
        ----------
        file : path
            The public key, ``FILE.pub``.

        Returns
        -------
        str
            The fingerprint of the key. Compare it with the fingerprint that the owner of the
            private key sees.

        Raises
        ------
        BundleError
            If the file is not the public key of a recovery key pair.
        """
        key = read_recovery_key(file)
        self._recovery[key.fingerprint] = Path(file)
        return key.fingerprint

    @property
    def bundle(self) -> RequestBundle | NothingWritten:
        """The request folder that the run has written, or the existing request folder on the disk.

        Before the requests are written, this is a placeholder that is false and shows a sentence.
        """
        if self.job.result is not None:
            return self.job.result
        try:
            return open_requests(self.folder)
        except BundleError:
            return self._nothing

    @property
    def summary(self) -> SummaryTable:
        """The summary table of the request folder, or of the plan before the requests are written.

        In a notebook, the folder's table replaces the plan's table when the requests are written.
        """
        bundle = self.bundle
        if isinstance(bundle, RequestBundle):
            return self._make_summary(bundle)
        text = f"lyncnb has not written the requests to the folder {self.folder} yet: {self.totals}"
        return SummaryTable(
            build_summary(self.plan, self.findings), text, shown=self._summaries.append
        )

    def _make_summary(self, bundle: RequestBundle) -> SummaryTable:
        summary = build_folder_summary(bundle.folder, bundle.manifest) or build_summary(
            self.plan, self.findings
        )
        return SummaryTable(summary, repr(bundle), self.build_links())

    @property
    def unaccepted(self) -> tuple[str, ...]:
        """The codes of the error findings that are not accepted yet."""
        errors = {finding.code for finding in self.findings if finding.severity == "error"}
        return tuple(sorted(errors - self.accepted.keys()))

    @property
    def is_new(self) -> bool:
        """Whether the folder has no key yet.

        In this case, the user must enter the passphrase twice.
        """
        try:
            records = open_requests(self.folder).requests
        except BundleError:
            return True
        return not any(record.is_written for record in records)

    def accept(self, code: str, reason: str) -> None:
        """Accept all error findings that have this code. A blank reason withdraws the acceptance.

        Raises
        ------
        PlanRejected
            If the plan has no finding with this code.
        """
        if code not in {finding.code for finding in self.findings}:
            raise PlanRejected(
                f'the plan has no finding with the code "{code}"',
                hint="use a code from the list of findings",
            )
        if self.editor is not None:
            # The editor stores the acceptance in its options, so the panel does not store a copy.
            self.editor.accept(code, reason)
        else:
            self._accepted_here[code] = reason.strip()

    def look(self) -> RequestBundle:
        """Return a preview of the changes to the folder, without writing anything.

        Raises
        ------
        PlanRejected
            If the plan has errors that are not accepted.
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

    @property
    def other_deployment(self) -> OtherDeployment | None:
        """Both deployments, if the plan is not for the same deployment as the request folder."""
        return compare_deployments(self.plan, self.folder)

    def _refuse_other_deployment(self) -> None:
        if (other := self.other_deployment) is not None:
            raise BundleError(
                f"lyncnb wrote no requests. {other.description}",
                hint=f"use a folder other than {self.folder}, or confirm in the panel that you "
                "want to use this folder",
            )

    def start(
        self,
        passphrase: Secret | str,
        repeated_passphrase: Secret | str | None = None,
        *,
        replaces: bool = False,
    ) -> None:
        """Start writing the requests in the background.

        Parameters
        ----------
        passphrase : Secret or str
            The folder's passphrase, at least 12 characters.
        repeated_passphrase : Secret or str, optional
            The same passphrase, if a user entered it twice.
        replaces : bool, optional
            Whether requests of another deployment in the folder may be retired.

        Raises
        ------
        PassphraseError
            If the two passphrases differ, or the passphrase is not valid. The run itself reports a
            passphrase that is easy to guess.
        BundleError
            If the folder belongs to another deployment, unless `replaces` is true.
        LyncnbError
            If a run is in progress.
        """
        secret = check_passphrase(passphrase)
        if repeated_passphrase is not None and check_passphrase(repeated_passphrase) != secret:
            raise PassphraseError("the two passphrases are different", hint="enter both again")
        if not replaces:
            self._refuse_other_deployment()
        # The user can edit the plan while the requests are written, so the plan and its acceptances
        # are copied first.
        plan, findings, accepted = self.plan, self.findings, self.accepted
        recovery = tuple(self._recovery.values())

        def run_work(progress: Callable[[Progress], None], stop: threading.Event) -> RequestBundle:
            bundle = write_requests(
                plan,
                self.folder,
                passphrase=secret,
                accept=accepted,
                findings=findings,
                recovery=recovery,
                making=Making(workers=self.workers, progress=progress, cancel=stop),
            )
            self._nothing.replace_placeholders(bundle)
            for handle in self._summaries:
                handle.update(self._make_summary(bundle).build_mime_bundle(), raw=True)  # type: ignore[no-untyped-call]
            return bundle

        self.job.start(run_work)

    def write_scripts(
        self, *, computer: str = "", template: str = "", replaces: bool = False
    ) -> DeploymentSteps:
        """Write scripts that create the requests on another computer.

        No key is created on this one.

        Parameters
        ----------
        computer : str, optional
            The computer that will create the requests, if it is known.
        template : str, optional
            Name (not display name) of the AD CS template, for requests to an internal CA.
        replaces : bool, optional
            As for :meth:`start`.

        Returns
        -------
        DeploymentSteps
            The content of the page and the scripts in ``steps`` in the folder. ``missing`` lists
            the certificates that the scripts do not request.

        Raises
        ------
        PlanRejected, OptionsError, BundleError
            In the same cases as in ``request_elsewhere`` and ``request_scripts``.
        """
        if not replaces:
            self._refuse_other_deployment()
        # Script errors are reported before the folder is created.
        request_scripts(self.plan, template=template)
        bundle = request_elsewhere(
            self.plan,
            self.folder,
            computer=computer,
            accept=self.accepted,
            findings=self.findings,
        )
        steps = request_scripts(self.plan, bundle, template=template)
        write_request_scripts(steps, self.folder)
        return steps

    def write_unattended(self) -> None:
        """Write the requests immediately, in a kernel without a user who can press the button.

        Raises
        ------
        PlanRejected, PassphraseError, BundleError
            In the same cases as in ``write_requests``. The cell then fails.
        """
        self.look()  # The preview reports problems before lyncnb asks for the passphrase.
        self._refuse_other_deployment()
        secret = ask_passphrase(confirm=self.is_new, known=self.plan.known_words)
        self.job.result = write_requests(
            self.plan,
            self.folder,
            passphrase=secret,
            accept=self.accepted,
            findings=self.findings,
            making=Making(workers=self.workers),
            recovery=tuple(self._recovery.values()),
        )

    def cancel(self) -> None:
        """Stop writing requests.

        Finished requests are kept, and the next run writes the missing requests.
        """
        self.job.cancel()

    def wait(self, seconds: float | None = None) -> RequestBundle | None:
        """Wait until all requests are written, and return the request folder."""
        self.job.wait(seconds)
        return self.job.result

    # -- The following methods provide the output for a notebook.
    @tables.document_columns(CertificatePlan._columns, "the plan")
    @tables.document_columns(RequestBundle._columns, "the requests")
    def to_frame(self) -> frames.DataFrame:
        """Return a table of the written requests, or of the plan if no requests are written yet."""
        bundle = self.bundle
        return (self.plan if isinstance(bundle, NothingWritten) else bundle).to_frame()

    def _repr_html_(self) -> str:
        bundle = self.bundle
        if isinstance(bundle, NothingWritten):
            return tables.format_paragraph(
                f"The requests have not been written to the folder {self.folder} yet: {self.totals}"
            )
        return self.build_links() + tables.format_paragraph(repr(bundle))

    def build_links(self) -> str:
        """Return links to the summary files as HTML, relative to the notebook."""
        current_folder = Path.cwd()
        links = [
            tables.format_link(name, make_relative_path(self.folder / name, current_folder))
            for name in SUMMARY_NAMES
            if (self.folder / name).is_file()
        ]
        return f"<p>Open: {' · '.join(links)}</p>" if links else ""

    def __repr__(self) -> str:
        name = type(self).__name__
        count = format_count(len(self.plan.certificates), "certificate")
        return f"{name}({count}, {str(self.folder)!r})"


def parse_folder_path(folder: object, panel: str) -> Path:
    """Return the request folder of a panel as a path.

    Raises
    ------
    LyncnbError
        If the folder is not a path.
    """
    if not isinstance(folder, (str, os.PathLike)) or not str(folder).strip():
        raise LyncnbError(
            f"the folder for {panel} must be a path, not {_describe_plan(folder)}",
            hint='enter the path in quotation marks, such as "requests"',
        )
    return Path(folder)


def _describe_plan(plan_or_editor: object) -> str:
    return (
        f'"{plan_or_editor}"'
        if isinstance(plan_or_editor, str)
        else f"a {type(plan_or_editor).__name__}"
    )
