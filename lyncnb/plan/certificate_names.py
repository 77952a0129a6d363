"""The names of a pool's certificates by the rules, with their reasons.

lyncnb resolves the rules once for a role, its flags and its site, as a ``ResolvedRule``. A pool
then adds its own names, and each server inserts its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

from ..base.certificate_fields import DistinguishedName, SanEntry
from ..base.dns_name import DnsName
from ..base.pasted_text import BadName
from ..errors import PlanError
from ..rules.model import CertificateRule, NameRule, Rules, known_flags
from ..topology.columns import Column, column, pool_name_columns
from ..topology.model import Pool, Site
from ..topology.topology import Topology
from .issuers import settle_issuer, target_ca
from .options import PlanOptions

# The names of one certificate of a pool: each name once, with its reasons, wildcards last.

Values = tuple[DnsName, ...]

Finder = Callable[[Pool, DnsName], Values]


def _finder(facts: Column) -> Finder:
    """Return a function for the names in a column of a pool, or for the pool's own name."""
    name, own = facts.name, facts.or_pool_name

    def find(pool: Pool, server: DnsName) -> Values:
        value = getattr(pool, name) or (pool.fqdn if own else None)
        return (value,) if value else ()

    def find_all(pool: Pool, server: DnsName) -> Values:
        return pool.names_in(name) or ((pool.fqdn,) if own else ())

    return find if name in Pool.__dataclass_fields__ and not facts.is_list else find_all


# The values of the placeholders that a pool or one of its servers fills, in addition to the columns
# of names.
_OF_POOL: Mapping[str, Finder] = {
    "computer.fqdn": lambda pool, server: (server,),
    "pool.fqdn": lambda pool, server: (pool.fqdn,),
    "pool.computers": lambda pool, server: tuple(c.fqdn for c in pool.computers),
}


def _finder_of(placeholder: str) -> Finder:
    known = _OF_POOL.get(placeholder)
    return known or _finder(column(placeholder.removeprefix("pool.")))


def _extra_names(usages: Iterable[str]) -> Finder:
    """Return the additional names for all usages and for the given ones."""
    asked = {"", *(usage.lower() for usage in usages)}
    return lambda pool, server: tuple(n for usage, n in pool.extra_san if usage.lower() in asked)


#: Options that list pools; each one is a flag of these pools.
_OF_POOLS = ("client_authentication", "shared_certificate")

#: The column with the name of the paired pool.
BACKUP_POOL = "backup_pool"


class Part(NamedTuple):
    """Names of one rule if a pool provides them, else of several consecutive rules."""

    find: Finder | None
    why: tuple[str, ...]  # id of the rule of the names from ``find``
    fixed: Mapping[DnsName, SanEntry]  # the same for every pool of the role, flags and site


@dataclass(frozen=True, slots=True)
class ResolvedRule:
    """One certificate rule, resolved for a role, its flags and its site."""

    rule: CertificateRule
    subject: Part | None  # None if its flags are not set
    parts: tuple[Part, ...]
    extended_key_usage: tuple[str, ...]
    may_be_wildcard: frozenset[str]  # ids of the rules whose names a wildcard may replace
    issuer: str  # if no cell of the table requests an issuer
    ca: str  # for that issuer

    def common_name(self, pool: Pool, server: DnsName) -> DnsName | str:
        """Return the common name, "" if the topology lacks it."""
        part = self.subject
        if part is None:
            return ""
        return next(iter(part.find(pool, server) if part.find else part.fixed), "")

    def names(self, pool: Pool, server: DnsName) -> dict[DnsName, SanEntry]:
        """List the names for one server of a pool, each once, before wildcards."""
        entries: dict[DnsName, SanEntry] = {}
        for find, why, fixed in self.parts:
            if find is not None:
                for name in find(pool, server):
                    known = entries.get(name)
                    reasons = why if known is None else _all_reasons(known.reasons, why)
                    entries[name] = SanEntry(name, reasons)
            elif entries.keys().isdisjoint(fixed):
                entries |= fixed  # the usual case, in which all pools share the same entries
            else:
                for entry in fixed.values():
                    merge(entries, entry)
        return entries

    def entries(
        self, names: Mapping[DnsName, SanEntry], pool: Pool, server: DnsName
    ) -> tuple[SanEntry, ...]:
        """Replace names by wildcards if the rules allow it and the options request it.

        A wildcard of the parent domain replaces each name for which all rules allow it. The pool's
        own names always stay. Wildcards are last, because some older clients stop at a wildcard
        that precedes their name.
        """
        if not self.may_be_wildcard and "*" not in "".join(names):
            return tuple(names.values())
        own = {server, pool.fqdn, pool.web_internal_fqdn, pool.web_external_fqdn}
        kept: list[SanEntry] = []
        stars: dict[DnsName, SanEntry] = {}
        for entry in names.values():
            if entry.name.is_wildcard:  # the table requests it
                merge(stars, entry)
                continue
            star = _star(entry.name)
            if star and entry.name not in own and self.may_be_wildcard.issuperset(entry.reasons):
                merge(stars, SanEntry(star, entry.reasons))
            else:
                kept.append(entry)
        return (*kept, *stars.values())


