"""Import and assignment, server by server, as values: what a checklist and a script show.

A pure step: packages and certificates in, filled steps out. ``step_files.py`` writes the files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime

from ..authorities.returned.issued import IssuedCertificate, IssuedCertificates
from ..base.arguments import require
from ..base.planned_entry import PlannedEntry
from ..pki.certificates import name_text
from ..request_folder.generations import generations_of
from ..request_folder.manifest import Manifest
from ..request_folder.request_record import (
    CoveringCertificate,
    PackageRecord,
    RequestRecord,
    package_names,
)
from ..rules.model import Rules
from ..rules.procedure import load_procedure, package_rules
from ..rules.rule_files import rules_on_record
from .fill_steps import Filler, requested_name
from .roll_over_times import Effective, times_said, with_calls
from .server_steps import DeploymentSteps, MissingPackage, ServerPackage
from .trusted_cas import TrustOfPackages

_EXPIRED = {"certificate-expired"}


def deployment_steps(
    issued: IssuedCertificates,
    *,
    effective: Effective = None,
    changed: bool | None = None,
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
    changed : bool, optional
        Only what is new to its servers, and who has to trust a new CA for it. Left out, it is true
        once a certificate was renewed.
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
    require("deployment_steps: issued", issued, IssuedCertificates)
    manifest = issued.bundle.manifest
    now = datetime.now(UTC) if today is None else datetime(*today.timetuple()[:3], 12, tzinfo=UTC)
    renewed_at = _first_renewal(manifest)
    only_new = bool(renewed_at) if changed is None else changed
    packages: list[ServerPackage] = []
    missing: list[MissingPackage] = []
    covered: list[MissingPackage] = []
    # What a server is stays known when its own certificate is deployed and only the deployment's
    # is renewed.
    hosts = {
        server: (record.plan.role, record.plan.pool)
        for record in manifest.requests
        if record.plan.shared_by != "deployment" and record.state != "retired"
        for server in record.plan.servers
    }
    for record in manifest.requests:
        if record.state == "retired" or record.deployed_at or _is_at_set_up(record):
            continue
        if only_new and not _is_new(record, renewed_at):
            continue
        if record.covered and not record.covered.is_in_force(now):
            why = f"it was {record.covered}: lyncnb request makes its request now"
            missing.append(_missing(record, why))
            continue
        if record.covered:
            covered.append(_missing(record, _stands(record.covered)))
            continue
        found = _package_or_why(record, issued)
        if isinstance(found, ServerPackage):
            packages.append(found)
        else:
            missing.append(_missing(record, found))
    return procedure_of(
        packages,
        rules_on_record(manifest.product, sha256=manifest.product_sha256),
        missing=missing,
        covered=covered,
        at_set_up=[one.plan for one in manifest.requests if _is_at_set_up(one)],
        effective=effective,
        hosts=hosts,
        others=_others(issued, packages),
        trusted_before=_trusted_before(issued, packages) if only_new else None,
        now=now,
    )


def _package_or_why(record: RequestRecord, issued: IssuedCertificates) -> ServerPackage | str:
    """Give what goes to the servers of a request, or say why nothing does."""
    one = issued.by_id.get(record.id)
    if one is None or one.has_errors:
        if record.key_holder and not record.is_written:
            return f"it is still to be requested on {record.key_holder}"
        if one is not None and {e.code for e in one.findings if e.severity == "error"} == _EXPIRED:
            return f"it expired on {one.not_after:%Y-%m-%d}: renew it, lyncnb renew FOLDER --due"
        why = issued.why_missing(record.id) or "no certificate came back yet"
        # It will never be packaged: only the CA can help.
        is_refused = issued.why_refused(record.id)
        return f"ask the CA for another certificate: {why}" if is_refused else why
    if record.key_holder:
        return _server_package(record, None, one)
    if record.package is None or record.package.certificate != one.sha256:
        return "it is not packaged yet: run lyncnb pfx"
    if record.package.file in issued.exchanged:
        why = f"{record.package.file} is not the package that was made"
        return f"{why}: look who did that, then run lyncnb pfx"
    return _server_package(record, record.package, one)


def _first_renewal(manifest: Manifest) -> str:
    """Give when the first certificate of a folder was renewed; blank if none was."""
    times = (
        old.superseded_at
        for record in manifest.requests
        for old in record.archived
        if old.issued is not None
    )
    return min(times, default="")


def _is_new(record: RequestRecord, renewed_at: str) -> bool:
    """Whether the servers of a certificate have another one, or none.

    What came back before the first renewal is taken to be on its servers, recorded or not.
    """
    life = generations_of(record)
    if life.under_way is not None:
        return True
    return not life.deployed_on and (not renewed_at or record.issued_at > renewed_at)


def _trusted_before(issued: IssuedCertificates, packages: list[ServerPackage]) -> frozenset[str]:
    """Give the SHA-256 of the CA certificates above what the servers have now."""
    told = {package.id for package in packages}
    found: set[str] = set()
    for record in issued.bundle.manifest.requests:
        in_use = generations_of(record).in_use
        one = issued.by_id.get(record.id)
        if in_use is not None and in_use.generation != record.generation:
            judgement = in_use.issued.judgement if in_use.issued else None
            found |= {*(judgement.chain if judgement else ())}
        elif one is not None and record.id not in told:
            found |= {issuer.sha256 for issuer in one.path}
    return frozenset(found)


def _is_at_set_up(record: RequestRecord) -> bool:
    """Whether a certificate is requested on its server; one that left the plan is not."""
    return record.plan.at_set_up and not record.is_written and record.state != "retired"


def _others(issued: IssuedCertificates, packages: list[ServerPackage]) -> Iterator[ServerPackage]:
    """Give what came back and is deployed already, or not packaged yet: it is verified as well."""
    told = {package.id for package in packages}
    for record in issued.bundle.manifest.requests:
        one = issued.by_id.get(record.id)
        if record.id not in told and record.state != "retired" and one and not one.has_errors:
            yield _server_package(record, None, one)


def _stands(cover: CoveringCertificate) -> str:
    where = f", on {', '.join(cover.servers)}" if cover.servers else ""
    return (
        f"{cover}{where}: nothing was requested. Where it is not in the store yet, import it with"
        " its key; then assign this thumbprint"
    )


def _missing(record: RequestRecord, why: str) -> MissingPackage:
    return MissingPackage(request=record.id, why=why, servers=_hosts(record.plan))


def _hosts(entry: PlannedEntry | ServerPackage) -> tuple[str, ...]:
    """Give the servers that a certificate is imported on: the deployment's on one of them."""
    servers = tuple(sorted(entry.servers))
    return servers[:1] if entry.shared_by == "deployment" else servers


