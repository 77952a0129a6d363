"""Key files use PBES2 with 600,000 iterations, and OpenSSL can read them.

A wrong passphrase and damage are distinguished.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import os
import pickle
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cryptography_vectors
import pytest
from asn1crypto import keys as structures
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.errors import BundleError, PassphraseError
from lyncnb.pki import keys
from lyncnb.pki.passphrase import ROUNDS
from lyncnb.pki.pkcs8 import Encryptor, FolderCipher

WORDS = "correct horse battery"
# In tests, a small number of iterations is sufficient, because the number affects only the run
# time.
FEW = 1000
CIPHER = FolderCipher(WORDS, rounds=FEW)
P256 = KeyParameters(algorithm="ECDSA", bits=256)
PKCS8 = Path(cryptography_vectors.__file__).parent / "asymmetric" / "PKCS8"


@pytest.fixture(scope="module")
def rsa_key() -> keys.PrivateKey:
    """Generate one RSA key for all tests in this file."""
    return keys.generate_key(KeyParameters())


@pytest.fixture(scope="module")
def ec_key() -> keys.PrivateKey:
    """Generate one ECDSA key for all tests in this file."""
    return keys.generate_key(P256)


@pytest.fixture
def cipher() -> FolderCipher:
    """Return a cipher that derives its key quickly."""
    return FolderCipher(WORDS, rounds=FEW)


def envelope(pem: bytes) -> structures.EncryptedPrivateKeyInfo:
    """Decode the PEM text of an encrypted key, and return its DER structure."""
    return structures.EncryptedPrivateKeyInfo.load(
        base64.b64decode(b"".join(pem.splitlines()[1:-1])), strict=True
    )


def salt(pem: bytes) -> bytes:
    """Return the salt of an encrypted key."""
    function = envelope(pem)["encryption_algorithm"]["parameters"]["key_derivation_func"]
    return function["parameters"]["salt"].native


def are_same_keys(key: keys.PrivateKey, other: keys.PrivateKey) -> bool:
    """Return whether two private keys consist of the same numbers."""
    return key.private_numbers() == other.private_numbers()


def openssl(*arguments: str, data: bytes) -> bytes:
    """Run OpenSSL with the passphrase in an environment variable, not in the arguments."""
    return subprocess.run(
        ["openssl", *arguments],
        input=data,
        env={**os.environ, "PASS": WORDS},
        capture_output=True,
        check=True,
    ).stdout


def test_keys_are_encrypted_with_pbes2(ec_key):
    """By default, lyncnb encrypts keys with PBKDF2-HMAC-SHA256, 600,000 iterations, a 16-byte salt
    and AES-256-CBC.
    """
    algorithm = envelope(FolderCipher(WORDS).encrypt(ec_key))["encryption_algorithm"]
    function = algorithm["parameters"]["key_derivation_func"]
    assert ROUNDS == 600_000
    assert algorithm["algorithm"].native == "pbes2"
    assert function["algorithm"].native == "pbkdf2"
    assert function["parameters"]["iteration_count"].native == 600_000
    assert function["parameters"]["prf"]["algorithm"].native == "sha256"
    assert len(function["parameters"]["salt"].native) == 16
    assert algorithm["parameters"]["encryption_scheme"]["algorithm"].native == "aes256_cbc"


def test_files_of_a_run_share_the_salt_but_not_the_iv(rsa_key, cipher):
    """All files of a run have the same salt and different IVs. Another run has a different salt."""
    pems = [cipher.encrypt(rsa_key) for _ in range(20)]
    pems += [FolderCipher(WORDS, rounds=FEW).encrypt(rsa_key)]
    parameters = [envelope(pem)["encryption_algorithm"]["parameters"] for pem in pems]
    salts = [salt(pem) for pem in pems]
    ivs = {p["encryption_scheme"]["parameters"].native for p in parameters}
    assert (len(set(salts[:20])), len(set(salts)), len(ivs)) == (1, 2, 21)


@pytest.mark.parametrize("bits", [("RSA", 2048), ("ECDSA", 256), ("ECDSA", 521)])
def test_a_key_can_be_decrypted_with_the_passphrase(cipher, bits):
    """A key can be decrypted by another cipher that has the same passphrase."""
    key = keys.generate_key(KeyParameters(algorithm=bits[0], bits=bits[1]))
    assert are_same_keys(FolderCipher(WORDS).decrypt(cipher.encrypt(key)), key)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=12, max_size=60))
def test_any_passphrase_is_read_the_same_by_pyca(ec_key, text):
    """With any passphrase, encoded as UTF-8, pyca can decrypt the key file."""
    pem = FolderCipher(text, rounds=1).encrypt(ec_key)
    loaded = serialization.load_pem_private_key(pem, text.encode())
    assert are_same_keys(loaded, ec_key)


@pytest.mark.tools
def test_openssl_reads_what_we_write(rsa_key, ec_key, cipher):
    """The commands pkey and pkcs8 of OpenSSL can read a key file, and return the same key."""
    for key in (rsa_key, ec_key):
        pem = cipher.encrypt(key)
        for command in ("pkey", "pkcs8"):
            der = openssl(command, "-passin", "env:PASS", "-outform", "DER", data=pem)
            loaded = serialization.load_der_private_key(der, None)
            assert are_same_keys(loaded, key)


@pytest.mark.tools
@pytest.mark.parametrize("scheme", ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"])
@pytest.mark.parametrize("prf", ["hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"])
def test_we_read_what_openssl_writes(ec_key, scheme, prf):
    """lyncnb can decrypt key files that OpenSSL encrypted with PBES2, SHA-2, AES-CBC and any number
    of iterations.
    """
    encrypted_key = openssl(
        *("pkcs8", "-topk8", "-inform", "DER", "-v2", scheme, "-v2prf", prf),
        *("-iter", "1234", "-passout", "env:PASS"),
        data=keys.to_pkcs8(ec_key),
    )
    assert are_same_keys(FolderCipher(WORDS).decrypt(encrypted_key), ec_key)


@pytest.mark.tools
def test_the_derivation_is_pbkdf2_by_another_library(ec_key, cipher):
    """With Python's PBKDF2 and OpenSSL's AES, a key file can be decrypted to the PKCS #8 key."""
    structure = envelope(cipher.encrypt(ec_key))
    parameters = structure["encryption_algorithm"]["parameters"]
    pbkdf2 = parameters["key_derivation_func"]["parameters"]
    derived = hashlib.pbkdf2_hmac("sha256", WORDS.encode(), pbkdf2["salt"].native, FEW, 32)
    iv = parameters["encryption_scheme"]["parameters"].native
    command = ["enc", "-d", "-aes-256-cbc", "-K", derived.hex(), "-iv", iv.hex()]
    assert openssl(*command, data=structure["encrypted_data"].native) == keys.to_pkcs8(ec_key)


