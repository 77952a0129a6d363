"""Find the request IDs that a user enters: complete IDs, or unique beginnings."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import LyncnbError


def resolve_ids(
    ids: Sequence[str], asked: Sequence[str], *, option: str, error: type[LyncnbError]
) -> frozenset[str]:
    """Return the complete IDs for IDs or their unique beginnings.

    Parameters
    ----------
    ids : sequence of str
        The existing IDs.
    asked : sequence of str
        The entered IDs or beginnings.
    option : str
        The name of the option, for the message.
    error : type of LyncnbError
        The error to raise.

    Raises
    ------
    LyncnbError
        If an entry matches no ID, or several IDs.
    """
    known, found = frozenset(ids), set()
    for text in asked:
        fitting = [text] if text in known else [name for name in ids if name.startswith(text)]
        if len(fitting) != 1 or not text:
            shown = ", ".join(fitting[:5] or ids[:5])
            number = len(fitting) if text else "any"
            raise error(
                f'{option}: "{text}" matches {number} of the planned requests',
                hint=f"enter a complete ID, or more of its first characters: {shown} …",
            )
        found.update(fitting)
    return frozenset(found)
