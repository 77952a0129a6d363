"""A scenario is saved as a folder and can be opened again. Saving it does not change other files."""

from __future__ import annotations

import contextlib
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from failing import fail_one_call
from places import DATA
from random_plans import random_plan
from topologies import FIVE_SERVERS, STANDARD_EDITION

import lyncnb as ln
from lyncnb.base.disk.file_names import build_folder_name
from lyncnb.errors import ScenarioError
from lyncnb.plan.scenarios import Scenarios


def make_scenario(name: str = "as planned", **options: object) -> ln.Scenario:
    return ln.Scenario(
        name=name,
        topology=ln.read_topology(FIVE_SERVERS.encode()),
        options=ln.PlanOptions(**options),
        note="Why we look at it:\n\n- cheaper?",
    )


@pytest.fixture
def saved_scenarios(tmp_path) -> Scenarios:
    return Scenarios(tmp_path / "scenarios")


@pytest.mark.parametrize("table", ["contoso.csv", "contoso-zh-TW.csv", "litwareinc-global.csv"])
def test_a_saved_scenario_can_be_opened(saved_scenarios, table):
    """If a scenario is saved and opened, it has the same plan, table, unknown columns, options, and
    note.
    """
    options = ln.PlanOptions(wildcard=True, accepted={"name-leads-to-two-places": "a lab"})
    topology = ln.read_topology(DATA / table)
    before = ln.Scenario(name="Größe 大", topology=topology, options=options, note="n")
    saved_scenarios.keep(before)
    assert sorted(os.listdir(saved_scenarios.folder / "Größe 大")) == [
        "note.md",
        "plan.toml",
        "topology.csv",
    ]
    after = ln.open_scenario(saved_scenarios.folder / "Größe 大")
    assert after.is_same(before)
    assert (after.name, after.note) == (before.name, before.note)
    assert after.plan.sha256 == before.plan.sha256
    assert after.plan.topology.source == "Größe 大"


def test_a_scenario_replaces_another_completely(saved_scenarios):
    """Each saved scenario is complete, and contains nothing from the scenario that it replaces."""
    chance = random.Random(20)
    for number in range(40):
        plan = random_plan(chance)
        before = ln.Scenario.of_plan("one", plan, note="x" * number)
        saved_scenarios.keep(before, replace=True)
        after = saved_scenarios.open("one")
        assert after.is_same(before)
        assert (after.note, after.plan.sha256) == (before.note, plan.sha256)
    assert sorted(os.listdir(saved_scenarios.folder)) == ["one"]


@pytest.mark.slow
def test_damaged_files_of_a_scenario_are_reported(saved_scenarios):
    """If the bytes of a scenario's files are changed, lyncnb opens the scenario anyway, or reports
    each problem.
    """
    chance = random.Random(20)
    saved_scenarios.keep(make_scenario())
    folder = saved_scenarios.folder / "as planned"
    intact_files = {path: path.read_bytes() for path in folder.iterdir()}
    refused = 0
    for _ in range(300):
        path = chance.choice([*intact_files])
        data = bytearray(intact_files[path])
        position = chance.randrange(len(data))
        cut = position + chance.choice([0, 1, 1, 40])
        data[position:cut] = chance.choice(
            [b"", b"\0", b"\xff", b'"', b",", b"\n", b"[[", b"=", b"a"]
        )
        path.write_bytes(data)
        try:
            saved_scenarios.open("as planned")
        except ScenarioError as error:
            refused += 1
            problems = error.problems
            if not problems or not all(problem.message for problem in problems):
                pytest.fail(str(error))
        path.write_bytes(intact_files[path])
    assert 100 < refused < 300


def test_an_unchanged_scenario_is_not_written(saved_scenarios):
    """If a scenario has not changed, saving it does not write any file."""
    saved_scenarios.keep(make_scenario())
    before = {path: path.stat().st_mtime_ns for path in saved_scenarios.folder.rglob("*")}
    saved_scenarios.keep(make_scenario())
    assert {path: path.stat().st_mtime_ns for path in saved_scenarios.folder.rglob("*")} == before


