"""Define ``GuideAnswers``: a user's answers from a file, a form or a terminal.

A blank answer means the default of the question. A default may depend on other answers.
lyncnb therefore repeats the interview from its start each time, and collects questions,
valid answers and mistakes.
"""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from ..base.arguments import check_type
from ..base.disk.file_names import make_relative_path
from ..base.disk.files import read_specified_file
from ..base.pasted_text import BadName, shown
from ..base.records import JsonSerializable, RecordReader, describe_value
from ..base.shown.tables import Table, columns
from ..base.toml_text import NotToml, parse_toml
from ..errors import AnswersError, LyncnbError, Problem
from ..plan.options import PlanOptions
from ..rules.model import Rules
from ..rules.rule_files import load_rules
from .answer_values import Value, format_answer, is_yes, read_answer
from .questions import Question, read_interview

#: The answers during an interview, by site and key. The site "" means the deployment.
Texts = Mapping[tuple[str, str], str]

_LARGEST = 1_000_000
# The minimum number of letters in a site's short name. Sites that begin with the same letters get
# longer short names.
_CODE = 3
_SITES = "site"  # The name of the array of sites in a file with answers.
_OF_ITS_OWN = 'use a different name for each site: name = "Taipei"'


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredQuestion:
    """A question about the deployment or about one site, with its answer.

    Parameters
    ----------
    question : Question
        The question.
    site : str
        The name of the site, or "" for the deployment.
    default : str
        The text of the default, which applies if the answer is blank.
    text : str
        The text of the answer, or "" if there is none.
    value : Value or None
        The value of the answer or the default. None if the value is not valid or is missing.
    problem, hint : str
        The problem with the answer, and what to do.
    """

    question: Question
    site: str
    default: str
    text: str = ""
    value: Value | None = None
    problem: str = ""
    hint: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """The site and the key, which identify the question."""
        return self.site, self.question.key

    @property
    def where(self) -> str:
        """The site and key of the question, as text for messages."""
        return describe_position(self.site, self.question.key)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GuideAnswers(Table, JsonSerializable):
    """The answers to the questions about a new deployment.

    Parameters
    ----------
    questions : tuple of AnsweredQuestion
        Every question of the interview in order, with the value of its answer.
    """

    _columns: ClassVar = columns(
        ("Site", "site"),
        ("Question", "question.words"),
        ("Answer", lambda answer: "" if answer.value is None else format_answer(answer.value)),
    )

    questions: tuple[AnsweredQuestion, ...] = field(compare=False)
    _values: Mapping[tuple[str, str], Value] = field(init=False, hash=False)

    def __post_init__(self) -> None:
        values = {
            answer.place: answer.value for answer in self.questions if answer.value is not None
        }
        object.__setattr__(self, "_values", values)

    @classmethod
    def of(cls, document: Mapping[str, Any], *, source: str = "the answers") -> GuideAnswers:
        """Create answers from the content of a file.

        Parameters
        ----------
        document : mapping
            Answers by key. Under ``site``, a list of mappings, each with a ``name``.
        source : str, optional
            The name of the source, for messages.

        Raises
        ------
        AnswersError
            If answers are not valid. The exception lists the place, value and hint of each one.
        """
        check_type("GuideAnswers.of: document", document, Mapping)
        reader = RecordReader(source)
        texts, problems = _split_document(document, reader), reader.problems
        walked = walk_questions(texts)
        problems += [_make_problem(answer, source) for answer in walked if answer.problem]
        positions = {answer.place for answer in walked}
        problems += [
            Problem(
                file=source,
                message=(
                    f"{describe_position(site, key)}: the guide does not ask this question, "
                    "because of your other answers"
                ),
                hint=(
                    "remove this answer, or change the answer that determines whether "
                    "the guide asks this question"
                ),
            )
            for site, key in texts
            if (site, key) not in positions and not problems
        ]
        _raise_problems(problems, source)
        return cls(questions=walked)

    @classmethod
    def from_toml(cls, source: str | os.PathLike[str] | bytes) -> GuideAnswers:
        """Read answers from a file such as ``guide.toml``.

        Raises
        ------
        AnswersError
            If the file cannot be read, is not TOML, or contains wrong answers. The exception lists
            all of them.
        """
        if isinstance(source, bytes):
            name, data = "the answers", source
        else:
            name = Path(source).name
            data = read_specified_file(source, limit=_LARGEST, error_class=AnswersError)
        try:
            document = parse_toml(data)
        except NotToml as error:
            raise AnswersError(f"{name}: {error}", hint=error.hint) from None
        product = document.get("product")
        if isinstance(product, str) and product.endswith(".toml") and not isinstance(source, bytes):
            # The path of a product file is relative to the folder of the answers file, as in
            # plan.toml.
            document["product"] = str(Path(source).parent / product)
        return cls.of(document, source=name)

    def to_document(self, *, in_full: bool = True) -> dict[str, Any]:
        """Return the answers as a document that :meth:`of` can read.

        With `in_full`, defaults are included.
        """
        document: dict[str, Any] = {}
        sites: dict[str, dict[str, Any]] = {name: {"name": name} for name in self.sites}
        for answer in self.questions:
            if answer.question.key == "sites" or answer.value is None:
                continue
            if in_full or format_answer(answer.value) != answer.default:
                value = list(answer.value) if isinstance(answer.value, tuple) else answer.value
                (sites[answer.site] if answer.site else document)[answer.question.key] = value
        return {**document, _SITES: list(sites.values())}

    def find_product_for(self, folder: str | os.PathLike[str]) -> str:
        """Return the name of the product, or the path of a custom product file.

        The path of a custom product is relative to the folder.
        """
        product = self.text("product")
        if not product.endswith(".toml"):
            return product
        return Path(make_relative_path(product, folder)).as_posix()

    def to_toml(self, *, folder: str | os.PathLike[str] = ".") -> str:
        """Return the text of ``guide.toml``, in which every answer is below its question.

        Equal answers have the same text.

        Parameters
        ----------
        folder : path, optional
            The folder of the file. The path of a custom product is relative to this folder.
        """
        return _format_toml(self.questions, self.sites, product=self.find_product_for(folder))

    @property
    def sites(self) -> tuple[str, ...]:
        """The names of the central sites in the answers."""
        value = self._values["", "sites"]
        return tuple(map(str, value)) if isinstance(value, tuple) else ()

    def value(self, key: str, site: str = "") -> Value | None:
        """Return the value of an answer, or None if the question does not apply."""
        return self._values.get((site, key))

    def text(self, key: str, site: str = "") -> str:
        """Return the text of an answer, or "" if the question does not apply."""
        value = self.value(key, site)
        return "" if value is None else format_answer(value)

    def is_yes(self, key: str) -> bool:
        """Return whether an answer is yes, is a number above 0, or contains text, for any site."""
        return any(is_yes(self._values.get((site, key))) for site in ("", *self.sites))

    @property
    def rules(self) -> Rules:
        """The rules of the product that the user selected in the answers."""
        return load_rules(self.text("product"))

    @property
    def options(self) -> PlanOptions:
        """The options for ``plan.toml`` that follow from the answers."""
        return PlanOptions(product=self.rules.product)

    def _list_items(self) -> Iterable[Any]:
        return self.questions

    def _summarize(self) -> str:
        return (
            f"answers: {self.text('product')}, SIP domains {self.text('sip_domains')}, "
            f"sites {self.text('sites')}"
        )


def walk_questions(answers: Texts, *, is_strict: bool = False) -> tuple[AnsweredQuestion, ...]:
    """Repeat the interview with some answers, and return the questions that apply.

    Parameters
    ----------
    answers : mapping
        The current answers by site and key. Blank or missing answers mean the defaults.
    is_strict : bool, optional
        Whether to ignore conflicts with questions that have no answer yet.

    Returns
    -------
    tuple of AnsweredQuestion
        The questions for these answers, in order.
    """
    walked: list[AnsweredQuestion] = []
    values: dict[tuple[str, str], Value] = {}
    sites: dict[str, str] = {}  # The short name of each site, by site name.
    unknown: frozenset[str] = frozenset()
    outside = _has_external_access(answers, is_strict=is_strict)
    for is_of_site, group in itertools.groupby(
        read_interview().question, lambda question: question.is_asked_per_site
    ):
        for site, question in itertools.product([*sites] if is_of_site else [""], group):
            if question.key in unknown or not _is_applicable(question, site, values):
                continue
            answer = _ask_question(question, site, answers, values, sites, is_public=outside)
            walked.append(answer)
            if answer.value is not None:
                values[answer.place] = answer.value
            if question.key == "product":
                unknown = _list_unsupported_questions(answer.value)
            elif question.key == "sites" and isinstance(answer.value, tuple):
                sites = make_short_names([*map(str, answer.value)])
    return tuple(walked)


