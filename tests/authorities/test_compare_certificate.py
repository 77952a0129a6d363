"""lyncnb compares an issued certificate with its entry in the plan, and reports each difference as
a finding.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address

import pytest
from cas.python_ca import TODAY, PythonCa, der, issue, replace_signature
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from places import REPOSITORY
from planned_entry import DAY, ENTRY, NAMES, SUBJECT

from lyncnb.authorities.evaluation.compare_certificate import compare_certificate
from lyncnb.base.planned_entry import PlannedKey
from lyncnb.pki.certificates import read_certificate
from lyncnb.rules.ca_rules import load_ca_rules
from lyncnb.rules.returned_rules import create_returned_finding, list_returned_checks
from lyncnb.rules.rule_files import load_rules

KEY = rsa.generate_private_key(65537, 2048)
RSA_CA = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))


def make_certificate(key=KEY, **changes):
    values = {"subject": SUBJECT, "san": NAMES, **changes}
    return issue(key.public_key(), RSA_CA.issuing.subject, RSA_CA.key, **values)


def compared(certificate, *, validity_days=0, oldest_client="", **entry):
    facts = read_certificate(der(certificate))
    findings = compare_certificate(
        facts,
        replace(ENTRY, **entry),
        today=DAY,
        validity_days=validity_days,
        oldest_client=oldest_client,
    )
    return [(finding.code, finding.message) for finding in findings]


def test_certificate_as_planned_has_no_finding():
    """If a certificate matches its entry in the plan, lyncnb reports no finding."""
    assert compared(make_certificate(san=[NAMES[2], NAMES[0].upper(), NAMES[1]])) == []


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        # In these cases, the names in the certificate differ from the plan.
        ({"san": NAMES[:2]}, "names-missing", '"meet.contoso.com" is missing'),
        ({"san": (*NAMES, "www.contoso.com")}, "names-added", '"www.contoso.com" is not in the request'),
        ({"other_names": [x509.IPAddress(ip_address("192.0.2.1"))]}, "other-names-added", '"IPAddress 192.0.2.1" is not in the request'),
        # In the following cases, the subject of the certificate differs from the plan.
        ({"subject": SUBJECT[1:]}, "common-name-missing", 'the planned common name is "eepool.contoso.com", but the certificate has no common name'),
        ({"subject": (("CN", "ee01.contoso.com"), *SUBJECT[1:])}, "common-name-changed", 'the planned common name is "eepool.contoso.com", but the certificate has "ee01.contoso.com"'),
        ({"subject": (*SUBJECT, ("CN", "ee01.contoso.com"))}, "common-name-several", 'the certificate has 2 common names: "ee01.contoso.com", "eepool.contoso.com"'),
        ({"subject": SUBJECT[:2]}, "subject-field-dropped", 'the request has C="TW", but the certificate has no C'),
        ({"subject": (SUBJECT[0], ("O", "Contoso Inc."), SUBJECT[2])}, "subject-field-changed", 'the planned O is "Contoso, Ltd.", but the certificate has "Contoso Inc."'),
        ({"subject": (*SUBJECT, ("L", "Taipei"))}, "subject-field-added", 'the certificate\'s subject has L="Taipei", which is not in the request'),
        # In the following cases, the key usages or extended key usages of the certificate differ
        # from the plan.
        ({"eku": None}, "eku-server-auth-absent", "the certificate has no extended key usage extension"),
        ({"eku": ["serverAuth", "clientAuth"]}, "eku-client-auth-added", "the plan requires the usage serverAuth, but the certificate has serverAuth, clientAuth"),
        ({"eku": ["serverAuth", "any"]}, "eku-any", "the plan requires the usage serverAuth, but the certificate has serverAuth, anyExtendedKeyUsage"),
        ({"eku": ["serverAuth", "codeSigning"]}, "eku-added", "the plan requires the usage serverAuth, but the certificate has serverAuth, 1.3.6.1.5.5.7.3.3"),
        ({"usage": None}, "key-usage-absent", "the certificate has no key usage extension"),
        ({"usage": ("key_encipherment",)}, "key-usage-digital-signature-absent", "the key usage of the certificate allows only keyEncipherment"),
        ({"usage": ("digital_signature",)}, "key-usage-key-encipherment-absent", "the key usage of the certificate allows only digitalSignature"),
        ({"usage": ("digital_signature", "key_encipherment", "key_cert_sign")}, "key-usage-certificate-signing", "the certificate allows digitalSignature, keyCertSign, keyEncipherment"),
        # In the following cases, the signature algorithm or the revocation information differs from
        # the plan.
        ({"pss": True}, "signature-pss", "the CA signed the certificate with RSASSA-PSS and sha256"),
        ({"crl": ()}, "crl-distribution-point-absent", "the certificate has no CRL distribution point"),
        # The validity period of the following certificates differs from the plan.
        ({"begins": TODAY - timedelta(365)}, "certificate-expired", "the certificate is valid only until 2026-11-23 at 23:59 UTC, and the evaluation date is 2026-11-24"),
        ({"begins": TODAY + timedelta(1)}, "not-yet-valid", "the certificate is valid from 2026-11-25 at 00:00 UTC"),
    ],
)  # fmt: skip
def test_difference(changes, code, message):
    """Each difference between a certificate and the plan causes exactly one finding, whose message
    contains both values.
    """
    assert compared(make_certificate(**changes)) == [(code, message)]


def test_wildcard_on_public_suffix():
    """If a certificate contains a wildcard for a public suffix, lyncnb reports the wildcard and the
    name that nobody requested.
    """
    assert compared(make_certificate(san=(*NAMES, "*.com.tw"))) == [
        ("names-added", '"*.com.tw" is not in the request'),
        (
            "wildcard-on-public-suffix",
            "the wildcard *.com.tw covers the names of every organization under com.tw",
        ),
    ]
    # The owner of github.io may request this wildcard, but the request does not contain it.
    assert compared(make_certificate(san=(*NAMES, "*.github.io"))) == [
        ("names-added", '"*.github.io" is not in the request')
    ]


def test_common_name_not_in_san():
    """If the common name is not in the SAN, lyncnb reports this fault in addition to the missing
    name.
    """
    assert compared(make_certificate(san=NAMES[1:])) == [
        ("names-missing", '"eepool.contoso.com" is missing'),
        (
            "common-name-not-in-san",
            '"eepool.contoso.com" is not a subject alternative name',
        ),
    ]


def test_no_san_at_all():
    """For a certificate without a SAN, lyncnb reports every planned name as missing."""
    codes = [code for code, _ in compared(make_certificate(san=()))]
    assert codes == ["names-missing", "common-name-not-in-san"]


def test_wildcard_instead_of_names():
    """If a wildcard in the certificate covers the missing names, lyncnb reports the wildcard
    instead of the names.
    """
    assert compared(make_certificate(san=("eepool.contoso.com", "*.contoso.com"))) == [
        ("names-replaced-by-wildcard", 'the certificate contains the wildcard "*.contoso.com" instead of "ee01.contoso.com", "meet.contoso.com"'),
        ("names-added", '"*.contoso.com" is not in the request'),
    ]  # fmt: skip


def test_edge_internal_has_no_san():
    """If the plan contains no alternative names, a certificate without a SAN has no finding. If the
    SAN contains only the subject name, lyncnb reports a notice.
    """
    assert compared(make_certificate(san=()), san=[]) == []
    assert compared(make_certificate(san=NAMES[:1]), san=[]) == [
        (
            "subject-repeated-in-san",
            'the CA added the subject name "eepool.contoso.com" as a subject alternative name',
        )
    ]
    assert compared(make_certificate(san=NAMES[:2]), san=[]) == [
        ("names-added", '"ee01.contoso.com", "eepool.contoso.com" are not in the request')
    ]


@pytest.mark.parametrize(
    "name",
    ["bad name.contoso.com", "", "a..contoso.com", "192.0.2.1", "a\ncontoso.com", "*.*.contoso.com",
     "f*.contoso.com", ".contoso.com", "contoso.com.", "x\0.contoso.com", "https://contoso.com"],
)  # fmt: skip
def test_malformed_name(name):
    """The finding about a dNSName that is not a valid host name shows no invisible characters."""
    findings = compared(make_certificate(san=(*NAMES, name)))
    assert [code for code, _ in findings if code == "name-malformed"] == ["name-malformed"]
    assert all(text.isprintable() for _, text in findings)


def test_eku_without_server_auth():
    """If a certificate has only an unplanned extended key usage, lyncnb reports one missing usage
    and one additional usage.
    """
    assert [code for code, _ in compared(make_certificate(eku=["clientAuth"]))] == [
        "eku-server-auth-absent",
        "eku-client-auth-added",
    ]


def test_client_authentication_is_expected_if_planned():
    """If client authentication is planned, as for AOL, lyncnb accepts it in the certificate and
    reports an error if it is missing.
    """
    planned = ["serverAuth", "clientAuth"]
    assert compared(make_certificate(eku=planned), eku=planned) == []
    assert compared(make_certificate(), eku=planned) == [
        (
            "eku-missing",
            "the plan requires the usage clientAuth, but the certificate has serverAuth",
        )
    ]


def test_key_usage_of_ecdsa():
    """An ECDSA key does not use key encipherment, so lyncnb does not report that this key usage is
    missing.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = make_certificate(key=key, usage=("digital_signature",))
    assert compared(certificate, key=PlannedKey(algorithm="ECDSA", bits=256)) == []


