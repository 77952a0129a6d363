"""Text that people type or paste: invisible characters, white space, and safe display."""

from __future__ import annotations

import unicodedata

# Joiners may be part of a word in some scripts, so the reader of the word decides about them.
_JOINERS = "\u200c\u200d"
# Unicode's Bidi_Control: a text with them is shown in a different order than it is stored.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Marks that change no order at the start or end of a text, where dialogs insert them.
_MARKS = "\u061c\u200e\u200f"
_MORE_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"


#: The beginning of the note about invisible characters.
INVISIBLE = "invisible character"


class BadName(ValueError):
    """Text that is not valid; ``message`` has the reason, ``hint`` what to do."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint


def shown(text: str) -> str:
    """Return a text in quotation marks for a message, visible and not too long."""
    short = text if len(text) <= 80 else f"{text[:60]}…({len(text)} characters)"
    return f'"{visible(short)}"'


def visible(text: str) -> str:
    """Replace invisible characters with their numbers, so that no text controls a terminal."""
    if text.isprintable() and not _has_more_invisible(text):
        return text
    return "".join(f"<U+{ord(c):04X}>" if _is_unseen(c) else c for c in text)


def clean_text(text: str) -> tuple[str, tuple[str, ...]]:
    """Remove invisible characters and the white space around a text.

    Parameters
    ----------
    text : str
        The text as it was entered.

    Returns
    -------
    tuple of str and tuple of str
        The text, and a note for each correction.

    Raises
    ------
    BadName
        If it has a control character, or one that changes the direction of reading. The request
        would then differ from the visible text.
    """
    # isprintable is False for every character that the steps below would change or reject.
    if text.isprintable() and text == text.strip() and not _has_more_invisible(text):
        return text, ()
    notes = []
    for character in text:
        if is_control(character) and character != "\t":
            raise BadName(
                f"{shown(text)} contains the control character U+{ord(character):04X}",
                "type it again instead of pasting it",
            )
    turned = _DIRECTIONS.intersection(_without_ends(text))
    if turned:
        codes = ", ".join(f"U+{ord(c):04X}" for c in sorted(turned))
        raise BadName(
            f"{shown(text)} changes its reading direction ({codes}), so it differs from what it "
            "looks like",
            "type it again instead of pasting it",
        )
    joined_word = any(ord(c) > 0x2FF and c.isalpha() for c in text)
    unseen = [c for c in text if is_invisible(c) and not (joined_word and c in _JOINERS)]
    if unseen:
        text = "".join(c for c in text if c not in unseen)
        codes = ", ".join(f"U+{ord(c):04X}" for c in dict.fromkeys(unseen))
        notes.append(f"{INVISIBLE} {codes} removed")
    if text != text.strip():
        text = text.strip()
        notes.append("white space around it removed")
    return text, tuple(notes)


def _without_ends(text: str) -> str:
    """Remove invisible characters at both ends that do not change the order of the text."""
    begin, end = 0, len(text)
    while begin < end and _is_harmless(text[begin]):
        begin += 1
    while begin < end and _is_harmless(text[end - 1]):
        end -= 1
    return text[begin:end]


def _is_harmless(character: str) -> bool:
    if character in _DIRECTIONS:
        return character in _MARKS
    return character.isspace() or is_invisible(character)


def is_control(character: str) -> bool:
    """Return whether it is a control character or an unpaired surrogate."""
    return unicodedata.category(character) in ("Cc", "Cs")


def is_invisible(character: str) -> bool:
    """Return whether it is invisible: zero width, byte order mark, direction mark, filler."""
    return unicodedata.category(character) == "Cf" or _has_more_invisible(character)


def _has_more_invisible(text: str) -> bool:
    # Their category is letter or mark, but they are not visible.
    return not text.isascii() and any(
        c in _MORE_INVISIBLE or "\ufe00" <= c <= "\ufe0f" for c in text
    )


def _is_unseen(character: str) -> bool:
    return is_invisible(character) or is_control(character)
