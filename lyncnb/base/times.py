"""Arithmetic on times from other sources, limited to the range of the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

_FIRST, _LAST = datetime.min, datetime.max.replace(microsecond=0)


def day_of(day: date) -> date:
    """Return the day of a date, or of a date with a time, as notebooks often have."""
    return day.date() if isinstance(day, datetime) else day


def later(moment: datetime, span: timedelta) -> datetime:
    """Return a moment later by a span; earlier if the span is negative.

    Notes
    -----
    Source: RFC 5280 section 4.1.2.5: ``99991231235959Z`` means no well-defined end, so no
    span can be added to it.
    """
    try:
        return moment + span
    except OverflowError:
        limit = _LAST if span > timedelta(0) else _FIRST
        return limit.replace(tzinfo=moment.tzinfo)


def in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    """Return a moment in a time zone; at the limits of the calendar, in UTC."""
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError):
        return moment.astimezone(UTC)


def time_text(time: datetime) -> str:
    """Return a time in the format of the manifest: UTC, ISO 8601 to the second."""
    # strftime omits the leading zeros of a year before 1000, in which some certificates begin.
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
