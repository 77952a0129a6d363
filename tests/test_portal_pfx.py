"""A PFX of somebody else: opened for its certificates, its key compared and dropped."""

from __future__ import annotations

import pytest
from authorities.python_ca import PythonCa, der, issue
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from test_asn1 import vector

from lyncnb.keys import spki_sha256
from lyncnb.passphrase import Secret
from lyncnb.portal_pfx import MAX_ROUNDS, PfxNotOpened, open_pfx

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def ca() -> PythonCa:
    return PythonCa()


def pfx(ca, key=KEY, *, encryption=None) -> bytes:
    made = issue(key.public_key(), ca.issuing.subject, ca.key, subject=[("CN", "sip.contoso.com")])
    chosen = encryption or BestAvailableEncryption(b"portal")
    return pkcs12.serialize_key_and_certificates(b"x", key, made, ca.chain, chosen)


@pytest.mark.parametrize("password", ["portal", Secret("portal")])
def test_contents(ca, password):
    """All certificates come out, the key's own first, and the key's public half as a hash."""
    contents = open_pfx(pfx(ca), password)
    assert contents.certificates[1:] == (der(ca.issuing), der(ca.root))
    assert contents.key_spki_sha256 == spki_sha256(KEY)


def test_without_password(ca):
    """A PFX without a password opens without one."""
    assert len(open_pfx(pfx(ca, encryption=NoEncryption()), None).certificates) == 3


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("wrong", "the password is wrong, or the file is damaged"),
        (None, "it has a password, and none was given"),
        ("", "it has a password, and none was given"),
    ],
)
def test_wrong_password(ca, password, message):
    """The message says what is wrong and never the password."""
    with pytest.raises(PfxNotOpened, match=message):
        open_pfx(pfx(ca), password)


def test_old_windows():
    """What old Windows writes (RC2-40 and 3DES) is read."""
    contents = open_pfx(vector("pkcs12/cert-rc2-key-3des.p12"), "cryptography")
    assert len(contents.certificates) == 1


def test_no_key():
    """A trust store has certificates and no key."""
    contents = open_pfx(vector("pkcs12/cert-aes256cbc-no-key.p12"), "cryptography")
    assert contents.key_spki_sha256 == ""


def test_too_many_rounds(ca):
    """A file that asks for years of hashing is refused at once."""
    encryption = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(3333).build(b"portal")
    data = pfx(ca, encryption=encryption)
    rounds = (3333).to_bytes(2, "big")
    assert data.count(b"\x02\x02" + rounds) >= 1
    bomb = data.replace(b"\x02\x02" + rounds, b"\x02\x02\x7f\xff")
    with pytest.raises(PfxNotOpened, match="wrong, or the file is damaged"):
        open_pfx(bomb, "portal")  # 32,767 rounds are still tried
    mac = bytes.fromhex("0408") + b"saltsalt" + bytes.fromhex("02047fffffff")
    with pytest.raises(PfxNotOpened, match="it asks for 2,147,483,647 rounds"):
        open_pfx(b"\x30" + bytes([len(mac)]) + mac, "portal")
    assert MAX_ROUNDS == 5_000_000


def test_damaged():
    """A file that is cut off is said to be damaged."""
    data = vector("pkcs12/cert-key-aes256cbc.p12")
    with pytest.raises(PfxNotOpened, match="it is damaged: "):
        open_pfx(data[:-10], "cryptography")


def test_foreign_kind_of_key(ca):
    """A key of a kind that lyncnb never makes is told as unknown."""
    contents = open_pfx(pfx(ca, key=dsa.generate_private_key(1024)), "portal")
    assert contents.key_spki_sha256 == "unknown"
