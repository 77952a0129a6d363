"""Every way to requests obeys the same rules: the shell, a saved plan, scripts for another computer,
the panel, the one-file page, and a renewal.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from folders import PASSPHRASE, digest
from page.page_requests import RefusedByPage, make_archive
from shell_kit import make_shell
from ssh_keys import make_key, needs_ssh_keygen, sign_by_hand
from topologies import TWO_FRONT_ENDS

import lyncnb as ln
from lyncnb.errors import LyncnbError
from lyncnb.widgets.background_job import FAILED
from lyncnb.widgets.request_panel import RequestPanel

shell = pytest.fixture(make_shell)
pytestmark = [pytest.mark.usefixtures("quick_cipher"), pytest.mark.tools, needs_ssh_keygen]

PASS = ("--passphrase-file", "passphrase")
OTHER = TWO_FRONT_ENDS.replace("contoso", "adatum")
#: A table with an error: the deployment has no dial-in URL.
WRONG = TWO_FRONT_ENDS.replace("https://dialin.contoso.com", "")
#: The same deployment with one server less.
SMALLER = "".join(TWO_FRONT_ENDS.splitlines(keepends=True)[:-1])


def _read(shell, table: str, options: str) -> ln.CertificatePlan:
    shell.write("plan.toml", options)
    return ln.plan_certificates(
        ln.read_topology(table.encode()),
        ln.load_rules(),
        options=ln.PlanOptions.from_toml(shell.folder / "plan.toml"),
    )


def _run(shell, *arguments: str) -> str:
    """Run a command, and return its error messages, or "" if it succeeded."""
    result = shell(*arguments)
    return result.err if result.status else ""


def by_request(shell, table: str, options: str, passphrase: str) -> str:
    """Write the requests of a table."""
    shell.write("t.csv", table)
    shell.write("plan.toml", options)
    shell.write("passphrase", passphrase)
    return _run(shell, "request", "t.csv", "requests", "--options", "plan.toml", *PASS)


def by_saved_plan(shell, table: str, options: str, passphrase: str) -> str:
    """Save a plan, and write its requests."""
    shell.write("t.csv", table)
    shell.write("plan.toml", options)
    shell.write("passphrase", passphrase)
    shell("plan", "t.csv", "--options", "plan.toml", "--save", "p.json", "--force")
    return _run(shell, "request", "--plan", "p.json", "requests", *PASS)


def by_steps(shell, table: str, options: str, passphrase: str) -> str:
    """Write scripts that create the requests on another computer."""
    del passphrase
    shell.write("t.csv", table)
    shell.write("plan.toml", options)
    return _run(
        shell, "steps", "t.csv", "--options", "plan.toml", "--request-on-server", "-o", "requests"
    )


def by_panel(shell, table: str, options: str, passphrase: str) -> str:
    """Press the button of the request panel."""
    panel = RequestPanel(_read(shell, table, options), shell.folder / "requests")
    try:
        panel.start(passphrase)
    except LyncnbError as error:
        return str(error)
    panel.wait()
    state = panel.job.state
    return " ".join(state.lines) if state.name == FAILED else ""


def by_scripts_of_panel(shell, table: str, options: str, passphrase: str) -> str:
    """Press the button of the request panel that writes scripts for another computer."""
    del passphrase
    panel = RequestPanel(_read(shell, table, options), shell.folder / "requests")
    try:
        panel.write_scripts()
    except LyncnbError as error:
        return str(error)
    return ""


def by_page(shell, table: str, options: str, passphrase: str) -> str:
    """Create the archive of the one-file page, which is always a new folder."""
    plan = _read(shell, table, options)
    try:
        made = make_archive(plan, passphrase=passphrase, findings=ln.check_plan(plan))
    except (LyncnbError, RefusedByPage) as error:
        return str(error)
    (shell.folder / "requests.zip").write_bytes(made.archive)
    return ""


def by_rekey(shell, table: str, options: str, passphrase: str) -> str:
    """Change the passphrase of a folder."""
    shell.write("passphrase", PASSPHRASE)
    shell.write("new", passphrase)
    if not (shell.folder / "requests").exists():
        assert by_request(shell, table, options, PASSPHRASE) == ""
    return _run(shell, "rekey", "requests", *PASS, "--new-passphrase-file", "new")


NEW = (by_request, by_saved_plan, by_steps, by_panel, by_scripts_of_panel, by_page)
AGAIN = (by_request, by_saved_plan, by_steps, by_panel, by_scripts_of_panel)
Way = Callable[..., str]


@pytest.mark.parametrize("way", NEW)
def test_an_error_must_be_accepted(shell, way: Way):
    """No way writes requests while the plan has an error that nobody has accepted."""
    words = way(shell, WRONG, "", PASSPHRASE)
    assert "dialin-url-missing" in words
    assert not (shell.folder / "requests").exists()
    assert not (shell.folder / "requests.zip").exists()
    assert way(shell, TWO_FRONT_ENDS, "", PASSPHRASE) == ""


@pytest.mark.parametrize("way", [by_request, by_saved_plan, by_panel, by_page, by_rekey])
@pytest.mark.parametrize(("weak", "words"), [("short", "12"), ("fe01.contoso.net", "guess")])
def test_a_passphrase_must_be_strong(shell, way: Way, weak: str, words: str):
    """No way takes a new passphrase that is short, or that stands in the plan."""
    assert words in way(shell, TWO_FRONT_ENDS, "", weak)
    assert way(shell, TWO_FRONT_ENDS, "", f"another {PASSPHRASE}") == ""


@pytest.mark.parametrize("way", AGAIN)
def test_another_deployment_needs_consent(shell, way: Way):
    """No way retires the requests of another deployment without consent."""
    assert way(shell, TWO_FRONT_ENDS, "", PASSPHRASE) == ""
    before = digest(shell.folder / "requests")
    assert "another deployment" in way(shell, OTHER, "", PASSPHRASE)
    assert digest(shell.folder / "requests") == before


@pytest.mark.parametrize("way", AGAIN)
def test_another_plan_needs_an_approval(shell, way: Way):
    """After a plan was approved, no way writes another plan to its folder."""
    shell.write("t.csv", TWO_FRONT_ENDS)
    shell.write("passphrase", PASSPHRASE)
    shell("plan", "t.csv", "--save", "approved.json")
    shell.write("signers", f"alice@contoso.com {make_key(shell.folder / 'alice')}\n")
    sign_by_hand(shell.folder / "alice", shell.folder / "approved.json")
    arguments = ("request", "--plan", "approved.json", "--approved-by", "signers", "requests")
    assert _run(shell, *arguments, *PASS) == ""
    before = digest(shell.folder / "requests")
    words = way(shell, SMALLER, "", PASSPHRASE)
    assert "alice@contoso.com approved the plan" in words
    assert digest(shell.folder / "requests") == before
