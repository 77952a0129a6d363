"""Check that the manifest's entries match the requests that were created from them.

An entry determines the CA for a request and the expected values in the certificate. This module
compares the public key and the names in an entry with the CSR. A CSR does not specify its CA, so
the CA is compared with the plan in the folder and with the digest of this plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..base.disk import files
from ..errors import BundleError, Problem
from ..pki.csr import CertificationRequest, parse_request
from ..request_folder.entries import PLACE
from ..request_folder.files_on_disk import compute_csr_sha256
from ..request_folder.manifest import Manifest
from ..request_folder.plan_file import PLAN_NAME, read_entries, read_plan_bytes
from ..request_folder.request_record import RequestRecord
from .evaluation.compare_request import compare_request
from .read_plan import compute_recorded_digest

_HINT = "restore record/ from a backup, or run this command again: lyncnb request TOPOLOGY FOLDER"
_NAMES = frozenset(
    {"request-common-name-differs", "request-names-missing", "request-names-added"}
    | {"request-subject-differs"}
)


def find_altered_entries(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Return the manifest entries that differ from their requests.

    ``find_record_problems`` reports a CSR that is missing or that differs from the record.
    """
    for record in manifest.requests:
        request = _read_request(folder, record)
        if request is not None:
            yield from _compare_entry(record, request)
    yield from _compare_issuers(folder, manifest)


def _read_request(folder: Path, record: RequestRecord) -> CertificationRequest | None:
    path = folder / record.files.csr
    try:
        data = files.read_file(path) if record.is_written and path.is_file() else b""
        if not data or compute_csr_sha256(data) != record.csr_sha256:
            return None
        return parse_request(data, name=record.files.csr)
    except BundleError:
        return None


def _compare_entry(record: RequestRecord, request: CertificationRequest) -> Iterator[Problem]:
    if request.spki_sha256 != record.spki_sha256:
        message = (
            f"{record.id}: the public key on record differs from the public key in "
            f"{record.files.csr}"
        )
        yield Problem(message=message, file=f"{PLACE}/", hint=_HINT)
    if record.key_holder:
        # Another tool created the request. The user accepted its differences when lyncnb received
        # it.
        return
    for wrong in compare_request(request.content, record.plan):
        if wrong.code in _NAMES:
            message = (
                f"{record.id}: the entry on record differs from {record.files.csr}: {wrong.message}"
            )
            yield Problem(message=message, file=f"{PLACE}/", hint=_HINT)


def _compare_issuers(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    issuers_by_id: dict[str, str] = {}
    with suppress(
        BundleError
    ):  # The function ``find_plan_problems`` reports a plan that differs from the manifest.
        entries = read_entries(read_plan_bytes(folder, manifest)).certificates
        issuers_by_id = {entry.id: entry.issuer for entry in entries}
    is_named = False
    for record in manifest.requests:
        before, now = issuers_by_id.get(record.id, ""), record.plan.issuer
        if record.state != "retired" and before and now and before != now:
            is_named = True
            message = (
                f"{record.id}: the issuer on record is {now}, but the issuer in "
                f"{PLAN_NAME} is {before}"
            )
            yield Problem(message=message, file=f"{PLACE}/", hint=_HINT)
    digest = compute_recorded_digest(manifest) if manifest.plan_sha256 else ""
    if digest and digest != manifest.plan_sha256 and not is_named:
        message = (
            f"the plan digest computed from the entries on record is {digest[:12]}…, but the "
            f"digest of the requested plan is {manifest.plan_sha256[:12]}…"
        )
        yield Problem(message=message, file=f"{PLACE}/", hint=_HINT)
