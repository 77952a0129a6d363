"""Decide which requests in a folder a plan creates, keeps, renews, or retires, and why.

This module reads and writes no files. Its input is a manifest and the entries of a plan,
and its output is records and ``Change`` rows. A dry run therefore reports exactly what a
run would do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date

from ..base.planned_entry import PlannedEntry
from ..base.shown.tables import count_of
from ..checks.check_plan import choose_evaluation_date
from ..checks.option_checks import LATE
from ..errors import (
    ApprovalError,
    BundleError,
    OptionsError,
    PlanError,
    PlanRejected,
    Problem,
    RequestWaits,
)
from ..pki.certificates import convert_to_time
from ..plan.acceptances import find_acceptance, list_accepted_codes
from ..plan.model import CertificatePlan, PlannedCertificate, planned_entry
from ..plan.saved_plan_json import saved_plan
from ..plan.spellings import Spelling, find_certificate_spellings
from ..request_folder.bundle import Change
from ..request_folder.generations import (
    KEY_COMPROMISE,
    find_compromised_generations,
    generations_of,
)
from ..request_folder.manifest import Manifest
from ..request_folder.request_record import (
    Acceptance,
    CoveringCertificate,
    NameNote,
    PlanOnRecord,
    RequestRecord,
    Revocation,
    list_current_files,
)
from ..rules.findings import Finding, Findings, create_finding, grouped
from ..rules.returned_rules import may_be_accepted, returned_checks
from .covers import NO_COVERS, Covers
from .entry_differences import ABOUT, CONTENT, entry_differences
from .resolve_ids import resolve_ids

_JUDGED_ON = re.compile(rb'^"judged_on": "([0-9]{4}-[0-9]{2}-[0-9]{2})",$', re.MULTILINE)
_DIGITS = 12  # The number of digits of a digest in messages.
_INTERRUPTED = "key and CSR from an interrupted run"

Compare = Callable[[RequestRecord, PlannedCertificate], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One planned request with its ID.

    ``key_holder`` names the computer that makes a new key. Blank means this computer.
    ``covered`` is the certificate that covers the request, so that nothing is requested.
    """

    id: str
    certificate: PlannedCertificate
    validity_days: int = 0
    name_notes: tuple[NameNote, ...] = ()
    key_holder: str = ""
    covered: CoveringCertificate | None = None

    @property
    def entry(self) -> PlannedEntry:
        """The entry in the plan document.

        It is created on demand, because there may be 100,000 entries.
        """
        return planned_entry(self.certificate)


def _keep_unknown_fields(entry: PlannedEntry, old: PlannedEntry) -> PlannedEntry:
    """Keep the unknown fields that a later version of lyncnb wrote."""
    key = entry.key
    if key is not None and old.key is not None and old.key.others:
        key = replace(key, others=old.key.others)
    return replace(entry, key=key, others=old.others)


def resolve_renewals(wanted: Sequence[Wanted], renew: Sequence[str]) -> frozenset[str]:
    """Return the IDs to renew for IDs or their unique beginnings.

    Raises
    ------
    BundleError
        If an ID or beginning matches no planned request, or several.
    """
    ids = [request.id for request in wanted]
    return resolve_ids(ids, renew, option="renew", error=BundleError)


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
        return ()  # An interrupted run already started this renewal.
    if is_withdrawn and waits(old):
        digest = old.csr_sha256[:_DIGITS]
        words = (
            f"withdrawn: the request of generation {old.generation} with the CSR SHA-256 {digest}…"
        )
        return (*renewed, words)
    return renewed


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
        "A new request would withdraw a request that the CA may have received",
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
        return new, _change("adopted", new, ("back in the plan, unchanged", *about))
    return new, _change("kept", new, about)


