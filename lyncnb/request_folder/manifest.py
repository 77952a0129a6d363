"""Read and save the state of a request folder: its requests, with states and certificates.

The state is folded from the entries in ``record/`` (``entries.py``, ``facts.py``). It contains no
secret and no private key. ``request_record.py`` defines its records, and ``field_forms.py`` their
fields. ``manifest.json`` only marks the folder, so that earlier versions of lyncnb refuse it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ..base.arguments import check_type
from ..base.disk import files, folder_access
from ..base.disk.folder_lock import confirm_lock, get_user_and_computer
from ..base.garbage_collection import pause_garbage_collection
from ..base.json_text import may_contain_surrogates
from ..base.pasted_text import shown
from ..base.records import SINCE_2, Line, RecordReader, convert_record, make_unknown_keys_field
from ..base.version import VERSION
from ..errors import BundleError, OtherFormat, Problem, SharedFolder
from .earlier_folder import (
    HISTORY_NAME,
    archive_copy,
    find_last_time,
    list_earlier_lines,
    read_earlier_history,
)
from .entries import (
    FORMAT,
    MOST,
    PLACE,
    Entry,
    Event,
    Record,
    build_entry,
    complete_entry,
    make_unfinished_name,
    read_record,
    write_entry,
    write_unfinished_entry,
)
from .facts import (
    Facts,
    apply_event,
    build_folder,
    build_request,
    list_changes,
    take_folder_apart,
    take_request_apart,
)
from .field_forms import OwnFile, Sha256OrBlank, TimeOrBlank
from .request_record import (
    Acceptance,
    BindingKey,
    KeptFile,
    LogEntry,
    PlanOnRecord,
    RecoveryKey,
    RequestRecord,
    TableOnRecord,
    is_file_stem,
    list_archived_files,
    list_current_files,
)

NAME = "manifest.json"
#: The content of ``manifest.json``, with which earlier versions of lyncnb refuse a folder.
MARKER = f'{{"format": "{FORMAT}"}}\n'.encode()
#: The hashes of the summary files, which are derived from the record and not part of it.
SUMMARY_HASHES = ".summary.json"
#: The format of lyncnb 0.2.0. The first command that writes to such a folder imports it.
EARLIER_FORMAT = "lyncnb-requests/3"
_OLDEST_FORMATS = ("lyncnb-requests/1", "lyncnb-requests/2")

# The largest size in bytes of the manifest of lyncnb 0.2.0. The size is about 500 MB for 100,000
# requests with three generations each.
_LARGEST = 1 << 31
_REBUILD = "restore the folder from a backup, or run: lyncnb status FOLDER --rebuild"
_RESTORE_MARKER = (
    "restore the file from a backup, or run with lyncnb 0.2.0: lyncnb status FOLDER --rebuild"
)

# The runs that change a folder, by the real path of the folder.
_runs: dict[str, Run] = {}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All data about the requests in a folder, in the order of the plan.

    ``accepted`` lists the accepted errors. ``encrypted`` lists files other than keys that are
    encrypted with the folder's passphrase, relative to the folder. ``summary`` contains the SHA-256
    of the summary files and of their source data. ``plan_json_sha256`` is the SHA-256 of the plan
    file. ``table`` contains data about the table that is not in the plan file. ``rekeying`` is the
    time when an incomplete passphrase change began. ``log`` lists files that were removed or moved
    outside a normal run. ``recovery`` lists the recovery keys for display only; lyncnb never seals
    to a key because it is in this list. ``issuers`` contains the CA certificates for the complete
    folder. ``plans`` contains the saved plans from which requests were created, in chronological
    order. ``binding_key`` specifies how the key for the HMACs is derived. If it is set, no list in
    the folder has the format of earlier versions. ``team`` is the group whose members can also
    write to the folder. ``product_sha256`` is the SHA-256 of a custom product file. The manifest
    never contains the text of the file, because commands in it become scripts.
    """

    whole: ClassVar = True

    product: Line = ""
    plan_sha256: Sha256OrBlank = ""
    accepted: tuple[Acceptance, ...] = ()
    summary: Mapping[Line, Line] = field(default_factory=dict)
    encrypted: tuple[OwnFile, ...] = ()
    rekeying: TimeOrBlank = ""
    log: tuple[LogEntry, ...] = ()
    recovery: tuple[RecoveryKey, ...] = field(default=(), metadata=SINCE_2)
    issuers: tuple[KeptFile, ...] = field(default=(), metadata=SINCE_2)
    plans: tuple[PlanOnRecord, ...] = field(default=(), metadata=SINCE_2)
    binding_key: BindingKey | None = field(default=None, metadata=SINCE_2)
    team: Line = field(default="", metadata=SINCE_2)
    product_sha256: Sha256OrBlank = field(default="", metadata=SINCE_2)
    plan_json_sha256: Sha256OrBlank = field(default="", metadata=SINCE_2)
    table: TableOnRecord | None = field(default=None, metadata=SINCE_2)
    requests: tuple[RequestRecord, ...] = ()
    others: Mapping[str, object] = make_unknown_keys_field()

    @cached_property
    def by_id(self) -> Mapping[str, RequestRecord]:
        """The records of the requests, by request ID."""
        return {record.id: record for record in self.requests}

    @property
    def omitted_requests(self) -> tuple[str, ...]:
        """The requests of an approved plan that are not needed because of installed certificates.

        The approver does not know that the folder contains fewer requests than the approved plan.
        """
        last = self.plans[-1] if self.plans else None
        if last is None or not last.approvals or last.plan_sha256 != self.plan_sha256:
            return ()
        return tuple(
            request.id for request in self.requests if request.covered and not request.retired_at
        )

    def with_records(self, records: Iterable[RequestRecord]) -> Manifest:
        """Return a copy of the manifest in which records are replaced or added at the end."""
        changed = {record.id: record for record in records}
        requests = tuple(changed.pop(request.id, request) for request in self.requests)
        return replace(self, requests=requests + tuple(changed.values()))

    def with_numbers_of(self, old_manifest: Manifest) -> Manifest:
        """Return a copy of the manifest that has the request numbers of an earlier manifest."""
        return self.with_records(
            replace(record, number=old.number)
            for record in self.requests
            if (old := old_manifest.by_id.get(record.id)) and old.number != record.number
        )

    def with_new_numbers(self, order: Iterable[str]) -> Manifest:
        """Return a copy of the manifest in which every request has a number."""
        last = max((record.number for record in self.requests), default=0)
        new = [
            request for name in order if (request := self.by_id.get(name)) and not request.number
        ]
        return self.with_records(
            replace(record, number=number) for number, record in enumerate(new, start=last + 1)
        )

    def with_encrypted_file(self, path: str) -> Manifest:
        """Return a copy of the manifest that lists one more encrypted file."""
        if path in self.encrypted:
            return self
        return replace(self, encrypted=(*self.encrypted, path))

    def with_event(self, event: str, subject: str, *, now: str) -> Manifest:
        """Return a copy of the manifest with another entry in its log."""
        return replace(self, log=(*self.log, LogEntry(at=now, event=event, about=subject)))


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderState:
    """What a folder contains: its state, the record from which it is folded, and its marker.

    ``earlier`` contains the files of lyncnb 0.2.0 (``manifest.json`` and ``history.jsonl``) in a
    folder that is not imported yet, and ``imported`` their entry.
    """

    manifest: Manifest = field(default_factory=Manifest)
    record: Record = field(default_factory=Record)
    has_marker: bool = False
    earlier: tuple[bytes, bytes] | None = None
    imported: tuple[str, bytes] | None = None


