"""Checks that look at one planned certificate, or at one of its names; a short function per test.

Each function yields what it found, in words with the value; of a name it gives that, "" for
nothing. Which code, severity, hint and source belong to it, and which roles, usages and issuers it
is asked about, is rule data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ..base.certificate_fields import COMMON_NAME_CHARACTERS
from ..base.dns_name import DnsName
from ..base.shown.tables import first_of
from ..plan.model import PlannedCertificate
from ..rules.model import CheckRule
from .plan_lookups import PlanView

CertificateTest = Callable[[PlannedCertificate, PlanView, CheckRule], Iterator[str]]
NameTest = Callable[[DnsName, PlanView, CheckRule], str]
_Test = TypeVar("_Test", CertificateTest, NameTest)

NEARLY_PERCENT = 95  # of what a CA holds, from which on it is nearly full
OAUTH_KEY_BITS = 2048
DOCUMENTED_RSA_BITS = (2048, 4096)


def san_bytes(names: tuple[str, ...]) -> int:
    """Length in bytes of a subjectAltName value of dNSNames (DER, RFC 5280 section 4.2.1.6).

    Counted, not encoded, so that a plan of 100,000 certificates can be checked in passing; a test
    holds it against the encoder.
    """
    content = sum(len(name) + _header_bytes(len(name)) for name in names)
    return content + _header_bytes(content)


def _header_bytes(length: int) -> int:
    return 2 if length < 0x80 else 2 + (length.bit_length() + 7) // 8


def subject_name_missing(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate whose subject name the table does not give."""
    if not c.subject.common_name:
        yield f"{view.label(c)} has no subject name"


