"""Remove files that no CA or server needs any more. The user confirms a list of them first.

Only this module removes keys. It never lists a file that a later step may need: a certificate in
use keeps its key until its successor is recorded as installed on all servers. A key that is
recorded as deployed remains until its certificate is received. Files that an interrupted run left
in ``archive/`` are never removed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar

from ..base.arguments import check_type
from ..base.disk import files
from ..base.disk.folder_lock import confirm_lock
from ..base.pasted_text import shown
from ..base.records import JsonSerializable
from ..base.shown.frames import Kind
from ..base.shown.tables import Table, columns, format_count, join_first_texts
from ..errors import BundleError
from ..pki.passphrase import Secret, check_passphrase
from ..pki.pkcs8 import FolderCipher
from ..request_folder.field_forms import is_inside
from ..request_folder.files_on_disk import Survey, reject_problems, take_survey
from ..request_folder.generations import (
    Generations,
    find_generations,
    is_expired,
    list_servers_for,
)
from ..request_folder.history import record_changes
from ..request_folder.key_bindings import find_binding_problems
from ..request_folder.leftovers import find_pending_moves, verify_passphrase
from ..request_folder.manifest import Manifest, format_timestamp, read_manifest, save_manifest
from ..request_folder.recovery_key import seal_new_keys
from ..request_folder.request_record import ArchivedGeneration, LogEntry, RequestRecord
from .package_passwords import LIST, PasswordList
from .secret_copies import PACKAGE, Opener, SecretCopy, find_secret_copies

# The class ``PurgeList`` shows the files that a purge will remove or has removed, as a table, a
# text and a document.

KEY_AND_CSR, CSR = "key and CSR", "CSR"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeItem:
    """The files of one generation that a purge removes.

    An item contains a key and its CSR, a CSR, a key, a package, or a copy.

    The item ``nothing`` is a request whose key was never in the folder, so only its deployment is
    recorded. A copy is a file that contains a key but is not in the manifest.
    """

    id: str
    generation: int
    what: str
    why: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeList(Table, JsonSerializable):
    """The items that a purge will remove or has removed. ``token`` identifies the list.

    ``kept`` is the number of superseded generations that remain because no later one is installed.
    ``unanswered`` is the number of requests that are recorded as deployed without an issued
    certificate. ``passwords`` lists the packages, by SHA-256, whose passwords are removed because
    nobody needs the packages. ``unopened`` lists files that may contain a key and remain because
    lyncnb could not open them.
    """

    json_keys: ClassVar = (
        "folder",
        "done=is_done",
        "token",
        "kept",
        "unanswered",
        "items",
        "passwords=password_count",
        "unopened",
    )

    _columns: ClassVar = columns(
        ("Certificate", "id"),
        ("Generation", "generation", Kind.COUNT),
        ("What", "what"),
        ("Why", "why"),
        ("Files", "files"),
    )

    folder: Path
    items: tuple[PurgeItem, ...]
    is_done: bool = False
    kept: int = 0
    unanswered: int = 0
    passwords: tuple[str, ...] = ()
    unopened: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not self.items and not self.passwords

    @property
    def password_count(self) -> int:
        """The number of passwords that the purge removes from the list of passwords."""
        return len(self.passwords)

    @property
    def token(self) -> str:
        """The eight hexadecimal digits with which the user confirms the list of files to remove."""
        lines = [f"{item.id} {item.generation} {' '.join(item.files)}" for item in self.items]
        return hashlib.sha256("\n".join((*lines, *self.passwords)).encode()).hexdigest()[:8]

    def _list_items(self) -> Iterable[Any]:
        return self.items

    def __repr__(self) -> str:
        lines = [
            f"{item.id} generation {item.generation}: {item.what}, {item.why}"
            for item in self.items
        ]
        return "\n".join([self._summarize(), *lines, *self._describe_other_files()])

    def _describe_other_files(self) -> Iterator[str]:
        if self.passwords:
            number = format_count(len(self.passwords), "password")
            yield f"{LIST}: {number} for packages that no server needs any more"
        if self.unopened:
            yield (
                "lyncnb could not open these files, so it does not remove them: "
                f"{join_first_texts(self.unopened, 1)}. Such a file may contain a key. Specify the "
                "passphrase, or check the file and remove it yourself."
            )
        if not self.is_empty:
            yield _HISTORIES

    def _summarize(self) -> str:
        outcome = (
            "removed" if self.is_done else f"to remove (to confirm, specify the token {self.token})"
        )
        number = len(self.items) + len(self.passwords)
        parts = [f"{format_count(number, 'item')} {outcome}" if number else "nothing to remove"]
        if self.is_done and not number:
            parts = ["nothing to remove, because an earlier command already removed the files"]
        if self.kept:
            count_text = format_count(self.kept, "superseded key")
            parts.append(f"{count_text} kept until a later generation is recorded as deployed")
        if self.unanswered:
            count_text = format_count(self.unanswered, "deployed request")
            parts.append(f"{count_text} kept, because the CA issued no certificate")
        return f"{self.folder}: {'; '.join(parts)}"


_DEPLOYED = "deployed"
_GONE = "the last of its servers left"
_HISTORIES = (
    "Version histories, snapshots, recycle bins, and backups keep copies of these files. "
    "lyncnb cannot remove these copies."
)

#: The events before and after the removal of all files on a confirmed list. They contain the token
#: of the list.
_CONFIRMED, _FINISHED = "purge-confirmed", "purge-finished"


def purge(
    folder: str | os.PathLike[str],
    *,
    deployed: Sequence[str] = (),
    confirmed: PurgeList | str | None = None,
    passphrase: Secret | str | None = None,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> PurgeList:
    """List the files that are not needed any more. If the user confirmed the list, remove them.

    The list contains four groups of files. The first group is the keys and CSRs of superseded
    generations, if a later generation is recorded on all of its servers. The second group is the
    keys and CSRs whose certificate has expired and is not in use. The third group is the keys and
    CSRs of certificates whose servers have all left. The fourth group is the keys and packages of
    the requests in `deployed`. Their CSRs remain, so that a later run with the same plan requests
    nothing again.

    Parameters
    ----------
    folder : path
        A request folder.
    deployed : sequence of str, optional
        Ids whose certificate and key are installed on all of their servers.
    confirmed : PurgeList or str, optional
        The list that an earlier call returned, or its token. Without it nothing is touched.
    passphrase : Secret or str, optional
        The folder's. It opens copies of keys and packages, and the list of passwords. Without it,
        passwords remain, and copies are found only if their bytes are on record.
    today : date, optional
        The day that decides what is expired; by default the present one, UTC.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    PurgeList
        With ``is_done`` if it was removed; each removal is in the manifest's log.

    Raises
    ------
    BundleError
        If what can be removed is no longer what was confirmed; nothing was removed then.
    """
    check_type("folder", folder, str, os.PathLike)
    check_type("purge: confirmed", confirmed, PurgeList, str, None)
    check_type("today", today, date, None)
    path, day = Path(folder), today or datetime.now(UTC).date()
    cipher = None if passphrase is None else FolderCipher(check_passphrase(passphrase))
    purge_list = _list_removable_items(
        take_survey(path), read_manifest(path), deployed, cipher, day
    )
    if confirmed is None:
        return purge_list
    token = confirmed if isinstance(confirmed, str) else confirmed.token
    with record_changes(path, "purge", now=format_timestamp(today), wait_seconds=lock_seconds):
        survey, manifest = take_survey(path), read_manifest(path)
        reject_problems(path, survey.problems)
        purge_list = _list_removable_items(survey, manifest, deployed, cipher, day)
        if token != purge_list.token and not _is_rest_of_confirmed(manifest, purge_list, token):
            if _has_event(manifest, _FINISHED, token) and purge_list.is_empty:
                return replace(purge_list, is_done=True)
            raise BundleError(
                (
                    f"{path}: {shown(token)} is not the confirmation token of the latest list, so "
                    "lyncnb removed nothing"
                ),
                hint=(
                    "list the files again, check the list, and confirm the removal with the "
                    "token that the list shows"
                ),
            )
        if cipher is not None:
            reject_problems(path, tuple(find_binding_problems(survey, manifest, cipher)))
            seal_new_keys(path, cipher, manifest)
        _remove_files(survey, manifest, purge_list, token, format_timestamp(today))
        if purge_list.passwords and cipher is not None:
            PasswordList(path, cipher).remove_passwords(purge_list.passwords)
        manifest = read_manifest(path).with_event(_FINISHED, token, now=format_timestamp(today))
        save_manifest(path, manifest)
    return replace(purge_list, is_done=True)


def _has_event(manifest: Manifest, event: str, token: str) -> bool:
    """Return whether an earlier call began to remove the files of the list, or removed them all."""
    return any(entry.event == event and entry.about == token for entry in manifest.log)


def _is_rest_of_confirmed(manifest: Manifest, purge_list: PurgeList, token: str) -> bool:
    """Return whether the list contains only what an interrupted call has not removed yet.

    That call recorded each removal before it removed the first file.
    """
    recorded = {
        (record.id, part.generation)
        for record in manifest.requests
        for part in record.generations
        if (part.deployed_at if isinstance(part, RequestRecord) else part.purged_at)
    }
    return (
        _has_event(manifest, _CONFIRMED, token)
        and not _has_event(manifest, _FINISHED, token)
        and all((item.id, item.generation) in recorded for item in purge_list.items)
    )


def needs_passphrase(folder: str | os.PathLike[str]) -> bool:
    """Return whether a purge without the passphrase can overlook a password or a copy of a key."""
    path = Path(folder)
    if os.path.lexists(path / LIST):
        return True
    return any(
        not secret_copy.spki_sha256
        for secret_copy in find_secret_copies(take_survey(path), read_manifest(path), None)
    )


def _list_removable_items(
    survey: Survey,
    manifest: Manifest,
    deployed_names: Sequence[str],
    cipher: FolderCipher | None,
    today: date,
) -> PurgeList:
    unknown = [name for name in deployed_names if name not in manifest.by_id]
    if unknown:
        raise BundleError(
            f'{survey.folder}: there is no request "{unknown[0]}"',
            hint="to list the requests: lyncnb status FOLDER",
        )
    opener = None
    if cipher is not None:
        verify_passphrase(survey, manifest, cipher)
        opener = Opener(cipher, PasswordList(survey.folder, cipher))
    deployed_ids = frozenset(deployed_names)
    items = [
        item
        for record in manifest.requests
        for item in _list_purge_items(survey, record, record.id in deployed_ids, today)
    ]
    superseded = {
        (record.id, old.generation)
        for record in manifest.requests
        for old in record.archived
        if _list_remaining_files(survey, record, old)
    }
    kept_count = len(superseded - {(item.id, item.generation) for item in items})
    copies = find_secret_copies(survey, manifest, opener)
    items += _list_unneeded_copies(manifest, copies, deployed_ids, today)
    going = {path for item in items for path in item.files}
    return PurgeList(
        folder=survey.folder,
        items=tuple(items),
        kept=kept_count,
        unanswered=sum(manifest.by_id[name].issued is None for name in deployed_ids),
        passwords=_find_unused_passwords(
            survey, manifest, opener, copies, going, deployed_ids, today
        ),
        unopened=tuple(copy.path for copy in copies if not copy.spki_sha256),
    )


def _list_unneeded_copies(
    manifest: Manifest, copies: Sequence[SecretCopy], deployed_ids: frozenset[str], today: date
) -> Iterator[PurgeItem]:
    """Return the copies of keys that no request needs any more."""
    owners: dict[str, list[tuple[RequestRecord, RequestRecord | ArchivedGeneration]]] = {}
    for record in manifest.requests:
        for part in record.generations:
            owners.setdefault(part.spki_sha256, []).append((record, part))
    for copy in copies:
        reasons = [
            (
                record.id,
                part.generation,
                explain_removal(record, part, record.id in deployed_ids, today),
            )
            for record, part in (owners.get(copy.spki_sha256, ()) if copy.spki_sha256 else ())
        ]
        if reasons and all(reason for _, _, reason in reasons):
            request_id, generation, reason = reasons[0]
            yield PurgeItem(
                id=request_id,
                generation=generation,
                what=f"copy of the {copy.what}",
                why=reason,
                files=(copy.path,),
            )


def explain_removal(
    record: RequestRecord,
    part: RequestRecord | ArchivedGeneration,
    is_named: bool,
    today: date,
) -> str:
    """Return why the key of a generation is no longer needed, or "" if it may be needed."""
    life = _find_generations_in_use(record, is_named)
    if part is record and part.issued is not None and (is_named or record.deployed_at):
        return _DEPLOYED
    if part.issued is not None and not list_servers_for(record, part) and record.gone:
        return f"{_GONE} on {max(entry.on for entry in record.gone)}"
    if part.generation in life.used and record.state != "retired":
        return ""
    is_over = is_expired(part.issued, today)
    if isinstance(part, ArchivedGeneration):
        if is_over and part.issued is not None:
            return f"superseded, expired on {part.issued.not_after[:10]}"
        if not life.is_recorded or part.generation >= min(life.used):
            return ""
        return f"superseded: the servers already use generation {min(life.used)}"
    if is_over and part.issued is not None and part.is_written:
        return f"expired on {part.issued.not_after[:10]}"
    return ""


def _find_generations_in_use(record: RequestRecord, is_named: bool) -> Generations:
    """Return the generations in use.

    If the user names the request, treat its issued certificate as deployed.
    """
    if is_named and record.issued is not None and not record.deployed_at:
        deployed_at = record.packaged_at or record.issued_at or record.issued.received_at
        record = record.with_removed_key_and_package(at=deployed_at)
    return find_generations(record)


def _find_unused_passwords(
    survey: Survey,
    manifest: Manifest,
    opener: Opener | None,
    copies: Sequence[SecretCopy],
    removed_files: set[str],
    deployed_ids: frozenset[str],
    today: date,
) -> tuple[str, ...]:
    """Return the SHA-256 of each package whose password is no longer needed.

    The password of a recorded package remains as long as its key is needed, because the package may
    still be sent to a server. The password of a package that has another name in the folder also
    remains.
    """
    if opener is None:
        return ()
    package_paths = {copy.path for copy in copies if copy.what == PACKAGE}
    staying = set()
    for record in manifest.requests:
        for part in record.generations:
            if part.package is not None:
                package_paths.add(part.package.file)
                if not explain_removal(record, part, record.id in deployed_ids, today):
                    staying.add(part.package.sha256)
    for path in package_paths - removed_files:
        with suppress(BundleError):
            staying.add(hashlib.sha256(files.read_file(survey.folder / path)).hexdigest())
    return tuple(sorted(opener.passwords.packages - staying))


def _list_purge_items(
    survey: Survey, record: RequestRecord, is_deployed: bool, today: date
) -> Iterator[PurgeItem]:
    for old in record.archived:
        reason = explain_removal(record, old, is_deployed, today)
        paths = _list_remaining_files(survey, record, old)
        if reason and paths:
            yield _build_key_item(record.id, old.generation, reason, paths)
        if reason:
            yield from _list_package(survey, record, old, reason)
    reason = explain_removal(record, record, is_deployed, today)
    if reason == _DEPLOYED:
        # The files include those that an interrupted purge recorded as removed but did not remove.
        yield from _list_items_for_deployed_generation(survey, record)
    elif reason:
        paths = tuple(path for path in record.files if survey.has_file(path))
        kind = CSR if record.key_holder else KEY_AND_CSR
        yield _build_key_item(record.id, record.generation, reason, paths, kind)
        yield from _list_package(survey, record, record, reason)


def _list_remaining_files(
    survey: Survey, record: RequestRecord, generation: ArchivedGeneration
) -> tuple[str, ...]:
    """Return a superseded generation's remaining files, even if moving them was interrupted."""
    paths = [path for path in generation.files if survey.has_file(path)]
    if generation is record.archived[-1]:
        paths += [move.source for move in find_pending_moves(survey, record)]
    return tuple(paths)


