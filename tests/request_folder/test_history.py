"""The history of a request folder has one line for each run that changed something.

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
from folders import PASSPHRASE, TODAY, assert_closed, certify, numbered, snapshot, write

import lyncnb as ln
from lyncnb.errors import BundleError
from lyncnb.request_folder.history import read_history
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")

LATER = TODAY + timedelta(days=30)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of three requests."""
    return write(numbered(3), tmp_path / "requests", workers=1).folder


def lines(folder):
    """Return the lines of the history as plain JSON."""
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def events(folder, what):
    """Return the events of one kind in a folder's history, in order."""
    found = [event for line in read_history(folder).lines for event in line.events()]
    return [event for event in found if event.what == what]


def names_of(folder):
    return [one.id for one in read_manifest(folder).requests]


def test_a_run_that_changes_something_adds_one_line(folder):
    """A line records the time, user, computer, command and reason of a run, and the state of each
    generation.
    """
    names = names_of(folder)
    certify(folder, *names)
    ln.write_pfx(ln.match_certificates(ln.open_requests(folder), today=TODAY),
                 passphrase=PASSPHRASE, today=TODAY)  # fmt: skip
    ln.deployed(folder, today=TODAY)
    write(numbered(3), folder, renew=[names[0]], reason="lost laptop", today=LATER)
    found = lines(folder)
    assert [one["command"] for one in found] == ["request", "receive", "pfx", "deployed", "request"]
    assert {(one["user"], one["host"]) for one in found} == {(getpass.getuser(), platform.node())}
    assert (found[-1]["reason"], found[-1]["at"]) == ("lost laptop", "2026-12-24T00:00:00Z")
    assert [event.id for event in events(folder, "requested")] == [*names, names[0]]
    record = read_manifest(folder).by_id[names[0]]
    assert events(folder, "issued")[0].serial == record.archived[0].issued.serial
    assert [event.server for event in events(folder, "deployed")]
    (old,) = events(folder, "superseded")
    assert (old.generation, old.note) == (1, "renewed: lost laptop")
    assert_closed(folder / "history.jsonl")


