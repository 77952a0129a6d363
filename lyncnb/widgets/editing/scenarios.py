"""``editor.scenarios``: keep what the editor holds, switch, compare. Knows no widget."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...base.shown.tables import Table, count_of
from ...checks.check_plan import check_plan
from ...checks.compare_scenarios import ScenarioComparison, compare_scenarios
from ...errors import FileOccupied, ScenarioError
from ...plan.scenarios import OPTIONS_FILE, TOPOLOGY_FILE, Scenario, Scenarios, is_scenario
from ...rules.findings import Findings
from .choices import same_rows
from .draft import Draft, State
from .plan_editing import PlanEditing

#: What the editor holds is called so beside scenarios that are kept.
NOW = "in the editor now"

_PLAN_FILES = (TOPOLOGY_FILE, OPTIONS_FILE)


@dataclass(slots=True)
class _Read:
    """A scenario as it was read or written last; its plan and findings are made once."""

    held: dict[str, bytes]  # its files, so that a change by somebody else is noticed
    scenario: Scenario
    findings: Findings | None = None


class EditorScenarios(Table):
    """The scenarios in a folder, as one editor opens and keeps them.

    Parameters
    ----------
    editing : PlanEditing
        The editor.
    folder : Path
        Holds a folder for each scenario; made when the first is kept.
    """

    def __init__(self, editing: PlanEditing, folder: Path):
        self.kept = Scenarios(folder)
        self._editing = editing
        self._read: dict[str, _Read] = {}

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self.kept.folder

    def names(self) -> tuple[str, ...]:
        """List those that are kept."""
        return self.kept.names()

    @property
    def current(self) -> str:
        """The scenario that was opened or kept last, "" if none was or it is there no more."""
        name = self._editing.state.scenario
        return name if name and is_scenario(self.folder / name) else ""

    @property
    def has_changes(self) -> bool:
        """Whether the editor holds something else than the current scenario as it was read last."""
        name = self.current
        if name and name not in self._read:  # the cell was run again
            with suppress(ScenarioError):
                self.read(name)
        return bool(name) and (
            name not in self._read or not self._read[name].scenario.is_same(self._held())
        )

    @property
    def now(self) -> Scenario:
        """What the editor holds, as a scenario."""
        return Scenario.of_plan(NOW, self._editing.plan)

    def _held(self) -> Scenario:
        return Scenario(name=NOW, topology=self._editing.topology, options=self._editing.options)

    def is_so(self, scenario: Scenario) -> bool:
        """Tell whether a scenario that was compared is still what is kept, or held now."""
        if scenario.name == NOW:
            return scenario.is_same(self._held())
        known = self._read.get(scenario.name)
        return known is None or known.scenario.is_same(scenario)

    def keep(self, name: str = "", note: str | None = None, *, replace: bool = False) -> Scenario:
        """Keep what the editor holds.

        Parameters
        ----------
        name : str, optional
            A new name; left out, the current scenario's.
        note : str, optional
            Why; left out, the note that is there stays.
        replace : bool, optional
            Whether another scenario of this name is replaced. The current one is replaced without,
            unless its files changed since the editor read them.

        Returns
        -------
        Scenario
            As it is kept.

        Raises
        ------
        FileOccupied
            If there is another scenario of this name.
        ScenarioError
            If no folder can have the name, or something else has it; the editor stays as it is.
        """
        name = name or self.current
        there = self.kept.files(name) if name in self.names() else {}
        if note is None:
            note = self.kept.note(name) if there else ""
        plan = self._editing.plan
        made = Scenario.of_plan(name, plan, note=note)
        if there and name == self.current and not replace:
            known = self._read[name].held if name in self._read else {}
            replace = _plan_files(known) == _plan_files(there)
            if not replace and _plan_files(made.files()) != _plan_files(there):
                raise FileOccupied(
                    f'the files of the scenario "{name}" were changed by somebody else since',
                    hint="keep yours under another name and compare, or replace what is there",
                )
        self.kept.keep(made, replace=replace)
        live = self._editing.live
        findings = None if live.unchecked() else live.findings
        self._read[name] = _Read(self.kept.files(name), made, findings)
        self._editing.name_scenario(name)
        return made

    def open(self, name: str) -> Scenario:
        """Put a scenario's table and options into the editor, as a step that can be undone.

        Raises
        ------
        ScenarioError
            With every problem of its files; the editor stays as it is.
        LyncnbError
            If no plan can be made of them; likewise.
        """
        scenario = self.read(name)
        editing = self._editing
        topology, said = scenario.topology, f"opened scenario {name}"
        state = State(
            topology=dataclasses.replace(
                topology, source=editing.topology.source, path=editing.topology.path
            ),
            ids=same_rows(topology, (editing.state, editing.loaded), editing.new_ids),
            options=scenario.options,
            said=said,
            scenario=name,
        )
        editing.apply(Draft.enter, state)
        return scenario

    def read(self, name: str) -> Scenario:
        """Read a scenario; one that lies there as it did before has the plan that was made of it.

        Raises
        ------
        ScenarioError
            If there is none of that name; or with every problem of its files.
        """
        held = self.kept.files(name)
        known = self._read.get(name)
        if known is None or _plan_files(known.held) != _plan_files(held):
            self._read[name] = known = _Read(held, self.kept.open(name))
        elif known.held != held:  # the note alone
            known.held = held
            known.scenario = known.scenario.called(name, note=self.kept.note(name))
        return known.scenario

    def duplicate(self, name: str, new: str = "") -> str:
        """Copy a scenario as it is kept, and give the copy's name.

        Raises
        ------
        ScenarioError
            If there is none, or the new name is taken or can be none.
        """
        return self.kept.duplicate(name, new)

    def rename(self, name: str, new: str) -> None:
        """Give a scenario another name.

        Raises
        ------
        ScenarioError
            If there is none, or the new name is taken or can be none.
        """
        self.kept.rename(name, new)
        if name in self._read:
            known = self._read.pop(name)
            known.scenario = known.scenario.called(new, note=known.scenario.note)
            self._read[new] = known
        self._editing.rename_scenario(name, new)

    def set_note(self, name: str, note: str) -> None:
        """Write another note beside a scenario.

        Raises
        ------
        ScenarioError
            If there is none, or it cannot be written.
        """
        self.kept.set_note(name, note)

    def remove(self, name: str) -> dict[str, bytes]:
        """Remove a scenario, and give its files for :meth:`put_back`; the editor keeps its plan.

        Raises
        ------
        ScenarioError
            If there is none, or somebody put other files into its folder.
        """
        held = self.kept.remove(name)
        self._editing.rename_scenario(name, "")
        return held

    def put_back(self, name: str, held: Mapping[str, bytes]) -> None:
        """Make a scenario again that was removed.

        Raises
        ------
        ScenarioError
            If something has its name by now.
        """
        self.kept.put_back(name, held)

    def compare(self, *names: str | Scenario) -> ScenarioComparison:
        """Put scenarios beside each other; the others are held against the first.

        Parameters
        ----------
        *names : str or Scenario
            Two or more; one alone is held beside what the editor holds, none: that beside the
            loaded table and options. "" stands for what the editor holds.

        Raises
        ------
        ScenarioError
            If there is none of a name; or with every problem of its files.
        """
        chosen: list[str | Scenario] = [*names]
        if len(chosen) < 2:
            chosen = [*(chosen or [Scenario.of_plan("as loaded", self._editing.loaded_plan)]), ""]
        found = [*map(self._scenario, chosen)]
        return compare_scenarios(
            *(scenario for scenario, _ in found), findings=[told for _, told in found]
        )

    def _scenario(self, name: str | Scenario) -> tuple[Scenario, Findings | None]:
        if isinstance(name, Scenario):
            return name, None
        if not name:
            return self.now, self._editing.findings
        scenario, known = self.read(name), self._read[name]
        if known.findings is None:
            known.findings = check_plan(scenario.plan)
        return scenario, known.findings

    def _headings(self) -> tuple[str, ...]:
        return ("Scenario", "Note", "In the editor")

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        for name in self.names():
            here = "" if name != self.current else "changed since" if self.has_changes else "yes"
            yield name, self.kept.note(name), here

    def _summary(self) -> str:
        words = count_of(len(self.names()), "scenario")
        current = f"; {self.current} is in the editor" if self.current else ""
        return f"{words} in {self.folder}{current}"


def _plan_files(held: Mapping[str, bytes]) -> dict[str, bytes | None]:
    return {name: held.get(name) for name in _PLAN_FILES}