def _list_items_for_deployed_generation(
    survey: Survey, record: RequestRecord
) -> Iterator[PurgeItem]:
    key = record.files.key
    if record.key_holder and not record.deployed_at:
        yield PurgeItem(
            id=record.id,
            generation=record.generation,
            what="nothing",
            why=(
                f"{_DEPLOYED}: the key was generated on {record.key_holder} and was "
                "never in this folder"
            ),
            files=(),
        )
    if survey.has_file(key):
        yield PurgeItem(
            id=record.id,
            generation=record.generation,
            what="key",
            why=f"{_DEPLOYED}: after you remove this file, only the servers have the key",
            files=(key,),
        )
    yield from _list_package(survey, record, record, _DEPLOYED)


def _list_package(
    survey: Survey, record: RequestRecord, part: RequestRecord | ArchivedGeneration, reason: str
) -> Iterator[PurgeItem]:
    """Yield the package file of one generation, unless it now belongs to another generation."""
    path = part.package.file if part.package else ""
    if not part.package or not is_inside(path, "pfx") or not (survey.folder / path).is_file():
        return
    owners = [
        generation
        for generation in record.generations
        if generation.package and generation.package.file == path
    ]
    digest = hashlib.sha256(files.read_file(survey.folder / path)).hexdigest()
    if len(owners) == 1 or digest == part.package.sha256:
        yield PurgeItem(
            id=record.id, generation=part.generation, what="package", why=reason, files=(path,)
        )


