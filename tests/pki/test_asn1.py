"""lyncnb recognizes PKI objects by their structure, without PEM labels."""

from __future__ import annotations

import base64
import re

import pytest
from cas.python_ca import PythonCa, der, p7b
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography_vectors import open_vector_file
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.pki.asn1 import (
    MAX_DEPTH,
    MAX_ELEMENTS,
    BadStructure,
    Kind,
    compute_work_factor,
    list_certificates,
    read_objects,
)


def vector(name: str) -> bytes:
    with open_vector_file(name, "rb") as file:
        data = file.read()
    match = re.search(rb"-----BEGIN [^-]+-----(.*?)-----END", data, re.DOTALL)
    return base64.b64decode(match[1]) if match else data


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x509/cryptography.io.pem", Kind.CERTIFICATE),
        # A version 1 certificate does not contain the version field [0].
        ("x509/v1_cert.pem", Kind.CERTIFICATE),
        ("x509/requests/rsa_sha256.der", Kind.REQUEST),
        ("x509/requests/zero-element-attribute.pem", Kind.REQUEST),
        ("x509/custom/crl_all_reasons.pem", Kind.REVOCATION_LIST),
        ("x509/custom/crl_empty.pem", Kind.REVOCATION_LIST),
        ("pkcs7/amazon-roots.der", Kind.SIGNED_DATA),
        ("pkcs7/enveloped.pem", Kind.OTHER_CMS),
        ("pkcs12/cert-key-aes256cbc.p12", Kind.PFX),
        ("pkcs12/java-truststore.p12", Kind.PFX),
        ("asymmetric/PKCS8/unenc-rsa-pkcs8.pem", Kind.PRIVATE_KEY),
        ("asymmetric/PKCS8/ec_private_key.pem", Kind.PRIVATE_KEY),
        ("asymmetric/PKCS8/enc-rsa-pkcs8.pem", Kind.ENCRYPTED_KEY),
        ("asymmetric/Traditional_OpenSSL_Serialization/testrsa.pem", Kind.PRIVATE_KEY),
        ("asymmetric/Traditional_OpenSSL_Serialization/dsa.1024.pem", Kind.PRIVATE_KEY),
        ("asymmetric/PEM_Serialization/rsa_public_key.pem", Kind.PUBLIC_KEY),
    ],
)
def test_kind(name, kind):
    """The parser recognizes each type of PKI object by its structure alone."""
    assert [object_kind for object_kind, _ in read_objects(vector(name))] == [kind]


def test_pkcs7_certificates_equal_those_of_pyca():
    """The certificates that lyncnb reads from a PKCS #7 message are the same as those that pyca
    finds in it.
    """
    data = vector("pkcs7/amazon-roots.der")
    expected = [der(certificate) for certificate in pkcs7.load_der_pkcs7_certificates(data)]
    assert list(list_certificates(data)) == expected


def encode_indefinite_length(data: bytes) -> bytes:
    """Encode the length of the outermost element in the indefinite form (BER)."""
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    return data[:1] + b"\x80" + data[2 + octets :] + b"\0\0"


def test_ber_message():
    """A PKCS #7 message with an indefinite length, which some old CAs write, can be read."""
    certificate = PythonCa().issuing
    message = encode_indefinite_length(p7b(certificate))
    assert [kind for kind, _ in read_objects(message)] == [Kind.SIGNED_DATA]
    assert list_certificates(message) == (der(certificate),)


def test_trailing_white_space():
    """lyncnb ignores line breaks after the content of a DER file. All other trailing bytes cause an
    error.
    """
    data = der(PythonCa().root)
    assert read_objects(data + b"\r\n") == [(Kind.CERTIFICATE, data)]
    with pytest.raises(BadStructure, match="ends inside a tag or length"):
        read_objects(data + b"\x01")


