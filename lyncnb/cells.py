"""Cells to values: one checked value for each distinct text of a column.

A table of 100,000 rows holds far fewer distinct texts than cells, so nothing is parsed twice.
Every problem and every clean-up is collected in a ``Report`` with the row where it stands.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from .columns import Column, column, find_choice, find_role, heading_key, topology_roles
from .csv_source import Note, Table
from .errors import Problem, TopologyError
from .names import BadName, DnsName, clean_text, odd_names, parse_name, shown

# Full-width forms are what a Chinese keyboard types for the same signs.
_SEPARATORS = re.compile(r"[;,|\s；，｜、\u200b\ufeff]+")
_PLAIN_SEPARATORS = re.compile(r"[;,|\s]+")
_TRUTH = {
    **dict.fromkeys(("true", "yes", "y", "1", "是"), True),
    **dict.fromkeys(("false", "no", "n", "0", "否"), False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleUrl:
    """A simple URL; only its host matters to a certificate.

    Notes
    -----
    Source: Microsoft, Planning for simple URLs in Lync Server 2013. Whether the URL keeps the
    rules of that page (no port, no pool name …) is for the checks to say.
    """

    url: str
    host: DnsName


@dataclass(slots=True)
class Report:
    """What reading had to say about a table so far."""

    source: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def problem(self, message: str, hint: str = "", *, row=0, column="", value="") -> None:
        """Add a problem at a place."""
        self.problems.append(
            Problem(
                message=message, file=self.source, row=row, column=column, value=value, hint=hint
            )
        )

    def raise_if_any(self) -> None:
        """Raise everything at once, by row."""
        if self.problems:
            ordered = sorted(self.problems, key=lambda problem: problem.row)
            count = f"{len(ordered)} problems" if len(ordered) > 1 else "1 problem"
            raise TopologyError(
                f"{self.source} cannot be read: {count}", problems=tuple(dict.fromkeys(ordered))
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The known columns of some rows, cleaned.

    Parameters
    ----------
    texts : dict of list of str
        By column, n cleaned texts; names are ``DnsName`` already.
    values : dict of dict
        By column, the value of each distinct text.
    rows : sequence of int
        n row numbers as a spreadsheet shows them.
    indices : sequence of int
        n indices into ``Topology.cells``.
    """

    texts: dict[str, list[str]]
    values: dict[str, dict[str, object]]
    rows: Sequence[int]
    indices: Sequence[int]

    def column(self, name: str) -> list[str]:
        """Give a column's texts; blanks if the table has no such column."""
        return self.texts.get(name) or [""] * len(self.rows)


