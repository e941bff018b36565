"""The double in a process of its own, as the demonstration runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

ROOT = Path(__file__).parents[3]


class Process:
    """A running double: what it printed, and its persons."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "tests.worlds.github", "--state", str(state)]
        self.running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.running.stdout is not None
        self.facts: dict[str, Any] = json.loads(self.running.stdout.readline())

    def do(self, verb: str, **arguments: Any) -> Any:
        """One verb; its answer."""
        answer = httpx.post(f"{self.facts['api_url']}/_world/{verb}", json=arguments, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path / "state")
    yield made
    made.running.send_signal(signal.SIGTERM)
    assert made.running.wait(60) == 0
    assert made.running.stdout is not None
    made.running.stdout.close()


def test_a_double_of_its_own_is_driven_over_http(process: Process) -> None:
    process.do("create_repository", owner="octo", name="shop", files={"a.py": "x\n"})
    process.do("commit", repository="octo/shop", branch="feature", files={"a.py": "y\n"}, author="ada")
    pull = process.do("open_pull_request", user="ada", repository="octo/shop", head="feature", base="main", title="Change")
    process.do("set_permission", user="ada", repository="octo/shop", role="write")
    process.do("comment", user="ada", repository="octo/shop", number=pull["number"], body="/fix")
    person = {"authorization": f"token {process.do('token_for', user='ada')['token']}"}
    comments = httpx.get(f"{process.facts['api_url']}/repos/octo/shop/issues/1/comments", headers=person, timeout=60).json()

    assert [comment["body"] for comment in comments] == ["/fix"]
    assert process.do("violations") == []


def test_its_app_signs_in_with_the_key_that_only_the_owner_can_read(process: Process) -> None:
    key = Path(process.facts["private_key"])
    claims = {"iss": str(process.facts["app_id"]), "iat": 1, "exp": int(time.time()) + 300}
    token = jwt.encode(claims, key.read_text(), algorithm="RS256")

    assert key.stat().st_mode & 0o777 == 0o600
    assert httpx.get(f"{process.facts['api_url']}/app", headers={"authorization": f"Bearer {token}"}, timeout=60).status_code == 200


def test_an_unknown_verb_and_a_refused_one_say_why(process: Process) -> None:
    root = f"{process.facts['api_url']}/_world"

    assert httpx.post(f"{root}/teleport", timeout=60).status_code == 404
    refused = httpx.post(f"{root}/commit", json={"repository": "octo/none"}, timeout=60)
    assert (refused.status_code, refused.json()["message"]) == (400, "LookupError: no repository octo/none")


def test_what_an_earlier_process_left_is_forgotten(tmp_path: Path) -> None:
    for _ in range(2):
        process = Process(tmp_path / "state")
        assert process.do("create_repository", owner="octo", name="shop", files={"a.py": "x\n"})["full_name"] == "octo/shop"
        process.running.terminate()
        assert process.running.wait(60) == 0
        assert process.running.stdout is not None
        process.running.stdout.close()
