"""Adopt the keys and CSRs in a folder that are not on record, and verify every key.

Data on record is kept if the files confirm it, so an intact folder does not change. No key is
removed. A key without a CSR becomes a superseded generation with the hash of the public
key, so that an issued certificate can still be matched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from ..base.disk import files
from ..base.disk.folder_access import find_team_group
from ..base.disk.outputs import OWN_FOLDERS
from ..base.pasted_text import shown
from ..base.planned_entry import PlannedEntry, PlannedKey
from ..base.request_content import RequestContent
from ..errors import BundleError, PassphraseError
from ..pki import csr, keys
from ..pki.passphrase import Secret, check_passphrase
from ..pki.pkcs8 import FolderCipher
from .bundle import Change, RequestBundle
from .entries import Record
from .files_on_disk import (
    Survey,
    compute_key_sha256,
    find_file_problems,
    reject_problems,
    take_survey,
)
from .history import REBUILD, record_changes
from .key_bindings import (
    add_bindings,
    find_altered_records,
    report_shared_keys,
    report_unverified_keys,
)
from .leftovers import Move, move_files, reject_incomplete_change, verify_passphrase
from .manifest import Manifest, format_timestamp, read_if_present, save_manifest
from .recovery_key import LIST, read_recovery_keys
from .request_record import (
    FOUND,
    ArchivedGeneration,
    RequestRecord,
    build_file_stem,
    find_request_id,
    is_file_stem,
    list_archived_files,
    list_current_files,
)
from .unrecorded import adopt_unrecorded_keys

# --- The following functions open and compare all keys and CSRs in a folder, without its manifest.

_ID = re.compile(r"[A-Za-z]+-[a-z0-9-]+-[0-9a-f]{8}")
_ARCHIVED = re.compile(rf"({_ID.pattern})-g([1-9][0-9]*)")  # The name in earlier versions.
_KEYED = re.compile(rf"{_ID.pattern}-[0-9a-f]{{8}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFiles:
    """A CSR, a key, or both, with the same file name. ``stem`` is the name without extension.

    Without a CSR, ``content`` is None. Without a key, ``key_sha256`` is empty. ``spki_sha256``
    belongs to the CSR or the key. ``computer`` is the computer that created the CSR, if the CSR
    contains the name.
    """

    stem: str
    content: RequestContent | None
    csr_sha256: str
    spki_sha256: str
    key_sha256: str
    computer: str = ""


@dataclass(slots=True, kw_only=True)
class Inventory:
    """The keys and CSRs in a folder by request ID, with notes about bad files.

    ``without_key`` contains the CSRs in ``csr/`` whose key is not in the folder. The numbers in
    ``archived`` are the generations in the names of earlier versions, or 0. ``reported`` contains
    the names of the files in the notes.
    """

    current: dict[str, list[FoundFiles]] = field(default_factory=dict)
    without_key: dict[str, list[FoundFiles]] = field(default_factory=dict)
    archived: dict[str, list[tuple[int, FoundFiles]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)

    def note(self, stem: str, text: str) -> None:
        """Add a note about the files with a name."""
        self.notes.append(text)
        self.reported.add(stem)


def take_inventory(survey: Survey, cipher: FolderCipher | None) -> Inventory:
    """Open every key file whose name has lyncnb's format, and read every CSR.

    The cipher may be None only if the folder contains no keys.

    Raises
    ------
    PassphraseError
        If the passphrase opens none of the keys.
    """
    inventory, wrong, opened = Inventory(), None, 0
    for directory, stem in _list_file_stems(survey):
        try:
            pair = _read_pair(survey, directory, stem, cipher)
        except PassphraseError as error:
            wrong = wrong or error
            inventory.note(stem, f"{error.message}; lyncnb did not use this file")
            continue
        except BundleError as error:
            inventory.note(stem, f"{error.message}; lyncnb did not use this file")
            continue
        opened += bool(pair.key_sha256)
        request_id = find_request_id(stem) if _KEYED.fullmatch(stem) else stem
        if directory == "archive":
            match = _ARCHIVED.fullmatch(stem)
            request_id, number = (match[1], int(match[2])) if match else (request_id, 0)
            inventory.archived.setdefault(request_id, []).append((number, pair))
        elif not is_file_stem(stem, request_id, pair.spki_sha256, None):
            continue  # The name belongs to another key, so the file is unrecorded.
        else:
            pairs = inventory.current if pair.key_sha256 else inventory.without_key
            pairs.setdefault(request_id, []).append(pair)
    if wrong is not None and not opened:
        raise wrong
    return inventory


def _list_file_stems(survey: Survey) -> Iterator[tuple[str, str]]:
    current = {name[:-4] for name in (*survey.csr, *survey.keys) if name[-4:] in (".csr", ".key")}
    for stem in sorted(stem for stem in current if _ID.fullmatch(stem)):
        yield "csr", stem
    archived = {name[:-4] for name in survey.archive if name[-4:] in (".csr", ".key")}
    for stem in sorted(archived):
        if _ARCHIVED.fullmatch(stem) or _KEYED.fullmatch(stem):
            yield "archive", stem


def _read_pair(
    survey: Survey, directory: str, stem: str, cipher: FolderCipher | None
) -> FoundFiles:
    paths = list_archived_files(stem) if directory == "archive" else list_current_files(stem)
    has_csr, has_key = map(survey.has_file, paths)
    for path in filter(survey.has_file, paths):
        if wrong := find_file_problems(survey, path):
            raise BundleError(f"{wrong[0].where} {wrong[0].message}", hint=wrong[0].hint)
    request, public, digest = None, "", ""
    if has_csr:
        request = csr.parse_request(files.read_file(survey.folder / paths.csr), name=paths.csr)
        if request.has_valid_signature() is False:
            raise BundleError(
                f"{paths.csr}: the signature of the request is not valid",
                hint="restore the request from a backup, or move the request and its key out "
                "of the folder",
            )
    if has_key and cipher is not None:
        data = files.read_file(survey.folder / paths.key)
        public = keys.compute_spki_sha256(cipher.decrypt(data, name=paths.key))
        digest = compute_key_sha256(data)
        if request is not None and request.spki_sha256 != public:
            raise BundleError(
                f"{paths.key} does not belong to {paths.csr}",
                hint="restore both files from a backup, or move both out of the folder",
            )
        if (
            directory == "csr"
            and request is not None
            and (difference := keys.find_key_difference(request.public_key))
        ):
            raise BundleError(
                f"lyncnb cannot use the key {paths.key}: {difference}",
                hint=(
                    "move the key and its CSR out of the folder. When you next run "
                    "lyncnb request, it generates a new key and CSR"
                ),
            )
    return FoundFiles(
        stem=stem,
        content=request.content if request else None,
        csr_sha256=request.csr_sha256 if request else "",
        spki_sha256=request.spki_sha256 if request else public,
        key_sha256=digest,
        computer=request.computer if request else "",
    )


_LOST = (
    "the record was lost: the saved plans and approvals, the reasons for accepted findings, the "
    "deployments, and which installed certificates cover requests. If you find a backup, copy its "
    "record/ into the folder at any time. Otherwise, request the same plan again with the same "
    "options: lyncnb request TOPOLOGY FOLDER"
)
_AGAIN = "to match the certificates in returned/ again, run: lyncnb receive FOLDER"


def rebuild_manifest(
    folder: str | os.PathLike[str],
    passphrase: Secret | str | None,
    *,
    confirmed: Sequence[str] = (),
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> RequestBundle:
    """Open every key and CSR in a folder, and adopt those that are not on record.

    Parameters
    ----------
    folder : path
        A folder with ``csr/`` and ``keys/``; the record may be lost.
    passphrase : Secret or str
        The passphrase of the folder. It may be None if no file is encrypted (see
        :func:`has_encrypted_files`).
    confirmed : sequence of str, optional
        Ids, beginnings of ids, or patterns of the requests that you recognize in the notes of an
        earlier call. Without the proof in the record, lyncnb cannot know that they are yours. Also
        the hashes of entries that are missing from the record and lost.
    today : date, optional
        The date to record instead of the current time.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    RequestBundle
        ``changes`` lists new records. ``notes`` lists unusable files, and says if the record was
        lost. The next run with the plan then adds the servers and sites, and does not renew
        requests that match the plan.

    Raises
    ------
    PassphraseError, BundleError
        If the passphrase opens no key, or the folder needs attention.
    """
    path = Path(folder)
    cipher = None if passphrase is None else FolderCipher(check_passphrase(passphrase))
    if cipher is None and has_encrypted_files(path):
        raise PassphraseError("the passphrase is missing", hint="enter the folder's passphrase")
    if not take_survey(path).holds_requests:
        raise BundleError(f"{path} contains no keys and no CSRs", hint="check the folder's name")
    now = format_timestamp(today)
    with record_changes(path, REBUILD, now=now, wait_seconds=lock_seconds, is_repair=True) as run:
        survey = take_survey(path)
        reject_problems(path, survey.problems)
        state = read_if_present(path)
        before, lost = state.manifest, _accept_missing_entries(path, state.record, confirmed)
        reject_incomplete_change(path, before)
        if cipher and (altered := tuple(find_altered_records(before, cipher))):
            # With a wrong passphrase, every record would seem to be changed.
            verify_passphrase(survey, before, cipher)
            reject_problems(path, altered)
        inventory = take_inventory(survey, cipher)
        manifest, moves, changes = _rebuild_records(before, inventory, now)
        if cipher is not None:
            moved = {move.source for move in moves}
            manifest, key_moves, notes = adopt_unrecorded_keys(
                survey, manifest, cipher, now=now, reported=inventory.reported
            )
            moves = (*moves, *(move for move in key_moves if move.source not in moved))
            inventory.notes += notes
        reject_problems(path, tuple(report_shared_keys(manifest)))
        manifest = replace(manifest, team=before.team or find_team_group(path))
        manifest = _add_encrypted_lists(path, manifest, cipher)
        if cipher is not None:
            names = [name for name in confirmed if name not in lost]
            ids = _find_confirmed_requests(path, manifest, inventory, names)
            manifest = add_bindings(manifest, cipher, ids=ids)
            inventory.notes += _describe_unverified_keys(manifest, inventory)
        if moves:
            files.make_folder(path / "archive", OWN_FOLDERS["archive"])
        move_files(survey, moves)
        if manifest != before:
            manifest = manifest.with_event("rebuilt", f"{len(changes)} changes", now=now)
        save_manifest(path, manifest)
        run.save(without=lost)
    notes = [*([] if state.record.entries else [_LOST]), *inventory.notes]
    notes += [_AGAIN] if _has_returned_files(path) and changes else []
    return RequestBundle(folder=path, manifest=manifest, changes=changes, notes=tuple(notes))


def _find_confirmed_requests(
    folder: Path, manifest: Manifest, inventory: Inventory, names: Sequence[str]
) -> frozenset[str]:
    """Return the requests that a person confirmed, and whose key and CSR lyncnb has opened."""
    ids = frozenset(
        record.id
        for record in manifest.requests
        for name in names
        if name and (record.id.startswith(name) or fnmatchcase(record.id, name))
    )
    if names and not ids:
        raise BundleError(
            f"{folder}: no request matches {shown(names[0])}",
            hint="to list the requests: lyncnb status FOLDER",
        )
    opened = {
        pair.spki_sha256
        for pairs in inventory.current.values()
        for pair in pairs
        if pair.content is not None
    }
    return frozenset(name for name in ids if manifest.by_id[name].spki_sha256 in opened)


def _describe_unverified_keys(manifest: Manifest, inventory: Inventory) -> Iterator[str]:
    """Yield a note about what a person must compare before confirming each request."""
    unverified = {problem.file for problem in report_unverified_keys(manifest)}
    for record in manifest.requests:
        for pair in inventory.current.get(record.id, ()) if record.files.key in unverified else ():
            if pair.content is None or pair.spki_sha256 != record.spki_sha256:
                continue
            values = ", ".join(value for _, value in pair.content.subject)
            names = ", ".join(pair.content.names)
            names = f"the names {names}" if names else "no subject alternative name"
            yield (
                f"not verified: {record.id}. The CSR contains the subject {values} and "
                f"{names}. The SHA-256 of the public key is "
                f"{pair.spki_sha256}. If this is your request, run: lyncnb status FOLDER "
                f"{record.id} --rebuild"
            )


def has_encrypted_files(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder contains encrypted files, such as private keys."""
    path = Path(folder)
    survey = take_survey(path)
    names = (*survey.keys, *(name for name in survey.archive if name.endswith(".key")))
    return bool(names) or (path / LIST).exists() or any((path / "pfx").glob("*.enc"))


