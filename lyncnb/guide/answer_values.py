"""Convert the text of an answer to its value, or report what is wrong with the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from ..base.dns_name import DnsName
from ..base.pasted_text import BadName, clean_text, shown
from ..errors import LyncnbError
from ..rules.ca_rules import load_ca_rules
from ..rules.rule_files import list_product_titles, load_rules
from ..topology.columns import get_column
from .name_patterns import LABEL, read_pattern
from .questions import Question, read_interview

#: The types that the value of an answer can have.
Value = str | bool | int | tuple[str, ...] | tuple[int, ...]

#: The maximum number of characters in a subject name (RFC 5280, ub-common-name).
LONGEST_NAME = 64

_MOST = 99
_YES = ("yes", "y", "true", "1", "是")
_NO = ("no", "n", "false", "0", "否")
_DOMAIN_SEPARATOR = re.compile(r"[;,|\s；，｜、]+")
_NAME_SEPARATOR = re.compile(r"[;,|\n；，｜、]+")
_LONGEST_TEXT = 10_000


def read_answer(question: Question, text: str, *, is_public_ca: bool = False) -> Value:
    """Convert the text of an answer to its value.

    Parameters
    ----------
    question : Question
        The question.
    text : str
        The answer. It may be blank only if the question allows it.
    is_public_ca : bool, optional
        Whether a public CA must be able to issue certificates for the answer's domains.

    Returns
    -------
    str, bool, int or tuple
        The value, whose type depends on the question's kind.

    Raises
    ------
    BadName
        If the answer is not valid. The error contains the value and a hint.
    """
    if len(text) > _LONGEST_TEXT:
        raise BadName(
            f"the answer has {len(text):,} characters; the limit is {_LONGEST_TEXT:,}",
            "enter a shorter answer",
        )
    if not is_public_ca:
        question = replace(question, public=False)
    try:
        text = clean_text(text)[0] if question.kind != "names" else text.strip()
        if not text and not question.may_be_blank:
            raise BadName("the answer is missing")
        return _READERS[question.kind](question, text)
    except BadName as error:
        raise BadName(error.message, error.hint or question.help) from None


def list_choices(question: Question) -> Mapping[str, str]:
    """Return the choices of a question with their meanings.

    Return nothing if any answer is allowed.
    """
    if question.kind == "product":
        return list_product_titles()
    if question.kind == "target_os":
        return {version: f"Windows Server {version}" for version in get_column("target_os").choices}
    return question.choices


def _read_choice(question: Question, text: str) -> str:
    return _find_choice(text, list_choices(question))


def _find_choice(text: str, choices: Mapping[str, str]) -> str:
    """Return the choice that the user entered by number, meaning, name or start of the name."""
    answer = _normalize(text)
    by_text = {str(number): choice for number, choice in enumerate(choices, 1)}
    by_text |= {_normalize(meaning): choice for choice, meaning in choices.items()}
    by_text |= {_normalize(choice): choice for choice in choices}
    if answer in by_text:
        return by_text[answer]
    matches = [choice for choice in choices if _normalize(choice).startswith(answer)]
    if len(matches) != 1:
        raise BadName(f"{shown(text)} is not one of the choices", f"answer {', '.join(choices)}")
    return matches[0]


def _normalize(text: str) -> str:
    """Return a choice in lowercase and without blanks, such as "2012r2" for "2012 R2"."""
    return text.casefold().replace(" ", "")


def _read_product(question: Question, text: str) -> str:
    known = list_choices(question)
    titles = {title.casefold(): product for product, title in known.items()}
    if text.casefold() in titles:
        return titles[text.casefold()]
    if text in known or (text.isascii() and text.isdecimal()):
        return _find_choice(text, known)
    try:
        rules = load_rules(text)  # A custom product is found by its file or its name.
    except LyncnbError as error:
        raise BadName(error.message, error.hint) from None
    return text if text.endswith(".toml") else rules.product


def _read_yes_no(question: Question, text: str) -> bool:
    if text.casefold() in (*_YES, *_NO):
        return text.casefold() in _YES
    raise BadName(f"{shown(text)} is neither yes nor no", "answer yes or no")


def _read_count(question: Question, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise BadName(
            f"{shown(text)} is not a number", f"enter a whole number, {question.least} or more"
        )
    if not question.least <= int(text) <= _MOST:
        raise BadName(
            f"{int(text):,} is not between {question.least} and {_MOST}",
            "you can add more servers to the table later" if int(text) > _MOST else question.help,
        )
    return int(text)


def _read_sizes(question: Question, text: str) -> tuple[int, ...]:
    parts = [part for part in _DOMAIN_SEPARATOR.split(text) if part]
    if not parts:
        raise BadName(f"{shown(text)} does not contain a number", question.help)
    if len(parts) > _MOST:
        raise BadName(
            f"there are {len(parts):,} pools", "you can add more pools to the table later"
        )
    return tuple(_read_count(question, part) for part in parts)


def _read_domain(question: Question, text: str) -> str:
    name = DnsName.parse(text)
    if name.has_underscore:
        raise BadName(
            f"{shown(text)} contains an underscore",
            "CAs and Lync reject names with an underscore",
        )
    if len(name) > LONGEST_NAME:
        raise BadName(
            f"{shown(text)} has {len(name)} characters",
            (
                f"a name on a certificate has at most {LONGEST_NAME} characters, and lyncnb "
                "adds a label in front of this name"
            ),
        )
    if question.public and name.registered_domain is None:
        raise BadName(
            f"{shown(text)} is not a domain that you can register",
            (
                "external users need certificates from a public CA, but a public CA cannot "
                "issue certificates for this domain. Enter a public domain, or answer no to "
                "the questions about external access"
            ),
        )
    if question.public:
        _reject_special_zone(name, text)
    if name == "onmicrosoft.com" or name.endswith(".onmicrosoft.com"):
        raise BadName(
            f"{shown(text)} is in the domain onmicrosoft.com",
            "remove the name, because no CA can issue you a certificate for it",
        )
    return str(name)


def _reject_special_zone(name: DnsName, text: str) -> None:
    """Raise an error for a domain for which public CAs must not issue certificates."""
    for check in load_ca_rules().checks:
        for zone in check.suffixes if check.test == "name_in_zone" else ():
            if name == zone or name.endswith(f".{zone}"):
                raise BadName(
                    f"{shown(text)} is in the zone {zone}: {check.title.lower()}", check.hint
                )


def _read_domains(question: Question, text: str) -> tuple[str, ...]:
    parts = [part for part in _DOMAIN_SEPARATOR.split(text) if part]
    names = tuple(dict.fromkeys(_read_domain(question, part) for part in parts))
    if not names:
        raise BadName(
            "the domain is missing", ("enter one or more domains, such as contoso.com;fabrikam.com")
        )
    return names


def _read_names(question: Question, text: str) -> tuple[str, ...]:
    names: dict[str, str] = {}
    for part in _NAME_SEPARATOR.split(text):
        name = " ".join(clean_text(part)[0].split())
        if not name:
            continue
        if not (name.isprintable() and name[0].isalnum() and len(name) <= LONGEST_NAME):
            raise BadName(
                f"{shown(name)} is not a valid name", "enter a short name, such as Taipei"
            )
        if names.setdefault(name.casefold(), name) != name:
            raise BadName(
                (
                    f"{shown(name)} and {shown(names[name.casefold()])} differ only in "
                    "capitalization"
                ),
                "use a different name for each site",
            )
    if not names and not question.may_be_blank:
        raise BadName("the name is missing", question.help)
    return tuple(names.values())


def _read_label(question: Question, text: str) -> str:
    label = text.lower()
    if not LABEL.match(label):
        raise BadName(
            f"{shown(text)} is not valid in a host name",
            "use letters a to z, digits and hyphens, but no hyphen at the beginning or end",
        )
    return label


def _read_name_pattern(question: Question, text: str) -> str:
    read_pattern(text, placeholders=question.knows, kinds=list_pattern_kinds(question), default="")
    return text


def list_pattern_kinds(question: Question) -> tuple[str, ...]:
    """Return the kinds of servers or services that can have a separate name pattern."""
    parts = read_interview().part
    if "service" not in question.knows:
        return tuple(part.word for part in parts)
    return tuple(
        word for part in parts for word in (*part.service.values(), *part.internal_service.values())
    )


_READERS: Mapping[str, Callable[[Question, str], Value]] = {
    "choice": _read_choice,
    "product": _read_product,
    "target_os": _read_choice,
    "yes_no": _read_yes_no,
    "number": _read_count,
    "sizes": _read_sizes,
    "domain": _read_domain,
    "domains": _read_domains,
    "names": _read_names,
    "label": _read_label,
    "pattern": _read_name_pattern,
}


def format_answer(value: Value) -> str:
    """Convert a value to the text of an answer. :func:`read_answer` does the reverse."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ";".join(map(str, value))
    return str(value)


def is_yes(value: Value | None) -> bool:
    """Return whether the value of an answer is yes, more than 0, or not empty."""
    return value not in (None, False, 0, (), "")