def test_a_scenario_is_replaced_only_on_request(saved_scenarios):
    """An existing scenario with the same name is replaced only on request."""
    saved_scenarios.keep(make_scenario())
    with pytest.raises(ln.LyncnbError, match="already exists") as error:
        saved_scenarios.keep(make_scenario(wildcard=True))
    assert error.value.occupied
    assert not saved_scenarios.open("as planned").options.wildcard
    saved_scenarios.keep(make_scenario(wildcard=True), replace=True)
    assert saved_scenarios.open("as planned").options.wildcard


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("", "such as Wildcards"),
        ("  ", "such as Wildcards"),
        ("..", "such as Wildcards"),
        (".hidden", '"hidden"'),
        ("Directors or not?", '"Directors or not"'),
        ("with/without Edge", '"with-without Edge"'),
        ("..\\..\\up", '"-..-up"'),
        ("two\nlines", '"two lines"'),
        ("ends in a dot.", '"ends in a dot"'),
        (" blanks ", '"blanks"'),
        ("con", '"plan con"'),
        ("NUL.txt", '"plan NUL.txt"'),
        ("a\u202eb", '"ab"'),
        ("e\u0301", '"é"'),  # The name contains the letter é in another Unicode form.
        ("x" * 300, "x" * 100),
    ],
)
def test_invalid_names_of_scenarios_are_rejected(saved_scenarios, name, instead):
    """If a name is not a valid folder name, the error suggests a valid one, and no folder is
    created.
    """
    with pytest.raises(ScenarioError) as error:
        saved_scenarios.keep(make_scenario(name))
    assert instead in error.value.hint
    assert not saved_scenarios.folder.exists()
    if '"' in instead:
        saved_scenarios.keep(make_scenario(instead.strip('"')))


@pytest.mark.parametrize(
    "name",
    ["Wildcards", "wildcards", "Größe", "Über: alles", "a/b", "con", "COM¹", "台" * 120, "😀" * 99],
)
def test_suggested_names_are_valid(saved_scenarios, name):
    """Suggested names and the names of copies are valid on all operating systems."""
    fit = build_folder_name(name)
    assert build_folder_name(fit) == fit
    saved_scenarios.keep(make_scenario(fit))
    copies = [saved_scenarios.duplicate(fit) for _ in range(3)]
    assert copies[2].endswith(" copy 3")
    assert set(saved_scenarios.names()) == {fit, *copies}


def test_invisible_characters_are_shown_as_codes(saved_scenarios):
    """Invisible characters in a name appear as codes in a message, so that they cannot change the
    direction or the line breaks of the message.
    """
    for name in ("Wild\u202ecards", "a\nb"):
        with pytest.raises(ScenarioError, match="<U\\+") as error:
            saved_scenarios.keep(make_scenario(name))
        assert name not in error.value.message
        with pytest.raises(ScenarioError, match="<U\\+"):
            saved_scenarios.open(name)


@pytest.mark.posix  # Wine does not change uppercase and lowercase letters in file names.
def test_names_that_differ_only_in_case_are_rejected(saved_scenarios):
    """If two names differ only in uppercase and lowercase letters, the second one is rejected,
    because some systems treat them as equal.
    """
    saved_scenarios.keep(make_scenario("Wildcards"))
    with pytest.raises(ScenarioError, match='scenario named "Wildcards" already exists'):
        saved_scenarios.keep(make_scenario("WILDCARDS"))
    with pytest.raises(ScenarioError, match='scenario named "Wildcards" already exists'):
        saved_scenarios.rename(saved_scenarios.duplicate("Wildcards"), "wildcards")
    # The new name differs from the old one only in uppercase and lowercase letters.
    saved_scenarios.rename("Wildcards", "wildcards")
    assert saved_scenarios.names() == ("wildcards", "Wildcards copy")


@pytest.mark.posix
def test_other_files_in_the_folder_are_not_changed(saved_scenarios):
    """A folder, file, or link that is not a scenario is not listed, and never changed."""
    (saved_scenarios.folder / "notes").mkdir(parents=True)
    (saved_scenarios.folder / "notes" / "minutes.txt").write_text("ours")
    (saved_scenarios.folder / "file").write_text("ours")
    (saved_scenarios.folder / "link").symlink_to("nowhere")
    for name in ("notes", "file", "link", "NOTES"):
        with pytest.raises(ScenarioError, match="not a scenario, so lyncnb did not change it"):
            saved_scenarios.keep(make_scenario(name), replace=True)
    assert saved_scenarios.names() == ()
    assert (saved_scenarios.folder / "notes" / "minutes.txt").read_text() == "ours"
    saved_scenarios.keep(make_scenario())
    (saved_scenarios.folder / "as planned" / "sketch.png").write_text("ours")
    with pytest.raises(ScenarioError, match=r"sketch\.png"):
        saved_scenarios.remove("as planned")
    assert saved_scenarios.open("as planned").is_same(make_scenario())


