"""A request that was made elsewhere against the plan: a finding for every difference.

Pure: what the request asks for and the plan's entry in, findings out. Another tool wrote it, so
neither the order of names nor extensions of its own count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...base.pasted_text import shown
from ...base.planned_entry import PlannedEntry
from ...pki.csr import RequestContent
from ...pki.weak_keys import weakness
from ...rules.findings import Finding
from ...rules.returned_rules import Difference, findings


def compare_request(content: RequestContent, entry: PlannedEntry) -> tuple[Finding, ...]:
    """Compare what a request asks for with its entry of the plan.

    Parameters
    ----------
    content : RequestContent
        Of a request that another tool made.
    entry : PlannedEntry
        The certificate's entry of the plan document (``lyncnb-plan/1``).

    Returns
    -------
    tuple of Finding
        One per difference: subject, names, key, purposes, hash. What the tool was not told and
        the CA decides (the hash of the certificate, key usage) is none.
    """
    return findings(
        entry,
        [
            *_subject(content, entry),
            *_names(content, entry),
            *_key(content, entry),
            *_purposes(content, entry),
        ],
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(shown(name) for name in sorted(names))


def _subject(content: RequestContent, entry: PlannedEntry) -> Iterator[Difference]:
    present = dict(content.subject)
    name = present.get("CN", "")
    if name.casefold() != entry.common_name.casefold():
        found = shown(name) if name else "none"
        yield "request-common-name-differs", f"planned {shown(entry.common_name)}, it has {found}"
    for short in dict.fromkeys([*entry.subject, *present]):
        before, after = entry.subject.get(short, ""), present.get(short, "")
        if short != "CN" and before != after:
            what = f"planned {shown(before)}" if before else "not planned"
            found = f"it has {shown(after)}" if after else "it has none"
            yield "request-subject-differs", f"{short}: {what}, {found}"


def _names(content: RequestContent, entry: PlannedEntry) -> Iterator[Difference]:
    planned = {name.casefold() for name in entry.san}
    present = {name.casefold() for name in content.names}
    if missing := planned - present:
        yield "request-names-missing", f"without {_listed(missing)}"
    # The name of the subject once more is what TLS asks for, whether it is planned or not.
    if added := present - planned - {entry.common_name.casefold()}:
        yield "request-names-added", f"with {_listed(added)}"


def _key(content: RequestContent, entry: PlannedEntry) -> Iterator[Difference]:
    weak = weakness(content.modulus) if content.modulus else ""
    if weak:
        yield "request-key-weak", weak
    if entry.key is None:
        return
    planned = (entry.key.algorithm, entry.key.bits)
    if planned != (content.key_algorithm, content.key_bits):
        found = f"{content.key_algorithm} {content.key_bits}"
        yield "request-key-differs", f"planned {planned[0]} {planned[1]}, it has {found}"


def _purposes(content: RequestContent, entry: PlannedEntry) -> Iterator[Difference]:
    usages = content.extended_key_usage
    # Without the extension the CA's template decides.
    if usages and set(usages) != set(entry.eku):
        yield "request-usage-differs", f"planned {', '.join(entry.eku)}, it has {', '.join(usages)}"
    if content.hash != entry.hash:
        yield "request-hash-differs", f"planned {entry.hash}, it is signed with {content.hash}"
