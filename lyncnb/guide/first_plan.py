"""``FirstPlan``: answers, the table laid out of them, its plan and findings; as files, as Python.

The files are in one folder: the table to be tuned, the options, and the answers, so that
the interview can be repeated. They are written together or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, ClassVar

from ..base.disk import files
from ..base.disk.outputs import (
    OutputKind,
    check_output,
    is_request_folder,
    refuse_own_place,
    write_output,
)
from ..base.garbage_collection import no_collection
from ..base.records import Told
from ..base.shown.tables import Table
from ..checks.check_plan import check_plan
from ..errors import BundleError, FileOccupied, OutputError
from ..plan.model import CertificatePlan
from ..plan.planner import plan_certificates
from ..plan.scenarios import OPTIONS_FILE, TOPOLOGY_FILE
from ..plan.totals import totals
from ..rules.findings import Findings, grouped
from ..topology.columns import column
from ..topology.topology import Topology
from .answers import GuideAnswers
from .lay_out import guided_topology, lay_out
from .questions import LeftOut, interview

#: The files of a folder in addition to the table and the options.
ANSWERS_FILE = "guide.toml"

# What of the table is shown before it is written.
_ROWS_SHOWN = 60
_COLUMNS_SHOWN = ("server_fqdn", "role", "pool_fqdn", "site")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FirstPlan(Table, Told):
    """A first plan of a deployment, to be tuned.

    Parameters
    ----------
    answers : GuideAnswers
        What it was made of.
    topology : Topology
        The table that was laid out.
    plan : CertificatePlan
        The certificates that it needs.
    findings : Findings
        What is wrong or odd about them.
    remarks : tuple of str
        What was decided where nobody was asked, in sentences.
    """

    told: ClassVar = (
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
        """The number of distinct names on the certificates."""
        return len({str(name) for one in self.plan.certificates for name in one.names})

    @property
    def python(self) -> str:
        """The Python that gives the same plan, from its answers."""
        return python_of(self.answers)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What Microsoft's Planning Tool has and the guide has not."""
        return interview().left_out

    @property
    def totals(self) -> str:
        """How much was planned and found, in a sentence or two."""
        return totals(self.plan, self.findings)

    @property
    def told_findings(self) -> tuple[str, ...]:
        """Errors and warnings in a sentence each, those of one kind as one."""
        serious = (one for one in self.findings if one.severity != "notice")
        return tuple(
            f"{entry.severity}: {entry.words} [{', '.join(entry.codes)}]"
            for entry in grouped(serious)
        )

    def overview(self) -> tuple[list[str], list[list[str]]]:
        """Give headings and rows for a first look at the table: 60 servers at most, by name."""
        columns = self.topology.columns
        shown = [columns.index(name) for name in _COLUMNS_SHOWN if name in columns]
        rows = [[row[place] for place in shown] for row in self.topology.cells[:_ROWS_SHOWN]]
        return [column(columns[place]).title for place in shown], rows

    def files(self, folder: str | os.PathLike[str] = ".") -> Mapping[str, bytes]:
        """Give the content of each file, by its file name."""
        options = replace(self.plan.options, product=self.answers.product_from(folder))
        return {
            TOPOLOGY_FILE: self.topology.to_csv(),
            OPTIONS_FILE: options.to_toml().encode(),
            ANSWERS_FILE: self.answers.to_toml(folder=folder).encode(),
        }

    def _headings(self) -> Sequence[str]:
        return self.topology.columns

    def _rows(self) -> Iterator[tuple[object, ...]]:
        yield from self.topology.cells

    def _summary(self) -> str:
        return f"first plan: {self.totals}"


def guided_plan(answers: GuideAnswers) -> FirstPlan:
    """Lay out a topology, plan it and look at the plan.

    Parameters
    ----------
    answers : GuideAnswers
        What is known of the deployment.

    Returns
    -------
    FirstPlan
        Nothing is written; :func:`write_first_plan` does.

    Raises
    ------
    AnswersError
        If the answers contradict each other.
    """
    topology = guided_topology(answers)
    with no_collection():
        plan = plan_certificates(topology, answers.rules, options=answers.options)
        findings = check_plan(plan)
    return FirstPlan(
        answers=answers,
        topology=topology,
        plan=plan,
        findings=findings,
        remarks=tuple(lay_out(answers).remarks),
    )


