"""Read an X.509 certificate, and check its structure.

Only this module reads issued certificates. If it rejects a certificate, other modules do not
process it. ``authorities/evaluation/compare_certificate.py`` and ``chain.py`` evaluate it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
    SignatureAlgorithmOID,
)

from ..base.certificate_fields import EXTENDED_KEY_USAGES, SUBJECT_OIDS
from ..base.pasted_text import show_invisible_characters, shown
from .asn1 import BadStructure, Element, list_children, list_object_identifiers, read_element
from .der_structures import list_items
from .library_words import NotAsStandard, explain_error

#: A name in a normalized form for comparisons: a set of (OID, text) for each RDN.
NameKey = tuple[frozenset[tuple[str, str]], ...]

Extensions = Mapping[x509.ObjectIdentifier, x509.ExtensionType]

#: The short names of subject fields, as in a plan (RFC 4514 section 3).
FIELD_NAMES = {x509.ObjectIdentifier(oid): short for short, oid in SUBJECT_OIDS.items()} | {
    # Fields that public CAs and directories add to a subject, and that no plan contains.
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.USER_ID: "UID",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.STREET_ADDRESS: "street",
    NameOID.POSTAL_CODE: "postalCode",
    NameOID.BUSINESS_CATEGORY: "businessCategory",
    NameOID.ORGANIZATION_IDENTIFIER: "organizationIdentifier",
    NameOID.JURISDICTION_COUNTRY_NAME: "jurisdictionCountry",
    NameOID.JURISDICTION_STATE_OR_PROVINCE_NAME: "jurisdictionState",
    NameOID.JURISDICTION_LOCALITY_NAME: "jurisdictionLocality",
    NameOID.GIVEN_NAME: "givenName",
    NameOID.SURNAME: "surname",
    NameOID.TITLE: "title",
}

EKU_NAMES = {
    **{x509.ObjectIdentifier(oid): name for name, oid in EXTENDED_KEY_USAGES.items()},
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
}

_KEY_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "contentCommitment",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}

_SCHEMES = {
    SignatureAlgorithmOID.RSASSA_PSS: "RSASSA-PSS",
    SignatureAlgorithmOID.ED25519: "Ed25519",
    SignatureAlgorithmOID.ED448: "Ed448",
    SignatureAlgorithmOID.DSA_WITH_SHA1: "DSA",
    SignatureAlgorithmOID.DSA_WITH_SHA224: "DSA",
    SignatureAlgorithmOID.DSA_WITH_SHA256: "DSA",
    SignatureAlgorithmOID.DSA_WITH_SHA384: "DSA",
    SignatureAlgorithmOID.DSA_WITH_SHA512: "DSA",
}

_POLICY_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")

# The extensions that lyncnb processes. A certificate may mark them as critical.
_UNDERSTOOD = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.SubjectAlternativeName.oid,
        x509.NameConstraints.oid,
        x509.CertificatePolicies.oid,
        x509.CRLDistributionPoints.oid,
        x509.PolicyConstraints.oid,
        x509.InhibitAnyPolicy.oid,
        _POLICY_MAPPINGS,
    }
)

# The exceptions that the library cryptography raises for a certificate that it cannot read.
_READ_ERRORS = (
    # Before version 50, cryptography raises KeyError for a name with a wrong string tag.
    KeyError,
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)


class GeneralName(NamedTuple):
    """A name, or a range of names in a name constraint.

    ``kind`` is ``DNS``, ``IP``, ``directory``, ``email``, ``URI``, or ``other``. The value of a
    directory name is a :data:`NameKey`. All other values are text.
    """

    kind: str
    value: str | NameKey


class BadCertificate(ValueError):
    """The error for data that looks like a certificate but cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The content of one certificate. Two certificates are equal if their bytes are equal.

    ``thumbprint`` is the SHA-1 in uppercase that Windows shows and ``Set-CsCertificate`` requires.
    ``signed_sha256`` covers only the part that the CA signed. From an ECDSA signature, anybody can
    derive a second signature, and so create a second file for the same certificate. ``subject`` and
    ``issuer`` are (short name or dotted OID, value) in the certificate's order. ``subject_key`` and
    ``issuer_key`` are for comparisons of names according to RFC 5280 section 7.1: they ignore case
    and repeated spaces. ``extended_key_usage`` and ``key_usage`` are None if the certificate does
    not limit them. Times are UTC. ``signature_scheme`` is ``RSASSA-PKCS1-v1_5``, ``RSASSA-PSS``,
    ``ECDSA``, ``Ed25519`` …; ``signature_hash`` is ``sha256`` …, or empty if the scheme includes
    the hash. ``authority`` is the issuer and the serial number of the issuer's certificate, if the
    authority key identifier contains them. ``general_names`` are all names to which name
    constraints apply; ``permitted`` and ``excluded`` are the constraints. ``crl_urls`` and
    ``ocsp_urls`` are the URLs for revocation checks. ``curve`` is the curve of an elliptic key,
    such as ``secp256r1``. ``policies`` are the certificate policies in dotted form.
    ``policy_mappings`` are pairs: the policy of the CA above, and the policy of this CA. Each of
    the next three fields is the number of certificates before a limit applies (RFC 5280 sections
    4.2.1.11 and 4.2.1.14). ``timestamps`` is the number of signed certificate timestamps (RFC
    6962). ``unknown_critical`` lists the critical extensions that lyncnb does not support, in
    dotted form.
    """

    der: bytes = field(repr=False)
    sha256: str
    thumbprint: str = field(compare=False)
    signed_sha256: str = field(compare=False, repr=False)
    spki_sha256: str = field(compare=False)
    serial: int = field(compare=False)
    subject: tuple[tuple[str, str], ...] = field(compare=False)
    issuer: tuple[tuple[str, str], ...] = field(compare=False)
    subject_key: NameKey = field(compare=False, repr=False)
    issuer_key: NameKey = field(compare=False, repr=False)
    dns_names: tuple[str, ...] = field(compare=False)
    other_names: tuple[str, ...] = field(compare=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)
    key_algorithm: str = field(compare=False)
    key_bits: int = field(compare=False)
    signature_scheme: str = field(compare=False)
    signature_hash: str = field(compare=False)
    extended_key_usage: tuple[str, ...] | None = field(compare=False)
    key_usage: frozenset[str] | None = field(compare=False)
    crl_urls: tuple[str, ...] = field(compare=False)
    ocsp_urls: tuple[str, ...] = field(compare=False)
    curve: str = field(compare=False)
    policies: tuple[str, ...] = field(compare=False)
    policy_mappings: tuple[tuple[str, str], ...] = field(compare=False)
    require_explicit_policy: int | None = field(compare=False)
    inhibit_policy_mapping: int | None = field(compare=False)
    inhibit_any_policy: int | None = field(compare=False)
    timestamps: int = field(compare=False)
    is_ca: bool = field(compare=False)
    path_length: int | None = field(compare=False)
    subject_key_id: bytes = field(compare=False, repr=False)
    authority_key_id: bytes = field(compare=False, repr=False)
    authority: tuple[NameKey, int] | None = field(compare=False, repr=False)
    general_names: tuple[GeneralName, ...] = field(compare=False, repr=False)
    permitted: tuple[GeneralName, ...] = field(compare=False)
    excluded: tuple[GeneralName, ...] = field(compare=False)
    unknown_critical: tuple[str, ...] = field(compare=False)
    is_version_1: bool = field(compare=False)

    @property
    def serial_hex(self) -> str:
        """The serial number of the certificate, in the format of Windows."""
        return format_serial(self.serial)

    @property
    def common_names(self) -> tuple[str, ...]:
        """All common names in the certificate's subject, in order."""
        return tuple(value for name, value in self.subject if name == "CN")

    @property
    def is_self_issued(self) -> bool:
        """Whether the certificate has the same name as its subject and its issuer."""
        return self.subject_key == self.issuer_key

    @property
    def subject_text(self) -> str:
        """The certificate's subject on one line, in the format of :func:`format_name`."""
        return format_name(self.subject)

    @property
    def issuer_name(self) -> str:
        """The common name of the issuer, or the issuer's complete name if it has no common name."""
        names = [value for name, value in self.issuer if name == "CN"]
        return show_invisible_characters(names[-1]) if names else format_name(self.issuer)

    def is_valid_at(self, moment: datetime) -> bool:
        """Return whether a time is in the validity period, including its first and last second."""
        return self.not_before <= moment and moment.replace(microsecond=0) <= self.not_after


