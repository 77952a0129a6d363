"""Determine the names on a pool's certificates from the rules, and the reasons for each name.

lyncnb applies the rules once for each role, set of flags, and site, and stores the result as a
``ResolvedRule``. The names of the pool and its servers are then added.
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
from ..rules.model import CertificateRule, NameRule, Rules, list_flags
from ..topology.columns import Column, get_column, list_pool_name_columns
from ..topology.model import Pool, Site
from ..topology.topology import Topology
from .issuers import choose_issuer, find_target_ca
from .options import PlanOptions

# --- The following functions determine the names on the certificate of a pool. Each name appears
# once, with its reasons. Wildcards are last.

Values = tuple[DnsName, ...]

Finder = Callable[[Pool, DnsName], Values]


def _build_name_finder(columns: Column) -> Finder:
    """Return a function that finds the names of a pool in a column.

    If a pool has no names in the column, some columns use the pool name instead.
    """
    name, has_pool_default = columns.name, columns.or_pool_name

    def find_names(pool: Pool, server: DnsName) -> Values:
        value = getattr(pool, name) or (pool.fqdn if has_pool_default else None)
        return (value,) if value else ()

    def find_all_names(pool: Pool, server: DnsName) -> Values:
        return pool.list_names(name) or ((pool.fqdn,) if has_pool_default else ())

    return (
        find_names if name in Pool.__dataclass_fields__ and not columns.is_list else find_all_names
    )


# The placeholders for the names of a pool or server that do not come from a table column.
_POOL_PLACEHOLDERS: Mapping[str, Finder] = {
    "computer.fqdn": lambda pool, server: (server,),
    "pool.fqdn": lambda pool, server: (pool.fqdn,),
    "pool.computers": lambda pool, server: tuple(c.fqdn for c in pool.computers),
}


def _get_name_finder(placeholder: str) -> Finder:
    known = _POOL_PLACEHOLDERS.get(placeholder)
    return known or _build_name_finder(get_column(placeholder.removeprefix("pool.")))


def _build_extra_name_finder(usages: Iterable[str]) -> Finder:
    """Return a function that returns a pool's additional names for certain usages."""
    usage_names = {"", *(usage.lower() for usage in usages)}
    return lambda pool, server: tuple(
        n for usage, n in pool.extra_san if usage.lower() in usage_names
    )


#: The options that contain a list of pools. lyncnb sets a flag for each pool in the list.
_POOL_OPTIONS = ("client_authentication", "shared_certificate")

#: The column that contains the name of the paired pool.
BACKUP_POOL = "backup_pool"


class Part(NamedTuple):
    """A source of names on a certificate.

    The source is one rule whose names depend on the pool, or all rules whose names do not.
    """

    find: Finder | None
    why: tuple[str, ...]  # If ``find`` returns the names of a rule, this is the ID of the rule.
    # The names that all pools with the same role, flags, and site have in common.
    fixed: Mapping[DnsName, SanEntry]


