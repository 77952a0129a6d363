"""Convert TOML tables and JSON objects to typed records, and typed records to tables and objects.

The annotations are the schema. A record is a frozen dataclass. The type of a field defines the
values that a file can contain, and a :class:`Check` in ``Annotated[str, check]`` adds a condition.
An error in a file must never change a plan unnoticed, so every invalid value is reported with its
place, such as ``certificate[3].source`` (counted from 0, as in TOML tools). The reader reports all
problems in a file together.

- A field without a default is required. If a class has ``whole = True``, all fields are required
  except those that a later format added (``metadata=SINCE_2``).
- Required text must not be blank, unless a check allows it.
- Unknown keys are rejected, unless the record has a field ``others``. A later version then wrote
  the keys, so they are kept and written back. A class with ``keeps_others = False`` always rejects
  them.
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
from .times import format_time

_Record = TypeVar("_Record")

_KINDS: Mapping[object, str] = MappingProxyType(
    {
        str: "text",
        bool: "true or false",
        int: "a whole number",
        date: "a date, for example 2026-01-31",
    }
)

#: The metadata of a field that the earlier format does not have. The field is written only if it
#: has a value.
SINCE_2 = MappingProxyType({"since": 2})

# All records share one empty mapping, because a folder can have 100,000 records, and few records
# have additional keys.
_NO_OTHERS: Mapping[str, object] = {}


def make_unknown_keys_field() -> Any:
    """Create the dataclass field ``others``, which keeps the keys from later lyncnb versions."""
    return field(default_factory=lambda: _NO_OTHERS)


@dataclass(frozen=True, slots=True)
class Check:
    """A condition for a value. In an error message, ``what`` completes "must be"."""

    what: str
    holds: Callable[[Any], object]


def match_pattern(pattern: str) -> Callable[[str], object]:
    """Return a function that checks whether a complete text matches a regular expression."""
    return re.compile(pattern).fullmatch


def build_range_check(lowest: int, highest: int) -> Check:
    """Return a check that a whole number is in a range that includes both ends."""
    return Check(
        f"a whole number from {lowest} to {highest:,}", lambda number: lowest <= number <= highest
    )


# The method isprintable() would also reject an ideographic space, which is allowed in the name of a
# site.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_single_line(text: str) -> bool:
    """Return whether a text is a single line without control characters."""
    return text.isprintable() or not _CONTROL.search(text)


Text = Annotated[str, Check("text", lambda text: True)]
Line = Annotated[str, Check("one line of text", is_single_line)]

#: In a field with the type ``Annotated[X | None, BLANK_IS_NONE]``, an empty object in the file
#: means None.
BLANK_IS_NONE = object()


def describe_value(value: object) -> str:
    """Describe a value in a TOML document, for an error message."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)} values"
    if isinstance(value, Mapping):
        return "a table"
    return str(value)[:80]


class Placed(dict[str, object]):
    """A TOML table that remembers its position, for merging with tables from other files."""

    __slots__ = ("place",)

    def __init__(self, table: Mapping[str, object], position: str):
        super().__init__(table)
        self.place = position


def get_position(table: object, default: str) -> str:
    """Return the position of a TOML table in its file, or a default if it is not known."""
    return table.place if isinstance(table, Placed) else default


def build_key_path(table_path: str, key: str) -> str:
    """Return the path of a key in a TOML table, such as ``certificate[3].source``."""
    return (
        f"{table_path}.{key}"
        if table_path and not table_path.endswith(": ")
        else f"{table_path}{key}"
    )


def make_named_field(file_key: str, **field_options: Any) -> Any:
    """Create a dataclass field that has a different name in the file, such as ``import``."""
    return field(metadata={"key": file_key}, **field_options)


