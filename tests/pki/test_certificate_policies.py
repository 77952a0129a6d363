"""Each chain of NIST's Public Key Interoperability Test Suite is evaluated as NIST expects.

The suite's cases that only a CRL decides are left out, and so is DSA, which current servers do not
support.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest

from lyncnb.pki.certificates import BadCertificate, read_certificate
from lyncnb.pki.chain import Issuers, build_path
from lyncnb.rules.returned_rules import list_returned_checks

PLACE = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data" / "certs"
DAY = datetime(2020, 1, 1, tzinfo=UTC)
#: Cases that are invalid only because of a CRL, or that use DSA.
OTHERWISE = re.compile(
    "CRL|Delta|delta|Revoked|distributionPoint|onlyS|onlyC|DSA|LongSerialNumberTest18"
    "|NegativeSerialNumberTest15|NewWithOldTest5|OldWithNewTest2|cRL"
)
NAMES = sorted(path.stem for path in PLACE.glob("*EE.crt"))
VALID = [name for name in NAMES if name.startswith("Valid") and "DSA" not in name]
INVALID = [name for name in NAMES if name.startswith("Invalid") and not OTHERWISE.search(name)]


@cache
def issuers() -> Issuers:
    found = []
    for path in PLACE.glob("*.crt"):
        if not path.stem.endswith("EE"):
            try:
                found.append(read_certificate(path.read_bytes()))
            except BadCertificate:
                assert "DSA" in path.stem
    return Issuers(found)


def is_good(name: str) -> bool:
    """Return whether a certificate is valid at this time and its chain is complete and without
    errors.
    """
    certificate = read_certificate((PLACE / f"{name}.crt").read_bytes())
    path = build_path(certificate, issuers(), today=DAY)
    errors = [
        one for one in path.objections if list_returned_checks()[one.code].severity == "error"
    ]
    return path.is_complete and not errors and certificate.is_valid_at(DAY)


@pytest.mark.parametrize("name", VALID)
def test_what_nist_calls_valid_is_good(name):
    """Chains that NIST calls valid are accepted.

    Policies, mappings and limits are processed, critical or not.
    """
    assert is_good(name)


@pytest.mark.parametrize("name", INVALID)
def test_what_nist_calls_invalid_is_not(name):
    """Chains that NIST calls invalid are rejected: missing policies, prohibited mappings and every
    other fault.
    """
    assert not is_good(name)


def test_suite_is_complete():
    """The test suite is complete: it has the expected number of chains of each kind."""
    assert (len(VALID), len(INVALID)) == (86, 67)
