"""lyncnb can read a saved as-is comparison, and rejects any other file with an error message."""

from __future__ import annotations

import copy
import json
import random
from contextlib import suppress
from dataclasses import replace
from datetime import date

import pytest
from installed_certificates import random_estate, write_estate

import lyncnb as ln
from lyncnb.errors import ReturnedFileError
from lyncnb.rules.returned_rules import create_returned_finding

DAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def saved_comparison(tmp_path_factory):
    """Return an as-is comparison that contains every state and some unreadable files."""
    work_folder = tmp_path_factory.mktemp("kept")
    chance = random.Random(5)
    estate = random_estate(chance, exported=True)
    write_estate(estate, work_folder / "estate", chance, exported=True)
    (work_folder / "estate" / "words.txt").write_text("nothing")
    comparison = ln.compare_as_is(estate.plan, work_folder / "estate", on=DAY)
    assert comparison.unplanned
    assert comparison.files
    assert {"covered", "none"} < {entry.state for entry in comparison.planned}
    return comparison


def read_content(content: bytes, folder):
    path = folder / "kept.json"
    path.write_bytes(content)
    return ln.read_as_is(path)


def test_saved_comparison_is_read_completely(saved_comparison, tmp_path):
    """A saved as-is comparison is read again with all its findings, remarks and notes.

    Saving it again gives identical bytes.
    """
    reread = read_content(saved_comparison.to_json(), tmp_path)
    assert reread == saved_comparison
    assert reread.to_json() == saved_comparison.to_json()


BAD = {
    "plan_sha256": "x",
    "made_at": "yesterday",
    "judged_on": "2026-02-30",
    "product": 5,
    "planned": {},
    "unplanned": [5],
    "notes": [5],
    "planned.0.id": "",
    "planned.0.state": "fine",
    "planned.0.entry_sha256": "0",
    "planned.0.usages": "Default",
    "planned.0.findings": [{"code": "x", "severity": "error", "message": "y"}],
    "planned.0.certificate": 5,
    "planned.0.certificate.thumbprint": "0" * 39,
    "planned.0.certificate.sha256": "A" * 64,
    "planned.0.certificate.serial": "abc",
    "planned.0.certificate.not_after": "2026-13-01T00:00:00Z",
    "planned.0.certificate.issuer": "a\x1bb",
    "planned.0.certificate.servers": [["a"]],
    "colour": "blue",
}


@pytest.mark.parametrize("field_path", BAD)
def test_field_of_the_wrong_type_is_reported(saved_comparison, tmp_path, field_path):
    """If a field of a saved comparison has a value of the wrong type, the error message gives the
    path of the field.
    """
    document = json.loads(saved_comparison.to_json())
    document["planned"].sort(key=lambda entry: entry["certificate"] is None)
    *path, last = field_path.split(".")
    node = document
    for step in path:
        node = node[int(step) if step.isdigit() else step]
    node[last] = BAD[field_path]
    with pytest.raises(
        ReturnedFileError, match="kept.json: the file was edited or damaged"
    ) as caught:
        read_content(json.dumps(document).encode(), tmp_path)
    message = str(caught.value.problems[0])
    expected = field_path.replace(".0", "[0]")
    assert expected in message or expected.rpartition(".")[0] in message


def test_certificate_with_an_error_cannot_be_covered(saved_comparison, tmp_path):
    """In a saved comparison, a certificate with an error cannot be marked as covered, even if the
    digest was calculated again.
    """
    entry = next(candidate for candidate in saved_comparison.planned if candidate.is_covered)
    fault = create_returned_finding("certificate-expired", entry.id, "it expired on 2026-01-01")
    planned = tuple(
        replace(other, findings=(fault,)) if other == entry else other
        for other in saved_comparison.planned
    )
    with pytest.raises(ReturnedFileError) as raised:
        read_content(replace(saved_comparison, planned=planned).to_json(), tmp_path)
    assert 'is "covered", but one of the findings is an error' in str(raised.value)


def test_altered_comparison_is_rejected(saved_comparison, tmp_path):
    """A saved comparison is rejected if a value was changed or the digest is missing."""
    document = json.loads(saved_comparison.to_json())
    for name, value in (("judged_on", "2027-01-01"), ("notes", ["x"]), ("sha256", "0" * 64)):
        with pytest.raises(ReturnedFileError, match="was changed after lyncnb saved it"):
            read_content(json.dumps({**document, name: value}).encode(), tmp_path)
    del document["sha256"]
    with pytest.raises(ReturnedFileError, match="wrote this file without a digest"):
        read_content(json.dumps(document).encode(), tmp_path)


def test_duplicate_ids_and_wrong_states_are_rejected(saved_comparison, tmp_path):
    """A saved comparison with duplicate ids, or with a certificate that contradicts its state, is
    rejected.
    """
    document = json.loads(saved_comparison.to_json())
    document["planned"].append(copy.deepcopy(document["planned"][0]))
    with pytest.raises(ReturnedFileError, match="appears twice"):
        read_content(json.dumps(document).encode(), tmp_path)
    document["planned"].pop()
    entry = next(candidate for candidate in document["planned"] if candidate["state"] == "none")
    entry["state"] = "covered"
    with pytest.raises(ReturnedFileError, match='does not match the state "covered"'):
        read_content(json.dumps(document).encode(), tmp_path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the content is not valid JSON"),
        (b"[]", "was not saved by lyncnb asis or lyncnb probe"),
        (b'{"format": "lyncnb-asis/2"}', "was not saved by lyncnb asis or lyncnb probe"),
        (b'{"format": "lyncnb-asis/1"}', "the file was edited or damaged"),
        (b'{"a": "\\ud800"}', "the content is not valid JSON"),
        (b"[" * 100_000, "the content is not valid JSON"),
    ],
)
def test_other_files_are_rejected(tmp_path, data, words):
    """If a file is not a saved comparison, lyncnb rejects the file with a single message."""
    with pytest.raises(ReturnedFileError, match=words):
        read_content(data, tmp_path)


def test_damaged_comparison_is_rejected_or_unchanged(saved_comparison, tmp_path):
    """If bytes of a saved comparison are changed at random, lyncnb rejects the file or reads the
    same comparison. The test repeats this 300 times.
    """
    chance, sound = random.Random(4), saved_comparison.to_json()
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with suppress(ReturnedFileError):
            read_content(bytes(data), tmp_path)