@dataclass(slots=True, kw_only=True)
class Run:
    """A command that changes a folder. All changes that it saves are one entry of the record.

    ``noted`` are events that change no state, for the next save. ``events`` and ``without`` are
    already in the entry, whose file has the name ``unfinished`` until the run ends.
    """

    folder: Path
    command: str = ""
    reason: str = ""
    now: str = ""
    repairs: bool = False
    noted: list[Event] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    state: FolderState | None = None
    unfinished: str = field(default_factory=make_unfinished_name)
    entry: tuple[Entry, bytes] | None = None

    def add_events(self, *events: Any) -> None:
        """Add events that do not change the state (:class:`history.Event`) to the next save."""
        for event in events:
            filled = {name: value for name, value in event._asdict().items() if value}
            self.noted.append({"type": "noted", **filled})

    def see(self, state: FolderState) -> None:
        """Remember the state that the command read, and stop if the record is not whole.

        The entries of killed runs get their final names.
        """
        if state.record.problems and not self.repairs:
            raise BundleError(
                f"the folder {self.folder} needs attention; nothing was changed",
                problems=state.record.problems,
            )
        for name, (entry, data) in state.record.unfinished.items():
            if name != self.unfinished:
                complete_entry(self.folder, name, entry, data)
        own = self.entry[0].digest if self.entry else ""
        others = tuple(entry for entry in state.record.entries if entry.digest != own)
        self.state = replace(state, record=replace(state.record, entries=others))

    def save(self, manifest: Manifest | None = None, *, without: Sequence[str] = ()) -> bool:
        """Write the changes to the entry of this run. Return whether anything was written."""
        if self.state is None:
            self.see(read_if_present(self.folder))
        assert self.state is not None
        before = state = self.state
        manifest = before.manifest if manifest is None else manifest
        events = [*build_change(before.manifest, manifest), *self.noted]
        if events or without:
            record = _start_record(self.folder, state)
            self.events += events
            self.without += without
            number = min(MOST, 1 + max((e.document["number"] for e in record.entries), default=0))
            _, data, entry = build_entry(
                self.events, number=number, at=self.now or format_timestamp(None),
                user=get_user_and_computer(), command=self.command, reason=self.reason,
                version=VERSION, after=record.last, without=self.without,
            )  # fmt: skip
            write_unfinished_entry(self.folder, self.unfinished, data)
            self.entry, self.noted = (entry, data), []
            state = FolderState(record=record, has_marker=True)
        if manifest.summary != before.manifest.summary or (events and before.earlier):
            data = encode_summary_hashes(manifest)
            files.replace_file(self.folder / SUMMARY_HASHES, data, 0o600)
            without = without or ("",)
        self.state = replace(state, manifest=manifest)
        return bool(events or without)

    def finish(self) -> None:
        """Give the entry of this run its final name."""
        if self.entry is not None:
            complete_entry(self.folder, self.unfinished, *self.entry)


