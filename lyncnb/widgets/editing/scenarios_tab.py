"""Exchange messages between the Scenarios tab of the editor and the kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from ...base.disk.file_names import build_folder_name
from ...base.records import Text
from ...base.shown import tables
from ...checks.compare_scenarios import MARK, ScenarioComparison, ScenarioFact
from ...errors import LyncnbError, PlanError
from ...reports.figures import figure
from . import explanations
from .channel import Answers, Channel, format_all_problems
from .messages import EditorToPage
from .scenarios import NOW, EditorScenarios

# The largest number of scenarios that the page shows next to each other.
_MOST = 3


class ScenariosTab:
    """The part of a plan editor that answers messages from the Scenarios tab.

    Parameters
    ----------
    channel : Channel
        The channel that sends the messages.
    scenarios : EditorScenarios
        The scenarios of the editor.
    """

    def __init__(self, channel: Channel[EditorToPage], scenarios: EditorScenarios):
        self._channel, self._scenarios = channel, scenarios
        self._removed: tuple[str, dict[str, bytes]] | None = None
        self._compared: ScenarioComparison | None = None

    def list_answers(self) -> Answers:
        """Return the functions that answer the messages of the Scenarios tab, by message type."""
        actions: dict[str, Callable[..., str]] = {
            "keep_scenario": self._keep_scenario,
            "open_scenario": self._open_scenario,
            "copy_scenario": self._copy_scenario,
            "change_scenario": self._change_scenario,
            "remove_scenario": self._remove_scenario,
            "put_scenario_back": self._restore_scenario,
        }
        return {
            "scenarios": self._send_scenarios,
            "compare_scenarios": self._build_action_with_all_errors(
                "compare_scenarios", self._compare_scenarios
            ),
            "picture_scenario": self._draw_differences,
            **{
                name: self._build_action_with_all_errors(name, self._build_action(name, work))
                for name, work in actions.items()
            },
        }

    @property
    def is_kept_as_scenario(self) -> bool:
        """Whether the editor's content is already saved as a scenario."""
        return bool(self._scenarios.current) and not self._scenarios.has_changes

    def describe_scenario(self) -> str:
        """Describe which scenario the editor contains, for the top of the panel."""
        name = self._scenarios.current
        if not name:
            return ""
        if self.is_kept_as_scenario:
            return f"scenario “{name}”, unchanged"
        return f"scenario “{name}”, with later changes"

    def _is_outdated(self) -> bool:
        """Return whether the comparison of scenarios is out of date."""
        scenarios = self._compared.scenarios if self._compared else ()
        return any(not self._scenarios.is_up_to_date(scenario) for scenario in scenarios)

    # -- The following methods send messages to the page of the Scenarios tab.
    def _send_scenarios(self) -> None:
        scenarios = self._scenarios
        self._channel.send(
            {
                "type": "scenarios",
                "location": scenarios.location,
                "now": NOW,
                "current": scenarios.current,
                "changed": scenarios.has_changes,
                "rows": [
                    {"name": name, "note": scenarios.kept.note(name)} for name in scenarios.names()
                ],
                "removed": self._removed[0] if self._removed else "",
                "most": _MOST,
                "old": self._is_outdated(),
            }
        )

    def _build_action(self, message_type: str, work: Callable[..., str]) -> Callable[..., None]:
        """Return a function that runs work, lists all scenarios, and reports the result."""

        @wraps(work)
        def run_work(**parts: Any) -> None:
            message = work(**parts)
            self._channel.send({"type": "done", "added": []})
            self._send_scenarios()
            self._channel.send({"type": "scenario_done", "about": message_type, "said": message})

        return run_work

    def _build_action_with_all_errors(
        self, message_type: str, work: Callable[..., object]
    ) -> Callable[..., None]:
        """Return a function that runs work and reports all errors if a scenario is rejected."""

        @wraps(work)
        def run_work(**parts: Any) -> None:
            try:
                work(**parts)
            except LyncnbError as error:
                lines = format_all_problems(error)
                offer = (
                    _offer_valid_name(parts["name"].strip())
                    if message_type == "keep_scenario"
                    else {}
                )
                occupied = getattr(error, "occupied", False)
                self._channel.send_refusal(message_type, lines, occupied=occupied, **offer)

        return run_work

    # -- The following methods change the scenarios in the folder.
    def _keep_scenario(self, *, name: Text, note: Text | None = None, replace: bool = False) -> str:
        note_text = None if note is None else note.strip()
        scenario = self._scenarios.keep(name.strip(), note_text, replace=replace)
        return f"The scenario “{scenario.name}” is {self._scenarios.location}."

    def _open_scenario(self, *, name: str) -> str:
        self._scenarios.open(name)
        return f"“{name}” is now open in the editor. To return to the earlier state, choose Undo."

    def _copy_scenario(self, *, name: str) -> str:
        return f"Copied to “{self._scenarios.duplicate(name)}”."

    def _change_scenario(self, *, name: str, new: Text, note: Text) -> str:
        new = new.strip()
        if new != name:
            self._scenarios.rename(name, new)
        self._scenarios.set_note(new, note.strip())
        return f"Saved “{new}”." if new == name else f"Renamed “{name}” to “{new}”."

    def _remove_scenario(self, *, name: str) -> str:
        self._removed = name, self._scenarios.remove(name)
        return f"Removed “{name}”."

    def _restore_scenario(self) -> str:
        if self._removed is None:
            return ""
        name, files = self._removed
        self._scenarios.restore(name, files)
        self._removed = None
        return f"“{name}” is restored."

    def _compare_scenarios(self, *, names: tuple[str, ...]) -> None:
        comparison = self._scenarios.compare(*names)
        self._compared = comparison
        first = comparison.names[0]
        self._channel.send({"type": "done", "added": []})
        self._channel.send(
            {
                "type": "compared",
                "title": f"{MARK.strip()} marks differences from “{first}”",
                "headings": ["Of", "What", *comparison.names],
                "differing": [*_list_cells(comparison.differing())],
                "alike": [*_list_cells(comparison.alike())],
                "differences": [
                    {
                        **explanations.list_effects(pair.difference),
                        "heading": f"“{name}” compared with “{first}”",
                    }
                    for name, pair in zip(comparison.names[1:], comparison.comparisons, strict=True)
                ],
            }
        )

    def _draw_differences(self, *, place: int) -> None:
        """Draw the differences between the first of the compared scenarios and another one."""
        comparison = self._compared
        if comparison is None or not 0 <= place < len(comparison.differences):
            raise PlanError("there is no comparison to show", hint="compare two scenarios first")
        drawn = figure(comparison.differences[place])
        self._channel.send(
            {
                "type": "picture_of_scenario",
                "place": place,
                "title": drawn.title,
                "words": drawn.description,
                "svg": drawn.svg,
            }
        )


def _offer_valid_name(name: str) -> dict[str, Any]:
    """If the name of a scenario is not valid, offer a similar name that is valid for a folder."""
    valid = build_folder_name(name)
    return (
        {"valid_name": valid, "offers": [f"Keep as “{valid}”"]} if valid and valid != name else {}
    )


def _list_cells(facts: tuple[ScenarioFact, ...]) -> Iterator[list[str]]:
    for fact in facts:
        yield [fact.of, fact.what, *map(tables.format_cell, fact.list_marked_values())]
