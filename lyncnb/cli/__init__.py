"""Provide the command line. Each command is a short function that calls a public function."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_HELP: tuple[list[str], ...] = (["-h"], ["--help"], ["help"], [])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments without the program's name. The default is the arguments of the process.

    Returns
    -------
    int
        The exit status: 0 success; 1 refused or different; 2 unreadable input or wrong
        arguments;
        3 the request folder or its passphrase needs attention; 70 an error in lyncnb; 130
        interrupted.
    """
    argument_list = list(sys.argv[1:] if arguments is None else arguments)
    if argument_list in _HELP or argument_list == ["--version"]:
        return _print_help_or_version(argument_list)
    from .app import run_command

    return run_command(argument_list)


def _print_help_or_version(arguments: Sequence[str]) -> int:
    # The options for help and version work without click, because importing click is slow. The text
    # of the help page is in help.py.
    from ..base.version import VERSION
    from .help import build_overview

    try:
        if sys.stdout is None:
            raise OSError("the stream is closed")
        sys.stdout.write(build_overview() if arguments in _HELP else f"lyncnb {VERSION}\n")
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        from .failures import report_error
        from .output import make_output_error

        return report_error(make_output_error(error), as_json=False)
    return 0
