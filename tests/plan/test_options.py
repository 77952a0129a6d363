"""The options of a plan are validated, and written to and read from plan.toml."""

from __future__ import annotations

import os
import re
from dataclasses import FrozenInstanceError, fields
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.errors import OptionsError
from lyncnb.plan import options
from lyncnb.plan.options import DEFAULT_OPTIONS, PlanOptions
from lyncnb.rules.model import list_flags

FULL = PlanOptions(
    product="lync2013",
    profile="doc_example",
    layout="separate",
    wildcard=True,
    autodiscover_https=False,
    edge_member_names=True,
    xmpp_host_names=True,
    separate_av_certificate=True,
    reverse_proxy_client_eku=True,
    autodiscover_internal_extra_domains=("contoso.net", "corp.contoso.com"),
    internal_only_sip_domains=("contoso.local",),
    client_authentication=("med01.contoso.com",),
    shared_certificate=("eepool.contoso.com",),
    key=KeyParameters(algorithm="ECDSA", bits=384),
    hash="sha384",
    organization='Contoso "Ltd." \\ 康多索',
    organizational_unit="IT",
    locality="Taipei",
    state="Taiwan",
    country="TW",
    issuer={"": "internal", "Default": "public"},
    ca={"internal": "dc01.contoso.com\\Contoso CA", "": "other"},
    planned_issue_date=date(2026, 1, 31),
    validity_days=365,
    validity={"internal": 730, "public": 90},
    target_os="2016",
    accepted={"wildcard-desk-phones": "phones were tested\non 2026-01-02"},
)


def test_default_options():
    """By default, a plan uses the default profile, the combined layout, no wildcards, 2048-bit RSA
    keys, and SHA-256.
    """
    assert DEFAULT_OPTIONS == PlanOptions(
        profile="default", layout="combined", wildcard=False, key=KeyParameters(), hash="sha256"
    )


@pytest.mark.parametrize("key", ["ECDSA 256", "ecdsa-256"])
@pytest.mark.parametrize("day", ["2026-01-31", datetime(2026, 1, 31, 10)])
def test_a_key_and_a_date_can_be_text(key, day):
    """In Python, a key can be text as in the editor, and a date can be text or a datetime."""
    options = PlanOptions(key=key, planned_issue_date=day)
    assert options.key == KeyParameters(algorithm="ECDSA", bits=256)
    assert options.planned_issue_date == date(2026, 1, 31)
    assert type(options.planned_issue_date) is date


def test_options_are_immutable():
    """A user cannot change options after creating them, and a change to a mapping that was passed
    does not affect the options.
    """
    choices = {"Default": "public"}
    options = PlanOptions(issuer=choices)
    choices["Default"] = "internal"
    assert options.issuer == {"Default": "public"}
    with pytest.raises(FrozenInstanceError):
        options.hash = "sha384"


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"profile": "doc"}, 'option "profile" is "doc"', 'one of these values: "default", "doc_example"'),
        ({"layout": "Combined"}, 'option "layout" is "Combined"', 'one of these values: "combined", "separate"'),
        ({"hash": "sha1"}, 'option "hash" is "sha1"', 'one of these values: "sha256", "sha384", "sha512"'),
        ({"target_os": "2003"}, 'option "target_os" is "2003"', 'one of these values: "", "2008R2", "2012", "2012R2"'),
        ({"product": " "}, 'option "product" is " "', "text that is not blank"),
        ({"wildcard": 1}, 'option "wildcard" is 1', "true or false"),
        ({"key": 2048}, 'option "key" is 2048', 'such as "ECDSA 256"'),
        ({"key": "RSA"}, 'option "key": "RSA" is not a valid key algorithm and size', "for example RSA 3072"),
        ({"organization": None}, 'option "organization" is None', "text"),
        ({"organization": "x" * 65}, 'option "organization": O=', ""),
        ({"country": "Taiwan"}, 'option "country": C="Taiwan" is not a country code', ""),
        ({"planned_issue_date": "2026-13-01"}, 'option "planned_issue_date": "2026-13-01" is not a date', "2026-01-31"),
        ({"planned_issue_date": 2026}, 'option "planned_issue_date" is 2026', "a date"),
        ({"validity_days": 0}, 'option "validity_days" is 0', "a whole number of days"),
        ({"validity_days": True}, 'option "validity_days" is true', "a whole number of days"),
        ({"validity": {"public": 0}}, 'option "validity.public" is 0', "a whole number of days"),
        ({"validity": {"all": 90}}, 'option "validity" is "all"', 'use "internal" or "public"'),
        ({"validity": 90}, 'option "validity" is 90', "a section with a number of days for each issuer"),
        ({"lead_days": {"edge": 1}}, 'option "lead_days" is "edge"', 'use "internal" or "public" or "all"'),
        ({"autodiscover_internal_extra_domains": "contoso.net"}, 'option "autodiscover_internal_extra_domains" is "contoso.net"', "a list"),
        ({"autodiscover_internal_extra_domains": ("con toso.net",)}, 'option "autodiscover_internal_extra_domains": ', ""),
        ({"issuer": {"Default": "ours"}}, 'option "issuer.Default" is "ours"', 'one of these values: "internal", "public"'),
        ({"issuer": {"": "ours"}}, 'option "issuer.all" is "ours"', 'one of these values: "internal", "public"'),
        ({"issuer": "public"}, 'option "issuer" is "public"', "a section with a text value for each key"),
        ({"ca": {"internal": ""}}, 'option "ca.internal" is ""', "text that is not blank"),
        ({"ca": {3: "x"}}, 'option "ca" is 3', "text"),
        ({"accepted": {"a-b": " "}}, 'option "accepted.a-b" is " "', "text that is not blank"),
        ({"accepted": {"A B": "why"}}, 'option "accepted" is "A B"', "the code of a finding"),
    ],
)  # fmt: skip
def test_invalid_values_are_rejected(values, message, hint):
    """If a value is invalid, the error message contains the option, the value, and the valid
    values.
    """
    with pytest.raises(OptionsError, match=re.escape(message)) as caught:
        PlanOptions(**values)
    assert hint in caught.value.hint


