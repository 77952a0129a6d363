"""A forecast as files: table, workbook, page, text, picture, calendar, JSON; and as lines."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator

from ..base.html_page import to_page
from ..base.outputs import OutputKind, first_line, is_page, mentions, packs
from ..base.spreadsheets import Sheet, to_csv, to_xlsx
from ..base.tables import ROWS_SHOWN, paragraph, rows_to_html, to_markdown
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
# As many columns as a page is wide; those of files have all, a row for each certificate.
_SHOWN = ("Order, by", "Validate", "On servers, by", "Takes effect", "Valid until", "For")
# A day that breaks after its hyphens is hard to read; only the last column has the room to wrap.
_WHOLE_DAYS = (
    "<style>.lyncnb-days .lyncnb-table.lyncnb-table td:not(:last-child){white-space:pre}</style>"
)
_OWNERS = 4  # named in a row
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
    parts = [paragraph(forecast.summary())]
    parts += [paragraph(f"Note: {note}.") for note in forecast.notes]
    if forecast.problems:
        rows = [*_broken_rows(forecast)]
        parts.append(rows_to_html(_BROKEN, rows, caption="What cannot work, by which rules"))
    parts.append(figure(forecast).to_html())
    parts.append(rows_to_html(_YEAR_COLUMNS, [*forecast.year_rows()], caption="Work by year"))
    parts.append(rows_to_html(MONTH_COLUMNS, forecast.months, caption="Work by month"))
    shown = [*_turns(forecast)]
    caption = "What to do, in the order of time"
    table = rows_to_html(_SHOWN, shown, caption=caption, limit=ROWS_SHOWN)
    parts.append(f'{_WHOLE_DAYS}<div class="lyncnb-days">{table}</div>')
    if len(shown) > ROWS_SHOWN:
        parts.append(paragraph("As .csv, .xlsx or .json all are there."))
    return to_page(f"{TITLE}: {forecast.source}", parts)


def _broken_rows(forecast: Forecast) -> Iterator[tuple[object, ...]]:
    for one in forecast.problems:
        for place, rule in enumerate(one.rules):
            said = (one.certificates, one.what) if place == 0 else ("", "")
            yield (*said, rule.rule, rule.says, rule.source)


def _turns(forecast: Forecast) -> Iterator[tuple[object, ...]]:
    """Yield what is done on the same days as one row, with all that it is done for."""
    found: dict[tuple[str, ...], list[ForecastEntry]] = {}
    for one in forecast.entries:
        if one.order_on is not None:
            days = (one.order_on, one.change_on, one.order_by, one.change_by, one.valid_until)
            moments = (moment for _, moment in one.takes_effect)
            found.setdefault((*map(str, days), *map(str, moments)), []).append(one)
    for key in sorted(found):
        ones = found[key]
        one = ones[0]
        domains = dict.fromkeys(domain for each in ones for domain in each.domains)
        day = next((each.validate_on for each in ones if each.domains), None)
        change = _with_last(one.change_on or "never", one.change_by)
        moments = (moment for _, moment in one.takes_effect)
        yield (
            _with_last(one.order_on, one.order_by),
            "\n".join((f"{day}", *domains)) if day else "",
            f"{change}\nlate from {one.late_from}" if one.late_from else change,
            "\n".join(dict.fromkeys(f"{moment:%Y-%m-%d %H:%M} UTC" for moment in moments)),
            one.valid_until,
            "\n".join(_owners(ones)),
        )


def _owners(ones: list[ForecastEntry]) -> Iterator[str]:
    for one in ones[:_OWNERS]:
        usages = one.usages or (one.role,)
        more = f" and {len(usages) - 1} more" if len(usages) > 1 else ""
        yield f"{one.owner}: {usages[0]}{more}"
    if len(ones) > _OWNERS:
        yield f"and {len(ones) - _OWNERS:,} more"


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
