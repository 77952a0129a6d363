"""The keys of a plan made on other machines: a Dask cluster, when its address is given.

The one place of the package that opens a connection, and only when asked. What travels out is what
each request asks for and a public key of this run; what comes back is the request and its key,
sealed to this run (``key_and_csr.py``). Passphrase, derived key and private keys never do so in
the clear.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from ..errors import ClusterError

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
        yield client.get_executor()
