"""What a planner types for a request: its id, or enough of its beginning."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import LyncnbError


def resolve_ids(
    ids: Sequence[str], asked: Sequence[str], *, option: str, error: type[LyncnbError]
) -> frozenset[str]:
    """Turn ids, or beginnings that fit one id only, into ids.

    Parameters
    ----------
    ids : sequence of str
        Those that there are.
    asked : sequence of str
        What was typed.
    option : str
        Where, for the message.
    error : type of LyncnbError
        What to raise.

    Raises
    ------
    LyncnbError
        If one fits no id, or several.
    """
    known, found = frozenset(ids), set()
    for text in asked:
        fitting = [text] if text in known else [name for name in ids if name.startswith(text)]
        if len(fitting) != 1 or not text:
            shown = ", ".join(fitting[:5] or ids[:5])
            number = len(fitting) if text else "any"
            raise error(
                f'{option}: "{text}" fits {number} of the planned requests',
                hint=f"give an id, or enough of its beginning: {shown} …",
            )
        found.update(fitting)
    return frozenset(found)
