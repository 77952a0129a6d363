"""The guide creates server tables from fixed, random, and contradictory answers."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
from pathlib import Path

import pytest
from growth import find_superlinear_size
from places import REPOSITORY

import lyncnb as ln
from lyncnb.errors import AnswersError
from lyncnb.guide.answer_values import read_answer
from lyncnb.guide.answers import make_short_names, walk_questions
from lyncnb.guide.lay_out import guided_topology, lay_out
from lyncnb.guide.questions import read_interview
from lyncnb.rules import rule_files
from lyncnb.rules.rule_files import list_products
from lyncnb.topology import columns

INTERVIEWS = sorted((Path(__file__).parent / "interviews").glob("*.toml"))

# CI uses a tenth of the random answers. A full test sets LYNCNB_INTERVIEWS=1000.
RANDOM = int(os.environ.get("LYNCNB_INTERVIEWS", "100"))

SMALL = {"sip_domains": "contoso.com", "site": [{"name": "Taipei"}]}


def answers(**overrides):
    """Return the guide's answers for a small deployment. The arguments override or add answers."""
    site = {"name": "Taipei"} | overrides.pop("of_site", {})
    return ln.GuideAnswers.of({"sip_domains": "contoso.com"} | overrides | {"site": [site]})


@pytest.mark.parametrize("path", INTERVIEWS, ids=lambda path: path.stem)
def test_answers_result_in_the_expected_table(path, request):
    """The answers of each sample result in the expected table. With `--refresh`, the expected table
    is written again for review.
    """
    first = ln.guided_plan(ln.GuideAnswers.from_toml(path))
    table, golden = first.topology.to_csv(), path.with_suffix(".csv")
    if request.config.getoption("--refresh"):
        golden.write_bytes(table)
    assert table == golden.read_bytes()
    assert not [finding for finding in first.findings if finding.severity != "notice"]


def test_answers_are_read_back_unchanged():
    """When answers are written to guide.toml and read again, the answers, the table, and the Python
    code are the same.
    """
    for path in INTERVIEWS:
        guide_answers = ln.GuideAnswers.from_toml(path)
        reread = ln.GuideAnswers.from_toml(guide_answers.to_toml().encode())
        assert (reread, reread.to_toml()) == (guide_answers, guide_answers.to_toml())
        namespace = {}
        exec(ln.guided_plan(guide_answers).python, namespace)
        assert namespace["topology"] == guided_topology(guide_answers)
        assert namespace["answers"] == guide_answers


def random_text(question, chance, site):
    """Return a random valid answer to a question of the guide. A blank answer means the default."""
    domains = ["contoso.com", "fabrikam.com", "litwareinc.com", "asia.contoso.com"]
    patterns = {
        "server_names": ["srv-{site}-{role}-{n:03}", "fe={site}lync{n};{site}{role}x{n}x{k}"],
        "pool_names": ["p{k}{role}{site}", "{site}-{role}-pool-{k:02}"],
        "service_names": ["{site}{service}{k}", "access=sip{k}-{site};x-{service}{k}-{site}"],
    }
    names = {"sites": ["Taipei", "Tainan", "London", "台北", "New York"]}
    makers = {
        "choice": lambda: chance.choice([*question.choices]),
        "product": lambda: chance.choice(list_products()),
        "target_os": lambda: chance.choice(["2012R2", "2016", "2019", "2022"]),
        "yes_no": lambda: chance.choice(["yes", "no"]),
        "number": lambda: str(question.least + chance.choice([0, 0, 1, 2, 3])),
        "sizes": lambda: ";".join(str(chance.randint(1, 4)) for _ in range(chance.randint(1, 3))),
        "domain": lambda: chance.choice(
            [*domains, *([] if question.public else ["contoso.local"])]
        ),
        "domains": lambda: ";".join(chance.sample(domains, chance.randint(1, 4))),
        "names": lambda: ";".join(
            chance.sample(names["sites"], chance.randint(1, 4))
            if question.key == "sites"
            else [f"{n} {site} {question.key}" for n in ("Shop", "Plant")[: chance.randint(0, 2)]]
        ),
        "label": lambda: "",
        "pattern": lambda: chance.choice(["", *patterns.get(question.key, [])]),
    }
    return makers[question.kind]()


