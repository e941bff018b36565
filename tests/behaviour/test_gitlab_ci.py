"""The CI/CD component for GitLab: what it may say, and its script run as a runner runs it, in a clone with the variables of a job."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from bot.settings import engines_dir
from tests.engines import needs_engines
from tests.harness import LocalRepo, git

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "templates" / "fixwright" / "template.yml"
CODE_QUALITY, SAST, SECRETS = "gl-code-quality-report.json", "gl-sast-report.json", "gl-secret-detection-report.json"
GIT = Path(shutil.which("git") or "/usr/bin/git").parent
"""Of the PATH of whoever runs the tests nothing else: a Fixwright in it would be found."""
REPORTS = {CODE_QUALITY: "codequality", SAST: "sast", SECRETS: "secret_detection"}
KEY = "AKIA" + "Q3EGZ7WJ" + "T5LX2K7M"
INJECTION = """import sqlite3


def find(connection: sqlite3.Connection, request):
    name = request.args["name"]
    return connection.execute(f"SELECT id FROM {table} WHERE name = '{name}'").fetchall()
"""

FAKE_FIXWRIGHT = """#!/bin/sh
# Stands for the program: writes down how it was called and from where, and a document for each format that has a file.
printf '%s\\n' "$*" >>"$RECORD"
for word in "$@"; do
  case "$word" in text=*) ;; *=*) echo '{"by": "fixwright"}' >"${word#*=}" ;; esac
done
git rev-parse --verify --quiet refs/fixwright/base >"$RECORD.base"
exit "$FAKE_CODE"
"""
FAKE_PYTHON = """#!/bin/sh
# Stands for python and for pip: makes the folder of a venv, writes down what is installed from where.
printf '%s: %s\\n' "$PWD" "$*" >>"$RECORD.python"
if [ "$3" = venv ]; then
  mkdir -p "$4/bin"
  cp "$0" "$4/bin/python"
  cp "$FAKE_PROGRAM" "$4/bin/fixwright"
