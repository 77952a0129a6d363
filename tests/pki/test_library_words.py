"""A library's error about a damaged structure is shown in plain words."""

from __future__ import annotations

import pytest

from lyncnb.pki.library_words import NotAsStandard, explain_error


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            'error parsing asn1 value: ParseError { kind: InvalidLength, location: ["Certificate::tbs_cert", "TbsCertificate::raw_spki"] }',
            "an invalid length in the public key",
        ),
        ("ParseError { kind: SomethingNew }", "the structure does not conform to the standard"),
        ("Duplicate 2.5.29.19 extension found", "a duplicate extension (2.5.29.19)"),
        ("Invalid/unsupported hash algorithm for SCT: 0", "an invalid signed certificate timestamp (SCT)"),
        ("panicked at src/x509.rs:12", "the structure does not conform to the standard"),
        ("", "the structure does not conform to the standard"),
    ],
)  # fmt: skip
def test_in_words(said, words):
    """Each known error of a library has a clear message, and an unknown error has a general
    message.
    """
    assert explain_error(ValueError(said)) == words


def test_our_own_words():
    """An lyncnb error about a structure is shown unchanged."""
    assert (
        explain_error(NotAsStandard("its key is neither RSA nor ECDSA"))
        == "its key is neither RSA nor ECDSA"
    )
