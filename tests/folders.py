"""Create plans, request folders, and folders with issued certificates for tests.

Tests specify plans directly (``planned_certificate``, ``plan_of_servers``) or as a table (``make_plan``). By default,
keys are ECDSA, so that a folder takes only milliseconds. ``quick_cipher`` reduces the rounds of key
derivation, and the time to generate an RSA key. ``issue_all`` uses a CA in this process,
``make_issued_folder`` uses OpenSSL.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from cas.python_ca import POLICIES, TIMESTAMP_LIST, TIMESTAMPS, PythonCa, pem, timestamp_list
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from topologies import TWO_SITES

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.returned.issued import IssuedCertificates
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.base.certificate_fields import DistinguishedName, KeyParameters, SanEntry
from lyncnb.base.disk.windows_access import find_other_users, restrict_access
from lyncnb.base.dns_name import DnsName
from lyncnb.base.records import convert_record
from lyncnb.export.executors import Making
from lyncnb.export.write import write_requests
from lyncnb.pki import csr, keys, pkcs12
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.plan.model import (
    CertificatePlan,
    PlannedCertificate,
    build_request_content,
    convert_to_entry,
)
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import RequestBundle, open_requests
from lyncnb.request_folder.entries import build_entry, write_entry
from lyncnb.request_folder.facts import list_changes, take_folder_apart, take_request_apart
from lyncnb.request_folder.files_on_disk import SECRET
from lyncnb.request_folder.manifest import (
    EARLIER_FORMAT,
    MARKER,
    Manifest,
    read_manifest,
    save_manifest,
)
from lyncnb.request_folder.request_record import (
    IssuedRecord,
    PackageRecord,
    RequestFiles,
    RequestRecord,
    build_deployments,
    build_file_stem,
    list_current_files,
)
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

PASSPHRASE = "correct horse battery"
TODAY = date(2026, 11, 24)
ROUNDS = 1000
_TWO_SITES = TWO_SITES.encode()
P256 = KeyParameters(algorithm="ECDSA", bits=256)


def lower_rounds() -> None:
    """Lower the iteration counts for deriving keys from passphrases and passwords, so that the
    tests run faster.
    """
    FolderCipher.__init__.__kwdefaults__["rounds"] = ROUNDS
    pkcs12.KDF_ROUNDS = ROUNDS


@cache
def _rsa_keys(bits: int, process: int) -> Iterator[rsa.RSAPrivateKey]:
    """Yield different RSA keys. Most of them combine prime numbers of earlier keys.

    Finding the primes takes almost all the time of generating a key. A forked process begins with
    other primes.
    """

    def combined() -> Iterator[rsa.RSAPrivateKey]:
        primes: list[int] = []
        while True:
            numbers = rsa.generate_private_key(65537, bits).private_numbers()
            for p in (numbers.p, numbers.q):
                for q in primes:
                    d = rsa.rsa_recover_private_exponent(65537, p, q)
                    parts = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
                    public = rsa.RSAPublicNumbers(65537, p * q)
                    yield rsa.RSAPrivateNumbers(p, q, d, *parts, public).private_key(
                        unsafe_skip_rsa_key_validation=True
                    )
                primes.append(p)

    return combined()


@contextmanager
def quick_keys() -> Iterator[None]:
    """Reduce the rounds of key derivation, and reuse the primes of earlier RSA keys."""
    before, rounds = dict(FolderCipher.__init__.__kwdefaults__), pkcs12.KDF_ROUNDS
    real, turn = keys.generate_key, Lock()

    def generate(parameters: KeyParameters) -> keys.PrivateKey:
        if parameters.algorithm != "RSA":
            return real(parameters)
        with turn:  # Several threads generate RSA keys at the same time.
            return next(_rsa_keys(parameters.bits, os.getpid()))

    lower_rounds()
    keys.generate_key = generate
    yield
    keys.generate_key = real
    pkcs12.KDF_ROUNDS = rounds
    FolderCipher.__init__.__kwdefaults__.update(before)


@pytest.fixture(scope="module")
def quick_cipher() -> Iterator[None]:
    """Reduce the rounds of key derivation, and reuse the primes of RSA keys, for the tests in one
    file.
    """
    with quick_keys():
        yield


# --- plans


def planned_certificate(
    *names: str,
    algorithm: str = "RSA",
    bits: int | None = None,
    hash: str = "sha256",
    usages: tuple[str, ...] = ("serverAuth",),
    role: str = "FrontEnd",
    **subject: str,
) -> PlannedCertificate:
    """Return one planned certificate. By default, its first DNS name is the common name."""
    first, *_ = names or ("edge.contoso.com",)
    server = DnsName.parse(first, allow_wildcard=True)
    return PlannedCertificate(
        role=role,
        site="Taipei",
        pool=server,
        servers=(server,),
        usages=("Default",),
        subject=DistinguishedName(**{"common_name": server} | subject),
        subject_alt_name=tuple(
            SanEntry(DnsName.parse(name, allow_wildcard=True), ("pool",)) for name in names
        ),
        extended_key_usage=usages,
        issuer="internal",
        ca="",
        key=KeyParameters(algorithm=algorithm, bits=bits or (2048 if algorithm == "RSA" else 256)),
        hash=hash,
        shared_by="server",
        target_os="2012R2",
        rule=f"{role}/Default",
    )


def certificate(
    number: int,
    *,
    extra: Sequence[str] = (),
    key: KeyParameters = P256,
    digest: str = "sha256",
    organization: str = "Contoso",
) -> PlannedCertificate:
    """Return the planned certificate of one Mediation Server."""
    return planned_certificate(
        f"med{number:05}.contoso.com",
        *extra,
        algorithm=key.algorithm,
        bits=key.bits,
        hash=digest,
        role="Mediation",
        organization=organization,
    )


_TOPOLOGY = read_topology(b"server_fqdn,role,sip_domains\nmed.contoso.com,Mediation,contoso.com\n")


def plan_of(
    *certificates: PlannedCertificate, options: PlanOptions | None = None
) -> CertificatePlan:
    """Return a plan that consists of the given certificates."""
    return CertificatePlan(
        topology=_TOPOLOGY,
        rules=load_rules("lync2013"),
        options=options or PlanOptions(),
        certificates=tuple(certificates),
    )


def plan_of_servers(count: int, **changes: object) -> CertificatePlan:
    """Return a plan with one certificate for each of `count` servers."""
    return plan_of(*(certificate(number, **changes) for number in range(count)))


def with_extra_names(plan: CertificatePlan, index: int, *names: str) -> CertificatePlan:
    """Return a plan in which one certificate has the given additional names."""
    items = list(plan.certificates)
    entries = tuple(SanEntry(DnsName.parse(name), ("extra",)) for name in names)
    items[index] = items[index]._replace(
        subject_alt_name=(*items[index].subject_alt_name, *entries)
    )
    return plan_of(*items)


def make_plan(topology: bytes | Path = _TWO_SITES, **options: object) -> CertificatePlan:
    """Return the plan of a table. Keys are ECDSA unless the options specify another type."""
    values = {"key": P256, "organization": "Contoso", **options}
    return plan_certificates(
        read_topology(topology), load_rules("lync2013"), options=PlanOptions(**values)
    )


# --- records


def issued_record(**changes: object) -> IssuedRecord:
    """Return the record of an issued certificate that is valid for 90 days from December 2026."""
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


def written_record(
    certificate: PlannedCertificate, number: int, **changes: object
) -> RequestRecord:
    """Return the record of a request that waits for its certificate since March 2026."""
    digest = f"{number:064x}"
    values = {
        "id": certificate.id,
        "number": number,
        "state": "waiting",
        "files": RequestFiles(csr=f"csr/{certificate.id}.csr", key=f"keys/{certificate.id}.key"),
        "csr_sha256": digest,
        "spki_sha256": digest[::-1],
        "key_sha256": digest,
        "planned_at": "2026-03-16T09:00:00Z",
        "written_at": "2026-03-17T10:11:12Z",
        "plan": convert_to_entry(certificate),
    }
    return RequestRecord(**(values | changes))


def package_record(file: str = "pfx/a.pfx") -> PackageRecord:
    """Return a package record for a manifest."""
    return PackageRecord(
        file=file,
        target_os="2012R2",
        encryption="3des-sha1",
        friendly_name="med",
        certificate="a" * 64,
        sha256=hashlib.sha256(b"package").hexdigest(),
        packaged_at="2026-12-02T00:00:00Z",
    )


# --- folders


_MAKING = {"workers", "executor", "progress", "cancel"}


def write(plan: CertificatePlan, folder: Path, **arguments: object) -> RequestBundle:
    """Write a request folder as a planner would, on a fixed date and without findings."""
    making = {name: arguments.pop(name) for name in _MAKING & arguments.keys()}
    arguments = {"passphrase": PASSPHRASE, "findings": (), "today": TODAY, **arguments}
    return write_requests(plan, folder, making=Making(**making), **arguments)


def make_folder(path: Path, plan: CertificatePlan | None = None, **arguments) -> RequestBundle:
    """Write the request folder of a plan. By default, this is the sample plan with two sites."""
    return write(plan or make_plan(), path, workers=1, **arguments)


def copy_folder(folder: Path, target: Path) -> Path:
    """Copy a request folder, also on Windows, where a copy gets the access list of its parent."""
    shutil.copytree(folder, target)
    for path in map(target.joinpath, SECRET):
        if path.is_dir():
            restrict_access(path)
    return target


def csr_path(folder: Path, request_id: str) -> Path:
    """Return the path of the only CSR in ``csr/`` for a request, in any version of lyncnb."""
    return _find_file(folder / "csr", request_id)


def key_path(folder: Path, request_id: str) -> Path:
    """Return the path of the only key in ``keys/`` for a request, in any version of lyncnb."""
    return _find_file(folder / "keys", request_id)


def pfx_path(folder: Path, request_id: str) -> Path:
    """Return the path of the package on record for a request."""
    return folder / read_manifest(folder).by_id[request_id].package.file


def archived_files(folder: Path, request_id: str) -> list[Path]:
    """Return the keys and CSRs of a request in ``archive/``."""
    return sorted((folder / "archive").glob(f"{request_id}-*"))


def write_pair(folder: Path, request_id: str, key_pem: bytes, csr_pem: bytes, spki: str) -> None:
    """Write a key and a CSR with the names that lyncnb gives them."""
    paths = list_current_files(build_file_stem(request_id, spki))
    for path, data in ((paths.key, key_pem), (paths.csr, csr_pem)):
        (folder / path).write_bytes(data)
        (folder / path).chmod(0o600)


def _find_file(folder: Path, request_id: str) -> Path:
    name = re.compile(rf"{re.escape(request_id)}(?:-[0-9a-f]{{8}})?")
    (path,) = (path for path in folder.iterdir() if name.fullmatch(path.stem))
    return path


def request_of(bundle: RequestBundle, request_id: str) -> x509.CertificateSigningRequest:
    """Return the CSR of a request."""
    record = bundle.manifest.by_id[request_id]
    return x509.load_pem_x509_csr((bundle.folder / record.files.csr).read_bytes())


def find_id(bundle: RequestBundle, part: str) -> str:
    """Return the id of the only certificate whose id contains `part`."""
    (request_id,) = [record.id for record in bundle.requests if part in record.id]
    return request_id


def edge_external(bundle: RequestBundle) -> str:
    """Return the id of the external Edge certificate."""
    (request_id,) = [r.id for r in bundle.requests if "AccessEdgeExternal" in r.plan.usages]
    return request_id


def remove_last_entry(folder: Path) -> None:
    """Remove the last entry of the record, as if the run was interrupted before it wrote it."""
    max((folder / "record").iterdir()).unlink()


def read_entries(folder: Path) -> list[dict[str, Any]]:
    """Return the content of each entry of a folder's record, oldest first."""
    return [json.loads(path.read_bytes()) for path in sorted((folder / "record").iterdir())]


