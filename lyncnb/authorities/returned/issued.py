"""Define ``IssuedCertificates``: issued certificates, matched and compared with the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from typing import ClassVar

from ...base.pasted_text import shown
from ...base.planned_entry import PlannedEntry
from ...base.records import JsonSerializable
from ...base.shown.frames import Kind
from ...base.shown.tables import Table, columns, format_count, group_statements
from ...pki.certificates import Certificate, format_name
from ...request_folder.bundle import RequestBundle
from ...request_folder.generations import EXPIRED
from ...rules.findings import Finding, Findings, group_findings
from .returned_files import ReturnedFile

# The largest number of certificates that one line of text lists.
_CERTIFICATES_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate(JsonSerializable):
    """An issued certificate with its request and its certification path.

    ``path`` starts with the issuer and ends with the root, if they are known. ``chain_complete`` is
    true if the path ends with a self-signed certificate. ``earlier`` is the certificate that it
    replaces, if any. ``rejected`` are CA certificates with the issuer's name that did not sign the
    certificate. ``accepted`` contains the reason for each accepted error.
    """

    json_keys: ClassVar = (
        "id=request_id",
        "generation",
        "file=source_file",
        "subject",
        "san=names",
        "issuer=issuer_name",
        "serial=serial_hex",
        "thumbprint_sha1=thumbprint",
        "sha256",
        "not_before",
        "not_after",
        "chain=chain_names",
        "chain_complete",
        "findings=findings.code",
        "taken=is_taken",
    )

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
        """The certificate in DER encoding."""
        return self.certificate.der

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The DER-encoded CA certificates above the issued certificate. The issuer comes first."""
        return tuple(issuer.der for issuer in self.path)

    @property
    def subject(self) -> str:
        """The subject of the certificate as one line, for display only."""
        return format_name(self.certificate.subject)

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names in the certificate's subjectAltName extension, in their original order."""
        return self.certificate.dns_names

    @property
    def issuer_name(self) -> str:
        """The common name of the issuing CA."""
        return self.certificate.issuer_name

    @property
    def serial(self) -> int:
        """The serial number of the certificate."""
        return self.certificate.serial

    @property
    def serial_hex(self) -> str:
        """The serial number of the certificate, in the format that Windows shows."""
        return self.certificate.serial_hex

    @property
    def thumbprint(self) -> str:
        """The SHA-1 thumbprint in uppercase, as ``Set-CsCertificate -Thumbprint`` expects it."""
        return self.certificate.thumbprint

    @property
    def sha256(self) -> str:
        """The SHA-256 of the certificate, as hexadecimal digits."""
        return self.certificate.sha256

    @property
    def not_before(self) -> datetime:
        """The start of the certificate's validity, in UTC."""
        return self.certificate.not_before

    @property
    def not_after(self) -> datetime:
        """The end of the certificate's validity, in UTC."""
        return self.certificate.not_after

    @property
    def chain_names(self) -> list[str]:
        """The subjects of the CA certificates above the certificate. The issuing CA comes first."""
        return [format_name(issuer.subject) for issuer in self.path]

    @property
    def has_errors(self) -> bool:
        """Whether a finding prevents the use of the certificate."""
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def has_expired(self) -> bool:
        """Whether the certificate has expired."""
        return any(finding.code == EXPIRED for finding in self.findings)

    @property
    def has_faults(self) -> bool:
        """Whether the certificate has any error other than being expired."""
        errors = (finding for finding in self.findings if finding.severity == "error")
        return any(finding.code != EXPIRED for finding in errors)

    @property
    def is_taken(self) -> bool:
        """Whether the certificate has no errors, so that it may be installed on a server."""
        return not self.has_errors


def list_distinct_findings(certificates: Iterable[IssuedCertificate]) -> Iterator[Finding]:
    """Yield the findings about issued certificates, so that each finding refers to one certificate.

    If a request has several certificates, each finding includes the certificate.
    """
    all_certificates = tuple(certificates)
    several = Counter(certificate.request_id for certificate in all_certificates)
    for certificate in all_certificates:
        for finding in certificate.findings:
            if several[certificate.request_id] > 1 and finding.about == certificate.request_id:
                source = f"{certificate.source_file}, serial number {certificate.serial_hex}"
                yield replace(finding, message=f"{source}: {finding.message}")
            else:
                yield finding


