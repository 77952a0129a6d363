"""A run that writes requests to a folder, and that loses no key if it is interrupted.

A run has these steps: lock the folder, read all files, verify the passphrase, save the plan,
announce the files in the manifest, and move superseded files. For each request, it then writes the
key and afterwards the CSR, each durably. Finally, it records in the manifest that the requests are
written, and writes the summary. If a run is interrupted at any point, the next run completes it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ..authorities.kept_approval import keep_approval
from ..authorities.summary_files import refresh_summary_files, write_summary_files
from ..authorities.survey.as_is import AsIs
from ..base.arguments import check_type
from ..base.disk import files, windows_access
from ..base.disk.folder_access import find_group_number, grant_access_to_team
from ..base.disk.folder_lock import OWNER_NAME
from ..base.disk.outputs import OWN_FOLDERS
from ..base.shown.tables import format_count, join_first_texts
from ..checks.check_plan import check_plan, choose_evaluation_date
from ..checks.saved_plan import SavedPlan
from ..errors import (
    ApprovalError,
    ArgumentError,
    BundleError,
    PassphraseError,
    PlanAltered,
    Problem,
)
from ..pki.passphrase import Secret, check_new_passphrase, check_passphrase
from ..pki.pkcs8 import FolderCipher
from ..pki.recovery_pair import RecoveryPublicKey
from ..pki.ssh_signatures import read_signature
from ..plan.model import CertificatePlan
from ..reports.summary.from_plan import build_summary
from ..request_folder.bundle import RequestBundle
from ..request_folder.files_on_disk import (
    find_archive_problems,
    restrict_copied_files,
    restrict_unpacked_files,
    take_survey,
)
from ..request_folder.folder_location import (
    IGNORE_ALL,
    IGNORE_NAME,
    explain_missing_permissions,
    list_location_warnings,
)
from ..request_folder.history import record_changes
from ..request_folder.key_bindings import add_bindings
from ..request_folder.leftovers import move_files
from ..request_folder.manifest import Manifest, format_timestamp, save_manifest
from ..request_folder.plan_file import write_plan_file
from ..request_folder.recovery_key import (
    add_recovery_keys,
    read_recovery_key,
    seal_new_keys,
)
from ..request_folder.request_record import ApprovalOnRecord, PlanOnRecord
from ..request_folder.unrecorded import describe_unknown_files
from ..rules.findings import Finding
from . import executors
from .approve_plan import build_signature_path, check_approval
from .changes import record_written_requests
from .covers import choose_covering_certificates
from .executors import Making
from .key_and_csr import PairStore
from .order import Order, find_cover_date, make_order
from .run_preview import Preview, preview_changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The preview of a run, the current manifest, and whether the run was canceled."""

    preview: Preview
    manifest: Manifest
    cancelled: bool = False


def write(
    folder: Path,
    order: Order,
    passphrase: Secret,
    *,
    options: Making,
    confirm_new: Callable[[], Secret | str] | None,
    recovery: Sequence[RecoveryPublicKey] = (),
    lock_seconds: float = 10.0,
) -> Outcome:
    """Make the changes of an order in a request folder, or write nothing if no change is necessary.

    Raises
    ------
    PassphraseError, BundleError
        If the folder or the passphrase needs attention.
    """
    cipher = FolderCipher(passphrase)
    confirm = _make_confirmation(passphrase, confirm_new, order.plan)
    # A run without changes does not use the lock file, so it also works on a read-only disk. Any
    # change or problem is examined again while the folder is locked.
    preview = _preview_without_lock(folder, order, cipher)
    if preview is not None:
        confirm(preview)
        if preview.is_quiet and not _has_changes(preview, recovery):
            return Outcome(preview=preview, manifest=preview.manifest)
    # Only one copy of the requests is kept in memory, because 100,000 requests take about 300 MB.
    del preview
    with lock_for_writing(folder, order, lock_seconds):
        preview = preview_changes(folder, order, cipher)
        confirm(preview)
        return _make_changes(preview, order, cipher, options, recovery)