def read_document(folder: Path) -> dict[str, Any]:
    """Return the state of a folder as plain values."""
    return json.loads(json.dumps(read_manifest(folder), default=convert_record))


def put_back(folder: Path, state: Manifest | dict[str, Any]) -> None:
    """Replace the record of a folder with one entry of a state, as an attacker could do."""
    document = json.loads(json.dumps(state, default=convert_record))
    facts = {"": take_folder_apart({**document, "requests": [], "summary": {}})}
    order = [request["id"] for request in document["requests"]]
    facts[""]["folder",] = {**facts[""]["folder",], "order": order}
    facts |= {request["id"]: take_request_apart(request) for request in document["requests"]}
    events = [event for name in facts for event in list_changes(name, {}, facts[name])]
    shutil.rmtree(folder / "record", ignore_errors=True)
    name, data, _ = build_entry(
        events, number=1, at=f"{TODAY}T00:00:00Z", user=("mallory", "here"), command="edit"
    )
    write_entry(folder, name, data)
    (folder / "manifest.json").write_bytes(MARKER)


def lose_record(folder: Path) -> None:
    """Delete the whole record of a folder."""
    shutil.rmtree(folder / "record")
    (folder / "manifest.json").unlink()


def encode_earlier(state: Manifest | dict[str, Any]) -> bytes:
    """Return the manifest of lyncnb 0.2.0, with the values of a state."""
    document = {"format": EARLIER_FORMAT, **convert_record(state)}
    return json.dumps(document, ensure_ascii=False, default=convert_record).encode()


