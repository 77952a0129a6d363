"""If a library reports a damaged structure, lyncnb shows a clear message."""

from __future__ import annotations

import pytest

from lyncnb.pki.library_words import NotAsStandard, explain_error


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'error parsing asn1 value: ParseError { kind: InvalidLength, location: ["Certificate::tbs_cert", "TbsCertificate::raw_spki"] }',
            "an invalid length in the public key",
        ),
        ("ParseError { kind: SomethingNew }", "the data structure does not conform to the standard"),
        ("Duplicate 2.5.29.19 extension found", "a duplicate extension (2.5.29.19)"),
        ("Invalid/unsupported hash algorithm for SCT: 0", "an invalid signed certificate timestamp (SCT)"),
        ("panicked at src/x509.rs:12", "the data structure does not conform to the standard"),
        ("", "the data structure does not conform to the standard"),
    ],
)  # fmt: skip
def test_errors_of_libraries_have_clear_messages(message, words):
    """Each known error of a library has its own clear message, and any other error has a general
    message.
    """
    assert explain_error(ValueError(message)) == words


def test_own_errors_are_shown_unchanged():
    """If lyncnb itself raises an error, users see its message unchanged."""
    assert (
        explain_error(NotAsStandard("its key is neither RSA nor ECDSA"))
        == "its key is neither RSA nor ECDSA"
    )
