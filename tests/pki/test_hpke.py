"""A key that was encrypted for a run can be decrypted only by that run and only for the same
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
def test_what_is_sealed_is_opened(data, about):
    """Any bytes are decrypted unchanged, and do not appear in the ciphertext."""
    sealed = seal(data, public=RUN.public, subject=about)
    assert RUN.open(sealed, subject=about) == data
    assert len(data) < 8 or data not in sealed


def test_the_same_key_sealed_twice_looks_different():
    """Encrypting the same key twice gives different ciphertexts."""
    assert seal(b"key", public=RUN.public, subject="a") != seal(
        b"key", public=RUN.public, subject="a"
    )


def test_another_run_or_request_cannot_open_it():
    """An encrypted key is bound to its run and its request, so another run or request cannot
    decrypt it.
    """
    sealed = seal(b"key", public=RUN.public, subject="Edge-1")
    for run, about in ((RunKey(), "Edge-1"), (RUN, "Edge-2"), (RUN, "")):
        with pytest.raises(
            BundleError, match="that a worker process sent for .* cannot be decrypted"
        ):
            run.open(sealed, subject=about)


@pytest.mark.parametrize("place", [0, 31, 32, -1])
def test_a_changed_byte_is_noticed(place):
    """A changed byte in the encapsulated key or in the ciphertext is detected."""
    sealed = bytearray(seal(b"some key", public=RUN.public, subject="a"))
    sealed[place] ^= 1
    with pytest.raises(BundleError, match="cannot be decrypted"):
        RUN.open(bytes(sealed), subject="a")


@pytest.mark.parametrize("sealed", [b"", bytes(31), bytes(32), bytes(100)])
def test_what_was_never_sealed_does_not_open(sealed):
    """Encrypted messages that are too short or all zero are rejected with the same text."""
    with pytest.raises(BundleError, match="cannot be decrypted"):
        RUN.open(sealed, subject="a")


def test_the_private_half_stays():
    """A run's private key is not shown, copied or pickled. Its public key has 32 bytes."""
    assert repr(RUN) == "RunKey(***)"
    assert len(RUN.public) == 32
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied to another process"):
            copier(RUN)
