"""Compare an issued certificate with the plan: one finding for each difference.

These functions have no side effects. The meaning, severity and source of each finding are data
(``rules/returned_rules.toml``, ``cas/*.toml``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, timedelta

from ...base.dns_name import DnsName, parse_name
from ...base.pasted_text import BadName, shown
from ...base.planned_entry import PlannedEntry
from ...base.times import convert_to_time
from ...pki.certificates import Certificate
from ...pki.demonstration_ca import DEMONSTRATION_NAME
from ...rules.ca_rules import load_ca_rules
from ...rules.findings import Finding
from ...rules.returned_rules import Difference, create_findings, list_returned_checks

_SUPPORTED_SCHEMES = ("RSASSA-PKCS1-v1_5", "ECDSA")
# RFC 1035 section 2.3.4 limits a name to 253 characters, without a trailing dot. Longer names are
# not checked.
_LONGEST = 254
_SHOWN = 5  # The largest number of certificate policies that a message lists.
_SHA2 = ("sha224", "sha256", "sha384", "sha512")


def compare_certificate(
    certificate: Certificate,
    entry: PlannedEntry,
    *,
    today: date,
    validity_days: int = 0,
    oldest_client: str = "",
) -> tuple[Finding, ...]:
    """Compare an issued certificate with the planned certificate.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate.
    entry : PlannedEntry
        The planned certificate in the plan document (``lyncnb-plan/1``).
    today : date
        The evaluation time; a date means noon UTC of that day.
    validity_days : int, optional
        The requested validity in days; 0 if none was requested.
    oldest_client : str, optional
        The oldest client according to the plan. If it is blank, Apple devices may connect.

    Returns
    -------
    tuple of Finding
        One finding for each difference, in the order subject, names, usages, key, signature,
        validity, public trust. Empty if the certificate matches the plan.
    """
    return create_findings(
        entry,
        [
            *_compare_subject(certificate, entry),
            *_compare_names(certificate, entry),
            *_check_names(certificate),
            *_compare_extended_key_usage(certificate, entry),
            *_check_key_usage(certificate),
            *_compare_key(certificate, entry),
            *_compare_signature(certificate, entry),
            *_check_revocation(certificate, entry),
            *_check_validity(certificate, convert_to_time(today), validity_days),
            *([] if oldest_client else _check_client_limit(certificate)),
            *_check_public_trust(certificate),
        ],
    )


def _join_names(names: Iterable[str]) -> str:
    return ", ".join(shown(name) for name in sorted(names))


def _normalize_text(text: str) -> str:
    # The comparison ignores case and repeated spaces, as the rule caseIgnoreMatch in RFC 5280
    # section 7.1 requires.
    return " ".join(text.casefold().split())


def _compare_common_name(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    planned_name, present = entry.common_name, certificate.common_names
    joined_names = _join_names(present) or "no common name"
    different = (
        f"the planned common name is {shown(planned_name)}, but the certificate has {joined_names}"
    )
    if not present:
        yield "common-name-missing", different
    elif planned_name.casefold() not in [name.casefold() for name in present]:
        # Yield both codes. The usage of the certificate determines which code applies.
        for code in ("common-name-changed", "common-name-changed-on-edge"):
            yield code, different
    elif planned_name not in present:
        yield "common-name-case", different
    if len(present) > 1:
        message = f"the certificate has {len(present)} common names: {joined_names}"
        yield "common-name-several", message


def _compare_subject(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    yield from _compare_common_name(certificate, entry)
    planned = entry.subject
    values_by_name: dict[str, list[str]] = {}
    for name, value in certificate.subject:
        values_by_name.setdefault(name, []).append(value)
    for name, value in planned.items():
        if name == "CN":
            continue
        if name not in values_by_name:
            message = f"the request has {name}={shown(value)}, but the certificate has no {name}"
            yield "subject-field-dropped", message
        elif [_normalize_text(text) for text in values_by_name[name]] != [_normalize_text(value)]:
            now = ", ".join(shown(text) for text in values_by_name[name])
            message = f"the planned {name} is {shown(value)}, but the certificate has {now}"
            yield "subject-field-changed", message
    for name in values_by_name:
        values = ", ".join(shown(text) for text in values_by_name[name])
        if name == "OU" and entry.issuer == "public":
            yield "organizational-unit-public", f"the certificate's subject has OU={values}"
        elif name not in planned and name != "CN":
            message = f"the certificate's subject has {name}={values}, which is not in the request"
            yield "subject-field-added", message


def _compare_names(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    planned = {name.casefold() for name in entry.san}
    present = {name.casefold() for name in certificate.dns_names}
    common = {name.casefold() for name in certificate.common_names}
    added = present - planned
    if not planned and present and present == {entry.common_name.casefold()}:
        yield (
            "subject-repeated-in-san",
            (f"the CA added the subject name {_join_names(present)} as a subject alternative name"),
        )
        added = set()
    wildcards = [DnsName(name) for name in added if name.startswith("*.")]
    missing = planned - present
    covered = {name for name in missing if any(wild.covers(name) for wild in wildcards)}
    if covered:
        by = _join_names(wild for wild in wildcards if any(wild.covers(name) for name in covered))
        yield (
            "names-replaced-by-wildcard",
            f"the certificate contains the wildcard {by} instead of {_join_names(covered)}",
        )
    if missing - covered:
        verb = _choose_verb(missing - covered)
        yield "names-missing", f"{_join_names(missing - covered)} {verb} missing"
    if added:
        yield "names-added", _describe_unrequested_names(added)
    if certificate.other_names:
        yield "other-names-added", _describe_unrequested_names(certificate.other_names)
    if (planned or present) and common - present:
        yield (
            "common-name-not-in-san",
            _describe_common_names(common - present),
        )


def _describe_unrequested_names(names: Collection[str]) -> str:
    return f"{_join_names(names)} {_choose_verb(names)} not in the request"


def _describe_common_names(names: Collection[str]) -> str:
    if len(names) == 1:
        return f"{_join_names(names)} is not a subject alternative name"
    return f"{_join_names(names)} are not subject alternative names"


def _choose_verb(names: Collection[str]) -> str:
    """Return the form of "to be" that agrees with a number of names."""
    return "is" if len(names) == 1 else "are"


def _check_names(certificate: Certificate) -> Iterator[Difference]:
    for name in certificate.dns_names:
        if len(name) > _LONGEST:
            yield "name-malformed", f"{shown(name)} is longer than 253 characters"
            continue
        parent = DnsName(name.casefold().removeprefix("*."))
        if name.startswith("*.") and parent.is_registry:
            yield (
                "wildcard-on-public-suffix",
                f"the wildcard {name} covers the names of every organization under {parent}",
            )
            continue
        try:
            parsed, _ = parse_name(name, allow_wildcard=True, allow_single_label=True)
        except BadName as error:
            yield "name-malformed", error.message
            continue
        # A name with a space, a trailing dot or a non-ASCII letter is not a valid host name.
        if parsed != name.casefold():
            yield "name-malformed", f"{shown(name)} is not a valid host name"


def _compare_extended_key_usage(
    certificate: Certificate, entry: PlannedEntry
) -> Iterator[Difference]:
    usages = certificate.extended_key_usage
    if usages is None:
        yield "eku-server-auth-absent", "the certificate has no extended key usage extension"
        return
    planned = tuple(entry.eku)
    usage_text = ", ".join(usages)
    if "serverAuth" not in usages:
        yield (
            "eku-server-auth-absent",
            (f"the extended key usage of the certificate allows only {usage_text}"),
        )
    for usage in planned:
        if usage != "serverAuth" and usage not in usages:
            yield (
                "eku-missing",
                (f"the plan requires the usage {usage}, but the certificate has {usage_text}"),
            )
    for usage in usages:
        if usage not in planned and usage != "serverAuth":
            codes = {"clientAuth": "eku-client-auth-added", "anyExtendedKeyUsage": "eku-any"}
            yield (
                codes.get(usage, "eku-added"),
                (
                    f"the plan requires the usage {', '.join(planned)}, but the certificate "
                    f"has {usage_text}"
                ),
            )


def _check_key_usage(certificate: Certificate) -> Iterator[Difference]:
    usage = certificate.key_usage
    if usage is None:
        yield "key-usage-absent", "the certificate has no key usage extension"
        return
    usage_text = ", ".join(sorted(usage)) or "nothing"
    if "digitalSignature" not in usage:
        yield (
            "key-usage-digital-signature-absent",
            (f"the key usage of the certificate allows only {usage_text}"),
        )
    if "keyEncipherment" not in usage and certificate.key_algorithm == "RSA":
        yield (
            "key-usage-key-encipherment-absent",
            (f"the key usage of the certificate allows only {usage_text}"),
        )
    if "keyCertSign" in usage:
        yield "key-usage-certificate-signing", f"the certificate allows {usage_text}"


def _compare_key(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    if entry.key is None:  # A request that was received without a plan has no planned key.
        return
    planned = (entry.key.algorithm, entry.key.bits)
    present = (certificate.key_algorithm, certificate.key_bits)
    if planned != present:
        message = (
            f"the planned key is {planned[0]} {planned[1]}, but the key of the "
            f"certificate is {present[0]} {present[1]}"
        )
        yield "key-differs-from-plan", message


def _compare_signature(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    scheme, hash_name = certificate.signature_scheme, certificate.signature_hash
    if scheme == "RSASSA-PSS":
        yield (
            "signature-pss",
            f"the CA signed the certificate with RSASSA-PSS and {hash_name or 'an unknown hash'}",
        )
    elif scheme not in _SUPPORTED_SCHEMES or not hash_name:
        yield "signature-scheme-unsupported", f"the CA signed the certificate with {scheme}"
        return
    if hash_name == "sha1":
        yield "signature-hash-sha1", "the CA signed the certificate with SHA-1"
        yield "signature-hash-sha1-public", "the CA signed the certificate with SHA-1"
    elif hash_name not in _SHA2:
        yield "signature-hash-weak", f"the CA signed the certificate with {hash_name.upper()}"
    elif hash_name != entry.hash:
        yield (
            "signature-hash-differs",
            f"the plan requires {entry.hash}, but the CA signed the certificate with {hash_name}",
        )


def _check_revocation(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    urls = certificate.crl_urls
    if not urls:
        instead = _describe_crl_alternative(certificate)
        message = f"the certificate has no CRL distribution point{instead and f'. {instead}'}"
        if instead and entry.issuer == "public":
            yield "crl-distribution-point-spared", message
        else:
            yield "crl-distribution-point-absent", message
    elif all(url.casefold().startswith("ldap:") for url in urls):
        message = f"every CRL distribution point is an LDAP URL, such as {shown(urls[0])}"
        yield "crl-distribution-point-ldap-only", message


def _describe_crl_alternative(certificate: Certificate) -> str:
    """Describe how to check revocation without a CRL distribution point.

    Source: CA/Browser Forum Baseline Requirements sections 1.6.1 (short-lived) and 7.1.2.11.2.
    """
    if certificate.ocsp_urls:
        return f"Clients can use the OCSP responder {shown(certificate.ocsp_urls[0])} instead"
    begins = certificate.not_before
    lasts = certificate.not_after - begins + timedelta(seconds=1)
    for limit in load_ca_rules().list_limits("short-lived-days", on_date=begins.date()):
        if lasts <= timedelta(days=limit.value):
            return (
                f"A certificate that is valid for at most {limit.value} days does not need a CRL "
                "distribution point"
            )
    return ""


def _check_validity(
    certificate: Certificate, evaluated_at: datetime, validity_days: int
) -> Iterator[Difference]:
    begins, ends = certificate.not_before, certificate.not_after
    if ends < begins:
        message = (
            f"the certificate is valid from {begins:%Y-%m-%d at %H:%M} UTC to "
            f"{ends:%Y-%m-%d at %H:%M} UTC"
        )
        yield "validity-reversed", message
        return
    if evaluated_at.replace(microsecond=0) > ends:
        # The sentence fits past and future evaluation dates, because this check has no clock.
        message = (
            f"the certificate is valid only until {ends:%Y-%m-%d at %H:%M} UTC, and the evaluation "
            f"date is {evaluated_at:%Y-%m-%d}"
        )
        yield "certificate-expired", message
    if evaluated_at < begins:
        yield "not-yet-valid", f"the certificate is valid from {begins:%Y-%m-%d at %H:%M} UTC"
    # The validity period includes its last second (RFC 5280 section 4.1.2.5).
    lasts = ends - begins + timedelta(seconds=1)
    # Many CAs set the start of the validity a few minutes or hours before the certificate is
    # issued. The remaining validity can therefore be up to one day shorter.
    if validity_days and lasts < timedelta(days=validity_days - 1):
        yield (
            "validity-shorter-than-asked",
            (
                f"the CA was asked for a validity period of {validity_days} days, but the "
                f"certificate is valid for {_format_days(timedelta(lasts.days) or lasts)}"
            ),
        )
    for limit in load_ca_rules().list_limits("validity-days", on_date=begins.date()):
        over = lasts - timedelta(days=limit.value)
        if over <= timedelta(0):
            continue
        message = (
            f"the certificate is valid for {_format_days(lasts)}; the limit is {limit.value} days"
        )
        if limit.effective:
            message += f" for certificates that are issued on {limit.effective} or later"
        # A CA that adds the days to the first second counts one of the two ends only.
        is_second = over == timedelta(seconds=1)
        yield "second-over-public-limit" if is_second else "validity-over-public-limit", message


def _check_client_limit(certificate: Certificate) -> Iterator[Difference]:
    """Yield a finding if some clients reject the certificate because it is valid too long."""
    begins = certificate.not_before
    lasts = certificate.not_after - begins + timedelta(seconds=1)
    limits = load_ca_rules().list_limits(
        "client-validity-days", issuer="internal", on_date=begins.date()
    )
    for limit in limits:
        if lasts > timedelta(days=limit.value):
            message = (
                f"the certificate is valid for {_format_days(lasts)}; Apple devices accept at most "
                f"{limit.value} days"
            )
            yield "validity-over-client-limit", message


def _check_public_trust(certificate: Certificate) -> Iterator[Difference]:
    """Yield findings about properties that every publicly trusted certificate must have."""
    if (
        certificate.issuer_name == DEMONSTRATION_NAME
    ):  # Certificates from the demonstration CA are accepted only in a folder with sample names.
        return
    reserved = list_returned_checks()["policy-of-public-ca-absent"].policies
    if not set(reserved) & set(certificate.policies):
        present = ", ".join(certificate.policies[:_SHOWN]) or "no certificate policy"
        expected = ", ".join(reserved)
        message = (
            f"the certificate contains {present}; a certificate from a public CA "
            f"contains one of the policies {expected}"
        )
        yield "policy-of-public-ca-absent", message
    begins = certificate.not_before
    lasts = certificate.not_after - begins + timedelta(seconds=1)
    needed = max(
        (
            limit.value
            for limit in load_ca_rules().list_limits("timestamps", on_date=begins.date())
            if lasts > timedelta(days=limit.over_days)
        ),
        default=0,
    )
    if certificate.timestamps < needed:
        message = (
            f"the certificate contains {certificate.timestamps} signed certificate "
            f"timestamps, but a certificate that is valid for {_format_days(lasts)} "
            f"requires {needed}"
        )
        yield "timestamps-too-few", message


def _format_days(span: timedelta) -> str:
    if not span.days:
        return f"{span.seconds / 3600:.1f} hours"
    return f"{span.days} days" + (f" and {span.seconds} s" if span.seconds else "")
