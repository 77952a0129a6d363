"""Check one planned certificate, or one name on it. Each check is a short function.

A function for names returns one message, or "" if there is no finding. The rules of the product and
of the CAs define the code, severity, hint, source, and scope of each check.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from ..base.certificate_fields import COMMON_NAME_CHARACTERS
from ..base.dns_name import DnsName
from ..base.shown.tables import join_first_texts
from ..plan.model import PlannedCertificate
from ..rules.findings import Edit, OptionEdit
from ..rules.model import CheckRule
from ..topology.model import Pool
from .cell_edits import format_pairs, replace_cells
from .found import CertificateTest, Found, NameTest
from .plan_lookups import PlanView

_Test = TypeVar("_Test", CertificateTest, NameTest)

NEARLY_PERCENT = 95  # A check reports sizes above this percentage of the CA's maximum size.
_SHOWN = 5  # The largest number of names in a message.
OAUTH_KEY_BITS = 2048
DOCUMENTED_RSA_BITS = (2048, 4096)


def compute_san_size(names: tuple[str, ...]) -> int:
    """Return the size in bytes of a subjectAltName extension in DER (RFC 5280 section 4.2.1.6).

    The function calculates the size without encoding, so that checking 100,000 certificates takes
    no noticeable time. A test compares the result with the encoder.
    """
    content = sum(len(name) + _compute_header_size(len(name)) for name in names)
    return content + _compute_header_size(content)


def _compute_header_size(length: int) -> int:
    return 2 if length < 0x80 else 2 + (length.bit_length() + 7) // 8


def find_subject_name_missing(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate without a subject name."""
    if not certificate.subject.common_name:
        yield Found(certificate.id, f"{view.format_label(certificate)} has no subject name")


