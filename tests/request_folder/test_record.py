"""The record of a folder: entries that no command changes, and a state that is folded from them."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from failing import fail_one_call
from folders import (
    PASSPHRASE,
    TODAY,
    certify,
    encode_earlier,
    plan_of_servers,
    public_keys_of_keys,
    public_keys_of_requests,
    read_entries,
    snapshot,
    write,
    write_earlier,
)

import lyncnb as ln
from lyncnb.authorities.certificate_history import certificate_history
from lyncnb.base.disk import files
from lyncnb.errors import BundleError
from lyncnb.request_folder.entries import build_entry, read_record, write_entry
from lyncnb.request_folder.facts import OTHER_COPY
from lyncnb.request_folder.history import list_history
from lyncnb.request_folder.manifest import MARKER, fold, read_folder, read_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")

LATER = TODAY + timedelta(days=30)
PLAN = plan_of_servers(3)
NAMES = [certificate.id for certificate in PLAN.certificates]


@pytest.fixture
def folder(tmp_path):
    """Return a request folder with three requests."""
    return write(PLAN, tmp_path / "requests", workers=1).folder


def entries_of(folder: Path) -> dict[str, bytes]:
    """Return the content of each file in a folder's record."""
    return {path.name: path.read_bytes() for path in (folder / "record").iterdir()}


def unite(source: Path, target: Path) -> None:
    """Copy one folder over another, as a person or a synchronization program does."""
    shutil.copytree(source, target, dirs_exist_ok=True)


def write_planted(folder: Path, *events: dict, number: int = 99, at: str = "") -> str:
    """Write an entry, as an attacker could do, and return its file name."""
    name, data, _ = build_entry(
        events, number=number, at=at or f"{TODAY}T00:00:00Z", user=("mallory", "m"), command="x"
    )
    write_entry(folder, name, data)
    return name


def change_at_random(chance: random.Random, folder: Path, step: int) -> None:
    """Run a random command in a folder, on a random date."""
    day = TODAY + timedelta(days=chance.randrange(60))
    name = chance.choice(NAMES)
    with suppress(BundleError, ln.LyncnbError):
        match chance.randrange(5):
            case 0:
                write(PLAN, folder, renew=[name], reason=f"step {step}", today=day)
            case 1:
                certify(folder, name, today=day)
            case 2:
                ln.deployed(folder, name, today=day)
            case 3:
                ln.deployed(folder, name, undo=True, today=day)
            case 4:
                server = f"med0000{chance.randrange(3)}.contoso.com"
                ln.deployed(folder, server, gone=True, today=day)


@pytest.mark.parametrize("seed", range(6))
def test_two_copies_are_united_in_any_order(tmp_path, folder, seed):
    """After random commands in two copies of a folder, both unions have the same state, all
    entries and all keys. No command changes or removes an entry.
    """
    chance = random.Random(seed)
    other = shutil.copytree(folder, tmp_path / "other")
    seen: dict[str, bytes] = {}
    for step in range(8):
        change_at_random(chance, chance.choice([folder, other]), step)
        for copy in (folder, other):
            present = entries_of(copy)
            assert all(present[name] == data for name, data in seen.items() if name in present)
            seen |= present
    keys = public_keys_of_requests(folder) | public_keys_of_requests(other)
    first, second = tmp_path / "first", tmp_path / "second"
    for target, parts in ((first, (folder, other)), (second, (other, folder))):
        for part in parts:
            unite(part, target)
    assert entries_of(first) == entries_of(second) == seen
    assert fold(read_record(first).entries) == fold(read_record(second).entries)
    assert keys <= public_keys_of_keys(first)
    recorded = {
        part.spki_sha256 for record in read_manifest(first).requests for part in record.generations
    }
    assert keys <= recorded
    record = read_record(first)
    shuffled = [*record.entries]
    chance.shuffle(shuffled)
    again = tmp_path / "again"
    again.mkdir()
    for entry in shuffled:
        name = next(name for name in seen if entry.digest in name)
        write_entry(again, name, seen[name])
    assert read_record(again).entries == record.entries


