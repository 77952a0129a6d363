"""For each finding about a certificate and its chain, the tests create a case that causes it and a
similar case that does not.

The test CA creates the certificates. Findings that need more than one certificate and its plan are
in ``test_codes_of_answers.py``, findings about a request in ``test_compare_request.py``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from authorities.test_codes_of_answers import MATCHED, PLACED
from authorities.test_compare_request import CASES as REQUESTED
from cas.python_ca import CA_USAGE, TODAY, PythonCa, der, issue, name, replace_signature
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from places import REPOSITORY
from planned_entry import DAY, ENTRY, NAMES, SUBJECT

from lyncnb.authorities.evaluation.compare_certificate import compare_certificate
from lyncnb.authorities.evaluation.evaluation import Evidence, evaluate
from lyncnb.base.planned_entry import PlannedKey
from lyncnb.base.renewal_days import RenewalTerms
from lyncnb.base.work_days import WorkDays
from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.chain import Issuers, build_path, list_objections
from lyncnb.rules.ca_rules import load_ca_rules
from lyncnb.rules.returned_rules import list_returned_checks

NOON = TODAY + timedelta(hours=12)  # The evaluation date has no time of day.
SECOND = 1 / 86400
KEY = rsa.generate_private_key(65537, 2048)
CURVE_KEY = ec.generate_private_key(ec.SECP256R1())
CA = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
CN, ORGANIZATION, COUNTRY = SUBJECT
BOTH = ("serverAuth", "clientAuth")
LDAP = ("ldap:///CN=Contoso",)
OCSP = "http://ocsp.contoso.net"


def case(*, key=KEY, hash_name="", signer=None, asked=0, entry=None, ends=None, **changes):
    """Return the codes of the findings about a certificate after changes to the certificate and to
    its entry in the plan.
    """
    issuer_key = signer or CA.key
    values = {"subject": SUBJECT, "san": NAMES, **changes}
    if signer:  # The signature scheme of the given signer does not use a hash.
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name(SUBJECT))
            .issuer_name(CA.issuing.subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(TODAY)
            .not_valid_after(TODAY + timedelta(9))
            .sign(issuer_key, None)
        )
    else:
        certificate = issue(key.public_key(), CA.issuing.subject, issuer_key, **values)
    if hash_name:
        certificate = replace_signature(certificate, CA.key, hash_name)
    certificate = read_certificate(der(certificate))
    if (
        ends is not None
    ):  # The library cryptography cannot create a certificate that ends before it starts.
        certificate = replace(certificate, not_after=certificate.not_before + ends)
    findings = compare_certificate(
        certificate, replace(ENTRY, **(entry or {})), today=DAY, validity_days=asked
    )
    return {finding.code for finding in findings}


def upper(names):
    return tuple(map(str.upper, names))


#: For each code, the table contains a case in which the finding is reported, and the most similar
#: case in which it is not.
COMPARED = {
    "names-missing": ({"san": NAMES[:2]}, {"san": upper(reversed(NAMES))}),
    "names-added": ({"san": (*NAMES, "www.contoso.com")}, {"san": (*NAMES, NAMES[2].upper())}),
    "names-replaced-by-wildcard": ({"san": (NAMES[0], "*.contoso.com")}, {"san": (*NAMES, "*.contoso.com")}),
    "subject-repeated-in-san": ({"san": NAMES[:1], "entry": {"san": ()}}, {"san": NAMES[1:2], "entry": {"san": ()}}),
    "other-names-added": ({"other_names": [x509.IPAddress(ip_address("192.0.2.1"))]}, {"other_names": [x509.DNSName(NAMES[0])]}),
    "name-malformed": ({"san": (*NAMES, "a..contoso.com")}, {"san": (*NAMES, "a.a.contoso.com")}),
    "wildcard-on-public-suffix": ({"san": (*NAMES, "*.com.tw")}, {"san": (*NAMES, "*.contoso.com.tw")}),
    "common-name-missing": ({"subject": SUBJECT[1:]}, {"subject": SUBJECT[:1]}),
    "common-name-changed": ({"subject": (("CN", NAMES[1]), *SUBJECT[1:])}, {"subject": (("CN", NAMES[0].upper()), *SUBJECT[1:])}),
    "common-name-changed-on-edge": (
        {"subject": (("CN", NAMES[1]), *SUBJECT[1:]), "entry": {"usages": ("AccessEdgeExternal",)}},
        {"subject": (("CN", NAMES[1]), *SUBJECT[1:])},
    ),
    "common-name-case": ({"subject": (("CN", NAMES[0].upper()), *SUBJECT[1:])}, {"san": upper(NAMES)}),
    "common-name-several": ({"subject": (*SUBJECT, ("CN", NAMES[1]))}, {"subject": (*SUBJECT, ("OU", NAMES[1]))}),
    "common-name-not-in-san": ({"san": NAMES[1:]}, {"san": (NAMES[0].upper(), *NAMES[1:])}),
    "subject-field-dropped": ({"subject": SUBJECT[:2]}, {"subject": SUBJECT[::-1]}),
    "subject-field-changed": ({"subject": (CN, ("O", "Contoso Ltd."), COUNTRY)}, {"subject": (CN, COUNTRY)}),
    "subject-field-added": ({"subject": (*SUBJECT, ("L", "Taipei"))}, {"subject": SUBJECT[::-1]}),
    "organizational-unit-public": (
        {"subject": (*SUBJECT, ("OU", "IT")), "entry": {"issuer": "public"}},
        {"subject": (*SUBJECT, ("OU", "IT"))},
    ),
    "eku-server-auth-absent": ({"eku": ["clientAuth"]}, {"eku": BOTH}),
    "eku-missing": ({"entry": {"eku": BOTH}}, {"eku": BOTH, "entry": {"eku": BOTH}}),
    "eku-client-auth-added": ({"eku": BOTH}, {"eku": BOTH, "entry": {"eku": BOTH}}),
    "eku-any": ({"eku": ["serverAuth", "any"]}, {"eku": ["serverAuth", "codeSigning"]}),
    "eku-added": ({"eku": ["serverAuth", "codeSigning"]}, {"eku": BOTH}),
    "key-usage-absent": ({"usage": None}, {"usage": ("key_encipherment",)}),
    "key-usage-digital-signature-absent": ({"usage": ("key_encipherment",)}, {"usage": ("digital_signature",)}),
    "key-usage-key-encipherment-absent": (
        {"usage": ("digital_signature",)},
        {"usage": ("digital_signature",), "key": CURVE_KEY, "entry": {"key": PlannedKey(algorithm="ECDSA", bits=256)}},
    ),
    "key-usage-certificate-signing": (
        {"usage": ("digital_signature", "key_encipherment", "key_cert_sign")},
        {"usage": ("digital_signature", "key_encipherment", "data_encipherment")},
    ),
    "key-differs-from-plan": ({"entry": {"key": PlannedKey(algorithm="RSA", bits=2049)}}, {}),
    "signature-pss": ({"pss": True}, {"pss": False}),
    "signature-scheme-unsupported": ({"signer": ed25519.Ed25519PrivateKey.generate()}, {}),
    "signature-hash-sha1": ({"hash_name": "sha1"}, {}),
    "signature-hash-sha1-public": ({"hash_name": "sha1", "entry": {"issuer": "public"}}, {"hash_name": "sha1"}),
    "signature-hash-weak": ({"hash_name": "md5"}, {"hash_name": "sha1"}),
    "signature-hash-differs": ({"entry": {"hash": "sha384"}}, {}),
    "crl-distribution-point-absent": (
        {"crl": (), "days": 7 + SECOND, "entry": {"issuer": "public"}},
        {"crl": (), "days": 7, "entry": {"issuer": "public"}},
    ),
    "crl-distribution-point-spared": (
        {"crl": (), "ocsp": OCSP, "days": 100, "entry": {"issuer": "public"}},
        {"ocsp": OCSP, "days": 100, "entry": {"issuer": "public"}},
    ),
    "crl-distribution-point-ldap-only": ({"crl": LDAP, "entry": {"role": "Edge"}}, {"crl": (*LDAP, "http://x/"), "entry": {"role": "Edge"}}),
    "certificate-expired": ({"begins": NOON - timedelta(365)}, {"begins": NOON - timedelta(365) + timedelta(seconds=1)}),
    "validity-reversed": ({"ends": timedelta(seconds=-1)}, {"ends": timedelta(0)}),
    "not-yet-valid": ({"begins": NOON + timedelta(seconds=1)}, {"begins": NOON}),
    "validity-shorter-than-asked": ({"days": 363, "asked": 365}, {"days": 364.5, "asked": 365}),
    "policy-of-public-ca-absent": (
        {"policies": ("1.3.6.1.4.1.311.21.8.1",), "entry": {"issuer": "public"}},
        {"policies": ("1.3.6.1.4.1.311.21.8.1", "2.23.140.1.2.1"), "entry": {"issuer": "public"}},
    ),
    "timestamps-too-few": (
        {"timestamps": 2, "days": 180 + SECOND, "entry": {"issuer": "public"}},
        {"timestamps": 2, "days": 180, "entry": {"issuer": "public"}},
    ),
    "validity-over-public-limit": (
        {"days": 200 + 2 * SECOND, "entry": {"issuer": "public"}},
        {"days": 200 + SECOND, "entry": {"issuer": "public"}},
    ),
    "validity-over-client-limit": ({"days": 825 + SECOND}, {"days": 825}),
    "second-over-public-limit": (
        {"days": 200 + SECOND, "entry": {"issuer": "public"}},
        {"days": 200, "entry": {"issuer": "public"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("code", COMPARED)
def test_finding_about_a_certificate_is_reported_only_in_its_case(code):
    """For each code, the certificate of the first case in the table causes the finding, and the
    certificate of the similar second case does not.
    """
    fires, nearest = COMPARED[code]
    assert code in case(**fires)
    assert code not in case(**nearest)


def path_codes(ca, *issuers, sha1=(), md5=(), **changes):
    """Return the codes of the findings about a chain in which some issuers are signed with an
    outdated hash.
    """
    values = {"subject": [CN], "san": NAMES[:1], "days": 300, **changes}
    leaf = issue(KEY.public_key(), ca.issuing.subject, ca.key, **values)
    chain = [
        replace_signature(issuer, ca.root_key, "sha1") if issuer in sha1 else issuer
        for issuer in issuers
    ]
    chain = [
        replace_signature(issuer, ca.root_key, "md5") if issuer in md5 else issuer
        for issuer in chain
    ]
    known_issuers = Issuers([read_certificate(der(issuer)) for issuer in chain])
    path = build_path(read_certificate(der(leaf)), known_issuers, today=DAY)
    return {objection.code for objection in path.objections}


def early_end_codes(days):
    """Return the codes of the findings about a certificate from a CA with a lead time of a week."""
    leaf = issue(
        KEY.public_key(), CA.issuing.subject, CA.key, subject=SUBJECT, san=NAMES, begins=TODAY,
        days=days,
    )  # fmt: skip
    leaf, *chain = (read_certificate(der(certificate)) for certificate in (leaf, *CA.chain))
    terms = RenewalTerms({"internal": 7}, WorkDays())
    evidence = Evidence(certificate=leaf, entry=ENTRY, issuers=Issuers(chain), terms=terms)
    return {finding.code for finding in evaluate(evidence, evaluated_at=NOON).findings}


def chain_codes(**changes):
    """Return the codes of the findings about a complete chain whose CA has the given properties."""
    ca = PythonCa(**changes)
    return path_codes(ca, *ca.chain)


def codes_with_short_key(bits):
    """Return the codes of the findings about a chain whose issuing CA has an RSA key that is too
    short for pyca to create.
    """
    leaf = issue(KEY.public_key(), CA.issuing.subject, CA.key, subject=[CN], san=NAMES[:1])
    leaf, issuing, root = (read_certificate(der(certificate)) for certificate in (leaf, *CA.chain))
    path = (replace(issuing, key_bits=bits), root)
    return {objection.code for objection in list_objections(leaf, path, today=DAY)}


def curve(kind):
    return lambda: ec.generate_private_key(kind())


EXPLICIT = (x509.PolicyConstraints(0, None), True)
ANY_POLICY = x509.CertificatePolicies(
    [x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)]
)


def rsa_key(bits):
    return rsa.generate_private_key(65537, bits)


LIMITED = PythonCa(constraints=x509.NameConstraints([x509.DNSName("contoso.com")], None))
OTHER = PythonCa()
LEFT = CA.issuing.not_valid_after_utc - TODAY
#: For each code, the table contains two functions: one creates a chain that causes the finding, the
#: other a very similar chain that does not.
PATHS = {
    "chain-incomplete": (lambda: path_codes(CA, CA.issuing), lambda: path_codes(CA, *CA.chain)),
    "ends-before-renewal": (lambda: early_end_codes(7), lambda: early_end_codes(8)),
    "chain-signature-wrong": (
        lambda: path_codes(CA, *OTHER.chain, issuer_key_id=False),
        lambda: path_codes(CA, *OTHER.chain),
    ),
    "chain-issuer-not-ca": (lambda: chain_codes(usage=("crl_sign",)), lambda: chain_codes(usage=CA_USAGE[:1])),
    "chain-issuer-not-in-force": (lambda: chain_codes(begins=NOON + timedelta(seconds=1)), lambda: chain_codes(begins=NOON)),
    "chain-signature-hash-weak": (lambda: path_codes(CA, *CA.chain, sha1=[CA.issuing]), lambda: path_codes(CA, *CA.chain, sha1=[CA.root])),
    "chain-signature-hash-broken": (lambda: path_codes(CA, *CA.chain, md5=[CA.issuing]), lambda: path_codes(CA, *CA.chain, md5=[CA.root])),
    "chain-key-refused": (lambda: codes_with_short_key(1023), lambda: codes_with_short_key(1024)),
    "chain-curve-unsupported": (lambda: chain_codes(make_key=curve(ec.SECP256K1)), lambda: chain_codes(make_key=curve(ec.SECP384R1))),
    "chain-policy-not-valid": (
        lambda: chain_codes(more=[EXPLICIT]),
        lambda: chain_codes(more=[EXPLICIT, (ANY_POLICY, False)]),
    ),
    "name-constraints-violated": (
        lambda: path_codes(LIMITED, *LIMITED.chain, san=["xcontoso.com"]),
        lambda: path_codes(LIMITED, *LIMITED.chain, san=["x.contoso.com"]),
    ),
    "chain-issuer-purpose": (lambda: chain_codes(eku=["clientAuth"]), lambda: chain_codes(eku=BOTH)),
    "chain-issuer-purpose-any": (lambda: chain_codes(eku=["any"]), lambda: chain_codes(eku=["any", "serverAuth"])),
    "chain-key-weak": (lambda: chain_codes(make_key=lambda: rsa_key(1024)), lambda: chain_codes(make_key=lambda: rsa_key(2048))),
    "outlives-issuer": (
        lambda: path_codes(CA, *CA.chain, begins=TODAY, days=LEFT / timedelta(1) + 2 * SECOND),
        lambda: path_codes(CA, *CA.chain, begins=TODAY, days=LEFT / timedelta(1) + SECOND),
    ),
}  # fmt: skip


@pytest.mark.parametrize("code", PATHS)
def test_finding_about_a_chain_is_reported_only_in_its_case(code):
    """For each code, the first chain in the table causes the finding, and the second, very similar
    chain does not.
    """
    fires, nearest = PATHS[code]
    assert code in fires()
    assert code not in nearest()


def test_every_code_has_its_cases():
    """The tables of the test modules contain each code of a finding exactly once, and no unknown
    code.
    """
    # The module test_compare_roots.py tests these codes.
    roots = {rule.code for rule in load_ca_rules().roots}
    tables = [COMPARED, PATHS, MATCHED, PLACED, roots, [code for code, *_ in REQUESTED]]
    assert sorted(code for table in tables for code in table) == sorted(list_returned_checks())


def test_every_comparison_has_two_cases():
    """For every finding of the comparison with the plan, this module contains a case that causes
    the finding and a similar case that does not.
    """
    source = (
        REPOSITORY / "lyncnb" / "authorities" / "evaluation" / "compare_certificate.py"
    ).read_text("utf-8")
    codes = {*re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', source)} & list_returned_checks().keys()
    assert codes == COMPARED.keys()
