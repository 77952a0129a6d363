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
from typing import IO, TYPE_CHECKING, Any

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
    if isinstance(client, str):
        _write_message(answers, {"refusal": client})
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


def _connect_client(address: str, seconds: float) -> Client | str:
    """Return a connected client, or the reason for a failure: ``tls``, ``answer`` or ``worker``."""
    from distributed import Client
    from distributed.security import Security

    security = Security()
    arguments = security.get_connection_args("client")
    if address.startswith("tls://") and arguments["ssl_context"] is None:
        return "tls"
    try:
        # A client without a scheduler is closed only by garbage collection. If another client
        # starts at the same time, both wait forever (distributed 2026.8). Therefore, the connection
        # is tested first.
        asyncio.run(_test_connection(address, seconds, arguments))
        client = Client(address, timeout=seconds, set_as_default=False, security=security)
        return client if client.nthreads() else "worker"
    except Exception:  # Any failure of an untrusted scheduler results in the same message.
        return "answer"


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
        self._under_way.pop(number, None)
        with self._lock:
            _write_message(self._answers, {"task": number, **message})


def _make_result_message(result: object) -> dict[str, object]:
    match result:
        case (bytes() as first, bytes() as second):
            return {"parts": [base64.b64encode(part).decode() for part in (first, second)]}
    return {
        "failed": "the function returned an object of type "
        f"{type(result).__name__} instead of a key and a request"
    }