@dataclass(slots=True)
class RecordReader:
    """A reader for the records in a file. It collects all problems in the file.

    Parameters
    ----------
    source : str
        The name of the file, for messages.
    is_json : bool, optional
        Whether the file contains JSON objects, instead of TOML tables.
    """

    source: str
    is_json: bool = False
    problems: list[Problem] = field(default_factory=list)

    def problem(self, message: str, hint: str = "") -> None:
        """Record a problem in the file."""
        self.problems.append(Problem(message=message, file=self.source, hint=hint))

    def record(self, kind: Callable[..., _Record], table: object, path: str = "") -> _Record | None:
        """Return a typed record from a TOML table or JSON object.

        Parameters
        ----------
        kind : type
            A dataclass.
        table : object
            The value in the document.
        path : str, optional
            The place of the value, such as ``certificate[3]``; "" for the complete document.

        Returns
        -------
        record or None
            None if a value is invalid; ``problems`` then contains the reason.
        """
        if not isinstance(table, Mapping):
            if self.is_json:
                self.problem(f"'{path}' must be an object, not {describe_value(table)}")
            else:
                self.problem(f"'{path}' is not a table", f"enter [{path}] on a separate line")
            return None
        shape, path = _find_shape(kind), get_position(table, path)
        before = len(self.problems)
        values: dict[str, Any] = {}
        unknown = table.keys() - shape.keys
        if unknown and shape.keeps_others:
            values["others"] = {key: table[key] for key in table if key in unknown}
        elif unknown:
            self.reject_unknown_keys(path, table, shape.keys)
        for name, key, read, take, is_needed, may_not_be_blank in shape.read:
            if key not in table:
                if is_needed:
                    self.problem(f"Missing required value: '{build_key_path(path, key)}'")
            elif take is None:
                values[name] = read(self, table[key], build_key_path(path, key))
            else:
                value = table[key]
                try:
                    values[name] = take(value)
                except _InvalidValue as error:
                    self.problem(f"'{build_key_path(path, key)}' {error}")
                if may_not_be_blank and value == "":
                    self.problem(f"Missing required value: '{build_key_path(path, key)}'")
        return kind(**values) if len(self.problems) == before else None

    def records(
        self, kind: Callable[..., _Record], entries: object, path: str
    ) -> dict[str, _Record]:
        """Return the valid records in a list, by their paths in the file.

        If the field ``id`` has a check, a valid id is the place of the record.
        """
        if not isinstance(entries, list):
            if self.is_json:
                self.problem(f"'{path}' must be a list, not {describe_value(entries)}")
            else:
                self.problem(
                    f"'{path}' is not an array of tables", f"start each table with [[{path}]]"
                )
            return {}
        named_by = _find_shape(kind).named_by
        records: dict[str, _Record] = {}
        for index, entry in enumerate(entries):
            record_path = get_position(entry, f"{path}[{index}]")
            if (
                named_by
                and isinstance(entry, Mapping)
                and _is_convertible(named_by, entry.get("id"))
            ):
                record_path = str(entry["id"]) if entry["id"] not in records else record_path
            record = self.record(kind, entry, record_path)
            if record is not None:
                records[record_path] = record
        return records

    def value(self, hint: Any, value: object, path: str, *, is_required: bool = False) -> Any:
        """Return a value converted to a field's type, or None if it cannot be converted."""
        if is_required and value == "" and hint is str:
            self.problem(f"Missing required value: '{path}'")
            return None
        return _make_reader(hint)(self, value, path)

    def reject_unknown_keys(
        self, path: str, table: Mapping[str, object], keys: Iterable[str]
    ) -> None:
        """Report every unknown key in a table."""
        keys = list(keys)
        for key in sorted(table.keys() - keys):
            close = get_close_matches(key, keys, n=1, cutoff=0.6)
            value = table[key]
            first = value[0] if isinstance(value, list) and value else value
            self.problem(
                f"Unknown key: '{get_position(first, build_key_path(path, key))}'",
                f"did you mean {close[0]}?" if close else f"the known keys are {', '.join(keys)}",
            )

    def report_unknown_values(
        self, path: str, values: Iterable[str], known_values: Collection[str], kind: str
    ) -> None:
        """Report every value that is not in the list of known values."""
        for value in values:
            if value not in known_values:
                self.problem(
                    f"Unknown {kind} \"{value}\" in '{path}'",
                    f"known values: {', '.join(known_values)}",
                )

    def report_duplicates(self, records: Mapping[str, object], key: str) -> None:
        """Report every record that has the same ID, code, or name as an earlier record."""
        seen: dict[object, str] = {}
        for path, record in records.items():
            identity = getattr(record, key)
            first = seen.setdefault(identity, path)
            if first != path:
                self.problem(f"'{path}.{key}' is \"{identity}\", which '{first}' already uses")


