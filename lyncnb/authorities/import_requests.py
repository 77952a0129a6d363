"""Compare requests from other computers with the plan, and store them in ``csr/``.

The CSR file is written before the manifest. After an interruption, the next run finds the file.
This module does not use private keys.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PureWindowsPath
from typing import Any, ClassVar

from ..base.certificate_fields import COMPUTER_NAME
from ..base.disk import files
from ..base.disk.outputs import OWN_FOLDERS
from ..base.pasted_text import shown
from ..base.records import JsonSerializable
from ..base.shown.tables import Table, columns, format_count
from ..errors import BundleError, OptionsError, Problem, ReturnedFileError
from ..pki.csr import CertificationRequest, parse_request
from ..pki.keys import find_key_difference
from ..request_folder.bundle import RequestBundle
from ..request_folder.files_on_disk import Survey, compute_csr_sha256, reject_problems, take_survey
from ..request_folder.history import record_changes
from ..request_folder.leftovers import Move, find_pending_moves, move_files
from ..request_folder.manifest import Manifest, format_timestamp, read_manifest, save_manifest
from ..request_folder.request_record import (
    RequestFiles,
    RequestRecord,
    build_file_stem,
    list_current_files,
)
from ..rules.findings import Finding, Findings, group_findings, sort_findings
from ..rules.returned_rules import create_returned_finding
from .evaluation.compare_request import compare_request
from .evaluation.evaluation import downgrade_accepted_errors
from .returned.match_certificates import check_accepted_errors
from .returned.returned_files import ReturnedFile, read_returned_files
from .summary_files import refresh_summary_files

# The codes of findings that lyncnb reports for files that contain no request, if the user specifies
# a folder.
_WORTH_TELLING = ("private-key-in-file", "file-unreadable", "file-skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest(JsonSerializable):
    """A request that was received from another computer, and what lyncnb did with it.

    ``request_id`` is blank if the request matches no planned certificate. ``key_holder`` is the
    computer that has the private key.
    """

    json_keys: ClassVar = (
        "file",
        "id=request_id",
        "action",
        "key_holder",
        "findings=findings.code",
    )

    file: str
    request_id: str
    action: str
    key_holder: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ReceivedRequests(Table, JsonSerializable):
    """The results of receiving requests from files, and the updated request folder.

    ``of_files`` lists the findings about files that do not belong to a request.
    """

    format: ClassVar = "lyncnb-received-requests/1"
    json_keys: ClassVar = (
        "format",
        "folder=bundle.folder",
        "requests",
        "accepted",
        "findings",
    )

    _columns: ClassVar = columns(
        ("Certificate", "request_id"),
        ("File", "file"),
        ("Done", "action"),
        ("Key on", "key_holder"),
        ("Findings", lambda row: tuple(finding.code for finding in row.findings)),
    )

    bundle: RequestBundle
    requests: tuple[ReceivedRequest, ...]
    accepted: Mapping[str, str]
    of_files: tuple[Finding, ...] = ()

    @property
    def findings(self) -> Findings:
        """All findings about the received requests, the most severe first."""
        of_requests = (finding for request in self.requests for finding in request.findings)
        return sort_findings((*of_requests, *self.of_files))

    @property
    def exit_status(self) -> int:
        """The exit status: 0 if every request matches the plan (notices do not count), else 1."""
        return int(any(finding.severity != "notice" for finding in self.findings))

    def _list_items(self) -> Iterable[Any]:
        return self.requests

    def _summarize(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return a sentence that summarizes the received requests."""
        actions = [request.action for request in self.requests]
        counts = ", ".join(f"{actions.count(action)} {action}" for action in dict.fromkeys(actions))
        pending = sum(
            record.state == "planned" and bool(record.key_holder) for record in self.bundle.requests
        )
        parts = [f"{format_count(len(self.requests), 'request')}: {counts}"]
        if pending:
            parts.append(
                f"you must still create {format_count(pending, 'request')} on another computer"
            )
        return "; ".join(parts)

    def to_text(self) -> str:
        """Return the results of the import as plain lines for a terminal."""
        lines = []
        key_holders = [
            request.key_holder for request in self.requests if request.action != "refused"
        ]
        lines += describe_unverified_keys(key_holders)
        for request in self.requests:
            parts = [f"{request.action}: {request.file}: {request.request_id or 'unknown'}"]
            if request.key_holder:
                parts.append(f"the key is on {request.key_holder}")
            lines.append(", ".join(parts))
        for code, reason in self.accepted.items():
            lines.append(f"accepted: {code}: {reason}")
        lines += [group.to_text() for group in group_findings(self.findings, is_by_subject=False)]
        lines.append(self.summary())
        return "\n".join(lines) + "\n"


