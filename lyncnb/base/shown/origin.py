"""Describe the origin of a document: deployment, planner, table, and dates.

Every document and every printed sheet shows its origin. The origin never contains today's date, so
that the same input results in the same document. A document about a request folder has the date of
the folder's last change. Any other document has the date in ``SOURCE_DATE_EPOCH``.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from .languages import make_translator

#: The environment variable that sets the date of documents without a request folder, in seconds
#: since 1970.
VARIABLE = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of a document: deployment, planner, table, creation and evaluation date.

    ``made_on`` is a date, or a time in UTC such as ``2026-12-01 08:00 UTC``; blank if it is not
    known. ``judged_on`` is the evaluation date. ``lang`` is the language of the document.
    """

    deployment: str = ""
    planner: str = ""
    table: str = ""
    made_on: str = ""
    judged_on: date | None = None
    lang: str = "en"

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield a heading and a text for each known detail of a document's origin."""
        judged_on = f"{self.judged_on}" if self.judged_on else ""
        details = (
            ("Deployment", self.deployment),
            ("Planner", self.planner),
            ("Table", self.table),
            ("Created", self.made_on),
            ("Evaluated for", judged_on),
        )
        return ((name, text) for name, text in details if text)

    @property
    def one_line_text(self) -> str:
        """The origin of a document in one line, for the margin of a printed sheet."""
        facts = dict(self.facts())
        first = facts.pop("Deployment", "")
        translate = make_translator(self.lang)
        fact_texts = (f"{translate(name)}{translate(': ')}{text}" for name, text in facts.items())
        return " · ".join([*([first] if first else []), *fact_texts])

    @property
    def subject_text(self) -> str:
        """The deployment and the table of a document in one line, for a panel."""
        return " · ".join(f"{name}: {text}" for name, text in self.facts() if name in _SUBJECT)

    @property
    def author(self) -> str:
        """The author in the properties of a document: the planner, or else lyncnb."""
        return self.planner or "lyncnb"

    @property
    def created(self) -> datetime | None:
        """The creation date in the properties of a document, or None if it is unknown."""
        try:
            return datetime.fromisoformat(self.made_on.removesuffix(" UTC"))
        except ValueError:
            return None


_SUBJECT = ("Deployment", "Table")
#: The HTML attribute with the origin of an output in a notebook.
_ATTRIBUTE = "data-lyncnb-origin"
_MARKED = re.compile(rf'{_ATTRIBUTE}="([^"]*)"')
_MARKED_NAMES = ("deployment", "planner", "table")

#: The origin of a document without any known details.
UNKNOWN = Origin()


def mark_origin(page: str, origin: Origin) -> str:
    """Add the deployment, planner and table of a document to HTML as invisible attributes."""
    names = json.dumps({name: getattr(origin, name) for name in _MARKED_NAMES})
    return f'<div {_ATTRIBUTE}="{html.escape(names)}">{page}</div>'


def read_origin(page: str) -> Origin | None:
    """Return the origin that :func:`mark_origin` added to a page, or None if there is none."""
    marked = _MARKED.search(page)
    try:
        names = json.loads(html.unescape(marked[1])) if marked else None
    except (ValueError, RecursionError):
        return None  # An output without the attribute was not created by lyncnb.
    if not isinstance(names, dict):
        return None
    deployment, planner, table = (str(names.get(name, "")) for name in _MARKED_NAMES)
    return Origin(deployment=deployment, planner=planner, table=table)


def read_source_date() -> str:
    """Return the date in the environment variable SOURCE_DATE_EPOCH, or "" if it is not set."""
    try:
        return f"{datetime.fromtimestamp(int(os.environ.get(VARIABLE, '')), UTC).date()}"
    except (ValueError, OverflowError, OSError):
        return ""
