"""Define the result of the ``deployed`` command: what it recorded, lifted, or left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...base.records import JsonSerializable
from ...base.shown.frames import Kind
from ...base.shown.tables import Table, columns, format_count

#: The values of ``RecordedDeployment.what``.
RECORDED, ALREADY, WITHDRAWN = "recorded", "already recorded", "no longer on the server"
REVOKED, REVOCATION, GONE, UNDONE = "revoked", "revocation requested", "gone", "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDeployment(JsonSerializable):
    """A recorded change: one generation of a certificate was installed or revoked.

    ``what`` is ``recorded``, ``already recorded``, ``no longer on the server``, ``revoked``,
    ``revocation requested``, ``gone`` (the servers left) or ``undone``. ``about`` is what was
    recorded before, for example ``gone``, if ``what`` does not say so. ``on`` is a date in ISO
    8601. ``seen_in`` is the report that shows the deployment.
    """

    id: str
    generation: int
    what: str
    servers: tuple[str, ...]
    on: str
    serial: str
    seen_in: str = ""
    about: str = ""

    json_keys: ClassVar = (
        *("id", "generation", "what", "servers", "on", "serial", "seen_in", "about"),
    )

    def __str__(self) -> str:
        generation_text = (
            f"generation {self.generation}"
            if self.generation
            else "the certificate that was installed before the request was created"
        )
        certificate = f"{self.id}, {generation_text}"
        on_servers = f" on {', '.join(self.servers)}" if self.servers else ""
        seen = f", seen in {self.seen_in}" if self.seen_in else ""
        what = self.about or self.what
        if what == GONE:
            return f"{certificate}: {', '.join(self.servers)} left on {self.on}"
        if what in (REVOKED, REVOCATION):
            return f"{certificate}, serial number {self.serial}, {what} on {self.on}"
        if what == WITHDRAWN:
            return f"{certificate}{on_servers}. An earlier certificate is still installed{seen}"
        return f"{certificate}{on_servers} since {self.on}, serial number {self.serial}{seen}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RecordedDeployments(Table, JsonSerializable):
    """The changes that the ``deployed`` command recorded in one run, and notes about them.

    ``is_partial`` means that names or certificates were left out. The notes name them.
    """

    json_keys: ClassVar = ("folder", "dry_run", "recorded", "notes")

    _columns: ClassVar = columns(
        ("Certificate", "id"),
        ("Generation", "generation", Kind.COUNT),
        ("Recorded", "what"),
        ("On", "servers"),
        ("Day", "on", Kind.DAY),
        ("Serial number", "serial"),
        ("Seen in", "seen_in"),
    )

    folder: Path
    recorded: tuple[RecordedDeployment, ...]
    notes: tuple[str, ...] = ()
    is_partial: bool = False
    dry_run: bool = False

    @property
    def changes(self) -> int:
        """The number of certificate generations whose record was changed."""
        changed = (entry for entry in self.recorded if entry.what != ALREADY)
        return len({(entry.id, entry.generation) for entry in changed})

    def _list_items(self) -> Iterable[Any]:
        return self.recorded

    def _summarize(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return a sentence with the number of new records."""
        number = format_count(self.changes, "generation") if self.changes else "nothing new"
        if all(entry.what == UNDONE for entry in self.recorded) and self.changes:
            return f"{self.folder}: {'would undo' if self.dry_run else 'undone'}: {number}"
        return (
            f"{self.folder}: {f'would record {number}' if self.dry_run else f'{number} recorded'}"
        )

    def to_text(self) -> str:
        """Return the recorded changes as plain lines for a terminal."""
        verbs = _VERBS_OF_DRY_RUN if self.dry_run else {}
        lines = [f"{verbs.get(entry.what, entry.what)}: {entry}" for entry in self.recorded]
        lines += [self.summary(), *(f"note: {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        return self.to_text().rstrip("\n")


_VERBS_OF_DRY_RUN = {
    RECORDED: "would be recorded",
    WITHDRAWN: "would be withdrawn",
    REVOKED: "would be recorded as revoked",
    REVOCATION: "would request a revocation",
    GONE: "would be gone",
    UNDONE: "would be undone",
}