def random_interview(chance):
    """Return random answers to every question that the guide asks."""
    texts = {}
    while True:
        walked = walk_questions(texts)
        unanswered = [answer for answer in walked if answer.place not in texts]
        if not unanswered:
            assert not [answer for answer in walked if answer.problem]
            return ln.GuideAnswers(questions=walked)
        for answer in unanswered:
            is_any = chance.random() < 0.6 or not answer.question.default
            texts[answer.place] = (
                random_text(answer.question, chance, answer.site) if is_any else ""
            )


def test_any_valid_answers_are_planned_without_errors():
    """Whatever valid answers a user gives, the resulting table can be read back and is planned
    without an error or warning.
    """
    laid_out = 0
    for seed in range(RANDOM):
        guide_answers = random_interview(random.Random(seed))
        problems = lay_out(guide_answers).problems
        # Valid answers of a random interview can cause only one problem: a missing Edge Server.
        if problems:
            assert "no site has an Edge Server" in problems[0].message, (seed, problems)
            continue
        first = ln.guided_plan(guide_answers)
        wrong = [str(finding) for finding in first.findings if finding.severity != "notice"]
        assert not wrong, (seed, wrong)
        assert ln.read_topology(first.topology.to_csv()) == first.topology, seed
        laid_out += 1
    assert laid_out > RANDOM * 0.7


def test_every_answer_is_used():
    """If the answer to a question of the guide changes, the table or its rules change."""
    chance = random.Random(1)
    unused = {question.key for question in read_interview().question}
    base = {"sip_domains": "contoso.com;fabrikam.com", "product": "sfb2015", "xmpp": "yes"}
    for overrides in ({}, {"hybrid": "yes"}, {"simple_urls": "one-host"}, {"product": "lync2013"}):
        texts = {("", key): text for key, text in (base | overrides).items()} | {
            ("", "sites"): "Main"
        }
        texts |= {("Main", "edition"): "both", ("Main", "directors"): "1"}
        was = ln.GuideAnswers(questions=walk_questions(texts))
        for answer in was.questions:
            for _ in range(6 if answer.question.key in unused else 0):
                text = random_text(answer.question, chance, answer.site) or "other"
                now = ln.GuideAnswers(questions=walk_questions(texts | {answer.place: text}))
                if any(reply.problem for reply in now.questions) or lay_out(now).problems:
                    continue
                changed = lay_out(now).rows != lay_out(was).rows or now.options != was.options
                unused -= {answer.question.key} if changed else set()
    # The answer "code" belongs to one site, and no default naming pattern uses it.
    assert unused == {"code"}
    codes = [lay_out(answers(of_site={"code": c}, server_names="{site}{role}{n}")) for c in "ab"]
    assert codes[0].rows != codes[1].rows


def test_one_proxy_serves_all_sites():
    """If only some sites have a reverse proxy, one proxy publishes all sites. The Site cell of this
    proxy is blank in the table.
    """
    table = guided_topology(ln.GuideAnswers.from_toml(INTERVIEWS[2]))
    proxies = [pool.site for pool in table.pools if pool.role == "ReverseProxy"]
    assert INTERVIEWS[2].stem == "several-sites"
    assert proxies == [""]


