"""Define ``Scenario``: a table, its options, and a note, in a folder with three files.

``scenarios/NAME/`` contains ``topology.csv``, ``plan.toml``, and ``note.md``. lyncnb writes a new
folder completely or not at all, and later replaces only changed files. People read, compare, and
edit these files, so a scenario contains no other data. The plan is created on first use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, NoReturn

from ..base.disk import files, small_folder
from ..base.disk.file_names import build_folder_name, is_same_name
from ..base.disk.outputs import reject_reserved_path
from ..base.disk.system_calls import describe_error
from ..base.pasted_text import shown
from ..base.shown.tables import Table, columns, format_count
from ..errors import BundleError, FileOccupied, LyncnbError, Problem, ScenarioError
from ..rules.model import Rules
from ..rules.rule_files import load_recorded_rules, load_rules
from ..topology.topology import Topology, read_topology
from .model import CertificatePlan
from .options import DEFAULT_OPTIONS, PlanOptions
from .plan_toml import OPTIONS_FILE as OPTIONS_FILE
from .plan_toml import TOPOLOGY_FILE as TOPOLOGY_FILE
from .planner import plan_certificates, validate_options

#: The folder in which the editor stores its scenarios. It is next to the notebook.
DEFAULT_FOLDER = "scenarios"

NOTE_FILE = "note.md"
_FILES = (TOPOLOGY_FILE, OPTIONS_FILE, NOTE_FILE)
_LARGEST = 1 << 28  # The largest size of the table in bytes. 100,000 servers need about 30 MB.
# The maximum sizes in bytes of a scenario's options file and note file. Both are usually much
# smaller.
_MOST = {OPTIONS_FILE: 1_000_000, NOTE_FILE: 1 << 16}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Scenario(Table):
    """A variant of a plan with its own name.

    Parameters
    ----------
    name : str
        The name of the scenario and of its folder.
    topology : Topology
        n servers.
    options : PlanOptions, optional
        The options for the table, including the product.
    note : str, optional
        The purpose of the scenario, as plain text or Markdown.
    """

    _columns: ClassVar = columns(("What", 0), ("Value", 1))

    name: str
    topology: Topology
    options: PlanOptions = DEFAULT_OPTIONS
    note: str = ""
    # The plan is not an argument of the constructor, because a copy with other options has a
    # different plan.
    _plan: CertificatePlan | None = field(default=None, init=False, compare=False)

    @property
    def rules(self) -> Rules:
        """The rules for the product that the options specify."""
        return load_rules(self.options.product)

    @property
    def plan(self) -> CertificatePlan:
        """The plan of the scenario. It is created on first use.

        Raises
        ------
        LyncnbError
            If lyncnb cannot create the plan.
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
        scenario = cls(name=name, topology=plan.topology, options=plan.options, note=note)
        topology = replace(plan.topology, source=name, scenario=name)
        named_plan = replace(plan, topology=topology)
        object.__setattr__(scenario, "_plan", named_plan)
        return scenario

    def called(self, name: str, *, note: str) -> Scenario:
        """Return a copy of the scenario with another name or note, but with the same plan."""
        if self._plan is not None:
            return Scenario.of_plan(name, self._plan, note=note)
        return replace(self, name=name, note=note)

    def is_same(self, other: Scenario) -> bool:
        """Return whether another scenario has the same cells and options."""
        topology, other_topology = self.topology, other.topology
        same = topology is other_topology or (topology.columns, topology.cells) == (
            other_topology.columns,
            other_topology.cells,
        )
        return same and self.options == other.options

    def files(self) -> dict[str, bytes]:
        """Return the content of the files in the scenario's folder, by file name.

        Raises
        ------
        ScenarioError
            If the note is too long.
        """
        return {
            TOPOLOGY_FILE: self.topology.to_csv(),
            OPTIONS_FILE: self.options.to_toml().encode(),
            NOTE_FILE: _encode_note(self.note),
        }

    def _list_items(self) -> list[tuple[str, object]]:
        plan = self.plan
        return [
            ("Note", self.note),
            ("Servers", len(self.topology.cells)),
            ("SIP domains", self.topology.sip_domains),
            ("Product", plan.rules.title),
            ("Certificates", len(plan.certificates)),
        ]

    def _summarize(self) -> str:
        note = " ".join(self.note.split())
        rows = format_count(len(self.topology.cells), "row")
        return f"Scenario {self.name}: {rows}" + (f". {note}" if note else "")


