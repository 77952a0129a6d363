"""Compare two plans: find the certificates and names that differ, and the reasons.

The functions have no side effects. The old plan with all of the changes is the new plan, and no
change lists a value that both plans have. As in ``CertificatePlan.sha256``, a different reason for
the same name is not a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, NamedTuple

from ..base.arguments import check_type
from ..base.certificate_fields import SanEntry
from ..base.shown.report import ReportTable, render_sections
from ..base.shown.tables import ROWS_SHOWN, Table, columns, format_cell, format_count
from ..plan.model import CertificatePlan, PlannedCertificate
from ..plan.recorded_plan import NOT_RECORDED, RecordedPlan
from ..rules.model import Rules

#: The ways in which a certificate can differ between two plans, each with its description.
CHANGES: Mapping[str, str] = {
    "removed": "removed",
    "added": "added",
    "renewed": "to be requested again",
    "kept": "changed without effect on the request",
}


class PlanChange(NamedTuple):
    """A difference between two plans, shown as one row of the comparison table.

    Use keyword arguments to create it.

    ``change`` is ``certificate added``, ``certificate removed``, ``name added``, ``name removed``
    or ``changed``. For ``changed``, ``what`` is the field that differs, for example ``Key``.
    ``cause`` is blank until ``find_causes`` sets it.

    Notes
    -----
    A tuple, like ``PlannedCertificate``, not a dataclass: one more SIP domain can make 10,000.
    """

    change: str
    certificate: str  # id
    owner: str  # The owner of the certificate: a server, a pool, or "the deployment".
    usages: tuple[str, ...]
    what: str
    before: str
    after: str
    why: str
    source: str
    cause: str = ""  # The cause of the change: the cell, row, option or rules that differ.


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedCertificate:
    """A certificate that differs between two plans, or is in only one of them.

    ``old`` or ``new`` is None if the plan does not contain the certificate. ``change`` is one of
    ``CHANGES``. ``differences`` lists every difference.
    """

    id: str
    change: str
    old: PlannedCertificate | None
    new: PlannedCertificate | None
    differences: tuple[PlanChange, ...]

    @property
    def planned(self) -> PlannedCertificate:
        """The certificate in the new plan, or in the old plan if the certificate was removed."""
        planned = self.new or self.old
        assert planned is not None
        return planned


@dataclass(frozen=True, slots=True, kw_only=True)
class CountChange:
    """A count in the old and the new plan, shown as ``74 -> 64 names (-10)``."""

    what: str  # in the singular
    before: int
    after: int

    def __str__(self) -> str:
        if self.before == self.after:
            return format_count(self.after, self.what)
        step = self.after - self.before
        sign = "+" if step > 0 else "-"
        return f"{self.before:,} -> {format_count(self.after, self.what)} ({sign}{abs(step):,})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeGroup:
    """The same change to one or more certificates.

    Parameters
    ----------
    change, what, before, after, why, source, cause : str
        As in :class:`PlanChange`.
    usages : tuple of str
        The types of all the certificates.
    owners, ids : tuple of str
        The owners of the certificates, each once, and the ids of the n certificates.
    names : tuple of str
        The names on the certificates that are added or removed; otherwise empty.
    """

    change: str
    usages: tuple[str, ...]
    what: str
    before: str
    after: str
    why: str
    source: str
    cause: str
    owners: tuple[str, ...]
    ids: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def title(self) -> str:
        """A short description of the change, such as ``name added`` or ``Key changed``."""
        return f"{self.what} {_CHANGED}" if self.change == _CHANGED else self.change


#: The comparison table has one row for each change.
CHANGE_COLUMNS = columns(
    ("Change", "change"),
    ("Certificate", "certificate"),
    ("Of", "owner"),
    ("Type", "usages"),
    ("What", "what"),
    ("Before", "before"),
    ("After", "after"),
    ("Why", "why"),
    ("Source", "source"),
    ("Cause", "cause"),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlanDifference(Table):
    """All differences between two plans.

    ``certificates`` contains the certificates that differ, in the order of the new plan, followed
    by the removed certificates.
    """

    _columns: ClassVar = CHANGE_COLUMNS

    old: CertificatePlan = field(compare=False)
    new: CertificatePlan = field(compare=False)
    certificates: tuple[ChangedCertificate, ...]
    counts: tuple[CountChange, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both plans have the same certificates."""
        return not self.certificates

    @property
    def changes(self) -> Iterator[PlanChange]:
        """Yield every difference between the two plans, in the order of the certificates."""
        return (change for item in self.certificates for change in item.differences)

    def of(self, change: str) -> tuple[ChangedCertificate, ...]:
        """Return the certificates with the given type of change, which is a key of ``CHANGES``."""
        return tuple(item for item in self.certificates if item.change == change)

    def groups(self) -> tuple[ChangeGroup, ...]:
        """Group the certificates that have the same change.

        Returns
        -------
        tuple of ChangeGroup
            First the certificates that were removed or added, with their names. Then the changes
            of the other certificates. Each kind is in the order of the first certificate.
        """
        groups: dict[tuple[PlanChange, str], _Gathering] = {}
        for item in self.certificates:
            is_whole = item.old is None or item.new is None
            # New servers of one pool form one group. New servers of two pools form two groups.
            pool = item.planned.pool if is_whole else ""
            for change in item.differences[:1] if is_whole else item.differences:
                key = change._replace(certificate="", owner="", usages=()), pool
                groups.setdefault(key, _Gathering()).add_certificate(item, is_complete=is_whole)
        order = sorted(groups, key=lambda key: _ORDER_OF_KINDS.index(key[0].change))
        return tuple(groups[key].build_group(key[0]) for key in order)

    def _list_items(self) -> Iterator[PlanChange]:
        return self.changes

    def _repr_html_(self) -> str:
        groups = self.groups()
        has_causes = any(group.cause for group in groups)  # none before find_causes
        table = ReportTable(
            columns=[column for column in _GROUPS if has_causes or column.heading != "Cause"],
            items=lambda: groups,
            formats={".html": self._summarize()},
            limit=ROWS_SHOWN,
        )
        return "".join(render_sections([table]))

    def _summarize(self) -> str:
        counts = [
            f"{len(self.of(kind)):,} {words}" for kind, words in CHANGES.items() if self.of(kind)
        ]
        summary = f"Certificates: {', '.join(counts)}" if counts else "No certificate changes"
        titles = self.old.rules.title, self.new.rules.title
        product = f" {titles[0]} -> {titles[1]}." if titles[0] != titles[1] else ""
        certificates, public, names = map(str, self.counts)
        return f"{summary}.{product} {certificates}, including {public}; {names}"


