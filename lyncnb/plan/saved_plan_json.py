"""Write and read saved plans as JSON files, in the format ``lyncnb-saved-plan/1``.

People read the file to approve the plan, and sign it. The same table, options, rules, and
evaluation date result in the same bytes. The last line contains the SHA-256 digest of all previous
lines. ``checks/saved_plan.py`` compares the file with a new plan.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ..base.disk.outputs import OutputKind, match_content
from ..base.dns_name import get_library_versions
from ..base.json_text import NotJson, has_valid_digest, parse_json
from ..base.planned_entry import SavedEntry
from ..base.records import RecordReader
from ..base.shown.tables import format_count
from ..errors import LyncnbError, OptionsError, PlanAltered, PlanError, Problem
from ..rules.ca_rules import compute_deciding_ca_rules_digest
from ..rules.findings import Finding, Findings
from ..rules.model import SEVERITIES, Rules
from ..rules.rule_files import load_recorded_rules
from ..topology.topology import Topology, build_topology_from_rows
from .acceptances import find_acceptance
from .model import CertificatePlan, build_certificate_document
from .options import PlanOptions
from .options_values import convert_options_to_values, read_options_values
from .recorded_plan import (
    RecordedFinding,
    RecordedPlan,
    build_recorded_certificates,
    build_recorded_plan,
)
from .totals import format_totals

FORMAT = "lyncnb-saved-plan/1"
#: The namespace of SSH signatures on saved plans (``ssh-keygen -Y sign -n``).
NAMESPACE = "lyncnb-plan"
#: The command that approves a saved plan without lyncnb. KEY and FILE are placeholders.
SIGN_LINE = f"ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE"

#: The ending of a saved plan's file name.
SAVED_PLAN_FILE = OutputKind(
    what="a saved plan", is_ours={".json": match_content(b'"format": "lyncnb-saved-plan/')}
)

_WHAT_IT_PROVES = (
    "lyncnb request --plan FILE FOLDER computes the plan again from this table and "
    "these options. If the result differs, the command stops. This comparison shows "
    "that the certificates follow from the table and the options. Only a signature "
    "shows who approved the plan."
)

_SAVE_ANEW = "save the plan again: lyncnb plan TOPOLOGY --save FILE"
_WAS_ALTERED = (
    "ask the person who saved the plan for the original file, or save and approve the plan again"
)


def compute_rule_digests(rules: Rules) -> dict[str, str]:
    """Return the SHA-256 digest of each rule file that the plan and its evaluation use."""
    return {
        f"products/{rules.product}.toml": rules.sha256,
        "cas/*.toml": compute_deciding_ca_rules_digest(),
    }


def build_saved_plan_values(
    plan: CertificatePlan,
    findings: Iterable[Finding],
    *,
    judged_on: date,
    libraries: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the JSON values of a saved plan, without its digest.

    Parameters
    ----------
    plan : CertificatePlan
        The plan with n certificates, and with the table and options.
    findings : iterable of Finding
        The result of ``check_plan`` for the evaluation date.
    judged_on : date
        The evaluation date.
    libraries : mapping of str to str, optional
        The versions of the libraries that process names. The default is the installed versions. A
        file from an earlier version of lyncnb does not contain them.

    Returns
    -------
    dict
        The JSON values in the order of the file.
    """
    versions = get_library_versions() if libraries is None else libraries
    document = _build_saved_values(plan, tuple(findings), judged_on, versions)
    return {**document, "certificates": list(document["certificates"])}


def encode_plan_in_parts(
    plan: CertificatePlan, findings: Iterable[Finding], *, judged_on: date
) -> bytes:
    """Return the content of a saved plan. The function encodes one certificate at a time.

    Parameters
    ----------
    plan, findings, judged_on
        As for :func:`build_saved_plan_values`.

    Raises
    ------
    PlanError
        As for :func:`encode_saved_plan`.
    """
    return encode_saved_plan(
        _build_saved_values(plan, tuple(findings), judged_on, get_library_versions())
    )


