"""lyncnb's path validation returns the expected result for each chain in NIST's Public Key
Interoperability Test Suite.

The module omits the cases that depend on a CRL, and the cases with DSA, which current servers do
not support.
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
#: These chains are not tested. A CRL makes them invalid, or they use DSA.
OTHERWISE = re.compile(
    "CRL|Delta|delta|Revoked|distributionPoint|onlyS|onlyC|DSA|LongSerialNumberTest18"
    "|NegativeSerialNumberTest15|NewWithOldTest5|OldWithNewTest2|cRL"
)
NAMES = sorted(path.stem for path in PLACE.glob("*EE.crt"))
VALID = [name for name in NAMES if name.startswith("Valid") and "DSA" not in name]
INVALID = [name for name in NAMES if name.startswith("Invalid") and not OTHERWISE.search(name)]


@cache
def issuers() -> Issuers:
    certificates = []
    for path in PLACE.glob("*.crt"):
        if not path.stem.endswith("EE"):
            try:
                certificates.append(read_certificate(path.read_bytes()))
            except BadCertificate:
                assert "DSA" in path.stem
    return Issuers(certificates)


def is_good(name: str) -> bool:
    """Return whether a certificate is valid at the test time, and whether its chain is complete and
    has no errors.
    """
    certificate = read_certificate((PLACE / f"{name}.crt").read_bytes())
    path = build_path(certificate, issuers(), today=DAY)
    errors = [
        objection
        for objection in path.objections
        if list_returned_checks()[objection.code].severity == "error"
    ]
    return path.is_complete and not errors and certificate.is_valid_at(DAY)


@pytest.mark.parametrize("name", VALID)
def test_valid_chains_of_nist_are_accepted(name):
    """Chains that are valid according to NIST are accepted.

    Policies, mappings and limits are processed, critical or not.
    """
    assert is_good(name)


@pytest.mark.parametrize("name", INVALID)
def test_invalid_chains_of_nist_are_rejected(name):
    """Chains that are invalid according to NIST are rejected, for example because a policy is
    missing or a mapping is prohibited.
    """
    assert not is_good(name)


def test_suite_is_complete():
    """The test suite contains the expected numbers of valid and invalid chains."""
    assert (len(VALID), len(INVALID)) == (86, 67)
