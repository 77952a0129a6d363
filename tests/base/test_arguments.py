"""What a public function is handed by mistake is told of at its door, before it does anything."""

from __future__ import annotations

import inspect
import pickle
import types
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas
import pytest
from folders import PASSPHRASE, TODAY, make_folder, make_plan, quick_cipher, snapshot

import lyncnb as ln
from lyncnb.base.arguments import at_door

pytestmark = pytest.mark.usefixtures("quick_cipher")
__all__ = ["quick_cipher"]

VERBS = sorted(
    name
    for name in ln.__all__
    if isinstance(getattr(ln, name), types.FunctionType)
    and name not in ("ask_passphrase", "load_rules")  # these need nothing
)
MISTAKES = [
    *(None, 7, 10**400, 1.5, True, b"contoso", "a\ud800b", "a\0b", ["a", None], {1: 2}, object()),
    *(pandas.DataFrame({"a": [1]}), pandas.Series(["a"]), pandas.NaT, ln.Topology, ln.Secret("x")),
]


def ids(value: object) -> str:
    return ascii(value)[:20] if isinstance(value, str | bytes | list) else type(value).__name__


@pytest.mark.parametrize("mistake", MISTAKES, ids=ids)
@pytest.mark.parametrize("verb", VERBS)
def test_what_a_function_cannot_take_is_told_in_words(verb, mistake, tmp_path, monkeypatch):
    """Each positional argument is the mistake; nothing is written, no fault comes from within."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LYNCNB_PASSPHRASE", raising=False)
    function = getattr(ln, verb)
    asked = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind is not one.KEYWORD_ONLY
    ]
    needed = {
        one.name: mistake
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind is one.KEYWORD_ONLY
    }
    with pytest.raises(ln.LyncnbError) as caught:
        function(*[mistake] * len(asked), **needed)
    assert caught.value.hint or all(problem.hint for problem in caught.value.problems)
    assert list(tmp_path.iterdir()) == []


WRONG = [
    (lambda plan: ln.check_plan("contoso.csv"), 'plan must be a CertificatePlan, not a text, "con'),
    (lambda plan: ln.check_plan(None), "plan must be a CertificatePlan, not None"),
    (lambda plan: ln.check_plan(plan, on="2026-11-24"), 'on must be a date, not a text, "2026-11'),
    (lambda plan: ln.check_plan(plan, on=pandas.NaT), "on must be a date, not a NaTType"),
    (lambda plan: ln.open_requests(plan), "folder must be a path, not a CertificatePlan"),
    (lambda plan: ln.open_requests(b"folder"), "folder must be a path, not bytes"),
    (lambda plan: ln.write_steps(plan, "x"), "steps must be a DeploymentSteps, not a Certificate"),
    (lambda plan: ln.plan_certificates(plan, plan), "topology must be a Topology, not a Certif"),
    # A function that takes a passphrase shows no value: somebody may have mixed up two arguments.
    (lambda plan: ln.purge("x", today="2026"), "today must be a date, not a text"),
    (
        lambda plan: ln.purge("x", deployed=[None]),
        "deployed must be a list of which each is a text",
    ),
    (
        lambda plan: ln.hand_over("x", "y", force="no"),
        'force must be True or False, not a text, "n',
    ),
    (lambda plan: ln.receive("x", ["a.cer"]), "paths must be a path, not a list"),
    (lambda plan: ln.compare_plans(plan, ln.CertificatePlan), "new must be a CertificatePlan, not"),
    (lambda plan: plan.explain(7), "CertificatePlan.explain: server must be a text, not a whole"),
    (lambda plan: plan.topology.compare(plan), "Topology.compare: other must be a Topology, not"),
    (lambda plan: plan.topology.site(7), "Topology.site: name must be a text, not a whole"),
    (lambda plan: ln.PlanOptions.from_toml(None), "PlanOptions.from_toml: source must be a path"),
    (lambda plan: ln.GuideAnswers.of([]), "GuideAnswers.of: document must be a dict, not a list"),
    (lambda plan: ln.PlanEditor(plan, plan.rules), "PlanEditor: topology must be a Topology, not"),
    (lambda plan: ln.Scenarios("x").open(None), "Scenarios.open: name must be a text, not None"),
]


@pytest.fixture(scope="module")
def plan():
    return make_plan()


@pytest.mark.parametrize(("call", "words"), WRONG, ids=[words[:40] for _, words in WRONG])
def test_the_message_names_the_argument_what_is_wanted_and_what_came(call, words, plan):
    """A planner reads which argument it is, and where the right thing comes from."""
    with pytest.raises(ln.ArgumentError) as caught:
        call(plan)
    assert words in caught.value.message
    assert caught.value.hint


def test_a_wrong_kind_is_a_type_error_too(plan):
    """Whoever catches what Python itself would raise catches this."""
    with pytest.raises(TypeError):
        ln.check_plan(7)


def test_python_itself_says_which_argument_is_missing():
    """What does not fit the signature at all is left to Python's words."""
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'rules'"):
        ln.plan_certificates(7)


