"""What commands say to a mistake: all of it at once, what is right instead, and the code for a call that has to be mended."""

from __future__ import annotations

import logging
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli import main
from pipeline.answers import proof_sentences
from pipeline.errors import NotConfigured
from pipeline.model.fix import Proof, ProofCheck, ProofWord
from pipeline.triage import proof as gate
from pipeline.triage.handles import WORDS, assign, candidates, parse_handle
from providers.github.settings import AppSettings
from tests.harness import git


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    said = capsys.readouterr()
    return status, said.out + said.err


@pytest.fixture(autouse=True)
def nothing_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_APP_ID", "GITHUB_PRIVATE_KEY", "GITHUB_API_URL", "GITHUB_TOKEN"):
        monkeypatch.delenv(f"FIXWRIGHT_{name}", raising=False)
    for name in ("DATABASE_URL", "REDIS_URL", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.parametrize("slug", ["not-a-slug", "https://github.com/octo/shop", "octo/shop/pull/7", "octo/", "octo/a shop"])
def test_what_names_no_repository_cannot_be_watched(capsys: pytest.CaptureFixture[str], slug: str) -> None:
    status, said = run(capsys, "watch", slug)
    assert (status, "is no OWNER/REPOSITORY" in said) == (2, True)
    assert "fixwright watch octo/shop" in said


@pytest.fixture
def own_logs() -> Iterator[None]:
    """A command that goes on for long takes the logs of its process for itself."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("own_logs")
def test_a_watch_names_the_api_that_it_cannot_reach(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXWRIGHT_GITHUB_TOKEN", "a token of this test")
    monkeypatch.setenv("FIXWRIGHT_GITHUB_API_URL", "http://127.0.0.1:9")
    status, said = run(capsys, "watch", "octo/shop", "--once")
    assert status == 3
    assert "http://127.0.0.1:9 cannot be reached" in said
    assert "FIXWRIGHT_GITHUB_API_URL" in said


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({}, ("the number of the App is missing", "private key is missing")),
        ({"APP_ID": "abc"}, ("'abc' is neither", "private key is missing")),
        ({"APP_ID": "abc", "PRIVATE_KEY": "/nowhere"}, ("'abc' is neither", "private key cannot be read")),
    ],
)
def test_settings_that_are_half_there_are_told_at_once(configuration: dict[str, str], said: tuple[str, str]) -> None:
    with pytest.raises(NotConfigured) as refused:
        AppSettings.of(configuration)
    assert all(part in refused.value.message for part in said)
    assert "FIXWRIGHT_GITHUB_APP_ID" in refused.value.hint
    assert "FIXWRIGHT_GITHUB_PRIVATE_KEY" in refused.value.hint


@pytest.mark.parametrize("app_id", ["1234567", "Iv1.8a61f9b3a7aba766", "Iv23liAbCdEfGhIjKlMn"])
def test_a_client_id_may_stand_in_for_the_number_of_an_app(app_id: str) -> None:
    pem = "-----BEGIN X-----"
    assert AppSettings.of({"APP_ID": app_id, "PRIVATE_KEY": pem}).app_id == app_id


def test_a_rule_that_is_none_is_answered_with_those_that_are_near(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, said = run(capsys, "policy", "explain", "a.py", "--repo", str(tmp_path), "--rule", "python.sql-injektion")
    assert (status, "python.sql-injektion is no rule of this version" in said) == (2, True)
    assert "python.sql-injection" in said
    assert run(capsys, "policy", "explain", "a.py", "--repo", str(tmp_path), "--rule", "python.sql-injection")[0] == 0
    assert run(capsys, "policy", "explain", "a.py", "--repo", str(tmp_path), "--rule", "secrets.aws-access-key")[0] == 0


def test_a_scan_names_every_mistake_of_the_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / ".fixwright.yml").write_text("gate:\n  block: hihg\n  blocked: high\n")
    status, said = run(capsys, "scan", str(tmp_path))
    assert status == 2
    lines = [line for line in said.splitlines() if line.startswith("fixwright: ")]
    assert [line.split(": ")[1] for line in lines] == [".fixwright.yml:2", ".fixwright.yml:3"]


def test_a_backup_without_its_end_is_called_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "cut.backup"
    (tmp_path / "content").write_bytes(random.Random(7).randbytes(100_000))  # it must not shrink
    with tarfile.open(file, "w:gz") as archive:
        archive.add(tmp_path / "content", "fixwright.db")
    file.write_bytes(file.read_bytes()[:-2_000])
    status, said = run(capsys, "restore", str(file))
    assert (status, "is cut off" in said) == (2, True)
    assert "EOFError" not in said


@pytest.mark.parametrize("name", ["caf\u00e9.git", "a\nb.git", "a\x1b[2J.git", "a\udcff.git"])
def test_a_folder_that_is_never_fetched_from_is_not_connected(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("FIXWRIGHT_LOCAL_WEBHOOK_SECRET", "a secret of this test")
    folder = tmp_path / name
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare")
    before = sorted(folder.rglob("*"))
    status, said = run(capsys, "local", "connect", str(folder))
    assert (status, "cannot be fetched from" in said) == (2, True)
    assert "rename the folder" in said
    assert "\x1b" not in said
    assert sorted(folder.rglob("*")) == before


def test_an_option_that_a_command_does_not_have_is_answered_with_its_own_usage(capsys: pytest.CaptureFixture[str]) -> None:
    status, said = run(capsys, "findings", "list", "octo/shop", "--bogus")
    assert status == 2
    assert "usage: fixwright findings list" in said
    assert "unrecognized arguments: --bogus" in said


SECRET = "glpat-" + "x7Kq2mZp9Lw4Rt8Vb3Nd"


@pytest.mark.parametrize(
    "words",
    [
        ("gitlab", "setup", "--token", SECRET),
        ("gitlab", "setup", f"--token={SECRET}"),
        ("gitlab", "setup", "--token", "hunter2"),
        ("gitlab", "setup", "--token=hunter2"),
        ("gitlab", "setup", SECRET),
        ("gitlab", "setup", "x7Kq2mZp9Lw4Rt8Vb3Nd"),
    ],
)
def test_a_secret_that_was_typed_as_an_argument_is_not_repeated(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    status, said = run(capsys, *words)
    assert status == 2
    assert "unrecognized arguments: " in said
    assert "x7Kq2mZp9Lw4" not in said
    assert "hunter2" not in said
    assert "it is asked for, or read from stdin" in said


@pytest.mark.parametrize("words", [(SECRET,), ("gitlab", SECRET), ("gitlab", "rotate", "--days", SECRET), ("scan", "--fail-on", SECRET)])
def test_no_mistake_of_a_call_is_answered_with_a_secret(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    status, said = run(capsys, *words)
    assert (status, "error: " in said, SECRET in said) == (2, True, False)


def test_a_word_too_many_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    status, said = run(capsys, "gitlab", "instances", "acme")
    assert (status, "unrecognized arguments: acme\n" in said, "stdin" in said) == (2, True, False)


def test_no_new_handle_is_a_word_and_who_has_one_keeps_it() -> None:
    called = next(f"v1:{n}" for n in range(200_000) if next(candidates(f"v1:{n}")) in WORDS)
    first = next(candidates(called))
    made = assign([called], {})[called]
    assert made not in WORDS
    assert made.startswith(first)
    assert assign([called], {first: called}) == {called: first}
    assert parse_handle(first) == first


def test_what_a_check_could_not_do_is_a_sentence() -> None:
    said = "the repository has no tests that we know how to run"
    checks = (ProofCheck(gate.TESTS, None, said), ProofCheck(gate.NO_RESIDUE, None, "python.sql-injection does not say what"))
    proof = Proof(ProofWord.RESCANNED, checks, ())
    sentences = proof_sentences(proof)
    assert sentences.startswith("The repository has no tests")
    assert "python.sql" in sentences
