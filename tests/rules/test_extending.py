"""A product file that extends another product can inherit, change, and remove the records of that
product.
"""

from __future__ import annotations

import re

import pytest
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

from lyncnb.errors import RulesError
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules import rule_files
from lyncnb.rules.procedure import load_procedure
from lyncnb.rules.rule_files import list_product_titles, list_products, load_rules, parse_rules
from lyncnb.topology import columns
from lyncnb.topology.topology import read_topology

HEAD = 'product = "mine"\ntitle = "Mine"\nextends = "lync2013"\n'
LYNC = "Certificate requirements for internal servers in Lync Server 2013"


@pytest.fixture(autouse=True)
def _remove_custom_columns(monkeypatch):
    """Remove the columns and roles that the product file of a test has added."""
    monkeypatch.setattr(rule_files, "_custom_products", {})
    yield
    columns.restore_custom_columns({})


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    shell = make_shell(tmp_path, capsys, monkeypatch)
    shell.write("pool.csv", TWO_FRONT_ENDS)
    return shell


def extended(text):
    return parse_rules(HEAD + text, source="mine.toml")


def mistakes(text):
    with pytest.raises(RulesError) as caught:
        extended(text)
    return [problem.message for problem in caught.value.problems]


def test_an_empty_extension_inherits_everything():
    """An extension without changes has all records of the other product, in the same order."""
    base, mine = load_rules("lync2013"), extended("")
    assert (mine.product, mine.title) == ("mine", "Mine")
    assert [c.id for c in mine.certificates] == [c.id for c in base.certificates]
    assert (mine.roles.keys(), mine.checks.keys()) == (base.roles.keys(), base.checks.keys())
    assert [s.id for s in load_procedure(mine).steps] == [s.id for s in load_procedure(base).steps]


def test_inherited_sources_are_marked_as_inferred():
    """If a product extends another one, lyncnb marks the sources that it inherits as inferred,
    because they mention only the other product.
    """
    base, mine = load_rules("lync2013"), extended("")
    assert mine.names["pool-name"].source == (
        f"Inferred: as for Lync Server 2013: {base.names['pool-name'].source}"
    )
    assert mine.roles["OfficeWebApps"].source == base.roles["OfficeWebApps"].source
    assert mine.roles["SBS"].source == base.roles["SBS"].source, "inferred already"


def test_sources_of_the_other_product_are_replaced():
    """The table [sources] replaces a document about the other product with a document about the new
    product.
    """
    mine = extended(
        f'[sources]\n"Microsoft, {LYNC}" = "Microsoft, Requirements for Mine, 2026-01-02"\n'
    )
    assert mine.names["pool-name"].source == "Microsoft, Requirements for Mine, 2026-01-02"
    assert mine.roles["Director"].source == (
        "Microsoft, Requirements for Mine, section Certificates for Director, 2026-01-02"
    )


def test_words_of_the_other_product_are_replaced():
    """The table [words] replaces words in the texts for planners, and replaces the longest words
    first.
    """
    mine = extended('[words]\n"Lync Server 2013" = "Mine 7"\n"Lync Server" = "Mine"\n')
    assert (
        mine.checks["wildcard-not-supported"].title
        == "Mine does not support a wildcard on this certificate"
    )
    assert "for Mine 7." in mine.checks["key-size-not-documented"].meaning
    assert "Lync Server 2013" in mine.checks["wildcard-not-supported"].source


def test_records_are_changed_and_added_by_id():
    """If an extension contains a record with an existing ID, only the specified keys of the
    existing record change. A record with a new ID is added.
    """
    mine = extended(
        '[[certificate]]\nid = "Edge/Internal"\nissuer = "public"\nsource = "RFC 1"\n'
        '[[deploy.step]]\nid = "new"\nafter = "account"\ntitle = "t"\nscope = "server"\nstage = "change"\n'
        'text = "t"\nsource = "RFC 1"\n'
    )
    changed = next(c for c in mine.certificates if c.id == "Edge/Internal")
    assert (changed.issuer, changed.subject_name) == ("public", "edge-internal")
    ids = [step.id for step in load_procedure(mine).steps]
    assert ids.index("new") == ids.index("account") + 1


