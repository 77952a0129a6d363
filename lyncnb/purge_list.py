"""``PurgeList``: what a purge would remove, or did, as a table, a text and a document."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .base.tables import DataFrame, rows_to_html, to_frame

_COLUMNS = ("Request", "Generation", "What", "Why", "Files")


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeItem:
    """One thing to remove: ``what`` is ``key and CSR``, ``key`` or ``package``."""

    id: str
    generation: int
    what: str
    why: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeList:
    """What a purge would remove, or did; ``token`` stands for exactly this list.

    ``kept`` counts the superseded generations that stay because nothing has replaced them yet,
    ``unanswered`` the requests that were said to be deployed and have no certificate on record.
    """

    folder: Path
    items: tuple[PurgeItem, ...]
    is_done: bool = False
    kept: int = 0
    unanswered: int = 0

    @property
    def token(self) -> str:
        """Eight hex digits that confirm this list and no other."""
        lines = [f"{item.id} {item.generation} {' '.join(item.files)}" for item in self.items]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]

    def _rows(self) -> list[tuple[object, ...]]:
        return [(item.id, item.generation, item.what, item.why, item.files) for item in self.items]

    def to_frame(self) -> DataFrame:
        """Return the list as a DataFrame, one row per thing to remove, five columns."""
        return to_frame(_COLUMNS, self._rows())

    def _repr_html_(self) -> str:
        return rows_to_html(_COLUMNS, self._rows(), caption=self._summary())

    def __repr__(self) -> str:
        lines = [
            f"{item.id} generation {item.generation}: {item.what}, {item.why}"
            for item in self.items
        ]
        return "\n".join([self._summary(), *lines])

    def _summary(self) -> str:
        done = "removed" if self.is_done else f"to remove (confirm with {self.token})"
        what = f"{len(self.items):,} {done}" if self.items else "nothing to remove"
        if self.kept:
            what += f"; {self.kept:,} superseded stay until the new certificate is there"
        if self.unanswered:
            what += f"; {self.unanswered:,} of the deployed stay: no certificate came back for them"
        return f"{self.folder}: {what}"

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values: what ``lyncnb purge --json`` prints."""
        return {
            "folder": str(self.folder),
            "done": self.is_done,
            "token": self.token,
            "kept": self.kept,
            "unanswered": self.unanswered,
            "items": [
                {
                    "id": item.id,
                    "generation": item.generation,
                    "what": item.what,
                    "why": item.why,
                    "files": list(item.files),
                }
                for item in self.items
            ],
        }
