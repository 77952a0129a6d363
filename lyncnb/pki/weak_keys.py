"""Which RSA keys of others can be factored: what a public CA must refuse.

Source: CA/Browser Forum, Baseline Requirements 2.2.6, section 6.1.1.3. Debian's weak keys of 2008
are not looked for: that takes lists of them.
"""

from __future__ import annotations

from functools import cache
from math import isqrt

# Baseline Requirements 6.1.1.3: the CA tries a hundred rounds of Fermat's method.
_ROUNDS = 100

# A modulus from Infineon's library is a power of 65537 modulo every one of these primes; one of
# another library is that by a chance of one in 2**27 or less (CVE-2017-15361, 2017-10).
_GENERATOR = 65537
_PRIMES = (
    *(3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89),
    *(97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167),
)


def weakness(modulus: int) -> str:
    """Say why an RSA modulus can be factored; "" if nothing is known against it."""
    if all(modulus % prime in _powers(prime) for prime in _PRIMES):
        return "it was made by a library with a known flaw (ROCA, CVE-2017-15361)"
    if _has_close_factors(modulus):
        return "its two primes are too close to each other (Fermat's method finds them)"
    return ""


@cache
def _powers(prime: int) -> frozenset[int]:
    return frozenset(pow(_GENERATOR, exponent, prime) for exponent in range(prime))


def _has_close_factors(modulus: int) -> bool:
    middle = isqrt(modulus - 1) + 1  # rounded up
    for step in range(_ROUNDS):
        square = (middle + step) ** 2 - modulus
        if isqrt(square) ** 2 == square:
            return True
    return False
