"""One suite for every report format, and the golden files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.reports
from bot.cli.scan import FORMATS
from pipeline.answers import (
    WaiverTopic,
    render_answer,
    render_button_refused,
    render_fixes,
    render_help,
    render_status,
    render_waive_lines,
    render_waiver_answer,
)
from pipeline.model.command import Situation
from pipeline.model.finding import Finding, Standing, Suppression, SuppressionKind
from pipeline.model.fix import FileEdit, Fix, FixStatus, Patch, Proof, ProofCheck, ProofWord, Receipt
from pipeline.model.ids import CommitId, FindingId, FixId, Handle, RepositoryId, ReviewId
from pipeline.model.report import Check, Report
from pipeline.model.review import Conclusion, ReviewStatus
from pipeline.model.target import PullRequestRef, SourceRepository
from pipeline.plugins import discover
from pipeline.ports import Capabilities, Renderer
from pipeline.reports.markdown import (
    render_check,
    render_comment,
    render_confided,
    render_failed,
    render_progress,
    render_pull_request_body,
    render_thread,
    render_waived,
    render_withdrawn,
)
from tests.build_reports import HEAD, NOT_INSTALLED, coverage, hostile_report, judged, leak, many, report, typical, weakness
from tests.unit.reports.hostile import TEXTS

GOLDEN = Path(__file__).parents[1] / "golden"
RENEW = "FIXWRIGHT_RENEW_GOLDEN"

RENDERERS = discover(pipeline.reports, "RENDERER", Renderer)


def test_every_format_of_the_command_line_is_there() -> None:
    assert set(RENDERERS) == {"codequality", "gitlab-sast", "gitlab-secrets", "json", "markdown", "sarif", "text"}
    assert set(FORMATS) == set(RENDERERS)


CODE_ONLY, SECRETS_ONLY = {"gitlab-sast"}, {"gitlab-secrets"}
"""Formats that leave the other kind of finding to each other."""


@pytest.mark.parametrize("name", RENDERERS)
def test_the_same_report_gives_the_same_bytes(name: str) -> None:
    assert RENDERERS[name].render(typical()) == RENDERERS[name].render(typical())


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("given_report", [report(), Report(report().verdict), many(500)], ids=["clean", "bare", "many"])
def test_a_document_is_whole_and_ends_with_a_line_feed(name: str, given_report: Report) -> None:
    made = RENDERERS[name].render(given_report)
    assert made.decode("utf-8").endswith("\n")
    assert not made.endswith(b"\n\n")


@pytest.mark.parametrize("name", RENDERERS)
@given(text=TEXTS)
@settings(max_examples=60, deadline=None)
def test_no_document_holds_a_control_character_or_one_of_our_markers(name: str, text: str) -> None:
    made = RENDERERS[name].render(hostile_report(text)).decode("utf-8")
    assert all(line.isprintable() or not line for line in made.split("\n"))
    if name == "markdown":
        assert "<!--" not in made


@pytest.mark.parametrize("name", RENDERERS)
def test_no_document_holds_the_hash_or_the_line_of_a_secret(name: str) -> None:
    finding = replace(leak(value="keyed-hash-of-it"), excerpt="the whole line", detail="the value itself")
    made = RENDERERS[name].render(report(judged(finding), excerpts={finding.fingerprint: ((7, "the whole line"),)})).decode()
    assert ("7Q2M" in made) is (name not in CODE_ONLY)
    for kept_back in ("keyed-hash-of-it", "the whole line"):
        assert kept_back not in made


@pytest.mark.parametrize("name", RENDERERS)
@given(count=st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_every_finding_is_in_every_document_of_its_kind(name: str, count: int) -> None:
    found = many(count)
    if name in SECRETS_ONLY:
        made = [replace(j, finding=replace(leak(j.finding.location.path), handle=j.finding.handle)) for j in found.verdict.judged]
        found = report(*made)
    made_of_it = RENDERERS[name].render(found).decode()
    assert all(f"H{n}" in made_of_it for n in range(count))


# --- golden files ---------------------------------------------------------------------------------------------------------------------

HOST = Capabilities()
PATCH = Patch(
    (FileEdit("app/db.py", b"a\n", b"b\n"),),
    title="bind user name in query",
    explanation="The name is now bound as a parameter; nothing else changes.",
    fixer="rewrite",
)
PROOF = Proof(
    ProofWord.VERIFIED,
    (
        ProofCheck("finding gone", True, "Before: K7Q fires, 16 others. After: 16 others, none new."),
        ProofCheck("tests", True, "Tests 212 to 212; 9 run the changed line, 9 of 9 fail when it is broken on purpose."),
    ),
    ("no test sends hostile input here",),
)
RECEIPT = Receipt(b'{"payload": "eyJ4IjogMX0=", "signatures": []}', "sha256:5d0e" + "0" * 60)
SQL: Finding = weakness(detail="comes from `request.form` (line 38)")
UNTIL = date(2027, 2, 20)
BY_BOB = Suppression(SuppressionKind.WAIVER, "a fixture, see `tests/`", "bob", UNTIL, since=date(2026, 11, 22))
REVOKED = Suppression(SuppressionKind.ROTATED, "revoked in the console", "carol", since=date(2026, 11, 22))
WAIVED = report(
    replace(judged(weakness(), Standing.WAIVED), suppression=BY_BOB), replace(judged(leak(), Standing.WAIVED), suppression=REVOKED)
)
EXPIRED = report(replace(judged(weakness()), suppression=replace(BY_BOB, expired=True)))
BROKEN = report(ledger=coverage(NOT_INSTALLED), incomplete=": semgrep is not installed here")


def page(check: Check) -> str:
    """A check as one text."""
    conclusion = check.conclusion.value if check.conclusion else "in progress"
    notes = [f"{a.level} {a.path}:{a.line}-{a.end_line}\n{a.title}\n{a.message}" for a in check.annotations]
    parts = (f"{conclusion}: {check.title}", check.summary, check.text, *notes)
    return "\n\n----\n\n".join(part for part in parts if part) + "\n"


def answers() -> str:
    """Every answer, one after the other."""
    common = {"asked": "XXX", "handle": "K7Q", "handles": ("K7Q", "M2D"), "places": ("app/db.py:41", "app/db.py:90")}
    said = [
        render_answer("permission", command="/fix [HANDLE]"),
        render_answer("not-settled"),
        render_answer("nothing"),
        *(
            render_answer(topic, command="/fix", **common)  # type: ignore[arg-type]  # by keyword
            for topic in ("which", "unknown", "ambiguous", "gone")
        ),
        render_answer("scan", asked=HEAD),
        render_answer("scan-running", asked=HEAD),
        render_answer("given-up", error="GitHub did not answer"),
        render_answer("too-many", number=5),
        render_answer("unknown-command", asked="/waive", commands=("/fix [HANDLE]",)),
        render_answer("refused", handle="K7Q"),
        render_answer("refused", handle="K7Q", proof=Proof(ProofWord.REFUSED, (ProofCheck("gone", False, "the finding is still there"),))),
        render_answer("suggestion", handle="K7Q", suggestion="    run(query, (name,))", proof=PROOF, receipt=RECEIPT, patch=PATCH),
        render_answer("patch", handle="K7Q", diff="--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", proof=PROOF, receipt=RECEIPT, finding=SQL),
        render_answer("opened", handle="K7Q", number=12, proof=PROOF, receipt=RECEIPT),
    ]
    return "\n\n----\n\n".join(said) + "\n"


def waiver_answers() -> str:
    """Every answer to `/waive` and `/rotated`."""
    topics: tuple[WaiverTopic, ...] = get_args(WaiverTopic)
    said = [
        f"{topic}: " + render_waiver_answer(topic, handle="K7Q", until=UNTIL, reason="a fixture, see #12", handles=("K7Q", "M2D"))
        for topic in topics
    ]
    return "\n\n".join([*said, render_waiver_answer("waived", handle="K7Q", place="app/db.py:41", until=UNTIL, reason="a fixture")]) + "\n"


def button_answers() -> str:
    """What the buttons of a check say."""
    fix = Fix(FixId("f"), RepositoryId("r"), ReviewId("v"), FindingId("i"), Handle("K7Q"), FixStatus.RUNNING)
    opened = PullRequestRef(SourceRepository("github", "github.com", "1", "octo/shop", "main", "https://github.com/octo/shop.git"), 12)
    fixes = [
        fix,
        replace(fix, handle=Handle("M2D"), status=FixStatus.COMPLETED, proof=PROOF, pull_request=opened),
        replace(fix, handle=Handle("B3B"), status=FixStatus.PR_CREATION_FAILED, proof=PROOF),
        replace(fix, handle=Handle("C4C"), place="app/db.py:41", status=FixStatus.FAILED, error="no fixer has a patch for this place"),
    ]
    blocking = [judged(weakness()), judged(weakness(line=90, handle="M2D", what="other"))]
    return "\n\n----\n\n".join([render_button_refused("Fix all"), render_fixes(fixes, left=3), render_waive_lines(blocking, UNTIL)]) + "\n"


def statuses() -> str:
    """Answers to `/status` and `/help`."""
    scanning = Situation(CommitId(HEAD), ReviewStatus.SCANNING, 12.0, 3)
    done = Situation(CommitId(HEAD), ReviewStatus.DONE, 12.0, error="HOST_UNAVAILABLE")
    said = [
        render_status(None, None),
        render_status(scanning, None),
        render_status(done, typical().verdict),
        render_status(done, WAIVED.verdict),
        render_help((("/fix [HANDLE]", "makes a patch for a finding, proves it and offers it."), ("/help", "lists the commands."))),
    ]
    return "\n\n----\n\n".join(said) + "\n"


SCENES: dict[str, Callable[[], str]] = {
    "check.md": lambda: page(render_check(typical(), HOST, key="k", threaded=frozenset({SQL.fingerprint}))),
    "check-clean.md": lambda: page(render_check(report(), HOST, key="k")),
    "check-incomplete.md": lambda: page(
        render_check(replace(BROKEN, verdict=replace(BROKEN.verdict, conclusion=Conclusion.ACTION_REQUIRED)), HOST, key="k")
    ),
    "check-many.md": lambda: page(replace(render_check(many(60), Capabilities(max_body=4_000), key="k"), annotations=())),
    "check-others.md": lambda: "\n".join(
        page(check)
        for check in (
            render_progress(key="k", commits=3),
            render_withdrawn("Superseded by 7bc90d1", key="k"),
            render_failed("the store is full", key="k"),
        )
    ),
    "thread-sql.md": lambda: (
        render_thread(
            judged(SQL),
            typical(),
            suggestion="    run(query, (name,))",
            fix_note="The name is bound as a parameter.",
            word=ProofWord.RESCANNED,
        )
        + "\n"
    ),
    "thread-secret.md": lambda: (
        render_thread(judged(leak()), typical(), suggestion=None, fix_note="It is read from the environment.", word=ProofWord.RESCANNED)
        + "\n"
    ),
    "comment.md": lambda: render_comment(typical(), HOST, since="7bc90d1", check_url="https://host.example/checks/1") + "\n",
    "comment-without-check-page.md": lambda: render_comment(many(9), Capabilities(check_pages=False)) + "\n",
    "comment-for-members.md": lambda: render_confided((judged(leak()),), typical(), Capabilities(pull_request_word="merge request")) + "\n",
    "comment-elsewhere.md": lambda: (
        render_comment(
            replace(typical(), verdict=replace(typical().verdict, confided=2)),
            Capabilities(check_pages=False, annotations=0),
            threaded=frozenset({SQL.fingerprint}),
        )
        + "\n"
    ),
    "pull-request.md": lambda: render_pull_request_body(SQL, PATCH, PROOF, RECEIPT, capabilities=HOST) + "\n",
    "answers.md": answers,
    "answers-waivers.md": waiver_answers,
    "answers-buttons.md": button_answers,
    "status.md": statuses,
    "check-waived.md": lambda: page(render_check(WAIVED, HOST, key="k")) + "\n" + page(render_check(EXPIRED, HOST, key="k")),
    "thread-waived.md": lambda: (
        "\n\n----\n\n".join(
            [
                *(render_waived(one) for one in WAIVED.verdict.judged),
                render_thread(EXPIRED.verdict.judged[0], EXPIRED, suggestion=None),
            ]
        )
        + "\n"
    ),
    "scan.txt": lambda: RENDERERS["text"].render(typical()).decode(),
    "scan-incomplete.txt": lambda: RENDERERS["text"].render(BROKEN).decode(),
    "scan.json": lambda: RENDERERS["json"].render(typical()).decode(),
    "scan.sarif": lambda: RENDERERS["sarif"].render(typical()).decode(),
    "scan.md": lambda: RENDERERS["markdown"].render(typical()).decode(),
    "scan.codequality.json": lambda: RENDERERS["codequality"].render(typical()).decode(),
    "scan.gitlab-sast.json": lambda: RENDERERS["gitlab-sast"].render(typical()).decode(),
    "scan.gitlab-secrets.json": lambda: RENDERERS["gitlab-secrets"].render(typical()).decode(),
}


@pytest.mark.parametrize("name", sorted(SCENES))
def test_what_is_shown_is_what_was_agreed(name: str) -> None:
    made, file = SCENES[name](), GOLDEN / name
    if os.environ.get(RENEW) == "1":
        file.write_text(made, encoding="utf-8")
    assert file.exists(), f"{name} is new: see tests/golden/README.md"
    assert made == file.read_text(encoding="utf-8")


def test_every_golden_file_belongs_to_a_scene() -> None:
    assert {file.name for file in GOLDEN.iterdir()} - {"README.md"} == set(SCENES)
