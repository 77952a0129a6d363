"""lyncnb matches certificates to requests by the public key.

The newest is used, and a forged one never is.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cas.python_ca import CA_USAGE, TODAY, PythonCa, der, issue
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from planned_entry import DAY, ENTRY

from lyncnb.authorities.returned.candidates import Outstanding
from lyncnb.authorities.returned.matching import match_returned_certificates
from lyncnb.authorities.returned.returned_files import ReturnedFile
from lyncnb.base.planned_entry import PlannedKey
from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.keys import compute_spki_sha256

CA = PythonCa()
CHAIN = [read_certificate(der(certificate)) for certificate in CA.chain]
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("a", "b", "old", "foreign")}
SAN = {"a": ("pool.contoso.com", "a.contoso.com"), "b": ("pool.contoso.com", "b.contoso.com")}


def make_request(name: str, **changes) -> Outstanding:
    entry = replace(
        ENTRY,
        **{
            "id": name,
            "pool": "pool.contoso.com",
            "subject": {"CN": "pool.contoso.com"},
            "san": SAN.get(name, SAN["a"]),
            "key": PlannedKey(algorithm="ECDSA", bits=256),
            **changes.pop("entry", {}),
        },
    )
    values = {"request_id": name, "generation": 1, "spki_sha256": compute_spki_sha256(KEYS[name])}
    return Outstanding(**(values | {"entry": entry} | changes))


def make_certificate(name: str, **changes):
    values = {
        "subject": [("CN", "pool.contoso.com")],
        "san": SAN.get(name, SAN["a"]),
        "usage": ("digital_signature",),
        **changes,
    }
    key = KEYS[name]
    return read_certificate(der(issue(key.public_key(), CA.issuing.subject, CA.key, **values)))


def file(*certificates, name: str = "answer.cer", **values) -> ReturnedFile:
    return ReturnedFile(name=name, certificates=certificates, **values)


def match(requests, *files, known=()):
    return match_returned_certificates(requests, files, known_certificates=known, today=DAY)


def codes(findings) -> list[tuple[str, str]]:
    return [(finding.code, finding.about) for finding in findings]


def test_the_public_key_determines_the_request():
    """The public key alone determines which request a certificate belongs to. Names, files and
    their order do not matter.
    """
    first, second = make_certificate("a"), make_certificate("b")
    matched = match(
        [make_request("a"), make_request("b")], file(second, name="a.cer"), file(*CHAIN, first)
    )
    assert [(answer.request.request_id, answer.certificate) for answer in matched.answers] == [
        ("a", first),
        ("b", second),
    ]
    assert [answer.findings for answer in matched.answers] == [(), ()]
    assert codes(matched.findings) == [("root-to-compare", "answer.cer")]
    assert [list(answer.path.issuers) for answer in matched.answers] == [CHAIN, CHAIN]


def test_newest_certificate_is_accepted():
    """If a request has several certificates, the certificate with the latest start date is
    accepted, and the others are reported.
    """
    old, new = make_certificate("a", begins=TODAY - timedelta(9)), make_certificate("a")
    (answer,) = match([make_request("a")], file(new, old, *CHAIN)).answers
    assert answer.certificate == new
    assert codes(answer.findings) == [("several-answers", "a")]
    assert "2026-11-15 to 2027-11-14" in answer.findings[0].message


def test_of_two_certificates_with_the_same_dates_the_better_one_is_accepted():
    """If two certificates have the same dates, lyncnb accepts the one with fewer warnings,
    regardless of their order.
    """
    good, wider = make_certificate("a"), make_certificate("a", san=(*SAN["a"], "more.contoso.com"))
    for certificates in ((good, wider), (wider, good)):
        (answer,) = match([make_request("a")], file(*certificates, *CHAIN)).answers
        assert answer.certificate == good


@pytest.mark.parametrize(("days", "is_reported"), [(90, False), (60, True)])
def test_requested_validity_is_at_most_the_limit_of_the_ca(days, is_reported):
    """The handover page asks the CA for at most the CA's limit. Therefore, lyncnb does not report
    that a certificate with this validity is shorter than the plan.
    """
    certificate = make_certificate("a", days=days)
    request = make_request("a", ca="Let's Encrypt", validity_days=200, entry={"issuer": "public"})
    (answer,) = match([request], file(certificate, *CHAIN)).answers
    assert ("validity-shorter-than-asked" in dict(codes(answer.findings))) == is_reported


def test_different_certificates_in_a_pool():
    """If lyncnb receives two different certificates for a request that several servers share, it
    reports an error.
    """
    shared = make_request("a", entry={"shared_by": "pool", "servers": ("e1", "e2")})
    (answer,) = match(
        [shared], file(make_certificate("a"), make_certificate("a", serial=7), *CHAIN)
    ).answers
    assert ("different-certificates-in-pool", "a") in codes(answer.findings)
    assert [f.message for f in answer.findings if f.code.startswith("diff")] == [
        "2 different certificates for e1, e2"
    ]


def test_different_key_for_pool():
    """If a certificate has the pool's name but another key, lyncnb reports a finding about the
    pool's request.
    """
    shared = make_request("a", entry={"shared_by": "pool"})
    matched = match(
        [shared],
        file(make_certificate("a"), *CHAIN),
        file(make_certificate("foreign"), name="x.cer"),
    )
    assert ("unknown-key", "x.cer") in codes(matched.findings)
    # The error is about the certificate, so lyncnb records the finding and does not accept the
    # certificate.
    assert codes(matched.answers[0].findings) == [("different-certificates-in-pool", "a")]


def test_older_certificate_is_not_stored():
    """If a received certificate is older than the recorded certificate, lyncnb does not store it."""
    recorded, older = make_certificate("a"), make_certificate("a", begins=TODAY - timedelta(9))
    matched = match(
        [make_request("a", held_sha256=recorded.sha256)], file(older), known=[recorded, *CHAIN]
    )
    assert matched.answers == ()
    assert codes(matched.findings) == [("older-answer", "a")]


def test_a_recorded_certificate_can_be_received_again():
    """Receiving the recorded certificate again changes nothing."""
    recorded = make_certificate("a")
    (answer,) = match(
        [make_request("a", held_sha256=recorded.sha256)], file(recorded), known=[recorded, *CHAIN]
    ).answers
    assert (answer.certificate, answer.findings, answer.earlier) == (recorded, (), None)


def test_newer_certificate_replaces_the_recorded_one():
    """A newer certificate replaces the recorded certificate, and lyncnb reports the changes."""
    recorded, newer = (
        make_certificate("a", begins=TODAY - timedelta(9)),
        make_certificate("a", san=(*SAN["a"], "x.contoso.com")),
    )
    request = make_request(
        "a", held_sha256=recorded.sha256, entry={"san": (*SAN["a"], "x.contoso.com")}
    )
    (answer,) = match([request], file(newer), known=[recorded, *CHAIN]).answers
    assert codes(answer.findings) == [("replaces-earlier-certificate", "a")]
    assert "names: none -> x.contoso.com" in answer.findings[0].message
    assert answer.earlier == recorded


def test_certificate_for_a_new_generation_is_compared_with_the_previous_one():
    """lyncnb compares the certificate for a new generation with the certificate of the previous
    generation.
    """
    before = make_certificate("old", begins=TODAY - timedelta(300))
    requests = [
        make_request("a", generation=2),
        make_request("old", request_id="a", is_current=False, held_sha256=before.sha256),
    ]
    (answer,) = match(requests, file(make_certificate("a")), known=[before, *CHAIN]).answers
    assert codes(answer.findings) == [("renews-earlier-certificate", "a")]
    assert answer.earlier == before


def test_a_replacement_that_ends_earlier_is_reported_in_days():
    """If a replacement certificate ends earlier than the old one, lyncnb reports the difference in
    days, because the next renewal is due sooner.
    """
    before = make_certificate("old", begins=TODAY - timedelta(9), days=199)
    requests = [
        make_request("a", generation=2),
        make_request("old", request_id="a", is_current=False, held_sha256=before.sha256),
    ]
    new = make_certificate("a", begins=TODAY, days=90)
    (answer,) = match(requests, file(new), known=[before, *CHAIN]).answers
    assert answer.findings[0].message.startswith(
        "the new certificate expires 100 days before the certificate that it replaces: "
    )


def test_superseded():
    """lyncnb stores a certificate for a superseded generation of a request separately, and reports
    a finding.
    """
    requests = [
        make_request("a", generation=2),
        make_request("old", request_id="a", is_current=False),
    ]
    matched = match(requests, file(make_certificate("old"), *CHAIN))
    assert matched.answers == ()
    (answer,) = matched.superseded
    assert codes(answer.findings) == [("answers-superseded-request", "old")]
    assert answer.findings[0].message.endswith("generation 1")


def test_certificate_for_a_retired_request_is_stored():
    """lyncnb stores a certificate for a request that is no longer planned, and reports a notice.

    The notice is the same if the request already has a certificate: no server needs the new one.
    """
    held = make_certificate("a", days=5)
    for known, held_sha256 in ([], ""), ([held, *CHAIN], held.sha256):
        request = make_request("a", is_retired=True, held_sha256=held_sha256)
        (answer,) = match([request], file(make_certificate("a"), *CHAIN), known=known).answers
        assert codes(answer.findings) == [("answers-retired-request", "a")]


def test_self_signed():
    """lyncnb does not accept a certificate that is signed with the request's own key."""
    name = [("CN", "pool.contoso.com")]
    from cas.python_ca import name as make_name

    certificate = issue(
        KEYS["a"].public_key(), make_name(name), KEYS["a"], subject=name, san=SAN["a"]
    )
    matched = match([make_request("a")], file(read_certificate(der(certificate))))
    assert matched.answers == ()
    assert codes(matched.findings) == [("self-signed", "a")]


