"""Convert text to validated host names. Only this module creates a ``DnsName`` from text.

``cryptography.x509.DNSName`` rejects only non-ASCII text, so this module checks every name before a
request contains the name. It corrects harmless differences and reports each correction: letter
case, a trailing dot, white space, invisible characters, and Unicode spelling. It rejects all other
invalid names and does not guess. It accepts names that are valid only in some networks, such as
names with an underscore or under ``.local``.
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

#: The beginning of the note that shows the ASCII form of a name.
INTERNATIONAL = "internationalized name encoded as"

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

# The pattern for most valid names. All other names are checked by the function parse_name.
# Possessive quantifiers keep the matching time linear.
_CLEAN = r"(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)++[a-z][a-z0-9]*+(?:-[a-z0-9]++)*+"
# The maximum length of a label (RFC 1035 section 2.3.4). If a whole name is no longer than this,
# none of its labels is too long.
_SHORT = 63
_LONGEST = 253
_is_clean = re.compile(rf"{_CLEAN}\Z").match
_all_are_clean = re.compile(rf"(?:{_CLEAN}\n)*+\Z").match
_find_odd = re.compile(rf"^(?!{_CLEAN}$).*$", re.MULTILINE).findall

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\Z")


class DnsName(str):
    """A host name as in a dNSName: in lowercase, with A-labels, and without a trailing dot.

    :meth:`parse` creates a name. A name is a ``str``, so that it compares, sorts, and serializes as
    text.

    Notes
    -----
    Source: RFC 5280 section 4.2.1.6, RFC 1035 section 2.3.4 (253 and 63 octets), RFC 5890.
    """

    __slots__ = ()

    @classmethod
    def parse(
        cls, text: str, *, allow_wildcard: bool = False, allow_single_label: bool = False
    ) -> DnsName:
        """Return a host name from text, without the notes of :func:`parse_name`."""
        return parse_name(
            text, allow_wildcard=allow_wildcard, allow_single_label=allow_single_label
        )[0]

    @property
    def is_wildcard(self) -> bool:
        """Whether the leftmost label of the host name is an asterisk."""
        return self.startswith("*.")

    @property
    def is_idn(self) -> bool:
        """Whether the host name contains an A-label (``xn--…``, RFC 5890 section 2.3.2.1)."""
        return self.startswith("xn--") or ".xn--" in self

    @property
    def as_written(self) -> str:
        """The host name in Unicode for display. Its A-labels are decoded (RFC 5891)."""
        return idn.convert_to_unicode(self) if self.is_idn else str(self)

    @property
    def has_underscore(self) -> bool:
        """Whether the name contains an underscore. Public CAs and Lync Server reject such names."""
        return "_" in self

    @property
    def parent(self) -> DnsName:
        """The host name without its leftmost label, or blank if it has only one label."""
        return DnsName(self.partition(".")[2])

    @property
    def is_public_suffix(self) -> bool:
        """Whether different owners can register names below the name (Public Suffix List)."""
        return str(_load_public_suffixes().publicsuffix(self)) == self

    @property
    def is_registry(self) -> bool:
        """Whether the name belongs to a registry (``com.tw``), not to the owner of a domain.

        Notes
        -----
        Source: CA/Browser Forum, Baseline Requirements 2.2.6, section 3.2.2.6, 2026-03-31. Only the
        section "ICANN DOMAINS" of the Public Suffix List counts, not "PRIVATE DOMAINS".
        """
        return self.is_public_suffix and str(_load_registries().publicsuffix(self)) == self

    @property
    def registered_domain(self) -> DnsName | None:
        """The registered domain that contains the host name, such as ``contoso.com``, or None."""
        domain = _load_public_suffixes().privatesuffix(self.removeprefix("*."))
        return None if domain is None else DnsName(domain)

    @property
    def is_internal(self) -> bool:
        """Whether the host name has no public suffix. Public CAs issue no certificate for it."""
        return self.registered_domain is None and not self.is_public_suffix

    def covers(self, name: str) -> bool:
        """Return whether a certificate with the host name is valid for the given name.

        Notes
        -----
        Source: RFC 9525 section 6.3. A wildcard replaces exactly one label.
        """
        if self == name:
            return True
        return self.is_wildcard and name.partition(".")[2] == self[2:] and name[:2] != "*."


def find_unusual_names(texts: Iterable[str]) -> list[str]:
    """Return the texts that :func:`parse_name` must check, in their order and with duplicates.

    A single regular expression finds them. Every other text is a valid name, from which ``DnsName``
    can be created directly.
    """
    texts = list(texts)
    if not texts:
        return []
    joined = "\n".join(texts)
    if max(map(len, texts)) <= _SHORT and joined.count("\n") == len(texts) - 1:
        return [] if _all_are_clean(f"{joined}\n") else _find_odd(joined)
    return [text for text in texts if not (len(text) <= _SHORT and _is_clean(text))]


def is_host_name(text: str) -> bool:
    """Return whether a text is one host name in the form that plans contain.

    Parameters
    ----------
    text : str
        A lowercase name without a wildcard. A single label is allowed.
    """
    if len(text) <= _SHORT and _is_clean(text):
        return True
    labels = text.split(".")
    return len(text) <= _LONGEST and all(len(x) <= _SHORT and _LABEL.match(x) for x in labels)


def parse_name(
    text: str, *, allow_wildcard: bool = False, allow_single_label: bool = False
) -> tuple[DnsName, tuple[str, ...]]:
    """Validate a host name, and normalize harmless differences in its spelling.

    Parameters
    ----------
    text : str
        The text that the user entered.
    allow_wildcard : bool, optional
        Whether the complete leftmost label can be an asterisk.
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
    Unicode Technical Standard 46 for the mapping. Underscores are kept, because DNS allows them.
    """
    if len(text) <= _SHORT and _is_clean(text):
        return DnsName(text), ()
    bare, cleaned = clean_text(text)
    _reject_non_host_name(bare)
    name, mapping = idn.convert_to_lowercase(bare)
    notes = [*cleaned, *mapping]
    if name.endswith("."):
        name = name[:-1]
        notes.append("trailing dot removed")
    _reject_address(name, bare)
    host = _strip_wildcard(name, bare, allow_wildcard=allow_wildcard)
    labels = [_to_ascii_label(label, bare) for label in host.split(".")]
    # A wildcard with a single label, such as *.com, is rejected later, because the label belongs to
    # a registry.
    single = allow_single_label or host != name
    _reject_numeric_or_single_label(labels, bare, allow_single_label=single)
    final = ".".join(labels)
    if host != name:
        _reject_registry_wildcard(DnsName(final), bare)
        final = f"*.{final}"
    if len(final) > 253:
        raise BadName(
            f"{shown(bare)} is {len(final)} characters long; the limit is 253",
            "enter a shorter name",
        )
    if not name.isascii():
        notes.append(f"{INTERNATIONAL} {final}")
    return DnsName(final), (*notes, *idn.find_mixed_scripts(labels))


def get_library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide which host names are valid and public.

    The version of ``publicsuffixlist`` ends with the date of its copy of the Public Suffix List.
    """
    # importlib.metadata is imported only when it is needed, because the import takes some
    # milliseconds.
    from importlib.metadata import version

    return {library: version(library) for library in ("publicsuffixlist", "idna")}