_CERTIFICATE_ADDED, _CERTIFICATE_REMOVED = "certificate added", "certificate removed"
_NAME_ADDED, _NAME_REMOVED, _CHANGED = "name added", "name removed", "changed"
_ORDER_OF_KINDS = (_CERTIFICATE_REMOVED, _CERTIFICATE_ADDED, _NAME_REMOVED, _NAME_ADDED, _CHANGED)


_GROUPS = columns(
    ("Change", "title"),
    ("Of", "owners"),
    ("Type", "usages"),
    ("Before", lambda group: group.names if group.change == _CERTIFICATE_REMOVED else group.before),
    ("After", lambda group: group.names if group.change == _CERTIFICATE_ADDED else group.after),
    ("Cause", "cause"),
    ("Why", "why"),
    ("Source", "source"),
)


@dataclass(slots=True)
class _Gathering:
    """The values of a group of changes, before the group is complete.

    Dictionaries store each value only once and keep the order.
    """

    owners: dict[str, None] = field(default_factory=dict)
    ids: dict[str, None] = field(default_factory=dict)
    usages: dict[str, None] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)

    def add_certificate(self, item: ChangedCertificate, *, is_complete: bool) -> None:
        planned = item.planned
        self.owners[planned.owner] = None
        self.ids[item.id] = None
        self.usages.update(dict.fromkeys(planned.usages or (planned.role,)))
        if is_complete:
            self.names.update(dict.fromkeys(planned.names or (planned.subject.common_name,)))

    def build_group(self, change: PlanChange) -> ChangeGroup:
        return ChangeGroup(
            change=change.change,
            usages=tuple(self.usages),
            what=change.what,
            before=change.before,
            after=change.after,
            why=change.why,
            source=change.source,
            cause=change.cause,
            owners=tuple(self.owners),
            ids=tuple(self.ids),
            names=tuple(self.names),
        )


