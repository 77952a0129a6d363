"""Read the inputs that several commands share: topology, options, dates and passphrase."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..base.pasted_text import shown
from ..base.terminal import is_terminal
from ..errors import BundleError
from .output import write_note

if TYPE_CHECKING:
    from datetime import date

    from ..pki.passphrase import Secret
    from ..plan.model import CertificatePlan
    from ..rules.findings import Findings
    from ..topology.topology import Topology

_Command = TypeVar("_Command", bound=Callable[..., object])

_NOTES_SHOWN = 10
_ENCODING = "lyncnb.encoding"  # The key of the encoding in the context of a command.


def add_plan_arguments(command: _Command) -> _Command:
    """Add the arguments of every command that plans: TOPOLOGY and its options."""
    return click.argument("topology", metavar="TOPOLOGY")(add_plan_options(command))


def add_encoding_option(command: _Command) -> _Command:
    """Add the option --encoding to a command. :func:`get_encoding` returns its value."""
    return click.option(
        "--encoding", metavar="NAME", expose_value=False,
        callback=lambda context, _, name: context.meta.update({_ENCODING: name or ""}),
        help=("Encoding of a CSV file that is neither UTF-8 nor UTF-16: cp950, gb18030 or cp1252 "
              "(default: the one that is certain)."),
    )(command)  # fmt: skip


def get_encoding() -> str:
    """Return the encoding that the user specified for the table of the current command, or ""."""
    context = click.get_current_context(silent=True)
    return str(context.meta.get(_ENCODING, "")) if context else ""


def add_plan_options(command: _Command) -> _Command:
    """Add the options --product, --options and --encoding to a command."""
    command = add_encoding_option(command)
    command = click.option(
        "--options",
        "options_file",
        metavar="plan.toml",
        help=(
            "Planning options. If omitted, the default options apply, and lyncnb shows a note "
            "if the file TOPOLOGY.plan.toml exists."
        ),
    )(command)
    return click.option(
        "--product",
        metavar="NAME",
        help=(
            "Product whose rules apply, or FILE.toml with your own rules (default: the "
            "product in the topology document, or lync2013)."
        ),
    )(command)


def add_evaluation_date_option(command: _Command) -> _Command:
    """Add the option ``--on`` to a command. It sets the evaluation date."""
    return click.option(
        "--on", metavar="DATE",
        help=("Evaluation date: apply the rules that are in force on this date, such as "
              "2027-03-15 (default: the planned issue date, or today if that date is in the "
              "past or not set)."),
    )(command)  # fmt: skip


def add_json_option(command: _Command) -> _Command:
    """Add the option ``--json`` to a command."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the output as one JSON document."
    )(command)


def add_force_option(command: _Command) -> _Command:
    """Add the option ``--force`` to a command."""
    return click.option(
        "--force", is_flag=True,
        help="Replace an existing file that lyncnb did not write. lyncnb never replaces files "
             "in a request folder.",
    )(command)  # fmt: skip


def add_passphrase_option(command: _Command) -> _Command:
    """Add the option ``--passphrase-file`` to a command."""
    return click.option(
        "--passphrase-file",
        metavar="FILE",
        help="File whose first line is the folder's passphrase. By default, lyncnb uses the "
        "environment variable LYNCNB_PASSPHRASE, or prompts for the passphrase.",
    )(command)


def make_plan(
    topology: str,
    product: str | None,
    options_file: str | None,
    *,
    on: str | None = None,
    keeps_rejected: bool = False,
) -> tuple[CertificatePlan, Findings]:
    """Read a topology, plan its certificates, and check the plan.

    Parameters
    ----------
    topology : str
        Path of the table, or of a scenario folder, which contains its options.
    product : str or None
        The product to use instead of the product in the options.
    options_file : str or None
        Path of a ``plan.toml``.
    on : str or None, optional
        Evaluation date, such as ``2027-03-15``.
    keeps_rejected : bool, optional
        Whether to read a table with texts that cannot be used, and to plan the other cells.

    Returns
    -------
    plan : CertificatePlan
        Every certificate that the topology needs.
    findings : Findings
        The findings of the checks.

    Raises
    ------
    LyncnbError
        If the date is not valid, or if the topology, options or rules cannot be read.
    """
    from ..checks.check_plan import check_plan, choose_present_date
    from ..plan.options import PlanOptions
    from ..plan.planner import plan_certificates
    from ..plan.scenarios import is_scenario
    from ..rules.rule_files import load_rules
    from ..topology.topology import open_topology, read_topology

    day = parse_date(on)
    if is_scenario(topology):
        plan = _plan_scenario(topology, product, options_file)
        return plan, check_plan(plan, on=day or choose_present_date(plan))
    options = PlanOptions.from_toml(Path(options_file)) if options_file else PlanOptions()
    product_source = product or (
        _find_product_path(options_file, options.product) if options_file else ""
    )
    if product_source:
        # The user's product file is loaded before the table, because it can add columns and roles
        # to tables.
        load_rules(product_source)
    read = open_topology if keeps_rejected else read_topology
    table = read(topology, encoding=get_encoding())
    rules = load_rules(product_source or find_document_product(table) or options.product)
    if not options_file:
        _note_unused_options(topology)
    report_corrections(table)
    plan = plan_certificates(table, rules, options=replace(options, product=rules.product))
    return plan, check_plan(plan, on=day or choose_present_date(plan))


