"""Change the passphrase of all encrypted files in a request folder.

lyncnb opens every file before it changes the first file. It writes each new file, verifies that it
can open it, and then replaces the old file in one step. After an interruption, some files use the
old passphrase and some the new one. The manifest records this, and prevents other commands from
writing to the folder. Repeat the same call to complete the change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from ..base.disk import files, system_calls
from ..base.disk.folder_lock import confirm_lock
from ..base.known_words import list_known_words
from ..base.pasted_text import shown
from ..base.records import JsonSerializable
from ..base.shown.tables import format_count
from ..errors import BundleError, PassphraseError, Problem
from ..pki import keys
from ..pki.passphrase import Secret, check_new_passphrase, check_passphrase
from ..pki.pkcs8 import FolderCipher
from ..pki.recovery_pair import RecoveryPair
from .files_on_disk import (
    Survey,
    compute_key_sha256,
    find_file_problems,
    reject_problems,
    take_survey,
)
from .history import Event, record_changes
from .key_bindings import add_bindings, find_altered_records, is_bound, report_shared_keys
from .leftovers import LARGEST, verify_passphrase
from .manifest import Manifest, format_timestamp, read_manifest, save_manifest
from .recovery_key import (
    LIST,
    Recipient,
    open_with_recovery_key,
    read_recovery_keys,
    reject_other_recipients,
    remove_unused_seals,
    write_recovery_list,
)

_THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed(JsonSerializable):
    """The result of a passphrase change: the number of changed files, and the unchanged files.

    ``already`` counts the files that an interrupted change had completed. ``left_alone`` contains
    unknown files, damaged lists of passwords, and archived keys that neither passphrase opens.
    ``not_opened`` contains keys that were not sealed to the recovery key and still use the lost
    passphrase. ``not_sealed`` contains the fingerprints of recovery keys that the recovery removed
    from the folder.
    """

    folder: Path
    changed: int
    already: int
    left_alone: tuple[str, ...] = ()
    not_opened: tuple[str, ...] = ()
    not_sealed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        words = f"{self.changed:,} files in {self.folder} now use the new passphrase"
        if self.already:
            words += f"; already changed: {self.already:,}"
        if self.left_alone:
            words += (
                "; lyncnb did not change the following files, because neither "
                f"passphrase can decrypt them: {', '.join(self.left_alone)}"
            )
        if self.not_opened:
            words += (
                "\nThe recovery key cannot open the following files, which only the "
                f"lost passphrase can open: {', '.join(self.not_opened)}. Renew each "
                "request: lyncnb renew FOLDER ID --reason TEXT"
            )
        if self.not_sealed:
            words += (
                "\nThe following keys are no longer recovery keys of this folder: "
                f"{', '.join(self.not_sealed)}. lyncnb cannot verify who added these keys. Compare "
                "each fingerprint with the key owner's fingerprint, then add the key again: "
                "lyncnb rekey FOLDER --recovery FILE.pub"
            )
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    path: str  # The path of the encrypted file, relative to the folder.
    expected: str = ""  # The SHA-256 of the public key, or "" if it is not recorded.
    is_known: bool = False


def rekey(
    folder: str | os.PathLike[str],
    old: Secret | str | RecoveryPair,
    new: Secret | str,
    *,
    take_out: Sequence[str] = (),
    progress: Callable[[int, int], object] | None = None,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> Rekeyed:
    """Encrypt all encrypted files in a request folder with a new passphrase.

    Parameters
    ----------
    folder : path
        A request folder.
    old : Secret, str or RecoveryPair
        The current passphrase, or an opened recovery key of the folder.
    new : Secret or str
        The new passphrase. After an interruption, use the same two passphrases again.
    take_out : sequence of str, optional
        The fingerprints, or the start of fingerprints, of recovery keys to remove.
    progress : callable, optional
        A function that is called with (done, total) after each file.
    today : date, optional
        The date to record instead of the current time.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Raises
    ------
    PassphraseError
        If the old passphrase opens no file, or the new one is not valid.
    BundleError
        If neither passphrase opens a key, or a key differs from the record. In this case, nothing
        is changed. With a recovery key, files that were not sealed to it stay unchanged and are
        listed.
    """
    path, take_out = Path(folder), _normalize_fingerprints(take_out)
    new = _check_new_passphrase(folder, new)
    ciphers = (_build_old_cipher(path, old, new), FolderCipher(new))
    manifest, survey = read_manifest(path), take_survey(path)
    if not manifest.rekeying and not isinstance(old, RecoveryPair):
        # A wrong passphrase must be reported before the lock file is created.
        _check_old_passphrase(survey, manifest, *ciphers)
    with record_changes(
        path, "rekey", now=format_timestamp(today), wait_seconds=lock_seconds
    ) as run:
        survey, manifest = take_survey(path), read_manifest(path)
        reject_problems(path, survey.problems)
        reject_problems(path, tuple(_find_altered_files(manifest, ciphers[0])))
        targets = _list_targets(survey, manifest)
        looked = _sort_targets(survey, targets, *ciphers, is_recovery=isinstance(old, RecoveryPair))
        if isinstance(old, RecoveryPair):
            used = _build_recipient(old, manifest, now=format_timestamp(today))
            recipients = tuple(
                recipient for recipient in (used,) if recipient.key.fingerprint not in take_out
            )
            not_sealed = _list_other_keys(path, manifest, old, *ciphers)
        else:
            recipients, not_sealed = _read_recipients(path, manifest, take_out, *ciphers), ()
        if not manifest.rekeying:
            manifest = replace(manifest, rekeying=format_timestamp(today))
            save_manifest(path, manifest)
        description = _describe_change(old, take_out, len(looked.waiting))
        run.add_events(Event("passphrase changed", note=description))
        try:
            _change_files(path, manifest, looked, recipients, targets, ciphers, progress)
        except BundleError as error:
            raise _build_incomplete_change_error(
                path, error, manifest, targets, looked, *ciphers
            ) from None
    changed = len(looked.waiting)
    already = len(targets) - changed - len(looked.left_alone) - len(looked.not_opened)
    return Rekeyed(
        folder=path, changed=changed, already=already,
        left_alone=tuple(name for name in looked.left_alone if name != LIST),
        not_opened=tuple(looked.not_opened), not_sealed=not_sealed,
    )  # fmt: skip


def _check_new_passphrase(folder: str | os.PathLike[str], new_passphrase: Secret | str) -> Secret:
    """Raise an error if the new passphrase is not allowed.

    The change of an earlier version may be completed with its rules.
    """
    manifest = read_manifest(Path(folder))
    if manifest.rekeying:
        return check_passphrase(new_passphrase)
    known_words = list_known_words(record.plan for record in manifest.requests)
    return check_new_passphrase(new_passphrase, known_words=known_words)


def _describe_change(
    old_passphrase: Secret | str | RecoveryPair, keys_to_remove: Sequence[str], changed_count: int
) -> str:
    """Describe the changes to the passphrase and the recovery keys, for the folder's history."""
    description = f"re-encrypted files: {changed_count:,}"
    if isinstance(old_passphrase, RecoveryPair):
        description += f"; opened with the recovery key {old_passphrase.public.fingerprint}"
    if keys_to_remove:
        description += f"; removed recovery keys: {', '.join(keys_to_remove)}"
    return description