def test_clients_sign_in_at_directors_or_the_first_pool():
    """Clients sign in to the Directors in any site or, if there are no Directors, to the first
    site's pool.
    """
    by_directors = guided_topology(ln.GuideAnswers.from_toml(INTERVIEWS[2]))
    assert [p.role for p in by_directors.pools if "autologon" in p.flags] == ["Director"]
    assert [p.fqdn for p in guided_topology(answers()).pools if "autologon" in p.flags] == [
        "fepool.contoso.com"
    ]


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        (
            {"server_names": "server"},
            'server_names: the pattern "server" creates the same name for all servers',
            "{role}, the kind",
        ),
        (
            {"server_names": "{rolle}{n}"},
            "server_names: there is no placeholder {rolle}",
            "use only these placeholders",
        ),
        (
            {"server_names": "{role}_{n}"},
            'server_names: "_" contains a character',
            "letters a to z",
        ),
        (
            {"server_names": "{role}{n:>4}"},
            "the format of the placeholder {n} is not valid",
            "{n:02}",
        ),
        ({"server_names": "{role"}, "has an unpaired brace", "use only these placeholders"),
        (
            {"server_names": "{n.__class__}"},
            "there is no placeholder {n.__class__}",
            "use only these placeholders",
        ),
        (
            {"server_names": "{role!r}{n}"},
            "the format of the placeholder {role} is not valid",
            "{n:02}",
        ),
        (
            {"server_names": "se1=a;b{n}"},
            '"se1" is not a known kind of server or service',
            "fe, se, dir",
        ),
        ({"server_names": "a{n};b{n}"}, "two patterns that apply to all", "KIND=PATTERN"),
        ({"pool_names": "{role}{n}"}, "pool_names: there is no placeholder {n}", "{k}, the number"),
        ({"sip_domains": "con toso"}, '"con" is not a fully', "enter the complete name"),
        ({"sip_domains": "contoso.local"}, "not a domain that you can register", "public domain"),
        (
            {"sip_domains": "contoso.onion"},
            "is in the zone onion: a name is in a special-use domain",
            "that you own",
        ),
        ({"sip_domains": "c_o.com"}, "contains an underscore", "reject"),
        (
            {"sip_domains": "x.onmicrosoft.com"},
            "is in the domain onmicrosoft.com",
            "remove the name",
        ),
        ({"sip_domains": f"{'a' * 60}.example.com"}, "has 72 characters", "at most 64"),
        ({"sip_domains": ""}, "the answer is missing", "semicolon"),
        ({"federation": "perhaps"}, "neither yes nor no", "yes or no"),
        ({"federation": 3.5}, "'federation' is 3.5, which is not a valid answer", "Partners"),
        ({"product": "lync2010"}, 'no rules for the product "lync2010"', "lync2013"),
        ({"target_os": "2030"}, '"2030" is not one of the choices', "2012R2"),
        ({"simple_urls": "none"}, '"none" is not one of the choices', "hosts, one-host"),
        ({"federations": True}, "Unknown key: 'federations'", "did you mean federation"),
        (
            {"tenant_sip_domains": "contoso.com"},
            "the guide does not ask this question, because of your other answers",
            "remove this answer",
        ),
        ({"of_site": {"directors": -1}}, '"-1" is not a number', "0 or more"),
        ({"of_site": {"directors": 100}}, "100 is not between 0 and 99", "later"),
        (
            {"of_site": {"front_end_pools": [3, 0]}},
            "0 is not between 1 and 99",
            "Enter a number for",
        ),
        ({"of_site": {"code": "台"}}, "is not valid in a host name", "letters a to z"),
        ({"of_site": {"drectors": 1}}, "Unknown key: 'site[0].drectors'", "mean directors"),
        (
            {"of_site": {"branch_servers": ["A", "a"]}},
            "differ only in capitalization",
            "use a different name",
        ),
        ({"of_site": {"branch_servers": ["=A"]}}, '"=A" is not a valid name', "Taipei"),
        ({"of_site": {"name": ""}}, "'site[0].name' is missing", 'name = "Taipei"'),
        (
            {"of_site": {"video_interop_servers": 1}},
            "the guide does not ask this question, because of your other answers",
            "remove this answer",
        ),
    ],
)
def test_wrong_answer_is_reported_with_its_location(overrides, message, hint):
    """Each wrong answer is rejected before a table is created, and the error message gives its
    location and a hint.
    """
    with pytest.raises(AnswersError) as caught:
        answers(**overrides)
    problems = [(str(problem), problem.hint) for problem in caught.value.problems]
    assert [problem for problem in problems if message in problem[0] and hint in problem[1]], (
        problems
    )


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        ({"of_site": {"edge_servers": 0}}, "no site has an Edge Server, but the answer to remote", "answer no"),
        ({"server_names": "{site}-fe{n:02}"},
         "tai-fe01.contoso.com would be the name of both fe 1 in Taipei and edge 1 in Taipei", "edge=…;"),
        ({"pool_names": "{role}01"}, "fe01.contoso.com would be the name of both fe 1 in", "{k}"),
        ({"service_names": "access=web;{service}"}, "web.contoso.com would be the name of both web", "web"),
        ({"service_names": "web=meet;{service}"}, "both the host name in a simple URL and web of", "web="),
        ({"service_names": "web=lyncdiscover;{service}"}, "both a name that clients create from the SIP domain and", "web="),
        ({"server_names": "fe=sip;{role}{n}", "of_site": {"front_end_pools": [1]}},
         "sip.contoso.com to sign in", "a different name"),
        ({"server_names": "-{role}{n}"}, '"-fe1" is not valid in a host name', "digits"),
        ({"server_names": "{role}{n}-" + "x" * 60}, "is not valid in a host name", "at most 63"),
        ({"server_names": "{role}{n}-" + "x" * 50}, "fe1-", "at most 64"),
        ({"of_site": {"branch_servers": ["Taipei"]}}, 'two sites have the name "Taipei"', "different name"),
    ],
)  # fmt: skip
def test_answers_that_do_not_fit_together(overrides, message, hint):
    """If answers are valid individually but contradict each other, the error message names the
    location of each answer.
    """
    guide_answers = answers(**overrides)
    with pytest.raises(AnswersError, match="contradict each other") as caught:
        guided_topology(guide_answers)
    problems = [(problem.message, problem.hint) for problem in caught.value.problems]
    assert [problem for problem in problems if message in problem[0] and hint in problem[1]], (
        problems
    )


