"""After an interrupted run, lyncnb uses the remaining files or moves them to archive/, but never
removes them.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest
from folders import (
    ODD_KEYS,
    PASSPHRASE,
    archived_files,
    assert_complete,
    certificate,
    csr_path,
    key_path,
    plan_of,
    plan_of_servers,
    public_keys_of_keys,
    public_keys_of_requests,
    put_back,
    put_unusual_pair,
    snapshot,
    with_extra_names,
    write,
)

from lyncnb.errors import BundleError, PassphraseError
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.files_on_disk import take_survey
from lyncnb.request_folder.leftovers import Move, move_files, process_leftovers, verify_passphrase
from lyncnb.request_folder.manifest import Manifest, read_manifest, save_manifest
from lyncnb.request_folder.request_record import list_current_files

pytestmark = pytest.mark.usefixtures("quick_cipher")
NOW = "2026-11-24T08:00:00Z"


def write_interrupted_folder(folder, plan, *, announced=None) -> Manifest:
    """Write a folder, and reset its records to the state before the keys and CSRs were written."""
    write(plan, folder)
    full_manifest = read_manifest(folder)
    records = (
        replace(
            r,
            state="planned",
            files=list_current_files(r.id),
            csr_sha256="",
            spki_sha256="",
            key_sha256="",
            written_at="",
        )
        for r in full_manifest.requests
        if announced is None or r.id in announced
    )
    manifest = full_manifest.with_records(records)
    put_back(folder, manifest)
    return manifest


def process_files(folder, manifest, cipher=True):
    """Process the files that an interrupted run left, with or without the passphrase."""
    return process_leftovers(
        take_survey(folder),
        manifest,
        cipher=FolderCipher(PASSPHRASE) if cipher else None,
        now=NOW,
    )


def test_finished_pairs_are_adopted(tmp_path):
    """If an interrupted run created a matching key and CSR, the next run uses them and generates no
    new key.
    """
    plan = plan_of_servers(3)
    manifest = write_interrupted_folder(tmp_path / "r", plan)
    before = snapshot(tmp_path / "r")
    settled = process_files(tmp_path / "r", manifest)
    assert settled.adopted == {item.id for item in plan.certificates}
    assert settled.moves == settled.changes == settled.problems == ()
    assert all(record.state == "waiting" for record in settled.manifest.requests)
    assert snapshot(tmp_path / "r") == before
    bundle = write(plan, tmp_path / "r")
    assert bundle.counts() == {"adopted": 3}
    assert public_keys_of_requests(tmp_path / "r") == {r.spki_sha256 for r in bundle.requests}


def test_a_key_without_its_csr_goes_to_the_archive(tmp_path):
    """lyncnb moves a key without a CSR to the archive, reports the move, and generates a new key."""
    folder, plan = tmp_path / "r", plan_of_servers(2)
    write_interrupted_folder(folder, plan)
    lone = plan.certificates[0].id
    seen = public_keys_of_requests(folder)
    csr_path(folder, lone).unlink()
    bundle = write(plan, folder)
    assert bundle.counts() == {"archived": 1, "created": 1, "adopted": 1}
    assert bundle.changes[0].reasons[0] == "left by an interrupted command"
    assert [event.event for event in read_manifest(folder).log] == ["archived"]
    assert [p.name.startswith(f"{lone}-orphan-") for p in (folder / "archive").iterdir()] == [True]
    assert_complete(folder, plan, seen)
    assert write(plan, folder).counts() == {"kept": 2}


def test_a_csr_without_its_key_goes_to_the_archive(tmp_path):
    """lyncnb moves a CSR without a key to the archive, because such a CSR is useless."""
    folder, plan = tmp_path / "r", plan_of_servers(1)
    write_interrupted_folder(folder, plan)
    key_path(folder, plan.certificates[0].id).unlink()
    assert write(plan, folder).counts() == {"archived": 1, "created": 1}
    assert len(list((folder / "archive").glob("*-orphan-*.csr"))) == 1


def test_a_key_that_does_not_match_its_csr_is_archived(tmp_path):
    """If a key and a CSR do not match, the run moves both of them to the archive."""
    folder, plan = tmp_path / "r", plan_of_servers(2)
    write_interrupted_folder(folder, plan)
    first, second = (key_path(folder, item.id) for item in plan.certificates)
    seen = public_keys_of_requests(folder)
    swap = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(swap)
    assert write(plan, folder).counts() == {"archived": 2, "created": 2}
    assert_complete(folder, plan, seen)


def test_a_damaged_key_is_archived(tmp_path):
    """If a key of an interrupted run is damaged, lyncnb moves the key to the archive and creates
    the request again.
    """
    folder, plan = tmp_path / "r", plan_of_servers(2)
    write_interrupted_folder(folder, plan)
    damaged = key_path(folder, plan.certificates[1].id)
    damaged.write_bytes(damaged.read_bytes()[:200])
    assert write(plan, folder).counts() == {"archived": 1, "adopted": 1, "created": 1}


def test_a_pair_of_another_plan_is_adopted_and_then_superseded(tmp_path):
    """If an interrupted run left a key and a CSR for an earlier plan, lyncnb archives the pair as a
    complete generation.
    """
    folder, plan = tmp_path / "r", plan_of_servers(2)
    write_interrupted_folder(folder, plan)
    seen = public_keys_of_requests(folder)
    changed = with_extra_names(plan, 0, "sip.contoso.com")
    bundle = write(changed, folder)
    assert bundle.counts() == {"renewed": 1, "adopted": 1}
    assert bundle.changes[0].reasons == ("san: + sip.contoso.com",)
    name = plan.certificates[0].id
    assert [p.suffix for p in archived_files(folder, name)] == [".csr", ".key"]
    assert_complete(folder, changed, seen)


def test_a_pair_outside_the_plan_is_adopted_as_retired(tmp_path):
    """If a key and a CSR are for a request that is not in the plan anymore, they stay in place, and
    the request is retired.
    """
    folder, plan = tmp_path / "r", plan_of_servers(2)
    write_interrupted_folder(folder, plan)
    bundle = write(plan_of(plan.certificates[0]), folder)
    assert bundle.counts() == {"adopted": 1, "retired": 1}
    assert [record.state for record in bundle.requests] == ["waiting", "retired"]
    assert bundle.requests[1].is_written


@pytest.mark.parametrize("stop", ["before", "csr linked", "csr moved", "key linked", "both moved"])
def test_a_move_that_was_interrupted_is_finished(tmp_path, stop):
    """If lyncnb was interrupted while it moved a superseded key and CSR to the archive, the next
    run completes the move.
    """
    folder, plan = tmp_path / "r", plan_of_servers(2)
    write(plan, folder)
    seen = public_keys_of_requests(folder)
    changed = with_extra_names(plan, 0, "sip.contoso.com")
    write(changed, folder)
    name = plan.certificates[0].id
    # Restore the state in which the move was announced, and the new request was not written yet.
    manifest = read_manifest(folder)
    announced = replace(
        manifest.by_id[name],
        state="planned",
        files=list_current_files(name),
        csr_sha256="",
        spki_sha256="",
        key_sha256="",
    )
    put_back(folder, manifest.with_records([announced]))
    csr_path(folder, name).unlink()
    key_path(folder, name).unlink()
    for old in archived_files(folder, name):
        kind = old.suffix[1:]
        now = folder / {"csr": "csr", "key": "keys"}[kind] / old.name
        if stop == "before" or (kind == "key" and stop in ("csr linked", "csr moved")):
            os.rename(old, now)
        elif stop == f"{kind} linked":
            os.link(old, now)
    bundle = write(changed, folder)
    assert bundle.counts() == {"renewed": 1, "kept": 1}
    assert [p.suffix for p in archived_files(folder, name)] == [".csr", ".key"]
    assert_complete(folder, changed, seen)


def test_a_copy_of_a_folder_completes_the_move(tmp_path):
    """If a copied folder contains the same file in the old place and in the archive, the next run
    removes the file from the old place.
    """
    folder, plan = tmp_path / "r", plan_of_servers(1)
    write(plan, folder)
    (folder / "archive").mkdir(mode=0o700)
    name = plan.certificates[0].id
    changed = with_extra_names(plan, 0, "sip.contoso.com")
    bundle = write(changed, folder, dry_run=True)
    save_manifest(folder, bundle.manifest)
    shutil.copy(csr_path(folder, name), folder / "archive")
    shutil.copy2(key_path(folder, name), folder / "archive")
    seen = public_keys_of_requests(folder)
    assert write(changed, folder).counts() == {"renewed": 1}
    assert_complete(folder, changed, seen)
    assert len(archived_files(folder, name)) == 2


def test_a_key_that_was_encrypted_again_is_recorded(tmp_path):
    """If a person has encrypted a key again with the same passphrase, it is recorded, and not
    reported as damaged.
    """
    folder, plan = tmp_path / "r", plan_of_servers(1)
    write(plan, folder)
    path = key_path(folder, plan.certificates[0].id)
    cipher = FolderCipher(PASSPHRASE)
    path.write_bytes(cipher.encrypt(cipher.decrypt(path.read_bytes())))
    assert write(plan, folder).counts() == {"kept": 1}
    after = snapshot(folder)
    assert write(plan, folder).counts() == {"kept": 1}
    assert snapshot(folder) == after


def test_half_written_files_are_removed(tmp_path):
    """Temporary files are removed, because there is no CSR for the keys in them."""
    folder, plan = tmp_path / "r", plan_of_servers(1)
    write(plan, folder)
    for subfolder in ("", "csr", "keys"):
        (folder / subfolder / ".tmp-lyncnb-0123456789abcdef").write_bytes(b"half")
    assert write(plan, folder).counts() == {"kept": 1}
    assert not list(folder.rglob(".tmp-*"))


def test_the_passphrase_must_decrypt_an_intact_key(tmp_path):
    """If the passphrase cannot decrypt an intact key, the run ends with an error.

    An empty folder accepts any passphrase.
    """
    folder, plan = tmp_path / "r", plan_of_servers(3)
    assert verify_passphrase(take_survey(folder), Manifest(), FolderCipher(PASSPHRASE)) is False
    manifest = write(plan, folder).manifest
    survey = take_survey(folder)
    assert verify_passphrase(survey, manifest, FolderCipher(PASSPHRASE)) is True
    with pytest.raises(PassphraseError, match="the passphrase does not match this key"):
        verify_passphrase(survey, manifest, FolderCipher("another passphrase"))
    damaged = key_path(folder, plan.certificates[0].id)
    damaged.write_bytes(b"gone")
    assert verify_passphrase(survey, manifest, FolderCipher(PASSPHRASE)) is True


def test_the_passphrase_is_checked_with_archived_keys(tmp_path):
    """If all requests of a folder are superseded, the passphrase is checked with the archived keys."""
    folder, plan = tmp_path / "r", plan_of_servers(1)
    manifest = write(plan, folder).manifest
    (folder / "archive").mkdir(mode=0o700)
    name = plan.certificates[0].id
    os.rename(key_path(folder, name), folder / "archive" / f"{name}-g1.key")
    with pytest.raises(PassphraseError):
        verify_passphrase(take_survey(folder), manifest, FolderCipher("another passphrase"))
    assert verify_passphrase(take_survey(folder), manifest, FolderCipher(PASSPHRASE)) is True


def test_another_passphrase_is_rejected_after_an_interrupted_run(tmp_path):
    """After an interrupted first run, another passphrase is rejected, so that a folder never has
    two passphrases.
    """
    folder, plan = tmp_path / "r", plan_of_servers(2)
    write_interrupted_folder(folder, plan)
    before = snapshot(folder)
    with pytest.raises(PassphraseError):
        write(plan, folder, passphrase="another passphrase")
    assert snapshot(folder) == before


def test_a_file_is_not_moved_to_an_existing_name(tmp_path):
    """If a file with the same name already exists in archive/, lyncnb does not move the new file,
    and keeps both files.
    """
    (tmp_path / "archive").mkdir()
    (tmp_path / "a.key").write_bytes(b"one")
    (tmp_path / "archive" / "a.key").write_bytes(b"two")
    with pytest.raises(BundleError, match="already exists"):
        move_files(take_survey(tmp_path), [Move(source="a.key", target="archive/a.key")])
    assert (tmp_path / "a.key").read_bytes() == b"one"
    assert (tmp_path / "archive" / "a.key").read_bytes() == b"two"


def test_a_dry_run_without_a_passphrase_assumes_intact_keys(tmp_path):
    """Without a passphrase, a dry run assumes that keys are intact, and shows which keys and CSRs
    would be adopted.
    """
    folder, plan = tmp_path / "r", plan_of(certificate(1))
    manifest = write_interrupted_folder(folder, plan)
    assert len(process_files(folder, manifest, cipher=False).adopted) == 1
    assert write(plan, folder, passphrase=None, dry_run=True).counts() == {"adopted": 1}
    assert public_keys_of_keys(folder) == public_keys_of_requests(folder)


@pytest.mark.parametrize("key_kind", ODD_KEYS)
def test_an_unplanned_key_is_archived(tmp_path, key_kind):
    """If a key file has the name of an announced request, but contains an unplanned type of key, it
    is moved to the archive.
    """
    folder, plan = tmp_path / "r", plan_of_servers(2)
    item = plan.certificates[1]
    write_interrupted_folder(folder, plan, announced={item.id})
    put_unusual_pair(folder, item, key_kind)
    assert write(plan, folder).counts() == {"archived": 1, "kept": 1, "created": 1}
    assert len(list((folder / "archive").glob(f"{item.id}-orphan-*"))) == 2
    assert_complete(folder, plan)
