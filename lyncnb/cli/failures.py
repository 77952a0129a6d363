"""How a command ends when it cannot go on: one clear message, an exit status, no traceback.

This is the boundary of the command line, and therefore the one place that catches every
exception: a planner must never meet a traceback, whose lines may also hold what they should not.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from ..errors import LyncnbError, StandardOutputError, UsageProblem
from .output import abandon, finish_output, note, write_json

#: Exit status after Ctrl-C, as shells count it (128 + SIGINT).
INTERRUPTED = 130

#: Exit status of a fault of lyncnb itself (EX_SOFTWARE of sysexits.h).
FAULT = 70

#: With this variable set, a fault also writes its traceback to standard error.
DEBUG_VARIABLE = "LYNCNB_DEBUG"

_PROBLEMS_SHOWN = 100


def report(error: BaseException, *, as_json: bool, about_folder: bool = False) -> int:
    """Say what went wrong.

    Parameters
    ----------
    error : BaseException
        Whatever ended the command.
    as_json : bool
        Whether standard output takes the error as a JSON document as well.
    about_folder : bool, optional
        Whether the command works on a request folder, whose troubles have exit status 3.

    Returns
    -------
    int
        The exit status.
    """
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        known, status = LyncnbError("interrupted; what was finished is kept"), INTERRUPTED
        code = "interrupted"
    else:
        known, status = _understood(error, 3 if about_folder else 2)
        code = known.code if status != FAULT else "fault"
    trouble = _trouble_with_output(known, as_json=as_json, code=code)
    if trouble is not None:
        abandon(sys.stdout)
        besides = "" if trouble is known else f"; before that: {known.message}"
        note(f"lyncnb: {trouble.message}{besides}")
        return trouble.exit_status
    note("\n".join(message_lines(known)))
    if status == FAULT and os.environ.get(DEBUG_VARIABLE):
        note("".join(traceback.format_exception(error)))
    return status


def _trouble_with_output(
    known: LyncnbError, *, as_json: bool, code: str
) -> StandardOutputError | None:
    if isinstance(known, StandardOutputError):
        return known
    try:
        if as_json:
            write_json({"error": _error(known, code)})
        if as_json or sys.stdout is not None:
            finish_output()
    except StandardOutputError as trouble:
        return trouble
    return None


def message_lines(error: LyncnbError) -> list[str]:
    """Write an error as a planner reads it: what, every single problem, the hint."""
    lines = [f"lyncnb: {error.message}"]
    for problem in error.problems[:_PROBLEMS_SHOWN]:
        lines.extend(f"  {line}" for line in str(problem).splitlines())
    if len(error.problems) > _PROBLEMS_SHOWN:
        left = len(error.problems) - _PROBLEMS_SHOWN
        lines.append(f"  … and {left:,} more; with --json all are listed")
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    return lines


def _error(error: LyncnbError, code: str) -> dict[str, Any]:
    """Give an error as JSON values: code, message, hint, and problems where there are several."""
    document: dict[str, Any] = {"code": code, "message": error.message, "hint": error.hint}
    if error.problems:
        from ..base.records import json_value

        document["problems"] = json_value(error.problems)
    return document


def _understood(error: BaseException, system_status: int) -> tuple[LyncnbError, int]:
    """Turn any exception into an error with a message and a hint, and its exit status."""
    if isinstance(error, LyncnbError):
        return error, error.exit_status
    if isinstance(error, click.ClickException):
        return _usage(error), 2
    if isinstance(error, OSError):
        return _from_system(error), system_status
    if isinstance(error, MemoryError):
        return LyncnbError("there is not enough memory", hint="plan a part of the topology"), 2
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({Path(frame.filename).name} line {frame.lineno})" for frame in place)
    words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return LyncnbError(
        f"this is a fault of lyncnb itself{where}: {words}",
        hint="nothing that was finished is lost; please report this line with the command you "
        f"gave. {DEBUG_VARIABLE}=1 shows the trace, which may hold names of your servers",
    ), FAULT


def _usage(error: click.ClickException) -> LyncnbError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "lyncnb"
    command = path.removeprefix("lyncnb").strip()
    message = error.format_message().rstrip(".")
    return UsageProblem(
        f"{command}: {message}" if command else message, hint=f"{path} --help says how to call it"
    )


def _from_system(error: OSError) -> LyncnbError:
    what = error.strerror or str(error) or type(error).__name__
    name = f"{error.filename}: " if error.filename else ""
    return LyncnbError(f"{name}{what}", hint="look at the path, its rights and the free space")