def test_a_wrong_passphrase_is_reported(rsa_key, cipher):
    """For a hundred keys, a wrong passphrase always results in the same error, and never in a key."""
    wrong = FolderCipher("incorrect horse battery")
    for _ in range(100):
        with pytest.raises(PassphraseError, match=r"keys/a\.key: the passphrase does not match"):
            wrong.decrypt(cipher.encrypt(rsa_key), name="keys/a.key")


def damage_key(pem: bytes) -> bytes:
    """Change the padding of an encrypted key, so that the key cannot be decrypted with any
    passphrase.
    """
    structure = envelope(pem)
    der, text = bytearray(structure.dump()), structure["encrypted_data"].native
    assert der.endswith(text)
    # In CBC mode, a changed bit in the second-to-last block changes the same bit of the last block,
    # in which the length of the padding then exceeds a block (RFC 8018 section 6.1.1).
    der[-17] ^= 0x80
    body = base64.encodebytes(bytes(der))
    first, *_, last = pem.splitlines()
    return b"\n".join((first, body.strip(), last, b""))


@pytest.mark.parametrize(
    "parameters",
    [("RSA", 2048), ("RSA", 3072), ("ECDSA", 256), ("ECDSA", 384), ("ECDSA", 521)],
)
def test_a_damaged_key_is_distinguished_from_a_wrong_passphrase(cipher, parameters):
    """If the passphrase decrypts one key but not another, lyncnb reports that the other key is
    damaged.
    """
    key = keys.generate_key(KeyParameters(algorithm=parameters[0], bits=parameters[1]))
    good, bad = cipher.encrypt(key), damage_key(cipher.encrypt(key))
    reader = FolderCipher(WORDS)
    with pytest.raises(PassphraseError, match="or the file is damaged"):
        reader.decrypt(bad)
    reader.decrypt(good)
    with pytest.raises(
        BundleError,
        match="cannot be decrypted, although lyncnb can decrypt other files from the same",
    ) as caught:
        reader.decrypt(bad)
    assert not isinstance(caught.value, PassphraseError)


