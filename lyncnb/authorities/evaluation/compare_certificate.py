"""A returned certificate against what was planned: a finding for every difference.

Pure: the plan's entry, the certificate and the day in; findings out. What a finding means, how
bad it is and who says so is data (``rules/returned_rules.toml``, ``cas/*.toml``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, timedelta

from ...base.dns_name import DnsName, parse_name
from ...base.pasted_text import BadName, shown
from ...base.planned_entry import PlannedEntry
from ...pki.certificates import Certificate, moment_of
from ...pki.demonstration_ca import DEMONSTRATION_NAME
from ...rules.ca_rules import ca_rules
from ...rules.findings import Finding
from ...rules.returned_rules import Difference, findings, returned_checks

_SUPPORTED_SCHEMES = ("RSASSA-PKCS1-v1_5", "ECDSA")
# RFC 1035 section 2.3.4, with room for a trailing dot; what is longer is not looked at closely.
_LONGEST = 254
_SHOWN = 5  # certificate policies that a message lists
_SHA2 = ("sha224", "sha256", "sha384", "sha512")


def compare_certificate(
    certificate: Certificate, entry: PlannedEntry, *, today: date, validity_days: int = 0
) -> tuple[Finding, ...]:
    """Compare a returned certificate with its entry of the plan.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate.
    entry : PlannedEntry
        The certificate's entry of the plan document (``lyncnb-plan/1``).
    today : date
        The moment of judgement; of a day its noon, UTC.
    validity_days : int, optional
        Validity that was asked for, in days; 0 if none was.

    Returns
    -------
    tuple of Finding
        One per difference, in the order subject, names, usages, key, signature, validity, public
        trust;
        empty if the certificate is what was planned.
    """
    return findings(
        entry,
        [
            *_subject(certificate, entry),
            *_names(certificate, entry),
            *_name_forms(certificate),
            *_extended_key_usage(certificate, entry),
            *_key_usage(certificate),
            *_key(certificate, entry),
            *_signature(certificate, entry),
            *_revocation(certificate, entry),
            *_validity(certificate, moment_of(today), validity_days),
            *_public_trust(certificate),
        ],
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(shown(name) for name in sorted(names))


def _folded(text: str) -> str:
    # caseIgnoreMatch, RFC 5280 section 7.1: case and runs of spaces do not count.
    return " ".join(text.casefold().split())


def _subject(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    planned = entry.subject
    wanted, present = entry.common_name, certificate.common_names
    if not present:
        yield "common-name-missing", f"planned {shown(wanted)}, the certificate has none"
    elif wanted.casefold() not in [name.casefold() for name in present]:
        for code in ("common-name-changed", "common-name-changed-on-edge"):  # by usage, one counts
            yield code, f"planned {shown(wanted)}, it is {_listed(present)}"
    elif wanted not in present:
        yield "common-name-case", f"planned {shown(wanted)}, it is {_listed(present)}"
    if len(present) > 1:
        yield "common-name-several", f"it has {len(present)}: {_listed(present)}"
    found: dict[str, list[str]] = {}
    for name, value in certificate.subject:
        found.setdefault(name, []).append(value)
    for name, value in planned.items():
        if name == "CN":
            continue
        if name not in found:
            yield "subject-field-dropped", f"{name}={shown(value)} was asked for"
        elif [_folded(one) for one in found[name]] != [_folded(value)]:
            now = ", ".join(shown(one) for one in found[name])
            yield "subject-field-changed", f"{name}: planned {shown(value)}, it is {now}"
    for name in found:
        values = ", ".join(shown(one) for one in found[name])
        if name == "OU" and entry.issuer == "public":
            yield "organizational-unit-public", f"its subject has OU={values}"
        elif name not in planned and name != "CN":
            yield "subject-field-added", f"{name}: {values} was not asked for"


def _names(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    planned = {name.casefold() for name in entry.san}
    present = {name.casefold() for name in certificate.dns_names}
    common = {name.casefold() for name in certificate.common_names}
    added = present - planned
    if not planned and present and present == {entry.common_name.casefold()}:
        yield "subject-repeated-in-san", f"{_listed(present)} stands there as well"
        added = set()
    wildcards = [DnsName(name) for name in added if name.startswith("*.")]
    missing = planned - present
    covered = {name for name in missing if any(wild.covers(name) for wild in wildcards)}
    if covered:
        by = _listed(wild for wild in wildcards if any(wild.covers(name) for name in covered))
        yield "names-replaced-by-wildcard", f"{by} stands for {_listed(covered)}"
    if missing - covered:
        yield "names-missing", _said(missing - covered, "is missing", "are missing")
    if added:
        yield "names-added", _unasked(added)
    if certificate.other_names:
        yield "other-names-added", _unasked(certificate.other_names)
    if (planned or present) and common - present:
        absent = "not among the alternative names"
        yield "common-name-not-in-san", _said(common - present, f"is {absent}", f"are {absent}")


def _unasked(names: Collection[str]) -> str:
    return _said(names, "was not asked for", "were not asked for")


def _said(names: Collection[str], one: str, several: str) -> str:
    """Say of some names what they are or were, with a verb that fits their number."""
    return f"{_listed(names)} {one if len(names) == 1 else several}"


def _name_forms(certificate: Certificate) -> Iterator[Difference]:
    for name in certificate.dns_names:
        if len(name) > _LONGEST:
            yield "name-malformed", f"{shown(name)} is longer than a host name can be"
            continue
        parent = DnsName(name.casefold().removeprefix("*."))
        if name.startswith("*.") and parent.is_registry:
            yield "wildcard-on-public-suffix", f"{name} covers everybody's names below {parent}"
            continue
        try:
            parsed, _ = parse_name(name, allow_wildcard=True, allow_single_label=True)
        except BadName as error:
            yield "name-malformed", error.message
            continue
        # A name that had to be cleaned (a blank, a trailing dot, a letter outside ASCII) is none.
        if parsed != name.casefold():
            yield "name-malformed", f"{shown(name)} is no host name as it stands"


def _extended_key_usage(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    usages = certificate.extended_key_usage
    if usages is None:
        yield "eku-server-auth-absent", "it has no extended key usage at all"
        return
    planned = tuple(entry.eku)
    listed = ", ".join(usages)
    if "serverAuth" not in usages:
        yield "eku-server-auth-absent", f"it has {listed}"
    for usage in planned:
        if usage != "serverAuth" and usage not in usages:
            yield "eku-missing", f"{usage} was asked for, it has {listed}"
    for usage in usages:
        if usage not in planned and usage != "serverAuth":
            codes = {"clientAuth": "eku-client-auth-added", "anyExtendedKeyUsage": "eku-any"}
            yield codes.get(usage, "eku-added"), f"it has {listed}, planned {', '.join(planned)}"


def _key_usage(certificate: Certificate) -> Iterator[Difference]:
    usage = certificate.key_usage
    if usage is None:
        yield "key-usage-absent", "it has no key usage extension"
        return
    listed = ", ".join(sorted(usage)) or "nothing"
    if "digitalSignature" not in usage:
        yield "key-usage-digital-signature-absent", f"it allows {listed}"
    if "keyEncipherment" not in usage and certificate.key_algorithm == "RSA":
        yield "key-usage-key-encipherment-absent", f"it allows {listed}"
    if "keyCertSign" in usage:
        yield "key-usage-certificate-signing", f"it allows {listed}"


def _key(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    if entry.key is None:  # adopted without a plan: nothing to compare with
        return
    planned = (entry.key.algorithm, entry.key.bits)
    present = (certificate.key_algorithm, certificate.key_bits)
    if planned != present:
        message = f"planned {planned[0]} {planned[1]}, it is {present[0]} {present[1]}"
        yield "key-differs-from-plan", message


def _signature(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    scheme, hash_name = certificate.signature_scheme, certificate.signature_hash
    if scheme == "RSASSA-PSS":
        yield "signature-pss", f"it is signed with RSASSA-PSS and {hash_name or 'no known hash'}"
    elif scheme not in _SUPPORTED_SCHEMES or not hash_name:
        yield "signature-scheme-unsupported", f"it is signed with {scheme}"
        return
    if hash_name == "sha1":
        yield "signature-hash-sha1", "the CA signed with SHA-1"
        yield "signature-hash-sha1-public", "the CA signed with SHA-1"
    elif hash_name not in _SHA2:
        yield "signature-hash-weak", f"the CA signed with {hash_name.upper()}"
    elif hash_name != entry.hash:
        yield "signature-hash-differs", f"planned {entry.hash}, the CA signed with {hash_name}"


def _revocation(certificate: Certificate, entry: PlannedEntry) -> Iterator[Difference]:
    urls = certificate.crl_urls
    if not urls:
        instead = _instead_of_list(certificate)
        message = f"it names no place of a revocation list{instead and f', {instead}'}"
        if instead and entry.issuer == "public":
            yield "crl-distribution-point-spared", message
        else:
            yield "crl-distribution-point-absent", message
    elif all(url.casefold().startswith("ldap:") for url in urls):
        yield "crl-distribution-point-ldap-only", f"{shown(urls[0])}"


def _instead_of_list(certificate: Certificate) -> str:
    """Say why a public CA need not tell where its list of revoked certificates is; "" if it must.

    Source: CA/Browser Forum Baseline Requirements sections 1.6.1 (short-lived) and 7.1.2.11.2.
    """
    if certificate.ocsp_urls:
        return f"but of an OCSP responder, {shown(certificate.ocsp_urls[0])}"
    begins = certificate.not_before
    lasts = certificate.not_after - begins + timedelta(seconds=1)
    for limit in ca_rules().limits("short-lived-days", on=begins.date()):
        if lasts <= timedelta(days=limit.value):
            return f"and lasts {limit.value} days or less"
    return ""


def _validity(certificate: Certificate, at: datetime, validity_days: int) -> Iterator[Difference]:
    begins, ends = certificate.not_before, certificate.not_after
    if ends < begins:
        message = (
            f"it begins on {begins:%Y-%m-%d at %H:%M} UTC and ends on {ends:%Y-%m-%d at %H:%M} UTC"
        )
        yield "validity-reversed", message
        return
    if at.replace(microsecond=0) > ends:
        yield "certificate-expired", f"it ended on {ends:%Y-%m-%d at %H:%M} UTC"
    if at < begins:
        yield "not-yet-valid", f"it begins on {begins:%Y-%m-%d at %H:%M} UTC"
    # RFC 5280 section 4.1.2.5: the last second counts as well.
    lasts = ends - begins + timedelta(seconds=1)
    # CAs date the beginning back by minutes or hours, at the cost of the end: a day is no news.
    if validity_days and lasts < timedelta(days=validity_days - 1):
        yield "validity-shorter-than-asked", f"asked for {validity_days} days, it has {lasts.days}"
    for limit in ca_rules().limits("validity-days", on=begins.date()):
        if lasts <= timedelta(days=limit.value):
            continue
        since = f"what begins on {limit.effective} or later" if limit.effective else "it"
        message = f"it lasts {_days(lasts)}; the limit is {limit.value} days for {since}"
        yield "validity-over-public-limit", message


def _public_trust(certificate: Certificate) -> Iterator[Difference]:
    """Find what every publicly trusted certificate has and this one lacks."""
    if certificate.issuer_name == DEMONSTRATION_NAME:  # only a fictional folder may hold it
        return
    reserved = returned_checks()["policy-of-public-ca-absent"].policies
    if not set(reserved) & set(certificate.policies):
        present = ", ".join(certificate.policies[:_SHOWN]) or "no certificate policy"
        yield "policy-of-public-ca-absent", f"it has {present}, none of {', '.join(reserved)}"
    begins = certificate.not_before
    lasts = certificate.not_after - begins + timedelta(seconds=1)
    needed = max(
        (
            limit.value
            for limit in ca_rules().limits("timestamps", on=begins.date())
            if lasts > timedelta(days=limit.over_days)
        ),
        default=0,
    )
    if certificate.timestamps < needed:
        message = f"it has {certificate.timestamps}, and needs {needed} for {_days(lasts)}"
        yield "timestamps-too-few", message


def _days(span: timedelta) -> str:
    rest = span - timedelta(days=span.days)
    return f"{span.days} days" + (f" and {rest.seconds} s" if rest else "")
