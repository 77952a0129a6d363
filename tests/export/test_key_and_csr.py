"""The key and the CSR of a pair belong together. A pair from a worker is accepted only if this is
true.
"""

from __future__ import annotations

import hashlib
import time

import pytest
from folders import planned

from lyncnb.errors import BundleError
from lyncnb.export import key_and_csr
from lyncnb.export.key_and_csr import (
    FinishedPair,
    PairStore,
    make_pair,
    make_sealed_pair,
    open_sealed_pair,
)
from lyncnb.pki import keys
from lyncnb.pki.csr import build_request, parse_request
from lyncnb.pki.hpke import RunKey, seal
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.plan.model import build_request_content

CIPHER = FolderCipher("correct horse battery", rounds=1000)
RUN = RunKey()
CONTENT = build_request_content(planned("sip.contoso.com", algorithm="ECDSA"))
OTHER = build_request_content(planned("sip.fabrikam.com", algorithm="ECDSA"))


def opened(answer: object):
    """Open a worker's answer as if it were for the planned request."""
    return open_sealed_pair("Edge-1", CONTENT, answer, run_key=RUN, encryptor=CIPHER.encryptor)


def test_a_pair_belongs_together():
    """The private key belongs to the CSR, and the CSR has the planned content."""
    pair = make_pair("Edge-1", CONTENT, CIPHER.encrypt)
    key, request = CIPHER.decrypt(pair.key_pem), parse_request(pair.csr_pem)
    assert keys.is_key_pair(key, request.public_key)
    assert request.content == CONTENT
    assert (pair.id, pair.spki_sha256) == ("Edge-1", keys.spki_sha256(key))
    assert pair.csr_sha256 == request.csr_sha256


def test_a_sealed_pair_becomes_the_same():
    """A pair that a worker created is stored as an encrypted key and its CSR."""
    pair = opened(make_sealed_pair("Edge-1", CONTENT, RUN.public))
    key, request = CIPHER.decrypt(pair.key_pem), parse_request(pair.csr_pem)
    assert keys.is_key_pair(key, request.public_key)
    assert (request.content, request.has_valid_signature()) == (CONTENT, True)
    assert pair.spki_sha256 == keys.spki_sha256(key)


def sealed_key(key: keys.PrivateKey) -> bytes:
    return seal(keys.to_pkcs8(key), public=RUN.public, subject="Edge-1")


def wrong_answers():
    """Return results that a faulty or malicious worker might send, with the error for each."""
    key, another = (keys.generate_key(CONTENT.key) for _ in "12")
    der = build_request(CONTENT, key).der
    tampered = der[:-1] + bytes([der[-1] ^ 1])
    own_name = build_request(OTHER, key).der
    return {
        "nothing": (None, "a NoneType instead of a key and a request"),
        "text": ("key", "a str instead of"),
        "one part": ((b"",), "a tuple instead of"),
        "three parts": ((b"", b"", b""), "a tuple instead of"),
        "not bytes": (("key", "request"), "a tuple instead of"),
        "no request": (
            (sealed_key(key), b"0"),
            "that a worker sent for Edge-1 is not a readable cert",
        ),
        "another request": ((sealed_key(key), own_name), "differs from the plan .subject CN"),
        "bad signature": ((sealed_key(key), tampered), "with an invalid signature"),
        "another key": ((sealed_key(another), der), "a key that does not belong to the request"),
        "key in the clear": ((keys.to_pkcs8(key), der), "cannot be decrypted"),
        "no key": ((seal(b"0", public=RUN.public, subject="Edge-1"), der), "that is not a key"),
        "for another run": (
            make_sealed_pair("Edge-1", CONTENT, RunKey().public),
            "cannot be decrypted",
        ),
        "for another request": (
            make_sealed_pair("Edge-2", CONTENT, RUN.public),
            "cannot be decrypted",
        ),
    }


WRONG = wrong_answers()


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_belong_is_refused(what):
    """Each wrong answer raises an error that names the request, and nothing is encrypted or stored."""
    answer, message = WRONG[what]
    with pytest.raises(BundleError, match=message) as caught:
        opened(answer)
    assert "Edge-1" in caught.value.message


# Pairs are first stored in the key folder. A batch of pairs is written completely or not at
# all.


def pair(number: int) -> FinishedPair:
    """Return a fake pair of key and CSR."""
    return FinishedPair(f"a{number}", b"key", b"csr", f"{number:064x}", "c" * 64)


@pytest.fixture
def folder(tmp_path):
    """Create the folders that a run creates first."""
    for place in ("csr", "keys"):
        (tmp_path / place).mkdir()
    return tmp_path


@pytest.fixture
def patient(monkeypatch):
    """Make the store wait for complete batches, however long this takes."""
    monkeypatch.setattr(key_and_csr, "_SECONDS", 3600)


def test_a_single_pair_is_there_at_once(folder):
    """A single pair of key and CSR that arrives late is on disk when the call returns."""
    with PairStore(folder, known=()) as writer:
        writer(pair(1))
        assert (folder / "keys" / "a1.key").read_bytes() == b"key"
        assert (folder / "csr" / "a1.csr").read_bytes() == b"csr"
        assert writer.written["a1"].key_sha256 == hashlib.sha256(b"key").hexdigest()


@pytest.mark.usefixtures("patient")
def test_a_batch_is_named_when_it_is_full_and_at_the_end(folder, monkeypatch):
    """The files of a batch get their names when it is complete and at the end.

    `written` holds only stored pairs.
    """
    monkeypatch.setattr(key_and_csr, "_BATCH", 2)
    with PairStore(folder, known=()) as writer:
        for number in range(5):
            writer(pair(number))
            # The first pair is stored at once, and the next two are a batch.
            done = [f"a{n}" for n in range(number // 2 * 2 + 1)]
            assert sorted(writer.written) == done
            assert sorted(path.stem for path in (folder / "csr").glob("a*.csr")) == done
        writer(pair(5))
    assert len(writer.written) == 6
    assert len(list((folder / "keys").iterdir())) == 6


def test_a_batch_is_named_when_it_is_due(folder, monkeypatch):
    """A batch of pairs is stored when its time is up, so no pair of key and CSR waits for long."""
    monkeypatch.setattr(key_and_csr, "_SECONDS", 0.05)
    with PairStore(folder, known=()) as writer:
        writer(pair(0))
        writer(pair(1))
        assert sorted(writer.written) == ["a0"]
        time.sleep(0.06)
        writer(pair(2))
        assert sorted(writer.written) == ["a0", "a1", "a2"]


@pytest.mark.usefixtures("patient")
def test_an_error_drops_what_is_not_named(folder):
    """After an error, the files of an incomplete batch are removed."""

    def write_and_fail():
        with PairStore(folder, known=()) as writer:
            writer(pair(0))
            writer(pair(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert sorted(path.name for path in folder.rglob("*.*")) == ["a0.csr", "a0.key"]


def test_a_public_key_comes_once(folder):
    """A public key that the folder or this run already has is rejected."""
    with PairStore(folder, known=[pair(1).spki_sha256]) as writer:
        writer(pair(2))
        for number in (1, 2):
            with pytest.raises(
                BundleError, match="identical to a key that the folder already contains"
            ):
                writer(pair(number)._replace(id="b"))
    assert len(list((folder / "keys").iterdir())) == 1
