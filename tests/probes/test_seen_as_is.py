"""The result of a probe can be saved as a list of installed certificates, and decides which
requests are written.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cas.python_ca import pem
from folders import (
    PASSPHRASE,
    read_document,
)
from installed_certificates import MIDNIGHT, authority
from live_servers import certificate_for, run_live_servers, show_as_planned
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

import lyncnb as ln
from lyncnb.errors import OptionsError, PlanRejected, ReturnedFileError

shell = pytest.fixture(make_shell)


@pytest.fixture(scope="module")
def planned() -> ln.CertificatePlan:
    return ln.plan_certificates(ln.read_topology(TWO_FRONT_ENDS.encode()), ln.load_rules())


@pytest.fixture
def root(tmp_path) -> Path:
    """Write the root certificate of the test CA to a folder."""
    path = tmp_path / "root.cer"
    path.write_bytes(pem(authority().root))
    return path


def find_certificate_id(planned: ln.CertificatePlan, name: str) -> str:
    """Return the id of the planned certificate of a server."""
    return next(
        certificate.id
        for certificate in planned.certificates
        if name in certificate.servers and certificate.pool
    )


def states(as_is) -> dict[str, str]:
    return {entry.owner: entry.state for entry in as_is.planned}


def test_presented_certificates_need_no_request(planned, root, tmp_path):
    """If a server presents the planned certificate, no request is needed. A certificate that no
    port shows is "not seen", not missing.
    """
    with run_live_servers(
        planned, tmp_path, only=lambda target: target.server == "fe01.contoso.net"
    ) as servers:
        as_is = ln.probe(planned, hosts=servers.hosts, folder=root).as_is
    assert states(as_is) == {
        "fe01.contoso.net": "covered",
        "fe02.contoso.net": "not-seen",
        "the deployment": "not-seen",
    }
    path = tmp_path / "seen.json"
    path.write_bytes(as_is.to_json())
    assert ln.read_as_is(path) == as_is
    assert [entry.findings[0].code for entry in as_is.planned if entry.state == "not-seen"] == [
        "not-seen",
        "not-seen",
    ]


def test_an_old_certificate_on_one_port_is_reported(planned, root, tmp_path):
    """If one port still presents an old certificate, the probe reports that the new certificate is
    not assigned to this port.
    """

    def show(target, certificate):
        if target.port == 5061:
            return [
                certificate_for(certificate, begins=MIDNIGHT - timedelta(days=9)),
                authority().issuing,
            ]
        return show_as_planned(target, certificate)

    with run_live_servers(planned, tmp_path, show=show) as servers:
        report = ln.probe(planned, hosts=servers.hosts, folder=root)
    assert report.counts()["different"] == 2
    entry = next(
        candidate for candidate in report.as_is.planned if candidate.owner == "fe01.contoso.net"
    )
    assert (entry.state, entry.is_good) == ("elsewhere", True)
    prefix = "on fe01.contoso.net, the certificate is not assigned to port 5061, which shows "
    assert any(remark.startswith(prefix) for remark in entry.remarks)


def test_an_expired_certificate_on_a_port_is_described_in_a_sentence(planned, root, tmp_path):
    """If a port shows the planned certificate after its end, the remark names the problem without a
    severity in the middle.
    """

    def show(target, certificate):
        before = {"begins": MIDNIGHT - timedelta(days=300)}
        return [certificate_for(certificate, **before), authority().issuing]

    with run_live_servers(planned, tmp_path, show=show) as servers:
        as_is = ln.probe(planned, hosts=servers.hosts, folder=root).as_is
    remarks = [remark for entry in as_is.planned for remark in entry.remarks]
    prefix = "shows the correct certificate with a problem: the certificate is valid only until "
    assert any(prefix in remark for remark in remarks), remarks


def test_the_notice_about_a_root_names_its_file_once(planned, root, tmp_path):
    """If the user adds the root's file to the result of a probe, one notice names this file."""
    with run_live_servers(planned, tmp_path) as servers:
        as_is = ln.probe(planned, hosts=servers.hosts, folder=root).as_is
    saved = tmp_path / "seen.json"
    saved.write_bytes(as_is.to_json())
    oauth = next(candidate for candidate in planned.certificates if not candidate.pool)
    other = tmp_path / "oauth.cer"
    other.write_bytes(pem(certificate_for(oauth), *authority().chain))
    both = ln.compare_as_is(planned, saved, other, root)
    assert [finding.about for finding in as_is.files] == ["root.cer"]
    assert [(finding.code, finding.about) for finding in both.files] == [
        ("root-to-compare", "root.cer")
    ]