def test_key_differs():
    """If the key is of a different type than planned, the finding contains both key types."""
    assert compared(make_certificate(), key=PlannedKey(algorithm="RSA", bits=4096)) == [
        (
            "key-differs-from-plan",
            "the planned key is RSA 4096, but the key of the certificate is RSA 2048",
        )
    ]


@pytest.mark.parametrize(
    ("issuer", "code"),
    [("internal", "signature-hash-sha1"), ("public", "signature-hash-sha1-public")],
)
def test_sha1(issuer, code):
    """lyncnb reports an SHA-1 signature with a code that depends on the type of CA, and does not
    report the signature as invalid.
    """
    certificate = replace_signature(make_certificate(days=100), RSA_CA.key, "sha1")
    assert compared(certificate, issuer=issuer) == [
        (code, "the CA signed the certificate with SHA-1")
    ]


def test_md5():
    """lyncnb reports an MD5 signature as broken."""
    certificate = replace_signature(make_certificate(), RSA_CA.key, "md5")
    assert compared(certificate) == [
        ("signature-hash-weak", "the CA signed the certificate with MD5")
    ]


def test_other_sha2():
    """If the SHA-2 hash in the certificate's signature differs from the planned SHA-2 hash, lyncnb
    reports a notice.
    """
    assert compared(make_certificate(), hash="sha384") == [
        (
            "signature-hash-differs",
            "the plan requires sha384, but the CA signed the certificate with sha256",
        )
    ]


