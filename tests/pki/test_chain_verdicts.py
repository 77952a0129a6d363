"""OpenSSL, GnuTLS and lyncnb evaluate the same certificate chains, and their results agree.

If one of the other tools rejects a chain, lyncnb reports a finding, and all three accept each valid
chain. The chains are created for this test: valid, invalid, and unusual ones on which tools
disagree.
"""

from __future__ import annotations

import ipaddress
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cas.python_ca import CA_USAGE, EKUS, LEAF_USAGE, key_usage, name, pem, replace_signature
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from lyncnb.authorities.evaluation.evaluation import Evidence, evaluate
from lyncnb.base.planned_entry import PlannedEntry, PlannedKey
from lyncnb.pki.certificates import BadCertificate, read_certificate
from lyncnb.pki.chain import Issuers

_NOW = datetime.now(UTC).replace(microsecond=0)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_OWN = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")
_HOST = "sip.contoso.com"


def _key(kind: str):
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    return ec.generate_private_key(curves[kind])


# Generating keys takes most of the time, so the test CAs share keys.
@cache
def _keys(kind: str) -> list:
    return [_key(kind) for _ in range(2 if kind.startswith("rsa") else 3)]


@dataclass(frozen=True)
class Made:
    """A test certificate and its private key."""

    certificate: x509.Certificate
    key: object


def make_certificate(issuer: Made | None, number: int, values: dict) -> Made:
    """Create one certificate that differs from a valid one only in `values`."""
    values = {"key": "p256", "begins": -_DAY, "ends": 300 * _DAY, "serial": None, **values}
    keys = _keys(values["key"])
    key = values.get("own_key") or keys[number % len(keys)]
    subject = values.get("name", name([("CN", values["subject"])]))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(values["serial"] or x509.random_serial_number())
        .not_valid_before(_NOW + values["begins"])
        .not_valid_after(_NOW + values["ends"])
    )
    signer = values.get("signed_by") or (issuer.key if issuer else key)
    extensions = [
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        *([(values["aki"], False)] if values.get("aki") else _aki(issuer, values)),
        *([(x509.BasicConstraints(values["ca"], values.get("length")), True)]
          if values.get("ca") is not None else []),
        *([(key_usage(*values["usage"]), True)] if values.get("usage") else []),
        *([(x509.ExtendedKeyUsage([EKUS[purpose] for purpose in values["eku"]]), False)]
          if values.get("eku") else []),
        *([(x509.SubjectAlternativeName(values["san"]), False)] if values.get("san") else []),
        *([(values["constraints"], True)] if values.get("constraints") else []),
        *values.get("more", ()),
    ]  # fmt: skip
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    hash_algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    pss = (
        {"rsa_padding": padding.PSS(padding.MGF1(hashes.SHA256()), 32)} if values.get("pss") else {}
    )
    certificate = builder.sign(signer, hash_algorithm, **pss)
    if values.get("hash"):
        certificate = replace_signature(certificate, signer, values["hash"])
    return Made(certificate, key)


def _aki(issuer: Made | None, values: dict) -> list:
    if values.get("aki", True) is None or issuer is None:
        return []
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    return [(identifier, False)]


_POINTS = x509.CRLDistributionPoints(
    [x509.DistributionPoint([x509.UniformResourceIdentifier("http://pki.contoso.com/1.crl")],
                            None, None, None)]
)  # fmt: skip
_CA = {"ca": True, "usage": CA_USAGE}
_LEAF = {
    "subject": _HOST,
    "ca": False,
    "usage": LEAF_USAGE,
    "eku": ("serverAuth",),
    "san": [x509.DNSName(_HOST)],
    "more": ((_POINTS, False),),
}


def chain(*, leaf=None, root=None, depth=1, every=None, **levels) -> list[x509.Certificate]:
    """Create a chain of certificates that ends with the root.

    ``ca1`` changes the CA below the root, ``every`` changes each CA.
    """
    common = {**_CA, **(every or {})}
    pairs = [
        make_certificate(
            None, 0, {"subject": "Root", "ends": 3000 * _DAY, **common, **(root or {})}
        )
    ]
    for level in range(1, depth + 1):
        changes = {"subject": f"CA {level}", "ends": 2000 * _DAY, **common}
        pairs.append(
            make_certificate(pairs[-1], level, {**changes, **levels.get(f"ca{level}", {})})
        )
    pairs.append(make_certificate(pairs[-1], depth + 1, {**_LEAF, **(leaf or {})}))
    return [pair.certificate for pair in reversed(pairs)]


