"""Read tables of TOML and objects of JSON as typed records, and write them again.

The annotations are the schema. A record is a frozen dataclass. The type of a field says what a
file may hold there, and a :class:`Check` in ``Annotated[str, check]`` says what the type cannot. A
typing error in a file must change no plan silently, so each value that does not fit is a problem
with its place, such as ``certificate[3].source`` (counted from 0, as TOML tools do). The reader
reports all problems of a file together. This module knows no certificate.

- A field without a default is required. In a record whose class says ``whole = True`` every field
  is required, except those that a later format added (``metadata=SINCE_2``).
- Required plain text must not be blank; a check decides for itself.
- Keys that no field has are refused, unless the record has a field ``others``: then a later version
  wrote them, and they are kept and written back. A class that says ``keeps_others = False`` refuses
  them in any case.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, KeysView, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache, reduce
from operator import attrgetter
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

from ..errors import Problem
from .pasted_text import shown
from .times import time_text

_Record = TypeVar("_Record")

_KINDS: Mapping[object, str] = MappingProxyType(
    {str: "text", bool: "true or false", int: "a whole number", date: "a date, e.g. 2026-01-31"}
)

#: A field that an earlier format did not have: written only where there is something to say.
SINCE_2 = MappingProxyType({"since": 2})

# One object for all: a folder has 100,000 records, and hardly one has anything in it.
_NO_OTHERS: Mapping[str, object] = {}


def others_field() -> Any:
    """Make the field ``others`` of a record: keys that a later version wrote."""
    return field(default_factory=lambda: _NO_OTHERS)


@dataclass(frozen=True, slots=True)
class Check:
    """What a value must be beyond its type: ``what`` in words, after "must be"."""

    what: str
    holds: Callable[[Any], object]


def matching(pattern: str) -> Callable[[str], object]:
    """Return a test of whether the whole of a text matches a pattern."""
    return re.compile(pattern).fullmatch


def number_in(lowest: int, highest: int) -> Check:
    """Check that a whole number is in a range, both ends included."""
    return Check(
        f"a whole number from {lowest} to {highest:,}", lambda number: lowest <= number <= highest
    )


# No more than that: a site may be named with an ideographic space, which isprintable() is not.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_line(text: str) -> bool:
    """Return whether a text holds no control character."""
    return text.isprintable() or not _CONTROL.search(text)


Text = Annotated[str, Check("text", lambda text: True)]
Line = Annotated[str, Check("one line of text", is_line)]

#: In ``Annotated[X | None, BLANK_IS_NONE]``: an empty object stands for None, in both directions.
BLANK_IS_NONE = object()


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
    """A table that knows its place, because it was put together with tables of other files."""

    __slots__ = ("place",)

    def __init__(self, table: Mapping[str, object], place: str):
        super().__init__(table)
        self.place = place


def place_of(table: object, where: str) -> str:
    """Return the place that a table knows of itself, or else the one given."""
    return table.place if isinstance(table, Placed) else where


def inside(where: str, key: str) -> str:
    """Return the place of a key of a table, e.g. ``certificate[3].source``."""
    return f"{where}.{key}" if where and not where.endswith(": ") else f"{where}{key}"


def named(key: str, **more: Any) -> Any:
    """Make a field of a record whose key in the file is another word, e.g. ``import``."""
    return field(metadata={"key": key}, **more)


@dataclass(slots=True)
class RecordReader:
    """Checks the records of one file and keeps every problem that it meets.

    Parameters
    ----------
    source : str
        Name of the file, for messages.
    is_json : bool, optional
        Whether it has objects and lists, not TOML's tables.
    """

    source: str
    is_json: bool = False
    problems: list[Problem] = field(default_factory=list)

    def problem(self, message: str, hint: str = "") -> None:
        """Keep a problem."""
        self.problems.append(Problem(message=message, file=self.source, hint=hint))

    def record(
        self, kind: Callable[..., _Record], table: object, where: str = ""
    ) -> _Record | None:
        """Make a record of a table or object.

        Parameters
        ----------
        kind : type
            A dataclass.
        table : object
            The value in the document.
        where : str, optional
            Its place, e.g. ``certificate[3]``; "" for the whole document.

        Returns
        -------
        record or None
            None if something does not fit; ``problems`` then says what.
        """
        if not isinstance(table, Mapping):
            if self.is_json:
                self.problem(f"'{where}' must be an object, not {value_words(table)}")
            else:
                self.problem(f"'{where}' is not a table", f"write [{where}] on a line of its own")
            return None
        shape, where = _shape(kind), place_of(table, where)
        before = len(self.problems)
        values: dict[str, Any] = {}
        unknown = table.keys() - shape.keys
        if unknown and shape.keeps_others:
            values["others"] = {key: table[key] for key in table if key in unknown}
        elif unknown:
            self.known(where, table, shape.keys)
        for name, key, read, take, is_needed, may_not_be_blank in shape.read:
            if key not in table:
                if is_needed:
                    self.problem(f"Missing required value in '{inside(where, key)}'")
            elif take is None:
                values[name] = read(self, table[key], inside(where, key))
            else:
                given = table[key]
                try:
                    values[name] = take(given)
                except _Wrong as error:
                    self.problem(f"'{inside(where, key)}' {error}")
                if may_not_be_blank and given == "":
                    self.problem(f"Missing required value in '{inside(where, key)}'")
        return kind(**values) if len(self.problems) == before else None

    def records(
        self, kind: Callable[..., _Record], entries: object, where: str
    ) -> dict[str, _Record]:
        """Return the records of a list by their places, without those that do not fit.

        If the field ``id`` has a check, a valid id is the place of its record.
        """
        if not isinstance(entries, list):
            if self.is_json:
                self.problem(f"'{where}' must be a list, not {value_words(entries)}")
            else:
                self.problem(f"'{where}' is not an array of tables", f"write [[{where}]] for each")
            return {}
        named_by = _shape(kind).named_by
        found: dict[str, _Record] = {}
        for index, entry in enumerate(entries):
            place = place_of(entry, f"{where}[{index}]")
            if named_by and isinstance(entry, Mapping) and _fits(named_by, entry.get("id")):
                place = str(entry["id"]) if entry["id"] not in found else place
            record = self.record(kind, entry, place)
            if record is not None:
                found[place] = record
        return found

    def value(self, hint: Any, value: object, where: str, *, required: bool = False) -> Any:
        """Return one value as a field's type has it, or None if it does not fit."""
        if required and value == "" and hint is str:
            self.problem(f"Missing required value in '{where}'")
            return None
        return _reader(hint)(self, value, where)

    def known(self, where: str, table: Mapping[str, object], keys: Iterable[str]) -> None:
        """Refuse every key of a table that is not in the list."""
        keys = list(keys)
        for key in sorted(table.keys() - keys):
            close = get_close_matches(key, keys, n=1, cutoff=0.6)
            value = table[key]
            first = value[0] if isinstance(value, list) and value else value
            self.problem(
                f"Unknown key in '{place_of(first, inside(where, key))}'",
                f"did you mean {close[0]}?" if close else f"the keys are {', '.join(keys)}",
            )

    def among(self, where: str, values: Iterable[str], known: Collection[str], what: str) -> None:
        """Refuse every text that is not known."""
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


