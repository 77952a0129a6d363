"""JSON of a file that somebody hands over: parsed so that every reader sees the same in it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

# An unpaired surrogate: escaped, where a pair is one character, or as bytes, which Python's reader
# takes although UTF-8 has no such bytes.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


# The last line of a saved plan.
_DIGEST = re.compile(rb'\n"sha256": "([0-9a-f]{64})"\n\}\n')


class NotJson(ValueError):
    """Bytes that are not JSON, or that JSON readers interpret differently."""


def may_hold_surrogates(data: bytes) -> bool:
    """Tell whether a document may have an unpaired surrogate, so that it must be looked at."""
    return bool(_HALF.search(data))


def has_its_digest(data: bytes) -> bool:
    """Return whether the last line of a document has the SHA-256 of all lines before it."""
    start = max(data.rfind(b'\n"sha256": "'), 0)
    found = _DIGEST.fullmatch(data, start)
    expected = hashlib.sha256(data[: start + 1]).hexdigest().encode()
    return found is not None and found[1] == expected


def parse_json(data: bytes) -> Any:
    """Parse a JSON document.

    Raises
    ------
    NotJson
        If it is none, is nested too deeply or has a number too long, holds half a character, which
        cannot be written again, or a key twice: one reader takes the first, another the last.
    """
    try:
        plain = json.loads(data, object_pairs_hook=_once)
        if may_hold_surrogates(data):
            json.dumps(plain, ensure_ascii=False).encode()
    except NotJson:
        raise
    except (ValueError, RecursionError):
        raise NotJson("not readable as JSON") from None
    return plain


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson("it contains a key twice")
    return found