def format_serial(serial: int) -> str:
    """Format a serial number as Windows does: in pairs of lowercase hexadecimal digits."""
    digits = f"{abs(serial):x}"
    return ("-" if serial < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)


def format_name(name: tuple[tuple[str, str], ...]) -> str:
    """Format a distinguished name as one line, with its fields in the certificate's order.

    Returns
    -------
    str
        ``CN=…, O=…``; empty for an empty name. The text is for display, not for parsers. Invisible
        characters appear as numbers.
    """
    return show_invisible_characters(
        ", ".join(f"{field_name}={value}" for field_name, value in name)
    )


def to_pem(certificates: Iterable[bytes]) -> bytes:
    """Convert DER certificates to consecutive PEM blocks (RFC 7468 section 5) with LF endings."""
    lines = []
    for der in certificates:
        text = base64.b64encode(der).decode()
        lines.append("-----BEGIN CERTIFICATE-----")
        lines.extend(text[start : start + 64] for start in range(0, len(text), 64))
        lines.append("-----END CERTIFICATE-----\n")
    return "\n".join(lines).replace("\n\n", "\n").encode()


def read_certificate(der: bytes) -> Certificate:
    """Read the content of a DER certificate.

    Parameters
    ----------
    der : bytes
        The bytes of exactly one certificate.

    Returns
    -------
    Certificate

    Raises
    ------
    BadCertificate
        If the version, a name, a date, the key, or an extension is not valid. An extension must not
        appear twice, and must have the structure that the OID requires.

    Notes
    -----
    Source: RFC 5280 sections 4.1 and 4.2.
    """
    return _read_certificate(der)