def _build_key_item(
    request_id: str, generation: int, reason: str, paths: tuple[str, ...], kind: str = KEY_AND_CSR
) -> PurgeItem:
    return PurgeItem(id=request_id, generation=generation, what=kind, why=reason, files=paths)


def _remove_files(
    survey: Survey, manifest: Manifest, purge_list: PurgeList, token: str, now: str
) -> None:
    """Record the removal of the files, and then remove them."""
    # An expired current generation is superseded, so that its record remains without the files.
    # So does one whose servers left.
    finished = {
        item.id: item.why if item.why.startswith(_GONE) else "expired"
        for item in purge_list.items
        if item.what in (KEY_AND_CSR, CSR) and manifest.by_id[item.id].generation == item.generation
    }
    manifest = _supersede_finished_requests(manifest, finished, now)
    manifest = _record_removal(manifest, purge_list.items, now)
    save_manifest(survey.folder, manifest.with_event(_CONFIRMED, token, now=now))
    for item in purge_list.items:
        for path in item.files:
            confirm_lock(survey.folder)
            files.remove_file(survey.folder / path)


def _supersede_finished_requests(
    manifest: Manifest, finished: Mapping[str, str], now: str
) -> Manifest:
    # The next key is created on the same computer as the earlier key.
    return manifest.with_records(
        replace(
            record.build_next_generation(at=now, reasons=(reason,)),
            reasons=(f"{reason}, and purged",),
            key_holder=record.key_holder,
        )
        for record in manifest.requests
        if (reason := finished.get(record.id))
    )


def _record_removal(manifest: Manifest, items: Sequence[PurgeItem], now: str) -> Manifest:
    events, purged, deployed = [], set(), set()
    for item in items:
        description = f"{item.id} generation {item.generation}: {item.what}, {item.why}"
        events.append(LogEntry(at=now, event="purged", about=description))
        if item.why.startswith(_DEPLOYED):
            deployed.add(item.id)
        else:
            purged.add((item.id, item.generation))
    manifest = manifest.with_records(
        manifest.by_id[name].with_removed_key_and_package(
            at=manifest.by_id[name].deployed_at or now
        )
        for name in sorted(deployed)
    )
    records = (
        replace(
            record,
            archived=tuple(
                replace(old, purged_at=old.purged_at or now)
                if (record.id, old.generation) in purged
                else old
                for old in record.archived
            ),
        )
        for record in manifest.requests
        if record.archived
    )
    return replace(manifest.with_records(records), log=(*manifest.log, *events))
