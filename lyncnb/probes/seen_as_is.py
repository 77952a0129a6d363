"""Convert the results of a probe to installed certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from ..authorities.returned.returned_files import ReturnedFile
from ..authorities.returned.server_export import Placement, ServerExport
from ..authorities.survey.as_is import ABSENT, NOT_SEEN, AsIs, PlannedAsIs
from ..authorities.survey.compare_as_is import compare_files
from ..plan.model import CertificatePlan
from ..request_folder.request_record import RequestRecord
from ..rules.returned_rules import create_returned_finding
from .evaluate import FolderFacts, Sighting
from .result import DIFFERENT, ProbeLine


def list_installed_certificates(
    plan: CertificatePlan,
    sightings: Iterable[Sighting],
    lines: Iterable[ProbeLine],
    *,
    evaluated_on: date,
    is_date_given: bool,
    folder: FolderFacts,
    records: Iterable[RequestRecord] = (),
    made_at: str,
) -> AsIs:
    """Return the installed certificates that the ports presented.

    A planned certificate that no port presented is ``not-seen``, even if another port presented a
    suitable certificate, because nobody knows which certificate is installed for it. If a port
    presented a different certificate, the planned one is not ``covered``.
    """
    files = [*_build_returned_files(sightings, made_at)]
    if folder.issuers:
        files.append(ReturnedFile(name=folder.issuers_source, certificates=folder.issuers))
    compared = compare_files(
        plan, files, evaluation_date=evaluated_on, is_date_given=is_date_given, records=records
    )
    by_id: dict[str, list[ProbeLine]] = {}
    for line in lines:
        by_id.setdefault(line.id, []).append(line)
    planned = tuple(_adjust_certificate(item, by_id.get(item.id, [])) for item in compared.planned)
    return replace(compared, planned=planned, made_at=made_at)


def _build_returned_files(sightings: Iterable[Sighting], made_at: str) -> Iterator[ReturnedFile]:
    """Yield a file for each host and port, and an export of the certificates of each server."""
    by_server: dict[str, dict[str, dict[str, None]]] = {}
    for sighting in sightings:
        if not sighting.chain:
            continue
        target, leaf = sighting.answer.target, sighting.chain[0]
        yield ReturnedFile(name=target.place, certificates=sighting.chain)
        if target.server:
            usages_by_hash = by_server.setdefault(target.server, {})
            usages = usages_by_hash.setdefault(leaf.sha256, {})
            usages.update(dict.fromkeys(filter(None, (target.usage,))))
    for server, usages_by_hash in by_server.items():
        # A server can present a certificate only if it has the key. The probe learns the usages of
        # a certificate only from open ports.
        export = ServerExport(
            computer=server,
            exported_at=made_at,
            has_lync=False,
            placements=tuple(
                Placement(sha256=sha256, types=tuple(types), has_key=True)
                for sha256, types in usages_by_hash.items()
            ),
        )
        yield ReturnedFile(name=server, export=export)


def _adjust_certificate(item: PlannedAsIs, lines: list[ProbeLine]) -> PlannedAsIs:
    if not any(line.certificate is not None for line in lines):
        remarks = tuple(
            f"{line.place}: {remark}" if line.place else remark
            for line in lines
            for remark in (line.remarks or (line.result,))
        )
        finding = create_returned_finding(
            NOT_SEEN, item.id, f"no port presents a certificate for {item.owner}"
        )
        return replace(item, state=NOT_SEEN, certificate=None, findings=(finding,), remarks=remarks)
    if item.state in ABSENT:
        return item
    remarks = item.remarks
    for line in lines:
        if line.certificate is None and line.place:
            remarks += (f"{line.place}: {line.result}",)
        elif line.result == DIFFERENT and _presents_chosen_certificate(line, item):
            problem = next(line.format_lines(), line.result).removeprefix("error: ")
            remarks += (f"{line.place} shows the correct certificate with a problem: {problem}",)
        elif line.result == DIFFERENT and line.certificate is not None:
            host, _, port = line.place.rpartition(":")
            # If a certificate has a remark about a port, the command ``deployed`` does not record
            # the certificate for the server.
            other = f"port {port}, which shows {line.certificate.thumbprint}"
            remarks += (f"on {host}, the certificate is not assigned to {other}",)
    is_different = any(line.result == DIFFERENT for line in lines)
    state = "elsewhere" if is_different and item.state == "covered" else item.state
    return replace(item, state=state, remarks=tuple(dict.fromkeys(remarks)))


def _presents_chosen_certificate(line: ProbeLine, item: PlannedAsIs) -> bool:
    """Return whether the port presents the installed certificate that was chosen for the plan."""
    presented, installed = line.certificate, item.certificate
    return presented is not None and installed is not None and presented.sha256 == installed.sha256
