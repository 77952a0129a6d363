"""Define ``RequestBundle``: a request folder on disk, and the changes that a run made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..base.arguments import check_type
from ..base.records import JsonSerializable
from ..base.shown.frames import Kind
from ..base.shown.tables import Table, columns, format_count
from .manifest import Manifest, read_manifest
from .request_record import RequestRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to a request, and the reason for it. In a dry run, the change is only planned.

    ``action`` is ``created | kept | renewed | adopted | retired | covered | at set-up | archived``.
    ``covered`` and ``at set-up`` mean that no request is written. ``archived`` means that files
    from an interrupted run are moved to ``archive/``.
    """

    action: str
    id: str
    generation: int
    reasons: tuple[str, ...] = ()


#: The actions after which an earlier request does not count any more.
_REPLACING = ("retired", "renewed", "archived")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RequestBundle(Table, JsonSerializable):
    """A request folder on disk, with the results of the run that wrote or opened the folder.

    Parameters
    ----------
    folder : Path
        The path of the folder.
    manifest : Manifest
        The manifest of the folder.
    changes : tuple of Change
        The change to each request, and the reason; empty if the folder was only opened.
    notes : tuple of str
        Other observations, such as unknown files or missing archived files.
    cancelled : bool
        Whether the run was canceled before the last request. Completed requests are kept.
    dry_run : bool
        Whether the run was a dry run; ``manifest`` and ``changes`` then show the planned result.
    is_quiet : bool
        Whether the run had nothing to write.
    """

    json_keys: ClassVar = (
        "folder",
        "dry_run",
        "cancelled",
        "plan_sha256=manifest.plan_sha256",
        "accepted=manifest.accepted.code,reason",
        "changes",
        "notes",
    )

    _columns: ClassVar = columns(
        ("Certificate", lambda row: row[0].id),
        ("Role", lambda row: row[0].plan.role),
        ("Servers", lambda row: row[0].plan.servers),
        ("Type", lambda row: row[0].plan.usages),
        ("Subject name", lambda row: row[0].plan.common_name),
        ("State", lambda row: row[0].state),
        ("Generation", lambda row: row[0].generation, Kind.COUNT),
        ("CSR file", lambda row: row[0].files.csr),
        ("Change", lambda row: row[1] and row[1].action),
        ("Why", lambda row: row[1] and "; ".join(row[1].reasons)),
    )

    folder: Path
    manifest: Manifest
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    cancelled: bool = False
    dry_run: bool = False
    is_quiet: bool = False

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """The requests in the order of the plan. Retired requests come last."""
        return self.manifest.requests

    def counts(self) -> dict[str, int]:
        """Return the number of changes by action, such as ``{"created": 12, "kept": 3}``."""
        actions = [change.action for change in self.ordered_changes]
        return {action: actions.count(action) for action in dict.fromkeys(actions)}

    @property
    def ordered_changes(self) -> tuple[Change, ...]:
        """The changes, with those that replace or retire a request first."""
        return tuple(sorted(self.changes, key=lambda change: change.action not in _REPLACING))

    def _list_items(self) -> Iterator[tuple[RequestRecord, Change | None]]:
        changes = {change.id: change for change in self.changes if change.action != "archived"}
        return ((record, changes.get(record.id)) for record in self.requests)

    def _summarize(self) -> str:
        would = "would be " if self.dry_run else ""
        counts = self.counts().items()
        counted = ", ".join(f"{number:,} {would}{action}" for action, number in counts)
        words = f"{format_count(len(self.requests), 'request')} in the folder {self.folder}"
        words += f": {counted}" if counted else ""
        return words + (
            " (canceled; run the command again to complete it)" if self.cancelled else ""
        )


def open_requests(folder: str | os.PathLike[str]) -> RequestBundle:
    """Open a request folder for reading, without a lock and without a passphrase.

    Raises
    ------
    BundleError
        If the folder is not a request folder, or the manifest cannot be read.
    """
    check_type("folder", folder, str, os.PathLike)
    path = Path(folder)
    manifest = read_manifest(path)
    return RequestBundle(folder=path, manifest=manifest)
