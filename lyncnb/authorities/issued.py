"""``IssuedCertificates``: what came back, matched and compared; nothing is written here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from ..base.files import read
from ..base.tables import DataFrame, Table, to_frame
from ..errors import BundleError
from ..pki.certificates import Certificate, moment_of, name_text
from ..pki.chain import Issuers
from ..plan.summary_content import count_of
from ..request_folder.bundle import RequestBundle
from ..request_folder.request_record import RequestRecord
from ..rules.findings import Finding, Findings, sort_findings
from ..rules.returned_rules import finding, may_be_accepted, returned_checks
from .compare_predecessor import succession
from .decoding import decode
from .demonstration import is_fictional
from .judging import noted
from .matching import (
    Match,
    Outstanding,
    by_public_key,
    earlier_certificates,
    judge_on_record,
    match_answers,
    with_cross_findings,
)
from .returned_files import MAX_FILE_BYTES, Password, ReturnedFile, read_returned

# ``IssuedCertificate``: one returned certificate with the request it answers and its chain.


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """One returned certificate, the request it answers, and its certification path.

    ``path`` begins with the issuer and ends with the root, as far as they are known;
    ``chain_complete`` tells whether it ends in a self-signed certificate. ``earlier`` is the
    certificate whose place it takes, if there was one; ``rejected`` are CA certificates of the
    issuer's name that did not sign it; ``accepted`` has the reason of each error that was accepted.
    """

    request_id: str
    generation: int
    certificate: Certificate
    path: tuple[Certificate, ...]
    chain_complete: bool
    source_file: str
    findings: tuple[Finding, ...]
    earlier: Certificate | None = None
    rejected: tuple[Certificate, ...] = ()
    accepted: Mapping[str, str] = field(default_factory=dict)

    @property
    def der(self) -> bytes:
        """The certificate itself, DER."""
        return self.certificate.der

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates above it, DER, issuer first."""
        return tuple(issuer.der for issuer in self.path)

    @property
    def subject(self) -> str:
        """The subject on one line, to be read and not parsed."""
        return name_text(self.certificate.subject)

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names of the subjectAltName, in the certificate's order."""
        return self.certificate.dns_names

    @property
    def issuer_name(self) -> str:
        """Common name of the issuing CA."""
        return self.certificate.issuer_name

    @property
    def serial(self) -> int:
        """The serial number."""
        return self.certificate.serial

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate in capitals, as ``Set-CsCertificate -Thumbprint`` takes it."""
        return self.certificate.thumbprint

    @property
    def sha256(self) -> str:
        """SHA-256 of the certificate, hexadecimal."""
        return self.certificate.sha256

    @property
    def not_before(self) -> datetime:
        """First moment of its validity, UTC."""
        return self.certificate.not_before

    @property
    def not_after(self) -> datetime:
        """Last moment of its validity, UTC."""
        return self.certificate.not_after

    @property
    def has_errors(self) -> bool:
        """Whether a finding says that it must not go on a server."""
        return any(found.severity == "error" for found in self.findings)


def to_document(one: IssuedCertificate) -> dict[str, object]:
    """Return one certificate as plain JSON values; times are UTC, ISO 8601."""
    return {
        "id": one.request_id,
        "generation": one.generation,
        "file": one.source_file,
        "subject": one.subject,
        "san": list(one.names),
        "issuer": one.issuer_name,
        "serial": serial_text(one.serial),
        "thumbprint_sha1": one.thumbprint,
        "sha256": one.sha256,
        "not_before": time_text(one.not_before),
        "not_after": time_text(one.not_after),
        "chain": [name_text(issuer.subject) for issuer in one.path],
        "chain_complete": one.chain_complete,
        "findings": [found.code for found in one.findings],
        "taken": not one.has_errors,
    }


def serial_text(serial: int) -> str:
    """Write a serial number as Windows shows it: pairs of lower-case hexadecimal digits."""
    digits = f"{abs(serial):x}"
    return ("-" if serial < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)


def time_text(time: datetime) -> str:
    """Write a time as the manifest does: UTC, ISO 8601 to the second."""
    # strftime leaves the zeros off a year before 1000, which some certificates begin in.
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


FOLDER = "returned"

#: Events of the log about certificates that had to make room; their SHA-256 stands in brackets.
DISPLACED = ("certificate-replaced", "certificate-passed-over")

# A file that could not be read is told by another exit status than one that differs.
_UNREADABLE = ("file-unreadable", "file-malformed", "pfx-not-opened")

_COLUMNS = (
    *("Request", "Role", "Servers", "Type", "Subject name", "Subject alternative names"),
    *("Issued by", "Valid from", "Valid until", "Chain", "Findings", "Thumbprint", "File"),
)


@dataclass(frozen=True, kw_only=True, repr=False)
class IssuedCertificates(Table):
    """Returned certificates of a request folder, compared with the plan.

    Parameters
    ----------
    bundle : RequestBundle
        The request folder.
    today : date
        The day of judgement.
    certificates : tuple of IssuedCertificate
        At most one per current request, in the order of the plan.
    superseded : tuple of IssuedCertificate
        Answers to archived generations; not to be used.
    refused : tuple of IssuedCertificate
        Certificates with errors that stand behind another one, or that were refused earlier.
    issuers : tuple of Certificate
        CA certificates, kept for the whole folder.
    passed_over : tuple of (str, Certificate)
        Request ids, and certificates with the same dates as the one that was taken.
    accepted : Mapping
        The reason of each error that was accepted now, by code.
    findings : Findings
        All findings, those of the certificates and those about files and requests.
    files : tuple of ReturnedFile
        Every file that was looked at.
    exchanged : frozenset of str
        Files of the folder that are not those on record, relative to it: what was received, and
        packages that were made.
    """

    bundle: RequestBundle
    today: date
    certificates: tuple[IssuedCertificate, ...]
    superseded: tuple[IssuedCertificate, ...]
    findings: Findings
    files: tuple[ReturnedFile, ...]
    refused: tuple[IssuedCertificate, ...] = ()
    issuers: tuple[Certificate, ...] = ()
    passed_over: tuple[tuple[str, Certificate], ...] = ()
    accepted: Mapping[str, str] = field(default_factory=dict)
    exchanged: frozenset[str] = frozenset()

    @cached_property
    def by_id(self) -> dict[str, IssuedCertificate]:
        """The certificates by request id."""
        return {issued.request_id: issued for issued in self.certificates}

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the requests that no certificate, now or earlier, answers."""
        return tuple(
            record.id
            for record in self.bundle.requests
            if record.state in ("planned", "waiting")
            and (record.id not in self.by_id or self.by_id[record.id].has_errors)
        )

    def why_refused(self, request_id: str) -> str:
        """Say which certificate for a request was refused, and why; "" if none was.

        Every command that goes without a certificate says it in these words.
        """
        return self.refusals.get(request_id, "")

    @cached_property
    def refusals(self) -> Mapping[str, str]:
        """Which certificates were refused and why, by request id."""
        found: dict[str, list[str]] = {}
        for one in (*self.certificates, *self.refused):
            for error in one.findings:
                if error.severity == "error":
                    words = f"{one.source_file} was refused: {error.code}: {error.message}"
                    found.setdefault(one.request_id, []).append(words)
        return {request_id: "; ".join(words) for request_id, words in found.items()}

    @property
    def has_errors(self) -> bool:
        """Whether a finding is an error."""
        return self.findings.has_errors

    @property
    def has_differences(self) -> bool:
        """Whether anything is not as planned; a notice is no difference."""
        return any(found.severity != "notice" for found in self.findings)

    @property
    def exit_status(self) -> int:
        """0 all as planned, 1 differences, 2 a file could not be read."""
        if any(found.code in _UNREADABLE for found in self.findings):
            return 2
        return 1 if self.has_differences else 0

    def why_missing(self, request_id: str) -> str:
        """Say why a request has no certificate that can be used; "" if none came back yet."""
        lost = [
            found.message
            for found in self.findings
            if found.about == request_id and found.code in ("file-exchanged", "file-unreadable")
        ]
        refused = self.why_refused(request_id)
        return "; ".join([*lost, *([refused] if refused else [])])

    def findings_frame(self) -> DataFrame:
        """Return the findings as a DataFrame, one row each, six columns."""
        return self.findings.to_frame()

    def succession_frame(self) -> DataFrame:
        """Return old against new, a row per field that changed where a certificate has a successor.

        Four text columns: request, what, before, after.
        """
        rows = [
            (one.request_id, change.what, change.before, change.after)
            for one in self.certificates
            if one.earlier is not None
            for change in succession(one.earlier, one.certificate)
        ]
        return to_frame(("Request", "What", "Before", "After"), rows)

    def _rows(self) -> Iterator[tuple[object, ...]]:
        records = self.bundle.manifest.by_id
        for one in self.certificates:
            entry = records[one.request_id].plan
            yield (
                *(one.request_id, entry.role, entry.servers, entry.usages),
                *(one.subject, one.names, one.issuer_name),
                *(f"{one.not_before:%Y-%m-%d}", f"{one.not_after:%Y-%m-%d}"),
                "complete" if one.chain_complete else "incomplete",
                tuple(sorted({found.code for found in one.findings})),
                *(one.thumbprint, one.source_file),
            )

    def _headings(self) -> tuple[str, ...]:
        return _COLUMNS

    def _summary(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return super()._repr_html_() + (self.findings._repr_html_() if self.findings else "")

    def summary(self) -> str:
        """Say in a sentence what came back."""
        told = ", ".join(
            count_of(number, severity)
            for severity, number in self.findings.counts().items()
            if number
        )
        return (
            f"{count_of(len(self.certificates), 'certificate')} matched in "
            f"{count_of(len(self.files), 'file')}, {count_of(len(self.waiting), 'request')} "
            f"waiting; {told or 'as planned'}"
        )

    def to_text(self) -> str:
        """Write everything as plain lines, for a terminal."""
        lines = [self.summary()]
        for one in self.certificates:
            what = "refused, kept in returned/refused/: " if one.has_errors else ""
            lines.append(
                f"{one.request_id}: {what}{one.source_file}, issued by {one.issuer_name}, "
                f"{one.not_before:%Y-%m-%d} to {one.not_after:%Y-%m-%d}"
            )
        for one in self.refused:
            lines.append(
                f"{one.request_id}: refused, kept in returned/refused/: {one.source_file}, serial "
                f"{serial_text(one.serial)}"
            )
        for code, reason in self.accepted.items():
            lines.append(f"accepted: {code}: {reason}")
        for found in self.findings:
            lines.append(f"{found.severity}: {found.about}: {found.message} [{found.code}]")
            lines.append(f"  hint: {found.hint}")
        return "\n".join(lines) + "\n"

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values: what ``lyncnb receive --json`` prints."""
        return {
            "format": "lyncnb-received/1",
            "folder": str(self.bundle.folder),
            "certificates": [to_document(one) for one in self.certificates],
            "superseded": [to_document(one) for one in self.superseded],
            "refused": [to_document(one) for one in self.refused],
            "accepted": dict(self.accepted),
            "waiting": list(self.waiting),
            "findings": [
                {
                    name: getattr(found, name)
                    for name in ("code", "severity", "about", "message", "hint", "source")
                }
                for found in self.findings
            ],
            "files": [file.name for file in self.files],
        }


_Missing = tuple[tuple[str, int], Finding]  # request and generation, and what to say


def match_certificates(
    bundle: RequestBundle,
    *paths: str | os.PathLike[str],
    password: Password = None,
    today: date | None = None,
    accept: Mapping[str, str] | None = None,
) -> IssuedCertificates:
    """Match returned files to the requests of a folder, and compare them with the plan.

    Parameters
    ----------
    bundle : RequestBundle
        The request folder, from ``write_requests`` or ``open_requests``.
    *paths : path
        Files, folders and zip archives. Left out: the folder's own ``returned``.
    password : Secret, str or callable, optional
        For a PFX; a callable gets the file's name and returns the password.
    today : date or datetime, optional
        The moment of judgement (of a day its noon, UTC); the present one if left out.
    accept : mapping, optional
        Why an error is no obstacle, by its code, beside what the folder has on record.

    Returns
    -------
    IssuedCertificates
        Nothing is written; ``store_returned`` does that.

    Raises
    ------
    ReturnedFileError
        If a path does not exist.
    BundleError
        If a code to accept is unknown, or no reason excuses it.
    """
    at = moment_of(today) if today is not None else datetime.now(UTC)
    accepted = _checked_acceptances(accept or {})
    own = bundle.folder / FOLDER
    files = read_returned(paths or ((own,) if own.is_dir() else ()), password=password)
    known, missing, exchanged = _known(bundle)
    packages = _exchanged_packages(bundle)
    if paths:
        files += _refused_again(bundle, files, known, accepted)
    asked = list(_outstanding(bundle, accepted))
    matched = match_answers(asked, files, known=known, today=at)
    everyone = (*matched.answers, *matched.superseded, *matched.refused)
    here = {(a.asked.request_id, a.asked.generation) for a in matched.answers + matched.superseded}
    everything = [
        *matched.findings,
        # What was lost and has come again, in this form or another, is written once more.
        *(found for part, found in missing if part not in here),
        *packages.values(),
        *(found for answer in everyone for found in answer.findings),
    ]
    return IssuedCertificates(
        bundle=bundle,
        today=at.date(),
        certificates=tuple(map(_issued, matched.answers)),
        superseded=tuple(map(_issued, matched.superseded)),
        findings=sort_findings(dict.fromkeys(everything)),
        files=files,
        refused=tuple(map(_issued, matched.refused)),
        issuers=matched.issuers,
        passed_over=matched.passed_over,
        accepted=accepted,
        exchanged=frozenset((*exchanged, *packages)),
    )


def load_issued(bundle: RequestBundle, *, today: date | None = None) -> IssuedCertificates:
    """Judge the certificates that a folder has on record, from the evidence on record alone.

    Parameters
    ----------
    bundle : RequestBundle
        The request folder.
    today : date or datetime, optional
        The moment of judgement (of a day its noon, UTC); the present one if left out.

    Returns
    -------
    IssuedCertificates
        The certificate of each request that has one, those that were refused, and the same
        findings that ``receive`` had, but for what depends on the moment. Nothing is matched, no
        other file is looked at and nothing is written.
    """
    at = moment_of(today) if today is not None else datetime.now(UTC)
    known, missing, exchanged = _known(bundle)
    packages = _exchanged_packages(bundle)
    by_sha256 = {certificate.sha256: certificate for certificate in known}
    outstanding = list(_outstanding(bundle, {}))
    by_key = by_public_key(outstanding)
    issuers = Issuers([one for one in known if one.spki_sha256 not in by_key])
    matches: list[Match] = []
    for asked in outstanding:
        record = bundle.manifest.by_id[asked.request_id]
        for part in (record.issued, *record.refused) if asked.is_current else ():
            certificate = by_sha256.get(part.sha256) if part is not None else None
            if part is not None and certificate is not None:
                matches.append(
                    judge_on_record(asked, certificate, part.file, issuers, by_sha256, at=at)
                )
    earlier = earlier_certificates(outstanding, by_sha256)
    matches = [replace(one, earlier=earlier.get(one.asked.request_id)) for one in matches]
    matches = with_cross_findings(matches, outstanding, by_key)
    held = [one for one in matches if one.certificate.sha256 == one.asked.held_sha256]
    refused = [one for one in matches if one.certificate.sha256 != one.asked.held_sha256]
    told = [*(found for _, found in missing), *packages.values()]
    told += [found for one in matches for found in one.findings]
    return IssuedCertificates(
        bundle=bundle,
        today=at.date(),
        certificates=tuple(map(_issued, held)),
        superseded=(),
        findings=sort_findings(dict.fromkeys(told)),
        files=(),
        refused=tuple(map(_issued, refused)),
        exchanged=frozenset((*exchanged, *packages)),
    )


def _refused_again(
    bundle: RequestBundle,
    files: Iterable[ReturnedFile],
    known: Iterable[Certificate],
    accepted: Mapping[str, str],
) -> tuple[ReturnedFile, ...]:
    """Give what was refused earlier, if a CA certificate or a reason came that may excuse it."""
    by_sha256 = {certificate.sha256: certificate for certificate in known}
    came = (one for file in files for one in file.certificates)
    if not accepted and not any(one.is_ca and one.sha256 not in by_sha256 for one in came):
        return ()
    return tuple(
        ReturnedFile(name=old.file, certificates=(by_sha256[old.sha256],))
        for record in bundle.requests
        for old in record.refused
        if old.sha256 in by_sha256
    )


def _checked_acceptances(accept: Mapping[str, str]) -> dict[str, str]:
    for code, reason in accept.items():
        if code not in returned_checks():
            raise BundleError(
                f"{code} is no finding about a returned certificate",
                hint="write the code as receive told it, in brackets at the end of the line",
            )
        if returned_checks()[code].severity == "error" and not may_be_accepted(code):
            raise BundleError(
                f"{code} cannot be accepted: {returned_checks()[code].title[0].lower()}"
                f"{returned_checks()[code].title[1:]}",
                hint=returned_checks()[code].hint,
            )
        if not reason.strip():
            raise BundleError(
                f"{code} was accepted without a reason", hint="write it as CODE=REASON"
            )
    return dict(accept)


def _issued(answer: Match) -> IssuedCertificate:
    return IssuedCertificate(
        request_id=answer.asked.request_id,
        generation=answer.asked.generation,
        certificate=answer.certificate,
        path=answer.path.issuers,
        chain_complete=answer.path.is_complete,
        source_file=answer.source_file,
        findings=answer.findings,
        earlier=answer.earlier,
        rejected=answer.path.rejected,
        accepted=answer.asked.accepted,
    )


def acceptances(bundle: RequestBundle, record: RequestRecord) -> dict[str, str]:
    """Give the reasons on record for which errors of a request's certificate are no obstacle."""
    found = {one.code: one.reason for one in bundle.manifest.accepted}
    for part in (record.issued, *record.refused):
        if part is not None and part.judgement is not None:
            found |= {one.code: one.reason for one in part.judgement.accepted}
    return found


def _outstanding(bundle: RequestBundle, accepted: Mapping[str, str]) -> Iterator[Outstanding]:
    displaced = frozenset(
        entry.about[-65:-1]
        for entry in bundle.manifest.log
        if entry.event in DISPLACED and entry.about.endswith(")")
    )
    fictional = is_fictional(record.plan for record in bundle.requests)
    for record in bundle.requests:
        parts = [one for one in (record.issued, *record.refused) if one is not None]
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
            accepted=acceptances(bundle, record) | dict(accepted),
            noted={one.sha256: noted(one.judgement) for one in parts},
            chains={
                one.sha256: one.judgement.chain
                for one in parts
                if one.judgement is not None and one.judgement.chain_complete
            },
            displaced=displaced,
        )
        for old in record.archived:
            yield Outstanding(
                request_id=record.id,
                generation=old.generation,
                spki_sha256=old.spki_sha256,
                entry=old.plan or record.plan,
                is_current=False,
                is_fictional=fictional,
                held_sha256=old.issued.sha256 if old.issued else "",
            )


