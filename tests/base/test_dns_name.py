"""Text that is converted to a `DnsName` is rejected, corrected, or not changed."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.dns_name import DnsName, find_unusual_names, parse_name
from lyncnb.base.pasted_text import BadName

LONGEST_LABEL = "a" * 63
# All letters of this name except the last one are Cyrillic.
PAYPAL = "\u0440\u0430\u0443\u0440\u0430l"
MIXED = f'"{PAYPAL}" mixes Cyrillic and Latin letters, so readers can mistake the name for a different name'
LONGEST_NAME = ".".join(["a" * 61, "b" * 61, "c" * 61, "d" * 63, "com"])

labels = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(
    lambda label: label[2:4] != "--"
)
names = st.builds(
    lambda first, rest, last: ".".join([first, *rest, last]),
    labels,
    st.lists(labels, max_size=4),
    st.sampled_from(["com", "net", "local", "contoso-x"]),
)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("a..contoso.com", "has two dots in a row", "remove the extra dot"),
        (".contoso.com", "starts with a dot, or has two dots in a row", "remove the extra dot"),
        ("contoso.com..", "has two dots in a row", "remove the extra dot"),
        (".", "has two dots in a row", "remove the extra dot"),
        ("", "the name is empty", "enter a name, for example pool01.contoso.com"),
        ("\u200b ", "the name is empty", "enter a name"),
        ("*", '"*" is not a valid wildcard', "use one asterisk as the complete first label"),
        ("*.", '"*." is not a valid wildcard', "use one asterisk as the complete first label"),
        ("*.*.contoso.com", "is not a valid wildcard", "as the complete first label"),
        ("f*.contoso.com", "is not a valid wildcard", "the complete first label"),
        ("www.*.contoso.com", "is not a valid wildcard", "the complete first label"),
        ("*.com", "would cover the names of all organizations under com", "your own domain"),
        ("*.com.tw", "the names of all organizations under com.tw", "for example *.contoso.com"),
        # Each pair contains the same name in Unicode and in ASCII.
        ("*.公司.cn", "the names of all organizations under xn--55qx5d.cn", "your own domain"),
        ("*.local", "the names of all organizations under local", "your own domain"),
        ("*.1.2.3.4", "ends with a number", "the server's DNS name"),
        (
            "a b.contoso.com",
            "contains white space",
            "To enter several names, use a column that accepts a list",
        ),
        ("a\u3000b.contoso.com", "contains white space", "several names"),
        ("a" * 64 + ".contoso.com", "has 64 characters; the limit is 63", "shorten"),
        (LONGEST_NAME + "x", "is 254 characters long; the limit is 253", "enter a shorter name"),
        ("1.2.3.4", "is an IP address", "Lync certificates contain only DNS names"),
        ("１.２.３.４", "is an IP address", "the server's DNS name"),
        ("1。2。3。4", "is an IP address", "the server's DNS name"),
        ("1.2.3.4.", "is an IP address", "the server's DNS name"),
        ("::1", "is an IP address", "the server's DNS name"),
        ("fe80::1%eth0", "is an IP address", "the server's DNS name"),
        ("2001:db8::1", "is an IP address", "the server's DNS name"),
        ("[2001:db8::1]:443", "is an IP address", "the server's DNS name"),
        ("1.2.3.4:443", "is an IP address", "the server's DNS name"),
        ("10.0.0.0/8", "is an IP address", "the server's DNS name"),
        (
            "a.123",
            "ends with a number, but only an IP address can end with a number",
            "the server's DNS name",
        ),
        ("256.1.1.1", "ends with a number", "the server's DNS name"),
        ("a\0.contoso.com", "control character U+0000", "type the text again"),
        ("a\n.contoso.com", "control character U+000A", "type the text again"),
        ("contoso.com\n", "control character U+000A", "type the text again"),
        (
            "http://meet.contoso.com/x",
            "is a URL",
            "enter only the host name, for example meet.contoso.com",
        ),
        ("sip://contoso.com", "is a URL", "enter only the host name, for example contoso.com"),
        ("meet.contoso.com:443", "contains a port", "enter only meet.contoso.com"),
        ("meet.contoso.com/Meet", "contains a path", "enter only the host name"),
        ("CONTOSO\\fe01", "contains a path", "enter only the host name"),
        (
            "kim@contoso.com",
            "is an e-mail or SIP address",
            "after the @ sign, for example contoso.com",
        ),
        ("sip:kim@contoso.com", "is an e-mail or SIP address", "for example contoso.com"),
        ("xn--zz--.com", "not a valid internationalized domain name", "enter the ASCII form"),
        ("☃.net", "U+2603 SNOWMAN", "check the spelling"),
        ("ab--cd.com", "hyphens as the third and fourth characters", "check the spelling"),
        (
            "-a.contoso.com",
            "begins or ends with a hyphen",
            "must begin and end with a letter or digit",
        ),
        (
            "a-.contoso.com",
            "begins or ends with a hyphen",
            "must begin and end with a letter or digit",
        ),
        ("a%b.contoso.com", 'contains the character "%"', "use only letters, digits, and hyphens"),
        ("a,b.contoso.com", 'contains the character ","', "use only letters, digits, and hyphens"),
        (
            "{pool}.contoso.com",
            'contains the character "{"',
            "use only letters, digits, and hyphens",
        ),
        ("pool01", "is not a fully qualified domain name", "for example pool01.contoso.com"),
        ("a" * 300, '"' + "a" * 60 + "… (300 characters)", "shorten"),
    ],
)
def test_text_that_is_not_a_host_name_is_rejected(text, message, hint):
    """Text that is not a valid host name is rejected, and the error contains the text and a hint."""
    with pytest.raises(BadName, match=re.escape(message)) as caught:
        parse_name(text, allow_wildcard=True)
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("text", "name", "notes"),
    [
        ("lync.contoso.com", "lync.contoso.com", ()),
        ("LYNC.Contoso.com", "lync.contoso.com", ("changed to lowercase",)),
        ("lync.contoso.com.", "lync.contoso.com", ("trailing dot removed",)),
        (
            " lync.contoso.com\u00a0",
            "lync.contoso.com",
            ("lyncnb removed leading and trailing white space",),
        ),
        ("lync\u200b.contoso.com", "lync.contoso.com", ("invisible character U+200B removed",)),
        (
            "ＬＹＮＣ．contoso。com",
            "lync.contoso.com",
            ("lyncnb replaced full-width or compatibility characters with standard characters",),
        ),
        (
            "分公司.contoso.com",
            "xn--55q8nz3c.contoso.com",
            ("internationalized name encoded as xn--55q8nz3c.contoso.com",),
        ),
        ("faß.de", "xn--fa-hia.de", ("internationalized name encoded as xn--fa-hia.de",)),
        (
            "*.分公司.com.tw",
            "*.xn--55q8nz3c.com.tw",
            ("internationalized name encoded as *.xn--55q8nz3c.com.tw",),
        ),
        (
            f"{PAYPAL}.com",
            "xn--l-7sba6dbr.com",
            (
                "internationalized name encoded as xn--l-7sba6dbr.com",
                MIXED,
            ),
        ),
        # Some networks use names with an underscore. Such a name can be read, and the checks of the
        # plan report it.
        ("a_b.contoso.com", "a_b.contoso.com", ()),
        ("_sip._tls.contoso.com", "_sip._tls.contoso.com", ()),
        ("fe01.contoso.local", "fe01.contoso.local", ()),
        ("xn--fa-hia.de", "xn--fa-hia.de", ()),
        ("*.contoso.local", "*.contoso.local", ()),
        ("1.contoso.com", "1.contoso.com", ()),
        ("3com.contoso.com", "3com.contoso.com", ()),
        (f"{LONGEST_LABEL}.com", f"{LONGEST_LABEL}.com", ()),
        (LONGEST_NAME, LONGEST_NAME, ()),
    ],
)
def test_corrections_are_made_and_reported(text, name, notes):
    """lyncnb corrects harmless mistakes in a host name and reports the corrections. It does not
    change names for internal networks.
    """
    assert parse_name(text, allow_wildcard=True) == (name, notes)
    assert type(parse_name(text, allow_wildcard=True)[0]) is DnsName


def test_wildcard_is_rejected_by_default():
    """A wildcard is rejected as a host name unless the caller allows it."""
    with pytest.raises(BadName, match="a wildcard, but this value must be a host name") as caught:
        DnsName.parse("*.contoso.com")
    assert 'set the option "wildcard" in the plan' in caught.value.hint
    assert DnsName.parse("*.contoso.com", allow_wildcard=True).is_wildcard


def test_single_label_is_rejected_by_default():
    """lyncnb rejects a host name without a dot, unless the caller allows such names."""
    assert DnsName.parse("POOL01", allow_single_label=True) == "pool01"
    with pytest.raises(BadName, match="ends with a number"):
        DnsName.parse("4711", allow_single_label=True)


@given(names, st.randoms(use_true_random=False))
def test_letter_case_is_ignored(name, random):
    """Two names that differ only in letter case are equal."""
    mixed = "".join(random.choice((c.upper(), c)) for c in name)
    assert DnsName.parse(mixed) == DnsName.parse(name) == name


@given(st.one_of(names, st.text(max_size=80)))
def test_accepted_name_needs_no_correction(text):
    """If lyncnb accepts a host name, the result is ASCII, is not too long, and passes the same
    check again without a correction.
    """
    try:
        name, _ = parse_name(text, allow_wildcard=True, allow_single_label=True)
    except BadName:
        return
    assert name.isascii()
    assert len(name) <= 253
    assert all(1 <= len(label) <= 63 for label in name.split("."))
    reparsed, notes = parse_name(name, allow_wildcard=True, allow_single_label=True)
    assert reparsed == name
    assert [note for note in notes if "mixes" not in note] == []


@pytest.mark.slow
@given(st.lists(st.one_of(names, names.map(str.upper), st.text(max_size=20)), max_size=30))
def test_fast_search_returns_every_unusual_text(texts):
    """The fast search for unusual names omits only valid names, and returns all other texts in the
    original order.
    """
    unusual_names = find_unusual_names(texts)
    assert unusual_names == [text for text in texts if text in unusual_names]
    assert [parse_name(t) for t in texts if t not in unusual_names] == [
        (t, ()) for t in texts if t not in unusual_names
    ]


def test_fast_search_omits_usual_names():
    """The fast search for unusual names omits usual names, and returns long and unusual names."""
    assert find_unusual_names(["fe01.contoso.net", "lync-web.contoso.com", "1.contoso.com"]) == []
    assert find_unusual_names(
        ["fe01.contoso.net", LONGEST_NAME, "FE.contoso.com", "a.contoso.com\n"]
    ) == [
        LONGEST_NAME,
        "FE.contoso.com",
        "a.contoso.com\n",
    ]


@pytest.mark.parametrize(
    ("name", "idn", "underscore", "internal", "registrable", "suffix"),
    [
        ("meet.contoso.com", False, False, False, "contoso.com", False),
        ("contoso.com", False, False, False, "contoso.com", False),
        ("a.b.contoso.com.tw", False, False, False, "contoso.com.tw", False),
        ("*.contoso.com", False, False, False, "contoso.com", False),
        ("com.tw", False, False, False, None, True),
        ("github.io", False, False, False, None, True),
        ("xn--55qx5d.cn", True, False, False, None, True),
        ("www.xn--55q8nz3c.tw", True, False, False, "xn--55q8nz3c.tw", False),
        ("a_b.contoso.local", False, True, True, None, False),
        ("contoso.corp", False, False, True, None, False),
        ("pool01", False, False, True, None, False),
    ],
)
def test_properties_of_a_name(name, idn, underscore, internal, registrable, suffix):
    """A host name has properties that show whether it is international, is internal, or contains an
    underscore.
    """
    parsed_name = DnsName.parse(name, allow_wildcard=True, allow_single_label=True)
    assert parsed_name.is_idn is idn
    assert parsed_name.has_underscore is underscore
    assert parsed_name.is_internal is internal
    assert parsed_name.registered_domain == registrable
    assert parsed_name.is_public_suffix is suffix


@pytest.mark.parametrize(
    ("parent", "registry", "suffix"),
    [
        ("tw", True, True),
        ("com.tw", True, True),
        ("xn--55qx5d.cn", True, True),
        # This name is in the private section of the Public Suffix List, so the owner of the name
        # can use a wildcard.
        ("github.io", False, True),
        ("s3.amazonaws.com", False, True),
        ("cloudapp.net", False, True),
        ("contoso.cloudapp.net", False, False),
        ("contoso.com", False, False),
    ],
)
def test_wildcard_below_a_public_suffix_is_rejected(parent, registry, suffix):
    """A wildcard is rejected only if it is directly below a public suffix (Baseline Requirements
    3.2.2.6).
    """
    name = DnsName.parse(parent, allow_single_label=True)
    assert (name.is_registry, name.is_public_suffix) == (registry, suffix)
    if registry:
        with pytest.raises(BadName, match="would cover the names of all organizations"):
            DnsName.parse(f"*.{parent}", allow_wildcard=True)
    else:
        assert DnsName.parse(f"*.{parent}", allow_wildcard=True).parent == parent


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("*.contoso.com", "meet.contoso.com", True),
        ("*.contoso.com", "a.b.contoso.com", False),
        ("*.contoso.com", "contoso.com", False),
        ("*.contoso.com", "meet.fabrikam.com", False),
        ("*.contoso.com", "*.contoso.com", True),
        ("meet.contoso.com", "meet.contoso.com", True),
        ("meet.contoso.com", "dialin.contoso.com", False),
    ],
)
def test_a_wildcard_covers_one_label(pattern, name, covered):
    """A wildcard name matches exactly one label (RFC 9525 section 6.3)."""
    assert DnsName.parse(pattern, allow_wildcard=True).covers(name) is covered


def test_a_name_is_text():
    """A host name behaves like text: it can be compared, sorted, pickled, and formatted."""
    name = DnsName.parse("fe01.contoso.net")
    assert name == "fe01.contoso.net"
    assert name.parent == "contoso.net"
    assert name.parent.parent.parent == ""
    assert pickle.loads(pickle.dumps(name)) == name
    assert f"{name}" == "fe01.contoso.net"
