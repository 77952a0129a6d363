"""Real TLS connections succeed if the servers trust the planned roots, and fail if a planned root
or usage is missing.

OpenSSL's ``s_server`` and Python's client connect over loopback. They use certificates of test CAs
with the planned names and usages, and trust stores with exactly the roots in the plan.
``LYNCNB_HANDSHAKES`` sets how many random pairs are tried. CI uses a tenth of a full test.
"""

from __future__ import annotations

import os
import random
import re
import socket
import ssl
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from topologies import plan, row

import lyncnb as ln
from lyncnb.authorities.trust.trust_tables import CaCertificate, Presentation

pytestmark = pytest.mark.tools

PAIRS = int(os.environ.get("LYNCNB_HANDSHAKES", "200"))
SERVER, CLIENT = "serverAuth", "clientAuth"
USAGES = {
    SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}
# The purposes for which OpenSSL verifies a client's certificate. Lync Server requires server
# authentication. Other servers require client authentication.
PURPOSES = {SERVER: "sslserver", CLIENT: "sslclient"}
NOW = datetime.now(UTC).replace(microsecond=0)
PARTNER = "sip.litwareinc.com"


# The following classes create certification authorities.


def _signed(subject, key, issuer, issuer_key, *extensions):
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _pem(*certificates):
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


class Authority:
    """A root CA, and an intermediate CA that issues certificates."""

    def __init__(self, title: str):
        ca = (x509.BasicConstraints(ca=True, path_length=None), True)
        root_key, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        name = _name(f"Root {title}")
        self.name = _name(f"Issuing {title}")
        self.root = _signed(name, root_key, name, root_key, ca)
        self.intermediate = _signed(self.name, self.key, name, root_key, ca)


@dataclass
class Lab:
    """The test CAs by the role of their root, and the issued certificates by their purpose."""

    folder: Path
    authorities: dict[str, Authority] = field(default_factory=dict)
    count: int = 0

    def authority(self, ca: CaCertificate) -> Authority:
        """Return the CA for a root, and create it when it is first needed."""
        if ca.title not in self.authorities:
            self.authorities[ca.title] = Authority(ca.title)
        return self.authorities[ca.title]

    def write(self, *parts: bytes) -> Path:
        """Write a file with a unique name."""
        self.count += 1
        path = self.folder / f"{self.count}.pem"
        path.write_bytes(b"".join(parts))
        return path

    def issue(self, root, subject, names, usages, *, with_chain=True) -> Path:
        """Write files with a key, a certificate and, if the server sends it, the intermediate
        certificate.
        """
        authority = self.authority(root)
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([USAGES[usage] for usage in usages]), False),
        ]
        if names:
            san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            extensions.append((san, False))
        certificate = _signed(_name(subject), key, authority.name, authority.key, *extensions)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.write(pem, _pem(certificate, *([authority.intermediate] if with_chain else [])))

    def store(self, cas) -> Path | None:
        """Write a file with the trusted roots and return its path, or return None if there are no
        roots.
        """
        roots = [self.authority(ca).root for ca in cas if ca.is_root]
        return self.write(_pem(*roots)) if roots else None


# The following functions open TLS connections.


def try_handshake(server, client, host, *, client_store, server_store, purpose) -> str:
    """Open one TLS connection, with or without a client certificate. Return "" if both sides accept
    it. Otherwise, return the error.
    """
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-tls1_2"]
    command += ["-cert", server, "-cert_chain", server, "-key", server]
    command += ["-CAfile", server_store] if server_store else ["-no-CAfile"]
    command += ["-no-CApath", "-no-CAstore"]
    if purpose:
        command += ["-Verify", "5", "-verify_return_error", "-purpose", purpose]
    process = subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        for line in process.stdout:
            if match := re.match(rb"ACCEPT .*:(\d+)", line):
                break
        else:
            raise AssertionError("s_server did not start")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        if client_store:
            context.load_verify_locations(client_store)
        if client:
            context.load_cert_chain(client)
        with socket.create_connection(("127.0.0.1", int(match[1])), timeout=60) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=host):
                    return ""
            except ssl.SSLError as error:
                return str(error)
    finally:
        process.kill()
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        process.wait()


# The following classes and functions create the test cases.


@dataclass
class Pair:
    """The server's certificate and the client's certificate in a planned connection."""

    planned: ln.CertificatePlan
    trust: ln.TrustPlan
    server: Presentation  # The pool that owns the server's certificate.
    client: Presentation | None


def pairs_of(planned, trust):
    """Return the pairs of server and client certificates for all connections in a plan, including
    connections that a partner or an application opens.
    """
    pairs = []
    for presentation in trust.presentations:
        others = [
            other
            for other in trust.presentations
            if other.connection == presentation.connection
            and (other.presenter, other.verifier) == (presentation.verifier, presentation.presenter)
            and other.shown_as == "client"
        ]
        if presentation.shown_as == "server" or others:
            pairs += [Pair(planned, trust, presentation, other) for other in others or [None]]
    return pairs


