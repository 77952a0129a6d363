"""Create a table of servers from answers, and choose the names of the servers.

``[[part]]`` in ``questions.toml`` defines the kinds of servers. This module counts and
names the servers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..base.arguments import check_type
from ..errors import AnswersError, Problem
from ..topology.columns import list_topology_columns
from ..topology.topology import Topology, build_topology_from_rows
from .answer_values import LONGEST_NAME, Value, format_answer, is_yes, list_pattern_kinds
from .answers import GuideAnswers, describe_position, make_short_names
from .name_patterns import LABEL, fill_pattern, read_pattern
from .questions import Part, read_interview

#: The name that messages show as the source of a generated table.
SOURCE = "guide"

# The maximum number of characters in the NetBIOS name of a Windows computer.
_NETBIOS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutProblem:
    """A problem with an answer: the question's site and key, the message, and what to do."""

    site: str
    key: str
    message: str
    hint: str


@dataclass(slots=True, kw_only=True)
class Layout:
    """The table while it is being created: its rows, the uses of each name, and the notes."""

    answers: GuideAnswers
    patterns: Mapping[str, Mapping[str, str]]
    rows: list[dict[str, str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    problems: list[LayoutProblem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """A planned pool: its server type, its servers, and its site in the answers and the table."""

    part: Part
    site: str
    table_site: str
    code: str
    numbers: Sequence[int]
    k: int | str
    is_named: bool


def guided_topology(answers: GuideAnswers) -> Topology:
    """Create the topology that the answers describe.

    Parameters
    ----------
    answers : GuideAnswers
        The answers about the deployment.

    Returns
    -------
    Topology
        A topology that the user can edit. Equal answers lead to the same table.

    Raises
    ------
    AnswersError
        If the answers contradict each other. For example, two servers have the same name, or
        external users have no Edge Server. The exception lists all problems.
    """
    check_type("guided_topology: answers", answers, GuideAnswers)
    layout = lay_out(answers)
    if layout.problems:
        raise AnswersError(
            "the answers contradict each other",
            problems=tuple(
                Problem(
                    message=f"{describe_position(item.site, item.key)}: {item.message}",
                    value=answers.text(item.key, item.site),
                    hint=item.hint,
                )
                for item in layout.problems
            ),
        )
    used = {name for row in layout.rows for name, text in row.items() if text}
    columns = [item.name for item in list_topology_columns() if item.name in used]
    cells = [[row.get(name, "") for name in columns] for row in layout.rows]
    return build_topology_from_rows(columns, cells, source=SOURCE)


def lay_out(answers: GuideAnswers) -> Layout:
    """Create the rows of the table from the answers, and collect problems and notes."""
    layout = Layout(answers=answers, patterns=_read_patterns(answers))
    urls = _make_simple_urls(answers)
    _reserve_names(layout, urls)
    _check_external_access(layout)
    pools = list(_plan_pools(layout))
    signs_in = [pool for pool in pools if pool.part.signs_in]
    signing_in = min(signs_in, key=lambda pool: pool.part.signs_in, default=None)
    first: dict[str, dict[str, str]] = {}
    several: dict[str, Part] = {}
    for pool in pools:
        rows = _make_rows(pool, layout)
        word = pool.part.word
        _fill_cells(pool, layout, rows[0], is_first=word not in first)
        if first.setdefault(word, rows[0]) is not rows[0]:
            several[word] = pool.part
        if pool.part.all_sites and not pool.table_site:
            layout.remarks.append(
                f"{_get_row_name(rows[0])} serves all sites, so its site column is blank."
            )
        if pool is signing_in:
            rows[0]["autologon"] = "true"
            layout.remarks.append(f"Clients sign in automatically to {_get_row_name(rows[0])}.")
        layout.rows += rows
    for word, part in several.items():
        _add_note_about_first_pool(part, first[word], layout)
    if layout.rows:
        layout.rows[0].update(urls, sip_domains=answers.text("sip_domains"))
    else:
        layout.problems.append(
            LayoutProblem(
                site="",
                key="product",
                message=f"the guide does not support {answers.rules.title} servers",
                hint="enter the servers in a table instead: lyncnb template TABLE.xlsx",
            )
        )
    _note_long_names(layout)
    return layout


def _read_patterns(answers: GuideAnswers) -> dict[str, Mapping[str, str]]:
    return {
        answer.question.key: read_pattern(
            answers.text(answer.question.key),
            placeholders=answer.question.knows,
            kinds=list_pattern_kinds(answer.question),
            default=answer.default,
        )
        for answer in answers.questions
        if answer.question.kind == "pattern"
    }


def _make_simple_urls(answers: GuideAnswers) -> dict[str, str]:
    domains = _convert_to_texts(answers.value("sip_domains"))
    first = domains[0]
    if answers.value("simple_urls") == "hosts":
        return {
            "meet_urls": ";".join(f"https://meet.{domain}" for domain in domains),
            "dialin_url": f"https://dialin.{first}",
            "admin_url": f"https://admin.{first}",
        }
    host = f"https://{answers.text('simple_url_host')}.{first}"
    return {
        "meet_urls": ";".join(f"{host}/{domain}/meet" for domain in domains),
        "dialin_url": f"{host}/dialin",
        "admin_url": f"{host}/admin",
    }


def _reserve_names(layout: Layout, urls: Mapping[str, str]) -> None:
    """Reserve the names that clients derive automatically, and the names in simple URLs."""
    for domain in _convert_to_texts(layout.answers.value("sip_domains")):
        layout.names[f"lyncdiscover.{domain}"] = "a name that clients create from the SIP domain"
        layout.names[f"lyncdiscoverinternal.{domain}"] = (
            "a name that clients create from the SIP domain"
        )
        layout.names[domain] = "a SIP domain"
    for text in urls.values():
        for url in text.split(";"):
            layout.names[url.removeprefix("https://").partition("/")[0]] = (
                "the host name in a simple URL"
            )


def _check_external_access(layout: Layout) -> None:
    answers = layout.answers
    edge_answers = [answer for answer in answers.questions if answer.question.key == "edge_servers"]
    if edge_answers and not answers.is_yes("edge_servers"):
        question_key = next(key for key in read_interview().outside if answers.is_yes(key))
        layout.problems.append(
            LayoutProblem(
                site=edge_answers[0].site,
                key="edge_servers",
                message=f"no site has an Edge Server, but the answer to {question_key} is yes",
                hint="add an Edge Server to a site, or answer no to the questions about "
                "external access",
            )
        )


def _list_sites_with_pools(layout: Layout) -> Iterator[tuple[str, Part, Value]]:
    for site in layout.answers.sites:
        for part in read_interview().part:
            value = layout.answers.value(part.count, site)
            if value is not None and is_yes(value):
                yield site, part, value


def _plan_pools(layout: Layout) -> Iterator[_Pool]:
    answers = layout.answers
    branches = [
        str(name)
        for _, _, value in _list_sites_with_pools(layout)
        if isinstance(value, tuple)
        for name in value
        if isinstance(name, str)
    ]
    _check_branches(layout, branches)
    codes = make_short_names(list(dict.fromkeys([*answers.sites, *branches])))
    serving_all = _map_shared_pools_to_sites(answers)
    for site, part, value in _list_sites_with_pools(layout):
        code = answers.text("code", site)
        if isinstance(value, tuple) and isinstance(value[0], str):
            for name in map(str, value):
                yield _Pool(
                    part=part, site=site, table_site=name, code=codes[name],
                    numbers=(1,), k="", is_named=False,
                )  # fmt: skip
            continue
        sizes = [int(size) for size in (value if isinstance(value, tuple) else (value,))]
        if part.pool == "never":
            sizes = [1] * sizes[0]
        first_number = 1
        for number, size in enumerate(sizes, 1):
            yield _Pool(
                part=part,
                site=site,
                table_site="" if serving_all.get(part.count) == site else site,
                code=code,
                numbers=range(first_number, first_number + size),
                k=number if len(sizes) > 1 else "",
                is_named=part.pool == "always" or (part.pool == "several" and size > 1),
            )
            first_number += size


def _check_branches(layout: Layout, branches: Sequence[str]) -> None:
    """Report a branch site that has the same name as another site."""
    seen = {site.casefold() for site in layout.answers.sites}
    for name in branches:
        if name.casefold() in seen:
            site, key = next(
                (site, part.count)
                for site, part, value in reversed(list(_list_sites_with_pools(layout)))
                if isinstance(value, tuple) and name in value
            )
            layout.problems.append(
                LayoutProblem(
                    site=site,
                    key=key,
                    message=f'two sites have the name "{name}"',
                    hint="use a different name for each branch site",
                )
            )
        seen.add(name.casefold())


def _map_shared_pools_to_sites(answers: GuideAnswers) -> dict[str, str]:
    """For each kind of server that has one pool for all sites, return the site of that pool.

    This pool serves all sites, so its rows have no site.
    """
    site_by_part = {}
    for part in read_interview().part:
        having = [site for site in answers.sites if is_yes(answers.value(part.count, site))]
        if part.all_sites and 0 < len(having) < len(answers.sites):
            site_by_part[part.count] = having[0]
    return site_by_part


def _make_rows(pool: _Pool, layout: Layout) -> list[dict[str, str]]:
    answers = layout.answers
    part = pool.part
    site = pool.table_site or pool.site
    values: dict[str, object] = {"site": pool.code, "role": part.word, "k": pool.k}
    rows = []
    for number in pool.numbers:
        server = _make_name(
            layout, "server_names", part.word, {**values, "n": number},
            domain=answers.text("internal_domain"), owner=f"{part.word} {number} in {site}",
        )  # fmt: skip
        rows.append({"server_fqdn": server, "role": part.role, "site": pool.table_site})
        rows[-1]["target_os"] = answers.text("target_os")
    if pool.is_named:
        name = _make_name(
            layout, "pool_names", part.word, values,
            domain=answers.text("internal_domain"), owner=f"the {part.word} pool in {site}",
        )  # fmt: skip
        for row in rows:
            row["pool_fqdn"] = name
    return rows


def _fill_cells(pool: _Pool, layout: Layout, row: dict[str, str], *, is_first: bool) -> None:
    answers, part = layout.answers, pool.part
    values: dict[str, object] = {"site": pool.code, "k": pool.k}
    names = [(column, word, "external_domain") for column, word in part.service.items()]
    if len(pool.numbers) > 1:
        names += [
            (column, word, "internal_domain") for column, word in part.internal_service.items()
        ]
    for column, word, domain in names:
        if column in part.service_if and not answers.is_yes(part.service_if[column]):
            continue
        row[column] = _make_name(
            layout, "service_names", word, {**values, "service": word},
            domain=answers.text(domain), owner=f"{word} of {part.word} in {pool.site}",
        )  # fmt: skip
    known = answers.rules.pool_columns
    for cell in part.cell:
        if cell.column not in known or (cell.if_any and not any(map(answers.is_yes, cell.if_any))):
            continue
        if cell.true_if:
            is_true = any(map(answers.is_yes, cell.true_if)) and (is_first or not cell.first_only)
            row[cell.column] = "true" if is_true else "false"
        elif is_first or not cell.first_only:
            row[cell.column] = format_answer(answers.value(cell.answer) or "")


def _make_name(
    layout: Layout,
    key: str,
    kind: str,
    values: Mapping[str, object],
    *,
    domain: str,
    owner: str,
) -> str:
    """Create a name from the user's pattern. Report a name that is invalid or already used."""
    label = fill_pattern(layout.patterns[key], kind, values)
    name = f"{label}.{domain}"
    other_owner = layout.names.get(name)
    if not LABEL.match(label):
        message, hint = (
            f'"{label}" is not valid in a host name',
            "use at most 63 letters, digits and hyphens",
        )
    elif len(name) > LONGEST_NAME:
        message = f"{name} has {len(name)} characters"
        hint = (
            "use a shorter pattern or shorter names, because a subject name can have at "
            f"most {LONGEST_NAME} characters"
        )
    elif other_owner is not None:
        message = f"{name} would be the name of both {other_owner} and {owner}"
        hint = (
            "add a placeholder such as {site}, {role}, {service}, {n} or {k} to the pattern. "
            "You can also use a separate pattern for one kind of server or service: "
        )
        hint += f"{kind}=…;{layout.answers.text(key)}"
    elif (
        key != "service_names"
        and label == "sip"
        and domain in _convert_to_texts(layout.answers.value("sip_domains"))
    ):
        message = f"clients use the name {name} to sign in"
        hint = "choose a different name for the server"
    else:
        layout.names[name] = owner
        return name
    if not any(problem.key == key for problem in layout.problems):
        # Only the first problem with a pattern is reported.
        layout.problems.append(LayoutProblem(site="", key=key, message=message, hint=hint))
    return name


def _get_row_name(row: Mapping[str, str]) -> str:
    return row.get("pool_fqdn") or row["server_fqdn"]


def _add_note_about_first_pool(server_kind: Part, row: Mapping[str, str], layout: Layout) -> None:
    """Add a note that only the first pool of this role provides a function."""
    values = [row.get(cell.column) for cell in server_kind.cell if cell.first_only]
    if server_kind.first_takes and any(value not in (None, "", "false") for value in values):
        layout.remarks.append(
            f"Only one {server_kind.role} pool, "
            f"{_get_row_name(row)}, provides this function: "
            f"{server_kind.first_takes}."
        )


def _note_long_names(layout: Layout) -> None:
    long = [
        row["server_fqdn"]
        for row in layout.rows
        if len(row["server_fqdn"].partition(".")[0]) > _NETBIOS
    ]
    if long:
        names = f"{long[0]} and {len(long) - 1:,} more" if len(long) > 1 else long[0]
        layout.remarks.append(
            (
                f"Windows shortens the NetBIOS name of {names}, because the server's name has more "
                f"than {_NETBIOS} characters before the first dot."
            )
            if len(long) == 1
            else (
                f"Windows shortens the NetBIOS names of {names}, because these servers' names "
                f"have more than {_NETBIOS} characters before the first dot."
            )
        )


def _convert_to_texts(value: Value | None) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else ()
