"""A trace of system calls shows that lyncnb opens no network connection in any command from
planning to the deployment steps.

``test_odd_servers.py`` has the counter-test: there, the same trace shows the connections of a
probe.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from folders import PASSPHRASE
from places import DATA, REPOSITORY

COMMANDS = """
plan contoso.csv --save saved.json
plan contoso.csv -o plan.html
plan contoso.csv -o plan.xlsx
check contoso.csv
explain contoso.csv fe01.contoso.net
convert contoso.csv other.xlsx
compare contoso.csv saved.json
forecast contoso.csv --on 2027-01-15
trust contoso.csv -o trust.html
request contoso.csv requests
status requests
handover requests public.zip --issuer public
ANSWER
receive requests answers
pfx requests
steps requests
deployed requests
asis answers contoso.csv
renew requests dir01.contoso.net --reason moved --withdraw
purge requests
"""
_RUN = """
import sys
import lyncnb as ln
from folders import quick_keys
from lyncnb.cli import main

with quick_keys():
    for line in sys.argv[1].split("\\n"):
        if line == "ANSWER":
            ln.demo.answer(ln.open_requests("requests"), "answers")
        elif line:
            status = main(line.split())
            assert status in (0, 1), line
"""


@pytest.mark.posix
@pytest.mark.tools
@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
def test_no_command_from_the_plan_to_the_steps_opens_a_connection(tmp_path):
    """A trace of their system calls shows that the commands from planning to the deployment steps
    connect to no network address.
    """
    shutil.copy(DATA / "contoso.csv", tmp_path)
    trace = tmp_path / "trace"
    completed = subprocess.run(
        ["strace", "-f", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", trace,
         sys.executable, "-c", _RUN, COMMANDS],
        cwd=tmp_path,
        env={
            **os.environ,
            "LYNCNB_PASSPHRASE": PASSPHRASE,
            "PYTHONPATH": str(REPOSITORY / "tests"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    assert list((tmp_path / "requests" / "pfx").glob("*.pfx"))
    assert [line for line in trace.read_text().splitlines() if "AF_INET" in line] == []
