"""Find private keys in text, including encoded keys.

A page shows ``&#45;`` as a dash, a highlighter puts tags between words, and an attachment
is base64. lyncnb therefore checks the text itself and its decoded forms. It also checks the
other forms in which programs show keys: hexadecimal and decimal bytes, one decimal number,
base85, reversed text, Python's ``b'...'``, JSON Web Keys, XML, and the output of ``openssl
-text``.
"""

from __future__ import annotations

import base64
import html
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from math import gcd
from urllib.parse import unquote

_KEY_TEXT = re.compile(
    r"-----\s*BEGIN[^-\r\n]*PRIVATE\s+KEY|PuTTY-User-Key-File|openssh-key-v1"
    # The pattern for the output of "openssl pkey -text" and of .NET's ToXmlString(true).
    r"|Private-Key:\s*\(\d+ bit|\bprivateExponent:|<RSAKeyValue>[^@]{0,9000}<D>",
    re.IGNORECASE,
)

# The patterns for the first bytes of a private key in DER, at any position. No certificate or
# request contains such bytes. The comment before each pattern names its source.
_KEY_BYTES = re.compile(
    # RFC 5958 section 2: version, algorithm (rsaEncryption or id-ecPublicKey), then an OCTET
    # STRING.
    rb"\x02\x01[\x00\x01]\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04"
    rb"|\x02\x01[\x00\x01]\x30[\x10-\x20]\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06.{6,12}\x04"
    # RFC 8017 appendix A.1.2: version 0, then a modulus of 1024 bits or more.
    rb"|\x30\x82..\x02\x01\x00\x02[\x81\x82]"
    # RFC 5915 section 3: version 1, then a private key of 32 or 48 bytes, then a named curve.
    rb"|\x02\x01\x01\x04(?:\x20.{32}|\x30.{48})\xa0"
    # RFC 8018 appendix A.4 (an encrypted key), and RFC 7292 section 4 (a PFX file, which begins
    # with version 3).
    rb"|\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"
    rb"|\x02\x01\x03\x30[\x80-\x84].{0,4}\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x01\x02]",
    re.DOTALL,
)

_TAG = re.compile(r"<[^<>]{0,4096}>")
# In a JSON Web Key, the member "d" is the private key (RFC 7518 section 6).
_JSON_KEY = re.compile(
    r"\"kty\"\s*:\s*\"[^{}]{0,9000}\"d\"\s*:\s*\"|\"d\"\s*:\s*\"[^{}]{0,9000}\"kty\""
)
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9A-Fa-f]{2}(?:[:,]|,?\s+)?){24,}")
_HEX_MARKS = re.compile(r"0x|[^0-9A-Fa-f]")
_BYTES = re.compile(r"""b(?:'((?:[^'\\]|\\.){16,})'|"((?:[^"\\]|\\.){16,})")""")
_DECIMAL = re.compile(r"(?:\d{1,3}[,\s]{1,4}){24,}")
# The pattern for a key as one decimal number. A 256-bit key in DER has about 160 digits, and an
# 8,192-bit key about 11,000.
_NUMBER = re.compile(r"(?<!\d)\d{150,12000}(?!\d)")
_DIGITS_AT_ONCE = 4000
# The pattern for base85 in the variants of Git, Python and Adobe. Longer text is skipped, because
# it is a picture in base64.
_BASE85 = re.compile(r"(?<![!-~])[!-~]{60,12000}(?![!-~])")
# RSA integers as Python writes them (RFC 8017 section 3): a number next to the name of a private
# integer, and each number that could be the modulus or a private integer.
_RSA_INTEGER = r"(?:0x[0-9a-f]{100,4200}|\d{130,5000})(?![\w.])"
_NAMED_INTEGER = re.compile(
    rf"\b(?:d|p|q|dmp1|dmq1|private_?exponent)[\"']?\s*[=:]\s*{_RSA_INTEGER}", re.IGNORECASE
)
_INTEGER = re.compile(rf"(?<![\w.]){_RSA_INTEGER}", re.IGNORECASE)
_MOST_INTEGERS = 8  # A private key has seven large integers.
_LEAST_FACTOR = 1 << 200
_EXPONENT = 65537
_ENDS = "'\".,:"
_COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda")
_MOST_UNPACKED = 1 << 20

_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_CODED = re.compile(r"[A-Za-z0-9+/]{24,}")

# The maximum number of times to decode base64. More layers are unlikely to be an accident.
_DEPTH = 2