def _known(
    bundle: RequestBundle,
) -> tuple[tuple[Certificate, ...], list[_Missing], list[str]]:
    """Read what was received earlier; say what is gone or is not the file that was received."""
    found: dict[Certificate, None] = {}
    missing: list[_Missing] = []
    exchanged: list[str] = []
    seen: set[bytes] = set()
    for who, name, digest, leaf in _files_on_record(bundle):
        data = _read_own(bundle.folder, name)
        if data is None:
            message = f"{name} is on record and not in the folder"
            missing.append((who, finding("file-unreadable", who[0] or name, message)))
            continue
        if data in seen:
            continue  # a thousand certificates have the same chain
        certificates = decode(data).certificates
        if (digest and hashlib.sha256(data).hexdigest() != digest) or (
            leaf and [one.sha256 for one in certificates] != [leaf]
        ):
            message = f"{name} is not the file that was received"
            missing.append((who, finding("file-exchanged", who[0] or name, message)))
            exchanged.append(name)
            continue
        seen.add(data)
        found.update(dict.fromkeys(certificates))
    return tuple(found), missing, exchanged


def _exchanged_packages(bundle: RequestBundle) -> dict[str, Finding]:
    """Say which packages are not those that were made, by the hash on record.

    One that is gone is on its servers, or is made again.
    """
    found = {}
    for record in bundle.requests:
        package = None if record.deployed_at else record.package
        data = _read_own(bundle.folder, package.file) if package is not None else None
        if package is None or data is None or hashlib.sha256(data).hexdigest() == package.sha256:
            continue
        message = f"{package.file} is not the package that was made"
        found[package.file] = finding("package-exchanged", record.id, message)
    return found


def _files_on_record(bundle: RequestBundle) -> Iterator[tuple[tuple[str, int], str, str, str]]:
    """Yield whose a file is, its name, the hash of its bytes, and that of its one certificate."""
    for record in bundle.requests:
        for part in record.generations:
            for held in (part.issued, *part.refused):
                if held is not None:
                    who = (record.id, part.generation)
                    yield who, held.file, held.file_sha256, held.sha256
                    if held.chain:
                        yield who, held.chain, held.chain_sha256, ""
    for kept in bundle.manifest.issuers:
        yield ("", 0), kept.file, kept.sha256, ""


def _read_own(folder: Path, name: str) -> bytes | None:
    path = folder / name
    return read(path, limit=MAX_FILE_BYTES) if path.exists() else None
