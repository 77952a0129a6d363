"""The command that asks: guide."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .inputs import json_option
from .output import note, write, write_json, write_lines, write_table

if TYPE_CHECKING:
    from ..guide.answers import Asked, GuideAnswers, Texts
    from ..guide.first_plan import FirstPlan

_HELP, _BACK, _REST = "?", "<", ">"


@click.command("guide")
@click.argument("folder", metavar="[FOLDER]", required=False)
@click.option(
    "--answers", "answers_file", metavar="FILE.toml",
    help="Answers, as guide.toml has them; nobody is asked then.",
)  # fmt: skip
@json_option
@click.option(
    "--force", is_flag=True,
    help="Replace a topology.csv, plan.toml or guide.toml that is there already.",
)  # fmt: skip
def guide_command(folder: str | None, answers_file: str | None, as_json: bool, force: bool) -> int:
    """Ask what you know of a deployment, and lay out a first table and plan in FOLDER.

    Enter takes what stands in brackets, ? says more about a question, < goes back to the one
    before, > takes the brackets of all that is left. FOLDER (default: here) gets topology.csv, the
    table of servers to be tuned; plan.toml, the options; and guide.toml, the answers, from which
    --answers lays out the same again. Nothing is written before the last answer, and nothing over
    a file that is there.

    Exit status: 0; 1 if the plan has error findings; 2 if the answers are wrong, or there is
    nobody to ask.
    """
    from ..errors import UsageProblem
    from ..guide.answers import GuideAnswers
    from ..guide.first_plan import check_folder_for, guided_plan, write_first_plan
    from ..plan.plan_json import plan_document

    place = folder or "."
    if answers_file is not None:
        answers = GuideAnswers.from_toml(Path(answers_file))
    elif sys.stdin is None or not sys.stdin.isatty():
        raise UsageProblem(
            "guide asks questions, and this is no terminal",
            hint="run it in a terminal, or give the answers in a file: --answers FILE.toml",
        )
    else:
        check_folder_for(place, force=force)
        answers = _ask_all()
    first = guided_plan(answers)
    written = write_first_plan(first, place, force=force, answers_file=answers_file)
    if as_json:
        write_json(
            {
                "format": "lyncnb-guide/1",
                "written": [path.as_posix() for path in written],
                "plan": plan_document(first.plan, first.findings),
                **first.to_document(),
            }
        )
    else:
        _show(first, written, Path(place))
    return 1 if first.findings.has_errors else 0


def _ask_all() -> GuideAnswers:
    """Ask until every question has an answer, and all of them fit together."""
    from ..guide.answers import GuideAnswers, walk
    from ..guide.lay_out import lay_out

    note(
        "Press Enter to accept the answer in [brackets]. Type ? for an explanation, < to go back,"
        " > to accept all remaining answers in brackets. Press Ctrl-C to stop."
    )
    texts: dict[tuple[str, str], str] = {}
    order: list[tuple[str, str]] = []
    heading = ""
    is_rest_taken = False
    try:
        while True:
            walked = walk(texts, only_given=True)
            wrong = next((one for one in walked if one.problem and one.place in texts), None)
            asked = wrong or next(_unanswered(walked, texts), None)
            if wrong is not None:
                _tell(wrong.problem, wrong.hint)
                texts.pop(wrong.place)
                order.remove(wrong.place)
            if asked is None:
                problems = lay_out(GuideAnswers(asked=walked)).problems
                if not problems:
                    return GuideAnswers(asked=walked)
                _tell(problems[0].message, problems[0].hint)
                place = (problems[0].site, problems[0].key)
                asked = next(one for one in walked if one.place == place)
            if is_rest_taken and not asked.problem and asked.place not in texts:
                # All that is known to be asked at once: each walk looks at every question.
                blank = takewhile(lambda one: not one.problem, _unanswered(walked, texts))
                places = [one.place for one in blank]
                texts.update(dict.fromkeys(places, ""))
                order += places
                continue
            is_rest_taken = False
            title = f"Site {asked.site}" if asked.site else asked.question.group
            if title != heading:
                heading = title
                note(f"\n{title}")
            answer = _ask(asked)
            if answer == _BACK:
                if order:
                    texts.pop(order.pop(), None)
                continue
            if answer == _REST:
                is_rest_taken, answer = True, ""
            texts[asked.place] = answer
            if asked.place in order:
                order.remove(asked.place)
            order.append(asked.place)
    except click.Abort:
        note("\nnothing was written")
        raise


def _unanswered(walked: tuple[Asked, ...], texts: Texts) -> Iterator[Asked]:
    return (one for one in walked if one.place not in texts)


def _tell(problem: str, hint: str) -> None:
    note(f"  {problem}")
    note(f"  hint: {hint}")


def _ask(asked: Asked) -> str:
    """Ask one question, until there is an answer, or a sign that is none."""
    from ..guide.answer_values import choices_of

    question = asked.question
    for number, (word, meaning) in enumerate(choices_of(question).items(), 1):
        note(f"  {number} {word}: {meaning}")
    offered = asked.default if asked.problem else asked.text or asked.default
    default = f" [{offered}]" if offered else ""
    while True:
        # On standard error: standard output takes the result, which may go into a file.
        text = click.prompt(
            f"{question.words}{default}", default="", show_default=False, err=True,
            prompt_suffix="\n> ",
        ).strip()  # fmt: skip
        if text == _HELP:
            note(f"  {question.help}")
            note(f"  source: {question.source}")
            continue
        return text or ("" if asked.problem else asked.text)


def _show(first: FirstPlan, written: tuple[Path, ...], place: Path) -> None:
    titles, rows = first.overview()
    write_table(titles, rows)
    if more := len(first.topology.cells) - len(rows):
        write(f"… and {more:,} more, in the file")
    write()
    for remark in first.remarks:
        write_lines(remark)
    for told in first.told_findings:
        write_lines(told)
    write_lines(f"{first.totals} They carry {first.names:,} different names.")
    write()
    write("The same in Python:")
    write(textwrap.indent(first.python, "  "))  # not wrapped: it is to be copied
    write("What Microsoft's Planning Tool asked or gave, and this does not:")
    for one in first.left_out:
        write_lines(f"  {one.what}. {one.instead}")
    write()
    for path in written:
        write(f"written: {path}")
    write("Next:")
    for line in _next_commands(place):
        write(f"  {line}")


def _next_commands(place: Path) -> tuple[str, str]:
    from ..plan.scenarios import OPTIONS_FILE, TOPOLOGY_FILE

    table, options = (
        shlex.quote((place / name).as_posix()) for name in (TOPOLOGY_FILE, OPTIONS_FILE)
    )
    requests = shlex.quote((place / "requests").as_posix())
    return (
        f"lyncnb plan {table} --options {options}",
        f"lyncnb request {table} {requests} --options {options}",
    )


COMMANDS = (guide_command,)