def _server_package(
    record: RequestRecord, package: PackageRecord | None, one: IssuedCertificate
) -> ServerPackage:
    """Say what goes to the servers; without a package it is exported where its key is."""
    plan = record.plan
    # A certificate that was never packaged is on no server, unless its key was elsewhere.
    was_used = any(old.package or (old.issued and not old.key_sha256) for old in record.archived)
    replaced = one.earlier if was_used else None
    return ServerPackage(
        id=record.id,
        role=plan.role,
        pool=plan.pool,
        site=plan.site,
        servers=plan.servers,
        usages=plan.usages,
        eku=plan.eku,
        san=plan.san,
        shared_by=plan.shared_by,
        issuer=plan.issuer,
        name=plan.common_name,
        file=(
            package.file.rpartition("/")[2]
            if package
            else package_names(record.id, record.generation)[0]
        ),
        sha256=package.sha256 if package else "",
        friendly_name=(
            package.friendly_name
            if package
            else requested_name(plan, plan.common_name, record.generation)
        ),
        thumbprint=one.thumbprint,
        not_before=one.not_before,
        not_after=one.not_after,
        path=one.path,
        in_use_until=replaced.not_after if replaced else None,
        superseded=(
            f"serial {replaced.serial_hex} of {name_text(replaced.issuer)}" if replaced else ""
        ),
        key_holder=record.key_holder,
    )


def procedure_of(
    packages: Iterable[ServerPackage],
    rules: Rules,
    *,
    now: datetime,
    missing: Iterable[MissingPackage] = (),
    covered: Iterable[MissingPackage] = (),
    at_set_up: Iterable[PlannedEntry] = (),
    effective: Effective = None,
    hosts: Mapping[str, tuple[str, str]] | None = None,
    others: Iterable[ServerPackage] = (),
    trusted_before: Collection[str] | None = None,
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
    missing : iterable of MissingPackage
        Requests that have none.
    covered : iterable of MissingPackage
        Those that need none, because a certificate stands.
    at_set_up : iterable of PlannedEntry, optional
        Certificates that are requested on their servers.
    effective : datetime or Mapping, optional
        See :func:`deployment_steps`.
    hosts : Mapping, optional
        Role and pool of servers, for one that gets the deployment's certificate alone.
    others : iterable of ServerPackage, optional
        Certificates that are not to be deployed: whoever verifies them needs their roots.
    trusted_before : collection of str, optional
        SHA-256 of the CA certificates that are trusted already. Where it is given, servers that
        get no certificate have a page, too, if they are to trust another one.

    Raises
    ------
    PackageError
        See :func:`deployment_steps`.
    """
    procedure = load_procedure(rules)
    times = times_said(effective, procedure)
    packed = [with_calls(package, procedure, times, now) for package in packages]
    by_server: dict[str, list[ServerPackage]] = defaultdict(list)
    for package in packed:
        for server in _hosts(package):
            by_server[server].append(package)
    to_request: dict[str, list[PlannedEntry]] = defaultdict(list)
    for entry in at_set_up:
        for server in _hosts(entry):
            to_request[server].append(entry)
    trusted = TrustOfPackages((*packed, *others), rules)
    filler = Filler(rules, procedure, package_rules(rules).provider, trusted, hosts or {})
    news = {
        issuer.sha256
        for package in packed
        for issuer in package.path
        if trusted_before is not None and issuer.sha256 not in trusted_before
    }
    idle = [name for name in hosts or {} if name not in by_server and name not in to_request]
    trusting = (filler.trust_steps(name, news) for name in idle if news)
    return DeploymentSteps(
        product=rules.product,
        title=rules.title,
        folder=procedure.folder,
        servers=(
            *(
                filler.server_steps(name, by_server.get(name, []), to_request.get(name, []))
                for name in dict.fromkeys([*by_server, *to_request])
            ),
            *(page for page in trusting if page.steps),
        ),
        missing=tuple(missing),
        covered=tuple(covered),
        order=procedure.order,
        cmdlets=procedure.cmdlets,
        key_holders=tuple(filler.key_holder_steps(one) for one in packed if one.key_holder),
    )