def test_domains_are_normalized():
    """Extra domains are normalized in the same way as host names: lowercase and without duplicates."""
    options = PlanOptions(autodiscover_internal_extra_domains=("Contoso.NET.", "contoso.net"))
    assert options.autodiscover_internal_extra_domains == ("contoso.net",)


def test_the_key_all_works_as_an_argument():
    """In a notebook, an argument can contain the key "all", as in plan.toml."""
    assert PlanOptions(issuer={"all": "public"}) == PlanOptions(issuer={"": "public"})


@pytest.mark.parametrize("options", [DEFAULT_OPTIONS, FULL])
def test_options_are_equal_after_writing_and_reading(options):
    """If options are written to a file and read again, they are equal, and result in the same file."""
    text = options.to_toml()
    assert PlanOptions.from_toml(text.encode()) == options
    assert PlanOptions.from_toml(text.encode()).to_toml() == text


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    key=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_any_text_is_stored_without_changes(text, key):
    """Any text in a reason, CA name, or key stays the same when it is written to the file and read
    again.
    """
    options = PlanOptions(ca={key: f"x{text}"}, accepted={"a-b": f"x{text}"})
    assert PlanOptions.from_toml(options.to_toml().encode()) == options


def test_the_order_of_choices_does_not_matter():
    """The order of the entries in a mapping does not change the options file."""
    first = PlanOptions(ca={"internal": "a", "public": "b"})
    second = PlanOptions(ca={"public": "b", "internal": "a"})
    assert first.to_toml() == second.to_toml()


def test_the_options_file_is_readable():
    """The options file has separate sections for the key, the subject, the issuer, the CA, and
    accepted findings.
    """
    text = FULL.to_toml()
    assert (
        'layout = "separate"  # "combined" to request one certificate for the Default and web usages, or "separate" to request one for each usage'
        in text
    )
    assert '[key]\nalgorithm = "ECDSA"\nbits = 384\n' in text
    assert '[issuer]\nall = "internal"\nDefault = "public"\n' in text
    assert 'autodiscover_internal_extra_domains = ["contoso.net", "corp.contoso.com"]' in text
    assert "planned_issue_date = 2026-01-31 " in text
    assert "# planned_issue_date = " in DEFAULT_OPTIONS.to_toml()