def is_scenario(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder contains a scenario. The scenario may be damaged."""
    marks = (TOPOLOGY_FILE, OPTIONS_FILE)
    return os.path.isdir(folder) and any(
        os.path.lexists(os.path.join(folder, mark)) for mark in marks
    )


def list_scenario_files(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Return the file names in a scenario's folder. For any other folder, return nothing."""
    return tuple(Path(folder, name) for name in _FILES) if is_scenario(folder) else ()


def open_scenario(folder: str | os.PathLike[str]) -> Scenario:
    """Read a scenario from its folder.

    Parameters
    ----------
    folder : path
        The folder with ``topology.csv``, ``plan.toml`` and, optionally, ``note.md``. Its name is
        the
        scenario's name.

    Returns
    -------
    Scenario
        The current content of the files, including edits in other programs.

    Raises
    ------
    ScenarioError
        If a file has problems. The error lists every problem in every file.
    """
    path = Path(os.path.abspath(folder))
    try:
        contents = small_folder.read_files(path, _FILES, limit=_LARGEST)
    except BundleError as error:
        raise ScenarioError(error.message, hint=error.hint) from None
    return _read_scenario(path.name, Path(folder), contents)


def _read_scenario(name: str, folder: Path, contents: Mapping[str, bytes]) -> Scenario:
    problems: list[Problem] = []
    missing = [file for file in (TOPOLOGY_FILE, OPTIONS_FILE) if file not in contents]
    if len(missing) == 2:
        raise ScenarioError(
            f"{folder} is not a scenario, because it contains neither {TOPOLOGY_FILE} nor "
            f"{OPTIONS_FILE}",
            hint="specify the folder of a single scenario, such as scenarios/NAME",
        )
    problems += [
        Problem(
            message="the file is missing",
            file=file,
            hint="restore the file, or save the scenario again",
        )
        for file in missing
    ]
    options = topology = rules = None
    with _collect_problems(problems, OPTIONS_FILE):
        if OPTIONS_FILE in contents:
            _check_size(OPTIONS_FILE, contents[OPTIONS_FILE])
            options = PlanOptions.from_toml(contents[OPTIONS_FILE])
            # The options are read before the table, because a custom product can define additional
            # columns.
            rules = load_recorded_rules(options.product)
    with _collect_problems(problems, TOPOLOGY_FILE):
        if TOPOLOGY_FILE in contents:
            topology = read_topology(contents[TOPOLOGY_FILE])
    if topology and rules and options:
        with _collect_problems(problems, ""):
            validate_options(topology, rules, options)
    note = ""
    with _collect_problems(problems, NOTE_FILE):
        note = _decode_note(contents.get(NOTE_FILE, b""))
    if problems or options is None or topology is None:
        raise ScenarioError(
            f"lyncnb cannot open the scenario {folder}: {format_count(len(problems), 'problem')}",
            problems=tuple(problems),
            hint="correct the files, or restore them from version control",
        )
    return Scenario(name=name, topology=replace(topology, source=name), options=options, note=note)


@contextmanager
def _collect_problems(problems: list[Problem], file: str) -> Iterator[None]:
    """Record the problems in a file instead of raising an error."""
    try:
        yield
    except LyncnbError as error:
        # The message of an error about a single option already contains the name of the file.
        message = error.message.removeprefix(f"{file}: ")
        found_problems = error.problems or (Problem(message=message, hint=error.hint),)
        problems += [replace(problem, file=file) for problem in found_problems]


def _decode_note(data: bytes) -> str:
    _check_size(NOTE_FILE, data)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").strip()
    except UnicodeDecodeError as error:
        raise ScenarioError(
            f"the scenario's note is not valid UTF-8 at byte {error.start:,}",
            hint="save the scenario's note as UTF-8 text",
        ) from None


def _encode_note(note: str) -> bytes:
    text = note.replace("\r\n", "\n").strip()
    data = f"{text}\n".encode("utf-8", "replace") if text else b""
    if len(data) > _MOST[NOTE_FILE]:
        raise ScenarioError(
            f"the note has {len(data):,} bytes; the limit is {_MOST[NOTE_FILE]:,}",
            hint="move some of the text to another file",
        )
    return data


def _check_size(name: str, data: bytes) -> None:
    if len(data) > _MOST[name]:
        raise ScenarioError(
            f"the file has {len(data):,} bytes; the limit is {_MOST[name]:,}",
            hint="move some of the content to another file",
        )


@dataclass(frozen=True, slots=True, repr=False)
class Scenarios(Table):
    """The scenarios in a workspace. Each scenario is in a subfolder of the same folder.

    Parameters
    ----------
    folder : Path
        The folder, which is created with the first scenario.
    """

    _columns: ClassVar = columns(("Scenario", 0), ("Note", 1))

    folder: Path

    def __post_init__(self) -> None:
        # In notebooks, users may pass the folder as a string.
        object.__setattr__(self, "folder", Path(self.folder))

    def names(self) -> tuple[str, ...]:
        """Return the names of all scenarios in alphabetical order, including damaged scenarios.

        Raises
        ------
        ScenarioError
            If the folder cannot be read.
        """
        try:
            entries = os.listdir(self.folder)
        except FileNotFoundError:
            return ()
        except OSError as error:
            error_text = describe_error(error, self.folder, "list the files in the folder")
            raise ScenarioError(error_text.message, hint=error_text.hint) from None
        names = [n for n in entries if not n.startswith(".") and is_scenario(self.folder / n)]
        return tuple(sorted(names, key=lambda name: (name.casefold(), name)))

    def files(self, name: str) -> dict[str, bytes]:
        """Return the content of a scenario's files, by file name.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or its files cannot be read.
        """
        self._check_exists(name)
        try:
            return small_folder.read_files(self.folder / name, _FILES, limit=_LARGEST)
        except BundleError as error:
            raise ScenarioError(error.message, hint=error.hint) from None

    def open(self, name: str) -> Scenario:
        """Return the scenario with the given name.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or its files have problems, which the error lists.
        """
        self._check_exists(name)
        return open_scenario(self.folder / name)

    def note(self, name: str) -> str:
        """Return the note of a scenario, or "" if the note cannot be read."""
        with suppress(BundleError, ScenarioError):
            contents = small_folder.read_files(
                self.folder / name, (NOTE_FILE,), limit=_MOST[NOTE_FILE]
            )
            return _decode_note(contents.get(NOTE_FILE, b""))
        return ""

    def keep(self, scenario: Scenario, *, replace: bool = False) -> Scenario:
        """Save a scenario in a folder, and replace only the files that differ.

        Parameters
        ----------
        scenario : Scenario
            The scenario. If the folder already has the same content, nothing is written.
        replace : bool, optional
            Whether to replace an existing scenario with the same name.

        Returns
        -------
        Scenario
            The saved scenario.

        Raises
        ------
        FileOccupied
            If another scenario with the same name exists, and `replace` is False.
        ScenarioError
            If the name is not valid for a folder, or the folder contains something else.
        """
        path = self.folder / self._check_new_name(scenario.name, allowed_name=scenario.name)
        contents = scenario.files()
        with _convert_errors():
            if not os.path.lexists(path):
                small_folder.write_folder(path, contents)
                return scenario
            saved = self.files(scenario.name)
            changed = {name: data for name, data in contents.items() if saved.get(name) != data}
            if changed and not replace:
                raise FileOccupied(
                    f'a scenario named "{scenario.name}" already exists',
                    hint=(
                        "choose a different name, or check the existing scenario and "
                        "then replace it"
                    ),
                )
            for name, data in changed.items():
                files.replace_file(path / name, data, small_folder.FILE_MODE)
        return scenario

    def duplicate(self, name: str, new_name: str = "") -> str:
        """Copy a scenario, and return the name of the copy.

        By default, the name is an unused one.

        Raises
        ------
        ScenarioError
            As for :meth:`keep`.
        """
        contents = self.files(name)
        copy = new_name or self._find_copy_name(name)
        with _convert_errors():
            small_folder.write_folder(self.folder / self._check_new_name(copy), contents)
        return copy

    def rename(self, name: str, new_name: str) -> None:
        """Rename a scenario.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or the new name exists or is not valid for a folder.
        """
        self._check_exists(name)
        if new_name != name:
            target = self.folder / self._check_new_name(new_name, allowed_name=name)
            with _convert_errors():
                small_folder.rename_folder(self.folder / name, target)

    def set_note(self, name: str, note: str) -> None:
        """Replace the note of a scenario without reading its other files.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or the note cannot be written.
        """
        self._check_exists(name)
        data = _encode_note(note)
        if data != _encode_note(self.note(name)):
            with _convert_errors():
                files.replace_file(self.folder / name / NOTE_FILE, data, small_folder.FILE_MODE)

    def remove(self, name: str) -> dict[str, bytes]:
        """Remove a scenario's folder, and return the content of its files.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or its folder contains other files.
        """
        contents = self.files(name)
        with _convert_errors():
            small_folder.remove_folder(self.folder / name, _FILES)
        return contents

    def put_back(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Restore a scenario's folder that :meth:`remove` removed.

        Raises
        ------
        ScenarioError
            If a folder or file with the same name exists.
        """
        with _convert_errors():
            small_folder.write_folder(self.folder / self._check_new_name(name), contents)

    def _check_exists(self, name: str) -> None:
        if name in self.names():
            return
        known = self.names()
        hint = f"the scenarios are {', '.join(known[:10])}" if known else "save a scenario first"
        raise ScenarioError(f"{self.folder} contains no scenario {shown(name)}", hint=hint)

    def _check_new_name(self, name: str, *, allowed_name: str = "") -> str:
        """Return the folder name for a scenario, and reject a name that is invalid or in use.

        The name ``allowed_name`` may be in use.
        """
        reject_reserved_path(self.folder)
        plain = build_folder_name(name)
        if plain != name or not name:
            raise ScenarioError(
                (
                    f"{shown(name)} is not a valid scenario name, because some systems do not "
                    "accept it as a folder name"
                )
                if name.strip()
                else "the scenario has no name",
                hint=f'use the name "{plain}"'
                if plain
                else ("enter a name that describes the purpose, such as Wildcards"),
            )
        with suppress(FileNotFoundError, NotADirectoryError):
            for existing in os.listdir(self.folder):
                if existing == allowed_name or not is_same_name(existing, name):
                    continue
                _reject_used_name(existing, is_scenario_folder=is_scenario(self.folder / existing))
        if (
            allowed_name == name
            and os.path.lexists(self.folder / name)
            and not is_scenario(self.folder / name)
        ):
            _reject_used_name(name, is_scenario_folder=False)
        return name

    def _find_copy_name(self, name: str) -> str:
        """Return an unused name for the copy of a scenario."""
        used_names = {entry.casefold() for entry in os.listdir(self.folder)}
        number = 1
        while True:
            end = " copy" if number == 1 else f" copy {number}"
            new = build_folder_name(name, suffix=end)
            if new.casefold() not in used_names:
                return new
            number += 1

    def _list_items(self) -> Iterator[tuple[str, str]]:
        return ((name, self.note(name)) for name in self.names())

    def _summarize(self) -> str:
        return f"{format_count(len(self.names()), 'scenario')} in the folder {self.folder}"


def _reject_used_name(name: str, *, is_scenario_folder: bool) -> NoReturn:
    if is_scenario_folder:
        raise ScenarioError(
            f"a scenario named {shown(name)} already exists", hint="choose another name"
        )
    raise ScenarioError(
        f"{shown(name)} already exists and is not a scenario, so lyncnb did not change it",
        hint=(
            "choose a different name, or move this folder out of the folder that "
            "contains the scenarios"
        ),
    )


@contextmanager
def _convert_errors() -> Iterator[None]:
    """Convert errors from reading or writing a scenario's files to scenario errors."""
    try:
        yield
    except BundleError as error:
        raise ScenarioError(error.message, hint=error.hint) from None