def _add_encrypted_lists(folder: Path, manifest: Manifest, cipher: FolderCipher | None) -> Manifest:
    """Record the existing encrypted lists in the manifest, so that ``rekey`` includes them."""
    if cipher is None:
        return manifest
    for path in sorted((folder / "pfx").glob("*.enc")) if (folder / "pfx").is_dir() else ():
        manifest = manifest.with_encrypted_file(f"pfx/{path.name}")
    if recipients := read_recovery_keys(folder, cipher):
        manifest = manifest.with_encrypted_file(LIST)
        manifest = replace(
            manifest, recovery=tuple(recipient.manifest_data for recipient in recipients)
        )
    return manifest


def _accept_missing_entries(
    folder: Path, record: Record, confirmed: Sequence[str]
) -> tuple[str, ...]:
    """Return the missing entries, if a person has confirmed that all are lost."""
    wrong = tuple(
        problem
        for problem in record.problems
        if not any(digest in confirmed and digest in problem.message for digest in record.missing)
    )
    reject_problems(folder, wrong)
    return record.missing


def _has_returned_files(folder: Path) -> bool:
    return (folder / "returned").is_dir() and any((folder / "returned").iterdir())


def _rebuild_records(
    before: Manifest, inventory: Inventory, now: str
) -> tuple[Manifest, tuple[Move, ...], tuple[Change, ...]]:
    records, moves, changes = [], [], []
    lone_csrs = inventory.without_key
    reported = {name for name, pairs in lone_csrs.items() if any(pair.computer for pair in pairs)}
    ids = dict.fromkeys(
        [*before.by_id, *sorted({*inventory.current, *inventory.archived, *reported})]
    )
    for request_id in ids:
        old = before.by_id.get(request_id)
        archived_files = inventory.archived.get(request_id, [])
        superseded = {pair.spki_sha256 for _, pair in archived_files}
        found_files = _choose_current(old, inventory.current.get(request_id, ()), superseded)
        lone_csr = None
        if found_files is None:
            lone_csr = _choose_current(old, lone_csrs.get(request_id, ()), superseded)
        present = found_files or lone_csr
        archived = _list_archived_generations(request_id, old, present, archived_files, now)
        if lone_csr is not None:
            record = _adopt_csr_without_key(request_id, old, lone_csr, archived, now)
            if record.key_holder:
                lone_csrs[request_id].remove(lone_csr)
        else:
            record = _build_record(request_id, old, found_files, archived, now)
        numbers = [number for number, _ in archived_files]
        record = _renumber_generation(record, numbers)
        # A key without a CSR may belong to a planned request. The next run processes such a key.
        announced = old is not None and not old.is_written
        if found_files is not None and found_files.content is None and not announced:
            record, lone = _archive_key(record, found_files, now)
            moves.append(lone)
        if record != old:
            changes.append(
                Change(
                    action="adopted",
                    id=request_id,
                    generation=record.generation,
                    reasons=("read from the private key and the CSR",),
                )
            )
        records.append(record)
    for pair in (pair for name in sorted(lone_csrs) for pair in lone_csrs[name]):
        inventory.note(pair.stem, f"csr/{pair.stem}.csr {_NO_KEY}")
    return replace(before, requests=tuple(records)), tuple(moves), tuple(changes)


