"""lyncnb compares the encodings of a table, and never guesses the name of a site."""

from __future__ import annotations

import pytest

from lyncnb.errors import TopologyError
from lyncnb.topology.topology import open_topology, read_topology

SITES = {
    "cp1252": "Köln München Düsseldorf Zürich Großraum Genève Orléans Besançon Saint-Étienne Montréal "
    "Nîmes Île-de-France Malmö Århus Ærø Córdoba Logroño Forlì Evêque",
    "cp950": "台北 臺中 桃園 新竹 總公司 香港 機房 高雄 龍潭 鹽埕 鹿港 頭份 楊梅 礁溪 旺角 苓雅 臺灣",
    "gb18030": "北京 上海 广州 深圳 总部 数据中心 乌鲁木齐 宁波 东莞 海淀 潍坊 开封 包头 黄埔",
}


def write_table(sites, encoding):
    """Return a table in which the names of sites are the only texts that are not ASCII."""
    rows = [f"fe0{n}.adatum.local,FrontEnd,p{n}.adatum.local,{s},adatum.com" for n, s in sites]
    heading = "server_fqdn,role,pool_fqdn,site,sip_domains"
    return "\n".join([heading, *rows]).encode(encoding)


@pytest.mark.parametrize(
    ("encoding", "site"), [(e, site) for e, sites in SITES.items() for site in sites.split()]
)
def test_a_site_is_read_correctly_or_not_at_all(encoding, site):
    """With one site as the only hint, lyncnb reads its name correctly, or asks."""
    data = write_table([(1, site)], encoding)
    opened = open_topology(data)
    if opened.encoding:
        assert opened.encoding == encoding
        assert read_topology(data).sites[0].name == site
        assert not opened.rejected
    else:
        with pytest.raises(TopologyError, match=r"(?s)not certain.*cp1252") as caught:
            read_topology(data)
        assert all(name in caught.value.problems[0].hint + str(caught.value) for name in SITES)
        assert [cell.place for cell in opened.rejected] == [(0, "site")]
        assert {s.name for s in opened.sites} == {""}
    chosen = open_topology(data, encoding=encoding)
    assert (chosen.encoding, chosen.rejected, chosen.sites[0].name) == (encoding, (), site)


@pytest.mark.parametrize("encoding", SITES)
def test_the_sites_of_a_deployment_are_certain(encoding):
    """With eight sites, lyncnb knows the encoding."""
    sites = SITES[encoding].split()[:8]
    assert read_topology(write_table(enumerate(sites), encoding)).encoding == encoding


def test_koeln_is_not_chinese():
    """The site of a table from a German Windows is planned as Köln."""
    topology = read_topology(write_table([(1, "Köln")], "cp1252"))
    assert topology.pools[0].site == "Köln"
    (remark,) = topology.remarks
    assert remark == (
        "the file is not UTF-8, so lyncnb read it as cp1252 (Western European). Check the names "
        "in the table"
    )


@pytest.mark.parametrize(
    ("encoding", "heading", "role", "site"),
    [
        ("cp950", "伺服器,角色,站台", "邊緣伺服器", "鹿港"),
        ("gb18030", "fqdn,role,site", "边缘服务器", "潍坊"),
        ("cp1252", "fqdn,role,site", "Überwachung", "Köln"),
    ],
)
def test_headings_and_roles_decide(encoding, heading, role, site):
    """A known heading or role is more certain than the letters of a site."""
    text = f"{heading},sip_domains\na.adatum.local,{role},{site},adatum.com\n"
    opened = open_topology(text.encode(encoding))
    assert opened.encoding == encoding
    assert opened.cells[0][2] == site


def test_a_corrected_cell_needs_no_encoding():
    """In a table with an uncertain encoding, the text that a person types again is used, and the
    other cells stay rejected.
    """
    opened = open_topology(write_table([(1, "鹿港"), (2, "礁溪")], "cp950"))
    assert [cell.place for cell in opened.rejected] == [(0, "site"), (1, "site")]
    typed = opened.with_cells({0: {"site": "Lukang"}})
    assert [cell.place for cell in typed.rejected] == [(1, "site")]
    assert typed.readings == opened.readings
    with pytest.raises(TopologyError, match="1 rejected cell"):
        typed.reject_incomplete()


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (write_table([(1, "台北")], "cp950"), "latin-1", 'does not know the encoding "latin-1"'),
        (write_table([(1, "Malmö")], "cp1252"), "gb18030", "is not text in the encoding"),
        # A UTF-8 file that lost one byte is damaged, and not a Chinese file.
        (write_table([(1, "Köln"), (2, "Zürich")], "utf-8") + b"\xc3", "", "is not UTF-8 text"),
        (bytes(range(1, 256)) * 20, "", "is not UTF-8 text"),
    ],
)
def test_wrong_encodings_are_reported(data, encoding, message):
    """An encoding that lyncnb does not compare, or in which the bytes are not text, is an error."""
    with pytest.raises(TopologyError, match=message):
        open_topology(data, encoding=encoding)
