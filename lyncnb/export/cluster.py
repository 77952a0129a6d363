"""Create the keys of a plan on the workers of a Dask cluster.

The workers receive the content of each request and a public key of the run. They return the request
and its key, which is sealed to the run (``key_and_csr.py``). Dask unpickles what a scheduler or a
worker sends, and a pickle can run code. Therefore, the connection belongs to a child process
(``cluster_client.py``) that has no passphrase and no key. The main process reads only JSON.
"""

from __future__ import annotations

import base64
import importlib.util
import ipaddress
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from itertools import count
from typing import IO, Any, TypeVar

from ..base.workers import Child, end_child, start_child
from ..errors import ClusterError
from ..pki.passphrase import VARIABLE

Result = TypeVar("Result")

_SECONDS = 10
_COMMAND = "from lyncnb.export.cluster_client import serve_tasks; serve_tasks()"
# The largest size of a message in bytes. A sealed RSA-4096 key with its request is about 10 kB in
# base64.
_LARGEST_LINE = 1 << 20
_TEXT_SHOWN = 300
_ENCRYPTED = ("tls://", "wss://")
_NO_ANSWER = (
    'no scheduler answers at the address "{address}"',
    "specify the address that `dask scheduler` printed, such as tls://10.0.0.5:8786",
)
_TLS_KEYS = (
    "set the certificates in Dask's configuration: distributed.comm.tls.ca-file, "
    "distributed.comm.tls.client.cert and distributed.comm.tls.client.key"
)
_REFUSALS = {
    "file": ("Dask cannot read the TLS certificates in its configuration: {detail}", _TLS_KEYS),
    "handshake": ('the TLS connection to "{address}" failed: {detail}', _TLS_KEYS),
    "answer": _NO_ANSWER,
    "worker": ("the cluster at {address} has no workers", "start a worker: dask worker {address}"),
    "tls": (
        '"{address}" requires TLS, but Dask has no certificates for this connection',
        _TLS_KEYS,
    ),
}


class WorkerError(Exception):
    """A task failed in a worker. The error contains the worker's message, which is not trusted.

    ``worker`` is the address of the worker, or "" if it is unknown.
    """

    worker = ""


class WorkerAnswer(tuple[bytes, ...]):
    """The bytes that a worker sent, with its address."""

    worker = ""


@contextmanager
def connect_to_cluster(
    address: str, *, seconds: float = _SECONDS, without_tls: bool = False
) -> Iterator[Executor]:
    """Connect to a Dask scheduler, and yield an executor for its workers.

    Parameters
    ----------
    address : str
        As the scheduler prints it, for example ``tls://10.0.0.5:8786``.
    seconds : float, optional
        How long to wait for the scheduler.
    without_tls : bool, optional
        Whether to allow a connection to another machine without TLS.

    Yields
    ------
    Executor
        For tasks that return a pair of bytes. Another worker repeats the task of a lost worker,
        at most three times.

    Raises
    ------
    ClusterError
        If the extra is not installed, the address is not encrypted, no scheduler answers, or
        the cluster has no worker.
    """
    if importlib.util.find_spec("distributed") is None:
        raise ClusterError(
            'to use a cluster, you need the Python package "distributed", which is not installed',
            hint="run this command on this computer and on every worker: pip install distributed",
        )
    if not (without_tls or address.startswith(_ENCRYPTED) or _is_loopback(address)):
        raise ClusterError(
            (
                f'the connection to "{address}" is not encrypted. Anyone on the network can '
                "read the requests and run programs on the workers"
            ),
            hint="use a scheduler with TLS (tls://HOST:PORT). If you trust the network, use "
            "--cluster-without-tls",
        )
    child = start_child(_COMMAND, hidden_variable=VARIABLE)
    try:
        executor = _ClusterExecutor(child, (address, seconds))
        if refusal := executor.find_connection_error():
            message, hint = _REFUSALS.get(refusal[0], _NO_ANSWER)
            raise ClusterError(
                message.format(address=address, detail=refusal[1]),
                hint=hint.format(address=address),
            )
        yield executor
    finally:
        end_child(child, seconds=seconds)


def _is_loopback(address: str) -> bool:
    host = address.rpartition("://")[2].rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _ClusterExecutor(Executor):
    """An executor that runs tasks on the workers of a cluster, through a child process."""

    def __init__(self, child: Child, opening: tuple[object, ...]) -> None:
        self._tasks, self._answers = child.tasks, child.answers
        self._lock = threading.Lock()
        self._numbers = count()
        self._waiting: dict[int, Future[Any]] = {}
        self._has_ended = False
        self._send(opening)

    def find_connection_error(self) -> tuple[str, str] | None:
        """Wait for the child process to connect to the cluster.

        Return the kind of the error and its details if it fails, or else None.
        """
        first = _read_answer(self._answers)
        if first is None or first.get("ready") is not True:
            first = first or {}
            return str(first.get("refusal")), _clean_text(str(first.get("detail")))
        threading.Thread(target=self._receive_answers, name="lyncnb-cluster", daemon=True).start()
        return None

    def submit(self, task: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        answer: Future[Result] = Future()
        with self._lock:
            number = next(self._numbers)
            if not self._has_ended:
                self._waiting[number] = answer
        answer.add_done_callback(
            lambda future: self._cancel(number) if future.cancelled() else None
        )
        if number not in self._waiting or not self._send((number, task, args, kwargs)):
            self._waiting.pop(number, None)
            _settle_future(answer, _build_connection_error())
        return answer

    def _cancel(self, number: int) -> None:
        if self._waiting.pop(number, None) is not None:
            self._send((number, None, (), {}))

    def _send(self, message: tuple[object, ...]) -> bool:
        data = pickle.dumps(message)
        with self._lock:
            try:
                self._tasks.write(data)
                self._tasks.flush()
            except (OSError, ValueError):  # The child process has ended, or its pipe was closed.
                return False
        return True

    def _receive_answers(self) -> None:
        while (answer := _read_answer(self._answers)) is not None:
            number = answer.get("task")
            if isinstance(number, int) and (future := self._waiting.pop(number, None)) is not None:
                content = _read_content(answer)
                content.worker = _clean_text(str(answer.get("worker") or ""))
                _settle_future(future, content)
        with self._lock:
            self._has_ended = True
            lost = list(self._waiting.values())
            self._waiting.clear()
        for future in lost:
            _settle_future(future, _build_connection_error())


def _read_answer(answers: IO[bytes]) -> dict[str, object] | None:
    """Return one line from the child process, or None at the end or for an invalid line."""
    try:
        line = answers.readline(_LARGEST_LINE)
        document = json.loads(line) if line.endswith(b"\n") else None
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _clean_text(text: str) -> str:
    """Return the beginning of a text from the network, without control characters."""
    return "".join(
        character if character.isprintable() else " " for character in text[:_TEXT_SHOWN]
    )


def _read_content(answer: dict[str, object]) -> WorkerAnswer | WorkerError:
    match answer:
        case {"parts": [str(), str()] as parts}:
            try:
                return WorkerAnswer(base64.b64decode(part, validate=True) for part in parts)
            except ValueError:
                return WorkerError("the worker's response is not valid base64")
        case {"failed": str(text)}:
            return WorkerError(_clean_text(text))
    return WorkerError("the worker's response does not contain a key and a request")


def _build_connection_error() -> ClusterError:
    return ClusterError(
        "the process that connects to the cluster has ended",
        hint="run the same command again. lyncnb keeps the completed work",
    )


def _settle_future(future: Future[Any], outcome: object) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
