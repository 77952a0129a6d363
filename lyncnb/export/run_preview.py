"""Preview the changes that a run will make in a request folder.

``preview_changes`` compares the task with the folder. A dry run stops at this point. A real run
repeats the comparison under the lock and then makes the changes.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..authorities.evaluation.compare_request import compare_request
from ..authorities.kept_approval import find_kept_plan_digest
from ..authorities.summary_files import is_summary_current
from ..base.disk import files
from ..base.disk.folder_access import TEAM_MODE, find_team_group, is_team_group
from ..base.pasted_text import shown
from ..base.request_content import list_content_differences
from ..errors import ApprovalError, BundleError, Problem
from ..pki import csr
from ..pki.pkcs8 import FolderCipher
from ..plan.model import PlannedCertificate, build_request_content, convert_to_entry
from ..reports.summary.from_plan import list_ids_in_order
from ..request_folder.bundle import Change
from ..request_folder.files_on_disk import SUMMARY_NAMES, Survey, reject_problems, take_survey
from ..request_folder.generations import list_compromised_keys, list_known_certificates
from ..request_folder.key_bindings import (
    add_bindings,
    find_binding_problems,
    remove_shared_keys,
    report_shared_keys,
)
from ..request_folder.leftovers import (
    Move,
    group_files_by_request,
    is_same_file,
    process_leftovers,
    reject_incomplete_change,
    verify_passphrase,
)
from ..request_folder.manifest import Manifest, read_manifest
from ..request_folder.plan_file import read_present_plan
from ..request_folder.request_record import RequestRecord, list_current_files
from .changes import (
    Compare,
    decide_changes,
    list_waiting_renewals,
    record_deadlines,
    record_plan,
    reject_late_requests,
    reject_rollback,
    reject_waiting_renewals,
    request_revocations,
)
from .order import Order, Wanted

# The largest size of a summary file to read. The limit is high, because the summary tables grow
# with the plan.
_LARGEST = 1 << 32


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A preview of a run: files to move, requests to create, and the manifest to save first.

    ``is_proven`` means that the passphrase opened a key. In a folder without keys, the passphrase
    cannot be verified. ``plan_file`` is the new content of ``plan.json``, and ``has_its_plan``
    means that the file already has this content.
    """

    survey: Survey
    before: Manifest
    manifest: Manifest
    changes: tuple[Change, ...]
    moves: tuple[Move, ...]
    to_write: tuple[Wanted, ...]
    is_proven: bool
    order: Order
    plan_file: bytes = field(repr=False)
    has_its_plan: bool

    @functools.cached_property
    def has_stale_summary(self) -> bool:
        """Whether a summary file is missing, was edited, or is out of date."""
        return not is_summary_current(self.manifest) or any(
            not (path := self.survey.folder / name).is_file()
            or hashlib.sha256(files.read_file(path, limit=_LARGEST)).hexdigest()
            != self.manifest.summary.get(name)
            for name in SUMMARY_NAMES
        )

    @property
    def is_quiet(self) -> bool:
        """Whether the folder is up to date, so that lyncnb has nothing to write."""
        busy = self.moves or self.to_write or self.survey.stale or not self.has_its_plan
        return not busy and self.manifest == self.before and not self.has_stale_summary