# ``Order``: the requests of a plan that may be written, and renewals.


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A task for a request folder: the plan's requests, renewals, and accepted findings."""

    plan: CertificatePlan
    findings: Sequence[Finding]
    wanted: tuple[Wanted, ...]
    accepted: tuple[Acceptance, ...]
    renew: frozenset[str]
    reason: str
    now: str

    #: The findings as the summary shows them. Accepted findings have a reason.
    told_findings: Findings
    #: The day on which a certificate that covers a request must be in force.
    covered_on: date | None
    #: The evaluation date of the findings.
    judged_on: date
    #: The finding that the planned issue date has passed, which is an error for new requests.
    late: Finding | None = None
    notes: tuple[str, ...] = ()

    #: Whether the plan is the saved plan in the folder. Then only requests and keys change.
    is_own_plan: bool = False
    #: Requests to renew that may be withdrawn although they wait for a certificate.
    withdrawn: frozenset[str] = frozenset()
    #: Requests with a compromised key. The CA must revoke their certificates.
    compromised: frozenset[str] = frozenset()
    #: The SHA-256 digest of the approved plan of new requests. Blank if the plan is not approved.
    approved_plan: str = ""

    #: The saved plan that is requested, if any, and its file.
    saved: PlanOnRecord | None = None
    saved_file: bytes = field(default=b"", repr=False)
    #: The reason to request this plan, although another plan was approved for the folder.
    unapproved: str = ""
    #: The group whose members share the folder.
    team: str = ""

    def plan_file(self, present: bytes) -> bytes:
        """Return the content for ``plan.json``.

        A plan that equals the present file keeps that file's evaluation date.
        """
        if self.saved_file:
            return self.saved_file
        data = b""
        for day in dict.fromkeys((*_find_evaluation_date(present), self.judged_on)):
            data = saved_plan(self.plan, self.findings, judged_on=day)
            if data == present:
                break
        return data

    def told_for(self, plan_file: bytes) -> Findings:
        """Return the findings for the summary, with the evaluation date of the plan's file."""
        return replace(
            self.told_findings, judged_on=next(_find_evaluation_date(plan_file), self.judged_on)
        )


def _find_evaluation_date(saved: bytes) -> Iterator[date]:
    """Return the evaluation date in the file of a saved plan, if it has one."""
    with suppress(ValueError):
        if found := _JUDGED_ON.search(saved):
            yield date.fromisoformat(found[1].decode())


def make_order(
    plan: CertificatePlan,
    *,
    findings: Sequence[Finding],
    accept: Mapping[str, str] | None,
    renew: Sequence[str],
    reason: str,
    now: str,
    key_holders: Mapping[str, str] | None = None,
    covers: Covers = NO_COVERS,
) -> Order:
    """Check that a plan may be written, and return the task for the folder.

    ``key_holders`` names the computer that makes a key, by id; other keys are made here, or on the
    server at set-up. ``covers`` are the requests that are left out.

    Raises
    ------
    PlanRejected
        If it has error findings whose codes are not accepted.
    PlanError
        If two of its requests have the same id.
    OptionsError
        If an acceptance or a renewal has no reason.
    BundleError
        If an id to renew fits no planned request, or several.
    """
    accept = accept or {}
    _check_reasons({**plan.options.accepted, **accept})
    errors = [finding for finding in findings if finding.severity == "error"]
    today = date.fromisoformat(now[:10]) if now else None
    day = choose_evaluation_date(plan, getattr(findings, "judged_on", None), today=today)
    why_each = {
        finding: accept.get(finding.code) or find_acceptance(finding, plan.options, on=day)
        for finding in errors
    }
    refuse_errors([finding for finding in errors if not why_each[finding]])
    late = _make_late_error(plan, today) if today else None
    why_late = accept.get(LATE) or (late and find_acceptance(late, plan.options, on=day)) or ""
    # Codes accepted for issued certificates are recorded before the first one is received.
    counting = {**list_accepted_codes((), plan.options, on=day), **accept}
    used = {code: why for code, why in counting.items() if code in returned_checks()}
    used |= {finding.code: why for finding, why in why_each.items()}
    used |= {LATE: why_late} if late and why_late else {}
    wanted = tuple(_list_wanted(plan, key_holders or {}, covers))
    _refuse_twins(wanted)
    renew = (renew,) if isinstance(renew, str) else tuple(renew)
    if renew and not reason.strip():
        raise OptionsError(
            f"renew: {', '.join(renew)} has no reason", hint="specify the reason: --reason TEXT"
        )
    renewed = resolve_renewals(wanted, renew)
    if both := sorted(renewed & covers.by_id.keys()):
        raise OptionsError(
            f"renew, reuse: {', '.join(both)} cannot be renewed and left out at the same time",
            hint="use only one of renew and reuse for each request",
        )
    return Order(
        plan=plan,
        findings=findings,
        wanted=wanted,
        told_findings=Findings(
            tuple(
                one.accepted_because(why_each[one]) if one in why_each else one for one in findings
            ),
            day,
        ),
        accepted=tuple(Acceptance(code=code, reason=used[code]) for code in sorted(used)),
        renew=renewed,
        reason=reason.strip(),
        now=now,
        covered_on=covering_day(plan, now),
        judged_on=day,
        late=None if why_late else late,
        notes=covers.notes,
    )


