"""Convert ``PlanOptions`` to JSON values for a saved plan, with the structure of ``plan.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from ..base.records import RecordReader
from .option_kinds import ALL
from .options import OPTIONS, PlanOptions
from .plan_toml import read_option_values

_LATER = frozenset({"validity", "title", "planner", "procedure", "servers"})
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def convert_options_to_values(options: PlanOptions) -> dict[str, object]:
    """Convert the options of a plan to JSON values.

    Parameters
    ----------
    options : PlanOptions
        The plan options.

    Returns
    -------
    dict
        All options with the keys, sections, and order of ``plan.toml``. A date is text, such as
        ``2026-01-31``, or null if it is not set. Options without a value that earlier versions did
        not have are omitted, so that saved plans do not change.
    """
    document: dict[str, object] = {}
    for name, option in OPTIONS.items():
        if name == "lang" or (name in _LATER and not getattr(options, name)):
            # The language affects only the display of a plan, so a saved plan does not contain the
            # language.
            continue
        value = _convert_to_plain_value(getattr(options, name))
        if name == "key":
            value = {"algorithm": options.key.algorithm, "bits": options.key.bits}
        if not option.section:
            document[option.key] = value
        elif option.key:
            section = document.setdefault(option.section, {})
            assert isinstance(section, dict)
            section[option.key] = value
        else:
            document[option.section] = value
    return document


def _convert_to_plain_value(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key or ALL: _convert_to_plain_value(item) for key, item in value.items()}
    return list(map(str, value)) if isinstance(value, tuple) else value


def read_options_values(document: Mapping[str, object], reader: RecordReader) -> PlanOptions | None:
    """Convert the JSON values from :func:`convert_options_to_values` to options.

    Parameters
    ----------
    document : mapping
        JSON values.
    reader : RecordReader
        The reader, which collects problems with keys and types.

    Returns
    -------
    PlanOptions or None
        The options, or None if there is a problem.

    Raises
    ------
    OptionsError
        If a value is not valid for its option.
    """
    before = len(reader.problems)
    plain = {key: value for key, value in document.items() if value is not None}
    if "planned_issue_date" in plain:
        plain["planned_issue_date"] = _read_day(
            plain["planned_issue_date"], "planned_issue_date", reader
        )
    until = plain.get("accepted_until")
    if isinstance(until, Mapping):
        plain["accepted_until"] = {
            code: _read_day(value, f"accepted_until.{code}", reader)
            for code, value in until.items()
        }
    if len(reader.problems) > before:
        return None
    values = read_option_values(plain, reader, OPTIONS)
    return None if len(reader.problems) > before else PlanOptions(**values)


def _read_day(value: object, key: str, reader: RecordReader) -> date | None:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    reader.problem(f"'{key}' must be a date in quotation marks, such as \"2026-01-31\"")
    return None
