"""Keep, open and compare scenarios (``editor.scenarios``), without any widget."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ...base.shown.tables import Table, columns, format_count
from ...checks.check_plan import check_plan
from ...checks.compare_scenarios import ScenarioComparison, compare_scenarios
from ...errors import FileOccupied, ScenarioError
from ...plan.scenarios import OPTIONS_FILE, TOPOLOGY_FILE, Scenario, Scenarios, is_scenario
from ...rules.findings import Findings
from .choices import match_row_ids
from .draft import Draft, State
from .plan_editing import PlanEditing

#: The name under which a list of scenarios shows the content of the editor.
NOW = "current editor content"

_PLAN_FILES = (TOPOLOGY_FILE, OPTIONS_FILE)


@dataclass(slots=True)
class _Read:
    """A scenario as lyncnb last read or wrote it. Its plan and findings are computed only once."""

    # lyncnb compares the contents of the files to detect changes by other people.
    held: dict[str, bytes]
    scenario: Scenario
    findings: Findings | None = None


class EditorScenarios(Table):
    """The scenarios in a folder, for one editor.

    Parameters
    ----------
    editing : PlanEditing
        The editor.
    folder : Path
        The folder that contains a subfolder for each scenario. lyncnb creates it when you keep
        the first scenario.
    location : str, optional
        The location that the panel shows, such as ``in the folder scenarios`` (the default).
    """

    _columns: ClassVar = columns(("Scenario", 0), ("Note", 1), ("In the editor", 2))

    def __init__(self, editing: PlanEditing, folder: Path, *, location: str = ""):
        self.kept = Scenarios(folder)
        self.location = location or f"in the folder {folder}"
        self._editing = editing
        self._read: dict[str, _Read] = {}

    @property
    def folder(self) -> Path:
        """The folder that contains the scenarios."""
        return self.kept.folder

    def names(self) -> tuple[str, ...]:
        """Return the names of the scenarios in the folder."""
        return self.kept.names()

    @property
    def current(self) -> str:
        """The name of the scenario that was last opened or kept.

        "" means that there is none or it was removed.
        """
        name = self._editing.state.scenario
        return name if name and is_scenario(self.folder / name) else ""

    @property
    def has_changes(self) -> bool:
        """Whether the editor's content differs from the current scenario as it was last read."""
        name = self.current
        if name and name not in self._read:
            # If the user ran the notebook cell again, the new editor has not read the current
            # scenario yet.
            with suppress(ScenarioError):
                self.read(name)
        return bool(name) and (
            name not in self._read
            or not self._read[name].scenario.is_same(self._read_editor_content())
        )

    @property
    def editor_content(self) -> Scenario:
        """The content of the plan editor as a scenario."""
        return Scenario.of_plan(NOW, self._editing.plan)

    def _read_editor_content(self) -> Scenario:
        return Scenario(name=NOW, topology=self._editing.topology, options=self._editing.options)

    def is_up_to_date(self, scenario: Scenario) -> bool:
        """Return whether a scenario in the comparison still has the current content.

        The current content is that of the kept scenario or, for the edited plan, that of the
        editor.
        """
        if scenario.name == NOW:
            return scenario.is_same(self._read_editor_content())
        known = self._read.get(scenario.name)
        return known is None or known.scenario.is_same(scenario)

    def keep(self, name: str = "", note: str | None = None, *, replace: bool = False) -> Scenario:
        """Save the content of the editor as a named scenario.

        Parameters
        ----------
        name : str, optional
            The name of the scenario. The default is the current scenario.
        note : str, optional
            A note, such as the reason for the scenario. By default, the existing note stays.
        replace : bool, optional
            Whether to replace another scenario with this name. The current scenario is always
            replaced, unless its files changed since the editor read them.

        Returns
        -------
        Scenario
            The saved scenario.

        Raises
        ------
        FileOccupied
            If another scenario has this name.
        ScenarioError
            If the name is not valid for a folder, or is in use. The editor does not change.
        """
        name = name or self.current
        files = self.kept.files(name) if name in self.names() else {}
        if note is None:
            note = self.kept.note(name) if files else ""
        plan = self._editing.plan
        scenario = Scenario.of_plan(name, plan, note=note)
        if files and name == self.current and not replace:
            known = self._read[name].held if name in self._read else {}
            replace = _plan_files(known) == _plan_files(files)
            if not replace and _plan_files(scenario.files()) != _plan_files(files):
                raise FileOccupied(
                    f'another person changed the files of the scenario "{name}"',
                    hint=(
                        "save your version as a scenario with a different name and compare the "
                        "two scenarios, or replace the files"
                    ),
                )
        self.kept.keep(scenario, replace=replace)
        live = self._editing.live
        findings = None if live.count_unchecked() else live.findings
        self._read[name] = _Read(self.kept.files(name), scenario, findings)
        self._editing.name_scenario(name)
        return scenario

    def open(self, name: str) -> Scenario:
        """Load the table and options of a scenario into the editor. You can undo this step.

        Raises
        ------
        ScenarioError
            If the files of the scenario have errors. The exception lists all errors, and the editor
            does not change.
        LyncnbError
            If the planner rejects the table or options. The editor does not change.
        """
        scenario = self.read(name)
        editing = self._editing
        topology, message = scenario.topology, f"opened scenario {name}"
        state = State(
            topology=dataclasses.replace(
                topology, source=editing.topology.source, path=editing.topology.path
            ),
            ids=match_row_ids(topology, (editing.state, editing.loaded), editing.create_ids),
            options=scenario.options,
            said=message,
            scenario=name,
        )
        editing.apply(Draft.enter_state, state)
        return scenario

    def read(self, name: str) -> Scenario:
        """Read a scenario. If its files are unchanged, its plan is not computed again.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or its files have errors. The exception lists all
            errors.
        """
        files = self.kept.files(name)
        known = self._read.get(name)
        if known is None or _plan_files(known.held) != _plan_files(files):
            self._read[name] = known = _Read(files, self.kept.open(name))
        elif known.held != files:  # If only the note changed, the plan is still valid.
            known.held = files
            known.scenario = known.scenario.called(name, note=self.kept.note(name))
        return known.scenario

    def duplicate(self, name: str, new: str = "") -> str:
        """Copy a saved scenario, and return the name of the copy.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or the new name is in use or not valid.
        """
        return self.kept.duplicate(name, new)

    def rename(self, name: str, new: str) -> None:
        """Rename a scenario.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or the new name is in use or not valid.
        """
        self.kept.rename(name, new)
        if name in self._read:
            known = self._read.pop(name)
            known.scenario = known.scenario.called(new, note=known.scenario.note)
            self._read[new] = known
        self._editing.rename_scenario(name, new)

    def set_note(self, name: str, note: str) -> None:
        """Change the note of a scenario.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or the note cannot be written.
        """
        self.kept.set_note(name, note)

    def remove(self, name: str) -> dict[str, bytes]:
        """Remove a scenario.

        Return its files, with which :meth:`restore` restores it. The editor does not change.

        Raises
        ------
        ScenarioError
            If the scenario does not exist, or its folder contains other files.
        """
        files = self.kept.remove(name)
        self._editing.rename_scenario(name, "")
        return files

    def restore(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Restore a removed scenario.

        Raises
        ------
        ScenarioError
            If the name is now in use.
        """
        self.kept.put_back(name, contents)

    def compare(self, *names: str | Scenario) -> ScenarioComparison:
        """Compare scenarios. The first one is the base of the comparison.

        Parameters
        ----------
        *names : str or Scenario
            Two or more scenarios. "" means the editor's content. One scenario is compared with the
            editor's content. Without names, the loaded table and options are compared with the
            editor's content.

        Raises
        ------
        ScenarioError
            If a scenario does not exist, or its files have errors. The exception lists all errors.
        """
        scenarios: list[str | Scenario] = [*names]
        if len(scenarios) < 2:
            scenarios = [
                *(scenarios or [Scenario.of_plan("as loaded", self._editing.loaded_plan)]),
                "",
            ]
        pairs = [*map(self._get_scenario, scenarios)]
        return compare_scenarios(
            *(scenario for scenario, _ in pairs), findings=[findings for _, findings in pairs]
        )

    def _get_scenario(self, name: str | Scenario) -> tuple[Scenario, Findings | None]:
        if isinstance(name, Scenario):
            return name, None
        if not name:
            return self.editor_content, self._editing.findings
        scenario, known = self.read(name), self._read[name]
        if known.findings is None:
            known.findings = check_plan(scenario.plan)
        return scenario, known.findings

    def _list_items(self) -> Iterator[tuple[str, str, str]]:
        for name in self.names():
            marker = (
                "" if name != self.current else "yes, with changes" if self.has_changes else "yes"
            )
            yield name, self.kept.note(name), marker

    def _summarize(self) -> str:
        words = f"{format_count(len(self.names()), 'scenario')} in the folder {self.folder}"
        if self.current:
            return f"{words}; the scenario “{self.current}” is open in the editor"
        return words


def _plan_files(contents: Mapping[str, bytes]) -> dict[str, bytes | None]:
    return {name: contents.get(name) for name in _PLAN_FILES}
