"""Tables in a TOML file are converted to records, and the error message gives the location of each
invalid value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from lyncnb.base.records import JsonSerializable, RecordReader, make_named_field
from lyncnb.base.toml_text import NotToml, parse_toml


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry in a TOML array of tables."""

    id: str
    days: int = 0
    since: date | None = None


@dataclass(frozen=True, kw_only=True)
class File:
    """The content of a TOML file that has values of all supported types."""

    title: str
    flag: bool = False
    words: tuple[str, ...] = ()
    marks: frozenset[str] = frozenset()
    more: Mapping[str, tuple[str, ...]] = ()
    one: Entry | None = None
    entries: tuple[Entry, ...] = make_named_field("entry", default=())


def read_text(text: str) -> tuple[File | None, list[str]]:
    reader = RecordReader("x.toml")
    record = reader.record(File, parse_toml(text))
    assert all(problem.file == "x.toml" for problem in reader.problems)
    return record, [problem.message for problem in reader.problems]


def test_a_file_becomes_a_record():
    """Text, lists, sets, tables, and arrays of tables in a TOML file are converted to the types in
    the record.
    """
    record, problems = read_text(
        'title = "t"\nflag = true\nwords = ["a"]\nmarks = ["b"]\nmore.c = ["d"]\n'
        'one = {id = "e", since = 2026-01-31}\n[[entry]]\nid = "f"\ndays = 3\n'
    )
    assert problems == []
    assert record == File(
        title="t",
        flag=True,
        words=("a",),
        marks=frozenset("b"),
        more={"c": ("d",)},
        one=Entry(id="e", since=date(2026, 1, 31)),
        entries=(Entry(id="f", days=3),),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Missing required value: 'title'"),
        ('title = ""', "Missing required value: 'title'"),
        ("title = 3", "'title' must be text, not 3"),
        ('title = "t"\ntitel = "u"', "Unknown key: 'titel'"),
        ('title = "t"\nflag = 1', "'flag' must be true or false, not 1"),
        ('title = "t"\nflag = "true"', "'flag' must be true or false, not \"true\""),
        ('title = "t"\nwords = "a"', "'words' must be a list of text values, not \"a\""),
        ('title = "t"\nwords = ["a", 5]', "'words' must be a list of text values, but it contains 5"),
        ('title = "t"\nmore = 3', "'more' must be a table, not 3"),
        ('title = "t"\nmore.c = 3', "'more.c' must be a list of text values, not 3"),
        ('title = "t"\none = 3', "'one' is not a table"),
        ('title = "t"\none = {}', "Missing required value: 'one.id'"),
        ('title = "t"\nentry = 3', "'entry' is not an array of tables"),
        ('title = "t"\nentry = [3]', "'entry[0]' is not a table"),
        ('title = "t"\n[[entry]]\nid = "a"\ndays = true', "'entry[0].days' must be a whole number, not true"),
        ('title = "t"\n[[entry]]\nid = "a"\ndays = 2.0', "'entry[0].days' must be a whole number, not 2.0"),
        ('title = "t"\n[[entry]]\nid = "a"\n[[entry]]\nid = "b"\nsince = 2026-01-31T10:00:00', "'entry[1].since' must be a date, for example 2026-01-31, not 2026-01-31 10:00:00"),
    ],
)  # fmt: skip
def test_invalid_values_are_reported_with_their_location(text, problem):
    """For a missing key, an unknown key, or a value of the wrong type, the reader reports the
    location of the problem and returns no record.
    """
    record, problems = read_text(text)
    assert problems == [problem]
    assert record is None


def test_similar_key_is_suggested():
    """If a key is unknown, the hint suggests a similar key, or else lists all keys."""
    reader = RecordReader("x")
    reader.record(Entry, {"id": "a", "dasy": 1, "colour": 2}, "entry[3]")
    assert [(problem.message, problem.hint) for problem in reader.problems] == [
        ("Unknown key: 'entry[3].colour'", "the known keys are id, days, since"),
        ("Unknown key: 'entry[3].dasy'", "did you mean days?"),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a = b", "the file is not valid TOML"),
        (b"\xff", "the file is not UTF-8 text"),
        (b"a = " + b"[" * 50_000, "brackets are nested too deeply"),
        (b"a = " + b"9" * 5_000, "a number is too long"),
    ],
)
def test_bytes_that_are_not_toml(data, message):
    """If bytes are not valid TOML, the error message is a complete sentence for every error of the
    parser.
    """
    with pytest.raises(NotToml, match=message):
        parse_toml(data)


@pytest.mark.parametrize("number", ["0x" + "f" * 5000, "0o" + "7_" * 5000, "0b" + "1" * 20000])
def test_number_that_is_too_long_is_rejected(number):
    """If a number in a TOML file has too many digits, it is rejected, because Python cannot convert
    it to text for a message.
    """
    with pytest.raises(NotToml, match="a number is too long"):
        parse_toml(f"days = {number}\n")
    assert parse_toml("days = 0xffff_ffff_ffff_ffff\n") == {"days": 2**64 - 1}


def test_document_contains_the_declared_keys():
    """The JSON document of an object contains the keys that its class declares: attributes of the
    object, attributes of each of its items, and results of methods.
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Item:
        id: str
        why: str
        day: date = date(2026, 11, 28)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Whole(JsonSerializable):
        format: ClassVar = "whole/1"
        json_keys: ClassVar = (
            "format",
            "place=folder",
            "ids=items.id",
            "items=items.id,why",
            "counts",
        )
        folder: Path
        items: tuple[Item, ...]

        def counts(self) -> dict[str, int]:
            return {"items": len(self.items)}

    @dataclass(frozen=True, slots=True, kw_only=True)
    class All(JsonSerializable):
        whole: Whole
        item: Item
        until: datetime

    whole = Whole(folder=Path("a") / "b", items=(Item(id="x", why="y"),))
    document = {"format": "whole/1", "place": str(Path("a") / "b"), "ids": ["x"]}
    document |= {"items": [{"id": "x", "why": "y"}], "counts": {"items": 1}}
    assert whole.to_document() == document
    end_time = datetime(2026, 11, 28, 1, 2, 3, tzinfo=UTC)
    assert All(whole=whole, item=whole.items[0], until=end_time).to_document() == {
        "whole": document,
        "item": {"id": "x", "why": "y", "day": "2026-11-28"},
        "until": "2026-11-28T01:02:03Z",
    }
