"""Put finished pairs of key and CSR into the request folder: key first, both durable.

The order is the promise: a CSR has its name in ``csr/`` only when its key is on the disk under
its own, so whatever is sent to a CA has its key here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .base.files import FileBatch
from .errors import BundleError
from .pairs import FinishedPair
from .request_folder.files_on_disk import key_sha256
from .request_folder.manifest import csr_path, key_path

# Pairs that are synced together: to wait for the disk once for many costs a fraction of waiting for
# each. An interruption loses the few that came last, and the next run makes them again.
_BATCH = 500
_SECONDS = 0.25
_CSR_MODE = 0o644


class Written(NamedTuple):
    """Hashes of what was written for a request, as its record keeps them."""

    csr_sha256: str
    spki_sha256: str
    key_sha256: str


class PairStore:
    """Writes pairs into a folder whose lock is held; a context manager, for one thread.

    A pair that comes more than a quarter of a second after those before it are durable is made
    durable at once, any other with those that follow it.

    Parameters
    ----------
    folder : Path
        With ``csr/`` and ``keys/``.
    known : iterable of str
        Hashes of the public keys that the folder already has.
    """

    def __init__(self, folder: Path, *, known: Iterable[str]):
        self.written: dict[str, Written] = {}
        self._folder = folder
        self._known = set(known)
        self._batch = FileBatch()
        self._waiting: dict[str, Written] = {}
        self._due = 0.0

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
        if pair.spki_sha256 in self._known:
            raise BundleError(
                f"{pair.id}: a new key is one that the folder already has",
                hint="this machine's random numbers repeat (a cloned virtual machine?): "
                "use another one",
            )
        self._known.add(pair.spki_sha256)
        key, request = self._folder / key_path(pair.id), self._folder / csr_path(pair.id)
        self._batch.add(key, pair.key_pem, stage=0)
        self._batch.add(request, pair.csr_pem, _CSR_MODE, stage=1)
        self._waiting[pair.id] = Written(
            pair.csr_sha256, pair.spki_sha256, key_sha256(pair.key_pem)
        )
        if len(self._waiting) >= _BATCH or time.monotonic() >= self._due:
            self._commit()

    def _commit(self) -> None:
        self._batch.commit()
        self.written.update(self._waiting)
        self._waiting.clear()
        self._due = time.monotonic() + _SECONDS
