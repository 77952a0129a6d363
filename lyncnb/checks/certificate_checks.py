"""Check one planned certificate, or one name on it, with one short function for each check.

Each function yields messages that contain the value. A function for names returns one message, or
"" if there is no finding. The rules of the product and of the CAs define the code, severity, hint,
source, and scope of each check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ..base.certificate_fields import COMMON_NAME_CHARACTERS
from ..base.dns_name import DnsName
from ..base.shown.tables import join_first
from ..plan.model import PlannedCertificate
from ..rules.model import CheckRule
from .plan_lookups import PlanView

CertificateTest = Callable[[PlannedCertificate, PlanView, CheckRule], Iterator[str]]
NameTest = Callable[[DnsName, PlanView, CheckRule], str]
_Test = TypeVar("_Test", CertificateTest, NameTest)

NEARLY_PERCENT = 95  # A check reports a size that exceeds this share of the CA's limit.
OAUTH_KEY_BITS = 2048
DOCUMENTED_RSA_BITS = (2048, 4096)


def count_san_bytes(names: tuple[str, ...]) -> int:
    """Return the size in bytes of the DER value of a subjectAltName extension (RFC 5280 4.2.1.6).

    The function calculates the size without encoding, so that checking 100,000 certificates takes
    no noticeable time. A test compares the result with the encoder.
    """
    content = sum(len(name) + _count_header_bytes(len(name)) for name in names)
    return content + _count_header_bytes(content)


def _count_header_bytes(length: int) -> int:
    return 2 if length < 0x80 else 2 + (length.bit_length() + 7) // 8


def subject_name_missing(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate without a subject name."""
    if not c.subject.common_name:
        yield f"{view.label(c)} has no subject name"


