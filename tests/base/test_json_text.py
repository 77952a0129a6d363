"""JSON files from other programs are parsed strictly."""

from __future__ import annotations

import json

import pytest

from lyncnb.base.json_text import NotJson, parse_json


def test_valid_json_is_parsed():
    """Valid JSON is converted to Python values, and a surrogate pair becomes one character."""
    values = {"a": [1, 2.5, None, True, "é \U0001f600"], "": {}}
    assert parse_json(json.dumps(values).encode()) == values
    assert parse_json(json.dumps(values, ensure_ascii=False).encode()) == values


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the content is not valid JSON"),
        (b'{"a": 1', "the content is not valid JSON"),  # The document is truncated.
        (b"\xff\xfe{", "the content is not valid JSON"),
        (b"[" * 100_000, "the content is not valid JSON"),
        (b"1" * 5_000, "the content is not valid JSON"),
        # The text contains an unpaired surrogate.
        (b'["\\ud800"]', "the content is not valid JSON"),
        (b'{"\\uDC00": 1}', "the content is not valid JSON"),
        (b'[{"a": 1, "b": 2, "a": 1}]', "the same JSON key appears twice"),
    ],
)
def test_ambiguous_json_is_rejected(data, message):
    """Invalid JSON, duplicate keys, and text that cannot be written again are rejected."""
    with pytest.raises(NotJson, match=message):
        parse_json(data)
