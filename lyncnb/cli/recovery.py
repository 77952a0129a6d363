"""The command that makes a recovery key, and what other commands do with one."""

from __future__ import annotations

import click

from .inputs import get_passphrase, json_option
from .output import note, write, write_json


@click.command("recovery")
@click.argument("what", metavar="new", type=click.Choice(["new"]))
@click.argument("file", metavar="FILE")
@click.option(
    "--passphrase-file",
    metavar="FILE",
    help="File whose first line becomes the passphrase of the recovery key, not of a folder. "
    "Without it the variable LYNCNB_PASSPHRASE counts, then you are asked.",
)
@json_option
def recovery_command(what: str, file: str, passphrase_file: str | None, as_json: bool) -> int:
    """Make a recovery key: FILE to keep, FILE.pub to hand out.

    FILE opens every request folder that FILE.pub was named for, also when its passphrase is lost.
    It stands under a passphrase of its own; keep it where the folders are not.

    Exit status: 0; 2 if a file of that name is there; 3 if the passphrase will not do.
    """
    from ..base.disk.outputs import refuse_own_place
    from ..request_folder.recovery_key import new_recovery_key

    refuse_own_place(file)
    del what  # the one choice there is
    public = new_recovery_key(file, get_passphrase(passphrase_file, is_new=True))
    if as_json:
        write_json({"format": "lyncnb-recovery/1", "fingerprint": public.fingerprint})
        return 0
    write(f"{file}: the half to keep; {file}.pub: the half to hand out")
    write(f"fingerprint {public.fingerprint}")
    note(f"note: name it for a folder: lyncnb rekey FOLDER --recovery {file}.pub")
    return 0


COMMANDS = (recovery_command,)
