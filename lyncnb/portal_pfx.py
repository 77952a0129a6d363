"""A PFX that a portal hands out: its certificates, and whose key it holds.

Some portals make the key themselves, or wrap the CSR's key with the answer. lyncnb needs neither:
the certificates are taken, the key is compared by its public half and dropped. This is the only
file that opens a PFX of somebody else.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from .asn1 import BadStructure, largest_work_factor
from .keys import PrivateKey, spki_sha256
from .passphrase import Secret

#: OWASP asks for 600,000 rounds; a file that asks for a hundred times that only keeps us busy.
MAX_ROUNDS = 5_000_000


class PfxNotOpened(ValueError):
    """The PFX cannot be opened; the text says why and never holds the password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PfxContents:
    """DER certificates, the key's own first, and the SHA-256 of the key's public half.

    ``key_spki_sha256`` is empty if there is no key, ``unknown`` if it is of a kind that lyncnb
    never makes.
    """

    certificates: tuple[bytes, ...]
    key_spki_sha256: str


def open_pfx(data: bytes, password: Secret | str | None) -> PfxContents:
    """Open a PFX.

    Parameters
    ----------
    data : bytes
        The file.
    password : Secret, str or None
        None and the empty text open files that have none.

    Returns
    -------
    PfxContents
        The key itself does not leave this function.

    Raises
    ------
    PfxNotOpened
        If the password is wrong, the encryption unknown, or the file asks for too much work.
    """
    try:
        rounds = largest_work_factor(data)
    except BadStructure as error:
        raise PfxNotOpened(f"it is damaged: {error}") from None
    if rounds > MAX_ROUNDS:
        raise PfxNotOpened(f"it asks for {rounds:,} rounds of its password hash")
    text = password.reveal() if isinstance(password, Secret) else password
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyca announces that it will refuse BER one day
            found = pkcs12.load_pkcs12(data, text.encode() if text else None)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        # pyca cannot tell a wrong password from a damaged file or from a cipher it does not know.
        if text:
            raise PfxNotOpened("the password is wrong, or the file is damaged") from None
        raise PfxNotOpened("it has a password, and none was given") from None
    own = [found.cert.certificate] if found.cert else []
    others = [entry.certificate for entry in found.additional_certs]
    return PfxContents(
        certificates=tuple(one.public_bytes(Encoding.DER) for one in (*own, *others)),
        key_spki_sha256=_fingerprint(found.key),
    )


def _fingerprint(key: object) -> str:
    if key is None:
        return ""
    return spki_sha256(key) if isinstance(key, PrivateKey) else "unknown"
