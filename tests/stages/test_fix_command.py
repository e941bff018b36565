"""`fixwright fix status`, `list`, `cancel` and `receipt`: the operator beside the running processes, before the local provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from bot.cli import main
from pipeline.model.ids import FixId
from pipeline.receipts import load_signer, public_pem
from pipeline.store.tables import fixes
from tests.harness import Bench, LocalRepo, git
from tests.stages.wired import bad_words

Operator = Callable[..., tuple[int, str]]


@pytest.fixture
def operator(bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    """Runs `fixwright fix` as the operator would, with the settings of the bench in the environment."""
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(bench.state))
    monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE=")
    for name in ("REDIS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["fix", *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def made(bench: Bench) -> list[FixId]:
    with bench.app.database.read() as work:
        return [FixId(one) for one in work.transaction.execute(select(fixes.c.id).order_by(fixes.c.id)).scalars()]


def test_a_fix_is_shown_listed_and_called_off(bench: Bench, repo: LocalRepo, operator: Operator) -> None:
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)
    assert operator("list") == (0, "no fix was asked for\n")
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    ref = bench.review(repo, "feature")
    bench.comment(repo, ref, "/fix")
    bench.work()
    (fix,) = made(bench)
    code, said = operator("status", fix)
    assert (code, said.splitlines()[0].split()[:2]) == (0, [fix, "completed"])
    code, said = operator("status", fix, "--json")
    told = json.loads(said)
    assert (code, told["fix_id"], told["status"], told["attempt"], told["title"]) == (0, fix, "completed", 1, "say GOOD")
    assert told["steps_completed"] > 0
    assert told["started_at"] <= told["latest_activity_at"] <= told["completed_at"]
    assert "+GOOD" in told["diff"]
    assert [(one["number"], one["status"]) for one in told["attempts"]] == [(1, "completed")]
    assert fix in operator("list")[1]
    assert operator("cancel", fix) == (1, f"{fix} has ended already: completed\n")

    with bench.app.database.work() as work:
        old = work.fixes.get(fix)
        work.fixes.refine(fix, instructions="another way", choice="")
        work.fixes.start(fix, 2)
    code, said = operator("status", fix, "--json")
    assert (code, json.loads(said)["status"], json.loads(said)["diff"], bool(old.diff)) == (3, "running", None, True)
    assert operator("cancel", fix) == (0, f"{fix} is called off\n")
    code, said = operator("status", fix)
    assert (code, "called off by" in said) == (1, True)


def test_the_receipt_of_a_fix_is_had_as_a_file_that_verifies(bench: Bench, repo: LocalRepo, operator: Operator, tmp_path: Path) -> None:
    bench.app.plugins = replace(bench.app.plugins, residues=bad_words)
    repo.commit({"c.txt": "BAD\n"}, branch="feature")
    bench.comment(repo, bench.review(repo, "feature"), "/fix")
    bench.work()
    (fix,) = made(bench)
    with bench.app.database.read() as work:
        kept = work.fixes.get(fix).receipt
    assert kept is not None
    assert operator("receipt", fix) == (0, kept.envelope.decode())
    place = tmp_path / "receipt.json"
    code, said = operator("receipt", fix, "--output", str(place))
    assert (code, said, place.read_bytes()) == (0, f"Receipt {kept.digest} in {place}\n", kept.envelope)
    (tmp_path / "key.pem").write_text(public_pem(load_signer(bench.state).public))
    git(repo.folder, "checkout", "--quiet", "feature")
    assert main(["verify", str(place), "--repo", str(repo.folder), "--key", str(tmp_path / "key.pem")]) == 0
    code, said = operator("receipt", fix, "--output", str(tmp_path / "none" / "receipt.json"))
    assert (code, "cannot be written" in said) == (2, True)

    place.unlink()
    for status, code, words in (
        ("running", 3, "has no receipt yet, it is running"),
        ("failed", 1, "has no receipt, it is failed: no patch passed"),
    ):
        with bench.app.database.work() as work:
            work.transaction.execute(update(fixes).values(receipt=None, status=status, error="no patch passed" if code == 1 else ""))
        assert operator("receipt", fix, "--output", str(place)) == (code, f"{fix} {words}\n")
        assert not place.exists()


def test_what_is_no_fix_is_refused_and_a_folder_of_that_name_is_still_reached(
    bench: Bench, operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert operator("status", "nothing")[0] == 2
    assert operator("cancel", "nothing")[0] == 2
    code, said = operator("status")
    assert (code, "a folder is ./status" in said) == (2, True)
    assert operator("list", "x")[0] == 2
    assert operator("receipt", "nothing")[0] == 2
    assert operator("receipt")[0] == 2
    assert operator("receipt", "x", "--json")[0] == 2
    assert operator("status", "x", "--output", str(tmp_path / "x"))[0] == 2
    assert operator(str(tmp_path), "--output", str(tmp_path / "x"))[0] == 2
    assert operator("status", "x", "--apply")[0] == 2
    assert operator(".", "x")[0] == 2
    assert operator("--json", str(tmp_path))[0] == 2
    monkeypatch.chdir(tmp_path)
    code, said = operator("./status")
    assert (code, "status is no folder" in said) == (2, True)
