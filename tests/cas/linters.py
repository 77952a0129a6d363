"""Use pkilint as a second checker, and map its codes to the codes of lyncnb with the same meaning."""

from __future__ import annotations

from functools import cache

from pkilint import finding_filter, loader
from pkilint.cabf import serverauth
from pkilint.cabf.serverauth.serverauth_constants import CertificateType
from pkilint.pkix import certificate as pkix_certificate

_SUBSCRIBER = "cabf.serverauth.subscriber"

#: For each code of lyncnb, the codes of pkilint with the same meaning. Both programs report these
#: problems for the same certificates.
SAME = {
    "common-name-not-in-san": {f"{_SUBSCRIBER}_common_name_unknown_source"},
    "common-name-several": {"cabf.serverauth.prohibited_duplicate_attribute_type"},
    "eku-server-auth-absent": {
        f"{_SUBSCRIBER}.extended_key_usage_extension_absent",
        f"{_SUBSCRIBER}.serverauth_eku_absent",
    },
    "eku-any": {f"{_SUBSCRIBER}.anyeku_eku_present"},
    "key-usage-absent": {f"{_SUBSCRIBER}.key_usage_extension_absent"},
    "key-usage-digital-signature-absent": {f"{_SUBSCRIBER}_recommended_ku_missing"},
    "key-usage-certificate-signing": {"pkix.ee_certificate_keycertsign_keyusage_set"},
    "crl-distribution-point-absent": {f"{_SUBSCRIBER}.revocation_information_absent"},
    "validity-over-public-limit": {"cabf.serverauth.certificate_validity_period_exceeds_200_days"},
    "name-malformed": {"cabf.serverauth.invalid_dnsname_syntax"},
}


@cache
def _linter(kind):
    container = pkix_certificate.create_pkix_certificate_validator_container(
        serverauth.create_decoding_validators(), serverauth.create_validators(kind)
    )
    return container, serverauth.create_serverauth_finding_filters(kind)


def pkilint_codes(der: bytes, *, has_organization: bool = False) -> set[str]:
    """Return the codes that pkilint reports for a certificate when it applies the rules for public
    certificates.
    """
    kinds = (CertificateType.DV_FINAL_CERTIFICATE, CertificateType.OV_FINAL_CERTIFICATE)
    container, filters = _linter(kinds[has_organization])
    document = loader.load_der_certificate(der, "certificate")
    results, _ = finding_filter.filter_results(filters, container.validate(document.root))
    return {
        description.finding.code
        for result in results
        for description in result.finding_descriptions
    }


def disagreements(
    ours: set[str], der: bytes, *, left_out: frozenset[str] = frozenset()
) -> list[str]:
    """Return the codes about which pkilint and lyncnb disagree."""
    theirs = pkilint_codes(der)
    # For pkilint, one second is enough to be over the limit. For lyncnb, this is a warning.
    if "second-over-public-limit" in ours:
        ours = ours | {"validity-over-public-limit"}
    return [
        f"{code}: we say {code in ours}, pkilint says {sorted(codes & theirs)}"
        for code, codes in SAME.items()
        if (code in ours) != bool(codes & theirs) and code not in left_out
    ]
