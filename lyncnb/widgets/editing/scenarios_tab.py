"""What the tab of scenarios asks and is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from ...base.disk.file_names import folder_name
from ...base.records import Text
from ...base.shown import tables
from ...checks.compare_scenarios import MARK, ScenarioComparison, ScenarioFact
from ...errors import LyncnbError, PlanError
from ...reports.figures import figure
from . import explanations
from .channel import Answers, Channel, every_line
from .messages import EditorTold
from .scenarios import NOW, EditorScenarios

_MOST = 3  # beside each other: more do not fit on a page


class ScenariosTab:
    """Answers the tab; everything that it does, ``editor.scenarios`` does.

    Parameters
    ----------
    channel : Channel
        Sends what is to be told.
    scenarios : EditorScenarios
        Of the editor.
    """

    def __init__(self, channel: Channel[EditorTold], scenarios: EditorScenarios):
        self._channel, self._scenarios = channel, scenarios
        self._removed: tuple[str, dict[str, bytes]] | None = None
        self._compared: ScenarioComparison | None = None

    def answers(self) -> Answers:
        """Return what answers each message of the tab."""
        doings: dict[str, Callable[..., str]] = {
            "keep_scenario": self._keep,
            "open_scenario": self._open,
            "copy_scenario": self._copy,
            "change_scenario": self._change,
            "remove_scenario": self._remove,
            "put_scenario_back": self._put_back,
        }
        return {
            "scenarios": self._list,
            "compare_scenarios": self._in_full("compare_scenarios", self._compare),
            "picture_scenario": self._picture,
            **{name: self._in_full(name, self._doing(name, work)) for name, work in doings.items()},
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
        self._channel.send(
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

    def _doing(self, about: str, work: Callable[..., str]) -> Callable[..., None]:
        """Do something to the scenarios, then list them again and say what was done."""

        @wraps(work)
        def do(**parts: Any) -> None:
            said = work(**parts)
            self._channel.send({"type": "done", "added": []})
            self._list()
            self._channel.send({"type": "scenario_done", "about": about, "said": said})

        return do

    def _in_full(self, about: str, work: Callable[..., object]) -> Callable[..., None]:
        """Do something; of a scenario that is refused every problem is told."""

        @wraps(work)
        def do(**parts: Any) -> None:
            try:
                work(**parts)
            except LyncnbError as error:
                lines = every_line(error)
                offer = _instead(parts["name"].strip()) if about == "keep_scenario" else {}
                occupied = getattr(error, "occupied", False)
                self._channel.refuse(about, lines, occupied=occupied, **offer)

        return do

    # -- what is done
    def _keep(self, *, name: Text, note: Text | None = None, replace: bool = False) -> str:
        why = None if note is None else note.strip()
        kept = self._scenarios.keep(name.strip(), why, replace=replace)
        return f"Kept as “{kept.name}” in the folder {self._scenarios.folder}."

    def _open(self, *, name: str) -> str:
        self._scenarios.open(name)
        return f"“{name}” is in the editor. Undo brings back what was there before."

    def _copy(self, *, name: str) -> str:
        return f"Copied to “{self._scenarios.duplicate(name)}”."

    def _change(self, *, name: str, new: Text, note: Text) -> str:
        new = new.strip()
        if new != name:
            self._scenarios.rename(name, new)
        self._scenarios.set_note(new, note.strip())
        return f"“{new}” is changed." if new == name else f"“{name}” is called “{new}” now."

    def _remove(self, *, name: str) -> str:
        self._removed = name, self._scenarios.remove(name)
        return f"“{name}” is removed."

    def _put_back(self) -> str:
        if self._removed is None:
            return ""
        name, held = self._removed
        self._scenarios.put_back(name, held)
        self._removed = None
        return f"“{name}” is back."

    def _compare(self, *, names: tuple[str, ...]) -> None:
        found = self._scenarios.compare(*names)
        self._compared = found
        first = found.names[0]
        self._channel.send({"type": "done", "added": []})
        self._channel.send(
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

    def _picture(self, *, place: int) -> None:
        """Draw what one of those compared last has otherwise than the first."""
        found = self._compared
        if found is None or not 0 <= place < len(found.differences):
            raise PlanError("nothing is compared", hint="compare two scenarios first")
        drawn = figure(found.differences[place])
        self._channel.send(
            {
                "type": "picture_of_scenario",
                "place": place,
                "title": drawn.title,
                "words": drawn.description,
                "svg": drawn.svg,
            }
        )


def _instead(name: str) -> dict[str, str]:
    """Offer a name that a folder can have in place of one that it cannot."""
    fit = folder_name(name)
    return {"instead": fit, "offer": f"Keep as “{fit}”"} if fit and fit != name else {}


def _cells(facts: tuple[ScenarioFact, ...]) -> Iterator[list[str]]:
    for fact in facts:
        yield [fact.of, fact.what, *map(tables.cell_text, fact.marked())]
