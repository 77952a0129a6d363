"""The command that approves a saved plan."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .inputs import force_option, json_option
from .output import note, write, write_json

if TYPE_CHECKING:
    from ..checks.saved_plan import SavedPlan

_LINES_SHOWN = 200


@click.command("approve")
@click.argument("saved_plan", metavar="FILE")
@click.option(
    "--key", required=True, metavar="ID",
    help="File of the SSH key to sign with, e.g. ~/.ssh/id_ed25519, or the .pub file of one that an"
    " agent holds. ssh-keygen asks for its passphrase.",
)  # fmt: skip
@click.option(
    "--confirm", metavar="DIGEST",
    help="Sign only the plan of this SHA-256, or of one that begins so (12 digits at least). Needed"
    " where there is no terminal to ask at.",
)  # fmt: skip
@click.option("--product", metavar="NAME", help="Rules of your own (FILE.toml) of which it is.")
@force_option
@json_option
def approve_command(
    saved_plan: str,
    key: str,
    confirm: str | None,
    product: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Approve the saved plan FILE: sign it with an SSH key, into FILE.sig.

    FILE is planned again first. You see its certificates and its digest, and are asked whether to
    sign; --confirm DIGEST answers that. Without lyncnb the same is done by: ssh-keygen -Y sign -n
    lyncnb-plan -f ID FILE. Then: lyncnb request --plan FILE --approved-by SIGNERS FOLDER.

    Exit status: 0; 1 if FILE is outdated or not what is confirmed, or the key does not sign;
    2 if FILE was altered or cannot be read.
    """
    from ..base.shown.tables import count_of
    from ..checks.saved_plan import read_saved_plan
    from ..export.approve_plan import approve_plan
    from ..plan.totals import totals
    from ..rules.rule_files import load_rules

    if product is not None:
        load_rules(product)  # known from then on
    if confirm is None:
        confirm = _confirmed(read_saved_plan(saved_plan))
        if not confirm:
            note("nothing was signed")
            return 1
    approved = approve_plan(saved_plan, key=key, force=force, digest=confirm)
    saved = approved.plan
    if as_json:
        document = {"signature": str(approved.path), "key": approved.key, "sha256": saved.sha256}
        write_json({"format": "lyncnb-approval/1", **document})
        return 0
    write(totals(saved.plan, saved.findings))
    write(saved.identity)
    write(str(approved))
    if saved.open_errors:
        count = count_of(len(saved.open_errors), "error")
        note(f"note: {count} without a reason to accept: as it is, request refuses this plan")
    return 0


def _confirmed(saved: SavedPlan) -> str:
    """Show a plan at a terminal; give its digest if the answer is yes, else nothing."""
    from ..errors import ApprovalError

    if sys.stdin is None or not sys.stdin.isatty():
        raise ApprovalError(
            f"{saved.identity}: nobody has confirmed this plan, and there is no terminal to ask at",
            hint=f"read the plan, then: {saved.approve_line} --confirm {saved.sha256}",
        )
    for one in saved.plan.certificates[:_LINES_SHOWN]:
        note(f"{one.id}: {one.subject.common_name}, {one.issuer}, {one.key}")
    if len(saved.plan.certificates) > _LINES_SHOWN:
        note(f"… and {len(saved.plan.certificates) - _LINES_SHOWN:,} more")
    note(saved.identity)
    answer = click.prompt("Sign this plan? Type yes", default="no", err=True)
    return saved.sha256 if answer.strip().lower() == "yes" else ""


COMMANDS = (approve_command,)