ROWS = {
    "fe1": row("fe1.contoso.net", "FrontEnd", "pool1.contoso.net", web_external_fqdn="w1.contoso.com"),
    "fe2": row("fe2.contoso.net", "FrontEnd", "pool1.contoso.net"),
    "other": row("se1.contoso.net", "StandardEdition", web_external_fqdn="w2.contoso.com"),
    "dir": row("dir1.contoso.net", "Director", web_external_fqdn="w3.contoso.com"),
    "med": row("med1.contoso.net", "Mediation"),
    "sba": row("sba1.contoso.net", "SBA"),
    "sbs": row("sbs1.contoso.net", "SBS"),
    "chat": row("chat1.contoso.net", "PersistentChat"),
    "app": row("app1.contoso.net", "TrustedApplication", "apps.contoso.net"),
    "um": row("um1.contoso.net", "ExchangeUM"),
    "owa": row("owa1.contoso.net", "ExchangeOWA"),
    "farm": row("owas1.contoso.net", "OfficeWebApps"),
    "proxy": row("rp1.contoso.net", "ReverseProxy"),
    "edge": row(
        "edge1.contoso.net", "Edge", "edges.contoso.net",
        access_edge_fqdn="access.contoso.com", webconf_edge_fqdn="wc.contoso.com",
        xmpp_domains="contoso.com",
    ),
}  # fmt: skip


def random_plan(chance: random.Random) -> ln.CertificatePlan:
    """Return a random plan of servers and sites with random CAs, with or without AOL federation."""
    names = {"fe1", "edge", *chance.sample([*ROWS], chance.randint(3, 9))}
    rows = []
    for name, cells in ROWS.items():
        if name in names:
            extra_cells = {
                "site": "Taipei" if cells["pool_fqdn"] else chance.choice(["Taipei", "Osaka"])
            }
            if chance.random() < 0.3 and name not in ("fe2",):
                extra_cells["issuer"] = chance.choice(["internal", "public"])
            if name == "edge":
                extra_cells["aol_pic"] = chance.choice(["true", "false"])
                extra_cells["federation"] = chance.choice(["true", "true", "false"])
            rows.append(cells | extra_cells)
    options = ln.PlanOptions(
        layout=chance.choice(["combined", "separate"]),
        wildcard=chance.random() < 0.3,
        reverse_proxy_client_eku=chance.random() < 0.5,
        # If there are many CAs, each root is needed for exactly one reason.
        ca={cells["role"]: f"CA {chance.randint(1, 5)}" for cells in rows if chance.random() < 0.8},
    )
    return plan(*rows, options=options)


class Tried:
    """A tester that opens a TLS connection between two servers, first as planned and then with one
    fault at a time.
    """

    def __init__(self, lab: Lab, chance: random.Random, pair: Pair):
        self.lab, self.pair = lab, pair
        self.by_id = {certificate.id: certificate for certificate in pair.planned.certificates}
        server, client = pair.server, pair.client
        self.server, self.host = self.certificate(chance, server)
        # If several servers of the plan verify the peer, the test uses the planned trust store of
        # one of them.
        self.client_cas = self.list_required_roots(chance, server.verifier)
        self.server_cas = self.list_required_roots(chance, server.presenter)
        self.shown = None if client is None else self.certificate(chance, client)[0]
        self.purpose = None if client is None else PURPOSES[client.asked[0]]

    def certificate(self, chance, presentation, usages=None, *, with_chain=None):
        """Issue a certificate with its planned names and usages, and return one of the host names
        in it.
        """
        # The certificate of an external party has all extended key usages.
        if not presentation.certificates:
            path = self.lab.issue(presentation.root, PARTNER, [PARTNER], (SERVER, CLIENT))
            return path, PARTNER
        certificate = self.by_id[chance.choice(presentation.certificates)]
        names = [str(name) for name in certificate.names]
        known = [name for name in presentation.names if name in names] or names
        host = chance.choice(known or [certificate.subject.common_name]).replace("*", "any")
        if with_chain is None:
            with_chain = self.has_chain(certificate, presentation.root)
        path = self.lab.issue(
            presentation.root,
            # If the table does not contain the name, the subject is blank.
            certificate.subject.common_name or certificate.pool,
            names,
            usages or certificate.extended_key_usage,
            with_chain=with_chain,
        )
        return path, host

    def has_chain(self, certificate, root):
        """Return whether the plan installs the intermediate certificates on the server that
        presents the certificate.
        """
        for pool in self.pair.planned.topology.pools:
            if (pool.fqdn, pool.role) != (certificate.pool, certificate.role):
                continue
            return all(
                any(
                    not need.ca.is_root and f"below the {root.title}," in need.ca.title
                    for need in self.pair.trust.required
                    if server.fqdn in need.servers
                )
                for server in pool.computers
            )
        return False

    def list_required_roots(self, chance, side):
        """Return the roots that the plan requires in the trust store of one of the verifying
        servers.
        """
        pools = [
            need.pool
            for need in self.pair.trust.required
            if need.role == side.role and side.pool in ("", need.pool)
        ]
        sites = {pool.fqdn: pool.site for pool in self.pair.planned.topology.pools}
        if not side.pool and side.site is not None:
            pools = [pool for pool in pools if sites[pool] == side.site]
        pool = chance.choice(pools)
        return {
            need.ca
            for need in self.pair.trust.required
            if (need.role, need.pool) == (side.role, pool)
        }

    def try_handshake(self, *, server=None, client=None, lacks=None, at="", purpose=None) -> str:
        """Open one TLS connection between the client and the server. If `lacks` is set, this root
        is removed from the trust store of `at`, which is "client" or "server".
        """
        cas = {"client": self.client_cas, "server": self.server_cas}
        stores = {
            end: self.lab.store(ca for ca in roots if not (at == end and ca == lacks))
            for end, roots in cas.items()
        }
        return try_handshake(
            server or self.server,
            client or self.shown,
            self.host,
            client_store=stores["client"],
            server_store=stores["server"],
            purpose=purpose or self.purpose,
        )