def write_earlier(folder: Path, state: Manifest | dict[str, Any] | None = None) -> None:
    """Give a folder the manifest of lyncnb 0.2.0 in place of its record."""
    data = encode_earlier(read_manifest(folder) if state is None else state)
    shutil.rmtree(folder / "record", ignore_errors=True)
    (folder / ".summary.json").unlink(missing_ok=True)
    (folder / "manifest.json").write_bytes(data)


# --- The following functions create folders with issued certificates.


def issue_all(
    bundle: RequestBundle, ca: PythonCa, *, skip: Iterable[str] = (), **changes
) -> dict[str, x509.Certificate]:
    """Issue a certificate for every request, with the requested names, for at most 199 days."""
    values = {"days": 199, **changes}
    return {
        record.id: ca.issue_for(request_of(bundle, record.id), **values)
        for record in bundle.requests
        if record.id not in skip
    }


@cache
def _authority() -> PythonCa:
    return PythonCa()


def certify(folder: Path, *ids: str, today: date = TODAY, **changes) -> None:
    """Issue certificates for some of the requests in a folder, and import them into the folder."""
    bundle, ca = open_requests(folder), _authority()
    others = {record.id for record in bundle.requests} - set(ids)
    answers = issue_all(bundle, ca, skip=others, **changes)
    with tempfile.TemporaryDirectory() as answer_folder:
        (Path(answer_folder) / "answers.pem").write_bytes(pem(*answers.values(), *ca.chain))
        assert receive(folder, answer_folder, today=today).exit_status == 0


