"""``plan.toml`` as it lies on the disk: other values, and every comment where it stands."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from ..errors import OptionsError
from ..plan.options import DEFAULT_OPTIONS, OPTIONS, PlanOptions
from ..plan.plan_toml import ALL
from ..rules.findings import OptionEdit


def edit_plan_toml(data: bytes, edits: Iterable[OptionEdit], *, expected: PlanOptions) -> bytes:
    """Write other values into a ``plan.toml``.

    Parameters
    ----------
    data : bytes
        The file, which :meth:`PlanOptions.from_toml` reads.
    edits : iterable of OptionEdit
        What changes.
    expected : PlanOptions
        What the file is to say afterwards.

    Returns
    -------
    bytes
        The file with its comments, order and line ends.

    Raises
    ------
    OptionsError
        If the file, written so, would not say what is expected.
    """
    import tomlkit  # only who mends needs it: a plan runs without

    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    document = tomlkit.parse(data.removeprefix(mark).decode("utf-8"))
    for edit in edits:
        _apply(document, edit)
    written = mark + tomlkit.dumps(document).encode("utf-8")
    if PlanOptions.from_toml(written) != expected:
        raise OptionsError("the options cannot be mended here", hint="change them by hand")
    return written


def _apply(document: MutableMapping[str, Any], edit: OptionEdit) -> None:
    place = OPTIONS[edit.option]
    table = document[place.section] if place.section else document
    if edit.key:
        del table[edit.key if edit.key in table else ALL]
    elif edit.option == "key":
        table["algorithm"], table["bits"] = DEFAULT_OPTIONS.key.algorithm, DEFAULT_OPTIONS.key.bits
    else:
        value = getattr(DEFAULT_OPTIONS, edit.option) if edit.value is None else edit.value
        table[place.key] = list(value) if isinstance(value, tuple) else value