def test_ca_certificate():
    """lyncnb does not accept a CA certificate that contains a server's key, not even as an issuer."""
    certificate = make_certificate("a", ca=True, usage=CA_USAGE, eku=None)
    matched = match([make_request("a")], file(certificate, *CHAIN))
    assert matched.answers == ()
    assert codes(matched.findings)[0] == ("ca-certificate", "a")


def test_unknown_key():
    """If a certificate belongs to no known key, lyncnb reports the file that contains the
    certificate.
    """
    matched = match([make_request("a")], file(make_certificate("foreign"), name="foreign.cer"))
    assert codes(matched.findings) == [("unknown-key", "foreign.cer")]
    assert matched.findings[0].message == (
        'no request has the key of the certificate "pool.contoso.com", issued by "Contoso Issuing '
        'CA 1"'
    )


def test_unused_chain():
    """A received CA certificate that belongs to no chain causes a notice.

    If there are several roots, each must be compared.
    """
    other = [read_certificate(der(certificate)) for certificate in PythonCa("Fabrikam").chain]
    matched = match(
        [make_request("a")], file(make_certificate("a"), *CHAIN), file(*other, name="other.p7b")
    )
    unused = [pair for pair in codes(matched.findings) if pair[0] == "chain-certificate-unused"]
    assert unused == [("chain-certificate-unused", "other.p7b")] * 2
    roots = set(codes(matched.findings)) - set(unused)
    assert roots == {("root-to-compare", "answer.cer"), ("root-to-compare", "other.p7b")}


