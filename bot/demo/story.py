"""The steps of the demo, the same for every host: each says what it does, how long it took, and where to look."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bot.demo import content
from pipeline.errors import FixwrightError
from pipeline.escaping import visible
from pipeline.receipts import load_signer, public_pem
from pipeline.sandbox.process import Finished, Limits, run

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds that a step may take on a slow machine."""

GIT_DATE = "2026-01-15T12:00:00Z"
_LIMITS = Limits(wall=300.0, cpu=300.0, memory=8 << 30)


class DemoFailed(FixwrightError):
    """A step of the demo did not end as it must."""

    code = "DEMO_FAILED"


@dataclass(frozen=True, slots=True)
class FixAnswer:
    """What `/fix` led to."""

    number: int
    title: str
    body: str
    branch: str
    reply: str


class DemoHost(Protocol):
    """A host on which the story happens."""

    name: str
    word: str
    """What a pull request is called there."""
    server: Path
    """Its bare repository."""

    def open(self, repository: Path) -> None:
        """Bring the host up, with the base branch in place and a person's working copy of it in `repository`."""

    def start(self, environment: Mapping[str, str], log: Path) -> None:
        """Start Fixwright and connect it."""

    def push(self) -> str:
        """Push the change and open its pull request, or deliver it again; what was delivered, in a few words."""

    def checks(self) -> list[dict[str, Any]]:
        """Our checks on the head of the change."""

    def threads(self) -> list[dict[str, Any]]:
        """Our threads on the change: path, line, body, resolved."""

    def ask(self, path: str, text: str) -> None:
        """Write a comment into the thread on a file, as a person who may write."""

    def fix(self) -> FixAnswer | None:
        """The pull request that followed, once it is there."""

    def counts(self) -> Mapping[str, int]:
        """How many checks, threads and fix pull requests there are."""

    def close(self) -> None:
        """Stop what was started."""