def preview_changes(folder: Path, order: Order, cipher: FolderCipher | None) -> Preview:
    """Find the changes that an order requires in a request folder.

    All files are read, but nothing is changed.

    Parameters
    ----------
    folder : Path
        Need not exist.
    order : Order
        From :func:`order.make_order`.
    cipher : FolderCipher or None
        Of the passphrase; None only for a dry run.

    Raises
    ------
    ApprovalError
        If the plan in the folder was approved, and the new plan is different and not approved.
    BundleError
        If the folder needs attention; every problem is listed.
    PassphraseError
        If the passphrase opens no key of the folder.
    PlanRejected
        If there are new requests, but the planned issue date has passed.
    """
    survey = take_survey(folder)
    before = _read_manifest(survey)
    _reject_unapproved_plan(folder, before, order)
    proven = cipher is not None and verify_passphrase(survey, before, cipher)
    reject_rollback(before.plans, order.saved)
    finished = _find_renewals_without_summary(before, order)
    reject_waiting_renewals(before, order, finished)
    settled = process_leftovers(
        survey, before, cipher=cipher, now=order.now, abandoned_ids=order.renew
    )
    after, changes = decide_changes(
        settled.manifest,
        order.wanted,
        now=order.now,
        ids_to_renew=order.renew,
        reason=order.reason,
        compare_request=_make_comparer(survey),
        adopted_ids=settled.adopted | _find_renewals_without_summary(settled.manifest, order),
        withdrawn_ids=order.withdrawn,
        cover_date=order.covered_on,
    )
    reject_late_requests(order, settled.manifest, after)
    after = _remove_hashes_of_lost_files(survey, settled.manifest, after)
    after = remove_shared_keys(settled.manifest, after, order.renew)
    moves, collisions = _list_renewal_moves(survey, settled.manifest, after)
    collisions += _find_collisions(survey, before, after)
    collisions += _list_foreign_requests(settled.manifest, after, order)
    collisions += _find_reuse_problems(settled.manifest, order)
    collisions += _find_team_problems(survey, before, order)
    collisions += _find_key_problems(survey, before, cipher, order)
    reject_problems(folder, (*survey.problems, *settled.problems, *collisions))
    present = read_present_plan(folder)
    plan_file = order.build_plan_file(present)
    after = request_revocations(_log_changes(after, settled.changes, order.now), order)
    after = record_deadlines(after, order)
    after = record_plan(after, before, order, plan_file, is_same_plan=plan_file == present)
    after = after.with_numbers_of(before)
    # A folder of an earlier version has no request numbers until its content changes.
    if after != before:
        after = after.with_new_numbers(list_ids_in_order(order.plan))
    if cipher is not None:
        after = add_bindings(after, cipher, ids=settled.adopted)
    planned = {record.id for record in after.requests if record.needs_writing}
    return Preview(
        survey=survey,
        before=before,
        manifest=after,
        changes=(*settled.changes, *changes),
        moves=(*settled.moves, *moves),
        to_write=tuple(request for request in order.wanted if request.id in planned),
        is_proven=proven,
        order=order,
        plan_file=plan_file,
        has_its_plan=plan_file == present,
    )


def _find_renewals_without_summary(manifest: Manifest, order: Order) -> frozenset[str]:
    """Return the renewals that an earlier run finished without writing the summary.

    The next run of the same command only writes the summary.
    """
    return frozenset() if is_summary_current(manifest) else list_waiting_renewals(manifest, order)


def _find_key_problems(
    survey: Survey, manifest: Manifest, cipher: FolderCipher | None, order: Order
) -> Iterator[Problem]:
    """Find keys that belong to another request, as far as possible without the passphrase."""
    if cipher is None:
        yield from report_shared_keys(manifest, abandoned_ids=order.renew)
    else:
        yield from find_binding_problems(survey, manifest, cipher, abandoned_ids=order.renew)


def _find_team_problems(survey: Survey, manifest: Manifest, order: Order) -> Iterator[Problem]:
    """Yield a problem if an existing folder does not belong to the requested team."""
    group = find_team_group(survey.folder)
    if order.team and survey.exists and not (group and is_team_group(survey.folder, order.team)):
        yield Problem(
            message=(
                f"the folder must have the group {shown(order.team)} and the mode {TEAM_MODE:o}, "
                "but at least one of them is different"
            ),
            file=str(survey.folder),
            hint="omit --team, or specify a new folder",
        )
    elif group and not (order.team or manifest.team):
        yield Problem(
            message=f'the group "{group}" can write to the folder',
            file=str(survey.folder),
            hint=f"if this is intended, specify --team {group}",
        )


