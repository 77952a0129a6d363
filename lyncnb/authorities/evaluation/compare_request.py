"""Compare a request from another computer with the plan, and report each difference.

These functions have no side effects. Another tool wrote the request, so lyncnb ignores the order of
the names and additional extensions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...base.pasted_text import shown
from ...base.planned_entry import PlannedEntry
from ...base.request_content import RequestContent
from ...pki.keys import find_modulus_weakness
from ...rules.findings import Finding
from ...rules.returned_rules import Difference, create_findings


def compare_request(content: RequestContent, entry: PlannedEntry) -> tuple[Finding, ...]:
    """Compare the content of a certificate request with the planned certificate.

    Parameters
    ----------
    content : RequestContent
        The content of a request that another tool wrote.
    entry : PlannedEntry
        The planned certificate in the plan document (``lyncnb-plan/1``).

    Returns
    -------
    tuple of Finding
        One finding for each difference: subject, names, key, usages, hash. Values that the CA
        sets (the certificate's hash and key usage) are not compared.
    """
    return create_findings(
        entry,
        [
            *_compare_subject(content, entry),
            *_compare_names(content, entry),
            *_compare_key(content, entry),
            *_compare_usages(content, entry),
        ],
    )


def _join_names(names: Collection[str]) -> str:
    return ", ".join(shown(name) for name in sorted(names))


def _compare_subject(content: RequestContent, entry: PlannedEntry) -> Iterator[Difference]:
    present = dict(content.subject)
    name = present.get("CN", "")
    if name.casefold() != entry.common_name.casefold():
        present_name = shown(name) if name else "none"
        yield (
            "request-common-name-differs",
            (
                f"the planned common name is {shown(entry.common_name)}, but the request has "
                f"{present_name}"
            ),
        )
    for short in dict.fromkeys([*entry.subject, *present]):
        before, after = entry.subject.get(short, ""), present.get(short, "")
        if short != "CN" and before != after:
            planned = f"planned {shown(before)}" if before else "not planned"
            now = f"the request has {shown(after)}" if after else f"the request has no {short}"
            yield "request-subject-differs", f"{short}: {planned}, but {now}"


def _compare_names(content: RequestContent, entry: PlannedEntry) -> Iterator[Difference]:
    planned = {name.casefold() for name in entry.san}
    present = {name.casefold() for name in content.names}
    if missing := planned - present:
        yield (
            "request-names-missing",
            (f"the request does not contain the names {_join_names(missing)}"),
        )
    # TLS clients require the common name as a subject alternative name too, even if the plan
    # contains it only as the common name.
    if added := present - planned - {entry.common_name.casefold()}:
        yield "request-names-added", (f"the request also contains the names {_join_names(added)}")


def _compare_key(content: RequestContent, entry: PlannedEntry) -> Iterator[Difference]:
    weak = find_modulus_weakness(content.modulus) if content.modulus else ""
    if weak:
        yield "request-key-weak", weak
    if entry.key is None:
        return
    planned = (entry.key.algorithm, entry.key.bits)
    if planned != (content.key_algorithm, content.key_bits):
        present = f"{content.key_algorithm} {content.key_bits}"
        yield (
            "request-key-differs",
            (
                f"the planned key is {planned[0]} {planned[1]}, but the key of the "
                f"request is {present}"
            ),
        )


def _compare_usages(content: RequestContent, entry: PlannedEntry) -> Iterator[Difference]:
    usages = content.extended_key_usage
    # If the request does not specify extended key usages, the template of the CA determines the
    # usages.
    if usages and set(usages) != set(entry.eku):
        planned, present = ", ".join(entry.eku), ", ".join(usages)
        yield (
            "request-usage-differs",
            (f"the plan requires the extended key usage {planned}, but the request has {present}"),
        )
    if content.hash != entry.hash:
        yield (
            "request-hash-differs",
            (
                f"the plan requires the hash algorithm {entry.hash}, but the request uses "
                f"{content.hash}"
            ),
        )
