"""Build the certification path of a certificate by verifying signatures.

lyncnb uses no trust store, because it cannot know which roots the servers trust. A private CA from
2008 may violate Web PKI rules that Windows never required. This module checks only what every
verifier requires: each certificate is signed by the next one, which is a valid CA certificate.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from heapq import merge
from itertools import chain, islice

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import SignatureAlgorithmOID

from ..base.times import convert_to_time
from .certificate_policies import find_policy_violation
from .certificates import Certificate, NameKey, format_name, format_serial
from .name_constraints import find_constraint_violations

# --- The function :func:`is_signed_by` determines whether a signature is valid. In addition, the
# Web
# PKI verifier of the library cryptography applies the rules of browsers to every chain. lyncnb does
# not
# require all of these rules, such as a common name that is also in the SAN. Therefore, the result
# of
# this verifier is only a notice.

# The key type for each signature scheme. Signatures with other schemes cannot be verified.
_KEYS = {
    "RSASSA-PKCS1-v1_5": (rsa.RSAPublicKey,),
    "RSASSA-PSS": (rsa.RSAPublicKey,),
    "ECDSA": (ec.EllipticCurvePublicKey,),
    "Ed25519": (ed25519.Ed25519PublicKey,),
    "Ed448": (ed448.Ed448PublicKey,),
}


def is_signed_by(certificate: Certificate, issuer: Certificate) -> bool | None:
    """Return whether an issuer's public key verifies the signature of a certificate.

    Returns
    -------
    bool or None
        None if this computer cannot check this type of signature.

    Notes
    -----
    Source: RFC 5280 section 6.1.3 (a)(1). pyca's ``verify_directly_issued_by`` rejects every
    SHA-1 signature, so an old but genuine signature would look like a forged signature. Other
    checks evaluate the hash.
    """
    try:
        leaf, signer = map(_load_certificate, (certificate, issuer))
        key = signer.public_key()
        if not isinstance(key, _KEYS.get(certificate.signature_scheme, ())):
            return None if certificate.signature_scheme not in _KEYS else False
        _verify_signature(key, leaf)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return True


def _load_certificate(certificate: Certificate) -> x509.Certificate:
    """Load a certificate without deprecation warnings, such as one about serial number 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_der_x509_certificate(certificate.der)


def _verify_signature(key: object, certificate: x509.Certificate) -> None:
    signature, content = certificate.signature, certificate.tbs_certificate_bytes
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        key.verify(signature, content)
        return
    hash_algorithm = certificate.signature_hash_algorithm
    if hash_algorithm is None:
        raise ValueError("the signature algorithm has no hash algorithm")
    if isinstance(key, ec.EllipticCurvePublicKey):
        # The library cryptography returns no parameters for SHA-1, so the signature scheme is
        # created explicitly.
        key.verify(signature, content, ec.ECDSA(hash_algorithm))
    elif isinstance(key, rsa.RSAPublicKey):
        is_pss = certificate.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
        scheme = certificate.signature_algorithm_parameters if is_pss else padding.PKCS1v15()
        if not isinstance(scheme, padding.AsymmetricPadding):
            raise ValueError("the signature parameters belong to a different signature algorithm")
        key.verify(signature, content, scheme, hash_algorithm)


def find_web_pki_objection(
    certificate: Certificate, issuers: Sequence[Certificate], *, today: date
) -> str:
    """Return why the Web PKI verifier of the library cryptography rejects a complete path.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate. The verifier checks its first DNS name.
    issuers : sequence of Certificate
        The path, starting with the nearest issuer. The verifier trusts the last certificate as the
        root.
    today : date
        The evaluation time; a date means noon UTC of that day. If a certificate in the path is not
        valid at this time, the verifier uses a time when all certificates are valid.

    Returns
    -------
    str
        The reason; empty if the verifier accepts the path.

    Notes
    -----
    The verifier rejects a SHA-1 signature as if it were forged, so chains with SHA-1 are not
    checked.
    """
    hashes = {signed.signature_hash for signed in (certificate, *issuers[:-1])}
    if not issuers or not certificate.dns_names or hashes & {"sha1", "md5", ""}:
        return ""
    name = certificate.dns_names[0].replace("*", "name", 1)
    # Other checks evaluate the dates, so the verifier must not reject a certificate that is not yet
    # valid or has expired.
    valid_from = max(link.not_before for link in (certificate, *issuers))
    valid_until = min(link.not_after for link in (certificate, *issuers))
    moment = min(max(convert_to_time(today), valid_from), valid_until)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            leaf, *above = (x509.load_der_x509_certificate(c.der) for c in (certificate, *issuers))
            verifier = (
                verification.PolicyBuilder()
                .store(verification.Store([above[-1]]))
                .time(moment)
                .build_server_verifier(x509.DNSName(name))
            )
            verifier.verify(leaf, above[:-1])
        except (verification.VerificationError, ValueError) as error:
            # The library adds the Python form of the certificate, which tells a reader nothing.
            reason = re.sub(r" \(encountered processing <.*>\)", "", " ".join(str(error).split()))
            return reason[:300]
    return ""


