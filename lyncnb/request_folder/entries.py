"""Read and write the entries of a folder's record: a file in ``record/`` for each run.

No entry is changed or removed. The name of an entry ends with a hash of its content, so an edited
or damaged entry is detected, and a copy that another program made under another name is the same
entry. Each entry lists the entries before it, so a missing entry is detected.

While a run lasts, its entry is a file ``unfinished-….json``, which it replaces each time it saves.
If the run is killed, the file is read like an entry, and the next writer gives it its final name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..base.disk import files
from ..base.disk.outputs import OWN_FOLDERS
from ..base.json_text import may_contain_surrogates
from ..base.records import is_single_line
from ..errors import BundleError, Problem
from .facts import IDENTITY

#: The format of a folder whose state is folded from the entries in ``record/``.
FORMAT = "lyncnb-requests/4"
PLACE = "record"
# The beginning of the file name of an entry whose run lasts, or was killed.
_UNFINISHED = "unfinished-"

_HASH = re.compile("[0-9a-f]{16}")
_TIME = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
#: The highest number of an entry. Without a limit, a planted entry could take the last number.
MOST = 1_000_000_000
# The largest size of an entry in bytes. The first entry of 100,000 requests has about 200 MB.
_LARGEST = 1 << 31
_LINES = ("user", "host", "command", "reason")
_RESTORE = (
    "restore the file from a backup. Without a backup, move it out of the folder, and run: lyncnb "
    "status FOLDER --rebuild"
)

Event = Mapping[str, Any]


class Entry(NamedTuple):
    """An entry of the record: its hash, and the content of its file."""

    digest: str
    document: Mapping[str, Any]

    @property
    def events(self) -> Sequence[Event]:
        """The events of the entry, as they are in the file."""
        events: Sequence[Event] = self.document["events"]
        return events


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The entries of a folder in their order, and the entries that are damaged or missing.

    ``unfinished`` contains those of runs that last or were killed, by their file names.
    """

    entries: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()
    missing: tuple[str, ...] = ()
    unfinished: Mapping[str, tuple[Entry, bytes]] = field(default_factory=dict)

    @property
    def last(self) -> tuple[str, ...]:
        """The hashes of the entries that no other entry follows."""
        followed = {digest for entry in self.entries for digest in entry.document["after"]}
        return tuple(entry.digest for entry in self.entries if entry.digest not in followed)

    def with_entry(self, entry: Entry) -> Record:
        """Return the record with another entry, if it does not already contain the entry."""
        entries = {known.digest: known for known in (*self.entries, entry)}
        return replace(self, entries=tuple(sorted(entries.values(), key=_find_position)))


def _find_position(entry: Entry) -> tuple[int, str, int, str]:
    # An entry has a higher number than those that it follows, whatever the clocks say. An older
    # copy of an unfinished entry is before the entry that the run completed.
    document = entry.document
    return document["number"], document["at"], len(entry.events), entry.digest


def build_entry(
    events: Sequence[Event],
    *,
    number: int,
    at: str,
    user: tuple[str, str],
    command: str,
    reason: str = "",
    version: str = "",
    after: Sequence[str] = (),
    without: Sequence[str] = (),
) -> tuple[str, bytes, Entry]:
    """Return the file name and the bytes of an entry, with one line for each event."""
    head = {
        "format": FORMAT, "number": number, "at": at, "user": user[0], "host": user[1],
        "command": command, "lyncnb": version, "reason": reason,
        "after": list(after), "without": list(without),
    }  # fmt: skip
    dump = json.JSONEncoder(ensure_ascii=False).encode
    lines = [f"{dump(name)}: {dump(value)}" for name, value in head.items()]
    listed = ",\n".join(map(dump, events))
    text = "{\n" + ",\n".join(lines) + ',\n"events": [\n' + listed + "\n]}\n"
    data = text.encode("utf-8", "replace")
    digest = hashlib.sha256(data).hexdigest()[:16]
    entry = Entry(digest, {**head, "events": events})
    return _build_name(entry), data, entry


def _build_name(entry: Entry) -> str:
    number, at, command = (entry.document[name] for name in ("number", "at", "command"))
    stamp, words = re.sub("[-:]", "", at), re.sub("[^a-z]+", "-", command).strip("-") or "run"
    return f"{number:05}-{stamp}-{words}-{entry.digest}.json"