def _preview_without_lock(folder: Path, order: Order, cipher: FolderCipher) -> Preview | None:
    """Preview a run without locking the folder. Return None if another run is writing."""
    for attempt in (1, 2):
        try:
            return preview_changes(folder, order, cipher)
        except BundleError:
            if os.path.lexists(folder / OWNER_NAME):
                return None
            # Another run may have changed the folder during the first attempt, so only the second
            # attempt raises the error.
            if attempt == 2:
                raise
    return None


def _make_confirmation(
    secret: Secret, ask_again: Callable[[], Secret | str] | None, plan: CertificatePlan
) -> Callable[[Preview], None]:
    confirmations: list[bool] = []

    def confirm_passphrase_once(preview: Preview) -> None:
        if preview.is_proven or not preview.to_write or confirmations:
            return
        check_new_passphrase(secret, source="the passphrase", known_words=plan.known_words)
        confirmations.append(True)
        if ask_again is not None and check_passphrase(ask_again()) != secret:
            raise PassphraseError(
                "the two passphrases are different, so lyncnb wrote nothing",
                hint="run the command again",
            )

    return confirm_passphrase_once


@contextmanager
def lock_for_writing(folder: Path, order: Order, wait_seconds: float) -> Iterator[None]:
    """Lock a request folder, and create the folder if it does not exist.

    Only the team or the owner has access to a new folder.
    """
    if order.team:
        find_group_number(order.team)  # If the group does not exist, no folder is created.
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    for path in reversed(missing):
        # Parent folders belong to the planner, and have the default mode of the system.
        files.make_folder(path, 0o700 if path == folder else 0o777)
        if order.team and path == folder:
            grant_access_to_team(folder, order.team)
    command = "renew" if order.is_own_plan else "request"
    with record_changes(
        folder, command, reason=order.reason, now=order.now, wait_seconds=wait_seconds
    ):
        yield


def _has_changes(preview: Preview, recovery: Sequence[RecoveryPublicKey]) -> bool:
    fingerprints = {key.fingerprint for key in preview.manifest.recovery}
    return any(key.fingerprint not in fingerprints for key in recovery)


def _make_changes(
    preview: Preview,
    order: Order,
    cipher: FolderCipher,
    options: Making,
    recovery: Sequence[RecoveryPublicKey],
) -> Outcome:
    folder = preview.survey.folder
    announce_changes(preview)
    # The encryption key is sealed for the recovery keys before the first private key is created.
    if recovery:
        preview = replace(
            preview,
            manifest=add_recovery_keys(
                take_survey(folder), preview.manifest, cipher, recovery, now=order.now
            ),
        )
    seal_new_keys(folder, cipher, preview.manifest)
    manifest, cancelled = _create_pairs(preview, order, cipher, options)
    # The manifest is saved before the summary is written, so that no requests are lost if writing
    # the summary fails.
    save_manifest(folder, manifest)
    # If other computers must create all keys, the summary is already written, so the manifest can
    # be unchanged at this point.
    if manifest != preview.manifest or preview.has_stale_summary:
        manifest = write_summary(preview, manifest)
    return Outcome(preview=preview, manifest=manifest, cancelled=cancelled)


def announce_changes(preview: Preview) -> None:
    """Save the plan, announce new files in the manifest, and move superseded files."""
    folder = preview.survey.folder
    for subfolder in ("csr", "keys", *(["archive"] if preview.moves else [])):
        files.make_folder(folder / subfolder, OWN_FOLDERS[subfolder])
    if not os.path.lexists(folder / IGNORE_NAME):
        files.write_new_file(folder / IGNORE_NAME, IGNORE_ALL, 0o644)
    write_plan_file(folder, preview.plan_file, preview.before)
    save_manifest(folder, preview.manifest)
    move_files(preview.survey, preview.moves)


def write_summary(preview: Preview, manifest: Manifest) -> Manifest:
    """Write the summary of the plan in every format, and save the manifest."""
    folder, order = preview.survey.folder, preview.order
    if order.is_own_plan:
        manifest = refresh_summary_files(folder, manifest)
    else:
        summary = build_summary(
            order.plan, order.list_reported_findings(preview.plan_file), pictures=True
        )
        manifest = write_summary_files(folder, manifest, summary)
    save_manifest(folder, manifest)
    return manifest