# A thousand files can contain the same CA certificates, so each certificate is read only once.
@lru_cache(maxsize=256)
def _read_certificate(der: bytes) -> Certificate:
    try:
        with warnings.catch_warnings():
            # The library cryptography warns about certificates that a later version will reject,
            # such as one with a negative serial number. lyncnb reports these problems as findings.
            warnings.simplefilter("ignore")
            return _read_content(der, x509.load_der_x509_certificate(der))
    except _READ_ERRORS as error:
        raise BadCertificate(f"{_describe_certificate(der)}: {explain_error(error)}") from None


def _describe_certificate(der: bytes) -> str:
    """Return the serial number and the subject of a damaged certificate, if they are readable."""
    serial, subject = b"", tuple[str, ...]()
    try:
        content = list_children(der, read_element(der, 0, len(der)))[0]
        fields = [part for part in list_children(der, content) if part.tag != 0xA0]
        serial = der[fields[0].content : fields[0].content_end][:24]
        subject = tuple(_read_common_names(der, fields[4]))
    except (BadStructure, IndexError):
        # If a damaged certificate lacks some fields, the message contains only the readable fields.
        pass
    number = f"serial number {serial.hex()}" if serial else "no serial number"
    return f"{number}, {', '.join(map(shown, subject[:3])) or 'no common name'}"


def _read_common_names(der: bytes, name: Element) -> Iterator[str]:
    for relative in list_children(der, name):
        for entry in list_children(der, relative):
            kind, value = list_children(der, entry)[:2]
            if der[kind.content : kind.content_end] == b"\x55\x04\x03":
                encoding = "utf-16-be" if value.tag == 0x1E else "utf-8"
                yield der[value.content : value.content_end].decode(encoding, "replace")


