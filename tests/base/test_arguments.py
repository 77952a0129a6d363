"""If you pass None or text to a function instead of an object, the error message gives the name of
the argument and its type.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from folders import PASSPHRASE, TODAY, make_folder, make_plan, quick_cipher, snapshot

import lyncnb as ln
from lyncnb.errors import ArgumentError
from lyncnb.request_folder.recovery_key import name_recovery_key, open_recovery_key

pytestmark = pytest.mark.usefixtures("quick_cipher")
__all__ = ["quick_cipher"]


@pytest.fixture(scope="module")
def plan():
    return make_plan()


CALLS = {
    "topology is GIVEN, but it must be of type Topology": lambda plan, argument: (
        ln.plan_certificates(argument, plan.rules)
    ),
    "options is GIVEN, but it must be of type PlanOptions": lambda plan, argument: (
        ln.plan_certificates(plan.topology, plan.rules, options=argument)
    ),
    "check_plan: plan is GIVEN, but it must be of type CertificatePlan": lambda _, argument: (
        ln.check_plan(argument)
    ),
    "figure: subject is GIVEN, but it must be of type CertificatePlan": lambda _, argument: (
        ln.figure(argument)
    ),
    "compare_plans: old is GIVEN, but it must be of type CertificatePlan": lambda plan, argument: (
        ln.compare_plans(argument, plan)
    ),
    "compare_plans: new is GIVEN, but it must be of type CertificatePlan": lambda plan, argument: (
        ln.compare_plans(plan, argument)
    ),
    "each scenario is GIVEN, but it must be of type Scenario": lambda _, argument: (
        ln.compare_scenarios(argument, argument)
    ),
    "trust: plan is GIVEN, but it must be of type CertificatePlan": lambda _, argument: ln.trust(
        argument
    ),
    "request_scripts: plan is GIVEN, but it must be of type CertificatePlan": lambda _, argument: (
        ln.request_scripts(argument)
    ),
    "steps: steps is GIVEN, but it must be of type DeploymentSteps": lambda _, argument: (
        ln.write_steps(argument, "requests")
    ),
    "scripts: steps is GIVEN, but it must be of type DeploymentSteps": lambda _, argument: (
        ln.write_request_scripts(argument, "requests")
    ),
    "plan is GIVEN, but it must be of type CertificatePlan or SavedPlan": lambda _, argument: (
        ln.write_requests(argument, "requests", passphrase=PASSPHRASE)
    ),
    "bundle is GIVEN, but it must be of type RequestBundle": lambda _, argument: (
        ln.match_certificates(argument, "answers")
    ),
    "write_pfx: issued is GIVEN, but it must be of type IssuedCertificates": lambda _, argument: (
        ln.write_pfx(argument, passphrase=PASSPHRASE)
    ),
    "steps: issued is GIVEN, but it must be of type IssuedCertificates": lambda _, argument: (
        ln.deployment_steps(argument)
    ),
}


@pytest.mark.parametrize(("argument", "words"), [(None, "None"), ("secret", "text")])
@pytest.mark.parametrize("message", CALLS)
def test_the_message_names_argument_and_type(message, argument, words, plan, tmp_path, monkeypatch):
    """The error message gives the name of the argument and the type of the value, but not the
    value, and no file is created.
    """
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError) as caught:
        CALLS[message](plan, argument)
    assert message.replace("GIVEN", words) in caught.value.message
    assert "secret" not in str(caught.value)
    assert "ln." in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "function", [ln.open_requests, ln.receive, ln.list_renewals, ln.folder_status]
)
def test_folder_must_be_a_path(function):
    """If the folder argument is None, the error message contains the name of this argument."""
    with pytest.raises(
        ArgumentError, match="folder is None, but it must be of type str or PathLike"
    ):
        function(None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda plan: ln.forecast(plan, until="2029-01-01"), "forecast: until is text"),
        (lambda plan: ln.forecast(plan, start="2027-01-01"), "forecast: start is text"),
        (lambda plan: ln.write_requests(plan, None, passphrase=PASSPHRASE), "folder is None"),
        (lambda _: ln.load_rules(None), "load_rules: product is None"),
        (lambda plan: plan.explain(5), "explain: server is of type int"),
        (lambda _: ln.guided_plan({}), "guided_plan: answers is of type dict"),
        (lambda _: ln.guided_topology(None), "guided_topology: answers is None"),
        (lambda _: ln.GuideAnswers.of(None), "document is None, but it must be of type Mapping"),
        (lambda plan: ln.write_first_plan(plan), "write_first_plan: first is of type Certificate"),
        (lambda plan: ln.compare_forecasts(plan, plan), "first is of type CertificatePlan, but"),
        (lambda _: ln.PlanOptions.beside(None), "beside: table is None"),
        (lambda _: ln.PlanOptions.from_toml(None), "source is None, .* type str or PathLike or b"),
        (lambda plan: ln.save_plan(plan.topology, "x.json"), "save_plan: plan is of type Topology"),
        (lambda plan: ln.check_plan(plan, on="2026-11-29"), "check_plan: on is text, .* type date"),
        (lambda plan: ln.probe(plan, on="2026-11-29"), "probe: on is text"),
        (lambda plan: ln.compare_as_is(plan, "x", on="2026-11-29"), "compare_as_is: on is text"),
        (lambda plan: ln.compare_as_is(plan.topology, "x"), "compare_as_is: plan is of type Topo"),
    ],
)
def test_wrong_types_of_other_arguments_are_reported(call, message, plan):
    """If a date, folder, product, server or answer has the wrong type, the message names the
    argument.
    """
    with pytest.raises(ArgumentError, match=message) as caught:
        call(plan)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"passphrase": 12345678901234}, "the passphrase is of type int, .* type Secret or str"),
        ({"passphrase": b"stone river lamp walk"}, "the passphrase is of type bytes"),
        ({"accept": "x"}, "accept is text, but it must be of type Mapping"),
        ({"today": "2026-11-29"}, "today is text, but it must be of type date"),
        ({"making": ThreadPoolExecutor(1)}, "making is of type ThreadPoolExecutor, .* type Making"),
    ],
)
def test_wrong_types_create_no_folder(arguments, message, plan, tmp_path):
    """If an argument of write_requests() has the wrong type, no request folder is created."""
    with pytest.raises(ArgumentError, match=message) as caught:
        ln.write_requests(
            plan, tmp_path / "requests", **{"passphrase": PASSPHRASE, "findings": (), **arguments}
        )
    assert "stone river" not in str(caught.value)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("arguments") / "requests").folder


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: ln.folder_status(path, today="2026-11-29"), "today is text"),
        (lambda path: ln.deployed(path, "fe01", on="2026-11-29"), "deployed: on is text"),
        (lambda path: ln.list_renewals(path, share="x"), "share is text, .* type float or int"),
        (lambda path: ln.purge(path, confirmed=True), "confirmed is of type bool, .* PurgeList or"),
        (lambda path: ln.receive(path, None), "each path is None"),
        (lambda path: ln.receive(path, path, accept="x"), "accept is text"),
        (lambda path: ln.rekey(path, None, "stone river lamp walk"), "the passphrase is None"),
        (
            lambda path: ln.write_pfx(
                ln.match_certificates(ln.open_requests(path)), 3, passphrase=PASSPHRASE
            ),
            "write_pfx: folder is of type int",
        ),
    ],
)
def test_wrong_types_change_no_folder(call, message, folder):
    """If an argument about a request folder has the wrong type, the folder does not change."""
    before = snapshot(folder)
    with pytest.raises(ArgumentError, match=message) as caught:
        call(folder)
    assert caught.value.hint
    assert snapshot(folder) == before


def test_deployments_can_have_a_datetime(folder):
    """The date of an installation can also be a datetime."""
    before = snapshot(folder)
    with pytest.raises(ln.OptionsError, match="2026-11-25 is in the future"):
        ln.deployed(folder, on=datetime(2026, 11, 25, 8), today=TODAY)
    assert snapshot(folder) == before


def test_forecast_requires_a_plan():
    """The function forecast() rejects None as a plan, and the error message states the required
    type.
    """
    with pytest.raises(ArgumentError, match="forecast: plan is None, but it must be of type Cert"):
        ln.forecast(None)


@pytest.mark.parametrize("moment", [datetime(2026, 11, 24, 23), datetime(2026, 11, 24, tzinfo=UTC)])
def test_date_argument_accepts_a_datetime(moment, plan):
    """A date argument also accepts a datetime with or without a time zone."""
    assert ln.check_plan(plan, on=moment) == ln.check_plan(plan, on=TODAY)
    until = moment.replace(year=2028)
    forecast = ln.forecast(plan, start=moment, until=until)
    assert forecast == ln.forecast(plan, start=TODAY, until=until.date())


BAD_NAMES = [
    lambda name: ln.rekey(name, PASSPHRASE, PASSPHRASE + " anew"),
    lambda name: name_recovery_key("folder", PASSPHRASE, name),
    lambda name: open_recovery_key(name, PASSPHRASE),
    lambda name: ln.ask_passphrase(file=name),
    lambda name: ln.request_elsewhere(make_plan(), name, findings=()),
    lambda name: ln.write_requests(make_plan(), name, passphrase=PASSPHRASE, findings=()),
    lambda name: ln.write_requests(
        make_plan(), "x", passphrase=PASSPHRASE, findings=(), recovery=[name]
    ),
]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"], ids=["zero", "unpaired surrogate"])
@pytest.mark.parametrize("call", BAD_NAMES)
def test_path_with_an_invalid_character_is_rejected(call, name, tmp_path, monkeypatch):
    """If a path contains a character that the operating system does not allow, the error contains a
    hint, and nothing is written.
    """
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ln.LyncnbError) as caught:
        call(name)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []
