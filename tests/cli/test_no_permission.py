"""A request folder that the user may not read."""

from __future__ import annotations

import pytest
from folders import PASSPHRASE, make_folder, make_plan, snapshot
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

from lyncnb.base.disk.system_calls import find_user_id

pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("quick_cipher")]

ASKED = ("--passphrase-file", "passphrase")
#: Every command that reads or writes a request folder.
FOLDER_COMMANDS = (
    ("status", "requests"),
    ("status", "requests", "--history"),
    ("status", "requests", "--rebuild", *ASKED),
    ("request", "t.csv", "requests", "--dry-run"),
    ("request", "t.csv", "requests", *ASKED),
    ("renew", "requests", "--due", "--reason", "x", *ASKED),
    ("handover", "requests", "out.zip"),
    ("receive", "requests", "t.csv"),
    ("pfx", "requests", *ASKED),
    ("steps", "requests"),
    ("deployed", "requests"),
    ("rekey", "requests", *ASKED),
    ("purge", "requests"),
    ("compare", "requests", "t.csv"),
    ("forecast", "requests"),
    ("probe", "requests"),
    ("trust", "requests"),
)
# The user root may read everything, unless the process gives up these two capabilities.
AS_ORDINARY_USER = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if find_user_id() == 0 else ()
)


shell = pytest.fixture(make_shell)


def test_folder_without_permission_is_named_as_such(shell):
    """If the user may not read the folder, every command says so, and no command says that the
    folder is damaged, or that it would create requests.
    """
    folder = make_folder(shell.folder / "requests", make_plan()).folder
    shell.write("t.csv", TWO_FRONT_ENDS)
    shell.write("passphrase", PASSPHRASE)
    before = snapshot(folder, but_lock=True)
    folder.chmod(0)
    try:
        results = {
            command: shell.process(*command, prefix=AS_ORDINARY_USER) for command in FOLDER_COMMANDS
        }
    finally:
        folder.chmod(0o700)
    others = {
        command: result
        for command, result in results.items()
        if result.status != 3
        or "Permission denied" not in result.err
        or "hint: you do not have permission. Ask the owner" not in result.err
        or result.out
    }
    assert others == {}
    assert snapshot(folder, but_lock=True) == before