def test_duplicate_serial():
    """If one CA issues two certificates with the same serial number, lyncnb reports each of them
    once.
    """
    matched = match(
        [make_request("a"), make_request("b")],
        file(make_certificate("a", serial=7), make_certificate("b", serial=7), *CHAIN),
    )
    assert codes(matched.findings) == [("root-to-compare", "answer.cer")]
    assert [codes(answer.findings) for answer in matched.answers] == [
        [("duplicate-serial", "a")],
        [("duplicate-serial", "b")],
    ]
    recorded = make_certificate("b", serial=7)
    matched = match(
        [make_request("a"), make_request("b", held_sha256=recorded.sha256)],
        file(make_certificate("a", serial=7)),
        known=[recorded, *CHAIN],
    )
    assert [codes(answer.findings) for answer in matched.answers] == [[("duplicate-serial", "a")]]


def test_one_certificate_for_two_requests():
    """lyncnb reports a certificate that also contains the names of another waiting request."""
    both = (*SAN["a"], "b.contoso.com")
    (answer,) = match(
        [make_request("a"), make_request("b")], file(make_certificate("a", san=both), *CHAIN)
    ).answers
    assert codes(answer.findings) == [
        ("names-added", "a"),
        ("one-certificate-for-several-requests", "a"),
    ]
    assert answer.findings[1].message == (
        "the certificate has every name that b requires, and b has no certificate yet"
    )
    answers = match(
        [make_request("a"), make_request("b")],
        file(make_certificate("a", san=both), make_certificate("b"), *CHAIN),
    ).answers
    # The second request already has its certificate.
    assert codes(answers[0].findings) == [("names-added", "a")]


