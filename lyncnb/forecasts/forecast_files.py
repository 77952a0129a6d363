"""Write a forecast as a report (problems, work, all certificates) or as a calendar."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from ..base.records import list_json_values
from ..base.shown.report import (
    Part,
    Picture,
    Report,
    ReportTable,
    Sentence,
    build_report_kind,
    describe_hidden_rows,
)
from ..base.shown.tables import columns
from ..reports.figures import figure
from .calendar_file import PRODUCT, build_calendar
from .model import (
    BROKEN,
    CHANGES,
    CHANGES_BY_MONTH,
    COLUMNS,
    MONTHS,
    YEARS,
    Forecast,
    ForecastEntry,
)

#: The type of file for a forecast of renewals.
FORECAST_FILE = build_report_kind(
    "a forecast",
    title="Certificate forecast",
    format_id="lyncnb-forecast/1",
    columns=COLUMNS,
    suffixes=(".csv", ".xlsx", ".html", ".md", ".json", ".ics", ".svg"),
    calendar=PRODUCT,
)

_SHOWN = 40  # The largest number of problems and certificates in the short form of a forecast.


def build_forecast_report(forecast: Forecast, *, max_shown: int = _SHOWN) -> Report:
    """Return a forecast of renewals as a report.

    Parameters
    ----------
    forecast : Forecast
        The forecast of a plan or a folder.
    max_shown : int, optional
        The maximum number of problems, and of certificates, in the short form.

    Returns
    -------
    Report
        CSV contains the certificates; XLSX also contains the work by month and the problems.
        A page shows the first 200 certificates.
    """
    years = ReportTable(columns=YEARS, items=forecast.years, formats={".html": "Work by year"})
    months = ReportTable(
        columns=MONTHS,
        items=lambda: forecast.months,
        formats=dict.fromkeys((".xlsx", ".md", ".html"), "Work by month"),
    )
    parts: list[Part] = [
        Sentence(forecast.summary()),
        *(Sentence(f"Note: {note}.", (".html",)) for note in forecast.notes),
        *(Sentence(note, (".md",)) for note in forecast.notes),
        *forecast.problem_tables(),
        forecast.changes_table(),
        Picture(lambda: figure(forecast)),
        years,
        _format_certificates(forecast, ".csv", ".xlsx"),
        months,
        _format_certificates(forecast, ".md"),
        forecast.work_table("Tasks in chronological order"),
        ReportTable(
            columns=_PROBLEMS,
            items=lambda: (
                (problem, rule) for problem in forecast.problems for rule in problem.rules
            ),
            formats={".xlsx": "Problems"},
        ),
    ]
    return Report(
        kind=FORECAST_FILE,
        about=forecast.source,
        origin=forecast.origin,
        summary=forecast.summary(),
        parts=parts,
        document=lambda: _list_values(forecast),
        text=lambda: _format_text(forecast, max_shown),
        own={".ics": lambda: build_calendar(forecast)},
    )


def _format_certificates(forecast: Forecast, *suffixes: str) -> ReportTable:
    return ReportTable(
        columns=COLUMNS,
        items=forecast._list_items,
        formats=dict.fromkeys(suffixes, "Certificates"),
    )


_PROBLEMS = columns(
    (BROKEN[0].heading, lambda row: row[0].certificates),
    ("No.", lambda row: row[0].number),
    ("From", lambda row: row[0].begins),
    ("To", lambda row: row[0].ends),
    (BROKEN[1].heading, lambda row: row[0].what),
    *BROKEN[2:4],
    ("Begins", lambda row: row[1].begins),
    ("Ends", lambda row: row[1].ends),
    BROKEN[4],
)


def _list_values(forecast: Forecast) -> dict[str, object]:
    names = ("source", "product", "start", "until", "works", "summary", "notes", "problems")
    months = [month._asdict() for month in forecast.months]
    entries = [*map(_build_entry, forecast.entries)]
    return {**list_json_values(forecast, *names), "months": months, "certificates": entries}


def _build_entry(entry: ForecastEntry) -> dict[str, object]:
    plain = {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in entry._asdict().items()
    }
    return {**plain, "takes_effect": dict(entry.takes_effect)}


def _format_text(forecast: Forecast, max_shown: int) -> Iterator[list[str] | ReportTable]:
    """Yield the forecast as text: the problems, the work, and the next orders."""
    yield [forecast.summary(), *(f"  note: {note}" for note in forecast.notes)]
    problems = [[*problem.lines()] for problem in forecast.problems[:max_shown]]
    if problems:
        problems[-1] += describe_hidden_rows(len(forecast.problems) - max_shown)
    yield from problems
    yield ReportTable(columns=YEARS, items=forecast.years, formats={"": ""})
    yield ReportTable(
        columns=CHANGES_BY_MONTH,
        items=lambda: forecast.changes(bars=False),
        formats={"": CHANGES},
    )
    yield ReportTable(
        columns=_NEXT, items=lambda: _find_next_orders(forecast), formats={"": ""}, limit=max_shown
    )


def _find_next_orders(forecast: Forecast) -> list[ForecastEntry]:
    """Return the next forecast entry with an order date for each certificate."""
    entries_by_id: dict[str, ForecastEntry] = {}
    for entry in forecast.entries:
        if entry.order_on:
            entries_by_id.setdefault(entry.id, entry)
    return sorted(entries_by_id.values(), key=lambda item: (str(item.order_on), item.id))


def _format_change(entry: ForecastEntry) -> str:
    by = f", by {entry.change_by}" if entry.change_by else ""
    if entry.late_from:
        by = f", late from {entry.late_from}"
    return f"{entry.change_on or 'never'}{by}"


_NEXT = columns(
    ("Next", "owner"),
    ("Order", "order_on"),
    ("On servers, by", _format_change),
    ("Until", "valid_until"),
    ("Type", lambda row: ", ".join(row.usages) or row.role),
)