fi
for file in "$@"; do case "$file" in *.txt) [ -s "$file" ] || exit 9 ;; esac; done
"""


# --- what it says ---------------------------------------------------------------------------------------------------------------------


def parts() -> tuple[dict[str, Any], str]:
    """The inputs that the component declares, and the text below its `---`, as GitLab reads them."""
    header, _, body = TEMPLATE.read_text("utf-8").partition("\n---\n")
    declared: dict[str, Any] = yaml.safe_load(header)["spec"]["inputs"]
    return declared, body


def job(**given: str) -> dict[str, Any]:
    """The job, with inputs put in as GitLab does."""
    declared, body = parts()
    values = {name: given.get(name, about["default"]) for name, about in declared.items()}
    filled = re.sub(r"\$\[\[ inputs\.([a-z_]+) \]\]", lambda found: values[found[1]], body)
    parsed: dict[str, Any] = yaml.safe_load(filled)
    assert list(parsed) == ["fixwright"]
    one: dict[str, Any] = parsed["fixwright"]
    return one


def test_the_header_has_only_what_gitlab_knows_and_every_input_is_used() -> None:
    declared, body = parts()
    for name, about in declared.items():
        assert set(about) <= {"description", "default", "regex", "options"}
        assert about["description"]
        assert f"$[[ inputs.{name} ]]" in body
        assert re.search(about.get("regex", ""), about["default"])
        assert about["default"] in about.get("options", [about["default"]])
    assert set(re.findall(r"inputs\.([a-z_]+)", body)) == set(declared)


def test_the_guide_lists_every_input_with_its_default_and_every_code_of_the_job() -> None:
    page = (ROOT / "docs" / "guide" / "gitlab-ci.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) ?\| ", page, re.MULTILINE))
    declared, _ = parts()
    assert list(rows) == list(declared)
    for name, about in declared.items():
        assert about["default"] in (rows[name].strip("`"), declared["source"]["default"], ""), name
        assert all(f"`{option}`" in page for option in about.get("options", ()))
    assert all(f"{code}" in page for code in job()["allow_failure"]["exit_codes"])


def test_the_workflow_in_the_guide_lets_the_job_run_and_makes_no_second_pipeline_for_a_push() -> None:
    page = (ROOT / "docs" / "guide" / "gitlab-ci.md").read_text("utf-8")
    shown = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
    (rules,) = [one["workflow"]["rules"] for one in shown if "workflow" in one]
    of_merge_requests, of_default_branch = job()["rules"]
    assert of_default_branch == {"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}
    assert rules == [
        of_merge_requests,
        {"if": "$CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS", "when": "never"},
        {"if": "$CI_COMMIT_BRANCH"},
        {"if": "$CI_COMMIT_TAG"},
    ]


def test_the_job_has_only_keys_that_gitlab_knows() -> None:
    assert set(job()) <= {
        *("stage", "image", "rules", "needs", "dependencies", "cache", "inherit", "interruptible"),
        *("variables", "script", "allow_failure", "artifacts"),
    }
    assert job()["artifacts"]["reports"] == {word: name for name, word in REPORTS.items()}
    assert job()["artifacts"]["paths"] == [*REPORTS]
    assert (job()["artifacts"]["when"], job()["artifacts"]["access"]) == ("always", "developer")


def test_the_job_takes_nothing_from_the_pipeline_around_it() -> None:
    one = job()
    assert (one["needs"], one["dependencies"], one["cache"]) == ([], [], [])
    assert one["inherit"] == {"default": False, "variables": False}


def test_the_job_asks_for_no_token() -> None:
    text = TEMPLATE.read_text("utf-8")
    assert not re.search(r"CI_JOB_TOKEN|CI_REPOSITORY_URL|id_tokens|secrets:|PRIVATE-TOKEN|\bset -x\b", text)
    used = set(re.findall(r"\$\{?(CI_\w+)", "\n".join(job()["script"])))
    assert used == {
        *("CI_PROJECT_DIR", "CI_PIPELINE_SOURCE", "CI_PROJECT_ID", "CI_PROJECT_VISIBILITY", "CI_MERGE_REQUEST_PROJECT_ID"),
        *("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CI_MERGE_REQUEST_DIFF_BASE_SHA"),
    }


@pytest.mark.parametrize("name", ["version", "source", "base"])
@pytest.mark.parametrize("value", ['"; curl evil; "', "$(id)", "`id`", "--upload-pack=id", "a\nb", "${PATH}", "ext::sh"])
def test_an_input_that_stands_in_the_script_can_hold_no_script(name: str, value: str) -> None:
    declared, body = parts()
    assert not re.search(declared[name]["regex"].replace("$", r"\Z"), value)  # RE2, as GitLab has it, knows `$` as the end of the text
    assert all(f'"$[[ inputs.{name} ]]"' in line for line in body.splitlines() if f"inputs.{name} " in line)


# --- what it does ---------------------------------------------------------------------------------------------------------------------


class Runner:
    """A job as GitLab starts one: the clone of a bare repository at a commit, the job's variables, what is left behind."""

    def __init__(self, folder: Path, *, code: int = 0) -> None:
        self.folder = folder
        self.project = folder / "builds" / "shop"
        self.work = LocalRepo(folder / "work")
        self.work.commit({"app/old.py": INJECTION.replace("{table}", "members"), "README.md": "A shop.\n"}, "first")
        self.origin = folder / "origin.git"
        git(folder, "clone", "--quiet", "--bare", str(self.work.folder), str(self.origin))
        git(self.work.folder, "remote", "add", "origin", str(self.origin))
        (folder / "bin").mkdir()
        self.program(FAKE_FIXWRIGHT)
        (folder / "temp").mkdir()
        self.record = folder / "record"
        self.environment = {
            "PATH": f"{folder / 'bin'}:{GIT}:/usr/bin:/bin",
            "HOME": str(folder),
            "TMPDIR": str(folder / "temp"),
            "RECORD": str(self.record),
            "FAKE_CODE": str(code),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "CI": "true",
            "CI_PROJECT_DIR": str(self.project),
            "CI_PROJECT_ID": "7",
            "CI_PROJECT_VISIBILITY": "private",
            "CI_DEFAULT_BRANCH": "main",
        }

    def program(self, text: str, name: str = "fixwright") -> Path:
        """Put a program into the job's image."""
        place = self.folder / "bin" / name
        place.write_text(text, "utf-8")
        place.chmod(0o755)
        return place

    def change(self, files: Mapping[str, str | None]) -> str:
        """A branch with a change; its head."""
        head = self.work.commit(files, "change", branch="feature", start="main")
        git(self.work.folder, "push", "--quiet", "origin", "main", "feature")
        return head

    def checkout(self, commit: str, *, depth: str = "") -> None:
        """What the runner does before the script: fetch the one ref, detached."""
        self.project.mkdir(parents=True)
        git(self.project, "init", "--quiet")
        git(self.project, "remote", "add", "origin", f"file://{self.origin}")
        git(self.project, "fetch", "--quiet", "--no-tags", *([f"--depth={depth}"] if depth else []), "origin", commit)
        git(self.project, "checkout", "--quiet", "--detach", commit)

    def merge_request(self, **more: str) -> None:
        """The variables of a merge request pipeline."""
        base = git(self.work.folder, "merge-base", "main", "feature")
        self.environment |= {
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_PROJECT_ID": "7",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
            **more,
        }

    def run(self, shell: str = "sh -e", **inputs: str) -> subprocess.CompletedProcess[str]:
        """The script, all lines in one shell."""
        script = "\n".join(job(**inputs)["script"])
        return subprocess.run(
            [*shell.split(), "-c", script], cwd=self.project, env=self.environment, capture_output=True, text=True, timeout=240, check=False
        )

    @property
    def calls(self) -> list[str]:
        """How Fixwright was called."""
        return self.record.read_text("utf-8").splitlines() if self.record.exists() else []

    def uploaded(self) -> dict[str, Any]:
        """The reports that lie where GitLab looks for them."""
        places = {name: self.project / name for name in REPORTS}
        assert not any(place.is_symlink() for place in places.values())
        return {name: json.loads(place.read_bytes()) for name, place in places.items() if place.exists()}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