#: The largest number of certificates in a path. A real path has two to five certificates. An
#: attacker can cross-sign CAs to create endless paths.
MAX_PATH = 24

#: The number of candidates to check first for one issuer name. The most likely candidates are
#: first. A folder contains each CA once or twice, so a large number of CAs with one name is an
#: attack that slows the search or hides the right CA. If none of these candidates signed the
#: certificate, lyncnb checks more candidates, in total four times the number of CA certificates.
#: Therefore, the time is proportional to the input.
MAX_CANDIDATES = 64
_FURTHER_CHECKS = 4

#: The largest number of paths to compare for one certificate. Cross-signing results in two or
#: three paths.
MAX_PATHS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A problem in a certification path: the code of the check, and the details."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The certification path of a certificate: the CA certificates above it.

    ``issuers`` begins with the certificate's issuer. If ``is_complete`` is true, the last issuer is
    self-signed. ``objections`` are in the order of the path. ``rejected`` contains certificates
    with the name of an issuer that did not sign the certificate below. ``others`` contains the
    other complete paths. If ``is_complete`` is false although there are others, their roots are
    different, and nobody has compared them yet.
    """

    issuers: tuple[Certificate, ...]
    is_complete: bool
    objections: tuple[Objection, ...]
    rejected: tuple[Certificate, ...] = ()
    others: tuple[Path, ...] = ()

    @property
    def reaches_root(self) -> bool:
        """Whether a self-signed root is known, even if several roots are possible."""
        return self.is_complete or bool(self.others)

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """The possible roots."""
        return tuple(way.issuers[-1] for way in ((self,) if self.is_complete else self.others))

    @property
    def root_keys(self) -> frozenset[str]:
        """The SHA-256 of the public key of each possible root."""
        return frozenset(root.spki_sha256 for root in self.roots)


#: The key of the index: a subject name, optionally with a key identifier, and optionally with an
#: issuer and serial number.
_Hint = tuple[NameKey, bytes | None, tuple[NameKey, int] | None]


class Issuers:
    """CA certificates by subject name, with cached results of signature checks.

    Only the cache for :func:`is_signed_by` is mutable. A thousand certificates can have the same
    issuing CA, whose signature is then checked only once.
    """

    def __init__(self, certificates: Iterable[Certificate]):
        # The index contains names and the possible values of an authority key identifier.
        # Therefore, the search is fast even in a file with thousands of CAs that have the same
        # name.
        self._by_hint: dict[_Hint, list[Certificate]] = {}
        self._signed: dict[tuple[str, str], bool | None] = {}
        newest_first = sorted(set(certificates), key=_get_newest_first_key)
        self._further_checks = _FURTHER_CHECKS * len(newest_first)
        for certificate in newest_first:
            name, key = certificate.subject_key, certificate.subject_key_id
            issuer_serial = (certificate.issuer_key, certificate.serial)
            for hint in {
                (name, None, None),
                (name, key, None),
                (name, None, issuer_serial),
                (name, key, issuer_serial),
            }:
                self._by_hint.setdefault(hint, []).append(certificate)

    def list_candidates(self, certificate: Certificate) -> Iterator[Certificate]:
        """Yield the possible issuers of a certificate by name. The best matches come first."""
        name, key, issuer_serial = (
            certificate.issuer_key, certificate.authority_key_id, certificate.authority
        )  # fmt: skip
        # The key identifier is a hint and not a rule (RFC 5280 section 4.2.1.1). Candidates with a
        # different identifier come last. A CA without an identifier is treated as a match.
        hints = [(name, key_id, issuer_serial) for key_id in ((key, b"") if key else (None,))]
        likely = merge(*(self._by_hint.get(hint, ()) for hint in hints), key=_get_newest_first_key)
        seen = set()
        for candidate in chain(likely, self._by_hint.get((name, None, None), ())):
            if candidate not in seen:
                seen.add(candidate)
                yield candidate

    def check_candidates(
        self, certificate: Certificate
    ) -> Iterator[tuple[Certificate, bool | None]]:
        """Yield a limited number of candidates, each with the result of the signature check."""
        has_signed = False
        for position, candidate in enumerate(self.list_candidates(certificate)):
            if position >= MAX_CANDIDATES:
                if has_signed or not self._further_checks:
                    return
                self._further_checks -= 1
            signed = self.is_signed(certificate, candidate)
            has_signed = has_signed or bool(signed)
            yield candidate, signed

    def count_candidates(self, certificate: Certificate) -> int:
        """Return the number of CA certificates whose subject is the certificate's issuer."""
        return len(self._by_hint.get((certificate.issuer_key, None, None), ()))

    def is_signed(self, certificate: Certificate, issuer: Certificate) -> bool | None:
        """Return the cached result of :func:`is_signed_by` for a certificate and an issuer."""
        pair = (certificate.sha256, issuer.sha256)
        if pair not in self._signed:
            self._signed[pair] = is_signed_by(certificate, issuer)
        return self._signed[pair]