def _build_saved_values(
    plan: CertificatePlan,
    findings: tuple[Finding, ...],
    judged_on: date,
    libraries: Mapping[str, str],
) -> dict[str, Any]:
    entries = [_encode_finding(finding, plan.options, judged_on) for finding in findings]
    used = dict.fromkeys(
        rule
        for certificate in plan.certificates
        for name in certificate.subject_alt_name
        for rule in name.reasons
    )
    return {
        "format": FORMAT,
        "title": f"{format_count(len(plan.certificates), 'certificate')} for {plan.rules.title}",
        "read_me": _describe_plan(plan, findings, judged_on),
        "product": plan.rules.product,
        "rules": compute_rule_digests(plan.rules),
        **({"libraries": dict(libraries)} if libraries else {}),
        "judged_on": judged_on.isoformat(),
        "plan_sha256": plan.sha256,
        "options": convert_options_to_values(plan.options),
        "table": {
            "columns": list(plan.topology.columns),
            "rows": list(map(list, plan.topology.cells)),
        },
        "certificates": _encode_certificates(plan),
        "reasons": [
            {"rule": rule.id, "why": rule.why, "source": rule.source}
            for rule in map(plan.rules.names.get, used)
            if rule
        ],
        "findings": entries,
    }


def _describe_plan(
    plan: CertificatePlan,
    findings: tuple[Finding, ...],
    judged_on: date,
) -> list[str]:
    return [
        f"{format_totals(plan, Findings(findings, judged_on))} Evaluation date: {judged_on}.",
        _WHAT_IT_PROVES,
        (
            "To approve this plan, run lyncnb approve FILE --key KEY. To approve the plan "
            f"without lyncnb, run {SIGN_LINE}"
        ),
    ]


def _encode_finding(finding: Finding, options: PlanOptions, day: date) -> dict[str, object]:
    return {
        **finding.to_document(),
        "accepted": find_acceptance(finding, options, day=day),
    }


def _encode_certificates(plan: CertificatePlan) -> Iterator[dict[str, object]]:
    for certificate in plan.certificates:
        yield {
            **build_certificate_document(certificate),
            "ca": certificate.ca,
            "target_os": certificate.target_os,
            "reasons": {str(san.name): list(san.reasons) for san in certificate.subject_alt_name},
        }


def encode_saved_plan(document: Mapping[str, Any]) -> bytes:
    """Return the content of a saved plan's file.

    Parameters
    ----------
    document : mapping
        The result of :func:`build_saved_plan_values`.

    Returns
    -------
    bytes
        UTF-8, with a line for each row, certificate, and finding, so that comparing two files shows
        the changes. Equal values result in the same bytes.

    Raises
    ------
    PlanError
        If a text contains an unpaired surrogate, which cannot be stored in a file.
    """
    out = io.BytesIO()
    try:
        for text in _encode_document(document):
            out.write(text.encode())
    except UnicodeEncodeError:
        raise PlanError(
            "a cell in the table contains an unpaired surrogate",
            hint="type the text of this cell again",
        ) from None
    digest = hashlib.sha256(out.getvalue()).hexdigest()
    out.write(f'"sha256": "{digest}"\n}}\n'.encode())
    return out.getvalue()


def _encode_document(document: Mapping[str, Any]) -> Iterator[str]:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    pretty = json.JSONEncoder(ensure_ascii=False, indent=1).encode
    yield "{\n"
    for key, value in document.items():
        yield f"{encode(key)}: "
        if key == "table":
            yield f'{{"columns": {encode(value["columns"])},\n"rows": '
            yield from _encode_lines(map(encode, value["rows"]))
            yield "}"
        elif key in ("certificates", "reasons", "findings"):
            yield from _encode_lines(map(encode, value))
        else:
            yield pretty(value) if isinstance(value, (dict, list)) else encode(value)
        yield ",\n"