def convert_record(record: Any) -> dict[str, object]:
    """Return the fields of a record by their JSON keys. Nested records are not converted.

    ``json.JSONEncoder(default=convert_record)`` writes a record with all nested records.
    """
    if isinstance(record, Mapping):
        return dict(record)
    plain: dict[str, object] = {}
    kind: Any = type(record)
    for name, key, only_if_set, blank_is_none in _find_shape(kind).written:
        value = getattr(record, name)
        if value is None and blank_is_none:
            value = {}
        if value or not only_if_set:
            plain[key] = value
    plain.update(getattr(record, "others", {}))
    return plain


class JsonSerializable:
    """The base class of objects that can be written as JSON documents.

    ``json_keys`` contains the keys of the JSON document in their order, as ``key`` or
    ``key=attribute``. ``items.id`` is the attribute ``id`` of ``items``, or of each item if there
    are several. ``items.id,why`` means both attributes. If an attribute is a method, its result is
    written.
    """

    __slots__ = ()
    json_keys: ClassVar[tuple[str, ...]] = ()

    def to_document(self) -> dict[str, Any]:
        """Return the object as plain JSON values. Dates and times are in ISO 8601."""
        return list_json_values(self, *self.json_keys)


def list_json_values(source: Any, *selection: str) -> dict[str, Any]:
    """Return the values of an object as plain JSON values.

    ``selection`` selects the values, in the format of ``JsonSerializable.json_keys``. By default,
    all fields are returned.
    """
    kind: Any = type(source)
    return {
        key: convert_to_json(read(source)) for key, read in _make_document_readers(kind, selection)
    }


