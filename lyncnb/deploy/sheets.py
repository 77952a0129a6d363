"""Divide each server's checklist into sections with numbered steps and notes.

The functions have no side effects. A script and every form of a checklist use the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase, ascii_uppercase

from ..rules.procedure import PLACEHOLDER, Procedure
from .fill_steps import fill_placeholders
from .server_steps import DeploymentSteps, ServerStep, ServerSteps

ONCE = "once"

#: A function that translates text to the language of a checklist. ``str`` leaves the text in
#: English.
Say = Callable[[str], str]

_LINES = (*ascii_lowercase, *(f"{a}{b}" for a in ascii_lowercase for b in ascii_lowercase))

# The parts of a sheet, each with a prefix for the numbers of its items, a heading, and a sentence
# about when to use the part.
_PARTS = {
    "trust": (
        "T",
        "Part 1. Trust",
        "Complete part 1 on every server before you begin part 2 on any server.",
    ),
    "evening": ("", "Part 2. The change", ""),
    "exception": (
        "X",
        "Only if needed",
        (
            "The commands are not on this sheet. To see the commands, open the server's "
            "page on the screen."
        ),
    ),
    "later": ("L", "Dated steps", "Perform these steps later. Each step shows when you can begin."),
    "back": (
        "B",
        "The way back",
        (
            "Only if the deployment failed: run this server's script with -Back -DrainServices "
            "-StartServices. To perform these steps by hand instead, open the server's page on the "
            "screen, which has the commands."
        ),
    ),
}

# In a note about several servers, these texts replace the values that differ between the servers.
_GENERAL = {
    "server": "the server",
    "servers": "the servers listed on the server sheet",
    "pool": "the pool",
    "packages": "the packages listed on the server sheet",
    "package": "the package",
    "package_path": "the package",
    "record_path": "before-*.csv",
    "thumbprint": "the thumbprint on the server sheet",
    "certificate_path": "PATH",
    "friendly_name": "the certificate",
    "name": "NAME",
    "types": "the usages on the server sheet",
    "type": "the usage on the server sheet",
    "place": "the location on the server sheet",
    "new": "the value on the server sheet",
    "san": "as listed on the server sheet",
    "ports": "listed on the server sheet",
    "superseded": "the previous certificate",
    "key_holder": "the computer that stores the private key",
    "answer": "the issued certificate",
    "answer_path": "the file listed on the server sheet",
    "effective_words": "the time on the server sheet",
    "old_end": "the time on the server sheet",
    "outage": "",
    "subject": "the CA certificate",
    "store": "its store",
    "issuer_sha256": "the value on the server sheet",
    "needed_for": "the connections that the trust plan lists",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A numbered item on a server's sheet: one instruction with its expected result.

    ``only_if`` contains the conditions of all lines of the item.
    """

    number: str
    title: str
    expected: str
    by_hand: bool
    only_if: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of an item: one step, or the same step for several certificates.

    ``title`` is blank if it is the same as the title of the item. ``conditions`` contains complete
    sentences.
    """

    title: str
    conditions: tuple[str, ...]
    caution: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a server's sheet: its heading, its time, and its items."""

    name: str
    heading: str
    about: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """An item that is done only once for all servers, or for several servers."""

    step: ServerStep
    title: str
    expected: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """The explanation of a step: its method, its purpose, the wizard pages, and the source."""

    title: str
    text: str
    wizard: str
    source: str


def number_steps(pages: Iterable[ServerSteps], procedure: Procedure) -> tuple[ServerSteps, ...]:
    """Return the pages with a number for each step.

    An item that is done once for all servers has a letter, which is the same on all sheets.
    """
    pages = tuple(pages)
    used = {step.step.id for page in pages for step in page.steps if step.step.part == ONCE}
    once = [step.id for step in procedure.steps if step.id in used]
    letters = dict(zip(once, (*ascii_uppercase, *(f"A{c}" for c in ascii_uppercase))))
    return tuple(
        replace(
            page,
            steps=_number_steps(page.steps, letters),
            later=_number_steps(page.later, letters, "later"),
            back=_number_steps(page.back, letters, "back"),
        )
        for page in pages
    )


