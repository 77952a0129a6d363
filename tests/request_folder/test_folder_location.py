"""Locations of a request folder: disks without modes, git working trees, synchronized folders."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from datetime import date

import pytest
from folders import PASSPHRASE, certify, numbered, snapshot, write

from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.base.disk import system_calls
from lyncnb.deploy.purge_keys import purge
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.folder_location import location_notes
from lyncnb.request_folder.manifest import NAME
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

pytestmark = [
    pytest.mark.usefixtures("quick_cipher"),
    pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes anywhere"),
]

DAY = date(2026, 12, 5)
IDS = [item.id for item in numbered(2).certificates]
OPEN = "does not support file permissions"


def mounted(tmp_path):
    """Mount a disk that shows one mode for every file; None where that cannot be done."""
    program = shutil.which("bindfs")
    if program is None or not os.access("/dev/fuse", os.W_OK):
        return None
    real, disk = tmp_path / "real", tmp_path / "disk"
    real.mkdir()
    disk.mkdir()
    options = ("--chmod-ignore", "--perms=a=rwX")
    done = subprocess.run([program, *options, real, disk], capture_output=True, check=False)
    return disk if done.returncode == 0 else None


@pytest.fixture(params=["a mount", "the calls"])
def disk(request, tmp_path, monkeypatch):
    """Give a place on a disk without modes: a real mount, or what the system's calls do on one."""
    if request.param == "a mount":
        place = mounted(tmp_path)
        if place is None:
            pytest.skip("no bindfs, or no /dev/fuse")
        yield place
        subprocess.run(["umount", place], check=True)
        return
    mkdir, opened = system_calls.mkdir, system_calls.open

    def open_to_all(path, flags, mode=0o777):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        descriptor = opened(path, flags, mode)
        if flags & os.O_CREAT:
            os.fchmod(descriptor, 0o777)
        return descriptor

    def folder_for_all(path, mode):
        mkdir(path, mode)
        os.chmod(path, 0o777)

    monkeypatch.setattr(system_calls, "mkdir", folder_for_all)
    monkeypatch.setattr(system_calls, "open", open_to_all)
    monkeypatch.setattr(system_calls, "chmod", lambda path, mode: None)
    place = tmp_path / "disk"
    place.mkdir()
    place.chmod(0o777)
    yield place


def files_of(folder):
    """Return contents and times of the files; looking at the disk changes times of folders."""
    return {
        path: (changed, data)
        for path, (_, changed, _, data) in snapshot(folder).items()
        if os.path.isfile(path)
    }


def test_a_disk_without_modes_is_worked_on_with_a_warning(disk):
    """Every command works, each time, and says what the disk does not protect."""
    folder = disk / "requests"
    assert any(OPEN in note for note in write(numbered(2), folder).notes)
    assert (folder / "keys").stat().st_mode & 0o777 == 0o777
    before = files_of(folder)
    assert any(OPEN in note for note in write(numbered(2), folder).notes)
    assert files_of(folder) == before
    certify(folder, IDS[0], today=DAY)
    issued = match_certificates(open_requests(folder), today=DAY)
    write_pfx(issued, passphrase=PASSPHRASE, workers=1, today=DAY)
    given = {"passphrase": PASSPHRASE, "deployed": IDS[:1], "today": DAY}
    assert purge(folder, confirmed=purge(folder, **given), **given).is_done
    rekey(folder, PASSPHRASE, "another passphrase")
    (folder / NAME).unlink()
    rebuild_manifest(folder, "another passphrase")
    status = folder_status(folder, today=DAY)
    assert status.problems == ()
    assert any(OPEN in note for note in status.notes)
    assert sorted(path.name for path in disk.iterdir()) == ["requests"]


def test_it_is_said_before_the_folder_is_there(disk):
    """To look leaves nothing behind."""
    assert [OPEN in note for note in location_notes(disk / "new" / "requests")] == [True]
    assert list(disk.iterdir()) == []


def test_modes_that_somebody_opened_on_another_disk_are_refused(tmp_path):
    """Modes that a disk cannot keep are excused, a person's changes are not."""
    folder = tmp_path / "requests"
    assert not any(OPEN in note for note in write(numbered(1), folder).notes)
    (folder / "keys").chmod(0o755)
    (problem,) = folder_status(folder).problems
    assert (problem.file, problem.message) == ("keys/", "can be opened by other users")
    (folder / "keys").chmod(0o700)
    folder.chmod(0o777)
    with pytest.raises(BundleError, match="other users can write to"):
        write(numbered(2), folder)


PLACES = {
    "OneDrive": "OneDrive - Contoso/requests",
    "Dropbox": "Dropbox (Contoso)/Lync/requests",
    "iCloud": "Library/Mobile Documents/com~apple~CloudDocs/requests",
    "Google Drive": "Google Drive/My Drive/requests",
}


@pytest.mark.parametrize(("program", "path"), PLACES.items())
def test_a_synchronised_folder_is_reported_at_its_creation(tmp_path, program, path):
    """Under every system: by the dry run, by the run that makes the folder, and by no later one."""
    folder = tmp_path / path
    for dry_run in (True, False):
        notes = write(numbered(1), folder, dry_run=dry_run).notes
        (note,) = [note for note in notes if program in note]
        assert "copies and earlier versions, even of keys that you purge" in note
    assert not any(program in note for note in write(numbered(2), folder).notes)


@pytest.mark.parametrize("mark", [".dropbox.cache", ".stfolder", ".sync_nextcloud.db"])
def test_a_synchronised_folder_is_known_by_its_mark(tmp_path, mark):
    """Whatever it is called."""
    (tmp_path / mark).mkdir()
    (note,) = location_notes(tmp_path / "a" / "requests")
    assert "Choose a folder that is not synchronized" in note


@pytest.mark.parametrize("name", ["drop box", "my onedrives", "git", "cloud"])
def test_a_name_that_only_looks_alike_is_not_told(tmp_path, name):
    """Nobody reads a warning that comes too often."""
    assert location_notes(tmp_path / name / "requests") == ()


def test_git_is_told_and_takes_nothing(tmp_path):
    """A note says that the folder is in a working tree, and git sees none of its files."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    folder = tmp_path / "plans" / "requests"
    (note,) = [note for note in write(numbered(1), folder).notes if "git working tree" in note]
    assert str(tmp_path) in note
    assert (folder / ".gitignore").read_text() == "*\n"
    seen = subprocess.run(
        ["git", "-C", tmp_path, "status", "--porcelain", "-uall"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == ""
    assert folder_status(folder).problems == ()


def test_what_somebody_wrote_into_gitignore_stays(tmp_path):
    """A folder from before gets the file with its next change, never over another one."""
    folder = tmp_path / "requests"
    write(numbered(1), folder)
    (folder / ".gitignore").unlink()
    write(numbered(1), folder)
    assert not (folder / ".gitignore").exists()  # the same plan again changes nothing
    (folder / ".gitignore").write_text("keys/\n")
    write(numbered(2), folder)
    assert (folder / ".gitignore").read_text() == "keys/\n"
    (folder / ".gitignore").unlink()
    write(numbered(3), folder)
    assert (folder / ".gitignore").read_text() == "*\n"
