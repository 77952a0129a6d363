"""The history of a request folder contains one line for each run that has changed something.

Hashes chain the lines.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from folders import (
    PASSPHRASE,
    TODAY,
    assert_only_owner_has_access,
    certify,
    plan_of_servers,
    snapshot,
    write,
)

import lyncnb as ln
from lyncnb.errors import BundleError
from lyncnb.request_folder.history import read_history, record_changes
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")

LATER = TODAY + timedelta(days=30)


@pytest.fixture
def folder(tmp_path):
    """Return a request folder with three requests."""
    return write(plan_of_servers(3), tmp_path / "requests", workers=1).folder


def lines(folder):
    """Return the lines of the history as JSON objects."""
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def events(folder, kind):
    """Return the events of a given type in the history of a folder, in order."""
    all_events = [event for line in read_history(folder).lines for event in line.list_events()]
    return [event for event in all_events if event.what == kind]


def names_of(folder):
    return [record.id for record in read_manifest(folder).requests]


def test_a_run_that_changes_something_adds_one_line(folder):
    """Each run that changes something adds one line to the history. The line contains the run's
    time, user, computer, command and reason, and the state of each generation.
    """
    names = names_of(folder)
    certify(folder, *names)
    ln.write_pfx(ln.match_certificates(ln.open_requests(folder), today=TODAY),
                 passphrase=PASSPHRASE, today=TODAY)  # fmt: skip
    ln.deployed(folder, *names_of(folder), today=TODAY)
    write(plan_of_servers(3), folder, renew=[names[0]], reason="lost laptop", today=LATER)
    entries = lines(folder)
    assert [entry["command"] for entry in entries] == [
        "request",
        "receive",
        "pfx",
        "deployed",
        "request",
    ]
    assert {(entry["user"], entry["host"]) for entry in entries} == {
        (getpass.getuser(), platform.node())
    }
    assert (entries[-1]["reason"], entries[-1]["at"]) == ("lost laptop", "2026-12-24T00:00:00Z")
    assert [event.id for event in events(folder, "requested")] == [*names, names[0]]
    record = read_manifest(folder).by_id[names[0]]
    assert events(folder, "issued")[0].serial == record.archived[0].issued.serial
    assert [event.server for event in events(folder, "deployed")]
    (old,) = events(folder, "superseded")
    assert (old.generation, old.note) == (1, 'reason: "lost laptop"')
    assert_only_owner_has_access(folder / "history.jsonl")


def test_each_line_has_the_hash_of_the_line_before(folder):
    """Each line contains the hash of the previous line, so that an edited or removed line is
    detected.

    Later runs still add lines.
    """
    certify(folder, *names_of(folder))
    path = folder / "history.jsonl"
    first, second = path.read_bytes().splitlines()
    assert json.loads(second)["before"] == hashlib.sha256(first).hexdigest()
    assert read_history(folder).notes == ()
    user = getpass.getuser().encode()
    path.write_bytes(
        first.replace(b'"user": "' + user, b'"user": "Mallory') + b"\n" + second + b"\n"
    )
    (note,) = read_history(folder).notes
    assert "line 2 does not match the previous line" in note
    assert note in ln.folder_status(folder, today=TODAY).notes
    ln.deployed(folder, *names_of(folder), today=TODAY)
    assert len(lines(folder)) == 3


def test_a_run_without_changes_adds_no_line(folder):
    """A run that changes nothing, or only reads the folder, does not change the history."""
    before = snapshot(folder, but_lock=True)
    write(plan_of_servers(3), folder)
    ln.folder_status(folder, today=TODAY)
    with pytest.raises(BundleError):
        ln.deployed(folder, names_of(folder)[0], today=TODAY)
    assert snapshot(folder, but_lock=True) == before


def test_missing_lines_are_added_by_the_next_run(folder):
    """If the last lines of the history are missing after an interrupted run or an incomplete copy,
    the next run adds them.
    """
    names = names_of(folder)
    certify(folder, *names)
    path = folder / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    status = ln.folder_status(folder, today=TODAY)
    assert not status.problems
    assert any("the last line is incomplete" in note for note in status.notes)
    assert any("is older than the manifest: 3 events" in note for note in status.notes)
    ln.deployed(folder, *names_of(folder), today=TODAY)
    assert [entry["command"] for entry in lines(folder)] == [
        "request",
        "recorded later",
        "deployed",
    ]
    assert len(events(folder, "issued")) == 3
    assert read_history(folder).notes == ()


def test_a_missing_history_is_reported_and_started_again(folder):
    """If the history file is missing, lyncnb reports that the file is missing, and the next run
    starts a new history.

    The next run that changes something records the facts in the manifest again, and marks them as
    recorded later.
    """
    (folder / "history.jsonl").unlink()
    (note,) = ln.folder_status(folder, today=TODAY).notes
    assert note.startswith("history.jsonl is missing")
    certify(folder, *names_of(folder))
    assert [entry["command"] for entry in lines(folder)] == ["recorded later", "receive"]
    assert len(events(folder, "requested")) == 3


def test_an_interrupted_first_run_has_no_history_to_restore(tmp_path):
    """If the first run is interrupted, the folder has no history yet, so lyncnb does not ask for a
    backup of it.
    """
    folder = tmp_path / "requests"

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(plan_of_servers(3), folder, workers=1, progress=interrupt)
    assert not (folder / "history.jsonl").exists()
    notes = ln.folder_status(folder, today=TODAY).notes
    assert [note for note in notes if "history.jsonl" in note] == []
    write(plan_of_servers(3), folder, workers=1)
    assert len(events(folder, "requested")) == 3


def test_a_rebuild_restores_installations_and_revocations(folder):
    """If the manifest is lost, a rebuild reads the installations and revocations from the history."""
    first, second, third = names_of(folder)
    certify(folder, first, second, third)
    ln.deployed(folder, *names_of(folder), today=TODAY)
    ln.renew(folder, first, passphrase=PASSPHRASE, reason="47 days", today=LATER)
    ln.renew(folder, second, passphrase=PASSPHRASE, reason="stolen", compromised=True, today=LATER)
    ln.deployed(folder, second, revoked=True, today=LATER)
    before = read_manifest(folder)
    (folder / "manifest.json").unlink()
    bundle = rebuild_manifest(folder, PASSPHRASE, today=LATER)
    assert "history.jsonl provides 3 deployments and 1 revocation" in bundle.notes
    for record in before.requests:
        rebuilt = bundle.manifest.by_id[record.id]
        for old, new in zip(record.generations, rebuilt.generations, strict=True):
            assert (new.deployments, new.revocation) == (old.deployments, old.revocation)
    assert [generation.reasons for generation in bundle.manifest.by_id[first].archived] == [
        ('reason: "47 days"',)
    ]
    (note,) = [
        candidate
        for candidate in ln.folder_status(folder, today=LATER).notes
        if "no longer" in candidate
    ]
    assert note.startswith("1 received certificate is no longer on record (serial number")
    assert third in note
    damaged = (folder / "history.jsonl").read_text("utf-8").replace(TODAY.isoformat(), "someday")
    (folder / "history.jsonl").write_text(damaged, "utf-8")
    (folder / "manifest.json").unlink()
    assert not rebuild_manifest(folder, PASSPHRASE, today=LATER).manifest.by_id[third].deployments


def test_a_rebuild_restores_the_last_of_several_revocations(folder):
    """If the history of an earlier version contains two revocations of a key, the last time counts.

    The events of earlier versions do not name the certificate.
    """
    name = names_of(folder)[0]
    certify(folder, name)
    ln.renew(folder, name, passphrase=PASSPHRASE, reason="stolen", compromised=True, today=TODAY)
    times = [f"{day.isoformat()}T00:00:00Z" for day in (TODAY, LATER)]
    for at in times:
        record = read_manifest(folder).by_id[name]
        (part,) = record.archived
        revocation = replace(part.revocation, revoked_at=at)
        with record_changes(folder, "deployed", now=at, wait_seconds=1):
            changed = record.with_generation(part.generation, revocation=revocation)
            save_manifest(folder, read_manifest(folder).with_records([changed]))
    (folder / "manifest.json").unlink()
    (part,) = rebuild_manifest(folder, PASSPHRASE, today=LATER).manifest.by_id[name].archived
    assert part.revocation == revocation


def test_a_generation_missing_from_the_manifest_is_reported(folder, tmp_path):
    """If an older manifest lacks a generation that the history contains, lyncnb reports an error
    and generates no keys.
    """
    name = names_of(folder)[0]
    older = shutil.copytree(folder, tmp_path / "older")
    write(plan_of_servers(3), folder, renew=[name], reason="renewed", today=LATER)
    certify(folder, name, today=LATER)
    issued = read_manifest(folder).by_id[name].issued
    shutil.copyfile(folder / "history.jsonl", older / "history.jsonl")
    status = ln.folder_status(older, today=LATER)
    problem = status.problems[-1]
    assert f"{name}: generation 2, requested on 2026-12-24" in problem.message
    assert f"certificate {issued.serial}, valid until {issued.not_after[:10]}" in problem.message
    assert status.exit_status == 3
    before = snapshot(older, but_lock=True)
    with pytest.raises(BundleError, match="generation 2, requested on 2026-12-24"):
        write(plan_of_servers(4), older, today=LATER)
    assert snapshot(older, but_lock=True) == before
    assert not ln.folder_status(folder, today=LATER).problems


def test_a_rebuild_records_missing_generations_as_lost(folder, tmp_path):
    """If the history contains generations whose files are missing, a rebuild records them as lost,
    and the folder can be used again.
    """
    name = names_of(folder)[0]
    older = shutil.copytree(folder, tmp_path / "older")
    write(plan_of_servers(3), folder, renew=[name], reason="renewed", today=LATER)
    shutil.copyfile(folder / "history.jsonl", older / "history.jsonl")
    assert ln.folder_status(older, today=LATER).exit_status == 3
    ln.rebuild_manifest(older, PASSPHRASE, today=LATER)
    (lost,) = events(older, "given up as lost")
    assert (lost.id, lost.generation) == (name, 2)
    assert not ln.folder_status(older, today=LATER).problems
    write(plan_of_servers(4), older, today=LATER)
    assert [entry["command"] for entry in lines(older)][-2:] == ["status --rebuild", "request"]


def test_a_renewal_replaces_keys_of_two_copies(folder, tmp_path):
    """If two copies of a folder have different keys for the same generation, a renewal replaces
    both keys.
    """
    name = names_of(folder)[0]
    other = shutil.copytree(folder, tmp_path / "other")
    for copy in (folder, other):
        write(plan_of_servers(3), copy, renew=[name], reason="renewed", today=LATER)
    shutil.copyfile(folder / "history.jsonl", other / "history.jsonl")
    message = f"{name}: generation 2 has a different public key in history.jsonl"
    (problem,) = ln.folder_status(other, today=LATER).problems
    assert (problem.message, problem.file) == (message, "manifest.json")
    with pytest.raises(BundleError, match=message):
        write(plan_of_servers(4), other, today=LATER)
    with pytest.raises(BundleError, match=message):
        write(plan_of_servers(3), other, renew=names_of(other)[1:], reason="others", today=LATER)
    write(plan_of_servers(3), other, renew=[name], reason="once more", today=LATER)
    (lost,) = events(other, "given up as lost")
    assert (lost.id, lost.generation) == (name, 2)
    assert not ln.folder_status(other, today=LATER).problems


def test_a_certificate_missing_from_the_manifest_causes_a_notice(folder):
    """If the history contains a certificate that is missing from the manifest, lyncnb shows only a
    notice, because the user can import the certificate again.
    """
    names = names_of(folder)
    before = read_manifest(folder)
    certify(folder, *names)
    serial = read_manifest(folder).by_id[names[0]].issued.serial
    save_manifest(folder, before)
    notes = ln.folder_status(folder, today=TODAY).notes
    (note,) = [
        candidate
        for candidate in notes
        if names[0] in candidate and "no longer on record" in candidate
    ]
    assert serial in note


def test_the_history_has_events_outside_the_manifest(folder, tmp_path):
    """The history also records events that the manifest does not contain, such as a handover to a
    CA and a change of the passphrase.
    """
    ln.hand_over(folder, tmp_path / "out.zip")
    assert [event.id for event in events(folder, "handed over")] == names_of(folder)
    assert "out.zip" in events(folder, "handed over")[0].note
    ln.rekey(folder, PASSPHRASE, "another horse battery staple")
    assert "re-encrypted files: " in lines(folder)[-1]["did"][0]


def test_damaged_lines_are_reported(folder):
    """If lines of the history are damaged, lyncnb reads the other lines, and a note describes each
    damaged line.
    """
    path = folder / "history.jsonl"
    good = path.read_bytes()
    path.write_bytes(b"x\n" + b'{"at": "now", "user": "a", "host": "b", "command": "c"}\n' + good)
    history = read_history(folder)
    assert len(history.lines) == 1
    assert "line 1 is damaged: the content is not valid JSON" in history.notes[0]
    assert "line 2 is damaged: 'at' must be a time" in history.notes[1]


def test_special_characters_in_the_user_name(folder, monkeypatch):
    """If the user name in the environment contains special characters, the line of the history is
    still readable.
    """
    monkeypatch.setenv("LOGNAME", "a\nb\udcff\u202e")
    certify(folder, *names_of(folder))
    assert lines(folder)[-1]["user"] == "a?b??"
    assert read_history(folder).notes == ()


def test_a_retired_request_and_a_revocation_are_events(folder):
    """The history contains the dates on which a request was retired and a certificate was revoked."""
    write(plan_of_servers(2), folder, today=LATER)
    (event,) = events(folder, "retired")
    assert (event.id, event.on) == (names_of(folder)[-1], "2026-12-24")
    assert replace(read_manifest(folder)).by_id[event.id].state == "retired"


def test_the_next_run_writes_a_missing_history(folder):
    """If a run stopped after it wrote the manifest but before it wrote the history, the next run
    writes the history.
    """
    path, before = folder / "history.jsonl", snapshot(folder, but_lock=True)
    path.unlink()
    assert set(write(plan_of_servers(3), folder).counts()) == {"kept"}
    assert [entry["command"] for entry in lines(folder)] == ["recorded later"]
    assert len(events(folder, "requested")) == 3
    assert ln.folder_status(folder, today=TODAY).notes == ()
    after = snapshot(folder, but_lock=True)
    assert after.keys() == before.keys()
    write(plan_of_servers(3), folder)
    assert snapshot(folder, but_lock=True) == after
