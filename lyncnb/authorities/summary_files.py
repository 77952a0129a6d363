"""The summary files of a request folder: written with the requests, told anew when one comes back.

``manifest.summary`` says what they were made of: ``shows`` is over all that the plan has to tell,
``requests`` over what is on record of the requests, ``kept`` the summary itself, so that a command
that has the folder and no plan can write them again; the rest are the SHA-256 of the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

from ..base import files
from ..plan.summary import write_summary
from ..plan.summary_content import Summary
from ..plan.summary_on_record import MOST_KEPT, from_text, to_text
from ..plan.summary_progress import progress_digest, with_requests
from ..request_folder.files_on_disk import SUMMARY_NAMES
from ..request_folder.manifest import Manifest
from .judging import accepted_on_record


def write_summary_files(
    folder: Path, manifest: Manifest, summary: Summary, *, shows: str
) -> Manifest:
    """Write the summary of a folder in its four forms; the caller holds the lock.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        With the n requests that the summary tells of.
    summary : Summary
        Of the plan, with its pictures.
    shows : str
        Digest of what the plan has to tell.

    Returns
    -------
    Manifest
        With what was written, to be saved. Interrupted before that, the hashes on record do not
        fit, and the next run writes the files again.
    """
    told = {"shows": shows, "requests": summary_progress(manifest)}
    if sum(len(block.members) for block in summary.blocks) <= MOST_KEPT:
        told["kept"] = to_text(summary)
    whole = _with_record(summary, manifest)
    for name in SUMMARY_NAMES:  # one file in memory at a time
        data = write_summary(whole, "." + name.rpartition(".")[2])
        files.replace(folder / name, data, 0o644)
        told[name] = hashlib.sha256(data).hexdigest()
    return replace(manifest, summary=told)


def _with_record(summary: Summary, manifest: Manifest) -> Summary:
    summary = replace(summary, approval=tuple(_approval(manifest)))
    return with_requests(summary, manifest.requests, accepted_on_record(manifest.requests))


def folder_summary(manifest: Manifest) -> Summary | None:
    """Return the summary of a folder as its files show it.

    Returns
    -------
    Summary or None
        None where no summary was kept: of more than 10,000 certificates, or by an earlier lyncnb.
    """
    summary = from_text(manifest.summary.get("kept", ""))
    return None if summary is None else _with_record(summary, manifest)


def planned_day(manifest: Manifest) -> date | None:
    """Give the day on which the CA is to issue, as far as the folder's summary has one."""
    summary = from_text(manifest.summary.get("kept", ""))
    return None if summary is None else summary.planned_issue_date


def summary_progress(manifest: Manifest) -> str:
    """Give a digest of what the summary files tell of the requests on record."""
    told = progress_digest(manifest.requests, accepted_on_record(manifest.requests))
    approval = tuple(_approval(manifest))
    if not approval:
        return told
    return hashlib.sha256(f"{told} {approval}".encode("utf-8", "replace")).hexdigest()


_IDS_NAMED = 10


def _approval(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Say which saved plan was requested last, and who approved it."""
    if not manifest.plans:
        return
    last = manifest.plans[-1]
    plan = (
        f"SHA-256 {last.sha256}, judged on {last.judged_on}, requested on {last.requested_at[:10]}"
    )
    if last.plan_sha256 != manifest.plan_sha256:
        plan += "; what is requested now is another plan, which nobody approved"
    yield "Saved plan", plan
    approvals = (
        f"{one.signer}, with the key {one.key}, verified on {one.verified_at[:10]}"
        for one in last.approvals
    )
    yield "Approved by", "; ".join(approvals) or "nobody: it was requested without a signature"
    if left := manifest.left_out_of_approved:
        ids = ", ".join(left[:_IDS_NAMED]) + (" …" if len(left) > _IDS_NAMED else "")
        yield "Approved, not requested", f"{ids}: the planner says that what stands serves"


def refresh_summary_files(folder: Path, manifest: Manifest) -> Manifest:
    """Write the summary anew if what is on record of the requests changed since.

    Returns
    -------
    Manifest
        To be saved; the same where there is nothing new, or where no summary was kept: of more
        than 10,000 certificates, or by an earlier lyncnb. There the next ``request`` writes it.
    """
    recorded = manifest.summary
    if recorded.get("requests") == summary_progress(manifest):
        return manifest
    summary = from_text(recorded.get("kept", ""))
    if summary is None:
        return manifest
    return write_summary_files(folder, manifest, summary, shows=recorded["shows"])