def merge(entries: dict[DnsName, SanEntry], entry: SanEntry) -> None:
    """Add an entry, or add its reasons to the entry of the same name."""
    known = entries.get(entry.name)
    if known is not None:
        entry = SanEntry(entry.name, _all_reasons(known.reasons, entry.reasons))
    entries[entry.name] = entry


@lru_cache(maxsize=256)  # thousands of pools share the same few values
def _all_reasons(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(known + more))


@lru_cache(maxsize=4096)
def _star(name: DnsName) -> DnsName | None:
    # A wildcard below a public suffix (*.com) would cover half the Internet.
    parent = name.parent
    return None if parent.is_public_suffix else DnsName(f"*.{parent}")


def of_pool(rule: NameRule) -> Finder:
    """Return the function for the names of a rule whose placeholder a pool fills."""
    before, placeholder, after = rule.parts
    find = _finder_of(placeholder)
    if not before and not after:
        return find
    return lambda pool, server: spell(rule, find(pool, server))


def spell(rule: NameRule, values: Iterable[DnsName]) -> Values:
    """Insert values into the rule's template."""
    before, _, after = rule.parts
    names = [f"{before}{value}{after}" for value in values]
    try:
        return tuple(DnsName.parse(name, allow_wildcard=True) for name in names)
    except BadName as error:
        raise PlanError(
            f"rule {rule.id} cannot be applied: {error.message}", hint=error.hint
        ) from None


# The values of the placeholders that the deployment and a site fill, the same for all pools of the
# site. _OF_POOL has those that a pool fills. "" is for a name without placeholder.
_OF_SITE: Mapping[str, Callable[[PlanContext, str], Iterable[DnsName]]] = {
    "": lambda context, site: (DnsName(),),
    "sip_domain": lambda context, site: context.sip_domains,
    "external_sip_domain": lambda context, site: context.external_sip_domains,
    "default_sip_domain": lambda context, site: context.sip_domains[:1],
    "autodiscover_internal_extra_domain": lambda context, site: context.extra_domains,
    "meet_url.host": lambda context, site: _meet(context.sites_of(site)),
    "dialin_url.host": lambda context, site: _dialin(context.sites_of(site)),
    "admin_url.host": lambda context, site: _admin(context.sites_of(site)),
    "published.web_external_fqdn": lambda context, site: context.published_names(site),
    "published.meet_url.host": lambda context, site: context.outside(
        _meet(context.published_sites(site))
    ),
    "published.dialin_url.host": lambda context, site: context.outside(
        _dialin(context.published_sites(site))
    ),
}


# The values of the placeholders that the site of a pool's backup pool fills.
_OF_BACKUP: Mapping[str, Callable[[Iterable[Site]], Iterable[DnsName]]] = {
    "backup.meet_url.host": lambda sites: _meet(sites),
    "backup.dialin_url.host": lambda sites: _dialin(sites),
}


def resolved_placeholders() -> frozenset[str]:
    """Return the placeholders of this module; the vocabulary must list exactly these."""
    of_columns = {f"pool.{facts.name}" for facts in pool_name_columns()}
    return frozenset((_OF_POOL.keys() | _OF_SITE.keys() | _OF_BACKUP.keys() | of_columns) - {""})


