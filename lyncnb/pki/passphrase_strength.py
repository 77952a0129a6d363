"""How easily somebody could guess a new passphrase, as zxcvbn estimates it."""

from __future__ import annotations

from collections.abc import Sequence

# zxcvbn refuses more than 72 characters; what follows a good beginning makes it no worse.
_CHARACTERS = 64
_LEAST_SCORE = 2  # of 0 to 4: 0 and 1 stand for fewer than a million guesses


def weakness(text: str, known: Sequence[str] = ()) -> str | None:
    """Say why a passphrase is too easy to guess; None if it is not.

    Parameters
    ----------
    text : str
        The passphrase; its first 64 characters count.
    known : sequence of str, optional
        Words that an attacker would try first, the most likely one first.

    Returns
    -------
    str or None
        A sentence, "" where zxcvbn gives no reason. It never holds the passphrase.
    """
    # Here, not above: its word lists take 0.1 s to load, and most commands make nothing new.
    from zxcvbn import zxcvbn

    # The result holds the passphrase, so nothing but these two values leaves this function.
    result = zxcvbn(text[:_CHARACTERS], user_inputs=known)
    if result["score"] >= _LEAST_SCORE:
        return None
    return str(result["feedback"]["warning"])
