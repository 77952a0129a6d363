"""Which findings the planner's options accept: with what reason, until when, for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from ..rules.findings import Finding
from .options import PlanOptions


def reason_for(finding: Finding, options: PlanOptions, *, on: date) -> str:
    """Give the reason for which a finding is accepted on a day, with its limits in words.

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
        "" if it is not accepted: no reason, its last day is over, or it is about something else.
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
    """Say whether the last day on which the options accept a code is before a day."""
    until = options.accepted_until.get(code)
    return bool(until and until < on)


def limits_of(code: str, options: PlanOptions) -> str:
    """Say until when and for what the options accept a code.

    Returns
    -------
    str
        "" if it is accepted without an end and for everything.
    """
    until = options.accepted_until.get(code)
    only = options.accepted_for.get(code, ())
    limits = [f"until {until}"] if until else []
    limits += [f"for {', '.join(only)}"] if only else []
    return "; ".join(limits)


def is_about(about: str, ids: Iterable[str]) -> bool:
    """Say whether one of some ids, or beginnings of ids, names what a finding is about."""
    return any(about.lower().startswith(begins.lower()) for begins in ids if begins)


def accepted_codes(
    findings: Iterable[Finding], options: PlanOptions, *, on: date
) -> Mapping[str, str]:
    """Give the codes that the options accept whole: every finding of theirs, on a day.

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
        By code the reason. One that is not found (of a certificate that is still to come) counts
        until its last day.
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
