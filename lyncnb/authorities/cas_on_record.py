"""Which CAs a folder's certificates come from, and whether another certificate is under the same.

There is no trust store. What is on record for a planned CA is the evidence: the public key of the
root, for a root that was renewed with its key is the same root; without a root the certificate at
the top, by its issuer's name, key identifier and, where that issuer is at hand, its signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..base.pasted_text import shown
from ..pki.certificates import Certificate, NameKey, name_text
from ..pki.chain import Issuers, Path
from ..rules.returned_rules import Difference

#: The CA that was planned: ``internal`` or ``public``, and its own name where one is planned.
PlannedCa = tuple[str, str]

OTHER_ROOT, OTHER_ISSUER = "issued-under-another-root", "issued-by-another-ca"


@dataclass(slots=True)
class CaOnRecord:
    """What is on record for one planned CA; each entry with the requests that show it.

    ``roots`` are by the SHA-256 of their public key, ``tops`` are certificates whose root is not
    here, by their issuer's name and key identifier.
    """

    roots: dict[str, tuple[Certificate, set[str]]] = field(default_factory=dict)
    tops: dict[tuple[NameKey, bytes], tuple[Certificate, set[str]]] = field(default_factory=dict)

    def add(self, request_id: str, chain: Sequence[Certificate], *, is_complete: bool) -> None:
        """Note a certificate with the issuers that are above it."""
        top = chain[-1]
        if is_complete:
            shows = self.roots.setdefault(top.spki_sha256, (top, set()))[1]
        else:
            pair = (top.issuer_key, top.authority_key_id)
            shows = self.tops.setdefault(pair, (top, set()))[1]
        if len(shows) < 2:  # one besides the request itself is enough
            shows.add(request_id)

    def without(self, request_id: str) -> CaOnRecord:
        """Return what other requests show."""
        return CaOnRecord(
            roots={key: one for key, one in self.roots.items() if one[1] - {request_id}},
            tops={key: one for key, one in self.tops.items() if one[1] - {request_id}},
        )


CasOnRecord = Mapping[PlannedCa, CaOnRecord]


def other_ca(
    planned: PlannedCa, certificate: Certificate, path: Path, ca: CaOnRecord, issuers: Issuers
) -> Difference | None:
    """Return a finding if the CA of a certificate is not that of the folder's other certificates.

    Parameters
    ----------
    planned : tuple of str
        The CA that it was planned for.
    certificate, path
        What came, and its certification path.
    ca : CaOnRecord
        What other certificates show of that CA.
    issuers : Issuers
        Who signed what.

    Returns
    -------
    tuple of str, or None
        None if it is the same CA, or none is on record yet.
    """
    if not ca.roots and not ca.tops:
        return None
    top = (certificate, *path.issuers)[-1]
    if path.is_complete and ca.roots:
        if top.spki_sha256 in ca.roots:
            return None
        return OTHER_ROOT, (
            f"{_led(certificate, top)}, but {_whose(planned)} have the root {_roots(ca)}"
        )
    for recorded, _ in ca.tops.values():
        if is_same_issuer(recorded, top, path, issuers):
            return None
    if path.is_complete:
        names = _issuers(one for one, _ in ca.tops.values())
        return OTHER_ROOT, f"{_led(certificate, top)}, but {_whose(planned)} are issued by {names}"
    names = _roots(ca) if ca.roots else _issuers(one for one, _ in ca.tops.values())
    message = (
        f"the certificate with serial number {certificate.serial_hex} is issued by "
        f"{_issuer(top)}, whose CA certificate is missing; {_whose(planned)} are issued by "
        f"{names}"
    )
    return OTHER_ISSUER if planned[0] == "public" else OTHER_ROOT, message


def is_same_issuer(recorded: Certificate, top: Certificate, path: Path, issuers: Issuers) -> bool:
    """Whether a path has the issuer of a recorded certificate whose root is missing."""
    named = [one for one in path.issuers if one.subject_key == recorded.issuer_key]
    if any(issuers.signed(recorded, one) for one in named):
        return True
    keys = (recorded.authority_key_id, top.authority_key_id)
    is_alike = recorded.issuer_key == top.issuer_key and (not all(keys) or keys[0] == keys[1])
    return is_alike and not path.is_complete


def _led(certificate: Certificate, root: Certificate) -> str:
    return (
        f"the certificate with serial number {certificate.serial_hex} has the root "
        f"{fingerprint(root)}"
    )


def _whose(planned: PlannedCa) -> str:
    issuer, name = planned
    return f"other certificates of the {issuer or 'same'} CA{f' {shown(name)}' if name else ''}"


def fingerprint(root: Certificate) -> str:
    """Return a root's name and fingerprint; the name alone does not identify it."""
    return f"{shown(name_text(root.subject))}, SHA-256 {root.sha256}"


def _roots(ca: CaOnRecord) -> str:
    return " or ".join(fingerprint(one) for one, _ in [*ca.roots.values()][:3])


def _issuer(certificate: Certificate) -> str:
    return shown(name_text(certificate.issuer))


def _issuers(certificates: Iterable[Certificate]) -> str:
    return " or ".join([*dict.fromkeys(map(_issuer, certificates))][:3])
