"""Compare a certificate with the certificate that it replaces, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...base.pasted_text import visible
from ...pki.certificates import Certificate, format_name


class Succession(NamedTuple):
    """A field that differs between an earlier certificate and its successor."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before or 'none'} -> {self.after or 'none'}"


def succession(before: Certificate, after: Certificate) -> tuple[Succession, ...]:
    """List the differences between a certificate and its successor.

    Parameters
    ----------
    before, after : Certificate
        The earlier certificate and its successor.

    Returns
    -------
    tuple of Succession
        The differences; the validity comes first. Serial number, key hash and common names are
        not included.
    """
    return tuple(
        change for change in _compare_fields(before, after) if change.before != change.after
    )


def _compare_fields(before: Certificate, after: Certificate) -> Iterator[Succession]:
    yield Succession("valid from", f"{before.not_before:%Y-%m-%d}", f"{after.not_before:%Y-%m-%d}")
    yield Succession("valid until", f"{before.not_after:%Y-%m-%d}", f"{after.not_after:%Y-%m-%d}")
    yield Succession("subject", format_name(before.subject), format_name(after.subject))
    old, new = (
        {name.casefold() for name in certificate.dns_names} for certificate in (before, after)
    )
    gone, come = (visible(", ".join(sorted(names))) for names in (old - new, new - old))
    yield Succession("names", gone, come)
    yield Succession("issuer", format_name(before.issuer), format_name(after.issuer))
    yield Succession("key", _format_key(before), _format_key(after))
    yield Succession("signature", _format_signature(before), _format_signature(after))
    yield Succession("usage", _format_usage(before), _format_usage(after))


def _format_key(certificate: Certificate) -> str:
    return f"{certificate.key_algorithm} {certificate.key_bits}"


def _format_signature(certificate: Certificate) -> str:
    return f"{certificate.signature_scheme} {certificate.signature_hash}".strip()


def _format_usage(certificate: Certificate) -> str:
    return ", ".join(sorted(certificate.extended_key_usage or ()))
