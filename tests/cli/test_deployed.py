"""The command `lyncnb deployed` records deployments, servers that left, and revocations, and undoes
a wrong record. Each test runs over the sample and a strange deployment.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from datetime import UTC, datetime, time, timedelta

import pytest
from cas.python_ca import PythonCa, pem
from folders import PASSPHRASE, copy_folder, issue_all, snapshot
from shell_kit import make_shell, process_environment
from strange import SAMPLE, choose_deployments
from strange.generations import write_generations

import lyncnb as ln
from lyncnb.request_folder.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")
shell = pytest.fixture(make_shell)

PASS = ("--passphrase-file", "passphrase")
TODAY = datetime.now(UTC).date()
#: The day on which the first certificates were installed.
FIRST = TODAY - timedelta(days=30)


@pytest.fixture(scope="module", params=[SAMPLE, *choose_deployments()], ids=str)
def installed(request, tmp_path_factory):
    """Write a request folder whose certificates are installed on all servers since `FIRST`.

    Return it with the arguments of its table.
    """
    folder = tmp_path_factory.mktemp("first") / "requests"
    return write_generations(request.param, folder, [FIRST]), request.param.arguments


@pytest.fixture
def planner(shell, installed):
    """Return a shell with a copy of the folder `installed`, and the file of its passphrase."""
    copy_folder(installed[0], shell.folder / "requests")
    shell.write("passphrase", PASSPHRASE)
    return shell


def requests_of(planner):
    """Return the records of the requests by id."""
    return read_manifest(planner.folder / "requests").by_id


def status_of(planner, *arguments):
    """Return the rows of the status by id, without superseded generations."""
    document = json.loads(planner("status", "requests", "--json", *arguments).out)
    return {row["id"]: row for row in document["requests"] if row["state"] != "superseded"}


def days_of(planner, server):
    """Return since when a server has which generation of its certificates, by id."""
    document = json.loads(planner("status", "requests", server, "--on", str(TODAY), "--json").out)
    return {
        generation["id"]: (generation["generation"], stay["since"])
        for generation in document["generations"]
        for stay in generation["stays"]
    }


def choose_server(planner):
    """Return a server and the ids of the certificates that only this server has."""
    records = requests_of(planner).values()
    shared = {s for r in records if r.plan.shared_by == "pool" for s in r.plan.servers}
    own = [r for r in records if r.plan.shared_by == "server" and r.plan.servers[0] not in shared]
    server = own[0].plan.servers[0]
    return server, sorted(r.id for r in records if r.plan.servers == (server,))


def renew(planner, *names):
    """Renew certificates up to the package, with certificates from another CA."""
    result = planner("renew", "requests", *names, "--reason", "a test", *PASS)
    assert result.status == 0, result.err
    bundle = ln.open_requests(planner.folder / "requests")
    waiting = {r.id for r in bundle.requests if r.issued is None}
    ca, begins = PythonCa(), datetime.combine(TODAY - timedelta(days=1), time(), UTC)
    skip = {r.id for r in bundle.requests} - waiting
    answers = issue_all(bundle, ca, skip=skip, begins=begins)
    planner.write("answer.pem", pem(*answers.values(), *ca.chain))
    accept = ("--accept", "issued-under-another-root=the CA is made anew for each test")
    assert planner("receive", "requests", "answer.pem", *accept).status == 0
    assert planner("pfx", "requests", *PASS).status == 0


# --- undo


def test_undo_of_a_name_lifts_its_newest_record(planner):
    """`deployed NAME --undo` lifts the newest record of the name: the earlier certificate counts
    again, other certificates keep theirs, and a later `deployed` counts again.
    """
    server, ids = choose_server(planner)
    before = days_of(planner, server)
    renew(planner, *ids)
    assert planner("deployed", "requests", server).status == 0
    assert {before[name] for name in ids} == {(1, str(FIRST))}
    assert {days_of(planner, server)[name] for name in ids} == {(2, str(TODAY))}
    result = planner("deployed", "requests", server, "--undo")
    assert result.status == 0, result.err
    assert result.out.count("undone: ") >= len(ids)
    assert f"since {TODAY}" in result.out
    assert days_of(planner, server) == before
    rows = status_of(planner)
    assert {(rows[name]["in_use"], rows[name]["under_way"]) for name in ids} == {(1, "packaged")}
    assert planner("deployed", "requests", server).status == 0
    assert {days_of(planner, server)[name] for name in ids} == {(2, str(TODAY))}


def test_undo_of_a_corrected_day_returns_to_the_earlier_day(planner):
    """If the newest record corrected a day, the undo command returns to the earlier day, and a
    further undo lifts that record, too.
    """
    server, ids = choose_server(planner)
    day = TODAY - timedelta(days=3)
    assert planner("deployed", "requests", ids[0], "--on", str(day)).status == 0
    assert days_of(planner, server)[ids[0]] == (1, str(day))
    assert planner("deployed", "requests", ids[0], "--undo").status == 0
    assert days_of(planner, server)[ids[0]] == (1, str(FIRST))
    assert planner("deployed", "requests", ids[0], "--undo").status == 0
    assert status_of(planner)[ids[0]]["deployed_on"] == ""
    result = planner("deployed", "requests", ids[0], "--undo")
    assert result.status == 3
    assert f'"{ids[0]}": no deployment, departure or revocation is recorded' in result.err


@pytest.mark.posix
def test_undo_without_a_name_asks_on_a_terminal(planner):
    """Without a name, the undo command lists the records of the newest run. It lifts them only if
    a person confirms the list, and without a terminal it changes nothing.
    """
    server, ids = choose_server(planner)
    renew(planner, *ids)
    assert planner("deployed", "requests", *ids).status == 0
    before = snapshot(planner.folder / "requests", but_lock=True)
    result = planner("deployed", "requests", "--undo")
    assert (result.status, result.out) == (1, "")
    assert all(f"would be undone: {name}, generation 2 on {server}" in result.err for name in ids)
    assert "Specify the names: lyncnb deployed FOLDER NAME --undo" in result.err
    assert snapshot(planner.folder / "requests", but_lock=True) == before
    assert days_of(planner, server)[ids[0]] == (2, str(TODAY))
    import pexpect

    for answer, generation in (("no", 2), ("yes", 1)):
        child = pexpect.spawn(
            sys.executable, ["-m", "lyncnb", "deployed", "requests", "--undo"],
            dimensions=(200, 200), env=process_environment(), cwd=str(planner.folder),
            encoding="utf-8", timeout=60,
        )  # fmt: skip
        child.expect("type yes")
        child.sendline(answer)
        child.read()
        child.close()
        assert child.exitstatus == (1 if answer == "no" else 0)
        assert days_of(planner, server)[ids[0]][0] == generation


def test_undo_says_that_a_key_was_purged_meanwhile(planner):
    """If lyncnb purge removed the earlier key meanwhile, the undo command says so."""
    server, ids = choose_server(planner)
    renew(planner, *ids)
    assert planner("deployed", "requests", server).status == 0
    token = json.loads(planner("purge", "requests", "--json", *PASS).out)["token"]
    assert planner("purge", "requests", "--confirm", token, *PASS).status == 0
    result = planner("deployed", "requests", server, "--undo")
    assert result.status == 0
    for name in ids:
        assert (
            f"{name}: the key of generation 1 was removed on {TODAY} (lyncnb purge)" in result.out
        )


def test_undo_after_the_purge_of_a_deployed_key(planner):
    """If the key was removed as deployed, the undo command still lifts the deployment, and says
    that the key is gone.
    """
    server, ids = choose_server(planner)
    options = ("--deployed", ids[0], *PASS)
    token = json.loads(planner("purge", "requests", "--json", *options).out)["token"]
    assert planner("purge", "requests", *options, "--confirm", token).status == 0
    result = planner("deployed", "requests", ids[0], "--undo")
    assert result.status == 0, result.err
    assert f"{ids[0]}: the key of generation 1 was removed on {TODAY}" in result.out
    assert status_of(planner)[ids[0]]["deployed_on"] == ""
    assert planner("deployed", "requests", server).status == 0
    assert status_of(planner)[ids[0]]["deployed_on"] == str(TODAY)


# --- servers that left


def test_certificates_of_a_server_that_left_are_not_in_use(planner, installed):
    """`deployed --gone SERVER` retires the certificates that only this server had: the status, the
    forecast, the calendar and the steps no longer contain them, the history ends on the day, and a
    repeated `request` changes nothing.
    """
    server, ids = choose_server(planner)
    day = TODAY - timedelta(days=2)
    result = planner("deployed", "requests", server, "--gone", "--on", str(day))
    assert result.status == 0, result.err
    assert result.out.count(f"{server} left on {day}") >= len(ids)
    rows = status_of(planner)
    assert {rows[name]["state"] for name in ids} == {"retired"}
    assert {row["state"] for name, row in rows.items() if name not in ids} == {"installed"}
    assert not [name for name in ids if name in planner("status", "requests").out]
    assert planner("status", "requests", "--calendar", "all.ics").status == 0
    calendar = (planner.folder / "all.ics").read_text("utf-8").replace("\n ", "")
    forecast = json.loads(planner("forecast", "requests", "--json").out)
    assert planner("steps", "requests", "-o", "list.html").status == 0
    steps = (planner.folder / "list.html").read_text("utf-8").replace("<wbr>", "")
    assert next(name for name in rows if name not in ids) in json.dumps(forecast)
    for text in (calendar, json.dumps(forecast), steps):
        assert not [name for name in ids if name in text]
    stays = planner("status", "requests", ids[0]).out
    assert f"on {server} since {FIRST} until {day}" in stays
    assert f"server gone on {server}: since {day}" in stays
    written = json.loads(planner("request", *installed[1], "requests", "--dry-run", "--json").out)
    assert {change["action"] for change in written["changes"]} == {"kept"}
    again = planner("deployed", "requests", server, "--gone")
    assert again.out.count("already recorded") >= len(ids)
    assert "nothing new recorded" in again.out


def test_renewals_leave_out_a_server_that_left(planner):
    """A renewal of everything creates no request for a server that left."""
    server, ids = choose_server(planner)
    assert planner("deployed", "requests", server, "--gone").status == 0
    result = planner("renew", "requests", "*", "--reason", "a test", "--dry-run", "--json")
    renewed = {change["id"] for change in json.loads(result.out)["changes"]
               if change["action"] == "renewed"}  # fmt: skip
    assert renewed == requests_of(planner).keys() - set(ids)


def test_keys_of_servers_that_left_can_be_purged(planner):
    """`purge` offers the keys of a server that left. The key of a shared certificate follows when
    the last of its servers left.
    """
    server, ids = choose_server(planner)
    assert planner("deployed", "requests", server, "--gone").status == 0
    listing = json.loads(planner("purge", "requests", "--json", *PASS).out)
    assert {item["id"] for item in listing["items"]} == set(ids)
    assert {item["what"] for item in listing["items"]} == {"key and CSR", "package"}
    assert {item["why"] for item in listing["items"]} == {
        f"the last of its servers left on {TODAY}"
    }
    assert planner("purge", "requests", "--confirm", listing["token"], *PASS).status == 0
    keys = [path.name for path in (planner.folder / "requests" / "keys").iterdir()]
    assert not [name for name in ids if any(key.startswith(name) for key in keys)]
    assert planner("status", "requests").status == 0
    undone = planner("deployed", "requests", server, "--undo")
    assert f"{ids[0]}: the key of generation 1 was removed on {TODAY}" in undone.out


def test_shared_certificate_stays_in_use_until_its_last_server_left(planner):
    """The certificate of a pool stays in use while one of its servers remains."""
    shared = max(requests_of(planner).values(), key=lambda record: len(record.plan.servers))
    *first, last = shared.plan.servers
    for server in first:
        assert planner("deployed", "requests", server, "--gone").status == 0
    row = status_of(planner)[shared.id]
    assert (row["state"], row["deployed_on"]) == ("installed", str(FIRST))
    purge = ("purge", "requests", "--json", *PASS)
    items = json.loads(planner(*purge).out)["items"]
    assert shared.id not in {item["id"] for item in items}
    assert planner("deployed", "requests", last, "--gone").status == 0
    assert status_of(planner)[shared.id]["state"] == "retired"
    assert shared.id in {item["id"] for item in json.loads(planner(*purge).out)["items"]}


def test_a_server_can_return(planner):
    """A wrong departure can be undone, and a `deployed` after it counts again."""
    server, ids = choose_server(planner)
    before = status_of(planner)
    assert planner("deployed", "requests", server, "--gone").status == 0
    result = planner("deployed", "requests", server, "--undo")
    assert f"undone: {ids[0]}, generation 1: {server} left on {TODAY}" in result.out
    assert status_of(planner) == before
    assert planner("deployed", "requests", server, "--gone").status == 0
    assert planner("deployed", "requests", *ids).status == 0
    rows = status_of(planner)
    assert {(rows[name]["state"], rows[name]["deployed_on"]) for name in ids} == {
        ("installed", str(TODAY))
    }


def test_departure_is_not_before_the_installation(planner):
    """A server cannot leave before the day on which its certificate was installed, and a name that
    is not a server is reported.
    """
    server, ids = choose_server(planner)
    early = ("--gone", "--on", str(FIRST - timedelta(days=1)))
    result = planner("deployed", "requests", server, *early)
    assert (result.status, f"a certificate was installed on {FIRST}" in result.err) == (3, True)
    result = planner("deployed", "requests", ids[0], "--gone")
    assert (result.status, "no certificate for a server with the name" in result.err) == (3, True)
    assert planner("deployed", "requests", "--gone").status == 2
    assert planner("deployed", "requests", server, "--gone", "--undo").status == 2


# --- what can be recorded, and dry runs


def test_names_that_cannot_be_recorded_hinder_no_others(planner):
    """Of several names, those that can be recorded are, and the others are listed: exit status 1,
    or 3 if nothing could be recorded.
    """
    server, ids = choose_server(planner)
    day = ("--on", str(TODAY))
    result = planner("deployed", "requests", ids[0], "nobody.contoso.com", *day)
    assert result.status == 1
    assert f"recorded: {ids[0]}, generation 1 on {server} since {TODAY}" in result.out
    assert 'with the name "nobody.contoso.com"' in result.out
    assert days_of(planner, server)[ids[0]] == (1, str(TODAY))
    before = snapshot(planner.folder / "requests", but_lock=True)
    result = planner("deployed", "requests", "nobody.contoso.com", "none*", *day)
    assert (result.status, result.out) == (3, "")
    assert 'with the name "none*"' in result.err
    assert snapshot(planner.folder / "requests", but_lock=True) == before


@pytest.mark.parametrize("kind", ["", "--undo", "--gone", "--revoked"])
def test_a_dry_run_says_so_first_and_last(planner, kind):
    """A dry run prints the changes in the conditional between two lines that say that nothing was
    changed, and changes nothing.
    """
    server, _ = choose_server(planner)
    options = {"": ("--on", str(TODAY)), "--revoked": ("--reason", "superseded")}.get(kind, ())
    before = snapshot(planner.folder / "requests")
    arguments = ("deployed", "requests", server, *filter(None, [kind]), *options, "--dry-run")
    result = planner(*arguments)
    assert result.status == 0, result.err
    first, *changes, last = result.out.splitlines()
    assert first.startswith("Dry run: nothing was changed")
    assert last.startswith("Dry run: nothing was changed")
    assert all("would " in line for line in changes if server in line)
    assert any("would " in line for line in changes)
    document = json.loads(planner(*arguments, "--json").out)
    assert (document["dry_run"], bool(document["recorded"])) == (True, True)
    assert snapshot(planner.folder / "requests") == before


# --- revocations


def test_a_revocation_by_the_ca_is_recorded_with_its_reason(planner):
    """`deployed --revoked --reason` records a revocation that the CA decided. The certificate must
    be replaced, its key does not count as compromised, and the record can be undone.
    """
    _, ids = choose_server(planner)
    before = status_of(planner)
    result = planner("deployed", "requests", ids[0], "--revoked")
    assert result.status == 3
    assert "also specify its reason: --reason" in result.err
    assert "--compromised" in result.err
    result = planner("deployed", "requests", ids[0], "--revoked", "--reason", "superseded")
    assert result.status == 0, result.err
    row = status_of(planner)[ids[0]]
    assert (row["is_revoked"], row["revoke"]) == (True, [])
    status = planner("status", "requests")
    assert status.status == 1
    assert "Replace the " in status.out
    assert "servers still have a revoked certificate" in status.out
    [command] = [
        line.partition("To renew: lyncnb ")[2].replace("TEXT", "replacement").split()
        for line in status.out.splitlines() if "To renew" in line
    ]  # fmt: skip
    assert "revoked" in planner("status", "requests", ids[0]).out
    again = planner("deployed", "requests", ids[0], "--revoked")
    assert "nothing new recorded" in again.out
    assert planner("deployed", "requests", ids[0], "--undo").status == 0
    assert status_of(planner) == before
    again = planner("deployed", "requests", ids[0], "--revoked", "--reason", "superseded")
    assert again.status == 0
    assert planner(*command, *PASS).status == 0
    assert not requests_of(planner)[ids[0]].revocation


def test_reasons_of_revocations_are_those_of_rfc_5280(planner):
    """An unknown reason is refused with the known ones, and a reason needs a revocation."""
    _, ids = choose_server(planner)
    result = planner("deployed", "requests", ids[0], "--revoked", "--reason", "lost")
    assert result.status == 2
    assert "keyCompromise, cACompromise, affiliationChanged, superseded" in result.err
    assert planner("deployed", "requests", ids[0], "--reason", "superseded").status == 2


def test_revocation_of_a_server_that_left_is_a_task(planner):
    """With a reason, a departure requests the revocation: the status and the page for the CA name
    it with its number in a CRL until it is recorded.
    """
    server, ids = choose_server(planner)
    result = planner("deployed", "requests", server, "--gone", "--reason", "cessationOfOperation")
    assert result.status == 0, result.err
    status = planner("status", "requests")
    assert (status.status, "Ask the CA to revoke" in status.out) == (1, True)
    serials = [requests_of(planner)[name].issued.serial for name in ids]
    rows = status_of(planner)
    assert [serial for name in ids for serial in rows[name]["revoke"]] == serials
    assert planner("handover", "requests", "out.zip").status == 0
    with zipfile.ZipFile(planner.folder / "out.zip") as archive:
        pages = [archive.read(name).decode() for name in archive.namelist() if "README" in name]
    text = " ".join(re.sub("<[^>]*>", "", " ".join(pages)).split())
    issuers = {requests_of(planner)[name].plan.issuer for name in ids}
    if "internal" in issuers:
        assert any(f"certutil -revoke {serial} 5." in text for serial in serials)
    assert "for the reason cessationOfOperation" in text
    assert "may be compromised" not in text
    pending = [name for name, row in status_of(planner).items() if row["revoke"]]
    assert planner("deployed", "requests", *pending, "--revoked").status == 0
    assert planner("status", "requests").status == 0