def test_all_wrong_answers_are_reported_at_once():
    """If a file of answers contains four mistakes, lyncnb reports four problems, each with the file
    name.
    """
    with pytest.raises(AnswersError, match="the answers: 4 answers are not valid") as caught:
        ln.GuideAnswers.from_toml(
            b'sip_domains = ["a b"]\nproduct = "x"\ncolour = 1\n[[site]]\nname = "A"\ncode = "-"\n'
        )
    assert {problem.file for problem in caught.value.problems} == {"the answers"}


def test_questions_depend_on_the_product():
    """The guide asks about Persistent Chat and XMPP only for products before 2019, and about video
    interoperability only from 2015 on.
    """
    keys_by_product = {
        product: {answer.question.key for answer in answers(product=product, hybrid=True).questions}
        for product in list_products()
    }
    assert keys_by_product["sfb2015"] - keys_by_product["lync2013"] == {"video_interop_servers"}
    assert keys_by_product["lync2013"] <= keys_by_product["sfb2015"]
    assert keys_by_product["sfb2015"] - keys_by_product["sfb2019"] == {
        "persistent_chat_servers",
        "xmpp",
    }
    assert keys_by_product["sfb2019"] == keys_by_product["sfbse"]


def test_short_names():
    """The short name of a site has three letters, or more if two sites begin with the same letters.
    A site without Latin letters gets a number.
    """
    short_names = make_short_names(
        ["Taipei", "Tainan", "Main", "台北", "Zürich", "New York", "Tai", "東京"]
    )
    assert short_names == {
        "Taipei": "tai", "Tainan": "tain", "Main": "main", "台北": "site4", "Zürich": "zur",
        "New York": "new", "Tai": "tai7", "東京": "site8",
    }  # fmt: skip


def test_questions_are_complete():
    """Every question of the guide has a text, a help text and a source, and every component has a
    role that server tables accept.
    """
    table = read_interview()
    from lyncnb.topology.columns import list_topology_columns, list_topology_roles

    roles = {role.id for role in list_topology_roles()}
    known = {column.name for column in list_topology_columns()}
    keys = [question.key for question in table.question]
    assert len({*keys}) == len(keys)
    assert {*table.outside} <= {*keys}
    for index, question in enumerate(table.question):
        conditions = {condition.partition("=")[0] for condition in question.if_any}
        assert conditions <= {*keys[:index]}, question.key
        assert question.words
        assert question.help.endswith((".", "}")), question.key
        assert question.source.startswith(("Microsoft, ", "Inferred: ", "Inferred from ")), (
            question.key
        )
        if question.default and "{" not in question.default:
            read_answer(question, question.default)
    assert len({part.word for part in table.part}) == len(table.part)
    for part in table.part:
        assert part.role in roles
        assert {part.count, *part.service_if.values()} <= {*keys}
        assert part.pool in ("always", "several", "never")
        assert {*part.service, *part.internal_service} <= known
        assert {cell.column for cell in part.cell} <= known
    for omission in table.left_out:
        assert omission.source.startswith("Microsoft, ")


