"""Which names the rules give to a pool's certificates, and why.

What the rules give for a role with certain flags at a certain site is worked out once, as a
``Recipe``; a pool then adds its own names and each of its servers puts its own name in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .errors import PlanError
from .fields import SanEntry
from .names import BadName, DnsName
from .options import PlanOptions
from .rules import FLAGS, CertificateRule, NameRule, Rules
from .topology import Pool, Site, Topology

Values = tuple[DnsName, ...]

# What the placeholders of rules.PLACEHOLDERS become: from a pool and perhaps one server …
_OF_POOL: Mapping[str, Callable[[Pool, DnsName], tuple[DnsName | None, ...]]] = {
    "computer.fqdn": lambda pool, server: (server,),
    "pool.fqdn": lambda pool, server: (pool.fqdn,),
    "pool.computers": lambda pool, server: tuple(c.fqdn for c in pool.computers),
    "pool.web_internal_fqdn": lambda pool, server: (pool.web_internal_fqdn or pool.fqdn,),
    "pool.web_external_fqdn": lambda pool, server: (pool.web_external_fqdn,),
    "pool.access_edge_fqdn": lambda pool, server: (pool.access_edge_fqdn,),
    "pool.webconf_edge_fqdn": lambda pool, server: (pool.webconf_edge_fqdn,),
    "pool.av_edge_fqdn": lambda pool, server: (pool.av_edge_fqdn,),
    "pool.edge_internal_fqdn": lambda pool, server: (pool.edge_internal_fqdn or pool.fqdn,),
    "pool.owas_external_fqdn": lambda pool, server: (pool.owas_external_fqdn,),
    "pool.sip_dns_aliases": lambda pool, server: pool.sip_dns_aliases,
    "pool.xmpp_domains": lambda pool, server: pool.xmpp_domains,
    "pool.extra_san": lambda pool, server: pool.extra_san,
}
# … or from the deployment and a site, the same for all its pools ("": a fixed name).
_OF_SITE: Mapping[str, Callable[[PlanContext, str], Iterable[DnsName]]] = {
    "": lambda context, site: (DnsName(),),
    "sip_domain": lambda context, site: context.sip_domains,
    "default_sip_domain": lambda context, site: context.sip_domains[:1],
    "autodiscover_internal_extra_domain": lambda context, site: context.extra_domains,
    "meet_url.host": lambda context, site: _meet(context.sites_of(site)),
    "dialin_url.host": lambda context, site: _dialin(context.sites_of(site)),
    "admin_url.host": lambda context, site: _admin(context.sites_of(site)),
    "published.web_external_fqdn": lambda context, site: context.published_names(site),
    "published.meet_url.host": lambda context, site: _meet(context.published_sites(site)),
    "published.dialin_url.host": lambda context, site: _dialin(context.published_sites(site)),
}


#: The placeholders that are resolved here; the vocabulary must list exactly these.
PLACEHOLDERS_RESOLVED = (_OF_POOL.keys() | _OF_SITE.keys()) - {""}


@dataclass(frozen=True, slots=True)
class Part:
    """One name rule in a recipe."""

    rule: NameRule
    names: Values | None  # None: they depend on the pool

    def names_of(self, pool: Pool, server: DnsName) -> Iterable[DnsName]:
        """Give the names of this rule for one server of a pool."""
        if self.names is not None:
            return self.names
        before, placeholder, after = self.rule.parts
        found = [name for name in _OF_POOL[placeholder](pool, server) if name]
        return _spell(self.rule, found) if before or after else found


@dataclass(frozen=True, slots=True)
class Recipe:
    """One certificate rule, worked out for a role, its flags and its site."""

    rule: CertificateRule
    subject: Part | None  # None: its flags are not set
    parts: tuple[Part, ...]
    extended_key_usage: tuple[str, ...]
    wildcard: bool

    def common_name(self, pool: Pool, server: DnsName) -> str:
        """Give the subject's name, "" where the topology lacks it."""
        names = self.subject.names_of(pool, server) if self.subject else ()
        return next(iter(names), "")

    def entries(self, pool: Pool, server: DnsName) -> tuple[SanEntry, ...]:
        """List the alternative names for one server of a pool, each once with all its reasons."""
        reasons = self.reasons(pool, server)
        if self.wildcard:
            reasons = self._with_wildcards(reasons, pool, server)
        return tuple(map(SanEntry, reasons, reasons.values()))

    def reasons(self, pool: Pool, server: DnsName) -> dict[DnsName, tuple[str, ...]]:
        """Give the names before wildcards, each with the ids of its rules."""
        found: dict[DnsName, tuple[str, ...]] = {}
        for part in self.parts:
            why = (part.rule.id,)
            for name in part.names_of(pool, server):
                known = found.get(name)
                found[name] = why if known is None else known + why
        return found

    def _with_wildcards(
        self, reasons: dict[DnsName, tuple[str, ...]], pool: Pool, server: DnsName
    ) -> dict[DnsName, tuple[str, ...]]:
        """Let a wildcard of its parent stand for each name of which all rules allow it.

        The pool's own names stay, whatever rules they come from. Wildcards go last, because some
        older clients give up at a wildcard that precedes their name.
        """
        refused = {part.rule.id for part in self.parts if not part.rule.wildcard}
        own = {server, pool.fqdn, pool.web_internal_fqdn, pool.web_external_fqdn}
        kept: dict[DnsName, tuple[str, ...]] = {}
        stars: dict[DnsName, tuple[str, ...]] = {}
        for name, why in reasons.items():
            parent = name.parent
            # A wildcard below a public suffix (*.com) would stand for half the Internet.
            if name in own or not refused.isdisjoint(why) or parent.is_public_suffix:
                kept[name] = why
            else:
                star = DnsName(f"*.{parent}")
                stars[star] = tuple(dict.fromkeys(stars.get(star, ()) + why))
        return kept | stars


