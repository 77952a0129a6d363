"""Encrypt and decrypt the private keys in a request folder.

``BestAvailableEncryption`` would derive the encryption key with only 2,048 rounds. So this module
writes PKCS #8 (RFC 5958) with PBES2 (RFC 8018) and 600,000 rounds, which OpenSSL can read. lyncnb
encrypts other files (lists of passwords and of recovery keys) with AES-GCM and a separate key,
because worker processes choose the content that the first key encrypts.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.asn1 import Null, decode_der, encode_der, sequence
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7

from ..errors import BundleError, PassphraseError
from . import keys
from .der_structures import SEQUENCE, AlgorithmIdentifier, encode_element, wrap_element
from .library_words import explain_error
from .passphrase import DERIVED_BYTES, ROUNDS, SALT_BYTES, Secret, check_passphrase

# --- In one run, all files are encrypted with one derived key, and with a new random IV for each
# file. A worker process gets only the object ``Encryptor``. With it, the process can encrypt keys
# for the folder, but it does not get the passphrase.

IV_BYTES = 16
BLOCK_BITS = 128
KEY_LABEL = b"ENCRYPTED PRIVATE KEY"

_OCTET_STRING = 0x04


class Derivation(NamedTuple):
    """The parameters of PBKDF2. ``prf`` is the hash of the HMAC, and ``length`` is in bytes."""

    salt: bytes
    rounds: int
    prf: str
    length: int


class DerivedKey(NamedTuple):
    """A key that was derived from a passphrase, with the parameters of PBKDF2.

    ``prf`` is the hash of the HMAC, and ``length`` is the number of bytes of ``key``.
    """

    salt: bytes
    rounds: int
    prf: str
    length: int
    key: bytes

    def __repr__(self) -> str:
        return "DerivedKey(***)"


class Encryptor(NamedTuple):
    """A tool that encrypts private keys with AES-256-CBC and one derived key.

    Parameters
    ----------
    key : bytes
        The derived key with 32 bytes. It must not leave this computer.
    algorithm : bytes
        The DER of the PBES2 AlgorithmIdentifier with the parameters of the derivation, without the
        IV in the last 16 bytes.
    """

    key: bytes
    algorithm: bytes

    def __repr__(self) -> str:
        return "Encryptor(***)"

    def encrypt(self, key: keys.PrivateKey) -> bytes:
        """Return a private key as PEM ``ENCRYPTED PRIVATE KEY`` (PKCS #8, RFC 5958)."""
        return self.encrypt_bytes(keys.to_pkcs8(key), KEY_LABEL)

    def encrypt_bytes(self, data: bytes, label: bytes) -> bytes:
        """Encrypt bytes into a PKCS #8 structure, and return it as PEM with the given label."""
        iv = secrets.token_bytes(IV_BYTES)
        padder = PKCS7(BLOCK_BITS).padder()
        encryptor = Cipher(algorithms.AES(self.key), modes.CBC(iv)).encryptor()
        text = encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()
        body = self.algorithm + iv + encode_element(_OCTET_STRING, text)
        return _encode_pem(encode_element(SEQUENCE, body), label)


def _encode_pem(der: bytes, label: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = b"\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (label, lines, label)


# The maximum number of rounds of the key derivation. A file with more rounds would occupy the
# computer for minutes, so it is rejected.
_MAX_ROUNDS = 10_000_000
_DATA_LABEL = b"LYNCNB ENCRYPTED DATA"
_WHAT = {KEY_LABEL: "key", _DATA_LABEL: "file"}
# The largest size of encrypted data. A list of passwords has about 100 bytes for each package.
_MAX_PEM_BYTES = {KEY_LABEL: 64 * 1024, _DATA_LABEL: 64 * 1024 * 1024}

_Content = TypeVar("_Content")

_PRFS: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_CIPHERS = {"aes128_cbc": 16, "aes192_cbc": 24, "aes256_cbc": 32}
_GCM, _NONCE_BYTES, _TAG_BYTES = "aes256_gcm", 12, 16
# Each purpose has its own key. A key does not reveal the keys for other purposes or the original
# key.
_FOR_DATA, _FOR_RECORDS = b"lyncnb data of a folder 1", b"lyncnb records of a folder 1"
_PBES2, _PBKDF2 = (
    "1.2.840.113549.1.5.13",
    "1.2.840.113549.1.5.12",
)  # Source: RFC 8018 appendix A.
# The names of algorithms in messages. Sources: RFC 8018 appendix B.1.2 and B.2.2, and the AES
# identifiers of NIST.
_NAMES = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
    "1.2.840.113549.3.7": "tripledes_3key",
    "2.16.840.1.101.3.4.1.2": "aes128_cbc",
    "2.16.840.1.101.3.4.1.22": "aes192_cbc",
    "2.16.840.1.101.3.4.1.42": "aes256_cbc",
    "2.16.840.1.101.3.4.1.46": "aes256_gcm",
}
_OIDS = {name: x509.ObjectIdentifier(oid) for oid, name in _NAMES.items()}
_ARMOUR = re.compile(rb"-----BEGIN ([A-Z0-9 #]+)-----\s([^-]+)-----END \1-----")


@sequence
class _Pbkdf2:
    """The structure PBKDF2-params with an explicit salt (RFC 8018 appendix A.2).

    A missing `prf` means SHA-1.
    """

    salt: bytes
    iteration_count: int
    key_length: int | None
    prf: AlgorithmIdentifier | None


@sequence
class _Pbes2:
    """The structure PBES2-params (RFC 8018 appendix A.4)."""

    key_derivation_func: AlgorithmIdentifier
    encryption_scheme: AlgorithmIdentifier


@sequence
class _GcmParameters:
    """The structure GCMParameters (RFC 5084 section 3.2). The tag length is in bytes."""

    nonce: bytes
    icv_length: int


class _Envelope(NamedTuple):
    """The values in an encrypted PKCS #8 file. If ``is_gcm`` is true, ``iv`` is the nonce."""

    derivation: Derivation
    iv: bytes
    text: bytes
    is_gcm: bool


@sequence
class _EncryptedPrivateKeyInfo:
    """The structure EncryptedPrivateKeyInfo (RFC 5958 section 3)."""

    encryption_algorithm: AlgorithmIdentifier
    encrypted_data: bytes


class FolderCipher:
    """A cipher that encrypts and decrypts the files in a request folder with a passphrase.

    The slow key derivation runs once for all keys in a run, with a new salt. Each file has a random
    IV. Keys from earlier runs have other salts, whose derived keys are also cached. Several threads
    can use one cipher.

    Parameters
    ----------
    passphrase : Secret or str
        At least 12 characters.
    rounds : int, optional
        The rounds of PBKDF2 for new files. Only tests use a lower number.
    """

    def __init__(self, passphrase: Secret | str, *, rounds: int = ROUNDS):
        self._passphrase: Secret | None = check_passphrase(passphrase)
        self._rounds = rounds
        self._before_use: Callable[[DerivedKey], object] | None = None
        self._lock = threading.Lock()
        self._derived: dict[Derivation, bytes] = {}
        self._proven: set[bytes] = set()
        self._own: Encryptor | None = None

    def __repr__(self) -> str:
        return "FolderCipher(***)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a FolderCipher cannot be copied to another process")

    @classmethod
    def from_derived_keys(cls, derived_keys: Iterable[DerivedKey]) -> FolderCipher:
        """Return a cipher that opens files with given derived keys, but cannot encrypt."""
        cipher = cls.__new__(cls)
        cipher._passphrase, cipher._rounds, cipher._before_use = None, 0, None
        cipher._lock, cipher._proven, cipher._own = threading.Lock(), set(), None
        cipher._derived = {Derivation(*entry[:4]): entry.key for entry in derived_keys}
        return cipher

    def set_seal_function(self, seal: Callable[[DerivedKey], object]) -> None:
        """Set a function that seals the derived key of the run.

        The function is called before the first encryption.
        """
        with self._lock:
            self._before_use = seal
            if self._own is not None:
                # Callers use this method before the first encryption, so the derived key is still
                # unused.
                self._own = None

    @property
    def encryptor(self) -> Encryptor:
        """The object that encrypts keys in the current run. It is created at first use."""
        with self._lock:
            if self._own is None:
                salt = secrets.token_bytes(SALT_BYTES)
                derivation = Derivation(salt, self._rounds, "sha256", DERIVED_BYTES)
                key = self._derive_key_once(derivation, "a new file")
                if self._before_use is not None:
                    self._before_use(DerivedKey(salt, self._rounds, "sha256", DERIVED_BYTES, key))
                self._own = Encryptor(key, _encode_algorithm(salt, self._rounds)[:-IV_BYTES])
                self._proven.add(salt)
            return self._own

    def encrypt(self, key: keys.PrivateKey) -> bytes:
        """Encrypt a private key, and return it as PEM ``ENCRYPTED PRIVATE KEY``."""
        return self.encryptor.encrypt(key)

    def encrypt_pkcs8(self, data: bytes) -> bytes:
        """Encrypt a PKCS #8 key of any type, and return it as PEM ``ENCRYPTED PRIVATE KEY``."""
        return self.encryptor.encrypt_bytes(data, KEY_LABEL)

    def encrypt_data(self, data: bytes, *, name: str) -> bytes:
        """Encrypt data that is not a key, such as the list of package passwords, and return PEM.

        The encryption is AES-256-GCM with a separate key, in the structure of PKCS #8, with a label
        for lyncnb. ``name`` is the path in the folder. The file cannot be opened at another path.
        """
        encryptor = self.encryptor
        salt = _read_salt(encryptor.algorithm)
        derivation = Derivation(salt, self._rounds, "sha256", DERIVED_BYTES)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = AESGCM(_derive_purpose_key(encryptor.key, _FOR_DATA)).encrypt(
            nonce, data, name.encode()
        )
        body = _encode_gcm_algorithm(derivation, nonce) + encode_element(_OCTET_STRING, text)
        return _encode_pem(encode_element(SEQUENCE, body), _DATA_LABEL)

    @property
    def derivation(self) -> Derivation:
        """The key derivation for the folder, from an opened file or from the current run."""
        with self._lock:
            proven = (candidate for candidate in self._derived if candidate.salt in self._proven)
            if (derivation := next(proven, None)) is not None:
                return derivation
        return Derivation(
            _read_salt(self.encryptor.algorithm), self._rounds, "sha256", DERIVED_BYTES
        )

    def compute_macs(self, derivation: Derivation, texts: Iterable[bytes]) -> list[str]:
        """Return the HMAC-SHA256 of each text with a separate key, as hexadecimal digits.

        Raises
        ------
        PassphraseError
            If only a recovery key is available, and it does not open the derivation.
        """
        with self._lock:
            key = _derive_purpose_key(
                self._derive_key_once(derivation, "manifest.json"), _FOR_RECORDS
            )
        return [hmac.digest(key, text, "sha256").hex() for text in texts]

    def decrypt(self, pem: bytes, *, name: str = "the key") -> keys.PrivateKey:
        """Decrypt a private key, and check that it is complete.

        Parameters
        ----------
        pem : bytes
            PEM ``ENCRYPTED PRIVATE KEY``: PBES2 with PBKDF2-HMAC-SHA2 and AES-CBC.
        name : str, optional
            The file name for messages.

        Raises
        ------
        PassphraseError
            If the passphrase does not belong to the key.
        BundleError
            If the file is damaged, or is not a key that lyncnb writes.
        """
        return self._decrypt_and_parse(pem, name, lambda data: keys.read_pkcs8(data, name=name))

    def decrypt_data(self, pem: bytes, *, name: str) -> bytes:
        """Decrypt the result of :meth:`encrypt_data`.

        The errors are the same as for :meth:`decrypt`.

        ``name`` is the path in the folder. Lists of earlier versions have no MAC, so that somebody
        could have written them without the passphrase. They cannot be opened.
        """
        envelope = _read_envelope(pem, name, _DATA_LABEL)
        if not envelope.is_gcm:
            raise BundleError(
                f"{name} has the format of an earlier lyncnb version, which does not detect "
                "changes. Somebody may have replaced the file",
                hint=f"restore {name} from a backup, or remove the file",
            )
        with self._lock:
            key = self._derive_key_once(envelope.derivation, name)
        try:
            cipher = AESGCM(_derive_purpose_key(key, _FOR_DATA))
            data = cipher.decrypt(envelope.iv, envelope.text, name.encode())
        except InvalidTag:
            raise self._build_open_error(envelope.derivation.salt, name, _DATA_LABEL) from None
        self._proven.add(envelope.derivation.salt)
        return data

    def decrypt_pkcs8(self, pem: bytes, *, name: str) -> bytes:
        """Decrypt the result of :meth:`encrypt_pkcs8`.

        The errors are the same as for :meth:`decrypt`.
        """
        return self._decrypt_and_parse(pem, name, _check_pkcs8)

    def find_derived_key(self, pem: bytes, *, name: str) -> DerivedKey:
        """Open an encrypted file in the folder, and return the derived key that opened it."""
        self.open_file(pem, name=name)
        label = KEY_LABEL if name.endswith(".key") else _DATA_LABEL
        derivation = _read_envelope(pem, name, label).derivation
        return DerivedKey(*derivation, self._derived[derivation])

    def open_file(self, pem: bytes, *, name: str) -> keys.PrivateKey | bytes:
        """Decrypt a file in the folder.

        The file contains a private key if its name ends with ``.key``, and otherwise other data.
        """
        decrypt = self.decrypt if name.endswith(".key") else self.decrypt_data
        return decrypt(pem, name=name)

    def _decrypt_and_parse(
        self, pem: bytes, name: str, parse: Callable[[bytes], _Content]
    ) -> _Content:
        derivation, iv, text, is_gcm = _read_envelope(pem, name, KEY_LABEL)
        if is_gcm:
            raise keys.build_damaged_error(
                name, f"is encrypted with {_GCM}, which lyncnb does not support for this file"
            )
        with self._lock:
            encryption_key = self._derive_key_once(derivation, name)
        decryptor = Cipher(algorithms.AES(encryption_key), modes.CBC(iv)).decryptor()
        unpadder = PKCS7(BLOCK_BITS).unpadder()
        try:
            padded = decryptor.update(text) + decryptor.finalize()
            content = parse(unpadder.update(padded) + unpadder.finalize())
        except ValueError:
            raise self._build_open_error(derivation.salt, name, KEY_LABEL) from None
        self._proven.add(derivation.salt)
        return content

    def _build_open_error(self, salt: bytes, name: str, label: bytes) -> BundleError:
        # A cipher cannot distinguish a wrong key from damaged data. However, if another file with
        # the same salt could be opened, the data is damaged.
        if salt in self._proven:
            return keys.build_damaged_error(
                name,
                (
                    "cannot be decrypted, although lyncnb can decrypt other files "
                    "from the same command"
                ),
            )
        return PassphraseError(
            (f"{name}: the passphrase does not match this {_WHAT[label]}, or the file is damaged"),
            hint="use the passphrase of the folder",
        )

    def _derive_key_once(self, derivation: Derivation, name: str) -> bytes:
        if derivation not in self._derived:
            if self._passphrase is None:
                raise PassphraseError(
                    f"{name}: this file was not encrypted for the recovery key",
                    hint="use the passphrase with which the file was encrypted",
                )
            kdf = PBKDF2HMAC(
                _PRFS[derivation.prf], derivation.length, derivation.salt, derivation.rounds
            )
            self._derived[derivation] = kdf.derive(self._passphrase.reveal().encode())
        return self._derived[derivation]


