"""Use zxcvbn to estimate whether a new passphrase is easy to guess."""

from __future__ import annotations

from collections.abc import Sequence, Set

# The library zxcvbn rejects text of more than 72 characters. If the first characters are strong,
# the rest does not matter.
ESTIMATED_CHARACTERS = 64
# The highest score of a weak passphrase. zxcvbn returns scores from 0 to 4. The scores 0 and 1 mean
# fewer than a million guesses.
LEAST_SCORE = 2
# The minimum length of a known word that is searched for inside other words. A shorter known word
# must be a separate word.
WITHIN_A_WORD = 4
LITTLE_REMAINS = (
    "Names from the plan do not make the passphrase stronger, and the rest of the passphrase "
    "is too short."
)


def find_weakness(text: str, known_words: Sequence[str] = ()) -> str | None:
    """Return why a passphrase is too easy to guess, or None if it is strong enough.

    Parameters
    ----------
    text : str
        The passphrase. Only the first 64 characters count.
    known_words : sequence of str, optional
        Words in lower case that an attacker would try first, starting with the most likely. Without
        these words, the passphrase must also be hard to guess, because zxcvbn treats several names
        in a row like random text.

    Returns
    -------
    str or None
        A sentence, or "" if zxcvbn provides no reason. The sentence never contains the passphrase.
    """
    beginning = text[:ESTIMATED_CHARACTERS]
    weakness = _estimate_strength(beginning, known_words)
    remainder = _remove_words(beginning, set(known_words))
    if (
        weakness is None
        and remainder != beginning
        and (not remainder or _estimate_strength(remainder, known_words) is not None)
    ):
        return LITTLE_REMAINS
    return weakness


def _estimate_strength(text: str, known_words: Sequence[str]) -> str | None:
    """Return why zxcvbn considers a text easy to guess, or None."""
    # zxcvbn takes 0.1 s to load and few commands need it, so it is imported on first use.
    from zxcvbn import zxcvbn

    # The result of zxcvbn contains the passphrase, so only two of its values are kept.
    result = zxcvbn(text, user_inputs=known_words)
    if result["score"] >= LEAST_SCORE:
        return None
    return str(result["feedback"]["warning"])


def _remove_words(text: str, known_words: Set[str]) -> str:
    """Replace each known word in a text with one space. Longer words are replaced first."""
    longest = min(len(text), max(map(len, known_words), default=0))
    for size in range(longest, 0, -1):
        for start in range(len(text) - size + 1):
            end = start + size
            around = text[max(start - 1, 0) : start] + text[end : end + 1]
            is_separate = not any(map(str.isalnum, around))
            if text[start:end].lower() in known_words and (size >= WITHIN_A_WORD or is_separate):
                text = text[:start] + " " * size + text[end:]
    return " ".join(text.split())
