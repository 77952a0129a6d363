"""A probe connects only to the planned servers and load balancers. It connects to no other server,
even if DNS returns the address of that server.

The system's resolver reads a hosts file (nss_wrapper), so names lead to addresses of the loopback
network. Servers listen there on the real ports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from installed_certificates import MIDNIGHT, authority
from live_servers import Traffic, certificate_for, hang, run_tcp_server, speak_tls, write_pair
from topologies import plan, row

import lyncnb as ln
from lyncnb.probes.targets import list_targets

WRAPPER = next(Path("/usr/lib").glob("*/libnss_wrapper.so"), None)
pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(WRAPPER is None, reason="no libnss-wrapper"),
    pytest.mark.skipif(
        getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can listen on port 443"
    ),
]

#: The addresses in the internal network: servers, and a load balancer for the web services.
INSIDE = {
    "fe01.contoso.com": "127.3.0.1",
    "fe02.contoso.com": "127.3.0.2",
    "fe03.contoso.com": "127.3.0.3",
    "eepool.contoso.com": "127.3.0.1",
    "webint.contoso.com": "127.3.0.9",
    "edge01.contoso.com": "127.3.1.1",
    "edgepool.contoso.com": "127.3.1.1",
    "sip.contoso.com": "127.3.0.1",
    "meet.contoso.com": "127.3.0.9",
    "dialin.contoso.com": "127.3.0.9",
    # Two of the names point to servers of other organizations: a website, and a cloud service that
    # is no longer in use.
    "litwareinc.com": "127.9.0.1",
    "lyncdiscoverinternal.contoso.com": "127.9.0.2",
}
#: The addresses of the names outside the internal network. The A/V Edge service has its own
#: address.
OUTSIDE = {
    "access.contoso.com": "127.4.0.1",
    "webconf.contoso.com": "127.4.0.2",
    "av.contoso.com": "127.4.0.3",
    "sip.contoso.com": "127.4.0.1",
    "proxy01.contoso.com": "127.4.1.1",
    "web.contoso.com": "127.4.1.1",
    "meet.contoso.com": "127.4.1.1",
    "dialin.contoso.com": "127.9.0.1",
    "lyncdiscover.contoso.com": "127.9.0.2",
    "litwareinc.com": "127.9.0.1",
}


@pytest.fixture(scope="module")
def planned() -> ln.CertificatePlan:
    """Return the plan of a pool behind a load balancer, an Edge Server, and a reverse proxy."""
    web = {"web_internal_fqdn": "webint.contoso.com", "web_external_fqdn": "web.contoso.com"}
    edge = {
        "access_edge_fqdn": "access.contoso.com",
        "webconf_edge_fqdn": "webconf.contoso.com",
        "av_edge_fqdn": "av.contoso.com",
        "xmpp_domains": "litwareinc.com",
    }
    url = {"sip_domains": "contoso.com", "meet_urls": "https://meet.contoso.com",
           "dialin_url": "https://dialin.contoso.com"}  # fmt: skip
    return plan(
        *(row(f"fe0{n}.contoso.com", "FrontEnd", "eepool.contoso.com", **web) for n in (1, 2, 3)),
        row("edge01.contoso.com", "Edge", "edgepool.contoso.com", **edge),
        row("proxy01.contoso.com", "ReverseProxy", "proxy01.contoso.com"),
        **url,
    )


@contextmanager
def network(
    planned: ln.CertificatePlan, folder: Path, zone: str, addresses: dict[str, str], **old: bool
) -> Iterator[dict[tuple[str, int], Traffic]]:
    """Run servers for every planned port, every port of unrelated servers, and every TURN port."""
    by_id = {item.id: item for item in planned.certificates}
    traffic_by_port: dict[tuple[str, int], Traffic] = {}
    issuing = authority().issuing
    with ExitStack() as stack:
        for number, target in enumerate(list_targets(planned, zone=zone).ports):
            address = addresses.get(target.host, "")
            if (
                not address
                or (address, target.port) in traffic_by_port
                or address.startswith("127.9")
            ):
                continue
            pairs = []
            for index, identity in enumerate(target.planned):
                is_old = old.get(target.host.partition(".")[0])
                changes = {"begins": MIDNIGHT - timedelta(days=300)} if is_old else {}
                certificate = certificate_for(by_id[identity], **changes)
                pairs.append(write_pair(folder, f"{number}-{index}", certificate, issuing))
            traffic_by_port[address, target.port] = stack.enter_context(
                run_tcp_server(speak_tls(pairs), host=address, port=target.port)
            )
        for address, ports in (
            ("127.9.0.1", (443, 5061, 5269)), ("127.9.0.2", (443, 5061)), ("127.4.0.3", (443, 5061)),
        ):  # fmt: skip
            for port in ports:
                traffic_by_port[address, port] = stack.enter_context(
                    run_tcp_server(hang, host=address, port=port)
                )
        yield traffic_by_port


#: The servers share two cores with other tests, so each gets more time than the default of five
#: seconds. The first lookup is made by one thread: nss_wrapper reads the hosts file then, and a name
#: asked for by a second thread meanwhile has no address.
ASK = """import sys
import lyncnb as ln
from lyncnb.probes.fetch import resolve_name
from lyncnb.base.shown.report import write_report
from lyncnb.probes.result import build_probe_report
table, zone, *also = sys.argv[1:]
resolve_name("localhost")
plan = ln.plan_certificates(ln.read_topology(table), ln.load_rules("lync2013"))
found = ln.probe(plan, zone=zone, also=also, seconds=30)
sys.stdout.buffer.write(write_report(build_probe_report(found), ".json"))
sys.exit(found.exit_status)"""


def run_probe(
    planned: ln.CertificatePlan, folder: Path, zone: str, addresses: dict[str, str], *also
):
    """Probe the servers with the given names and addresses, and return the exit status and the JSON
    report.
    """
    (folder / "servers.csv").write_bytes(planned.topology.to_csv())
    names = folder / "names"
    names.write_text("".join(f"{address} {name}\n" for name, address in addresses.items()))
    process = subprocess.run(
        [sys.executable, "-c", ASK, folder / "servers.csv", zone, *also],
        env={**os.environ, "LD_PRELOAD": str(WRAPPER), "NSS_WRAPPER_HOSTS": str(names)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert process.stdout, process.stderr
    return process.returncode, json.loads(process.stdout)


def check_unplanned_servers(traffic_by_port: dict[tuple[str, int], Traffic]) -> None:
    """Check that the servers outside the plan (the website, the cloud service, and the TURN server)
    received no connection.
    """
    strange = [traffic for (address, _), traffic in traffic_by_port.items() if address in STRANGERS]
    assert len(strange) == 7
    assert [(traffic.connections, traffic.data) for traffic in strange] == [(0, b"")] * 7


STRANGERS = ("127.9.0.1", "127.9.0.2", "127.4.0.3")


def test_internal_servers_are_probed_at_their_addresses(planned, tmp_path):
    """In the internal network, a probe connects to the address of each pool member, so it finds a
    member with an old certificate.
    """
    with network(planned, tmp_path, "inside", INSIDE, fe02=True) as traffic_by_port:
        status, report = run_probe(planned, tmp_path, "inside", INSIDE)
        check_unplanned_servers(traffic_by_port)
    assert status == 1
    different = {line["place"] for line in report["seen"] if line["result"] == "different"}
    assert different == {f"fe02.contoso.com:{port}" for port in (443, 444, 4443, 5061)}
    assert [line for line in report["seen"] if line["result"] in ("refused", "no answer")] == []
    assert (
        "webint.contoso.com:443: the servers with this name presented 3 of 3 certificates"
        in report["notes"]
    )
    notes = "\n".join(report["notes"])
    assert "lyncdiscoverinternal.contoso.com at 127.9.0.2" in notes
    assert traffic_by_port["127.3.0.9", 443].connections == 3
    # In the internal network, sip.contoso.com is the address of the pool. Therefore, the probe does
    # not connect to the Access Edge service, and does not report a difference.
    assert not [line for line in report["seen"] if line["place"].startswith("access.")]


def test_external_probes_use_public_names(planned, tmp_path):
    """Outside the internal network, a probe connects only to the Edge Server and the reverse proxy,
    by their public names.
    """
    with network(planned, tmp_path, "outside", OUTSIDE) as traffic_by_port:
        status, report = run_probe(planned, tmp_path, "outside", OUTSIDE, "no-sni")
        check_unplanned_servers(traffic_by_port)
    seen = {line["place"]: line["result"] for line in report["seen"] if line["place"]}
    assert seen == {
        "access.contoso.com:443": "as planned",
        "access.contoso.com:5061": "as planned",
        "webconf.contoso.com:443": "as planned",
        "web.contoso.com:443": "as planned",
        "meet.contoso.com:443": "as planned",
    }
    assert status == 0
    assert traffic_by_port["127.4.1.1", 443].names == ["web.contoso.com", "meet.contoso.com", None]
    notes = "\n".join(report["notes"])
    for name, address in (("dialin", "127.9.0.1"), ("lyncdiscover", "127.9.0.2")):
        assert f"{name}.contoso.com at {address}" in notes


def test_a_name_without_an_address_has_no_answer(planned, tmp_path):
    """If a server name has no address, the result is "no answer" and the probe fails. The notes
    list the other names without an address.
    """
    status, report = run_probe(planned, tmp_path, "inside", {"edge01.contoso.com": "127.3.1.1"})
    assert status == 1
    line = next(line for line in report["seen"] if line["place"] == "fe01.contoso.com:5061")
    assert (line["result"], line["remarks"]) == (
        "no answer",
        ["the name does not resolve to an IP address"],
    )
    assert "further names cannot be resolved to an address" in "\n".join(report["notes"])
