"""Find keys and CSRs that are not in the manifest, and other unknown files.

Interrupted runs, simultaneous runs, and synchronization programs create such files
(``ID-DESKTOP-1.key``, ``archive/ID-orphan-….csr``). A CA may have received such a CSR. So lyncnb
reports it, and a rebuild adds the key and the CSR as a superseded generation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from ..base.disk import files
from ..base.disk.outputs import OWN_PLACES
from ..base.shown.tables import format_count, join_first_texts
from ..errors import BundleError, Problem
from ..pki import csr, keys
from ..pki.pkcs8 import FolderCipher
from .files_on_disk import Survey, compute_key_sha256, find_file_problems
from .leftovers import Move, group_files_by_request, is_same_file
from .manifest import Manifest
from .request_record import (
    FOUND,
    ArchivedGeneration,
    RequestFiles,
    RequestRecord,
    build_file_stem,
    list_archived_files,
    list_current_files,
)

_ENDINGS = (".csr", ".key")
_PLACES = ("csr", "keys", "archive")
_OWN_COPY = re.compile(r"archive/(?:manifest|plan|history)-[0-9a-f]{8}\.jsonl?")
_NUMBER = re.compile(r"-g([1-9][0-9]{0,5})\.(?:csr|key)$")
_SECRET = re.compile(rf"\.(?:key|pfx|p12)\b|(?:^|/){re.escape(files.TEMP_PREFIX)}", re.IGNORECASE)
_REBUILD = (
    "to add the request and its key as a superseded generation, run: lyncnb status FOLDER --rebuild"
)


def list_unrecorded_files(survey: Survey, manifest: Manifest) -> tuple[str, ...]:
    """Return the paths of keys and CSRs that have a request's name but are not recorded."""
    known = _list_known_paths(survey, manifest)
    paths = (
        f"{directory}/{name}"
        for directory in _PLACES
        for name in getattr(survey, directory)
        if name.endswith(_ENDINGS) and _find_request_of_file(name, manifest) is not None
    )
    return tuple(sorted(path for path in paths if path not in known))


def _list_known_paths(survey: Survey, manifest: Manifest) -> set[str]:
    """Return the recorded paths of keys and CSRs, and those that the next run records.

    That run uses what an interrupted run left for a request that is not written yet.
    """
    known = {path for record in manifest.requests for path in _list_paths(record)}
    announced = {record.id for record in manifest.requests if not record.is_written}
    for stems in group_files_by_request(survey, announced).values():
        known.update(path for stem in stems for path in list_current_files(stem))
    return known


def _list_paths(record: RequestRecord) -> Iterator[str]:
    for part in record.generations:
        yield from part.files


def _find_request_of_file(name: str, manifest: Manifest) -> RequestRecord | None:
    """Return the request whose ID is at the beginning of a file name.

    A program may have added text to the name.
    """
    stem = name.partition(".")[0].partition(" ")[0]
    while stem:
        if (record := manifest.by_id.get(stem)) is not None:
            return record
        stem = stem.rpartition("-")[0]
    return None


def find_unrecorded_requests(survey: Survey, manifest: Manifest) -> dict[str, str]:
    """Return the path of each readable unrecorded CSR, by the hash of its public key."""
    paths: dict[str, str] = {}
    for path in list_unrecorded_files(survey, manifest):
        if path.endswith(".csr") and not find_file_problems(survey, path):
            try:
                request = csr.parse_request(files.read_file(survey.folder / path), name=path)
            except BundleError:
                continue
            paths.setdefault(request.spki_sha256, path)
    known = {part.spki_sha256 for record in manifest.requests for part in record.generations}
    return {spki: path for spki, path in paths.items() if spki not in known}


def report_unrecorded_requests(survey: Survey, manifest: Manifest) -> Iterator[Problem]:
    """Report each CSR that is not in the manifest. A CA may have received the CSR."""
    for path in find_unrecorded_requests(survey, manifest).values():
        message = "the request is not on record, but the CA may have received the request"
        yield Problem(message=message, file=path, hint=_REBUILD)


def describe_unknown_files(survey: Survey, manifest: Manifest) -> Iterator[str]:
    """Yield lines about the files in the folder that are not recorded."""
    ours = set(list_unrecorded_files(survey, manifest))
    current = {f"csr/{name}" for name in survey.csr} | {f"keys/{name}" for name in survey.keys}
    for path in sorted(current - _list_known_paths(survey, manifest)):
        whose = "is not on record" if path in ours else "was not written by lyncnb"
        yield f"{path} {whose}; lyncnb did not change the file"
    unknown = list_unknown_files(survey, manifest)
    for directory in ("archive", "returned", "pfx"):
        paths = [path for path in unknown if path.startswith(f"{directory}/")]
        paths = [path for path in paths if files.TEMP_PREFIX not in path]
        if paths:
            number = format_count(len(paths), "file")
            yield f"{directory}/ contains {number} without a record: {join_first_texts(paths, 1)}"


def list_unknown_files(survey: Survey, manifest: Manifest) -> tuple[str, ...]:
    """Return the paths of unrecorded files that may contain a key, a package, or a CSR."""
    known = {*manifest.encrypted, *(issuer.file for issuer in manifest.issuers), *OWN_PLACES}
    for record in manifest.requests:
        known.update(_list_paths(record))
        for part in record.generations:
            for issued in filter(None, (part.issued, *part.refused)):
                known.update((issued.file, issued.chain))
            if part.package is not None:
                known.add(part.package.file)
    paths = (path for path in _list_files(survey.folder) if path not in known)
    return tuple(sorted(path for path in paths if not _OWN_COPY.fullmatch(path)))