def test_two_keys_for_one_request_both_stay(tmp_path, folder):
    """If two copies renewed the same request, both keys stay, and the status says so."""
    other = shutil.copytree(folder, tmp_path / "other")
    for copy, day in ((folder, TODAY), (other, LATER)):
        write(PLAN, copy, renew=[NAMES[0]], reason=f"on {day}", today=day)
    keys = {read_manifest(copy).by_id[NAMES[0]].spki_sha256 for copy in (folder, other)}
    unite(other, folder)
    record = read_manifest(folder).by_id[NAMES[0]]
    assert record.spki_sha256 == read_manifest(other).by_id[NAMES[0]].spki_sha256
    assert keys <= {part.spki_sha256 for part in record.generations}
    numbers = [part.generation for part in record.generations]
    assert len(set(numbers)) == len(numbers) == 3
    (lost,) = [part for part in record.archived if part.reasons == (OTHER_COPY,)]
    notes = ln.folder_status(folder, today=LATER).notes
    assert any(NAMES[0] in note and lost.csr_sha256[:12] in note for note in notes)
    write(PLAN, folder, today=LATER)
    write(PLAN, folder, renew=[NAMES[0]], reason="once more", today=LATER)
    record = read_manifest(folder).by_id[NAMES[0]]
    assert record.generation == max(part.generation for part in record.generations)


def test_an_older_copy_over_the_folder_loses_nothing(tmp_path, folder):
    """If an older copy of the folder is copied over it, the state is the same as before."""
    older = shutil.copytree(folder, tmp_path / "older")
    certify(folder, *NAMES)
    ln.deployed(folder, *NAMES, today=TODAY)
    write(PLAN, folder, renew=[NAMES[0]], reason="x", today=LATER)
    before = fold(read_record(folder).entries)
    unite(older, folder)
    assert fold(read_record(folder).entries) == before
    ln.rebuild_manifest(folder, PASSPHRASE, today=LATER)
    assert write(PLAN, folder, today=LATER).counts() == {"kept": 3}
    assert ln.folder_status(folder, today=LATER).problems == ()


@pytest.mark.parametrize("at", ["1999-01-01T00:00:00Z", "2049-01-01T00:00:00Z"])
def test_the_order_of_entries_does_not_depend_on_clocks(folder, at):
    """An entry follows those that its writer knew, whatever the clock of the computer says."""
    certify(folder, *NAMES)
    with suppress(ln.LyncnbError):
        ln.deployed(folder, NAMES[0], today=TODAY)
    event = {"type": "request", "id": NAMES[0], "ca": "the last"}
    write_planted(folder, event, at=at)
    assert read_manifest(folder).by_id[NAMES[0]].ca == "the last"


def test_an_entry_from_the_future_is_named(folder):
    """If a clock was set back, the status names the entries that are later than the present time,
    unless the user asks about another date.
    """

    def find_notes(**on):
        notes = ln.folder_status(folder, **on).notes
        return [note for note in notes if "entries from the future" in note]

    (folder / "record").rename(folder / "record-of-tests")
    (folder / "record").mkdir()
    for path in (folder / "record-of-tests").iterdir():
        document = json.loads(path.read_bytes())
        write_planted(folder, *document["events"], number=1, at="2020-01-01T00:00:00Z")
    assert find_notes() == []
    name = write_planted(folder, {"type": "weather"}, at="2049-01-01T00:00:00Z")
    (note,) = find_notes()
    assert f'{name[-21:-5]} (2049-01-01T00:00:00Z, by "mallory")' in note
    assert find_notes(today=TODAY) == []
    with suppress(BundleError):
        certify(folder, NAMES[0])
    assert read_manifest(folder).by_id[NAMES[0]].issued


def test_a_conflict_copy_of_an_entry_is_the_same_entry(folder):
    """A copy of an entry under another name changes nothing. Other files are left alone."""
    before = fold(read_record(folder).entries)
    for path in [*(folder / "record").iterdir()]:
        shutil.copy(path, path.with_name(f"{path.stem} (conflict 1).json"))
    (folder / "record" / "Thumbs.db").write_bytes(b"x")
    assert read_record(folder).problems == ()
    assert fold(read_record(folder).entries) == before
    assert write(PLAN, folder).counts() == {"kept": 3}