def find_common_name_too_long(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose common name is longer than X.520 allows."""
    name = certificate.subject.common_name
    if certificate.subject.is_too_long:
        yield Found(
            certificate.id,
            f'"{name}" has {len(name)} characters; the limit is {COMMON_NAME_CHARACTERS}',
        )


def find_san_too_large_for_ad_cs(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose alternative names exceed the size limit of AD CS."""
    size = _find_size_over_limit(certificate, rule.limit)
    if size:
        yield Found(
            certificate.id,
            f"the {len(certificate.subject_alt_name)} names need {size:,} bytes, but AD CS "
            "stores at most "
            f"{rule.limit:,} bytes ({size - rule.limit:,} bytes too many)",
        )


def find_san_nearly_too_large_for_ad_cs(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose alternative names almost reach the size limit of AD CS."""
    size = _find_size_over_limit(certificate, rule.limit * NEARLY_PERCENT // 100)
    if 0 < size <= rule.limit:
        yield Found(
            certificate.id,
            f"the {len(certificate.subject_alt_name)} names need {size:,} of the "
            f"{rule.limit:,} bytes "
            f"that AD CS can store; {rule.limit - size:,} bytes are left",
        )


def _find_size_over_limit(certificate: PlannedCertificate, limit: int) -> int:
    """Return the size of a certificate's alternative names if it exceeds a limit, or else 0."""
    entries = certificate.subject_alt_name
    # A name has at most 253 bytes. Most certificates are therefore clearly below the limit, and
    # their names are not encoded.
    if len(entries) * (253 + 3) < limit:
        return 0
    size = compute_san_size(tuple(entry.name for entry in entries))
    return size if size > limit else 0


def find_subject_name_not_in_san(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose subject name is not among its alternative names."""
    name = certificate.subject.common_name
    # The internal Edge certificate has no alternative names, which is correct. Therefore, only
    # certificates with alternative names are checked.
    if (
        name
        and certificate.subject_alt_name
        and all(entry.name != name for entry in certificate.subject_alt_name)
    ):
        names = ", ".join(entry.name for entry in certificate.subject_alt_name)
        yield Found(
            certificate.id, f'"{name}" is missing from the subject alternative names: {names}'
        )


def find_wildcard_in_subject_name(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose subject name is a wildcard."""
    if "*" in certificate.subject.common_name:
        yield Found(certificate.id, f'the subject name is "{certificate.subject.common_name}"')


def find_wildcard_not_supported(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a wildcard on a certificate for which the product supports no wildcards."""
    if view.supports_wildcard(certificate):
        return
    for name in view.list_wildcards(certificate):
        yield Found(certificate.id, f'"{name}" is on a certificate for the role {certificate.role}')


def find_wildcard_tolerated(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a wildcard that is allowed on a certificate but not necessary."""
    for name in view.list_wildcards(certificate):
        yield Found(certificate.id, f'"{name}" is on {view.format_label(certificate)}')


def find_av_edge_name_on_certificate(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate with an A/V Edge name that no other service has."""
    pool = view.find_pool(certificate)
    name = pool.av_edge_fqdn if pool else None
    needed = (pool.access_edge_fqdn, pool.webconf_edge_fqdn) if pool else ()
    if name and name not in needed and name in certificate.names:
        edits = _remove_extra_name(view, pool, name) if pool else ()
        yield Found(certificate.id, f'"{name}" is on the certificate', edits)


def _remove_extra_name(view: PlanView, pool: Pool, name: str) -> tuple[Edit, ...]:
    """Return the edits that remove a name from the additional names, unless it is not there."""
    remaining = [p for p in pool.extra_san if p[1] != name or p[0].lower() == "internal"]
    if len(remaining) == len(pool.extra_san):
        return ()
    return replace_cells(view, [pool], "extra_san", format_pairs(remaining))


def find_aol_without_client_authentication(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find an Edge certificate for public IM with AOL that lacks client authentication."""
    pool = view.find_pool(certificate)
    if pool and "aol_pic" in pool.flags and "clientAuth" not in certificate.extended_key_usage:
        usages = ", ".join(certificate.extended_key_usage) or "no extended key usage"
        yield Found(
            certificate.id,
            f"the extended key usage of {view.format_label(certificate)} is {usages}, which "
            "AOL does not accept",
        )


def find_hash_not_listed_for_clients(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate with a hash that Microsoft does not list for the oldest client."""
    client = view.plan.rules.find_oldest_client(view.plan.options.oldest_client)
    if client and certificate.hash not in client.hashes:
        listed_hashes = ", ".join(client.hashes)
        yield Found(
            certificate.id,
            f"{view.format_label(certificate)} uses {certificate.hash}; for {client.id}, "
            f"Microsoft lists only {listed_hashes}",
        )


def find_wildcard_does_not_cover(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate with a required name that none of its wildcards covers."""
    wildcards = view.list_wildcards(certificate)
    if wildcards:
        for name in view.find_uncovered_names(certificate, rule.names):
            yield Found(
                certificate.id,
                f'"{name}" is missing, and {", ".join(wildcards)} does not cover this name',
            )


def find_needed_name_missing(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate that does not cover a required name."""
    for name in view.find_uncovered_names(certificate, rule.names):
        yield Found(certificate.id, f'"{name}" is not on the certificate')


def find_needed_name_forgotten(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate that has no wildcards and lacks a required name."""
    if not view.list_wildcards(certificate):
        yield from find_needed_name_missing(certificate, view, rule)


def find_oauth_key_too_small(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find an OAuthTokenIssuer certificate whose key is not an RSA key of at least 2048 bits."""
    if certificate.key.algorithm != "RSA" or certificate.key.bits < OAUTH_KEY_BITS:
        yield Found(
            certificate.id, f"the key is {certificate.key.algorithm} {certificate.key.bits}"
        )


def find_key_size_not_documented(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate with an RSA key size that Microsoft does not list."""
    if certificate.key.algorithm == "RSA" and certificate.key.bits not in DOCUMENTED_RSA_BITS:
        yield Found(certificate.id, f"the key is RSA {certificate.key.bits}")


def find_ecdsa_key_doubtful(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find an elliptic curve key on a server whose certificates are assigned with cmdlets."""
    if certificate.key.algorithm != "RSA" and certificate.usages:
        yield Found(
            certificate.id, f"the key is {certificate.key.algorithm} {certificate.key.bits}"
        )


def find_key_refused(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate with a key type that the rule does not allow."""
    if str(certificate.key) in rule.keys:
        yield Found(
            certificate.id, f"{view.format_label(certificate)} has the key {certificate.key}"
        )


def find_issuer_not_allowed(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose issuer is not allowed or recommended for its role or usage."""
    yield Found(
        certificate.id, f"the issuer of {view.format_label(certificate)} is {certificate.issuer}"
    )


def find_issuers_differ(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate for which the table specifies different issuers."""
    requested = view.list_requested_issuers(certificate)
    if len(set().union(*requested.values())) > 1:
        words = (
            f"{origin}: {' and '.join(sorted(issuers))}"
            for origin, issuers in sorted(requested.items())
        )
        yield Found(certificate.id, f"{', '.join(words)}; the plan uses {certificate.issuer}")


def find_wildcard_and_desk_phones(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a wildcard on a certificate that desk phones receive."""
    for name in view.list_wildcards(certificate):
        yield Found(certificate.id, f'a certificate that desk phones receive contains "{name}"')


def find_wildcard_beside_its_names(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate that contains a wildcard together with names that the wildcard covers."""
    for wildcard in view.list_wildcards(certificate):
        names = [n for n in view.list_names(certificate) if n != wildcard and wildcard.covers(n)]
        if names:
            yield Found(
                certificate.id,
                f'the request has "{wildcard}" and {join_first_texts(names, _SHOWN)}',
            )


def find_too_many_names(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate with more names than the rule allows."""
    count = len(certificate.subject_alt_name)
    if count > rule.limit:
        yield Found(
            certificate.id,
            f"{view.format_label(certificate)} has {count:,} names; the limit is {rule.limit}",
        )


def find_servers_share_certificate(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate that several servers share, if the rules plan one for each server."""
    rules = view.plan.rules.certificates
    shared = certificate.shared_by == "pool" and len(certificate.servers) > 1
    if shared and any(item.id == certificate.rule and item.per_pool_if for item in rules):
        yield Found(
            certificate.id,
            f"{view.format_label(certificate)} is for {len(certificate.servers)} servers: "
            f"{', '.join(certificate.servers)}",
        )


def find_organization_without_place(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose subject has an organization but no location."""
    subject = certificate.subject
    if subject.organization and not (subject.locality or subject.state):
        yield Found(
            certificate.id,
            f"the subject {subject} has an organization (O), but neither a locality (L) nor a "
            "state or province (ST)",
        )
    elif subject.organization and not subject.country:
        yield Found(
            certificate.id, f"the subject {subject} has an organization (O), but no country (C)"
        )


def find_place_without_organization(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose subject has a location but no organization."""
    subject = certificate.subject
    if (subject.locality or subject.state) and not subject.organization:
        yield Found(
            certificate.id,
            f"the subject {subject} has a locality (L) or a state or province (ST), but no "
            "organization (O)",
        )


def find_subject_fields_planned(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose subject has fields other than the common name."""
    subject = certificate.subject
    if subject.organization or subject.locality or subject.state or subject.country:
        yield Found(certificate.id, f"the subject is {subject}")


def find_certificate_planned(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Report every certificate to which the rule applies."""
    yield Found(certificate.id, f"{view.format_label(certificate)} is planned")


def find_client_authentication(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate with client authentication as an extended key usage."""
    if "clientAuth" in certificate.extended_key_usage:
        yield Found(
            certificate.id,
            f"{view.format_label(certificate)} includes client authentication; the names on "
            "the certificate "
            f"are {join_first_texts(certificate.names, 3)}",
        )


def find_unit_on_public_certificate(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a public certificate whose subject has an organizational unit."""
    if certificate.subject.organizational_unit:
        yield Found(
            certificate.id,
            f"the subject {certificate.subject} has the organizational unit (OU) "
            f'"{certificate.subject.organizational_unit}"',
        )


def find_no_san_on_public_certificate(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a public certificate without alternative names."""
    if not certificate.subject_alt_name:
        yield Found(
            certificate.id,
            f"{view.format_label(certificate)} has the subject name "
            f"{certificate.subject.common_name}, but no subject "
            "alternative name",
        )


def find_common_name_not_a_san_on_public_certificate(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a public certificate whose common name is not among its alternative names."""
    name = certificate.subject.common_name
    if name and certificate.subject_alt_name and name not in certificate.names:
        yield Found(
            certificate.id,
            f'"{name}" is not one of the {len(certificate.names)} subject alternative names',
        )


def find_validity_asked_over_limit(
    certificate: PlannedCertificate, view: PlanView, rule: CheckRule
) -> Iterator[Found]:
    """Find a certificate whose validity is too long for its planned issue date."""
    options = view.plan.options
    days = options.validity_for(certificate.issuer)
    if days and days > rule.limit:
        # The shorter validity would apply to all certificates, also to those of another CA. An edit
        # cannot replace a single key of the section `validity`.
        is_safe = not options.validity and all(c.issuer == "public" for c in view.certificates)
        yield Found(
            certificate.id,
            f"a validity of {days:,} days is planned, but a certificate that is issued on the "
            f"planned date can be valid for at most {rule.limit:,} days",
            (OptionEdit(option="validity_days", value=rule.limit),) if is_safe else (),
        )


def find_name_in_zone(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name in a DNS zone that the rule lists."""
    for zone in rule.suffixes:
        if name == zone or name.endswith(f".{zone}"):
            return f'"{name}" is in {zone}'
    return ""


def find_internal_name_on_public_certificate(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name that does not exist in the public DNS, although the certificate is public."""
    return f'"{name}" does not end in a registered domain' if view.is_internal_name(name) else ""


def find_underscore_in_name(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name that contains an underscore."""
    return f'"{name}" has an underscore' if name.has_underscore else ""


def find_international_name(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name with an internationalized label in its encoded form (``xn--…``)."""
    return f'"{name}" is {name.as_written}' if name.is_idn else ""


def find_single_label_name(name: DnsName, view: PlanView, rule: CheckRule) -> str:
    """Find a name that has only one label."""
    return "" if "." in name else f'"{name}" has no domain'


def find_registry_wildcard_on_public_certificate(
    name: DnsName, view: PlanView, rule: CheckRule
) -> str:
    """Find a wildcard that covers a whole public suffix."""
    if name.is_wildcard and name.parent.is_registry:
        return f'"{name}" covers every domain under {name.parent}'
    return ""


def find_shared_domain_wildcard_on_public_certificate(
    name: DnsName, view: PlanView, rule: CheckRule
) -> str:
    """Find a wildcard for a domain whose owner assigns its subdomains to others."""
    if name.is_wildcard and name.parent.is_public_suffix and not name.parent.is_registry:
        return f'"{name}" covers the names of all customers under {name.parent}'
    return ""


def _map_functions_by_name(*tests: _Test) -> dict[str, _Test]:
    return {test.__name__.removeprefix("find_"): test for test in tests}


CERTIFICATE_TESTS = _map_functions_by_name(
    find_subject_name_missing,
    find_common_name_too_long,
    find_san_too_large_for_ad_cs,
    find_san_nearly_too_large_for_ad_cs,
    find_no_san_on_public_certificate,
    find_common_name_not_a_san_on_public_certificate,
    find_subject_name_not_in_san,
    find_wildcard_in_subject_name,
    find_av_edge_name_on_certificate,
    find_aol_without_client_authentication,
    find_issuer_not_allowed,
    find_issuers_differ,
    find_too_many_names,
    find_servers_share_certificate,
)
# The checks whose results depend only on the role, usages, issuer, CA, and ``PlanView.features``.
# Their messages may contain the name of the certificate.
FEATURE_TESTS = _map_functions_by_name(
    find_certificate_planned,
    find_client_authentication,
    find_unit_on_public_certificate,
    find_validity_asked_over_limit,
    find_wildcard_not_supported,
    find_wildcard_tolerated,
    find_hash_not_listed_for_clients,
    find_wildcard_does_not_cover,
    find_needed_name_missing,
    find_needed_name_forgotten,
    find_oauth_key_too_small,
    find_key_size_not_documented,
    find_ecdsa_key_doubtful,
    find_key_refused,
    find_wildcard_and_desk_phones,
    find_wildcard_beside_its_names,
    find_organization_without_place,
    find_place_without_organization,
    find_subject_fields_planned,
)
# The checks of individual names. A name gets the same message on every certificate.
NAME_TESTS = _map_functions_by_name(
    find_internal_name_on_public_certificate,
    find_underscore_in_name,
    find_international_name,
    find_single_label_name,
    find_name_in_zone,
    find_registry_wildcard_on_public_certificate,
    find_shared_domain_wildcard_on_public_certificate,
)
