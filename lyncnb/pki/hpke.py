"""A private key on its way back from another machine, sealed to the planner's.

HPKE in base mode (RFC 9180) with a key pair of one run: who hands out the work opens what comes
back, and nobody between. HPKE says nothing about who sealed; the caller checks what it opened.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ..errors import BundleError

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_PURPOSE = "lyncnb private key 1\n"


class RunKey:
    """The key pair of one run; its private half never leaves this object."""

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
        """Open what was sealed to this run for the request `about`.

        Raises
        ------
        BundleError
            If it was sealed to another run, for another request, or altered.
        """
        try:
            return _SUITE.decrypt(sealed, self._private, info=(_PURPOSE + about).encode())
        except InvalidTag:
            raise BundleError(
                f"the key that a worker sent for {about} cannot be opened",
                hint="run it again; if it happens again, do without that worker",
            ) from None


def seal(data: bytes, *, public: bytes, about: str) -> bytes:
    """Seal `data` to a run's public half, for the request `about` alone."""
    recipient = X25519PublicKey.from_public_bytes(public)
    return _SUITE.encrypt(data, recipient, info=(_PURPOSE + about).encode())
