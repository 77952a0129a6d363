"""Calculate the forecast in a second way, by trying every date and every hour.

This module shares no code with ``lyncnb.forecasts``. It repeats limits, lead times, and validity.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property

DAY, HOUR = timedelta(days=1), timedelta(hours=1)

# The limits are from CA/Browser Forum, Baseline Requirements 2.2.6, sections 6.3.2 and 4.2.1.
VALIDITY = ((date(2026, 3, 15), 200), (date(2027, 3, 15), 100), (date(2029, 3, 15), 47))
REUSE = ((date(2026, 3, 15), 200), (date(2027, 3, 15), 100), (date(2029, 3, 15), 10))
LEAD_HOURS = {"AudioVideoAuthentication": 8, "OAuthTokenIssuer": 24}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def on_day(table, day: date) -> int:
    return [number for start, number in table if start <= day][-1]


@dataclass
class Case:
    """A small test case of the forecast, with the planner's settings in days."""

    issue: date
    until: date
    start: date
    asked: int
    lead: dict[str, int]
    freezes: list[tuple[date, date]]
    windows: list[tuple[date, date]]
    weekdays: set[int]
    frozen: set[date] = field(default_factory=set)

    def __post_init__(self) -> None:
        for first, last in self.freezes:
            self.frozen |= {first + number * DAY for number in range((last - first).days + 1)}

    def may_change(self, day: date) -> bool:
        """Return whether changes on a server are allowed on a date."""
        in_window = day.weekday() in self.weekdays or any(a <= day <= b for a, b in self.windows)
        return day not in self.frozen and (in_window or not (self.weekdays or self.windows))

    def order_on(self, issuer: str, begins: date, renew: date, last: date) -> date:
        """Return the date on which to order the next certificate, found by trying every date."""
        lead = self.lead[issuer] * DAY
        ways = []
        for issue in (begins + number * DAY for number in range(1, (last - begins).days + 1)):
            days = (issue + number * DAY for number in range((last - issue).days + 1))
            change = next((day for day in days if self.may_change(day)), None)
            if change and issue - lead not in self.frozen:
                ways.append((change, issue))
        preferred = [way for way in ways if way[0] >= renew]
        if preferred:
            return max(issue for change, issue in preferred if change == min(preferred)[0]) - lead
        return (max(ways)[1] if ways else renew) - lead

    def options(self) -> dict[str, object]:
        """Return the test case as plan options."""
        windows = {f"w{n}": f"{a} to {b}" for n, (a, b) in enumerate(self.windows)}
        if self.weekdays:
            windows["weekly"] = ", ".join(WEEKDAYS[day] for day in sorted(self.weekdays))
        return {
            "planned_issue_date": self.issue,
            "validity_days": self.asked,
            "lead_days": self.lead,
            "freezes": {f"f{n}": f"{a} to {b}" for n, (a, b) in enumerate(self.freezes)},
            "windows": windows,
        }


def random_case(seed: int) -> Case:
    """Create a test case near a date on which limits change, or far from any such date."""
    chance = random.Random(seed)
    corner = chance.choice([date(2027, 3, 15), date(2029, 3, 15), date(2028, 2, 20)])
    issue = corner + chance.randint(-40, 20) * DAY
    until = issue + chance.randint(10, 110) * DAY
    if chance.random() < 0.1:
        validity_days, until = (
            chance.choice([47, 60, 150, 365]),
            issue + chance.randint(150, 320) * DAY,
        )
    else:
        validity_days = chance.randint(2, 40)

    def span(longest: int) -> tuple[date, date]:
        first = issue + chance.randint(-5, (until - issue).days) * DAY
        return first, first + chance.randint(0, longest) * DAY

    # In some cases, the order is placed so early that the domain must be validated again before the
    # certificate is issued, and a freeze may prevent the validation.
    is_proof_late = chance.random() < 0.15
    if is_proof_late:
        corner, validity_days = date(2029, 3, 15), chance.randint(25, 45)
        issue = corner + chance.randint(-10, 20) * DAY
        until = issue + chance.randint(30, 110) * DAY
    weekdays = set(chance.sample(range(7), chance.choice([0, 0, 0, 1, 1, 2])))
    return Case(
        issue=issue,
        until=until,
        start=issue - chance.choice([0, 0, 5, 20]) * DAY,
        asked=validity_days,
        lead={
            "public": 12 if is_proof_late else chance.choice([0, 0, 1, 3, 12]),
            "internal": chance.choice([0, 0, 1, 2]),
        },
        freezes=[span(chance.choice([3, 15, 45])) for _ in range(chance.choice([0, 1, 1, 2, 3]))]
        + [(issue + 20 * DAY, issue + chance.randint(29, 33) * DAY)] * is_proof_late,
        windows=[span(2) for _ in range(chance.choice([0, 0, 0, 3, 8]))],
        weekdays=weekdays,
    )


