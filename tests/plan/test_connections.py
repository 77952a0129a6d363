"""The list of connections between servers equals the result of comparing all pairs of pools."""

from __future__ import annotations

import pytest
from big_topology import big_table
from places import DATA
from topologies import edge, front_end, plan, row

import lyncnb as ln
from lyncnb.plan.connections import list_connections


def list_connecting_pools(planned):
    """Return one tuple for each connection and connecting pool: the rule, the source, the listening
    pool with its role, and the names.
    """
    pairs = set()
    for item in list_connections(planned):
        if item.speaker in planned.rules.parties:
            speaking = [item.speaker]
        else:
            speaking = [
                pool.fqdn
                for pool in planned.topology.pools
                if pool.role == item.speaker
                and item.site in (None, pool.site)
                and pool != item.listener
            ]
            assert len(speaking) == item.pools
        for speaker in speaking:
            pair = (item.rule.id, speaker, item.listener.fqdn, item.listener.role, item.names)
            assert pair not in pairs
            pairs.add(pair)
    return pairs


def every_pair(planned):
    """Apply each connection rule to every pair of pools, without using lyncnb's code."""
    pairs = set()
    for rule in planned.rules.connections:
        listeners = {}
        for pool in planned.topology.pools:
            names = []
            for certificate in planned.certificates:
                if (certificate.pool, certificate.role) != (pool.fqdn, pool.role):
                    continue
                if certificate.usages and rule.usage not in certificate.usages:
                    continue
                if not certificate.usages and rule.usage:
                    continue
                names += [
                    entry.name
                    for entry in certificate.subject_alt_name
                    if set(entry.reasons) & set(rule.names)
                ]
                if not certificate.subject_alt_name:
                    names += [certificate.subject.common_name]
            is_listener = pool.role in rule.listeners and set(rule.if_all) <= pool.flags
            if is_listener and any(names):
                listeners[pool.fqdn] = (pool, tuple(dict.fromkeys(names)))
        for pool, names in listeners.values():
            for speaker in planned.topology.pools:
                if speaker.role not in rule.speakers or speaker == pool:
                    continue
                near = speaker.site == pool.site or "" in (speaker.site, pool.site)
                others = {other.site for other, _ in listeners.values()}
                alone = speaker.site not in others and "" not in others
                if rule.reach == "deployment" or near or (rule.reach == "nearest" and alone):
                    pairs.add((rule.id, speaker.fqdn, pool.fqdn, pool.role, names))
            for party in set(rule.speakers) & planned.rules.parties.keys():
                pairs.add((rule.id, party, pool.fqdn, pool.role, names))
    return pairs


@pytest.mark.parametrize("sample", ["single-server", "contoso", "litwareinc-global", "big"])
def test_each_connection_is_listed_once(sample):
    """Each connection between two pools is listed once, with the names that the plan contains."""
    source = big_table(60) if sample == "big" else DATA / f"{sample}.csv"
    planned = ln.plan_certificates(ln.read_topology(source), ln.load_rules("lync2013"))
    assert list_connecting_pools(planned) == every_pair(planned) != set()


def test_used_names_are_in_certificates_of_the_listening_pool():
    """Every name that a connection uses is in a certificate of the listening pool."""
    planned = plan(front_end(1), front_end(2), edge(1), edge(2))
    for item in list_connections(planned):
        names = {
            name
            for certificate in planned.certificates
            if certificate.pool == item.listener.fqdn
            for name in (*certificate.names, certificate.subject.common_name)
        }
        assert set(item.names) <= names, item.rule.id


def test_a_site_without_a_pool_connects_to_all_sites():
    """If a site has no Front End pool, its Mediation Servers connect to the pools in all sites."""
    planned = plan(
        front_end(1, site="Taipei"),
        row("ee.fabrikam.com", "FrontEnd", "east.fabrikam.com", site="Hsinchu"),
        row("med.contoso.com", "Mediation", site="Tainan"),
        row("med2.contoso.com", "Mediation", site="Taipei"),
    )
    pairs = {
        (speaker, listener)
        for rule, speaker, listener, _, _ in list_connecting_pools(planned)
        if rule == "mediation-to-pool"
    }
    assert pairs == {
        ("med.contoso.com", "eepool.contoso.com"),
        ("med.contoso.com", "east.fabrikam.com"),
        ("med2.contoso.com", "eepool.contoso.com"),
    }


def test_without_federation_no_partner_connects():
    """If an Edge pool has no federation, lyncnb lists no connection from federated partners, but
    still lists the other external connections.
    """
    ids = {item.rule.id for item in list_connections(plan(front_end(), edge(federation="no")))}
    assert "federation" not in ids
    assert "sip-from-outside" in ids


def test_a_name_that_is_missing_gives_no_connection():
    """If the topology contains no Web Conferencing name, no connection uses such a name."""
    planned = plan(front_end(), edge(webconf_edge_fqdn=""))
    assert "conferencing-from-outside" not in {i.rule.id for i in list_connections(planned)}


def test_a_wildcard_does_not_hide_the_names_that_are_used():
    """Even if the plan uses wildcards, the list of connections shows the names to which clients
    connect, and no wildcards.
    """
    proxy = row("rp.contoso.com", "ReverseProxy", "rp.contoso.com")
    options = ln.PlanOptions(wildcard=True)
    names = {
        item.rule.id: item.names
        for item in list_connections(plan(front_end(), proxy, options=options))
    }
    usual = {item.rule.id: item.names for item in list_connections(plan(front_end(), proxy))}
    assert {*names["web-from-outside"]} == {*usual["web-from-outside"]}
    assert not any(name.startswith("*.") for rule_names in names.values() for name in rule_names)


def test_edge_services_with_one_name_use_different_ports():
    """If the Edge services share one name, Access Edge uses port 5061 and Web Conferencing Edge
    port 444.
    """
    cells = dict.fromkeys(
        ("access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn"), "e.contoso.com"
    )
    for rows, expected in ((edge(**cells), (5061, 444)), (edge(), (443, 443))):
        connections = list_connections(plan(front_end(), rows))
        ports = {item.rule.id: item.rule.port for item in connections}
        assert (ports["sip-from-outside"], ports["conferencing-from-outside"]) == expected
