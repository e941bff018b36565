"""The double of GitLab in a process of its own, as the demonstration runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gitlab
import httpx
import pytest

ROOT = Path(__file__).parents[3]


class Process:
    """A running double: what it printed, and its persons."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "tests.worlds.gitlab", "--state", str(state), "--relative", "/gitlab"]
        self.running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.running.stdout is not None
        self.facts: dict[str, Any] = json.loads(self.running.stdout.readline())

    def do(self, verb: str, **arguments: Any) -> Any:
        """One verb; its answer."""
        answer = httpx.post(f"{self.facts['control_url']}/{verb}", json=arguments, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    made = Process(tmp_path_factory.mktemp("process") / "state")
    yield made
    made.running.send_signal(signal.SIGTERM)
    assert made.running.wait(60) == 0
    assert made.running.stdout is not None
    made.running.stdout.close()


def test_a_double_of_its_own_is_driven_over_http(process: Process) -> None:
    process.do("create_project", namespace="acme", name="shop", files={"a.py": "x\n"})
    process.do("commit", project="acme/shop", branch="feature", files={"a.py": "y\n"}, author="ada")
    request = process.do("open_merge_request", user="ada", project="acme/shop", source="feature", target="main", title="Change")
    process.do("set_access", user="walter", group="acme", level="owner")
    note = process.do("comment", user="ada", project="acme/shop", iid=request["iid"], body="/fix")
    process.do("reply_in_discussion", user="walter", project="acme/shop", iid=request["iid"], note=note["id"], body="why?")
    client = gitlab.Gitlab(process.facts["url"], private_token=process.do("token_of", project="acme/shop", level="developer")["token"])
    found = client.projects.get("acme/shop").mergerequests.get(request["iid"])
    assert sorted(one.body for one in found.notes.list(get_all=True)) == ["/fix", "why?"]
    assert process.do("violations") == []
    process.do("close", user="ada", project="acme/shop", iid=request["iid"])
    assert client.projects.get("acme/shop").mergerequests.get(request["iid"]).state == "closed"


def test_what_the_world_refuses_is_said(process: Process) -> None:
    unknown = httpx.post(f"{process.facts['control_url']}/dance", json={}, timeout=60)
    assert unknown.status_code == 404
    assert "create_project" in unknown.json()["message"]
    refused = httpx.post(f"{process.facts['control_url']}/commit", json={"project": "not/there"}, timeout=60)
    assert refused.status_code == 400
    assert "no project not/there" in refused.json()["message"]