def _number_steps(
    steps: tuple[ServerStep, ...], letters: Mapping[str, str], section: str = ""
) -> tuple[ServerStep, ...]:
    numbered_steps: dict[int, ServerStep] = {}
    positions = {id(step): index for index, step in enumerate(steps)}
    for part, part_steps in _group_by_part(steps, section).items():
        for number, group in enumerate(_group_by_task(part_steps), 1):
            for line, step in zip(_LINES if len(group) > 1 else [""], group):
                prefix = _PARTS[part][0] if part in _PARTS else ""
                count = letters[step.step.id] if part == ONCE else f"{prefix}{number}"
                numbered_steps[positions[id(step)]] = replace(step, number=f"{count}{line}")
    return tuple(numbered_steps[index] for index in range(len(steps)))


def _group_by_part(steps: Iterable[ServerStep], section: str) -> dict[str, list[ServerStep]]:
    """Group steps by the part of the server's sheet.

    If `section` is set, all steps belong to that part.
    """
    parts: dict[str, list[ServerStep]] = {}
    for step in steps:
        kind = step.step
        part = section or kind.part or ("trust" if kind.trust else "evening")
        parts.setdefault(part, []).append(step)
    return parts


def _group_by_task(steps: Iterable[ServerStep]) -> list[list[ServerStep]]:
    """Combine consecutive steps that belong to the same task."""
    groups: list[list[ServerStep]] = []
    for step in steps:
        if groups and step.step.task and step.step.task == groups[-1][0].step.task:
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def list_parts(page: ServerSteps, translate: Say = str) -> Iterator[Part]:
    """Yield each part of a server's sheet that has at least one item, in the order of the sheet.

    If all steps of a page are of one kind, such as a request, the page has no headings for parts.
    """
    sections = (("", page.steps), ("later", page.later), ("back", page.back))
    steps_by_part = {
        p: part_steps
        for name, steps in sections
        for p, part_steps in _group_by_part(steps, name).items()
    }
    steps_by_part.pop(ONCE, None)
    for part, (_, heading, description) in _PARTS.items():
        if part in steps_by_part:
            is_alone = len(steps_by_part) == 1 and part == "evening"
            yield Part(
                name=part,
                heading="" if is_alone else translate(heading),
                about=translate(description),
                items=tuple(
                    _build_item(group, translate) for group in _group_by_task(steps_by_part[part])
                ),
            )


def _translate_step(step: ServerStep, translate: Say) -> ServerStep:
    """Translate the texts of a step. The commands of the step stay the same."""
    return replace(
        step,
        title=translate(step.title),
        commands=step.sheet_commands,
        about=translate(step.about),
        task=translate(step.task),
        expected=translate(step.expected),
        caution=translate(step.caution),
        only_if=tuple(replace(check, text=translate(check.text)) for check in step.only_if),
        needs=tuple(replace(check, text=translate(check.text)) for check in step.needs),
        waits=tuple(replace(check, text=translate(check.text)) for check in step.waits),
    )


def _build_item(group: Sequence[ServerStep], translate: Say) -> Item:
    steps = [_translate_step(step, translate) for step in group]
    first = steps[0]
    conditions = [{check.text for check in step.only_if} for step in steps]
    common = [
        c.text
        for c in first.only_if
        if all(c.text in texts for texts in conditions) and (c.shows or not c.passing)
    ]
    runs: list[list[ServerStep]] = []
    for step in steps:
        if runs and step.step.id == runs[-1][0].step.id and step.title == runs[-1][0].title:
            runs[-1].append(step)
        else:
            runs.append([step])
    title = first.task if len(steps) > 1 else first.title
    lines = [_build_line(run, common, title if len(runs) == 1 else "", translate) for run in runs]
    # If all lines have the same commands or the same caution, only the last line shows them.
    if len({line.commands for line in lines}) == 1:
        lines = [*(replace(line, commands=()) for line in lines[:-1]), lines[-1]]
    if len({line.caution for line in lines}) == 1:
        lines = [*(replace(line, caution="") for line in lines[:-1]), lines[-1]]
    return Item(
        number=first.number.rstrip(ascii_lowercase) if len(steps) > 1 else first.number,
        title=title,
        expected=first.expected,
        by_hand=all(step.step.by_hand for step in steps),
        only_if=tuple(common),
        lines=tuple(lines),
    )


