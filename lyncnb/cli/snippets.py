"""The command that prints PowerShell to be run on a server: snippet."""

from __future__ import annotations

import click

from .output import write


@click.command("snippet")
@click.argument("what", type=click.Choice(["topology", "certificates"]))
def snippet_command(what: str) -> int:
    """Print PowerShell that exports what stands on a Lync server, for lyncnb to read.

    topology: the published topology and the simple URLs, as topology.xml, which every command
    takes in place of a table. certificates: those in a server's own store and what Lync Server
    uses each for, public halves only, as certificates-SERVER.pem, which asis takes. They read and
    change nothing. No script was tried on Windows; read it before you run it.

    Exit status: 0.
    """
    from ..authorities import server_export
    from ..topology import xml_tree

    scripts = {
        "topology": xml_tree.EXPORT_SCRIPT,
        "certificates": server_export.EXPORT_SCRIPT,
    }
    write(scripts[what].read_text(encoding="utf-8").rstrip("\n"))
    return 0


COMMANDS = (snippet_command,)
