"""Which policy judges a change, and what the change is told: broken files, edits, ignores, scopes, speaking, and the owner's policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from bot.cli import main
from pipeline.model.scan import ScanType
from pipeline.store.tables import host_memory, rule_outcomes
from providers.local.record import CheckRecord
from tests.fakes import GoodFixer, LineScanner
from tests.harness import Bench, LocalRepo, git
from tests.stages.github import GithubBench, bad_words
from tests.worlds.faults import Status
from tests.worlds.github.model import CheckRun, Repository

POLICY = ".github/fixwright.yml"
FOREVER = "2999-12-31"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """On one database: nothing here is about the store."""
    made = Bench(tmp_path)
    made.use(scanners=[LineScanner(), LineScanner(ScanType.SECRETS)], fixers=[GoodFixer()])
    made.app.plugins = replace(made.app.plugins, residues=bad_words)
    yield made
    made.close()


def shown(check: CheckRecord) -> str:
    """The check's page as a person reads it."""
    return unescape(check.summary + check.text).replace("\u200b", "")


def judged(bench: Bench, repo: LocalRepo, files: Mapping[str, str | bytes | None], branch: str, base: str = "main") -> CheckRecord:
    """The check of a new pull request."""
    head = repo.commit(files, branch=branch, start=base)
    git(repo.folder, "checkout", "--quiet", base)  # the checked-out branch is a folder's default branch
    bench.review(repo, branch, base)
    return bench.checks(repo, head)[0]


# --- a file that cannot be used -------------------------------------------------------------------------------------------------------


def test_the_last_policy_that_could_be_used_judges_while_a_newer_one_is_broken(bench: Bench, repo: LocalRepo) -> None:
    good = repo.commit({POLICY: "gate: {block: never}\n"})
    assert judged(bench, repo, {"c.txt": "BAD\n"}, "first").conclusion == "success"
    repo.commit({POLICY: "gate: {block: never}\n\npaths:\n  excluded: [c.txt]\n"})
    check = judged(bench, repo, {"d.txt": "BAD\n"}, "second")
    assert check.conclusion == "success"
    above = shown(check).partition("<details>")[0]
    assert f"{POLICY}:4 in the base cannot be used: paths.excluded: there is no such key. In force is {POLICY} at {good[:7]}." in above


