"""docs/reference.md and the table in docs/commands.md match the output of the commands."""

from __future__ import annotations

import click
from places import REPOSITORY

from lyncnb.cli.app import COMMANDS
from lyncnb.cli.help import SECTIONS

REFERENCE = REPOSITORY / "docs" / "reference.md"
GUIDE = REPOSITORY / "docs" / "commands.md"
MARK, END = "<!-- commands -->\n", "<!-- end of commands -->\n"

_BEGINNING = """# Every command and option

Written by `pytest tests/cli/test_reference.py --refresh` from what `lyncnb COMMAND --help` prints.
[Commands](commands.md) shows how to use them together.
"""


def reference() -> str:
    """Return a page with the help of every command, in the order of ``lyncnb --help``."""
    parts = [_BEGINNING]
    by_name = {command.name: command for command in COMMANDS}
    for title, commands in SECTIONS:
        parts.append(f"\n## {title}\n")
        for name, _ in commands:
            context = click.Context(
                by_name[name], info_name=f"lyncnb {name}", terminal_width=100, max_content_width=100
            )
            parts.append(f"\n### lyncnb {name}\n\n```text\n{context.get_help()}\n```\n")
    return "".join(parts)


def table() -> str:
    """Return one line for each command, with a link to its section in the reference."""
    lines = ["| Command | Does |\n|---|---|\n"]
    for _, commands in SECTIONS:
        for name, text in commands:
            lines.append(f"| [`lyncnb {name}`](reference.md#lyncnb-{name}) | {text} |\n")
    return "".join(lines)


def test_the_reference_is_what_the_commands_print(request):
    """The reference contains the help that the commands print. --refresh writes it."""
    if request.config.getoption("--refresh"):
        REFERENCE.write_text(reference(), "utf-8")
    assert REFERENCE.read_text("utf-8") == reference()


def test_the_table_of_commands_is_the_first_page_of_help(request):
    """The table of commands lists exactly the commands of the program. --refresh writes it."""
    before, rest = GUIDE.read_text("utf-8").split(MARK)
    written, after = rest.split(END)
    if request.config.getoption("--refresh"):
        GUIDE.write_text(f"{before}{MARK}{table()}{END}{after}", "utf-8")
    else:
        assert written == table()
