"""Text to ``DnsName``: the one place where something written becomes a host name.

``cryptography.x509.DNSName`` refuses nothing but non-ASCII text, so every name passes here
before it comes near a request. What is harmless (case, a trailing dot, white space around,
invisible characters, a Unicode spelling) is cleaned and reported; what cannot be a name is
refused, never guessed at. What is legal somewhere (an underscore, ``.local``) stays.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import idn
from .pasted_text import BadName, clean_text, shown

#: How the note begins that gives the ASCII form of a name.
INTERNATIONAL = "international name written as"

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

# Deliberately narrower than the rules: whatever it takes is certainly a clean name, the careful
# way checks the rest. Possessive quantifiers keep it linear.
_CLEAN = r"(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)++[a-z][a-z0-9]*+(?:-[a-z0-9]++)*+"
# So short a name has no label that is too long. Source: RFC 1035 section 2.3.4.
_SHORT = 63
_LONGEST = 253
_is_clean = re.compile(rf"{_CLEAN}\Z").match
_all_are_clean = re.compile(rf"(?:{_CLEAN}\n)*+\Z").match
_find_odd = re.compile(rf"^(?!{_CLEAN}$).*$", re.MULTILINE).findall

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\Z")


class DnsName(str):
    """A host name in the form of a dNSName: lower case, A-labels, no trailing dot.

    A ``str`` to be made by :meth:`parse`, so it compares, sorts and serialises as one.

    Notes
    -----
    Source: RFC 5280 section 4.2.1.6, RFC 1035 section 2.3.4 (253 and 63 octets), RFC 5890.
    """

    __slots__ = ()

    @classmethod
    def parse(
        cls, text: str, *, allow_wildcard: bool = False, allow_single_label: bool = False
    ) -> DnsName:
        """Read a name, see :func:`parse_name`; the clean-ups made are not told."""
        return parse_name(
            text, allow_wildcard=allow_wildcard, allow_single_label=allow_single_label
        )[0]

    @property
    def is_wildcard(self) -> bool:
        """Whether the leftmost label is ``*``."""
        return self.startswith("*.")

    @property
    def is_idn(self) -> bool:
        """Whether a label is an A-label (``xn--…``), RFC 5890 section 2.3.2.1."""
        return self.startswith("xn--") or ".xn--" in self

    @property
    def as_written(self) -> str:
        """The name as people write it, A-labels in their Unicode form (RFC 5891)."""
        return idn.to_unicode(self) if self.is_idn else str(self)

    @property
    def has_underscore(self) -> bool:
        """Whether an underscore is in it: legal in DNS, refused by public CAs and by Lync."""
        return "_" in self

    @property
    def parent(self) -> DnsName:
        """The name without its leftmost label; empty for a single label."""
        return DnsName(self.partition(".")[2])

    @property
    def is_public_suffix(self) -> bool:
        """Whether somebody gives names directly below it to others (Public Suffix List)."""
        return str(_public_suffixes().publicsuffix(self)) == self

    @property
    def is_registry(self) -> bool:
        """Whether that is a registry, not the owner of a domain (``com.tw``, not ``github.io``).

        Notes
        -----
        Source: CA/Browser Forum, Baseline Requirements 2.2.6, section 3.2.2.6, 2026-03-31: of the
        Public Suffix List the section "ICANN DOMAINS" counts, not "PRIVATE DOMAINS".
        """
        return self.is_public_suffix and str(_registries().publicsuffix(self)) == self

    @property
    def registrable(self) -> DnsName | None:
        """The part that somebody registered, e.g. ``contoso.com``; None if nobody can have."""
        found = _public_suffixes().privatesuffix(self.removeprefix("*."))
        return None if found is None else DnsName(found)

    @property
    def is_internal(self) -> bool:
        """Whether no public CA may certify it: a single label, or no public suffix above."""
        return self.registrable is None and not self.is_public_suffix

    def covers(self, name: str) -> bool:
        """Say whether a certificate for this name is good for ``name``.

        Notes
        -----
        Source: RFC 9525 section 6.3; a wildcard replaces exactly one label.
        """
        if self == name:
            return True
        return self.is_wildcard and name.partition(".")[2] == self[2:] and name[:2] != "*."


def odd_names(texts: Iterable[str]) -> list[str]:
    """List the texts that are not plainly a clean name and need :func:`parse_name`.

    One scan in C for all of them; every other text may be wrapped in ``DnsName`` as it is.
    Order and repetitions are those of ``texts``.
    """
    texts = list(texts)
    if not texts:
        return []
    joined = "\n".join(texts)
    if max(map(len, texts)) <= _SHORT and joined.count("\n") == len(texts) - 1:
        return [] if _all_are_clean(f"{joined}\n") else _find_odd(joined)
    return [text for text in texts if not (len(text) <= _SHORT and _is_clean(text))]


def is_host_name(text: str) -> bool:
    """Tell whether a text is the name of one host, exactly as a plan writes it.

    Parameters
    ----------
    text : str
        What a file says; lower case, no wildcard, and one label is enough.
    """
    if len(text) <= _SHORT and _is_clean(text):
        return True
    labels = text.split(".")
    return len(text) <= _LONGEST and all(len(one) <= _SHORT and _LABEL.match(one) for one in labels)


def parse_name(
    text: str, *, allow_wildcard: bool = False, allow_single_label: bool = False
) -> tuple[DnsName, tuple[str, ...]]:
    """Read one name.

    Parameters
    ----------
    text : str
        As somebody wrote it.
    allow_wildcard : bool, optional
        Whether the whole leftmost label may be ``*``.
    allow_single_label : bool, optional
        Whether a name without a dot is good.

    Returns
    -------
    tuple of DnsName and tuple of str
        The name, and each clean-up that was made, in plain words.

    Raises
    ------
    BadName
        If the text cannot be a name.

    Notes
    -----
    Source: RFC 1035 section 2.3.1, RFC 5890 section 2.3.1 (LDH and A-labels), RFC 5891, and
    Unicode Technical Standard 46 for the mapping. Underscores stay: DNS allows them.
    """
    if len(text) <= _SHORT and _is_clean(text):
        return DnsName(text), ()
    bare, cleaned = clean_text(text)
    _refuse_other_things(bare)
    name, mapping = idn.lower_and_map(bare)
    notes = [*cleaned, *mapping]
    if name.endswith("."):
        name = name[:-1]
        notes.append("trailing dot removed")
    _refuse_address(name, bare)
    rest = _without_wildcard(name, bare, allowed=allow_wildcard)
    labels = [_a_label(label, bare) for label in rest.split(".")]
    # The part after an asterisk is checked as a registry.
    single = allow_single_label or rest != name
    _refuse_number_or_label(labels, bare, allow_single_label=single)
    final = ".".join(labels)
    if rest != name:
        _refuse_registry(DnsName(final), bare)
        final = f"*.{final}"
    if len(final) > 253:
        raise BadName(
            f"{shown(bare)} is {len(final)} characters long; the limit is 253",
            "shorten it",
        )
    if not name.isascii():
        notes.append(f"{INTERNATIONAL} {final}")
    return DnsName(final), (*notes, *idn.mixed_scripts(labels))


@functools.cache
def _public_suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # 30 ms, and most runs need none of it

    return PublicSuffixList(accept_unknown=False)


@functools.cache
def _registries() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False, only_icann=True)


def _refuse_other_things(text: str) -> None:
    """Refuse what is plainly something else than a name, each with its own hint."""
    if not text:
        raise BadName("the name is empty", "write a name, e.g. pool01.contoso.com")
    folded = unicodedata.normalize("NFKC", text)
    if "://" in folded:
        host = folded.split("://", 1)[1].partition("/")[0]
        raise BadName(f"{shown(text)} is a URL, not a name", f"write only the host, e.g. {host}")
    _refuse_address(folded, text)
    if "@" in folded:
        raise BadName(
            f"{shown(text)} is an e-mail or SIP address, not a name",
            f"write only what follows the @, e.g. {folded.rpartition('@')[2]}",
        )
    if "/" in folded or "\\" in folded:
        raise BadName(f"{shown(text)} contains a path, not only a name", "write only the host name")
    host, colon, port = folded.partition(":")
    if colon and port.isdigit():
        raise BadName(
            f"{shown(text)} contains a port; names on certificates have none", f"write only {host}"
        )
    if any(character.isspace() for character in folded):
        raise BadName(
            f"{shown(text)} contains white space",
            "remove it; several names belong in a column that takes a list",
        )


def _refuse_address(text: str, written: str) -> None:
    # With brackets, a port, a prefix length or a zone it is an address all the same.
    bare = text.partition("/")[0].partition("%")[0]
    with_port = re.fullmatch(r"(\[.*\]|[\d.]+):\d+", bare)
    bare = (with_port[1] if with_port else bare).strip("[]")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return
    raise BadName(
        f"{shown(written)} is an IP address, not a name",
        "write its host name in DNS; Lync certificates contain only names",
    )


def _without_wildcard(name: str, written: str, *, allowed: bool) -> str:
    """Take ``*.`` off the front; refuse every other asterisk."""
    if "*" not in name:
        return name
    rest = name[2:]
    if not name.startswith("*.") or "*" in rest or not rest:
        raise BadName(
            f"{shown(written)} is not a valid wildcard",
            "use one asterisk as the whole first label, e.g. *.contoso.com",
        )
    if not allowed:
        raise BadName(
            f"{shown(written)} is a wildcard, which is not allowed here",
            "write the name itself; wildcards for simple URLs are an option of the plan",
        )
    return rest


def _refuse_registry(parent: DnsName, written: str) -> None:
    if "." not in parent or parent.is_registry:
        raise BadName(
            f"{shown(written)} would cover the names of everybody under {parent}",
            "use a wildcard of your own domain, e.g. *.contoso.com",
        )


def _a_label(label: str, written: str) -> str:
    """Check one label and give it in its ASCII form."""
    if not label:
        raise BadName(
            f"{shown(written)} has an empty label between dots or at the beginning",
            "remove the extra dot",
        )
    ascii_form = label
    if not label.isascii() or label.startswith("xn--"):
        ascii_form = idn.to_a_label(label, written)
    if len(ascii_form) > 63:
        raise BadName(
            f"{shown(written)} has a label of {len(ascii_form)} characters; the limit is 63",
            "shorten the part between two dots",
        )
    if not _LABEL.match(ascii_form):
        wrong = next((c for c in ascii_form if not re.match(r"[a-z0-9_-]", c)), "-")
        raise BadName(
            f"{shown(written)} has a label that begins or ends with a hyphen"
            if wrong == "-"
            else f"{shown(written)} contains the character {shown(wrong)}",
            "use letters, digits and hyphens, with a letter or digit at either end",
        )
    if ascii_form[2:4] == "--" and not ascii_form.startswith("xn--"):
        raise BadName(
            f"{shown(written)} has hyphens as third and fourth characters, which are reserved",
            "only encoded international names (xn--…) have them there; check the spelling",
        )
    return ascii_form


def _refuse_number_or_label(labels: list[str], written: str, *, allow_single_label: bool) -> None:
    if len(labels) == 1 and not allow_single_label:
        raise BadName(
            f"{shown(written)} is not a fully qualified domain name",
            f"write the whole name, e.g. {labels[0]}.contoso.com",
        )
    if labels[-1].isdigit():
        raise BadName(
            f"{shown(written)} ends with a number, which is allowed only in an IP address",
            "write its host name in DNS",
        )
