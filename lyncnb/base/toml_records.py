"""TOML to typed records: the one reader of rule files, wordings and ``plan.toml``.

A record is a dataclass, and its fields say what a table may hold: which keys, of which kind, and
which of them must be there. A typing error in a file must change no plan silently, so whatever
does not fit is a problem with its place, e.g. ``certificate[3].source`` (counted from 0, as TOML
tools do); all problems of a file are told at once. Knows no certificate.
"""

from __future__ import annotations

import re
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from ..errors import Problem
from .pasted_text import shown

_Record = TypeVar("_Record")

_KINDS: Mapping[object, str] = MappingProxyType(
    {str: "text", bool: "true or false", int: "a whole number", date: "a date, e.g. 2026-01-31"}
)


class NotToml(ValueError):
    """Bytes that are no TOML; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str):
        super().__init__(message)
        self.hint = hint


# tomllib takes the square of a dotted key's parts; a host name has 127 labels at most.
_MAX_KEY_PARTS = 200
_KEY_PARTS = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)++""")
# tomllib takes hexadecimal, octal and binary numbers of any length, which Python then cannot write;
# TOML's have 64 bits. Text with as many such digits in a row is no text that somebody means.
_ENDLESS = re.compile(r"0(?:x[0-9A-Fa-f_]{1000}|[ob][0-7_]{1000})")


def parse_toml(data: bytes | str) -> dict[str, object]:
    """Parse a TOML document.

    Raises
    ------
    NotToml
        If it is none, or so deep or with numbers so long that nobody means it.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotToml("this is not UTF-8 text", "save it as UTF-8") from None
    if any(one[0].count(".") > _MAX_KEY_PARTS for one in _KEY_PARTS.finditer(text)):
        raise NotToml(
            f"this has a key of more than {_MAX_KEY_PARTS} parts", "is it the right file?"
        )
    try:
        if _ENDLESS.search(text):
            raise ValueError(text)
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(
            f"this is not TOML: {error}",
            'texts stand in quotes, hash = "sha256", and tables in brackets',
        ) from None
    except (RecursionError, ValueError):  # brackets by the thousand; a number without end
        raise NotToml(
            "this is TOML that nothing here needs: brackets too deep, or a number too long",
            "is it the right file?",
        ) from None


def value_words(value: object) -> str:
    """Name a value of a TOML document as a planner wrote it."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return "a table"
    return str(value)[:80]


class Placed(dict[str, object]):
    """A table of an array that says itself where it stands, since others were put before it."""

    __slots__ = ("place",)

    def __init__(self, table: Mapping[str, object], place: str):
        super().__init__(table)
        self.place = place


def place_of(entry: object, where: str, index: int) -> str:
    """Say where a table of an array stands, e.g. ``certificate[3]``."""
    return entry.place if isinstance(entry, Placed) else f"{where}[{index}]"


def named(key: str, **more: Any) -> Any:
    """Make a field of a record whose key in the file is another word, e.g. ``import``."""
    return field(metadata={"toml": key}, **more)


