"""The keys of a plan made on other machines: a Dask cluster, when its address is given.

The one place of the package that opens a connection, and only when asked. What travels out is what
each request asks for and a public key of this run; what comes back is the request and its key,
sealed to this run (``key_and_csr.py``). Passphrase, derived key and private keys never do so in
the clear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

Result = TypeVar("Result")

_SECONDS = 10


@contextmanager
def cluster_executor(address: str, *, seconds: float = _SECONDS) -> Iterator[Executor]:
    """Connect to a Dask scheduler, and give an executor over its workers.

    Parameters
    ----------
    address : str
        As the scheduler prints it, e.g. ``tcp://10.0.0.5:8786``.
    seconds : float, optional
        How long to wait for the scheduler.

    Yields
    ------
    Executor
        A task of a lost worker is given to another one, three times at most.

    Raises
    ------
    ClusterError
        If the extra is not installed, nobody answers, or the cluster has no worker.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError(
            "a cluster needs the package distributed, which is not installed",
            hint="pip install lyncnb[cluster], here and on every worker",
        ) from None
    try:
        # A client that finds nobody is closed only when it is collected, and if that happens while
        # another one starts, both wait for ever (distributed 2026.8): so none is made in vain.
        with ThreadPoolExecutor(1) as beside:  # a notebook's thread has a loop that runs already
            beside.submit(asyncio.run, _knock(address, seconds)).result()
        client = Client(address, timeout=seconds, set_as_default=False)
    # distributed asserts that its own event loop has begun within ten seconds; on a machine that is
    # busy it may not have.
    except (OSError, ValueError, TypeError, ImportError, AssertionError):
        raise ClusterError(
            f'no scheduler answers at "{address}"',
            hint="give the address that `dask scheduler` printed, e.g. tcp://10.0.0.5:8786",
        ) from None
    with client:
        if not client.nthreads():
            raise ClusterError(
                f"the cluster at {address} has no worker",
                hint=f"start some: dask worker {address} --nthreads 1",
            )
        yield _ClusterExecutor(client)


async def _knock(address: str, seconds: float) -> None:
    """Connect and hang up; raise what Client would if nobody answers."""
    from distributed.comm.core import connect

    connection = await connect(address, timeout=seconds)
    await connection.close()


class _ClusterExecutor(Executor):
    """Tasks on a cluster's workers, each answered as soon as its result is here.

    distributed's own executor asks for the state of a task after its result has come: of a worker
    that is lost in between, it takes the result for the three parts of an exception.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, task: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        # Not pure: no two tasks share an answer, for an answer is a key.
        remote = self._client.submit(task, *args, pure=False, **kwargs)
        answered: Future[Result] = Future()
        answered.add_done_callback(lambda told: remote.cancel() if told.cancelled() else None)
        loop = self._client.loop
        assert loop is not None, "a client that has connected has one"
        loop.add_callback(self._answer, remote, answered)
        return answered

    async def _answer(self, remote: Any, answered: Future[Result]) -> None:
        try:
            result = await self._client.gather(remote, asynchronous=True)
        except (Exception, asyncio.CancelledError) as error:
            if answered.set_running_or_notify_cancel():
                answered.set_exception(error)
        else:
            if answered.set_running_or_notify_cancel():
                answered.set_result(result)