def compare_plans(old: CertificatePlan, new: CertificatePlan) -> PlanDifference:
    """Return the differences between two plans, with the reason for each difference.

    Parameters
    ----------
    old, new : CertificatePlan
        From any two topologies, options or products. Certificates with the same id are the
        same certificate: one with another name has changed. A server that moves to another pool
        gets a different certificate.

    Returns
    -------
    PlanDifference
        Empty if both have the same certificates. As a table, it has a row for each certificate
        and name that is added or removed, and for each field that changed.

    Notes
    -----
    What ``replan`` took over from the other plan is skipped, so that after an edit only the
    pools concerned are compared.
    """
    check_type("compare_plans: old", old, CertificatePlan)
    check_type("compare_plans: new", new, CertificatePlan)
    before, after = _get_certificates_by_id(old, new), _get_certificates_by_id(new, old)
    kinds = _Comparison(old, new)
    # What is removed comes first.
    changes = [kinds.build_removed_change(key, before[key]) for key in before if key not in after]
    for key, certificate in after.items():
        known = before.get(key)
        if known is None:
            changes.append(kinds.build_added_change(key, certificate))
        elif known != certificate:
            changed = kinds.compare_certificate(key, known, certificate)
            changes += [changed] if changed.differences else []
    return PlanDifference(
        old=old, new=new, certificates=tuple(changes), counts=compare_counts(old, new)
    )


def compare_counts(old_plan: CertificatePlan, new_plan: CertificatePlan) -> tuple[CountChange, ...]:
    """Return the numbers of certificates, public certificates and names in each of two plans."""
    before, after = (
        count_certificates_and_names(old_plan.certificates),
        count_certificates_and_names(new_plan.certificates),
    )
    return tuple(CountChange(what=kind, before=before[kind], after=after[kind]) for kind in before)


def count_certificates_and_names(certificates: Iterable[PlannedCertificate]) -> dict[str, int]:
    """Return the numbers of certificates, public certificates, and names on all certificates."""
    counted = tuple(certificates)
    return {
        "certificate": len(counted),
        "public certificate": sum(c.issuer == "public" for c in counted),
        "name": sum(len(c.subject_alt_name) for c in counted),
    }


