"""What a plan asks of a request folder: created, kept, renewed, adopted, retired, and why.

Pure: a manifest and a plan's entries in, records and ``Change`` rows out. Nothing is read or
written here, so that a dry run says exactly what a run would do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..authorities.planned_entry import planned_entry
from ..checks.check_plan import judging_day
from ..errors import BundleError, OptionsError, PlanError, PlanRejected, Problem
from ..plan.acceptances import accepted_codes, reason_for
from ..plan.model import CertificatePlan, PlannedCertificate
from ..plan.spellings import Spelling, spellings_of
from ..request_folder.bundle import Change
from ..request_folder.manifest import Manifest
from ..request_folder.request_record import (
    Acceptance,
    NameNote,
    PlannedEntry,
    PlannedKey,
    PlanOnRecord,
    RequestRecord,
    present_files,
)
from ..rules.findings import Finding
from ..rules.returned_rules import may_be_accepted, returned_checks

# Fields whose change needs another certificate; any other is told and kept on record.
_CONTENT = ("subject", "san", "eku", "key", "hash")
_ABOUT = ("servers", "site", "pool", "usages", "issuer", "shared_by", "exportable")

_INTERRUPTED = "key and CSR of an interrupted run"

Compare = Callable[[RequestRecord, PlannedCertificate], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One request as the plan wants it, under its id.

    ``key_holder`` names the computer on which a new key of it is to be made; blank: here.
    """

    id: str
    certificate: PlannedCertificate
    validity_days: int = 0
    name_notes: tuple[NameNote, ...] = ()
    key_holder: str = ""

    @property
    def entry(self) -> PlannedEntry:
        """Its entry of the plan document; made when asked, since there may be 100,000."""
        return planned_entry(self.certificate)


def entry_differences(
    old: PlannedEntry, new: PlannedEntry, names: Sequence[str] = _CONTENT
) -> tuple[str, ...]:
    """Say field by field how two entries of the plan document differ.

    Parameters
    ----------
    old, new : PlannedEntry
        Entries of the same request id.
    names : sequence of str, optional
        The fields to look at; by default those that a certificate is made of.

    Returns
    -------
    tuple of str
        E.g. ``("san: + lyncdiscover.fabrikam.com", "hash: sha1 -> sha256")``; empty if equal.
    """
    found = []
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            found.append(f"{name}: {_difference(before, after)}")
    return tuple(found)


