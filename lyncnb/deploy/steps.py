"""Import and assignment, server by server, as values: what a checklist and a script show.

A pure step: packages and certificates in, filled steps out. ``step_files.py`` writes the files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from ..authorities.issued import IssuedCertificate, IssuedCertificates
from ..errors import PackageError
from ..request_folder.request_record import PackageRecord, RequestRecord
from ..rules.model import Rules
from ..rules.procedure import Procedure, RollOver, load_procedure, package_rules
from ..rules.rule_files import load_rules
from .fill_steps import Filler, issuers_above, requested_name
from .server_steps import Call, DeploymentSteps, ServerPackage

#: When what can roll over takes effect: for all usages, or for each by its name.
Effective = datetime | Mapping[str, datetime] | None


def deployment_steps(
    issued: IssuedCertificates,
    *,
    effective: Effective = None,
    today: date | None = None,
) -> DeploymentSteps:
    """Write the changed deployment procedure: import and assign, computer by computer.

    Parameters
    ----------
    issued : IssuedCertificates
        n certificates; those that were packaged are in the steps.
    effective : datetime or Mapping, optional
        When rolled-over certificates take effect, in the servers' time: one time for every usage
        that can roll over, or one for each by its name. Where the folder knows the certificate
        in use, its end minus the lifetime of a token is taken if nothing is said.
    today : date, optional
        The day that counts as the present.

    Returns
    -------
    DeploymentSteps
        By role, pool and server; the deployment's own certificate on one server only.

    Raises
    ------
    PackageError
        If ``effective`` names a usage that cannot roll over, or leaves too little time before
        the certificate in use ends.

    Notes
    -----
    Source: each step carries its own; they are data of the product.
    """
    manifest = issued.bundle.manifest
    packages, missing = [], []
    # What a server is stays known when its own certificate is deployed and only the deployment's
    # is renewed.
    hosts = {
        server: (record.plan.role, record.plan.pool)
        for record in manifest.requests
        if record.plan.shared_by != "deployment"
        for server in record.plan.servers
    }
    for record in manifest.requests:
        if record.state == "retired" or record.deployed_at:
            continue
        one = issued.by_id.get(record.id)
        if one is None or one.has_errors:
            why = issued.why_missing(record.id) or "no certificate came back yet"
            if record.key_holder and not record.is_written:
                why = f"it is still to be requested on {record.key_holder}"
            if issued.why_refused(record.id):  # it will never be packaged: only the CA can help
                why = f"ask the CA for another certificate: {why}"
            missing.append((record.id, why))
        elif record.key_holder:
            packages.append(_server_package(record, None, one))
        elif record.package is None or record.package.certificate != one.sha256:
            missing.append((record.id, "it is not packaged yet: run lyncnb pfx"))
        elif record.package.file in issued.exchanged:
            why = f"{record.package.file} is not the package that was made"
            missing.append((record.id, f"{why}: look who did that, then run lyncnb pfx"))
        else:
            packages.append(_server_package(record, record.package, one))
    now = datetime.now(UTC) if today is None else datetime(*today.timetuple()[:3], 12, tzinfo=UTC)
    return procedure_of(
        packages,
        load_rules(manifest.product),
        missing=missing,
        effective=effective,
        hosts=hosts,
        now=now,
    )


def _server_package(
    record: RequestRecord, package: PackageRecord | None, one: IssuedCertificate
) -> ServerPackage:
    """Say what goes to the servers; without a package it is exported where its key is."""
    plan = record.plan
    # A certificate that was never packaged is on no server, unless its key was elsewhere.
    was_used = any(old.package or (old.issued and not old.key_sha256) for old in record.archived)
    return ServerPackage(
        id=record.id,
        role=plan.role,
        pool=plan.pool,
        servers=plan.servers,
        usages=plan.usages,
        shared_by=plan.shared_by,
        issuer=plan.issuer,
        name=plan.common_name,
        file=package.file.rpartition("/")[2] if package else f"{record.id}.pfx",
        sha256=package.sha256 if package else "",
        friendly_name=(
            package.friendly_name
            if package
            else requested_name(plan.common_name, plan.usages, record.generation)
        ),
        thumbprint=one.thumbprint,
        not_before=one.not_before,
        not_after=one.not_after,
        path=one.path,
        in_use_until=one.earlier.not_after if one.earlier and was_used else None,
        key_holder=record.key_holder,
    )


def procedure_of(
    packages: Iterable[ServerPackage],
    rules: Rules,
    *,
    now: datetime,
    missing: Iterable[tuple[str, str]] = (),
    effective: Effective = None,
    hosts: Mapping[str, tuple[str, str]] | None = None,
) -> DeploymentSteps:
    """Fill in a product's procedure for packages, whatever folder they come from.

    Parameters
    ----------
    packages : iterable of ServerPackage
        n of them; their ``calls`` are worked out here.
    rules : Rules
        Of the product.
    now : datetime
        The present, UTC.
    missing : iterable of pairs
        Requests without a package, and why.
    effective : datetime or Mapping, optional
        See :func:`deployment_steps`.
    hosts : Mapping, optional
        Role and pool of servers, for one that gets the deployment's certificate alone.

    Raises
    ------
    PackageError
        See :func:`deployment_steps`.
    """
    procedure = load_procedure(rules)
    times = _times(effective, procedure)
    packed = [_with_calls(package, procedure, times, now) for package in packages]
    by_server: dict[str, list[ServerPackage]] = defaultdict(list)
    for package in packed:
        servers = sorted(package.servers)
        for server in servers[:1] if package.shared_by == "deployment" else servers:
            by_server[server].append(package)
    inside = issuers_above(package for package in packed if package.issuer == "internal")
    filler = Filler(rules, procedure, package_rules(rules).provider, inside, hosts or {})
    return DeploymentSteps(
        product=rules.product,
        title=rules.title,
        folder=procedure.folder,
        servers=tuple(filler.server_steps(name, own) for name, own in by_server.items()),
        missing=tuple(missing),
        order=procedure.order,
        cmdlets=procedure.cmdlets,
        key_holders=tuple(filler.key_holder_steps(one) for one in packed if one.key_holder),
    )


def _times(effective: Effective, procedure: Procedure) -> dict[str, datetime]:
    """Give the time of each usage that can roll over, as far as it was said."""
    known = tuple(usage for roll in procedure.rolls for usage in roll.usages)
    if effective is None:
        return {}
    if isinstance(effective, datetime):
        return dict.fromkeys(known, effective)
    for usage in effective:
        if usage not in known:
            raise PackageError(
                f'"{usage}" is no usage that can roll over', hint=f"use one of: {', '.join(known)}"
            )
    return dict(effective)


def _with_calls(
    package: ServerPackage, procedure: Procedure, times: Mapping[str, datetime], now: datetime
) -> ServerPackage:
    """Split a certificate's usages into calls: those that can roll over go by themselves."""
    rest = tuple(usage for usage in package.usages if procedure.roll_of(usage) is None)
    calls = [Call(usages=rest)] if rest else []
    for roll in procedure.rolls:
        rolled = tuple(usage for usage in package.usages if usage in roll.usages)
        if rolled:
            said = next((times[usage] for usage in rolled if usage in times), None)
            calls.append(
                Call(usages=rolled, roll=roll, effective=_effective(package, roll, said, now))
            )
    return replace(package, calls=tuple(calls))


