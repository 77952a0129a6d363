"""Write iCalendar files (RFC 5545) with all-day events and reminders, for calendar programs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple


class DayEntry(NamedTuple):
    """An all-day event on one or more days.

    Parameters
    ----------
    uid : str
        The unique identifier. A second import changes the event instead of duplicating it.
    stamp : datetime
        When the event was created, UTC.
    first, last : date
        The first and the last day of the event.
    summary : str
        The title.
    lines : iterable of str
        The lines of the description.
    reminder : str
        The text of the reminder.
    moments : iterable of datetime or timedelta
        The times of the reminders: in UTC, or relative to the start of the first day.
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
    """Return the content of an iCalendar file. For the same events, the content is identical.

    Parameters
    ----------
    product : str
        The identifier of the program that creates the file (PRODID).
    entries : iterable of DayEntry
        The events, in their order.
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
        # In iCalendar, an all-day event ends on the day after its last day (RFC 5545 section
        # 3.6.1).
        event.add("dtend", entry.last + timedelta(days=1) if entry.last < date.max else entry.last)
        event.add("summary", entry.summary)
        event.add("description", "\n".join(entry.lines))
        event.add("transp", "TRANSPARENT")  # Calendar programs show the event as free time.
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
