"""The guide for automation as it stands: its shell and its Python against `fixwright up`, the real engines and a real git repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.demo import content
from tests.databases import database_url, postgres, postgres_template
from tests.e2e.processes import Running

__all__ = ["database_url", "postgres", "postgres_template"]

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "automation.md"
TOOLS = ("curl", "jq")


def _block(language: str) -> str:
    (found,) = [block for block in re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL) if "events" in block]
    return str(found)


@pytest.fixture
def running(tmp_path: Path, database_url: str) -> Iterator[Running]:
    made = Running(tmp_path, {"DATABASE_URL": database_url, "FIXWRIGHT_SECRET_KEY": "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE="})
    made.repo.commit({**content.MAIN, **content.CHANGE}, "everything")
    made.start()
    made.push("main")
    yield made
    made.close()


@pytest.mark.skipif(not all(shutil.which(tool) for tool in TOOLS), reason=f"the guide needs {' and '.join(TOOLS)}")
def test_the_typical_flow_runs_as_the_guide_says(running: Running, tmp_path: Path) -> None:
    key = running.fixwright("keys", "create", "--name", "nightly").stdout.decode().strip()
    environment = {**os.environ, "FIXWRIGHT_KEY": key, "FIXWRIGHT_URL": running.url}
    script = tmp_path / "flow.sh"
    script.write_text("set -euo pipefail\n" + _block("bash"))
    shell = subprocess.run(["bash", str(script)], env=environment, check=False, capture_output=True, timeout=240)
    said = shell.stdout.decode()
    assert shell.returncode == 0, said + shell.stderr.decode() + running.log.read_text()[-3000:]
    assert "python.sql-injection" in said
    assert "false_positive" in said
    for event in ("detected", "fix_created", "fix_completed", "fix_pr_created", "status_changed"):
        assert event in said, event
    assert key not in running.log.read_text()
    python = subprocess.run([sys.executable, "-c", _block("python")], env=environment, check=False, capture_output=True, timeout=60)
    assert python.returncode == 0, python.stderr.decode()
    assert "fix_pr_created" in python.stdout.decode()
