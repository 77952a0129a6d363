"""What a certification request asks for, as plain values, and how two of them differ. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base.certificate_fields import KeyParameters

if TYPE_CHECKING:
    from .plan import PlannedCertificate

# RSA: digitalSignature for ECDHE_RSA, keyEncipherment for the RSA key exchange (RFC 5246 section
# 7.4.2 asks for each where the extension is there). An ECDSA key only signs: RFC 8813 section 3
# forbids keyEncipherment for it.
_KEY_USAGE = {"RSA": ("digitalSignature", "keyEncipherment"), "ECDSA": ("digitalSignature",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContent:
    """What a request asks for, as plain text and numbers; the same from a plan and from a CSR.

    Two requests with equal content differ at most in their keys.

    Parameters
    ----------
    subject : tuple of (short name, value)
        In the order of RFC 4514: CN, OU, O, L, ST, C.
    names : tuple of str
        subjectAltName in order; what is no dNSName has its kind in front, e.g. ``IP:10.0.0.1``.
    extended_key_usage, key_usage : tuple of str
        As RFC 5280 sections 4.2.1.12 and 4.2.1.3 spell them.
    key_algorithm, key_bits : str, int
        ``RSA`` or ``ECDSA``, and bits.
    hash : str
        Of the signature, e.g. ``sha256``.
    other : tuple of str
        Dotted numbers of extensions and attributes that no plan asks for.
    """

    subject: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    key_usage: tuple[str, ...]
    key_algorithm: str
    key_bits: int
    hash: str
    other: tuple[str, ...] = ()

    @property
    def key(self) -> KeyParameters:
        """Algorithm and size as :func:`keys.generate_key` takes them."""
        return KeyParameters(algorithm=self.key_algorithm, bits=self.key_bits)


def content_of(certificate: PlannedCertificate) -> RequestContent:
    """Tell what the request for a planned certificate must hold."""
    return RequestContent(
        subject=certificate.subject.fields(),
        names=tuple(str(entry.name) for entry in certificate.subject_alt_name),
        extended_key_usage=tuple(certificate.extended_key_usage),
        key_usage=_KEY_USAGE[certificate.key.algorithm],
        key_algorithm=certificate.key.algorithm,
        key_bits=certificate.key.bits,
        hash=certificate.hash,
    )


def content_differences(old: RequestContent, new: RequestContent) -> tuple[str, ...]:
    """Say field by field how `new` differs from `old`; empty if they ask for the same.

    Returns
    -------
    tuple of str
        E.g. ``("san: + lyncdiscover.fabrikam.com", "hash: sha1 -> sha256")``.
    """
    found = [
        *_changed_subject(old.subject, new.subject),
        *_changed_list("san", old.names, new.names),
        *_changed_list("eku", old.extended_key_usage, new.extended_key_usage),
        *_changed_list("key usage", old.key_usage, new.key_usage),
        *_changed("key", _key(old), _key(new)),
        *_changed("hash", old.hash, new.hash),
        *_changed_list("extension", old.other, new.other),
    ]
    return tuple(found)


def _key(content: RequestContent) -> str:
    return f"{content.key_algorithm} {content.key_bits}"


def _changed(what: str, old: str, new: str) -> list[str]:
    return [f"{what}: {old} -> {new}"] if old != new else []


def _changed_subject(
    old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]
) -> list[str]:
    if old == new:
        return []
    before, after = dict(old), dict(new)
    found = []
    for short in dict.fromkeys([*before, *after]):
        if short not in after:
            found.append(f"subject {short}: - {before[short]}")
        elif short not in before:
            found.append(f"subject {short}: + {after[short]}")
        else:
            found += _changed(f"subject {short}", before[short], after[short])
    # Equal as tables: the order differs, or a field stands there twice.
    return found or [f"subject order: {_shorts(old)} -> {_shorts(new)}"]


def _shorts(subject: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(short for short, _ in subject)


def _changed_list(what: str, old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    """List added and removed values, and where the order changes among those that stay."""
    if old == new:
        return []
    more, less = Counter(new) - Counter(old), Counter(old) - Counter(new)
    marks = [f"+ {value}" for value in more.elements()]
    marks += [f"- {value}" for value in less.elements()]
    found = [f"{what}: {', '.join(marks)}"] if marks else []
    kept_old = [value for value in old if value in new]
    kept_new = [value for value in new if value in old]
    moved = [pair for pair in zip(kept_old, kept_new, strict=False) if pair[0] != pair[1]]
    if moved and len(kept_old) == len(kept_new):
        found.append(f"{what} order: {moved[0][1]} before {moved[0][0]}")
    return found
