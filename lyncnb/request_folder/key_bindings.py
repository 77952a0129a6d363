"""Bind each key file to its request with an HMAC in the manifest. The HMAC needs the passphrase.

Key files are encrypted but not authenticated, and all key files of a run use the same derived key.
So an attacker could replace a key file with another key file, create a CSR from it, and change both
hashes in the manifest. Commands that have the passphrase write and check the HMAC. Other commands
do not change it.
"""

from __future__ import annotations

import hmac
from collections.abc import Container, Iterator
from dataclasses import replace

from ..base.disk import files
from ..errors import BundleError, Problem
from ..pki import csr, keys
from ..pki.pkcs8 import Derivation, FolderCipher
from .files_on_disk import Survey, find_record_problems
from .manifest import Manifest
from .request_record import BindingKey, RequestRecord

_RESTORE = (
    "restore the key file from a backup, or replace the request: "
    "lyncnb request TOPOLOGY FOLDER --renew {id} --reason TEXT"
)
_CONFIRM = (
    "to show what the request contains: lyncnb status FOLDER --rebuild. To confirm that the "
    "request is yours: lyncnb status FOLDER ID --rebuild"
)


def add_bindings(manifest: Manifest, cipher: FolderCipher, *, ids: Container[str]) -> Manifest:
    """Return the manifest with an HMAC for each request whose key is in the folder.

    Requests that have no HMAC get one only if they are in ``ids``: lyncnb has just written them, or
    a person has confirmed them. The caller must have checked the existing HMACs and opened all
    other keys.
    """
    to_bind = [
        record
        for record in manifest.requests
        if record.has_key and (record.id in ids or is_bound(manifest, record))
    ]
    binding_key = manifest.binding_key
    if binding_key is None and not to_bind:
        return manifest
    derivation = cipher.derivation if binding_key is None else _build_derivation(binding_key)
    macs = dict(
        zip(
            (record.id for record in to_bind),
            cipher.compute_macs(derivation, map(_build_mac_input, to_bind)),
            strict=True,
        )
    )
    return replace(
        manifest,
        requests=tuple(
            replace(record, binding=macs.get(record.id, "")) for record in manifest.requests
        ),
        binding_key=BindingKey(
            salt=derivation.salt.hex(),
            rounds=derivation.rounds,
            hash=derivation.prf,
            length=derivation.length,
        ),
    )


def is_bound(manifest: Manifest, record: RequestRecord) -> bool:
    """Return whether the record of a request has an HMAC that can be verified."""
    return bool(record.binding) and manifest.binding_key is not None


def find_binding_problems(
    survey: Survey,
    manifest: Manifest,
    cipher: FolderCipher,
    *,
    abandoned_ids: frozenset[str] = frozenset(),
) -> Iterator[Problem]:
    """Report requests whose record or key differs from the data that lyncnb wrote.

    If a request has no HMAC, lyncnb opens the key and compares it with the CSR and the record.
    :func:`find_record_problems` reports keys and CSRs that are missing or changed.

    Parameters
    ----------
    survey, manifest : Survey, Manifest
        The result of examining the folder, and the manifest of the folder.
    cipher : FolderCipher
        The cipher with the verified passphrase.
    abandoned_ids : frozenset of str, optional
        The ids of requests that will get a new key.
    """
    yield from report_shared_keys(manifest, abandoned_ids=abandoned_ids)
    yield from find_altered_records(manifest, cipher, abandoned_ids=abandoned_ids)
    for record in manifest.requests:
        if is_bound(manifest, record) or not record.has_key or record.id in abandoned_ids:
            continue
        if not find_record_problems(survey, record):
            yield from _check_pair(survey, record, cipher)


def find_pair_problems(
    survey: Survey, manifest: Manifest, cipher: FolderCipher, ids: Container[str]
) -> Iterator[Problem]:
    """Open the keys of some requests, and report those that do not belong to their CSRs."""
    yield from find_altered_records(manifest, cipher)
    for record in manifest.requests:
        if record.has_key and record.id in ids:
            yield from _check_pair(survey, record, cipher)


