"""Define the state of one call to ``deployed``: current records, recorded changes, problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from ...errors import Problem
from ...request_folder.history import Event
from ...request_folder.manifest import Manifest
from ...request_folder.request_record import RequestRecord
from .deployed_results import RecordedDeployment


@dataclass(slots=True, kw_only=True)
class Run:
    """The state of one call to ``deployed``.

    ``day`` is the date that the user specified, ``now`` the time of the record, and ``present`` its
    date. ``events`` are events that the manifest does not contain.
    """

    manifest: Manifest
    day: date
    now: str
    present: date
    records: dict[str, RequestRecord] = field(default_factory=dict)
    recorded: list[RecordedDeployment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def get_record(self, record: RequestRecord) -> RequestRecord:
        """Return the record of a request with the changes of this run."""
        return self.records.get(record.id, record)

    def add_problem(self, message: str, hint: str, *, file: str = "") -> None:
        """Add the reason why a name or a certificate cannot be recorded."""
        self.problems.append(Problem(message=message, file=file, hint=hint))

    def add_result(
        self,
        name: str,
        generation: int,
        what: str,
        servers: Sequence[str],
        on: str,
        serial: str,
        *,
        seen_in: str = "",
        about: str = "",
    ) -> None:
        """Add a recorded change, unless it is the same as an earlier one."""
        result = RecordedDeployment(
            id=name,
            generation=generation,
            what=what,
            servers=tuple(servers),
            on=on,
            serial=serial,
            seen_in=seen_in,
            about=about,
        )
        if result not in self.recorded:
            self.recorded.append(result)
