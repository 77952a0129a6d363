"""Tables with the mistakes that people make open, and a few corrections leave no error.

Each table has two to six mistakes. The hand edits are those that a person makes after *Fix all*: a
heading that means a known column, or the text of a cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from workbooks import xlsx

import lyncnb as ln
from lyncnb.page.session import PageSession
from lyncnb.widgets.editing.edits import fix_cells, name_column

MOST_EDITS = 3


@dataclass(frozen=True)
class Mistaken:
    """A table with mistakes, the columns of its unknown headings, and the texts to correct."""

    name: str
    table: str
    headings: dict[str, str]
    cells: tuple[tuple[int, str, str], ...] = ()


TABLES = (
    Mistaken(
        "English: nicknames of roles, a name without a domain, Location",
        """Server,Role,Pool,Location,SIP domain,Web external FQDN
muc-fe01.adatum.local,FE,pool01.adatum.local,Munich,adatum.com,webext.adatum.com
muc-fe02,Frontend,pool01.adatum.local,Munich,,
muc-edge01.adatum.local,Edge,,Munich,,
muc-rp01.adatum.local,Reverse Proxy Server,,Munich,,
""",
        {"Location": "site"},
    ),
    Mistaken(
        "English: merged pool cells and a misspelled role",
        """Hostname,Role,Pool,Site,SIP domains,Web external FQDN
fe01.fabrikam.com,Front End,pool.fabrikam.com,London,fabrikam.com,web.fabrikam.com
fe02.fabrikam.com,Front End,,London,,
med01.fabrikam.com,Meditation,,London,,
rp01.fabrikam.com,Reverse proxi,,London,,
""",
        {},
        ((1, "pool_fqdn", "pool.fabrikam.com"),),
    ),
    Mistaken(
        "English: host names with a scheme and a port, URLs without a scheme",
        """Computer,Server role,Site,SIP domain,Meet URL,Dialin,Web external FQDN
https://se01.litwareinc.com:443/,Standard Edition,Paris,litwareinc.com,meet.litwareinc.com,dialin.litwareinc.com,web.litwareinc.com
rp01,Reverse Proxy,Paris,,,,
""",
        {},
    ),
    Mistaken(
        "English: a blank row, yes and no in other words, a short role",
        """server_fqdn,role,pool_fqdn,site,sip_domains,autologon,web_external_fqdn
se01.adatum.com,SE,,Oslo,adatum.com,maybe,web.adatum.com
,,,,,,
med01,Mediation Srv,,Oslo,,,
rp01.adatum.com,RP,,Oslo,,,
""",
        {},
        ((0, "autologon", "yes"),),
    ),
    Mistaken(
        "German: headings and roles in German",
        """Rechnername,Rolle,Serverpool,Standort,SIP-Domäne,Externer Webname
fe01.adatum.local,Front-End-Server,pool.adatum.local,Köln,adatum.com,web.adatum.com
fe02,Front-End-Server,pool.adatum.local,Köln,,
med01.adatum.local,Vermittlungsserver,med.adatum.local,Köln,,
rp01.adatum.local,Reverseproxy,,Köln,,
""",
        {"Serverpool": "pool_fqdn", "Standort": "site", "SIP-Domäne": "sip_domains"},
    ),
    Mistaken(
        "German: a pool without a domain, a misspelled role",
        """Server;Rolle;Pool;Standort;SIP domain
se01.contoso.com;Standard Edition-Server;;Bonn;contoso.com
edge01.contoso.com;Edgeserver;edge;Bonn;
rp01.contoso.com;Reverseproxi;;Bonn;
""",
        {"Standort": "site"},
    ),
    Mistaken(
        "Traditional Chinese: an unknown heading and a name without a domain",
        """伺服器,角色,集區,所在地,SIP 網域,Web external FQDN
fe01.contoso.com,前端伺服器,pool.contoso.com,臺北,contoso.com,web.contoso.com
fe02,前端伺服器,pool.contoso.com,臺北,,
edge01.contoso.com,邊緣伺服器,,台北,,
rp01.contoso.com,反向 Proxy,,臺北,,
""",
        {"所在地": "site"},
    ),
    Mistaken(
        "Traditional Chinese: two roles in a cell, a full stop that is not one",
        """伺服器,角色,站台,SIP 網域
se01.fabrikam.com,標準版,高雄,fabrikam.com
med01。fabrikam。com,中繼,高雄,
rp01,反向代理/TMG,高雄,
""",
        {},
    ),
    Mistaken(
        "Simplified Chinese: headings and roles in Simplified Chinese",
        """服务器,角色,池,站点,SIP 域
fe01.contoso.com,前端服务器,pool.contoso.com,上海,contoso.com
fe02.contoso.com,前端服务器,pool.contoso.com,上海,
edge01.contoso.com,边缘服务器,edgepool.contoso.com,上海,
rp01,反向代理服务器,,上海,
""",
        {"池": "pool_fqdn", "站点": "site", "SIP 域": "sip_domains"},
    ),
    Mistaken(
        "Simplified Chinese: a name with a space and a role with a suffix",
        """主机,角色,站点,SIP domain
se01.litwareinc.com,标准版服务器,北京,litwareinc.com
med 01.litwareinc.com,中介服务器,北京,
rp01.litwareinc.com,反向代理服务,北京,
""",
        {"站点": "site"},
        ((1, "server_fqdn", "med01.litwareinc.com"),),
    ),
    Mistaken(
        "French: headings in French, roles in English",
        """Serveur,Rôle,Pool de serveurs,Domaine SIP
