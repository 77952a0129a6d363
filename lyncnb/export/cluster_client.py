"""The client of a Dask cluster, in a process of its own.

The one place of the package that opens a connection, and only when asked. What a scheduler or a
worker sends is unpickled here, so assume that it can run code in this process: nothing secret is
told to it, and what it says is checked by who started it (``cluster.py``).
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


def serve() -> None:
    """Have a cluster do the tasks from standard input until it closes; answer in JSON lines."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What any package prints goes to standard error, not between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    tasks = sys.stdin.buffer
    address, seconds = pickle.load(tasks)
    client = _connect(address, seconds)
    if isinstance(client, str):
        _say(answers, {"refusal": client})
    else:
        _say(answers, {"ready": True})
        _Work(client, answers).do(tasks)
    # Whoever asked is gone or done: Dask's own threads are not waited for.
    answers.close()
    os._exit(0)


def _say(answers: IO[bytes], message: dict[str, object]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()


def _connect(address: str, seconds: float) -> Client | str:
    """Give a connected client, or what is missing: ``tls``, ``answer`` or ``worker``."""
    from distributed import Client
    from distributed.security import Security

    security = Security()
    arguments = security.get_connection_args("client")
    if address.startswith("tls://") and arguments["ssl_context"] is None:
        return "tls"
    try:
        # A client that finds nobody is closed only when it is collected, and if that happens while
        # another one starts, both wait for ever (distributed 2026.8): so none is made in vain.
        asyncio.run(_knock(address, seconds, arguments))
        client = Client(address, timeout=seconds, set_as_default=False, security=security)
        return client if client.nthreads() else "worker"
    except Exception:  # whatever a stranger's answer does here, the planner is told one thing
        return "answer"


async def _knock(address: str, seconds: float, arguments: dict[str, Any]) -> None:
    """Connect and hang up; raise what Client would if nobody answers."""
    from distributed.comm.core import connect

    connection = await connect(address, timeout=seconds, **arguments)
    await connection.close()


class _Work:
    """Tasks on a cluster's workers, each answered as soon as its result is here.

    distributed's own executor asks for the state of a task after its result has come: of a worker
    that is lost in between, it takes the result for the three parts of an exception.
    """

    def __init__(self, client: Client, answers: IO[bytes]) -> None:
        self._client, self._answers = client, answers
        self._lock = threading.Lock()
        self._under_way: dict[int, Any] = {}

    def do(self, tasks: IO[bytes]) -> None:
        """Take tasks until there are no more; one without a function cancels that number."""
        loop = self._client.loop
        assert loop is not None, "a client that has connected has one"
        while True:
            try:
                number, task, args, kwargs = pickle.load(tasks)
            except (EOFError, OSError, pickle.UnpicklingError):
                return
            if task is None:
                if (remote := self._under_way.pop(number, None)) is not None:
                    remote.cancel()
                continue
            # Not pure: no two tasks share an answer, for an answer is a key.
            remote = self._client.submit(task, *args, pure=False, **kwargs)
            self._under_way[number] = remote
            loop.add_callback(self._answer, remote, number)

    async def _answer(self, remote: Any, number: int) -> None:
        message: dict[str, object]
        try:
            result = await self._client.gather(remote, asynchronous=True)
        except (Exception, asyncio.CancelledError) as error:
            message = {"failed": f"{type(error).__name__}: {error}"}
        else:
            message = _message(result)
        self._under_way.pop(number, None)
        with self._lock:
            _say(self._answers, {"task": number, **message})


def _message(result: object) -> dict[str, object]:
    match result:
        case (bytes() as first, bytes() as second):
            return {"parts": [base64.b64encode(part).decode() for part in (first, second)]}
    return {"failed": f"it sent a {type(result).__name__} instead of a key and a request"}
