"""Create a certification authority for demonstrations. Its key exists only in memory.

The issuer name shows that the certificates must not be used outside a demonstration.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ..base.certificate_fields import EXTENDED_KEY_USAGES
from .csr import CertificationRequest

#: The common name of every demonstration CA.
DEMONSTRATION_NAME = "lyncnb demonstration CA, not for servers"

_CRL = "http://pki.contoso.net/demonstration.crl"
# The first day and the number of days of the root's validity. They include every date that a
# planner can choose for a demonstration.
_ROOT_BEGINS, _ROOT_DAYS = datetime(2020, 1, 1, tzinfo=UTC), 365 * 40


class DemonstrationCa:
    """A root CA that signs every request and uses random serial numbers."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DEMONSTRATION_NAME)])
        self._key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._root = self._make_root()

    def root(self) -> bytes:
        """Return the root certificate as PEM. It is the same for all certificates of the CA."""
        return self._root

    def _make_root(self) -> bytes:
        builder = (
            self._build_certificate(self._name, self._key.public_key(), _ROOT_BEGINS, _ROOT_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_build_key_usage("key_cert_sign"), critical=True)
            .add_extension(self._key_id, critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def sign(
        self,
        request: CertificationRequest,
        *,
        names: Sequence[str],
        not_before: datetime,
        days: int,
        crl: bool = True,
    ) -> bytes:
        """Issue a certificate for a request, and return the certificate as DER.

        Parameters
        ----------
        request : CertificationRequest
            The request with the subject, the key, and the extended key usage.
        names : sequence of str
            The DNS names for subjectAltName; empty for none.
        not_before : datetime
            The start of validity, UTC.
        days : int
            The validity in days.
        crl : bool, optional
            Whether the certificate contains the URL of a revocation list.
        """
        parsed = x509.load_der_x509_csr(request.der)
        requested = request.content.extended_key_usage or ("serverAuth",)
        usages = [x509.ObjectIdentifier(EXTENDED_KEY_USAGES[name]) for name in requested]
        builder = (
            self._build_certificate(parsed.subject, parsed.public_key(), not_before, days)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(_build_key_usage("digital_signature", "key_encipherment"), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_id),
                critical=False,
            )
        )
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        if crl:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(_CRL)], None, None, None)
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _build_certificate(
        self,
        subject: x509.Name,
        public_key: CertificatePublicKeyTypes,
        not_before: datetime,
        days: int,
    ) -> x509.CertificateBuilder:
        serial = x509.random_serial_number()
        return x509.CertificateBuilder(
            self._name, subject, public_key, serial, not_before, not_before + timedelta(days)
        )


_FLAGS = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def _build_key_usage(*usages: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{flag: flag in usages for flag in _FLAGS})
