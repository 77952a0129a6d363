"""Find passphrases that the code in a notebook passes to functions of lyncnb.

``leak_scan`` finds a secret by the name of its variable or argument. This module finds a
secret by the function call, as in ``ln.rekey("requests", "old passphrase", "new
passphrase")``, or by a variable in such a call.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping

#: For each function, the positions of its secret arguments, starting at 0. If the secret is a
#: keyword argument, there are no positions.
_POSITIONS: Mapping[str, tuple[int, ...]] = {
    "Secret": (0,),
    "rekey": (1, 2),
    "rebuild_manifest": (1,),
    "write_requests": (2,),
    "renew": (),
    "write_pfx": (1,),
    "purge": (),
    "create_recovery_key": (1,),
    "open_recovery_key": (1,),
    "name_recovery_key": (1,),
    "show_password": (2,),
}
_KEYWORDS = frozenset(("passphrase", "password", "old", "new"))


def find_cells_with_secrets(sources: Iterable[str]) -> frozenset[int]:
    """Return the indices of the cells that contain a secret as a string literal.

    The literal is an argument of one of these functions, or the value of a variable that any
    cell passes to one of them.
    """
    cells: set[int] = set()
    assigned: dict[str, set[int]] = {}
    used: set[str] = set()
    for index, source in enumerate(sources):
        for node in _parse_statements(source):
            if isinstance(node, ast.Call):
                for value in _find_secret_arguments(node):
                    if _is_string(value):
                        cells.add(index)
                    elif isinstance(value, ast.Name):
                        used.add(value.id)
            for name in _find_string_variables(node):
                assigned.setdefault(name, set()).add(index)
    return frozenset(cells.union(*(assigned.get(name, ()) for name in used)))


def _parse_statements(source: str) -> Iterator[ast.AST]:
    # IPython commands and shell lines are not Python, so they are skipped.
    lines = ["" if line.lstrip()[:1] in ("%", "!") else line for line in source.splitlines()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from ast.walk(ast.parse("\n".join(lines)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def _find_secret_arguments(call: ast.Call) -> Iterator[ast.expr]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else ""
    name = function.id if isinstance(function, ast.Name) else name
    if name not in _POSITIONS:
        return
    for position in _POSITIONS[name]:
        yield from call.args[position : position + 1]
    yield from (keyword.value for keyword in call.keywords if keyword.arg in _KEYWORDS)


def _is_string(value: ast.expr) -> bool:
    return isinstance(value, ast.JoinedStr) or (
        isinstance(value, ast.Constant) and isinstance(value.value, str) and bool(value.value)
    )


def _find_string_variables(node: ast.AST) -> Iterator[str]:
    """Yield the variables to which the code of a cell assigns a string literal."""
    if isinstance(node, ast.Assign) and _is_string(node.value):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif (
        isinstance(node, (ast.AnnAssign, ast.NamedExpr))
        and isinstance(node.target, ast.Name)
        and node.value is not None
        and _is_string(node.value)
    ):
        yield node.target.id