OURS = {name: {"by": "fixwright"} for name in [*REPORTS]}


@pytest.mark.parametrize("shell", ["sh -e", "bash -e -o pipefail"])
def test_a_change_is_scanned_once_against_the_tip_of_its_target(runner: Runner, shell: str) -> None:
    head = runner.change({"a.py": "x = 1\n"})
    runner.checkout(head)
    git(runner.work.folder, "checkout", "--quiet", "main")
    tip = runner.work.commit({"later.py": "y = 1\n"}, "main went on")
    git(runner.work.folder, "push", "--quiet", "origin", "main")
    runner.merge_request()
    done = runner.run(shell)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    (call,) = runner.calls
    assert re.fullmatch(
        r"scan \. --base refs/fixwright/base --format text --format codequality=\S+ --format gitlab-sast=\S+ --format gitlab-secrets=\S+",
        call,
    )
    assert Path(f"{runner.record}.base").read_text().strip() == tip
    assert runner.uploaded() == OURS


def test_a_merged_result_is_compared_with_what_it_was_merged_with(runner: Runner) -> None:
    head = runner.change({"a.py": "x = 1\n"})
    runner.checkout(head)
    runner.merge_request(CI_MERGE_REQUEST_TARGET_BRANCH_SHA="5" * 40)
    assert runner.run().returncode == 0
    assert f"--base {'5' * 40} " in runner.calls[0]


@pytest.mark.parametrize("why", ["a fork's pipeline", "the job may not fetch"])
def test_where_the_target_cannot_be_asked_the_base_is_gitlabs_and_the_log_says_so(runner: Runner, why: str) -> None:
    head = runner.change({"a.py": "x = 1\n"})
    runner.checkout(head)
    runner.merge_request()
    if why == "a fork's pipeline":
        runner.environment["CI_MERGE_REQUEST_PROJECT_ID"] = "1"
    else:
        git(runner.project, "remote", "set-url", "origin", "/nowhere")
    done = runner.run()
    base = runner.environment["CI_MERGE_REQUEST_DIFF_BASE_SHA"]
    assert done.returncode == 0
    assert f"--base {base} " in runner.calls[0]
    assert f"the policy is that of {base}" in done.stdout


@pytest.mark.parametrize(("visibility", "given"), [("public", True), ("internal", False), ("private", False), ("", True)])
def test_of_a_public_projects_secrets_the_log_and_the_widget_tell_the_number(runner: Runner, visibility: str, given: bool) -> None:
    runner.checkout(runner.change({"a.py": "x = 1\n"}))
    runner.merge_request(CI_MERGE_REQUEST_TARGET_BRANCH_SHA="5" * 40, CI_PROJECT_VISIBILITY=visibility)
    assert runner.run().returncode == 0
    assert ("--public" in runner.calls[0].split()) is given


