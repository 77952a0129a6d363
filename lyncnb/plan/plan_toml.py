"""Read ``plan.toml`` as values by option, and write it with a comment on each line.

``options.py`` defines the options and their valid values.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..base.certificate_fields import KeyParameters
from ..base.records import RecordReader, value_words
from ..base.toml_text import NotToml, parse_toml
from ..errors import OptionsError, Problem

#: The spelling of the key "" (all usages).
ALL = "all"

#: A table and its options in their own folder: a scenario, or the first plan of the guide.
TOPOLOGY_FILE, OPTIONS_FILE = "topology.csv", "plan.toml"


def options_file(table: Path) -> Path:
    """Return the options file of a table: ``TABLE.plan.toml`` in the same folder.

    In a folder with ``topology.csv`` and ``plan.toml`` these two belong together.
    """
    own, pair = table.with_suffix(f".{OPTIONS_FILE}"), table.with_name(OPTIONS_FILE)
    return pair if table.name == TOPOLOGY_FILE and pair.is_file() and not own.is_file() else own


class Option(NamedTuple):
    """One option: its place in the file, its comment, and its field on a form.

    Parameters
    ----------
    section, key : str
        Its place in ``plan.toml``; without a key the option is the whole section.
    comment : str
        Its meaning, for the file and as help.
    label : str, optional
        The label of its field.
    form : str, optional
        The type of its form field: choice, flag, text, list, date or number; "" for an option with
        a value for each usage or without a field.
    group : str, optional
        Heading of its group in a form.
    choices : tuple of str, optional
        The valid values of a choice.
    """

    section: str
    key: str
    comment: str
    label: str = ""
    form: str = ""
    group: str = ""
    choices: tuple[str, ...] = ()


def read_plan_toml(
    data: bytes, reader: RecordReader, options: Mapping[str, Option], kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """Read the options in a file.

    Parameters
    ----------
    data : bytes
        The content of the file.
    reader : RecordReader
        Gets every unknown key and every value of a wrong type.
    options, kinds : mapping
        By option: its place, and its type.

    Returns
    -------
    dict
        By option, the values of the correct type.

    Raises
    ------
    OptionsError
        If it is not TOML.
    """
    try:
        document = parse_toml(data)
    except NotToml as error:
        raise OptionsError(str(error), hint=error.hint) from None
    return values_in(document, reader, options, kinds)


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise the problems of options: one as the error itself, several as a list."""
    if len(problems) == 1:
        raise OptionsError(problems[0].message, hint=problems[0].hint)
    if problems:
        raise OptionsError(f"{len(problems)} options are wrong", problems=tuple(problems))


def write_plan_toml(
    values: Mapping[str, Any], options: Mapping[str, Option], titles: Mapping[str, str]
) -> str:
    """Write all options in their places, with comments.

    Parameters
    ----------
    values : mapping
        Values by option, as :func:`read_plan_toml` returns them; None is written as a comment.
    options, titles : mapping
        The place by option, in the order of the file; the comment above each section.

    Returns
    -------
    str
        Equal values have the same text.
    """
    lines = ["# Options of a certificate plan that are not in the topology table.", ""]
    section = ""
    for name, option in options.items():
        value = values[name]
        if option.section != section:
            section = option.section
            lines += ["", f"# {titles[section]}"]
            lines += [f"# {option.comment}"] if not option.key else []
            lines.append(f"[{section}]")
        if not option.key:
            lines += [_toml_line(key or ALL, item) for key, item in value.items()]
        elif value is None:
            lines.append(f"# {option.key} =  # {option.comment}")
        else:
            lines.append(f"{_toml_line(option.key, value)}  # {option.comment}")
    return "\n".join(lines) + "\n"


def values_in(
    document: Mapping[str, object],
    reader: RecordReader,
    options: Mapping[str, Option],
    kinds: Mapping[str, Any],
) -> dict[str, Any]:
    """Read the options of a parsed document; the reader gets every problem.

    Options with a problem are omitted, so that they cause no further problems.
    """
    by_place = {(option.section, option.key): name for name, option in options.items()}
    sections = {option.section for option in options.values() if option.section}
    values: dict[str, Any] = {}

    def keep(name: str, value: object, before: int) -> None:
        if len(reader.problems) == before:
            values[name] = value

    for top, value in document.items():
        before = len(reader.problems)
        if top in sections and not isinstance(value, Mapping):
            reader.problem(f"{top} is {value_words(value)}", f"write [{top}] on a line of its own")
        elif ("", top) in by_place:
            keep(top, reader.value(kinds[top], value, top), before)
        elif top == "key" and isinstance(value, Mapping):
            keep(top, _key(value, reader), before)
        elif (top, "") in by_place and isinstance(value, Mapping):
            plain = {ALL if key == "" else key: item for key, item in value.items()}
            kind = typing.get_args(kinds[top])[1]
            section = {
                "" if key == ALL else key: reader.value(kind, item, f"{top}.{key}")
                for key, item in plain.items()
            }
            keep(top, section, before)
        elif isinstance(value, Mapping) and top in sections:
            for key, item in value.items():
                before = len(reader.problems)
                if (top, key) in by_place:
                    name = by_place[top, key]
                    keep(name, reader.value(kinds[name], item, f"{top}.{key}"), before)
                else:
                    _refuse_unknown(f"{top}.{key}", reader, options)
        else:
            _refuse_unknown(top, reader, options)
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeySection:
    """The section ``[key]``; the default size is the algorithm's smallest."""

    algorithm: str = "RSA"
    bits: int | None = None


def _key(value: Mapping[str, object], reader: RecordReader) -> KeyParameters | None:
    for name in sorted(dict(value).keys() - {"algorithm", "bits"}):
        reader.problem(f'there is no option "key.{name}"', "known: algorithm, bits")
        return None
    section = reader.record(_KeySection, value, "key")
    if section is None:
        return None
    bits = section.bits or (256 if section.algorithm == "ECDSA" else 2048)
    try:
        return KeyParameters(algorithm=section.algorithm, bits=bits)
    except ValueError as error:
        hint = "RSA has 2048, 3072 or 4096 bits, ECDSA 256, 384 or 521"
        reader.problem(f"option key: {error}", hint)
        return None


def _refuse_unknown(key: str, reader: RecordReader, options: Mapping[str, Option]) -> None:
    """Report an unknown key, with a similar key of any section."""
    known = {p.key: f"{p.section}.{p.key}".lstrip(".") for p in options.values() if p.key}
    known |= {p.section: f"[{p.section}]" for p in options.values() if not p.key}
    written = key.rpartition(".")[2].lower()
    close = [name for name in known if name.startswith(written)]
    close = close or difflib.get_close_matches(written, known, n=1)
    hint = f"did you mean {known[close[0]]}?" if close else f"known: {', '.join(known.values())}"
    reader.problem(f'there is no option "{key}"', hint)


def _toml_line(key: str, value: object) -> str:
    """Write one key and its value as TOML, on one line."""
    import tomli_w  # imported here because only writing needs it

    name = tomli_w.dumps({key: 0}).removesuffix(" = 0\n")
    return f"{name} = {_toml(value)}"


def _toml(value: object) -> str:
    import tomli_w

    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").removesuffix("\n")
