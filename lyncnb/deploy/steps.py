"""Build the deployment steps for each server: import, assignment, checks and trust.

This module reads the folder but writes no files. ``step_files.py`` writes the files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TypeVar

from ..authorities.certificates_on_record import load_issued_certificates
from ..authorities.read_plan import build_folder_origin, read_folder_pools
from ..authorities.returned.issued import IssuedCertificate, IssuedCertificates
from ..base.arguments import check_type
from ..base.planned_entry import PlannedEntry, list_importing_servers
from ..base.renewal_days import ANY_DAY, RenewalTerms
from ..base.shown.origin import UNKNOWN, Origin
from ..pki.certificates import Certificate, format_name
from ..request_folder.bundle import open_requests
from ..request_folder.generations import (
    find_generations,
    find_recorded_servers,
    list_known_certificates,
    list_servers_for,
)
from ..request_folder.manifest import Manifest
from ..request_folder.plan_file import read_answers, read_renewal_terms, read_server_option
from ..request_folder.request_record import (
    CoveringCertificate,
    PackageRecord,
    RequestRecord,
    build_file_stem,
)
from ..rules.model import Rules
from ..rules.procedure import load_package_rules, load_procedure
from ..rules.rule_files import load_recorded_rules
from ..topology.model import Pool
from .fill_steps import Filler, Situation, format_requested_name
from .roll_over_times import Effective, parse_effective_times, split_into_calls
from .server_steps import DeploymentSteps, MissingPackage, ServerPackage
from .sheets import number_steps
from .trusted_cas import TrustOfPackages

_EXPIRED = {"certificate-expired"}

_Item = TypeVar("_Item", ServerPackage, PlannedEntry)


def deployment_steps(
    issued: IssuedCertificates,
    *,
    effective: Effective = None,
    changed: bool | None = None,
    today: date | None = None,
) -> DeploymentSteps:
    """Return the deployment procedure for each computer: import and assignment of certificates.

    Parameters
    ----------
    issued : IssuedCertificates
        n certificates; those that were packaged are in the steps, also if they were packaged after
        ``issued`` was read.
    effective : datetime or Mapping, optional
        When rolled-over certificates take effect, in the servers' time: one time for all usages
        that can roll over, or one for each by name. The default, if the folder knows the
        certificate in use, is the first day for changes after the certificate is staged, at
        latest its end minus the lifetime of a token.
    changed : bool, optional
        Whether to include only what is new to its servers, and the servers that must trust a new
        CA for it. By default true once a certificate was renewed, or a deployment was recorded.
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
    check_type("deployment_steps: issued", issued, IssuedCertificates)
    check_type("today", today, date, None)
    issued = _read_again(issued, today)
    manifest = issued.bundle.manifest
    now = datetime.now(UTC) if today is None else datetime(*today.timetuple()[:3], 12, tzinfo=UTC)
    renewed_at = _find_first_renewal(manifest)
    is_recorded = any(find_recorded_servers(record) for record in manifest.requests)
    only_new = bool(renewed_at or is_recorded) if changed is None else changed
    packages, missing, covered = _collect_packages(issued, only_new, renewed_at, now)
    option = read_server_option(issued.bundle.folder, manifest)
    cases = _decide_cases(manifest, packages, option, has_time=bool(effective))
    steps = build_procedure(
        packages,
        load_recorded_rules(manifest.product, sha256=manifest.product_sha256),
        missing_packages=missing,
        covered_requests=covered,
        set_up_entries=[
            record.plan for record in manifest.requests if _is_requested_during_setup(record)
        ],
        effective_times=effective,
        hosts=_list_hosts(manifest),
        other_certificates=_list_other_certificates(issued, packages),
        trusted_ca_hashes=_list_trusted_cas(issued, packages) if only_new else None,
        cases=cases,
        now=now,
        pools=read_folder_pools(issued.bundle.folder, manifest),
        terms=read_renewal_terms(issued.bundle.folder, manifest),
        answers=read_answers(issued.bundle.folder, manifest),
        origin=build_folder_origin(issued.bundle.folder, manifest),
    )
    # Without a record and without the option, the case is only assumed.
    return replace(steps, assumed=not option and {*cases.values()} == {"new"})


