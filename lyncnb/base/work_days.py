"""The days on which a planner allows work: freezes and maintenance windows.

Each text is read once. The code that plans work requests the days of a period. No side effects.
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
_SPANS = "2026-12-18 to 2027-01-08, or 12-18 to 01-08 for each year"
_WEEKLY = "saturday, or second saturday, last sunday"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Days from the first to the last, both included; ``name`` is the planner's."""

    name: str
    begins: date
    ends: date

    def __str__(self) -> str:
        days = f"{self.begins}" if self.begins == self.ends else f"{self.begins} to {self.ends}"
        return f'"{self.name}", {days}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Days that a text names, in one year, or in every year if the year is 0."""

    first: tuple[int, int, int]
    last: tuple[int, int, int]

    def periods(self, name: str, begin: date, end: date) -> Iterator[Period]:
        """Yield its periods between two days, in order."""
        years = (self.first[0],) if self.first[0] else range(begin.year - 1, end.year + 1)
        for year in years:
            first = date(year, *self.first[1:])
            later = self.last[1:] < self.first[1:]
            last = date(self.last[0] or year + later, *self.last[1:])
            if first <= end and last >= begin:
                yield Period(name=name, begins=first, ends=last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekday:
    """A day of every week (``which`` is 0), or the n-th (-1: the last) of every month."""

    weekday: int
    which: int = 0

    def holds_on(self, day: date) -> bool:
        """Return whether this rule includes a day."""
        if day.weekday() != self.weekday:
            return False
        if self.which < 0:
            return (day + 7 * _DAY).month != day.month
        return not self.which or (day.day - 1) // 7 + 1 == self.which


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDays:
    """All freezes and windows of a planner; without windows, any day allows changes."""

    freezes: tuple[tuple[str, tuple[Span, ...]], ...] = ()
    windows: tuple[tuple[str, tuple[Span | Weekday, ...]], ...] = ()

    def freezes_between(self, begin: date, end: date) -> tuple[Period, ...]:
        """Return the freezes that overlap a period, by their first day."""
        periods = [
            period
            for name, spans in self.freezes
            for span in spans
            for period in span.periods(name, begin, end)
        ]
        return tuple(sorted(periods, key=lambda freeze: (freeze.begins, freeze.ends, freeze.name)))

    def window_days(self, begin: date, end: date) -> frozenset[date] | None:
        """Return the days of a period that are in a window; None if there are no windows."""
        if not self.windows:
            return None
        in_windows: set[date] = set()
        days = [begin + number * _DAY for number in range((end - begin).days + 1)]
        for name, parts in self.windows:
            for part in parts:
                if isinstance(part, Weekday):
                    in_windows.update(day for day in days if part.holds_on(day))
                    continue
                for period in part.periods(name, begin, end):
                    first, last = max(begin, period.begins), min(end, period.ends)
                    in_windows.update(days[(first - begin).days : (last - begin).days + 1])
        return frozenset(in_windows)


def read_work_days(freezes: Mapping[str, str], windows: Mapping[str, str]) -> WorkDays:
    """Read what ``plan.toml`` has under ``[freezes]`` and ``[windows]``.

    Raises
    ------
    OptionsError
        If a text does not name days.
    """
    return WorkDays(
        freezes=tuple((name, tuple(_spans("freezes", name, freezes[name]))) for name in freezes),
        windows=tuple((name, tuple(_parts(name, windows[name]))) for name in windows),
    )


def _parts(name: str, text: str) -> Iterator[Span | Weekday]:
    for part in _split(text):
        which, _, weekday = part.rpartition(" ")
        if weekday in _WEEKDAYS and (not which or which in _WHICH):
            yield Weekday(weekday=_WEEKDAYS.index(weekday), which=_WHICH.get(which, 0))
        else:
            yield _span("windows", name, part, f"{_WEEKLY}, {_SPANS}")


def _spans(option: str, name: str, text: str) -> Iterator[Span]:
    for part in _split(text):
        yield _span(option, name, part, _SPANS)


def _split(text: str) -> list[str]:
    # A repeated part is looked up once, because a lookup goes through all days of a forecast.
    return [*dict.fromkeys(" ".join(part.casefold().split()) for part in text.split(","))]


def _span(option: str, name: str, text: str, forms: str) -> Span:
    match = _SPAN.fullmatch(text)
    first = _numbers(match["first"]) if match else None
    last = (_numbers(match["last"]) if match["last"] else first) if match else None
    if first is None or last is None or bool(first[0]) != bool(last[0]):
        raise OptionsError(f'option {option}.{name} is "{text}"', hint=f"write {forms}")
    if first[0] and last < first:
        raise OptionsError(
            f'option {option}.{name} is "{text}", which ends before it starts',
            hint="write the first day first",
        )
    return Span(first=first, last=last)


def _numbers(text: str) -> tuple[int, int, int] | None:
    """Read ``2026-12-18``, or ``12-18`` as a day of every year."""
    whole = text if text.count("-") == 2 else f"2001-{text}"  # 29 February is not in every year
    try:
        day = date.fromisoformat(whole)
    except ValueError:
        return None
    return (day.year if whole == text else 0, day.month, day.day)
