"""Calculate the schedule of repeated renewals; days are numbers, and certificates have no names.

This module is pure. A day is the number of days since the first day of :class:`Days`. A certificate
can replace another one if it is ordered on a day without a freeze and installed in time, on a day
on which its servers may be changed. The validity depends only on the issue date. So the days from
which a schedule reaches the end are calculated backwards, once for all certificates with the same
terms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import NamedTuple

from ..base.renewal_days import (
    EXPIRING_SHARE,
    Days,
    Ways,
    issue_day,
    last_flagged,
    next_flagged,
)


class Step(NamedTuple):
    """A number of days for certificates that are issued from a date on; ``rule`` is the reason."""

    begins: date
    days: int
    rule: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The conditions for replacing a certificate.

    Attributes
    ----------
    validity, reuse : tuple of Step
        By issue date: the validity in days, and the days for which a validation may be reused
        (empty if no domain is validated).
    order_days : int
        The days from the order to the issued certificate.
    lead_hours : int
        The hours before the end of a certificate at which the next one takes effect.
    earliest : date
        The first day on which an order is possible.
    """

    validity: tuple[Step, ...]
    reuse: tuple[Step, ...] = ()
    order_days: int = 0
    lead_hours: int = 0
    earliest: date = date.min


def step_on(steps: Sequence[Step], day: date) -> Step:
    """Return the step that applies to certificates issued on a date."""
    return steps[max(0, bisect_right(steps, day, key=lambda step: step.begins) - 1)]


class Hold(NamedTuple):
    """A certificate in use, with its dates as day numbers."""

    issued: int
    last: int  # The last day on which the certificate is valid all day.
    deadline: int  # The last day on which the next certificate may be installed.
    renew: int  # The first day of the renewal period.
    is_planned: bool = True  # Whether the certificate is planned, not on record.


class Turn(NamedTuple):
    """One certificate of a schedule, as day numbers; None if no certificate is in use.

    ``late_from`` is the first day on which a server has no valid certificate.
    """

    hold: Hold
    order: int
    validate: int
    issue: int
    change: int
    order_by: int | None
    change_by: int | None
    late_from: int | None


