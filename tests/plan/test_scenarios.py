"""A scenario is a folder: a saved scenario can be opened, and no other file is lost."""

from __future__ import annotations

import contextlib
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from failing import failing
from places import DATA
from random_plans import random_plan
from topologies import FIVE_SERVERS, STANDARD_EDITION

import lyncnb as ln
from lyncnb.base.disk.file_names import build_folder_name
from lyncnb.errors import ScenarioError
from lyncnb.plan.scenarios import Scenarios


def one(name: str = "as planned", **options: object) -> ln.Scenario:
    return ln.Scenario(
        name=name,
        topology=ln.read_topology(FIVE_SERVERS.encode()),
        options=ln.PlanOptions(**options),
        note="Why we look at it:\n\n- cheaper?",
    )


@pytest.fixture
def kept(tmp_path) -> Scenarios:
    return Scenarios(tmp_path / "scenarios")


@pytest.mark.parametrize("table", ["contoso.csv", "contoso-zh-TW.csv", "litwareinc-global.csv"])
def test_what_is_kept_is_opened(kept, table):
    """A saved scenario with table, unknown columns, options, and note gives the same plan when it
    is opened.
    """
    options = ln.PlanOptions(wildcard=True, accepted={"web-names-equal": "a lab"})
    topology = ln.read_topology(DATA / table)
    before = ln.Scenario(name="Größe 大", topology=topology, options=options, note="n")
    kept.keep(before)
    assert sorted(os.listdir(kept.folder / "Größe 大")) == ["note.md", "plan.toml", "topology.csv"]
    after = ln.open_scenario(kept.folder / "Größe 大")
    assert after.is_same(before)
    assert (after.name, after.note) == (before.name, before.note)
    assert after.plan.sha256 == before.plan.sha256
    assert after.plan.topology.source == "Größe 大"


def test_any_plan_is_kept_over_any_other(kept):
    """Each saved scenario is complete, and contains nothing from a scenario that it replaces."""
    chance = random.Random(20)
    for number in range(40):
        plan = random_plan(chance)
        before = ln.Scenario.of_plan("one", plan, note="x" * number)
        kept.keep(before, replace=True)
        after = kept.open("one")
        assert after.is_same(before)
        assert (after.note, after.plan.sha256) == (before.note, plan.sha256)
    assert sorted(os.listdir(kept.folder)) == ["one"]


@pytest.mark.slow
def test_whatever_happens_to_the_files_is_reported(kept):
    """If bytes are changed, removed, or added in a scenario's files, it opens or each problem is
    reported.
    """
    chance = random.Random(20)
    kept.keep(one())
    place = kept.folder / "as planned"
    whole = {path: path.read_bytes() for path in place.iterdir()}
    refused = 0
    for _ in range(300):
        path = chance.choice([*whole])
        data = bytearray(whole[path])
        at = chance.randrange(len(data))
        cut = at + chance.choice([0, 1, 1, 40])
        data[at:cut] = chance.choice([b"", b"\0", b"\xff", b'"', b",", b"\n", b"[[", b"=", b"a"])
        path.write_bytes(data)
        try:
            kept.open("as planned")
        except ScenarioError as error:
            refused += 1
            told = error.problems
            if not told or not all(problem.message for problem in told):
                pytest.fail(str(error))
        path.write_bytes(whole[path])
    assert 100 < refused < 300


def test_the_same_again_changes_no_byte_and_no_time(kept):
    """If nothing changed, saving a scenario writes no file."""
    kept.keep(one())
    before = {path: path.stat().st_mtime_ns for path in kept.folder.rglob("*")}
    kept.keep(one())
    assert {path: path.stat().st_mtime_ns for path in kept.folder.rglob("*")} == before


