"""Define the kinds of plan options: how the file and the form show a value, and which are valid."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any, NoReturn

from ..base.certificate_fields import DistinguishedName, KeyParameters
from ..base.dns_name import DnsName
from ..base.pasted_text import BadName, shown
from ..base.records import describe_value
from ..base.work_days import read_work_days
from ..errors import OptionsError
from ..rules.model import ISSUERS
from ..rules.procedure import ANSWERS

#: The key in the options file that means all usages. In Python, the key is "".
ALL = "all"

#: The groups of the form, in their order.
CERTIFICATES, KEY_GROUP, SUBJECT, DATES, DOCUMENTS = OPTION_GROUPS = (
    "Certificates",
    "Key and hash",
    "Subject fields",
    "Dates and Windows",
    "Documents",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of a plan: the annotation of its field in ``PlanOptions``.

    Parameters
    ----------
    comment : str
        The description, for the file and as help text.
    label : str
        The label of the form field.
    check : callable
        Returns the value to keep for an option, its name and a value, or raises ``OptionsError``.
    form : str, optional
        The type of the form field: choice, flag, text, list, date, or number; "" for an option with
        a value for each usage, or without a form field.
    group : str, optional
        The heading of a group of form fields.
    choices : tuple of str, optional
        The valid values.
    section, key : str, optional
        The place in ``plan.toml``. If the key is blank, the option is the complete section.
    title : str, optional
        The comment above the section that begins with this option.
    kind : type, optional
        The type of the field.
    """

    comment: str
    label: str
    check: Callable[[Option, str, Any], object]
    form: str = ""
    group: str = ""
    choices: tuple[str, ...] = ()
    section: str = ""
    key: str = ""
    title: str = ""
    kind: Any = str

    def of_field(self, name: str, kind: Any) -> Option:
        """Return the option with the name and the type of its field.

        An option with a title, but without a section, is a section of its own.
        """
        if self.title and not self.section:
            return replace(self, section=name, kind=kind)
        return replace(self, key=name, kind=kind)


def _reject_value(name: str, value: object, allowed_values: str) -> NoReturn:
    raise OptionsError(
        f'the option "{name}" is {describe_value(value)}', hint=f"use {allowed_values}"
    )


def _check_text(option: Option, name: str, value: object) -> object:
    if not isinstance(value, str):
        _reject_value(name, value, "text")
    return value


def _check_required_text(option: Option, name: str, value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        _reject_value(name, value, "text that is not blank")
    return value


def _check_choice(option: Option, name: str, value: object) -> object:
    if value not in option.choices or not isinstance(value, str):
        words = ", ".join(map(shown, option.choices))
        _reject_value(name, value, f"one of these values: {words}")
    return value


def _check_flag(option: Option, name: str, value: object) -> object:
    if not isinstance(value, bool):
        _reject_value(name, value, "true or false")
    return value


def _check_days(option: Option, name: str, value: object, *, least: int = 1) -> object:
    most = 366 if least == 0 else 36500
    if value is not None and (type(value) is not int or not least <= value <= most):
        _reject_value(name, value, f"a whole number of days from {least} to {most:,}")
    return value


def _check_days_by_issuer(option: Option, name: str, values: object) -> object:
    """Return the days in a fixed order of issuers. A lead time can also be for all, and 0."""
    if not isinstance(values, Mapping):
        _reject_value(name, values, "a section with a number of days for each issuer")
    days = {"" if key == ALL else key: values[key] for key in sorted(values)}
    for key, number in days.items():
        if (key or ALL) not in option.choices:
            _reject_value(name, key or ALL, " or ".join(map(shown, option.choices)))
        _check_days(option, f"{name}.{key or ALL}", number, least=0 if ALL in option.choices else 1)
    return days


def _check_texts(option: Option, name: str, values: object) -> Mapping[str, str]:
    if not isinstance(values, Mapping):
        _reject_value(name, values, "a section with a text value for each key")
    for key, value in values.items():
        _check_text(option, name, key)
        _check_required_text(option, f"{name}.{key or ALL}", value)
        if option.choices:
            _check_choice(option, f"{name}.{key or ALL}", value)
    # In plan.toml, the key "all" means all usages. In a notebook, "all" is also allowed.
    return {"" if key == ALL else key: values[key] for key in sorted(values)}


def _check_work_days(option: Option, name: str, values: object) -> object:
    texts = _check_texts(option, name, values)
    read_work_days(**{"freezes": {}, "windows": {}, name: texts})
    return texts


def _check_answers(option: Option, name: str, values: object) -> object:
    texts = _check_texts(option, name, values)
    for question, answer in texts.items():
        _check_choice(replace(option, choices=tuple(ANSWERS)), name, question)
        _check_choice(replace(option, choices=ANSWERS[question]), f"{name}.{question}", answer)
    return texts


def _check_reasons(option: Option, name: str, values: object) -> object:
    texts = _check_texts(option, name, values)
    for code in texts:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code):
            _reject_value(name, code, "the code of a finding, such as name-is-internal")
    return texts


