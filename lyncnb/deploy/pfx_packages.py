"""Define ``Packages``: the result of packaging the certificates in a request folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..base import workers
from ..base.records import JsonSerializable
from ..base.shown.tables import Table, columns, group_statements
from ..base.workers import WorkerProcesses, count_cores
from ..pki.keys import read_pkcs8
from ..pki.passphrase import VARIABLE, Secret
from ..pki.pkcs12 import PfxContent, build_pfx
from ..request_folder.bundle import RequestBundle
from .package_passwords import LIST


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package of a certificate, or the reason why the package does not exist.

    ``action`` is one of these texts: ``written``; ``kept``, if the package already existed;
    ``deployed``, if the key was removed because the servers have it; ``elsewhere``, if the key is
    on another computer, where it is exported; ``waiting``, if no certificate is issued yet;
    ``refused``.
    """

    request_id: str
    file: str
    servers: tuple[str, ...]
    usages: tuple[str, ...]
    target_os: str
    encryption: str
    friendly_name: str
    action: str
    why: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether a planned package could not be created."""
        return self.action in ("refused", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Packages(Table, JsonSerializable):
    """The result of packaging the certificates in a request folder."""

    format: ClassVar = "lyncnb-packages/1"
    json_keys: ClassVar = (
        "format",
        "packages",
    )

    _columns: ClassVar = columns(
        ("Certificate", "request_id"),
        ("Package", "file"),
        ("Servers", "servers"),
        ("Type", "usages"),
        ("For Windows Server", "target_os"),
        ("Encryption", "encryption"),
        ("Friendly name", "friendly_name"),
        ("Done", "action"),
        ("Why", "why"),
    )

    bundle: RequestBundle
    packages: tuple[Package, ...]

    @property
    def exit_status(self) -> int:
        """The exit status: 0 if all planned certificates are packaged, else 1."""
        return int(any(package.is_missing for package in self.packages))

    def counts(self) -> dict[str, int]:
        """Return the number of packages by action. Rare actions without packages are omitted."""
        actions = [package.action for package in self.packages]
        rare = [
            action
            for action in ("waiting", "deployed", "elsewhere", "covered")
            if action in actions
        ]
        shown_actions = ("written", "kept", "refused", *rare)
        return {action: actions.count(action) for action in shown_actions}

    def _list_items(self) -> Iterable[Any]:
        return self.packages

    def _summarize(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return a sentence that summarizes which packages were created."""
        counts = ", ".join(f"{number} {action}" for action, number in self.counts().items())
        has_packages = any(package.action in ("written", "kept") for package in self.packages)
        return f"Packages: {counts}" + (f"; passwords in {LIST}, encrypted" if has_packages else "")

    def to_text(self) -> str:
        """Return the packages as plain lines for a terminal."""
        return "\n".join(
            (*group_statements("package", map(_describe_package, self.packages)), self.summary())
        )


def _describe_package(package: Package) -> tuple[str, str]:
    """Return what was done with a package, the reason, and the name of the package."""
    if package.file:
        details = f"{package.encryption}, for Windows Server {package.target_os}; {package.why}"
        return f"{package.action} ({details})", package.file
    is_refused = package.action not in ("elsewhere", "covered")
    return f"{'not created' if is_refused else package.action} ({package.why})", package.request_id


# Packages are created in parallel, with the encryption that the product's rules define.

_COMMAND = f"import {__name__} as worker; worker.serve_tasks()"
# The smallest number of packages for which child processes are used. Starting a child process takes
# about 0.2 s, and creating a package takes 25 ms.
_PROCESSES_FROM = 40
_CHUNK = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A package to create. ``key`` is unencrypted PKCS #8 DER, so repr does not show it."""

    content: PfxContent
    key: bytes
    password: Secret

    def __repr__(self) -> str:
        return f"Task({self.content.friendly_name!r}, key=***)"


def make_packages(tasks: Sequence[Task], *, workers: int | None = None) -> list[bytes]:
    """Create packages in worker processes, in the order of the tasks.

    Parameters
    ----------
    tasks : sequence of Task
        n of them.
    workers : int, optional
        Processes at most; as many as there are cores if left out.

    Returns
    -------
    list of bytes
        n PFX files. The key derivation holds Python's lock, so threads would not help: a few
        packages are made in this process, many in child processes.

    Raises
    ------
    PackageError
        If a key is not that of its certificate.
    """
    count = count_cores() if workers is None else workers
    if count < 2 or len(tasks) < _PROCESSES_FROM:
        return [_make_package(_convert_task(task)) for task in tasks]
    chunks = [tasks[start : start + _CHUNK] for start in range(0, len(tasks), _CHUNK)]
    with WorkerProcesses(count, (), command=_COMMAND, hidden=VARIABLE) as workers_here:
        futures = [workers_here.submit([_convert_task(task) for task in chunk]) for chunk in chunks]
        return [data for future in futures for (data,) in future.result()]


def serve_tasks() -> None:
    """In a child process, create packages for the parent process."""
    workers.serve_tasks(lambda _: lambda values: (_make_package(values),))


#: The fields are the certificate, chain, friendly name, encryption, provider, key, and password.
_Values = tuple[bytes, tuple[bytes, ...], str, str, str, bytes, str]


def _convert_task(task: Task) -> _Values:
    """Return a task as a tuple of plain values, because a secret cannot be pickled."""
    content = task.content
    fields = (content.certificate, content.chain, content.friendly_name)
    return (*fields, content.encryption, content.provider, task.key, task.password.reveal())


def _make_package(values: _Values) -> bytes:
    certificate, chain, friendly_name, encryption, provider, key, password = values
    content = PfxContent(
        certificate=certificate,
        chain=chain,
        friendly_name=friendly_name,
        encryption=encryption,
        provider=provider,
    )
    return build_pfx(content, read_pkcs8(key), Secret(password))