def find_altered_records(
    manifest: Manifest, cipher: FolderCipher, *, abandoned_ids: frozenset[str] = frozenset()
) -> Iterator[Problem]:
    """Report requests whose HMAC does not match their record in the manifest."""
    binding_key = manifest.binding_key
    if binding_key is None:
        return
    bound = [
        request
        for request in manifest.requests
        if request.has_key and request.binding and request.id not in abandoned_ids
    ]
    expected = cipher.compute_macs(_build_derivation(binding_key), map(_build_mac_input, bound))
    for record, mac in zip(bound, expected, strict=True):
        if not hmac.compare_digest(record.binding, mac):
            yield _build_problem(record, "differs from the record that lyncnb wrote for this key")


def report_shared_keys(
    manifest: Manifest, *, abandoned_ids: frozenset[str] = frozenset()
) -> Iterator[Problem]:
    """Report requests whose current key is also the key of another request."""
    for record, others in _find_shared_keys(manifest, abandoned_ids):
        if record.id not in abandoned_ids:
            yield _build_problem(record, f"has the same public key as {', '.join(others)}")


def _find_shared_keys(
    manifest: Manifest, abandoned_ids: frozenset[str]
) -> Iterator[tuple[RequestRecord, list[str]]]:
    owners: dict[str, set[str]] = {}
    for record in manifest.requests:
        for generation in record.generations if record.id not in abandoned_ids else ():
            owners.setdefault(generation.spki_sha256, set()).add(record.id)
    for record in manifest.requests:
        if record.spki_sha256 and (others := owners.get(record.spki_sha256, set()) - {record.id}):
            yield record, sorted(others)


def remove_shared_keys(
    old_manifest: Manifest, new_manifest: Manifest, abandoned_ids: frozenset[str]
) -> Manifest:
    """Remove the public key from an abandoned generation if another request has the same key.

    A certificate for this key then belongs only to the other request.
    """
    shared = {
        record.id
        for record, _ in _find_shared_keys(old_manifest, abandoned_ids)
        if record.id in abandoned_ids
    }
    changed = []
    for name in sorted(shared):
        *generations, last = new_manifest.by_id[name].archived
        archived = (*generations, replace(last, spki_sha256=""))
        changed.append(replace(new_manifest.by_id[name], archived=archived))
    return new_manifest.with_records(changed)


def report_unverified_keys(
    manifest: Manifest, ids: Container[str] | None = None
) -> Iterator[Problem]:
    """Report the requests whose key is in the folder but has no HMAC.

    lyncnb writes an HMAC with each key. So somebody removed it, or may have replaced the key and
    the CSR. A rebuild shows the requests, and a person confirms them.
    """
    for record in manifest.requests:
        if record.has_key and not is_bound(manifest, record) and (ids is None or record.id in ids):
            yield Problem(
                message="lyncnb has not verified that this key belongs to the request "
                f"{record.id}, because the record has no proof",
                file=record.files.key,
                hint=_CONFIRM,
            )


def _build_mac_input(record: RequestRecord) -> bytes:
    parts = (record.id, str(record.generation), record.key_sha256, record.csr_sha256)
    return "\n".join(parts).encode()


def _build_derivation(key_parameters: BindingKey) -> Derivation:
    return Derivation(
        bytes.fromhex(key_parameters.salt),
        key_parameters.rounds,
        key_parameters.hash,
        key_parameters.length,
    )


def _check_pair(survey: Survey, record: RequestRecord, cipher: FolderCipher) -> Iterator[Problem]:
    csr_path, key_path = record.files.csr, record.files.key
    try:
        request = csr.parse_request(files.read_file(survey.folder / csr_path), name=csr_path)
        key = cipher.decrypt(files.read_file(survey.folder / key_path), name=key_path)
    except BundleError as error:
        yield Problem(message=error.message, file=key_path, hint=error.hint)
        return
    if not keys.is_key_pair(key, request.public_key):
        yield _build_problem(record, f"does not belong to {csr_path}")
    elif request.spki_sha256 != record.spki_sha256:
        yield _build_problem(record, "differs from the key on record")


def _build_problem(record: RequestRecord, message: str) -> Problem:
    return Problem(message=message, file=record.files.key, hint=_RESTORE.format(id=record.id))