@contextmanager
def start_run(run: Run) -> Iterator[None]:
    """Let a run see what is read from its folder, and save what is saved there."""
    key = os.path.realpath(run.folder)
    _runs[key] = run
    try:
        yield
    finally:
        del _runs[key]


def _start_record(folder: Path, state: FolderState) -> Record:
    """Write the marker, so that earlier versions refuse the folder. Import their files before."""
    if state.has_marker:
        return state.record
    if state.earlier is not None and state.imported is not None:
        write_entry(folder, *state.imported)
        for name, data in zip((NAME, HISTORY_NAME), state.earlier, strict=True):
            if data:
                archive_copy(folder, name, data)
        # The manifest still has the earlier format, so the import can be repeated until the end.
        if os.path.lexists(folder / HISTORY_NAME):
            files.remove_file(folder / HISTORY_NAME)
    files.replace_file(folder / NAME, MARKER, 0o600)
    return state.record


def build_change(before: Manifest, after: Manifest) -> list[dict[str, Any]]:
    """Return the events that lead from one state to another."""
    return [*_list_change(before, after)]


def _list_change(before: Manifest, after: Manifest) -> Iterator[dict[str, Any]]:
    heads = []
    for manifest in (before, after):
        head = _convert(replace(manifest, requests=(), summary={}))
        heads.append(head)
    known = [record.id for record in before.requests if record.id in after.by_id]
    expected = [*known, *(record.id for record in after.requests if record.id not in before.by_id)]
    order = [record.id for record in after.requests]
    facts = [take_folder_apart(head) for head in heads]
    if order != expected:
        facts[1]["folder",] = {**facts[1]["folder",], "order": order}
    yield from list_changes("", *facts)
    for record in after.requests:
        old = before.by_id.get(record.id)
        if record is not old and record != old:
            parts = take_request_apart(_convert(old)) if old is not None else {}
            yield from list_changes(record.id, parts, take_request_apart(_convert(record)))
    for record in before.requests:
        if record.id not in after.by_id:
            yield from list_changes(record.id, take_request_apart(_convert(record)), {})


