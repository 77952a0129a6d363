"""On the command line, a user can save, compare and request a plan, and the status command compares
a plan with a request folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re

import pytest
from cas.python_ca import PythonCa, pem
from folders import (
    PASSPHRASE,
    issue_all,
    put_back,
    read_document,
    read_entries,
)
from printing import remove_break_marks
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS, TWO_SITES

from lyncnb.base.terminal import quote_argument
from lyncnb.plan.saved_plan_json import encode_saved_plan
from lyncnb.request_folder.bundle import open_requests
from lyncnb.rules import rule_files

shell = pytest.fixture(make_shell)
pytestmark = pytest.mark.usefixtures("quick_cipher")

PASS = ("--passphrase-file", "passphrase")


@pytest.fixture
def planner(shell):
    """Write a table, a passphrase file, and the saved plan of the table."""
    shell.write("t.csv", TWO_FRONT_ENDS)
    shell.write("passphrase", PASSPHRASE)
    assert shell("plan", "t.csv", "--save", "p.json").status == 0
    return shell


def alter(planner, old, new, name="p.json"):
    path = planner.folder / name
    data = path.read_bytes()
    assert old.encode() in data
    path.write_bytes(data.replace(old.encode(), new.encode()))


def alter_with_digest(planner, old, new):
    """Alter the saved plan, and calculate its digest again."""
    alter(planner, old, new)
    path = planner.folder / "p.json"
    head = path.read_text("utf-8").rpartition('"sha256": "')[0]
    digest = hashlib.sha256(head.encode()).hexdigest()
    path.write_bytes(f'{head}"sha256": "{digest}"\n}}\n'.encode())


def test_plan_is_saved_with_its_digest(planner):
    """The command that saves a plan prints the digest and the command that signs the plan.

    The same plan gives the same file on any date.
    """
    first = (planner.folder / "p.json").read_bytes()
    result = planner("plan", "t.csv", "--save", "p.json", "--json")
    assert json.loads(result.out)["format"] == "lyncnb-plan/1"
    assert f"SHA-256 {hashlib.sha256(first).hexdigest()}" in result.err
    assert "ssh-keygen -Y sign -n lyncnb-plan -f KEY p.json" in result.err
    assert (planner.folder / "p.json").read_bytes() == first
    day = json.loads(first)["judged_on"]
    planner("plan", "t.csv", "--on", day, "--save", "again.json")
    assert (planner.folder / "again.json").read_bytes() == first
    planner("plan", "t.csv", "--on", "2027-03-15", "--save", "later.json")
    assert json.loads((planner.folder / "later.json").read_bytes())["judged_on"] == "2027-03-15"


def test_one_name_for_two_files(planner):
    """If the JSON output and the saved plan have the same file name, the call is rejected, even
    with --force.
    """
    before = (planner.folder / "p.json").read_bytes()
    for force in ((), ("--force",)):
        result = planner("plan", "t.csv", "--save", "p.json", "-o", "p.json", *force)
        assert result.status == 2
        assert (planner.folder / "p.json").read_bytes() == before
    assert planner("plan", "t.csv", "--save", "new.json", "-o", "./new.json").status == 2
    # The command rejects the duplicate file name before it writes any file.
    assert not (planner.folder / "new.json").exists()


@pytest.mark.parametrize("extension", ["html", "md"])
def test_document_for_the_approver_contains_the_digest(planner, extension):
    """With --save, the document for the approver contains the digest and the signing command.
    Without --save, it contains neither.
    """
    page = planner.folder / f"p.{extension}"
    planner("plan", "t.csv", "-o", page)
    assert "ssh-keygen" not in page.read_text("utf-8")
    planner("plan", "t.csv", "--save", "p.json", "-o", page)
    text = remove_break_marks(page.read_text("utf-8")).replace("\\", "")
    assert "ssh-keygen -Y sign -n lyncnb-plan -f KEY p.json" in text
    assert hashlib.sha256((planner.folder / "p.json").read_bytes()).hexdigest() in text
    assert "not who approved the plan" in text


def test_request_from_a_saved_plan_is_recorded(planner):
    """The request folder for a saved plan equals the folder for its table, and the manifest
    contains the digest of the plan once.
    """
    result = planner("request", "--plan", "p.json", "requests", *PASS)
    assert (result.status, result.err) == (0, "")
    assert "3 requests in the folder requests: 3 created" in result.out
    manifest = read_entries(planner.folder / "requests")
    (on_record,) = read_document(planner.folder / "requests")["plans"]
    assert on_record["sha256"] == json.loads((planner.folder / "p.json").read_bytes())["sha256"]
    assert on_record["approvals"] == []
    assert planner("request", "--plan", "p.json", "requests", *PASS).status == 0
    assert planner("request", "t.csv", "requests", *PASS).status == 0
    assert read_entries(planner.folder / "requests") == manifest


def test_an_altered_plan_is_refused(planner):
    """An altered plan is rejected with exit status 2, and the message contains each altered name.

    No folder is created, and no passphrase is asked.
    """
    alter(planner, '"web.contoso.com"', '"evil.contoso.com"')
    for arguments in (("--dry-run",), PASS):
        result = planner("request", "--plan", "p.json", "requests", *arguments)
        assert result.status == 2
        assert result.out == ""
        assert "changed after it was saved" in result.err
        assert not (planner.folder / "requests").exists()
    document = json.loads(planner("request", "--plan", "p.json", "requests", "--json").out)
    assert document["error"]["code"] == "plan-altered"
    assert len(document["error"]["problems"]) >= 1


def test_plan_with_errors_is_saved_but_not_requested(planner):
    """A plan with errors can be saved. The request command accepts the plan only if it contains a
    reason for accepting each error.
    """
    planner.write("e.csv", TWO_FRONT_ENDS.replace("web.contoso.com", "web.contoso.local"))
    planner.write("o.toml", '[issuer]\nall = "public"\n')
    assert planner("plan", "e.csv", "--options", "o.toml", "--save", "e.json").status == 1
    result = planner("request", "--plan", "e.json", "requests", *PASS)
    assert result.status == 1
    codes = set(re.findall(r"\((.*)\), so lyncnb wrote nothing", result.err)[0].split(", "))
    reasons = "".join(f'{code} = "a test"\n' for code in codes)
    planner.write("o.toml", f'[issuer]\nall = "public"\n[accepted]\n{reasons}')
    planner("plan", "e.csv", "--options", "o.toml", "--save", "e.json")
    assert planner("request", "--plan", "e.json", "requests", *PASS).status == 0


def test_plan_for_a_custom_product(planner):
    """A plan for a custom product can be requested and compared if the product's file is available."""
    text = 'extends = "lync2013"\nproduct = "mine_saved"\ntitle = "Mine"\n'
    planner.write("mine.toml", text)
    for arguments in (
        ("plan", "t.csv", "--product", "mine.toml", "--save", "m.json"),
        ("request", "--plan", "m.json", "--product", "mine.toml", "requests", *PASS),
        ("compare", "m.json", "requests", "--product", "mine.toml"),
    ):
        assert planner.process(*arguments).status == 0, arguments
    # The next command uses no rules, so it needs no product file.
    result = planner.process("status", "requests", "-v")
    assert result.status == 0, result.err
    assert "as in the saved plan" in result.err
    result = planner.process("request", "--plan", "m.json", "requests", *PASS)
    assert result.status == 2
    assert 'no rules for the product "mine_saved"' in result.err
    role_section = '[[role]]\nid = "Mediation"\nhosted_by = []\n'
    planner.write("mine.toml", text + role_section)
    result = planner.process("request", "--plan", "m.json", "--product", "mine.toml", "r", *PASS)
    assert result.status == 1
    assert "the installed rules products/mine_saved.toml differ" in result.err


