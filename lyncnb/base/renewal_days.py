"""On which day a certificate is to be renewed: by its life, the CA's lead time, and the work days.

Pure. Forecast, status, calendar and summary ask here, so that they name the same day. Days are
whole days, UTC, and are numbers in a table of :class:`Days`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from .times import later
from .work_days import WorkDays

#: A certificate is renewed in the last third of its life: 122 days of a year, 15 of 47.
EXPIRING_SHARE = 1 / 3

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_LAST_SECOND = time(23, 59, 59)
_AFTER = 400  # days that are known after the last one: what is due then is renewed before
_YEARS = 3  # before and after a renewal in which a day for it is looked for


class Days:
    """The days of a span, and what a planner lets be done on each."""

    def __init__(self, begin: date, until: date, work: WorkDays) -> None:
        self.begin, self.until = begin, until
        #: The number of the last day that is to be served; beyond it, days are known for a year.
        self.goal = (until - begin).days
        end = date.fromordinal(min(until.toordinal() + _AFTER, date.max.toordinal() - 7))
        self.count = (end - begin).days + 1
        self.freezes = work.freezes_between(begin, end)
        self.frozen = bytearray(self.count)
        for freeze in self.freezes:
            first, last = self.number(freeze.begins), self.number(freeze.ends)
            for day in range(max(0, first), min(self.count, last + 1)):
                self.frozen[day] = 1
        window = work.window_days(begin, end)
        self.windowed = bytearray(
            1 if window is None else begin + number * _DAY in window for number in range(self.count)
        )
        may_change = bytearray(
            is_in and not is_frozen
            for is_in, is_frozen in zip(self.windowed, self.frozen, strict=True)
        )
        #: By day: the first on or after it, and the last on or before it, to change a server.
        self.next_change = next_flagged(may_change)
        self.last_change = last_flagged(may_change)
        self.next_unfrozen = next_flagged(bytearray(not day for day in self.frozen))

    def number(self, day: date) -> int:
        """Give the number of a day."""
        return (day - self.begin).days

    def date(self, number: int) -> date:
        """Give the day of a number; the last that there is for what is later."""
        ordinal = self.begin.toordinal() + number
        return date.fromordinal(max(1, min(ordinal, date.max.toordinal())))

    def up_to(self, deadline: int) -> int:
        """Give the last day on or before another on which servers may be changed; or -1."""
        return self.last_change[min(deadline, self.count - 1)] if deadline >= 0 else -1


def next_flagged(flags: Sequence[int]) -> list[int]:
    """Give, by day, the first day on or after it with a flag; one past the end for none."""
    found = [len(flags)] * (len(flags) + 1)
    for day in range(len(flags) - 1, -1, -1):
        found[day] = day if flags[day] else found[day + 1]
    return found


def last_flagged(flags: Sequence[int]) -> list[int]:
    """Give, by day, the last day on or before it with a flag; -1 for none."""
    found, last = [], -1
    for day, flag in enumerate(flags):
        last = day if flag else last
        found.append(last)
    return found


class Ways(NamedTuple):
    """On which days a certificate may be issued: by day, the next one and the last one."""

    next: list[int]
    last: list[int]


def issue_day(days: Days, ways: Ways, *, renew: int, first: int, deadline: int) -> int | None:
    """Choose the day of issue of what follows a certificate.

    It is on its servers on the first day on which that may be done, from `renew` on, and is issued
    as late as that allows. Where there is no such day, it is the last one before.

    Parameters
    ----------
    days : Days
        The days by which it is chosen.
    ways : Ways
        On which of them it may be issued.
    renew : int
        The day from which on the one in use is to be replaced.
    first, deadline : int
        The first day of issue, and the last day on which it may come to the servers.

    Returns
    -------
    int or None
        None if no day serves, or it would be one that is not known.
    """
    last = days.up_to(deadline)
    if last < first:
        return None
    renew = min(renew, days.count)
    # What is issued after the last day to change a server before `renew` comes there later.
    wanted = max(first, days.last_change[renew - 1] + 1 if renew > 0 else 0)
    found = ways.next[wanted] if wanted < days.count else days.count
    if found <= last:
        return ways.last[min(days.next_change[found], last)]
    if deadline >= days.count:
        return None  # it is renewed on a day that is not known
    return ways.last[last] if ways.last[last] >= first else None


class Renewing(NamedTuple):
    """The day on which the next certificate is ordered, and that on which it comes to servers."""

    order_on: date
    change_on: date


@dataclass(frozen=True, slots=True)
class RenewalTerms:
    """How long CAs take, and on which days may be worked.

    Parameters
    ----------
    lead_days : mapping of str to int
        By issuer, ``internal`` and ``public``, or "" for both: days from order to certificate.
    work : WorkDays
        Freezes and maintenance windows.
    """

    lead_days: Mapping[str, int]
    work: WorkDays
    _days: dict[int, Days] = field(default_factory=dict, init=False, repr=False, compare=False)
    _ways: dict[tuple[int, int], Ways] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _found: dict[tuple[date, date, date, int], Renewing] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def lead_of(self, issuer: str) -> int:
        """Give the days that a CA takes."""
        return self.lead_days.get(issuer, self.lead_days.get("", 0))

    def renewing(
        self, begins: datetime, ends: datetime, issuer: str, *, share: float = EXPIRING_SHARE
    ) -> Renewing:
        """Say when a certificate is to be renewed: ordered, and replaced on its servers.

        Parameters
        ----------
        begins, ends : datetime
            Its first and its last second, UTC (RFC 5280 section 4.1.2.5).
        issuer : str
            ``internal`` or ``public``.
        share : float, optional
            The share of its life, counted from the end, in which it must be replaced.
        """
        renew = renewal_day(begins, ends, share)
        key = begins.date(), renew, last_whole_day(ends), self.lead_of(issuer)
        if key not in self._found:
            self._found[key] = self._renewing(*key)
        return self._found[key]

    def _renewing(self, begins: date, renew: date, last: date, lead: int) -> Renewing:
        if not (self.work.freezes or self.work.windows):
            change = min(max(renew, begins + _DAY), max(last, renew))
            return Renewing(_earlier(change, lead), change)
        days = self._days_around(renew.year)
        ways = self._ways_of(renew.year, lead)
        number = days.number
        first = max(number(begins) + 1, 0)
        issue = issue_day(days, ways, renew=number(renew), first=first, deadline=number(last))
        if issue is None:
            return Renewing(_earlier(renew, lead), renew)
        return Renewing(days.date(issue - lead), days.date(days.next_change[issue]))

    def _days_around(self, year: int) -> Days:
        if year not in self._days:
            begin = date(max(year - _YEARS, date.min.year), 1, 1)
            until = date(min(year + _YEARS, date.max.year), 12, 31)
            self._days[year] = Days(begin, until, self.work)
        return self._days[year]

    def _ways_of(self, year: int, lead: int) -> Ways:
        """Give the days of issue for which an order and a change of servers may be made."""
        if (year, lead) not in self._ways:
            days = self._days_around(year)
            good = bytearray(
                issue >= lead
                and not days.frozen[issue - lead]
                and days.next_change[issue] < days.count
                for issue in range(days.count)
            )
            self._ways[year, lead] = Ways(next_flagged(good), last_flagged(good))
        return self._ways[year, lead]


#: No lead time, no freeze and no window.
ANY_DAY = RenewalTerms({}, WorkDays())


def renewal_day(begins: datetime, ends: datetime, share: float = EXPIRING_SHARE) -> date:
    """Give the day on which the last share of a life begins; its last second is part of it."""
    end = later(ends, _SECOND)
    return (end - (end - begins) * share).date()


def last_whole_day(ends: datetime) -> date:
    """Give the last day that a certificate is valid on from its first to its last second."""
    day = ends.date()
    return day if ends.time() >= _LAST_SECOND or day == date.min else day - _DAY


def _earlier(day: date, days: int) -> date:
    return date.fromordinal(max(1, day.toordinal() - days))