def test_an_edited_entry_is_named_and_not_used(folder):
    """If an entry was edited, readers name it, and writers change nothing. After the file is moved
    out of the folder, a person can confirm that the entry is lost.
    """
    certify(folder, NAMES[0])
    ln.deployed(folder, NAMES[0], today=TODAY)
    *_, edited, last = sorted((folder / "record").iterdir())
    edited.write_bytes(edited.read_bytes().replace(b"receive", b"recieve"))
    status = ln.folder_status(folder, today=TODAY)
    assert status.exit_status == 3
    assert [p.file for p in status.problems if "edited" in p.message] == [f"record/{edited.name}"]
    before = snapshot(folder, but_lock=True)
    for command in (
        lambda: write(PLAN, folder, renew=[NAMES[1]], reason="x"),
        lambda: ln.deployed(folder, NAMES[0], today=TODAY),
        lambda: ln.rebuild_manifest(folder, PASSPHRASE, today=TODAY),
    ):
        with pytest.raises(BundleError, match="needs attention"):
            command()
    assert snapshot(folder, but_lock=True) == before
    edited.rename(folder.parent / edited.name)
    digest = edited.stem[-16:]
    (problem,) = [p for p in ln.folder_status(folder, today=TODAY).problems if digest in p.message]
    assert f"lyncnb status FOLDER {digest} --rebuild" in problem.hint
    ln.rebuild_manifest(folder, PASSPHRASE, confirmed=[digest], today=TODAY)
    assert ln.folder_status(folder, today=TODAY).problems == ()
    assert read_entries(folder)[-1]["without"] == [digest]
    assert last.exists()


def test_the_first_entry_can_be_lost(folder):
    """If the entry with which a folder began is lost, its keys are adopted after a person has
    confirmed them, and the same plan keeps every request.
    """
    certify(folder, NAMES[0])
    first, *_ = sorted((folder / "record").iterdir())
    keys = public_keys_of_keys(folder)
    edited = first.read_bytes().replace(b'"user"', b'"uses"')
    first.write_bytes(edited)
    (problem,) = [
        p
        for p in ln.folder_status(folder, today=TODAY).problems
        if p.file == f"record/{first.name}"
    ]
    assert "edited or damaged" in problem.message
    first.unlink()
    lost = first.stem[-16:]
    ln.rebuild_manifest(folder, PASSPHRASE, confirmed=[lost, *NAMES], today=TODAY)
    assert write(PLAN, folder).counts() == {"kept": 3}
    assert ln.folder_status(folder, today=TODAY).exit_status == 0
    assert public_keys_of_keys(folder) == keys


@pytest.mark.fault
def test_a_killed_run_leaves_an_unfinished_entry(tmp_path, folder):
    """A run has one entry, whenever it is killed. What it saved counts, although the entry is not
    finished, and the next writer gives the entry its name.
    """

    def renew(folder):
        write(PLAN, folder, renew=[NAMES[0]], reason="x", today=LATER)

    first, outcomes = fold(read_record(folder).entries), Counter()
    with fail_one_call(None, OSError) as counted:
        renew(shutil.copytree(folder, tmp_path / "counted"))
    for number in range(counted.count):
        copy = shutil.copytree(folder, tmp_path / "killed")
        with (
            fail_one_call(number, lambda name: KeyboardInterrupt(name)) as calls,
            suppress(KeyboardInterrupt, BundleError),
        ):
            renew(copy)
        record = read_record(copy)
        assert record.problems == (), calls.failed
        assert len(record.entries) <= 2, calls.failed
        state = fold(record.entries)
        unfinished = [*record.unfinished]
        assert unfinished or state == first or len(entries_of(copy)) == 2, calls.failed
        outcomes[bool(unfinished)] += 1
        ln.deployed(copy, "med00001.contoso.com", gone=True, today=LATER)
        names = sorted(entries_of(copy))
        assert all(name[:5].isdigit() for name in names), calls.failed
        assert len(names) == len(record.entries) + 1
        if unfinished:
            assert fold(read_record(copy).entries[:2]) == state, calls.failed
        renew(copy) if state == first else write(PLAN, copy, today=LATER)
        assert ln.folder_status(copy, today=LATER).problems == (), calls.failed
        shutil.rmtree(copy)
    assert outcomes[True] > 20


def test_an_older_copy_of_an_unfinished_entry_changes_nothing(folder, monkeypatch):
    """If an older state of the entry of a run is copied into the folder, the state is the same."""
    copies, real = [], files.replace_file

    def replace(path, data, *mode):
        if path.name.startswith("unfinished-"):
            copies.append((path, data))
        real(path, data, *mode)

    monkeypatch.setattr(files, "replace_file", replace)
    write(PLAN, folder, renew=[NAMES[0]], reason="x", today=LATER)
    monkeypatch.undo()
    before = fold(read_record(folder).entries)
    assert len(copies) > 1
    for path, data in copies:
        path.write_bytes(data)
        assert fold(read_record(folder).entries) == before
        write(PLAN, folder, renew=[NAMES[1]], reason="x", today=LATER)
        assert read_manifest(folder).by_id[NAMES[0]] == before.by_id[NAMES[0]]
        before = fold(read_record(folder).entries)


