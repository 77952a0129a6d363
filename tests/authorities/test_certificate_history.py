"""The history of a certificate shows where it was installed, who approved it, and why it was
replaced.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from folders import (
    TODAY,
    certify,
    make_folder,
    write_earlier,
)
from shell_kit import make_shell

import lyncnb as ln
from lyncnb.authorities.certificate_history import certificate_history
from lyncnb.errors import BundleError
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.request_record import ApprovalOnRecord, PlanOnRecord

pytestmark = pytest.mark.usefixtures("quick_cipher")

shell = pytest.fixture(make_shell)
LATER = TODAY + timedelta(days=30)


@pytest.fixture
def folder(shell):
    """Return a folder in which the certificate of the Edge pool was handed over, deployed, renewed
    and replaced.
    """
    path = shell.folder / "requests"
    name = find_edge_record(make_folder(path)).id
    ln.hand_over(path, shell.folder / "first.zip", requests=[name])
    certify(path, name)
    ln.deployed(path, name, on=date(2026, 11, 30), today=LATER)
    make_folder(path, renew=[name], reason="lost laptop", today=LATER)
    certify(path, name, today=LATER, begins=datetime(2026, 12, 23, tzinfo=UTC))
    ln.deployed(path, "edge01", on=LATER, today=LATER)
    return path


def find_edge_record(bundle):
    """Return the current record of the certificate that the Edge Servers share."""
    records = read_manifest(bundle.folder).requests
    return next(record for record in records if "AccessEdgeExternal" in record.plan.usages)


def test_history_shows_the_old_certificate_until_its_successor_is_deployed(folder):
    """Until the deployment of a renewed certificate is recorded for a server, the history shows the
    old certificate on that server.
    """
    server = find_edge_record(ln.open_requests(folder)).plan.servers[0]
    assert server.startswith("edge01.")
    for day, generation in ((date(2026, 12, 1), 1), (date(2026, 12, 23), 1), (LATER, 2)):
        history = certificate_history(folder, "edge01", history_date=day)
        assert [entry.generation for entry in history.generations] == [generation], day
    both = certificate_history(
        folder, find_edge_record(ln.open_requests(folder)).id, history_date=LATER
    )
    assert [[stay.server[:6] for stay in entry.stays] for entry in both.generations] == [
        ["edge02"],
        ["edge01"],
    ]


def test_each_event_has_user_computer_and_command(folder):
    """Each event in the history has its user, computer and command, and a renewal also has its
    reason.
    """
    record = find_edge_record(ln.open_requests(folder))
    first, second = certificate_history(folder, record.id).generations
    events = {event.what: event for event in first.events}
    assert events["handed over"].detail.endswith("in first.zip")
    assert events["handed over"].user
    assert events["requested"].command == "request"
    assert (events["superseded"].at[:10], events["superseded"].detail) == (
        "2026-12-24",
        'reason: "lost laptop"',
    )
    assert [(stay.since, stay.until) for stay in first.stays] == [
        ("2026-11-30", "2026-12-24"),
        ("2026-11-30", ""),
    ]
    assert second.serial == record.issued.serial
    assert first.serial != second.serial


def test_who_approved_the_plan_of_each_generation(folder):
    """For each generation, the history shows who approved its plan. If a plan was not approved, the
    history shows the plan that was requested last.
    """
    manifest = read_manifest(folder)
    plans = tuple(
        PlanOnRecord(
            sha256=digit * 64,
            plan_sha256=manifest.plan_sha256,
            judged_on=timestamp[:10],
            requested_at=timestamp,
            approvals=(
                ApprovalOnRecord(
                    signer=signer, key="SHA256:x", signature_sha256="c" * 64, verified_at=timestamp
                ),
            ),
        )
        for digit, timestamp, signer in (
            ("a", "2026-11-24T00:00:00Z", "alice@contoso.com"),
            ("b", "2026-12-20T00:00:00Z", "bob@contoso.com"),
        )
    )
    record = replace(find_edge_record(ln.open_requests(folder)), approved_plan="b" * 64)
    save_manifest(folder, replace(manifest.with_records([record]), plans=plans))
    first, second = certificate_history(folder, record.id).generations
    assert [entry.approved_by[0].partition(",")[0] for entry in (first, second)] == [
        "alice@contoso.com",
        "bob@contoso.com",
    ]


def test_history_is_found_by_every_kind_of_name(folder):
    """The status command finds the history of a certificate by ID, server, pattern, serial number
    or thumbprint, and includes earlier certificates.
    """
    record = find_edge_record(ln.open_requests(folder))
    old = record.archived[0].issued
    for name in (record.id, record.plan.servers[1], "edge0?.*", old.serial, old.thumbprint_sha1):
        generations = certificate_history(folder, name).generations
        assert record.id in {entry.id for entry in generations}, name
    with pytest.raises(BundleError, match='with the name "nobody"'):
        certificate_history(folder, "nobody")


def test_history_without_deployments_lists_possible_certificates(folder):
    """If no deployment is recorded for a date, the history lists the certificates that were
    received by that date and were valid on it. A note says that no deployment is recorded.
    """
    history = certificate_history(folder, "edge02", history_date=date(2026, 11, 25))
    assert [entry.generation for entry in history.generations] == [1]
    assert "without a recorded deployment to edge02" in history.notes[0]
    assert certificate_history(folder, "edge02", history_date=date(2026, 1, 1)).generations == ()


def test_later_report_of_the_old_certificate_reinstates_it(folder, tmp_path):
    """If a later report of a server contains the old certificate, the history shows the old
    certificate on that server again from the date of the report.
    """
    record = find_edge_record(ln.open_requests(folder))
    server = record.plan.servers[0]
    old = record.archived[0].issued.thumbprint_sha1
    report = {
        "format": "lyncnb-installed/1",
        "server": server,
        "at": "2026-12-26T10:00:00Z",
        "places": [{"place": "AccessEdgeExternal", "thumbprint": old}],
    }
    path = tmp_path / "edge01.json"
    path.write_text(json.dumps(report))
    ln.deployed(folder, reports=[path], today=LATER + timedelta(days=3))
    days = {
        day: [
            entry.generation
            for entry in certificate_history(folder, "edge01", history_date=day).generations
        ]
        for day in (date(2026, 12, 23), date(2026, 12, 25), date(2026, 12, 27))
    }
    assert [*days.values()] == [[1], [2], [1]]


def test_history_is_built_from_an_earlier_manifest(folder):
    """If a folder of lyncnb 0.2.0 has no history, lyncnb builds the history from the manifest, with
    its generations, dates and servers. The users are unknown.
    """
    write_earlier(folder)
    history = certificate_history(folder, "edge01", history_date=date(2026, 12, 1))
    assert [entry.generation for entry in history.generations] == [1]
    assert {event.user for entry in history.generations for event in entry.events} == {""}


def test_command_shows_the_history(shell, folder):
    """The status command shows the history of a certificate as text and as one JSON document.

    For an unknown name, its exit status is 3.
    """
    result = shell("status", "requests", "edge02", "--on", "2026-12-01")
    assert (result.status, result.err) == (0, "")
    for part in ("on edge02.", "handed over", 'reason: "lost laptop"', "serial"):
        assert part in result.out
    document = json.loads(shell("status", "requests", "edge02", "--json").out)
    assert (document["format"], len(document["generations"])) == ("lyncnb-history/1", 3)
    assert shell("status", "requests", "nobody").status == 3
    for option in ("--all", "-v", "--due=14"):
        assert shell("status", "requests", "edge02", option).status == 2


def read_csv_rows(path):
    """Return the rows of a CSV file as dicts."""
    return list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))


def test_the_whole_folder_on_a_day_is_a_table(shell, folder):
    """The file for a date has a row for each server, with the generation that it had on that date.

    A certificate whose deployment is not recorded is marked as such.
    """
    certify(folder, other := next(
        record.id for record in read_manifest(folder).requests if record.issued is None
    ))  # fmt: skip
    for day, edge01, edge02 in (("2026-12-01", "1", "1"), (str(LATER), "2", "1")):
        result = shell("status", "requests", "--on", day, "-o", f"on-{day}.csv")
        assert result.status == 0
        rows = read_csv_rows(shell.folder / f"on-{day}.csv")
        found = {(row["Server"][:6], row["Generation"], row["Installed on"]) for row in rows}
        assert ("edge01", edge01, "2026-11-30" if edge01 == "1" else str(LATER)) in found
        assert ("edge02", edge02, "2026-11-30") in found
        (unknown,) = (row for row in rows if row["Certificate"] == other)
        assert unknown["Installed on"] == "not recorded"
    shell("status", "requests", "edge01", "-o", "edge01.html")
    assert "lost laptop" in (shell.folder / "edge01.html").read_text("utf-8")
    (shell.folder / "mine.csv").write_text("my own table")
    assert shell("status", "requests", "--history", "-o", "mine.csv").status == 2
    assert (shell.folder / "mine.csv").read_text() == "my own table"
