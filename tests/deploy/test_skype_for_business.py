"""For Skype for Business Server, every file from the table to the steps contains the right product
names, shell name, commands and texts.
"""

from __future__ import annotations

import re

import pytest
from folders import PASSPHRASE, make_issued_folder
from installed_certificates import MIDNIGHT
from shell_kit import make_shell

from lyncnb.request_folder.bundle import open_requests

pytestmark = pytest.mark.usefixtures("quick_cipher")

TABLE = b"""server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn,access_edge_fqdn,webconf_edge_fqdn,tenant_sip_domains
fe01.contoso.com,FrontEnd,pool.contoso.com,Taipei,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com,,,
edge01.contoso.com,Edge,edge.contoso.com,Taipei,,,,,sip.contoso.com,wc.contoso.com,fabrikam.com
vis01.contoso.com,VIS,vis.contoso.com,Taipei,,,,,,,
oos01.contoso.com,OfficeWebApps,,Taipei,,,,,,,
ex01.contoso.com,ExchangeOWA,,Taipei,,,,,,,
rp01.contoso.com,ReverseProxy,,Taipei,,,,,,,
"""


@pytest.fixture(scope="module")
def answered_folder(tmp_path_factory):
    folder, day = tmp_path_factory.mktemp("skype"), MIDNIGHT.date()
    return make_issued_folder(TABLE, folder, product="sfbse", today=day, days=40)


def test_names_of_skype_for_business_server_are_requested(answered_folder):
    """For Skype for Business Server, the plan includes the online tenant's domain for the Edge
    pool, and the names of a Video Interop Server.
    """
    bundle = open_requests(answered_folder.folder)
    by_role = {r.plan.role: r.plan.san for r in bundle.requests if r.plan.usages != ("Internal",)}
    assert "sip.fabrikam.com" in by_role["Edge"]
    assert list(by_role["VideoInterop"]) == ["vis.contoso.com", "vis01.contoso.com"]


def test_steps_use_the_module_and_shell_of_the_product(
    answered_folder, tmp_path, capsys, monkeypatch
):
    """The steps for Skype for Business Server use its PowerShell module, its shell and its
    settings.

    Lync Server appears only in sources and in one intended place.
    """
    shell = make_shell(tmp_path, capsys, monkeypatch)
    monkeypatch.setenv("LYNCNB_PASSPHRASE", PASSPHRASE)
    folder = answered_folder.copy(tmp_path).folder
    assert shell("pfx", folder).status == 0
    assert shell("steps", folder).status == 0
    pages = {path.stem: path.read_text("utf-8") for path in (folder / "steps").glob("*.html")}
    vis = next(text for name, text in pages.items() if name.startswith("vis"))
    assert "Skype for Business Server Management Shell" in vis
    exchange = next(text for name, text in pages.items() if name.startswith("ex"))
    assert "New-SettingOverride" in exchange
    script = next((folder / "steps").glob("fe01*/install.ps1")).read_text("utf-8-sig")
    assert "Import-Module SkypeForBusiness" in script or "'SkypeForBusiness'" in script
    assert "Invoke-CsComputerFailBack" in script
    for name, text in pages.items():
        visible_text = re.sub(
            r"(?s)<small>Source: .*?</small>|<td>(Inferred|Microsoft).*?</td>|lyncnb", "", text
        )
        visible_text = visible_text.replace("Lync Server 2013 could not use a key", "")
        assert not re.findall(r".{40}\bLync\b.{20}", visible_text), name
