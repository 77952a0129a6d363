"""What the tab of scenarios asks and is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..base import tables
from ..base.file_names import folder_name
from ..checks.compare_scenarios import MARK, ScenarioComparison, ScenarioFact
from ..errors import PROBLEMS_SHOWN, LyncnbError, PlanError
from ..plan.figures import figure
from . import explanations
from .panel import Message, Panel, error_lines
from .scenarios import NOW, EditorScenarios

_MOST = 3  # beside each other: more do not fit on a page


class ScenariosTab:
    """Answers the tab; everything that it does, ``editor.scenarios`` does.

    Parameters
    ----------
    panel : Panel
        Sends what is to be told.
    scenarios : EditorScenarios
        Of the editor.
    """

    def __init__(self, panel: Panel, scenarios: EditorScenarios):
        self._panel, self._scenarios = panel, scenarios
        self._removed: tuple[str, dict[str, bytes]] | None = None
        self._compared: ScenarioComparison | None = None

    def wishes(self) -> Mapping[str, Callable[[Message], object]]:
        """Give what answers each message of the tab."""
        doings = {
            "keep_scenario": self._keep,
            "open_scenario": self._open,
            "copy_scenario": self._copy,
            "change_scenario": self._change,
            "remove_scenario": self._remove,
            "put_scenario_back": self._put_back,
        }
        return {
            "scenarios": lambda _: self._list(),
            "compare_scenarios": lambda asked: self._in_full(
                "compare_scenarios", self._compare, asked
            ),
            "picture_scenario": self._picture,
            **{name: self._doing(name, work) for name, work in doings.items()},
        }

    @property
    def is_kept(self) -> bool:
        """Whether what the editor holds is kept under a name."""
        return bool(self._scenarios.current) and not self._scenarios.has_changes

    def words(self) -> str:
        """Say for the head of the panel which scenario the editor holds."""
        name = self._scenarios.current
        if not name:
            return ""
        state = "as it is kept" if self.is_kept else "changed since it was kept"
        return f"scenario {name}, {state}"

    def _is_old(self) -> bool:
        """Tell whether what is compared is no longer so."""
        shown = self._compared.scenarios if self._compared else ()
        return any(not self._scenarios.is_so(one) for one in shown)

    # -- what is told
    def _list(self) -> None:
        kept = self._scenarios
        self._panel.send(
            {
                "type": "scenarios",
                "folder": str(kept.folder),
                "now": NOW,
                "current": kept.current,
                "changed": kept.has_changes,
                "rows": [{"name": name, "note": kept.kept.note(name)} for name in kept.names()],
                "removed": self._removed[0] if self._removed else "",
                "most": _MOST,
                "old": self._is_old(),
            }
        )

    def _doing(self, about: str, work: Callable[[Message], str]) -> Callable[[Message], None]:
        """Do something to the scenarios, then list them anew and say what was done."""

        def do(message: Message) -> None:
            def and_tell(asked: Message) -> None:
                said = work(asked)
                self._panel.send({"type": "done"})
                self._list()
                self._panel.send({"type": "scenario_done", "about": about, "said": said})

            self._in_full(about, and_tell, message)

        return do

    def _in_full(self, about: str, work: Callable[[Message], object], message: Message) -> None:
        """Do something; of a scenario that is refused every problem is told."""
        try:
            work(message)
        except LyncnbError as error:
            lines = [*_every_line(error)] if len(error.problems) > 1 else error_lines(error)
            occupied = getattr(error, "occupied", False)
            self._panel.refuse(about, lines, occupied=occupied, **_instead(about, message))

    # -- what is done
    def _keep(self, message: Message) -> str:
        name = str(message["name"]).strip()
        note = str(message["note"]).strip() if "note" in message else None
        kept = self._scenarios.keep(name, note, replace=message.get("replace") is True)
        return f"Kept as “{kept.name}” in the folder {self._scenarios.folder}."

    def _open(self, message: Message) -> str:
        opened = self._scenarios.open(str(message["name"]))
        return f"“{opened.name}” is in the editor. Undo brings back what was there before."

    def _copy(self, message: Message) -> str:
        new = self._scenarios.duplicate(str(message["name"]))
        return f"Copied to “{new}”."

    def _change(self, message: Message) -> str:
        name, new = str(message["name"]), str(message["new"]).strip()
        if new != name:
            self._scenarios.rename(name, new)
        self._scenarios.set_note(new, str(message["note"]).strip())
        return f"“{new}” is changed." if new == name else f"“{name}” is called “{new}” now."

    def _remove(self, message: Message) -> str:
        name = str(message["name"])
        self._removed = name, self._scenarios.remove(name)
        return f"“{name}” is removed."

    def _put_back(self, _: Message) -> str:
        if self._removed is None:
            return ""
        name, held = self._removed
        self._scenarios.put_back(name, held)
        self._removed = None
        return f"“{name}” is back."

    def _compare(self, message: Message) -> None:
        found = self._scenarios.compare(*map(str, message["names"]))
        self._compared = found
        first = found.names[0]
        self._panel.send({"type": "done"})
        self._panel.send(
            {
                "type": "compared",
                "title": f"{MARK.strip()} stands before what is other than “{first}”",
                "headings": ["Of", "What", *found.names],
                "differing": [*_cells(found.differing())],
                "alike": [*_cells(found.alike())],
                "differences": [
                    {
                        **explanations.effects(comparison.difference),
                        "heading": f"“{name}” against “{first}”",
                    }
                    for name, comparison in zip(found.names[1:], found.comparisons, strict=True)
                ],
            }
        )

    def _picture(self, message: Message) -> None:
        """Draw what one of those compared last has otherwise than the first."""
        found, place = self._compared, int(message["place"])
        if found is None or not 0 <= place < len(found.differences):
            raise PlanError("nothing is compared", hint="compare two scenarios first")
        drawn = figure(found.differences[place])
        self._panel.send(
            {
                "type": "picture_of_scenario",
                "place": place,
                "title": drawn.title,
                "words": drawn.description,
                "svg": drawn.svg,
            }
        )


def _instead(about: str, message: Message) -> dict[str, str]:
    """Offer a name that a folder can have in place of one that it cannot."""
    name = str(message.get("name", "")).strip()
    fit = folder_name(name)
    if about != "keep_scenario" or not fit or fit == name:
        return {}
    return {"instead": fit, "offer": f"Keep as “{fit}”"}


def _cells(facts: tuple[ScenarioFact, ...]) -> Iterator[list[Any]]:
    for fact in facts:
        yield [fact.of, fact.what, *map(tables.cell_text, fact.marked())]


def _every_line(error: LyncnbError) -> Iterator[str]:
    yield f"Not done: {error.message}"
    for problem in error.problems[:PROBLEMS_SHOWN]:
        where = f"{problem.where}: " if problem.where else ""
        hint = f" What to do: {problem.hint}" if problem.hint else ""
        yield f"{where}{problem.message}.{hint}"
    if len(error.problems) > PROBLEMS_SHOWN:
        yield f"… and {len(error.problems) - PROBLEMS_SHOWN:,} more"
    if error.hint:
        yield f"What to do: {error.hint}"
