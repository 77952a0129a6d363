"""The keys of a folder, encrypted at rest.

``BestAvailableEncryption`` would derive the encryption key with 2,048 rounds, so this file writes
PKCS #8 (RFC 5958) with PBES2 (RFC 8018) itself: as OpenSSL does, and readable by it, with 600,000
rounds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.asn1 import Null, decode_der, encode_der, sequence
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7

from ..errors import BundleError, PassphraseError
from . import keys
from .der_structures import SEQUENCE, AlgorithmIdentifier, any_element, element
from .library_words import in_words
from .passphrase import Secret, as_passphrase

# Encryption of one run: a key that was derived already, and a fresh random IV for each file.
#
# This is all that a worker process gets: with it keys can be written for the folder, but nothing
# tells it the passphrase, and it reads nothing.

IV_BYTES = 16
BLOCK_BITS = 128
KEY_LABEL = b"ENCRYPTED PRIVATE KEY"

_OCTET_STRING = 0x04


class DerivedKey(NamedTuple):
    """A key that was derived from a passphrase, and what it was derived by.

    ``prf`` is the hash of PBKDF2's HMAC, ``length`` the number of bytes of ``key``.
    """

    salt: bytes
    rounds: int
    prf: str
    length: int
    key: bytes

    def __repr__(self) -> str:
        return "DerivedKey(***)"


class Encryptor(NamedTuple):
    """AES-256-CBC under one derived key.

    Parameters
    ----------
    key : bytes
        32 bytes. For this machine's own processes only.
    algorithm : bytes
        DER of the PBES2 AlgorithmIdentifier that tells a reader how the key was derived, without
        the IV, which are its last 16 bytes.
    """

    key: bytes
    algorithm: bytes

    def __repr__(self) -> str:
        return "Encryptor(***)"

    def encrypt(self, key: keys.PrivateKey) -> bytes:
        """Write a key as PEM ``ENCRYPTED PRIVATE KEY`` (PKCS #8, RFC 5958)."""
        return self.encrypt_bytes(keys.to_pkcs8(key), KEY_LABEL)

    def encrypt_bytes(self, data: bytes, label: bytes) -> bytes:
        """Write bytes as PEM of that label, in the envelope of PKCS #8."""
        iv = secrets.token_bytes(IV_BYTES)
        padder = PKCS7(BLOCK_BITS).padder()
        encryptor = Cipher(algorithms.AES(self.key), modes.CBC(iv)).encryptor()
        text = encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()
        body = self.algorithm + iv + element(_OCTET_STRING, text)
        return _armour(element(SEQUENCE, body), label)


def _armour(der: bytes, label: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = b"\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (label, lines, label)


#: Source: OWASP, Password Storage Cheat Sheet, PBKDF2-HMAC-SHA256.
ROUNDS = 600_000
# A file that asks for more would only keep the machine busy for minutes.
_MAX_ROUNDS = 10_000_000
_SALT_BYTES = 16
_DATA_LABEL = b"LYNCNB ENCRYPTED DATA"
_WHAT = {KEY_LABEL: "key", _DATA_LABEL: "file"}
# A list of passwords has some 100 bytes for each package.
_MAX_PEM_BYTES = {KEY_LABEL: 64 * 1024, _DATA_LABEL: 64 * 1024 * 1024}

_Content = TypeVar("_Content")

_PRFS: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_CIPHERS = {"aes128_cbc": 16, "aes192_cbc": 24, "aes256_cbc": 32}
_PBES2, _PBKDF2 = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12"  # RFC 8018 appendix A
# Names for messages too: RFC 8018 appendix B.1.2 and B.2.2, NIST's register for AES.
_NAMES = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
    "1.2.840.113549.3.7": "tripledes_3key",
    "2.16.840.1.101.3.4.1.2": "aes128_cbc",
    "2.16.840.1.101.3.4.1.22": "aes192_cbc",
    "2.16.840.1.101.3.4.1.42": "aes256_cbc",
}
_OIDS = {name: x509.ObjectIdentifier(oid) for oid, name in _NAMES.items()}
_ARMOUR = re.compile(rb"-----BEGIN ([A-Z0-9 #]+)-----\s([^-]+)-----END \1-----")


@sequence
class _Pbkdf2:
    """PBKDF2-params (RFC 8018 appendix A.2) with a salt that is given; no `prf` means SHA-1."""

    salt: bytes
    iteration_count: int
    key_length: int | None
    prf: AlgorithmIdentifier | None


@sequence
class _Pbes2:
    """PBES2-params (RFC 8018 appendix A.4)."""

    key_derivation_func: AlgorithmIdentifier
    encryption_scheme: AlgorithmIdentifier


@sequence
class _EncryptedPrivateKeyInfo:
    """EncryptedPrivateKeyInfo (RFC 5958 section 3)."""

    encryption_algorithm: AlgorithmIdentifier
    encrypted_data: bytes


class FolderCipher:
    """Encrypt and decrypt the keys of one folder under one passphrase.

    The slow derivation is done once for all keys of a run, with a fresh salt; each file gets its
    own random IV. Keys of earlier runs have other salts, whose derivations are kept as well. May
    be used by many threads.

    Parameters
    ----------
    passphrase : Secret or str
        At least 12 characters.
    rounds : int, optional
        Of PBKDF2, for what is written; lower only in tests.
    """

    def __init__(self, passphrase: Secret | str, *, rounds: int = ROUNDS):
        self._passphrase: Secret | None = as_passphrase(passphrase)
        self._rounds = rounds
        self._before_use: Callable[[DerivedKey], object] | None = None
        self._lock = threading.Lock()
        self._derived: dict[tuple[bytes, int, str, int], bytes] = {}
        self._proven: set[bytes] = set()
        self._own: Encryptor | None = None

    def __repr__(self) -> str:
        return "FolderCipher(***)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a FolderCipher stays in its process")

    @classmethod
    def of_derived(cls, derived: Iterable[DerivedKey]) -> FolderCipher:
        """Make a cipher that opens what these keys open, and encrypts nothing."""
        cipher = cls.__new__(cls)
        cipher._passphrase, cipher._rounds, cipher._before_use = None, 0, None
        cipher._lock, cipher._proven, cipher._own = threading.Lock(), set(), None
        cipher._derived = {one[:4]: one.key for one in derived}
        return cipher

    def seal_with(self, seal: Callable[[DerivedKey], object]) -> None:
        """Have the key of this run handed to `seal` before anything is encrypted with it."""
        with self._lock:
            self._before_use = seal
            if self._own is not None:
                # Nothing was written with it yet: who encrypts arms the cipher first.
                self._own = None

    @property
    def encryptor(self) -> Encryptor:
        """What this run encrypts with; derived at first use (about 0.1 s)."""
        with self._lock:
            if self._own is None:
                salt = secrets.token_bytes(_SALT_BYTES)
                key = self._derive_locked(salt, self._rounds, "sha256", 32, "a new file")
                if self._before_use is not None:
                    self._before_use(DerivedKey(salt, self._rounds, "sha256", 32, key))
                self._own = Encryptor(key, _algorithm(salt, self._rounds)[:-IV_BYTES])
                self._proven.add(salt)
            return self._own

    def encrypt(self, key: keys.PrivateKey) -> bytes:
        """Write a key as PEM ``ENCRYPTED PRIVATE KEY``."""
        return self.encryptor.encrypt(key)

    def encrypt_pkcs8(self, data: bytes) -> bytes:
        """Write a PKCS #8 key of any kind as PEM ``ENCRYPTED PRIVATE KEY``."""
        return self.encryptor.encrypt_bytes(data, KEY_LABEL)

    def encrypt_data(self, data: bytes) -> bytes:
        """Write other data of the folder, e.g. its list of package passwords, as PEM.

        The same envelope under a label of our own; a digest in front tells whether it is whole.
        """
        return self.encryptor.encrypt_bytes(hashlib.sha256(data).digest() + data, _DATA_LABEL)

    def decrypt(self, pem: bytes, *, name: str = "the key") -> keys.PrivateKey:
        """Read an encrypted key back, and check that it is whole.

        Parameters
        ----------
        pem : bytes
            PEM ``ENCRYPTED PRIVATE KEY``: PBES2 with PBKDF2-HMAC-SHA2 and AES-CBC.
        name : str, optional
            File name for messages.

        Raises
        ------
        PassphraseError
            If the passphrase is not that of the key.
        BundleError
            If the file is damaged, or no key that this tool could have written.
        """
        return self._decrypt(pem, name, KEY_LABEL, lambda data: keys.read_pkcs8(data, name=name))

    def decrypt_data(self, pem: bytes, *, name: str = "the file") -> bytes:
        """Read what :meth:`encrypt_data` wrote; raises as :meth:`decrypt` does."""
        return self._decrypt(pem, name, _DATA_LABEL, _checked)

    def decrypt_pkcs8(self, pem: bytes, *, name: str) -> bytes:
        """Read what :meth:`encrypt_pkcs8` wrote; raises as :meth:`decrypt` does."""
        return self._decrypt(pem, name, KEY_LABEL, _whole_pkcs8)

    def key_of(self, pem: bytes, *, name: str) -> DerivedKey:
        """Open a file of the folder, and give the derived key that opened it."""
        self.open(pem, name=name)
        label = KEY_LABEL if name.endswith(".key") else _DATA_LABEL
        salt, rounds, prf, length, _, _ = _read_envelope(pem, name, label)
        return DerivedKey(salt, rounds, prf, length, self._derived[salt, rounds, prf, length])

    def open(self, pem: bytes, *, name: str) -> keys.PrivateKey | bytes:
        """Read a file of the folder by its name: a key if it ends in ``.key``, else other data."""
        read = self.decrypt if name.endswith(".key") else self.decrypt_data
        return read(pem, name=name)

    def _decrypt(
        self, pem: bytes, name: str, label: bytes, read: Callable[[bytes], _Content]
    ) -> _Content:
        salt, rounds, prf, length, iv, text = _read_envelope(pem, name, label)
        with self._lock:
            encryption_key = self._derive_locked(salt, rounds, prf, length, name)
        decryptor = Cipher(algorithms.AES(encryption_key), modes.CBC(iv)).decryptor()
        unpadder = PKCS7(BLOCK_BITS).unpadder()
        try:
            padded = decryptor.update(text) + decryptor.finalize()
            content = read(unpadder.update(padded) + unpadder.finalize())
        except ValueError:
            # CBC cannot tell a wrong key from a damaged text; another file of the same salt can.
            if salt in self._proven:
                raise keys.damaged(name, "does not decrypt, others of its run do") from None
            raise PassphraseError(
                f"{name}: this is not the passphrase of this {_WHAT[label]} (or it is damaged)",
                hint="give the passphrase the folder was made with",
            ) from None
        self._proven.add(salt)
        return content

    def _derive_locked(self, salt: bytes, rounds: int, prf: str, length: int, name: str) -> bytes:
        which = (salt, rounds, prf, length)
        if which not in self._derived:
            if self._passphrase is None:
                raise PassphraseError(
                    f"{name}: the run that wrote it sealed nothing to this recovery key",
                    hint="give the passphrase it was written with",
                )
            kdf = PBKDF2HMAC(_PRFS[prf], length, salt, rounds)
            self._derived[which] = kdf.derive(self._passphrase.reveal().encode())
        return self._derived[which]