def test_expired_acceptance_in_a_saved_plan_is_reported(planner):
    """If the plan accepts an error only until a date, the request command reports the error again
    after that date. The plan itself has no open errors, so the next step is to write the requests.
    """
    planner.write("c.csv", TWO_FRONT_ENDS.replace("https://dialin.contoso.com", ""))
    planner.write(
        "o.toml",
        '[accepted]\ndialin-url-missing = "later"\n'
        "[accepted_until]\ndialin-url-missing = 2022-09-30\n",
    )
    arguments = ("plan", "c.csv", "--options", "o.toml", "--on", "2022-08-31", "--save", "o.json")
    result = planner(*arguments)
    assert (result.status, "accepted in plan.toml: later" in result.out) == (1, True), result
    assert "Next: Write the requests: lyncnb request --plan o.json FOLDER" in result.out
    result = planner("request", "--plan", "o.json", "requests", "--dry-run")
    assert "the plan has 1 new error (dialin-url-missing)\n" in result.err


def test_evaluation_date_of_a_saved_plan_is_used(planner):
    """For a saved plan, the request command applies the rules of the plan's evaluation date. It
    also reports the errors that the current rules would add.
    """
    planner.write("c.csv", TWO_FRONT_ENDS.replace(",web.contoso.com", ",1.2.0.192.in-addr.arpa"))
    planner.write("o.toml", '[issuer]\nall = "public"\n')
    planner("plan", "c.csv", "--options", "o.toml", "--on", "2022-08-31", "--save", "o.json")
    result = planner("request", "--plan", "o.json", "requests", "--dry-run")
    assert "is 2022-08-31. Under the rules in force on" in result.err
    assert "the plan has 2 new errors (reverse-zone-name-on-public-certificate)\n" in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("t.csv", "requests", "--plan", "p.json"), "specify only FOLDER"),
        (("requests", "--plan", "p.json", "--options", "o.toml"), "omit --options"),
        (("requests", "--plan", "p.json", "--product", "lync2010"), "lync2010"),
        (("requests",), "Missing argument 'FOLDER'"),
    ],
)
def test_saved_plan_excludes_other_inputs(planner, arguments, words):
    """A saved plan cannot be combined with a table, options or another product."""
    result = planner("request", *arguments)
    assert result.status == 2
    assert words in result.err


