"""Look up pools, sites, rules, and required names for the checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import cached_property
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from ..base.dns_name import DnsName
from ..plan.certificate_names import Finder, ResolvedRule, plan_context
from ..plan.issuers import find_settings_by_usage
from ..plan.model import CertificatePlan, PlannedCertificate
from ..rules.ca_rules import contains_known_name, load_ca_rules
from ..rules.model import CheckRule
from ..topology.columns import list_pool_name_columns, list_topology_columns
from ..topology.model import Pool, Site

_NO_TRAITS: frozenset[str] = frozenset()

_NO_RULES: frozenset[str] = frozenset()

#: The required names, and for each name the IDs of the rules that require it.
_RequiredNames = Mapping[DnsName, frozenset[str]]
#: The required names in two parts: functions that find the names for one pool, with the IDs of
#: their rules, and the names that all pools need.
_RequiredParts = tuple[list[tuple[Finder, frozenset[str]]], _RequiredNames]
_NO_REQUIRED_NAMES: _RequiredNames = MappingProxyType({})
#: The roles, usages, issuers, and CAs to which a check applies.
_Scope = tuple[tuple[str, ...], ...]


def _find_scope(rule: CheckRule) -> _Scope:
    return rule.roles, rule.usages, rule.not_for, rule.issuers, rule.cas, rule.not_cas


def _merge_names(names: _RequiredNames, other_names: _RequiredNames) -> _RequiredNames:
    return {
        **names,
        **{
            name: names.get(name, _NO_RULES) | required_by
            for name, required_by in other_names.items()
        },
    }


class _CertificateNames(NamedTuple):
    """The alternative names of a certificate, and the names that the rules require on it."""

    present: frozenset[DnsName]
    wildcards: list[DnsName]
    needed: _RequiredNames
    # Whether a required name is missing. A wildcard can still cover the missing name.
    lacks: bool


_NO_NAMES = _CertificateNames(frozenset(), [], _NO_REQUIRED_NAMES, False)


class PlanView:
    """A plan with lookup tables, which are created once for all of its checks."""

    def __init__(self, plan: CertificatePlan, *, on: date):
        self.plan = plan
        self.on = on
        ours = (rule for rule in plan.rules.checks.values() if rule.applies_on(on))
        self.checks = [*ours, *map(plan.rules.adapt_check, load_ca_rules().list_plan_checks(on))]
        self.certificates = plan.certificates
        self._rules = {rule.id: rule for rule in plan.rules.certificates}
        issuers = plan.options.issuer
        self._requested = {
            rule.id: find_settings_by_usage(rule, issuers) for rule in plan.rules.certificates
        }
        self._wildcards = {
            (rule.role, rule.usages) for rule in plan.rules.certificates if rule.wildcard
        }
        self._issuers: dict[tuple[str, str], dict[str, str]] = {
            (pool.role, computer.fqdn): dict(computer.issuer)
            for pool in plan.topology.pools
            for computer in pool.computers
            if computer.issuer
        }
        self._pools: dict[tuple[str, str], Pool] = {}
        self._internal: dict[str, bool] = {}
        self._by_name: dict[str, list[Pool]] = {}
        self._by_id: dict[str, PlannedCertificate] = {}
        # The names are determined with the default profile and without wildcards, so that they
        # include every name that any profile requires.
        options = replace(plan.options, profile="default", wildcard=False)
        self._context = plan_context(plan.topology, plan.rules, options)
        #: Leaves out the names in SIP domains for internal use only.
        self.exclude_internal = self._context.exclude_internal
        self._asked_about = frozenset(name for rule in self.checks for name in rule.names)
        self._parts: dict[int, _RequiredParts] = {}
        self._asked: dict[_Scope, list[PlannedCertificate]] = {}
        # The positions of all certificates with the same role, usages, issuer, and CA.
        self._list_kinds: dict[tuple[str, tuple[str, ...], str, str], list[int]] = {}
        self._domains: dict[_Scope, list[str]] = {}
        self._last: tuple[PlannedCertificate | None, _CertificateNames] = (None, _NO_NAMES)
        self._with_trait: dict[str, list[Pool]] = {}

    def fill_hint(self, hint: str, subject: str) -> str:
        """Replace the example domains in a hint with the plan's SIP domain and server domain.

        ``subject`` is the server or the certificate that the finding is about.
        """
        topology = self.plan.topology
        if "contoso.com" in hint and topology.sip_domains:
            hint = hint.replace("contoso.com", topology.sip_domains[0])
        if "contoso.net" in hint:
            certificate = self.find_certificate(subject)
            server = certificate.pool if certificate else subject
            servers = (computer.fqdn for _, computer in topology.computers)
            domain = server.partition(".")[2] or next(servers, "").partition(".")[2]
            hint = hint.replace("contoso.net", domain or "contoso.net")
        return hint

    # -- The following methods find pools, certificates, and traits.
    def find_pool(self, certificate: PlannedCertificate) -> Pool | None:
        """Return the pool of a certificate. The deployment's shared certificate has none."""
        if not self._pools:
            self._pools = {(pool.role, pool.fqdn): pool for pool in self.plan.topology.pools}
        return self._pools.get((certificate.role, certificate.pool))

    def find_pools_by_name(self, name: str) -> list[Pool]:
        """Return all pools with the given name. Each collocated role has its own pool."""
        if not self._by_name:
            for pool in self.plan.topology.pools:
                self._by_name.setdefault(pool.fqdn, []).append(pool)
        return self._by_name.get(name, [])

    def find_certificate(self, id_: str) -> PlannedCertificate | None:
        """Return the certificate with the given ID."""
        if not self._by_id:
            self._by_id = {certificate.id: certificate for certificate in self.certificates}
        return self._by_id.get(id_)

    def supports_wildcard(self, certificate: PlannedCertificate) -> bool:
        """Return whether a rule for the role and usages allows wildcards in any profile."""
        return (certificate.role, certificate.usages) in self._wildcards

    def get_traits(self, pool: Pool) -> frozenset[str]:
        """Return the traits that the rules assign to the role of a pool."""
        role = self.plan.rules.roles.get(pool.role)
        return role.traits if role else _NO_TRAITS

    def find_pools_with_trait(self, trait: str) -> list[Pool]:
        """Return the pools whose role has a trait, in the order of the topology."""
        if trait not in self._with_trait:
            roles = {role.id for role in self.plan.rules.roles.values() if trait in role.traits}
            self._with_trait[trait] = [p for p in self.plan.topology.pools if p.role in roles]
        return self._with_trait[trait]

    def applies(self, rule: CheckRule, certificate: PlannedCertificate) -> bool:
        """Return whether a check applies to a certificate, by role, usages, issuer, and CA."""
        return (
            (not rule.roles or certificate.role in rule.roles)
            and (not rule.usages or not set(rule.usages).isdisjoint(certificate.usages))
            and certificate.role not in rule.not_for
            and (not rule.not_for or set(rule.not_for).isdisjoint(certificate.usages))
            and (not rule.issuers or certificate.issuer in rule.issuers)
            and (not rule.cas or contains_known_name(certificate.ca, rule.cas))
            and not (rule.not_cas and contains_known_name(certificate.ca, rule.not_cas))
        )

    def find_certificates(self, rule: CheckRule) -> list[PlannedCertificate]:
        """Return the certificates to which a check applies, in the order of the plan."""
        scope = _find_scope(rule)
        if not any(scope):
            return list(self.certificates)
        if scope not in self._asked:
            if not self._list_kinds:
                for index, c in enumerate(self.certificates):
                    self._list_kinds.setdefault((c.role, c.usages, c.issuer, c.ca), []).append(
                        index
                    )
            alike = self._list_kinds.values()
            applies = (group for group in alike if self.applies(rule, self.certificates[group[0]]))
            indices = sorted(chain.from_iterable(applies))
            self._asked[scope] = [self.certificates[index] for index in indices]
        return self._asked[scope]

    # -- The following methods find names.
    def list_names(self, certificate: PlannedCertificate) -> list[DnsName]:
        """Return a certificate's subject name and alternative names, without duplicates."""
        names = [entry.name for entry in certificate.subject_alt_name]
        subject = DnsName(certificate.subject.common_name)
        return names if not subject or subject in names else [subject, *names]

    def find_uncovered_names(
        self, certificate: PlannedCertificate, rules: tuple[str, ...]
    ) -> list[DnsName]:
        """Return the names that the rules require and that no name on the certificate covers."""
        names = self._load_names(certificate)
        if not names.lacks:
            return []
        rule_ids, present = frozenset(rules), names.present
        return [
            name
            for name, required_by in names.needed.items()
            if rule_ids & required_by and not present & {name, f"*.{name.parent}"}
        ]

    def list_wildcards(self, certificate: PlannedCertificate) -> list[DnsName]:
        """Return the wildcards among a certificate's alternative names."""
        return self._load_names(certificate).wildcards

    def list_features(self, certificate: PlannedCertificate) -> tuple[object, ...] | None:
        """Return the features that affect checks, other than role, usages, issuer, and CA.

        Return None if the certificate has wildcards or a required name is missing. The checks then
        run for this certificate separately.
        """
        names, subject = self._load_names(certificate), certificate.subject
        if names.lacks or names.wildcards:
            return None
        return (
            certificate.key,
            certificate.hash,
            certificate.extended_key_usage,
            subject.organization,
            subject.organizational_unit,
            subject.locality,
            subject.state,
            subject.country,
        )

    def _load_names(self, certificate: PlannedCertificate) -> _CertificateNames:
        # Several checks in a row need the same certificate, so the last result is kept.
        if certificate is not self._last[0]:
            names = [entry.name for entry in certificate.subject_alt_name]
            present, needed = frozenset(names), self._find_required_names(certificate)
            wildcards = [name for name in names if name[:1] == "*"]
            name_sets = _CertificateNames(
                present, wildcards, needed, not present.issuperset(needed)
            )
            self._last = certificate, name_sets
        return self._last[1]

    def _find_required_names(self, certificate: PlannedCertificate) -> _RequiredNames:
        """Return the names that rules require on a certificate, each with the IDs of the rules."""
        pool, needed = self.find_pool(certificate), _NO_REQUIRED_NAMES
        if pool is None:
            return needed
        for resolved in self._context.list_resolved_rules(pool):
            if resolved.rule.usages != certificate.usages:
                continue
            finders, fixed = self._find_required_parts(resolved)
            # Usually, all required names are present, and all pools with the same role need the
            # same names.
            needed = _merge_names(needed, fixed) if needed else fixed
            for find, required_by in finders:
                # The names are the same for every server in the pool, so it is sufficient to look
                # at the first server.
                names = find(pool, pool.computers[0].fqdn)
                needed = (
                    _merge_names(needed, dict.fromkeys(names, required_by)) if names else needed
                )
        return needed

    def _find_required_parts(self, resolved_rule: ResolvedRule) -> _RequiredParts:
        """Return the required names of a resolved rule, which are computed once for all pools."""
        known = self._parts.get(id(resolved_rule))
        if known is None:
            finders = [
                (part.find, self._asked_about.intersection(part.why))
                for part in resolved_rule.parts
                if part.find and not self._asked_about.isdisjoint(part.why)
            ]
            entries = [entry for part in resolved_rule.parts for entry in part.fixed.values()]
            fixed: dict[DnsName, frozenset[str]] = {}
            for name, reasons in entries:
                required_by = self._asked_about.intersection(reasons)
                if required_by:
                    fixed[name] = fixed.get(name, _NO_RULES) | required_by
            known = self._parts[id(resolved_rule)] = (finders, fixed)
        return known

    def list_names_with_trait(self, trait: str) -> set[str]:
        """Return every name on the certificates whose role has the given trait."""
        roles = {role.id for role in self.plan.rules.roles.values() if trait in role.traits}
        return {
            entry.name
            for certificate in self.certificates
            if certificate.role in roles
            for entry in certificate.subject_alt_name
        }

    def is_internal_name(self, name: str) -> bool:
        """Return whether a name does not exist in the public DNS.

        The Public Suffix List is used once for each domain, not for each host, because a name below
        a public name is also public.
        """
        known = self._internal.get(name)
        if known is None:
            parent = name.partition(".")[2]
            known = self._internal[name] = (
                not parent or self.is_internal_name(parent)
            ) and DnsName(name.removeprefix("*.")).is_internal
        return known

    def list_domains(self, rule: CheckRule) -> list[str]:
        """Return the registered domains of all names to which a check applies.

        A name without a registered domain is returned itself.
        """
        scope = _find_scope(rule)
        if scope not in self._domains:
            names = {e.name for c in self.find_certificates(rule) for e in c.subject_alt_name}
            self._domains[scope] = sorted({name.registered_domain or name for name in names})
        return self._domains[scope]

    @cached_property
    def pool_and_server_names(self) -> frozenset[str]:
        """The FQDNs of all pools and servers."""
        pools = self.plan.topology.pools
        return frozenset(p.fqdn for p in pools).union(c.fqdn for p in pools for c in p.computers)

    @cached_property
    def pools_by_first_server(self) -> dict[str, list[Pool]]:
        """The pools that each first server represents (see :meth:`find_representative`)."""
        pools: dict[str, list[Pool]] = {}
        for pool in self.plan.topology.pools:
            pools.setdefault(self.find_representative(pool), []).append(pool)
        return pools

    @cached_property
    def names_in_use(self) -> frozenset[str | None]:
        """The names of all pools and servers, and all names in the table's other columns.

        The names on the certificates come from these. To collect them from 10,000 certificates
        would take a third of the time of a change in the editor.
        """
        topology = self.plan.topology
        names: set[str | None] = {None, *self.pool_and_server_names}
        for column in list_pool_name_columns():
            if column.name in Pool.__dataclass_fields__ and not column.is_list:
                # A table can have 100,000 pools. With map(), the loop runs in C.
                names.update(map(attrgetter(column.name), topology.pools))
        for pool in topology.pools:
            if pool.extra_san or pool.further_names:
                names.update(name for _, name in pool.extra_san)
                names.update(*(names for _, names in pool.further_names))
        for site in self.list_sites():
            urls = (*site.meet_urls, site.dialin_url, site.admin_url)
            names.update(url.host for url in urls if url)
        names.discard(None)
        return frozenset(names)

    # -- The following methods find issuers.
    def list_requested_issuers(self, certificate: PlannedCertificate) -> dict[str, set[str]]:
        """Return the issuers that the options, or otherwise the servers, specify for a certificate.

        Returns
        -------
        dict of str to set of str
            By server, or by "the options".
        """
        if self._requested[certificate.rule]:
            return {"the options": self._requested[certificate.rule]}
        if not self._issuers:
            return {}
        rule = self._rules[certificate.rule]
        roles = rule.needed_by or (rule.role,)
        cells = ((fqdn, self._issuers.get((role, fqdn))) for fqdn in certificate.servers
                 for role in roles)  # fmt: skip
        return {fqdn: find_settings_by_usage(rule, cell) for fqdn, cell in cells if cell}

    def list_issuer_keys(self) -> dict[tuple[str, str], list[str]]:
        """Return the usages and roles that the issuer column contains.

        Returns
        -------
        dict of tuple to list of str
            The servers, by the role of the row and the key. General values are left out.
        """
        servers: dict[tuple[str, str], list[str]] = {}
        for (role, fqdn), cell in self._issuers.items():
            for key in filter(None, cell):
                servers.setdefault((role, key), []).append(fqdn)
        return servers

    # -- The following method finds the server that represents a pool or certificate in a finding.
    def find_representative(self, pool: Pool) -> str:
        """Return the first server in a pool, which represents the pool in a finding."""
        return pool.computers[0].fqdn

    # -- The following methods find sites.
    def list_sites(self) -> tuple[Site, ...]:
        """Return the sites. Sites that share the deployment's simple URLs count as one site."""
        seen: dict[object, Site] = {}
        for site in self.plan.topology.sites:
            seen.setdefault((site.meet_urls, site.dialin_url, site.admin_url), site)
        return tuple(seen.values())

    def list_sites_with_web_services(self) -> Iterator[Site]:
        """Return the sites that have a pool with web services."""
        names = {pool.site for pool in self.find_pools_with_trait("publishes_web")}
        return (site for site in self.plan.topology.sites if site.name in names)

    def find_first_server(self, site: Site) -> str:
        """Return the first server in a site, which represents the site in a finding."""
        pools = [pool for pool in self.plan.topology.pools if pool.site == site.name]
        web = [pool for pool in pools if "publishes_web" in self.get_traits(pool)]
        return self.find_representative((web or pools or self.plan.topology.pools)[0])

    def find_server_with_url(self, site: Site, column: str) -> str:
        """Return the server whose row contains a simple URL of a site.

        The row can be in another site, because a site without its own URL uses the URL in a row
        without a site, or else the URL of the deployment.
        """
        servers = self._servers_with_urls.get(column, {})
        names = (name for name in (site.name, "") if name in servers)
        return servers.get(next(names, next(iter(servers), "")), self.find_first_server(site))

    def has_own_urls(self, site: Site) -> bool:
        """Return whether a row of the site contains a Meet or Dial-in URL."""
        return any(
            site.name and site.name in self._servers_with_urls.get(column, {})
            for column in ("meet_urls", "dialin_url")
        )

    @cached_property
    def _servers_with_urls(self) -> dict[str, dict[str, str]]:
        """By column and site, the first server in the table whose row contains a simple URL."""
        topology = self.plan.topology
        columns = {
            topology.columns.index(column.name): column.name
            for column in list_topology_columns()
            if column.scope == "site" and column.name in topology.columns
        }
        servers: dict[str, dict[str, str]] = {}
        for pool, computer in sorted(topology.computers, key=lambda pair: pair[1].row):
            for index, column in columns.items():
                if topology.cells[computer.row][index]:
                    servers.setdefault(column, {}).setdefault(pool.site, computer.fqdn)
        return servers

    def format_site(self, site: Site) -> str:
        """Format the name of a site as part of a sentence."""
        return f'site "{site.name}"' if site.name else "the deployment"

    # -- The following method formats a text for messages.
    def format_label(self, certificate: PlannedCertificate) -> str:
        """Format the name of a certificate as part of a sentence."""
        owner, usages = certificate.owner, ", ".join(certificate.usages)
        if not usages:
            return f"the {certificate.role} certificate of {owner}"
        return f"the certificate of {owner} for {usages}"