def _check_old_passphrase(
    survey: Survey, manifest: Manifest, old_cipher: FolderCipher, new_cipher: FolderCipher
) -> None:
    """Raise an error if the old passphrase does not open the folder.

    Whoever repeats a complete change reads that the new passphrase already opens the folder. It is
    an error, because any wrong old passphrase looks the same.
    """
    try:
        verify_passphrase(survey, manifest, old_cipher)
    except PassphraseError as error:
        try:
            verify_passphrase(survey, manifest, new_cipher)
        except BundleError:
            raise error from None
        raise PassphraseError(
            f"the old passphrase does not open {survey.folder}, but the new passphrase does",
            hint="if you have already changed the passphrase, the change is complete. Otherwise, "
            "enter the passphrase that opens the folder",
        ) from None


def _find_altered_files(manifest: Manifest, cipher: FolderCipher) -> Iterator[Problem]:
    yield from report_shared_keys(manifest)
    # In some cases, a recovery key cannot decrypt the HMAC key. lyncnb then still compares each
    # private key with the recorded public key.
    with suppress(PassphraseError):
        yield from find_altered_records(manifest, cipher)


def _build_recipient(pair: RecoveryPair, manifest: Manifest, *, now: str) -> Recipient:
    """Return the recovery key that opens the folder, with the time at which it was added."""
    added = {key.fingerprint: key.added_at for key in manifest.recovery}
    return Recipient(key=pair.public, added_at=added.get(pair.public.fingerprint, now))