def _reject_unapproved_plan(folder: Path, manifest: Manifest, order: Order) -> None:
    """Reject a plan without an approval if the plan in the folder was approved."""
    if order.approved_plan or order.unapproved:
        return
    approved = [plan for plan in manifest.plans if plan.approvals]
    if not approved:
        _reject_lost_approval(folder, manifest, order)
        return
    if order.plan.sha256 in (manifest.plan_sha256, approved[-1].plan_sha256):
        return
    signer = approved[-1].approvals[-1]
    raise ApprovalError(
        (
            f"{signer.signer} approved the plan for the folder {folder} on "
            f"{signer.verified_at[:10]}. The new plan is different and not approved, so lyncnb "
            "changed nothing"
        ),
        hint=_APPROVE,
    )


_APPROVE = (
    "save the plan, have it approved, and specify --approved-by SIGNERS. To create the requests "
    "without an approval, specify a reason: --unapproved REASON"
)


def _reject_lost_approval(folder: Path, manifest: Manifest, order: Order) -> None:
    """Reject another plan if the folder contains a signature, even if its record was lost."""
    digest = find_kept_plan_digest(folder)
    if not digest or order.plan.sha256 in (manifest.plan_sha256, digest):
        return
    raise ApprovalError(
        f"the folder {folder} contains an approved plan and its signature, but no record of the "
        "approval. The new plan is different and not approved, so lyncnb changed nothing",
        hint=_APPROVE,
    )


def _log_changes(manifest: Manifest, changes: Sequence[Change], now: str) -> Manifest:
    for change in changes:
        manifest = manifest.with_event("archived", "; ".join(change.reasons), now=now)
    return manifest


def _read_manifest(survey: Survey) -> Manifest:
    if not survey.has_manifest:
        if survey.holds_requests:
            raise BundleError(
                f"{survey.folder} contains keys or CSRs but no record, so lyncnb changed nothing",
                hint="restore record/ from a backup, or run: lyncnb status FOLDER --rebuild",
            )
        return Manifest()
    manifest = read_manifest(survey.folder)
    reject_incomplete_change(survey.folder, manifest)
    return manifest


def _make_comparer(survey: Survey) -> Compare:
    def compare(record: RequestRecord, certificate: PlannedCertificate) -> tuple[str, ...]:
        path = record.files.csr
        try:
            request = csr.parse_request(files.read_file(survey.folder / path), name=path)
        except BundleError:
            # Only the CSR of a request that is being withdrawn may be unreadable.
            return ("the request file cannot be read",)
        if record.key_holder:
            # Another tool created the CSR with a different order, hash and extensions.
            findings = compare_request(request.content, convert_to_entry(certificate))
            return tuple(finding.message for finding in findings if finding.severity != "notice")
        return list_content_differences(request.content, build_request_content(certificate))

    return compare


def _remove_hashes_of_lost_files(
    survey: Survey, old_manifest: Manifest, new_manifest: Manifest
) -> Manifest:
    """Remove lost files' hashes from superseded records, so that these files cause no finding."""
    changed = []
    for record in new_manifest.requests:
        old = old_manifest.by_id.get(record.id)
        if old is None or record.generation == old.generation:
            continue
        if not all(map(survey.has_file, old.files)):
            superseded = record.archived[-1]
            superseded = replace(
                superseded,
                csr_sha256=superseded.csr_sha256 if survey.has_file(old.files.csr) else "",
                key_sha256=superseded.key_sha256 if survey.has_file(old.files.key) else "",
            )
            changed.append(replace(record, archived=(*record.archived[:-1], superseded)))
    return new_manifest.with_records(changed)


def _list_renewal_moves(
    survey: Survey, old_manifest: Manifest, new_manifest: Manifest
) -> tuple[list[Move], list[Problem]]:
    moves, problems = [], []
    for record in new_manifest.requests:
        old = old_manifest.by_id.get(record.id)
        if old is None or record.generation == old.generation:
            continue
        for source, target in zip(old.files, record.archived[-1].files, strict=True):
            if not survey.has_file(source):
                continue
            moves.append(Move(source=source, target=target))
            is_present = survey.has_file(target)
            if is_present and not is_same_file(survey.folder / source, survey.folder / target):
                problems.append(_make_name_conflict_problem(target))
    return moves, problems


