"""Convert a table of text to ``Cells``, which contain validated values.

Each distinct text in a column is converted only once, because a table with 100,000 rows has far
fewer distinct texts than cells. A ``Report`` collects problems and corrections with their rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..base.dns_name import DnsName, find_unusual_names, parse_name
from ..base.pasted_text import BadName, clean_text, shown
from ..errors import Problem
from .columns import (
    Column,
    find_choice,
    find_nearest_roles,
    find_role,
    list_topology_columns,
    list_topology_roles,
    normalize_heading,
    normalize_spelling,
)
from .model import SimpleUrl
from .source_table import Note, Table, Texts, raise_problems

# --- The following functions convert the text in a cell to a value, by the type of the column. Each
# function returns the corrected text, the value, and a description of each correction. If the text
# is not a valid value, the function raises ``BadName`` with a hint.

#: Each tuple contains the corrected text, the value, and the corrections.
Read = tuple[str, object, tuple[str, ...]]

_SEPARATOR = re.compile(r"[;,|\s]+")
# The pattern for the parts of a URL: the host, the port with its colon, and the rest. It matches
# any text, so the host must also be validated.
_URL_PARTS = re.compile(r"\A([^/?#]*?)(:\d*)?([/?#].*)?\Z", re.DOTALL)
# Characters that Chinese keyboards enter instead of ASCII characters, and invisible marks that are
# pasted together with text.
_ANY_SEPARATOR = re.compile(r"[;,|\s；，｜、]+")

_TRUTH = {
    **dict.fromkeys(("true", "yes", "y", "1", "是"), True),
    **dict.fromkeys(("false", "no", "n", "0", "否"), False),
}


def read_cell(text: str, column: Column) -> Read:
    """Convert the text in a table cell to a value.

    Parameters
    ----------
    text : str
        The text in the table.
    column : Column
        The column of the cell.

    Returns
    -------
    tuple of str, value and tuple of str
        The corrected text ("" for a blank cell), the value (such as a name, tuple, or boolean), and
        a
        description of each correction.

    Raises
    ------
    BadName
        If the text is not a valid value.
    """
    if not column.is_list:
        reject_line_breaks(text)
    return _READERS[column.kind](text, column)


def reject_line_breaks(text: str) -> None:
    """Raise an error for a line break, NUL, or unpaired surrogate in a cell with one value."""
    if "\n" in text or "\r" in text:
        raise BadName(
            f"{shown(text)} contains a line break",
            "remove the line break. Only a column that contains a list can have line breaks",
        )
    if "\0" in text:
        raise BadName(f"{shown(text)} contains a NUL character", "type the text of this cell again")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadName(
            f"{shown(text)} contains an unpaired surrogate, which cannot be stored in a file",
            "type the text of this cell again",
        )


def _read_fqdn(text: str, column: Column) -> Read:
    if not clean_text(text)[0]:
        return "", None, ()
    name, notes = parse_name(
        text, allow_wildcard=column.wildcard, allow_single_label=column.single_label
    )
    return name, name, notes


def _read_url(text: str, column: Column) -> Read:
    bare, notes = clean_text(text)
    if not bare:
        return "", None, ()
    scheme, separator, rest = bare.partition("://")
    if scheme.lower() != "https" or not separator:
        raise BadName(
            f"{shown(bare)} is not an https URL",
            "enter the complete URL, for example https://meet.contoso.com",
        )
    host, port, tail = _URL_PARTS.findall(rest)[0]
    if tail and re.search(r"\s", tail):
        raise BadName(f"{shown(bare)} contains white space", "remove the white space")
    try:
        name, name_notes = parse_name(host)
    except BadName as error:
        raise BadName(f"the URL {shown(bare)} is not valid: {error.message}", error.hint) from None
    if scheme != "https":
        name_notes = (*name_notes, "changed to lowercase")
    url = f"https://{name}{port}{tail}"
    return url, SimpleUrl(url=url, host=name), tuple(dict.fromkeys(notes + name_notes))


def _build_list_reader(reader: Callable[[str, Column], Read]) -> Callable[[str, Column], Read]:
    def read_list(text: str, column: Column) -> Read:
        joined = re.sub(r"\s*=\s*", "=", text)
        parts = [reader(part, column) for part in _ANY_SEPARATOR.split(joined) if part]
        values = {clean: value for clean, value, _ in parts if clean}
        notes = dict.fromkeys(note for _, _, item_notes in parts for note in item_notes)
        if len(values) < len(parts):
            notes["duplicate removed"] = None
        # A list that needs no correction keeps its text and its separators.
        as_written = [part for part in _SEPARATOR.split(text) if part]
        clean = text if as_written and as_written == list(values) else ";".join(values)
        if values and clean != text and not notes:
            notes["lyncnb replaced the separators with semicolons"] = None
        return clean, tuple(values.values()), tuple(notes)

    return read_list


def _read_fqdn_by_usage(text: str, column: Column) -> Read:
    """Convert ``NAME`` or ``USAGE=NAME`` to a usage and a name. The usage "" means all usages."""
    usage, equals, name = text.partition("=")
    if equals and not re.fullmatch(r"[A-Za-z]+", clean_text(usage)[0]):
        raise BadName(
            f"{shown(text)} does not contain a valid certificate usage",
            "enter a name, or a usage and a name, for example AccessEdgeExternal=sip.contoso.com",
        )
    clean, value, notes = _read_fqdn(name if equals else text, column)
    usage = clean_text(usage)[0] if equals else ""
    if equals and not clean:
        raise BadName(
            f"{shown(text)} contains no name for the usage {usage}",
            "enter a name after the equal sign",
        )
    return (f"{usage}={clean}" if usage else clean), (usage, value), notes


def _read_bool(text: str, column: Column) -> Read:
    bare, _ = clean_text(text)
    if not bare:
        return "", None, ()
    value = _TRUTH.get(normalize_heading(bare))
    if value is None:
        raise BadName(f"{shown(bare)} is neither true nor false", "enter true or false")
    return ("true" if value else "false"), value, ()


def _read_text(text: str, column: Column) -> Read:
    bare, notes = clean_text(text)
    return bare, bare, notes


def _read_role(text: str, column: Column) -> Read:
    bare, _ = clean_text(text)
    if not bare:
        return "", None, ()
    role = find_role(bare)
    if role is None:
        roles, is_certain = find_nearest_roles(bare)
        known_roles = ", ".join(role.id for role in list_topology_roles())
        raise BadName(
            f"{shown(bare)} is not a known role",
            f"did you mean {roles[0]}?"
            if is_certain
            else f"enter one of these roles: {known_roles}",
        )
    return (
        role,
        role,
        (() if role == bare else ((f"lyncnb interprets this value as the role {role}"),)),
    )


def _read_choice(text: str, column: Column) -> Read:
    bare, _ = clean_text(text)
    if not bare:
        return "", None, ()
    choice = find_choice(column, bare)
    if choice is None:
        raise BadName(
            f"{shown(bare)} is not a valid value for {column.name}",
            f"enter one of these values: {', '.join(column.choices)}",
        )
    return choice, choice, (() if choice == bare else (f"interpreted as {choice}",))


def _read_issuer(text: str, column: Column) -> Read:
    """Parse ``internal``, ``public``, or pairs such as ``AccessEdgeExternal=public``."""
    bare, _ = clean_text(text)
    issuers: dict[str, str] = {}
    for part in filter(None, _ANY_SEPARATOR.split(re.sub(r"\s*=\s*", "=", bare))):
        usage, equals, issuer = part.rpartition("=")
        choice = find_choice(column, issuer)
        if choice is None or (equals and not re.fullmatch(r"[A-Za-z]+", usage)):
            raise BadName(
                f"{shown(part)} is not a valid issuer",
                "enter internal or public, or an issuer for each usage, for example "
                "AccessEdgeExternal=public",
            )
        if issuers.setdefault(usage, choice) != choice:
            raise BadName(
                f"{shown(bare)} contains two issuers for {usage or 'all usages'}",
                "keep only one issuer",
            )
    clean = ";".join(f"{usage}={issuer}" if usage else issuer for usage, issuer in issuers.items())
    is_other = any(word in bare for word in column.choice_aliases)
    return (
        clean,
        tuple(issuers.items()),
        (f"lyncnb interprets this value as the issuer {clean}",) if is_other else (),
    )


_READERS: dict[str, Callable[[str, Column], Read]] = {
    "fqdn": _read_fqdn,
    "fqdn_list": _build_list_reader(_read_fqdn),
    "fqdn_list_by_usage": _build_list_reader(_read_fqdn_by_usage),
    "url": _read_url,
    "url_list": _build_list_reader(_read_url),
    "bool": _read_bool,
    "text": _read_text,
    "role": _read_role,
    "choice": _read_choice,
    "issuer": _read_issuer,
}


@dataclass(slots=True)
class Report:
    """The problems and notes about a table of servers."""

    source: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    # The location of the table in a workbook, and the index labels of a DataFrame.
    table: Table | None = None

    def problem(
        self, message: str, hint: str = "", *, row: int = 0, column: str = "", value: str = ""
    ) -> None:
        """Record a problem in a row or column of the table."""
        sheet, cell = self.table.find_cell(column, row) if self.table else ("", "")
        self.problems.append(
            Problem(
                message=message,
                file=self.source,
                row=row,
                column=column,
                value=value,
                hint=hint,
                sheet=sheet,
                cell=cell,
            )
        )

    def describe_row(self, row: int) -> str:
        """Return the number of a row, with its index label if the table is a DataFrame."""
        label = self.table.find_cell("", row)[1] if self.table and self.table.labels else ""
        return f"row {row} ({label})" if label else f"row {row}"

    def raise_any_problems(self) -> None:
        """If there are problems, raise an error that lists all of them, sorted by row."""
        if self.problems:
            raise_problems(self.source, self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The table of servers: for each column, the corrected texts and their values.

    Parameters
    ----------
    columns : tuple of str
        m names.
    texts : dict of list of str
        n corrected texts for each column name. Host names are already ``DnsName`` objects.
    values : dict of dict
        For each column name, the value of each distinct text, if the value is not the text itself
        (lists, URLs, booleans, issuers).
    rows : sequence of int
        n row numbers in a spreadsheet.
    indices : sequence of int
        n indices in ``Topology.cells``.
    """

    columns: tuple[str, ...]
    texts: Mapping[str, list[str]]
    values: Mapping[str, Mapping[str, object]]
    rows: Sequence[int]
    indices: Sequence[int]

    def column(self, name: str) -> list[str]:
        """Return the text of each cell in a column, or empty strings if the column is missing."""
        return self.texts.get(name) or [""] * len(self.rows)

    def value(self, name: str, text: str) -> object:
        """Return the value that a cell text represents in the given column."""
        return self.values[name][text] if name in self.values else text

    def list_rows(self) -> tuple[tuple[str, ...], ...]:
        """Return the rows of the table as tuples of text."""
        return tuple(zip(*(self.texts[name] for name in self.columns)))


