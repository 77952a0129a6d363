"""Evaluate the certificates in a request folder from the data in its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from ..base.disk.files import is_missing, read_file
from ..base.times import convert_to_time
from ..errors import BundleError
from ..pki.certificates import Certificate
from ..pki.chain import Issuers
from ..request_folder.bundle import RequestBundle
from ..request_folder.generations import list_compromised_keys
from ..request_folder.plan_file import find_oldest_client, read_renewal_terms
from ..request_folder.request_record import IssuedRecord, RequestRecord
from ..rules.findings import Finding, sort_findings
from ..rules.returned_rules import create_returned_finding, load_returned_rules
from .cas_on_record import PlannedCa
from .demonstration import is_fictional
from .evaluation.cross_findings import add_shared_certificate_findings
from .evaluation.evaluation import read_recorded_findings
from .returned.candidates import Match, Outstanding, find_earlier_certificates, group_by_public_key
from .returned.decoding import decode
from .returned.issued import (
    DISPLACED,
    IssuedCertificate,
    IssuedCertificates,
    list_distinct_findings,
)
from .returned.matching import evaluate_recorded_certificate
from .returned.returned_files import MAX_FILE_BYTES

FOLDER = "returned"
#: The CA certificates. The folder stores each of them only once for all requests.
ISSUERS = f"{FOLDER}/issuers"


# Each tuple contains the ID of a request, the number of a generation, and a finding.
_Missing = tuple[tuple[str, int], Finding]


def load_issued_certificates(
    bundle: RequestBundle, *, today: date | None = None
) -> IssuedCertificates:
    """Evaluate the certificates in a request folder from the data in its manifest.

    Parameters
    ----------
    bundle : RequestBundle
        The request folder.
    today : date or datetime, optional
        The evaluation time; a date means noon UTC of that day. The default is the current time.

    Returns
    -------
    IssuedCertificates
        The certificate of each request and the refused certificates, with the same findings as
        ``receive``, except findings that depend on the time. The function matches no
        certificates, reads no other files and writes nothing.
    """
    evaluated_at = convert_to_time(today) if today is not None else datetime.now(UTC)
    known, missing, exchanged = read_received_certificates(bundle)
    packages = find_altered_packages(bundle)
    by_sha256 = {certificate.sha256: certificate for certificate in known}
    outstanding = list(list_generations_to_match(bundle, {}))
    by_key = group_by_public_key(outstanding)
    issuers = Issuers(
        [certificate for certificate in known if certificate.spki_sha256 not in by_key]
    )
    matches: list[Match] = []
    for request in outstanding:
        record = bundle.manifest.by_id[request.request_id]
        for part in (record.issued, *record.refused) if request.is_current else ():
            certificate = by_sha256.get(part.sha256) if part is not None else None
            if part is not None and certificate is not None:
                matches.append(
                    evaluate_recorded_certificate(
                        request,
                        certificate,
                        part.file,
                        issuers,
                        evaluated_at=evaluated_at,
                    )
                )
    earlier = find_earlier_certificates(outstanding, by_sha256)
    matches = [replace(match, earlier=earlier.get(match.request.request_id)) for match in matches]
    matches = add_shared_certificate_findings(matches, outstanding, by_key)
    current = [match for match in matches if match.certificate.sha256 == match.request.held_sha256]
    refused = [match for match in matches if match.certificate.sha256 != match.request.held_sha256]
    findings = [*(finding for _, finding in missing), *packages.values()]
    findings += list_distinct_findings(map(build_issued_certificate, matches))
    return IssuedCertificates(
        bundle=bundle,
        today=evaluated_at.date(),
        certificates=tuple(map(build_issued_certificate, current)),
        superseded=(),
        findings=sort_findings(dict.fromkeys(findings)),
        files=(),
        refused=tuple(map(build_issued_certificate, refused)),
        exchanged=exchanged | {path: finding.message for path, finding in packages.items()},
    )


def build_issued_certificate(match: Match) -> IssuedCertificate:
    """Convert a match between a request and a certificate to an issued certificate."""
    return IssuedCertificate(
        request_id=match.request.request_id,
        generation=match.request.generation,
        certificate=match.certificate,
        path=match.path.issuers,
        chain_complete=match.path.is_complete,
        source_file=match.source_file,
        findings=match.findings,
        earlier=match.earlier,
        rejected=match.path.rejected,
        accepted=match.request.accepted,
    )


def find_acceptances(bundle: RequestBundle, record: RequestRecord) -> dict[str, str]:
    """Return the recorded reasons for accepting errors in the certificate for a request."""
    reasons = {acceptance.code: acceptance.reason for acceptance in bundle.manifest.accepted}
    for part in (record.issued, *record.refused):
        if part is not None and part.judgement is not None:
            reasons |= {
                acceptance.code: acceptance.reason for acceptance in part.judgement.accepted
            }
    return reasons


def _find_ca_acceptance_reasons(bundle: RequestBundle) -> dict[PlannedCa, dict[str, str]]:
    """Return, for each CA, the reasons for accepted findings that apply to all its certificates."""
    codes = load_returned_rules().accepted_for_a_ca
    reasons: dict[PlannedCa, dict[str, str]] = {}
    for record in bundle.requests:
        judgement = record.issued.judgement if record.issued is not None else None
        for acceptance in judgement.accepted if judgement is not None else ():
            if acceptance.code in codes:
                reasons.setdefault((record.plan.issuer, record.ca), {})[acceptance.code] = (
                    acceptance.reason
                )
    return reasons


def list_generations_to_match(
    bundle: RequestBundle, acceptance_reasons: Mapping[str, str]
) -> Iterator[Outstanding]:
    """Yield an entry for each generation of each request, with the certificates on record.

    Parameters
    ----------
    bundle : RequestBundle
        The request folder.
    acceptance_reasons : Mapping
        Additional reasons for accepting errors, by code.
    """
    displaced = frozenset(
        entry.about[-65:-1]
        for entry in bundle.manifest.log
        if entry.event in DISPLACED and entry.about.endswith(")")
    )
    fictional = is_fictional(record.plan for record in bundle.requests)
    of_ca = _find_ca_acceptance_reasons(bundle)
    compromised = list_compromised_keys(bundle.requests)
    terms = read_renewal_terms(bundle.folder, bundle.manifest)
    oldest_client = find_oldest_client(bundle.folder, bundle.manifest)
    for record in bundle.requests:
        parts = [part for part in (record.issued, *record.refused) if part is not None]
        yield Outstanding(
            is_fictional=fictional,
            request_id=record.id,
            generation=record.generation,
            spki_sha256=record.spki_sha256,
            entry=record.plan,
            is_retired=record.state == "retired",
            validity_days=record.validity_days,
            held_sha256=record.issued.sha256 if record.issued else "",
            held_file=record.issued.file if record.issued else "",
            accepted=of_ca.get((record.plan.issuer, record.ca), {})
            | find_acceptances(bundle, record)
            | dict(acceptance_reasons),
            noted={
                certificate.sha256: read_recorded_findings(certificate.judgement)
                for certificate in parts
            },
            displaced=displaced,
            ca=record.ca,
            target_os=record.target_os,
            is_evidence=not _has_error(record.issued),
            is_compromised=record.spki_sha256 in compromised,
            terms=terms,
            oldest_client=oldest_client,
        )
        for generation in record.archived:
            yield Outstanding(
                request_id=record.id,
                generation=generation.generation,
                spki_sha256=generation.spki_sha256,
                entry=generation.plan or record.plan,
                is_current=False,
                is_fictional=fictional,
                held_sha256=generation.issued.sha256 if generation.issued else "",
                ca=record.ca,
                target_os=record.target_os,
                is_evidence=not _has_error(generation.issued),
                is_compromised=generation.spki_sha256 in compromised,
                refused=frozenset(certificate.sha256 for certificate in generation.refused),
            )


def _has_error(issued_record: IssuedRecord | None) -> bool:
    judgement = issued_record.judgement if issued_record is not None else None
    findings = judgement.findings if judgement is not None else ()
    return any(finding.severity == "error" for finding in findings)


def read_received_certificates(
    bundle: RequestBundle,
) -> tuple[tuple[Certificate, ...], list[_Missing], dict[str, str]]:
    """Read the received certificates in a folder, and report missing or changed files.

    If a file cannot be read, only that file is reported.
    """
    received: dict[Certificate, None] = {}
    missing: list[_Missing] = []
    exchanged: dict[str, str] = {}
    read_before: dict[bytes, tuple[Certificate, ...]] = {}
    for owner, name, digest, leaf in _list_recorded_files(bundle):
        try:
            data = _read_recorded_file(bundle.folder, owner[0], name, digest)
        except BundleError as error:
            exchanged[name] = error.message
            missing.append(
                (owner, create_returned_finding("file-unreadable", owner[0] or name, error.message))
            )
            continue
        if data is None:
            message = f"{name} is on record but missing from the folder"
            missing.append(
                (owner, create_returned_finding("file-unreadable", owner[0] or name, message))
            )
            continue
        # Thousands of certificates can have the same chain, so each chain is decoded only once.
        if data not in read_before:
            read_before[data] = decode(data).certificates
        certificates = read_before[data]
        if (digest and hashlib.sha256(data).hexdigest() != digest) or (
            leaf and [certificate.sha256 for certificate in certificates] != [leaf]
        ):
            message = f"{name} differs from the file that lyncnb received"
            missing.append(
                (owner, create_returned_finding("file-exchanged", owner[0] or name, message))
            )
            exchanged[name] = message
            continue
        received.update(dict.fromkeys(certificates))
    return tuple(received), missing, exchanged


def build_archived_path(request_id: str, name: str, sha256: str) -> str:
    """Return the path in ``archive/`` for a file in ``returned/`` that another one replaces."""
    suffix = ".chain.pem" if name.endswith(".chain.pem") else ".cer"
    return f"archive/{request_id}-{sha256[:8]}{suffix}"


def find_recorded_path(folder: Path, request_id: str, name: str, sha256: str) -> str:
    """Return the recorded path of a file, or the path in ``archive/`` to which it was moved.

    A run moves the file before it records the new path, so it can be interrupted in between.
    """
    if not name or not sha256 or _has_content(folder, name, sha256):
        return name
    moved = build_archived_path(request_id, name, sha256)
    return moved if _has_content(folder, moved, sha256) else name


def _has_content(folder: Path, name: str, sha256: str) -> bool:
    data = _read_file(folder, name)
    return data is not None and hashlib.sha256(data).hexdigest() == sha256


def _read_recorded_file(folder: Path, request_id: str, name: str, sha256: str) -> bytes | None:
    data = _read_file(folder, name)
    if request_id and (data is None or hashlib.sha256(data).hexdigest() != sha256):
        return _read_file(folder, find_recorded_path(folder, request_id, name, sha256))
    return data


def find_altered_packages(bundle: RequestBundle) -> dict[str, Finding]:
    """Return the PFX packages whose SHA-256 differs from the recorded one.

    A missing package is not reported, because it may be on a server, and ``pfx`` can write it
    again.
    """
    findings = {}
    for record in bundle.requests:
        package = None if record.deployed_at else record.package
        if package is None:
            continue
        try:
            data = _read_file(bundle.folder, package.file)
            message = f"{package.file} differs from the package that lyncnb wrote"
        except BundleError as error:
            data, message = b"", error.message
        if data is not None and hashlib.sha256(data).hexdigest() != package.sha256:
            findings[package.file] = create_returned_finding(
                "package-exchanged", record.id, message
            )
    return findings


def _list_recorded_files(bundle: RequestBundle) -> Iterator[tuple[tuple[str, int], str, str, str]]:
    """Yield for each recorded file its owner, its name, its hash, and the certificate's hash."""
    for record in bundle.requests:
        for part in record.generations:
            for certificate in (part.issued, *part.refused):
                if certificate is not None:
                    owner = (record.id, part.generation)
                    yield owner, certificate.file, certificate.file_sha256, certificate.sha256
                    if certificate.chain:
                        yield owner, certificate.chain, certificate.chain_sha256, ""
    for kept_file in bundle.manifest.issuers:
        yield ("", 0), kept_file.file, kept_file.sha256, ""


def _read_file(folder: Path, name: str) -> bytes | None:
    path = folder / name
    try:
        return read_file(path, limit=MAX_FILE_BYTES)
    except BundleError:
        if is_missing(path):
            return None
        raise
