"""Four other tools can read lyncnb's PFX files, and these files have the same structure as
OpenSSL's files.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import datetime

import pytest
from asn1crypto import pkcs12 as structures
from cas import BRIEF_JAVA
from cas.python_ca import PythonCa, der, issue
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from pki.test_asn1 import vector

from lyncnb.errors import PackageError
from lyncnb.pki.keys import compute_spki_sha256
from lyncnb.pki.passphrase import Secret
from lyncnb.pki.pkcs12 import MAX_ROUNDS, PfxContent, PfxNotOpened, build_pfx, open_pfx

PASSWORD = "Abcdefghij0123456789Xy"
PROVIDER = "Microsoft RSA SChannel Cryptographic Provider"
ENCRYPTIONS = ("3des-sha1", "aes256-sha256")
NAME = "fe01.contoso.com Default 2026-11-24"


def _certificate(name, key, issuer_name, issuer_key, *, ca):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2026, 1, 1))
        .not_valid_after(datetime(2030, 1, 1))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    return builder.sign(issuer_key, hashes.SHA256())


def _der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def material():
    """Return a private key, its certificate, and the certificates of an intermediate CA and a root
    CA.
    """
    key = rsa.generate_private_key(65537, 2048)
    issuing_key, root_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("Contoso Root", root_key, "Contoso Root", root_key, ca=True)
    issuing = _certificate("Contoso Issuing", issuing_key, "Contoso Root", root_key, ca=True)
    leaf = _certificate("fe01.contoso.com", key, "Contoso Issuing", issuing_key, ca=False)
    return key, leaf, (issuing, root)


def content(material, encryption, provider=PROVIDER):
    """Return the content for a PFX file with the given encryption."""
    _, leaf, chain = material
    return PfxContent(
        certificate=_der(leaf),
        chain=tuple(_der(c) for c in chain),
        friendly_name=NAME,
        encryption=encryption,
        provider=provider,
    )


@pytest.fixture(scope="module")
def packages(material, tmp_path_factory):
    """Write one PFX file with each type of encryption."""
    folder = tmp_path_factory.mktemp("pfx")
    for encryption in ENCRYPTIONS:
        data = build_pfx(content(material, encryption), material[0], Secret(PASSWORD))
        (folder / f"{encryption}.pfx").write_bytes(data)
    return folder


def run(*arguments: object, **kwargs: object) -> str:
    """Run a tool, and return its output. If the tool fails, the test fails."""
    result = subprocess.run(
        [*map(str, arguments)], capture_output=True, text=True, check=True, **kwargs
    )
    return result.stdout + result.stderr


def _key_in(pem: str) -> bytes:
    start = pem.index("-----BEGIN")
    key = serialization.load_pem_private_key(pem[start:].encode(), None)
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _key_of(material) -> bytes:
    return material[0].private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_openssl_reads_key_chain_name_and_provider(packages, material, encryption):
    """OpenSSL finds the private key, three certificates, the friendly name and both Windows
    attributes in the PFX file.
    """
    file = packages / f"{encryption}.pfx"
    common = ("openssl", "pkcs12", "-in", file, "-passin", f"pass:{PASSWORD}")
    keys = run(*common, "-nocerts", "-nodes")
    assert _key_in(keys) == _key_of(material)
    assert f"Microsoft CSP Name: {PROVIDER}" in keys
    assert "Microsoft Local Key set" in keys
    assert f"friendlyName: {NAME}" in keys
    certificates = run(*common, "-nokeys")
    assert certificates.count("BEGIN CERTIFICATE") == 3


@pytest.mark.parametrize(
    ("encryption", "mac", "scheme"),
    [
        ("3des-sha1", "MAC: sha1", "pbeWithSHA1And3-KeyTripleDES-CBC"),
        ("aes256-sha256", "MAC: sha256", "AES-256-CBC"),
    ],
)
def test_the_encryption_is_as_requested(packages, encryption, mac, scheme):
    """The key and the certificates have the requested encryption, and the MAC uses the matching
    hash algorithm.
    """
    file = packages / f"{encryption}.pfx"
    output = run(
        *("openssl", "pkcs12", "-in", file, "-passin", f"pass:{PASSWORD}", "-info", "-noout")
    )
    assert mac in output
    assert output.count(scheme) == 2


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_gnutls_reads_a_pfx_file(packages, material, encryption):
    """GnuTLS can decrypt the key and the certificates in the PFX file."""
    file = packages / f"{encryption}.pfx"
    output = run("certtool", "--p12-info", "--inder", "--infile", file, "--password", PASSWORD)
    assert output.count("BEGIN CERTIFICATE") == 3
    assert NAME in output


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_nss_imports_a_pfx_file(packages, tmp_path, encryption):
    """NSS imports the key and the chain under the friendly name."""
    run("certutil", "-N", "-d", f"sql:{tmp_path}", "--empty-password")
    run(
        *("pk12util", "-i", packages / f"{encryption}.pfx", "-d", f"sql:{tmp_path}"),
        *("-W", PASSWORD),
    )
    assert NAME in run("certutil", "-K", "-d", f"sql:{tmp_path}")
    assert "Contoso Issuing" in run("certutil", "-L", "-d", f"sql:{tmp_path}", "-n", NAME)


@pytest.mark.slow
@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_java_reads_a_key_entry_with_its_chain(packages, encryption):
    """Java reads a PFX file as one private key entry with a chain of three certificates."""
    output = run(
        *("keytool", *BRIEF_JAVA, "-list", "-v", "-storetype", "PKCS12"),
        *("-keystore", packages / f"{encryption}.pfx", "-storepass", PASSWORD),
    )
    assert "PrivateKeyEntry" in output
    assert "Certificate chain length: 3" in output
    assert f"Alias name: {NAME.lower()}" in output.lower().replace("alias name", "Alias name")


def _shape(data: bytes) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the type and the attributes of each part of a PFX file. Only parts that can be read
    without the password have attributes.
    """
    pfx = structures.Pfx.load(data, strict=True)
    shape = []
    for info in structures.AuthenticatedSafe.load(pfx["auth_safe"]["content"].native, strict=True):
        kind = info["content_type"].native
        if kind != "data":
            shape.append((kind, "", ()))
            continue
        for bag in structures.SafeContents.load(info["content"].native, strict=True):
            attributes = tuple(sorted(a["type"].dotted for a in bag["bag_attributes"]))
            shape.append((kind, bag["bag_id"].native, attributes))
    return sorted(shape)


