"""Convert the columns of a table to a pandas DataFrame, each with its declared type.

pandas is imported only here and only for a DataFrame, because the import takes longer than all
other work in a command.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

if TYPE_CHECKING:
    import pandas

    DataFrame = pandas.DataFrame
else:
    # The name pandas is used only in annotations. typing.get_type_hints can evaluate them even
    # without pandas.
    DataFrame = Any


class ConvertibleToPandas(Protocol):
    """A table of another library, such as a polars DataFrame or a pyarrow Table."""

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame."""


class Kind(Enum):
    """The type of the values in a table column.

    It determines the type in a DataFrame, even without rows.
    """

    TEXT = "str"
    COUNT = "Int64"
    FLAG = "boolean"
    DAY = "datetime64[us]"
    INSTANT = "datetime64[us, UTC]"


def _to_datetime(value: str | date) -> datetime:
    """Return a date or time in ISO 8601 format as a datetime."""
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(str(value))


def _to_day(value: str | date) -> datetime:
    return _to_datetime(value).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)


_CONVERTERS: Mapping[Kind, Callable[[Any], object]] = {
    Kind.TEXT: lambda text: text,
    Kind.COUNT: int,
    Kind.FLAG: lambda value: value is True or value == "yes",
    Kind.DAY: _to_day,
    Kind.INSTANT: lambda value: _to_datetime(value).astimezone(UTC),
}


def build_frame(
    headings: Sequence[str], kinds: Iterable[Kind], columns: Iterable[Sequence[Any]]
) -> DataFrame:
    """Return a DataFrame from columns with declared types.

    Parameters
    ----------
    headings : sequence of str
        m distinct headings.
    kinds : iterable of Kind
        The m types.
    columns : iterable of sequences
        m columns of n values. Text is complete. In other columns, None and "" are missing values.
        A number may be text. A day or a time may be a date, or text in ISO 8601.

    Returns
    -------
    DataFrame
        n rows, m columns, index 0 … n-1. The types are the declared ones, also without rows.
    """
    import pandas as pd

    data = {}
    for heading, kind, values in zip(headings, kinds, columns, strict=True):
        convert = _CONVERTERS[kind]
        if kind is not Kind.TEXT:
            values = [None if value in (None, "") else convert(value) for value in values]
        data[heading] = pd.Series(values, dtype=kind.value)
    return pd.DataFrame(data, columns=list(headings))


def convert_to_frame(value: object) -> DataFrame | None:
    """Return a DataFrame from another library's table, or None for other values.

    A DataFrame is returned unchanged.

    This does not import pandas. If it is not imported yet, the value cannot be a DataFrame.
    """
    if _is_frame(value):
        return value
    convert = getattr(value, "to_pandas", None)
    converted = convert() if callable(convert) and not isinstance(value, type) else None
    return converted if _is_frame(converted) else None


def _is_frame(value: object) -> TypeGuard[DataFrame]:
    pandas_module = sys.modules.get("pandas")
    return pandas_module is not None and isinstance(value, pandas_module.DataFrame)
