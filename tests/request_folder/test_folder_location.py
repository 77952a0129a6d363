"""Request folders work on disks without modes, in git working trees and in synchronized folders."""

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
from lyncnb.request_folder.folder_location import list_location_warnings
from lyncnb.request_folder.manifest import NAME
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

pytestmark = [
    pytest.mark.usefixtures("quick_cipher"),
    pytest.mark.posix,
]

DAY = date(2026, 12, 5)
IDS = [item.id for item in numbered(2).certificates]
OPEN = "does not support file permissions"


def mounted(tmp_path):
    """Mount a disk that shows one mode for every file. Return None if this is not possible."""
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
    """Return a path on a disk without modes: a real mount, or simulated system calls."""
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
    """Return the contents and times of the files.

    Folders are left out, because reading changes their times.
    """
    return {
        path: (changed, data)
        for path, (_, changed, _, data) in snapshot(folder).items()
        if os.path.isfile(path)
    }


def test_a_disk_without_modes_is_worked_on_with_a_warning(disk):
    """On a disk without modes, every command works and warns each time that the disk does not
    protect the keys.
    """
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
    """The dry run warns before the folder exists, and creates nothing."""
    assert [OPEN in note for note in list_location_warnings(disk / "new" / "requests")] == [True]
    assert list(disk.iterdir()) == []


def test_modes_that_somebody_opened_on_another_disk_are_refused(tmp_path):
    """File modes that a disk cannot store are accepted, but modes that a person changed are
    rejected.
    """
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
    """On every operating system, the dry run and the run that creates the folder report a
    synchronized folder. Later runs don't.
    """
    folder = tmp_path / path
    for dry_run in (True, False):
        notes = write(numbered(1), folder, dry_run=dry_run).notes
        (note,) = [note for note in notes if program in note]
        assert "copies and earlier versions of files, even of keys that you purge" in note
    assert not any(program in note for note in write(numbered(2), folder).notes)


@pytest.mark.parametrize("mark", [".dropbox.cache", ".stfolder", ".sync_nextcloud.db"])
def test_a_synchronised_folder_is_known_by_its_mark(tmp_path, mark):
    """A synchronized folder is recognized by its marker file, whatever its name is."""
    (tmp_path / mark).mkdir()
    (note,) = list_location_warnings(tmp_path / "a" / "requests")
    assert "Choose a folder that is not synchronized" in note


@pytest.mark.parametrize("name", ["drop box", "my onedrives", "git", "cloud"])
def test_similar_folder_name_causes_no_warning(tmp_path, name):
    """A folder whose name only resembles that of a synchronized folder causes no warning."""
    assert list_location_warnings(tmp_path / name / "requests") == ()


def test_git_is_told_and_takes_nothing(tmp_path):
    """A notice reports that the folder is in a git working tree, and git ignores all its files."""
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
    """A folder of an earlier version gets a .gitignore with its next change, but an existing
    .gitignore is never replaced.
    """
    folder = tmp_path / "requests"
    write(numbered(1), folder)
    (folder / ".gitignore").unlink()
    write(numbered(1), folder)
    assert not (folder / ".gitignore").exists()  # The unchanged plan changes nothing.
    (folder / ".gitignore").write_text("keys/\n")
    write(numbered(2), folder)
    assert (folder / ".gitignore").read_text() == "keys/\n"
    (folder / ".gitignore").unlink()
    write(numbered(3), folder)
    assert (folder / ".gitignore").read_text() == "*\n"
