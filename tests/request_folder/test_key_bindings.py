"""Each key file is bound to its request, so that a copied, edited or restored key file is detected."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest
from folders import (
    PASSPHRASE,
    TODAY,
    certify,
    plan_of_servers,
    public_keys_of_keys,
    put_back,
    read_document,
    read_entries,
    write,
    write_pair,
)

from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError
from lyncnb.pki import csr, keys
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.files_on_disk import compute_csr_sha256
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest
from lyncnb.request_folder.recovery_key import (
    LIST,
    create_recovery_key,
    name_recovery_key,
    read_recovery_key,
)
from lyncnb.request_folder.request_record import build_file_stem

pytestmark = pytest.mark.usefixtures("quick_cipher")


def edit(folder: Path, change) -> None:
    """Edit the state of a folder, as an attacker could do."""
    document = read_document(folder)
    change(document)
    put_back(folder, document)


@pytest.fixture
def folder(tmp_path):
    """Return a request folder with three requests."""
    write(plan_of_servers(3), tmp_path / "requests")
    return tmp_path / "requests"


def attack(folder: Path) -> None:
    """Replace the key of request B with the key of request A, sign a CSR with it, and record both
    in the manifest.

    Only somebody who once had A's key can sign that CSR. The passphrase is not needed.
    """
    first, second, _ = read_manifest(folder).requests
    key_a = FolderCipher(PASSPHRASE).decrypt((folder / first.files.key).read_bytes())
    content = csr.parse_request((folder / second.files.csr).read_bytes()).content
    request = csr.build_request(content, key_a)
    for path in second.files:
        (folder / path).unlink()
    key_pem = (folder / first.files.key).read_bytes()
    write_pair(folder, second.id, key_pem, request.pem, request.spki_sha256)

    def record(document) -> None:
        entry = document["requests"][1]
        entry["key_sha256"] = document["requests"][0]["key_sha256"]
        entry["csr_sha256"] = compute_csr_sha256(request.pem)
        entry["spki_sha256"] = request.spki_sha256
        stem = build_file_stem(second.id, request.spki_sha256)
        entry["files"] = {"csr": f"csr/{stem}.csr", "key": f"keys/{stem}.key"}

    edit(folder, record)


@pytest.fixture
def attacked(folder):
    """Return a folder in which an attacker replaced the key of a request, and the record."""
    attack(folder)
    return folder


def remove_bindings(document) -> None:
    """Remove the bindings of all keys from the manifest, as an attacker could do. A manifest from
    an earlier version also has no bindings.
    """
    document.pop("binding_key", None)
    for entry in document["requests"]:
        entry.pop("binding", None)


@pytest.mark.parametrize("is_bound", [True, False])
def test_a_copied_key_is_rejected_by_every_command(attacked, is_bound):
    """If a key file was replaced with a copy of another key file, each command reports both
    requests and changes nothing.
    """
    if not is_bound:
        edit(attacked, remove_bindings)
    first, second, _ = read_manifest(attacked).requests
    problems = " ".join(map(str, folder_status(attacked).problems))
    assert f"{second.files.key}: has the same public key as {first.id}" in problems
    for command in (
        lambda: write(plan_of_servers(4), attacked),
        lambda: write_pfx(match_certificates(open_requests(attacked)), passphrase=PASSPHRASE),
        lambda: rebuild_manifest(attacked, PASSPHRASE),
        lambda: rekey(attacked, PASSPHRASE, "another passphrase"),
    ):
        before = read_entries(attacked)
        with pytest.raises(BundleError) as caught:
            command()
        message = " ".join(map(str, caught.value.problems))
        if is_bound:
            assert "differs from the record that lyncnb wrote" in message
        else:
            assert "has the same public key as" in message
        assert read_entries(attacked) == before


def test_a_request_with_a_replaced_key_can_be_renewed(folder):
    """If the key file of a request was replaced with the key file of another request, the request
    can be renewed, and the other request does not change.

    The archived generation no longer matches the other request's public key.
    """
    attack(folder)
    first, second, _ = read_manifest(folder).requests
    bundle = write(
        plan_of_servers(3), folder, renew=[second.id], reason="its key was another one's"
    )
    assert bundle.counts() == {"kept": 2, "renewed": 1}
    assert folder_status(folder).problems == ()
    assert len(public_keys_of_keys(folder)) == 3
    assert read_manifest(folder).by_id[first.id].generation == 1
    assert write(plan_of_servers(3), folder).counts() == {"kept": 3}


def test_a_restored_older_pair_is_detected(folder):
    """If an older key and its CSR are restored, lyncnb detects that they belong to a superseded
    generation.
    """
    record = read_manifest(folder).requests[1]
    saved_files = {path: (folder / path).read_bytes() for path in record.files}
    write(plan_of_servers(3), folder, renew=[record.id], reason="the key was seen by others")
    for path, data in saved_files.items():
        (folder / path).write_bytes(data)

    def record_it(document) -> None:
        entry = document["requests"][1]
        entry["csr_sha256"], entry["spki_sha256"] = record.csr_sha256, record.spki_sha256
        entry["key_sha256"] = hashlib.sha256(saved_files[record.files.key]).hexdigest()
        entry["files"] = {"csr": record.files.csr, "key": record.files.key}

    edit(folder, record_it)
    with pytest.raises(BundleError) as caught:
        write(plan_of_servers(3), folder)
    assert "differs from the record that lyncnb wrote" in str(caught.value.problems[0])


def test_keys_without_a_proof_are_packaged_only_after_a_person_confirms_them(folder):
    """If a person removed the bindings, the status ends with 3, and pfx and handover refuse the
    requests until a person names them for a rebuild, which shows each of them.
    """
    certify(folder, *(record.id for record in read_manifest(folder).requests[1:]))
    edit(folder, remove_bindings)
    first, *rest = read_manifest(folder).requests
    status = folder_status(folder)
    assert status.exit_status == 3
    assert [problem.file for problem in status.problems] == [
        record.files.key for record in (first, *rest)
    ]

    def package():
        return write_pfx(match_certificates(open_requests(folder)), passphrase=PASSPHRASE)

    def send():
        return hand_over(folder, folder.parent / "out.zip")

    assert write(plan_of_servers(3), folder).counts() == {"kept": 3}
    for command in (package, send):
        with pytest.raises(BundleError) as caught:
            command()
        assert "has not verified that this key belongs" in str(caught.value.problems[0])
        assert "lyncnb status FOLDER ID --rebuild" in str(caught.value.problems[0].hint)
    notes = rebuild_manifest(folder, PASSPHRASE).notes
    for record in (first, *rest):
        (note,) = [note for note in notes if record.id in note]
        assert record.plan.san[0] in note
        assert record.spki_sha256 in note
    rebuild_manifest(folder, PASSPHRASE, confirmed=[first.id])
    send()
    with pytest.raises(BundleError):
        package()
    rebuild_manifest(folder, PASSPHRASE, confirmed=["Mediation-*"])
    assert package().counts()["written"] == 2
    assert folder_status(folder).problems == ()


def test_every_command_with_the_passphrase_keeps_keys_bound(folder, tmp_path):
    """After pfx, rekey, recovery and rebuild, the keys are still bound to their requests."""
    create_recovery_key(tmp_path / "recovery", "four random words here")
    ids = [record.id for record in read_manifest(folder).requests]
    certify(folder, *ids[:2])
    write_pfx(match_certificates(open_requests(folder), today=TODAY), passphrase=PASSPHRASE)
    name_recovery_key(folder, PASSPHRASE, tmp_path / "recovery.pub")
    rebuild_manifest(folder, PASSPHRASE)
    rekey(folder, PASSPHRASE, "another passphrase")
    write(plan_of_servers(4), folder, passphrase="another passphrase")
    assert all(record.binding for record in read_manifest(folder).requests)
    assert write(plan_of_servers(4), folder, passphrase="another passphrase").counts() == {
        "kept": 4
    }


def forge_list(folder: Path, public: Path) -> None:
    """Write a list of recovery keys in the format of earlier versions, as a hostile worker could."""
    cipher = FolderCipher(PASSPHRASE)
    cipher.open_file(next((folder / "keys").iterdir()).read_bytes(), name="a.key")
    key = read_recovery_key(public)
    data = json.dumps(
        {
            "format": "lyncnb-recovery-keys/1",
            "keys": [{"public": base64.b64encode(key.public).decode(), "added_at": "2026-11-24"}],
        }
    ).encode()
    forged = cipher.encryptor.encrypt_bytes(
        hashlib.sha256(data).digest() + data, b"LYNCNB ENCRYPTED DATA"
    )
    (folder / "recovery").mkdir(mode=0o700, exist_ok=True)
    (folder / LIST).write_bytes(forged)


def test_a_planted_list_of_recovery_keys_is_never_read(folder, tmp_path):
    """A list in the format of earlier versions is not read, even if the manifest has no bindings.
    The status reports it, and a renewal encrypts nothing for its keys.
    """
    create_recovery_key(tmp_path / "mallory", "four random words here")
    forge_list(folder, tmp_path / "mallory.pub")
    edit(folder, remove_bindings)
    name = read_manifest(folder).requests[0].id
    with pytest.raises(BundleError, match="has the format of an earlier lyncnb"):
        write(plan_of_servers(3), folder, renew=[name], reason="yearly")
    assert os.listdir(folder / "recovery") == ["keys.enc"]
    (problem,) = [p for p in folder_status(folder).problems if p.file == LIST]
    assert "belongs to no recovery key on record" in problem.message


def test_a_list_that_differs_from_the_record_is_not_used(folder, tmp_path):
    """If the list contains a recovery key that is not on record, a command encrypts nothing for it
    and names it.
    """
    for name in ("ours", "other"):
        create_recovery_key(tmp_path / name, "four random words here")
        name_recovery_key(folder, PASSPHRASE, tmp_path / f"{name}.pub")
    other = read_recovery_key(tmp_path / "other.pub").fingerprint
    edit(folder, lambda document: document["recovery"].pop())
    before = sorted(os.listdir(folder / "recovery"))
    with pytest.raises(BundleError, match="recovery keys that are not on record") as caught:
        write(plan_of_servers(4), folder)
    assert other in caught.value.message
    assert sorted(os.listdir(folder / "recovery")) == before
    assert any(p.file.endswith(".sealed") for p in folder_status(folder).problems)
    name_recovery_key(folder, PASSPHRASE, tmp_path / "other.pub")
    assert folder_status(folder).problems == ()
    assert write(plan_of_servers(4), folder).counts() == {"kept": 3, "created": 1}


def test_a_planted_csr_is_found_by_handover_with_the_passphrase(folder, tmp_path):
    """With the passphrase, handover compares each CSR with its key. Without it, the page says that
    it did not.
    """
    record = read_manifest(folder).requests[0]
    content = csr.parse_request((folder / record.files.csr).read_bytes()).content
    planted = csr.build_request(content, keys.generate_key(content.key))
    out = tmp_path / "out.zip"
    hand_over(folder, out, passphrase=PASSPHRASE)
    assert b"did not compare these requests" not in page_in(out)
    hand_over(folder, out)
    assert b"did not compare these requests" in page_in(out)
    for path in record.files:
        (folder / path).rename(tmp_path / Path(path).name)
    key_pem = (tmp_path / Path(record.files.key).name).read_bytes()
    write_pair(folder, record.id, key_pem, planted.pem, planted.spki_sha256)

    def record_it(document) -> None:
        entry, stem = document["requests"][0], build_file_stem(record.id, planted.spki_sha256)
        entry["csr_sha256"] = compute_csr_sha256(planted.pem)
        entry["spki_sha256"] = planted.spki_sha256
        entry["files"] = {"csr": f"csr/{stem}.csr", "key": f"keys/{stem}.key"}

    edit(folder, record_it)
    with pytest.raises(BundleError) as caught:
        hand_over(folder, out, passphrase=PASSPHRASE)
    messages = " ".join(problem.message for problem in caught.value.problems)
    assert "does not belong to csr/" in messages


def test_handover_refuses_two_requests_with_one_key(attacked, tmp_path):
    """If two requests have the same public key, handover writes no package."""
    with pytest.raises(BundleError) as caught:
        hand_over(attacked, tmp_path / "out.zip")
    assert any("has the same public key as" in p.message for p in caught.value.problems)
    assert not (tmp_path / "out.zip").exists()


def page_in(package: Path) -> bytes:
    """Return the page for the administrators of the CA in a package."""
    with zipfile.ZipFile(package) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("README.html")]
        return archive.read(name)