@dataclass(frozen=True, slots=True)
class ResolvedRule:
    """A certificate rule with its names for a role, a set of flags, and a site."""

    rule: CertificateRule
    subject: Part | None  # The subject name, or None if the flags for the subject are not set.
    parts: tuple[Part, ...]
    extended_key_usage: tuple[str, ...]
    # The IDs of the rules whose names a wildcard can replace.
    may_be_wildcard: frozenset[str]
    issuer: str  # The issuer that is used if no cell in the table requests an issuer.
    ca: str  # The CA that the options specify for the issuer.

    def find_common_name(self, pool: Pool, server: DnsName) -> DnsName | str:
        """Return the common name for a certificate, or "" if there is none."""
        part = self.subject
        if part is None:
            return ""
        return next(iter(part.find(pool, server) if part.find else part.fixed), "")

    def list_names(self, pool: Pool, server: DnsName) -> dict[DnsName, SanEntry]:
        """Return a server's names on a pool certificate, each once, before wildcards are added."""
        entries: dict[DnsName, SanEntry] = {}
        for find, part_reasons, fixed in self.parts:
            if find is not None:
                for name in find(pool, server):
                    known = entries.get(name)
                    reasons = (
                        part_reasons
                        if known is None
                        else _merge_reasons(known.reasons, part_reasons)
                    )
                    entries[name] = SanEntry(name, reasons)
            elif entries.keys().isdisjoint(fixed):
                entries |= fixed  # Usually, all pools share the same entries for names.
            else:
                for entry in fixed.values():
                    merge_entry(entries, entry)
        return entries

    def build_entries(
        self, names: Mapping[DnsName, SanEntry], pool: Pool, server: DnsName
    ) -> tuple[SanEntry, ...]:
        """Replace names with wildcards if the rules allow wildcards and the options request them.

        A wildcard in the parent domain replaces each name for which all rules allow a wildcard. The
        pool's own names are kept. Wildcards are last, because some older clients ignore all names
        after a wildcard.
        """
        if not self.may_be_wildcard and "*" not in "".join(names):
            return tuple(names.values())
        own_names = {server, pool.fqdn, pool.web_internal_fqdn, pool.web_external_fqdn}
        plain_entries: list[SanEntry] = []
        stars: dict[DnsName, SanEntry] = {}
        for entry in names.values():
            if entry.name.is_wildcard:  # The table of servers already contains the wildcard.
                merge_entry(stars, entry)
                continue
            star = _build_wildcard(entry.name)
            if (
                star
                and entry.name not in own_names
                and self.may_be_wildcard.issuperset(entry.reasons)
            ):
                merge_entry(stars, SanEntry(star, entry.reasons))
            else:
                plain_entries.append(entry)
        return (*plain_entries, *stars.values())


def merge_entry(entries: dict[DnsName, SanEntry], entry: SanEntry) -> None:
    """Add an entry for a name, or add the reasons to an existing entry for the same name."""
    known = entries.get(entry.name)
    if known is not None:
        entry = SanEntry(entry.name, _merge_reasons(known.reasons, entry.reasons))
    entries[entry.name] = entry


# The result is cached, because thousands of pools have the same few values.
@lru_cache(maxsize=256)
def _merge_reasons(reasons: tuple[str, ...], new_reasons: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reasons + new_reasons))


@lru_cache(maxsize=4096)
def _build_wildcard(name: DnsName) -> DnsName | None:
    # A wildcard directly below a public suffix, such as *.com, would also cover other
    # organizations.
    parent = name.parent
    return None if parent.is_public_suffix else DnsName(f"*.{parent}")


def build_template_finder(rule: NameRule) -> Finder:
    """Return a function that fills a name rule's placeholder for a pool or server."""
    before, placeholder, after = rule.parts
    find = _get_name_finder(placeholder)
    if not before and not after:
        return find
    return lambda pool, server: fill_template(rule, find(pool, server))


def fill_template(rule: NameRule, values: Iterable[DnsName]) -> Values:
    """Return a rule's template with its placeholder replaced by each value."""
    before, _, after = rule.parts
    names = [f"{before}{value}{after}" for value in values]
    try:
        return tuple(DnsName.parse(name, allow_wildcard=True) for name in names)
    except BadName as error:
        raise PlanError(
            f"lyncnb cannot apply the rule {rule.id}: {error.message}", hint=error.hint
        ) from None


# The functions that return the values of each placeholder for a deployment and a site. The values
# are the same for all pools in the site. _POOL_PLACEHOLDERS contains the functions for a pool. The
# key "" means that there is no placeholder.
_OF_SITE: Mapping[str, Callable[[PlanContext, str], Iterable[DnsName]]] = {
    "": lambda context, site: (DnsName(),),
    "sip_domain": lambda context, site: context.sip_domains,
    "external_sip_domain": lambda context, site: context.list_external_sip_domains,
    "default_sip_domain": lambda context, site: context.sip_domains[:1],
    "autodiscover_internal_extra_domain": lambda context, site: context.extra_domains,
    "meet_url.host": lambda context, site: _list_meet_hosts(context.find_sites(site)),
    "dialin_url.host": lambda context, site: _list_dialin_hosts(context.find_sites(site)),
    "admin_url.host": lambda context, site: _list_admin_hosts(context.find_sites(site)),
    "published.web_external_fqdn": lambda context, site: context.list_published_names(site),
    "published.meet_url.host": lambda context, site: context.exclude_internal(
        _list_meet_hosts(context.list_published_sites(site))
    ),
    "published.dialin_url.host": lambda context, site: context.exclude_internal(
        _list_dialin_hosts(context.list_published_sites(site))
    ),
}


