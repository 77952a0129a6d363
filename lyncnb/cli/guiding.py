"""Define the command ``guide``, which asks questions about a deployment."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..base.terminal import is_terminal, quote_argument
from .inputs import add_json_option
from .output import write, write_json, write_lines, write_next_steps, write_note, write_table

if TYPE_CHECKING:
    from ..guide.answers import AnsweredQuestion, GuideAnswers, Texts
    from ..guide.first_plan import FirstPlan

_HELP, _BACK, _REST = "?", "<", ">"


@click.command("guide")
@click.argument("folder", metavar="[FOLDER]", required=False)
@click.option(
    "--answers", "answers_file", metavar="FILE.toml",
    help="Read the answers from a file such as guide.toml, instead of asking the questions.",
)  # fmt: skip
@add_json_option
@click.option(
    "--force", is_flag=True,
    help="Replace an existing topology.csv, plan.toml or guide.toml.",
)  # fmt: skip
def guide_command(folder: str | None, answers_file: str | None, as_json: bool, force: bool) -> int:
    """Ask about your deployment, and write a first table and plan into FOLDER.

    Press Enter to accept the answer in brackets. Type ? for an explanation, < to go back, or
    > to accept all remaining answers in brackets. lyncnb writes three files into FOLDER
    (default: the current folder): topology.csv, the table of servers; plan.toml, the options;
    and guide.toml, your answers. With --answers guide.toml, lyncnb writes the same files
    again. lyncnb writes nothing before the last answer, and replaces no existing file unless
    you specify --force.

    Exit status: 0 success; 1 if the plan has error findings; 2 if the answers are not valid,
    or there is no terminal on which to ask.
    """
    from ..errors import UsageProblem
    from ..guide.answers import GuideAnswers
    from ..guide.first_plan import check_folder, guided_plan, write_first_plan
    from ..plan.plan_json import plan_document

    path = folder or "."
    if answers_file is not None:
        answers = GuideAnswers.from_toml(Path(answers_file))
    elif not is_terminal(sys.stdin):
        raise UsageProblem(
            "lyncnb guide asks questions, so it needs a terminal",
            hint=(
                "run the command in a terminal, or read the answers from a file: --answers "
                "FILE.toml"
            ),
        )
    else:
        check_folder(path, force=force)
        answers = _ask_all_questions()
    first = guided_plan(answers)
    written_paths = write_first_plan(first, path, force=force, answers_file=answers_file)
    if as_json:
        write_json(
            {
                "format": "lyncnb-guide/1",
                "written": [str(path) for path in written_paths],
                "plan": plan_document(first.plan, first.findings),
                **first.to_document(),
            }
        )
    else:
        _show_plan(first, written_paths, Path(path))
    return 1 if first.findings.has_errors else 0


def _ask_all_questions() -> GuideAnswers:
    """Ask questions until every question has an answer and no answers contradict each other."""
    from ..guide.answers import GuideAnswers, walk_questions
    from ..guide.lay_out import lay_out

    write_note(
        "Press Enter to accept the answer in [brackets]. Type ? for an explanation, < to go "
        "back, or > to accept all remaining answers in brackets. Press Ctrl-C to stop."
    )
    texts: dict[tuple[str, str], str] = {}
    order: list[tuple[str, str]] = []
    heading = ""
    is_rest_taken = False
    try:
        while True:
            walked = walk_questions(texts, is_strict=True)
            wrong = next(
                (question for question in walked if question.problem and question.place in texts),
                None,
            )
            current = wrong or next(_find_unanswered_questions(walked, texts), None)
            if wrong is not None:
                _note_problem(wrong.problem, wrong.hint)
                texts.pop(wrong.place)
                order.remove(wrong.place)
            if current is None:
                problems = lay_out(GuideAnswers(questions=walked)).problems
                if not problems:
                    return GuideAnswers(questions=walked)
                _note_problem(problems[0].message, problems[0].hint)
                key = (problems[0].site, problems[0].key)
                current = next(question for question in walked if question.place == key)
            if is_rest_taken and not current.problem and current.place not in texts:
                # The defaults of all open questions are accepted together, because each call of
                # walk_questions() visits every question.
                blank = takewhile(
                    lambda question: not question.problem, _find_unanswered_questions(walked, texts)
                )
                keys = [question.place for question in blank]
                texts.update(dict.fromkeys(keys, ""))
                order += keys
                continue
            is_rest_taken = False
            title = f"Site {current.site}" if current.site else current.question.group
            if title != heading:
                heading = title
                write_note(f"\n{title}")
            answer = _ask_question(current)
            if answer == _BACK:
                if order:
                    texts.pop(order.pop(), None)
                continue
            if answer == _REST:
                is_rest_taken, answer = True, ""
            texts[current.place] = answer
            if current.place in order:
                order.remove(current.place)
            order.append(current.place)
    except click.Abort:
        write_note("\nlyncnb wrote no files.")
        raise


def _find_unanswered_questions(
    questions: tuple[AnsweredQuestion, ...], texts: Texts
) -> Iterator[AnsweredQuestion]:
    return (question for question in questions if question.place not in texts)


def _note_problem(problem: str, hint: str) -> None:
    write_note(f"  {problem}")
    write_note(f"  hint: {hint}")


def _ask_question(asked_question: AnsweredQuestion) -> str:
    """Ask one question, and return the answer or the input for a command, such as "go back"."""
    from ..guide.answer_values import list_choices

    question = asked_question.question
    for number, (word, meaning) in enumerate(list_choices(question).items(), 1):
        write_note(f"  {number} {word}: {meaning}")
    offered = (
        asked_question.default
        if asked_question.problem
        else asked_question.text or asked_question.default
    )
    default = f" [{offered}]" if offered else ""
    while True:
        # Questions are written to standard error, because standard output may be redirected to a
        # file.
        text = click.prompt(
            f"{question.words}{default}", default="", show_default=False, err=True,
            prompt_suffix="\n> ",
        ).strip()  # fmt: skip
        if text == _HELP:
            write_note(f"  {question.help}")
            write_note(f"  source: {question.source}")
            continue
        return text or ("" if asked_question.problem else asked_question.text)


def _show_plan(first_plan: FirstPlan, paths: tuple[Path, ...], folder: Path) -> None:
    titles, rows = first_plan.overview()
    write_table(titles, rows)
    if hidden_count := len(first_plan.topology.cells) - len(rows):
        write(f"… and {hidden_count:,} more rows in the file")
    write()
    write_lines(*first_plan.remarks)
    write_lines(*first_plan.summarized_findings)
    write_lines(
        f"{first_plan.totals} The certificates contain {first_plan.names:,} different names."
    )
    write()
    write("To create the same plan in Python:")
    # The TOML code is not wrapped, so that users can copy it.
    write(textwrap.indent(first_plan.python, "  "))
    write("lyncnb guide does not include these questions and results of Microsoft's Planning Tool:")
    write_lines(*(f"  {omission.what}. {omission.instead}" for omission in first_plan.left_out))
    write()
    for path in paths:
        write(f"written: {path}")
    write_next_steps(*_list_next_steps(folder))


def _list_next_steps(folder: Path) -> tuple[str, str]:
    from ..plan.scenarios import OPTIONS_FILE, TOPOLOGY_FILE

    table, options = (quote_argument(str(folder / name)) for name in (TOPOLOGY_FILE, OPTIONS_FILE))
    requests = quote_argument(str(folder / "requests"))
    return (
        f"Edit the table. Then plan the certificates: lyncnb plan {table} --options {options}",
        f"Write the requests: lyncnb request {table} {requests} --options {options}",
    )


COMMANDS = (guide_command,)