def _make_late_error(plan: CertificatePlan, today: date) -> Finding | None:
    """Return the error that the planned issue date has passed, with the date to set."""
    planned, rule = plan.options.planned_issue_date, plan.rules.checks.get(LATE)
    if planned is None or planned >= today or rule is None:
        return None
    place = next((name for one in plan.certificates for name in one.servers), "")
    message = f"planned_issue_date is {planned}, but new requests are sent on {today} or later"
    hint = f"set planned_issue_date in plan.toml to {today} or later, or remove the option"
    return replace(create_finding(rule, place, message), severity="error", hint=hint)


def _list_wanted(
    plan: CertificatePlan, key_holders: Mapping[str, str], covers: Covers
) -> Iterator[Wanted]:
    told = find_certificate_spellings(plan.certificates, plan.topology)
    for item in plan.certificates:
        yield Wanted(
            id=item.id,
            certificate=item,
            validity_days=plan.options.validity_for(item.issuer) or 0,
            name_notes=tuple(map(_format_name_note, told.get(item.id, ()))),
            key_holder=min(item.servers) if item.at_set_up else key_holders.get(item.id, ""),
            covered=covers.by_id.get(item.id),
        )


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


def _check_reasons(reasons: Mapping[str, str]) -> None:
    for code, why in reasons.items():
        if not why.strip():
            raise OptionsError(f'accept: "{code}" has no reason', hint=f"specify {code}=REASON")
        if code in returned_checks() and not may_be_accepted(code):
            raise OptionsError(
                f'accept: "{code}" cannot be accepted: {returned_checks()[code].title}',
                hint=returned_checks()[code].hint,
            )


def covering_day(plan: CertificatePlan, now: str) -> date:
    """Return the day on which a covering certificate must be valid: the issue date or today."""
    today = date.fromisoformat(now[:10]) if now else choose_evaluation_date(plan)
    return max(plan.options.planned_issue_date or today, today)


def _format_name_note(told: Spelling) -> NameNote:
    where = f" ({told.place})" if told.place else ""
    return NameNote(name=told.requested, written=told.written, note=told.what + where)


def _refuse_twins(wanted: Sequence[Wanted]) -> None:
    # Two requests with the same ID would share a key file, and the manifest could not distinguish
    # them.
    twice = [name for name, number in Counter(item.id for item in wanted).items() if number > 1]
    if twice:
        raise PlanError(
            f"the plan has two requests with the id {twice[0]}",
            hint="check whether a server appears twice in the table",
        )


def refuse_errors(errors: Sequence[Finding]) -> None:
    """Refuse a plan with errors.

    Raises
    ------
    PlanRejected
        If the plan has errors. The exception lists all of them.
    """
    if not errors:
        return
    codes = sorted({finding.code for finding in errors})
    raise PlanRejected(
        f"the plan has {count_of(len(errors), 'error')} ({', '.join(codes)}), "
        "so nothing was written",
        problems=tuple(
            Problem(message=f"{', '.join(entry.codes)}: {entry.message}", hint=entry.hint)
            for entry in grouped(errors)[:20]
        ),
        hint=f"correct the table, or accept each code with a reason: {codes[0]}=REASON",
    )
