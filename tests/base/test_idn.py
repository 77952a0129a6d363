"""International names are converted according to Unicode Technical Standard 46 and IDNA 2008, and
misleading names are reported.
"""

from __future__ import annotations

import pytest

from lyncnb.base.idn import convert_to_lowercase, encode_label, find_mixed_scripts
from lyncnb.base.pasted_text import BadName

# All letters of this name except the last one are Cyrillic.
PAYPAL = "\u0440\u0430\u0443\u0440\u0430l"
MIXED = f'"{PAYPAL}" mixes Cyrillic and Latin letters, so readers can mistake the name for a different name'


@pytest.mark.parametrize(
    ("original", "mapped", "notes"),
    [
        ("lync.contoso.com", "lync.contoso.com", ()),
        ("LYNC.Contoso.com", "lync.contoso.com", ("changed to lowercase",)),
        ("FAß.de", "faß.de", ("changed to lowercase",)),
        ("ÄÖ.de", "äö.de", ("changed to lowercase",)),
        (
            "１.２.３.４",
            "1.2.3.4",
            ("lyncnb replaced full-width or compatibility characters with standard characters",),
        ),
        # IDNA treats each of these three characters as a dot.
        (
            "a。b．c｡d",
            "a.b.c.d",
            ("lyncnb replaced full-width or compatibility characters with standard characters",),
        ),
        # The Kelvin sign is mapped to the letter k.
        ("\u212aontoso.com", "kontoso.com", ("changed to lowercase",)),
        ("a_b.contoso.com", "a_b.contoso.com", ()),
    ],
)
def test_mapping_follows_uts46(original, mapped, notes):
    """lyncnb converts a host name to lowercase, replaces compatibility characters, and describes
    each change in a note.
    """
    assert convert_to_lowercase(original) == (mapped, notes)


def test_invalid_character_is_named():
    """If a host name contains a character that UTS 46 does not allow, the message gives the
    character's Unicode name.
    """
    with pytest.raises(BadName, match=r"U\+E000 unnamed character"):
        convert_to_lowercase("a\ue000.contoso.com")


@pytest.mark.parametrize(
    ("label", "a_label"),
    [
        ("分公司", "xn--55q8nz3c"),
        # Python's codec converts this name to "fass", which is another domain.
        ("faß", "xn--fa-hia"),
        ("xn--fa-hia", "xn--fa-hia"),
        ("xn--55q8nz3c", "xn--55q8nz3c"),
        (PAYPAL, "xn--l-7sba6dbr"),
    ],
)
def test_unicode_labels_are_encoded(label, a_label):
    """A Unicode label of a host name is encoded with IDNA 2008, and an A-label is not changed."""
    assert encode_label(label, label) == a_label


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("☃", r"U\+2603 SNOWMAN"),
        ("分_公", r"U\+005F LOW LINE"),
        ("xn--zz--", "A-label must not end with a hyphen"),
        ("xn--", "Malformed A-label"),
        ("分" * 70, "Label too long"),
    ],
)
def test_bad_labels_are_refused(label, reason):
    """If IDNA 2008 does not allow a label, the host name is rejected, and the error message
    contains the reason.
    """
    with pytest.raises(BadName, match=reason) as caught:
        encode_label(label, f"{label}.contoso.com")
    assert caught.value.hint == (
        "check the spelling, or enter the ASCII form (xn--…) that your domain registrar shows"
    )


@pytest.mark.parametrize(
    ("label", "warnings"),
    [
        ("contoso", []),
        (encode_label("分公司", ""), []),
        # Latin letters in Chinese, Japanese, and Korean names cause no warning.
        (encode_label("日本語カナabc", ""), []),
        (encode_label("한국abc", ""), []),
        (
            encode_label(PAYPAL, ""),
            [MIXED],
        ),
        (
            encode_label("α分", ""),
            [
                '"α分" mixes Chinese and Greek letters, so readers can mistake the name for a different name'
            ],
        ),
    ],
)
def test_mixed_scripts_are_reported(label, warnings):
    """If a host name mixes scripts that no language uses together, a warning is reported."""
    assert [*find_mixed_scripts(["www", label])] == warnings
