"""The hints and the first page of the help name only commands that exist."""

from __future__ import annotations

import ast
import re

import pytest
from places import REPOSITORY

from lyncnb.base.version import VERSION
from lyncnb.cli.app import COMMANDS
from lyncnb.cli.help import SECTIONS, build_overview

NAMED = re.compile(
    r"(?:run|with|is): lyncnb ([a-z][a-z-]*)( --[a-z-]+)?|`lyncnb ([a-z][a-z-]*)( --[a-z-]+)?"
)
PACKAGE = REPOSITORY / "lyncnb"


def texts():
    """Yield the texts in the program and in its rule files, with their locations."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node.value
    for path in sorted(PACKAGE.rglob("*.toml")):
        yield path, path.read_text("utf-8")


def test_help_lists_every_command():
    """The first page of the help contains each command exactly once."""
    names = [name for _, commands in SECTIONS for name, _ in commands]
    assert sorted(names) == sorted(command.name for command in COMMANDS)
    assert all(f"  {name} " in build_overview() for name in names)


@pytest.mark.posix  # .ci/windows does not install lyncnb.
def test_version_is_that_of_the_package():
    """The option --version prints the installed version of lyncnb."""
    from importlib.metadata import version

    assert version("lyncnb") == VERSION


def test_hints_name_commands_that_exist():
    """Each command and each option that a hint mentions exists."""
    options = {c.name: {o for p in c.params for o in p.opts} for c in COMMANDS}
    mentions = [
        (path, match[0] or match[2], match[1] or match[3])
        for path, text in texts()
        for match in NAMED.findall(text)
    ]
    assert len(mentions) > 10
    wrong = [
        f"{path.name}: lyncnb {command}{option}"
        for path, command, option in mentions
        if command not in options or (option and option.strip() not in options[command])
    ]
    assert wrong == []
