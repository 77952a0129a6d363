"""Where a document comes from: deployment, planner, table, and the days that it is for.

Every document and every printed sheet names it. Nothing in it is today's date: a document of a
folder has the day of the folder's last change, any other the day in ``SOURCE_DATE_EPOCH``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

#: Names the day of a document without a folder, in seconds since 1970.
VARIABLE = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who made a document, for which deployment, from which table and on which days.

    ``made_on`` is a day, or a time in UTC such as ``2026-12-01 08:00 UTC``; blank if it is not
    known. ``judged_on`` is the evaluation date.
    """

    deployment: str = ""
    planner: str = ""
    table: str = ""
    made_on: str = ""
    judged_on: date | None = None

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield a heading and a text for each fact that is known."""
        judged_on = f"{self.judged_on}" if self.judged_on else ""
        told = (
            ("Deployment", self.deployment),
            ("Planner", self.planner),
            ("Table", self.table),
            ("Created", self.made_on),
            ("Evaluated for", judged_on),
        )
        return ((name, text) for name, text in told if text)

    @property
    def line(self) -> str:
        """The facts in one line, for the margin of a printed sheet; "" if none is known."""
        facts = dict(self.facts())
        first = facts.pop("Deployment", "")
        return " · ".join([*([first] if first else []), *(f"{k}: {v}" for k, v in facts.items())])

    @property
    def author(self) -> str:
        """The author in the properties of a document."""
        return self.planner or "lyncnb"

    @property
    def created(self) -> datetime | None:
        """The creation date in the properties of a document; None if it is not known."""
        try:
            return datetime.fromisoformat(self.made_on.removesuffix(" UTC"))
        except ValueError:
            return None


#: Where nothing is known of a document's origin.
UNKNOWN = Origin()


def source_date() -> str:
    """Return the day that the environment gives for documents; "" if it gives none."""
    try:
        return f"{datetime.fromtimestamp(int(os.environ.get(VARIABLE, '')), UTC).date()}"
    except (ValueError, OverflowError, OSError):
        return ""
