"""Store the passwords of the packages in a list, encrypted with the folder's passphrase.

A package and its password must be sent to a server separately, so the list never leaves the folder.
lyncnb shows a single password on request.
"""

from __future__ import annotations

import json
import os
import secrets
import string
from collections.abc import Callable, Iterable
from pathlib import Path

from ..base.disk import files
from ..base.json_text import parse_json
from ..errors import BundleError, PassphraseError
from ..pki.passphrase import Secret
from ..pki.pkcs8 import FolderCipher
from ..request_folder.manifest import read_manifest

#: The path of the list of passwords, relative to the request folder.
LIST = "pfx/passwords.enc"

_FORMAT = "lyncnb-passwords/1"
# The length of a password. With 24 characters from an alphabet of 55, a password has 138 bits of
# entropy. The MAC of a PFX file always takes 2,048 rounds, no matter how strong the key derivation
# is. Therefore, only the length of the password protects a lost package.
_CHARACTERS = 24
# The characters of a password. Every shell and old versions of Windows accept letters and digits.
# Characters that look alike in print (I l 1, O 0), and characters that are in different positions
# on a German keyboard (y z), are left out.
_ALPHABET = "".join(sign for sign in string.ascii_letters + string.digits if sign not in "Il1O0yz")
_LIMIT = 64 << 20
_DAMAGED = (
    f"remove {LIST} and run: lyncnb pfx FOLDER. The command creates the packages again "
    "with new passwords. The keys do not change"
)


def generate_password() -> Secret:
    """Generate a random password of 24 letters and digits, which has about 138 bits."""
    return Secret("".join(secrets.choice(_ALPHABET) for _ in range(_CHARACTERS)))


class PasswordList:
    """The passwords of packages. Each is stored under the SHA-256 of its package.

    Parameters
    ----------
    folder : Path
        The request folder.
    cipher : FolderCipher
        Uses the folder's passphrase.
    """

    def __init__(self, folder: Path, cipher: FolderCipher):
        self._path = folder / LIST
        self._cipher = cipher
        self._passwords: dict[str, Secret] = {}
        if os.path.lexists(self._path):
            self._read_list()

    def __repr__(self) -> str:
        return f"PasswordList({len(self._passwords)} packages)"

    def __contains__(self, package_sha256: object) -> bool:
        return package_sha256 in self._passwords

    def get_password(self, package_sha256: str) -> Secret:
        """Return the password of a package.

        Raises
        ------
        BundleError
            If the list does not have it.
        """
        try:
            return self._passwords[package_sha256]
        except KeyError:
            raise BundleError(
                f"{LIST} has no password for this package",
                hint=(
                    "remove the package and run: lyncnb pfx FOLDER. The key of this "
                    "package is still in keys/"
                ),
            ) from None

    def save_passwords(self, new_passwords: dict[str, Secret]) -> None:
        """Add passwords to the list. Old passwords remain until ``purge`` removes them.

        The list is written before the packages, because a package without a password is useless,
        and a password without a package does no harm.
        """
        self._passwords |= new_passwords
        document = {
            "format": _FORMAT,
            "passwords": {k: v.reveal() for k, v in sorted(self._passwords.items())},
        }
        data = json.dumps(document, indent=0).encode()
        files.replace_file(self._path, self._cipher.encrypt_data(data, name=LIST), 0o600)

    @property
    def packages(self) -> frozenset[str]:
        """The SHA-256 of each package whose password is in the list."""
        return frozenset(self._passwords)

    def remove_passwords(self, packages: Iterable[str]) -> None:
        """Remove the passwords of packages from the list. Packages are specified by SHA-256."""
        for digest in packages:
            self._passwords.pop(digest, None)
        self.save_passwords({})

    def _read_list(self) -> None:
        pem = files.read_file(self._path, limit=_LIMIT)
        try:
            data = self._cipher.decrypt_data(pem, name=LIST)
        except PassphraseError as error:
            raise PassphraseError(
                error.message, hint=f"{error.hint}; if the passphrase opens the keys, {_DAMAGED}"
            ) from None
        except BundleError as error:
            raise BundleError(error.message, hint=_DAMAGED) from None
        try:
            document = parse_json(data)
            if document["format"] != _FORMAT:
                raise ValueError(document["format"])
            self._passwords = {k: Secret(v) for k, v in document["passwords"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BundleError(
                f"{LIST} was not written by this version of lyncnb",
                hint=(
                    "use the lyncnb version that wrote this file, or move the file to "
                    "another folder and package the certificates again"
                ),
            ) from None


def show_password(
    folder: str | os.PathLike[str],
    request_id: str,
    passphrase: Secret | str,
    *,
    show: Callable[[str], object],
) -> str:
    """Show the password of one package to the user.

    Parameters
    ----------
    folder : path
        The request folder.
    request_id : str
        Id of the request, or the unique beginning of one.
    passphrase : Secret or str
        The folder's.
    show : callable
        Receives the password. It must not write it to a file, log or table.

    Returns
    -------
    str
        The package, relative to the folder.

    Raises
    ------
    BundleError
        If there is no such package, several fit, or the list lacks its password.
    """
    manifest = read_manifest(Path(folder))
    requests = manifest.requests
    packages = {r.id: r.package for r in requests if r.package is not None}
    fitting = [name for name in packages if name == request_id] or [
        name for name in packages if request_id and name.startswith(request_id)
    ]
    if len(fitting) != 1:
        known = ", ".join((fitting or list(packages))[:5]) or "none yet"
        raise BundleError(
            f'"{request_id}" matches {len(fitting)} packages of {folder}',
            hint=(
                "specify an ID, or more of the ID's first characters. These packages "
                f"exist: {known}"
            ),
        )
    package = packages[fitting[0]]
    cipher = FolderCipher(passphrase)
    passwords = PasswordList(Path(folder), cipher)
    show(passwords.get_password(package.sha256).reveal())
    return package.file
