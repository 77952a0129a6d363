"""Define the types of the fields in ``manifest.json``, and the valid values of each type.

A manifest can be edited, damaged, or replaced by an attacker, and all commands trust the records.
So this module validates every value that becomes part of a path, a script, or a page.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated

from ..base.certificate_fields import COMPUTER_NAME
from ..base.disk.outputs import OWN_FOLDERS
from ..base.planned_entry import ID_PATTERN
from ..base.records import Check, build_range_check, is_single_line, match_pattern

STATES = ("planned", "waiting", "issued", "packaged", "retired")

#: The text that stands for the computer with the key until the name of the computer is known.
SOME_COMPUTER = "a computer with the administrative tools"

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def is_inside(path: str, *folders: str) -> bool:
    """Return whether a relative path can belong to a file in one of lyncnb's folders.

    Parameters
    ----------
    path : str
        A path from a manifest; the parts are separated by ``/``.
    folders : str
        The allowed folders; by default, all folders in the request folder.
    """
    first, *rest = path.split("/")
    sound = rest and not any(part in ("", ".", "..") for part in (first, *rest))
    return (
        bool(sound)
        and first in (folders or OWN_FOLDERS)
        and "\\" not in path
        and is_single_line(path)
    )


@lru_cache(maxsize=4096)
def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.fullmatch(text)) and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _is_package(path: str) -> bool:
    # Earlier versions of write_pfx allowed any subfolder. Commands that remove files check the path
    # more strictly.
    folder, _, name = path.rpartition("/")
    return is_inside(path, folder.partition("/")[0]) and bool(
        re.fullmatch(rf"{ID_PATTERN}\.pfx", name)
    )


State = Annotated[str, Check(f"one of {', '.join(STATES)}", STATES.__contains__)]
Computer = Annotated[
    str,
    Check(
        "the name of a computer",
        lambda name: name in ("", SOME_COMPUTER) or COMPUTER_NAME.fullmatch(name),
    ),
]

Sha256 = Annotated[
    str, Check("a SHA-256 hash (64 lowercase hexadecimal digits)", match_pattern("[0-9a-f]{64}"))
]
Sha256OrBlank = Annotated[
    str,
    Check(
        "a SHA-256 hash (64 lowercase hexadecimal digits) or blank",
        match_pattern("(?:[0-9a-f]{64})?"),
    ),
]
Thumbprint = Annotated[
    str, Check("a SHA-1 hash (40 hexadecimal digits)", match_pattern("[0-9A-Fa-f]{40}"))
]
Serial = Annotated[
    str,
    Check(
        "a serial number (pairs of lowercase hexadecimal digits)",
        match_pattern("-?(?:[0-9a-f]{2})+"),
    ),
]
Salt = Annotated[
    str, Check("a salt (pairs of hexadecimal digits)", match_pattern("(?:[0-9a-f]{2}){8,64}"))
]
Hash = Annotated[str, Check("sha256, sha384 or sha512", match_pattern("sha(?:256|384|512)"))]

Time = Annotated[str, Check("a time such as 2026-11-24T08:00:00Z", _is_time)]
TimeOrBlank = Annotated[
    str,
    Check("a time such as 2026-11-24T08:00:00Z or blank", lambda text: not text or _is_time(text)),
]
Day = Annotated[str, Check("a date such as 2026-11-24", lambda text: _is_time(f"{text}T00:00:00Z"))]
DayOrBlank = Annotated[
    str,
    Check(
        "a date such as 2026-11-24 or blank", lambda text: not text or _is_time(f"{text}T00:00:00Z")
    ),
]

Days = Annotated[int, build_range_check(0, 10_000_000)]
Generation = Annotated[int, build_range_check(1, 1_000_000)]
Number = Annotated[int, build_range_check(0, 10_000_000)]
Rounds = Annotated[int, build_range_check(1, 10_000_000)]
KeyBytes = Annotated[int, build_range_check(16, 32)]

OwnFile = Annotated[str, Check("a file in a folder that lyncnb created", is_inside)]
ReturnedFile = Annotated[
    str,
    Check(
        'a file in the folder "returned" or "archive"',
        lambda path: is_inside(path, "returned", "archive"),
    ),
]
ReturnedFileOrBlank = Annotated[
    str,
    Check(
        'a file in the folder "returned" or "archive", or blank',
        lambda path: not path or is_inside(path, "returned", "archive"),
    ),
]
PackageFile = Annotated[str, Check("a package (.pfx) in the folder", _is_package)]