@dataclass(slots=True)
class PlanContext:
    """The shared input of all pools' plans: rules, options, SIP domains, sites.

    Made by :func:`plan_context`. It caches resolved rules.
    """

    rules: Rules
    options: PlanOptions
    sip_domains: Values
    extra_domains: Values
    sites: Mapping[str, Site]
    pools: tuple[Pool, ...]  # of the whole topology: a reverse proxy has names of other pools
    flags: frozenset[str]  # the flags that the options set
    flagged_pools: Mapping[str, frozenset[str]]  # the pools that an option lists, by its flag
    subject: DistinguishedName  # of every certificate, without the common name
    publishing: frozenset[str]  # roles whose certificates have names of other pools
    _published: dict[str, set[tuple[int, DnsName]]] = field(default_factory=dict)
    _resolved: dict[tuple[str, frozenset[str], str, frozenset[str]], tuple[ResolvedRule, ...]] = (
        field(default_factory=dict)
    )
    _backups: dict[str, tuple[Site, ...]] = field(default_factory=dict)
    _site_of_pool: dict[str, str] = field(default_factory=dict)
    _twins: dict[str, str] = field(default_factory=dict)

    @property
    def external_sip_domains(self) -> Values:
        """List the SIP domains that external clients and partners use."""
        inside = self.options.internal_only_sip_domains
        return tuple(domain for domain in self.sip_domains if domain not in inside)

    def outside(self, hosts: Values) -> Values:
        """Omit the hosts whose SIP domain is only for internal use."""
        inside = self.options.internal_only_sip_domains
        if not inside:
            return hosts
        return tuple(host for host in hosts if self._sip_domain_of(host) not in inside)

    def _sip_domain_of(self, host: DnsName) -> DnsName:
        """Return the longest SIP domain that contains a host, empty if there is none."""
        name = host
        while name and name not in self.sip_domains:
            name = name.parent
        return name

    def sites_of(self, site: str) -> tuple[Site, ...]:
        """Return the site with its simple URLs, as a tuple of at most one site."""
        return (self.sites[site],) if site in self.sites else ()

    def published_sites(self, site: str) -> tuple[Site, ...]:
        """List the sites that a reverse proxy at ``site`` publishes: its own, or all if blank.

        The sites of its pools' backup pools follow.
        """
        if not site:
            return tuple(self.sites.values())
        if not self._backups:
            self._backups[""] = ()
            for pool in self.pools:
                if pool.further_names and (backup := self.backup_sites(pool)):
                    self._backups[pool.site] = (*self._backups.get(pool.site, ()), *backup)
        sites = (*self.sites_of(site), *self._backups.get(site, ()))
        return tuple({published.name: published for published in sites}.values())

    def backup_sites(self, pool: Pool) -> tuple[Site, ...]:
        """Return the site of a pool's backup pool, as a tuple of at most one site."""
        names = pool.names_in(BACKUP_POOL)
        if not names:
            return ()
        if not self._site_of_pool:
            self._site_of_pool.update((str(pool_.fqdn), pool_.site) for pool_ in self.pools)
        site = self._site_of_pool.get(names[0])
        return () if site is None else self.sites_of(site)

    def published_names(self, site: str) -> Values:
        """List the external web names that a reverse proxy at ``site`` publishes, in order."""
        if not self._published:
            for pool in self.pools:
                order = self.rules.roles[pool.role].publish_order
                if order and pool.web_external_fqdn:
                    pair = (order, pool.web_external_fqdn)
                    self._published.setdefault(pool.site, set()).add(pair)
        chosen = [self._published.get(site, ())] if site else self._published.values()
        return tuple(name for _, name in sorted(pair for group in chosen for pair in group))

    def resolved_rules(self, pool: Pool) -> tuple[ResolvedRule, ...]:
        """Return the resolved rules of the certificates that a pool needs, in order."""
        flags = pool.flags
        for flag, pools in self.flagged_pools.items():
            if pool.fqdn in pools:
                flags |= {flag}
        extra = frozenset(usage.lower() for usage, _ in pool.extra_san)
        site = pool.site if pool.role in self.publishing else self._twin(pool.site)
        key = (pool.role, flags, site, extra)
        resolved = self._resolved.get(key)
        if resolved is None:
            resolved = self._resolved[key] = tuple(
                self._resolve(rule, flags | self.flags, site, extra)
                for rule in self.rules.certificates
                if rule.role == pool.role
                and self.options.profile in rule.profiles
                and rule.layout in ("", self.options.layout)
                and (flags | self.flags).issuperset(rule.if_all)
                and (flags | self.flags).isdisjoint(rule.unless)
            )
        return resolved

    def _twin(self, site: str) -> str:
        """Return the first site with the same simple URLs, which produce the same names."""
        if not self._twins:
            first: dict[object, str] = {}
            for name, other in self.sites.items():
                urls = (other.meet_urls, other.dialin_url, other.admin_url)
                self._twins[name] = first.setdefault(urls, name)
        return self._twins.get(site, site)

    def _resolve(
        self, rule: CertificateRule, flags: frozenset[str], site: str, extra: frozenset[str]
    ) -> ResolvedRule:
        if not extra.isdisjoint({"", *(usage.lower() for usage in rule.usages)}):
            flags |= {"extra_san"}
        usages = dict.fromkeys(rule.extended_key_usage)
        for flag, more in rule.extended_key_usage_if.items():
            usages |= dict.fromkeys(more if flag in flags else ())
        names = [self.rules.names[name] for name in rule.subject_alt_name]
        if not flags.isdisjoint(rule.per_pool_if):
            rule = replace(rule, issue_per="pool")
            names = [_of_all_servers(name) for name in names]
        wildcard = rule.wildcard and "wildcard" in flags
        issuer = settle_issuer(rule, (), self.options)
        subject = self._parts([self.rules.names[rule.subject_name]], flags, site, rule.usages)
        return ResolvedRule(
            rule=rule,
            subject=subject[0] if subject else None,
            parts=self._parts(names, flags, site, rule.usages),
            extended_key_usage=tuple(usages),
            may_be_wildcard=frozenset(name.id for name in names if wildcard and name.wildcard),
            issuer=issuer,
            ca=target_ca(rule, issuer, self.options),
        )

    def _of_backup(self, rule: NameRule) -> Finder:
        """Return the function for names whose placeholder a pool's backup pool fills."""
        values = _OF_BACKUP[rule.parts[1]]
        return lambda pool, server: (
            spell(rule, values(self.backup_sites(pool))) if pool.further_names else ()
        )

    def _parts(
        self,
        names: Iterable[NameRule],
        flags: frozenset[str],
        site: str,
        usages: tuple[str, ...],
    ) -> tuple[Part, ...]:
        """Resolve the name rules whose flags are set; merge names that no pool provides."""
        parts: list[Part] = []
        fixed: dict[DnsName, SanEntry] = {}
        for rule in names:
            if not _holds(rule, flags):
                continue
            of_site = _OF_SITE.get(rule.parts[1])
            if of_site is None:
                parts += [Part(None, (), fixed)] if fixed else []
                if rule.parts[1] in _OF_BACKUP:
                    find = self._of_backup(rule)
                elif rule.parts == ("", "pool.extra_san", ""):
                    find = _extra_names(usages)
                else:
                    find = of_pool(rule)
                parts.append(Part(find, (rule.id,), {}))
                fixed = {}
            else:
                for name in spell(rule, of_site(self, site)):
                    merge(fixed, SanEntry(name, (rule.id,)))
        return (*parts, Part(None, (), fixed)) if fixed else tuple(parts)


