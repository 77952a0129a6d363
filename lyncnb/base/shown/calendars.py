"""Calendars that Outlook opens: all-day entries with reminders, RFC 5545. Knows no certificates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple


class DayEntry(NamedTuple):
    """One entry, from its first day through its last.

    Parameters
    ----------
    uid : str
        Importing the same again changes the entry instead of doubling it.
    stamp : datetime
        When it was made, UTC.
    first, last : date
        The days that it covers.
    summary : str
        Its title.
    lines : iterable of str
        Its description.
    reminder : str
        What a reminder shows.
    moments : iterable of datetime or timedelta
        When it reminds: at a time (UTC), or as long after the first day begins.
    """

    uid: str
    stamp: datetime
    first: date
    last: date
    summary: str
    lines: Iterable[str]
    reminder: str
    moments: Iterable[datetime | timedelta]


def write_calendar(product: str, entries: Iterable[DayEntry]) -> bytes:
    """Return a calendar as an iCalendar file; the same entries give the same bytes.

    Parameters
    ----------
    product : str
        Identifies what wrote it (PRODID).
    entries : iterable of DayEntry
        In their order.
    """
    from icalendar import Alarm, Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", product)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    for entry in entries:
        event = Event()
        event.add("uid", entry.uid)
        event.add("dtstamp", entry.stamp)
        event.add("dtstart", entry.first)
        # The end of an all-day event is the first day after it, RFC 5545 section 3.6.1.
        event.add("dtend", entry.last + timedelta(days=1) if entry.last < date.max else entry.last)
        event.add("summary", entry.summary)
        event.add("description", "\n".join(entry.lines))
        event.add("transp", "TRANSPARENT")  # it blocks no time
        for moment in entry.moments:
            alarm = Alarm()
            alarm.add("action", "DISPLAY")
            alarm.add("description", entry.reminder)
            kind = {"value": "DATE-TIME"} if isinstance(moment, datetime) else {}
            alarm.add("trigger", moment, parameters=kind)
            event.add_component(alarm)
        calendar.add_component(event)
    data: bytes = calendar.to_ical()
    return data
