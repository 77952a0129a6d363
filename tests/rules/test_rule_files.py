"""lyncnb reads product files completely, and reports the location of each mistake."""

from __future__ import annotations

import re

import pytest
import yaml
from places import REPOSITORY

from lyncnb.base.shown.tables import list_headings
from lyncnb.errors import RulesError
from lyncnb.plan.certificate_names import list_resolved_placeholders
from lyncnb.rules.model import Fact, list_flags, list_placeholders
from lyncnb.rules.procedure import load_package_rules
from lyncnb.rules.rule_files import list_products, load_rules, parse_rules, read_product_texts

UNDOCUMENTED = REPOSITORY / "tests" / "golden" / "undocumented_names.yaml"

SMALL = """
product = "small"
title = "Small"

[[role]]
id = "Server"
title = "Server"
source = "RFC 1"

[[name]]
id = "own"
template = "{computer.fqdn}"
why = "its own"
source = "RFC 1"

[[certificate]]
id = "Server/Default"
role = "Server"
usages = ["Default"]
issue_per = "computer"
subject_name = "own"
subject_alt_name = ["own"]
extended_key_usage = ["serverAuth"]
issuer = "internal"
source = "RFC 1"

[[check]]
code = "some-code"
severity = "error"
title = "t"
meaning = "m"
hint = "h"
source = "RFC 1"

[pfx]
provider = "P"
source = "RFC 7292"

[[pfx.encryption]]
id = "e"
title = "t"
target_os = ["2019"]
why = "w"
source = "s"
"""


PARTY = """
[[party]]
id = "clients"
title = "Clients"
zone = "outside"
source = "RFC 1"

[[connection]]
id = "sign-in"
speakers = ["clients"]
listeners = ["Server"]
usage = "Default"
names = ["own"]
protocol = "SIP"
port = 5061
why = "they sign in"
source = "RFC 1"
"""


def test_parties_and_connections_are_read():
    """A product file defines parties and their connections. By default, a party connects to the
    nearest pool.
    """
    rules = parse_rules(SMALL + PARTY, source="small.toml")
    assert rules.parties["clients"].zone == "outside"
    (connection,) = rules.connections
    assert (connection.speakers, connection.listeners) == (("clients",), ("Server",))
    assert (connection.reach, connection.port, rules.roles["Server"].zone) == (
        "nearest",
        5061,
        "inside",
    )


@pytest.mark.parametrize(
    ("before", "after", "location"),
    [
        ('speakers = ["clients"]', 'speakers = ["client"]', "connection[0].speakers"),
        ('listeners = ["Server"]', 'listeners = ["clients"]', "connection[0].listeners"),
        ('names = ["own"]', 'names = ["other"]', "connection[0].names"),
        ('zone = "outside"', 'zone = "Internet"', "party[0].zone"),
        ("port = 5061", 'port = "5061"', "connection[0].port"),
        ('protocol = "SIP"', 'protocol = "SIP"\nreach = "far"', "connection[0].reach"),
    ],
)
def test_unknown_values_in_a_connection_are_reported(before, after, location):
    """The error message gives the location of each unknown value in a connection, such as a name or
    a zone.
    """
    assert before in PARTY
    with pytest.raises(RulesError, match=re.escape(location)):
        parse_rules(SMALL + PARTY.replace(before, after), source="small.toml")


def small_folder(**changed):
    """Split the rules of a small product into one file for each type of table, and return the text
    of each file. The keyword arguments replace some of the texts.
    """
    head, roles, names, certificates, checks, packages = re.split(
        r"\n(?=\[\[role|\[\[name|\[\[certificate|\[\[check|\[pfx)", SMALL
    )
    texts = {
        "certificates": certificates,
        "checks": checks,
        "names": names,
        "packages": packages,
        "product": head,
        "roles": roles,
        **changed,
    }
    return {f"small/{name}.toml": text for name, text in texts.items()}


def test_a_folder_is_read_as_one_file():
    """A product in several files has the same rules and the same digest as in one file."""
    folder = parse_rules(small_folder(), source="small")
    assert folder == parse_rules(SMALL, source="small.toml")
    assert [*read_product_texts("sfb2019")] == ["sfb2019.toml"]
    assert "lync2013/names.toml" in read_product_texts("lync2013")


_AGAIN = SMALL.partition("[[name]]")[2].partition("[[certificate]]")[0]
_SPLIT = small_folder()


