"""``compare_forecasts``: two forecasts beside each other, year by year, and what cannot work."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..base.html_page import to_page
from ..base.outputs import OutputKind, first_line, is_page, mentions
from ..base.spreadsheets import to_csv
from ..base.tables import ROWS_SHOWN, Table, paragraph, rows_to_html, to_markdown
from ..plan.figures import figure
from .forecast_files import aligned
from .model import MONTH_COLUMNS, YEAR_COLUMNS, Forecast, ForecastProblem

FORMAT = "lyncnb-forecasts/1"
TITLE = "Two forecasts beside each other"

COLUMNS = ("When", "Work", "First", "Second", "Difference")

#: What two forecasts are written as under a name of the planner's own.
FORECASTS_FILE = OutputKind(
    what="a comparison of forecasts",
    is_ours={
        ".csv": first_line(codecs.BOM_UTF8 + b'"When","Work","First","Second",'),
        ".html": is_page(f"<title>{TITLE}".encode()),
        ".md": first_line(f"# {TITLE}".encode()),
        ".json": mentions(f'"format": "{FORMAT}"'.encode()),
    },
)

_PROBLEMS = ("Of", "Certificates", "What", "Rule", "Says", "Source")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ForecastComparison(Table):
    """Two forecasts, each whole; as a table the work of each year, then of all years."""

    first: Forecast
    second: Forecast

    def _headings(self) -> Sequence[str]:
        return COLUMNS

    def _rows(self) -> Iterator[tuple[object, ...]]:
        return self.rows(by="year")

    def rows(self, *, by: str) -> Iterator[tuple[str, str, int, int, int]]:
        """Yield the work of both, under ``COLUMNS``.

        Parameters
        ----------
        by : str
            ``year`` or ``month``; all of it comes last.
        """
        sides = []
        for one in (self.first, self.second):
            rows = one.year_rows() if by == "year" else one.months
            sides.append({str(row[0]): [int(str(number)) for number in row[1:]] for row in rows})
        for side in sides:
            side["all"] = [sum(column) for column in zip(*side.values(), strict=True)] or [0] * 4
        whens = [*sorted({*sides[0], *sides[1]} - {"all"}), "all"]
        for when in whens:
            pairs = zip(*(side.get(when, [0] * 4) for side in sides), strict=True)
            for work, (before, after) in zip(MONTH_COLUMNS[1:], pairs, strict=True):
                yield (when, work, before, after, after - before)

    def year_rows(self) -> Iterator[tuple[str, ...]]:
        """Yield a row for each year, and for all, under ``YEAR_COLUMNS``: ``4 -> 6 (+2)``."""
        found: dict[str, list[str]] = {}
        for when, _, before, after, more in self.rows(by="year"):
            told = f"{before:,}" if before == after else f"{before:,} -> {after:,} ({more:+,})"
            found.setdefault(str(when), []).append(told)
        for when, cells in found.items():
            yield (when, *cells)

    def _summary(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Say in a sentence what there is to do of each."""
        return f"{self.first.source}: {self.first.summary()} | {self.second.source}: " + (
            self.second.summary()
        )

    def _repr_html_(self) -> str:
        said = [*comparison_lines(self)][:2]
        table = rows_to_html(YEAR_COLUMNS, [*self.year_rows()], caption="Work by year")
        return "".join(map(paragraph, said)) + table + self.problems_html()

    def problems_html(self) -> str:
        """Write what cannot work in one of them as a table; nothing where all works."""
        rows, caption = [*_problem_rows(self)], "What cannot work, by which rules"
        return rows_to_html(_PROBLEMS, rows, caption=caption, limit=ROWS_SHOWN) if rows else ""

    def problems(self) -> Iterator[tuple[str, ForecastProblem]]:
        """Yield what cannot work: ``both``, ``first`` or ``second``, and the problem."""
        for one in self.first.problems:
            yield ("both" if one in self.second.problems else "first"), one
        for one in self.second.problems:
            if one not in self.first.problems:
                yield "second", one

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values: what ``lyncnb forecast A B --json`` prints."""
        return {
            "format": FORMAT,
            "first": self.first.to_document(),
            "second": self.second.to_document(),
            "work": [
                {"when": when, "work": work, "first": first, "second": second}
                for when, work, first, second, _ in self.rows(by="month")
            ],
        }


def compare_forecasts(first: Forecast, second: Forecast) -> ForecastComparison:
    """Put two forecasts beside each other.

    Parameters
    ----------
    first, second : Forecast
        E.g. with the present public CA and with another, or with and without Directors.

    Returns
    -------
    ForecastComparison
        The work of each year, and what cannot work in one of them.
    """
    return ForecastComparison(first=first, second=second)


def comparison_json(pair: ForecastComparison) -> bytes:
    """Write two forecasts as JSON; the same ones give the same bytes."""
    return f"{json.dumps(pair.to_document(), ensure_ascii=False, indent=1)}\n".encode(
        "utf-8", "replace"
    )


def comparison_lines(pair: ForecastComparison) -> Iterator[str]:
    """Say two forecasts in lines of text."""
    yield f"first: {pair.first.source}: {pair.first.summary()}"
    yield f"second: {pair.second.source}: {pair.second.summary()}"
    yield ""
    yield from aligned([YEAR_COLUMNS, *pair.year_rows()])
    for of, problem in pair.problems():
        yield ""
        yield f"in {of}:"
        yield from problem.lines()


def write_forecasts(pair: ForecastComparison, suffix: str) -> bytes:
    """Write two forecasts in one format.

    Parameters
    ----------
    pair : ForecastComparison
        Two forecasts.
    suffix : str
        An ending of ``FORECASTS_FILE``; CSV and JSON are by month.
    """
    if suffix == ".csv":
        return to_csv(COLUMNS, pair.rows(by="month"))
    if suffix == ".json":
        return comparison_json(pair)
    if suffix == ".md":
        parts = [f"# {TITLE}\n", *(f"{line}\n" for line in [*comparison_lines(pair)][:2])]
        parts.append(to_markdown(YEAR_COLUMNS, pair.year_rows()))
        if rows := [*_problem_rows(pair)]:
            parts += ["## What cannot work\n", to_markdown(_PROBLEMS, rows)]
        return "\n".join(parts).encode("utf-8", "replace")
    return _page(pair).encode("utf-8", "replace")


def _problem_rows(pair: ForecastComparison) -> Iterator[tuple[object, ...]]:
    for of, problem in pair.problems():
        for rule in problem.rules:
            yield (of, problem.certificates, problem.what, rule.rule, rule.says, rule.source)


def _page(pair: ForecastComparison) -> str:
    parts = [pair._repr_html_()]
    for name, one in (("First", pair.first), ("Second", pair.second)):
        parts += [paragraph(f"{name}: {one.source}"), figure(one).to_html()]
    return to_page(f"{TITLE}: {pair.first.source}, {pair.second.source}", parts)
