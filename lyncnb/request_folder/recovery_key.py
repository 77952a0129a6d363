"""Manage recovery keys, which open a folder's private keys if the passphrase is lost.

Every run derives a separate key from the passphrase. If the folder has recovery keys, lyncnb
encrypts (seals) the derived key to each recovery key before it encrypts the first file with it. The
encrypted files do not change. lyncnb takes the recovery keys only from ``recovery/keys.enc``, which
is encrypted with the passphrase, so it never seals to a key that an attacker adds.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from ..base.disk import files, windows_access
from ..base.disk.outputs import OWN_FOLDERS, reject_reserved_path
from ..base.json_text import parse_json
from ..base.pasted_text import show_invisible_characters
from ..base.shown.html_page import render_template
from ..base.terminal import quote_argument
from ..errors import BundleError, LyncnbError, OutputError, PassphraseError, Problem
from ..pki.passphrase import Secret, check_new_passphrase, check_passphrase
from ..pki.pkcs8 import Derivation, DerivedKey, FolderCipher, read_derivation
from ..pki.recovery_pair import RecoveryPair, RecoveryPublicKey, read_private_key, read_public_key
from .files_on_disk import Survey, reject_problems, take_survey
from .history import record_changes
from .key_bindings import find_binding_problems
from .leftovers import LARGEST, verify_passphrase
from .manifest import Manifest, format_timestamp, read_manifest, save_manifest
from .request_record import RecoveryKey

#: The path of the list of recovery keys, relative to the folder.
LIST = "recovery/keys.enc"
_PLACE = "recovery"
_SEALED = ".sealed"
_LIST_FORMAT, _SEALED_FORMAT = "lyncnb-recovery-keys/1", "lyncnb-sealed-key/1"
_SMALL = 1 << 16

#: The text that precedes the private key in its file. Programs that read PEM ignore such text (RFC
#: 7468).
_PURPOSE = """\
lyncnb recovery key: the private half, encrypted with its own passphrase.
Fingerprint: {}
This key opens each request folder to which its public half (.pub) was added, if
the passphrase of the folder is lost. Do not keep this file with these folders.
To use this file: lyncnb rekey FOLDER --with-recovery THIS_FILE
"""
_BLANKS = (
    "Computer and path of the request folder",
    "Location of the recovery key",
    "Person who knows the passphrase",
    "Person to inform, with telephone number",
)

_NAME_AGAIN = (
    "if you know the passphrase, add the recovery key again: lyncnb rekey FOLDER "
    "--recovery FILE.pub. Otherwise, use the recovery key to set a new passphrase: "
    "lyncnb rekey FOLDER --with-recovery FILE"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A recovery key of a folder, and the time at which it was added."""

    key: RecoveryPublicKey
    added_at: str

    @property
    def manifest_data(self) -> RecoveryKey:
        """The data about the recovery key that the manifest records."""
        return RecoveryKey(fingerprint=self.key.fingerprint, added_at=self.added_at)


def create_recovery_key(
    file: str | os.PathLike[str], passphrase: Secret | str
) -> RecoveryPublicKey:
    """Create a recovery key: the private key in `file`, and the public key in ``file.pub``.

    ``file.html`` is a sheet to print, without a secret: what the key opens, and how.

    Parameters
    ----------
    file : path
        The path for the encrypted private key, which only you can open (mode 0600). The file must
        not exist, and must not be in a request folder, because the key opens such folders.
    passphrase : Secret or str
        The passphrase of the private key, at least 12 characters.

    Raises
    ------
    OutputError
        If one of the files exists, or cannot be written. If an earlier run with the same passphrase
        was interrupted, the missing files are written instead.
    PassphraseError
        If the passphrase is not valid.
    """
    secret = check_new_passphrase(passphrase)
    path = Path(file)
    if not path.name:
        raise OutputError(f'"{file}" is not a valid file name', hint='for example "recovery.key"')
    public_path = path.with_name(path.name + ".pub")
    sheet_path = path.with_name(path.name + ".html")
    paths = (path, public_path, sheet_path)
    for new_path in paths:
        reject_reserved_path(new_path)
    existing = [new_path for new_path in paths if os.path.lexists(new_path)]
    pair = _open_incomplete_pair(existing, secret) if existing else RecoveryPair()
    contents = (
        _PURPOSE.format(pair.public.fingerprint).encode() + pair.to_pem(FolderCipher(secret)),
        pair.public.to_pem(),
        _build_recovery_sheet(path.name, pair.public).encode(),
    )
    try:
        for new_path, data in zip(paths, contents, strict=True):
            if new_path not in existing:
                files.write_new_file(new_path, data, 0o600 if new_path == path else 0o644)
            if new_path == path:
                windows_access.restrict_access(path)
    # The recovery key does not belong to a folder yet, so the error must not mention a request
    # folder.
    except BundleError as error:
        raise OutputError(error.message, hint=error.hint) from None
    return pair.public


