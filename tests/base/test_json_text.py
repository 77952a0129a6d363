"""JSON of a file that somebody hands over."""

from __future__ import annotations

import json

import pytest

from lyncnb.base.json_text import NotJson, parse_json


def test_what_json_can_say_is_parsed():
    """Values come as Python has them, pairs of half characters as the one they are."""
    values = {"a": [1, 2.5, None, True, "é \U0001f600"], "": {}}
    assert parse_json(json.dumps(values).encode()) == values
    assert parse_json(json.dumps(values, ensure_ascii=False).encode()) == values


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the content is not valid JSON"),
        (b'{"a": 1', "the content is not valid JSON"),  # cut off
        (b"\xff\xfe{", "the content is not valid JSON"),
        (b"[" * 100_000, "the content is not valid JSON"),
        (b"1" * 5_000, "the content is not valid JSON"),
        (b'["\\ud800"]', "the content is not valid JSON"),  # half a character
        (b'{"\\uDC00": 1}', "the content is not valid JSON"),
        (b'[{"a": 1, "b": 2, "a": 1}]', "the same key appears twice"),
    ],
)
def test_what_two_readers_would_read_otherwise_is_refused(data, told):
    """Text that is not JSON, cannot be written again, or has a key twice."""
    with pytest.raises(NotJson, match=told):
        parse_json(data)
