"""Read the history of lyncnb 0.2.0, for the import of a folder in the format ``/3``."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..base.disk import files
from ..base.disk.outputs import OWN_FOLDERS
from ..base.records import is_single_line

HISTORY_NAME = "history.jsonl"
_LARGEST = 1 << 31
_TIME = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
# The times at which lyncnb recorded something, without the validity of certificates.
_RECORDED = re.compile(rb'"(?:[a-z]+_)?at": "(' + _TIME + rb')"')


def read_earlier_history(folder: Path) -> bytes:
    """Return the complete lines of the history, or empty bytes without a history."""
    if not os.path.lexists(folder / HISTORY_NAME):
        return b""
    return files.read_file(folder / HISTORY_NAME, limit=_LARGEST)


def find_last_time(*contents: bytes) -> str:
    """Return the last time at which lyncnb recorded something, according to some files."""
    times = (match for data in contents for match in _RECORDED.findall(data))
    return max(times, default=b"2000-01-01T00:00:00Z").decode()


def list_earlier_lines(history: bytes) -> Iterator[dict[str, Any]]:
    """Yield an event for each readable line of the history, with its changes in ``changes``."""
    for text in history.split(b"\n"):
        with suppress(ValueError, RecursionError, TypeError, AttributeError, LookupError):
            line = json.loads(text)
            changes = [
                {**select_words(group), **select_words(member)}
                for group in line.get("changes", ())
                for member in group["of"]
            ]
            yield {"type": "earlier", **select_words(line), "changes": changes}


def select_words(values: Mapping[str, Any]) -> dict[str, str | int]:
    """Return the values of an event that are one line of text, or a whole number."""
    return {
        name: value
        for name, value in values.items()
        if (type(value) is str and is_single_line(value)) or type(value) is int
    }


def archive_copy(folder: Path, name: str, data: bytes) -> None:
    """Save a copy of a file in ``archive/``. The copy's name contains a content hash."""
    files.make_folder(folder / "archive", OWN_FOLDERS["archive"])
    stem, extension = name.split(".")
    target = folder / "archive" / f"{stem}-{hashlib.sha256(data).hexdigest()[:8]}.{extension}"
    if not os.path.lexists(target):
        files.write_new_file(target, data)
