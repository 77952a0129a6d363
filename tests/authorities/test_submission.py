"""The batch file for AD CS is complete and contains no dangerous characters."""

from __future__ import annotations

import pytest

from lyncnb.authorities.submission import (
    build_submit_script,
    check_ca_config,
    check_template_name,
    parse_handover_wording,
)
from lyncnb.errors import OptionsError, RulesError

ID = "FrontEnd-ee01-contoso-com-0a1b2c3d"


def test_script():
    """The batch file contains one call for each request, contains the CA and the template only
    once, uses CRLF line endings, and sets no SAN attribute.
    """
    script = build_submit_script(
        [ID], template="WebServer", config=r"ca01.contoso.com\Contoso CA 1"
    )
    lines = script.decode("ascii").split("\r\n")
    assert lines[0] == "@echo off"
    assert "\n" not in "".join(lines)
    assert lines.count(r'set "CA=ca01.contoso.com\Contoso CA 1"') == 1
    assert lines.count('set "TEMPLATE=WebServer"') == 1
    assert [line for line in lines if line.startswith("call :request")] == [f'call :request "{ID}"']
    assert b"SAN:" not in script


def test_script_asks_for_the_ca():
    """If no configuration string is specified, the batch file prompts for the CA and passes the
    input to every certreq call.
    """
    script = build_submit_script([ID], template="WebServer").decode("ascii")
    assert script.count('set /p "CA=CA: "') == 1
    calls = [line for line in script.splitlines() if line.startswith("certreq")]
    assert calls
    assert all('-config "!CA!"' in line for line in calls)


@pytest.mark.parametrize("template", ["WebServer", "Web Server 2", "contoso_web-1.0"])
def test_a_plain_template_name_is_accepted(template):
    """A template name without special characters is accepted."""
    check_template_name(template)


@pytest.mark.parametrize(
    "template",
    [
        "",
        # The program certreq splits its arguments at a backslash that is followed by the letter n.
        r"WebServer\nSAN:upn=administrator@contoso.com",
        "WebServer\nSAN:dns=x",
        'WebServer" & calc & "',
        "%PATH%",
        "Web^Server",
        "Web:Server",
        "網頁伺服器",
        " WebServer",
        "W" * 65,
    ],
)
def test_bad_template(template):
    """A template name that contains special characters of the command line is rejected."""
    with pytest.raises(OptionsError, match="is not a valid certificate template name"):
        check_template_name(template)
    with pytest.raises(OptionsError):
        build_submit_script([ID], template=template)


@pytest.mark.parametrize("template", ["Web Server", "WEB SERVER"])
def test_display_name_of_the_built_in_template_is_refused(template):
    """The display name of a built-in template is rejected, because certreq requires the template
    name.
    """
    with pytest.raises(OptionsError, match="is the display name") as caught:
        check_template_name(template)
    assert caught.value.hint == "use the template's name instead: WebServer"


@pytest.mark.parametrize(
    "config", ["", r"ca01\CA", r"ca01.contoso.com\Contoso Issuing CA 1 (2026)"]
)
def test_config(config):
    """A configuration string that contains a host and a CA name is accepted, and so is an empty
    string.
    """
    check_ca_config(config)


@pytest.mark.parametrize(
    "config", ["CA", r"ca01\CA\x", r'ca01\CA" & calc', r"ca01\%PATH%", r"\CA", "ca01\\", r"a b\CA"]
)
def test_bad_config(config):
    """lyncnb rejects a configuration string without a host or a CA name. A hint explains the
    format.
    """
    with pytest.raises(OptionsError, match="is not a valid configuration string of an AD CS CA"):
        check_ca_config(config)


@pytest.mark.parametrize("stem", ["", "a b", "..", "a&b", "a/b"])
def test_only_request_ids_are_valid_file_names(stem):
    """Only the id of a request is accepted as a file name."""
    with pytest.raises(OptionsError, match="is not a valid name for a request file"):
        build_submit_script([stem], template="WebServer")


def test_error_in_the_wording_file_gives_its_location():
    """If handover_wording.toml contains a mistake, the error message gives its location."""
    text = '[internal]\ntitle = "t"\nintro = []\nstep = []\nnotes = 3\nsources = []\n'
    text += 'back = []\nhow = []\nhow_wildcard = "w"\nhow_client = "c"\n'
    text += 'validity_asked = "a"\nvalidity_open = "o"\n'
    with pytest.raises(RulesError) as caught:
        parse_handover_wording(text)
    assert [problem.message for problem in caught.value.problems] == [
        "Unknown key: 'internal.step'",
        "Missing required value: 'internal.steps'",
        "'internal.notes' must be a list of text values, not 3",
        "Missing required value: 'stand_alone'",
        "Missing required value: 'public'",
    ]
