"""Write a key, a certificate, and its chain as a PFX file (PKCS #12) for Windows.

The library writes the PFX, but not two attributes of the key that Windows reads: the provider that
stores the key, and the mark that the key belongs to the computer. These attributes are not in the
encrypted part, but the MAC covers them. lyncnb adds them and computes the MAC again (RFC 7292
sections 4, B).
"""

from __future__ import annotations

import hashlib
import hmac
import warnings
from dataclasses import dataclass
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.asn1 import TLV, Explicit, decode_der, encode_der, sequence
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from ..errors import PackageError
from .asn1 import BadStructure, compute_work_factor, list_object_identifiers
from .der_structures import (
    SEQUENCE,
    SET,
    AlgorithmIdentifier,
    encode_element,
    list_items,
    wrap_element,
)
from .keys import PrivateKey, PublicKey, compute_spki_sha256, is_key_pair
from .passphrase import Secret

#: The number of rounds of the key derivation. The password is one of 62^22 possible random strings,
#: so more rounds would not add protection. The library cryptography uses the same number, which
#: every program that reads PFX files accepts.
KDF_ROUNDS = 20_000

# The attribute of the key bag from which Windows reads the provider (Microsoft,
# PFXImportCertStore).
_CSP_NAME = "1.3.6.1.4.1.311.17.1"
_LOCAL_KEY_SET = "1.3.6.1.4.1.311.17.2"

_ALGORITHMS = {
    "3des-sha1": (pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC, hashes.SHA1),
    "aes256-sha256": (pkcs12.PBES.PBESv2SHA256AndAES256CBC, hashes.SHA256),
}
# The ciphers of these algorithms (RFC 7292 appendix C; RFC 8018 appendix B.2.5).
_CIPHERS = {"3des-sha1": "1.2.840.113549.1.12.1.3", "aes256-sha256": "2.16.840.1.101.3.4.1.42"}
_DATA = "1.2.840.113549.1.7.1"  # Source: RFC 5652 section 4.
_BMP_STRING = 0x1E
_DIGESTS = {"1.3.14.3.2.26": "sha1", "2.16.840.1.101.3.4.2.1": "sha256"}
# The output length and block length of each hash in bytes, for the MAC key (RFC 7292 appendix B.2).
_MAC_HASHES = {"sha1": (20, 64), "sha256": (32, 64)}


@sequence
class _ContentInfo:
    """The structure ContentInfo (RFC 5652 section 3)."""

    content_type: x509.ObjectIdentifier
    content: Annotated[TLV, Explicit(0)]


@sequence
class _DigestInfo:
    """The structure DigestInfo (RFC 8017 appendix A.2.4)."""

    digest_algorithm: AlgorithmIdentifier
    digest: bytes


@sequence
class _MacData:
    """The structure MacData (RFC 7292 section 4)."""

    mac: _DigestInfo
    mac_salt: bytes
    iterations: int


@sequence
class _Pfx:
    """The structure PFX (RFC 7292 section 4)."""

    version: int
    auth_safe: _ContentInfo
    mac_data: _MacData


@dataclass(frozen=True, slots=True, kw_only=True)
class PfxContent:
    """The content of a PFX file to write, without the private key.

    ``certificate`` and ``chain`` are DER. The chain starts with the issuer. ``encryption`` is
    ``3des-sha1`` or ``aes256-sha256``. ``provider`` is the name of a Windows CSP, "" for none.
    """

    certificate: bytes
    chain: tuple[bytes, ...]
    friendly_name: str
    encryption: str
    provider: str


def _load_certificate(der: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
            # Problems with the certificate, for example a serial number of 0, are reported by the
            # command ``receive``.
        )
        return x509.load_der_x509_certificate(der)


