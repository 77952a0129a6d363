"""Create all keys and requests of a plan, with the fastest suitable executor.

RSA keys are created in one thread for each available core, because RSA key generation releases the
GIL. ECDSA keys are created in a plain loop, because threads would be slower. For more than about
two thousand requests, processes are used. On other machines, any ``concurrent.futures`` executor
can be used. Memory use does not grow with the number of requests.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..base.workers import count_cores
from ..errors import BundleError, LyncnbError
from ..pki.hpke import RunKey
from ..pki.pkcs8 import FolderCipher
from ..plan.model import build_request_content
from .cluster import WorkerError
from .key_and_csr import (
    FinishedPair,
    make_pair,
    make_sealed_pair,
    open_sealed_pair,
    start_pair_workers,
)

if TYPE_CHECKING:
    from ..plan.model import PlannedCertificate

# The time in seconds for one key pair, measured on one core (2026, x86-64). After a run has
# started, only the ratios of the times matter.
_SECONDS = {
    ("RSA", 2048): 0.05,
    ("RSA", 3072): 0.05 * 3.3,
    ("RSA", 4096): 0.05 * 9.5,
    ("ECDSA", 256): 0.0005,
    ("ECDSA", 384): 0.0015,
    ("ECDSA", 521): 0.0015,
}
# Up to this number of requests, lyncnb starts no child processes. Starting a process takes as long
# as creating about a thousand P-256 key pairs.
_LOOP_AT_MOST = 2_000
_CHUNK = 250
# The default number of concurrent tasks on other machines. A cluster may have that many cores.
_REMOTE_TASKS = 256
_LOOK_AT_CANCEL_EVERY = 0.2  # The number of seconds between two progress reports.

Item = tuple[str, "PlannedCertificate"]
Task = TypeVar("Task")
Store = Callable[[FinishedPair], object]


class Progress(NamedTuple):
    """The progress of a run: finished and total requests, rate, and estimated seconds left."""

    done: int
    total: int
    rate: float
    seconds_left: float


class Exported(NamedTuple):
    """The result of a run: the stored pairs of key and CSR, and whether the run was canceled."""

    done: int
    cancelled: bool


def estimate_seconds(
    certificates: Iterable[PlannedCertificate], *, workers: int | None = None
) -> float:
    """Estimate how many seconds this machine needs to create all keys and requests."""
    seconds = sum(_estimate_seconds(certificate) for certificate in certificates)
    return seconds / (workers or count_cores())


def _estimate_seconds(certificate: PlannedCertificate) -> float:
    return _SECONDS[certificate.key.algorithm, certificate.key.bits]


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Options for creating pairs of a key and a CSR: executor, progress, cancellation.

    Parameters
    ----------
    workers : int, optional
        Threads or processes, by default as many as cores; with `executor` the number of tasks
        under way, by default 256.
    executor : concurrent.futures.Executor, optional
        Another executor, for example of a cluster. Its workers get plain data and a public key of
        the run, and return each private key sealed to that key.
    progress : callable, optional
        Called with a :class:`Progress` after each pair, in the running thread.
    cancel : threading.Event, optional
        Once set, no new pair is started; pairs in progress on this machine are stored.
    """

    workers: int | None = None
    executor: Executor | None = None
    progress: Callable[[Progress], object] | None = None
    cancel: threading.Event = field(default_factory=threading.Event)


def create_pairs(
    items: Sequence[Item], cipher: FolderCipher, *, store: Store, options: Making | None = None
) -> Exported:
    """Create a key and a CSR for each item, and store each pair when it is finished.

    RSA keys are created first, and then ECDSA keys. Before a pair is stored, lyncnb checks that the
    request contains the public key, matches the plan, and has a valid signature.

    Parameters
    ----------
    items : sequence of (id, PlannedCertificate)
        The requests to make.
    cipher : FolderCipher
        Encrypts the keys, in this process and in other processes of this machine only.
    store : callable
        Called with each :class:`FinishedPair`, in this thread and in any order. An exception
        ends the run.
    options : Making, optional
        How to make the pairs. The default is on this machine's cores.

    Raises
    ------
    PlanError
        If a request cannot be made as planned.
    BundleError
        If a worker fails or returns a wrong answer. Stored pairs are kept.
    """
    options = options or Making()
    job = _Job(items, cipher, store, options)
    if options.executor is not None:
        job.run_on_executor(items, options.executor, options.workers or _REMOTE_TASKS)
        return job.get_result()
    width = options.workers or count_cores()
    rsa = [item for item in items if item[1].key.algorithm == "RSA"]
    other = [item for item in items if item[1].key.algorithm != "RSA"]
    if rsa:
        job.run_threads(rsa, width)
    if len(other) > _LOOP_AT_MOST and width > 1 and sys.executable:
        job.run_processes(other, width)
    else:
        job.run_loop(other)
    return job.get_result()