@dataclass(slots=True)
class PlanContext:
    """What the plans of all pools have in common: rules, options, SIP domains, sites.

    Made by :func:`plan_context`. It keeps the recipes that pools ask for, which changes nothing
    but speed.
    """

    rules: Rules
    options: PlanOptions
    sip_domains: Values
    extra_domains: Values
    sites: Mapping[str, Site]
    published: Mapping[str, tuple[tuple[int, DnsName], ...]]  # by site: place and name, sorted
    flags: frozenset[str]  # those that the options set
    _recipes: dict[tuple[str, frozenset[str], str], tuple[Recipe, ...]] = field(
        default_factory=dict
    )

    def sites_of(self, site: str) -> tuple[Site, ...]:
        """Give the site with its simple URLs, as a tuple of at most one."""
        return (self.sites[site],) if site in self.sites else ()

    def published_sites(self, site: str) -> tuple[Site, ...]:
        """List the sites that a reverse proxy at ``site`` publishes: its own, or all if blank."""
        return self.sites_of(site) if site else tuple(self.sites.values())

    def published_names(self, site: str) -> Values:
        """List the external web names that a reverse proxy at ``site`` publishes, in order."""
        chosen = [self.published.get(site, ())] if site else self.published.values()
        return tuple(name for _, name in sorted(pair for group in chosen for pair in group))

    def recipes(self, pool: Pool) -> tuple[Recipe, ...]:
        """Give the recipes of the certificates that a pool needs, in the order of the rules."""
        flags = pool.flags | {"extra_san"} if pool.extra_san else pool.flags
        key = (pool.role, flags, pool.site)
        found = self._recipes.get(key)
        if found is None:
            found = self._recipes[key] = tuple(
                self._recipe(rule, flags | self.flags, pool.site)
                for rule in self.rules.certificates
                if rule.role == pool.role
                and self.options.profile in rule.profiles
                and rule.layout in ("", self.options.layout)
                and (flags | self.flags).issuperset(rule.if_all)
            )
        return found

    def _recipe(self, rule: CertificateRule, flags: frozenset[str], site: str) -> Recipe:
        parts = (self._part(name, flags, site) for name in rule.subject_alt_name)
        usages = dict.fromkeys(rule.extended_key_usage)
        for flag, more in rule.extended_key_usage_if.items():
            usages |= dict.fromkeys(more if flag in flags else ())
        return Recipe(
            rule=rule,
            subject=self._part(rule.subject_name, flags, site),
            parts=tuple(part for part in parts if part),
            extended_key_usage=tuple(usages),
            wildcard=rule.wildcard and "wildcard" in flags,
        )

    def _part(self, name: str, flags: frozenset[str], site: str) -> Part | None:
        rule = self.rules.names[name]
        if (
            not flags.issuperset(rule.if_all)
            or (rule.if_any and flags.isdisjoint(rule.if_any))
            or not flags.isdisjoint(rule.unless)
        ):
            return None
        of_site = _OF_SITE.get(rule.parts[1])
        return Part(rule, None if of_site is None else _spell(rule, of_site(self, site)))


def plan_context(topology: Topology, rules: Rules, options: PlanOptions) -> PlanContext:
    """Gather what the plans of all pools have in common.

    Parameters
    ----------
    topology : Topology
        Every role of its pools must be one of ``rules.roles``.
    rules : Rules
        What one product version asks of each role.
    options : PlanOptions
        Choices that neither table nor rules make.

    Returns
    -------
    PlanContext
        For :func:`lyncnb.derive.plan_pool`.
    """
    published: dict[str, set[tuple[int, DnsName]]] = {}
    for pool in topology.pools:
        place = rules.roles[pool.role].publish_order
        if place and pool.web_external_fqdn:
            published.setdefault(pool.site, set()).add((place, pool.web_external_fqdn))
    return PlanContext(
        rules=rules,
        options=options,
        sip_domains=topology.sip_domains,
        extra_domains=tuple(map(DnsName, options.autodiscover_internal_extra_domains)),
        sites={site.name: site for site in topology.sites},
        published={site: tuple(sorted(pairs)) for site, pairs in published.items()},
        flags=frozenset(flag for flag in FLAGS if getattr(options, flag, False) is True),
    )


def _spell(rule: NameRule, values: Iterable[DnsName]) -> Values:
    """Put values into the rule's template."""
    before, _, after = rule.parts
    names = [f"{before}{value}{after}" for value in values]
    try:
        return tuple(DnsName.parse(name, allow_wildcard=True) for name in names)
    except BadName as error:
        raise PlanError(
            f"rule {rule.id} cannot be applied: {error.message}", hint=error.hint
        ) from None


def _meet(sites: Iterable[Site]) -> Values:
    return tuple(dict.fromkeys(url.host for site in sites for url in site.meet_urls))


def _dialin(sites: Iterable[Site]) -> Values:
    return tuple(dict.fromkeys(site.dialin_url.host for site in sites if site.dialin_url))


def _admin(sites: Iterable[Site]) -> Values:
    return tuple(dict.fromkeys(site.admin_url.host for site in sites if site.admin_url))
