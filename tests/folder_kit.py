"""What the tests of the request folder share: small plans, a quick cipher, one invariant.

Plans are made by hand and of ECDSA keys, so that a folder costs milliseconds; passphrases are
derived with few rounds. What is checked here is what the folder promises.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest

from lyncnb.base.certificate_fields import DistinguishedName, KeyParameters, SanEntry
from lyncnb.base.dns_name import DnsName
from lyncnb.export.key_and_csr import content_of
from lyncnb.export.write import write_requests
from lyncnb.pki import csr, keys
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.plan.model import CertificatePlan, PlannedCertificate
from lyncnb.plan.options import PlanOptions
from lyncnb.request_folder.bundle import RequestBundle
from lyncnb.request_folder.request_record import IssuedRecord, PackageRecord
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

PASSPHRASE = "correct horse battery"
TODAY = date(2026, 11, 24)
ROUNDS = 1000
P256 = KeyParameters(algorithm="ECDSA", bits=256)

_CSV = b"server_fqdn,role,sip_domains\nmed.contoso.com,Mediation,contoso.com\n"


def lower_rounds() -> None:
    """Derive keys from passphrases a hundred times faster than the product does."""
    FolderCipher.__init__.__kwdefaults__["rounds"] = ROUNDS


@pytest.fixture(scope="module")
def quick_cipher() -> Iterator[None]:
    """Lower the rounds for the tests of one file."""
    before = dict(FolderCipher.__init__.__kwdefaults__)
    lower_rounds()
    yield
    FolderCipher.__init__.__kwdefaults__.update(before)


def certificate(
    number: int,
    *,
    extra: Sequence[str] = (),
    key: KeyParameters = P256,
    digest: str = "sha256",
    organization: str = "Contoso",
) -> PlannedCertificate:
    """Plan the certificate of one fictional server."""
    server = DnsName.parse(f"med{number:05}.contoso.com")
    names = (server, *map(DnsName.parse, extra))
    return PlannedCertificate(
        role="Mediation",
        site="Taipei",
        pool=server,
        servers=(server,),
        usages=("Default",),
        subject=DistinguishedName(common_name=server, organization=organization),
        subject_alt_name=tuple(SanEntry(name, ("pool",)) for name in names),
        extended_key_usage=("serverAuth",),
        issuer="internal",
        ca="",
        key=key,
        hash=digest,
        shared_by="server",
        target_os="2012R2",
        rule="Mediation/Default",
    )


_TOPOLOGY = read_topology(_CSV)


def plan_of(
    *certificates: PlannedCertificate, options: PlanOptions | None = None
) -> CertificatePlan:
    """Make a plan of certificates made by hand."""
    return CertificatePlan(
        topology=_TOPOLOGY,
        rules=load_rules("lync2013"),
        options=options or PlanOptions(),
        certificates=tuple(certificates),
    )


def issued_record(**changes: object) -> IssuedRecord:
    """Make a certificate on record, of 90 days from December 2026 on."""
    values = {
        "file": "returned/a.cer",
        "chain": "",
        "serial": "01",
        "thumbprint_sha1": "A" * 40,
        "sha256": "a" * 64,
        "not_before": "2026-12-01T00:00:00Z",
        "not_after": "2027-02-28T23:59:59Z",
        "received_at": "2026-12-01T00:00:00Z",
    }
    return IssuedRecord(**(values | changes))


def package_record(file: str = "pfx/a.pfx") -> PackageRecord:
    """Make a package on record."""
    return PackageRecord(
        file=file,
        target_os="2012R2",
        encryption="3des-sha1",
        friendly_name="med",
        certificate="a" * 64,
        sha256=hashlib.sha256(b"package").hexdigest(),
        packaged_at="2026-12-02T00:00:00Z",
    )


def numbered(count: int, **changes: object) -> CertificatePlan:
    """Make a plan of `count` servers."""
    return plan_of(*(certificate(number, **changes) for number in range(count)))


def write(plan: CertificatePlan, folder: Path, **arguments: object) -> RequestBundle:
    """Write a folder as a planner would, on a fixed day and without findings."""
    arguments = {"passphrase": PASSPHRASE, "findings": (), "today": TODAY, **arguments}
    return write_requests(plan, folder, **arguments)


def with_extra(plan: CertificatePlan, index: int, *names: str) -> CertificatePlan:
    """Put more names on one certificate of a plan."""
    items = list(plan.certificates)
    entries = tuple(SanEntry(DnsName.parse(name), ("extra",)) for name in names)
    items[index] = items[index]._replace(
        subject_alt_name=(*items[index].subject_alt_name, *entries)
    )
    return plan_of(*items)


def snapshot(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Take every name of a folder with mode, times and content, the folder itself too."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        facts = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b""
        found[str(path)] = (facts.st_mode, facts.st_mtime_ns, facts.st_ctime_ns, data)
    return found


def public_keys_of_requests(folder: Path) -> set[str]:
    """Hash the public key of each finished CSR anywhere in a folder."""
    found = set()
    for path in folder.rglob("*.csr"):
        if not path.name.startswith("."):
            request = csr.parse_request(path.read_bytes(), name=path.name)
            assert request.signature_verifies(), path
            found.add(request.spki_sha256)
    return found


def public_keys_of_keys(folder: Path, *passphrases: str) -> set[str]:
    """Open each key of a folder with the first passphrase that fits; hash its public half."""
    ciphers = [FolderCipher(text) for text in passphrases or (PASSPHRASE,)]
    found = set()
    for path in folder.rglob("*.key"):
        if path.name.startswith("."):
            continue
        for cipher in ciphers:
            try:
                found.add(keys.spki_sha256(cipher.decrypt(path.read_bytes(), name=path.name)))
                break
            except Exception:
                if cipher is ciphers[-1]:
                    raise
    return found


def assert_private(folder: Path) -> None:
    """Nothing secret can be read by others, half-written files included."""
    for place in ("keys", "archive", "pfx"):
        if (folder / place).exists():
            assert stat.S_IMODE((folder / place).stat().st_mode) == 0o700, place
    for path in folder.rglob("*"):
        secret = path.suffix == ".key" or path.parent.name == "keys"
        if secret and path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def assert_complete(
    folder: Path,
    plan: CertificatePlan,
    seen: set[str] = frozenset(),
    *,
    passphrase: str = PASSPHRASE,
) -> None:
    """Every planned request has key and CSR as planned, and every CSR ever seen has its key."""
    for item in plan.certificates:
        path = folder / "csr" / f"{item.id}.csr"
        assert csr.parse_request(path.read_bytes()).content == content_of(item)
        assert (folder / "keys" / f"{item.id}.key").exists()
    requests = public_keys_of_requests(folder)
    assert (requests | set(seen)) <= public_keys_of_keys(folder, passphrase)
    assert not [name for name in os.listdir(folder) if name.startswith(".tmp")]
    assert_private(folder)
