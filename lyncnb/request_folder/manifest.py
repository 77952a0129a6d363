"""Read and write ``manifest.json``: the requests in a folder, with states and certificates.

The manifest contains no secret and no private key. ``request_record.py`` defines the records, and
``field_forms.py`` the fields.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ..base.arguments import check_type
from ..base.disk import files, folder_access, system_calls
from ..base.disk.folder_lock import confirm_lock
from ..base.garbage_collection import pause_garbage_collection
from ..base.json_text import may_contain_surrogates
from ..base.pasted_text import shown
from ..base.records import SINCE_2, Line, RecordReader, convert_record, make_unknown_keys_field
from ..errors import BundleError, OtherFormat, SharedFolder
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

#: The format of the manifest.
FORMAT = "lyncnb-requests/3"
_EARLIER_FORMATS = ("lyncnb-requests/1", "lyncnb-requests/2")
NAME = "manifest.json"

# The largest size of a manifest in bytes. The size is about 500 MB for 100,000 requests with three
# generations each.
_LARGEST = 1 << 31
_REBUILD = "restore the file from a backup, or run: lyncnb status FOLDER --rebuild"


# The functions to call when a run reads or saves a manifest, by the real path of the request
# folder.
_watchers: dict[str, Callable[[Manifest, bool], None]] = {}


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


def _list_json_lines(manifest: Manifest) -> Iterator[str]:
    head = convert_record(manifest)
    del head["requests"]
    dump = json.JSONEncoder(ensure_ascii=False, default=convert_record).encode
    yield "{\n" + dump("format") + ": " + dump(FORMAT)
    for name, value in head.items():
        yield f",\n{dump(name)}: {dump(value)}"
    yield ',\n"requests": ['
    # Each request is on one line, so that a comparison of two manifests shows the requests that
    # have changed.
    for number, record in enumerate(manifest.requests):
        yield ("\n" if number == 0 else ",\n") + dump(record)
    yield "\n]}\n"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as UTF-8 JSON, with one line for each request."""
    return b"".join(line.encode() for line in _list_json_lines(manifest))


def save_manifest(folder: Path, manifest: Manifest) -> bool:
    """Write the manifest of a folder in one step, if the manifest has changed.

    The caller must hold the folder's lock.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        The data to record.

    Returns
    -------
    bool
        Whether the file was written.

    Raises
    ------
    BundleError
        If a request or generation appears twice or has the files of another one, or if another
        writer has locked the folder.
    """
    confirm_lock(Path(folder))
    reader = RecordReader(NAME, is_json=True)
    _check_records(manifest.requests, reader)
    if reader.problems:
        raise BundleError(
            f"{folder}: lyncnb did not change the manifest, because the new manifest would not "
            "be valid",
            problems=tuple(reader.problems),
            hint="rebuild the manifest from the keys and CSRs: lyncnb status FOLDER --rebuild",
        )
    path, data = Path(folder) / NAME, encode_manifest(manifest)
    if path.is_file() and path.read_bytes() == data:
        return False
    files.replace_file(path, data, 0o600)
    _notify_watcher(folder, manifest, is_saved=True)
    return True


@pause_garbage_collection()
def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a request folder.

    Raises
    ------
    BundleError
        If the manifest is missing, or was edited or truncated (the error lists all invalid
        fields), if a newer lyncnb version wrote it (:class:`OtherFormat`), or if a group that is
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
    try:
        os.lstat(path)
    except PermissionError as error:
        # Without permission for the folder, os.path.lexists would return False.
        raise system_calls.describe_error(error, folder, "read the folder") from None
    except (OSError, ValueError):
        raise BundleError(
            f"this folder is not a request folder, because {path} does not exist",
            hint=f"check the name of the folder. If the folder contains keys/, {_REBUILD}",
        ) from None
    data = files.read_file(path, limit=_LARGEST)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"{path} is not valid JSON ({_describe_json_error(error)})", hint=_REBUILD
        ) from None
    file_format = document.pop("format", None) if isinstance(document, dict) else None
    if file_format != FORMAT:
        _reject_other_format(path, file_format)
    reader = RecordReader(NAME, is_json=True)
    if may_contain_surrogates(data):
        _reject_surrogates(document, reader)
    manifest = parse_manifest(document, reader)
    if manifest is None or reader.problems:
        raise BundleError(
            f"{path}: the file was edited or damaged, so lyncnb changed nothing",
            problems=tuple(reader.problems),
            hint=_REBUILD,
        )
    _check_team(Path(folder), manifest)
    _notify_watcher(folder, manifest, is_saved=False)
    return manifest


@contextmanager
def watch_manifests(folder: Path, watcher: Callable[[Manifest, bool], None]) -> Iterator[None]:
    """Call a function whenever the manifest of a folder is read or saved."""
    key = os.path.realpath(folder)
    _watchers[key] = watcher
    try:
        yield
    finally:
        del _watchers[key]


def _notify_watcher(folder: Path, manifest: Manifest, *, is_saved: bool) -> None:
    see = _watchers.get(os.path.realpath(folder)) if _watchers else None
    if see is not None:
        see(manifest, is_saved)


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
            f'the group "{group}" can write to {folder}, but the manifest lists {expected}',
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


def _reject_other_format(path: Path, format_id: object) -> None:
    if format_id in _EARLIER_FORMATS:
        raise OtherFormat(
            f'{path}: this version of lyncnb does not read the format "{format_id}", so it '
            "changed nothing",
            hint="run once with lyncnb 0.2.0, which converts the folder: lyncnb request TOPOLOGY "
            "FOLDER. To install that version: pip install lyncnb==0.2.0",
        )
    number = (
        re.fullmatch(r"lyncnb-requests/([0-9]{1,6})", format_id)
        if isinstance(format_id, str)
        else None
    )
    if number and int(number[1]) > int(FORMAT.rpartition("/")[2]):
        raise OtherFormat(
            f'{path}: the format "{format_id}" is newer than the format of this lyncnb version '
            f"({FORMAT})",
            hint="install a newer version of lyncnb. This version changed nothing",
        )
    found = shown(format_id) if isinstance(format_id, str) else "no format"
    raise BundleError(f"{path} must have the format {FORMAT}, but has {found}", hint=_REBUILD)


def format_timestamp(today: date | None) -> str:
    """Return the current time, or midnight of `today`, as a UTC time in ISO 8601."""
    check_type("today", today, date, None)
    moment = datetime.now(UTC) if today is None else datetime(today.year, today.month, today.day)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
