"""The names of one certificate of a pool: each once, with its reasons, wildcards last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .base.certificate_fields import SanEntry
from .base.collector import new_tuple
from .base.dns_name import DnsName
from .base.pasted_text import BadName
from .errors import PlanError
from .rules.model import CertificateRule, NameRule
from .topology.model import Pool

Values = tuple[DnsName, ...]

Finder = Callable[[Pool, DnsName], Values]


def _column(name: str, *, blank: str = "") -> Finder:
    """Find the name in a column of the pool; where it is blank another column's, or none."""

    def find(pool: Pool, server: DnsName) -> Values:
        value = getattr(pool, name) or (getattr(pool, blank) if blank else None)
        return (value,) if value else ()

    return find


#: What placeholders become that a pool, and perhaps one of its servers, gives the value of.
OF_POOL: Mapping[str, Finder] = {
    "computer.fqdn": lambda pool, server: (server,),
    "pool.fqdn": lambda pool, server: (pool.fqdn,),
    "pool.computers": lambda pool, server: tuple(c.fqdn for c in pool.computers),
    "pool.web_internal_fqdn": _column("web_internal_fqdn", blank="fqdn"),
    "pool.web_external_fqdn": _column("web_external_fqdn"),
    "pool.access_edge_fqdn": _column("access_edge_fqdn"),
    "pool.webconf_edge_fqdn": _column("webconf_edge_fqdn"),
    "pool.av_edge_fqdn": _column("av_edge_fqdn"),
    "pool.edge_internal_fqdn": _column("edge_internal_fqdn", blank="fqdn"),
    "pool.owas_external_fqdn": _column("owas_external_fqdn"),
    "pool.sip_dns_aliases": lambda pool, server: pool.sip_dns_aliases,
    "pool.xmpp_domains": lambda pool, server: pool.xmpp_domains,
    "pool.extra_san": lambda pool, server: pool.extra_san,
}


class Part(NamedTuple):
    """Names in a recipe: of one rule if a pool has to give them, else of all rules in a row."""

    find: Finder | None
    why: tuple[str, ...]  # id of the rule of what ``find`` gives
    fixed: Mapping[DnsName, SanEntry]  # the same for every pool of the role, flags and site


@dataclass(frozen=True, slots=True)
class Recipe:
    """One certificate rule, worked out for a role, its flags and its site."""

    rule: CertificateRule
    subject: Part | None  # None: its flags are not set
    parts: tuple[Part, ...]
    # Of a PlannedCertificate, what stands before its pool, and what of the rest is the same.
    before: tuple
    after: tuple
    may_be_wildcard: frozenset[str]  # ids of the rules whose names a wildcard may replace
    issuer: str  # where no cell of the table asks
    ca: str  # of that issuer

    def common_name(self, pool: Pool, server: DnsName) -> DnsName | str:
        """Give the subject's name, "" where the topology lacks it."""
        part = self.subject
        if part is None:
            return ""
        return next(iter(part.find(pool, server) if part.find else part.fixed), "")

    def names(self, pool: Pool, server: DnsName) -> dict[DnsName, SanEntry]:
        """List the names for one server of a pool, each once, before wildcards."""
        found: dict[DnsName, SanEntry] = {}
        for find, why, fixed in self.parts:
            if find is not None:
                for name in find(pool, server):
                    known = found.get(name)
                    reasons = why if known is None else _all_reasons(known.reasons, why)
                    found[name] = new_tuple(SanEntry, (name, reasons))
            elif found.keys().isdisjoint(fixed):
                found |= fixed  # nearly always; every pool then shares the same entries
            else:
                for entry in fixed.values():
                    merge(found, entry)
        return found

    def entries(
        self, names: Mapping[DnsName, SanEntry], pool: Pool, server: DnsName
    ) -> tuple[SanEntry, ...]:
        """Put wildcards for names, where the rules allow it and the options ask for it.

        A wildcard of its parent stands for each name of which all rules allow it. The pool's own
        names stay, whatever rules they come from. Wildcards go last, because some older clients
        give up at a wildcard that precedes their name.
        """
        if not self.may_be_wildcard and "*" not in "".join(names):
            return tuple(names.values())
        own = {server, pool.fqdn, pool.web_internal_fqdn, pool.web_external_fqdn}
        kept: list[SanEntry] = []
        stars: dict[DnsName, SanEntry] = {}
        for entry in names.values():
            if entry.name.is_wildcard:  # the table asked for it
                merge(stars, entry)
                continue
            star = _star(entry.name)
            if star and entry.name not in own and self.may_be_wildcard.issuperset(entry.reasons):
                merge(stars, SanEntry(star, entry.reasons))
            else:
                kept.append(entry)
        return (*kept, *stars.values())


def merge(found: dict[DnsName, SanEntry], entry: SanEntry) -> None:
    """Add an entry, or its reasons to the entry of the same name."""
    known = found.get(entry.name)
    if known is not None:
        entry = SanEntry(entry.name, _all_reasons(known.reasons, entry.reasons))
    found[entry.name] = entry


@lru_cache(maxsize=256)  # thousands of pools have the same few
def _all_reasons(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(known + more))


@lru_cache(maxsize=4096)
def _star(name: DnsName) -> DnsName | None:
    # A wildcard below a public suffix (*.com) would stand for half the Internet.
    parent = name.parent
    return None if parent.is_public_suffix else DnsName(f"*.{parent}")


def of_pool(rule: NameRule) -> Finder:
    """Tell how to find the names of a rule whose placeholder a pool fills."""
    before, placeholder, after = rule.parts
    find = OF_POOL[placeholder]
    if not before and not after:
        return find
    return lambda pool, server: spell(rule, find(pool, server))


def spell(rule: NameRule, values: Iterable[DnsName]) -> Values:
    """Put values into the rule's template."""
    before, _, after = rule.parts
    names = [f"{before}{value}{after}" for value in values]
    try:
        return tuple(DnsName.parse(name, allow_wildcard=True) for name in names)
    except BadName as error:
        raise PlanError(
            f"rule {rule.id} cannot be applied: {error.message}", hint=error.hint
        ) from None
