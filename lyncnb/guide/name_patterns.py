"""Read patterns for server names such as ``{site}-{role}{n:02}``, and fill in values."""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Mapping

from ..base.pasted_text import BadName, shown

_LITERAL = re.compile(r"[A-Za-z0-9-]*\Z")
_KEY = re.compile(r"\s*([a-z][a-z0-9-]*)\s*=")
_NUMBERS = ("n", "k")
_BLANK = "\0"
_AROUND_BLANK = re.compile(r"(-)\0-|^\0-|-\0$|\0")

#: The pattern for a label of a host name (RFC 1035 section 2.3.4). CAs reject an underscore.
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")

_MEANINGS = {
    "site": "the short name of the site",
    "role": "the kind of server, such as fe or edge",
    "service": "the kind of service, such as access or web",
    "n": "the number of the server in its site (for example, {n:02} becomes 01)",
    "k": "the number of the pool in its site, or blank if the site has only one pool",
}


def fill_pattern(
    patterns: Mapping[str, str], server_kind: str, values: Mapping[str, object]
) -> str:
    """Fill in a pattern for server names.

    The result is in lowercase. The caller checks whether the result is a valid label.

    Parameters
    ----------
    patterns : mapping of str to str
        The result of :func:`read_pattern`.
    server_kind : str
        The kind of server or service, for example ``fe`` or ``access``.
    values : mapping of str to object
        The values of the placeholders, by name.
    """
    parts = []
    for literal, key, form, _ in string.Formatter().parse(patterns.get(server_kind, patterns[""])):
        parts.append(literal)
        if key is not None:
            value = values[key]
            text = format(value, form or "") if isinstance(value, int) else str(value)
            parts.append(text or _BLANK)
    # If the number is blank, the hyphen before or after it is also removed: fe-pool-{k} becomes
    # fe-pool.
    return _AROUND_BLANK.sub(r"\1", "".join(parts)).lower()


def read_pattern(
    text: str, *, placeholders: Collection[str], kinds: Collection[str], default: str
) -> Mapping[str, str]:
    """Read one name pattern for all kinds of servers and services, or one for each kind.

    Parameters
    ----------
    text : str
        ``PATTERN`` for all kinds, or ``KIND=PATTERN;…;PATTERN``.
    placeholders : collection of str
        The valid placeholders.
    kinds : collection of str
        The kinds that can have a separate pattern.
    default : str
        The pattern for all other kinds, if `text` has no general pattern.

    Returns
    -------
    mapping of str to str
        The patterns by kind. The key "" is for all other kinds.

    Raises
    ------
    BadName
        If a placeholder or kind is unknown, or a character is not valid in a host name.
    """
    by_kind: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        match = _KEY.match(part)
        kind = match[1] if match else ""
        if kind and kind not in kinds:
            raise BadName(
                f'"{kind}" is not a known kind of server or service',
                "these kinds of servers and services can have a separate pattern: "
                f"{', '.join(kinds)}",
            )
        if kind in by_kind:
            raise BadName(
                f'you specified two patterns for "{kind}"'
                if kind
                else "you specified two patterns that apply to all kinds of servers and services",
                "use only one pattern, or enter KIND=PATTERN for each kind",
            )
        pattern = part[match.end() :].strip() if match else part
        by_kind[kind] = _check_pattern(pattern, placeholders, is_for_all_kinds=not kind)
    return {"": default, **by_kind}


def _check_pattern(pattern: str, placeholders: Collection[str], *, is_for_all_kinds: bool) -> str:
    meanings = "; ".join(f"{{{name}}}, {_MEANINGS[name]}" for name in placeholders)
    hint = f"use only these placeholders: {meanings}"
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError:
        raise BadName(f"{shown(pattern)} has an unpaired brace", hint) from None
    if is_for_all_kinds and not any(key for _, key, _, _ in parts):
        raise BadName(f"the pattern {shown(pattern)} creates the same name for all servers", hint)
    for literal, key, form, conversion in parts:
        if not _LITERAL.match(literal):
            raise BadName(
                f"{shown(literal)} contains a character that is not valid in a host name",
                f"use letters a to z, digits and hyphens; {hint}",
            )
        if key is None:
            continue
        if key not in placeholders:
            raise BadName(f"there is no placeholder {{{key}}}", hint)
        if conversion or (form and not (key in _NUMBERS and re.fullmatch(r"0[1-9]", form))):
            raise BadName(
                f"the format of the placeholder {{{key}}} is not valid",
                f"for a number with two digits, enter {{n:02}}; {hint}",
            )
    return pattern