def _key_attributes(data: bytes) -> dict[str, bytes]:
    """Return the attributes of the private key in a PFX file, by OID."""
    pfx = structures.Pfx.load(data)
    for info in structures.AuthenticatedSafe.load(pfx["auth_safe"]["content"].native):
        if info["content_type"].native == "data":
            (bag,) = structures.SafeContents.load(info["content"].native)
            return {a["type"].dotted: a["values"].dump() for a in bag["bag_attributes"]}
    raise AssertionError("no key bag")


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_the_structure_is_the_same_as_in_openssl(packages, material, tmp_path, encryption):
    """A PFX file has the same structure, and its key has the same attributes, as in the file that
    `openssl pkcs12 -CSP -LMK` writes.
    """
    key, leaf, chain = material
    pem = serialization.Encoding.PEM
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(pem))
    (tmp_path / "chain.pem").write_bytes(b"".join(c.public_bytes(pem) for c in chain))
    pbe = "PBE-SHA1-3DES" if encryption == "3des-sha1" else "AES-256-CBC"
    run(
        *("openssl", "pkcs12", "-export", "-inkey", "key.pem", "-in", "leaf.pem"),
        *("-certfile", "chain.pem", "-name", NAME, "-CSP", PROVIDER, "-LMK"),
        *("-keypbe", pbe, "-certpbe", pbe, "-passout", f"pass:{PASSWORD}", "-out", "theirs.pfx"),
        cwd=tmp_path,
    )
    ours = (packages / f"{encryption}.pfx").read_bytes()
    theirs = (tmp_path / "theirs.pfx").read_bytes()
    assert _shape(ours) == _shape(theirs)
    mine, reference = _key_attributes(ours), _key_attributes(theirs)
    for oid in ("1.3.6.1.4.1.311.17.1", "1.3.6.1.4.1.311.17.2", "1.2.840.113549.1.9.20"):
        assert mine[oid] == reference[oid], oid


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_wrong_password_is_refused(packages, encryption):
    """After attributes and a new MAC were added to a PFX file, a wrong password is still rejected."""
    data = (packages / f"{encryption}.pfx").read_bytes()
    with pytest.raises(ValueError, match="Invalid password"):
        pkcs12.load_pkcs12(data, b"Abcdefghij0123456789Xz")


