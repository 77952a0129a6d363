"""`lyncnb renew` leads through a revocation that a CA announces: it finds the certificates, and every
view counts to the date that the CA set.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from cas.python_ca import PythonCa, pem
from folders import PASSPHRASE, copy_folder, issue_all
from shell_kit import make_shell
from strange import SAMPLE, choose_deployments
from strange.generations import write_generations

import lyncnb as ln
from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.request_folder.manifest import read_manifest, save_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")
shell = pytest.fixture(make_shell)

PASS = ("--passphrase-file", "passphrase")
WHY = ("--reason", "the CA revokes its certificates")
TODAY = datetime.now(UTC).date()
#: The day on which the certificates were installed, and the last day before the CA revokes them.
FIRST, LAST = TODAY - timedelta(days=30), TODAY + timedelta(days=5)
BY = ("--replace-by", str(LAST))


@pytest.fixture(scope="module", params=[SAMPLE, *choose_deployments()], ids=str)
def installed(request, tmp_path_factory):
    """Write a request folder whose certificates are installed on all servers since `FIRST`."""
    folder = tmp_path_factory.mktemp("first") / "requests"
    return write_generations(request.param, folder, [FIRST])


@pytest.fixture
def planner(shell, installed):
    """Return a shell with a copy of the folder `installed`, and the file of its passphrase."""
    copy_folder(installed, shell.folder / "requests")
    shell.write("passphrase", PASSPHRASE)
    return shell


def requests_of(planner):
    """Return the records of the requests by id."""
    return read_manifest(planner.folder / "requests").by_id


def status_of(planner):
    """Return the rows of the status by id, without superseded generations."""
    document = json.loads(planner("status", "requests", "--json").out)
    return {row["id"]: row for row in document["requests"] if row["state"] != "superseded"}


def changed(result):
    """Return the ids of the requests that a run renewed."""
    assert result.status == 0, result.err
    changes = json.loads(result.out)["changes"]
    return {change["id"] for change in changes if change["action"] == "renewed"}


@pytest.mark.parametrize("name", ["internal", "PUBLIC", "contoso issuing ca 1"])
def test_the_certificates_of_an_issuer_are_found(planner, name):
    """`renew --issuer` renews all certificates of a kind of CA, or of an issuing certificate."""
    records = requests_of(planner).values()
    names = ("contoso issuing ca 1",)
    expected = {r.id for r in records if name.casefold() in (r.plan.issuer, *names)}
    result = planner("renew", "requests", "--issuer", name, *WHY, "--dry-run", "--json")
    named = {record.id for record in records if record.ca.casefold() == name.casefold()}
    if not expected or named not in (set(), expected):
        # A plan can name the CA of some certificates like the CA that issued all of them.
        message = "can mean different issuers" if expected else "is from the issuer"
        assert (result.status, message in result.err + result.out) == (3, True)
        return
    assert changed(result) == expected


def test_an_unknown_or_ambiguous_issuer_renews_nothing(planner):
    """If a name is not an issuer, or the issuers in the plan and on record with this name have
    different certificates, lyncnb lists the certificates and renews nothing.
    """
    result = planner("renew", "requests", "--issuer", "contoso", *WHY, *PASS)
    assert (result.status, result.out) == (3, "")
    assert "Contoso Issuing CA 1: " in result.err
    one, *_ = requests_of(planner).values()
    manifest = read_manifest(planner.folder / "requests")
    records = [replace(record, ca="") for record in manifest.requests if record is not one]
    records.append(replace(manifest.by_id[one.id], ca="Contoso Issuing CA 1"))
    save_manifest(planner.folder / "requests", manifest.with_records(records))
    result = planner("renew", "requests", "--issuer", "Contoso Issuing CA 1", *WHY, *PASS)
    assert result.status == 3
    assert "can mean different issuers" in result.err
    assert f"the CA Contoso Issuing CA 1 in plan.toml: 1 certificate ({one.id})" in result.err
    assert {len(r.generations) for r in requests_of(planner).values()} == {1}


def test_a_list_of_serial_numbers_selects_certificates(planner):
    """`renew --serials FILE` finds serial numbers in the text of a CA, also with colons, blanks,
    leading zeros and other words, and names those that are not in the folder.
    """
    one, two, *_ = requests_of(planner).values()
    digits = one.issued.serial.upper().rjust(40, "0")
    text = f"""Dear customer,
    we must revoke these certificates on {LAST}:
    {":".join(re.findall("..", digits))} (sip.contoso.com)
    serial: 0x{two.issued.serial}; web
    0123456789abcdef0123456789abcdef
    """
    planner.write("mail.txt", text)
    result = planner("renew", "requests", "--serials", "mail.txt", *WHY, "--dry-run", "--json")
    assert changed(result) == {one.id, two.id}
    notes = " ".join(json.loads(result.out)["notes"])
    assert "not in this folder: 1 serial number (123456789abcdef0123456789abcdef)" in notes
    planner.write("spaced.txt", " ".join(re.findall("..", digits)))
    result = planner("renew", "requests", "--serials", "spaced.txt", *WHY, "--dry-run", "--json")
    assert changed(result) == {one.id}
    planner.write("empty.txt", "nothing")
    assert planner("renew", "requests", "--serials", "empty.txt", *WHY).status == 3
    assert planner("renew", "requests", "--serials", "missing.txt", *WHY).status == 2


def test_every_view_counts_to_the_day_of_the_ca(planner):
    """After `renew --replace-by`, the status, the calendar, the summary, the forecast, the page for
    the CA and the steps count to the day of the CA, and the exit status is 1 until the replacements
    are installed.
    """
    certificate = next(iter(requests_of(planner).values()))
    issuer = certificate.plan.issuer
    ids = {r.id for r in requests_of(planner).values() if r.plan.issuer == issuer}
    result = planner("renew", "requests", "--issuer", issuer, *WHY, *BY, *PASS)
    assert result.status == 0, result.err
    assert "not in the manifest" not in result.err
    rows = status_of(planner)
    assert {rows[name]["replace_by"] for name in ids} == {str(LAST)}
    assert {rows[name]["days_left"] for name in ids} == {5}
    assert {row["days_left"] > 5 for name, row in rows.items() if name not in ids} <= {True}
    assert planner("status", "requests", "--calendar", "all.ics").status == 1
    calendar = (planner.folder / "all.ics").read_text("utf-8").replace("\n ", "")
    assert calendar.count(f"Replace it by: {LAST}") == len(ids)
    entries = json.loads(planner("forecast", "requests", "--json").out)["certificates"]
    ends = {entry["valid_until"] for entry in entries if entry["id"] in ids and not entry["number"]}
    assert ends == {str(LAST)}
    summary = (planner.folder / "requests" / "summary.md").read_text("utf-8").replace("\\", "")
    assert f"to {LAST}, " in summary
    assert f"The first certificate in use ends on {LAST}" in summary
    assert planner("handover", "requests", "out.zip").status == 0
    with zipfile.ZipFile(planner.folder / "out.zip") as archive:
        pages = [archive.read(name).decode() for name in archive.namelist() if "README" in name]
    text = " ".join(re.sub("<[^>]*>", " ", " ".join(pages).replace("<wbr>", "")).split())
    assert f"Needed by {LAST}" in text
    assert f"until {LAST} at the latest, because the CA announced its revocation" in text
    assert "Do not revoke these certificates now" not in text
    answer(planner)
    assert status_of(planner)[certificate.id]["change_by"] <= str(LAST)
    issued = load_issued_certificates(ln.open_requests(planner.folder / "requests"))
    calls = [
        call.effective
        for server in ln.deployment_steps(issued).servers
        for package in server.packages
        for call in package.calls
        if call.roll is not None
    ]
    assert {effective.date() for effective in calls} <= {LAST, LAST - timedelta(days=1)}
    assert calls or certificate.plan.issuer == "public"
    assert planner("status", "requests").status == 1
    assert planner("deployed", "requests").status in (0, 1)
    assert planner("status", "requests").status == 0
    rows = status_of(planner)
    assert {rows[name]["replace_by"] for name in ids} == {""}


def answer(planner):
    """Receive and package certificates from another CA for all waiting requests."""
    bundle = ln.open_requests(planner.folder / "requests")
    skip = {record.id for record in bundle.requests if record.issued is not None}
    ca = PythonCa()
    begins = datetime.combine(TODAY - timedelta(days=1), time(), UTC)
    issued = issue_all(bundle, ca, skip=skip, begins=begins)
    planner.write("answer.pem", pem(*issued.values(), *ca.chain))
    accept = ("--accept", "issued-under-another-root=the CA is made anew for each test")
    assert planner("receive", "requests", "answer.pem", *accept).status == 0
    assert planner("pfx", "requests", *PASS).status == 0


def test_a_repeated_renewal_changes_only_the_day(planner):
    """If the same command runs again, it creates no second request. Another date replaces the
    recorded one, also after the new certificates of the same CA have arrived.
    """
    one, *_ = requests_of(planner).values()
    arguments = ("renew", "requests", "--issuer", one.plan.issuer, *WHY, *PASS)
    assert planner(*arguments, *BY).status == 0
    answer(planner)
    later = LAST + timedelta(days=2)
    result = planner(*arguments, "--replace-by", str(later))
    assert result.status == 0
    assert "the replacement is already under way" in result.err
    record = requests_of(planner)[one.id]
    assert len(record.generations) == 2
    assert status_of(planner)[one.id]["replace_by"] == str(later)
    past = ("--replace-by", str(TODAY - timedelta(days=1)))
    result = planner(*arguments, *past)
    assert result.status == 2
    assert "has passed" in result.err


def test_the_day_remains_when_the_certificate_is_evaluated_again(planner):
    """If the certificates in use are received again, the day of the CA stays on record."""
    one, *_ = requests_of(planner).values()
    arguments = ("renew", "requests", one.id, *WHY, *BY, *PASS)
    assert planner(*arguments).status == 0
    assert status_of(planner)[one.id]["replace_by"] == str(LAST)
    assert planner("receive", "requests").status in (0, 1)
    assert status_of(planner)[one.id]["replace_by"] == str(LAST)
