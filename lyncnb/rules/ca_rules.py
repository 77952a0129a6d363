"""Read the CA rules (``cas/*.toml``): the limits and checks that apply on a date.

A file contains the rules of one authority: the CA/Browser Forum and the browsers for public CAs, a
single CA, or AD CS for internal CAs. Each rule has a scope, dates, and a source. If two sources
disagree, the rule has both. Rules for public CAs never apply to an internal CA.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import cache
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from itertools import chain
from types import MappingProxyType

from ..base.certificate_fields import KEYS
from ..base.records import RecordReader, make_named_field
from ..base.toml_text import NotToml, parse_toml
from ..errors import RulesError
from .model import ISSUERS, CheckRule, CheckTerms, PeriodRule, compute_digest_without_texts
from .rule_mistakes import check_codes, check_periods

#: The quantities that can have limits, with the units of the limits.
QUANTITIES: Mapping[str, str] = {
    "validity-days": "days between the start and the end of a certificate's validity period",
    "client-validity-days": "validity period that every client accepts, in days",
    "usual-validity-days": "validity period that lyncnb assumes by default, in days",
    "domain-validation-days": "days for which a CA may reuse a domain control validation",
    "subject-validation-days": "days for which a CA may reuse the verification of an organization",
    "short-lived-days": "maximum validity period of a short-lived certificate, in days",
    "timestamps": "signed certificate timestamps required for each certificate",
    "names": "names in one certificate",
    "san-bytes": "bytes in the subject alternative name extension",
    "age-months": "months after which lyncnb reports the rules as outdated",
}

#: What a check evaluates: the plan or an issued certificate.
JUDGES = ("plan", "returned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The source of a rule: a document, a section in it, and the date."""

    document: str
    date: date
    section: str = ""
    ballot: str = ""

    def __str__(self) -> str:
        section = f"section {self.section}" if self.section else ""
        ballot = f"ballot {self.ballot}" if self.ballot else ""
        return ", ".join(filter(None, (self.document, section, ballot, self.date.isoformat())))


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSource:
    """A source that disagrees with a rule, and what the source says."""

    says: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class CaLimit(PeriodRule):
    """A CA's limit on a quantity, from ``effective`` until the day before ``until``.

    ``applies`` is ``public``, ``internal``, or the id of a root program or a CA. The limit applies
    only to certificates that are valid for more than ``over_days``.
    """

    quantity: str  # one of QUANTITIES
    value: int
    applies: str
    source: Source
    over_days: int = 0
    conflicts: tuple[OtherSource, ...] = make_named_field("conflict", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationMethod:
    """A method of domain control validation that CAs may use before a given date.

    With ``only_the_name_itself``, the method validates only the exact name, not a wildcard or a
    name below it. ``by`` describes the kind of proof in one or two words. From ``discouraged`` on,
    CAs should no longer use the method. ``reuse_days`` is set if a validation with this method is
    valid for a shorter time than the limit on domain-validation-days. With ``acme``, ACME has a
    challenge for the method.
    """

    title: str
    applies: str
    source: Source
    by: str
    until: date | None = None
    discouraged: date | None = None
    reuse_days: int = 0
    only_the_name_itself: bool = False
    acme: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRule:
    """A rule about root certificates that clients do not trust.

    ``roots`` are common names, or organizational units of roots without a specific common name.
    ``code`` is the check of issued certificates that reports the root. ``effective`` is the first
    issue date that the clients reject, or the date on which they remove the root. Without it, no
    trust store contains the root.
    """

    code: str
    roots: tuple[str, ...]
    clients: str
    source: Source
    effective: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaCheck(CheckTerms):
    """A check in a CA rule file.

    ``judges`` is the subject of the check. ``limit_of`` is a quantity; the smaller of the CA's own
    limit and the general limit applies. The check does not apply to CAs that have their own limit
    on ``not_bound_by``, or to the ids in ``except_cas``. In lists, checks with the same ``group``
    are the points of one notice.
    """

    applies: str
    source: Source
    judges: tuple[str, ...] = ("plan",)
    limit_of: str = ""
    not_bound_by: str = ""
    except_cas: tuple[str, ...] = ()
    group: str = ""
    conflicts: tuple[OtherSource, ...] = make_named_field("conflict", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A root program or a CA to which rules can apply.

    ``names`` are the names of the CA that planners can use in ``[ca]`` of ``plan.toml``, in any
    letter case, alone or as words in a longer name. A root program has none, because its rules
    apply to every public CA. With ``validates_each_name``, the validation of a domain does not
    cover names below it. With ``acme_only``, the CA issues certificates only through ACME.
    """

    id: str
    title: str
    issuer: str  # one of ISSUERS
    names: tuple[str, ...] = ()
    validates_each_name: bool = False
    acme_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaRules:
    """The content of a CA rule file in ``cas/``."""

    title: str
    as_of: date
    programmes: tuple[Authority, ...] = make_named_field("programme", default=())
    cas: tuple[Authority, ...] = make_named_field("ca", default=())
    limits: tuple[CaLimit, ...] = make_named_field("limit", default=())
    methods: tuple[ValidationMethod, ...] = make_named_field("method", default=())
    roots: tuple[RootRule, ...] = make_named_field("root", default=())
    root_keys: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    checks: tuple[CaCheck, ...] = make_named_field("check", default=())
    #: The name of the file, for messages. It is not a key in the file.
    file: str = field(default="", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaRuleSet:
    """The rules in all CA rule files."""

    files: tuple[CaRules, ...]

    @property
    def as_of(self) -> date:
        """The oldest review date of all CA rule files."""
        return min(rules.as_of for rules in self.files)

    @property
    def checks(self) -> tuple[CaCheck, ...]:
        """The checks in all CA rule files, regardless of their dates."""
        return tuple(chain.from_iterable(rules.checks for rules in self.files))

    @property
    def groups_by_code(self) -> Mapping[str, str]:
        """Map the code of each check to its group. Checks without a group are left out."""
        return {check.code: check.group for check in self.checks if check.group}

    def map_checks_by_code(self) -> dict[str, CheckRule]:
        """Return all checks as ``CheckRule`` by code, including checks that do not apply today."""
        return {check.code: self.convert_check(check) for check in self.checks}

    @property
    def methods(self) -> tuple[ValidationMethod, ...]:
        """All methods of domain control validation, including methods that have ended."""
        return tuple(chain.from_iterable(rules.methods for rules in self.files))

    @property
    def root_names(self) -> Mapping[str, str]:
        """The name of each known root, by the SHA-256 of its public key."""
        return {key: name for rules in self.files for name, key in rules.root_keys.items()}

    @property
    def roots(self) -> tuple[RootRule, ...]:
        """All rules about root certificates, regardless of their dates."""
        return tuple(chain.from_iterable(rules.roots for rules in self.files))

    def validates_each_name(self, ca: str) -> bool:
        """Return whether the CA with a name from ``plan.toml`` validates each name separately."""
        return any(authority.validates_each_name for authority in self._find_authorities(ca))

    def is_acme_only(self, ca: str) -> bool:
        """Return whether the CA with a name from ``plan.toml`` issues only through ACME."""
        return any(authority.acme_only for authority in self._find_authorities(ca))

    def _find_authorities(self, ca: str) -> Iterator[Authority]:
        known = chain.from_iterable(rules.cas for rules in self.files)
        return (authority for authority in known if contains_known_name(ca, authority.names))

    def list_smallest_limits(
        self, quantity: str, *, issuer: str = "public", ca: str = ""
    ) -> tuple[tuple[date, CaLimit | None], ...]:
        """Return the smallest limit that applies to a CA, for each date on which it may change.

        None means that no limit applies from the date on.
        """
        limits = self.list_limits(quantity, issuer=issuer, ca=ca)
        days = {date.min}
        days.update(day for limit in limits for day in (limit.effective, limit.until) if day)
        by_value = sorted(limits, key=lambda limit: limit.value)
        return tuple(
            (day, next((limit for limit in by_value if limit.applies_on(day)), None))
            for day in sorted(days)
        )

    def find_smallest_limit(
        self, quantity: str, on_date: date, *, issuer: str = "public", ca: str = ""
    ) -> CaLimit | None:
        """Return the smallest limit that applies to a CA on a date, or None without a limit."""
        limits = self.list_limits(quantity, issuer=issuer, ca=ca, on_date=on_date)
        return min(limits, key=lambda limit: limit.value, default=None)

    def limit_validity(self, days: int, on_date: date, *, issuer: str, ca: str) -> int:
        """Return the validity in days to request from a CA: at most the limit on a date."""
        limit = self.find_smallest_limit("validity-days", on_date, issuer=issuer, ca=ca)
        return days if limit is None else min(days, limit.value)

    def list_limits(
        self, quantity: str, *, issuer: str = "public", ca: str = "", on_date: date | None = None
    ) -> tuple[CaLimit, ...]:
        """Return the limits on a quantity that apply to a CA.

        Parameters
        ----------
        quantity : str
            One of ``QUANTITIES``.
        issuer : str, optional
            ``internal`` or ``public``.
        ca : str, optional
            The name of the CA, as in ``plan.toml``. Rules for a single CA apply only with this
            name.
        on_date : date, optional
            The date. By default, the result contains the limits for all dates.

        Returns
        -------
        tuple of CaLimit
            The limits, sorted by effective date.
        """
        limits = (
            limit
            for rules in self.files
            for limit in rules.limits
            if limit.quantity == quantity
            and self._is_applicable(limit.applies, issuer, ca)
            and (on_date is None or limit.applies_on(on_date))
        )
        return tuple(sorted(limits, key=lambda limit: limit.effective or date.min))

    def list_plan_checks(self, on_date: date) -> tuple[CheckRule, ...]:
        """Return the checks of a plan on a date, one for each limit that applies."""
        return tuple(self._select_checks("plan", on_date=on_date))

    def list_returned_checks(self) -> tuple[CheckRule, ...]:
        """Return the checks of issued certificates, regardless of their dates."""
        return tuple(self._select_checks("returned", on_date=None))

    def _select_checks(self, subject: str, *, on_date: date | None) -> Iterator[CheckRule]:
        for check in self.checks:
            if subject not in check.judges:
                continue
            rule = self.convert_check(check)
            if on_date is not None and not rule.applies_on(on_date):
                continue
            if not check.limit_of:
                excluded_cas = [
                    bound
                    for _, bound in self._find_limits(check.not_bound_by, on_date)
                    if bound.names
                ]
                names = tuple(name for bound in excluded_cas for name in bound.names)
                yield replace(rule, not_cas=(*rule.not_cas, *names))
                continue
            applicable = [
                (limit, bound)
                for limit, bound in self._find_limits(check.limit_of, on_date)
                if bound.issuer == self._describe_scope(check.applies).issuer
            ]
            general = min(
                (limit.value for limit, bound in applicable if not bound.names), default=None
            )
            for limit, bound in applicable:
                if on_date and bound.names and general is not None and limit.value >= general:
                    # The limit for all CAs is at least as strict as this limit for one CA, so the
                    # limit for one CA has no effect.
                    continue
                excluded_cas = (
                    []
                    if bound.names or not on_date
                    else [b for o, b in applicable if o.value < limit.value]
                )
                yield replace(
                    rule,
                    limit=limit.value,
                    cas=bound.names or rule.cas,
                    not_cas=(*rule.not_cas, *(name for b in excluded_cas for name in b.names)),
                    source=_format_source(limit.source, limit.conflicts),
                    disagreement=_format_disagreement(limit.source, limit.conflicts),
                )

    def _find_limits(
        self, quantity: str, on_date: date | None
    ) -> Iterator[tuple[CaLimit, Authority]]:
        """Yield the limits on a quantity that apply on a date, each with the CAs it limits."""
        for limit in chain.from_iterable(rules.limits for rules in self.files):
            if limit.quantity == quantity and (on_date is None or limit.applies_on(on_date)):
                yield limit, self._describe_scope(limit.applies)

    def convert_check(self, check: CaCheck) -> CheckRule:
        """Convert a check in a CA rule file to a ``CheckRule``."""
        bound = self._describe_scope(check.applies)
        return CheckRule(
            **{item.name: getattr(check, item.name) for item in fields(CheckTerms)},
            source=_format_source(check.source, check.conflicts),
            disagreement=_format_disagreement(check.source, check.conflicts),
            issuers=(bound.issuer,),
            cas=bound.names,
            not_cas=tuple(n for ca in check.except_cas for n in self._describe_scope(ca).names),
        )

    def _is_applicable(self, scope: str, issuer: str, ca: str) -> bool:
        bound = self._describe_scope(scope)
        return bound.issuer == issuer and (not bound.names or contains_known_name(ca, bound.names))

    def _describe_scope(self, scope: str) -> Authority:
        """Describe the scope of a rule: all public or internal CAs, or one CA."""
        if scope in ISSUERS:
            return Authority(id=scope, title=scope, issuer=scope)
        known = chain.from_iterable((*rules.programmes, *rules.cas) for rules in self.files)
        return next(authority for authority in known if authority.id == scope)


def contains_known_name(ca_name: str, names: Iterable[str]) -> bool:
    """Return whether a planner's name for a CA contains a known name, regardless of case."""
    words = f" {' '.join(ca_name.casefold().split())} "
    return any(f" {name.casefold()} " in words for name in names)


def _format_source(source: Source, others: tuple[OtherSource, ...]) -> str:
    return "; contradicted by: ".join(map(str, (source, *(other.source for other in others))))


def _format_disagreement(source: Source, others: tuple[OtherSource, ...]) -> str:
    """Describe the disagreement between sources, or return "" if there is none."""
    words = [f"{other.source.document} says: {other.says}" for other in others]
    if not words:
        return ""
    return f"this rule is based on {source.document}, but {'; '.join(words)}"


@cache
def load_ca_rules() -> CaRuleSet:
    """Read all ``cas/*.toml`` files. The result is cached.

    Raises
    ------
    RulesError
        If the files have mistakes. The error lists every mistake with its file and place.
    """
    return parse_ca_rules(
        {file.name: file.read_text(encoding="utf-8") for file in _list_rule_files()}
    )


def _list_rule_files() -> list[Traversable]:
    folder = package_files(__package__.rpartition(".")[0]) / "cas"
    return sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)


@cache
def compute_ca_rules_digest() -> str:
    """Return the SHA-256 of the CA rule files, as hexadecimal digits."""
    digest = hashlib.sha256()
    for file in _list_rule_files():
        digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def compute_deciding_ca_rules_digest() -> str:
    """Return the SHA-256 of the CA rules that affect findings, without descriptive texts."""
    texts = [(file.name, file.read_text(encoding="utf-8")) for file in _list_rule_files()]
    return compute_digest_without_texts({name: parse_toml(text) for name, text in texts})


def parse_ca_rules(texts: Mapping[str, str]) -> CaRuleSet:
    """Parse the texts of CA rule files.

    Parameters
    ----------
    texts : mapping of str to str
        The texts by file name.

    Raises
    ------
    RulesError
        If the texts have mistakes. The error lists each one with its place, for example
        ``check[3].source.date`` (counted from 0).
    """
    readers = {name: RecordReader(name) for name in texts}
    files = []
    for name, text in texts.items():
        try:
            document = parse_toml(text)
        except NotToml as error:
            raise RulesError(f"{name}: {error}", hint=error.hint) from None
        rules = readers[name].record(CaRules, document)
        if rules is not None:
            object.__setattr__(rules, "file", name)
            files.append(rules)
    rule_set = CaRuleSet(files=tuple(files))
    for rules in files:
        _check_rule_values(readers[rules.file], rules, rule_set)
    problems = tuple(chain.from_iterable(reader.problems for reader in readers.values()))
    if problems:
        raise RulesError("the CA rules contain errors", problems=problems)
    return rule_set


def _check_rule_values(reader: RecordReader, rules: CaRules, rule_set: CaRuleSet) -> None:
    """Report invalid values in rules, with their location in the file."""
    authorities = [a for other in rule_set.files for a in (*other.programmes, *other.cas)]
    known = [*ISSUERS, *(authority.id for authority in authorities)]
    for kind, records in (("programme", rules.programmes), ("ca", rules.cas)):
        for number, authority in enumerate(records):
            location = f"{kind}[{number}]"
            reader.report_unknown_values(
                f"{location}.issuer", (authority.issuer,), ISSUERS, "issuer"
            )
            if (kind == "ca") != bool(authority.names):
                reader.problem(
                    f"'{location}.names' is allowed only for a CA, not for a root program"
                )
    limits = {f"limit[{number}]": limit for number, limit in enumerate(rules.limits)}
    checks = {f"check[{number}]": check for number, check in enumerate(rules.checks)}
    for number, method in enumerate(rules.methods):
        reader.report_unknown_values(
            f"method[{number}].applies", (method.applies,), known, "authority"
        )
    codes = [check.code for other in rule_set.files for check in other.checks]
    for number, root in enumerate(rules.roots):
        reader.report_unknown_values(f"root[{number}].code", (root.code,), codes, "check")
    for location, limit in limits.items():
        reader.report_unknown_values(
            f"{location}.quantity", (limit.quantity,), QUANTITIES, "quantity"
        )
        reader.report_unknown_values(f"{location}.applies", (limit.applies,), known, "authority")
    check_periods(reader, {**limits, **checks})
    check_codes(reader, checks)
    for location, check in checks.items():
        reader.report_unknown_values(f"{location}.applies", (check.applies,), known, "authority")
        reader.report_unknown_values(f"{location}.except_cas", check.except_cas, known, "authority")
        reader.report_unknown_values(f"{location}.judges", check.judges, JUDGES, "kind")
        reader.report_unknown_values(f"{location}.keys", check.keys, KEYS, "key")
        for key, quantity in (("limit_of", check.limit_of), ("not_bound_by", check.not_bound_by)):
            if quantity:
                reader.report_unknown_values(
                    f"{location}.{key}", (quantity,), QUANTITIES, "quantity"
                )
