"""The file ``plan.toml``: where each plan option stands in it, read and written.

Knows names and places, not what a value may be: that is for ``options.py`` to say.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import tomli_w

from .errors import OptionsError


class Place(NamedTuple):
    """Where an option stands: its section, its key there, and what a planner reads beside it."""

    section: str
    key: str  # "": the option is the whole section
    comment: str


#: Place of every option, in the order of writing.
PLACES: Mapping[str, Place] = {
    "product": Place("", "product", "product whose rules are used"),
    "profile": Place("", "profile", "default, or doc_example: Microsoft's examples as printed"),
    "layout": Place("", "layout", "combined: one certificate for Default and web; or separate"),
    "wildcard": Place("", "wildcard", "true: wildcards for simple URLs and lyncdiscover names"),
    "autodiscover_https": Place("", "autodiscover_https", "false: lyncdiscover only on port 80"),
    "edge_member_names": Place("", "edge_member_names", "true: server names on Edge internal"),
    "xmpp_host_names": Place("", "xmpp_host_names", "true: xmpp.<domain> names on Edge external"),
    "reverse_proxy_client_eku": Place(
        "", "reverse_proxy_client_eku", "true: client authentication on reverse proxies as well"
    ),
    "autodiscover_internal_extra_domains": Place(
        "", "autodiscover_internal_extra_domains", "more domains for lyncdiscoverinternal names"
    ),
    "planned_issue_date": Place("", "planned_issue_date", "day of issue, e.g. 2026-01-31"),
    "validity_days": Place("", "validity_days", "days of validity to ask for"),
    "target_os": Place("", "target_os", "Windows version of all servers; blank: as in the table"),
    "hash": Place("", "hash", "hash of the requests' signatures: sha256, sha384 or sha512"),
    "key": Place("key", "", "RSA with 2048, 3072 or 4096 bits; ECDSA with 256, 384 or 521"),
    "organization": Place("subject", "organization", "O"),
    "organizational_unit": Place("subject", "organizational_unit", "OU"),
    "locality": Place("subject", "locality", "L"),
    "state": Place("subject", "state", "ST"),
    "country": Place("subject", "country", "C, two capitals"),
    "issuer": Place("issuer", "", "internal or public, by usage or role; all = for the rest"),
    "ca": Place("ca", "", "name of the CA, by usage, role, internal or public; all = the rest"),
    "accepted": Place("accepted", "", "code of a finding = why it is accepted"),
}
_TITLES = {
    "key": "Key of every certificate.",
    "subject": "Fields of the subject beside the name; blank ones are left out.",
    "issuer": "Who issues. This beats the table's column issuer, which beats the rules.",
    "ca": "Which CA issues, for summary and submission.",
    "accepted": "Findings that do not stop the requests.",
}
_ALL = "all"  # how the key "" (no usage in particular) is written


def read(source: str | Path | bytes) -> dict[str, Any]:
    """Read the options that a file sets.

    Parameters
    ----------
    source : path or bytes
        The file, or what is in it.

    Returns
    -------
    dict
        Values by option; ``key`` and the other sections are dicts.

    Raises
    ------
    OptionsError
        If the file cannot be read, is not TOML, or has an unknown key.
    """
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        document = tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise OptionsError(
            f"{source} cannot be read: {error.strerror}", hint="look at the path and its rights"
        ) from None
    except UnicodeDecodeError:
        raise OptionsError("this is not UTF-8 text", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise OptionsError(
            f"this is not TOML: {error}", hint='texts stand in quotes: hash = "sha256"'
        ) from None
    return _values(document)


def write(values: Mapping[str, Any]) -> str:
    """Write options, every one in its place with a comment.

    Parameters
    ----------
    values : mapping
        Values by option, as :func:`read` gives them; None is written as a comment.

    Returns
    -------
    str
        The same values give the same text.
    """
    lines = ["# Choices for a certificate plan that the topology table does not hold.", ""]
    section = ""
    for name, place in PLACES.items():
        value = values[name]
        if place.section != section:
            section = place.section
            lines += ["", f"# {_TITLES[section]}"]
            lines += [f"# {place.comment}"] if not place.key else []
            lines.append(f"[{section}]")
        if not place.key:
            lines += [_line(key or _ALL, item) for key, item in value.items()]
        elif value is None:
            lines.append(f"# {place.key} =  # {place.comment}")
        else:
            lines.append(f"{_line(place.key, value)}  # {place.comment}")
    return "\n".join(lines) + "\n"


def shown(value: object) -> object:
    """Give a value as a table shows it: a section as ``key = value`` pairs."""
    if not isinstance(value, Mapping):
        return value
    return tuple(f"{key or _ALL} = {item}" for key, item in value.items())


def _values(document: dict[str, Any]) -> dict[str, Any]:
    by_place = {(place.section, place.key): name for name, place in PLACES.items()}
    sections = {place.section for place in PLACES.values() if place.section}
    values: dict[str, Any] = {}
    for top, value in document.items():
        if top in sections and not isinstance(value, dict):
            raise OptionsError(f"{top} is {value!r}", hint=f"write [{top}] on a line of its own")
        if ("", top) in by_place:
            values[top] = tuple(value) if isinstance(value, list) else value
        elif (top, "") in by_place:
            values[top] = {"" if key == _ALL else key: item for key, item in value.items()}
        elif top in sections:
            for key, item in value.items():
                if (top, key) not in by_place:
                    _refuse_unknown(f"{top}.{key}")
                values[by_place[top, key]] = item
        else:
            _refuse_unknown(top)
    return values


def _refuse_unknown(key: str) -> NoReturn:
    """Refuse a key and name the one that was perhaps meant, in whatever section it stands."""
    known = {p.key: f"{p.section}.{p.key}".lstrip(".") for p in PLACES.values() if p.key}
    known |= {p.section: f"[{p.section}]" for p in PLACES.values() if not p.key}
    written = key.rpartition(".")[2].lower()
    close = [name for name in known if name.startswith(written)]
    close = close or difflib.get_close_matches(written, known, n=1)
    hint = f"did you mean {known[close[0]]}?" if close else f"known: {', '.join(known.values())}"
    raise OptionsError(f'there is no option "{key}"', hint=hint)


def _line(key: str, value: object) -> str:
    """Write one key and its value as TOML, on one line."""
    name = tomli_w.dumps({key: 0}).removesuffix(" = 0\n")
    return f"{name} = {_toml(value)}"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").removesuffix("\n")
