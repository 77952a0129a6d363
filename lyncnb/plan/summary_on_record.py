"""A summary as a text that a request folder keeps, so that what came back can be told anew.

A command that has the folder and not the plan reads it, adds the records and lays it out again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import types
import typing
import zlib
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from functools import cache
from typing import Any

from .summary_content import Summary

_LARGEST = 1 << 28  # bytes of JSON; more is no summary of ours

#: Certificates of a summary that is kept at most: of a larger one, laying it out anew would cost
#: more than what is done to the folder.
MOST_KEPT = 10_000


def to_text(summary: Summary) -> str:
    """Write a summary as text: JSON, compressed, base64; the same summary, the same text."""
    return base64.b64encode(zlib.compress(_document(summary), 9)).decode("ascii")


def summary_digest(summary: Summary) -> str:
    """Give the hex SHA-256 of everything that a summary tells."""
    return hashlib.sha256(_document(summary)).hexdigest()


def from_text(text: str) -> Summary | None:
    """Read what :func:`to_text` wrote; None if it is none, e.g. of another version of lyncnb."""
    try:
        packed = base64.b64decode(text, validate=True)
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(packed, _LARGEST)
        summary = _typed(Summary, json.loads(plain)) if unpacker.eof else None
    except (binascii.Error, zlib.error, ValueError, KeyError, TypeError, RecursionError):
        return None
    return summary if isinstance(summary, Summary) else None


def _document(summary: Summary) -> bytes:
    plain = json.dumps(_plain(summary), ensure_ascii=False, separators=(",", ":"))
    return plain.encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    kind: Any = type(value)
    if value is None or kind in (str, bool, int):  # most values of a summary
        return value
    if kind is tuple:
        return [_plain(item) for item in value]
    if items := _written(kind):
        # What is as it is by default goes without saying.
        return {
            name: _plain(told)
            for name, default in items
            if (told := getattr(value, name)) != default
        }
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, str) else value


@cache
def _written(kind: Any) -> tuple[tuple[str, Any], ...]:
    """Return names and defaults of a record's fields; none for what is no record."""
    return tuple((item.name, item.default) for item in fields(kind)) if is_dataclass(kind) else ()


def _typed(hint: Any, value: Any) -> Any:
    """Give a plain value as what a field's type says; ValueError, KeyError if it is none."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return None if value is None else _typed(inner[0], value)
    if is_dataclass(hint):
        return _record(hint, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError("no list")
        return tuple(_typed(inner[0], item) for item in value)
    if hint is date:
        return date.fromisoformat(value)
    if not isinstance(value, hint):
        raise ValueError(f"no {hint.__name__}")
    return value


def _record(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("no object")
    values = {}
    for name, (hint, is_required) in _fields(kind).items():
        if name in value:
            values[name] = _typed(hint, value[name])
        elif is_required:
            raise KeyError(name)
    return kind(**values)


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    hints = typing.get_type_hints(kind)
    return {item.name: (hints[item.name], item.default is MISSING) for item in fields(kind)}
