"""The request panel responds to messages and function calls. These tests do not use a browser."""

from __future__ import annotations

import json
import time

import pandas as pd
import pytest
from folders import PASSPHRASE
from jupyter_client.manager import start_new_kernel
from panel_kit import PanelClient
from topologies import FIVE_SERVERS, STANDARD_EDITION, edge, front_end, plan, row

import lyncnb as ln
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.errors import BundleError, LyncnbError, PassphraseError, PlanRejected
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.recovery_key import create_recovery_key
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology
from lyncnb.widgets.editor import PlanEditor
from lyncnb.widgets.request_panel import RequestPanel
from lyncnb.widgets.summary_table import SHOWN

pytestmark = pytest.mark.usefixtures("quick_cipher")


@pytest.fixture(scope="module")
def rules():
    return ln.load_rules("lync2013")


@pytest.fixture
def small(rules):
    """Return a plan with one request, whose key can be generated quickly."""
    text = "server_fqdn,role,sip_domains\nmed01.contoso.com,Mediation,contoso.com\n"
    options = ln.PlanOptions(key=KeyParameters(algorithm="ECDSA", bits=256))
    return ln.plan_certificates(ln.read_topology(text.encode()), rules, options=options)


def _until(browser: PanelClient, *states: str) -> dict:
    """Wait until the job of the panel has one of the given states, and all of its messages are
    sent.
    """
    end = time.monotonic() + 60
    while time.monotonic() < end:
        messages = [message for message, _ in browser.responses if message["type"] == "job"]
        if messages and messages[-1]["state"] in states and browser.types()[-1] == "look":
            return messages[-1]
        time.sleep(0.02)
    raise AssertionError(browser.responses)


def test_the_summary_is_available_before_it_is_written(rules, tmp_path):
    """The `summary` of a request panel has the columns and rows of summary.csv, and links to the
    files when they exist.
    """
    planned = ln.plan_certificates(read_topology(STANDARD_EDITION.encode()), rules)
    panel = RequestPanel(planned, tmp_path / "requests")
    before = panel.summary.to_frame()
    assert "href" not in panel.summary._repr_html_().split("<table")[0]
    ln.write_requests(planned, tmp_path / "requests", passphrase=PASSPHRASE)
    after = panel.summary.to_frame()
    csv_frame = pd.read_csv(tmp_path / "requests" / "summary.csv", dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(after.astype("str"), csv_frame.astype("str"))
    names = ["Certificate", "Subject", "Subject alternative names", "Issuer", "Exportable"]
    pd.testing.assert_frame_equal(before[names], after[names])
    page = panel.summary._repr_html_()
    for name in ("summary.csv", "summary.xlsx", "summary.html", "summary.md"):
        assert f"{name}</a>" in page
    for heading in SHOWN:
        assert heading in page


def test_a_request_panel_shows_a_preview_and_a_result(small, tmp_path):
    """The request panel shows a preview, asks for the passphrase twice, writes the requests, and
    shows the result.

    After that, there is nothing to write.
    """
    panel = RequestPanel(small, tmp_path / "requests")
    browser = PanelClient(panel.view)
    answers = browser.send("ready")
    assert answers["look"]["ready"]
    assert answers["look"]["is_new"]
    assert not (tmp_path / "requests").exists()
    browser.send("write", passphrase=PASSPHRASE, again=PASSPHRASE)
    assert _until(browser, "finished")["done"] == 1
    result = next(message for message, _ in browser.responses if message["type"] == "result")
    assert result["words"] == f"Folder {tmp_path / 'requests'}: 1 created."
    assert panel.bundle.counts() == {"created": 1}
    assert "summary.html" in panel._repr_html_()
    answers = browser.send("look")
    assert not answers["look"]["is_new"]
    assert "nothing to write" in answers["look"]["words"]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("", "", "the passphrase is missing"),
        ("short", "short", "at least 12"),
        (PASSPHRASE, "correct horse batterx", "differ"),
    ],
)
def test_an_invalid_passphrase_is_reported_and_not_shown(small, tmp_path, first, second, words):
    """If the passphrase is invalid, the panel writes nothing, and no message contains the
    passphrase.
    """
    browser = PanelClient(RequestPanel(small, tmp_path / "requests").view)
    browser.send("ready")
    answers = browser.send("write", passphrase=first, again=second)
    assert words in " ".join(answers["refused"]["lines"])
    if first:
        assert first not in json.dumps([message for message, _ in browser.responses])
    assert not (tmp_path / "requests").exists()


