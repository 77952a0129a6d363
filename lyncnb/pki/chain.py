"""The certification path of a certificate: who signed whom, found by checking signatures.

No trust store is asked: lyncnb cannot know which roots the servers trust, and a private CA of
2008 breaks rules of the Web PKI that Windows never asked for. What is checked is what any
verifier needs: each certificate is signed by the next one, and the next one is a CA in force.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from heapq import merge
from itertools import chain, islice

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import SignatureAlgorithmOID

from .certificate_policies import policy_violation
from .certificates import Certificate, NameKey, moment_of, name_text, serial_text
from .name_constraints import constraint_violations

# Who signed a certificate, and what a strict verifier says of a chain.
#
# Two opinions that are kept apart: :func:`is_signed_by` is arithmetic and decides; the Web PKI
# verifier of pyca holds everybody to the browsers' rules, overlooks others (a common name that is
# not in the SAN, a missing extended key usage, a wildcard on a public suffix), and is only heard.

# Which kind of key makes which signature; a scheme that is not here cannot be checked.
_KEYS = {
    "RSASSA-PKCS1-v1_5": (rsa.RSAPublicKey,),
    "RSASSA-PSS": (rsa.RSAPublicKey,),
    "ECDSA": (ec.EllipticCurvePublicKey,),
    "Ed25519": (ed25519.Ed25519PublicKey,),
    "Ed448": (ed448.Ed448PublicKey,),
}


def is_signed_by(certificate: Certificate, issuer: Certificate) -> bool | None:
    """Check a certificate's signature with an issuer's public key, and nothing but that.

    Returns
    -------
    bool or None
        None if this computer knows no way to check such a signature.

    Notes
    -----
    Source: RFC 5280 section 6.1.3 (a)(1). pyca's ``verify_directly_issued_by`` refuses SHA-1
    as such, which would make an old but genuine signature look forged; the hash is judged
    elsewhere and under its own name.
    """
    try:
        leaf, signer = map(_loaded, (certificate, issuer))
        key = signer.public_key()
        if not isinstance(key, _KEYS.get(certificate.signature_scheme, ())):
            return None if certificate.signature_scheme not in _KEYS else False
        _verify(key, leaf)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return True


def _loaded(certificate: Certificate) -> x509.Certificate:
    """Load a certificate, without pyca's word on what it will refuse one day (a serial of 0)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_der_x509_certificate(certificate.der)


def _verify(key: object, leaf: x509.Certificate) -> None:
    signature, content = leaf.signature, leaf.tbs_certificate_bytes
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        key.verify(signature, content)
        return
    chosen = leaf.signature_hash_algorithm
    if chosen is None:
        raise ValueError("a signature without a hash")
    if isinstance(key, ec.EllipticCurvePublicKey):
        # pyca gives no parameters for SHA-1 here, so the scheme is put together by hand.
        key.verify(signature, content, ec.ECDSA(chosen))
    elif isinstance(key, rsa.RSAPublicKey):
        is_pss = leaf.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
        scheme = leaf.signature_algorithm_parameters if is_pss else padding.PKCS1v15()
        if not isinstance(scheme, padding.AsymmetricPadding):
            raise ValueError("parameters of another kind of signature")
        key.verify(signature, content, scheme, chosen)


def web_pki_objection(
    certificate: Certificate, issuers: Sequence[Certificate], *, today: date
) -> str:
    """Ask pyca's Web PKI verifier about a complete path.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate; its first DNS name is the name asked for.
    issuers : sequence of Certificate
        Its path, nearest first; the last one is taken as the trusted root.
    today : date
        The moment of judgement (of a day its noon, UTC), or when the last certificate begins.

    Returns
    -------
    str
        What it objects to, empty if nothing.

    Notes
    -----
    A SHA-1 signature is refused there as if it were wrong; that is no forgery, so such chains
    are not put to it.
    """
    hashes = {one.signature_hash for one in (certificate, *issuers[:-1])}
    if not issuers or not certificate.dns_names or hashes & {"sha1", "md5", ""}:
        return ""
    name = certificate.dns_names[0].replace("*", "name", 1)
    # Dates are judged elsewhere; what begins in an hour is not to fail here as well.
    begins = max(one.not_before for one in (certificate, *issuers))
    moment = max(moment_of(today), begins)
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
            return " ".join(str(error).split())[:300]
    return ""


#: Real paths have two to five certificates; cross-signed CAs can be made to form endless ones.
MAX_PATH = 24

#: Candidates looked at for one issuer name, likeliest first. A folder holds each CA once or twice;
#: more of one name than this is an attempt to make the search long, or to hide the right one among
#: them. So where none of these signed, further ones are looked at, four times as many in all as
#: there are CA certificates: the time stays in proportion to what came.
MAX_CANDIDATES = 64
_FURTHER_LOOKS = 4

