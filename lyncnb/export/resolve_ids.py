"""Find the request IDs that a user specifies completely or by a unique prefix."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.pasted_text import shown
from ..errors import LyncnbError


def resolve_ids(
    ids: Sequence[str], specified_ids: Sequence[str], *, option_name: str, error: type[LyncnbError]
) -> frozenset[str]:
    """Return the complete IDs of requests, from IDs or unique ID prefixes.

    Parameters
    ----------
    ids : sequence of str
        The existing IDs.
    specified_ids : sequence of str
        The entered IDs or beginnings.
    option_name : str
        The name of the option, for the message.
    error : type of LyncnbError
        The error to raise.

    Raises
    ------
    LyncnbError
        If an entry matches no ID, or several IDs.
    """
    known, matches = frozenset(ids), set()
    for text in specified_ids:
        fitting = [text] if text in known else [name for name in ids if name.startswith(text)]
        if len(fitting) != 1 or not text:
            examples = ", ".join(fitting[:5] or ids[:5])
            number = f"{len(fitting):,}" if fitting else "none"
            result = f"{shown(text)} matches {number} of the planned requests"
            raise error(
                f"{option_name}: {result if text else 'an ID is blank'}",
                hint=f"enter a complete ID, or more of its first characters: {examples} …",
            )
        matches.update(fitting)
    return frozenset(matches)
