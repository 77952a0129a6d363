"""If the passphrase of a folder is lost, only the folder's recovery key can decrypt the folder."""

from __future__ import annotations

import errno
import html
import json
import os
import random
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from failing import fail_one_call
from folders import (
    PASSPHRASE,
    TODAY,
    assert_complete,
    assert_private,
    key_path,
    lose_record,
    plan_of_servers,
    public_keys_of_keys,
    put_back,
    read_document,
    snapshot,
    write,
)
from lab_driver import CHROMIUM
from printing import PDF_TOOLS, page_count, pdf_text

from lyncnb.authorities.status import folder_status
from lyncnb.base.pasted_text import show_invisible_characters
from lyncnb.base.shown.browser_print import print_page
from lyncnb.base.terminal import quote_argument
from lyncnb.deploy.purge_keys import purge
from lyncnb.errors import BundleError, OutputError, PassphraseError
from lyncnb.pki.pkcs8 import FolderCipher, read_derivation
from lyncnb.request_folder import recovery_key
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest
from lyncnb.request_folder.recovery_key import (
    LIST,
    Recipient,
    create_recovery_key,
    name_recovery_key,
    open_recovery_key,
    read_recovery_keys,
)

pytestmark = pytest.mark.usefixtures("quick_cipher")

OWN = "four random words here"  # This passphrase protects the recovery key, not the folder.
NEW = "wrong mule capacitor"


@pytest.fixture
def pair(tmp_path):
    """Create a recovery key, and return the path of its private key."""
    path = tmp_path / "keep" / "recovery"
    path.parent.mkdir()
    create_recovery_key(path, OWN)
    return path


@pytest.fixture
def other_key(tmp_path):
    """Create a second recovery key, for which nothing was encrypted."""
    create_recovery_key(tmp_path / "other", OWN)
    return tmp_path / "other"


def public(pair) -> str:
    """Return the path of the file that contains the public key."""
    return f"{pair}.pub"


def read_private_key(pair):
    """Return the private key of a recovery key pair."""
    return open_recovery_key(pair, OWN)


@pytest.mark.posix
def test_openssl_reads_a_recovery_key(pair):
    """OpenSSL can read both parts of a recovery key pair: the private key and the public key.

    The private key is encrypted, and no file is overwritten.
    """
    assert oct(pair.stat().st_mode)[-3:] == "600"
    for arguments in (
        ("pkey", "-in", pair, "-passin", f"pass:{OWN}", "-noout", "-text"),
        ("pkey", "-pubin", "-in", public(pair), "-noout", "-text"),
    ):
        completed = subprocess.run(
            ["openssl", *arguments], capture_output=True, text=True, check=True
        )
        assert "X25519" in completed.stdout
    halves = pair, Path(public(pair)), pair.with_name("recovery.html")
    before = [half.read_bytes() for half in halves]
    with pytest.raises(OutputError, match="already exists"):
        create_recovery_key(pair, OWN)
    assert [half.read_bytes() for half in halves] == before
    with pytest.raises(PassphraseError, match="the passphrase does not match"):
        open_recovery_key(pair, "another passphrase")
    assert OWN not in repr(read_private_key(pair))


def text_of_sheet(sheet: str) -> str:
    """Return the text of a recovery sheet, with its line breaks."""
    body = sheet.partition("<body")[2].replace("<br>", "\n")
    return html.unescape(re.sub(r"<[^>]*>", "", body))


