"""Parse TOML files from other sources, within limits."""

from __future__ import annotations

import re
import tomllib


class NotToml(ValueError):
    """The error for data that is not valid TOML. ``hint`` explains how to correct the file."""

    def __init__(self, message: str, hint: str):
        super().__init__(message)
        self.hint = hint


# The largest number of parts in a key. tomllib parses a key in a time that grows with the square of
# this number. A host name has at most 127 labels.
_MAX_KEY_PARTS = 200
_KEY_PARTS = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)++""")
# The largest number of digits. tomllib accepts hexadecimal, octal, and binary numbers of any
# length, but Python cannot convert such long numbers back to text. A number in TOML has 64 bits, so
# no valid file contains so many digits.
_ENDLESS = re.compile(r"0(?:x[0-9A-Fa-f_]{1000}|[ob][0-7_]{1000})")


def parse_toml(data: bytes | str) -> dict[str, object]:
    """Parse a TOML document.

    Raises
    ------
    NotToml
        If the document is not valid TOML, or has too many levels or a number that is too long.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotToml("the file is not UTF-8 text", "save the file as UTF-8") from None
    if any(key[0].count(".") > _MAX_KEY_PARTS for key in _KEY_PARTS.finditer(text)):
        raise NotToml(
            f"a dotted key in the file has more than {_MAX_KEY_PARTS} parts",
            "check whether you specified the correct file",
        )
    try:
        if _ENDLESS.search(text):
            raise ValueError(text)
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(
            f"the file is not valid TOML: {error}",
            'enclose text in quotation marks, for example hash = "sha256", and table names in '
            "brackets",
        ) from None
    except (RecursionError, ValueError):
        # If the document has thousands of nested brackets, or a number that is too long, tomllib
        # raises an error that is not a TOMLDecodeError.
        raise NotToml(
            (
                "lyncnb cannot read this TOML file, because brackets are nested too deeply, "
                "or a number is too long"
            ),
            "check whether you specified the correct file",
        ) from None
