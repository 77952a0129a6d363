"""Propose texts for rejected cells, and columns for unknown headings, from the table itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..base.dns_name import is_host_name
from ..base.pasted_text import BadName, clean_text
from ..errors import Problem
from .cells import read_cell
from .columns import (
    Column,
    find_nearest_column,
    find_nearest_roles,
    find_role,
    list_topology_columns,
)
from .rejected_cells import Place, RejectedCell
from .source_table import HOST_NAME, Table

_MOST = 3
_EXAMPLE = re.compile(r"\bcontoso\.com\b(;fabrikam\.com)?")
_LOOKS_ALIKE = 0.6  # The share of a column's texts that must look like those of a known column.


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFixes:
    """The texts that a rejected cell could have. Only the one text of a safe fix is certain."""

    texts: tuple[str, ...]
    is_safe: bool = False


def find_domains(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> list[str]:
    """Return the domains of the names in a column, the most frequent one first."""
    if name not in columns:
        return []
    index = columns.index(name)
    hosts = (str(row[index]) for row in rows)
    counted = Counter(host.partition(".")[2] for host in hosts if HOST_NAME.match(host))
    return [domain for domain, _ in counted.most_common() if domain]


def adapt_hints(problems: Sequence[Problem], table: Table) -> list[Problem]:
    """Return problems whose examples have the domain of the table's servers."""
    if not problems:
        return []
    # The servers say more about the domain than the other columns.
    columns = sorted(zip(table.columns, table.texts), key=lambda column: column[0] != "server_fqdn")
    for name, texts in columns:
        if domains := find_domains((name,), [(text,) for text in texts.distinct], name):
            return [replace(p, hint=_EXAMPLE.sub(domains[0].lower(), p.hint)) for p in problems]
    return list(problems)


def list_cell_fixes(
    columns: Sequence[str], rows: Sequence[Sequence[str]], rejected: Sequence[RejectedCell]
) -> dict[Place, CellFixes]:
    """Return the texts that lyncnb proposes for rejected cells, by row index and column.

    Parameters
    ----------
    columns : sequence of str
        m columns.
    rows : sequence of sequence of str
        n rows, in which rejected cells are blank.
    rejected : sequence of RejectedCell
        The rejected cells.
    """
    known = {column.name: column for column in list_topology_columns()}
    fixes = {}
    for cell in rejected:
        column, bare = known.get(cell.column), clean_text(cell.text)[0]
        if column is None or not bare:
            continue
        proposed = _propose_texts(column, bare, columns, rows)
        texts = [text for text in dict.fromkeys(proposed.texts) if _is_valid(text, column)]
        if texts:
            is_safe = proposed.is_safe and len(texts) == 1
            fixes[cell.place] = CellFixes(texts=tuple(texts[:_MOST]), is_safe=is_safe)
    return fixes


def _is_valid(text: str, column: Column) -> bool:
    try:
        return bool(read_cell(text, column)[0])
    except BadName:
        return False


def _propose_texts(
    column: Column, text: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> CellFixes:
    if column.kind == "role":
        roles, is_certain = find_nearest_roles(text)
        return CellFixes(texts=roles, is_safe=is_certain)
    if column.kind == "url":
        return CellFixes(texts=(_make_url(text),), is_safe=True)
    if column.kind == "url_list":
        parts = re.split(r"[;,|\s]+", text)
        return CellFixes(texts=(";".join(_make_url(part) for part in parts if part),), is_safe=True)
    if column.kind == "fqdn":
        host = re.sub(r"\A[A-Za-z]+://|[:/?#].*\Z", "", text)
        if "." in host or not is_host_name(host.lower()):
            return CellFixes(texts=(host, re.sub(r"\s+", "", host)), is_safe=host != text)
        domains = find_domains(columns, rows, column.name)
        if not domains and column.name == "pool_fqdn":
            domains = find_domains(columns, rows, "server_fqdn")
        return CellFixes(texts=tuple(f"{host}.{domain}" for domain in domains), is_safe=True)
    return CellFixes(texts=())


def _make_url(text: str) -> str:
    return "https://" + re.sub(r"\A[A-Za-z]*:?/{1,2}", "", text)


def suggest_columns(
    columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Yield unknown headings, each with a known column that its texts or its name look like."""
    known = {column.name: column for column in list_topology_columns()}
    texts_of = {
        name: {str(row[index]).strip() for row in rows} - {""} for index, name in enumerate(columns)
    }
    used = {name for name in columns if name in known and texts_of[name]}
    for heading in columns:
        if heading in known or not texts_of[heading]:
            continue
        name = find_nearest_column(heading)
        name = name or _find_column_by_texts(heading, texts_of[heading], rows, used)
        if name and name not in used:
            used.add(name)
            yield heading, name


def _find_column_by_texts(
    heading: str, texts: set[str], rows: Sequence[Sequence[str]], used: set[str]
) -> str:
    """Return the known column whose texts look like the given texts, or ""."""

    def is_share(count: int) -> bool:
        return count >= _LOOKS_ALIKE * len(texts)

    if 2 * sum(find_role(text) is not None for text in texts) >= len(texts):
        return "role"
    for name in ("meet_urls", "dialin_url", "admin_url"):
        label = name.partition("_")[0]
        if is_share(sum(_make_url(text).startswith(f"https://{label}.") for text in texts)):
            return name
    hosts = {str(text).strip() for row in rows for text in row} - texts
    domains = {part for text in texts for part in re.split(r"[;,|\s]+", text) if part}
    # A server has a longer name than the domain of a company.
    is_domain = all(HOST_NAME.match(domain) and domain.count(".") == 1 for domain in domains)
    if "sip_domains" not in used and (
        (is_domain and "sip" in heading.casefold())
        or all(any(host.endswith(f".{domain}") for host in hosts) for domain in domains)
    ):
        return "sip_domains"
    if is_share(sum(HOST_NAME.match(text) is not None for text in texts)):
        # Each server has its own name, and the servers of a pool have the same pool.
        is_each = "server_fqdn" not in used and len(texts) > len(rows) // 2
        is_shared = len(texts) > 1 or sum(texts <= {*row} for row in rows) > 1
        return "server_fqdn" if is_each else "pool_fqdn" if is_shared else ""
    is_short = all(len(text) < 40 and "." not in text for text in texts)
    return "site" if is_short and len(texts) < max(2, len(rows)) else ""