def _plan_scenario(folder: str, product: str | None, options_file: str | None) -> CertificatePlan:
    from ..errors import UsageProblem
    from ..plan.scenarios import open_scenario
    from ..rules.rule_files import load_rules

    if options_file:
        raise UsageProblem(f"the scenario {folder} already contains options", hint="omit --options")
    # The product can add columns and roles to tables, so lyncnb loads the product before the table.
    rules = load_rules(product) if product else None
    scenario = open_scenario(folder)
    if rules:
        options = replace(scenario.options, product=rules.product)
        scenario = replace(scenario, options=options)
    report_corrections(scenario.topology)
    return scenario.plan


def _find_product_path(options_file: str, product: str) -> str:
    """Return the path of a product file that is specified relative to an options file."""
    return str(Path(options_file).parent / product) if product.endswith(".toml") else product


def find_product_file(product: str | None, options_file: str | None) -> str:
    """Return the path of the user's product file, or "" if the product is built in."""
    from ..plan.options import PlanOptions

    if product is None and options_file is not None:
        product = _find_product_path(
            options_file, PlanOptions.from_toml(Path(options_file)).product
        )
    return product if product and product.endswith(".toml") else ""


def find_document_product(table: Topology) -> str:
    """Return the product of a topology document, if lyncnb has rules for the product."""
    from ..rules.rule_files import list_products

    if table.product and table.product not in list_products():
        write_note(
            f"note: lyncnb has no rules for {table.product}, so it applies the rules for "
            "another product. To select a product, specify --product with one of these names: "
            f"{', '.join(list_products())}"
        )
        return ""
    return table.product


