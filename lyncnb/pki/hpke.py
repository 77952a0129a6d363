"""Encryption to one key pair: HPKE in base mode (RFC 9180).

A worker on another computer seals each private key to the key pair of the run. Only the process
that distributed the work can open it. The derived key of a run is sealed to a recovery key. HPKE
does not authenticate the sender, so the caller must check the opened content.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ..errors import BundleError

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
# The purposes of sealed content. Content for one purpose cannot be opened for the other.
_PURPOSE = "lyncnb private key 1\n"
RECOVERY = "lyncnb recovery of a derived key 1\n"


class RunKey:
    """The key pair of one run; the private key never leaves this object."""

    __slots__ = ("_private",)

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    def __repr__(self) -> str:
        return "RunKey(***)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a RunKey stays in its process")

    @property
    def public(self) -> bytes:
        """The public half, 32 bytes, for :func:`seal`."""
        return self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Open content that was sealed to this run for the request `about`.

        Raises
        ------
        BundleError
            If it was sealed to another run, for another request, or altered.
        """
        try:
            return unseal(sealed, self._private, about=about)
        except InvalidTag:
            raise BundleError(
                f"the key that a worker process sent for {about} cannot be decrypted",
                hint="try again; if it happens again, do not use that worker",
            ) from None


def seal(data: bytes, *, public: bytes, about: str, purpose: str = _PURPOSE) -> bytes:
    """Seal `data` to a public key, only for `about`: a request, or a run's derived key."""
    recipient = X25519PublicKey.from_public_bytes(public)
    return _SUITE.encrypt(data, recipient, info=(purpose + about).encode())


def unseal(
    sealed: bytes, private: X25519PrivateKey, *, about: str, purpose: str = _PURPOSE
) -> bytes:
    """Open the result of :func:`seal`; InvalidTag if the pair or the purpose differs."""
    return _SUITE.decrypt(sealed, private, info=(purpose + about).encode())