def test_concatenated():
    """If a file contains several DER elements in sequence, each of them is recognized."""
    ca = PythonCa()
    objects = read_objects(der(ca.issuing) + der(ca.root))
    assert objects == [(Kind.CERTIFICATE, der(ca.issuing)), (Kind.CERTIFICATE, der(ca.root))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the data ends inside a tag or length"),
        (b"0", "the data ends inside a tag or length"),
        (b"\x30\x05\x02", "4 octets too early"),
        (b"\x30\x85\x01\x01\x01\x01\x01", "an invalid length"),
        (b"\x30\x84\xff\xff\xff\xff", "octets too early"),
        (b"\x1f\x81\x00", "a tag with more than one octet"),
        (b"\x30\x80\x05\x00", "the data ends inside a tag or length"),
        (b"\x30\x80" * (MAX_DEPTH + 2), "nested levels"),
        (b"\x05\x00" * (MAX_ELEMENTS + 1), "elements in one structure"),
    ],
)
def test_bad_structure(data, message):
    """lyncnb rejects bytes that are not a complete DER element."""
    with pytest.raises(BadStructure, match=message):
        read_objects(data)


def test_only_signed_data_contains_certificates():
    """lyncnb reads certificates only from signed data. It reads none from other objects."""
    assert list_certificates(vector("pkcs7/enveloped.pem")) == ()
    with pytest.raises(BadStructure, match="a PKCS #7 message without content"):
        list_certificates(vector("x509/v1_cert.pem"))


def test_work_factor_adds_all_iteration_counts():
    """The work factor is the total of all iteration counts in a PFX file. Computing it needs no
    password.
    """
    assert compute_work_factor(vector("pkcs12/cert-key-aes256cbc.p12")) == 3 * 2048
    mac = bytes.fromhex("300a0404000000000202ffff")
    assert compute_work_factor(b"\x30" + bytes([len(mac)]) + mac) == 0xFFFF


@given(st.binary(max_size=300))
def test_any_bytes(data):
    """For any input, the ASN.1 parser raises only the documented exception."""
    try:
        objects = read_objects(data)
    except BadStructure:
        return
    assert b"".join(content for _, content in objects) == data[: sum(len(c) for _, c in objects)]


@pytest.fixture(scope="module")
def message() -> bytes:
    ca = PythonCa()
    return p7b(ca.issuing, ca.root)


@given(data=st.data())
def test_damaged_message(message, data):
    """If a PKCS #7 message is damaged, its certificates are read, or the documented exception is
    raised.
    """
    position = data.draw(st.integers(0, len(message) - 1))
    value = data.draw(st.integers(0, 255))
    damaged = message[:position] + bytes([value]) + message[position + 1 :]
    try:
        contents = [c for kind, c in read_objects(damaged) if kind is Kind.SIGNED_DATA]
        for content in contents:
            assert all(isinstance(certificate, bytes) for certificate in list_certificates(content))
    except BadStructure:
        pass


def test_pem_of_pyca():
    """If pyca writes a certificate as PEM text, lyncnb decodes the text to the same DER element."""
    certificate = PythonCa().root
    body = certificate.public_bytes(Encoding.PEM).split(b"-----")[2]
    objects = read_objects(base64.b64decode(body))
    assert x509.load_der_x509_certificate(objects[0][1]) == certificate


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("300902010130000400a000", Kind.PRIVATE_KEY),  # The object is a PKCS #8 key.
        ("30090201010400a000a100", Kind.PRIVATE_KEY),  # The object is an EC key.
        ("3006020101020101", Kind.PUBLIC_KEY),
        ("3003020101", Kind.OTHER),
        ("3006300030000300", Kind.OTHER),  # The object is signed data of an unknown type.
        ("0403020100", Kind.OTHER),
    ],
)
def test_small_kinds(data, kind):
    """Even the smallest DER element of each type of PKI object is recognized."""
    assert [object_kind for object_kind, _ in read_objects(bytes.fromhex(data))] == [kind]


def test_indefinite_length_without_end():
    """An element that has an indefinite length and no end is rejected."""
    with pytest.raises(BadStructure, match="ends inside a tag or length"):
        read_objects(b"\x30\x80\x05\x00\x05\x00")
    with pytest.raises(BadStructure, match="without an end|ends inside"):
        read_objects(b"\x30\x04\x30\x80\x05\x00\x00\x00")


def test_work_factor_is_bounded_in_depth():
    """The search for iteration counts in a PFX file stops at a maximum depth of nesting."""
    data = b""
    for _ in range(MAX_DEPTH + 5):
        length = len(data)
        header = bytes([0x30, length]) if length < 128 else bytes([0x30, 0x81, length])
        data = header + data
    with pytest.raises(BadStructure, match="nested levels"):
        compute_work_factor(data)
