"""Text to ``DnsName``: the only module that makes a host name from text.

``cryptography.x509.DNSName`` rejects only non-ASCII text, so this module checks every name before a
request contains it. It corrects and reports what is harmless: letter case, a trailing dot, white
space around the name, invisible characters, a Unicode spelling. It rejects any other invalid name
and never guesses. It keeps what is valid in some networks, such as an underscore or ``.local``.
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

#: The beginning of the note with the ASCII form of a name.
INTERNATIONAL = "international name written as"

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

# Narrower than the rules: a match is certainly a valid name, and parse_name checks the rest.
# Possessive quantifiers keep the time linear.
_CLEAN = r"(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)++[a-z][a-z0-9]*+(?:-[a-z0-9]++)*+"
# A name of this length has no label that is too long. Source: RFC 1035 section 2.3.4.
_SHORT = 63
_LONGEST = 253
_is_clean = re.compile(rf"{_CLEAN}\Z").match
_all_are_clean = re.compile(rf"(?:{_CLEAN}\n)*+\Z").match
_find_odd = re.compile(rf"^(?!{_CLEAN}$).*$", re.MULTILINE).findall

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\Z")


class DnsName(str):
    """A host name in the form of a dNSName: lower case, A-labels, no trailing dot.

    :meth:`parse` makes one. It is a ``str``, so it compares, sorts and serialises like text.

    Notes
    -----
    Source: RFC 5280 section 4.2.1.6, RFC 1035 section 2.3.4 (253 and 63 octets), RFC 5890.
    """

    __slots__ = ()

    @classmethod
    def parse(
        cls, text: str, *, allow_wildcard: bool = False, allow_single_label: bool = False
    ) -> DnsName:
        """Return a name from text without the notes of :func:`parse_name`."""
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
        """The name with its A-labels in Unicode (RFC 5891), for people."""
        return idn.to_unicode(self) if self.is_idn else str(self)

    @property
    def has_underscore(self) -> bool:
        """Whether it has an underscore, which DNS allows and public CAs and Lync reject."""
        return "_" in self

    @property
    def parent(self) -> DnsName:
        """The name without its leftmost label; empty for a single label."""
        return DnsName(self.partition(".")[2])

    @property
    def is_public_suffix(self) -> bool:
        """Whether different owners register names directly below it (Public Suffix List)."""
        return str(_public_suffixes().publicsuffix(self)) == self

    @property
    def is_registry(self) -> bool:
        """Whether it is a registry, not the owner of a domain (``com.tw``, not ``github.io``).

        Notes
        -----
        Source: CA/Browser Forum, Baseline Requirements 2.2.6, section 3.2.2.6, 2026-03-31. Only the
        section "ICANN DOMAINS" of the Public Suffix List counts, not "PRIVATE DOMAINS".
        """
        return self.is_public_suffix and str(_registries().publicsuffix(self)) == self

    @property
    def registrable(self) -> DnsName | None:
        """The part that its owner registered, such as ``contoso.com``; None if impossible."""
        domain = _public_suffixes().privatesuffix(self.removeprefix("*."))
        return None if domain is None else DnsName(domain)

    @property
    def is_internal(self) -> bool:
        """Whether public CAs may not certify it: a single label, or no public suffix above."""
        return self.registrable is None and not self.is_public_suffix

    def covers(self, name: str) -> bool:
        """Return whether a certificate for this name is valid for ``name``.

        Notes
        -----
        Source: RFC 9525 section 6.3. A wildcard replaces exactly one label.
        """
        if self == name:
            return True
        return self.is_wildcard and name.partition(".")[2] == self[2:] and name[:2] != "*."


def odd_names(texts: Iterable[str]) -> list[str]:
    """List the texts that need :func:`parse_name`, with the order and repetitions of ``texts``.

    One scan in C finds them. Every other text is a valid name, and ``DnsName`` can take it
    unchanged.
    """
    texts = list(texts)
    if not texts:
        return []
    joined = "\n".join(texts)
    if max(map(len, texts)) <= _SHORT and joined.count("\n") == len(texts) - 1:
        return [] if _all_are_clean(f"{joined}\n") else _find_odd(joined)
    return [text for text in texts if not (len(text) <= _SHORT and _is_clean(text))]


def is_host_name(text: str) -> bool:
    """Return whether a text is the name of one host, exactly as a plan writes it.

    Parameters
    ----------
    text : str
        A name in lower case and without a wildcard; one label is enough.
    """
    if len(text) <= _SHORT and _is_clean(text):
        return True
    labels = text.split(".")
    return len(text) <= _LONGEST and all(len(x) <= _SHORT and _LABEL.match(x) for x in labels)


def parse_name(
    text: str, *, allow_wildcard: bool = False, allow_single_label: bool = False
) -> tuple[DnsName, tuple[str, ...]]:
    """Read one name.

    Parameters
    ----------
    text : str
        The text as it was entered.
    allow_wildcard : bool, optional
        Whether the whole leftmost label may be ``*``.
    allow_single_label : bool, optional
        Whether a name without a dot is valid.

    Returns
    -------
    tuple of DnsName and tuple of str
        The name, and a note for each correction.

    Raises
    ------
    BadName
        If the text is not a valid name.

    Notes
    -----
    Source: RFC 1035 section 2.3.1, RFC 5890 section 2.3.1 (LDH and A-labels), RFC 5891, and
    Unicode Technical Standard 46 for the mapping. Underscores stay: DNS allows them.
    """
    if len(text) <= _SHORT and _is_clean(text):
        return DnsName(text), ()
    bare, cleaned = clean_text(text)
    _reject_other_text(bare)
    name, mapping = idn.lower_and_map(bare)
    notes = [*cleaned, *mapping]
    if name.endswith("."):
        name = name[:-1]
        notes.append("trailing dot removed")
    _reject_address(name, bare)
    rest = _without_wildcard(name, bare, allowed=allow_wildcard)
    labels = [_a_label(label, bare) for label in rest.split(".")]
    # The part after an asterisk is checked as a registry.
    single = allow_single_label or rest != name
    _reject_number_or_label(labels, bare, allow_single_label=single)
    final = ".".join(labels)
    if rest != name:
        _reject_registry(DnsName(final), bare)
        final = f"*.{final}"
    if len(final) > 253:
        raise BadName(
            f"{shown(bare)} is {len(final)} characters long; the limit is 253",
            "shorten it",
        )
    if not name.isascii():
        notes.append(f"{INTERNATIONAL} {final}")
    return DnsName(final), (*notes, *idn.mixed_scripts(labels))


def name_libraries() -> dict[str, str]:
    """Return the versions of the libraries that decide which names are valid and public.

    The version of ``publicsuffixlist`` ends with the date of its copy of the Public Suffix List.
    """
    import publicsuffixlist

    return {"publicsuffixlist": publicsuffixlist.__version__, "idna": idn.VERSION}


@functools.cache
def _public_suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # takes 30 ms, and most runs do not need it

    return PublicSuffixList(accept_unknown=False)


@functools.cache
def _registries() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False, only_icann=True)


def _reject_other_text(text: str) -> None:
    """Reject text that is clearly not a name, such as a URL, with a hint for each case."""
    if not text:
        raise BadName("the name is empty", "write a name, e.g. pool01.contoso.com")
    folded = unicodedata.normalize("NFKC", text)
    if "://" in folded:
        host = folded.split("://", 1)[1].partition("/")[0]
        raise BadName(f"{shown(text)} is a URL, not a name", f"write only the host, e.g. {host}")
    _reject_address(folded, text)
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


def _reject_address(text: str, written: str) -> None:
    # An address with brackets, a port, a prefix length or a zone is still an address.
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
    """Return the name without ``*.`` at its start; reject every other asterisk."""
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


def _reject_registry(parent: DnsName, written: str) -> None:
    if "." not in parent or parent.is_registry:
        raise BadName(
            f"{shown(written)} would cover the names of everybody under {parent}",
            "use a wildcard of your own domain, e.g. *.contoso.com",
        )


def _a_label(label: str, written: str) -> str:
    """Check one label, and return its ASCII form."""
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


def _reject_number_or_label(labels: list[str], written: str, *, allow_single_label: bool) -> None:
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