def limited(permitted=None, excluded=None) -> dict:
    return {"constraints": x509.NameConstraints(permitted, excluded)}


def dns(*names: str) -> list:
    return [x509.DNSName(name) for name in names]


def net(text: str) -> list:
    return [x509.IPAddress(ipaddress.ip_network(text))]


def directory(*fields: tuple[str, str]) -> list:
    return [x509.DirectoryName(name(fields))]


_IN = name([("O", "Contoso"), ("CN", _HOST)])
_OUT = name([("O", "Fabrikam"), ("CN", _HOST)])
_OWN_CRITICAL = (x509.UnrecognizedExtension(_OWN, b"\x05\x00"), True)
_OWN_OTHER = (x509.UnrecognizedExtension(_OWN, b"\x05\x00"), False)
_POLICY = x509.PolicyInformation(x509.ObjectIdentifier("1.3.6.1.4.1.55555.2"), None)
_WRONG = x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)
_WRONG_SERIAL = x509.AuthorityKeyIdentifier(None, directory(("CN", "Root")), 4711)
_IP = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))

GOOD = {
    **{f"{depth} CAs": {"depth": depth} for depth in (0, 1, 2, 3, 4, 6, 8, 9, 12)},
    **{f"{kind} in the CAs": {"every": {"key": kind}}
       for kind in ("p256", "p384", "p521", "rsa2048", "rsa3072")},
    **{f"{kind} in the leaf": {"leaf": {"key": kind}} for kind in ("p384", "rsa2048", "rsa3072")},
    **{f"path length {length} over {length} CAs": {"root": {"length": length}, "depth": length}
       for length in (0, 1, 2, 3)},
    "path length 0 of the issuing CA": {"depth": 2, "ca2": {"length": 0}},
    "a CA for servers": {"ca1": {"eku": ("serverAuth",)}},
    "a CA for servers and clients": {"ca1": {"eku": ("serverAuth", "clientAuth")}},
    "an unknown extension that is not critical": {"leaf": {"more": ((_POINTS, False), _OWN_OTHER)}},
    "a policy": {"ca1": {"more": ((x509.CertificatePolicies([_POLICY]), False),)}},
    "a critical policy": {"ca1": {"more": ((x509.CertificatePolicies([_POLICY]), True),)}},
    "no key identifier of the issuer": {"leaf": {"aki": None}},
    "permitted, the domain": {"ca1": limited(dns("contoso.com"))},
    "permitted, the host": {"ca1": limited(dns(_HOST))},
    "permitted, one of two": {"ca1": limited(dns("fabrikam.com", "contoso.com"))},
    "permitted, in the root": {"root": limited(dns("contoso.com"))},
    "excluded, another domain": {"ca1": limited(None, dns("fabrikam.com"))},
    "excluded, a host below": {"ca1": limited(None, dns("x.sip.contoso.com"))},
    "permitted directory": {"ca1": limited(directory(("O", "Contoso"))), "leaf": {"name": _IN}},
    "excluded directory": {"ca1": limited(None, directory(("O", "Fabrikam"))), "leaf": {"name": _IN}},
    "permitted addresses": {"ca1": limited(net("10.0.0.0/8"))},
    "began an hour ago": {"leaf": {"begins": -_HOUR}},
    "ends in two days": {"leaf": {"ends": 48 * _HOUR}},
    "a CA that began an hour ago": {"ca1": {"begins": -_HOUR}, "leaf": {"begins": -_HOUR}},
    "a root signed with SHA-1": {"every": {"key": "rsa2048"}, "root": {"hash": "sha1"}},
}  # fmt: skip