def _difference(before: object, after: object) -> str:
    if isinstance(before, tuple) and isinstance(after, tuple):
        steps = [f"+ {value}" for value in after if value not in before]
        steps += [f"- {value}" for value in before if value not in after]
        return ", ".join(steps) or f"another order ({', '.join(map(str, after))})"
    if isinstance(before, PlannedKey | None) and isinstance(after, PlannedKey | None):
        before, after = _key_fields(before), _key_fields(after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = [*after, *(name for name in before if name not in after)]
        return ", ".join(
            f"{name} {_shown(before.get(name))} -> {_shown(after.get(name))}"
            for name in names
            if before.get(name) != after.get(name)
        )
    return f"{_shown(before)} -> {_shown(after)}"


def _with_others(entry: PlannedEntry, old: PlannedEntry) -> PlannedEntry:
    """Keep what a later lyncnb wrote beside the fields known here."""
    key = entry.key
    if key is not None and old.key is not None and old.key.others:
        key = replace(key, others=old.key.others)
    return replace(entry, key=key, others=old.others)


def _key_fields(key: PlannedKey | None) -> Mapping[str, object]:
    return {"algorithm": key.algorithm, "bits": key.bits} if key else {}


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "(none)" if value in (None, "") else str(value)


def resolve_renewals(wanted: Sequence[Wanted], renew: Sequence[str]) -> frozenset[str]:
    """Turn ids, or beginnings that fit one id only, into the ids to renew.

    Raises
    ------
    BundleError
        If one fits no planned request, or several.
    """
    ids = [request.id for request in wanted]
    known, found = frozenset(ids), set()
    for asked in renew:
        fitting = [asked] if asked in known else [name for name in ids if name.startswith(asked)]
        if len(fitting) != 1 or not asked:
            shown = ", ".join(fitting[:5] or ids[:5])
            raise BundleError(
                f'renew: "{asked}" fits {len(fitting) if asked else "any"} of the planned requests',
                hint=f"give an id, or enough of its beginning: {shown} …",
            )
        found.update(fitting)
    return frozenset(found)


def plan_changes(
    manifest: Manifest,
    wanted: Sequence[Wanted],
    *,
    now: str,
    renew: frozenset[str] = frozenset(),
    reason: str = "",
    compare: Compare | None = None,
    adopted: frozenset[str] = frozenset(),
) -> tuple[Manifest, tuple[Change, ...]]:
    """Decide what becomes of each request, planned or on record.

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
        Says how the CSR in the folder differs from a planned certificate. The file that may be
        with a CA decides, not the record: an edited record must not cost a request its place.
    adopted : frozenset of str, optional
        Ids whose key and CSR were left by an interrupted run and are on record only now.

    Returns
    -------
    tuple of (Manifest, tuple of Change)
        Records in the order of the plan, then those that left it; changes in the same order.
    """
    records, changes = [], []
    for request in wanted:
        old = manifest.by_id.get(request.id)
        renewed = (f"renewed: {reason}",) if request.id in renew else ()
        if old is not None and request.id in adopted and old.reasons == renewed:
            renewed = ()  # that renewal is the one that was interrupted
        record, change = _next(
            old, request, now=now, renewed=renewed, compare=compare, adopted=adopted
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


def _next(
    old: RequestRecord | None,
    request: Wanted,
    *,
    now: str,
    renewed: tuple[str, ...],
    compare: Compare | None,
    adopted: frozenset[str],
) -> tuple[RequestRecord, Change]:
    if old is None:
        new = _planned(request, generation=1, reasons=("new in the plan",), now=now)
        return new, _change("created", new, new.reasons)
    if not old.is_written:
        return _announced(old, request, renewed, now)
    entry = request.entry
    reasons = entry_differences(old.plan, entry)
    if compare is not None and (reasons or request.id in adopted):
        reasons = compare(old, request.certificate)
    if reasons or renewed:
        return _renewed(old, request, (*reasons, *renewed), now)
    return _kept(old, request, entry)


def _announced(
    old: RequestRecord, request: Wanted, renewed: tuple[str, ...], now: str
) -> tuple[RequestRecord, Change]:
    """Go on with a request that has no files yet: its run broke off, or its key is made elsewhere.

    Where its key is made stays as it was announced, unless this run has another computer for it,
    or it is renewed.
    """
    holder = request.key_holder if renewed else request.key_holder or old.key_holder
    new = _planned(request, generation=old.generation, reasons=renewed or old.reasons, now=now)
    new = replace(
        new,
        archived=old.archived,
        key_holder=holder,
        plan=_with_others(new.plan, old.plan),
        others=old.others,
    )
    if replace(new, planned_at=old.planned_at) == old:
        new = old  # the same announcement: its time stays
    if holder and new is old:
        return old, _change("kept", old, ())
    return new, _change("renewed" if old.archived else "created", new, new.reasons)


def _planned(
    request: Wanted, *, generation: int, reasons: tuple[str, ...], now: str
) -> RequestRecord:
    certificate = request.certificate
    return RequestRecord(
        id=request.id,
        generation=generation,
        files=present_files(request.id),
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


def _renewed(
    old: RequestRecord, request: Wanted, reasons: tuple[str, ...], now: str
) -> tuple[RequestRecord, Change]:
    new = _planned(request, generation=old.generation + 1, reasons=reasons, now=now)
    archived = old.superseded(at=now, reasons=reasons).archived
    new = replace(new, archived=archived, others=old.others)
    return new, _change("renewed", new, reasons)


def _kept(old: RequestRecord, request: Wanted, entry: PlannedEntry) -> tuple[RequestRecord, Change]:
    certificate = request.certificate
    about = entry_differences(old.plan, entry, _ABOUT)
    new = replace(
        old,
        state=old.active_state,
        retired_at="",
        ca=certificate.ca,
        target_os=certificate.target_os,
        rule=certificate.rule,
        validity_days=request.validity_days,
        plan=_with_others(entry, old.plan),
    )
    if new == old:
        return old, _change("kept", old, ())  # one record in memory, not two
    # How the table spells a name is no change by itself: the request is the same.
    new = replace(new, name_notes=request.name_notes)
    if old.state == "retired":
        return new, _change("adopted", new, ("back in the plan, unchanged", *about))
    return new, _change("kept", new, about)


# What is asked of a request folder: the requests of a plan that may be written, and renewals.


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of a request folder: the plan's requests, renewals, and what was accepted."""

    plan: CertificatePlan
    findings: Sequence[Finding]
    wanted: tuple[Wanted, ...]
    accepted: tuple[Acceptance, ...]
    renew: frozenset[str]
    reason: str
    now: str

    #: The findings as the summary tells them: what was accepted has its reason.
    told_findings: tuple[Finding, ...]

    #: The saved plan that is requested, if it is one.
    saved: PlanOnRecord | None = None


def make_order(
    plan: CertificatePlan,
    *,
    findings: Sequence[Finding],
    accept: Mapping[str, str] | None,
    renew: Sequence[str],
    reason: str,
    now: str,
    key_holders: Mapping[str, str] | None = None,
) -> Order:
    """Check that a plan may be written, and say what is asked.

    ``key_holders`` has the computer on which a key is to be made, by id; others are made here.

    Raises
    ------
    PlanRejected
        If it has error findings whose codes nobody accepted.
    PlanError
        If two of its requests have one id.
    OptionsError
        If an acceptance or a renewal has no reason.
    BundleError
        If an id to renew fits no planned request, or several.
    """
    reasons = {**plan.options.accepted, **(accept or {})}
    for code, why in reasons.items():
        if not why.strip():
            raise OptionsError(f'accept: "{code}" has no reason', hint=f"{code}=why it is fine")
        if code in returned_checks() and not may_be_accepted(code):
            raise OptionsError(
                f'accept: no reason excuses "{code}": {returned_checks()[code].title}',
                hint=returned_checks()[code].hint,
            )
    errors = [finding for finding in findings if finding.severity == "error"]
    day = judging_day(plan, getattr(findings, "judged_on", None))
    why_each = {
        finding: (accept or {}).get(finding.code) or reason_for(finding, plan.options, on=day)
        for finding in errors
    }
    _refuse_errors([finding for finding in errors if not why_each[finding]])
    # What is accepted of certificates to come is on record before the first of them comes.
    counting = {**accepted_codes((), plan.options, on=day), **(accept or {})}
    used = {code: why for code, why in counting.items() if code in returned_checks()}
    used |= {finding.code: why for finding, why in why_each.items()}
    days = plan.options.validity_days or 0
    told = spellings_of(plan.certificates, plan.topology)
    holders = key_holders or {}
    wanted = tuple(
        Wanted(
            id=item.id,
            certificate=item,
            validity_days=days,
            name_notes=tuple(map(_name_note, told.get(item.id, ()))),
            key_holder=holders.get(item.id, ""),
        )
        for item in plan.certificates
    )
    _refuse_twins(wanted)
    renew = (renew,) if isinstance(renew, str) else tuple(renew)
    if renew and not reason.strip():
        raise OptionsError(f"renew: {', '.join(renew)} without a reason", hint="say why")
    return Order(
        plan=plan,
        findings=findings,
        wanted=wanted,
        told_findings=tuple(
            one.accepted_because(why_each[one]) if one in why_each else one for one in findings
        ),
        accepted=tuple(Acceptance(code=code, reason=used[code]) for code in sorted(used)),
        renew=resolve_renewals(wanted, renew),
        reason=reason.strip(),
        now=now,
    )


def with_saved_plan(
    plans: tuple[PlanOnRecord, ...], saved: PlanOnRecord | None
) -> tuple[PlanOnRecord, ...]:
    """Put a saved plan on record as the last; one that is the last already keeps its times."""
    if saved is None:
        return plans
    if not plans or plans[-1].sha256 != saved.sha256:
        return (*plans, saved)
    last = plans[-1]
    known = {one.key for one in last.approvals}
    news = tuple(one for one in saved.approvals if one.key not in known)
    return (*plans[:-1], replace(last, approvals=(*last.approvals, *news)))


def _name_note(told: Spelling) -> NameNote:
    where = f" ({told.place})" if told.place else ""
    return NameNote(name=told.requested, written=told.written, note=told.what + where)


def _refuse_twins(wanted: Sequence[Wanted]) -> None:
    # Two requests under one name would share one key file, and the manifest could not tell them.
    twice = [name for name, number in Counter(item.id for item in wanted).items() if number > 1]
    if twice:
        raise PlanError(
            f"the plan has two requests with the id {twice[0]}",
            hint="see whether a server stands twice in the table",
        )


def _refuse_errors(errors: Sequence[Finding]) -> None:
    if not errors:
        return
    codes = sorted({finding.code for finding in errors})
    raise PlanRejected(
        f"the plan has {len(errors)} error{'s' if len(errors) > 1 else ''} "
        f"({', '.join(codes)}), so nothing was written",
        problems=tuple(
            Problem(message=f"{finding.code}: {finding.message}", hint=finding.hint)
            for finding in errors[:20]
        ),
        hint=f"correct the table, or accept each code with a reason, e.g. {codes[0]}=why",
    )
