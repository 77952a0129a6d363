"""The status panel processes messages and calls the public functions. These tests use no browser."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from folders import PASSPHRASE, TODAY, Answered, make_issued_folder
from panel_kit import PanelClient
from probes.test_with_folder import issued_folder, run_servers, write_server_pem
from topologies import FIVE_SERVERS, STANDARD_EDITION

import lyncnb as ln
from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.demonstration import Demonstration
from lyncnb.errors import BundleError, LyncnbError
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology
from lyncnb.widgets.editor import PlanEditor
from lyncnb.widgets.status_panel import StatusPanel

pytestmark = pytest.mark.usefixtures("quick_cipher")


@pytest.fixture(scope="module")
def answered_folder(tmp_path_factory) -> Answered:
    return make_issued_folder(STANDARD_EDITION.encode(), tmp_path_factory.mktemp("answered"))


@pytest.fixture
def folder(answered_folder, tmp_path) -> Path:
    return answered_folder.copy(tmp_path).folder


@pytest.fixture
def client(folder) -> PanelClient:
    browser = PanelClient(StatusPanel(folder, today=TODAY).view)
    browser.send("ready")
    return browser


def finish(browser: PanelClient) -> dict[str, dict]:
    """Wait until a step ends, and return the last response of each type."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answers = {message["type"]: message for message, _ in browser.responses}
        if "status" in answers and not answers.get("job", {"busy": True})["busy"]:
            return answers
        time.sleep(0.02)
    raise AssertionError(browser.responses)


def test_the_status_panel_shows_every_request(client, folder):
    """The status panel shows a row for each request, the number of requests in each state, and the
    next step.
    """
    rows = client.rows()
    assert [row["state"] for row in rows.values()] == ["issued", "issued"]
    assert rows[0]["servers"] == "se01.contoso.com"
    answers = client.send("look")
    assert answers["status"]["counts"] == {"issued": 2}
    assert answers["status"]["next"]["words"] == "Package 2 certificates of se01.contoso.com."
    assert answers["status"]["next"]["step"] == "package"
    assert {row["needs"] for row in rows.values()} == {"Package the certificate."}


def test_a_folder_without_a_manifest_is_rejected(tmp_path):
    """If a folder has no manifest, an error occurs when the panel is created, and not only when it
    is displayed.
    """
    with pytest.raises(BundleError):
        StatusPanel(tmp_path / "nowhere")


def test_packages_passwords_and_steps(client, folder):
    """With the passphrase, the panel creates PFX packages. It shows one password at a time, and
    then writes the deployment steps.
    """
    client.send("package", passphrase=PASSPHRASE, target_os="")
    answers = finish(client)
    assert answers["result"]["words"].startswith("Packages: 2 written, 0 kept, 0 refused")
    assert answers["status"]["counts"] == {"packaged": 2}
    request = answers["status"]["packaged"][0]
    assert len(list((folder / "pfx").glob("*.pfx"))) == 2

    ask = {"id": request, "passphrase": PASSPHRASE}
    answer = client.send("password", **ask)["password"]
    assert answer["file"].startswith("pfx/")
    password = next(
        buffers[0].decode() for message, buffers in client.responses if message is answer
    )
    assert len(password) >= 22
    assert password.isalnum()
    state = json.dumps(client.panel.get_state(), default=str)
    assert password not in state + client.panel.channel.work._repr_html_() + json.dumps(answer)

    refused = client.send("password", **ask | {"passphrase": "another horse battery"})["refused"]
    assert "passphrase" in " ".join(refused["lines"])
    client.send("steps", effective="")
    answers = finish(client)
    assert (folder / "steps").is_dir()
    assert "steps" in answers["result"]["words"].lower()
    assert "tomorrow" in client.send("steps", effective="tomorrow")["refused"]["lines"][0]


