"""Define ``FirstPlan``: the answers to the interview, and the table, plan and findings that result.

The files are in one folder: the table to edit, the options, and the answers. With the
answers, the interview can be repeated. lyncnb writes all files or none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, ClassVar

from ..base.arguments import check_type
from ..base.disk import files
from ..base.disk.file_names import is_same_path
from ..base.disk.outputs import (
    OutputKind,
    check_output_path,
    is_request_folder,
    reject_reserved_path,
    write_output,
)
from ..base.garbage_collection import pause_garbage_collection
from ..base.records import JsonSerializable
from ..base.shown.tables import Table
from ..checks.check_plan import check_plan
from ..errors import BundleError, FileOccupied, OutputError
from ..plan.model import CertificatePlan
from ..plan.planner import plan_certificates
from ..plan.scenarios import OPTIONS_FILE, TOPOLOGY_FILE
from ..plan.totals import format_totals
from ..rules.findings import Findings, group_findings
from ..topology.columns import get_column
from ..topology.topology import Topology
from .answers import GuideAnswers
from .lay_out import guided_topology, lay_out
from .questions import LeftOut, read_interview

#: The name of the file with the answers, which is in the same folder as the table and the options.
ANSWERS_FILE = "guide.toml"

# The columns that the preview of the table shows.
_ROWS_SHOWN = 60
_COLUMNS_SHOWN = ("server_fqdn", "role", "pool_fqdn", "site")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FirstPlan(Table, JsonSerializable):
    """The first plan of a deployment, created from answers. You can edit it further.

    Parameters
    ----------
    answers : GuideAnswers
        The answers of the interview.
    topology : Topology
        The table from the answers.
    plan : CertificatePlan
        The certificates for the table.
    findings : Findings
        The findings of the checks.
    remarks : tuple of str
        Sentences about decisions that the interview does not ask about.
    """

    json_keys: ClassVar = (
        "answers",
        "columns=topology.columns",
        "servers=topology.cells",
        "remarks",
        "names",
        "python",
        "left_out",
    )

    answers: GuideAnswers
    topology: Topology
    plan: CertificatePlan
    findings: Findings
    remarks: tuple[str, ...]

    @property
    def names(self) -> int:
        """The number of distinct names on the planned certificates."""
        return len(
            {str(name) for certificate in self.plan.certificates for name in certificate.names}
        )

    @property
    def python(self) -> str:
        """Python code that creates the same plan from the answers."""
        return format_python(self.answers)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The features of Microsoft's Planning Tool that the guide does not offer."""
        return read_interview().left_out

    @property
    def totals(self) -> str:
        """A summary of the plan and its findings, in one or two sentences."""
        return format_totals(self.plan, self.findings)

    @property
    def summarized_findings(self) -> tuple[str, ...]:
        """One sentence for each group of errors and warnings in the plan."""
        serious = (finding for finding in self.findings if finding.severity != "notice")
        return tuple(
            f"{entry.severity}: {entry.words} [{', '.join(entry.codes)}]"
            for entry in group_findings(serious)
        )

    def overview(self) -> tuple[list[str], list[list[str]]]:
        """Return the headings and rows of the table's preview, with at most 60 servers."""
        columns = self.topology.columns
        indices = [columns.index(name) for name in _COLUMNS_SHOWN if name in columns]
        rows = [[row[index] for index in indices] for row in self.topology.cells[:_ROWS_SHOWN]]
        return [get_column(columns[index]).title for index in indices], rows

    def files(self, folder: str | os.PathLike[str] = ".") -> Mapping[str, bytes]:
        """Return the content of each file to write, by file name."""
        options = replace(self.plan.options, product=self.answers.find_product_for(folder))
        return {
            TOPOLOGY_FILE: self.topology.to_csv(),
            OPTIONS_FILE: options.to_toml().encode(),
            ANSWERS_FILE: self.answers.to_toml(folder=folder).encode(),
        }

    def _list_headings(self) -> Sequence[str]:
        return self.topology.columns

    def _list_rows(self) -> Iterator[tuple[object, ...]]:
        yield from self.topology.cells

    def _summarize(self) -> str:
        return f"first plan: {self.totals}"


def guided_plan(answers: GuideAnswers) -> FirstPlan:
    """Create a table of servers from answers, plan its certificates, and check the plan.

    Parameters
    ----------
    answers : GuideAnswers
        The answers about the deployment.

    Returns
    -------
    FirstPlan
        The plan. To write it to files, use :func:`write_first_plan`.

    Raises
    ------
    AnswersError
        If the answers contradict each other.
    """
    check_type("guided_plan: answers", answers, GuideAnswers)
    topology = guided_topology(answers)
    with pause_garbage_collection():
        plan = plan_certificates(topology, answers.rules, options=answers.options)
        findings = check_plan(plan)
    return FirstPlan(
        answers=answers,
        topology=topology,
        plan=plan,
        findings=findings,
        remarks=tuple(lay_out(answers).remarks),
    )