def _has_other_key(certificate: Certificate, issuer: Certificate) -> bool:
    """Return whether the authority key identifier specifies a key other than the issuer's."""
    expected, actual = certificate.authority_key_id, issuer.subject_key_id
    return bool(expected and actual and expected != actual)


def _find_contradiction(certificate: Certificate, issuer: Certificate) -> str:
    """Describe how the authority key identifier and the issuer differ, or return ""."""
    identifier = f'the authority key identifier of "{format_name(certificate.subject)}"'
    if _has_other_key(certificate, issuer):
        return (
            f"{identifier} specifies the key {certificate.authority_key_id.hex()}, but the "
            f"issuer's key is {issuer.subject_key_id.hex()}"
        )
    if certificate.authority and certificate.authority != (issuer.issuer_key, issuer.serial):
        expected = format_serial(certificate.authority[1])
        return (
            f"{identifier} specifies the issuer's serial number {expected}, but the issuer's "
            f"serial number is {issuer.serial_hex}"
        )
    return ""


def _get_newest_first_key(certificate: Certificate) -> tuple[float, str]:
    return (-certificate.not_after.timestamp(), certificate.sha256)


def build_path(certificate: Certificate, issuers: Issuers, *, today: date) -> Path:
    """Return the path from a certificate to a self-signed root.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate.
    issuers : Issuers
        All CA certificates in this response and in earlier ones.
    today : date
        The date on which the CA certificates must be valid.

    Returns
    -------
    Path
        The path to a self-signed certificate with the fewest objections. If no path leads to a
        self-signed certificate, the longest path.

    Notes
    -----
    Source: RFC 5280 sections 6.1.3 to 6.1.5; RFC 4158 section 2 for the choice of a path.
    """
    wrong: dict[Certificate, Objection] = {}
    walked = islice(_list_chains(certificate, (), issuers, wrong), MAX_PATHS)
    evaluated = [
        (complete, list_objections(certificate, path, today=today), path)
        for path, complete in walked
    ]
    complete, objections, best = min(
        evaluated, key=lambda path: (not path[0], len(path[1]), -len(path[2]))
    )
    others = tuple(
        Path(issuers=path, is_complete=True, objections=wrongs)
        for is_complete, wrongs, path in evaluated
        if is_complete and path != best
    )
    if not complete:
        objections += tuple(dict.fromkeys(wrong.values())) or (
            _describe_incomplete_path(certificate, best, issuers),
        )
    return Path(
        issuers=best,
        is_complete=complete,
        objections=objections,
        rejected=tuple(wrong),
        others=others,
    )


