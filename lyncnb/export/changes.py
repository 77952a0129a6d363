"""Decide which requests in a folder a plan creates, keeps, renews, or retires, and why.

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
from ..base.shown.tables import count_of
from ..base.times import convert_to_time
from ..errors import (
    ApprovalError,
    BundleError,
    Problem,
    RequestWaits,
)
from ..plan.model import PlannedCertificate
from ..plan.spellings import spellings
from ..request_folder.bundle import Change
from ..request_folder.generations import (
    KEY_COMPROMISE,
    find_compromised_generations,
    generations_of,
)
from ..request_folder.manifest import Manifest
from ..request_folder.request_record import (
    PlanOnRecord,
    RequestRecord,
    Revocation,
    TableNote,
    TableOnRecord,
    list_current_files,
)
from .entry_differences import ABOUT, CONTENT, entry_differences
from .order import Order, Wanted, refuse_errors

_DIGITS = 12  # The number of digits of a digest in messages.
_INTERRUPTED = "key and CSR from an interrupted lyncnb command"

Compare = Callable[[RequestRecord, PlannedCertificate], tuple[str, ...]]


def _keep_unknown_fields(entry: PlannedEntry, old: PlannedEntry) -> PlannedEntry:
    """Keep the unknown fields that a later version of lyncnb wrote."""
    key = entry.key
    if key is not None and old.key is not None and old.key.others:
        key = replace(key, others=old.key.others)
    return replace(entry, key=key, others=old.others)


def plan_changes(
    manifest: Manifest,
    wanted: Sequence[Wanted],
    *,
    now: str,
    renew: frozenset[str] = frozenset(),
    reason: str = "",
    compare: Compare | None = None,
    adopted: frozenset[str] = frozenset(),
    withdrawn: frozenset[str] = frozenset(),
    on: date | None = None,
) -> tuple[Manifest, tuple[Change, ...]]:
    """Decide the change of each request, planned or on record.

    Parameters
    ----------
    manifest : Manifest
        The folder's, settled: a record that is not written has no files.
    wanted : sequence of Wanted
        n requests in the order of the plan.
    now : str
        The time to record, UTC, ISO 8601.
    renew : frozenset of str, optional
        Ids to renew although nothing changed.
    reason : str, optional
        Why they are renewed.
    compare : callable, optional
        Returns how the CSR in the folder differs from a planned certificate. The file decides,
        not the record, because a CA may have it: an edited record must not replace a request.
    adopted : frozenset of str, optional
        Ids whose key and CSR come from an interrupted run and are recorded only now.
    withdrawn : frozenset of str, optional
        Ids of `renew` whose request is withdrawn although it waits for its certificate.
    on : date, optional
        The day on which a certificate that covers a request must be in force.

    Returns
    -------
    tuple of (Manifest, tuple of Change)
        Records in the order of the plan, then those that left it; changes in the same order.
    """
    records, changes = [], []
    for request in wanted:
        old = manifest.by_id.get(request.id)
        renewed: tuple[str, ...] = ()
        if request.id in renew:
            renewed = _explain_renewal(
                old,
                reason,
                is_withdrawn=request.id in withdrawn,
                is_adopted=request.id in adopted,
            )
        record, change = _make_next_record(
            old, request, now=now, renewed=renewed, compare=compare, adopted=adopted, on=on
        )
        if request.id in adopted and change.action == "kept":
            change = _change("adopted", record, (_INTERRUPTED, *change.reasons))
        records.append(record)
        changes.append(change)
    planned = {request.id for request in wanted}
    for old in manifest.requests:
        if old.id in planned or not (old.is_written or old.archived):
            continue
        if old.state != "retired":
            changes.append(_change("retired", old, ("no longer in the plan",)))
            old = replace(old, state="retired", retired_at=now)
        records.append(old)
    return replace(manifest, requests=tuple(records)), tuple(changes)


def _change(action: str, record: RequestRecord, reasons: tuple[str, ...]) -> Change:
    return Change(action=action, id=record.id, generation=record.generation, reasons=reasons)


def _make_next_record(
    old: RequestRecord | None,
    request: Wanted,
    *,
    now: str,
    renewed: tuple[str, ...],
    compare: Compare | None,
    adopted: frozenset[str],
    on: date | None,
) -> tuple[RequestRecord, Change]:
    if old is None or not old.is_written:
        covered = _leave_out_covered(old, request, renewed, now=now, on=on)
        if covered is not None:
            return covered
    if old is None:
        new = _make_planned_record(request, generation=1, reasons=("new in the plan",), now=now)
        return new, _change(_choose_announcement(new, "created"), new, new.reasons)
    if not old.is_written:
        return _continue_announced(
            old, request, renewed or _explain_lost_cover(old, request, on), now
        )
    entry = request.entry
    reasons = entry_differences(old.plan, entry)
    if compare is not None and (reasons or request.id in adopted):
        reasons = compare(old, request.certificate)
    if reasons or renewed:
        return _make_renewed_record(old, request, (*reasons, *renewed), now)
    return _make_kept_record(old, request, entry)


def waits(record: RequestRecord) -> bool:
    """Return whether a request may be with a CA that has not issued its certificate."""
    return record.is_written and record.issued is None


def _explain_renewal(
    old: RequestRecord | None, reason: str, *, is_withdrawn: bool, is_adopted: bool
) -> tuple[str, ...]:
    """Return why a request is renewed, and whether a waiting request is withdrawn."""
    renewed = (f"renewed: {reason}",)
    if old is None:
        return renewed
    if is_adopted and old.reasons[:1] == renewed:
        return ()  # An interrupted run already began this renewal.
    if is_withdrawn and waits(old):
        digest = old.csr_sha256[:_DIGITS]
        words = (
            f"withdrawn: the request of generation {old.generation} with the CSR SHA-256 {digest}…"
        )
        return (*renewed, words)
    return renewed


def list_waiting_renewals(manifest: Manifest, order: Order) -> frozenset[str]:
    """Return the requests that were renewed for the same reason and wait for their certificate."""
    renewed = (f"renewed: {order.reason}",)
    return frozenset(
        record.id
        for record in manifest.requests
        if record.id in order.renew and waits(record) and record.reasons[:1] == renewed
    )


def refuse_waiting(manifest: Manifest, order: Order) -> None:
    """Refuse to renew a request that waits for its certificate, unless it may be withdrawn.

    Raises
    ------
    RequestWaits
        If requests wait. The exception lists all of them.
    """
    kept = order.renew - order.withdrawn if order.is_own_plan else frozenset()
    waiting = [record for record in manifest.requests if record.id in kept and waits(record)]
    if not waiting:
        return
    raise RequestWaits(
        f"the CA has not yet issued a certificate for {count_of(len(waiting), 'renewal request')}. "
        "If you create a new request, lyncnb withdraws the waiting request, which the CA may "
        "already have received",
        problems=tuple(
            Problem(
                message=f"generation {one.generation} was requested on {one.written_at[:10]} "
                f"({'; '.join(one.reasons)})",
                file=one.files.csr,
            )
            for one in waiting
        ),
        hint="wait for the certificate, or withdraw the waiting request and create a new "
        "request: --withdraw",
    )


def ask_to_revoke(manifest: Manifest, order: Order) -> Manifest:
    """Record that the CA must revoke the certificates of each compromised key."""
    asked = Revocation(reason=KEY_COMPROMISE, asked_at=order.now)
    records = []
    for name in sorted(order.compromised):
        record = manifest.by_id[name]
        before = record.covering
        if before is not None and generations_of(record).held is before and not before.revocation:
            record = record.with_covering(replace(before, revocation=asked))
        for part in find_compromised_generations(record, date.fromisoformat(order.now[:10])):
            record = record.with_generation(part.generation, revocation=asked)
        records.append(record)
    return manifest.with_records(records)


def _leave_out_covered(
    old: RequestRecord | None,
    request: Wanted,
    renewed: tuple[str, ...],
    *,
    now: str,
    on: date | None,
) -> tuple[RequestRecord, Change] | None:
    """Leave out a request that a certificate covers. Return None if no certificate covers it."""
    before = old.covered if old is not None else None
    cover = request.covered
    if cover is None and (renewed or _explain_lost_cover(old, request, on)):
        return None
    cover = cover or before
    if cover is None:
        return None
    if before is not None and replace(cover, recorded_at="", others={}) == replace(
        before, recorded_at="", others={}
    ):
        cover = before  # The cover is recorded again, so its time does not change.
    new = _make_planned_record(request, generation=1, reasons=(str(cover),), now=now)
    new = replace(new, covered=cover, key_holder="")
    if old is None:
        return new, _change("covered", new, new.reasons)
    new = replace(
        new,
        generation=old.generation,
        archived=old.archived,
        plan=_keep_unknown_fields(new.plan, old.plan),
        number=old.number,
        others=old.others,
    )
    if replace(new, planned_at=old.planned_at) == old:
        return old, _change("kept", old, ())
    if cover is before:
        new = replace(new, planned_at=old.planned_at)
        return new, _change("kept", new, entry_differences(old.plan, new.plan, ABOUT))
    return new, _change("covered", new, new.reasons)


def _explain_lost_cover(
    old: RequestRecord | None, request: Wanted, on: date | None
) -> tuple[str, ...]:
    """Return why the recorded certificate no longer covers a request, or "" if it still does."""
    cover = old.covered if old is not None else None
    if old is None or cover is None:
        return ()
    if on is not None and not cover.is_in_force(convert_to_time(on)):
        return (f"no longer {cover}, because that certificate is not valid on {on}",)
    before, after = (replace(e, san=tuple(sorted(e.san))) for e in (old.plan, request.entry))
    reasons = entry_differences(before, after, (*CONTENT, "issuer"))
    return (f"no longer {cover}", *reasons) if reasons else ()


def _continue_announced(
    old: RequestRecord, request: Wanted, renewed: tuple[str, ...], now: str
) -> tuple[RequestRecord, Change]:
    """Continue a request that has no files yet, and return its new record.

    The computer that makes its key does not change, unless this run names another one or renews
    the request.
    """
    stays = not renewed and not old.plan.at_set_up
    holder = request.key_holder or (old.key_holder if stays else "")
    new = _make_planned_record(
        request, generation=old.generation, reasons=renewed or old.reasons, now=now
    )
    new = replace(
        new,
        archived=old.archived,
        stood_before=old.covered or old.stood_before,
        key_holder=holder,
        plan=_keep_unknown_fields(new.plan, old.plan),
        number=old.number,
        others=old.others,
    )
    if replace(new, planned_at=old.planned_at) == old:
        new = old  # The announcement is the same, so its time does not change.
    if holder and new is old:
        return old, _change("kept", old, ())
    action = _choose_announcement(new, "renewed" if old.archived else "created")
    return new, _change(action, new, new.reasons)


def _choose_announcement(new: RequestRecord, action: str) -> str:
    """Return the action for a request, or that it is made during server setup."""
    return "at set-up" if new.plan.at_set_up else action


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
    old: RequestRecord, request: Wanted, reasons: tuple[str, ...], now: str
) -> tuple[RequestRecord, Change]:
    new = _make_planned_record(request, generation=old.generation + 1, reasons=reasons, now=now)
    archived = old.superseded(at=now, reasons=reasons).archived
    new = replace(new, archived=archived, stood_before=old.stood_before, others=old.others)
    return new, _change("renewed", new, reasons)


def _make_kept_record(
    old: RequestRecord, request: Wanted, entry: PlannedEntry
) -> tuple[RequestRecord, Change]:
    certificate = request.certificate
    about = entry_differences(old.plan, entry, ABOUT)
    new = replace(
        old,
        state=old.active_state,
        retired_at="",
        ca=certificate.ca,
        target_os=certificate.target_os,
        rule=certificate.rule,
        validity_days=request.validity_days,
        plan=_keep_unknown_fields(entry, old.plan),
    )
    if new == old:
        return old, _change("kept", old, ())  # Keep one object in memory instead of two equal ones.
    # Another spelling of a name in the table is not a change: the request is the same.
    new = replace(new, name_notes=request.name_notes)
    if old.state == "retired":
        return new, _change("adopted", new, ("unchanged, and again in the plan", *about))
    return new, _change("kept", new, about)


def with_saved_plan(
    plans: tuple[PlanOnRecord, ...], saved: PlanOnRecord | None
) -> tuple[PlanOnRecord, ...]:
    """Record a saved plan as the last one; if it is already the last, its times do not change."""
    if saved is None:
        return plans
    if not plans or plans[-1].sha256 != saved.sha256:
        return (*plans, saved)
    last = plans[-1]
    news = tuple(one for one in saved.approvals if not any(map(one.is_same, last.approvals)))
    return (*plans[:-1], replace(last, approvals=(*last.approvals, *news)))


def refuse_rollback(plans: tuple[PlanOnRecord, ...], saved: PlanOnRecord | None) -> None:
    """Refuse a saved plan that was replaced, or is older than the one on record.

    A signature does not expire: a person who can write the plan's file can restore one that was
    approved earlier. With a reason, the plan is accepted and the reason is recorded.

    Raises
    ------
    ApprovalError
        With the plan that it would replace.
    """
    if saved is None or not plans or plans[-1].sha256 == saved.sha256 or saved.reason:
        return
    last = plans[-1]
    if any(one.sha256 == saved.sha256 for one in plans):
        why = "the folder contains a newer plan that replaced this plan"
    elif saved.judged_on < last.judged_on:
        why = f"the evaluation date {saved.judged_on} is earlier than {last.judged_on}"
    else:
        return
    raise ApprovalError(
        f"the saved plan ({saved.shown_as} {saved.shown_sha256[:12]}…) is older than the plan that "
        f"the folder has on record ({last.shown_as} {last.shown_sha256[:12]}…): {why}",
        hint="to request the older plan, specify a reason: --reason TEXT",
    )


def refuse_late(order: Order, before: Manifest, after: Manifest) -> None:
    """Refuse new requests, here or on another computer, after the planned issue date."""
    if order.late is None:
        return
    known = {(record.id, record.generation) for record in before.requests}
    if any(
        record.is_to_write or (record.key_holder and (record.id, record.generation) not in known)
        for record in after.requests
        if record.state != "retired"
    ):
        refuse_errors([order.late])


def record_plan(
    after: Manifest, before: Manifest, order: Order, plan_file: bytes, *, is_present: bool
) -> Manifest:
    """Return the manifest with the plan, its accepted findings, and its approval."""
    after = after.with_records(
        replace(record, approved_plan=order.approved_plan)
        for record in after.requests
        if record.is_to_write and record.approved_plan != order.approved_plan
    )
    if order.is_own_plan:
        if not is_present:
            raise BundleError(
                (
                    "another lyncnb command changed the plan in the folder, so this command "
                    "changed nothing"
                ),
                hint="run the command again",
            )
        return after
    after = replace(
        after,
        product=order.plan.rules.product,
        product_sha256=order.plan.rules.file_sha256,
        plan_sha256=order.plan.sha256,
        accepted=order.accepted,
        plans=with_saved_plan(after.plans, order.saved),
        team=order.team or after.team,
        plan_json_sha256=hashlib.sha256(plan_file).hexdigest(),
        table=_find_table(order, before.table if is_present else None),
        # The manifest of an earlier format keeps its own record of the summary.
        summary=after.summary if before.plan_json_sha256 else {},
    )
    if order.unapproved and before.plan_sha256 != order.plan.sha256:
        after = after.with_event("unapproved-plan", order.unapproved, at=order.now)
    return after


def _find_table(order: Order, before: TableOnRecord | None) -> TableOnRecord:
    """Return the data that the saved plan lacks: the table's name, language, and notes."""
    notes = (
        TableNote(place=one.place, written=one.written, requested=one.requested, what=one.what)
        for one in spellings(order.plan)
    )
    return TableOnRecord(
        name=before.name if before else order.plan.topology.source,
        lang=order.plan.options.lang,
        notes=tuple(notes),
        others=before.others if before else {},
    )


def record_written(
    manifest: Manifest, written: Mapping[str, Mapping[str, Any]], *, now: str
) -> Manifest:
    """Record requests as written.

    Parameters
    ----------
    manifest : Manifest
        The manifest that announces the requests.
    written : Mapping
        The hashes of each request by the name of the field, by id.
    now : str
        The time to record, UTC, ISO 8601.
    """
    return manifest.with_records(
        replace(manifest.by_id[name], state="waiting", written_at=now, **hashes)
        for name, hashes in written.items()
    )