_EXTENSIONS = f"""basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
crlDistributionPoints=URI:http://pki.contoso.com/1.crl
certificatePolicies={POLICIES[0]}
{TIMESTAMP_LIST.dotted_string}=DER:{timestamp_list(TIMESTAMPS).hex()}
"""


@dataclass(frozen=True)
class Answered:
    """A request folder in which all certificates are issued, and the root certificate of the CA."""

    folder: Path
    root: Path

    def match_issued(self) -> IssuedCertificates:
        """Match the issued certificates in the folder with the requests."""
        return match_certificates(open_requests(self.folder), today=TODAY)

    def copy(self, to: Path) -> Answered:
        """Return a copy of the folder that a test may change."""
        shutil.copytree(self.folder, to / "requests")
        return Answered(to / "requests", self.root)


def make_issued_folder(
    table: bytes,
    parent: Path,
    options: PlanOptions | None = None,
    product: str | Path = "lync2013",
    *,
    today: date = TODAY,
    days: int = 179,
) -> Answered:
    """Plan a table, write the requests, sign them with OpenSSL, and import the certificates.

    If a test passes the folder to a command that reads the clock, specify the real date and few
    days.
    """
    rules = load_rules(
        product
    )  # The rules define which columns the table may have, so the rules are read first.
    plan = plan_certificates(read_topology(table), rules, options=options or PlanOptions())
    folder = parent / "requests"
    write_requests(plan, folder, passphrase=PASSPHRASE, today=today)
    answer_folder = parent / "back"
    answer_folder.mkdir()
    root = answer_folder / "root.pem"
    if os.name == "nt":  # OpenSSL is not installed.
        _sign_by_root(folder, root, today - timedelta(days=1), days + 1)
        receive(folder, answer_folder, today=today)
        return Answered(folder, root)
    (parent / "extensions").write_text(_EXTENSIONS)
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", parent / "ca.pem"),
        *("-out", root, "-subj", "/CN=Contoso Root", "-days", "3000"),
        *("-not_before", "20260101000000Z", "-not_after", "20360101000000Z"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    start, end = (f"{today + timedelta(days=n):%Y%m%d}000000Z" for n in (-1, days))
    sign_by_openssl(folder, parent, start, end)
    receive(folder, answer_folder, today=today)
    return Answered(folder, root)


def _sign_by_root(folder: Path, root: Path, first_day: date, days: int) -> None:
    """Have a root CA issue a certificate for each request in a folder. Write the root certificate
    to ``root``, and the issued certificates to the folder that contains ``root``.
    """
    ca = PythonCa()
    ca.issuing, ca.key = ca.root, ca.root_key
    begins = datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)
    issued = issue_all(open_requests(folder), ca, begins=begins, days=days)
    root.write_bytes(pem(ca.root))
    root.with_name("issued.pem").write_bytes(pem(*issued.values()))


