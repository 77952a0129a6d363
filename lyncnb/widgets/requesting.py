"""From a plan to keys, requests and the summary table, in the background; without a browser.

Everything that decides or writes is in ``write_requests``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ..base import tables
from ..checks.check_plan import check_plan
from ..errors import BundleError, PassphraseError, PlanRejected
from ..export.write import write_requests
from ..pki.passphrase import Secret, as_passphrase
from ..plan.model import CertificatePlan
from ..plan.summary import totals
from ..request_folder.bundle import RequestBundle, open_requests
from ..request_folder.files_on_disk import SUMMARY_NAMES
from ..rules.findings import Findings
from .job import Job, JobState


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