def test_the_second_year(folder):
    """In the second year, the panel records installed certificates and renews certificates that are
    about to expire, and always shows the next step.
    """
    first = PanelClient(StatusPanel(folder, today=TODAY).view)
    first.send("ready")
    first.send("package", passphrase=PASSPHRASE, target_os="")
    finish(first)
    first.send("steps", effective="")
    answers = finish(first)["status"]
    assert answers["next"]["step"] == "deployed"
    assert answers["today"] == str(TODAY)
    assert "packaged" in first.send("deployed", requests=[], on=str(TODAY))["refused"]["lines"][0]
    wrong = first.send("deployed", requests=answers["packaged"], on="yesterday")["refused"]
    assert wrong["lines"][0] == 'Not done: "yesterday" is not a date'
    first.send("deployed", requests=answers["packaged"], on=str(TODAY))
    assert finish(first)["status"]["next"]["words"].startswith("All requests are complete.")
    later = PanelClient(StatusPanel(folder, today=TODAY + timedelta(days=150)).view)
    later.send("ready")
    assert later.send("look")["status"]["next"]["step"] == "renew"
    arguments = {"requests": [], "passphrase": PASSPHRASE}
    assert (
        "the reason is missing"
        in later.send("renew", reason=" ", **arguments)["refused"]["lines"][0]
    )
    later.send("renew", reason="yearly", **arguments)
    answers = finish(later)
    assert answers["status"]["counts"] == {"waiting": 2}
    assert answers["status"]["next"]["step"] == "handover"
    valid = {row["usable_until"] for row in later.rows().values() if row["state"] == "waiting"}
    # For waiting requests, the panel shows the end date of the certificates that the servers still
    # use.
    assert valid == {"2027-05-22"}


def test_a_wrong_installation_date_is_corrected(folder):
    """If a user records an installation again with another date, the panel corrects the date and
    shows a message about the correction.
    """
    browser = PanelClient(StatusPanel(folder, today=TODAY + timedelta(days=9)).view)
    browser.send("package", passphrase=PASSPHRASE, target_os="")
    packaged = finish(browser)["status"]["packaged"]
    days = [str(TODAY + timedelta(days=number)) for number in (5, 2)]
    results = []
    for day in days:
        browser.send("deployed", requests=packaged, on=day)
        results += [row[1:4:2] for row in finish(browser)["result"]["rows"]]
    assert results == [["recorded", days[0]]] * 2 + [["recorded", days[1]]] * 2
    needs = {row["needs"] for row in browser.rows().values()}
    assert needs == {f"The certificate has been installed on all of its servers since {days[1]}."}


def test_the_status_is_updated_when_requests_are_written(tmp_path):
    """If a status panel was created before its folder, it shows the requests when they are written."""
    editor = PlanEditor(read_topology(STANDARD_EDITION.encode()), load_rules())
    browser = PanelClient(StatusPanel(editor, tmp_path / "new", today=TODAY).view)
    assert browser.send("ready")["status"]["counts"] == {}
    request = PanelClient(ln.RequestPanel(editor, tmp_path / "new").view)
    request.send("ready")
    request.send("write", passphrase=PASSPHRASE, again=PASSPHRASE)
    end = time.monotonic() + 60
    while "counts" not in str(browser.responses[-1]) or browser.responses[-1][0]["counts"] == {}:
        assert time.monotonic() < end
        time.sleep(0.02)
    (counts,) = [message["counts"] for message, _ in browser.responses[-1:]]
    assert list(counts) == ["waiting"]


def test_received_files_are_matched_and_findings_listed(client, folder, tmp_path):
    """The panel matches the certificates in a folder. It reports a file without a certificate and a
    path that does not exist.

    By default, it reads the returned files in the request folder.
    """
    client.send("receive", paths=str(folder / "returned"))
    assert finish(client)["result"]["words"].startswith("2 certificates matched")
    (tmp_path / "stray.cer").write_text("no certificate")
    client.send("receive", paths=str(tmp_path / "stray.cer"))
    result = finish(client)["result"]
    assert any("stray.cer" in " ".join(row) for row in result["rows"])
    client.send("receive", paths=str(tmp_path / "missing.cer"))
    answers = finish(client)
    assert "missing.cer" in " ".join(answers["refused"]["lines"])


def test_no_waiting_requests_are_reported(client, tmp_path):
    """If all certificates are issued, there is nothing to send to the CA, and the panel reports
    this.
    """
    client.send("handover", out=str(tmp_path / "out.zip"), issuer="", requests=[])
    assert "none of the waiting requests" in " ".join(finish(client)["refused"]["lines"])
    assert client.send("handover", out=" ", issuer="", requests=[])["refused"]["lines"] == [
        "Not done: the package has no name",
        "What to do: enter a name that ends in .zip",
    ]


