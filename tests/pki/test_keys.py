"""Keys have the planned type, are identified by their public key, and are checked when they are
read.
"""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from asn1crypto import core
from asn1crypto import keys as structures
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.errors import BundleError
from lyncnb.pki import keys

EVERY = [
    *(("RSA", bits) for bits in (2048, 3072)),
    *(("ECDSA", bits) for bits in (256, 384, 521)),
]


@pytest.fixture(scope="module")
def example_keys() -> dict[tuple[str, int], keys.PrivateKey]:
    """Generate one key of each type except RSA 4096, which would only take longer."""
    return {
        kind: keys.generate_key(KeyParameters(algorithm=kind[0], bits=kind[1])) for kind in EVERY
    }


@pytest.mark.parametrize("kind", EVERY)
def test_a_key_is_of_the_planned_kind(example_keys, kind):
    """A key has the planned algorithm and size. RSA keys have the exponent 65537."""
    assert keys.find_key_parameters(example_keys[kind]) == kind
    assert keys.find_key_parameters(example_keys[kind].public_key()) == kind
    if kind[0] == "RSA":
        assert example_keys[kind].public_key().public_numbers().e == 65537


@pytest.mark.tools
@pytest.mark.parametrize("kind", EVERY)
def test_the_fingerprint_is_that_of_openssl(example_keys, kind):
    """The fingerprint of a key is the SHA-256 hash of its SubjectPublicKeyInfo, as OpenSSL
    calculates it.
    """
    public_key = subprocess.run(
        ["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"],
        input=keys.to_pkcs8(example_keys[kind]),
        capture_output=True,
        check=True,
    ).stdout
    expected = hashlib.sha256(public_key).hexdigest()
    assert (
        keys.compute_spki_sha256(example_keys[kind])
        == keys.compute_spki_sha256(example_keys[kind].public_key())
        == expected
    )


def test_a_private_key_matches_only_its_public_key(example_keys):
    """A private key matches only its own public key."""
    for kind in EVERY:
        matches = [
            keys.is_key_pair(example_keys[kind], example_keys[other].public_key())
            for other in EVERY
        ]
        assert matches == [kind == other for other in EVERY]


@pytest.mark.parametrize("kind", EVERY)
def test_a_key_is_the_same_after_writing_and_reading(example_keys, kind):
    """If a key is written and read again, it is the same key."""
    reread = keys.read_pkcs8(keys.to_pkcs8(example_keys[kind]))
    assert reread.private_numbers() == example_keys[kind].private_numbers()


@pytest.mark.tools
def test_openssl_accepts_generated_keys(example_keys):
    """OpenSSL accepts every generated key when it checks the key and its prime factors."""
    for key in example_keys.values():
        command = ["openssl", "pkey", "-inform", "DER", "-check", "-noout"]
        result = subprocess.run(command, input=keys.to_pkcs8(key), capture_output=True, check=True)
        assert b"Key is valid" in result.stdout


@pytest.mark.parametrize("number", ["d", "dmp1", "dmq1", "iqmp"])
def test_a_changed_number_in_a_key_is_detected(example_keys, number):
    """If a bit of a private number in an RSA key is changed, lyncnb reports that the numbers in the
    key do not match each other.
    """
    numbers = example_keys["RSA", 2048].private_numbers()
    values = {name: getattr(numbers, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    values[number] ^= 1 << 20
    altered = rsa.RSAPrivateNumbers(**values, public_numbers=numbers.public_numbers)
    key = altered.private_key(unsafe_skip_rsa_key_validation=True)
    with pytest.raises(BundleError, match=r"k\.key .*do not match each other"):
        keys.read_pkcs8(keys.to_pkcs8(key), name="k.key")


@pytest.mark.parametrize("number", ["prime1", "prime2", "private_exponent", "coefficient"])
def test_a_changed_number_in_an_encoded_key_is_detected(example_keys, number):
    """If a number in an encoded RSA key is changed, the key is rejected."""
    info = structures.PrivateKeyInfo.load(keys.to_pkcs8(example_keys["RSA", 2048]))
    numbers = info["private_key"].parsed
    numbers[number] = numbers[number].native ^ 4
    info["private_key"] = core.ParsableOctetString(numbers.dump(force=True))
    with pytest.raises((BundleError, ValueError)):
        keys.read_pkcs8(info.dump(force=True))


def test_a_changed_private_number_is_detected(example_keys):
    """If the private number of an ECDSA key is changed, the key is rejected."""
    key = example_keys["ECDSA", 256]
    der = keys.to_pkcs8(key)
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    other = (key.private_numbers().private_value ^ 1).to_bytes(32, "big")
    assert der.count(scalar) == 1
    with pytest.raises((BundleError, ValueError)):
        keys.read_pkcs8(der.replace(scalar, other))


def test_a_key_of_another_kind_is_refused():
    """An Ed25519 key is rejected, because no supported server can use it."""
    der = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(BundleError, match="is not an RSA or ECDSA key"):
        keys.read_pkcs8(der)


@pytest.mark.parametrize("der", [b"", b"0", bytes(100), b"0\x82\x01\x00" + bytes(256)])
def test_bytes_that_are_not_a_key_raise_a_value_error(der):
    """If bytes are not a key, the error is a plain ValueError, so that the caller can distinguish a
    wrong passphrase from damage.
    """
    with pytest.raises(ValueError):
        keys.read_pkcs8(der)