class _Job:
    """The data that an executor needs to create pairs of a key and a CSR and report progress."""

    def __init__(
        self,
        items: Sequence[Item],
        cipher: FolderCipher,
        store: Store,
        making: Making,
    ):
        self._cipher, self._store = cipher, store
        self._tell, self._cancel = making.progress, making.cancel
        self._total, self._done, self._spent = len(items), 0, 0.0
        self._left = sum(_estimate_seconds(certificate) for _, certificate in items)
        self._start_child = time.monotonic()

    def get_result(self) -> Exported:
        return Exported(self._done, self._done < self._total)

    def run_loop(self, items: Sequence[Item]) -> None:
        for item in items:
            if self._cancel.is_set():
                return
            self._store(self._make_pair(item))
            self._report_pair(item)

    def run_threads(self, items: Sequence[Item], worker_count: int) -> None:
        with ThreadPoolExecutor(worker_count, "lyncnb-rsa") as pool:
            # The slow key derivation runs first in a separate thread, while other threads create
            # keys.
            pool.submit(lambda: self._cipher.encryptor)
            # The number of queued tasks is large enough that no core is idle while the main thread
            # waits for the disk.

            def submit_item(item: Item) -> Future[FinishedPair]:
                return pool.submit(self._make_pair, item)

            with closing(
                _run_in_window(submit_item, items, 4 * worker_count, self._cancel)
            ) as finished:
                for item, future in finished:
                    self._store(future.result())
                    self._report_pair(item)

    def run_processes(self, items: Sequence[Item], worker_count: int) -> None:
        remaining_items = iter(items)
        chunks = iter(lambda: list(islice(remaining_items, _CHUNK)), [])
        # One core is reserved for the thread that writes the pairs of key and CSR. For P-256,
        # writing is half of the work.
        count = max(1, worker_count - 1)
        with start_pair_workers(count, self._cipher.encryptor) as children:

            def submit_chunk(chunk: list[Item]) -> Future[list[Any]]:
                return children.submit(
                    [(name, build_request_content(planned)) for name, planned in chunk]
                )

            with closing(
                _run_in_window(submit_chunk, chunks, 2 * worker_count, self._cancel)
            ) as finished:
                for chunk, future in finished:
                    for item, values in zip(chunk, future.result(), strict=True):
                        self._store(FinishedPair(*values))
                        self._report_pair(item)

    def run_on_executor(self, items: Sequence[Item], executor: Executor, max_tasks: int) -> None:
        run_key = RunKey()

        def submit_item(item: Item) -> Future[tuple[bytes, bytes]]:
            content = build_request_content(item[1])
            try:
                return executor.submit(make_sealed_pair, item[0], content, run_key.public)
            except RuntimeError as error:  # The error of executors that were shut down or failed.
                raise BundleError(
                    f"the executor does not accept any work: {error}",
                    hint="create a new executor, then run the command again. lyncnb keeps the "
                    "completed work",
                ) from error

        with closing(_run_in_window(submit_item, items, max_tasks, self._cancel)) as finished:
            for item, future in finished:
                name, content = item[0], build_request_content(item[1])
                if (error := future.exception()) is not None:
                    raise _make_worker_error(name, error)
                answer = future.result()
                encryptor = self._cipher.encryptor
                self._store(
                    open_sealed_pair(name, content, answer, run_key=run_key, encryptor=encryptor)
                )
                self._report_pair(item)

    def _make_pair(self, item: Item) -> FinishedPair:
        return make_pair(item[0], build_request_content(item[1]), self._cipher.encrypt)

    def _report_pair(self, item: Item) -> None:
        self._done += 1
        seconds = _estimate_seconds(item[1])
        self._spent += seconds
        self._left -= seconds
        if self._tell is not None:
            elapsed = max(time.monotonic() - self._start_child, 1e-9)
            seconds_left = max(self._left, 0.0) * elapsed / self._spent
            self._tell(Progress(self._done, self._total, self._done / elapsed, seconds_left))


def _make_worker_error(name: str, error: BaseException) -> BaseException:
    if isinstance(error, LyncnbError):
        return error
    text = str(error) if isinstance(error, WorkerError) else f"{type(error).__name__}: {error}"
    worker = getattr(error, "worker", "")
    return BundleError(
        f"{f'the worker {worker}' if worker else 'a worker'} could not create {name}: {text}",
        hint=(
            "install the same versions of lyncnb and cryptography on every worker, "
            "then run the command again. lyncnb keeps the completed work"
        ),
    )


def _run_in_window(
    submit: Callable[[Any], Future[Any]],
    tasks: Iterable[Task],
    max_tasks: int,
    cancel: threading.Event,
) -> Generator[tuple[Task, Future[Any]]]:
    """Run at most `max_tasks` tasks at a time, and yield each task when it is done."""
    pending: dict[Future[Any], Task] = {}
    # Each future puts itself into this queue when it is done. Waiting for all futures again and
    # again would take longer than the work itself.
    finished_futures: SimpleQueue[Future[Any]] = SimpleQueue()
    remaining_tasks = iter(tasks)
    try:
        while True:
            if cancel.is_set():
                for future in list(pending):
                    if future.cancel():
                        del pending[future]
            else:
                for task in islice(remaining_tasks, max_tasks - len(pending)):
                    future = submit(task)
                    pending[future] = task
                    future.add_done_callback(finished_futures.put)
            if not pending:
                return
            try:
                future = finished_futures.get(timeout=_LOOK_AT_CANCEL_EVERY)
            except Empty:
                continue
            if future in pending:  # Futures that were canceled are skipped.
                yield pending.pop(future), future
    finally:
        for future in pending:
            future.cancel()
