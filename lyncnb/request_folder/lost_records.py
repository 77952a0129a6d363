"""Recover data that is stored only in the manifest if the manifest is damaged or missing.

Keys and CSRs do not contain the servers, but ``plan.json`` does. None of these files shows the
saved plan and its approver, or the requests that installed certificates cover. Complete lines of a
damaged manifest may still contain this data. The summary files also show it to the planner, who can
then specify it for the next run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..base.disk import files
from ..base.json_text import NotJson, parse_json
from ..base.planned_entry import ID_PATTERN, PlannedEntry
from ..base.records import RecordReader
from ..base.shown.tables import format_count, join_first_texts
from ..errors import BundleError, LyncnbError
from .history import (
    DEPLOYED,
    HISTORY_NAME,
    REQUESTED,
    REVOCATION_REQUESTED,
    REVOKED,
    SUPERSEDED,
    UNDEPLOYED,
    Event,
    read_history,
)
from .manifest import FORMAT, NAME, Manifest, parse_manifest
from .plan_file import PLAN_NAME, read_entries, read_present_plan
from .request_record import ArchivedGeneration, Deployment, RequestRecord, Revocation

_LARGEST = 1 << 26  # The largest size in bytes of a summary file that lyncnb reads.
_IDS_SHOWN = 5
_NOBODY = "nobody"  # The text in the summary of a plan without a signature.
_FACT = re.compile(r"^- (Saved plan|Approved by): (.+)$", re.MULTILINE)
_COVERED = re.compile(r'^\ufeff?"([A-Za-z0-9-]+)",.*"no request: covered by ', re.MULTILINE)
_ROW = re.compile(rf'^"({ID_PATTERN})",', re.MULTILINE)
_NUMBER = re.compile(r',"([1-9][0-9]{0,6})"\s*$')  # The heading of the last column in the summary.
_BLANK = {"product": "", "plan_sha256": "", "accepted": [], "summary": {}, "encrypted": []}
_HEAD = re.compile(rb'^"(plans|accepted)": (\[.*\]),?$', re.MULTILINE)
_RECORD = re.compile(rb'^(\{"id": .*\}),?$', re.MULTILINE)


def read_damaged_manifest(content: bytes) -> Manifest:
    """Return the data in a damaged manifest that no other file contains.

    Parameters
    ----------
    content : bytes
        The bytes of the file, which may be truncated.

    Returns
    -------
    Manifest
        The saved plans, approvals, accepted findings, and covered requests that are still readable.
        All other values are empty.
    """
    manifest = Manifest()
    for name, text in _HEAD.findall(content):
        if (section := _read_section({name.decode("ascii"): _parse_json_lines(text)})) is not None:
            manifest = replace(
                manifest, **{name.decode("ascii"): getattr(section, name.decode("ascii"))}
            )
    covered: dict[str, RequestRecord] = {}
    for text in _RECORD.findall(content):
        if b'"covered": {' not in text:
            continue
        section = _read_section({"requests": [_parse_json_lines(text)]})
        if section is not None and section.requests[0].covered is not None:
            covered[section.requests[0].id] = section.requests[0]
    return replace(manifest, requests=tuple(covered.values()))


def _parse_json_lines(text: bytes) -> object:
    try:
        return parse_json(text)
    except NotJson:
        return None


def _read_section(section: dict[str, object]) -> Manifest | None:
    """Read one section of a damaged manifest, with the checks for a complete manifest."""
    document = {"format": FORMAT, **_BLANK, "rekeying": "", "log": [], "requests": [], **section}
    return parse_manifest(document, RecordReader(NAME, is_json=True))


def add_plan_data(folder: Path, manifest: Manifest, now: str) -> tuple[Manifest, tuple[str, ...]]:
    """Add the plan's data to requests for which only the CSR is known.

    Returns
    -------
    tuple
        The manifest and notes. A plan for different requests adds no data.
    """
    data = read_present_plan(folder)
    if not data:
        return manifest, ()
    try:
        plan = read_entries(data)
    except BundleError as error:
        return manifest, (
            f"{error.message}; lyncnb did not use this file",
            *map(str, error.problems[:1]),
        )
    entries = {entry.id: entry for entry in plan.certificates}
    filled = {
        record.id: replace(record, plan=entry.planned, ca=entry.ca, target_os=entry.target_os)
        for record in manifest.requests
        if (entry := entries.get(record.id)) and _is_same_request(record.plan, entry)
    }
    if not filled:
        return manifest, (
            (f"{PLAN_NAME} is the plan for other requests, so lyncnb did not use this plan"),
        )
    retired_records = [
        replace(record, state="retired", retired_at=record.retired_at or now)
        for record in manifest.requests
        if record.id not in entries
    ]
    known = [filled.get(name) or manifest.by_id[name] for name in entries if name in manifest.by_id]
    manifest = replace(
        manifest,
        requests=(*known, *retired_records),
        product=plan.product,
        plan_sha256=plan.plan_sha256 if filled.keys() == entries.keys() else "",
        plan_json_sha256=hashlib.sha256(data).hexdigest(),
    )
    note = (
        f"lyncnb read the servers, site and issuer of {format_count(len(filled), 'request')} "
        f"from {PLAN_NAME}"
    )
    return manifest, (note,)


def add_history_data(folder: Path, manifest: Manifest) -> tuple[Manifest, tuple[str, ...]]:
    """Add data from the history to each generation: servers, revocation, and supersession.

    Generations are identified by public key, because a rebuilt manifest may number them
    differently.

    Returns
    -------
    tuple
        The manifest and notes.
    """
    keys: dict[tuple[str, int], str] = {}
    events: dict[str, list[Event]] = {}
    valid: dict[str, Event] = {}
    for line in read_history(folder).lines:
        for event in line.list_events():
            name = event.id, event.generation
            if event.what == REQUESTED:
                keys[name] = event.key
            if event.not_after and event.certificate:
                valid[event.certificate] = event
            if name in keys:
                events.setdefault(keys[name], []).append(event)
    servers, revoked = 0, 0
    records = []
    for record in manifest.requests:
        for part in record.generations:
            known = events.get(part.spki_sha256, [])
            deployments = _find_deployments(known, valid)
            revocation = _find_revocation(known)
            servers += len(deployments)
            revoked += revocation is not None
            changes: dict[str, object] = {"deployments": deployments, "revocation": revocation}
            if isinstance(part, ArchivedGeneration):
                for event in known:
                    if event.what == SUPERSEDED and event.at and event.note:
                        changes |= {"superseded_at": event.at, "reasons": (event.note,)}
            record = record.with_generation(part.generation, **changes)
        records.append(record)
    if not servers and not revoked:
        return replace(manifest, requests=tuple(records)), ()
    note = f"{HISTORY_NAME} provides {format_count(servers, 'deployment')}"
    if revoked:
        note += f" and {format_count(revoked, 'revocation')}"
    return replace(manifest, requests=tuple(records)), (note,)


def find_requested_generations(folder: Path) -> dict[str, int]:
    """Return the generation of each request in the history, by the SHA-256 of its public key."""
    return {
        event.key: event.generation
        for line in read_history(folder).lines
        for event in line.list_events()
        if event.what == REQUESTED and event.key
    }


def restore_numbers(folder: Path, manifest: Manifest) -> Manifest:
    """Restore the request numbers from ``summary.csv``, unless a number appears twice."""
    # The split text alternates between a request ID and the other cells of the row with this ID.
    rows = _ROW.split(_read_text(folder / "summary.csv"))[1:]
    known = {
        name: int(match[1])
        for name, cells in zip(rows[::2], rows[1::2], strict=True)
        if (match := _NUMBER.search(cells))
    }
    if len(set(known.values())) < len(known):  # A user has edited the summary file.
        return manifest
    return manifest.with_records(
        replace(record, number=known.get(record.id, 0)) for record in manifest.requests
    )


def _find_deployments(
    events: list[Event], valid_servers: dict[str, Event]
) -> tuple[Deployment, ...]:
    """Return the servers on which a generation is or was installed, according to the history."""
    by_server: dict[str, Deployment] = {}
    for event in events:
        if event.what == UNDEPLOYED:
            by_server.pop(event.server, None)
        elif event.what == DEPLOYED and (issued := valid_servers.get(event.certificate)):
            # A user may have edited the history, so its values are validated as strictly as those
            # of a manifest.
            deployment = RecordReader(HISTORY_NAME, is_json=True).record(
                Deployment,
                {
                    "server": event.server,
                    "on": event.on,
                    "certificate": event.certificate,
                    "serial": event.serial,
                    "not_before": issued.not_before,
                    "not_after": issued.not_after,
                    "recorded_at": event.at,
                    "seen_in": event.note.removeprefix("seen in "),
                },
            )
            if deployment is not None:
                by_server[event.server] = deployment
    return tuple(by_server.values())


def _find_revocation(events: list[Event]) -> Revocation | None:
    revocation = None
    for event in events:
        # The event is about the certificate that was installed before the first request.
        if event.certificate:
            continue
        if event.what == REVOCATION_REQUESTED:
            revocation = RecordReader(HISTORY_NAME, is_json=True).record(
                Revocation, {"reason": event.note, "asked_at": event.at}
            )
        elif event.what == REVOKED and revocation is not None:
            revocation = replace(revocation, revoked_at=event.at)
    return revocation


def _is_same_request(entry: PlannedEntry, planned_entry: PlannedEntry) -> bool:
    """Return whether an entry that was created from a CSR matches a planned certificate."""
    if entry.issuer:
        return False
    return all(
        getattr(entry, name) == getattr(planned_entry, name)
        for name in ("subject", "san", "eku", "key", "hash")
    )


def list_losses(folder: Path, recovered_manifest: Manifest) -> Iterator[str]:
    """Yield notes about the data that a new manifest lacks, and how to restore it.

    Parameters
    ----------
    folder : Path
        The request folder, with the summary files of an earlier run.
    recovered_manifest : Manifest
        The data that was recovered from the damaged manifest; empty if the manifest is missing.
    """
    facts = dict(_FACT.findall(_read_text(folder / "summary.md")))
    if recovered_manifest.plans:
        names = (
            ", ".join(approval.signer for approval in recovered_manifest.plans[-1].approvals)
            or _NOBODY
        )
        yield (
            "recovered from the damaged manifest: the saved plan "
            f"({recovered_manifest.plans[-1].shown_as} "
            f"{recovered_manifest.plans[-1].shown_sha256[:12]}…), approved by {names}"
        )
    elif facts:
        summary = "; ".join(f"{name}: {text}" for name, text in facts.items()).replace("\\", "")
        was_approved = not facts.get("Approved by", _NOBODY).startswith(_NOBODY)
        signers = "--approved-by SIGNERS " if was_approved else ""
        yield (
            "the record of the saved plan and of its approval is lost. summary.md contains "
            f"these values: {summary}. Request the plan again: lyncnb request --plan FILE "
            f"{signers}FOLDER"
        )
    covered = dict.fromkeys(_COVERED.findall(_read_text(folder / "summary.csv")))
    if recovered_manifest.requests:
        ids = join_first_texts([record.id for record in recovered_manifest.requests], _IDS_SHOWN)
        yield (
            f"recovered from the damaged manifest: no request is needed for {ids}, because you "
            "reuse installed certificates"
        )
    if lost_ids := [name for name in covered if name not in recovered_manifest.by_id]:
        yield (
            "the record of the installed certificates that cover "
            f"{join_first_texts(lost_ids, _IDS_SHOWN)} is lost. When you next run lyncnb request, "
            "it creates requests for these certificates. To prevent this, specify "
            "--only-missing FILE.json and --reuse ID again"
        )
    if not (recovered_manifest.plans or facts or recovered_manifest.requests or covered):
        yield (
            "the manifest may have contained saved plans and approvals, reasons for accepted "
            "findings, and records of installed certificates that cover requests. "
            "These records are lost. When you next run lyncnb request, specify these "
            "options again: --plan, --approved-by, --only-missing, --accept. To accept an issued "
            "certificate again, specify --accept when you run lyncnb receive"
        )


def _read_text(path: Path) -> str:
    try:
        return files.read_file(path, limit=_LARGEST).decode("utf-8", "replace").replace("\r", "")
    except (OSError, LyncnbError):
        return ""
