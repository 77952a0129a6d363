"""``Scenario``: a table and its options under a name, with a note, in a folder of three files.

``scenarios/NAME/`` contains ``topology.csv``, ``plan.toml`` and ``note.md``. lyncnb writes a new
folder completely or not at all, and later replaces each changed file. People read, compare and edit
these files, so a scenario has no other data: lyncnb derives its plan on first use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from ..base.disk import files, small_folder
from ..base.disk.file_names import folder_name, same_name
from ..base.disk.outputs import refuse_own_place
from ..base.disk.system_calls import trouble
from ..base.pasted_text import shown
from ..base.shown.tables import Table, count_of
from ..errors import BundleError, FileOccupied, LyncnbError, Problem, ScenarioError
from ..rules.model import Rules
from ..rules.rule_files import load_rules, rules_on_record
from ..topology.topology import Topology, read_topology
from .model import CertificatePlan
from .options import DEFAULT_OPTIONS, PlanOptions
from .plan_toml import OPTIONS_FILE as OPTIONS_FILE
from .plan_toml import TOPOLOGY_FILE as TOPOLOGY_FILE
from .planner import plan_certificates, settled_options

#: The folder of an editor's scenarios, next to the notebook.
DEFAULT_FOLDER = "scenarios"

NOTE_FILE = "note.md"
_FILES = (TOPOLOGY_FILE, OPTIONS_FILE, NOTE_FILE)
_LARGEST = 1 << 28  # bytes; 100,000 servers have about 30 MB
# Limit of the other files (bytes): options take a few thousand, and a note is short.
_MOST = {OPTIONS_FILE: 1_000_000, NOTE_FILE: 1 << 16}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Scenario(Table):
    """A variant of a plan under a name.

    Parameters
    ----------
    name : str
        Its name and the name of its folder.
    topology : Topology
        n servers.
    options : PlanOptions, optional
        The options of the table, including the product.
    note : str, optional
        The purpose of the scenario, as plain text or Markdown.
    """

    name: str
    topology: Topology
    options: PlanOptions = DEFAULT_OPTIONS
    note: str = ""
    # Not an argument, because a copy from ``replace`` with other options has another plan.
    _plan: CertificatePlan | None = field(default=None, init=False, compare=False)

    @property
    def rules(self) -> Rules:
        """The rules of the product in the options."""
        return load_rules(self.options.product)

    @property
    def plan(self) -> CertificatePlan:
        """The plan, derived on first use; its source has the scenario's name.

        Raises
        ------
        LyncnbError
            If no plan can be made.
        """
        if self._plan is None:
            topology = replace(self.topology, source=self.name, scenario=self.name)
            planned = plan_certificates(topology, self.rules, options=self.options)
            object.__setattr__(self, "_plan", planned)
        assert self._plan is not None
        return self._plan

    @classmethod
    def of_plan(cls, name: str, plan: CertificatePlan, *, note: str = "") -> Scenario:
        """Create a scenario from an existing plan."""
        made = cls(name=name, topology=plan.topology, options=plan.options, note=note)
        topology = replace(plan.topology, source=name, scenario=name)
        named = replace(plan, topology=topology)
        object.__setattr__(made, "_plan", named)
        return made

    def called(self, name: str, *, note: str) -> Scenario:
        """Return a copy with another name or note, which keeps the plan."""
        if self._plan is not None:
            return Scenario.of_plan(name, self._plan, note=note)
        return replace(self, name=name, note=note)

    def is_same(self, other: Scenario) -> bool:
        """Return whether another scenario has the same cells and options."""
        ours, others = self.topology, other.topology
        same = ours is others or (ours.columns, ours.cells) == (others.columns, others.cells)
        return same and self.options == other.options

    def files(self) -> dict[str, bytes]:
        """Return the files of its folder, by name.

        Raises
        ------
        ScenarioError
            If the note is too long.
        """
        return {
            TOPOLOGY_FILE: self.topology.to_csv(),
            OPTIONS_FILE: self.options.to_toml().encode(),
            NOTE_FILE: _note_data(self.note),
        }

    def _headings(self) -> tuple[str, ...]:
        return ("What", "Value")

    def _rows(self) -> list[tuple[str, object]]:
        plan = self.plan
        return [
            ("Note", self.note),
            ("Servers", len(self.topology.cells)),
            ("SIP domains", self.topology.sip_domains),
            ("Product", plan.rules.title),
            ("Certificates", len(plan.certificates)),
        ]

    def _summary(self) -> str:
        note = " ".join(self.note.split())
        rows = count_of(len(self.topology.cells), "row")
        return f"Scenario {self.name}: {rows}" + (f". {note}" if note else "")


def is_scenario(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder is a scenario's, even a damaged one."""
    marks = (TOPOLOGY_FILE, OPTIONS_FILE)
    return os.path.isdir(folder) and any(
        os.path.lexists(os.path.join(folder, mark)) for mark in marks
    )