def describe_unverified_keys(key_holders: Iterable[str]) -> list[str]:
    """Yield a line for each computer where you must check whether its keys are exportable."""
    return [
        (
            f"lyncnb cannot verify that {format_count(number, 'key')} on {holder} can be exported; "
            f"the scripts check this on {holder}. Check the output of the scripts before you send "
            "the requests to the CA."
        )
        for holder, number in Counter(filter(None, key_holders)).items()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _FoundRequest:
    """A received request, with the name of the file that contains it."""

    file: str
    request: CertificationRequest


def receive_requests(
    folder: str | os.PathLike[str],
    *paths: str | os.PathLike[str],
    computer: str = "",
    accept: Mapping[str, str] | None = None,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> ReceivedRequests:
    """Compare requests from another computer with the plan, and store them in the folder.

    Parameters
    ----------
    folder : path
        A request folder from ``request_elsewhere`` that expects these requests.
    *paths : path
        Files, folders and zip archives with certification requests, in any form.
    computer : str, optional
        The computer that has the keys. The default is the name that Microsoft's tools write into
        the request, or else the planned name.
    accept : mapping, optional
        The reason for accepting a difference, by the code of its finding.
    today : date, optional
        The date to record instead of the current time, for repeatable results.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    ReceivedRequests
        A request with an error is not stored unless the error was accepted. Receiving the same
        request again changes nothing.

    Raises
    ------
    ReturnedFileError
        If a path does not exist or contains no request; nothing is changed in that case.
    BundleError
        If the folder needs attention, or a code cannot be accepted.

    Notes
    -----
    Source: Microsoft, Request certificates in advance (optional) for Lync Server 2013, 2014-07-23.
    """
    path, now = Path(folder), format_timestamp(today)
    check_computer_name(computer)
    accepted = check_accepted_errors(accept or {})
    came, findings_of_files = _read_requests(paths)
    # The folder is checked first, so that lyncnb creates no lock file in a folder that is not a
    # request folder.
    read_manifest(path)
    with record_changes(
        path, "receive --request", now=now, wait_seconds=lock_seconds, is_repair=True
    ):
        survey, manifest = take_survey(path), read_manifest(path)
        reject_problems(path, survey.problems)
        received: list[ReceivedRequest] = []
        for request in came:
            evaluated = _evaluate_request(request, manifest, computer, accepted)
            received.append(evaluated)
            if evaluated.action != "refused":
                _store_request(survey, manifest.by_id[evaluated.request_id], request.request)
            if evaluated.action == "taken":
                manifest = _record_request(manifest, evaluated, request.request, now)
        # The manifest is saved before the summary, so that no request is lost if writing the
        # summary fails.
        save_manifest(path, manifest)
        manifest = refresh_summary_files(path, manifest)
        save_manifest(path, manifest)
    return ReceivedRequests(
        bundle=RequestBundle(folder=path, manifest=manifest),
        requests=tuple(received),
        accepted=accepted,
        of_files=findings_of_files,
    )


def check_computer_name(name: str) -> None:
    """Raise an error if a name is not a valid computer name. A blank name is allowed.

    Raises
    ------
    OptionsError
        If the name is not valid.
    """
    if name and not COMPUTER_NAME.fullmatch(name):
        raise OptionsError(
            f"{shown(name)} is not a valid computer name",
            hint="enter a name such as tools01.contoso.com",
        )


def _read_requests(
    paths: Sequence[str | os.PathLike[str]],
) -> tuple[list[_FoundRequest], tuple[Finding, ...]]:
    """Read all requests in the files, and report each specified file without a request.

    A folder may contain other files, but a private key among them is reported.
    """
    file_names = {Path(path).name for path in paths if not os.path.isdir(path)}
    requests: list[_FoundRequest] = []
    problems: list[Problem] = []
    findings: list[Finding] = []
    for file in read_returned_files(paths):
        for der in file.requests:
            try:
                requests.append(
                    _FoundRequest(file=file.name, request=parse_request(der, name=file.name))
                )
            except BundleError as error:
                problems.append(Problem(message=error.message, file=file.name, hint=error.hint))
        findings += [
            create_returned_finding(*_build_finding_fields(file, remark))
            for remark in file.remarks
            if remark[0] in _WORTH_TELLING
        ]
        if not file.requests and file.name in file_names:
            problems.append(Problem(message=_explain_missing_request(file), file=file.name))
    if problems or not requests:
        raise ReturnedFileError(
            "the files contain no certification request, so lyncnb changed nothing"
            if not requests
            else "some files contain no certification request, so lyncnb changed nothing",
            problems=tuple(problems[:20]),
            hint="use the unchanged .req files that Request-CsCertificate wrote",
        )
    return requests, tuple(dict.fromkeys(findings))


def _build_finding_fields(file: ReturnedFile, remark: tuple[str, str]) -> tuple[str, str, str]:
    return remark[0], file.name, remark[1]


def _explain_missing_request(file: ReturnedFile) -> str:
    if file.certificates:
        return "the file contains a certificate; import the file without --request"
    return "; ".join(text for _, text in file.remarks) or "the file contains no request"


def _evaluate_request(
    request: _FoundRequest, manifest: Manifest, computer: str, acceptance_reasons: Mapping[str, str]
) -> ReceivedRequest:
    """Find the planned certificate for a request, and decide whether to keep the request."""
    record = _find_record(request, manifest)
    if record is None:
        waiting = [r.id for r in manifest.requests if r.key_holder and not r.is_written]
        message = (
            (
                f"the request matches none of the {len(waiting):,} requests that are expected "
                "from other computers"
            )
            if waiting
            else "lyncnb does not expect a request from another computer"
        )
        finding = create_returned_finding("request-unknown", request.file, message)
        return ReceivedRequest(
            file=request.file, request_id="", action="refused", key_holder="", findings=(finding,)
        )
    holder = computer or request.request.computer or record.key_holder
    is_there = record.csr_sha256 == request.request.csr_sha256
    findings = list(
        downgrade_accepted_errors(
            compare_request(request.request.content, record.plan), acceptance_reasons
        )
    )
    if request.request.has_valid_signature() is False:
        findings.insert(
            0,
            create_returned_finding(
                "request-signature-wrong",
                record.id,
                f"{request.file}: the request was changed after it was signed",
            ),
        )
    if not is_there:
        findings += _find_obstacles(request, record, manifest)
    wrong = any(finding.severity == "error" for finding in findings)
    action = "kept" if is_there else "refused" if wrong else "taken"
    return ReceivedRequest(
        file=request.file,
        request_id=record.id,
        action=action,
        key_holder=record.key_holder if action != "taken" else holder,
        findings=tuple(findings),
    )


def _find_obstacles(
    request: _FoundRequest, record: RequestRecord, manifest: Manifest
) -> Iterator[Finding]:
    key = request.request.spki_sha256
    if difference := find_key_difference(request.request.public_key):
        yield create_returned_finding(
            "request-key-differs", record.id, f"{request.file}: {difference}"
        )
    owners = [
        other.id
        for other in manifest.requests
        if any(part.spki_sha256 == key for part in other.generations)
    ]
    if owners:
        yield create_returned_finding(
            "request-key-known",
            record.id,
            f"{request.file}: the public key in the request belongs to {owners[0]}",
        )
    elif record.is_written or not record.key_holder:
        reason = (
            f"the key is on {record.key_holder}"
            if record.key_holder
            else "the key is in the folder"
        )
        reason = str(record.covered or reason)
        yield create_returned_finding("request-superseding", record.id, f"{request.file}: {reason}")


def _find_record(request: _FoundRequest, manifest: Manifest) -> RequestRecord | None:
    """Return the manifest record of a received request, found by bytes, file name, or content."""
    for record in manifest.requests:
        if record.csr_sha256 == request.request.csr_sha256:
            return record
    # The name can have the form ``archive.zip: folder/ID-g2.req``, or contain backslashes as on
    # Windows.
    stem = PureWindowsPath(request.file.rpartition(": ")[2]).stem
    for name in (stem, stem.rpartition("-g")[0]):
        if name in manifest.by_id:
            return manifest.by_id[name]
    fitting = [
        record
        for record in manifest.requests
        if record.key_holder and not record.is_written and _matches_plan(request.request, record)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _matches_plan(request: CertificationRequest, record: RequestRecord) -> bool:
    findings = compare_request(request.content, record.plan)
    return not any(finding.severity == "error" for finding in findings)


def _store_request(survey: Survey, record: RequestRecord, request: CertificationRequest) -> None:
    """Write a received request to a CSR file in the folder.

    If a file with the same name exists, move that file to ``archive/``.
    """
    path = _choose_files(record, request).csr
    target = survey.folder / path
    moves = find_pending_moves(survey, record)
    if survey.has_file(path):
        existing_hash = compute_csr_sha256(files.read_file(target))
        if existing_hash == request.csr_sha256:
            return
        stem = f"archive/{record.id}-orphan-{existing_hash[:8] or 'unread'}"
        moves.append(Move(source=path, target=f"{stem}.csr"))
    for subfolder in ("csr", *(["archive"] if moves else [])):
        files.make_folder(survey.folder / subfolder, OWN_FOLDERS[subfolder])
    move_files(survey, moves)
    files.replace_file(target, request.pem, 0o644)


def _choose_files(record: RequestRecord, request: CertificationRequest) -> RequestFiles:
    """Return the paths for a received request. A request on record keeps its paths."""
    if record.csr_sha256 == request.csr_sha256:
        return record.files
    return list_current_files(build_file_stem(record.id, request.spki_sha256))


def _record_request(
    manifest: Manifest,
    evaluated_request: ReceivedRequest,
    request: CertificationRequest,
    imported_at: str,
) -> Manifest:
    record = manifest.by_id[evaluated_request.request_id]
    new = replace(
        record,
        state="retired" if record.state == "retired" else "waiting",
        csr_sha256=request.csr_sha256,
        spki_sha256=request.spki_sha256,
        files=_choose_files(record, request),
        written_at=imported_at,
        key_holder=evaluated_request.key_holder,
    )
    description = (
        f"{record.id} generation {record.generation}: {evaluated_request.file}, "
        f"{_describe_differences(evaluated_request)}"
    )
    return manifest.with_records([new]).with_event("request-received", description, now=imported_at)


def _describe_differences(evaluated_request: ReceivedRequest) -> str:
    messages: Iterable[str] = (
        f"{finding.code}: {finding.message}" for finding in evaluated_request.findings
    )
    return "; ".join(messages) or "as planned"