@pytest.mark.parametrize("weak", ["aaaaaaaaaaaa", "med01.contoso.com"])
def test_a_passphrase_that_is_easy_to_guess_is_rejected(small, tmp_path, weak):
    """A repeated pattern or a name from the plan is rejected as a passphrase, and no folder is
    created.
    """
    browser = PanelClient(RequestPanel(small, tmp_path / "requests").view)
    browser.send("ready")
    browser.send("write", passphrase=weak, again=weak)
    _until(browser, "failed")
    refused = next(message for message, _ in browser.responses if message["type"] == "refused")
    assert refused["about"] == "write"
    assert "too easy to guess" in refused["lines"][0]
    assert weak not in json.dumps([message for message, _ in browser.responses])
    assert not (tmp_path / "requests").exists()


def test_a_folder_of_another_deployment_needs_consent(small, rules, tmp_path):
    """If the folder belongs to another deployment, the preview shows both deployments, and the user
    must confirm.
    """
    folder = tmp_path / "requests"
    other = STANDARD_EDITION.replace("contoso.com", "fabrikam.com").encode()
    theirs = ln.plan_certificates(read_topology(other), rules)
    ln.write_requests(theirs, folder, passphrase=PASSPHRASE)
    before = read_manifest(folder)
    panel = RequestPanel(small, folder)
    browser = PanelClient(panel.view)
    look = browser.send("ready")["look"]
    assert look["other"] == (
        "This folder contains the requests of another deployment: fabrikam.com (1 server: "
        "se01.fabrikam.com). If you continue, lyncnb retires these requests and writes the requests for contoso.com "
        "(1 server: med01.contoso.com)."
    )
    consent = "Retire the requests for fabrikam.com and write the requests for contoso.com"
    assert look["consent"] == consent
    passphrases = {"passphrase": PASSPHRASE, "again": ""}
    refused = browser.send("write", **passphrases)["refused"]
    assert look["other"] in refused["lines"][0]
    with pytest.raises(BundleError, match="another deployment"):
        panel.start(PASSPHRASE)
    with pytest.raises(BundleError, match="another deployment"):
        panel.write_unattended()
    assert read_manifest(folder) == before
    browser.send("write", **passphrases, replaces=True)
    _until(browser, "finished")
    assert {request.state for request in read_manifest(folder).requests} == {"waiting", "retired"}
    assert browser.send("look")["look"]["other"] == ""


def test_a_request_panel_accepts_a_recovery_key(small, tmp_path):
    """A recovery key can be specified as a file. Other files are rejected.

    The run reports the recovery key.
    """
    public = create_recovery_key(tmp_path / "pair", PASSPHRASE)
    panel = RequestPanel(small, tmp_path / "requests")
    browser = PanelClient(panel.view)
    assert browser.send("ready")["recovery"] == {"type": "recovery", "fingerprints": []}
    for file in ("", str(tmp_path / "pair"), str(tmp_path / "nowhere.pub"), "/dev/zero"):
        assert "refused" in browser.send("recovery", file=file), file
    assert panel.recovery == ()
    answers = browser.send("recovery", file=f"{tmp_path / 'pair'}.pub")
    assert answers["recovery"]["fingerprints"] == [public.fingerprint]
    panel.start(PASSPHRASE)
    assert panel.wait(60).counts() == {"created": 1}
    recovery_keys = read_manifest(tmp_path / "requests").recovery
    assert [key.fingerprint for key in recovery_keys] == [public.fingerprint]


def test_the_button_is_disabled_until_something_changes(tmp_path):
    """The button is disabled if nothing has changed since the last run. An edit or another recovery
    key enables the button.
    """
    editor = PlanEditor(read_topology(STANDARD_EDITION.encode()), load_rules())
    panel = RequestPanel(editor, tmp_path / "requests")
    browser = PanelClient(panel.view)
    look = browser.send("ready")["look"]
    assert (look["ready"], look["label"]) == (True, "Write 2 requests")
    assert "The requests have not been written to the folder" in panel._repr_html_()
    browser.send("write", passphrase=PASSPHRASE, again=PASSPHRASE)
    _until(browser, "finished")
    look = browser.responses[-1][0]
    assert (look["ready"], look["label"]) == (False, "Nothing to write")
    assert look["words"] == "The folder matches the plan: 2 requests. There is nothing to write."
    # In a later session, the user creates another panel.
    second_panel = RequestPanel(editor, tmp_path / "requests")
    assert "2 requests in" in second_panel._repr_html_()
    assert "The requests have not been written to the folder" not in second_panel._repr_html_()
    create_recovery_key(tmp_path / "pair", PASSPHRASE)
    assert browser.send("recovery", file=str(tmp_path / "pair.pub"))["look"]["ready"]
    other = PanelClient(second_panel.view)
    assert not other.send("ready")["look"]["ready"]
    editor.change_options(organization="Contoso")
    look = other.send("look")["look"]
    assert (look["ready"], look["label"]) == (True, "Write 2 requests")


