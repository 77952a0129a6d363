"""Put finished pairs of key and CSR into the request folder: key first, both durable.

The order is the promise: a CSR has its name in ``csr/`` only when its key is on the disk under
its own, so whatever is sent to a CA has its key here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from . import files
from .batch import Batch
from .errors import BundleError
from .pairs import FinishedPair
from .records import csr_path, key_path
from .survey import key_sha256

# Pairs that are synced together where making one costs less than syncing it; as many can be lost
# by an interruption, and are made again in a fraction of a second.
_BATCH = 500
_CSR_MODE = 0o644


class Written(NamedTuple):
    """Hashes of what was written for a request, as its record keeps them."""

    csr_sha256: str
    spki_sha256: str
    key_sha256: str


class PairStore:
    """Writes pairs into a folder whose lock is held; a context manager.

    Parameters
    ----------
    folder : Path
        With ``csr/`` and ``keys/``.
    batched : set of str
        Ids whose pairs come from one thread and are synced together; any other pair is written
        at once, from any thread.
    known : iterable of str
        Hashes of the public keys that the folder already has.
    """

    def __init__(self, folder: Path, *, batched: frozenset[str], known: Iterable[str]):
        self.written: dict[str, Written] = {}
        self._folder = folder
        self._batched = batched
        self._known = set(known)
        self._batch = Batch()
        self._waiting: dict[str, Written] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> PairStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._commit()
        else:
            self._batch.discard()

    def __call__(self, pair: FinishedPair) -> None:
        """Take one finished pair.

        Raises
        ------
        BundleError
            If the disk refuses, a name is taken, or a public key comes a second time.
        """
        with self._lock:
            if pair.spki_sha256 in self._known:
                raise BundleError(
                    f"{pair.id}: a new key is one that the folder already has",
                    hint="this machine's random numbers repeat (a cloned virtual machine?): "
                    "use another one",
                )
            self._known.add(pair.spki_sha256)
        key, request = self._folder / key_path(pair.id), self._folder / csr_path(pair.id)
        written = Written(pair.csr_sha256, pair.spki_sha256, key_sha256(pair.key_pem))
        if pair.id in self._batched:
            self._batch.add(key, pair.key_pem, stage=0)
            self._batch.add(request, pair.csr_pem, _CSR_MODE, stage=1)
            self._waiting[pair.id] = written
            if len(self._waiting) >= _BATCH:
                self._commit()
            return
        files.write_new(key, pair.key_pem)
        files.write_new(request, pair.csr_pem, _CSR_MODE)
        self.written[pair.id] = written

    def _commit(self) -> None:
        self._batch.commit()
        self.written.update(self._waiting)
        self._waiting.clear()
