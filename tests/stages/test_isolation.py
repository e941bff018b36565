"""A policy that requires isolation: where the sandbox has only limits nothing is started, and no check says what nobody looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.cli.folders import policy_places
from pipeline.model.scan import ScanType
from pipeline.sandbox.isolation import Level
from pipeline.stages.examine import RunControl
from pipeline.stages.folder import judge_folder
from tests.fakes import LineScanner, nowhere
from tests.harness import Bench, LocalRepo

REQUIRES = "engines:\n  required: [secrets_scan, semgrep_scan, isolation]\n"


def _on(bench: Bench, level: Level) -> list[LineScanner]:
    """The bench as it is on a machine that reaches this level."""
    scanners = [LineScanner(), LineScanner(ScanType.SECRETS)]
    bench.use(scanners=scanners)
    bench.app.places = replace(bench.app.places, level=lambda: level)
    return scanners


@pytest.mark.parametrize("level", Level)
def test_no_engine_is_started_where_the_required_isolation_is_missing(bench: Bench, repo: LocalRepo, level: Level) -> None:
    scanners = _on(bench, level)
    repo.commit({".github/fixwright.yml": REQUIRES})
    head = repo.commit({"c.txt": "BAD\n"}, branch="feature")
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    if level.isolates:
        assert "c.txt:1" in check.title
        return
    assert check.conclusion == "action_required"
    assert check.title.startswith("Could not check: lines-")
    assert "the policy requires isolation, and the sandbox of this machine has only limits" in check.title
    assert "- not checked: lines-semgrep is not run: the policy requires isolation" in check.summary
    assert [scanner.looked for scanner in scanners] == [[], []]


def test_what_was_looked_at_elsewhere_is_no_verdict_here(bench: Bench, repo: LocalRepo) -> None:
    """Results are remembered; a machine that may not look may not repeat them either, or its check would be green by accident."""
    _on(bench, Level.BUBBLEWRAP)
    repo.commit({".github/fixwright.yml": REQUIRES})
    repo.commit({"c.txt": "fine\n"}, branch="one")
    bench.review(repo, "one")
    _on(bench, Level.LIMITS)
    head = repo.commit({"c.txt": "fine\n", "d.txt": "fine\n"}, branch="two", start="main")
    bench.review(repo, "two")
    assert bench.checks(repo, head)[0].conclusion == "action_required"


def test_a_change_cannot_take_the_requirement_away_for_itself(bench: Bench, repo: LocalRepo) -> None:
    _on(bench, Level.LIMITS)
    repo.commit({".github/fixwright.yml": REQUIRES})
    head = repo.commit({".github/fixwright.yml": "gate:\n  block: high\n"}, branch="feature")
    bench.review(repo, "feature")
    assert bench.checks(repo, head)[0].conclusion == "action_required"


def test_without_the_requirement_limits_are_enough(bench: Bench, repo: LocalRepo) -> None:
    _on(bench, Level.LIMITS)
    head = repo.commit({"c.txt": "fine\n"}, branch="feature")
    bench.review(repo, "feature")
    assert bench.checks(repo, head)[0].conclusion == "success"


def test_the_command_line_holds_it_too(repo: LocalRepo) -> None:
    repo.commit({".github/fixwright.yml": REQUIRES, "c.py": "x = 1\n"})
    control = RunControl(nowhere(repo.folder.parent), lambda: True, lambda: Level.LIMITS)
    verdict = judge_folder(repo.folder, None, None, control, policy_places()).verdict
    assert verdict.incomplete
