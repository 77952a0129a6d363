"""``DeploymentSteps``: the changed procedure of every server, as values and as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .authorities.issued import IssuedCertificate
from .base.tables import DataFrame, rows_to_html, to_frame
from .request_folder.manifest import RequestRecord
from .rules.procedure import Assignment, Step

_COLUMNS = ("Server", "Step", "Role", "Package", "What to do", "Wizard", "Commands", "Source")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPackage:
    """One certificate of a server: its request, its package, and how it is assigned."""

    record: RequestRecord
    issued: IssuedCertificate
    assignments: tuple[Assignment, ...]

    @property
    def role(self) -> str:
        """The role that the certificate is for."""
        return self.record.plan["role"]

    @property
    def usages(self) -> tuple[str, ...]:
        """What it is assigned to (``-Type``)."""
        return tuple(self.record.plan["usages"])

    @property
    def file(self) -> str:
        """File name of the package."""
        return self.record.package["file"].rpartition("/")[2]

    @property
    def friendly_name(self) -> str:
        """Name in the computer's store."""
        return self.record.package["friendly_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStep:
    """One step on one server, filled in."""

    step: Step
    title: str
    text: str
    wizard: str
    commands: tuple[str, ...]
    package: str  # "" for a step of the server as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSteps:
    """The changed procedure of one server."""

    server: str
    role: str
    pool: str
    packages: tuple[ServerPackage, ...]
    steps: tuple[ServerStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSteps:
    """The changed procedure of every server that has a package.

    ``missing`` holds pairs: a request without a package, and why.
    """

    product: str
    title: str
    servers: tuple[ServerSteps, ...]
    missing: tuple[tuple[str, str], ...]
    scripts: dict[str, bytes]

    @property
    def exit_status(self) -> int:
        """0 if every planned certificate is in the steps, else 1."""
        return int(bool(self.missing))

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for server in self.servers:
            for number, step in enumerate(server.steps, 1):
                yield (
                    *(server.server, f"{number}. {step.title}", server.role, step.package),
                    *(step.text, step.wizard, step.commands, step.step.source),
                )

    def to_frame(self) -> DataFrame:
        """Return the steps as a DataFrame, one row each, eight text columns."""
        return to_frame(_COLUMNS, self._rows())

    def _repr_html_(self) -> str:
        return rows_to_html(_COLUMNS, list(self._rows()), caption=self.summary(), limit=200)

    def __repr__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Say in a sentence what there is."""
        count = sum(len(server.steps) for server in self.servers)
        missing = f"; {len(self.missing)} certificates are not packaged" if self.missing else ""
        return f"{self.title}: {count} steps on {len(self.servers)} servers{missing}"
