"""The hosted CI runs the same script as developers, and every program that a commit hook runs
exists.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
import yaml
from places import REPOSITORY

WORKFLOWS = {path.stem: path for path in (REPOSITORY / ".github" / "workflows").glob("*.yml")}


def test_the_hosted_ci_runs_the_script_for_all_tests():
    """A workflow runs .ci/run at each push and pull request. The workflow has only read access to
    the repository.
    """
    events, job, commands = read_workflow("ci")
    assert set(events) == {"push", "pull_request"}
    assert "permissions" not in job
    assert commands[-1].split()[-1] == ".ci/run"


def test_a_tag_attaches_the_files_of_a_release():
    """A workflow runs .ci/release at each tag of a version, with the version of Python that the CI
    tests, and attaches what is in dist/. Only this workflow may write, and only releases.
    """
    events, job, commands = read_workflow("release")
    assert events == {"push": {"tags": ["v*"]}}
    assert job["permissions"] == {"contents": "write"}
    build, attach = commands
    _, tested, _ = read_workflow("ci")
    assert build.split()[-2:] == [tested["container"]["image"], ".ci/release"]
    assert attach.startswith('gh release create "$GITHUB_REF_NAME" dist/* --verify-tag')


def read_workflow(name):
    """Return the events, the only job and the commands of a workflow, which can only read."""
    workflow = yaml.safe_load(WORKFLOWS[name].read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    # In YAML 1.1, the key "on" is read as true.
    return workflow[True], job, [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS.values(), ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path):
    """Each action in a workflow is specified by the hash of a commit, with its version in a
    comment.
    """
    lines = re.findall(r"\buses: *(.+)$", path.read_text("utf-8"), re.M)
    assert lines
    pinned = re.compile(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")
    assert [line for line in lines if not pinned.fullmatch(line)] == []


def test_the_hooks_run_programs_that_exist():
    """Each commit hook runs a tool of the extra "test", or a script in the repository."""
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    programs = {hook["id"]: hook["entry"].split()[0] for hook in hooks}
    assert programs == {
        "ruff": ".venv/bin/ruff",
        "ruff-format": ".venv/bin/ruff",
        "commit-message": ".ci/commit-message",
    }
    assert os.access(REPOSITORY / ".ci" / "commit-message", os.X_OK)
    stages = {hook["id"]: hook.get("stages") for hook in hooks}
    assert stages["commit-message"] == ["commit-msg"]
    assert set(config["default_install_hook_types"]) == {"pre-commit", "commit-msg"}


BODY = "\n\nThe reason for the change."
MESSAGES = {
    "plan: a name for each pool" + BODY: "",
    "x" * 72 + BODY: "",
    "é" * 72 + BODY: "",
    "fixup! plan: a name for each pool": "",
    "x" * 73 + BODY: "The subject has 73 characters.",
    "plan: a name for each pool": "The message has no body.",
    "plan: a name for each pool\nThe reason.": "The second line is not blank.",
    "plan: a name\n\n# Only a comment": "The message has no body.",
}


@pytest.mark.posix
@pytest.mark.parametrize(("message", "problem"), MESSAGES.items())
def test_git_refuses_a_message_without_a_reason(tmp_path, message, problem):
    """With the script as a hook, git accepts a commit only if it has a short subject and a body."""
    environment = {
        **os.environ,
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Planner"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "planner@contoso.com"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }

    def git(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=tmp_path,
            env=environment,
            input=message,
            capture_output=True,
            text=True,
            check=check,
        )

    git("init", "-q")
    hook = tmp_path / ".git" / "hooks" / "commit-msg"
    hook.parent.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / ".ci" / "commit-message", hook)
    completed = git("commit", "--allow-empty", "--cleanup=strip", "-F", "-", check=False)
    assert problem in completed.stderr
    assert (completed.returncode == 0) == (problem == "")
