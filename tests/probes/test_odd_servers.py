"""Probes give the right result for servers that use different TLS libraries, and for servers with
faulty responses.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cas.python_ca import der, pem
from cryptography import x509
from free_ports import free_port
from installed_certificates import authority, issue_planned
from live_servers import (
    Traffic,
    certificate_for,
    hang,
    run_tcp_server,
    show_as_planned,
    speak_tls,
    write_pair,
)
from topologies import plan, row

import lyncnb as ln
from lyncnb.base.shown.report import write_report
from lyncnb.base.shown.terminal_text import format_report
from lyncnb.probes.fetch import (
    NO_ANSWER,
    REFUSED,
    SHOWN,
    fetch_chain,
    read_unverified_chain,
    resolve_name,
)
from lyncnb.probes.result import PROBE_FILE, build_probe_report

pytestmark = pytest.mark.tools

#: The number of hosts to probe, a tenth of which do not respond. CI probes a tenth as many hosts as
#: a full test.
HOSTS = int(os.environ.get("LYNCNB_PROBED_HOSTS", "50"))
NAME = "fe01.contoso.com"


@pytest.fixture(scope="module")
def leaf() -> x509.Certificate:
    """Return a server certificate of the test CA."""
    planned = plan(row(NAME, "FrontEnd", "eepool.contoso.com"))
    return certificate_for(planned.certificates[0])


@pytest.fixture(scope="module")
def pair(leaf, tmp_path_factory) -> Path:
    """Write the key and the certificate chain of a server."""
    return write_pair(tmp_path_factory.mktemp("pair"), NAME, leaf, authority().issuing)


@contextmanager
def program(*command: object, ready: str, port: int = 0) -> Iterator[int]:
    """Run a server program, wait until its output matches a pattern, and yield its port."""
    with subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            for line in process.stdout:
                if match := re.search(ready, line.decode()):
                    yield port or int(match[1])
                    break
            else:
                raise AssertionError(f"{command[0]} did not start")
        finally:
            process.kill()


def s_server(pair: Path, *options: object) -> object:
    """Run OpenSSL's test server on a port that the system assigns."""
    above = pair.with_name("above.pem")
    above.write_bytes(pem(authority().issuing))
    command = ("openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", pair, "-key", pair)
    return program(*command, "-cert_chain", above, *options, ready=r"ACCEPT .*:(\d+)")


@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        (("-tls1_2",), "TLSv1.2"),
        (("-tls1_3",), "TLSv1.3"),
        (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), "TLSv1"),
        # In TLS 1.2, a server that requires a client certificate ends the handshake after it has
        # presented its own certificate.
        (("-tls1_2", "-Verify", "5", "-verify_return_error"), ""),
        (("-tls1_3", "-Verify", "5", "-verify_return_error"), "TLSv1.3"),
    ],
    ids=["1.2", "1.3", "1.0", "mutual 1.2", "mutual 1.3"],
)
def test_the_chain_of_an_openssl_server_is_read(options, protocol, pair, leaf):
    """The probe reads the chain in every TLS version, even if the server requires a client
    certificate.
    """
    with s_server(pair, *options) as port:
        handshake = fetch_chain("127.0.0.1", port, name=NAME)
    assert (handshake.outcome, handshake.protocol) == (SHOWN, protocol)
    assert handshake.chain == (der(leaf), der(authority().issuing))


@pytest.mark.skipif(not shutil.which("gnutls-serv"), reason="no gnutls-serv")
@pytest.mark.parametrize("priority", ["NORMAL", "NORMAL:-VERS-ALL:+VERS-TLS1.2"])
def test_the_chain_of_a_gnutls_server_is_read(priority, pair, leaf):
    """The probe reads the chain of a GnuTLS server that requires a client certificate."""
    port = free_port()
    options = ("--x509certfile", pair, "--x509keyfile", pair, "--priority", priority)
    command = ("gnutls-serv", "--port", port, "--echo", "--require-client-cert", *options)
    with program(*command, ready="[Ll]istening on", port=port):
        handshake = fetch_chain("127.0.0.1", port, name=NAME)
    assert (handshake.outcome, handshake.chain[0]) == (SHOWN, der(leaf))