class _BadCell(ValueError):
    """A cell that holds no value of its kind."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint


def read_cells(table: Table, known: Sequence[str], report: Report) -> Cells:
    """Clean a table and parse its known columns.

    Parameters
    ----------
    table : Table
        n rows.
    known : sequence of str
        Names of the columns that ``topology.toml`` has.
    report : Report
        Gets the problems and notes.
    """
    texts, values = {}, {}
    for name, cells in zip(table.columns, table.values):
        if name in known:
            texts[name], values[name] = _read_column(column(name), cells, table.rows, report)
        else:
            _refuse_breaks(name, cells, table.rows, report)
    return Cells(texts=texts, values=values, rows=table.rows, indices=range(len(table.rows)))


def _read_column(
    facts: Column, cells: list[str], rows: Sequence[int], report: Report
) -> tuple[list[str], dict[str, object]]:
    distinct = dict.fromkeys(cells)
    distinct.pop("", None)
    changed: dict[str, str] = {}
    values: dict[str, object] = {}
    said: dict[str, tuple[str, ...]] = {}
    bad: dict[str, ValueError] = {}
    difficult = distinct
    if facts.kind == "fqdn":
        changed = dict(zip(distinct, map(DnsName, distinct)))
        difficult = dict.fromkeys(odd_names(distinct))
        values = dict(zip(changed.values(), changed.values()))
    for text in difficult:
        values.pop(text, None)
        try:
            clean, value, notes = _PARSERS[facts.kind](text, facts)
        except (BadName, _BadCell) as error:
            bad[text] = error
            changed[text] = ""
            continue
        if clean != text or facts.kind == "fqdn":
            changed[text] = clean
        if clean:
            values[clean] = value
        if notes:
            said[text] = notes
    if bad or said:
        _tell(facts, cells, rows, bad, said, changed, report)
    if changed:
        changed.setdefault("", "")
        if facts.kind == "fqdn":
            return list(map(changed.__getitem__, cells)), values
        return [changed.get(text, text) for text in cells], values
    return cells, values


def _tell(facts, cells, rows, bad, said, changed, report) -> None:
    """Report every bad cell, and every clean-up once with the number of its rows."""
    first: dict[str, int] = {}
    count: dict[str, int] = {}
    for row, text in zip(rows, cells):
        if text in bad:
            error = bad[text]
            report.problem(error.message, error.hint, row=row, column=facts.name, value=text)
        elif text in said:
            first.setdefault(text, row)
            count[text] = count.get(text, 0) + 1
    for text, row in first.items():
        more = f" ({count[text]} rows)" if count[text] > 1 else ""
        report.notes.append(
            Note(
                row=row,
                column=facts.name,
                before=text,
                after=str(changed.get(text, text)),
                message="; ".join(said[text]) + more,
            )
        )


def _refuse_breaks(name: str, cells: list[str], rows: Sequence[int], report: Report) -> None:
    """Refuse line breaks and NUL in a column that lyncnb only keeps."""
    joined = "".join(cells)
    if not any(character in joined for character in "\n\r\0"):
        return
    for row, text in zip(rows, cells):
        try:
            _refuse_break(text)
        except _BadCell as error:
            report.problem(error.message, error.hint, row=row, column=name, value=text)


def _refuse_break(text: str) -> None:
    if "\n" in text or "\r" in text:
        raise _BadCell(
            f"{shown(text)} has a line break inside", "only lists may be broken into lines"
        )
    if "\0" in text:
        raise _BadCell(f"{shown(text)} holds a NUL character", "type the cell again")


def _fqdn(text: str, facts: Column) -> tuple[str, object, tuple[str, ...]]:
    _refuse_break(text)
    if not text.strip():
        return "", None, ()
    name, notes = parse_name(
        text, allow_wildcard=facts.wildcard, allow_single_label=facts.single_label
    )
    return name, name, notes


def _fqdn_list(text: str, facts: Column) -> tuple[str, object, tuple[str, ...]]:
    def one(part: str) -> tuple[DnsName, DnsName, tuple[str, ...]]:
        name, notes = parse_name(
            part, allow_wildcard=facts.wildcard, allow_single_label=facts.single_label
        )
        return name, name, notes

    return _list(text, one)


def _url_list(text: str, facts: Column) -> tuple[str, object, tuple[str, ...]]:
    return _list(text, lambda part: _url(part, facts))


def _list(text: str, one: Callable) -> tuple[str, object, tuple[str, ...]]:
    if "\0" in text:
        raise _BadCell(f"{shown(text)} holds a NUL character", "type the cell again")
    parts = [part for part in _SEPARATORS.split(text) if part]
    read = [one(part) for part in parts]
    by_text = {clean: value for clean, value, _ in read}
    notes = tuple(dict.fromkeys(chain.from_iterable(notes for _, _, notes in read)))
    if len(by_text) < len(parts):
        notes += ("repetition left out",)
    # A list that needed no cleaning comes back as it was written, separators and all.
    as_written = [part for part in _PLAIN_SEPARATORS.split(text) if part]
    clean = text if list(by_text) == as_written else ";".join(by_text)
    return (clean if parts else ""), tuple(by_text.values()), notes


def _url(text: str, facts: Column) -> tuple[str, object, tuple[str, ...]]:
    _refuse_break(text)
    bare, notes = clean_text(text)
    if not bare:
        return "", None, notes
    scheme, separator, rest = bare.partition("://")
    if scheme.lower() != "https" or not separator:
        raise _BadCell(
            f"{shown(bare)} is no https URL",
            "write it whole, e.g. https://meet.contoso.com",
        )
    host, tail = re.match(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()
    if re.search(r"\s", tail):
        raise _BadCell(f"{shown(bare)} has white space inside", "remove it")
    port = re.search(r":\d*$", host)
    host_only = host[: port.start()] if port else host
    try:
        name, name_notes = parse_name(host_only)
    except BadName as error:
        raise _BadCell(f"in the URL {shown(bare)}: {error.message}", error.hint) from None
    url = f"https://{name}{port[0] if port else ''}{tail}"
    return url, SimpleUrl(url=url, host=name), notes + name_notes


def _bool(text: str, facts: Column) -> tuple[str, object, tuple[str, ...]]:
    _refuse_break(text)
    bare, _ = clean_text(text)
    if not bare:
        return "", None, ()
    value = _TRUTH.get(heading_key(bare))
    if value is None:
        raise _BadCell(f"{shown(bare)} is neither yes nor no", "write true or false")
    return ("true" if value else "false"), value, ()


def _text(text: str, facts: Column) -> tuple[str, object, tuple[str, ...]]:
    _refuse_break(text)
    bare, notes = clean_text(text)
    return bare, bare, notes


def _role(text: str, facts: Column) -> tuple[str, object, tuple[str, ...]]:
    _refuse_break(text)
    bare, _ = clean_text(text)
    if not bare:
        return "", None, ()
    token = find_role(bare)
    if token is None:
        tokens = [role.id for role in topology_roles()]
        keys = {heading_key(name): r.id for r in topology_roles() for name in (r.id, *r.aliases)}
        close = difflib.get_close_matches(heading_key(bare), keys, n=1, cutoff=0.75)
        hint = f"did you mean {keys[close[0]]}?" if close else f"roles: {', '.join(tokens)}"
        raise _BadCell(f"{shown(bare)} is no role that lyncnb knows", hint)
    return token, token, (() if token == bare else (f"role read as {token}",))


def _choice(text: str, facts: Column) -> tuple[str, object, tuple[str, ...]]:
    _refuse_break(text)
    bare, _ = clean_text(text)
    if not bare:
        return "", None, ()
    choice = find_choice(facts, bare)
    if choice is None:
        raise _BadCell(
            f"{shown(bare)} is none of the values of {facts.name}",
            f"write one of {', '.join(facts.choices)}",
        )
    return choice, choice, (() if choice == bare else (f"read as {choice}",))


def _issuer(text: str, facts: Column) -> tuple[str, object, tuple[str, ...]]:
    """Read ``internal``, ``public`` or pairs such as ``AccessEdgeExternal=public``."""
    _refuse_break(text)
    bare, _ = clean_text(text)
    pairs: dict[str, str] = {}
    parts = [part for part in _SEPARATORS.split(re.sub(r"\s*=\s*", "=", bare)) if part]
    for part in parts:
        usage, equals, issuer = part.rpartition("=")
        choice = find_choice(facts, issuer)
        if choice is None or (equals and not re.fullmatch(r"[A-Za-z]+", usage)):
            raise _BadCell(
                f"{shown(part)} is no issuer",
                "write internal or public, or per usage, e.g. AccessEdgeExternal=public",
            )
        if pairs.setdefault(usage, choice) != choice:
            raise _BadCell(
                f"{shown(bare)} gives {usage or 'all usages'} two issuers", "keep one of them"
            )
    clean = ";".join(f"{usage}={issuer}" if usage else issuer for usage, issuer in pairs.items())
    return clean, tuple(pairs.items()), ()


_PARSERS: dict[str, Callable] = {
    "fqdn": _fqdn,
    "fqdn_list": _fqdn_list,
    "url": _url,
    "url_list": _url_list,
    "bool": _bool,
    "text": _text,
    "role": _role,
    "choice": _choice,
    "issuer": _issuer,
}
