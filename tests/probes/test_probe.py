"""A probe connects to real servers on loopback, and compares their certificates with the plan."""

from __future__ import annotations

import html
import json
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest
from cas.python_ca import PythonCa, issue
from installed_certificates import MIDNIGHT, authority, key_of
from live_servers import (
    certificate_for,
    hang,
    run_live_servers,
    run_tcp_server,
    show_as_planned,
    speak_tls,
    write_pair,
)
from topologies import TWO_SITES, plan, row

import lyncnb as ln
from lyncnb.errors import OptionsError, PlanError
from lyncnb.probes.result import DIFFERENT, NO_ANSWER, REFUSED
from lyncnb.probes.targets import list_targets

FE = {"web_external_fqdn": "web.contoso.com", "autologon": "no"}


def pool(*servers, **options):
    rows = (row(server, "FrontEnd", "eepool.contoso.com", **FE) for server in servers)
    return plan(*rows, **options)


@pytest.fixture(scope="module")
def two_sites():
    return ln.plan_certificates(ln.read_topology(TWO_SITES.encode()), ln.load_rules())


def find_failures(report):
    """Return the lines of the report that need attention. The host and port of each line are mapped
    to its result and text.
    """
    return {
        line.place: (line.result, " ".join(line.format_lines()))
        for line in report.seen
        if line.is_failure
    }


def test_a_correct_deployment_is_as_planned(two_sites, tmp_path):
    """In a correct deployment, the probe reports every visible certificate as planned, and explains
    why it cannot see the other planned certificates.
    """
    with run_live_servers(two_sites, tmp_path) as servers:
        report = ln.probe(two_sites, hosts=servers.hosts)
    assert report.exit_status == 0
    assert report.counts() == {"as planned": len(servers.traffic), "cannot be seen": 2}
    unseen = {line.id: line.remarks for line in report.seen if not line.place}
    oauth = next(
        certificate.id for certificate in two_sites.certificates if certificate.role == "Deployment"
    )
    assert unseen[oauth] == (
        "The OAuth certificate signs the tokens that servers exchange. No port presents this certificate.",
    )


def test_servers_receive_only_the_handshake(two_sites, tmp_path):
    """Each server receives one connection with the planned name, and no data after the handshake."""
    with run_live_servers(two_sites, tmp_path, mutual=True) as servers:
        report = ln.probe(two_sites, hosts=servers.hosts)
    assert report.exit_status == 0
    names = {target.place: target.name for target in list_targets(two_sites).ports}
    for (host, port), traffic in servers.traffic.items():
        assert (traffic.connections, traffic.data) == (1, b"")
        assert traffic.names == [names[f"{host}:{port}"]]


def test_differences_are_listed_with_their_causes(tmp_path):
    """The report distinguishes missing names, a missing intermediate certificate, CA certificates
    in the wrong order, and an old certificate.
    """
    planned = pool("fe01.contoso.com", "fe02.contoso.com", "fe03.contoso.com")
    ca = authority()

    def show(target, certificate):
        chain = show_as_planned(target, certificate)
        return {
            ("fe01.contoso.com", 443): chain[:1],
            ("fe01.contoso.com", 444): [*chain, ca.root],
            ("fe02.contoso.com", 443): [chain[0], ca.root, ca.issuing],
            ("fe02.contoso.com", 444): [
                certificate_for(certificate, san=certificate.names[:1]),
                ca.issuing,
            ],
            ("fe03.contoso.com", 5061): [
                certificate_for(certificate, begins=MIDNIGHT - timedelta(days=9)),
                ca.issuing,
            ],
        }.get((target.server, target.port), chain)

    with run_live_servers(planned, tmp_path, show=show) as servers:
        report = ln.probe(planned, hosts=servers.hosts)
    failures = find_failures(report)
    assert {result for result, _ in failures.values()} == {DIFFERENT}
    assert sorted(failures) == [
        *("fe01.contoso.com:443", "fe02.contoso.com:443", "fe02.contoso.com:444"),
        "fe03.contoso.com:5061",
    ]
    assert "does not send the intermediate certificate" in failures["fe01.contoso.com:443"][1]
    assert "wrong order" in failures["fe02.contoso.com:443"][1]
    assert "names-missing" in failures["fe02.contoso.com:444"][1]
    assert "shows a newer certificate. Restart" in failures["fe03.contoso.com:5061"][1]
    root = next(line for line in report.seen if line.place == "fe01.contoso.com:444")
    assert root.remarks == ("the server also sends the root certificate, which clients ignore",)


def test_closed_and_silent_ports_have_different_results(tmp_path):
    """A probe reports "refused" for a closed port, and "no answer" for a port that does not
    respond.
    """
    planned = pool("fe01.contoso.com")
    with run_tcp_server(hang) as mute:
        hosts = tmp_path / "hosts.txt"
        hosts.write_text(
            f"fe01.contoso.com 5061 127.0.0.1:{mute.port}\nfe01.contoso.com 444 127.0.0.1:1\n"
        )
        report = ln.probe(planned, hosts=hosts, seconds=0.5)
    failures = find_failures(report)
    assert {endpoint: result for endpoint, (result, _) in failures.items()} == {
        "fe01.contoso.com:5061": NO_ANSWER,
        "fe01.contoso.com:444": REFUSED,
    }
    assert report.exit_status == 1


