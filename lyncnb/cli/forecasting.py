"""Define the command ``forecast``, which plans the renewals of the coming years."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .comparing import load_plan
from .inputs import (
    add_force_option,
    add_json_option,
    add_plan_arguments,
    list_protected_files,
    parse_date,
)
from .output import show_report

if TYPE_CHECKING:
    from ..forecasts.model import Forecast


@click.command("forecast")
@add_plan_arguments
@click.argument("other", metavar="[OTHER]", required=False)
@click.option(
    "--other-options", metavar="plan.toml",
    help=("Planning options for OTHER. Without OTHER, lyncnb creates a second forecast of "
         "TOPOLOGY with these options."),
)  # fmt: skip
@click.option(
    "--until", metavar="DATE", help="The last date of the forecast (default: 2030-12-31)."
)
@click.option(
    "--on", metavar="DATE",
    help=("The first date on which you can order certificates. Default for a plan: the order "
          "date for the planned issue date. Default for a request folder: today."),
)  # fmt: skip
@add_json_option
@click.option(
    "-o", "output", metavar="FILE",
    help="Write the forecast to a .csv, .xlsx, .md, .html, .svg, .ics or .json file.",
)  # fmt: skip
@add_force_option
def forecast_command(
    topology: str,
    other: str | None,
    product: str | None,
    options_file: str | None,
    other_options: str | None,
    until: str | None,
    on: str | None,
    as_json: bool,
    output: str | None,
    force: bool,
) -> int:
    """Show when to order, renew and roll over each certificate in the coming years.

    TOPOLOGY is a table of servers, a scenario folder, a saved plan, or a request folder. The
    forecast for a request folder starts with the certificates that the folder records. Lead
    times, freezes and maintenance windows are in plan.toml. With OTHER or --other-options,
    lyncnb compares two forecasts.

    Exit status: 0 if the forecast breaks no rule; 1 if it breaks a rule (lyncnb lists each
    one); 2 if something cannot be read.
    """
    from ..base.disk.outputs import check_output_path
    from ..forecasts.compare_forecasts import (
        FORECASTS_FILE,
        build_forecasts_report,
        compare_forecasts,
    )
    from ..forecasts.forecast_files import FORECAST_FILE, build_forecast_report

    inputs = list_protected_files(topology, other, options_file, other_options)
    is_pair = bool(other or other_options)
    kind = FORECASTS_FILE if is_pair else FORECAST_FILE
    if output is not None:
        check_output_path(output, kind, force=force, inputs=inputs)
    first = _make_forecast(topology, product, options_file, until, on)
    works, report = first.works, build_forecast_report(first)
    if is_pair:
        second = _make_forecast(
            other or topology, product, other_options or options_file, until, on
        )
        if other is None or other == topology:
            # Both forecasts have the same topology and differ only in their options.
            first = _add_options_name(first, options_file, topology)
            second = _add_options_name(second, other_options, topology)
        works, report = (
            works and second.works,
            build_forecasts_report(compare_forecasts(first, second)),
        )
    show_report(report, output, as_json=as_json, force=force, inputs=inputs)
    return 0 if works else 1


def _add_options_name(forecast: Forecast, options_file: str | None, path: str) -> Forecast:
    """Add the name of the options file to the source that the forecast shows."""
    from ..authorities.read_plan import is_plan_path

    default = (
        "its recorded options" if Path(path).is_dir() or is_plan_path(path) else "default options"
    )
    name = Path(options_file).name if options_file else default
    return replace(forecast, source=f"{forecast.source} with {name}")


def _make_forecast(
    path: str,
    product: str | None,
    options_file: str | None,
    last_date: str | None,
    first_date: str | None,
) -> Forecast:
    from ..authorities.read_plan import is_plan_path
    from ..forecasts.make_forecast import DEFAULT_UNTIL, forecast
    from ..plan.options import PlanOptions
    from ..rules.rule_files import load_rules

    last, start = parse_date(last_date) or DEFAULT_UNTIL, parse_date(first_date)
    if not is_plan_path(path):
        plan, _ = load_plan(path, product, options_file)
        return forecast(plan, until=last, start=start)
    if product is not None:
        # A product file from the user must be loaded before the table, because the table may use
        # its columns.
        load_rules(product)
    options = PlanOptions.from_toml(Path(options_file)) if options_file else None
    return forecast(path, until=last, start=start, options=options)


COMMANDS = (forecast_command,)