def test_another_is_replaced_only_when_asked(kept):
    """A scenario with the same name is replaced only on request."""
    kept.keep(one())
    with pytest.raises(ln.LyncnbError, match="already exists") as told:
        kept.keep(one(wildcard=True))
    assert told.value.occupied
    assert not kept.open("as planned").options.wildcard
    kept.keep(one(wildcard=True), replace=True)
    assert kept.open("as planned").options.wildcard


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("", "e.g. Wildcards"),
        ("  ", "e.g. Wildcards"),
        ("..", "e.g. Wildcards"),
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
        ("e\u0301", '"é"'),  # The name has another Unicode form of the same letter.
        ("x" * 300, "x" * 100),
    ],
)
def test_names_that_no_folder_can_have(kept, name, instead):
    """A name that cannot be a folder name is rejected with a valid suggestion, and no folder is
    created.
    """
    with pytest.raises(ScenarioError) as told:
        kept.keep(one(name))
    assert instead in told.value.hint
    assert not kept.folder.exists()
    if '"' in instead:
        kept.keep(one(instead.strip('"')))


@pytest.mark.parametrize(
    "name",
    ["Wildcards", "wildcards", "Größe", "Über: alles", "a/b", "con", "COM¹", "台" * 120, "😀" * 99],
)
def test_what_is_offered_instead_is_taken(kept, name):
    """A suggested name is valid on all systems, and so is the name of a copy."""
    fit = build_folder_name(name)
    assert build_folder_name(fit) == fit
    kept.keep(one(fit))
    copies = [kept.duplicate(fit) for _ in range(3)]
    assert copies[2].endswith(" copy 3")
    assert set(kept.names()) == {fit, *copies}


def test_a_message_shows_what_cannot_be_seen(kept):
    """A pasted name cannot change the direction of a message or break its line."""
    for name in ("Wild\u202ecards", "a\nb"):
        with pytest.raises(ScenarioError, match="<U\\+") as told:
            kept.keep(one(name))
        assert name not in told.value.message
        with pytest.raises(ScenarioError, match="<U\\+"):
            kept.open(name)


@pytest.mark.posix  # Wine changes no letter case.
def test_names_that_some_systems_take_for_the_same(kept):
    """Names that differ only in uppercase and lowercase letters are rejected, because some systems treat them as equal."""
    kept.keep(one("Wildcards"))
    with pytest.raises(ScenarioError, match='scenario named "Wildcards" already exists'):
        kept.keep(one("WILDCARDS"))
    with pytest.raises(ScenarioError, match='scenario named "Wildcards" already exists'):
        kept.rename(kept.duplicate("Wildcards"), "wildcards")
    kept.rename("Wildcards", "wildcards")  # The same name in another letter case.
    assert kept.names() == ("wildcards", "Wildcards copy")


@pytest.mark.posix
def test_what_is_not_ours_is_left_alone(kept):
    """A folder, file, or link that is not a scenario is never changed and not listed."""
    (kept.folder / "notes").mkdir(parents=True)
    (kept.folder / "notes" / "minutes.txt").write_text("ours")
    (kept.folder / "file").write_text("ours")
    (kept.folder / "link").symlink_to("nowhere")
    for name in ("notes", "file", "link", "NOTES"):
        with pytest.raises(ScenarioError, match="not a scenario, so lyncnb did not change it"):
            kept.keep(one(name), replace=True)
    assert kept.names() == ()
    assert (kept.folder / "notes" / "minutes.txt").read_text() == "ours"
    kept.keep(one())
    (kept.folder / "as planned" / "sketch.png").write_text("ours")
    with pytest.raises(ScenarioError, match=r"sketch\.png"):
        kept.remove("as planned")
    assert kept.open("as planned").is_same(one())