def _has_external_access(texts: Texts, *, is_strict: bool) -> bool:
    for key in read_interview().outside:
        question = read_interview().find_question(key)
        is_given = ("", key) in texts or not is_strict
        text = texts.get(("", key), "").strip() or (question.default if is_given else "")
        try:
            if text and is_yes(read_answer(question, text)):
                return True
        except BadName:
            continue
    return False


def _ask_question(
    question: Question,
    site: str,
    texts: Texts,
    values: Mapping[tuple[str, str], Value],
    sites: Mapping[str, str],
    *,
    is_public: bool,
) -> AnsweredQuestion:
    default = _find_default(question, site, values, sites)
    text = texts.get((site, question.key), "").strip()
    answer = AnsweredQuestion(question=question, site=site, default=default, text=text)
    if not text and not default and "{" in question.default:
        # The default depends on an invalid answer, which is already reported.
        return answer
    try:
        return replace(answer, value=read_answer(question, text or default, is_public_ca=is_public))
    except BadName as error:
        return replace(answer, problem=str(error), hint=error.hint)


def _is_applicable(question: Question, site: str, values: Mapping[tuple[str, str], Value]) -> bool:
    return not question.if_any or any(
        _meets_condition(condition, site, values) for condition in question.if_any
    )


def _meets_condition(condition: str, site: str, values: Mapping[tuple[str, str], Value]) -> bool:
    key, sign, expected = condition.partition("=")
    value = values.get((site, key), values.get(("", key)))
    return str(value) == expected if sign else is_yes(value)


def _list_unsupported_questions(product: Value | None) -> frozenset[str]:
    """Return the questions that do not apply because the product lacks a role or a column."""
    try:
        rules = load_rules(str(product)) if product is not None else load_rules()
    except LyncnbError:
        return frozenset()
    table = read_interview()
    parts = {part.count for part in table.part if part.role not in rules.roles}
    columns = rules.pool_columns
    return frozenset(
        question.key
        for question in table.question
        if question.key in parts or (question.column and question.column not in columns)
    )


def _find_default(
    question: Question,
    site: str,
    values: Mapping[tuple[str, str], Value],
    sites: Mapping[str, str],
) -> str:
    default = question.default
    if question.default_several is not None and (len(sites) > 1 or _has_branch(sites, values)):
        default = question.default_several
    if question.default_elsewhere is not None and sites and site != next(iter(sites)):
        default = question.default_elsewhere
    default = question.default_by.get(str(values.get(("", "product"))), default)
    if question.kind == "pattern" or "{" not in default:
        return default
    domains = values.get(("", "sip_domains"), ())
    texts = [str(domain) for domain in domains] if isinstance(domains, tuple) else []
    return (
        default.replace("{sip_domains}", ";".join(texts))
        .replace("{sip_domain}", texts[0] if texts else "")
        .replace("{code}", sites.get(site, ""))
    )


def _has_branch(sites: Iterable[str], values: Mapping[tuple[str, str], Value]) -> bool:
    keys = [
        question.key
        for question in read_interview().question
        if question.is_asked_per_site and question.kind == "names"
    ]
    return any(is_yes(values.get((site, key))) for site in sites for key in keys)


def make_short_names(names: Sequence[str]) -> dict[str, str]:
    """Return a short name for each name: its first letters. Similar names get more letters.

    Parameters
    ----------
    names : sequence of str
        The n distinct names.

    Returns
    -------
    dict of str to str
        The n distinct labels by name. A name without letters a to z gets ``site1`` and so on.
    """
    labels: dict[str, str] = {}
    used_labels: set[str] = set()
    for number, name in enumerate(names, 1):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        letters = re.sub(r"[^a-z0-9]+", "", plain)[:12]
        short = _CODE if len(letters) > _CODE + 1 else len(letters)
        tries = itertools.chain(
            (letters[:length] for length in range(short, len(letters) + 1)),
            (f"{letters[:_CODE] or 'site'}{count}" for count in itertools.count(number)),
        )
        labels[name] = next(label for label in tries if label and label not in used_labels)
        used_labels.add(labels[name])
    return labels