def test_certificates_without_their_root_are_unproven(planned, tmp_path):
    """If the root certificate is missing, the probe finds the planned certificate, but the
    comparison reports the certificate as unproven.
    """
    with run_live_servers(planned, tmp_path) as servers:
        report = ln.probe(planned, hosts=servers.hosts)
    assert report.exit_status == 0
    assert states(report.as_is)["fe01.contoso.net"] == "unproven"
    assert "CN=Contoso Root CA" in report.notes[0]


def test_invisible_certificates_need_a_decision(planned, root, tmp_path, shell):
    """``request --only-missing`` stops with a list of the certificates that no port showed, until
    the user accepts the list or adds the missing files.
    """
    table, saved = shell.write("servers.csv", TWO_FRONT_ENDS), shell.folder / "seen.json"
    shell.write("passphrase", PASSPHRASE)
    with run_live_servers(planned, tmp_path) as servers:
        result = shell("probe", table, "--hosts", servers.hosts, "--folder", root, "--save", saved)
    assert result.status == 0, result
    request = ("request", table, "requests", "--only-missing", saved, "--passphrase-file",
               "passphrase")  # fmt: skip
    result = shell(*request)
    assert result.status == 1
    assert "no port presented 1 planned certificate" in result.err
    assert "The OAuth certificate signs the tokens" in result.err
    assert "--accept not-seen=REASON" in result.err
    assert not (shell.folder / "requests").exists()
    oauth = next(certificate.id for certificate in planned.certificates if not certificate.pool)
    result = shell(*request, "--reuse", oauth)
    assert "lyncnb asis PROBE.json CERTIFICATE.cer TOPOLOGY" in result.err
    assert result.status == 2
    reused = (
        part
        for certificate in planned.certificates
        if certificate.pool
        for part in ("--reuse", certificate.id)
    )
    result = shell(*request, *reused, "--accept", "not-seen=we have none")
    assert result.status == 0, result
    manifest = read_document(shell.folder / "requests")
    covered = {record["id"]: bool(record.get("covered")) for record in manifest["requests"]}
    assert covered == {
        certificate.id: bool(certificate.pool) for certificate in planned.certificates
    }
    with run_live_servers(planned, tmp_path) as servers:
        report = ln.probe(planned, hosts=servers.hosts, folder=shell.folder / "requests")
    assert {line.request.rpartition(" ")[0] for line in report.seen if line.place} == {
        "covers the request"
    }


def test_a_file_is_added_to_the_result_of_a_probe(planned, root, tmp_path):
    """``asis`` combines the result of a probe with the file of a certificate that no port presents."""
    with run_live_servers(planned, tmp_path) as servers:
        as_is = ln.probe(planned, hosts=servers.hosts, folder=root).as_is
    saved, oauth = tmp_path / "seen.json", tmp_path / "oauth.cer"
    saved.write_bytes(as_is.to_json())
    certificate = next(candidate for candidate in planned.certificates if not candidate.pool)
    oauth.write_bytes(pem(certificate_for(certificate), *authority().chain))
    both = ln.compare_as_is(planned, saved, oauth)
    assert {*states(both).values()} == {"covered"}
    assert both.exit_status == 0
    assert ln.compare_as_is(planned, saved) == as_is
    with pytest.raises(OptionsError, match="no installed certificate covers"):
        ln.write_requests(
            planned, tmp_path / "new", passphrase=PASSPHRASE, only_missing=as_is, reuse=certificate.id,
            dry_run=True,
        )  # fmt: skip
    with pytest.raises(PlanRejected, match="no port presented 1 planned certificate"):
        ln.write_requests(
            planned, tmp_path / "new", passphrase=PASSPHRASE, only_missing=as_is, dry_run=True
        )
    other = ln.plan_certificates(
        planned.topology, planned.rules, options=ln.PlanOptions(wildcard=True)
    )
    with pytest.raises(ReturnedFileError, match="another plan"):
        ln.compare_as_is(other, saved)
