"""The file ``column_rules.toml`` defines the columns, headings, roles and choices of tables."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.shown.languages import translate_title
from lyncnb.errors import RulesError
from lyncnb.topology.columns import (
    find_choice,
    find_column_names,
    find_misspelled_column,
    find_nearest_column,
    find_role,
    get_column,
    list_topology_columns,
    list_topology_roles,
    map_role_positions,
    map_role_spellings,
    normalize_heading,
    parse_column_rules,
)
from lyncnb.topology.topology import read_topology

# The name, scope, type, and default of every column. Later versions must not change them.
COLUMNS = [
    ("server_fqdn", "server", "fqdn", ""),
    ("role", "server", "role", ""),
    ("pool_fqdn", "server", "fqdn", ""),
    ("site", "server", "text", ""),
    ("sip_domains", "deployment", "fqdn_list", ""),
    ("meet_urls", "site", "url_list", ""),
    ("dialin_url", "site", "url", ""),
    ("admin_url", "site", "url", ""),
    ("web_internal_fqdn", "pool", "fqdn", ""),
    ("web_external_fqdn", "pool", "fqdn", ""),
    ("autologon", "pool", "bool", "false"),
    ("strict_dns", "pool", "bool", "true"),
    ("autodiscover", "pool", "bool", "true"),
    ("sip_dns_aliases", "pool", "fqdn_list", ""),
    ("extra_san", "pool", "fqdn_list_by_usage", ""),
    ("access_edge_fqdn", "pool", "fqdn", ""),
    ("webconf_edge_fqdn", "pool", "fqdn", ""),
    ("av_edge_fqdn", "pool", "fqdn", ""),
    ("edge_internal_fqdn", "pool", "fqdn", ""),
    ("xmpp_domains", "pool", "fqdn_list", ""),
    ("tenant_sip_domains", "pool", "fqdn_list", ""),
    ("federation", "pool", "bool", "true"),
    ("client_autoconfig", "pool", "bool", "true"),
    ("aol_pic", "pool", "bool", "false"),
    ("owas_external_fqdn", "pool", "fqdn", ""),
    ("backup_pool", "pool", "fqdn", ""),
    ("mediation_standalone", "pool", "bool", "true"),
    ("issuer", "server", "issuer", ""),
    ("target_os", "server", "choice", "2012R2"),
]


def test_the_columns_have_the_expected_properties():
    """Every column has the expected scope, type, and default, and also a title and a help text."""
    columns = list_topology_columns()
    assert [(c.name, c.scope, c.kind, c.default) for c in columns] == COLUMNS
    assert all(c.title and c.help for c in columns)
    assert [c.name for c in columns if c.required] == ["server_fqdn", "role"]
    assert get_column("target_os").choices == (
        "2008R2",
        "2012",
        "2012R2",
        "2016",
        "2019",
        "2022",
        "2025",
    )
    assert [c.name for c in columns if c.is_list] == [
        "sip_domains",
        "meet_urls",
        "sip_dns_aliases",
        "extra_san",
        "xmpp_domains",
        "tenant_sip_domains",
    ]


def test_column_is_used_by_specific_roles():
    """A column can apply to all roles or only to some. For example, the site applies to every role,
    but automatic sign-in applies to a Director and not to an Edge Server.
    """
    assert get_column("autologon").is_used_by("Director")
    assert not get_column("autologon").is_used_by("Edge")
    assert get_column("site").is_used_by("Edge")


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("autlogon", "autologon"),
        ("Auto Logn", "autologon"),
        ("admn_url", "admin_url"),
        ("sites", "site"),
        ("web_external_fqnd", "web_external_fqdn"),
        # Headings of columns that users add.
        ("notes", None),
        ("rack", None),
        ("owner", None),
        ("ip address", None),
        ("備註", None),
    ],
)
def test_a_misspelled_heading_is_recognized(heading, name):
    """lyncnb recognizes a heading with one or two wrong letters, but ignores a heading that is a
    different word.
    """
    assert find_nearest_column(heading) == name


def test_a_misspelled_name_of_a_column_is_recognized():
    """Only the name of a column counts. Its other headings, and names that are similar to another
    heading, are not misspelled.
    """
    names = ("rolle", "sip_domians", "server_os", "server_id", "hostname", "site name", "site")
    found = [find_misspelled_column(name) for name in names]
    assert found == ["role", "sip_domains", None, None, None, None, None]


def test_roles_named_by_columns_exist():
    """Every role that a column definition mentions exists."""
    known = {role.id for role in list_topology_roles()}
    assert {role for c in list_topology_columns() for role in c.roles} - known == set()


def test_each_alias_has_one_meaning():
    """No heading belongs to two columns, and no spelling of a role belongs to two roles."""
    for nouns, attribute in ((list_topology_columns(), "name"), (list_topology_roles(), "id")):
        seen = {}
        for noun in nouns:
            for text in (getattr(noun, attribute), noun.title, *noun.aliases):
                assert seen.setdefault(normalize_heading(text), noun) is noun, text


def test_every_role_belongs_to_a_product(repository):
    """Each role that a table may contain is a role of at least one product."""
    files = (repository / "lyncnb" / "products").rglob("*.toml")
    documents = [tomllib.loads(file.read_text("utf-8")) for file in files]
    known = {role["id"] for document in documents for role in document.get("role", ())}
    assert {role.id for role in list_topology_roles()} == known


@pytest.mark.parametrize(
    ("headings", "names"),
    [
        (["server_fqdn", "role"], ("server_fqdn", "role")),
        (["Server FQDN", "ROLE"], ("server_fqdn", "role")),
        (["server-fqdn", " Role "], ("server_fqdn", "role")),
        (["ServerFqdn", "Ro le"], ("server_fqdn", "role")),
        # Excel and input methods write headings in these forms.
        (["\ufeffserver_fqdn", "ＲＯＬＥ\u00a0"], ("server_fqdn", "role")),
        (["FQDN", "Server Role", "Pool"], ("server_fqdn", "role", "pool_fqdn")),
        (["伺服器", "角色", "集區", "站台"], ("server_fqdn", "role", "pool_fqdn", "site")),
        (["Title of mine", "role"], ("Title of mine", "role")),
        # In the output of Get-CsPool, Computer contains the server, so Identity is read as the
        # pool.
        (["Identity", "Computer", "Site"], ("pool_fqdn", "server_fqdn", "site")),
        # In the output of Get-CsComputer, the column Identity repeats the column Fqdn, so lyncnb
        # treats Identity as an unknown column.
        (["Identity", "Pool", "Fqdn"], ("Identity", "pool_fqdn", "server_fqdn")),
        (["Identity", "Role"], ("server_fqdn", "role")),
        (["InternalFqdn", "ExternalFqdn"], ("web_internal_fqdn", "web_external_fqdn")),
        (
            ["AccessEdgeExternalFqdn", "DataEdgeExternalFqdn", "AVEdgeExternalFqdn"],
            ("access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn"),
        ),
        (["InternalInterfaceFqdn"], ("edge_internal_fqdn",)),
        # If two headings belong to the same column, its name is returned twice.
        (["fqdn", "server"], ("server_fqdn", "server_fqdn")),
    ],
)
def test_headings_are_recognized(headings, names):
    """Headings are recognized in uppercase and lowercase letters, and with any spaces, underscores,
    and hyphens.
    """
    assert find_column_names(headings) == names


@pytest.mark.slow
@given(
    st.sampled_from([c.name for c in list_topology_columns()]), st.randoms(use_true_random=False)
)
def test_a_heading_may_be_spelled_any_way(name, random):
    """lyncnb recognizes a heading in any letter case and with any separators between its words."""
    spelled = "".join(
        random.choice((c.upper(), c)) for c in name.replace("_", random.choice("_- "))
    )
    assert find_column_names([spelled]) == (name,)


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("FrontEnd", "FrontEnd"),
        ("Front End", "FrontEnd"),
        ("front-end", "FrontEnd"),
        ("FE", "FrontEnd"),
        ("EE", "FrontEnd"),
        ("Front End Server", "FrontEnd"),
        ("前端伺服器", "FrontEnd"),
        ("SE", "StandardEdition"),
        ("Standard Edition", "StandardEdition"),
        ("控制器", "Director"),
        ("主管", "Director"),
        ("邊緣伺服器", "Edge"),
        ("EdgeServer", "Edge"),
        ("中繼伺服器", "Mediation"),
        ("轉送伺服器", "Mediation"),
        ("PersistentChatServer", "PersistentChat"),
        ("Reverse Proxy", "ReverseProxy"),
        ("Survivable Branch Appliance", "SBA"),
        ("WacServer", "OfficeWebApps"),
        ("SQL Server", "Database"),
        ("PSTN gateway", "PstnGateway"),
        # Terms in Microsoft's Traditional Chinese documents and in other documents.
        ("Director", "Director"),
        ("Edge 伺服器", "Edge"),
        ("Edge Server", "Edge"),
        ("Survivable Branch 伺服器", "SBS"),
        ("Enterprise Edition 前端伺服器", "FrontEnd"),
        ("Standard Edition 前端伺服器", "StandardEdition"),
        ("企業版前端伺服器", "FrontEnd"),
        ("標準版伺服器", "StandardEdition"),
        ("Persistent Chat 伺服器", "PersistentChat"),
        ("持續聊天", "PersistentChat"),
        ("獨立的中繼伺服器", "Mediation"),
        ("stand-alone Mediation Server", "Mediation"),
        ("分支裝置", "SBA"),
        ("反向 Proxy", "ReverseProxy"),
        ("反向代理", "ReverseProxy"),
        ("監視伺服器", "Monitoring"),
        ("Exchange UM 伺服器", "ExchangeUM"),
        ("受信任的應用程式伺服器", "TrustedApplication"),
        ("信任的應用程式集區", "TrustedApplication"),
        # Terms in Microsoft's Simplified Chinese and German documents.
        ("前端服务器", "FrontEnd"),
        ("标准版服务器", "StandardEdition"),
        ("中介服务器", "Mediation"),
        ("边缘服务器", "Edge"),
        ("总监", "Director"),
        ("反向代理服务器", "ReverseProxy"),
        ("Front-End-Server", "FrontEnd"),
        ("Edgeserver", "Edge"),
        ("Vermittlungsserver", "Mediation"),
        ("Server für beständigen Chat", "PersistentChat"),
        ("FrontEndd", None),
        ("", None),
    ],
)
def test_roles_are_found_by_alias(text, role):
    """A role is recognized by its id, its title, and its common names."""
    assert find_role(text) == role


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("簡單 URL", "meet_urls"),
        ("會議簡單 URL", "meet_urls"),
        ("符合簡易 URL", "meet_urls"),
        ("撥入簡單 URL", "dialin_url"),
        ("撥入簡易 URL", "dialin_url"),
        ("管理簡單 URL", "admin_url"),
        ("系統管理簡單 URL", "admin_url"),
        ("管理簡易 URL", "admin_url"),
        ("主體別名", "extra_san"),
        ("主體替代名稱", "extra_san"),
        ("簽發者", "issuer"),
        ("中央網站", "site"),
        ("目標作業系統", "target_os"),
    ],
)
def test_headings_in_traditional_chinese(heading, name):
    """Headings from Microsoft's pages for Taiwan are recognized, regardless of spaces and of the
    width of the characters.
    """
    assert find_column_names([heading, heading.replace(" ", "")])[0] == name
    assert find_column_names([heading.replace("URL", "ＵＲＬ")]) == (name,)


def test_chinese_titles_of_the_editor_are_recognized():
    """Each Traditional Chinese title that the editor shows for a column or role is also recognized
    in a table.
    """
    for facts in list_topology_columns():
        assert find_column_names([translate_title(facts.title, "zh-TW")]) == (facts.name,)
    for role in list_topology_roles():
        assert find_role(translate_title(role.title, "zh-TW")) == role.id


@pytest.mark.parametrize(
    ("cell", "clean"),
    [
        ("內部", "internal"),
        ("公用", "public"),
        ("AccessEdgeExternal=公用", "AccessEdgeExternal=public"),
    ],
)
def test_issuers_in_traditional_chinese(cell, clean):
    """An issuer can be entered in Chinese. Plans and written tables contain the English value."""
    text = f"伺服器,角色,簽發者,SIP 網域\nedge01.contoso.net,Edge 伺服器,{cell},contoso.com\n"
    topology = read_topology(text.encode())
    assert topology.cells[0][topology.columns.index("issuer")] == clean
    assert any(note.before == cell and note.after == clean for note in topology.notes)


def test_roles_without_certificates_are_accepted():
    """A table may contain roles that need no certificate, so that it can be a complete inventory."""
    assert [role.id for role in list_topology_roles() if not role.certificates] == [
        "Archiving",
        "Monitoring",
        "Database",
        "FileStore",
        "PstnGateway",
    ]
    assert (
        map_role_positions()["StandardEdition"]
        < map_role_positions()["FrontEnd"]
        < map_role_positions()["Director"]
    )
    assert set(map_role_spellings().values()) == set(map_role_positions())


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("2012R2", "2012R2"),
        ("2012r2", "2012R2"),
        ("2012 R2", "2012R2"),
        ("Windows Server 2012 R2", "2012R2"),
        ("Microsoft Windows Server 2008 R2 Enterprise SP1", "2008R2"),
        ("windows_server_2016", "2016"),
        ("Windows Server 2019 Datacenter", "2019"),
        ("2012", "2012"),
        ("2003", None),
        ("Windows", None),
        ("2012R22", None),
    ],
)
def test_versions_are_found_in_longer_names(text, choice):
    """In the name of a product or operating system, only the version is significant."""
    assert find_choice(get_column("target_os"), text) == choice


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('help = "Full', 'hlep = "Full', "Unknown key: 'column[0].hlep'"),
        ('scope = "server"', 'scope = "servers"', "Unknown scope \"servers\" in 'column[0].scope'"),
        ('kind = "fqdn"', 'kind = "name"', "Unknown kind \"name\" in 'column[0].kind'"),
        ("required = true", 'required = "yes"', "'column[0].required' must be true or false"),
        ("\n[[role]]\n", "\n[[roles]]\n", "Unknown key: 'roles'"),
    ],
)
def test_a_mistake_in_the_file_has_its_location(old, new, message):
    """If column_rules.toml contains a mistake, the error message names the table, its position in
    the file, and the key.
    """
    text = files("lyncnb.topology").joinpath("column_rules.toml").read_text("utf-8")
    assert old in text
    with pytest.raises(RulesError) as caught:
        parse_column_rules(text.replace(old, new, 1))
    assert any(problem.message.startswith(message) for problem in caught.value.problems)