def _get_certificates_by_id(
    plan: CertificatePlan, other_plan: CertificatePlan
) -> dict[str, PlannedCertificate]:
    """Return a plan's certificates by ID, without pools that are the same in both plans."""
    shared = {id(part) for part in other_plan.by_pool}
    parts = [part for part in plan.by_pool if id(part) not in shared]
    certificates = (c for part in parts for c in part) if plan.by_pool else plan.certificates
    return {certificate.id: certificate for certificate in certificates}


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a certificate, with its title and the reason why its value matters."""

    title: str
    why: str
    is_requested: bool = False  # Whether the certificate request contains the field.


# The fields, apart from names, in which two certificates with the same ID can differ.
_FIELDS: Mapping[str, _Field] = {
    "subject": _Field("Subject name", "the request includes the subject", is_requested=True),
    "extended_key_usage": _Field("EKU", "the request contains these usages", is_requested=True),
    "key": _Field("Key", "the request uses this key", is_requested=True),
    "hash": _Field("Hash", "the request is signed with this hash algorithm", is_requested=True),
    "issuer": _Field("Issuer", "the request is for a different type of CA"),
    "ca": _Field("CA", "the request is for a different CA"),
    "servers": _Field("Servers", "these servers use the certificate"),
    "site": _Field("Site", "the servers are at this site"),
    "target_os": _Field(
        "Target OS", ("the Windows version on the servers must be able to open the package")
    ),
    "at_set_up": _Field(
        "At set-up", ("you request the certificate either in advance or during server setup")
    ),
}
_NAME_ORDER = _Field("Order of names", "the request lists its names in this order", True)


class _Comparison:
    """Two plans, with the lookup tables that are needed to explain their differences."""

    def __init__(self, old: CertificatePlan, new: CertificatePlan):
        self.old, self.new = old, new
        # The explanations of names. The key consists of the rules for a name and whether the name
        # was added. For an added name, the rules of the new plan apply.
        self._told: dict[tuple[tuple[str, ...], bool], tuple[str, str]] = {}
        is_known = not any(isinstance(plan, RecordedPlan) for plan in (old, new))
        self._fields_known = {
            name: facts for name, facts in _FIELDS.items() if is_known or name not in NOT_RECORDED
        }

    def build_added_change(self, key: str, certificate: PlannedCertificate) -> ChangedCertificate:
        """Return the change for a new certificate, with every name on the certificate."""
        reason = _explain_certificate(certificate, self._old_pools_by_server, "new in the table")
        return self._build_added_or_removed(key, certificate, self.new.rules, reason, is_added=True)

    def build_removed_change(self, key: str, certificate: PlannedCertificate) -> ChangedCertificate:
        """Return the change for a removed certificate, with every name on the certificate."""
        reason = _explain_certificate(
            certificate, self._new_pools_by_server, "no longer in the table"
        )
        return self._build_added_or_removed(
            key, certificate, self.old.rules, reason, is_added=False
        )

    def compare_certificate(
        self, key: str, old: PlannedCertificate, new: PlannedCertificate
    ) -> ChangedCertificate:
        """Return the change to a certificate that both plans have, or None if nothing differs."""
        differences = [*self._compare_names(key, old, new), *self._compare_fields(key, old, new)]
        requested = {item.title for item in (*_FIELDS.values(), _NAME_ORDER) if item.is_requested}
        is_renewed = any(
            change.change != _CHANGED or change.what in requested for change in differences
        )
        return ChangedCertificate(
            id=key,
            change="renewed" if is_renewed else "kept",
            old=old,
            new=new,
            differences=tuple(differences),
        )

    def _build_added_or_removed(
        self,
        key: str,
        certificate: PlannedCertificate,
        rules: Rules,
        reason: str,
        *,
        is_added: bool,
    ) -> ChangedCertificate:
        change = PlanChange(
            change=_CERTIFICATE_ADDED if is_added else _CERTIFICATE_REMOVED,
            certificate=key,
            owner=certificate.owner,
            usages=certificate.usages,
            what="Certificate",
            before="",
            after="",
            why=reason,
            source=_find_rule_source(rules, certificate),
        )
        names = [
            self._make_name_change(change, entry, rules, is_added)
            for entry in certificate.subject_alt_name
        ]
        return ChangedCertificate(
            id=key,
            change="added" if is_added else "removed",
            old=None if is_added else certificate,
            new=certificate if is_added else None,
            differences=(change, *names),
        )

    def _compare_names(
        self, key: str, old: PlannedCertificate, new: PlannedCertificate
    ) -> Iterator[PlanChange]:
        if old.subject_alt_name == new.subject_alt_name:
            return
        blank = _make_blank_change(key, new)
        before, after = frozenset(old.names), frozenset(new.names)
        for entry in new.subject_alt_name:
            if entry.name not in before:
                yield self._make_name_change(blank, entry, self.new.rules, True)
        for entry in old.subject_alt_name:
            if entry.name not in after:
                yield self._make_name_change(blank, entry, self.old.rules, False)
        stayed = [name for name in old.names if name in after]
        if stayed != [name for name in new.names if name in before]:
            names = format_cell(old.names), format_cell(new.names)
            yield self._make_field_change(blank, _NAME_ORDER, *names, new)

    def _compare_fields(
        self, key: str, old: PlannedCertificate, new: PlannedCertificate
    ) -> Iterator[PlanChange]:
        blank = _make_blank_change(key, new)
        for name, facts in self._fields_known.items():
            before, after = getattr(old, name), getattr(new, name)
            if before != after:
                yield self._make_field_change(
                    blank, facts, format_cell(before), format_cell(after), new
                )

    def _make_field_change(
        self,
        blank_change: PlanChange,
        certificate_field: _Field,
        old_value: str,
        new_value: str,
        new: PlannedCertificate,
    ) -> PlanChange:
        return blank_change._replace(
            what=certificate_field.title,
            before=old_value,
            after=new_value,
            why=certificate_field.why,
            source=_find_rule_source(self.new.rules, new),
        )

    def _make_name_change(
        self, blank_change: PlanChange, entry: SanEntry, rules: Rules, is_added: bool
    ) -> PlanChange:
        reason, source = self._explain_name(entry.reasons, rules, is_added)
        return blank_change._replace(
            change=_NAME_ADDED if is_added else _NAME_REMOVED,
            what="Name",
            before="" if is_added else str(entry.name),
            after=str(entry.name) if is_added else "",
            why=reason,
            source=source,
        )

    def _explain_name(
        self, reasons: tuple[str, ...], rules: Rules, is_added: bool
    ) -> tuple[str, str]:
        """Return why a name is on a certificate.

        The result is cached, because reasons are often equal.
        """
        explanation = self._told.get((reasons, is_added))
        if explanation is None:
            known = [rules.names[rule] for rule in reasons if rule in rules.names]
            explanation = (
                "; ".join(dict.fromkeys(rule.why for rule in known)) or _NO_REASON,
                "; ".join(dict.fromkeys(rule.source for rule in known)),
            )
            self._told[reasons, is_added] = explanation
        return explanation

    @cached_property
    def _old_pools_by_server(self) -> Mapping[str, set[tuple[str, str]]]:
        return _map_servers_to_pools(self.old)

    @cached_property
    def _new_pools_by_server(self) -> Mapping[str, set[tuple[str, str]]]:
        return _map_servers_to_pools(self.new)


def _map_servers_to_pools(plan: CertificatePlan) -> Mapping[str, set[tuple[str, str]]]:
    """Return the roles of each server in a plan, and its pool for each role."""
    pools_by_server: dict[str, set[tuple[str, str]]] = {}
    for pool in plan.topology.pools:
        for computer in pool.computers:
            pools_by_server.setdefault(computer.fqdn, set()).add((pool.role, pool.fqdn))
    # A recorded plan contains only its certificates, not its servers.
    if isinstance(plan, RecordedPlan):
        for certificate in plan.certificates:
            for server in certificate.servers:
                pools_by_server.setdefault(server, set()).add((certificate.role, certificate.pool))
    return pools_by_server


def _explain_certificate(
    certificate: PlannedCertificate,
    other_pools_by_server: Mapping[str, set[tuple[str, str]]],
    missing_text: str,
) -> str:
    """Return why only one of the plans has a certificate.

    For example, a server is in a different pool in the other plan.
    """
    server_pools = [other_pools_by_server.get(server, set()) for server in certificate.servers]
    if not any(server_pools):
        return f"{'the server is' if len(server_pools) == 1 else 'the servers are'} {missing_text}"
    known = set().union(*server_pools)
    if certificate.role not in {role for role, _ in known} and certificate.pool:
        return "a server has a different role"
    if certificate.pool and certificate.pool not in {pool for _, pool in known}:
        return "a server is in a different pool"
    return "the options or rules require different certificates"


def _make_blank_change(key: str, certificate: PlannedCertificate) -> PlanChange:
    """Return a change with blank details, for a certificate that is in both plans."""
    return PlanChange(
        change=_CHANGED,
        certificate=key,
        owner=certificate.owner,
        usages=certificate.usages,
        what="",
        before="",
        after="",
        why="",
        source="",
    )


_NO_REASON = "the reason for this name is not recorded"


def _find_rule_source(rules: Rules, certificate: PlannedCertificate) -> str:
    return next((r.source for r in rules.certificates if r.id == certificate.rule), "")
