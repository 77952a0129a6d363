"""The list of ports to probe is calculated from the plan and the rules, without a connection."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime

import pytest
from live_servers import hang, run_tcp_server
from places import DATA
from random_plans import random_plan
from topologies import edge, front_end, plan, row

import lyncnb as ln
from lyncnb.errors import OptionsError, RulesError
from lyncnb.probes.ask import Answer, probe_ports
from lyncnb.probes.evaluate import Evaluator, FolderFacts, read_sightings
from lyncnb.probes.fetch import Handshake
from lyncnb.probes.targets import ALSO, list_targets
from lyncnb.rules.rule_files import list_products, parse_rules, read_product_texts


@pytest.fixture(scope="module")
def contoso():
    return ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), ln.load_rules())


def probed_ports(planned, **choices):
    """Return the host, the port, and the server name for each port to probe."""
    return {
        (target.host, target.port, target.name) for target in list_targets(planned, **choices).ports
    }


@pytest.mark.parametrize("zone", ["inside", "outside"])
def test_ports_without_tls_are_not_probed(contoso, zone):
    """A probe never connects to ports without TLS: TURN, XMPP, SIP, HTTP, file shares and
    databases.
    """
    ports = {
        (target.role, target.port) for target in list_targets(contoso, zone=zone, extras=ALSO).ports
    }
    assert not {3478, 5060, 5068, 5269, 8080, 445, 1433, 80} & {port for _, port in ports}
    hosts = set(list_targets(contoso, zone=zone, extras=ALSO).hosts)
    pools = [pool for pool in contoso.topology.pools if pool.av_edge_fqdn]
    assert pools
    assert hosts.isdisjoint(str(pool.av_edge_fqdn) for pool in pools)


def test_the_zone_decides_which_names_are_probed(contoso):
    """In the internal network, a probe connects to the servers' names. Outside, it connects only to
    the published names.
    """
    inside, outside = (list_targets(contoso, zone=zone) for zone in ("inside", "outside"))
    assert {target.role for target in outside.ports} == {"Edge", "ReverseProxy"}
    assert not any(target.server for target in outside.ports)
    assert {target.role for target in inside.ports if target.server} >= {
        "Edge",
        "FrontEnd",
        "Mediation",
    }
    assert "ReverseProxy" not in {target.role for target in inside.ports}


def test_every_certificate_is_probed_or_has_a_reason(contoso):
    """Each planned certificate is presented at a port in one of the zones, or is listed as a
    certificate that no port presents.
    """
    all_targets = [list_targets(contoso, zone=zone) for zone in ("inside", "outside")]
    behind = {
        identity for targets in all_targets for port in targets.ports for identity in port.planned
    }
    never = {entry.id for entry in all_targets[0].unseen} & {
        entry.id for entry in all_targets[1].unseen
    }
    assert behind | never == {certificate.id for certificate in contoso.certificates}
    assert not behind & never
    assert {entry.why for entry in all_targets[0].unseen if entry.id in never} <= {
        rule.why for rule in contoso.rules.unseen
    }


def test_host_names_are_sent_instead_of_wildcards():
    """If the plan uses wildcards, the probe sends the actual host names and no wildcard."""
    proxy = row("rp.contoso.com", "ReverseProxy", "rp.contoso.com")
    planned = plan(front_end(), proxy, options=ln.PlanOptions(wildcard=True))
    certificate = next(
        candidate for candidate in planned.certificates if candidate.role == "ReverseProxy"
    )
    assert any(name.startswith("*.") for name in certificate.names)
    names = {name for _, _, name in probed_ports(planned, zone="outside")}
    assert {"meet.contoso.com", "meet.fabrikam.com", "dialin.contoso.com"} <= names
    assert not any(name.startswith("*") for name in names)


def test_an_edge_pool_with_one_name_uses_different_ports():
    """If an Edge pool has only one name, Access Edge uses port 5061 and Web Conferencing Edge port
    444. Otherwise both use 443.
    """
    names = dict.fromkeys(
        ("access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn"), "e.contoso.com"
    )
    shared = probed_ports(plan(front_end(), edge(**names)), zone="outside")
    assert shared == {(*("e.contoso.com", port), "e.contoso.com") for port in (5061, 444)}
    several = plan(front_end(), edge())
    (pool,) = (pool for pool in several.topology.pools if pool.role == "Edge")
    assert {(host, port) for host, port, _ in probed_ports(several, zone="outside")} == {
        (pool.access_edge_fqdn, 443),
        (pool.access_edge_fqdn, 5061),
        (pool.webconf_edge_fqdn, 443),
    }


def test_further_ports_are_probed_only_if_selected(contoso):
    """Probes with TLS 1.0, probes without a server name, and probes of additional services are made
    only if the user selects them.
    """
    usual = list_targets(contoso)
    services = list_targets(contoso, extras="services")
    extra_ports = {target.port for target in services.ports} - {
        target.port for target in usual.ports
    }
    assert extra_ports >= {5063, 5065, 5071, 5072, 5073, 5075, 5076, 8404}
    assert all(target.condition for target in services.ports if target.port in extra_ports)
    twice = list_targets(contoso, extras=["tls1.0"]).ports
    assert len(twice) == 2 * len(usual.ports)
    assert all(target.condition for target in twice if target.is_tls10)
    unnamed = list_targets(contoso, zone="outside", extras=["no-sni"]).ports
    assert {target.role for target in unnamed if not target.name} == {"ReverseProxy"}


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"zone": "perimeter"}, 'cannot probe from the zone "perimeter"'),
        ({"extras": ["ssl3"]}, '"ssl3" is not a valid value for the option "also"'),
    ],
)
def test_an_unknown_choice_is_refused(contoso, choices, told):
    """If a zone or an option is unknown, the error message lists the known values."""
    with pytest.raises(OptionsError, match=told):
        list_targets(contoso, **choices)


@pytest.mark.parametrize(
    "numbers", [{"parallel": 0}, {"parallel": 257}, {"seconds": 0}, {"seconds": 61}]
)
def test_impossible_numbers_are_refused(contoso, numbers):
    """The number of parallel connections and the timeout have upper and lower limits."""
    with pytest.raises(OptionsError, match=f"{next(iter(numbers))} is .*, which is out of range"):
        ln.probe(contoso, **numbers)


@pytest.mark.parametrize("product", list_products())
def test_each_port_of_a_product_has_a_source(product):
    """In each built-in product, the rules about ports and the rules about certificates that no port
    presents have a source.
    """
    rules = ln.load_rules(product)
    assert rules.ports
    assert all(rule.source for rule in (*rules.ports, *rules.unseen))
    assert all(rule.why.endswith(".") for rule in rules.unseen)


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ('roles = ["Mediation"]\nusage = "Default"\nnames = ["pool-name", "server-name"]\nport = 5070',
         'roles = ["Mediator"]\nusage = "Default"\nnames = ["pool-name"]\nport = 5070', "roles"),
        ('anchors = ["web-internal"]', 'anchors = ["web-inside"]', "anchors"),
        ('zone = "outside"', 'zone = "Internet"', "zone"),
        ('also = "services"', 'also = "all"', "also"),
        ('if_all = ["federation"]', 'if_all = ["federated"]', "if_all"),
        ('roles = ["ExchangeOWA"]\nwhy', 'roles = ["OWA"]\nwhy', "roles"),
    ],
)  # fmt: skip
def test_unknown_values_in_a_port_rule_are_reported(before, after, field):
    """The error message gives the location of an unknown role, name, zone, option or flag in the
    rules for ports.
    """
    texts = dict(read_product_texts("lync2013"))
    assert before in texts["lync2013/ports.toml"]
    texts["lync2013/ports.toml"] = texts["lync2013/ports.toml"].replace(before, after, 1)
    with pytest.raises(RulesError) as refused:
        parse_rules(texts, source="lync2013")
    assert any(f".{field}" in str(problem) for problem in refused.value.problems)


def test_a_stopped_probe_keeps_its_results(tmp_path):
    """If a probe is stopped, it keeps its results, and lists the remaining ports as not probed."""
    planned = plan(row("fe01.contoso.com", "FrontEnd", "eepool.contoso.com"))
    hosts, stop, steps = tmp_path / "hosts.txt", threading.Event(), []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))
        stop.set()

    with run_tcp_server(hang) as mute:
        hosts.write_text(
            f"fe01.contoso.com 444 127.0.0.1:1\nfe01.contoso.com 5061 127.0.0.1:{mute.port}\n"
        )
        report = ln.probe(planned, hosts=hosts, progress=progress, stop=stop, seconds=2)
    assert report.cancelled
    assert report.exit_status == 1
    assert steps[0] == (1, 2)
    assert {line.place: line.remarks for line in report.seen if line.place} == {
        "fe01.contoso.com:444": ("no service listens on the port",),
        "fe01.contoso.com:5061": (
            "lyncnb did not connect to this port, because the probe was stopped",
        ),
    }
    assert report.summary().endswith("the probe was stopped")


def test_ctrl_c_stops_the_probe_and_keeps_its_results(tmp_path):
    """If the user presses Ctrl+C during a probe, the probe stops and keeps its results."""
    planned = plan(row("fe01.contoso.com", "FrontEnd", "eepool.contoso.com"))
    hosts = tmp_path / "hosts.txt"

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    hosts.write_text("fe01.contoso.com 444 127.0.0.1:1\n")
    answers = probe_ports(list_targets(planned, hosts=hosts), progress=interrupt)
    assert answers.cancelled
    assert [answer.handshake.outcome for answer in answers.answers] == ["refused"]


@pytest.mark.parametrize("seed", range(40))
def test_random_plans_probe_only_planned_servers(seed):
    """For random plans, the probe connects only to planned hosts and names, and expects a
    certificate of the right server on each port.
    """
    planned = random_plan(random.Random(seed))
    by_id = {certificate.id: certificate for certificate in planned.certificates}
    servers = {str(computer.fqdn) for pool in planned.topology.pools for computer in pool.computers}
    media = {str(pool.av_edge_fqdn) for pool in planned.topology.pools if pool.av_edge_fqdn}
    for zone in ("inside", "outside"):
        targets = list_targets(planned, zone=zone, extras=ALSO)
        for port in (*targets.ports, *targets.lookups):
            assert port.planned
            certificates = [by_id[identity] for identity in port.planned]
            if port.server:
                assert port.server in servers
                assert all(port.server in certificate.servers for certificate in certificates)
            names = {name for certificate in certificates for name in certificate.names}
            names |= {certificate.subject.common_name for certificate in certificates}
            parent = f"*.{port.name.partition('.')[2]}"
            assert not port.name or {port.name, parent} & names
            assert (port.host, port.port) not in {(name, 443) for name in media}


def test_a_server_with_two_roles_is_probed_once():
    """If a Front End Server is also in a Mediation pool, the probe does not treat the server as a
    separate Mediation Server.
    """
    planned = plan(
        row("fe01.contoso.com", "FrontEnd", "eepool.contoso.com"),
        row("fe01.contoso.com", "Mediation", "eepool.contoso.com"),
        row("med01.contoso.com", "Mediation", "medpool.contoso.com"),
    )
    mediation = {
        target.host for target in list_targets(planned).ports if target.role == "Mediation"
    }
    assert "med01.contoso.com" in mediation
    assert "fe01.contoso.com" not in mediation


def test_a_certificate_that_cannot_be_read_is_different(contoso):
    """If TLS accepts a certificate that cannot be parsed, the report has a line about it, and the
    probe does not fail.
    """
    targets = list_targets(contoso)
    target = targets.ports[0]
    handshake = Handshake(outcome="shown", chain=(b"0\x82\x00\x05junk!",))
    seen = read_sightings([Answer(target=target, handshake=handshake, address="192.0.2.1", port=1)])
    evaluator = Evaluator(
        plan=contoso, folder=FolderFacts(), sightings=seen, at=datetime(2026, 11, 25, tzinfo=UTC)
    )
    line = evaluator.list_lines(targets)[0]
    assert line.result == "different"
    assert line.remarks[0].startswith("the certificate cannot be read: ")
