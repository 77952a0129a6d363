"""For planned certificates, lyncnb reports the same problems as the certificate linters pkilint and
zlint.

A test CA issues the requested certificates like a public CA: subject fields in the order of the
Baseline Requirements, a policy, OCSP, and a CRL distribution point. The linters check the
certificates. If lyncnb has a code with the same meaning, the plan must have this finding exactly
when the linter reports the certificate.
"""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, time, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import NameOID
from good_deployment import plan_of_case

from lyncnb.checks.check_plan import check_plan
from lyncnb.checks.public_ca_checks import PUBLIC_CA_TESTS
from lyncnb.pki.csr import build_request
from lyncnb.plan.model import build_request_content
from lyncnb.rules.ca_rules import load_ca_rules

pytestmark = pytest.mark.tools

CHECKS = {check.code: check for check in load_ca_rules().checks if "plan" in check.judges}

_P = "cabf.serverauth.subscriber"

#: For each of lyncnb's codes, the table contains the codes of pkilint and zlint 3.6.2 with the same
#: meaning, or "".
SAME = {
    "internal-name-on-public-certificate": ("cabf.internal_domain_name", "e_dnsname_not_valid_tld"),
    "reverse-zone-name-on-public-certificate": (
        "cabf.serverauth.ip_reverse_zone_domain_name_present",
        "",
    ),
    "underscore-on-public-certificate": (
        "cabf.serverauth.invalid_dnsname_syntax",
        "e_underscore_not_permissible_in_dnsname",
    ),
    "common-name-not-a-san-on-public-certificate": (
        f"{_P}_common_name_unknown_source",
        "e_subject_common_name_not_exactly_from_san",
    ),
    "no-san-on-public-certificate": (f"{_P}.subject_altname_extension_absent", "e_ext_san_missing"),
    "unit-on-public-certificate": ("", "e_organizational_unit_name_prohibited"),
    "organization-without-place": (
        f"{_P}_stateprovince_and_locality_missing",
        "e_cert_policy_ov_requires_province_or_locality",
    ),
    # The version of zlint in Debian checks only the limit of 398 days.
    "validity-asked-over-limit": (
        "cabf.serverauth.certificate_validity_period_exceeds_200_days",
        "",
    ),
}

#: lyncnb's findings about a single public certificate. No linter has equivalent findings.
OURS_ALONE = {
    "special-use-name-on-public-certificate",
    "registry-wildcard-on-public-certificate",
    "shared-domain-wildcard-on-public-certificate",
    "many-names-on-public-certificate",
    "too-many-names-for-ca",
    "price-depends-on-names",
    "client-authentication-ends-soon",
    "client-authentication-ended",
    "client-authentication-ended-at-certum",
    "client-authentication-ended-at-digicert",
    "client-authentication-off-at-digicert",
    "client-authentication-disputed-at-sectigo",
    "client-authentication-ended-at-sectigo",
    "client-authentication-ended-at-lets-encrypt",
    "key-refused-by-lets-encrypt",
    "wildcard-beside-its-names-at-lets-encrypt",
    "organization-left-out-by-lets-encrypt",
    "place-without-organization",
    "roots-of-chunghwa-telecom-distrusted",
    "roots-of-netlock-distrusted",
    "roots-of-entrust-distrusted",
}

#: Problems that the linters report, but lyncnb deliberately does not. A comment above each entry
#: gives the reason.
LACKED = {
    # Public CAs should not include a common name, but Lync Server requires one.
    "cabf.serverauth.dv.common_name_attribute_present",
    "cabf.serverauth.ov.common_name_attribute_present",
    "w_subject_common_name_included",
    "e_cab_dv_subject_invalid_values",
    # Microsoft's page about reverse proxies requires both key usages for an RSA key.
    f"{_P}_rsa_digitalsignature_and_keyencipherment_present",
    # Only the CA can change the value that the linter reports.
    "w_ext_subject_key_identifier_missing_sub_cert",
    # The linter recommends a validity period one day below the limit.
    "cabf.serverauth.certificate_validity_period_exceeds_199_days",
    # The linters report the organizational unit again under these codes, without a date or with
    # different words.
    "cabf.serverauth.dv.unknown_attribute_present",
    "e_subject_contains_organizational_unit_name_and_no_organization_name",
    # The linters report these problems with more than one code. They concern underscores, the
    # location, missing names, and reverse zones.
    "w_dnsname_underscore_in_trd",
    "w_rfc_dnsname_underscore_in_trd",
    "e_sub_cert_locality_name_must_appear",
    "e_sub_cert_province_must_appear",
    "e_subject_contains_reserved_arpa_ip",
}