def test_a_recovery_sheet_has_fingerprint_and_commands(pair):
    """The printed sheet for a recovery key contains its fingerprint, lines to fill in, and
    commands.
    """
    fingerprint = read_private_key(pair).public.fingerprint
    sheet = pair.with_name("recovery.html").read_text("utf-8")
    words = text_of_sheet(sheet)
    for expected in (
        fingerprint,
        "Computer and path of the request folder",
        "lyncnb rekey FOLDER --recovery recovery.pub",
        "lyncnb rekey FOLDER --with-recovery recovery\n",
        f"lyncnb rekey FOLDER --without-recovery {fingerprint}",
    ):
        assert expected in words, expected
    assert sheet.count('class="fill"') == 4
    pem = pair.read_text("ascii")
    purpose, _, secret = pem.partition("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert fingerprint in purpose
    assert "This key opens each request folder" in purpose
    assert all(line not in sheet for line in (OWN, str(pair.parent), *secret.splitlines()))
    serialization.load_pem_private_key(pem.encode(), OWN.encode())


ON_LINUX = (pytest.param(name, marks=pytest.mark.posix) for name in ("a <b> & c.key", "\udcff"))


@pytest.mark.parametrize("name", [*ON_LINUX, "$(id)", "a & c.key"])
def test_a_recovery_sheet_shows_any_file_name(tmp_path, name):
    """On a recovery sheet, a file name with special characters appears as text, and as one argument
    in each command.
    """
    create_recovery_key(tmp_path / name, OWN)
    sheet = (tmp_path / f"{name}.html").read_text("utf-8")
    words = text_of_sheet(sheet)
    assert f"--with-recovery {quote_argument(show_invisible_characters(name))}\n" in words


@pytest.mark.browser
@pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext")
def test_a_recovery_sheet_fits_on_one_page(pair, tmp_path, monkeypatch):
    """A recovery sheet fits on one printed page, even with a long file name."""
    monkeypatch.setenv("LYNCNB_CHROMIUM", CHROMIUM)
    path = tmp_path / f"{'recovery-of-contoso-' * 3}.key"
    create_recovery_key(path, OWN)
    printed = tmp_path / "sheet.pdf"
    printed.write_bytes(print_page(path.with_name(f"{path.name}.html").read_text("utf-8")))
    assert page_count(printed) == 1
    assert "stolen" in pdf_text(printed)


def test_a_recovery_key_is_not_written_to_its_folder(tmp_path):
    """A recovery key cannot be written to the folder that it decrypts, because a person who steals
    the folder would then have both.
    """
    write(plan_of_servers(1), tmp_path / "requests")
    with pytest.raises(OutputError):
        create_recovery_key(tmp_path / "requests" / "keys" / "recovery", OWN)


def test_a_folder_can_be_decrypted_with_a_recovery_key(tmp_path, pair):
    """With a recovery key, a user can decrypt all keys of a folder, including archived ones, and
    set a new passphrase.
    """
    folder, plan = tmp_path / "requests", plan_of_servers(3)
    write(plan, folder, recovery=[public(pair)], today=TODAY)
    (recovery_entry,) = read_manifest(folder).recovery
    write(plan_of_servers(4), folder)  # A later run encrypts its keys with another salt.
    write(plan_of_servers(4), folder, renew=[plan.certificates[0].id], reason="x")
    before = public_keys_of_keys(folder)
    with pytest.raises(PassphraseError):
        rekey(folder, "not the passphrase", NEW)
    result = rekey(folder, read_private_key(pair), NEW)
    assert (result.changed, result.already, result.left_alone) == (
        6,
        0,
        (),
    )  # The six changed files include the encrypted list of recovery keys.
    assert public_keys_of_keys(folder, NEW) == before
    assert folder_status(folder).problems == ()
    assert_complete(folder, plan_of_servers(4), passphrase=NEW)
    assert_private(folder)
    (after,) = read_manifest(folder).recovery
    assert after == recovery_entry
    # The recovery key is still listed, and can also decrypt the folder after the change.
    rekey(folder, read_private_key(pair), "yet another passphrase")
    assert public_keys_of_keys(folder, "yet another passphrase") == before


def test_a_recovery_key_is_added_to_an_existing_folder(tmp_path, pair):
    """If a user adds a recovery key to an existing folder, lyncnb encrypts the passphrase for this
    key, and does not change the key files.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(3), folder)
    before = snapshot(folder / "keys")
    (recovery_entry,) = name_recovery_key(folder, PASSPHRASE, public(pair), today=TODAY)
    assert snapshot(folder / "keys") == before
    assert recovery_entry.fingerprint == read_private_key(pair).public.fingerprint
    assert f"the recovery key {recovery_entry.fingerprint} (added on" in repr(folder_status(folder))
    assert write(plan_of_servers(3), folder).counts() == {"kept": 3}
    paths = [*(folder / "record").iterdir(), *(folder / "recovery").iterdir()]
    stats = [(path.stat().st_mtime_ns, path.read_bytes()) for path in paths]
    name_recovery_key(folder, PASSPHRASE, public(pair), today=TODAY)
    write(plan_of_servers(3), folder, recovery=[public(pair)])
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in paths] == stats
    rekey(folder, read_private_key(pair), NEW)
    assert len(public_keys_of_keys(folder, NEW)) == 3


def test_another_recovery_key_is_rejected(tmp_path, pair, other_key):
    """A recovery key cannot decrypt a folder for which it was not added."""
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    with pytest.raises(
        BundleError, match="contains no file that was encrypted for the recovery key"
    ):
        rekey(folder, read_private_key(other_key), NEW)


def test_nothing_is_encrypted_for_a_planted_key(tmp_path, pair, other_key):
    """If an attacker replaces a recovery key in the manifest, a command names the difference and
    encrypts nothing.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    foreign = tmp_path / "foreign"
    write(
        plan_of_servers(2),
        foreign,
        passphrase="somebody else's words",
        recovery=[public(other_key)],
    )
    fingerprints = [read_private_key(key_path).public.fingerprint for key_path in (pair, other_key)]
    text = json.dumps(read_document(folder))
    put_back(folder, json.loads(text.replace(fingerprints[0], fingerprints[1])))
    with pytest.raises(BundleError, match="recovery keys that are not on record") as caught:
        write(plan_of_servers(3), folder)
    assert fingerprints[0] in caught.value.message
    sealed = [
        json.loads(sealed_path.read_bytes())
        for sealed_path in (folder / "recovery").glob("*.sealed")
    ]
    assert {document["recovery"] for document in sealed} == {fingerprints[0]}
    shutil.copy(foreign / LIST, folder / LIST)
    before = snapshot(folder / "keys")
    with pytest.raises(PassphraseError):
        write(plan_of_servers(4), folder)
    assert snapshot(folder / "keys") == before


def test_a_planted_list_gives_no_access(tmp_path, pair, other_key):
    """After a recovery, only the recovery key that was used can decrypt the new passphrase. All
    other recovery keys must be added again.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    ours, theirs = (
        recovery_key.read_recovery_key(public(key_path)) for key_path in (pair, other_key)
    )
    recipients = [Recipient(key=key, added_at="2026-11-24T00:00:00Z") for key in (ours, theirs)]
    # The attacker has write access and the public keys, but does not know the passphrase of the
    # folder.
    recovery_key.write_recovery_list(folder, FolderCipher("words of the attacker"), recipients)
    result = rekey(folder, read_private_key(pair), NEW)
    assert result.not_sealed == (theirs.fingerprint,)
    assert theirs.fingerprint in repr(result)
    assert [recipient.key for recipient in read_recovery_keys(folder, FolderCipher(NEW))] == [ours]
    assert [record.fingerprint for record in read_manifest(folder).recovery] == [ours.fingerprint]
    write(plan_of_servers(3), folder, passphrase=NEW)
    with pytest.raises(
        BundleError, match="contains no file that was encrypted for the recovery key"
    ):
        rekey(folder, read_private_key(other_key), "the attacker's passphrase")
    # The owner of the folder adds the other recovery key again.
    name_recovery_key(folder, NEW, public(other_key))
    rekey(folder, read_private_key(other_key), "yet another passphrase")


def test_a_missing_list_of_recovery_keys_is_reported(tmp_path, pair):
    """A missing list of recovery keys is reported before anything is encrypted.

    To create the list again, the user adds the recovery key again.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    (folder / LIST).unlink()
    with pytest.raises(BundleError, match=r"recovery/keys.enc is missing"):
        write(plan_of_servers(3), folder)
    assert len(list((folder / "keys").iterdir())) == 2
    name_recovery_key(folder, PASSPHRASE, public(pair))
    assert write(plan_of_servers(3), folder).counts() == {"kept": 2, "created": 1}
    rekey(folder, read_private_key(pair), NEW)
    assert len(public_keys_of_keys(folder, NEW)) == 3


def test_a_removed_recovery_key_cannot_decrypt_the_folder(tmp_path, pair, other_key):
    """After a recovery key is removed, it can decrypt only old copies of the folder."""
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair), public(other_key)])
    shutil.copytree(folder, tmp_path / "copy")
    salts = {read_derivation(p.read_bytes(), name=p.name) for p in (folder / "keys").iterdir()}
    fingerprint = read_private_key(pair).public.fingerprint
    rekey(folder, PASSPHRASE, NEW, take_out=[fingerprint[:9]])
    assert not salts & {
        read_derivation(p.read_bytes(), name=p.name) for p in (folder / "keys").iterdir()
    }
    assert [key.fingerprint for key in read_manifest(folder).recovery] == [
        read_private_key(other_key).public.fingerprint
    ]
    with pytest.raises(BundleError, match="contains no file that was encrypted"):
        rekey(folder, read_private_key(pair), "yet another passphrase")
    rekey(folder, read_private_key(other_key), "yet another passphrase")
    # SECURITY.md explains that a removed recovery key can still decrypt old copies of the folder.
    rekey(tmp_path / "copy", read_private_key(pair), NEW)
    with pytest.raises(BundleError, match='"abc" does not match exactly one recovery key'):
        rekey(folder, "yet another passphrase", NEW, take_out=["abc"])


