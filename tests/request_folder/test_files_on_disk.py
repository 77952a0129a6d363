"""lyncnb lists the files of a request folder without changing them."""

from __future__ import annotations

import os

import pytest
from folders import key_path, plan_of_servers, snapshot, write

from lyncnb.base.disk import system_calls
from lyncnb.errors import BundleError
from lyncnb.pki import csr
from lyncnb.request_folder.files_on_disk import (
    compute_csr_sha256,
    find_file_problems,
    find_record_problems,
    restrict_unpacked_files,
    take_survey,
)
from lyncnb.request_folder.unrecorded import describe_unknown_files

pytestmark = pytest.mark.usefixtures("quick_cipher")


def test_a_missing_folder_is_empty(tmp_path):
    """If a request folder does not exist, it has no manifest, no requests and no problems."""
    survey = take_survey(tmp_path / "none")
    assert not survey.exists
    assert not survey.has_manifest
    assert not survey.holds_requests
    assert survey.problems == ()


def test_listing_a_folder_changes_nothing(tmp_path):
    """Listing a request folder returns names, modes and temporary files, and changes no times."""
    plan = plan_of_servers(2)
    manifest = write(plan, tmp_path / "r").manifest
    (tmp_path / "r" / "keys" / ".tmp-lyncnb-00").write_bytes(b"half")
    before = snapshot(tmp_path / "r")
    survey = take_survey(tmp_path / "r")
    assert [path.name for path in survey.stale] == [".tmp-lyncnb-00"]
    assert sorted(survey.keys) == [
        key_path(tmp_path / "r", item.id).name for item in plan.certificates
    ]
    assert list(describe_unknown_files(survey, manifest)) == []
    assert find_record_problems(survey, manifest.requests[0]) == ()
    assert snapshot(tmp_path / "r") == before


def test_the_hash_of_a_csr_is_that_of_its_der(tmp_path):
    """The hash of a CSR is the SHA-256 hash of its DER encoding. If the text is not PEM, the hash
    is empty.
    """
    write(plan_of_servers(1), tmp_path / "r")
    data = next((tmp_path / "r" / "csr").iterdir()).read_bytes()
    assert compute_csr_sha256(data) == csr.parse_request(data).csr_sha256
    assert compute_csr_sha256(data.replace(b"\n", b"\r\n")) == compute_csr_sha256(data)
    assert compute_csr_sha256(data.replace(b"A", b"B", 1)) != compute_csr_sha256(data)
    assert compute_csr_sha256(b"no PEM at all") == ""
    assert compute_csr_sha256(data.replace(b"=", b"").replace(b"\n", b"", 5)[:-60]) == ""


def test_a_directory_is_not_listed_as_a_file(tmp_path):
    """If a directory has the name of a known file, it is not listed as this file."""
    manifest = write(plan_of_servers(1), tmp_path / "r").manifest
    path = manifest.requests[0].files.csr
    (tmp_path / "r" / path).unlink()
    (tmp_path / "r" / path).mkdir()
    problems = find_file_problems(take_survey(tmp_path / "r"), path)
    assert [problem.message for problem in problems] == ["is not a file"]


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, monkeypatch):
    """If a folder cannot be listed, a clear message contains the error of the operating system."""
    write(plan_of_servers(1), tmp_path / "r")

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refused)
    monkeypatch.setattr("lyncnb.base.disk.files.find_stale_files", lambda folder: ())
    with pytest.raises(BundleError, match="cannot list the folder: Permission denied"):
        take_survey(tmp_path / "r")


@pytest.mark.posix
@pytest.mark.parametrize(
    ("of_folder", "of_key", "expected"),
    [
        (0o755, 0o644, (0o700, 0o600)),
        (0o700, 0o644, (0o700, 0o600)),
        (0o755, 0o600, (0o700, 0o600)),
        (0o750, 0o640, (0o750, 0o640)),
        (0o775, 0o664, (0o775, 0o664)),
        (0o711, 0o604, (0o711, 0o604)),
    ],
)
def test_only_the_modes_of_an_unpacked_archive_are_changed(tmp_path, of_folder, of_key, expected):
    """Only the file modes that an archive program sets are corrected. Other wrong modes are
    reported, because a person may have set them.
    """
    write(plan_of_servers(1), tmp_path / "r")
    keys = tmp_path / "r" / "keys"
    (key,) = keys.iterdir()
    key.chmod(of_key)
    keys.chmod(of_folder)
    notes = restrict_unpacked_files(tmp_path / "r")
    modes = keys.stat().st_mode & 0o777, key.stat().st_mode & 0o777
    assert modes == expected
    assert bool(notes) == ((of_folder, of_key) != modes)


@pytest.mark.posix
def test_modes_of_links_are_not_changed(tmp_path):
    """If a request folder contains a symbolic link or a file with two names, or belongs to a team,
    lyncnb does not change the modes of these files.
    """
    folder = tmp_path / "r"
    write(plan_of_servers(2), folder)
    first, second = sorted((folder / "keys").iterdir())
    os.link(first, tmp_path / "another name")
    first.chmod(0o644)
    second.rename(tmp_path / "elsewhere")
    second.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").chmod(0o644)
    assert restrict_unpacked_files(folder) == ()
    folder.chmod(0o2770)
    (folder / "keys").chmod(0o755)
    assert restrict_unpacked_files(folder) == ()
    os.symlink(folder, tmp_path / "link")
    folder.chmod(0o700)
    assert restrict_unpacked_files(tmp_path / "link") == ()
    assert [path.stat().st_mode & 0o777 for path in (first, second)] == [0o644, 0o644]


def test_modes_are_not_checked_on_windows(tmp_path, monkeypatch):
    """On Windows, the mode of a key file contains only the read-only attribute, so no mode is
    reported as wrong.
    """
    manifest = write(plan_of_servers(1), tmp_path / "r").manifest
    next((tmp_path / "r" / "keys").iterdir()).chmod(0o644)
    (tmp_path / "r" / "keys").chmod(0o755)
    monkeypatch.setattr(system_calls, "WINDOWS", True)
    survey = take_survey(tmp_path / "r")
    assert survey.problems == ()
    assert find_record_problems(survey, manifest.requests[0]) == ()
    assert restrict_unpacked_files(tmp_path / "r") == ()