@functools.cache
def _load_public_suffixes() -> PublicSuffixList:
    # The list is imported only when it is needed, because the import takes 30 ms.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False)


@functools.cache
def _load_registries() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=False, only_icann=True)


def _reject_non_host_name(text: str) -> None:
    """Raise an error with a hint for text that is clearly not a host name, such as a URL."""
    if not text:
        raise BadName("the name is empty", "enter a name, for example pool01.contoso.com")
    folded = unicodedata.normalize("NFKC", text)
    if "://" in folded:
        host = re.sub(r":\d+\Z", "", folded.split("://", 1)[1].partition("/")[0])
        raise BadName(
            f"{shown(text)} is a URL, not a name", f"enter only the host name, for example {host}"
        )
    _reject_address(folded, text)
    if "@" in folded:
        raise BadName(
            f"{shown(text)} is an e-mail or SIP address, not a name",
            f"enter only the part after the @ sign, for example {folded.rpartition('@')[2]}",
        )
    if "/" in folded or "\\" in folded:
        raise BadName(
            f"{shown(text)} contains a path in addition to the host name",
            "enter only the host name",
        )
    host, colon, port = folded.partition(":")
    if colon and port.isdigit():
        raise BadName(
            f"{shown(text)} contains a port number, which is not allowed in a name on a "
            "certificate",
            f"enter only {host}",
        )
    if any(character.isspace() for character in folded):
        raise BadName(
            f"{shown(text)} contains white space",
            ("remove the white space. To enter several names, use a column that accepts a list"),
        )


