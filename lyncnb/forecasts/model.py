"""Define ``Forecast``: the renewals in the coming years, and the tasks that have no possible date.

This module contains only data classes. ``make_forecast.py`` creates the objects, and
``forecast_files.py`` writes them to files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from ..base.shown.frames import Kind
from ..base.shown.origin import UNKNOWN, Origin
from ..base.shown.report import ReportTable, Sentence, render_sections
from ..base.shown.tables import ROWS_SHOWN, Table, columns, format_count, join_first_texts
from ..base.work_days import Period
from ..reports.timeline_figure import DatedFact

CANNOT_WORK = "Problems with the schedule"
CHANGES = "Server changes by month"

_OWNERS = 4  # The largest number of owners that a table row lists.
_BARS = "▁▂▃▄▅▆▇█"


class ForecastEntry(NamedTuple):
    """A certificate in a forecast, and the work for it. Use keyword arguments to create it.

    Attributes
    ----------
    id, owner, role, servers, usages, issuer, ca
        The values of the planned certificate.
    number : int
        The position in the sequence of renewals: 1, 2, …; 0 for the certificate on record.
    order_on, validate_on, issued_on, change_on : date or None
        The dates of the order, the domain validation, the issue, and the installation. They are
        None for the certificate on record. The validation date is None if existing validations are
        sufficient.
    domains : tuple of str
        The domains to validate for the certificate.
    order_by, change_by : date or None
        The last possible dates, even if they have passed. In this case, ``order_on`` may be None.
        The dates are None if no certificate is in use.
    takes_effect : tuple of (str, datetime)
        The usages that roll over, each with the latest UTC time at which the new certificate must
        take effect.
    valid_until : date
        The last date on which the certificate is valid: the notAfter date in UTC, or the date of
        the revocation.
    renew_from : date
        The date on which to order the replacement.
    late_from : date or None
        The first date without a valid certificate. This state lasts until ``change_on``.
    changes : int
        The number of server changes that install the certificate.
    restarts : bool
        Whether the installation restarts services on the servers.

    Notes
    -----
    This is a tuple and not a dataclass, because a thousand certificates can have thirty thousand
    entries.
    """

    id: str
    owner: str
    role: str
    servers: tuple[str, ...]
    usages: tuple[str, ...]
    issuer: str
    ca: str
    number: int
    valid_until: date
    renew_from: date
    order_on: date | None = None
    order_by: date | None = None
    validate_on: date | None = None
    domains: tuple[str, ...] = ()
    issued_on: date | None = None
    change_on: date | None = None
    change_by: date | None = None
    takes_effect: tuple[tuple[str, datetime], ...] = ()
    late_from: date | None = None
    changes: int = 0
    restarts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """A rule that prevents the replacement of a certificate, with its dates and its source.

    ``rule`` is one of ``validity``, ``roll-over``, ``freeze``, ``window``, ``lead time``,
    ``validation``, ``earliest order``.
    """

    rule: str
    says: str
    begins: date
    ends: date
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastProblem:
    """A period in which servers have no valid certificate, with the rules that cause it."""

    certificates: tuple[str, ...]
    number: int
    begins: date
    ends: date
    what: str
    rules: tuple[BrokenRule, ...]

    @property
    def missing(self) -> str:
        """A short description of the certificates that are missing in the period."""
        number = len(self.certificates)
        return f"{number:,} certificates" if number > 1 else self.certificates[0]

    def lines(self) -> Iterator[str]:
        """Yield the problem in the forecast as lines of text."""
        yield f"problem: {join_first_texts(self.certificates, 3)}: {self.what}"
        for rule in self.rules:
            yield f"  {rule.rule}: {rule.says}"
            yield f"    {rule.source}"


class MonthWork(NamedTuple):
    """The numbers of orders, validations, and changes in a month, such as ``2027-03``."""

    month: str
    orders: int
    validations: int
    changes: int
    restarts: int


class DayWork(NamedTuple):
    """The work on one date: ``what`` is order, validate, or change."""

    day: date
    what: str
    entries: tuple[ForecastEntry, ...]


def _format_validation(entries: list[ForecastEntry]) -> str:
    domains = dict.fromkeys(domain for entry in entries for domain in entry.domains)
    day = next((entry.validate_on for entry in entries if entry.domains), None)
    return "\n".join((f"{day}", *domains)) if day else ""


def _format_change(entries: list[ForecastEntry]) -> str:
    entry = entries[0]
    change = _format_with_deadline(
        entry.change_on or "never", None if entry.late_from else entry.change_by
    )
    return f"{change}\nlate from {entry.late_from}" if entry.late_from else change


def _list_owners(entries: list[ForecastEntry]) -> Iterator[str]:
    for entry in entries[:_OWNERS]:
        yield f"{entry.owner}: {join_first_texts(entry.usages or (entry.role,), 1)}"
    if len(entries) > _OWNERS:
        yield f"and {len(entries) - _OWNERS:,} more"


def _format_with_deadline(day: object, last_day: object) -> str:
    return f"{day or ''}\nby {last_day}" if last_day else str(day or "")


def _format_moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


#: The columns of the table with one row for each certificate and each usage that rolls over: the
#: entry, the usage, and the time.
COLUMNS = columns(
    ("Certificate", lambda row: row[0].id),
    ("Servers", lambda row: row[0].servers),
    ("Type", lambda row: row[0].usages),
    ("Issuer", lambda row: row[0].issuer),
    ("Renewal", lambda row: row[0].number, Kind.COUNT),
    ("Order", lambda row: row[0].order_on, Kind.DAY),
    ("Order by", lambda row: row[0].order_by, Kind.DAY),
    ("Validate", lambda row: row[0].validate_on, Kind.DAY),
    ("Domains", lambda row: row[0].domains),
    ("Issued", lambda row: row[0].issued_on, Kind.DAY),
    ("On servers", lambda row: row[0].change_on, Kind.DAY),
    ("On servers by", lambda row: row[0].change_by, Kind.DAY),
    ("Usage", 1),
    ("Takes effect", 2, Kind.INSTANT),
    ("Expires", lambda row: row[0].valid_until, Kind.DAY),
    ("Next order", lambda row: row[0].renew_from, Kind.DAY),
    ("Late from", lambda row: row[0].late_from, Kind.DAY),
)
_SUMS = columns(
    ("Orders", "orders", Kind.COUNT),
    ("Validations", "validations", Kind.COUNT),
    ("Server changes", "changes", Kind.COUNT),
    ("Restarts", "restarts", Kind.COUNT),
)
MONTHS = columns(("Month", "month"), *_SUMS)
YEARS = columns(("Year", "month"), *_SUMS)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CHANGES_BY_MONTH = columns(
    ("Year", 0),
    *((month, number) for number, month in enumerate(_MONTHS, 1)),
)
#: The columns of the table of problems, with one row for each rule: the problem, the rule, and its
#: index.
BROKEN = columns(
    ("Certificates", lambda row: row[0].certificates if row[2] == 0 else ""),
    ("What", lambda row: row[0].what if row[2] == 0 else ""),
    ("Rule", lambda row: row[1].rule),
    ("Says", lambda row: row[1].says),
    ("Source", lambda row: row[1].source),
)
# The columns of a printed page. The files contain more columns, and one row for each certificate.
_WORK = columns(
    ("Order, by", lambda ones: _format_with_deadline(ones[0].order_on, ones[0].order_by)),
    ("Validate", _format_validation),
    ("On servers, by", _format_change),
    (
        "Takes effect",
        lambda ones: "\n".join(
            dict.fromkeys(_format_moment(moment) for _, moment in ones[0].takes_effect)
        ),
    ),
    ("Valid until", lambda ones: ones[0].valid_until),
    ("For", lambda ones: "\n".join(_list_owners(ones))),
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Forecast(Table):
    """A forecast: all certificates until a date, the work by month, and the problems.

    Attributes
    ----------
    source, product : str
        The source and the product of the plan.
    start, until : date
        The first day on which an order is possible, and the last day of the forecast.
    entries : tuple of ForecastEntry
        The certificates in the order of the plan; the entries of each certificate in
        chronological order.
    problems : tuple of ForecastProblem
        The problems, sorted by the start date; empty if all work can be done.
    freezes : tuple of Period
        The freezes in the period of the forecast.
    limits : tuple of DatedFact
        The limits that apply in the period of the forecast.
    notes : tuple of str
        The assumptions of the forecast.
    origin : Origin
        The deployment, the planner, and the table, for documents.
    """

    _columns = COLUMNS

    source: str
    product: str
    start: date
    until: date
    entries: tuple[ForecastEntry, ...]
    problems: tuple[ForecastProblem, ...] = ()
    freezes: tuple[Period, ...] = ()
    limits: tuple[DatedFact, ...] = ()
    notes: tuple[str, ...] = ()
    origin: Origin = UNKNOWN

    @property
    def works(self) -> bool:
        """Whether every certificate can be renewed in time."""
        return not self.problems

    @cached_property
    def months(self) -> tuple[MonthWork, ...]:
        """The work in each month of the forecast. Months without work have zeros."""
        counts: dict[str, Counter[str]] = {}
        restarts: set[tuple[str, date]] = set()
        for entry in self.entries:
            if entry.order_on:
                _find_month(counts, entry.order_on)["orders"] += 1
            if entry.change_on:
                _find_month(counts, entry.change_on)["changes"] += entry.changes
                if entry.restarts:
                    restarts.update((server, entry.change_on) for server in entry.servers)
            if entry.validate_on:
                _find_month(counts, entry.validate_on)["validations"] += len(entry.domains)
        for _, day in restarts:
            _find_month(counts, day)["restarts"] += 1
        kinds = MonthWork._fields[1:]
        return tuple(
            MonthWork(month, *(counts.get(month, Counter())[kind] for kind in kinds))
            for month in _list_months(counts)
        )

    def days(self) -> tuple[DayWork, ...]:
        """Return the work by date: orders, validations, and changes to servers."""
        entries_by_day: dict[tuple[date, str], list[ForecastEntry]] = {}
        for entry in self.entries:
            dated_work = (
                (entry.order_on, "order"),
                (entry.validate_on, "validate"),
                (entry.change_on, "change"),
            )
            for day, work in dated_work:
                if day is not None:
                    entries_by_day.setdefault((day, work), []).append(entry)
        order = ("order", "validate", "change")
        keys = sorted(entries_by_day, key=lambda key: (key[0], order.index(key[1])))
        return tuple(DayWork(day, work, tuple(entries_by_day[day, work])) for day, work in keys)

    @property
    def figure_title(self) -> str:
        """The title of the figure that shows the renewals."""
        return f"Forecast: {self.source}"

    def dated_facts(self) -> tuple[DatedFact, ...]:
        """Return the events for ``ln.figure(forecast)``.

        Returns
        -------
        tuple of DatedFact
            The limits and freezes, the problems, and then each installation date, by issuer.
        """
        facts = [*self.limits]
        facts += [
            DatedFact(kind="Freezes", about=freeze.name, what=freeze.name, begins=freeze.begins,
                      ends=freeze.ends, source="plan options: freezes")
            for freeze in self.freezes
        ]  # fmt: skip
        facts += [
            DatedFact(
                kind="Problems", about="; ".join(problem.certificates),
                what=problem.missing,
                begins=problem.begins, ends=problem.ends, needs_a_look=True,
                source="; ".join(rule.source for rule in problem.rules),
            )
            for problem in self.problems
        ]  # fmt: skip
        for issuer in ("public", "internal"):
            facts += [
                DatedFact(
                    kind=f"Installed, from {_add_article(issuer)} CA", about=entry.id,
                    what=f"valid until {entry.valid_until}",
                    begins=entry.change_on, ends=entry.change_on,
                    needs_a_look=entry.late_from is not None,
                )
                for entry in self.entries
                if entry.issuer == issuer and entry.change_on
            ]  # fmt: skip
        return tuple(facts)

    def _list_items(self) -> Iterator[tuple[ForecastEntry, str, datetime | None]]:
        for entry in self.entries:
            for usage, moment in entry.takes_effect or (("", None),):
                yield entry, usage, moment

    def _repr_html_(self) -> str:
        notes = (Sentence(f"Note: {note}.") for note in self.notes)
        work = self.work_table(self.summary())
        return "".join(
            render_sections((*self.problem_tables(), self.changes_table(), work, *notes))
        )

    def problem_tables(self) -> Iterator[ReportTable]:
        """If there are problems, yield a table of the problems and their rules."""
        if self.problems:
            yield ReportTable(
                columns=BROKEN,
                items=lambda: (
                    (problem, rule, position)
                    for problem in self.problems
                    for position, rule in enumerate(problem.rules)
                ),
                formats={
                    ".md": CANNOT_WORK,
                    ".html": f"{CANNOT_WORK}, and the rules that cause these problems",
                },
                limit=ROWS_SHOWN,
            )

    def changes_table(self) -> ReportTable:
        """Return the server changes by month as a table. Months with many changes are marked."""
        return ReportTable(
            columns=CHANGES_BY_MONTH,
            items=self.changes,
            formats={".md": CHANGES, ".html": CHANGES},
        )

    def work_table(self, caption: str) -> ReportTable:
        """Return the work in chronological order. Entries with the same dates share one row."""
        return ReportTable(
            columns=_WORK,
            items=lambda: _group_by_dates(self.entries),
            formats={".html": caption},
            limit=ROWS_SHOWN,
            keeps_days=True,
        )

    def years(self) -> Iterator[MonthWork]:
        """Yield the total work of each year."""
        for year, months in groupby(self.months, key=lambda item: item.month[:4]):
            yield MonthWork(year, *(sum(column) for column in list(zip(*months, strict=True))[1:]))

    def changes(self, *, bars: bool = True) -> Iterator[tuple[str, ...]]:
        """Yield each year with the number of server changes in each month.

        Parameters
        ----------
        bars : bool, optional
            Whether a bar shows the amount of each number. A month without changes is blank.
        """
        most = max((month.changes for month in self.months), default=0)
        for year, months in groupby(self.months, key=lambda item: item.month[:4]):
            cells = [""] * 12
            for month_work in months:
                if month_work.changes:
                    bar = (
                        f" {_BARS[-(-month_work.changes * len(_BARS) // most) - 1]}" if bars else ""
                    )
                    cells[int(month_work.month[5:]) - 1] = f"{month_work.changes:,}{bar}"
            yield (year, *cells)

    def summary(self) -> str:
        """Return a sentence that summarizes the work in the forecast."""
        sums = [sum(column) for column in list(zip(*self.months, strict=True))[1:]] or [0] * 4
        nouns = ("order", "validation", "server change", "restart")
        work = ", ".join(format_count(*pair) for pair in zip(sums, nouns, strict=True))
        certificates = len({entry.id for entry in self.entries})
        period = f"from {self.start} to {self.until}"
        text = f"{format_count(certificates, 'certificate')}; {period}: {work}"
        if self.problems:
            problems = format_count(len(self.problems), "problem")
            return f"{text}; {problems}: the work cannot be done as planned"
        return text

    def _summarize(self) -> str:
        return self.summary()


def _group_by_dates(entries: Iterable[ForecastEntry]) -> Iterator[list[ForecastEntry]]:
    """Group the forecast entries whose work has the same dates."""
    groups: dict[tuple[str, ...], list[ForecastEntry]] = {}
    for entry in entries:
        if entry.order_on is not None:
            days = (
                entry.order_on,
                entry.change_on,
                entry.order_by,
                entry.change_by,
                entry.valid_until,
            )
            moments = (moment for _, moment in entry.takes_effect)
            groups.setdefault((*map(str, days), *map(str, moments)), []).append(entry)
    return (groups[key] for key in sorted(groups))


def _add_article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _find_month(counts: dict[str, Counter[str]], day: date) -> Counter[str]:
    return counts.setdefault(f"{day:%Y-%m}", Counter())


def _list_months(counts: dict[str, Counter[str]]) -> Iterator[str]:
    if not counts:
        return
    (first_year, first), (last_year, last) = (
        map(int, month.split("-")) for month in (min(counts), max(counts))
    )
    for number in range(first_year * 12 + first - 1, last_year * 12 + last):
        yield f"{number // 12:04}-{number % 12 + 1:02}"