@pytest.mark.parametrize(
    ("changed", "messages"),
    [
        (
            {"more": f"[[name]]{_AGAIN}"},
            ["'small/names.toml: name[0].id' is \"own\", which 'small/more.toml: name[0]' already uses"],
        ),
        (
            {"names": _SPLIT["small/names.toml"].replace('why = "its own"', "why = 3")},
            ["'small/names.toml: name[0].why' must be text, not 3"],
        ),
        ({"more": 'title = "Other"'}, ["'small/product.toml: title' is also in small/more.toml"]),
        ({"more": '[pfx]\nprovider = "Q"'}, ["'small/packages.toml: pfx.provider' is also in small/more.toml"]),
        ({"more": "[[pfx]]"}, ["'small/packages.toml: pfx' is also in small/more.toml"]),
        ({"more": "[[nome]]"}, ["Unknown key: 'small/more.toml: nome[0]'"]),
        ({"more": "[nome]\na = 1"}, ["Unknown key: 'small/more.toml: nome'"]),
        ({"product": 'product = "small"'}, ["Missing required value: 'small/product.toml: title'"]),
        ({"packages": '[pfx]\nprovider = 3\nsource = "s"\n[[pfx.encryption]]\nid = "e"'}, ["'small/packages.toml: pfx.provider' must be text, not 3", "Missing required value: 'small/packages.toml: pfx.encryption[0].title'"]),
        ({"more": '[deploy]\nfolder = "x"\nstep = []'}, ["'small/more.toml: deploy.folder' is not a full path"]),
        ({"more": '[topology]\ncolumns = 1'}, ["Unknown key: 'small/more.toml: topology.columns'"]),
    ],
)  # fmt: skip
def test_errors_in_a_product_folder_mention_the_file(changed, messages):
    """If a product consists of several files, an error message mentions the file that contains the
    error.
    """
    with pytest.raises(RulesError) as caught:
        parse_rules(dict(sorted(small_folder(**changed).items())), source="small")
    problems = [problem.message for problem in caught.value.problems]
    assert set(messages) <= set(problems), problems
    assert {problem.file for problem in caught.value.problems} == {"small"}


def test_a_file_of_a_folder_that_is_not_toml():
    """If a file in a folder is not TOML, the error message contains the file and the line."""
    with pytest.raises(
        RulesError, match=r"^small/more\.toml: the file is not valid TOML: .*line 2"
    ):
        parse_rules(small_folder(more="a = 1\nb = &"), source="small")