def test_saved_output_shows_the_requests(folder):
    """Without a kernel, the saved output shows the requests and their states."""
    data, _ = StatusPanel(folder, today=TODAY)._repr_mimebundle_()
    assert "se01.contoso.com" in data["text/html"].replace("<wbr>", "")
    assert "issued" in data["text/html"]


@pytest.fixture
def rejected_client(tmp_path) -> PanelClient:
    """Return the panel of a folder with six requests. The CA returned three valid and two faulty
    certificates, and one is missing.
    """
    planned = ln.plan_certificates(read_topology(FIVE_SERVERS.encode()), load_rules())
    bundle = ln.write_requests(planned, tmp_path / "mine", passphrase=PASSPHRASE, today=TODAY)
    ln.demo.answer(bundle, tmp_path / "answers", today=TODAY)
    other = Demonstration()  # A different CA has issued certificates for the same requests.
    other.answer(bundle, tmp_path / "later", today=TODAY + timedelta(days=1))
    browser = PanelClient(StatusPanel(tmp_path / "mine", today=TODAY).view)
    browser.send("receive", paths=str(tmp_path / "answers"))
    finish(browser)
    return browser


def test_rejected_requests_are_packaged_again(rejected_client, tmp_path):
    """If the CA must issue certificates again, a button in the panel packages only the requests for
    these certificates.

    The panel then names the package to send.
    """
    status = rejected_client.send("look")["status"]
    assert status["next"]["words"] == (
        "Ask the CA for another certificate, because 2 certificates of dir01.contoso.com, "
        "fe01.contoso.com, and fe02.contoso.com must not be installed."
    )
    assert status["next"]["step"] == "handover"
    ids = status["next"]["requests"]
    assert sorted(ids) == sorted(refusal["id"] for refusal in status["refusals"])
    needs = {row["id"]: row["needs"] for row in rejected_client.rows().values()}
    blind = "lyncnb refused the certificate (The certificate has no CRL distribution point). Ask the CA for another certificate."
    assert blind in [needs[request_id] for request_id in ids]
    assert sorted(set(needs.values()) - {needs[request_id] for request_id in ids}) == [
        "Package the certificate.",
        "Send the request for the certificate to the CA.",
    ]
    rejected_client.send("handover", out=str(tmp_path / "again.zip"), issuer="", requests=ids)
    answers = finish(rejected_client)
    assert answers["result"]["words"].startswith("2 requests in again.zip")
    assert answers["status"]["next"] == {
        "words": "Send again.zip to the CA. Package 3 certificates of med01.contoso.com, "
        "fe01.contoso.com, and fe02.contoso.com.",
        "step": "package",
        "label": "Enter the passphrase",
        "requests": [],
    }


def test_only_the_last_rejected_certificate_is_described(rejected_client, tmp_path):
    """If two certificates for a request were rejected, the panel describes only the later
    certificate, in one sentence.

    A valid certificate of the request stays valid.
    """
    later = TODAY + timedelta(days=1)
    panel = StatusPanel(tmp_path / "mine", today=later + timedelta(days=1))
    browser = PanelClient(panel.view)
    browser.send("receive", paths=str(tmp_path / "later"))
    refusals = finish(browser)["status"]["refusals"]
    assert sorted(refusal["earlier"] for refusal in refusals) == [
        0,
        0,
        0,
        1,
        1,
    ]  # The certificates of the other CA are rejected as well.
    needs = [row["needs"] for row in browser.rows().values()]
    good = "Package the certificate. lyncnb also refused another certificate for this request."
    assert needs.count(good) == 3
    for refusal in refusals:
        assert refusal["words"].count("refused") == 1
        assert len(refusal["words"]) < 200
        assert f"serial {refusal['serial']}" not in refusal["words"]
        assert refusal["file"].startswith("returned/refused/")
        assert all("--accept" not in reason["hint"] for reason in refusal["reasons"])


def test_expired_certificates_are_not_called_rejected(rejected_client, tmp_path):
    """If a certificate has expired, the panel shows that it has expired, even if another
    certificate for the request was rejected earlier.
    """
    bundle = ln.open_requests(tmp_path / "mine")
    ln.demo.answer(bundle, tmp_path / "good", today=TODAY)
    ln.receive(bundle.folder, tmp_path / "good", today=TODAY)
    expired_client = PanelClient(
        StatusPanel(tmp_path / "mine", today=TODAY + timedelta(days=800)).view
    )
    status = expired_client.send("ready")["status"]
    assert {row["needs"] for row in expired_client.rows().values()} == {
        "Renew the certificate (expired)."
    }
    assert status["refusals"] == []
    issued = load_issued_certificates(
        ln.open_requests(bundle.folder), today=TODAY + timedelta(days=800)
    )
    for record in bundle.requests:
        assert "was refused" not in issued.explain_refusal(record.id)
        assert "has expired: certificate-expired" in issued.explain_refusal(record.id)


