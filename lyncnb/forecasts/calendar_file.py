"""Write a forecast as a calendar for Outlook, with short entries and reminders.

Each day has an entry for all orders and an entry for all server changes. The renewal period of a
certificate takes months, so the calendar does not contain it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta

from ..base.shown.calendars import DayEntry, write_calendar
from ..base.shown.tables import format_count
from .model import DayWork, Forecast, ForecastEntry

PRODUCT = "-//lyncnb//certificate forecast//EN"

_DAY = timedelta(days=1)
_MORNING = time(8, tzinfo=UTC)
_LISTED = 50  # The largest number of certificates that a calendar entry lists.


def build_calendar(forecast: Forecast) -> bytes:
    """Return a forecast as an iCalendar file.

    Returns
    -------
    bytes
        RFC 5545 with all-day entries for orders, domain validations and server changes. Each entry
        has a reminder on the morning before. If the last possible date is later, the entry has a
        second reminder on the morning before this date. The same forecast results in the same
        bytes. Entries with the same date and type have the same UID.
    """
    return write_calendar(PRODUCT, _build_entries(forecast))


def _build_entries(forecast: Forecast) -> Iterator[DayEntry]:
    for work in forecast.days():
        # An entry for an order also includes the domain validations on the same day.
        if work.what != "validate":
            yield _build_day_entry(work, forecast)
        elif validated := tuple(
            entry for entry in work.entries if entry.validate_on != entry.order_on
        ):
            yield _build_day_entry(work._replace(entries=validated), forecast)


def _build_day_entry(work: DayWork, forecast: Forecast) -> DayEntry:
    number, last = format_count(len(work.entries), "certificate"), _find_last_day(work)
    summary = {
        "order": f"Order {number}",
        "validate": f"Validate domains for {number}",
        "change": f"Install {number} on {_format_server_count(work.entries)}",
    }[work.what]
    summary += f" (by {last} at the latest)" if last and last > work.day else ""
    if forecast.origin.deployment:
        summary += f" · {forecast.origin.deployment}"
    mornings = [work.day - _DAY]
    if last and last - _DAY > work.day:
        mornings.append(last - _DAY)
    return DayEntry(
        uid=f"{work.what}-{work.day}-{forecast.source}@lyncnb",
        stamp=datetime.combine(forecast.start, time(), tzinfo=UTC),
        first=work.day,
        last=work.day,
        summary=summary,
        lines=_describe_work(work),
        reminder=summary,
        moments=[datetime.combine(morning, _MORNING) for morning in mornings],
    )


def _find_last_day(work: DayWork) -> date | None:
    days = [entry.order_by if work.what == "order" else entry.change_by for entry in work.entries]
    return min((day for day in days if day), default=None) if work.what != "validate" else None


def _format_server_count(entries: Iterable[ForecastEntry]) -> str:
    return format_count(len({server for entry in entries for server in entry.servers}), "server")


def _describe_work(work: DayWork) -> Iterator[str]:
    domains = dict.fromkeys(
        domain
        for entry in work.entries
        for domain in entry.domains
        if work.what == "validate" or entry.validate_on == work.day
    )
    if domains and work.what != "change":
        yield f"Validate these domains: {', '.join(domains)}"
    for entry in work.entries[:_LISTED]:
        usages = f" ({', '.join(entry.usages)})" if entry.usages else ""
        by = entry.order_by if work.what == "order" else entry.change_by
        by_words = f", by {by}" if by else ""
        if work.what == "change" and entry.late_from:
            by_words = (
                ". This is too late, because the servers have no valid "
                f"certificate from {entry.late_from}"
            )
        yield f"{entry.owner}{usages}, {entry.issuer} CA{by_words}"
        if work.what == "change":
            for usage, moment in entry.takes_effect:
                yield f"  roll over {usage} at {moment:%Y-%m-%d %H:%M} UTC"
    if len(work.entries) > _LISTED:
        yield f"and {len(work.entries) - _LISTED:,} more certificates"
