"""What a text or number in ``manifest.json`` may be, as the types of its records' fields.

A manifest can be edited by hand, cut off by a disk or come from somebody else, and every command
believes its records. What becomes a path, a script or a page is checked here as what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Annotated

from ..base.dns_name import is_host_name
from ..base.outputs import OWN_FOLDERS
from ..base.records import Check
from ..pki.csr import COMPUTER_NAME

STATES = ("planned", "waiting", "issued", "packaged", "retired")

#: Who holds a key until somebody names the computer, or the request itself does.
SOME_COMPUTER = "a computer with the administrative tools"

# No more than that: a site may be named with an ideographic space, which isprintable() is not.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ID = "[A-Za-z0-9][A-Za-z0-9-]{0,200}"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def is_inside(path: str, *places: str) -> bool:
    """Return whether a relative path names a file in one of the folder's own folders.

    Parameters
    ----------
    path : str
        As a manifest holds it, parts separated by ``/``.
    places : str
        Folders to allow; all of the request folder's if left out.
    """
    first, *rest = path.split("/")
    sound = rest and not any(part in ("", ".", "..") for part in rest) and "\\" not in path
    return bool(sound) and first in (places or OWN_FOLDERS) and not _CONTROL.search(path)


def _matching(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern).fullmatch


def _number(lowest: int, highest: int) -> Check:
    return Check(
        f"a whole number from {lowest} to {highest:,}", lambda number: lowest <= number <= highest
    )


def _is_line(text: str) -> bool:
    return text.isprintable() or not _CONTROL.search(text)


@lru_cache(maxsize=4096)
def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.fullmatch(text)) and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _is_package(path: str) -> bool:
    # An earlier write_pfx took any folder below the request folder; what removes looks closer.
    place, _, name = path.rpartition("/")
    return is_inside(path, place.partition("/")[0]) and bool(re.fullmatch(rf"{_ID}\.pfx", name))


Text = Annotated[str, Check("text", lambda text: True)]
Line = Annotated[str, Check("one line of text", _is_line)]
State = Annotated[str, Check(f"one of {', '.join(STATES)}", STATES.__contains__)]
# An id becomes a file name, so a manifest that somebody edited must not reach outside the folder.
Id = Annotated[str, Check("a request id", _matching(_ID))]
# A server's name becomes the name of its page and script.
Host = Annotated[str, Check("a host name such as fe01.contoso.com", is_host_name)]
# The folder inside a package for a CA is named after it.
Issuer = Annotated[str, Check("internal or public", ("internal", "public", "").__contains__)]
Computer = Annotated[
    str,
    Check(
        "the name of a computer",
        lambda name: name in ("", SOME_COMPUTER) or COMPUTER_NAME.fullmatch(name),
    ),
]

Sha256 = Annotated[str, Check("a SHA-256 (64 lower-case hex digits)", _matching("[0-9a-f]{64}"))]
Sha256OrBlank = Annotated[
    str, Check("a SHA-256 (64 lower-case hex digits) or blank", _matching("(?:[0-9a-f]{64})?"))
]
Thumbprint = Annotated[str, Check("a SHA-1 (40 hex digits)", _matching("[0-9A-Fa-f]{40}"))]
Serial = Annotated[
    str, Check("a serial number (pairs of lower-case hex digits)", _matching("-?(?:[0-9a-f]{2})+"))
]
Salt = Annotated[str, Check("a salt (pairs of hex digits)", _matching("(?:[0-9a-f]{2}){8,64}"))]
Hash = Annotated[str, Check("sha256, sha384 or sha512", _matching("sha(?:256|384|512)"))]

Time = Annotated[str, Check("a time such as 2026-11-24T08:00:00Z", _is_time)]
TimeOrBlank = Annotated[
    str,
    Check("a time such as 2026-11-24T08:00:00Z or blank", lambda text: not text or _is_time(text)),
]
Day = Annotated[str, Check("a day such as 2026-11-24", lambda text: _is_time(f"{text}T00:00:00Z"))]

Bits = Annotated[int, _number(0, 1 << 20)]
Days = Annotated[int, _number(0, 10_000_000)]
Generation = Annotated[int, _number(1, 1_000_000)]
Rounds = Annotated[int, _number(1, 10_000_000)]
KeyBytes = Annotated[int, _number(16, 32)]

OwnFile = Annotated[str, Check("a file in one of the folder's own folders", is_inside)]
ReturnedFile = Annotated[
    str,
    Check("a file in returned or archive", lambda path: is_inside(path, "returned", "archive")),
]
ReturnedFileOrBlank = Annotated[
    str,
    Check(
        "a file in returned or archive, or blank",
        lambda path: not path or is_inside(path, "returned", "archive"),
    ),
]
PackageFile = Annotated[str, Check("a package (.pfx) below the folder", _is_package)]