def _reject_address(text: str, original: str) -> None:
    # The pattern also matches an IP address with brackets, a port, a prefix length, or a zone.
    bare = text.partition("/")[0].partition("%")[0]
    with_port = re.fullmatch(r"(\[.*\]|[\d.]+):\d+", bare)
    bare = (with_port[1] if with_port else bare).strip("[]")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return
    raise BadName(
        f"{shown(original)} is an IP address, not a name",
        "enter the server's DNS name. Lync certificates contain only DNS names",
    )


def _strip_wildcard(name: str, original: str, *, allow_wildcard: bool) -> str:
    """Return a host name without a leading ``*.``. An asterisk in another position is an error."""
    if "*" not in name:
        return name
    host = name[2:]
    if not name.startswith("*.") or "*" in host or not host:
        raise BadName(
            f"{shown(original)} is not a valid wildcard",
            "use one asterisk as the complete first label, for example *.contoso.com",
        )
    if not allow_wildcard:
        raise BadName(
            f"{shown(original)} is a wildcard, but this value must be a host name",
            (
                "enter the complete host name. To use wildcards for simple URLs, set the "
                'option "wildcard" in the plan'
            ),
        )
    return host


def _reject_registry_wildcard(parent: DnsName, original: str) -> None:
    if "." not in parent or parent.is_registry:
        raise BadName(
            f"{shown(original)} would cover the names of all organizations under {parent}",
            "use a wildcard in your own domain, for example *.contoso.com",
        )


def _to_ascii_label(label: str, original: str) -> str:
    """Validate one label of a host name, and return the label in ASCII."""
    if not label:
        raise BadName(
            f"{shown(original)} starts with a dot, or has two dots in a row",
            "remove the extra dot",
        )
    ascii_form = label
    if not label.isascii() or label.startswith("xn--"):
        ascii_form = idn.encode_label(label, original)
    if len(ascii_form) > 63:
        raise BadName(
            f"a label in {shown(original)} has {len(ascii_form)} characters; the limit is 63",
            "shorten the label, which is the text between two dots",
        )
    if not _LABEL.match(ascii_form):
        wrong = next((c for c in ascii_form if not re.match(r"[a-z0-9_-]", c)), "-")
        raise BadName(
            f"a label in {shown(original)} begins or ends with a hyphen"
            if wrong == "-"
            else f"{shown(original)} contains the character {shown(wrong)}",
            (
                "use only letters, digits, and hyphens. Each label must begin and end with "
                "a letter or digit"
            ),
        )
    if ascii_form[2:4] == "--" and not ascii_form.startswith("xn--"):
        raise BadName(
            (
                f"a label in {shown(original)} has hyphens as the third and fourth "
                "characters. This form is reserved"
            ),
            (
                "check the spelling. Only encoded internationalized domain names (xn--…) "
                "use this form"
            ),
        )
    return ascii_form


def _reject_numeric_or_single_label(
    labels: list[str], original: str, *, allow_single_label: bool
) -> None:
    if len(labels) == 1 and not allow_single_label:
        raise BadName(
            f"{shown(original)} is not a fully qualified domain name",
            f"enter the complete name, for example {labels[0]}.contoso.com",
        )
    if labels[-1].isdigit():
        raise BadName(
            (f"{shown(original)} ends with a number, but only an IP address can end with a number"),
            "enter the server's DNS name",
        )