def test_first_plan_is_written_completely_or_not_at_all(tmp_path):
    """The guide does not overwrite existing files unless they are identical, and leaves no new file
    after a failure.
    """
    first = ln.guided_plan(answers())
    folder = tmp_path / "new" / "plan"
    names = ["topology.csv", "plan.toml", "guide.toml"]
    assert [p.name for p in ln.write_first_plan(first, folder)] == names
    assert ln.read_topology(folder / "topology.csv") == first.topology
    assert ln.PlanOptions.from_toml(folder / "plan.toml") == first.plan.options
    ln.write_first_plan(first, folder)
    (folder / "topology.csv").write_text("tuned")
    with pytest.raises(
        ln.LyncnbError, match=r"topology\.csv already exists, so lyncnb did not change it"
    ):
        ln.write_first_plan(first, folder)
    assert (folder / "topology.csv").read_text() == "tuned"
    ln.write_first_plan(first, folder, force=True)
    assert ln.read_topology(folder / "topology.csv") == first.topology

    (tmp_path / "requests" / "keys").mkdir(parents=True)
    for path, message in (
        ("requests", "is a request folder"),
        ("requests/keys", "lyncnb's own files"),
    ):
        with pytest.raises(ln.LyncnbError, match=message):
            ln.write_first_plan(first, tmp_path / path, force=True)
    with pytest.raises(ln.LyncnbError, match=r"topology\.csv is not a folder"):
        ln.write_first_plan(first, folder / "topology.csv")

    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "guide.toml").mkdir()
    with pytest.raises(ln.LyncnbError, match="is a folder"):
        ln.write_first_plan(first, broken, force=True)
    assert [p.name for p in broken.iterdir()] == ["guide.toml"]