def _choose_current(
    record: RequestRecord | None,
    candidates: Sequence[FoundFiles],
    superseded: Container[str],
) -> FoundFiles | None:
    """Return the files of the current generation among those in ``csr/`` and ``keys/``.

    An older copy of the folder brings a superseded generation back to these folders. The files in
    ``archive/`` show that it was superseded.
    """
    known = {part.spki_sha256 for part in record.archived} if record is not None else set()
    current_key = record.spki_sha256 if record is not None else ""

    def rank(pair: FoundFiles) -> tuple[bool, bool, bool]:
        key = pair.spki_sha256
        return key not in superseded, key == current_key, pair.content is not None

    return max(
        (pair for pair in candidates if pair.spki_sha256 not in known), key=rank, default=None
    )


def _renumber_generation(record: RequestRecord, archived_numbers: list[int]) -> RequestRecord:
    """Give the current generation the next unused number, if another one has its number."""
    used_numbers = [*archived_numbers, *(part.generation for part in record.archived)]
    generation = max(record.generation, 1, *(n + 1 for n in used_numbers))
    return replace(record, generation=generation)


def _list_archived_generations(
    request_id: str,
    record: RequestRecord | None,
    current_files: FoundFiles | None,
    found_files: list[tuple[int, FoundFiles]],
    now: str,
) -> tuple[ArchivedGeneration, ...]:
    """Return a request's archived generations, from its old record and the files in the folder."""
    parts = list(record.archived if record else ())
    for number, item in found_files:
        same_key = (n for n, part in enumerate(parts) if part.spki_sha256 == item.spki_sha256)
        if (index := next(same_key, None)) is not None:
            if item.key_sha256 and parts[index].key_sha256 != item.key_sha256:
                parts[index] = replace(parts[index], key_sha256=item.key_sha256)
            continue
        if current_files is not None and current_files.spki_sha256 == item.spki_sha256:
            continue
        used = {part.generation for part in parts}
        if not number or number in used:
            number = max(used, default=0) + 1
        if record is not None and record.spki_sha256 == item.spki_sha256:
            # The current generation in a restored manifest was renewed after the backup was made.
            part = replace(
                record.as_archived_generation,
                generation=number,
                files=list_archived_files(item.stem),
                superseded_at=now,
                reasons=FOUND,
            )
        else:
            part = _build_superseded_generation(request_id, number, item, now)
        parts.append(part)
    return tuple(sorted(parts, key=lambda part: part.generation))


