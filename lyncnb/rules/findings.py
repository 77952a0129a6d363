"""``Finding`` and ``Findings``: what there is to say of a plan, and how bad it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import overload

from ..base.arguments import at_door
from ..base.tables import Table, count_of
from .model import SEVERITIES, CheckRule


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEdit:
    """Another text for one cell of the table; ``row`` is an index into ``Topology.cells``."""

    row: int
    column: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionEdit:
    """Another value for an option, its default if ``value`` is None.

    With a ``key`` (the usage of an issuer, the code of an acceptance) what stands there is taken
    out.
    """

    option: str
    key: str = ""
    value: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadingEdit:
    """The name of a known column for a heading that no column claims."""

    heading: str
    column: str


Edit = CellEdit | OptionEdit | HeadingEdit


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check has to say about one certificate, server or the file.

    ``title`` says what is found wherever its check finds something, ``message`` where and with
    which value. ``accepted`` is the reason for which an error is no obstacle; such a finding is a
    notice. ``edits`` mend it, where there is one answer and it is safe; none anywhere else.
    """

    code: str
    severity: str  # error | warning | notice
    about: str
    message: str
    hint: str
    source: str
    accepted: str = ""
    title: str = ""
    edits: tuple[Edit, ...] = field(default=(), compare=False)

    @property
    def words(self) -> str:
        """Say what was found, whole: a message alone may read ``the key is RSA 1024``."""
        return f"{self.title}: {self.message}" if self.title else self.message

    def accepted_because(self, reason: str) -> Finding:
        """Return the notice that an error becomes once it is accepted."""
        return replace(
            self,
            severity="notice",
            message=f"{self.message}{accepted_words(reason)}",
            hint="Nothing: it was accepted.",
            accepted=reason,
            edits=(),
        )

    def to_text(self) -> str:
        """Write it in two lines, for a terminal: what there is, and what to do."""
        return f"{self.severity}: {self.about}: {self.message} [{self.code}]\n  hint: {self.hint}"

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values: an entry of ``findings`` in every JSON of a command."""
        return {
            "code": self.code,
            "severity": self.severity,
            "about": self.about,
            "message": self.message,
            "hint": self.hint,
            "source": self.source,
        }


def accepted_words(reason: str) -> str:
    """Give what the message of an accepted finding ends with."""
    return f" (accepted: {reason})"


_SHOWN = 60  # findings that repr lists; a notebook's cell is no place for thousands
_HEADINGS = ("Severity", "Code", "About", "Finding", "What to do", "Source")


@dataclass(frozen=True, slots=True, repr=False)
class Findings(Table, Sequence[Finding]):
    """Findings of a plan, errors first; a sequence that shows itself as a table."""

    items: tuple[Finding, ...] = ()
    #: The day by whose rules a plan was judged; None where no day counts.
    judged_on: date | None = field(default=None, compare=False)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Findings: ...
    def __getitem__(self, index: int | slice) -> Finding | Findings:
        if isinstance(index, slice):
            return Findings(self.items[index], self.judged_on)
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.items)

    @property
    def has_errors(self) -> bool:
        """Say whether one of them is an error."""
        return any(finding.severity == "error" for finding in self.items)

    def counts(self) -> dict[str, int]:
        """Count findings of each severity, e.g. ``{"error": 0, "warning": 2, "notice": 1}``."""
        severities = [finding.severity for finding in self.items]
        return {severity: severities.count(severity) for severity in SEVERITIES}

    @at_door
    def of(self, severity: str) -> Findings:
        """Give the findings of one severity."""
        return Findings(tuple(f for f in self.items if f.severity == severity), self.judged_on)

    def _headings(self) -> tuple[str, ...]:
        return _HEADINGS

    def _rows(self) -> list[tuple[str, ...]]:
        return [(f.severity, f.code, f.about, f.words, f.hint, f.source) for f in self.items]

    def __repr__(self) -> str:
        lines = [f"{f.severity}: {f.words}" for f in self.items[:_SHOWN]]
        more = len(self.items) - len(lines)
        if more:
            lines.append(f"… and {more:,} more; to_frame() has them all")
        return "\n".join([self._summary(), *lines])

    def _summary(self) -> str:
        words = (count_of(number, severity) for severity, number in self.counts().items())
        return "Findings: " + ", ".join(words)


def sort_findings(found: Iterable[Finding], *, judged_on: date | None = None) -> Findings:
    """Order findings by severity, code, subject and message, each once."""
    rank = {severity: number for number, severity in enumerate(SEVERITIES)}
    key = lambda f: (rank[f.severity], f.code, f.about, f.message)  # noqa: E731
    return Findings(tuple(sorted(set(found), key=key)), judged_on)


def finding_of(rule: CheckRule, about: str, message: str) -> Finding:
    """Make the finding of a check: about what, and what was found, with the value."""
    if rule.disagreement:
        message = f"{message} ({rule.disagreement})"
    return Finding(
        code=rule.code,
        severity=rule.severity,
        about=about,
        message=message,
        hint=rule.hint,
        source=rule.source,
        title=rule.title,
    )