def test_a_role_is_removed_with_its_records():
    """If an extension removes a role, the certificates, connections, checks, and texts of the role
    are also removed.
    """
    mine = extended('[without]\nrole = ["PersistentChat"]\n')
    assert "PersistentChat" not in mine.roles
    assert "PersistentChat" not in {c.role for c in mine.certificates}
    assert not {"pool-to-chat", "chat-to-pool"} & {c.id for c in mine.connections}
    assert not [c.code for c in mine.checks.values() if "PersistentChat" in (*c.roles, *c.not_for)]
    assert not [s.id for s in load_procedure(mine).steps if "PersistentChat" in s.roles]
    assert load_procedure(mine).find_shell("FrontEnd")


def test_a_role_is_removed_with_its_names_and_steps():
    """If an extension removes a role, lyncnb also removes the names, places, and steps that only
    this role uses.
    """
    mine = extended('[without]\nrole = ["ReverseProxy"]\n')
    assert not [name for name in mine.names if name.startswith("published-")]
    procedure = load_procedure(mine)
    setting_ids = {setting.id for setting in procedure.places}
    assert "https-binding" not in setting_ids
    assert "usage" in setting_ids
    assert all(step.scope != "place" or step.places for step in procedure.steps)
    assert "bind-reverse-proxy" not in {step.id for step in procedure.steps}


def test_a_role_like_another_has_the_same_steps_and_shell():
    """A role with like = ID has the same deployment steps and the same shell as the role with this
    ID.
    """
    mine = extended(
        '[[role]]\nid = "Gateway"\ntitle = "Gateway"\nlike = "Mediation"\nsource = "Inferred: x"\n'
    )
    steps = load_procedure(mine).steps
    assert [s.id for s in steps if "Gateway" in s.roles] == [
        s.id for s in steps if "Mediation" in s.roles
    ]
    assert load_procedure(mine).find_shell("Gateway") == load_procedure(mine).find_shell(
        "Mediation"
    )


def test_every_mistake_is_reported_with_its_place():
    """The error message gives the location of each mistake in the file that contains it, not in the
    merged document.
    """
    messages = mistakes(
        '[without]\nrole = ["Chat"]\nrule = ["x"]\n'
        '[words]\n"Lynx" = "x"\n[sources]\n"Microsoft, Nothing" = "Microsoft, x, 2026-01-01"\n'
        '[[role]]\nid = "New"\ntitle = "N"\nlike = "Old"\nsource = "s"\n'
        '[[name]]\nid = "pool-name"\ntemplate = "{pool.nothing}"\n'
        '[[certificate]]\nid = "x"\n'
    )
    assert messages == [
        "'words.Lynx' is not in lync2013",
        "'sources.Microsoft, Nothing' is not in lync2013",
        "Unknown kind of record \"rule\" in 'without'",
        "Unknown role in lync2013 \"Chat\" in 'without.role'",
        "Unknown role \"Old\" in 'role[0].like'",
        *(
            f"Missing required value: 'certificate[0].{key}'"
            for key in ("role", "usages", "issue_per", "subject_name", "subject_alt_name")
        ),
        "Missing required value: 'certificate[0].extended_key_usage'",
        "Missing required value: 'certificate[0].issuer'",
        "Missing required value: 'certificate[0].source'",
        "Unknown placeholder \"pool.nothing\" in 'name[0].template'",
    ]
    assert mistakes('[[name]]\nid = "pool-name"\ntemplate = "{pool.nothing}"\n') == [
        "Unknown placeholder \"pool.nothing\" in 'name[0].template'"
    ]
    assert mistakes('[[deploy.step]]\nid = "verify"\nscope = "planet"\n') == [
        "Unknown scope \"planet\" in 'deploy.step[0].scope'"
    ]