def _convert(record: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(record, default=convert_record))
    return document


def save_manifest(folder: Path, manifest: Manifest) -> bool:
    """Save the state of a folder, as an entry of the changes since it was read.

    The caller must hold the folder's lock.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        The state to record.

    Returns
    -------
    bool
        Whether anything was written.

    Raises
    ------
    BundleError
        If a request or generation appears twice or has the files of another one, or if another
        writer has locked the folder.
    """
    confirm_lock(Path(folder))
    reader = RecordReader(PLACE, is_json=True)
    _check_records(manifest.requests, reader)
    if reader.problems:
        raise BundleError(
            f"{folder}: lyncnb did not change the record, because the new state would not be valid",
            problems=tuple(reader.problems),
        )
    if run := _runs.get(os.path.realpath(folder)):
        return run.save(manifest)
    run = Run(folder=Path(folder))
    is_changed = run.save(manifest)
    run.finish()
    return is_changed


@pause_garbage_collection()
def read_folder(folder: Path) -> FolderState:
    """Read the record of a request folder, and fold it to the folder's state.

    Raises
    ------
    BundleError
        If the folder has no record, or a value in it is not valid (the error lists all such
        values), if another lyncnb version wrote it (:class:`OtherFormat`), or if a group that is
        not recorded can write to the folder (:class:`SharedFolder`).
    """
    path = Path(folder) / NAME
    if os.path.isfile(
        folder
        # os.path.isfile returns False for a name that is not valid. Other functions would raise an
        # error.
    ):
        raise BundleError(
            f"{folder} is a file, not a request folder",
            hint="to create a request folder from a topology, run: lyncnb request TOPOLOGY FOLDER",
        )
    files.reject_unreadable_folder(folder)
    record = read_record(folder)
    run = _runs.get(os.path.realpath(folder)) if _runs else None
    marker = _read_marker(path, record)
    form, has_marker = marker["format"], marker == {"format": FORMAT}
    earlier = imported = None
    if form == EARLIER_FORMAT:
        earlier = (files.read_file(path, limit=_LARGEST), read_earlier_history(folder))
        name, data, entry = build_import(*earlier, _parse_earlier(path, {**marker}, earlier[0]))
        imported, record = (name, data), record.with_entry(entry)
    elif form != FORMAT:
        _reject_other_format(path, form)
    is_repair = run is not None and run.repairs
    if not (record.entries or is_repair) and any((folder / "keys").glob("*.key")):
        raise BundleError(f"{folder}: the folder {PLACE}/ is missing or empty", hint=_REBUILD)
    state = FolderState(
        manifest=replace(
            fold(record.entries, record.problems), summary=_read_summary_hashes(folder, marker)
        ),
        record=record,
        has_marker=has_marker,
        earlier=earlier,
        imported=imported,
    )
    _check_team(folder, state.manifest)
    if run is not None:
        run.see(state)
    return state


def _read_marker(path: Path, record: Record) -> dict[str, Any]:
    """Return the content of ``manifest.json``, which is the state in a folder of lyncnb 0.2.0.

    A record whose marker is lost or damaged is read, and the next change writes the marker again.
    """
    try:
        is_present = os.path.lexists(path)
    except ValueError:  # The name of the folder is not valid.
        is_present = False
    if not is_present and not record.entries:
        raise BundleError(
            f"this folder is not a request folder, because {path} does not exist",
            hint=f"check the name of the folder. If the folder contains keys/, {_REBUILD}",
        )
    try:
        document = json.loads(files.read_file(path, limit=_LARGEST)) if is_present else {}
        wrong = "does not specify a format"
    except (ValueError, RecursionError) as error:
        document, wrong = None, f"is not valid JSON ({_describe_json_error(error)})"
    if isinstance(document, dict) and isinstance(document.get("format"), str):
        return document
    if record.entries:
        return {"format": FORMAT, "is_lost": True}
    raise BundleError(f"{path} {wrong}", hint=_RESTORE_MARKER)


