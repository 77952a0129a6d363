"""Define the command ``approve``, which approves a saved plan."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..base.terminal import is_terminal, quote_argument
from .inputs import add_force_option, add_json_option
from .output import write_json, write_lines, write_next_steps, write_note

if TYPE_CHECKING:
    from ..checks.saved_plan import SavedPlan

_LINES_SHOWN = 200


@click.command("approve")
@click.argument("saved_plan", metavar="FILE")
@click.option(
    "--key", required=True, metavar="ID",
    help=("Path of the SSH key that signs the plan, for example ~/.ssh/id_ed25519. For a key in an "
         "SSH agent: path of the .pub file. ssh-keygen prompts for the passphrase."),
)  # fmt: skip
@click.option(
    "--confirm", metavar="DIGEST",
    help="SHA-256 digest of the plan to sign, or at least the first 12 digits of the digest. "
         "Required if there is no terminal.",
)  # fmt: skip
@click.option(
    "--product",
    metavar="NAME",
    help="FILE.toml that defines your own product, if the plan uses this product.",
)
@add_force_option
@add_json_option
def approve_command(
    saved_plan: str,
    key: str,
    confirm: str | None,
    product: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Approve the saved plan FILE: sign it with an SSH key, and write the signature to FILE.sig.

    lyncnb first computes the plan in FILE again. lyncnb then shows the certificates and the
    digest, and asks you whether to sign the plan. With --confirm DIGEST, lyncnb does not ask.

    \b
    To sign without lyncnb:
      ssh-keygen -Y sign -n lyncnb-plan -f ID FILE

    Exit status: 0 the plan is signed; 1 if FILE is outdated, DIGEST does not match, or the
    key does not sign; 2 if FILE was altered or cannot be read.
    """  # noqa: D301  (click keeps the lines below the backspace character)
    from ..base.shown.tables import format_count
    from ..checks.saved_plan import read_saved_plan
    from ..export.approve_plan import approve_plan
    from ..plan.totals import format_totals
    from ..rules.rule_files import load_rules

    if product is not None:
        # A product file from the user must be loaded before the plan, because the plan may use its
        # roles.
        load_rules(product)
    if confirm is None:
        confirm = _confirm_digest(read_saved_plan(saved_plan))
        if not confirm:
            write_note("The plan is not signed.")
            return 1
    approved = approve_plan(saved_plan, key=key, force=force, digest=confirm)
    saved = approved.plan
    if as_json:
        document = {"signature": str(approved.path), "key": approved.key, "sha256": saved.sha256}
        write_json({"format": "lyncnb-approval/1", **document})
        return 0
    write_lines(format_totals(saved.plan, saved.findings), saved.identity, str(approved))
    if saved.open_errors:
        number = format_count(len(saved.open_errors), "error")
        write_note(
            f"note: the plan has {number} that are not accepted, so lyncnb request will refuse "
            "the plan"
        )
    else:
        path = quote_argument(saved_plan)
        write_next_steps(
            f"Write the requests of the approved plan: lyncnb request --plan {path} "
            "--approved-by SIGNERS FOLDER"
        )
    return 0


def _confirm_digest(saved_plan: SavedPlan) -> str:
    """Show the plan, and ask whether to sign it. Return its digest, or "" if the answer is no."""
    from ..errors import ApprovalError

    if not is_terminal(sys.stdin):
        raise ApprovalError(
            (
                f"{saved_plan.identity}: you did not confirm the plan, and lyncnb cannot prompt "
                "for confirmation without a terminal"
            ),
            hint=(
                f"read the plan, then run: {saved_plan.approval_command} "
                f"--confirm {saved_plan.sha256}"
            ),
        )
    for planned in saved_plan.plan.certificates[:_LINES_SHOWN]:
        write_note(f"{planned.id}: {planned.subject.common_name}, {planned.issuer}, {planned.key}")
    if len(saved_plan.plan.certificates) > _LINES_SHOWN:
        write_note(f"… and {len(saved_plan.plan.certificates) - _LINES_SHOWN:,} more certificates")
    write_note(saved_plan.identity)
    answer = click.prompt("To sign this plan, type yes", default="no", err=True)
    return saved_plan.sha256 if answer.strip().lower() == "yes" else ""


COMMANDS = (approve_command,)
