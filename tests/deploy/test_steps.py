"""The changed procedure of real folders: each server gets its own packages, steps and scripts."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
import tree_sitter
import tree_sitter_pwsh
from packages_kit import PASSPHRASE, TODAY, issue_all
from places import DATA

from lyncnb.deploy.package_passwords import PasswordList
from lyncnb.deploy.step_files import server_scripts, to_html, to_markdown, write_steps
from lyncnb.deploy.steps import deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import OutputError, PackageError
from lyncnb.pki.pkcs8 import FolderCipher

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_pwsh.language()))


@pytest.fixture(scope="module")
def contoso(tmp_path_factory):
    """Give the sample deployment, requested, answered and packaged."""
    place = tmp_path_factory.mktemp("deploy")
    issued = issue_all((DATA / "contoso.csv").read_bytes(), place)
    write_pfx(issued.matched(), passphrase=PASSPHRASE, today=TODAY)
    return issued


@pytest.fixture(scope="module")
def steps(contoso):
    """Give its steps."""
    return deployment_steps(contoso.matched(), today=TODAY)


def of(steps, server):
    """Give one server's steps."""
    return next(one for one in steps.servers if one.server == server)


def test_every_server_has_its_own_procedure(steps):
    """All twelve servers have steps, and nothing planned is missing."""
    assert len(steps.servers) == 12
    assert steps.missing == ()
    assert steps.exit_status == 0


def test_oauth_is_imported_on_one_server_only(steps):
    """The deployment's certificate is in the procedure of exactly one Front End Server."""
    holders = [s.server for s in steps.servers if "assign-oauth" in {t.step.id for t in s.steps}]
    assert holders == ["fe01.contoso.net"]
    script = server_scripts(steps)["fe01.contoso.net.ps1"].decode("utf-8-sig")
    assert "'Identity' = 'global'" in script


def test_edge_servers_share_their_packages(steps):
    """Both Edge Servers of the pool import the same two files."""
    first, second = (of(steps, f"edge0{n}.contoso.net") for n in (1, 2))
    assert [p.file for p in first.packages] == [p.file for p in second.packages]
    assert len(first.packages) == 2


def test_each_front_end_imports_its_own(steps):
    """Front End Servers of one pool have different packages."""
    files = {of(steps, f"fe0{n}.contoso.net").packages[0].file for n in (1, 2, 3)}
    assert len(files) == 3


def test_commands_name_types_and_thumbprint(steps, contoso):
    """The assignment is spelled out as the cmdlet takes it."""
    server = of(steps, "fe02.contoso.net")
    (assign,) = [s for s in server.steps if s.step.id == "assign"]
    thumbprint = server.packages[0].issued.thumbprint
    types = "'Default','WebServicesInternal','WebServicesExternal'"
    assert assign.commands == (f"Set-CsCertificate -Type {types} -Thumbprint '{thumbprint}'",)
    assert re.fullmatch("[0-9A-F]{40}", thumbprint)


def test_scripts_parse_and_differ_by_server(steps):
    """Every script parses; an import script for each server, a request script where -Type is."""
    assert len([name for name in server_scripts(steps) if not name.endswith("-request.ps1")]) == 12
    assert "rp01.contoso.net-request.ps1" not in server_scripts(steps)
    for name, data in server_scripts(steps).items():
        assert not _PARSER.parse(data).root_node.has_error, name
        assert data.startswith(b"\xef\xbb\xbf")


def test_request_script_has_the_planned_names(steps):
    """For keys born on the server, the cmdlet gets exactly the planned names."""
    script = server_scripts(steps)["edge01.contoso.net-request.ps1"].decode("utf-8-sig")
    assert "'access.contoso.com,webconf.contoso.com,sip.contoso.com,sip.fabrikam.com'" in script
    assert "'PrivateKeyExportable' = $true" in script


def test_chain_goes_into_the_right_stores(steps):
    """A self-issued CA certificate goes to Root."""
    script = server_scripts(steps)["edge02.contoso.net.ps1"].decode("utf-8-sig")
    assert "'Subject' = 'CN=Contoso Root'" in script
    assert "'Store' = 'Root'" in script


def test_roll_over_is_for_a_later_time_only(contoso):
    """A date nearer than 24 hours is refused for OAuth, a later one stands in the scripts."""
    with pytest.raises(PackageError, match="OAuthTokenIssuer cannot take effect") as caught:
        deployment_steps(contoso.matched(), effective=datetime(2026, 11, 25, 8), today=TODAY)
    assert "24 hours" in caught.value.hint
    later = deployment_steps(contoso.matched(), effective=datetime(2026, 12, 1, 8), today=TODAY)
    script = server_scripts(later)["edge01.contoso.net.ps1"].decode("utf-8-sig")
    assert "ParseExact('2026-12-01T08:00:00', 's'" in script
    (roll,) = [s for s in of(later, "edge01.contoso.net").steps if s.step.id == "roll-over-av"]
    assert "'2026-12-01T08:00:00'" in roll.commands[0]


def test_what_is_not_packaged_is_told(contoso, tmp_path):
    """A request without a package is named with what to do, and the exit status says so."""
    copy = contoso.copy(tmp_path)
    name = next((copy.folder / "returned").glob("Mediation-med01*.cer"))
    for path in (name, name.with_suffix(".chain.pem")):
        path.unlink()
    steps = deployment_steps(copy.matched(), today=TODAY)
    assert steps.missing == ((name.stem, "no certificate came back yet"),)
    assert steps.exit_status == 1
    assert "Not packaged" in to_markdown(steps)


def test_files_are_written_and_the_same_again(steps, contoso, tmp_path):
    """Checklist and scripts are files in steps/, with the same bytes each time."""
    copy = contoso.copy(tmp_path)
    paths = write_steps(steps, copy.folder)
    before = {path.name: path.read_bytes() for path in paths}
    assert {"checklist.md", "checklist.html", "fe01.contoso.net.ps1"} <= set(before)
    write_steps(deployment_steps(copy.matched(), today=TODAY), copy.folder)
    assert {path.name: path.read_bytes() for path in paths} == before


def test_output_is_one_checklist(steps, contoso, tmp_path):
    """With a file name only the checklist is written, in the form of its ending."""
    (path,) = write_steps(steps, contoso.folder, output=str(tmp_path / "steps.md"))
    assert path.read_text("utf-8").count("- [ ]") == sum(len(s.steps) for s in steps.servers)
    with pytest.raises(OutputError, match=r'"\.docx"'):
        write_steps(steps, contoso.folder, output=str(tmp_path / "steps.docx"))


def test_page_stands_alone_and_escapes(steps):
    """The HTML checklist asks nothing of the network and has a box for each step."""
    page = to_html(steps)
    assert not re.search(r"(src|href)=|https?://|@import|url\(", page)
    assert page.count('type="checkbox"') == sum(len(s.steps) for s in steps.servers)
    assert "<script" not in page


def test_no_password_is_in_steps_or_scripts(steps, contoso):
    """Neither checklist nor script holds the password of any package."""
    text = to_markdown(steps) + to_html(steps)
    text += "".join(data.decode("utf-8-sig") for data in server_scripts(steps).values())
    passwords = PasswordList(contoso.folder, FolderCipher(PASSPHRASE))
    for server in steps.servers:
        for package in server.packages:
            assert passwords.of(package.record.package.sha256).reveal() not in text
    assert "PRIVATE KEY" not in text


def test_table_has_a_row_for_each_step(steps):
    """The steps show themselves as one table."""
    frame = steps.to_frame()
    assert len(frame) == sum(len(s.steps) for s in steps.servers)
    assert frame.shape[1] == 8