def _list_chains(
    certificate: Certificate,
    path_above: tuple[Certificate, ...],
    issuers: Issuers,
    rejected_candidates: dict[Certificate, Objection],
) -> Iterator[tuple[tuple[Certificate, ...], bool]]:
    """Yield every chain of issuers, and whether it ends with a self-signed certificate."""
    last = path_above[-1] if path_above else certificate
    if path_above and last.is_self_issued and issuers.is_signed(last, last):
        yield path_above, True
        return
    extended = False
    for candidate, signed in issuers.check_candidates(last) if len(path_above) < MAX_PATH else ():
        if candidate == certificate or candidate in path_above:
            continue
        if signed:
            extended = True
            yield from _list_chains(
                certificate, (*path_above, candidate), issuers, rejected_candidates
            )
        elif not _has_other_key(last, candidate) and len(rejected_candidates) < MAX_CANDIDATES:
            # A CA of the same name with another key is not the issuer, so it proves nothing.
            rejected_candidates[candidate] = _build_signature_objection(last, candidate, signed)
    if not extended:
        yield path_above, False


def _build_signature_objection(
    certificate: Certificate, candidate: Certificate, is_signed: bool | None
) -> Objection:
    subject, issuer = format_name(certificate.subject), format_name(candidate.subject)
    if is_signed is None:
        scheme, hash_name = certificate.signature_scheme, certificate.signature_hash
        return Objection(
            code="chain-signature-not-checked",
            detail=f'"{subject}" is signed with {scheme}'
            f"{f' and {hash_name}' if hash_name else ''}, which this computer cannot verify",
        )
    return Objection(
        code="chain-signature-wrong",
        detail=f'the CA certificate "{issuer}" ({candidate.thumbprint}) has the name of the '
        f'issuer, but its key did not sign "{subject}"',
    )


def _describe_incomplete_path(
    certificate: Certificate, path: tuple[Certificate, ...], issuers: Issuers
) -> Objection:
    last = path[-1] if path else certificate
    issuer_name, count = f'"{format_name(last.issuer)}"', issuers.count_candidates(last)
    detail = f"the certificate of {issuer_name} is missing"
    if len(path) >= MAX_PATH:
        detail = (
            f"the certification path has more than {MAX_PATH} certificates, so lyncnb "
            "did not follow the rest of the path"
        )
    elif count > MAX_CANDIDATES:
        detail = (
            f"{count:,} certificates have the subject {issuer_name}, and lyncnb did not check all "
            "of them"
        )
    return Objection(code="chain-incomplete", detail=detail)


def list_objections(
    certificate: Certificate, path: tuple[Certificate, ...], *, today: date
) -> tuple[Objection, ...]:
    """Return the problems with the CA certificates in a certification path.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate.
    path : tuple of Certificate
        The issuers, starting with the nearest. Each issuer has signed the previous certificate.
    today : date
        The evaluation date.

    Returns
    -------
    tuple of Objection
        The problems; empty if each issuer is a valid CA that allows the names and the path length.
    """
    objections: list[Objection] = []
    below = (certificate, *path)
    for depth, issuer in enumerate(path):
        issuer_name = f'"{format_name(issuer.subject)}"'
        is_root = depth == len(path) - 1 and issuer.is_self_issued
        # A root with version 1 has no extension that marks it as a CA. According to RFC 5280, the
        # relying party decides whether to trust it as a CA.
        may_sign = issuer.key_usage is None or "keyCertSign" in issuer.key_usage
        if not may_sign or not (issuer.is_ca or (is_root and issuer.is_version_1)):
            objections.append(
                Objection(
                    code="chain-issuer-not-ca",
                    detail=f"{issuer_name} is not allowed to sign certificates",
                )
            )
        if issuer.path_length is not None and issuer.path_length < _count_cas_below(below, depth):
            limit = (
                f"{issuer_name} allows at most {issuer.path_length} CA certificates below it in "
                "the certification path"
            )
            objections.append(Objection(code="chain-issuer-not-ca", detail=limit))
        if not issuer.is_valid_at(convert_to_time(today)):
            days = f"{issuer.not_before:%Y-%m-%d %H:%M} to {issuer.not_after:%Y-%m-%d %H:%M} UTC"
            objections.append(
                Objection(
                    code="chain-issuer-not-in-force", detail=f"{issuer_name} is valid from {days}"
                )
            )
        objections.extend(_check_key(issuer, issuer_name, is_root=is_root))
        objections.extend(_check_purpose(issuer, issuer_name))
        violations = find_constraint_violations(below[: depth + 1], issuer)
        objections.extend(
            Objection(code="name-constraints-violated", detail=text) for text in violations
        )
        contradiction = _find_contradiction(below[depth], issuer)
        if contradiction:
            objections.append(Objection(code="chain-authority-key-differs", detail=contradiction))
    for link in below:
        if link.unknown_critical:
            extensions = ", ".join(link.unknown_critical)
            detail = f'"{format_name(link.subject)}" has critical extensions: {extensions}'
            objections.append(Objection(code="critical-extension-unknown", detail=detail))
    if path and path[-1].is_self_issued:
        violation = find_policy_violation(below[-2::-1])
        if violation:
            objections.append(Objection(code="chain-policy-not-valid", detail=violation))
    first = min(path, key=lambda issuer: issuer.not_after, default=certificate)
    if first.not_after < certificate.not_after:
        late = (
            f"the certificate is valid until {certificate.not_after:%Y-%m-%d}, but the CA "
            f'certificate "{format_name(first.subject)}" is valid only until '
            f"{first.not_after:%Y-%m-%d}"
        )
        objections.append(Objection(code="outlives-issuer", detail=late))
    return tuple(objections)


