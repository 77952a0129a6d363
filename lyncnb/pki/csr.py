"""Create a certificate request from planned values and a key, and read a request.

The format is PKCS #10 (RFC 2986). The names are in the signed extensionRequest (RFC 2985 section
5.4.2) and not in a separate attribute, so no CA must be configured to accept attributes. Unlike
requests of Microsoft's tools, the request contains no data about the user, the computer or the
process.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID

from ..base.certificate_fields import COMPUTER_NAME, EXTENDED_KEY_USAGES, SUBJECT_OIDS
from ..base.request_content import (
    RequestContent,
    check_content,
    list_content_differences,
)
from ..errors import BundleError, PlanError
from . import keys
from .asn1 import read_element
from .der_structures import SEQUENCE, encode_element, list_items
from .library_words import NotAsStandard, explain_error

_SUBJECT = {short: x509.ObjectIdentifier(oid) for short, oid in SUBJECT_OIDS.items()}
_SHORT = {oid: short for short, oid in _SUBJECT.items()}
_EKU = {name: x509.ObjectIdentifier(oid) for name, oid in EXTENDED_KEY_USAGES.items()}
_EKU_NAMES = {oid: name for name, oid in _EKU.items()}
_HASHES: dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_KEY_USAGE_NAMES = {
    "digitalSignature": "digital_signature",
    "contentCommitment": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}
_EXTENSION_REQUEST = x509.ObjectIdentifier("1.2.840.113549.1.9.14")
_CLIENT_INFO = x509.ObjectIdentifier("1.3.6.1.4.1.311.21.20")
_UTF8_STRING = 0x0C

_MAX_BYTES = 1 << 20
_ODD = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificationRequest:
    """A signed certification request (RFC 2986 section 4.2).

    Parameters
    ----------
    der, pem : bytes
        The bytes of the request; ``pem`` is the content of the file.
    content : RequestContent
        The requested values.
    spki_sha256, csr_sha256 : str
        The SHA-256 values of the SubjectPublicKeyInfo and of the complete request, in hexadecimal.
        They cover the DER bytes, so line ends and PEM labels have no effect.
    public_key : keys.PublicKey
        The public key in the request.
    """

    der: bytes = field(repr=False)
    pem: bytes = field(repr=False)
    content: RequestContent
    spki_sha256: str
    csr_sha256: str
    public_key: keys.PublicKey = field(repr=False, compare=False)
    _parsed: x509.CertificateSigningRequest = field(repr=False, compare=False)

    @property
    def computer(self) -> str:
        """The computer that created the request, or "" if the request does not name it.

        The author of the request can enter any name. A value that is not a valid name is ignored.

        Notes
        -----
        Source: MS-WCCE section 2.2.2.7.4, szOID_REQUEST_CLIENT_INFO.
        """
        try:
            attribute = self._parsed.attributes.get_attribute_for_oid(_CLIENT_INFO)
            return _read_machine_name(attribute.value)
        except (x509.AttributeNotFound, ValueError):
            return ""

    def has_valid_signature(self) -> bool | None:
        """Return whether the request is signed with its own key, or None if that is unknown.

        pyca's ``is_signature_valid`` cannot be used, because it is False for every SHA-1 signature.
        """
        return _verify_signature(self._parsed, self.public_key)


def build_request(content: RequestContent, key: keys.PrivateKey) -> CertificationRequest:
    """Create and sign a certificate request.

    The signature is PKCS #1 v1.5 for RSA (Lync Server 2013 does not accept RSASSA-PSS) and ECDSA
    otherwise. With an RSA key, the same plan results in the same bytes.

    Parameters
    ----------
    content : RequestContent
        The content of the request. Without names, the request has no subjectAltName.
    key : PrivateKey
        A key of the planned algorithm and size.

    Returns
    -------
    CertificationRequest
        The request with a verified signature.

    Raises
    ------
    PlanError
        If the subject is too long, the hash is unknown, or the key has a different size.
    """
    if (actual := keys.find_key_parameters(key)) != (content.key_algorithm, content.key_bits):
        raise PlanError(
            f"the key is {actual[0]} {actual[1]}, but the plan specifies {content.key}",
            hint="generate the key that the plan specifies",
        )
    check_content(content)
    try:
        builder = x509.CertificateSigningRequestBuilder().subject_name(
            _build_subject(content.subject)
        )
        if content.names:
            names = [x509.DNSName(name) for name in content.names]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(_build_key_usage(content.key_usage), critical=True)
        if content.extended_key_usage:
            builder = builder.add_extension(
                _build_extended_key_usage(content.extended_key_usage), critical=False
            )
        signed = builder.sign(key, _HASHES[content.hash])
    except ValueError as error:
        common_name = dict(content.subject).get("CN", "")
        raise PlanError(
            f"lyncnb cannot create a request for {common_name!r}: {error}",
            hint="to see the cause, run check_plan",
        ) from None
    return _verify_request(
        parse_request(signed.public_bytes(serialization.Encoding.DER)), content, key
    )


def _verify_request(
    request: CertificationRequest, content: RequestContent, key: keys.PrivateKey
) -> CertificationRequest:
    """Verify a new certificate request before it is used."""
    if request.content != content:
        differences = "; ".join(list_content_differences(content, request.content))
        raise PlanError(
            f"the new request differs from the plan: {differences}",
            hint="this is an error in lyncnb. Please report this error",
        )
    if not keys.is_key_pair(key, request.public_key) or not request.has_valid_signature():
        raise PlanError(
            "the new request does not belong to the new key",
            hint="test the memory of this computer",
        )
    return request


def _build_subject(fields: tuple[tuple[str, str], ...]) -> x509.Name:
    # In a DER structure, the most significant field is first (X.501). In text, it is last (RFC 4514
    # section 2.1).
    return x509.Name([x509.NameAttribute(_SUBJECT[short], value) for short, value in fields[::-1]])


@lru_cache(maxsize=16)
def _build_key_usage(usages: tuple[str, ...]) -> x509.KeyUsage:
    flags = {name: usage in usages for usage, name in _KEY_USAGE_NAMES.items()}
    return x509.KeyUsage(**flags, encipher_only=False, decipher_only=False)


@lru_cache(maxsize=16)
def _build_extended_key_usage(names: tuple[str, ...]) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([_EKU.get(name) or x509.ObjectIdentifier(name) for name in names])


def parse_request(data: bytes, *, name: str = "the request") -> CertificationRequest:
    """Read a certificate request in PEM or DER encoding.

    This function does not check the signature. For this, use
    :meth:`CertificationRequest.has_valid_signature`.

    Parameters
    ----------
    data : bytes
        The content of the file, at most 1 MiB.
    name : str, optional
        The file name for messages.

    Raises
    ------
    BundleError
        If the data is not a certification request with an RSA or ECDSA key.
    """
    try:
        if len(data) > _MAX_BYTES:
            raise NotAsStandard(f"the data is longer than {_MAX_BYTES} bytes")
        if data[:1] == b"0":
            parsed = x509.load_der_x509_csr(data)
        else:
            parsed = x509.load_pem_x509_csr(data)
        public_key = parsed.public_key()
        if not isinstance(public_key, keys.PublicKey):
            raise NotAsStandard("the key is neither RSA nor ECDSA")
        content = _read_content(parsed, public_key)
    except (ValueError, UnsupportedAlgorithm, *_ODD) as error:
        raise BundleError(
            f"{name} is not a readable certification request: {explain_error(error)}",
            hint="restore the file from a backup, or remove the file and try again",
        ) from None
    der = parsed.public_bytes(serialization.Encoding.DER)
    return CertificationRequest(
        der=der,
        pem=parsed.public_bytes(serialization.Encoding.PEM),
        content=content,
        spki_sha256=keys.compute_spki_sha256(public_key),
        csr_sha256=hashlib.sha256(der).hexdigest(),
        public_key=public_key,
        _parsed=parsed,
    )


def _read_content(
    parsed: x509.CertificateSigningRequest, public_key: keys.PublicKey
) -> RequestContent:
    algorithm, bits = keys.find_key_parameters(public_key)
    extensions: dict[str, tuple[str, ...]] = {}
    other = []
    for extension in parsed.extensions:
        match value := extension.value:
            case x509.SubjectAlternativeName():
                extensions["names"] = tuple(map(_read_general_name, value))
            case x509.ExtendedKeyUsage():
                extensions["extended_key_usage"] = tuple(
                    _EKU_NAMES.get(oid, oid.dotted_string) for oid in value
                )
            case x509.KeyUsage():
                extensions["key_usage"] = tuple(
                    usage for usage, name in _KEY_USAGE_NAMES.items() if getattr(value, name)
                )
            case _:
                other.append(extension.oid.dotted_string)
    other += [a.oid.dotted_string for a in parsed.attributes if a.oid != _EXTENSION_REQUEST]
    other += _list_unusual_critical_flags(parsed)
    return RequestContent(
        subject=tuple((_find_short_name(a), str(a.value)) for a in parsed.subject)[::-1],
        names=extensions.get("names", ()),
        extended_key_usage=extensions.get("extended_key_usage", ()),
        key_usage=extensions.get("key_usage", ()),
        key_algorithm=algorithm,
        key_bits=bits,
        hash=_find_hash_name(parsed),
        other=tuple(other),
        modulus=public_key.public_numbers().n if isinstance(public_key, rsa.RSAPublicKey) else 0,
    )


def _list_unusual_critical_flags(parsed: x509.CertificateSigningRequest) -> list[str]:
    """Return the extensions that are critical only in the request, or only in a plan."""
    return [
        f"{extension.oid.dotted_string} {'critical' if extension.critical else 'not critical'}"
        for extension in parsed.extensions
        if extension.critical != (extension.oid == ExtensionOID.KEY_USAGE)
    ]


def _find_short_name(attribute: x509.NameAttribute[str | bytes]) -> str:
    return _SHORT.get(attribute.oid, attribute.oid.dotted_string)


def _read_machine_name(content: bytes) -> str:
    """Return the MachineName in ``SEQUENCE {clientId, MachineName, UserName, ProcessName}``."""
    for item in list_items(encode_element(SEQUENCE, content)):
        inner = read_element(item, 0, len(item))
        if inner.tag == _UTF8_STRING:
            name = item[inner.content : inner.content_end].decode()
            return name if COMPUTER_NAME.fullmatch(name) else ""
    return ""


def _read_general_name(name: x509.GeneralName) -> str:
    kind = type(name).__name__.removesuffix("Name").removesuffix("Address")
    return name.value if kind == "DNS" else f"{kind}:{name.value}"


def _find_hash_name(parsed: x509.CertificateSigningRequest) -> str:
    try:
        algorithm = parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return parsed.signature_algorithm_oid.dotted_string
    name = algorithm.name if algorithm is not None else "none"
    pss = parsed.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
    return f"{name} RSASSA-PSS" if pss else name


def _verify_signature(
    parsed: x509.CertificateSigningRequest, public_key: keys.PublicKey
) -> bool | None:
    try:
        signed = (parsed.signature, parsed.tbs_certrequest_bytes)
        algorithm = parsed.signature_hash_algorithm
        if algorithm is None:
            return None
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(*signed, ec.ECDSA(algorithm))
            return True
        scheme = parsed.signature_algorithm_parameters
        if not isinstance(scheme, padding.AsymmetricPadding):
            return None
        public_key.verify(*signed, scheme, algorithm)
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, TypeError, ValueError):
        return None
    return True