def _read_content(der: bytes, certificate: x509.Certificate) -> Certificate:
    if certificate.version is not x509.Version.v3 and len(certificate.extensions):
        raise NotAsStandard("the certificate has extensions, but its version is not 3")
    _reject_two_algorithms(der)
    extensions = {extension.oid: extension.value for extension in certificate.extensions}
    dns_names, other_names = _read_alternative_names(extensions)
    key_algorithm, key_bits, spki_sha256 = _read_key_facts(certificate)
    scheme, hash_name = _read_signature_facts(certificate)
    constraints = extensions.get(x509.NameConstraints.oid)
    basic = extensions.get(x509.BasicConstraints.oid)
    return Certificate(
        der=der,
        sha256=hashlib.sha256(der).hexdigest(),
        thumbprint=hashlib.sha1(der, usedforsecurity=False).hexdigest().upper(),
        signed_sha256=hashlib.sha256(certificate.tbs_certificate_bytes).hexdigest(),
        spki_sha256=spki_sha256,
        serial=certificate.serial_number,
        subject=_read_name_fields(certificate.subject),
        issuer=_read_name_fields(certificate.issuer),
        subject_key=_normalize_name(certificate.subject),
        issuer_key=_normalize_name(certificate.issuer),
        dns_names=dns_names,
        other_names=other_names,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key_algorithm=key_algorithm,
        key_bits=key_bits,
        signature_scheme=scheme,
        signature_hash=hash_name,
        extended_key_usage=_read_extended_key_usage(extensions),
        key_usage=_read_key_usage(extensions),
        crl_urls=_read_crl_urls(extensions),
        ocsp_urls=_read_ocsp_urls(extensions),
        curve=_get_curve_name(certificate),
        policies=_read_policies(extensions),
        policy_mappings=_read_policy_mappings(extensions),
        **_read_policy_limits(extensions),
        timestamps=_count_timestamps(extensions),
        is_ca=bool(basic is not None and basic.ca),
        path_length=basic.path_length if basic is not None else None,
        subject_key_id=_read_key_id(extensions.get(x509.SubjectKeyIdentifier.oid), "digest"),
        authority_key_id=_read_key_id(
            extensions.get(x509.AuthorityKeyIdentifier.oid), "key_identifier"
        ),
        authority=_read_authority(extensions.get(x509.AuthorityKeyIdentifier.oid)),
        general_names=_list_constrained_names(certificate, extensions),
        permitted=_read_subtrees(constraints and constraints.permitted_subtrees),
        excluded=_read_subtrees(constraints and constraints.excluded_subtrees),
        unknown_critical=tuple(
            extension.oid.dotted_string
            for extension in certificate.extensions
            if extension.critical and extension.oid not in _UNDERSTOOD
        ),
        is_version_1=certificate.version is x509.Version.v1,
    )


def _reject_two_algorithms(der: bytes) -> None:
    """Raise an error for a certificate with two different signature algorithms.

    Source: RFC 5280 section 4.1.1.2. The signature protects only the inner algorithm.
    """
    certificate = read_element(der, 0, len(der))
    content, outer, _ = list_children(der, certificate)
    fields = list_children(der, content)
    inner = fields[2] if fields[0].tag == 0xA0 else fields[1]
    if der[inner.begin : inner.end] != der[outer.begin : outer.end]:
        raise NotAsStandard(
            "the signature algorithm in the signed data differs from the one in the certificate"
        )


def _read_name_fields(name: x509.Name) -> tuple[tuple[str, str], ...]:
    return tuple(
        (FIELD_NAMES.get(entry.oid, entry.oid.dotted_string), _read_value_text(entry.value))
        for entry in name
    )


def _read_value_text(value: str | bytes) -> str:
    # The library cryptography returns a BIT STRING in a name as bytes. No planned subject contains
    # one.
    return value if isinstance(value, str) else "#" + value.hex()


