"""Record which saved outputs of a notebook show an earlier plan.

After a reload of the page, JupyterLab ignores updates to outputs that it loaded from the file. The
panel continues to work, but its static output in the notebook does not change. The record is a
small file next to the notebook. ``lyncnb share`` reads the file and refuses a page with such an
output.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from ..base.disk import files
from ..errors import BundleError, LyncnbError

#: The name of a folder next to the notebook. The folder contains the record of outdated outputs,
#: and drafts of unsaved edits.
DRAFT_FOLDER = ".lyncnb-draft"

_NAME = "outdated.json"
_LARGEST = 1 << 20  # The maximum size of the record in bytes.


def record_outdated_output(
    shown_digest: str, current_digest: str, *, folder: Path = Path(DRAFT_FOLDER)
) -> None:
    """Record that a saved output shows an earlier plan, or remove the record of a current output.

    Parameters
    ----------
    shown_digest, current_digest : str
        SHA-256 digests of the plan in the saved output, and of the current plan.
    folder : Path, optional
        The folder of the record. It is created if necessary, and removed if it becomes empty.

    Raises
    ------
    BundleError
        If the file cannot be written.
    """
    path = folder / _NAME
    before = read_outdated_outputs(folder)
    outdated = {digest: plan for digest, plan in before.items() if digest != shown_digest}
    if shown_digest != current_digest:
        outdated[shown_digest] = current_digest
    if outdated == before:
        return
    if outdated:
        files.make_folder(folder)
        files.replace_file(path, json.dumps(outdated, indent=1).encode())
    else:
        path.unlink(missing_ok=True)
        # rmdir() fails if the folder also contains drafts, and lyncnb keeps the folder.
        with suppress(OSError):
            folder.rmdir()


def read_outdated_outputs(folder: Path) -> dict[str, str]:
    """Return the plan digest of each outdated output, with the current plan's digest."""
    try:
        content = json.loads(
            files.read_specified_file(folder / _NAME, limit=_LARGEST, error_class=BundleError)
        )
    except (LyncnbError, ValueError, RecursionError):
        return {}  # Most notebooks have no record of outdated outputs.
    return dict(content) if isinstance(content, dict) else {}