def _open_incomplete_pair(existing: list[Path], secret: Secret) -> RecoveryPair:
    """Return the pair of a run that was interrupted before it wrote the other files.

    The files are written in the order private key, public key, sheet.
    """
    with suppress(LyncnbError):
        pair = open_recovery_key(existing[0], secret)
        if len(existing) == 1 or (
            len(existing) == 2 and read_recovery_key(existing[1]) == pair.public
        ):
            return pair
    raise OutputError(f"{existing[0]} already exists", hint="choose another name")


def _build_recovery_sheet(name: str, public_key: RecoveryPublicKey) -> str:
    """Return the page to print for a recovery key. It contains no secret and no path."""
    name = show_invisible_characters(name)
    return render_template(
        "request_folder/recovery_sheet.html.j2",
        title="Recovery key for request folders",
        running=f"Recovery key {public_key.fingerprint}",
        name=name,
        argument=quote_argument(name),
        public_argument=quote_argument(f"{name}.pub"),
        fingerprint=public_key.fingerprint,
        created=f"{datetime.now(UTC).date()}",
        blanks=_BLANKS,
    )


def read_recovery_key(file: str | os.PathLike[str]) -> RecoveryPublicKey:
    """Read the public part of a recovery key from ``FILE.pub``."""
    return read_public_key(files.read_file(file, limit=_SMALL), name=str(file))


def open_recovery_key(file: str | os.PathLike[str], passphrase: Secret | str) -> RecoveryPair:
    """Read the private part of a recovery key, which a passphrase protects."""
    return read_private_key(
        files.read_file(file, limit=_SMALL), check_passphrase(passphrase), name=str(file)
    )


def read_recovery_keys(folder: Path, cipher: FolderCipher) -> tuple[Recipient, ...]:
    """Return a folder's recovery keys from the encrypted list, or () if there is no list.

    Raises
    ------
    PassphraseError, BundleError
        If the list cannot be opened.
    """
    if not os.path.lexists(folder / LIST):
        return ()
    pem = files.read_file(folder / LIST, limit=LARGEST)
    try:
        data = cipher.decrypt_data(pem, name=LIST)
    except PassphraseError:
        raise
    except BundleError as error:
        raise BundleError(
            error.message,
            hint=f"remove {LIST} and add the recovery keys again: "
            "lyncnb rekey FOLDER --recovery FILE.pub",
        ) from None
    try:
        document = parse_json(data)
        if document["format"] != _LIST_FORMAT:
            raise ValueError(document["format"])
        return tuple(
            Recipient(
                key=RecoveryPublicKey(base64.b64decode(entry["public"], validate=True)),
                added_at=str(entry["added_at"]),
            )
            for entry in document["keys"]
        )
    except (ValueError, KeyError, TypeError):
        raise BundleError(
            f"this version of lyncnb cannot read {LIST}",
            hint=(
                "use the version that wrote the file. If you do not have that version, "
                "remove the file and add the recovery keys again: lyncnb rekey FOLDER "
                "--recovery FILE.pub"
            ),
        ) from None


def seal_new_keys(folder: Path, cipher: FolderCipher, manifest: Manifest) -> None:
    """Make the cipher seal all new derived keys to the folder's recovery keys.

    The caller must hold the folder's lock, and must have verified the passphrase.

    Raises
    ------
    BundleError
        If the list and the record contain different recovery keys. Somebody else could open the
        new files, or a recovery key could not, and nobody would notice.
    """
    recipients = read_recovery_keys(folder, cipher)
    reject_other_recipients(folder, manifest, recipients)
    if recipients:
        cipher.set_seal_function(_build_sealer(folder, recipients))


