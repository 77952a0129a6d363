"""The record of a request is immutable, and methods return changed copies of it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from folders import issued_record, package_record
from request_folder.test_manifest import AT, archived, record

from lyncnb.request_folder.request_record import NameNote, list_archived_files


def test_a_renewed_request_has_an_empty_record():
    """If a request is renewed, the record of the new generation contains no data of earlier
    generations except the list of archived generations.

    The last archived generation contains all earlier values.
    """
    present = record(archived=(archived(),), generation=2, key_holder="edge01")
    present = present.with_issued_certificate(issued_record(), at=AT)
    new = present.build_next_generation(at="2026-12-01T00:00:00Z", reasons=("expired",))
    assert (new.generation, new.state, new.is_written, new.issued) == (3, "planned", False, None)
    assert (new.key_holder, new.written_at, new.issued_at) == ("", "", "")
    old = new.archived[-1]
    assert (old.generation, old.issued, old.reasons) == (2, present.issued, ("expired",))
    assert old.files == list_archived_files(f"{present.id}-{present.spki_sha256[:8]}")
    assert [part.generation for part in new.generations] == [3, 1, 2]


def test_a_key_on_a_server_is_not_reported_as_missing():
    """If the key of a request was created on its server, lyncnb does not report the key as missing."""
    assert record().has_key
    assert not record(key_holder="edge01").has_key
    assert not record().with_removed_key_and_package(at=AT).has_key


def test_equal_records_are_immutable():
    """Two records of requests with the same values are equal, and a record cannot be changed."""
    note = NameNote(name="a", written="b", note="c")
    assert note == NameNote(name="a", written="b", note="c")
    with pytest.raises(FrozenInstanceError):
        note.name = "d"


def test_with_issued_removes_the_old_package():
    """The method with_issued records a certificate and its time, and removes the package of the
    previous certificate.
    """
    packaged = record().with_issued_certificate(issued_record(), at=AT)
    packaged = packaged.with_package(package_record(), at=AT)
    assert packaged.state == "packaged"
    newer = issued_record(serial="02")
    reissued = packaged.with_issued_certificate(newer, at="2026-12-01T00:00:00Z")
    assert (reissued.state, reissued.issued, reissued.package) == ("issued", newer, None)
    assert (reissued.issued_at, reissued.packaged_at) == ("2026-12-01T00:00:00Z", "")


def test_a_certificate_does_not_reactivate_a_retired_request():
    """If a certificate is issued for a retired request, the request stays retired."""
    retired = record(state="retired").with_issued_certificate(issued_record(), at=AT)
    assert retired.state == "retired"
    assert retired.active_state == "issued"


def test_a_certificate_for_a_superseded_generation_is_kept_with_it():
    """A certificate for an earlier generation is recorded with this generation. The current
    generation does not change.
    """
    changed = record(generation=2, archived=(archived(),)).with_issued_certificate(
        issued_record(), at=AT, generation=1
    )
    assert changed.issued is None
    assert changed.state == "waiting"
    assert changed.archived[0].issued == issued_record()