def test_a_program_that_is_stopped_leaves_a_scenario_that_opens(saved_scenarios):
    """If a program is stopped while it saves a scenario, each file has the old or the new content,
    and hidden folders are ignored.
    """
    new = replace(make_scenario(), options=ln.PlanOptions(wildcard=True), note="new")
    new = replace(new, topology=ln.read_topology(STANDARD_EDITION.encode()))
    old_files, new_files = make_scenario().files(), new.files()
    for number in range(len(new_files)):
        saved_scenarios.keep(make_scenario(), replace=True)
        with (
            fail_one_call(number, lambda _: KeyboardInterrupt(), ("replace",)),
            contextlib.suppress(KeyboardInterrupt),
        ):
            saved_scenarios.keep(new, replace=True)
        files = saved_scenarios.files("as planned")
        assert (
            list(files.values()) == [*new_files.values()][:number] + [*old_files.values()][number:]
        )
        saved_scenarios.open("as planned")
    hidden = saved_scenarios.folder / "as planned" / ".tmp-lyncnb-next"
    hidden.mkdir()
    (hidden / "topology.csv").write_bytes(old_files["topology.csv"])
    saved_scenarios.keep(new, replace=True)
    assert saved_scenarios.files("as planned") == new_files


def test_scenarios_are_not_saved_in_a_request_folder(tmp_path):
    """A scenario cannot be saved in a request folder."""
    (tmp_path / "requests" / "keys").mkdir(parents=True)
    with pytest.raises(ln.LyncnbError, match="request folder"):
        Scenarios(tmp_path / "requests" / "keys").keep(make_scenario())


def test_changing_a_scenario_changes_nothing_else(saved_scenarios):
    """If a scenario is duplicated, renamed or removed, or its note is changed, nothing else
    changes.
    """
    saved_scenarios.keep(make_scenario())
    assert saved_scenarios.duplicate("as planned") == "as planned copy"
    assert saved_scenarios.duplicate("as planned") == "as planned copy 2"
    assert saved_scenarios.files("as planned copy") == saved_scenarios.files("as planned")
    saved_scenarios.rename("as planned copy", "cheaper")
    saved_scenarios.set_note("cheaper", "ask the CA\r\nfirst")
    assert saved_scenarios.note("cheaper") == "ask the CA\nfirst"
    contents = saved_scenarios.remove("cheaper")
    assert saved_scenarios.names() == ("as planned", "as planned copy 2")
    with pytest.raises(ScenarioError, match="contains no scenario"):
        saved_scenarios.open("cheaper")
    saved_scenarios.put_back("cheaper", contents)
    assert saved_scenarios.open("cheaper").note == "ask the CA\nfirst"
    assert saved_scenarios.to_frame().columns.tolist() == ["Scenario", "Note"]
    assert "3 scenarios" in repr(saved_scenarios)


def test_an_edited_scenario_can_be_opened(saved_scenarios):
    """lyncnb can open a scenario that another program edited, even if the table has semicolons and
    Windows line endings, and the note is missing.
    """
    saved_scenarios.keep(make_scenario())
    folder = saved_scenarios.folder / "as planned"
    table = FIVE_SERVERS.replace(";", "|").replace(",", ";").replace("\n", "\r\n")
    (folder / "topology.csv").write_bytes(table.encode("utf-16"))
    (folder / "plan.toml").write_bytes(b"wildcard = true\r\n")
    (folder / "note.md").unlink()
    opened = saved_scenarios.open("as planned")
    assert opened.topology == make_scenario().topology
    assert (opened.options.wildcard, opened.note) == (True, "")


