"""``RequestRun``: the requests of a plan, looked at and written in the background; no browser.

Everything that decides or writes is in ``write_requests``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from IPython.display import DisplayHandle, display

from ..authorities.summary_files import folder_summary
from ..base.shown import tables
from ..base.shown.tables import count_of
from ..checks.check_plan import check_plan, judging_day
from ..deploy.request_scripts import request_scripts, write_request_scripts
from ..deploy.server_steps import DeploymentSteps
from ..errors import BundleError, LyncnbError, PassphraseError, PlanRejected
from ..export.executors import Making, Progress
from ..export.other_deployment import OtherDeployment, other_deployment
from ..export.requests_elsewhere import request_elsewhere
from ..export.write import write_requests
from ..pki.passphrase import Secret, as_passphrase, ask_passphrase
from ..plan.acceptances import accepted_codes, limits_of
from ..plan.known_words import known_words
from ..plan.model import CertificatePlan
from ..plan.totals import totals
from ..reports.summary.from_plan import summarise
from ..request_folder.bundle import RequestBundle, open_requests
from ..request_folder.files_on_disk import SUMMARY_NAMES
from ..request_folder.recovery_key import read_recovery_key
from ..rules.findings import Findings
from .background_job import Job, JobState
from .editing.plan_editing import PlanEditing
from .summary_table import SummaryTable


class NothingWritten:
    """Stands for the request folder until there is one; shown, it becomes the folder's table."""

    def __init__(self, folder: Path):
        self._words = f"Nothing is written into {folder} yet; the request panel writes it."
        self._handles: list[DisplayHandle] = []

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return self._words

    def _repr_html_(self) -> str:
        # The page knows by the class that no plan is shown here, an older one least of all.
        return f'<div class="lyncnb-unwritten">{tables.paragraph(self._words)}</div>'

    def _ipython_display_(self) -> None:
        bundle = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        if handle is not None:
            self._handles.append(handle)

    def becomes(self, bundle: RequestBundle) -> None:
        """Put the table of what was written wherever this was shown."""
        for handle in self._handles:
            data = {"text/html": bundle._repr_html_(), "text/plain": repr(bundle)}
            handle.update(data, raw=True)  # type: ignore[no-untyped-call]