def build_pfx(content: PfxContent, key: PrivateKey, password: Secret) -> bytes:
    """Return the bytes of a PFX file with a key, a certificate, and its chain.

    Parameters
    ----------
    content : PfxContent
        The certificate, the chain of n certificates, the names, and the encryption.
    key : PrivateKey
        The private key for the certificate.
    password : Secret
        The password, which must be ASCII, because some programs accept nothing else.

    Returns
    -------
    bytes
        DER with the same structure as ``openssl pkcs12 -export -CSP … -LMK``.

    Raises
    ------
    PackageError
        If the key does not belong to the certificate.

    Notes
    -----
    Source: RFC 7292; Microsoft, PFXImportCertStore, for the two attributes.
    """
    certificate = _load_certificate(content.certificate)
    public = certificate.public_key()
    if not isinstance(public, PublicKey) or not is_key_pair(key, public):
        raise PackageError(
            f"the private key does not belong to the certificate of {content.friendly_name}",
            hint=(
                "receive the certificate again, so that lyncnb can match it to the correct request"
            ),
        )
    algorithm, mac_hash = _ALGORITHMS[content.encryption]
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(KDF_ROUNDS)
        .key_cert_algorithm(algorithm)
        .hmac_hash(mac_hash())
        .build(password.reveal().encode("ascii"))
    )
    chain = [_load_certificate(der) for der in content.chain]
    data = pkcs12.serialize_key_and_certificates(
        content.friendly_name.encode("utf-8"), key, certificate, chain, encryption
    )
    if not content.provider:
        return data
    provider = encode_element(_BMP_STRING, content.provider.encode("utf-16-be"))
    attributes = [_encode_attribute(_CSP_NAME, provider), _encode_attribute(_LOCAL_KEY_SET, b"")]
    return _add_key_attributes(data, attributes, password)


def _encode_attribute(oid: str, value: bytes) -> bytes:
    """Encode an attribute with one or no value (RFC 5958: SEQUENCE of OID and SET)."""
    return encode_element(
        SEQUENCE, encode_der(x509.ObjectIdentifier(oid)) + encode_element(SET, value)
    )


def _add_key_attributes(data: bytes, attributes: list[bytes], password: Secret) -> bytes:
    """Add attributes to the bag that contains the key, and compute the MAC again."""
    pfx = decode_der(_Pfx, data)
    authenticated = encode_element(
        SEQUENCE,
        b"".join(
            _add_bags(info, attributes) for info in list_items(pfx.auth_safe.content.parse(bytes))
        ),
    )
    old = pfx.mac_data
    name = _DIGESTS[old.mac.digest_algorithm.algorithm.dotted_string]
    key = _derive_mac_key(password, old.mac_salt, old.iterations, name)
    digest = hmac.new(key, authenticated, name).digest()
    mac = _DigestInfo(digest_algorithm=old.mac.digest_algorithm, digest=digest)
    return encode_der(
        _Pfx(
            version=pfx.version,
            auth_safe=_encode_data(authenticated),
            mac_data=_MacData(mac=mac, mac_salt=old.mac_salt, iterations=old.iterations),
        )
    )


def _encode_data(content: bytes) -> _ContentInfo:
    return _ContentInfo(content_type=x509.ObjectIdentifier(_DATA), content=wrap_element(content))


def _add_bags(info: bytes, attributes: list[bytes]) -> bytes:
    """Add attributes to the bags in a part of a PFX file, unless the whole part is encrypted."""
    part = decode_der(_ContentInfo, info)
    if part.content_type.dotted_string != _DATA:
        return info
    bags = [_add_attributes(bag, attributes) for bag in list_items(part.content.parse(bytes))]
    return encode_der(_encode_data(encode_element(SEQUENCE, b"".join(bags))))


def _add_attributes(bag: bytes, attributes: list[bytes]) -> bytes:
    identifier, value, *attribute_sets = list_items(bag)
    # DER sorts the elements of a SET OF by their encoding (X.690 section 11.6).
    values = sorted(
        [*(attribute for group in attribute_sets for attribute in list_items(group)), *attributes]
    )
    return encode_element(SEQUENCE, identifier + value + encode_element(SET, b"".join(values)))


def _derive_mac_key(password: Secret, salt: bytes, rounds: int, hash_name: str) -> bytes:
    """Derive the key of the MAC in a PFX file (RFC 7292 appendix B.2, purpose 3).

    One output block is enough, because the key is as long as the hash.
    """
    size, block = _MAC_HASHES[hash_name]
    # The password is encoded as a BMPString with two zeros at the end (RFC 7292 appendix B.1).
    text = password.reveal().encode("utf-16-be") + b"\0\0"
    digest = (
        bytes([3]) * block
        + _repeat_to_block_length(salt, block)
        + _repeat_to_block_length(text, block)
    )
    digest_of = getattr(hashlib, hash_name)
    for _ in range(rounds):
        digest = digest_of(digest).digest()
    return digest[:size]


