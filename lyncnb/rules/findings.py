"""Represent the results of an evaluation as findings, with their severities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, ClassVar, overload

from ..base.records import JsonSerializable
from ..base.shown.languages import make_translator
from ..base.shown.tables import (
    ROWS_SHOWN,
    Marked,
    Table,
    columns,
    format_count,
    join_first_texts,
    mark_plan,
    rows_to_html,
)
from .ca_rules import load_ca_rules
from .model import SEVERITIES, CheckRule


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEdit:
    """A fix that sets a new text in a table cell. ``row`` is an index into ``Topology.cells``."""

    row: int
    column: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionEdit:
    """A fix that sets an option, or resets it to the default if ``value`` is None.

    If ``key`` is set (the usage of an issuer, or the code of an acceptance), only this entry of the
    option is removed.
    """

    option: str
    key: str = ""
    value: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadingEdit:
    """A fix that replaces an unknown heading with the name of a known column."""

    heading: str
    column: str


Edit = CellEdit | OptionEdit | HeadingEdit


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(JsonSerializable):
    """The result of a check about a certificate, a server, or a file.

    ``title`` is the same for all findings of a check. ``message`` contains the place and the value.
    ``accepted`` is the reason for accepting the finding, which is then a notice. ``edits``
    contains the fix if there is exactly one safe fix; otherwise it is empty. ``choices`` contains
    the edits of each sensible answer if there are several answers. ``lang`` is the language of
    title, message, and hint.
    """

    json_keys: ClassVar = (
        "code",
        "severity",
        "about",
        "message",
        "hint",
        "source",
    )

    code: str
    severity: str  # The severity is one of: error | warning | notice.
    about: str
    message: str
    hint: str
    source: str
    accepted: str = ""
    title: str = ""
    edits: tuple[Edit, ...] = field(default=(), compare=False)
    choices: tuple[tuple[Edit, ...], ...] = field(default=(), compare=False)
    lang: str = field(default="en", compare=False)

    @property
    def words(self) -> str:
        """Return the title and the message, because a message alone may not be clear."""
        translate = make_translator(self.lang)
        return f"{self.title}{translate(': ')}{self.message}" if self.title else self.message

    def in_language(self, lang: str) -> Finding:
        """Return the finding in another language, if it is an error or an accepted finding.

        Warnings and notices are the same in all languages.
        """
        if lang == self.lang or (self.severity != "error" and not self.accepted):
            return self
        translate = make_translator(lang)
        end = format_acceptance(self.accepted) if self.accepted else ""
        message = translate(self.message.removesuffix(end))
        if end:
            message += translate(" (accepted: {})").format(self.accepted)
        title, hint = translate(self.title), translate(self.hint)
        return replace(self, title=title, message=message, hint=hint, lang=lang)

    def accepted_because(self, reason: str) -> Finding:
        """Return the notice that replaces a finding after a user has accepted it."""
        return replace(
            self,
            severity="notice",
            message=f"{self.message}{format_acceptance(reason)}",
            hint="The finding is accepted, so you do not need to do anything.",
            accepted=reason,
            edits=(),
            choices=(),
        )

    def to_text(self) -> str:
        """Format the finding for a terminal in two lines: the finding, and what to do."""
        return f"{self.severity}: {self.about}: {self.message} [{self.code}]\n  hint: {self.hint}"


def list_lines(findings: Iterable[Finding], remarks: Iterable[str]) -> Iterator[str]:
    """Yield findings about one certificate as lines, errors first, and then the remarks."""
    for finding in sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)):
        yield f"{finding.severity}: {finding.message} [{finding.code}]"
    yield from remarks


def format_acceptance(reason: str) -> str:
    """Return the text at the end of an accepted finding's message, with the reason."""
    return f" (accepted: {reason})"


