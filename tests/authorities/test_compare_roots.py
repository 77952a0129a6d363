"""lyncnb looks up the root of an issued certificate in a table of roots with dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from cas.python_ca import PythonCa, der, issue, name
from cryptography.hazmat.primitives.asymmetric import rsa
from planned_entry import ENTRY, NAMES, SUBJECT

from lyncnb.authorities.evaluation.evaluation import Evidence, evaluate
from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.chain import Issuers
from lyncnb.rules.ca_rules import CaRuleSet, load_ca_rules

KEY = rsa.generate_private_key(65537, 2048)
CODES = {rule.code for rule in load_ca_rules().roots}
AT = datetime(2026, 11, 25, tzinfo=UTC)
# Let's Encrypt's roots that are in no list yet.
UNKNOWN_KEYS = {"Root YE", "Root YR"}
LINES = [(rule, root) for rule in load_ca_rules().roots for root in rule.roots]


class CaOfRoot(PythonCa):
    """A CA whose root certificate has the given name."""

    def __init__(self, root: str, field: str = "CN") -> None:
        self.fields = [("O", "Contoso"), (field, root)]
        super().__init__()

    def _ca_certificate(self, subject, key, issuer, issuer_key, **changes):
        fields = subject if issuer else self.fields
        return super()._ca_certificate(fields, key, issuer, issuer_key, **changes)


def find_root_findings(ca, begins, *, days=100, issuer="public", chain=None):
    """Return the code and message of each finding about the root of a certificate that was issued
    on a given date.
    """
    begins = datetime.combine(begins, time(), tzinfo=UTC)
    leaf = issue(
        KEY.public_key(), ca.issuing.subject, ca.key,
        subject=SUBJECT, san=NAMES, begins=begins, days=days,
    )  # fmt: skip
    evidence = Evidence(
        certificate=read_certificate(der(leaf)),
        entry=replace(ENTRY, issuer=issuer),
        issuers=Issuers([read_certificate(der(certificate)) for certificate in chain or ca.chain]),
    )
    return [
        (finding.code, finding.message)
        for finding in evaluate(evidence, evaluated_at=AT).findings
        if finding.code in CODES
    ]


def codes(*args, **changes):
    """Return the codes of the findings about the root of a certificate."""
    return {code for code, _ in find_root_findings(*args, **changes)}


@pytest.mark.parametrize(("rule", "root"), LINES, ids=[f"{r} {rule.clients}" for rule, r in LINES])
def test_each_rule_about_a_root_applies_from_its_date(rule, root):
    """If a client rejects certificates below a root from a certain date, the finding contains the
    client and that date.

    An earlier certificate is not.
    """
    ca, day = CaOfRoot(root), timedelta(days=1)
    if rule.effective is None:
        assert (
            f'the certificate\'s chain ends in "{root}". On {rule.source.date}, this root was not in any'
            in find_root_findings(ca, AT.date())[0][1]
        )
        return
    if rule.code == "root-leaves-store" and rule.effective <= AT.date():
        # The root is removed, so the day on which it issued the certificate does not matter.
        messages = [message for _, message in find_root_findings(ca, AT.date() - 9 * day)]
        assert any(f". {rule.clients} removed this root on {rule.effective}" in m for m in messages)
        return
    first = rule.effective - (99 * day if rule.code == "root-leaves-store" else 0 * day)
    codes_on = lambda begins: [  # noqa: E731
        code
        for code, message in find_root_findings(ca, begins)
        if f" by {rule.clients}; " in message or f". {rule.clients} will remove " in message
    ]
    assert codes_on(first) == [rule.code]
    assert codes_on(first - day) == []


def test_the_root_is_known_by_its_issuer_name_too():
    """lyncnb recognizes a root even if the chain contains only its name, as the issuer of another
    certificate, and even if this name is in the OU field.
    """
    ca = CaOfRoot("HiPKI Root CA - G1", "OU")
    assert "root-not-trusted" in codes(ca, AT.date(), chain=[ca.issuing])


def test_internal_cas_may_have_any_name():
    """An internal CA may have the same name as a public root, because the table of roots applies
    only to public CAs.
    """
    assert find_root_findings(CaOfRoot("HiPKI Root CA - G1"), AT.date(), issuer="internal") == []


def test_a_new_root_with_the_chain_to_an_older_one_is_trusted():
    """Let's Encrypt's Root YR is trusted because ISRG Root X1 issued a certificate for it."""
    ca, older = CaOfRoot("Root YR"), CaOfRoot("ISRG Root X1")
    assert codes(ca, AT.date()) == {"root-in-no-store"}
    crossed = older._ca_certificate(ca.fields, ca.root_key, older.root, older.root_key)
    assert crossed.subject == name(ca.fields)
    assert find_root_findings(ca, AT.date(), chain=[ca.issuing, ca.root, crossed, older.root]) == []


def test_the_key_of_a_trusted_root_ends_the_path(monkeypatch):
    """A cross-certificate of a removed root for a root that clients still trust is no finding, and a
    removed root is recognized by its key.
    """
    ca, older = CaOfRoot("Another name"), CaOfRoot("AAA Certificate Services")
    crossed = older._ca_certificate(ca.fields, ca.root_key, older.root, older.root_key)
    chain = [ca.issuing, crossed, older.root]
    assert "root-not-trusted" in codes(ca, AT.date(), chain=chain)
    root_key = read_certificate(der(ca.root)).spki_sha256
    older_key = read_certificate(der(older.root)).spki_sha256
    trusted, removed, leaves = "ISRG Root X1", "DigiCert Global Root CA", "GlobalSign Root CA - R3"
    for nearer, farther, found in (
        (trusted, removed, set()),
        (removed, trusted, set()),
        (removed, leaves, {"root-leaves-store"}),
        (removed, removed, {"root-not-trusted"}),
    ):
        monkeypatch.setattr(CaRuleSet, "root_names", {root_key: nearer, older_key: farther})
        assert codes(ca, date(2027, 1, 10), chain=chain) == found


def test_a_client_has_one_rule_of_a_kind_for_each_root():
    """No two rules say the same of a root, so that a certificate gets one finding for each client."""
    lines = [
        (root, client, rule.code)
        for rule, root in LINES
        for client in rule.clients.removesuffix(" and later").split(" and ")
    ]
    assert len(lines) == len(set(lines))


def test_the_known_roots_have_rules_or_are_trusted():
    """Each root with a rule is known by its key, unless no trust store on this list has it."""
    names = set(load_ca_rules().root_names.values())
    ruled = {root for rule in load_ca_rules().roots for root in rule.roots}
    assert ruled - names == UNKNOWN_KEYS
    assert len(load_ca_rules().root_names) == len(names)
