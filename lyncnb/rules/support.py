"""Read the dates on which the support for products ends."""

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

    def describe_support(self, day: date | None) -> str:
        """Return a sentence about the end of support, which may be before the evaluation date."""
        has_ended = day is not None and self.ends < day
        return f"{'ended' if has_ended else 'ends'} on {self.ends} ({self.source})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    support: tuple[Support, ...]


def parse_support(text: str) -> tuple[Support, ...]:
    """Parse the text of ``support.toml``.

    Raises
    ------
    RulesError
        If the text has mistakes. The error lists each mistake with its place, such as
        ``support[1].ends``.
    """
    reader = RecordReader(_FILE)
    document = reader.record(_Document, parse_toml(text))
    if document is None:
        raise RulesError(f"{_FILE} contains errors", problems=tuple(reader.problems))
    return document.support


@cache
def _load_support_dates() -> dict[str, Support]:
    text = (package_files(__package__) / _FILE).read_text(encoding="utf-8")
    return {support.product: support for support in parse_support(text)}


def find_support(product: str) -> Support | None:
    """Return the end of support for a product, or None if the date is not fixed or not known."""
    return _load_support_dates().get(product)