def test_status_shows_whether_the_folder_matches_the_plan(planner):
    """The status command shows whether the folder matches the saved plan.

    If the requests were created from a different plan, the status command reports that the folder
    needs attention.
    """
    planner("request", "--plan", "p.json", "requests", *PASS)
    result = planner("status", "requests", "-v")
    assert result.status == 0
    assert "3 requests as in the saved plan" in result.err
    assert "not approved" in result.err
    saved_plan = json.loads(planner("status", "requests", "--json").out)["saved_plan"]
    assert (saved_plan["agrees"], saved_plan["folder_follows"], saved_plan["requests"]) == (
        True,
        True,
        3,
    )
    planner.write("o.toml", "wildcard = true\n")
    planner("request", "t.csv", "requests", "--options", "o.toml", *PASS)
    result = planner("status", "requests")
    assert result.status == 3
    assert "the folder differs from the saved plan" in result.err
    saved_plan = json.loads(planner("status", "requests", "--json").out)["saved_plan"]
    assert not saved_plan["agrees"]
    assert planner("request", "--plan", "p.json", "requests", *PASS).status == 0
    assert planner("status", "requests").status == 0


def test_altered_record_differs_from_the_plan(planner):
    """If a name was added to the record of a request in the manifest, the status command reports
    that the record differs from the plan.
    """
    planner("request", "--plan", "p.json", "requests", *PASS)
    text = json.dumps(read_document(planner.folder / "requests"))
    altered = text.replace('"san": ["pool', '"san": ["x.contoso.com", "pool')
    put_back(planner.folder / "requests", json.loads(altered))
    result = planner("status", "requests")
    assert result.status == 3
    assert "the folder differs from the saved plan" in result.err


def test_saved_plan_can_be_compared(planner):
    """The compare command compares a saved plan with its table, a folder and another saved plan,
    and shows the cause of each difference.
    """
    planner("request", "--plan", "p.json", "requests", *PASS)
    for other in ("t.csv", "requests", "p.json"):
        assert planner("compare", "p.json", other).status == 0
        assert planner("compare", other, "p.json").status == 0
    planner.write("o.toml", "[key]\nbits = 4096\n")
    planner("plan", "t.csv", "--options", "o.toml", "--save", "q.json")
    result = planner("compare", "p.json", "q.json", "--json")
    assert result.status == 1
    assert "option" in result.out
    alter(planner, "fe02", "fe99", "q.json")
    result = planner("compare", "p.json", "q.json")
    assert result.status == 2
    assert "changed after it was saved" in result.err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '"san": ["pool',
            '"san": ["x.contoso.com", "pool',
            "only the file contains",
        ),
        ('"title": "', '"title": "0 of ', 'title: the file contains "0 of'),
    ],
)
def test_altered_plan_is_not_reported_as_other_rules(planner, old, new, words):
    """If a saved plan was altered and its digest was calculated again, the message does not say
    that the rules differ.
    """
    alter_with_digest(planner, old, new)
    result = planner("compare", "p.json", "t.csv")
    assert (result.status, result.out) == (2, "")
    assert words in result.err


def test_plan_with_other_rules_can_be_compared(planner):
    """If a plan was created with other rules, the compare command explains that the installed rules
    cannot create the same plan.
    """
    data = (planner.folder / "p.json").read_bytes()
    rules = json.loads(data)["rules"]["cas/*.toml"]
    alter_with_digest(planner, rules, "0" * 64)
    result = planner("compare", "p.json", "t.csv")
    assert result.status == 0
    assert "was planned with different rules" in result.err


def test_request_rejects_a_plan_with_other_rules(planner):
    """If a plan was created with other rules, lyncnb does not create its requests.

    The message lists the names that differ and the next step, and does not say that the plan was
    altered.
    """
    data = (planner.folder / "p.json").read_bytes()
    document = json.loads(data)
    document["rules"]["products/lync2013.toml"] = "0" * 64
    names = document["certificates"][0]["san"]
    removed_name = names.pop()
    text = encode_saved_plan({k: v for k, v in document.items() if k != "sha256"})
    (planner.folder / "p.json").write_bytes(text)
    result = planner("request", "--plan", "p.json", "requests")
    assert result.status == 1
    assert f'only the new plan contains "{removed_name}"' in result.err
    assert "save and approve the plan again" in result.err
    assert "altered" not in result.err
    assert not (planner.folder / "requests").exists()


