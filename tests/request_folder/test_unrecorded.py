"""lyncnb reports files that synchronization programs or interrupted runs left in a folder, and can
include these files in the manifest.
"""

from __future__ import annotations

import shutil

import pytest
from cas.python_ca import PythonCa, pem
from cryptography import x509
from folders import (
    PASSPHRASE,
    TODAY,
    csr_path,
    key_path,
    plan_of_servers,
    public_keys_of_keys,
    write,
)

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.status import folder_status
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")

# Synchronization programs give these names to conflicting copies.
COPIES = {
    "OneDrive": "{stem}-DESKTOP-1{ending}",
    "Dropbox": "{stem} (planner's conflicted copy 2026-11-24){ending}",
    "Syncthing": "{stem}.sync-conflict-20261124-080000-ABCDEFG{ending}",
    "Nextcloud": "{stem} (conflicted copy 2026-11-24 080000){ending}",
    "Google Drive": "{stem} (1){ending}",
    "an interrupted run": "../archive/{stem}-orphan-0123abcd{ending}",
}


@pytest.fixture
def folder(tmp_path):
    """Return a request folder with two requests."""
    write(plan_of_servers(2), tmp_path / "requests")
    return tmp_path / "requests"


def put_copy(folder, other, program: str) -> tuple[str, str]:
    """Copy the first key and CSR from the request folder `other` to `folder`. Return the request ID
    and the path of the copied CSR.
    """
    record = read_manifest(other).requests[0]
    names = []
    for original in (csr_path(other, record.id), key_path(other, record.id)):
        subfolder, suffix = original.parent.name, original.suffix
        name = COPIES[program].format(stem=record.id, ending=suffix)
        target = folder / subfolder / name
        (folder / "archive").mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(original, target)
        names.append(target.resolve().relative_to(folder.resolve()).as_posix())
    return record.id, names[0]


@pytest.mark.parametrize("program", COPIES)
def test_a_pair_of_another_computer_is_adopted(folder, tmp_path, program):
    """lyncnb reports a key and CSR from another computer and can add them to the manifest, because
    a CA may issue a certificate for the CSR.
    """
    other = tmp_path / "other"
    write(
        plan_of_servers(1), other
    )  # The other run generates a different private key, even with the same passphrase.
    name, path = put_copy(folder, other, program)
    (problem,) = folder_status(folder).problems
    assert (problem.file, "is not on record" in problem.message) == (path, True)
    ca = PythonCa()
    request = x509.load_pem_x509_csr(csr_path(other, name).read_bytes())
    (tmp_path / "answer.pem").write_bytes(pem(ca.issue_for(request, days=199), *ca.chain))
    issued = receive(folder, tmp_path / "answer.pem", today=TODAY)
    (finding,) = [candidate for candidate in issued.findings if candidate.code == "unknown-key"]
    assert f"the certificate belongs to {path}" in finding.message
    before = public_keys_of_keys(folder)
    rebuild_manifest(folder, PASSPHRASE, today=TODAY)
    record = read_manifest(folder).by_id[name]
    assert (record.generation, [old.generation for old in record.archived]) == (2, [1])
    assert folder_status(folder).problems == ()
    receive(folder, tmp_path / "answer.pem", today=TODAY)
    record = read_manifest(folder).by_id[name]
    assert (record.issued, record.archived[0].issued is not None) == (None, True)
    assert before <= public_keys_of_keys(folder)
    assert write(plan_of_servers(2), folder).counts() == {"kept": 2}


def test_a_copy_of_a_known_pair_is_not_adopted(folder):
    """If the folder contains a copy of a recorded key, lyncnb shows a notice about the copy and
    does not add it to the manifest.
    """
    put_copy(folder, folder, "OneDrive")
    status = folder_status(folder)
    assert status.problems == ()
    assert any("-DESKTOP-1.key is not on record" in note for note in status.notes)
    rebuild_manifest(folder, PASSPHRASE, today=TODAY)
    assert [record.archived for record in read_manifest(folder).requests] == [(), ()]


def test_unrecorded_files_are_reported_in_every_folder(folder):
    """For each subfolder, one notice reports the number of files that are not recorded."""
    for subfolder in ("archive", "returned", "pfx"):
        (folder / subfolder).mkdir(mode=0o700, exist_ok=True)
        for number in range(3):
            (folder / subfolder / f"{number}.bin").write_bytes(b"x")
    notes = folder_status(folder).notes
    for subfolder in ("archive", "returned", "pfx"):
        assert (
            f"{subfolder}/ contains 3 files without a record: {subfolder}/0.bin and 2 more" in notes
        )