def test_a_program_that_is_stopped_leaves_a_scenario_that_opens(kept):
    """If saving a scenario is interrupted, each of its files is old or new, and hidden folders are
    ignored.
    """
    new = replace(one(), options=ln.PlanOptions(wildcard=True), note="new")
    new = replace(new, topology=ln.read_topology(STANDARD_EDITION.encode()))
    old_files, new_files = one().files(), new.files()
    for number in range(len(new_files)):
        kept.keep(one(), replace=True)
        with (
            failing(number, lambda _: KeyboardInterrupt(), ("replace",)),
            contextlib.suppress(KeyboardInterrupt),
        ):
            kept.keep(new, replace=True)
        files = kept.files("as planned")
        assert (
            list(files.values()) == [*new_files.values()][:number] + [*old_files.values()][number:]
        )
        kept.open("as planned")
    hidden = kept.folder / "as planned" / ".tmp-lyncnb-next"
    hidden.mkdir()
    (hidden / "topology.csv").write_bytes(old_files["topology.csv"])
    kept.keep(new, replace=True)
    assert kept.files("as planned") == new_files


def test_nothing_goes_into_a_request_folder(tmp_path):
    """Scenarios cannot be saved in a request folder."""
    (tmp_path / "requests" / "keys").mkdir(parents=True)
    with pytest.raises(ln.LyncnbError, match="request folder"):
        Scenarios(tmp_path / "requests" / "keys").keep(one())


def test_duplicate_rename_note_remove_and_back(kept):
    """Duplicating, renaming, or removing a scenario, or changing its note, changes nothing else."""
    kept.keep(one())
    assert kept.duplicate("as planned") == "as planned copy"
    assert kept.duplicate("as planned") == "as planned copy 2"
    assert kept.files("as planned copy") == kept.files("as planned")
    kept.rename("as planned copy", "cheaper")
    kept.set_note("cheaper", "ask the CA\r\nfirst")
    assert kept.note("cheaper") == "ask the CA\nfirst"
    held = kept.remove("cheaper")
    assert kept.names() == ("as planned", "as planned copy 2")
    with pytest.raises(ScenarioError, match="contains no scenario"):
        kept.open("cheaper")
    kept.put_back("cheaper", held)
    assert kept.open("cheaper").note == "ask the CA\nfirst"
    assert kept.to_frame().columns.tolist() == ["Scenario", "Note"]
    assert "3 scenarios" in repr(kept)


def test_a_scenario_changed_by_hand_is_as_it_lies_there(kept):
    """A scenario is read as it is in the folder, even with semicolons, Windows line endings, a
    changed option, and no note.
    """
    kept.keep(one())
    place = kept.folder / "as planned"
    table = FIVE_SERVERS.replace(";", "|").replace(",", ";").replace("\n", "\r\n")
    (place / "topology.csv").write_bytes(table.encode("utf-16"))
    (place / "plan.toml").write_bytes(b"wildcard = true\r\n")
    (place / "note.md").unlink()
    opened = kept.open("as planned")
    assert opened.topology == one().topology
    assert (opened.options.wildcard, opened.note) == (True, "")