# The placeholders for values of the site that contains the backup pool.
_OF_BACKUP: Mapping[str, Callable[[Iterable[Site]], Iterable[DnsName]]] = {
    "backup.meet_url.host": lambda sites: _list_meet_hosts(sites),
    "backup.dialin_url.host": lambda sites: _list_dialin_hosts(sites),
}


def list_resolved_placeholders() -> frozenset[str]:
    """Return all placeholders in name templates that lyncnb can replace with values.

    The rule vocabulary must list the same ones.
    """
    of_columns = {f"pool.{facts.name}" for facts in list_pool_name_columns()}
    return frozenset(
        (_POOL_PLACEHOLDERS.keys() | _OF_SITE.keys() | _OF_BACKUP.keys() | of_columns) - {""}
    )


@dataclass(slots=True)
class PlanContext:
    """The input for planning all pools: rules, options, SIP domains, and sites.

    :func:`plan_context` creates this object. It caches resolved rules.
    """

    rules: Rules
    options: PlanOptions
    sip_domains: Values
    extra_domains: Values
    sites: Mapping[str, Site]
    # The context contains all pools, because a reverse proxy certificate contains names of other
    # pools.
    pools: tuple[Pool, ...]
    flags: frozenset[str]  # The flags that the options set.
    # The flags whose option lists pools, each with these pools.
    flagged_pools: Mapping[str, frozenset[str]]
    # The subject fields that every certificate has in addition to the common name.
    subject: DistinguishedName
    publishing: frozenset[str]  # The roles whose certificates contain names of other pools.
    _published: dict[str, set[tuple[int, DnsName]]] = field(default_factory=dict)
    _resolved: dict[tuple[str, frozenset[str], str, frozenset[str]], tuple[ResolvedRule, ...]] = (
        field(default_factory=dict)
    )
    _backups: dict[str, tuple[Site, ...]] = field(default_factory=dict)
    _site_of_pool: dict[str, str] = field(default_factory=dict)
    _twins: dict[str, str] = field(default_factory=dict)

    @property
    def list_external_sip_domains(self) -> Values:
        """Return the SIP domains that external clients and partners use."""
        internal_domains = self.options.internal_only_sip_domains
        return tuple(domain for domain in self.sip_domains if domain not in internal_domains)

    def exclude_internal(self, hosts: Values) -> Values:
        """Return the host names that are not in a SIP domain for internal use only."""
        internal_domains = self.options.internal_only_sip_domains
        if not internal_domains:
            return hosts
        return tuple(host for host in hosts if self._find_sip_domain(host) not in internal_domains)

    def _find_sip_domain(self, host: DnsName) -> DnsName:
        """Return the longest SIP domain that contains a host name, or "" if there is none."""
        name = host
        while name and name not in self.sip_domains:
            name = name.parent
        return name

    def find_sites(self, site: str) -> tuple[Site, ...]:
        """Return a tuple with the named site. If the site is unknown, the tuple is empty."""
        return (self.sites[site],) if site in self.sites else ()

    def list_published_sites(self, site: str) -> tuple[Site, ...]:
        """Return the sites that a reverse proxy in a site publishes. A blank site means all sites.

        The sites of the backup pools follow.
        """
        if not site:
            return tuple(self.sites.values())
        if not self._backups:
            self._backups[""] = ()
            for pool in self.pools:
                if pool.further_names and (backup := self.list_backup_sites(pool)):
                    self._backups[pool.site] = (*self._backups.get(pool.site, ()), *backup)
        sites = (*self.find_sites(site), *self._backups.get(site, ()))
        return tuple({published.name: published for published in sites}.values())

    def list_backup_sites(self, pool: Pool) -> tuple[Site, ...]:
        """Return the site of a pool's backup pool in a tuple, or () if there is no backup pool."""
        names = pool.list_names(BACKUP_POOL)
        if not names:
            return ()
        if not self._site_of_pool:
            self._site_of_pool.update((str(pool_.fqdn), pool_.site) for pool_ in self.pools)
        site = self._site_of_pool.get(names[0])
        return () if site is None else self.find_sites(site)

    def list_published_names(self, site: str) -> Values:
        """Return the external web names that a reverse proxy in a site publishes, in order."""
        if not self._published:
            for pool in self.pools:
                order = self.rules.roles[pool.role].publish_order
                if order and pool.web_external_fqdn:
                    pair = (order, pool.web_external_fqdn)
                    self._published.setdefault(pool.site, set()).add(pair)
        groups = [self._published.get(site, ())] if site else self._published.values()
        return tuple(name for _, name in sorted(pair for group in groups for pair in group))

    def list_resolved_rules(self, pool: Pool) -> tuple[ResolvedRule, ...]:
        """Return the resolved rules for the certificates that a pool needs, in order."""
        flags = pool.flags
        for flag, pools in self.flagged_pools.items():
            if pool.fqdn in pools:
                flags |= {flag}
        extra = frozenset(usage.lower() for usage, _ in pool.extra_san)
        site = pool.site if pool.role in self.publishing else self._find_twin_site(pool.site)
        key = (pool.role, flags, site, extra)
        resolved = self._resolved.get(key)
        if resolved is None:
            resolved = self._resolved[key] = tuple(
                self._resolve_rule(rule, flags | self.flags, site, extra)
                for rule in self.rules.certificates
                if rule.role == pool.role
                and self.options.profile in rule.profiles
                and rule.layout in ("", self.options.layout)
                and (flags | self.flags).issuperset(rule.if_all)
                and (flags | self.flags).isdisjoint(rule.unless)
            )
        return resolved

    def _find_twin_site(self, site: str) -> str:
        """Return the first site with the same simple URLs.

        The certificates of both sites contain the same names.
        """
        if not self._twins:
            first: dict[object, str] = {}
            for name, other in self.sites.items():
                urls = (other.meet_urls, other.dialin_url, other.admin_url)
                self._twins[name] = first.setdefault(urls, name)
        return self._twins.get(site, site)

    def _resolve_rule(
        self, rule: CertificateRule, flags: frozenset[str], site: str, extra_flags: frozenset[str]
    ) -> ResolvedRule:
        if not extra_flags.isdisjoint({"", *(usage.lower() for usage in rule.usages)}):
            flags |= {"extra_san"}
        usages = dict.fromkeys(rule.extended_key_usage)
        for flag, added_usages in rule.extended_key_usage_if.items():
            usages |= dict.fromkeys(added_usages if flag in flags else ())
        names = [self.rules.names[name] for name in rule.subject_alt_name]
        if not flags.isdisjoint(rule.per_pool_if):
            rule = replace(rule, issue_per="pool")
            names = [_apply_to_all_servers(name) for name in names]
        wildcard = rule.wildcard and "wildcard" in flags
        issuer = choose_issuer(rule, (), self.options)
        subject = self._apply_name_rules(
            [self.rules.names[rule.subject_name]], flags, site, rule.usages
        )
        return ResolvedRule(
            rule=rule,
            subject=subject[0] if subject else None,
            parts=self._apply_name_rules(names, flags, site, rule.usages),
            extended_key_usage=tuple(usages),
            may_be_wildcard=frozenset(name.id for name in names if wildcard and name.wildcard),
            issuer=issuer,
            ca=find_target_ca(rule, issuer, self.options),
        )

    def _build_backup_finder(self, rule: NameRule) -> Finder:
        """Return a function that lists the names that a name rule creates for a backup pool."""
        values = _OF_BACKUP[rule.parts[1]]
        return lambda pool, server: (
            fill_template(rule, values(self.list_backup_sites(pool))) if pool.further_names else ()
        )

    def _apply_name_rules(
        self,
        names: Iterable[NameRule],
        flags: frozenset[str],
        site: str,
        usages: tuple[str, ...],
    ) -> tuple[Part, ...]:
        """Apply the name rules whose flags are set, and return the parts of the certificate.

        Names that do not depend on the pool are merged.
        """
        parts: list[Part] = []
        fixed: dict[DnsName, SanEntry] = {}
        for rule in names:
            if not _has_flags(rule, flags):
                continue
            of_site = _OF_SITE.get(rule.parts[1])
            if of_site is None:
                parts += [Part(None, (), fixed)] if fixed else []
                if rule.parts[1] in _OF_BACKUP:
                    find = self._build_backup_finder(rule)
                elif rule.parts == ("", "pool.extra_san", ""):
                    find = _build_extra_name_finder(usages)
                else:
                    find = build_template_finder(rule)
                parts.append(Part(find, (rule.id,), {}))
                fixed = {}
            else:
                for name in fill_template(rule, of_site(self, site)):
                    merge_entry(fixed, SanEntry(name, (rule.id,)))
        return (*parts, Part(None, (), fixed)) if fixed else tuple(parts)