def test_a_policy_that_is_taken_away_is_not_the_last_good_one_any_more(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({POLICY: "gate: {block: never}\n"})
    assert judged(bench, repo, {"c.txt": "BAD\n"}, "first").conclusion == "success"
    repo.commit({POLICY: None})
    assert judged(bench, repo, {"d.txt": "BAD\n"}, "second").conclusion == "failure"
    repo.commit({POLICY: "gate: ["})
    assert judged(bench, repo, {"e.txt": "fine\n"}, "third").conclusion == "action_required"


def test_the_policy_of_another_branch_is_nobodys_last_good_one(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({POLICY: "gate: {block: never}\n"}, branch="lax", start="main")
    assert judged(bench, repo, {"c.txt": "BAD\n"}, "into-lax", base="lax").conclusion == "success"
    repo.commit({POLICY: "gate: ["})
    assert judged(bench, repo, {"d.txt": "BAD\n"}, "into-main").conclusion == "failure"


def test_a_policy_that_is_too_large_is_not_taken_for_none(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({POLICY: b"#" * 1_100_000})
    assert judged(bench, repo, {"c.txt": "fine\n"}, "first").conclusion == "action_required"


# --- a change of the policy -----------------------------------------------------------------------------------------------------------


def test_a_change_of_the_policy_is_told_what_it_would_do_and_gains_nothing_by_it(bench: Bench, repo: LocalRepo) -> None:
    files = {POLICY: "gate:\n  block: never\nwaivers: {by_author: true}\n", "c.txt": "BAD one\nBAD two\n"}
    check = judged(bench, repo, files, "feature")
    said = shown(check)
    assert check.conclusion == "failure"
    assert "gate.block from high to never" in said
    assert "waivers.by_author from false to true" in said
    assert "2 findings that block now would only warn" in said


def test_a_change_that_would_break_the_policy_is_told_at_the_line(bench: Bench, repo: LocalRepo) -> None:
    check = judged(bench, repo, {POLICY: "gate:\n  block: high\n  warm: low\ntests: {timeout: 0}\n"}, "feature")
    assert check.conclusion == "success"
    assert f"{POLICY}:3" in shown(check)
    notes = [(note.path, note.line, note.message.partition(".")[0]) for note in check.annotations]
    assert notes == [(POLICY, 3, "gate"), (POLICY, 4, "tests")]


def test_a_change_that_mends_the_policy_is_told_so(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({POLICY: "gate: {block: never}\n"})
    judged(bench, repo, {"c.txt": "fine\n"}, "first")
    repo.commit({POLICY: "gate: ["})
    check = judged(bench, repo, {POLICY: "gate: {block: low}\n", "d.txt": "BAD\n"}, "second")
    said = shown(check)
    assert "gate.block from never to low" in said
    assert "1 finding that warns now would block" in said
    assert "cannot be used" in said


def test_a_policy_that_would_not_look_any_more_says_so(bench: Bench, repo: LocalRepo) -> None:
    check = judged(bench, repo, {POLICY: "paths: {exclude: ['*.txt']}\n", "c.txt": "BAD\n"}, "feature")
    assert "1 finding that blocks now would not be looked for" in shown(check)
    assert check.conclusion == "failure"


def test_a_comment_in_the_policy_changes_nothing_and_is_said_to(bench: Bench, repo: LocalRepo) -> None:
    check = judged(bench, repo, {POLICY: "# ours\n"}, "feature")
    assert "everything would stay as it is" in shown(check)


# --- what may stand -------------------------------------------------------------------------------------------------------------------


def _ignoring(until: str, more: str = "") -> str:
    return f"ignore:\n  - rule: fake.bad-line\n    reason: an example of what is bad\n    until: {until}\n{more}"


def test_what_the_bases_policy_ignores_is_waived_with_its_reason(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({POLICY: _ignoring(FOREVER, "    path: c.txt\n")})
    check = judged(bench, repo, {"c.txt": "BAD\n", "d.txt": "fine\n"}, "feature")
    assert check.conclusion == "success"
    assert "an example of what is bad" in shown(check)
    assert judged(bench, repo, {"d.txt": "BAD\n"}, "other").conclusion == "failure"


@pytest.mark.parametrize("until", ["2020-01-01", "2027-02-31", "soon"])
def test_an_ignore_that_is_over_lets_the_finding_block_again_as_expired(bench: Bench, repo: LocalRepo, until: str) -> None:
    repo.commit({POLICY: _ignoring(until)})
    check = judged(bench, repo, {"c.txt": "BAD\n"}, "feature")
    assert check.conclusion == "failure"
    assert "expired" in shown(check)


def test_a_change_cannot_ignore_its_own_finding(bench: Bench, repo: LocalRepo) -> None:
    check = judged(bench, repo, {POLICY: _ignoring(FOREVER), "c.txt": "BAD\n"}, "feature")
    assert check.conclusion == "failure"
    assert "1 finding that blocks now would be ignored" in shown(check)


def test_a_comment_of_the_change_lets_nothing_stand_and_is_told_when_it_counts(bench: Bench, repo: LocalRepo) -> None:
    check = judged(bench, repo, {"c.py": "# fixwright: ignore[fake.bad-line] only an example\nBAD = 1\n"}, "feature")
    assert check.conclusion == "failure"
    assert "The comment at c.py:1 counts once it is in the base" in shown(check)


def test_a_comment_of_the_base_that_is_moved_to_a_new_finding_lets_nothing_stand(bench: Bench, repo: LocalRepo) -> None:
    comment = "# fixwright: ignore[fake.bad-line] only an example\n"
    repo.commit({"c.py": f"{comment}BAD = 1\nfine = 2\n"})
    check = judged(bench, repo, {"c.py": f"BAD = 1\n{comment}BAD = 2\n"}, "moved")
    assert check.conclusion == "failure" and "1 blocks" in check.title
    same = judged(bench, repo, {"c.py": f"fine = 2\n{comment}BAD = 1\n"}, "older")
    assert same.conclusion == "success"


# --- scopes and speaking --------------------------------------------------------------------------------------------------------------

SCOPES = "scopes:\n  tests: {paths: [tests/], block: never}\n  pay: {paths: [pay/], owners: ['@acme/pay', ada]}\n"


def test_a_finding_is_shown_with_its_scope_and_owners_and_mentions_nobody(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({POLICY: SCOPES})
    check = judged(bench, repo, {"pay/c.txt": "BAD\n"}, "feature")
    assert check.conclusion == "failure"
    assert "in pay (acme/pay, ada)" in shown(check)
    assert "@" not in shown(check)


def test_each_scope_has_its_own_gate(bench: Bench, repo: LocalRepo) -> None:
    repo.commit({POLICY: SCOPES})
    check = judged(bench, repo, {"tests/c.txt": "BAD\n"}, "feature")
    assert check.conclusion == "success"
    assert "1 warns" in check.title


@pytest.mark.parametrize(
    ("rule", "threads"),
    [("", 3), ("speak: {threads: 2}\n", 2), ("speak: {threads: 0}\n", 0)],
)
def test_the_policy_says_how_many_threads_there_are(bench: Bench, repo: LocalRepo, rule: str, threads: int) -> None:
    repo.commit({POLICY: rule or "{}\n"})
    head = repo.commit({"c.txt": "BAD 1\nBAD 2\nBAD 3\n"}, branch="feature", start="main")
    ref = bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    said = bench.said(repo, ref)
    assert len(said.threads) == threads
    # What has no thread has its note on the line: never both, never neither.
    assert len(check.annotations) == 3 - threads


def test_each_copy_of_a_finding_is_seen_where_it_stands_and_one_thread_is_opened(bench: Bench, repo: LocalRepo) -> None:
    head = repo.commit({"c.txt": "BAD\n", "d.txt": "BAD\n"}, branch="feature", start="main")
    said = bench.said(repo, bench.review(repo, "feature"))
    assert len(said.threads) == 1
    assert [note.path for note in bench.checks(repo, head)[0].annotations] == ["c.txt", "d.txt"]


# --- the owner's policy ---------------------------------------------------------------------------------------------------------------


PARENT = "/repos/octo/.github/contents/fixwright.yml"


def asked(github: GithubBench) -> int:
    """How often the owner's policy was asked for."""
    return sum(1 for one in github.world.asked if one.method == "GET" and one.path.split("?")[0].endswith(PARENT))


def checked(github: GithubBench, shop: Repository, files: Mapping[str, str | bytes | None], branch: str) -> CheckRun:
    """The check of a new pull request."""
    pull = github.change(shop, files, branch)
    github.settle()
    (run,) = github.runs(shop, pull.head_sha)
    return run


def a_minute_later(github: GithubBench) -> None:
    """What is known of the owner's policy for a minute only is forgotten."""
    with github.app.database.work() as work:
        fresh = host_memory.c.key.like("policy-parent:%") & ~host_memory.c.key.like("%:last")
        assert work.transaction.changed(delete(host_memory).where(fresh)) == 1


def said(run: CheckRun) -> str:
    return unescape((run.summary or "") + (run.text or "")).replace("\u200b", "")


def shop(github: GithubBench, parent: str, own: str = "") -> Repository:
    """A repository below an owner's policy."""
    github.world.create_repository("octo", ".github", files={"fixwright.yml": parent})
    return github.repository({"a.txt": "fine\n", **({POLICY: own} if own else {})})


def test_what_the_owner_says_rules_every_repository_below(github: GithubBench) -> None:
    run = checked(github, shop(github, "gate: {block: never}\n"), {"c.txt": "BAD\n"}, "feature")
    assert run.conclusion == "success"
    assert "octo/.github: fixwright.yml" in said(run)


def test_a_repository_tightens_freely_and_loosens_only_what_is_allowed(github: GithubBench) -> None:
    own = "gate:\n  block: never\n  confidence: low\npaths:\n  exclude: ['*.md']\nspeak: {threads: 0}\n"
    made = shop(github, "allow: [paths.exclude]\n", own)
    run = checked(github, made, {"c.txt": "BAD\n", "d.md": "BAD\n"}, "feature")
    assert run.conclusion == "failure"
    assert (run.title or "").startswith("1 blocks")
    assert f"{POLICY}:2 at {made.git.branch('main')[:7]}: gate.block would loosen" in said(run)  # type: ignore[index]  # there is a main
    assert "paths.exclude would loosen" not in said(run)


def test_the_owners_policy_is_asked_for_once_a_minute(github: GithubBench) -> None:
    made = shop(github, "gate: {block: never}\n")
    checked(github, made, {"c.txt": "BAD\n"}, "first")
    first = asked(github)
    assert first >= 1
    assert checked(github, made, {"d.txt": "BAD\n"}, "second").conclusion == "success"
    assert asked(github) == first
    a_minute_later(github)
    checked(github, made, {"e.txt": "BAD\n"}, "third")
    assert asked(github) > first


def test_a_broken_policy_of_the_owner_leaves_the_last_good_one_in_force(github: GithubBench) -> None:
    made = shop(github, "gate: {block: never}\n")
    assert checked(github, made, {"c.txt": "BAD\n"}, "first").conclusion == "success"
    parent = github.world.github.state.repository("octo", ".github")
    assert parent is not None
    github.world.commit(parent, "main", {"fixwright.yml": "gate:\n  blocks: high\n"})
    a_minute_later(github)
    run = checked(github, made, {"d.txt": "BAD\n"}, "second")
    assert run.conclusion == "success"
    assert "octo/.github: fixwright.yml:2: gate.blocks: there is no such key. The owner's policy cannot be used" in said(run)


def test_a_policy_of_the_owner_that_never_could_be_used_makes_no_check_green(github: GithubBench) -> None:
    made = shop(github, "gate: [", "gate: {block: never}\non_incomplete: warn\n")
    run = checked(github, made, {"c.txt": "fine\n"}, "feature")
    assert run.conclusion == "action_required"
    assert "octo/.github: fixwright.yml" in said(run)
    assert checked(github, made, {"c.txt": "BAD\n"}, "other").conclusion == "failure"


def test_a_policy_of_the_owner_that_is_taken_away_is_not_its_last_good_one_any_more(github: GithubBench) -> None:
    made = shop(github, "gate: {block: never}\n")
    assert checked(github, made, {"c.txt": "BAD\n"}, "first").conclusion == "success"
    parent = github.world.github.state.repository("octo", ".github")
    assert parent is not None
    github.world.commit(parent, "main", {"fixwright.yml": None, "README.md": "none\n"})
    a_minute_later(github)
    assert checked(github, made, {"d.txt": "BAD\n"}, "second").conclusion == "failure"
    github.world.commit(parent, "main", {"fixwright.yml": "gate: ["})
    a_minute_later(github)
    assert checked(github, made, {"e.txt": "fine\n"}, "third").conclusion == "action_required"


def test_a_broken_policy_of_a_repository_is_no_matter_of_what_the_owner_says_of_incomplete_checks(github: GithubBench) -> None:
    run = checked(github, shop(github, "on_incomplete: warn\n", "gate: ["), {"c.txt": "fine\n"}, "feature")
    assert run.conclusion == "action_required"


def test_a_host_that_fails_is_asked_again_before_anything_is_said(github: GithubBench) -> None:
    made = shop(github, "gate: {block: never}\n")
    github.world.faults.add("GET", PARENT, Status(502), times=2)
    assert checked(github, made, {"c.txt": "BAD\n"}, "feature").conclusion == "success"


def test_while_the_host_fails_the_last_policy_of_the_owner_is_in_force(github: GithubBench) -> None:
    made = shop(github, "gate: {block: never}\n")
    checked(github, made, {"c.txt": "BAD\n"}, "first")
    a_minute_later(github)
    github.world.faults.add("GET", PARENT, Status(502), times=1_000)
    run = checked(github, made, {"d.txt": "BAD\n"}, "second")
    assert run.conclusion == "success"
    assert "The owner's policy cannot be read now; the last one that could be is in force." in said(run)


def test_while_the_host_fails_nothing_is_judged_under_a_policy_of_the_owner_that_never_could_be_used(github: GithubBench) -> None:
    made = shop(github, "gate: [")
    assert checked(github, made, {"c.txt": "fine\n"}, "first").conclusion == "action_required"
    parent = github.world.github.state.repository("octo", ".github")
    assert parent is not None
    github.world.commit(parent, "main", {"fixwright.yml": "gate: {block: never}\n"})
    a_minute_later(github)
    github.world.faults.add("GET", PARENT, Status(502), times=8)
    assert checked(github, made, {"d.txt": "BAD\n"}, "second").conclusion == "success", "it is asked for until it is there"


def test_a_change_of_the_owners_policy_is_told_what_it_would_change_for_all(github: GithubBench) -> None:
    parent = github.world.create_repository("octo", ".github", files={"fixwright.yml": "gate: {block: high}\n"})
    github.world.set_permission("ada", parent, "write")
    run = checked(github, parent, {"fixwright.yml": "gate: {block: never}\n"}, "feature")
    assert "the policy above every repository of octo. Once merged: gate.block from high to never." in said(run)
    broken = checked(github, parent, {"fixwright.yml": "gate:\n  blok: never\n"}, "broken")
    assert "fixwright.yml:2: gate.blok: there is no such key. Merged like this, it could not be used." in said(broken)


def test_a_scan_of_everything_lists_what_the_base_lets_stand_as_ignored(
    github: GithubBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "a.py": "# fixwright: ignore[fake.bad-line] only an example\nBAD = 1\n",
        "b.py": "BAD = 2\n",
        "c.py": 'text = """\n# fixwright: ignore[fake.bad-line] no comment\nBAD = 3\n"""\n',
        POLICY: f"ignore: [{{path: b.py, reason: goes away soon, until: {FOREVER}}}]\n",
    }
    made = github.repository(files)
    installation = github.world.installation_of(made)
    assert installation is not None
    github.world.github.actions.events.repositories(installation, [made], [])
    github.settle()
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(github.state))
    assert main(["findings", "list", "octo/shop", "--json"]) == 1
    listed = {one["places"][0]["path"]: one["suppression"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert listed == {
        "a.py": {"kind": "code", "reason": "only an example", "by": "a.py:1", "until": None},
        "b.py": {"kind": "policy", "reason": "goes away soon", "by": listed["b.py"]["by"], "until": FOREVER},
        "c.py": None,
    }
    assert listed["b.py"]["by"].startswith(f"{POLICY}:1 at ")
    main(["findings", "list", "octo/shop"])
    assert "[ignored: only an example]" in capsys.readouterr().out


def test_a_comment_counts_from_the_merge_that_brings_it_and_neither_before_nor_in_the_queue(github: GithubBench) -> None:
    made = github.repository({"a.txt": "fine\n"})
    pull = github.change(made, {"c.py": "# fixwright: ignore[fake.bad-line] only an example\nBAD = 1\n"}, "feature")
    github.settle()
    (run,) = github.runs(made, pull.head_sha)
    assert run.conclusion == "failure"
    assert "The comment at c.py:1 counts once it is in the base" in said(run)
    group = github.world.queue(pull)
    github.settle()
    (run,) = github.runs(made, group.head_sha)
    assert run.conclusion == "failure"
    github.world.merge("ada", pull, "squash")
    github.settle()
    (run,) = github.runs(made, made.git.branch("main") or "")
    assert run.conclusion == "success"
    assert "only an example" in said(run)
    worse = github.world.commit(made, "main", {"d.py": "BAD = 2\n"})
    github.settle()
    (run,) = github.runs(made, worse)
    assert run.conclusion == "failure"


def test_a_rule_speaks_by_what_people_made_of_its_findings(bench: Bench, repo: LocalRepo) -> None:
    """Each step is another change with the same kind of finding; nothing of the change itself can say how it is heard."""
    bench.use(scanners=[LineScanner()], fixers=[])

    def said(name: str, **outcomes: int) -> tuple[int, str | None]:
        with bench.app.database.work() as work:
            work.organizations.settle(one_each=False)
            mine = work.organizations.named("default").id
            work.transaction.execute(delete(rule_outcomes))
            rows = [{"organization_id": mine, "rule_id": "fake.bad-line", "outcome": key, "count": n} for key, n in outcomes.items()]
            if rows:
                work.transaction.execute(insert(rule_outcomes).values(rows))
        head = repo.commit({f"{name}.txt": "BAD 1\n"}, branch=name, start="main")
        git(repo.folder, "checkout", "--quiet", "main")
        ref = bench.review(repo, name)
        (check,) = bench.checks(repo, head)
        assert len(check.annotations) == 1 - len(bench.said(repo, ref).threads)
        return len(bench.said(repo, ref).threads), check.conclusion

    assert said("unknown") == (0, "failure")
    assert said("right", fixed=19) == (0, "failure")
    assert said("enough", fixed=20) == (1, "failure")
    bench.use(scanners=[LineScanner()], fixers=[GoodFixer()])
    assert said("with-a-fix") == (1, "failure")
    # Quiet is no lower bar: what blocks does so still.
    assert said("unwanted", fixed=1, let_stand=11) == (0, "failure")
