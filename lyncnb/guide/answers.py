"""``GuideAnswers``: a planner's answers, from a file, a form or a terminal; and as a file.

Blank answers mean the questions' defaults, which may depend on other answers. Therefore lyncnb
repeats the interview from its start each time, and collects questions, valid answers, and mistakes.
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

from ..base.disk.files import read_named
from ..base.pasted_text import BadName, shown
from ..base.records import RecordReader, Told, value_words
from ..base.shown.tables import Table, columns
from ..base.toml_text import NotToml, parse_toml
from ..errors import AnswersError, LyncnbError, Problem
from ..plan.options import PlanOptions
from ..rules.model import Rules
from ..rules.rule_files import load_rules
from .answer_values import Value, answer_text, is_yes, read_answer
from .questions import Question, interview

#: The answers during an interview: by site ("" = the deployment) and key.
Texts = Mapping[tuple[str, str], str]

_LARGEST = 1_000_000
_CODE = 3  # letters of a site's short name, more if two sites begin with the same letters
_SITES = "site"  # the tables of sites in a file
_OF_ITS_OWN = 'give each site its own name: name = "Taipei"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question for the deployment or for one site, with its answer.

    Parameters
    ----------
    question : Question
        The question.
    site : str
        The site's name, "" for the deployment.
    default : str
        The text of the default, which a blank answer means.
    text : str
        The text of the answer; "" if there is none.
    value : Value or None
        The value of the answer or the default; None if it is invalid or missing.
    problem, hint : str
        The problem of the answer, and what to do.
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
        """The key of the answer."""
        return self.site, self.question.key

    @property
    def where(self) -> str:
        """The place in words, for messages."""
        return place_words(self.site, self.question.key)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GuideAnswers(Table, Told):
    """The answers about a new deployment; create it with a classmethod.

    Parameters
    ----------
    asked : tuple of Asked
        Every question of the interview, in order, with its value.
    """

    _columns: ClassVar = columns(
        ("Site", "site"),
        ("Question", "question.words"),
        ("Answer", lambda one: "" if one.value is None else answer_text(one.value)),
    )

    asked: tuple[Asked, ...] = field(compare=False)
    _values: Mapping[tuple[str, str], Value] = field(init=False, hash=False)

    def __post_init__(self) -> None:
        values = {asked.place: asked.value for asked in self.asked if asked.value is not None}
        object.__setattr__(self, "_values", values)

    @classmethod
    def of(cls, document: Mapping[str, Any], *, source: str = "the answers") -> GuideAnswers:
        """Create answers from the content of a file.

        Parameters
        ----------
        document : mapping
            Answers by key; under ``site`` a list of mappings, each with a ``name``.
        source : str, optional
            Name of the source in messages.

        Raises
        ------
        AnswersError
            With the place, value and hint of every invalid answer.
        """
        reader = RecordReader(source)
        texts, problems = _texts_of(document, reader), reader.problems
        walked = walk(texts)
        problems += [_problem(asked, source) for asked in walked if asked.problem]
        places = {asked.place for asked in walked}
        problems += [
            Problem(
                file=source,
                message=f"{place_words(site, key)}: the guide does not ask this with these answers",
                hint="remove it, or change the answer that it depends on",
            )
            for site, key in texts
            if (site, key) not in places and not problems
        ]
        _raise(problems, source)
        return cls(asked=walked)

    @classmethod
    def from_toml(cls, source: str | os.PathLike[str] | bytes) -> GuideAnswers:
        """Read answers from a file such as ``guide.toml``.

        Raises
        ------
        AnswersError
            If it cannot be read, is not TOML, or contains wrong answers; lists all of them.
        """
        if isinstance(source, bytes):
            name, data = "the answers", source
        else:
            name = Path(source).name
            data = read_named(source, limit=_LARGEST, error=AnswersError)
        try:
            document = parse_toml(data)
        except NotToml as error:
            raise AnswersError(f"{name}: {error}", hint=error.hint) from None
        product = document.get("product")
        if isinstance(product, str) and product.endswith(".toml") and not isinstance(source, bytes):
            document["product"] = str(Path(source).parent / product)  # as in a plan.toml
        return cls.of(document, source=name)

    def to_document(self, *, in_full: bool = True) -> dict[str, Any]:
        """Return the answers for :meth:`of`; `in_full` includes the defaults."""
        document: dict[str, Any] = {}
        sites: dict[str, dict[str, Any]] = {name: {"name": name} for name in self.sites}
        for asked in self.asked:
            if asked.question.key == "sites" or asked.value is None:
                continue
            if in_full or answer_text(asked.value) != asked.default:
                value = list(asked.value) if isinstance(asked.value, tuple) else asked.value
                (sites[asked.site] if asked.site else document)[asked.question.key] = value
        return {**document, _SITES: list(sites.values())}

    def product_from(self, folder: str | os.PathLike[str]) -> str:
        """Return the product for a file in a folder, with a relative path to a custom product."""
        product = self.text("product")
        if not product.endswith(".toml"):
            return product
        return Path(os.path.relpath(product, folder)).as_posix()

    def to_toml(self, *, folder: str | os.PathLike[str] = ".") -> str:
        """Return ``guide.toml``: every answer below its question. Equal answers have the same text.

        Parameters
        ----------
        folder : path, optional
            The folder of the file; the path to a custom product is relative to it.
        """
        return _toml(self.asked, self.sites, product=self.product_from(folder))

    @property
    def sites(self) -> tuple[str, ...]:
        """The central sites, by name."""
        value = self._values["", "sites"]
        return tuple(map(str, value)) if isinstance(value, tuple) else ()

    def value(self, key: str, site: str = "") -> Value | None:
        """Return the value of an answer; None if these answers do not lead to the question."""
        return self._values.get((site, key))

    def text(self, key: str, site: str = "") -> str:
        """Return the text of an answer; "" if the interview does not contain the question."""
        value = self.value(key, site)
        return "" if value is None else answer_text(value)

    def is_yes(self, key: str) -> bool:
        """Return whether an answer is yes, more than 0 or not empty, for any site."""
        return any(is_yes(self._values.get((site, key))) for site in ("", *self.sites))

    @property
    def rules(self) -> Rules:
        """The rules of the product."""
        return load_rules(self.text("product"))

    @property
    def options(self) -> PlanOptions:
        """The options for ``plan.toml``."""
        return PlanOptions(product=self.rules.product)

    def _items(self) -> Iterable[Any]:
        return self.asked

    def _summary(self) -> str:
        return (
            f"answers: {self.text('product')}, SIP domains {self.text('sip_domains')}, "
            f"sites {self.text('sites')}"
        )


def walk(texts: Texts, *, only_given: bool = False) -> tuple[Asked, ...]:
    """Repeat the interview with some answers.

    Parameters
    ----------
    texts : mapping
        Answers so far, by site and key; blank or missing answers mean the defaults.
    only_given : bool, optional
        Whether to ignore conflicts with questions that have no answer yet.

    Returns
    -------
    tuple of Asked
        The questions for these answers, in order.
    """
    walked: list[Asked] = []
    values: dict[tuple[str, str], Value] = {}
    sites: dict[str, str] = {}  # short names by name
    unknown: frozenset[str] = frozenset()
    outside = _is_outside(texts, only_given=only_given)
    for is_of_site, group in itertools.groupby(interview().question, lambda one: one.is_of_site):
        for site, question in itertools.product([*sites] if is_of_site else [""], group):
            if question.key in unknown or not _is_asked(question, site, values):
                continue
            asked = _ask(question, site, texts, values, sites, is_public=outside)
            walked.append(asked)
            if asked.value is not None:
                values[asked.place] = asked.value
            if question.key == "product":
                unknown = _without(asked.value)
            elif question.key == "sites" and isinstance(asked.value, tuple):
                sites = short_names([*map(str, asked.value)])
    return tuple(walked)


def _is_outside(texts: Texts, *, only_given: bool) -> bool:
    for key in interview().outside:
        question = interview().find(key)
        is_given = ("", key) in texts or not only_given
        text = texts.get(("", key), "").strip() or (question.default if is_given else "")
        try:
            if text and is_yes(read_answer(question, text)):
                return True
        except BadName:
            continue
    return False


def _ask(
    question: Question,
    site: str,
    texts: Texts,
    values: Mapping[tuple[str, str], Value],
    sites: Mapping[str, str],
    *,
    is_public: bool,
) -> Asked:
    default = _default(question, site, values, sites)
    text = texts.get((site, question.key), "").strip()
    asked = Asked(question=question, site=site, default=default, text=text)
    if not text and not default and "{" in question.default:
        return asked  # an answer that its default depends on is invalid, and already reported
    try:
        return replace(asked, value=read_answer(question, text or default, is_public=is_public))
    except BadName as error:
        return replace(asked, problem=str(error), hint=error.hint)


def _is_asked(question: Question, site: str, values: Mapping[tuple[str, str], Value]) -> bool:
    return not question.if_any or any(
        _holds(condition, site, values) for condition in question.if_any
    )


def _holds(condition: str, site: str, values: Mapping[tuple[str, str], Value]) -> bool:
    key, sign, wanted = condition.partition("=")
    value = values.get((site, key), values.get(("", key)))
    return str(value) == wanted if sign else is_yes(value)


def _without(product: Value | None) -> frozenset[str]:
    """List the questions about parts and columns that the product does not have."""
    try:
        rules = load_rules(str(product)) if product is not None else load_rules()
    except LyncnbError:
        return frozenset()
    table = interview()
    parts = {part.count for part in table.part if part.role not in rules.roles}
    columns = rules.pool_columns
    return frozenset(
        question.key
        for question in table.question
        if question.key in parts or (question.column and question.column not in columns)
    )


def _default(
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
        for question in interview().question
        if question.is_of_site and question.kind == "names"
    ]
    return any(is_yes(values.get((site, key))) for site in sites for key in keys)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Create a short name for each name: its first letters, more if two begin the same.

    Parameters
    ----------
    names : sequence of str
        n distinct names.

    Returns
    -------
    dict of str to str
        n distinct labels by name; ``site1`` and so on for a name without letters a to z.
    """
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for number, name in enumerate(names, 1):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        whole = re.sub(r"[^a-z0-9]+", "", plain)[:12]
        short = _CODE if len(whole) > _CODE + 1 else len(whole)
        tries = itertools.chain(
            (whole[:length] for length in range(short, len(whole) + 1)),
            (f"{whole[:_CODE] or 'site'}{count}" for count in itertools.count(number)),
        )
        labels[name] = next(label for label in tries if label and label not in taken)
        taken.add(labels[name])
    return labels