class Search:
    """A search that tries every date to find all dates on which one certificate can follow another."""

    def __init__(self, case: Case, *, usages, issuer: str) -> None:
        self.case, self.issuer = case, issuer
        self.lead = max((LEAD_HOURS.get(usage, 0) for usage in usages), default=0)
        # The certificates in use at the end of the forecast may remain valid for some time
        # afterwards.
        count = (case.until - case.start).days + 1 + min(case.asked, 200) + 14
        self.days = [case.start + number * DAY for number in range(count)]

    def length(self, issue: date) -> int:
        """Return the number of days for which the CA issues the certificate."""
        return min(self.case.asked, on_day(VALIDITY, issue)) if self.is_public else self.case.asked

    @property
    def is_public(self) -> bool:
        """Return whether a public CA issues the certificates."""
        return self.issuer == "public"

    def end(self, issue: date) -> datetime:
        """Return the time at which a certificate expires."""
        return datetime.combine(issue, time()) + self.length(issue) * DAY

    def can_be_issued(self, issue: date) -> bool:
        """Return whether the certificate can be ordered, and its domains can be validated, early
        enough for this issue date.
        """
        case = self.case
        order = issue - case.lead[self.issuer] * DAY
        if order < case.start or order in case.frozen:
            return False
        if not self.is_public:
            return True
        return any(
            issue - age * DAY not in case.frozen and issue - age * DAY >= order
            for age in range(on_day(REUSE, issue) + 1)
        )

    def changes(self, issue: date) -> list[date]:
        """Return every date on which a certificate may be installed on its servers."""
        days = (issue + number * DAY for number in range(self.length(issue)))
        return [day for day in days if self.case.may_change(day)]

    def is_in_time(self, change: date, old: date) -> bool:
        """Return whether a change on a date is complete before the old certificate expires."""
        return datetime.combine(change, time()) + 24 * HOUR <= self.end(old) - self.lead * HOUR

    @cached_property
    def next_issue_dates(self) -> dict[date, list[date]]:
        """Return the issue dates of certificates that can follow the certificate issued on a date."""
        moments = {
            day: datetime.combine(min(changes), time()) + 24 * HOUR
            for day in self.days
            if self.can_be_issued(day) and (changes := self.changes(day))
        }
        limits = {day: self.end(day) - self.lead * HOUR for day in self.days}
        return {
            old: [new for new, moment in moments.items() if new > old and moment <= limits[old]]
            for old in self.days
        }

    def following_on_record(self, begins: datetime, ends: datetime) -> list[date]:
        """Return the issue dates that can follow a recorded certificate."""
        return [
            day for day in self.days
            if day > begins.date() and self.can_be_issued(day) and (changes := self.changes(day))
            and datetime.combine(min(changes), time()) + 24 * HOUR
            <= ends + timedelta(seconds=1) - self.lead * HOUR
        ]  # fmt: skip

    def is_valid_to_the_end(self, issue: date) -> bool:
        """Return whether a certificate with this issue date is valid until the end of the last day
        of the forecast.
        """
        return self.end(issue) >= datetime.combine(self.case.until, time()) + 24 * HOUR

    @cached_property
    def good(self) -> set[date]:
        """Return the issue dates from which a sequence of certificates covers the whole period."""
        dates: set[date] = set()
        for day in reversed(self.days):
            if self.is_valid_to_the_end(day) or any(
                new in dates for new in self.next_issue_dates[day]
            ):
                dates.add(day)
        return dates

    def reachable_issue_dates(self, first: date) -> set[date]:
        """Return every issue date that can be reached by renewals, beginning with the given issue
        date.
        """
        dates, waiting = set(), [first]
        while waiting:
            day = waiting.pop()
            if day not in dates:
                dates.add(day)
                waiting += self.next_issue_dates[day]
        return dates

    def served_until(self, issue: date) -> date:
        """Return the last date after which at least the required lead time remains until the
        certificate expires.
        """
        return self.last_day_before(self.end(issue))

    def last_day_before(self, end: datetime) -> date:
        """Return the last date whose end is at least the required lead time before the given time."""
        day = end.date() + DAY
        while datetime.combine(day, time()) + 24 * HOUR > end - self.lead * HOUR:
            day -= DAY
        return day