def _create_pairs(
    preview: Preview, order: Order, cipher: FolderCipher, options: Making
) -> tuple[Manifest, bool]:
    items = [(request.id, request.certificate) for request in preview.to_write]
    if not items:
        return preview.manifest, False
    known = _list_public_keys(preview.manifest)
    with PairStore(preview.survey.folder, known=known) as store:
        exported = executors.create_pairs(
            items,
            cipher,
            store=store,
            options=options,
        )
    hashes_by_name = {name: hashes._asdict() for name, hashes in store.written.items()}
    manifest = record_written_requests(preview.manifest, hashes_by_name, now=order.now)
    return add_bindings(manifest, cipher, ids=store.written), exported.cancelled


def _list_public_keys(manifest: Manifest) -> Iterator[str]:
    for record in manifest.requests:
        yield record.spki_sha256
        for old in record.archived:
            yield old.spki_sha256


# The module ``run_preview.py`` decides which changes a run makes, and the module ``write.py`` makes
# them.


def _split_plan(
    plan: CertificatePlan | SavedPlan, findings: Sequence[Finding] | None, now: str
) -> tuple[CertificatePlan, Sequence[Finding], bytes]:
    """Return a plan, its findings, and its file if it is a saved plan."""
    if not isinstance(plan, SavedPlan):
        if findings is None:
            today = date.fromisoformat(now[:10])
            findings = check_plan(plan, on=choose_evaluation_date(plan, today=today))
        return plan, findings, b""
    if findings is not None:
        raise ArgumentError(
            "write_requests: a saved plan already contains findings, so do not pass other findings",
            hint="omit the findings argument, or pass the plan attribute of the saved plan",
        )
    return plan.plan, plan.findings, plan.data