def _list_other_keys(
    folder: Path, manifest: Manifest, pair: RecoveryPair, *ciphers: FolderCipher
) -> tuple[str, ...]:
    """Return the fingerprints of all recorded recovery keys except the one that opens the folder.

    A sealed file does not prove who created it. Any user who can write to the folder can add a list
    of recovery keys and a sealed key that opens the list. So a recovery does not seal to these
    keys.
    """
    fingerprints = {key.fingerprint for key in manifest.recovery}
    for cipher in ciphers:
        with suppress(BundleError):
            fingerprints |= {
                recipient.key.fingerprint for recipient in read_recovery_keys(folder, cipher)
            }
    return tuple(sorted(fingerprints - {pair.public.fingerprint}))


def _build_old_cipher(
    folder: Path, old_passphrase: Secret | str | RecoveryPair, new_passphrase: Secret
) -> FolderCipher:
    if isinstance(old_passphrase, RecoveryPair):
        return open_with_recovery_key(folder, old_passphrase)
    secret = check_passphrase(old_passphrase)
    if secret == new_passphrase:
        raise PassphraseError(
            "the new passphrase is the same as the old passphrase", hint="choose another passphrase"
        )
    return FolderCipher(secret)


def _read_recipients(
    folder: Path,
    manifest: Manifest,
    keys_to_remove: Sequence[str],
    old_cipher: FolderCipher,
    new_cipher: FolderCipher,
) -> tuple[Recipient, ...]:
    """Return the recovery keys in the folder's list, except the keys to remove."""
    try:
        present = read_recovery_keys(folder, old_cipher)
    except PassphraseError as error:
        try:
            present = read_recovery_keys(folder, new_cipher)
        except BundleError:
            raise error from None
    if not manifest.rekeying:
        reject_other_recipients(folder, manifest, present)
    removed_fingerprints = [_find_fingerprint(present, name, manifest) for name in keys_to_remove]
    return tuple(
        recipient for recipient in present if recipient.key.fingerprint not in removed_fingerprints
    )


def _normalize_fingerprints(fingerprints: Sequence[str]) -> Sequence[str]:
    """Return the fingerprints as a sequence, even if the argument is a single string."""
    return (fingerprints,) if isinstance(fingerprints, str) else fingerprints


def _find_fingerprint(recipients: Sequence[Recipient], name: str, manifest: Manifest) -> str:
    fingerprints = [
        recipient.key.fingerprint
        for recipient in recipients
        if recipient.key.fingerprint.startswith(name)
    ]
    if len(fingerprints) == 1 and name:
        return fingerprints[0]
    if not fingerprints and manifest.rekeying:
        return name  # An earlier call that was interrupted has already removed the recovery key.
    available_keys = ", ".join(recipient.key.fingerprint for recipient in recipients) or "none"
    raise BundleError(
        f"{shown(name)} does not match exactly one recovery key of this folder",
        hint=f"available recovery keys: {available_keys}",
    )


def _list_targets(survey: Survey, manifest: Manifest) -> list[_Target]:
    known: dict[str, str] = {}
    for record in manifest.requests:
        known[record.files.key] = record.spki_sha256
        for generation in record.archived:
            known[generation.files.key] = generation.spki_sha256
    key_targets = [
        _Target(path=path, expected=known.get(path, ""), is_known=path in known)
        for directory in ("keys", "archive")
        for path in (f"{directory}/{name}" for name in sorted(getattr(survey, directory)))
        if path.endswith(".key")
    ]
    lists = [
        _Target(path=path, is_known=True)
        for path in manifest.encrypted
        if os.path.lexists(survey.folder / path)
    ]
    return key_targets + lists