def read_cells(
    table: Table,
    report: Report,
    *,
    row_indices: Sequence[int] | None = None,
    sites: Iterable[str] = (),
) -> Cells:
    """Correct the texts in a table of servers, and convert its known columns to values.

    Parameters
    ----------
    table : Table
        n rows.
    report : Report
        The report, to which problems and notes are added.
    row_indices : sequence of int, optional
        n indices of the rows in the complete table (default 0 … n-1).
    sites : iterable of str, optional
        The known sites, whose spelling is kept.
    """
    known = {column.name: column for column in list_topology_columns()}
    for name in ("server_fqdn", "pool_fqdn") if table.single_labels else ():
        known[name] = replace(known[name], single_label=True)
    texts, values = {}, {}
    for name, column_texts in zip(table.columns, table.texts):
        if name in known:
            texts[name], column_values = _read_column(known[name], column_texts, table.rows, report)
            if column_values:
                values[name] = column_values
            if known[name].variants:
                texts[name] = _unify_spellings(known[name], texts[name], table.rows, report, sites)
        else:
            _reject_invalid_characters(name, column_texts, table.rows, report)
            texts[name] = column_texts.list_cells()
    return Cells(
        columns=table.columns,
        texts=texts,
        values=values,
        rows=table.rows,
        indices=range(len(table.rows)) if row_indices is None else row_indices,
    )


