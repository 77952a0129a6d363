"""Calculate when to renew a certificate, from its validity, lead time, and work days.

The forecast, status, calendar, and summary use this module, so that they show the same dates. All
dates are whole days in UTC. In a :class:`Days` table, each day has a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from .times import add_time_span
from .work_days import WorkDays

#: A certificate is renewed in the last third of its validity period. This is the last 122 days of a
#: year, or the last 15 of 47 days.
EXPIRING_SHARE = 1 / 3
#: The longest such part: a third of two years. Inferred: the Web Server template of AD CS issues
#: certificates for two years, so no ordinary certificate is renewed later because of this limit.
EXPIRING_DAYS = 243

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_LAST_SECOND = time(23, 59, 59)
# The number of days that the table contains after the end of the period, because renewals can be
# due late in the period.
_AFTER = 400
# The number of years before and after a renewal in which lyncnb searches for a possible date.
_YEARS = 3


class Days:
    """The days in a period, and which work is allowed on each day."""

    def __init__(self, begin: date, until: date, work: WorkDays) -> None:
        self.begin, self.until = begin, until
        #: The number of the last planned day. The period also includes the year after this day.
        self.goal = (until - begin).days
        end = date.fromordinal(min(until.toordinal() + _AFTER, date.max.toordinal() - 7))
        self.count = (end - begin).days + 1
        self.freezes = work.find_freezes(begin, end)
        self.frozen = bytearray(self.count)
        for freeze in self.freezes:
            first, last = self.convert_to_number(freeze.begins), self.convert_to_number(freeze.ends)
            for day in range(max(0, first), min(self.count, last + 1)):
                self.frozen[day] = 1
        window = work.list_window_days(begin, end)
        self.windowed = bytearray(
            1 if window is None else begin + number * _DAY in window for number in range(self.count)
        )
        may_change = bytearray(
            is_in and not is_frozen
            for is_in, is_frozen in zip(self.windowed, self.frozen, strict=True)
        )
        #: For each day, the next and the previous day on which changes are allowed. A day on which
        #: changes are allowed is its own next and previous day.
        self.next_change = find_next_flagged_days(may_change)
        self.last_change = find_latest_flagged_days(may_change)
        self.next_unfrozen = find_next_flagged_days(bytearray(not day for day in self.frozen))

    def convert_to_number(self, day: date) -> int:
        """Return the number of a date in the table. The first date has the number 0."""
        return (day - self.begin).days

    def convert_to_date(self, number: int) -> date:
        """Return the date for a number. The number of the first date in the table is 0.

        The latest result is the last date that Python supports.
        """
        ordinal = self.begin.toordinal() + number
        return date.fromordinal(max(1, min(ordinal, date.max.toordinal())))

    def find_last_change(self, deadline: int) -> int:
        """Return the last day up to `deadline` on which changes are allowed, or else -1."""
        return self.last_change[min(deadline, self.count - 1)] if deadline >= 0 else -1


def find_next_flagged_days(flags: Sequence[int]) -> list[int]:
    """Return, for each day, the first flagged day that is not earlier than this day.

    If there is no such day, the value is the number of days.
    """
    days = [len(flags)] * (len(flags) + 1)
    for day in range(len(flags) - 1, -1, -1):
        days[day] = day if flags[day] else days[day + 1]
    return days


def find_latest_flagged_days(flags: Sequence[int]) -> list[int]:
    """Return, for each day, the last day with a flag up to and including that day.

    If there is no such day, the value is -1.
    """
    days, last = [], -1
    for day, flag in enumerate(flags):
        last = day if flag else last
        days.append(last)
    return days


class IssueDays(NamedTuple):
    """For each day, the next and the previous day on which a CA can issue a certificate."""

    next: list[int]
    last: list[int]


def choose_issue_day(
    days: Days, issue_days: IssueDays, *, renewal_day: int, first_day: int, deadline: int
) -> int | None:
    """Return the day on which the CA must issue the renewed certificate.

    The renewed certificate is installed on the first allowed day on or after `renew`, and issued as
    late as possible before it. If there is no such day, the last allowed day before `renew` is
    used.

    Parameters
    ----------
    days : Days
        The days from which to choose.
    issue_days : Ways
        The days on which a certificate can be issued.
    renewal_day : int
        The first day on which to replace the current certificate.
    first_day, deadline : int
        The first possible issue date, and the last day on which to install the certificate.

    Returns
    -------
    int or None
        None if no day is possible, or if the day is after the end of the table.
    """
    last = days.find_last_change(deadline)
    if last < first_day:
        return None
    renewal_day = min(renewal_day, days.count)
    # If the CA issues the certificate after the last work day before `renewal_day`, the server team
    # installs the certificate on a later day.
    earliest = max(first_day, days.last_change[renewal_day - 1] + 1 if renewal_day > 0 else 0)
    issue = issue_days.next[earliest] if earliest < days.count else days.count
    if issue <= last:
        return issue_days.last[min(days.next_change[issue], last)]
    if deadline >= days.count:
        # The CA would issue the certificate on a day after the end of the table of days.
        return None
    return issue_days.last[last] if issue_days.last[last] >= first_day else None


class RenewalDates(NamedTuple):
    """The date on which to order a renewed certificate, and the date on which to install it."""

    order_on: date
    change_on: date


class ChangeDates(NamedTuple):
    """The first and the last date on which a certificate can be installed on its servers."""

    change_on: date
    change_by: date


@dataclass(frozen=True, slots=True)
class RenewalTerms:
    """The lead times of CAs, and the days on which work is allowed.

    Parameters
    ----------
    lead_days : mapping of str to int
        Days from order to issuance, for the issuer ``internal`` or ``public``, or "" for both.
    work : WorkDays
        Change freezes and maintenance windows.
    token_hours : mapping of str to int, optional
        For each usage that rolls over, how many hours before the end of the certificate in use the
        next certificate must take effect.
    first_issue : date, optional
        The planned issue date of the first certificates.
    """

    lead_days: Mapping[str, int]
    work: WorkDays
    token_hours: Mapping[str, int] = field(default_factory=dict)
    first_issue: date | None = None
    _days: dict[int, Days] = field(default_factory=dict, init=False, repr=False, compare=False)
    _ways: dict[tuple[int, int], IssueDays] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _renewals: dict[tuple[date, date, date, int], RenewalDates] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def find_lead_time(self, issuer: str) -> int:
        """Return the lead time of a CA in days."""
        return self.lead_days.get(issuer, self.lead_days.get("", 0))

    def plan_renewal(
        self, start: datetime, end: datetime, issuer: str, *, last_share: float = EXPIRING_SHARE
    ) -> RenewalDates:
        """Return when to order and when to install the renewed certificate.

        Parameters
        ----------
        start, end : datetime
            The start and end of the validity period, UTC (RFC 5280 section 4.1.2.5).
        issuer : str
            ``internal`` or ``public``.
        last_share : float, optional
            The last share of the validity period, in which the certificate must be replaced.
        """
        renew = find_renewal_day(start, end, last_share)
        key = start.date(), renew, find_last_whole_day(end), self.find_lead_time(issuer)
        if key not in self._renewals:
            self._renewals[key] = self._find_renewal(*key)
        return self._renewals[key]

    def find_change_dates(self, ready: date, end: datetime, usages: Iterable[str]) -> ChangeDates:
        """Return when to install a certificate that replaces another one.

        Parameters
        ----------
        ready : date
            The date from which the certificate is available.
        end : datetime
            The last second in which servers can use the certificate that is replaced.
        usages : iterable of str
            The usages of the certificate.
        """
        hours = max((self.token_hours.get(usage, 0) for usage in usages), default=0)
        deadline = find_last_whole_day(add_time_span(end, -timedelta(hours=hours)))
        first = self.find_next_change(ready)
        last = self._get_days_around(deadline.year)
        number = last.find_last_change(last.convert_to_number(deadline))
        # If the certificate comes too late for the last window, the deadline itself is shown.
        latest = last.convert_to_date(number) if number >= 0 and first <= deadline else deadline
        return ChangeDates(first, latest)

    def find_next_change(self, ready: date) -> date:
        """Return the first day on or after a date on which servers may be changed, if any."""
        days = self._get_days_around(ready.year)
        number = days.next_change[days.convert_to_number(ready)]
        return days.convert_to_date(number) if number < days.count else ready

    def _find_renewal(
        self, start: date, renewal_day: date, last_day: date, lead_days: int
    ) -> RenewalDates:
        if not (self.work.freezes or self.work.windows):
            change = min(
                max(renewal_day, min(start, date.max - _DAY) + _DAY), max(last_day, renewal_day)
            )
            return RenewalDates(_subtract_days(change, lead_days), change)
        days = self._get_days_around(renewal_day.year)
        ways = self._find_issue_dates(renewal_day.year, lead_days)
        number = days.convert_to_number
        first = max(number(start) + 1, 0)
        issue = choose_issue_day(
            days, ways, renewal_day=number(renewal_day), first_day=first, deadline=number(last_day)
        )
        if issue is None:
            return RenewalDates(_subtract_days(renewal_day, lead_days), renewal_day)
        return RenewalDates(
            days.convert_to_date(issue - lead_days), days.convert_to_date(days.next_change[issue])
        )

    def _get_days_around(self, year: int) -> Days:
        if year not in self._days:
            begin = date(max(year - _YEARS, date.min.year), 1, 1)
            until = date(min(year + _YEARS, date.max.year), 12, 31)
            self._days[year] = Days(begin, until, self.work)
        return self._days[year]

    def _find_issue_dates(self, year: int, lead_days: int) -> IssueDays:
        """Return the days on which a CA can issue a certificate in time for its installation."""
        if (year, lead_days) not in self._ways:
            days = self._get_days_around(year)
            good = bytearray(
                issue >= lead_days
                and not days.frozen[issue - lead_days]
                and days.next_change[issue] < days.count
                for issue in range(days.count)
            )
            self._ways[year, lead_days] = IssueDays(
                find_next_flagged_days(good), find_latest_flagged_days(good)
            )
        return self._ways[year, lead_days]


#: The terms for renewals on any day: no lead times, change freezes or maintenance windows.
ANY_DAY = RenewalTerms({}, WorkDays())


def find_renewal_day(
    start: datetime, valid_until: datetime, last_share: float = EXPIRING_SHARE
) -> date:
    """Return the day on which a renewal is due: the first day in the last part of the validity.

    The last part is at most :data:`EXPIRING_DAYS` long.
    """
    end = add_time_span(valid_until, _SECOND)
    return (end - min((end - start) * last_share, EXPIRING_DAYS * _DAY)).date()


def find_last_whole_day(end: datetime) -> date:
    """Return the last date on which a certificate is valid until midnight."""
    day = end.date()
    return day if end.time() >= _LAST_SECOND or day == date.min else day - _DAY


def _subtract_days(day: date, days: int) -> date:
    return date.fromordinal(max(1, day.toordinal() - days))
