"""Create, with a test CA, the installed certificates of many servers, some of them with known
faults.

``export_of`` writes the same text as ``lyncnb snippet certificates`` on a server.
"""

from __future__ import annotations

import base64
import random
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cas.python_ca import TODAY, PythonCa, der, issue, p7b, pem, replace_signature
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from topologies import plan, row

import lyncnb as ln

#: Midnight of the current date. The test certificates are valid at this time, because some commands
#: use the current time.
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@cache
def authority() -> PythonCa:
    """Return the CA that issues the certificates in all test deployments. It has RSA keys, as is
    usual for Lync Server.
    """
    return PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))


@cache
def key_of(bits: int):
    """Return the private key of the given size, which all deployments share."""
    if bits < 1000:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, bits)


def issue_planned(planned: ln.PlannedCertificate, **changes) -> x509.Certificate:
    """Issue a planned certificate with the given changes, for 199 days, as a public CA does."""
    ca = authority()
    values = {
        "subject": [*planned.subject.fields()],
        "san": planned.names,
        "eku": planned.extended_key_usage,
        "days": 199,
        **changes,
    }
    key = key_of(values.pop("bits", planned.key.bits))
    if values.pop("self_signed", False):
        title = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, values["subject"][0][1])])
        return issue(key.public_key(), title, key, **values | {"subject": values["subject"][:1]})
    hash_name = values.pop("hash_name", "")
    certificate = issue(key.public_key(), ca.issuing.subject, ca.key, **values)
    return replace_signature(certificate, ca.key, hash_name) if hash_name else certificate


@dataclass(frozen=True)
class Stored:
    """A certificate in the certificate store of a server."""

    certificate: x509.Certificate
    types: tuple[str, ...] = ()
    has_key: bool = True


