"""The purge command first lists files, and removes them only if the user confirms exactly the same
list.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from failing import fail_one_call
from folders import (
    P256,
    PASSPHRASE,
    archived_files,
    certify,
    key_path,
    package_record,
    pfx_path,
    plan_of,
    plan_of_servers,
    public_keys_of_keys,
    public_keys_of_requests,
    read_entries,
    record_deployed,
    snapshot,
    write,
)

from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.deploy.package_passwords import PasswordList
from lyncnb.deploy.purge_keys import purge
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError, PassphraseError
from lyncnb.pki import keys
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.pki.pkcs12 import open_pfx
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest
from lyncnb.request_folder.request_record import LogEntry, find_request_id

pytestmark = pytest.mark.usefixtures("quick_cipher")

NAMES = [item.id for item in plan_of_servers(5).certificates]
BEFORE, AFTER = date(2026, 12, 5), date(2027, 3, 1)
BEGINS = datetime(2026, 12, 1, tzinfo=UTC)


def issue(folder, *names, days=90):
    """Have a CA issue the certificates for some requests in a folder."""
    certify(folder, *names, today=BEGINS.date(), begins=BEGINS, days=days)


def package(folder):
    """Write a PFX package for every issued certificate in the folder."""
    issued = match_certificates(open_requests(folder), today=BEFORE)
    write_pfx(issued, passphrase=PASSPHRASE, workers=1, today=date(2026, 12, 2))


@pytest.fixture
def folder(tmp_path):
    """Write a folder with five requests: 0 is renewed and deployed, 1 is renewed and waiting, 2 is
    issued, 3 is packaged, 4 is waiting.
    """
    request_folder = tmp_path / "requests"
    write(plan_of_servers(5), request_folder)
    write(plan_of_servers(5), request_folder, renew=NAMES[:2], reason="x")
    issue(request_folder, NAMES[3])
    package(request_folder)
    issue(request_folder, NAMES[0], NAMES[2])
    record_deployed(request_folder, NAMES[0])
    return request_folder


def problems(folder, today=BEFORE):
    """Return the problems that the status command reports on a date on which the certificates are
    valid.
    """
    return folder_status(folder, today=today).problems


def list_purged(purged):
    """Return the text of the list that the purge command shows."""
    return [(item.id, item.generation, item.what, item.why) for item in purged.items]


REPLACED = "superseded: the servers already use generation 2"


def test_superseded_key_is_listed_after_its_successor_is_deployed(folder):
    """The purge command lists a superseded key only after the next certificate is on the servers."""
    before = snapshot(folder)
    assert list_purged(purge(folder, today=BEFORE)) == [(NAMES[0], 1, "key and CSR", REPLACED)]
    assert snapshot(folder) == before


def test_kept_keys_are_counted(folder):
    """The purge command states how many keys it keeps, and the date until which it keeps them."""
    first = purge(folder, today=BEFORE)
    stays = "1 superseded key kept until a later generation is recorded as deployed"
    assert (
        repr(first).splitlines()[0]
        == f"{folder}: 1 item to remove (to confirm, specify the token {first.token}); {stays}"
    )
    purge(folder, today=BEFORE, confirmed=first)
    second = purge(folder, today=BEFORE)
    assert (repr(second), second.to_document()["kept"]) == (
        f"{folder}: nothing to remove; {stays}",
        1,
    )


def test_waiting_request_is_never_listed(folder):
    """The purge command never lists a request that may still be with a CA, whether retired or not,
    on any date.
    """
    write(plan_of(*plan_of_servers(5).certificates[:4]), folder)
    purged = purge(folder, today=date(2099, 1, 1), deployed=NAMES)
    assert NAMES[1] not in {item.id for item in purged.items}
    assert NAMES[4] not in {item.id for item in purged.items}


def test_a_confirmed_list_is_removed_and_logged(folder):
    """After the user confirms the list, the purge command removes the files and keeps the record of
    each public key.
    """
    public_keys = public_keys_of_requests(folder)
    first = purge(folder, today=BEFORE)
    result = purge(folder, today=BEFORE, confirmed=first)
    assert result.is_done
    assert archived_files(folder, NAMES[0]) == []
    manifest = read_manifest(folder)
    old = manifest.by_id[NAMES[0]].archived[0]
    assert old.purged_at == "2026-12-05T00:00:00Z"
    assert old.spki_sha256 in public_keys
    assert manifest.log == (
        LogEntry(
            at="2026-12-05T00:00:00Z",
            event="purged",
            about=f"{NAMES[0]} generation 1: key and CSR, {REPLACED}",
        ),
        LogEntry(at="2026-12-05T00:00:00Z", event="purge-confirmed", about=first.token),
        LogEntry(at="2026-12-05T00:00:00Z", event="purge-finished", about=first.token),
    )
    assert list_purged(purge(folder, today=BEFORE)) == []
    before = read_entries(folder)
    repeated = purge(folder, today=BEFORE, confirmed=first.token)
    assert repeated.is_done
    assert "nothing to remove, because an earlier command already removed the files" in repr(
        repeated
    )
    assert read_entries(folder) == before
    with pytest.raises(BundleError, match="is not the confirmation token of the latest list"):
        purge(folder, today=BEFORE, confirmed="00000000")
    assert problems(folder) == ()
    assert write(plan_of_servers(5), folder).counts() == {"kept": 5}
    assert public_keys_of_requests(folder) <= public_keys_of_keys(folder)


def test_certificate_in_use_is_never_listed(folder):
    """The key of an expired certificate that is in use is listed only after its successor is
    deployed.
    """
    assert list_purged(purge(folder, today=AFTER)) == [(NAMES[0], 1, "key and CSR", REPLACED)]
    write(plan_of_servers(5), folder, renew=[NAMES[2]], reason="expired")
    # The CA issues the certificate, and the folder receives it.
    issue(folder, NAMES[2], days=198)
    assert {name for name, *_ in list_purged(purge(folder, today=AFTER))} == {NAMES[0]}
    record_deployed(folder, NAMES[2])
    assert list_purged(purge(folder, today=AFTER))[1:] == [
        (NAMES[2], 1, "key and CSR", "superseded, expired on 2027-02-28"),
    ]


def retire(folder):
    """Write the folder again from a plan without requests 3 and 4."""
    write(plan_of(*plan_of_servers(5).certificates[:3]), folder)


def test_key_of_a_removed_server_is_listed_after_its_expiry(folder):
    """If a server was removed from the plan, the purge command lists its key after the certificate
    expires.

    If it is planned again, a new key is generated.
    """
    issued = read_manifest(folder).by_id[NAMES[3]].issued
    retire(folder)
    assert {name for name, *_ in list_purged(purge(folder, today=BEFORE))} == {NAMES[0]}
    first = purge(folder, today=AFTER)
    assert [(i, w) for i, _, _, w in list_purged(first)[1:]] == [
        (NAMES[3], "expired on 2027-02-28"),
        (NAMES[3], "expired on 2027-02-28"),
    ]
    assert [item.what for item in first.items[1:]] == ["key and CSR", "package"]
    purge(folder, today=AFTER, confirmed=first.token)
    assert not list((folder / "pfx").glob("*.pfx"))
    assert problems(folder, today=AFTER) == ()
    record = read_manifest(folder).by_id[NAMES[3]]
    assert (record.generation, record.reasons) == (2, ("expired, and purged",))
    assert record.archived[0].issued == issued
    assert write(plan_of_servers(5), folder).counts() == {"renewed": 1, "kept": 3, "adopted": 1}
    assert public_keys_of_requests(folder) <= public_keys_of_keys(folder)


ONLY = "deployed: after you remove this file, only the servers have the key"


def deploy(folder, *names):
    """Record the named requests as deployed, and remove their keys and packages."""
    return purge(
        folder,
        today=BEFORE,
        deployed=names,
        confirmed=purge(folder, today=BEFORE, deployed=names),
    )


def test_keys_and_packages_of_deployed_requests_can_be_removed(folder):
    """The keys and packages of deployed requests can be removed by name, and their CSRs and
    certificates are kept.
    """
    names, package_path = [NAMES[3], NAMES[2], NAMES[1]], pfx_path(folder, NAMES[3])
    first = purge(folder, today=BEFORE, deployed=names)
    assert list_purged(first)[1:] == [
        (NAMES[2], 1, "key", ONLY),
        (NAMES[3], 1, "key", ONLY),
        (NAMES[3], 1, "package", "deployed"),
    ]
    assert "1 deployed request kept, because the CA issued no certificate" in repr(first)
    assert first.to_document()["unanswered"] == 1
    assert purge(folder, today=BEFORE, deployed=names, confirmed=first).is_done
    assert not package_path.exists()
    kept_keys = {find_request_id(path.stem) for path in (folder / "keys").iterdir()}
    assert kept_keys == {NAMES[0], NAMES[1], NAMES[4]}
    assert {find_request_id(path.stem) for path in (folder / "csr").iterdir()} == set(NAMES)
    manifest = read_manifest(folder)
    assert manifest.by_id[NAMES[3]].deployed_at == "2026-12-05T00:00:00Z"
    assert [entry.about for entry in manifest.log[-4:-2]] == [
        f"{NAMES[3]} generation 1: key, {ONLY}",
        f"{NAMES[3]} generation 1: package, deployed",
    ]
    assert list_purged(purge(folder, today=BEFORE, deployed=names)) == []


def test_deployed_request_without_a_key_is_not_created_again(folder):
    """If only the CSR of a deployed request is left, writing the same plan again succeeds, creates
    no key, and changes nothing.
    """
    deploy(folder, NAMES[2], NAMES[3])
    status = folder_status(folder, today=BEFORE)
    assert problems(folder, today=status.today) == ()
    states = {item.id: (item.state, item.deployed_at[:10]) for item in status.requests[:5]}
    assert states[NAMES[3]] == ("installed", "2026-12-05")
    assert (
        "deployed: 2 requests; the folder no longer contains the keys and packages for deployed "
        "certificates; version histories and backups may still contain copies"
    ) in status.notes
    write(plan_of_servers(5), folder)
    before = snapshot(folder)
    assert write(plan_of_servers(5), folder).counts() == {"kept": 5}
    assert snapshot(folder) == before


def test_deployed_request_can_be_renewed(folder):
    """If a deployed request is renewed after its key was removed, lyncnb creates a new key.

    The deployed certificate is in use until then.
    """
    deploy(folder, NAMES[2], NAMES[3])
    assert write(plan_of_servers(5), folder, renew=NAMES[2:3], reason="lost").counts() == {
        "kept": 4, "renewed": 1,
    }  # fmt: skip
    record = read_manifest(folder).by_id[NAMES[2]]
    assert (record.generation, record.deployed_at, record.has_key) == (2, "", True)
    assert problems(folder) == ()
    states = {row.id: row for row in folder_status(folder, today=AFTER).requests}
    assert (states[NAMES[2]].state, states[NAMES[2]].in_use) == ("expired", 1)
    assert list_purged(purge(folder, today=AFTER)) == []


def test_key_left_by_an_interrupted_purge_is_listed_again(folder):
    """If a purge was interrupted after it recorded a key as removed, the next purge lists the key
    again.
    """
    manifest = read_manifest(folder)
    save_manifest(
        folder,
        manifest.with_records(
            [manifest.by_id[NAMES[3]].with_removed_key_and_package(at="2026-12-03T00:00:00Z")]
        ),
    )
    assert [kind for _, _, kind, _ in list_purged(purge(folder, today=BEFORE))[1:]] == [
        "key",
        "package",
    ]


def test_restored_key_is_listed_again(folder, tmp_path):
    """If a key is restored from a backup together with its manifest, the key is treated as if it
    had never been removed.
    """
    key = key_path(folder, NAMES[2])
    data = key.read_bytes()
    before = read_manifest(folder).by_id[NAMES[2]]
    deploy(folder, NAMES[2])
    key.write_bytes(data)
    key.chmod(0o600)
    rebuild_manifest(folder, PASSPHRASE, confirmed=[NAMES[2]])
    after = read_manifest(folder).by_id[NAMES[2]]
    assert len(after.deployments) == 1  # The server still has the certificate.
    assert replace(after, deployments=()) == before


def test_list_of_passwords_verifies_the_passphrase(folder):
    """If all keys were removed, lyncnb verifies the passphrase with the list of passwords and
    rejects a mistyped passphrase.
    """
    issue(folder, *NAMES)
    deploy(folder, *NAMES)
    assert list((folder / "keys").iterdir()) == []
    with pytest.raises(PassphraseError):
        write(plan_of_servers(6), folder, passphrase="another passphrase")
    assert write(plan_of_servers(6), folder).counts() == {"kept": 5, "created": 1}


def test_package_of_a_superseded_generation_is_removed_with_its_key(folder):
    """The package of a superseded generation is removed together with its key, and the package of
    the current generation is kept.
    """
    superseded = pfx_path(folder, NAMES[3])
    write(plan_of_servers(5), folder, renew=NAMES[3:4], reason="x")
    issue(folder, NAMES[3])
    package(folder)
    assert list_purged(purge(folder, today=BEFORE))[1:] == []
    record_deployed(folder, NAMES[3])
    first = purge(folder, today=BEFORE)
    assert list_purged(first)[1:] == [
        (NAMES[3], 1, "key and CSR", REPLACED),
        (NAMES[3], 1, "package", REPLACED),
    ]
    purge(folder, today=BEFORE, confirmed=first)
    assert not superseded.exists()
    assert pfx_path(folder, NAMES[3]).exists()


def three_generations(folder):
    """Write packages for generations 1 and 2 of a request, and leave generation 3 waiting."""
    write(plan_of_servers(5), folder, renew=NAMES[3:4], reason="x")
    issue(folder, NAMES[3])
    package(folder)
    record_deployed(folder, NAMES[3])
    write(plan_of_servers(5), folder, renew=NAMES[3:4], reason="y")
    issue(folder, NAMES[4])
    package(
        folder
    )  # Creating the package of another request also writes the list of passwords again.


def package_in_use(folder):
    """Return the package of generation 2, which the servers import while generation 3 is waiting."""
    (second,) = [o for o in read_manifest(folder).by_id[NAMES[3]].archived if o.generation == 2]
    return second.package


def test_purge_leaves_the_package_in_use(folder):
    """While the third generation of a request is waiting, the package and the password of the
    second generation are kept.
    """
    three_generations(folder)
    first = purge(folder, today=BEFORE)
    assert [n for i, n, kind, _ in list_purged(first) if (i, kind) == (NAMES[3], "package")] == [1]
    purge(folder, today=BEFORE, confirmed=first)
    pfx_package = package_in_use(folder)
    assert (folder / pfx_package.file).exists()
    assert pfx_package.sha256 in PasswordList(folder, FolderCipher(PASSPHRASE))


def test_purge_distinguishes_packages_with_the_same_name(folder):
    """If packages of several generations have the same name, as in earlier versions, the purge
    command identifies a package by its hash.
    """
    three_generations(folder)
    manifest = read_manifest(folder)
    record = manifest.by_id[NAMES[3]]
    plain = f"pfx/{NAMES[3]}.pfx"
    os.replace(folder / package_in_use(folder).file, folder / plain)
    renamed = tuple(
        replace(old, package=replace(old.package, file=plain)) for old in record.archived
    )
    save_manifest(folder, manifest.with_records([replace(record, archived=renamed)]))
    first = purge(folder, today=BEFORE)
    assert [n for i, n, kind, _ in list_purged(first) if (i, kind) == (NAMES[3], "package")] == []
    purge(folder, today=BEFORE, confirmed=first)
    assert (folder / plain).exists()


def test_files_changed_after_the_list_are_not_removed(folder):
    """If the folder changes after the purge command showed its list, confirming that list removes
    nothing.
    """
    first = purge(folder, today=BEFORE)
    issue(folder, NAMES[1])
    record_deployed(folder, NAMES[1])
    before = snapshot(folder / "archive") | snapshot(folder / "keys")
    with pytest.raises(BundleError, match="is not the confirmation token of the latest list"):
        purge(folder, today=BEFORE, confirmed=first)
    assert snapshot(folder / "archive") | snapshot(folder / "keys") == before


def test_a_package_path_that_leaves_the_folder_is_not_followed(folder, tmp_path):
    """If a package path in an edited manifest is outside the folder, the purge command removes
    nothing.
    """
    (tmp_path / "precious").write_bytes(b"x")
    manifest = read_manifest(folder)
    record = manifest.by_id[NAMES[3]]
    edited = record.with_package(package_record("pfx/../../precious"), at="2026-12-02T00:00:00Z")
    save_manifest(folder, manifest.with_records([edited]))
    with pytest.raises(
        BundleError, match=rf"{NAMES[3]}.package.file. must be a package \(.pfx\) in the folder"
    ):
        purge(folder, today=BEFORE, deployed=[NAMES[3]])
    assert (tmp_path / "precious").exists()


def test_an_unknown_id_is_refused(folder):
    """The purge command rejects an id for which no deployed request exists."""
    with pytest.raises(BundleError, match='there is no request "Edge-1"'):
        purge(folder, deployed=["Edge-1"])


def test_left_over_keys_stay(folder):
    """The purge command never removes files that an interrupted run left in archive/."""
    (folder / "archive" / f"{NAMES[4]}-orphan-01234567.key").write_bytes(b"x")
    first = purge(folder, today=AFTER)
    purge(folder, today=AFTER, confirmed=first)
    assert (folder / "archive" / f"{NAMES[4]}-orphan-01234567.key").exists()


def secrets_of(folder, name):
    """Open all files in a folder, and return those that contain the key of a request."""
    cipher = FolderCipher(PASSPHRASE)
    passwords = PasswordList(folder, cipher)
    key_digests = {part.spki_sha256 for part in read_manifest(folder).by_id[name].generations}
    paths = []
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        digest = hashlib.sha256(data).hexdigest()
        spki = ""
        if b"ENCRYPTED PRIVATE KEY" in data:
            spki = keys.compute_spki_sha256(cipher.decrypt(data))
        elif digest in passwords:
            spki = open_pfx(data, passwords.get_password(digest)).key_spki_sha256
        paths += [path.relative_to(folder).as_posix()] if spki in key_digests else []
    return sorted(paths)


def purge_all(folder, *, deployed=(), today=BEFORE):
    """Run the purge command, confirm its list with the passphrase, and return the list."""
    options = {"passphrase": PASSPHRASE, "deployed": deployed, "today": today}
    return purge(folder, confirmed=purge(folder, **options), **options)


def deployed_notes(folder):
    """Return the notices about deployed requests that the status command reports."""
    notes = folder_status(folder, today=BEFORE).notes
    return [note for note in notes if note.startswith("deployed:")]


def test_package_of_a_replaced_certificate_is_removed(folder):
    """If a second certificate replaces the first one, the manifest no longer records the first
    package. The purge command still removes this package together with the key.
    """
    first = f"pfx/{pfx_path(folder, NAMES[3]).name}"
    issue(folder, NAMES[3])
    key = f"keys/{key_path(folder, NAMES[3]).name}"
    assert secrets_of(folder, NAMES[3]) == [key, first]
    without = deploy(folder, NAMES[3])
    assert without.unopened == (first,)
    assert "Specify the passphrase" in repr(without)
    (note,) = deployed_notes(folder)
    assert (
        f"1 file may still contain private keys for deployed certificates, for example {first}"
        in note
    )
    result = purge_all(folder, deployed=[NAMES[3]])
    assert (NAMES[3], 1, "copy of the package", "deployed") in list_purged(result)
    assert secrets_of(folder, NAMES[3]) == []
    (note,) = deployed_notes(folder)
    assert "the folder no longer contains the keys and packages" in note


def test_copies_of_a_key_are_removed_with_it(folder):
    """A purge finds all copies of a key by content and removes them, whatever their names are, even
    if they were encrypted again.
    """
    key, package_ = key_path(folder, NAMES[3]), pfx_path(folder, NAMES[3])
    shutil.copy(key, folder / "keys" / f"{NAMES[3]}-DESKTOP-1.key")
    shutil.copy(package_, folder / "pfx" / "laptop (conflicted copy 2026-12-03).pfx")
    cipher = FolderCipher(PASSPHRASE)
    copy = folder / f"{NAMES[3]}.sync-conflict-20261203-101112-ABCDEFG.key"
    copy.write_bytes(cipher.encrypt(cipher.decrypt(key.read_bytes())))
    assert len(secrets_of(folder, NAMES[3])) == 5
    first = purge(folder, deployed=[NAMES[3]], today=BEFORE)
    assert [item.what for item in first.items if item.id == NAMES[3]] == [
        "key", "package", "copy of the key", "copy of the package",
    ]  # fmt: skip
    assert first.unopened == (copy.name,)
    result = purge_all(folder, deployed=[NAMES[3]])
    assert sum("copy" in item.what for item in result.items) == 3
    assert secrets_of(folder, NAMES[3]) == []
    assert problems(folder) == ()


def test_a_copy_of_a_key_in_use_stays(folder):
    """The purge never removes a copy of a waiting request's key, whatever the name of the copy is."""
    copy = folder / "keys" / f"{NAMES[4]}-DESKTOP-1.key"
    shutil.copy(key_path(folder, NAMES[4]), copy)
    orphan = folder / "archive" / f"{NAMES[4]}-orphan-01234567.key"
    orphan.write_bytes(FolderCipher(PASSPHRASE).encrypt(keys.generate_key(P256)))
    purge_all(folder, deployed=NAMES, today=AFTER)
    assert copy.exists()
    assert orphan.exists()


