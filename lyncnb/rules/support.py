"""The end of a product's support, for the people who decide about its certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files as package_files

from ..base.records import RecordReader
from ..base.toml_text import parse_toml
from ..errors import RulesError

_FILE = "support.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """The last day on which a product is supported, with its source."""

    product: str
    ends: date
    source: str

    def words(self, on: date | None) -> str:
        """Say when support ends, or that it has ended by an evaluation date."""
        has_ended = on is not None and self.ends < on
        return f"{'ended' if has_ended else 'ends'} on {self.ends} ({self.source})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    support: tuple[Support, ...]


def parse_support(text: str) -> tuple[Support, ...]:
    """Parse the text of ``support.toml``.

    Raises
    ------
    RulesError
        With every mistake, for example ``support[1].ends``.
    """
    reader = RecordReader(_FILE)
    document = reader.record(_Document, parse_toml(text))
    if document is None:
        raise RulesError(f"{_FILE} has mistakes", problems=tuple(reader.problems))
    return document.support


@cache
def _all_support() -> dict[str, Support]:
    text = (package_files(__package__) / _FILE).read_text(encoding="utf-8")
    return {support.product: support for support in parse_support(text)}


def support_of(product: str) -> Support | None:
    """Return the end of a product's support; None if it has no fixed date, or is unknown."""
    return _all_support().get(product)