@dataclass(frozen=True, slots=True)
class _SortedTargets:
    """The files to encrypt again, the files that stay unchanged, and the keys without a seal."""

    waiting: list[_Target] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    not_opened: list[str] = field(default_factory=list)


def _sort_targets(
    survey: Survey,
    targets: list[_Target],
    old_cipher: FolderCipher,
    new_cipher: FolderCipher,
    *,
    is_recovery: bool,
) -> _SortedTargets:
    """Open every encrypted file, and group the files by passphrase."""
    sorted_targets = _SortedTargets()
    problems: list[Problem] = []
    wrong: PassphraseError | None = None
    opened = 0
    for target in targets:
        try:
            wrong_kind = _find_file_problems(survey, target.path)
            if wrong_kind:
                problems += wrong_kind
                continue
            is_waiting = _has_old_passphrase(survey.folder, target, old_cipher, new_cipher)
        except BundleError as error:
            if is_locked := isinstance(error, PassphraseError):
                wrong = wrong or error
            is_archived = target.path.startswith("archive/")
            # lyncnb can create a list of passwords again together with the packages, but it cannot
            # restore a key.
            is_key = target.is_known and target.path.endswith(".key")
            if is_key and is_locked and is_recovery and not is_archived:
                sorted_targets.not_opened.append(target.path)
            elif is_key and not (is_locked and is_archived):
                problems.append(Problem(message=error.message, file=target.path, hint=error.hint))
            else:
                sorted_targets.left_alone.append(target.path)
            continue
        opened += 1
        if is_waiting:
            sorted_targets.waiting.append(target)
    if not opened and wrong is not None:
        raise wrong
    reject_problems(survey.folder, tuple(problems))
    return sorted_targets


def _find_file_problems(survey: Survey, path: str) -> tuple[Problem, ...]:
    return find_file_problems(survey, path) if path.startswith(("keys/", "archive/")) else ()


def _has_old_passphrase(
    folder: Path, target: _Target, old_cipher: FolderCipher, new_cipher: FolderCipher
) -> bool:
    """Return whether the old passphrase opens a file. Raise an error if neither passphrase does."""
    data = files.read_file(folder / target.path, limit=LARGEST)
    try:
        content, is_old = old_cipher.open_file(data, name=target.path), True
    except PassphraseError as error:
        try:
            content, is_old = new_cipher.open_file(data, name=target.path), False
        except BundleError:
            raise error from None
    if target.expected and (
        isinstance(content, bytes) or keys.compute_spki_sha256(content) != target.expected
    ):
        raise BundleError(
            f"{target.path} differs from the key on record",
            hint="restore the file from a backup, or renew the request",
        )
    return is_old


def _replace_files(
    folder: Path, targets: list[_Target], old_cipher: FolderCipher, new_cipher: FolderCipher
) -> Iterator[None]:
    # Threads that wait for the disk in parallel reduce the time by two thirds.
    with ThreadPoolExecutor(_THREADS, "lyncnb-rekey") as pool:
        try:
            yield from pool.map(
                lambda target: _replace_file(folder, target.path, old_cipher, new_cipher), targets
            )
        finally:
            pool.shutdown(cancel_futures=True)


def _replace_file(
    folder: Path, name: str, old_cipher: FolderCipher, new_cipher: FolderCipher
) -> None:
    path = folder / name
    content = old_cipher.open_file(files.read_file(path, limit=LARGEST), name=name)
    data = (
        new_cipher.encrypt_data(content, name=name)
        if isinstance(content, bytes)
        else new_cipher.encrypt(content)
    )
    temp = files.write_temporary_file(path, data, 0o600, sync=True)
    try:
        reread = new_cipher.open_file(files.read_file(temp, limit=LARGEST), name=name)
        if _encode_content(reread) != _encode_content(content):
            raise BundleError(
                f"{name}: lyncnb wrote the file, but then read different content from it",
                hint="check the disk of this computer",
            )
        confirm_lock(folder)
        system_calls.replace(temp, path)
    except OSError as error:
        files.discard_temporary_file(temp)
        raise system_calls.describe_error(error, path, "replace the file") from None
    except BaseException:
        files.discard_temporary_file(temp)
        raise


