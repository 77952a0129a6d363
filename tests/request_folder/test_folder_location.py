"""Request folders can be on disks without file modes, in git working trees and in synchronized
folders.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from datetime import date

import pytest
from folders import PASSPHRASE, certify, plan_of_servers, snapshot, write

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
IDS = [item.id for item in plan_of_servers(2).certificates]
OPEN = "does not support file permissions"


def mount_disk(tmp_path):
    """Mount a disk on which every file has the same mode, and return its path, or None if this is
    not possible.
    """
    program = shutil.which("bindfs")
    if program is None or not os.access("/dev/fuse", os.W_OK):
        return None
    real, disk = tmp_path / "real", tmp_path / "disk"
    real.mkdir()
    disk.mkdir()
    options = ("--chmod-ignore", "--perms=a=rwX")
    completed = subprocess.run([program, *options, real, disk], capture_output=True, check=False)
    return disk if completed.returncode == 0 else None


@pytest.fixture(params=["a mount", "the calls"])
def disk(request, tmp_path, monkeypatch):
    """Return a path on a disk without file modes: on a real mount, or with simulated system calls."""
    if request.param == "a mount":
        folder = mount_disk(tmp_path)
        if folder is None:
            pytest.skip("no bindfs, or no /dev/fuse")
        yield folder
        subprocess.run(["umount", folder], check=True)
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
    folder = tmp_path / "disk"
    folder.mkdir()
    folder.chmod(0o777)
    yield folder


def files_of(folder):
    """Return the contents and the times of the files in a folder.

    Folders are left out, because reading changes their times.
    """
    return {
        path: (changed, data)
        for path, (_, changed, _, data) in snapshot(folder).items()
        if os.path.isfile(path)
    }


def test_commands_work_on_a_disk_without_modes(disk):
    """On a disk without file modes, every command works, and warns that the disk does not protect
    the keys.
    """
    folder = disk / "requests"
    assert any(OPEN in note for note in write(plan_of_servers(2), folder).notes)
    assert (folder / "keys").stat().st_mode & 0o777 == 0o777
    before = files_of(folder)
    assert any(OPEN in note for note in write(plan_of_servers(2), folder).notes)
    assert files_of(folder) == before
    certify(folder, IDS[0], today=DAY)
    issued = match_certificates(open_requests(folder), today=DAY)
    write_pfx(issued, passphrase=PASSPHRASE, workers=1, today=DAY)
    options = {"passphrase": PASSPHRASE, "deployed": IDS[:1], "today": DAY}
    assert purge(folder, confirmed=purge(folder, **options), **options).is_done
    rekey(folder, PASSPHRASE, "another passphrase")
    (folder / NAME).unlink()
    kept = [record.id for record in rebuild_manifest(folder, "another passphrase").requests]
    rebuild_manifest(folder, "another passphrase", confirmed=kept)
    status = folder_status(folder, today=DAY)
    assert status.problems == ()
    assert any(OPEN in note for note in status.notes)
    assert sorted(path.name for path in disk.iterdir()) == ["requests"]


def test_a_dry_run_warns_about_the_disk(disk):
    """If the folder does not exist yet, a dry run warns that the disk does not protect files from
    other users, and creates nothing.
    """
    assert [OPEN in note for note in list_location_warnings(disk / "new" / "requests")] == [True]
    assert list(disk.iterdir()) == []


def test_modes_that_a_person_changed_are_rejected(tmp_path):
    """If a person gives other users access to a folder on a disk that stores file modes, lyncnb
    reports it, and writes nothing to a folder that others can change.
    """
    folder = tmp_path / "requests"
    assert not any(OPEN in note for note in write(plan_of_servers(1), folder).notes)
    (folder / "keys").chmod(0o755)
    (problem,) = folder_status(folder).problems
    assert (problem.file, problem.message) == ("keys/", "can be opened by other users")
    (folder / "keys").chmod(0o700)
    folder.chmod(0o777)
    with pytest.raises(BundleError, match="other users can write to"):
        write(plan_of_servers(2), folder)


PLACES = {
    "OneDrive": "OneDrive - Contoso/requests",
    "Dropbox": "Dropbox (Contoso)/Lync/requests",
    "iCloud": "Library/Mobile Documents/com~apple~CloudDocs/requests",
    "Google Drive": "Google Drive/My Drive/requests",
}


@pytest.mark.parametrize(("program", "path"), PLACES.items())
def test_a_synchronized_folder_is_reported_when_it_is_created(tmp_path, program, path):
    """If a request folder is created in a synchronized folder, the dry run and the first run show a
    warning, and later runs do not.
    """
    folder = tmp_path / path
    for dry_run in (True, False):
        notes = write(plan_of_servers(1), folder, dry_run=dry_run).notes
        (note,) = [note for note in notes if program in note]
        assert "copies and earlier versions of files, even of keys that you purge" in note
    assert not any(program in note for note in write(plan_of_servers(2), folder).notes)


@pytest.mark.parametrize("mark", [".dropbox.cache", ".stfolder", ".sync_nextcloud.db"])
def test_a_synchronized_folder_is_recognized_by_its_marker(tmp_path, mark):
    """A synchronized folder with any name is recognized by its marker file."""
    (tmp_path / mark).mkdir()
    (note,) = list_location_warnings(tmp_path / "a" / "requests")
    assert "Choose a folder that is not synchronized" in note


@pytest.mark.parametrize("name", ["drop box", "my onedrives", "git", "cloud"])
def test_similar_folder_name_causes_no_warning(tmp_path, name):
    """If the name of a folder only resembles that of a synchronized folder, there is no warning."""
    assert list_location_warnings(tmp_path / name / "requests") == ()


def test_git_ignores_the_files_of_the_folder(tmp_path):
    """If a request folder is in a git working tree, lyncnb shows a notice, and git ignores all
    files in the folder.
    """
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    folder = tmp_path / "plans" / "requests"
    (note,) = [
        note for note in write(plan_of_servers(1), folder).notes if "git working tree" in note
    ]
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


def test_an_existing_gitignore_is_kept(tmp_path):
    """A folder from an earlier version gets a .gitignore with its next change. An existing
    .gitignore is never replaced.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(1), folder)
    (folder / ".gitignore").unlink()
    write(plan_of_servers(1), folder)
    # The plan has not changed, so the run changes nothing.
    assert not (folder / ".gitignore").exists()
    (folder / ".gitignore").write_text("keys/\n")
    write(plan_of_servers(2), folder)
    assert (folder / ".gitignore").read_text() == "keys/\n"
    (folder / ".gitignore").unlink()
    write(plan_of_servers(3), folder)
    assert (folder / ".gitignore").read_text() == "*\n"