def reject_other_recipients(
    folder: Path,
    manifest: Manifest,
    recipients: Sequence[Recipient],
    named: Sequence[RecoveryPublicKey] = (),
) -> None:
    """Raise BundleError if the list and the record of the recovery keys differ.

    The user can name keys that are missing from the record or from the list.
    """
    listed = {recipient.key.fingerprint for recipient in recipients}
    recorded = {key.fingerprint for key in manifest.recovery}
    known = {key.fingerprint for key in named}
    added, lost = sorted(listed - recorded - known), sorted(recorded - listed - known)
    if added:
        raise BundleError(
            f"{folder}: {LIST} contains recovery keys that are not on record: {', '.join(added)}. "
            "lyncnb encrypted nothing for them",
            hint="compare the fingerprints with the owners of the keys. To add such a key, run: "
            f"lyncnb rekey FOLDER --recovery FILE.pub. Otherwise, restore {LIST} from a backup",
        )
    if lost and not named:
        raise BundleError(
            f"{folder}: {LIST} is missing or does not contain these recovery keys on record: "
            f"{', '.join(lost)}",
            hint=(
                "restore the file from a backup, or add the recovery keys again: lyncnb rekey "
                "FOLDER --recovery FILE.pub"
            ),
        )


def _describe_derivation(derivation: Derivation | DerivedKey) -> str:
    return f"{derivation.salt.hex()} {derivation.rounds} {derivation.prf} {derivation.length}"


def _build_seal_path(folder: Path, derivation: Derivation | DerivedKey, fingerprint: str) -> Path:
    digest = hashlib.sha256(
        f"{_describe_derivation(derivation)} {fingerprint}".encode()
    ).hexdigest()
    return folder / _PLACE / f"{digest[:32]}{_SEALED}"


def _compute_document_digest(document: Mapping[str, object]) -> str:
    """Return the SHA-256 of the values in a sealed file, to detect damage without the key."""
    values = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _build_sealer(folder: Path, recipients: Iterable[Recipient]) -> Callable[[DerivedKey], object]:
    keys = tuple(recipient.key for recipient in recipients)

    def write_sealed_keys(derived_key: DerivedKey) -> None:
        files.make_folder(folder / _PLACE, OWN_FOLDERS[_PLACE])
        purpose = _describe_derivation(derived_key)
        for key in keys:
            document = {
                "format": _SEALED_FORMAT,
                "recovery": key.fingerprint,
                "salt": derived_key.salt.hex(),
                "rounds": derived_key.rounds,
                "prf": derived_key.prf,
                "length": derived_key.length,
                "sealed": base64.b64encode(key.seal(derived_key.key, purpose=purpose)).decode(),
            }
            document["sha256"] = _compute_document_digest(document)
            data = json.dumps(document, indent=0).encode() + b"\n"
            files.replace_file(_build_seal_path(folder, derived_key, key.fingerprint), data, 0o600)

    return write_sealed_keys


def find_recovery_problems(survey: Survey, manifest: Manifest) -> Iterator[Problem]:
    """Return the problems that prevent a recovery key from opening the folder.

    Each recovery key needs a sealed file for each derivation that current keys use. Derivations
    that only superseded keys use are not checked. Without the recovery key, a sealed file cannot be
    verified completely.
    """
    yield from _find_unrecorded_seals(survey.folder, manifest)
    if not manifest.recovery:
        return
    if wrong := _find_list_problem(survey.folder):
        yield Problem(
            message=wrong,
            file=LIST,
            hint=(f"if this file exists, remove it. Then, {_NAME_AGAIN}"),
        )
    in_use = [
        (derivation, path)
        for derivation, path in _find_derivations(survey, manifest).items()
        if not path.startswith("archive/")
    ]
    for key in manifest.recovery:
        for derivation, path in in_use:
            if wrong := _find_seal_problem(survey.folder, derivation, key.fingerprint):
                seal = _build_seal_path(survey.folder, derivation, key.fingerprint)
                message = f"{wrong}, so the recovery key {key.fingerprint} does not open {path}"
                yield Problem(message=message, file=f"{_PLACE}/{seal.name}", hint=_NAME_AGAIN)


