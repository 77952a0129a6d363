"""A recovery key decrypts the data that was encrypted for it. lyncnb rejects files that contain no
recovery key.
"""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lyncnb.errors import BundleError
from lyncnb.pki.hpke import seal
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.pki.recovery_pair import RecoveryPair, read_private_key, read_public_key

pytestmark = pytest.mark.usefixtures("quick_cipher")

WORDS = "four random words here"
PAIR = RecoveryPair()


def test_data_is_decrypted_only_for_its_purpose():
    """Encrypted data can be decrypted only with the right recovery key, salt and purpose, and if no
    bit was changed.
    """
    sealed = PAIR.public.seal(b"derived key", purpose="salt 1")
    assert PAIR.open(sealed, purpose="salt 1") == b"derived key"
    for pair, data, purpose in (
        (RecoveryPair(), sealed, "salt 1"),
        (PAIR, sealed, "salt 2"),
        (PAIR, sealed[:-1] + bytes([sealed[-1] ^ 1]), "salt 1"),
        (PAIR, seal(b"x", public=PAIR.public.public, subject="salt 1"), "salt 1"),
    ):
        with pytest.raises(ValueError, match="encrypted for a different key"):
            pair.open(data, purpose=purpose)


def test_public_and_private_keys_are_read():
    """The public recovery key can be read from PEM, and the private key from encrypted PEM."""
    assert read_public_key(PAIR.public.to_pem(), name="a.pub") == PAIR.public
    pair = read_private_key(PAIR.to_pem(FolderCipher(WORDS)), WORDS, name="a")
    assert pair.public == PAIR.public
    assert len(PAIR.public.fingerprint.split("-")) == 8


def test_a_recovery_key_does_not_show_the_private_key():
    """The repr of a recovery key does not show the private key, and the key cannot be pickled."""
    assert repr(PAIR) == "RecoveryPair(***)"
    with pytest.raises(TypeError, match="cannot be copied to another process"):
        pickle.dumps(PAIR)


@pytest.mark.parametrize("data", [b"", b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"])
def test_files_that_are_not_public_keys_are_rejected(data):
    """lyncnb rejects a file that is not a public recovery key, with a hint about the right file."""
    with pytest.raises(BundleError, match="not the public half of a recovery key") as caught:
        read_public_key(data, name="a.pub")
    assert "lyncnb recovery new" in caught.value.hint


def test_a_server_key_is_rejected_as_a_recovery_key():
    """lyncnb refuses to use the key of a server as a recovery key."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(BundleError, match="that is not an X25519 key"):
        read_public_key(public, name="a.pub")
    with pytest.raises(BundleError, match="is not a recovery key"):
        read_private_key(FolderCipher(WORDS).encrypt(key), WORDS, name="a")
