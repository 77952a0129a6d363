"""Save the choices in a plan editor as Python code, or as a table and an options file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import IO

from ...base.certificate_fields import KeyParameters
from ...base.disk.file_names import is_same_path
from ...base.disk.outputs import OutputKind, check_output_path, reject_reserved_path, write_output
from ...base.disk.system_calls import describe_error
from ...base.pasted_text import show_path
from ...errors import FileOccupied, LyncnbError
from ...plan.options import DEFAULT_OPTIONS, PlanOptions
from ...plan.plan_toml import OPTIONS_FILE, TOPOLOGY_FILE, build_options_path
from ...rules.model import Rules
from ...topology.columns import find_misspelled_column
from ...topology.edits import arrange_rows
from ...topology.table_files import choose_new_workbook
from ...topology.topology import Topology, open_topology
from .draft import State, find_heading
from .forms import LABELS

CHANGE_COLUMNS = ("Server", "Column", "Before", "After")
_WIDTH = 96
# The generated code contains this comment if the table comes from Python, not from a file.
_NO_FILE = '# The table is not in a file. Assign it to "topology" before you run this code.'
# The reason why the editor does not replace its own table, or the options beside it.
_CHANGES = ("changed since you opened it", "contains other options than the editor loaded")
_KEEP_EDITS = "to keep your edits, save them under a different name; then compare the files"
_IS_WORKBOOK = "exists already, and lyncnb never writes over a workbook"
_OTHER_FILE = "save the file under a different name, or open the existing file first"
# The maximum size in bytes of a file to compare. A table of 100,000 servers takes about 30 MB.
_LARGEST = 1 << 28
# The key of a table row: the server name, and also the role if the server has several rows.
Server = str | tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEdits:
    """The edits that turn one table into another.

    Rows are identified by server name, regardless of their order.
    """

    change: tuple[tuple[tuple[Server, ...], dict[str, str]], ...] = ()
    add: tuple[dict[str, str], ...] = ()
    remove: tuple[Server, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.change or self.add or self.remove)

    @property
    def count(self) -> int:
        """The number of changed cells, added rows and removed rows."""
        cells = sum(len(servers) * len(values) for servers, values in self.change)
        return cells + len(self.add) + len(self.remove)


def list_server_keys(topology: Topology) -> list[Server]:
    """Return the key of each row: the server name, and the role if the server has several rows."""
    server, role = (topology.columns.index(name) for name in ("server_fqdn", "role"))
    seen: dict[str, int] = {}
    rows = topology.texts
    for row in rows:
        seen[row[server]] = seen.get(row[server], 0) + 1
    return [
        str(row[server]) if seen[row[server]] == 1 else (str(row[server]), row[role])
        for row in rows
    ]


def match_row_ids(
    topology: Topology, states: Iterable[State], new_ids: Callable[[int], Sequence[int]]
) -> tuple[int, ...]:
    """Return an ID for each table row: the ID that the same server had before, or a new ID."""
    keys = list_server_keys(topology)
    ids: dict[Server, int] = {}
    for state in states:
        used, missing = {*ids.values()}, {*keys}.difference(ids)
        pairs = zip(list_server_keys(state.topology), state.ids)
        ids |= {key: row_id for key, row_id in pairs if key in missing and row_id not in used}
    fresh = iter(new_ids(sum(key not in ids for key in keys)))
    return tuple(ids[key] if key in ids else next(fresh) for key in keys)


def find_edits(
    loaded_state: State, current_state: State, context_columns: Collection[str] = ()
) -> ServerEdits:
    """Return the edits that turn the loaded table into the current table.

    For a changed or added server, the edits also contain the columns in `context_columns`.
    """
    columns, loaded = current_state.topology.columns, loaded_state.topology
    before = dict(zip(loaded_state.ids, arrange_rows(loaded.columns, loaded.texts, columns)))
    keys = dict(zip(loaded_state.ids, list_server_keys(loaded)))
    groups: dict[tuple[tuple[str, str], ...], list[Server]] = {}
    added = []
    for row_id, row in zip(current_state.ids, current_state.topology.texts):
        old = before.get(row_id)
        if old is None:
            added.append(
                {
                    name: str(text)
                    for name, text in zip(columns, row)
                    if text or name in context_columns
                }
            )
        elif old != row:
            values = [
                (name, str(new))
                for name, new, text in zip(columns, row, old)
                if new != text or name in context_columns
            ]
            groups.setdefault(tuple(values), []).append(keys[row_id])
    remaining_ids = set(current_state.ids)
    return ServerEdits(
        change=tuple((tuple(servers), dict(values)) for values, servers in groups.items()),
        add=tuple(added),
        remove=tuple(keys[row_id] for row_id in loaded_state.ids if row_id not in remaining_ids),
    )


def find_option_changes(loaded_state: PlanOptions, current_state: PlanOptions) -> dict[str, object]:
    """Return the options that differ between two states of a plan, as plain Python values."""
    changed = {}
    for item in fields(PlanOptions):
        value = getattr(current_state, item.name)
        if value != getattr(loaded_state, item.name):
            changed[item.name] = convert_to_plain(value)
    return changed


def convert_to_plain(value: object) -> object:
    """Convert the value of an option to plain strings, numbers, tuples and dicts."""
    if isinstance(value, KeyParameters):
        return f"{value.algorithm} {value.bits}"
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return tuple(str(item) for item in value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)  # Of all option values, only dates have the method ``isoformat``.


def list_change_rows(loaded_state: State, current_state: State) -> list[tuple[str, str, str, str]]:
    """Return the differences between two states of a plan as rows of text.

    Each row contains a server or "options", a column, the old value, and the new value.
    """
    if current_state is loaded_state:
        return []
    rows = []
    columns, loaded = current_state.topology.columns, loaded_state.topology
    before = dict(zip(loaded_state.ids, arrange_rows(loaded.columns, loaded.texts, columns)))
    was_named = dict(zip(loaded_state.ids, map(_format_key, list_server_keys(loaded))))
    server_column = columns.index("server_fqdn")
    titles = [find_heading(name) for name in columns]
    for row_id, row in zip(current_state.ids, current_state.topology.texts):
        old = before.get(row_id)
        if old is None:
            texts = "; ".join(str(text) for text in row[server_column + 1 :] if text)
            rows.append((str(row[server_column]), "(whole row)", "", f"added: {texts}"))
            continue
        if old == row:
            continue
        for heading, was, text in zip(titles, old, row):
            if text != was:
                rows.append((was_named[row_id], heading, str(was), str(text)))
    remaining_ids = set(current_state.ids)
    rows += [
        (was_named[row_id], "(whole row)", "in the table", "removed")
        for row_id in before
        if row_id not in remaining_ids
    ]
    for name, new_value in find_option_changes(loaded_state.options, current_state.options).items():
        before_it = convert_to_plain(getattr(loaded_state.options, name))
        rows.append(
            ("(options)", LABELS.get(name, name), _format_text(before_it), _format_text(new_value))
        )
    return rows


def _format_key(key: Server) -> str:
    return key if isinstance(key, str) else ", ".join(key)


def _format_text(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key or 'all'} = {text}" for key, text in value.items())
    if isinstance(value, tuple):
        return "; ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def build_code(loaded_state: State, current_state: State, rules: Rules) -> str:
    """Return Python code that creates a plan editor with all current choices.

    You can replace the code in the editor's cell with this code.
    """
    path = loaded_state.topology.path
    # Only the editor opens a table with rejected cells.
    is_opened = bool(loaded_state.topology.rejected)
    encoding = loaded_state.topology.encoding
    reads_as = f", encoding={_quote_text(encoding)}" if encoding else ""
    source = _quote_text(path) if is_opened else f"ln.read_topology({_quote_text(path)}{reads_as})"
    reading = f"topology = {source}" if path else _NO_FILE
    options = find_option_changes(DEFAULT_OPTIONS, current_state.options)
    # Unless the code specifies the product, the editor rejects a table that has roles of another
    # product. A new kernel knows a custom product only after its file was read. The file comes
    # before the table, because the table can contain columns and roles of the product.
    product = options.pop("product", None)
    if rules.path:
        reading = f"rules = ln.load_rules({_quote_text(rules.path)})\n{reading}"
        given = ", rules"
    else:
        given = f", options=ln.PlanOptions(product={_quote_text(str(product))})" if product else ""
    given += reads_as if is_opened else ""
    lines = ["import lyncnb as ln", "", reading, f"editor = ln.PlanEditor(topology{given})"]
    if options:
        arguments = [f"{name}={_format_value(value, 4)}" for name, value in options.items()]
        lines += _format_call("editor.change_options", arguments)
    # The method ``edit`` rejects a new column such as "sites", unless the edit also sets "site".
    new_columns = {*current_state.topology.columns}.difference(loaded_state.topology.columns)
    similar_columns = {name for new in new_columns if (name := find_misspelled_column(new))}
    edits = find_edits(loaded_state, current_state, similar_columns)
    arguments = [
        f"{item.name}={_format_value(value, 4)}"
        for item in fields(ServerEdits)
        if (value := getattr(edits, item.name))
    ]
    if arguments:
        lines += _format_call("editor.edit", arguments)
    return "\n".join([*lines, "editor"]) + "\n"


def format_loading_line(table: Path) -> str:
    """Return the line of notebook code that selects the table to open.

    The options file is next to the table.
    """
    return f"topology_file = {_quote_text(table.as_posix())}"


def choose_save_paths(folder: Path) -> tuple[Path, Path]:
    """Return the paths where :func:`save_plan` writes the table and the options file.

    If the name ends in ``.csv`` or ``.xlsx``, it is the path of the table. Any other name is a
    folder for ``topology.csv`` and ``plan.toml``.
    """
    if folder.suffix.lower() in (".csv", ".xlsx"):
        return folder, build_options_path(folder)
    return folder / TOPOLOGY_FILE, folder / OPTIONS_FILE


def _format_call(name: str, arguments: Sequence[str]) -> list[str]:
    return [f"{name}(", *(f"    {argument}," for argument in arguments), ")"]


def _format_value(value: object, depth: int) -> str:
    """Return a value as Python code. A long value takes several lines."""
    flat = _format_literal(value)
    if (
        len(flat) + depth <= _WIDTH
        or isinstance(value, str)
        or not isinstance(value, (tuple, dict))
    ):
        return flat
    inner = " " * (depth + 4)
    if isinstance(value, dict):
        items = [
            f"{_quote_text(key)}: {_format_value(item, depth + 4)}" for key, item in value.items()
        ]
        opening, closing = "{", "}"
    else:
        items = [_format_value(item, depth + 4) for item in value]
        opening, closing = "(", ")"
    return "\n".join([opening, *(f"{inner}{item}," for item in items), " " * depth + closing])


def _format_literal(value: object) -> str:
    if isinstance(value, str):
        return _quote_text(value)
    if isinstance(value, tuple):
        inner = ", ".join(map(_format_literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{_quote_text(k)}: {_format_literal(v)}" for k, v in value.items())
            + "}"
        )
    return repr(value)


def _quote_text(text: str) -> str:
    plain_text = str(text)
    if plain_text.isprintable() and '"' not in plain_text and "\\" not in plain_text:
        return f'"{plain_text}"'
    return repr(plain_text)


def save_plan(target: Path, now: State, *, known: Sequence[State], overwrite: bool) -> None:
    """Write a table and its options to files: both files, or neither if an error occurs.

    Parameters
    ----------
    target : Path
        The table or the folder. A missing folder is created. A path inside a request folder is
        refused.
    now : State
        The state to write.
    known : sequence of State
        The loaded state and the previously saved states. Files with these contents are
        replaced.
    overwrite : bool
        Whether to replace files that contain another table or other choices. lyncnb never replaces
        a workbook, unless it wrote this workbook itself.

    Raises
    ------
    FileOccupied
        If such files exist and `overwrite` is False.
    LyncnbError
        If a file cannot be written.
    """
    tables = [(state.topology.columns, state.topology.texts) for state in (*known, now)]
    options = [state.options for state in (*known, now)]
    read_table = partial(_read_table, encoding=now.topology.encoding)
    paths = choose_save_paths(target)
    is_workbook = paths[0].suffix.lower() == ".xlsx"
    table = now.topology.to_xlsx() if is_workbook else now.topology.to_csv()
    contents = (table, now.options.to_toml().encode())
    kinds = (
        OutputKind(
            what="a version of this table",
            is_ours={
                ".csv": lambda file: _has_known_content(file, read_table, tables),
                ".xlsx": lambda file: is_own_workbook(file.read(_LARGEST), (*known, now)),
            },
        ),
        OutputKind(
            what="a version of these options",
            is_ours={
                ".toml": lambda file: _has_known_content(file, PlanOptions.from_toml, options)
            },
        ),
    )
    folder = paths[0].parent
    for path in paths:
        reject_reserved_path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise describe_error(error, folder, "create the folder") from None
    own_paths = (state.topology.path for state in known if state.topology.path)
    is_own_table = any(is_same_path(paths[0], path) for path in own_paths)
    for path, kind, change in zip(paths, kinds, _CHANGES, strict=True):
        try:
            check_output_path(path, kind, force=overwrite and path.suffix.lower() != ".xlsx")
        except FileOccupied as error:
            if path.suffix.lower() == ".xlsx":
                hint = f"save the table as {show_path(choose_new_workbook(path))}"
                raise LyncnbError(f"{show_path(path)} {_IS_WORKBOOK}", hint=hint) from None
            if is_own_table:
                message = f"{show_path(path)} {change}, so lyncnb did not change it"
                raise FileOccupied(message, hint=_KEEP_EDITS) from None
            raise FileOccupied(error.message, hint=_OTHER_FILE) from None
    for path, data, kind in zip(paths, contents, kinds, strict=True):
        write_output(path, data, kind, force=overwrite)


def is_own_workbook(data: bytes, states: Iterable[State]) -> bool:
    """Return whether a workbook is as lyncnb writes it for one of the given states."""
    return any(data == state.topology.to_xlsx() for state in states)


def _read_table(data: bytes, encoding: str) -> object:
    topology = open_topology(data, encoding=encoding)
    return topology.columns, topology.texts


def _has_known_content(
    file: IO[bytes], read_function: Callable[[bytes], object], known_contents: Sequence[object]
) -> bool:
    """Return whether a file contains one of the given tables or options."""
    try:
        content = read_function(file.read(_LARGEST))
    except LyncnbError:
        return False
    return content in known_contents
