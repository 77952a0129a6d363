"""Text from a form or a call to the value of an option."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date

from ..base.certificate_fields import KeyParameters
from ..errors import OptionsError
from ..plan.options import PlanOptions


def option_value(name: str, value: object) -> object:
    """Turn what a planner wrote into the value of an option.

    Parameters
    ----------
    name : str
        A field of ``PlanOptions``.
    value : object
        Its value already, or text: a list separates its entries by blanks, lines, ``;`` or
        ``,``; a key is ``RSA 3072``; a date ``2026-01-31``; "" is none.

    Raises
    ------
    OptionsError
        If there is no such option, or the text cannot be read.
    """
    kinds = {item.name: item.type for item in fields(PlanOptions)}
    if name not in kinds:
        close = difflib.get_close_matches(name, kinds, n=1)
        raise OptionsError(
            f'there is no option "{name}"',
            hint=f"did you mean {close[0]}?" if close else f"there are {', '.join(kinds)}",
        )
    kind = kinds[name]
    if kind == "KeyParameters":
        return _key(value)
    if kind == "date | None":
        return _date(name, value)
    if kind == "int | None":
        return _number(name, value)
    if kind.startswith("tuple"):
        return _texts(value)
    if isinstance(value, Mapping):
        return {key: text for key, text in value.items() if text}
    return value.strip() if isinstance(value, str) else value


def _key(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*([A-Za-z]+)\s*-?\s*(\d+)\s*", value)
    if not found:
        raise OptionsError(f'option key is "{value}"', hint="write it as RSA 3072 or ECDSA 256")
    try:
        return KeyParameters(algorithm=found[1].upper(), bits=int(found[2]))
    except ValueError as error:
        raise OptionsError(
            f'option key is "{value}": {error}', hint="write it as RSA 3072 or ECDSA 256"
        ) from None


def _date(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise OptionsError(
            f'option {name} is "{value}", which is no date', hint="write it as 2026-01-31"
        ) from None


def _number(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    if not re.fullmatch(r"\s*\d{1,6}\s*", value):
        raise OptionsError(
            f'option {name} is "{value}", which is no whole number', hint="write digits only"
        )
    return int(value)


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(text for text in re.split(r"[\s;,|]+", value) if text)
    return tuple(value) if isinstance(value, Iterable) else value
