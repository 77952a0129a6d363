"""At any time during a change of the passphrase, every key can be decrypted. Afterwards, the new
passphrase applies to the whole folder.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from folders import (
    PASSPHRASE,
    assert_complete,
    assert_private,
    key_path,
    plan_of_servers,
    public_keys_of_keys,
    public_keys_of_requests,
    snapshot,
    write,
)

import lyncnb as ln
from lyncnb.authorities.status import folder_status
from lyncnb.base.disk import system_calls
from lyncnb.errors import BundleError, PassphraseError
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.manifest import read_manifest, save_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")

NEW = "wrong mule capacitor"
LIST = "pfx/passwords.enc"


@pytest.fixture
def folder(tmp_path):
    """Write a request folder that contains a superseded generation, a list of passwords and unknown
    files.
    """
    path, plan = tmp_path / "requests", plan_of_servers(4)
    write(plan, path)
    write(plan, path, renew=[plan.certificates[0].id], reason="x")
    (path / "pfx").mkdir(mode=0o700)
    (path / LIST).write_bytes(FolderCipher(PASSPHRASE).encrypt_data(b"a,secret", name=LIST))
    (path / LIST).chmod(0o600)
    save_manifest(path, read_manifest(path).with_encrypted_file(LIST))
    return path


def test_every_file_uses_the_new_passphrase(folder):
    """After a change of the passphrase, the keys, the archived keys and the lists can be decrypted
    only with the new passphrase.
    """
    plan, before = plan_of_servers(4), public_keys_of_keys(folder)
    steps = []
    result = rekey(folder, PASSPHRASE, NEW, progress=lambda *step: steps.append(step))
    assert (result.changed, result.already, result.left_alone) == (6, 0, ())
    assert steps == [(number, 6) for number in range(1, 7)]
    assert public_keys_of_keys(folder, NEW) == before
    assert FolderCipher(NEW).decrypt_data((folder / LIST).read_bytes(), name=LIST) == b"a,secret"
    assert folder_status(folder).problems == ()
    with pytest.raises(PassphraseError):
        write(plan, folder)
    after = snapshot(folder)
    assert write(plan, folder, passphrase=NEW).counts() == {"kept": 4}
    assert snapshot(folder) == after
    assert_private(folder)


@pytest.mark.parametrize("data", [b"", b"no PEM", None])
def test_a_damaged_list_of_passwords_does_not_stop_the_change(folder, data):
    """If the list of passwords is damaged, the command reports it and does not change it, but
    encrypts all keys with the new passphrase.

    Packages can be created again, but a key cannot.
    """
    if (
        data is None
        # None stands for a list that was encrypted with another passphrase, which is noticed only
        # when the list is decrypted.
    ):
        data = FolderCipher("of another folder").encrypt_data(b"a,secret", name=LIST)
    (folder / LIST).write_bytes(data)
    before = public_keys_of_keys(folder)
    result = rekey(folder, PASSPHRASE, NEW)
    assert (result.changed, result.left_alone) == (5, (LIST,))
    assert (folder / LIST).read_bytes() == data
    assert public_keys_of_keys(folder, NEW) == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (PASSPHRASE, " " * 20, "too easy to guess"),
        ("another passphrase", NEW, "the passphrase does not match this key"),
        (PASSPHRASE, PASSPHRASE, "the new passphrase is the same as the old passphrase"),
        (PASSPHRASE, "short", "at least 12"),
    ],
)
def test_a_wrong_passphrase_changes_nothing(folder, old, new, message):
    """If the passphrase is wrong, nothing is changed, because lyncnb decrypts every file before it
    changes the first one.
    """
    before = snapshot(folder)
    with pytest.raises(PassphraseError, match=message):
        rekey(folder, old, new)
    assert snapshot(folder) == before


@pytest.mark.parametrize("old", [PASSPHRASE, "never a passphrase of it"])
def test_a_wrong_old_passphrase_is_refused_although_the_new_one_opens(folder, old):
    """An old passphrase that does not open the folder is refused, also if the new one opens it, as
    after a complete change. Nothing is written.
    """
    rekey(folder, PASSPHRASE, NEW)
    before = snapshot(folder)
    with pytest.raises(PassphraseError, match="the change is complete"):
        rekey(folder, old, NEW)
    assert snapshot(folder) == before
    with pytest.raises(PassphraseError):
        rekey(folder, PASSPHRASE, "a third passphrase of words")


def test_a_damaged_key_stops_the_change(folder):
    """If a key of the folder is damaged, the change of the passphrase stops before any file is
    changed.

    The error contains the name of the key file.
    """
    name = plan_of_servers(4).certificates[2].id
    path = key_path(folder, name)
    path.write_bytes(b"damaged")
    keys = snapshot(folder / "keys")
    with pytest.raises(BundleError, match="needs attention") as caught:
        rekey(folder, PASSPHRASE, NEW)
    assert f"keys/{path.name}" in str(caught.value)
    assert snapshot(folder / "keys") == keys
    assert read_manifest(folder).rekeying == ""


def test_key_in_the_file_of_another_request_stops_the_change(folder):
    """If a key file contains the key of another request, the change of the passphrase stops."""
    first, second = sorted((folder / "keys").iterdir())[:2]
    first.write_bytes(second.read_bytes())
    with pytest.raises(BundleError, match="needs attention") as caught:
        rekey(folder, PASSPHRASE, NEW)
    assert "differs from the key on record" in str(caught.value)


def test_unknown_key_files_are_reported_and_not_changed(folder):
    """If the folder contains a key file that lyncnb did not write, the command reports this file
    and does not change it.
    """
    other = FolderCipher("somebody else's own").encrypt_data(b"x", name=LIST)
    (folder / "keys" / "other.key").write_bytes(other)
    (folder / "keys" / "other.key").chmod(0o600)
    result = rekey(folder, PASSPHRASE, NEW)
    assert result.left_alone == ("keys/other.key",)
    assert (folder / "keys" / "other.key").read_bytes() == other


@pytest.mark.parametrize("completed_steps", range(1, 6))
def test_an_interrupted_change_is_detected_and_completed(folder, completed_steps, monkeypatch):
    """After an interrupted change of the passphrase, no other command can write to the folder until
    the user repeats and completes the change.
    """
    plan, before = plan_of_servers(4), public_keys_of_keys(folder)
    real, count = os.replace, iter(range(100))

    def stop(source, target):
        # The first file is the entry, which records that a change has begun.
        if next(count) >= completed_steps:
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(system_calls, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            rekey(folder, PASSPHRASE, NEW)
    assert read_manifest(folder).rekeying
    assert public_keys_of_keys(folder, PASSPHRASE, NEW) == before
    for passphrase in (PASSPHRASE, NEW):
        with pytest.raises(BundleError, match="the passphrase change"):
            write(plan, folder, passphrase=passphrase)
        with pytest.raises(BundleError, match="the passphrase change that started at"):
            ln.write_pfx(ln.match_certificates(ln.open_requests(folder)), passphrase=passphrase)
    assert [item.file for item in folder_status(folder).problems] == ["record/"]
    finished = rekey(folder, PASSPHRASE, NEW)
    assert finished.changed + finished.already == 6
    assert public_keys_of_keys(folder, NEW) == before
    assert write(plan, folder, passphrase=NEW).counts() == {"kept": 4}
    assert public_keys_of_requests(folder) <= before


def test_the_error_lists_the_files_of_each_passphrase(folder, monkeypatch):
    """If a file cannot be replaced, the error message and the status command list the files that
    are encrypted with the old and with the new passphrase.
    """
    real, stopped = os.replace, []

    def refuse(source, target):
        if target.suffix == ".key" and "archive" in target.parts:
            stopped.append(target.name)
            raise PermissionError(13, "Permission denied")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(system_calls, "replace", refuse)
        with pytest.raises(BundleError, match="the old passphrase still opens") as caught:
            rekey(folder, PASSPHRASE, NEW)
    assert "with the same two passphrases" in caught.value.hint
    messages = {problem.file: problem.message for problem in caught.value.problems}
    assert len(messages) == 6
    for name, message in messages.items():
        opener = PASSPHRASE if "still uses the old" in message else NEW
        FolderCipher(opener).open_file((folder / name).read_bytes(), name=name)
    assert messages[f"archive/{stopped[0]}"] == "still uses the old passphrase"
    status = folder_status(folder).problems[0].message
    for name, message in messages.items():
        is_new = message == "already uses the new passphrase"
        assert (name in status) == (is_new and name.startswith("keys/"))
    assert rekey(folder, PASSPHRASE, NEW).already == 6 - list(messages.values()).count(
        "still uses the old passphrase"
    )


def test_an_interrupted_change_needs_the_same_two_passphrases(folder):
    """If a user repeats an interrupted change with a different passphrase, lyncnb writes nothing,
    and the message lists the files.
    """
    manifest = read_manifest(folder)
    save_manifest(folder, replace(manifest, rekeying="2026-11-24T00:00:00Z"))
    key = sorted((folder / "keys").iterdir())[0]
    key.write_bytes(FolderCipher(NEW).encrypt(FolderCipher(PASSPHRASE).decrypt(key.read_bytes())))
    with pytest.raises(BundleError, match="needs attention"):
        rekey(folder, PASSPHRASE, "a third passphrase")
    assert rekey(folder, PASSPHRASE, NEW).already == 1


def test_an_interrupted_change_to_a_weak_passphrase_is_completed(folder):
    """If an earlier version has begun a change to a weak passphrase, this change can still be
    completed.
    """
    weak = "a" * 12
    save_manifest(folder, replace(read_manifest(folder), rekeying="2026-11-24T00:00:00Z"))
    key = sorted((folder / "keys").iterdir())[0]
    key.write_bytes(FolderCipher(weak).encrypt(FolderCipher(PASSPHRASE).decrypt(key.read_bytes())))
    assert rekey(folder, PASSPHRASE, weak).already == 1


def test_an_interrupted_run_is_completed_after_the_change(folder):
    """When lyncnb changes the passphrase, it also encrypts keys whose CSR was not written. The next
    run completes the requests for these keys.
    """
    plan = plan_of_servers(5)
    dry = write(plan, folder, dry_run=True)
    save_manifest(folder, dry.manifest)
    lone = folder / "keys" / f"{plan.certificates[4].id}-0123abcd.key"
    key = FolderCipher(PASSPHRASE).decrypt(next((folder / "keys").iterdir()).read_bytes())
    lone.write_bytes(FolderCipher(PASSPHRASE).encrypt(key))
    lone.chmod(0o600)
    assert rekey(folder, PASSPHRASE, NEW).changed == 7
    assert write(plan, folder, passphrase=NEW).counts() == {
        "archived": 1, "kept": 4, "created": 1,
    }  # fmt: skip
    assert public_keys_of_requests(folder) <= public_keys_of_keys(folder, NEW)


def test_the_result_contains_the_number_of_files(folder):
    """The result of a change of the passphrase contains the number of changed files, as text and as
    JSON.
    """
    result = rekey(folder, PASSPHRASE, NEW)
    assert repr(result) == f"6 files in {folder} now use the new passphrase"
    assert json.loads(json.dumps(result.to_document()))["changed"] == 6


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    """If a folder has no manifest, lyncnb refuses to change the passphrase, and creates no file in
    the folder.
    """
    with pytest.raises(BundleError, match="does not exist"):
        rekey(tmp_path, PASSPHRASE, NEW)
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_is_complete_after_the_change(folder):
    """If the passphrase of a new folder is changed and then changed back, the folder is still
    complete.
    """
    plan = plan_of_servers(4)
    rekey(folder, PASSPHRASE, NEW)
    rekey(folder, NEW, PASSPHRASE)
    assert_complete(folder, plan)


def test_a_disk_that_returns_other_bytes_is_detected(folder, monkeypatch):
    """When the passphrase is changed, an old encrypted key is removed only after the new one was
    read from the disk and decrypted.
    """
    before = public_keys_of_keys(folder)
    other = FolderCipher(PASSPHRASE).decrypt(next((folder / "archive").glob("*.key")).read_bytes())
    real = FolderCipher.encrypt
    monkeypatch.setattr(FolderCipher, "encrypt", lambda self, key: real(self, other))
    with pytest.raises(BundleError, match="but then read different content from it"):
        rekey(folder, PASSPHRASE, NEW)
    monkeypatch.undo()
    assert public_keys_of_keys(folder, PASSPHRASE, NEW) == before
    assert not list(folder.rglob(".tmp-*"))


@pytest.mark.posix
def test_a_key_that_others_can_read_stops_the_change(folder):
    """If other users can read a key, the passphrase cannot be changed until the permissions are
    corrected.
    """
    next((folder / "keys").iterdir()).chmod(0o644)
    with pytest.raises(BundleError, match="needs attention") as caught:
        rekey(folder, PASSPHRASE, NEW)
    assert "chmod 600" in str(caught.value)


def test_half_written_files_of_an_earlier_run_are_removed(folder):
    """When lyncnb changes the passphrase, it removes temporary files of an earlier run, because no
    passphrase can decrypt them.
    """
    (folder / "keys" / ".tmp-lyncnb-00").write_bytes(b"half")
    (folder / "keys" / "other.key").write_bytes(b"x")
    (folder / "keys" / "other.key").chmod(0o600)
    result = rekey(folder, PASSPHRASE, NEW)
    assert not list(folder.rglob(".tmp-*"))
    assert repr(result).endswith("neither passphrase can decrypt them: keys/other.key")


def test_files_of_an_interrupted_change_are_counted(folder):
    """If an interrupted change of the passphrase is repeated, the result also contains the number
    of files that were already encrypted.
    """
    save_manifest(folder, replace(read_manifest(folder), rekeying="2026-11-24T00:00:00Z"))
    key = sorted((folder / "keys").iterdir())[0]
    key.write_bytes(FolderCipher(NEW).encrypt(FolderCipher(PASSPHRASE).decrypt(key.read_bytes())))
    assert repr(rekey(folder, PASSPHRASE, NEW)).endswith("; already changed: 1")