fe01.fabrikam.com,Front End,pool.fabrikam.com,fabrikam.com
fe02,Frontend,pool.fabrikam.com,
rp01.fabrikam.com,Reverse Proxy,,
""",
        {"Pool de serveurs": "pool_fqdn", "Domaine SIP": "sip_domains"},
    ),
    Mistaken(
        "French: roles in French, for which there are no words",
        """Serveur,Rôle,Site,SIP domain
se01.adatum.com,Standard Edition,Lyon,adatum.com
med01.adatum.com,Serveur de médiation,Lyon,
rp01,Proxy inverse,Lyon,
""",
        {},
        ((1, "role", "Mediation"), (2, "role", "ReverseProxy")),
    ),
    Mistaken(
        "English: a title above headings that are not all known, nicknames, a full stop at the end",
        """Plan v3,,,,,
Host,Function,Pool,Location,SIP,Web ext
lon-fe1.adatum.local,EE,lonpool.adatum.local,London,adatum.com,web.adatum.com
lon-fe2.adatum.local.,Front-end srv,lonpool.adatum.local,London,,
lon-edge1,Edge server (DMZ),,London,,
http://lon-rp1.adatum.local,Reverse-Proxy,,London,,
""",
        {"Location": "site", "SIP": "sip_domains"},
    ),
    Mistaken(
        "German: SIP domains that no server has, under a heading without an umlaut",
        """Rechner;Funktion;Pool;Niederlassung;SIP-Domaene;Bemerkung
fe01.adatum.local;Frontend;pool.adatum.local;München;adatum.com;
fe02.adatum.local;Front-End;pool.adatum.local;München;;neu
med1;Vermittlung;;München;;
rp1.adatum.local;Reverse Proxy;;München;;
""",
        {"Niederlassung": "site", "SIP-Domaene": "sip_domains"},
    ),
    Mistaken(
        "Simplified Chinese: short roles, and SIP domains under another heading",
        """主机名,角色,站点,SIP域名
se01.litwareinc.com,标准版,成都,litwareinc.com
med01,中介,成都,
rp01.litwareinc.com,反向代理服务器,成都,
""",
        {"站点": "site", "SIP域名": "sip_domains"},
    ),
    Mistaken(
        "French: short headings, and a URL without a scheme under an unknown heading",
        """Hôte;Fonction;Lieu;Domaines;URL réunion
se01.contoso.com;Standard Edition;Besançon;contoso.com;meet.contoso.com
med01;Serveur de médiation;Besançon;;
rp01.contoso.com;Reverse proxy;Besançon;;
""",
        {"Lieu": "site", "Domaines": "sip_domains", "URL réunion": "meet_urls"},
    ),
)


def _open_in_notebook(path):
    return ln.PlanEditor(path.name)


def _open_in_page(path):
    refused = []
    session = PageSession(
        lambda kind, parts, buffers=(): refused.append(parts) if kind == "refused" else None
    )
    session.open_files([path.name])
    assert refused == []
    return session.editor


def _write_csv(case, folder):
    """Write a CSV file in the encoding that Excel for Windows uses in the language of the table."""
    encodings = {"Traditional": "cp950", "Simplified": "gb18030"}
    path = folder / "servers.csv"
    path.write_bytes(case.table.encode(encodings.get(case.name.partition(" ")[0], "cp1252")))
    return path


def _write_unicode(case, folder):
    path = folder / "servers.csv"
    path.write_text(case.table, "utf-8")
    return path


def _write_workbook(case, folder):
    delimiter = ";" if ";" in case.table.partition("\n")[0] else ","
    path = folder / "servers.xlsx"
    path.write_bytes(xlsx([line.split(delimiter) for line in case.table.splitlines()]))
    return path


@pytest.mark.parametrize("write", [_write_csv, _write_unicode, _write_workbook])
@pytest.mark.parametrize("open_table", [_open_in_notebook, _open_in_page])
@pytest.mark.parametrize("case", TABLES, ids=[case.name for case in TABLES])
def test_fixes_and_few_edits_leave_no_error(case, open_table, write, tmp_path, monkeypatch):
    """The table opens with all rows. After *Fix all* and at most three edits by hand, there is no
    rejected cell and no error, and each unknown heading was offered as the right column.
    """
    monkeypatch.chdir(tmp_path)
    editor = open_table(write(case, tmp_path))
    heading = 2 if case.table.startswith("Plan v3") else 1
    rows = [line for line in case.table.splitlines()[heading:] if line.strip(",;")]
    assert len(editor.topology.cells) == len(rows)
    editor.apply(fix_cells)
    assert len(case.headings) + len(case.cells) <= MOST_EDITS
    for heading, column in case.headings.items():
        assert editor.topology.suggest_columns().get(heading) == column
        editor.apply(name_column, heading=heading, column=column)
    for row, column, text in case.cells:
        server = dict(zip(editor.topology.columns, editor.topology.texts[row]))["server_fqdn"]
        editor.edit(change=[(server, {column: text})])
    editor.apply(fix_cells)
    assert editor.topology.rejected == ()
    editor.apply_fixes()
    assert [f.code for f in editor.findings.of("error")] == []