def test_passwords_are_removed_with_their_packages(folder):
    """When lyncnb removes a package, it removes the password from the list, but keeps the passwords
    of packages in use.
    """
    issue(folder, NAMES[4])
    package(folder)
    in_list = PasswordList(folder, FolderCipher(PASSPHRASE)).packages
    pfx_path(folder, NAMES[4]).rename(folder.parent / "on its way.pfx")
    packages = {name: read_manifest(folder).by_id[name].package for name in (NAMES[3], NAMES[4])}
    assert in_list >= {pfx_package.sha256 for pfx_package in packages.values()}
    without = purge(folder, deployed=[NAMES[3]], today=BEFORE)
    assert without.passwords == ()
    first = purge(folder, passphrase=PASSPHRASE, deployed=[NAMES[3]], today=BEFORE)
    assert first.passwords == (packages[NAMES[3]].sha256,)
    assert first.token != without.token
    assert "pfx/passwords.enc: 1 password for packages that no server needs any more" in repr(first)
    purge_all(folder, deployed=[NAMES[3]])
    remaining = PasswordList(folder, FolderCipher(PASSPHRASE)).packages
    assert remaining == in_list - {packages[NAMES[3]].sha256}
    assert purge(folder, passphrase=PASSPHRASE, today=BEFORE).is_empty


