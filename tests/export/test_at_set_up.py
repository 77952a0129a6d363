"""Certificates that are requested during server setup are planned and reported, but never included
in a handover.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from folders import P256, PASSPHRASE, TODAY, certify, csr_path, quick_cipher
from topologies import edge, front_end, plan, row

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.status import folder_status
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.checks.check_plan import check_plan
from lyncnb.checks.saved_plan import read_saved_plan, save_plan
from lyncnb.deploy.request_scripts import request_scripts
from lyncnb.deploy.step_files import build_server_scripts
from lyncnb.deploy.steps import deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError, OptionsError
from lyncnb.export.write import write_requests
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.plan_json import plan_json
from lyncnb.plan.recorded_plan import read_plan_json
from lyncnb.reports.compare import compare_plans
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.request_record import find_request_id

__all__ = ["quick_cipher"]
pytestmark = pytest.mark.usefixtures("quick_cipher")
SERVERS = (front_end(1), front_end(2), edge(1), edge(2), row("dir01.contoso.net", "Director"),
           row("rp01.contoso.com", "ReverseProxy"))  # fmt: skip


def planned(*ids, key=P256):
    """Return a plan in which some certificates are requested during server setup."""
    return plan(*SERVERS, options=PlanOptions(key=key, at_set_up=ids))


def find_id(role, *usages, server=""):
    """Return the id of a planned certificate by its role."""
    return next(
        item.id
        for item in planned().certificates
        if item.role == role
        and set(usages) <= set(item.usages)
        and (not server or server in item.servers)
    )


EE02, EDGE = find_id("FrontEnd", "Default", server="ee02.contoso.com"), find_id("Edge", "Internal")
PROXY, OAUTH = find_id("ReverseProxy"), find_id("Deployment", "OAuthTokenIssuer")


def request(folder: Path, *ids):
    """Write the requests of the plan, except for certificates that are requested during server
    setup.
    """
    return write_requests(planned(*ids), folder, passphrase=PASSPHRASE, findings=(), today=TODAY)


def test_requests_during_setup_are_part_of_the_plan(tmp_path):
    """The plan's digest, JSON document, saved file and comparison show which certificates are
    requested during setup. Without such certificates, the digest is the same as without this
    option.
    """
    before, after = planned(), planned(EE02, OAUTH)
    assert [c.id for c in after.certificates if c.at_set_up] == [EE02, OAUTH]
    assert b"at_set_up" not in plan_json(before, ())
    assert before.sha256 == plan(*SERVERS, options=PlanOptions(key=P256)).sha256 != after.sha256
    assert read_plan_json(plan_json(after, ()), source="p.json").sha256 == after.sha256
    save_plan(after, tmp_path / "p.json", findings=check_plan(after, on=TODAY))
    assert read_saved_plan(tmp_path / "p.json").plan.sha256 == after.sha256
    changed = compare_plans(before, after).certificates
    assert [(certificate.id, certificate.change) for certificate in changed] == [
        (EE02, "kept"),
        (OAUTH, "kept"),
    ]
    assert PlanOptions.from_toml(after.options.to_toml().encode()).at_set_up == (OAUTH, EE02)


def test_requests_and_handover_omit_the_certificate(tmp_path):
    """For a certificate that is requested during server setup, lyncnb creates no key and no CSR,
    and packs nothing for a CA.
    """
    bundle = request(tmp_path / "f", EE02, EDGE, PROXY)
    request_ids = {find_request_id(path.stem) for path in (tmp_path / "f" / "csr").iterdir()}
    assert request_ids == {c.id for c in planned().certificates} - {EE02, EDGE, PROXY}
    assert bundle.counts() == {"created": len(request_ids), "at set-up": 3}
    assert bundle.manifest.by_id[EE02].key_holder == "ee02.contoso.com"
    assert {r.id for r in hand_over(tmp_path / "f", tmp_path / "out.zip").requests} == request_ids
    assert request(tmp_path / "f", EE02, EDGE, PROXY).counts() == {"kept": len(request_ids) + 3}
    (note,) = [n for n in folder_status(tmp_path / "f").notes if "in advance" in n]
    assert note.startswith("lyncnb does not request 3 certificates in advance")


def test_every_summary_shows_the_server(tmp_path):
    """If a certificate is requested during server setup, the summary table states on which server,
    and the summary pages list the certificate in a separate section.
    """
    request(tmp_path / "f", EE02, EDGE)
    with (tmp_path / "f" / "summary.csv").open(encoding="utf-8-sig") as file:
        rows = {line["Certificate"]: line for line in csv.DictReader(file)}
    assert rows[EE02]["CSR file"] == "no request: created on ee02.contoso.com during server setup"
    assert rows[EE02]["Exportable"] == "not verified: the key will be on ee02.contoso.com"
    assert rows[OAUTH]["CSR file"] == f"csr/{csr_path(tmp_path / 'f', OAUTH).name}"
    for name in ("summary.md", "summary.html"):
        text = (tmp_path / "f" / name).read_text("utf-8")
        assert "Requested during server setup" in text
        assert "with the Deployment Wizard when you set up the servers" in text
        assert not re.search(r"of \d+ (is|are) back", text)  # No request has been sent to the CA.


def test_request_during_setup_can_be_canceled(tmp_path):
    """If a certificate is no longer requested during server setup, lyncnb creates its key.

    If it is made again, the unsent request stays.
    """
    request(tmp_path / "f", EE02)
    assert request(tmp_path / "f").counts()["created"] == 1
    record = open_requests(tmp_path / "f").manifest.by_id[EE02]
    assert (record.state, record.key_holder, record.generation) == ("waiting", "", 1)
    csr = (tmp_path / "f" / record.files.csr).read_bytes()
    request(tmp_path / "f", EE02)
    assert (tmp_path / "f" / record.files.csr).read_bytes() == csr
    assert EE02 not in {r.id for r in hand_over(tmp_path / "f", tmp_path / "o.zip").requests}


def test_sheet_contains_the_step_of_the_wizard(tmp_path):
    """The sheet of each server contains the step of the setup wizard, with and without packages,
    and for other products.
    """
    request(tmp_path / "f", EE02, EDGE, PROXY)
    certify(tmp_path / "f", *(r.id for r in open_requests(tmp_path / "f").requests if r.is_written))
    issued = load_issued_certificates(open_requests(tmp_path / "f"), today=TODAY)
    write_pfx(issued, passphrase=PASSPHRASE)
    steps = deployment_steps(
        load_issued_certificates(open_requests(tmp_path / "f"), today=TODAY), today=TODAY
    )
    by_server = {server.server: server for server in steps.servers}
    assert not {package.request for package in steps.missing} & {EE02, EDGE, PROXY}
    ee02 = by_server["ee02.contoso.com"].steps[0]
    assert ee02.step.id == "request-at-set-up"
    assert "ee02.contoso.com" in ee02.text
    assert ee02.wizard.endswith("then Assign")
    assert by_server["rp01.contoso.com"].steps[0].step.id == "request-at-set-up-there"
    assert not by_server["rp01.contoso.com"].packages
    for name in ("edge01.contoso.net", "edge02.contoso.net"):
        ids = [step.step.id for step in by_server[name].steps]
        assert ids[0] == "request-at-set-up"
        assert "import" in " ".join(ids)  # The script imports the server's other certificate.
    assert all(name.endswith(".ps1") for name in build_server_scripts(steps))


def test_certificates_requested_during_setup_have_no_script():
    """The request scripts for the administrative tools omit a certificate that is requested during
    setup, and state the reason.
    """
    missing = {
        entry.request: entry.why
        for entry in request_scripts(planned(EE02, key=KeyParameters())).missing
    }
    assert "at_set_up in plan.toml" in missing[EE02]


def test_all_certificates_can_be_requested_during_setup(tmp_path):
    """If all certificates are requested during server setup, no request is waiting, and the
    handover ends with an error.
    """
    request(tmp_path / "f", *(c.id for c in planned().certificates))
    with pytest.raises(BundleError):
        hand_over(tmp_path / "f", tmp_path / "out.zip")


def test_unknown_id_causes_a_notice():
    """If the option for server setup contains an unknown or outdated id, a notice shows this id.

    A value that is not a list is rejected.
    """
    findings = check_plan(planned("FrontEnd-gone-00000000"), on=TODAY)
    (notice,) = [finding for finding in findings if finding.code == "option-changes-nothing"]
    assert 'at_set_up contains "FrontEnd-gone-00000000"' in notice.message
    assert not [o for o in check_plan(planned(EE02), on=TODAY) if o.code == notice.code]
    with pytest.raises(OptionsError, match="at_set_up"):
        PlanOptions(at_set_up="FrontEnd-x")
