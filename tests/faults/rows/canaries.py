"""Two hundred secrets that exist nowhere else, and every place that anything could have got to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import psycopg

from tests.canaries import Canary, canaries, leaks
from tests.faults.matrix import Run, fault
from tests.faults.stand import ROOT, Stand
from tests.worlds.faults import Status

COUNT = 200
COMMANDS = (("status",), ("doctor",), ("queue", "list"), ("repositories", "list"), ("findings", "list", "octo/canaries"))
TEXTS = ("github", "gitlab", "stripe", "slack")
"""Kinds whose shape says what they are: those stand in the words of people, too."""


@fault(51, "200 canaries in code, words and answers of the host: no sink has one")
def canaries_everywhere(run: Run) -> None:
    stand, world = run.stand, run.stand.world
    made = canaries(run.random.randrange(1 << 30), COUNT)
    words = [canary for canary in made if canary.kind.startswith(TEXTS)]
    own = stand.repository("canaries")
    files: dict[str, str] = {f"settings/part_{n}.py": "\n".join(c.line for c in made[n::8]) + "\n" for n in range(8)}
    files["app.py"] = f'import subprocess\n\n\ndef call(name):\n    subprocess.run("login --token {words[0].value} " + name, shell=True)\n'
    files[".github/fixwright.yml"] = f"on_incomplete: {words[1].value}\n"
    branch = f"change-{words[2].value}"
    world.commit(own, branch, files, f"Use {words[3].value}\n\nAnd {words[4].value} too.")
    body = b'{"message": "bad token %s", "status": "500"}' % words[5].value.encode()
    world.faults.add("PATCH", f"{own.full_name}/check-runs/", Status(500, body), times=1)
    pull = world.open_pull_request("ada", own, branch, "main", f"Rotate {words[6].value}", body=words[7].value)
    stand.wait("a finished check", lambda: any(check.status == "completed" for check in world.checks(own, pull.head_sha)), 90)
    stand.quiet()
    world.comment("ada", pull, f"/fix {words[8].value}")
    world.comment("bert", pull, f"is {words[9].value} still valid?")
    world.hooks.wait()
    stand.quiet()
    found = _search(stand, made, pull.head_sha)
    run.cured()
    run.more.append(lambda: found)


def _search(stand: Stand, made: list[Canary], head: str) -> list[str]:
    said = stand.folder / "said"
    said.mkdir(exist_ok=True)
    for arguments in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "bot.cli", *arguments], cwd=ROOT, env=stand.environment, capture_output=True, check=False, timeout=120
        )
        (said / "-".join(arguments).replace("/", "_")).write_bytes(done.stdout + done.stderr)
    for path in ("/metrics", "/readyz", "/healthz", f"/{made[0].value}", f"/webhooks/{made[1].value}", "/setup"):
        with (said / "http").open("a") as file:
            file.write(httpx.get(f"{stand.url}{path}", trust_env=False).text + "\n")
    (said / "effects").write_text("\n".join(str(effect) for effect in stand.world.effects))
    with stand.queue.client() as client:
        client.config_set("rdbcompression", "no")
        client.save()
    if stand.pair.database == "postgresql":
        _dump(stand, said / "database")
    assert head in (said / "effects").read_text(), "the search looks into nothing"
    excluding = [stand.folder / "github", stand.folder / "state" / "mirrors", stand.folder / "engines"]
    found = leaks([stand.folder], made, excluding=excluding)
    if stand.postgres is not None and stand.pair.database == "postgresql":
        found += leaks([stand.postgres.socket / "log"], made)
    return [f"a canary: {line}" for line in found]


def _dump(stand: Stand, target: Path) -> None:
    """Every table, as text."""
    with psycopg.connect(stand.database_url) as connection, target.open("wb") as file:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            with connection.cursor().copy(f'COPY "{name}" TO STDOUT') as copy:
                for part in copy:
                    file.write(part)
