"""Update the summary files in a request folder after its requests or certificates have changed.

A command can write the files without the table, because ``plan.json`` contains the plan, and the
manifest contains the current state. ``manifest.summary`` contains the SHA-256 of each file.
``made_of`` contains a digest of all data in the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..base.disk import files
from ..errors import BundleError, LyncnbError
from ..plan.model import CertificatePlan, PlannedCertificate
from ..plan.saved_plan_json import read_saved_json
from ..plan.spellings import Spelling
from ..reports.summary.content import Summary
from ..reports.summary.formats import write_summary
from ..reports.summary.from_plan import build_summary
from ..reports.summary.progress import add_requests, compute_progress_digest
from ..request_folder.files_on_disk import SUMMARY_NAMES
from ..request_folder.manifest import Manifest
from ..request_folder.plan_file import PLAN_NAME, read_plan_bytes
from ..request_folder.request_record import RequestRecord, TableOnRecord
from ..rules.findings import Finding, Findings
from ..rules.model import Rules
from ..rules.returned_rules import create_returned_finding, list_all_checks, list_returned_checks
from ..rules.rule_files import load_recorded_rules

_MADE_OF = "made_of"

#: The largest number of requests for which a change updates the summary. In larger folders,
#: updating the summary would take longer than the change.
_MOST = 10_000


def write_summary_files(folder: Path, manifest: Manifest, summary: Summary) -> Manifest:
    """Write the summary of a request folder in four file formats.

    The caller must hold the lock of the folder.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        The manifest of the folder, with n requests.
    summary : Summary
        The summary of the plan, with figures.

    Returns
    -------
    Manifest
        The manifest with the hashes of the files, to be saved. After an interruption, the recorded
        hashes do not match the files, and the next run writes the files again.

    Raises
    ------
    BundleError
        If a file cannot be replaced. The caller must have saved the manifest before, because the
        error says that the change is recorded.
    """
    digests = {}
    for name, data in list_summary_files(manifest, summary):
        try:
            files.replace_file(folder / name, data, 0o644)
        except BundleError as error:
            raise BundleError(
                f"{error.message}. Everything else in the folder {folder} is complete and "
                "recorded, so do not repeat the change",
                hint=f"{error.hint}. The next change to the folder also updates the summary. To "
                "update it now, run this command again: lyncnb request TOPOLOGY FOLDER",
            ) from None
        digests[name] = hashlib.sha256(data).hexdigest()
    return record_summary_files(manifest, digests)


def list_summary_files(manifest: Manifest, summary: Summary) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each summary file. Only one file is in memory at a time."""
    full_summary = _add_recorded_data(summary, manifest)
    for name in SUMMARY_NAMES:
        yield name, write_summary(full_summary, "." + name.rpartition(".")[2])


def record_summary_files(manifest: Manifest, digests: Mapping[str, str]) -> Manifest:
    """Return the manifest with the SHA-256 of each summary file and a digest of their data."""
    return replace(manifest, summary={_MADE_OF: _compute_content_digest(manifest), **digests})


def is_summary_current(manifest: Manifest) -> bool:
    """Return whether the summary files agree with the records in the manifest."""
    return manifest.summary.get(_MADE_OF) == _compute_content_digest(manifest)


def _add_recorded_data(all_data: Summary, manifest: Manifest) -> Summary:
    last = manifest.plans[-1] if manifest.plans else None
    all_data = replace(
        all_data,
        approval=tuple(_describe_approval(manifest)),
        is_approved=bool(last and last.approvals and last.plan_sha256 == manifest.plan_sha256),
    )
    accepted = list_recorded_acceptances(manifest.requests)
    return add_requests(all_data, manifest.requests, accepted)


def _compute_content_digest(manifest: Manifest) -> str:
    """Return a digest of all data in the summary files."""
    recorded_values = (
        manifest.plan_json_sha256,
        manifest.table,
        [(acceptance.code, acceptance.reason) for acceptance in manifest.accepted],
        list(_describe_approval(manifest)),
        compute_progress_digest(manifest.requests, list_recorded_acceptances(manifest.requests)),
    )
    return hashlib.sha256(repr(recorded_values).encode("utf-8", "replace")).hexdigest()


def build_planned_summary(folder: Path, manifest: Manifest) -> Summary:
    """Return the summary of the plan in a folder, without any data about the requests.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        The manifest of the folder.

    Raises
    ------
    LyncnbError
        If the folder has no plan, the plan differs from the record, or the rules of the product are
        missing.
    """
    plan, findings = build_plan_on_record(manifest, read_plan_bytes(folder, manifest))
    shown_findings = Findings(
        tuple(_mark_accepted_findings(findings, manifest, plan.rules)), findings.judged_on
    )
    summary = build_summary(plan, shown_findings, pictures=True)
    spellings = (
        Spelling(place=note.place, written=note.written, requested=note.requested, what=note.what)
        for note in (manifest.table.notes if manifest.table else ())
    )
    return replace(summary, spellings=tuple(spellings))


