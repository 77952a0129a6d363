"""The findings that the planner's options accept: the reason, the last day, and the scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from ..rules.findings import Finding
from .options import PlanOptions


def reason_for(finding: Finding, options: PlanOptions, *, on: date) -> str:
    """Return the reason for accepting a finding on a day, with a description of its limits.

    Parameters
    ----------
    finding : Finding
        Of a plan.
    options : PlanOptions
        With ``accepted``, ``accepted_until`` and ``accepted_for``.
    on : date
        The evaluation date.

    Returns
    -------
    str
        "" if it is not accepted: it has no reason, its last day is over, or its scope differs.
    """
    reason = options.accepted.get(finding.code, "")
    only = options.accepted_for.get(finding.code, ())
    if (
        not reason
        or is_over(finding.code, options, on=on)
        or (only and not is_about(finding.about, only))
    ):
        return ""
    limits = limits_of(finding.code, options)
    return f"{reason} ({limits})" if limits else reason


def is_over(code: str, options: PlanOptions, *, on: date) -> bool:
    """Return whether the last day of the acceptance of a code is before a day."""
    until = options.accepted_until.get(code)
    return bool(until and until < on)


def limits_of(code: str, options: PlanOptions) -> str:
    """Return the last day and the scope of the acceptance of a code, in words.

    Returns
    -------
    str
        "" if the acceptance has no last day and no scope.
    """
    until = options.accepted_until.get(code)
    only = options.accepted_for.get(code, ())
    limits = [f"until {until}"] if until else []
    limits += [f"for {', '.join(only)}"] if only else []
    return "; ".join(limits)


def is_about(about: str, ids: Iterable[str]) -> bool:
    """Return whether one of the ids, or beginnings of ids, matches a finding's subject."""
    return any(about.lower().startswith(begins.lower()) for begins in ids if begins)


def accepted_codes(
    findings: Iterable[Finding], options: PlanOptions, *, on: date
) -> Mapping[str, str]:
    """Return the codes of which the options accept every finding on a day.

    Parameters
    ----------
    findings : iterable of Finding
        All of a plan.
    options : PlanOptions
        The planner's.
    on : date
        The evaluation date.

    Returns
    -------
    mapping of str to str
        The reason by code. A code without a finding (of a future certificate) counts until its last
        day.
    """
    reasons = {
        code: reason
        for code, reason in options.accepted.items()
        if reason and on <= options.accepted_until.get(code, on)
    }
    for finding in findings:
        if finding.code in reasons and not reason_for(finding, options, on=on):
            del reasons[finding.code]
    return reasons
