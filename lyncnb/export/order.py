"""Define ``Order``: which requests of a plan to create, and which requests to renew.

This module reads and writes no files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType

from ..base.planned_entry import PlannedEntry
from ..base.shown.tables import format_count
from ..checks.check_plan import choose_evaluation_date
from ..checks.option_checks import LATE
from ..errors import (
    BundleError,
    OptionsError,
    PlanError,
    PlanRejected,
    Problem,
)
from ..plan.acceptances import find_acceptance, list_accepted_codes
from ..plan.model import CertificatePlan, PlannedCertificate, convert_to_entry
from ..plan.saved_plan_json import encode_plan_in_parts
from ..plan.spellings import Spelling, find_certificate_spellings
from ..request_folder.request_record import (
    Acceptance,
    CoveringCertificate,
    NameNote,
    PlanOnRecord,
)
from ..rules.findings import Finding, Findings, create_finding, group_findings
from ..rules.returned_rules import is_acceptable, list_returned_checks
from .resolve_ids import resolve_ids

_JUDGED_ON = re.compile(rb'^"judged_on": "([0-9]{4}-[0-9]{2}-[0-9]{2})",$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Covers:
    """The installed certificates that cover requests, by request ID."""

    by_id: Mapping[str, CoveringCertificate] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


NO_COVERS = Covers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A planned request with its ID.

    ``key_holder`` is the computer that creates a new key. Blank means the current computer.
    ``covered`` is the certificate that covers the request, so that no certificate is requested.
    """

    id: str
    certificate: PlannedCertificate
    validity_days: int = 0
    name_notes: tuple[NameNote, ...] = ()
    key_holder: str = ""
    covered: CoveringCertificate | None = None

    @property
    def entry(self) -> PlannedEntry:
        """The entry for the request in the plan document.

        It is created on demand, because there may be 100,000 entries.
        """
        return convert_to_entry(self.certificate)