def _find_collisions(
    survey: Survey, old_manifest: Manifest, new_manifest: Manifest
) -> list[Problem]:
    new_ids = new_manifest.by_id.keys() - old_manifest.by_id.keys()
    stems = group_files_by_request(survey, new_ids)
    return [
        _make_name_conflict_problem(path)
        for name in sorted(stems)
        for files_found in map(list_current_files, stems[name])
        for path in files_found
        if survey.has_file(path)
    ]


def _list_foreign_requests(
    old_manifest: Manifest, new_manifest: Manifest, order: Order
) -> Iterator[Problem]:
    """Yield changed requests whose key is created elsewhere. A run cannot create them again.

    If another computer creates the key for a request, lyncnb does not create one, and the reverse.
    The planner can change this by specifying the request for renewal.
    """
    holders = {request.id: request.key_holder for request in order.wanted}
    for record in new_manifest.requests:
        old = old_manifest.by_id.get(record.id)
        if old is None or record.id in order.renew or record.state == "retired":
            continue
        if record.plan.at_set_up or old.plan.at_set_up:
            # The setup of the server creates the key of such a request, so a run cannot create it.
            continue
        has_changed = record.generation != old.generation or (
            not old.is_written and old.plan != record.plan
        )
        if not has_changed or bool(old.key_holder) == bool(holders.get(record.id)):
            continue
        if not old.is_written and not old.key_holder:
            # No key was created for the request yet, neither on this computer nor on another one.
            continue
        yield _is_foreign_request(record, old)


def _find_reuse_problems(old_manifest: Manifest, order: Order) -> Iterator[Problem]:
    """Yield a problem for each request that an installed certificate cannot replace."""
    covered = [request for request in order.wanted if request.covered is not None]
    revoked = {
        digest
        for record in (old_manifest.requests if covered else ())
        for part in record.generations
        if part.revocation is not None
        for digest in list_known_certificates(part)
    } | list_compromised_keys(old_manifest.requests if covered else ())
    for request in covered:
        old, cover = old_manifest.by_id.get(request.id), request.covered
        if cover is not None and cover.sha256 in revoked:
            yield Problem(
                message=f"the certificate with serial number {cover.serial} is revoked or must be "
                "revoked, so it cannot be reused",
                file=request.id,
                hint=f"omit --reuse {request.id}",
            )
        elif old is not None and old.is_written:
            yield Problem(
                message=("the CA may already have received this request, so you cannot omit it"),
                file=old.files.csr,
                hint=f"omit --reuse {request.id}",
            )


def _is_foreign_request(record: RequestRecord, old_record: RequestRecord) -> Problem:
    reasons = "; ".join(
        record.reasons if record.generation != old_record.generation else ("it changed",)
    )
    if old_record.key_holder:
        return Problem(
            message=(
                f"the key is on {old_record.key_holder}, but the plan now requires a "
                f"different certificate ({reasons})"
            ),
            file=record.files.csr,
            hint="write the script again: lyncnb steps TOPOLOGY --request-on-server -o FOLDER. "
            f"To generate the key on this computer instead, specify --renew {record.id} "
            "--reason TEXT",
        )
    return Problem(
        message=(
            "the key is in this folder, but the plan now requires a different certificate "
            f"({reasons})"
        ),
        file=record.files.csr,
        hint="create the request again on this computer: lyncnb request TOPOLOGY FOLDER. To "
        f"create the request on a server instead, specify --renew {record.id} --reason TEXT",
    )


def _make_name_conflict_problem(path: str) -> Problem:
    return Problem(
        message=(
            "the name belongs to a file that lyncnb must write, but this file is not on record"
        ),
        file=path,
        hint="if lyncnb wrote the file, run: lyncnb status FOLDER --rebuild. Otherwise, move "
        "the file to another folder",
    )