def test_a_product_file_is_read():
    """The parser reads the roles, names, certificates, checks, and remaining tables of a product
    file.
    """
    rules = parse_rules(SMALL, source="small.toml")
    assert (rules.product, rules.title) == ("small", "Small")
    assert list(rules.roles) == ["Server"]
    assert rules.names["own"].parts == ("", "computer.fqdn", "")
    (certificate,) = rules.certificates
    assert certificate.usages == ("Default",)
    assert certificate.profiles == ("default", "doc_example")
    assert rules.checks["some-code"].test == ""
    assert load_package_rules(rules).find_encryption("2019").id == "e"
    assert rules.usages == {"Default"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('issuer = "internal"\n', "", "Missing required value: 'certificate[0].issuer'"),
        ('why = "its own"', 'why = ""', "Missing required value: 'name[0].why'"),
        ('why = "its own"', "why = 3", "'name[0].why' must be text, not 3"),
        ("[[certificate]]", '[name.clients]\nsays = "c"\n[[certificate]]', "Missing required value: 'name[0].clients.source'"),
        ("[[certificate]]", '[name.without]\nsays = ""\nsource = "RFC 1"\n[[certificate]]', "Missing required value: 'name[0].without.says'"),
        ("[[certificate]]", '[name.clients]\nsays = "c"\nsourse = "RFC 1"\n[[certificate]]', "Unknown key: 'name[0].clients.sourse'"),
        ("[[certificate]]", '[name.witout]\nsays = "c"\nsource = "RFC 1"\n[[certificate]]', "Unknown key: 'name[0].witout'"),
        ('why = "its own"', 'why = "its own"\nclients = "c"', "'name[0].clients' is not a table"),
        ('usages = ["Default"]', 'usages = "Default"', "'certificate[0].usages' must be a list"),
        ("issuer =", "isuer =", "Unknown key: 'certificate[0].isuer'"),
        ("{computer.fqdn}", "{computer}", "Unknown placeholder \"computer\" in 'name[0].template'"),
        ("{computer.fqdn}", "{a}{b}", "'name[0].template' is \"{a}{b}\""),
        ("{computer.fqdn}", "SIP.{sip_domain}", "'name[0].template' is \"SIP.{sip_domain}\""),
        ("[[certificate]]", 'if_all = ["strict"]\n[[certificate]]', "Unknown flag \"strict\" in 'name[0].if_all'"),
        ('subject_name = "own"', 'subject_name = "owen"', "Unknown name \"owen\" in 'certificate[0].subject_name'"),
        ('["own"]', '["own", "x"]', "Unknown name \"x\" in 'certificate[0].subject_alt_name'"),
        ('role = "Server"', 'role = "Serve"', "Unknown role \"Serve\" in 'certificate[0].role'"),
        ('issuer = "internal"', 'issuer = "me"', "Unknown issuer \"me\" in 'certificate[0].issuer'"),
        ('"serverAuth"', '"codeSigning"', "Unknown key usage \"codeSigning\""),
        ('"computer"\n', '"machine"\n', "Unknown value \"machine\" in 'certificate[0].issue_per'"),
        ('issue_per = "computer"', 'issue_per = "pool"', "'certificate[0]' is issued per pool, so it cannot use the name \"own\""),
        ('issue_per = "computer"', 'issue_per = "computer"\nneeded_by = ["Server"]', "'certificate[0].needed_by' is allowed only with"),
        ('issuer = "internal"', 'issuer = "internal"\nextended_key_usage_if.x = ["serverAuth"]', "Unknown flag \"x\" in 'certificate[0].extended_key_usage_if'"),
        ('issuer = "internal"', 'issuer = "internal"\nwildcard = 1', "'certificate[0].wildcard' must be true or false, not 1"),
        ('issuer = "internal"', 'issuer = "internal"\nlayout = "mixed"', "Unknown layout \"mixed\" in 'certificate[0].layout'"),
        ('severity = "error"', 'severity = "fatal"', "Unknown severity \"fatal\" in 'check[0].severity'"),
        ("some-code", "Some_Code", "'check[0].code' is \"Some_Code\""),
        ('title = "Small"\n', "", "Missing required value: 'title'"),
        ("[[check]]", "[[checks]]", "Unknown key: 'checks'"),
        ('provider = "P"', 'provider = "P"\nprovder = "Q"', "Unknown key: 'pfx.provder'"),
        ('provider = "P"', "", "Missing required value: 'pfx.provider'"),
        ('target_os = ["2019"]', 'target = ["2019"]', "Unknown key: 'pfx.encryption[0].target'"),
        ('target_os = ["2019"]', 'target_os = "2019"', "'pfx.encryption[0].target_os' must be a list of text values"),
        ("[[pfx.encryption]]", "[[pfx.encryptoin]]", "Unknown key: 'pfx.encryptoin'"),
        ("[pfx]", "[[summary.command]]\n[pfx]", "Unknown key: 'summary'"),
        ("[pfx]", "[other]\n[pfx]", "Unknown key: 'other'"),
        ("[pfx]", "[deploy]\nstep = [{id = \"x\"}]\n[pfx]", "deploy.step[0]"),
        ("[[check]]", '[[role]]\nid = "Server"\ntitle = "S"\nsource = "x"\n[[check]]', "'role[1].id' is \"Server\", which 'role[0]' already uses"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_location(old, new, message):
    """If a product file has a mistake, the error message names the table, the number of the table,
    and the key.
    """
    assert old in SMALL
    with pytest.raises(RulesError, match=re.escape(message)) as caught:
        parse_rules(SMALL.replace(old, new, 1), source="small.toml")
    assert "small.toml contains errors" in str(caught.value)


def test_all_mistakes_are_reported_at_once():
    """One error message lists all mistakes in a product file."""
    text = SMALL.replace('issuer = "internal"\n', "").replace('why = "its own"\n', "")
    with pytest.raises(RulesError) as caught:
        parse_rules(text, source="small.toml")
    assert [problem.message for problem in caught.value.problems] == [
        "Missing required value: 'name[0].why'",
        "Missing required value: 'certificate[0].issuer'",
    ]


def test_text_that_is_not_toml():
    """If a product file is not TOML, the error message contains the line."""
    with pytest.raises(RulesError, match=r"small.toml: the file is not valid TOML: .*line 1"):
        parse_rules("product = lync", source="small.toml")


def test_an_entry_that_is_not_a_table():
    """If an array of tables contains a value that is not a table, lyncnb rejects the product file."""
    with pytest.raises(RulesError, match=r"'name\[0\]' is not a table"):
        parse_rules('product = "a"\ntitle = "b"\nname = [3]\n', source="x.toml")


@pytest.mark.parametrize("name", ["lync2010", "../lync2013", ""])
def test_unknown_product(name):
    """If a product is unknown, the error message lists the known products."""
    with pytest.raises(RulesError, match="no rules for the product") as caught:
        load_rules(name)
    assert "lync2013" in caught.value.hint


def test_rules_are_read_once():
    """If the same rules are loaded twice, both calls return the same object."""
    assert load_rules("lync2013") is load_rules()


def test_vocabulary_is_closed():
    """The planner can resolve exactly the placeholders in the documented vocabulary."""
    assert list_resolved_placeholders() == list_placeholders().keys()


@pytest.mark.parametrize("product", list_products())
class TestEveryProduct:
    """Every built-in product file meets the conditions that these tests check."""

    def test_every_rule_has_a_dated_source(self, product):
        """Each source is a Microsoft document with its date, or is marked as inferred."""
        rules = load_rules(product)
        cited = [*rules.roles.values(), *rules.names.values(), *rules.certificates]
        for rule in cited:
            assert re.search(r"\d{4}-\d\d-\d\d|^Inferred(:| from) ", rule.source), rule.id
            assert rule.source.startswith(("Microsoft, ", "Inferred: ", "Inferred from ")), rule.id

    def test_every_name_is_used(self, product):
        """At least one certificate uses each name rule."""
        rules = load_rules(product)
        used = {n for c in rules.certificates for n in (c.subject_name, *c.subject_alt_name)}
        assert used == rules.names.keys()

    def test_every_name_has_clients_and_effects(self, product):
        """For each name, the product file states which clients use it and what fails without it,
        with a source. The golden file lists every name without this data.
        """
        names = load_rules(product).names.values()
        golden = yaml.safe_load(UNDOCUMENTED.read_text(encoding="utf-8"))
        for key in ("clients", "without"):
            facts = {name.id: getattr(name, key) for name in names}
            assert sorted(name for name, fact in facts.items() if not fact) == golden[product][key]
            for name, fact in facts.items():
                assert fact is None or fact.source.startswith(
                    ("Microsoft, ", "Inferred: ", "Inferred from ")
                ), name
                assert fact is None or re.search(r"\d{4}-\d\d-\d\d", fact.source), name
                assert fact is None or fact.says.endswith("."), name

    def test_the_subject_is_the_first_name(self, product):
        """By default, the subject name is the first alternative name, except in the internal Edge
        certificate.
        """
        for rule in load_rules(product).certificates:
            if "default" in rule.profiles and rule.usages != ("Internal",):
                assert rule.subject_alt_name[0] == rule.subject_name, rule.id

    def test_no_wildcard_as_subject(self, product):
        """No role can have a wildcard name as its subject name."""
        rules = load_rules(product)
        for rule in rules.certificates:
            subject = rules.names[rule.subject_name]
            assert not subject.wildcard
            assert "*" not in subject.template


def test_facts_about_names_do_not_change_the_digest():
    """The digest of a plan does not include the facts about who needs a name, so approved plans
    stay valid.
    """
    facts = '[name.clients]\nsays = "c"\nsource = "RFC 1"\n[[certificate]]'
    before, after = (
        parse_rules(text, source="small.toml")
        for text in (SMALL, SMALL.replace("[[certificate]]", facts, 1))
    )
    assert after.names["own"].clients == Fact(says="c", source="RFC 1")
    assert (before.names["own"].clients, after.names["own"].without) == (None, None)
    assert before.sha256 == after.sha256
    party = '[[party]]\nid = "p"\ntitle = "P"\nzone = "outside"\nsource = "RFC 1"\n[[certificate]]'
    drawn = parse_rules(SMALL.replace("[[certificate]]", party, 1), source="small.toml")
    assert drawn.parties
    # These facts affect only pictures and the trust plan, so the digest does not change.
    assert drawn.sha256 == before.sha256


def test_lync2013_usages_are_spelled_as_in_the_cmdlets():
    """The certificate usages are exactly the values of Set-CsCertificate -Type that lyncnb
    supports.
    """
    assert load_rules("lync2013").usages == {
        "Default",
        "WebServicesInternal",
        "WebServicesExternal",
        "OAuthTokenIssuer",
        "Internal",
        "AccessEdgeExternal",
        "DataEdgeExternal",
        "AudioVideoAuthentication",
    }


def test_lync2013_wildcards_only_for_web_roles():
    """Only the certificates of Standard Edition servers, Front End Servers, Directors and reverse
    proxies allow wildcards.
    """
    roles = {rule.role for rule in load_rules("lync2013").certificates if rule.wildcard}
    assert roles == {"StandardEdition", "FrontEnd", "Director", "ReverseProxy"}


def test_every_flag_is_explained():
    """Each flag in a product file has an explanatory text."""
    assert all(list_flags().values())


def test_rules_show_as_a_table():
    """The rules of a product can be shown as a table, which has one row for each certificate and
    contains the sources.
    """
    rules = load_rules("lync2013")
    frame = rules.to_frame()
    assert list(frame.columns) == list_headings(rules._columns)
    assert len(frame) == len(rules.certificates)
    assert "<table" in rules._repr_html_()
    assert "Certificate requirements for internal servers" in rules._repr_html_()
