"""The command that prints PowerShell to be run on a server: snippet."""

from __future__ import annotations

import click

from .output import write


@click.command("snippet")
@click.argument("what", type=click.Choice(["topology"]))
def snippet_command(what: str) -> int:
    """Print PowerShell that exports what stands on a Lync server, for lyncnb to read.

    topology: the published topology and the simple URLs, as topology.xml, which every command
    takes in place of a table. It reads and changes nothing. No script was tried on Windows; read
    it before you run it.

    Exit status: 0.
    """
    from ..topology.xml_tree import EXPORT_SCRIPT

    write(EXPORT_SCRIPT.read_text(encoding="utf-8").rstrip("\n"))
    return 0


COMMANDS = (snippet_command,)
