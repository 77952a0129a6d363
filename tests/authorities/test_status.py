"""The status command shows the state of each request on a given date, and problems with the files
in the request folder.
"""

from __future__ import annotations

import errno
import getpass
import json
import os
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from cas.python_ca import PythonCa, der, pem
from cryptography import x509
from folders import (
    archived_files,
    csr_path,
    issued_record,
    key_path,
    package_record,
    plan_of,
    plan_of_servers,
    snapshot,
    with_extra_names,
    write,
)
from printing import remove_break_marks

import lyncnb as ln
from lyncnb.authorities.status import FolderStatus, RequestStatus, folder_status
from lyncnb.base.disk import system_calls
from lyncnb.base.disk.folder_lock import lock_folder
from lyncnb.errors import BundleError
from lyncnb.pki.certificates import read_certificate
from lyncnb.request_folder import files_on_disk
from lyncnb.request_folder.generations import is_expired
from lyncnb.request_folder.manifest import read_manifest, save_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")

CA = PythonCa()
ISSUED = issued_record()  # The certificate is valid for 90 days.
PACKAGE = package_record("pfx/a.pfx")


@pytest.fixture
def folder(tmp_path):
    """Write a request folder with six requests, three of which have certificates."""
    path = tmp_path / "requests"
    manifest = write(plan_of_servers(6), path).manifest
    (path / "returned").mkdir()
    changed = []
    for letter, record in zip("abc", manifest.requests, strict=False):
        request = x509.load_pem_x509_csr((path / record.files.csr).read_bytes())
        begins = datetime(2026, 12, 1, tzinfo=UTC)
        certificate = CA.issue_for(request, begins=begins, days=90)
        file, digest = f"returned/{letter}.cer", read_certificate(der(certificate)).sha256
        (path / file).write_bytes(pem(certificate))
        issued = replace(ISSUED, file=file, sha256=digest)
        changed.append(record.with_issued_certificate(issued, at="2026-12-01T08:00:00Z"))
    changed[1] = changed[1].with_package(PACKAGE, at="2026-12-02T08:00:00Z")
    save_manifest(path, manifest.with_records(changed))
    (path / "pfx").mkdir(mode=0o700)
    (path / "pfx" / "a.pfx").write_bytes(b"package")
    return path


def test_each_request_has_its_state(folder):
    """The status command distinguishes requests that are waiting, issued, packaged, retired or
    superseded.
    """
    plan = with_extra_names(plan_of(*plan_of_servers(6).certificates[:5]), 4, "sip.contoso.com")
    write(plan, folder)
    status = folder_status(folder, today=date(2026, 12, 5))
    states = [(item.generation, item.state, item.since[:10]) for item in status.requests]
    assert states == [
        (1, "issued", "2026-12-01"),
        (1, "packaged", "2026-12-02"),
        (1, "issued", "2026-12-01"),
        (1, "waiting", "2026-11-24"),
        (2, "waiting", "2026-11-24"),
        (1, "retired", "2026-11-24"),
        (1, "superseded", "2026-11-24"),
    ]
    assert status.counts() == {
        "waiting": 2, "issued": 2, "packaged": 1, "superseded": 1, "retired": 1,
    }  # fmt: skip
    assert status.requests[0].days_left == 85
    assert status.requests[3].days_left is None
    assert not status.needs_attention


@pytest.mark.parametrize(
    ("today", "state"),
    [
        (date(2026, 12, 1), "issued"),
        # 30 days and one second of the certificate's 90 days remain.
        (date(2027, 1, 29), "issued"),
        (date(2027, 1, 30), "expiring"),
        # The certificate is valid until the last second of the day.
        (date(2027, 2, 28), "expiring"),
        (date(2027, 3, 1), "expired"),
    ],
)
def test_certificate_is_expiring_in_the_last_third_of_its_lifetime(folder, today, state):
    """The status of a certificate is "expiring" in the last third of its lifetime, and "expired"
    from the day after its last day.
    """
    status = folder_status(folder, today=today)
    assert status.requests[0].state == state
    assert status.requests[1].state == state.replace("issued", "packaged")
    assert is_expired(ISSUED, today) is (state == "expired")