def test_the_last_recovery_key_can_be_removed(tmp_path, pair):
    """After the last recovery key is removed, only the passphrase can decrypt the folder."""
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    rekey(folder, PASSPHRASE, NEW, take_out=read_private_key(pair).public.fingerprint)
    assert list((folder / "recovery").glob("*.sealed")) == []
    assert write(plan_of_servers(3), folder, passphrase=NEW).counts() == {"kept": 2, "created": 1}
    assert list((folder / "recovery").glob("*.sealed")) == []


@pytest.mark.posix
def test_openssl_still_reads_the_keys_with_the_passphrase(tmp_path, pair):
    """A recovery key does not change the key files, so OpenSSL can still decrypt them with the
    passphrase.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(1), folder, recovery=[public(pair)])
    (key,) = (folder / "keys").iterdir()
    command = ["openssl", "pkey", "-in", key, "-passin", f"pass:{PASSPHRASE}", "-noout"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_rebuilt_manifest_lists_the_recovery_keys(tmp_path, pair):
    """A rebuilt manifest contains the list of recovery keys, so that the command rekey also
    encrypts this list.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    recovery = read_manifest(folder).recovery
    lose_record(folder)
    rebuild_manifest(folder, PASSPHRASE)
    assert read_manifest(folder).recovery == recovery
    rekey(folder, PASSPHRASE, NEW)
    assert read_recovery_keys(folder, FolderCipher(NEW))[0].manifest_data == recovery[0]


