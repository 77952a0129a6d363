"""Compare a plan with a request folder, and decide what to do with each request.

A request is created, kept, renewed or retired.

This module reads and writes no files. Its input is a manifest and the entries of a plan,
and its output is records and ``Change`` rows. A dry run therefore reports exactly what a
run would do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from ..base.planned_entry import PlannedEntry
from ..base.shown.tables import format_count
from ..base.times import convert_to_time
from ..errors import (
    ApprovalError,
    BundleError,
    Problem,
    RequestWaits,
)
from ..plan.model import PlannedCertificate
from ..plan.spellings import find_spellings
from ..request_folder.bundle import Change
from ..request_folder.generations import (
    KEY_COMPROMISE,
    find_compromised_generations,
    find_generations,
)
from ..request_folder.manifest import Manifest
from ..request_folder.request_record import (
    PlanOnRecord,
    RequestRecord,
    Revocation,
    TableNote,
    TableOnRecord,
    build_file_stem,
    list_current_files,
)
from .entry_differences import ABOUT, CONTENT, list_entry_differences
from .order import Order, Wanted, reject_errors

_DIGITS = 12  # The number of digits of a digest that a message shows.
_INTERRUPTED = "key and CSR from an interrupted lyncnb command"

Compare = Callable[[RequestRecord, PlannedCertificate], tuple[str, ...]]


def _keep_unknown_fields(entry: PlannedEntry, old_entry: PlannedEntry) -> PlannedEntry:
    """Return a record with the unknown fields that a later version of lyncnb wrote."""
    key = entry.key
    if key is not None and old_entry.key is not None and old_entry.key.others:
        key = replace(key, others=old_entry.key.others)
    return replace(entry, key=key, others=old_entry.others)


def decide_changes(
    manifest: Manifest,
    planned_requests: Sequence[Wanted],
    *,
    now: str,
    ids_to_renew: frozenset[str] = frozenset(),
    reason: str = "",
    compare_request: Compare | None = None,
    adopted_ids: frozenset[str] = frozenset(),
    withdrawn_ids: frozenset[str] = frozenset(),
    cover_date: date | None = None,
) -> tuple[Manifest, tuple[Change, ...]]:
    """Decide the change to each request that is planned or recorded.

    Parameters
    ----------
    manifest : Manifest
        The folder's, settled: a record that is not written has no files.
    planned_requests : sequence of Wanted
        n requests in the order of the plan.
    now : str
        The time to record, UTC, ISO 8601.
    ids_to_renew : frozenset of str, optional
        Ids to renew although nothing changed.
    reason : str, optional
        Why they are renewed.
    compare_request : callable, optional
        Returns how the CSR in the folder differs from a planned certificate. The file decides,
        not the record, because a CA may have it: an edited record must not replace a request.
    adopted_ids : frozenset of str, optional
        Ids whose key and CSR come from an interrupted run and are recorded only now.
    withdrawn_ids : frozenset of str, optional
        Ids of `renew` whose request is withdrawn although it waits for its certificate.
    cover_date : date, optional
        The day on which a certificate that covers a request must be in force.

    Returns
    -------
    tuple of (Manifest, tuple of Change)
        Records in the order of the plan, then those that left it; changes in the same order.
    """
    records, changes = [], []
    for request in planned_requests:
        old = manifest.by_id.get(request.id)
        if old is not None and old.is_gone and old.plan.servers == request.entry.servers:
            records.append(old)
            changes.append(_build_change("kept", old, ("all its servers left",)))
            continue
        renewed: tuple[str, ...] = ()
        if request.id in ids_to_renew:
            renewed = _explain_renewal(
                old,
                reason,
                is_withdrawn=request.id in withdrawn_ids,
                is_adopted=request.id in adopted_ids,
            )
        record, change = _make_next_record(
            old,
            request,
            now=now,
            renewal_reasons=renewed,
            compare_request=compare_request,
            adopted_ids=adopted_ids,
            cover_date=cover_date,
        )
        if request.id in adopted_ids and change.action == "kept":
            change = _build_change("adopted", record, (_INTERRUPTED, *change.reasons))
        records.append(record)
        changes.append(change)
    planned = {request.id for request in planned_requests}
    for old in manifest.requests:
        if old.id in planned or not (old.is_written or old.archived):
            continue
        if old.state != "retired":
            changes.append(_build_change("retired", old, ("no longer in the plan",)))
            old = replace(old, state="retired", retired_at=now)
        records.append(old)
    return replace(manifest, requests=tuple(records)), tuple(changes)


def _build_change(action: str, record: RequestRecord, reasons: tuple[str, ...]) -> Change:
    return Change(action=action, id=record.id, generation=record.generation, reasons=reasons)


def _make_next_record(
    old_record: RequestRecord | None,
    request: Wanted,
    *,
    now: str,
    renewal_reasons: tuple[str, ...],
    compare_request: Compare | None,
    adopted_ids: frozenset[str],
    cover_date: date | None,
) -> tuple[RequestRecord, Change]:
    if old_record is None or not old_record.is_written:
        covered = _omit_covered_request(
            old_record, request, renewal_reasons, now=now, cover_date=cover_date
        )
        if covered is not None:
            return covered
    if old_record is None:
        new = _make_planned_record(request, generation=1, reasons=("new in the plan",), now=now)
        return new, _build_change(_choose_action(new, "created"), new, new.reasons)
    if not old_record.is_written:
        return _resume_announced_request(
            old_record,
            request,
            renewal_reasons or _explain_lost_cover(old_record, request, cover_date),
            now,
        )
    entry = request.entry
    reasons = list_entry_differences(old_record.plan, entry)
    if compare_request is not None and (reasons or request.id in adopted_ids):
        reasons = compare_request(old_record, request.certificate)
    if reasons or renewal_reasons:
        return _make_renewed_record(old_record, request, (*reasons, *renewal_reasons), now)
    return _make_kept_record(old_record, request, entry)


def is_waiting(record: RequestRecord) -> bool:
    """Return whether a CA may have the request and has not issued its certificate."""
    return record.is_written and record.issued is None


def _explain_renewal(
    record: RequestRecord | None, reason: str, *, is_withdrawn: bool, is_adopted: bool
) -> tuple[str, ...]:
    """Return why a request is renewed, and whether a waiting request is withdrawn."""
    renewed = (f'reason: "{reason}"',)
    if record is None:
        return renewed
    if is_adopted and _is_renewed_for(record, reason):
        return ()  # An earlier run that was interrupted has already started the renewal.
    if is_withdrawn and is_waiting(record):
        digest = record.csr_sha256[:_DIGITS]
        words = f"withdrawn: the CSR of generation {record.generation} with the SHA-256 {digest}…"
        return (*renewed, words)
    return renewed


def list_waiting_renewals(manifest: Manifest, order: Order) -> frozenset[str]:
    """Return the requests that were renewed for the same reason and wait for their certificates."""
    return frozenset(
        record.id
        for record in manifest.requests
        if record.id in order.renew and is_waiting(record) and _is_renewed_for(record, order.reason)
    )


def _is_renewed_for(record: RequestRecord, reason: str) -> bool:
    # Earlier versions of lyncnb recorded "renewed: " and the reason without quotation marks.
    return record.reasons[:1] in ((f'reason: "{reason}"',), (f"renewed: {reason}",))


def reject_waiting_renewals(
    manifest: Manifest, order: Order, finished: frozenset[str] = frozenset()
) -> None:
    """Raise an error if a request to renew waits for its certificate and cannot be withdrawn.

    The renewals in ``finished`` lack only the summary, because the same command was interrupted.

    Raises
    ------
    RequestWaits
        If requests wait. The exception lists all of them.
    """
    renewed_ids = order.renew - order.withdrawn - finished if order.is_own_plan else frozenset()
    waiting = [
        record for record in manifest.requests if record.id in renewed_ids and is_waiting(record)
    ]
    if not waiting:
        return
    raise RequestWaits(
        "the CA has not yet issued a certificate for "
        f"{format_count(len(waiting), 'renewal request')}. If you create a new request, lyncnb "
        "withdraws the waiting request, which the CA may already have received",
        problems=tuple(
            Problem(
                message=f"generation {record.generation} was requested on {record.written_at[:10]} "
                f"({'; '.join(record.reasons)})",
                file=record.files.csr,
            )
            for record in waiting
        ),
        hint="wait for the certificate, or withdraw the waiting request and create a new "
        "request: --withdraw (in Python: withdraw=True)",
    )


def request_revocations(manifest: Manifest, order: Order) -> Manifest:
    """Record that the CA must revoke the certificates of each compromised key."""
    revocation = Revocation(reason=KEY_COMPROMISE, asked_at=order.now)
    records = []
    for name in sorted(order.compromised):
        record = manifest.by_id[name]
        before = record.covering_certificate
        if before is not None and find_generations(record).held is before and not before.revocation:
            record = record.with_covering_certificate(replace(before, revocation=revocation))
        for part in find_compromised_generations(record, date.fromisoformat(order.now[:10])):
            record = record.with_generation(part.generation, revocation=revocation)
        records.append(record)
    return manifest.with_records(records)


def record_deadlines(manifest: Manifest, order: Order) -> Manifest:
    """Record by which date certificates must be replaced, because the CA will revoke them."""
    if not order.replace_by:
        return manifest
    changed = (
        (record, record.with_deadline(order.ending, order.replace_by))
        for record in manifest.requests
    )
    return manifest.with_records(new for old, new in changed if new != old)


def _omit_covered_request(
    old_record: RequestRecord | None,
    request: Wanted,
    renewal_reasons: tuple[str, ...],
    *,
    now: str,
    cover_date: date | None,
) -> tuple[RequestRecord, Change] | None:
    """Return the new record and the change for a request that an installed certificate covers.

    For any other request, return None.
    """
    before = old_record.covered if old_record is not None else None
    cover = request.covered
    if cover is None and (renewal_reasons or _explain_lost_cover(old_record, request, cover_date)):
        return None
    cover = cover or before
    if cover is None:
        return None
    if before is not None and replace(cover, recorded_at="", others={}) == replace(
        before, recorded_at="", others={}
    ):
        # The same covering certificate is recorded again, so the recorded time does not change.
        cover = before
    new = _make_planned_record(request, generation=1, reasons=(str(cover),), now=now)
    new = replace(new, covered=cover, key_holder="")
    if old_record is None:
        return new, _build_change("covered", new, new.reasons)
    new = replace(
        new,
        generation=old_record.generation,
        archived=old_record.archived,
        plan=_keep_unknown_fields(new.plan, old_record.plan),
        gone=old_record.gone,
        number=old_record.number,
        others=old_record.others,
    )
    if cover is before:
        # An earlier version of lyncnb may have described the same certificate in other words.
        new = replace(new, reasons=old_record.reasons)
    if replace(new, planned_at=old_record.planned_at) == old_record:
        return old_record, _build_change("kept", old_record, ())
    if cover is before:
        new = replace(new, planned_at=old_record.planned_at)
        return new, _build_change(
            "kept", new, list_entry_differences(old_record.plan, new.plan, ABOUT)
        )
    return new, _build_change("covered", new, new.reasons)


def _explain_lost_cover(
    old_record: RequestRecord | None, request: Wanted, cover_date: date | None
) -> tuple[str, ...]:
    """Return why the recorded certificate no longer covers a request, or "" if it still does."""
    cover = old_record.covered if old_record is not None else None
    if old_record is None or cover is None:
        return ()
    if cover_date is not None and not cover.is_in_force(convert_to_time(cover_date)):
        return (f"no longer {cover}, because the certificate is not valid on {cover_date}",)
    before, after = (replace(e, san=tuple(sorted(e.san))) for e in (old_record.plan, request.entry))
    reasons = list_entry_differences(before, after, (*CONTENT, "issuer"))
    return (f"no longer {cover}", *reasons) if reasons else ()


def _resume_announced_request(
    old_record: RequestRecord, request: Wanted, renewal_reasons: tuple[str, ...], now: str
) -> tuple[RequestRecord, Change]:
    """Return the new record of a request that another computer is to create.

    The computer that creates the key does not change, unless the current run specifies another one
    or renews the request.
    """
    stays = not renewal_reasons and not old_record.plan.at_set_up
    holder = request.key_holder or (old_record.key_holder if stays else "")
    new = _make_planned_record(
        request,
        generation=old_record.generation,
        reasons=renewal_reasons or old_record.reasons,
        now=now,
    )
    new = replace(
        new,
        archived=old_record.archived,
        stood_before=old_record.covered or old_record.stood_before,
        key_holder=holder,
        plan=_keep_unknown_fields(new.plan, old_record.plan),
        gone=old_record.gone,
        number=old_record.number,
        others=old_record.others,
    )
    if replace(new, planned_at=old_record.planned_at) == old_record:
        new = old_record  # The announcement is the same as before, so its time does not change.
    if holder and new is old_record:
        return old_record, _build_change("kept", old_record, ())
    action = _choose_action(new, "renewed" if old_record.archived else "created")
    return new, _build_change(action, new, new.reasons)


def _choose_action(record: RequestRecord, action: str) -> str:
    """Return ``at set-up`` if the certificate is requested during server setup, else `action`."""
    return "at set-up" if record.plan.at_set_up else action


def _make_planned_record(
    request: Wanted, *, generation: int, reasons: tuple[str, ...], now: str
) -> RequestRecord:
    certificate = request.certificate
    return RequestRecord(
        id=request.id,
        generation=generation,
        files=list_current_files(request.id),
        planned_at=now,
        reasons=reasons,
        ca=certificate.ca,
        target_os=certificate.target_os,
        rule=certificate.rule,
        validity_days=request.validity_days,
        plan=request.entry,
        name_notes=request.name_notes,
        key_holder=request.key_holder,
    )


def _make_renewed_record(
    old_record: RequestRecord, request: Wanted, reasons: tuple[str, ...], now: str
) -> tuple[RequestRecord, Change]:
    follower = old_record.build_next_generation(at=now, reasons=reasons)
    new = _make_planned_record(request, generation=follower.generation, reasons=reasons, now=now)
    new = replace(
        new, archived=follower.archived, stood_before=old_record.stood_before, gone=old_record.gone,
        others=old_record.others,
    )  # fmt: skip
    return new, _build_change("renewed", new, reasons)


def _make_kept_record(
    old_record: RequestRecord, request: Wanted, entry: PlannedEntry
) -> tuple[RequestRecord, Change]:
    certificate = request.certificate
    differences = list_entry_differences(old_record.plan, entry, ABOUT)
    new = replace(
        old_record,
        state=old_record.active_state,
        retired_at="",
        ca=certificate.ca,
        target_os=certificate.target_os,
        rule=certificate.rule,
        validity_days=request.validity_days,
        plan=_keep_unknown_fields(entry, old_record.plan),
    )
    if new == old_record:
        # The record is equal, so the old object is used again, which saves memory. A name that is
        # only spelled differently in the table does not change the request.
        return old_record, _build_change("kept", old_record, ())
    new = replace(new, name_notes=request.name_notes)
    if old_record.state == "retired":
        return new, _build_change(
            "adopted", new, ("unchanged; the plan contains this certificate again", *differences)
        )
    return new, _build_change("kept", new, differences)


def record_saved_plan(
    plans: tuple[PlanOnRecord, ...], saved_plan: PlanOnRecord | None
) -> tuple[PlanOnRecord, ...]:
    """Record a saved plan as the last plan of the folder.

    If it is already the last plan, the recorded times do not change.
    """
    if saved_plan is None:
        return plans
    if not plans or plans[-1].sha256 != saved_plan.sha256:
        return (*plans, saved_plan)
    last = plans[-1]
    new_approvals = tuple(
        approval
        for approval in saved_plan.approvals
        if not any(map(approval.is_same, last.approvals))
    )
    return (*plans[:-1], replace(last, approvals=(*last.approvals, *new_approvals)))


def reject_rollback(plans: tuple[PlanOnRecord, ...], saved_plan: PlanOnRecord | None) -> None:
    """Reject a saved plan that was replaced, or that is older than the recorded plan.

    A signature does not expire. Therefore, a person who can write the plan's file can restore a
    plan that was approved earlier. If the user specifies a reason, lyncnb accepts the plan and
    records the reason.

    Raises
    ------
    ApprovalError
        With the plan that it would replace.
    """
    if (
        saved_plan is None
        or not plans
        or plans[-1].sha256 == saved_plan.sha256
        or saved_plan.reason
    ):
        return
    last = plans[-1]
    if any(plan.sha256 == saved_plan.sha256 for plan in plans):
        reason = "the folder contains a newer plan that replaced this plan"
    elif saved_plan.judged_on < last.judged_on:
        reason = f"the evaluation date {saved_plan.judged_on} is earlier than {last.judged_on}"
    else:
        return
    raise ApprovalError(
        f"the saved plan ({saved_plan.shown_as} {saved_plan.shown_sha256[:12]}…) is older than the "
        f"plan on record in the folder ({last.shown_as} {last.shown_sha256[:12]}…): {reason}",
        hint="to create requests from the older plan, specify a reason: --reason TEXT",
    )


def reject_late_requests(order: Order, old_manifest: Manifest, new_manifest: Manifest) -> None:
    """Raise an error if new requests would be created after the planned issue date."""
    if order.late is None:
        return
    known = {(record.id, record.generation) for record in old_manifest.requests}
    if any(
        record.needs_writing or (record.key_holder and (record.id, record.generation) not in known)
        for record in new_manifest.requests
        if record.state != "retired"
    ):
        reject_errors([order.late])


def record_plan(
    new_manifest: Manifest,
    old_manifest: Manifest,
    order: Order,
    plan_file: bytes,
    *,
    is_same_plan: bool,
) -> Manifest:
    """Return the manifest with the plan, its accepted findings, and its approval."""
    new_manifest = new_manifest.with_records(
        replace(record, approved_plan=order.approved_plan)
        for record in new_manifest.requests
        if record.needs_writing and record.approved_plan != order.approved_plan
    )
    if order.is_own_plan:
        if not is_same_plan:
            raise BundleError(
                (
                    "another lyncnb command changed the plan in the folder, so this command "
                    "changed nothing"
                ),
                hint="run the command again",
            )
        return new_manifest
    new_manifest = replace(
        new_manifest,
        product=order.plan.rules.product,
        product_sha256=order.plan.rules.file_sha256,
        plan_sha256=order.plan.sha256,
        accepted=order.accepted,
        plans=record_saved_plan(new_manifest.plans, order.saved),
        team=order.team or new_manifest.team,
        plan_json_sha256=hashlib.sha256(plan_file).hexdigest(),
        table=_find_table_data(order, old_manifest.table if is_same_plan else None),
    )
    if old_manifest.plan_sha256 != order.plan.sha256:
        # A saved plan has the reason in its own record.
        replaced = "" if order.renew or order.saved else order.reason
        for event, why in (("unapproved-plan", order.unapproved), ("plan-replaced", replaced)):
            new_manifest = (
                new_manifest.with_event(event, why, now=order.now) if why else new_manifest
            )
    return new_manifest


def _find_table_data(order: Order, old_table: TableOnRecord | None) -> TableOnRecord:
    """Return the data that a saved plan lacks: the table's name, language, and notes."""
    notes = (
        TableNote(
            place=spelling.place,
            written=spelling.written,
            requested=spelling.requested,
            what=spelling.what,
        )
        for spelling in find_spellings(order.plan)
    )
    return TableOnRecord(
        name=old_table.name if old_table else order.plan.topology.source,
        lang=order.plan.options.lang,
        notes=tuple(notes),
        others=old_table.others if old_table else {},
    )


def record_written_requests(
    manifest: Manifest, written_files: Mapping[str, Mapping[str, Any]], *, now: str
) -> Manifest:
    """Record that requests were written to files.

    Parameters
    ----------
    manifest : Manifest
        The manifest that announces the requests.
    written_files : Mapping
        The hashes of each request by the name of the field, by id.
    now : str
        The time to record, UTC, ISO 8601.
    """
    return manifest.with_records(
        replace(
            manifest.by_id[name],
            state="waiting",
            written_at=now,
            files=list_current_files(build_file_stem(name, hashes["spki_sha256"])),
            **hashes,
        )
        for name, hashes in written_files.items()
    )
