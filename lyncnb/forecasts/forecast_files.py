"""A forecast as files: table, workbook, page, text, picture, calendar, JSON; and as lines."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator

from ..base.html_page import to_page
from ..base.outputs import OutputKind, first_line, is_page, mentions, packs
from ..base.spreadsheets import Sheet, to_csv, to_xlsx
from ..base.tables import paragraph, rows_to_html, to_markdown
from ..plan.figures import FIGURE_FILE, figure
from .calendar_file import PRODUCT, to_calendar
from .model import (
    BROKEN_COLUMNS,
    CHANGES,
    CHANGES_COLUMNS,
    COLUMNS,
    FORMAT,
    MONTH_COLUMNS,
    PROBLEM_COLUMNS,
    TITLE,
    YEAR_COLUMNS,
    Forecast,
    ForecastEntry,
)

#: What a forecast is written as under a name of the planner's own.
FORECAST_FILE = OutputKind(
    what="a forecast",
    is_ours={
        ".csv": first_line(codecs.BOM_UTF8 + b'"Certificate","Servers","Type","Issuer","No.",'),
        ".xlsx": packs("core.xml", mentions(TITLE.encode())),
        ".html": is_page(f"<title>{TITLE}".encode()),
        ".md": first_line(f"# {TITLE}".encode()),
        ".json": mentions(f'"format": "{FORMAT}"'.encode()),
        ".ics": mentions(b"BEGIN:VCALENDAR", PRODUCT.encode()),
        **FIGURE_FILE.is_ours,
    },
)


def write_forecast(forecast: Forecast, suffix: str) -> bytes:
    """Write a forecast in one format.

    Parameters
    ----------
    forecast : Forecast
        Of a plan or folder.
    suffix : str
        An ending of ``FORECAST_FILE``.

    Returns
    -------
    bytes
        The file. CSV holds the certificates, XLSX their work by month and what cannot work, too;
        a page shows the first 200 certificates.
    """
    if suffix == ".csv":
        return to_csv(COLUMNS, forecast.certificate_rows())
    if suffix == ".xlsx":
        return _workbook(forecast)
    if suffix == ".json":
        return forecast_json(forecast)
    if suffix == ".ics":
        return to_calendar(forecast)
    if suffix == ".svg":
        return figure(forecast).to_svg()
    if suffix == ".md":
        return _markdown(forecast).encode("utf-8", "replace")
    return _page(forecast).encode("utf-8", "replace")


def forecast_json(forecast: Forecast) -> bytes:
    """Write a forecast as JSON; the same one gives the same bytes."""
    text = json.dumps(forecast.to_document(), ensure_ascii=False, indent=1)
    return f"{text}\n".encode("utf-8", "replace")


def forecast_lines(forecast: Forecast, *, limit: int) -> Iterator[str]:
    """Say a forecast in lines of text: what cannot work, the work ahead, what is ordered first.

    Parameters
    ----------
    forecast : Forecast
        Of a plan or folder.
    limit : int
        Problems, and certificates, told at most.
    """
    yield forecast.summary()
    for note in forecast.notes:
        yield f"  note: {note}"
    for problem in forecast.problems[:limit]:
        yield ""
        yield from problem.lines()
    if len(forecast.problems) > limit:
        yield f"… and {len(forecast.problems) - limit:,} more; with --json or -o FILE all are told"
    yield ""
    yield from aligned((YEAR_COLUMNS, *forecast.year_rows()))
    yield ""
    yield CHANGES
    yield from aligned((CHANGES_COLUMNS, *forecast.change_rows(bars=False)))
    yield ""
    rows = [("Next", "Order", "On servers, by", "Until", "Type"), *map(_next, _nexts(forecast))]
    yield from aligned(rows[: limit + 1])
    if len(rows) > limit + 1:
        yield f"… and {len(rows) - limit - 1:,} more; with --json or -o FILE all are told"


def _nexts(forecast: Forecast) -> list[ForecastEntry]:
    """Give of each certificate what is ordered first."""
    found: dict[str, ForecastEntry] = {}
    for one in forecast.entries:
        if one.order_on:
            found.setdefault(one.id, one)
    return sorted(found.values(), key=lambda one: (str(one.order_on), one.id))


def _next(one: ForecastEntry) -> tuple[object, ...]:
    by = f", by {one.change_by}" if one.change_by else ""
    if one.late_from:
        by = f", late from {one.late_from}"
    usages = ", ".join(one.usages) or one.role
    return (one.owner, one.order_on, f"{one.change_on or 'never'}{by}", one.valid_until, usages)


def aligned(rows: tuple[tuple[object, ...], ...] | list[tuple[object, ...]]) -> Iterator[str]:
    """Yield rows as lines, each column as wide as its widest cell."""
    texts = [tuple(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _workbook(forecast: Forecast) -> bytes:
    sheets = [
        Sheet(title="Certificates", columns=COLUMNS,
              rows=lambda: list(forecast.certificate_rows())),
        Sheet(title="Work by month", columns=MONTH_COLUMNS, rows=lambda: forecast.months),
        Sheet(title="Problems", columns=PROBLEM_COLUMNS,
              rows=lambda: list(forecast.problem_rows())),
    ]  # fmt: skip
    return to_xlsx(sheets, title=TITLE)


def _page(forecast: Forecast) -> str:
    parts = [paragraph(forecast.summary())]
    parts += [paragraph(f"Note: {note}.") for note in forecast.notes]
    parts.append(forecast.problems_html())
    parts.append(forecast.changes_html())
    parts.append(figure(forecast).to_html())
    parts.append(rows_to_html(YEAR_COLUMNS, [*forecast.year_rows()], caption="Work by year"))
    parts.append(rows_to_html(MONTH_COLUMNS, forecast.months, caption="Work by month"))
    parts.append(forecast.work_html("What to do, in the order of time"))
    return to_page(f"{TITLE}: {forecast.source}", parts)


def _markdown(forecast: Forecast) -> str:
    parts = [f"# {TITLE}\n", f"{forecast.summary()}\n"]
    parts += [f"{note}\n" for note in forecast.notes]
    if forecast.problems:
        parts += ["## What cannot work\n", to_markdown(BROKEN_COLUMNS, forecast.broken_rows())]
    parts += [f"## {CHANGES}\n", to_markdown(CHANGES_COLUMNS, forecast.change_rows())]
    parts += ["## Work by month\n", to_markdown(MONTH_COLUMNS, forecast.months)]
    parts += ["## Certificates\n", to_markdown(COLUMNS, forecast.certificate_rows())]
    return "\n".join(parts)
