"""Edit a ``plan.toml`` file without losing its comments."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from ..errors import OptionsError
from ..plan.option_kinds import ALL
from ..plan.options import DEFAULT_OPTIONS, OPTIONS, PlanOptions
from ..rules.findings import OptionEdit


def edit_plan_toml(
    data: bytes, edits: Iterable[OptionEdit], *, expected_options: PlanOptions
) -> bytes:
    """Change values in a ``plan.toml`` file.

    Parameters
    ----------
    data : bytes
        The content of the file, which :meth:`PlanOptions.from_toml` can read.
    edits : iterable of OptionEdit
        The changes.
    expected_options : PlanOptions
        The options that the changed file must contain.

    Returns
    -------
    bytes
        The changed content, with the same comments, order, and line ends.

    Raises
    ------
    OptionsError
        If the changed file would not contain the expected options.
    """
    import tomlkit  # The library tomlkit is imported only for fixes, so planning works without it.

    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    document = tomlkit.parse(data.removeprefix(mark).decode("utf-8"))
    for edit in edits:
        _apply_edit(document, edit)
    content = mark + tomlkit.dumps(document).encode("utf-8")
    if PlanOptions.from_toml(content) != expected_options:
        raise OptionsError(
            "lyncnb cannot edit these options in the plan.toml file", hint="edit the file yourself"
        )
    return content


def _apply_edit(document: MutableMapping[str, Any], edit: OptionEdit) -> None:
    option = OPTIONS[edit.option]
    table = document[option.section] if option.section else document
    if edit.key:
        del table[edit.key if edit.key in table else ALL]
    elif edit.option == "key":
        table["algorithm"], table["bits"] = DEFAULT_OPTIONS.key.algorithm, DEFAULT_OPTIONS.key.bits
    else:
        value = getattr(DEFAULT_OPTIONS, edit.option) if edit.value is None else edit.value
        table[option.key] = list(value) if isinstance(value, tuple) else value