def test_missing_options_have_default_values():
    """Options that the file does not contain have default values. The default key size depends on
    the algorithm.
    """
    assert PlanOptions.from_toml(b"") == DEFAULT_OPTIONS
    options = PlanOptions.from_toml(
        b'\xef\xbb\xbfhash = "sha512"\r\n[key]\r\nalgorithm = "ECDSA"\r\n'
    )
    assert options == PlanOptions(hash="sha512", key=KeyParameters(algorithm="ECDSA", bits=256))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (b"wildcards = true", '"wildcards" is not a known option', "did you mean wildcard?"),
        (b'country = "TW"', '"country" is not a known option', "did you mean subject.country?"),
        (b'[subject]\norg = "x"', '"subject.org" is not a known option', "subject.organization?"),
        (b"[key]\nsize = 2048", '"key.size" is not a known option', "the options in this section are algorithm and bits"),
        (b"issuers = {}", '"issuers" is not a known option', "did you mean [issuer]?"),
        (b"xyz = 1", '"xyz" is not a known option', "the options are title, planner, product"),
        (b'issuer = "public"', 'issuer is "public"', "enter [issuer] on a separate line"),
        (b"[key]\nbits = 1024", 'the option "key": 1024 is not a valid RSA key size', ""),
        (b'[key]\nalgorithm = "DSA"', 'the option "key": \'DSA\' is not a valid key algorithm', ""),
        (b"[key]\nalgorithm = []", "'key.algorithm' must be text, not a list of 0", ""),
        (b"[key]\nbits = 2048.0", "'key.bits' must be a whole number, not 2048.0", ""),
        (b'key = "RSA"', 'key is "RSA"', "enter [key] on a separate line"),
        (b'autodiscover_internal_extra_domains = ["a b", 5]', "'autodiscover_internal_extra_domains' must be a list of text values, but it contains 5", ""),
        (b"[issuer]\nDefault = [1]", "'issuer.Default' must be text, not a list of 1", ""),
        (b"validity_days = " + b"9" * 5000, "lyncnb cannot read this TOML file", ""),
        (b"hash = " + b"[" * 50_000, "lyncnb cannot read this TOML file", ""),
        (b"hash = sha256", "the file is not valid TOML", 'enclose text in quotation marks, for example hash = "sha256"'),
        (b'organization = "\xff"', "the file is not UTF-8 text", "save the file as UTF-8"),
        (b"planned_issue_date = 2026-01-31T00:00:00", "'planned_issue_date' must be a date", ""),
    ],
)  # fmt: skip
def test_a_wrong_file(text, message, hint):
    """The message about an error in plan.toml contains the file name and, for an unknown key, a
    similar key.
    """
    with pytest.raises(OptionsError, match=re.escape(f"plan.toml: {message}")) as caught:
        PlanOptions.from_toml(text)
    assert hint in caught.value.hint


def test_a_file_on_disk(tmp_path):
    """Options can be read from the path of a file. If the file cannot be read, the error contains
    the reason.
    """
    path = tmp_path / "plan.toml"
    path.write_text(FULL.to_toml(), encoding="utf-8")
    assert PlanOptions.from_toml(path) == FULL
    assert PlanOptions.from_toml(str(path)) == FULL
    with pytest.raises(OptionsError, match=r"cannot read \".*missing\.toml\": No such file"):
        PlanOptions.from_toml(tmp_path / "missing.toml")


def test_all_errors_are_reported_in_one_message():
    """If a file or a call contains several errors, one message reports all of them."""
    with pytest.raises(OptionsError, match=r"plan.toml: 3 options have invalid values") as caught:
        PlanOptions.from_toml(b"hsh = 1\nwildcard = 2\n[subject]\ncountry = 3")
    assert [problem.message for problem in caught.value.problems] == [
        '"hsh" is not a known option',
        "'wildcard' must be true or false, not 2",
        "'subject.country' must be text, not 3",
    ]
    with pytest.raises(OptionsError, match="2 options have invalid values"):
        PlanOptions.from_toml(b'hash = "md5"\n[issuer]\nall = "us"')


def test_all_types_of_errors_are_reported_together():
    """Unknown keys, wrong types, and values out of range are all reported in the same message."""
    with pytest.raises(OptionsError, match=r"plan.toml: 5 options have invalid values") as caught:
        PlanOptions.from_toml(
            b'hsh = 1\nwildcard = 2\nhash = "md5"\n[subject]\ncountry = "Germany"\n'
            b'[key]\nalgorithm = "RSA"\nbits = 512'
        )
    assert [problem.message.partition(":")[0] for problem in caught.value.problems] == [
        '"hsh" is not a known option',
        "'wildcard' must be true or false, not 2",
        'the option "key"',
        'the option "hash" is "md5"',
        'the option "country"',
    ]


