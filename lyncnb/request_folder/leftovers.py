"""Process files from an interrupted run: record them in the manifest, or archive them.

``process_leftovers`` decides which files to move, and ``move_files`` moves them. This module never
removes a file or overwrites a key. A key and a CSR belong together if they have the same public
key, regardless of the file names.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ..base.disk import files
from ..base.disk.folder_lock import confirm_lock
from ..errors import BundleError, PassphraseError, Problem
from ..pki import csr, keys
from ..pki.pkcs8 import FolderCipher
from .bundle import Change
from .files_on_disk import (
    CHANGED,
    MISSING,
    Survey,
    compute_csr_sha256,
    compute_key_sha256,
    find_file_problems,
    find_record_problems,
)
from .manifest import Manifest
from .request_record import (
    ArchivedGeneration,
    RequestFiles,
    RequestRecord,
    find_request_id,
    is_file_stem,
    list_current_files,
)

# The largest number of keys to try. Deriving a key with another salt takes 0.15 s. A single key
# that cannot be opened may be damaged. If three keys cannot be opened, the passphrase is wrong.
_KEYS_TRIED = 3
# The maximum size of an encrypted file in bytes. A list of 100,000 passwords takes about 20 MB.
LARGEST = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A file to move, with its old and new path relative to the folder."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The manifest of a folder after all leftover files are processed, and the files to move.

    ``adopted`` contains the ids of requests whose key and CSR were completely written by an
    interrupted run.
    """

    manifest: Manifest
    adopted: frozenset[str] = frozenset()
    moves: tuple[Move, ...] = ()
    changes: tuple[Change, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    csr_sha256: str
    spki_sha256: str
    key_sha256: str  # The SHA-256 of the key file, or "" if the key is on another computer.
    key_difference: str  # A description of how the key differs from keys that lyncnb generates.


def reject_incomplete_change(folder: Path, manifest: Manifest) -> None:
    """Raise BundleError if a passphrase change was interrupted. Files then use two passphrases."""
    if manifest.rekeying:
        raise BundleError(
            f"{folder}: the passphrase change that started at {manifest.rekeying} is incomplete",
            hint="complete the change with the same two passphrases: lyncnb rekey FOLDER",
        )


def verify_passphrase(survey: Survey, manifest: Manifest, cipher: FolderCipher) -> bool:
    """Verify the passphrase with a key in the folder or, without a key, with a password list.

    Returns
    -------
    bool
        False if the folder contains no encrypted file.

    Raises
    ------
    PassphraseError, BundleError
        If none of up to three files can be opened, or a passphrase change is incomplete.
    """
    reject_incomplete_change(survey.folder, manifest)
    failure: BundleError | None = None
    for path in islice(_choose_files(survey, manifest), _KEYS_TRIED):
        try:
            cipher.open_file(files.read_file(survey.folder / path, limit=LARGEST), name=path)
        except BundleError as error:
            # A wrong passphrase is more likely than a damaged file, so the error reports a wrong
            # passphrase.
            if failure is None or isinstance(error, PassphraseError):
                failure = error
        else:
            return True
    if failure is not None:
        raise failure
    return False


def _choose_files(survey: Survey, manifest: Manifest) -> Iterable[str]:
    # A key with an HMAC uses the current passphrase. Other keys may use a passphrase that is lost.
    for record in sorted(manifest.requests, key=lambda item: not item.binding):
        path = record.files.key
        if record.has_key and not any(p.file == path for p in find_record_problems(survey, record)):
            yield path
    stems = _group_leftovers(survey, manifest)
    for record in manifest.requests:
        for stem in stems.get(record.id, ()):
            if survey.has_file(path := list_current_files(stem).key):
                yield path
    for name in sorted(survey.archive):
        if name.endswith(".key"):
            yield f"archive/{name}"
    for path in manifest.encrypted:
        if os.path.lexists(survey.folder / path):
            yield path


def process_leftovers(
    survey: Survey,
    manifest: Manifest,
    *,
    cipher: FolderCipher | None,
    now: str,
    abandoned_ids: frozenset[str] = frozenset(),
) -> Settled:
    """Decide what to do with the files that interrupted runs have left in a folder.

    Parameters
    ----------
    survey : Survey
        The result of examining the folder.
    manifest : Manifest
        The manifest of the folder.
    cipher : FolderCipher or None
        The cipher with the verified passphrase. In a dry run without a passphrase, it is None, and
        lyncnb assumes that the key and the CSR from an interrupted run belong together.
    now : str
        The time to record (UTC, ISO 8601).
    abandoned_ids : frozenset of str, optional
        The ids of requests that will be renewed. Their leftover files are moved to ``archive/``.

    Returns
    -------
    Settled
        The manifest and the files to move. Records that are not correct are listed in ``problems``.
    """
    records, adopted, moves, changes = [], set(), [], []
    problems: list[Problem] = []
    stems = _group_leftovers(survey, manifest)
    for record in manifest.requests:
        if record.is_written:
            record, wrong = _is_intact(survey, record, cipher)
            lost = record.id in abandoned_ids
            problems += [p for p in wrong if not (lost and p.message in (CHANGED, MISSING))]
        else:
            pending = find_pending_moves(survey, record)
            moves += pending
            moving = {move.source for move in pending}
            record, orphans = _process_request_leftovers(
                survey, record, stems.get(record.id, []), cipher, pending_moves=moving, now=now
            )
            moves += orphans
            if record.is_written:
                adopted.add(record.id)
            if orphans:
                reasons = tuple(f"{move.source} -> {move.target}" for move in orphans)
                changes.append(_build_archive_change(record, reasons))
        records.append(record)
    return Settled(
        manifest=replace(manifest, requests=tuple(records)),
        adopted=frozenset(adopted),
        moves=tuple(moves),
        changes=tuple(changes),
        problems=tuple(problems),
    )


def _build_archive_change(record: RequestRecord, reasons: tuple[str, ...]) -> Change:
    reasons = ("left by an interrupted command", *reasons)
    return Change(action="archived", id=record.id, generation=record.generation, reasons=reasons)


def _is_intact(
    survey: Survey, record: RequestRecord, cipher: FolderCipher | None
) -> tuple[RequestRecord, tuple[Problem, ...]]:
    problems = find_record_problems(survey, record)
    key = record.files.key
    if cipher is None or [(p.file, p.message) for p in problems] != [(key, CHANGED)]:
        return record, problems
    # Another program or an incomplete passphrase change has encrypted the same key again.
    pair = _read_matching_pair(survey, record.files, cipher)
    if pair is None or pair.spki_sha256 != record.spki_sha256:
        return record, problems
    return replace(record, key_sha256=pair.key_sha256), ()


def _group_leftovers(survey: Survey, manifest: Manifest) -> dict[str, list[str]]:
    """Return the names of the files that a run left before it could record them, by request."""
    announced = {record.id for record in manifest.requests if not record.is_written}
    return group_files_by_request(survey, announced)


def group_files_by_request(survey: Survey, ids: Container[str]) -> dict[str, list[str]]:
    """Return the names of the keys and CSRs in ``keys/`` and ``csr/``, by request."""
    groups: dict[str, list[str]] = {}
    for stem in sorted({Path(name).stem for name in (*survey.csr, *survey.keys)}):
        name = stem if stem in ids else find_request_id(stem)
        if name in ids:
            groups.setdefault(name, []).append(stem)
    return groups


def _read_matching_pair(
    survey: Survey, paths: RequestFiles, cipher: FolderCipher | None
) -> _Pair | None:
    """Return the CSR and the key with a name, or None if the CSR does not match the key."""
    csr_path, key_path = paths
    if find_file_problems(survey, csr_path) or find_file_problems(survey, key_path):
        return None
    key_data = files.read_file(survey.folder / key_path)
    try:
        request = csr.parse_request(files.read_file(survey.folder / csr_path), name=csr_path)
        if cipher is not None:
            key = cipher.decrypt(key_data, name=key_path)
            if not keys.is_key_pair(key, request.public_key):
                return None
    except BundleError:
        return None
    return _Pair(
        csr_sha256=request.csr_sha256,
        spki_sha256=request.spki_sha256,
        key_sha256=compute_key_sha256(key_data),
        key_difference=keys.find_key_difference(request.public_key),
    )


def find_pending_moves(survey: Survey, record: RequestRecord) -> list[Move]:
    """Return the moves of a superseded generation's files that are recorded but not complete."""
    if record.is_written or not record.archived:
        return []
    old = record.archived[-1]
    moves = []
    # A folder of an earlier version has the request's ID as the name.
    for stem in (old.files.stem, record.id):
        for source, target in zip(list_current_files(stem), old.files, strict=True):
            if survey.has_file(source) and _is_older_file(survey, source, target, old):
                moves.append(Move(source=source, target=target))
    return moves


def _is_older_file(
    survey: Survey, source: str, target: str, generation: ArchivedGeneration
) -> bool:
    if survey.has_file(target):
        # A file exists under both the old and the new name. The move is complete if the files are
        # the same.
        return is_same_file(survey.folder / source, survey.folder / target)
    if find_file_problems(survey, source):
        return False
    data = files.read_file(survey.folder / source)
    if source.endswith(".csr"):
        return compute_csr_sha256(data) == generation.csr_sha256
    return compute_key_sha256(data) == generation.key_sha256


def is_same_file(first: Path, second: Path) -> bool:
    """Return whether two names refer to the same file, or to files with equal content."""
    return os.path.samefile(first, second) or files.read_file(first) == files.read_file(second)


def _process_request_leftovers(
    survey: Survey,
    record: RequestRecord,
    stems: Sequence[str],
    cipher: FolderCipher | None,
    *,
    pending_moves: set[str],
    now: str,
) -> tuple[RequestRecord, list[Move]]:
    orphans: list[Move] = []
    known = {generation.spki_sha256 for generation in record.archived}
    for files_found in map(list_current_files, stems):
        paths = [
            path for path in files_found if survey.has_file(path) and path not in pending_moves
        ]
        pair = None
        if record.is_written:
            pass  # Another pair with the name of this request is already adopted.
        elif record.key_holder and paths == [files_found.csr]:
            pair = _read_csr_without_key(survey, files_found.csr)
        elif len(paths) == 2 and not record.key_holder:
            pair = _read_matching_pair(survey, files_found, cipher)
        if (
            pair is not None
            and pair.spki_sha256 not in known
            and not pair.key_difference
            and is_file_stem(files_found.stem, record.id, pair.spki_sha256, None)
        ):
            record = _adopt_pair(record, files_found, pair, now)
        else:
            orphans += _plan_orphan_moves(survey, record, paths)
    return record, orphans


def _read_csr_without_key(survey: Survey, path: str) -> _Pair | None:
    """Return the CSR of a request whose key is on another computer."""
    if find_file_problems(survey, path):
        return None
    try:
        request = csr.parse_request(files.read_file(survey.folder / path), name=path)
    except BundleError:
        return None
    if request.has_valid_signature() is False:
        return None
    return _Pair(
        csr_sha256=request.csr_sha256,
        spki_sha256=request.spki_sha256,
        key_sha256="",
        key_difference=keys.find_key_difference(request.public_key),
    )


def _adopt_pair(record: RequestRecord, paths: RequestFiles, pair: _Pair, now: str) -> RequestRecord:
    return replace(
        record,
        state="retired" if record.state == "retired" else "waiting",
        files=paths,
        csr_sha256=pair.csr_sha256,
        spki_sha256=pair.spki_sha256,
        key_sha256=pair.key_sha256,
        written_at=now,
    )


def _plan_orphan_moves(survey: Survey, record: RequestRecord, paths: Sequence[str]) -> list[Move]:
    if not paths:
        return []
    # The name contains a hash of the content, so a move that is retried uses the same target.
    mark = compute_key_sha256(files.read_file(survey.folder / paths[-1]))[:8]
    stem = f"archive/{record.id}-orphan-{mark}"
    return [Move(source=path, target=f"{stem}{path[-4:]}") for path in paths]


def move_files(survey: Survey, moves: Iterable[Move]) -> None:
    """Move files to ``archive/``, or complete a move that was interrupted."""
    for move in moves:
        confirm_lock(survey.folder)
        source, target = survey.folder / move.source, survey.folder / move.target
        if os.path.lexists(target) and is_same_file(source, target):
            files.remove_file(source)
        else:
            files.move_file(source, target)
