"""Generate, load, check, and compare private keys, without writing files."""

from __future__ import annotations

import hashlib
from functools import cache
from math import isqrt

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ..base.certificate_fields import KeyParameters
from ..errors import BundleError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_CURVES: dict[int, ec.EllipticCurve] = {
    256: ec.SECP256R1(),
    384: ec.SECP384R1(),
    521: ec.SECP521R1(),
}


def generate_key(parameters: KeyParameters) -> PrivateKey:
    """Generate a private key: an RSA key with exponent 65537, or a key on a NIST curve.

    RSA generation releases the GIL (cryptography 47 and later), so threads work in parallel.
    """
    if parameters.algorithm == "RSA":
        return rsa.generate_private_key(65537, parameters.bits)
    return ec.generate_private_key(_CURVES[parameters.bits])


def find_key_parameters(key: PublicKey | PrivateKey) -> tuple[str, int]:
    """Return the algorithm and the size of a key in bits, for example ``("RSA", 2048)``."""
    rsa_key = isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey)
    return ("RSA" if rsa_key else "ECDSA"), key.key_size


def find_key_difference(key: PublicKey) -> str:
    """Return how a key differs from the keys that lyncnb generates, or "" if it does not.

    A key from a file must be as strong as a generated key. With a small exponent, a different size,
    or a different curve, servers or CAs could reject the key, or it would be weaker than planned.
    """
    if isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        if exponent != 65537:
            return f"the exponent of the key is {exponent}, but planned keys use the exponent 65537"
    elif key.curve.name not in {curve.name for curve in _CURVES.values()}:
        return f"the curve of the key is {key.curve.name}, which you cannot use in a plan"
    try:
        algorithm, bits = find_key_parameters(key)
        KeyParameters(algorithm=algorithm, bits=bits)
    except ValueError as error:
        return str(error)
    return ""


def compute_spki_sha256(key: PublicKey | PrivateKey) -> str:
    """Return the fingerprint of a public key: the SHA-256 of its SubjectPublicKeyInfo.

    Source: RFC 5280 section 4.1.2.7 for the structure, RFC 7469 section 2.4 for the choice.
    """
    return hashlib.sha256(_encode_spki(key)).hexdigest()


def is_key_pair(key: PrivateKey, public_key: PublicKey) -> bool:
    """Return whether a public key and a private key form a pair."""
    return _encode_spki(key) == _encode_spki(public_key)


def _encode_spki(key: PublicKey | PrivateKey) -> bytes:
    if isinstance(key, PrivateKey):
        key = key.public_key()
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def to_pkcs8(key: PrivateKey) -> bytes:
    """Return a key as unencrypted DER (RFC 5958), which the caller must encrypt."""
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def read_pkcs8(der: bytes, *, name: str = "the key") -> PrivateKey:
    """Load a private key without the slow test of whether its factors are prime.

    Raises
    ------
    ValueError
        If the data is not a key, for example after decryption with a wrong passphrase.
    BundleError
        If the key has another type, or the numbers in the key do not match.
    """
    try:
        key = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm:
        raise build_damaged_error(name, "is not an RSA or ECDSA key") from None
    if not isinstance(key, PrivateKey):
        raise build_damaged_error(name, "is not an RSA or ECDSA key")
    if not _is_consistent(key):
        raise build_damaged_error(
            name, ("is damaged, because the values in the private key do not match each other")
        )
    return key


def _is_consistent(key: PrivateKey) -> bool:
    """Return whether the numbers in a private key match each other (RFC 8017 section 3.2).

    Without this check, a changed block in the middle of a CBC text would not be detected.
    """
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.private_numbers()
        derived_key = ec.derive_private_key(point.private_value, key.curve)
        return derived_key.public_key().public_numbers() == point.public_numbers
    numbers = key.private_numbers()
    p, q, d, public = numbers.p, numbers.q, numbers.d, numbers.public_numbers
    return (
        min(p, q) > 2
        and p * q == public.n
        and d * public.e % (p - 1) == 1 == d * public.e % (q - 1)
        and (numbers.dmp1, numbers.dmq1) == (d % (p - 1), d % (q - 1))
        and numbers.iqmp * q % p == 1
    )


def build_damaged_error(name: str, problem: str) -> BundleError:
    """Return the error for a damaged key file."""
    return BundleError(
        f"{name} {problem}",
        hint=(
            "restore the file from a backup. If you create a new key, you also need a "
            "new certificate"
        ),
    )


# The number of rounds of Fermat's method that CAs perform (Baseline Requirements 6.1.1.3).
_ROUNDS = 100

# With these primes, lyncnb recognizes RSA keys from Infineon's library: their modulus is a power of
# 65537 modulo each prime. A modulus from another library has this property with a probability of at
# most 2**-27 (CVE-2017-15361, 2017-10).
_GENERATOR = 65537
_PRIMES = (
    *(3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89),
    *(97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167),
)


def find_modulus_weakness(modulus: int) -> str:
    """Return why an RSA modulus can be factored, or "". Public CAs reject such keys.

    Source: CA/Browser Forum, Baseline Requirements 2.2.6, section 6.1.1.3. This check does not
    find Debian's weak keys of 2008, because that needs lists of them.
    """
    if all(modulus % prime in _list_powers(prime) for prime in _PRIMES):
        return (
            "the key was generated by a library with a known vulnerability (ROCA, CVE-2017-15361)"
        )
    if _has_close_factors(modulus):
        return (
            "the two primes of the key are too close to each other, so Fermat's "
            "factorization method finds them"
        )
    return ""


@cache
def _list_powers(prime: int) -> frozenset[int]:
    return frozenset(pow(_GENERATOR, exponent, prime) for exponent in range(prime))


def _has_close_factors(modulus: int) -> bool:
    middle = isqrt(modulus - 1) + 1  # The square root is rounded up.
    for step in range(_ROUNDS):
        square = (middle + step) ** 2 - modulus
        if isqrt(square) ** 2 == square:
            return True
    return False
