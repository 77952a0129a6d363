"""Process the certificate policies in a path as RFC 5280 section 6.1 and Windows do.

A server accepts any policy. So a path is invalid only if a CA requires an explicit policy and the
certificates have no common policy. For this check, the last level of the policy tree is enough (RFC
9618 section 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .certificates import Certificate, format_name

_ANY = "2.5.29.32.0"


@dataclass
class _State:
    """The state of policy processing at one level of a certification path.

    ``level`` contains the valid policies, each with the equivalent policies at the next level. Each
    counter is the number of certificates before a limit applies (RFC 5280 section 6.1.2 (d) to
    (f)).
    """

    level: dict[str, set[str]] = field(default_factory=lambda: {_ANY: {_ANY}})
    explicit: int = 1 << 30
    inhibit_any: int = 1 << 30
    mapping: int = 1 << 30


def find_policy_violation(path: Sequence[Certificate]) -> str:
    """Return why the policies in a certification path are not valid, or "" if they are valid.

    Parameters
    ----------
    path : sequence of Certificate
        The path, from the certificate that the root signed to the end-entity certificate.

    Notes
    -----
    Source: RFC 5280 sections 6.1.3 (d) to (f), 6.1.4 (a) to (j) and 6.1.5 (a), (b), (g).
    """
    state = _State()
    for depth, certificate in enumerate(path):
        is_last = depth == len(path) - 1
        subject = f'"{format_name(certificate.subject)}"'
        state.level = _process_next_certificate(state, certificate, is_last=is_last)
        if not state.explicit and not state.level:
            return f"{subject} does not contain a certificate policy that the issuing CAs require"
        if is_last:
            break
        if any(_ANY in pair for pair in certificate.policy_mappings):
            return f"{subject} maps anyPolicy to another policy"
        _apply_mappings(state, certificate)
        _decrement_counters(state, certificate)
    return _find_final_violation(state, path[-1]) if path else ""


def _process_next_certificate(
    state: _State, certificate: Certificate, *, is_last: bool
) -> dict[str, set[str]]:
    expected = {name for names in state.level.values() for name in names}
    level: dict[str, set[str]] = {}
    for policy in certificate.policies:
        if policy != _ANY and (policy in expected or _ANY in state.level):
            level[policy] = {policy}
    may_be_any = state.inhibit_any > 0 or (not is_last and certificate.is_self_issued)
    if _ANY in certificate.policies and may_be_any:
        for policy in expected:
            level.setdefault(policy, {policy})
    return level


def _apply_mappings(state: _State, certificate: Certificate) -> None:
    mapped: dict[str, set[str]] = {}
    for above, below in certificate.policy_mappings:
        mapped.setdefault(above, set()).add(below)
    for policy, names in mapped.items():
        if not state.mapping:
            state.level.pop(policy, None)
        elif policy in state.level or _ANY in state.level:
            state.level[policy] = names


def _decrement_counters(state: _State, certificate: Certificate) -> None:
    if not certificate.is_self_issued:
        state.explicit = max(state.explicit - 1, 0)
        state.mapping = max(state.mapping - 1, 0)
        state.inhibit_any = max(state.inhibit_any - 1, 0)
    state.explicit = _apply_limit(state.explicit, certificate.require_explicit_policy)
    state.mapping = _apply_limit(state.mapping, certificate.inhibit_policy_mapping)
    state.inhibit_any = _apply_limit(state.inhibit_any, certificate.inhibit_any_policy)


def _apply_limit(counter: int, limit: int | None) -> int:
    return counter if limit is None else min(counter, limit)


def _find_final_violation(state: _State, certificate: Certificate) -> str:
    is_required = state.explicit <= 1 or certificate.require_explicit_policy == 0
    if is_required and not state.level:
        return (
            f'"{format_name(certificate.subject)}" does not contain a certificate policy that '
            "the issuing CAs require"
        )
    return ""
