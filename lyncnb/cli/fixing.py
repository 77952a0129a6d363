"""Implement ``check --fix``: show findings that have one safe fix, ask, and change the files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..base.terminal import is_terminal
from .output import write, write_lines, write_note

if TYPE_CHECKING:
    from ..checks.fix_plan import FixedPlan
    from ..plan.model import CertificatePlan
    from ..topology.topology import Topology

_MOST_BACKUPS = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The change to one file: its content before and after, and the differences as lines.

    A new file has no content before.
    """

    path: Path
    before: bytes | None
    after: bytes
    lines: tuple[str, ...]


def find_changes(
    plan: CertificatePlan, fixed_plan: FixedPlan, *, topology: str, options_file: str | None
) -> list[Change]:
    """Return the changes to the table file and to the options file.

    The fixes of a table that is not a CSV file are written to a new workbook.

    Raises
    ------
    LyncnbError
        If lyncnb cannot read a file again, or cannot write the file in the same form.
    """
    files: list[Change] = []
    if fixed_plan.cells or fixed_plan.headings:
        files.append(_make_table_change(plan, fixed_plan, topology))
    if fixed_plan.options and options_file:
        files.append(_make_options_change(fixed_plan, options_file))
    return files


def _make_table_change(plan: CertificatePlan, fixed_plan: FixedPlan, topology: str) -> Change:
    from ..checks.fix_plan import describe_edit
    from ..errors import TopologyError
    from ..rules.findings import OptionEdit
    from ..topology.csv_edit import edit_csv
    from ..topology.table_files import choose_new_workbook
    from ..topology.topology import open_topology

    path, data = Path(topology), _read_file(topology)
    if data.startswith(b"PK") or data.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<"):
        fixes = dict.fromkeys(e for e in fixed_plan.edits if not isinstance(e, OptionEdit))
        lines = fixed_plan.table.lines if fixed_plan.table else ()
        return Change(
            path=choose_new_workbook(path),
            before=None,
            after=fixed_plan.plan.topology.to_xlsx(),
            lines=(*lines, *(describe_edit(edit, plan.topology) for edit in fixes)),
        )
    encoding = plan.topology.encoding
    after, edits = edit_csv(
        path.name, data, fixed_plan.cells, headings=fixed_plan.headings, encoding=encoding
    )
    edited_topology = open_topology(after, encoding=encoding)
    expected = fixed_plan.plan.topology
    # If several fixes add columns, the order of these columns in the file can differ from their
    # order in the fixed plan.
    if _list_cells(edited_topology) != _list_cells(expected):
        raise TopologyError(
            (
                f"lyncnb cannot fix {topology}, because the file changed after lyncnb read it, or "
                "has an unusual format"
            ),
            hint="run the command again, or change the cells yourself",
        )
    return Change(path=path, before=data, after=after, lines=tuple(map(str, edits)))


def _list_cells(topology: Topology) -> list[dict[str, str]]:
    return [dict(zip(topology.columns, cells, strict=True)) for cells in topology.texts]


def _make_options_change(fixed_plan: FixedPlan, options_file: str) -> Change:
    import difflib

    from ..checks.plan_toml_edit import edit_plan_toml

    path, data = Path(options_file), _read_file(options_file)
    after = edit_plan_toml(data, fixed_plan.options, expected_options=fixed_plan.plan.options)
    old, new = (part.decode("utf-8-sig").splitlines() for part in (data, after))
    lines = list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:]
    return Change(
        path=path,
        before=data,
        after=after,
        lines=tuple(line for line in lines if not line.startswith("@@")),
    )


def _read_file(path: str) -> bytes:
    from ..base.disk import files
    from ..errors import OutputError
    from ..topology.csv_file import MAX_BYTES

    return files.read_specified_file(path, limit=MAX_BYTES, error_class=OutputError)


def show_changes(fixed_plan: FixedPlan, changes: Sequence[Change]) -> None:
    """Show the findings that the fixes resolve, and the change to each file."""
    for finding in fixed_plan.fixed:
        write_lines(f"{finding.severity}: {finding.words} [{finding.code}]")
    write()
    for change in changes:
        write(f"{change.path}{' (a new file)' if change.before is None else ''}:")
        write_lines(*(f"  {line}" for line in change.lines))
    write()


def ask_for_consent(*, is_agreed_in_advance: bool) -> bool:
    """Ask the user whether to write the changes to the files.

    Raises
    ------
    UsageProblem
        If there is no terminal to ask on and ``--yes`` is not specified.
    """
    from ..errors import UsageProblem

    if is_agreed_in_advance:
        return True
    if not is_terminal(sys.stdin):
        raise UsageProblem(
            "--fix asks for confirmation, but there is no terminal",
            hint=(
                "add --yes to write these changes, or --json to list the changes without "
                "writing them"
            ),
        )
    return click.confirm("Write these changes?", err=True)


def write_changes(changes: Sequence[Change]) -> None:
    """Write each changed file, and keep its old version next to it as FILE.bak.

    A new file replaces no other file.

    Raises
    ------
    OutputError
        If a file has changed since it was read, belongs to a request folder, or cannot be
        written.
    """
    from ..base.disk import files
    from ..base.disk.outputs import reject_reserved_path
    from ..errors import BundleError, OutputError

    for change in changes:
        reject_reserved_path(change.path)
        if change.path.is_symlink():
            raise OutputError(
                f"{change.path} is a symbolic link", hint="specify the target of the link"
            )
        if change.before is not None and _read_file(str(change.path)) != change.before:
            raise OutputError(
                f"{change.path} changed after lyncnb read it, so lyncnb did not write the fixes to "
                "the file",
                hint="run the command again",
            )
    for change in changes:
        try:
            if change.before is None:
                files.write_new_file(change.path, change.after, 0o666)
                write_note(f"written: {change.path}; the original table did not change")
                continue
            mode = change.path.stat().st_mode & 0o777
            backup = _write_backup(change.path, change.before, mode)
            files.replace_file(change.path, change.after, mode)
        except BundleError as error:
            raise OutputError(error.message, hint=error.hint) from None
        write_note(f"written: {change.path}; the previous version is in {backup}")


def _write_backup(changed: Path, before: bytes, mode: int) -> Path:
    """Copy the old version of a file to FILE.bak, or to FILE.bak2 and so on if FILE.bak exists."""
    from ..base.disk import files
    from ..errors import OutputError

    for number in range(1, _MOST_BACKUPS + 1):
        path = changed.with_name(f"{changed.name}.bak{number if number > 1 else ''}")
        if not path.exists() and not path.is_symlink():
            files.write_new_file(path, before, mode)
            return path
    raise OutputError(
        f"{changed} has {_MOST_BACKUPS} .bak files", hint="remove one of the .bak files"
    )
