"""Find passphrases that the code in a notebook passes to functions of lyncnb.

``leak_scan`` finds a secret by the name of its variable or argument. This module finds a
secret by the function call, as in ``ln.rekey("requests", "old passphrase", "new
passphrase")``, or by a variable in such a call.
"""

from __future__ import annotations

import ast
import re
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

#: The pattern for the end of a name that stands for a secret.
SECRET_NAME = (
    r"(?:pass(?:phrase|word|wd|code)|pwd|secret|token|credentials?"
    r"|(?:api|access|private|secret|account|storage)_?key|client_?secret)"
)
_SECRET_VARIABLE = re.compile(rf"\w*?{SECRET_NAME}", re.IGNORECASE)


def find_cells_with_secrets(sources: Iterable[str]) -> frozenset[int]:
    """Return the indices of the cells that contain a secret as a string literal.

    The literal is an argument of one of these functions, or the value of a variable that any
    cell passes to one of them or assigns to a variable with the name of a secret.
    """
    cells: set[int] = set()
    assigned: dict[str, set[int]] = {}
    used: set[str] = set()
    copied: dict[str, set[str]] = {}
    for index, source in enumerate(sources):
        for node in _parse_statements(source):
            if isinstance(node, ast.Call):
                for value in _find_secret_arguments(node):
                    if _is_string(value):
                        cells.add(index)
                    elif isinstance(value, ast.Name):
                        used.add(value.id)
            for name, value in _find_assignments(node):
                if _is_string(value):
                    assigned.setdefault(name, set()).add(index)
                elif isinstance(value, ast.Name):
                    copied.setdefault(name, set()).add(value.id)
                    used |= {value.id} if _SECRET_VARIABLE.fullmatch(name) else set()
    # A variable can be a copy of another one: y = "…"; passphrase = y.
    while more := set().union(*(copied.get(name, ()) for name in used)) - used:
        used |= more
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
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _is_string(value.left) or _is_string(value.right)
    return isinstance(value, ast.JoinedStr) or (
        isinstance(value, ast.Constant) and isinstance(value.value, str) and bool(value.value)
    )


def _find_assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield each variable that a statement, expression or argument sets, with its value."""
    if isinstance(node, ast.Assign):
        yield from ((t.id, node.value) for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and isinstance(node.target, ast.Name):
        if node.value is not None:
            yield node.target.id, node.value
    elif isinstance(node, ast.keyword) and _SECRET_VARIABLE.fullmatch(node.arg or ""):
        yield str(node.arg), node.value