@pytest.mark.parametrize("accepted", [b"[acepted]\nx-y = 'why'", b"[accepted]\nx-y = 1"])
def test_consequences_of_a_mistake_are_not_reported(accepted):
    """If the reason for an acceptance is invalid, lyncnb does not also report the end date of the
    acceptance as an error.
    """
    with pytest.raises(OptionsError) as caught:
        PlanOptions.from_toml(accepted + b"\n[accepted_until]\nx-y = 2027-01-31")
    assert not caught.value.problems
    assert "accepted_until" not in caught.value.message


@pytest.mark.posix
def test_pipes_and_devices_are_not_read(tmp_path):
    """A pipe or device is rejected as an options file, because reading it might never end."""
    os.mkfifo(tmp_path / "plan.toml")
    for path in (tmp_path / "plan.toml", "/dev/zero"):
        with pytest.raises(OptionsError, match="is not a regular file"):
            PlanOptions.from_toml(path)
    with pytest.raises(OptionsError, match="is a folder, not a file"):
        PlanOptions.from_toml(tmp_path)
    (tmp_path / "large.toml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(OptionsError, match="is larger than 1,000,000 bytes"):
        PlanOptions.from_toml(tmp_path / "large.toml")


def test_every_option_is_written_to_the_file():
    """Every option is written to the file, and the rules define a flag for every option that is
    true or false.
    """
    assert options.OPTIONS.keys() == {item.name for item in fields(PlanOptions)}
    switches = {
        item.name for item in fields(PlanOptions) if options.OPTIONS[item.name].form == "flag"
    }
    assert switches <= list_flags().keys()


def test_options_show_as_a_table():
    """The options can be shown as a table with the columns Option, Value, and Meaning. Special
    characters are escaped in HTML.
    """
    frame = FULL.to_frame()
    assert list(frame.columns) == ["Option", "Value", "Meaning"]
    values = dict(zip(frame["Option"], frame["Value"], strict=True))
    assert values["key"] == "algorithm = ECDSA; bits = 384"
    assert values["issuer"] == "all = internal; Default = public"
    assert values["wildcard"] == "yes"
    assert "Contoso &quot;Ltd.&quot;" in FULL._repr_html_()


def test_options_are_in_the_folder_of_the_table(tmp_path):
    """Options are read from TABLE.plan.toml in the folder of the table, and the output contains the
    file name.
    """
    (tmp_path / "north.plan.toml").write_text('[subject]\norganization = "Contoso"\n')
    north = PlanOptions.beside(tmp_path / "north.csv")
    assert north == PlanOptions(organization="Contoso")
    assert repr(north) == "Options from north.plan.toml: 1 option set."
    page = north._repr_html_()
    assert "Contoso" in page.partition("<details")[0]
    assert f"Show {len(options.OPTIONS) - 1} options with default values" in page
    south = PlanOptions.beside(str(tmp_path / "south.xlsx"))
    assert south == PlanOptions()
    assert repr(south).startswith("the folder with south.xlsx has no options file south.plan.toml")
    assert "The subjects have no organization" in repr(south)
    assert "names no table" not in repr(south)


def test_a_plan_toml_belongs_to_topology_csv_alone(tmp_path):
    """The file plan.toml is read only for the table topology.csv. For other tables, a message
    suggests renaming plan.toml.
    """
    (tmp_path / "plan.toml").write_text("wildcard = true\n")
    assert PlanOptions.beside(tmp_path / "topology.csv").wildcard
    other = PlanOptions.beside(tmp_path / "other.csv")
    assert not other.wildcard
    assert "lyncnb does not read plan.toml in the same folder" in repr(other)
    assert "rename it to other.plan.toml" in repr(other)
    (tmp_path / "topology.plan.toml").write_text('layout = "separate"\n')
    assert PlanOptions.beside(tmp_path / "topology.csv") == PlanOptions(layout="separate")


def test_a_product_file_is_found_from_the_options(tmp_path):
    """In an options file, the path of a custom product is relative to the folder of this file."""
    (tmp_path / "north.plan.toml").write_text('product = "mine.toml"\n')
    assert PlanOptions.beside(tmp_path / "north.csv").product == str(tmp_path / "mine.toml")
