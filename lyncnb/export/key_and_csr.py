"""Create the key and the CSR of a planned request, on this machine or another one.

The module contains only functions and plain data, so that any executor can send them to its
workers. A process on this machine returns the key encrypted. Another machine returns the key sealed
to the run, and everything is checked before the key is encrypted. The passphrase and the derived
key never leave this machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..base import workers
from ..base.disk.files import FileBatch
from ..base.disk.folder_lock import confirm_lock
from ..base.request_content import RequestContent, list_content_differences
from ..base.workers import WorkerProcesses
from ..errors import BundleError
from ..pki import keys
from ..pki.csr import CertificationRequest, build_request, parse_request
from ..pki.hpke import RunKey, seal
from ..pki.passphrase import VARIABLE
from ..pki.pkcs8 import Encryptor
from ..request_folder.files_on_disk import compute_key_sha256
from ..request_folder.request_record import build_file_stem, list_current_files

if TYPE_CHECKING:
    pass

_COMMAND = f"import {__name__} as worker; worker.serve_tasks()"

Encrypt = Callable[[keys.PrivateKey], bytes]


class FinishedPair(NamedTuple):
    """A private key and its CSR, ready to be written.

    ``key_pem`` is encrypted. The two SHA-256 values are as in :class:`csr.CertificationRequest`.
    """

    id: str
    key_pem: bytes
    csr_pem: bytes
    spki_sha256: str
    csr_sha256: str


def make_pair(name: str, content: RequestContent, encrypt: Encrypt) -> FinishedPair:
    """Create a key and its CSR, and check that they match each other and the plan.

    The function ``encrypt`` encrypts the key. It is called last, because its first call may be
    slow.
    """
    key = keys.generate_key(content.key)
    return _make_checked_pair(name, key, build_request(content, key), encrypt)


def _make_checked_pair(
    name: str, key: keys.PrivateKey, request: CertificationRequest, encrypt: Encrypt
) -> FinishedPair:
    return FinishedPair(name, encrypt(key), request.pem, request.spki_sha256, request.csr_sha256)


def make_sealed_pair(name: str, content: RequestContent, public_key: bytes) -> tuple[bytes, bytes]:
    """Create a key and its CSR on a machine that must not store the key, and seal the key.

    Parameters
    ----------
    name : str
        Id of the request; the key is sealed for it.
    content : RequestContent
        The content of the request.
    public_key : bytes
        Public half of the run's key, 32 bytes.

    Returns
    -------
    tuple of bytes
        The sealed PKCS #8 key, and the request (DER).
    """
    key = keys.generate_key(content.key)
    request = build_request(content, key)
    return seal(keys.to_pkcs8(key), public=public_key, subject=name), request.der


def open_sealed_pair(
    name: str, content: RequestContent, answer: object, *, run_key: RunKey, encryptor: Encryptor
) -> FinishedPair:
    """Open, check and encrypt the key and CSR that :func:`make_sealed_pair` returned.

    Raises
    ------
    BundleError
        If the answer is not a matching key and request, or is not the planned request. The error
        contains the address of the worker, if the answer has it.
    """
    worker = getattr(answer, "worker", "")
    match answer:
        case (bytes() as sealed, bytes() as der):
            pass
        case _:
            raise _make_answer_error(
                name,
                f"an object of type {type(answer).__name__} instead of a key and a request",
                worker,
            )
    try:
        request = parse_request(der, name="the data")
    except BundleError:
        raise _make_answer_error(name, "data that is not a request", worker) from None
    if changes := list_content_differences(content, request.content):
        raise _make_answer_error(
            name, f"a request that differs from the plan ({'; '.join(changes)})", worker
        )
    if not request.has_valid_signature():
        raise _make_answer_error(name, "a request with an invalid signature", worker)
    if difference := keys.find_key_difference(request.public_key):
        raise _make_answer_error(
            name, f"a key of a type that lyncnb does not generate ({difference})", worker
        )
    try:
        key = keys.read_pkcs8(run_key.open(sealed, subject=name), name=f"the key of {name}")
    except (ValueError, BundleError):
        raise _make_answer_error(name, "data that is not a key", worker) from None
    if not keys.is_key_pair(key, request.public_key):
        raise _make_answer_error(name, "a key that does not belong to the request", worker)
    return _make_checked_pair(name, key, request, encryptor.encrypt)


def _make_answer_error(name: str, problem: str, worker: str) -> BundleError:
    sender = f"the worker {worker}" if worker else "a worker"
    return BundleError(
        f"{sender} sent {problem} for {name}",
        hint="install the same version of lyncnb on all workers, or stop the faulty worker",
    )


def start_pair_workers(count: int, encryptor: Encryptor) -> WorkerProcesses:
    """Return worker processes that call `make_pair` on this machine."""
    return WorkerProcesses(count, encryptor, command=_COMMAND, hidden=VARIABLE)


def serve_tasks() -> None:
    """In a worker process, create pairs of keys and CSRs for the parent process."""
    workers.serve_tasks(_build_pair_function)


def _build_pair_function(
    first_message: tuple[bytes, bytes],
) -> Callable[[tuple[str, RequestContent]], tuple[str | bytes, ...]]:
    encryptor = Encryptor(*first_message)
    return lambda request: tuple(make_pair(*request, encryptor.encrypt))


# A key is written before its CSR, and both are durable. A CSR appears in ``csr/`` only after its
# key is on the disk, so the folder has the key of every request that is sent to a CA.

# The number of keys with CSRs that are synced together, and the largest delay in seconds. One wait
# for many pairs takes much less time than one wait for each pair. An interruption loses only the
# last few pairs, and the next run creates them again.
_BATCH = 500
_SECONDS = 0.25
_CSR_MODE = 0o644


class Written(NamedTuple):
    """The hashes of a request's key file and CSR file, for the manifest."""

    csr_sha256: str
    spki_sha256: str
    key_sha256: str


class PairStore:
    """A locked folder into which pairs of a key and a CSR are written.

    A pair that arrives more than a quarter of a second after the last sync is synced immediately.
    Other pairs are synced together.

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
            self._commit_pairs()
        else:
            self._batch.discard()

    def __call__(self, pair: FinishedPair) -> None:
        """Write one pair of a key and a CSR into the folder.

        Raises
        ------
        BundleError
            If writing fails, a file exists, or a public key is a duplicate.
        """
        if pair.spki_sha256 in self._known:
            raise BundleError(
                (f"{pair.id}: the new key is identical to a key that the folder already contains"),
                hint=(
                    "use another computer, because the random numbers on this computer "
                    "repeat. This can happen if the computer is a clone"
                ),
            )
        self._known.add(pair.spki_sha256)
        paths = list_current_files(build_file_stem(pair.id, pair.spki_sha256))
        self._batch.add(self._folder / paths.key, pair.key_pem, stage=0)
        self._batch.add(self._folder / paths.csr, pair.csr_pem, _CSR_MODE, stage=1)
        self._waiting[pair.id] = Written(
            pair.csr_sha256, pair.spki_sha256, compute_key_sha256(pair.key_pem)
        )
        if len(self._waiting) >= _BATCH or time.monotonic() >= self._due:
            self._commit_pairs()

    def _commit_pairs(self) -> None:
        confirm_lock(self._folder)
        self._batch.commit()
        self.written.update(self._waiting)
        self._waiting.clear()
        self._due = time.monotonic() + _SECONDS
