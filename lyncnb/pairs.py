"""One planned request to a finished pair of key and CSR, here or on another machine.

Module-level functions and plain data only, so that any executor can take them to its workers. On
this machine a pair comes back encrypted. From another machine the key comes back sealed to this
run, and everything is checked before it is encrypted: passphrase and derived key never travel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .base import workers
from .base.workers import WorkerProcesses
from .errors import BundleError
from .pki import keys
from .pki.csr import (
    CertificationRequest,
    RequestContent,
    build_request,
    content_differences,
    parse_request,
)
from .pki.hpke import RunKey, seal
from .pki.passphrase import VARIABLE
from .pki.pkcs8 import Encryptor

if TYPE_CHECKING:
    from .plan.model import PlannedCertificate

_COMMAND = "from lyncnb import pairs; pairs.serve()"

Encrypt = Callable[[keys.PrivateKey], bytes]


class FinishedPair(NamedTuple):
    """A key and its request, ready to be written.

    ``key_pem`` is encrypted; the two SHA-256 are as in :class:`csr.CertificationRequest`.
    """

    id: str
    key_pem: bytes
    csr_pem: bytes
    spki_sha256: str
    csr_sha256: str


def make_pair(name: str, content: RequestContent, encrypt: Encrypt) -> FinishedPair:
    """Make a key and the request for it, checked against each other and the plan.

    ``encrypt`` writes the key; it is called last, and may take its time at first.
    """
    key = keys.generate_key(content.key)
    return _pair(name, key, build_request(content, key), encrypt)


def _pair(
    name: str, key: keys.PrivateKey, request: CertificationRequest, encrypt: Encrypt
) -> FinishedPair:
    return FinishedPair(name, encrypt(key), request.pem, request.spki_sha256, request.csr_sha256)


def make_sealed(name: str, content: RequestContent, public: bytes) -> tuple[bytes, bytes]:
    """Make a pair on a machine that must not keep the key.

    Parameters
    ----------
    name : str
        Id of the request; the key is sealed for it.
    content : RequestContent
        What to ask for.
    public : bytes
        Public half of the run's key, 32 bytes.

    Returns
    -------
    tuple of bytes
        The sealed PKCS #8 key, and the request (DER).
    """
    key = keys.generate_key(content.key)
    request = build_request(content, key)
    return seal(keys.to_pkcs8(key), public=public, about=name), request.der


def open_sealed(
    name: str, content: RequestContent, answer: object, *, run_key: RunKey, encryptor: Encryptor
) -> FinishedPair:
    """Open, check and encrypt what :func:`make_sealed` returned.

    Raises
    ------
    BundleError
        If the answer is not a key and a request that belong together and to the plan.
    """
    match answer:
        case (bytes() as sealed, bytes() as der):
            pass
        case _:
            raise _wrong(name, f"a {type(answer).__name__} instead of a key and a request")
    request = parse_request(der, name=f"the request that a worker sent for {name}")
    if changes := content_differences(content, request.content):
        raise _wrong(name, f"a request that is not the planned one ({'; '.join(changes)})")
    if not request.signature_verifies():
        raise _wrong(name, "a request whose signature does not verify")
    try:
        key = keys.read_pkcs8(run_key.open(sealed, about=name), name=f"the key of {name}")
    except ValueError:
        raise _wrong(name, "something that is no key") from None
    if not keys.public_matches(key, request.public_key):
        raise _wrong(name, "a key that does not belong to its request")
    return _pair(name, key, request, encryptor.encrypt)


def _wrong(name: str, what: str) -> BundleError:
    return BundleError(
        f"a worker sent {what} for {name}",
        hint="all workers need the same version of lyncnb; do without the one that is to blame",
    )


def pair_workers(count: int, encryptor: Encryptor) -> WorkerProcesses:
    """Give processes of this machine whose tasks are sequences of arguments of `make_pair`."""
    return WorkerProcesses(count, encryptor, command=_COMMAND, hidden=VARIABLE)


def serve() -> None:
    """Make pairs for another process; what a worker process runs."""
    workers.serve(_make_pairs)


def _make_pairs(opening: tuple) -> Callable[[tuple], tuple]:
    encryptor = Encryptor(*opening)
    return lambda one: tuple(make_pair(*one, encryptor.encrypt))


# RSA: digitalSignature for ECDHE_RSA, keyEncipherment for the RSA key exchange (RFC 5246 section
# 7.4.2 asks for each where the extension is there). An ECDSA key only signs: RFC 8813 section 3
# forbids keyEncipherment for it.
_KEY_USAGE = {"RSA": ("digitalSignature", "keyEncipherment"), "ECDSA": ("digitalSignature",)}


def content_of(certificate: PlannedCertificate) -> RequestContent:
    """Tell what the request for a planned certificate must hold."""
    return RequestContent(
        subject=certificate.subject.fields(),
        names=tuple(str(entry.name) for entry in certificate.subject_alt_name),
        extended_key_usage=tuple(certificate.extended_key_usage),
        key_usage=_KEY_USAGE[certificate.key.algorithm],
        key_algorithm=certificate.key.algorithm,
        key_bits=certificate.key.bits,
        hash=certificate.hash,
    )
