"""Import and assignment, server by server, as a checklist and as scripts.

A pure step: packages and certificates in, text out. ``steps_files.py`` writes the files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ..authorities.issued import IssuedCertificate, IssuedCertificates
from ..base.tables import DataFrame, rows_to_html, to_frame
from ..errors import PackageError
from ..request_folder.request_record import RequestRecord
from ..rules.procedure import (
    _PLACEHOLDER,
    Assignment,
    Procedure,
    Step,
    load_procedure,
    package_rules,
)
from ..rules.rule_files import load_rules
from .powershell import quote

# ``DeploymentSteps``: the changed procedure of every server, as values and as a table.

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
        return self.record.plan.role

    @property
    def usages(self) -> tuple[str, ...]:
        """What it is assigned to (``-Type``)."""
        return self.record.plan.usages

    @property
    def file(self) -> str:
        """File name of the package."""
        return self.record.package.file.rpartition("/")[2]

    @property
    def friendly_name(self) -> str:
        """Name in the computer's store."""
        return self.record.package.friendly_name


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

    ``missing`` holds pairs: a request without a package, and why. ``provider`` keeps the private
    keys on the servers; ``effective`` is when rolled-over certificates take effect there.
    """

    product: str
    title: str
    servers: tuple[ServerSteps, ...]
    missing: tuple[tuple[str, str], ...]
    provider: str
    effective: datetime | None = None

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


def fill(text: str, values: Mapping[str, object], *, as_command: bool = False) -> str:
    """Put values in for placeholders: as they read, or as PowerShell literals in a command."""

    def value(match: re.Match[str]) -> str:
        found = values[match[1]]
        many = found if isinstance(found, tuple) else (found,)
        shown = [quote(str(one)) if as_command else str(one) for one in many]
        return (", " if not as_command else ",").join(shown)

    return _PLACEHOLDER.sub(value, text)


def deployment_steps(
    issued: IssuedCertificates,
    *,
    effective: datetime | None = None,
    today: date | None = None,
) -> DeploymentSteps:
    """Write the changed deployment procedure: import and assign, computer by computer.

    Parameters
    ----------
    issued : IssuedCertificates
        n certificates; those that were packaged are in the steps.
    effective : datetime, optional
        When rolled-over certificates take effect, in the servers' time.
    today : date, optional
        The day from which lead times count, instead of the present.

    Returns
    -------
    DeploymentSteps
        By role, pool and server; the deployment's own certificate on one server only.

    Raises
    ------
    PackageError
        If ``effective`` is nearer than a usage's lead time.

    Notes
    -----
    Source: each step carries its own; they are data of the product.
    """
    manifest = issued.bundle.manifest
    rules = load_rules(manifest.product)
    procedure = load_procedure(rules)
    now = datetime.now(UTC).replace(tzinfo=None) if today is None else _noon(today)
    by_server: dict[str, list[ServerPackage]] = defaultdict(list)
    missing = []
    for record in manifest.requests:
        if record.state == "retired" or record.deployed_at:
            continue
        one = issued.by_id.get(record.id)
        why = _not_ready(record, one)
        if why:
            missing.append((record.id, why))
            continue
        assignments = procedure.assignments(record.plan.usages)
        _check_lead_times(assignments, effective, now)
        package = ServerPackage(record=record, issued=one, assignments=assignments)
        for server in _servers(record):
            by_server[server].append(package)
    common = {
        "provider": package_rules(rules).provider,
        "effective": f"{effective:%Y-%m-%dT%H:%M:%S}" if effective else "yyyy-MM-ddTHH:mm:ss",
    }
    servers = tuple(
        _steps(server, packages, procedure, common) for server, packages in by_server.items()
    )
    return DeploymentSteps(
        product=manifest.product,
        title=rules.title,
        servers=servers,
        missing=tuple(missing),
        provider=common["provider"],
        effective=effective,
    )


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12)


def _not_ready(record: RequestRecord, one: IssuedCertificate | None) -> str:
    if one is None:
        return "no certificate came back yet"
    if record.package is None or record.package.certificate != one.sha256:
        return "it is not packaged yet: run `lyncnb pfx`"
    return ""


def _check_lead_times(
    assignments: tuple[Assignment, ...], effective: datetime | None, now: datetime
) -> None:
    for call in assignments:
        hours = call.roll.lead_hours if call.roll else 0
        if hours and effective and effective < now + timedelta(hours=hours):
            raise PackageError(
                f"{', '.join(call.usages)} cannot take effect at {effective:%Y-%m-%d %H:%M}",
                hint=f"choose a time at least {hours} hours ahead",
            )


def _servers(record: RequestRecord) -> list[str]:
    """List the servers that take a package: all of its own, or one that acts for all."""
    servers = sorted(record.plan.servers)
    return servers[:1] if record.plan.shared_by == "deployment" else servers


def _steps(
    server: str, packages: list[ServerPackage], procedure: Procedure, common: dict[str, str]
) -> ServerSteps:
    own = next((p for p in packages if p.record.plan.shared_by != "deployment"), packages[0])
    found = []
    for step in procedure.steps:
        wanted = [p for p in packages if step.applies(p.role, p.usages)]
        if step.scope == "server":
            wanted = [p for p in wanted if p is own]
        for package in wanted:
            values = {
                "server": server,
                "pool": own.record.plan.pool,
                "package": package.file,
                "types": package.usages,
                "thumbprint": package.issued.thumbprint,
                "friendly_name": package.friendly_name,
                **common,
            }
            found.append(_filled(step, values, "" if step.scope == "server" else package.file))
    return ServerSteps(
        server=server,
        role=own.role,
        pool=own.record.plan.pool,
        packages=tuple(packages),
        steps=tuple(found),
    )


def _filled(step: Step, values: dict[str, object], package: str) -> ServerStep:
    return ServerStep(
        step=step,
        title=step.title,
        text=fill(step.text, values),
        wizard=fill(step.wizard, values),
        commands=tuple(fill(command, values, as_command=True) for command in step.commands),
        package=package,
    )