@dataclass
class Story:
    """Tells and does."""

    host: DemoHost
    folder: Path
    environment: Mapping[str, str]
    number: int = 0
    started: float = field(default_factory=time.monotonic)

    def tell(self) -> None:
        """Everything, in order. Raises DemoFailed with what was expected and what came."""
        host = self.host
        self.step("A repository with older findings, and a change with two new ones", self._repository)
        self.step("Fixwright starts: web, relay, worker; SQLite and a bundled Valkey", self._start)
        delivered = self.step("The change is pushed: a signed delivery", host.push)
        self.say(delivered)
        check = self.step("The engines look at what changed; the check ends", self._check)
        self.show([f"{check['conclusion']}: {check['title']}", "", *check["summary"].splitlines()[:9]])
        threads = self.step("Two threads, on the lines that the change added", self._threads)
        for thread in threads:
            self.show([f"{thread['path']}:{thread['line']}", *thread["body"].splitlines()[:8]])
        self.step("A maintainer writes /fix under the SQL injection", lambda: host.ask("members/web.py", "/fix"))
        answer = self.step("A patch is made, re-scanned, and tested against code broken on purpose", self._fixed)
        self.show([answer.title, "", *answer.body.split("<details>")[0].splitlines()[:12]])
        # A second run finds the other way there already, and asks for the first one again.
        wish = "first" if ":name" in (self.folder / "patch.diff").read_text("utf-8") else "another way"
        self.step(f"The maintainer wants it otherwise: /refine {wish}", lambda: host.ask("members/web.py", f"/refine {wish}"))
        self.step(f"A second attempt of the same fix is proven; its {host.word} is the same", lambda: self._refined(answer))
        self.step("The receipt is checked offline; an altered one and a foreign key are refused", self._receipt)
        self.say(f"checks {host.counts()['checks']}, threads {host.counts()['threads']}, fix {host.word}s {host.counts()['fixes']}")
        self._end()

    def step(self, title: str, do: Callable[[], T]) -> T:
        """One numbered step with its time."""
        self.number += 1
        print(f"\n{self.number}. {title}", flush=True)
        began = time.monotonic()
        result = do()
        print(f"   {time.monotonic() - began:.1f} s", flush=True)
        return result

    def say(self, text: str) -> None:
        """A line under a step."""
        print(f"   {visible(text)}", flush=True)

    def show(self, lines: Sequence[str]) -> None:
        """Something to look at, set off from the narration."""
        for line in lines:
            print(f"   | {visible(line)}".rstrip(), flush=True)

    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        """Look until there is something. Raises DemoFailed after two minutes."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        raise DemoFailed(f"{what} did not come within {PATIENCE:.0f} s", hint=f"the log: {self.folder / 'fixwright.log'}")

    # --- the steps ---

    def _repository(self) -> None:
        repository = self.folder / "repository"
        self.host.open(repository)
        self.say(f"look: {repository}, branch {content.BRANCH}")

    def _start(self) -> None:
        self.host.start(self.environment, self.folder / "fixwright.log")
        self.say(f"look: {self.folder / 'fixwright.log'}")

    def _check(self) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            checks = self.host.checks()
            return checks[-1] if checks and all(check["status"] == "completed" for check in checks) else None

        check = self.wait("the check", ended)
        self._write("check.json", check)
        self.expect("a failing check", check["conclusion"], "failure")
        self.expect("two findings that block or warn", len(re.findall(r"^\| (?:blocks|warns) \|", check["summary"], re.MULTILINE)), 2)
        return check

    def _threads(self) -> list[dict[str, Any]]:
        threads = self.wait("two threads", lambda: self.host.threads() if len(self.host.threads()) >= 2 else None)
        self._write("threads.json", threads)
        self.expect("threads", sorted(thread["path"] for thread in threads), ["config/backup.py", "members/web.py"])
        added = added_lines(_git(self.host.server, "diff", "--unified=0", f"main...{content.BRANCH}"))
        for thread in threads:
            self.expect(f"a thread on a line that was added to {thread['path']}", thread["line"] in added[thread["path"]], True)
        return threads

    def _fixed(self) -> FixAnswer:
        answer = self.wait("the fix", self.host.fix)
        self.expect("a verified fix", "**verified**" in answer.body, True)
        diff = self._diff(answer)
        (self.folder / "patch.diff").write_text(diff + "\n", "utf-8")
        self.show(diff.splitlines())
        return answer

    def _refined(self, first: FixAnswer) -> None:
        def another() -> FixAnswer | None:
            now = self.host.fix()
            return now if now is not None and now.body != first.body else None

        answer = self.wait("the refined fix", another)
        self.expect(f"the same {self.host.word}", answer.number, first.number)
        self.expect("a verified fix", "**verified**" in answer.body, True)
        before = (self.folder / "patch.diff").read_text("utf-8")
        diff = self._diff(answer)
        self.expect("another patch", diff != before.strip(), True)
        (self.folder / "patch.diff").write_text(diff + "\n", "utf-8")
        self.show(diff.splitlines())

    def _diff(self, answer: FixAnswer) -> str:
        """What the branch of the fix changes."""
        head, fixed = (_git(self.host.server, "rev-parse", f"refs/heads/{branch}") for branch in (content.BRANCH, answer.branch))
        return _git(self.host.server, "diff", head, fixed)

    def _receipt(self) -> None:
        answer = self.wait("the fix", self.host.fix)
        found = re.search(r"```[a-z]*\n(\{.*?\})\n```", answer.body, re.DOTALL)
        if found is None:
            raise DemoFailed(f"the {self.host.word} carries no receipt")
        receipt = self.folder / "receipt.json"
        receipt.write_text(found[1] + "\n", "utf-8")
        repository = self.folder / "repository"
        _git(repository, "checkout", "--quiet", content.BRANCH)
        self.expect("the receipt accepted", self._verify(receipt, repository).exit_code, 0)
        altered = self.folder / "state" / "altered.json"
        text = receipt.read_text("utf-8")
        position = text.index('"payload":"') + 60
        altered.write_text(text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :], "utf-8")
        self.expect("one changed byte refused", self._verify(altered, repository).exit_code, 1)
        foreign = self.folder / "state" / "foreign.pem"
        foreign.write_text(public_pem(load_signer(self.folder / "state" / "foreign").public), "utf-8")
        self.expect("another key refused", self._verify(receipt, repository, "--key", str(foreign)).exit_code, 1)

    def _verify(self, receipt: Path, repository: Path, *more: str) -> Finished:
        command = [sys.executable, "-m", "bot.cli", "verify", str(receipt), "--repo", str(repository), *more]
        done = run(command, limits=_LIMITS, env=self.environment)
        said = (done.stdout or done.stderr).decode("utf-8", "replace").strip().splitlines()
        self.say(f"fixwright verify: exit {done.exit_code}, {said[0] if said else 'nothing said'}")
        return done

    def expect(self, what: str, got: object, wanted: object) -> None:
        """Raise DemoFailed unless it is so."""
        if got != wanted:
            raise DemoFailed(f"expected {what}: {wanted!r}, got {got!r}", hint=f"the log: {self.folder / 'fixwright.log'}")

    def _write(self, name: str, value: object) -> None:
        (self.folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def _end(self) -> None:
        print(f"\nDone in {time.monotonic() - self.started:.0f} s. Everything is in {self.folder}:")
        print("   repository/  check.json  threads.json  patch.diff  receipt.json")
        print("\nNext:  .venv/bin/fixwright scan PATH      your own code, nothing leaves this machine")
        print("       make test                          what else is promised, shown", flush=True)


def added_lines(diff: str) -> dict[str, set[int]]:
    """Numbers of the lines that a diff without context adds, by path."""
    added: dict[str, set[int]] = {}
    path = ""
    for line in diff.splitlines():
        if line.startswith("+++ b/"):
            path = line.removeprefix("+++ b/")
        elif hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            first, count = int(hunk[1]), int(hunk[2] or 1)
            added.setdefault(path, set()).update(range(first, first + count))
    return added


def make_repository(repository: Path, server: Path) -> None:
    """A working copy with the base branch, pushed to the server, and the branch of the change, not pushed yet."""
    repository.mkdir(parents=True)
    _git(repository, "init", "--quiet", "--initial-branch=main")
    _commit(repository, content.MAIN, "Member list")
    _git(repository, "remote", "add", "origin", str(server))
    _git(repository, "push", "--quiet", "origin", "main")
    _git(repository, "checkout", "--quiet", "-b", content.BRANCH)
    _commit(repository, content.CHANGE, content.TITLE)


def _commit(repository: Path, files: Mapping[str, str], message: str) -> None:
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    _git(repository, "add", "--all")
    _git(repository, "commit", "--quiet", "--message", message)


def _git(folder: Path, *arguments: str) -> str:
    """git as a person would use it, with a fixed name and date, so that every run makes the same commits."""
    identity = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _PERSON.items()}
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C",
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        **identity,
    }
    done = run(["git", "-C", str(folder), *arguments], limits=_LIMITS, env=environment)
    if not done.ok:
        raise DemoFailed(f"git {arguments[0]}: {done.stderr.decode('utf-8', 'replace').strip()[-300:]}")
    return done.stdout.decode("utf-8", "replace").strip()


git = _git
_PERSON = {"NAME": "Dana Developer", "EMAIL": "dana@example.org", "DATE": GIT_DATE}
