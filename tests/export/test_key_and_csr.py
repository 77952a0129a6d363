"""lyncnb rejects a key and CSR from a worker process if they do not match."""

from __future__ import annotations

import hashlib
import time

import pytest
from folders import planned_certificate

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
CONTENT = build_request_content(planned_certificate("sip.contoso.com", algorithm="ECDSA"))
OTHER = build_request_content(planned_certificate("sip.fabrikam.com", algorithm="ECDSA"))


def open_result(answer: object):
    """Decrypt and check a pair that a worker returned for the request ``Edge-1``."""
    return open_sealed_pair("Edge-1", CONTENT, answer, run_key=RUN, encryptor=CIPHER.encryptor)


def test_a_pair_belongs_together():
    """In a new pair, the private key matches the CSR, and the CSR has the planned content."""
    pair = make_pair("Edge-1", CONTENT, CIPHER.encrypt)
    key, request = CIPHER.decrypt(pair.key_pem), parse_request(pair.csr_pem)
    assert keys.is_key_pair(key, request.public_key)
    assert request.content == CONTENT
    assert (pair.id, pair.spki_sha256) == ("Edge-1", keys.compute_spki_sha256(key))
    assert pair.csr_sha256 == request.csr_sha256


def test_pair_of_a_worker_is_stored():
    """The key in a pair that a worker created is encrypted for the folder and stored with its CSR."""
    pair = open_result(make_sealed_pair("Edge-1", CONTENT, RUN.public))
    key, request = CIPHER.decrypt(pair.key_pem), parse_request(pair.csr_pem)
    assert keys.is_key_pair(key, request.public_key)
    assert (request.content, request.has_valid_signature()) == (CONTENT, True)
    assert pair.spki_sha256 == keys.compute_spki_sha256(key)


def sealed_key(key: keys.PrivateKey) -> bytes:
    return seal(keys.to_pkcs8(key), public=RUN.public, subject="Edge-1")


def wrong_answers():
    """Return results that a faulty or malicious worker might send, and the error that each of them
    causes.
    """
    key, another = (keys.generate_key(CONTENT.key) for _ in "12")
    der = build_request(CONTENT, key).der
    tampered = der[:-1] + bytes([der[-1] ^ 1])
    own_name = build_request(OTHER, key).der
    return {
        "nothing": (None, "an object of type NoneType instead of a key and a request"),
        "text": ("key", "an object of type str instead of"),
        "one part": ((b"",), "an object of type tuple instead of"),
        "three parts": ((b"", b"", b""), "an object of type tuple instead of"),
        "not bytes": (("key", "request"), "an object of type tuple instead of"),
        "no request": (
            (sealed_key(key), b"0"),
            "data that is not a request for Edge-1",
        ),
        "another request": ((sealed_key(key), own_name), "differs from the plan .subject CN"),
        "bad signature": ((sealed_key(key), tampered), "with an invalid signature"),
        "another key": ((sealed_key(another), der), "a key that does not belong to the request"),
        "key in the clear": ((keys.to_pkcs8(key), der), "data that is not a key"),
        "no key": ((seal(b"0", public=RUN.public, subject="Edge-1"), der), "that is not a key"),
        "for another run": (
            make_sealed_pair("Edge-1", CONTENT, RunKey().public),
            "data that is not a key",
        ),
        "for another request": (
            make_sealed_pair("Edge-2", CONTENT, RUN.public),
            "data that is not a key",
        ),
    }


WRONG = wrong_answers()


@pytest.mark.parametrize("case", WRONG)
def test_wrong_results_are_rejected(case):
    """If a worker returns a wrong result, lyncnb raises an error with the name of the request."""
    answer, message = WRONG[case]
    with pytest.raises(BundleError, match=message) as caught:
        open_result(answer)
    assert "Edge-1" in caught.value.message


# In the following tests, pairs are stored in the folder in batches, each of which is written
# completely or not at all.


def pair(number: int) -> FinishedPair:
    """Return a pair with invented values for the key and the CSR."""
    return FinishedPair(f"a{number}", b"key", b"csr", f"{number:08x}" * 8, "c" * 64)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the subfolders for CSRs and keys."""
    for subfolder in ("csr", "keys"):
        (tmp_path / subfolder).mkdir()
    return tmp_path


@pytest.fixture
def patient(monkeypatch):
    """Set a timeout of one hour, so that the store always waits until a batch is complete."""
    monkeypatch.setattr(key_and_csr, "_SECONDS", 3600)


def test_single_pair_is_stored_immediately(folder):
    """After a pause, the store writes a single pair of key and CSR to the disk before the call
    returns.
    """
    with PairStore(folder, known=()) as writer:
        writer(pair(1))
        assert (folder / "keys" / "a1-00000001.key").read_bytes() == b"key"
        assert (folder / "csr" / "a1-00000001.csr").read_bytes() == b"csr"
        assert writer.written["a1"].key_sha256 == hashlib.sha256(b"key").hexdigest()


@pytest.mark.usefixtures("patient")
def test_batch_is_written_when_it_is_complete_and_at_the_end(folder, monkeypatch):
    """The files in a batch of pairs get their names when the batch is complete, and at the end of
    the run.

    `written` holds only stored pairs.
    """
    monkeypatch.setattr(key_and_csr, "_BATCH", 2)
    with PairStore(folder, known=()) as writer:
        for number in range(5):
            writer(pair(number))
            # The writer stores the first pair at once. After that, it stores pairs in batches of
            # two.
            expected = [f"a{n}" for n in range(number // 2 * 2 + 1)]
            assert sorted(writer.written) == expected
            assert sorted(path.stem[:2] for path in (folder / "csr").glob("a*.csr")) == expected
        writer(pair(5))
    assert len(writer.written) == 6
    assert len(list((folder / "keys").iterdir())) == 6


def test_batch_is_written_after_a_time_limit(folder, monkeypatch):
    """The store writes a batch of pairs after a time limit, even if the batch is incomplete, so
    that no pair waits for long.
    """
    monkeypatch.setattr(key_and_csr, "_SECONDS", 0.05)
    with PairStore(folder, known=()) as writer:
        writer(pair(0))
        writer(pair(1))
        assert sorted(writer.written) == ["a0"]
        time.sleep(0.06)
        writer(pair(2))
        assert sorted(writer.written) == ["a0", "a1", "a2"]


@pytest.mark.usefixtures("patient")
def test_error_discards_an_incomplete_batch(folder):
    """If an error occurs, lyncnb removes the files of the pairs in an incomplete batch."""

    def write_and_fail():
        with PairStore(folder, known=()) as writer:
            writer(pair(0))
            writer(pair(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert sorted(path.name for path in folder.rglob("*.*")) == [
        "a0-00000000.csr",
        "a0-00000000.key",
    ]


def test_repeated_public_key_in_a_run_is_rejected(folder):
    """If the folder or the current run already has a public key, another pair with the same key is
    rejected.
    """
    with PairStore(folder, known=[pair(1).spki_sha256]) as writer:
        writer(pair(2))
        for number in (1, 2):
            with pytest.raises(
                BundleError, match="identical to a key that the folder already contains"
            ):
                writer(pair(number)._replace(id="b"))
    assert len(list((folder / "keys").iterdir())) == 1
