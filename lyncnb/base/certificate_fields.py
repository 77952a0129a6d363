"""Define the validated fields of a certificate request: subject, key, and extended key usage.

Each class validates its text when an object is created. The module ``dns_name`` validates names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .dns_name import DnsName
from .pasted_text import shown

# The names of the extended key usages in RFC 5280 section 4.2.1.12, with their object identifiers.
EXTENDED_KEY_USAGES = {
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
}

#: The heading of the column with the names in a certificate. It is the same in every table.
NAMES_HEADING = "Subject alternative names"

#: The object identifiers of subject fields (X.520), by short name (RFC 4514 section 3).
SUBJECT_OIDS = {
    "CN": "2.5.4.3",
    "OU": "2.5.4.11",
    "O": "2.5.4.10",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "C": "2.5.4.6",
}

#: The pattern for a valid computer name, with or without a domain.
COMPUTER_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?")

_KEY_BITS = {"RSA": (2048, 3072, 4096), "ECDSA": (256, 384, 521)}
#: All key types that a plan can contain, as text.
KEYS = tuple(f"{algorithm} {bits}" for algorithm, sizes in _KEY_BITS.items() for bits in sizes)

# The short name (RFC 4514 section 3) and the maximum length (RFC 5280 appendix A.1) of each subject
# field.
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
    """A DNS name in the subject alternative name extension, with the reasons for the name.

    ``reasons`` contains the ids of name rules (``Rules.names``), in the order of the rules.
    """

    name: DnsName
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParameters:
    """The algorithm and size of a key pair (SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7).

    ``algorithm`` is ``RSA`` or ``ECDSA``. ``bits`` is 2048, 3072, or 4096 for RSA, and 256, 384, or
    521 for ECDSA (curves P-256, P-384, and P-521).
    """

    algorithm: str = "RSA"
    bits: int = 2048

    def __post_init__(self) -> None:
        sizes = _KEY_BITS.get(self.algorithm) if isinstance(self.algorithm, str) else None
        if sizes is None:
            raise ValueError(f"{self.algorithm!r} is not a valid key algorithm; use RSA or ECDSA")
        if type(self.bits) is not int or self.bits not in sizes:
            # In Python, the float 2048.0 equals the integer 2048, but it is not a valid key size.
            valid_sizes = ", ".join(map(str, sizes))
            raise ValueError(
                f"{self.bits!r} is not a valid {self.algorithm} key size; use one of these sizes: "
                f"{valid_sizes}"
            )

    def __str__(self) -> str:
        return f"{self.algorithm} {self.bits}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinguishedName:
    """A subject name (RFC 5280 section 4.1.2.6) without blank fields.

    The common name can be longer than the 64 characters that a request allows, so that a plan can
    report this error (see :attr:`too_long`). This class validates all other fields, because the
    cryptography library does not.

    Raises
    ------
    ValueError
        If a field contains a control character or is too long, or the country is not two letters.
    """

    common_name: str
    organization: str = ""
    organizational_unit: str = ""
    locality: str = ""
    state: str = ""
    country: str = ""

    def __post_init__(self) -> None:
        _reject_control_characters("CN", self.common_name)
        _validate_fields_except_common_name(
            self.organizational_unit, self.organization, self.locality, self.state, self.country
        )

    def with_common_name(self, name: str) -> DistinguishedName:
        """Return the subject name with another common name. A blank `name` removes it."""
        return DistinguishedName(
            common_name=name,
            organization=self.organization,
            organizational_unit=self.organizational_unit,
            locality=self.locality,
            state=self.state,
            country=self.country,
        )

    @property
    def is_too_long(self) -> bool:
        """Whether the common name has more than 64 characters (RFC 5280 appendix A.1)."""
        return len(self.common_name) > _SUBJECT["common_name"][1]

    def fields(self) -> tuple[tuple[str, str], ...]:
        """Return the short names and values of the subject's fields that are not blank."""
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
        """Return the subject as RFC 4514 text, such as ``CN=pool.contoso.com,O=Contoso,C=US``."""
        return format_rfc4514(self.fields())

    def __str__(self) -> str:
        return self.to_rfc4514()


# Thousands of certificates differ only in the common name, so the other subject fields are
# validated once and cached.
@lru_cache(maxsize=64)
def _validate_fields_except_common_name(*values: str) -> None:
    """Validate all subject fields except the common name."""
    for value, (short, limit) in zip(values, list(_SUBJECT.values())[1:], strict=True):
        if not value:
            continue
        _reject_control_characters(short, value)
        if len(value) > limit and short != "C":
            raise ValueError(
                f"{short}={shown(value)} has {len(value)} characters; the limit is {limit}"
            )
    code = values[-1]
    if code and not (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()):
        raise ValueError(
            f"C={shown(code)} is not a country code; enter two uppercase letters, for example TW"
        )


def _reject_control_characters(short_name: str, value: str) -> None:
    if not value.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise ValueError(f"{short_name}={shown(value)} contains a control character")


def format_rfc4514(fields: Iterable[tuple[str, str]]) -> str:
    """Return the fields of a subject as RFC 4514 text."""
    return ",".join(f"{short}={_escape_rfc4514(value)}" for short, value in fields)


def _escape_rfc4514(value: str) -> str:
    """Escape special characters in the value of a subject field (RFC 4514 section 2.4)."""
    text = "".join(f"\\{c}" if c in ',+"\\<>;=' else c for c in value)
    if text[:1] in ("#", " "):
        text = f"\\{text}"
    if len(text) > 1 and text.endswith(" ") and not text.endswith("\\ "):
        text = f"{text[:-1]}\\ "
    return text
