"""Backup and restore: what was open goes on, what was signed can still be checked, and nothing is half restored."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli import main
from pipeline.model.scan import ScanType
from pipeline.receipts import key_id, load_signer
from pipeline.store.engine import Database
from pipeline.store.tables import outbox
from tests.databases import Postgres, postgres, postgres_template, programs
from tests.fakes import LineScanner
from tests.harness import Bench, LocalRepo

__all__ = ["postgres", "postgres_template"]

KEY = "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE="


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", KEY)
    yield


def _open_work(tmp_path: Path, url: str = "") -> tuple[Bench, LocalRepo, str]:
    """A pull request that was delivered, with a worker in the middle of it."""
    bench = Bench(tmp_path, url)
    bench.use(scanners=[LineScanner(ScanType.SEMGREP)], fixers=[])
    repo = LocalRepo(tmp_path / "work" / "shop")
    repo.commit({"a.txt": "fine\n", ".fixwright.yml": "engines:\n  required: [semgrep_scan]\n"})
    head = repo.commit({"b.txt": "BAD\n"}, branch="feature")
    bench.changed(bench.pull_request(repo, "feature"))
    with bench.app.database.read() as work:
        (due,) = work.outbox.publishable(1)
    with bench.app.database.work() as work:
        assert work.outbox.claim(due.message_id, "a worker that is no more", seconds=3600.0) is not None
    return bench, repo, head


def _goes_on(tmp_path: Path, state: Path, repo: LocalRepo, head: str, url: str = "") -> None:
    bench = Bench(tmp_path, url, {"FIXWRIGHT_STATE_DIR": str(state)})
    bench.state = state
    bench.use(scanners=[LineScanner(ScanType.SEMGREP)], fixers=[])
    bench.work()
    assert [check.status for check in bench.checks(repo, head)] == ["completed"]
    with bench.app.database.read() as work:
        assert {row.crashes for row in work.transaction.execute(outbox.select())} == {0}
    bench.close()


def _restore(file: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(state))
    return main(["restore", str(file)])


def test_a_restored_installation_goes_on_with_open_work_and_keeps_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, repo, head = _open_work(tmp_path)
    signer = key_id(load_signer(bench.state).public)
    file = tmp_path / "fixwright.backup"
    assert main(["backup", str(file)]) == 0  # while the database is open
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    bench.close()
    shutil.rmtree(bench.state)
    state = tmp_path / "restored"
    assert _restore(file, state, monkeypatch) == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.rglob("*") if path.is_file() and path.suffix != ".lock"} == {0o600}
    assert key_id(load_signer(state).public) == signer
    _goes_on(tmp_path, state, repo, head)


def test_postgresql_goes_on_from_its_own_dump_and_our_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: Postgres, postgres_template: str
) -> None:
    binaries = programs()
    if binaries is None or not (binaries / "pg_dump").exists():
        pytest.skip("pg_dump is not installed")
    before, after = f"before_{tmp_path.name[-6:]}_x".lower().replace("-", "_"), f"after_{tmp_path.name[-6:]}_x".lower().replace("-", "_")
    postgres.execute(f"CREATE DATABASE {before} TEMPLATE {postgres_template}")
    postgres.execute(f"CREATE DATABASE {after}")
    bench, repo, head = _open_work(tmp_path, postgres.url(before))
    monkeypatch.setenv("DATABASE_URL", postgres.url(before))
    file, dump = tmp_path / "keys.backup", tmp_path / "fixwright.dump"
    assert main(["backup", str(file)]) == 0
    subprocess.run([binaries / "pg_dump", "--format=custom", f"--file={dump}", postgres.url(before)], check=True, timeout=60)
    bench.close()
    subprocess.run([binaries / "pg_restore", "--clean", "--if-exists", f"--dbname={postgres.url(after)}", dump], check=True, timeout=60)
    state = tmp_path / "restored"
    monkeypatch.setenv("DATABASE_URL", postgres.url(after))
    assert _restore(file, state, monkeypatch) == 0
    database = Database.open(postgres.url(after))
    with database.work() as work:
        assert work.outbox.give_back_all() == 1  # its lease would have run out by itself, an hour later here
    database.dispose()
    _goes_on(tmp_path, state, repo, head, postgres.url(after))


def test_what_is_written_meanwhile_does_not_spoil_the_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, _, _ = _open_work(tmp_path)
    folder, stop, round_ = bench.state / "local" / "1", threading.Event(), threading.Event()
    folder.mkdir(parents=True)

    def write() -> None:
        """As `providers.local.record` writes: whole files, each in place of the one before."""
        while not stop.is_set():
            for number in range(300):
                draft = folder / "draft"
                draft.write_bytes(os.urandom(2_000))
                draft.replace(folder / f"{number}.json")
            round_.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert round_.wait(20)
    try:
        assert main(["backup", str(tmp_path / "fixwright.backup")]) == 0
    finally:
        stop.set()
        writer.join(20)
        bench.close()
    assert _restore(tmp_path / "fixwright.backup", tmp_path / "restored", monkeypatch) == 0
    restored = [path.stat().st_size for path in (tmp_path / "restored" / "local" / "1").glob("*.json")]
    assert restored == [2_000] * 300


def test_a_folder_that_holds_something_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench, _, _ = _open_work(tmp_path)
    bench.close()
    file = tmp_path / "fixwright.backup"
    assert main(["backup", str(file)]) == 0
    assert main(["backup", str(file)]) == 2  # never overwrites another
    assert _restore(file, bench.state, monkeypatch) == 2
    assert "is not empty" in capsys.readouterr().err


def test_another_key_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench, _, _ = _open_work(tmp_path)
    bench.close()
    file = tmp_path / "fixwright.backup"
    assert main(["backup", str(file)]) == 0
    monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", KEY.replace("u", "v", 1))
    assert _restore(file, tmp_path / "restored", monkeypatch) == 2
    assert "is not the key of this backup" in capsys.readouterr().err
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("harm", ["cut", "changed", "foreign", "no tar"])
def test_what_is_damaged_or_not_ours_is_refused_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    bench, _, _ = _open_work(tmp_path)
    bench.close()
    file, bad = tmp_path / "fixwright.backup", tmp_path / "bad.backup"
    assert main(["backup", str(file)]) == 0
    if harm == "cut":
        bad.write_bytes(file.read_bytes()[:-2000])
    elif harm == "no tar":
        bad.write_bytes(b"hello")
    else:
        with tarfile.open(file) as archive:
            _unpack(archive, tmp_path / "unpacked")
        manifest = tmp_path / "unpacked" / "manifest.json"
        if harm == "changed":
            with (tmp_path / "unpacked" / "fixwright.db").open("r+b") as database:
                database.write(b"x")
        else:
            manifest.write_text(manifest.read_text().replace('"secret.key"', '"../../outside"'))
        with tarfile.open(bad, "w:gz") as archive:
            for path in (tmp_path / "unpacked").iterdir():
                archive.add(path, path.name)
    assert _restore(bad, tmp_path / "restored", monkeypatch) == 2
    assert not (tmp_path / "restored").exists()
    assert capsys.readouterr().err.startswith("fixwright: ")


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Its files: Python 3.11.2 has no filters for extracting."""
    for member in archive:
        content = archive.extractfile(member)
        if content is not None:
            place = folder / member.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.read())
