"""Import and assignment, server by server, as a checklist and as scripts.

A pure step: packages and certificates in, text out. ``steps_files.py`` writes the files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from .authorities.issued import IssuedCertificate, IssuedCertificates
from .errors import PackageError
from .powershell import quote
from .request_folder.manifest import RequestRecord
from .rules.procedure import (
    _PLACEHOLDER,
    Assignment,
    Procedure,
    Step,
    load_procedure,
    package_rules,
)
from .rules.rule_files import load_rules
from .server_scripts import import_script, request_script
from .steps import DeploymentSteps, ServerPackage, ServerStep, ServerSteps


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
        assignments = procedure.assignments(tuple(record.plan["usages"]))
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
        scripts=_scripts(servers, common["provider"], effective),
    )


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12)


def _not_ready(record: RequestRecord, one: IssuedCertificate | None) -> str:
    if one is None:
        return "no certificate came back yet"
    if record.package is None or record.package["certificate"] != one.sha256:
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
    servers = sorted(record.plan["servers"])
    return servers[:1] if record.plan["shared_by"] == "deployment" else servers


def _steps(
    server: str, packages: list[ServerPackage], procedure: Procedure, common: dict[str, str]
) -> ServerSteps:
    own = next((p for p in packages if p.record.plan["shared_by"] != "deployment"), packages[0])
    found = []
    for step in procedure.steps:
        wanted = [p for p in packages if step.applies(p.role, p.usages)]
        if step.scope == "server":
            wanted = [p for p in wanted if p is own]
        for package in wanted:
            values = {
                "server": server,
                "pool": own.record.plan["pool"],
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
        pool=own.record.plan["pool"],
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


def _scripts(
    servers: tuple[ServerSteps, ...], provider: str, effective: datetime | None
) -> dict[str, bytes]:
    scripts = {}
    for one in servers:
        scripts[f"{one.server}.ps1"] = import_script(one, provider, effective)
        if any(package.usages for package in one.packages):
            scripts[f"{one.server}-request.ps1"] = request_script(one)
    return scripts
