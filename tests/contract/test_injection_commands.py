"""Every command over a store in which every text of others is hostile: a terminal does nothing but print, and no line is forged.

Commands and columns are read from the code. A new one fails here until it is put to the test, or is said to hold nothing of others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Table, true, update

from bot.cli import fix, main, make_parser, print_error, prove
from bot.cli.doctor import Line, show
from bot.cli.watch import line_of, say
from bot.metrics import render
from pipeline.errors import HostRejected
from pipeline.escaping import visible
from pipeline.model.event import PushEvent
from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity, SuppressionKind
from pipeline.model.fix import ExploitRun, ExploitTest, Patch, Proof, ProofCheck, ProofWord
from pipeline.model.fix import TestRun as Ran
from pipeline.model.ids import CommitId, Handle
from pipeline.model.scan import FindingSeen, Output, ScanRequest, ScanType
from pipeline.model.target import PullRequestRef, UserRef
from pipeline.model.waiver import Waiver
from pipeline.ports import Control
from pipeline.stages.mend import Outcome
from pipeline.store.columns import HostileText, database_now
from pipeline.store.tables import outbox, processes
from tests.fakes import LineScanner
from tests.harness import INSTALLATION, Bench, LocalRepo, git
from tests.hostile_texts import HIDDEN, HOSTILE, HTML, LINES, TERMINAL
from tests.readers import terminal_obeys

EVERYTHING = "\n".join([*TERMINAL.values(), *HIDDEN.values(), *HTML.values(), *(t for name, t in LINES.items() if name != "long")])
"""All of them in one: every command is run once."""
KEY = "A" * 43 + "="
SENDABLE = EVERYTHING.encode("utf-8", "replace").decode()
"""What can stand in JSON of others, and in the name of a machine: no lone surrogates."""
NAME = f"octo/{SENDABLE}".lower()
FORGED = [line.strip() for text in LINES.values() for line in text.splitlines()[1:]]

HOSTILE_COLUMNS = {
    "api_keys": {"name"},
    "deliveries": {"name"},
    "delivery_counts": {"name"},
    "finding_events": {"actor", "branch", "detail"},
    "finding_places": {"branch"},
    "finding_states": {"branch"},
    "fix_attempts": {"asked_by", "error", "instructions"},
    "fixes": {"asked_by", "cancel_asked_by", "error", "title"},
    "installations": {"account"},
    "occurrences": {"branch", "path"},
    "organizations": {"name"},
    "outbox": {"delivery_id", "error_code"},
    "repositories": {"clone_url", "default_branch", "full_name", "policy_source", "scan_trouble"},
    "reviews": {"head_ref", "policy_source"},
    "scans": {"blame", "error"},
    "waivers": {"path", "person_login", "reason"},
}
"""What somebody else says in words, table by table."""

ANSWERED = {
    "api_keys": {"created_by", "revoked_by"},
    "batch_findings": {"branch"},
    "batches": {"error", "asked_by"},
    "device_logins": {"client_name", "approved_by"},
    "fix_offers": {"called", "scan_branch", "title", "body", "branch"},
    "fixes": {"branch"},
    "finding_counts": {"branch"},
    "findings": {"decision_reason", "decided_by"},
    "repository_groups": {"name", "description"},
}
"""Only the API shows them, as JSON."""

OURS = {
    *("handle", "fingerprint", "keyed_hash", "rule_id", "slug", "key", "group", "owner", "waits_for", "scanned_with", "seen_with"),
    *(
        "base",
        "choice",
        "replaced_by",
        "scan_review",
        "listed_commit",
        "superseded_by",
        "subject",
        "resolved",
        "remote_id",
        "repository_id",
        "finding_id",
        "group_id",
        "decision",
        "plan",
    ),
    *(
        "provider",
        "instance",
        "installation",
        "tenant",
        "repository",
        "external_id",
        "state",
        "outcome",
        "person_id",
    ),  # checked where they come in
}
"""Names of columns that hold names and numbers of ours and of hosts; they are never shown, or cannot be chosen."""

DELIVERED = {"deliveries": {"delivery_id"}, "finding_places": {"path"}, "fixes": {"diff"}, "fix_attempts": {"diff"}}
"""Hostile, and not changed here: it is looked for by its value, or has a test of its own."""

RUNS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "advisory draft": ((NAME, "K7Q"), (NAME, "HANDLE")),
    "queue list": ((), ("--json",)),
    "queue retry": ((EVERYTHING,),),
    "queue drop": ((EVERYTHING,),),
    "doctor": ((),),
    "findings list": ((NAME,), (NAME, "--json"), (NAME, "--branch", EVERYTHING)),
    "findings rescan": ((NAME,),),
    "findings show": ((NAME, "HANDLE"), (NAME, "HANDLE", "--json"), (NAME, EVERYTHING)),
    "fix": (
        *(("list",), ("list", "--json"), ("status", "A-FIX"), ("status", "A-FIX", "--json"), ("cancel", "A-FIX"), ("status", EVERYTHING)),
        *(("receipt", "A-FIX"), ("receipt", "A-FIX", "--output", f"REPO/{SENDABLE}/none"), ("receipt", EVERYTHING)),
        *(("open", NAME, "--yes"), ("open", NAME, "--finding", EVERYTHING), ("open", EVERYTHING), ("open", NAME, "--finding", "HANDLE")),
    ),
    "github instances": ((),),
    "github remove": ((EVERYTHING,),),
    "gitlab connect": ((EVERYTHING,), (f"https://{EVERYTHING}/acme",), ("acme", "--token-file", EVERYTHING)),
    "gitlab disconnect": ((EVERYTHING,),),
    "gitlab instances": ((),),
    "gitlab remove": ((EVERYTHING,),),
    "gitlab rotate": (("--instance", EVERYTHING),),
    "gitlab setup": (("--url", EVERYTHING), ("--instance", EVERYTHING)),
    "gitlab webhook": (("--instance", EVERYTHING),),
    "local close": (("REPO", "9"),),
    "local connect": (("REPO/../odd\x1b[31m\u202e",),),
    "local comment": (("REPO", "9", EVERYTHING),),
    "local show": (("REPO",), ("REPO", "--json")),
    "organizations create": ((EVERYTHING,),),
    "keys list": ((), ("--json",)),
    "organizations list": ((), ("--json",)),
    "rules stats": ((), ("--json",), ("--all",), ("--organization", EVERYTHING)),
    "organizations move": ((EVERYTHING, EVERYTHING),),
    "policy check": (("REPO/bad.yml",), ("REPO/bad.yml", "--json")),
    "policy explain": ((EVERYTHING, "--repo", "REPO"),),
    "policy show": (("REPO",), (NAME,), (NAME, "--json")),
    "repositories disable": ((NAME,),),
    "repositories enable": ((NAME,),),
    "repositories group": ((NAME, EVERYTHING), (TERMINAL["colour"], NAME, "--description", EVERYTHING)),
    "repositories rename": ((EVERYTHING, "plain"), (TERMINAL["colour"], LINES["workflow command"])),
    "repositories list": ((), ("--json",)),
    "repositories purge": ((NAME,), (f"nobody/{EVERYTHING}", "--yes")),
    "repositories ungroup": ((EVERYTHING,), (EVERYTHING, EVERYTHING), (EVERYTHING, "--organization", EVERYTHING)),
    "quotas plan": ((EVERYTHING, "self_hosted"), ("default", EVERYTHING), ("default", "self_hosted")),
    "quotas show": ((), ("--json",), ("--organization", EVERYTHING)),
    "quotas topup": ((EVERYTHING, "prs", "1"), ("default", "prs", "1")),
    "status": ((), ("--json",)),
    "verify": (("REPO/bad.yml", "--repo", "REPO", "--key", "REPO/bad.yml"),),
    "waive": (("list", NAME), ("list", NAME, "--json"), (NAME, EVERYTHING, "--reason", EVERYTHING), (NAME, "K7Q", "--end")),
}
"""How each command is run; HANDLE, A-FIX and REPO stand for a finding, a fix and a folder."""

SHOWN = {
    *("advisory draft", "queue drop", "queue list", "queue retry", "doctor", "findings list", "findings rescan", "findings show", "fix"),
    *(
        "github remove",
        "gitlab connect",
        "gitlab disconnect",
        "gitlab remove",
        "gitlab rotate",
        "gitlab setup",
        "gitlab webhook",
        "local connect",
        "keys list",
        "local show",
        "organizations create",
        "organizations list",
        "organizations move",
        "policy check",
    ),
    *("policy explain", "policy show", "repositories disable", "repositories enable", "repositories list", "repositories purge"),
    *("repositories group", "repositories rename", "repositories ungroup", "quotas plan", "quotas show", "quotas topup"),
    *("status", "waive"),
}
"""Commands that show a hostile text, spelled out."""

ELSEWHERE = {
    **dict.fromkeys(("web", "relay", "worker", "up"), "print log lines, which tests/contract/test_injection.py reads"),
    **dict.fromkeys(("watch", "action"), "print through `say` and `line_of` (below) and workflow commands (test_injection.py)"),
    **dict.fromkeys(("scan", "demo"), "print reports, which test_injection.py reads"),
    "backtest": "needs engines and a history; tests/e2e/test_backtest.py reads what it says of hostile names",
    "prove": "needs engines; what it tells is below, with what `fix` tells of a folder",
    "migrate": "prints its table through `visible`; tests/unit/triage/test_imported.py has broken files",
    **dict.fromkeys(("backup", "restore", "keys public", "keys id", "engines", "github setup-link"), "print nothing of others"),
    **dict.fromkeys(("keys create", "keys revoke", "keys rotate"), "print a key, or how one begins"),
    "keys approve": "prints the name of a program, through `visible` like `keys list`",
    "local deliver": "is told branches by git, which refuses control characters in their names",
    "replay": "needs a web process, and prints its answer as JSON",
}
"""Commands that are not run here, and why."""


def _leaves(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    """Every command with its action."""
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not subs:
        yield before.strip()
    for action in subs:
        for name, sub in action.choices.items():
            yield from _leaves(sub, f"{before} {name}")


def test_every_command_is_put_to_the_test() -> None:
    assert set(_leaves(make_parser())) == RUNS.keys() | ELSEWHERE.keys()


def _texts(table: Table) -> set[str]:
    return {column.name for column in table.columns if isinstance(column.type, HostileText)}


def test_every_column_of_hostile_text_is_put_to_the_test() -> None:
    for table in outbox.metadata.tables.values():
        known = HOSTILE_COLUMNS.get(table.name, set()) | DELIVERED.get(table.name, set()) | ANSWERED.get(table.name, set())
        assert _texts(table) - known - OURS - ({"body"} if table.name == "host_memory" else set()) == set(), table.name


# --- the store ------------------------------------------------------------------------------------------------------------------------


class HostileScanner(LineScanner):
    """Finds BAD, and says so in hostile words."""

    def scan(self, request: ScanRequest, control: Control) -> Iterator[Output]:
        """As its base does."""
        for output in super().scan(request, control):
            if isinstance(output, FindingSeen):
                rule = replace(output.finding.rule, title=EVERYTHING, message=EVERYTHING, help=EVERYTHING)
                yield FindingSeen(replace(output.finding, rule=rule, detail=EVERYTHING, scope=EVERYTHING))
            else:
                yield output


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, LocalRepo, str]]:
    """A store in which one of everything is hostile; its repository, and the handle of a finding."""
    folder = tmp_path_factory.mktemp("hostile")
    bench = Bench(folder)
    bench.use(scanners=[HostileScanner(), LineScanner(ScanType.SECRETS)], fixers=[])
    repo = LocalRepo(folder / "work" / "shop")
    files: dict[str, str | bytes | None] = {
        "a\x1b[31m\u202e\n.txt": "BAD\n",
        "bad.yml": json.dumps({"gate": {TERMINAL["colour"]: 1}}),
        ".fixwright.yml": "engines:\n  required: [semgrep_scan]\n",
    }
    tip = repo.commit(files)
    bench.deliver(PushEvent(INSTALLATION, repo.source, UserRef("ada", "ada"), "main", CommitId("0" * 40), tip), "d1")
    repo.commit({"b\x1b]0;x\x07.txt": "BAD\n"}, branch="feature")
    git(repo.folder, "checkout", "--quiet", "main")
    bench.work()
    bench.pull_request(repo, "feature", title=SENDABLE)
    bench.comment(repo, bench.review(repo, "feature"), "/fix")
    bench.work()
    LocalRepo(folder / "work" / "odd\x1b[31m\u202e")
    handle = _fill(bench, repo)
    yield bench, repo, handle
    bench.close()


def _fill(bench: Bench, repo: LocalRepo) -> str:
    """Everything of which reviews alone make no row; then every text becomes hostile. The handle of a finding."""
    with bench.app.database.work() as work:
        identifier = work.installations.named(repo.source.full_name)[0][0]
        finding: Finding = work.findings.listed(identifier, "main", "open")[0].finding
        person, called = UserRef("1", "ada"), finding.handle or ""
        waiver = Waiver("w1", identifier, SuppressionKind.WAIVER, finding.fingerprint, called, "r", person, date(2026, 11, 1))
        work.waivers.add(waiver, review=None, branch="main", commit="0" * 40)
        work.deliveries.count("github", EVERYTHING, "accepted")
        work.counters.add({("fixwright_messages_total", json.dumps({"kind": EVERYTHING, "outcome": EVERYTHING})): 1.0}, {})
        work.transaction.execute(update(outbox).where(outbox.c.kind == "speak").values(status="dead", finished_at=database_now()))
        work.organizations.settle(one_each=False)
        work.keys.create(work.organizations.named("default").id, "a key", b"")
        for name, columns in HOSTILE_COLUMNS.items():
            table = outbox.metadata.tables[name]
            values = {column: NAME if column == "full_name" else EVERYTHING for column in columns}
            rows = table.c.branch == "main" if "branch" in columns else true()
            work.transaction.execute(update(table).where(rows).values(values))
        row = {"id": f"{SENDABLE}:1", "kind": "worker", "started_at": database_now(), "seen_at": database_now()}
        work.transaction.upsert(processes, [row], ["id"], ["kind"])
    return finding.handle or ""


# --- commands -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", RUNS)
def test_a_terminal_obeys_nothing_that_a_command_prints(
    command: str, poisoned: tuple[Bench, LocalRepo, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench, repo, handle = poisoned
    for name, value in {"STATE_DIR": str(bench.state), "ENGINES_DIR": str(bench.state / "none"), "SECRET_KEY": KEY}.items():
        monkeypatch.setenv(f"FIXWRIGHT_{name}", value)
    monkeypatch.setenv("FIXWRIGHT_LOCAL_WEBHOOK_SECRET", "a test's secret")
    monkeypatch.setenv("FIXWRIGHT_URL", "http://127.0.0.1:9")
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    if command in ("gitlab connect", "gitlab disconnect"):  # which look at no name where nothing is set up
        monkeypatch.setenv("FIXWRIGHT_GITLAB_TOKEN", "a token of this " + "test")
    whole = ""
    with bench.app.database.read() as work:
        (fix,) = work.fixes.newest(1)
    for arguments in RUNS[command]:
        given = [word.replace("HANDLE", handle).replace("A-FIX", fix.id).replace("REPO", str(repo.folder)) for word in arguments]
        capsys.readouterr()
        main([*command.split(), *given])
        said = capsys.readouterr()
        whole += said.out + said.err
        assert terminal_obeys(said.out + said.err) == [], given
        assert [line for line in (said.out + said.err).splitlines() if line.strip() in FORGED] == []
        if "--json" in given:
            json.loads(said.out)
    if command in SHOWN:
        assert "x1b" in whole or "u001b" in whole, "it shows none of the hostile texts: the test would pass with any command"


def test_words_of_hosts_and_errors_do_not_move_a_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE.values():
        print_error(HostRejected(text, hint=text))
        show([Line("host", text, False, text)])
        say(text)
    said = capsys.readouterr()
    assert terminal_obeys(said.out + said.err) == []
    assert len((said.out + said.err).splitlines()) <= 5 * len(HOSTILE)


def test_what_a_fix_tells_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    said = 0
    for text in HOSTILE.values():
        rule = Rule("x.y", text, text, Severity.HIGH, Confidence.HIGH, 1, text)
        finding = Finding(rule, Location(text or "x", 1, 1), "v1:0", "semgrep", handle=Handle("K7Q"))
        patch = Patch((), text, text, "rewrite", (text,))
        for word in ProofWord:
            made = ExploitTest(text or "x", text.encode("utf-8", "surrogatepass"), text, text)
            attack = ExploitRun(made, text, Ran("tests", (), (), 0, 0.0), Ran("tests", (), (), 0, 0.0), offered=True)
            proof = Proof(word, tuple(ProofCheck("tests", passed, text) for passed in (True, False, None)), (text,), exploit=attack)
            fix.tell(Outcome(finding, patch, proof))
            fix.tell_not_proven([Outcome(finding, patch, proof)])
            prove.tell(finding, proof)
            said += 1
        fix.tell(Outcome(finding, None, None))
    whole = capsys.readouterr()
    assert terminal_obeys(whole.out + whole.err) == []
    assert len((whole.out + whole.err).splitlines()) < 15 * said


def test_a_fix_tells_what_is_not_proven_and_why_nothing_could_be_checked(capsys: pytest.CaptureFixture[str]) -> None:
    rule = Rule("x.y", "t", "m", Severity.HIGH, Confidence.HIGH, 1, "h")
    found = [Finding(rule, Location(path, 1, 1), "v1:0", "semgrep") for path in ("a.py", "b.py", "c.py")]
    missing, checks = (
        ("the tests did not run",),
        (ProofCheck("finding gone", None, "semgrep timed out"), ProofCheck("paths", True, "only a.py")),
    )
    proofs = [
        Proof(ProofWord.VERIFIED, (), ("no hostile input",)),
        Proof(ProofWord.RESCANNED, (checks[0],), ("no hostile input", *missing)),
        Proof(ProofWord.UNCHECKED, checks),
    ]
    outcomes = [Outcome(finding, Patch((), "bind"), proof) for finding, proof in zip(found, proofs, strict=True)]
    for outcome in outcomes:
        fix.tell(outcome)
    fix.tell_not_proven(outcomes)
    assert capsys.readouterr().err.splitlines() == [
        "a.py:1  x.y  verified: bind",
        "b.py:1  x.y  re-scanned: bind",
        "c.py:1  x.y  could not check: bind",
        "    semgrep timed out",
        "Not proven: no hostile input.",
        "Not proven of b.py:1: the tests did not run.",
    ]


def test_a_verdict_that_is_said_is_one_line(poisoned: tuple[Bench, LocalRepo, str]) -> None:
    bench, repo, _ = poisoned
    with bench.app.database.read() as work:
        review = work.reviews.newest(PullRequestRef(repo.source, 1))
        assert review is not None
        verdict = work.reviews.verdict(review.id)
    said = line_of(PullRequestRef(replace(repo.source, full_name=NAME), 1), review, verdict)
    assert "\\x1b" in said
    assert terminal_obeys(said + "\n") == []
    assert len(said.splitlines()) == 1


# --- metrics --------------------------------------------------------------------------------------------------------------------------


def test_no_text_breaks_a_line_of_the_metrics(poisoned: tuple[Bench, LocalRepo, str]) -> None:
    made = render(poisoned[0].app).decode()
    families = {family.name: family for family in text_string_to_metric_families(made)}
    assert {sample.labels["kind"] for sample in families["fixwright_messages"].samples if "kind" in sample.labels} >= {visible(EVERYTHING)}
    assert {sample.labels["event"] for sample in families["fixwright_deliveries"].samples} == {visible(EVERYTHING)}
    assert [sample.value for sample in families["fixwright_database_up"].samples] == [1.0]
    assert [
        line for line in made.split("\n") if line and not line.startswith(("# HELP fixwright_", "# TYPE fixwright_", "fixwright_"))
    ] == []
