"""Pairs go into the folder key first; a batch is written as a whole or not at all."""

from __future__ import annotations

import hashlib
import time

import pytest

from lyncnb import store
from lyncnb.errors import BundleError
from lyncnb.pairs import FinishedPair
from lyncnb.store import PairStore


def pair(number: int) -> FinishedPair:
    """Pretend a finished pair."""
    return FinishedPair(f"a{number}", b"key", b"csr", f"{number:064x}", "c" * 64)


@pytest.fixture
def folder(tmp_path):
    """Make the folders that a run makes first."""
    for place in ("csr", "keys"):
        (tmp_path / place).mkdir()
    return tmp_path


@pytest.fixture
def patient(monkeypatch):
    """Wait for full batches, however long they take."""
    monkeypatch.setattr(store, "_SECONDS", 3600)


def test_a_single_pair_is_there_at_once(folder):
    """What comes after a while is durable when the call returns."""
    with PairStore(folder, known=()) as writer:
        writer(pair(1))
        assert (folder / "keys" / "a1.key").read_bytes() == b"key"
        assert (folder / "csr" / "a1.csr").read_bytes() == b"csr"
        assert writer.written["a1"].key_sha256 == hashlib.sha256(b"key").hexdigest()


@pytest.mark.usefixtures("patient")
def test_a_batch_is_named_when_it_is_full_and_at_the_end(folder, monkeypatch):
    """Until then no name is there; written holds only what is on the disk."""
    monkeypatch.setattr(store, "_BATCH", 2)
    with PairStore(folder, known=()) as writer:
        for number in range(5):
            writer(pair(number))
            # The first is not waited with; then two make a batch.
            done = [f"a{n}" for n in range(number // 2 * 2 + 1)]
            assert sorted(writer.written) == done
            assert sorted(path.stem for path in (folder / "csr").glob("a*.csr")) == done
        writer(pair(5))
    assert len(writer.written) == 6
    assert len(list((folder / "keys").iterdir())) == 6


def test_a_batch_is_named_when_it_is_due(folder, monkeypatch):
    """However few they are, nothing waits for long while pairs come."""
    monkeypatch.setattr(store, "_SECONDS", 0.05)
    with PairStore(folder, known=()) as writer:
        writer(pair(0))
        writer(pair(1))
        assert sorted(writer.written) == ["a0"]
        time.sleep(0.06)
        writer(pair(2))
        assert sorted(writer.written) == ["a0", "a1", "a2"]


@pytest.mark.usefixtures("patient")
def test_an_error_drops_what_is_not_named(folder):
    """No half batch is left behind."""

    def write_and_fail():
        with PairStore(folder, known=()) as writer:
            writer(pair(0))
            writer(pair(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert sorted(path.name for path in folder.rglob("*.*")) == ["a0.csr", "a0.key"]


def test_a_public_key_comes_once(folder):
    """Neither one that the folder has, nor one of this run."""
    with PairStore(folder, known=[pair(1).spki_sha256]) as writer:
        writer(pair(2))
        for number in (1, 2):
            with pytest.raises(BundleError, match="is one that the folder already has"):
                writer(pair(number)._replace(id="b"))
    assert len(list((folder / "keys").iterdir())) == 1
