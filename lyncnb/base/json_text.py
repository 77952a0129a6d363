"""Parse the JSON of a file from elsewhere so that every reader gets the same values."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

# A surrogate: as an escape, which may also be half of a valid pair, or as bytes, which Python's
# reader accepts although they are not valid UTF-8.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


# The last line of a saved plan.
_DIGEST = re.compile(rb'\n"sha256": "([0-9a-f]{64})"\n\}\n')


class NotJson(ValueError):
    """Bytes that are not JSON, or that JSON readers interpret differently."""


def may_hold_surrogates(data: bytes) -> bool:
    """Return whether a document may contain an unpaired surrogate and needs a full check."""
    return bool(_HALF.search(data))


def has_its_digest(data: bytes) -> bool:
    """Return whether the last line of a document has the SHA-256 of all lines before it."""
    start = max(data.rfind(b'\n"sha256": "'), 0)
    match = _DIGEST.fullmatch(data, start)
    expected = hashlib.sha256(data[: start + 1]).hexdigest().encode()
    return match is not None and match[1] == expected


def parse_json(data: bytes) -> Any:
    """Parse a JSON document.

    Raises
    ------
    NotJson
        If it is not JSON, has too many levels, a number that is too long, an unpaired surrogate,
        which cannot be written again, or a key twice: some readers use the first value, others
        the last.
    """
    try:
        plain = json.loads(data, object_pairs_hook=_unique_members)
        if may_hold_surrogates(data):
            json.dumps(plain, ensure_ascii=False).encode()
    except NotJson:
        raise
    except (ValueError, RecursionError):
        raise NotJson("not readable as JSON") from None
    return plain


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJson("it contains a key twice")
    return members
