"""``RequestBundle``: the request folder on disk, and what a run changed in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..base.arguments import require
from ..base.records import Told
from ..base.shown.tables import Table, count_of
from .manifest import Manifest, read_manifest
from .request_record import RequestRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was done with one request (or, in a dry run, would be), and why.

    ``action`` is ``created | kept | renewed | adopted | retired | covered | at set-up | archived``;
    ``covered`` and ``at set-up`` are said of one that is left out, ``archived`` of left-over files
    of an interrupted run, which go to ``archive/``.
    """

    action: str
    id: str
    generation: int
    reasons: tuple[str, ...] = ()


_COLUMNS = (
    *("Request", "Role", "Servers", "Type", "Subject name", "State", "Generation"),
    *("CSR file", "Change", "Why"),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RequestBundle(Table, Told):
    """A request folder as it is on disk, and what the run that returned it did.

    Parameters
    ----------
    folder : Path
        Where it is.
    manifest : Manifest
        What it holds.
    changes : tuple of Change
        What was done with each request, and why; empty if the folder was only opened.
    notes : tuple of str
        What else was seen: files of others, missing archived files.
    cancelled : bool
        Whether the run was stopped before the last request; what was finished is kept.
    dry_run : bool
        Whether nothing was touched: then ``manifest`` and ``changes`` say what would be.
    is_quiet : bool
        Whether the run found nothing to write.
    """

    told: ClassVar = (
        "folder",
        "dry_run",
        "cancelled",
        "plan_sha256=manifest.plan_sha256",
        "accepted=manifest.accepted.code,reason",
        "changes",
        "notes",
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
        """The requests, in the order of the plan; those that left it last."""
        return self.manifest.requests

    def counts(self) -> dict[str, int]:
        """Count the changes of each action, e.g. ``{"created": 12, "kept": 3}``."""
        actions = [change.action for change in self.changes]
        return {action: actions.count(action) for action in dict.fromkeys(actions)}

    def _rows(self) -> Iterator[tuple[object, ...]]:
        changes = {change.id: change for change in self.changes if change.action != "archived"}
        for record in self.requests:
            plan, change = record.plan, changes.get(record.id)
            yield (
                record.id,
                plan.role,
                plan.servers,
                plan.usages,
                plan.common_name,
                record.state,
                record.generation,
                record.files.csr,
                change.action if change else "",
                "; ".join(change.reasons) if change else "",
            )

    def _headings(self) -> tuple[str, ...]:
        return _COLUMNS

    def _summary(self) -> str:
        counted = ", ".join(f"{number:,} {action}" for action, number in self.counts().items())
        words = f"{count_of(len(self.requests), 'request')} in {self.folder}"
        words += f": {counted}" if counted else ""
        words += " (dry run: nothing was changed)" if self.dry_run else ""
        return words + (
            " (canceled; run the command again to complete it)" if self.cancelled else ""
        )


def open_requests(folder: str | os.PathLike[str]) -> RequestBundle:
    """Open a request folder for reading; no lock and no passphrase is needed.

    Raises
    ------
    BundleError
        If it is not a request folder, or its manifest cannot be read.
    """
    require("folder", folder, str, os.PathLike)
    path = Path(folder)
    manifest = read_manifest(path)
    return RequestBundle(folder=path, manifest=manifest)
