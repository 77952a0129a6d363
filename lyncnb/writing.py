"""Carry out what was foreseen for a request folder, so that no key is ever lost.

Order of a run: lock; look at everything; prove the passphrase; announce in the manifest what
will be written; move what is superseded; per request the key, then the CSR, each durable; record
in the manifest that it is written; summary. Interrupted anywhere, the next run completes.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from . import export
from .base import files
from .base.lock import OWNER_NAME, lock
from .errors import BundleError, PassphraseError
from .export import Progress
from .order import Order
from .outlook import Outlook, foresee
from .pki.passphrase import Secret, as_passphrase
from .pki.pkcs8 import FolderCipher
from .plan import summary
from .request_folder.files_on_disk import MODES, SUMMARY_NAMES
from .request_folder.leftovers import carry_out
from .request_folder.manifest import Manifest, save_manifest
from .store import PairStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How the pairs are made, see :func:`export.run`, and how long to wait for the lock."""

    workers: int | None
    executor: Executor | None
    progress: Callable[[Progress], object] | None
    cancel: threading.Event | None
    lock_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was foreseen, the manifest as it now stands, and whether the run was cancelled."""

    outlook: Outlook
    manifest: Manifest
    cancelled: bool = False


def write(
    folder: Path,
    order: Order,
    secret: Secret,
    *,
    making: Making,
    confirm_new: Callable[[], Secret | str] | None,
) -> Outcome:
    """Bring a folder to what is asked, or leave it alone if it is there already.

    Raises
    ------
    PassphraseError, BundleError
        If the folder or the passphrase needs attention.
    """
    cipher = FolderCipher(secret)
    confirm = _confirmation(secret, confirm_new)
    # A run that has nothing to do leaves even the lock's file alone, and works on a disk that can
    # only be read. Anything else, trouble too, is looked at again under the lock.
    outlook = _look(folder, order, cipher)
    if outlook is not None:
        confirm(outlook)
        if outlook.is_quiet:
            return Outcome(outlook=outlook, manifest=outlook.manifest)
    del outlook  # 100,000 requests are some 300 MB, once is enough
    with _writing(folder, making.lock_seconds):
        outlook = foresee(folder, order, cipher)
        confirm(outlook)
        return _carry_out(outlook, order, cipher, making)


def _look(folder: Path, order: Order, cipher: FolderCipher) -> Outlook | None:
    """Foresee without the lock; None if somebody else is writing, so that it is worth waiting."""
    for attempt in (1, 2):
        try:
            return foresee(folder, order, cipher)
        except BundleError:
            if os.path.lexists(folder / OWNER_NAME):
                return None
            # A writer may have finished while we looked: what is wrong stays wrong.
            if attempt == 2:
                raise
    return None


def _confirmation(
    secret: Secret, ask: Callable[[], Secret | str] | None
) -> Callable[[Outlook], None]:
    asked = []

    def confirm(outlook: Outlook) -> None:
        if ask is None or asked or outlook.is_proven or not outlook.to_write:
            return
        asked.append(True)
        if as_passphrase(ask()) != secret:
            raise PassphraseError(
                "the two passphrases differ, so nothing was written", hint="run it again"
            )

    return confirm


@contextmanager
def _writing(folder: Path, wait: float) -> Iterator[None]:
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    for place in reversed(missing):
        # What leads there is the planner's, and as open as the system makes it.
        files.make_folder(place, 0o700 if place == folder else 0o777)
    with lock(folder, wait=wait):
        yield


def _carry_out(outlook: Outlook, order: Order, cipher: FolderCipher, making: Making) -> Outcome:
    folder = outlook.survey.folder
    places = ["csr", "keys", *(["archive"] if outlook.moves else [])]
    for place in places:
        files.make_folder(folder / place, MODES[place])
    for stale in {temp.parent for temp in outlook.survey.stale}:
        files.remove_stale(stale)
    save_manifest(folder, outlook.manifest)
    carry_out(outlook.survey, outlook.moves)
    manifest, cancelled = _make_pairs(outlook, order, cipher, making)
    # Recorded before the summary: whatever may be wrong with a table, the requests are finished.
    save_manifest(folder, manifest)
    if outlook.has_stale_summary:
        manifest = _write_summary(outlook, order, manifest)
    return Outcome(outlook=outlook, manifest=manifest, cancelled=cancelled)


def _write_summary(outlook: Outlook, order: Order, manifest: Manifest) -> Manifest:
    # One table in memory at a time. Interrupted, the hashes on record do not fit, and the next
    # run writes them all again.
    hashes = {"of": outlook.summary_of}
    for name in SUMMARY_NAMES:
        suffix = "." + name.rpartition(".")[2]
        data = summary.write_plan_table(
            order.plan, order.findings, suffix, requests=manifest.requests
        )
        files.replace(outlook.survey.folder / name, data, 0o644)
        hashes[name] = hashlib.sha256(data).hexdigest()
    manifest = replace(manifest, summary=hashes)
    save_manifest(outlook.survey.folder, manifest)
    return manifest


def _make_pairs(
    outlook: Outlook, order: Order, cipher: FolderCipher, making: Making
) -> tuple[Manifest, bool]:
    items = [(request.id, request.certificate) for request in outlook.to_write]
    if not items:
        return outlook.manifest, False
    known = _public_keys(outlook.manifest)
    with PairStore(outlook.survey.folder, known=known) as store:
        exported = export.run(
            items,
            cipher,
            store=store,
            workers=making.workers,
            executor=making.executor,
            progress=making.progress,
            cancel=making.cancel,
        )
    records = (
        replace(
            outlook.manifest.by_id[name],
            state="waiting",
            written_at=order.now,
            **written._asdict(),
        )
        for name, written in store.written.items()
    )
    return outlook.manifest.with_records(records), exported.cancelled


def _public_keys(manifest: Manifest) -> Iterator[str]:
    for record in manifest.requests:
        yield record.spki_sha256
        for old in record.archived:
            yield old.spki_sha256