def _effective(
    package: ServerPackage, roll: RollOver, said: datetime | None, now: datetime
) -> datetime | None:
    """Settle when a new certificate takes effect; None: it is assigned at once.

    Source: the roll's own: the end of the certificate in use minus the lifetime of a token. How
    near the time is to the present does not count.
    """
    end, lead = package.in_use_until, timedelta(hours=roll.lead_hours)
    if said is None:
        return end - lead if end is not None and end - lead > now else None
    # Naive: the servers' time zone is taken to be this computer's; the server checks it again.
    moment = said.astimezone(UTC)
    names = ", ".join(roll.usages)
    if end is not None and moment + lead > end:
        latest = (end - lead).astimezone(said.tzinfo)
        raise PackageError(
            f"{names} cannot take effect at {said:%Y-%m-%d %H:%M}: the certificate in use ends at "
            f"{end:%Y-%m-%d %H:%M} UTC, and tokens live {roll.lead_hours} hours",
            hint=f"choose {latest:%Y-%m-%dT%H:%M} or earlier",
        )
    if not package.not_before <= moment < package.not_after:
        raise PackageError(
            f"{names} cannot take effect at {said:%Y-%m-%d %H:%M}: the new certificate is valid "
            f"from {package.not_before:%Y-%m-%d %H:%M} to {package.not_after:%Y-%m-%d %H:%M} UTC",
            hint="choose a time in between",
        )
    return said