_JAVA = """
import javax.net.ssl.*; import java.io.*; import java.nio.file.*; import java.security.*;
public class Serve { public static void main(String[] a) throws Exception {
  KeyStore store = KeyStore.getInstance(new File(a[0]), "changeit".toCharArray());
  KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
  keys.init(store, "changeit".toCharArray());
  SSLContext context = SSLContext.getInstance("TLS"); context.init(keys.getKeyManagers(), null, null);
  SSLServerSocket server = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0);
  server.setNeedClientAuth(true); System.out.println("port " + server.getLocalPort());
  System.out.flush();
  while (true) try (SSLSocket s = (SSLSocket) server.accept()) { s.startHandshake(); }
    catch (IOException e) { } } }
"""


@pytest.mark.skipif(not shutil.which("javac"), reason="no javac")
def test_the_chain_of_a_java_server_is_read(pair, leaf, tmp_path):
    """The probe reads the chain of a Java server that requires a client certificate."""
    store = tmp_path / "store.p12"
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-in", pair, "-out", store, "-passout", "pass:changeit"],
        check=True,
    )
    (tmp_path / "Serve.java").write_text(_JAVA)
    with program("java", tmp_path / "Serve.java", store, ready=r"port (\d+)") as port:
        handshake = fetch_chain("127.0.0.1", port, name=NAME)
    assert (handshake.outcome, handshake.chain[0]) == (SHOWN, der(leaf))


_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr notice;
events {{ }}
http {{ access_log {folder}/access;
  server {{ listen 127.0.0.1:{port} ssl default_server; ssl_certificate {one}; ssl_certificate_key {one};
    server_name _; }}
  server {{ listen 127.0.0.1:{port} ssl; server_name meet.contoso.com; ssl_certificate {other};
    ssl_certificate_key {other}; }} }}
