"""``RequestBundle``: the request folder of a plan, opened or written.

What a run will do is in ``outlook.py``, how it is carried out in ``writing.py``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import date
from pathlib import Path

from . import export
from .base import system_calls
from .checks.check_plan import check_plan
from .errors import PassphraseError
from .export import Progress
from .order import make_order
from .outlook import Outlook, foresee
from .pki.passphrase import Secret, as_passphrase
from .pki.pkcs8 import FolderCipher
from .plan.model import CertificatePlan
from .request_folder.bundle import RequestBundle
from .request_folder.files_on_disk import archive_problems
from .request_folder.manifest import Manifest, timestamp
from .rules.findings import Finding
from .writing import Making, write


def write_requests(
    plan: CertificatePlan,
    folder: str | os.PathLike[str],
    *,
    passphrase: Secret | str | None,
    accept: Mapping[str, str] | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[Progress], object] | None = None,
    cancel: threading.Event | None = None,
    renew: Sequence[str] = (),
    reason: str = "",
    dry_run: bool = False,
    today: date | None = None,
    findings: Sequence[Finding] | None = None,
    confirm_new: Callable[[], Secret | str] | None = None,
    lock_seconds: float = 10.0,
) -> RequestBundle:
    """Write keys, certification requests and the summary of a plan into a request folder.

    The same plan written again changes no byte and no time. A changed request gets a new
    generation, and the old one goes to ``archive/`` whole; nothing is overwritten or removed.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    folder : path
        Made if missing, mode 0700.
    passphrase : Secret or str
        At least 12 characters. It is proven on a key of the folder before anything is written.
        None only for a dry run.
    accept : mapping of str to str, optional
        Codes of error findings to accept, with the reason for each; recorded in the manifest.
    workers, executor, progress, cancel
        As for :func:`export.run`.
    renew : sequence of str, optional
        Ids, or their beginnings, of requests to make anew although nothing changed.
    reason : str, optional
        Why they are renewed; must be given with `renew`.
    dry_run : bool, optional
        Say what would be done, and touch nothing.
    today : date, optional
        Recorded instead of the present time, for results that can be repeated.
    findings : sequence of Finding, optional
        Of the plan; made by ``check_plan`` if left out.
    confirm_new : callable, optional
        Asks for the passphrase again; called only for a folder that has no key yet.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds; negative waits without end.

    Returns
    -------
    RequestBundle
        With what was done for each request, and why.

    Raises
    ------
    PlanRejected
        If the plan has errors that are not accepted.
    PassphraseError, BundleError
        If the folder or the passphrase needs attention; the message says what to do.

    Notes
    -----
    What is checked when: every run compares each CSR and each encrypted key file with the record
    by the hash of its bytes, looks at kinds and rights, and opens one key; a key file whose bytes
    changed is opened and compared with its CSR. ``rebuild`` opens every key and verifies every
    CSR's signature; packaging opens each key that it packs.
    """
    path = Path(folder)
    order = make_order(
        plan,
        findings=check_plan(plan) if findings is None else findings,
        accept=accept,
        renew=renew,
        reason=reason,
        now=timestamp(today),
    )
    if passphrase is None and not dry_run:
        raise PassphraseError("no passphrase was given", hint="keys are never written without one")
    secret = None if passphrase is None else as_passphrase(passphrase)
    if dry_run:
        return _dry_run(foresee(path, order, None if secret is None else FolderCipher(secret)))
    making = Making(
        workers=workers,
        executor=executor,
        progress=progress,
        cancel=cancel,
        lock_seconds=lock_seconds,
    )
    outcome = write(path, order, secret, making=making, confirm_new=confirm_new)
    return _bundle(outcome.outlook, outcome.manifest, cancelled=outcome.cancelled)


def _dry_run(outlook: Outlook) -> RequestBundle:
    bundle = replace(_bundle(outlook, outlook.manifest), dry_run=True)
    if not outlook.to_write:
        return bundle
    seconds = export.estimate(request.certificate for request in outlook.to_write)
    note = f"{len(outlook.to_write):,} keys to make: about {seconds:,.0f} s on this machine"
    return replace(bundle, notes=(*bundle.notes, note))


def _bundle(outlook: Outlook, manifest: Manifest, *, cancelled: bool = False) -> RequestBundle:
    changes = outlook.changes
    if cancelled:
        waiting = {record.id for record in manifest.requests if record.state == "planned"}
        changes = tuple(change for change in changes if change.id not in waiting)
    return RequestBundle(
        folder=outlook.survey.folder,
        manifest=manifest,
        changes=changes,
        notes=_notes(outlook, manifest),
        cancelled=cancelled,
    )


def _notes(outlook: Outlook, manifest: Manifest) -> tuple[str, ...]:
    survey = outlook.survey
    notes = [f"{path} is not lyncnb's; it was left alone" for path in survey.strangers(manifest)]
    kept = (change.id for change in outlook.changes if change.action == "kept")
    for record in map(outlook.before.by_id.get, kept):
        for old in record.archived:
            notes += map(str, archive_problems(survey, old))
    if outlook.to_write and (note := system_calls.protection_note()):
        notes.append(note)
    return tuple(notes)
