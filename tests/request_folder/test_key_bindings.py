"""Each key file is bound to its request, so that a copied, edited or restored key file is detected."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from folders import (
    PASSPHRASE,
    TODAY,
    certify,
    plan_of_servers,
    public_keys_of_keys,
    write,
    write_pair,
)

from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError
from lyncnb.pki import csr
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.files_on_disk import compute_csr_sha256
from lyncnb.request_folder.history import HISTORY_NAME, LOST, read_history
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest
from lyncnb.request_folder.recovery_key import LIST, create_recovery_key, name_recovery_key
from lyncnb.request_folder.request_record import build_file_stem

pytestmark = pytest.mark.usefixtures("quick_cipher")


def edit(folder: Path, change) -> None:
    """Edit the JSON document of a manifest, as a person might do."""
    path = folder / "manifest.json"
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


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
    """Return a folder in which an attacker replaced the key of a request and deleted the history,
    because the history records the original public key.
    """
    attack(folder)
    (folder / HISTORY_NAME).unlink()
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
        before = (attacked / "manifest.json").read_bytes()
        with pytest.raises(BundleError) as caught:
            command()
        message = " ".join(map(str, caught.value.problems))
        if is_bound:
            assert "differs from the record that lyncnb wrote" in message
        else:
            assert "has the same public key as" in message
        assert (attacked / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("has_history", [True, False])
def test_a_request_with_a_replaced_key_can_be_renewed(folder, has_history):
    """If the key file of a request was replaced with the key file of another request, the request
    can be renewed, and the other request does not change.

    The archived generation no longer matches the other request's public key.
    """
    attack(folder)
    if not has_history:
        (folder / HISTORY_NAME).unlink()
    first, second, _ = read_manifest(folder).requests
    bundle = write(
        plan_of_servers(3), folder, renew=[second.id], reason="its key was another one's"
    )
    assert bundle.counts() == {"kept": 2, "renewed": 1}
    assert folder_status(folder).problems == ()
    assert len(public_keys_of_keys(folder)) == 3
    assert read_manifest(folder).by_id[first.id].generation == 1
    assert write(plan_of_servers(3), folder).counts() == {"kept": 3}


def test_a_key_that_differs_from_the_history_is_rejected(folder):
    """lyncnb rejects a key if the history contains a different public key for the same request.
    After the user renews the request, lyncnb accepts the new key.
    """
    attack(folder)
    name = read_manifest(folder).requests[1].id
    message = f"{name}: generation 1 has a different public key in history.jsonl"
    with pytest.raises(BundleError, match=message):
        rekey(folder, PASSPHRASE, "another passphrase")
    before = (folder / HISTORY_NAME).read_bytes()
    with pytest.raises(BundleError, match="differs from the record that lyncnb wrote"):
        rebuild_manifest(folder, PASSPHRASE)
    assert (folder / HISTORY_NAME).read_bytes() == before
    (problem,) = [
        candidate for candidate in folder_status(folder).problems if message in candidate.message
    ]
    assert f"--renew {name} --reason" in problem.hint
    write(plan_of_servers(3), folder, renew=[name], reason="its key was another one's")
    events = [event for line in read_history(folder).lines for event in line.list_events()]
    (lost,) = [event for event in events if event.what == LOST]
    assert (lost.id, lost.generation) == (name, 1)
    assert folder_status(folder).problems == ()


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


def test_missing_bindings_are_added_by_the_next_command(folder):
    """If a key has no binding, the status reports it as not verified, and the next command with the
    passphrase adds the binding.
    """
    bound = read_manifest(folder)
    assert all(record.binding for record in bound.requests)
    edit(folder, remove_bindings)
    assert "has not verified 3 keys" in repr(folder_status(folder))
    assert write(plan_of_servers(3), folder).counts() == {"kept": 3}
    updated_manifest = read_manifest(folder)
    assert all(record.binding for record in updated_manifest.requests)
    assert [r.key_sha256 for r in updated_manifest.requests] == [
        r.key_sha256 for r in bound.requests
    ]
    assert "not verified" not in repr(folder_status(folder))
    modified_at = (folder / "manifest.json").stat().st_mtime_ns
    write(plan_of_servers(3), folder)
    assert (folder / "manifest.json").stat().st_mtime_ns == modified_at


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


def test_lists_of_an_earlier_version_are_converted_once(folder, tmp_path):
    """Encrypted lists from an earlier version are accepted once, and the first run writes them in
    the new format.

    After that, the earlier format is rejected, because it has no MAC.
    """
    create_recovery_key(tmp_path / "recovery", "four random words here")
    name_recovery_key(folder, PASSPHRASE, tmp_path / "recovery.pub")
    cipher = FolderCipher(PASSPHRASE)
    data = cipher.decrypt_data((folder / LIST).read_bytes(), name=LIST)
    old = cipher.encryptor.encrypt_bytes(
        hashlib.sha256(data).digest() + data, b"LYNCNB ENCRYPTED DATA"
    )
    (folder / LIST).write_bytes(old)
    with pytest.raises(BundleError, match="has the format of an earlier lyncnb"):
        write(plan_of_servers(4), folder)
    edit(folder, remove_bindings)
    assert write(plan_of_servers(4), folder).counts() == {"kept": 3, "created": 1}
    assert not cipher.is_old_format((folder / LIST).read_bytes(), name=LIST)
    (folder / LIST).write_bytes(old)
    with pytest.raises(BundleError, match="Somebody may have replaced"):
        write(plan_of_servers(5), folder)