"""


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx")
def test_nginx_shows_a_certificate_for_each_name(pair, tmp_path):
    """The nginx server presents the certificate for the requested server name. If no name is
    requested, nginx presents the default certificate.
    """
    planned = plan(row("fe02.contoso.com", "FrontEnd", "eepool.contoso.com"))
    meet = certificate_for(planned.certificates[0])
    other, port = write_pair(tmp_path, "other", meet), free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(_NGINX.format(folder=tmp_path, port=port, one=pair, other=other))
    with program("nginx", "-p", tmp_path, "-c", config, ready="start worker|using the", port=port):
        chains = [
            fetch_chain("127.0.0.1", port, name=name).chain
            for name in ("meet.contoso.com", NAME, "")
        ]
    assert chains[0] == (der(meet),)
    assert chains[1] == chains[2] != chains[0]


def test_a_server_selects_its_certificate_by_name(pair, tmp_path):
    """A server that selects a certificate by name presents the first certificate if no name
    matches.
    """
    planned = plan(row("fe02.contoso.com", "FrontEnd", "eepool.contoso.com"))
    meet = certificate_for(planned.certificates[0])
    with run_tcp_server(
        speak_tls([pair, write_pair(tmp_path, "meet.contoso.com", meet)])
    ) as server:
        chain = fetch_chain("127.0.0.1", server.port, name="meet.contoso.com").chain
        fetch_chain("127.0.0.1", server.port)
    assert chain == (der(meet),)
    assert server.names == ["meet.contoso.com", None]


def test_three_thousand_names_are_read(tmp_path):
    """The probe can read and compare a certificate with thousands of names."""
    planned = plan(row(NAME, "FrontEnd", "eepool.contoso.com", autologon="no"))
    certificate = planned.certificates[0]
    names = [*certificate.names, *(f"n{number}.contoso.com" for number in range(3000))]
    path = write_pair(
        tmp_path, "wide", certificate_for(certificate, san=names), authority().issuing
    )
    hosts = tmp_path / "hosts.txt"
    with run_tcp_server(speak_tls([path])) as server:
        hosts.write_text(f"{NAME} 5061 127.0.0.1:{server.port}\n")
        result = ln.probe(planned, hosts=hosts)
    (line,) = (line for line in result.seen if line.place)
    assert [finding.code for finding in line.findings if finding.code == "names-added"]


def test_a_certificate_beyond_the_limit_is_refused(tmp_path):
    """If a certificate chain is larger than TLS libraries accept, the handshake ends and the report
    gives the reason.
    """
    planned = plan(row(NAME, "FrontEnd", "eepool.contoso.com", autologon="no"))
    names = [f"n{number}.a-rather-long-name-of-a-domain.contoso.com" for number in range(4000)]
    wide = certificate_for(planned.certificates[0], san=names)
    with run_tcp_server(speak_tls([write_pair(tmp_path, "wide", wide)])) as server:
        handshake = fetch_chain("127.0.0.1", server.port, name=NAME)
    assert (handshake.outcome, handshake.chain) == (REFUSED, ())
    assert "larger than TLS libraries accept" in handshake.detail


def _say(data: bytes):
    def answer(connection: socket.socket, traffic: Traffic) -> None:
        connection.recv(4096)
        connection.sendall(data)
        hang(connection, traffic)

    return answer


def _drip(connection: socket.socket, traffic: Traffic) -> None:
    """Send a TLS record one byte at a time."""
    for byte in b"\x16\x03\x03\x40\x00" + bytes(1000):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("answer", "outcome", "detail"),
    [
        (hang, NO_ANSWER, "the server did not send a certificate within 0.5 seconds"),
        (_drip, NO_ANSWER, "the server did not send a certificate within 0.5 seconds"),
        (lambda connection, traffic: None, REFUSED, "closed the connection"),
        (_say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), REFUSED, "does not use TLS"),
        (_say(bytes(range(256)) * 40), REFUSED, "does not use TLS"),
        (_say(b"220 mail ready\r\n"), REFUSED, "does not use TLS"),
        (_say(b"\x15\x03\x03\x00\x02\x02\x28"), REFUSED, "handshake failed"),
    ],
    ids=["silent", "dripping", "closing", "web", "garbage", "mail", "alert"],
)
def test_the_reason_of_a_failed_handshake_is_reported(answer, outcome, detail):
    """If a server hangs, closes the connection, or does not use TLS, the probe ends in time and
    reports the reason.
    """
    start = time.monotonic()
    with run_tcp_server(answer) as server:
        handshake = fetch_chain("127.0.0.1", server.port, name=NAME, timeout=0.5)
    assert (handshake.outcome, handshake.chain) == (outcome, ())
    assert detail in handshake.detail
    assert time.monotonic() - start < 5


def test_a_port_that_never_accepts_has_no_answer():
    """If a port never accepts a connection, as behind a firewall that drops packets, the result is
    "no answer".
    """
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        handshake = fetch_chain("127.0.0.1", port, timeout=0.3)
    assert (handshake.outcome, handshake.is_silent) == (NO_ANSWER, True)
    assert handshake.detail == "the server did not accept a connection within 0.3 seconds"


def test_an_ipv6_address_is_probed(pair, leaf):
    """A probe can connect to an IPv6 address in the same way as to an IPv4 address."""
    with run_tcp_server(speak_tls([pair]), host="::1") as server:
        assert fetch_chain("::1", server.port, name=NAME).chain[0] == der(leaf)


def test_only_tls_10_can_be_offered(pair):
    """If a handshake offers only TLS 1.0, a server that requires a newer version rejects it."""
    with s_server(pair, "-tls1_2") as port:
        handshake = fetch_chain("127.0.0.1", port, name=NAME, is_only_tls10=True)
    assert (handshake.outcome, handshake.chain) == (REFUSED, ())
    with s_server(pair, "-cipher", "ALL:@SECLEVEL=0") as port:
        assert fetch_chain("127.0.0.1", port, is_only_tls10=True).protocol == "TLSv1"


_FETCH = """
import sys
sys.path.insert(0, sys.argv[1])
from lyncnb.probes.fetch import fetch_chain
found = fetch_chain("127.0.0.1", int(sys.argv[2]), name="fe01.contoso.com")
print(found.outcome, *(der.hex() for der in found.chain))
"""


def _list_pythons() -> Iterator[str]:
    """Yield the path of each usable Python interpreter on this computer, one for each version."""
    yield sys.executable
    for version in ("3.11", "3.12", "3.13", "3.14"):
        python = shutil.which(f"python{version}")
        if python and not subprocess.run([python, "-c", ""], capture_output=True).returncode:
            yield python


@pytest.mark.parametrize("options", [(), ("-tls1_2", "-Verify", "5", "-verify_return_error")])
def test_each_python_reads_the_same_chain(options, pair, leaf):
    """Newer Python versions read the chain of a server with a public method, and older versions
    with a private method. All versions return the same chain.
    """
    root = str(Path(ln.__file__).parents[1])
    for python in _list_pythons():
        with s_server(pair, *options) as port:
            process = subprocess.run(
                [python, "-c", _FETCH, root, str(port)], capture_output=True, text=True, check=True
            )
        expected = [SHOWN, der(leaf).hex(), der(authority().issuing).hex()]
        assert process.stdout.split() == expected, python


def test_this_python_can_read_the_chain(pair, leaf):
    """The function read_unverified_chain can read a server's chain in this version of Python, with
    a public method or a private object.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        run_tcp_server(speak_tls([pair])) as server,
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        context.wrap_socket(plain) as secured,
    ):
        assert read_unverified_chain(secured)[0] == der(leaf)
        assert hasattr(secured, "get_unverified_chain") == (sys.version_info >= (3, 13))


