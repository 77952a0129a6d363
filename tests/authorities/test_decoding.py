"""lyncnb recognizes each file format that CAs use for certificates by the structure of the file."""

from __future__ import annotations

import base64
import json

import pytest
from cas.python_ca import PythonCa, der, issue, p7b, pem
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hostile import armoured
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.authorities.returned.decoding import decode
from lyncnb.pki.keys import compute_spki_sha256

KEY = ec.generate_private_key(ec.SECP256R1())
CA = PythonCa()
LEAF = issue(
    KEY.public_key(), CA.issuing.subject, CA.key,
    subject=[("CN", "sip.contoso.com")], san=["sip.contoso.com"],
)  # fmt: skip
KEY_PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
TEXT = pem(LEAF).decode()
BODY = base64.b64encode(der(LEAF)).decode()
CHAIN = (LEAF, *CA.chain)
BAG = (
    "Bag Attributes\n    localKeyID: 01 00 00 00\n    friendlyName: sip: contoso\n"
    "subject=CN = sip.contoso.com\n\nissuer=CN = Contoso Issuing CA 1\n\n"
)


def add_trust_settings() -> bytes:
    """Return a certificate followed by its trust settings, as `openssl x509 -trustout` writes it."""
    settings = bytes.fromhex("300a3008") + bytes.fromhex("06062b0601050507")
    return armoured("TRUSTED CERTIFICATE", der(LEAF) + settings)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (der(LEAF), [LEAF]),
        (der(LEAF) + b"\r\n", [LEAF]),
        (der(LEAF) + der(CA.issuing), [LEAF, CA.issuing]),
        (pem(LEAF), [LEAF]),
        (pem(*CHAIN), list(CHAIN)),
        (b"\xef\xbb\xbf" + pem(LEAF), [LEAF]),
        (pem(LEAF).replace(b"\n", b"\r\n"), [LEAF]),
        # Files from old Macintosh computers have these line endings.
        (pem(LEAF).replace(b"\n", b"\r"), [LEAF]),
        # Text that was copied from an e-mail is indented.
        (b"   " + pem(LEAF).replace(b"\n", b"\n   "), [LEAF]),
        (BAG.encode() + pem(LEAF), [LEAF]),
        (TEXT.encode("utf-16"), [LEAF]),
        (
            TEXT.encode("utf-16-le"),
            [LEAF],
        ),  # lyncnb also recognizes UTF-16 without a byte order mark.
        (TEXT.encode("utf-16-be"), [LEAF]),
        (("\ufeff" + TEXT).encode("utf-16-be"), [LEAF]),
        (("\ufeff" + TEXT).encode("utf-16-le"), [LEAF]),
        (BODY.encode(), [LEAF]),  # The text is base64 in one line without a PEM label.
        (base64.encodebytes(der(LEAF)), [LEAF]),
        (BODY.encode("utf-16"), [LEAF]),
        (add_trust_settings(), [LEAF]),
        (armoured("X509 CERTIFICATE", der(LEAF)), [LEAF]),
        (armoured("certificate", der(LEAF)), [LEAF]),
        # The format of a PEM block does not depend on its label.
        (armoured("WHATEVER", der(LEAF)), [LEAF]),
        (p7b(*CHAIN), list(CHAIN)),
        (p7b(*CHAIN, encoding=Encoding.PEM), list(CHAIN)),
        # AD CS writes the label CERTIFICATE before a PKCS #7 message.
        (armoured("CERTIFICATE", p7b(*CHAIN)), list(CHAIN)),
        (armoured("PKCS #7 SIGNED DATA", p7b(*CHAIN)), list(CHAIN)),
        (armoured("CMS", p7b(*CHAIN)), list(CHAIN)),
        (base64.encodebytes(p7b(*CHAIN)), list(CHAIN)),
        (pem(LEAF, LEAF), [LEAF]),  # A certificate that appears twice is read once.
        (TEXT.replace("-----\n", "----- \n").encode(), [LEAF]),
        (f"Dear planner,\n\n{TEXT}\nRegards".encode(), [LEAF]),
    ],
)
def test_every_file_format_is_read(data, expected):
    """lyncnb reads the certificates in each file format in the right order, and reports no problem."""
    decoded = decode(data)
    assert sorted(certificate.der for certificate in decoded.certificates) == sorted(
        map(der, expected)
    )
    assert decoded.remarks == ()