def test_purge_keeps_the_recovery_data(tmp_path, pair):
    """The command purge removes keys, but not the recovery data of the keys that remain."""
    folder, plan = tmp_path / "requests", plan_of_servers(2)
    write(plan, folder, recovery=[public(pair)])
    purge(folder, today=date(2030, 1, 1), confirmed=purge(folder, today=date(2030, 1, 1)))
    rekey(folder, read_private_key(pair), NEW)
    assert len(public_keys_of_keys(folder, NEW)) == 2


def _remove_seals(folder):
    for path in (folder / "recovery").glob("*.sealed"):
        path.unlink()


def _empty_seals(folder):
    for path in (folder / "recovery").glob("*.sealed"):
        path.write_bytes(b"{}")


def _flip_seals(folder):
    """Change one character of the encrypted passphrase, so that the file remains valid JSON."""
    for path in (folder / "recovery").glob("*.sealed"):
        document = json.loads(path.read_bytes())
        sealed = document["sealed"]
        document["sealed"] = ("B" if sealed[40] == "A" else "A").join((sealed[:40], sealed[41:]))
        path.write_text(json.dumps(document))


def _remove_place(folder):
    shutil.rmtree(folder / "recovery")


def _damage_list(folder):
    (folder / LIST).write_bytes(b"damaged")


DEAD = {
    "seals removed": (_remove_seals, "is missing, so the recovery key"),
    "seals emptied": (_empty_seals, "is damaged, so the recovery key"),
    "seals altered": (_flip_seals, "is damaged, so the recovery key"),
    "recovery/ removed": (_remove_place, "is missing, but the record lists recovery keys"),
    "list damaged": (_damage_list, "is damaged"),
}