def test_ed25519():
    """lyncnb reports a signature algorithm that old Windows versions do not support."""
    ca_key = ed25519.Ed25519PrivateKey.generate()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(RSA_CA.root.subject)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(TODAY)
        .not_valid_after(TODAY)
        .sign(ca_key, None)
    )
    assert (
        "signature-scheme-unsupported",
        "the CA signed the certificate with Ed25519",
    ) in compared(builder)


@pytest.mark.parametrize(
    ("issuer", "changes", "code"),
    [
        ("internal", {"crl": (), "ocsp": "http://ocsp.contoso.net"}, "absent"),
        ("public", {"crl": (), "ocsp": "http://ocsp.contoso.net"}, "spared"),
        ("public", {"crl": ()}, "absent"),
        ("public", {"crl": (), "days": 7}, "spared"),
        ("public", {"crl": (), "days": 7 + 1 / 86400}, "absent"),
        ("internal", {"crl": (), "days": 7}, "absent"),
    ],
)
def test_missing_crl(issuer, changes, code):
    """A public CA may omit the CRL if it has OCSP or a short lifetime, but Microsoft's page for
    Lync Server requires one.
    """
    findings = compared(make_certificate(**({"days": 100} | changes)), issuer=issuer)
    assert [actual_code for actual_code, _ in findings] == [f"crl-distribution-point-{code}"]
    assert (
        list_returned_checks()[findings[0][0]].severity
        == {"absent": "error", "spared": "warning"}[code]
    )
    assert ('OCSP responder "http://ocsp.contoso.net"' in findings[0][1]) is ("ocsp" in changes)


