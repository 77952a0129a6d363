"""Compare a certificate with the certificate that it replaces, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...base.pasted_text import show_invisible_characters
from ...pki.certificates import Certificate, format_name


class Succession(NamedTuple):
    """A field that has different values in an earlier certificate and in its successor."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before or 'none'} -> {self.after or 'none'}"


def list_changed_fields(predecessor: Certificate, successor: Certificate) -> tuple[Succession, ...]:
    """Return the fields in which a certificate differs from its successor.

    Parameters
    ----------
    predecessor, successor : Certificate
        The earlier certificate and its successor.

    Returns
    -------
    tuple of Succession
        The differences; the validity comes first. Serial number, key hash and common names are
        not included.
    """
    return tuple(
        change
        for change in _compare_fields(predecessor, successor)
        if change.before != change.after
    )


def _compare_fields(predecessor: Certificate, successor: Certificate) -> Iterator[Succession]:
    yield Succession(
        "valid from", f"{predecessor.not_before:%Y-%m-%d}", f"{successor.not_before:%Y-%m-%d}"
    )
    yield Succession(
        "valid until", f"{predecessor.not_after:%Y-%m-%d}", f"{successor.not_after:%Y-%m-%d}"
    )
    yield Succession("subject", format_name(predecessor.subject), format_name(successor.subject))
    old, new = (
        {name.casefold() for name in certificate.dns_names}
        for certificate in (predecessor, successor)
    )
    removed, added = (
        show_invisible_characters(", ".join(sorted(names))) for names in (old - new, new - old)
    )
    yield Succession("names", removed, added)
    yield Succession("issuer", format_name(predecessor.issuer), format_name(successor.issuer))
    yield Succession("key", _format_key(predecessor), _format_key(successor))
    yield Succession("signature", _format_signature(predecessor), _format_signature(successor))
    yield Succession("usage", _format_usage(predecessor), _format_usage(successor))


def _format_key(certificate: Certificate) -> str:
    return f"{certificate.key_algorithm} {certificate.key_bits}"


def _format_signature(certificate: Certificate) -> str:
    return f"{certificate.signature_scheme} {certificate.signature_hash}".strip()


def _format_usage(certificate: Certificate) -> str:
    return ", ".join(sorted(certificate.extended_key_usage or ()))