@pytest.mark.parametrize(("damage", "message"), DEAD.values(), ids=DEAD)
def test_a_recovery_key_that_does_not_work_is_reported(tmp_path, pair, damage, message):
    """If a recovery key can no longer decrypt a folder, the status command reports a problem, even
    without the passphrase. The problem ends when the user adds the key again.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    opens = ") can open this folder"
    assert not folder_status(folder).problems
    assert any(opens in note for note in folder_status(folder).notes)
    damage(folder)
    status = folder_status(folder)
    assert any(message in problem.message for problem in status.problems)
    assert status.exit_status == 3
    assert not any(opens in note for note in status.notes)
    if damage is _damage_list:
        (folder / LIST).unlink()  # The user removes the damaged list, as the hint suggests.
    name_recovery_key(folder, PASSPHRASE, public(pair))
    assert not folder_status(folder).problems
    rekey(folder, read_private_key(pair), NEW)
    assert len(public_keys_of_keys(folder, NEW)) == 2


@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b"[]", b'{"recovery": 1}', b"[" * 60_000, b" " * 70_000, "1e999", "-1", "1" * 30],
    ids=lambda damage: damage[:16] or "empty",
)
def test_damaged_recovery_data_affects_only_one_key(tmp_path, pair, damage):
    """If the recovery data of one key is damaged, all other keys can still be decrypted.

    The result lists the key, and the user renews its request.
    """
    folder = tmp_path / "requests"
    first = plan_of_servers(1).certificates[0].id
    write(plan_of_servers(1), folder, recovery=[public(pair)])
    key = f"keys/{key_path(folder, first).name}"
    salt = read_derivation((folder / key).read_bytes(), name=key).salt.hex()
    (seal,) = (
        path
        for path in (folder / "recovery").glob("*.sealed")
        if json.loads(path.read_bytes())["salt"] == salt
    )
    write(plan_of_servers(3), folder)
    if isinstance(damage, str):
        document = json.loads(seal.read_bytes())
        del document["rounds"]
        damage = json.dumps(document).replace("{", f'{{"rounds": {damage}, ', 1).encode()
    seal.write_bytes(damage)
    (folder / LIST).write_bytes(b"damaged as well")
    result = rekey(folder, read_private_key(pair), NEW)
    assert result.not_opened == (key,)
    assert "Renew each request" in repr(result)
    assert len(public_keys_of_keys(folder, NEW, PASSPHRASE)) == 3
    with pytest.raises(PassphraseError):
        FolderCipher(NEW).decrypt((folder / key).read_bytes())
    # If the user renews the request whose key cannot be decrypted, the folder is complete again.
    bundle = write(plan_of_servers(3), folder, passphrase=NEW, renew=[first], reason="key is lost")
    assert bundle.counts() == {"renewed": 1, "kept": 2}
    second_result = rekey(folder, NEW, "another correct horse battery")
    assert second_result.left_alone == (key.replace("keys/", "archive/"),)
    assert not folder_status(folder).problems


def test_a_damaged_list_of_passwords_does_not_prevent_recovery(tmp_path, pair):
    """If the list of PFX passwords is damaged, a recovery still succeeds, because packages can be
    created again.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    (folder / "pfx").mkdir(mode=0o700)
    (folder / "pfx" / "passwords.enc").write_bytes(b"damaged")
    save_manifest(folder, read_manifest(folder).with_encrypted_file("pfx/passwords.enc"))
    result = rekey(folder, read_private_key(pair), NEW)
    assert result.left_alone == ("pfx/passwords.enc",)
    assert len(public_keys_of_keys(folder, NEW)) == 2


