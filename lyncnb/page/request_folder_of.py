"""Create the files of a new request folder when the planner page itself creates the keys.

The page makes keys and CSRs in the browser (``keys.js``). This module has no passphrase and no key:
it returns what the page requests, and writes the other files from the hashes in the CSRs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..authorities.summary_files import list_summary_files, record_summary_files
from ..base.certificate_fields import EXTENDED_KEY_USAGES, SUBJECT_OIDS
from ..base.request_content import RequestContent, check_content
from ..export.changes import (
    decide_changes,
    record_plan,
    record_written_requests,
    reject_late_requests,
)
from ..export.order import Order, make_order
from ..pki.passphrase import DERIVED_BYTES, NEW_RULES, ROUNDS, SALT_BYTES
from ..plan.model import CertificatePlan, build_request_content
from ..reports.summary.from_plan import build_summary, list_ids_in_order
from ..request_folder.entries import PLACE, build_entry
from ..request_folder.folder_location import IGNORE_ALL, IGNORE_NAME
from ..request_folder.manifest import (
    MARKER,
    NAME,
    SUMMARY_HASHES,
    Manifest,
    build_change,
    encode_summary_hashes,
)
from ..request_folder.plan_file import PLAN_NAME
from ..request_folder.request_record import BindingKey, RequestRecord
from ..rules.findings import Finding

# A browser does not know the name of the user, and the page does not know the name of the computer.
_WRITER = ("somebody", "planner page")
# The placeholders that the page replaces. They have the form of a hash and of a salt.
_UNKNOWN = "0" * 64
_BINDING_KEY = BindingKey(
    salt="00" * SALT_BYTES, rounds=ROUNDS, hash="sha256", length=DERIVED_BYTES
)


def prepare_folder(
    plan: CertificatePlan,
    now: str,
    *,
    findings: Sequence[Finding],
    accept: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the data that the page needs to create keys and CSRs for a new request folder.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    now : str
        The time to record, UTC, ISO 8601 with seconds.
    findings : sequence of Finding
        The findings of the plan.
    accept : mapping of str to str, optional
        Codes of error findings to accept, with the reason for each.

    Returns
    -------
    dict
        JSON values: the content of each request in ``requests``, and the rules for the passphrase.

    Raises
    ------
    PlanRejected
        If the plan has errors that are not accepted.
    PlanError, OptionsError
        As :func:`lyncnb.export.order.make_order`, or if a request cannot be created.
    """
    order = _make_order(plan, now, findings, accept)
    manifest = _build_announced_manifest(order, order.build_plan_file(b""))
    for request in order.wanted:
        check_content(build_request_content(request.certificate))
    certificates = {request.id: request.certificate for request in order.wanted}
    return {
        "requests": [
            _build_request_values(record, build_request_content(certificates[record.id]))
            for record in manifest.requests
            if record.needs_writing
        ],
        "passphrase": {**NEW_RULES, "known": list(plan.known_words)},
        "derivation": {"rounds": ROUNDS, "salt": SALT_BYTES, "bytes": DERIVED_BYTES},
    }


def build_folder_files(
    plan: CertificatePlan,
    now: str,
    written_requests: Mapping[str, Mapping[str, str]],
    *,
    findings: Sequence[Finding],
    accept: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return all files of a new request folder except the CSRs and keys.

    The entry of the record has placeholders for what depends on the passphrase: ``key_sha256`` and
    ``binding`` of each request, and the salt of ``binding_key``. So its name changes, too.

    Parameters
    ----------
    plan, now, findings, accept
        As for :func:`prepare_folder`.
    written_requests : Mapping
        ``csr_sha256`` and ``spki_sha256`` of each request, by id.

    Returns
    -------
    dict of str to str
        The base64 of each file, by its path in the folder.

    Raises
    ------
    PlanRejected, PlanError, OptionsError
        As for :func:`prepare_folder`.
    """
    order = _make_order(plan, now, findings, accept)
    plan_file = order.build_plan_file(b"")
    hashes = {
        name: {
            "csr_sha256": request["csr_sha256"],
            "spki_sha256": request["spki_sha256"],
            "key_sha256": _UNKNOWN,
            "binding": _UNKNOWN,
        }
        for name, request in written_requests.items()
    }
    manifest = record_written_requests(_build_announced_manifest(order, plan_file), hashes, now=now)
    if hashes:
        manifest = replace(manifest, binding_key=_BINDING_KEY)
    summary = build_summary(order.plan, order.list_reported_findings(plan_file), pictures=True)
    tables = dict(list_summary_files(manifest, summary))
    manifest = record_summary_files(
        manifest, {name: hashlib.sha256(data).hexdigest() for name, data in tables.items()}
    )
    events = build_change(Manifest(), manifest)
    name, entry, _ = build_entry(events, number=1, at=now, user=_WRITER, command="request")
    files = {
        IGNORE_NAME: IGNORE_ALL,
        SUMMARY_HASHES: encode_summary_hashes(manifest),
        NAME: MARKER,
        f"{PLACE}/{name}": entry,
        PLAN_NAME: plan_file,
        **tables,
    }
    return {name: base64.b64encode(data).decode("ascii") for name, data in files.items()}


def _make_order(
    plan: CertificatePlan,
    now: str,
    findings: Sequence[Finding],
    accept: Mapping[str, str] | None,
) -> Order:
    return make_order(plan, findings=findings, accept=accept, renew=(), reason="", now=now)


def _build_announced_manifest(order: Order, plan_file: bytes) -> Manifest:
    """Return the manifest that records a new folder's requests before their keys are created."""
    empty = Manifest()
    announced, _ = decide_changes(empty, order.wanted, now=order.now, cover_date=order.covered_on)
    reject_late_requests(order, empty, announced)
    recorded = record_plan(announced, empty, order, plan_file, is_same_plan=False)
    return recorded.with_new_numbers(list_ids_in_order(order.plan))


def _build_request_values(record: RequestRecord, content: RequestContent) -> dict[str, Any]:
    """Return the content of a request with object identifiers in place of names."""
    return {
        "id": record.id,
        "generation": record.generation,
        "subject": [[SUBJECT_OIDS[short], value] for short, value in content.subject],
        "names": list(content.names),
        "extended_key_usage": [
            EXTENDED_KEY_USAGES.get(name, name) for name in content.extended_key_usage
        ],
        "key_usage": list(content.key_usage),
        "key_algorithm": content.key_algorithm,
        "key_bits": content.key_bits,
        "hash": content.hash,
    }
