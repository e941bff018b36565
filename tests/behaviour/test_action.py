"""The Action: `fixwright action` on the events of jobs, and the steps of action.yml run as the runner runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.cli.action import environment_of, judge, read_job, workflow_commands
from bot.cli.processes import alone
from bot.settings import engines_dir, read_settings
from pipeline.errors import NotConfigured, UsageError
from pipeline.escaping import escape
from pipeline.model.report import Annotation, Check
from pipeline.store.deliveries import COMMAND_SECONDS
from providers.github.client import close_line
from tests.behaviour.doors import JOB, KEY, OLD, change, shop, with_instant_engines
from tests.engines import needs_engines
from tests.stages.github import app_key
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld

ROOT = Path(__file__).parents[2]
READ = dict.fromkeys(JOB, "read")
"""What the token of a fork's pull request may do."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GithubWorld]:
    made = GithubWorld(tmp_path / "github", private_key_pem=app_key())
    made.serve()
    yield made
    made.stop()
    assert made.violations == []


class Runner:
    """A job as GitHub starts one: its environment, its event, what it leaves behind."""

    def __init__(self, world: GithubWorld, repository: Repository, folder: Path, permissions: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.summary = folder / "summary.md"
        self._event = folder / "event.json"
        self.environment = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": repository.full_name,
            "GITHUB_API_URL": world.api_url,
            "GITHUB_EVENT_PATH": str(self._event),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_ENV": str(folder / "env"),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_TOKEN": world.job_token(repository, **(permissions or JOB)),
            "FIXWRIGHT_SECRET_KEY": KEY,
            "FIXWRIGHT_ENGINES_DIR": str(engines_dir()),
            "FIXWRIGHT_RETRY_CAP": "0.1",
        }

    def event(self, name: str, payload: object) -> dict[str, str]:
        """The environment of a job for this event."""
        self._event.write_text(json.dumps(payload), "utf-8")
        return {**self.environment, "GITHUB_EVENT_NAME": name}

    def run(self, name: str, payload: object) -> int:
        """`fixwright action` in this process, with instant engines; the exit code."""
        environment = self.event(name, payload)
        with alone(read_settings(environment_of(environment))) as app:
            try:
                return judge(with_instant_engines(app), read_job(environment), threading.Event())
            finally:
                close_line()

    def said(self) -> str:
        """The job summary."""
        return self.summary.read_text("utf-8") if self.summary.exists() else ""


def opened(pull: PullRequest) -> dict[str, Any]:
    """The event of an opened pull request, as far as anybody looks at it."""
    return {"action": "opened", "pull_request": {"number": pull.number, "title": "`; rm -rf /; ${{ github.token }}"}}