@pytest.mark.parametrize("command", ["name", "request", "take out", "with recovery"])
def test_an_interrupted_command_keeps_both_ways_to_decrypt(tmp_path, pair, command):
    """If any system call fails, the passphrase and the recovery key can still decrypt the folder,
    and repeating the command completes it.

    LYNCNB_RECOVERY_STEPS sets how many calls fail, or is ``all``. CI uses a tenth of them, selected
    at random. ``test_kills`` does the same with a killed process.
    """
    original = tmp_path / "original"
    write(
        plan_of_servers(2), original, **({} if command == "name" else {"recovery": [public(pair)]})
    )
    keys = public_keys_of_keys(original)
    fingerprint = read_private_key(pair).public.fingerprint

    def act(folder) -> None:
        if command == "name":
            name_recovery_key(folder, PASSPHRASE, public(pair), today=TODAY)
        elif command == "request":
            write(plan_of_servers(3), folder, recovery=[public(pair)])
        elif command == "take out":
            rekey(folder, PASSPHRASE, NEW, take_out=[fingerprint], today=TODAY)
        else:
            rekey(folder, read_private_key(pair), NEW, today=TODAY)

    error = lambda call: OSError(errno.EIO, os.strerror(errno.EIO))  # noqa: E731
    shutil.copytree(original, tmp_path / "counted")
    with fail_one_call(None, error) as counted:
        act(tmp_path / "counted")
    setting = os.environ.get("LYNCNB_RECOVERY_STEPS", str(counted.count // 10))
    steps = counted.count if setting == "all" else min(int(setting), counted.count)
    print(f"\n{command}: {steps} of {counted.count} calls", end="")
    for number in random.Random(command).sample(range(counted.count), steps):
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        try:
            with fail_one_call(number, error):
                act(folder)
        except BundleError:
            pass
        assert keys <= public_keys_of_keys(folder, PASSPHRASE, NEW), number
        repeat_command(act, folder)
        if command == "request":
            assert_complete(folder, plan_of_servers(3), keys)
        passphrase = NEW if command in ("take out", "with recovery") else PASSPHRASE
        assert keys <= public_keys_of_keys(folder, passphrase), number
        assert folder_status(folder).problems == (), number
        if command != "take out":
            rekey(folder, read_private_key(pair), "yet another passphrase")
            assert keys <= public_keys_of_keys(folder, "yet another passphrase"), number
        shutil.rmtree(folder)


def repeat_command(act, folder) -> None:
    """Repeat the command. If it was complete, it may report that there is nothing to do."""
    if not read_manifest(folder).rekeying and not has_original_passphrase(folder):
        return
    act(folder)


def has_original_passphrase(folder) -> bool:
    """Return whether the folder still has its original passphrase."""
    try:
        public_keys_of_keys(folder, PASSPHRASE)
    except BundleError:
        return False
    return True


def test_recovery_data_is_stored_before_the_first_key(tmp_path, pair, monkeypatch):
    """The recovery data is stored on the disk before the first key is encrypted."""
    folder, seen = tmp_path / "requests", []
    sealer = recovery_key._build_sealer

    def watched(request_folder, recipients):
        seal = sealer(request_folder, recipients)

        def sealed(derived):
            seen.append(len(list((request_folder / "keys").iterdir())))
            return seal(derived)

        return sealed

    monkeypatch.setattr(recovery_key, "_build_sealer", watched)
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    assert set(seen) == {0}


@pytest.mark.parametrize("take_out", [False, True])
def test_a_change_that_stopped_after_the_list_is_repeated(tmp_path, pair, monkeypatch, take_out):
    """A change of the passphrase can fail after lyncnb has encrypted the list of recovery keys. If
    the user repeats the change with the same two passphrases, lyncnb completes it.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(2), folder, recovery=[public(pair)])
    keys = public_keys_of_keys(folder)
    options = {"take_out": [read_private_key(pair).public.fingerprint]} if take_out else {}

    def broken(*_: object):
        raise BundleError("the disk is full", hint="")

    with monkeypatch.context() as patch:
        patch.setattr("lyncnb.request_folder.change_passphrase._replace_files", broken)
        with pytest.raises(BundleError, match="the disk is full"):
            rekey(folder, PASSPHRASE, NEW, **options)
    with pytest.raises(BundleError, match="the passphrase change that started at .* is incomplete"):
        name_recovery_key(folder, PASSPHRASE, public(pair))
    rekey(folder, PASSPHRASE, NEW, **options)
    assert public_keys_of_keys(folder, NEW) == keys
    assert len(read_manifest(folder).recovery) == (0 if take_out else 1)


def test_an_unreadable_list_of_recovery_keys_has_a_hint(tmp_path, pair):
    """If the list of recovery keys is damaged, missing, or from a later version of lyncnb, nothing
    is encrypted, and a hint explains how to continue.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(1), folder, recovery=[public(pair)])
    (folder / LIST).write_bytes(b"damaged")
    with pytest.raises(BundleError, match="not a PEM file") as caught:
        write(plan_of_servers(2), folder)
    assert caught.value.hint.startswith(f"remove {LIST} and add the recovery keys again")
    later = FolderCipher(PASSPHRASE).encrypt_data(b'{"format": "later/9"}', name=LIST)
    (folder / LIST).write_bytes(later)
    with pytest.raises(BundleError, match="this version of lyncnb cannot read"):
        write(plan_of_servers(2), folder)
    (folder / LIST).unlink()
    with pytest.raises(BundleError, match="is missing or does not contain these recovery keys"):
        rekey(folder, PASSPHRASE, NEW)
    assert len(list((folder / "keys").iterdir())) == 1


def test_an_empty_path_of_a_recovery_key_is_rejected():
    """If the path of a recovery key is empty, lyncnb rejects the path with a clear error message."""
    with pytest.raises(OutputError, match="is not a valid file name"):
        create_recovery_key("", OWN)
