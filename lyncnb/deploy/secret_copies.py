"""Search a folder for keys and packages that its records do not contain.

Programs that synchronize a folder leave copies, and a second certificate leaves the package of the
first one. lyncnb recognizes a key by the SHA-256 of its file or, after opening it, by its public
key. It recognizes a package by its SHA-256 or by the key in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..base.disk import files
from ..errors import BundleError
from ..pki import keys
from ..pki.pkcs8 import FolderCipher
from ..pki.pkcs12 import PfxNotOpened, open_pfx
from ..request_folder.files_on_disk import Survey
from ..request_folder.manifest import Manifest
from ..request_folder.unrecorded import list_unknown_files
from .package_passwords import PasswordList

KEY, PACKAGE = "key", "package"
_ARMOUR = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_PACKAGE_ENDINGS = (".pfx", ".p12")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretCopy:
    """A file with the key of a request: its path, its type, and the hash of the public key.

    ``spki_sha256`` is empty if the file could not be opened.
    """

    path: str
    what: str
    spki_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Opener:
    """The cipher that opens the folder's keys, and the passwords that open its packages."""

    cipher: FolderCipher
    passwords: PasswordList


def find_secret_copies(
    survey: Survey, manifest: Manifest, opener: Opener | None
) -> list[SecretCopy]:
    """Return the keys and packages in the folder that are not recorded.

    Parameters
    ----------
    survey, manifest : Survey, Manifest
        Of the folder.
    opener : Opener or None
        Without it, only files whose bytes are on record are recognized.
    """
    on_record = {}
    for record in manifest.requests:
        for part in record.generations:
            on_record[part.key_sha256] = (KEY, part.spki_sha256)
            if part.package is not None:
                on_record[part.package.sha256] = (PACKAGE, part.spki_sha256)
    copies = []
    for path in list_unknown_files(survey, manifest):
        if files.TEMP_PREFIX in path:
            continue  # lyncnb removes this temporary file the next time that it locks the folder.
        try:
            data = files.read_file(survey.folder / path)
        except BundleError:
            continue  # The file is a link, or it is larger than any key or package.
        digest = hashlib.sha256(data).hexdigest()
        if digest in on_record:
            kind, spki = on_record[digest]
            copies.append(SecretCopy(path=path, what=kind, spki_sha256=spki))
        elif _ARMOUR in data:
            spki = _identify_key(data, path, opener)
            copies.append(SecretCopy(path=path, what=KEY, spki_sha256=spki))
        elif path.casefold().endswith(_PACKAGE_ENDINGS) or (opener and digest in opener.passwords):
            spki = _identify_package(data, digest, opener)
            copies.append(SecretCopy(path=path, what=PACKAGE, spki_sha256=spki))
    return copies


def _identify_key(data: bytes, path: str, opener: Opener | None) -> str:
    if opener is None:
        return ""
    try:
        return keys.compute_spki_sha256(opener.cipher.decrypt(data, name=path))
    except BundleError:
        return ""


def _identify_package(data: bytes, digest: str, opener: Opener | None) -> str:
    if opener is None or digest not in opener.passwords:
        return ""
    try:
        return open_pfx(data, opener.passwords.get_password(digest)).key_spki_sha256
    except PfxNotOpened:
        return ""
