"""Prepare a request folder for keys that are created on other computers.

This module creates no key and no CSR, and needs no passphrase. ``receive_requests`` receives the
CSRs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from ..authorities.import_requests import check_computer_name
from ..base.arguments import check_type
from ..checks.check_plan import check_plan
from ..errors import BundleError, Problem
from ..plan.model import CertificatePlan
from ..request_folder.bundle import RequestBundle
from ..request_folder.field_forms import SOME_COMPUTER
from ..request_folder.manifest import format_timestamp
from ..rules.findings import Finding
from .order import Order, make_order
from .run_preview import Preview, preview_changes
from .write import announce_changes, build_bundle, lock_for_writing, write_summary


def request_elsewhere(
    plan: CertificatePlan,
    folder: str | os.PathLike[str],
    *,
    computer: str = "",
    accept: Mapping[str, str] | None = None,
    renew: Sequence[str] = (),
    reason: str = "",
    findings: Sequence[Finding] | None = None,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> RequestBundle:
    """Prepare a request folder for keys that computers with the administrative tools create.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates. Those with a usage are requested elsewhere; the others are planned, and
        ``write_requests`` makes their keys in the same folder.
    folder : path
        Created if missing. Keys that are already in the folder remain there.
    computer : str, optional
        The computer that will make the requests, if it is known.
    accept, findings
        As for ``write_requests``.
    renew : sequence of str, optional
        Ids, or their beginnings, of requests to renew although nothing changed.
    reason : str, optional
        The reason; required with `renew`.
    today : date, optional
        Recorded instead of the present time, for results that can be repeated.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    RequestBundle
        With what was done for each request, and why. The same plan again changes no byte.

    Raises
    ------
    PlanRejected
        If the plan has errors that are not accepted.
    OptionsError
        If `computer` is not a valid name, or a renewal has no reason.
    BundleError
        If the folder needs attention; then nothing was changed.

    Notes
    -----
    Source: Microsoft, Request certificates in advance (optional) for Lync Server 2013, 2014-07-23.
    """
    check_type("accept", accept, Mapping, None)
    path = Path(folder)
    check_computer_name(computer)
    order = make_order(
        plan,
        findings=check_plan(plan) if findings is None else findings,
        accept=accept,
        renew=renew,
        reason=reason,
        now=format_timestamp(today),
        key_holders={
            item.id: computer or SOME_COMPUTER for item in plan.certificates if item.usages
        },
    )
    return announce_order(path, order, lock_seconds=lock_seconds)


def announce_order(folder: Path, order: Order, *, lock_seconds: float = 10.0) -> RequestBundle:
    """Record the requests that other computers create. This needs no passphrase."""
    preview = _preview_order(folder, order)
    if preview.is_quiet:
        return build_bundle(preview, preview.manifest)
    with lock_for_writing(folder, order, lock_seconds):
        preview = _preview_order(folder, order)
        announce_changes(preview)
        manifest = preview.manifest
        if preview.has_stale_summary:
            manifest = write_summary(preview, manifest)
    return build_bundle(preview, manifest)


def _preview_order(folder: Path, order: Order) -> Preview:
    preview = preview_changes(folder, order, None)
    # Only the command that created the keys of an interrupted run can continue with them, because
    # checking whether a key belongs to its CSR requires the passphrase.
    problems = [
        Problem(message="key and CSR from an interrupted lyncnb command", file=record.files.key)
        for record in preview.manifest.requests
        if record.is_written
        and not record.key_holder
        and not preview.before.by_id[record.id].is_written
    ]
    if problems:
        raise BundleError(
            f"{folder}: an earlier command was interrupted, so lyncnb changed nothing",
            problems=tuple(problems[:20]),
            hint="complete the interrupted command first: lyncnb request TOPOLOGY FOLDER",
        )
    return preview