def test_expiring_is_not_stored(folder):
    """The status command changes no file, and does not store the expiring state in the manifest."""
    before = snapshot(folder)
    folder_status(folder, today=date(2030, 1, 1))
    folder_status(folder)
    assert snapshot(folder) == before
    assert read_manifest(folder).requests[0].state == "issued"


def test_problems_with_files_are_listed(folder):
    """The status command lists files that are missing, changed or readable by other users, each
    with its path.
    """
    names = [item.id for item in plan_of_servers(6).certificates]
    missing = csr_path(folder, names[0])
    damaged, opened = (key_path(folder, name) for name in names[1:3])
    missing.unlink()
    damaged.write_bytes(b"damaged")
    opened.chmod(0o644)
    status = folder_status(folder)
    assert [(item.file, item.message) for item in status.problems] == [
        (f"csr/{missing.name}", "is missing"),
        (f"keys/{damaged.name}", "differs from the file that lyncnb wrote"),
        (f"keys/{opened.name}", "other users can read this file"),
    ]
    assert status.needs_attention
    assert "3 files need attention" in repr(status)


def test_a_missing_archived_key_is_listed(folder):
    """The status command reports the missing key of a superseded request, because the CA may still
    issue its certificate.
    """
    name = plan_of_servers(6).certificates[3].id
    write(plan_of_servers(6), folder, renew=[name], reason="x")
    key = archived_files(folder, name)[1]
    key.unlink()
    assert [item.file for item in folder_status(folder).problems] == [f"archive/{key.name}"]


def test_unknown_files_and_other_processes_are_notices(folder):
    """The status command reports unknown files, a running process and an interrupted run as
    notices.
    """
    (folder / "keys" / "Thumbs.db").write_bytes(b"x")
    dry = write(plan_of_servers(7), folder, dry_run=True).manifest
    plan = read_manifest(folder).plan_json_sha256
    save_manifest(folder, replace(dry, plan_json_sha256=plan))
    name = plan_of_servers(7).certificates[6].id
    key = folder / "keys" / f"{name}-0123abcd.key"
    key.write_bytes(b"half a run")
    key.chmod(0o600)
    with lock_folder(folder):
        status = folder_status(folder)
    assert f"or a command was interrupted: {getpass.getuser()} on " in status.notes[0]
    assert status.notes[1:] == (
        (
            "lyncnb request was interrupted and left incomplete files for 1 request. To complete "
            "these requests, run the command again"
        ),
        "keys/Thumbs.db was not written by lyncnb; lyncnb did not change the file",
    )
    assert status.requests[6].state == "planned"
    assert not status.needs_attention


def test_all_forms_of_a_status_contain_the_same_values(folder):
    """The table, HTML, text and JSON of a status contain the same values."""
    status = folder_status(folder, today=date(2026, 12, 5))
    assert list(status.to_frame()["State"])[:3] == ["issued", "packaged", "issued"]
    page = remove_break_marks(status._repr_html_())
    assert "3 waiting, 2 issued, 1 packaged" in page
    since = status.requests[0].since
    assert f"<td>{since[:10]} {since[11:16]} UTC</td>" in page
    document = json.loads(json.dumps(status.to_document()))
    assert document["counts"] == {"waiting": 3, "issued": 2, "packaged": 1}
    assert document["requests"][0] == {
        "id": plan_of_servers(1).certificates[0].id,
        "generation": 1,
        "state": "issued",
        "role": "Mediation",
        "servers": ["med00000.contoso.com"],
        "usages": ["Default"],
        "subject": "med00000.contoso.com",
        "since": "2026-12-01T08:00:00Z",
        "in_use": 1,
        "under_way": "",
        "has_next": [],
        "not_after": "2027-02-28T23:59:59Z",
        "days_left": 85,
        "replace_by": "",
        "usable_until": "2027-02-28T23:59:59Z",
        "change_on": "",
        "change_by": "",
        "due_on": "2026-12-02",
        "deployed_on": "",
        "deployed_at": "",
        "refused": "",
        "key_holder": "",
        "covered_by": "",
        "revoke": [],
        "is_revoked": False,
        "handed_over_on": "",
        "number": 1,
    }


