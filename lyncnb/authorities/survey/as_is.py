"""Show which planned certificates are installed, as a table and as a document.

This module contains only the data classes. ``compare_as_is.py`` creates the objects.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import ClassVar

from ...base.records import JsonSerializable, list_json_values
from ...base.shown.frames import Kind
from ...base.shown.origin import UNKNOWN, Origin
from ...base.shown.report import (
    Report,
    ReportKind,
    ReportTable,
    Sentence,
    build_report_kind,
    describe_hidden_rows,
    write_report,
)
from ...base.shown.tables import Table, columns, format_count
from ...rules.findings import Finding, list_lines

FORMAT = "lyncnb-asis/1"

#: All states that a planned certificate can have, from covered to missing, with their
#: descriptions. Only a probe reports the state "not seen".
STATES: Mapping[str, str] = {
    "covered": "covered",
    "no-key": "without the private key on a server",
    "missing-on-servers": "missing on some of its servers",
    "elsewhere": "on the wrong server",
    "compromised": "with a compromised key",
    "names-missing": "with missing names",
    "other-key": "with an old key",
    "not-in-force": "not valid on the evaluation date",
    "other-ca": "from a different CA",
    "unproven": "with an incomplete chain",
    "differs": "different from the plan",
    "none": "without an installed certificate",
    "not-seen": "not seen",
}

#: The state of a certificate that no port presented to ``probe``. The certificate may still be
#: installed.
NOT_SEEN = "not-seen"
#: The state of a certificate that some of its servers have, with its key, and others lack.
LACKING = "missing-on-servers"
#: The states in which no certificate is installed.
ABSENT = ("none", NOT_SEEN)

#: The states in which an installed certificate matches the plan, best first. In all but "covered",
#: a server needs a copy of the certificate with its private key.
GOOD = ("covered", "no-key", LACKING, "elsewhere")

_UNPLANNED = "unplanned"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledCertificate(JsonSerializable):
    """A certificate that is installed on a server.

    ``thumbprint`` is the SHA-1 that Windows shows, and ``sha256`` is the hash of the DER bytes.
    Times are UTC in ISO 8601. ``files`` are the files that contain the certificate. ``servers`` are
    the servers whose store has it, according to the exports.
    """

    thumbprint: str
    sha256: str
    serial: str
    subject: str = ""
    issuer: str
    not_before: str
    not_after: str
    files: tuple[str, ...]
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAsIs(JsonSerializable):
    """A planned certificate, and the installed certificate that covers it or is closest to it.

    ``state`` is one of ``STATES``. ``certificate`` is the installed certificate that covers the
    planned one, or else the closest one; None if there is none. ``findings`` are the findings that
    ``receive`` would report. ``remarks`` describe the servers and the usages. ``entry_sha256`` is
    the hash of the planned fields.
    """

    json_keys: ClassVar = (
        *("id", "owner", "usages", "subject", "entry_sha256", "state", "certificate"),
        *("findings=findings.code,severity,message", "remarks"),
    )

    id: str
    owner: str
    usages: tuple[str, ...]
    subject: str
    entry_sha256: str
    state: str
    certificate: InstalledCertificate | None = None
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def state_words(self) -> str:
        """The description of the planned certificate's state."""
        return STATES[self.state]

    @property
    def is_covered(self) -> bool:
        """Whether the certificate is installed with its key on all servers that require it."""
        return self.state == "covered"

    @property
    def is_good(self) -> bool:
        """Whether an installed certificate matches the plan, on whatever server it is."""
        return self.state in GOOD

    def __str__(self) -> str:
        description = (
            f"{self.id} ({self.owner}{': ' if self.usages else ''}{', '.join(self.usages)})"
        )
        certificate = self.certificate
        if certificate is None:
            return f"{self.state_words}: {description}"
        if self.is_covered:
            return (
                f"covered by the certificate with the thumbprint {certificate.thumbprint} until "
                f"{certificate.not_after[:10]}: {description}"
            )
        return (
            f"{self.state_words}: {description}; installed certificate {certificate.thumbprint}, "
            f"valid until {certificate.not_after[:10]}"
        )

    def lines(self) -> Iterator[str]:
        """Yield the findings about the installed certificate as lines of text, errors first."""
        return list_lines(self.findings, self.remarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnplannedCertificate(JsonSerializable):
    """An installed certificate that matches no planned certificate, and the reason."""

    json_keys: ClassVar = (
        *(f"{item.name}=certificate.{item.name}" for item in fields(InstalledCertificate)),
        "why",
    )

    certificate: InstalledCertificate
    why: str

    id = owner = usages = ""
    state_words = _UNPLANNED

    @property
    def subject(self) -> str:
        """The subject of the certificate."""
        return self.certificate.subject

    def lines(self) -> Iterator[str]:
        """Yield lines that explain why no planned certificate needs the installed certificate."""
        yield self.why

    def __str__(self) -> str:
        certificate = self.certificate
        return (
            f"{_UNPLANNED}: {certificate.thumbprint} ({certificate.subject}), valid until "
            f"{certificate.not_after[:10]}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _OtherRow:
    """A row of the table about a file or a server, and not about a certificate."""

    state_words: str
    text: str

    id = owner = usages = subject = ""
    certificate = None

    def lines(self) -> Iterator[str]:
        """Yield the text of the row."""
        yield self.text


_COLUMNS = columns(
    ("Certificate", "id"),
    ("Of", "owner"),
    ("Type", "usages"),
    ("Subject name", "subject"),
    ("Installed", "state_words"),
    ("Thumbprint", lambda row: row.certificate and row.certificate.thumbprint),
    ("Valid until", lambda row: row.certificate and row.certificate.not_after[:10], Kind.DAY),
    ("Found in", lambda row: row.certificate and row.certificate.files),
    ("On", lambda row: row.certificate and row.certificate.servers),
    ("What there is to say", lambda row: tuple(row.lines())),
)

#: The type of file for a table of installed certificates.
AS_IS_TABLE = build_report_kind(
    "a table of installed certificates",
    title="Installed certificates",
    format_id=FORMAT,
    columns=_COLUMNS,
    suffixes=(".csv", ".xlsx", ".md"),
)
#: The type of file that ``request --only-missing`` reads.
AS_IS_FILE = build_report_kind(
    "a file saved by lyncnb asis --save",
    title=AS_IS_TABLE.title,
    format_id=FORMAT,
    columns=_COLUMNS,
    suffixes=(".json",),
)

_SHOWN = 200  # The largest number of certificates in the short form of a comparison.


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AsIs(Table):
    """A comparison of the installed certificates with the plan, as of a given date.

    ``planned`` is in the order of the plan. ``files`` contains findings about the files that were
    read. ``notes`` contains server data about other certificates. ``made_at`` is a UTC time in ISO
    8601.
    """

    _columns: ClassVar = _COLUMNS

    product: str
    plan_sha256: str
    made_at: str
    judged_on: date
    planned: tuple[PlannedAsIs, ...]
    unplanned: tuple[UnplannedCertificate, ...]
    files: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    origin: Origin = field(default=UNKNOWN, compare=False)

    @property
    def exit_status(self) -> int:
        """The exit status: 0 if all certificates are covered, 2 if a file is unreadable, else 1."""
        if any(file.severity == "error" for file in self.files):
            return 2
        return (
            0 if all(planned_certificate.is_covered for planned_certificate in self.planned) else 1
        )

    def counts(self) -> dict[str, int]:
        """Return the number of planned certificates in each state, such as ``{"covered": 12}``."""
        states = [planned_certificate.state for planned_certificate in self.planned]
        return {state: states.count(state) for state in STATES if state in states}

    def _list_items(self) -> tuple[PlannedAsIs | UnplannedCertificate, ...]:
        return (*self.planned, *self.unplanned)

    def _summarize(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return a sentence about how many planned certificates are installed."""
        counted = [f"{number:,} {STATES[state]}" for state, number in self.counts().items()]
        counted += [f"{len(self.unplanned):,} {_UNPLANNED}"] if self.unplanned else []
        planned = format_count(len(self.planned), "planned certificate")
        return f"{planned}, evaluated on {self.judged_on}: {', '.join(counted) or 'nothing'}"

    def to_json(self) -> bytes:
        """Return the comparison with installed certificates as JSON for ``request --only-missing``.

        The last key, ``sha256``, is the hash of all previous bytes, so that changes can be
        detected.
        """
        return write_report(build_as_is_report(self, AS_IS_FILE), ".json")


def build_as_is_report(as_is: AsIs, kind: ReportKind = AS_IS_TABLE) -> Report:
    """Return the installed certificates as a table, or as the file for ``--only-missing``."""
    return Report(
        kind=kind,
        about=as_is.product,
        origin=as_is.origin,
        summary=as_is.summary(),
        parts=[
            Sentence(as_is.summary()),
            ReportTable(
                columns=_COLUMNS,
                items=lambda: (*as_is._list_items(), *_list_other_rows(as_is)),
                formats={".csv": "", ".md": "", ".xlsx": AS_IS_TABLE.title},
            ),
        ],
        document=lambda: _build_document_with_digest(as_is),
        text=lambda: [[*_format_lines(as_is)]],
    )


def _list_other_rows(as_is: AsIs) -> Iterator[_OtherRow]:
    """Yield the notes, and the findings about files, which the command prints below the table."""
    for note in as_is.notes:
        yield _OtherRow(state_words="note", text=note)
    for file in as_is.files:
        text = f"{file.about}: {file.message} [{file.code}]"
        yield _OtherRow(state_words=file.severity, text=text)


def _build_document_with_digest(as_is: AsIs) -> dict[str, object]:
    document = list_json_values(
        as_is, "product", "plan_sha256", "made_at", "judged_on", "planned", "unplanned"
    )
    document["files"] = [
        {"file": file.about, "code": file.code, "severity": file.severity, "message": file.message}
        for file in as_is.files
    ]
    document["notes"] = list(as_is.notes)
    text = json.dumps({"format": FORMAT, **document}, sort_keys=True, separators=(",", ":"))
    return {**document, "sha256": hashlib.sha256(text.encode("ascii")).hexdigest()}


def _format_lines(as_is: AsIs) -> Iterator[str]:
    items = as_is._list_items()
    for item in items[:_SHOWN]:
        yield str(item)
        yield from (f"  {line}" for line in item.lines())
    yield from describe_hidden_rows(len(items) - _SHOWN)
