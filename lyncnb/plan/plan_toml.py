"""``plan.toml``: sections and keys to values by option, and back with a comment on each line.

Which options there are, and what each may be, says ``options.py``.
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

#: How the key "" (no usage in particular) is written.
ALL = "all"

#: A table and its options in a folder of their own: a scenario, or the first plan of the guide.
TOPOLOGY_FILE, OPTIONS_FILE = "topology.csv", "plan.toml"


def options_file(table: Path) -> Path:
    """Return where the options of a table are: ``TABLE.plan.toml`` in the folder of the table.

    In a folder that holds ``topology.csv`` and ``plan.toml`` these two belong together.
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
        What it means, in a line of the file and as help.
    label : str, optional
        The label of its field.
    form : str, optional
        How it is asked for: choice, flag, text, list, date or number; "" for what is asked for by
        usage, or not at all.
    group : str, optional
        Heading under which a form asks for it.
    choices : tuple of str, optional
        What a choice may be.
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
    """Read the options that a file sets.

    Parameters
    ----------
    data : bytes
        What is in the file.
    reader : RecordReader
        Gets every unknown key and every value of another kind.
    options, kinds : mapping
        By option: its place, and its type.

    Returns
    -------
    dict
        By option, the values that have its kind.

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
    """Raise what is wrong with some options: one as it is, several as problems."""
    if len(problems) == 1:
        raise OptionsError(problems[0].message, hint=problems[0].hint)
    if problems:
        raise OptionsError(f"{len(problems)} options are wrong", problems=tuple(problems))


def write_plan_toml(
    values: Mapping[str, Any], options: Mapping[str, Option], titles: Mapping[str, str]
) -> str:
    """Write options, every one in its place with a comment.

    Parameters
    ----------
    values : mapping
        Values by option, as :func:`read_plan_toml` gives them; None is written as a comment.
    options, titles : mapping
        By option its place, in the order of the file; by section the comment above it.

    Returns
    -------
    str
        The same values give the same text.
    """
    lines = ["# Options of a certificate plan that are not in the topology table.", ""]
    section = ""
    for name, place in options.items():
        value = values[name]
        if place.section != section:
            section = place.section
            lines += ["", f"# {titles[section]}"]
            lines += [f"# {place.comment}"] if not place.key else []
            lines.append(f"[{section}]")
        if not place.key:
            lines += [_toml_line(key or ALL, item) for key, item in value.items()]
        elif value is None:
            lines.append(f"# {place.key} =  # {place.comment}")
        else:
            lines.append(f"{_toml_line(place.key, value)}  # {place.comment}")
    return "\n".join(lines) + "\n"


def values_in(
    document: Mapping[str, object],
    reader: RecordReader,
    options: Mapping[str, Option],
    kinds: Mapping[str, Any],
) -> dict[str, Any]:
    """Read the options of a document that is parsed; the reader gets every problem.

    What has one is left out, so that who looks at the values next meets no consequence of it.
    """
    by_place = {(place.section, place.key): name for name, place in options.items()}
    sections = {place.section for place in options.values() if place.section}
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
    """The section ``[key]``; the size is the algorithm's smallest if left out."""

    algorithm: str = "RSA"
    bits: int | None = None


def _key(value: Mapping[str, object], reader: RecordReader) -> KeyParameters | None:
    for name in sorted(dict(value).keys() - {"algorithm", "bits"}):
        reader.problem(f'there is no option "key.{name}"', "known: algorithm, bits")
        return None
    said = reader.record(_KeySection, value, "key")
    if said is None:
        return None
    bits = said.bits or (256 if said.algorithm == "ECDSA" else 2048)
    try:
        return KeyParameters(algorithm=said.algorithm, bits=bits)
    except ValueError as error:
        hint = "RSA has 2048, 3072 or 4096 bits, ECDSA 256, 384 or 521"
        reader.problem(f"option key: {error}", hint)
        return None


def _refuse_unknown(key: str, reader: RecordReader, options: Mapping[str, Option]) -> None:
    """Refuse a key and name the one that was perhaps meant, in whatever section it stands."""
    known = {p.key: f"{p.section}.{p.key}".lstrip(".") for p in options.values() if p.key}
    known |= {p.section: f"[{p.section}]" for p in options.values() if not p.key}
    written = key.rpartition(".")[2].lower()
    close = [name for name in known if name.startswith(written)]
    close = close or difflib.get_close_matches(written, known, n=1)
    hint = f"did you mean {known[close[0]]}?" if close else f"known: {', '.join(known.values())}"
    reader.problem(f'there is no option "{key}"', hint)


def _toml_line(key: str, value: object) -> str:
    """Write one key and its value as TOML, on one line."""
    import tomli_w  # only who writes needs it: a plan runs without

    name = tomli_w.dumps({key: 0}).removesuffix(" = 0\n")
    return f"{name} = {_toml(value)}"


def _toml(value: object) -> str:
    import tomli_w

    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").removesuffix("\n")