@pytest.mark.parametrize("encryption", ENCRYPTIONS)
def test_altered_package_is_refused(packages, tmp_path, encryption):
    """If a byte in the encrypted part of a PFX file is changed, OpenSSL rejects the file."""
    data = bytearray((packages / f"{encryption}.pfx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bad.pfx").write_bytes(data)
    result = subprocess.run(
        ["openssl", "pkcs12", "-in", tmp_path / "bad.pfx", "-passin", f"pass:{PASSWORD}", "-noout"],
        capture_output=True,
        check=False,
    )
    assert result.returncode != 0


def test_without_a_provider_nothing_is_added(material):
    """If a product does not specify a provider, lyncnb adds no provider attributes to the PFX file."""
    data = build_pfx(content(material, "aes256-sha256", provider=""), material[0], Secret(PASSWORD))
    assert set(_key_attributes(data)) == {"1.2.840.113549.1.9.20", "1.2.840.113549.1.9.21"}


def test_key_of_another_certificate_is_refused(material):
    """lyncnb writes no PFX file if the key does not match the certificate."""
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(PackageError, match="does not belong to the certificate of fe01"):
        build_pfx(content(material, "3des-sha1"), other, Secret(PASSWORD))


def test_repr_of_content_and_secret_shows_no_password(material):
    """The repr of the content of a PFX file, and the repr of a secret, do not show the password."""
    assert PASSWORD not in repr((content(material, "3des-sha1"), Secret(PASSWORD)))


def test_names_beyond_ascii_are_bmp_strings(material):
    """A Chinese friendly name is encoded as a BMPString, which Windows can read (RFC 7292 section
    4.2).
    """
    pfx_content = replace(content(material, "3des-sha1"), friendly_name="前端伺服器")
    attributes = _key_attributes(build_pfx(pfx_content, material[0], Secret(PASSWORD)))
    assert "前端伺服器".encode("utf-16-be") in attributes["1.2.840.113549.1.9.20"]


# From PFX files of other programs, lyncnb reads the certificates, compares the key, and then
# discards the key.

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def ca() -> PythonCa:
    return PythonCa()


def pfx(ca, key=KEY, *, encryption=None) -> bytes:
    certificate = issue(
        key.public_key(), ca.issuing.subject, ca.key, subject=[("CN", "sip.contoso.com")]
    )
    algorithm = encryption or BestAvailableEncryption(b"portal")
    return pkcs12.serialize_key_and_certificates(b"x", key, certificate, ca.chain, algorithm)


@pytest.mark.parametrize("password", ["portal", Secret("portal")])
def test_all_certificates_in_a_pfx_file_are_returned(ca, password):
    """Reading a PFX file returns the hash of the public key and all certificates, beginning with
    the certificate for the key.
    """
    contents = open_pfx(pfx(ca), password)
    assert contents.certificates[1:] == (der(ca.issuing), der(ca.root))
    assert contents.key_spki_sha256 == compute_spki_sha256(KEY)


def test_without_password(ca):
    """A PFX file that is not encrypted can be opened without a password."""
    assert len(open_pfx(pfx(ca, encryption=NoEncryption()), None).certificates) == 3


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("wrong", "the password is wrong, or the file is damaged"),
        (None, "the file requires a password"),
        ("", "the file requires a password"),
    ],
)
def test_wrong_password(ca, password, message):
    """If the password is wrong, the error message says so, and does not contain the password."""
    with pytest.raises(PfxNotOpened, match=message):
        open_pfx(pfx(ca), password)


def test_old_windows():
    """A PFX file from an old Windows version (RC2-40 and 3DES) can be read."""
    contents = open_pfx(vector("pkcs12/cert-rc2-key-3des.p12"), "cryptography")
    assert len(contents.certificates) == 1


def test_no_key():
    """lyncnb can read the certificates in a PFX file that has no key, such as a trust store."""
    contents = open_pfx(vector("pkcs12/cert-aes256cbc-no-key.p12"), "cryptography")
    assert contents.key_spki_sha256 == ""


def test_too_many_rounds(ca):
    """lyncnb rejects a PFX file at once if its iteration counts are so high that decryption would
    take years.
    """
    encryption = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(3333).build(b"portal")
    data = pfx(ca, encryption=encryption)
    rounds = (3333).to_bytes(2, "big")
    assert data.count(b"\x02\x02" + rounds) >= 1
    bomb = data.replace(b"\x02\x02" + rounds, b"\x02\x02\x7f\xff")
    with pytest.raises(PfxNotOpened, match="wrong, or the file is damaged"):
        open_pfx(bomb, "portal")  # A PFX file with 32,767 iterations is accepted.
    mac = bytes.fromhex("0408") + b"saltsalt" + bytes.fromhex("02047fffffff")
    with pytest.raises(PfxNotOpened, match="the file requires 2,147,483,647 iterations"):
        open_pfx(b"\x30" + bytes([len(mac)]) + mac, "portal")
    assert MAX_ROUNDS == 5_000_000


def test_damaged():
    """If a PFX file is truncated, it is reported as damaged."""
    data = vector("pkcs12/cert-key-aes256cbc.p12")
    with pytest.raises(PfxNotOpened, match="the file is damaged: "):
        open_pfx(data[:-10], "cryptography")


def test_an_unusual_key_type_is_reported_as_unknown(ca):
    """lyncnb reports the type of a key as unknown if lyncnb never generates keys of this type."""
    contents = open_pfx(pfx(ca, key=dsa.generate_private_key(1024)), "portal")
    assert contents.key_spki_sha256 == "unknown"