def _algorithm(salt: bytes, rounds: int) -> bytes:
    """DER of the PBES2 AlgorithmIdentifier (RFC 8018 appendix A), with an IV of zeros last."""
    pbkdf2 = _Pbkdf2(
        salt=salt,
        iteration_count=rounds,
        key_length=None,
        prf=AlgorithmIdentifier(algorithm=_OIDS["sha256"], parameters=any_element(Null())),
    )
    parameters = _Pbes2(
        key_derivation_func=AlgorithmIdentifier(
            algorithm=x509.ObjectIdentifier(_PBKDF2), parameters=any_element(pbkdf2)
        ),
        encryption_scheme=AlgorithmIdentifier(
            algorithm=_OIDS["aes256_cbc"], parameters=any_element(bytes(IV_BYTES))
        ),
    )
    return encode_der(
        AlgorithmIdentifier(
            algorithm=x509.ObjectIdentifier(_PBES2), parameters=any_element(parameters)
        )
    )


def salt_of(pem: bytes, *, name: str) -> tuple[bytes, int, str, int]:
    """Tell by what the key of an encrypted file was derived: salt, rounds, hash, bytes.

    Raises
    ------
    BundleError
        If it is no file that a cipher wrote.
    """
    label = KEY_LABEL if name.endswith(".key") else _DATA_LABEL
    return _read_envelope(pem, name, label)[:4]


