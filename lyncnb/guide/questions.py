"""The questions of the interview, and what is laid out of the answers: ``questions.toml``."""

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
    """One question, with the meaning of its fields as the head of ``questions.toml`` says."""

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
    def is_of_site(self) -> bool:
        """Whether it is asked for each site."""
        return self.scope == "site"

    @property
    def may_be_blank(self) -> bool:
        """Whether no answer is an answer."""
        return self.kind == "names" and not self.default


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What answers put into a column of a part's pools."""

    column: str
    answer: str = ""
    true_if: tuple[str, ...] = ()
    if_any: tuple[str, ...] = ()
    first_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A kind of server that is laid out in each site."""

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
    """What Microsoft's Planning Tool has and the interview has not, and what replaces it."""

    what: str
    instead: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interview:
    """What ``questions.toml`` holds; `outside` lists the answers that include external users."""

    outside: tuple[str, ...]
    question: tuple[Question, ...]
    part: tuple[Part, ...]
    left_out: tuple[LeftOut, ...]

    def find(self, key: str) -> Question:
        """Find a question by its key."""
        return next(one for one in self.question if one.key == key)


@cache
def interview() -> Interview:
    """Read the questions: lyncnb's own file, which the tests check."""
    reader = RecordReader(_FILE)
    found = reader.record(Interview, parse_toml((package_files(__package__) / _FILE).read_bytes()))
    assert found is not None, reader.problems
    return found
