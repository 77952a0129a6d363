"""When a table is converted to a DataFrame, each column gets its declared type."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from lyncnb.base.shown import frames
from lyncnb.base.shown.frames import Kind, build_frame

#: Each row contains a type, a value in the table, the same value in the DataFrame, and the type in
#: pandas.
CASES = [
    (Kind.TEXT, "a", "a", pd.api.types.is_string_dtype),
    (Kind.COUNT, 10, 10, pd.api.types.is_integer_dtype),
    (Kind.COUNT, "9", 9, pd.api.types.is_integer_dtype),
    (Kind.FLAG, True, True, pd.api.types.is_bool_dtype),
    (Kind.FLAG, "no", False, pd.api.types.is_bool_dtype),
    (Kind.DAY, date(2027, 3, 15), pd.Timestamp("2027-03-15"), pd.api.types.is_datetime64_dtype),
    (Kind.DAY, "2027-03-15", pd.Timestamp("2027-03-15"), pd.api.types.is_datetime64_dtype),
    # If a certificate has no end date, its end is the last possible date. pandas cannot represent
    # this date with a resolution of nanoseconds.
    (Kind.DAY, "9999-12-31T23:59:59Z", pd.Timestamp(9999, 12, 31), pd.api.types.is_datetime64_dtype),
    (
        *(Kind.INSTANT, "2027-03-15T08:00:00Z", pd.Timestamp("2027-03-15 08:00", tz="UTC")),
        lambda dtype: isinstance(dtype, pd.DatetimeTZDtype),
    ),
    (
        *(Kind.INSTANT, datetime(2027, 3, 15, tzinfo=UTC), pd.Timestamp("2027-03-15", tz="UTC")),
        lambda dtype: isinstance(dtype, pd.DatetimeTZDtype),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "expected", "is_kind"), CASES)
def test_a_column_has_its_declared_type_whatever_the_data(kind, value, expected, is_kind):
    """A column has its declared type even if the table has no rows or contains blank values."""
    dtypes = set()
    for values in ([], [None], [""], [value], *itertools.permutations([value, None, ""])):
        column = build_frame(
            ["a"], [kind], [["" if kind is Kind.TEXT and not v else v for v in values]]
        )["a"]
        dtypes.add(str(column.dtype))
        assert is_kind(column.dtype), (values, column.dtype)
        blanks = [v in (None, "") for v in values]
        assert list(column.isna()) == ([False] * len(values) if kind is Kind.TEXT else blanks)
        assert [v for v, blank in zip(column, blanks, strict=True) if not blank] == [
            expected for blank in blanks if not blank
        ]
    assert len(dtypes) == 1


class Foreign:
    """A table object from a library other than pandas."""

    def __init__(self, converted):
        self.converted = converted

    def to_pandas(self):
        """Return the content of the table as a DataFrame."""
        return self.converted


def test_a_frame_of_another_library_is_converted():
    """lyncnb accepts an object as a table if its to_pandas method returns a DataFrame. A class with
    this method is rejected.
    """
    frame = build_frame(["a"], [Kind.TEXT], [["1"]])
    assert frames.convert_to_frame(frame) is frame
    assert frames.convert_to_frame(Foreign(frame)) is frame
    for other in ("contoso.csv", b"a", None, Foreign, Foreign(frame["a"]), Foreign("contoso.csv")):
        assert frames.convert_to_frame(other) is None