def _build_line(
    steps: Sequence[ServerStep], common: Sequence[str], heading: str, translate: Say
) -> Line:
    """Return one line for steps that differ only in subject, without repeating the heading."""
    first = steps[0]
    numbers = translate("{} to {}").format(first.number, steps[-1].number)
    name = first.name if len(steps) == 1 else f"{numbers}. {first.title}"
    # The line does not mention whether a package was copied, because packages are copied once for
    # all servers.
    only_if = (
        c.text
        for step in steps
        for c in step.only_if
        if c.text not in common and (c.shows or not c.passing)
    )
    before = (
        *(c.text for step in steps for c in step.needs if c.passing and c.shows),
        *(c.text for step in steps for c in step.waits),
    )
    return Line(
        title="" if first.title == heading else name,
        conditions=(
            *(translate("Only if: {}.").format(text) for text in dict.fromkeys(only_if)),
            *(translate("Before: {}.").format(text) for text in dict.fromkeys(before)),
        ),
        caution=" ".join(dict.fromkeys(step.caution for step in steps if step.caution)),
        commands=tuple(dict.fromkeys(command for step in steps for command in step.commands)),
    )


def build_sheet_document(page: ServerSteps) -> list[dict[str, object]]:
    """Return the items of a server's sheet for a JSON document.

    The items that are done only once for all servers are included.
    """
    once = [_build_item([step], str) for step in page.steps if step.step.part == ONCE]
    parts = [(ONCE, once), *((part.name, part.items) for part in list_parts(page))]
    return [
        {
            "number": item.number,
            "part": part,
            "title": item.title,
            "expected": item.expected,
            "commands": [command for line in item.lines for command in line.commands],
        }
        for part, items in parts
        for item in items
    ]


def list_common_items(steps: DeploymentSteps, translate: Say = str) -> tuple[Once, ...]:
    """Return the items that are done once for all servers, each with the affected roles.

    The items are sorted by letter.
    """
    pairs_by_number: dict[str, list[tuple[ServerSteps, ServerStep]]] = {}
    for page in steps.servers:
        for step in page.steps:
            if step.step.part == ONCE:
                pairs_by_number.setdefault(step.number, []).append((page, step))
    return tuple(
        Once(
            step=_translate_step(pairs[0][1], translate),
            title=_fill_general_text(
                pairs[0][1].step.title, [step for _, step in pairs], translate
            ),
            expected=_fill_general_text(
                pairs[0][1].step.expected, [step for _, step in pairs], translate
            ),
            roles=tuple(dict.fromkeys(translate(page.title) for page, _ in pairs)),
        )
        for _, pairs in sorted(pairs_by_number.items(), key=lambda item: (len(item[0]), item[0]))
    )


def list_notes(steps: DeploymentSteps, translate: Say = str) -> tuple[Note, ...]:
    """Return the explanations of the steps without repetition.

    A note for a single server contains the server's values.

    Only the titles are translated to another language.
    """
    steps_by_id: dict[str, list[ServerStep]] = {}
    for page in steps.pages:
        for step in page.every_step:
            steps_by_id.setdefault(step.step.id, []).append(step)
    is_alone = len(steps.pages) == 1
    return tuple(
        Note(
            title=_fill_general_text(same[0].step.title, same, translate),
            text=" ".join(dict.fromkeys(s.text for s in same))
            if is_alone
            else _fill_general_text(same[0].step.text, same),
            wizard=_fill_general_text(same[0].step.wizard, same),
            source=same[0].step.source,
        )
        for same in steps_by_id.values()
    )


def _fill_general_text(text: str, steps: Sequence[ServerStep], translate: Say = str) -> str:
    """Fill the placeholders of a text that applies to several steps.

    If a value differs between the steps, the text describes the values in general.
    """
    values: dict[str, str | int | tuple[str, ...]] = {}
    if len({step.values.get("pool", "") for step in steps}) > 1:
        text = text.replace("the pool {pool}", "{pool}")
    if len({step.values.get("store", "") for step in steps}) > 1:
        text = text.replace("the computer's store {store}", "{store}")
        text = text.replace("the store {store}", "{store}")
    for name in PLACEHOLDER.findall(text):
        first = steps[0].values.get(name, "")
        is_same = all(step.values.get(name, "") == first for step in steps)
        assert isinstance(first, str | int | tuple)
        values[name] = first if is_same else translate(_GENERAL.get(name, name))
    filled_text = fill_placeholders(text, values)
    start = PLACEHOLDER.match(text)
    if start and values[start[1]] == translate(_GENERAL.get(start[1], "")):
        filled_text = filled_text[:1].upper() + filled_text[1:]
    return translate(filled_text)
