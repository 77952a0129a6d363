"""The demonstration CA signs requests of the sample deployments, and rejects any other request
folder.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from folders import PASSPHRASE, TODAY

import lyncnb as ln
from lyncnb.authorities.demonstration import Demonstration, is_fictional
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.errors import BundleError
from lyncnb.pki.demonstration_ca import DEMONSTRATION_NAME

pytestmark = pytest.mark.usefixtures("quick_cipher")

TABLE = """server_fqdn,role,pool_fqdn,sip_domains,web_external_fqdn
fe01.{0},FrontEnd,pool.{0},{0},web.{0}
fe02.{0},FrontEnd,pool.{0},,
med01.{0},Mediation,,,
med02.{0},Mediation,,,
"""


def create_bundle(domain: str, folder):
    """Create a request folder for a small deployment with one domain."""
    options = ln.PlanOptions(key=KeyParameters(algorithm="ECDSA", bits=256))
    topology = ln.read_topology(TABLE.format(domain).encode())
    plan = ln.plan_certificates(topology, ln.load_rules("lync2013"), options=options)
    accept = {finding.code: "a test" for finding in ln.check_plan(plan)}
    return ln.write_requests(plan, folder, passphrase=PASSPHRASE, accept=accept, today=TODAY)


def test_first_response_has_three_mistakes(tmp_path):
    """The demonstration CA intentionally omits one name, one CRL URL and one certificate, and
    writes no private key.
    """
    bundle = create_bundle("contoso.com", tmp_path / "requests")
    answers = ln.demo.answer(bundle, tmp_path / "answers", today=TODAY)
    assert len(answers.mistakes) == 3
    issued = ln.match_certificates(bundle, tmp_path / "answers", today=TODAY)
    errors = {finding.code for finding in issued.findings if finding.severity == "error"}
    assert errors == {"names-missing", "crl-distribution-point-absent"}
    # lyncnb rejected two certificates, and the demonstration CA did not issue the third one.
    assert len(issued.waiting) == 3
    # The demonstration CA returned its root, but omitted one certificate.
    assert answers.files == len(bundle.requests)
    assert not any(b"PRIVATE" in path.read_bytes() for path in (tmp_path / "answers").iterdir())
    assert {certificate.certificate.issuer_name for certificate in issued.certificates} == {
        DEMONSTRATION_NAME
    }


def errors_of(issued) -> set[str]:
    """Return the codes of the errors in a saved evaluation."""
    return {finding.code for finding in issued.findings if finding.severity == "error"}


def test_later_responses_have_no_mistake(tmp_path):
    """After its first response, the demonstration CA signs the remaining requests and a renewal
    without mistakes.

    Each certificate is accepted.
    """
    bundle = create_bundle("contoso.com", tmp_path / "requests")
    for batch in ("first", "second", "renewed"):
        answers = ln.demo.answer(bundle, tmp_path / batch, today=TODAY)
        issued = ln.receive(tmp_path / "requests", tmp_path / batch, today=TODAY)
        if batch == "first":
            assert errors_of(issued) == {"names-missing", "crl-distribution-point-absent"}
            continue
        assert (answers.mistakes, issued.waiting) == ((), ())
        assert not any(certificate.has_errors for certificate in issued.certificates)
        records = ln.open_requests(bundle.folder).requests
        assert len({record.issued.serial for record in records}) == len(records)
        if batch == "second":
            names = [record.id for record in records]
            ln.renew(bundle.folder, *names, passphrase=PASSPHRASE, reason="practice", today=TODAY)


def test_responses_of_one_ca_have_the_same_root(tmp_path):
    """Two responses from the same demonstration CA contain the same root certificate."""
    bundle, ca = create_bundle("contoso.com", tmp_path / "requests"), Demonstration()
    for name in ("first", "second"):
        ca.answer(bundle, tmp_path / name, today=TODAY)
    first, second = ((tmp_path / name / "root.pem").read_bytes() for name in ("first", "second"))
    assert first == second


def test_another_ca_with_the_same_name_may_use_the_same_serial_number(tmp_path, monkeypatch):
    """Another CA with the same name may use the same serial number, because serial numbers are
    unique only for each signing key.
    """
    bundle = create_bundle("contoso.com", tmp_path / "requests")
    for batch in ("first", "second"):
        numbers = iter(range(100, 200))
        monkeypatch.setattr("cryptography.x509.random_serial_number", numbers.__next__)
        Demonstration().answer(bundle, tmp_path / batch, today=TODAY)
    for batch in ("first", "second", "first"):
        issued = ln.receive(tmp_path / "requests", tmp_path / batch, today=TODAY)
        assert "duplicate-serial" not in errors_of(issued)


def test_lifetime_of_public_certificates_follows_the_rules_of_the_date(tmp_path):
    """The demonstration CA issues public certificates for less than 200 days until 2027-03-14, and
    for less than 100 days from then on.
    """
    topology = ln.read_topology("data/contoso.csv")
    plan = ln.plan_certificates(topology, ln.load_rules("lync2013"))
    bundle = ln.write_requests(plan, tmp_path / "requests", passphrase=PASSPHRASE, today=TODAY)
    for day, days in ((date(2027, 3, 14), 199), (date(2027, 3, 15), 99)):
        ln.demo.answer(bundle, tmp_path / str(day), today=day)
        issued = ln.match_certificates(bundle, tmp_path / str(day), today=day)
        lives = {
            certificate.certificate.not_after - certificate.certificate.not_before
            for certificate in issued.certificates
        }
        assert lives == {timedelta(days), timedelta(730)}


def test_folder_with_a_real_name_is_rejected(tmp_path):
    """The demonstration CA accepts only names in the sample domains. It rejects a request folder
    with other names, and writes nothing.
    """
    bundle = create_bundle("example.org", tmp_path / "requests")
    with pytest.raises(BundleError, match="names of a real organization"):
        ln.demo.answer(bundle, tmp_path / "answers", today=TODAY)
    assert not (tmp_path / "answers").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.contoso.com", True),
        ("*.litwareinc.net", True),
        ("fabrikam.com", True),
        ("notcontoso.com", False),
        ("contoso.com.example.org", False),
        ("contoso.evil.com", False),
        ("contoso", False),
    ],
)
def test_sample_names_are_recognized_by_their_domain(tmp_path, name, expected):
    """lyncnb recognizes a sample name by its last two labels: the name of the organization and the
    top-level domain.
    """
    entry = create_bundle("contoso.com", tmp_path / "requests").requests[0].plan
    assert is_fictional([replace(entry, san=(*entry.san, name))]) is expected


def test_demonstration_certificate_for_a_real_name_is_an_error(tmp_path, monkeypatch):
    """In a request folder with a real name, lyncnb rejects a certificate from the demonstration CA.
    The user cannot accept this error.
    """
    bundle = create_bundle("example.org", tmp_path / "requests")
    with monkeypatch.context() as fooled:
        fooled.setattr("lyncnb.authorities.demonstration.is_fictional", lambda entries: True)
        ln.demo.answer(bundle, tmp_path / "answers", today=TODAY)
    folders = tmp_path / "requests", tmp_path / "answers"
    with pytest.raises(BundleError, match="cannot be accepted"):
        ln.receive(*folders, accept={"demonstration-certificate": "please"}, today=TODAY)
    issued = ln.receive(*folders, today=TODAY)
    findings = [
        finding for finding in issued.findings if finding.code == "demonstration-certificate"
    ]
    assert len(findings) == len(bundle.requests) - 1
    assert {finding.severity for finding in findings} == {"error"}