def find_chain_end(certificate: Certificate, path: Sequence[Certificate]) -> datetime | None:
    """Return when the first CA certificate in a path expires, if the certificate expires later."""
    first = min((issuer.not_after for issuer in path), default=certificate.not_after)
    return first if first < certificate.not_after else None


def _count_cas_below(certificates_below: tuple[Certificate, ...], depth: int) -> int:
    # Self-issued certificates, such as those for a new key of a CA, do not count (RFC 5280 section
    # 4.2.1.9).
    return sum(not issuer.is_self_issued for issuer in certificates_below[1 : depth + 1])


# The keys and signatures that Windows Server 2008 R2 to 2012 R2 support in a chain.
_CHAIN_KEYS = ("RSA", "ECDSA")
_CHAIN_SCHEMES = ("RSASSA-PKCS1-v1_5", "ECDSA")
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_LEAST_RSA_BITS = 1024
_WEAK_HASHES = {"md5": "chain-signature-hash-broken", "sha1": "chain-signature-hash-weak"}


def _check_key(issuer: Certificate, label: str, *, is_root: bool) -> Iterator[Objection]:
    """Yield problems with an issuer's key and signature. A root's own signature is ignored."""
    if not is_root and (code := _WEAK_HASHES.get(issuer.signature_hash)):
        yield Objection(code=code, detail=f"{label} is signed with {issuer.signature_hash.upper()}")
    if issuer.key_algorithm not in _CHAIN_KEYS:
        detail = f"{label} has a key of {issuer.key_algorithm}"
        yield Objection(code="chain-algorithm-unsupported", detail=detail)
    elif issuer.key_algorithm == "RSA" and issuer.key_bits < _LEAST_RSA_BITS:
        yield Objection(
            code="chain-key-refused", detail=f"{label} has an RSA key of {issuer.key_bits} bits"
        )
    elif issuer.key_algorithm == "RSA" and issuer.key_bits < 2048:
        yield Objection(
            code="chain-key-weak", detail=f"{label} has an RSA key of {issuer.key_bits} bits"
        )
    elif issuer.key_algorithm == "ECDSA" and issuer.key_bits < 256:
        yield Objection(
            code="chain-key-weak", detail=f"{label} has an ECDSA key of {issuer.key_bits} bits"
        )
    if issuer.curve and issuer.curve not in _CURVES:
        detail = f"{label} has a key on the curve {issuer.curve}"
        yield Objection(code="chain-curve-unsupported", detail=detail)
    if not is_root and issuer.signature_scheme not in _CHAIN_SCHEMES:
        detail = f"{label} is signed with {issuer.signature_scheme}"
        yield Objection(code="chain-algorithm-unsupported", detail=detail)


def _check_purpose(issuer: Certificate, label: str) -> Iterator[Objection]:
    """Yield a problem if a CA's extended key usage excludes the certificates that it issues."""
    usages = issuer.extended_key_usage
    if usages is None or "serverAuth" in usages:
        return
    detail = f"{label} is limited to the extended key usage {', '.join(usages)}"
    code = "chain-issuer-purpose-any" if "anyExtendedKeyUsage" in usages else "chain-issuer-purpose"
    yield Objection(code=code, detail=detail)