def _whole_pkcs8(data: bytes) -> bytes:
    serialization.load_der_private_key(data, None)  # ValueError if it is none
    return data


def _checked(data: bytes) -> bytes:
    digest, content = data[:32], data[32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("digest")
    return content


def _read_envelope(
    pem: bytes, name: str, label: bytes
) -> tuple[bytes, int, str, int, bytes, bytes]:
    """Take a PKCS #8 file apart: salt, rounds, hash, key length in bytes, IV, ciphertext."""
    found = _ARMOUR.search(pem) if len(pem) <= _MAX_PEM_BYTES[label] else None
    if found is None:
        raise keys.damaged(name, "is no PEM file")
    if found[1] != label:
        raise BundleError(
            f"{name} holds {found[1].decode()}, not {label.decode()}",
            hint="lyncnb writes no such file; move it out of the folder",
        )
    try:
        der = base64.b64decode(b"".join(found[2].split()), validate=True)
        envelope = decode_der(_EncryptedPrivateKeyInfo, der)
        pbes2 = _parameters(envelope.encryption_algorithm, _PBES2, _Pbes2)
        pbkdf2 = _parameters(pbes2.key_derivation_func, _PBKDF2, _Pbkdf2)
        prf = "sha1" if pbkdf2.prf is None else _name(pbkdf2.prf)
        mode = _name(pbes2.encryption_scheme)
        if prf not in _PRFS or mode not in _CIPHERS:
            raise keys.damaged(name, f"is encrypted in a way lyncnb does not use ({prf}, {mode})")
        iv: bytes = pbes2.encryption_scheme.parameters.parse(bytes)
    except (ValueError, binascii.Error) as error:
        raise keys.damaged(
            name, f"is no PKCS #8 file that can be read ({in_words(error)})"
        ) from None
    salt, rounds, text = pbkdf2.salt, pbkdf2.iteration_count, envelope.encrypted_data
    if not 1 <= rounds <= _MAX_ROUNDS or len(iv) != IV_BYTES:
        raise keys.damaged(name, f"asks for {rounds} rounds; from 1 to {_MAX_ROUNDS} will do")
    return salt, rounds, prf, _CIPHERS[mode], iv, text


def _name(algorithm: AlgorithmIdentifier) -> str:
    return _NAMES.get(algorithm.algorithm.dotted_string, algorithm.algorithm.dotted_string)


def _parameters(algorithm: AlgorithmIdentifier, oid: str, kind: type[_Content]) -> _Content:
    if algorithm.algorithm.dotted_string != oid:
        raise ValueError(algorithm.algorithm.dotted_string)
    found: _Content = algorithm.parameters.parse(kind)
    return found