def _find_unrecorded_seals(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Yield a problem for each file in ``recovery/`` that belongs to no recovery key on record."""
    known = {key.fingerprint for key in manifest.recovery}
    seals = sorted((folder / _PLACE).glob(f"*{_SEALED}"))
    unknown = [path.name for path in seals if _read_fingerprint(path) not in {"", *known}]
    if os.path.lexists(folder / LIST) and not known and LIST not in manifest.encrypted:
        unknown.insert(0, LIST.rpartition("/")[2])
    for name in unknown:
        yield Problem(
            message="belongs to no recovery key on record",
            file=f"{_PLACE}/{name}",
            hint="if a command that adds a recovery key was interrupted, run it again. Otherwise, "
            "move the file out of the folder",
        )


def _read_fingerprint(path: Path) -> str:
    """Return the recovery key of a sealed file, or "" if another problem describes the file."""
    try:
        fingerprint = parse_json(files.read_file(path, limit=_SMALL))["recovery"]
    except (BundleError, ValueError, KeyError, TypeError):
        return ""
    return fingerprint if isinstance(fingerprint, str) else ""


def _find_list_problem(folder: Path) -> str:
    """Describe a problem with the recovery key list, or return "". No passphrase is needed."""
    if not os.path.lexists(folder / LIST):
        return "is missing, but the record lists recovery keys"
    try:
        read_derivation(files.read_file(folder / LIST, limit=LARGEST), name=LIST)
    except BundleError:
        return "is damaged"
    return ""


def _find_seal_problem(folder: Path, derivation: Derivation, fingerprint: str) -> str:
    """Return a problem that can be found in a sealed file without the recovery key, or ""."""
    path = _build_seal_path(folder, derivation, fingerprint)
    if not os.path.lexists(path):
        return "is missing"
    try:
        document = parse_json(files.read_file(path, limit=_SMALL))
        fields = ("recovery", "salt", "rounds", "prf", "length")
        field_values = tuple(document[field] for field in fields)
        sealed = base64.b64decode(document["sealed"], validate=True)
        is_whole = document.get("sha256") in (None, _compute_document_digest(document))
    except (BundleError, ValueError, KeyError, TypeError, AttributeError):
        return "is damaged"
    expected = (
        fingerprint,
        derivation.salt.hex(),
        derivation.rounds,
        derivation.prf,
        derivation.length,
    )
    return "" if is_whole and sealed and field_values == expected else "is damaged"


def add_recovery_keys(
    survey: Survey,
    manifest: Manifest,
    cipher: FolderCipher,
    keys: Sequence[RecoveryPublicKey],
    *,
    now: str,
) -> Manifest:
    """Add recovery keys to a folder.

    Every derived key in use is sealed to the new keys before they are added to the list, so every
    listed key can open the folder. Missing sealed files for keys that are already in the list are
    created again.

    Returns
    -------
    Manifest
        The saved manifest.
    """
    folder = survey.folder
    present = read_recovery_keys(folder, cipher)
    reject_other_recipients(folder, manifest, present, named=keys)
    known = {recipient.key for recipient in present}
    added = tuple(Recipient(key=key, added_at=now) for key in keys if key not in known)
    for derivation, path in _find_derivations(survey, manifest).items():
        lacking = [
            recipient
            for recipient in (*present, *added)
            if _find_seal_problem(folder, derivation, recipient.key.fingerprint)
        ]
        # A file that uses another passphrase does not belong to the folder, so its key is not
        # encrypted for the recipients.
        with suppress(PassphraseError):
            if lacking:
                pem = files.read_file(folder / path, limit=LARGEST)
                _build_sealer(folder, lacking)(cipher.find_derived_key(pem, name=path))
    if added:
        write_recovery_list(folder, cipher, (*present, *added))
    recipients = read_recovery_keys(folder, cipher)
    manifest = replace(
        manifest.with_encrypted_file(LIST),
        recovery=tuple(recipient.manifest_data for recipient in recipients),
    )
    save_manifest(folder, manifest)
    return manifest


def write_recovery_list(
    folder: Path, cipher: FolderCipher, recipients: Sequence[Recipient]
) -> None:
    """Write the encrypted list of recovery keys, and seal the derived key for each recovery key."""
    files.make_folder(folder / _PLACE, OWN_FOLDERS[_PLACE])
    cipher.set_seal_function(_build_sealer(folder, recipients))
    document = {
        "format": _LIST_FORMAT,
        "keys": [
            {
                "public": base64.b64encode(recipient.key.public).decode(),
                "added_at": recipient.added_at,
            }
            for recipient in recipients
        ],
    }
    data = cipher.encrypt_data(json.dumps(document).encode(), name=LIST)
    files.replace_file(folder / LIST, data, 0o600)


def _list_encrypted_files(survey: Survey, manifest: Manifest) -> Iterator[str]:
    yield from (f"keys/{name}" for name in survey.keys if name.endswith(".key"))
    for path in manifest.encrypted:
        if os.path.lexists(survey.folder / path):
            yield path
    yield from (f"archive/{name}" for name in survey.archive if name.endswith(".key"))


def _find_derivations(survey: Survey, manifest: Manifest) -> dict[Derivation, str]:
    """Return one encrypted file for each key derivation in use.

    Unreadable files are left out.
    """
    paths: dict[Derivation, str] = {}
    for path in _list_encrypted_files(survey, manifest):
        try:
            derivation = read_derivation(
                files.read_file(survey.folder / path, limit=LARGEST), name=path
            )
        except BundleError:
            continue  # The caller reports a damaged or unknown file.
        paths.setdefault(derivation, path)
    return paths


def open_with_recovery_key(folder: Path, pair: RecoveryPair) -> FolderCipher:
    """Return a cipher that opens the files that were sealed to a recovery key.

    Raises
    ------
    BundleError
        If the folder contains no file that was sealed to this key.
    """
    derived = list(_decrypt_sealed_keys(folder, pair))
    if not derived:
        raise BundleError(
            f"{folder} contains no file that was encrypted for the recovery key "
            f"{pair.public.fingerprint}",
            hint="run lyncnb status FOLDER to list the fingerprints of the recovery keys",
        )
    return FolderCipher.from_derived_keys(derived)


def _decrypt_sealed_keys(folder: Path, pair: RecoveryPair) -> Iterator[DerivedKey]:
    seal_folder = folder / _PLACE
    for path in sorted(seal_folder.glob(f"*{_SEALED}")) if seal_folder.is_dir() else ():
        try:
            document = parse_json(files.read_file(path, limit=_SMALL))
            if document["recovery"] != pair.public.fingerprint:
                continue
            derived = DerivedKey(
                bytes.fromhex(document["salt"]),
                int(document["rounds"]),
                str(document["prf"]),
                int(document["length"]),
                b"",
            )
            sealed = base64.b64decode(document["sealed"], validate=True)
            yield derived._replace(key=pair.open(sealed, purpose=_describe_derivation(derived)))
        except (BundleError, ValueError, KeyError, TypeError, OverflowError):
            # The sealed file is damaged, or its format is unknown. lyncnb later reports the files
            # that cannot be decrypted without this sealed file.
            continue


def remove_unused_seals(
    survey: Survey, manifest: Manifest, recipients: Sequence[Recipient]
) -> None:
    """Remove sealed files that are not needed or that belong to removed recovery keys."""
    needed_names = {
        _build_seal_path(survey.folder, derivation, recipient.key.fingerprint).name
        for derivation in _find_derivations(survey, manifest)
        for recipient in recipients
    }
    seal_folder = survey.folder / _PLACE
    for path in sorted(seal_folder.glob(f"*{_SEALED}")) if seal_folder.is_dir() else ():
        if path.name not in needed_names:
            files.remove_file(path)


def name_recovery_key(
    folder: str | os.PathLike[str],
    passphrase: Secret | str,
    public_file: str | os.PathLike[str],
    *,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> tuple[RecoveryKey, ...]:
    """Add a recovery key to a folder. The private keys are not encrypted again.

    Parameters
    ----------
    folder : path
        A request folder.
    passphrase : Secret or str
        The passphrase of the folder.
    public_file : path
        The public recovery key, ``FILE.pub``.
    today : date, optional
        The date to record instead of the current time.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    tuple of RecoveryKey
        All recovery keys of the folder.

    Raises
    ------
    PassphraseError, BundleError
        If the folder, the passphrase or the file needs attention.
    """
    path, key = Path(folder), read_recovery_key(public_file)
    cipher = FolderCipher(passphrase)
    verify_passphrase(take_survey(path), read_manifest(path), cipher)
    with record_changes(path, "rekey", now=format_timestamp(today), wait_seconds=lock_seconds):
        survey, manifest = take_survey(path), read_manifest(path)
        reject_problems(path, survey.problems)
        verify_passphrase(survey, manifest, cipher)
        reject_problems(path, tuple(find_binding_problems(survey, manifest, cipher)))
        manifest = add_recovery_keys(survey, manifest, cipher, (key,), now=format_timestamp(today))
    return manifest.recovery