def convert_to_json(value: object) -> Any:
    """Convert a value to plain JSON values."""
    # Most values are text, so text is checked first. The slow check for a mapping comes last.
    if value is None or type(value) is str or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, JsonSerializable):
        return value.to_document()
    if isinstance(value, Mapping):
        return {str(key): convert_to_json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [convert_to_json(item) for item in value]
    if is_dataclass(value):
        return list_json_values(value)
    if isinstance(value, datetime):
        return format_time(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _read_attribute(value: Any, name: str) -> Any:
    if isinstance(value, tuple):
        return [_read_attribute(item, name) for item in value]
    if "," in name:
        return {part: getattr(value, part) for part in name.split(",")}
    result = getattr(value, name)
    return result() if isinstance(result, types.MethodType) else result


@cache
def _make_document_readers(
    kind: Any, keys: tuple[str, ...]
) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    selection = keys or tuple(item.name for item in fields(kind))
    pairs = (name.partition("=") for name in selection)
    return tuple((key, _make_value_reader(kind, path or key)) for key, _, path in pairs)


def _make_value_reader(kind: Any, path: str) -> Callable[[Any], Any]:
    if path.isidentifier() and not callable(getattr(kind, path, None)):
        # A large document has a million plain attributes, so they are read in the fastest way.
        return attrgetter(path)
    names = path.split(".")
    return lambda noun: reduce(_read_attribute, names, noun)


# A function of the type _Read reads a value that can contain records, and reports problems. A
# function of the type _Take reads a value without records.
_Read = Callable[[RecordReader, object, str], Any]
_Take = Callable[[object], Any]


class _InvalidValue(Exception):
    """The error for a value that is not valid.

    The message continues after the path of the value.
    """


class _ReadItem(NamedTuple):
    name: str
    key: str
    read: _Read
    # The function that reads values of this type, or None if they contain records. The path of the
    # value is built only for error messages.
    take: _Take | None
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
    keys: KeysView[str]  # The keys of the record in the file, in the order of its fields.
    keeps_others: bool
    named_by: _Take | None


@cache
def _find_shape(kind: Any) -> _Shape:
    hints = typing.get_type_hints(kind, include_extras=True)
    is_whole = getattr(kind, "whole", False)
    read_items, written_items = [], []
    init_fields = [item for item in fields(kind) if item.init]
    for item in init_fields:
        name, hint = item.name, hints[item.name]
        if name == "others":
            continue
        key, since = item.metadata.get("key", name), "since" in item.metadata
        no_default = item.default is MISSING and item.default_factory is MISSING
        is_needed = no_default or (is_whole and not since)
        may_not_be_blank = is_needed and hint in (str, str | None)
        read_items.append(
            _ReadItem(
                name, key, _make_reader(hint), _make_plain_reader(hint), is_needed, may_not_be_blank
            )
        )
        blank_is_none = BLANK_IS_NONE in typing.get_args(hint)[1:]
        written_items.append(_WrittenItem(name, key, since, blank_is_none))
    return _Shape(
        read=tuple(read_items),
        written=tuple(written_items),
        keys={item.key: None for item in read_items}.keys(),
        keeps_others=len(read_items) < len(init_fields) and getattr(kind, "keeps_others", True),
        named_by=_make_plain_reader(hints["id"])
        if typing.get_origin(hints.get("id")) is Annotated
        else None,
    )


def _is_convertible(take_value: _Take, value: object) -> bool:
    try:
        take_value(value)
    except _InvalidValue:
        return False
    return True


@cache
def _make_reader(hint: Any) -> _Read:
    """Return a function that reads values of the given type, including the records in them."""
    take = _make_plain_reader(hint)
    if take is not None:

        def read_plain(reader: RecordReader, value: object, path: str) -> Any:
            try:
                return take(value)
            except _InvalidValue as error:
                reader.problem(f"'{path}' {error}")
                return None

        return read_plain
    if is_dataclass(hint):
        return lambda reader, value, path: reader.record(hint, value, path)  # type: ignore[arg-type]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return lambda reader, value, path: tuple(reader.records(inner[0], value, path).values())
    # The type is an optional record.
    if origin is Annotated or origin in (types.UnionType, typing.Union):
        none: object = {} if origin is Annotated else None
        read = _make_reader(inner[0])
        return lambda reader, value, path: None if value == none else read(reader, value, path)

    def read_mapping(reader: RecordReader, value: object, path: str) -> Any:
        if not isinstance(value, Mapping):
            reader.problem(f"'{path}' must be a table, not {describe_value(value)}")
            return None
        keys, values = _make_reader(inner[0]), _make_reader(inner[1])
        result = {
            keys(reader, key, path): values(reader, item, build_key_path(path, key))
            for key, item in value.items()
        }
        # All plans share the rules, so a mapping in the rules is read-only. A mapping in a manifest
        # is a normal dict, because it is copied and sent to worker processes.
        return result if reader.is_json else MappingProxyType(result)

    return read_mapping


@cache
def _make_plain_reader(hint: Any) -> _Take | None:
    """Return a function that reads values of a type, or None if the values contain records."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        take = _make_plain_reader(inner[0])
        return take and (lambda value: None if value is None else take(value))
    if origin is Annotated and isinstance(inner[1], Check):
        return _make_checked_reader(*inner)
    if origin in (tuple, frozenset):
        return None if is_dataclass(inner[0]) else _make_list_reader(inner[0], origin)
    return None if origin is not None or is_dataclass(hint) else _make_checked_reader(hint, None)


def _make_checked_reader(kind: Any, check: Check | None) -> _Take:
    expected = check.what if check else _KINDS.get(kind)

    def take_value(value: object) -> object:
        # In Python, True is also an int, and a datetime is also a date, so the exact type is
        # compared.
        is_kind = type(value) is kind or (
            isinstance(value, kind) and not isinstance(value, (bool, datetime))
        )
        if is_kind and (check is None or check.holds(value)):
            return value
        raise _InvalidValue(f"must be {expected}, not {describe_value(value)}")

    return take_value


def _make_list_reader(hint: Any, kind: type) -> _Take:
    take = (
        _make_checked_reader(hint, None)
        if hint is str
        else _make_checked_reader(*typing.get_args(hint))
    )
    expected = "a list of text values"
    if hint is not str:
        expected = f"a list in which each value is {typing.get_args(hint)[1].what}"
    plain = "list of text values" if hint is str else "list"

    def convert_list(value: object) -> object:
        if not isinstance(value, list):
            raise _InvalidValue(f"must be a {plain}, not {describe_value(value)}")
        for item in value:
            try:
                take(item)
            except _InvalidValue:
                raise _InvalidValue(
                    f"must be {expected}, but it contains {describe_value(item)}"
                ) from None
        return kind(value)

    return convert_list