@pytest.mark.parametrize(
    ("begins", "days", "code"),
    [
        # The rules did not define short-lived certificates on that date.
        ("2024-03-14", 7, "absent"),
        ("2024-03-15", 10, "spared"),
        ("2026-03-14", 10, "spared"),
        ("2026-03-15", 10, "absent"),
        ("2026-03-15", 7, "spared"),
    ],
)
def test_limit_of_short_lived_certificates_depends_on_the_start(begins, days, code):
    """A lifetime of ten days counted as short until 2026-03-14, and a lifetime of seven days counts
    as short since then.

    Since then, seven days do (Baseline Requirements 1.6.1).
    """
    moment = datetime.fromisoformat(begins).replace(tzinfo=UTC)
    findings = compared(make_certificate(crl=(), begins=moment, days=days), issuer="public")
    codes = [actual_code for actual_code, _ in findings if actual_code.startswith("crl-")]
    assert codes == [f"crl-distribution-point-{code}"]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("Edge", ["crl-distribution-point-ldap-only"]),
        ("FrontEnd", ["crl-distribution-point-ldap-only"]),
        ("Mediation", []),
    ],
)
def test_ldap_only(role, expected):
    """If the directory (LDAP) is the only source of the CRL, lyncnb reports a finding, because
    clients outside the domain cannot read this CRL.
    """
    certificate = make_certificate(crl=["ldap:///CN=Contoso"])
    findings = compared(certificate, role=role)
    assert [code for code, _ in findings] == expected
    assert all(
        'every CRL distribution point is an LDAP URL, such as "ldap:///CN=Contoso"' == message
        for _, message in findings
    )
    assert compared(make_certificate(crl=["ldap:///CN=Contoso", "http://x/"]), role=role) == []


def test_a_validity_of_hours_is_not_zero_days():
    """A certificate that is valid for less than one day has its validity in hours."""
    findings = compared(make_certificate(begins=TODAY, days=1 / 12), validity_days=365)
    assert [message for code, message in findings if code == "validity-shorter-than-asked"] == [
        "the CA was asked for a validity period of 365 days, but the certificate is valid for 2.0 hours"
    ]


def test_certificates_that_are_checked_outside_the_domain():
    """A CRL in the directory alone is reported for each certificate that an Edge Server, a reverse
    proxy, a client outside or a phone must check, according to the connections of the products.
    """
    outside = {"Edge", "ReverseProxy"}
    checked = set()
    for product in ("lync2013", "sfb2015", "sfb2019"):
        rules = load_rules(product)
        outside |= {name for name, party in rules.parties.items() if party.zone == "outside"}
        outside.add("clients-inside")  # Phones and mobile devices are not in the domain.
        for connection in rules.connections:
            if outside & set(connection.speakers):
                checked |= set(connection.listeners)
            # With mutual TLS, the listener checks the certificate of the speaker.
            if outside & set(connection.listeners) and connection.speaker_usage:
                checked |= set(connection.speakers)
    assert set(list_returned_checks()["crl-distribution-point-ldap-only"].roles) == checked