BAD = {
    **{f"{level} ended": {level: {"begins": -9 * _DAY, "ends": -_HOUR}}
       for level in ("leaf", "ca1", "root")},
    **{f"{level} begins in an hour": {level: {"begins": _HOUR}} for level in ("leaf", "ca1", "root")},
    **{f"a critical extension in {level}": {level: {"more": (_OWN_CRITICAL,)}}
       for level in ("ca1", "root")},
    "a critical extension in leaf": {"leaf": {"more": ((_POINTS, False), _OWN_CRITICAL)}},
    **{f"{level} is no CA": {level: {"ca": False}} for level in ("ca1", "root")},
    **{f"{level} does not say what it is": {level: {"ca": None}} for level in ("ca1", "root")},
    **{f"{level} may not sign": {level: {"usage": ("crl_sign",)}} for level in ("ca1", "root")},
    **{f"{level} is for {use}": {level: {"eku": (use,)}}
       for level in ("ca1", "root", "leaf") for use in ("clientAuth", "codeSigning")},
    **{f"{level} is for anything": {level: {"eku": ("any",)}} for level in ("ca1", "root", "leaf")},
    **{f"path length {length} over {length + 1} CAs":
       {"root": {"length": length}, "depth": length + 1} for length in (0, 1, 2)},
    **{f"path length 0 above {depth - 1} CAs": {"depth": depth, "ca1": {"length": 0}}
       for depth in (2, 3)},
    **{f"{level} signed by another key": {level: {"signed_by": _key("p256")}}
       for level in ("leaf", "ca1")},
    **{f"permitted {base}": {"ca1": limited(dns(base))}
       for base in ("fabrikam.com", "x.contoso.com", "ip.contoso.com", "com.tw")},
    **{f"excluded {base}": {"ca1": limited(None, dns(base))}
       for base in ("contoso.com", "com", _HOST)},
    **{f"{level} limited to another domain": {"depth": 3, level: limited(dns("fabrikam.com"))}
       for level in ("root", "ca2", "ca3")},
    "a wildcard over what is excluded": {
        "ca1": limited(None, dns("x.contoso.com")), "leaf": {"san": dns(_HOST, "*.contoso.com")}},
    "a second name outside": {
        "ca1": limited(dns("contoso.com")), "leaf": {"san": dns(_HOST, "sip.fabrikam.com")}},
    "no alternative names, the common name outside": {
        "ca1": limited(dns("fabrikam.com")), "leaf": {"san": None}},
    "another directory permitted": {
        "ca1": limited(directory(("O", "Contoso"))), "leaf": {"name": _OUT}},
    "the directory excluded": {
        "ca1": limited(None, directory(("O", "Fabrikam"))), "leaf": {"name": _OUT}},
    "the name of a CA outside the directory": {
        "depth": 2, "ca1": limited(directory(("O", "Contoso"))), "leaf": {"name": _IN}},
    "the name of a CA excluded": {
        "depth": 2, "ca1": limited(None, directory(("CN", "CA 2")))},
    "an address outside": {
        "ca1": limited(net("10.0.0.0/8")), "leaf": {"san": [*dns(_HOST), _IP]}},
    "an address excluded": {
        "ca1": limited(None, net("192.0.2.0/24")), "leaf": {"san": [*dns(_HOST), _IP]}},
    "an address outside, in the root": {
        "root": limited(net("10.0.0.0/8")), "leaf": {"san": [*dns(_HOST), _IP]}},
    **{f"{level} names another key": {"depth": 2, level: {"aki": _WRONG}}
       for level in ("leaf", "ca1", "ca2")},
    **{f"{level} names another serial number": {level: {"aki": _WRONG_SERIAL}}
       for level in ("leaf", "ca1")},
    **{f"{kind} in {level}": {level: {"key": kind}}
       for kind in ("ed25519", "rsa1024") for level in ("ca1", "root")},
    "PSS in the chain": {"every": {"key": "rsa2048"}, "ca1": {"pss": True, "key": "rsa2048"}},
    "PSS in the leaf": {"every": {"key": "rsa2048"}, "leaf": {"pss": True}},
    **{f"{level} signed with {hash_name}": {"every": {"key": "rsa2048"}, level: {"hash": hash_name}}
       for level in ("ca1", "leaf") for hash_name in ("sha1", "md5")},
}  # fmt: skip

# Each entry contains the number of CAs in the chain and the position of the missing certificate.
INCOMPLETE = {"no root": (1, 2), "no CA at all": (1, 1), "the middle one of three": (3, 2)}