def _derive_purpose_key(derived_key: bytes, purpose: bytes) -> bytes:
    """Derive the key for one purpose from the key derived from the passphrase (HKDF, RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(derived_key)


def _encode_gcm_algorithm(derivation: Derivation, nonce: bytes) -> bytes:
    """Return the DER of the PBES2 AlgorithmIdentifier with AES-256-GCM (RFC 5084)."""
    scheme = AlgorithmIdentifier(
        algorithm=_OIDS[_GCM],
        parameters=wrap_element(_GcmParameters(nonce=nonce, icv_length=_TAG_BYTES)),
    )
    return _encode_pbes2(derivation.salt, derivation.rounds, scheme)


def _read_salt(algorithm: bytes) -> bytes:
    """Return the salt of an AlgorithmIdentifier whose IV has been cut off."""
    identifier = decode_der(AlgorithmIdentifier, algorithm + bytes(IV_BYTES))
    pbes2 = _read_parameters(identifier, _PBES2, _Pbes2)
    return _read_parameters(pbes2.key_derivation_func, _PBKDF2, _Pbkdf2).salt


def _encode_algorithm(salt: bytes, rounds: int) -> bytes:
    """Return the DER of the PBES2 AlgorithmIdentifier (RFC 8018 appendix A) with a zero IV."""
    scheme = AlgorithmIdentifier(
        algorithm=_OIDS["aes256_cbc"], parameters=wrap_element(bytes(IV_BYTES))
    )
    return _encode_pbes2(salt, rounds, scheme)


def _encode_pbes2(salt: bytes, rounds: int, scheme: AlgorithmIdentifier) -> bytes:
    pbkdf2 = _Pbkdf2(
        salt=salt,
        iteration_count=rounds,
        key_length=None,
        prf=AlgorithmIdentifier(algorithm=_OIDS["sha256"], parameters=wrap_element(Null())),
    )
    parameters = _Pbes2(
        key_derivation_func=AlgorithmIdentifier(
            algorithm=x509.ObjectIdentifier(_PBKDF2), parameters=wrap_element(pbkdf2)
        ),
        encryption_scheme=scheme,
    )
    return encode_der(
        AlgorithmIdentifier(
            algorithm=x509.ObjectIdentifier(_PBES2), parameters=wrap_element(parameters)
        )
    )


def read_derivation(pem: bytes, *, name: str) -> Derivation:
    """Return the key derivation of an encrypted file: salt, rounds, hash, and key length.

    Raises
    ------
    BundleError
        If :class:`FolderCipher` did not write the file.
    """
    label = KEY_LABEL if name.endswith(".key") else _DATA_LABEL
    return _read_envelope(pem, name, label).derivation


def _check_pkcs8(data: bytes) -> bytes:
    # This call raises ValueError if the data is not a key.
    serialization.load_der_private_key(data, None)
    return data


def _read_envelope(pem: bytes, name: str, label: bytes) -> _Envelope:
    armour = _ARMOUR.search(pem) if len(pem) <= _MAX_PEM_BYTES[label] else None
    if armour is None:
        raise keys.build_damaged_error(name, "is not a PEM file")
    if armour[1] != label:
        raise BundleError(
            f"{name} contains {armour[1].decode()}, not {label.decode()}",
            hint=(
                "move the file out of the folder, because lyncnb does not write files of this type"
            ),
        )
    try:
        der = base64.b64decode(b"".join(armour[2].split()), validate=True)
        envelope = decode_der(_EncryptedPrivateKeyInfo, der)
        pbes2 = _read_parameters(envelope.encryption_algorithm, _PBES2, _Pbes2)
        pbkdf2 = _read_parameters(pbes2.key_derivation_func, _PBKDF2, _Pbkdf2)
        prf = "sha1" if pbkdf2.prf is None else _get_algorithm_name(pbkdf2.prf)
        mode = _get_algorithm_name(pbes2.encryption_scheme)
        if prf not in _PRFS or mode not in (*_CIPHERS, _GCM):
            raise keys.build_damaged_error(
                name, f"uses encryption that lyncnb does not support ({prf}, {mode})"
            )
        iv = _read_iv(pbes2.encryption_scheme, mode)
    except (ValueError, binascii.Error) as error:
        raise keys.build_damaged_error(
            name, f"is not a readable PKCS #8 file ({explain_error(error)})"
        ) from None
    salt, rounds, text = pbkdf2.salt, pbkdf2.iteration_count, envelope.encrypted_data
    if not 1 <= rounds <= _MAX_ROUNDS or len(iv) != (_NONCE_BYTES if mode == _GCM else IV_BYTES):
        raise keys.build_damaged_error(
            name,
            (
                f"requires {rounds} iterations of the key derivation, but lyncnb accepts 1 "
                f"to {_MAX_ROUNDS}"
            ),
        )
    derivation = Derivation(salt, rounds, prf, _CIPHERS.get(mode, 32))
    return _Envelope(derivation, iv, text, mode == _GCM)


def _read_iv(scheme: AlgorithmIdentifier, mode: str) -> bytes:
    if mode != _GCM:
        iv: bytes = scheme.parameters.parse(bytes)
        return iv
    parameters: _GcmParameters = scheme.parameters.parse(_GcmParameters)
    if parameters.icv_length != _TAG_BYTES:
        raise ValueError(f"a tag of {parameters.icv_length} bytes")
    return parameters.nonce


def _get_algorithm_name(algorithm: AlgorithmIdentifier) -> str:
    return _NAMES.get(algorithm.algorithm.dotted_string, algorithm.algorithm.dotted_string)


def _read_parameters(algorithm: AlgorithmIdentifier, oid: str, kind: type[_Content]) -> _Content:
    if algorithm.algorithm.dotted_string != oid:
        raise ValueError(algorithm.algorithm.dotted_string)
    parameters: _Content = algorithm.parameters.parse(kind)
    return parameters