def test_each_line_has_the_hash_of_the_line_before(folder):
    """Each line holds the hash of the previous line, so an edited or removed line is detected.

    Later runs continue.
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
    ln.deployed(folder, today=TODAY)
    assert len(lines(folder)) == 3


def test_the_same_again_adds_nothing(folder):
    """A run that changes nothing, or only reads, does not change the history file."""
    before = snapshot(folder, but_lock=True)
    write(numbered(3), folder)
    ln.folder_status(folder, today=TODAY)
    with pytest.raises(BundleError):
        ln.deployed(folder, names_of(folder)[0], today=TODAY)
    assert snapshot(folder, but_lock=True) == before


def test_a_line_that_was_cut_off_is_completed_by_the_next_run(folder):
    """The next run adds the entries that are missing after an interrupted run or an incomplete
    copy.
    """
    names = names_of(folder)
    certify(folder, *names)
    path = folder / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    status = ln.folder_status(folder, today=TODAY)
    assert not status.problems
    assert any("the last line is incomplete" in one for one in status.notes)
    assert any("is older than the manifest: 3 events" in one for one in status.notes)
    ln.deployed(folder, today=TODAY)
    assert [one["command"] for one in lines(folder)] == ["request", "recorded later", "deployed"]
    assert len(events(folder, "issued")) == 3
    assert read_history(folder).notes == ()


def test_a_history_that_was_removed_is_missed_and_begins_again(folder):
    """A missing history file is reported, and the next run starts a new one.

    The next run that changes something records the manifest's facts again, marked as recorded
    later.
    """
    (folder / "history.jsonl").unlink()
    (note,) = ln.folder_status(folder, today=TODAY).notes
    assert note.startswith("history.jsonl is missing")
    certify(folder, *names_of(folder))
    assert [one["command"] for one in lines(folder)] == ["recorded later", "receive"]
    assert len(events(folder, "requested")) == 3


def test_a_rebuilt_manifest_knows_servers_and_revocations(folder):
    """A rebuild restores from the history what only the lost manifest recorded: servers and
    revocations.
    """
    first, second, third = names_of(folder)
    certify(folder, first, second, third)
    ln.deployed(folder, today=TODAY)
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
    assert [one.reasons for one in bundle.manifest.by_id[first].archived] == [("renewed: 47 days",)]
    (note,) = [one for one in ln.folder_status(folder, today=LATER).notes if "no longer" in one]
    assert note.startswith("3 received certificates are no longer on record")
    damaged = (folder / "history.jsonl").read_text("utf-8").replace(TODAY.isoformat(), "someday")
    (folder / "history.jsonl").write_text(damaged, "utf-8")
    (folder / "manifest.json").unlink()
    assert not rebuild_manifest(folder, PASSPHRASE, today=LATER).manifest.by_id[third].deployments


def test_a_generation_that_the_manifest_lost_is_named(folder, tmp_path):
    """If an older manifest lacks a generation that the history has, an error names it, and no keys
    are generated.
    """
    name = names_of(folder)[0]
    older = shutil.copytree(folder, tmp_path / "older")
    write(numbered(3), folder, renew=[name], reason="renewed", today=LATER)
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
        write(numbered(4), older, today=LATER)
    assert snapshot(older, but_lock=True) == before
    assert not ln.folder_status(folder, today=LATER).problems


def test_a_rebuild_gives_up_what_is_not_here(folder, tmp_path):
    """If two copies of a folder were merged, a rebuild records missing generations as lost, and
    work can continue.
    """
    name = names_of(folder)[0]
    older = shutil.copytree(folder, tmp_path / "older")
    write(numbered(3), folder, renew=[name], reason="renewed", today=LATER)
    shutil.copyfile(folder / "history.jsonl", older / "history.jsonl")
    assert ln.folder_status(older, today=LATER).exit_status == 3
    ln.rebuild_manifest(older, PASSPHRASE, today=LATER)
    (lost,) = events(older, "given up as lost")
    assert (lost.id, lost.generation) == (name, 2)
    assert not ln.folder_status(older, today=LATER).problems
    write(numbered(4), older, today=LATER)
    assert [one["command"] for one in lines(older)][-2:] == ["status --rebuild", "request"]


def test_a_generation_of_which_each_copy_made_a_key_is_given_up_by_renewing(folder, tmp_path):
    """If two copies of a folder each generated a key for one generation, a renewal replaces both
    keys, since the CA may have either request.
    """
    name = names_of(folder)[0]
    other = shutil.copytree(folder, tmp_path / "other")
    for copy in (folder, other):
        write(numbered(3), copy, renew=[name], reason="renewed", today=LATER)
    shutil.copyfile(folder / "history.jsonl", other / "history.jsonl")
    told = f"{name}: generation 2 has a different public key in history.jsonl"
    (problem,) = ln.folder_status(other, today=LATER).problems
    assert (problem.message, problem.file) == (told, "manifest.json")
    with pytest.raises(BundleError, match=told):
        write(numbered(4), other, today=LATER)
    with pytest.raises(BundleError, match=told):
        write(numbered(3), other, renew=names_of(other)[1:], reason="others", today=LATER)
    write(numbered(3), other, renew=[name], reason="once more", today=LATER)
    (lost,) = events(other, "given up as lost")
    assert (lost.id, lost.generation) == (name, 2)
    assert not ln.folder_status(other, today=LATER).problems


def test_a_certificate_that_the_manifest_lost_is_a_note(folder):
    """A certificate that the manifest lost is only a notice, because it can be received again."""
    names = names_of(folder)
    before = read_manifest(folder)
    certify(folder, *names)
    serial = read_manifest(folder).by_id[names[0]].issued.serial
    save_manifest(folder, before)
    notes = ln.folder_status(folder, today=TODAY).notes
    (told,) = [one for one in notes if names[0] in one and "no longer on record" in one]
    assert serial in told


def test_what_the_manifest_does_not_show_is_there_too(folder, tmp_path):
    """The history records a handover and a change of the passphrase, which the manifest does not
    show.
    """
    ln.hand_over(folder, tmp_path / "out.zip")
    assert [event.id for event in events(folder, "handed over")] == names_of(folder)
    assert "out.zip" in events(folder, "handed over")[0].note
    ln.rekey(folder, PASSPHRASE, "another horse battery staple")
    assert "encrypted with another passphrase" in lines(folder)[-1]["did"][0]


def test_damaged_lines_are_noted(folder):
    """Damaged lines are reported as notices, and the other lines still count."""
    path = folder / "history.jsonl"
    good = path.read_bytes()
    path.write_bytes(b"x\n" + b'{"at": "now", "user": "a", "host": "b", "command": "c"}\n' + good)
    history = read_history(folder)
    assert len(history.lines) == 1
    assert "line 1 is damaged: the content is not valid JSON" in history.notes[0]
    assert "line 2 is damaged: 'at' must be a time" in history.notes[1]


def test_a_strange_name_of_the_user_spoils_no_line(folder, monkeypatch):
    """A user name with special characters, taken from an environment variable, leaves the line
    readable.
    """
    monkeypatch.setenv("LOGNAME", "a\nb\udcff\u202e")
    certify(folder, *names_of(folder))
    assert lines(folder)[-1]["user"] == "a?b??"
    assert read_history(folder).notes == ()


def test_a_retired_request_and_a_revocation_are_events(folder):
    """The history records a retired request and a revocation with their dates."""
    write(numbered(2), folder, today=LATER)
    (event,) = events(folder, "retired")
    assert (event.id, event.on) == (names_of(folder)[-1], "2026-12-24")
    assert replace(read_manifest(folder)).by_id[event.id].state == "retired"


def test_the_same_again_completes_a_history_that_a_killed_run_did_not_begin(folder):
    """If the first run ends after the manifest and before the history, the next run records it."""
    path, before = folder / "history.jsonl", snapshot(folder, but_lock=True)
    path.unlink()
    assert set(write(numbered(3), folder).counts()) == {"kept"}
    assert [one["command"] for one in lines(folder)] == ["recorded later"]
    assert len(events(folder, "requested")) == 3
    assert ln.folder_status(folder, today=TODAY).notes == ()
    whole = snapshot(folder, but_lock=True)
    assert whole.keys() == before.keys()
    write(numbered(3), folder)
    assert snapshot(folder, but_lock=True) == whole
