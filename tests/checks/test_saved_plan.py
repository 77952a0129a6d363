"""lyncnb saves equal plans as identical bytes, and rejects a saved plan that was altered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
from dataclasses import replace
from datetime import date
from importlib import metadata
from pathlib import Path

import publicsuffixlist
import pytest
from big_topology import big_table
from places import DATA
from random_plans import PAIRS, random_plan
from strange import Deployment, choose_tables
from tampering import tamper_with_plan
from topologies import TWO_SITES, edge, front_end, plan

import lyncnb as ln
from lyncnb.base import dns_name
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.checks.saved_plan import read_saved_plan, save_plan
from lyncnb.errors import PlanAltered, PlanError, PlanOutdated, RulesError, TopologyError
from lyncnb.plan.saved_plan_json import FORMAT, SIGN_LINE, encode_saved_plan
from lyncnb.rules.rule_files import parse_rules, read_product_texts

RULES = ln.load_rules("lync2013")
DAY = date(2026, 11, 25)
# In CI, the test alters a tenth of the values that a full test alters.
COUNT = int(os.environ.get("LYNCNB_TAMPERED", "100"))


def saved(planned, folder, on=DAY):
    return save_plan(planned, folder / "p.json", findings=ln.check_plan(planned, on=on), force=True)


def with_valid_digest(document):
    """Return the altered values as a file with a valid digest, as an attacker would write it."""
    return encode_saved_plan({key: value for key, value in document.items() if key != "sha256"})


def get_error(path, data, *words):
    path.write_bytes(data)
    with pytest.raises(PlanError) as error:
        read_saved_plan(path)
    for word in words:
        assert word in str(error.value)
    return error.value


@pytest.mark.parametrize("sample", ["contoso", "big", *choose_tables()], ids=str)
def test_saved_plan_is_planned_again(tmp_path, sample):
    """When lyncnb reads a saved plan, it creates the same plan again: the table, options,
    certificates, and findings are equal, and so are the bytes that it would save.
    """
    source = big_table(300) if sample == "big" else DATA / "contoso.csv"
    options = ln.PlanOptions(
        planned_issue_date=date(2027, 1, 31), validity_days=90, issuer={"": "internal"},
        ca={"internal": "Contoso CA"}, accepted={"no-reverse-proxy": "later"},
        accepted_until={"no-reverse-proxy": date(2027, 6, 1)},
        accepted_for={"no-reverse-proxy": ("se01",)}, key=KeyParameters(bits=4096),
        organization='Contoso, "Ltd"', autodiscover_internal_extra_domains=("contoso.net",),
    )  # fmt: skip
    topology, rules = ln.read_topology(source), RULES
    if isinstance(sample, Deployment):
        topology, rules = sample.plan().topology, sample.plan().rules
        # The language affects only documents, so a saved plan does not contain it.
        options = replace(sample.plan().options, lang="en")
    planned = ln.plan_certificates(topology, rules, options=options)
    first = saved(planned, tmp_path)
    reread = read_saved_plan(first.path)
    assert reread.plan == planned
    assert reread.plan.topology.cells == planned.topology.cells
    assert (reread.findings, reread.judged_on) == (first.findings, DAY)
    assert (reread.sha256, reread.data) == (first.sha256, first.path.read_bytes())


@pytest.mark.slow
def test_any_plan_can_be_read_back(tmp_path):
    """A plan with any servers, domains, columns, and options can be saved and read back."""
    chance = random.Random(5)
    for _ in range(PAIRS // 20):
        planned = random_plan(chance)
        first = saved(planned, tmp_path)
        assert read_saved_plan(first.path).plan == planned


def test_saved_plan_is_rejected_as_a_table(tmp_path):
    """If a saved plan is passed as a server table, the error lists the commands that accept a saved
    plan.
    """
    with pytest.raises(TopologyError, match="is a JSON file") as error:
        ln.read_topology(saved(plan(front_end()), tmp_path).path)
    assert "lyncnb request --plan FILE FOLDER" in error.value.hint


def test_saved_plan_is_readable(tmp_path):
    """A saved plan begins with text that describes the file and how to approve it. Each entry is on
    one line.
    """
    planned = plan(front_end(), front_end(2), edge())
    first = saved(planned, tmp_path)
    text = first.data.decode()
    assert text.splitlines()[1] == f'"format": "{FORMAT}",'
    assert SIGN_LINE in text
    assert "Only a signature shows who approved the plan." in text
    for certificate in planned.certificates:
        (line,) = [
            candidate
            for candidate in text.splitlines()
            if candidate.startswith(f'{{"id": "{certificate.id}"')
        ]
        assert all(name in line for name in certificate.names)
    body = b"".join(first.data.splitlines(keepends=True)[:-2])
    assert hashlib.sha256(body).hexdigest() == json.loads(first.data)["sha256"]
    # The program sha256sum prints the same digest for the file.
    assert hashlib.sha256(first.data).hexdigest() == first.sha256


def test_saved_plan_is_evaluated_on_its_own_date(tmp_path):
    """If a rule takes effect after the date of a saved plan, it causes no finding when the plan is
    read later.
    """
    planned = plan(front_end(), edge(aol_pic="true"), options=ln.PlanOptions())
    before, after = saved(planned, tmp_path, date(2027, 3, 14)), None
    assert read_saved_plan(before.path).judged_on == date(2027, 3, 14)
    codes = {finding.code for finding in read_saved_plan(before.path).findings}
    after = saved(planned, tmp_path, date(2027, 3, 15))
    assert {finding.code for finding in read_saved_plan(after.path).findings} != codes
    assert before.sha256 != after.sha256


def test_accepted_findings_contain_their_reasons(tmp_path):
    """An accepted error in a saved plan contains the reason for accepting it and the limits of the
    acceptance.
    """
    planned = plan(front_end(), edge(access_edge_fqdn=""))
    errors = [finding for finding in ln.check_plan(planned, on=DAY) if finding.severity == "error"]
    code = errors[0].code
    options = ln.PlanOptions(accepted={code: "soon"}, accepted_until={code: date(2027, 1, 1)})
    planned = plan(front_end(), edge(access_edge_fqdn=""), options=options)
    findings = json.loads(saved(planned, tmp_path).data)["findings"]
    assert [finding["accepted"] for finding in findings if finding["code"] == code] == [
        "soon (until 2027-01-01)"
    ]
    assert {finding["accepted"] for finding in findings if finding["code"] != code} == {""}


def test_each_difference_is_reported(tmp_path):
    """If a saved plan differs from the current rules, lyncnb reports each added or removed name,
    changed subject, and removed finding.
    """
    first = saved(ln.plan_certificates(ln.read_topology(TWO_SITES.encode()), RULES), tmp_path)
    document = json.loads(first.data)
    certificate = document["certificates"][0]
    certificate["san"].append("evil.contoso.com")
    removed_name = document["certificates"][1]["san"].pop()
    document["certificates"][2]["subject"]["CN"] = "other.contoso.com"
    left_out = document["findings"].pop(0)
    error = get_error(
        first.path, with_valid_digest(document),
        f"{certificate['id']}: san: only the file contains \"evil.contoso.com\"",
        f'only the new plan contains "{removed_name}"',
        'subject: CN: the file contains "other.contoso.com"',
        f"new plan contains the finding {left_out['code']} for {left_out['about']}",
    )  # fmt: skip
    assert error.exit_status == 2


def test_altered_table_is_reported(tmp_path):
    """If a server or an option in a saved plan was altered, lyncnb reports each difference between
    the saved certificates and the certificates that the altered table requires.
    """
    first = saved(plan(front_end(), front_end(2)), tmp_path)
    document = json.loads(first.data)
    column = document["table"]["columns"].index("server_fqdn")
    document["table"]["rows"][1][column] = "rogue.contoso.com"
    get_error(
        first.path, with_valid_digest(document),
        "rogue-contoso-com", 'only the file contains "ee02.contoso.com"',
    )  # fmt: skip
    document = json.loads(first.data)
    document["options"]["key"]["bits"] = 4096
    get_error(
        first.path,
        with_valid_digest(document),
        "key: bits: the file contains 2048, but the new plan contains 4096",
    )


def rules_with(old, new):
    """Return the rules for Lync Server 2013 with one text in the rule files replaced."""
    texts = read_product_texts("lync2013")
    assert any(old in text for text in texts.values())
    return parse_rules({name: text.replace(old, new) for name, text in texts.items()}, source="x")


def test_other_rules_are_reported(tmp_path):
    """If a plan was saved with other rules, lyncnb reports the plan as outdated and not as altered,
    and lists the names that differ.
    """
    others = rules_with('"lyncdiscover.{sip_domain}"', '"discover.{sip_domain}"')
    planned = ln.plan_certificates(ln.read_topology(TWO_SITES.encode()), others)
    first = saved(planned, tmp_path)
    error = get_error(
        first.path, first.data,
        "was saved with different rules",
        'only the file contains "discover.contoso.com"',
        'only the new plan contains "lyncdiscover.contoso.com"',
        "save and approve the plan again",
    )  # fmt: skip
    assert (type(error), error.code, error.exit_status) == (PlanOutdated, "plan-outdated", 1)
    assert "altered" not in str(error)
    assert "discover.contoso.com" in {
        name
        for certificate in ln.read_plan(first.path).certificates
        for name in map(str, certificate.names)
    }
    unused = 'extended_key_usage_if.reverse_proxy_client_eku = ["clientAuth"]'
    first = saved(ln.plan_certificates(planned.topology, rules_with(unused, "")), tmp_path)
    error = get_error(first.path, first.data, "the installed rules products/lync2013.toml differ")
    assert len(error.problems) == 1


def test_changed_texts_of_rules_keep_the_digest(tmp_path):
    """The digest of a saved plan does not depend on the explanations in the rules, or on rules that
    are used only after planning.
    """
    for old, new in (
        ("port = 5061", "port = 5062"),
        ('meaning = "', 'meaning = "In short: '),
        ('why = "', 'why = "In short: '),
        ('[name.without]\nsays = "', '[name.without]\nsays = "In short: '),
        ('provider = "', 'provider = "Other '),
    ):
        assert rules_with(old, new).sha256 == RULES.sha256, old
    for old, new in (
        ('severity = "warning"', 'severity = "error"'),
        ('template = "sip.', 'template = "sips.'),
        ("if_all = [", 'if_all = ["wildcard", '),
    ):
        assert rules_with(old, new).sha256 != RULES.sha256, old


def test_only_an_approved_plan_may_contain_old_texts(tmp_path):
    """The texts in a plan may differ from the texts in the rules only if the plan is approved. Each
    old and new text is reported.
    """
    planned = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), RULES)
    first = saved(planned, tmp_path)
    document = json.loads(first.data)
    was = document["findings"][0]["message"]
    document["findings"][0]["message"] = "nothing to see here"
    document["reasons"][0]["why"] = "because"
    document["read_me"][1] = "it proves everything"
    error = get_error(
        first.path, with_valid_digest(document), "nothing to see here", "only the new plan contains"
    )
    assert "only the descriptive texts differ" in error.hint
    reread = read_saved_plan(first.path, reworded=True)
    assert reread.data == first.path.read_bytes()
    assert (reread.plan, reread.findings) == (planned, first.findings)
    changes = " ".join(reread.reworded)
    assert f'"nothing to see here" and is now "{was[:200]}"' in changes
    assert '"because" and is now' in changes
    assert "it proves everything" in changes
    assert len(reread.reworded) == 3
    with pytest.raises(PlanAltered, match="the plan is not approved"):
        ln.write_requests(reread, tmp_path / "requests", passphrase="a passphrase of the test")
    for key, value in (("severity", "error"), ("about", "x"), ("code", "other"), ("accepted", "y")):
        worse = json.loads(with_valid_digest(document))
        worse["findings"][0][key] = value
        first.path.write_bytes(with_valid_digest(worse))
        with pytest.raises(PlanAltered):
            read_saved_plan(first.path, reworded=True)
    # The digest in the file is not changed.
    altered = with_valid_digest(document).replace(b"nothing to see", b"nothing to fix")
    first.path.write_bytes(altered)
    with pytest.raises(PlanAltered, match="changed after it was saved"):
        read_saved_plan(first.path, reworded=True)


def with_suffix(monkeypatch, suffix, version):
    """Use a Public Suffix List that contains one additional public suffix."""
    extended_list = f"{Path(publicsuffixlist.PSLFILE).read_text('utf-8')}\n{suffix}\n"
    suffixes = publicsuffixlist.PublicSuffixList(extended_list.splitlines(), accept_unknown=False)
    monkeypatch.setattr(dns_name, "_load_public_suffixes", lambda: suffixes)
    installed = {"publicsuffixlist": version, "idna": metadata.version("idna")}
    monkeypatch.setattr(metadata, "version", installed.__getitem__)


def test_changed_public_suffix_list_is_reported(tmp_path, monkeypatch):
    """If the Public Suffix List changes, lyncnb still reads a saved plan that the change does not
    affect. lyncnb rejects an affected plan, and names both versions of the list.
    """
    planned = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), RULES)
    first = saved(planned, tmp_path)
    before = metadata.version("publicsuffixlist")
    with_suffix(monkeypatch, "of-no-interest.example", "9.20991231")
    assert read_saved_plan(first.path).data == first.data
    with_suffix(monkeypatch, "contoso.com", "9.20991231")
    with pytest.raises(PlanOutdated) as outdated:
        read_saved_plan(first.path)
    assert outdated.value.problems[0].message == (
        f"when the plan was saved, the version of publicsuffixlist was {before}. Now the version is "
        "9.20991231"
    )
    with_suffix(monkeypatch, "contoso.com", before)
    with pytest.raises(PlanAltered):
        read_saved_plan(first.path)


def test_versions_of_libraries_are_text(tmp_path):
    """In a saved plan, each version of a library must be text."""
    first = saved(plan(front_end()), tmp_path)
    for value in (5, ["x"], {"idna": 3}, None):
        get_error(
            first.path,
            with_valid_digest(json.loads(first.data) | {"libraries": value}),
            "libraries",
        )


def test_all_problems_are_reported_together(tmp_path):
    """lyncnb reports all wrong types, missing keys, and unknown keys in a saved plan together."""
    first = saved(plan(front_end()), tmp_path)
    document = json.loads(first.data)
    document["judged_on"] = "tomorrow"
    document["table"]["rows"][0].pop()
    document["options"]["wildcard"] = "yes"
    document["options"]["planned_issue_date"] = "2026-13-01"
    document["certificates"][0]["key"]["bits"] = "2048"
    del document["findings"]
    document["extra"] = 1
    error = get_error(
        first.path, json.dumps(document).encode(),
        "judged_on", "table.rows[0]", "planned_issue_date", ".key.bits",
        "'findings'", "'extra'",
    )  # fmt: skip
    assert isinstance(error, PlanAltered)
    document = json.loads(first.data)
    column = document["table"]["columns"].index("server_fqdn")
    document["table"]["rows"][0][column] = "no name"
    document["options"]["hash"] = "md5"
    get_error(first.path, json.dumps(document).encode(), "no name", "md5")


def test_unknown_findings_and_roles_are_reported(tmp_path):
    """A saved plan that accepts an unknown finding, or contains a role of another product, is
    rejected with a message.
    """
    first = saved(plan(front_end()), tmp_path)
    document = json.loads(first.data)
    document["options"]["accepted"] = {"no-such-code": "because"}
    error = get_error(
        first.path,
        with_valid_digest(document),
        "cannot compute the plan again from this file",
        "no-such-code",
    )
    assert (type(error), len(error.problems)) == (PlanAltered, 1)
    altered = first.data.replace(b'"accepted": {}', b'"accepted": {"no-such-code": "x"}', 1)
    get_error(first.path, altered, "changed after it was saved", "no-such-code")


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda data: data[:-20], "the content is not valid JSON"),
        (lambda data: data[: len(data) // 2], "the content is not valid JSON"),
        (lambda data: b"", "the content is not valid JSON"),
        (
            lambda data: data.replace(b"saved-plan/1", b"saved-plan/2"),
            "install a newer version of lyncnb",
        ),
        (lambda data: data.replace(b"lyncnb-saved-plan", b"lyncnb-plan"), "is not a saved plan"),
        (
            lambda data: data.replace(b"{\n", b'{"format": 1,\n', 1),
            "the same JSON key appears twice",
        ),
        (lambda data: data.replace(b"\n", b"\r\n"), "changed after it was saved"),
        (lambda data: data + b" ", "changed after it was saved"),
        (lambda data: b"\xef\xbb\xbf" + data, "changed after it was saved"),
        (lambda data: b"[" * 100_000, "the content is not valid JSON"),
        (lambda data: data.replace(b'"bits": 2048', b'"bits": ' + b"9" * 5000), "valid JSON"),
        (lambda data: data.replace(b"ee01", b"\\ud800", 1), "valid JSON"),
    ],
)
def test_other_files_are_not_a_saved_plan(tmp_path, alter, words):
    """A truncated file, a file in another format, and a file with a duplicate key each cause one
    clear error message.
    """
    first = saved(plan(front_end()), tmp_path)
    get_error(first.path, alter(first.data), words)


@pytest.mark.slow
def test_tampered_plan_is_rejected(tmp_path):
    """If a byte or value of a saved plan was changed, lyncnb rejects the plan or calculates a
    different digest for it.
    """
    planned = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), RULES)
    first = saved(planned, tmp_path)
    chance, tried, others = random.Random(int(os.environ.get("LYNCNB_SEED", "20"))), 0, 0
    while tried < COUNT:
        kind, member = chance.randrange(4), ""
        if kind == 0:
            position = chance.randrange(len(first.data))
            altered = (
                first.data[:position] + bytes([chance.randrange(256)]) + first.data[position + 1 :]
            )
        else:
            member, altered = tamper_with_plan(chance, first.data)
            if kind == 1:  # The person who changed the file did not calculate the digest again.
                original_digest = first.data[first.data.rfind(b'"sha256"') :]
                altered = altered[: altered.rfind(b'"sha256"')] + original_digest
        if altered == first.data:
            continue
        tried += 1
        first.path.write_bytes(altered)
        # With ``reworded=True``, only changes to texts are accepted. Other changes raise an error.
        with contextlib.suppress(PlanError, RulesError):
            reworded = read_saved_plan(first.path, reworded=True).reworded
            words = ("findings", "reasons", "title", "read_me")
            assert (member in words) == bool(reworded), member
        try:
            reread = read_saved_plan(first.path)
        except (PlanError, RulesError):
            continue
        # If someone changes a cell or option that has no effect and calculates the digest again,
        # the file is a valid but different plan. Its digest differs, so the signature of the
        # original plan does not match.
        others += 1
        assert member in ("table", "options")
        assert kind > 1
        assert reread.sha256 != first.sha256
        assert reread.plan.sha256 == planned.sha256
    assert others <= COUNT // 20