#: Paths compared for one certificate. Cross-signing gives two or three.
MAX_PATHS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Something wrong with a path: the code of a check, and the particulars."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The certificates above one certificate.

    ``issuers`` begins with the certificate's issuer; the last one is self-signed if
    ``is_complete``. ``objections`` are in the order of the path. ``rejected`` bear an issuer's name
    and did not sign. ``other_roots`` are those in which paths end that are as good as this one.
    """

    issuers: tuple[Certificate, ...]
    is_complete: bool
    objections: tuple[Objection, ...]
    rejected: tuple[Certificate, ...] = ()
    other_roots: tuple[Certificate, ...] = ()


#: A subject name, and a key identifier, or issuer and serial number, or both.
_Hint = tuple[NameKey, bytes | None, tuple[NameKey, int] | None]


class Issuers:
    """CA certificates by subject name, with the signatures already checked.

    The one mutable thing here is the memory of :func:`is_signed_by`: a thousand certificates
    share an issuing CA, and its own path is then walked once.
    """

    def __init__(self, certificates: Iterable[Certificate]):
        # By name, and beside it by what an authority key identifier may say of the issuer: a file
        # with thousands of CAs of one name must not be looked through for each certificate.
        self._by_hint: dict[_Hint, list[Certificate]] = {}
        self._signed: dict[tuple[str, str], bool | None] = {}
        everyone = sorted(set(certificates), key=_newest_first)
        self._further_looks = _FURTHER_LOOKS * len(everyone)
        for one in everyone:
            name, key = one.subject_key, one.subject_key_id
            own = (one.issuer_key, one.serial)
            for hint in {
                (name, None, None),
                (name, key, None),
                (name, None, own),
                (name, key, own),
            }:
                self._by_hint.setdefault(hint, []).append(one)

    def candidates(self, certificate: Certificate) -> Iterator[Certificate]:
        """Yield the certificates whose subject is this one's issuer, likeliest first."""
        name, key, own = (
            certificate.issuer_key, certificate.authority_key_id, certificate.authority
        )  # fmt: skip
        # The key identifier is a hint, not a rule (RFC 5280 section 4.2.1.1): what it contradicts
        # comes last, and is only then left out. A CA without an identifier contradicts none.
        hints = [(name, one, own) for one in ((key, b"") if key else (None,))]
        likely = merge(*(self._by_hint.get(hint, ()) for hint in hints), key=_newest_first)
        seen = set()
        for one in chain(likely, self._by_hint.get((name, None, None), ())):
            if one not in seen:
                seen.add(one)
                yield one

    def looked_at(self, certificate: Certificate) -> Iterator[tuple[Certificate, bool | None]]:
        """Yield as many candidates as may be looked at, each with whether it signed."""
        has_signed = False
        for place, one in enumerate(self.candidates(certificate)):
            if place >= MAX_CANDIDATES:
                if has_signed or not self._further_looks:
                    return
                self._further_looks -= 1
            signed = self.signed(certificate, one)
            has_signed = has_signed or bool(signed)
            yield one, signed

    def count(self, certificate: Certificate) -> int:
        """Count the certificates whose subject is this one's issuer."""
        return len(self._by_hint.get((certificate.issuer_key, None, None), ()))

    def signed(self, certificate: Certificate, issuer: Certificate) -> bool | None:
        """Tell whether ``issuer`` signed ``certificate``, see :func:`is_signed_by`."""
        pair = (certificate.sha256, issuer.sha256)
        if pair not in self._signed:
            self._signed[pair] = is_signed_by(certificate, issuer)
        return self._signed[pair]