def _list_files(folder: Path) -> Iterator[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    for directory in (*_PLACES, "returned", "pfx"):
        for parent, _, names in os.walk(folder / directory):
            relative_path = Path(parent).relative_to(folder).as_posix()
            yield from (f"{relative_path}/{name}" for name in names)


def list_possible_secrets(
    survey: Survey, manifest: Manifest, names: Container[str]
) -> tuple[str, ...]:
    """Return the paths of files that may still contain private keys for some requests.

    No passphrase is required, because file names identify keys, packages and incomplete files.
    """
    paths = [
        path
        for path in list_unknown_files(survey, manifest)
        if _SECRET.search(path)
        and (
            (owner := _find_request_of_file(path.rpartition("/")[2], manifest)) is None
            or owner.id in names
        )
    ]
    for record in manifest.requests:
        if record.id in names:
            key_paths = [record.files.key] + [
                generation.files.key for generation in record.archived
            ]
            paths += [path for path in key_paths if survey.has_file(path)]
            packages = [part.package.file for part in record.generations if part.package]
            paths += [path for path in packages if (survey.folder / path).is_file()]
    return tuple(sorted(set(paths)))


@dataclass(slots=True)
class _Stray:
    """An unrecorded key, an unrecorded CSR, or both with the same public key."""

    csr: str = ""
    key: str = ""
    csr_sha256: str = ""
    key_sha256: str = ""


def adopt_unrecorded_keys(
    survey: Survey, manifest: Manifest, cipher: FolderCipher, *, now: str, reported: Container[str]
) -> tuple[Manifest, list[Move], list[str]]:
    """Add unrecorded keys and CSRs to the manifest as superseded generations.

    Notes about the files with a name in ``reported`` are already known.

    Returns
    -------
    tuple
        The manifest, the files to move to ``archive/``, and notes on files that stay unchanged.
    """
    moves: list[Move] = []
    strays, notes = _pair_unrecorded_files(survey, manifest, cipher, reported)
    for (name, spki), stray in sorted(strays.items()):
        record = manifest.by_id[name]
        if known := [part for part in record.generations if part.spki_sha256 == spki]:
            moves += _list_repeated_moves(survey, stray, known[0].files)
            continue
        if not stray.key:
            if Path(stray.csr).stem not in reported:
                notes.append(
                    f"this folder has no key for {stray.csr}, so lyncnb did not change the file"
                )
            continue
        number = 1 + max(
            chain(
                _list_archived_numbers(survey, name),
                (generation.generation for generation in record.archived),
            )
        )
        target = list_archived_files(build_file_stem(name, spki))
        pairs = ((stray.csr, target.csr), (stray.key, target.key))
        moves += [Move(source=source, target=path) for source, path in pairs if source]
        old = ArchivedGeneration(
            generation=number,
            files=target,
            csr_sha256=stray.csr_sha256,
            spki_sha256=spki,
            key_sha256=stray.key_sha256,
            superseded_at=now,
            reasons=FOUND,
            plan=record.plan,
        )
        record = replace(record, archived=(*record.archived, old))
        if record.generation <= number:
            record = replace(record, generation=number + 1)
        manifest = manifest.with_records([record])
    return manifest, moves, notes


def _list_repeated_moves(survey: Survey, stray: _Stray, paths: RequestFiles) -> Iterator[Move]:
    """Yield the moves of a superseded generation's files that an older copy brought back."""
    for source, target in ((stray.csr, paths.csr), (stray.key, paths.key)):
        if not source or source.startswith("archive/") or not target.startswith("archive/"):
            continue
        if not survey.has_file(target) or is_same_file(
            survey.folder / source, survey.folder / target
        ):
            yield Move(source=source, target=target)


def _list_archived_numbers(survey: Survey, name: str) -> Iterator[int]:
    yield 0
    for path in survey.archive:
        if path.startswith(f"{name}-g") and (match := _NUMBER.search(path)):
            yield int(match[1])


def _pair_unrecorded_files(
    survey: Survey, manifest: Manifest, cipher: FolderCipher, reported: Container[str]
) -> tuple[dict[tuple[str, str], _Stray], list[str]]:
    """Pair the unrecorded keys and CSRs of each request by their public key."""
    strays: dict[tuple[str, str], _Stray] = {}
    notes = []
    for path in list_unrecorded_files(survey, manifest):
        owner = _find_request_of_file(path.partition("/")[2], manifest)
        if owner is None or find_file_problems(survey, path):
            continue
        try:
            data = files.read_file(survey.folder / path)
            if path.endswith(".csr"):
                request = csr.parse_request(data, name=path)
                stray = strays.setdefault((owner.id, request.spki_sha256), _Stray())
                stray.csr, stray.csr_sha256 = path, request.csr_sha256
            else:
                spki = keys.compute_spki_sha256(cipher.decrypt(data, name=path))
                stray = strays.setdefault((owner.id, spki), _Stray())
                stray.key, stray.key_sha256 = path, compute_key_sha256(data)
        except BundleError as error:
            if Path(path).stem not in reported:
                notes.append(f"{error.message}; lyncnb did not change this file")
    return strays, notes