def test_the_system_resolves_names():
    """The system's resolver returns the addresses of a name, or none if the name has no address."""
    assert "127.0.0.1" in resolve_name("localhost")
    assert resolve_name("no-such-host.invalid") == ()


def test_hosts_that_hang_do_not_delay_the_probe(tmp_path):
    """Even if a tenth of many hosts do not respond, the probe ends in time and reports the other
    hosts' certificates as matching the plan.
    """
    servers = [f"fe{number}.contoso.com" for number in range(HOSTS)]
    # Each pool has ten servers, as many as a large real pool.
    planned = plan(
        *(
            row(
                server, "FrontEnd", f"pool{number // 10}.contoso.com",
                web_external_fqdn=f"web{number // 10}.contoso.com", autologon="no",
            )
            for number, server in enumerate(servers)
        )
    )  # fmt: skip
    by_server = {
        certificate.servers[0]: certificate
        for certificate in planned.certificates
        if certificate.role == "FrontEnd"
    }
    lines = []
    with ExitStack() as stack:
        mute = stack.enter_context(run_tcp_server(hang, host="127.0.0.1"))
        for number, server in enumerate(servers):
            if number % 10 == 9:
                # Each host that hangs has its own address, and stops responding before or during
                # the handshake.
                lines.append(f"{server} 5061 127.1.{number // 250}.{number % 250 + 1}:{mute.port}")
                stack.enter_context(
                    run_tcp_server(
                        hang, host=lines[-1].split()[2].partition(":")[0], port=mute.port
                    )
                )
                continue
            chain = [issue_planned(by_server[server]), authority().issuing]
            path = write_pair(tmp_path, server, *chain)
            listener = stack.enter_context(
                run_tcp_server(speak_tls([path]), host=f"127.2.{number // 250}.{number % 250 + 1}")
            )
            lines.append(f"{server} 5061 127.2.{number // 250}.{number % 250 + 1}:{listener.port}")
        hosts = tmp_path / "hosts.txt"
        hosts.write_text("\n".join(lines))
        start = time.monotonic()
        result = ln.probe(planned, hosts=hosts, seconds=5 if HOSTS >= 500 else 3)
        took = time.monotonic() - start
    assert result.counts()[NO_ANSWER] == HOSTS // 10
    assert result.counts()["as planned"] == HOSTS - HOSTS // 10
    assert took < 30


_STRACE = re.compile(
    r"connect\(\d+, \{sa_family=AF_INET6?, sin6?_port=htons\((\d+)\), .*?\"([^\"]+)\""
)


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
def test_no_other_address_is_connected_to(pair, tmp_path):
    """The probe command connects only to the addresses in the hosts file."""
    table = tmp_path / "servers.csv"
    planned = plan(
        row("edge01.contoso.com", "Edge", "edgepool.contoso.com", access_edge_fqdn="a.contoso.com",
            webconf_edge_fqdn="a.contoso.com", av_edge_fqdn="a.contoso.com",
            xmpp_domains="litwareinc.com"),
        row("fe01.contoso.com", "FrontEnd", "eepool.contoso.com"),
    )  # fmt: skip
    table.write_bytes(planned.topology.to_csv())
    trace, hosts = tmp_path / "trace", tmp_path / "hosts.txt"
    command = [Path(sys.executable).with_name("lyncnb"), "probe", table, "--hosts", hosts]
    with ExitStack() as stack:
        mute = stack.enter_context(run_tcp_server(hang))
        edge = stack.enter_context(run_tcp_server(speak_tls([pair])))
        hosts.write_text(
            f"a.contoso.com 5061 127.0.0.1:{edge.port}\nfe01.contoso.com 444 127.0.0.1:{edge.port}\n"
        )
        process = subprocess.run(
            ["strace", "-f", "-e", "trace=connect", "-o", trace, *command],
            capture_output=True, text=True,
        )  # fmt: skip
    assert process.returncode == 1, process.stderr
    addresses = {(address, int(port)) for port, address in _STRACE.findall(trace.read_text())}
    assert addresses == {("127.0.0.1", edge.port)}
    assert edge.connections == 2
    assert mute.connections == 0