def _repeat_to_block_length(data: bytes, block: int) -> bytes:
    """Repeat bytes up to the next multiple of the block length."""
    length = block * -(-len(data) // block)
    return (data * (length // len(data) + 1))[:length]


# --- The following functions read a PFX file from a portal. Some portals generate the key, or add
# the key of the CSR to the response. lyncnb needs only the certificates. It compares the public key
# and then discards the private key. Only these functions open PFX files that lyncnb did not write.

#: The largest number of rounds. OWASP recommends 600,000 rounds. A file with a hundred times as
#: many rounds would only waste time.
MAX_ROUNDS = 5_000_000


# The object identifiers that lyncnb accepts outside the encrypted part of a PFX file: types of
# content and bags, attributes, digests, and ciphers. The library cryptography can open files that
# contain only these (all tested with OpenSSL 3.5).
_KNOWN_ROOTS = (
    *("1.2.840.113549.1.7.", "1.2.840.113549.1.12.", "1.2.840.113549.1.9.", "1.2.840.113549.2."),
    *("1.2.840.113549.1.5.", "1.2.840.113549.3.", "1.3.14.3.2.", "1.3.6.1.4.1.311.17."),
    *("2.16.840.1.101.3.4.1.", "2.16.840.1.101.3.4.2.", "1.2.392.200011.61.1.1.1."),
    *("1.2.410.200004.1.", "1.2.840.113549.1.1.", "1.2.840.10045."),
)


class PfxNotOpened(ValueError):
    """The error for a PFX file that cannot be opened. Its text contains no password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PfxContents:
    """The certificates of an opened PFX file, and the SHA-256 of its public key.

    The certificates are DER, and the key's certificate is first. ``key_spki_sha256`` is empty
    without a key, and ``unknown`` for a type of key that lyncnb does not generate. ``encryption``
    is empty if lyncnb does not write packages with it.
    """

    certificates: tuple[bytes, ...]
    key_spki_sha256: str
    friendly_name: str
    encryption: str


def open_pfx(data: bytes, password: Secret | str | None) -> PfxContents:
    """Open a PFX file, and return its certificates and the hash of its public key.

    Parameters
    ----------
    data : bytes
        The file.
    password : Secret, str or None
        The password; None or "" for a file without a password.

    Returns
    -------
    PfxContents
        The content without the private key, which does not leave this function.

    Raises
    ------
    PfxNotOpened
        If the password is wrong, the encryption is unknown, or the file needs too many rounds.
    """
    try:
        rounds, used = compute_work_factor(data), list_object_identifiers(data)
    except BadStructure as error:
        raise PfxNotOpened(f"the file is damaged: {error}") from None
    if rounds > MAX_ROUNDS:
        raise PfxNotOpened(
            f"the file requires {rounds:,} iterations of the key derivation, which is "
            "more than lyncnb accepts"
        )
    text = password.reveal() if isinstance(password, Secret) else password
    try:
        with warnings.catch_warnings():
            # The library cryptography warns that a later version will reject BER.
            warnings.simplefilter("ignore")
            contents = pkcs12.load_pkcs12(data, text.encode() if text else None)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        # The library cryptography raises the same error for a wrong password, a damaged file and an
        # unknown cipher.
        unknown = [oid for oid in used if not oid.startswith(_KNOWN_ROOTS)]
        if unknown:
            raise PfxNotOpened(
                f"the password is {'wrong' if text else 'missing'}, or this computer "
                f"does not support the encryption of the file ({unknown[0]})"
            ) from None
        if text:
            raise PfxNotOpened("the password is wrong, or the file is damaged") from None
        raise PfxNotOpened("the file requires a password") from None
    own = [contents.cert.certificate] if contents.cert else []
    others = [entry.certificate for entry in contents.additional_certs]
    name = contents.cert.friendly_name if contents.cert else None
    return PfxContents(
        certificates=tuple(cert.public_bytes(Encoding.DER) for cert in (*own, *others)),
        key_spki_sha256=_compute_fingerprint(contents.key),
        friendly_name=(name or b"").decode("utf-8", "replace"),
        encryption=next((name for name, cipher in _CIPHERS.items() if cipher in used), ""),
    )


def _compute_fingerprint(key: object) -> str:
    if key is None:
        return ""
    return compute_spki_sha256(key) if isinstance(key, PrivateKey) else "unknown"