def _texts_of(document: Mapping[str, Any], reader: RecordReader) -> dict[tuple[str, str], str]:
    """Split a document into answers, and report unknown entries."""
    questions = [item for item in interview().question if item.key != "sites"]
    texts: dict[tuple[str, str], str] = {}
    names: dict[str, None] = {}

    def take(site: str, table: Mapping[str, Any], where: str, other: str) -> None:
        known = {item.key: item for item in questions if item.is_of_site is bool(where)}
        reader.known(where, table, [*known, other])
        for key in [key for key in table if key in known]:
            text = _as_text(table[key])
            if text is None:
                what = f"is {value_words(table[key])}, which is not an answer"
                reader.problem(f"'{f'{where}.{key}'.lstrip('.')}' {what}", known[key].help)
            else:
                texts[site, key] = text

    take("", document, "", _SITES)
    sites = document.get(_SITES, ())
    if not (isinstance(sites, (list, tuple)) and all(isinstance(v, Mapping) for v in sites)):
        reader.problem(f"'{_SITES}' is not an array of tables", f"write [[{_SITES}]]")
        return texts
    for number, item in enumerate(sites):
        where = f"{_SITES}[{number}]"
        try:
            name = _site_name(item.get("name"))
            if name in names:
                raise BadName(f"is {shown(name)} again", _OF_ITS_OWN)
        except BadName as error:
            reader.problem(f"'{where}.name' {error}", error.hint)
            continue
        names[name] = None
        take(name, item, where, "name")
    if names:
        texts["", "sites"] = ";".join(names)
    return texts


