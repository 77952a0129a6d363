"""A search finds private keys in every encoding, and does not report public data."""

from __future__ import annotations

import base64
import html
import textwrap
import urllib.parse
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from growth import find_superlinear_size

from lyncnb.jupyter.hidden_keys import contains_key

KEYS = {
    "RSA": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
}
FORMS = {
    "PKCS #8": (PrivateFormat.PKCS8, NoEncryption()),
    "traditional": (PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    "encrypted": (PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
}


def _quoted(text: str) -> str:
    return urllib.parse.quote(text)


def _number(data: bytes) -> str:
    """Return bytes as one decimal number. Python's own conversion allows only 4,300 digits."""
    value, parts = int.from_bytes(data, "big"), []
    while value:
        value, part = divmod(value, 10**1000)
        parts.append(f"{part:01000d}")
    return "".join(reversed(parts)).lstrip("0")


# Functions that encode a text in ways that a reader of a notebook can decode.
WRAPS = {
    "plain": lambda text: text,
    "one dash as an entity": lambda text: text.replace("-", "&#45;", 1),
    "all dashes as entities": lambda text: text.replace("-", "&#x2D;"),
    "named entities": lambda text: text.replace("-", "&hyphen;"),
    "entities of entities": lambda text: html.escape(text.replace("-", "&#45;")),
    "letters as entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "tags between words": lambda text: text.replace(" ", "</span> <span class='k'>"),
    "escaped for JavaScript": lambda text: text.replace("-", "\\u002d"),
    "reversed": lambda text: text[::-1],
    "percent": lambda text: "data:text/plain," + _quoted(text).replace("-", "%2D"),
}
CODES = {
    "base64": lambda data: base64.b64encode(data).decode(),
    "after a word": lambda data: "key " + base64.b64encode(data).decode(),
    "shifted": lambda data: base64.b64encode(b"ab" + data).decode(),
    "in lines": lambda data: "\n".join(textwrap.wrap(base64.b64encode(data).decode(), 76)),
    "lines of a list": lambda data: base64.encodebytes(data).decode().replace("\n", "\\n"),
    "safe for addresses": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "base85": lambda data: base64.b85encode(data).decode(),
    "base85 of Adobe": lambda data: base64.a85encode(data, adobe=True).decode(),
    "base85 in a cell": lambda data: f"key={base64.b85encode(data)!r}",
    "one number": _number,
    "reversed": lambda data: base64.b64encode(data).decode()[::-1],
    "twice": lambda data: base64.b64encode(base64.b64encode(data)).decode(),
    "UTF-16": lambda data: base64.b64encode(data.decode("latin-1").encode("utf-16-le")).decode(),
}


def _pem(key: str, form: str) -> bytes:
    return KEYS[key].private_bytes(Encoding.PEM, *FORMS[form])


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("form", FORMS)
def test_a_key_as_text(form, wrap):
    """The search finds a PEM key as plain text, as HTML entities, between tags, and in escaped
    text.
    """
    for key in KEYS:
        assert contains_key(f"<pre>{WRAPS[wrap](_pem(key, form).decode())}</pre>"), key


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("form", FORMS)
def test_a_key_as_base64(form, code):
    """The search finds a PEM or DER key in base64, at any offset and with any line breaks."""
    for key in KEYS:
        assert contains_key(f"it is: {CODES[code](_pem(key, form))}."), key
        if code != "UTF-16":
            der = KEYS[key].private_bytes(Encoding.DER, *FORMS[form])
            assert contains_key(f"it is: {CODES[code](der)}."), key


def test_a_package_as_base64():
    """The search reports a PFX file in base64 as a private key."""
    for key in KEYS.values():
        data = pkcs12.serialize_key_and_certificates(
            b"x", key, _certificate(key), None, BestAvailableEncryption(b"secret")
        )
        assert contains_key(CODES["base64"](data))


@pytest.mark.parametrize("bits", [1024, 2048])
@pytest.mark.parametrize("write", [str, hex])
def test_a_key_as_rsa_integers(bits, write):
    """The search finds a private key whose integers are written as numbers, without their names."""
    numbers = rsa.generate_private_key(65537, bits).private_numbers()
    public = write(numbers.public_numbers.n)
    for secret in (numbers.d, numbers.p, numbers.dmp1):
        assert contains_key(f"key = make({public}, 65537, {write(secret)})")
    assert contains_key(f"d = {write(numbers.d)}")
    other = rsa.generate_private_key(65537, bits).public_key().public_numbers().n
    assert not contains_key(f"n = {public}\nothers = [{write(other)}, {other + 2}]")


def _certificate(key) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fe01.contoso.com")])
    return (
        x509.CertificateBuilder(name, name, key.public_key(), 0x1000)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize("key", KEYS)
def test_public_data_is_not_reported(key):
    """The search does not report certificates, requests or public keys, neither as PEM nor as
    base64.
    """
    pair = KEYS[key]
    certificate = _certificate(pair)
    request = x509.CertificateSigningRequestBuilder(certificate.subject).sign(pair, hashes.SHA256())
    public = pair.public_key()
    for data in (
        *(certificate.public_bytes(form) for form in (Encoding.PEM, Encoding.DER)),
        *(request.public_bytes(form) for form in (Encoding.PEM, Encoding.DER)),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ):
        assert not any(contains_key(code(data)) for name, code in CODES.items() if name != "UTF-16")
    assert not contains_key(
        "<td>PRIVATE KEY</td> keys/FrontEnd-pool.key -----BEGIN CERTIFICATE-----"
    )


def test_scan_time_is_proportional_to_the_output():
    """Scanning twice as many pictures and twice as much text takes at most three times as long."""

    def search(times: int):
        picture = base64.b64encode(bytes(range(256)) * 400 * times).decode()
        texts = (
            picture,
            "a plain line of text, and another\n" * 4_000 * times,
            "&amp;<b>%41" * 7_000 * times,
        )
        return lambda: any(map(contains_key, texts))

    assert not search(1)()
    assert find_superlinear_size(search, size=1, most=1 << 10) is None