def test_an_entry_is_finished_while_it_is_read(folder, monkeypatch):
    """A reader that finds an unfinished entry gone, because its run finished it, reads again."""
    *_, last = sorted((folder / "record").iterdir())
    before = fold(read_record(folder).entries)
    unfinished = last.rename(last.with_name("unfinished-0123456789abcdef.json"))
    real = files.read_file

    def read(path, **limits):
        if path == unfinished and unfinished.exists():
            unfinished.rename(last)
        return real(path, **limits)

    monkeypatch.setattr(files, "read_file", read)
    assert fold(read_record(folder).entries) == before
    assert read_record(folder).problems == ()


HOSTILE = [
    {"type": "request", "id": NAMES[0], "state": "sent"},
    {"type": "request", "id": NAMES[0], "plan": {"id": NAMES[1]}},
    {"type": "request", "id": "../../x", "plan": {"id": "../../x"}},
    {"type": "request", "id": NAMES[0], "key": "../../x", "generation": "x"},
    {"type": "made", "id": NAMES[0], "key": "0" * 64, "generation": "three"},
    {"type": "made", "id": NAMES[0], "key": "0" * 64, "generation": 7, "file": "../../keys/a"},
    {"type": "made", "id": NAMES[0], "key": "g7", "generation": 7, "package": {"file": "../a"}},
    {"type": "folder", "plan_sha256": [1]},
    {"type": "folder", "order": 5},
    {"type": "ca", "file": "../../../x", "sha256": "0" * 64, "received_at": "2026-01-01T00:00:00Z"},
    {"type": "log", "at": "then", "event": "x", "about": "y"},
    {"type": "gone", "id": NAMES[0], "server": "a\nb"},
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_entry_is_named_and_stops_every_command(folder, number):
    """If somebody plants an entry with values that are not valid, each command names the entry and
    changes nothing. Without the entry, the folder is as before.
    """
    name = write_planted(folder, HOSTILE[number])
    before = snapshot(folder, but_lock=True)
    for command in (
        lambda: ln.folder_status(folder, today=TODAY),
        lambda: write(PLAN, folder, renew=[NAMES[1]], reason="x"),
        lambda: ln.rebuild_manifest(folder, PASSPHRASE, today=TODAY),
    ):
        with pytest.raises(BundleError, match="not valid") as caught:
            command()
        assert name[-21:-5] in caught.value.hint
    assert snapshot(folder, but_lock=True) == before
    (folder / "record" / name).unlink()
    assert write(PLAN, folder).counts() == {"kept": 3}


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"format": 7}', "[" * 100_000, '{"events": [{"type": ["a"]}]}', '"\ud800"'],
)
def test_a_file_that_is_no_entry_is_named(folder, text):
    """A file that is not an entry is named and not used, even if its name contains its hash."""
    data = text.encode("utf-8", "surrogatepass")
    name = f"00099-x-{hashlib.sha256(data).hexdigest()[:16]}.json"
    (folder / "record" / name).write_bytes(data)
    (problem,) = ln.folder_status(folder, today=TODAY).problems
    assert problem.file == f"record/{name}"
    with pytest.raises(BundleError, match="needs attention"):
        write(PLAN, folder, renew=[NAMES[1]], reason="x")


def test_events_of_a_later_version_are_kept(folder):
    """Events and fields that this version does not know are kept, and change nothing."""
    event = {"type": "request", "id": NAMES[0], "colour": {"shade": 1}}
    write_planted(folder, {"type": "weather", "id": 5, "sun": True}, event)
    write(PLAN, folder, renew=[NAMES[1]], reason="x")
    write(PLAN, folder, renew=[NAMES[0]], reason="x")
    assert read_manifest(folder).by_id[NAMES[0]].others == {"colour": {"shade": 1}}


# --- The following tests are about folders of lyncnb 0.2.0.


@pytest.fixture
def earlier(folder):
    """Return a folder as lyncnb 0.2.0 writes it, with a certificate that only the history has."""
    certify(folder, *NAMES)
    ln.deployed(folder, *NAMES, today=TODAY)
    write(PLAN, folder, renew=[NAMES[0]], reason="x", today=LATER)
    group = {
        "what": "issued", "at": "2026-11-25T00:00:00Z",
        "of": [{
            "id": NAMES[1], "generation": 1, "certificate": "9" * 64, "serial": "99",
            "not_before": "2026-11-25T00:00:00Z", "not_after": "2027-05-25T00:00:00Z",
        }],
    }  # fmt: skip
    line = {
        "at": "2026-11-25T00:00:00Z", "user": "alice", "host": "pc", "command": "receive",
        "changes": [group], "state": "0" * 64, "before": "",
    }  # fmt: skip
    (folder / "history.jsonl").write_text(json.dumps(line) + "\nnot a line\n", "utf-8")
    write_earlier(folder)
    return folder