def test_an_own_base_goes_first(runner: Runner) -> None:
    runner.checkout(runner.change({"a.py": "x = 1\n"}))
    runner.merge_request(CI_MERGE_REQUEST_TARGET_BRANCH_SHA="5" * 40)
    runner.run(base="origin/release-1.2")
    assert "--base origin/release-1.2 " in runner.calls[0]


@pytest.mark.parametrize(
    ("fail", "codes"),
    [
        ("always", {0: 0, 1: 1, 2: 2, 3: 3}),
        ("findings", {0: 0, 1: 1, 2: 2, 3: 103}),
        ("never", {0: 0, 1: 101, 2: 2, 3: 103}),
    ],
)
def test_the_job_fails_for_what_it_is_told_to_and_uploads_all_the_same(runner: Runner, fail: str, codes: dict[int, int]) -> None:
    runner.checkout(runner.change({"a.py": "x = 1\n"}))
    runner.merge_request(CI_MERGE_REQUEST_TARGET_BRANCH_SHA="5" * 40)
    ended = {}
    for code in codes:
        runner.environment["FAKE_CODE"] = str(code)
        ended[code] = runner.run(fail=fail).returncode
        assert runner.uploaded() == OURS
    assert ended == codes
    assert set(job()["allow_failure"]["exit_codes"]) == {101, 103}
    assert set(parts()[0]["fail"]["options"]) == {"always", "findings", "never"}


@pytest.mark.parametrize(("visibility", "text"), [("public", "text=/dev/null"), ("internal", "text=/dev/null"), ("private", "text")])
def test_the_default_branch_is_listed_and_only_a_private_log_shows_it(runner: Runner, visibility: str, text: str) -> None:
    runner.checkout(git(runner.work.folder, "rev-parse", "main"))
    runner.environment |= {"CI_PIPELINE_SOURCE": "push", "CI_PROJECT_VISIBILITY": visibility, "FAKE_CODE": "1"}
    done = runner.run()
    assert done.returncode == 0, "nobody's change is judged there"
    assert "this branch has findings" in done.stdout
    assert re.fullmatch(rf"scan \. --format {text} --format gitlab-sast=\S+ --format gitlab-secrets=\S+", runner.calls[0])
    assert runner.uploaded() == {**OURS, CODE_QUALITY: []}


def test_a_default_branch_that_could_not_be_checked_is_no_success(runner: Runner) -> None:
    runner.checkout(git(runner.work.folder, "rev-parse", "main"))
    runner.environment |= {"CI_PIPELINE_SOURCE": "push", "FAKE_CODE": "3"}
    assert runner.run().returncode == 3


def test_a_report_that_the_change_brings_along_is_never_uploaded(runner: Runner) -> None:
    forged = dict.fromkeys((CODE_QUALITY, SAST), '{"by": "the change"}')
    (runner.work.folder / SECRETS).symlink_to("/etc/hostname")
    git(runner.work.folder, "add", SECRETS)
    head = runner.change(forged)
    runner.checkout(head)
    assert (runner.project / SAST).exists()
    runner.merge_request()
    runner.program("#!/bin/sh\nexit 2\n")
    assert runner.run().returncode == 2
    assert runner.uploaded() == {}
    runner.program(FAKE_FIXWRIGHT)
    git(runner.project, "checkout", "--quiet", "--force", head)
    assert runner.run().returncode == 0
    assert runner.uploaded() == OURS


# --- installing -----------------------------------------------------------------------------------------------------------------------


def test_exactly_the_locked_packages_of_the_named_commit_are_installed_outside_of_the_project(runner: Runner) -> None:
    runner.checkout(runner.change({"pip.py": "raise SystemExit(7)\n", "venv.py": "raise SystemExit(7)\n"}))
    runner.merge_request()
    (runner.folder / "bin" / "fixwright").rename(runner.folder / "program")
    runner.environment["FAKE_PROGRAM"] = str(runner.folder / "program")
    runner.program(FAKE_PYTHON, "python3")
    source = LocalRepo(runner.folder / "source")
    locks = {name: f"# {name}\n" for name in ("requirements.txt", "requirements-build.txt")}
    wanted = source.commit(locks, "this one")
    source.commit(dict.fromkeys(locks, ""), "a later one")
    done = runner.run(version=wanted, source=str(source.folder))
    assert done.returncode == 0, done.stderr
    lines = Path(f"{runner.record}.python").read_text("utf-8").splitlines()
    assert [line.partition(": ")[2] for line in lines if " pip " in line] == [
        "-I -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt",
        "-I -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.txt",
        "-I -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation .",
    ]
    assert not any(line.startswith(str(runner.project)) for line in lines)
    assert [call.split()[0] for call in runner.calls] == ["engines", "scan"]
    assert runner.uploaded() == OURS