def test_a_damaged_scenario_lists_every_problem(saved_scenarios):
    """If a scenario is damaged, the error message lists the problems in all three files, with
    hints.
    """
    saved_scenarios.keep(make_scenario())
    folder = saved_scenarios.folder / "as planned"
    (folder / "topology.csv").write_text(
        "server_fqdn,role,sip_domains\na b,FE,contoso.com\nx,Foo,\n"
    )
    (folder / "plan.toml").write_text("wildcrad = true\nlayout = 3\n")
    (folder / "note.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError) as error:
        saved_scenarios.open("as planned")
    problems = error.value.problems
    assert [problem.file for problem in problems] == ["plan.toml"] * 2 + ["topology.csv"] * 3 + [
        "note.md"
    ]
    assert {problem.row for problem in problems if problem.file == "topology.csv"} == {2, 3}
    assert "6 problems" in error.value.message
    # A damaged scenario is still listed, so that users can repair it.
    assert saved_scenarios.names() == ("as planned",)
    (folder / "plan.toml").write_text("#" * 1_000_001)
    with pytest.raises(ScenarioError, match=r"1,000,001 bytes"):
        saved_scenarios.open("as planned")
    (folder / "plan.toml").unlink()
    with pytest.raises(ScenarioError, match=r"plan\.toml: the file is missing"):
        saved_scenarios.open("as planned")
    (folder / "topology.csv").unlink()
    with pytest.raises(ScenarioError, match="is not a scenario"):
        ln.open_scenario(folder)


def test_scenarios_that_cannot_be_planned_are_reported(saved_scenarios):
    """lyncnb rejects a scenario that contains an unknown finding code, or a role that the product
    lacks.
    """
    saved_scenarios.keep(make_scenario())
    folder = saved_scenarios.folder / "as planned"
    (folder / "plan.toml").write_text('[accepted]\nname-is-internl = "a lab"\n')
    with pytest.raises(ScenarioError, match="name-is-internl"):
        saved_scenarios.open("as planned")
    (folder / "plan.toml").write_text('product = "sfb2019"\n')
    (folder / "topology.csv").write_text(FIVE_SERVERS.replace("Mediation", "PersistentChat"))
    with pytest.raises(ScenarioError, match="PersistentChat"):
        saved_scenarios.open("as planned")


def test_unknown_products_of_scenarios_are_reported(saved_scenarios):
    """lyncnb rejects a scenario with an unknown product, and does not accept a path as a product
    name.
    """
    saved_scenarios.keep(make_scenario())
    path = saved_scenarios.folder / "as planned" / "plan.toml"
    for product in ("lync2099", "../../etc/passwd"):
        path.write_text(f'product = "{product}"\n')
        with pytest.raises(ScenarioError, match=r"plan\.toml"):
            saved_scenarios.open("as planned")


def test_new_options_change_the_plan():
    """If the options of a scenario are replaced, its plan changes. A scenario that is created from
    a plan uses the certificates of this plan.
    """
    first = make_scenario()
    assert replace(first, options=ln.PlanOptions(wildcard=True)).plan.sha256 != first.plan.sha256
    plan = ln.plan_certificates(first.topology, ln.load_rules())
    assert ln.Scenario.of_plan("now", plan).plan.certificates is plan.certificates


@pytest.mark.fault
def test_a_failing_disk_leaves_the_old_or_new_scenario(saved_scenarios):
    """If a system call fails while a scenario is saved, the files have the old or the new content."""
    saved_scenarios.keep(make_scenario())
    other = make_scenario(wildcard=True)
    for number in range(60):
        full = fail_one_call(number, lambda _: OSError(28, "No space left on device"))
        with full as calls, contextlib.suppress(ln.LyncnbError):
            saved_scenarios.keep(other, replace=True)
        scenario = saved_scenarios.open("as planned")
        assert scenario.is_same(other) or scenario.is_same(make_scenario())
        saved_scenarios.keep(make_scenario(), replace=True)
        if not calls.failed:
            break
    assert number > 10


def test_notes_that_are_too_long_are_rejected(saved_scenarios):
    """A scenario cannot be saved with a note that is too long. If a note contains an unpaired
    surrogate, lyncnb replaces it with a question mark.
    """
    with pytest.raises(ScenarioError, match="the note has"):
        saved_scenarios.keep(replace(make_scenario(), note="x" * 70_000))
    assert not saved_scenarios.folder.exists()
    saved_scenarios.keep(make_scenario())
    with pytest.raises(ScenarioError, match="the note has"):
        saved_scenarios.set_note("as planned", "x" * 70_000)
    saved_scenarios.keep(replace(make_scenario(), note="half \ud800"), replace=True)
    assert saved_scenarios.open("as planned").note == "half ?"


def test_scenarios_are_shown_as_tables(saved_scenarios):
    """A scenario and the list of scenarios can be shown as tables. Notes appear as plain text."""
    scenario = replace(make_scenario(), note="<b>bold</b>")
    saved_scenarios.keep(scenario)
    assert "&lt;b&gt;" in scenario._repr_html_()
    assert "&lt;b&gt;" in saved_scenarios._repr_html_()
    assert repr(scenario) == "Scenario as planned: 5 rows. <b>bold</b>"
    assert Path(saved_scenarios.folder).name in saved_scenarios._repr_html_()


@pytest.mark.parametrize("name", ["a\0b", pytest.param("a\ud800", marks=pytest.mark.posix)])
def test_an_invalid_path_is_reported(saved_scenarios, name):
    """If the path of a scenario is invalid, lyncnb reports an error when it reads or writes the
    scenario.
    """
    with pytest.raises(ScenarioError, match="is not a valid folder name"):
        ln.open_scenario(name)
    assert saved_scenarios.note(name) == ""
    first = ln.guided_plan(ln.GuideAnswers.of({"sip_domains": "contoso.com"}))
    with pytest.raises(ln.LyncnbError, match="is not a valid file name"):
        ln.write_first_plan(first, name)


def test_the_path_of_the_scenarios_folder_can_be_a_string(tmp_path):
    """The path of the folder of scenarios can be a string or a Path."""
    scenarios = Scenarios(str(tmp_path / "scenarios"))
    scenarios.keep(make_scenario())
    assert len(scenarios.names()) == 1
