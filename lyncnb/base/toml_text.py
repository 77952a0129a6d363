"""Parse the TOML of a file from elsewhere, within limits."""

from __future__ import annotations

import re
import tomllib


class NotToml(ValueError):
    """Bytes that are not TOML; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str):
        super().__init__(message)
        self.hint = hint


# The time of tomllib grows with the square of a key's parts. A host name has at most 127 labels.
_MAX_KEY_PARTS = 200
_KEY_PARTS = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)++""")
# tomllib accepts hexadecimal, octal and binary numbers of any length, which Python cannot write
# again. TOML numbers have 64 bits. No meaningful text has so many such digits in a row.
_ENDLESS = re.compile(r"0(?:x[0-9A-Fa-f_]{1000}|[ob][0-7_]{1000})")


def parse_toml(data: bytes | str) -> dict[str, object]:
    """Parse a TOML document.

    Raises
    ------
    NotToml
        If it is not TOML, has too many levels, or a number that is too long.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotToml("this is not UTF-8 text", "save it as UTF-8") from None
    if any(key[0].count(".") > _MAX_KEY_PARTS for key in _KEY_PARTS.finditer(text)):
        raise NotToml(
            f"this has a key of more than {_MAX_KEY_PARTS} parts", "is it the right file?"
        )
    try:
        if _ENDLESS.search(text):
            raise ValueError(text)
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(
            f"this is not TOML: {error}",
            'write texts in quotation marks, hash = "sha256", and tables in brackets',
        ) from None
    except (RecursionError, ValueError):  # thousands of brackets, or a number that is too long
        raise NotToml(
            "this is TOML that lyncnb does not read: brackets too deep, or a number too long",
            "is it the right file?",
        ) from None
