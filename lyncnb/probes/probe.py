"""Probe the planned servers for their certificates, and compare them with the plan."""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime

from ..authorities.returned.returned_files import read_returned_files
from ..authorities.survey.compare_as_is import is_server_certificate
from ..base.arguments import check_type
from ..base.shown.tables import format_count, join_first_texts
from ..base.times import convert_to_time, format_time
from ..errors import OptionsError, ReturnedFileError
from ..plan.model import CertificatePlan
from ..plan.totals import build_origin
from ..request_folder.bundle import RequestBundle, open_requests
from ..request_folder.manifest import NAME as MANIFEST
from .ask import Answers, Progress, probe_ports
from .evaluate import Evaluator, FolderFacts, Sighting, read_folder_facts, read_sightings
from .result import Probe
from .seen_as_is import list_installed_certificates
from .targets import list_targets

_NAMED = 5
_MOST_PARALLEL = 256
_MOST_SECONDS = 60


def probe(
    plan: CertificatePlan,
    *,
    zone: str = "inside",
    hosts: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    also: Iterable[str] = (),
    parallel: int = 16,
    seconds: float = 5.0,
    on: date | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Probe:
    """Read the certificates that the planned servers present, and compare them with the plan.

    The function connects only to the addresses of the plan's own names, or to those in a hosts
    file. It sends the messages of a TLS handshake and nothing else.

    Parameters
    ----------
    plan : CertificatePlan
        A plan with its table.
    zone : str, optional
        The zone from which this computer asks: ``inside`` or ``outside``. It decides which ports
        are asked.
    hosts : path, optional
        A file with a line ``name port address`` for each port. Then only these ports are asked.
    folder : path, optional
        The request folder, to recognize its certificates and to verify chains with its CAs. Or a
        file or folder with your CA certificates, if there is no request folder.
    also : iterable of str, optional
        ``tls1.0`` and ``no-sni`` for a second handshake; ``services`` for the ports of services.
    parallel : int, optional
        How many addresses are asked at the same time, each by one connection.
    seconds : float, optional
        The time for each connection.
    on : date, optional
        The evaluation date. The default is the current time.
    progress : callable, optional
        Called with the number of finished connections, and the total.
    stop : threading.Event, optional
        Stops the run. As with Ctrl+C, the answers until then are kept.

    Returns
    -------
    Probe
        A line for each answer, and for each planned certificate that cannot be seen.

    Raises
    ------
    PlanError
        If the plan has no reasons for its names, as a plan on record.
    OptionsError
        If an argument is not valid, or the hosts file has mistakes.
    BundleError, ReturnedFileError
        If the request folder or the CA certificates cannot be read.
    """
    check_type("probe: plan", plan, CertificatePlan)
    check_type("probe: on", on, date, None)
    if not 0 < parallel <= _MOST_PARALLEL:
        raise OptionsError(
            f"parallel is {parallel}, which is out of range",
            hint=f"set parallel to a number from 1 to {_MOST_PARALLEL}",
        )
    if not 0 < seconds <= _MOST_SECONDS:
        raise OptionsError(
            f"seconds is {seconds:g}, which is out of range",
            hint=f"set seconds to a number greater than 0, but at most {_MOST_SECONDS}",
        )
    targets = list_targets(plan, zone=zone, extras=also, hosts=hosts)
    bundle, facts = _read_folder_or_cas(folder)
    answers = probe_ports(targets, parallel=parallel, timeout=seconds, progress=progress, stop=stop)
    now = datetime.now(UTC)
    evaluation_time = convert_to_time(on) if on is not None else now
    sightings = read_sightings(answers.answers)
    evaluator = Evaluator(plan=plan, folder=facts, sightings=sightings, at=evaluation_time)
    lines, made_at = evaluator.list_lines(targets), format_time(now)
    as_is = list_installed_certificates(
        plan,
        sightings,
        lines,
        evaluated_on=evaluation_time.date(),
        is_date_given=on is not None,
        folder=facts,
        records=bundle.manifest.requests if bundle is not None else (),
        made_at=made_at,
    )
    return Probe(
        product=plan.rules.product,
        source=plan.topology.source,
        plan_sha256=plan.sha256,
        zone=zone,
        made_at=made_at,
        seen=lines,
        as_is=as_is,
        notes=(*evaluator.list_notes(), *_list_notes(plan, zone, sightings, answers)),
        cancelled=answers.cancelled,
        origin=build_origin(plan, judged_on=evaluation_time.date(), made_on=made_at[:10]),
    )


def _read_folder_or_cas(
    folder: str | os.PathLike[str] | None,
) -> tuple[RequestBundle | None, FolderFacts]:
    """Return a request folder with its data, or only the CA certificates in a file or folder."""
    if folder is None:
        return None, FolderFacts()
    if os.path.isfile(os.path.join(folder, MANIFEST)) or not os.path.exists(folder):
        bundle = open_requests(folder)
        return bundle, read_folder_facts(bundle)
    files = read_returned_files((folder,))
    issuers = tuple(
        certificate
        for file in files
        for certificate in file.certificates
        if not is_server_certificate(certificate)
    )
    if not issuers:
        raise ReturnedFileError(
            f"{os.fspath(folder)} contains neither requests nor CA certificates",
            hint="specify the request folder, or a file or folder with your CA certificates",
        )
    name = os.path.basename(os.path.abspath(folder))
    return None, FolderFacts(issuers=tuple(dict.fromkeys(issuers)), issuers_source=name)


def _list_notes(
    plan: CertificatePlan, zone: str, sightings: tuple[Sighting, ...], answers: Answers
) -> Iterator[str]:
    yield from _compare_members(plan, sightings)
    yield from _compare_issuers(sightings)
    for stranger in answers.strangers:
        yield (
            f"lyncnb did not connect to {stranger.name} at {', '.join(stranger.addresses)}, "
            f"because {stranger.pool} has no server there"
        )
    if answers.unresolved:
        count = format_count(len(answers.unresolved), "further name")
        names = join_first_texts(answers.unresolved, _NAMED)
        yield f"{count} cannot be resolved to an address: {names}"
    unlikely = [
        host
        for host, addresses in answers.hosts.items()
        if _is_unexpected_for_zone(addresses, zone)
    ]
    if unlikely:
        other = "public" if zone == "inside" else "private"
        yield (
            f"You are probing from {zone}, but {format_count(len(unlikely), 'host')} resolved to "
            f"{other} addresses: {join_first_texts(unlikely, _NAMED)}"
        )


def _is_unexpected_for_zone(addresses: tuple[str, ...], zone: str) -> bool:
    """Return whether an address is public or private although the zone suggests the opposite."""
    known = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
    return any(address.is_global == (zone == "inside") for address in known)


def _compare_members(plan: CertificatePlan, sightings: tuple[Sighting, ...]) -> Iterator[str]:
    """Yield notes on the number of certificates at one name, and on shared ones that differ."""
    shared = {item.id for item in plan.certificates if item.shared_by == "pool"}
    behind: dict[tuple[str, str], dict[str, None]] = {}
    sizes: dict[tuple[str, str], int] = {}
    differing: dict[tuple[str, str], dict[str, list[str]]] = {}
    for sighting in sightings:
        target = sighting.answer.target
        if not sighting.chain or target.is_tls10 or not target.name:
            continue
        if target.is_balanced:
            leaf = sighting.chain[0].sha256
            behind.setdefault((target.place, target.rule), {})[leaf] = None
            sizes[target.place, target.rule] = len(target.planned)
        if len(target.planned) == 1 and target.planned[0] in shared:
            group = differing.setdefault((target.planned[0], target.pool), {})
            group.setdefault(sighting.chain[0].thumbprint, []).append(target.place)
    for (host_and_port, rule), seen in behind.items():
        size = sizes[host_and_port, rule]
        yield (
            f"{host_and_port}: the servers with this name presented {min(len(seen), size):,} of "
            f"{format_count(size, 'certificate')}"
        )
    for (_, pool), by_thumbprint in differing.items():
        if len(by_thumbprint) > 1:
            details = "; ".join(
                f"{thumbprint} at {join_first_texts(endpoints, _NAMED)}"
                for thumbprint, endpoints in by_thumbprint.items()
            )
            count = format_count(len(by_thumbprint), "certificate")
            yield (
                f"The servers in {pool} must share one certificate, but present {count}: {details}"
            )


def _compare_issuers(sightings: tuple[Sighting, ...]) -> Iterator[str]:
    """Yield the pools in which different CAs issued the certificates for the same usage."""
    by_usage: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
    for sighting in sightings:
        target = sighting.answer.target
        if sighting.chain and target.server:
            issuers = by_usage.setdefault((target.pool, target.usage), {})
            issuers.setdefault(sighting.chain[0].issuer_name, {})[target.server] = None
    for (pool, _), issuers in by_usage.items():
        if len(issuers) > 1:
            details = "; ".join(
                f"{ca} at {join_first_texts([*servers], _NAMED)}" for ca, servers in issuers.items()
            )
            yield f"The servers in {pool} show certificates from {len(issuers)} CAs: {details}"