def try_pair(lab: Lab, chance: random.Random, pair: Pair) -> set[str]:
    """Test the connection between one pair of servers, and return the names of the tested cases."""
    tried, server, client = Tried(lab, chance, pair), pair.server, pair.client
    description = f"{server.connection}: {server.presenter} for {server.verifier}, {client}"
    cases = {"plain" if client is None else "mutual"}
    error = tried.try_handshake()
    if client is None or client.is_served:
        assert error == "", description
    else:
        # If client authentication is not planned, a server that requires client authentication
        # rejects the certificate. The trust plan contains the words "not planned".
        assert "not planned" in client.client_authentication, description
        assert "unsupported certificate" in error.lower().replace("_", " "), (description, error)
        usages = (*client.planned, *client.asked)
        tried.shown, _ = tried.certificate(chance, client, usages)
        assert tried.try_handshake() == "", description
        cases.add("not planned")
    assert "CERTIFICATE_VERIFY_FAILED" in tried.try_handshake(lacks=server.root, at="client"), (
        description
    )
    cases.add("without the server's root")
    if server.certificates:
        bare, _ = tried.certificate(chance, server, with_chain=False)
        assert "CERTIFICATE_VERIFY_FAILED" in tried.try_handshake(server=bare), description
        cases.add("without the chain")
    if client is None:
        return cases
    assert "UNKNOWN_CA" in tried.try_handshake(lacks=client.root, at="server"), description
    cases.add("without the client's root")
    if client.certificates and CLIENT in client.asked:
        plain, _ = tried.certificate(chance, client, (SERVER,))
        error = tried.try_handshake(client=plain)
        assert "unsupported certificate" in error.lower().replace("_", " "), description
        cases.add("without client authentication")
    elif client.certificates and CLIENT not in client.planned:
        # Lync Server accepts a server certificate from a client, but a stricter server rejects it.
        error = tried.try_handshake(purpose=PURPOSES[CLIENT])
        assert "unsupported certificate" in error.lower().replace("_", " "), description
        cases.add("asked for more")
    return cases


@pytest.mark.slow
def test_handshakes_succeed_and_fail_as_planned(tmp_path):
    """Random pairs of servers can connect if the planned roots and usages are present. If a root or
    usage is missing, they cannot connect.
    """
    chance = random.Random(21)
    case_counts, connections = Counter(), Counter()
    lab = Lab(tmp_path)
    for _ in range(PAIRS if "LYNCNB_HANDSHAKES" in os.environ else PAIRS // 8):
        planned = random_plan(chance)
        pairs = pairs_of(planned, ln.trust(planned))
        # The test covers each type of connection equally often, no matter how many pools use it.
        # Within a
        # type, clients with a certificate from another CA come first.
        chance.shuffle(pairs)
        pairs.sort(key=lambda pair: pair.client is None or pair.client.root == pair.server.root)
        pair = min(pairs, key=lambda pair: connections[pair.server.connection])
        connections[pair.server.connection] += 1
        case_counts.update(try_pair(lab, chance, pair))
    print(
        f"{case_counts.total()} tried of {len(connections)} connections: {sorted(case_counts.items())}"
    )
    assert {"plain", "mutual", "without the server's root", "without the client's root"} <= {
        *case_counts
    }
    assert {"without the chain", "without client authentication", "asked for more"} <= {
        *case_counts
    }
