"""git itself talks to the double: clone, partial fetch, push, and what a push sets off."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.worlds.conftest import Scene
from tests.worlds import faults

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    """Run git as a stranger to this machine's configuration, with a token in a header when given."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    header = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    signed = ["-c", f"http.extraHeader=Authorization: Basic {header}"] if token else []
    return subprocess.run(
        ["git", *identity, *signed, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def url(scene: Scene) -> str:
    return f"{scene.world.git_url}/octo/shop.git"


def app_token(scene: Scene, **permissions: str) -> str:
    return scene.world.installation_token(scene.installation, **permissions)


def test_a_private_repository_is_cloned_with_a_token_only(scene: Scene, tmp_path: Path) -> None:
    token = app_token(scene, contents="read")

    assert git(tmp_path, "clone", "-q", url(scene), "anonymous").returncode != 0
    assert git(tmp_path, "clone", "-q", url(scene), "wrong", token="ghs_wrong").returncode != 0
    assert git(tmp_path, "clone", "-q", url(scene), "good", token=token).returncode == 0
    assert (tmp_path / "good/README.md").read_text() == "hi\n"
    assert [asked.status for asked in scene.world.asked if asked.path.endswith("/info/refs")][:1] == [401]


def test_a_token_without_the_repository_does_not_see_it(scene: Scene, tmp_path: Path) -> None:
    scene.world.create_repository("eve", "hidden", files={"a": "b"})
    refused = git(tmp_path, "ls-remote", f"{scene.world.git_url}/eve/hidden.git", token=app_token(scene))

    assert refused.returncode != 0
    assert "not found" in refused.stderr


def test_git_that_falls_back_to_its_old_protocol_finds_nothing(scene: Scene, tmp_path: Path) -> None:
    scene.world.faults.add("GET", "info/refs$", faults.garbage())
    fetched = git(tmp_path, "ls-remote", url(scene), token=app_token(scene))

    assert fetched.stdout == ""
    assert [(asked.status, asked.path) for asked in scene.world.asked if "/HEAD" in asked.path] == [(404, "/octo/shop.git/HEAD")]
    assert not scene.world.violations


def test_one_commit_is_fetched_by_name_without_its_blobs(scene: Scene, tmp_path: Path) -> None:
    token = app_token(scene, contents="read")
    git(tmp_path, "init", "-q", "--bare", "mirror")
    mirror = tmp_path / "mirror"
    wanted = scene.pull.head_sha
    scene.world.force_push(scene.repository, "feature", {"other.py": "x\n"})  # no branch holds it any more
    fetched = git(mirror, "-c", "protocol.version=2", "fetch", "-q", "--depth=1", "--filter=blob:none", url(scene), wanted, token=token)
    objects = git(mirror, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)").stdout.split()

    assert fetched.returncode == 0, fetched.stderr
    assert sorted(objects) == ["commit", "tree"]


def test_the_head_of_a_forks_pull_request_is_fetched_from_the_base(scene: Scene, tmp_path: Path) -> None:
    fork = scene.world.fork(scene.repository, "eve")
    sha = scene.world.commit(fork, "theirs", {"eve.py": "x\n"}, "From outside", "eve")
    pull = scene.world.open_pull_request("eve", scene.repository, "theirs", "main", "From outside", fork=fork)
    git(tmp_path, "init", "-q", ".")
    fetched = git(tmp_path, "fetch", "-q", url(scene), f"refs/pull/{pull.number}/head", token=app_token(scene))

    assert fetched.returncode == 0, fetched.stderr
    assert git(tmp_path, "rev-parse", "FETCH_HEAD").stdout.strip() == sha
    shown = scene.call("GET", f"/pulls/{pull.number}").json()
    assert (shown["head"]["repo"]["full_name"], shown["changed_files"]) == ("eve/shop", 1)
    assert scene.call("GET", f"/commits/{sha}/pulls").json()[0]["number"] == pull.number


def test_a_push_needs_to_write_contents(scene: Scene, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", url(scene), "work", token=app_token(scene))
    work = tmp_path / "work"
    git(work, "commit", "-q", "--allow-empty", "-m", "more")

    assert git(work, "push", "-q", "origin", "HEAD:main", token=app_token(scene, contents="read")).returncode != 0
    assert git(work, "push", "-q", "origin", "HEAD:refs/pull/1/head", token=app_token(scene)).returncode != 0
    assert git(work, "push", "-q", "origin", "HEAD:main", token=app_token(scene)).returncode == 0


def test_a_push_moves_the_pull_request_and_tells_the_app(scene: Scene, tmp_path: Path) -> None:
    before = scene.pull.head_sha
    git(tmp_path, "clone", "-q", "--branch=feature", url(scene), "work", token=app_token(scene))
    work = tmp_path / "work"
    (work / "big.bin").write_bytes(os.urandom(3_000_000))
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "more")
    after = git(work, "rev-parse", "HEAD").stdout.strip()
    pushed = git(work, "push", "-q", "origin", "feature", token=scene.world.token_for("ada"))

    assert pushed.returncode == 0, pushed.stderr
    synchronize = scene.world.hooks.of("pull_request", "synchronize")[-1].payload
    push = scene.world.hooks.of("push")[-1].payload
    assert (synchronize["before"], synchronize["after"], synchronize["pull_request"]["head"]["sha"]) == (before, after, after)
    assert (push["ref"], push["forced"], push["sender"]["login"], len(push["commits"])) == ("refs/heads/feature", False, "ada", 1)
    assert scene.world.effects[-1].operation == "git push"
    assert scene.world.hooks.of("check_suite", "requested")[-1].payload["check_suite"]["head_sha"] == after


def test_a_force_push_is_told_as_such(scene: Scene) -> None:
    scene.world.force_push(scene.repository, "feature", {"app.py": "all new\n"})

    assert scene.world.hooks.of("push")[-1].payload["forced"] is True
    assert scene.call("GET", "/pulls/1").json()["commits"] == 1


def test_deleting_the_branch_closes_its_pull_request(scene: Scene) -> None:
    scene.world.delete_branch(scene.repository, "feature")

    assert scene.world.hooks.of("push")[-1].payload["after"] == "0" * 40
    assert scene.world.hooks.of("pull_request")[-1].action == "closed"
