"""Which encryption a package needs, as the product's rules say; many packages at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .base import workers
from .base.workers import WorkerProcesses, cores
from .pki.keys import read_pkcs8
from .pki.passphrase import VARIABLE, Secret
from .pki.pkcs12 import PfxContent, build_pfx

_COMMAND = "from lyncnb import packaging; packaging.serve()"
# A child takes some 0.2 s to start, a package 25 ms.
_PROCESSES_FROM = 40
_CHUNK = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One package to make; ``key`` is PKCS #8 DER in the clear, so it has no repr."""

    content: PfxContent
    key: bytes
    password: Secret

    def __repr__(self) -> str:
        return f"Task({self.content.friendly_name!r}, key=***)"


def make_packages(tasks: Sequence[Task], *, workers: int | None = None) -> list[bytes]:
    """Make n packages, in the order of the tasks.

    Parameters
    ----------
    tasks : sequence of Task
        n of them.
    workers : int, optional
        Processes at most; as many as there are cores if left out.

    Returns
    -------
    list of bytes
        n PFX files. The key derivation holds Python's lock, so threads would gain nothing; a few
        packages are made here, many by processes.

    Raises
    ------
    PackageError
        If a key is not that of its certificate.
    """
    count = cores() if workers is None else workers
    if count < 2 or len(tasks) < _PROCESSES_FROM:
        return [_make(_values(task)) for task in tasks]
    chunks = [tasks[start : start + _CHUNK] for start in range(0, len(tasks), _CHUNK)]
    with WorkerProcesses(count, (), command=_COMMAND, hidden=VARIABLE) as workers_here:
        futures = [workers_here.submit([_values(task) for task in chunk]) for chunk in chunks]
        return [data for future in futures for (data,) in future.result()]


def serve() -> None:
    """Make packages for a parent process; what a child runs."""
    workers.serve(lambda _: lambda one: (_make(one),))


def _values(task: Task) -> tuple:
    """Give a task as plain values: a secret does not pickle, and must not by accident."""
    content = task.content
    fields = (content.certificate, content.chain, content.friendly_name)
    return (*fields, content.encryption, content.provider, task.key, task.password.reveal())


def _make(values: tuple) -> bytes:
    certificate, chain, friendly_name, encryption, provider, key, password = values
    content = PfxContent(
        certificate=certificate,
        chain=chain,
        friendly_name=friendly_name,
        encryption=encryption,
        provider=provider,
    )
    return build_pfx(content, read_pkcs8(key), Secret(password))