def resolve_renewals(
    planned_requests: Sequence[Wanted], specified_ids: Sequence[str]
) -> frozenset[str]:
    """Return the complete IDs of requests, from IDs or unique ID prefixes.

    Raises
    ------
    BundleError
        If an ID or beginning matches no planned request, or several.
    """
    ids = [request.id for request in planned_requests]
    return resolve_ids(ids, specified_ids, option_name="renew", error=BundleError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A task for a request folder: requests in the plan, renewals, and accepted findings."""

    plan: CertificatePlan
    findings: Sequence[Finding]
    wanted: tuple[Wanted, ...]
    accepted: tuple[Acceptance, ...]
    renew: frozenset[str]
    reason: str
    now: str

    #: The findings as the summary shows them. Accepted findings have a reason.
    reported_findings: Findings
    #: The date on which a certificate that covers a request must be valid.
    covered_on: date | None
    #: The evaluation date of the findings.
    judged_on: date
    #: The finding that the planned issue date has passed. For new requests, it is an error.
    late: Finding | None = None
    notes: tuple[str, ...] = ()

    #: Whether the plan is the saved plan in the folder. If it is, lyncnb creates new requests and
    #: keys, but does not change the plan.
    is_own_plan: bool = False
    #: The requests that may be withdrawn for the renewal, although they wait for a certificate.
    withdrawn: frozenset[str] = frozenset()
    #: The requests that have a compromised key. The CA must revoke their certificates.
    compromised: frozenset[str] = frozenset()
    #: The certificates that must be replaced by a date, by SHA-256, and the date, or blank.
    ending: frozenset[str] = frozenset()
    replace_by: str = ""
    #: The SHA-256 digest of the approved plan for new requests, or blank if the plan is not
    #: approved.
    approved_plan: str = ""

    #: The record of the saved plan and the content of the plan file. If no plan was saved, the
    #: record is None.
    saved: PlanOnRecord | None = None
    saved_file: bytes = field(default=b"", repr=False)
    #: Why this plan is used, if another plan was approved for the folder.
    unapproved: str = ""
    #: The group whose members share the folder.
    team: str = ""

    def build_plan_file(self, existing_content: bytes) -> bytes:
        """Return the content for ``plan.json``.

        If the plan equals the existing file, the evaluation date in the file is kept.
        """
        if self.saved_file:
            return self.saved_file
        data = b""
        for day in dict.fromkeys((*_find_evaluation_date(existing_content), self.judged_on)):
            data = encode_plan_in_parts(self.plan, self.findings, judged_on=day)
            if data == existing_content:
                break
        return data

    def list_reported_findings(self, plan_file: bytes) -> Findings:
        """Return the findings for the summary, evaluated on the date in the plan file."""
        return replace(
            self.reported_findings,
            judged_on=next(_find_evaluation_date(plan_file), self.judged_on),
        )


def _find_evaluation_date(plan_file: bytes) -> Iterator[date]:
    """Yield the evaluation date in the file of a saved plan, if the file contains a valid date."""
    with suppress(ValueError):
        if match := _JUDGED_ON.search(plan_file):
            yield date.fromisoformat(match[1].decode())


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
    """Check that lyncnb can write the requests of a plan, and return how to write them.

    ``key_holders`` contains the computer that creates the key, by request ID. Other keys are
    created on the current computer, or on the server during setup. ``covers`` contains the requests
    that are left out.

    Raises
    ------
    TopologyError
        If the table of the plan has rejected cells.
    PlanRejected
        If the plan has error findings whose codes are not accepted.
    PlanError
        If two requests of the plan have the same id.
    OptionsError
        If an acceptance or a renewal has no reason.
    BundleError
        If an id to renew matches no planned request, or more than one.
    """
    accept = accept or {}
    plan.topology.reject_incomplete()
    _check_reasons({**plan.options.accepted, **accept})
    errors = [finding for finding in findings if finding.severity == "error"]
    today = date.fromisoformat(now[:10]) if now else None
    day = choose_evaluation_date(plan, getattr(findings, "judged_on", None), today=today)
    why_each = _list_acceptance_reasons(plan, findings, accept, day)
    reject_errors([error for error in errors if error not in why_each])
    late = _make_past_date_error(plan, today) if today else None
    why_late = accept.get(LATE) or (late and find_acceptance(late, plan.options, day=day)) or ""
    # Acceptances for issued certificates are recorded before the first certificate is received.
    counting = {**list_accepted_codes((), plan.options, day=day), **accept}
    used = {
        code: accept_reason
        for code, accept_reason in counting.items()
        if code in list_returned_checks()
    }
    used |= {error.code: why_each[error] for error in errors}
    used |= {LATE: why_late} if late and why_late else {}
    requests = tuple(_list_wanted_requests(plan, key_holders or {}, covers))
    _reject_duplicate_ids(requests)
    renewed = resolve_renewals(requests, _read_renewals(renew, reason))
    if both := sorted(renewed & covers.by_id.keys()):
        raise OptionsError(
            f"renew, reuse: you cannot both renew and reuse {', '.join(both)}",
            hint="specify each request in renew or in reuse, but not in both",
        )
    return Order(
        plan=plan,
        findings=findings,
        wanted=requests,
        reported_findings=Findings(
            tuple(
                finding.accepted_because(why_each[finding]) if finding in why_each else finding
                for finding in findings
            ),
            day,
        ),
        accepted=tuple(Acceptance(code=code, reason=used[code]) for code in sorted(used)),
        renew=renewed,
        reason=reason.strip(),
        now=now,
        covered_on=find_cover_date(plan, now),
        judged_on=day,
        late=None if why_late else late,
        notes=covers.notes,
    )


def _read_renewals(renew: Sequence[str], reason: str) -> tuple[str, ...]:
    renew = (renew,) if isinstance(renew, str) else tuple(renew)
    if renew and not reason.strip():
        raise OptionsError(
            f"renew: {', '.join(renew)} needs a reason",
            hint='specify the reason: --reason TEXT (in Python: reason="TEXT")',
        )
    return renew


def _list_acceptance_reasons(
    plan: CertificatePlan, findings: Iterable[Finding], accept: Mapping[str, str], day: date
) -> dict[Finding, str]:
    """Return the reason for each finding that the plan accepts, or for an error that a run does."""
    reasons = {finding: find_acceptance(finding, plan.options, day=day) for finding in findings}
    reasons |= {f: accept[f.code] for f in reasons if f.severity == "error" and f.code in accept}
    return {finding: reason for finding, reason in reasons.items() if reason}


def _make_past_date_error(plan: CertificatePlan, today: date) -> Finding | None:
    """Return an error if the planned issue date is in the past.

    The hint of the error is the earliest possible date.
    """
    planned, rule = plan.options.planned_issue_date, plan.rules.checks.get(LATE)
    if planned is None or planned >= today or rule is None:
        return None
    server = next((name for certificate in plan.certificates for name in certificate.servers), "")
    message = f"planned_issue_date is {planned}, but you cannot send new requests before {today}"
    hint = f"set planned_issue_date in plan.toml to {today} or later, or remove the option"
    return replace(create_finding(rule, server, message), severity="error", hint=hint)


def _list_wanted_requests(
    plan: CertificatePlan, key_holders: Mapping[str, str], covers: Covers
) -> Iterator[Wanted]:
    spellings = find_certificate_spellings(plan.certificates, plan.topology)
    for item in plan.certificates:
        yield Wanted(
            id=item.id,
            certificate=item,
            validity_days=plan.options.validity_for(item.issuer) or 0,
            name_notes=tuple(map(_format_name_note, spellings.get(item.id, ()))),
            key_holder=min(item.servers) if item.at_set_up else key_holders.get(item.id, ""),
            covered=covers.by_id.get(item.id),
        )


def _check_reasons(reasons: Mapping[str, str]) -> None:
    for code, reason in reasons.items():
        if not reason.strip():
            raise OptionsError(f'accept: "{code}" has no reason', hint=f"specify {code}=REASON")
        if code in list_returned_checks() and not is_acceptable(code):
            raise OptionsError(
                (
                    f'accept: you cannot accept errors with the code "{code}": '
                    f"{list_returned_checks()[code].title}"
                ),
                hint=list_returned_checks()[code].hint,
            )


def find_cover_date(plan: CertificatePlan, now: str) -> date:
    """Return the date on which a covering certificate must be valid: the issue date or today."""
    today = date.fromisoformat(now[:10]) if now else choose_evaluation_date(plan)
    return max(plan.options.planned_issue_date or today, today)


def _format_name_note(spelling: Spelling) -> NameNote:
    location = f" ({spelling.place})" if spelling.place else ""
    return NameNote(
        name=spelling.requested, written=spelling.written, note=spelling.what + location
    )


def _reject_duplicate_ids(planned_requests: Sequence[Wanted]) -> None:
    # Two requests with the same ID would share a key file, and the manifest could not distinguish
    # them.
    twice = [
        name for name, number in Counter(item.id for item in planned_requests).items() if number > 1
    ]
    if twice:
        raise PlanError(
            f"the plan has two requests with the id {twice[0]}",
            hint="check whether a server appears twice in the table",
        )


def reject_errors(errors: Sequence[Finding]) -> None:
    """Raise an error if a plan has errors.

    Raises
    ------
    PlanRejected
        If the plan has errors. The exception lists all of them.
    """
    if not errors:
        return
    codes = sorted({finding.code for finding in errors})
    raise PlanRejected(
        f"the plan has {format_count(len(errors), 'error')} ({', '.join(codes)}), so lyncnb wrote "
        "nothing",
        problems=tuple(
            Problem(message=f"{', '.join(entry.codes)}: {entry.message}", hint=entry.hint)
            for entry in group_findings(errors)[:20]
        ),
        hint="correct the table or plan.toml, or accept each code with a reason: --accept "
        f'{codes[0]}=REASON (in Python: accept={{"{codes[0]}": "REASON"}})',
    )
