"""Encrypt data for a public key with HPKE in base mode (RFC 9180).

This is called sealing. A worker on another computer seals each private key to the key pair of the
run, so only the process that distributed the work can open it. A run also seals its derived key to
each recovery key. HPKE does not authenticate the sender, so the caller must check the opened
content.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ..errors import BundleError

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
# The purposes of sealed data. Data for one purpose cannot be opened for another purpose.
_PURPOSE = "lyncnb private key 1\n"
RECOVERY = "lyncnb recovery of a derived key 1\n"


class RunKey:
    """The key pair of a run. The private key never leaves the object."""

    __slots__ = ("_private",)

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    def __repr__(self) -> str:
        return "RunKey(***)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a RunKey cannot be copied to another process")

    @property
    def public(self) -> bytes:
        """The public key for :func:`seal`, as 32 bytes."""
        return self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes, *, subject: str) -> bytes:
        """Decrypt data that was sealed for the key pair and for the request `subject`.

        Raises
        ------
        BundleError
            If the data was sealed to another run or for another request, or was changed.
        """
        try:
            return unseal(sealed, self._private, subject=subject)
        except InvalidTag:
            raise BundleError(
                f"the key that a worker process sent for {subject} cannot be decrypted",
                hint="try again. If the error occurs again, do not use the worker process that "
                "sent the key",
            ) from None


def seal(data: bytes, *, public: bytes, subject: str, purpose: str = _PURPOSE) -> bytes:
    """Encrypt data for a public key. Decryption requires the same purpose and subject."""
    recipient = X25519PublicKey.from_public_bytes(public)
    return _SUITE.encrypt(data, recipient, info=(purpose + subject).encode())


def unseal(
    sealed: bytes, private_key: X25519PrivateKey, *, subject: str, purpose: str = _PURPOSE
) -> bytes:
    """Decrypt the result of :func:`seal`. A wrong key or purpose raises InvalidTag."""
    return _SUITE.decrypt(sealed, private_key, info=(purpose + subject).encode())
