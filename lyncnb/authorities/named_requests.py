"""Find requests in a folder by ID, start of an ID, server, name pattern, or certificate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..errors import Problem
from ..request_folder.request_record import RequestRecord

_PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRequest:
    """A request that matches a name which the user specified.

    ``servers`` contains the named servers, or is empty for all servers.

    ``name`` is the name that the user entered. ``generation`` is the generation whose certificate
    matches, or 0.
    """

    name: str
    record: RequestRecord
    servers: tuple[str, ...] = ()
    generation: int = 0


def find_named_requests(
    records: Sequence[RequestRecord], names: Iterable[str]
) -> tuple[tuple[NamedRequest, ...], tuple[Problem, ...]]:
    """Return the requests in a folder that match the specified names.

    Parameters
    ----------
    records : sequence of RequestRecord
        The requests of the folder.
    names : iterable of str
        Each is an id or the start of one id, a server's full name or first label, a pattern such
        as ``edge*``, or the serial number or thumbprint of a certificate.

    Returns
    -------
    tuple
        The matches in the order of the names, and a problem for each name without a match.
    """
    matches: list[NamedRequest] = []
    problems: list[Problem] = []
    for name in dict.fromkeys(names):
        ours = [*_find_matches(records, name.strip().casefold(), name)]
        matches += ours
        if not ours:
            problems.append(_report_unknown_name(records, name))
    return tuple(matches), tuple(problems)


def find_named_servers(
    records: Sequence[RequestRecord], names: Iterable[str]
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """Return the servers in a folder that match names, and a problem for each name without one."""
    servers = dict.fromkeys(server for record in records for server in _find_servers(record))
    matches: dict[str, None] = {}
    problems: list[Problem] = []
    for name in dict.fromkeys(names):
        text = name.strip().casefold()
        ours = [server for server in servers if text and _matches_server(server, text)]
        matches |= dict.fromkeys(ours)
        if not ours:
            message = f'the folder has no certificate for a server with the name "{name}"'
            hint = "use a server such as edge01.contoso.com, or a pattern such as edge*"
            problems.append(Problem(message=message, hint=hint))
    return tuple(matches), tuple(problems)


def _find_matches(records: Sequence[RequestRecord], text: str, name: str) -> Iterable[NamedRequest]:
    if not text:
        return
    exact = [record for record in records if record.id.casefold() == text]
    if exact:
        yield NamedRequest(name=name, record=exact[0])
        return
    prefix_matches = [record for record in records if record.id.casefold().startswith(text)]
    if len(prefix_matches) == 1:
        yield NamedRequest(name=name, record=prefix_matches[0])
        return
    for record in records:
        servers = tuple(server for server in _find_servers(record) if _matches_server(server, text))
        if _is_pattern(text) and fnmatchcase(record.id.casefold(), text):
            yield NamedRequest(name=name, record=record)
        elif servers:
            yield NamedRequest(name=name, record=record, servers=servers)
        elif generation := _find_generation(record, text):
            yield NamedRequest(name=name, record=record, generation=generation)


def _is_pattern(text: str) -> bool:
    return not _PATTERN.isdisjoint(text)


def _find_servers(record: RequestRecord) -> Iterable[str]:
    plans = (part.plan or record.plan for part in record.generations)
    return dict.fromkeys(server for plan in plans for server in plan.servers)


def _matches_server(server: str, text: str) -> bool:
    server = server.casefold()
    if _is_pattern(text):
        return fnmatchcase(server, text)
    return text in (server, server.partition(".")[0])


def _find_generation(record: RequestRecord, text: str) -> int:
    """Find the generation with the given serial number or thumbprint. Return 0 if there is none."""
    digits = text.replace(":", "").replace(" ", "")
    numbers = (
        part.generation
        for part in record.generations
        for issued in (part.issued, *part.refused)
        if issued is not None
        if digits in (issued.serial, issued.thumbprint_sha1.casefold(), issued.sha256)
    )
    return next(numbers, 0)


def _report_unknown_name(records: Sequence[RequestRecord], name: str) -> Problem:
    text = name.strip().casefold()
    fitting = [record.id for record in records if record.id.casefold().startswith(text)]
    if text and fitting:
        return Problem(
            message=(
                f'"{name}" is a prefix of {len(fitting):,} request ids: {", ".join(fitting[:5])}'
            ),
            hint=f"enter more characters of the id, or use the pattern {name}* to select all of "
            "these requests",
        )
    return Problem(
        message=f'the folder has no request, server or certificate with the name "{name}"',
        hint="use an id, a server such as edge01.contoso.com, or a pattern such as edge*",
    )
