"""``IssuedCertificates``: what came back, matched and compared; nothing is written here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from ..base.files import read
from ..base.tables import ROWS_SHOWN, DataFrame, rows_to_html, to_frame
from ..errors import BundleError
from ..pki.certificates import Certificate, name_text
from ..plan.summary_content import count_of
from ..request_folder.bundle import RequestBundle
from ..request_folder.request_record import RequestRecord
from ..rules.ca_rules import finding
from ..rules.findings import Finding, Findings, sort_findings
from .compare_predecessor import succession
from .decoding import decode
from .matching import Match, Outstanding, match_answers
from .returned_files import MAX_FILE_BYTES, Password, ReturnedFile, read_returned

# ``IssuedCertificate``: one returned certificate with the request it answers and its chain.


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """One returned certificate, the request it answers, and its certification path.

    ``path`` begins with the issuer and ends with the root, as far as they are known;
    ``chain_complete`` tells whether it ends in a self-signed certificate. ``earlier`` is the
    certificate whose place it takes, if there was one.
    """

    request_id: str
    generation: int
    certificate: Certificate
    path: tuple[Certificate, ...]
    chain_complete: bool
    source_file: str
    findings: tuple[Finding, ...]
    earlier: Certificate | None = None

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

# A file that could not be read is told by another exit status than one that differs.
_UNREADABLE = ("file-unreadable", "file-malformed", "pfx-not-opened")

_COLUMNS = (
    *("Request", "Role", "Servers", "Type", "Subject name", "Subject alternative names"),
    *("Issued by", "Valid from", "Valid until", "Chain", "Findings", "Thumbprint", "File"),
)


@dataclass(frozen=True, kw_only=True)
class IssuedCertificates:
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
    findings : Findings
        All findings, those of the certificates and those about files and requests.
    files : tuple of ReturnedFile
        Every file that was looked at.
    """

    bundle: RequestBundle
    today: date
    certificates: tuple[IssuedCertificate, ...]
    superseded: tuple[IssuedCertificate, ...]
    findings: Findings
    files: tuple[ReturnedFile, ...]

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
            if record.state in ("planned", "waiting") and record.id not in self.by_id
        )

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

    def to_frame(self) -> DataFrame:
        """Return the certificates as a DataFrame, one row each, thirteen columns."""
        return to_frame(_COLUMNS, self._rows())

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

    def _repr_html_(self) -> str:
        certificates = rows_to_html(
            _COLUMNS, list(self._rows()), caption=self.summary(), limit=ROWS_SHOWN
        )
        return certificates + (self.findings._repr_html_() if self.findings else "")

    def __repr__(self) -> str:
        return self.summary()

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
            lines.append(
                f"{one.request_id}: {one.source_file}, issued by {one.issuer_name}, "
                f"{one.not_before:%Y-%m-%d} to {one.not_after:%Y-%m-%d}"
            )
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
    today : date, optional
        The day of judgement; the present day (UTC) if left out.

    Returns
    -------
    IssuedCertificates
        Nothing is written; ``store_returned`` does that.

    Raises
    ------
    ReturnedFileError
        If a path does not exist.
    BundleError
        If what the manifest says was received is not in the folder.
    """
    today = today or datetime.now(UTC).date()
    own = bundle.folder / FOLDER
    files = read_returned(paths or ((own,) if own.is_dir() else ()), password=password)
    known, missing = _known(bundle)
    matched = match_answers(list(_outstanding(bundle.requests)), files, known=known, today=today)
    here = {(a.asked.request_id, a.asked.generation) for a in matched.answers + matched.superseded}
    everything = [
        *matched.findings,
        # What was lost and has come again, in this form or another, is written once more.
        *(found for part, found in missing if part not in here),
        *(found for answer in matched.answers + matched.superseded for found in answer.findings),
    ]
    return IssuedCertificates(
        bundle=bundle,
        today=today,
        certificates=tuple(map(_issued, matched.answers)),
        superseded=tuple(map(_issued, matched.superseded)),
        findings=sort_findings(everything),
        files=files,
    )


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
    )


def _outstanding(records: Iterable[RequestRecord]) -> Iterator[Outstanding]:
    for record in records:
        yield Outstanding(
            request_id=record.id,
            generation=record.generation,
            spki_sha256=record.spki_sha256,
            entry=record.plan,
            is_retired=record.state == "retired",
            validity_days=record.validity_days,
            held_sha256=record.issued.sha256 if record.issued else "",
        )
        for old in record.archived:
            yield Outstanding(
                request_id=record.id,
                generation=old.generation,
                spki_sha256=old.spki_sha256,
                entry=old.plan or record.plan,
                is_current=False,
                held_sha256=old.issued.sha256 if old.issued else "",
            )


def _known(bundle: RequestBundle) -> tuple[tuple[Certificate, ...], list[_Missing]]:
    """Read what was received earlier: certificates on record and their chains; say what is gone."""
    found: dict[Certificate, None] = {}
    missing: list[_Missing] = []
    seen: set[bytes] = set()
    for record in bundle.requests:
        for part in record.generations:
            held = part.issued
            for name in filter(None, (held.file, held.chain) if held else ()):
                data = _read_own(bundle.folder, name)
                if data is None:
                    message = f"{name} is on record and not in the folder"
                    told = finding("file-unreadable", record.id, message)
                    missing.append(((record.id, part.generation), told))
                elif data not in seen:
                    seen.add(data)  # a thousand certificates have the same chain
                    found.update(dict.fromkeys(decode(data).certificates))
    return tuple(found), missing


def _read_own(folder: Path, name: str) -> bytes | None:
    parts = name.split("/")
    if len(parts) != 2 or parts[0] not in (FOLDER, "archive") or "\\" in name or ".." in parts:
        raise BundleError(
            f"{folder}/manifest.json: {name!r} is no place for a certificate",
            hint="the manifest was edited; restore it from a backup",
        )
    path = folder / name
    return read(path, limit=MAX_FILE_BYTES) if path.exists() else None