def test_a_pull_request_is_judged_as_by_the_app_and_the_exit_code_says_the_verdict(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    bad, good = change(world, repository, {"c.txt": "BAD new\n"}), change(world, repository, {"d.txt": "fine\n"}, "second")
    runner = Runner(world, repository, tmp_path / "job")
    assert runner.run("pull_request", opened(bad)) == 1
    (run,) = world.checks(repository, bad.head_sha)
    assert (run.conclusion, len(bad.review_comments)) == ("failure", 1)
    assert run.summary is not None
    assert run.title is not None
    assert escape(run.title) in runner.said()
    assert run.summary.splitlines()[0] in runner.said()
    assert Runner(world, repository, tmp_path / "second").run("pull_request", opened(good)) == 0
    (run,) = world.checks(repository, good.head_sha)
    assert run.conclusion == "success"


def test_a_forks_read_only_token_puts_it_into_the_summary_and_the_log(
    world: GithubWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = shop(world, private=False)
    fork = world.fork(repository, "mallory")
    world.commit(fork, "theirs", {"c.txt": "BAD new\n"}, author="mallory")
    pull = world.open_pull_request("mallory", repository, "theirs", "main", "From afar", fork=fork)
    runner = Runner(world, repository, tmp_path / "job", READ)
    assert runner.run("pull_request", opened(pull)) == 1
    assert (world.checks(repository), pull.comments, pull.review_comments) == ([], [], [])
    assert "may only read" in runner.said()
    assert "c.txt:1" in runner.said()
    commands = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]
    assert len(commands) == 1
    assert commands[0].startswith("::error file=c.txt,line=1,endLine=1,")


def test_every_push_of_a_pull_request_is_a_fresh_job_that_doubles_nothing_and_resolves_what_is_gone(
    world: GithubWorld, tmp_path: Path
) -> None:
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    for number in range(2):
        assert Runner(world, repository, tmp_path / f"job{number}").run("pull_request", opened(pull)) == 1
    assert len(pull.review_comments) == 1
    assert len(world.notifying_calls(pull)) == 1
    world.commit(repository, "feature", {"c.txt": "fine\n"})
    # Resolving asks for `contents: write` too, which no job should have: the text says at least that it is gone.
    assert Runner(world, repository, tmp_path / "after").run("pull_request", opened(pull)) == 0
    assert len(pull.review_comments) == 1


def test_a_merge_queues_commit_gets_the_same_check(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    base = repository.git.branch("main")
    queue = "gh-readonly-queue/main/pr-1"
    world.reset_branch(repository, queue, pull.head_sha)
    group = {"head_sha": pull.head_sha, "base_sha": base, "base_ref": "refs/heads/main", "head_ref": f"refs/heads/{queue}"}
    runner = Runner(world, repository, tmp_path / "job")
    assert runner.run("merge_group", {"action": "checks_requested", "merge_group": group}) == 1
    (run,) = world.checks(repository, pull.head_sha)
    assert (run.name, run.conclusion) == ("Fixwright", "failure")


def test_a_push_to_a_private_default_branch_is_judged_and_of_a_public_one_nothing_is_told(
    world: GithubWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, private in (("private", True), ("public", False)):
        repository = world.create_repository("octo", name, private=private, files=OLD, install=False)
        world.set_permission("ada", repository, "write")
        before = repository.git.branch("main")
        after = world.commit(repository, "main", {"c.txt": "BAD new\n"})
        runner = Runner(world, repository, tmp_path / name)
        code = runner.run("push", {"ref": "refs/heads/main", "before": before, "after": after})
        assert (code, bool(world.checks(repository, after)), bool(runner.said())) == ((1, True, True) if private else (0, False, False))
        shown = capsys.readouterr()
        assert private or "c.txt" not in shown.out + shown.err


def test_a_command_is_carried_out_in_the_job_of_its_comment(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    Runner(world, repository, tmp_path / "first").run("pull_request", opened(pull))
    first = pull.review_comments[0]
    for number, (who, text, answers) in enumerate([("ada", "/fix", 1), ("ada", "just talk", 1), ("eve", "/fix", 2)]):
        made = world.reply_in_thread(who, first.id, text)
        comment = world.github.shapes.review_comment(made)
        payload = {"action": "created", "comment": comment, "pull_request": {"number": pull.number}}
        assert Runner(world, repository, tmp_path / f"comment{number}").run("pull_request_review_comment", payload) == 0
        ours = [c for c in pull.review_comments if c.user.type == "Bot" and c.reply_to is not None]
        assert len(ours) == answers
    assert "permission" in ours[-1].body


@pytest.mark.parametrize(("age", "answers"), [(COMMAND_SECONDS - 3600, 2), (COMMAND_SECONDS + 3600, 0)])
def test_a_job_that_is_run_again_does_no_old_command(world: GithubWorld, tmp_path: Path, age: float, answers: int) -> None:
    """It gets the event of then, and a database that has not seen it: a young one is done each time, as the documents say."""
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    Runner(world, repository, tmp_path / "first").run("pull_request", opened(pull))
    world.advance(-age)
    made = world.reply_in_thread("ada", pull.review_comments[0].id, "/fix")
    world.advance(age)
    payload = {"action": "created", "comment": world.github.shapes.review_comment(made), "pull_request": {"number": pull.number}}
    for number in range(2):
        assert Runner(world, repository, tmp_path / f"again{number}").run("pull_request_review_comment", payload) == 0
    assert len([said for said in pull.review_comments if said.user.type == "Bot" and said.reply_to is not None]) == answers


@pytest.mark.parametrize("when", [None, "", "yesterday", "2026-01-15T12:00:00"])
def test_a_comment_whose_age_the_event_does_not_say_is_no_event(world: GithubWorld, tmp_path: Path, when: str | None) -> None:
    comment = {"id": 1, "body": "/fix", "user": {"id": 1, "login": "ada"}, **({} if when is None else {"created_at": when})}
    payload = {"action": "created", "comment": comment, "issue": {"number": 1, "pull_request": {}}}
    with pytest.raises(UsageError, match="cannot be read"):
        Runner(world, shop(world), tmp_path / "job").run("issue_comment", payload)


@pytest.mark.parametrize("action", ["edited", "deleted"])
def test_only_a_new_comment_is_a_command(world: GithubWorld, tmp_path: Path, action: str) -> None:
    """A workflow that names no types is started by these too; who edited a comment need not be who wrote it."""
    repository = shop(world)
    pull = change(world, repository, {"c.txt": "BAD new\n"})
    comment = world.github.shapes.issue_comment(world.comment("ada", pull, "/fix"))
    payload = {"action": action, "comment": comment, "issue": {"number": pull.number, "pull_request": {}}}
    assert Runner(world, repository, tmp_path / "job").run("issue_comment", payload) == 0
    assert [said.user.type for said in pull.comments] == ["User"]
    assert world.checks(repository, pull.head_sha) == []


@pytest.mark.parametrize(
    ("event", "payload", "words"),
    [
        ("pull_request_target", {"pull_request": {"number": 1}}, "neither"),
        ("release", {}, "none that Fixwright judges"),
        ("pull_request", {"pull_request": {"number": "$(id)"}}, "cannot be read"),
        ("pull_request", [], "cannot be read"),
    ],
)
def test_an_event_that_is_none_of_ours_is_a_usage_error(
    world: GithubWorld, tmp_path: Path, event: str, payload: object, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Runner(world, shop(world), tmp_path / "job").run(event, payload)


def test_outside_of_a_job_the_command_says_what_to_use_instead() -> None:
    with pytest.raises(NotConfigured) as refused:
        read_job({})
    assert "fixwright watch" in refused.value.hint


def test_what_a_repository_wrote_cannot_end_a_workflow_command_or_begin_one() -> None:
    note = Annotation("a,b:c\n::add-mask::x.py", 3, 4, "failure", "t::title,\r\n", "100%\n::set-env name=PATH::/evil")
    (line,) = workflow_commands(Check("k", "t", "s", annotations=(note,)))
    assert "\n" not in line
    assert "\r" not in line
    assert line == (
        "::error file=a%2Cb%3Ac%0A%3A%3Aadd-mask%3A%3Ax.py,line=3,endLine=4,title=t%3A%3Atitle%2C%0D%0A"
        "::100%25%0A::set-env name=PATH::/evil"
    )


def test_no_more_annotations_than_the_runner_shows() -> None:
    notes = tuple(Annotation("a.py", n, n, "failure" if n % 2 else "warning", "t", "m") for n in range(1, 100))
    lines = workflow_commands(Check("k", "t", "s", annotations=notes))
    assert [sum(line.startswith(f"::{word} ") for line in lines) for word in ("error", "warning")] == [10, 10]


# --- action.yml itself ----------------------------------------------------------------------------------------------------------------


def action() -> dict[str, Any]:
    """The file, parsed."""
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    return parsed


def test_action_yml_has_only_keys_that_github_knows_and_uses_no_other_action() -> None:
    parsed = action()
    assert set(parsed) == {"name", "description", "inputs", "runs"}
    assert set(parsed["runs"]) == {"using", "steps"}
    assert parsed["runs"]["using"] == "composite"
    for step in parsed["runs"]["steps"]:
        assert set(step) <= {"name", "id", "shell", "env", "run", "if", "working-directory"}
        assert step["shell"] == "bash"
    for name, given in parsed["inputs"].items():
        assert re.fullmatch(r"[a-z][a-z-]*", name)
        assert set(given) == {"description", "required", "default"}
        assert given["description"]


def test_nothing_is_put_into_a_script_but_through_the_environment() -> None:
    for step in action()["runs"]["steps"]:
        assert "${{" not in step["run"]
        for value in step["env"].values():
            assert re.fullmatch(r"\$\{\{ (?:github\.action_path|inputs\.[a-z-]+) \}\}", value)
    text = (ROOT / "action.yml").read_text("utf-8")
    assert "github.event" not in text
    used = set(re.findall(r"inputs\.([a-z-]+)", text))
    assert used == set(action()["inputs"])


FAKE_PYTHON = """#!/bin/bash
# Stands for python and for pip: makes the folder of a venv, writes down what is installed.
echo "$PWD: $*" >>"$RECORD"
if [ "$2" = venv ]; then
  mkdir -p "$3/bin"
  cp "$0" "$3/bin/python"
  printf '#!/bin/bash\\nexec "%s" -m bot.cli "$@"\\n' "$REAL_PYTHON" >"$3/bin/fixwright"
  chmod +x "$3/bin/python" "$3/bin/fixwright"
fi
for file in "$@"; do case "$file" in *.txt) [ -s "$file" ] || exit 9;; esac; done
"""


def resolved(step: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, str]:
    """The `env` of a step as the runner resolves it."""
    values = {f"inputs.{name}": value for name, value in inputs.items()} | {"github.action_path": str(ROOT)}
    return {name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: values[found[1]], text) for name, text in step["env"].items()}


@needs_engines
def test_the_steps_of_action_yml_judge_a_pull_request_with_the_real_engines(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    key = "AKIA" + "Z7VRSQ5TJN2XMPLK"
    pull = change(world, repository, {"c.py": f'import boto3\nclient = boto3.client("s3", aws_access_key_id="{key}")\n'})
    runner = Runner(world, repository, tmp_path / "job")
    python = tmp_path / "python"
    python.write_text(FAKE_PYTHON, "utf-8")
    python.chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RECORD": str(tmp_path / "record"),
        "REAL_PYTHON": sys.executable,
        **runner.event("pull_request", opened(pull)),
    }
    token = environment.pop("GITHUB_TOKEN")  # it reaches the step as an input alone
    inputs = {"token": token, "python": str(python), "folder": str(tmp_path / "kept"), "log-level": "warning"}
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "engines").symlink_to(engines_dir())  # they are installed already
    codes = []
    for step in action()["runs"]["steps"]:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            env={**environment, **resolved(step, inputs)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
        )
        codes.append(done.returncode)
        assert token not in done.stdout + done.stderr
        for line in (runner.folder / "env").read_text("utf-8").splitlines():
            name, _, value = line.partition("=")
            environment[name] = value
    assert codes == [0, 1], done.stderr
    installed = (tmp_path / "record").read_text("utf-8").splitlines()
    assert [line.partition(": ")[2] for line in installed if " pip " in line] == [
        "-m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt",
        "-m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.txt",
        "-m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .",
    ]
    assert {line.partition(": ")[0] for line in installed} == {str(ROOT)}
    (run,) = world.checks(repository, pull.head_sha)
    assert run.conclusion == "failure"
    assert key not in runner.said() + (run.summary or "")
    assert "c.py:2" in runner.said()
