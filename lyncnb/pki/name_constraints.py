"""The names that a CA may certify: its name constraints, held against the certificates below it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence, Set

from ..base.pasted_text import visible
from .certificates import Certificate, GeneralName, NameKey, name_text


def constraint_violations(below: Sequence[Certificate], issuer: Certificate) -> Iterator[str]:
    """Yield what an issuer's name constraints do not allow below it, in words.

    Parameters
    ----------
    below : sequence of Certificate
        The end-entity certificate and the issuers up to this one, nearest first.
    issuer : Certificate
        The CA certificate with the constraints.

    Notes
    -----
    Source: RFC 5280 sections 4.2.1.10 and 6.1.3 (b), (c): every certificate below counts, but for
    self-issued ones that are no end-entity certificate.
    """
    if not issuer.permitted and not issuer.excluded:
        return
    who = f'"{name_text(issuer.subject)}"'
    permitted, excluded = _by_kind(issuer.permitted), _by_kind(issuer.excluded)
    for place, certificate in enumerate(below):
        if place and certificate.is_self_issued:
            continue
        for name in certificate.general_names:
            allowed = permitted.get(name.kind)
            if allowed and not _is_below(name, allowed, liberal=False):
                some = [base for base in issuer.permitted if base.kind == name.kind][:5]
                limits = visible(", ".join(map(_shown, some)))
                yield f"{who} may not name {visible(_shown(name))}; it is limited to {limits}"
            elif _is_below(name, excluded.get(name.kind, frozenset()), liberal=True):
                yield f"{who} excludes {visible(_shown(name))}"


def _shown(name: GeneralName) -> str:
    if isinstance(name.value, str):
        return name.value[:80]
    return ", ".join(value for rdn in name.value for _, value in sorted(rdn))[:80]


def _by_kind(bases: Sequence[GeneralName]) -> dict[str, set[str | NameKey]]:
    found: dict[str, set[str | NameKey]] = {}
    for base in bases:
        value = base.value.casefold() if isinstance(base.value, str) else base.value
        found.setdefault(base.kind, set()).add(value)
    return found


def _is_below(name: GeneralName, bases: Set[str | NameKey], *, liberal: bool) -> bool:
    """Whether a name is within one of the trees; ``liberal`` where the tree is a prohibition.

    Names are looked up by their parents: many names under many constraints, each against each,
    would take the square of what a file has.
    """
    if isinstance(name.value, tuple):
        prefixes = {name.value[:length] for length in range(len(name.value) + 1)}
        return bool(prefixes & bases)
    if not bases:
        return False
    value = name.value.casefold()
    if name.kind == "DNS":
        return _is_host_below(value, bases, liberal=liberal)
    if name.kind == "IP":
        return any(isinstance(base, str) and _contains(base, value) for base in bases)
    if name.kind == "email":
        host = value.rpartition("@")[2]
        return value in bases or host in bases or bool(_dotted_parents(host) & bases)
    if name.kind == "URI":
        host = value.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]
        return host in bases or bool(_dotted_parents(host) & bases)
    return True if liberal else value in bases  # of what cannot be compared the worst is said


def _parents(host: str) -> set[str]:
    labels = host.split(".")[:128]
    return {".".join(labels[place:]) for place in range(len(labels))}


def _dotted_parents(host: str) -> set[str]:
    return {f".{parent}" for parent in _parents(host) - {host}}


def _is_host_below(host: str, bases: Set[str | NameKey], *, liberal: bool) -> bool:
    if "" in bases or _parents(host) & bases or _dotted_parents(host) & bases:
        return True
    if not liberal:
        return False
    # "*.contoso.com" can be used as an excluded "x.contoso.com"; ".contoso.com" bars itself too.
    return f".{host}" in bases or (
        host.startswith("*.")
        and any(isinstance(base, str) and base.endswith(host[1:]) for base in bases)
    )


def _contains(network: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