def test_duplicate_id_is_rejected(planner):
    """lyncnb rejects a plan that contains the same ID twice, even if the plan was created with
    other rules.
    """
    data = (planner.folder / "p.json").read_text("utf-8")
    alter_with_digest(planner, json.loads(data)["rules"]["cas/*.toml"], "0" * 64)
    line = data[data.index('"certificates": [\n') :].splitlines()[1].removesuffix(",")
    alter_with_digest(planner, line, f"{line},\n{line}")
    result = planner("compare", "p.json", "t.csv")
    assert result.status == 2
    assert "appears twice" in result.err
    assert "its digest" not in result.err  # The digest of the saved plan is correct.


@pytest.mark.parametrize("product", ["../mine.toml", r"\\\\evil\\share\\mine.toml", "a b"])
@pytest.mark.parametrize("command", [["compare", "p.json", "t.csv"], ["approve", "p.json"]])
def test_path_of_a_product_is_rejected(planner, product, command):
    """The product in a saved plan must be a name, because a path could point to a file from an
    attacker.
    """
    planner.write("mine.toml", "wildcard = true\n")
    alter_with_digest(planner, '"product": "lync2013"', f'"product": "{product}"')
    options = ["--key", "k"] if command[0] == "approve" else []
    result = planner(*command, *options)
    assert (result.status, result.out) == (2, "")
    assert "is not a valid product name" in result.err


def test_file_name_that_begins_with_a_hyphen(planner):
    """If the name of the saved plan begins with a hyphen, the suggested command still treats it as
    a file name.
    """
    result = planner("plan", "t.csv", "--save=-p q.json")
    name = quote_argument(os.path.join(".", "-p q.json"))
    assert f"lyncnb approve {name} --key KEY" in result.err
    assert f"-f KEY {name}" in result.err


@pytest.mark.parametrize("day", ["9999-12-31", "9998-12-31"])
def test_last_dates_of_the_calendar(planner, day):
    """The last dates of the calendar are valid evaluation dates and planned issue dates."""
    planner.write("t.csv", TWO_SITES)
    assert planner("plan", "t.csv", "--on", day).status in (0, 1)
    planner.write("o.toml", f"planned_issue_date = {day}\nvalidity_days = 800\n")
    result = planner("plan", "t.csv", "--options", "o.toml", "-o", "t.svg", "--figure", "timeline")
    assert result.status in (0, 1), result.err


def run_in_new_process(planner, *arguments):
    """Run a command in a new process that has not loaded the custom product."""
    rule_files._custom_products.clear()
    return planner(*arguments)


def test_folder_of_a_custom_product(planner):
    """A request folder records the digest of its custom product's file. The pfx and steps commands
    reject any other product file.
    """
    text = 'extends = "lync2013"\nproduct = "mine_finished"\ntitle = "Mine"\n'
    planner.write("mine.toml", text)
    planner.write("other.toml", text.replace("mine_finished", "mine_other"))
    ours = ("--product", "mine.toml")
    assert run_in_new_process(planner, "request", "t.csv", "requests", *ours, *PASS).status == 0
    on_record = read_document(planner.folder / "requests")
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert (on_record["product"], on_record["product_sha256"]) == ("mine_finished", digest)
    bundle = open_requests(planner.folder / "requests")
    ca = PythonCa()
    planner.write("all.pem", pem(*issue_all(bundle, ca).values(), *ca.chain))
    assert run_in_new_process(planner, "receive", "requests", "all.pem").status == 0
    for command in (("pfx", "requests", *PASS), ("steps", "requests")):
        planner.write("mine.toml", text)
        result = run_in_new_process(planner, *command)
        assert (result.status, result.out) == (2, "")
        assert 'no rules for the product "mine_finished"' in result.err
        result = run_in_new_process(planner, *command, "--product", "other.toml")
        assert (result.status, result.out) == (2, "")
        assert 'the product of "requests" is "mine_finished"' in result.err
        # The plan is the same, but the server commands in the product's file may differ.
        planner.write("mine.toml", text + "# another file\n")
        result = run_in_new_process(planner, *command, *ours)
        assert (result.status, result.out) == (2, "")
        assert f"the folder was created with a file that has the SHA-256 {digest}" in result.err
        planner.write("mine.toml", text)
        result = run_in_new_process(planner, *command, *ours)
        assert result.status == 0, result.err
    planner.write("mine.toml", text + "# another file\n")
    keys = contents_of(planner.folder / "requests/keys")
    assert run_in_new_process(planner, "request", "t.csv", "requests", *ours, *PASS).status == 0
    assert contents_of(planner.folder / "requests/keys") == keys
    assert run_in_new_process(planner, "steps", "requests", *ours).status == 0


def contents_of(folder):
    """Return the content of every file in a folder, by file name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
