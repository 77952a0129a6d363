"""If you pass None or text to a function instead of an object, the error message gives the name of
the argument and its type.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from folders import PASSPHRASE, TODAY, make_plan, quick_cipher

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
    ],
)
def test_wrong_types_of_other_arguments_are_reported(call, message, plan):
    """If a date, folder, product, server or answer has the wrong type, the message names the
    argument.
    """
    with pytest.raises(ArgumentError, match=message) as caught:
        call(plan)
    assert caught.value.hint


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
