"""lyncnb can write a forecast as a calendar, CSV table, workbook, HTML page, text, picture, or
JSON.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import icalendar
import openpyxl
import pytest
from topologies import TWO_SITES, front_end, topology

import lyncnb as ln
from lyncnb.base.disk.outputs import OutputKind
from lyncnb.base.shown.report import write_report
from lyncnb.base.shown.terminal_text import format_report
from lyncnb.errors import PlanError
from lyncnb.forecasts.compare_forecasts import FORECASTS_FILE, build_forecasts_report
from lyncnb.forecasts.forecast_files import FORECAST_FILE, build_forecast_report

RULES = ln.load_rules("lync2013")


def forecast(**options: object) -> ln.Forecast:
    plan_options = ln.PlanOptions(planned_issue_date=date(2026, 11, 25), **options)
    table = ln.read_topology(TWO_SITES.encode())
    return ln.forecast(ln.plan_certificates(table, RULES, options=plan_options))


@pytest.fixture(scope="module")
def full_forecast() -> ln.Forecast:
    """Return a forecast with every type of event, including lead times, maintenance windows, and a
    freeze that is too long.
    """
    return forecast(
        lead_days={"public": 3},
        windows={"weekends": "saturday, sunday"},
        freezes={"=merger": "2029-06-01 to 2029-08-05"},
    )


def events(forecast: ln.Forecast) -> list[icalendar.Event]:
    calendar = icalendar.Calendar.from_ical(write_report(build_forecast_report(forecast), ".ics"))
    return calendar.walk("VEVENT")


def test_calendar(full_forecast):
    """Each entry of the calendar lasts one day and has an alarm before that day.

    If the alarm's date has passed, the entry says it is too late.
    """
    calendar_events = events(full_forecast)
    assert calendar_events
    for event in calendar_events:
        day = event.decoded("dtstart")
        assert type(day) is date
        assert event.decoded("dtend") - day == timedelta(days=1)
        alarms = [alarm.decoded("trigger") for alarm in event.walk("VALARM")]
        eve = datetime(day.year, day.month, day.day, 8, tzinfo=UTC) - timedelta(days=1)
        assert alarms[0] == eve
        assert len(alarms) in (1, 2)
        assert all(alarm > eve for alarm in alarms[1:])
    assert len({str(event["uid"]) for event in calendar_events}) == len(calendar_events)


def test_calendar_contains_all_tasks(full_forecast):
    """The calendar has an entry for each date on which to order certificates or change servers,
    with the time of each roll-over.
    """
    events_by_task = {
        (str(event["uid"]).split("-")[0], event.decoded("dtstart")): event
        for event in events(full_forecast)
    }
    for entry in full_forecast.entries:
        order, change = (
            events_by_task["order", entry.order_on],
            events_by_task["change", entry.change_on],
        )
        assert entry.owner in str(order["description"])
        for usage, moment in entry.takes_effect:
            words = f"roll over {usage} at {moment:%Y-%m-%d %H:%M} UTC"
            assert words in str(change["description"])
        for domain in entry.domains:
            assert domain in str(order["description"])
        if entry.change_by:
            last = max(alarm.decoded("trigger").date() for alarm in change.walk("VALARM"))
            assert last < entry.change_by or last < entry.change_on


def test_a_forecast_always_has_the_same_bytes(full_forecast):
    """If the same forecast is written again, all files, including the workbook, have the same
    bytes.
    """
    for suffix in FORECAST_FILE.is_ours:
        assert write_report(build_forecast_report(full_forecast), suffix) == write_report(
            build_forecast_report(full_forecast), suffix
        ), suffix


@pytest.mark.parametrize("kind", [FORECAST_FILE, FORECASTS_FILE])
def test_files_are_recognized(full_forecast, kind: OutputKind):
    """Each file of a forecast is recognized as a file that lyncnb created and may replace."""
    for suffix, is_ours in kind.is_ours.items():
        if kind is FORECAST_FILE:
            data = write_report(build_forecast_report(full_forecast), suffix)
        else:
            data = write_report(
                build_forecasts_report(ln.compare_forecasts(full_forecast, full_forecast)), suffix
            )
        assert is_ours(io.BytesIO(data)), suffix


def test_assumptions_show_the_resulting_totals(full_forecast):
    """In every format for readers, the forecast shows the total numbers of orders and validations
    next to its assumptions.
    """
    orders, validations = (
        sum(getattr(month, name) for month in full_forecast.months)
        for name in ("orders", "validations")
    )
    texts = [
        write_report(build_forecast_report(full_forecast), suffix).decode()
        for suffix in (".html", ".md")
    ]
    texts.append("\n".join(format_report(build_forecast_report(full_forecast), width=10_000)))
    assert orders > validations > 1
    for text in texts:
        assert f" of {orders:,} orders), because plan.toml has no " in text
        assert "the forecast assumes a validity of 365 days for " in text
        assert f"{validations:,} validations" in text


def test_tables_agree(full_forecast):
    """The CSV file, workbook, DataFrame and JSON of a forecast contain the same certificates."""
    frame = full_forecast.to_frame()
    rows = list(
        csv.reader(
            io.StringIO(
                write_report(build_forecast_report(full_forecast), ".csv").decode("utf-8-sig")
            )
        )
    )
    assert rows[0] == list(frame.columns)
    assert len(rows) - 1 == len(frame) == len(full_forecast.entries)
    book = openpyxl.load_workbook(
        io.BytesIO(write_report(build_forecast_report(full_forecast), ".xlsx"))
    )
    assert book.sheetnames == ["Certificates", "Work by month", "Problems"]
    assert [book[name].max_row - 1 for name in book.sheetnames] == [
        *(
            len(full_forecast.entries),
            len(full_forecast.months),
            sum(len(problem.rules) for problem in full_forecast.problems),
        ),
    ]
    document = json.loads(write_report(build_forecast_report(full_forecast), ".json"))
    assert document["works"] is full_forecast.works is False
    assert [certificate["issued_on"] for certificate in document["certificates"]] == list(
        frame["Issued"].dt.strftime("%Y-%m-%d")
    )
    assert document["problems"][0]["rules"][-1]["rule"] == "freeze"


def test_page_and_text_escape(full_forecast):
    """If the name of a freeze contains markup or a formula, it is shown as text on the page and in
    the tables.
    """
    bad = forecast(freezes={"<b>|=1": "2029-06-01 to 2029-08-05"})
    for suffix in (".html", ".svg"):
        assert b"<b>|" not in write_report(build_forecast_report(bad), suffix), suffix
    assert "\\|" in write_report(build_forecast_report(bad), ".md").decode()
    page = write_report(build_forecast_report(full_forecast), ".html").decode()
    assert all(
        f"<caption>{name}" in page
        for name in ("Problems with the schedule", "Work by year", "Work by month")
    )


def test_picture(full_forecast):
    """The table of a forecast's picture contains the limits of public CAs, the change freezes, the
    problems, and the installed certificates.
    """
    figure = ln.figure(full_forecast)
    kinds = dict.fromkeys(row[0] for row in figure.rows)
    assert list(kinds) == [
        *("Limits of public CAs", "Freezes", "Problems", "Installed, from a public CA"),
        "Installed, from an internal CA",
    ]
    assert "in total, by day" in figure.svg
    with pytest.raises(PlanError, match="cannot draw the picture"):
        ln.figure(full_forecast, "topology")


def test_nothing_to_do():
    """The forecast for a plan without certificates is empty in every format."""
    original = forecast()
    empty = replace(original, entries=(), problems=(), limits=())
    assert empty.works
    assert empty.months == ()
    assert "0 certificates" in repr(empty)
    for suffix in FORECAST_FILE.is_ours:
        assert write_report(build_forecast_report(empty), suffix)


def test_many_servers_are_shortened():
    """For sixty servers, a calendar entry, the text and a notebook list only some servers and the
    number of the others.
    """
    servers = (front_end(number) for number in range(60))
    plan = ln.plan_certificates(topology(*servers), RULES)
    large_forecast = ln.forecast(plan, start=date(2026, 11, 25), until=date(2027, 12, 31))
    # The forecast has entries for 60 servers and the OAuth certificate, and shows 50 of them.
    assert "and 11 more" in str(events(large_forecast)[0]["description"])
    lines = list(format_report(build_forecast_report(large_forecast, max_shown=5), width=100))
    assert lines[-1] == "… and 56 more rows; to show all rows, use --json or -o FILE"
    assert "and 56 more" in large_forecast._repr_html_()


def test_validation_on_a_separate_date():
    """If a domain must be validated long before an order, the calendar has a separate date for the
    validation.
    """
    result = forecast(lead_days={"public": 20})
    late = [entry for entry in result.entries if entry.validate_on not in (None, entry.order_on)]
    assert late
    assert all((entry.issued_on - entry.validate_on).days == 10 for entry in late)
    tasks = {
        (str(event["summary"]).split()[0], event.decoded("dtstart")) for event in events(result)
    }
    assert {("Validate", entry.validate_on) for entry in late} <= tasks


def test_comparison_in_a_notebook(full_forecast):
    """In a notebook, a comparison of two forecasts shows the work in each year, and the problems of
    each forecast.
    """
    pair = ln.compare_forecasts(full_forecast, forecast())
    assert list(pair.to_frame().columns) == ["When", "Work", "First", "Second", "Difference"]
    page = pair._repr_html_()
    assert "Problems with the schedule" in page
    assert "<td>first</td>" in page
    assert " | " in repr(pair)
    assert (
        "Problems with the schedule"
        not in ln.compare_forecasts(pair.second, pair.second)._repr_html_()
    )