def test_certificates_whose_validity_clients_limit():
    """The limit of Apple devices applies to each role to which clients connect, according to the
    connections of the products. If the plan names the oldest client, no such device connects.
    """
    checked = set()
    for product in ("lync2013", "sfb2015", "sfb2019"):
        for connection in load_rules(product).connections:
            if {"clients-inside", "clients-outside"} & set(connection.speakers):
                checked |= set(connection.listeners)
    rule = list_returned_checks()["validity-over-client-limit"]
    assert set(rule.roles) == checked
    certificate = make_certificate(days=826)
    assert [code for code, _ in compared(certificate, role="FrontEnd")] == [rule.code]
    assert compared(certificate, role="Mediation") == []
    assert compared(certificate, role="FrontEnd", oldest_client="Windows 7") == []


@pytest.mark.parametrize(
    ("days", "requested_days", "expected"),
    [
        (365, 365, []),
        (364.5, 365, []),  # The CA backdates the start of the validity period by some hours.
        (
            363,
            365,
            [
                (
                    "validity-shorter-than-asked",
                    "the CA was asked for a validity period of 365 days, but the certificate is valid for 363 days",
                )
            ],
        ),
        (730, 365, []),
    ],
)
def test_requested_validity(days, requested_days, expected):
    """lyncnb reports a validity period that is more than one day shorter than requested."""
    assert compared(make_certificate(days=days), validity_days=requested_days) == expected


@pytest.mark.parametrize(
    ("begins", "days", "reported"),
    [
        ("2026-11-23", 200, ""),
        # The difference of the two times is the limit, but both seconds belong to the validity.
        ("2026-11-23", 200 + 1 / 86400, "second"),
        ("2026-11-23", 200 + 2 / 86400, "validity"),
        # The limit that is in force on the start date of the certificate applies.
        ("2026-03-14", 398, ""),
        ("2026-03-15", 201, "validity"),
        ("2027-03-15", 101, "validity"),
        ("2029-03-15", 47, ""),
    ],
)
def test_public_limit(begins, days, reported):
    """The lifetime of a public certificate must not exceed the limit that applies on its start
    date.
    """
    start = date.fromisoformat(begins)
    moment = TODAY.replace(year=start.year, month=start.month, day=start.day)
    codes = [
        code for code, _ in compared(make_certificate(begins=moment, days=days), issuer="public")
    ]
    limits = [code for code in codes if code.endswith("over-public-limit")]
    assert limits == ([f"{reported}-over-public-limit"] if reported else [])
    assert (
        compared(make_certificate(days=3650), role="Mediation") == []
    )  # An enterprise CA may choose its own lifetime limit.


def test_checks_are_complete():
    """Every check of issued certificates in the data file has a description, a hint and a source."""
    checks = list_returned_checks()
    for rule in checks.values():
        assert rule.severity in ("error", "warning", "notice")
        assert all((rule.title, rule.meaning, rule.hint, rule.source)), rule.code
        assert rule.code == rule.code.casefold().replace("_", "-")
    assert len(checks) >= 60


def test_every_code_is_used():
    """For every code in the data file, a function reports the finding, and no function reports an
    unknown code.
    """
    import re

    package = REPOSITORY / "lyncnb"
    text = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    codes = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', text))
    # The rule files, not the Python code, contain the codes of the findings about roots.
    codes |= {rule.code for rule in load_ca_rules().roots}
    assert set(list_returned_checks()) - codes == set()


def test_codes_differ_from_plan_checks():
    """No code of a certificate check is also the code of a plan check, so each code has one
    meaning.
    """
    from lyncnb.rules.rule_files import load_rules

    assert set(list_returned_checks()) & set(load_rules("lync2013").checks) == set()


def test_finding():
    """A finding has the severity, hint and source that the data file specifies for its code."""
    finding = create_returned_finding("unknown-key", "a.cer", "somebody's")
    rule = list_returned_checks()["unknown-key"]
    assert (finding.severity, finding.hint, finding.source) == (
        rule.severity,
        rule.hint,
        rule.source,
    )
    assert (finding.about, finding.message) == ("a.cer", "somebody's")
