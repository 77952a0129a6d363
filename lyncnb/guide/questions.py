"""Read the questions of the guide, and the types of servers, from ``questions.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files as package_files

from ..base.records import RecordReader
from ..base.toml_text import parse_toml

_FILE = "questions.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question of the guide. The first lines of ``questions.toml`` explain the fields."""

    key: str
    group: str
    words: str
    help: str
    kind: str
    source: str
    scope: str = "deployment"
    default: str = ""
    default_elsewhere: str | None = None
    default_several: str | None = None
    default_by: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    least: int = 0
    public: bool = False
    column: str = ""
    if_any: tuple[str, ...] = ()
    knows: tuple[str, ...] = ()

    @property
    def is_asked_per_site(self) -> bool:
        """Whether the guide asks the question once for each site."""
        return self.scope == "site"

    @property
    def may_be_blank(self) -> bool:
        """Whether a blank answer to the question is valid."""
        return self.kind == "names" and not self.default


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A rule that fills a table column from the answers, for pools with one type of server."""

    column: str
    answer: str = ""
    true_if: tuple[str, ...] = ()
    if_any: tuple[str, ...] = ()
    first_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A type of server that each site can have."""

    role: str
    word: str
    count: str
    pool: str
    all_sites: bool = False
    signs_in: int = 0
    first_takes: str = ""
    service: Mapping[str, str] = field(default_factory=dict)
    internal_service: Mapping[str, str] = field(default_factory=dict)
    service_if: Mapping[str, str] = field(default_factory=dict)
    cell: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A feature of Microsoft's Planning Tool that the guide lacks, with an alternative."""

    what: str
    instead: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interview:
    """The content of ``questions.toml``: the questions and types of servers."""

    outside: tuple[str, ...]
    question: tuple[Question, ...]
    part: tuple[Part, ...]
    left_out: tuple[LeftOut, ...]

    def find_question(self, key: str) -> Question:
        """Return the question with the given key."""
        return next(question for question in self.question if question.key == key)


@cache
def read_interview() -> Interview:
    """Return the content of the file ``questions.toml`` in the package."""
    reader = RecordReader(_FILE)
    data = (package_files(__package__) / _FILE).read_bytes()
    content = reader.record(Interview, parse_toml(data))
    assert content is not None, reader.problems
    return content