class RequestRun:
    """The requests of a plan, looked at and written in the background, accepted findings kept.

    ``on_change`` is called with the state of the job, in its thread too.
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
                f"a {type(self).__name__} takes an editor or a plan, not {_named(source)}",
                hint=f"write ln.{type(self).__name__}(editor, request_folder)",
            )
        self.folder = folder_path(folder, type(self).__name__)
        self._accepted_here = dict(accept or {})
        self._checked: tuple[CertificatePlan, Findings] | None = None
        self.workers = workers
        self._recovery: dict[str, Path] = {}
        for file in recovery:
            self.name_recovery_key(file)
        self.on_change: Callable[[JobState], object] = lambda state: None
        self.job: Job[RequestBundle] = Job(lambda state: self.on_change(state))
        self._nothing = NothingWritten(self.folder)
        self._summaries: list[DisplayHandle] = []  # shown before anything was written

    @property
    def plan(self) -> CertificatePlan:
        """The plan that a run would write: the editor's as it is now, or the one given."""
        if self.editor is not None:
            return self.editor.plan
        assert self._plan is not None  # __init__ refuses to have neither
        return self._plan

    @property
    def findings(self) -> Findings:
        """What the checks say of that plan."""
        if self.editor is not None:
            return self.editor.findings
        if self._checked is None:
            self._checked = self.plan, check_plan(self.plan)
        return self._checked[1]

    @property
    def accepted(self) -> dict[str, str]:
        """By code, why error findings are accepted: by the plan's options, and here."""
        findings, options = self.findings, self.plan.options
        day = judging_day(self.plan, findings.judged_on)
        together = {**accepted_codes(findings, options, on=day), **self._accepted_here}
        return {code: reason for code, reason in together.items() if reason}

    @property
    def acceptance_limits(self) -> dict[str, str]:
        """By code, until when and for what the plan's options accept it, in words."""
        options = self.plan.options
        codes = options.accepted.keys() - {code for code, why in self._accepted_here.items() if why}
        return {code: limits_of(code, options) for code in codes}

    @property
    def recovery(self) -> tuple[str, ...]:
        """Fingerprints of the recovery keys that the next run names for the folder."""
        return tuple(self._recovery)

    def name_recovery_key(self, file: str | os.PathLike[str]) -> str:
        """Have a recovery key open the folder too, from the next run on.

        Parameters
        ----------
        file : path
            The half that was handed out, ``FILE.pub``.

        Returns
        -------
        str
            Its fingerprint, to be compared with that of whoever keeps the other half.

        Raises
        ------
        BundleError
            If it is no public half of a recovery key.
        """
        key = read_recovery_key(file)
        self._recovery[key.fingerprint] = Path(file)
        return key.fingerprint

    @property
    def bundle(self) -> RequestBundle | NothingWritten:
        """The request folder as the last run left it, or as it was found.

        Something false, which shows itself as a sentence, while nothing is written.
        """
        if self.job.result is not None:
            return self.job.result
        try:
            return open_requests(self.folder)
        except BundleError:
            return self._nothing

    @property
    def summary(self) -> SummaryTable:
        """The summary table of the request folder; of the plan, while nothing is written.

        Shown in a notebook, it becomes the folder's once the requests are written.
        """
        found = self.bundle
        if isinstance(found, RequestBundle):
            return self._summary_of(found)
        words = f"To be written into {self.folder}: {totals(self.plan, self.findings)}"
        return SummaryTable(
            summarise(self.plan, self.findings), words, shown=self._summaries.append
        )

    def _summary_of(self, bundle: RequestBundle) -> SummaryTable:
        summary = folder_summary(bundle.folder, bundle.manifest) or summarise(
            self.plan, self.findings
        )
        return SummaryTable(summary, repr(bundle), self.links())

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
        if self.editor is not None:  # one truth: it is saved with the editor's choices
            self.editor.accept(code, reason)
        else:
            self._accepted_here[code] = reason.strip()

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

    @property
    def other_deployment(self) -> OtherDeployment | None:
        """The two deployments, if the folder has requests for other servers than the plan."""
        return other_deployment(self.plan, self.folder)

    def _refuse_other_deployment(self) -> None:
        if (other := self.other_deployment) is not None:
            raise BundleError(
                f"nothing was written. {other.words}",
                hint=f"name another folder than {self.folder} for this plan, or agree in the panel",
            )

    def start(
        self,
        passphrase: Secret | str,
        again: Secret | str | None = None,
        *,
        replaces: bool = False,
    ) -> None:
        """Begin to write in the background.

        Parameters
        ----------
        passphrase : Secret or str
            Of the folder; at least 12 characters.
        again : Secret or str, optional
            The same again, if somebody typed it.
        replaces : bool, optional
            Whether the requests of another deployment in the folder may be retired.

        Raises
        ------
        PassphraseError
            If the two differ or it will not do. Whether a new folder's is easy to guess, the run
            itself says.
        BundleError
            If the folder belongs to another deployment, unless `replaces` is true.
        LyncnbError
            If a run is going on.
        """
        secret = as_passphrase(passphrase)
        if again is not None and as_passphrase(again) != secret:
            raise PassphraseError("the two passphrases differ", hint="type both again")
        if not replaces:
            self._refuse_other_deployment()
        # As they are now: the editor may go on changing while they are written.
        plan, findings, accepted = self.plan, self.findings, self.accepted
        recovery = tuple(self._recovery.values())

        def work(progress: Callable[[Progress], None], stop: threading.Event) -> RequestBundle:
            written = write_requests(
                plan,
                self.folder,
                passphrase=secret,
                accept=accepted,
                findings=findings,
                recovery=recovery,
                making=Making(workers=self.workers, progress=progress, cancel=stop),
            )
            self._nothing.becomes(written)
            for handle in self._summaries:
                handle.update(self._summary_of(written).bundle(), raw=True)  # type: ignore[no-untyped-call]
            return written

        self.job.start(work)

    def write_scripts(self, *, computer: str = "", template: str = "") -> DeploymentSteps:
        """Take the other route: no key is made here, the administrative tools request elsewhere.

        Parameters
        ----------
        computer : str, optional
            Where the requests will be made, as far as it is known.
        template : str, optional
            Name (not display name) of the AD CS template, for requests to an internal CA.

        Returns
        -------
        DeploymentSteps
            What the page and the scripts in the folder's ``steps`` say; ``missing`` names the
            certificates that are not requested by this route.

        Raises
        ------
        PlanRejected, OptionsError, BundleError
            As ``request_elsewhere`` and ``request_scripts`` do.
        """
        request_scripts(self.plan, template=template)  # what no script may hold makes no folder
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
        """Write at once, in a kernel where nobody can press the button.

        Raises
        ------
        PlanRejected, PassphraseError, BundleError
            As ``write_requests`` does; the cell fails.
        """
        self.look()  # what stands in the way is told before anybody is asked
        self._refuse_other_deployment()
        secret = ask_passphrase(confirm=self.is_new, known=known_words(self.plan))
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
        """Stop the run; what is finished is kept, and the next run completes it."""
        self.job.cancel()

    def wait(self, seconds: float | None = None) -> RequestBundle | None:
        """Wait for the end of the run and give the request folder."""
        self.job.wait(seconds)
        return self.job.result

    # -- showing
    def to_frame(self) -> tables.DataFrame:
        """Give the requests of the last run, or the plan before the first."""
        found = self.bundle
        return (self.plan if isinstance(found, NothingWritten) else found).to_frame()

    def _repr_html_(self) -> str:
        found = self.bundle
        if isinstance(found, NothingWritten):
            words = f"To be written into {self.folder}: {totals(self.plan, self.findings)}"
            return tables.paragraph(words)
        return self.links() + tables.paragraph(repr(found))

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
        name = type(self).__name__
        count = count_of(len(self.plan.certificates), "certificate")
        return f"{name}({count}, {str(self.folder)!r})"


def folder_path(folder: object, panel: str) -> Path:
    """Take the folder that a panel was given.

    Raises
    ------
    LyncnbError
        If it is no path.
    """
    if not isinstance(folder, (str, os.PathLike)) or not str(folder).strip():
        raise LyncnbError(
            f"the folder of a {panel} is {_named(folder)}, which is no path",
            hint='write its name in quotation marks, e.g. "requests"',
        )
    return Path(folder)


def _named(thing: object) -> str:
    return f'"{thing}"' if isinstance(thing, str) else f"a {type(thing).__name__}"
