"""Every key and CSR of a folder by name, opened and checked against each other.

Without a manifest's help: what is here is what the files themselves say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .base import files
from .errors import BundleError, PassphraseError
from .pki import csr, keys
from .pki.csr import RequestContent
from .pki.pkcs8 import FolderCipher
from .records import csr_path, key_path
from .survey import Survey, file_problems, key_sha256

_ID = re.compile(r"[A-Za-z]+-[a-z0-9-]+-[0-9a-f]{8}")
_ARCHIVED = re.compile(rf"({_ID.pattern})-g([1-9][0-9]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A CSR, its key, or both, under one name (``stem``, without ending).

    ``content`` is None without a CSR; ``key_sha256`` is empty without a key; ``spki_sha256`` is
    that of either.
    """

    stem: str
    content: RequestContent | None
    csr_sha256: str
    spki_sha256: str
    key_sha256: str


@dataclass(slots=True, kw_only=True)
class Inventory:
    """What was found by request id (and generation), and what cannot be used."""

    current: dict[str, Found] = field(default_factory=dict)
    archived: dict[str, list[tuple[int, Found]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def take_inventory(survey: Survey, cipher: FolderCipher) -> Inventory:
    """Open every key that is named as lyncnb names them, and read every CSR.

    Raises
    ------
    PassphraseError
        If the passphrase opens none of the keys.
    """
    inventory, wrong, opened = Inventory(), None, 0
    for place, stem in _stems(survey):
        name = f"{place}/{stem}"
        try:
            found = _read(survey, place, stem, cipher)
        except PassphraseError as error:
            wrong = wrong or error
            inventory.notes.append(f"{error.message}; it was left alone")
            continue
        except BundleError as error:
            inventory.notes.append(f"{error.message}; it was left alone")
            continue
        opened += bool(found.key_sha256)
        if place == "archive":
            request_id, generation = _ARCHIVED.fullmatch(stem).groups()
            inventory.archived.setdefault(request_id, []).append((int(generation), found))
        elif found.key_sha256:
            inventory.current[stem] = found
        else:
            inventory.notes.append(f"{name}.csr has no key; it was left alone")
    if wrong is not None and not opened:
        raise wrong
    return inventory


def _stems(survey: Survey) -> Iterator[tuple[str, str]]:
    current = {name[:-4] for name in (*survey.csr, *survey.keys) if name[-4:] in (".csr", ".key")}
    for stem in sorted(stem for stem in current if _ID.fullmatch(stem)):
        yield "csr", stem
    archived = {name[:-4] for name in survey.archive if name[-4:] in (".csr", ".key")}
    for stem in sorted(stem for stem in archived if _ARCHIVED.fullmatch(stem)):
        yield "archive", stem


def _read(survey: Survey, place: str, stem: str, cipher: FolderCipher) -> Found:
    paths = {"csr": csr_path(stem), "key": key_path(stem)}
    if place == "archive":
        paths = {"csr": f"archive/{stem}.csr", "key": f"archive/{stem}.key"}
    there = {kind: path for kind, path in paths.items() if survey.has(path)}
    for path in there.values():
        if wrong := file_problems(survey, path):
            raise BundleError(f"{wrong[0].where} {wrong[0].message}", hint=wrong[0].hint)
    request, public, digest = None, "", ""
    if "csr" in there:
        request = csr.parse_request(files.read(survey.folder / paths["csr"]), name=paths["csr"])
        if request.signature_verifies() is False:
            raise BundleError(
                f"{paths['csr']}: its signature is wrong",
                hint="restore it from a backup, or move it and its key out of the folder",
            )
    if "key" in there:
        data = files.read(survey.folder / paths["key"])
        public = keys.spki_sha256(cipher.decrypt(data, name=paths["key"]))
        digest = key_sha256(data)
        if request is not None and request.spki_sha256 != public:
            raise BundleError(
                f"{paths['key']} is not the key of {paths['csr']}",
                hint="restore the pair from a backup, or move both out of the folder",
            )
    return Found(
        stem=stem,
        content=request.content if request else None,
        csr_sha256=request.csr_sha256 if request else "",
        spki_sha256=public or request.spki_sha256,
        key_sha256=digest,
    )