def test_any_changed_byte_is_detected(ec_key, cipher):
    """If a byte of a key file is changed, the result is an error or the same key, and never a
    different key.
    """
    pem = cipher.encrypt(ec_key)
    reader = FolderCipher(WORDS, rounds=FEW)
    reader.decrypt(pem)
    for position in range(len(pem)):
        changed = bytearray(pem)
        changed[position] = ord("A") if changed[position] != ord("A") else ord("B")
        try:
            key = reader.decrypt(bytes(changed))
        except BundleError:
            continue
        assert are_same_keys(key, ec_key)


NOT_OURS = {
    "enc-rsa-pkcs8-pbkdf2-0iter.pem": "does not support (sha1",
    "enc-unknown-algorithm.pem": "does not support (sha256, 1.2.840",
    "enc-unknown-kdf.pem": "is not a readable PKCS #8 file",
    "enc-unknown-pbkdf2-prf.pem": "does not support (1.2.840",
    "enc-rsa-3des.pem": "does not support (sha256, tripledes_3key)",
    "rsa-40bitrc2.pem": "is not a readable PKCS #8 file",
    "rsa-rc2-cbc.pem": "does not support (",
    "rsa_pkcs8_pbes2_pbkdf2_2048_3des_sha384.pem": "does not support (sha384, tripledes_3key)",
    "ed25519-scrypt.pem": "is not a readable PKCS #8 file",
    "unenc-rsa-pkcs8.pem": "contains PRIVATE KEY, not ENCRYPTED PRIVATE KEY",
    "wrong-pem-delimiter-rsa.pem": "not ENCRYPTED PRIVATE KEY",
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_unsupported_files_are_rejected_by_name(cipher, name):
    """For each published PKCS #8 file of an unsupported type, there is a clear error before the
    passphrase is checked.
    """
    with pytest.raises(BundleError, match=re.escape(NOT_OURS[name])) as caught:
        cipher.decrypt((PKCS8 / name).read_bytes(), name=name)
    assert caught.value.message.startswith(name)


def test_published_files_raise_only_documented_errors(cipher):
    """For published PKCS #8 files, valid or not, the only errors are those of lyncnb."""
    files = sorted(path for path in PKCS8.iterdir() if path.is_file())
    assert len(files) >= 40
    refused = [path for path in files if refuses(cipher, path)]
    assert len(refused) == len(files)


def refuses(cipher: FolderCipher, path: Path) -> bool:
    """Return whether lyncnb rejects a file with an error that has a hint.

    Other exceptions are raised.
    """
    try:
        cipher.decrypt(path.read_bytes(), name=path.name)
    except BundleError as error:
        return bool(error.hint)
    return False


def test_damaged_data_is_detected(cipher):
    """lyncnb detects encrypted data that was changed, or that was moved to another file."""
    pem = cipher.encrypt_data(b"PFX password for edge01.contoso.com: ..." * 10, name="pfx/a.enc")
    lines = pem.splitlines()
    lines[5] = lines[5][:20] + (b"A" if lines[5][20:21] != b"A" else b"B") + lines[5][21:]
    with pytest.raises(
        BundleError,
        match="cannot be decrypted, although lyncnb can decrypt other files from the same",
    ):
        cipher.decrypt_data(b"\n".join(lines), name="pfx/a.enc")
    with pytest.raises(
        BundleError,
        match="cannot be decrypted, although lyncnb can decrypt other files from the same",
    ):
        cipher.decrypt_data(pem, name="recovery/keys.enc")
    with pytest.raises(PassphraseError):
        FolderCipher("another passphrase", rounds=1000).decrypt_data(pem, name="pfx/a.enc")


def test_workers_cannot_forge_a_list(cipher):
    """lyncnb rejects an encrypted list without a MAC, so a worker process cannot forge the list of
    keys.
    """
    data = b'{"keys": ["chosen by a worker"]}'
    forged = cipher.encryptor.encrypt_bytes(
        hashlib.sha256(data).digest() + data, b"LYNCNB ENCRYPTED DATA"
    )
    with pytest.raises(BundleError, match="has the format of an earlier lyncnb"):
        cipher.decrypt_data(forged, name="recovery/keys.enc")


def test_too_many_iterations_are_rejected(ec_key, cipher):
    """lyncnb immediately rejects a file that specifies more than ten million iterations."""
    structure = envelope(cipher.encrypt(ec_key))
    function = structure["encryption_algorithm"]["parameters"]["key_derivation_func"]
    function["parameters"]["iteration_count"] = 10_000_001
    text = base64.encodebytes(structure.dump(force=True))
    pem = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n%b-----END ENCRYPTED PRIVATE KEY-----\n" % text
    with pytest.raises(BundleError, match="requires 10000001 iterations"):
        cipher.decrypt(pem)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN", bytes(100_000), "鑰匙".encode()])
def test_files_that_are_not_pem_are_rejected(cipher, pem):
    """An empty, truncated, very large or unrelated file is not accepted as PEM."""
    with pytest.raises(BundleError, match="is not a PEM file"):
        cipher.decrypt(pem)


def test_line_ends_do_not_matter(ec_key, cipher):
    """A key file with Windows line endings can be read."""
    pem = cipher.encrypt(ec_key)
    assert are_same_keys(cipher.decrypt(pem.replace(b"\n", b"\r\n")), ec_key)


def test_a_cipher_does_not_show_the_passphrase(cipher):
    """The repr of a cipher does not show the passphrase, and a cipher cannot be copied or pickled."""
    assert repr(cipher) == "FolderCipher(***)"
    assert repr(cipher.encryptor) == "Encryptor(***)"
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied to another process"):
            copier(cipher)


def test_a_worker_encrypts_keys_for_the_folder(ec_key, cipher):
    """The cipher of a worker process encrypts keys for the folder, and does not contain the
    passphrase.
    """
    worker = Encryptor(*tuple(cipher.encryptor))
    assert are_same_keys(FolderCipher(WORDS).decrypt(worker.encrypt(ec_key)), ec_key)
    assert WORDS.encode() not in b"".join(worker)


@given(st.integers(0, 70_000))
def test_the_envelope_is_der_at_any_size(size):
    """For data of any size, the envelope is the same as the DER that another library writes. The
    sizes result in encoded lengths of one to three bytes.
    """
    pem = CIPHER.encrypt_data(bytes(size), name="a.enc")
    assert envelope(pem).dump(force=True) == base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    assert CIPHER.decrypt_data(pem, name="a.enc") == bytes(size)


def test_threads_use_the_same_salt(ec_key):
    """If eight threads encrypt keys at the same time, all keys have the same salt."""
    cipher = FolderCipher(WORDS, rounds=50_000)
    with ThreadPoolExecutor(8) as pool:
        pems = list(pool.map(cipher.encrypt, [ec_key] * 8))
    assert len({salt(pem) for pem in pems}) == 1
