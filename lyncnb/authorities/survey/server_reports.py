"""Read which certificates servers use, from script reports and saved ``asis`` results."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ...base.disk import files
from ...base.json_text import NotJson, parse_json
from ...base.records import Check, Line, RecordReader, match_pattern
from ...errors import LyncnbError, Problem, ReturnedFileError
from ...request_folder.field_forms import Time
from .as_is import FORMAT as AS_IS
from .read_as_is import read_as_is

#: The format of the file that a script with ``-Verify -Report FILE`` writes.
FORMAT = "lyncnb-installed/1"

# The largest size in bytes of a file that is compared with the plan. A server report is only a few
# kilobytes in size.
_LARGEST = 1 << 28
_AGAIN = "write the report again: run the server's script with -Verify -Report FILE"
# The wording in files of earlier versions: "does not use it for" or "does not use the certificate
# for".
_USED_APART = re.compile(
    r"(?:on )?(\S+?),? (?:does not use (?:it|the certificate) for"
    r"|the certificate is not assigned to|has no private key for)"
)

_Thumbprint = Annotated[
    str,
    Check("a thumbprint (40 hexadecimal digits) or blank", match_pattern("(?:[0-9A-Fa-f]{40})?")),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    place: Line
    thumbprint: _Thumbprint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    format: str
    server: Line
    at: Time
    places: tuple[_Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """The certificates that a server had at a given time, by SHA-1 thumbprint in lowercase.

    ``at`` is a UTC time in ISO 8601, and ``source`` is the name of the file. If ``of_store`` is
    true, the report lists all certificates in the server's store. lyncnb then knows only that those
    in ``unused`` are not used.
    """

    server: str
    at: str
    source: str
    thumbprints: tuple[str, ...]
    unused: tuple[str, ...] = ()
    of_store: bool = False


def read_server_reports(paths: Iterable[str | os.PathLike[str]]) -> tuple[ServerReport, ...]:
    """Read reports of the scripts on servers, and files that ``lyncnb asis --save`` wrote.

    Raises
    ------
    ReturnedFileError
        If a file cannot be read, has another format, or was edited. The error lists all problems.
    """
    reports: list[ServerReport] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            reports += _read_reports(path)
        except LyncnbError as error:
            file_problems = error.problems or (Problem(message=error.message, hint=error.hint),)
            problems += file_problems
    if problems:
        raise ReturnedFileError(
            "lyncnb cannot read some of the reports, so it recorded nothing",
            problems=tuple(problems),
        )
    return tuple(reports)


def _read_reports(path: str | os.PathLike[str]) -> Iterator[ServerReport]:
    name = Path(path).name
    data = files.read_specified_file(path, limit=_LARGEST, error_class=ReturnedFileError)
    try:
        document = parse_json(data.removeprefix(b"\xef\xbb\xbf"))
    except NotJson as error:
        raise ReturnedFileError(f"{name}: {error}", hint=_AGAIN) from None
    form = document.get("format") if isinstance(document, dict) else None
    if form == AS_IS:
        yield from _build_reports_from_as_is(path, name)
        return
    if form != FORMAT:
        raise ReturnedFileError(
            (
                f"{name} is neither a server report ({FORMAT}) nor a file that lyncnb asis "
                f"--save wrote ({AS_IS})"
            ),
            hint=_AGAIN,
        )
    reader = RecordReader(name, is_json=True)
    content = reader.record(_Document, document)
    if content is None or reader.problems:
        raise ReturnedFileError(
            (f"{name}: the file was edited or damaged"), problems=tuple(reader.problems)
        )
    seen = {
        place_record.thumbprint.casefold()
        for place_record in content.places
        if place_record.thumbprint
    }
    yield ServerReport(
        server=content.server.casefold(),
        at=content.at,
        source=name,
        thumbprints=tuple(sorted(seen)),
    )


def _build_reports_from_as_is(path: str | os.PathLike[str], name: str) -> Iterator[ServerReport]:
    """Yield a report for each server whose certificate export is part of an as-is file."""
    survey = read_as_is(path)
    stores: dict[str, dict[str, None]] = {}
    unused: dict[str, dict[str, None]] = {}
    for planned in survey.planned:
        if planned.certificate is None:
            continue
        thumbprint = planned.certificate.thumbprint.casefold()
        for server in planned.certificate.servers:
            stores.setdefault(server.casefold(), {})[thumbprint] = None
        for remark in planned.remarks:
            if match := _USED_APART.match(remark):
                unused.setdefault(match[1].casefold(), {})[thumbprint] = None
    for server, thumbprints in stores.items():
        yield ServerReport(
            server=server,
            at=survey.made_at,
            source=name,
            thumbprints=tuple(thumbprints),
            unused=tuple(unused.get(server, ())),
            of_store=True,
        )