def sign_by_openssl(folder: Path, parent: Path, start: str, end: str, part: str = "") -> None:
    """Sign requests with OpenSSL. `begin` and `end` are dates in OpenSSL's format. With `part`,
    sign only the requests whose file names begin with it.
    """
    for path in sorted((folder / "csr").glob(f"{part}*.csr")):
        _openssl(
            *("x509", "-req", "-in", path, "-CA", parent / "back" / "root.pem"),
            *("-CAkey", parent / "ca.pem", "-copy_extensions", "copy"),
            *("-extfile", parent / "extensions", "-not_before", start, "-not_after", end),
            *("-out", parent / "back" / f"{path.stem}.pem"),
        )


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


# --- These functions check conditions that every folder must meet.


def snapshot(folder: Path, *, but_lock: bool = False) -> dict[str, tuple[int, int, int, bytes]]:
    """Return the mode, times, and content of every file in a folder, and the mode and times of the
    folder.

    With `but_lock`, leave out everything that a lock changes: the lock file and the folder's times.
    """
    states = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        if but_lock and (path == folder or path.name in (".lock", "lyncnb.lock")):
            continue
        facts = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(facts.st_mode) else b""
        states[str(path)] = (facts.st_mode, facts.st_mtime_ns, facts.st_ctime_ns, data)
    return states


def public_keys_of_requests(folder: Path) -> set[str]:
    """Return the hash of the public key in each complete CSR in a folder and its subfolders."""
    hashes = set()
    for path in folder.rglob("*.csr"):
        if not path.name.startswith("."):
            request = csr.parse_request(path.read_bytes(), name=path.name)
            assert request.has_valid_signature(), path
            hashes.add(request.spki_sha256)
    return hashes