def _read_again(issued: IssuedCertificates, today: date | None) -> IssuedCertificates:
    """Return the certificates with those that only the folder knows.

    Often, ``issued`` was read before the packages were written, or from the answer to only some of
    the requests.
    """
    bundle = open_requests(issued.bundle.folder)
    others = {record.id for record in bundle.requests if record.issued} - issued.by_id.keys()
    recorded = load_issued_certificates(bundle, today=today).certificates if others else ()
    certificates = (*issued.certificates, *(c for c in recorded if c.request_id in others))
    return replace(issued, bundle=bundle, certificates=certificates)


def _list_hosts(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """Return the role and pool of each server.

    They are known even if only the certificate of the deployment is renewed.
    """
    return {
        server: (record.plan.role, record.plan.pool)
        for record in manifest.requests
        if record.plan.shared_by != "deployment" and record.state != "retired"
        for server in list_servers_for(record, record)
    }


def _collect_packages(
    issued: IssuedCertificates, only_new: bool, renewed_at: str, now: datetime
) -> tuple[list[ServerPackage], list[MissingPackage], list[MissingPackage]]:
    """Return the packages, the requests without one, and the requests that need none."""
    packages: list[ServerPackage] = []
    missing: list[MissingPackage] = []
    covered: list[MissingPackage] = []
    for record in issued.bundle.manifest.requests:
        if record.state == "retired" or record.deployed_at or _is_requested_during_setup(record):
            continue
        done = _list_done_servers(record, renewed_at) if only_new else frozenset()
        servers = list_importing_servers(record.plan.servers, record.plan.shared_by)
        if only_new and done.issuperset(servers):
            continue
        if record.covered and not record.covered.is_in_force(now):
            reason = f"this request was {record.covered}. To create the request, run lyncnb request"
            missing.append(_build_missing_package(record, reason))
            continue
        if record.covered:
            covered.append(
                _build_missing_package(record, _describe_covering_certificate(record.covered))
            )
            continue
        result = _build_package(record, issued)
        if isinstance(result, ServerPackage):
            packages.append(replace(result, done=done))
        else:
            missing.append(_build_missing_package(record, result))
    return packages, missing, covered


def _build_package(
    record: RequestRecord, issued_certificates: IssuedCertificates
) -> ServerPackage | str:
    """Return the package for the servers of a request, or the reason why there is none."""
    certificate = issued_certificates.by_id.get(record.id)
    if certificate is None or certificate.has_errors:
        if record.key_holder and not record.is_written:
            return f"you must still request this certificate on {record.key_holder}"
        if (
            certificate is not None
            and {e.code for e in certificate.findings if e.severity == "error"} == _EXPIRED
        ):
            return (
                f"the certificate expired on {certificate.not_after:%Y-%m-%d}; to renew it, run "
                "lyncnb renew FOLDER --due"
            )
        reason = issued_certificates.why_missing(record.id) or "no certificate has been issued yet"
        # lyncnb never packages a refused certificate, so the user needs another one from the CA.
        is_refused = issued_certificates.explain_refusal(record.id)
        return f"ask the CA for another certificate: {reason}" if is_refused else reason
    if record.key_holder:
        return _build_server_package(record, None, certificate)
    if record.package is None or record.package.certificate != certificate.sha256:
        return "to create packages, run lyncnb pfx FOLDER"
    if record.package.file in issued_certificates.exchanged:
        return (
            f"{record.package.file} is not the package that lyncnb created; find out who replaced "
            "the package, then run lyncnb pfx FOLDER"
        )
    return _build_server_package(record, record.package, certificate)


def _find_first_renewal(manifest: Manifest) -> str:
    """Return the time of the first renewal in a folder, or "" without a renewal.

    If a deployment was recorded earlier, that time counts: what was issued later is new.
    """
    renewed = [
        old.superseded_at
        for record in manifest.requests
        for old in record.archived
        if old.issued is not None
    ]
    recorded = [
        deployment.recorded_at
        for record in manifest.requests
        for part in record.generations
        for deployment in part.every_deployment
    ]
    return min((*renewed, *recorded)) if renewed else ""


def _list_done_servers(record: RequestRecord, renewed_at: str) -> frozenset[str]:
    """Return the servers of a request that use its newest certificate.

    Without a record, certificates that were issued before the first renewal are assumed to be
    installed.
    """
    recorded = find_recorded_servers(record)
    if recorded or find_generations(record).under_way is not None or not renewed_at:
        return frozenset(name for name, is_newest in recorded.items() if is_newest)
    return frozenset(record.plan.servers if record.issued_at <= renewed_at else ())


def _decide_cases(
    manifest: Manifest,
    packages: Iterable[ServerPackage],
    option: Mapping[str, str],
    *,
    has_time: bool = False,
) -> dict[str, str]:
    """Return the case of each server that is recorded, or whose case the planner specified.

    A recorded certificate means that the server is in use. If other servers of the deployment are
    in use, a server without a record joins them. Otherwise the option ``servers`` decides.
    """
    replaces = {package.id for package in packages if package.old}
    recorded: set[str] = set()
    for record in manifest.requests:
        names = {d.server for part in record.generations for d in part.every_deployment}
        if record.id in replaces and not names:
            names = {name for old in record.archived for name in list_servers_for(record, old)}
        recorded |= names - {""}
    cases: dict[str, str] = {}
    for server in {server for record in manifest.requests for server in record.plan.servers}:
        specified = option.get(server) or option.get("")
        # A time for a rollover means that a certificate is in use.
        is_running = specified == "running" or (has_time and not specified and not recorded)
        if server in recorded or is_running:
            cases[server] = "renew"
        else:
            cases[server] = "join" if recorded else "new"
    return cases


def _list_trusted_cas(
    issued_certificates: IssuedCertificates, packages: list[ServerPackage]
) -> frozenset[str]:
    """Return the SHA-256 of all CA certificates above the certificates that servers use now."""
    package_ids = {package.id for package in packages}
    digests: set[str] = set()
    for record in issued_certificates.bundle.manifest.requests:
        in_use = find_generations(record).in_use
        certificate = issued_certificates.by_id.get(record.id)
        is_on_server = record.id not in package_ids or any(find_recorded_servers(record).values())
        if in_use is not None and in_use.generation != record.generation:
            judgement = in_use.issued.judgement if in_use.issued else None
            digests |= {*(judgement.chain if judgement else ())}
        elif certificate is not None and is_on_server:
            digests |= {issuer.sha256 for issuer in certificate.path}
    return frozenset(digests)


def _is_requested_during_setup(record: RequestRecord) -> bool:
    """Return whether a planned certificate is requested on its server during setup."""
    return record.plan.at_set_up and not record.is_written and record.state != "retired"


def _list_other_certificates(
    issued_certificates: IssuedCertificates, packages: list[ServerPackage]
) -> Iterator[ServerPackage]:
    """Yield the issued certificates that are not in the given packages, such as deployed ones.

    Clients also verify these certificates.
    """
    package_ids = {package.id for package in packages}
    for record in issued_certificates.bundle.manifest.requests:
        certificate = issued_certificates.by_id.get(record.id)
        if (
            record.id not in package_ids
            and record.state != "retired"
            and certificate
            and not certificate.has_errors
        ):
            yield _build_server_package(record, None, certificate)


def _describe_covering_certificate(cover: CoveringCertificate) -> str:
    location = f", on {', '.join(cover.servers)}" if cover.servers else ""
    return (
        f"{cover}{location}. No request is needed. If the certificate is not in the "
        "certificate store yet, import the certificate with its private key. Then "
        "assign this thumbprint"
    )


def _build_missing_package(record: RequestRecord, reason: str) -> MissingPackage:
    servers = list_importing_servers(list_servers_for(record, record), record.plan.shared_by)
    return MissingPackage(request=record.id, why=reason, servers=servers)


def _build_server_package(
    record: RequestRecord, package: PackageRecord | None, issued_certificate: IssuedCertificate
) -> ServerPackage:
    """Return the package that the servers of a request import.

    If there is no package file, the computer with the key exports the package.
    """
    plan = record.plan
    # A certificate that was never packaged is not on any server, unless its key is on another
    # computer.
    was_used = any(old.package or (old.issued and not old.key_sha256) for old in record.archived)
    replaced = issued_certificate.earlier if was_used else None
    return ServerPackage(
        id=record.id,
        role=plan.role,
        pool=plan.pool,
        site=plan.site,
        servers=list_servers_for(record, record),
        usages=plan.usages,
        eku=plan.eku,
        san=plan.san,
        shared_by=plan.shared_by,
        issuer=plan.issuer,
        name=plan.common_name,
        file=(
            package.file.rpartition("/")[2]
            if package
            else f"{build_file_stem(record.id, record.spki_sha256)}.pfx"
        ),
        sha256=package.sha256 if package else "",
        friendly_name=(
            package.friendly_name
            if package
            else format_requested_name(plan, plan.common_name, record.generation)
        ),
        thumbprint=issued_certificate.thumbprint,
        not_before=issued_certificate.not_before,
        not_after=issued_certificate.not_after,
        path=issued_certificate.path,
        key_algorithm=issued_certificate.certificate.key_algorithm,
        in_use_until=_find_usable_until(record, replaced) if replaced else None,
        old=replaced.thumbprint if replaced else "",
        renamed=bool(replaced)
        and any(
            old.plan is not None and {*old.plan.san} != {*plan.san} for old in record.archived[-1:]
        ),
        superseded=(
            f"serial {replaced.serial_hex} of {format_name(replaced.issuer)}" if replaced else ""
        ),
        key_holder=record.key_holder,
        number=record.number,
    )


def _find_usable_until(record: RequestRecord, certificate: Certificate) -> datetime:
    """Return the last second in which servers can use a certificate that is replaced."""
    known = {
        digest: recorded
        for part in record.generations
        for digest, recorded in list_known_certificates(part).items()
    }
    recorded = known.get(certificate.sha256)
    return recorded.usable_until if recorded is not None else certificate.not_after


def build_procedure(
    packages: Iterable[ServerPackage],
    rules: Rules,
    *,
    now: datetime,
    missing_packages: Iterable[MissingPackage] = (),
    covered_requests: Iterable[MissingPackage] = (),
    set_up_entries: Iterable[PlannedEntry] = (),
    effective_times: Effective = None,
    hosts: Mapping[str, tuple[str, str]] | None = None,
    other_certificates: Iterable[ServerPackage] = (),
    trusted_ca_hashes: Collection[str] | None = None,
    cases: Mapping[str, str] | None = None,
    pools: Iterable[Pool] = (),
    terms: RenewalTerms = ANY_DAY,
    answers: Mapping[str, str] | None = None,
    origin: Origin = UNKNOWN,
) -> DeploymentSteps:
    """Create the deployment steps for packages from any folder, with a product's procedure.

    Parameters
    ----------
    packages : iterable of ServerPackage
        n packages; their ``calls`` are computed here.
    rules : Rules
        Of the product.
    now : datetime
        The present, UTC.
    missing_packages : iterable of MissingPackage
        Requests without a package.
    covered_requests : iterable of MissingPackage
        Requests that need no package because an installed certificate covers them.
    set_up_entries : iterable of PlannedEntry, optional
        Certificates that are requested on their servers.
    effective_times : datetime or Mapping, optional
        See :func:`deployment_steps`.
    hosts : Mapping, optional
        Role and pool of servers, for those that get only the deployment's certificate.
    other_certificates : iterable of ServerPackage, optional
        Certificates that are not deployed now: servers that verify them need their roots.
    trusted_ca_hashes : collection of str, optional
        SHA-256 of the CA certificates that are already trusted. If it is given, servers that get
        no certificate also have a page if they must trust another CA.
    cases : Mapping, optional
        The case of each server: ``new``, ``renew`` or ``join``. A server whose certificate in use
        is known renews it, and each other server is new.
    pools : iterable of Pool, optional
        The pools of the plan, which decide the ports on the sheets.
    terms : RenewalTerms, optional
        The days on which servers can be changed.
    answers : Mapping, optional
        The answers in ``[procedure]`` of plan.toml.
    origin : Origin, optional
        Of the folder or plan.

    Raises
    ------
    PackageError
        See :func:`deployment_steps`.
    """
    procedure = load_procedure(rules).answer(answers or {})
    times = parse_effective_times(effective_times, procedure)
    packed = [split_into_calls(package, procedure, times, now, terms) for package in packages]
    by_server = _group_by_server((server, p) for p in packed for server in p.importing)
    to_request = _group_by_server(
        (server, entry)
        for entry in set_up_entries
        for server in list_importing_servers(entry.servers, entry.shared_by)
    )
    every = (*packed, *other_certificates)
    trusted = TrustOfPackages(every, rules)
    situation = _build_situation(every, by_server, to_request, hosts or {}, cases or {}, rules)
    planned = {(str(pool.fqdn), pool.role): pool for pool in pools}
    situation = replace(situation, trusted_ca_hashes=trusted_ca_hashes, planned_pools=planned)
    filler = Filler(rules, procedure, load_package_rules(rules).provider, trusted, situation)
    news = {
        issuer.sha256
        for package in packed
        for issuer in package.path
        if trusted_ca_hashes is not None and issuer.sha256 not in trusted_ca_hashes
    }
    idle = [name for name in hosts or {} if name not in by_server and name not in to_request]
    trusting = (filler.build_trust_steps(name, news) for name in idle if news)
    pages = [
        filler.build_server_steps(name, by_server.get(name, []), to_request.get(name, []))
        for name in dict.fromkeys([*by_server, *to_request])
    ]
    return DeploymentSteps(
        product=rules.product,
        title=rules.title,
        folder=procedure.folder,
        servers=number_steps((*pages, *(page for page in trusting if page.steps)), procedure),
        missing=tuple(missing_packages),
        covered=tuple(covered_requests),
        procedure=procedure,
        origin=origin,
        key_holders=number_steps(
            [filler.build_key_holder_steps(package) for package in packed if package.key_holder],
            procedure,
        ),
    )


def _group_by_server(items: Iterable[tuple[str, _Item]]) -> dict[str, list[_Item]]:
    """Return what each server imports or requests."""
    groups: dict[str, list[_Item]] = defaultdict(list)
    for server, item in items:
        groups[server].append(item)
    return groups


def _build_situation(
    packages: Iterable[ServerPackage],
    by_server: Mapping[str, Sequence[ServerPackage]],
    to_request: Mapping[str, object],
    hosts: Mapping[str, tuple[str, str]],
    cases: Mapping[str, str],
    rules: Rules,
) -> Situation:
    """Return what the plan knows about the servers of a change."""
    members: dict[str, set[str]] = defaultdict(set)
    for server, (_, pool) in hosts.items():
        members[pool].add(server)
    oauth_server = registrar = ""
    importing = {package.id for own in by_server.values() for package in own}
    for package in packages:
        if package.shared_by == "deployment":
            oauth_server = next(iter(package.importing if package.id in importing else ()), "")
        else:
            members[package.pool].update(package.servers)
            registers = "Default" in package.usages and "WebServicesInternal" in package.usages
            registrar = registrar or (package.pool if registers else "")
    known = {
        server: "renew" if any(p.old or p.in_use_until for p in own) else "new"
        for server, own in by_server.items()
    }
    return Situation(
        hosts=hosts,
        cases=dict.fromkeys(to_request, "new") | known | dict(cases),
        pools={pool: tuple(sorted(servers)) for pool, servers in members.items()},
        oauth_server=oauth_server,
        registrar=registrar,
        changing=frozenset(p.pool for own in by_server.values() for p in own),
    )
