"""A key that a worker encrypted for a run can be decrypted only by this run, and only for the same
request.
"""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.errors import BundleError
from lyncnb.pki.hpke import RunKey, seal

RUN = RunKey()


@given(st.binary(max_size=4000), st.text(max_size=80))
def test_encrypted_data_can_be_decrypted(data, subject):
    """Any data can be encrypted and decrypted again, and does not appear in the ciphertext."""
    sealed = seal(data, public=RUN.public, subject=subject)
    assert RUN.open(sealed, subject=subject) == data
    assert len(data) < 8 or data not in sealed


def test_the_same_key_has_two_different_ciphertexts():
    """If a key is encrypted twice, the two ciphertexts are different."""
    assert seal(b"key", public=RUN.public, subject="a") != seal(
        b"key", public=RUN.public, subject="a"
    )


def test_another_run_cannot_decrypt_a_key():
    """A key that was encrypted for one run and one request cannot be decrypted by another run or
    for another request.
    """
    sealed = seal(b"key", public=RUN.public, subject="Edge-1")
    for run, subject in ((RunKey(), "Edge-1"), (RUN, "Edge-2"), (RUN, "")):
        with pytest.raises(
            BundleError, match="that a worker process sent for .* cannot be decrypted"
        ):
            run.open(sealed, subject=subject)


@pytest.mark.parametrize("index", [0, 31, 32, -1])
def test_a_changed_byte_is_noticed(index):
    """If a byte of the encrypted key is changed, decryption fails with an error."""
    sealed = bytearray(seal(b"some key", public=RUN.public, subject="a"))
    sealed[index] ^= 1
    with pytest.raises(BundleError, match="cannot be decrypted"):
        RUN.open(bytes(sealed), subject="a")


@pytest.mark.parametrize("sealed", [b"", bytes(31), bytes(32), bytes(100)])
def test_data_that_was_not_encrypted_is_rejected(sealed):
    """Decryption rejects data that is too short or consists of zeros, always with the same message."""
    with pytest.raises(BundleError, match="cannot be decrypted"):
        RUN.open(sealed, subject="a")


def test_the_private_key_of_a_run_cannot_be_copied():
    """A `RunKey` does not reveal its private key in its representation, and cannot be copied or
    pickled. Its public key has 32 bytes.
    """
    assert repr(RUN) == "RunKey(***)"
    assert len(RUN.public) == 32
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied to another process"):
            copier(RUN)