def public_keys_of_keys(folder: Path, *passphrases: str) -> set[str]:
    """Open each private key in a folder, and return the hashes of the public keys."""
    ciphers = [FolderCipher(text) for text in passphrases or (PASSPHRASE,)]
    hashes = set()
    for path in folder.rglob("*.key"):
        if path.name.startswith("."):
            continue
        for cipher in ciphers:
            try:
                hashes.add(
                    keys.compute_spki_sha256(cipher.decrypt(path.read_bytes(), name=path.name))
                )
                break
            except Exception:
                if cipher is ciphers[-1]:
                    raise
    return hashes


def assert_only_owner_has_access(path: Path) -> None:
    """Assert that only the owner can open a file or folder. On Windows, the folder's permissions
    protect its files.
    """
    if os.name == "nt":
        assert path.is_file() or find_other_users(path) == (), path
    else:
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.is_file() else 0o700), path


def assert_private(folder: Path) -> None:
    """Assert that other users cannot read the files with secrets, even if these are only partly
    written.
    """
    for subfolder in ("keys", "archive", "pfx"):
        if (folder / subfolder).exists():
            assert_only_owner_has_access(folder / subfolder)
    for path in folder.rglob("*"):
        secret = path.suffix == ".key" or path.parent.name == "keys"
        if secret and path.is_file():
            assert_only_owner_has_access(path)


def assert_complete(
    folder: Path,
    plan: CertificatePlan,
    seen: set[str] = frozenset(),
    *,
    passphrase: str = PASSPHRASE,
) -> None:
    """Assert that every planned request has a key and a CSR, and that every CSR has its key."""
    for item in plan.certificates:
        path = csr_path(folder, item.id)
        assert csr.parse_request(path.read_bytes()).content == build_request_content(item)
        assert key_path(folder, item.id).stem == path.stem
    requests = public_keys_of_requests(folder)
    assert (requests | set(seen)) <= public_keys_of_keys(folder, passphrase)
    digest = hashlib.sha256((folder / "plan.json").read_bytes()).hexdigest()
    assert read_manifest(folder).plan_json_sha256 == digest
    assert not [name for name in os.listdir(folder) if name.startswith(".tmp")]
    assert_private(folder)


#: Unusual private keys that no plan contains. The text in front of each one names the unusual
#: property.
ODD_KEYS = {
    "exponent": lambda: rsa.generate_private_key(3, 2048),
    "bits": lambda: rsa.generate_private_key(65537, 1024),
    "curve": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
}


def put_unusual_pair(folder: Path, item: PlannedCertificate, kind: str) -> None:
    """Give a planned request an unusual key: replace its key file and its CSR file."""
    key = ODD_KEYS[kind]()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, item.subject.common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    for path in (*(folder / "csr").glob(f"{item.id}*"), *(folder / "keys").glob(f"{item.id}*")):
        path.unlink()
    encrypted = FolderCipher(PASSPHRASE).encrypt(key)
    spki = keys.compute_spki_sha256(key)
    write_pair(folder, item.id, encrypted, request.public_bytes(Encoding.PEM), spki)


def record_deployed(folder, name):
    """Record that the current certificate of a request is installed on its servers."""
    manifest = read_manifest(folder)
    record = manifest.by_id[name]
    new = build_deployments(
        record.issued,
        record.plan.servers,
        date_text="2026-12-03",
        recorded_at="2026-12-03T00:00:00Z",
    )
    save_manifest(folder, manifest.with_records([replace(record, deployments=new)]))


def digest(folder: Path) -> dict[str, str]:
    """Return the hash and modification time of every file in a folder."""
    return {
        str(path.relative_to(folder)): f"{path.stat().st_mtime_ns} "
        + hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "lyncnb.lock")
    }
