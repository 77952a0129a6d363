"""Calculate with external dates and times, and prevent overflows of Python's date types."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

from .arguments import check_type

_FIRST, _LAST = datetime.min, datetime.max.replace(microsecond=0)


def convert_to_date(day: date) -> date:
    """Convert a date or a datetime to a date. Users of notebooks often pass a datetime."""
    check_type("the date", day, date)
    return day.date() if isinstance(day, datetime) else day


def add_time_span(moment: datetime, span: timedelta) -> datetime:
    """Add a time span, which can be negative, to a point in time.

    Notes
    -----
    Source: RFC 5280 section 4.1.2.5: ``99991231235959Z`` means no well-defined end, so no
    span can be added to this time.
    """
    try:
        return moment + span
    except OverflowError:
        limit = _LAST if span > timedelta(0) else _FIRST
        return limit.replace(tzinfo=moment.tzinfo)


def convert_to_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    """Convert a time to a time zone. If the result is out of range, return the time in UTC."""
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError):
        return moment.astimezone(UTC)


def format_time(time: datetime) -> str:
    """Return a time as text in the format of request folders (ISO 8601 in UTC, with seconds)."""
    # Some certificates start before the year 1000, and strftime omits the leading zeros of such
    # years.
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def convert_to_time(day: date) -> datetime:
    """Convert a ``today`` argument to a point in time in UTC.

    Parameters
    ----------
    day : date or datetime
        A date means noon UTC of that day.
    """
    if isinstance(day, datetime):
        return day if day.tzinfo else day.replace(tzinfo=UTC)
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
