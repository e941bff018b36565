"""`fixwright waive`: the operator beside the running processes, before the local provider."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bot.cli import main
from tests.harness import Bench, LocalRepo

REASON = "only the tests call this"
Operator = Callable[..., tuple[int, str]]


@pytest.fixture
def operator(bench: Bench, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    """Runs a command as the operator would, with the settings of the bench in the environment."""
    for name, value in {
        "FIXWRIGHT_STATE_DIR": str(bench.state),
        "FIXWRIGHT_SECRET_KEY": "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE=",
        "DATABASE_URL": database_url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REDIS_URL", raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["waive", *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_the_operator_waives_lists_and_takes_back(bench: Bench, repo: LocalRepo, operator: Operator) -> None:
    head = repo.commit({"c.txt": "BAD\n"}, branch="feature", start="main")
    bench.review(repo, "feature")
    name = repo.source.full_name
    assert bench.checks(repo, head)[-1].conclusion == "failure"

    assert operator(name, "c.txt:1", "--reason", "why")[0] == 2
    assert operator(name, "c.txt:1", "--reason", REASON, "--until", "tomorrow")[0] == 2
    assert operator(name, "c.txt:1", "--reason", REASON, "--until", "2001-01-01")[0] == 2
    assert operator(name, "ZZZ", "--reason", REASON)[0] == 2
    assert operator("nobody/nothing", "c.txt:1", "--reason", REASON)[0] == 2
    assert operator("list", name) == (0, "nothing is waived\n")

    code, said = operator(name, "c.txt:1", "--reason", REASON)
    assert (code, "is waived until" in said) == (0, True)
    bench.work()
    (check,) = bench.checks(repo, head)
    assert check.conclusion == "success"
    assert REASON in check.summary
    code, said = operator("list", name, "--json")
    (listed,) = json.loads(said)
    assert (listed["reason"], listed["path"], listed["operator"], listed["expired"]) == (REASON, "c.txt", True, False)
    assert REASON in operator("list", name)[1]

    assert operator(name, listed["handle"], "--end")[0] == 0
    bench.work()
    assert bench.checks(repo, head)[-1].conclusion == "failure"
    assert operator(name, listed["handle"], "--end")[0] == 2


def test_a_name_that_means_several_findings_is_refused_with_the_places(bench: Bench, repo: LocalRepo, operator: Operator) -> None:
    repo.commit({"c.txt": "BAD\n", "d.txt": "BAD\n"}, branch="feature", start="main")
    bench.review(repo, "feature")
    operator(repo.source.full_name, "c.txt:1", "--reason", REASON)
    (listed,) = json.loads(operator("list", repo.source.full_name, "--json")[1])
    code, said = operator(repo.source.full_name, listed["handle"], "--reason", REASON)
    assert code == 2
    assert "c.txt:1, d.txt:1" in said
