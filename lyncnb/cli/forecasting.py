"""The command that looks ahead: forecast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .comparing import plan_of
from .inputs import day_of, force_option, json_option, plan_arguments, read_from
from .output import show_report

if TYPE_CHECKING:
    from ..forecasts.model import Forecast


@click.command("forecast")
@plan_arguments
@click.argument("other", metavar="[OTHER]", required=False)
@click.option("--other-options", metavar="plan.toml", help="Choices for OTHER alone; without OTHER "
              "for the same TOPOLOGY.")  # fmt: skip
@click.option("--until", metavar="DATE", help="The last day (default: 2030-12-31).")
@click.option(
    "--on", metavar="DATE",
    help="Nothing is ordered before this day (default: the order for the planned issue date; of a "
    "request folder, today).",
)  # fmt: skip
@json_option
@click.option("-o", "output", metavar="FILE",
              help="Write .csv, .xlsx, .md, .html, .svg, .ics or .json.")  # fmt: skip
@force_option
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
    """Say when each certificate is to be ordered, renewed and rolled over in the years ahead.

    TOPOLOGY is a table of servers, the folder of a scenario, a saved plan, or a request folder,
    whose certificates on record then count. Lead times, freezes and maintenance windows stand in
    plan.toml. With OTHER, or --other-options, two forecasts stand beside each other.

    Exit status: 0 if it can work; 1 if not, with each rule that it breaks; 2 if something cannot be
    read.
    """
    from ..base.disk.outputs import check_output
    from ..forecasts.compare_forecasts import FORECASTS_FILE, compare_forecasts, forecasts_report
    from ..forecasts.forecast_files import FORECAST_FILE, forecast_report

    inputs = read_from(topology, other, options_file, other_options)
    is_pair = bool(other or other_options)
    kind = FORECASTS_FILE if is_pair else FORECAST_FILE
    if output is not None:
        check_output(output, kind, force=force, inputs=inputs)
    made = _forecast(topology, product, options_file, until, on)
    works, report = made.works, forecast_report(made)
    if is_pair:
        second = _forecast(other or topology, product, other_options or options_file, until, on)
        if other is None or other == topology:  # then only their options tell them apart
            made = _named(made, options_file, topology)
            second = _named(second, other_options, topology)
        works, report = works and second.works, forecasts_report(compare_forecasts(made, second))
    show_report(report, output, as_json=as_json, force=force, inputs=inputs)
    return 0 if works else 1


def _named(made: Forecast, options_file: str | None, path: str) -> Forecast:
    from ..authorities.read_plan import is_record

    own = "options of its own" if Path(path).is_dir() or is_record(path) else "the defaults"
    name = Path(options_file).name if options_file else own
    return replace(made, source=f"{made.source} with {name}")


def _forecast(
    path: str, product: str | None, options_file: str | None, until: str | None, on: str | None
) -> Forecast:
    from ..authorities.read_plan import is_record
    from ..forecasts.make_forecast import DEFAULT_UNTIL, forecast
    from ..plan.options import PlanOptions
    from ..rules.rule_files import load_rules

    last, start = day_of(until) or DEFAULT_UNTIL, day_of(on)
    if not is_record(path):
        plan, _ = plan_of(path, product, options_file)
        return forecast(plan, until=last, start=start)
    if product is not None:
        load_rules(product)  # a product of one's own is known from then on
    options = PlanOptions.from_toml(Path(options_file)) if options_file else None
    return forecast(path, until=last, start=start, options=options)


COMMANDS = (forecast_command,)
