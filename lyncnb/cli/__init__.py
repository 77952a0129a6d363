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
    if given in _HELP or given == ["--version"]:
        return _answer_at_once(given)
    from .app import run

    return run(given)


def _answer_at_once(given: Sequence[str]) -> int:
    # Help and version need nothing but this; see help.py.
    from .help import VERSION, overview

    try:
        if sys.stdout is None:
            raise OSError("it is closed")
        sys.stdout.write(overview() if given in _HELP else f"lyncnb {VERSION}\n")
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        from .failures import report
        from .output import standard_output_error

        return report(standard_output_error(error), as_json=False)
    return 0