def test_one_key_for_two_requests():
    """If two requests have the same public key, lyncnb matches the same certificate to both and
    reports a finding for each.
    """
    twin = make_request("b", spki_sha256=compute_spki_sha256(KEYS["a"]), entry={"san": SAN["a"]})
    answers = match([make_request("a"), twin], file(make_certificate("a"), *CHAIN)).answers
    assert [codes(answer.findings) for answer in answers] == [
        [("one-certificate-for-several-requests", "a")],
        [("one-certificate-for-several-requests", "b")],
    ]


def test_chain_of_earlier_files():
    """CA certificates that were received earlier complete the chain of a certificate that is
    received without a chain.
    """
    (answer,) = match([make_request("a")], file(make_certificate("a")), known=CHAIN).answers
    assert answer.path.is_complete
    (answer,) = match([make_request("a")], file(make_certificate("a"))).answers
    assert codes(answer.findings) == [("chain-incomplete", "a")]


def test_web_pki_objection_is_a_notice_for_public_certificates():
    """If the strict verifier for public web certificates rejects a public certificate, lyncnb
    reports a notice. For other certificates, lyncnb ignores this verifier.
    """
    certificate = make_certificate("a", days=100, issuer_key_id=False)
    public = make_request("a", entry={"issuer": "public"})
    (answer,) = match([public], file(certificate, *CHAIN)).answers
    assert codes(answer.findings) == [("web-pki-objection", "a")]
    (answer,) = match([make_request("a")], file(certificate, *CHAIN)).answers
    assert answer.findings == ()


@pytest.mark.parametrize("known", [True, False])
def test_pfx_key(known):
    """lyncnb reports a PFX file only if its key does not belong to the request folder."""
    key = compute_spki_sha256(KEYS["a" if known else "foreign"])
    remark = ("private-key-in-file", "the file is a PFX with a private key")
    matched = match(
        [make_request("a")], file(name="p.pfx", remarks=(remark,), key_spki_sha256=(key,))
    )
    expected = [("private-key-in-file", "p.pfx")]
    assert codes(matched.findings) == expected + ([] if known else [("pfx-key-not-ours", "p.pfx")])


@given(st.permutations(range(5)), st.integers(1, 4))
def test_order_does_not_matter(order, cut):
    """The matches and findings do not depend on the order of the files or on how the certificates
    are split into files.
    """
    everything = [_ONE, _TWO, *CHAIN, _OTHER]
    shuffled = [everything[index] for index in order]
    requests = [make_request("a"), make_request("b")]
    matched = match(requests, file(*shuffled[:cut]), file(*shuffled[cut:]))
    plain = match(requests, file(*everything))
    assert [a.certificate for a in matched.answers] == [a.certificate for a in plain.answers]
    assert [a.path for a in matched.answers] == [a.path for a in plain.answers]
    assert set(matched.findings) == set(plain.findings)


_ONE, _TWO = make_certificate("a"), make_certificate("b")
_OTHER = make_certificate("foreign")
