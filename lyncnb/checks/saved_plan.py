"""Save a plan in a file, and verify a saved plan by planning again.

lyncnb does not trust the certificates and findings in a saved plan. It makes them again from the
table and options in the file, with the installed rules and the recorded evaluation date. The file
is valid if the result is identical, byte for byte. Otherwise lyncnb lists all differences.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from ..base.arguments import check_type
from ..base.certificate_fields import NAMES_HEADING
from ..base.disk.outputs import check_output_path, write_output
from ..base.dns_name import get_library_versions
from ..base.garbage_collection import pause_garbage_collection
from ..base.pasted_text import show_invisible_characters
from ..base.shown.tables import Table, columns, format_count
from ..base.terminal import quote_argument
from ..errors import LyncnbError, PlanAltered, PlanOutdated, Problem
from ..plan.acceptances import find_acceptance
from ..plan.model import CertificatePlan
from ..plan.planner import plan_certificates
from ..plan.recorded_plan import read_plan_file
from ..plan.saved_plan_json import (
    ALTERED,
    SAVED_PLAN_FILE,
    SIGN_LINE,
    SavedDocument,
    build_saved_plan_values,
    compute_rule_digests,
    encode_saved_plan,
    read_saved_json,
)
from ..rules.findings import Finding, Findings
from ..rules.rule_files import load_recorded_rules
from .check_plan import check_plan, choose_evaluation_date

_HINT_WORDS = (
    "only the descriptive texts differ, because another version of lyncnb wrote the "
    "file, or somebody changed the texts. Save the plan again. If the plan is already "
    "approved, you can create the requests without saving the plan again (--approved-by)"
)
_HINT_OUTDATED = (
    "save and approve the plan again: lyncnb plan TOPOLOGY --save FILE. To see every "
    "difference, run lyncnb compare FILE TOPOLOGY"
)
_HINT = (
    "ask the person who saved the plan for the original file, or save and approve the plan again"
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SavedPlan(Table):
    """A plan that lyncnb read from a file and verified by planning again.

    Parameters
    ----------
    path : Path
        The file.
    plan : CertificatePlan
        The plan, made again from the table and options in the file.
    findings : Findings
        The findings on the date ``judged_on``.
    data : bytes
        The content of the file, which a signature covers.
    reworded : tuple of str
        The texts in the file that differ from this version of lyncnb, each with the new text. You
        can request such a plan only if it is approved.
    """

    _columns: ClassVar = columns(
        ("Certificate", "id"),
        ("Subject name", "subject.common_name"),
        (NAMES_HEADING, "names"),
        ("Issuer", "issuer"),
        ("Key", lambda certificate: str(certificate.key)),
    )

    path: Path
    plan: CertificatePlan
    findings: Findings
    data: bytes
    reworded: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file, in the format of ``sha256sum``."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def digest(self) -> str:
        """The digest in the last line of the saved plan. Request folders also record it."""
        return self.data[-len('0"\n}\n') - 63 :][:64].decode("ascii")

    @property
    def judged_on(self) -> date:
        """The evaluation date of the plan. Reading the file later does not change this date."""
        return choose_evaluation_date(self.plan, self.findings.judged_on)

    @property
    def open_errors(self) -> tuple[Finding, ...]:
        """The errors that are not accepted. They prevent lyncnb from creating requests."""
        return tuple(
            finding
            for finding in self.findings
            if finding.severity == "error"
            and not find_acceptance(finding, self.plan.options, day=self.judged_on)
        )

    @property
    def sign_line(self) -> str:
        """The command that signs the plan without lyncnb. KEY is the private key file."""
        return SIGN_LINE.replace("FILE", self._quoted_path)

    @property
    def approval_command(self) -> str:
        """The command that approves the plan with lyncnb."""
        return f"lyncnb approve {self._quoted_path} --key KEY"

    @property
    def _quoted_path(self) -> str:
        path = str(self.path)  # A path that begins with a hyphen would look like an option.
        return quote_argument(os.path.join(os.curdir, path) if path.startswith("-") else path)

    def _list_items(self) -> Iterable[Any]:
        return self.plan.certificates

    @property
    def identity(self) -> str:
        """The path, the evaluation date, and the SHA-256 of the plan, which identify the file."""
        return f"{self.path}, evaluation date {self.judged_on}, SHA-256 {self.sha256}"

    def _summarize(self) -> str:
        return (
            f"{self.path}: {format_count(len(self.plan.certificates), 'certificate')} for "
            f"{self.plan.rules.title}, evaluation date {self.judged_on}, SHA-256 {self.sha256}"
        )

    def __repr__(self) -> str:
        return self._summarize()


@pause_garbage_collection()
def save_plan(
    plan: CertificatePlan,
    path: str | os.PathLike[str],
    *,
    findings: Findings | None = None,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> SavedPlan:
    """Save a plan as one JSON file that you can read, approve, and request later.

    Parameters
    ----------
    plan : CertificatePlan
        A plan with n certificates.
    path : path
        A file name that ends with ``.json``.
    findings : Findings, optional
        The findings of the plan, with their evaluation date. The default is the result of
        ``check_plan``.
    force : bool, optional
        Whether to replace another file with the same name.
    inputs : iterable of path, optional
        The input files of the plan, which are never overwritten.

    Returns
    -------
    SavedPlan
        The same plan, findings, and date always produce the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written to this path.
    PlanError
        If a text in the table cannot be stored in a file.
    """
    check_type("save_plan: plan", plan, CertificatePlan)
    plan.topology.reject_incomplete()
    check_output_path(path, SAVED_PLAN_FILE, force=force, inputs=inputs)
    checked = check_plan(plan) if findings is None else findings
    day = choose_evaluation_date(plan, checked.judged_on)
    data = encode_saved_plan(build_saved_plan_values(plan, checked, judged_on=day))
    write_output(path, data, SAVED_PLAN_FILE, force=force, inputs=inputs)
    return _make_saved_plan(Path(path), plan, Findings(checked.items, day), data)


def _make_saved_plan(
    path: Path,
    plan: CertificatePlan,
    findings: Findings,
    data: bytes,
    ignore_rewording: tuple[str, ...] = (),
) -> SavedPlan:
    return SavedPlan(path=path, plan=plan, findings=findings, data=data, reworded=ignore_rewording)


@pause_garbage_collection()
def read_saved_plan(path: str | os.PathLike[str], *, reworded: bool = False) -> SavedPlan:
    """Read a saved plan, and check that its table and options still result in the same plan.

    Parameters
    ----------
    path : path
        A file that :func:`save_plan` wrote.
    reworded : bool, optional
        Whether texts may differ, as in a file from an earlier version of lyncnb: findings with the
        same code, subject, and severity, and reasons with the same rules. The attribute
        ``reworded`` of the result lists these texts. Use this option only for a plan with a valid
        signature.

    Returns
    -------
    SavedPlan
        The plan, evaluated for the date in the file.

    Raises
    ------
    PlanError
        If the file cannot be read or is not a saved plan.
    PlanAltered
        If the same rules produce different certificates or names, because somebody changed the
        file.
    PlanOutdated
        If the plan was saved with different rules. ``read_plan`` returns such a plan unchanged.
    """
    path = Path(path)
    data = read_plan_file(path)
    document = read_saved_json(data, source=path.name, is_complete=False)
    rules = load_recorded_rules(document.options.product)
    try:
        plan = plan_certificates(document.topology, rules, options=document.options)
    except LyncnbError as error:
        problems = error.problems or (Problem(message=error.message, hint=error.hint),)
        libraries = tuple(_compare_libraries(document.values))
        is_other = document.values["rules"] != compute_rule_digests(rules) or libraries
        if document.is_whole and is_other:
            raise PlanOutdated(
                f"{path.name}: the plan was saved with different rules, and lyncnb cannot "
                "create the plan with the installed rules",
                problems=(*libraries, *problems),
                hint=_HINT_OUTDATED,
            ) from None
        altered = () if document.is_whole else (Problem(message=f"the file {ALTERED}"),)
        raise PlanAltered(
            f"{path.name}: lyncnb cannot compute the plan again from this file",
            problems=(*altered, *problems),
            hint=_HINT,
        ) from None
    findings = check_plan(plan, on=document.judged_on)
    # A different version of a library is accepted if it results in the same plan.
    recomputed = build_saved_plan_values(
        plan,
        findings,
        judged_on=document.judged_on,
        libraries=_read_library_versions(document.values),
    )
    recomputed_data = encode_saved_plan(recomputed)
    if recomputed_data != data:
        # If lyncnb could not have written this file, report that before any other error.
        document = read_saved_json(data, source=path.name)
        is_only_words = (
            document.is_whole
            and encode_saved_plan(document.values) == data
            and json.dumps(_omit_explanations(document.values))
            # The comparison includes the order of the entries.
            == json.dumps(_omit_explanations(recomputed))
        )
        if document.is_whole and document.values["rules"] != recomputed["rules"]:
            raise _report_outdated_plan(path, document.values, recomputed)
        if (
            reworded
            and is_only_words
            and (others := tuple(_list_rewordings(document.values, recomputed)))
        ):
            return _make_saved_plan(path, plan, findings, data, others)
        if document.is_whole and any(_compare_libraries(document.values)):
            raise _report_outdated_plan(path, document.values, recomputed)
        raise PlanAltered(
            f"{path.name}: the table and options produce a different plan, so lyncnb does not "
            "use this file",
            problems=tuple(_list_differences(document, recomputed)),
            hint=_HINT_WORDS if is_only_words else _HINT,
        )
    return _make_saved_plan(path, plan, findings, data)


def _report_outdated_plan(
    path: Path, old_plan: Mapping[str, Any], new_plan: Mapping[str, Any]
) -> PlanOutdated:
    """Report the certificates and names that differ because the installed rules are newer."""
    changed = tuple(_compare_entries(old_plan["certificates"], new_plan["certificates"], "id"))
    libraries = tuple(_compare_libraries(old_plan))
    difference = (
        "the installed rules produce different certificates"
        if changed
        else (
            "the certificates are the same, but the findings and the reasons for names may differ"
        )
    )
    return PlanOutdated(
        f"{path.name}: the plan was saved with different rules; {difference}",
        problems=(*libraries, *(changed or _compare_rules(old_plan["rules"], new_plan["rules"]))),
        hint=_HINT_OUTDATED,
    )


def _read_library_versions(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of libraries in a saved plan, or an empty dict if they are not valid."""
    libraries = values.get("libraries")
    if not isinstance(libraries, dict) or not all(
        isinstance(version, str) for version in libraries.values()
    ):
        return {}
    return libraries


