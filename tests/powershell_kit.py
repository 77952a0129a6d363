"""PowerShell as its own tokenizer would see it, parsed by tree-sitter: commands and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter
import tree_sitter_pwsh

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_pwsh.language()))

# PowerShell's tokenizer takes these for quotes and dashes (CharTraits.cs); the grammar does not
# know them, so they are mapped before parsing, as the tokenizer would see them.
_AS_POWERSHELL_SEES_IT = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e", '"'),
        **dict.fromkeys("\u2013\u2014\u2015", "-"),
    }
)


# Names that would be more than text if they were not quoted, or quoted as if only ' were a quote.
HOSTILE = [
    "x'; Remove-Item C:\\ -Recurse; '",
    "x\u2019; Remove-Item C:\\ -Recurse; \u2019",
    "x\u2018; Remove-Item C:\\; \u2018",
    "x\u201a; Remove-Item C:\\; \u201a",
    "x\u201b; Remove-Item C:\\; \u201b",
    "x\u201d; Remove-Item C:\\; \u201c",
    "$(Remove-Item C:\\)",
    "`$(Get-Process)`",
    "@'`n'@",
    "name # comment",
    "a;b|c&d>e<f",
    "%PATH% $env:PATH ${x}",
    "\u2013\u2014\u2015 --%",
]


def parse(text: str) -> tree_sitter.Node:
    """Parse as PowerShell reads it."""
    return _PARSER.parse(text.translate(_AS_POWERSHELL_SEES_IT).encode()).root_node


def walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """Yield a node and everything below it, in the order of the text."""
    yield node
    for child in node.children:
        yield from walk(child)


def count(node: tree_sitter.Node, kind: str) -> int:
    """Count the nodes of a kind."""
    return sum(found.type == kind for found in walk(node))


@dataclass(frozen=True)
class Command:
    """A command with its parameters, each with the text of its value ("" for a switch).

    ``others`` are the values that stand by themselves.
    """

    name: str
    parameters: dict[str, str]
    others: tuple[str, ...]


def commands(text: str) -> list[Command]:
    """Give every command of a text, those inside others after them."""
    return [_command(node) for node in walk(parse(text)) if node.type == "command"]


def _command(node: tree_sitter.Node) -> Command:
    name = next(c for c in node.children if c.type in ("command_name", "command_name_expr"))
    parameters: dict[str, str] = {}
    others: list[str] = []
    waiting = ""
    for elements in (c for c in node.children if c.type == "command_elements"):
        for element in elements.children:
            text = (element.text or b"").decode()
            if element.type == "command_argument_sep":
                continue
            if element.type == "command_parameter":
                waiting = text
                parameters[text] = ""
            elif waiting:
                parameters[waiting], waiting = text, ""
            else:
                others.append(text)
    return Command((name.text or b"").decode(), parameters, tuple(others))