def _build_superseded_generation(
    request_id: str, generation: int, item: FoundFiles, now: str
) -> ArchivedGeneration:
    return ArchivedGeneration(
        generation=generation,
        files=list_archived_files(item.stem),
        csr_sha256=item.csr_sha256,
        spki_sha256=item.spki_sha256,
        key_sha256=item.key_sha256,
        superseded_at=now,
        reasons=FOUND,
        plan=_build_entry(request_id, item.content),
    )


def _build_record(
    request_id: str,
    old_record: RequestRecord | None,
    found_files: FoundFiles | None,
    archived_generations: tuple[ArchivedGeneration, ...],
    now: str,
) -> RequestRecord:
    if old_record is None:
        old_record = RequestRecord(
            id=request_id,
            generation=max((part.generation for part in archived_generations), default=0) + 1,
            state="retired",
            files=list_current_files(found_files.stem if found_files else request_id),
            planned_at=now,
            retired_at=now,
            reasons=FOUND,
            plan=_build_entry(request_id, found_files.content if found_files else None),
        )
    record = replace(old_record, archived=archived_generations)
    if found_files is None or found_files.content is None:
        return record
    if (
        found_files.csr_sha256 == old_record.csr_sha256
        and found_files.spki_sha256 == old_record.spki_sha256
    ):
        # A key that was removed after deployment belongs to the folder again if a user restores it.
        record = replace(
            record,
            files=list_current_files(found_files.stem),
            key_sha256=found_files.key_sha256,
            deployed_at="",
        )
        return record if record.state == "retired" else replace(record, state=record.active_state)
    return replace(
        record,
        state="waiting",
        files=list_current_files(found_files.stem),
        csr_sha256=found_files.csr_sha256,
        spki_sha256=found_files.spki_sha256,
        key_sha256=found_files.key_sha256,
        written_at=now,
        handed_over_at="",
        retired_at="",
        deployed_at="",
        plan=_build_entry(request_id, found_files.content),
        issued=None,
        issued_at="",
        package=None,
        packaged_at="",
        refused=(),
        import_commands=(),
        assign_commands=(),
        deployments=(),
        revocation=None,
        approved_plan="",
    )