def scenario_files(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """List the files of a scenario's folder; empty for any other folder."""
    return tuple(Path(folder, name) for name in _FILES) if is_scenario(folder) else ()


def open_scenario(folder: str | os.PathLike[str]) -> Scenario:
    """Read a scenario from its folder.

    Parameters
    ----------
    folder : path
        Contains ``topology.csv`` and ``plan.toml``, and may contain ``note.md``; its name is the
        scenario's.

    Returns
    -------
    Scenario
        The current content, including manual changes.

    Raises
    ------
    ScenarioError
        With every problem of every file.
    """
    path = Path(os.path.abspath(folder))
    try:
        contents = small_folder.read_files(path, _FILES, limit=_LARGEST)
    except BundleError as error:
        raise ScenarioError(error.message, hint=error.hint) from None
    return _of_files(path.name, Path(folder), contents)


def _of_files(name: str, folder: Path, contents: Mapping[str, bytes]) -> Scenario:
    problems: list[Problem] = []
    missing = [file for file in (TOPOLOGY_FILE, OPTIONS_FILE) if file not in contents]
    if len(missing) == 2:
        raise ScenarioError(
            f"{folder} is not a scenario: it has neither {TOPOLOGY_FILE} nor {OPTIONS_FILE}",
            hint="use the folder of one scenario, e.g. scenarios/NAME",
        )
    problems += [
        Problem(
            message="the file is missing", file=file, hint="restore it, or save the scenario again"
        )
        for file in missing
    ]
    options = topology = rules = None
    with _noting(problems, OPTIONS_FILE):
        if OPTIONS_FILE in contents:
            _refuse_size(OPTIONS_FILE, contents[OPTIONS_FILE])
            options = PlanOptions.from_toml(contents[OPTIONS_FILE])
            # Options come before the table, because a custom product defines columns of tables.
            rules = rules_on_record(options.product)
    with _noting(problems, TOPOLOGY_FILE):
        if TOPOLOGY_FILE in contents:
            topology = read_topology(contents[TOPOLOGY_FILE])
    if topology and rules and options:
        with _noting(problems, ""):
            settled_options(topology, rules, options)
    note = ""
    with _noting(problems, NOTE_FILE):
        note = _note(contents.get(NOTE_FILE, b""))
    if problems or options is None or topology is None:
        raise ScenarioError(
            f"the scenario {folder} cannot be opened: {count_of(len(problems), 'problem')}",
            problems=tuple(problems),
            hint="fix the files, or restore them from version control",
        )
    return Scenario(name=name, topology=replace(topology, source=name), options=options, note=note)


@contextmanager
def _noting(problems: list[Problem], file: str) -> Iterator[None]:
    """Record the problems of a file, and continue with the next one."""
    try:
        yield
    except LyncnbError as error:
        found_problems = error.problems or (Problem(message=error.message, hint=error.hint),)
        problems += [replace(problem, file=file) for problem in found_problems]


def _note(data: bytes) -> str:
    _refuse_size(NOTE_FILE, data)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").strip()
    except UnicodeDecodeError as error:
        raise ScenarioError(
            f"it is not UTF-8 text at byte {error.start:,}", hint="save it as UTF-8"
        ) from None


def _note_data(note: str) -> bytes:
    text = note.replace("\r\n", "\n").strip()
    data = f"{text}\n".encode("utf-8", "replace") if text else b""
    if len(data) > _MOST[NOTE_FILE]:
        raise ScenarioError(
            f"the note has {len(data):,} bytes; the limit is {_MOST[NOTE_FILE]:,}",
            hint="move the rest to another file",
        )
    return data


def _refuse_size(name: str, data: bytes) -> None:
    if len(data) > _MOST[name]:
        raise ScenarioError(
            f"it has {len(data):,} bytes; the limit is {_MOST[name]:,}",
            hint="move the rest to another file",
        )


@dataclass(frozen=True, slots=True, repr=False)
class Scenarios(Table):
    """The scenarios of a workspace, each in a subfolder of one folder.

    Parameters
    ----------
    folder : Path
        Created with the first scenario.
    """

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))  # notebooks pass a text

    def names(self) -> tuple[str, ...]:
        """List the names of all scenarios, including damaged ones, in alphabetical order.

        Raises
        ------
        ScenarioError
            If the folder cannot be listed.
        """
        try:
            found = os.listdir(self.folder)
        except FileNotFoundError:
            return ()
        except OSError as error:
            error_text = trouble(error, self.folder, "list the folder")
            raise ScenarioError(error_text.message, hint=error_text.hint) from None
        names = [n for n in found if not n.startswith(".") and is_scenario(self.folder / n)]
        return tuple(sorted(names, key=lambda name: (name.casefold(), name)))

    def files(self, name: str) -> dict[str, bytes]:
        """Read the files of a scenario as bytes, by name.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or its files cannot be read.
        """
        self._known(name)
        try:
            return small_folder.read_files(self.folder / name, _FILES, limit=_LARGEST)
        except BundleError as error:
            raise ScenarioError(error.message, hint=error.hint) from None

    def open(self, name: str) -> Scenario:
        """Read a scenario.

        Raises
        ------
        ScenarioError
            If the scenario does not exist; or with every problem of its files.
        """
        self._known(name)
        return open_scenario(self.folder / name)

    def note(self, name: str) -> str:
        """Read only the note of a scenario; blank if it cannot be read."""
        with suppress(BundleError, ScenarioError):
            read = small_folder.read_files(self.folder / name, (NOTE_FILE,), limit=_MOST[NOTE_FILE])
            return _note(read.get(NOTE_FILE, b""))
        return ""

    def keep(self, scenario: Scenario, *, replace: bool = False) -> Scenario:
        """Write a scenario to its folder; replace only the files that differ.

        Parameters
        ----------
        scenario : Scenario
            If the folder already contains the same, nothing is written.
        replace : bool, optional
            Whether to replace another scenario of this name.

        Returns
        -------
        Scenario
            The saved scenario.

        Raises
        ------
        FileOccupied
            If there is another scenario of this name, and `replace` is False.
        ScenarioError
            If the name is not valid for a folder, or something else has it.
        """
        path = self.folder / self._free(scenario.name, but=scenario.name)
        contents = scenario.files()
        with _as_scenario():
            if not os.path.lexists(path):
                small_folder.write_folder(path, contents)
                return scenario
            held = self.files(scenario.name)
            changed = {name: data for name, data in contents.items() if held.get(name) != data}
            if changed and not replace:
                raise FileOccupied(
                    f'there is already a scenario "{scenario.name}"',
                    hint="choose another name, or check the scenario and then replace it",
                )
            for name, data in changed.items():
                files.replace(path / name, data, small_folder.FILE_MODE)
        return scenario

    def duplicate(self, name: str, new: str = "") -> str:
        """Copy a scenario's files; return the copy's name, by default a free one.

        Raises
        ------
        ScenarioError
            As for :meth:`keep`.
        """
        contents = self.files(name)
        copy = new or self._copy(name)
        with _as_scenario():
            small_folder.write_folder(self.folder / self._free(copy), contents)
        return copy

    def rename(self, name: str, new: str) -> None:
        """Give a scenario another name.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or the new name is taken or not valid for a folder.
        """
        self._known(name)
        if new != name:
            target = self.folder / self._free(new, but=name)
            with _as_scenario():
                small_folder.rename_folder(self.folder / name, target)

    def set_note(self, name: str, note: str) -> None:
        """Replace the note of a scenario without reading its other files.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or the note cannot be written.
        """
        self._known(name)
        data = _note_data(note)
        if data != _note_data(self.note(name)):
            with _as_scenario():
                files.replace(self.folder / name / NOTE_FILE, data, small_folder.FILE_MODE)

    def remove(self, name: str) -> dict[str, bytes]:
        """Remove a scenario's folder, and return its files.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or its folder contains other files.
        """
        held = self.files(name)
        with _as_scenario():
            small_folder.remove_folder(self.folder / name, _FILES)
        return held

    def put_back(self, name: str, held: Mapping[str, bytes]) -> None:
        """Restore the folder that :meth:`remove` removed.

        Raises
        ------
        ScenarioError
            If something else has its name now.
        """
        with _as_scenario():
            small_folder.write_folder(self.folder / self._free(name), held)

    def _known(self, name: str) -> None:
        if name in self.names():
            return
        known = self.names()
        hint = f"there are {', '.join(known[:10])}" if known else "save one first"
        raise ScenarioError(f"there is no scenario {shown(name)} in {self.folder}", hint=hint)

    def _free(self, name: str, *, but: str = "") -> str:
        """Reject a name that is not valid for a folder, or that another scenario than `but` has."""
        refuse_own_place(self.folder)
        plain = folder_name(name)
        if plain != name or not name:
            raise ScenarioError(
                f"{shown(name)} is not a valid name: a scenario is a folder, on any system"
                if name.strip()
                else "the scenario has no name",
                hint=f'name it "{plain}"' if plain else "name it after its purpose, e.g. Wildcards",
            )
        with suppress(FileNotFoundError, NotADirectoryError):
            for there in os.listdir(self.folder):
                if there == but or not same_name(there, name):
                    continue
                _refuse_taken(there, is_ours=is_scenario(self.folder / there))
        if (
            but == name
            and os.path.lexists(self.folder / name)
            and not is_scenario(self.folder / name)
        ):
            _refuse_taken(name, is_ours=False)
        return name

    def _copy(self, name: str) -> str:
        """Return a free name for a copy."""
        taken = {entry.casefold() for entry in os.listdir(self.folder)}
        number = 1
        while True:
            end = " copy" if number == 1 else f" copy {number}"
            new = folder_name(name, end=end)
            if new.casefold() not in taken:
                return new
            number += 1

    def _headings(self) -> tuple[str, ...]:
        return ("Scenario", "Note")

    def _rows(self) -> Iterator[tuple[str, str]]:
        return ((name, self.note(name)) for name in self.names())

    def _summary(self) -> str:
        return f"{count_of(len(self.names()), 'scenario')} in {self.folder}"


def _refuse_taken(name: str, *, is_ours: bool) -> NoReturn:
    if is_ours:
        raise ScenarioError(
            f"there is already a scenario {shown(name)}", hint="choose another name"
        )
    raise ScenarioError(
        f"{shown(name)} already exists and is not a scenario, so lyncnb did not change it",
        hint="choose another name, or move it out of the folder of scenarios",
    )


@contextmanager
def _as_scenario() -> Iterator[None]:
    """Tell what a folder's files refuse as an error of scenarios."""
    try:
        yield
    except BundleError as error:
        raise ScenarioError(error.message, hint=error.hint) from None
