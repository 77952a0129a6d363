"""The edits of a cell's editor outlive the cell: run again, it makes an editor that has them.

"Run All" makes a new editor from the file; without this it would throw away what was not saved.
An editor is found again by the cell that shows it and the name of its source. Nothing is kept
beyond the kernel's life, and nothing where there is no notebook.
"""

from __future__ import annotations

from pathlib import PurePath

from ..base.tables import count_of
from ..errors import LyncnbError
from .editing import PlanEditing
from .notebook_cells import cell_id
from .saved_choices import change_rows

_shown: dict[tuple[str, str], PlanEditing] = {}


def restore(editor: PlanEditing) -> list[str]:
    """Make the edits of the editor that this cell showed before, and remember this one.

    Parameters
    ----------
    editor : PlanEditing
        Shown for the first time; one that the cell has changed itself stays as it is.

    Returns
    -------
    list of str
        What was restored, or why not; empty if there was nothing.
    """
    cell = cell_id()
    if not cell:
        return []
    place = cell, editor.topology.source
    earlier, _shown[place] = _shown.get(place), editor
    if earlier is None or earlier is editor or not earlier.has_changes or editor.has_changes:
        return []
    count = count_of(len(change_rows(earlier.draft.loaded, earlier.draft.state)), "change")
    source = PurePath(editor.topology.source).name
    try:
        is_same_file = editor.take_over(earlier)
    except LyncnbError as error:
        editor.earlier = earlier
        return [
            f"{source} is another table now, and {count} of before cannot be made on it.",
            f"Why: {error.message}",
            "To see them: editor.earlier.changes(). As Python: print(editor.earlier.code())",
        ]
    if is_same_file:
        return [f"Restored from before this cell was run again: {count} against {source}."]
    return [f"{source} or the options in the cell are new; {count} of before, made again on them."]
