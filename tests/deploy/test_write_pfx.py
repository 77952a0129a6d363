"""The command ``lyncnb pfx`` writes, keeps, or rejects PFX packages, and shows no secrets."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from datetime import timedelta

import pytest
from cas.python_ca import PythonCa, pem
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import pkcs12
from folders import (
    PASSPHRASE,
    TODAY,
    assert_only_owner_has_access,
    certify,
    issue_all,
    make_folder,
    make_issued_folder,
    make_plan,
    read_entries,
)
from topologies import STANDARD_EDITION

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.status import folder_status
from lyncnb.deploy.package_passwords import LIST, PasswordList, generate_password
from lyncnb.deploy.purge_keys import purge
from lyncnb.deploy.steps import deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError, PackageError, PassphraseError
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder import manifest
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.request_record import find_request_id
from lyncnb.rules.procedure import load_package_rules
from lyncnb.rules.rule_files import load_rules

pytestmark = pytest.mark.usefixtures("quick_cipher")

PROVIDER = "Microsoft RSA SChannel Cryptographic Provider"


@pytest.fixture(scope="module")
def answered_folder(tmp_path_factory):
    """Return a request folder in which both requests have their certificate."""
    return make_issued_folder(STANDARD_EDITION.encode(), tmp_path_factory.mktemp("pfx"))


@pytest.fixture
def issued(answered_folder, tmp_path):
    """Return a copy of the request folder ``answered``, which a test may change."""
    return answered_folder.copy(tmp_path)


def package(issued, **kwargs):
    """Write a PFX package for every certificate in the folder."""
    return write_pfx(issued.match_issued(), passphrase=PASSPHRASE, today=TODAY, **kwargs)


def password_of(folder, file):
    """Return the password of a package from the list of passwords."""
    digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    return PasswordList(folder, FolderCipher(PASSPHRASE)).get_password(digest)


def files_in(folder):
    """Return the names, contents and time stamps of all files in a folder."""
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_each_certificate_is_packaged_with_its_own_key(issued):
    """Every package can be opened with its listed password, and contains the key and the
    certificate but no root.
    """
    packages = package(issued)
    assert packages.exit_status == 0
    assert packages.counts() == {"written": 2, "kept": 0, "refused": 0}
    assert len({entry.friendly_name for entry in packages.packages}) == 2
    matched = issued.match_issued().by_id
    for pfx_package in packages.packages:
        data = (issued.folder / pfx_package.file).read_bytes()
        password = password_of(issued.folder, pfx_package.file).reveal()
        loaded = pkcs12.load_pkcs12(data, password.encode())
        assert loaded.cert.friendly_name == pfx_package.friendly_name.encode()
        leaf = loaded.cert.certificate
        assert leaf.fingerprint(leaf.signature_hash_algorithm).hex() == (
            matched[pfx_package.request_id].sha256
        )
        assert loaded.key.public_key() == leaf.public_key()
        assert loaded.additional_certs == []  # The certificate is issued directly by a root.


def test_a_certificate_that_is_not_valid_yet_is_named(tmp_path):
    """If a certificate is not valid yet, for example because a clock was set back, its package is
    written, and the result says that it must not be installed.
    """
    folder = make_folder(tmp_path / "r").folder
    name, *_ = open_requests(folder).manifest.by_id
    certify(folder, name)
    for today, is_named in ((TODAY - timedelta(days=3), True), (TODAY, False)):
        matched = load_issued_certificates(open_requests(folder), today=today)
        packages = write_pfx(matched, passphrase=PASSPHRASE, today=TODAY)
        text = packages.to_text()
        assert ("do not install the package yet: the certificate is valid from" in text) is is_named
    assert packages.counts()["kept"] == 1


def test_files_are_for_the_owner_only(issued):
    """The packages and the list of passwords have the mode 0600, and their folder has the mode
    0700.
    """
    packages = package(issued)
    folder = issued.folder / "pfx"
    assert_only_owner_has_access(folder)
    names = [pfx_package.file for pfx_package in packages.packages] + [LIST]
    for name in names:
        assert_only_owner_has_access(issued.folder / name)


def test_packaging_again_changes_no_byte_and_no_time(issued):
    """If the same certificates are packaged again for the same Windows version, no file and no time
    stamp changes.
    """
    package(issued)
    before = files_in(issued.folder)
    assert package(issued).counts() == {"written": 0, "kept": 2, "refused": 0}
    assert files_in(issued.folder) == before


def test_packages_without_a_record_are_kept(issued, answered_folder, tmp_path):
    """If the record does not contain the packages, because a run was interrupted or an older record
    was restored, the same packages are recorded again, and their files do not change.

    For another Windows version, they are created again.
    """
    package(issued)
    restored = answered_folder.copy(tmp_path / "restored")
    shutil.copytree(issued.folder / "pfx", restored.folder / "pfx")
    before = {path: path.read_bytes() for path in (restored.folder / "pfx").iterdir()}
    assert package(restored).counts() == {"written": 0, "kept": 2, "refused": 0}
    assert {path: path.read_bytes() for path in (restored.folder / "pfx").iterdir()} == before
    assert {record.state for record in open_requests(restored.folder).requests} == {"packaged"}
    assert package(restored, target_os="2022").counts()["written"] == 2
    assert all(path.read_bytes() != data for path, data in before.items())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("2008R2", "3des-sha1"),
        ("2012R2", "3des-sha1"),
        # According to published tests, Windows Server 2016 also cannot read packages with AES
        # encryption.
        ("2016", "3des-sha1"),
        ("2019", "aes256-sha256"),
        ("2022", "aes256-sha256"),
        ("2025", "aes256-sha256"),
    ],
)
def test_encryption_follows_the_target(target, expected):
    """lyncnb encrypts a package so that the target version of Windows Server can read it."""
    assert load_package_rules(load_rules()).find_encryption(target).id == expected


def test_another_target_creates_a_new_package_with_a_new_password(issued):
    """If packages are written again for a newer Windows version, each new package replaces the old
    one and has a new password.
    """
    first = package(issued).packages[0]
    before = password_of(issued.folder, first.file)
    second = package(issued, target_os="2022").packages[0]
    assert second.action == "written"
    assert second.encryption == "AES-256 with SHA-256"
    assert password_of(issued.folder, second.file) != before


def test_unknown_target_is_refused_with_the_known_ones(issued):
    """If the target Windows version for a package is unknown, it is rejected, and the message lists
    the known versions.
    """
    before = files_in(issued.folder)
    with pytest.raises(PackageError, match='"2003"') as caught:
        package(issued, target_os="2003")
    assert "2012R2" in caught.value.hint
    assert files_in(issued.folder) == before


def test_wrong_passphrase_changes_nothing(issued):
    """lyncnb rejects a wrong passphrase before it writes a package."""
    before = files_in(issued.folder)
    with pytest.raises(PassphraseError, match="the passphrase does not match"):
        write_pfx(issued.match_issued(), passphrase="another long phrase", today=TODAY)
    assert files_in(issued.folder) == before


def test_folder_outside_is_refused(issued, tmp_path):
    """If the folder for packages is outside the request folder, it is rejected."""
    with pytest.raises(BundleError, match="cannot contain packages"):
        package(issued, folder=tmp_path / "elsewhere")


def test_request_without_a_certificate_is_not_packaged(issued):
    """Requests without a certificate are listed as not packaged, and all others are packaged."""
    name = next((issued.folder / "returned").glob("*.cer"))
    for path in (name, name.with_suffix(".chain.pem")):
        path.unlink()
    packages = package(issued)
    assert packages.exit_status == 1
    refused = [pfx_package for pfx_package in packages.packages if pfx_package.action == "refused"]
    assert [pfx_package.request_id for pfx_package in refused] == [name.stem]
    assert "is on record but missing from the folder" in refused[0].why
    assert packages.counts()["written"] == 1


def test_deployed_request_is_not_packaged_again(issued):
    """After a purge, a deployed request is not packaged again, and the steps include only the other
    requests.
    """
    oauth_package = next(p for p in package(issued).packages if "OAuthTokenIssuer" in p.usages)
    first = purge(issued.folder, deployed=[oauth_package.request_id], today=TODAY)
    purge(issued.folder, deployed=[oauth_package.request_id], today=TODAY, confirmed=first)
    packages = package(issued)
    assert packages.exit_status == 0
    assert packages.counts() == {"written": 0, "kept": 1, "refused": 0, "deployed": 1}
    pfx = next(p for p in packages.packages if p.action == "deployed")
    assert (pfx.request_id, pfx.file) == (oauth_package.request_id, "")
    assert "its key was removed from this folder on 2026-11-24" in pfx.why
    assert "1 package not created (the certificate is deployed" in packages.to_text()
    assert f"): {oauth_package.request_id}\n" in packages.to_text()
    steps = deployment_steps(issued.match_issued(), today=TODAY)
    assert steps.exit_status == 0
    package_ids = [p.id for server in steps.servers for p in server.packages]
    assert package_ids == [p.request_id for p in packages.packages if p.action == "kept"]
    assert folder_status(issued.folder, today=TODAY).problems == ()


def test_status_reports_missing_certificates_and_packages(issued):
    """The status command reports a missing certificate as a problem, and a missing package as a
    notice.
    """
    pfx = package(issued).packages[0]
    (issued.folder / pfx.file).unlink()
    status = folder_status(issued.folder, today=TODAY)
    assert not status.needs_attention
    assert any(
        note.startswith(f"missing from the folder: 1 package, for example {pfx.file}")
        for note in status.notes
    )
    (issued.folder / "returned" / f"{pfx.request_id}.cer").unlink()
    (problem,) = folder_status(issued.folder, today=TODAY).problems
    assert (problem.file, problem.message) == (f"returned/{pfx.request_id}.cer", "is missing")


def test_key_file_of_another_request_is_refused(issued):
    """If the key file of a request contains the key of another request, no package is created for
    the request.
    """
    first, second = sorted((issued.folder / "keys").glob("*.key"))
    second.write_bytes(first.read_bytes())
    packages = package(issued)
    refused = [pfx for pfx in packages.packages if pfx.action == "refused"]
    assert [pfx.request_id for pfx in refused] == [find_request_id(second.stem)]
    assert "is not the key for this request" in refused[0].why


def test_rekey_keeps_the_passwords_of_packages(issued):
    """After the passphrase is changed, the passwords in the list still open the packages."""
    pfx = package(issued).packages[0]
    before = password_of(issued.folder, pfx.file)
    rekey(issued.folder, PASSPHRASE, "another long phrase", today=TODAY)
    digest = hashlib.sha256((issued.folder / pfx.file).read_bytes()).hexdigest()
    passwords = PasswordList(issued.folder, FolderCipher("another long phrase"))
    assert passwords.get_password(digest) == before
    with pytest.raises(PassphraseError):
        PasswordList(issued.folder, FolderCipher(PASSPHRASE))


def test_damaged_list_of_passwords(issued):
    """If the list of passwords is damaged, the message tells you to remove the list and to create
    the packages again.
    """
    package(issued)
    (issued.folder / LIST).write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"passwords.enc is not a PEM file") as caught:
        package(issued)
    assert caught.value.hint.startswith(f"remove {LIST} and run: lyncnb pfx FOLDER")
    (issued.folder / LIST).unlink()
    assert {pfx.action for pfx in package(issued).packages} == {"written"}


def test_passwords_are_only_in_their_list(issued):
    """No password is in the manifest, tables, texts, JSON documents or reprs."""
    packages = package(issued)
    output = "\n".join(
        (
            repr(packages),
            packages.to_text(),
            packages._repr_html_(),
            packages.to_frame().to_csv(),
            str(packages.to_document()),
            str(read_entries(issued.folder)),
            (issued.folder / LIST).read_text("utf-8"),
        )
    )
    for pfx in packages.packages:
        password = password_of(issued.folder, pfx.file)
        assert password.reveal() not in output
        assert password.reveal() not in repr(password)


def test_passwords_are_long_plain_and_never_the_same():
    """A password consists of 24 letters and digits that cannot be confused with each other. A
    thousand passwords are all different.
    """
    drawn = [generate_password().reveal() for _ in range(1000)]
    assert len(set(drawn)) == 1000
    assert {len(password) for password in drawn} == {24}
    assert all(password.isascii() and password.isalnum() for password in drawn)
    assert not set("".join(drawn)) & set("Il1O0yz")


def test_manifest_records_the_packages(issued):
    """The manifest records the file, hash, target and encryption of each package, and the list of
    passwords.
    """
    packages = package(issued)
    manifest = read_manifest(issued.folder)
    assert LIST in manifest.encrypted
    for pfx in packages.packages:
        record = manifest.by_id[pfx.request_id]
        data = (issued.folder / pfx.file).read_bytes()
        assert record.state == "packaged"
        assert record.package.sha256 == hashlib.sha256(data).hexdigest()
        assert record.package.target_os == "2012R2"
        assert record.package.encryption == "3des-sha1"


@pytest.mark.posix
def test_openssl_sees_the_provider_of_a_written_package(issued):
    """The written PFX file has the provider that Lync Server requires."""
    pfx = package(issued).packages[0]
    password = password_of(issued.folder, pfx.file).reveal()
    result = subprocess.run(
        [
            *("openssl", "pkcs12", "-in", issued.folder / pfx.file, "-nocerts", "-nodes"),
            *("-passin", f"pass:{password}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"Microsoft CSP Name: {PROVIDER}" in result.stdout


@pytest.mark.posix
def test_invalid_path_is_rejected(issued):
    """If a path is a loop of symbolic links or contains a zero byte, it is rejected with a clear
    message.
    """
    (issued.folder.parent / "one").symlink_to("two")
    (issued.folder.parent / "two").symlink_to("one")
    for path in ("a\0b", issued.folder.parent / "one" / "x"):
        with pytest.raises(BundleError):
            write_pfx(issued.match_issued(), path, passphrase=PASSPHRASE, today=TODAY)


def test_package_in_a_subfolder_is_removed_with_its_key(issued):
    """The purge command finds a package in a subfolder of pfx/, and removes it together with its
    key.
    """
    packages = write_pfx(issued.match_issued(), "pfx/wave1", passphrase=PASSPHRASE, today=TODAY)
    assert packages.exit_status == 0
    names = [package.request_id for package in packages.packages]
    assert all((issued.folder / package.file).exists() for package in packages.packages)
    purge_list = purge(issued.folder, deployed=names, today=TODAY)
    purge(issued.folder, deployed=names, today=TODAY, confirmed=purge_list)
    assert list((issued.folder / "pfx").rglob("*.pfx")) == []
    for folder in ("keys", "pfx2", "returned", "..", "pfx/.."):
        with pytest.raises(BundleError, match="cannot contain packages"):
            write_pfx(issued.match_issued(), folder, passphrase=PASSPHRASE, today=TODAY)


@pytest.fixture(scope="module")
def elliptic(tmp_path_factory):
    """Return a request folder with elliptic curve keys, and its packages. The certificates are from
    an issuing CA below a root CA.
    """
    bundle = make_folder(tmp_path_factory.mktemp("ec") / "requests", make_plan())
    certify(bundle.folder, *(record.id for record in bundle.requests))
    issued = load_issued_certificates(open_requests(bundle.folder))
    return bundle.folder, write_pfx(issued, passphrase=PASSPHRASE, today=TODAY).packages


@pytest.mark.posix
def test_elliptic_key_has_a_suitable_provider(elliptic):
    """A package with an elliptic curve key specifies the Software Key Storage Provider, and
    contains the issuer but no root.
    """
    folder, packages = elliptic
    pfx = packages[0]
    password = password_of(folder, pfx.file).reveal()
    common = ("openssl", "pkcs12", "-in", folder / pfx.file, "-passin", f"pass:{password}")
    output = subprocess.run([*common, "-nodes"], capture_output=True, text=True, check=True).stdout
    assert "Microsoft CSP Name: Microsoft Software Key Storage Provider" in output
    assert PROVIDER not in output
    loaded = pkcs12.load_pkcs12((folder / pfx.file).read_bytes(), password.encode())
    assert isinstance(loaded.key, EllipticCurvePrivateKey)
    chain = [entry.certificate for entry in loaded.additional_certs]
    assert [leaf.issuer for leaf in (loaded.cert.certificate,)] == [ca.subject for ca in chain]
    assert all(certificate.subject != certificate.issuer for certificate in chain)


@pytest.mark.posix
@pytest.mark.skipif(not shutil.which("pwsh"), reason="no pwsh, so no .NET")
def test_dotnet_opens_a_package_with_an_elliptic_key(elliptic):
    """.NET can read the elliptic curve key and both certificates in a package."""
    folder, packages = elliptic
    pfx = packages[0]
    script = (
        "$all = [Security.Cryptography.X509Certificates.X509Certificate2Collection]::new(); "
        "$all.Import($env:PACKAGE, $env:PASSWORD, 'EphemeralKeySet'); "
        "$all.Count; ($all | Where-Object HasPrivateKey).Count; "
        "[Security.Cryptography.X509Certificates.ECDsaCertificateExtensions]::GetECDsaPrivateKey("
        "($all | Where-Object HasPrivateKey)).KeySize"
    )
    password = password_of(folder, pfx.file).reveal()
    result = subprocess.run(
        ["pwsh", "-NoProfile", "-NonInteractive", "-Command", script],
        env={**os.environ, "PACKAGE": str(folder / pfx.file), "PASSWORD": password},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["2", "1", "256"]


def test_public_certificate_without_its_root_is_packaged(tmp_path):
    """lyncnb can package a public certificate without the root certificate, because public CAs do
    not send it. The intermediate certificate must not be missing.
    """
    folder = make_folder(tmp_path / "requests").folder
    bundle, ca = open_requests(folder), PythonCa(make_key=lambda: generate_private_key(65537, 2048))
    public = {request.id for request in bundle.requests if request.plan.issuer == "public"}
    others = {request.id for request in bundle.requests} - public
    answers = issue_all(bundle, ca, skip=others, days=199)
    (tmp_path / "leaves.pem").write_bytes(pem(*answers.values()))
    receive(folder, tmp_path / "leaves.pem", today=TODAY)
    alone = write_pfx(
        load_issued_certificates(open_requests(folder), today=TODAY), passphrase=PASSPHRASE
    )
    # If the intermediate certificate is missing, no package is written.
    assert {pfx.action for pfx in alone.packages} == {
        "refused",
        "waiting",
    }
    (tmp_path / "chain.pem").write_bytes(pem(ca.issuing))
    received = receive(folder, tmp_path / "chain.pem", today=TODAY)
    assert not received.has_errors
    issued = load_issued_certificates(open_requests(folder), today=TODAY)
    codes = {finding.code for finding in issued.findings}
    assert "chain-without-root" in codes
    assert "chain-incomplete" not in codes
    packages = write_pfx(issued, passphrase=PASSPHRASE, today=TODAY)
    assert {pfx.request_id for pfx in packages.packages if pfx.action == "written"} == public
    pfx = next(pfx for pfx in packages.packages if pfx.action == "written")
    password = password_of(folder, pfx.file).reveal().encode()
    loaded = pkcs12.load_pkcs12((folder / pfx.file).read_bytes(), password)
    assert [extra.certificate for extra in loaded.additional_certs] == [ca.issuing]


def test_later_package_keeps_earlier_passwords(tmp_path):
    """When another package is written, the list keeps the passwords of earlier packages, which may
    be in use or in a backup.
    """
    (tmp_path / "pfx").mkdir()
    for number in ("a", "b"):
        PasswordList(tmp_path, FolderCipher(PASSPHRASE)).save_passwords(
            {number * 64: generate_password()}
        )
    passwords = PasswordList(tmp_path, FolderCipher(PASSPHRASE))
    assert all(number * 64 in passwords for number in ("a", "b"))


def count_manifest_writes(issued, monkeypatch):
    """Write the packages of requests one at a time, and return how often the manifest is written."""
    monkeypatch.setattr("lyncnb.deploy.write_pfx._BATCH", 1)
    saves, real = [], manifest.write_unfinished_entry
    monkeypatch.setattr(
        manifest, "write_unfinished_entry", lambda *values: saves.append(real(*values))
    )
    package_ids = {
        pfx.request_id for pfx in package(issued, workers=1).packages if pfx.action == "written"
    }
    bundle = open_requests(issued.folder)
    assert {record.id for record in bundle.requests if record.package} == package_ids
    (_,) = [entry for entry in read_entries(issued.folder) if entry["command"] == "pfx"]
    return len(package_ids), len(saves)


def test_manifest_is_not_written_for_each_package(answered_folder, tmp_path, monkeypatch):
    """If a run writes all packages within half a minute, it saves the manifest once, and not after
    each package.
    """
    package_count, quick = count_manifest_writes(
        answered_folder.copy(tmp_path / "quick"), monkeypatch
    )
    monkeypatch.undo()
    monkeypatch.setattr("lyncnb.deploy.write_pfx._SAVE_EVERY", 0.0)
    second_count, slow = count_manifest_writes(answered_folder.copy(tmp_path / "slow"), monkeypatch)
    assert package_count == second_count > 1
    assert slow - quick == package_count - 1


def test_packages_made_before_a_failure_are_on_record(issued, monkeypatch):
    """If an error stops the run, the packages that lyncnb has already written stay recorded, and
    the next run does not write them again.
    """
    monkeypatch.setattr("lyncnb.deploy.write_pfx._BATCH", 1)

    def progress(done, total):
        raise BundleError("the disk is gone")

    with pytest.raises(BundleError, match="the disk is gone"):
        package(issued, workers=1, progress=progress)
    actions = [pfx.action for pfx in package(issued, workers=1).packages]
    assert actions.count("kept") == 1
