"""A whole Fixwright over a repository that is full of secrets: afterwards none of them is anywhere but in the repository and its mirror.

Everything is real but GitHub: the engines, the fixers, the store, the logs at their loudest, the command line.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.cli import main
from bot.logs import EventFormatter, Redactor
from bot.wiring import discover_plugins
from pipeline.store.tables import findings
from tests.canaries import Canary, canaries, leaks
from tests.engines import needs_engines
from tests.stages.github import GithubBench, app_key
from tests.worlds.faults import Status
from tests.worlds.github.model import PullRequest, Repository
from tests.worlds.github.world import GithubWorld

pytestmark = needs_engines

MADE = canaries(20_261, 200)
"""In files. Those whose shape says what they are stand in other places, too."""
SHAPED = [c for c in canaries(20_262, 90) if c.kind.startswith(("github", "gitlab", "stripe", "slack", "aws-access", "web-token"))]
OWN = [c for c in canaries(20_263, 60) if c.kind in ("hex-key", "aws-secret-key", "github-token")][:3]
"""Of the operator: secrets of webhooks, the token of the metrics."""
ALL = [*MADE, *SHAPED, *OWN]


class Box:
    """A bench, what it said, and where."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = GithubWorld(folder / "github", private_key_pem=app_key(), webhook_secret=OWN[0].value)
        self.world.serve()
        self.environment = {"FIXWRIGHT_METRICS_TOKEN": OWN[2].value, "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": OWN[1].value}
        self.bench = GithubBench(folder, self.world, "", self.environment)
        self.bench.app.plugins = discover_plugins()
        self.said = folder / "said"
        self.said.mkdir()
        self.handler = logging.FileHandler(self.said / "log", encoding="utf-8")
        self.handler.setFormatter(EventFormatter(Redactor(), as_json=True))

    def close(self) -> None:
        """Let go of everything."""
        self.handler.close()
        self.bench.close()
        self.world.stop()

    def keep(self, name: str, text: str) -> None:
        """What somebody was told."""
        with (self.said / name).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def tell_everything(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        """Ask all doors, and write down what GitHub was told."""
        for arguments in (
            ("findings", "list", name),
            ("findings", "list", name, "--json"),
            ("status",),
            ("doctor",),
            ("queue", "list"),
            ("repositories", "list"),
            ("policy", "show", name),
        ):
            capsys.readouterr()
            main(arguments)
            out = capsys.readouterr()
            self.keep("cli", out.out + out.err)
        headers = {"Authorization": f"Bearer {OWN[2].value}"}
        for path in ("/metrics", "/readyz", "/healthz", f"/{SHAPED[0].value}", f"/webhooks/{SHAPED[1].value}", "/setup"):
            self.keep("http", self.bench.client.get(path, headers=headers).text)
        refused = self.bench.client.post("/webhooks/github", content=b"{}", headers={"x-hub-signature-256": f"sha256={OWN[0].value}"})
        self.keep("http", refused.text)
        for effect in self.world.effects:
            if "fixwright" in effect.actor:
                self.keep("effects", json.dumps([effect.method, effect.path, effect.body], default=repr, ensure_ascii=False))


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    made = Box(tmp_path)
    root = logging.getLogger()
    level = root.level
    root.addHandler(made.handler)
    root.setLevel(logging.DEBUG)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    for name, value in made.bench.app.settings.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    root.removeHandler(made.handler)
    root.setLevel(level)
    made.close()


def _files(secrets: Sequence[Canary]) -> dict[str, str | bytes | None]:
    """Ten a file; passwords also on lines that other rules have something to say about."""
    files: dict[str, str | bytes | None] = {}
    for start in range(0, len(secrets), 10):
        lines = [canary.line for canary in secrets[start : start + 10]]
        files[f"config/c{start}.py"] = "import os\n\n" + "\n".join(lines) + "\n"
    words = [canary.value for canary in secrets if canary.kind in ("password", "hex-key", "stripe-key")][:12]
    calls = [f"def f{n}(name):\n    subprocess.run('curl -u admin:{word} ' + name, shell=True)\n" for n, word in enumerate(words)]
    files["calls.py"] = "import subprocess\n\n\n" + "\n\n".join(call.replace("\\", "") for call in calls)
    return files


def _hostile_names(files: dict[str, str | bytes | None]) -> dict[str, str | bytes | None]:
    return {**files, f"src/{SHAPED[2].value}/a.py": "import subprocess\n\n\ndef f(name):\n    subprocess.run('ls ' + name, shell=True)\n"}


def _change(box: Box, repository: Repository) -> PullRequest:
    branch = f"feature/{SHAPED[3].value}"
    message = f"Add {SHAPED[4].value}\n\nand {MADE[120].value}"
    box.world.commit(repository, branch, _hostile_names(_files(MADE[100:])), message=message)
    box.world.commit(repository, branch, {"fixme.py": f"import os\n\nAPI = 1\n{MADE[106].line}\n"}, message=f"Add {SHAPED[5].value}")
    title, body = f"Use {SHAPED[6].value} and {MADE[101].value}", f"Body {MADE[102].value} {SHAPED[7].value}"
    return box.world.open_pull_request("ada", repository, branch, "main", title, body=body)


def _talk(box: Box, pull: PullRequest, handles: Sequence[str]) -> None:
    for body in (
        f"/waive {handles[0]} it is only {MADE[100].value} and {SHAPED[8].value}",
        f"/fix {SHAPED[9].value}",
        f"/explain {MADE[104].value}",
        f"What about {MADE[103].value}?",
        "/status",
        "/fix",
        *(f"/fix {handle}" for handle in handles[1:4]),
    ):
        box.world.comment("ada", pull, body)
        box.bench.settle()


def _left(box: Box) -> list[str]:
    """Everything but the host, and our mirror of it."""
    excluded = [box.folder / "github", box.bench.app.settings.mirrors_dir]
    minted = [Canary(f"token-{n}", token, "host-token") for n, token in enumerate(_minted(box.world))]
    assert minted, "nobody has signed in"
    return leaks([box.folder], [*ALL, *minted], excluding=excluded)


def _minted(world: GithubWorld) -> list[str]:
    return sorted(world.github.tokens.given())


def test_no_secret_of_a_repository_and_none_of_ours_is_anywhere(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    reason = f"uses {SHAPED[10].value} and {MADE[1].value}"
    policy = f"version: 1\nignore:\n  - rule: python.sql-injection\n    reason: {reason}\n    until: 2099-01-01\n"
    repository = box.bench.repository({".github/fixwright.yml": policy, **_files(MADE[:100])})
    box.bench.settle()
    body = json.dumps({"message": f"boom {SHAPED[11].value} {MADE[101].value}"}).encode()
    for path in (r"/check-runs", r"/comments", r"/reviews", r"/pulls/\d+$"):
        box.world.faults.add("*", path, Status(500, body), times=1)
    pull = _change(box, repository)
    box.bench.settle()
    (run,) = box.bench.runs(repository, pull.head_sha)
    assert run.status == "completed"
    assert run.conclusion == "failure"
    _talk(box, pull, _handles(box))
    odd = f"version: {SHAPED[12].value}\n{SHAPED[13].value}: 1\n"
    box.world.commit(repository, "broken", {".github/fixwright.yml": odd}, message="Policy")
    box.world.open_pull_request("ada", repository, "broken", "main", "Policy")
    box.bench.settle()
    assert main(("findings", "rescan", "octo/shop")) == 0
    box.bench.settle()
    box.tell_everything(capsys, "octo/shop")
    assert (box.said / "log").stat().st_size > 10_000
    assert (box.said / "effects").stat().st_size > 10_000
    assert "c0.py" in (box.said / "cli").read_text("utf-8"), "the list is empty: nothing could leak out of it"
    effects = (box.said / "effects").read_text("utf-8")
    assert "src/[removed " in effects.replace("&#91;", "["), "a file is told of, whatever its name is"
    left = _left(box)
    assert not left, "\n".join(left)


def _handles(box: Box) -> list[str]:
    """Of everything that was found: secrets first."""
    with box.bench.app.database.read() as work:
        statement = select(findings.c.handle, findings.c.rule_id).order_by(findings.c.rule_id.desc(), findings.c.handle)
        rows = list(work.transaction.execute(statement))
    assert {row.rule_id for row in rows} > {"secrets.github-token", "python.command-injection"}, rows
    fixable = [row.handle for row in rows if row.rule_id.startswith("python.")]
    return [rows[0].handle, rows[1].handle, *fixable[:2]]
