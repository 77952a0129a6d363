"""What binds a key file to its request: an HMAC in the manifest that needs the passphrase.

Key files are encrypted and not authenticated, and all of a run are under one derived key. So a key
that is copied over another one, with a CSR made from it and the hashes of both in the manifest,
looks sound. Commands that hold the passphrase write and check the HMAC; others carry it along.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import replace

from ..base.disk import files
from ..errors import BundleError, Problem
from ..pki import csr, keys
from ..pki.pkcs8 import Derivation, FolderCipher
from .files_on_disk import Survey, record_problems
from .manifest import Manifest
from .request_record import BindingKey, RequestRecord

_RESTORE = (
    "restore manifest.json and the key file from a backup, or abandon the request: --renew "
    "{id} --reason TEXT"
)


def bind(
    manifest: Manifest, cipher: FolderCipher, *, unopened: frozenset[str] = frozenset()
) -> Manifest:
    """Return the manifest with the HMAC of each request that has its key in the folder.

    The caller has checked what was bound before, and opened what was not, but for the key files
    that ``unopened`` names: those get none.
    """
    held = manifest.binding_key

    def is_opened(record: RequestRecord) -> bool:
        return record.has_key and record.files.key not in unopened

    to_bind = [record for record in manifest.requests if is_opened(record)]
    if held is None and not to_bind:
        return manifest
    derivation = cipher.derivation if held is None else _derivation(held)
    macs = iter(cipher.macs(derivation, map(_text, to_bind)))
    records = (
        replace(record, binding=next(macs) if is_opened(record) else "")
        for record in manifest.requests
    )
    return replace(
        manifest,
        requests=tuple(records),
        binding_key=BindingKey(
            salt=derivation.salt.hex(),
            rounds=derivation.rounds,
            hash=derivation.prf,
            length=derivation.length,
        ),
    )


def binding_problems(
    survey: Survey,
    manifest: Manifest,
    cipher: FolderCipher,
    *,
    given_up: frozenset[str] = frozenset(),
) -> Iterator[Problem]:
    """Report requests whose record or key is not what lyncnb wrote.

    A request without an HMAC has its key opened and compared with its CSR and its record. Keys and
    CSRs that are missing or changed are left to :func:`record_problems`.

    Parameters
    ----------
    survey, manifest : Survey, Manifest
        Of the folder.
    cipher : FolderCipher
        Of the proven passphrase.
    given_up : frozenset of str, optional
        Ids of requests that get a new key in any case.
    """
    yield from shared_keys(manifest, given_up=given_up)
    yield from altered_records(manifest, cipher, given_up=given_up)
    for record in manifest.requests:
        is_open = record.binding and manifest.binding_key is not None
        if is_open or not record.has_key or record.id in given_up:
            continue
        if not record_problems(survey, record):
            yield from _pair_problems(survey, record, cipher)


def altered_records(
    manifest: Manifest, cipher: FolderCipher, *, given_up: frozenset[str] = frozenset()
) -> Iterator[Problem]:
    """Name requests whose HMAC is not that of their record."""
    held = manifest.binding_key
    if held is None:
        return
    bound = [
        one for one in manifest.requests if one.has_key and one.binding and one.id not in given_up
    ]
    expected = cipher.macs(_derivation(held), map(_text, bound))
    for record, mac in zip(bound, expected, strict=True):
        if not hmac.compare_digest(record.binding, mac):
            yield _problem(record, "differs from the record that lyncnb wrote for this key")


def shared_keys(manifest: Manifest, *, given_up: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Name requests whose present key is that of another request, too."""
    for record, others in _sharing(manifest, given_up):
        if record.id not in given_up:
            yield _problem(record, f"has the same public key as {', '.join(others)}")


def _sharing(
    manifest: Manifest, given_up: frozenset[str]
) -> Iterator[tuple[RequestRecord, list[str]]]:
    owners: dict[str, set[str]] = {}
    for record in manifest.requests:
        for one in record.generations if record.id not in given_up else ():
            owners.setdefault(one.spki_sha256, set()).add(record.id)
    for record in manifest.requests:
        if record.spki_sha256 and (others := owners.get(record.spki_sha256, set()) - {record.id}):
            yield record, sorted(others)


def without_shared(before: Manifest, after: Manifest, given_up: frozenset[str]) -> Manifest:
    """Take the public key off a generation that is given up because another request has it.

    A certificate for that key then belongs to the other request alone.
    """
    shared = {record.id for record, _ in _sharing(before, given_up) if record.id in given_up}
    changed = []
    for name in sorted(shared):
        *kept, last = after.by_id[name].archived
        archived = (*kept, replace(last, spki_sha256=""))
        changed.append(replace(after.by_id[name], archived=archived))
    return after.with_records(changed)


def unverified(manifest: Manifest) -> int:
    """Count the requests whose key is in the folder and not bound to its record."""
    return sum(1 for record in manifest.requests if record.has_key and not record.binding)


def _text(record: RequestRecord) -> bytes:
    parts = (record.id, str(record.generation), record.key_sha256, record.csr_sha256)
    return "\n".join(parts).encode()


def _derivation(held: BindingKey) -> Derivation:
    return Derivation(bytes.fromhex(held.salt), held.rounds, held.hash, held.length)


def _pair_problems(
    survey: Survey, record: RequestRecord, cipher: FolderCipher
) -> Iterator[Problem]:
    csr_path, key_path = record.files.csr, record.files.key
    try:
        request = csr.parse_request(files.read(survey.folder / csr_path), name=csr_path)
        key = cipher.decrypt(files.read(survey.folder / key_path), name=key_path)
    except BundleError as error:
        yield Problem(message=error.message, file=key_path, hint=error.hint)
        return
    if not keys.public_matches(key, request.public_key):
        yield _problem(record, f"does not belong to {csr_path}")
    elif request.spki_sha256 != record.spki_sha256:
        yield _problem(record, "differs from the key on record")


def _problem(record: RequestRecord, message: str) -> Problem:
    return Problem(message=message, file=record.files.key, hint=_RESTORE.format(id=record.id))
