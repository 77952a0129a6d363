"""The fields of a certification request as checked values.

Text is checked once, when it becomes a value. ``dns_name.py`` reads names; this module has the
other fields of a request: subject, key, extended key usage.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .dns_name import DnsName
from .pasted_text import shown

# Names from RFC 5280 section 4.2.1.12, with their dotted numbers.
EXTENDED_KEY_USAGES = {
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
}

#: The heading of a certificate's names, in every table.
NAMES_HEADING = "Subject alternative names"

#: Object identifiers of the fields of a subject (X.520), by short name (RFC 4514 section 3).
SUBJECT_OIDS = {
    "CN": "2.5.4.3",
    "OU": "2.5.4.11",
    "O": "2.5.4.10",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "C": "2.5.4.6",
}

_KEY_BITS = {"RSA": (2048, 3072, 4096), "ECDSA": (256, 384, 521)}
#: Every key that a plan can have, as text.
KEYS = tuple(f"{algorithm} {bits}" for algorithm, sizes in _KEY_BITS.items() for bits in sizes)

# Short name (RFC 4514 section 3), upper bound (RFC 5280 appendix A.1), by field.
#: X.520 ub-common-name, RFC 5280 appendix A.1.
COMMON_NAME_CHARACTERS = 64

_SUBJECT = {
    "common_name": ("CN", COMMON_NAME_CHARACTERS),
    "organizational_unit": ("OU", 64),
    "organization": ("O", 64),
    "locality": ("L", 128),
    "state": ("ST", 128),
    "country": ("C", 2),
}


class SanEntry(NamedTuple):
    """One dNSName of a subjectAltName and why it is there.

    ``reasons`` holds the ids of name rules (``Rules.names``), in the order of the rules.
    """

    name: DnsName
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParameters:
    """Algorithm and size of a key pair (SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7).

    ``algorithm`` is ``RSA`` or ``ECDSA``; ``bits`` 2048, 3072, 4096 for RSA and 256, 384, 521
    for ECDSA (curves P-256, P-384, P-521).
    """

    algorithm: str = "RSA"
    bits: int = 2048

    def __post_init__(self) -> None:
        sizes = _KEY_BITS.get(self.algorithm) if isinstance(self.algorithm, str) else None
        if sizes is None:
            raise ValueError(f"{self.algorithm!r} is not a key algorithm; use RSA or ECDSA")
        if type(self.bits) is not int or self.bits not in sizes:  # 2048.0 is equal, but no size
            listed = ", ".join(map(str, sizes))
            raise ValueError(f"{self.bits!r} bits for {self.algorithm}; take {listed}")

    def __str__(self) -> str:
        return f"{self.algorithm} {self.bits}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinguishedName:
    """A subject name (RFC 5280 section 4.1.2.6) without its empty fields.

    The common name may be longer than a request allows (64 characters), so that a plan can report
    it, see :attr:`too_long`. This class checks every other field, because cryptography checks none
    of them.

    Raises
    ------
    ValueError
        If a field contains a control character, is too long, or the country is not two letters.
    """

    common_name: str
    organization: str = ""
    organizational_unit: str = ""
    locality: str = ""
    state: str = ""
    country: str = ""

    def __post_init__(self) -> None:
        _reject_control("CN", self.common_name)
        _check_more(
            self.organizational_unit, self.organization, self.locality, self.state, self.country
        )

    def of_host(self, name: str) -> DistinguishedName:
        """Return the same subject for another host; "" for a host without a name."""
        return DistinguishedName(
            common_name=name,
            organization=self.organization,
            organizational_unit=self.organizational_unit,
            locality=self.locality,
            state=self.state,
            country=self.country,
        )

    @property
    def too_long(self) -> bool:
        """Whether the common name is longer than ub-common-name, 64 (RFC 5280 appendix A.1)."""
        return len(self.common_name) > _SUBJECT["common_name"][1]

    def fields(self) -> tuple[tuple[str, str], ...]:
        """Return short name and value of every field that is not empty: CN, OU, O, L, ST, C."""
        pairs = (
            ("CN", self.common_name),
            ("OU", self.organizational_unit),
            ("O", self.organization),
            ("L", self.locality),
            ("ST", self.state),
            ("C", self.country),
        )
        return tuple([pair for pair in pairs if pair[1]])

    def to_rfc4514(self) -> str:
        """Return it in the format of RFC 4514, such as ``CN=pool.contoso.com,O=Contoso,C=US``."""
        return ",".join(f"{short}={_escaped(value)}" for short, value in self.fields())

    def __str__(self) -> str:
        return self.to_rfc4514()


# Thousands of certificates differ only in their common name.
@lru_cache(maxsize=64)
def _check_more(*values: str) -> None:
    """Check the fields after the common name."""
    for value, (short, limit) in zip(values, list(_SUBJECT.values())[1:], strict=True):
        if not value:
            continue
        _reject_control(short, value)
        if len(value) > limit and short != "C":
            raise ValueError(f"{short}={shown(value)} has {len(value)} characters, not {limit}")
    code = values[-1]
    if code and not (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()):
        raise ValueError(
            f"C={shown(code)} is not a country code; write two uppercase letters, e.g. TW"
        )


def _reject_control(short: str, value: str) -> None:
    if not value.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise ValueError(f"{short}={shown(value)} holds a control character")


def _escaped(value: str) -> str:
    """Escape a value as RFC 4514 section 2.4 requires."""
    text = "".join(f"\\{c}" if c in ',+"\\<>;=' else c for c in value)
    if text[:1] in ("#", " "):
        text = f"\\{text}"
    if len(text) > 1 and text.endswith(" ") and not text.endswith("\\ "):
        text = f"{text[:-1]}\\ "
    return text