def test_a_mistake_in_an_extending_folder_has_its_file():
    """If a product consists of several files in a folder, the message about a mistake contains the
    name of the file with the mistake.
    """
    texts = {
        "mine/product.toml": f'{HEAD}[without]\nrole = ["Chat"]\n[words]\n"Lynx" = "x"\n',
        "mine/roles.toml": (
            '[[role]]\nid = "New"\ntitle = "N"\nlike = "Old"\nafter = "None"\nsource = "s"\n'
        ),
        "mine/steps.toml": '[[deploy.step]]\nid = "verify"\nscope = "planet"\n',
    }
    with pytest.raises(RulesError) as caught:
        parse_rules(texts, source="mine")
    assert [problem.message for problem in caught.value.problems] == [
        "'mine/product.toml: words.Lynx' is not in lync2013",
        "Unknown role in lync2013 \"Chat\" in 'mine/product.toml: without.role'",
        "Unknown role \"Old\" in 'mine/roles.toml: role[0].like'",
        "Unknown role \"None\" in 'mine/roles.toml: role[0].after'",
        "Unknown scope \"planet\" in 'mine/steps.toml: deploy.step[0].scope'",
    ]


def test_a_removed_name_that_is_still_used_is_reported():
    """If a product removes a name that another record needs, the error message names the file of
    that record.
    """
    (message,) = mistakes('[without]\nname = ["edge-internal"]\n')
    assert re.fullmatch(
        r"Unknown name .edge-internal. in 'lync2013/certificates\.toml: certificate\[\d+\]\.subject_name'",
        message,
    )


@pytest.mark.parametrize("base", ['"lync2010"', '"mine"', "3"])
def test_only_built_in_products_can_be_extended(base):
    """A product can extend only another built-in product. The hint of the error lists these
    products.
    """
    with pytest.raises(RulesError, match="'extends' must be another built-in product") as caught:
        parse_rules(f'product = "mine"\ntitle = "M"\nextends = {base}\n', source="mine.toml")
    assert "lync2013" in caught.value.problems[0].hint


OWN = (
    HEAD
    + """
[[topology.role]]
id = "Recorder"
title = "Call recorder"
aliases = ["recorder"]

[[topology.column]]
name = "recorder_fqdn"
title = "Recorder FQDN"
scope = "pool"
kind = "fqdn_list"
roles = ["Recorder"]
help = "Names of the recorder"

[[topology.column]]
name = "records_video"
title = "Records video"
scope = "pool"
kind = "bool"
default = "false"
roles = ["Recorder"]
help = "Video is recorded"

[[role]]
id = "Recorder"
title = "Call recorder"
source = "Contoso, Call recorders, 2026-05-01"

[[name]]
id = "recorder"
template = "{pool.recorder_fqdn}"
if_all = ["records_video"]
why = "Recorders are addressed by it."
source = "Contoso, Call recorders, 2026-05-01"

[[certificate]]
id = "Recorder/Default"
role = "Recorder"
usages = ["Default"]
issue_per = "computer"
subject_name = "server-name"
subject_alt_name = ["server-name", "recorder"]
extended_key_usage = ["serverAuth"]
issuer = "internal"
source = "Contoso, Call recorders, 2026-05-01"
"""
)
TABLE = """server_fqdn,role,sip_domains,recorder_fqdn,records_video
rec01.contoso.com,recorder,contoso.com,rec.contoso.com;rec.fabrikam.com,true
"""


def test_a_custom_product_adds_roles_and_columns(tmp_path):
    """A product file can define its own roles, columns, flags and sources. After the file is
    loaded, the product can be loaded by its name.
    """
    (tmp_path / "mine.toml").write_text(OWN, encoding="utf-8")
    (tmp_path / "t.csv").write_text(TABLE, encoding="utf-8")
    rules = load_rules(tmp_path / "mine.toml")
    plan = plan_certificates(read_topology(tmp_path / "t.csv"), rules)
    (certificate,) = plan.certificates
    assert list(certificate.names) == [
        "rec01.contoso.com", "rec.contoso.com", "rec.fabrikam.com",
    ]  # fmt: skip
    assert "Contoso, Call recorders" in str(plan.explain("rec01.contoso.com"))
    assert load_rules("mine") is rules
    assert list_product_titles()["mine"] == "Mine"
    assert load_rules(tmp_path / "mine.toml").certificates == rules.certificates, "read again"


