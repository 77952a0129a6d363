"""The result of a probe can be saved as a list of installed certificates, and decides which
requests are written.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cas.python_ca import pem
from folders import PASSPHRASE
from live_servers import certificate_for, live, show_as_planned
from shell_kit import make_shell
from standing_certificates import MIDNIGHT, authority
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


def of_server(found: ln.CertificatePlan, name: str) -> str:
    """Return the id of the planned certificate of a server."""
    return next(one.id for one in found.certificates if name in one.servers and one.pool)


def states(as_is) -> dict[str, str]:
    return {one.owner: one.state for one in as_is.planned}


def test_presented_certificates_need_no_request(planned, root, tmp_path):
    """If a server presents the planned certificate, no request is needed. A certificate that no
    port shows is "not seen", not missing.
    """
    with live(planned, tmp_path, only=lambda one: one.server == "fe01.contoso.net") as servers:
        found = ln.probe(planned, hosts=servers.hosts, folder=root).as_is
    assert states(found) == {
        "fe01.contoso.net": "covered",
        "fe02.contoso.net": "not-seen",
        "the deployment": "not-seen",
    }
    path = tmp_path / "seen.json"
    path.write_bytes(found.to_json())
    assert ln.read_as_is(path) == found
    assert [one.findings[0].code for one in found.planned if one.state == "not-seen"] == [
        "not-seen",
        "not-seen",
    ]


def test_an_old_certificate_on_one_port_is_reported(planned, root, tmp_path):
    """If one port still presents an old certificate, the probe reports that the new certificate is
    not assigned to this port.
    """

    def show(target, one):
        if target.port == 5061:
            return [certificate_for(one, begins=MIDNIGHT - timedelta(days=9)), authority().issuing]
        return show_as_planned(target, one)

    with live(planned, tmp_path, show=show) as servers:
        found = ln.probe(planned, hosts=servers.hosts, folder=root)
    assert found.counts()["different"] == 2
    one = next(one for one in found.as_is.planned if one.owner == "fe01.contoso.net")
    assert (one.state, one.is_good) == ("elsewhere", True)
    told = "on fe01.contoso.net, the certificate is not assigned to port 5061, which shows "
    assert any(remark.startswith(told) for remark in one.remarks)


def test_certificates_without_their_root_are_unproven(planned, tmp_path):
    """If the root certificate is missing, the probe finds the planned certificate, but the
    comparison reports the certificate as unproven.
    """
    with live(planned, tmp_path) as servers:
        found = ln.probe(planned, hosts=servers.hosts)
    assert found.exit_status == 0
    assert states(found.as_is)["fe01.contoso.net"] == "unproven"
    assert "CN=Contoso Root CA" in found.notes[0]


def test_invisible_certificates_need_a_decision(planned, root, tmp_path, shell):
    """``request --only-missing`` stops with a list of the certificates that no port showed, until
    the user accepts the list or adds the missing files.
    """
    table, saved = shell.write("servers.csv", TWO_FRONT_ENDS), shell.folder / "seen.json"
    shell.write("passphrase", PASSPHRASE)
    with live(planned, tmp_path) as servers:
        told = shell("probe", table, "--hosts", servers.hosts, "--folder", root, "--save", saved)
    assert told.status == 0, told
    request = ("request", table, "requests", "--only-missing", saved, "--passphrase-file",
               "passphrase")  # fmt: skip
    told = shell(*request)
    assert told.status == 1
    assert "no port presented 1 planned certificate" in told.err
    assert "The OAuth certificate signs the tokens" in told.err
    assert "--accept not-seen=REASON" in told.err
    assert not (shell.folder / "requests").exists()
    oauth = next(one.id for one in planned.certificates if not one.pool)
    told = shell(*request, "--reuse", oauth)
    assert "lyncnb asis PROBE.json CERTIFICATE.cer TOPOLOGY" in told.err
    assert told.status == 2
    reused = (part for one in planned.certificates if one.pool for part in ("--reuse", one.id))
    told = shell(*request, *reused, "--accept", "not-seen=we have none")
    assert told.status == 0, told
    manifest = json.loads((shell.folder / "requests" / "manifest.json").read_bytes())
    covered = {one["id"]: bool(one.get("covered")) for one in manifest["requests"]}
    assert covered == {one.id: bool(one.pool) for one in planned.certificates}
    with live(planned, tmp_path) as servers:
        found = ln.probe(planned, hosts=servers.hosts, folder=shell.folder / "requests")
    assert {line.request.rpartition(" ")[0] for line in found.seen if line.place} == {
        "covers the request"
    }


def test_a_file_is_added_to_the_result_of_a_probe(planned, root, tmp_path):
    """``asis`` combines the result of a probe with the file of a certificate that no port presents."""
    with live(planned, tmp_path) as servers:
        found = ln.probe(planned, hosts=servers.hosts, folder=root).as_is
    saved, oauth = tmp_path / "seen.json", tmp_path / "oauth.cer"
    saved.write_bytes(found.to_json())
    one = next(one for one in planned.certificates if not one.pool)
    oauth.write_bytes(pem(certificate_for(one), *authority().chain))
    both = ln.compare_as_is(planned, saved, oauth)
    assert {*states(both).values()} == {"covered"}
    assert both.exit_status == 0
    assert ln.compare_as_is(planned, saved) == found
    with pytest.raises(OptionsError, match="no installed certificate covers"):
        ln.write_requests(
            planned, tmp_path / "new", passphrase=PASSPHRASE, only_missing=found, reuse=one.id,
            dry_run=True,
        )  # fmt: skip
    with pytest.raises(PlanRejected, match="no port presented 1 planned certificate"):
        ln.write_requests(
            planned, tmp_path / "new", passphrase=PASSPHRASE, only_missing=found, dry_run=True
        )
    other = ln.plan_certificates(
        planned.topology, planned.rules, options=ln.PlanOptions(wildcard=True)
    )
    with pytest.raises(ReturnedFileError, match="another plan"):
        ln.compare_as_is(other, saved)
