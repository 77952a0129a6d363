"""The history of a certificate comes from the entries of the folder's record."""

from __future__ import annotations

import getpass
import json
import platform
from datetime import timedelta

import pytest
from folders import (
    PASSPHRASE,
    TODAY,
    assert_only_owner_has_access,
    certify,
    plan_of_servers,
    read_entries,
    snapshot,
    write,
)

import lyncnb as ln
from lyncnb.errors import BundleError
from lyncnb.request_folder.history import list_history
from lyncnb.request_folder.manifest import read_folder, read_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")

LATER = TODAY + timedelta(days=30)


@pytest.fixture
def folder(tmp_path):
    """Return a request folder with three requests."""
    return write(plan_of_servers(3), tmp_path / "requests", workers=1).folder


def events(folder, kind):
    """Return the events of a given type in the history of a folder, in order."""
    lines = list_history(read_folder(folder).record.entries)
    return [event for line in lines for event in line.events if event.what == kind]


def names_of(folder):
    return [record.id for record in read_manifest(folder).requests]


def test_a_run_that_changes_something_adds_an_entry(folder):
    """Each run that changes something adds one entry with the run's time, user, computer, command
    and reason.
    """
    names = names_of(folder)
    certify(folder, *names)
    ln.write_pfx(ln.match_certificates(ln.open_requests(folder), today=TODAY),
                 passphrase=PASSPHRASE, today=TODAY)  # fmt: skip
    ln.deployed(folder, *names_of(folder), today=TODAY)
    write(plan_of_servers(3), folder, renew=[names[0]], reason="lost laptop", today=LATER)
    entries = read_entries(folder)
    commands = [entry["command"] for entry in entries]
    assert commands == ["request", "receive", "pfx", "steps", "deployed", "request"]
    assert [entry["number"] for entry in entries] == [*range(1, len(entries) + 1)]
    assert {(entry["user"], entry["host"]) for entry in entries} == {
        (getpass.getuser(), platform.node())
    }
    assert (entries[-1]["reason"], entries[-1]["at"]) == ("lost laptop", "2026-12-24T00:00:00Z")
    assert [event.id for event in events(folder, "requested")] == [*sorted(names), names[0]]
    record = read_manifest(folder).by_id[names[0]]
    assert events(folder, "issued")[0].serial == record.archived[0].issued.serial
    assert [event.server for event in events(folder, "deployed")]
    (old,) = events(folder, "superseded")
    assert (old.generation, old.note) == (1, 'reason: "lost laptop"')
    for path in (folder / "record").iterdir():
        assert_only_owner_has_access(path)


def test_a_run_without_changes_adds_no_entry(folder):
    """A run that changes nothing, or only reads the folder, does not change the record."""
    before = snapshot(folder, but_lock=True)
    write(plan_of_servers(3), folder)
    ln.folder_status(folder, today=TODAY)
    with pytest.raises(BundleError):
        ln.deployed(folder, names_of(folder)[0], today=TODAY)
    assert snapshot(folder, but_lock=True) == before


def test_an_interrupted_first_run_is_completed(tmp_path):
    """If the first run is interrupted, its requests are announced, and the next run makes them."""
    folder = tmp_path / "requests"

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(plan_of_servers(3), folder, workers=1, progress=interrupt)
    assert [record.is_written for record in read_manifest(folder).requests] == [False] * 3
    write(plan_of_servers(3), folder, workers=1)
    assert len(events(folder, "requested")) == 3


def test_the_record_has_events_that_change_no_state(folder, tmp_path):
    """The record also contains a handover to a CA, and a change of the passphrase."""
    ln.hand_over(folder, tmp_path / "out.zip")
    assert sorted(event.id for event in events(folder, "handed over")) == sorted(names_of(folder))
    assert "out.zip" in events(folder, "handed over")[0].note
    ln.rekey(folder, PASSPHRASE, "another horse battery staple")
    assert "re-encrypted files: " in events(folder, "passphrase changed")[0].note


def test_special_characters_in_the_user_name(folder, monkeypatch):
    """If the user name in the environment contains special characters, the entry is readable."""
    monkeypatch.setenv("LOGNAME", "a\nb\udcff\u202e")
    certify(folder, *names_of(folder))
    assert read_entries(folder)[-1]["user"] == "a?b??"
    assert ln.folder_status(folder, today=TODAY).problems == ()


def test_a_retired_request_is_an_event(folder):
    """The history contains the date on which a request was retired."""
    write(plan_of_servers(2), folder, today=LATER)
    (event,) = events(folder, "retired")
    assert (event.id, event.on) == (names_of(folder)[-1], "2026-12-24")
    assert read_manifest(folder).by_id[event.id].state == "retired"


def test_an_undone_deployment_can_be_recorded_again(folder):
    """If a deployment is undone and recorded again, the history has three events."""
    names = names_of(folder)
    certify(folder, *names)
    ln.deployed(folder, names[0], today=TODAY)
    ln.deployed(folder, names[0], undo=True, today=TODAY)
    ln.deployed(folder, names[0], today=TODAY)
    kinds = [json.loads(json.dumps(entry))["command"] for entry in read_entries(folder)]
    assert kinds[-3:] == ["deployed", "deployed --undo", "deployed"]
    assert len(events(folder, "deployed")) == 2
    assert len(events(folder, "undone")) == 1
    assert read_manifest(folder).by_id[names[0]].deployments