def test_incomplete_output_is_removed(tmp_path):
    """If the guide cannot write its last file, it removes or restores the first two files."""
    sites = [{"name": f"Site {n}"} for n in range(6)]
    guide_answers = ln.GuideAnswers.of({"sip_domains": "contoso.com", "site": sites})
    first, folder = ln.guided_plan(guide_answers), tmp_path / "plan"
    sizes = {name: len(data) for name, data in first.files().items()}
    assert max(sizes, key=sizes.__getitem__) == "guide.toml"
    folder.mkdir()
    (folder / "plan.toml").write_bytes(b"mine")
    (folder / "guide.toml").write_bytes(b"mine")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes["guide.toml"] - 1, old[1]))
    try:
        with pytest.raises(ln.LyncnbError):
            ln.write_first_plan(first, folder, force=True)
        with pytest.raises(ln.LyncnbError):
            ln.write_first_plan(first, tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    remaining = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert remaining == {"plan.toml": b"mine", "guide.toml": b"mine"}
    assert not (tmp_path / "new").exists()


@pytest.fixture
def _unload_custom_products(monkeypatch):
    """Unload custom products before and after each test."""
    monkeypatch.setattr(rule_files, "_custom_products", {})
    yield
    columns.restore_custom_columns({})


@pytest.mark.usefixtures("_unload_custom_products")
def test_path_of_a_custom_product(tmp_path, monkeypatch):
    """The path of a custom product is relative to the file of answers. If the answers are written
    to another folder, lyncnb adapts the path.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.toml").write_text(
        'product = "mine"\ntitle = "Mine 1"\nextends = "sfb2019"\n'
    )
    (tmp_path / "mine" / "given.toml").write_text(
        'product = "own.toml"\nsip_domains = "contoso.com"\n'
    )
    first = ln.guided_plan(ln.GuideAnswers.from_toml("mine/given.toml"))
    assert first.plan.rules.title == "Mine 1"
    ln.write_first_plan(first, "there/now")
    reread = ln.GuideAnswers.from_toml("there/now/guide.toml")
    assert 'product = "../../mine/own.toml"' in Path("there/now/guide.toml").read_text()
    assert 'product = "../../mine/own.toml"' in Path("there/now/plan.toml").read_text()
    assert guided_topology(reread) == first.topology
    beside = REPOSITORY / "tests" / "products" / "lighthouse.toml"
    with pytest.raises(AnswersError) as caught:
        guided_topology(answers(product=str(beside), remote_users="no"))
    assert "the guide does not support Lighthouse 7 servers" in str(caught.value)


def test_findings_of_one_kind_are_reported_once():
    """If the same warning applies to every name in a domain, it is reported once, with the number
    of names.
    """
    first = ln.guided_plan(answers(sip_domains="台北.tw"))
    (summary,) = first.summarized_findings
    assert len([finding for finding in first.findings if finding.severity == "warning"]) > 20
    assert summary.startswith("warning: ")
    assert re.search(r" \(\d+ findings\): .* and \d+ more \[[a-z-]+\]$", summary)
    assert ln.guided_plan(answers()).summarized_findings == ()


def test_values_without_a_question_are_shown():
    """The guide shows the values that it chose without a question: the sign-in pool, the reverse
    proxy, federation, and names that Windows shortens.
    """
    of_sites = ln.guided_plan(ln.GuideAnswers.from_toml(INTERVIEWS[2])).remarks
    assert of_sites == (
        "Clients sign in automatically to tai-dirpool.contoso.net.",
        "tai-rp01.contoso.net serves all sites, so its site column is blank.",
        "Only one Edge pool, tai-edgepool.contoso.net, provides this function: Federation.",
    )
    assert not any("Edge" in remark for remark in ln.guided_plan(answers(federation=True)).remarks)
    of_two = ln.GuideAnswers.of(
        {"sip_domains": "contoso.com", "site": [{"name": "A"}, {"name": "B", "edge_servers": 1}]}
    )
    assert not any("Edge" in remark for remark in ln.guided_plan(of_two).remarks)
    long = ln.guided_plan(answers(server_names="{role}-of-contoso{n:03}")).remarks
    assert long[-1].startswith(
        "Windows shortens the NetBIOS names of fe-of-contoso001.contoso.com and 4 more, because"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            '"Taipei;Tainan"',
            "'site[1].name' is \"Taipei;Tainan\", but a name cannot contain a separator",
        ),
        (
            '"Tai\\u202epei"',
            "'site[1].name' is not valid: \"Tai<U+202E>pei\" contains characters that change the reading",
        ),
        ('"New  York"', "'site[1].name' repeats \"New York\", the name of another site"),
        ('" , "', "'site[1].name' is not valid: the name is missing"),
        ("3", "'site[1].name' is 3"),
    ],
)
def test_spellings_of_a_site_are_the_same_site(name, message):
    """If the name of a site is invalid, or repeats the name of another site in a different
    spelling, the only error is about this name.
    """
    text = 'sip_domains = "contoso.com"\n[[site]]\nname = "New York"\n[[site]]\nname = '
    with pytest.raises(AnswersError) as caught:
        ln.GuideAnswers.from_toml(f"{text}{name}\nedge_servers = 2\n".encode())
    messages = [str(problem) for problem in caught.value.problems]
    assert len(messages) == 1
    assert message in messages[0]


def test_site_name_with_invisible_characters():
    """Answers for a site are found even if the pasted name of the site contains invisible
    characters.
    """
    text = 'sip_domains = "contoso.com"\n[[site]]\nname = " New\\u200b  York\\ufeff "\n'
    guide_answers = ln.GuideAnswers.from_toml(f"{text}edge_servers = 3\n".encode())
    assert (guide_answers.sites, guide_answers.value("edge_servers", "New York")) == (
        ("New York",),
        3,
    )


def test_endless_number_is_rejected():
    """A number with thousands of digits is rejected as an answer to the guide, and does not cause
    an exception.
    """
    for key in ("product", "target_os", "simple_urls"):
        with pytest.raises(AnswersError, match="is not one of the choices"):
            answers(**{key: "9" * 9000})


def test_many_sites_take_linear_time():
    """The time to read, create and plan a table doubles with twice as many sites."""

    def work(size):
        document = {"sip_domains": "contoso.com", "site": [{"name": f"S{i}"} for i in range(size)]}
        return lambda: guided_topology(ln.GuideAnswers.of(document))

    assert find_superlinear_size(work, size=50, most=800) is None