_MESSAGES_SHOWN = 3  # The maximum number of messages that a list entry shows.
_PLACES_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingGroup:
    """Findings with the same code or the same subject, which a list shows as one entry.

    ``subject`` is "" for findings with one code. ``findings`` contains at least one finding, and
    all have the same severity.
    """

    findings: tuple[Finding, ...]
    subject: str = ""

    @property
    def severity(self) -> str:
        """The severity of all findings in the group."""
        return self.findings[0].severity

    @property
    def _translate(self) -> Callable[[str], str]:
        return make_translator(self.findings[0].lang)

    @property
    def title(self) -> str:
        """The title of the findings, without a value."""
        return self.subject or self.findings[0].title

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the findings in the group, without duplicates."""
        return tuple(dict.fromkeys(finding.code for finding in self.findings))

    @property
    def about(self) -> tuple[str, ...]:
        """The certificates and servers that the findings concern, without duplicates."""
        return tuple(dict.fromkeys(finding.about for finding in self.findings))

    @property
    def subjects_by_message(self) -> dict[str, list[str]]:
        """The certificates and servers that each message concerns."""
        subjects: dict[str, list[str]] = {}
        for finding in self.findings:
            subjects.setdefault(finding.message, []).append(finding.about)
        return subjects

    @property
    def points(self) -> tuple[FindingGroup, ...]:
        """The groups within a subject, one for each code. The list is empty for a single code."""
        by_code = {
            code: tuple(finding for finding in self.findings if finding.code == code)
            for code in (self.codes if self.subject else ())
        }
        return tuple(FindingGroup(findings=findings) for findings in by_code.values())

    @property
    def message(self) -> str:
        """The first three messages in the group, and the number of further messages."""
        if self.subject:
            return "; ".join(point.title for point in self.points)
        messages = list(dict.fromkeys(finding.message for finding in self.findings))
        further_count = len(messages) - _MESSAGES_SHOWN
        suffix = (
            self._translate(" and {} more").format(f"{further_count:,}")
            if further_count > 0
            else ""
        )
        return self._translate("; ").join(messages[:_MESSAGES_SHOWN]) + suffix

    @property
    def words(self) -> str:
        """The title, the number of findings, and the message of the group, in one line."""
        if not self.title:
            return self.message
        count = len(self.points) if self.subject else len(self.findings)
        number = self._translate(" ({} points)" if self.subject else " ({} findings)").format(
            f"{count:,}"
        )
        return f"{self.title}{number if count > 1 else ''}{self._translate(': ')}{self.message}"

    @property
    def paragraph(self) -> str:
        """The group as text for a document: the title of the group, and all its points."""
        if not self.subject:
            return self.words
        return "\n".join((f"{self.title}:", *(f"- {point.words}" for point in self.points)))

    @property
    def places(self) -> str:
        """The first five certificates or servers, and the number of further ones."""
        return join_first_texts(self.about, _PLACES_SHOWN)

    def to_text(self) -> str:
        """Format the entry for a terminal: the finding, the affected places, and what to do."""
        first, codes = self.findings[0], ", ".join(self.codes)
        if len(self.findings) == 1:
            return first.to_text()
        if len({finding.message for finding in self.findings}) == 1 and not self.subject:
            return f"{self.severity}: {self.places}: {first.message} [{codes}]\n  hint: {self.hint}"
        lines = [f"  {finding.about}: {finding.message}" for finding in self.findings]
        further_count = len(lines) - _PLACES_SHOWN
        lines[_PLACES_SHOWN:] = (
            [f"  … and {further_count:,} more; --json lists all findings"]
            if further_count > 0
            else []
        )
        count = format_count(len(self.findings), "finding")
        head = f"{self.severity}: {self.title} ({count}) [{codes}]"
        return "\n".join((head, *lines, f"  hint: {self.hint}"))

    @property
    def hint(self) -> str:
        """The hint for fixing the findings in the group."""
        if self.subject:
            return "Before you order certificates, read each finding."
        return self.findings[0].hint

    @property
    def source(self) -> str:
        """The sources of the findings in the group, without duplicates."""
        return "; ".join(dict.fromkeys(finding.source for finding in self.findings))


def group_findings(
    findings: Iterable[Finding], *, is_by_subject: bool = True
) -> tuple[FindingGroup, ...]:
    """Combine similar findings into groups, each of which is one entry of a list.

    Parameters
    ----------
    findings : iterable of Finding
        The findings, in the order of the list.
    is_by_subject : bool, optional
        Whether several codes with the same subject (``group`` of a CA check) share an entry.

    Returns
    -------
    tuple of FindingGroup
        One entry for all findings that differ only in their place and message.
    """
    subjects = load_ca_rules().groups_by_code if is_by_subject else {}
    alike: dict[object, list[Finding]] = {}
    for finding in findings:
        subject = subjects.get(finding.code, "") if finding.severity == "notice" else ""
        alone = replace(finding, about="", message="")
        alike.setdefault(subject if subject and not finding.accepted else alone, []).append(finding)
    groups = []
    for key, members in alike.items():
        subject = key if isinstance(key, str) and len({f.code for f in members}) > 1 else ""
        groups.append(FindingGroup(findings=tuple(members), subject=subject))
    return tuple(groups)


_SHOWN = 60  # The largest number of findings in a repr, so that it fits in a notebook cell.


@dataclass(frozen=True, slots=True, repr=False)
class Findings(Table, Sequence[Finding]):
    """The findings of a plan, errors first. Notebooks show them as a table."""

    _columns: ClassVar = columns(
        ("Severity", "severity"),
        ("Code", "code"),
        ("About", "about"),
        ("Finding", "words"),
        ("What to do", "hint"),
        ("Source", "source"),
    )

    items: tuple[Finding, ...] = ()
    #: The evaluation date, or None if no date applies.
    judged_on: date | None = field(default=None, compare=False)
    #: The plan that was checked, or None.
    plan: Marked | None = field(default=None, compare=False)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Findings: ...
    def __getitem__(self, index: int | slice) -> Finding | Findings:
        if isinstance(index, slice):
            return replace(self, items=self.items[index])
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.items)

    @property
    def has_errors(self) -> bool:
        """Return whether the findings contain an error."""
        return any(finding.severity == "error" for finding in self.items)

    def counts(self) -> dict[str, int]:
        """Return the number of findings by severity, such as ``{"error": 0, "warning": 2}``."""
        severities = [finding.severity for finding in self.items]
        return {severity: severities.count(severity) for severity in SEVERITIES}

    def of(self, severity: str) -> Findings:
        """Return the findings with the given severity."""
        return replace(self, items=tuple(f for f in self.items if f.severity == severity))

    def _list_items(self) -> Iterable[Any]:
        return self.items

    def __repr__(self) -> str:
        groups = group_findings(self.items)
        lines = [f"{group.severity}: {group.words}" for group in groups[:_SHOWN]]
        further_count = len(groups) - len(lines)
        if further_count:
            lines.append(f"… and {further_count:,} more; to_frame() shows all findings")
        return "\n".join([self._summarize(), *lines])

    def _repr_html_(self) -> str:
        rows = [
            (g.severity, ", ".join(g.codes), g.places, g.paragraph, g.hint, g.source)
            for g in group_findings(self.items)
        ]
        page = rows_to_html(
            self._list_headings(), rows, caption=self._summarize(), limit=ROWS_SHOWN
        )
        return mark_plan(page, self.plan)

    def _summarize(self) -> str:
        words = (format_count(number, severity) for severity, number in self.counts().items())
        return "Findings: " + ", ".join(words)


def sort_findings(findings: Iterable[Finding], *, judged_on: date | None = None) -> Findings:
    """Sort findings by severity, code, subject, and message, and remove duplicates."""
    rank = {severity: number for number, severity in enumerate(SEVERITIES)}
    key = lambda f: (rank[f.severity], f.code, f.about, f.message)  # noqa: E731
    return Findings(tuple(sorted(set(findings), key=key)), judged_on)


def create_finding(
    rule: CheckRule,
    subject: str,
    message: str,
    *,
    hint: str = "",
    edits: tuple[Edit, ...] = (),
    choices: tuple[tuple[Edit, ...], ...] = (),
) -> Finding:
    """Create a finding for an object that does not pass a check. The message contains the value.

    The default hint is the one of the check.
    """
    if rule.disagreement:
        message = f"{message} ({rule.disagreement})"
    return Finding(
        code=rule.code,
        severity=rule.severity,
        about=subject,
        message=message,
        hint=hint or rule.hint,
        source=rule.source,
        title=rule.title,
        edits=edits,
        choices=choices,
    )