def _read_column(
    column: Column, column_texts: Texts, rows: Sequence[int], report: Report
) -> tuple[list[str], dict[str, object]]:
    distinct = column_texts.distinct
    clean: list[str] = list(distinct)
    difficult: Iterable[str] = distinct
    if column.kind == "fqdn":
        # Nearly all names are already correct. One search finds the other names, and fast C code
        # converts the correct ones.
        clean = list(map(DnsName, distinct))
        difficult = find_unusual_names(distinct)
    corrected_texts: dict[str, str] = {}
    values: dict[str, object] = {}
    notes_of: dict[str, tuple[str, ...]] = {}
    invalid: dict[str, BadName] = {}
    for text in difficult:
        try:
            corrected_texts[text], value, notes = read_cell(text, column)
        except BadName as error:
            invalid[text] = error
            corrected_texts[text] = ""
            continue
        if corrected_texts[text] and value != corrected_texts[text]:
            values[corrected_texts[text]] = value
        if notes:
            notes_of[text] = notes
    if corrected_texts:
        clean = [corrected_texts.get(text, name) for text, name in zip(distinct, clean)]
    if invalid or notes_of:
        _report_invalid_cells(
            column.name, column_texts, rows, invalid, notes_of, corrected_texts, report
        )
    return Texts(clean, column_texts.codes).list_cells(), values


