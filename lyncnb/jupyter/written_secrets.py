"""Passphrases that a notebook's source gives to functions of lyncnb, by position or by a variable.

``leak_scan`` finds a text by the name that it is given to. Here the call says what it is:
``ln.rekey("requests", "the old one", "the new one")`` names none of the two.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping

#: Where each function takes a secret, counted from 0; blank where only by name.
_POSITIONS: Mapping[str, tuple[int, ...]] = {
    "Secret": (0,),
    "rekey": (1, 2),
    "rebuild_manifest": (1,),
    "write_requests": (2,),
    "renew": (),
    "write_pfx": (1,),
    "purge": (),
    "new_recovery_key": (1,),
    "open_recovery_key": (1,),
    "name_recovery_key": (1,),
    "show_password": (2,),
}
_KEYWORDS = frozenset(("passphrase", "password", "old", "new"))


def cells_with_secrets(sources: Iterable[str]) -> frozenset[int]:
    """Find the cells that hold a secret as a text, by their place among the sources.

    A cell holds one if it gives a text to one of these functions, or to a variable that some cell
    gives to one of them.
    """
    found: set[int] = set()
    assigned: dict[str, set[int]] = {}
    used: set[str] = set()
    for place, source in enumerate(sources):
        for node in _nodes(source):
            if isinstance(node, ast.Call):
                for value in _secrets_of(node):
                    if _is_text(value):
                        found.add(place)
                    elif isinstance(value, ast.Name):
                        used.add(value.id)
            for name in _names_of_text(node):
                assigned.setdefault(name, set()).add(place)
    return frozenset(found.union(*(assigned.get(name, ()) for name in used)))


def _nodes(source: str) -> Iterator[ast.AST]:
    # Lines for IPython or a shell are not Python.
    lines = ["" if line.lstrip()[:1] in ("%", "!") else line for line in source.splitlines()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from ast.walk(ast.parse("\n".join(lines)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def _secrets_of(call: ast.Call) -> Iterator[ast.expr]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else ""
    name = function.id if isinstance(function, ast.Name) else name
    if name not in _POSITIONS:
        return
    for place in _POSITIONS[name]:
        yield from call.args[place : place + 1]
    yield from (given.value for given in call.keywords if given.arg in _KEYWORDS)


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.JoinedStr) or (
        isinstance(value, ast.Constant) and isinstance(value.value, str) and bool(value.value)
    )


def _names_of_text(node: ast.AST) -> Iterator[str]:
    """Yield the variables to which a text is given."""
    if isinstance(node, ast.Assign) and _is_text(node.value):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif (
        isinstance(node, (ast.AnnAssign, ast.NamedExpr))
        and isinstance(node.target, ast.Name)
        and node.value is not None
        and _is_text(node.value)
    ):
        yield node.target.id
