"""Calculate the schedule of repeated renewals. Days are represented as numbers.

The functions have no side effects. A day is the number of days since the first day in
:class:`Days`. A certificate can replace another one if it is ordered on a day without a freeze and
installed in time, on a day on which its servers may be changed. The validity depends only on the
issue date. So the possible issue days are calculated backwards from the last day, once for all
certificates with the same terms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import NamedTuple

from ..base.renewal_days import (
    EXPIRING_DAYS,
    EXPIRING_SHARE,
    Days,
    IssueDays,
    choose_issue_day,
    find_latest_flagged_days,
    find_next_flagged_days,
)


class Step(NamedTuple):
    """The validity period in days for certificates issued on or after a date, with the reason."""

    begins: date
    days: int
    rule: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The conditions under which a certificate is replaced, such as lead times.

    Attributes
    ----------
    validity, reuse : tuple of Step
        The validity in days, and the number of days for which a domain validation may be reused, by
        issue date. ``reuse`` is empty if no domain is validated.
    order_days : int
        The number of days from the order to the issue of the certificate.
    lead_hours : int
        The number of hours before the expiration of a certificate at which the next one takes
        effect.
    earliest : date
        The first date on which an order is possible.
    """

    validity: tuple[Step, ...]
    reuse: tuple[Step, ...] = ()
    order_days: int = 0
    lead_hours: int = 0
    earliest: date = date.min


def find_step(steps: Sequence[Step], day: date) -> Step:
    """Return the validity step that applies to certificates that the CA issues on a date."""
    return steps[max(0, bisect_right(steps, day, key=lambda step: step.begins) - 1)]


class RecordedPeriod(NamedTuple):
    """The exact period in which a certificate on record is valid.

    ``revocation`` is a sentence about the revocation that ends the period, or "".
    """

    begins: datetime
    ends: datetime
    revocation: str = ""


class Hold(NamedTuple):
    """The period in which a schedule uses one certificate. The dates are day numbers."""

    issued: int
    last: int  # The last day that is completely within the validity period.
    deadline: int  # The last day on which the next certificate may be installed.
    renew: int  # The first day of the renewal period.
    recorded: RecordedPeriod | None = None  # None for a planned certificate.


