"""The options for change freezes and maintenance windows accept dates in several formats."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from lyncnb.base.work_days import read_work_days
from lyncnb.errors import OptionsError
from lyncnb.plan.options import PlanOptions

BEGIN, END = date(2026, 12, 1), date(2028, 3, 31)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2026-12-18 to 2027-01-08", [("2026-12-18", "2027-01-08")]),
        ("2026-12-24", [("2026-12-24", "2026-12-24")]),
        ("2026-12-24, 2027-05-01 to 2027-05-02",
         [("2026-12-24", "2026-12-24"), ("2027-05-01", "2027-05-02")]),
        # The change freeze repeats each year and includes the end of the year.
        ("12-18 to 01-08", [("2026-12-18", "2027-01-08"), ("2027-12-18", "2028-01-08")]),
        # This change freeze starts in the year before the first date of the plan.
        ("11-20 to 12-02", [("2026-11-20", "2026-12-02"), ("2027-11-20", "2027-12-02")]),
        ("05-01", [("2027-05-01", "2027-05-01")]),
        ("2025-01-01 to 2025-12-31", []),
    ],
)  # fmt: skip
def test_freezes(text, days):
    """A change freeze is a period in one year or in each year, and includes its first and last
    date.
    """
    freezes = read_work_days({"f": text}, {}).find_freezes(BEGIN, END)
    assert [(f"{freeze.begins}", f"{freeze.ends}") for freeze in freezes] == days
    assert all(freeze.name == "f" for freeze in freezes)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("saturday", ["2026-12-05", "2026-12-12", "2026-12-19", "2026-12-26"]),
        ("Second  Saturday", ["2026-12-12"]),
        ("last sunday", ["2026-12-27"]),
        ("first tuesday, last friday", ["2026-12-01", "2026-12-25"]),
        ("fourth thursday", ["2026-12-24"]),
        ("2026-12-30 to 2027-01-02", ["2026-12-30", "2026-12-31"]),
        ("12-31", ["2026-12-31"]),
    ],
)
def test_windows(text, days):
    """A maintenance window is a day of the week, a day in each month, or a period of dates."""
    window_days = read_work_days({}, {"w": text}).list_window_days(BEGIN, date(2026, 12, 31))
    assert sorted(map(str, window_days)) == days


def test_weekday_of_each_month():
    """In a maintenance window, the words first, second, third, fourth and last select a weekday of
    the month.

    A fifth weekday is only "last".
    """
    for ordinal, first in (("first", 1), ("second", 8), ("third", 15), ("fourth", 22)):
        window_days = read_work_days({}, {"w": f"{ordinal} monday"}).list_window_days(BEGIN, END)
        assert {day.day for day in window_days} <= set(range(first, first + 7))
    last = read_work_days({}, {"w": "last monday"}).list_window_days(BEGIN, END)
    assert len(last) == 16
    assert all((day + timedelta(days=7)).month != day.month for day in last)


def test_without_windows_every_date_is_allowed():
    """If there is no maintenance window, servers may be changed on every date.

    If no window has a date in the period, servers may never be changed.
    """
    assert read_work_days({}, {}).list_window_days(BEGIN, END) is None
    assert read_work_days({}, {"w": "2020-01-01"}).list_window_days(BEGIN, END) == set()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freezes": {"f": "christmas"}}, r'freezes\.f" is "christmas"'),
        ({"freezes": {"f": "saturday"}}, r'freezes\.f" is "saturday"'),
        ({"freezes": {"f": "2027-02-30"}}, r"freezes\.f"),
        # The date 02-29 exists only in leap years.
        ({"freezes": {"f": "02-29"}}, r"freezes\.f"),
        ({"freezes": {"f": "2026-12-18 to 01-08"}}, r"freezes\.f"),
        ({"freezes": {"f": "2026-12-18 to 2026-12-01"}}, "its end date is before its start date"),
        ({"windows": {"w": "fifth monday"}}, r'windows\.w" is "fifth monday"'),
        ({"windows": {"w": "sat"}}, r"windows\.w"),
        ({"windows": {"w": "saturday,"}}, r"windows\.w"),
        ({"lead_days": {"public": -1}}, r"lead_days\.public"),
        ({"lead_days": {"Edge": 1}}, r'lead_days" is "Edge"'),
        ({"lead_days": {"public": True}}, r"lead_days\.public"),
    ],
)
def test_invalid_dates_are_rejected(options, message):
    """A text that is not a date is rejected, and the message lists the valid formats."""
    with pytest.raises(OptionsError, match=message) as raised:
        PlanOptions(**options)
    assert raised.value.hint


def test_options_are_read_back_unchanged():
    """The options for maintenance windows are read back unchanged from `plan.toml` and from a saved
    plan.
    """
    options = PlanOptions(
        lead_days={"all": 2, "public": 3},
        freezes={"year end": "12-18 to 01-08"},
        windows={"weekends": "saturday, sunday"},
    )
    assert PlanOptions.from_toml(options.to_toml().encode()) == options
    assert options.lead_days == {"": 2, "public": 3}
    assert '"year end" = "12-18 to 01-08"' in options.to_toml()


def test_repeated_day_is_evaluated_once():
    """If a maintenance window repeats the same day 100,000 times, evaluating it takes no longer
    than evaluating the day once.
    """
    assert read_work_days({}, {"w": "monday, Monday,  monday"}) == read_work_days(
        {}, {"w": "monday"}
    )
