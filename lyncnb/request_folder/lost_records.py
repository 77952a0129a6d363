"""What a manifest alone knew, when it is damaged or missing: what of it can be had again, and not.

Keys and CSRs do not say which saved plan was requested, who approved it, or which requests were
left out because a certificate stands. A damaged manifest may still hold that, line by line; the
summary files say it for people, who then know what to give again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..base import files
from ..base.json_text import NotJson, parse_json
from ..base.records import RecordReader
from ..base.tables import first_of
from ..errors import LyncnbError
from .manifest import FORMAT, NAME, Manifest, read_document
from .request_record import RequestRecord

_LARGEST = 1 << 26  # bytes of a summary file that is looked at
_IDS_TOLD = 5
_NOBODY = "nobody"  # as the summary says it of a plan without a signature
_FACT = re.compile(r"^- (Saved plan|Approved by): (.+)$", re.MULTILINE)
_COVERED = re.compile(r'^\ufeff?"([A-Za-z0-9-]+)",.*"no request: covered by ', re.MULTILINE)
_BLANK = {"product": "", "plan_sha256": "", "accepted": [], "summary": {}, "encrypted": []}
_HEAD = re.compile(rb'^"(plans|accepted)": (\[.*\]),?$', re.MULTILINE)
_RECORD = re.compile(rb'^(\{"id": .*\}),?$', re.MULTILINE)


def salvaged(damaged: bytes) -> Manifest:
    """Give what can be read of a damaged manifest and is nowhere else.

    Parameters
    ----------
    damaged : bytes
        The file, of which not even the end may be there.

    Returns
    -------
    Manifest
        With saved plans and their approvals, accepted findings and requests that were left out for
        what stands, as far as each is whole; else as of an empty folder.
    """
    kept = Manifest()
    for name, text in _HEAD.findall(damaged):
        if (found := _read({name.decode("ascii"): _json(text)})) is not None:
            kept = replace(kept, **{name.decode("ascii"): getattr(found, name.decode("ascii"))})
    covered: dict[str, RequestRecord] = {}
    for text in _RECORD.findall(damaged):
        if b'"covered": {' not in text:
            continue
        found = _read({"requests": [_json(text)]})
        if found is not None and found.requests[0].covered is not None:
            covered[found.requests[0].id] = found.requests[0]
    return replace(kept, requests=tuple(covered.values()))


def _json(text: bytes) -> object:
    try:
        return parse_json(text)
    except NotJson:
        return None


def _read(part: dict[str, object]) -> Manifest | None:
    """Read one part of a manifest as strictly as a whole one."""
    document = {"format": FORMAT, **_BLANK, "rekeying": "", "log": [], "requests": [], **part}
    return read_document(document, RecordReader(NAME, is_json=True))


def loss_notes(folder: Path, kept: Manifest) -> Iterator[str]:
    """Say what the new manifest does not know, and what to do about it.

    Parameters
    ----------
    folder : Path
        The request folder, with the summary files of an earlier run.
    kept : Manifest
        What was had of the damaged manifest; of a missing one nothing.
    """
    facts = dict(_FACT.findall(_text(folder / "summary.md")))
    if kept.plans:
        names = ", ".join(one.signer for one in kept.plans[-1].approvals) or _NOBODY
        yield (
            f"kept of the damaged manifest: the saved plan {kept.plans[-1].sha256[:12]}…, approved"
            f" by {names}"
        )
    elif facts:
        told = "; ".join(f"{name}: {text}" for name, text in facts.items()).replace("\\", "")
        was_approved = not facts.get("Approved by", _NOBODY).startswith(_NOBODY)
        signers = "--approved-by SIGNERS " if was_approved else ""
        yield (
            "lost: the record of the saved plan and of who approved it. summary.md says: "
            f"{told}. Request it again: lyncnb request --plan FILE {signers}FOLDER"
        )
    covered = dict.fromkeys(_COVERED.findall(_text(folder / "summary.csv")))
    if kept.requests:
        yield (
            "kept of the damaged manifest: no request for "
            f"{first_of([one.id for one in kept.requests], _IDS_TOLD)}, since a certificate stands"
        )
    if left := [one for one in covered if one not in kept.by_id]:
        yield (
            f"lost: by which certificate {first_of(left, _IDS_TOLD)}"
            f" {'is' if len(left) == 1 else 'are'} covered."
            " The next run would request it; give --only-missing FILE.json and --reuse ID again"
        )
    if not (kept.plans or facts or kept.requests or covered):
        yield (
            "lost, where the manifest had any: saved plans and who approved them, requests left"
            " out for a certificate that stands, reasons for accepted findings. The next request"
            " takes them again: --plan, --approved-by, --only-missing, --accept"
        )


def _text(path: Path) -> str:
    try:
        return files.read(path, limit=_LARGEST).decode("utf-8", "replace").replace("\r", "")
    except (OSError, LyncnbError):
        return ""