class Timetable:
    """All schedules with the same terms."""

    def __init__(self, terms: Terms, days: Days) -> None:
        self.terms, self.days = terms, days
        count = days.count
        self.lasts = self._last_days()
        # The work of a day is finished at its end, so the next day must begin before the lead time.
        lead = -(-terms.lead_hours // 24)
        self.deadlines = [last - lead for last in self.lasts]
        self.validate = [self._find_validation_day(issue) for issue in range(count)]
        earliest = days.number(terms.earliest) + terms.order_days
        change = days.next_change
        self.usable = bytearray(
            issue >= max(earliest, terms.order_days)
            and not days.frozen[issue - terms.order_days]
            and self.validate[issue] <= issue
            and change[issue] < count
            and change[issue] <= self.lasts[issue]
            for issue in range(count)
        )
        self._toward: dict[int, Ways] = {}

    def _last_days(self) -> list[int]:
        days, found = self.days, []
        for number in range(days.count):
            found.append(number + step_on(self.terms.validity, days.date(number)).days - 1)
        return found

    def _find_validation_day(self, issue: int) -> int:
        """Return the validation day: the first day without a freeze on or after the order."""
        first = issue - self.terms.order_days
        if self.terms.reuse:
            reuse = step_on(self.terms.reuse, self.days.date(issue)).days
            first = max(first, issue - reuse)
        return self.days.next_unfrozen[first] if first >= 0 else issue

    def hold(self, issue: int) -> Hold:
        """Return the certificate that is issued on a day, with its dates."""
        length = self.lasts[issue] - issue + 1
        renew = issue + int(length * (1 - EXPIRING_SHARE))
        return Hold(issue, self.lasts[issue], self.deadlines[issue], renew)

    @cached_property
    def to_the_end(self) -> Ways:
        """The issue days from which a schedule covers every day to the end."""
        good = bytearray(self.days.count)
        following = self.days.count
        for issue in range(self.days.count - 1, -1, -1):
            ends_later = self.lasts[issue] >= self.days.goal
            if self.usable[issue] and (
                ends_later or following <= self.days.up_to(self.deadlines[issue])
            ):
                good[issue] = 1
                following = issue
        return Ways(next_flagged(good), last_flagged(good))

    def _find_ways(self, target: int) -> Ways:
        if target not in self._toward:
            good = bytearray(self.days.count)
            good[target], following = 1, target
            for issue in range(target - 1, -1, -1):
                if self.usable[issue] and following <= self.days.up_to(self.deadlines[issue]):
                    good[issue], following = 1, issue
            self._toward[target] = Ways(next_flagged(good), last_flagged(good))
        return self._toward[target]

    def _find_furthest(self, hold: Hold) -> int | None:
        """Return the reachable issue day whose schedule covers the longest period."""
        target, best, reach = None, hold.deadline, self.days.up_to(hold.deadline)
        issue = max(hold.issued + 1, 0)
        while issue <= reach:
            if self.usable[issue]:
                if self.deadlines[issue] > best:
                    target, best = issue, self.deadlines[issue]
                reach = max(reach, self.days.up_to(self.deadlines[issue]))
            issue += 1
        return target

    def turns(self, hold: Hold | None, first: int | None = None) -> Iterator[Turn]:
        """Yield the certificates of a schedule, until the last day is covered.

        Parameters
        ----------
        hold : Hold or None
            The certificate in use.
        first : int or None
            Without `hold`: the day of issue of the first certificate; None: the first possible day.

        Notes
        -----
        Each certificate is installed on the first possible day after the renewal of the previous
        one begins, and is issued as late as that allows. If there is no such day, or no schedule
        continues from it, the last day before is used. If no day works, the certificate in use
        is replaced as late as possible, and the next one begins as early as possible.
        """
        if hold is None:
            issue = first if first is not None else next_flagged(self.usable)[0]
            if issue >= self.days.count:
                return
            hold = self.hold(issue)
            yield self._build_turn(issue, hold, None, self.to_the_end)
        goal = self.days.goal
        while True:
            ways, target = self.to_the_end, None
            low, high = max(hold.issued + 1, 0), self.days.up_to(hold.deadline)
            leads_on = hold.last >= goal or (high >= 0 and ways.last[high] >= low)
            if not leads_on:
                target = self._find_furthest(hold)
                ways = ways if target is None else self._find_ways(target)
            is_late = not leads_on and target is None
            found = (
                self._find_issue_after(hold)
                if is_late
                else issue_day(self.days, ways, renew=hold.renew, first=low, deadline=hold.deadline)
            )
            if found is None or self.days.next_change[found] > goal:
                return
            before, hold = hold, self.hold(found)
            yield self._build_turn(found, hold, before, ways, is_late=is_late)

    def _find_issue_after(self, hold: Hold) -> int | None:
        """Return the issue day of the first certificate that is installed after the due day."""
        first = max(hold.issued, self.days.up_to(hold.deadline), -1) + 1
        for issue in range(first, self.days.count):
            if self.usable[issue]:
                change = self.days.next_change[issue]
                return max(day for day in range(issue, change + 1) if self.usable[day])
        return None

    def _build_turn(
        self, issue: int, hold: Hold, before: Hold | None, ways: Ways, *, is_late: bool = False
    ) -> Turn:
        high = self.days.up_to(before.deadline) if before else -1
        is_known = before is not None and before.deadline < self.days.count
        is_due = is_known and not is_late and high >= 0
        order_days = self.terms.order_days
        return Turn(
            hold=hold,
            order=issue - order_days,
            validate=self.validate[issue],
            issue=issue,
            change=self.days.next_change[issue],
            order_by=ways.last[high] - order_days if is_due else None,
            change_by=high if is_due else before and before.deadline,
            late_from=before.deadline + 1 if before and is_late else None,
        )
