"""A forecast as files: table, workbook, page, text, picture, calendar, JSON; and as lines."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator

from ..base.html_page import to_page
from ..base.outputs import OutputKind, first_line, is_page, mentions, packs
from ..base.spreadsheets import Sheet, to_csv, to_xlsx
from ..base.tables import ROWS_SHOWN, left_out, paragraph, rows_to_html, to_markdown
from ..plan.figures import FIGURE_FILE, figure
from .calendar_file import PRODUCT, to_calendar
from .model import (
    COLUMNS,
    FORMAT,
    MONTH_COLUMNS,
    PROBLEM_COLUMNS,
    TITLE,
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

_YEAR_COLUMNS = ("Year", *MONTH_COLUMNS[1:])
# As many columns as a page is wide; those of files have all.
_SHOWN = ("Certificate", "Type", "Order, by", "Validate", "Issued", "On servers, by",
          "Takes effect", "Valid until")  # fmt: skip
_BROKEN = ("Certificates", "What", "Rule", "Says", "Source")


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
        return to_csv(COLUMNS, forecast._rows())
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
    """Say a forecast in lines of text: a sentence, what cannot work, then the work by year.

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
    yield from _aligned((_YEAR_COLUMNS, *forecast.year_rows()))
    yield ""
    rows = [("Next", "Order", "On servers, by", "Until", "Type"), *map(_next, _nexts(forecast))]
    yield from _aligned(rows[: limit + 1])
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
    usages = ", ".join(one.usages) or one.role
    return (one.owner, one.order_on, f"{one.change_on or 'never'}{by}", one.valid_until, usages)


def _aligned(rows: tuple[tuple[object, ...], ...] | list[tuple[object, ...]]) -> Iterator[str]:
    texts = [tuple(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _workbook(forecast: Forecast) -> bytes:
    sheets = [
        Sheet(title="Certificates", columns=COLUMNS, rows=lambda: list(forecast._rows())),
        Sheet(title="Work by month", columns=MONTH_COLUMNS, rows=forecast.month_rows),
        Sheet(title="Problems", columns=PROBLEM_COLUMNS,
              rows=lambda: list(forecast.problem_rows())),
    ]  # fmt: skip
    return to_xlsx(sheets, title=TITLE)


def _page(forecast: Forecast) -> str:
    parts = [paragraph(forecast.summary()), *map(paragraph, forecast.notes)]
    if forecast.problems:
        rows = [*_broken_rows(forecast)]
        parts.append(rows_to_html(_BROKEN, rows, caption="What cannot work, by which rules"))
    parts.append(figure(forecast).to_html())
    parts.append(rows_to_html(_YEAR_COLUMNS, [*forecast.year_rows()], caption="Work by year"))
    parts.append(rows_to_html(MONTH_COLUMNS, forecast.months, caption="Work by month"))
    shown = [*map(_shown, forecast.entries[:ROWS_SHOWN])]
    parts.append(rows_to_html(_SHOWN, shown, caption="Certificates"))
    if len(forecast.entries) > ROWS_SHOWN:
        words = left_out(ROWS_SHOWN, len(forecast.entries))
        parts.append(paragraph(f"{words} As .csv, .xlsx or .json all are there."))
    return to_page(f"{TITLE}: {forecast.source}", parts)


def _broken_rows(forecast: Forecast) -> Iterator[tuple[object, ...]]:
    for one in forecast.problems:
        for place, rule in enumerate(one.rules):
            said = (one.certificates, one.what) if place == 0 else ("", "")
            yield (*said, rule.rule, rule.says, rule.source)


def _shown(one: ForecastEntry) -> tuple[object, ...]:
    effect = "\n".join(f"{usage} {moment:%Y-%m-%d %H:%M} UTC" for usage, moment in one.takes_effect)
    domains = "\n".join((str(one.validate_on or ""), *one.domains)).strip()
    change = _with_last(one.change_on, one.change_by)
    return (
        f"{one.owner}\nno. {one.number}" if one.number else f"{one.owner}\non record",
        one.usages or one.role,
        _with_last(one.order_on, one.order_by),
        domains,
        one.issued_on,
        f"{change}\nlate from {one.late_from}" if one.late_from else change,
        effect,
        one.valid_until,
    )


def _with_last(day: object, last: object) -> str:
    return f"{day or ''}\nby {last}" if last else str(day or "")


def _markdown(forecast: Forecast) -> str:
    parts = [f"# {TITLE}\n", f"{forecast.summary()}\n"]
    parts += [f"{note}\n" for note in forecast.notes]
    if forecast.problems:
        parts += ["## What cannot work\n", to_markdown(_BROKEN, _broken_rows(forecast))]
    parts += ["## Work by month\n", to_markdown(MONTH_COLUMNS, forecast.months)]
    parts += ["## Certificates\n", to_markdown(COLUMNS, forecast._rows())]
    return "\n".join(parts)