def test_a_wrong_passphrase_fails_in_the_panel(small, tmp_path):
    """For an existing folder, the panel asks for the passphrase once. If it is wrong, the folder
    does not change.
    """
    panel = RequestPanel(small, tmp_path / "requests")
    panel.start(PASSPHRASE)
    assert panel.wait(60).counts() == {"created": 1}
    second_panel = RequestPanel(small, tmp_path / "requests")
    browser = PanelClient(second_panel.view)
    browser.send("ready")
    browser.send("write", passphrase="another horse battery", again="")
    _until(browser, "failed")
    refused = [message for message, _ in browser.responses if message["type"] == "refused"]
    assert "passphrase" in " ".join(refused[0]["lines"])
    assert second_panel.job.result is None
    assert second_panel.bundle.counts() == {}  # The folder is unchanged.


def test_errors_prevent_a_run_until_they_are_accepted(rules, tmp_path):
    """The preview lists the codes of errors. The user must enter a reason for each error, and the
    manifest records the reasons.
    """
    text = "server_fqdn,role,sip_domains\nmed01.contoso.com,Mediation,contoso.com\n"
    text += "fe01.contoso.com,FrontEnd,contoso.com\n"
    options = ln.PlanOptions(key=KeyParameters(algorithm="ECDSA", bits=256))
    plan = ln.plan_certificates(ln.read_topology(text.encode()), rules, options=options)
    panel = RequestPanel(plan, tmp_path / "requests")
    browser = PanelClient(panel.view)
    answers = browser.send("ready")
    codes = answers["findings"]["open"]
    assert codes
    assert not answers["look"]["ready"]
    assert codes[0] in answers["look"]["words"]
    with pytest.raises(PlanRejected):
        panel.look()
    for code in codes:
        answers = browser.send("option", name="accepted", key=code, value="settled by phone")
    assert answers["look"]["ready"]
    panel.start(PASSPHRASE)
    accepted = panel.wait(60).manifest.accepted
    assert {item.code: item.reason for item in accepted} == dict.fromkeys(codes, "settled by phone")
    with pytest.raises(PlanRejected, match="no finding"):
        panel.accept("no-such-code", "x")


def test_cancel_keeps_finished_requests(rules, tmp_path):
    """If the user cancels a run, the folder contains only complete pairs of key and CSR. Another
    run creates the others.
    """
    rows = "".join(f"m{n}.contoso.com,Mediation,contoso.com\n" for n in range(60))
    topology = ln.read_topology(f"server_fqdn,role,sip_domains\n{rows}".encode())
    panel = RequestPanel(ln.plan_certificates(topology, rules), tmp_path / "requests", workers=1)
    browser = PanelClient(panel.view)
    browser.send("ready")
    browser.send("write", passphrase=PASSPHRASE, again=PASSPHRASE)
    end = time.monotonic() + 60
    while panel.job.state.progress.done < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert browser.send("write", passphrase=PASSPHRASE, again=PASSPHRASE)["refused"]["lines"] == [
        "Not done: another operation is in progress",
        "What to do: wait until the operation has finished, or cancel it",
    ]
    browser.send("cancel")
    job = _until(browser, "cancelled")
    assert 3 <= job["done"] < 60
    assert panel.bundle.cancelled
    keys = len(list((tmp_path / "requests" / "keys").glob("*.key")))
    assert keys == len(list((tmp_path / "requests" / "csr").glob("*.csr"))) >= 3
    panel.start(PASSPHRASE)
    assert len(panel.wait(120).requests) == 60
    assert not panel.bundle.cancelled
    assert len(list((tmp_path / "requests" / "csr").glob("*.csr"))) == 60


def test_different_passphrases_prevent_the_run(small, tmp_path):
    """If the two passphrases differ, the panel shows an error and does not start the run."""
    panel = RequestPanel(small, tmp_path / "requests")
    with pytest.raises(PassphraseError, match="differ"):
        panel.start(PASSPHRASE, PASSPHRASE + "x")
    assert panel.job.state.name == "ready"


def test_a_request_panel_requires_an_editor_or_a_plan(tmp_path):
    """If a request panel is created with wrong arguments, the error message contains the correct
    call.
    """
    topology = read_topology(STANDARD_EDITION.encode())
    with pytest.raises(LyncnbError, match="not a Topology") as caught:
        RequestPanel(topology, tmp_path)
    assert "ln.RequestPanel(editor, request_folder)" in caught.value.hint
    with pytest.raises(LyncnbError, match="must be a path"):
        RequestPanel(PlanEditor(topology, load_rules()), topology)


