"""The guide whose questions lead to a first plan, and the channel to the page of the guide."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ...base.records import Text
from ...base.shown import frames, tables
from ...errors import AnswersError, LyncnbError
from ...guide.answer_values import list_choices
from ...guide.answers import AnsweredQuestion, GuideAnswers, Texts, walk_questions
from ...guide.first_plan import FirstPlan, guided_plan, write_first_plan
from ...guide.lay_out import lay_out
from ...guide.questions import read_interview
from ...guide.what_you_can_do import list_help_rows
from ...plan.scenarios import OPTIONS_FILE, TOPOLOGY_FILE
from ...reports.figures import figure
from ...topology.topology import Topology
from ..messages import GuideField, GuideProblem, GuideToPage
from .channel import Answers, Channel

_SERVERS_DRAWN = 60


class GuideChannel(Channel[GuideToPage]):
    """The channel that answers messages from the page of the guide.

    It receives the user's answers and sends the resulting plan.
    """

    scripts = ("help_dialog.js", "picture_tab.js", "guide.js")

    def __init__(self, guide: FirstPlanGuide):
        self.guide = guide
        answers: Answers = {
            "ready": self._answer_first_message,
            "answer": self._answer_question,
            "write": self._write_files,
        }
        super().__init__(answers, "Questions for your first plan:")

    def make_static_output(self) -> tuple[str, str, bool]:
        """Return the guide's content as HTML and text for readers without a kernel.

        The live panel hides this output.
        """
        return self.guide._repr_html_(), repr(self.guide), False

    def _answer_first_message(self) -> None:
        left_out = [[item.what, item.instead, item.source] for item in read_interview().left_out]
        self.send(
            {
                "type": "start",
                "folder": str(self.guide.folder),
                "left_out": left_out,
                "help": list_help_rows(),
            }
        )
        self._send_questions()

    def _answer_question(self, *, site: Text, key: str, text: Text) -> None:
        self.guide.answer(key, text, site=site)
        self._send_questions()
        self.update_static()

    def _write_files(self, *, folder: Text, force: bool) -> None:
        folder = folder.strip()
        if not folder:
            raise LyncnbError(
                "the folder is missing", hint="enter a folder, or . for the current folder"
            )
        paths = self.guide.write(folder, force=force)
        words = f"Written: {', '.join(map(str, paths))}."
        # The planning page has no notebook cells. Instead of code, it shows the plan.
        is_shown = self.guide.on_written is not None
        self.send(
            {
                "type": "written",
                "words": f"{words} The plan is shown below." if is_shown else words,
                "python": "" if is_shown else _build_editor_code(folder),
            }
        )

    def _send_questions(self) -> None:
        guide = self.guide
        entries = guide.questions
        fields = [_build_field(entry) for entry in entries]
        problems = [
            _build_problem(entry.question.words, entry.site, entry.question.key, entry.problem)
            for entry in guide.wrong
        ]
        lines: list[str] = []
        headings: list[str] = []
        rows: list[list[str]] = []
        first = None
        if not problems:
            layout = lay_out(GuideAnswers(questions=entries))
            for problem in layout.problems:
                field_key = problem.site, problem.key
                facts = next(f for f in fields if (f["site"], f["key"]) == field_key)
                facts.update({"problem": problem.message, "hint": problem.hint})
                problems.append(_build_problem(facts["label"], *field_key, problem.message))
            first = None if problems else guide.first
        if first is not None:
            headings, rows = first.overview()
            lines = [*first.remarks, *first.summarized_findings]
        # A question that the user has not answered yet is not an error.
        waiting = [entry for entry in guide.wrong if not entry.text]
        words = _describe_state(first, waiting, problems)
        if len(waiting) == len(problems):
            problems = []
        self.send(
            {
                "type": "asked",
                "fields": fields,
                "problems": problems,
                "words": words,
                "svg": _draw_picture(first),
                "lines": lines,
                "headings": headings,
                "rows": rows,
                "count": len(first.topology.cells) if first is not None else 0,
                "python": first.python if first is not None else "",
            }
        )


def _build_editor_code(folder: str) -> str:
    table, options = (
        json.dumps(Path(folder, name).as_posix(), ensure_ascii=False)
        for name in (TOPOLOGY_FILE, OPTIONS_FILE)
    )
    return "\n".join(
        [
            f"topology = ln.read_topology({table})",
            f"options = ln.PlanOptions.from_toml({options})",
            "rules = ln.load_rules(options.product)",
            "ln.PlanEditor(topology, rules, options=options)",
        ]
    )


def _draw_picture(first_plan: FirstPlan | None) -> str:
    """Draw the current plan. With many servers, the picture would be too small and is left out."""
    if first_plan is None or len(first_plan.topology.cells) > _SERVERS_DRAWN:
        return ""
    return figure(first_plan.plan).svg


def _describe_state(
    first_plan: FirstPlan | None,
    unanswered_questions: list[AnsweredQuestion],
    problems: Sequence[GuideProblem],
) -> str:
    if first_plan is not None:
        return f"{first_plan.totals} The certificates contain {first_plan.names:,} different names."
    if unanswered_questions and len(unanswered_questions) == len(problems):
        questions = "; ".join(entry.question.words for entry in unanswered_questions)
        return f"Please answer these questions: {questions}."
    return "lyncnb cannot create a plan from these answers yet. Correct the following errors."


def _build_problem(text: str, site: str, key: str, problem: str) -> GuideProblem:
    suffix = f" (site “{site}”)" if site else ""
    return {"words": f"“{text}”{suffix}: {problem}.", "site": site, "key": key}


def _build_field(entry: AnsweredQuestion) -> GuideField:
    question = entry.question
    choices = [[key, words] for key, words in list_choices(question).items()]
    if choices and entry.text and entry.text not in dict(choices):
        choices.append([entry.text, entry.text])
    is_missing = bool(entry.problem) and not entry.text
    return {
        "site": entry.site,
        "key": question.key,
        "group": f"Site {entry.site}: {question.group}" if entry.site else question.group,
        "label": question.words,
        "help": question.help,
        "kind": question.kind,
        "choices": choices,
        "default": entry.default,
        "text": entry.text,
        "least": question.least,
        "missing": is_missing,
        "problem": "" if is_missing else entry.problem,
        "hint": "" if is_missing else entry.hint,
    }


class FirstPlanGuide:
    """A panel that asks questions about a deployment and creates a first plan from the answers.

    Parameters
    ----------
    folder : path, optional
        The folder for the files. You can change the folder in the panel.
    answers : GuideAnswers, optional
        Existing answers.

    Notes
    -----
    ``topology``, ``first`` and ``answers`` contain the current results. lyncnb writes no file until
    you call ``write``.
    """

    def __init__(
        self, folder: str | os.PathLike[str] = ".", *, answers: GuideAnswers | None = None
    ):
        self.folder = Path(folder)
        self._texts: dict[tuple[str, str], str] = {}
        self._first: tuple[Texts, FirstPlan] | None = None
        self._questions: tuple[Texts, tuple[AnsweredQuestion, ...]] | None = None
        #: After the files are written, the guide calls this function with the path of the folder,
        #: and the function shows the plan.
        self.on_written: Callable[[Path], object] | None = None
        for entry in answers.questions if answers is not None else ():
            text = answers.text(entry.question.key, entry.site) if answers is not None else ""
            self._texts[entry.place] = "" if text == entry.default else text
        self._sites = self._list_sites()  # The last valid names of the sites.

    def answer(self, key: str, text: str, *, site: str = "") -> None:
        """Answer a question of the guide with a text. A blank text selects the default.

        Raises
        ------
        AnswersError
            If the question does not exist.
        """
        if key not in {question.key for question in read_interview().question}:
            raise AnswersError(
                f'there is no question with the key "{key}"', hint="see the fields of GuideAnswers"
            )
        self._texts[site, key] = text
        if key == "sites":
            self._rename_sites()

    def _rename_sites(self) -> None:
        """Keep the answers for a site after its name was changed."""
        before, after = self._sites, self._list_sites()
        for old, new in zip(before, after, strict=False):
            if old not in after and new not in before:
                for key in [key for site, key in self._texts if site == old]:
                    self._texts[new, key] = self._texts.pop((old, key))
        self._sites = after or before

    def _list_sites(self) -> tuple[str, ...]:
        sites = next((item.value for item in self.questions if item.question.key == "sites"), ())
        return tuple(map(str, sites)) if isinstance(sites, tuple) else ()

    @property
    def questions(self) -> tuple[AnsweredQuestion, ...]:
        """All questions that the current answers lead to, in the order of the form."""
        if self._questions is None or self._questions[0] != self._texts:
            self._questions = (dict(self._texts), walk_questions(self._texts))
        return self._questions[1]

    @property
    def wrong(self) -> tuple[AnsweredQuestion, ...]:
        """The questions with a wrong or missing answer."""
        return tuple(entry for entry in self.questions if entry.problem)

    @property
    def answers(self) -> GuideAnswers:
        """The current answers.

        Raises
        ------
        AnswersError
            If answers are wrong or missing. The exception lists all of them.
        """
        if self.wrong:
            texts = [f"{entry.where}: {entry.problem}" for entry in self.wrong]
            raise AnswersError("; ".join(texts), hint=self.wrong[0].hint)
        return GuideAnswers(questions=self.questions)

    @property
    def first(self) -> FirstPlan:
        """The first plan, created from the answers.

        If there is no plan, this raises AnswersError.
        """
        answers = self.answers
        if self._first is None or self._first[0] != self._texts:
            self._first = (dict(self._texts), guided_plan(answers))
        return self._first[1]

    @property
    def topology(self) -> Topology:
        """The table of servers, created from the answers.

        If there is none, this raises AnswersError.
        """
        return self.first.topology

    def write(
        self, folder: str | os.PathLike[str] | None = None, *, force: bool = False
    ) -> tuple[Path, ...]:
        """Write topology.csv, plan.toml and guide.toml.

        Raises
        ------
        LyncnbError
            If the answers give no plan, or files with other content exist in the folder.
        """
        path = self.folder if folder is None else Path(folder)
        paths = write_first_plan(self.first, path, force=force)
        if self.on_written is not None:
            self.on_written(path)
        return paths

    @tables.document_columns(GuideAnswers._columns)
    def to_frame(self) -> frames.DataFrame:
        """Return the questions with their answers, one row for each question."""
        return GuideAnswers(questions=self.questions).to_frame()

    def _repr_html_(self) -> str:
        return self.first._repr_html_() if not self.wrong else tables.format_paragraph(repr(self))

    def __repr__(self) -> str:
        wrong_count = len(self.wrong)
        return f"{type(self).__name__}: " + (
            f"missing or incorrect answers: {wrong_count}"
            if wrong_count
            else "all questions answered"
        )
