"""The demonstration CA: it signs the samples, and nothing of it stands in any other folder."""

from __future__ import annotations

from dataclasses import replace

import pytest
from folders import PASSPHRASE, TODAY

import lyncnb as ln
from lyncnb.authorities.demonstration import is_fictional
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.errors import BundleError
from lyncnb.pki.demonstration_ca import DEMONSTRATION_NAME

TABLE = """server_fqdn,role,pool_fqdn,sip_domains,web_external_fqdn
fe01.{0},FrontEnd,pool.{0},{0},web.{0}
fe02.{0},FrontEnd,pool.{0},,
med01.{0},Mediation,,,
med02.{0},Mediation,,,
"""


def bundle_of(domain: str, folder):
    """Write the requests of a small deployment of one domain."""
    options = ln.PlanOptions(key=KeyParameters(algorithm="ECDSA", bits=256))
    topology = ln.read_topology(TABLE.format(domain).encode())
    plan = ln.plan_certificates(topology, ln.load_rules("lync2013"), options=options)
    accept = {found.code: "a test" for found in ln.check_plan(plan)}
    return ln.write_requests(plan, folder, passphrase=PASSPHRASE, accept=accept, today=TODAY)


def test_it_answers_a_sample_with_three_mistakes(tmp_path):
    """One name is missing, one revocation list, one answer; no key is left anywhere."""
    bundle = bundle_of("contoso.com", tmp_path / "requests")
    answers = ln.demo.answer(bundle, tmp_path / "answers", today=TODAY)
    assert len(answers.mistakes) == 3
    issued = ln.match_certificates(bundle, tmp_path / "answers", today=TODAY)
    errors = {found.code for found in issued.findings if found.severity == "error"}
    assert errors == {"names-missing", "crl-distribution-point-absent"}
    assert len(issued.waiting) == 3  # two were refused, one was not answered
    assert answers.files == len(bundle.requests)  # the root came, one answer did not
    assert not any(b"PRIVATE" in path.read_bytes() for path in (tmp_path / "answers").iterdir())
    assert {one.certificate.issuer_name for one in issued.certificates} == {DEMONSTRATION_NAME}


def test_it_signs_no_folder_with_a_real_name(tmp_path):
    """Any name outside the samples' domains refuses the whole folder, and nothing is written."""
    bundle = bundle_of("example.org", tmp_path / "requests")
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
def test_the_samples_names_are_told_by_their_end(tmp_path, name, expected):
    """The organization stands right before the last label, and is a label of its own."""
    entry = bundle_of("contoso.com", tmp_path / "requests").requests[0].plan
    assert is_fictional([replace(entry, san=(*entry.san, name))]) is expected


def test_elsewhere_its_certificate_is_an_error_that_nobody_accepts(tmp_path, monkeypatch):
    """A folder with a real name refuses what the demonstration signed, even if asked to accept."""
    bundle = bundle_of("example.org", tmp_path / "requests")
    with monkeypatch.context() as fooled:
        fooled.setattr("lyncnb.authorities.demonstration.is_fictional", lambda entries: True)
        ln.demo.answer(bundle, tmp_path / "answers", today=TODAY)
    places = tmp_path / "requests", tmp_path / "answers"
    with pytest.raises(BundleError, match="cannot be accepted"):
        ln.receive(*places, accept={"demonstration-certificate": "please"}, today=TODAY)
    issued = ln.receive(*places, today=TODAY)
    found = [one for one in issued.findings if one.code == "demonstration-certificate"]
    assert len(found) == len(bundle.requests) - 1
    assert {one.severity for one in found} == {"error"}