def _of_all_servers(rule: NameRule) -> NameRule:
    """Convert a rule for one server's name to a rule for the names of all servers of the pool."""
    return replace(rule, template=rule.template.replace("{computer.fqdn}", "{pool.computers}"))


def _holds(rule: NameRule, flags: frozenset[str]) -> bool:
    return (
        flags.issuperset(rule.if_all)
        and (not rule.if_any or not flags.isdisjoint(rule.if_any))
        and flags.isdisjoint(rule.unless)
    )


def plan_context(topology: Topology, rules: Rules, options: PlanOptions) -> PlanContext:
    """Collect the shared input of all pools' plans.

    Parameters
    ----------
    topology : Topology
        Every role of its pools must be one of ``rules.roles``.
    rules : Rules
        The requirements of one product version for each role.
    options : PlanOptions
        The planner's options.

    Returns
    -------
    PlanContext
        For :func:`lyncnb.plan.planner.plan_pool`.
    """
    return PlanContext(
        rules=rules,
        options=options,
        sip_domains=topology.sip_domains,
        extra_domains=tuple(map(DnsName, options.autodiscover_internal_extra_domains)),
        sites={site.name: site for site in topology.sites},
        pools=topology.pools,
        flags=frozenset(flag for flag in known_flags() if getattr(options, flag, False) is True),
        flagged_pools={
            flag: frozenset(pools) for flag in _OF_POOLS if (pools := getattr(options, flag))
        },
        subject=DistinguishedName(
            common_name="",
            organization=options.organization,
            organizational_unit=options.organizational_unit,
            locality=options.locality,
            state=options.state,
            country=options.country.upper(),
        ),
        publishing=publishing_roles(rules),
    )


def publishing_roles(rules: Rules) -> frozenset[str]:
    """Return the roles whose certificates have names of other pools."""
    return frozenset(
        rule.role
        for rule in rules.certificates
        for name in (rule.subject_name, *rule.subject_alt_name)
        if rules.names[name].parts[1].startswith("published.")
    )


def _meet(sites: Iterable[Site]) -> Values:
    return tuple(dict.fromkeys(url.host for site in sites for url in site.meet_urls))


def _dialin(sites: Iterable[Site]) -> Values:
    return tuple(dict.fromkeys(site.dialin_url.host for site in sites if site.dialin_url))


def _admin(sites: Iterable[Site]) -> Values:
    return tuple(dict.fromkeys(site.admin_url.host for site in sites if site.admin_url))