class WholeNumber(click.IntRange):
    """A whole number in a range, with an error message for users."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert text to a whole number in the range, or report an error to the user."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            limits = (
                f"of at least {self.min}" if self.max is None else f"from {self.min} to {self.max}"
            )
            self.fail(f"{shown(str(value))} is not a whole number {limits}", param, ctx)


def parse_date(text: str | None) -> date | None:
    """Convert text such as ``2027-03-15`` to a date, or return None if the text is None.

    Raises
    ------
    UsageProblem
        If the text is not a date.
    """
    from datetime import date

    from ..errors import UsageProblem

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageProblem(
            f'"{text}" is not a date', hint="enter the date in the format 2027-03-15"
        ) from None


def _note_unused_options(topology: str) -> None:
    from ..plan.plan_toml import OPTIONS_FILE, build_options_path

    path = Path(topology)
    for unused in dict.fromkeys((build_options_path(path), path.with_name(OPTIONS_FILE))):
        if unused.is_file():
            write_note(
                f"note: lyncnb did not use {unused}. To use this file, add --options {unused}"
            )


def report_corrections(table: Topology) -> None:
    """Report the corrections that lyncnb made in a topology. A long list is shortened."""
    from ..base.dns_name import INTERNATIONAL
    from ..base.shown.tables import join_first_texts

    encoded = [item for item in table.notes if item.message.startswith(INTERNATIONAL)]
    notes = [item for item in table.notes if not item.message.startswith(INTERNATIONAL)]
    for item in notes[:_NOTES_SHOWN]:
        separator = " " if item.row or item.column else ": "
        write_note(f"note: {table.source}{separator}{item}")
    if len(notes) > _NOTES_SHOWN:
        write_note(
            f"note: lyncnb changed {len(notes) - _NOTES_SHOWN:,} more values in a similar way"
        )
    if encoded:
        names = join_first_texts([f"{n.before} as {n.after}" for n in encoded], _NOTES_SHOWN)
        write_note(f"note: {table.source}: lyncnb encodes internationalized names: {names}")


def get_passphrase(
    passphrase_file: str | None, *, is_new: bool = False, default: Sequence[str] = ()
) -> Secret:
    """Ask for the passphrase of a request folder, or read it from the given file.

    Parameters
    ----------
    passphrase_file : str or None
        Path of a file whose first line is the passphrase.
    is_new : bool, optional
        Whether the folder is new. lyncnb then asks for the passphrase twice.
    default : sequence of str, optional
        Words in the plan. A new passphrase must not consist of them.

    Returns
    -------
    Secret
        A passphrase of at least 12 characters.
    """
    from ..pki.passphrase import ask_passphrase

    return ask_passphrase(confirm=is_new, file=passphrase_file, known=default)


def parse_reasons(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    """Return the reasons by finding code, from arguments of the form CODE=REASON."""
    reasons = {}
    for value in values:
        code, sign, reason = (part.strip() for part in value.partition("="))
        if not (code and sign and reason):
            raise click.BadParameter(
                f'"{value}" is not in the form CODE=REASON, where REASON says why the finding '
                "is acceptable"
            )
        reasons[code] = reason
    return reasons


def list_protected_files(*paths: str | None) -> tuple[str | Path, ...]:
    """Return the files that no output may replace: input files and the files of scenarios."""
    from ..plan.scenarios import list_scenario_files

    input_paths = [path for path in paths if path]
    return (*input_paths, *(file for path in input_paths for file in list_scenario_files(path)))


def expand_patterns(files: tuple[str, ...]) -> list[str]:
    """Expand the patterns in file names, because Windows shells do not expand them."""
    if os.name != "nt":
        return list(files)
    return [path for name in files for path in (glob.glob(name) or [name])]


def ask_pfx_password(name: str) -> Secret | None:
    """Ask for the password of a PFX file from a CA's portal.

    If standard input is not a terminal, return None.
    """
    from ..pki.passphrase import Secret

    if not is_terminal(sys.stdin):
        return None
    question = f"Enter the password of {name}"
    return Secret(click.prompt(question, hide_input=True, default="", err=True, show_default=False))


def is_saved_plan_file(path: str) -> bool:
    """Return whether a file is a saved plan, according to its first bytes."""
    from ..base.disk.files import open_plain
    from ..errors import LyncnbError
    from ..plan.saved_plan_json import is_saved_plan

    try:
        with open_plain(path) as file:
            return is_saved_plan(file.read(200))
    except (OSError, ValueError, LyncnbError):
        return False


def load_product(product: str | None, expected_product: str, path: str) -> None:
    """Load the user's product file, so that lyncnb recognizes the name of the product.

    Parameters
    ----------
    product : str or None
        The value of ``--product``. None loads nothing.
    expected_product : str
        The product of the folder or saved plan.
    path : str
        The path of the folder or saved plan, for the message.

    Raises
    ------
    click.UsageError
        If the file defines another product.
    RulesError
        If the file cannot be read.
    """
    from ..rules.rule_files import load_rules

    if product is not None and load_rules(product).product != expected_product:
        raise click.UsageError(
            f'--product specifies a different product; the product of "{path}" is '
            f'"{expected_product}"'
        )


def ask_about_other_deployment(
    plan: CertificatePlan, folder: str, reason: str, *, has_purpose: bool
) -> None:
    """Ask for consent if the folder belongs to another deployment, unless there is a reason.

    ``has_purpose`` means that the reason also has another purpose in this run.
    """
    from ..export.other_deployment import compare_deployments

    other = compare_deployments(plan, folder)
    if other is None:
        if reason and not has_purpose:
            raise click.UsageError(
                "--reason is the reason for a renewal, so it needs --renew; the folder does not "
                "contain the requests of another deployment"
            )
        return
    write_note(f"note: {other.description}")
    is_agreed = bool(reason)
    if not is_agreed and is_terminal(sys.stdin):
        is_agreed = click.confirm(f"{other.consent_text}?", err=True)
    if not is_agreed:
        raise BundleError(
            "no files were written",
            hint="choose a different folder for this plan, or retire the requests in "
            f"{folder}: --reason TEXT",
        )
