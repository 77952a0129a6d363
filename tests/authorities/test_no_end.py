"""Every command processes certificates that have no end date (RFC 5280, section 4.1.2.5)."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from folders import PASSPHRASE
from openssl_authority import Authority, make_root, openssl
from shell_kit import make_shell
from topologies import STANDARD_EDITION

from lyncnb.base.times import add_time_span, convert_to_zone
from lyncnb.export.write import write_requests
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")

shell = pytest.fixture(make_shell)
NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def folder(shell, tmp_path) -> Path:
    plan = plan_certificates(read_topology(STANDARD_EDITION.encode()), load_rules())
    write_requests(plan, shell.folder / "requests", passphrase=PASSPHRASE)
    shell.write("passphrase.txt", PASSPHRASE)
    shell.write("table.csv", STANDARD_EDITION)
    return shell.folder / "requests"


def remove_end_date_of_root(root: Authority) -> Authority:
    """Replace the root certificate of a CA with one that has the same key but no end date."""
    base_path = root.folder / "root"
    openssl(
        *(
            "x509",
            "-in",
            f"{base_path}.pem",
            "-key",
            f"{base_path}.key",
            "-out",
            f"{base_path}.new",
        ),
        *("-not_before", "20200101000000Z", "-not_after", "99991231235959Z"),
    )
    shutil.move(f"{base_path}.new", f"{base_path}.pem")
    return root


def test_every_command_accepts_certificates_without_an_end_date(shell, folder):
    """A root and a certificate without an end date can be received, shown, packaged, compared and
    forecast.
    """
    root = remove_end_date_of_root(make_root(shell.folder / "ca"))
    ends = NO_END - NOW
    for csr in folder.glob("csr/*.csr"):
        root.sign(csr, shell.folder / "back" / f"{csr.stem}.pem", ends=ends)
    shell.write("back/root.pem", root.pem)
    received = shell("receive", "requests", "back")
    assert received.status in (0, 1), received
    assert "2 certificates matched" in received.out
    commands = (
        ("status", "requests"),
        ("pfx", "requests", "--passphrase-file", "passphrase.txt"),
        ("steps", "requests", "--effective", "2027-01-01T08:00"),
        ("asis", "back", "table.csv"),
        ("forecast", "requests"),
        ("purge", "requests"),
        ("request", "table.csv", "requests", "--renew", *[p.stem for p in folder.glob("csr/S*")],
         "--reason", "test", "--passphrase-file", "passphrase.txt"),
        ("status", "requests"),
    )  # fmt: skip
    for command in commands:
        result = shell(*command)
        assert result.status in (0, 1, 2, 3), (command, result)


def test_second_root_without_an_end_date_changes_nothing(shell, folder):
    """If the files contain a second root with the same name but without an end date, the result of
    the receive command does not change.
    """
    ca, other = (
        make_root(shell.folder / "ca"),
        remove_end_date_of_root(make_root(shell.folder / "other")),
    )
    shell.write("other.pem", other.pem)
    assert shell("receive", "requests", "other.pem").status in (0, 1)
    for csr in folder.glob("csr/*.csr"):
        ca.sign(csr, shell.folder / "back" / f"{csr.stem}.pem")
    shell.write("back/root.pem", ca.pem)
    assert shell("receive", "requests", "back").status == 0
    assert shell("status", "requests").status == 0


@pytest.mark.parametrize("hours", [-24, -1, 0, 1, 24])
def test_times_are_limited_to_the_calendar(hours):
    """If a calculated time is beyond the limits of the calendar, lyncnb uses the first or last
    second of the calendar.
    """
    first, span = datetime(1, 1, 1, tzinfo=UTC), timedelta(hours=hours)
    assert add_time_span(NO_END, span) == (NO_END + span if hours <= 0 else NO_END)
    assert add_time_span(first, span) == (first + span if hours >= 0 else first)
    zone = timezone(timedelta(hours=14 if hours > 0 else -12))
    assert convert_to_zone(NO_END, zone) == convert_to_zone(NO_END, UTC) == NO_END
    assert convert_to_zone(first, zone) == first
