"""Convert the text of an answer to its value, or report what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from ..base.dns_name import DnsName
from ..base.pasted_text import BadName, clean_text, shown
from ..errors import LyncnbError
from ..rules.ca_rules import ca_rules
from ..rules.rule_files import load_rules, product_titles
from ..topology.columns import column
from .name_patterns import LABEL, read_pattern
from .questions import Question, interview

#: The types of an answer's value.
Value = str | bool | int | tuple[str, ...] | tuple[int, ...]

#: Maximum number of characters of a subject name (RFC 5280, ub-common-name).
LONGEST_NAME = 64

_MOST = 99
_YES = ("yes", "y", "true", "1", "是")
_NO = ("no", "n", "false", "0", "否")
_DOMAIN_SEPARATOR = re.compile(r"[;,|\s；，｜、]+")
_NAME_SEPARATOR = re.compile(r"[;,|\n；，｜、]+")
_LONGEST_TEXT = 10_000


def read_answer(question: Question, text: str, *, is_public: bool = False) -> Value:
    """Read an answer.

    Parameters
    ----------
    question : Question
        The question.
    text : str
        The answer, which may be blank only if the question allows it.
    is_public : bool, optional
        Whether a public CA must be able to issue certificates for its domains.

    Returns
    -------
    str, bool, int or tuple
        By the question's kind.

    Raises
    ------
    BadName
        With the value and a hint.
    """
    if len(text) > _LONGEST_TEXT:
        raise BadName(f"the answer has {len(text):,} characters", "shorter, please")
    if not is_public:
        question = replace(question, public=False)
    try:
        text = clean_text(text)[0] if question.kind != "names" else text.strip()
        if not text and not question.may_be_blank:
            raise BadName("there is no answer")
        return _READERS[question.kind](question, text)
    except BadName as error:
        raise BadName(error.message, error.hint or question.help) from None


def choices_of(question: Question) -> Mapping[str, str]:
    """List the choices with their meanings; empty for a free answer."""
    if question.kind == "product":
        return product_titles()
    if question.kind == "target_os":
        return {version: f"Windows Server {version}" for version in column("target_os").choices}
    return question.choices


def _choice(question: Question, text: str) -> str:
    return _one_of(text, choices_of(question))


def _one_of(text: str, choices: Mapping[str, str]) -> str:
    """Find a choice by its number, its word, its meaning, or the beginning of its word."""
    answer = _squeezed(text)
    by_text = {str(number): choice for number, choice in enumerate(choices, 1)}
    by_text |= {_squeezed(meaning): choice for choice, meaning in choices.items()}
    by_text |= {_squeezed(choice): choice for choice in choices}
    if answer in by_text:
        return by_text[answer]
    matches = [choice for choice in choices if _squeezed(choice).startswith(answer)]
    if len(matches) != 1:
        raise BadName(f"{shown(text)} is not one of the choices", f"answer {', '.join(choices)}")
    return matches[0]


def _squeezed(text: str) -> str:
    """Ignore letter case and blanks: "2012 R2" is the choice 2012R2."""
    return text.casefold().replace(" ", "")


def _product(question: Question, text: str) -> str:
    known = choices_of(question)
    titles = {title.casefold(): product for product, title in known.items()}
    if text.casefold() in titles:
        return titles[text.casefold()]
    if text in known or (text.isascii() and text.isdecimal()):
        return _one_of(text, known)
    try:
        rules = load_rules(text)  # a custom one, by its file or its name
    except LyncnbError as error:
        raise BadName(error.message, error.hint) from None
    return text if text.endswith(".toml") else rules.product


def _yes_no(question: Question, text: str) -> bool:
    if text.casefold() in (*_YES, *_NO):
        return text.casefold() in _YES
    raise BadName(f"{shown(text)} is neither yes nor no", "answer yes or no")


def _count(question: Question, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise BadName(
            f"{shown(text)} is not a number", f"enter a whole number, {question.least} or more"
        )
    if not question.least <= int(text) <= _MOST:
        raise BadName(
            f"{int(text):,} is not between {question.least} and {_MOST}",
            "you can add more to the table later" if int(text) > _MOST else question.help,
        )
    return int(text)


def _sizes(question: Question, text: str) -> tuple[int, ...]:
    parts = [part for part in _DOMAIN_SEPARATOR.split(text) if part]
    if not parts:
        raise BadName(f"{shown(text)} has no number", question.help)
    if len(parts) > _MOST:
        raise BadName(f"there are {len(parts):,} pools", "you can add more to the table later")
    return tuple(_count(question, part) for part in parts)


def _domain(question: Question, text: str) -> str:
    name = DnsName.parse(text)
    if name.has_underscore:
        raise BadName(f"{shown(text)} has an underscore", "CAs and Lync refuse such names")
    if len(name) > LONGEST_NAME:
        raise BadName(
            f"{shown(text)} has {len(name)} characters",
            f"names on certificates have at most {LONGEST_NAME}, and a label is added before it",
        )
    if question.public and name.registrable is None:
        raise BadName(
            f"{shown(text)} is not a domain that can be registered",
            "external users need certificates from a public CA, which does not certify this "
            "domain; enter the public domain, or answer no to the questions about external access",
        )
    if question.public:
        _refuse_zones_of_no_ca(name, text)
    if name == "onmicrosoft.com" or name.endswith(".onmicrosoft.com"):
        raise BadName(
            f"{shown(text)} is in onmicrosoft.com",
            "no CA certifies such a name for you; remove it",
        )
    return str(name)


def _refuse_zones_of_no_ca(name: DnsName, text: str) -> None:
    """Reject a domain in a zone for which, by the rules of CAs, no public CA issues."""
    for check in ca_rules().checks:
        for zone in check.suffixes if check.test == "name_in_zone" else ():
            if name == zone or name.endswith(f".{zone}"):
                raise BadName(f"{shown(text)} is in {zone}: {check.title.lower()}", check.hint)


def _domains(question: Question, text: str) -> tuple[str, ...]:
    parts = [part for part in _DOMAIN_SEPARATOR.split(text) if part]
    names = tuple(dict.fromkeys(_domain(question, part) for part in parts))
    if not names:
        raise BadName("there is no domain", "e.g. contoso.com;fabrikam.com")
    return names


def _names(question: Question, text: str) -> tuple[str, ...]:
    names: dict[str, str] = {}
    for part in _NAME_SEPARATOR.split(text):
        name = " ".join(clean_text(part)[0].split())
        if not name:
            continue
        if not (name.isprintable() and name[0].isalnum() and len(name) <= LONGEST_NAME):
            raise BadName(f"{shown(name)} is not a name", "enter a short name, such as Taipei")
        if names.setdefault(name.casefold(), name) != name:
            raise BadName(
                f"{shown(name)} and {shown(names[name.casefold()])} differ only in letter case",
                "give each site its own name",
            )
    if not names and not question.may_be_blank:
        raise BadName("there is no name", question.help)
    return tuple(names.values())


def _label(question: Question, text: str) -> str:
    label = text.lower()
    if not LABEL.match(label):
        raise BadName(
            f"{shown(text)} cannot be part of a host name",
            "use letters a to z, digits, and hyphens, with no hyphen at the beginning or end",
        )
    return label


def _pattern(question: Question, text: str) -> str:
    read_pattern(text, knows=question.knows, kinds=kinds_of(question), default="")
    return text


def kinds_of(question: Question) -> tuple[str, ...]:
    """List the kinds of servers or services that may have their own pattern."""
    parts = interview().part
    if "service" not in question.knows:
        return tuple(part.word for part in parts)
    return tuple(
        word for part in parts for word in (*part.service.values(), *part.internal_service.values())
    )


_READERS: Mapping[str, Callable[[Question, str], Value]] = {
    "choice": _choice,
    "product": _product,
    "target_os": _choice,
    "yes_no": _yes_no,
    "number": _count,
    "sizes": _sizes,
    "domain": _domain,
    "domains": _domains,
    "names": _names,
    "label": _label,
    "pattern": _pattern,
}


def answer_text(value: Value) -> str:
    """Return the text of an answer, which :func:`read_answer` reads as the same value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ";".join(map(str, value))
    return str(value)


def is_yes(value: Value | None) -> bool:
    """Return whether an answer is yes, more than 0, or not empty."""
    return value not in (None, False, 0, (), "")
