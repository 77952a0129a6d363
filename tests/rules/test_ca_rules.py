"""lyncnb reads the rules of CAs completely, and reports every mistake in the rule files."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from datetime import date, timedelta
from itertools import pairwise

import jsonschema
import pytest
from places import REPOSITORY

from lyncnb.base.certificate_fields import KEYS
from lyncnb.errors import RulesError
from lyncnb.rules import ca_rules as module
from lyncnb.rules.ca_rules import QUANTITIES, contains_known_name, load_ca_rules, parse_ca_rules
from lyncnb.rules.model import Case

FOLDER = REPOSITORY / "lyncnb" / "cas"
SCHEMA = json.loads((FOLDER / "ca_rules.schema.json").read_text("utf-8"))

HEAD = 'title = "t"\nas_of = 2026-11-24\n'
SOURCE = 'source = { document = "d", date = 2026-01-01 }\n'
CHECK = f"""
[[check]]
code = "a-b"
severity = "error"
title = "t"
meaning = "m"
hint = "h"
applies = "public"
{SOURCE}"""
LIMIT = f"""
[[limit]]
quantity = "names"
value = 3
applies = "public"
{SOURCE}"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + CHECK.replace('"error"', '"fatal"'), 'Unknown severity "fatal" in \'check[0]'),
        (HEAD + CHECK + CHECK, "'check[1].code' is \"a-b\", which 'check[0]' already uses"),
        (HEAD + CHECK.replace(SOURCE, ""), "Missing required value: 'check[0].source'"),
        (
            HEAD + CHECK.replace(", date = 2026-01-01", ""),
            "Missing required value: 'check[0].source.date'",
        ),
        (HEAD + CHECK.replace('"public"', '"chrom"'), 'Unknown authority "chrom" in \'check[0]'),
        (HEAD + CHECK + 'limit_of = "nmes"', "Unknown quantity \"nmes\" in 'check[0].limit_of'"),
        (HEAD + CHECK + 'keys = ["ECDSA 512"]', "Unknown key \"ECDSA 512\" in 'check[0].keys'"),
        (HEAD + CHECK + 'judges = ["plans"]', "Unknown kind \"plans\" in 'check[0].judges'"),
        (
            HEAD + LIMIT + "effective = 2026-01-02\nuntil = 2026-01-02",
            "'limit[0].until' must be later",
        ),
        (HEAD + LIMIT.replace('"names"', '"nmes"'), 'Unknown quantity "nmes" in \'limit[0]'),
        (HEAD + LIMIT.replace("= 3", '= "3"'), "'limit[0].value' must be a whole number"),
        ('title = "t"\n', "Missing required value: 'as_of'"),
        (HEAD + "[[chekc]]\n", "Unknown key: 'chekc'"),
        (HEAD + CHECK + 'except_cas = ["c"]', "Unknown authority \"c\" in 'check[0].except_cas'"),
        (
            HEAD + f'[[root]]\ncode = "a-c"\nroots = ["R"]\nclients = "all"\n{SOURCE}',
            "Unknown check \"a-c\" in 'root[0].code'",
        ),
        (
            HEAD + '[[ca]]\nid = "c"\ntitle = "C"\nissuer = "public"\n',
            "'ca[0].names' is allowed only for a CA",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_location(text, message):
    """The message about a mistake contains the file, and the location in the file."""
    with pytest.raises(RulesError) as caught:
        parse_ca_rules({"x.toml": text})
    assert [problem.file for problem in caught.value.problems] == ["x.toml"]
    assert caught.value.problems[0].message.startswith(message)


def as_json(value):
    """Return a TOML document as an editor's validator sees it: as JSON values, with dates as text."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def validator():
    """Return a validator for the JSON schema, which also checks dates."""
    return jsonschema.Draft202012Validator(
        SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.name)
def test_the_shipped_files_are_valid_by_the_shipped_schema(path):
    """The rule files of lyncnb are valid according to the JSON schema of lyncnb."""
    text = path.read_text("utf-8")
    assert text.startswith("#:schema ./ca_rules.schema.json\n")
    document = as_json(tomllib.loads(text))
    assert [error.message for error in validator().iter_errors(document)] == []


@pytest.mark.parametrize(
    "text",
    [
        HEAD + CHECK.replace('"error"', '"fatal"'),
        HEAD + CHECK.replace(", date = 2026-01-01", ""),
        HEAD + LIMIT.replace("= 3", '= "3"'),
        HEAD + "[[chekc]]\n",
        'title = "t"\nas_of = "yesterday"\n',
    ],
)
def test_the_schema_finds_a_misspelled_key(text):
    """The JSON schema finds a misspelled key in a rule file."""
    assert list(validator().iter_errors(as_json(tomllib.loads(text))))


def test_schema_and_records_have_the_same_keys():
    """The JSON schema and the Python records have exactly the same keys."""
    keys = lambda kind: {  # noqa: E731
        item.metadata.get("key", item.name) for item in fields(kind) if item.init
    }
    schema_keys = {name: set(part["properties"]) for name, part in SCHEMA["$defs"].items()}
    assert schema_keys == {
        "source": keys(module.Source),
        "other_source": keys(module.OtherSource),
        "case": keys(Case),
        "limit": keys(module.CaLimit),
        "method": keys(module.ValidationMethod),
        "root": keys(module.RootRule),
        "check": keys(module.CaCheck),
    }
    assert set(SCHEMA["properties"]) == keys(module.CaRules)
    assert SCHEMA["$defs"]["limit"]["properties"]["quantity"]["enum"] == list(QUANTITIES)
    assert SCHEMA["$defs"]["check"]["properties"]["keys"]["items"]["enum"] == list(KEYS)


@pytest.mark.parametrize("quantity", ["validity-days", "domain-validation-days"])
def test_limits_of_public_cas_follow_one_another(quantity):
    """Each limit for the validity of public certificates begins when the previous one ends, and is
    stricter.
    """
    limits = load_ca_rules().list_limits(quantity)
    assert len(limits) > 2
    for limit, later in pairwise(limits):
        assert limit.until == later.effective
        assert limit.value > later.value
    assert limits[-1].until is None
    last = limits[-1].effective
    assert [ca_limit.value for ca_limit in load_ca_rules().list_limits(quantity, on_date=last)] == [
        limits[-1].value
    ]
    before = load_ca_rules().list_limits(quantity, on_date=last - timedelta(days=1))
    assert [ca_limit.value for ca_limit in before] == [limits[-2].value]


def test_limits_on_record():
    """The validity limits match the schedule of ballot SC-081 in the Baseline Requirements."""
    days = {limit.effective: limit.value for limit in load_ca_rules().list_limits("validity-days")}
    assert days[date(2026, 3, 15)] == 200
    assert days[date(2027, 3, 15)] == 100
    assert days[date(2029, 3, 15)] == 47
    assert [limit.value for limit in load_ca_rules().list_limits("domain-validation-days")] == [
        398,
        200,
        100,
        10,
    ]


def test_rules_of_public_cas_do_not_bind_an_internal_one():
    """No limit from the Baseline Requirements applies to an enterprise CA."""
    assert load_ca_rules().list_limits("validity-days", issuer="internal") == ()


@pytest.mark.parametrize(
    ("ca", "is_known"),
    [
        ("DigiCert", True),
        ("digicert  Global G2", True),
        ("our DigiCert account", True),
        ("NoDigiCertAtAll", False),
        ("", False),
    ],
)
def test_a_ca_is_recognized_by_whole_words(ca, is_known):
    """The name of a CA is recognized in uppercase and lowercase letters, but not inside another
    word.
    """
    assert contains_known_name(ca, ("DigiCert",)) is is_known


def test_two_sources_that_disagree_are_both_shown():
    """If two sources disagree, the rule cites both documents as its source, and its note quotes the
    second document.
    """
    text = (
        HEAD
        + CHECK
        + """
[[check.conflict]]
says = "it may"
source = { document = "e", section = "4", date = 2026-02-02 }
"""
    )
    rules = parse_ca_rules({"x.toml": text})
    rule = rules.convert_check(rules.checks[0])
    assert rule.source == "d, 2026-01-01; contradicted by: e, section 4, 2026-02-02"
    assert rule.disagreement == "this rule is based on d, but e says: it may"
