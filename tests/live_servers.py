"""Run real TLS servers on loopback for the ports of a plan, each with a certificate from a test CA."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cas.python_ca import pem
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from installed_certificates import MIDNIGHT, authority, issue_planned, key_of

import lyncnb as ln
from lyncnb.probes.targets import Target, list_targets


def write_pair(folder: Path, name: str, *chain: x509.Certificate, bits: int = 2048) -> Path:
    """Write the test key and a certificate chain to one PEM file, as most servers need it."""
    key = key_of(bits).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / f"{name}.pem"
    path.write_bytes(
        key + b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    )
    return path


@dataclass
class Traffic:
    """The data that a server received: the number of connections, and all bytes after the
    handshake.
    """

    port: int = 0
    connections: int = 0
    names: list[str | None] = field(default_factory=list)
    data: bytes = b""


@contextmanager
def run_tcp_server(
    answer: Callable[[socket.socket, Traffic], object], *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[Traffic]:
    """Run a TCP server that calls ``answer`` for each connection, in a separate thread."""
    traffic, lock = Traffic(), threading.Lock()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=128)
    traffic.port = listener.getsockname()[1]

    def serve(connection: socket.socket) -> None:
        with lock:
            traffic.connections += 1
        with suppress(OSError, ValueError), connection:
            connection.settimeout(10)
            answer(connection, traffic)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield traffic
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def hang(connection: socket.socket, traffic: Traffic) -> None:
    """Read all data and send no response, until the client closes the connection."""
    while data := connection.recv(4096):
        traffic.data += data


def speak_tls(pairs: Sequence[Path], *, mutual: bool = False, version: str = ""):
    """Return a connection handler that presents the first PEM file, or the one whose file name
    matches the requested server name.

    Each connection takes the next pair in turn, as behind a load balancer, if no file name matches.
    """
    contexts = {}
    for path in pairs:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=pem(authority().root).decode())
        if version:
            context.maximum_version = ssl.TLSVersion[version]
        contexts[path.stem] = context
    turns = list(contexts.values())
    count = iter(range(1 << 30))

    def answer(connection: socket.socket, traffic: Traffic) -> None:
        first = turns[next(count) % len(turns)]

        def choose(secured: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            traffic.names.append(name)
            if name in contexts:
                secured.context = contexts[name]

        first.sni_callback = choose
        with first.wrap_socket(connection, server_side=True) as secured:
            while data := secured.recv(4096):
                traffic.data += data

    return answer


@dataclass
class Live:
    """The test servers for the ports of a plan, and the hosts file that contains their addresses."""

    hosts: Path
    traffic: dict[tuple[str, int], Traffic] = field(default_factory=dict)


Show = Callable[[Target, ln.PlannedCertificate], Sequence[x509.Certificate]]


def show_as_planned(target: Target, planned: ln.PlannedCertificate) -> list[x509.Certificate]:
    """Return the certificate chain that a correctly configured server presents."""
    return [certificate_for(planned), authority().issuing]


_MADE: dict[object, x509.Certificate] = {}


def certificate_for(planned: ln.PlannedCertificate, **changes: object) -> x509.Certificate:
    """Issue the planned certificate so that it is valid today. Each planned certificate is issued
    only once.
    """
    key = (planned.id, planned.names, repr(changes))
    if key not in _MADE:
        changes = {"begins": MIDNIGHT - timedelta(days=1), **changes}
        _MADE[key] = issue_planned(planned, **changes)
    return _MADE[key]


@contextmanager
def run_live_servers(
    plan: ln.CertificatePlan,
    folder: Path,
    *,
    zone: str = "inside",
    also: Sequence[str] = (),
    show: Show = show_as_planned,
    only: Callable[[Target], bool] = lambda target: bool(target.server),
    **choices: object,
) -> Iterator[Live]:
    """Run a server for each port to which ``probe`` connects, and write the hosts file."""
    by_id = {item.id: item for item in plan.certificates}
    servers = Live(hosts=folder / "hosts.txt")
    lines = ["# name port address"]
    with ExitStack() as stack:
        for number, target in enumerate(list_targets(plan, zone=zone, extras=also).ports):
            if not only(target):
                continue
            chains = [show(target, by_id[certificate_id]) for certificate_id in target.planned]
            pairs = [
                write_pair(folder, f"pair{number}-{index}", *chain)
                for index, chain in enumerate(chains)
            ]
            traffic = stack.enter_context(run_tcp_server(speak_tls(pairs, **choices)))
            servers.traffic[target.host, target.port] = traffic
            lines.append(f"{target.host} {target.port} 127.0.0.1:{traffic.port}")
        servers.hosts.write_text("\n".join(lines) + "\n", "utf-8")
        yield servers