def _encode_lines(entries: Iterable[str]) -> Iterator[str]:
    yield "["
    between = "\n"
    for entry in entries:
        yield between + entry
        between = ",\n"
    yield "]" if between == "\n" else "\n]"


# --- The following functions and classes read a saved plan. The classes define the valid content.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reason:
    rule: str
    why: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    format: str
    title: str
    read_me: tuple[str, ...]
    product: str
    rules: Mapping[str, str]
    # Plans that were saved before lyncnb 0.2 do not record the versions of libraries.
    libraries: Mapping[str, str] = field(default_factory=dict)
    judged_on: str
    plan_sha256: str
    certificates: tuple[SavedEntry, ...]
    reasons: tuple[_Reason, ...]
    findings: tuple[RecordedFinding, ...]
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedDocument:
    """The content of a saved plan that lyncnb has not verified by planning again.

    ``values`` contains the JSON values without the digest. ``is_whole`` is true if the digest in
    the last line matches the previous lines.
    """

    source: str
    values: Mapping[str, Any]
    judged_on: date
    topology: Topology
    options: PlanOptions
    is_whole: bool
    _document: _Document | None = field(repr=False)

    def build_recorded_plan(self) -> RecordedPlan:
        """Return the saved certificates and findings, without planning again.

        Raises
        ------
        PlanAltered
            If the file was changed, or contains an entry that is not valid in a plan.
        """
        plan, findings = self.plan()
        return build_recorded_plan(
            plan.certificates, plan.rules, source=self.source, findings=findings
        )

    def plan(self, rules: Rules | None = None) -> tuple[CertificatePlan, Findings]:
        """Return the saved plan and findings, with the table and options.

        Parameters
        ----------
        rules : Rules, optional
            The rules of the saved product; by default, they are loaded.

        Raises
        ------
        PlanAltered
            As for :meth:`recorded`.
        """
        if self._document is None:
            raise ValueError("lyncnb read only part of the saved plan")
        if not self.is_whole:
            raise PlanAltered(f"{self.source} {ALTERED}", hint=_WAS_ALTERED)
        rules = rules or load_recorded_rules(self._document.product)
        problems: list[Problem] = []
        entries = self._document.certificates
        reasons = {entry.id: entry.reasons for entry in entries}
        certificates = build_recorded_certificates(entries, rules, problems, reasons=reasons)
        if problems:
            raise PlanAltered(
                f"{self.source} was changed or damaged",
                problems=tuple(problems),
                hint=_WAS_ALTERED,
            )
        plan = CertificatePlan(
            topology=self.topology,
            rules=rules,
            options=self.options,
            certificates=tuple(
                certificate._replace(ca=entry.ca, target_os=entry.target_os)
                for certificate, entry in zip(certificates, entries, strict=True)
            ),
        )
        findings = tuple(entry.build_finding() for entry in self._document.findings)
        return plan, Findings(findings, self.judged_on)


ALTERED = "the digest does not match, because the file was changed after it was saved"