def _change_files(
    folder: Path,
    manifest: Manifest,
    sorted_targets: _SortedTargets,
    recipients: Sequence[Recipient],
    targets: Sequence[_Target],
    ciphers: tuple[FolderCipher, FolderCipher],
    progress: Callable[[int, int], object] | None,
) -> None:
    """Encrypt the files with the new passphrase, and record that the change is complete."""
    waiting, has_list = sorted_targets.waiting, bool(recipients) or os.path.lexists(folder / LIST)
    if has_list:
        # The list of recovery keys is changed first, so that no new file is sealed to a recovery
        # key that the user removed.
        write_recovery_list(folder, ciphers[1], recipients)
        waiting = [target for target in waiting if target.path != LIST]
    for count, _ in enumerate(_replace_files(folder, waiting, *ciphers), 1):
        if progress is not None:
            progress(count, len(waiting))
    for directory in {(folder / target.path).parent for target in targets}:
        files.sync_folder(directory)
    not_opened = frozenset(sorted_targets.not_opened)
    opened = {
        record.id
        for record in manifest.requests
        if is_bound(manifest, record) and record.files.key not in not_opened
    }
    manifest = replace(_update_hashes(folder, manifest), binding_key=None)
    manifest = add_bindings(manifest, ciphers[1], ids=opened)
    if has_list:
        remove_unused_seals(take_survey(folder), manifest, recipients)
        recovery_keys = tuple(recipient.manifest_data for recipient in recipients)
        manifest = replace(manifest.with_encrypted_file(LIST), recovery=recovery_keys)
    save_manifest(folder, manifest)


def _build_incomplete_change_error(
    folder: Path,
    error: BundleError,
    manifest: Manifest,
    targets: Sequence[_Target],
    sorted_targets: _SortedTargets,
    old_cipher: FolderCipher,
    new_cipher: FolderCipher,
) -> BundleError:
    """Return an error that says which passphrase opens each file, and how to finish the change."""
    waiting = {target.path for target in sorted_targets.waiting}
    unchanged = {*sorted_targets.left_alone, *sorted_targets.not_opened}
    with_old: list[str] = []
    with_new: list[str] = []
    for target in targets:
        if target.path in unchanged:
            continue
        try:
            is_old = target.path in waiting and _has_old_passphrase(
                folder, target, old_cipher, new_cipher
            )
        except BundleError:
            is_old = True  # Another program has opened the file, so lyncnb could not replace it.
        (with_old if is_old else with_new).append(target.path)
    return BundleError(
        f"{error.message}. The passphrase change that started at {manifest.rekeying} is "
        f"incomplete: the old passphrase still opens {format_count(len(with_old), 'file')}, and "
        f"the new passphrase opens {format_count(len(with_new), 'file')}",
        hint=". ".join(
            filter(
                None,
                (
                    error.hint,
                    ("To complete the change, run the command again with the same two passphrases"),
                ),
            )
        ),
        problems=(
            *(Problem(file=name, message="still uses the old passphrase") for name in with_old),
            *(Problem(file=name, message="already uses the new passphrase") for name in with_new),
        ),
    )


def _encode_content(content: keys.PrivateKey | bytes) -> bytes:
    return content if isinstance(content, bytes) else keys.to_pkcs8(content)


def _update_hashes(folder: Path, manifest: Manifest) -> Manifest:
    def compute_hash(path: str, old_hash: str) -> str:
        # An empty hash means that the request is not written, or that its key was abandoned.
        return compute_key_sha256(files.read_file(folder / path)) if old_hash else old_hash

    def has_file(path: str) -> bool:
        return os.path.lexists(folder / path)

    records = []
    for record in manifest.requests:
        archived = tuple(
            replace(
                generation, key_sha256=compute_hash(generation.files.key, generation.key_sha256)
            )
            if has_file(generation.files.key)
            else generation
            for generation in record.archived
        )
        current = record.key_sha256
        if has_file(record.files.key):
            current = compute_hash(record.files.key, current)
        records.append(replace(record, key_sha256=current, archived=archived))
    return replace(manifest, rekeying="", requests=tuple(records))