def test_a_refused_certificate_is_accepted_with_a_reason(rejected_client):
    """A user can accept a rejected certificate with a reason, unless its finding cannot be
    accepted.
    """
    (blind,) = (
        refusal
        for refusal in rejected_client.send("look")["status"]["refusals"]
        if [reason["code"] for reason in refusal["reasons"]] == ["crl-distribution-point-absent"]
    )
    assert blind["reasons"][0]["acceptable"]
    ask = {"id": blind["id"], "code": "crl-distribution-point-absent"}
    assert (
        "the reason is missing"
        in rejected_client.send("accept", **ask, reason=" ")["refused"]["lines"][0]
    )
    unknown = rejected_client.send("accept", **ask | {"id": "nobody"}, reason="x")["refused"]
    assert "nobody" in unknown["lines"][0]
    rejected_client.send("accept", **ask, reason="the lab has no list")
    answers = finish(rejected_client)
    assert blind["id"] not in [refusal["id"] for refusal in answers["status"]["refusals"]]
    states = {row["id"]: row["state"] for row in rejected_client.rows().values()}
    assert states[blind["id"]] == "issued"


def test_a_different_plan_in_the_editor_is_reported(folder):
    """If the plan in the editor differs from the request folder, the status panel shows a note
    until the user undoes the edit.
    """
    editor = PlanEditor(read_topology(STANDARD_EDITION.encode()), load_rules())
    browser = PanelClient(StatusPanel(editor, folder, today=TODAY).view)
    assert browser.send("ready")["status"]["behind"] == ""
    browser.responses.clear()
    editor.change_options(key="RSA 3072")
    assert browser.types() == ["changed"]
    behind = browser.send("look")["status"]["behind"]
    assert behind.startswith("The plan in the editor differs from this folder.")
    assert "2 " in behind
    editor.undo()
    assert browser.send("look")["status"]["behind"] == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("requests", "requests"), "requires a folder, or an editor and a folder"),
        ((5,), "must be a path"),
        (("",), "must be a path"),
    ],
)
def test_an_invalid_source_gives_an_error_at_once(arguments, words):
    """If the argument of the panel is neither a folder nor an editor, an error message shows the
    correct call.
    """
    with pytest.raises(LyncnbError, match=words):
        StatusPanel(*arguments)


def test_servers_are_probed_after_the_hosts_are_shown(tmp_path):
    """The panel lists the hosts, probes them on request, and records the certificates that they
    present.
    """
    plan, folder = issued_folder(tmp_path)
    ids = [certificate.id for certificate in plan.certificates if certificate.pool]
    browser = PanelClient(StatusPanel(folder).view)
    start = browser.send("ready")["start"]
    assert (start["zones"], start["seen"]) == (["inside", "outside"], "requests-seen.json")
    seen = str(tmp_path / "seen.json")
    with run_servers(
        plan,
        {
            certificate_id: write_server_pem(folder, certificate_id, tmp_path)
            for certificate_id in ids
        },
        tmp_path,
    ) as hosts:
        choices = {"zone": "inside", "hosts": str(hosts)}
        answers = browser.send("hosts", **choices)
        assert answers.get("hosts", answers)["hosts"] == ["fe01.contoso.net", "fe02.contoso.net"]
        browser.send("probe", **choices, seen=seen)
        answers = finish(browser)
    assert ": 8 as planned; 1 planned certificate cannot be seen" in answers["result"]["words"]
    assert [row[0] for row in answers["result"]["rows"]] == ["as planned"] * 8 + ["cannot be seen"]
    browser.send("seen", seen=seen)
    assert finish(browser)["result"]["words"].endswith("2 generations recorded")
    answers = browser.send(
        "probe", zone="inside", hosts=str(hosts), seen=str(folder / "csr" / "a.json")
    )
    assert "refused" in answers
    answers = browser.send("hosts", zone="everywhere", hosts="")
    assert 'cannot probe from the zone "everywhere"' in answers["refused"]["lines"][0]
