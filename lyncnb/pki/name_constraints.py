"""The names that a CA may certify: its name constraints, held against the certificates below it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import islice

from ..base.pasted_text import visible
from .certificates import Certificate, GeneralName, NameKey, name_text

#: A CA certificate that forbids thousands of names is told by some of them and the number.
_TOLD = 20


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
    violations = _violations(below, issuer)
    yield from islice(violations, _TOLD)
    left = sum(1 for _ in violations)
    if left:
        yield f'"{name_text(issuer.subject)}" does not allow {left:,} more names'


def _violations(below: Sequence[Certificate], issuer: Certificate) -> Iterator[str]:
    who = f'"{name_text(issuer.subject)}"'
    permitted, excluded = _trees(issuer.permitted), _trees(issuer.excluded)
    for place, certificate in enumerate(below):
        if place and certificate.is_self_issued:
            continue
        for name in certificate.general_names:
            allowed, forbidden = permitted.get(name.kind), excluded.get(name.kind)
            if allowed and not allowed.has(name, liberal=False):
                shown = visible(_shown(name))
                yield f"{who} may not name {shown}; it is limited to {allowed.words}"
            elif forbidden and forbidden.has(name, liberal=True):
                yield f"{who} excludes {visible(_shown(name))}"


def _shown(name: GeneralName) -> str:
    if isinstance(name.value, str):
        return name.value[:80]
    return ", ".join(value for rdn in name.value for _, value in sorted(rdn))[:80]


class _Trees:
    """The trees of one kind that constraints name, so that a name is looked up by its parents.

    Many names under many constraints, each against each, would take the square of a file's size.
    """

    def __init__(self, bases: Sequence[GeneralName]):
        self.words = visible(", ".join(map(_shown, bases[:5])))
        values = (b.value.casefold() if isinstance(b.value, str) else b.value for b in bases)
        self.bases: frozenset[str | NameKey] = frozenset(values)
        self.lengths = {len(base) for base in self.bases if isinstance(base, tuple)}

    @cached_property
    def above(self) -> frozenset[str]:
        """What names of hosts in the trees end in."""
        return frozenset().union(*(_dotted_parents(b) for b in self.bases if isinstance(b, str)))

    @cached_property
    def networks(self) -> Mapping[tuple[int, int], frozenset[int]]:
        """The networks by version and length of prefix."""
        found: dict[tuple[int, int], set[int]] = {}
        for base in self.bases:
            with suppress(ValueError):
                network = ipaddress.ip_network(str(base), strict=False)
                place = found.setdefault((network.version, network.prefixlen), set())
                place.add(int(network.network_address))
        return {key: frozenset(addresses) for key, addresses in found.items()}

    def has(self, name: GeneralName, *, liberal: bool) -> bool:
        """Whether a name is within one of the trees; ``liberal`` where they are prohibitions."""
        if isinstance(name.value, tuple):
            return any(name.value[:length] in self.bases for length in self.lengths)
        value = name.value.casefold()
        if name.kind == "DNS":
            return self._has_host(value, liberal=liberal)
        if name.kind == "IP":
            return self._has_address(value)
        if name.kind == "email":
            host = value.rpartition("@")[2]
            exact = value in self.bases or host in self.bases
            return exact or bool(_dotted_parents(host) & self.bases)
        if name.kind == "URI":
            host = value.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]
            return host in self.bases or bool(_dotted_parents(host) & self.bases)
        return True if liberal else value in self.bases  # of what cannot be compared the worst

    def _has_host(self, host: str, *, liberal: bool) -> bool:
        if "" in self.bases or (_parents(host) | _dotted_parents(host)) & self.bases:
            return True
        if not liberal:
            return False
        # "*.contoso.com" can be used as an excluded "x.contoso.com"; ".contoso.com" bars itself
        # too.
        return f".{host}" in self.bases or (host.startswith("*.") and host[1:] in self.above)

    def _has_address(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        size = address.max_prefixlen
        return any(
            version == address.version and (int(address) >> size - length << size - length) in here
            for (version, length), here in self.networks.items()
        )


@lru_cache(maxsize=64)
def _trees(bases: tuple[GeneralName, ...]) -> Mapping[str, _Trees]:
    """Sort constraints by kind; a thousand certificates have the same issuer."""
    kinds: dict[str, list[GeneralName]] = {}
    for base in bases:
        kinds.setdefault(base.kind, []).append(base)
    return {kind: _Trees(own) for kind, own in kinds.items()}


def _parents(host: str) -> set[str]:
    labels = host.split(".")[:128]
    return {".".join(labels[place:]) for place in range(len(labels))}


def _dotted_parents(host: str) -> set[str]:
    return {f".{parent}" for parent in _parents(host) - {host}}
