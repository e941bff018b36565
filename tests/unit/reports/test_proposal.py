"""The pull request of a fix, and every answer under a comment."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given

from pipeline.answers import BODY, DECIDING, Topic, render_answer
from pipeline.branches import signed_off
from pipeline.escaping import size
from pipeline.model.fix import ExploitRun, ExploitTest, FileEdit, Patch, Proof, ProofCheck, ProofWord, Receipt
from pipeline.model.fix import TestRun as Ran
from pipeline.model.ids import CommitId
from pipeline.ports import Capabilities
from pipeline.reports.markdown import (
    Convention,
    Style,
    detect_convention,
    detect_sign_off,
    detect_style,
    render_commit_message,
    render_fix_title,
    render_pull_request_body,
)
from pipeline.triage import proof as proof_gate
from tests.build_reports import leak, weakness
from tests.unit.reports.hostile import FORGED, TEXTS, seen, triggers

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
        ProofCheck("lint", None, "`ruff` is not installed here"),
    ),
    ("no test sends hostile input here",),
)
RECEIPT = Receipt(b'{"payload": "eyJ4IjogMX0=", "signatures": []}', "sha256:5d0e" + "0" * 60)


def body(**more: object) -> str:
    arguments = {"proof": PROOF, "receipt": RECEIPT, "capabilities": Capabilities(), **more}
    return render_pull_request_body(weakness(), PATCH, **arguments)  # type: ignore[arg-type]  # keyword arguments


def test_the_body_says_what_was_wrong_what_changed_and_what_was_proven() -> None:
    paragraphs = body().split("\n\n")
    assert paragraphs[0].startswith("Request data becomes SQL in `app/db.py:41` (`K7Q`, CWE-89): Anyone who can send `username`")
    assert paragraphs[1] == PATCH.explanation
    assert paragraphs[2].startswith("Before: K7Q fires, 16 others. After: 16 others, none new. Tests 212 to 212;")
    assert paragraphs[2].endswith("`ruff` is not installed here. **verified**.")
    assert paragraphs[3] == "Not proven: no test sends hostile input here."
    assert paragraphs[4] == "Receipt `sha256:5d0e00000000…` (`fixwright verify receipt.json --repo .`) · fixer `rewrite`, no model"
    assert "checks filtered by base branch do not run here" in paragraphs[5]


def test_a_body_with_a_test_of_its_own_names_it_where_it_says_that_no_other_fails() -> None:
    run = Ran("python3 -m unittest", ("t",), (), 0, 0.1)
    made = ExploitRun(
        ExploitTest("tests/test_db_sql.py", b"", "an attack", "it got through"), "python3 -m unittest", run, run, offered=True
    )
    blind = proof_gate.check_put_back(run, run, ())
    whole = body(proof=proof_gate.with_exploit(Proof(ProofWord.VERIFIED, (blind,), (proof_gate.NO_HOSTILE_INPUT,)), made, 1.0))
    assert (
        "No test of the repository fails with the old weakness; the one that was made for this fix, tests/test&#95;db&#95;sql.py, does."
        in whole
    )
    assert "The test `tests/test_db_sql.py` sends hostile input: it fails without this change and passes with it." in whole
    assert "none of them" not in whole
    assert "Not proven" not in whole


def test_the_receipt_itself_can_be_copied_out_of_the_body() -> None:
    block = body().split("```json\n")[1].split("\n```")[0]
    assert block.encode() == RECEIPT.envelope


def test_a_body_stays_within_the_host_and_drops_the_receipt_first() -> None:
    limit = size(body()) - 1
    small = body(capabilities=Capabilities(max_body=limit))
    assert size(small) <= limit
    assert "```json" not in small
    assert "**verified**" in small
    assert small.endswith("The receipt does not fit here.")


@pytest.mark.parametrize("room", [300, 800, 60_000])
def test_a_receipt_that_does_not_fit_is_not_dropped_in_silence(room: int) -> None:
    long = Receipt(b'{"payload": "' + b"e" * BODY + b'", "signatures": []}', RECEIPT.digest)
    command = "On the server `fixwright fix receipt F1 --output receipt.json` writes it into a file."
    whole = body(capabilities=Capabilities(max_body=room), receipt=long, fix="F1")
    assert size(whole) <= room
    assert whole.endswith(f"The receipt does not fit here. {command}")
    for topic in ("suggestion", "patch", "pushed"):
        said = render_answer(topic, handle="K7Q", proof=PROOF, receipt=long, fix="F1", patch=PATCH, suggestion="x = 1", diff="+b\n")
        assert "The receipt does not fit here." in said
        assert said.count(command) == 1
        assert size(said) <= BODY


def test_what_was_pushed_comes_with_its_receipt() -> None:
    said = render_answer("pushed", handle="K7Q", proof=PROOF, receipt=RECEIPT, fix="F1", branch="feature", commit="1f5c6bb0")
    assert said.split("```json\n")[1].split("\n```")[0].encode() == RECEIPT.envelope


def test_the_hosts_own_word_is_used() -> None:
    assert "This merge request targets" in body(capabilities=Capabilities(pull_request_word="merge request"))
    assert "targets the branch" not in body(stacked=False)


def test_what_a_person_must_still_do_is_said_first_of_all() -> None:
    patch = Patch(PATCH.edits, explanation="It is read from the environment.", notes=("revoke the key first",))
    text = render_pull_request_body(leak(), patch, PROOF, None, capabilities=Capabilities())
    assert "**Before merging:** revoke the key first." in text
    assert "No receipt" in text


def test_the_pull_request_of_a_secret_says_how_it_goes_out_of_the_history() -> None:
    commit = "9d1f0aa" + "0" * 33
    found = replace(leak(), commit=CommitId(commit))
    stacked = render_pull_request_body(found, PATCH, PROOF, None, capabilities=Capabilities(pull_request_word="merge request"))
    assert "To have it out of the merge request:" in stacked
    assert f"git rebase --interactive {commit[:7]}~1" in stacked
    for other in (
        render_pull_request_body(found, PATCH, PROOF, None, capabilities=Capabilities(), stacked=False),
        render_pull_request_body(replace(leak(), commit=None), PATCH, PROOF, None, capabilities=Capabilities()),
        render_pull_request_body(replace(leak(), commit=CommitId("$(id)")), PATCH, PROOF, None, capabilities=Capabilities()),
    ):
        assert "`git filter-repo --replace-text`" in other
        assert "git rebase" not in other
        assert "$(id)" not in other
    assert "history" not in body(stacked=False)


@pytest.mark.parametrize(
    ("convention", "title"),
    [
        (Convention.SENTENCE, "Bind user name in query"),
        (Convention.LOWER, "bind user name in query"),
        (Convention.CONVENTIONAL, "fix: bind user name in query"),
        (Convention.SCOPED, "fix(db): bind user name in query"),
        (Convention.AREA, "db: bind user name in query"),
    ],
)
def test_the_title_follows_the_repositorys_convention(convention: Convention, title: str) -> None:
    assert render_fix_title(weakness(), PATCH, convention) == title


@pytest.mark.parametrize(
    ("subjects", "convention"),
    [
        ([], Convention.SENTENCE),
        (["Add a page", "Merge branch 'x'", "Fix the menu"], Convention.SENTENCE),
        (["add a page", "fix menu", "Release 1"], Convention.LOWER),
        (["feat: a", "fix: b", "Fix c"], Convention.CONVENTIONAL),
        (["feat(ui): a", "fix(db)!: b", "chore: c"], Convention.SCOPED),
        (["net: keep alive", "cmd/go: say why", "Release 1"], Convention.AREA),
        (["fix: a", "net: keep alive", "cmd/go: say why", "db: b"], Convention.AREA),
    ],
)
def test_the_convention_is_what_most_commits_do(subjects: list[str], convention: Convention) -> None:
    assert detect_convention(subjects) is convention


def test_a_sign_off_is_added_where_the_history_has_them() -> None:
    signed = "Fix a\n\nSigned-off-by: A B <a@b.example>\n"
    assert detect_sign_off([signed, signed, "Fix b"])
    assert not detect_sign_off(["Fix a", "Fix b"])
    message = signed_off(render_commit_message("Bind it", PATCH), "Fixwright", "bot@host.example")
    assert (
        message == "Bind it\n\nThe name is now bound as a parameter; nothing else changes.\n\nSigned-off-by: Fixwright <bot@host.example>\n"
    )
    assert signed_off(message, "A\nCo-authored-by: B", "") == message
    assert signed_off("m", "A\nCo-authored-by: B", "a@b.example").count("\n") == 3


def test_an_area_is_one_that_the_history_names() -> None:
    style = detect_style(["shop: a", "menu: b", "shop: c"])
    assert style == Style(Convention.AREA, frozenset({"shop", "menu"}))
    inside = replace(weakness(), location=replace(weakness().location, path="src/shop/db.py"))
    assert render_fix_title(inside, PATCH, style) == "shop: bind user name in query"
    assert render_fix_title(inside, PATCH, detect_style(["feat(src): a"])) == "fix(src): bind user name in query"


@given(TEXTS)
def test_hostile_texts_stay_harmless_in_a_proposal(text: str) -> None:
    patch = Patch((), title=text, explanation=text, fixer=text, notes=(text,))
    proof = Proof(ProofWord.VERIFIED, (ProofCheck(text, True, text),), (text,))
    finding = weakness(text.replace("\0", "") or "x", detail=text)
    for convention in Convention:
        title = render_fix_title(finding, patch, convention)
        assert size(title) <= 72
        assert title.isprintable()
    assert signed_off(render_commit_message(text, patch), text, text).replace("\n", "").isprintable()
    made = render_pull_request_body(finding, patch, proof, RECEIPT, capabilities=Capabilities())
    assert not FORGED.search(made)
    assert set(seen(made).tags) <= {"p", "strong", "code", "pre", "details", "summary"}
    assert triggers(made, ours="CWE-89") == []


ANSWERS = {
    "permission": "`/fix [HANDLE]` needs write permission on this repository. Nothing was done for it.",
    "not-settled": "The newest commit of this pull request is still being checked. Ask again when the check has ended.",
    "nothing": "Nothing is open here.",
    "which": "Which one? Write `/fix HANDLE` with one of these: `K7Q`, `M2D`.",
    "unknown": "No finding here is called `XXX`. Open here: `K7Q`, `M2D`.",
    "ambiguous": "`XXX` means several findings. Name one by its place: `a.py:1`, `b.py:2`. Write for example `/fix a.py:1`.",
    "gone": "`XXX` is not open any more: the newest commit does not have it.",
    "unknown-command": "There is no command `XXX`. There is: `/fix [HANDLE]`.",
    "refused": "No patch for `K7Q`: no fixer has a patch for this place. Nothing was changed.",
    "pushed": "The fix for `K7Q` is `1f5c6bb` on `feature`: **verified**. Receipt `sha256:5d0e00000000…`. "
    "On the server `fixwright fix receipt F1 --output receipt.json` writes it into a file.",
    "opened": "Opened #12 for `K7Q`: **verified**. Receipt `sha256:5d0e00000000…`.",
}


@pytest.mark.parametrize("topic", sorted(ANSWERS))
def test_every_answer_is_one_plain_sentence_or_two(topic: Topic) -> None:
    said = render_answer(
        topic,
        asked="XXX",
        command="/fix [HANDLE]" if topic == "permission" else "/fix",
        commands=("/fix [HANDLE]",),
        handle="K7Q",
        handles=("K7Q", "M2D"),
        places=("a.py:1", "b.py:2"),
        proof=None if topic == "refused" else PROOF,
        receipt=RECEIPT,
        fix="F1",
        number=12,
        branch="feature",
        commit="1f5c6bb0",
    )
    assert said.split("\n\n<details>")[0] == ANSWERS[topic]


def test_a_refused_patch_says_every_reason() -> None:
    proof = Proof(
        ProofWord.REFUSED, (ProofCheck("a", False, "the finding is still there"), ProofCheck("b", False, "2 tests fail"), PROOF.checks[0])
    )
    said = render_answer("refused", handle="K7Q", proof=proof)
    assert said.split("\n")[2:] == ["- the finding is still there", "- 2 tests fail"]
    assert "**refused**. Nothing was changed." in said


def test_a_merge_request_is_numbered_as_its_host_does() -> None:
    assert render_answer("opened", handle="K7Q", number=3, proof=PROOF, reference_sign="!").startswith("Opened !3 ")


def test_a_suggestion_comes_with_its_proof() -> None:
    said = render_answer("suggestion", handle="K7Q", suggestion="x = 1", proof=PROOF, receipt=RECEIPT, patch=PATCH)
    assert "```suggestion\nx = 1\n```" in said
    assert "**verified**" in said
    assert "Not proven" in said


def test_a_patch_that_cannot_be_shown_says_how_to_make_it() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    assert "```diff\n" + diff + "```" in render_answer("patch", handle="K7Q", diff=diff, proof=PROOF, finding=weakness())
    for unfit in (diff * 3_000, diff + "+\u202e\n", diff + "+<!-- fixwright -->\n"):
        said = render_answer("patch", handle="K7Q", diff=unfit, proof=PROOF)
        assert size(said) <= BODY
        assert "`fixwright fix . --finding K7Q --patch fix.diff` makes it" in said
        assert "```diff" not in said


@given(TEXTS, TEXTS)
def test_hostile_texts_stay_harmless_in_answers(text: str, other: str) -> None:
    proof = Proof(ProofWord.REFUSED, (ProofCheck("x", False, text), ProofCheck("y", True, other)), (text,))
    patch = Patch((), explanation=text)
    for topic, refused in itertools.product(get_args(Topic), (proof, None)):
        said = render_answer(
            topic,
            asked=text,
            command=text,
            commands=(text, other),
            handle="K7Q",
            handles=(text, other),
            places=(text, other),
            error=text,
            proof=refused,
            patch=patch,
            finding=weakness(text.replace("\0", "") or "x"),
            suggestion=text,
            diff=text,
        )
        assert not FORGED.search(said)
        assert set(seen(said).tags) <= {"p", "strong", "code", "pre", "ul", "li"}
        assert triggers(said) == [] or topic == "opened"


def test_the_checks_that_are_told_exist_in_the_gate() -> None:
    assert {proof_gate.GONE, proof_gate.NOTHING_NEW, proof_gate.TESTS, proof_gate.BROKEN} == set(DECIDING)