def common_name_too_long(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a common name that X.520 does not allow."""
    name = c.subject.common_name
    if c.subject.too_long:
        yield f'"{name}" has {len(name)} characters; {COMMON_NAME_CHARACTERS} are allowed'


def san_too_large_for_ad_cs(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find subject alternative names that an AD CS database column cannot hold."""
    size = _bytes_over(c, rule.limit)
    if size:
        yield (
            f"{len(c.subject_alt_name)} names take {size:,} bytes; AD CS holds {rule.limit:,} "
            f"({size - rule.limit:,} too many)"
        )


def san_nearly_too_large_for_ad_cs(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find subject alternative names that leave hardly any room in that column."""
    size = _bytes_over(c, rule.limit * NEARLY_PERCENT // 100)
    if 0 < size <= rule.limit:
        yield (
            f"{len(c.subject_alt_name)} names take {size:,} bytes of the {rule.limit:,} that AD CS "
            f"holds: {rule.limit - size:,} are left"
        )


def _bytes_over(c: PlannedCertificate, limit: int) -> int:
    """Give the size of a certificate's alternative names if it is over a limit, else 0."""
    entries = c.subject_alt_name
    # No name is over 253 octets, so most certificates need no counting.
    if len(entries) * (253 + 3) < limit:
        return 0
    size = san_bytes(tuple(entry.name for entry in entries))
    return size if size > limit else 0


def subject_name_not_in_san(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a subject name that TLS clients will not see."""
    name = c.subject.common_name
    # A certificate that has no subject alternative names at all by its rule is no mistake
    # (the internal interface of an Edge Server), so there must be some to be missing from.
    if name and c.subject_alt_name and all(entry.name != name for entry in c.subject_alt_name):
        names = ", ".join(entry.name for entry in c.subject_alt_name)
        yield f'"{name}" is not among: {names}'


def wildcard_in_subject_name(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a wildcard as common name."""
    if "*" in c.subject.common_name:
        yield f'the subject name is "{c.subject.common_name}"'


def wildcard_not_supported(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a wildcard on a certificate whose role supports none."""
    if view.supports_wildcard(c):
        return
    for name in view.wildcards(c):
        yield f'"{name}" on a certificate of role {c.role}'


def wildcard_tolerated(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a wildcard among names where the documents tolerate or allow one."""
    for name in view.wildcards(c):
        yield f'"{name}" on {view.label(c)}'


def av_edge_name_on_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find the name of the A/V Edge service, unless another service has it too."""
    pool = view.pool(c)
    name = pool.av_edge_fqdn if pool else None
    needed = (pool.access_edge_fqdn, pool.webconf_edge_fqdn) if pool else ()
    if name and name not in needed and name in c.names:
        yield f'"{name}" is on the certificate'


def aol_without_client_authentication(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find an Edge pool that serves AOL with a certificate that cannot authenticate a client."""
    pool = view.pool(c)
    if pool and "aol_pic" in pool.flags and "clientAuth" not in c.extended_key_usage:
        yield f"{view.label(c)} is for AOL and has {', '.join(c.extended_key_usage) or 'no EKU'}"


def hash_not_listed_for_clients(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a hash that the oldest client is not listed for."""
    client = view.plan.rules.oldest_client(view.plan.options.oldest_client)
    if client and c.hash not in client.hashes:
        listed = ", ".join(client.hashes)
        yield f"{view.label(c)} is asked with {c.hash}; {client.id} is listed for {listed} alone"


def wildcard_does_not_cover(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a needed name that a wildcard of a neighbouring domain does not reach."""
    wildcards = view.wildcards(c)
    if wildcards:
        for name in view.uncovered(c, rule.names):
            yield f'"{name}" is covered neither by {", ".join(wildcards)} nor by its own name'


def needed_name_missing(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a name that the certificate's rules ask for and that nothing on it covers."""
    for name in view.uncovered(c, rule.names):
        yield f'"{name}" is not on the certificate'


def needed_name_forgotten(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find the same on a certificate without wildcards; with one, the wildcard's test says it."""
    if not view.wildcards(c):
        yield from needed_name_missing(c, view, rule)


def oauth_key_too_small(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find an OAuthTokenIssuer key that is no RSA key of 2048 bits or more."""
    if c.key.algorithm != "RSA" or c.key.bits < OAUTH_KEY_BITS:
        yield f"the key is {c.key.algorithm} {c.key.bits}"


def key_size_not_documented(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find an RSA key size that Microsoft's table does not list."""
    if c.key.algorithm == "RSA" and c.key.bits not in DOCUMENTED_RSA_BITS:
        yield f"the key is RSA {c.key.bits}"


def ecdsa_key_doubtful(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a key that needs a CNG provider, on a server that assigns certificates with cmdlets."""
    if c.key.algorithm != "RSA" and c.usages:
        yield f"the key is {c.key.algorithm} {c.key.bits}"


def key_refused(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find one of the keys that the check lists."""
    if str(c.key) in rule.keys:
        yield f"{view.label(c)} is asked with a key {c.key}"


def issuer_not_allowed(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find an issuer that this role or usage must not have (``issuers`` of the check names it)."""
    yield f"{view.label(c)} is to come from a CA that is {c.issuer}"


def issuer_not_recommended(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find an issuer that is possible and not recommended (``issuers`` of the check names it)."""
    yield f"{view.label(c)} is planned from a {c.issuer} CA"


def issuers_differ(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find more than one issuer asked for a certificate, by its servers or for its usages."""
    wishes = view.issuer_wishes(c)
    if len(set().union(*wishes.values())) > 1:
        words = (f"{who}: {' and '.join(sorted(asked))}" for who, asked in sorted(wishes.items()))
        yield f"{', '.join(words)}; the plan has {c.issuer}"


def wildcard_and_desk_phones(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a wildcard on a certificate that desk phones meet."""
    for name in view.wildcards(c):
        yield f'"{name}" is on a certificate that phones see'


def too_many_names(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find more names on a certificate than the check's limit."""
    count = len(c.subject_alt_name)
    if count > rule.limit:
        yield f"{view.label(c)} has {count:,} names, more than {rule.limit}"


def servers_share_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find one certificate for several servers, which by the rules have one each."""
    rules = view.plan.rules.certificates
    shared = c.shared_by == "pool" and len(c.servers) > 1
    if shared and any(one.id == c.rule and one.per_pool_if for one in rules):
        yield f"{view.label(c)} is for {len(c.servers)} servers: {', '.join(c.servers)}"


def organization_without_place(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find an organization in a subject that does not say where it is."""
    subject = c.subject
    if subject.organization and not (subject.locality or subject.state):
        yield f"the subject {subject} has O and neither L nor ST"
    elif subject.organization and not subject.country:
        yield f"the subject {subject} has O and no C"


def place_without_organization(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a place in a subject that names no organization."""
    subject = c.subject
    if (subject.locality or subject.state) and not subject.organization:
        yield f"the subject {subject} has a place and no O"


def subject_fields_planned(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a subject that holds more than the common name."""
    subject = c.subject
    if subject.organization or subject.locality or subject.state or subject.country:
        yield f"the subject is {subject}"


def certificate_planned(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate of the roles, usages or issuers that the check is about."""
    yield f"{view.label(c)} is planned"


def client_authentication(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find client authentication among the key usages."""
    if "clientAuth" in c.extended_key_usage:
        yield f"{view.label(c)} asks for it, for {first_of(c.names, 3)}"


def unit_on_public_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find an organizational unit in a subject."""
    if c.subject.organizational_unit:
        yield f'the subject {c.subject} has OU "{c.subject.organizational_unit}"'


def no_san_on_public_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate without alternative names."""
    if not c.subject_alt_name:
        yield f"{view.label(c)} has the subject {c.subject.common_name} and no alternative name"


def common_name_not_a_san_on_public_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a common name that the alternative names do not repeat; without any, another test."""
    name = c.subject.common_name
    if name and c.subject_alt_name and name not in c.names:
        yield f'"{name}" is none of {len(c.names)} alternative names'


def validity_asked_over_limit(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a validity asked for that is over the limit of the day."""
    days = view.plan.options.validity_for(c.issuer)
    if days and days > rule.limit:
        yield f"{days:,} days are asked; on that day a CA may give {rule.limit:,}"


def name_in_zone(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name in one of the zones that the check lists."""
    for zone in rule.suffixes:
        if name == zone or name.endswith(f".{zone}"):
            return f'"{name}" lies in {zone}'
    return ""


def internal_name_on_public_certificate(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name outside the public domain name system on a certificate from a public CA."""
    return f'"{name}" does not end in a registered domain' if view.is_internal(name) else ""


def underscore_in_name(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find an underscore anywhere in a name."""
    return f'"{name}" has an underscore' if name.has_underscore else ""


def international_name(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a label in its encoded, internationalized form."""
    return f'"{name}" is the encoded form of an internationalized name' if name.is_idn else ""


def single_label_name(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name of one label."""
    return "" if "." in name else f'"{name}" has no domain'


def registry_wildcard_on_public_certificate(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a wildcard of a registry."""
    if name.is_wildcard and name.parent.is_registry:
        return f'"{name}" stands for every domain below {name.parent}'
    return ""


def shared_domain_wildcard_on_public_certificate(
    name: DnsName, view: PlanView, rule: CheckRule
) -> str:
    """Find a wildcard of a domain whose owner gives names below it to others."""
    if name.is_wildcard and name.parent.is_public_suffix and not name.parent.is_registry:
        return f'"{name}" stands for everybody\'s names below {name.parent}'
    return ""


def _named(*tests: _Test) -> dict[str, _Test]:
    return {test.__name__: test for test in tests}


CERTIFICATE_TESTS = _named(
    subject_name_missing,
    common_name_too_long,
    san_too_large_for_ad_cs,
    san_nearly_too_large_for_ad_cs,
    no_san_on_public_certificate,
    common_name_not_a_san_on_public_certificate,
    subject_name_not_in_san,
    wildcard_in_subject_name,
    av_edge_name_on_certificate,
    aol_without_client_authentication,
    issuer_not_allowed,
    issuer_not_recommended,
    issuers_differ,
    too_many_names,
    servers_share_certificate,
)
# Whether they have anything to say hangs on role, usages, issuer, CA and ``PlanView.features``
# alone; what they say may name the certificate.
FEATURE_TESTS = _named(
    certificate_planned,
    client_authentication,
    unit_on_public_certificate,
    validity_asked_over_limit,
    wildcard_not_supported,
    wildcard_tolerated,
    hash_not_listed_for_clients,
    wildcard_does_not_cover,
    needed_name_missing,
    needed_name_forgotten,
    oauth_key_too_small,
    key_size_not_documented,
    ecdsa_key_doubtful,
    key_refused,
    wildcard_and_desk_phones,
    organization_without_place,
    place_without_organization,
    subject_fields_planned,
)
# Asked of each name on a certificate; what they say of a name is the same wherever it stands.
NAME_TESTS = _named(
    internal_name_on_public_certificate,
    underscore_in_name,
    international_name,
    single_label_name,
    name_in_zone,
    registry_wildcard_on_public_certificate,
    shared_domain_wildcard_on_public_certificate,
)