def _has_other_key(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether a certificate says itself that another key than this issuer's signed it."""
    wanted, present = certificate.authority_key_id, issuer.subject_key_id
    return bool(wanted and present and wanted != present)


def _contradiction(certificate: Certificate, issuer: Certificate) -> str:
    """Say how an authority key identifier disagrees with a certificate of the issuer."""
    if _has_other_key(certificate, issuer):
        return f"key {certificate.authority_key_id.hex()}, not {issuer.subject_key_id.hex()}"
    if certificate.authority and certificate.authority != (issuer.issuer_key, issuer.serial):
        expected = serial_text(certificate.authority[1])
        return f"the certificate with serial {expected}, not {issuer.serial_hex}"
    return ""


def _newest_first(certificate: Certificate) -> tuple[float, str]:
    return (-certificate.not_after.timestamp(), certificate.sha256)


def build_path(certificate: Certificate, issuers: Issuers, *, today: date) -> Path:
    """Find the path from a certificate up to a self-signed one.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate.
    issuers : Issuers
        Every CA certificate that came along or came earlier.
    today : date
        The day on which the CA certificates must be in force.

    Returns
    -------
    Path
        The path with the fewest objections among those that end in a self-signed certificate,
        else the longest one found.

    Notes
    -----
    Source: RFC 5280 sections 6.1.3 to 6.1.5; RFC 4158 section 2 for choosing among paths.
    """
    wrong: dict[Certificate, Objection] = {}
    walked = islice(_walk(certificate, (), issuers, wrong), MAX_PATHS)
    judged = [
        (complete, objections_to(certificate, found, today=today), found)
        for found, complete in walked
    ]
    complete, objections, found = min(
        judged, key=lambda path: (not path[0], len(path[1]), -len(path[2]))
    )
    alike = [path for whole, wrongs, path in judged if whole and len(wrongs) == len(objections)]
    if not complete:
        objections += tuple(dict.fromkeys(wrong.values())) or (
            _missing(certificate, found, issuers),
        )
    return Path(
        issuers=found,
        is_complete=complete,
        objections=objections,
        rejected=tuple(wrong),
        other_roots=tuple(dict.fromkeys(path[-1] for path in alike if path != found)),
    )


def follow(
    certificate: Certificate, path: tuple[Certificate, ...], issuers: Issuers, *, today: date
) -> Path | None:
    """Follow a path that is known already, up to a self-signed certificate.

    Parameters
    ----------
    certificate, issuers, today
        As for :func:`build_path`.
    path : tuple of Certificate
        The issuers, nearest first.

    Returns
    -------
    Path or None
        None if one of them did not sign the one before, or the last one not itself.
    """
    below = (certificate, *path)
    links = (*zip(below, path, strict=False), (below[-1], below[-1]))
    if not path or not all(issuers.signed(one, issuer) for one, issuer in links):
        return None
    objections = objections_to(certificate, path, today=today)
    return Path(issuers=path, is_complete=True, objections=objections)


def _walk(
    certificate: Certificate,
    above: tuple[Certificate, ...],
    issuers: Issuers,
    wrong: dict[Certificate, Objection],
) -> Iterator[tuple[tuple[Certificate, ...], bool]]:
    """Yield every chain of issuers with whether it ends in a self-signed certificate."""
    last = above[-1] if above else certificate
    if above and last.is_self_issued and issuers.signed(last, last):
        yield above, True
        return
    extended = False
    for candidate, signed in issuers.looked_at(last) if len(above) < MAX_PATH else ():
        if candidate == certificate or candidate in above:
            continue
        if signed:
            extended = True
            yield from _walk(certificate, (*above, candidate), issuers, wrong)
        elif len(wrong) < MAX_CANDIDATES:
            wrong[candidate] = _wrong(last, candidate, signed)
    if not extended:
        yield above, False


def _wrong(certificate: Certificate, candidate: Certificate, signed: bool | None) -> Objection:
    subject, issuer = name_text(certificate.subject), name_text(candidate.subject)
    if signed is None:
        return Objection(
            code="chain-signature-not-checked",
            detail=f'the signature on "{subject}" is {certificate.signature_scheme}'
            f"{' with ' + certificate.signature_hash if certificate.signature_hash else ''}, "
            "which this computer cannot check",
        )
    detail = (
        f'"{issuer}" ({candidate.thumbprint}) has the issuer\'s name, but did not sign "{subject}"'
    )
    if _has_other_key(certificate, candidate):
        detail += (
            f", which names key {certificate.authority_key_id.hex()} and not "
            f"{candidate.subject_key_id.hex()}: perhaps the CA has another certificate"
        )
    return Objection(code="chain-signature-wrong", detail=detail)


def _missing(
    certificate: Certificate, found: tuple[Certificate, ...], issuers: Issuers
) -> Objection:
    last = found[-1] if found else certificate
    who, count = f'"{name_text(last.issuer)}"', issuers.count(last)
    detail = f"no certificate of {who} came along"
    if len(found) >= MAX_PATH:
        detail = f"the path has more than {MAX_PATH} certificates; it was not followed further"
    elif count > MAX_CANDIDATES:
        detail = f"{count:,} certificates of {who} came along; not all of them were looked at"
    return Objection(code="chain-incomplete", detail=detail)


def objections_to(
    certificate: Certificate, path: tuple[Certificate, ...], *, today: date
) -> tuple[Objection, ...]:
    """List what is wrong with the CA certificates of a path.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate.
    path : tuple of Certificate
        Its issuers, nearest first, each known to have signed the one before.
    today : date
        The day of judgement.

    Returns
    -------
    tuple of Objection
        Empty if each is a CA, may sign, is in force, and allows the names and the depth.
    """
    found: list[Objection] = []
    below = (certificate, *path)
    for depth, issuer in enumerate(path):
        who = f'"{name_text(issuer.subject)}"'
        is_root = depth == len(path) - 1 and issuer.is_self_issued
        # A version 1 root has no extensions to say that it is a CA; RFC 5280 leaves it to the one
        # who trusts it.
        may_sign = issuer.key_usage is None or "keyCertSign" in issuer.key_usage
        if not may_sign or not (issuer.is_ca or (is_root and issuer.is_version_1)):
            found.append(Objection(code="chain-issuer-not-ca", detail=f"{who} may not sign"))
        if issuer.path_length is not None and issuer.path_length < _cas_below(below, depth):
            limit = f"{who} allows {issuer.path_length} CA certificates below it"
            found.append(Objection(code="chain-issuer-not-ca", detail=limit))
        if not issuer.is_valid_at(moment_of(today)):
            days = f"{issuer.not_before:%Y-%m-%d %H:%M} to {issuer.not_after:%Y-%m-%d %H:%M} UTC"
            found.append(
                Objection(code="chain-issuer-not-in-force", detail=f"{who} is valid {days}")
            )
        found.extend(_key_objections(issuer, who, is_root=is_root))
        found.extend(_purpose_objections(issuer, who))
        violations = constraint_violations(below[: depth + 1], issuer)
        found.extend(Objection(code="name-constraints-violated", detail=one) for one in violations)
        contradiction = _contradiction(below[depth], issuer)
        if contradiction:
            detail = f'"{name_text(below[depth].subject)}" names as its issuer {contradiction}'
            found.append(Objection(code="chain-authority-key-differs", detail=detail))
    for one in below:
        if one.unknown_critical:
            detail = f'"{name_text(one.subject)}" has {", ".join(one.unknown_critical)}'
            found.append(Objection(code="critical-extension-unknown", detail=detail))
    if path and path[-1].is_self_issued:
        violation = policy_violation(below[-2::-1])
        if violation:
            found.append(Objection(code="chain-policy-not-valid", detail=violation))
    if path and certificate.not_after > path[0].not_after:
        late = f"{certificate.not_after:%Y-%m-%d} is after {path[0].not_after:%Y-%m-%d}"
        found.append(Objection(code="outlives-issuer", detail=late))
    return tuple(found)


def _cas_below(below: tuple[Certificate, ...], depth: int) -> int:
    # Self-issued certificates (a CA renewing its key) do not count, RFC 5280 section 4.2.1.9.
    return sum(not issuer.is_self_issued for issuer in below[1 : depth + 1])


# The keys and signatures in a chain that Windows Server 2008 R2 to 2012 R2 supports.
_CHAIN_KEYS = ("RSA", "ECDSA")
_CHAIN_SCHEMES = ("RSASSA-PKCS1-v1_5", "ECDSA")
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_LEAST_RSA_BITS = 1024
_WEAK_HASHES = {"md5": "chain-signature-hash-broken", "sha1": "chain-signature-hash-weak"}


def _key_objections(issuer: Certificate, who: str, *, is_root: bool) -> Iterator[Objection]:
    """Evaluate an issuer's key and its signature; a root's signature on itself proves nothing."""
    if not is_root and (code := _WEAK_HASHES.get(issuer.signature_hash)):
        yield Objection(code=code, detail=f"{who} is signed with {issuer.signature_hash.upper()}")
    if issuer.key_algorithm not in _CHAIN_KEYS:
        detail = f"{who} has a key of {issuer.key_algorithm}"
        yield Objection(code="chain-algorithm-unsupported", detail=detail)
    elif issuer.key_algorithm == "RSA" and issuer.key_bits < _LEAST_RSA_BITS:
        yield Objection(code="chain-key-refused", detail=f"{who} has RSA {issuer.key_bits}")
    elif issuer.key_algorithm == "RSA" and issuer.key_bits < 2048:
        yield Objection(code="chain-key-weak", detail=f"{who} has RSA {issuer.key_bits}")
    elif issuer.key_algorithm == "ECDSA" and issuer.key_bits < 256:
        yield Objection(code="chain-key-weak", detail=f"{who} has ECDSA {issuer.key_bits}")
    if issuer.curve and issuer.curve not in _CURVES:
        detail = f"{who} has a key on the curve {issuer.curve}"
        yield Objection(code="chain-curve-unsupported", detail=detail)
    if not is_root and issuer.signature_scheme not in _CHAIN_SCHEMES:
        detail = f"{who} is signed with {issuer.signature_scheme}"
        yield Objection(code="chain-algorithm-unsupported", detail=detail)


def _purpose_objections(issuer: Certificate, who: str) -> Iterator[Objection]:
    """Check what a CA is limited to (Windows and OpenSSL read its EKU as a limit for all below)."""
    usages = issuer.extended_key_usage
    if usages is None or "serverAuth" in usages:
        return
    detail = f"{who} is limited to {', '.join(usages)}"
    code = "chain-issuer-purpose-any" if "anyExtendedKeyUsage" in usages else "chain-issuer-purpose"
    yield Objection(code=code, detail=detail)
