"""Create, read, and use the key pair that opens a folder whose passphrase is lost.

The algorithm is X25519. You distribute the public key as PEM. The private key is in a separate
PKCS #8 file with a separate passphrase, which OpenSSL can read. Each run seals its derived key to
the public key (HPKE, ``hpke.py``), for the salt of this derived key only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from ..errors import BundleError
from . import hpke
from .passphrase import Secret
from .pkcs8 import FolderCipher

_HINT = "use the .pub file that `lyncnb recovery new` wrote"


@dataclass(frozen=True, slots=True)
class RecoveryPublicKey:
    """The public half of a recovery key pair. It is 32 bytes long."""

    public: bytes

    @property
    def fingerprint(self) -> str:
        """The first half of the public key's SHA-256, in eight groups of four digits."""
        digest = hashlib.sha256(self.public).hexdigest()
        return "-".join(digest[start : start + 4] for start in range(0, 32, 4))

    def seal(self, data: bytes, *, purpose: str) -> bytes:
        """Encrypt data for the public key. The data can be opened only for the same purpose."""
        return hpke.seal(data, public=self.public, subject=purpose, purpose=hpke.RECOVERY)

    def to_pem(self) -> bytes:
        """Return the public key as PEM ``PUBLIC KEY`` (RFC 8410)."""
        return X25519PublicKey.from_public_bytes(self.public).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class RecoveryPair:
    """A recovery key pair. The private key leaves the object only in encrypted form."""

    __slots__ = ("_private",)

    def __init__(self, private: X25519PrivateKey | None = None) -> None:
        self._private = private or X25519PrivateKey.generate()

    def __repr__(self) -> str:
        return "RecoveryPair(***)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a RecoveryPair cannot be copied to another process")

    @property
    def public(self) -> RecoveryPublicKey:
        """The public key of the pair, which you can distribute."""
        return RecoveryPublicKey(self._private.public_key().public_bytes_raw())

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        """Decrypt data that was sealed for the same purpose, or raise ValueError."""
        try:
            return hpke.unseal(sealed, self._private, subject=purpose, purpose=hpke.RECOVERY)
        except InvalidTag:
            raise ValueError(
                "the data was encrypted for a different key or purpose, or was changed"
            ) from None

    def to_pem(self, cipher: FolderCipher) -> bytes:
        """Encrypt the private key, and return it as PEM (``ENCRYPTED PRIVATE KEY``)."""
        data = self._private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return cipher.encrypt_pkcs8(data)


def read_private_key(pem: bytes, passphrase: Secret | str, *, name: str) -> RecoveryPair:
    """Read a private recovery key that :meth:`RecoveryPair.to_pem` wrote.

    Raises
    ------
    PassphraseError, BundleError
        If the passphrase is wrong, or the file is not a recovery key.
    """
    data = FolderCipher(passphrase).decrypt_pkcs8(pem, name=name)
    key = serialization.load_der_private_key(data, None)
    if not isinstance(key, X25519PrivateKey):
        raise BundleError(
            f"{name} is not a recovery key", hint="use the file that `lyncnb recovery new` wrote"
        )
    return RecoveryPair(key)


def read_public_key(pem: bytes, *, name: str) -> RecoveryPublicKey:
    """Read a public recovery key that :meth:`RecoveryPublicKey.to_pem` wrote.

    Raises
    ------
    BundleError
        If the file is not a public recovery key, for example a private key.
    """
    if b"PRIVATE KEY" in pem:
        raise BundleError(
            f"the file {name} is the private half of a recovery key. Never share this file",
            hint=_HINT,
        )
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise BundleError(
            f"the file {name} is not the public half of a recovery key", hint=_HINT
        ) from None
    if not isinstance(key, X25519PublicKey):
        raise BundleError(
            f"the file {name} contains a public key that is not an X25519 key", hint=_HINT
        )
    return RecoveryPublicKey(key.public_bytes_raw())
