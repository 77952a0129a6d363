"""How easily somebody could guess a new passphrase, as zxcvbn estimates it."""

from __future__ import annotations

from collections.abc import Sequence, Set

# zxcvbn refuses more than 72 characters; what follows a good beginning makes it no worse.
_CHARACTERS = 64
_LEAST_SCORE = 2  # of 0 to 4: 0 and 1 stand for fewer than a million guesses
_WITHIN_A_WORD = 4  # characters; shorter known words count only by themselves
_LITTLE_REMAINS = "Without the names of the plan, little of it remains."


def weakness(text: str, known: Sequence[str] = ()) -> str | None:
    """Say why a passphrase is too easy to guess; None if it is not.

    Parameters
    ----------
    text : str
        The passphrase; its first 64 characters count.
    known : sequence of str, optional
        Words in lower case that an attacker would try first, the most likely one first. What
        remains without them must be hard to guess, too: zxcvbn takes some names in a row for long
        random text.

    Returns
    -------
    str or None
        A sentence, "" where zxcvbn gives no reason. It never holds the passphrase.
    """
    beginning = text[:_CHARACTERS]
    why = _estimated(beginning, known)
    rest = _without(beginning, set(known))
    if why is None and rest != beginning and (not rest or _estimated(rest, known) is not None):
        return _LITTLE_REMAINS
    return why


def _estimated(text: str, known: Sequence[str]) -> str | None:
    """Say why zxcvbn calls a text easy to guess; None if it does not."""
    # Here, not above: its word lists take 0.1 s to load, and most commands make nothing new.
    from zxcvbn import zxcvbn

    # The result holds the passphrase, so nothing but these two values leaves this function.
    result = zxcvbn(text, user_inputs=known)
    if result["score"] >= _LEAST_SCORE:
        return None
    return str(result["feedback"]["warning"])


def _without(text: str, known: Set[str]) -> str:
    """Take known words out of a text, the longest first; one blank stands for each gap."""
    longest = min(len(text), max(map(len, known), default=0))
    for size in range(longest, 0, -1):
        for start in range(len(text) - size + 1):
            end = start + size
            around = text[max(start - 1, 0) : start] + text[end : end + 1]
            is_by_itself = not any(map(str.isalnum, around))
            if text[start:end].lower() in known and (size >= _WITHIN_A_WORD or is_by_itself):
                text = text[:start] + " " * size + text[end:]
    return " ".join(text.split())
