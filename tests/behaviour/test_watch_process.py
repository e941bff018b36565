"""`fixwright watch` as people start it: a process of its own, real engines, ended by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.doors import change, settings_of, shop
from tests.engines import needs_engines
from tests.stages.github import app_key
from tests.worlds.github.world import GithubWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GithubWorld]:
    made = GithubWorld(tmp_path / "github", private_key_pem=app_key())
    made.serve()
    yield made
    made.stop()
    assert made.violations == []


def environment(world: GithubWorld, token: str, state: Path) -> dict[str, str]:
    """What the process sees."""
    return {"PATH": os.environ["PATH"], "HOME": str(state.parent), **settings_of(world, token, state, {"FIXWRIGHT_LOG_LEVEL": "warning"})}


@needs_engines
def test_it_says_what_happens_line_by_line_and_ends_clean_with_ctrl_c(world: GithubWorld, tmp_path: Path) -> None:
    repository = shop(world)
    key = "AKIA" + "Z7VRSQ5TJN2XMPLK"
    pull = change(world, repository, {"c.py": f'client = connect("s3", aws_access_key_id="{key}")\n'})
    token = world.token_for("robin")
    process = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "watch", "octo/shop", "--interval", "10"],
        env=environment(world, token, tmp_path / "state"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 200
        while not any(status.state == "failure" for status in repository.statuses) or not pull.review_comments:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    lines = err.splitlines()
    assert lines[0] == "fixwright: octo/shop is watched"
    assert lines[1] == f"fixwright: octo/shop#1 opened at {pull.head_sha[:7]}"
    assert lines[-1] == "fixwright: stopped"
    assert token not in out + err
    assert key not in out + err
    assert "Traceback" not in err


def test_without_a_token_it_says_what_to_set(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot.cli", "watch", "octo/shop", "--once"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "FIXWRIGHT_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "FIXWRIGHT_GITHUB_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr
