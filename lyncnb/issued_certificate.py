"""``IssuedCertificate``: one returned certificate with the request it answers and its chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from .pki.certificates import Certificate, name_text
from .rules.findings import Finding


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
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