def test_edge_with_one_name_is_probed_on_two_ports(tmp_path):
    """If the Edge services share one name, the probe connects to the ports of Access Edge and Web
    Conferencing Edge, but rejects port 443, where the A/V service uses TURN instead of TLS.
    """
    edge = dict.fromkeys(("access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn"), "edge.contoso.com")  # fmt: skip
    planned = plan(row("edge01.contoso.com", "Edge", "edgepool.contoso.com", **edge))
    external = next(
        certificate
        for certificate in planned.certificates
        if "AccessEdgeExternal" in certificate.usages
    )
    chain = show_as_planned(None, external)
    with run_tcp_server(speak_tls([write_pair(tmp_path, "edge", *chain)])) as server:
        hosts = tmp_path / "hosts.txt"
        text = "".join(f"edge.contoso.com {port} 127.0.0.1:{server.port}\n" for port in (5061, 444))
        hosts.write_text(text)
        result = ln.probe(planned, zone="outside", hosts=hosts)
        hosts.write_text(f"{text}edge.contoso.com 443 127.0.0.1:{server.port}\n")
        with pytest.raises(ln.OptionsError) as refused:
            ln.probe(planned, zone="outside", hosts=hosts)
    assert result.counts()["as planned"] == 2
    assert server.connections == 2
    assert "no TLS port 443" in str(refused.value.problems[0])


def test_markup_in_a_certificate_is_shown_as_text(tmp_path):
    """Markup and control characters in a certificate are shown as text, and never used as markup or
    in a path.
    """
    planned = plan(row(NAME, "FrontEnd", "eepool.contoso.com", autologon="no"))
    evil = "<script>alert(1)</script>\x1b[31m../../etc"
    certificate = certificate_for(planned.certificates[0], subject=[("CN", evil[:60])], san=[NAME])
    with run_tcp_server(speak_tls([write_pair(tmp_path, "evil", certificate)])) as server:
        hosts = tmp_path / "hosts.txt"
        hosts.write_text(f"{NAME} 5061 127.0.0.1:{server.port}\n")
        result = ln.probe(planned, hosts=hosts)
    report = build_probe_report(result)
    for suffix in PROBE_FILE.is_ours:
        data = write_report(report, suffix)
        assert b"<script>alert" not in data or suffix in (".csv", ".json")
    assert "\x1b" not in "\n".join(format_report(report, width=100))
    saved = tmp_path / "as-is.json"
    saved.write_bytes(result.as_is.to_json())
    assert ln.read_as_is(saved) == result.as_is


def test_a_server_that_accepts_tls_10_has_a_line(pair, tmp_path):
    """The report has a separate line for each server that accepts TLS 1.0."""
    planned = plan(row(NAME, "FrontEnd", "eepool.contoso.com", autologon="no"))
    chain = show_as_planned(None, planned.certificates[0])
    path, hosts = write_pair(tmp_path, NAME, *chain), tmp_path / "hosts.txt"
    with s_server(path, "-cipher", "ALL:@SECLEVEL=0") as old, s_server(path, "-tls1_2") as new:
        hosts.write_text(f"{NAME} 5061 127.0.0.1:{old}\n{NAME} 444 [::ffff:127.0.0.1]:{new}\n")
        result = ln.probe(planned, hosts=hosts, also=["tls1.0"])
    text = "\n".join(format_report(build_probe_report(result), width=200))
    assert result.exit_status == 0
    assert "the server still accepts TLS 1.0" in text
    refused = "refused: fe01.contoso.com port 444 (if the server still accepts TLS 1.0): "
    assert f"{refused}the server does not accept this TLS version" in text


def test_a_silent_port_does_not_shorten_the_handshakes_after_it(pair, tmp_path):
    """If a port does not respond, the probe waits a shorter time for later connections to the same
    address, but the time limit for TLS handshakes stays the same.
    """
    planned = plan(row(NAME, "FrontEnd", "eepool.contoso.com", autologon="no"))
    path, hosts = (
        write_pair(tmp_path, NAME, *show_as_planned(None, planned.certificates[0])),
        tmp_path / "hosts.txt",
    )
    tls = speak_tls([path])

    def slow(connection: socket.socket, traffic: Traffic) -> None:
        time.sleep(1.2)
        tls(connection, traffic)

    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        silent = full.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", silent))
        server = stack.enter_context(run_tcp_server(slow))
        hosts.write_text(f"{NAME} 444 127.0.0.1:{silent}\n{NAME} 5061 127.0.0.1:{server.port}\n")
        result = ln.probe(planned, hosts=hosts, seconds=3)
    seen = {line.place: line.result for line in result.seen if line.place}
    assert seen == {f"{NAME}:444": "no answer", f"{NAME}:5061": "as planned"}