@pytest.mark.parametrize("last", [b"\n", b"\r", b"\t", b" ", b"\x1a"])
@pytest.mark.parametrize("behind", [b"", b"\r\n", b" \t\x1a"])
def test_a_certificate_may_end_in_what_looks_like_white_space(last, behind):
    """lyncnb reads a certificate completely even if its last byte is a white-space character.

    One signature in 200 ends with such a byte.
    """
    leaf = der(LEAF)[:-1] + last
    assert [certificate.der for certificate in decode(leaf + behind).certificates] == [leaf]
    assert [
        certificate.der for certificate in decode(leaf + der(CA.issuing) + behind).certificates
    ] == [
        leaf,
        der(CA.issuing),
    ]


def reorder_certificates(*certificates) -> bytes:
    """Return a PKCS #7 message with the certificates in the given order, as Windows writes it."""
    message = p7b(*certificates)
    in_set = b"".join(sorted(map(der, certificates)))
    assert message.count(in_set) == 1
    return message.replace(in_set, b"".join(map(der, certificates)))


@pytest.mark.parametrize("order", [CHAIN, CHAIN[::-1], (CHAIN[1], CHAIN[0], CHAIN[2])])
def test_order_in_message(order):
    """In a PKCS #7 message, the server certificate may be in any position."""
    decoded = decode(reorder_certificates(*order))
    assert [certificate.der for certificate in decoded.certificates] == list(map(der, order))
    assert decoded.remarks == ()


def test_key_next_to_a_certificate_is_reported():
    """If a file contains a private key and a certificate, lyncnb reports the key and reads the
    certificate.
    """
    decoded = decode(KEY_PEM + pem(LEAF))
    assert [certificate.der for certificate in decoded.certificates] == [der(LEAF)]
    assert decoded.remarks == (("private-key-in-file", 'the file contains a "PRIVATE KEY"'),)


def test_damaged_block_next_to_an_intact_one_is_reported():
    """If a file contains a damaged and an intact PEM block, lyncnb reports the damaged block and
    reads the intact one.
    """
    bad = TEXT.replace("\nM", "\n!", 1)
    decoded = decode((bad + pem(CA.root).decode()).encode())
    assert [certificate.der for certificate in decoded.certificates] == [der(CA.root)]
    assert decoded.remarks == (("file-malformed", 'the block "CERTIFICATE" is not valid base64'),)


def test_pfx():
    """lyncnb asks only once for the password of a PFX file, and only if the file has a password."""
    prompts = []

    def password():
        prompts.append(1)
        return "portal"

    locked = pkcs12.serialize_key_and_certificates(
        b"x", KEY, LEAF, CA.chain, BestAvailableEncryption(b"portal")
    )
    decoded = decode(locked, password=password)
    assert [certificate.der for certificate in decoded.certificates] == list(map(der, CHAIN))
    assert decoded.key_spki_sha256 == (compute_spki_sha256(KEY),)
    assert decoded.remarks == (("private-key-in-file", "the file is a PFX with a private key"),)
    assert prompts == [1]
    open_one = pkcs12.serialize_key_and_certificates(b"x", KEY, LEAF, None, NoEncryption())
    assert len(decode(open_one, password=password).certificates) == 1
    assert prompts == [1]


def test_json_of_cfssl():
    """lyncnb reads the certificate in the JSON output of cfssl, and does not report the request in
    the same file as a problem.
    """
    request = x509.CertificateSigningRequestBuilder().subject_name(LEAF.subject)
    csr = request.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    for document in (
        {"cert": TEXT, "csr": csr},
        {"success": True, "result": {"certificate": TEXT, "chain": [csr]}, "errors": []},
    ):
        decoded = decode(json.dumps(document, indent=1).encode())
        assert [certificate.der for certificate in decoded.certificates] == [der(LEAF)]
        assert decoded.remarks == ()
    assert decode(csr.encode()).remarks == (
        ("request-returned", "the file contains a certification request (PKCS #10)"),
    )


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("<html>Certificate Pending <p>Your Request Id is 42.</html>", "request-pending", "42"),
        ("RequestId: 7\r\nTaken Under Submission (0)\r\n", "request-pending", "request 7"),
        (
            "<html>Your certificate request was denied</html>",
            "request-denied",
            "denied the request",
        ),
    ],
)
def test_messages_of_ad_cs_are_recognized(text, code, words):
    """If a page or output of AD CS says that the request is pending or denied, lyncnb reports this
    state with the request ID.
    """
    ((remark_code, message),) = decode(text.encode()).remarks
    assert remark_code == code
    assert words in message