@dataclass(slots=True)
class TomlReader:
    """Checks the tables of one file and keeps every problem that it meets.

    Parameters
    ----------
    source : str
        Name of the file, for messages.
    """

    source: str
    problems: list[Problem] = field(default_factory=list)

    def problem(self, message: str, hint: str = "") -> None:
        """Keep a problem."""
        self.problems.append(Problem(message=message, file=self.source, hint=hint))

    def record(
        self, kind: Callable[..., _Record], table: object, where: str = ""
    ) -> _Record | None:
        """Make a record of a table.

        Parameters
        ----------
        kind : type
            A dataclass.
        table : object
            What stands in the document.
        where : str, optional
            Its place, e.g. ``certificate[3]``; "" for the whole document.

        Returns
        -------
        record or None
            None if something does not fit; that is in ``problems`` then.
        """
        if not isinstance(table, Mapping):
            self.problem(f"'{where}' is not a table", f"write [{where}] on a line of its own")
            return None
        items = _items(kind)
        before = len(self.problems)
        self.known(where, table, items)
        values: dict[str, Any] = {}
        for key, (item, hint) in items.items():
            required = item.default is MISSING and item.default_factory is MISSING
            if key in table:
                place = f"{where}.{key}".lstrip(".")
                values[item.name] = self.value(hint, table[key], place, required=required)
            elif required:
                self.problem(f"Missing required value in '{f'{where}.{key}'.lstrip('.')}'")
        return kind(**values) if len(self.problems) == before else None

    def records(
        self, kind: Callable[..., _Record], entries: object, where: str
    ) -> dict[str, _Record]:
        """Make records of an array of tables, each by its place; those that do not fit are out."""
        if not isinstance(entries, list):
            self.problem(f"'{where}' is no array of tables", f"write [[{where}]] for each")
            return {}
        found: dict[str, _Record] = {}
        for index, entry in enumerate(entries):
            place = place_of(entry, where, index)
            record = self.record(kind, entry, place)
            if record is not None:
                found[place] = record
        return found

    def value(self, hint: Any, value: object, where: str, *, required: bool = False) -> Any:
        """Check one value against a field's type and give it as that; None for what is none."""
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):  # X | None: the file never says none
            return self.value(inner[0], value, where, required=required)
        if is_dataclass(hint):
            return self.record(hint, value, where)  # type: ignore[arg-type]
        if origin is tuple and is_dataclass(inner[0]):
            return tuple(self.records(inner[0], value, where).values())  # type: ignore[arg-type]
        if origin in (tuple, frozenset):
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                return origin(value)
            self.problem(f"'{where}' must be a list of texts, not {_list_words(value)}")
            return None
        if origin is not None:  # Mapping[str, X]
            if not isinstance(value, Mapping):
                self.problem(f"'{where}' must be a table, not {value_words(value)}")
                return None
            return MappingProxyType(
                {key: self.value(inner[1], item, f"{where}.{key}") for key, item in value.items()}
            )
        if required and value == "":
            self.problem(f"Missing required value in '{where}'")
            return None
        # true is an int, and a time a date, to Python alone.
        if isinstance(value, hint) and (hint is bool or not isinstance(value, (bool, datetime))):
            return value
        self.problem(f"'{where}' must be {_KINDS[hint]}, not {value_words(value)}")
        return None

    def known(self, where: str, table: Mapping[str, object], keys: Iterable[str]) -> None:
        """Refuse every key of a table that is none of these."""
        keys = list(keys)
        for key in sorted(table.keys() - keys):
            close = get_close_matches(key, keys, n=1, cutoff=0.6)
            self.problem(
                f"Unknown key in '{f'{where}.{key}'.lstrip('.')}'",
                f"did you mean {close[0]}?" if close else f"the keys are {', '.join(keys)}",
            )

    def among(self, where: str, values: Iterable[str], known: Collection[str], what: str) -> None:
        """Refuse every text that is none of those known."""
        for value in values:
            if value not in known:
                self.problem(
                    f"Unknown {what} \"{value}\" in '{where}'", f"known: {', '.join(known)}"
                )

    def once(self, records: Mapping[str, object], key: str) -> None:
        """Refuse what has the same id, code or name as a record before it."""
        seen: dict[object, str] = {}
        for where, record in records.items():
            identity = getattr(record, key)
            first = seen.setdefault(identity, where)
            if first != where:
                self.problem(f"'{where}.{key}' repeats \"{identity}\" of '{first}'")


@cache
def _items(kind: Any) -> Mapping[str, tuple[Field[Any], Any]]:
    """Give field and type of a record by the key that its file has."""
    hints = typing.get_type_hints(kind)
    return {
        item.metadata.get("toml", item.name): (item, hints[item.name])
        for item in fields(kind)
        if item.init
    }


def _list_words(value: object) -> str:
    if not isinstance(value, list):
        return value_words(value)
    return f"one with {next(value_words(item) for item in value if not isinstance(item, str))}"
