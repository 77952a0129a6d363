"""A request folder from the CA's answer to the server, in the background; without a browser.

Each step is a function of the package; this runs one at a time and keeps what it came to.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..authorities.handover import hand_over
from ..authorities.issued import match_certificates
from ..authorities.receiving import receive
from ..authorities.status import FolderStatus, folder_status
from ..base import tables
from ..deploy.package_passwords import show_password
from ..deploy.step_files import write_steps
from ..deploy.steps import deployment_steps
from ..deploy.write_pfx import write_pfx
from ..export.executors import Progress
from ..pki.passphrase import Secret, as_passphrase
from ..request_folder.bundle import open_requests
from .job import Job, JobState

Report = Callable[[Progress], None]


class FolderWork:
    """What is done with a request folder once its requests are written.

    ``on_change`` is called with the state of the job, in its thread too.
    """

    def __init__(self, folder: str | os.PathLike[str], *, today: date | None = None):
        self.folder = Path(folder)
        self.today = today
        self.on_change: Callable[[JobState], object] = lambda state: None
        self.job = Job(lambda state: self.on_change(state))
        self.status  # noqa: B018  a folder that cannot be read is told when the panel is made

    @property
    def status(self) -> FolderStatus:
        """Every request and its state, read anew."""
        return folder_status(self.folder, today=self.today)

    @property
    def result(self) -> Any:
        """What the last step came to: its own noun, None before the first."""
        return self.job.result

    def hand_over(
        self,
        out: str | os.PathLike[str],
        *,
        issuer: str = "",
        requests: Iterable[str] | None = None,
    ) -> None:
        """Begin to pack what goes to a CA: all that waits there, or some requests."""
        chosen = None if requests is None else tuple(requests)
        self._begin(lambda _: hand_over(self.folder, out, issuer=issuer, requests=chosen))

    def receive(self, *paths: str | os.PathLike[str]) -> None:
        """Begin to match returned files, compare them with the plan, and keep them."""
        self._begin(lambda _: receive(self.folder, *paths, today=self.today))

    def package(self, passphrase: Secret | str, *, target_os: str = "") -> None:
        """Begin to package each returned certificate with its key and chain.

        Raises
        ------
        PassphraseError
            If the passphrase will not do.
        """
        secret = as_passphrase(passphrase)

        def work(report: Report) -> Any:
            return write_pfx(
                self._issued(),
                passphrase=secret,
                target_os=target_os,
                progress=_counting(report),
                today=self.today,
            )

        self._begin(work)

    def write_steps(self, *, effective: datetime | None = None) -> None:
        """Begin to write the changed deployment procedure."""

        def work(_: Report) -> Any:
            steps = deployment_steps(self._issued(), effective=effective, today=self.today)
            write_steps(steps, self.folder)
            return steps

        self._begin(work)

    def password(
        self, request_id: str, passphrase: Secret | str, *, show: Callable[[str], object]
    ) -> str:
        """Show the password of one package to a person, and give the package's file.

        Raises
        ------
        BundleError
            If there is no such package, or the passphrase is not the folder's.
        """
        return show_password(self.folder, request_id, as_passphrase(passphrase), show=show)

    def wait(self, seconds: float | None = None) -> Any:
        """Wait for the end of a step and give what it came to."""
        self.job.wait(seconds)
        return self.result

    def _issued(self) -> Any:
        return match_certificates(open_requests(self.folder), today=self.today)

    def _begin(self, work: Callable[[Report], Any]) -> None:
        def run(report: Report, _: threading.Event) -> Any:
            return work(report)

        self.job.start(run)

    # -- showing
    def to_frame(self) -> tables.DataFrame:
        """Give the requests and their states, one row per generation."""
        return self.status.to_frame()

    def _repr_html_(self) -> str:
        done = getattr(self.result, "_repr_html_", lambda: "")()
        return self.status._repr_html_() + done

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"


def _counting(report: Report) -> Callable[[int, int], None]:
    """Make of two numbers a progress with a rate and the time left."""
    begin = time.monotonic()

    def count(done: int, total: int) -> None:
        seconds = time.monotonic() - begin
        rate = done / seconds if seconds > 0 else 0.0
        report(Progress(done, total, rate, (total - done) / rate if rate else 0.0))

    return count