def test_a_certificate_that_cannot_be_read_is_named():
    """If a certificate cannot be read, the message contains its serial number and subject, and no
    error text of a library.
    """
    original = der(LEAF)
    oid = bytes.fromhex("551d11")  # The OID of the subjectAltName extension.
    offset = original.index(oid) + len(oid)
    damaged = original[: offset + 2] + b"\x05" + original[offset + 3 :]
    ((code, message),) = decode(damaged).remarks
    assert code == "file-malformed"
    assert f"{LEAF.serial_number:x}" in message
    assert '"sip.contoso.com"' in message
    assert "ParseError" not in message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"<html><body>Certificates</body></html>",
            "the file is a web page; download the certificate",
        ),
        (b"- BEGIN CERTIFICATE -\nMII", "has no line -----BEGIN CERTIFICATE-----"),
        (b"hello", "the file contains neither a certificate nor a request"),
        (b"\x30\x00", "the file contains ASN.1 data of another type"),
    ],
)
def test_file_without_a_certificate(data, message):
    """If a file contains no certificate, lyncnb reports what the file seems to contain."""
    ((code, text),) = decode(data).remarks
    assert code == "file-without-certificate"
    assert message in text


def test_many_begin_lines_are_read_in_linear_time():
    """Reading a file that contains only BEGIN lines takes time in proportion to its length."""
    decoded = decode(b"-----BEGIN CERTIFICATE-----\n" * 170_000)
    assert decoded.remarks == (("file-malformed", "the file has more than 20,000 PEM blocks"),)


@given(st.binary(max_size=400))
def test_any_bytes(data):
    """lyncnb reads random bytes as a returned file without an exception, and returns at least one
    certificate or remark.
    """
    decoded = decode(data)
    assert decoded.certificates or decoded.remarks


@given(data=st.data())
def test_damaged_text(data):
    """lyncnb reads a PEM text with a random change without an error, and returns at least one
    certificate or remark.
    """
    begin = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(begin, min(begin + 40, len(TEXT))))
    piece = data.draw(st.text(max_size=20))
    decoded = decode((TEXT[:begin] + piece + TEXT[end:]).encode("utf-8", "surrogatepass"))
    assert decoded.certificates or decoded.remarks
    for certificate in decoded.certificates:
        assert certificate.der == der(LEAF) or certificate.der != b""


def test_two_begin_lines():
    """If a second BEGIN line appears before the END line of a PEM block, lyncnb drops the first
    block and reads the second one.
    """
    half = TEXT[: len(TEXT) // 2] + "\n"
    decoded = decode((half + TEXT).encode())
    assert [certificate.der for certificate in decoded.certificates] == [der(LEAF)]
    assert decoded.remarks == (
        ("file-malformed", 'the block "CERTIFICATE" has no END line, so it is incomplete'),
    )


def test_empty_message():
    """lyncnb reports a PKCS #7 message that contains no certificates."""
    inner = bytes.fromhex("0201013100300b06092a864886f70d0107013100")
    signed = b"\x30" + bytes([len(inner)]) + inner
    wrapped = bytes.fromhex("06092a864886f70d010702") + b"\xa0" + bytes([len(signed)]) + signed
    message = b"\x30" + bytes([len(wrapped)]) + wrapped
    assert decode(message).remarks == (
        ("file-without-certificate", "the file is a PKCS #7 message without certificates"),
    )


def test_pfx_with_a_wrong_password():
    """If the password of a PFX file is wrong, lyncnb reports it, and the password appears in no
    message.
    """
    locked = pkcs12.serialize_key_and_certificates(
        b"x", KEY, LEAF, CA.chain, BestAvailableEncryption(b"portal")
    )
    decoded = decode(locked, password=lambda: "guessed wrongly")
    assert decoded.certificates == ()
    assert decoded.remarks == (("pfx-not-opened", "the password is wrong, or the file is damaged"),)


def test_pfx_without_certificate():
    """If a PFX file contains only a key, lyncnb reports the key and the missing certificate."""
    alone = pkcs12.serialize_key_and_certificates(b"x", KEY, None, None, NoEncryption())
    assert [code for code, _ in decode(alone).remarks] == [
        "private-key-in-file",
        "file-without-certificate",
    ]
