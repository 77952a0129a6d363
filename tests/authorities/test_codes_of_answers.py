"""For each finding about several certificates or about a folder, the tests create a case that
causes it and a similar case that does not.

The two cases of a code differ in one detail. Certificates are matched in memory. Cases that need a
file or a folder get a path.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from authorities.test_matching import (
    CA,
    CHAIN,
    KEYS,
    SAN,
    file,
    make_certificate,
    make_request,
    match,
)
from cas.python_ca import CA_USAGE, TODAY, PythonCa, der, issue, name, pem
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from folders import certify, make_folder, package_record, quick_cipher
from hostile import archive
from installed_certificates import Stored, authority, export_of, issue_planned
from live_servers import run_live_servers
from topologies import STANDARD_EDITION

from lyncnb.authorities.certificates_on_record import (
    find_altered_packages,
    load_issued_certificates,
)
from lyncnb.authorities.import_requests import receive_requests
from lyncnb.authorities.returned.returned_files import read_returned_files
from lyncnb.authorities.survey.compare_as_is import compare_as_is
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.export.requests_elsewhere import request_elsewhere
from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.csr import build_request
from lyncnb.pki.demonstration_ca import DEMONSTRATION_NAME
from lyncnb.pki.keys import compute_spki_sha256
from lyncnb.plan.model import build_request_content
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.probes.probe import probe
from lyncnb.request_folder.bundle import open_requests
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")
__all__ = ["quick_cipher"]

SECOND, NINE_DAYS = timedelta(seconds=1), timedelta(days=9)
BEGINS = TODAY - NINE_DAYS
POOL = [("CN", "pool.contoso.com")]
OTHER = PythonCa("Fabrikam")
OTHER_CHAIN = [read_certificate(der(certificate)) for certificate in OTHER.chain]
# The CA has an RSA key, because only RSA has two signature schemes.
RSA_KEY = rsa.generate_private_key(65537, 2048)


def ca_certificate(public_key, subject, issuer, issuer_key, **changes):
    """Return a certificate that the given CA issues for another CA."""
    values = {
        "subject": subject,
        "eku": None,
        "usage": CA_USAGE,
        "ca": True,
        "crl": (),
        "days": 900,
    }
    return read_certificate(der(issue(public_key, issuer, issuer_key, **(values | changes))))


def issue_from_other_ca(ca, **changes):
    """For the first request, return a certificate that the given CA issued instead of the usual CA."""
    values = {"subject": POOL, "san": SAN["a"], "usage": ("digital_signature",), **changes}
    issuer, key = (ca.issuing.subject, ca.key) if isinstance(ca, PythonCa) else ca
    return read_certificate(der(issue(KEYS["a"].public_key(), issuer, key, **values)))


# A second issuing CA below the same root, the renewed root certificate, and a certificate from
# another CA for the key of the first issuing CA.
SECOND_KEY = ec.generate_private_key(ec.SECP256R1())
SECOND_NAME = [("CN", "Contoso Issuing CA 2")]
SECOND_CA = ca_certificate(SECOND_KEY.public_key(), SECOND_NAME, CA.root.subject, CA.root_key)
ROOT_NAME, ISSUING_NAME = (
    [("CN", "Contoso Root CA")],
    [("CN", "Contoso Issuing CA 1"), ("O", "Contoso")],
)
RENEWED_ROOT = ca_certificate(CA.root_key.public_key(), ROOT_NAME, CA.root.subject, CA.root_key)
CROSSED = ca_certificate(CA.key.public_key(), ISSUING_NAME, OTHER.root.subject, OTHER.root_key)


def issue_from_second_ca():
    """Return a certificate for the first request from the second issuing CA."""
    return issue_from_other_ca((name(SECOND_NAME), SECOND_KEY), begins=TODAY)


def finding_codes(requests, *files, known=()):
    """Return the codes of all findings about the given files and the certificates in these files."""
    matched = match(requests, *files, known=known)
    answers = (*matched.answers, *matched.superseded, *matched.refused)
    return {
        finding.code for finding in (*matched.findings, *(f for a in answers for f in a.findings))
    }


def match_one(*certificates, known=(), **changes):
    """Match the certificates with one request, and return the codes of the findings."""
    return finding_codes([make_request("a", **changes)], file(*certificates), known=known)


def match_with_earlier_certificate(*certificates, begins=TODAY - SECOND, known=(), **changes):
    """Return the codes of the findings about new certificates for a request that already has a
    certificate with a complete chain.
    """
    on_record = make_certificate("a", begins=begins)
    return match_one(
        *(on_record if certificate is None else certificate for certificate in certificates),
        known=[on_record, *known],
        held_sha256=on_record.sha256,
        **{"is_evidence": True} | changes,
    )


def generations(first: bool, **changes):
    """Return the codes of the findings about a certificate for the first or the second generation
    of a request.
    """
    requests = [
        make_request("a", generation=2),
        make_request("old", request_id="a", is_current=False, **changes),
    ]
    return finding_codes(requests, file(make_certificate("old" if first else "a"), *CHAIN))


def codes_of_renewed_certificate(**on_record):
    """Return the codes of the findings about a certificate for the second generation of a request.

    The first one may have a certificate.
    """
    before = make_certificate("old", begins=BEGINS)
    on_record = {"held_sha256": before.sha256} | on_record
    requests = [
        make_request("a", generation=2),
        make_request("old", request_id="a", is_current=False, **on_record),
    ]
    return finding_codes(requests, file(make_certificate("a")), known=[before, *CHAIN])


def codes_of_certificate_signed_with_own_key(issuer):
    """Return the codes of the findings about a certificate that is signed with the key of its own
    request.
    """
    return match_one(issue_from_other_ca((name(issuer), KEYS["a"])))


def match_two(first, second, **changes):
    """Match one certificate with each of two requests, and return the codes of the findings."""
    requests = [make_request("a", **changes), make_request("b", **changes)]
    return finding_codes(
        requests, file(make_certificate("a", **first), make_certificate("b", **second), *CHAIN)
    )


def codes_with_signature_scheme(identifier):
    """Return the codes of the findings about a certificate whose ECDSA signature scheme (ANSI
    X9.62) was replaced.
    """
    content = make_certificate("a").der
    ecdsa = bytes.fromhex("2a8648ce3d0403")
    assert content.count(ecdsa + b"\x02") == 2
    changed = content.replace(ecdsa + b"\x02", ecdsa + bytes([identifier]))
    return match_one(read_certificate(changed), *CHAIN)


def codes_with_extension(**changes):
    """Return the codes of the findings about a certificate with an additional extension, and about
    the chain of that certificate.
    """
    return match_one(make_certificate("a", **changes), *CHAIN)


def codes_of_demonstration_ca(**changes):
    """Return the codes of the findings about a certificate whose issuer has the name of the
    demonstration CA.
    """
    return match_one(issue_from_other_ca((name([("CN", DEMONSTRATION_NAME)]), CA.key)), **changes)


def codes_below_rsa_ca(**changes):
    """Return the codes of the findings about a certificate from a CA with an RSA key.

    The keyword arguments configure the CA.
    """
    ca = PythonCa(make_key=lambda: RSA_KEY, **changes)
    return match_one(
        issue_from_other_ca(ca), *(read_certificate(der(issuer)) for issuer in ca.chain)
    )


def codes_below_secp256k1_ca(**changes):
    """Return the codes of the findings about a certificate from a CA whose key is on the curve
    secp256k1.
    """
    ca = PythonCa(make_key=lambda: ec.generate_private_key(ec.SECP256K1()))
    return match_one(
        issue_from_other_ca(ca), *(read_certificate(der(issuer)) for issuer in ca.chain), **changes
    )


PUBLIC = {"entry": {"issuer": "public"}}
OWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
WRONG_KEY = x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)
RIGHT_KEY = x509.AuthorityKeyIdentifier.from_issuer_public_key(CA.key.public_key())

#: Two functions for each code of a finding: the first one creates a case with the finding, and the
#: second one a similar case without it.
MATCHED = {
    "pfx-key-not-ours": (
        lambda: finding_codes([make_request("a")], file(key_spki_sha256=(compute_spki_sha256(KEYS["foreign"]),))),
        lambda: finding_codes([make_request("a")], file(key_spki_sha256=(compute_spki_sha256(KEYS["a"]),))),
    ),
    "unknown-key": (lambda: match_one(make_certificate("foreign"), *CHAIN), lambda: match_one(make_certificate("a"), *CHAIN)),
    "answers-superseded-request": (lambda: generations(first=True), lambda: generations(first=False)),
    "answers-retired-request": (
        lambda: match_one(make_certificate("a"), *CHAIN, is_retired=True),
        lambda: match_one(make_certificate("a"), *CHAIN, is_retired=False),
    ),
    "key-compromised": (
        lambda: match_with_earlier_certificate(make_certificate("a", begins=TODAY), known=CHAIN, is_compromised=True),
        lambda: match_with_earlier_certificate(make_certificate("a", begins=TODAY), known=CHAIN, is_compromised=False),
    ),
    "several-answers": (
        lambda: match_one(make_certificate("a"), make_certificate("a", begins=BEGINS), *CHAIN),
        lambda: match_one(*[make_certificate("a", begins=BEGINS)] * 2, *CHAIN),
    ),
    "answers-of-two-cas": (
        lambda: match_one(make_certificate("a"), issue_from_other_ca(OTHER), *CHAIN, *OTHER_CHAIN),
        lambda: match_one(make_certificate("a"), issue_from_other_ca((name(SECOND_NAME), SECOND_KEY)), *CHAIN, SECOND_CA),
    ),
    "older-answer": (
        lambda: match_with_earlier_certificate(make_certificate("a", begins=TODAY - 2 * SECOND), known=CHAIN),
        lambda: match_with_earlier_certificate(make_certificate("a", begins=TODAY), known=CHAIN),
    ),
    "replaces-earlier-certificate": (
        lambda: match_with_earlier_certificate(make_certificate("a", begins=TODAY), known=CHAIN),
        lambda: match_with_earlier_certificate(make_certificate("a", begins=TODAY - 2 * SECOND), known=CHAIN),
    ),
    "renews-earlier-certificate": (lambda: codes_of_renewed_certificate(), lambda: codes_of_renewed_certificate(held_sha256="")),
    "self-signed": (lambda: codes_of_certificate_signed_with_own_key(POOL), lambda: codes_of_certificate_signed_with_own_key(ISSUING_NAME)),
    "ca-certificate": (
        lambda: match_one(make_certificate("a", ca=True), *CHAIN),
        lambda: match_one(make_certificate("a", ca=False), *CHAIN),
    ),
    "chain-certificate-unused": (
        lambda: match_one(make_certificate("a"), *CHAIN, OTHER_CHAIN[0]),
        lambda: match_one(make_certificate("a"), *CHAIN, OTHER_CHAIN[0], known=OTHER_CHAIN[:1]),
    ),
    "chain-completed": (
        lambda: match_with_earlier_certificate(*CHAIN),
        lambda: match_with_earlier_certificate(*CHAIN, known=CHAIN),
    ),
    "root-to-compare": (
        lambda: match_one(make_certificate("a"), *CHAIN),
        lambda: match_with_earlier_certificate(make_certificate("a", begins=TODAY), *CHAIN, known=CHAIN[:1]),
    ),
    "duplicate-serial": (
        lambda: match_two({"serial": 7}, {"serial": 7}),
        lambda: match_two({"serial": 7}, {"serial": 8}),
    ),
    "one-certificate-for-several-requests": (
        lambda: finding_codes([make_request("a"), make_request("b")], file(make_certificate("a", san=(*SAN["a"], SAN["b"][1])), *CHAIN)),
        lambda: finding_codes([make_request("a"), make_request("b")], file(make_certificate("a", san=(*SAN["a"], "c.contoso.com")), *CHAIN)),
    ),
    "different-certificates-in-pool": (
        lambda: match_one(make_certificate("a"), make_certificate("a", begins=BEGINS), *CHAIN, entry={"shared_by": "pool"}),
        lambda: match_one(make_certificate("a"), make_certificate("a", begins=BEGINS), *CHAIN, entry={"shared_by": "server"}),
    ),
    "demonstration-certificate": (
        lambda: codes_of_demonstration_ca(is_fictional=False),
        lambda: codes_of_demonstration_ca(is_fictional=True),
    ),
    "replacement-unproven": (
        lambda: match_with_earlier_certificate(issue_from_second_ca(), known=CHAIN, is_evidence=False),
        lambda: match_with_earlier_certificate(issue_from_second_ca(), SECOND_CA, known=CHAIN, is_evidence=False),
    ),
    "issued-under-another-root": (
        lambda: match_with_earlier_certificate(issue_from_other_ca(OTHER, begins=TODAY), *OTHER_CHAIN, known=CHAIN),
        lambda: match_with_earlier_certificate(issue_from_second_ca(), SECOND_CA, known=CHAIN),
    ),
    "issued-by-another-ca": (
        lambda: match_with_earlier_certificate(issue_from_second_ca(), known=CHAIN, **PUBLIC),
        lambda: match_with_earlier_certificate(issue_from_second_ca(), SECOND_CA, known=CHAIN, **PUBLIC),
    ),
    "chain-several-roots": (
        lambda: match_one(make_certificate("a"), *CHAIN, CROSSED, OTHER_CHAIN[1]),
        lambda: match_one(make_certificate("a"), *CHAIN, RENEWED_ROOT),
    ),
    "chain-signature-not-checked": (lambda: codes_with_signature_scheme(9), lambda: codes_with_signature_scheme(3)),
    "critical-extension-unknown": (
        lambda: codes_with_extension(more=[(OWN, True)]),
        lambda: codes_with_extension(more=[(OWN, False)]),
    ),
    "chain-authority-key-differs": (
        lambda: codes_with_extension(issuer_key_id=False, more=[(WRONG_KEY, False)]),
        lambda: codes_with_extension(issuer_key_id=False, more=[(RIGHT_KEY, False)]),
    ),
    "chain-algorithm-unsupported": (lambda: codes_below_rsa_ca(pss=True), lambda: codes_below_rsa_ca(pss=False)),
    "chain-curve-to-enable": (
        lambda: codes_below_secp256k1_ca(target_os="2016"),
        lambda: codes_below_secp256k1_ca(target_os="2012R2"),
    ),
    "chain-without-root": (
        lambda: match_one(make_certificate("a"), CHAIN[0], **PUBLIC),
        lambda: match_one(make_certificate("a"), *CHAIN, **PUBLIC),
    ),
    "web-pki-objection": (
        lambda: match_one(make_certificate("a", days=100, issuer_key_id=False), *CHAIN, **PUBLIC),
        lambda: match_one(make_certificate("a", days=100, issuer_key_id=True), *CHAIN, **PUBLIC),
    ),
}  # fmt: skip


@pytest.mark.parametrize("code", MATCHED)
def test_finding_about_several_certificates_is_reported_only_in_its_case(code):
    """Each code has two similar test cases. The certificates in the first case cause the finding,
    and the certificates in the second case do not.
    """
    fires, nearest = MATCHED[code]
    assert code in fires()
    assert code not in nearest()


# The following cases need the path of a file or a folder.

LEAF = issue(KEYS["a"].public_key(), CA.issuing.subject, CA.key, subject=POOL, san=SAN["a"])
PRIVATE = KEYS["a"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC_HALF = KEYS["a"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(name(POOL)).sign(KEYS["a"], LEAF.signature_hash_algorithm).public_bytes(Encoding.PEM)  # fmt: skip
PFX = pkcs12.serialize_key_and_certificates(
    b"x", KEYS["a"], LEAF, None, BestAvailableEncryption(b"portal")
)


def match_file(work_folder: Path, data: bytes, *, is_named: bool = True, password=None):
    """Return the codes of the findings about a file that is specified by name or found in a folder."""
    path = work_folder / "answers" / "answer.cer"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    files = read_returned_files([path if is_named else path.parent], password=password)
    return finding_codes([make_request("a")], *files, known=CHAIN)


def page(words: str) -> bytes:
    """Return the HTML of an AD CS web page that shows the given text."""
    return f"<html>{words} <p>Your Request Id is 42.</html>".encode()


PLAN = plan_certificates(
    read_topology(STANDARD_EDITION.encode()),
    load_rules(),
    options=PlanOptions(key=KeyParameters(algorithm="ECDSA", bits=256)),
)
SERVERS, DEPLOYMENTS = PLAN.certificates


def codes_of_imported_requests(work_folder: Path, *requests, is_named: bool = True):
    """Import several requests into a folder that waits for them, and return the codes of the
    findings about the last request.

    Each request is described by the planned certificate, its key, the differences from the plan and
    the changes to its bytes.
    """
    folder = work_folder / "requests"
    if not folder.exists():
        request_elsewhere(PLAN, folder, findings=(), computer="tools01.contoso.com")
    for planned, key, changes, spoil in requests:
        made_there = build_request(replace(build_request_content(planned), **changes), key)
        path = work_folder / (f"{planned.id}.req" if is_named else "some.req")
        path.write_bytes(spoil(x509.load_pem_x509_csr(made_there.pem).public_bytes(Encoding.DER)))
        received = receive_requests(folder, path)
    return {finding.code for finding in received.findings}


def as_it_is(data: bytes) -> bytes:
    return data


def break_file_signature(data: bytes) -> bytes:
    """Return the content of a file in which the last bit, which belongs to the signature, is
    changed.
    """
    return data[:-1] + bytes([data[-1] ^ 1])


def codes_after_rewriting(work_folder: Path, data: bytes | None):
    """Replace a received file with the same or with different bytes, and return the codes of the
    findings about its folder.
    """
    folder = make_folder(work_folder / "requests", PLAN).folder
    certify(folder, SERVERS.id)
    (path,) = folder.glob("returned/Standard*.cer")
    path.write_bytes(data or path.read_bytes())
    return {finding.code for finding in load_issued_certificates(open_requests(folder)).findings}


def codes_after_repackaging(work_folder: Path, data: bytes):
    """Replace the package in a folder, record it with a correct or a wrong hash, and return the
    codes of the findings about the folder.
    """
    bundle = make_folder(work_folder / "requests", PLAN)
    record = replace(bundle.manifest.by_id[SERVERS.id], package=package_record())
    (bundle.folder / "pfx").mkdir(exist_ok=True)
    (bundle.folder / "pfx" / "a.pfx").write_bytes(data)
    bundle = replace(bundle, manifest=bundle.manifest.with_records([record]))
    return {finding.code for finding in find_altered_packages(bundle).values()}


def codes_after_probing(work_folder: Path, *, is_open: bool):
    """Return the codes of the findings about a server whose port presents a certificate or refuses
    the connection.
    """
    table = read_topology(STANDARD_EDITION.encode())
    planned = plan_certificates(table, load_rules())
    with run_live_servers(planned, work_folder, only=lambda target: target.port == 444) as servers:
        if not is_open:
            servers.hosts.write_text("se01.contoso.com 444 127.0.0.1:1\n")
        result = probe(planned, hosts=servers.hosts)
    (server,) = (entry for entry in result.as_is.planned if entry.owner == "se01.contoso.com")
    return {finding.code for finding in server.findings}


def states_in_pool(work_folder: Path, *, is_stored: bool):
    """Return the states of the certificates of an Edge pool, one of whose servers may lack them."""
    edge = "Edge,edge.contoso.com,contoso.com,sip.contoso.com,conf.contoso.com"
    columns = "server_fqdn,role,pool_fqdn,sip_domains,access_edge_fqdn,webconf_edge_fqdn"
    table = f"{columns}\nedge1.contoso.com,{edge}\nedge2.contoso.com,{edge}\n"
    planned = plan_certificates(read_topology(table.encode()), load_rules())
    stored = [Stored(issue_planned(item), item.usages) for item in planned.certificates]
    for server in ("edge1.contoso.com", "edge2.contoso.com"):
        kept = stored if is_stored or server.startswith("edge1") else []
        data = export_of(server, kept, above=authority().chain)
        (work_folder / server).write_bytes(data)
    as_is = compare_as_is(planned, work_folder, on=TODAY.date())
    return {entry.state for entry in as_is.planned}


A, B = KEYS["a"], KEYS["b"]
#: Two functions for each code of a finding about a path: the first one creates a case with the
#: finding, and the second one a similar case without it.
PLACED = {
    "file-unreadable": (lambda p: match_file(p, b"", is_named=True), lambda p: match_file(p, b"\n", is_named=False)),
    "file-without-certificate": (lambda p: match_file(p, b"notes\n", is_named=False), lambda p: match_file(p, b"notes\n" + pem(LEAF), is_named=False)),
    "file-malformed": (lambda p: match_file(p, pem(LEAF)[:-30]), lambda p: match_file(p, pem(LEAF)[:-1])),
    "file-skipped": (
        lambda p: match_file(p, archive(("../a.cer", pem(LEAF)))),
        lambda p: match_file(p, archive(("a../a.cer", pem(LEAF)))),
    ),
    "pfx-not-opened": (
        lambda p: match_file(p, PFX, password="Portal"),
        lambda p: match_file(p, PFX, password="portal"),
    ),
    "private-key-in-file": (
        lambda p: match_file(p, pem(LEAF) + PRIVATE),
        lambda p: match_file(p, pem(LEAF) + PUBLIC_HALF),
    ),
    "request-returned": (lambda p: match_file(p, REQUEST), lambda p: match_file(p, REQUEST + pem(LEAF))),
    "request-pending": (
        lambda p: match_file(p, page("Certificate Pending")),
        lambda p: match_file(p, page("Certificate Issued")),
    ),
    "request-denied": (
        lambda p: match_file(p, page("Your certificate request was denied")),
        lambda p: match_file(p, page("Your certificate request was received")),
    ),
    "request-unknown": (
        lambda p: codes_of_imported_requests(p, (SERVERS, A, {"names": ()}, as_it_is), is_named=False),
        lambda p: codes_of_imported_requests(p, (SERVERS, A, {}, as_it_is), is_named=False),
    ),
    "request-signature-wrong": (
        lambda p: codes_of_imported_requests(p, (SERVERS, A, {}, break_file_signature)),
        lambda p: codes_of_imported_requests(p, (SERVERS, A, {}, as_it_is)),
    ),
    "request-key-known": (
        lambda p: codes_of_imported_requests(p, (SERVERS, A, {}, as_it_is), (DEPLOYMENTS, A, {}, as_it_is)),
        lambda p: codes_of_imported_requests(p, (SERVERS, A, {}, as_it_is), (DEPLOYMENTS, B, {}, as_it_is)),
    ),
    "request-superseding": (
        lambda p: codes_of_imported_requests(p, (SERVERS, A, {}, as_it_is), (SERVERS, B, {}, as_it_is)),
        lambda p: codes_of_imported_requests(p, (SERVERS, A, {}, as_it_is), (DEPLOYMENTS, B, {}, as_it_is)),
    ),
    "file-exchanged": (lambda p: codes_after_rewriting(p, pem(LEAF)), lambda p: codes_after_rewriting(p, None)),
    "package-exchanged": (lambda p: codes_after_repackaging(p, b"packagf"), lambda p: codes_after_repackaging(p, b"package")),
    "missing-on-servers": (
        lambda p: states_in_pool(p, is_stored=False),
        lambda p: states_in_pool(p, is_stored=True),
    ),
    "not-seen": (lambda p: codes_after_probing(p, is_open=False), lambda p: codes_after_probing(p, is_open=True)),
}  # fmt: skip


@pytest.mark.parametrize("code", PLACED)
def test_finding_about_a_path_is_reported_only_in_its_case(code, tmp_path):
    """For each code, the file or folder in the first case causes the finding, and the file or
    folder in the similar second case does not.
    """
    fires, nearest = PLACED[code]
    for case in ("fires", "nearest"):
        (tmp_path / case).mkdir()
    assert code in fires(tmp_path / "fires")
    assert code not in nearest(tmp_path / "nearest")
