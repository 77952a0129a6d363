"""Whatever the bytes are, reading them takes time in proportion to their number.

The one kind of timed test there is: an input is doubled until reading it takes long enough to be
measured, and the double of that may take at most three times as long (CPU time of this process,
best of five).
"""

from __future__ import annotations

import time
import warnings
from datetime import date

import pytest
from cas.python_ca import PythonCa, der, issue, pem
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from lyncnb.authorities.decoding import decode
from lyncnb.authorities.returned_files import MAX_FILE_BYTES
from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.chain import objections_to

KEY = ec.generate_private_key(ec.SECP256R1())
CA = PythonCa()
LEAF = issue(
    KEY.public_key(), CA.issuing.subject, CA.key,
    subject=[("CN", "sip.contoso.com")], san=["sip.contoso.com"],
)  # fmt: skip

#: Below this a doubled time says nothing; an input that stays below it at 5 MB is quick enough.
_LONG_ENOUGH = 0.2


def element(tag: int, content: bytes) -> bytes:
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def nested(levels: int, content: bytes) -> bytes:
    return b"\x30\x80" * levels + content + b"\0\0" * levels


def many_names(n: int) -> bytes:
    """Write a certificate with a name for each 20 of n bytes; what signed it does not matter."""
    names = [f"n{number}.contoso.com" for number in range(max(n // 20, 1))]
    return der(
        issue(KEY.public_key(), CA.issuing.subject, CA.key, subject=[("CN", "a")], san=names)
    )


def long_name(n: int) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = issue(
            KEY.public_key(), CA.issuing.subject, CA.key,
            subject=[("CN", "a")], san=["*." + "a." * (n // 2) + "com"],
        )  # fmt: skip
    return der(made)


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
    "names in a certificate": many_names,
    "a name of many labels": long_name,
}


def constrained(n: int) -> tuple[bytes, bytes]:
    """Make a certificate with many names below a CA with as many constraints."""
    count = n // 40
    limits = [x509.DNSName(f"a{number}.contoso.com") for number in range(count)]
    ca = PythonCa(constraints=x509.NameConstraints(limits, None))
    names = [f"b.a{number}.contoso.com" for number in range(count)]
    leaf = issue(
        KEY.public_key(), ca.issuing.subject, ca.key, subject=[("CN", names[0])], san=names
    )
    return der(leaf), der(ca.issuing)


def test_names_under_constraints_take_no_square():
    """Many names under as many constraints: twice both take at most three times the time."""

    def judged(n: int) -> float:
        leaf, issuing = map(read_certificate, constrained(n))
        best = float("inf")
        for _ in range(5):
            begin = time.process_time()
            assert objections_to(leaf, (issuing,), today=date(2026, 11, 24)) == ()
            best = min(best, time.process_time() - begin)
        return best

    size = 200_000
    while (once := judged(size)) < _LONG_ENOUGH and size < MAX_FILE_BYTES // 4:
        size *= 2
    assert judged(2 * size) < 3 * once


def armoured(body: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"


def seconds(data: bytes, times: int = 5) -> float:
    best = float("inf")
    for _ in range(times):
        begin = time.process_time()
        decode(data)
        best = min(best, time.process_time() - begin)
    return best


@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS)
def test_twice_the_bytes_take_at_most_thrice_the_time(make):
    """Each input is read in time that grows as its size does."""
    size = 4096
    while size <= MAX_FILE_BYTES // 2:
        # One measurement may be a pause of the machine's: the best of five decides.
        if seconds(make(size), 1) >= _LONG_ENOUGH and (once := seconds(make(size))) >= _LONG_ENOUGH:
            assert seconds(make(2 * size)) < 3 * once
            return
        size *= 2
    # The largest file that is read at all: a few seconds, not minutes.
    assert seconds(make(MAX_FILE_BYTES), 1) < 3
