"""lyncnb compares the name constraints of a CA with the certificates below the CA."""

from __future__ import annotations

import ipaddress

import pytest
from cas.python_ca import PythonCa, der, issue, name
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.name_constraints import find_constraint_violations

KEY = ec.generate_private_key(ec.SECP256R1())
WHO = '"CN=Contoso Issuing CA 1, O=Contoso"'

DNS, EMAIL, URI = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier
CONTOSO = x509.DirectoryName(name([("O", "Contoso")]))


def address(text: str) -> x509.IPAddress:
    """Return an IP address, or a network in the form that name constraints use."""
    read = ipaddress.ip_network if "/" in text else ipaddress.ip_address
    return x509.IPAddress(read(text))


def list_constraint_messages(
    permitted, excluded, *names, subject=(("CN", "pool"), ("O", "Contoso"))
) -> list[str]:
    """Return the messages about a certificate of a CA that has the given name constraints."""
    ca = PythonCa(constraints=x509.NameConstraints(permitted or None, excluded or None))
    leaf = issue(
        KEY.public_key(), ca.issuing.subject, ca.key, subject=subject, other_names=names
    )  # fmt: skip
    below, issuer = (read_certificate(der(certificate)) for certificate in (leaf, ca.issuing))
    return list(find_constraint_violations([below], issuer))


def test_names_inside_and_outside():
    """The check of a certificate yields a message for each name that the CA does not permit, and
    for each name that the CA excludes.
    """
    limits = [DNS("contoso.com")], [DNS("x.contoso.com")]
    assert list_constraint_messages(*limits, DNS("contoso.com"), DNS("a.Contoso.com")) == []
    assert list_constraint_messages(*limits, DNS("a.x.contoso.com"), DNS("xcontoso.com")) == [
        f"{WHO} excludes the name a.x.contoso.com",
        f"{WHO} does not allow the name xcontoso.com, because it allows only contoso.com",
    ]


@pytest.mark.parametrize(
    ("base", "inside", "outside"),
    [
        (DNS("contoso.com"), DNS("*.contoso.com"), DNS("contoso.com.tw")),
        (EMAIL("contoso.com"), EMAIL("a@contoso.com"), EMAIL("a@b.contoso.com")),
        (EMAIL(".contoso.com"), EMAIL("a@b.contoso.com"), EMAIL("a@contoso.com")),
        (EMAIL("a@contoso.com"), EMAIL("A@contoso.com"), EMAIL("b@contoso.com")),
        (URI(".contoso.com"), URI("sip://a.contoso.com:5061/x"), URI("sip://contoso.com")),
        (address("10.1.0.0/16"), address("10.1.2.3"), address("10.2.0.1")),
        (address("2001:db8::/32"), address("2001:db8::1"), address("10.1.2.3")),
    ],
)  # fmt: skip
def test_each_kind_of_name(base, inside, outside):
    """For each type of name, a constraint permits or excludes exactly the names within its range."""
    assert list_constraint_messages([base], [], inside) == []
    assert len(list_constraint_messages([base], [], outside)) == 1
    assert len(list_constraint_messages([], [base], inside)) == 1
    assert list_constraint_messages([], [base], outside) == []


def test_the_stricter_meaning_of_an_exclusion_applies():
    """If an excluded name can be understood in two ways, the stricter meaning applies (RFC 5280
    section 4.2.1.10).
    """
    assert list_constraint_messages([], [DNS("x.contoso.com")], DNS("*.contoso.com")) == [
        f"{WHO} excludes the name *.contoso.com"
    ]
    assert list_constraint_messages([], [DNS(".contoso.com")], DNS("contoso.com")) == [
        f"{WHO} excludes the name contoso.com"
    ]


def test_subjects_are_directory_names():
    """A subject below a permitted directory name is accepted, regardless of letter case.

    Any other subject is rejected.
    """
    assert list_constraint_messages([CONTOSO], [], subject=[("O", "CONTOSO"), ("CN", "pool")]) == []
    assert list_constraint_messages([CONTOSO], [], subject=[("O", "Fabrikam"), ("CN", "pool")]) == [
        f"{WHO} does not allow the name fabrikam, pool, because it allows only contoso"
    ]


def test_self_issued_certificates_need_not_match_constraints():
    """Within a chain, self-issued certificates need not match the name constraints (RFC 5280
    section 6.1.3 (b)).
    """
    ca = PythonCa(constraints=x509.NameConstraints([CONTOSO], None))
    issuer = read_certificate(der(ca.issuing))
    issued = issue(KEY.public_key(), ca.issuing.subject, ca.key, subject=[("O", "Fabrikam")])
    renewed = issue(
        KEY.public_key(), name([("CN", "Fabrikam CA")]), ca.key, subject=[("CN", "Fabrikam CA")]
    )  # fmt: skip
    leaf, between = (read_certificate(der(certificate)) for certificate in (issued, renewed))
    assert between.is_self_issued
    assert len(list(find_constraint_violations([leaf, between], issuer))) == 1
    # As the last certificate of the chain, the self-issued certificate must match the name
    # constraints.
    assert len(list(find_constraint_violations([between], issuer))) == 1
