"""Read options from ``plan.toml``, and write them with a comment on each line.

``options.py`` defines the options and their valid values.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.certificate_fields import KeyParameters
from ..base.records import RecordReader, describe_value
from ..errors import OptionsError, Problem
from .option_kinds import ALL, Option

#: The names of the table file and the options file if a scenario or a guided plan has its own
#: folder.
TOPOLOGY_FILE, OPTIONS_FILE = "topology.csv", "plan.toml"


def build_options_path(table: Path) -> Path:
    """Return the path of a table's options file: ``TABLE.plan.toml`` in the same folder.

    If a folder contains ``topology.csv`` and ``plan.toml``, these files belong together.
    """
    own_path, pair = table.with_suffix(f".{OPTIONS_FILE}"), table.with_name(OPTIONS_FILE)
    return (
        pair
        if table.name == TOPOLOGY_FILE and pair.is_file() and not own_path.is_file()
        else own_path
    )


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise an error for one problem, or an error that lists several problems."""
    if len(problems) == 1:
        raise OptionsError(problems[0].message, hint=problems[0].hint)
    if problems:
        raise OptionsError(f"{len(problems)} options have invalid values", problems=tuple(problems))


def format_plan_toml(values: Mapping[str, Any], options: Mapping[str, Option]) -> str:
    """Return the content of an options file, with a comment for each option.

    Parameters
    ----------
    values : mapping
        The values by option. None is written as a comment.
    options : mapping
        The options, in the order of the file.

    Returns
    -------
    str
        TOML. Equal values result in the same text.
    """
    lines = ["# Options of a certificate plan, in addition to the topology table.", ""]
    section = ""
    for name, option in options.items():
        value = values[name]
        if option.section != section:
            section = option.section
            lines += ["", f"# {option.title}"]
            lines += [f"# {option.comment}"] if not option.key else []
            lines.append(f"[{section}]")
        if not option.key:
            lines += [_format_line(key or ALL, item) for key, item in value.items()]
        elif value is None:
            lines.append(f"# {option.key} =  # {option.comment}")
        else:
            lines.append(f"{_format_line(option.key, value)}  # {option.comment}")
    return "\n".join(lines) + "\n"


def read_option_values(
    document: Mapping[str, object],
    reader: RecordReader,
    options: Mapping[str, Option],
) -> dict[str, Any]:
    """Read the options in a parsed TOML document. The reader collects all problems.

    Options with a problem are omitted, so that they do not cause further problems.
    """
    by_place = {(option.section, option.key): name for name, option in options.items()}
    sections = {option.section for option in options.values() if option.section}
    values: dict[str, Any] = {}

    def keep_if_valid(name: str, value: object, problem_count: int) -> None:
        if len(reader.problems) == problem_count:
            values[name] = value

    for top, value in document.items():
        before = len(reader.problems)
        if top in sections and not isinstance(value, Mapping):
            reader.problem(f"{top} is {describe_value(value)}", f"enter [{top}] on a separate line")
        elif ("", top) in by_place:
            keep_if_valid(top, reader.value(options[top].kind, value, top), before)
        elif top == "key" and isinstance(value, Mapping):
            keep_if_valid(top, _read_key(value, reader), before)
        elif (top, "") in by_place and isinstance(value, Mapping):
            plain = {ALL if key == "" else key: item for key, item in value.items()}
            kind = typing.get_args(options[top].kind)[1]
            section = {
                "" if key == ALL else key: reader.value(kind, item, f"{top}.{key}")
                for key, item in plain.items()
            }
            keep_if_valid(top, section, before)
        elif isinstance(value, Mapping) and top in sections:
            for key, item in value.items():
                before = len(reader.problems)
                if (top, key) in by_place:
                    name = by_place[top, key]
                    keep_if_valid(
                        name, reader.value(options[name].kind, item, f"{top}.{key}"), before
                    )
                else:
                    _reject_unknown_key(f"{top}.{key}", reader, options)
        else:
            _reject_unknown_key(top, reader, options)
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeySection:
    """The section ``[key]`` of an options file, with the smallest key size as the default."""

    algorithm: str = "RSA"
    bits: int | None = None


def _read_key(value: Mapping[str, object], reader: RecordReader) -> KeyParameters | None:
    for name in sorted(dict(value).keys() - {"algorithm", "bits"}):
        reader.problem(
            f'"key.{name}" is not a known option',
            "the options in this section are algorithm and bits",
        )
        return None
    section = reader.record(_KeySection, value, "key")
    if section is None:
        return None
    bits = section.bits or (256 if section.algorithm == "ECDSA" else 2048)
    try:
        return KeyParameters(algorithm=section.algorithm, bits=bits)
    except ValueError as error:
        hint = "use RSA with 2048, 3072 or 4096 bits, or ECDSA with 256, 384 or 521 bits"
        reader.problem(f'the option "key": {error}', hint)
        return None


def _reject_unknown_key(key: str, reader: RecordReader, options: Mapping[str, Option]) -> None:
    """Report an unknown key in an options file. The hint suggests a similar key."""
    known = {p.key: f"{p.section}.{p.key}".lstrip(".") for p in options.values() if p.key}
    known |= {p.section: f"[{p.section}]" for p in options.values() if not p.key}
    key_name = key.rpartition(".")[2].lower()
    close = [name for name in known if name.startswith(key_name)]
    close = close or difflib.get_close_matches(key_name, known, n=1)
    hint = (
        f"did you mean {known[close[0]]}?"
        if close
        else f"the options are {', '.join(known.values())}"
    )
    reader.problem(f'"{key}" is not a known option', hint)


def _format_line(key: str, value: object) -> str:
    """Return a key and its value as a line of TOML."""
    import tomli_w  # tomli_w is needed only for writing, so it is imported inside the function.

    name = tomli_w.dumps({key: 0}).removesuffix(" = 0\n")
    return f"{name} = {_format_value(value)}"


def _format_value(value: object) -> str:
    import tomli_w

    if isinstance(value, tuple):
        return f"[{', '.join(map(_format_value, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").removesuffix("\n")
