"""A planned certificate as a request folder keeps it, and as certificates are held against it."""

from __future__ import annotations

from ..plan.model import PlannedCertificate
from ..request_folder.request_record import PlannedEntry, PlannedKey


def planned_entry(certificate: PlannedCertificate) -> PlannedEntry:
    """Write a planned certificate as the manifest keeps it: its entry of the plan document."""
    return PlannedEntry(
        id=certificate.id,
        role=certificate.role,
        site=certificate.site,
        pool=str(certificate.pool),
        servers=tuple(map(str, certificate.servers)),
        usages=certificate.usages,
        subject=dict(certificate.subject.fields()),
        san=tuple(map(str, certificate.names)),
        eku=certificate.extended_key_usage,
        issuer=certificate.issuer,
        key=PlannedKey(algorithm=certificate.key.algorithm, bits=certificate.key.bits),
        hash=certificate.hash,
        shared_by=certificate.shared_by,
        at_set_up=certificate.at_set_up,
    )
