"""What a field of the manifest may be: each kind of value, told where it is not."""

from __future__ import annotations

import json

import pytest
from request_folder.test_manifest import FULL, ID

from lyncnb.errors import Problem
from lyncnb.request_folder.manifest import Manifest, manifest_bytes
from lyncnb.request_folder.manifest_schema import is_inside, read_document, refuse_half_characters


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("plan", "exportable"), "yes", 'plan: exportable" is neither true nor false'),
        (("plan", "role"), 5, 'plan: role" is no text'),
        (("plan", "role"), "a\nb", 'plan: role" holds a control character'),
        (("plan", "servers"), ["a", 5], 'plan: servers" is not a host name'),
        (("plan", "servers"), ["../a"], 'plan: servers" is not a host name'),
        (("plan", "issuer"), "../a", 'plan: issuer" is neither internal nor public'),
        (("key_holder",), "..\\a", 'key_holder" is not the name of a computer'),
        (("plan", "subject"), ["CN"], 'plan: subject" is no list of names with a text each'),
        (("plan", "key"), [], 'plan: key" is no record'),
        (("validity_days",), -1, 'validity_days" is no whole number from 0'),
        (("planned_at",), "2026-13-01T00:00:00Z", 'planned_at" is no time such as'),
        (("archived",), {}, 'archived" is no list'),
        (("reasons",), "x", 'reasons" is no list'),
        (("issued",), 5, 'issued" is no record'),
        (("package",), {"file": "a.pfx"}, 'package: file" is no file below the folder'),
    ],
)
def test_a_value_of_another_kind_is_told(path, value, message):
    """With request, field and what it is not; nothing else is complained of."""
    document = json.loads(manifest_bytes(FULL))
    inside = document["requests"][0]
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    problems: list[Problem] = []
    read_document(document, problems)
    assert message in problems[0].message
    assert problems[0].message.startswith(f'"{ID}: ')
    assert problems[0].file == "manifest.json"


def test_a_generation_on_record_twice_is_told():
    """Two would have one file."""
    document = json.loads(manifest_bytes(FULL))
    document["requests"][0]["archived"] *= 2
    problems: list[Problem] = []
    read_document(document, problems)
    assert [one.message for one in problems] == [f'"{ID}: archived" has one generation twice']


@pytest.mark.parametrize(
    ("place", "where"), [("requests", ID), ("colour", "manifest.json"), (None, None)]
)
def test_half_a_character_is_told(place, where):
    """A lone surrogate can stand in no file and on no screen."""
    document = json.loads(manifest_bytes(FULL))
    if place == "requests":
        document["requests"][0]["ca"] = "\ud800"
    elif place:
        document[place] = "\ud800"
    problems: list[Problem] = []
    refuse_half_characters(document, problems)
    expected = [f'"{where}" holds half a character'] if where else []
    assert [one.message for one in problems] == expected


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("pfx/passwords.pem", True),
        ("returned/deep/a.cer", True),
        ("pfx", False),  # the folder itself
        ("pfx/", False),
        ("pfx/../keys/a.key", False),
        ("/pfx/a", False),
        ("other/a", False),
        ("pfx\\..\\a", False),
        ("pfx/a\\b", False),
    ],
)
def test_paths_are_kept_inside(path, inside):
    """Only files in the folder's own folders are believed."""
    assert is_inside(path) is inside


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
        (PLAN, 'plans" is no list'),
        ([{**PLAN, "sha256": "0" * 63}], 'plans[0]: sha256" is no SHA-256'),
        ([{**PLAN, "judged_on": "2026-11-31"}], 'plans[0]: judged_on" is no day such as'),
        ([PLAN, {**PLAN, "requested_at": ""}], 'plans[1]: requested_at" is no time'),
        ([{**PLAN, "approvals": [{**APPROVAL, "signer": "a\nb"}]}], 'signer" holds a control'),
        ([{**PLAN, "approvals": [{**APPROVAL, "key": 5}]}], 'approvals[0]: key" is no text'),
        ([{"sha256": "0" * 64}], "is missing"),
    ],
)
def test_a_saved_plan_on_record(altered, message):
    """Who approved which plan, and when, is read whole or told; unknown fields are kept."""
    document = json.loads(manifest_bytes(FULL)) | {"plans": altered}
    problems: list[Problem] = []
    values = read_document(document, problems)
    assert bool(problems) == bool(message)
    assert all(message in one.message or "is missing" in one.message for one in problems)
    if not problems:
        assert json.loads(manifest_bytes(Manifest(**values)))["plans"] == altered
