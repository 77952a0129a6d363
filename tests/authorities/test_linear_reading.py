"""The time for reading a file is proportional to its size, whatever bytes it contains.

These are the only tests that measure time. An input is doubled until reading it takes long enough
to be measured. Reading twice as much may take at most three times as long.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from datetime import date
from functools import partial
from ipaddress import ip_address, ip_network

import pytest
from cas.python_ca import PythonCa, der, issue, p7b, pem
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, pkcs7, pkcs12
from cryptography.x509.oid import NameOID
from growth import find_superlinear_size, seconds

from lyncnb.authorities.returned.candidates import Outstanding
from lyncnb.authorities.returned.decoding import decode
from lyncnb.authorities.returned.matching import match_returned_certificates
from lyncnb.authorities.returned.returned_files import (
    MAX_FILE_BYTES,
    ReturnedFile,
    read_returned_files,
)
from lyncnb.base.planned_entry import PlannedEntry
from lyncnb.pki import chain
from lyncnb.pki.certificates import Certificate, read_certificate
from lyncnb.pki.chain import list_objections
from lyncnb.pki.name_constraints import find_constraint_violations

KEY = ec.generate_private_key(ec.SECP256R1())
CA = PythonCa()
LEAF = issue(
    KEY.public_key(), CA.issuing.subject, CA.key,
    subject=[("CN", "sip.contoso.com")], san=["sip.contoso.com"],
)  # fmt: skip


def element(tag: int, content: bytes) -> bytes:
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def nested(levels: int, content: bytes) -> bytes:
    return b"\x30\x80" * levels + content + b"\0\0" * levels


def many_names(n: int) -> bytes:
    """Return a certificate with about n bytes that contains one name for every 20 bytes.

    Its signature is not relevant.
    """
    names = [f"n{number}.contoso.com" for number in range(max(n // 20, 1))]
    return der(
        issue(KEY.public_key(), CA.issuing.subject, CA.key, subject=[("CN", "a")], san=names)
    )


def long_name(n: int) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        certificate = issue(
            KEY.public_key(), CA.issuing.subject, CA.key,
            subject=[("CN", "a")], san=["*." + "a." * (n // 2) + "com"],
        )  # fmt: skip
    return der(certificate)


REQUEST = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.contoso.com")]))
    .sign(KEY, hashes.SHA256())
    .public_bytes(Encoding.DER)
)
REQUEST_TEXT = x509.load_der_x509_csr(REQUEST).public_bytes(Encoding.PEM)


def p7b_text(certificate: x509.Certificate, n: int) -> bytes:
    count = n // len(pem(certificate)) + 1
    return pkcs7.serialize_certificates([certificate] * count, Encoding.PEM)


def pfx(n: int) -> bytes:
    """Return a PFX file with many certificates and no password."""
    count = n // (len(der(LEAF)) + 80) + 1
    return pkcs12.serialize_key_and_certificates(None, None, None, [LEAF] * count, NoEncryption())


def repeated(piece: bytes):
    return lambda n: (piece * (n // len(piece) + 1))[:n]


INPUTS = {
    "blanks and a mark": lambda n: b"A" * 100 + b" " * n + b"!",
    "letters and a mark": lambda n: b"A" * n + b"!",
    "letters, blanks and a mark": lambda n: repeated(b"A ")(n) + b"!",
    "equal signs": lambda n: b"A" * 100 + b"= " * (n // 2) + b"!",
    "BEGIN and blanks": lambda n: b"-----BEGIN" + b" " * n,
    "many BEGIN with blanks": repeated(b"-----BEGIN" + b" " * 90),
    "BEGIN, a label and blanks": lambda n: b"-----BEGIN A" + b" " * n,
    "hyphens": lambda n: b"-" * n,
    "hyphens and blanks": repeated(b"----- "),
    "BEGIN lines": repeated(b"-----BEGIN CERTIFICATE-----\n"),
    "BEGIN and END lines": repeated(b"-----BEGIN A-----\n-----END A-----\n"),
    "END lines": repeated(b"-----END CERTIFICATE-----\n"),
    "headers": lambda n: armoured(repeated(b"Name: value\n")(n)),
    "a header that goes on": lambda n: armoured(b"Name: value\n" + repeated(b"  on\n")(n)),
    "lines of blanks": lambda n: armoured(b"Name:\n" + repeated(b" \t \n")(n)),
    "line ends": lambda n: armoured(b"\r\n" * (n // 2)),
    "nested indefinite lengths": lambda n: repeated(nested(39, b"\x05\0"))(n),
    "indefinite lengths, never ended": lambda n: b"\x30\x80" * (n // 2),
    "indefinite lengths side by side": repeated(b"\x30\x80\0\0"),
    "indefinite lengths in one": lambda n: nested(1, repeated(b"\x30\x80\0\0")(n - n % 4)),
    "indefinite lengths in many": lambda n: repeated(nested(20, b"\x30\x80\0\0" * 500))(n),
    "empty elements": lambda n: element(0x30, b"\x05\0" * (n // 2)),
    "octet strings in a PFX": lambda n: element(
        0x30, b"\x02\x01\x03" + element(0x30, element(4, b"\x30\0" * (n // 2)))
    ),
    "nested octet strings in a PFX": lambda n: element(
        0x30, b"\x02\x01\x03" + element(0x30, repeated(b"\x04\x06\x30\x04\x04\x02\x30\0")(n))
    ),
    "JSON": lambda n: b"[" + b'"a",' * (n // 4) + b'"b"]',
    "JSON in JSON": lambda n: b"[" * n,
    "UTF-16": lambda n: (b"A\0" * (n // 2)) + b"!\0",
    "zero octets": lambda n: b"\0" * n,
    "a web page": lambda n: b"<html>request id" + b" " * n,
    "certificates": repeated(der(LEAF)),
    "certificates as text": repeated(pem(LEAF)),
    "cfssl's JSON": lambda n: json.dumps(
        {"result": {"certificate": repeated(pem(LEAF))(n).decode()}, "success": True}
    ).encode(),
    "JSON of many answers": lambda n: (
        b"[" + b",".join([json.dumps({"cert": pem(LEAF).decode()}).encode()] * (n // 900)) + b"]"
    ),
    "JSON with a long name": lambda n: b'{"' + b"a" * n + b'": "-----BEGIN CERTIFICATE-----"}',
    "JSON escapes": lambda n: b'["' + repeated(b"\\n")(n - n % 2) + b'"]',
    "PKCS #7": lambda n: p7b(*[LEAF] * (n // len(der(LEAF)) + 1)),
    "PKCS #7 as text": lambda n: p7b_text(LEAF, n),
    "a PFX": pfx,
    "attributes before each": repeated(b"Bag Attributes\n    friendlyName: x\n" + pem(LEAF)),
    "requests": repeated(REQUEST),
    "requests as text": repeated(REQUEST_TEXT),
    "a web page of tables": repeated(b"<html><table><tr><td>Request Id: </td></tr></table>"),
    "a web page with certificates": repeated(b"<html><pre>" + pem(LEAF) + b"</pre></html>"),
    "a key in a PEM": repeated(b"-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n"),
    "text in UTF-16": lambda n: repeated(pem(LEAF))(n // 2).decode().encode("utf-16"),
    "names in a certificate": many_names,
    "a name of many labels": long_name,
}


def make_constrained_certificate(n: int) -> tuple[bytes, bytes]:
    """Return a certificate with many names, from a CA that has the same number of name constraints."""
    count = n // 40
    limits = [x509.DNSName(f"a{number}.contoso.com") for number in range(count)]
    ca = PythonCa(constraints=x509.NameConstraints(limits, None))
    names = [f"b.a{number}.contoso.com" for number in range(count)]
    leaf = issue(
        KEY.public_key(), ca.issuing.subject, ca.key, subject=[("CN", names[0])], san=names
    )
    return der(leaf), der(ca.issuing)


CONSTRAINED = {
    "violating": lambda n: ([x509.DNSName(f"a{i}.contoso.com") for i in range(n)], None,
                            [x509.DNSName(f"b{i}.fabrikam.com") for i in range(n)]),
    "wildcards": lambda n: (None, [x509.DNSName(f"a{i}.contoso.com") for i in range(n)],
                            [x509.DNSName(f"*.b{i}.contoso.com") for i in range(n)]),
    "addresses": lambda n: ([network(i) for i in range(n)], None,
                            [x509.IPAddress(ip_address((11 << 24) + i)) for i in range(n)]),
}  # fmt: skip


def network(number: int) -> x509.IPAddress:
    """Return an IP network that has only one address."""
    return x509.IPAddress(ip_network(((10 << 24) + number, 32)))


@pytest.mark.parametrize("kind", CONSTRAINED)
def test_time_for_names_outside_constraints_is_not_quadratic(kind):
    """Checking twice as many names against twice as many constraints, most of them violated, takes
    at most three times as long.
    """

    def make(count):
        permitted, excluded, names = CONSTRAINED[kind](count)
        ca = PythonCa(constraints=x509.NameConstraints(permitted, excluded))
        leaf = issue(
            ca.key.public_key(), ca.issuing.subject, ca.key, subject=[("CN", "pool")],
            other_names=names,
        )  # fmt: skip
        below, issuer = (read_certificate(der(certificate)) for certificate in (leaf, ca.issuing))

        return lambda: list(find_constraint_violations([below], issuer))

    assert find_superlinear_size(make, size=500, most=16_000) is None


def test_time_for_names_within_constraints_is_not_quadratic():
    """Checking twice as many names against twice as many constraints that permit them takes at most
    three times as long.
    """

    def judge(n: int):
        leaf, issuing = map(read_certificate, make_constrained_certificate(n))
        return lambda: list_objections(leaf, (issuing,), today=date(2026, 11, 24))

    assert judge(2_000)() == ()
    assert find_superlinear_size(judge, size=200_000, most=MAX_FILE_BYTES // 4) is None


def armoured(body: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"


@pytest.mark.slow
@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS)
def test_twice_the_bytes_take_at_most_thrice_the_time(make):
    """The time to read each kind of file grows in proportion to its size."""

    def read(size: int):
        return partial(decode, make(size))

    assert find_superlinear_size(read, size=4096, most=MAX_FILE_BYTES // 2) is None
    # A file of the maximum size must not delay the import by more than a few seconds.
    assert seconds(read(MAX_FILE_BYTES)) < 3


def zip_certificates(n: int) -> bytes:
    """Return a zip file with at least n bytes of certificates in separate files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(n // len(der(LEAF)) + 1):
            archive.writestr(f"{number}.cer", der(LEAF))
    return buffer.getvalue()


def end_records(n: int) -> bytes:
    """Return a zip file with many records that look like the end record of a zip file."""
    return b"PK\x03\x04" + b"PK\x05\x06" * (n // 4)


@pytest.mark.parametrize("make", [zip_certificates, end_records])
def test_a_zip_twice_as_large_takes_at_most_thrice_the_time(tmp_path, make):
    """The time to read a zip file, valid or not, grows in proportion to its size."""

    def read(n: int):
        path = tmp_path / f"{n}.zip"
        path.write_bytes(make(n))
        return partial(read_returned_files, [path])

    assert find_superlinear_size(read, size=65536, most=MAX_FILE_BYTES // 2) is None


def make_similar_certificates(*, serials: int) -> Callable[[int], list[Certificate]]:
    """Return many similar certificates: CA certificates with the same name, and certificates that
    these CAs issued.

    Their signatures are not relevant: all are one certificate with other bytes in it. Each is read
    once, however many there are.
    """
    serial = 1 << 158  # A serial number has at most twenty bytes.
    signer = {"issuer": CA.issuing.subject, "issuer_key": CA.key, "serial": serial}
    leaf = bytearray(der(issue(KEY.public_key(), subject=[("CN", "sip.contoso.com")], **signer)))
    subject = [("CN", "Contoso Issuing CA 1"), ("O", "Contoso")]
    ca = bytearray(der(issue(CA.key.public_key(), subject=subject, ca=True, **signer)))
    offsets = [octets.index(serial.to_bytes(20, "big")) + 4 for octets in (leaf, ca)]
    certificates: list[Certificate] = []

    def first(count: int) -> list[Certificate]:
        for number in range(len(certificates) // 2, count):
            for octets, offset in zip((leaf, ca), offsets, strict=True):
                octets[offset : offset + 4] = (number % serials).to_bytes(4, "big")
                # The serial number also replaces a part of the signature, so that no two
                # certificates are the same.
                octets[-8:-4] = number.to_bytes(4, "big")
                certificates.append(read_certificate(bytes(octets)))
        return certificates[: 2 * count]

    return first


@pytest.mark.slow
@pytest.mark.parametrize("serials", [1, 1 << 30])
def test_time_for_cas_of_the_same_name_is_not_quadratic(serials, monkeypatch):
    """Matching twice as many certificates from CAs with the same name takes at most three times as
    long.
    """
    # Each certificate is compared with a limited number of CAs, which takes a constant time.
    monkeypatch.setattr(chain, "MAX_CANDIDATES", 8)
    request = Outstanding(
        request_id="a", generation=1, spki_sha256=read_certificate(der(LEAF)).spki_sha256,
        entry=PlannedEntry(id="a", subject={"CN": "sip.contoso.com"}, issuer="internal"),
    )  # fmt: skip

    certificates = make_similar_certificates(serials=serials)

    def match(count: int):
        files = [ReturnedFile(name="x", certificates=tuple(certificates(count)))]
        return lambda: match_returned_certificates([request], files, today=date(2026, 11, 24))

    # If there are fewer CAs than this number, each certificate is compared with every CA.
    assert find_superlinear_size(match, size=2 * chain.MAX_CANDIDATES, most=1 << 20) is None