def verdict_of_openssl(folder: Path, certificates: list[x509.Certificate]) -> bool:
    leaf, *cas, root = certificates
    (folder / "leaf.pem").write_bytes(pem(leaf))
    (folder / "cas.pem").write_bytes(pem(*cas))
    (folder / "root.pem").write_bytes(pem(root))
    result = subprocess.run(
        [
            *("openssl", "verify", "-CAfile", "root.pem", "-purpose", "sslserver"),
            *("-auth_level", "2", "-verify_depth", "50", "-verify_hostname", _HOST),
            *(("-untrusted", "cas.pem") if cas else ()),
            "leaf.pem",
        ],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    return result.returncode == 0


def verdict_of_gnutls(folder: Path, certificates: list[x509.Certificate]) -> bool:
    *below, root = certificates
    (folder / "chain.pem").write_bytes(pem(*below))
    (folder / "root.pem").write_bytes(pem(root))
    result = subprocess.run(
        [
            *("certtool", "--verify", "--load-ca-certificate", "root.pem"),
            *("--verify-hostname", _HOST, "--verify-purpose", "1.3.6.1.5.5.7.3.1"),
            *("--infile", "chain.pem"),
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return result.returncode == 0 and "Chain verification output: Verified" in result.stdout


def find_codes(certificates: list[x509.Certificate]) -> list[str]:
    """Evaluate the first certificate with the other ones as its chain, and return the codes of
    lyncnb's findings.
    """
    try:
        leaf, *above = (
            read_certificate(certificate.public_bytes(Encoding.DER)) for certificate in certificates
        )
    except BadCertificate:
        return ["file-malformed"]
    entry = PlannedEntry(
        id="a",
        role="FrontEnd",
        subject=dict(leaf.subject),
        san=(_HOST,),
        eku=("serverAuth",),
        issuer="internal",
        key=PlannedKey(algorithm=leaf.key_algorithm, bits=leaf.key_bits),
        hash="sha256",
        shared_by="server",
    )
    evidence = Evidence(certificate=leaf, entry=entry, issuers=Issuers(above))
    return [finding.code for finding in evaluate(evidence, evaluated_at=_NOW).findings]


def test_at_least_one_hundred_chains_are_evaluated():
    """The tests evaluate at least one hundred certificate chains."""
    assert len(GOOD) + len(BAD) + len(INCOMPLETE) >= 100


# Two valid chains that GnuTLS rejects. It does not compare directory names in constraints, and does
# not accept SHA-1 even in a root.
_NOT_FOR_GNUTLS = ("excluded directory", "a root signed with SHA-1")


@pytest.mark.parametrize("title", GOOD)
def test_good_chains(tmp_path, title):
    """If a chain is valid, lyncnb has no findings about it, and OpenSSL and GnuTLS accept it, with
    a few exceptions for GnuTLS.
    """
    certificates = chain(**GOOD[title])
    assert find_codes(certificates) == []
    assert verdict_of_openssl(tmp_path, certificates)
    assert verdict_of_gnutls(tmp_path, certificates) or title in _NOT_FOR_GNUTLS


@pytest.mark.parametrize("values", BAD.values(), ids=BAD)
def test_invalid_and_unusual_chains(tmp_path, values):
    """lyncnb reports at least one finding about each invalid or unusual chain."""
    certificates = chain(**values)
    theirs = {
        "openssl": verdict_of_openssl(tmp_path, certificates),
        "gnutls": verdict_of_gnutls(tmp_path, certificates),
    }
    assert find_codes(certificates) != [], theirs


@pytest.mark.parametrize(("depth", "missing"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_an_incomplete_chain_is_reported(tmp_path, depth, missing):
    """If any certificate of a chain is missing, lyncnb reports that the chain is incomplete."""
    certificates = chain(depth=depth)
    assert "chain-incomplete" in find_codes(
        [certificate for n, certificate in enumerate(certificates) if n != missing]
    )


def test_many_cas_of_one_name():
    """If many CAs have the same name, lyncnb finds the right one by its key identifier, even if
    this CA is the oldest.
    """
    leaf, issuing, root = chain(ca1={"ends": 400 * _DAY})
    others = [chain(ca1={"own_key": _key("p256")})[1] for _ in range(18)]
    assert find_codes([leaf, *others, issuing, root]) == []