def common_name_too_long(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate whose common name is longer than X.520 allows."""
    name = c.subject.common_name
    if c.subject.too_long:
        yield f'"{name}" has {len(name)} characters; the limit is {COMMON_NAME_CHARACTERS}'


def san_too_large_for_ad_cs(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate whose alternative names exceed the size limit of AD CS."""
    size = _find_size_over_limit(c, rule.limit)
    if size:
        yield (
            f"the {len(c.subject_alt_name)} names need {size:,} bytes, but AD CS stores at most "
            f"{rule.limit:,} bytes ({size - rule.limit:,} bytes too many)"
        )


def san_nearly_too_large_for_ad_cs(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate whose alternative names almost reach the size limit of AD CS."""
    size = _find_size_over_limit(c, rule.limit * NEARLY_PERCENT // 100)
    if 0 < size <= rule.limit:
        yield (
            f"the {len(c.subject_alt_name)} names need {size:,} of the {rule.limit:,} bytes "
            f"that AD CS can store; {rule.limit - size:,} bytes are left"
        )


def _find_size_over_limit(c: PlannedCertificate, limit: int) -> int:
    """Return the size of a certificate's alternative names if it exceeds a limit; otherwise, 0."""
    entries = c.subject_alt_name
    # A name has at most 253 bytes, so most certificates are clearly below the limit.
    if len(entries) * (253 + 3) < limit:
        return 0
    size = count_san_bytes(tuple(entry.name for entry in entries))
    return size if size > limit else 0


def subject_name_not_in_san(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate whose subject name is not among its alternative names."""
    name = c.subject.common_name
    # The internal Edge certificate correctly has no alternative names, so the check applies only to
    # certificates with alternative names.
    if name and c.subject_alt_name and all(entry.name != name for entry in c.subject_alt_name):
        names = ", ".join(entry.name for entry in c.subject_alt_name)
        yield f'"{name}" is missing from the subject alternative names: {names}'


def wildcard_in_subject_name(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate whose subject name is a wildcard."""
    if "*" in c.subject.common_name:
        yield f'the subject name is "{c.subject.common_name}"'


def wildcard_not_supported(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a wildcard on a certificate for which the product does not support wildcards."""
    if view.supports_wildcard(c):
        return
    for name in view.wildcards(c):
        yield f'"{name}" is on a certificate for the role {c.role}'


def wildcard_tolerated(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a wildcard that is allowed on a certificate but not necessary."""
    for name in view.wildcards(c):
        yield f'"{name}" is on {view.label(c)}'


def av_edge_name_on_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate with the A/V Edge name, unless another service has the same name."""
    pool = view.pool(c)
    name = pool.av_edge_fqdn if pool else None
    needed = (pool.access_edge_fqdn, pool.webconf_edge_fqdn) if pool else ()
    if name and name not in needed and name in c.names:
        yield f'"{name}" is on the certificate'


def aol_without_client_authentication(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find an Edge certificate for AOL without client authentication."""
    pool = view.pool(c)
    if pool and "aol_pic" in pool.flags and "clientAuth" not in c.extended_key_usage:
        usages = ", ".join(c.extended_key_usage) or "no extended key usage"
        yield f"the extended key usage of {view.label(c)} is {usages}, which AOL does not accept"


def hash_not_listed_for_clients(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a hash algorithm that Microsoft does not list for the oldest client."""
    client = view.plan.rules.oldest_client(view.plan.options.oldest_client)
    if client and c.hash not in client.hashes:
        listed = ", ".join(client.hashes)
        yield f"{view.label(c)} uses {c.hash}; for {client.id}, Microsoft lists only {listed}"


def wildcard_does_not_cover(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate with a required name that none of its wildcards covers."""
    wildcards = view.wildcards(c)
    if wildcards:
        for name in view.find_uncovered_names(c, rule.names):
            yield f'"{name}" is missing, and {", ".join(wildcards)} does not cover this name'


def needed_name_missing(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate on which no name covers a required name."""
    for name in view.find_uncovered_names(c, rule.names):
        yield f'"{name}" is not on the certificate'


def needed_name_forgotten(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate without wildcards on which a required name is missing."""
    if not view.wildcards(c):
        yield from needed_name_missing(c, view, rule)


def oauth_key_too_small(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find an OAuthTokenIssuer certificate whose key is not an RSA key of at least 2048 bits."""
    if c.key.algorithm != "RSA" or c.key.bits < OAUTH_KEY_BITS:
        yield f"the key is {c.key.algorithm} {c.key.bits}"


def key_size_not_documented(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate with an RSA key size that Microsoft does not list."""
    if c.key.algorithm == "RSA" and c.key.bits not in DOCUMENTED_RSA_BITS:
        yield f"the key is RSA {c.key.bits}"


def ecdsa_key_doubtful(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find an elliptic curve key on a server whose certificates are assigned with cmdlets."""
    if c.key.algorithm != "RSA" and c.usages:
        yield f"the key is {c.key.algorithm} {c.key.bits}"


def key_refused(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate with a key type that the rule rejects."""
    if str(c.key) in rule.keys:
        yield f"{view.label(c)} has the key {c.key}"


def issuer_not_allowed(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate whose issuer is not allowed for its role or usage."""
    yield f"the issuer of {view.label(c)} is {c.issuer}"


def issuer_not_recommended(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate whose issuer is possible but not recommended for its role or usage."""
    yield f"the issuer of {view.label(c)} is {c.issuer}"


def issuers_differ(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate for which the table specifies different issuers."""
    requested = view.list_requested_issuers(c)
    if len(set().union(*requested.values())) > 1:
        words = (
            f"{who}: {' and '.join(sorted(asked))}" for who, asked in sorted(requested.items())
        )
        yield f"{', '.join(words)}; the plan uses {c.issuer}"


def wildcard_and_desk_phones(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a wildcard on a certificate that desk phones receive."""
    for name in view.wildcards(c):
        yield f'"{name}" is on a certificate that desk phones receive'


def too_many_names(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate with more names than the limit in the rule."""
    count = len(c.subject_alt_name)
    if count > rule.limit:
        yield f"{view.label(c)} has {count:,} names; the limit is {rule.limit}"


def servers_share_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate that several servers share, if the rules plan one for each server."""
    rules = view.plan.rules.certificates
    shared = c.shared_by == "pool" and len(c.servers) > 1
    if shared and any(item.id == c.rule and item.per_pool_if for item in rules):
        yield f"{view.label(c)} is for {len(c.servers)} servers: {', '.join(c.servers)}"


def organization_without_place(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate whose subject has an organization but no location."""
    subject = c.subject
    if subject.organization and not (subject.locality or subject.state):
        yield (
            f"the subject {subject} has an organization (O), but neither a locality (L) nor a "
            "state or province (ST)"
        )
    elif subject.organization and not subject.country:
        yield f"the subject {subject} has an organization (O), but no country (C)"


def place_without_organization(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate whose subject has a location but no organization."""
    subject = c.subject
    if (subject.locality or subject.state) and not subject.organization:
        yield (
            f"the subject {subject} has a locality (L) or a state or province (ST), but no "
            "organization (O)"
        )


def subject_fields_planned(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate whose subject has other fields than the common name."""
    subject = c.subject
    if subject.organization or subject.locality or subject.state or subject.country:
        yield f"the subject is {subject}"


def certificate_planned(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Report each certificate to which the rule applies."""
    yield f"{view.label(c)} is planned"


def client_authentication(c: PlannedCertificate, view: PlanView, rule: CheckRule) -> Iterator[str]:
    """Find a certificate with client authentication as an extended key usage."""
    if "clientAuth" in c.extended_key_usage:
        yield (
            f"{view.label(c)} includes client authentication; the names on the certificate "
            f"are {join_first(c.names, 3)}"
        )


def unit_on_public_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate whose subject has an organizational unit."""
    if c.subject.organizational_unit:
        yield (
            f"the subject {c.subject} has the organizational unit (OU) "
            f'"{c.subject.organizational_unit}"'
        )


def no_san_on_public_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate without alternative names."""
    if not c.subject_alt_name:
        yield (
            f"{view.label(c)} has the subject name {c.subject.common_name}, but no subject "
            "alternative name"
        )


def common_name_not_a_san_on_public_certificate(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate whose common name is not among its alternative names."""
    name = c.subject.common_name
    if name and c.subject_alt_name and name not in c.names:
        yield f'"{name}" is not one of the {len(c.names)} subject alternative names'


def validity_asked_over_limit(
    c: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[str]:
    """Find a certificate whose planned validity exceeds the limit on the planned issue date."""
    days = view.plan.options.validity_for(c.issuer)
    if days and days > rule.limit:
        yield (
            f"a validity of {days:,} days is planned, but a certificate that is issued on the "
            f"planned date can be valid for at most {rule.limit:,} days"
        )


def name_in_zone(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name in a DNS zone that the rule lists."""
    for zone in rule.suffixes:
        if name == zone or name.endswith(f".{zone}"):
            return f'"{name}" is in {zone}'
    return ""


def internal_name_on_public_certificate(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name on a public CA's certificate that does not exist in the public DNS."""
    return f'"{name}" does not end in a registered domain' if view.is_internal(name) else ""


def underscore_in_name(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find an underscore anywhere in a name."""
    return f'"{name}" has an underscore' if name.has_underscore else ""


def international_name(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name with an internationalized label in its encoded form (``xn--…``)."""
    return (
        f'"{name}" is the encoded form of an internationalized domain name' if name.is_idn else ""
    )


def single_label_name(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name that has only one label."""
    return "" if "." in name else f'"{name}" has no domain'


def registry_wildcard_on_public_certificate(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a wildcard that covers a whole public suffix."""
    if name.is_wildcard and name.parent.is_registry:
        return f'"{name}" covers every domain under {name.parent}'
    return ""


def shared_domain_wildcard_on_public_certificate(
    name: DnsName, view: PlanView, rule: CheckRule
) -> str:
    """Find a wildcard of a domain whose owner assigns subdomains to others."""
    if name.is_wildcard and name.parent.is_public_suffix and not name.parent.is_registry:
        return f'"{name}" covers the names of all customers under {name.parent}'
    return ""


def _functions_by_name(*tests: _Test) -> dict[str, _Test]:
    return {test.__name__: test for test in tests}


CERTIFICATE_TESTS = _functions_by_name(
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
# The results of these checks depend only on the role, usages, issuer, CA, and
# ``PlanView.features``. Their messages may contain the name of the certificate.
FEATURE_TESTS = _functions_by_name(
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
# These checks examine single names. The message about a name is the same for every certificate.
NAME_TESTS = _functions_by_name(
    internal_name_on_public_certificate,
    underscore_in_name,
    international_name,
    single_label_name,
    name_in_zone,
    registry_wildcard_on_public_certificate,
    shared_domain_wildcard_on_public_certificate,
)