def format_python(answers: GuideAnswers) -> str:
    """Return Python code that creates a plan from the same answers. Defaults are left out."""
    lines = ["import lyncnb as ln", "", "answers = ln.GuideAnswers.of({"]
    for key, value in answers.to_document(in_full=False).items():
        if key == "site":
            lines.append('    "site": [')
            lines += [f"        {_format_literal(site)}," for site in value]
            lines.append("    ],")
        else:
            lines.append(f'    "{key}": {_format_literal(value)},')
    lines += [
        "})",
        "topology = ln.guided_topology(answers)",
        "plan = ln.plan_certificates(topology, answers.rules, options=answers.options)",
        "ln.check_plan(plan)",
    ]
    return "\n".join(lines) + "\n"


def _format_literal(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_format_literal, value))}]"
    if isinstance(value, dict):
        items = (f"{_format_literal(key)}: {_format_literal(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    return repr(value)


def write_first_plan(
    first: FirstPlan,
    folder: str | os.PathLike[str] = ".",
    *,
    force: bool = False,
    answers_file: str | os.PathLike[str] | None = None,
) -> tuple[Path, ...]:
    """Write ``topology.csv``, ``plan.toml`` and ``guide.toml`` into a folder.

    Parameters
    ----------
    first : FirstPlan
        The first plan.
    folder : path, optional
        The folder, which is created if it does not exist.
    force : bool, optional
        Whether to replace files that have these names but different content.
    answers_file : path, optional
        The file from which the answers were read. It does not change.

    Returns
    -------
    tuple of Path
        The paths of the written files.

    Raises
    ------
    OutputError
        If a file with different content exists, or a file cannot be written. Then no file is
        written.
    """
    check_type("write_first_plan: first", first, FirstPlan)
    target = Path(folder)
    contents = dict(first.files(folder))
    if answers_file is not None and is_same_path(target / ANSWERS_FILE, answers_file):
        del contents[ANSWERS_FILE]
    _check_output_files(folder, contents, force=force, answers_file=answers_file)
    is_new = not os.path.lexists(target)
    try:
        if is_new:
            target.mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be created: {error.strerror}", hint="choose another folder"
        ) from None
    before = {name: _read_file(target / name) for name in contents}
    paths: list[Path] = []
    try:
        for name, data in contents.items():
            paths.append(target / name)
            write_output(target / name, data, _build_output_kind(data), force=force)
    except BaseException:
        # The files are also removed after Ctrl-C, because a table without its options would be
        # incomplete.
        for path in paths:
            _restore_files(path, before[path.name])
        if is_new:
            with suppress(OSError):
                target.rmdir()
        raise
    return tuple(paths)


def check_folder(folder: str | os.PathLike[str], *, force: bool = False) -> None:
    """Raise an error if a folder is unsuitable for a first plan, before the questions start.

    Parameters
    ----------
    folder : path
        The path of the folder.
    force : bool, optional
        Whether to replace existing files.

    Raises
    ------
    OutputError
        If the folder is unsuitable, or a file already exists in it.
    """
    _check_output_files(
        folder, dict.fromkeys((TOPOLOGY_FILE, OPTIONS_FILE, ANSWERS_FILE)), force=force
    )


def _check_output_files(
    folder: str | os.PathLike[str],
    contents: Mapping[str, bytes | None],
    *,
    force: bool,
    answers_file: str | os.PathLike[str] | None = None,
) -> None:
    """Raise an error if the files of a first plan cannot be written to a folder.

    Existing files with the same content are allowed.
    """
    reject_reserved_path(folder)
    path = Path(folder)
    if os.path.lexists(path) and not path.is_dir():
        raise OutputError(f"{path} is not a folder", hint="choose a folder")
    if is_request_folder(path):
        raise OutputError(f"{path} is a request folder", hint="choose another folder")
    for name, data in contents.items():
        try:
            check_output_path(
                path / name, _build_output_kind(data), force=force, inputs=(answers_file,)
            )
        except FileOccupied:
            raise FileOccupied(
                f"{path / name} already exists, so lyncnb did not change it",
                hint="choose another folder, or replace the file with --force",
            ) from None


def _build_output_kind(data: bytes | None) -> OutputKind:
    """Return an output type that allows lyncnb to replace only files with the given content."""

    def has_same_content(file: IO[bytes]) -> bool:
        return data is not None and file.read(len(data) + 1) == data

    test: Callable[[IO[bytes]], bool] = has_same_content
    return OutputKind(
        what="a table or plan.toml with this content", is_ours={".csv": test, ".toml": test}
    )


def _read_file(path: Path) -> bytes | None:
    try:
        with files.open_plain(path) as file:
            return file.read()
    except (OSError, BundleError):
        return None


def _restore_files(path: Path, old_contents: bytes | None) -> None:
    with suppress(OSError, BundleError):
        if old_contents is None:
            files.remove_file(path)
        elif _read_file(path) != old_contents:
            files.replace_file(path, old_contents, 0o644)