class Turn(NamedTuple):
    """The replacement of a certificate in a schedule. The dates are day numbers.

    Values are None if no certificate is in use. ``late_from`` is the first day on which a server
    has no valid certificate.
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
    """The possible schedules of certificates that have the same renewal terms."""

    def __init__(self, terms: Terms, days: Days) -> None:
        self.terms, self.days = terms, days
        count = days.count
        self.lasts = self._compute_last_days()
        # The work on a day is finished at the end of the day, so the lead time starts on the next
        # day.
        lead = -(-terms.lead_hours // 24)
        self.deadlines = [last - lead for last in self.lasts]
        self.validate = [self._find_validation_day(issue) for issue in range(count)]
        earliest = days.convert_to_number(terms.earliest) + terms.order_days
        change = days.next_change
        self.usable = bytearray(
            issue >= max(earliest, terms.order_days)
            and not days.frozen[issue - terms.order_days]
            and self.validate[issue] <= issue
            and change[issue] < count
            and change[issue] <= self.lasts[issue]
            for issue in range(count)
        )
        self._toward: dict[int, IssueDays] = {}

    def _compute_last_days(self) -> list[int]:
        days, last_days = self.days, []
        for number in range(days.count):
            last_days.append(
                number + find_step(self.terms.validity, days.convert_to_date(number)).days - 1
            )
        return last_days

    def _find_validation_day(self, issue_day: int) -> int:
        """Return the day of the domain validation: the first possible day after the order."""
        first = issue_day - self.terms.order_days
        if self.terms.reuse:
            reuse = find_step(self.terms.reuse, self.days.convert_to_date(issue_day)).days
            first = max(first, issue_day - reuse)
        return self.days.next_unfrozen[first] if first >= 0 else issue_day

    def build_certificate(self, issue_day: int) -> Hold:
        """Return the last day, deadline, and renewal day of a certificate issued on a day."""
        length = self.lasts[issue_day] - issue_day + 1
        renew = issue_day + max(int(length * (1 - EXPIRING_SHARE)), length - EXPIRING_DAYS)
        return Hold(issue_day, self.lasts[issue_day], self.deadlines[issue_day], renew)

    @cached_property
    def find_complete_issue_days(self) -> IssueDays:
        """Return the issue days from which certificates can cover the rest of the period.

        A certificate and its successors then cover every day until the end of the period.
        """
        good = bytearray(self.days.count)
        following = self.days.count
        for issue in range(self.days.count - 1, -1, -1):
            ends_later = self.lasts[issue] >= self.days.goal
            if self.usable[issue] and (
                ends_later or following <= self.days.find_last_change(self.deadlines[issue])
            ):
                good[issue] = 1
                following = issue
        return IssueDays(find_next_flagged_days(good), find_latest_flagged_days(good))

    def _find_successors(self, day: int) -> IssueDays:
        if day not in self._toward:
            good = bytearray(self.days.count)
            good[day], following = 1, day
            for issue in range(day - 1, -1, -1):
                if self.usable[issue] and following <= self.days.find_last_change(
                    self.deadlines[issue]
                ):
                    good[issue], following = 1, issue
            self._toward[day] = IssueDays(
                find_next_flagged_days(good), find_latest_flagged_days(good)
            )
        return self._toward[day]

    def _find_furthest_issue_day(self, certificate: Hold) -> int | None:
        """Return the reachable issue day whose schedule covers the longest period."""
        target, best, reach = (
            None,
            certificate.deadline,
            self.days.find_last_change(certificate.deadline),
        )
        issue = max(certificate.issued + 1, 0)
        while issue <= reach:
            if self.usable[issue]:
                if self.deadlines[issue] > best:
                    target, best = issue, self.deadlines[issue]
                reach = max(reach, self.days.find_last_change(self.deadlines[issue]))
            issue += 1
        return target

    def list_replacements(
        self, certificate: Hold | None, first_issue_day: int | None = None
    ) -> Iterator[Turn]:
        """Yield the successive certificates until the last day of the schedule.

        Parameters
        ----------
        certificate : Hold or None
            The certificate in use.
        first_issue_day : int or None
            Without `hold`, the issue day of the first certificate. None means the first possible
            day.

        Notes
        -----
        Each certificate is installed on the first possible day in the renewal period of the
        previous certificate, and is issued as late as possible before that day. If there is no such
        day, or if no schedule continues from this day, the last earlier day is used. If no day is
        possible, the certificate in use is replaced as late as possible, and the next one begins as
        early as possible.
        """
        if certificate is None:
            issue = (
                first_issue_day
                if first_issue_day is not None
                else find_next_flagged_days(self.usable)[0]
            )
            if issue >= self.days.count:
                return
            certificate = self.build_certificate(issue)
            yield self._build_turn(issue, certificate, None, self.find_complete_issue_days)
        goal = self.days.goal
        while True:
            ways, target = self.find_complete_issue_days, None
            low, high = (
                max(certificate.issued + 1, 0),
                self.days.find_last_change(certificate.deadline),
            )
            leads_on = certificate.last >= goal or (high >= 0 and ways.last[high] >= low)
            if not leads_on:
                target = self._find_furthest_issue_day(certificate)
                ways = ways if target is None else self._find_successors(target)
            is_late = not leads_on and target is None
            issue_day = (
                self._find_issue_day_after_deadline(certificate)
                if is_late
                else choose_issue_day(
                    self.days,
                    ways,
                    renewal_day=certificate.renew,
                    first_day=low,
                    deadline=certificate.deadline,
                )
            )
            if issue_day is None or self.days.next_change[issue_day] > goal:
                return
            before, certificate = certificate, self.build_certificate(issue_day)
            yield self._build_turn(issue_day, certificate, before, ways, is_late=is_late)

    def _find_issue_day_after_deadline(self, certificate: Hold) -> int | None:
        """Return the issue day of the first certificate that is installed after the deadline."""
        first = max(certificate.issued, self.days.find_last_change(certificate.deadline), -1) + 1
        for issue in range(first, self.days.count):
            if self.usable[issue]:
                change = self.days.next_change[issue]
                return max(day for day in range(issue, change + 1) if self.usable[day])
        return None

    def _build_turn(
        self,
        issue_day: int,
        certificate: Hold,
        predecessor: Hold | None,
        successors: IssueDays,
        *,
        is_late: bool = False,
    ) -> Turn:
        high = None
        if predecessor is not None and not is_late:
            high = self.find_last_change(predecessor)
        order_days = self.terms.order_days
        return Turn(
            hold=certificate,
            order=issue_day - order_days,
            validate=self.validate[issue_day],
            issue=issue_day,
            change=self.days.next_change[issue_day],
            order_by=None if high is None else successors.last[high] - order_days,
            change_by=predecessor.deadline if predecessor and high is None else high,
            late_from=predecessor.deadline + 1 if predecessor and is_late else None,
        )

    def find_last_change(self, certificate: Hold) -> int | None:
        """Return the last allowed day on which a certificate can be replaced in time.

        Return None if there is no such day, or if the deadline is after the end of the table.
        """
        high = self.days.find_last_change(certificate.deadline)
        return high if high >= 0 and certificate.deadline < self.days.count else None