_NO_KEY = (
    "has no key, so lyncnb did not use this file. If the key is on another computer, "
    "move the file out of the folder, run lyncnb steps --request-on-server, and import "
    "the file with lyncnb receive --request"
)


def _adopt_csr_without_key(
    request_id: str,
    record: RequestRecord | None,
    found_files: FoundFiles,
    archived_generations: tuple[ArchivedGeneration, ...],
    now: str,
) -> RequestRecord:
    """Record in the manifest a CSR whose key is on another computer."""
    if record is not None and (
        not record.key_holder or record.csr_sha256 == found_files.csr_sha256
    ):
        return replace(record, archived=archived_generations)
    holder = record.key_holder if record is not None else found_files.computer
    return replace(
        _build_record(request_id, record, found_files, archived_generations, now), key_holder=holder
    )


def _archive_key(
    record: RequestRecord, found_files: FoundFiles, now: str
) -> tuple[RequestRecord, Move]:
    """Create a superseded generation from a key without a CSR. A CA may have received the CSR."""
    item = replace(found_files, stem=build_file_stem(record.id, found_files.spki_sha256))
    superseded = _build_superseded_generation(record.id, record.generation, item, now)
    if record.spki_sha256 == found_files.spki_sha256:
        superseded = replace(
            superseded, plan=record.plan, issued=record.issued, package=record.package
        )
    moved = record.build_next_generation(at=now, reasons=superseded.reasons, old=superseded)
    return replace(moved, state="retired"), Move(
        source=list_current_files(found_files.stem).key, target=superseded.files.key
    )


def _build_entry(request_id: str, content: RequestContent | None) -> PlannedEntry:
    """Return a plan entry that contains only the values in a CSR."""
    entry = PlannedEntry(id=request_id, role=request_id.partition("-")[0])
    if content is None:
        return entry
    return replace(
        entry,
        subject=dict(content.subject),
        san=tuple(content.names),
        eku=tuple(content.extended_key_usage),
        key=PlannedKey(algorithm=content.key_algorithm, bits=content.key_bits),
        hash=content.hash,
    )
