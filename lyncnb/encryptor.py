"""Encryption of one run: a key that was derived already, and a fresh random IV for each file.

This is all that a worker process gets: with it keys can be written for the folder, but nothing
tells it the passphrase, and it reads nothing.
"""

from __future__ import annotations

import base64
import secrets
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from . import keys

IV_BYTES = 16
BLOCK_BITS = 128
KEY_LABEL = b"ENCRYPTED PRIVATE KEY"

_SEQUENCE, _OCTET_STRING = b"\x30", b"\x04"


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
        body = self.algorithm + iv + _element(_OCTET_STRING, text)
        return _armour(_element(_SEQUENCE, body), label)


def _element(tag: bytes, content: bytes) -> bytes:
    """Write one DER element (ITU-T X.690 section 8.1.3)."""
    size = len(content)
    if size < 0x80:
        return tag + bytes([size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return tag + bytes([0x80 | len(octets)]) + octets + content


def _armour(der: bytes, label: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = b"\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (label, lines, label)