def write_requests(
    plan: CertificatePlan | SavedPlan,
    folder: str | os.PathLike[str],
    *,
    passphrase: Secret | str | None,
    accept: Mapping[str, str] | None = None,
    making: Making | None = None,
    renew: Sequence[str] = (),
    reason: str = "",
    dry_run: bool = False,
    today: date | None = None,
    findings: Sequence[Finding] | None = None,
    confirm_new: Callable[[], Secret | str] | None = None,
    recovery: Sequence[str | os.PathLike[str]] = (),
    only_missing: AsIs | str | os.PathLike[str] | None = None,
    reuse: Sequence[str] = (),
    approved_by: str | os.PathLike[str] | None = None,
    unapproved: str = "",
    team: str = "",
    lock_seconds: float = 10.0,
) -> RequestBundle:
    """Write the keys, certificate requests and summary of a plan into a request folder.

    Writing the same plan again changes no byte and no time. A changed request gets a new
    generation, and all files of the old generation are moved to ``archive/``. No file is
    overwritten or removed.

    Parameters
    ----------
    plan : CertificatePlan or SavedPlan
        n certificates; a saved plan, with its own findings, is recorded in the manifest.
    folder : path
        Created if missing, with mode 0700, or 2770 for a team.
    passphrase : Secret or str
        At least 12 characters. It must open a key of the folder before anything is written. None
        only for a dry run.
    accept : mapping of str to str, optional
        Codes of error findings to accept, with the reason for each; recorded in the manifest.
    making : Making, optional
        How keys are made, with progress and cancellation
        (``from lyncnb.export.executors import Making``).
    renew : sequence of str, optional
        Ids, or their beginnings, of requests to renew although nothing changed.
    reason : str, optional
        Why they are renewed; required with `renew`. Without `renew`: why you request a saved plan
        that is older than the one on record.
    dry_run : bool, optional
        Report what would be done, and change nothing.
    today : date, optional
        Recorded instead of the present time, for results that can be repeated.
    findings : sequence of Finding, optional
        The findings of the plan; by default ``check_plan`` finds them. A saved plan has its own.
    confirm_new : callable, optional
        Asks for the passphrase again; called only for a folder that has no key yet.
    recovery : sequence of path, optional
        Public halves (``FILE.pub``) of recovery keys that can open the folder as well.
    only_missing : AsIs or path, optional
        The installed certificates (:func:`lyncnb.compare_as_is`), or the file with them.
    reuse : sequence of str, optional
        Ids, or their beginnings, of requests to leave out: an installed certificate covers them
        on the planned issue date, and its key is available. The manifest records the certificate.
        They are left out until the plan changes, that certificate ends, or `renew` names them.
    approved_by : path, optional
        A list of allowed signers, one of whom must have approved the saved plan.
    unapproved : str, optional
        Why you request a plan that is not approved into a folder whose plan was approved;
        recorded in the manifest.
    team : str, optional
        A group whose members share the new folder: they can read and write everything in it.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds; negative waits without end.

    Returns
    -------
    RequestBundle
        With what was done for each request, and why.

    Raises
    ------
    ArgumentError
        If findings are given with a saved plan.
    PlanRejected
        If the plan has errors that are not accepted.
    ApprovalError
        If approval is required and missing.
    PassphraseError, BundleError
        If the folder or the passphrase needs attention; the message says what to do.

    Notes
    -----
    Every run compares the hash of each CSR and each encrypted key file with the record, checks
    file types and permissions, and opens one key. It opens a key file whose bytes changed and
    compares it with its CSR. ``rebuild`` opens every key and verifies every CSR's signature;
    packaging opens each key that it packs.
    """
    check_type("write_requests: plan", plan, CertificatePlan, SavedPlan)
    check_type("write_requests: folder", folder, str, os.PathLike)
    check_type("accept", accept, Mapping, None)
    path = Path(folder)
    now, plan_reason = format_timestamp(today), "" if renew else reason.strip()
    recovery_keys = tuple(map(read_recovery_key, recovery))
    saved = _make_plan_record(plan, path, approved_by, accept or {}, reason=plan_reason, now=now)
    approved = plan if approved_by is not None and isinstance(plan, SavedPlan) else None
    plan, findings, saved_file = _split_plan(plan, findings, now)
    order = make_order(
        plan,
        findings=findings,
        accept=accept,
        renew=renew,
        reason=reason,
        now=now,
        covers=choose_covering_certificates(
            plan, only_missing, reuse, day=find_cover_date(plan, now), now=now, accept=accept or ()
        ),
    )
    order = replace(
        order,
        saved=saved,
        saved_file=saved_file,
        approved_plan=saved.sha256 if saved and saved.approvals else "",
        unapproved=unapproved.strip(),
        team=team,
    )
    bundle = execute_order(
        path, order, passphrase, options=making, dry_run=dry_run, confirm_new=confirm_new,
        recovery=recovery_keys, lock_seconds=lock_seconds,
    )  # fmt: skip
    if approved is not None and saved is not None and not dry_run:
        _keep_approval(path, approved, saved, lock_seconds)
    return bundle


def execute_order(
    folder: Path,
    order: Order,
    passphrase: Secret | str | None,
    *,
    options: Making | None = None,
    dry_run: bool = False,
    confirm_new: Callable[[], Secret | str] | None = None,
    recovery: Sequence[RecoveryPublicKey] = (),
    lock_seconds: float = 10.0,
) -> RequestBundle:
    """Make the changes in a request folder, or only report them in a dry run.

    Raises
    ------
    PassphraseError, BundleError
        If the folder or the passphrase needs attention.
    """
    check_type("making", options, Making, None)
    secret = None if passphrase is None else check_passphrase(passphrase)
    if dry_run:
        return _report_dry_run(
            preview_changes(folder, order, None if secret is None else FolderCipher(secret))
        )
    if secret is None:
        raise PassphraseError(
            "the passphrase is missing",
            hint="pass a passphrase, because lyncnb never writes keys without one",
        )
    restrict_copied_files(folder)
    closed = restrict_unpacked_files(folder)
    outcome = write(
        folder, order, secret, options=options or Making(), confirm_new=confirm_new,
        recovery=recovery, lock_seconds=lock_seconds,
    )  # fmt: skip
    bundle = build_bundle(outcome.preview, outcome.manifest, is_canceled=outcome.cancelled)
    return replace(bundle, notes=(*closed, *bundle.notes))


