"""Define the command line: all commands of lyncnb and their exit status."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import click

from .approving import COMMANDS as APPROVING_COMMANDS
from .comparing import COMMANDS as COMPARING_COMMANDS
from .failures import report_error
from .folder import COMMANDS as FOLDER_COMMANDS
from .forecasting import COMMANDS as FORECASTING_COMMANDS
from .guiding import COMMANDS as GUIDING_COMMANDS
from .help import REMOVED, build_overview, find_summary
from .issuing import COMMANDS as ISSUING_COMMANDS
from .notebooks import COMMANDS as NOTEBOOK_COMMANDS
from .one_file import COMMANDS as ONE_FILE_COMMANDS
from .output import finish_output, prepare_streams, write
from .planning import COMMANDS as PLANNING_COMMANDS
from .probing import COMMANDS as PROBING_COMMANDS
from .recovery import COMMANDS as RECOVERY_COMMANDS
from .tables import COMMANDS as TABLE_COMMANDS
from .trusting import COMMANDS as TRUSTING_COMMANDS


def _show_help(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        write(context.get_help())
        raise click.exceptions.Exit


def _add_help_option(command: click.Command) -> None:
    # The help option of click would not use output.py, so lyncnb defines its own help option.
    command.add_help_option = False
    command.params.append(
        click.Option(
            ["--help"], is_flag=True, is_eager=True, expose_value=False, callback=_show_help,
            help="Show this message and exit.",
        )
    )  # fmt: skip


class _Lyncnb(click.Group):
    def get_help(self, ctx: click.Context) -> str:
        return build_overview().rstrip("\n")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in REMOVED:
            raise click.UsageError(f"{args[0]} was removed; use {REMOVED[args[0]]}")
        name, command, remaining = super().resolve_command(ctx, args)
        if command is not None:
            _reject_repeated_options(
                command, click.Context(command, parent=ctx, info_name=name), remaining
            )
        return name, command, remaining


def _reject_repeated_options(
    command: click.Command, context: click.Context, remaining_arguments: list[str]
) -> None:
    """Raise an error for an option that is specified twice although it takes one value.

    Click would use the last value.
    """
    try:
        _, _, parameters = command.make_parser(context).parse_args([*remaining_arguments])
    except click.UsageError:
        # click reports the same error when it runs the command, and also shows how to use the
        # command.
        return
    options = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
    if any(option.is_eager for option in options):
        # The command only shows its help page, so repeated options do not matter.
        return
    for option in dict.fromkeys(options):
        is_repeatable = option.multiple or option.is_flag or option.count
        if options.count(option) > 1 and not is_repeatable:
            raise click.UsageError(
                (
                    f"you specified {max(option.opts, key=len)} {options.count(option)} times, but "
                    "it takes only one value"
                ),
                ctx=context,
            )


_group = _Lyncnb("lyncnb", help=build_overview())

_ABOUT_FOLDERS = (*FOLDER_COMMANDS, *ISSUING_COMMANDS)

#: All commands, in the order of the help page.
COMMANDS = (
    *NOTEBOOK_COMMANDS,
    *ONE_FILE_COMMANDS,
    *GUIDING_COMMANDS,
    *PLANNING_COMMANDS,
    *COMPARING_COMMANDS,
    *PROBING_COMMANDS,
    *TRUSTING_COMMANDS,
    *FORECASTING_COMMANDS,
    *TABLE_COMMANDS,
    *APPROVING_COMMANDS,
    *_ABOUT_FOLDERS,
    *RECOVERY_COMMANDS,
)

for _command in COMMANDS:
    _command.short_help = find_summary(_command.name or "")
    _add_help_option(_command)
    _group.add_command(_command)
_add_help_option(_group)


def run_command(arguments: Sequence[str]) -> int:
    """Run one command, and report any error.

    Parameters
    ----------
    arguments : sequence of str
        The arguments without the program's name.

    Returns
    -------
    int
        The exit status.
    """
    prepare_streams()
    if not sys.warnoptions:
        # Python warnings are for programmers. Users of lyncnb get findings instead.
        warnings.simplefilter("ignore")
    try:
        status = _invoke_command(arguments)
        finish_output()
    except SystemExit:
        raise
    except BaseException as error:
        # lyncnb shows a message for every exception, so that no user sees a traceback.
        return report_error(
            error,
            as_json="--json" in arguments,
            is_about_folder=bool(arguments) and arguments[0] in {c.name for c in _ABOUT_FOLDERS},
        )
    return status


def _invoke_command(arguments: Sequence[str]) -> int:
    # If the pipe is closed, the method main() of click exits with status 1 and without a message.
    try:
        with _group.make_context("lyncnb", list(arguments)) as context:
            return int(_group.invoke(context) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