def test_a_list_of_paths_is_told_to_be_given_with_a_star():
    """Several files stand one by one in a call."""
    with pytest.raises(ln.ArgumentError) as caught:
        ln.receive("folder", [Path("a.cer"), Path("b.cer")])
    assert caught.value.hint == "give them one by one, with a star before the list: *paths"


@pytest.mark.parametrize("call", ["rekey", "write_pfx", "show_password", "open_recovery_key"])
def test_no_message_shows_a_passphrase_in_the_wrong_place(call):
    """A text is not shown by a function that is given passphrases."""
    calls = {
        "rekey": lambda: ln.rekey("x", PASSPHRASE, PASSPHRASE, progress=PASSPHRASE),
        "write_pfx": lambda: ln.write_pfx(PASSPHRASE, passphrase=PASSPHRASE),
        "show_password": lambda: ln.show_password("x", "y", "z", show=PASSPHRASE),
        "open_recovery_key": lambda: ln.open_recovery_key(7, PASSPHRASE),
    }
    with pytest.raises(ln.ArgumentError) as caught:
        calls[call]()
    assert PASSPHRASE not in str(caught.value)


def test_a_wrong_kind_leaves_a_folder_as_it_is(tmp_path):
    """The last argument is looked at before the first is used."""
    bundle = make_folder(tmp_path / "requests")
    before = snapshot(bundle.folder)
    with pytest.raises(ln.ArgumentError):
        ln.rekey(bundle.folder, PASSPHRASE, PASSPHRASE + " anew", today="2026-11-24")
    with pytest.raises(ln.ArgumentError):
        ln.hand_over(bundle.folder, tmp_path / "out.zip", needed_by="soon")
    assert snapshot(bundle.folder) == before
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("moment", [datetime(2026, 11, 24, 23), datetime(2026, 11, 24, tzinfo=UTC)])
def test_of_a_moment_the_day_is_taken(moment, plan):
    """A notebook often has a date with its time, or with a time zone."""
    assert ln.check_plan(plan, on=moment) == ln.check_plan(plan, on=TODAY)
    assert ln.forecast(plan, start=moment) == ln.forecast(plan, start=TODAY)


def test_one_text_is_the_only_one_of_several():
    """A text is not taken apart into its letters; an iterator is read once."""
    seen = []

    def note(some: Sequence[str]) -> None:
        seen.append(some)

    for given in ("edge01", iter(["a", "b"]), "", ["c"]):
        at_door(note)(given)
    assert seen == [("edge01",), ("a", "b"), (), ["c"]]


BAD_NAMES = [
    lambda name: ln.rekey(name, PASSPHRASE, PASSPHRASE + " anew"),
    lambda name: ln.name_recovery_key("folder", PASSPHRASE, name),
    lambda name: ln.open_recovery_key(name, PASSPHRASE),
    lambda name: ln.ask_passphrase(file=name),
    lambda name: ln.request_elsewhere(make_plan(), name, findings=()),
    lambda name: ln.write_requests(make_plan(), name, passphrase=PASSPHRASE, findings=()),
    lambda name: ln.write_requests(
        make_plan(), "x", passphrase=PASSPHRASE, findings=(), recovery=[name]
    ),
]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"], ids=["zero", "half a character"])
@pytest.mark.parametrize("call", BAD_NAMES)
def test_a_name_that_no_system_takes_is_refused_in_words(call, name, tmp_path, monkeypatch):
    """Neither Python's ValueError nor its UnicodeEncodeError comes from within."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ln.LyncnbError) as caught:
        call(name)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_what_stands_for_no_function_is_left_as_it_is():
    """``ln.demo`` has methods, and is shown by its name."""
    from lyncnb.authorities.demonstration import demo

    assert ln.demo is demo


def test_a_door_is_read_like_what_is_behind_it():
    """Help, signature and name are the function's own."""
    from lyncnb.checks.check_plan import check_plan

    assert inspect.signature(ln.check_plan) == inspect.signature(check_plan)
    assert ln.check_plan.__doc__ == check_plan.__doc__


def test_a_public_function_goes_to_another_process():
    """A pool of processes is handed it by its name; that leads to the same door."""
    verbs = [getattr(ln, name) for name in VERBS]
    assert [pickle.loads(pickle.dumps(verb)) for verb in verbs] == verbs