def test_a_reader_does_not_import(earlier):
    """Readers read a folder of lyncnb 0.2.0 without writing."""
    before = snapshot(earlier)
    assert ln.folder_status(earlier, today=LATER).problems == ()
    assert certificate_history(earlier, NAMES[0]).generations
    assert snapshot(earlier) == before


def test_the_first_writer_imports_both_files(earlier):
    """The first command that writes imports the manifest and the history as one entry, which
    depends on their bytes alone, and keeps a copy of both in archive/.
    """
    before = fold(read_folder(earlier).record.entries)
    files = [(earlier / name).read_bytes() for name in ("manifest.json", "history.jsonl")]
    copy = shutil.copytree(earlier, earlier.parent / "copy")
    write(PLAN, earlier, renew=[NAMES[1]], reason="x", today=LATER)
    write(PLAN, copy, renew=[NAMES[2]], reason="x", today=LATER)
    first, *_ = sorted((earlier / "record").iterdir())
    assert first.read_bytes() == (copy / "record" / first.name).read_bytes()
    assert fold(read_record(earlier).entries[:1]) == before
    archived = {path.read_bytes() for path in (earlier / "archive").glob("*.json*")}
    assert archived >= {*files}
    assert (earlier / "manifest.json").read_bytes() == MARKER
    assert not (earlier / "history.jsonl").exists()
    events = [
        (event.what, line.user)
        for line in list_history(read_record(earlier).entries)
        for event in line.events
        if event.certificate == "9" * 64
    ]
    assert events == [("issued", "alice")]
    assert ln.folder_status(earlier, today=LATER).problems == ()


@pytest.mark.fault
def test_a_killed_import_is_completed(earlier, tmp_path):
    """If an import is interrupted at any system call, the folder always has a manifest.json, its
    state is the same, and the next run completes the import.
    """
    state = fold(read_folder(earlier).record.entries)

    def run(folder):
        ln.deployed(folder, NAMES[1], undo=True, today=LATER)

    with fail_one_call(None, OSError) as counted:
        run(shutil.copytree(earlier, tmp_path / "counted"))
    expected = fold(read_record(tmp_path / "counted").entries)
    for number in range(counted.count):
        folder = shutil.copytree(earlier, tmp_path / "killed")
        with (
            fail_one_call(number, lambda name: KeyboardInterrupt(name)) as calls,
            suppress(KeyboardInterrupt, BundleError),
        ):
            run(folder)
        marker = json.loads((folder / "manifest.json").read_bytes())
        assert marker["format"] in ("lyncnb-requests/3", "lyncnb-requests/4"), calls.failed
        now = fold(read_folder(folder).record.entries)
        assert now in (state, expected), calls.failed
        if now == state:
            run(folder)
        assert fold(read_record(folder).entries) == expected, calls.failed
        write(PLAN, folder, renew=[NAMES[2]], reason="x", today=LATER)
        assert (folder / "manifest.json").read_bytes() == MARKER, calls.failed
        assert not (folder / "history.jsonl").exists(), calls.failed
        shutil.rmtree(folder)


def test_an_earlier_manifest_over_a_newer_record(earlier, tmp_path):
    """If a backup in the format of lyncnb 0.2.0 is copied over an imported folder, nothing that
    was recorded later is lost.
    """
    backup = shutil.copytree(earlier, tmp_path / "backup")
    write(PLAN, earlier, renew=[NAMES[1]], reason="x", today=LATER)
    before = fold(read_record(earlier).entries)
    unite(backup, earlier)
    assert fold(read_folder(earlier).record.entries) == before
    write(PLAN, earlier, renew=[NAMES[2]], reason="x", today=LATER)
    assert read_manifest(earlier).by_id[NAMES[1]] == before.by_id[NAMES[1]]
    assert (earlier / "manifest.json").read_bytes() == MARKER


def test_a_lost_marker_is_written_again(folder):
    """A folder whose manifest.json is lost or damaged is read from its record."""
    before = fold(read_record(folder).entries)
    for damage in (None, b"", b"{", b"[]", encode_earlier(before)[:100]):
        (folder / "manifest.json").unlink(missing_ok=True)
        if damage is not None:
            (folder / "manifest.json").write_bytes(damage)
        assert fold(read_folder(folder).record.entries) == before
    write(PLAN, folder, renew=[NAMES[1]], reason="x")
    assert (folder / "manifest.json").read_bytes() == MARKER
