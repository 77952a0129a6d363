"""Files to a ZIP that depends on nothing but them, and back."""

from __future__ import annotations

import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.zip_file import from_zip, to_zip

NAMES = st.text("abc/._-", min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.binary(max_size=64), max_size=5))
def test_what_goes_in_comes_out(entries):
    """Contents and their order come back, and the same contents give the same bytes."""
    data = to_zip(entries)
    assert list(from_zip(data).items()) == list(entries.items())
    assert to_zip(entries) == data


def test_a_package_is_dated_by_nobody():
    """No time and no system of the one who packs stands in it."""
    with zipfile.ZipFile(io.BytesIO(to_zip({"a.txt": b"a"}))) as archive:
        (entry,) = archive.infolist()
    assert (entry.date_time, entry.create_system) == ((2000, 1, 1, 0, 0, 0), 3)
    assert entry.external_attr >> 16 == 0o644
