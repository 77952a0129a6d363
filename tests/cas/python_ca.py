"""A two-tier CA that runs in the test process and can issue valid and faulty certificates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from asn1crypto import algos, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

TODAY = datetime(2026, 11, 24, tzinfo=UTC)

EKUS = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
}
SUBJECT = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "L": NameOID.LOCALITY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "C": NameOID.COUNTRY_NAME,
}
#: These extensions are in every public certificate: the policy for a validated organization, and a
#: list of signed certificate timestamps. The timestamps are not signed by a real log. An enterprise
#: CA may also add these extensions.
POLICIES = ("2.23.140.1.2.2",)
TIMESTAMPS = 3
TIMESTAMP_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
LEAF_USAGE = ("digital_signature", "key_encipherment")
CA_USAGE = ("key_cert_sign", "crl_sign")
_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def name(fields: Iterable[tuple[str, str]]) -> x509.Name:
    return x509.Name([x509.NameAttribute(SUBJECT[short], value) for short, value in fields])


def timestamp_list(count: int) -> bytes:
    """Return the value of the extension with signed certificate timestamps (RFC 6962 sections 3.2
    and 3.3).
    """
    signature = b"\x04\x03" + b"\x00\x08" + bytes(8)
    timestamp = b"\x00" + bytes(32) + bytes(8) + b"\x00\x00" + signature
    entries = b"".join(len(timestamp).to_bytes(2, "big") + timestamp for _ in range(count))
    content = len(entries).to_bytes(2, "big") + entries
    return core.OctetString(content).dump()


def key_usage(*usages: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in usages for usage in _USAGES})


def sign(key, tbs_builder, *, pss: bool = False, hash_algorithm=None):
    rsa_key = isinstance(key, rsa.RSAPrivateKey)
    algorithm = hash_algorithm or hashes.SHA256()
    extra = {"rsa_padding": padding.PSS(padding.MGF1(algorithm), 32)} if pss and rsa_key else {}
    return tbs_builder.sign(key, algorithm, **extra)


def replace_signature(certificate: x509.Certificate, key, hash_name: str) -> x509.Certificate:
    """Replace a certificate's signature with one that uses a hash algorithm that the pyca library
    does not support for signing.
    """
    hash_algorithm = {"sha1": hashes.SHA1(), "md5": hashes.MD5()}[hash_name]
    tbs = asn1_x509.TbsCertificate.load(certificate.tbs_certificate_bytes)
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = algos.SignedDigestAlgorithm({"algorithm": f"{hash_name}_rsa"})
        tbs["signature"] = algorithm
        content = tbs.dump(force=True)
        signature = key.sign(content, padding.PKCS1v15(), hash_algorithm)
    else:
        # With an ECDSA key, the tests create only signatures that use SHA-1.
        algorithm = algos.SignedDigestAlgorithm({"algorithm": f"{hash_name}_ecdsa"})
        tbs["signature"] = algorithm
        content = tbs.dump(force=True)
        signature = key.sign(content, ec.ECDSA(hash_algorithm))
    new_certificate = asn1_x509.Certificate(
        {
            "tbs_certificate": asn1_x509.TbsCertificate.load(content),
            "signature_algorithm": algorithm,
            "signature_value": signature,
        }
    )
    return x509.load_der_x509_certificate(new_certificate.dump())


def issue(
    public_key,
    issuer: x509.Name,
    issuer_key,
    *,
    subject: Iterable[tuple[str, str]],
    san: Iterable[str] = (),
    eku: Iterable[str] | None = ("serverAuth",),
    usage: Iterable[str] | None = LEAF_USAGE,
    crl: Iterable[str] = ("http://pki.contoso.net/issuing.crl",),
    ocsp: str = "",
    policies: Iterable[str] = POLICIES,
    timestamps: int = TIMESTAMPS,
    begins: datetime = TODAY - timedelta(days=1),
    days: float = 365,
    serial: int | None = None,
    ca: bool | None = False,
    path_length: int | None = None,
    constraints: x509.NameConstraints | None = None,
    other_names: Iterable[x509.GeneralName] = (),
    pss: bool = False,
    hash_algorithm=None,
    issuer_key_id: bool = True,
    more: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> x509.Certificate:
    """Issue one certificate. By default, it is a typical server certificate, and each argument
    changes one of its properties.
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days) - timedelta(seconds=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    names = [*(x509.DNSName(host) for host in san), *other_names]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if eku is not None:
        entries = x509.ExtendedKeyUsage([EKUS[purpose] for purpose in eku])
        builder = builder.add_extension(entries, critical=False)
    if usage is not None:
        builder = builder.add_extension(key_usage(*usage), critical=True)
    if ca is not None:
        basic = x509.BasicConstraints(ca=ca, path_length=path_length)
        builder = builder.add_extension(basic, critical=True)
    if crl:
        uris = [x509.UniformResourceIdentifier(url) for url in crl]
        points = [x509.DistributionPoint(uris, None, None, None)]
        builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
    if ocsp:
        location = x509.UniformResourceIdentifier(ocsp)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if policies and not ca:
        entries = [
            x509.PolicyInformation(x509.ObjectIdentifier(policy), None) for policy in policies
        ]
        builder = builder.add_extension(x509.CertificatePolicies(entries), critical=False)
    if timestamps and not ca:
        proof = x509.UnrecognizedExtension(TIMESTAMP_LIST, timestamp_list(timestamps))
        builder = builder.add_extension(proof, critical=False)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    if issuer_key_id:
        aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
        builder = builder.add_extension(aki, critical=False)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    return sign(issuer_key, builder, pss=pss, hash_algorithm=hash_algorithm)


class PythonCa:
    """A root CA and an issuing CA that issue correct certificates, or certificates with specified
    changes.
    """

    def __init__(self, title: str = "Contoso", *, make_key=None, **issuing):
        make_key = make_key or (lambda: ec.generate_private_key(ec.SECP256R1()))
        self.root_key, self.key = make_key(), make_key()
        self.root = self._ca_certificate([("CN", f"{title} Root CA")], self.root_key, None, None)
        self.issuing = self._ca_certificate(
            [("CN", f"{title} Issuing CA 1"), ("O", title)], self.key, self.root, self.root_key,
            **issuing,
        )  # fmt: skip

    def _ca_certificate(self, subject, key, issuer, issuer_key, **changes):
        values = {
            "subject": subject,
            "eku": None,
            "usage": CA_USAGE,
            "crl": (),
            "begins": TODAY - timedelta(days=1000),
            "days": 4000,
            "ca": True,
        }
        return issue(
            key.public_key(),
            issuer.subject if issuer else name(subject),
            issuer_key or key,
            **(values | changes),
        )

    def issue_for(self, csr: x509.CertificateSigningRequest, **changes) -> x509.Certificate:
        """Issue the certificate that a CSR requests, with optional changes."""
        short = {oid: label for label, oid in SUBJECT.items()}
        try:
            names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            san = names.get_values_for_type(x509.DNSName)
        except x509.ExtensionNotFound:
            san = []
        values = {"subject": [(short[a.oid], a.value) for a in csr.subject], "san": san}
        return issue(csr.public_key(), self.issuing.subject, self.key, **(values | changes))

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """Return the certificates of the issuing CA and of the root CA."""
        return self.issuing, self.root


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def p7b(*certificates: x509.Certificate, encoding: Encoding = Encoding.DER) -> bytes:
    return pkcs7.serialize_certificates(list(certificates), encoding)
