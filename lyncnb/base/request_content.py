"""Represent the content of a certificate request as plain values, and compare two requests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..errors import PlanError
from .certificate_fields import COMMON_NAME_CHARACTERS, KeyParameters

#: The hash algorithms with which a request can be signed.
HASHES = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContent:
    """The content of a certificate request, from a plan or from a CSR file.

    Two requests with equal content can differ only in their keys.

    Parameters
    ----------
    subject : tuple of (short name, value)
        The subject in the order of RFC 4514: CN, OU, O, L, ST, C.
    names : tuple of str
        The subject alternative names in order. Except for a dNSName, a value starts with the type,
        such as ``IP:10.0.0.1``.
    extended_key_usage, key_usage : tuple of str
        The usages with their names in RFC 5280 sections 4.2.1.12 and 4.2.1.3.
    key_algorithm, key_bits : str, int
        ``RSA`` or ``ECDSA``, and the key size in bits.
    hash : str
        The hash algorithm of the signature, such as ``sha256``.
    other : tuple of str
        The OIDs of extensions and attributes that no plan requests.
    modulus : int
        The modulus of an RSA key; 0 in a plan and for other keys.
    """

    subject: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    key_usage: tuple[str, ...]
    key_algorithm: str
    key_bits: int
    hash: str
    other: tuple[str, ...] = ()
    modulus: int = field(default=0, compare=False, repr=False)

    @property
    def key(self) -> KeyParameters:
        """The algorithm and size of the key, as arguments for :func:`keys.generate_key`."""
        return KeyParameters(algorithm=self.key_algorithm, bits=self.key_bits)


def check_content(content: RequestContent) -> None:
    """Check that lyncnb can create a request with the given content.

    Raises
    ------
    PlanError
        If the hash is unknown, or the common name is missing or too long.
    """
    if content.hash not in HASHES:
        raise PlanError(
            f"a request cannot be signed with {content.hash}",
            hint=f"use one of these values: {', '.join(HASHES)}",
        )
    name = dict(content.subject).get("CN", "")
    if not name:
        raise PlanError("the request has no common name", hint="to see the cause, run check_plan")
    if len(name) > COMMON_NAME_CHARACTERS:
        raise PlanError(
            (
                f"lyncnb cannot create a request for {name!r}: the common name has "
                f"{len(name)} characters; the limit is {COMMON_NAME_CHARACTERS}"
            ),
            hint="to see the cause, run check_plan",
        )


def list_content_differences(
    old_content: RequestContent, new_content: RequestContent
) -> tuple[str, ...]:
    """Return the differences between two requests, field by field.

    Returns
    -------
    tuple of str
        Such as ``("san: + lyncdiscover.fabrikam.com", "hash: sha1 -> sha256")``; empty if the
        requests are equal.
    """
    differences = [
        *_compare_subjects(old_content.subject, new_content.subject),
        *_compare_lists("san", old_content.names, new_content.names),
        *_compare_lists("eku", old_content.extended_key_usage, new_content.extended_key_usage),
        *_compare_lists("key usage", old_content.key_usage, new_content.key_usage),
        *_compare_values("key", _describe_key(old_content), _describe_key(new_content)),
        *_compare_values("hash", old_content.hash, new_content.hash),
        *_compare_lists("extension", old_content.other, new_content.other),
    ]
    return tuple(differences)


def _describe_key(content: RequestContent) -> str:
    return f"{content.key_algorithm} {content.key_bits}"


def _compare_values(label: str, old_value: str, new_value: str) -> list[str]:
    return [f"{label}: {old_value} -> {new_value}"] if old_value != new_value else []


def _compare_subjects(
    old_subject: tuple[tuple[str, str], ...], new_subject: tuple[tuple[str, str], ...]
) -> list[str]:
    if old_subject == new_subject:
        return []
    before, after = dict(old_subject), dict(new_subject)
    differences = []
    for short in dict.fromkeys([*before, *after]):
        if short not in after:
            differences.append(f"subject {short}: - {before[short]}")
        elif short not in before:
            differences.append(f"subject {short}: + {after[short]}")
        else:
            differences += _compare_values(f"subject {short}", before[short], after[short])
    # If there is no other difference, the order of the fields differs, or a value appears twice.
    return differences or [
        f"subject order: {_join_short_names(old_subject)} -> {_join_short_names(new_subject)}"
    ]


def _join_short_names(subject: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(short for short, _ in subject)


def _compare_lists(
    label: str, old_values: tuple[str, ...], new_values: tuple[str, ...]
) -> list[str]:
    """Describe which values of a list were added, removed, or moved to another position."""
    if old_values == new_values:
        return []
    more, less = (
        Counter(new_values) - Counter(old_values),
        Counter(old_values) - Counter(new_values),
    )
    marks = [f"+ {value}" for value in more.elements()]
    marks += [f"- {value}" for value in less.elements()]
    differences = [f"{label}: {', '.join(marks)}"] if marks else []
    kept_old = [value for value in old_values if value in new_values]
    kept_new = [value for value in new_values if value in old_values]
    moved = [pair for pair in zip(kept_old, kept_new, strict=False) if pair[0] != pair[1]]
    if moved and len(kept_old) == len(kept_new):
        differences.append(f"{label} order: {moved[0][1]} before {moved[0][0]}")
    return differences