def plain_record(record: Any) -> dict[str, object]:
    """Return the fields of a record by their keys, as JSON writes them; inner records stay records.

    ``json.JSONEncoder(default=plain_record)`` writes a record with all that is in it.
    """
    if isinstance(record, Mapping):
        return dict(record)
    plain: dict[str, object] = {}
    kind: Any = type(record)
    for name, key, only_if_set, blank_is_none in _shape(kind).written:
        value = getattr(record, name)
        if value is None and blank_is_none:
            value = {}
        if value or not only_if_set:
            plain[key] = value
    plain.update(getattr(record, "others", {}))
    return plain


class Told:
    """A noun that is printed as JSON: its fields, or what ``told`` names.

    ``told`` lists the keys of the document in their order, as ``key`` or ``key=attribute``.
    ``items.id`` is that attribute, of each item where there are several; ``items.id,why`` both of
    them. A method is called.
    """

    __slots__ = ()
    told: ClassVar[tuple[str, ...]] = ()

    def to_document(self) -> dict[str, Any]:
        """Return plain JSON values: days and times in ISO 8601, paths as text."""
        return told_values(self, *self.told)


def told_values(noun: Any, *told: str) -> dict[str, Any]:
    """Return plain JSON values of a noun by their keys, as ``Told.told`` has them."""
    kind: Any = type(noun)
    return {key: json_value(read(noun)) for key, read in _told_by(kind, told)}


