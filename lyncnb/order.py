"""What is asked of a request folder: the requests of a plan that may be written, and renewals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .changes import Wanted, resolve_renewals
from .errors import OptionsError, PlanError, PlanRejected, Problem
from .plan.model import CertificatePlan
from .rules.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of a request folder: the plan's requests, renewals, and what was accepted."""

    plan: CertificatePlan
    findings: Sequence[Finding]
    wanted: tuple[Wanted, ...]
    accepted: tuple[Mapping[str, str], ...]
    renew: frozenset[str]
    reason: str
    now: str


def make_order(
    plan: CertificatePlan,
    *,
    findings: Sequence[Finding],
    accept: Mapping[str, str] | None,
    renew: Sequence[str],
    reason: str,
    now: str,
) -> Order:
    """Check that a plan may be written, and say what is asked.

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
    errors = [finding for finding in findings if finding.severity == "error"]
    _refuse_errors([finding for finding in errors if finding.code not in reasons])
    used = sorted({finding.code for finding in errors})
    days = plan.options.validity_days or 0
    wanted = tuple(
        Wanted(id=item.id, certificate=item, validity_days=days) for item in plan.certificates
    )
    _refuse_twins(wanted)
    renew = (renew,) if isinstance(renew, str) else tuple(renew)
    if renew and not reason.strip():
        raise OptionsError(f"renew: {', '.join(renew)} without a reason", hint="say why")
    return Order(
        plan=plan,
        findings=findings,
        wanted=wanted,
        accepted=tuple({"code": code, "reason": reasons[code]} for code in used),
        renew=resolve_renewals(wanted, renew),
        reason=reason.strip(),
        now=now,
    )


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