def _compare_libraries(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Report each library whose installed version differs from the version in a saved plan."""
    installed = get_library_versions()
    for library, version in _read_library_versions(values).items():
        if version != installed.get(library):
            now = installed.get(library, "not installed")
            yield Problem(
                message=(
                    f"when the plan was saved, the version of {library} was "
                    f"{version}. Now the version is {now}"
                )
            )


_WORDS_OF_FINDINGS = ("message", "hint", "source")


def _omit_explanations(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a saved plan without the texts that explain it to people."""
    return {
        **{key: value for key, value in values.items() if key not in ("title", "read_me")},
        "findings": [
            {key: value for key, value in item.items() if key not in _WORDS_OF_FINDINGS}
            for item in values["findings"]
        ],
        "reasons": [item["rule"] for item in values["reasons"]],
    }


def _list_rewordings(old_plan: Mapping[str, Any], new_plan: Mapping[str, Any]) -> Iterator[str]:
    """Return the texts in a saved plan that were reworded, each with the old and new text."""
    for old, new in zip(old_plan["findings"], new_plan["findings"], strict=True):
        changed = [key for key in _WORDS_OF_FINDINGS if old.get(key) != new.get(key)]
        if changed:
            words = "; ".join(
                f"{_describe_value(old.get(key))} and is now {_describe_value(new[key])}"
                for key in changed
            )
            subject = old.get("about") or "the deployment"
            yield f"the text of the finding {old['code']} for {subject} was {words}"
    for old, new in zip(old_plan["reasons"], new_plan["reasons"], strict=True):
        for key in ("why", "source"):
            if old.get(key) != new[key]:
                was, now = _describe_value(old.get(key)), _describe_value(new[key])
                yield f"the text of the rule {old['rule']} was {was} and is now {now}"
    for key in ("title", "read_me"):
        if old_plan[key] != new_plan[key]:
            was, now = _describe_value(old_plan[key]), _describe_value(new_plan[key])
            yield f"the text of {key} was {was} and is now {now}"


def _list_differences(
    saved_document: SavedDocument, recreated_values: Mapping[str, Any]
) -> Iterator[Problem]:
    """Return the differences between a saved plan and the new plan, the most important last."""
    if not saved_document.is_whole:
        yield Problem(message=f"the file {ALTERED}")
    before = saved_document.values
    yield from _compare_rules(before["rules"], recreated_values["rules"])
    is_reported = False
    for key, name in (("certificates", "id"), ("reasons", "rule")):
        for problem in _compare_entries(before[key], recreated_values[key], name):
            is_reported = True
            yield problem
    for problem in _compare_findings(before["findings"], recreated_values["findings"]):
        is_reported = True
        yield problem
    for key in ("title", "read_me", "product", "judged_on", "options", "table"):
        if before[key] != recreated_values[key]:
            is_reported = True
            yield from _compare_header(key, before[key], recreated_values[key])
    if before["plan_sha256"] != recreated_values["plan_sha256"] and not is_reported:
        yield Problem(message="the value plan_sha256 does not match the certificates in the file")
    elif (
        saved_document.is_whole and not is_reported and before["rules"] == recreated_values["rules"]
    ):
        yield Problem(
            message=(
                "the content is the same, but the file is formatted differently (order, spaces "
                "or line endings)"
            )
        )


def _compare_rules(old_rules: Mapping[str, str], new_rules: Mapping[str, str]) -> Iterator[Problem]:
    for name in dict.fromkeys((*old_rules, *new_rules)):
        if old_rules.get(name) != new_rules.get(name):
            yield Problem(message=f"the installed rules {name} differ from the rules in the file")


def _compare_entries(
    old_entries: Sequence[Mapping[str, Any]], new_entries: Sequence[Mapping[str, Any]], key: str
) -> Iterator[Problem]:
    """Compare two lists of certificates, or of reasons, entry by entry."""
    old, new = (
        {entry[key]: entry for entry in old_entries},
        {entry[key]: entry for entry in new_entries},
    )
    if len(old) != len(old_entries):
        yield Problem(message=f"the file has two entries with the same {key}")
    for name in (name for name in old if name not in new):
        yield Problem(message=f"{name} is in the file, but not in the new plan")
    for name in (name for name in new if name not in old):
        yield Problem(message=f"{name} is in the new plan, but not in the file")
    for name in (name for name in new if name in old):
        for field in dict.fromkeys((*old[name], *new[name])):
            if old[name].get(field) != new[name].get(field):
                yield from _compare_values(
                    f"{name}: {field}", old[name].get(field), new[name].get(field)
                )
    if [*old] != [*new] and old.keys() == new.keys():
        yield Problem(
            message="the file and the new plan list the certificates or reasons in a "
            "different order"
        )


def _compare_values(label: str, old_value: object, new_value: object) -> Iterator[Problem]:
    if isinstance(old_value, list) and isinstance(new_value, list):
        # Both lists can contain 100,000 servers, so they are compared as sets.
        old, new = (
            set(map(str, old_value)),
            set(map(str, new_value)),
        )
        added = [item for item in old_value if str(item) not in new]
        missing = [item for item in new_value if str(item) not in old]
        for item in added:
            yield Problem(message=f"{label}: only the file contains {_describe_value(item)}")
        for item in missing:
            yield Problem(message=f"{label}: only the new plan contains {_describe_value(item)}")
        if not added and not missing:
            yield Problem(
                message=f"{label}: the file and the new plan list the values in a "
                "different order, or one of them has duplicates"
            )
    elif isinstance(old_value, dict) and isinstance(new_value, dict):
        for key in dict.fromkeys((*old_value, *new_value)):
            if old_value.get(key) != new_value.get(key):
                yield from _compare_values(
                    f"{label}: {key}", old_value.get(key), new_value.get(key)
                )
        if old_value == new_value or [*old_value] != [*new_value]:
            yield Problem(message=f"{label}: the order differs")
    else:
        yield Problem(
            message=(
                f"{label}: the file contains {_describe_value(old_value)}, but the new plan "
                f"contains {_describe_value(new_value)}"
            )
        )


def _describe_value(value: object) -> str:
    if value in (None, "", [], {}):
        return "nothing"
    text = str(value)[:200]
    return f'"{show_invisible_characters(text)}"' if isinstance(value, str) else text


def _compare_findings(
    old_findings: Sequence[Mapping[str, Any]], new_findings: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    def get_identity(finding: Mapping[str, Any]) -> tuple[object, ...]:
        return (finding["code"], finding.get("about"), finding.get("message"))

    old, new = (
        {get_identity(finding): finding for finding in old_findings},
        {get_identity(finding): finding for finding in new_findings},
    )
    for identity in (key for key in old if key not in new):
        code, subject, message = identity
        yield Problem(
            message=(f"only the file contains the finding {code} for {subject}: {message}")
        )
    for identity in (key for key in new if key not in old):
        code, subject, message = identity
        yield Problem(
            message=(f"only the new plan contains the finding {code} for {subject}: {message}")
        )
    for identity in (key for key in new if key in old and new[key] != old[key]):
        for field in new[identity]:
            if old[identity].get(field) != new[identity][field]:
                label = f"finding {identity[0]} about {identity[1]}: {field}"
                yield from _compare_values(label, old[identity].get(field), new[identity][field])
    if len(old_findings) != len(old) or ([*old] != [*new] and old.keys() == new.keys()):
        yield Problem(message="the order of the findings differs, or there are duplicates")


def _compare_header(key: str, old_value: Any, new_value: Any) -> Iterator[Problem]:
    if key != "table":
        yield from _compare_values(key, old_value, new_value)
        return
    for number, (old, new) in enumerate(zip(old_value["rows"], new_value["rows"], strict=True), 2):
        for column, was, now in zip(new_value["columns"], old, new, strict=True):
            if was != now:
                yield Problem(
                    message=(
                        f"table row {number}, column {column}: the file contains "
                        f"{_describe_value(was)}, but lyncnb stores this value as "
                        f"{_describe_value(now)}"
                    )
                )
    if old_value["columns"] != new_value["columns"]:
        yield Problem(
            message="the column names in the table differ from the names that lyncnb uses"
        )
