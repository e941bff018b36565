"""The double in a process of its own, as the demonstration runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from tests.unit.worlds.process import Process, process_of


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    with process_of("github", tmp_path / "state") as made:
        yield made


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
    assert process.ask("teleport").status_code == 404
    refused = process.ask("commit", repository="octo/none")
    assert (refused.status_code, refused.json()["message"]) == (400, "LookupError: no repository octo/none")


def test_what_an_earlier_process_left_is_forgotten(tmp_path: Path) -> None:
    for _ in range(2):
        with process_of("github", tmp_path / "state") as process:
            assert process.do("create_repository", owner="octo", name="shop", files={"a.py": "x\n"})["full_name"] == "octo/shop"
