"""The manifest reader accepts valid values in each field, and reports values of a wrong type."""

from __future__ import annotations

import json

import pytest
from folders import encode_earlier
from request_folder.test_manifest import FULL, ID

from lyncnb.base.records import RecordReader
from lyncnb.errors import Problem
from lyncnb.request_folder.field_forms import is_inside
from lyncnb.request_folder.manifest import parse_manifest


def read_plain(manifest) -> dict:
    """Return the values of a manifest of lyncnb 0.2.0."""
    document = json.loads(encode_earlier(manifest))
    del document["format"]
    return document


def problems_of(document: dict) -> list[Problem]:
    reader = RecordReader("manifest.json", is_json=True)
    assert (parse_manifest(document, reader) is None) == bool(reader.problems)
    return reader.problems


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("plan", "exportable"), "yes", 'plan.exportable\' must be true or false, not "yes"'),
        (("plan", "role"), 5, "plan.role' must be one line of text, not 5"),
        (("plan", "role"), "a\nb", "plan.role' must be one line of text"),
        (
            ("plan", "servers"),
            ["a", 5],
            "plan.servers' must be a list in which each value is a host name",
        ),
        (
            ("plan", "servers"),
            ["../a"],
            "plan.servers' must be a list in which each value is a host name",
        ),
        (("plan", "issuer"), "../a", "plan.issuer' must be internal or public"),
        (("key_holder",), "..\\a", "key_holder' must be the name of a computer"),
        (("plan", "subject"), ["CN"], "plan.subject' must be a table, not a list of 1"),
        (("plan", "key"), [], "plan.key' must be an object, not a list of 0"),
        (("validity_days",), -1, "validity_days' must be a whole number from 0"),
        (("planned_at",), "2026-13-01T00:00:00Z", "planned_at' must be a time such as"),
        (("archived",), {}, "archived' must be a list"),
        (("reasons",), "x", "reasons' must be a list"),
        (("issued",), 5, "issued' must be an object"),
        (("package",), {"file": "a.pfx"}, "package.file' must be a package (.pfx) in the"),
        (("package",), {"file": "../a.pfx"}, "package.file' must be a package (.pfx) in the"),
        (("package",), {"file": "/a.pfx"}, "package.file' must be a package (.pfx) in the"),
    ],
)
def test_a_value_of_a_wrong_type_is_reported(path, value, message):
    """If a value has the wrong type, the error message contains the request, the field and the
    expected type.
    """
    document = read_plain(FULL)
    container = document["requests"][0]
    for step in path[:-1]:
        container = container[step]
    container[path[-1]] = value
    problems = problems_of(document)
    assert message in problems[0].message
    assert problems[0].message.startswith(f"'{ID}.")
    assert problems[0].file == "manifest.json"


def test_a_duplicate_generation_is_reported():
    """lyncnb reports an error if the same generation number is recorded twice, because both
    generations would have the same file.
    """
    document = read_plain(FULL)
    document["requests"][0]["archived"] *= 2
    problems = problems_of(document)
    assert [problem.message for problem in problems] == [
        f"'{ID}.archived' contains the same generation twice"
    ]


@pytest.mark.parametrize(
    ("path", "is_accepted"),
    [
        ("pfx/passwords.pem", True),
        ("returned/deep/a.cer", True),
        ("pfx", False),  # The path of the request folder itself is not accepted.
        ("pfx/", False),
        ("pfx/../keys/a.key", False),
        ("/pfx/a", False),
        ("other/a", False),
        ("pfx\\..\\a", False),
        ("pfx/a\\b", False),
    ],
)
def test_paths_outside_the_folder_are_rejected(path, is_accepted):
    """lyncnb accepts the path of a file only if it is in a subfolder that lyncnb creates in a
    request folder.
    """
    assert is_inside(path) is is_accepted


APPROVAL = {
    "signer": "alice@contoso.com", "key": "SHA256:abc", "signature_sha256": "2" * 64,
    "verified_at": "2026-11-25T08:00:00Z",
}  # fmt: skip
PLAN = {
    "sha256": "0" * 64, "plan_sha256": "1" * 64, "judged_on": "2026-11-25",
    "requested_at": "2026-11-25T08:00:00Z", "approvals": [APPROVAL],
}  # fmt: skip


@pytest.mark.parametrize(
    ("altered", "message"),
    [
        ([PLAN], ""),
        ([{**PLAN, "others_wrote": 1}], ""),
        (PLAN, "plans' must be a list"),
        ([{**PLAN, "sha256": "0" * 63}], "plans[0].sha256' must be a SHA-256"),
        ([{**PLAN, "judged_on": "2026-11-31"}], "plans[0].judged_on' must be a date such as"),
        ([PLAN, {**PLAN, "requested_at": ""}], "plans[1].requested_at' must be a time"),
        (
            [{**PLAN, "approvals": [{**APPROVAL, "signer": "a\nb"}]}],
            "signer' must be one line of text",
        ),
        (
            [{**PLAN, "approvals": [{**APPROVAL, "key": 5}]}],
            "approvals[0].key' must be one line of text",
        ),
        ([{"sha256": "0" * 64}], "Missing required value"),
    ],
)
def test_an_invalid_record_of_a_saved_plan_is_reported(altered, message):
    """lyncnb reports an error if the record of a saved plan contains an invalid approver, plan or
    time.

    Unknown fields are kept.
    """
    document = read_plain(FULL) | {"plans": altered}
    reader = RecordReader("manifest.json", is_json=True)
    manifest = parse_manifest(document, reader)
    messages = [problem.message for problem in reader.problems]
    assert bool(messages) == bool(message)
    assert all(message in text or "Missing required value" in text for text in messages)
    if manifest is not None:
        assert read_plain(manifest)["plans"] == altered