def write_entry(folder: Path, name: str, data: bytes) -> None:
    """Write an entry durably. The same entry may already be there."""
    files.make_folder(folder / PLACE, OWN_FOLDERS[PLACE])
    if not os.path.lexists(folder / PLACE / name):
        files.write_new_file(folder / PLACE / name, data)


def make_unfinished_name() -> str:
    """Return a unique file name for the entry of a run that lasts."""
    return f"{_UNFINISHED}{files.make_temporary_name().removeprefix(files.TEMP_PREFIX)}.json"


def write_unfinished_entry(folder: Path, name: str, data: bytes) -> None:
    """Write the entry of a run that lasts, or replace it by a later state of the same entry."""
    files.make_folder(folder / PLACE, OWN_FOLDERS[PLACE])
    files.replace_file(folder / PLACE / name, data)


def complete_entry(folder: Path, unfinished: str, entry: Entry, data: bytes) -> None:
    """Give an unfinished entry its final name."""
    # The content is written again, because another computer can replace the file at any time.
    write_entry(folder, _build_name(entry), data)
    files.remove_file(folder / PLACE / unfinished)


def read_record(folder: Path) -> Record:
    """Read all entries of a folder, in their order.

    Returns
    -------
    Record
        With a problem for each entry that is damaged or was edited, and for each missing entry.
        These entries are not used.
    """
    entries: dict[str, Entry] = {}
    unfinished: dict[str, tuple[Entry, bytes]] = {}
    problems: list[Problem] = []
    for name in _list_names(folder):
        entry = None
        try:
            data = files.read_file(folder / PLACE / name, limit=_LARGEST)
            entry = _read_entry(data, name)
            wrong = "was edited or damaged, so lyncnb does not use it"
        except BundleError as error:
            if name.startswith(_UNFINISHED) and files.is_missing(folder / PLACE / name):
                return read_record(folder)  # Its run has completed the entry in the meantime.
            wrong = error.message
        if entry is None:
            problems.append(Problem(message=wrong, file=f"{PLACE}/{name}", hint=_RESTORE))
        else:
            entries[entry.digest] = entry
            if name.startswith(_UNFINISHED):
                unfinished[name] = (entry, data)
    known = {*entries}
    for entry in entries.values():
        known.update(entry.document["without"])
    missing = {digest for entry in entries.values() for digest in entry.document["after"]} - known
    problems += (
        Problem(
            message=f"the entry {digest} is missing. It may not be synchronized yet",
            file=f"{PLACE}/",
            hint="wait for the synchronization, or restore the file from a backup. If it is lost, "
            f"run: lyncnb status FOLDER {digest} --rebuild",
        )
        for digest in sorted(missing)
    )
    return Record(
        entries=tuple(sorted(entries.values(), key=_find_position)),
        problems=tuple(problems),
        missing=tuple(sorted(missing)),
        unfinished=unfinished,
    )


def _list_names(folder: Path) -> list[str]:
    try:
        names = sorted(os.listdir(folder / PLACE))
    except (OSError, ValueError):  # The name of the folder is not valid.
        return []
    is_temporary = files.TEMP_PREFIX
    return [name for name in names if name.endswith(".json") and not name.startswith(is_temporary)]


def _read_entry(data: bytes, name: str) -> Entry | None:
    """Return an entry, or None if the file is not what lyncnb wrote under this name."""
    digest = hashlib.sha256(data).hexdigest()[:16]
    is_expected = name.startswith(_UNFINISHED) or digest in _HASH.findall(name)
    if not is_expected or may_contain_surrogates(data):
        return None
    with suppress(ValueError, RecursionError, TypeError, KeyError):
        document = json.loads(data)
        return Entry(digest, document) if _is_valid(document) else None
    return None


def _is_valid(document: Mapping[str, Any]) -> bool:
    """Return whether an entry has all fields. The state's own reader checks their values."""
    return (
        document["format"] == FORMAT
        and type(document["number"]) is int
        and 0 < document["number"] <= MOST
        and bool(_TIME.fullmatch(document["at"]))
        and all(is_single_line(document[name]) for name in _LINES[:3])
        and isinstance(document["reason"], str)
        and all(_HASH.fullmatch(item) for name in ("after", "without") for item in document[name])
        and all(map(_is_event, document["events"]))
    )


def _is_event(event: Event) -> bool:
    kind = event["type"]
    names = IDENTITY.get(event["of"] if kind == "undone" else kind)
    return names is None or all(type(event[name]) is str for name in names)