def _check_ids(option: Option, name: str, values: Any) -> tuple[str, ...]:
    is_list = isinstance(values, (tuple, list)) and bool(values)
    if not is_list or not all(isinstance(item, str) and item for item in values):
        servers = "" if name == option.key else " and server names"
        _reject_value(name, values, f"a list of certificate IDs{servers}")
    return tuple(values)


def _check_own_ids(option: Option, name: str, values: Any) -> object:
    return tuple(sorted(set(_check_ids(option, name, values)))) if values else ()


def _check_by_code(
    option: Option, name: str, values: object, *, check: Callable[[Option, str, Any], object]
) -> object:
    if not isinstance(values, Mapping):
        _reject_value(name, values, "a section with a value for each code")
    return {code: check(option, f"{name}.{code}", values[code]) for code in sorted(values)}


def _check_date(option: Option, name: str, value: object) -> object:
    day = parse_date(name, value)
    if day is not None and (not isinstance(day, date) or isinstance(day, datetime)):
        _reject_value(name, day, "a date, for example 2026-01-31")
    return day


def parse_date(name: str, value: object) -> object:
    """Convert text such as ``2026-01-31``, or a datetime, to a date. Blank text means no date."""
    if isinstance(value, datetime):
        return value.date()
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value.strip()) if value.strip() else None
    except ValueError:
        raise OptionsError(
            f'the option "{name}": "{value}" is not a date',
            hint="enter the date in the format 2026-01-31",
        ) from None


def _check_key(option: Option, name: str, value: object) -> object:
    key = parse_key(value)
    if not isinstance(key, KeyParameters):
        _reject_value(name, key, 'text with an algorithm and a size, such as "ECDSA 256"')
    return key


def parse_key(value: object) -> object:
    """Convert text such as ``ECDSA 256`` to a key algorithm and size. Keep any other value."""
    if not isinstance(value, str):
        return value
    match, reason = re.fullmatch(r"\s*([A-Za-z]+)\s*-?\s*(\d+)\s*", value), ""
    try:
        if match:
            return KeyParameters(algorithm=match[1].upper(), bits=int(match[2]))
    except ValueError as error:
        reason = f": {error}"
    raise OptionsError(
        f'the option "key": "{value}" is not a valid key algorithm and size{reason}',
        hint="enter the algorithm and the size of the key, for example RSA 3072 or ECDSA 256",
    )


def _check_subject_field(option: Option, name: str, value: Any) -> object:
    _check_text(option, name, value)
    # A lowercase country code causes no error here. Another check reports it.
    checked = value.upper() if name == "country" and len(value) == 2 else value
    try:
        replace(DistinguishedName(common_name=""), **{name: checked})
    except ValueError as error:
        raise OptionsError(
            f'the option "{name}": {error}',
            hint="enter the value exactly as it must appear in every subject, or remove the option",
        ) from None
    return value


def _check_domains(option: Option, name: str, values: object) -> object:
    if not isinstance(values, (tuple, list)) or not all(isinstance(v, str) for v in values):
        _reject_value(name, values, "a list of domain names")
    try:
        return tuple(dict.fromkeys(DnsName.parse(value) for value in values))
    except BadName as error:
        raise OptionsError(f'the option "{name}": {error.message}', hint=error.hint) from None


# The kinds of options. The name of a kind says what a value is.
Text = partial(Option, check=_check_text, form="text")
Choice = partial(Option, check=_check_choice, form="choice", group=CERTIFICATES)
Product = partial(Option, check=_check_required_text, form="choice", group=CERTIFICATES)
Flag = partial(Option, check=_check_flag, form="flag", group=CERTIFICATES)
Domains = partial(Option, check=_check_domains, form="list", group=CERTIFICATES)
CertificateIds = partial(Option, check=_check_own_ids)
Day = partial(Option, check=_check_date, form="date", group=DATES)
Days = partial(Option, check=_check_days, form="number", group=DATES)
SubjectField = partial(
    Option, check=_check_subject_field, form="text", group=SUBJECT, section="subject"
)
Key = partial(
    Option,
    check=_check_key,
    form="choice",
    group=KEY_GROUP,
    choices=("RSA 2048", "RSA 3072", "RSA 4096", "ECDSA 256", "ECDSA 384", "ECDSA 521"),
)
# A section of the file, with a value for each usage, issuer, server, name or code.
Texts = partial(Option, check=_check_texts)
DaysByIssuer = partial(Option, check=_check_days_by_issuer, choices=ISSUERS)
WorkDaysByName = partial(Option, check=_check_work_days)
Answers = partial(Option, check=_check_answers)
Reasons = partial(Option, check=_check_reasons)
DayByCode = partial(Option, check=partial(_check_by_code, check=_check_date))
IdsByCode = partial(Option, check=partial(_check_by_code, check=_check_ids))