#: The events in the history that record a replaced certificate, with its SHA-256 in parentheses.
DISPLACED = ("certificate-replaced", "certificate-passed-over")


# The findings about unreadable files. Their exit status differs from the exit status for a
# mismatch.
_UNREADABLE = ("file-unreadable", "file-malformed", "pfx-not-opened")


@dataclass(frozen=True, kw_only=True, repr=False)
class IssuedCertificates(Table, JsonSerializable):
    """The issued certificates in a request folder, compared with the plan.

    Parameters
    ----------
    bundle : RequestBundle
        The request folder.
    today : date
        The evaluation date.
    certificates : tuple of IssuedCertificate
        At most one per current request, in the order of the plan.
    superseded : tuple of IssuedCertificate
        Certificates for archived generations; do not use them.
    refused : tuple of IssuedCertificate
        Certificates with errors that were refused earlier, or whose request has a better
        certificate.
    issuers : tuple of Certificate
        CA certificates, stored once for the folder.
    passed_over : tuple of (str, Certificate)
        Request ids, and certificates with the same dates as the accepted one.
    accepted : Mapping
        The reason for each error that was accepted in this call, by code.
    findings : Findings
        All findings about certificates, files and requests.
    files : tuple of ReturnedFile
        Every file that was read.
    exchanged : Mapping
        Problems with received files and packages in the folder, by relative path. The files cannot
        be read, or differ from the record.
    """

    format: ClassVar = "lyncnb-received/1"
    json_keys: ClassVar = (
        "format",
        "folder=bundle.folder",
        "certificates",
        "superseded",
        "refused",
        "accepted",
        "waiting",
        "findings",
        "files=files.name",
    )

    _columns: ClassVar = columns(
        ("Certificate", lambda row: row[0].request_id),
        ("Role", lambda row: row[1].role),
        ("Servers", lambda row: row[1].servers),
        ("Type", lambda row: row[1].usages),
        ("Issued subject", lambda row: row[0].subject),
        ("Issued names", lambda row: row[0].names),
        ("Issued by", lambda row: row[0].issuer_name),
        ("Valid from", lambda row: f"{row[0].not_before:%Y-%m-%d}", Kind.DAY),
        ("Valid until", lambda row: f"{row[0].not_after:%Y-%m-%d}", Kind.DAY),
        ("Chain", lambda row: "complete" if row[0].chain_complete else "incomplete"),
        ("Findings", lambda row: tuple(sorted({finding.code for finding in row[0].findings}))),
        ("Thumbprint", lambda row: row[0].thumbprint),
        ("File", lambda row: row[0].source_file),
    )

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
    exchanged: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> dict[str, IssuedCertificate]:
        """The issued certificates, by request ID."""
        return {issued.request_id: issued for issued in self.certificates}

    @property
    def chains(self) -> Mapping[str, tuple[Certificate, ...]]:
        """The CA certificates above each certificate, starting with the issuer, by request ID."""
        return {
            certificate.request_id: certificate.path
            for certificate in self.certificates
            if not certificate.has_errors
        }

    @property
    def waiting(self) -> tuple[str, ...]:
        """The IDs of the requests for which no certificate is issued yet."""
        return tuple(
            record.id
            for record in self.bundle.requests
            if record.state in ("planned", "waiting")
            and not record.covered
            and (record.id not in self.by_id or self.by_id[record.id].has_errors)
        )

    def explain_refusal(self, request_id: str) -> str:
        """Describe which certificate for a request was refused, and why.

        Return "" if no certificate was refused.

        Every command that leaves out a certificate uses this text.
        """
        return self.refusals.get(request_id, "")

    @cached_property
    def refusals(self) -> Mapping[str, str]:
        """Describe the refused certificates and the reasons, by request ID.

        A certificate on record that has expired does not count as refused.
        """
        reasons: dict[str, list[str]] = {}
        for certificate in (*self.certificates, *self.open_refusals):
            name = f"{certificate.source_file} (serial number {certificate.serial_hex})"
            refusal = f"{name} was refused"
            is_on_record = self.by_id.get(certificate.request_id) is certificate
            errors_by_result: dict[str, list[str]] = {}
            for error in certificate.findings:
                if error.severity == "error":
                    is_over = error.code == EXPIRED and is_on_record
                    result = f"{name} has expired" if is_over else refusal
                    text = f"{error.code}: {error.message}"
                    errors_by_result.setdefault(result, []).append(text)
            for result, errors in errors_by_result.items():
                words = f"{result}: {'; '.join(errors)}"
                reasons.setdefault(certificate.request_id, []).append(words)
            if certificate.request_id not in self.by_id and not certificate.has_errors:
                # When lyncnb recorded the certificate, the CA certificate was not valid yet or
                # other rules applied.
                words = (
                    f"{refusal}, but the certificate no longer has errors. To accept the "
                    "certificate, run: lyncnb receive FOLDER"
                )
                reasons.setdefault(certificate.request_id, []).append(words)
        return {request_id: "; ".join(words) for request_id, words in reasons.items()}

    @property
    def open_refusals(self) -> tuple[IssuedCertificate, ...]:
        """The refused certificates, without those that are older than a valid certificate."""
        return tuple(
            certificate
            for certificate in self.refused
            if (good := self.by_id.get(certificate.request_id)) is None
            or good.has_faults
            or (
                certificate.not_before >= good.not_before
                and not (certificate.has_expired and good.has_expired)
            )
        )

    @property
    def has_errors(self) -> bool:
        """Whether any finding about the certificates is an error."""
        return self.findings.has_errors

    @property
    def has_differences(self) -> bool:
        """Whether any certificate differs from the plan. Notices are not counted."""
        return any(finding.severity != "notice" for finding in self.findings)

    @property
    def exit_status(self) -> int:
        """The exit status: 0 without differences, 1 with differences, 2 if a file is unreadable."""
        if any(finding.code in _UNREADABLE for finding in self.findings):
            return 2
        return 1 if self.has_differences else 0

    def why_missing(self, request_id: str) -> str:
        """Describe why a request has no usable certificate.

        Return "" if the CA has not returned a certificate.
        """
        lost = [
            finding.message
            for finding in self.findings
            if finding.about == request_id and finding.code in ("file-exchanged", "file-unreadable")
        ]
        refused = self.explain_refusal(request_id)
        return "; ".join([*lost, *([refused] if refused else [])])

    def _list_items(self) -> Iterator[tuple[IssuedCertificate, PlannedEntry]]:
        records = self.bundle.manifest.by_id
        return (
            (certificate, records[certificate.request_id].plan) for certificate in self.certificates
        )

    def _summarize(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return super()._repr_html_() + (self.findings._repr_html_() if self.findings else "")

    def summary(self) -> str:
        """Return a sentence that summarizes the returned certificates."""
        result = ", ".join(
            format_count(number, severity)
            for severity, number in self.findings.counts().items()
            if number
        )
        refused = sum(certificate.has_errors for certificate in self.certificates)
        waiting = f"{format_count(len(self.waiting), 'request')} waiting"
        if not self.certificates and not self.files:
            return f"no certificates received, {waiting}"
        if self.certificates and not result:
            are_one = len(self.certificates) == 1
            result = f"the {'certificate matches' if are_one else 'certificates match'} the plan"
        return (
            f"{format_count(len(self.certificates), 'certificate')} matched in "
            f"{format_count(len(self.files), 'file')}"
            f"{', ' + format_count(refused, 'certificate') + ' refused' if refused else ''}, "
            f"{waiting}{f'; {result}' if result else ''}"
        )

    def to_text(self) -> str:
        """Return all results for the issued certificates as plain lines for a terminal."""
        statements = (_describe_result(certificate) for certificate in self.certificates)
        lines = [*group_statements("certificate", statements, max_shown=_CERTIFICATES_SHOWN)]
        for refused in self.refused:
            lines.append(
                f"refused and saved in returned/refused/: {refused.request_id} "
                f"({refused.source_file}), serial number {refused.serial_hex}"
            )
        for code, reason in self.accepted.items():
            lines.append(f"accepted: {code}: {reason}")
        lines += [group.to_text() for group in group_findings(self.findings, is_by_subject=False)]
        lines.append(self.summary())
        return "\n".join(lines) + "\n"


def _describe_result(certificate: IssuedCertificate) -> tuple[str, str]:
    """Describe the result for a certificate, with the names of its request and its file."""
    issued = (
        f"issued by {shown(certificate.issuer_name)}, valid from "
        f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    )
    name = certificate.request_id
    if not certificate.source_file.startswith(f"{name}."):
        name += f" ({certificate.source_file})"
    if certificate.has_errors:
        return f"refused and saved in returned/refused/ ({issued})", name
    return issued, name
