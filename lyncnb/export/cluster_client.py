"""Run the client of a Dask cluster in a separate process.

The process opens a connection only on request. It unpickles data from schedulers and workers, which
could run code in it. Therefore, the process gets no secret, and its parent (``cluster.py``) checks
the data that it returns.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import sys
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

_SECONDS = 5  # How long to wait for the address of a worker.

if TYPE_CHECKING:
    from distributed import Client


def serve_tasks() -> None:
    """Run tasks from standard input on a cluster, and write each result as a line of JSON."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # The output of other packages goes to standard error, so that it does not mix with the results.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    tasks = sys.stdin.buffer
    address, seconds = pickle.load(tasks)
    client = _connect_client(address, seconds)
    if isinstance(client, tuple):
        refusal, detail = client
        _write_message(answers, {"refusal": refusal, "detail": detail})
    else:
        _write_message(answers, {"ready": True})
        _Work(client, answers).do(tasks)
    # The parent process has ended or needs no further results, so the child process does not wait
    # for the threads of Dask.
    answers.close()
    os._exit(0)


def _write_message(answers: IO[bytes], message: dict[str, object]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()


def _connect_client(address: str, seconds: float) -> Client | tuple[str, str]:
    """Return a connected client, or the reason for a failure and its details.

    The reason is ``tls``, ``file``, ``handshake``, ``answer`` or ``worker``.
    """
    from distributed import Client
    from distributed.security import Security

    security: Any = Security()
    paths = (security.tls_ca_file, security.tls_client_cert, security.tls_client_key)
    # Dask's configuration can also contain the certificates themselves.
    missing = [path for path in paths if path and "\n" not in path and not os.path.isfile(path)]
    if missing:
        return "file", f"{missing[0]} does not exist"
    try:
        arguments = security.get_connection_args("client")
    except (OSError, ValueError) as error:
        return "file", f"{error} ({', '.join(path for path in paths if path)})"
    if address.startswith("tls://") and arguments["ssl_context"] is None:
        return "tls", ""
    try:
        # A client without a scheduler is closed only by garbage collection. If another client
        # starts at the same time, both wait forever (distributed 2026.8). Therefore, the connection
        # is tested first.
        asyncio.run(_test_connection(address, seconds, arguments))
        client = Client(address, timeout=seconds, set_as_default=False, security=security)
        return client if client.nthreads() else ("worker", "")
    except Exception as error:  # An untrusted scheduler can cause any failure.
        reason = _find_tls_error(error) if address.startswith("tls://") else ""
        return ("handshake", reason) if reason else ("answer", "")


def _find_tls_error(error: BaseException) -> str:
    """Return the reason of OpenSSL for a failed connection, or "" if there is none."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__.startswith("SSL") or "SSL" in str(cause):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return ""


async def _test_connection(address: str, seconds: float, arguments: dict[str, Any]) -> None:
    """Test the connection to a scheduler. If it fails, raise the same error as Client."""
    from distributed.comm.core import connect

    connection = await connect(address, timeout=seconds, **arguments)
    await connection.close()


class _Work:
    """The tasks that run on the workers of a cluster.

    The result of each task is sent as soon as it arrives.

    The executor of distributed asks for the state of a task after its result has arrived. If the
    worker is lost in between, it treats the result as the three parts of an exception.
    """

    def __init__(self, client: Client, answers: IO[bytes]) -> None:
        self._client, self._answers = client, answers
        self._lock = threading.Lock()
        self._under_way: dict[int, Any] = {}

    def do(self, tasks: IO[bytes]) -> None:
        """Process all tasks. A task without a function cancels the task with the same number."""
        loop = self._client.loop
        assert loop is not None, "the event loop exists only while the client is connected"
        while True:
            try:
                number, task, args, kwargs = pickle.load(tasks)
            except (EOFError, OSError, pickle.UnpicklingError):
                return
            if task is None:
                if (remote := self._under_way.pop(number, None)) is not None:
                    remote.cancel()
                continue
            # Mark the tasks as not pure. Otherwise, two equal tasks could share a result, which
            # contains a key.
            remote = self._client.submit(task, *args, pure=False, **kwargs)
            self._under_way[number] = remote
            loop.add_callback(self._send_result, remote, number)

    async def _send_result(self, remote: Any, number: int) -> None:
        message: dict[str, object]
        try:
            result = await self._client.gather(remote, asynchronous=True)
        except (Exception, asyncio.CancelledError) as error:
            message = {"failed": f"{type(error).__name__}: {error}"}
        else:
            message = _make_result_message(result)
        message["worker"] = await self._find_worker(remote.key)
        self._under_way.pop(number, None)
        with self._lock:
            _write_message(self._answers, {"task": number, **message})

    async def _find_worker(self, key: object) -> str:
        """Return the address of the worker that finished a task, or "" if it is unknown."""
        with suppress(Exception):
            scheduler: Any = self._client.scheduler
            holders = await asyncio.wait_for(scheduler.who_has(keys=[key]), _SECONDS)
            if addresses := holders.get(key):
                return str(min(addresses))
            # A worker on which a task failed does not hold a result.
            question: Any = self._client.run_on_scheduler(
                lambda dask_scheduler: [*dask_scheduler.tasks[key].erred_on]
            )
            return str(min(await asyncio.wait_for(question, _SECONDS)))
        return ""


def _make_result_message(result: object) -> dict[str, object]:
    match result:
        case (bytes() as first, bytes() as second):
            return {"parts": [base64.b64encode(part).decode() for part in (first, second)]}
    return {
        "failed": "the function returned an object of type "
        f"{type(result).__name__} instead of a key and a request"
    }