def test_a_port_with_a_condition_may_be_closed(two_sites, tmp_path):
    """If a port is open only under a condition, the probe does not fail when the port is closed,
    and the report lists the port.
    """
    hosts = tmp_path / "hosts.txt"
    hosts.write_text("edge01.contoso.com 23456 127.0.0.1:1\nmed01.contoso.com 5067 127.0.0.1:1\n")
    report = ln.probe(two_sites, hosts=hosts)
    assert report.counts()["refused"] == 2
    assert report.exit_status == 0


def test_members_behind_one_address_are_counted(tmp_path):
    """Behind a load balancer, the probe distinguishes the pool members by their certificates."""
    planned = pool("fe01.contoso.com", "fe02.contoso.com", "fe03.contoso.com")
    by_server = {
        certificate.servers[0]: certificate
        for certificate in planned.certificates
        if certificate.role == "FrontEnd"
    }
    issuing = authority().issuing
    old = {"begins": MIDNIGHT - timedelta(days=300)}
    pairs = [
        write_pair(tmp_path, server, certificate_for(certificate, **changes), issuing)
        for server, certificate in by_server.items()
        for changes in [old if server == "fe02.contoso.com" else {}]
    ]
    with run_tcp_server(speak_tls(pairs)) as balancer:
        hosts = tmp_path / "hosts.txt"
        hosts.write_text(f"eepool.contoso.com 5061 127.0.0.1:{balancer.port}\n")
        report = ln.probe(planned, hosts=hosts)
    assert balancer.connections == 3
    assert (
        "eepool.contoso.com:5061: the servers with this name presented 3 of 3 certificates"
        in report.notes
    )
    assert report.counts()[DIFFERENT] == 1
    assert "certificate-expired" in find_failures(report)["eepool.contoso.com:5061"][1]


def test_a_name_of_two_pools_may_present_either_certificate(tmp_path):
    """If two reverse proxies publish a name, the address in the hosts file can belong to either of
    them. The report lists the certificate that no address presented.
    """
    planned = plan(
        row("fe01.contoso.com", "FrontEnd", "eepool.contoso.com", site="Taipei", **FE),
        row("rp01.contoso.com", "ReverseProxy", site="Taipei"),
        row("se01.contoso.com", "StandardEdition", site="Hsinchu", web_external_fqdn="se.contoso.com"),
        row("rp02.contoso.com", "ReverseProxy", site="Hsinchu"),
    )  # fmt: skip
    proxies = [item for item in planned.certificates if item.role == "ReverseProxy"]
    assert len(proxies) == 2
    name = "meet.contoso.com"
    for number, proxy in enumerate(proxies):
        assert name in proxy.names
        pair = write_pair(tmp_path, f"proxy{number}", *show_as_planned(None, proxy))
        with run_tcp_server(speak_tls([pair])) as server:
            hosts = tmp_path / "hosts.txt"
            hosts.write_text(f"{name} 443 127.0.0.1:{server.port}\n")
            report = ln.probe(planned, hosts=hosts, zone="outside")
        line = next(line for line in report.seen if line.place)
        assert (line.result, line.id, line.owner) == ("as planned", proxy.id, proxy.pool)
        other = proxies[1 - number]
        unseen = next(line for line in report.seen if line.id == other.id)
        assert (unseen.result, unseen.owner) == ("cannot be seen", other.owner)
        [remark] = unseen.remarks
        assert remark == (
            f"Several certificates are planned for {name}:443, and no response has this one. To "
            "probe each server, use a hosts file with a line for each address."
        )
    assert f"{name}:443: the servers with this name presented 1 of 2 certificates" in report.notes


