"""The command that approves a saved plan."""

from __future__ import annotations

import click

from .inputs import force_option, json_option
from .output import note, write, write_json


@click.command("approve")
@click.argument("saved_plan", metavar="FILE")
@click.option(
    "--key", required=True, metavar="ID",
    help="File of the SSH key to sign with, e.g. ~/.ssh/id_ed25519, or the .pub file of one that an"
    " agent holds. ssh-keygen asks for its passphrase.",
)  # fmt: skip
@click.option("--product", metavar="NAME", help="Rules of your own (FILE.toml) of which it is.")
@force_option
@json_option
def approve_command(
    saved_plan: str, key: str, product: str | None, force: bool, as_json: bool
) -> int:
    """Approve the saved plan FILE: sign it with an SSH key, into FILE.sig.

    FILE is planned again first. Without lyncnb the same is done by: ssh-keygen -Y sign -n
    lyncnb-plan -f ID FILE. Then: lyncnb request --plan FILE --approved-by SIGNERS FOLDER.

    Exit status: 0; 1 if FILE is not what is planned again, or the key does not sign; 2 if FILE
    cannot be read.
    """
    from ..base.tables import count_of
    from ..export.approve_plan import approve_plan
    from ..plan.summary_from_plan import totals
    from ..rules.rule_files import load_rules

    if product is not None:
        load_rules(product)  # known from then on
    approved = approve_plan(saved_plan, key=key, force=force)
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


COMMANDS = (approve_command,)
