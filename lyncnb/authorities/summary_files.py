"""Write the summary files of a request folder: after requests and issued certificates.

``plan.json`` says what was planned, the records of the manifest what became of it: so a command
that has the folder and no table can write the files again. ``manifest.summary`` has the SHA-256 of
each file and, under ``made_of``, a digest of everything that the files show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..base.disk import files
from ..errors import LyncnbError
from ..plan.model import CertificatePlan, PlannedCertificate
from ..plan.saved_plan_json import read_saved_json
from ..plan.spellings import Spelling
from ..reports.summary.content import Summary
from ..reports.summary.formats import write_summary
from ..reports.summary.from_plan import summarise
from ..reports.summary.progress import progress_digest, with_requests
from ..request_folder.files_on_disk import SUMMARY_NAMES
from ..request_folder.generations import Generations, generations_of
from ..request_folder.manifest import Manifest
from ..request_folder.plan_file import PLAN_NAME, read_plan_bytes
from ..request_folder.request_record import TableOnRecord
from ..rules.findings import Finding, Findings
from ..rules.model import Rules
from ..rules.returned_rules import every_check
from ..rules.rule_files import rules_on_record
from .evaluation.evaluation import accepted_on_record

_MADE_OF = "made_of"

#: Requests of a folder whose summary is written again with every change: of a larger one it would
#: cost more than the change itself.
_MOST = 10_000


def write_summary_files(folder: Path, manifest: Manifest, summary: Summary) -> Manifest:
    """Write the summary of a folder in its four forms; the caller holds the lock.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        With the n requests that the summary tells of.
    summary : Summary
        Of the plan, with its pictures.

    Returns
    -------
    Manifest
        With what was written, to be saved. Interrupted before that, the hashes on record do not
        fit, and the next run writes the files again.
    """
    told = {_MADE_OF: _made_of(manifest)}
    whole = _with_record(summary, manifest)
    for name in SUMMARY_NAMES:  # one file in memory at a time
        data = write_summary(whole, "." + name.rpartition(".")[2])
        files.replace(folder / name, data, 0o644)
        told[name] = hashlib.sha256(data).hexdigest()
    return replace(manifest, summary=told)


def is_current(manifest: Manifest) -> bool:
    """Return whether the summary files show what the manifest has on record."""
    return manifest.summary.get(_MADE_OF) == _made_of(manifest)


def _with_record(summary: Summary, manifest: Manifest) -> Summary:
    last = manifest.plans[-1] if manifest.plans else None
    summary = replace(
        summary,
        approval=tuple(_approval(manifest)),
        is_approved=bool(last and last.approvals and last.plan_sha256 == manifest.plan_sha256),
    )
    accepted = accepted_on_record(manifest.requests)
    return with_requests(summary, manifest.requests, accepted, _in_use(manifest))


def _in_use(manifest: Manifest) -> dict[str, Generations]:
    return {record.id: generations_of(record) for record in manifest.requests}


def _made_of(manifest: Manifest) -> str:
    """Return a digest of all that the summary files show."""
    told = (
        manifest.plan_json_sha256,
        manifest.table,
        [(one.code, one.reason) for one in manifest.accepted],
        list(_approval(manifest)),
        progress_digest(
            manifest.requests, accepted_on_record(manifest.requests), _in_use(manifest)
        ),
    )
    return hashlib.sha256(repr(told).encode("utf-8", "replace")).hexdigest()


def planned_summary(folder: Path, manifest: Manifest) -> Summary:
    """Return the summary of the plan that a folder keeps, before its requests.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        Its manifest.

    Raises
    ------
    LyncnbError
        If it keeps none, the plan is not the one on record, or the rules of its product are not
        here.
    """
    plan, findings = plan_on_record(manifest, read_plan_bytes(folder, manifest))
    told = Findings(tuple(_as_accepted(findings, manifest, plan.rules)), findings.judged_on)
    summary = summarise(plan, told, pictures=True)
    spellings = (
        Spelling(place=one.place, written=one.written, requested=one.requested, what=one.what)
        for one in (manifest.table.notes if manifest.table else ())
    )
    return replace(summary, spellings=tuple(spellings))


def plan_on_record(manifest: Manifest, data: bytes) -> tuple[CertificatePlan, Findings]:
    """Return a plan that a folder keeps, with what its manifest says beside it, and its findings.

    Parameters
    ----------
    manifest : Manifest
        The folder's.
    data : bytes
        Of a saved plan of the folder, of which it is known that nobody altered it.

    Raises
    ------
    LyncnbError
        If the rules of its product are not here, or it is not what a plan may say.
    """
    rules = rules_on_record(manifest.product, sha256=manifest.product_sha256)
    plan, findings = read_saved_json(data, source=PLAN_NAME, rules=rules).plan(rules)
    table = manifest.table or TableOnRecord(name=PLAN_NAME)
    plan = replace(
        plan,
        topology=replace(plan.topology, source=table.name),
        options=replace(plan.options, lang=table.lang),
        certificates=tuple(_with_rules(plan, manifest)),
    )
    return plan, findings


def _with_rules(plan: CertificatePlan, manifest: Manifest) -> Iterator[PlannedCertificate]:
    """Add the rule on record to each certificate: two profiles may have rules for one usage."""
    for certificate in plan.certificates:
        record = manifest.by_id.get(certificate.id)
        yield certificate._replace(rule=record.rule) if record and record.rule else certificate


def _as_accepted(findings: Findings, manifest: Manifest, rules: Rules) -> Iterator[Finding]:
    """Add its title to each finding, and the acceptance reason to each accepted error."""
    titles = {code: rule.title for code, rule in every_check(rules).items()}
    of_run = {one.code: one.reason for one in manifest.accepted}
    of_plan = {(one.code, one.accepted) for one in findings}
    for one in findings:
        reason = of_run.get(one.code, "")
        if one.accepted and (one.code, reason) in of_plan:
            reason = one.accepted
        one = replace(one, accepted="", title=titles.get(one.code, ""))
        yield one.accepted_because(reason) if reason and one.severity == "error" else one


def folder_summary(folder: Path, manifest: Manifest) -> Summary | None:
    """Return the summary of a folder as its files show it.

    Returns
    -------
    Summary or None
        None of more than 10,000 requests, and where :func:`planned_summary` raises.
    """
    if len(manifest.requests) > _MOST:
        return None
    try:
        return _with_record(planned_summary(folder, manifest), manifest)
    except LyncnbError:
        return None


_IDS_NAMED = 10


def _approval(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Say which saved plan was requested last, and who approved it."""
    if not manifest.plans:
        return
    last = manifest.plans[-1]
    plan = (
        f"{last.shown_as} {last.shown_sha256}, evaluated for {last.judged_on}, requested on "
        f"{last.requested_at[:10]}"
    )
    if last.plan_sha256 != manifest.plan_sha256:
        plan += "; the folder now contains another plan, which is not approved"
    yield "Saved plan", plan
    approvals = (
        f"{one.signer}, with the key {one.key}, verified on {one.verified_at[:10]}"
        for one in last.approvals
    )
    yield (
        "Approved by",
        "; ".join(approvals) or "nobody; the plan was requested without a signature",
    )
    if left := manifest.left_out_of_approved:
        ids = ", ".join(left[:_IDS_NAMED]) + (" …" if len(left) > _IDS_NAMED else "")
        yield "Approved, not requested", f"{ids}; installed certificates are reused instead"


def refresh_summary_files(folder: Path, manifest: Manifest) -> Manifest:
    """Write the summary files again if what is on record of the requests changed since.

    Returns
    -------
    Manifest
        To be saved; the same where there is nothing new, and where :func:`stale_note` says why
        the files stay as they are.
    """
    if is_current(manifest) or len(manifest.requests) > _MOST:
        return manifest
    try:
        summary = planned_summary(folder, manifest)
    except LyncnbError:
        return manifest
    return write_summary_files(folder, manifest, summary)


def stale_note(folder: Path, manifest: Manifest) -> str:
    """Say why the summary files are out of date and what to do; "" if they are current."""
    if is_current(manifest):
        return ""
    why = f"the folder has more than {_MOST:,} requests" if len(manifest.requests) > _MOST else ""
    if not manifest.plan_json_sha256:
        why = f"the folder has no {PLAN_NAME}"
    try:
        if not why:
            planned_summary(folder, manifest)
            return ""
    except LyncnbError as error:
        why = error.message
    return (
        f"lyncnb did not update the summary files: {why}. To write the files again, run: lyncnb "
        "request TOPOLOGY FOLDER"
    )