def json_value(value: object) -> Any:
    """Return what JSON has for a value: of a noun its document, of a record its fields."""
    # Most values are texts; to ask whether they are mappings costs more than all else here.
    if value is None or type(value) is str or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Told):
        return value.to_document()
    if isinstance(value, Mapping):
        return {str(key): json_value(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [json_value(one) for one in value]
    if is_dataclass(value):
        return {item.name: json_value(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, datetime):
        return time_text(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _attribute(value: Any, name: str) -> Any:
    if isinstance(value, tuple):
        return [_attribute(one, name) for one in value]
    if "," in name:
        return {part: getattr(value, part) for part in name.split(",")}
    found = getattr(value, name)
    return found() if isinstance(found, types.MethodType) else found


@cache
def _told_by(kind: Any, told: tuple[str, ...]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    named = told or tuple(item.name for item in fields(kind))
    pairs = (name.partition("=") for name in named)
    return tuple((key, _told_value(kind, path or key)) for key, _, path in pairs)


def _told_value(kind: Any, path: str) -> Callable[[Any], Any]:
    if path.isidentifier() and not callable(getattr(kind, path, None)):
        return attrgetter(path)  # a large document has a million of these
    names = path.split(".")
    return lambda noun: reduce(_attribute, names, noun)


# One reads a value that may contain records and keeps its problems; the other, one without records.
_Read = Callable[[RecordReader, object, str], Any]
_Take = Callable[[object], Any]


class _Wrong(Exception):
    """Says what a value must be; the message goes on after the place of the value."""


class _ReadItem(NamedTuple):
    name: str
    key: str
    read: _Read
    take: _Take | None  # of a value without records: its place is written only if it is wrong
    is_needed: bool
    may_not_be_blank: bool


class _WrittenItem(NamedTuple):
    name: str
    key: str
    only_if_set: bool
    blank_is_none: bool


class _Shape(NamedTuple):
    read: tuple[_ReadItem, ...]
    written: tuple[_WrittenItem, ...]
    keys: KeysView[str]  # in the record's order
    keeps_others: bool
    named_by: _Take | None


@cache
def _shape(kind: Any) -> _Shape:
    hints = typing.get_type_hints(kind, include_extras=True)
    is_whole = getattr(kind, "whole", False)
    read, written = [], []
    own = [item for item in fields(kind) if item.init]
    for item in own:
        name, hint = item.name, hints[item.name]
        if name == "others":
            continue
        key, since = item.metadata.get("key", name), "since" in item.metadata
        no_default = item.default is MISSING and item.default_factory is MISSING
        is_needed = no_default or (is_whole and not since)
        may_not_be_blank = is_needed and hint in (str, str | None)
        read.append(_ReadItem(name, key, _reader(hint), _taker(hint), is_needed, may_not_be_blank))
        blank_is_none = BLANK_IS_NONE in typing.get_args(hint)[1:]
        written.append(_WrittenItem(name, key, since, blank_is_none))
    return _Shape(
        read=tuple(read),
        written=tuple(written),
        keys={item.key: None for item in read}.keys(),
        keeps_others=len(read) < len(own) and getattr(kind, "keeps_others", True),
        named_by=_taker(hints["id"]) if typing.get_origin(hints.get("id")) is Annotated else None,
    )


def _fits(take: _Take, value: object) -> bool:
    try:
        take(value)
    except _Wrong:
        return False
    return True


@cache
def _reader(hint: Any) -> _Read:
    """Return the function that reads values of a type, with the records in them."""
    take = _taker(hint)
    if take is not None:

        def read_plain(reader: RecordReader, value: object, where: str) -> Any:
            try:
                return take(value)
            except _Wrong as error:
                reader.problem(f"'{where}' {error}")
                return None

        return read_plain
    if is_dataclass(hint):
        return lambda reader, value, where: reader.record(hint, value, where)  # type: ignore[arg-type]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return lambda reader, value, where: tuple(reader.records(inner[0], value, where).values())
    if origin is Annotated or origin in (types.UnionType, typing.Union):  # of a record
        none: object = {} if origin is Annotated else None
        read = _reader(inner[0])
        return lambda reader, value, where: None if value == none else read(reader, value, where)

    def read_mapping(reader: RecordReader, value: object, where: str) -> Any:
        if not isinstance(value, Mapping):
            reader.problem(f"'{where}' must be a table, not {value_words(value)}")
            return None
        keys, values = _reader(inner[0]), _reader(inner[1])
        found = {
            keys(reader, key, where): values(reader, one, inside(where, key))
            for key, one in value.items()
        }
        # Rules are shared by all plans; a manifest's records are copied and sent to workers.
        return found if reader.is_json else MappingProxyType(found)

    return read_mapping


@cache
def _taker(hint: Any) -> _Take | None:
    """Return the function that takes values of a type without records; None for other types."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        take = _taker(inner[0])
        return take and (lambda value: None if value is None else take(value))
    if origin is Annotated and isinstance(inner[1], Check):
        return _checked(*inner)
    if origin in (tuple, frozenset):
        return None if is_dataclass(inner[0]) else _list_of(inner[0], origin)
    return None if origin is not None or is_dataclass(hint) else _checked(hint, None)


def _checked(kind: Any, check: Check | None) -> _Take:
    what = check.what if check else _KINDS.get(kind)

    def take(value: object) -> object:
        # true is an int, and a time a date, to Python alone.
        is_kind = type(value) is kind or (
            isinstance(value, kind) and not isinstance(value, (bool, datetime))
        )
        if is_kind and (check is None or check.holds(value)):
            return value
        raise _Wrong(f"must be {what}, not {value_words(value)}")

    return take


def _list_of(hint: Any, kind: type) -> _Take:
    take = _checked(hint, None) if hint is str else _checked(*typing.get_args(hint))
    what = "of texts" if hint is str else f"with {typing.get_args(hint)[1].what} in each place"
    plain = "list of texts" if hint is str else "list"

    def take_all(value: object) -> object:
        if not isinstance(value, list):
            raise _Wrong(f"must be a {plain}, not {value_words(value)}")
        for one in value:
            try:
                take(one)
            except _Wrong:
                raise _Wrong(f"must be a list {what}, not one with {value_words(one)}") from None
        return kind(value)

    return take_all