def build_plan_on_record(manifest: Manifest, data: bytes) -> tuple[CertificatePlan, Findings]:
    """Return the plan of a folder, with the findings and additional data from the manifest.

    Parameters
    ----------
    manifest : Manifest
        The manifest of the folder.
    data : bytes
        The saved plan of the folder, which must be verified.

    Raises
    ------
    LyncnbError
        If the rules of the product are missing, or the plan is not valid.
    """
    rules = load_recorded_rules(manifest.product, sha256=manifest.product_sha256)
    plan, findings = read_saved_json(data, source=PLAN_NAME, rules=rules).plan(rules)
    table = manifest.table or TableOnRecord(name=PLAN_NAME)
    plan = replace(
        plan,
        topology=replace(plan.topology, source=table.name),
        options=replace(plan.options, lang=table.lang),
        certificates=tuple(_add_rules(plan, manifest)),
    )
    return plan, findings


def _add_rules(plan: CertificatePlan, manifest: Manifest) -> Iterator[PlannedCertificate]:
    """Replace the rule of each certificate with the rule that is recorded in the manifest.

    A usage can have rules in two profiles.
    """
    for certificate in plan.certificates:
        record = manifest.by_id.get(certificate.id)
        yield certificate._replace(rule=record.rule) if record and record.rule else certificate


def _mark_accepted_findings(
    findings: Findings, manifest: Manifest, rules: Rules
) -> Iterator[Finding]:
    """Add a title to each finding, and the acceptance reason to each accepted finding."""
    titles = {code: rule.title for code, rule in list_all_checks(rules).items()}
    of_run = {acceptance.code: acceptance.reason for acceptance in manifest.accepted}
    of_plan = {(finding.code, finding.accepted) for finding in findings}
    for finding in findings:
        # The record of the run contains only the accepted errors.
        reason = of_run.get(finding.code, "") if finding.severity == "error" else finding.accepted
        if finding.accepted and (finding.code, reason) in of_plan:
            reason = finding.accepted
        finding = replace(finding, accepted="", title=titles.get(finding.code, ""))
        yield finding.accepted_because(reason) if reason else finding


def build_folder_summary(folder: Path, manifest: Manifest) -> Summary | None:
    """Return the summary of a request folder, as its summary files contain it.

    Returns
    -------
    Summary or None
        None if the folder has more than 10,000 requests, or :func:`build_planned_summary` fails.
    """
    if len(manifest.requests) > _MOST:
        return None
    try:
        return _add_recorded_data(build_planned_summary(folder, manifest), manifest)
    except LyncnbError:
        return None


_IDS_NAMED = 10


def _describe_approval(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield lines about the last saved plan for the folder, and about its approval."""
    if not manifest.plans:
        return
    last = manifest.plans[-1]
    plan = (
        f"{last.shown_as} {last.shown_sha256}, evaluation date {last.judged_on}, requested on "
        f"{last.requested_at[:10]}"
    )
    if last.plan_sha256 != manifest.plan_sha256:
        plan = f"{plan}; the folder now contains a different plan, which is not approved"
    yield "Saved plan", plan
    approvals = (
        f"{approval.signer}, with the key {approval.key}, verified on {approval.verified_at[:10]}"
        for approval in last.approvals
    )
    yield (
        "Approved by",
        "; ".join(approvals) or "nobody; no signature of the plan was verified",
    )
    if omitted := manifest.omitted_requests:
        ids = ", ".join(omitted[:_IDS_NAMED]) + (" …" if len(omitted) > _IDS_NAMED else "")
        yield "Approved, not requested", f"{ids}; installed certificates are reused instead"


def refresh_summary_files(folder: Path, manifest: Manifest) -> Manifest:
    """Update the summary files if the recorded data has changed.

    Returns
    -------
    Manifest
        The manifest to save. It is unchanged if the files are current, or cannot be written
        (:func:`explain_stale_summary` returns the reason).
    """
    if is_summary_current(manifest) or len(manifest.requests) > _MOST:
        return manifest
    try:
        summary = build_planned_summary(folder, manifest)
    except LyncnbError:
        return manifest
    return write_summary_files(folder, manifest, summary)


def explain_stale_summary(folder: Path, manifest: Manifest) -> str:
    """Explain why the summary files are out of date and what to do.

    Return "" if they are current.
    """
    if is_summary_current(manifest):
        return ""
    reason = (
        f"the folder has more than {_MOST:,} requests" if len(manifest.requests) > _MOST else ""
    )
    if not manifest.plan_json_sha256:
        reason = f"the folder has no {PLAN_NAME}"
    try:
        if not reason:
            build_planned_summary(folder, manifest)
            return ""
    except LyncnbError as error:
        reason = error.message
    return (
        f"lyncnb did not update the summary files: {reason}. To write the files again, run: lyncnb "
        "request TOPOLOGY FOLDER"
    )


def list_recorded_acceptances(records: Iterable[RequestRecord]) -> Iterator[Finding]:
    """Yield the accepted findings about recorded certificates, each with its reason."""
    for record in records:
        judgement = record.issued.judgement if record.issued is not None else None
        reasons = (
            {acceptance.code: acceptance.reason for acceptance in judgement.accepted}
            if judgement
            else {}
        )
        for recorded_finding in judgement.findings if judgement and reasons else ():
            if recorded_finding.code in reasons and recorded_finding.code in list_returned_checks():
                accepted = create_returned_finding(
                    recorded_finding.code, record.id, recorded_finding.message
                )
                # The message on record already contains the reason for accepting the error.
                yield replace(
                    accepted.accepted_because(reasons[recorded_finding.code]),
                    message=recorded_finding.message,
                )