def _site_name(value: object) -> str:
    """Read the name of a site like an answer, so that both have the same name."""
    if not isinstance(value, str) or not value.strip():
        raise BadName(f"is {value_words(value) if value else 'missing'}", _OF_ITS_OWN)
    try:
        names = read_answer(interview().find("sites"), value)
    except BadName as error:
        raise BadName(f"cannot be: {error}", error.hint) from None
    if not isinstance(names, tuple) or len(names) != 1:
        raise BadName(f"is {shown(value)}, which separates names", _OF_ITS_OWN)
    return str(names[0])


def _as_text(value: object) -> str | None:
    if isinstance(value, (str, bool)) or type(value) is int:
        return answer_text(value)
    if isinstance(value, (list, tuple)) and all(
        isinstance(v, str) or type(v) is int for v in value
    ):
        return ";".join(map(str, value))
    return None


def place_words(site: str, key: str) -> str:
    """Return the place of an answer for messages: of a site, or of the deployment ("")."""
    return f"site {site}, {key}" if site else key


def _problem(asked: Asked, source: str) -> Problem:
    message = f"{asked.where}: {asked.problem}"
    return Problem(file=source, message=message, value=asked.text, hint=asked.hint)


def _raise(problems: Sequence[Problem], source: str) -> None:
    if problems:
        count = "an answer is" if len(problems) == 1 else f"{len(problems)} answers are"
        raise AnswersError(f"{source}: {count} wrong", problems=tuple(problems))


def _toml(asked: Sequence[Asked], sites: Sequence[str], *, product: str) -> str:
    import tomli_w  # imported here because only writing needs it

    lines = ["# Answers for lyncnb guide --answers; a missing line has its default value."]
    for site in ("", *sites):
        if site:
            lines += ["", f"[[{_SITES}]]", tomli_w.dumps({"name": site}).strip()]
        for answer in asked:
            if answer.site != site or answer.question.key == "sites" or answer.value is None:
                continue
            value = product if answer.question.key == "product" else answer.value
            values = value if isinstance(value, tuple) else (value,)
            written = [tomli_w.dumps({"v": item})[len("v = ") :].rstrip() for item in values]
            text = f"[{', '.join(written)}]" if isinstance(value, tuple) else written[0]
            lines += (
                ["", f"# {answer.question.words}"] if not site else [f"# {answer.question.words}"]
            )
            lines.append(f"{answer.question.key} = {text}")
    return "\n".join(lines) + "\n"
