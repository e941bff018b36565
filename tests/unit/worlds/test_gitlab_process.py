"""The double of GitLab in a process of its own, driven over HTTP as a demonstration does it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gitlab import Gitlab

from tests.unit.worlds.process import Process, process_of


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    with process_of("gitlab", tmp_path / "state", "--relative", "/gitlab") as made:
        yield made


def test_a_double_of_its_own_is_driven_over_http(process: Process) -> None:
    process.do("create_project", namespace="acme/tools", name="shop", files={"a.py": "x\n"})
    process.do("commit", project="acme/tools/shop", branch="feature", files={"a.py": "y\n"}, author="ada")
    request = process.do("open_merge_request", user="ada", project="acme/tools/shop", source="feature", target="main", title="Change")
    process.do("set_access", user="ada", project="acme/tools/shop", level="developer")
    process.do("comment", user="ada", project="acme/tools/shop", number=request["number"], body="@fixwright rescan")
    client = Gitlab(process.facts["url"], private_token=process.do("token_for", login="ada")["token"], timeout=60)
    client.session.trust_env = False
    mr = client.projects.get("acme/tools/shop").mergerequests.get(request["number"])
    (discussion,) = mr.discussions.list(get_all=True)
    process.do(
        "reply_in_discussion", user="ada", project="acme/tools/shop", number=request["number"], discussion=discussion.id, body="please"
    )

    assert mr.sha == request["head"]
    assert [note.body for note in mr.notes.list(get_all=True, sort="asc")] == ["@fixwright rescan", "please"]
    assert process.do("violations") == []


def test_an_unknown_verb_and_a_refused_one_say_why(process: Process) -> None:
    assert process.ask("teleport").status_code == 404
    refused = process.ask("commit", project="acme/none")
    assert (refused.status_code, refused.json()["message"]) == (400, "LookupError: no project acme/none")
