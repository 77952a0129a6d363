"""Who signed a certificate, and what a strict verifier says of a chain.

Two opinions that are kept apart: :func:`is_signed_by` is arithmetic and decides; the Web PKI
verifier of pyca holds everybody to the browsers' rules, overlooks others (a common name that is
not in the SAN, a missing extended key usage, a wildcard on a public suffix), and is only heard.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import verification

from .certificates import Certificate

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
        leaf = x509.load_der_x509_certificate(certificate.der)
        key = x509.load_der_x509_certificate(issuer.der).public_key()
        if not isinstance(key, _KEYS.get(certificate.signature_scheme, ())):
            return None if certificate.signature_scheme not in _KEYS else False
        _verify(key, leaf, certificate.signature_scheme)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return True


def _verify(key: object, leaf: x509.Certificate, scheme: str) -> None:
    signature, content = leaf.signature, leaf.tbs_certificate_bytes
    if scheme.startswith("Ed"):
        key.verify(signature, content)
        return
    chosen = leaf.signature_hash_algorithm
    if scheme == "ECDSA":
        # pyca gives no parameters for SHA-1 here, so the scheme is put together by hand.
        key.verify(signature, content, ec.ECDSA(chosen))
    elif scheme == "RSASSA-PSS":
        key.verify(signature, content, leaf.signature_algorithm_parameters, chosen)
    else:
        key.verify(signature, content, padding.PKCS1v15(), chosen)


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
        The day of judgement: noon UTC, or the moment at which the last certificate begins.

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
    # Days are judged elsewhere; what was issued this afternoon is not to fail for that.
    begins = max(one.not_before for one in (certificate, *issuers))
    moment = max(datetime.combine(today, time(12), UTC), begins)
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
