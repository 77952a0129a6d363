"""The command line: one short function per command, each calling one public function."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_HELP: tuple[list[str], ...] = (["-h"], ["--help"], ["help"], [])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; the process's own if left out.

    Returns
    -------
    int
        The exit status: 0 done; 1 refused or different; 2 unreadable or wrongly called; 3 the
        request folder or its passphrase needs attention; 70 a fault of lyncnb; 130 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Help and version need nothing but this; see help.py.
    if given in _HELP:
        from .help import overview

        sys.stdout.write(overview())
        return 0
    if given == ["--version"]:
        from .help import VERSION

        sys.stdout.write(f"lyncnb {VERSION}\n")
        return 0
    from .app import run

    return run(given)
