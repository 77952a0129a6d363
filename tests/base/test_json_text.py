"""JSON files from other sources are read strictly."""

from __future__ import annotations

import json

import pytest

from lyncnb.base.json_text import NotJson, parse_json


def test_what_json_can_say_is_parsed():
    """Valid JSON results in Python values, and surrogate pairs in single characters."""
    values = {"a": [1, 2.5, None, True, "é \U0001f600"], "": {}}
    assert parse_json(json.dumps(values).encode()) == values
    assert parse_json(json.dumps(values, ensure_ascii=False).encode()) == values


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the content is not valid JSON"),
        (b'{"a": 1', "the content is not valid JSON"),  # The document is truncated.
        (b"\xff\xfe{", "the content is not valid JSON"),
        (b"[" * 100_000, "the content is not valid JSON"),
        (b"1" * 5_000, "the content is not valid JSON"),
        (b'["\\ud800"]', "the content is not valid JSON"),  # The text is an unpaired surrogate.
        (b'{"\\uDC00": 1}', "the content is not valid JSON"),
        (b'[{"a": 1, "b": 2, "a": 1}]', "the same JSON key appears twice"),
    ],
)
def test_what_two_readers_would_read_otherwise_is_refused(data, told):
    """Invalid JSON, text that cannot be written again, and duplicate keys are rejected."""
    with pytest.raises(NotJson, match=told):
        parse_json(data)
