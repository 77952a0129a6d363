"""A request's record can be changed only by copies, and keeps its other values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from folders import issued_record, package_record
from request_folder.test_manifest import AT, archived, record

from lyncnb.request_folder.request_record import NameNote, list_archived_files


def test_a_superseded_request_is_blank_but_for_its_archive():
    """The record of the next generation starts empty.

    The archive holds all values of the superseded one.
    """
    present = record(archived=(archived(),), generation=2, key_holder="edge01")
    present = present.with_issued(issued_record(), at=AT)
    new = present.superseded(at="2026-12-01T00:00:00Z", reasons=("expired",))
    assert (new.generation, new.state, new.is_written, new.issued) == (3, "planned", False, None)
    assert (new.key_holder, new.written_at, new.issued_at) == ("", "", "")
    old = new.archived[-1]
    assert (old.generation, old.issued, old.reasons) == (2, present.issued, ("expired",))
    assert old.files == list_archived_files(present.id, 2)
    assert [part.generation for part in new.generations] == [3, 1, 2]


def test_a_key_that_is_held_elsewhere_is_not_missed():
    """The key of a request that was created on its server is not reported as missing."""
    assert record().has_key
    assert not record(key_holder="edge01").has_key
    assert not record().with_deployed(at=AT).has_key


def test_records_are_values():
    """Records of requests with equal values are equal, and cannot be changed."""
    note = NameNote(name="a", written="b", note="c")
    assert note == NameNote(name="a", written="b", note="c")
    with pytest.raises(FrozenInstanceError):
        note.name = "d"


def test_a_certificate_makes_a_request_issued_and_its_old_package_stale():
    """with_issued records the certificate and its time, and removes the package of the previous
    certificate.
    """
    packaged = record().with_issued(issued_record(), at=AT)
    packaged = packaged.with_package(package_record(), at=AT)
    assert packaged.state == "packaged"
    newer = issued_record(serial="02")
    again = packaged.with_issued(newer, at="2026-12-01T00:00:00Z")
    assert (again.state, again.issued, again.package) == ("issued", newer, None)
    assert (again.issued_at, again.packaged_at) == ("2026-12-01T00:00:00Z", "")


def test_a_retired_request_stays_retired_when_its_certificate_comes():
    """A certificate from the CA does not put a retired request back into the plan."""
    retired = record(state="retired").with_issued(issued_record(), at=AT)
    assert retired.state == "retired"
    assert retired.active_state == "issued"


def test_a_certificate_for_a_superseded_generation_is_kept_with_it():
    """A certificate for an older generation is stored with that generation and does not change the
    current one.
    """
    changed = record(generation=2, archived=(archived(),)).with_issued(
        issued_record(), at=AT, generation=1
    )
    assert changed.issued is None
    assert changed.state == "waiting"
    assert changed.archived[0].issued == issued_record()