def _normalize_name(name: x509.Name) -> NameKey:
    """Return a name in a normalized form for comparisons (RFC 5280 section 7.1)."""
    return tuple(
        frozenset(
            (entry.oid.dotted_string, " ".join(_read_value_text(entry.value).casefold().split()))
            for entry in rdn
        )
        for rdn in name.rdns
    )


def _read_alternative_names(extensions: Extensions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = extensions.get(x509.SubjectAlternativeName.oid)
    if not isinstance(names, x509.SubjectAlternativeName):
        return (), ()
    other = [name for name in names if not isinstance(name, x509.DNSName)]
    return (
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(f"{type(name).__name__} {_format_general_name(name)}" for name in other),
    )


def _format_general_name(name: x509.GeneralName) -> str:
    value = name.value
    if isinstance(value, x509.Name):
        return value.rfc4514_string()
    return value.hex() if isinstance(value, bytes) else str(value)


def _read_key_facts(certificate: x509.Certificate) -> tuple[str, int, str]:
    """Return the algorithm and size of a key, and the hash of its SubjectPublicKeyInfo."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        # lyncnb never generates a key that the library cryptography cannot read. Therefore, the
        # hash must only differ from the hashes of all planned keys.
        unusable = hashlib.sha256(certificate.tbs_certificate_bytes).hexdigest()
        return certificate.public_key_algorithm_oid.dotted_string, 0, unusable
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(spki).hexdigest()
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size, digest
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ECDSA", key.key_size, digest
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size, digest
    return type(key).__name__.removesuffix("PublicKey"), 0, digest


def _get_curve_name(certificate: x509.Certificate) -> str:
    with suppress(ValueError, UnsupportedAlgorithm):
        key = certificate.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey):
            return key.curve.name
    return ""


def _read_policy_mappings(extensions: Extensions) -> tuple[tuple[str, str], ...]:
    """Return the policy mappings as pairs: the policy of the issuing CA, and the policy of this CA.

    The library does not read them.
    """
    extension = extensions.get(_POLICY_MAPPINGS)
    if not isinstance(extension, x509.UnrecognizedExtension):
        return ()
    try:
        pairs = [list_object_identifiers(pair) for pair in list_items(extension.value)]
    except BadStructure:
        pairs = [()]
    if not all(1 <= len(pair) <= 2 for pair in pairs):
        raise NotAsStandard("the certificate has policy mappings that are not pairs of policies")
    # A policy that is mapped to itself appears only once in its pair.
    return tuple((pair[0], pair[-1]) for pair in pairs)


def _read_policy_limits(extensions: Extensions) -> dict[str, int | None]:
    limits: dict[str, int | None] = dict.fromkeys(
        ("require_explicit_policy", "inhibit_policy_mapping", "inhibit_any_policy")
    )
    constraints = extensions.get(x509.PolicyConstraints.oid)
    if isinstance(constraints, x509.PolicyConstraints):
        limits["require_explicit_policy"] = constraints.require_explicit_policy
        limits["inhibit_policy_mapping"] = constraints.inhibit_policy_mapping
    inhibit = extensions.get(x509.InhibitAnyPolicy.oid)
    if isinstance(inhibit, x509.InhibitAnyPolicy):
        limits["inhibit_any_policy"] = inhibit.skip_certs
    return limits


def _read_signature_facts(certificate: x509.Certificate) -> tuple[str, str]:
    oid = certificate.signature_algorithm_oid
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return _SCHEMES.get(oid, oid.dotted_string), ""
    hash_name = algorithm.name if algorithm else ""
    if oid in _SCHEMES:
        return _SCHEMES[oid], hash_name
    scheme = "RSASSA-PKCS1-v1_5" if oid.dotted_string.startswith("1.2.840.113549.1.1.") else ""
    if oid.dotted_string.startswith("1.2.840.10045.4."):
        scheme = "ECDSA"
    return scheme or oid.dotted_string, hash_name


def _read_extended_key_usage(extensions: Extensions) -> tuple[str, ...] | None:
    usages = extensions.get(x509.ExtendedKeyUsage.oid)
    if not isinstance(usages, x509.ExtendedKeyUsage):
        return None
    return tuple(EKU_NAMES.get(oid, oid.dotted_string) for oid in usages)


def _read_key_usage(extensions: Extensions) -> frozenset[str] | None:
    usage = extensions.get(x509.KeyUsage.oid)
    if usage is None:
        return None
    return frozenset(name for attribute, name in _KEY_USAGES.items() if getattr(usage, attribute))


def _read_crl_urls(extensions: Extensions) -> tuple[str, ...]:
    points = extensions.get(x509.CRLDistributionPoints.oid)
    if not isinstance(points, x509.CRLDistributionPoints):
        return ()
    return tuple(
        str(name.value)
        for point in points
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )


def _read_ocsp_urls(extensions: Extensions) -> tuple[str, ...]:
    access = extensions.get(x509.AuthorityInformationAccess.oid)
    if not isinstance(access, x509.AuthorityInformationAccess):
        return ()
    return tuple(
        str(description.access_location.value)
        for description in access
        if description.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    )


def _read_policies(extensions: Extensions) -> tuple[str, ...]:
    policies = extensions.get(x509.CertificatePolicies.oid)
    if not isinstance(policies, x509.CertificatePolicies):
        return ()
    return tuple(policy.policy_identifier.dotted_string for policy in policies)


def _count_timestamps(extensions: Extensions) -> int:
    timestamps = extensions.get(x509.PrecertificateSignedCertificateTimestamps.oid)
    if not isinstance(timestamps, x509.PrecertificateSignedCertificateTimestamps):
        return 0
    return len(timestamps)


def _read_key_id(extension: object, attribute: str) -> bytes:
    return getattr(extension, attribute, None) or b""


def _read_authority(extension: object) -> tuple[NameKey, int] | None:
    if not isinstance(extension, x509.AuthorityKeyIdentifier):
        return None
    names = [
        name.value
        for name in extension.authority_cert_issuer or ()
        if isinstance(name, x509.DirectoryName)
    ]
    serial = extension.authority_cert_serial_number
    return (_normalize_name(names[0]), serial) if names and serial is not None else None


_EMAIL_ADDRESS = x509.ObjectIdentifier("1.2.840.113549.1.9.1")


def _list_constrained_names(
    certificate: x509.Certificate, extensions: Extensions
) -> tuple[GeneralName, ...]:
    """Return the names to which name constraints apply (RFC 5280 section 4.2.1.10)."""
    names = extensions.get(x509.SubjectAlternativeName.oid)
    alternative = names if isinstance(names, x509.SubjectAlternativeName) else ()
    names_found = [_read_general_name(name) for name in alternative]
    if certificate.subject.rdns:
        names_found.append(GeneralName("directory", _normalize_name(certificate.subject)))
    mails = certificate.subject.get_attributes_for_oid(_EMAIL_ADDRESS)
    names_found += [GeneralName("email", str(mail.value)) for mail in mails]
    if not any(name.kind == "DNS" for name in names_found):
        # Without subject alternative names, a client compares the common name.
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        hosts = [_read_value_text(attribute.value) for attribute in common]
        names_found += [GeneralName("DNS", host) for host in hosts if _HOST.fullmatch(host)]
    return tuple(names_found)


_HOST = re.compile(r"(?:\*\.)?(?:[A-Za-z0-9_-]++\.)++[A-Za-z0-9_-]++")


def _read_general_name(name: x509.GeneralName) -> GeneralName:
    if isinstance(name, x509.DirectoryName):
        return GeneralName("directory", _normalize_name(name.value))
    kinds = {
        x509.DNSName: "DNS",
        x509.IPAddress: "IP",
        x509.RFC822Name: "email",
        x509.UniformResourceIdentifier: "URI",
    }
    return GeneralName(kinds.get(type(name), "other"), str(name.value))


def _read_subtrees(names: Iterable[x509.GeneralName] | None) -> tuple[GeneralName, ...]:
    return tuple(map(_read_general_name, names or ()))