def test_without_a_program_and_without_a_version_the_job_says_what_is_missing(runner: Runner) -> None:
    runner.checkout(runner.change({"a.py": "x = 1\n"}))
    runner.merge_request()
    (runner.folder / "bin" / "fixwright").unlink()
    done = runner.run()
    assert done.returncode == 2
    assert "the input version does not say which one to install" in done.stderr


# --- for real -------------------------------------------------------------------------------------------------------------------------


REAL = f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m bot.cli "$@"\n'


def checked(uploaded: Mapping[str, Any]) -> None:
    """What GitLab's documents say of the three."""
    for name, schema in ((CODE_QUALITY, "gitlab-code-quality"), (SAST, "gitlab-security-report"), (SECRETS, "gitlab-security-report")):
        judge = json.loads((ROOT / "tests" / "schemas" / f"{schema}.json").read_bytes())
        jsonschema_rs.validator_for(judge).validate(uploaded[name])


@needs_engines
def test_a_change_is_reported_by_the_real_engines_what_was_there_is_not_and_its_secret_to_members_alone(runner: Runner) -> None:
    found = INJECTION.replace("{table}", "orders")
    ignoring = ".gitlab/fixwright.yml\n.fixwright.yml\n"
    head = runner.change({"app/new.py": found, "keys.py": f'AWS = "{KEY}"\n', ".semgrepignore": "*\n", ".gitleaksignore": ignoring})
    runner.checkout(head)
    runner.merge_request(CI_PROJECT_VISIBILITY="public")
    runner.program(REAL)
    runner.environment["FIXWRIGHT_ENGINES_DIR"] = str(engines_dir())
    done = runner.run()
    assert done.returncode == 1, done.stderr
    made = runner.uploaded()
    checked(made)
    assert [(entry["check_name"], entry["location"]["path"]) for entry in made[CODE_QUALITY]] == [
        ("python.sql-injection", "app/new.py"),
        ("fixwright.confided", "."),
    ]
    assert [one["location"]["file"] for one in made[SAST]["vulnerabilities"]] == ["app/new.py"]
    assert [one["location"]["commit"]["sha"] for one in made[SECRETS]["vulnerabilities"]] == [head]
    assert {made[name]["scan"]["status"] for name in (SAST, SECRETS)} == {"success"}
    assert "app/new.py:6:" in done.stdout
    assert "1 secret told to members only" in done.stdout
    assert "keys.py" not in done.stdout
    assert KEY not in done.stdout + done.stderr + json.dumps(made)


def test_a_shallow_clone_will_do_when_the_base_is_in_it(runner: Runner) -> None:
    """`GIT_DEPTH` of a project's own job, where the target cannot be fetched; without engines, so that nothing can be green."""
    for number in range(3):
        head = runner.change({f"{number}.py": "x = 1\n"})
    runner.checkout(head, depth="4")
    runner.merge_request(CI_MERGE_REQUEST_PROJECT_ID="1")
    runner.program(REAL)
    runner.environment["FIXWRIGHT_ENGINES_DIR"] = str(runner.folder / "no engines")
    done = runner.run()
    assert done.returncode == 3, done.stderr
    assert f"(base {runner.environment['CI_MERGE_REQUEST_DIFF_BASE_SHA'][:7]})" in done.stdout
    made = runner.uploaded()
    checked(made)
    assert {made[name]["scan"]["status"] for name in (SAST, SECRETS)} == {"failure"}
    assert {entry["check_name"] for entry in made[CODE_QUALITY]} == {"fixwright.not-checked"}


def test_a_clone_that_is_too_shallow_is_no_green_job(runner: Runner) -> None:
    runner.change({"a.py": "x = 1\n"})
    head = runner.change({"keys.py": f'AWS = "{KEY}"\n'})
    runner.checkout(head, depth="1")
    runner.merge_request()
    runner.program(REAL)
    done = runner.run()
    assert done.returncode == 2
    assert "have no commit in common as far as this shallow clone goes" in done.stderr
    assert "GIT_DEPTH: 0" in done.stderr
    assert runner.uploaded() == {}
