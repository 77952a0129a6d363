"""Arrange the steps of the servers of a pool as the rows of one sheet.

The functions have no side effects. The script, the page, the text and the JSON form of a sheet use
the same rows and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from ..rules.procedure import SCRIPTED, Procedure, Run
from .fill_steps import fill_placeholders
from .server_steps import DeploymentSteps, ServerStep, ServerSteps

#: A function that translates text to the language of a sheet. ``str`` leaves the text in English.
Say = Callable[[str], str]

#: The sections of a sheet in their order: the prefix of the numbers of the rows, the heading, and
#: a sentence about the section.
SECTIONS: Mapping[str, tuple[str, str, str]] = {
    "before": ("", "Before", ("{}, as administrator, at the server's own console. Thick frame: it "
               "asks; paste it alone.")),
    "day": ("", "With the script", "Nothing that users notice, on each server."),
    "night": ("", "With the script, one server at a time", "Then the next server."),
    "wrong": (
        "A",
        "If something goes wrong",
        "If it asks what you cannot confirm: No, and call. Each line can be run again.",
    ),
    "hand": ("", "By hand", "The same steps without the script, or from the one where it stopped."),
    "back": ("B", "Back by hand", "Do these rows in this order: {}."),
    "after": ("", "Afterwards", ""),
}  # fmt: skip

# The placeholder for the numbers of the rows that the script does not do.
_HAND_ROWS = "{hand_rows}"

# What to bring to a server before the first row that starts the script.
_BRING = "In {folder}: this server's install.ps1 and packages, lyncnb.ps1, chain."

_HAND = ("set-up", "request", "finish", *SCRIPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Commands that are safe to paste whole. ``servers`` is blank if they are for all servers.

    ``asks`` says what a command prompts for: then it is the only command. ``lead`` is the sentence
    above the block.
    """

    commands: tuple[str, ...]
    servers: tuple[str, ...] = ()
    asks: str = ""
    lead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a sheet: one instruction with its expected result and its blocks of commands.

    ``person`` is a question that decides whether the row applies. ``servers`` is blank if the row
    is for all servers, or if its blocks name them. ``notes`` contains a pair of an explanation and
    a source for each step, for the screen.
    """

    number: str
    title: str
    expected: str
    blocks: tuple[Block, ...] = ()
    person: str = ""
    servers: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of a sheet with at least one row."""

    name: str
    heading: str
    about: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The sheet of a pool in one case, or of one request."""

    pages: tuple[ServerSteps, ...]
    sections: tuple[Section, ...]

    @property
    def first(self) -> ServerSteps:
        """The first server of the sheet."""
        return self.pages[0]

    @property
    def name(self) -> str:
        """What the sheet is for: the pool, the only server, or the request.

        The pool of a server that joins it may have a sheet of its own.
        """
        first = self.first
        is_alone = first.case == "join" and len(self.pages) == 1
        is_of_pool = first.pool and first.case in CASES_OF_POOLS and not is_alone
        return first.pool if is_of_pool else first.server

    @property
    def stem(self) -> str:
        """The name of the page without extension."""
        first = self.first
        suffix = "-trust" if first.trust_only else first.suffix
        suffix = suffix or ("-join" if first.case == "join" and self.name == first.pool else "")
        return f"{self.name}{suffix}"


CASES_OF_POOLS = ("new", "renew", "join")


def group_pages(pages: Iterable[ServerSteps]) -> list[tuple[ServerSteps, ...]]:
    """Return the pages that share a sheet: the servers of a pool with one role and case."""
    groups: dict[tuple[object, ...], list[ServerSteps]] = {}
    for page in pages:
        alone = page.stem if page.case not in CASES_OF_POOLS else ""
        key = (page.pool, page.role, page.case, page.trust_only, alone)
        groups.setdefault(key, []).append(page)
    return [tuple(sorted(group, key=lambda page: page.server)) for group in groups.values()]


def number_steps(pages: Iterable[ServerSteps], procedure: Procedure) -> tuple[ServerSteps, ...]:
    """Return the pages with the number of its row for each step."""
    pages = tuple(pages)
    numbers: dict[tuple[str, str, str], str] = {}
    for group in group_pages(pages):
        rows = [(s.name, r) for s in _build_sections(group, procedure, ()) for r in s.rows]
        for page in group:
            numbers |= {(page.stem, name, row.id): row.number for name, row in rows}

    def number(page: ServerSteps, steps: Iterable[ServerStep], is_back: bool) -> list[ServerStep]:
        """Add the numbers. A step that paper does not show has the number of the step before."""
        last = numbers.get((page.stem, "wrong", "back"), "1") if is_back else "1"
        numbered = []
        for step in steps:
            section = _find_section(step, is_back and step.step.stage == "back")
            last = numbers.get((page.stem, section, _row_id(step)), last)
            numbered.append(replace(step, number=last))
        return numbered

    return tuple(
        replace(
            page,
            steps=tuple(number(page, page.steps, False)),
            later=tuple(number(page, page.later, False)),
            back=tuple(number(page, page.back, True)),
        )
        for page in pages
    )


def list_sheets(
    steps: DeploymentSteps, bring: Callable[[Sequence[ServerSteps]], Block]
) -> list[Sheet]:
    """Return all sheets. ``bring`` returns the block that checks the script of some servers."""
    return [
        Sheet(pages=group, sections=tuple(_build_sections(group, steps.procedure, (bring(group),))))
        for group in group_pages(steps.pages)
    ]


def _row_id(step: ServerStep) -> str:
    return step.step.task or step.step.id


def _find_section(step: ServerStep, is_back: bool) -> str:
    stage = "back" if is_back else step.step.stage
    if stage in ("back", "before"):
        return stage
    return "hand" if stage in _HAND and stage != "verify" else "after"


def _build_sections(
    pages: Sequence[ServerSteps], procedure: Procedure, bring: Sequence[Block]
) -> Iterator[Section]:
    first = pages[0]
    facts = first.facts
    runs = [run for run in procedure.runs if run.applies(first.role, first.case, facts)]
    if first.trust_only:
        runs = []
    if not any(_is_only_by_hand(step) for page in pages for step in page.steps):
        runs = [run for run in runs if _HAND_ROWS not in run.title]
    sections: list[Section] = []
    count = 0
    for name, (prefix, heading, about) in SECTIONS.items():
        rows = [_build_run_row(run, first) for run in runs if run.section == name]
        rows += _build_step_rows(pages, name, procedure)
        if name == "before":
            rows.append(_build_bring_row(pages, bring))
        numbered = []
        for position, row in enumerate(rows):
            count += not prefix
            number = f"{prefix}{position + 1}" if prefix == "B" else ascii_uppercase[position]
            numbered.append(replace(row, number=number if prefix else str(count)))
        if numbered:
            sections.append(Section(name=name, heading=heading, about=about, rows=tuple(numbered)))
    return _fill_numbers(sections, pages)


def _fill_numbers(sections: Iterable[Section], pages: Sequence[ServerSteps]) -> Iterator[Section]:
    """Yield the sections. Rows about other rows name their numbers."""
    stages = {_row_id(s): s.step.stage for page in pages for s in page.steps if s.step.way_back}
    only_by_hand = {_row_id(s) for page in pages for s in page.steps if _is_only_by_hand(s)}
    by_hand: list[str] = []
    around: dict[str, list[str]] = {"change": [], "start": []}
    sections = list(sections)
    for section in sections:
        for row in section.rows if section.name == "hand" else ():
            around.get(stages.get(row.id, ""), []).append(row.number)
            if row.id in only_by_hand:
                by_hand.append(row.number)
    for section in sections:
        about = section.about
        if section.name == "night" and len(pages) == 1:
            section, about = replace(section, heading="With the script: the change"), ""
        if section.name == "day" and "services" not in pages[0].facts:
            about = ""
        if section.name == "before":
            shell = pages[0].shell
            about = about.format(shell.title if shell else "Windows PowerShell")
        if section.name == "back":
            own = [row.number for row in section.rows]
            about = about.format(", ".join((*around["change"], *own, *around["start"])))
        rows = (
            replace(row, title=row.title.replace(_HAND_ROWS, ", ".join(by_hand)))
            for row in section.rows
        )
        yield replace(section, about=about, rows=tuple(rows))


def _build_bring_row(pages: Sequence[ServerSteps], bring: Sequence[Block]) -> Row:
    first = pages[0]
    return Row(
        number="",
        id="bring",
        title=_BRING.format(folder=first.folder),
        expected="True. Anything else: STOP, do not run it.",
        blocks=tuple(bring),
    )


def build_run_command(page: ServerSteps, switches: str) -> str:
    """Return the command that runs the script of a server, the same on every server."""
    path = "\\".join((page.folder, "install.ps1"))
    # Some commands exist only in the product's own shell, which loads them.
    needs_shell = page.shell is not None and page.shell.commands and not page.shell.modules
    start = "&" if needs_shell else "powershell.exe -NoProfile -ExecutionPolicy RemoteSigned -File"
    return f"{start} {path} {switches}".strip()


def _build_run_row(run: Run, page: ServerSteps) -> Row:
    values = {"pool": page.pool, "server": page.server}
    switches = run.switches
    confirmed = {f"-{s.step.confirmed_by}" for s in page.steps if s.step.confirmed_by}
    if {"-Prepare", "-DrainServices"} & {*switches.split()} and "-Back" not in switches:
        switches = " ".join((switches, *confirmed))
    commands = tuple(fill_placeholders(text, values, as_command=True) for text in run.commands)
    if run.starts_script:
        commands = (build_run_command(page, switches),)
    blocks = (Block(commands=commands, asks=run.asks),) if commands else ()
    return Row(number="", id=run.id, title=run.title, expected=run.expected, blocks=blocks)


def _build_step_rows(
    pages: Sequence[ServerSteps], section: str, procedure: Procedure
) -> Iterator[Row]:
    positions = {step.id: position for position, step in enumerate(procedure.steps)}
    groups: dict[str, list[tuple[ServerSteps, ServerStep]]] = {}
    for page in pages:
        steps = page.back if section == "back" else (*page.steps, *page.later)
        for step in steps:
            kind = step.step
            # On paper, the way back refers to the rows that stop and start the services.
            is_here = _find_section(step, section == "back") == section and (
                section != "back" or (kind.stage == "back" and kind.does != "drain")
            )
            if is_here and kind.paper and kind.unit == "server" and _is_printed(step):
                groups.setdefault(_row_id(step), []).append((page, step))
    # Nothing was in use on a new server, so there is nothing to restore.
    if section == "back" and pages[0].case != "renew":
        return
    order = sorted(groups.values(), key=lambda pairs: min(positions[s.step.id] for _, s in pairs))
    for pairs in order:
        pairs.sort(key=lambda pair: positions[pair[1].step.id])
        first = pairs[0][1]
        blocks = tuple(_build_blocks(pairs, [page.server for page in pages]))
        names = tuple(dict.fromkeys(page.server for page, _ in pairs))
        yield Row(
            number="",
            id=_row_id(first),
            title=first.task or first.title,
            expected=first.expected,
            person=first.step.person,
            servers=names if len(names) < len(pages) and not blocks else (),
            blocks=blocks,
            notes=tuple(dict.fromkeys((s.text, s.step.source) for _, s in pairs)),
        )


def _is_only_by_hand(step: ServerStep) -> bool:
    """Return whether the script does not do a step of the change, so that a person must."""
    kind = step.step
    is_change = kind.stage in ("change", "start") and kind.unit == "server" and kind.paper
    is_look = kind.task and kind.commands
    return bool(is_change and not kind.does and not is_look and _is_printed(step))


def _is_printed(step: ServerStep) -> bool:
    return bool(
        step.commands or step.step.by_hand or step.step.confirmed_by or step.step.does == "record"
    )


def _build_blocks(
    pairs: Iterable[tuple[ServerSteps, ServerStep]], servers: Collection[str]
) -> Iterator[Block]:
    """Yield the blocks of a row. Commands of several servers that are the same are one block.

    Commands that only look are one block too, each with the name of its server in a comment.
    """
    found: dict[tuple[tuple[str, ...], str, str], list[str]] = {}
    looks: set[tuple[tuple[str, ...], str, str]] = set()
    for page, step in pairs:
        if step.commands:
            key = (step.commands, step.step.asks, step.caution)
            found.setdefault(key, []).append(page.server)
            if step.step.by_hand and not step.step.does and step.step.stage != "before":
                looks.add(key)
    joined: list[Block] = []
    for key, own in found.items():
        commands, asks, lead = key
        names = () if len({*own}) == len(servers) else tuple(dict.fromkeys(own))
        if key in looks and len(commands) == 1 and not asks:
            suffix = f"  # {shorten_names(names)}" if names else ""
            commands, names = (f"{commands[0]}{suffix}",), ()
        block = Block(commands=commands, servers=names, asks=asks, lead=lead)
        last = joined[-1] if joined else None
        is_same = last and (last.servers, last.lead) == (names, lead)
        if last and is_same and not (asks or last.asks):
            new = tuple(c for c in commands if c not in last.commands)
            joined[-1] = replace(last, commands=(*last.commands, *new))
        else:
            joined.append(block)
    yield from joined


def shorten_names(servers: Iterable[str]) -> str:
    """Return the host names of servers without their domains."""
    return ", ".join(name.partition(".")[0] for name in servers)


def build_sheet_document(sheet: Sheet) -> list[dict[str, object]]:
    """Return the rows of a sheet for a JSON document."""
    return [
        {
            "number": row.number,
            "part": section.name,
            "title": row.title,
            "expected": row.expected,
            "question": row.person,
            "servers": list(row.servers),
            "blocks": [
                {"servers": list(b.servers), "asks": b.asks, "commands": list(b.commands)}
                for b in row.blocks
            ],
        }
        for section in sheet.sections
        for row in section.rows
    ]


def list_notes(sheets: Iterable[Sheet]) -> tuple[tuple[str, str, str], ...]:
    """Return the title, the explanation and the source of each row, without repetition."""
    return tuple(
        {
            (row.title, text, source): None
            for sheet in sheets
            for section in sheet.sections
            for row in section.rows
            for text, source in row.notes
            if text
        }
    )