def python_of(answers: GuideAnswers) -> str:
    """Write the Python that lays out and plans what answers say; defaults are left out."""
    lines = ["import lyncnb as ln", "", "answers = ln.GuideAnswers.of({"]
    for key, value in answers.to_document(in_full=False).items():
        if key == "site":
            lines.append('    "site": [')
            lines += [f"        {_literal(site)}," for site in value]
            lines.append("    ],")
        else:
            lines.append(f'    "{key}": {_literal(value)},')
    lines += [
        "})",
        "topology = ln.guided_topology(answers)",
        "plan = ln.plan_certificates(topology, answers.rules, options=answers.options)",
        "ln.check_plan(plan)",
    ]
    return "\n".join(lines) + "\n"


def _literal(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return (
            f"{{{', '.join(f'{_literal(key)}: {_literal(item)}' for key, item in value.items())}}}"
        )
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
        What is written.
    folder : path, optional
        Made if it is not there.
    force : bool, optional
        Whether files of these names that hold anything else are replaced.
    answers_file : path, optional
        The file that the answers are from, which is left as it is.

    Returns
    -------
    tuple of Path
        The files that were written.

    Raises
    ------
    OutputError
        If one of them stands already and is another, or cannot be written: then none is.
    """
    place = Path(folder)
    contents = dict(first.files(folder))
    if answers_file is not None and _is_same(place / ANSWERS_FILE, answers_file):
        del contents[ANSWERS_FILE]
    _check(folder, contents, force=force, answers_file=answers_file)
    is_new = not os.path.lexists(place)
    try:
        if is_new:
            place.mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"{place} cannot be made: {error.strerror}", hint="choose another folder"
        ) from None
    before = {name: _read(place / name) for name in contents}
    written: list[Path] = []
    try:
        for name, data in contents.items():
            written.append(place / name)
            write_output(place / name, data, _kind(data), force=force)
    except BaseException:  # also Ctrl-C: a table without its options is half a plan
        for path in written:
            _put_back(path, before[path.name])
        if is_new:
            with suppress(OSError):
                place.rmdir()
        raise
    return tuple(written)


def check_folder_for(folder: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a folder where no first plan may be written, before anybody is asked anything.

    Parameters
    ----------
    folder : path
        Its path.
    force : bool, optional
        Whether to replace existing files.

    Raises
    ------
    OutputError
        With the existing file.
    """
    _check(folder, dict.fromkeys((TOPOLOGY_FILE, OPTIONS_FILE, ANSWERS_FILE)), force=force)


def _check(
    folder: str | os.PathLike[str],
    contents: Mapping[str, bytes | None],
    *,
    force: bool,
    answers_file: str | os.PathLike[str] | None = None,
) -> None:
    """Refuse a folder; files with identical content may remain."""
    refuse_own_place(folder)
    place = Path(folder)
    if os.path.lexists(place) and not place.is_dir():
        raise OutputError(f"{place} is not a folder", hint="choose a folder")
    if is_request_folder(place):
        raise OutputError(f"{place} is a request folder", hint="choose another folder")
    for name, data in contents.items():
        try:
            check_output(place / name, _kind(data), force=force, inputs=(answers_file,))
        except FileOccupied:
            raise FileOccupied(
                f"{place / name} is already there and was left alone",
                hint="choose another folder, or replace it with --force",
            ) from None


def _kind(data: bytes | None) -> OutputKind:
    """Give the kind that is this very file; without data any other is somebody's work."""

    def is_same(file: IO[bytes]) -> bool:
        return data is not None and file.read(len(data) + 1) == data

    test: Callable[[IO[bytes]], bool] = is_same
    return OutputKind(what="this very first plan", is_ours={".csv": test, ".toml": test})


def _is_same(path: Path, other: str | os.PathLike[str]) -> bool:
    with suppress(OSError):
        return path.samefile(other)
    return False


def _read(path: Path) -> bytes | None:
    try:
        with files.open_plain(path) as file:
            return file.read()
    except (OSError, BundleError):
        return None


def _put_back(path: Path, before: bytes | None) -> None:
    with suppress(OSError, BundleError):
        if before is None:
            files.remove(path)
        elif _read(path) != before:
            files.replace(path, before, 0o644)
