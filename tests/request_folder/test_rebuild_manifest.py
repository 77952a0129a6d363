"""A rebuild creates the manifest from the keys and CSRs in a folder, and checks every file."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from datetime import timedelta

import pytest
from folders import (
    ODD_KEYS,
    PASSPHRASE,
    TODAY,
    archived_files,
    assert_complete,
    certify,
    csr_path,
    issued_record,
    key_path,
    lose_record,
    plan_of_servers,
    public_keys_of_keys,
    public_keys_of_requests,
    put_back,
    put_unusual_pair,
    read_entries,
    snapshot,
    with_extra_names,
    write,
)

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.status import folder_status
from lyncnb.deploy.purge_keys import purge
from lyncnb.errors import BundleError, PassphraseError
from lyncnb.pki import csr
from lyncnb.pki.keys import compute_spki_sha256
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest
from lyncnb.request_folder.request_record import PlanOnRecord

pytestmark = pytest.mark.usefixtures("quick_cipher")

LATER = TODAY + timedelta(days=30)


@pytest.fixture
def folder(tmp_path):
    """Write a request folder that contains a superseded generation."""
    path, plan = tmp_path / "requests", plan_of_servers(3)
    write(plan, path)
    write(plan, path, renew=[plan.certificates[0].id], reason="x")
    return path


def rebuild(folder, **arguments):
    """Rebuild the manifest, on the date that the other tests use."""
    return rebuild_manifest(folder, PASSPHRASE, today=TODAY, **arguments)


def keys_of(folder):
    """Return the names, modes and contents of all keys and CSRs."""
    return {
        path: facts for path, facts in snapshot(folder).items() if path.endswith((".key", ".csr"))
    }


def test_an_intact_folder_is_not_changed(folder):
    """If a request folder is intact, rebuilding the manifest does not change it."""
    before = {k: v for k, v in snapshot(folder).items() if k != str(folder)}
    bundle = rebuild(folder)
    assert (bundle.changes, bundle.notes) == ((), ())
    assert {k: v for k, v in snapshot(folder).items() if k != str(folder)} == before


def test_a_lost_manifest_is_created_from_keys_and_csrs(folder):
    """If the manifest is lost, a rebuild records every pair of key and CSR again.

    The next run keeps these pairs, and adds the missing facts.
    """
    plan, old = plan_of_servers(3), read_manifest(folder)
    before = keys_of(folder)
    lose_record(folder)
    bundle = rebuild(folder)
    assert bundle.counts() == {"adopted": 3}
    assert keys_of(folder) == before
    for record in bundle.requests:
        was = old.by_id[record.id]
        for name in ("generation", "state", "csr_sha256", "spki_sha256", "key_sha256", "files"):
            assert getattr(record, name) == getattr(was, name), name
        assert record.plan.san == was.plan.san
    name = plan.certificates[0].id
    assert bundle.manifest.by_id[name].archived[0].spki_sha256 == (
        old.by_id[name].archived[0].spki_sha256
    )
    assert bundle.manifest.log[0].event == "rebuilt"
    second_bundle = write(plan, folder)
    assert second_bundle.counts() == {"kept": 3}
    assert [r.plan for r in second_bundle.requests] == [r.plan for r in old.requests]
    assert keys_of(folder) == before


def test_a_newer_manifest_is_not_replaced(folder):
    """If a later version wrote the manifest, lyncnb does not rebuild it, because the other files do
    not contain all data in the manifest.
    """
    data = b'{"format": "lyncnb-requests/7"}'
    (folder / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError, match="is newer than the format of this lyncnb version"):
        rebuild(folder)
    assert (folder / "manifest.json").read_bytes() == data


def test_an_unrecorded_pair_is_adopted(folder):
    """If a restored older manifest lacks a key and its CSR, a rebuild records them."""
    old = read_manifest(folder)
    plan = plan_of_servers(4)
    write(plan, folder)
    save_manifest(folder, old)
    with pytest.raises(BundleError, match="needs attention"):
        write(plan, folder)
    assert rebuild(folder).counts() == {"adopted": 1}
    assert write(plan, folder).counts() == {"kept": 4}


def test_an_older_manifest_is_corrected(folder):
    """If a restored older manifest lacks a renewal, a rebuild restores the records from the files."""
    plan, old = plan_of_servers(3), read_manifest(folder)
    changed = with_extra_names(plan, 1, "sip.contoso.com")
    write(changed, folder)
    seen = public_keys_of_requests(folder)
    save_manifest(folder, old)
    assert rebuild(folder).counts() == {"adopted": 1}
    assert write(changed, folder).counts() == {"kept": 3}
    assert_complete(folder, changed, seen)


def test_a_key_without_a_csr_is_recorded(folder):
    """When lyncnb rebuilds a manifest, it records a key without a CSR as a superseded generation,
    because the CA may have the CSR.
    """
    plan, old = plan_of_servers(3), read_manifest(folder)
    record = old.requests[1]
    save_manifest(
        folder,
        old.with_records(
            [record.with_issued_certificate(issued_record(), at="2026-12-01T00:00:00Z")]
        ),
    )
    csr_path(folder, record.id).unlink()
    name = key_path(folder, record.id).name
    bundle = rebuild(folder)
    moved = bundle.manifest.by_id[record.id]
    assert (moved.generation, moved.is_written) == (2, False)
    assert moved.archived[0].spki_sha256 == record.spki_sha256
    assert moved.archived[0].issued == issued_record()
    assert moved.archived[0].plan == record.plan
    assert [path.name for path in archived_files(folder, record.id)] == [name]
    assert write(plan, folder).counts() == {"kept": 2, "renewed": 1}
    assert record.spki_sha256 in public_keys_of_keys(folder)


def test_unusable_files_are_reported_and_not_changed(folder):
    """lyncnb reports damaged keys, CSRs without a key, and unknown files when it rebuilds a
    manifest, and does not change these files.
    """
    names = [item.id for item in plan_of_servers(3).certificates]
    damaged, lone = key_path(folder, names[0]), key_path(folder, names[1])
    damaged.write_bytes(b"damaged")
    lone.unlink()
    (folder / "keys" / "other.key").write_bytes(b"x")
    lose_record(folder)
    bundle = rebuild(folder)
    assert [record.id for record in bundle.requests if record.is_written] == [names[2]]
    assert bundle.notes[0].startswith(
        "the record was lost: the saved plans and approvals, the reasons for accepted "
    )
    assert len([note for note in bundle.notes if not note.startswith("not verified")]) == 3
    assert f"keys/{damaged.name} is not a PEM file; lyncnb did not use this file" in bundle.notes[1]
    assert bundle.notes[2].startswith(
        f"csr/{lone.stem}.csr has no key, so lyncnb did not use this file. "
    )
    assert (folder / "keys" / "other.key").read_bytes() == b"x"


def test_exchanged_keys_are_detected(folder):
    """If the files of two keys were swapped, lyncnb reports both keys when it rebuilds the
    manifest, because the keys do not match their CSRs.
    """
    first, second = sorted((folder / "keys").iterdir())[:2]
    swap = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(swap)
    notes = rebuild(folder).notes
    assert len(notes) == 2
    assert all("does not belong to csr/" in note for note in notes)


def test_a_wrong_passphrase_changes_nothing(folder):
    """If the passphrase decrypts none of the keys, rebuilding the manifest changes nothing."""
    lose_record(folder)
    before = keys_of(folder)
    with pytest.raises(PassphraseError):
        rebuild_manifest(folder, "another passphrase")
    assert keys_of(folder) == before
    assert not (folder / "manifest.json").exists()


def test_a_folder_without_keys_is_refused(tmp_path):
    """If a folder contains no keys, lyncnb does not rebuild the manifest, and reports an error."""
    with pytest.raises(BundleError, match="contains no keys and no CSRs"):
        rebuild(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_rekey_stops_a_rebuild(folder):
    """If an interrupted change of the passphrase has left two passphrases in a folder, its manifest
    cannot be rebuilt.
    """
    manifest = read_manifest(folder)
    save_manifest(folder, replace(manifest, rekeying="2026-11-24T00:00:00Z"))
    with pytest.raises(BundleError, match="passphrase change"):
        rebuild(folder)


def test_a_key_of_an_interrupted_run_is_not_changed(folder):
    """If a run was interrupted after it wrote a key, rebuilding the manifest does not change the
    key. The next run archives the key and creates a new one.
    """
    plan = plan_of_servers(4)
    save_manifest(folder, write(plan, folder, dry_run=True).manifest)
    name = plan.certificates[3].id
    cipher = FolderCipher(PASSPHRASE)
    key = cipher.decrypt(next((folder / "keys").iterdir()).read_bytes())
    path = folder / "keys" / f"{name}-{compute_spki_sha256(key)[:8]}.key"
    path.write_bytes(cipher.encrypt(key))
    path.chmod(0o600)
    assert rebuild(folder).changes == ()
    assert path.exists()
    assert write(plan, folder).counts() == {"archived": 1, "kept": 3, "created": 1}


def test_a_notice_suggests_importing_certificates_again(folder):
    """After a rebuild, the manifest contains no certificates, and a notice suggests importing the
    files in returned/ again.
    """
    (folder / "returned").mkdir()
    (folder / "returned" / "a.cer").write_bytes(b"x")
    lose_record(folder)
    assert rebuild(folder).notes[-1].endswith("lyncnb receive FOLDER")
    assert os.listdir(folder / "returned") == ["a.cer"]


def test_half_written_files_are_removed(folder):
    """When lyncnb rebuilds the manifest, it removes temporary files."""
    (folder / "csr" / ".tmp-lyncnb-00").write_bytes(b"half")
    rebuild(folder)
    assert not list(folder.rglob(".tmp-*"))


def test_an_archived_key_that_was_encrypted_again_is_recorded(folder):
    """If an archived key was encrypted again, rebuilding the manifest records its new hash."""
    path = next((folder / "archive").glob("*.key"))
    cipher = FolderCipher(PASSPHRASE)
    path.write_bytes(cipher.encrypt(cipher.decrypt(path.read_bytes())))
    before = read_manifest(folder).requests[0].archived[0].key_sha256
    assert rebuild(folder).manifest.requests[0].archived[0].key_sha256 != before


@pytest.mark.posix
def test_links_and_invalid_signatures_are_reported(folder, tmp_path):
    """Rebuilding the manifest reports a symbolic link, and a CSR with an invalid signature, and
    does not record them.
    """
    names = [item.id for item in plan_of_servers(3).certificates]
    link = key_path(folder, names[0])
    os.rename(link, tmp_path / "key")
    os.symlink(tmp_path / "key", link)
    path = csr_path(folder, names[1])
    request = csr.parse_request(path.read_bytes())
    # The last byte of the CSR is part of the signature, so changing it makes the signature invalid.
    der = request.der[:-1] + bytes([request.der[-1] ^ 1])
    path.write_bytes(
        b"-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n"
        % base64.encodebytes(der)
    )
    lose_record(folder)
    _, *notes = rebuild(folder).notes
    assert "is a symbolic link" in notes[0]
    assert "the signature of the request is not valid" in notes[1]


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("key_kind", ODD_KEYS)
def test_an_unplanned_key_is_not_adopted(folder, key_kind, lost):
    """When lyncnb rebuilds the manifest, it reports a key with a small exponent, or with an
    unplanned size or curve, and leaves the key out of the manifest.
    """
    item = plan_of_servers(4).certificates[3]
    put_unusual_pair(folder, item, key_kind)
    pair = [csr_path(folder, item.id), key_path(folder, item.id)]
    before = [path.read_bytes() for path in pair]
    if lost:
        lose_record(folder)
    bundle = rebuild(folder)
    assert item.id not in bundle.manifest.by_id
    (note,) = [note for note in bundle.notes if item.id in note]
    assert "lyncnb cannot use the key" in note
    assert note.endswith("lyncnb did not use this file")
    assert [path.read_bytes() for path in pair] == before
    with pytest.raises(BundleError, match="needs attention") as caught:
        write(plan_of_servers(4), folder)
    assert "belongs to a file that lyncnb must write" in str(caught.value)


def test_generation_numbers_are_not_used_twice(tmp_path):
    """If an older manifest is restored, no generation number is used twice, and each certificate
    keeps its key.
    """
    folder, plan = tmp_path / "requests", plan_of_servers(2)
    write(plan, folder)
    first = plan.certificates[0].id
    certify(folder, first)
    saved = PlanOnRecord(
        sha256="a" * 64,
        plan_sha256=read_manifest(folder).plan_sha256,
        judged_on="2026-11-24",
        requested_at="2026-11-24T00:00:00Z",
    )
    save_manifest(folder, replace(read_manifest(folder), plans=(saved,)))
    older = read_manifest(folder)
    before = read_manifest(folder).by_id[first]
    write(plan, folder, renew=[first], reason="the key was seen by others")
    newer = read_manifest(folder).by_id[first]
    put_back(folder, older)
    rebuild_manifest(folder, PASSPHRASE, today=TODAY)
    record = read_manifest(folder).by_id[first]
    assert (record.generation, record.spki_sha256) == (2, newer.spki_sha256)
    assert (record.state, record.issued) == ("waiting", None)
    (old,) = record.archived
    assert (old.generation, old.spki_sha256) == (1, before.spki_sha256)
    assert old.issued == before.issued
    assert read_manifest(folder).plans == (saved,)
    receive(folder, folder / "returned", today=TODAY)
    assert read_manifest(folder).by_id[first].state == "waiting"
    write(plan, folder, renew=[first], reason="once more")
    assert [part.generation for part in read_manifest(folder).by_id[first].archived] == [1, 2]
    assert folder_status(folder, today=TODAY).problems == ()
    purge_list = purge(folder, today=TODAY)
    purge(folder, today=TODAY, confirmed=purge_list)


def test_the_current_key_gets_a_new_generation_number(tmp_path):
    """If an older backup is copied over a folder, the waiting renewal stays the current generation,
    and the superseded one is in the archive only.
    """
    folder, plan = tmp_path / "requests", plan_of_servers(1)
    write(plan, folder)
    backup = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (first,) = (certificate.id for certificate in plan.certificates)
    bundle = write(plan, folder, renew=[first], reason="the key was seen by others")
    renewed = bundle.manifest.by_id[first]
    for path, data in backup.items():
        path.write_bytes(data)
        path.chmod(0o600)
    rebuild_manifest(folder, PASSPHRASE, today=TODAY)
    record = read_manifest(folder).by_id[first]
    assert (record.generation, [part.generation for part in record.archived]) == (2, [1])
    assert record.spki_sha256 == renewed.spki_sha256
    assert len(list((folder / "keys").iterdir())) == len(archived_files(folder, first)) - 1 == 1
    write(plan, folder, renew=[first], reason="once more")
    assert [part.generation for part in read_manifest(folder).by_id[first].archived] == [1, 2]
    assert folder_status(folder).problems == ()


def test_an_unreadable_manifest_is_not_overwritten(tmp_path):
    """If the manifest could not be read, no command overwrites it."""
    folder, plan = tmp_path / "requests", plan_of_servers(2)
    write(plan, folder)
    manifest = read_manifest(folder)
    before = read_entries(folder)
    (record, _) = manifest.requests
    with pytest.raises(BundleError, match="the new state would not be valid") as caught:
        save_manifest(folder, replace(manifest, requests=(record, record)))
    assert "appears twice" in str(caught.value.problems[0])
    assert read_entries(folder) == before
