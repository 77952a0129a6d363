"""Define the command ``recovery``, which creates a recovery key."""

from __future__ import annotations

import click

from ..base.terminal import quote_argument
from .inputs import add_json_option, get_passphrase
from .output import write_json, write_lines, write_next_steps


@click.command("recovery")
@click.argument("what", metavar="new", type=click.Choice(["new"]))
@click.argument("file", metavar="FILE")
@click.option(
    "--passphrase-file",
    metavar="FILE",
    help=(
        "File whose first line is the passphrase of the recovery key. Do not use the "
        "passphrase of a request folder. By default, lyncnb uses the environment variable "
        "LYNCNB_PASSPHRASE, or prompts for the passphrase."
    ),
)
@add_json_option
def recovery_command(what: str, file: str, passphrase_file: str | None, as_json: bool) -> int:
    """Create a recovery key: FILE contains the private key, and FILE.pub the public key.

    FILE.html is a recovery sheet to print: what the key opens, how to use it, and lines to
    fill in. It contains no secret.

    FILE opens every request folder to which you added FILE.pub, even if the folder's
    passphrase is lost. FILE has a separate passphrase. Keep FILE in a different location from
    the folders.

    Exit status: 0 success; 2 if FILE exists already; 3 if the passphrase is refused.
    """
    from ..base.disk.outputs import reject_reserved_path
    from ..request_folder.recovery_key import create_recovery_key

    reject_reserved_path(file)
    del what  # The only valid value of the argument is "new".
    public = create_recovery_key(file, get_passphrase(passphrase_file, is_new=True))
    if as_json:
        write_json({"format": "lyncnb-recovery/1", "fingerprint": public.fingerprint})
        return 0
    write_lines(
        f"{file} is the private half of the recovery key. Keep it safe. {file}.pub is "
        "the public half."
    )
    write_lines(
        f"{file}.html is the recovery sheet, which contains no secrets. Print it and fill it in."
    )
    write_lines(f"The fingerprint is {public.fingerprint}")
    half = quote_argument(f"{file}.pub")
    write_next_steps(f"Add the recovery key to a folder: lyncnb rekey FOLDER --recovery {half}")
    return 0


COMMANDS = (recovery_command,)
