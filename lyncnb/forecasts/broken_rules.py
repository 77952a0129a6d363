"""Find the rules that prevent a certificate from being replaced in time.

The functions have no side effects. For each possible issue date of the next certificate, they find
the rules that forbid the date, or the reason why the date is too late. Each rule is listed once,
with its dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from ..base.renewal_days import Days
from ..base.shown.tables import format_count
from ..base.work_days import Period
from .model import BrokenRule
from .timetable import Hold, Step, Terms, Timetable, find_step

_PLAN = "plan options"


@dataclass(slots=True)
class _RuleDates:
    """The dates on which each rule prevents the replacement of a certificate."""

    found: dict[tuple[object, ...], list[int]] = field(default_factory=dict)

    def add(self, *rule: object, day: int) -> None:
        self.found.setdefault(rule, []).append(day)


def find_rules_that_block_renewal(
    timetable: Timetable, certificate: Hold, first_missing_day: int, *, lead_source: str
) -> tuple[BrokenRule, ...]:
    """Return the rules that prevent a certificate from being replaced in time.

    Parameters
    ----------
    timetable : Timetable
        The timetable with the terms and days.
    certificate : Hold
        The last certificate that can be installed in time.
    first_missing_day : int
        The first day on which the next certificate is missing.
    lead_source : str
        The document that states the lifetime of tokens.

    Returns
    -------
    tuple of BrokenRule
        The expiration of the certificate in use, followed by each rule that forbids an issue date
        before `first_missing_day` or a later server change.
    """
    blocked, last = _RuleDates(), min(first_missing_day, timetable.days.count) - 1
    for issue in range(max(certificate.issued + 1, 0), last + 1):
        _check_issue(timetable, issue, last, blocked)
    is_revoked = certificate.recorded is not None and certificate.recorded.revocation
    leads = (
        [_build_lead_time_rule(timetable, certificate, lead_source)]
        if timetable.terms.lead_hours and not is_revoked
        else []
    )
    return (_build_validity_rule(timetable, certificate), *leads, *_build_rules(blocked, timetable))


def find_rules_for_first_issue(timetable: Timetable, issue_day: int) -> tuple[BrokenRule, ...]:
    """Return the rules that do not allow the planned issue date of the first certificate."""
    blocked, validity_rules = _RuleDates(), list[BrokenRule]()
    _check_order(timetable, issue_day, blocked)
    change = timetable.days.next_change[issue_day]
    end = min(change, timetable.days.count) - 1
    if change > min(timetable.lasts[issue_day], timetable.days.count - 1):
        _record_blocked_change_days(
            timetable.days, issue_day, min(end, timetable.lasts[issue_day]), blocked
        )
        validity_rules.append(
            _build_validity_rule(timetable, timetable.build_certificate(issue_day))
        )
    return (*validity_rules, *_build_rules(blocked, timetable))


def _check_issue(
    timetable: Timetable, issue_day: int, last_day: int, rule_dates: _RuleDates
) -> None:
    days = timetable.days
    is_free = _check_order(timetable, issue_day, rule_dates)
    if days.next_change[issue_day] > last_day:
        _record_blocked_change_days(days, issue_day, last_day, rule_dates)
    elif is_free:
        # The next certificate can be installed in time, but it expires before its own successor can
        # be installed.
        step = find_step(timetable.terms.validity, days.convert_to_date(issue_day))
        rule_dates.add("validity", step, day=issue_day)


def _check_order(timetable: Timetable, issue_day: int, rule_dates: _RuleDates) -> bool:
    days, terms = timetable.days, timetable.terms
    order = issue_day - terms.order_days
    if order < 0 or days.convert_to_date(order) < terms.earliest:
        rule_dates.add("earliest order", day=issue_day)
        return False
    if days.frozen[order]:
        for freeze in _find_freezes(days, order):
            rule_dates.add("freeze", freeze, "no orders", day=order)
        if terms.order_days:
            rule_dates.add("lead time", day=issue_day)
        return False
    if timetable.validate[issue_day] > issue_day:
        step = find_step(terms.reuse, days.convert_to_date(issue_day))
        rule_dates.add("validation", step, day=issue_day)
        for day in range(max(0, issue_day - step.days), issue_day + 1):
            for freeze in _find_freezes(days, day):
                rule_dates.add("freeze", freeze, "no validations", day=day)
        return False
    return True


def _record_blocked_change_days(
    days: Days, first_day: int, last_day: int, rule_dates: _RuleDates
) -> None:
    for day in range(first_day, last_day + 1):
        if days.frozen[day]:
            for freeze in _find_freezes(days, day):
                rule_dates.add("freeze", freeze, "no server changes", day=day)
        if not days.windowed[day]:
            rule_dates.add("window", day=day)


def _find_freezes(days: Days, day: int) -> Iterator[Period]:
    when = days.convert_to_date(day)
    return (freeze for freeze in days.freezes if freeze.begins <= when <= freeze.ends)


def _build_validity_rule(timetable: Timetable, certificate: Hold) -> BrokenRule:
    days = timetable.days
    ends, begins = days.convert_to_date(certificate.last), days.convert_to_date(certificate.issued)
    recorded = certificate.recorded
    if recorded is None:
        step = find_step(timetable.terms.validity, begins)
        says = f"a certificate that is issued on {begins} is valid until {ends} ({step.rule})"
        return BrokenRule(rule="validity", says=says, begins=begins, ends=ends, source=step.source)
    if recorded.revocation:
        says, source = recorded.revocation, "the records of the request folder"
    else:
        says = f"the certificate on record can be used until {recorded.ends.date()}"
        source = "the earliest notAfter date in the certificate's chain"
    return BrokenRule(
        rule="validity", says=says, begins=begins, ends=recorded.ends.date(), source=source
    )


def _build_lead_time_rule(timetable: Timetable, certificate: Hold, source: str) -> BrokenRule:
    terms, days = timetable.terms, timetable.days
    by = days.convert_to_date(certificate.deadline)
    return BrokenRule(
        rule="roll-over",
        says=f"issued tokens are valid for {terms.lead_hours} hours, so the next certificate "
             f"must be installed by {by}",
        begins=by, ends=days.convert_to_date(certificate.last), source=source,
    )  # fmt: skip


def _build_rules(rule_dates: _RuleDates, timetable: Timetable) -> Iterator[BrokenRule]:
    days, terms = timetable.days, timetable.terms
    freezes: dict[Period, list[str]] = {}
    for rule, day_numbers in rule_dates.found.items():
        first, last = days.convert_to_date(min(day_numbers)), days.convert_to_date(max(day_numbers))
        match rule:
            case ("freeze", Period() as freeze, str() as words):
                freezes.setdefault(freeze, []).append(words)
            case ("window",):
                yield BrokenRule(
                    rule="window", begins=first, ends=last, source=f"{_PLAN}: windows",
                    says="no maintenance window includes "
                    f"{_describe_days(len(set(day_numbers)), first, last)}",
                )  # fmt: skip
            case ("lead time",):
                ordered = (_compute_order_date(day, terms) for day in (first, last))
                yield BrokenRule(
                    rule="lead time", begins=first, ends=last, source=f"{_PLAN}: lead_days",
                    says=f"to get a certificate {format_span(first, last)}, you must order it "
                         f"{format_span(*ordered)}, because the CA needs "
                         f"{format_count(terms.order_days, 'day')} to issue it",
                )  # fmt: skip
            case ("earliest order",):
                yield BrokenRule(
                    rule="earliest order", begins=first, ends=last,
                    source=f"the start of the forecast; {_PLAN}: lead_days",
                    says=f"to get a certificate issued on {last}, you must order it by "
                         f"{_compute_order_date(last, terms)}, but you cannot order before "
                         f"{terms.earliest}",
                )  # fmt: skip
            case ("validation", Step() as reuse):
                yield BrokenRule(
                    rule="validation", begins=first, ends=last, source=reuse.source,
                    says=f"a certificate that is issued {format_span(first, last)} requires a "
                         f"domain validation that is at most {format_count(reuse.days, 'day')} old",
                )  # fmt: skip
            case ("validity", Step() as step):
                yield BrokenRule(
                    rule="validity", begins=first, ends=last, source=step.source,
                    says=(f"a certificate that is issued {format_span(first, last)} "
                         "expires before the next certificate can replace it "
                         f"({step.rule})"),
                )  # fmt: skip
    for freeze, descriptions in freezes.items():
        yield BrokenRule(
            rule="freeze", says=f"{freeze}: {', '.join(dict.fromkeys(descriptions))}",
            begins=freeze.begins, ends=freeze.ends, source=f"{_PLAN}: freezes",
        )  # fmt: skip


def format_span(first_day: date, last_day: date) -> str:
    """Format a range of dates, or a single date, as text."""
    return f"on {first_day}" if first_day == last_day else f"from {first_day} to {last_day}"


def _describe_days(number: int, first_day: date, last_day: date) -> str:
    if number == (last_day - first_day).days + 1:
        return f"any day {format_span(first_day, last_day)}" if number > 1 else f"{first_day}"
    return f"{number:,} of the days {format_span(first_day, last_day)}"


def _compute_order_date(day: date, terms: Terms) -> date:
    return date.fromordinal(max(1, day.toordinal() - terms.order_days))
