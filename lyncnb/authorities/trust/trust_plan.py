"""Determine which certificates servers present, and which root certificates they need.

These functions have no side effects. The product's data defines the connections and the documented
trust between their sides (``[[connection]]``, ``[[trust]]``). The plan specifies the CA of each
certificate. If the chains of issued certificates are known, roots are named by subject and
thumbprint; otherwise they are described, for example "root of your internal CA".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ...base.arguments import check_type
from ...base.dns_name import DnsName
from ...plan.connections import Connection, group_certificates_by_pool, list_connections
from ...plan.model import CertificatePlan, PlannedCertificate
from ...plan.totals import build_origin, name_deployment
from ...rules.ca_rules import contains_known_name, load_ca_rules
from ...rules.model import CheckRule, ConnectionRule, TrustRule
from ...topology.model import Computer, Pool
from .trust_tables import (
    CaCertificate,
    Presentation,
    RequiredCa,
    TrustPlan,
    TrustSide,
)

if TYPE_CHECKING:
    from ...pki.certificates import Certificate
else:
    # The class is imported only for type hints, because a trust plan needs no cryptography.
    Certificate = Any

#: The CA certificates that issued each certificate, by the ID of the planned certificate. The
#: direct issuer is first.
Chains: TypeAlias = Mapping[str, Sequence[Certificate]]

_SERVER_AUTH = "serverAuth"
# The largest number of pools with the same role that are listed one by one.
_POOLS_TOLD = 6
# The checks with the date from which CAs no longer issue certificates for client authentication.
_TEST = "client_authentication"


def trust(plan: CertificatePlan, *, chains: Chains | None = None) -> TrustPlan:
    """Return a trust plan: the certificates that servers present, and the roots to install.

    Parameters
    ----------
    plan : CertificatePlan
        The plan for a table. A recorded plan does not show which connections are disabled, so all
        connections are included.
    chains : mapping of str to sequence of Certificate, optional
        The CA certificates above an issued certificate, issuer first, by the id of the planned
        certificate: ``issued.chains``.

    Returns
    -------
    TrustPlan
        Presented certificates by connection; required CA certificates by pool, then by party.

    Notes
    -----
    Each line has a source, or is marked as inferred.
    """
    check_type("trust: plan", plan, CertificatePlan)
    plan = _add_pools(plan)
    return _Planner(plan, chains or {}).plan_trust()


def _add_pools(plan: CertificatePlan) -> CertificatePlan:
    """Return a plan with the pools of its certificates.

    A plan that was read from a record has no pools.
    """
    if plan.topology.pools:
        return plan
    flags = frozenset(flag for rule in plan.rules.connections for flag in rule.if_all)
    by_rule = {rule.id: rule for rule in plan.rules.certificates}
    pools = []
    for (name, role), certificates in group_certificates_by_pool(plan).items():
        if not name or role not in plan.rules.roles:
            continue
        # The extended key usages in the certificates show which options are not set.
        unset = {
            flag
            for certificate in certificates
            if certificate.rule in by_rule
            for flag, usages in by_rule[certificate.rule].extended_key_usage_if.items()
            if not set(usages) <= set(certificate.extended_key_usage)
        }
        servers = dict.fromkeys(
            server for certificate in certificates for server in certificate.servers
        )
        pools.append(
            Pool(
                fqdn=DnsName(name),
                role=role,
                site=certificates[0].site,
                computers=tuple(Computer(fqdn=DnsName(server), row=0) for server in servers),
                flags=flags - unset,
            )
        )
    pools.sort(key=lambda pool: (pool.site, pool.role, pool.fqdn))
    return replace(plan, topology=replace(plan.topology, pools=tuple(pools)))


#: Each key contains a role or another party, and a pool or a site. The site is None for all sites.
_Who = tuple[str, str | None, str | None]
# The marker that replaces the name of the pool if a role's pools have different CAs.
_SOME = "some"
_OWN: tuple[_Who, str] = (("", None, None), "chain of the server's own certificate")


@dataclass(slots=True)
class _Need:
    """The reasons why a server or another party needs a CA certificate."""

    ca: CaCertificate
    # Each key contains the owner of a certificate that must be verified, and the certificate's
    # description. The values name the parties that verify it or, for a server's own certificate,
    # its usages.
    reasons: dict[tuple[_Who, str], dict[str, None]] = field(default_factory=dict)
    trust_rules: dict[str, TrustRule] = field(default_factory=dict)
    whens: set[str] = field(default_factory=set)

    def add_reason(
        self,
        reason: tuple[_Who, str],
        trust_rule: TrustRule,
        *,
        verifier: str = "",
        condition: str = "",
    ) -> None:
        self.reasons.setdefault(reason, {})[verifier] = None
        self.trust_rules[trust_rule.id] = trust_rule
        self.whens.add(condition)

    def merge_pools(self) -> None:
        """Combine the lines for many pools of one role into one line."""
        kinds = Counter(kind for (kind, _, pool), _ in self.reasons if pool and pool != _SOME)
        for kind, number in kinds.items():
            if number > _POOLS_TOLD:
                several = [
                    key
                    for key in self.reasons
                    if key[0][0] == kind and key[0][2] not in (None, _SOME)
                ]
                by = dict.fromkeys(name for key in several for name in self.reasons.pop(key))
                words = f"{kind}, {number:,} pools"
                self.reasons[(kind, None, words), words] = by

    def list_reasons(self) -> Iterator[str]:
        """Yield the reasons why a CA certificate is needed.

        A reason for a single pool is omitted if the same reason applies to all pools.
        """
        of_all = {owner[:2]: by.keys() for (owner, _), by in self.reasons.items() if not owner[2]}
        for reason, by in self.reasons.items():
            kind, site, pool = reason[0]
            if pool and any(
                by.keys() <= of_all.get((kind, scope), set()) for scope in (site, None)
            ):
                continue
            words = reason[1] if reason == _OWN else f"verify the certificate of {reason[1]}"
            yield f"{words} ({', '.join(by)})"

    def add_reasons_from(self, other_need: _Need) -> None:
        for reason, by in other_need.reasons.items():
            self.reasons.setdefault(reason, {}).update(by)
        self.trust_rules |= other_need.trust_rules
        self.whens |= other_need.whens


#: Each item contains a root, a planned certificate that chains to the root, and the IDs of all
#: certificates with the same properties.
_Shown = tuple[tuple[CaCertificate, PlannedCertificate, tuple[str, ...]], ...]
_Needs = dict[_Who, dict[CaCertificate, _Need]]


class _Planner:
    """A planner for presented certificates and for the CA certificates that servers need."""

    def __init__(self, plan: CertificatePlan, chains: Chains):
        self.plan = plan
        self.rules = plan.rules
        self.chains = chains
        self.by_pool = group_certificates_by_pool(plan)
        self.pools: dict[tuple[str, str | None], list[Pool]] = {}
        for pool in plan.topology.pools:
            self.pools.setdefault((pool.role, pool.site), []).append(pool)
            self.pools.setdefault((pool.role, None), []).append(pool)
        self.needs: _Needs = {}
        self.endings: dict[str, CheckRule | None] = {}
        self.trust_rules: dict[str, TrustRule] = {}
        self.shown: dict[tuple[str, str | None, str | None, str], _Shown] = {}

    def plan_trust(self) -> TrustPlan:
        trusts: dict[str, list[TrustRule]] = {}
        for rule in self.rules.trusts:
            for connection in rule.connections:
                trusts.setdefault(connection, []).append(rule)
        presentations = [
            presentation
            for connection in list_connections(self.plan)
            for presentation in self._find_presentations(
                connection, trusts.get(connection.rule.id, [])
            )
        ]
        for needs in self.needs.values():
            for need in needs.values():
                need.merge_pools()
        required = (*self._list_pool_cas(), *self._list_party_cas())
        return TrustPlan(
            product=self.rules.product,
            title=self.rules.title,
            source=self.plan.topology.source,
            deployment=name_deployment(self.plan),
            origin=build_origin(self.plan),
            plan_sha256=self.plan.sha256,
            presentations=tuple(presentations),
            required=required,
            statements=tuple(self.trust_rules.values()),
        )

    # --- The following methods determine which certificates are presented.

    def _find_presentations(
        self, connection: Connection, trust_rules: Sequence[TrustRule]
    ) -> Iterator[Presentation]:
        rule, listener = connection.rule, connection.listener
        speaker = (connection.speaker, connection.site, None)
        listening = (listener.role, listener.site, str(listener.fqdn))
        first = trust_rules[0] if trust_rules else _build_general_rule(rule)
        own = self._list_pool_certificates(listener, rule.usage)
        usages: tuple[str, ...] = (_SERVER_AUTH,)
        yield from self._present_certificates(
            connection, first, own, listening, speaker, usages, "server"
        )
        for trusted in trust_rules:
            if trusted.speaker_eku:
                theirs = self._list_initiator_certificates(connection)
                usages = trusted.speaker_eku
                yield from self._present_certificates(
                    connection, trusted, theirs, speaker, listening, usages
                )
            if trusted.listener_eku:
                usages = trusted.listener_eku
                yield from self._present_certificates(
                    connection, trusted, own, listening, speaker, usages
                )

    def _list_pool_certificates(self, pool: Pool, usage: str) -> _Shown:
        return self._group_certificates_by_root(
            (pool,), usage, (pool.role, pool.site, str(pool.fqdn), usage)
        )

    def _list_initiator_certificates(self, connection: Connection) -> _Shown | None:
        """Return the certificates that the side that initiates a connection can present.

        For another party, return None.
        """
        role, site, usage = connection.speaker, connection.site, connection.rule.speaker_usage
        if role in self.rules.parties:
            return None
        return self._group_certificates_by_root(
            self.pools.get((role, site), ()), usage, (role, site, None, usage)
        )

    def _find_pool_certificates(self, pool: Pool) -> tuple[PlannedCertificate, ...]:
        """Return the certificates that belong to a pool.

        A collocated role uses the certificates of its host role.
        """
        hosts = self.rules.roles[pool.role].hosted_by
        keys = ((pool.fqdn, role) for role in (pool.role, *hosts))
        return next((self.by_pool[key] for key in keys if key in self.by_pool), ())

    def _group_certificates_by_root(
        self, pools: Sequence[Pool], usage: str, key: tuple[str, str | None, str | None, str]
    ) -> _Shown:
        """Group the certificates for a usage by their root and extended key usages."""
        if key not in self.shown:
            groups: dict[tuple[CaCertificate, tuple[str, ...]], list[PlannedCertificate]] = {}
            for pool in pools:
                for held_certificate in self._find_pool_certificates(pool):
                    if usage in held_certificate.usages or not (usage or held_certificate.usages):
                        key_of = (
                            self._find_root(held_certificate),
                            held_certificate.extended_key_usage,
                        )
                        groups.setdefault(key_of, []).append(held_certificate)
            self.shown[key] = tuple(
                (root, group[0], tuple(member.id for member in group))
                for (root, _), group in groups.items()
            )
        return self.shown[key]

    def _present_certificates(
        self,
        connection: Connection,
        trust_rule: TrustRule,
        certificates: _Shown | None,
        presenter: _Who,
        verifier: _Who,
        requested_usages: tuple[str, ...],
        side: str = "client",
    ) -> Iterator[Presentation]:
        """Yield the certificates that one side of a connection presents, but only one per root."""
        rule = connection.rule
        presentation = partial(
            Presentation,
            connection=rule.id,
            presenter=self._build_trust_side(presenter),
            verifier=self._build_trust_side(verifier),
            shown_as=side,
            asked=requested_usages,
            protocol=rule.protocol,
            port=rule.port,
            when=rule.when,
            statement=trust_rule.id,
            why=trust_rule.why,
            source=trust_rule.source,
        )
        if certificates is None:
            root = CaCertificate(issuer="party", title=self.rules.parties[presenter[0]].root)
            self._add_need(verifier, root, presenter, trust_rule, rule)
            yield presentation(root=root)
            return
        for root, certificate, ids in certificates:
            if trust_rule.only_if_planned and not set(requested_usages) <= set(
                certificate.extended_key_usage
            ):
                continue
            self._add_need(
                verifier, root, presenter, trust_rule, rule, is_only_ca=len(certificates) == 1
            )
            deadline = self._find_client_auth_deadline(certificate) if side == "client" else None
            yield presentation(
                root=root,
                certificates=ids,
                subject=certificate.subject.common_name,
                usages=certificate.usages,
                names=connection.names if side == "server" else (),
                planned=certificate.extended_key_usage,
                issuer=certificate.issuer,
                client_auth_ends=deadline.effective if deadline else None,
                ending=deadline.code if deadline else "",
                ending_source=deadline.source if deadline else "",
                ending_disputed=deadline.disagreement if deadline and deadline.cas else "",
            )

    def _build_trust_side(self, party: _Who) -> TrustSide:
        role, site, pool = party
        return TrustSide(role=role, site=site, pool=pool or "", words=self._describe_side(party))

    def _describe_side(self, party: _Who) -> str:
        kind, site, pool = party
        if kind in self.rules.parties:
            return self.rules.parties[kind].title
        if pool:
            return f"{kind} {pool}"
        pools = self.pools.get((kind, site), [])
        if len(pools) == 1:
            return f"{kind} {pools[0].fqdn}"
        return f"{kind}, {len(pools):,} pools" + (f" at site {site}" if site else "")

    def _find_client_auth_deadline(self, certificate: PlannedCertificate) -> CheckRule | None:
        """Return the first rule that stops a CA from issuing client authentication certificates."""
        if certificate.issuer != "public":
            return None
        if certificate.ca not in self.endings:
            dated = [
                rule
                for rule in load_ca_rules().map_checks_by_code().values()
                if rule.test == _TEST
                and rule.severity == "error"
                and rule.effective
                and certificate.issuer in rule.issuers
                and (not rule.cas or contains_known_name(certificate.ca, rule.cas))
            ]
            dated.sort(key=lambda rule: rule.effective or date.max)
            self.endings[certificate.ca] = dated[0] if dated else None
        return self.endings[certificate.ca]

    # --- The following methods determine which CA certificates the other side of a connection
    # needs.

    def _add_need(
        self,
        party: _Who,
        ca: CaCertificate,
        presenter: _Who,
        trust_rule: TrustRule,
        rule: ConnectionRule,
        *,
        is_only_ca: bool = True,
    ) -> None:
        """Add a reason why a server or another party needs a CA certificate.

        If ``is_only_ca`` is true, this CA issued all presented certificates.
        """
        self.trust_rules[trust_rule.id] = trust_rule
        need = self.needs.setdefault(party, {}).setdefault(ca, _Need(ca))
        by = f"{rule.protocol} {rule.port}" + (f" {rule.when}" if rule.when else "")
        kind, site, pool = presenter
        pools = [] if pool else self.pools.get((kind, site), [])
        words = self._describe_side(presenter)
        if len(pools) == 1:
            presenter = (kind, pools[0].site, str(pools[0].fqdn))
        elif pools and not is_only_ca:
            presenter, words = (kind, site, _SOME), f"some of {words}"
        need.add_reason((presenter, words), trust_rule, verifier=by, condition=rule.when)

    def _find_root(self, certificate: PlannedCertificate) -> CaCertificate:
        path = self.chains.get(certificate.id, ()) if self.chains else ()
        if path and path[-1].is_self_issued:
            return describe_known_ca(path[-1], certificate.issuer, certificate.ca)
        return CaCertificate(
            issuer=certificate.issuer,
            ca=certificate.ca,
            title=_describe_ca(certificate.issuer, certificate.ca),
        )

    def _list_own_chain(self, certificate: PlannedCertificate) -> Iterator[CaCertificate]:
        """Yield the CA certificates above a certificate, starting with the root."""
        path = self.chains.get(certificate.id, ()) if self.chains else ()
        root = self._find_root(certificate)
        yield root
        if not path:
            yield replace(
                root,
                title=f"intermediate CA certificates below the {root.title}, if any",
                is_root=False,
            )
        for issuer in reversed(path):
            if not issuer.is_self_issued:
                yield describe_known_ca(issuer, certificate.issuer, certificate.ca)

    def _list_pool_cas(self) -> Iterator[RequiredCa]:
        rules_by_role = {role: rule for rule in self.rules.trusts for role in rule.roles}
        shared = self._index_shared_certificates()
        for pool in self.plan.topology.pools:
            needs: dict[CaCertificate, _Need] = {}
            certificates = (*self._find_pool_certificates(pool), *shared(pool.role))
            if not certificates:
                continue  # The servers of a pool without TLS need no CA certificate.
            trust_rule = rules_by_role.get(pool.role) or _build_general_chain_rule(pool.role)
            self.trust_rules[trust_rule.id] = trust_rule
            for certificate in certificates:
                for ca in self._list_own_chain(certificate):
                    purpose = ", ".join(certificate.usages) or certificate.subject.common_name
                    need = needs.setdefault(ca, _Need(ca))
                    need.add_reason(_OWN, trust_rule, verifier=purpose)
            for party in (
                (pool.role, pool.site, str(pool.fqdn)),
                (pool.role, pool.site, None),
                (pool.role, None, None),
            ):
                for ca, other in self.needs.get(party, {}).items():
                    needs.setdefault(ca, _Need(ca)).add_reasons_from(other)
            role = self.rules.roles[pool.role]
            servers = tuple(str(computer.fqdn) for computer in pool.computers)
            # Root certificates come first, because an intermediate certificate is useless without
            # its root.
            for need in sorted(needs.values(), key=lambda item: not item.ca.is_root):
                yield _build_required_ca(need, role.id, role.title, str(pool.fqdn), servers)

    def _index_shared_certificates(self) -> Callable[[str], list[PlannedCertificate]]:
        """Return a function that finds the certificates shared by all servers with a role."""
        by_rule = {rule.id: rule for rule in self.rules.certificates}
        shared = [c for c in self.plan.certificates if not c.pool and c.rule in by_rule]

        def list_certificates_for_role(role: str) -> list[PlannedCertificate]:
            return [c for c in shared if role in by_rule[c.rule].needed_by]

        return list_certificates_for_role

    def _list_party_cas(self) -> Iterator[RequiredCa]:
        for party in self.rules.parties.values():
            for need in self.needs.get((party.id, None, None), {}).values():
                yield _build_required_ca(need, party.id, party.title, "", ())


def describe_known_ca(certificate: Certificate, issuer: str, ca: str) -> CaCertificate:
    """Describe a known CA certificate by its subject and thumbprints."""
    return CaCertificate(
        issuer=issuer,
        ca=ca,
        title=certificate.subject_text,
        thumbprint=certificate.thumbprint,
        sha256=certificate.sha256,
        is_root=certificate.is_self_issued,
    )


def _describe_ca(issuer: str, ca: str) -> str:
    title = "root of the public CA" if issuer == "public" else "root of your internal CA"
    return f"{title} ({ca})" if ca else title


def _build_required_ca(
    need: _Need, role: str, title: str, pool: str, servers: tuple[str, ...]
) -> RequiredCa:
    documents = [
        part for trust_rule in need.trust_rules.values() for part in trust_rule.source.split("; ")
    ]
    return RequiredCa(
        ca=need.ca,
        role=role,
        title=title,
        pool=pool,
        servers=servers,
        reasons=tuple(need.list_reasons()),
        statements=tuple(need.trust_rules),
        source="; ".join(dict.fromkeys(documents)),
        when="" if "" in need.whens else "; ".join(sorted(need.whens)),
    )


def _build_general_rule(rule: ConnectionRule) -> TrustRule:
    """Return the general rule for TLS clients.

    It applies to connections that no document describes.
    """
    return TrustRule(
        id=rule.id,
        why="A TLS client needs the root of the certificate that the server presents.",
        source=f"Inferred: RFC 5280 section 6, and {rule.source.replace('; ', ', ')}",
        connections=(rule.id,),
    )


def _build_general_chain_rule(role: str) -> TrustRule:
    return TrustRule(
        id=role,
        why="A server sends the chain of its certificate to each client.",
        source="Inferred: RFC 8446 section 4.4.2",
        roles=(role,),
    )