@pytest.mark.parametrize("at_one_address", [True, False])
def test_an_address_has_one_connection_at_a_time(at_one_address, tmp_path):
    """Ports of one address are probed one after another, and ports of different addresses at the
    same time.
    """
    servers = [f"fe0{number}.contoso.com" for number in range(1, 5)]
    addresses = [f"127.0.0.{1 if at_one_address else number}" for number in range(1, 5)]
    with ExitStack() as stack:
        mutes = [stack.enter_context(run_tcp_server(hang, host=address)) for address in addresses]
        hosts = tmp_path / "hosts.txt"
        hosts.write_text(
            "".join(
                f"{server} 5061 {address}:{mute.port}\n"
                for server, address, mute in zip(servers, addresses, mutes, strict=True)
            )
        )
        start = time.monotonic()
        report = ln.probe(pool(*servers), hosts=hosts, seconds=0.5)
        took = time.monotonic() - start
    assert report.counts()[NO_ANSWER] == 4
    assert (took >= 2) == at_one_address


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fe01.contoso.com 5061", "the line must contain a name, a port and an address"),
        ("fe01.contoso.com 0 127.0.0.1", "the port is not a number from 1 to 65535"),
        ("fe01.contoso.com 70000 127.0.0.1", "the port is not a number"),
        ("fe01.contoso.com 5061 fe01.contoso.com", "the address is not an IPv4 or IPv6 address"),
        ("fe01.contoso.com 5061 127.0.0.1:x", "the address is not"),
        ("fe01.contoso.com 5061 [::1]x", "the address is not"),
        ("fe01/contoso.com 5061 127.0.0.1", "the name is not a host name"),
        ("www.litwareinc.com 443 127.0.0.1", "no TLS port 443 for www.litwareinc.com"),
        ("fe01.contoso.com 5269 127.0.0.1", "no TLS port 5269 for fe01.contoso.com"),
    ],
)
def test_invalid_lines_in_a_hosts_file_are_rejected(line, message, tmp_path):
    """If a hosts file has an invalid line, or a port outside the plan, the probe makes no
    connection.
    """
    hosts = tmp_path / "hosts.txt"
    with run_tcp_server(lambda connection, traffic: None) as server:
        hosts.write_text(f"fe01.contoso.com 444 127.0.0.1:{server.port}\n{line}\n")
        with pytest.raises(OptionsError, match="cannot use") as refused:
            ln.probe(pool("fe01.contoso.com"), hosts=hosts)
    assert message in str(refused.value.problems[0])
    assert refused.value.problems[0].row == 2
    assert server.connections == 0


def test_a_plan_without_reasons_is_refused(tmp_path):
    """A probe rejects a plan that does not contain the reasons for names, because the reasons
    specify which name belongs to which port.
    """
    planned = pool("fe01.contoso.com")
    document = ln.plan_document(planned, ln.check_plan(planned))
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    with pytest.raises(PlanError, match="does not record why it contains each name"):
        ln.probe(ln.read_plan(path))


def test_members_with_different_certificates_are_noted(tmp_path):
    """The notes list servers whose shared certificate differs, and pools with certificates from two
    CAs.
    """
    shared = pool("fe01.contoso.com", "fe02.contoso.com",
                  options=ln.PlanOptions(shared_certificate=("eepool.contoso.com",)))  # fmt: skip
    other, planned = PythonCa("Fabrikam"), shared.certificates[0]
    other_leaf = issue(
        key_of(2048).public_key(), other.issuing.subject, other.key,
        subject=[*planned.subject.fields()], san=planned.names, begins=MIDNIGHT,
    )  # fmt: skip

    def show(target, certificate):
        is_other = target.server == "fe02.contoso.com"
        return [other_leaf, other.issuing] if is_other else show_as_planned(target, certificate)

    with run_live_servers(shared, tmp_path, show=show) as servers:
        report = ln.probe(shared, hosts=servers.hosts)
    notes = report.notes
    (differ,) = (note for note in notes if "must share one certificate" in note)
    assert differ.startswith(
        "The servers in eepool.contoso.com must share one certificate, but present 2 certificates: "
    )
    assert (
        "The servers in eepool.contoso.com show certificates from 2 CAs: "
        "Contoso Issuing CA 1 at fe01.contoso.com; Fabrikam Issuing CA 1 at fe02.contoso.com"
    ) in notes
    page = report._repr_html_()
    assert "Servers and ports" in page
    assert all(html.escape(note) in page.replace("<wbr>", "") for note in notes)
    assert len(report.to_frame()) == len(report.seen)


def test_a_hosts_file_may_contain_ipv6_addresses(tmp_path):
    """In a hosts file, an IPv6 address with a port is written in brackets."""
    planned = pool("fe01.contoso.com")
    chain = show_as_planned(None, planned.certificates[0])
    with run_tcp_server(speak_tls([write_pair(tmp_path, "a", *chain)]), host="::1") as server:
        hosts = tmp_path / "hosts.txt"
        hosts.write_text(f"FE01.contoso.com. 5061 [::1]:{server.port}  # in the lab\n\n# end\n")
        report = ln.probe(planned, hosts=hosts)
    (line,) = (line for line in report.seen if line.place)
    assert (line.result, line.address) == ("as planned", f"[::1]:{server.port}")


def test_a_hosts_file_may_contain_names_as_the_table_does(tmp_path):
    """A hosts file accepts the same spellings of an international name as the table of servers."""
    planned = pool("fe01.kälte.de")
    chain = show_as_planned(None, planned.certificates[0])
    with run_tcp_server(speak_tls([write_pair(tmp_path, "a", *chain)])) as server:
        hosts = tmp_path / "hosts.txt"
        hosts.write_text(f"fe01.kälte.de 5061 127.0.0.1:{server.port}\n", "utf-8")
        report = ln.probe(planned, hosts=hosts)
    (line,) = (line for line in report.seen if line.place)
    assert (line.result, line.place) == ("as planned", "fe01.xn--klte-loa.de:5061")