def test_requests_on_servers_are_written_as_scripts(rules, tmp_path):
    """If the keys are created on the servers, the panel writes a folder with a script for each
    request, and no keys.
    """
    planned = plan(front_end(1), edge(1), row("rp01.contoso.com", "ReverseProxy"))
    panel = RequestPanel(planned, tmp_path / "requests")
    browser = PanelClient(panel.view)
    browser.send("ready")
    answers = browser.send("scripts", computer=" tools01.contoso.com ", template="LyncWeb")
    with_type = {item.id for item in planned.certificates if item.usages}
    scripts = {path.stem for path in (tmp_path / "requests" / "steps").glob("*.ps1")}
    assert scripts == with_type
    assert f"now contains {len(with_type)} scripts, and " in answers["scripts"]["words"]
    (note,) = answers["scripts"]["notes"]
    assert note.startswith("ReverseProxy-")
    assert not list((tmp_path / "requests" / "keys").iterdir())
    holders = {r.key_holder for r in open_requests(tmp_path / "requests").requests if r.plan.usages}
    assert holders == {"tools01.contoso.com"}
    assert answers["look"]["ready"]


def test_a_wrong_template_writes_nothing(small, tmp_path):
    """If the name of a template is not valid in a command line, the panel shows an error next to
    the button, and writes nothing.
    """
    browser = PanelClient(RequestPanel(small, tmp_path / "requests").view)
    browser.send("ready")
    answers = browser.send("scripts", computer="", template="a'; Remove-Item")
    assert answers["refused"]["about"] == "scripts"
    assert not (tmp_path / "requests").exists()


def test_a_late_or_repeated_passphrase_starts_no_run(small, tmp_path):
    """If the message with the passphrase arrives late or twice, after a lost connection, the panel
    writes nothing.
    """
    browser = PanelClient(RequestPanel(small, tmp_path / "requests").view)
    browser.send("ready")
    passphrases = {"passphrase": PASSPHRASE, "again": PASSPHRASE}
    number = browser.send("number")["number"]["number"]
    for other in (None, number - 1, number + 1):
        browser.send("number")
        assert (
            "too late" in browser.send("write", **passphrases, number=other)["refused"]["lines"][0]
        )
    browser.panel.channel.number_valid = 0
    number = browser.send("number")["number"]["number"]
    assert "too late" in browser.send("write", **passphrases, number=number)["refused"]["lines"][0]
    assert not (tmp_path / "requests").exists()


RUN_ALL = (
    """import gc, ipywidgets, lyncnb as ln
topology = ln.read_topology("small.csv")
editor = ln.PlanEditor(topology)
server, role = ipywidgets.Dropdown(), ipywidgets.Dropdown()
editor.link_role(server, role)
display(ipywidgets.HBox([server, role]), editor)""",
    """panel = ln.RequestPanel(editor, "requests")
panel""",
)
COUNT = """gc.collect()
widgets = ipywidgets.widgets.widget._instances.values()
print(sum(isinstance(it, ln.PlanEditor) for it in gc.get_objects()),
      sum(type(it).__module__.startswith("lyncnb") for it in widgets), len(editor._followers))"""


@pytest.mark.kernel
def test_repeated_runs_close_earlier_panels(tmp_path):
    """If a cell runs again, lyncnb closes the panels of its earlier run. This frees the memory of
    their tables.
    """
    (tmp_path / "small.csv").write_text(FIVE_SERVERS)
    manager, client = start_new_kernel(cwd=str(tmp_path))

    def run(code: str, cell: str) -> str:
        content = {"code": code, "silent": False, "allow_stdin": True, "stop_on_error": True}
        message = client.session.msg("execute_request", content, metadata={"cellId": cell})
        client.shell_channel.send(message)
        printed = ""
        while True:
            answer = client.get_iopub_msg(timeout=60)
            if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            assert answer["msg_type"] != "error", answer["content"]
            printed += answer["content"].get("text", "") if answer["msg_type"] == "stream" else ""
            if answer["content"].get("execution_state") == "idle":
                return printed

    try:
        counts = set()
        for number in range(20):
            for cell, code in enumerate(RUN_ALL):
                run(code, f"cell{cell}")
            if number > 3:  # Skip the first runs: IPython keeps three results.
                counts.add(run(COUNT, "count"))
        assert len(counts) == 1, counts
        editors, widgets, followers = map(int, counts.pop().split())
        assert editors <= 3
        assert (widgets, followers) == (2, 4)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
