"""Renewal dates depend on the lifetime of the certificates. lyncnb shows them as a table and as a
calendar.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from cas.python_ca import PythonCa, p7b
from folders import TODAY, find_id, issue_all, make_folder
from icalendar import Calendar

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.status import folder_status
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.renewals import list_renewals, write_renewals


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with one certificate that is valid for 198 days, other certificates that are
    valid for 90 days, and one request without a certificate.
    """
    path = tmp_path_factory.mktemp("renewals")
    bundle = make_folder(path / "requests")
    ca = PythonCa()
    long, waiting = find_id(bundle, "ee01"), find_id(bundle, "med01")
    answers = issue_all(bundle, ca, skip=[waiting], days=90)
    answers[long] = issue_all(bundle, ca, days=198)[long]
    (path / "all.p7b").write_bytes(p7b(*answers.values(), *ca.chain))
    receive(bundle.folder, path / "all.p7b", today=TODAY)
    return bundle.folder


def test_each_recorded_certificate_has_one_renewal(folder):
    """There is one renewal for each recorded certificate, and the most urgent one is first."""
    renewals = list_renewals(folder, today=TODAY)
    long = find_id(open_requests(folder), "ee01")
    assert len(renewals) == len(open_requests(folder).requests) - 1
    assert renewals[-1].request_id == long
    assert (f"{renewals[0].renew_from:%Y-%m-%d}", f"{renewals[0].not_after:%Y-%m-%d}") == (
        "2027-01-22",
        "2027-02-20",
    )
    # The certificate is valid for 198 days, so it must be renewed a third of this time, 66 days,
    # before it expires.
    assert f"{renewals[-1].renew_from:%Y-%m-%d}" == "2027-04-04"


def test_renewal_dates_match_the_status(folder):
    """The state of a request becomes "expiring" on its renewal date."""
    for renewal in list_renewals(folder, today=TODAY):
        day = renewal.renew_from
        states = [
            item.state
            for moment in (day - timedelta(days=1), day)
            for item in folder_status(folder, today=moment).requests
            if item.id == renewal.request_id
        ]
        assert states == ["issued", "expiring"]


@pytest.mark.parametrize(("share", "day"), [(0.5, "2027-01-07"), (0.1, "2027-02-12")])
def test_renewal_date_depends_on_the_lifetime(folder, share, day):
    """A certificate with a shorter lifetime is renewed fewer days before it expires."""
    assert f"{list_renewals(folder, share=share, today=TODAY)[0].renew_from:%Y-%m-%d}" == day


@pytest.mark.parametrize("share", [0, 1, -1, 30])
def test_invalid_shares_are_rejected(folder, share):
    """lyncnb rejects a share of the lifetime that is not a fraction, such as a number of days."""
    with pytest.raises(ValueError, match="is not a valid fraction of the validity period"):
        list_renewals(folder, share=share)


def test_the_calendar_has_an_event_for_each_renewal(folder):
    """The calendar contains an event with a reminder for each renewal. The event names the
    deployment, the certificate, and the command.
    """
    data = list_renewals(folder, today=TODAY).to_ical()
    calendar = Calendar.from_ical(data)
    events = list(calendar.walk("VEVENT"))
    assert len(events) == len(list_renewals(folder, today=TODAY))
    first = events[0]
    assert first["DTSTART"].dt == date(2027, 1, 22)
    # In iCalendar, the end date of an all-day event is the following day.
    assert first["DTEND"].dt == date(2027, 1, 23)
    assert first["DTSTAMP"].dt == datetime.fromisoformat("2026-11-24T00:00:00+00:00")
    assert first["SUMMARY"].endswith("(valid until 2027-02-20)")
    renewal = list_renewals(folder, today=TODAY)[0]
    assert renewal.title in first["SUMMARY"]
    assert renewal.title.startswith(f"{renewal.deployment}: certificate {renewal.number}, ")
    assert {alarm["TRIGGER"].dt for alarm in first.walk("VALARM")} == {timedelta(hours=8)}
    assert f"lyncnb renew FOLDER {renewal.request_id} --reason renewal" in first["DESCRIPTION"]
    assert [alarm["ACTION"] for alarm in first.walk("VALARM")] == ["DISPLAY"]
    assert len({event["UID"] for event in events}) == len(events)
    assert b"\r\n" in data


def test_calendar_is_stable(folder, tmp_path):
    """If the certificates do not change, the calendar file is the same on any date."""
    data = list_renewals(folder, today=TODAY).to_ical()
    assert list_renewals(folder, today=date(2027, 1, 1)).to_ical() == data
    renewals = write_renewals(open_requests(folder), tmp_path / "renewals.ics")
    assert (tmp_path / "renewals.ics").read_bytes() == data
    assert repr(renewals) == f"{len(renewals)} renewals"


def test_the_table_shows_the_days_until_each_renewal(folder):
    """The table contains the number of days until each renewal."""
    frame = list_renewals(folder, today=TODAY).to_frame()
    assert frame["Days left"].iloc[0] == 88
    assert "Renew from" in list_renewals(folder, today=TODAY)._repr_html_()


def test_hostile_names(folder):
    """Line breaks in a subject do not add properties to a calendar event."""
    from dataclasses import replace

    from lyncnb.request_folder.renewals import Renewals

    renewal = replace(
        list_renewals(folder, today=TODAY)[0], subject="a\r\nATTACH:http://x\nEND:VEVENT"
    )
    data = Renewals(items=(renewal,), today=TODAY).to_ical()
    (event,) = Calendar.from_ical(data).walk("VEVENT")
    assert "ATTACH" not in event