def block(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM with its base64 text in one line, as the script writes it."""
    body = base64.b64encode(der(certificate)).decode()
    return f"-----BEGIN CERTIFICATE-----\r\n{body}\r\n-----END CERTIFICATE-----\r\n"


def export_of(
    computer: str,
    stored: Iterable[Stored] = (),
    *,
    above: Iterable[x509.Certificate] = (),
    lync: bool = True,
    absent: Iterable[tuple[str, str]] = (),
    time: str = "2026-11-24T08:00:00Z",
) -> bytes:
    """Return the text that ``lyncnb snippet certificates`` writes when it runs on a server."""
    lines = ["lyncnb certificate export 1", f"Computer: {computer}", f"Time: {time}"]
    lines += [f"Lync: {'yes' if lync else 'no'}"]
    lines += [f"Not in the store: {kind} {thumbprint}" for kind, thumbprint in absent]
    text = "".join(f"{line}\r\n" for line in lines)
    for entry in stored:
        text += f"\r\nStore: My\r\nKey: {'yes' if entry.has_key else 'no'}\r\n"
        text += "".join(f"Type: {kind}\r\n" for kind in entry.types) + block(entry.certificate)
    for certificate in above:
        text += "\r\nStore: CA\r\n" + block(certificate)
    return text.encode()


# --- These functions create deployments with faults.

#: Each entry contains the way in which a planned certificate is installed, the state that lyncnb
#: must report, and the codes of the expected errors and warnings.
FAULTS: Mapping[str, tuple[str, frozenset[str]]] = {
    "none": ("covered", frozenset()),
    "absent": ("none", frozenset()),
    "missing": ("names-missing", frozenset({"names-missing"})),
    "wildcard": ("names-missing", frozenset({"names-replaced-by-wildcard"})),
    "extra": ("covered", frozenset({"names-added"})),
    "key": ("other-key", frozenset({"key-differs-from-plan"})),
    "md5": ("other-key", frozenset({"signature-hash-weak"})),
    "expired": ("not-in-force", frozenset({"certificate-expired"})),
    "to come": ("not-in-force", frozenset({"not-yet-valid"})),
    "eku": ("differs", frozenset({"eku-server-auth-absent"})),
    "self-signed": ("differs", frozenset({"self-signed"})),
    "moved": ("elsewhere", frozenset()),
    "unused": ("covered", frozenset()),
    "keyless": ("no-key", frozenset()),
    "twice": ("covered", frozenset()),
}
OF_EXPORTS = ("moved", "unused", "keyless")


@dataclass
class Estate:
    """A plan, the certificates installed on its servers, and the findings that lyncnb must report."""

    plan: ln.CertificatePlan
    # The fault of each installed certificate, by certificate id.
    faults: dict[str, str] = field(default_factory=dict)
    # The text that lyncnb must report for each certificate, by certificate id.
    named: dict[str, str] = field(default_factory=dict)
    # The SHA-256 hashes of the installed certificates that are not planned.
    unplanned: set[str] = field(default_factory=set)
    stores: dict[str, list[Stored]] = field(default_factory=dict)
    above: tuple[x509.Certificate, ...] = ()


def _list_rows(chance: random.Random) -> list[dict[str, str]]:
    rows = []
    for pool in range(chance.randint(1, 3)):
        web = {"web_external_fqdn": f"web{pool}.contoso.com", "autologon": "no"}
        for number in range(chance.randint(1, 3)):
            rows.append(
                row(f"fe{pool}{number}.contoso.com", "FrontEnd", f"ee{pool}.contoso.com", **web)
            )
    for number in range(chance.randint(0, 2)):
        cells = {"access_edge_fqdn": "sip.contoso.com", "webconf_edge_fqdn": "conf.contoso.com"}
        rows.append(row(f"edge{number}.contoso.com", "Edge", "edgepool.contoso.com", **cells))
    for number in range(chance.randint(0, 2)):
        rows.append(row(f"med{number}.contoso.com", "Mediation", "medpool.contoso.com"))
    if chance.random() < 0.5:
        rows.append(row("proxy.contoso.com", "ReverseProxy", "proxy.contoso.com"))
    return rows


def random_estate(chance: random.Random, *, exported: bool) -> Estate:
    """Return a deployment with random faults, at most one for each planned certificate."""
    estate = Estate(plan(*_list_rows(chance)))
    estate.above = authority().chain
    servers = sorted(
        {server for certificate in estate.plan.certificates for server in certificate.servers}
    )
    estate.stores = {server: [] for server in servers}
    kinds = [kind for kind in FAULTS if exported or kind not in OF_EXPORTS]
    for planned in estate.plan.certificates:
        fault = chance.choice(["none", "none", *kinds])
        _place(estate, planned, fault, chance)
    for number in range(chance.randint(0, 2)):
        other = issue_planned(
            estate.plan.certificates[0], subject=[("CN", f"intranet{number}.contoso.com")],
            san=[f"intranet{number}.contoso.com"],
        )  # fmt: skip
        estate.stores[chance.choice(servers)].append(Stored(other))
        estate.unplanned.add(other.fingerprint(hashes.SHA256()).hex())
    return estate


def _place(
    estate: Estate, planned: ln.PlannedCertificate, fault: str, chance: random.Random
) -> None:
    """Install a planned certificate with a given fault. A missing certificate is also a fault."""
    fixed_names = {planned.subject.common_name, *planned.servers}
    droppable = [name for name in planned.names if name not in fixed_names]
    strangers = [server for server in estate.stores if server not in planned.servers]
    deep = [name for name in droppable if name.count(".") > 1]
    needs = {"missing": droppable, "wildcard": deep, "moved": strangers,
             "unused": planned.usages}  # fmt: skip
    if not needs.get(fault, True):
        fault = "none"
    estate.faults[planned.id] = fault
    changes: dict[str, object] = {}
    servers, types, has_key = list(planned.servers), planned.usages, True
    if fault == "missing":
        lost = estate.named[planned.id] = chance.choice(droppable)
        changes["san"] = [name for name in planned.names if name != lost]
    elif fault == "wildcard":
        lost = estate.named[planned.id] = chance.choice(deep)
        wild = "*." + lost.partition(".")[2]
        changes["san"] = [wild if name == lost else name for name in planned.names]
    elif fault == "extra":
        added = estate.named[planned.id] = "www.contoso.com"
        changes["san"] = [*(planned.names or [planned.subject.common_name]), added]
    elif fault == "key":
        changes["bits"] = 1024
        estate.named[planned.id] = "RSA 1024"
    elif fault == "md5":
        changes["hash_name"] = "md5"
    elif fault in ("expired", "to come"):
        changes["begins"] = TODAY + timedelta(days=-199 if fault == "expired" else 9)
    elif fault == "eku":
        changes["eku"] = ("codeSigning",)
    elif fault == "self-signed":
        changes["self_signed"] = True
    elif fault == "moved":
        servers = [chance.choice(strangers)]
        types = ()
        estate.named[planned.id] = (
            f"the certificate is not installed on {', '.join(planned.servers)}"
        )
    elif fault == "unused":
        types = planned.usages[1:]
        estate.named[planned.id] = (
            f"on {planned.servers[0]}, the certificate is not assigned to {planned.usages[0]}"
        )
    elif fault == "keyless":
        has_key = False
        estate.named[planned.id] = f"{planned.servers[0]} has no private key for the certificate"
    if fault == "absent":
        return
    certificate = issue_planned(planned, **changes)
    for server in servers:
        estate.stores[server].append(Stored(certificate, types, has_key))
    # The server also has an earlier certificate: always for the fault "twice", and sometimes for
    # other faults.
    beside = fault in ("missing", "extra", "key", "eku") and chance.random() < 0.3
    if fault == "twice" or beside:
        before = issue_planned(planned, begins=TODAY - timedelta(days=380))
        estate.stores[servers[0]].append(Stored(before))
        estate.unplanned.add(before.fingerprint(hashes.SHA256()).hex())


def write_estate(estate: Estate, folder: Path, chance: random.Random, *, exported: bool) -> None:
    """Write the certificates of a deployment as exports of its servers, or as files in every
    format.
    """
    folder.mkdir()
    if exported:
        for server, stored in estate.stores.items():
            above = estate.above if stored else ()
            data = export_of(server, stored, above=above)
            (folder / f"certificates-{server}.pem").write_bytes(data)
        return
    (folder / "chain.p7b").write_bytes(p7b(*estate.above))
    number = 0
    for server, stored in estate.stores.items():
        (folder / server).mkdir()
        for entry in stored:
            number += 1
            form = chance.choice(["pem", "der", "zip"])
            path = folder / server / f"{number}.{form}"
            if form == "zip":
                with zipfile.ZipFile(path, "w") as archive:
                    archive.writestr("a.cer", pem(entry.certificate))
            else:
                path.write_bytes((pem if form == "pem" else der)(entry.certificate))


def write_all(table: str, path: Path) -> None:
    """Issue every certificate that a table requires, and write all of them to one file with the
    chain.
    """
    planned = ln.plan_certificates(ln.read_topology(table.encode()), ln.load_rules())
    certificates = [
        issue_planned(certificate, begins=datetime.now(UTC)) for certificate in planned.certificates
    ]
    path.write_bytes(pem(*certificates, *authority().chain))