def test_folder_without_a_manifest_is_rejected(tmp_path):
    """The status command rejects a folder without a manifest."""
    with pytest.raises(BundleError, match="does not exist"):
        folder_status(tmp_path)
    os.symlink(tmp_path, tmp_path / "link")
    with pytest.raises(BundleError, match="symbolic link"):
        folder_status(tmp_path / "link")


def test_a_folder_is_drawn_as_a_timeline(tmp_path):
    """The timeline of a request folder shows each recorded certificate with its end date, and marks
    expiring certificates.
    """
    requests = [
        RequestStatus(
            id=f"Edge-{number}", generation=1, state=state, role="Edge", servers=(),
            usages=("Internal",), subject=f"edge{number}.contoso.com", since="",
            usable_until=end, days_left=None,
        )
        for number, (state, end) in enumerate(
            [("waiting", ""), ("issued", "2027-03-01T10:00:00Z"), ("expired", "2026-01-02T03:04:05Z")]
        )
    ]  # fmt: skip
    status = FolderStatus(folder=tmp_path, today=date(2026, 11, 24), requests=tuple(requests))
    figure = ln.figure(status)
    assert [row[:6] for row in figure.rows] == [
        ("Status date", "", "the date of this status report", "2026-11-24", "2026-11-24", False),
        ("Certificates, issued", "Edge-1", "edge1.contoso.com expires", "", "2027-03-01", False),
        ("Certificates, expired", "Edge-2", "edge2.contoso.com expires", "", "2026-01-02", True),
    ]
    assert "2027-03-01" in figure.svg


@pytest.mark.parametrize("pattern", ["csr/*.csr", "keys/*.key", "returned/a.cer", "pfx/a.pfx"])
@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO, errno.EACCES])
def test_unreadable_file_does_not_hide_other_files(folder, monkeypatch, pattern, code):
    """If lyncnb cannot read a file, for example because its network share is unavailable, the
    status command reports this file and still shows the other files.
    """
    path = next(folder.glob(pattern))
    real = system_calls.open
    before = folder_status(folder, today=date(2026, 12, 5))

    def opened(opened_path, *arguments):
        if os.fspath(opened_path) == os.fspath(path):
            raise OSError(code, os.strerror(code))
        return real(opened_path, *arguments)

    monkeypatch.setattr(system_calls, "open", opened)
    status = folder_status(folder, today=date(2026, 12, 5))
    name = path.relative_to(folder).as_posix()
    news = [problem for problem in status.problems if problem not in before.problems]
    assert [problem.file for problem in news] == [name]
    assert "cannot read the file" in news[0].message
    assert len(status.requests) == 6


def test_file_that_cannot_be_opened_does_not_hide_other_files(folder, monkeypatch):
    """If the operating system lists a file but cannot open it, the status command reports this file
    and still shows the other files.
    """
    path = next(folder.glob("csr/*.csr"))
    real = files_on_disk.os.scandir

    class Stale:
        def __init__(self, entry):
            self.name, self.is_dir, self.is_file = entry.name, entry.is_dir, entry.is_file

        def stat(self, *, follow_symlinks):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    class Listing:
        def __init__(self, directory):
            self.entries = real(directory)

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            self.entries.close()

        def __iter__(self):
            return self

        def __next__(self):
            entry = next(self.entries)
            return Stale(entry) if entry.name == path.name else entry

    monkeypatch.setattr("lyncnb.request_folder.files_on_disk.os.scandir", Listing)
    problems = [
        problem for problem in folder_status(folder).problems if problem.file.endswith(".csr")
    ]
    assert [(problem.file, problem.message) for problem in problems] == [
        (f"csr/{path.name}", "cannot be reached"),
    ]
