"""Write the status of a request folder, or its history, as a table for people without lyncnb."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..base.shown.frames import Kind
from ..base.shown.origin import UNKNOWN
from ..base.shown.report import Report, ReportKind, ReportTable, Sentence, build_report_kind
from ..base.shown.tables import columns
from .certificate_history import CertificateHistory, GenerationHistory, Stay
from .status import FolderStatus

_INSTALLED = columns(
    ("Server", lambda row: row[1].server if row[1] else row[0].servers),
    ("Certificate", lambda row: row[0].id),
    ("Generation", lambda row: row[0].generation, Kind.COUNT),
    ("Type", lambda row: row[0].usages),
    ("Installed on", lambda row: row[1].since[:10] if row[1] else "not recorded", Kind.DAY),
    ("Serial number", lambda row: row[0].serial),
    ("Thumbprint", lambda row: row[0].thumbprint),
    ("Valid from", lambda row: row[0].not_before[:10], Kind.DAY),
    ("Valid until", lambda row: row[0].not_after[:10], Kind.DAY),
)

_SUFFIXES = (".csv", ".xlsx", ".md", ".html")

#: The type of file for the status of a request folder.
STATUS_FILE = build_report_kind(
    "a table of the status of certificates",
    title="Status of certificates",
    format_id="lyncnb-status/1",
    columns=FolderStatus._columns,
    suffixes=_SUFFIXES,
)
#: The type of file for the history of the certificates in a request folder.
HISTORY_FILE = build_report_kind(
    "a table of the history of certificates",
    title="History of certificates",
    format_id="lyncnb-history/1",
    columns=CertificateHistory._columns,
    suffixes=_SUFFIXES,
)


#: The type of file for the certificates that the servers had on one date.
INSTALLED_FILE = build_report_kind(
    "a table of the certificates on one date",
    title="Certificates on the servers",
    format_id="lyncnb-history/1",
    columns=_INSTALLED,
    suffixes=_SUFFIXES,
)


def build_status_report(status: FolderStatus) -> Report:
    """Return the status of a folder as a table, with its problems and next steps as sentences."""
    sentences = (status._summarize(), *map(str, status.problems), *status.next_steps)
    return _build_report(STATUS_FILE, sentences, status._list_items, status.to_document)


def find_history_kind(*, is_for_date: bool) -> ReportKind:
    """Return the type of file for a history, or for the certificates on one date."""
    return INSTALLED_FILE if is_for_date else HISTORY_FILE


def build_history_report(history: CertificateHistory) -> Report:
    """Return the events of certificates as a table, or for one date, a row for each server."""
    return _build_report(
        find_history_kind(is_for_date=bool(history.on)),
        (history._summarize(), *history.notes),
        (lambda: _list_installed(history)) if history.on else history._list_items,
        history.to_document,
    )


def _list_installed(history: CertificateHistory) -> Iterable[tuple[GenerationHistory, Stay | None]]:
    for generation in history.generations:
        yield from ((generation, stay) for stay in generation.stays or (None,))


def _build_report(
    kind: ReportKind,
    sentences: Sequence[str],
    items: Callable[[], Iterable[Any]],
    document: Callable[[], dict[str, Any]],
) -> Report:
    return Report(
        kind=kind,
        about="",
        origin=UNKNOWN,
        summary=sentences[0],
        parts=[
            *map(Sentence, sentences),
            ReportTable(
                columns=kind.columns,
                items=items,
                formats=dict.fromkeys((".csv", ".md", ".html"), "") | {".xlsx": kind.title},
            ),
        ],
        document=document,
        text=lambda: [sentences],
    )
