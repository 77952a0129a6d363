"""Compare two forecasts side by side, year by year, with their problems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter

from ..base.arguments import check_type
from ..base.shown.frames import Kind
from ..base.shown.report import (
    Part,
    Picture,
    Report,
    ReportTable,
    Sentence,
    build_report_document,
    build_report_kind,
    render_sections,
)
from ..base.shown.tables import ROWS_SHOWN, Table, columns
from ..reports.figures import figure
from .forecast_files import build_forecast_report
from .model import BROKEN, CANNOT_WORK, MONTHS, YEARS, Forecast, ForecastProblem

COLUMNS = columns(
    ("When", 0),
    ("Work", 1),
    ("First", 2, Kind.COUNT),
    ("Second", 3, Kind.COUNT),
    ("Difference", lambda row: row[3] - row[2], Kind.COUNT),
)

#: The type of file for a comparison of two forecasts.
FORECASTS_FILE = build_report_kind(
    "a comparison of forecasts",
    title="Comparison of two forecasts",
    format_id="lyncnb-forecasts/1",
    columns=COLUMNS,
    suffixes=(".csv", ".html", ".md", ".json"),
)

_NONE = (0,) * len(MONTHS[1:])
_YEARS = columns(*((column.heading, n) for n, column in enumerate(YEARS)))
_PROBLEMS = columns(
    ("Of", 2),
    (BROKEN[0].heading, lambda row: row[0].certificates),
    (BROKEN[1].heading, lambda row: row[0].what),
    *BROKEN[2:],
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ForecastComparison(Table):
    """A comparison of two forecasts: the work in each year and in total."""

    _columns = COLUMNS

    first: Forecast
    second: Forecast

    def _list_items(self) -> Iterator[tuple[str, str, int, int]]:
        return self.work(get_period="year")

    def work(self, *, get_period: str) -> Iterator[tuple[str, str, int, int]]:
        """Yield each period and type of work, with the amount of work in both forecasts.

        Parameters
        ----------
        get_period : str
            ``year`` or ``month``. The total is last.
        """
        sides: list[dict[str, tuple[int, ...]]] = []
        for forecast in (self.first, self.second):
            works = forecast.years() if get_period == "year" else forecast.months
            sides.append({work.month: work[1:] for work in works})
        for side in sides:
            side["all"] = tuple(map(sum, zip(*side.values(), strict=True))) or _NONE
        for when in [*sorted({*sides[0], *sides[1]} - {"all"}), "all"]:
            pairs = zip(*(side.get(when, _NONE) for side in sides), strict=True)
            for column, (before, after) in zip(MONTHS[1:], pairs, strict=True):
                yield (when, column.heading, before, after)

    def years(self) -> Iterator[tuple[str, ...]]:
        """Yield a row for each year and for the total, with changes such as ``4 -> 6 (+2)``."""
        for when, rows in groupby(self.work(get_period="year"), key=itemgetter(0)):
            cells = (
                f"{before:,}"
                if before == after
                else f"{before:,} -> {after:,} ({after - before:+,})"
                for _, _, before, after in rows
            )
            yield (when, *cells)

    def _summarize(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return a sentence that compares the work in the two forecasts."""
        return f"{self.first.source}: {self.first.summary()} | {self.second.source}: " + (
            self.second.summary()
        )

    def _repr_html_(self) -> str:
        return "".join(render_sections(self.parts()))

    def lines(self) -> list[str]:
        """Return one line of text about each of the two forecasts."""
        sides = (("first", self.first), ("second", self.second))
        return [f"{name}: {forecast.source}: {forecast.summary()}" for name, forecast in sides]

    def parts(self) -> list[Part]:
        """Return the sections of the report: summaries, work by year, and problems."""
        parts: list[Part] = [
            *map(Sentence, self.lines()),
            ReportTable(
                columns=_YEARS, items=self.years, formats={".md": "", ".html": "Work by year"}
            ),
        ]
        if any(self.problems()):
            table = ReportTable(
                columns=_PROBLEMS,
                items=lambda: (
                    (problem, rule, side)
                    for side, problem in self.problems()
                    for rule in problem.rules
                ),
                formats={
                    ".md": CANNOT_WORK,
                    ".html": f"{CANNOT_WORK}, and the rules that cause these problems",
                },
                limit=ROWS_SHOWN,
            )
            parts.append(table)
        return parts

    def problems(self) -> Iterator[tuple[str, ForecastProblem]]:
        """Yield each problem with the forecasts that have it: both, the first or the second."""
        for problem in self.first.problems:
            yield ("both" if problem in self.second.problems else "first"), problem
        for second_problem in self.second.problems:
            if second_problem not in self.first.problems:
                yield "second", second_problem


def compare_forecasts(first: Forecast, second: Forecast) -> ForecastComparison:
    """Compare two forecasts.

    Parameters
    ----------
    first, second : Forecast
        For example, forecasts with two different public CAs, or with and without Directors.

    Returns
    -------
    ForecastComparison
        The work in each year, and the problems in both forecasts.
    """
    check_type("compare_forecasts: first", first, Forecast)
    check_type("compare_forecasts: second", second, Forecast)
    return ForecastComparison(first=first, second=second)


def build_forecasts_report(comparison: ForecastComparison) -> Report:
    """Return two forecasts as a report: by month in CSV and JSON, and by year in other formats."""
    parts = comparison.parts()
    for name, forecast in (("First", comparison.first), ("Second", comparison.second)):
        parts.append(Sentence(f"{name}: {forecast.source}", (".html",)))
        parts.append(Picture(partial(figure, forecast), (".html",)))
    by_month = partial(comparison.work, get_period="month")
    parts.append(ReportTable(columns=COLUMNS, items=by_month, formats={".csv": ""}))
    return Report(
        kind=FORECASTS_FILE,
        about=f"{comparison.first.source}, {comparison.second.source}",
        summary=comparison.lines()[0],
        parts=parts,
        document=lambda: {
            "first": build_report_document(build_forecast_report(comparison.first)),
            "second": build_report_document(build_forecast_report(comparison.second)),
            "work": [
                {"when": when, "work": work, "first": first, "second": second}
                for when, work, first, second in by_month()
            ],
        },
        text=lambda: _format_text(comparison),
    )


def _format_text(comparison: ForecastComparison) -> Iterator[list[str] | ReportTable]:
    yield comparison.lines()
    yield ReportTable(columns=_YEARS, items=comparison.years, formats={"": ""})
    for side, problem in comparison.problems():
        yield [f"in {side}:", *problem.lines()]
