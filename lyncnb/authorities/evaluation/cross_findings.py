"""Find problems that become visible only when several certificates are compared.

Examples are duplicate serial numbers, one certificate for several requests, and different CAs for
the servers in a pool.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ...base.pasted_text import shown
from ...base.planned_entry import PlannedEntry
from ...pki.certificates import Certificate, NameKey, format_name
from ...pki.chain import Issuers
from ...rules.findings import Finding
from ...rules.returned_rules import Difference, create_findings, create_returned_finding
from ..cas_on_record import (
    CaOnRecord,
    CasOnRecord,
    PlannedCa,
    find_ca_difference,
    format_root,
    is_same_issuer,
)
from ..returned.candidates import Batch, Match, Outstanding, add_findings, is_issuer
from ..returned.returned_files import ReturnedFile


def _list_planned_names(entry: PlannedEntry) -> set[str]:
    return {entry.common_name.casefold(), *(name.casefold() for name in entry.san)}


def add_shared_certificate_findings(
    matches: Sequence[Match],
    requests: Sequence[Outstanding],
    requests_by_key: Mapping[str, tuple[Outstanding, ...]],
) -> list[Match]:
    """Add a finding to each match whose certificate belongs to several requests."""
    answered_ids = {answer.request.request_id for answer in matches}
    waiting: dict[object, list[Outstanding]] = {}
    for request in requests:
        if (
            request.is_current
            and not request.held_sha256
            and request.request_id not in answered_ids
        ):
            waiting.setdefault(request.entry.pool, []).append(request)
    result = []
    for answer in matches:
        same_pool = waiting.get(answer.request.entry.pool, [])
        findings = create_findings(
            answer.request.entry, _find_shared_certificate(answer, same_pool, requests_by_key)
        )
        result.append(add_findings(answer, findings))
    return result


def _find_shared_certificate(
    match: Match,
    waiting_requests: list[Outstanding],
    requests_by_key: Mapping[str, tuple[Outstanding, ...]],
) -> Iterator[Difference]:
    own, code = match.request, "one-certificate-for-several-requests"
    for other in requests_by_key.get(own.spki_sha256, ()):
        if other.is_current and other.request_id != own.request_id:
            yield code, f"the request {other.request_id} has the same public key"
    planned = _list_planned_names(own.entry)
    beyond = {name.casefold() for name in match.certificate.dns_names} - planned
    for request in waiting_requests if beyond else ():
        required_names = _list_planned_names(request.entry)
        if required_names & beyond and required_names <= beyond | planned:
            yield (
                code,
                (
                    f"the certificate has every name that {request.request_id} requires, and "
                    f"{request.request_id} has no certificate yet"
                ),
            )


def add_ca_differences(
    matches: Sequence[Match], cas: CasOnRecord, recorded_hashes: Iterable[str], issuers: Issuers
) -> list[Match]:
    """If no CA is on record and several CAs issued the new certificates, add findings.

    Parameters
    ----------
    matches : sequence of Match
        n matched certificates.
    cas : mapping
        The CAs that were already on record.
    recorded_hashes : iterable of str
        SHA-256 values of the certificates on record, which were compared when they were received.
    issuers : Issuers
        The available CA certificates.

    Returns
    -------
    list of Match
        The matches. If several CAs issued the certificates, each match has a finding, because
        lyncnb cannot know which CA is correct.
    """
    before = frozenset(recorded_hashes)
    new_cas: dict[PlannedCa, CaOnRecord] = {}
    for match in matches:
        if not match.has_errors and match.request.planned_ca not in cas:
            ca = new_cas.setdefault(match.request.planned_ca, CaOnRecord())
            ca.add_path(match.request.request_id, match.certificate, match.path)
    several = {key: ca for key, ca in new_cas.items() if len(ca.roots) + len(ca.tops) > 1}
    return [
        add_findings(
            match, create_findings(match.request.entry, _compare_cas(match, several, issuers))
        )
        if several and match.certificate.sha256 not in before and not match.has_errors
        else match
        for match in matches
    ]


def _compare_cas(
    match: Match, different_cas: CasOnRecord, issuers: Issuers
) -> Iterator[Difference]:
    ca_on_record = different_cas.get(match.request.planned_ca)
    if ca_on_record is None:
        return
    top = (match.certificate, *match.path.issuers)[-1]
    # If all certificates have the same root, only certificates with an incomplete chain need a
    # finding.
    if set(ca_on_record.roots) == {match.path.root_keys}:
        return
    others = CaOnRecord(
        roots={key: ca for key, ca in ca_on_record.roots.items() if key != match.path.root_keys},
        tops={
            key: ca
            for key, ca in ca_on_record.tops.items()
            if not is_same_issuer(ca[0], top, match.path, issuers)
        },
    )
    if not others.roots and not others.tops:
        return
    difference = find_ca_difference(
        match.request.planned_ca, match.certificate, match.path, others, issuers
    )
    if difference is not None:
        yield difference


def list_file_findings(files: Iterable[ReturnedFile], batch: Batch) -> Iterator[Finding]:
    """Yield the findings about the files that the CA returned."""
    for file in files:
        for code, message in file.remarks:
            yield create_returned_finding(code, file.name, message)
        for key in file.key_spki_sha256:
            if key not in batch.by_key:
                yield create_returned_finding(
                    "pfx-key-not-ours",
                    file.name,
                    "the file contains a private key that does "
                    "not belong to a request in this folder",
                )


def list_unmatched_certificate_findings(
    matches: Sequence[Match], requests: Sequence[Outstanding], batch: Batch
) -> Iterator[Finding]:
    """Yield findings about certificates without a request, and about duplicate serial numbers."""
    used = {
        certificate
        for answer in matches
        for way in (answer.path, *answer.path.others)
        for certificate in way.issuers
    }
    shared = {
        request.entry.common_name.casefold(): request.request_id
        for request in requests
        if request.is_current and request.entry.shared_by != "server"
    }
    only_issuers = all(is_issuer(certificate) for certificate in batch.sources)
    certificates = (*batch.sources, *batch.known.values())
    roots = {c.spki_sha256 for c in certificates if c.is_self_issued and is_issuer(c)}
    first = {
        answer.path.issuers[-1]
        for answer in matches
        if answer.path.is_complete
        and not batch.cas.get(answer.request.planned_ca, CaOnRecord()).roots
    }
    for certificate, source in batch.sources.items():
        if certificate.spki_sha256 in batch.by_key:
            continue
        if is_issuer(certificate):
            if certificate.sha256 not in batch.known:
                if certificate not in used:
                    subject = shown(format_name(certificate.subject))
                    message = (
                        f"no issued certificate needs the CA certificate {subject}, issued by "
                        f"{shown(certificate.issuer_name)}"
                    )
                    yield create_returned_finding("chain-certificate-unused", source, message)
                is_asked = certificate in first or only_issuers or len(roots) > 1
                if certificate.is_self_issued and is_asked:
                    yield create_returned_finding(
                        "root-to-compare", source, f"the root is {format_root(certificate)}"
                    )
            continue
        names = certificate.common_names or certificate.dns_names or ("no name",)
        message = (
            f"no request has the key of the certificate {shown(names[0])}, issued by "
            f"{shown(certificate.issuer_name)}"
        )
        yield create_returned_finding("unknown-key", source, message)
        other = shared.get(names[0].casefold())
        if other is not None:
            message = f"{source}: another certificate for {shown(names[0])} has a different key"
            yield create_returned_finding("different-certificates-in-pool", other, message)
    yield from _find_duplicate_serials(batch, {answer.certificate for answer in matches})


def _find_duplicate_serials(
    batch: Batch, matched_certificates: Collection[Certificate]
) -> Iterator[Finding]:
    """Return certificates that have the same serial number and are signed with the same CA key.

    A certificate whose CA certificate is missing is not reported. lyncnb checks it again when it
    receives the CA certificate.
    """
    numbered: dict[tuple[NameKey, int], list[Certificate]] = {}
    known = [c for c in batch.known.values() if c not in batch.sources]
    for certificate in (*batch.sources, *known):
        numbered.setdefault((certificate.issuer_key, certificate.serial), []).append(certificate)
    for alike in numbered.values():
        # Verifying signatures takes time, so only certificates with equal serial numbers are
        # compared.
        by_key: dict[str, list[Certificate]] = {}
        for candidate in alike if alike[1:] else ():
            if key := _find_signing_key(candidate, batch.issuers):
                by_key.setdefault(key, []).append(candidate)
        for twins in by_key.values():
            # Two certificates are the same certificate if their signed content is equal.
            for certificate in (
                twins if len({certificate.signed_sha256 for certificate in twins}) > 1 else ()
            ):
                if certificate in batch.sources or certificate in matched_certificates:
                    issuer = shown(certificate.issuer_name)
                    message = f"serial number {certificate.serial_hex}, issued by {issuer}"
                    yield create_returned_finding(
                        "duplicate-serial", _find_owner(certificate, batch), message
                    )


def _find_signing_key(certificate: Certificate, issuers: Issuers) -> str:
    """Return the SHA-256 of the CA's public key that verifies the signature of a certificate.

    Return "" if the key is unknown.
    """
    check_candidates = issuers.check_candidates(certificate)
    return next((issuer.spki_sha256 for issuer, signed in check_candidates if signed), "")


def _find_owner(certificate: Certificate, batch: Batch) -> str:
    owners = batch.by_key.get(certificate.spki_sha256, ())
    return owners[0].request_id if owners else batch.sources[certificate]