def contains_key(text: str, *, depth: int = _DEPTH) -> bool:
    """Return whether text is, contains or encodes a private key.

    Parameters
    ----------
    text : str
        Plain text, HTML, or base64 with any text around it.
    depth : int, optional
        The number of base64 layers to decode.

    Returns
    -------
    bool
        True for keys in the PEM, PuTTY and OpenSSH formats, and for DER keys and PFX files in
        base64. Encrypted keys count, because a person who has the file can guess its passphrase
        offline.
    """
    forms = tuple(dict.fromkeys(decode_text(text)))
    if any(map(_KEY_TEXT.search, forms)):
        return True
    if _NAMED_INTEGER.search(text) or _contains_rsa_integers(text):
        return True
    if any('"kty"' in form and _JSON_KEY.search(form) for form in forms):
        return True
    return depth > 0 and any(
        _KEY_BYTES.search(data) is not None
        or (_is_printable(data) and contains_key(data.decode("latin-1"), depth=depth - 1))
        or (b"\0" in data and _is_key_in_utf16(data))
        for form in forms
        for data in _decode_base64(form)
    )


def _contains_rsa_integers(text: str) -> bool:
    """Return whether a text contains an RSA modulus, and a number that reveals its factors.

    The private exponent d, and its remainders in a private key, reveal a factor of the modulus n by
    the greatest common divisor of n and (2^e)^d - 2.
    """
    found = dict.fromkeys(_INTEGER.findall(text))
    numbers = [_parse_integer(digits) for digits in islice(found, _MOST_INTEGERS)]
    odd = sorted(number for number in numbers if number & 1)
    return any(
        gcd(modulus, number * (pow(pow(2, _EXPONENT, modulus), number, modulus) - 2))
        > _LEAST_FACTOR
        # In a private key, the modulus and the exponent are the two largest numbers.
        for modulus in odd[-2:]
        for number in odd
        if number < modulus
    )


def _is_printable(data: bytes) -> bool:
    # Skip bytes that are not text, such as pictures, or base64 that was decoded from the wrong
    # position.
    return len(data.translate(None, _PRINTABLE)) < len(data) // 4


def _is_key_in_utf16(data: bytes) -> bool:
    text = data.replace(b"\0", b"")  # Some programs on Windows save text as UTF-16.
    return _is_printable(text) and _KEY_TEXT.search(text.decode("latin-1")) is not None


def decode_text(text: str) -> Iterator[str]:
    """Yield a text unchanged, and after decoding its HTML entities, escapes and URL encoding."""
    yield text
    for _ in range(3):
        # The text is decoded twice, because a page can contain another escaped page.
        if "&" not in text:
            break
        text = html.unescape(text)
    if "\\" in text:
        text = text.replace('\\"', '"')
        text = text.replace("\\u002d", "-").replace("\\u002D", "-").replace("\\x2d", "-")
    if "%" in text:
        text = unquote(text, errors="replace")
    yield text
    if "<" in text:
        yield _TAG.sub("", text)
    yield text[::-1]


def _decode_base64(text: str) -> Iterator[bytes]:
    """Decode each run of base64 from four positions, because other letters may precede the data."""
    yield from _decode_other_forms(text)
    # The two base64 alphabets (RFC 4648 sections 4 and 5) differ in two characters.
    joined = "".join(text.replace("\\n", "").replace("\\r", "").split())
    for run in _CODED.findall(joined.replace("-", "+").replace("_", "/")):
        for start in range(4):
            base64_text = run[start:]
            data = base64.b64decode(base64_text[: len(base64_text) // 4 * 4])
            yield data
            if data.startswith(_COMPRESSED):
                with suppress(zlib.error):
                    yield zlib.decompressobj(wbits=47).decompress(data, _MOST_UNPACKED)


def _decode_other_forms(text: str) -> Iterator[bytes]:
    """Decode bytes that are written as hexadecimal or decimal numbers, or in Python's notation."""
    for match in _HEX.finditer(text):
        digits = _HEX_MARKS.sub("", match[0])
        yield bytes.fromhex(digits[: len(digits) // 2 * 2])
    for match in _BYTES.finditer(text):
        with suppress(UnicodeError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plain = (match[1] or match[2]).encode("latin-1")
            yield plain.decode("unicode_escape").encode("latin-1")
    for match in _DECIMAL.finditer(text):
        numbers = [int(number) for number in re.findall(r"\d+", match[0])]
        yield bytes(number for number in numbers if number < 256)
    for match in _NUMBER.finditer(text):
        value = _parse_integer(match[0])
        yield value.to_bytes((value.bit_length() + 7) // 8, "big")
    for match in _BASE85.finditer(text):
        yield from _decode_base85(match[0])


def _parse_integer(digits: str) -> int:
    if digits[:2].lower() == "0x":
        return int(digits, 16)
    value = 0
    for start in range(0, len(digits), _DIGITS_AT_ONCE):
        part = digits[start : start + _DIGITS_AT_ONCE]
        value = value * 10 ** len(part) + int(part)
    return value


def _decode_base85(word: str) -> Iterator[bytes]:
    """Decode a base85 word. It can be in quotation marks after a name and an equals sign."""
    starts = {word, *(word.partition(mark)[2] for mark in ("='", '="', "=b'", "'", '"', "<~"))}
    for start in starts - {""}:
        text = start.rstrip(_ENDS).removesuffix("~>")
        for decode in (base64.b85decode, base64.a85decode):
            with suppress(ValueError):
                yield decode(text)
