"""TOML of a file that somebody wrote: parsed within bounds."""

from __future__ import annotations

import re
import tomllib


class NotToml(ValueError):
    """Bytes that are not TOML; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str):
        super().__init__(message)
        self.hint = hint


# tomllib takes the square of a dotted key's parts; a host name has 127 labels at most.
_MAX_KEY_PARTS = 200
_KEY_PARTS = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)++""")
# tomllib takes hexadecimal, octal and binary numbers of any length, which Python then cannot write;
# TOML's have 64 bits. Text with as many such digits in a row is not a meaningful text.
_ENDLESS = re.compile(r"0(?:x[0-9A-Fa-f_]{1000}|[ob][0-7_]{1000})")


def parse_toml(data: bytes | str) -> dict[str, object]:
    """Parse a TOML document.

    Raises
    ------
    NotToml
        If it is none, or so deep or with numbers so long that nobody means it.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotToml("this is not UTF-8 text", "save it as UTF-8") from None
    if any(one[0].count(".") > _MAX_KEY_PARTS for one in _KEY_PARTS.finditer(text)):
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
    except (RecursionError, ValueError):  # brackets by the thousand; a number without end
        raise NotToml(
            "this is TOML that lyncnb does not read: brackets too deep, or a number too long",
            "is it the right file?",
        ) from None
