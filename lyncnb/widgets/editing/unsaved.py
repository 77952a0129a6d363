"""Keep unsaved edits in a file next to the notebook. The next kernel can restore them.

A draft contains the edits from the saved table and options to the current ones. It contains
no secret, because an editor has none. Only the owner can read the file. The file is always
replaced as a whole. lyncnb removes it when the edits are saved, undone or discarded. lyncnb
never overwrites the draft of another kernel.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from ...base.disk import files
from ...base.records import RecordReader, convert_to_json
from ...base.shown.tables import format_count
from ...base.times import format_time
from ...errors import BundleError, LyncnbError, OptionsError
from ...jupyter.outdated_outputs import DRAFT_FOLDER
from ...plan.options import PlanOptions
from .choices import Server, ServerEdits, find_edits, find_option_changes, list_change_rows
from .draft import State
from .edits import repeat_edits
from .plan_editing import PlanEditing

_FORMAT = "lyncnb-draft/1"
_LARGEST = (
    1 << 28
)  # The maximum size of a draft in bytes, which is also the maximum size of a table.
_MOST = 100  # The largest number of drafts to read.


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftServer:
    """The name of a server in the table, and its role if the server has several rows."""

    server: str
    role: str = ""

    @classmethod
    def from_key(cls, key: Server) -> DraftServer:
        """Create an identifier of a table row from a server, or from a server and role."""
        return cls(server=key) if isinstance(key, str) else cls(server=key[0], role=key[1])

    @property
    def key(self) -> Server:
        """The key of the row as a text or a tuple."""
        return (self.server, self.role) if self.role else self.server


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedServers:
    """Servers whose rows have the same changed cells, with the new texts of these cells."""

    servers: tuple[DraftServer, ...]
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedServer:
    """The texts of a row that was added to the table."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFile:
    """The content of a file with a draft.

    ``table`` and ``table_sha256`` identify the table before the edits.
    """

    format: str
    table: str
    table_sha256: str
    written: str
    changes: int
    change: tuple[ChangedServers, ...]
    add: tuple[AddedServer, ...]
    remove: tuple[DraftServer, ...]
    options: str  # The draft contains all options of the plan, in the same form as plan.toml.

    @property
    def edits(self) -> ServerEdits:
        """The edits in the draft that change the table."""
        return ServerEdits(
            change=tuple(
                (tuple(server.key for server in part.servers), dict(part.values))
                for part in self.change
            ),
            add=tuple(dict(row.values) for row in self.add),
            remove=tuple(server.key for server in self.remove),
        )

    @classmethod
    def from_states(
        cls, table: str, digest: str, saved_state: State, current_state: State
    ) -> DraftFile:
        """Create the content of a draft: the edits from the saved state to the current state."""
        edits = find_edits(saved_state, current_state)
        return cls(
            format=_FORMAT,
            table=table,
            table_sha256=digest,
            written=format_time(datetime.now(UTC)),
            changes=edits.count
            + len(find_option_changes(saved_state.options, current_state.options)),
            change=tuple(
                ChangedServers(servers=tuple(map(DraftServer.from_key, servers)), values=values)
                for servers, values in edits.change
            ),
            add=tuple(AddedServer(values=row) for row in edits.add),
            remove=tuple(map(DraftServer.from_key, edits.remove)),
            options=current_state.options.to_toml(),
        )

    def describe_draft(self, state: State) -> str:
        """Describe the draft: the number of its changes, and the time when it was saved."""
        day, _, time = self.written.partition("T")
        today = format_time(datetime.now(UTC)).partition("T")[0]
        since = f"{time[:5]} UTC" if day == today else f"{day} {time[:5]} UTC"
        words = f"Unsaved draft: {format_count(self.changes, 'change')} from {since}"
        if self.table_sha256 != compute_table_digest(state):
            return (
                f"{words}. {state.topology.source} or its options have changed since "
                "you made these edits."
            )
        return f"{words}."