def is_saved_plan(data: bytes) -> bool:
    """Return whether the first bytes of a file show that it is a saved plan."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and FORMAT.encode() in data[:200]


def read_saved_json(
    data: bytes, *, source: str, is_complete: bool = True, rules: Rules | None = None
) -> SavedDocument:
    """Read a saved plan, and validate each of its values.

    Parameters
    ----------
    data : bytes
        The content of the file.
    source : str
        The name of the file, for messages.
    is_complete : bool, optional
        Whether to validate certificates and findings, too. This is not necessary if a new plan has
        the same bytes.
    rules : Rules, optional
        The rules of the saved product; by default, they are loaded.

    Returns
    -------
    SavedDocument
        The content of the file.

    Raises
    ------
    PlanError
        If the file is not a saved plan, or is truncated.
    PlanAltered
        If the file contains values that lyncnb does not write; the error lists all of them.
    RulesError
        If the product is unknown.
    """
    plain = _parse_document(data, source)
    reader = RecordReader("")
    table, options = plain.get("table"), plain.get("options")
    other_values = {key: value for key, value in plain.items() if key not in ("table", "options")}
    content = reader.record(_Document, other_values) if is_complete else None
    if content is not None:
        severities = [finding.severity for finding in content.findings]
        reader.report_unknown_values("findings: severity", severities, SEVERITIES, "severity")
    day = _parse_date(other_values.get("judged_on"), reader)
    problems: list[Problem] = []
    parsed_options = _read_options(options, reader)
    if parsed_options is not None and rules is None:
        load_recorded_rules(
            parsed_options.product
        )  # A custom product can add columns to the table.
    topology = _collect_problems(problems, lambda: _read_table(table, source, reader))
    problems = [*reader.problems, *problems]
    if (
        day is None
        or topology is None
        or parsed_options is None
        or problems
        or (is_complete and content is None)
    ):
        # After a problem, reading continues, so that all problems in the file are reported
        # together.
        if not is_complete:
            return read_saved_json(data, source=source, rules=rules)
        raise PlanAltered(
            f"{source} was changed or damaged", problems=tuple(problems), hint=_WAS_ALTERED
        )
    return SavedDocument(
        source=source,
        values={key: value for key, value in plain.items() if key != "sha256"},
        judged_on=day,
        topology=topology,
        options=parsed_options,
        is_whole=has_valid_digest(data),
        _document=content,
    )


def _collect_problems(problems: list[Problem], read: Any) -> Any:
    try:
        return read()
    except LyncnbError as error:
        problem = Problem(message=error.message, hint=error.hint)
        problems.extend(error.problems or (problem,))
        return None


def _parse_document(data: bytes, source: str) -> dict[str, Any]:
    try:
        plain = parse_json(data)
    except NotJson as error:
        raise PlanError(
            f"{source} is not a complete saved plan: {error}", hint=_SAVE_ANEW
        ) from None
    format_ = plain.get("format") if isinstance(plain, dict) else None
    if format_ == FORMAT:
        return plain  # type: ignore[no-any-return]
    newer = (
        re.fullmatch(r"lyncnb-saved-plan/[0-9]{1,6}", format_) if isinstance(format_, str) else None
    )
    if newer:
        raise PlanError(
            f'{source} has the format "{format_}", which this version of lyncnb does not '
            f"support ({FORMAT})",
            hint="install a newer version of lyncnb",
        )
    raise PlanError(f"{source} is not a saved plan ({FORMAT})", hint=_SAVE_ANEW)


def _parse_date(value: object, reader: RecordReader) -> date | None:
    try:
        if isinstance(value, str) and len(value) == len("2026-01-31"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    reader.problem("'judged_on' must be a date, such as 2026-01-31")
    return None


def _read_table(table: object, source: str, reader: RecordReader) -> Topology | None:
    before = len(reader.problems)
    if not isinstance(table, dict) or table.keys() != {"columns", "rows"}:
        reader.problem("'table' must contain only the keys columns and rows")
        return None
    columns, rows = table["columns"], table["rows"]
    if not _is_text_list(columns):
        reader.problem("'table.columns' must be a list of text values")
    if not isinstance(rows, list):
        reader.problem("'table.rows' must be a list of rows")
        return None
    width = len(columns) if isinstance(columns, list) else -1
    for number, row in enumerate(rows):
        if not _is_text_list(row) or len(row) != width:
            reader.problem(f"'table.rows[{number}]' must be a list of {width} text values")
    if len(reader.problems) > before:
        return None
    return build_topology_from_rows(columns, rows, source=source)


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _read_options(options: object, reader: RecordReader) -> PlanOptions | None:
    if not isinstance(options, dict):
        reader.problem("'options' must be a table")
        return None
    try:
        return read_options_values(options, reader)
    except OptionsError as error:
        problems = error.problems or (Problem(message=error.message, hint=error.hint),)
        reader.problems.extend(problems)
        return None
