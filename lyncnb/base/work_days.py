"""Parse change freezes and maintenance windows, which define when work on servers is allowed.

Each text is parsed only once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from ..errors import OptionsError

_DAY = timedelta(days=1)
_SPAN = re.compile(r"(?P<first>[0-9-]+)(?: to (?P<last>[0-9-]+))?")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WHICH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_SPANS = "2026-12-18 to 2027-01-08, or 12-18 to 01-08 for every year"
_WEEKLY = "saturday, second saturday, or last sunday"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A change freeze with its name, its first day and its last day (inclusive)."""

    name: str
    begins: date
    ends: date

    def __str__(self) -> str:
        days = f"{self.begins}" if self.begins == self.ends else f"{self.begins} to {self.ends}"
        return f'"{self.name}", {days}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of dates in one year, or in every year if the year is 0."""

    first: tuple[int, int, int]
    last: tuple[int, int, int]

    def list_periods(self, name: str, begin: date, end: date) -> Iterator[Period]:
        """Yield the periods that overlap the given range of dates, in chronological order."""
        years = (self.first[0],) if self.first[0] else range(begin.year - 1, end.year + 1)
        for year in years:
            first = date(year, *self.first[1:])
            later = self.last[1:] < self.first[1:]
            last = date(self.last[0] or year + later, *self.last[1:])
            if first <= end and last >= begin:
                yield Period(name=name, begins=first, ends=last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekday:
    """A weekday in every week (``which`` is 0), or the n-th one in every month (-1: the last)."""

    weekday: int
    which: int = 0

    def falls_on(self, date_: date) -> bool:
        """Return whether a date falls on this weekday."""
        if date_.weekday() != self.weekday:
            return False
        if self.which < 0:
            return (date_ + 7 * _DAY).month != date_.month
        return not self.which or (date_.day - 1) // 7 + 1 == self.which


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDays:
    """All change freezes and maintenance windows of a deployment.

    Without windows, changes are allowed on any day.
    """

    freezes: tuple[tuple[str, tuple[Span, ...]], ...] = ()
    windows: tuple[tuple[str, tuple[Span | Weekday, ...]], ...] = ()

    def find_freezes(self, begin: date, end: date) -> tuple[Period, ...]:
        """Return the freezes that overlap a period, sorted by their first day."""
        periods = [
            period
            for name, spans in self.freezes
            for span in spans
            for period in span.list_periods(name, begin, end)
        ]
        return tuple(sorted(periods, key=lambda freeze: (freeze.begins, freeze.ends, freeze.name)))

    def list_window_days(self, begin: date, end: date) -> frozenset[date] | None:
        """Return the days of a period that are in maintenance windows.

        If there are no windows, return None.
        """
        if not self.windows:
            return None
        in_windows: set[date] = set()
        days = [begin + number * _DAY for number in range((end - begin).days + 1)]
        for name, parts in self.windows:
            for part in parts:
                if isinstance(part, Weekday):
                    in_windows.update(day for day in days if part.falls_on(day))
                    continue
                for period in part.list_periods(name, begin, end):
                    first, last = max(begin, period.begins), min(end, period.ends)
                    in_windows.update(days[(first - begin).days : (last - begin).days + 1])
        return frozenset(in_windows)


def read_work_days(freezes: Mapping[str, str], windows: Mapping[str, str]) -> WorkDays:
    """Read change freezes and maintenance windows from the values in ``plan.toml``.

    Raises
    ------
    OptionsError
        If a text does not specify valid dates.
    """
    return WorkDays(
        freezes=tuple(
            (name, tuple(_parse_spans("freezes", name, freezes[name]))) for name in freezes
        ),
        windows=tuple(
            (name, tuple(_parse_maintenance_windows(name, windows[name]))) for name in windows
        ),
    )


def _parse_maintenance_windows(name: str, text: str) -> Iterator[Span | Weekday]:
    for part in _split_list(text):
        ordinal, _, weekday = part.rpartition(" ")
        if weekday in _WEEKDAYS and (not ordinal or ordinal in _WHICH):
            yield Weekday(weekday=_WEEKDAYS.index(weekday), which=_WHICH.get(ordinal, 0))
        else:
            yield _parse_span("windows", name, part, f"{_WEEKLY}, {_SPANS}")


def _parse_spans(option: str, name: str, text: str) -> Iterator[Span]:
    for part in _split_list(text):
        yield _parse_span(option, name, part, _SPANS)


def _split_list(text: str) -> list[str]:
    # Duplicates are removed, because a forecast compares each freeze and window with every day.
    return [*dict.fromkeys(" ".join(part.casefold().split()) for part in text.split(","))]


def _parse_span(option: str, name: str, text: str, formats: str) -> Span:
    match = _SPAN.fullmatch(text)
    first = _parse_date(match["first"]) if match else None
    last = (_parse_date(match["last"]) if match["last"] else first) if match else None
    if first is None or last is None or bool(first[0]) != bool(last[0]):
        raise OptionsError(
            (f'the option "{option}.{name}" is "{text}", which is not a valid date or period'),
            hint=f"use one of these forms: {formats}",
        )
    if first[0] and last < first:
        raise OptionsError(
            f'the option "{option}.{name}" is "{text}", but its end date is before its start date',
            hint="enter the earlier date first",
        )
    return Span(first=first, last=last)


def _parse_date(text: str) -> tuple[int, int, int] | None:
    """Return the year, month, and day of a date. For a date without a year, the year is 0."""
    # A date without a year must exist in every year. The year 2001 is not a leap year, so 29
    # February is rejected.
    full_text = text if text.count("-") == 2 else f"2001-{text}"
    try:
        day = date.fromisoformat(full_text)
    except ValueError:
        return None
    return (day.year if full_text == text else 0, day.month, day.day)