def read_manifest(folder: Path) -> Manifest:
    """Return the state of a request folder, as :func:`read_folder` does."""
    return read_folder(folder).manifest


def read_if_present(folder: Path) -> FolderState:
    """Return the state of a folder, which is empty in a folder that has no record yet."""
    is_present = os.path.lexists(folder / NAME) or os.path.lexists(folder / PLACE)
    return read_folder(folder) if is_present else FolderState()


def encode_summary_hashes(manifest: Manifest) -> bytes:
    """Return the content of the file with the hashes of the summary files."""
    return json.dumps(dict(manifest.summary), indent=1).encode()


def _read_summary_hashes(folder: Path, document: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of the summary files. Without them, the next run writes the summary."""
    with suppress(BundleError, ValueError, AttributeError, LookupError, TypeError):
        if os.path.lexists(folder / SUMMARY_HASHES):
            document = {"summary": json.loads(files.read_file(folder / SUMMARY_HASHES))}
        return {str(name): str(value) for name, value in document["summary"].items()}
    return {}


def _parse_earlier(path: Path, document: dict[str, object], data: bytes) -> Manifest:
    """Return the state in the manifest of lyncnb 0.2.0."""
    reader = RecordReader(NAME, is_json=True)
    del document["format"]
    if may_contain_surrogates(data):
        _reject_surrogates(document, reader)
    manifest = parse_manifest(document, reader)
    if manifest is None:
        raise BundleError(
            f"{path}: the file was edited or damaged, so lyncnb changed nothing",
            problems=tuple(reader.problems),
            hint=_RESTORE_MARKER,
        )
    return manifest


def build_import(
    manifest_data: bytes, history: bytes, manifest: Manifest
) -> tuple[str, bytes, Entry]:
    """Return the entry that contains all that lyncnb 0.2.0 recorded in a folder.

    The entry depends on the bytes of both files alone.
    """
    events = [*build_change(Manifest(), manifest), *list_earlier_lines(history)]
    at = find_last_time(manifest_data, history)
    return build_entry(events, number=1, at=at, user=("", ""), command="import")


def fold(entries: Sequence[Entry], problems: tuple[Problem, ...] = ()) -> Manifest:
    """Return the state that results from some entries.

    ``problems`` describes the entries that are damaged or missing.

    Raises
    ------
    BundleError
        If a value is not valid.
    """
    reader = RecordReader(PLACE, is_json=True)
    manifest = _fold_entries(entries, reader)
    if manifest is not None:
        return manifest
    if problems:
        # The other entries are valid, but they continue an entry that cannot be used.
        raise BundleError(f"{PLACE}/ is not whole, so lyncnb changed nothing", problems=problems)
    # A search in halves finds an entry after which the state is not valid.
    valid, invalid = 0, len(entries)
    while invalid - valid > 1:
        middle = (valid + invalid) // 2
        is_valid = _fold_entries(entries[:middle], RecordReader(PLACE, is_json=True)) is not None
        valid, invalid = (middle, invalid) if is_valid else (valid, middle)
    raise BundleError(
        f"{PLACE}/ contains values that are not valid, so lyncnb changed nothing",
        problems=tuple(reader.problems),
        hint=f"lyncnb does not write such an entry: {entries[invalid - 1].digest}. Move it out of "
        f"{PLACE}/, and check who can write to the folder",
    )


def _fold_entries(entries: Sequence[Entry], reader: RecordReader) -> Manifest | None:
    facts: dict[str, Facts] = {"": {}}
    for entry in entries:
        for event in entry.events:
            apply_event(facts, event)
    try:
        return parse_manifest(build_document(facts), reader)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        reader.problem(f"a value has the wrong type: {shown(str(error))}")
        return None


def build_document(facts: dict[str, Facts]) -> dict[str, Any]:
    """Return the state of a folder as plain values, from its facts."""
    folder = facts[""]
    document = build_folder(folder)
    order = folder.get(("folder",), {}).get("order", ())
    ids = dict.fromkeys(name for name in (*order, *facts) if name and name in facts)
    built = (build_request(name, facts[name]) for name in ids)
    return document | {"requests": [request for request in built if request is not None]}


def parse_manifest(document: Mapping[str, object], reader: RecordReader) -> Manifest | None:
    """Convert the JSON document of a manifest to a Manifest.

    Returns
    -------
    Manifest or None
        None if a value is not valid. The reader then contains a problem for each such value.
    """
    manifest = reader.record(Manifest, document)
    if manifest is not None:
        _check_records(manifest.requests, reader)
    return None if reader.problems else manifest


def _check_records(records: Sequence[RequestRecord], reader: RecordReader) -> None:
    """Report file names that are not valid, and IDs and generations that appear twice."""
    seen: set[str] = set()
    for record in records:
        request_id = record.id
        if request_id in seen:
            reader.problem(f"'{request_id}' appears twice")
        seen.add(request_id)
        if record.plan.shared_by == "server" and not record.plan.servers:
            reader.problem(f"'{request_id}.plan.servers' contains no server")
        if record.plan.id != request_id:
            reader.problem(
                f"'{request_id}.plan.id' does not match the request ID: {shown(record.plan.id)}"
            )
        stem = record.files.stem
        if record.files != list_current_files(stem) or not is_file_stem(
            stem, request_id, record.spki_sha256, None
        ):
            reader.problem(f"'{request_id}.files' does not match this request")
        generations = [generation.generation for generation in record.archived]
        if len(set(generations)) != len(generations):
            reader.problem(f"'{request_id}.archived' contains the same generation twice")
        for index, old in enumerate(record.archived):
            stem = old.files.stem
            if old.files != list_archived_files(stem) or not is_file_stem(
                stem, request_id, old.spki_sha256, old.generation
            ):
                reader.problem(
                    f"'{request_id}.archived[{index}].files' does not match this generation"
                )


def _reject_surrogates(document: Mapping[str, Any], reader: RecordReader) -> None:
    """Reject unpaired surrogates. Files and terminals cannot contain them."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        before = error.object[: error.start][-80:]
        reader.problem(f"the manifest contains an unpaired surrogate after {shown(before)}")


def _check_team(folder: Path, manifest: Manifest) -> None:
    """Raise an error if a group other than the recorded team can write to the folder."""
    group = folder_access.find_team_group(folder)
    if group and not folder_access.is_team_group(folder, manifest.team):
        expected = f'the group "{manifest.team}"' if manifest.team else "no group"
        raise SharedFolder(
            f'the group "{group}" can write to {folder}, but the record lists {expected}',
            hint=f"check the files in the folder, then run: chmod g-rwxs '{folder}'",
        )


def _describe_json_error(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not valid UTF-8"
    if isinstance(error, RecursionError):
        return "the values in the file are nested too deeply"
    return "the file contains a number that is too long"


def _reject_other_format(path: Path, format_id: str) -> None:
    if format_id in _OLDEST_FORMATS:
        raise OtherFormat(
            f'{path}: this version of lyncnb does not read the format "{format_id}", so it '
            "changed nothing",
            hint="run once with lyncnb 0.2.0, which converts the folder: lyncnb request TOPOLOGY "
            "FOLDER. To install that version: pip install lyncnb==0.2.0",
        )
    number = re.fullmatch(r"lyncnb-requests/([0-9]{1,6})", format_id)
    if number and int(number[1]) > int(FORMAT.rpartition("/")[2]):
        raise OtherFormat(
            f'{path}: the format "{format_id}" is newer than the format of this lyncnb version '
            f"({FORMAT})",
            hint="install a newer version of lyncnb. This version changed nothing",
        )
    raise BundleError(
        f"{path} must have the format {FORMAT}, but has {shown(format_id)}", hint=_RESTORE_MARKER
    )


def format_timestamp(today: date | None) -> str:
    """Return the current time, or midnight of `today`, as a UTC time in ISO 8601."""
    check_type("today", today, date, None)
    moment = datetime.now(UTC) if today is None else datetime(today.year, today.month, today.day)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
