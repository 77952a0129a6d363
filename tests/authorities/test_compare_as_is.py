"""If installed certificates have a fault, the comparison with the plan reports this fault and
nothing else.

LYNCNB_ESTATES sets the number of deployments that are checked. CI uses a tenth of the two hundred.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from datetime import date, timedelta

import pytest
from cas.python_ca import PythonCa, der, issue, pem
from folders import PASSPHRASE, TODAY, certify, make_folder, make_plan, write
from installed_certificates import (
    FAULTS,
    MIDNIGHT,
    Stored,
    authority,
    export_of,
    issue_planned,
    key_of,
    random_estate,
    write_all,
    write_estate,
)
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS, plan, row

import lyncnb as ln
from lyncnb.authorities.survey.as_is import STATES
from lyncnb.export.renew import renew

pytestmark = pytest.mark.usefixtures("quick_cipher")

DAY = date(2026, 11, 24)
COUNT = int(os.environ.get("LYNCNB_ESTATES", "20"))

shell = pytest.fixture(make_shell)


def test_certificate_issued_an_hour_ago_is_valid(tmp_path):
    """If no date is specified, the comparison uses the current time, so a certificate that was
    issued an hour ago is valid.
    """
    write_all(TWO_FRONT_ENDS, tmp_path / "standing.pem")
    planned = ln.plan_certificates(ln.read_topology(TWO_FRONT_ENDS.encode()), ln.load_rules())
    comparison = ln.compare_as_is(planned, tmp_path / "standing.pem")
    assert {entry.state for entry in comparison.planned} == {"covered"}


def test_a_compromised_certificate_covers_nothing(tmp_path):
    """The comparison never accepts a compromised certificate for a planned one, even if the request
    folder records it, but still compares all others.
    """
    planned = make_plan(TWO_FRONT_ENDS.encode())
    folder = make_folder(tmp_path / "requests", planned).folder
    name, *others = (certificate.id for certificate in planned.certificates)
    certify(folder, name, *others)
    export = tmp_path / "export"
    shutil.copytree(folder / "returned", export)
    before = ln.compare_as_is(planned, export, on=TODAY, folder=folder)
    assert {entry.state for entry in before.planned} == {"covered"}
    renew(folder, name, compromised=True, passphrase=PASSPHRASE, today=TODAY)
    comparison = ln.compare_as_is(planned, export, on=TODAY, folder=folder)
    assert [entry.state for entry in comparison.planned] == ["compromised", "covered", "covered"]
    assert comparison.exit_status == 1
    with pytest.raises(ln.BundleError, match="must be revoked, so it cannot be reused"):
        write(planned, folder, only_missing=before, reuse=[name])


@pytest.mark.parametrize("number", range(COUNT))
def test_every_fault_is_reported_and_no_other(tmp_path, number):
    """If an installed certificate has a fault, the comparison reports the state, errors, warnings
    and notes of this fault, and no others.
    """
    chance, exported = random.Random(number), number % 2 == 0
    estate = random_estate(chance, exported=exported)
    write_estate(estate, tmp_path / "estate", chance, exported=exported)
    comparison = ln.compare_as_is(estate.plan, tmp_path / "estate", on=DAY)
    states = {entry.id: entry.state for entry in comparison.planned}
    assert states == {name: FAULTS[fault][0] for name, fault in estate.faults.items()}
    for entry in comparison.planned:
        fault = estate.faults[entry.id]
        codes = {f.code for f in entry.findings if f.severity != "notice"}
        assert codes - _TOLERATED.get(fault, set()) == FAULTS[fault][1], (entry, fault)
        lines = list(entry.lines())
        assert any(estate.named.get(entry.id, "") in line for line in lines) or not lines
        has_remark = fault in ("moved", "unused", "keyless")
        assert bool(entry.remarks) == has_remark, (entry.remarks, fault)
    assert {entry.certificate.sha256 for entry in comparison.unplanned} == estate.unplanned
    # One of the files is the export of an empty certificate store.
    assert {finding.severity for finding in comparison.files} <= {"notice"}
    assert comparison.notes == ()


# Because of the fault, the comparison also reports that no CA certificate is above the certificate
# and that nobody requested the wildcard.
_TOLERATED = {
    "self-signed": {"chain-incomplete"},
    "wildcard": {"names-added"},
}


def edge_pool(**cells):
    """Return a plan in which two Edge Servers share one external and one internal certificate."""
    external = {"access_edge_fqdn": "sip.contoso.com", "webconf_edge_fqdn": "conf.contoso.com"}
    return plan(
        *(row(f"edge{n}.contoso.com", "Edge", "edge.contoso.com", **external) for n in (1, 2)),
        **cells,
    )


def test_a_shared_certificate_must_be_on_each_of_its_servers(tmp_path):
    """If only one of two Edge Servers has the shared certificate, the comparison names the server
    that lacks it.
    """
    planned = edge_pool()
    outside = issue_planned(planned.certificates[0])
    chain = authority().chain
    for number, stored in ((1, [Stored(outside, planned.certificates[0].usages)]), (2, [])):
        data = export_of(f"edge{number}.contoso.com", stored, above=chain)
        (tmp_path / f"{number}.pem").write_bytes(data)
    entry = ln.compare_as_is(planned, tmp_path, on=DAY).planned[0]
    assert (entry.state, entry.remarks) == (
        "missing-on-servers",
        ("the certificate is not installed on 1 of 2 servers: edge2.contoso.com",),
    )
    # If no server reported a certificate, its location is not known.
    assert ln.compare_as_is(planned, tmp_path / "1.pem", on=DAY).planned[0].state == "covered"


def test_every_server_needs_the_key_of_a_shared_certificate(tmp_path):
    """If one of two Edge Servers has the shared certificate without its private key, the
    certificate is not covered, and the comparison names this server.
    """
    planned = edge_pool()
    outside = issue_planned(planned.certificates[0])
    for number, has_key in ((1, True), (2, False)):
        stored = [Stored(outside, planned.certificates[0].usages, has_key)]
        data = export_of(f"edge{number}.contoso.com", stored, above=authority().chain)
        (tmp_path / f"{number}.pem").write_bytes(data)
    comparison = ln.compare_as_is(planned, tmp_path, on=DAY)
    entry = comparison.planned[0]
    assert (entry.state, entry.remarks) == (
        "no-key",
        ("edge2.contoso.com has no private key for the certificate",),
    )
    assert "1 without the private key on a server" in comparison.summary()
    assert comparison.exit_status == 1


def test_certificates_missing_from_the_store_and_unplanned_servers_are_reported(tmp_path):
    """The comparison reports two kinds of servers: a server that uses a certificate missing from
    its store, and a server that is not in the plan.
    """
    absent = [("Default", "0" * 40)]
    data = export_of("edge1.contoso.com", absent=absent)
    (tmp_path / "a.pem").write_bytes(data + b"\r\n")
    (tmp_path / "b.pem").write_bytes(export_of("other.contoso.com"))
    comparison = ln.compare_as_is(edge_pool(), tmp_path, on=DAY)
    unstored = "but this certificate is not in the server's certificate store"
    assert comparison.notes == (
        f"edge1.contoso.com uses the certificate {'0' * 40} for Default, {unstored}",
        "the plan has no certificate for other.contoso.com, whose certificates were exported",
    )
    assert comparison.counts() == {"none": 2}


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_the_later_export_of_a_server_is_used(tmp_path, names):
    """If a folder contains two exports of the same server, the comparison uses the later export,
    regardless of the order of the files.
    """
    planned = edge_pool()
    internal = next(
        certificate for certificate in planned.certificates if certificate.usages == ("Internal",)
    )
    stored = [Stored(issue_planned(internal), ("Internal",))]
    now, later = "2026-11-24T08:00:00Z", "2026-11-24T09:00:00Z"
    for server in ("edge1.contoso.com", "edge2.contoso.com"):
        (tmp_path / f"{names[0]}{server}").write_bytes(
            export_of(server, stored, above=authority().chain, time=now)
        )
        (tmp_path / f"{names[1]}{server}").write_bytes(export_of(server, time=later))
    comparison = ln.compare_as_is(planned, tmp_path, on=DAY)
    entry = next(candidate for candidate in comparison.planned if candidate.id == internal.id)
    assert entry.state == "elsewhere"
    assert entry.certificate.servers == ()


def test_planned_issue_date_and_accepted_errors_are_considered(tmp_path):
    """The comparison checks whether a certificate is valid on the planned issue date, and does not
    count accepted errors as errors.
    """
    certificate = issue_planned(edge_pool().certificates[1], crl=(), begins=MIDNIGHT, days=100)
    today = MIDNIGHT.date()
    data = export_of("edge1.contoso.com", [Stored(certificate)], above=authority().chain)
    (tmp_path / "a.pem").write_bytes(data)

    def state(day=None, **options):
        planned = plan_of_edge(**options)
        comparison = ln.compare_as_is(planned, tmp_path / "a.pem", on=day)
        return comparison.planned[1].state

    accepted = {"accepted": {"crl-distribution-point-absent": "no list is meant"}}
    assert state(today) == "differs"
    assert state(today, **accepted) == "covered"
    last = today + timedelta(days=99)
    assert state(planned_issue_date=last, **accepted) == "covered"
    assert state(planned_issue_date=last + timedelta(days=1), **accepted) == "not-in-force"


def plan_of_edge(**options):
    """Return a plan for two Edge Servers with the given options."""
    return edge_pool(options=ln.PlanOptions(**options))


def test_one_certificate_can_cover_two_planned_ones(tmp_path):
    """One installed certificate can satisfy two planned certificates, but a certificate that is
    made for a single purpose is preferred.
    """
    cells = {"web_external_fqdn": "web.contoso.com"}
    planned = plan(
        row("fe1.contoso.com", "FrontEnd", "ee.contoso.com", **cells),
        options=ln.PlanOptions(layout="separate"),
    )
    by_use = {certificate.usages[0]: certificate for certificate in planned.certificates}
    default, internal = by_use["Default"], by_use["WebServicesInternal"]
    wide = issue_planned(internal, san=[*internal.names, *default.names])
    (tmp_path / "chain.pem").write_bytes(pem(*authority().chain))
    (tmp_path / "wide.pem").write_bytes(export_of("fe1.contoso.com", [Stored(wide)], lync=False))
    entries = {entry.id: entry for entry in ln.compare_as_is(planned, tmp_path, on=DAY).planned}
    assert entries[default.id].state == entries[internal.id].state == "covered"
    narrow = export_of(
        "fe1.contoso.com", [Stored(wide), Stored(issue_planned(default))], lync=False
    )
    (tmp_path / "wide.pem").write_bytes(narrow)
    entries = {entry.id: entry for entry in ln.compare_as_is(planned, tmp_path, on=DAY).planned}
    assert entries[default.id].certificate != entries[internal.id].certificate


def mediation(*names: str):
    """Return a plan for Mediation Servers, each of which is in a separate pool."""
    return plan(*(row(name, "Mediation", name) for name in names))


@pytest.mark.parametrize("damage", [True, False], ids=["damaged", "sound"])
def test_without_a_chain_no_planned_certificate_is_covered(tmp_path, damage):
    """If the CA certificates are missing, the comparison accepts no installed certificate, because
    it cannot verify the signatures.
    """
    planned = mediation("med.contoso.com")
    data = bytearray(der(issue_planned(planned.certificates[0])))
    data[-5] ^= damage
    (tmp_path / "med.cer").write_bytes(data)
    alone = ln.compare_as_is(planned, tmp_path, on=DAY)
    assert alone.counts() == {"unproven": 1}
    assert alone.exit_status == 1
    (tmp_path / "chain.pem").write_bytes(pem(*authority().chain))
    comparison = ln.compare_as_is(planned, tmp_path, on=DAY)
    assert comparison.counts() == ({"differs": 1} if damage else {"covered": 1})
    codes = [finding.code for finding in comparison.files]
    assert codes == ([] if damage else ["root-to-compare"])


def test_with_two_different_roots_neither_is_trusted(tmp_path):
    """If installed certificates have two different roots, lyncnb trusts neither root until the plan
    accepts both with a reason.
    """
    names = ("med1.contoso.com", "med2.contoso.com")
    planned = mediation(*names)
    ours, theirs = authority(), PythonCa("Evil", make_key=lambda: key_of(2048))
    first, second = planned.certificates
    stranger = issue(
        key_of(2048).public_key(), theirs.issuing.subject, theirs.key,
        subject=[*second.subject.fields()], san=second.names, days=199,
    )  # fmt: skip
    (tmp_path / "ours.pem").write_bytes(pem(issue_planned(first), *ours.chain))
    (tmp_path / "theirs.pem").write_bytes(pem(stranger, *theirs.chain))
    assert ln.compare_as_is(planned, tmp_path, on=DAY).counts() == {"other-ca": 2}
    options = ln.PlanOptions(accepted={"issued-under-another-root": "two CAs are in use"})
    accepted = plan(*(row(name, "Mediation", name) for name in names), options=options)
    comparison = ln.compare_as_is(accepted, tmp_path, on=DAY)
    assert comparison.counts() == {"covered": 2}
    assert [finding.code for finding in comparison.files] == ["root-to-compare"] * 2


# The following tests run the asis command.


@pytest.fixture
def estate(shell):
    """Return a server table with two Front End Servers, and the export of one of them."""
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    planned = ln.plan_certificates(ln.read_topology(TWO_FRONT_ENDS.encode()), ln.load_rules())
    first = planned.certificates[0]
    stored = [Stored(issue_planned(first), first.usages)]
    shell.write("one.pem", export_of(first.servers[0], stored, above=authority().chain))
    return shell


def test_outputs_of_the_asis_command_agree(estate):
    """The asis command shows the same comparison as text, JSON, a table and a saved file, and
    writes no other file.
    """
    result = estate("asis", "one.pem", "contoso.csv", "--on", "2026-11-24", "--save", "kept.json")
    assert result.status == 1
    assert result.out.startswith("covered by the certificate with the thumbprint ")
    assert f"{STATES['none']}: " in result.out
    assert "3 planned certificates, evaluated on 2026-11-24: 1 covered, 2 " in result.out
    saved_document = json.loads((estate.folder / "kept.json").read_bytes())
    result = estate("asis", "one.pem", "contoso.csv", "--on", "2026-11-24", "--json")
    # The two runs may fall in different seconds, and the digest covers the time.
    timed = {"made_at": "", "sha256": ""}
    assert json.loads(result.out) | timed == saved_document | timed
    assert saved_document["format"] == "lyncnb-asis/1"
    for name in ("table.csv", "table.xlsx", "table.md"):
        result = estate("asis", "one.pem", "contoso.csv", "-o", name)
        assert result.status == 1
        assert result.out.count("\n") == 1
        # The asis command ignores the file that it wrote itself.
        assert estate("asis", "one.pem", "contoso.csv", "-o", name).status == 1
    assert not (estate.folder / "requests").exists()


@pytest.mark.parametrize("suffix", ["csv", "md"])
def test_the_table_contains_notes_and_findings_about_files(shell, suffix):
    """A table of installed certificates also contains the notes about servers and the findings
    about files that the terminal shows.
    """
    (shell.folder / "contoso.csv").write_text(TWO_FRONT_ENDS, "utf-8")
    write_all(TWO_FRONT_ENDS, shell.folder / "one.pem")
    absent = [("OAuthTokenIssuer", "0" * 40)]
    export = export_of("fe01.contoso.com", absent=absent)
    (shell.folder / "fe01.pem").write_bytes(export)
    shell("asis", "one.pem", "fe01.pem", "contoso.csv", "-o", f"table.{suffix}")
    table = (shell.folder / f"table.{suffix}").read_text("utf-8")
    assert f"fe01.contoso.com uses the certificate {'0' * 40} for OAuthTokenIssuer" in table
    assert "one.pem: the root is" in table


def test_exit_status_is_0_if_everything_is_covered(tmp_path):
    """The asis command exits with status 0 if every planned certificate is installed, even if a
    server has additional certificates.
    """
    planned = plan(row("med.contoso.com", "Mediation", "med.contoso.com"))
    for number, certificate in enumerate(planned.certificates):
        stored = [Stored(issue_planned(certificate), certificate.usages)]
        data = export_of("med.contoso.com", stored, above=authority().chain)
        (tmp_path / f"{number}.pem").write_bytes(data)
    comparison = ln.compare_as_is(planned, tmp_path, on=DAY)
    assert (comparison.exit_status, comparison.counts()) == (0, {"covered": 1})
    assert len(comparison.to_frame()) == 1
    assert "covered" in comparison._repr_html_()


def test_export_script_exports_no_private_key(shell):
    """The PowerShell script for exporting certificates contains only ASCII, changes nothing on a
    server, and exports no private key.
    """
    from powershell_kit import commands, parse

    result = shell("snippet", "certificates")
    assert result.status == 0
    assert result.out.isascii()
    assert result.out.startswith("#requires -Version 3.0\n")
    assert parse(result.out).errors == ()
    assert {command.name for command in commands(result.out)} == {
        *("Get-CsCertificate", "Get-ChildItem", "Get-Command", "New-Object", "Write-Output"),
        *("Join-Path", "Get-Location", "Test-Path", "Where-Object", "ForEach-Object"),
    }
    for newer in ("::new(", "Export-", ".Export(", "PrivateKey.", "GetRSAPrivateKey"):
        assert newer not in result.out
    sound = export_of("a.contoso.com", [Stored(issue_planned(edge_pool().certificates[0]), ("Internal",))],
                      above=authority().chain, absent=[("Default", "0" * 40)])  # fmt: skip
    names = {line.partition(":")[0] for line in sound.decode().splitlines() if ": " in line}
    for words in (*names, "lyncnb certificate export 1", "-----BEGIN CERTIFICATE-----"):
        assert words in result.out


SOUND = ["lyncnb certificate export 1", "Computer: a.contoso.com", "Time: 2026-11-24T08:00:00Z",
         "Lync: yes"]  # fmt: skip
BAD = {
    "a later version": (["lyncnb certificate export 2"], 'version "2" of the export'),
    "nothing more": (SOUND[:1], 'the export is incomplete: "Computer'),
    "no computer": ([SOUND[0], "Computer: a b", *SOUND[2:]], "computer name is not valid"),
    "no time": ([*SOUND[:2], "Time: today", SOUND[3]], '"today" is not a valid time'),
    "no answer": ([*SOUND[:3], "Lync: perhaps"], "neither yes nor no"),
    "words": ([*SOUND, "Hello"], 'line 5 is "Hello", but it must be "Store: …"'),
    "another store": ([*SOUND, "Store: Root"], "neither My nor CA"),
    "no certificate": ([*SOUND, "Store: My", "Key: yes"], "the export is incomplete"),
    "half of one": (
        [*SOUND, "Store: CA", "-----BEGIN CERTIFICATE-----", "AAAA"],
        "the export is incomplete",
    ),
    "no base64": (
        [*SOUND, "Store: CA", "-----BEGIN CERTIFICATE-----", "?", "-----END CERTIFICATE-----"],
        "not valid base64",
    ),
    "a type of words": (
        [*SOUND, "Store: My", "Key: no", "Type: a; b"],
        '"a; b" is not a certificate type',
    ),
    "no thumbprint": (
        [*SOUND, "Not in the store: Default 0"],
        "not a certificate type followed by a thumbprint",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_incomplete_export_is_rejected(estate, case):
    """If a server's certificate export is incomplete, lyncnb rejects the file with one message,
    which contains the line number.
    """
    lines, words = BAD[case]
    estate.write("bad.pem", "\r\n".join(lines))
    result = estate("asis", "bad.pem", "contoso.csv")
    assert result.status == 2
    assert result.err.count("lyncnb: ") == 1
    assert words in result.err
    both = estate("asis", "bad.pem", "one.pem", "contoso.csv", "--json")
    assert both.status == 2
    assert words in json.loads(both.out)["files"][0]["message"]


def test_export_may_have_any_encoding_of_powershell(estate):
    """The export of a server may be UTF-16 or UTF-8 with a byte order mark, and may have Unix line
    endings.
    """
    data = (estate.folder / "one.pem").read_text("utf-8")
    sound = json.loads(estate("asis", "one.pem", "contoso.csv", "--json").out)["planned"]
    for encoding, text in (
        ("utf-16", data), ("utf-8-sig", data), ("utf-8", data.replace("\r\n", "\n"))
    ):  # fmt: skip
        estate.write("one.pem", text.encode(encoding))
        assert (
            json.loads(estate("asis", "one.pem", "contoso.csv", "--json").out)["planned"] == sound
        )


def test_export_of_an_empty_store_is_valid(estate):
    """The export of an empty certificate store is valid and contains no certificates."""
    estate.write("empty.pem", export_of("fe02.contoso.net"))
    result = estate("asis", "empty.pem", "contoso.csv")
    assert result.status == 1
    assert "notice: empty.pem: fe02.contoso.net has no server certificate" in result.err
    assert "without an installed certificate" in result.out
