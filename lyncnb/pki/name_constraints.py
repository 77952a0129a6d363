"""Check certificates against the name constraints of the CAs above them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import islice

from ..base.pasted_text import show_invisible_characters
from .certificates import Certificate, GeneralName, NameKey, format_name

#: The largest number of forbidden names in a message. A CA certificate can forbid thousands of
#: names, so the message also contains the total number.
_MOST_LISTED = 20


def find_constraint_violations(
    certificates_below: Sequence[Certificate], issuer: Certificate
) -> Iterator[str]:
    """Yield a message for each name that the name constraints of an issuer do not allow.

    Parameters
    ----------
    certificates_below : sequence of Certificate
        The end-entity certificate and the issuers below this issuer, starting with the nearest.
    issuer : Certificate
        The CA certificate with the constraints.

    Notes
    -----
    Source: RFC 5280 sections 4.2.1.10 and 6.1.3 (b), (c): all certificates below are checked,
    except self-issued CA certificates.
    """
    if not issuer.permitted and not issuer.excluded:
        return
    violations = _find_violations(certificates_below, issuer)
    yield from islice(violations, _MOST_LISTED)
    other_count = sum(1 for _ in violations)
    if other_count:
        yield f'"{format_name(issuer.subject)}" does not allow {other_count:,} other names'


def _find_violations(
    certificates_below: Sequence[Certificate], issuer: Certificate
) -> Iterator[str]:
    issuer_name = f'"{format_name(issuer.subject)}"'
    permitted, excluded = (
        _group_by_name_type(issuer.permitted),
        _group_by_name_type(issuer.excluded),
    )
    for position, certificate in enumerate(certificates_below):
        if position and certificate.is_self_issued:
            continue
        for name in certificate.general_names:
            allowed, forbidden = permitted.get(name.kind), excluded.get(name.kind)
            if allowed and not allowed.contains_name(name, is_excluded=False):
                visible_name = show_invisible_characters(_format_name(name))
                yield (
                    f"{issuer_name} does not allow the name {visible_name}, because it allows only "
                    f"{allowed.words}"
                )
            elif forbidden and forbidden.contains_name(name, is_excluded=True):
                excluded_name = show_invisible_characters(_format_name(name))
                yield f"{issuer_name} excludes the name {excluded_name}"


def _format_name(name: GeneralName) -> str:
    if isinstance(name.value, str):
        return name.value[:80]
    return ", ".join(value for rdn in name.value for _, value in sorted(rdn))[:80]


class _Trees:
    """The name constraints for one type of name, arranged for fast searches.

    If each name was compared with each constraint, the time would grow with the square of the file
    size.
    """

    def __init__(self, bases: Sequence[GeneralName]):
        self.words = show_invisible_characters(", ".join(map(_format_name, bases[:5])))
        values = (b.value.casefold() if isinstance(b.value, str) else b.value for b in bases)
        self.bases: frozenset[str | NameKey] = frozenset(values)
        self.lengths = {len(base) for base in self.bases if isinstance(base, tuple)}

    @cached_property
    def host_suffixes(self) -> frozenset[str]:
        """The host names in the name constraints, and the domains above them."""
        return frozenset().union(
            *(_list_dotted_parents(b) for b in self.bases if isinstance(b, str))
        )

    @cached_property
    def networks(self) -> Mapping[tuple[int, int], frozenset[int]]:
        """The IP networks in the name constraints, by IP version and prefix length."""
        addresses: dict[tuple[int, int], set[int]] = {}
        for base in self.bases:
            with suppress(ValueError):
                network = ipaddress.ip_network(str(base), strict=False)
                key = (network.version, network.prefixlen)
                addresses.setdefault(key, set()).add(int(network.network_address))
        return {key: frozenset(values) for key, values in addresses.items()}

    def contains_name(self, name: GeneralName, *, is_excluded: bool) -> bool:
        """Return whether a name is within the constraints.

        ``is_excluded`` states that the constraints exclude names.
        """
        if isinstance(name.value, tuple):
            return any(name.value[:length] in self.bases for length in self.lengths)
        value = name.value.casefold()
        if name.kind == "DNS":
            return self._contains_host(value, is_excluded=is_excluded)
        if name.kind == "IP":
            return self._contains_address(value)
        if name.kind == "email":
            host = value.rpartition("@")[2]
            exact = value in self.bases or host in self.bases
            return exact or bool(_list_dotted_parents(host) & self.bases)
        if name.kind == "URI":
            host = value.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]
            return host in self.bases or bool(_list_dotted_parents(host) & self.bases)
        return (
            True if is_excluded else value in self.bases
        )  # A name that cannot be compared is treated as not allowed.

    def _contains_host(self, host: str, *, is_excluded: bool) -> bool:
        if "" in self.bases or (_list_parents(host) | _list_dotted_parents(host)) & self.bases:
            return True
        if not is_excluded:
            return False
        # "*.contoso.com" also covers an excluded "x.contoso.com". An excluded ".contoso.com" also
        # excludes "contoso.com" itself.
        return f".{host}" in self.bases or (
            host.startswith("*.") and host[1:] in self.host_suffixes
        )

    def _contains_address(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        size = address.max_prefixlen
        return any(
            version == address.version
            and (int(address) >> size - length << size - length) in values
            for (version, length), values in self.networks.items()
        )


@lru_cache(maxsize=64)
def _group_by_name_type(bases: tuple[GeneralName, ...]) -> Mapping[str, _Trees]:
    """Group name constraints by the type of name.

    The result is cached, because many issuers have the same constraints.
    """
    kinds: dict[str, list[GeneralName]] = {}
    for base in bases:
        kinds.setdefault(base.kind, []).append(base)
    return {kind: _Trees(general_names) for kind, general_names in kinds.items()}


def _list_parents(host: str) -> set[str]:
    labels = host.split(".")[:128]
    return {".".join(labels[start:]) for start in range(len(labels))}


def _list_dotted_parents(host: str) -> set[str]:
    return {f".{parent}" for parent in _list_parents(host) - {host}}
