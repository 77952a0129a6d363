"""Compare returned files with the requests in a folder, without writing any file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

from ...base.arguments import check_type
from ...base.times import convert_to_time
from ...errors import BundleError
from ...pki.certificates import Certificate
from ...request_folder.bundle import RequestBundle
from ...request_folder.files_on_disk import take_survey
from ...request_folder.generations import has_packaging_error
from ...request_folder.request_record import IssuedRecord, RequestRecord
from ...request_folder.unrecorded import find_unrecorded_requests
from ...rules.findings import Finding, sort_findings
from ...rules.returned_rules import is_acceptable, list_returned_checks
from ..certificates_on_record import (
    FOLDER,
    ISSUERS,
    build_issued_certificate,
    find_altered_packages,
    list_generations_to_match,
    read_received_certificates,
)
from .issued import IssuedCertificates, list_distinct_findings
from .matching import match_returned_certificates
from .returned_files import Password, ReturnedFile, read_returned_files


def match_certificates(
    bundle: RequestBundle,
    *paths: str | os.PathLike[str],
    password: Password = None,
    today: date | None = None,
    accept: Mapping[str, str] | None = None,
) -> IssuedCertificates:
    """Match returned files to the requests in a folder, and compare the certificates with the plan.

    Parameters
    ----------
    bundle : RequestBundle
        The request folder, from ``write_requests`` or ``open_requests``.
    *paths : path
        Files, folders and zip archives. The default is the folder ``returned``.
    password : Secret, str or callable, optional
        The password for PFX files; a callable receives the file name and returns the password.
    today : date or datetime, optional
        The evaluation time; a date means noon UTC of that day. The default is the current time.
    accept : mapping, optional
        Additional reasons for accepting errors, by code.

    Returns
    -------
    IssuedCertificates
        The matched certificates. To write them, use ``store_returned``.

    Raises
    ------
    ReturnedFileError
        If a path does not exist.
    BundleError
        If a code in `accept` is unknown or cannot be accepted.
    """
    check_type("match_certificates: bundle", bundle, RequestBundle)
    check_type("today", today, date, None)
    evaluated_at = convert_to_time(today) if today is not None else datetime.now(UTC)
    accepted = check_accepted_errors(accept or {})
    default_folder = bundle.folder / FOLDER
    files = read_returned_files(
        paths or ((default_folder,) if default_folder.is_dir() else ()), password=password
    )
    known, missing, exchanged = read_received_certificates(bundle)
    packages = find_altered_packages(bundle)
    if paths:
        files += _find_refused_certificates(bundle, files, known, accepted)
    requests = list(list_generations_to_match(bundle, accepted))
    matched = match_returned_certificates(
        requests, files, known_certificates=known, today=evaluated_at
    )
    answers = (*matched.answers, *matched.superseded, *matched.refused)
    everyone = tuple(map(build_issued_certificate, answers))
    generations = {
        (a.request.request_id, a.request.generation) for a in matched.answers + matched.superseded
    }
    everything = [
        *_add_unrecorded_requests(bundle, files, matched.findings),
        # If a certificate file is lost and the certificate is received again in any format, lyncnb
        # restores the file.
        *(
            finding
            for part, finding in missing
            if part not in generations and not _is_issuer_received_again(finding, files)
        ),
        *packages.values(),
        *list_distinct_findings(everyone),
    ]
    return IssuedCertificates(
        bundle=bundle,
        today=evaluated_at.date(),
        certificates=tuple(map(build_issued_certificate, matched.answers)),
        superseded=tuple(map(build_issued_certificate, matched.superseded)),
        findings=sort_findings(dict.fromkeys(everything)),
        files=files,
        refused=tuple(map(build_issued_certificate, matched.refused)),
        issuers=matched.issuers,
        passed_over=matched.passed_over,
        accepted=accepted,
        exchanged=exchanged | {path: finding.message for path, finding in packages.items()},
    )


def _is_issuer_received_again(finding: Finding, files: Iterable[ReturnedFile]) -> bool:
    """Return whether a received file contains a CA certificate that is unreadable in the folder."""
    if finding.code != "file-unreadable" or not finding.about.startswith(f"{ISSUERS}/"):
        return False
    stem = finding.about.rpartition("/")[2].removesuffix(".cer")
    return any(
        certificate.sha256.startswith(stem) for file in files for certificate in file.certificates
    )


def _add_unrecorded_requests(
    bundle: RequestBundle, files: Iterable[ReturnedFile], findings: Iterable[Finding]
) -> Iterator[Finding]:
    """If the CSR for an unknown key is in the folder, add its path to the finding."""
    all_findings = tuple(findings)
    paths_by_file: dict[str, str] = {}
    if any(finding.code == "unknown-key" for finding in all_findings):
        csr_paths = find_unrecorded_requests(
            take_survey(bundle.folder, is_reading=True), bundle.manifest
        )
        for file in files:
            for certificate in file.certificates:
                if (path := csr_paths.get(certificate.spki_sha256)) is not None:
                    paths_by_file[file.name] = path
    for finding in all_findings:
        path = paths_by_file.get(finding.about) if finding.code == "unknown-key" else None
        yield (
            finding
            if path is None
            else replace(
                finding,
                message=f"{finding.message}; the certificate belongs to {path}, which is not in "
                "the manifest",
                hint="run lyncnb status FOLDER --rebuild, then receive this file again",
            )
        )


def _find_refused_certificates(
    bundle: RequestBundle,
    files: Iterable[ReturnedFile],
    known_certificates: Iterable[Certificate],
    acceptance_reasons: Mapping[str, str],
) -> tuple[ReturnedFile, ...]:
    """Return the refused certificates that a new CA certificate or acceptance makes valid."""
    by_sha256 = {certificate.sha256: certificate for certificate in known_certificates}
    came = (certificate for file in files for certificate in file.certificates)
    if not acceptance_reasons and not any(
        new.is_ca and new.sha256 not in by_sha256 for new in came
    ):
        return ()
    return tuple(
        ReturnedFile(name=certificate.file, certificates=(by_sha256[certificate.sha256],))
        for record in bundle.requests
        for certificate in record.refused
        if certificate.sha256 in by_sha256 and not _is_replaced(record, certificate)
    )


def _is_replaced(record: RequestRecord, refused: IssuedRecord) -> bool:
    """Return whether a request has a valid certificate that is newer than a refused certificate."""
    issued = record.issued
    if issued is None or issued.judgement is None or has_packaging_error(record):
        return False
    return issued.judgement.chain_complete and refused.begins < issued.begins


def check_accepted_errors(acceptance_reasons: Mapping[str, str]) -> dict[str, str]:
    """Check the errors that the user accepts, and return the reasons by code.

    Raises
    ------
    BundleError
        If a code is unknown or cannot be accepted, or if its reason is missing.
    """
    check_type("accept", acceptance_reasons, Mapping)
    for code, reason in acceptance_reasons.items():
        if code not in list_returned_checks():
            raise BundleError(
                f"{code} is not the code of a finding about a received certificate",
                hint="use a code that lyncnb receive shows in brackets at the end of a line",
            )
        if list_returned_checks()[code].severity == "error" and not is_acceptable(code):
            raise BundleError(
                f"{code} cannot be accepted: {list_returned_checks()[code].title[0].lower()}"
                f"{list_returned_checks()[code].title[1:]}",
                hint=list_returned_checks()[code].hint,
            )
        if not reason.strip():
            raise BundleError(
                f"a reason for accepting {code} is missing",
                hint="specify the code and the reason as CODE=REASON",
            )
    return dict(acceptance_reasons)
