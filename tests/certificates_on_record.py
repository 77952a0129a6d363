"""Create request folders in memory, in which each planned certificate has a recorded issued
certificate.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import lyncnb as ln
from lyncnb.base.planned_entry import PlannedEntry, PlannedKey
from lyncnb.plan.model import PlannedCertificate, build_certificate_document
from lyncnb.request_folder.manifest import Manifest
from lyncnb.request_folder.request_record import IssuedRecord, RequestRecord, list_current_files

Life = tuple[datetime, datetime]


def bundle_of(plan: ln.CertificatePlan, life: Callable[[PlannedCertificate], Life | None]):
    """Return a request folder for a plan, in which every certificate is recorded as issued.

    ``life`` returns the first and last second of a certificate's validity.
    """
    return ln.RequestBundle(
        folder=Path("requests"),
        manifest=Manifest(
            product=plan.rules.product,
            requests=tuple(
                _record(certificate, life(certificate)) for certificate in plan.certificates
            ),
        ),
    )


def _record(certificate: PlannedCertificate, life: Life | None) -> RequestRecord:
    document = build_certificate_document(certificate)
    key = PlannedKey(algorithm=certificate.key.algorithm, bits=certificate.key.bits)
    lists = {name: tuple(document[name]) for name in ("servers", "usages", "san", "eku")}
    entry = PlannedEntry(**{**document, **lists, "key": key})
    return RequestRecord(
        id=certificate.id,
        state="issued" if life else "waiting",
        files=list_current_files(certificate.id),
        written_at="2026-11-25T00:00:00Z",
        plan=entry,
        issued=_issued(life) if life else None,
    )


def _issued(life: Life) -> IssuedRecord:
    begins, ends = (f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for moment in life)
    return IssuedRecord(
        file="", chain="", serial="01", thumbprint_sha1="", sha256="",
        not_before=begins, not_after=ends, received_at=begins,
    )  # fmt: skip