@cache
def _keys():
    return tuple(rsa.generate_private_key(65537, 2048) for _ in range(2))


_ORDER = [
    NameOID.COUNTRY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.COMMON_NAME,
]


def issued(request: bytes, *, days: int, begins: datetime) -> bytes:
    """Issue the certificate that the plan requests, and return it in DER encoding."""
    csr = x509.load_pem_x509_csr(request)
    _, ca_key = _keys()
    subject = sorted(csr.subject, key=lambda attribute: _ORDER.index(attribute.oid))
    has_place = any(attribute.oid == NameOID.ORGANIZATION_NAME for attribute in subject)
    policy = x509.ObjectIdentifier(f"2.23.140.1.2.{2 if has_place else 1}")
    url = x509.UniformResourceIdentifier
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "TW"),
                                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"),
                                x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")]))
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days, seconds=-1))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(x509.CertificatePolicies([x509.PolicyInformation(policy, None)]), critical=False)
        .add_extension(x509.AuthorityInformationAccess([
            x509.AccessDescription(Access.OCSP, url("http://ocsp.contoso.com")),
            x509.AccessDescription(Access.CA_ISSUERS, url("http://ca.contoso.com/ca.cer")),
        ]), critical=False)
        .add_extension(x509.CRLDistributionPoints([
            x509.DistributionPoint([url("http://crl.contoso.com/ca.crl")], None, None, None)
        ]), critical=False)
    )  # fmt: skip
    for extension in csr.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def zlint_codes(der: bytes, folder: Path) -> set[str]:
    """Return the errors and warnings that zlint reports for a certificate."""
    path = folder / "certificate.der"
    path.write_bytes(der)
    process = subprocess.run(
        ["zlint", "-format", "der", str(path)], capture_output=True, text=True, check=True
    )
    results = json.loads(process.stdout.splitlines()[0])
    return {
        code for code, result in results.items() if result["result"] in ("warn", "error", "fatal")
    }


def reported_codes(case, folder: Path) -> tuple[set[str], set[str]]:
    """Return the codes that lyncnb reports for a plan, and the codes that the linters report for
    its certificates.
    """
    from cas.linters import pkilint_codes  # .ci/windows does not install pkilint.

    plan = plan_of_case(case)
    begins = datetime.combine(case.on, time(), UTC)
    theirs = set()
    for planned in plan.certificates:
        if planned.issuer == "public":
            request = build_request(build_request_content(planned), _keys()[0]).pem
            der = issued(request, days=plan.options.validity_days or 45, begins=begins)
            theirs |= zlint_codes(der, folder)
            theirs |= pkilint_codes(der, has_organization=bool(planned.subject.organization))
    return {finding.code for finding in check_plan(plan, on=case.on)}, theirs


@pytest.mark.slow
@pytest.mark.parametrize("code", sorted(SAME))
def test_linters_and_lyncnb_report_the_same_problems(code, tmp_path):
    """The linters report a problem in a certificate exactly if lyncnb reports the same problem in
    the plan for this certificate.
    """
    pair = set(filter(None, SAME[code]))
    others = {problem_code for codes in SAME.values() for problem_code in codes}
    ours, theirs = reported_codes(CHECKS[code].fires, tmp_path)
    assert code in ours
    assert pair <= theirs
    assert theirs - others - LACKED == set()
    ours, theirs = reported_codes(CHECKS[code].nearest, tmp_path)
    assert code not in ours
    assert pair.isdisjoint(theirs)
    assert theirs - others - LACKED == set()


def test_every_rule_of_single_public_certificates_is_listed():
    """The table in this file lists every rule of lyncnb for a single public certificate, together
    with the corresponding codes of the linters.
    """
    single = {
        check.code
        for check in CHECKS.values()
        if (check.test or check.code.replace("-", "_")) not in PUBLIC_CA_TESTS
        and check.applies != "internal"
    }
    assert single == set(SAME) | OURS_ALONE