def test_a_custom_product_is_found_by_name(tmp_path, monkeypatch):
    """Custom products can be selected by name if they are in the folder that the environment
    variable specifies.
    """
    (tmp_path / "mine.toml").write_text(OWN, encoding="utf-8")
    with pytest.raises(RulesError, match='no rules for the product "mine"'):
        load_rules("mine")
    monkeypatch.setenv("LYNCNB_PRODUCTS", str(tmp_path))
    assert load_rules("mine").title == "Mine"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('aliases = ["recorder"]', 'aliases = ["edge"]', "'topology.role[0]' is \"edge\""),
        ('name = "recorder_fqdn"', 'name = "site"', "'topology.column[0]' is \"site\""),
        ('scope = "pool"', 'scope = "site"', "in 'topology.column[0].scope'"),
        ('name = "recorder_fqdn"', 'name = "../x"', "'topology.column[0].name' is \"../x\""),
        ('product = "mine"', 'product = "../mine"', "'product' is \"../mine\""),
        (
            'id = "Recorder"\ntitle = "Call recorder"\nsource',
            'id = "../x"\ntitle = "x"\nsource',
            "'role[0].id' is \"../x\"",
        ),
        ('role = "Recorder"', 'role = "../x"', "'certificate[0].role' is \"../x\""),
        ('usages = ["Default"]', 'usages = ["a; b"]', "'certificate[0].usages[0]' is \"a; b\""),
        ('kind = "bool"', 'kind = "boolean"', "in 'topology.column[1].kind'"),
        ('roles = ["Recorder"]', 'roles = ["Recorde"]', "in 'topology.column[0].roles'"),
    ],
)
def test_mistakes_in_the_columns_of_a_product(old, new, message):
    """The error message lists duplicate column names, names without a meaning, and paths outside
    the folder.
    """
    assert old in OWN
    with pytest.raises(RulesError, match=re.escape(message)):
        parse_rules(OWN.replace(old, new, 1), source="mine.toml")
    assert "Recorder" not in columns.map_role_positions()


def test_invalid_product_files_are_rejected(tmp_path):
    """lyncnb rejects a missing product file, a file that is not text, and the name of a built-in
    product.
    """
    with pytest.raises(RulesError, match=r'cannot read ".*mine.toml": No such file'):
        load_rules(tmp_path / "mine.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RulesError, match="not UTF-8"):
        load_rules(tmp_path / "bytes.toml")
    (tmp_path / "lync.toml").write_text('product = "lync2013"\ntitle = "x"\n', encoding="utf-8")
    with pytest.raises(RulesError, match="which is a built-in product of lyncnb"):
        load_rules(tmp_path / "lync.toml")


@pytest.mark.parametrize("product", list_products())
def test_a_product_of_the_package_is_read_from_its_file(product):
    """A built-in product has the same name as its file, so lyncnb can load it by name."""
    assert load_rules(product).product == product


FLOOR = """\
[[name]]
id = "floor"
template = "floor.contoso.com"
why = "Panels in the building connect to the pool by this name."
source = "Contoso, Building handbook, 2026-10-01"
clients = { says = "Panels.", source = "Contoso, Building handbook, 2026-10-01" }
without = { says = "Panels show nothing.", source = "Contoso, Building handbook, 2026-10-01" }
"""
UNPLANNED = "floor is only in the rule FrontEnd/Default; the plan uses FrontEnd/Combined"


@pytest.mark.parametrize(
    ("extended_rules", "layout", "warns"),
    [
        (["FrontEnd/Default"], "combined", True),
        (["FrontEnd/Default"], "separate", False),
        (["FrontEnd/Default", "FrontEnd/Combined"], "combined", False),
    ],
)
def test_a_name_of_a_layout_that_is_not_planned_is_reported(shell, extended_rules, layout, warns):
    """If a product adds a name only to a rule of the layout that is not planned, plan and check
    warn and name the rule that the plan uses.
    """
    base = {rule.id: rule for rule in load_rules("lync2013").certificates}
    added = "".join(
        f'[[certificate]]\nid = "{rule}"\nsubject_alt_name = '
        f"{[*base[rule].subject_alt_name, 'floor']}\n"
        for rule in extended_rules
    )
    shell.write("mine.toml", HEAD + FLOOR + added)
    shell.write("plan.toml", f'layout = "{layout}"\n')
    for command in ("plan", "check"):
        arguments = ("pool.csv", "--product", "mine.toml", "--options", "plan.toml")
        result = shell(command, *arguments)
        words = " ".join(result.out.split())
        assert (UNPLANNED in words, "1 warning" in words) == (warns, warns), result.out
    assert ("floor.contoso.com" in shell("plan", *arguments, "--json").out) is not warns