def _unify_spellings(
    column: Column,
    texts: list[str],
    rows: Sequence[int],
    report: Report,
    known_spelling: Iterable[str],
) -> list[str]:
    """Replace different spellings of a text with the known or the most frequent spelling."""
    counted = Counter(texts)
    spellings: dict[str, str] = {
        normalize_spelling(column, name): name for name in known_spelling if name
    }
    # The result must not depend on the order of the rows or of the keys in a dict.
    for text in sorted(counted, key=lambda text: (-counted[text], text)):
        spellings.setdefault(normalize_spelling(column, text), text)
    instead = {text: spellings[normalize_spelling(column, text)] for text in counted}
    for text, other in instead.items():
        if text != other:
            matching_rows = [row for row, cell_text in zip(rows, texts) if cell_text == text]
            report.notes.append(
                Note(
                    row=matching_rows[0],
                    column=column.name,
                    before=text,
                    after=other,
                    message=(
                        f"lyncnb interprets this value as {other}, because the two "
                        f"spellings mean the same {column.name}"
                    )
                    + (f" ({len(matching_rows)} rows)" if len(matching_rows) > 1 else ""),
                )
            )
    return [instead[text] for text in texts]


def _report_invalid_cells(
    name: str,
    column_texts: Texts,
    rows: Sequence[int],
    errors_by_text: Mapping[str, BadName],
    notes_by_text: Mapping[str, tuple[str, ...]],
    corrected_texts: Mapping[str, str],
    report: Report,
) -> None:
    """Report each cell in a column whose text is not valid.

    Report every correction once, with the number of rows.
    """
    rows_of: dict[str, list[int]] = {}
    for row, text in zip(rows, column_texts.list_cells()):
        if text in errors_by_text:
            report.problem(
                errors_by_text[text].message,
                errors_by_text[text].hint,
                row=row,
                column=name,
                value=text,
            )
        elif text in notes_by_text:
            rows_of.setdefault(text, []).append(row)
    for text, affected_rows in rows_of.items():
        suffix = f" ({len(affected_rows)} rows)" if len(affected_rows) > 1 else ""
        report.notes.append(
            Note(
                row=affected_rows[0],
                column=name,
                before=text,
                after=str(corrected_texts[text]),
                message="; ".join(notes_by_text[text]) + suffix,
                cell=report.table.find_cell(name, affected_rows[0])[1]
                if report.table and report.table.grid
                else "",
            )
        )


def _reject_invalid_characters(
    name: str, column_texts: Texts, rows: Sequence[int], report: Report
) -> None:
    """Report invalid characters in the cells of a column that is not used."""
    joined = "".join(column_texts.distinct)
    if joined.isascii() and not any(character in joined for character in "\n\r\0"):
        return
    for row, text in zip(rows, column_texts.list_cells()):
        try:
            reject_line_breaks(text)
        except BadName as error:
            report.problem(error.message, error.hint, row=row, column=name, value=text)
