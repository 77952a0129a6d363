"""Read a file that ``lyncnb asis --save`` wrote, and validate all of its fields."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from pathlib import Path

from ...base.disk import files
from ...base.json_text import NotJson, parse_json
from ...base.records import RecordReader
from ...base.shown.report import build_report_document
from ...errors import ReturnedFileError
from ...rules.findings import Finding
from ...rules.model import SEVERITIES
from ...rules.returned_rules import create_returned_finding, list_returned_checks
from .as_is import (
    ABSENT,
    FORMAT,
    GOOD,
    STATES,
    AsIs,
    InstalledCertificate,
    PlannedAsIs,
    UnplannedCertificate,
    build_as_is_report,
)

# The maximum file size in bytes. A file with 10,000 planned certificates and their findings
# is about 20 MB.
_LARGEST = 1 << 28
_AGAIN = "save the file again: lyncnb asis PATH… TOPOLOGY --save FILE.json"
_FORMS = {
    "thumbprint": re.compile(r"[0-9A-F]{40}"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "serial": re.compile(r"-?(?:[0-9a-f]{2})+"),
}
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    code: str
    severity: str
    message: str
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unplanned(InstalledCertificate):
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    id: str
    owner: str
    usages: tuple[str, ...]
    entry_sha256: str
    state: str
    findings: tuple[_Finding, ...]
    remarks: tuple[str, ...]
    subject: str = ""
    certificate: InstalledCertificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    format: str
    product: str
    plan_sha256: str
    made_at: str
    judged_on: str
    planned: tuple[_Planned, ...]
    unplanned: tuple[_Unplanned, ...]
    files: tuple[_Finding, ...]
    notes: tuple[str, ...]
    sha256: str


def read_as_is(path: str | os.PathLike[str]) -> AsIs:
    """Read a file that ``lyncnb asis --save`` or ``lyncnb probe --save`` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    AsIs
        The saved result.

    Raises
    ------
    ReturnedFileError
        If the file cannot be read, has another format, or was edited. The error lists all invalid
        fields.
    """
    name = Path(path).name
    data = files.read_specified_file(path, limit=_LARGEST, error_class=ReturnedFileError)
    return _build_as_is(_parse_document(data, name), name)


def _parse_document(data: bytes, name: str) -> dict[str, object]:
    try:
        document = parse_json(data)
    except NotJson as error:
        raise ReturnedFileError(f"{name}: {error}", hint=_AGAIN) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ReturnedFileError(
            f"{name} was not saved by lyncnb asis or lyncnb probe (format {FORMAT})", hint=_AGAIN
        )
    if "planned" in document and "sha256" not in document:
        raise ReturnedFileError(
            (
                f"{name}: an older version of lyncnb wrote this file without a digest, and "
                "did not verify every signature"
            ),
            hint=_AGAIN,
        )
    planned = document.get("planned")
    for planned_value in planned if isinstance(planned, list) else ():
        if isinstance(planned_value, dict) and planned_value.get("certificate", "") is None:
            del planned_value["certificate"]
    return document


def _build_as_is(document: dict[str, object], name: str) -> AsIs:
    reader = RecordReader(name)
    content = reader.record(_Document, document)
    if content is not None:
        for location, message in _find_errors(content):
            reader.problem(f"'{location}' {message}")
    if content is None or reader.problems:
        raise ReturnedFileError(
            f"{name}: the file was edited or damaged", problems=tuple(reader.problems), hint=_AGAIN
        )
    comparison = AsIs(
        product=content.product,
        plan_sha256=content.plan_sha256,
        made_at=content.made_at,
        judged_on=date.fromisoformat(content.judged_on),
        planned=tuple(map(_build_planned_as_is, content.planned)),
        unplanned=tuple(
            UnplannedCertificate(certificate=_remove_reason(certificate), why=certificate.why)
            for certificate in content.unplanned
        ),
        files=tuple(_build_finding(file, file.file) for file in content.files),
        notes=content.notes,
    )
    # The digest of the saved comparison must be valid, because lyncnb uses the comparison to decide
    # which requests to omit.
    if build_report_document(build_as_is_report(comparison))["sha256"] != content.sha256:
        raise ReturnedFileError(
            f"{name}: the file was changed after lyncnb saved it, so its digest does not match",
            hint=_AGAIN,
        )
    return comparison


def _find_errors(content: _Document) -> Iterator[tuple[str, str]]:
    """Yield the location and the problem of each value in the file that is not valid."""
    if not _FORMS["sha256"].fullmatch(content.plan_sha256):
        yield "plan_sha256", "is not a SHA-256 value"
    if not _is_time(content.made_at):
        yield "made_at", "is not a valid time. Example of a valid time: 2026-11-24T08:00:00Z"
    try:
        date.fromisoformat(content.judged_on)
    except ValueError:
        yield "judged_on", "is not a date"
    seen = set()
    for number, planned in enumerate(content.planned):
        location = f"planned[{number}]"
        if planned.id in seen:
            yield f"{location}.id", "appears twice"
        seen.add(planned.id)
        if planned.state not in STATES:
            yield f"{location}.state", f"is not one of {', '.join(STATES)}"
        elif (planned.certificate is None) != (planned.state in ABSENT):
            yield f"{location}.certificate", f'does not match the state "{planned.state}"'
        elif planned.state in GOOD and any(
            finding.severity == "error" for finding in planned.findings
        ):
            yield f"{location}.state", f'is "{planned.state}", but one of the findings is an error'
        if not _FORMS["sha256"].fullmatch(planned.entry_sha256):
            yield f"{location}.entry_sha256", "is not a SHA-256 value"
        if planned.certificate is not None:
            yield from _find_certificate_errors(planned.certificate, f"{location}.certificate")
        yield from _find_invalid_findings(planned.findings, f"{location}.findings")
    for number, other in enumerate(content.unplanned):
        yield from _find_certificate_errors(other, f"unplanned[{number}]")
    yield from _find_invalid_findings(content.files, "files")


def _find_certificate_errors(
    certificate: InstalledCertificate, location: str
) -> Iterator[tuple[str, str]]:
    for name, form in _FORMS.items():
        if not form.fullmatch(getattr(certificate, name)):
            yield f"{location}.{name}", "has an invalid format"
    for name in ("not_before", "not_after"):
        if not _is_time(getattr(certificate, name)):
            yield (
                f"{location}.{name}",
                "is not a valid time. Example of a valid time: 2026-11-24T08:00:00Z",
            )
    for text in (certificate.subject, certificate.issuer, *certificate.servers):
        if not text.isprintable():
            yield location, "contains characters that cannot be printed"


def _find_invalid_findings(
    findings: tuple[_Finding, ...], location: str
) -> Iterator[tuple[str, str]]:
    for number, finding in enumerate(findings):
        if finding.severity not in SEVERITIES or finding.code not in list_returned_checks():
            yield (
                f"{location}[{number}]",
                f'"{finding.severity}" with the code "{finding.code}" is not a valid finding',
            )


def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.fullmatch(text)) and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _build_finding(content: _Finding, subject: str) -> Finding:
    return replace(
        create_returned_finding(content.code, subject, content.message), severity=content.severity
    )


def _remove_reason(content: _Unplanned) -> InstalledCertificate:
    values = {item.name: getattr(content, item.name) for item in fields(InstalledCertificate)}
    return InstalledCertificate(**values)


def _build_planned_as_is(content: _Planned) -> PlannedAsIs:
    return PlannedAsIs(
        id=content.id,
        owner=content.owner,
        usages=content.usages,
        subject=content.subject,
        entry_sha256=content.entry_sha256,
        state=content.state,
        certificate=content.certificate,
        findings=tuple(_build_finding(finding, content.id) for finding in content.findings),
        remarks=content.remarks,
    )