def _split_document(
    document: Mapping[str, Any], reader: RecordReader
) -> dict[tuple[str, str], str]:
    """Extract the answers from the content of a file, and report unknown entries."""
    questions = [item for item in read_interview().question if item.key != "sites"]
    texts: dict[tuple[str, str], str] = {}
    names: dict[str, None] = {}

    def collect_answers(site: str, table: Mapping[str, Any], prefix: str, other_key: str) -> None:
        known = {item.key: item for item in questions if item.is_asked_per_site is bool(prefix)}
        reader.reject_unknown_keys(prefix, table, [*known, other_key])
        for key in [key for key in table if key in known]:
            text = _convert_to_text(table[key])
            if text is None:
                description = f"is {describe_value(table[key])}, which is not a valid answer"
                reader.problem(f"'{f'{prefix}.{key}'.lstrip('.')}' {description}", known[key].help)
            else:
                texts[site, key] = text

    collect_answers("", document, "", _SITES)
    sites = document.get(_SITES, ())
    if not (isinstance(sites, (list, tuple)) and all(isinstance(v, Mapping) for v in sites)):
        reader.problem(f"'{_SITES}' is not an array of tables", f"enter [[{_SITES}]]")
        return texts
    for number, item in enumerate(sites):
        position = f"{_SITES}[{number}]"
        try:
            name = _read_site_name(item.get("name"))
            if name in names:
                raise BadName(f"repeats {shown(name)}, the name of another site", _OF_ITS_OWN)
        except BadName as error:
            reader.problem(f"'{position}.name' {error}", error.hint)
            continue
        names[name] = None
        collect_answers(name, item, position, "name")
    if names:
        texts["", "sites"] = ";".join(names)
    return texts


def _read_site_name(value: object) -> str:
    """Read the name of a site in the same way as an answer, so that equal names stay equal."""
    if not isinstance(value, str) or not value.strip():
        raise BadName(f"is {describe_value(value) if value else 'missing'}", _OF_ITS_OWN)
    try:
        names = read_answer(read_interview().find_question("sites"), value)
    except BadName as error:
        raise BadName(f"is not valid: {error}", error.hint) from None
    if not isinstance(names, tuple) or len(names) != 1:
        raise BadName(
            f"is {shown(value)}, but a name cannot contain a separator such as a "
            "comma or semicolon",
            _OF_ITS_OWN,
        )
    return str(names[0])


def _convert_to_text(value: object) -> str | None:
    if isinstance(value, (str, bool)) or type(value) is int:
        return format_answer(value)
    if isinstance(value, (list, tuple)) and all(
        isinstance(v, str) or type(v) is int for v in value
    ):
        return ";".join(map(str, value))
    return None


def describe_position(site: str, key: str) -> str:
    """Describe the place of an answer for messages: its site, if it has one, and its key."""
    return f"site {site}, {key}" if site else key


def _make_problem(question: AnsweredQuestion, source: str) -> Problem:
    message = f"{question.where}: {question.problem}"
    return Problem(file=source, message=message, value=question.text, hint=question.hint)


def _raise_problems(problems: Sequence[Problem], source: str) -> None:
    if problems:
        count = "an answer is" if len(problems) == 1 else f"{len(problems)} answers are"
        raise AnswersError(f"{source}: {count} not valid", problems=tuple(problems))


def _format_toml(
    questions: Sequence[AnsweredQuestion], sites: Sequence[str], *, product: str
) -> str:
    # The package is imported inside the function, because it is needed only for writing.
    import tomli_w

    lines = ["# Answers for lyncnb guide --answers. A missing line means the default value."]
    for site in ("", *sites):
        if site:
            lines += ["", f"[[{_SITES}]]", tomli_w.dumps({"name": site}).strip()]
        for answer in questions:
            if answer.site != site or answer.question.key == "sites" or answer.value is None:
                continue
            value = product if answer.question.key == "product" else answer.value
            values = value if isinstance(value, tuple) else (value,)
            encoded_values = [tomli_w.dumps({"v": item})[len("v = ") :].rstrip() for item in values]
            text = (
                f"[{', '.join(encoded_values)}]" if isinstance(value, tuple) else encoded_values[0]
            )
            lines += (
                ["", f"# {answer.question.words}"] if not site else [f"# {answer.question.words}"]
            )
            lines.append(f"{answer.question.key} = {text}")
    return "\n".join(lines) + "\n"
