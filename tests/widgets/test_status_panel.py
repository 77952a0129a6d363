"""The status panel by its messages, without a browser: a thin face on the functions."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from folders import PASSPHRASE, TODAY, Answered, answered_by_openssl
from panel_kit import Talk
from topologies import STANDARD_EDITION

from lyncnb.authorities.status import folder_status
from lyncnb.errors import BundleError, LyncnbError
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology
from lyncnb.widgets.editor import PlanEditor
from lyncnb.widgets.status_panel import FolderWork, StatusPanel


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> Answered:
    return answered_by_openssl(STANDARD_EDITION.encode(), tmp_path_factory.mktemp("answered"))


@pytest.fixture
def folder(answered, tmp_path) -> Path:
    return answered.copy(tmp_path).folder


@pytest.fixture
def talk(folder) -> Talk:
    talk = Talk(StatusPanel(folder, today=TODAY).view)
    talk.say("ready")
    return talk


def finish(talk: Talk) -> dict[str, dict]:
    """Wait for the end of a step; give the last answer of each type."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        told = {message["type"]: message for message, _ in talk.heard}
        if "status" in told and not told.get("job", {"busy": True})["busy"]:
            return told
        time.sleep(0.02)
    raise AssertionError(talk.heard)


def test_it_shows_every_request_with_its_state(talk, folder):
    """Rows, counts by state, and what to do next."""
    rows = talk.rows()
    assert [row["state"] for row in rows.values()] == ["issued", "issued"]
    assert rows[0]["servers"] == "se01.contoso.com"
    told = talk.say("look")
    assert told["status"]["counts"] == {"issued": 2}
    assert told["status"]["next"] == "Certificates are back: make the packages."


def test_a_folder_that_is_none_is_refused(tmp_path):
    """The error comes when the panel is made, not when it is looked at."""
    with pytest.raises(BundleError):
        StatusPanel(tmp_path / "nowhere")


def test_packages_passwords_and_steps(talk, folder):
    """Passphrase to packages, one password at a time by message, then the steps."""
    talk.say("package", passphrase=PASSPHRASE, target_os="")
    told = finish(talk)
    assert told["result"]["words"].startswith("Packages: 2 written, 0 kept, 0 refused")
    assert told["status"]["counts"] == {"packaged": 2}
    request = told["status"]["packaged"][0]
    assert len(list((folder / "pfx").glob("*.pfx"))) == 2

    ask = {"id": request, "passphrase": PASSPHRASE}
    answer = talk.say("password", **ask)["password"]
    assert answer["file"].startswith("pfx/")
    password = next(buffers[0].decode() for message, buffers in talk.heard if message is answer)
    assert len(password) >= 22
    assert password.isalnum()
    state = json.dumps(talk.panel.get_state(), default=str)
    assert password not in state + talk.panel.channel.work._repr_html_() + json.dumps(answer)

    refused = talk.say("password", **ask | {"passphrase": "another horse battery"})["refused"]
    assert "passphrase" in " ".join(refused["lines"])
    talk.say("steps", effective="")
    told = finish(talk)
    assert (folder / "steps").is_dir()
    assert "steps" in told["result"]["words"].lower()
    assert "tomorrow" in talk.say("steps", effective="tomorrow")["refused"]["lines"][0]


def test_received_files_are_matched_and_findings_listed(talk, folder, tmp_path):
    """A file that answers nothing is told with what to do; the folder's own files do as well."""
    talk.say("receive", paths=str(folder / "returned"))
    assert finish(talk)["result"]["words"].startswith("2 certificates matched")
    (tmp_path / "stray.cer").write_text("no certificate")
    talk.say("receive", paths=str(tmp_path / "stray.cer"))
    result = finish(talk)["result"]
    assert any("stray.cer" in " ".join(row) for row in result["rows"])
    talk.say("receive", paths=str(tmp_path / "missing.cer"))
    told = finish(talk)
    assert "missing.cer" in " ".join(told["refused"]["lines"])


def test_hand_over_says_when_nothing_waits(talk, tmp_path):
    """All requests are answered, so there is nothing for a CA."""
    talk.say("handover", out=str(tmp_path / "out.zip"), issuer="", requests=[])
    assert "waits" in " ".join(finish(talk)["refused"]["lines"])
    assert talk.say("handover", out=" ", issuer="", requests=[])["refused"]["lines"] == [
        "Not done: the package has no name",
        "What to do: write one that ends in .zip",
    ]


def test_the_static_form_is_the_table(folder):
    """Without a kernel a reader sees requests and states."""
    data, _ = StatusPanel(folder, today=TODAY)._repr_mimebundle_()
    assert "se01.contoso.com" in data["text/html"].replace("<wbr>", "")
    assert "issued" in data["text/html"]


def test_after_a_refusal_the_ca_is_asked_again(folder, monkeypatch):
    """With a refused certificate the next step is a better one, not the packages."""
    status = folder_status(folder, today=TODAY)
    why = "1.cer was refused: san-missing: lyncdiscover.contoso.com is missing"
    wrong = replace(status.requests[0], refused=why)
    monkeypatch.setattr(
        FolderWork, "status", replace(status, requests=(wrong, *status.requests[1:]))
    )
    talk = Talk(StatusPanel(folder, today=TODAY).view)
    told = talk.say("ready")["status"]
    assert told["next"] == f"Ask the CA for another certificate of {wrong.id}: {why}."
    assert talk.rows()[0]["refused"] == why


def test_with_an_editor_it_says_that_the_plan_is_another(folder):
    """The panel follows the editor: what writing would change is said, and gone after an undo."""
    editor = PlanEditor(read_topology(STANDARD_EDITION.encode()), load_rules())
    talk = Talk(StatusPanel(editor, folder, today=TODAY).view)
    assert talk.say("ready")["status"]["behind"] == ""
    talk.heard.clear()
    editor.change_options(key="RSA 3072")
    assert talk.types() == ["changed"]
    behind = talk.say("look")["status"]["behind"]
    assert behind.startswith("The editor has another plan than this folder.")
    assert "2 " in behind
    editor.undo()
    assert talk.say("look")["status"]["behind"] == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("requests", "requests"), "takes a folder, or an editor and a folder"),
        ((5,), "no path"),
        (("",), "no path"),
    ],
)
def test_a_wrong_thing_is_told_when_the_panel_is_made(arguments, words):
    """What is neither a folder nor an editor is named, with what to write."""
    with pytest.raises(LyncnbError, match=words):
        StatusPanel(*arguments)