def _make_plan_record(
    plan: CertificatePlan | SavedPlan,
    folder: Path,
    approved_by: str | os.PathLike[str] | None,
    accept: Mapping[str, str],
    *,
    reason: str,
    now: str,
) -> PlanOnRecord | None:
    """Return the record of a saved plan for the manifest, or None if the plan is not saved."""
    if not isinstance(plan, SavedPlan):
        if approved_by is not None:
            raise ApprovalError(
                "you can approve only a saved plan",
                hint="save the plan: lyncnb plan TOPOLOGY --save FILE",
            )
        return None
    approvals: tuple[ApprovalOnRecord, ...] = ()
    if plan.reworded and approved_by is None:
        raise PlanAltered(
            (
                f"{plan.path.name}: some of the wording in the plan differs from the wording in "
                "this version of lyncnb, and the plan is not approved"
            ),
            problems=tuple(Problem(message=words) for words in plan.reworded),
            hint="save the plan again, or ask an approver to approve this file",
        )
    if approved_by is not None:
        approvals = check_approval(plan, approved_by, folder=folder, accept=accept, now=now)
    return PlanOnRecord(
        sha256=plan.digest,
        file_sha256=plan.sha256,
        plan_sha256=plan.plan.sha256,
        judged_on=plan.judged_on.isoformat(),
        requested_at=now,
        approvals=approvals,
        reason=reason,
    )


def _keep_approval(folder: Path, plan: SavedPlan, record: PlanOnRecord, seconds: float) -> None:
    """Save the plan and its signature in the folder if the manifest records the signature."""
    signature = read_signature(build_signature_path(plan))
    digest = hashlib.sha256(signature).hexdigest()
    if any(approval.signature_sha256 == digest for approval in record.approvals):
        keep_approval(folder, plan.data, signature, lock_seconds=seconds)


def _report_dry_run(preview: Preview) -> RequestBundle:
    bundle = build_bundle(preview, preview.manifest, dry_run=True)
    if not preview.to_write:
        return bundle
    seconds = executors.estimate_seconds(request.certificate for request in preview.to_write)
    duration = f"about {seconds:,.0f} s" if seconds >= 1 else "less than 1 s"
    note = (
        f"generating {format_count(len(preview.to_write), 'key')} takes {duration} on this computer"
    )
    return replace(bundle, notes=(*bundle.notes, note))


def build_bundle(
    preview: Preview, manifest: Manifest, *, is_canceled: bool = False, dry_run: bool = False
) -> RequestBundle:
    """Return the request folder after a run, with the changes that the run made or would make."""
    changes = preview.changes
    if is_canceled:
        waiting = {
            record.id
            for record in manifest.requests
            if record.state == "planned" and record.needs_writing
        }
        changes = tuple(change for change in changes if change.id not in waiting)
    return RequestBundle(
        folder=preview.survey.folder,
        manifest=manifest,
        changes=changes,
        notes=_list_notes(preview, manifest),
        cancelled=is_canceled,
        dry_run=dry_run,
        is_quiet=preview.is_quiet,
    )


_NAMED = 5  # The largest number of requests in a note.


def _list_notes(preview: Preview, manifest: Manifest) -> tuple[str, ...]:
    survey = preview.survey
    # A file that a renewal moves to the archive is known before, and an adopted file afterwards.
    unknown = set(describe_unknown_files(survey, preview.before))
    notes = [note for note in describe_unknown_files(survey, manifest) if note in unknown]
    if omitted_ids := manifest.omitted_requests:
        notes.append(
            "approved, but not requested, because you specified that an installed "
            f"certificate covers the request: {join_first_texts(omitted_ids, _NAMED)}"
        )
    unchanged_ids = (change.id for change in preview.changes if change.action == "kept")
    for request_id in unchanged_ids:
        for old in preview.before.by_id[request_id].archived:
            notes += map(str, find_archive_problems(survey, old))
    notes += preview.order.notes
    if preview.to_write and (note := windows_access.restrict_private_folder(survey.folder)):
        notes.append(note)
    if not preview.before.requests:
        notes += list_location_warnings(survey.folder)
    elif survey.keeps_no_modes:
        notes.append(explain_missing_permissions(survey.folder))
    return tuple(notes)
