"""Find the CAs that issued a folder's certificates, and detect certificates from another CA.

lyncnb has no trust store, so it uses the recorded certificates of each planned CA. It compares the
public key of the root, because a root that was renewed with the same key is the same root. If the
root is missing, it compares the topmost certificate: the issuer's name, the key identifier and, if
the issuer's certificate is available, the signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..base.pasted_text import shown
from ..pki.certificates import Certificate, NameKey, format_name
from ..pki.chain import Issuers, Path
from ..rules.returned_rules import Difference

#: The planned CA of a request: ``internal`` or ``public``, and the name of the CA if one is
#: specified.
PlannedCa = tuple[str, str]

OTHER_ROOT, OTHER_ISSUER = "issued-under-another-root", "issued-by-another-ca"


@dataclass(slots=True)
class CaOnRecord:
    """The recorded certificates that one planned CA issued, and the requests they belong to.

    The keys of ``roots`` are the public keys of all possible roots of a certificate (SHA-256).
    Certificates with the same issuing key have the same roots. ``tops`` are certificates whose root
    is missing; the keys are the issuer's name and key identifier.
    """

    roots: dict[frozenset[str], tuple[tuple[Certificate, ...], set[str]]] = field(
        default_factory=dict
    )
    tops: dict[tuple[NameKey, bytes], tuple[Certificate, set[str]]] = field(default_factory=dict)

    def add_path(self, request_id: str, certificate: Certificate, path: Path) -> None:
        """Record the possible roots of a certificate, or the highest known certificate."""
        if path.reaches_root:
            shows = self.roots.setdefault(path.root_keys, (path.roots, set()))[1]
        else:
            top = (certificate, *path.issuers)[-1]
            pair = (top.issuer_key, top.authority_key_id)
            shows = self.tops.setdefault(pair, (top, set()))[1]
        # Two request IDs for each CA certificate are enough. If ``exclude_request`` removes one of
        # them, the other still proves that the CA issued certificates.
        if len(shows) < 2:
            shows.add(request_id)

    def exclude_request(self, request_id: str) -> CaOnRecord:
        """Return a copy of this record without the certificates for one request."""
        return CaOnRecord(
            roots={key: entry for key, entry in self.roots.items() if entry[1] - {request_id}},
            tops={key: entry for key, entry in self.tops.items() if entry[1] - {request_id}},
        )


CasOnRecord = Mapping[PlannedCa, CaOnRecord]


def find_ca_difference(
    planned_ca: PlannedCa,
    certificate: Certificate,
    path: Path,
    ca_on_record: CaOnRecord,
    issuers: Issuers,
) -> Difference | None:
    """Return a finding if a certificate's CA differs from that of the folder's other certificates.

    Parameters
    ----------
    planned_ca : tuple of str
        The planned CA of the certificate.
    certificate, path
        The received certificate and its certification path.
    ca_on_record : CaOnRecord
        The recorded certificates of that CA.
    issuers : Issuers
        The CA certificates with the results of signature checks.

    Returns
    -------
    tuple of str, or None
        The code and the message; None if the CA is the same, or no CA is on record.
    """
    if not ca_on_record.roots and not ca_on_record.tops:
        return None
    if path.root_keys in ca_on_record.roots:
        return None
    top = (certificate, *path.issuers)[-1]
    if path.reaches_root and ca_on_record.roots:
        return OTHER_ROOT, (
            f"the certificate with serial number {certificate.serial_hex} chains to the "
            f"root {_join_roots(path.roots)}, but {_describe_other_certificates(planned_ca)} chain "
            f"to the root {_format_roots(ca_on_record)}"
        )
    for recorded, _ in ca_on_record.tops.values():
        if is_same_issuer(recorded, top, path, issuers):
            return None
    if path.reaches_root:
        names = _list_issuers(recorded for recorded, _ in ca_on_record.tops.values())
        return OTHER_ROOT, (
            f"the certificate with serial number {certificate.serial_hex} chains to the "
            f"root {_join_roots(path.roots)}, but {_describe_other_certificates(planned_ca)} chain "
            f"to {names}"
        )
    names = (
        _format_roots(ca_on_record)
        if ca_on_record.roots
        else _list_issuers(recorded for recorded, _ in ca_on_record.tops.values())
    )
    message = (
        f"the certificate with serial number {certificate.serial_hex} is issued by "
        f"{_read_issuer_name(top)}, whose CA certificate is missing; "
        f"{_describe_other_certificates(planned_ca)} are issued by "
        f"{names}"
    )
    return OTHER_ISSUER if planned_ca[0] == "public" else OTHER_ROOT, message


def is_same_issuer(
    recorded_certificate: Certificate,
    highest_certificate: Certificate,
    path: Path,
    issuers: Issuers,
) -> bool:
    """Return whether a path has the same issuer as a recorded certificate with an unknown root."""
    candidates = [
        issuer for issuer in path.issuers if issuer.subject_key == recorded_certificate.issuer_key
    ]
    if any(issuers.is_signed(recorded_certificate, issuer) for issuer in candidates):
        return True
    keys = (recorded_certificate.authority_key_id, highest_certificate.authority_key_id)
    is_alike = recorded_certificate.issuer_key == highest_certificate.issuer_key and (
        not all(keys) or keys[0] == keys[1]
    )
    return is_alike and not path.reaches_root


def _describe_other_certificates(planned_ca: PlannedCa) -> str:
    issuer, name = planned_ca
    return f"other certificates from the {issuer or 'same'} CA{f' {shown(name)}' if name else ''}"


def format_root(root: Certificate) -> str:
    """Return the subject and the SHA-256 of a root certificate.

    Two roots can have the same subject.
    """
    return f"{shown(format_name(root.subject))}, SHA-256 {root.sha256}"


def _format_roots(ca: CaOnRecord) -> str:
    return _join_roots(dict.fromkeys(root for roots, _ in ca.roots.values() for root in roots))


def _join_roots(roots: Iterable[Certificate]) -> str:
    return " or ".join([*map(format_root, roots)][:3])


def _read_issuer_name(certificate: Certificate) -> str:
    return shown(format_name(certificate.issuer))


def _list_issuers(certificates: Iterable[Certificate]) -> str:
    return " or ".join([*dict.fromkeys(map(_read_issuer_name, certificates))][:3])