def _apply_to_all_servers(rule: NameRule) -> NameRule:
    """Convert a rule for one server's name to a rule for the names of all servers in a pool."""
    return replace(rule, template=rule.template.replace("{computer.fqdn}", "{pool.computers}"))


def _has_flags(rule: NameRule, flags: frozenset[str]) -> bool:
    return (
        flags.issuperset(rule.if_all)
        and (not rule.if_any or not flags.isdisjoint(rule.if_any))
        and flags.isdisjoint(rule.unless)
    )


def plan_context(topology: Topology, rules: Rules, options: PlanOptions) -> PlanContext:
    """Create the input for planning all pools in a topology.

    Parameters
    ----------
    topology : Topology
        The topology. Every role of its pools must be in ``rules.roles``.
    rules : Rules
        The requirements for each role in one product version.
    options : PlanOptions
        The plan options.

    Returns
    -------
    PlanContext
        The context for :func:`lyncnb.plan.planner.plan_pool`.
    """
    return PlanContext(
        rules=rules,
        options=options,
        sip_domains=topology.sip_domains,
        extra_domains=tuple(map(DnsName, options.autodiscover_internal_extra_domains)),
        sites={site.name: site for site in topology.sites},
        pools=topology.pools,
        flags=frozenset(flag for flag in list_flags() if getattr(options, flag, False) is True),
        flagged_pools={
            flag: frozenset(pools) for flag in _POOL_OPTIONS if (pools := getattr(options, flag))
        },
        subject=DistinguishedName(
            common_name="",
            organization=options.organization,
            organizational_unit=options.organizational_unit,
            locality=options.locality,
            state=options.state,
            country=options.country.upper(),
        ),
        publishing=find_publishing_roles(rules),
    )


def find_publishing_roles(rules: Rules) -> frozenset[str]:
    """Return the roles whose certificates contain the names of other pools."""
    return frozenset(
        rule.role
        for rule in rules.certificates
        for name in (rule.subject_name, *rule.subject_alt_name)
        if rules.names[name].parts[1].startswith("published.")
    )


def _list_meet_hosts(sites: Iterable[Site]) -> Values:
    return tuple(dict.fromkeys(url.host for site in sites for url in site.meet_urls))


def _list_dialin_hosts(sites: Iterable[Site]) -> Values:
    return tuple(dict.fromkeys(site.dialin_url.host for site in sites if site.dialin_url))


def _list_admin_hosts(sites: Iterable[Site]) -> Values:
    return tuple(dict.fromkeys(site.admin_url.host for site in sites if site.admin_url))