class UnsavedEdits:
    """A store for one editor's unsaved edits, which also finds the drafts of earlier kernels.

    Parameters
    ----------
    editor : PlanEditing
        The editor.
    editor_id : str, optional
        An identifier of the editor in this kernel, such as the ID of its cell.
    folder : Path, optional
        The folder for drafts. lyncnb creates it for the first draft.
    """

    def __init__(self, editor: PlanEditing, editor_id: str = "", folder: Path = Path(DRAFT_FOLDER)):
        self._editor, self._folder = editor, folder
        digest = hashlib.sha256(editor_id.encode()).hexdigest()[:6]
        self._end = f"-{_name_kernel()}-{digest}.json"
        # The digest of the table that was last saved.
        self._digest: tuple[State, str] | None = None

    @property
    def _table_name(self) -> str:
        return self._editor.path or self._editor.loaded.topology.source

    def find_draft(self) -> tuple[Path, DraftFile] | None:
        """Return the newest draft that another kernel left for this table, or None."""
        state = self._editor.saved
        table, digest = self._table_name, None
        drafts = []
        for path, draft in self._list_other_drafts():
            if draft.table != table:
                digest = digest or compute_table_digest(state)
                if draft.table_sha256 != digest:
                    continue
            drafts.append((draft.written, path, draft))
        return max(drafts, key=lambda item: item[:2])[1:] if drafts else None

    def _list_other_drafts(self) -> Iterator[tuple[Path, DraftFile]]:
        with suppress(OSError):
            for path in sorted(self._folder.glob("*-*.json"))[-_MOST:]:
                if not path.name.endswith(self._end) and (draft := _read_draft(path)):
                    yield path, draft

    def keep_draft(self) -> Path | None:
        """Write the unsaved edits to the draft file, or remove the file if all edits are saved.

        Returns
        -------
        Path or None
            The file of the draft.

        Raises
        ------
        BundleError
            If the folder or the file cannot be written.
        """
        editor, path = self._editor, None
        if not editor.is_saved:
            draft = DraftFile.from_states(
                self._table_name, self._compute_saved_digest(), editor.saved, editor.state
            )
            path = self._folder / f"{draft.table_sha256[:16]}{self._end}"
            files.make_folder(self._folder)
            text = json.dumps(convert_to_json(draft), ensure_ascii=False)
            files.replace_file(path, text.encode("utf-8", "replace"))
        for old in self._folder.glob(f"*{self._end}"):
            if old != path:
                self._remove_draft(old)
        return path

    def _compute_saved_digest(self) -> str:
        """Return the digest of the saved table. It changes only when the table is saved."""
        saved = self._editor.saved
        if self._digest is None or self._digest[0] is not saved:
            self._digest = saved, compute_table_digest(saved)
        return self._digest[1]

    def restore_draft(self) -> None:
        """Repeat the edits in a draft, and keep them as the draft of the current editor.

        Raises
        ------
        LyncnbError
            If a change does not fit the current table. Then nothing changes.
        """
        if newest := self.find_draft():
            path, draft = newest
            self._editor.apply(
                repeat_edits, edits=draft.edits, options=self._list_option_changes(draft)
            )
            self.keep_draft()
            self._remove_draft(path)

    def discard_draft(self) -> None:
        """Delete the file of a draft."""
        if newest := self.find_draft():
            self._remove_draft(newest[0])

    def compare_draft(self) -> list[tuple[str, str, str, str]]:
        """List the changes in a draft: server or options, column, old value, new value.

        Raises
        ------
        LyncnbError
            In the same cases as in :meth:`restore_draft`.
        """
        newest = self.find_draft()
        if newest is None:
            return []
        state, rules = self._editor.saved, self._editor.rules
        trial = PlanEditing(state.topology, rules, options=state.options)
        trial.apply(
            repeat_edits, edits=newest[1].edits, options=self._list_option_changes(newest[1])
        )
        return list_change_rows(trial.loaded, trial.state)

    def _list_option_changes(self, draft: DraftFile) -> dict[str, object]:
        options = PlanOptions.from_toml(draft.options.encode())
        return find_option_changes(self._editor.options, options)

    def _remove_draft(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        # rmdir() fails if the folder contains other drafts. The folder is then kept.
        with suppress(OSError):
            self._folder.rmdir()


def compute_table_digest(state: State) -> str:
    """Return the SHA-256 digest of a table and its options, in the form in which they are saved."""
    digest = hashlib.sha256(state.topology.to_csv())
    digest.update(state.options.to_toml().encode())
    return digest.hexdigest()


@cache
def _name_kernel() -> str:
    """Return an identifier for this kernel, made from the time of the first call."""
    return f"{datetime.now(UTC):%Y%m%d%H%M%S%f}"


def _read_draft(path: Path) -> DraftFile | None:
    """Read a draft file. Return None if it is damaged, from a later version, or not a draft."""
    reader = RecordReader("draft", is_json=True)
    try:
        values = json.loads(
            files.read_specified_file(path, limit=_LARGEST, error_class=BundleError)
        )
    except (LyncnbError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        return None
    draft = reader.record(DraftFile, values, "draft")
    if draft is None or reader.problems:
        return None
    try:
        PlanOptions.from_toml(draft.options.encode())
    except OptionsError:
        return None
    return draft
