"""Parse JSON files from other sources strictly, so that every reader gets the same values."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

# A surrogate can appear as an escape sequence or as bytes. An escape sequence can be one half of a
# valid pair. Bytes are never valid in UTF-8, but Python's decoder accepts them.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


# The last line of a saved plan. It contains the digest of all previous lines.
_DIGEST = re.compile(rb'\n"sha256": "([0-9a-f]{64})"\n\}\n')


class NotJson(ValueError):
    """The error for data that is not JSON, or that is ambiguous to JSON readers."""


def may_contain_surrogates(data: bytes) -> bool:
    """Return whether a JSON document may contain an unpaired surrogate."""
    return bool(_HALF.search(data))


def has_valid_digest(data: bytes) -> bool:
    """Return whether the last line of a document is the SHA-256 digest of all previous lines."""
    start = max(data.rfind(b'\n"sha256": "'), 0)
    match = _DIGEST.fullmatch(data, start)
    expected = hashlib.sha256(data[: start + 1]).hexdigest().encode()
    return match is not None and match[1] == expected


def parse_json(data: bytes) -> Any:
    """Parse a JSON document.

    Raises
    ------
    NotJson
        If the document is not valid JSON, has too many levels, or contains a number that is too
        long, an unpaired surrogate, or the same key twice in an object. Some JSON readers use the
        first value of a duplicate key, others the last.
    """
    try:
        plain = json.loads(data, object_pairs_hook=_reject_duplicate_keys)
        if may_contain_surrogates(data):
            json.dumps(plain, ensure_ascii=False).encode()
    except NotJson:
        raise
    except (ValueError, RecursionError):
        raise NotJson("the content is not valid JSON") from None
    return plain


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJson("the same JSON key appears twice")
    return members
