"""Why each name is on a server's certificates, as a table."""

from __future__ import annotations

from dataclasses import dataclass

from .base import tables

COLUMNS = ("Certificate", "Type", "Where", "Name", "Rule", "Why", "Source")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedName:
    """One name on one certificate and one reason for it."""

    certificate: str  # id of the certificate
    role: str
    usages: tuple[str, ...]
    place: str  # subject | SAN | subject and SAN
    name: str
    rule: str  # id of the name rule
    why: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Every name of every certificate of one server; empty if it needs none."""

    server: str
    names: tuple[ExplainedName, ...]

    def rows(self) -> list[tuple[object, ...]]:
        """List the names, one row per reason, under ``COLUMNS``."""
        return [
            (
                item.certificate,
                item.usages or item.role,
                item.place,
                item.name,
                item.rule,
                item.why,
                item.source,
            )
            for item in self.names
        ]

    def to_frame(self) -> tables.DataFrame:
        """Give the explanation as a DataFrame of n rows, one per reason, 7 columns of text."""
        return tables.to_frame(COLUMNS, self.rows())

    def _repr_html_(self) -> str:
        return tables.rows_to_html(
            COLUMNS, self.rows(), caption=f"Names on the certificates of {self.server}"
        )

    def __str__(self) -> str:
        if not self.names:
            return f"{self.server} needs no certificate"
        lines: list[str] = []
        shown: tuple[str, ...] = ()
        for item in self.names:
            if shown[:1] != (item.certificate,):
                lines.append(f"{item.certificate}: {', '.join(item.usages) or item.role}")
            if shown != (item.certificate, item.name):
                lines.append(f"  {item.name or '(no name)'} ({item.place})")
            shown = (item.certificate, item.name)
            lines.append(f"    {item.why} [{item.rule}]\n      {item.source}")
        return "\n".join(lines)
