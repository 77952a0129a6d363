"""The page docs/commands.md lists the commands and contains the help that each command prints."""

from __future__ import annotations

import click
from places import REPOSITORY

from lyncnb.cli.app import COMMANDS
from lyncnb.cli.help import SECTIONS

PAGE = REPOSITORY / "docs" / "commands.md"

_BEGINNING = """# Every command and option

This page shows what `lyncnb COMMAND --help` prints. [The task pages](README.md#tasks) show how to use
the commands together.

- **TOPOLOGY** is [a table of servers](table-of-servers.md), a topology document from Topology Builder,
  or a scenario folder of the plan editor, such as `scenarios/Wildcards`.
- **Exit status:** 0 success; 1 error findings, or a difference; 2 something cannot be read; 3 the
  folder or its passphrase needs attention.
- **Passphrase:** from `--passphrase-file`, otherwise from `LYNCNB_PASSPHRASE`, otherwise from a prompt.
  It is never an argument.

| Command | Purpose |
|---|---|
"""


def page() -> str:
    """Return a page with the help text of every command, in the order in which `lyncnb --help` lists
    them.
    """
    rows, parts = [], []
    by_name = {command.name: command for command in COMMANDS}
    for title, commands in SECTIONS:
        parts.append(f"\n## {title}\n")
        for name, purpose in commands:
            context = click.Context(
                by_name[name], info_name=f"lyncnb {name}", terminal_width=100, max_content_width=100
            )
            rows.append(f"| [`lyncnb {name}`](#lyncnb-{name}) | {purpose} |\n")
            parts.append(f"\n### lyncnb {name}\n\n```text\n{context.get_help()}\n```\n")
    return "".join([_BEGINNING, *rows, *parts])


def test_reference_matches_the_help(request):
    """The page docs/commands.md contains the help that the commands print.

    With the option --refresh, the test updates the page.
    """
    if request.config.getoption("--refresh"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page()