def test_a_damaged_scenario_tells_every_problem(kept):
    """The error for a damaged scenario lists the problems in all three files, with hints."""
    kept.keep(one())
    place = kept.folder / "as planned"
    (place / "topology.csv").write_text(
        "server_fqdn,role,sip_domains\na b,FE,contoso.com\nx,Foo,\n"
    )
    (place / "plan.toml").write_text("wildcrad = true\nlayout = 3\n")
    (place / "note.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError) as told:
        kept.open("as planned")
    problems = told.value.problems
    assert [one.file for one in problems] == ["plan.toml"] * 2 + ["topology.csv"] * 3 + ["note.md"]
    assert {one.row for one in problems if one.file == "topology.csv"} == {2, 3}
    assert "6 problems" in told.value.message
    # A damaged scenario is listed, so that it can be repaired.
    assert kept.names() == ("as planned",)
    (place / "plan.toml").write_text("#" * 1_000_001)
    with pytest.raises(ScenarioError, match=r"1,000,001 bytes"):
        kept.open("as planned")
    (place / "plan.toml").unlink()
    with pytest.raises(ScenarioError, match=r"plan\.toml: the file is missing"):
        kept.open("as planned")
    (place / "topology.csv").unlink()
    with pytest.raises(ScenarioError, match="is not a scenario"):
        ln.open_scenario(place)


def test_what_no_plan_can_be_made_of_is_reported(kept):
    """An unknown finding code, and a role that the product does not have, are reported."""
    kept.keep(one())
    place = kept.folder / "as planned"
    (place / "plan.toml").write_text('[accepted]\nname-is-internl = "a lab"\n')
    with pytest.raises(ScenarioError, match="name-is-internl"):
        kept.open("as planned")
    (place / "plan.toml").write_text('product = "sfb2019"\n')
    (place / "topology.csv").write_text(FIVE_SERVERS.replace("Mediation", "PersistentChat"))
    with pytest.raises(ScenarioError, match="PersistentChat"):
        kept.open("as planned")


def test_a_product_that_is_not_here_is_reported(kept):
    """An unknown product is reported, and a path instead of a product name opens no file."""
    kept.keep(one())
    path = kept.folder / "as planned" / "plan.toml"
    for product in ("lync2099", "../../etc/passwd"):
        path.write_text(f'product = "{product}"\n')
        with pytest.raises(ScenarioError, match=r"plan\.toml"):
            kept.open("as planned")


def test_other_options_have_another_plan():
    """If a scenario is copied with other options, the copy does not keep the plan."""
    first = one()
    assert replace(first, options=ln.PlanOptions(wildcard=True)).plan.sha256 != first.plan.sha256
    plan = ln.plan_certificates(first.topology, ln.load_rules())
    assert ln.Scenario.of_plan("now", plan).plan.certificates is plan.certificates


@pytest.mark.fault
def test_a_disk_that_fails_is_reported_and_the_scenario_stays(kept):
    """If a system call fails, the scenario contains the old or the new content."""
    kept.keep(one())
    other = one(wildcard=True)
    for number in range(60):
        full = failing(number, lambda _: OSError(28, "No space left on device"))
        with full as calls, contextlib.suppress(ln.LyncnbError):
            kept.keep(other, replace=True)
        found = kept.open("as planned")
        assert found.is_same(other) or found.is_same(one())
        kept.keep(one(), replace=True)
        if not calls.failed:
            break
    assert number > 10


def test_a_note_of_any_size_is_no_trouble(kept):
    """A note of a scenario that is too long is rejected, and an unpaired surrogate in it is
    replaced.
    """
    with pytest.raises(ScenarioError, match="the note has"):
        kept.keep(replace(one(), note="x" * 70_000))
    assert not kept.folder.exists()
    kept.keep(one())
    with pytest.raises(ScenarioError, match="the note has"):
        kept.set_note("as planned", "x" * 70_000)
    kept.keep(replace(one(), note="half \ud800"), replace=True)
    assert kept.open("as planned").note == "half ?"


def test_it_shows_itself(kept):
    """A scenario and the list of scenarios are shown as tables. Notes are shown as text."""
    scenario = replace(one(), note="<b>bold</b>")
    kept.keep(scenario)
    assert "&lt;b&gt;" in scenario._repr_html_()
    assert "&lt;b&gt;" in kept._repr_html_()
    assert repr(scenario) == "Scenario as planned: 5 rows. <b>bold</b>"
    assert Path(kept.folder).name in kept._repr_html_()


@pytest.mark.parametrize("name", ["a\0b", pytest.param("a\ud800", marks=pytest.mark.posix)])
def test_a_path_that_no_system_can_name(kept, name):
    """An invalid path for a scenario is rejected with a message when it is read or written."""
    with pytest.raises(ScenarioError, match="is not a valid folder name"):
        ln.open_scenario(name)
    assert kept.note(name) == ""
    first = ln.guided_plan(ln.GuideAnswers.of({"sip_domains": "contoso.com"}))
    with pytest.raises(ln.LyncnbError, match="is not a valid file name"):
        ln.write_first_plan(first, name)


def test_a_folder_of_scenarios_may_be_named_by_a_text(tmp_path):
    """The folder of scenarios can be passed as text instead of a Path."""
    kept = Scenarios(str(tmp_path / "scenarios"))
    kept.keep(one())
    assert len(kept.names()) == 1