def test_a_wrong_passphrase_removes_nothing(folder):
    """A wrong passphrase is rejected before the purge command lists any file."""
    before = snapshot(folder)
    with pytest.raises(PassphraseError):
        purge(folder, passphrase="another passphrase", today=BEFORE)
    assert snapshot(folder) == before


def test_note_mentions_copies_elsewhere(folder):
    """If the purge command lists files to remove, a note mentions version histories and backups."""
    assert "Version histories, snapshots, recycle bins, and backups keep copies" in repr(
        purge(folder, today=BEFORE)
    )
    purge(folder, today=BEFORE, confirmed=purge(folder, today=BEFORE))
    assert "Version histories" not in repr(purge(folder, today=BEFORE))


def test_purge_list_is_the_same_in_every_format(folder):
    """The table, HTML, text and JSON of the purge command's list contain the same values."""
    first = purge(folder, today=BEFORE)
    assert list(first.to_frame()["Certificate"]) == [NAMES[0]]
    assert f"specify the token {first.token}" in first._repr_html_()
    assert repr(first).splitlines()[1].startswith(f"{NAMES[0]} generation 1: key and CSR")
    document = json.loads(json.dumps(first.to_document()))
    assert (document["done"], document["token"]) == (False, first.token)
    assert document["items"][0]["files"] == [
        f"archive/{path.name}" for path in archived_files(folder, NAMES[0])
    ]
    purge(folder, today=BEFORE, confirmed=first)


def list_files_beside_record(folder):
    """Return the names of all files except the entries of the record, of which there can be more."""
    return sorted(path.name for path in folder.rglob("*.*") if path.parent.name != "record")


@pytest.mark.parametrize("calls", range(0, 12, 2))
def test_next_purge_completes_an_interrupted_one(folder, tmp_path, calls):
    """If a purge is interrupted after it recorded the files to remove, the next purge lists and
    removes the remaining files.
    """
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    retire(folder)
    reference = shutil.copytree(folder, tmp_path / "whole")
    first = purge(folder, today=AFTER)
    purge(reference, today=AFTER, confirmed=purge(reference, today=AFTER))
    expected = list_files_beside_record(reference)
    with (
        fail_one_call(calls, lambda _: error, ("link", "replace", "unlink")),
        suppress(BundleError),
    ):
        purge(folder, today=AFTER, confirmed=first)
    second = purge(folder, today=AFTER)
    purge(folder, today=AFTER, confirmed=second)
    assert purge(folder, today=AFTER).items == ()
    assert list_files_beside_record(folder) == expected
