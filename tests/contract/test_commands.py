"""One suite for every slash command: decisions as data, whatever a person types; and what `/fix` chooses."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline.commands
import providers
from pipeline.messages import CancelFix, FixAll, Message, Reply, RequestFix, StartReview, Waive
from pipeline.model.command import CommandCall, Mending, Situation
from pipeline.model.event import CommentRef
from pipeline.model.finding import (
    BaselineState,
    Confidence,
    Finding,
    Judged,
    Location,
    Rule,
    Secret,
    Severity,
    Standing,
    SuppressionKind,
)
from pipeline.model.fix import Fix, FixStatus
from pipeline.model.ids import CommitId, FindingId, FixId, Handle, InstallationId, RepositoryId, ReviewId
from pipeline.model.review import ReviewStatus
from pipeline.model.target import Installation, Permission, PullRequestRef, SourceRepository, UserRef
from pipeline.plugins import discover
from pipeline.ports import Command, Provider, ReviewView
from pipeline.stages.accept.lines import COMMAND, as_typed, is_near, parse_lines, pattern

COMMANDS = discover(pipeline.commands, "COMMAND", Command)
every_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))

REPOSITORY = SourceRepository("github", "github.com", "1", "octo/shop", "main", "https://github.com/octo/shop.git")
INSTALLATION = Installation(InstallationId("i"), "github", "github.com", "octo", "7")
COMMENT = CommentRef(PullRequestRef(REPOSITORY, 3), "99")
RULE = Rule("fake.rule", "Something is wrong", "It is wrong.", Severity.HIGH, Confidence.HIGH, 79)
EMPTY = ReviewView(None)


def call(command: str, arguments: str = "", marker: str = "") -> CommandCall:
    return CommandCall(command, arguments, UserRef("5", "ada"), COMMENT, INSTALLATION, marker)


def judged(
    handle: str, line: int = 1, standing: Standing = Standing.BLOCKS, baseline: BaselineState = BaselineState.NEW, fingerprint: str = ""
) -> Judged:
    finding = Finding(RULE, Location("app.py", line, line), fingerprint or f"v1:{handle}", "semgrep", handle=Handle(handle))
    return Judged(finding, baseline, standing, in_diff=True)


def view(*found: Judged, settled: bool = True) -> ReviewView:
    return ReviewView(ReviewId("r1"), settled, found)


def ours(*found: Judged, openly: bool = False, remembered: bool = True) -> ReviewView:
    """The page of a pull request of ours, which mends K7Q."""
    known = judged("K7Q").finding
    fix = Fix(FixId("f1"), RepositoryId("p1"), ReviewId("r0"), FindingId("n1"), Handle("K7Q"), FixStatus.COMPLETED, attempt=2)
    mends = Mending(fix, known.fingerprint, known if remembered else None, openly=openly)
    return ReviewView(ReviewId("r1"), True, found, mends=mends)


VIEWS = [
    EMPTY,
    view(settled=False),
    view(),
    view(judged("K7Q")),
    view(judged("K7Q"), judged("M4X", 2)),
    ours(judged("M4X", 2)),
    ours(openly=True),
]


# --- every command ---


def test_the_commands_of_this_version_are_there() -> None:
    assert list(COMMANDS) == ["cancel", "explain", "fix", "help", "refine", "rotated", "scan", "status", "waive"]


@every_command
def test_it_can_be_typed_and_its_usage_says_how(command: Command) -> None:
    found = COMMAND.search(f"Thanks!\n/{command.name} K7Q please\n")
    assert found is not None
    assert (found["name"], found["arguments"]) == (command.name, "K7Q please")
    browser = COMMAND.search(f"/{command.name} K7Q\r\nThanks!\r\n")
    assert browser is not None
    assert browser["arguments"] == "K7Q"
    assert re.match(rf"/{command.name}\b", command.usage)
    assert "\n" not in command.usage
    assert len(command.usage) <= 80
    assert command.about.endswith(".")
    assert len(command.about) <= 120
    (line,) = parse_lines(f"/{command.name.upper()} K7Q", COMMANDS)
    assert (line.command, line.arguments) == (command, "K7Q")


@every_command
def test_nobody_without_any_permission_may_call_it(command: Command) -> None:
    assert command.permission in (Permission.READ, Permission.WRITE, Permission.ADMIN)


@every_command
@pytest.mark.parametrize("known", VIEWS, ids=["no review", "not settled", "clean", "one", "two", "ours", "ours, for everybody"])
def test_it_answers_in_every_state_and_with_messages_only(command: Command, known: ReviewView) -> None:
    said = command.run(call(command.name), known)
    assert said
    assert all(isinstance(message, get_args(Message)) for message in said)
    assert command.run(call(command.name), known) == said


@every_command
@given(arguments=st.text(max_size=400), marker=st.sampled_from(["", "v1:K7Q", "v1:nothing"]), which=st.integers(0, len(VIEWS) - 1))
def test_whatever_is_typed_it_is_answered_within_limits_and_can_do_no_harm(
    command: Command, arguments: str, marker: str, which: int
) -> None:
    for message in command.run(call(command.name, arguments.strip(), marker), VIEWS[which]):
        if isinstance(message, Reply):
            assert (message.comment, message.installation) == (COMMENT, INSTALLATION)
            assert 0 < len(message.body.encode("utf-8", "surrogatepass")) <= 65_000
            assert COMMAND.search(message.body) is None, "our own answer would be a command"
            assert "<!--" not in message.body


@every_command
@pytest.mark.parametrize(
    "typed",
    ["@octo/everybody", "<script>alert(1)</script>", "![x](https://evil.example/x.png)", "[a](javascript:alert(1))", "`K7Q` | **b**"],
)
def test_what_was_typed_comes_back_as_text_only(command: Command, typed: str) -> None:
    for message in command.run(call(command.name, typed), view(judged("K7Q"))):
        if isinstance(message, Reply):
            outside = re.sub(r"(`+).*?\1", "", message.body, flags=re.DOTALL)
            assert "@octo" not in outside
            assert "<script" not in outside
            assert "](" not in outside


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("/fix", "fix"),
        ("  /fix", None),
        ("> /fix", None),
        ("`/fix`", None),
        ("please /fix it", None),
        ("/fixes", "fixes"),
        ("/fix\tK7Q", "fix"),
        ("/fix\r\nplease", "fix"),
        ("text\r\n/fix K7Q \r\n", "fix"),
        ("/FIX", "FIX"),
        ("/ fix", None),
        ("//fix", None),
    ],
)
def test_a_command_stands_at_the_beginning_of_a_line(body: str, name: str | None) -> None:
    found = COMMAND.search(body)
    assert (found["name"] if found else None) == name


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("/fix K7Q\n/waive M2D it is a fixture\ntext\n/status", ["fix", "waive", "status"]),
        ("```\n/fix K7Q\n```\n/help", ["help"]),
        ("~~~sh\n/fix K7Q\n", []),
        ("````\n```\n/fix\n````\n/scan", ["scan"]),
        ("/merge\n/lgtm\n/cc @ada", []),
        ("/Waive K7Q on a phone", ["waive"]),
        ("/waiv K7Q\n/sttaus\n/helpp\n/fixx", ["waiv", "sttaus", "helpp", "fixx"]),
        ("/retest\n/ok-to-test\n/hold\n/label x", []),
    ],
)
def test_the_lines_of_a_comment_that_are_ours_or_nearly_are_found_in_order(body: str, names: list[str]) -> None:
    assert [line.name for line in parse_lines(body, COMMANDS)] == names
    assert [line.name for line in parse_lines(body.replace("\n", "\r\n"), COMMANDS)] == names


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("@fixwright fix K7Q", [("fix", "K7Q")]),
        ("@Fixwright: FIX K7Q\ntext\n@fixwright, status", [("fix", "K7Q"), ("status", "")]),
        ("@fixwright /waive M2D it is a fixture", [("waive", "M2D it is a fixture")]),
        ("@fixwright\tscan\r\n/help", [("scan", ""), ("help", "")]),
        ("@acme-bot help", [("help", "")]),
        ("> @fixwright fix K7Q", []),
        ("```\n@fixwright fix K7Q\n```", []),
        ("thanks @fixwright fix K7Q", []),
        ("@fixwright-app fix K7Q\n@fixwrights fix\n@someone fix K7Q\n@fixwright", []),
        ("@fixwright rescan", [("rescan", "")]),
        ("@fixwright says that this is a secret", []),
        ("/fixwright help\n/Fixwright fix K7Q\n/acme-bot status", [("help", ""), ("fix", "K7Q"), ("status", "")]),
        ("/fixwright\n/fixwrights help\nsay /fixwright help", []),
    ],
)
def test_a_command_may_be_said_to_us_by_name(body: str, found: list[tuple[str, str]]) -> None:
    lines = parse_lines(body, COMMANDS, frozenset({"fixwright", "acme-bot"}))
    assert [(line.name, line.arguments) for line in lines] == found


def test_a_name_with_signs_of_its_own_is_taken_as_it_is() -> None:
    names = frozenset({"a.b", "fixwright"})
    assert pattern(names).search("@axb help") is None
    assert pattern(names).search("@a.b help") is not None


def test_what_was_typed_is_named_as_it_was_typed() -> None:
    assert [line.typed for line in parse_lines("/wave\n@fixwright wave", COMMANDS)] == ["/wave", "@fixwright wave"]


GITLABS_OWN = frozenset(
    re.findall(
        r"\w+",
        """
        add_child add_contacts add_email approve assign assign_reviewer award blocked_by blocks board_move cc
        checkin_reminder child_epic clear_health_status clear_weight clone close confidential convert_to_ticket
        copy_metadata create_merge_request done draft due duplicate epic estimate estimate_time health_status
        invite_email iteration label labels link lock merge milestone move page parent_epic promote promote_to
        promote_to_incident publish react ready reassign reassign_reviewer rebase relabel relate remove_child
        remove_child_epic remove_contacts remove_due_date remove_email remove_epic remove_estimate remove_iteration
        remove_label remove_milestone remove_parent remove_parent_epic remove_reviewer remove_time_estimate
        remove_time_spent remove_zoom reopen request_changes request_review reviewer set_parent severity ship shrug
        spend spend_time status submit_review subscribe tableflip tag target_branch timeline title todo type unapprove
        unassign unassign_reviewer unlabel unlink unlock unsubscribe weight zoom
        """,
    )
)
"""Every quick action of GitLab (docs "GitLab quick actions", 12.1 to 18.6): such lines never reach us, also where they are for issues."""


def test_of_what_gitlab_takes_for_itself_every_command_is_offered_by_name() -> None:
    taken = discover(providers, "PROVIDER", Provider)["gitlab"].capabilities.taken_commands
    assert set(taken) == GITLABS_OWN & set(COMMANDS)
    for command in COMMANDS.values():
        offered = as_typed(command.usage, taken)
        assert offered.startswith("@fixwright " if command.name in GITLABS_OWN else "/")
        (line,) = parse_lines(offered, COMMANDS)
        assert line.command is command


@pytest.mark.parametrize(
    ("typed", "near"),
    [("wave", True), ("wiave", True), ("waivee", True), ("waite", True), ("waive", False), ("wa", False), ("save", False)],
)
def test_a_word_is_near_when_one_letter_is_wrong_missing_too_many_or_swapped(typed: str, near: bool) -> None:
    assert is_near(typed, "waive") is near


def test_no_comment_takes_long_to_read() -> None:
    hostile = [
        "/fix " + "a" * 60_000,
        "/a" * 30_000,
        "```\n" * 16_000,
        "/waive\n" * 9_000,
        "`" * 65_000,
        "/fix" + " " * 60_000 + "\rx",
        "/waive K7Q until " * 4_000,
        "@fixwright " * 9_000,
        "@fixwright" + " " * 60_000 + "\rx",
        "@fixwright fix\n" * 5_000,
    ]
    began = time.monotonic()
    for body in hostile:
        for line in parse_lines(body, COMMANDS)[:5]:
            if line.command is not None:
                line.command.run(call(line.name, line.arguments), view(judged("K7Q")))
    assert time.monotonic() - began < 5


# --- which finding ---


SEVERAL = (judged("K7Q"), judged("K7Q", 9), judged("M4X", 5))


@pytest.mark.parametrize("name", ["fix", "waive"])
def test_a_name_that_means_several_places_is_refused_with_the_places_and_a_place_always_works(name: str) -> None:
    rest = " it is a fixture" if name == "waive" else ""
    (said,) = COMMANDS[name].run(call(name, f"K7Q{rest}"), view(*SEVERAL))
    assert isinstance(said, Reply)
    assert "`app.py:1`, `app.py:9`" in said.body
    assert f"`/{name} app.py:1`" in said.body
    (made,) = COMMANDS[name].run(call(name, f"app.py:9{rest}"), view(*SEVERAL))
    assert isinstance(made, RequestFix | Waive)
    assert (made.fingerprint, made.handle, made.place) == ("v1:K7Q", "K7Q", "app.py:9")
    (only,) = COMMANDS[name].run(call(name, f"`app.py:5`{rest}"), view(*SEVERAL))
    assert isinstance(only, RequestFix | Waive)
    assert (only.handle, only.place) == ("M4X", "")


def test_a_place_may_have_blanks_in_its_path() -> None:
    spaced = judged("K7Q")
    spaced = replace(spaced, finding=replace(spaced.finding, location=Location("my files/a b.py", 3, 3)))
    made = fix(view(spaced, judged("M4X")), "my files/a b.py:3")
    assert made == wanted("K7Q")


# --- /waive and /rotated ---


def waive(arguments: str, *known: Judged) -> Message:
    (message,) = COMMANDS["waive"].run(call("waive", arguments), view(*(known or (judged("K7Q"),))))
    return message


@pytest.mark.parametrize(
    ("typed", "reason", "until"),
    [
        ("K7Q it is a fixture", "it is a fixture", None),
        ("k7q it is a fixture until 2027-02-20", "it is a fixture", date(2027, 2, 20)),
        ("K7Q it is a fixture UNTIL 2027-02-20", "it is a fixture", date(2027, 2, 20)),
        ("K7Q stands until we have moved house", "stands until we have moved house", None),
        ("K7Q until 2027-02-20", "", date(2027, 2, 20)),
        ("K7Q", "", None),
    ],
)
def test_reason_and_last_day_are_read(typed: str, reason: str, until: date | None) -> None:
    made = waive(typed)
    assert isinstance(made, Waive)
    assert (made.handle, made.reason, made.until, made.end, made.suppression) == ("K7Q", reason, until, False, SuppressionKind.WAIVER)


@pytest.mark.parametrize(
    "typed", ["until tomorrow", "until 2027-2-20", "until 20270220", "until 2027-W01-1", "until 2027-02-20. Really", "until ٢٠٢٧-٠٢-٢٠"]
)
def test_a_day_that_is_none_is_refused_with_the_right_form(typed: str) -> None:
    said = waive(f"K7Q it is a fixture {typed}")
    assert isinstance(said, Reply)
    assert "`/waive K7Q reason until 2027-02-20`" in said.body


def test_a_waiver_names_its_finding_also_in_a_thread() -> None:
    (said,) = COMMANDS["waive"].run(call("waive", "", "v1:K7Q"), view(judged("K7Q")))
    assert isinstance(said, Reply)
    assert "`/waive K7Q reason`" in said.body


@pytest.mark.parametrize("typed", ["K7Q off", "K7Q OFF", "app.py:1 off"])
def test_off_takes_it_back(typed: str) -> None:
    made = waive(typed, judged("K7Q", standing=Standing.WAIVED))
    assert isinstance(made, Waive)
    assert (made.end, made.reason) == (True, "")


def test_only_a_secret_can_be_rotated_also_without_a_name_in_its_thread() -> None:
    secret = judged("K7Q")
    secret = replace(secret, finding=replace(secret.finding, secret=Secret("test key", "hash")))
    (made,) = COMMANDS["rotated"].run(call("rotated", "", "v1:K7Q"), view(secret, judged("M4X", 2)))
    assert isinstance(made, Waive)
    assert (made.suppression, made.until) == (SuppressionKind.ROTATED, None)
    (said,) = COMMANDS["rotated"].run(call("rotated", "M4X"), view(secret, judged("M4X", 2)))
    assert isinstance(said, Reply)
    assert "no secret" in said.body


# --- /scan, /status, /help ---


def at(status: ReviewStatus) -> ReviewView:
    return replace(view(judged("K7Q")), situation=Situation(CommitId("7bc90d1" + "0" * 33), status))


def test_asked_again_a_head_is_judged_afresh_and_while_it_is_judged_only_looked_after() -> None:
    afresh, _ = COMMANDS["scan"].run(call("scan"), at(ReviewStatus.DONE))
    assert isinstance(afresh, StartReview)
    assert afresh.again == "after r1"
    running, said = COMMANDS["scan"].run(call("scan"), at(ReviewStatus.SCANNING))
    assert isinstance(running, StartReview)
    assert running.again == ""
    assert isinstance(said, Reply)
    assert "already" in said.body


def test_help_names_every_command_and_its_use() -> None:
    usages = tuple((command.usage, command.about) for command in COMMANDS.values())
    (said,) = COMMANDS["help"].run(call("help"), replace(view(), commands=usages))
    assert isinstance(said, Reply)
    assert [f"`{usage}`" in line for (usage, _), line in zip(usages, said.body.splitlines(), strict=True)] == [True] * len(COMMANDS)


# --- /fix ---


def fix(known: ReviewView, arguments: str = "", marker: str = "") -> Message:
    (message,) = COMMANDS["fix"].run(call("fix", arguments, marker), known)
    return message


def wanted(handle: str) -> RequestFix:
    return RequestFix(INSTALLATION, ReviewId("r1"), f"v1:{handle}", handle, UserRef("5", "ada"), COMMENT)


TWO: Sequence[Judged] = (judged("K7Q"), judged("M4X", 2, Standing.WARNS))


def test_the_only_open_finding_needs_no_name() -> None:
    assert fix(view(judged("K7Q"))) == wanted("K7Q")


@pytest.mark.parametrize(
    ("typed", "instructions", "how"),
    [("M4X", "", ""), ("m4x", "", ""), ("M4X please", "please", ""), ("push M4X", "", "push"), ("push M4X only a.py", "only a.py", "push")],
)
def test_a_finding_is_named_by_its_handle(typed: str, instructions: str, how: Literal["", "push"]) -> None:
    assert fix(view(*TWO), typed) == replace(wanted("M4X"), instructions=instructions, how=how)


def test_all_is_asked_for_at_once_when_the_check_has_ended() -> None:
    (made,) = COMMANDS["fix"].run(call("fix", "ALL"), view(*TWO))
    assert made == FixAll(INSTALLATION, ReviewId("r1"), UserRef("5", "ada"), COMMENT)
    (said,) = COMMANDS["fix"].run(call("fix", "all"), view(settled=False))
    assert isinstance(said, Reply)


# --- /refine, /cancel, /explain ---


def test_what_is_refined_may_be_named_or_be_the_threads() -> None:
    (named,) = COMMANDS["refine"].run(call("refine", "m4x only a.py"), view(*TWO))
    (thread,) = COMMANDS["refine"].run(call("refine", "only a.py", "v1:M4X"), view(*TWO))
    assert named == thread == replace(wanted("M4X"), instructions="only a.py", refine=True)
    (asked,) = COMMANDS["refine"].run(call("refine", "only a.py"), view(*TWO))
    assert isinstance(asked, Reply)
    assert asked.body.startswith("Which one?")


def test_what_is_called_off_is_named_or_the_threads_or_everything() -> None:
    made = [COMMANDS["cancel"].run(call("cancel", *typed), view(*TWO))[0] for typed in (("M4X", "v1:K7Q"), ("", "v1:K7Q"), ("", ""))]
    assert [(one.name, one.fingerprint) for one in made if isinstance(one, CancelFix)] == [("M4X", ""), ("", "v1:K7Q"), ("", "")]


def test_an_explanation_says_what_where_why_and_what_mends_it() -> None:
    one = judged("K7Q", standing=Standing.COUNTED)
    rule = replace(RULE, help="Bind the value.")
    told = replace(one.finding, rule=rule, detail="comes from `request.form` (line 38)", excerpt="/fix all\n```\nrun(@ada)")
    (said,) = COMMANDS["explain"].run(call("explain", "K7Q"), view(replace(one, finding=told), judged("M4X", 2)))
    assert isinstance(said, Reply)
    for words in (
        "Something is wrong",
        "`fake.rule`",
        "CWE-79",
        "It is wrong.",
        "`app.py:1`",
        "`request.form` (line 38)",
        "Bind the value.",
    ):
        assert words in said.body
    assert parse_lines(said.body, COMMANDS) == []


def test_an_explanation_of_a_secret_shows_none_of_its_lines() -> None:
    one = judged("K7Q")
    secret = replace(one.finding, secret=Secret("test key", "hash"), excerpt="token = <test key>")
    (said,) = COMMANDS["explain"].run(call("explain"), view(replace(one, finding=secret)))
    assert isinstance(said, Reply)
    assert "token" not in said.body
    assert "revoke it first" in said.body


# --- /fix, the only one ---


def test_in_a_thread_its_finding_is_meant() -> None:
    assert fix(view(*TWO), marker="v1:M4X") == wanted("M4X")


def test_a_handle_beats_the_thread() -> None:
    assert fix(view(*TWO), "K7Q", "v1:M4X") == wanted("K7Q")


def test_several_open_ones_are_asked_about() -> None:
    said = fix(view(*TWO))
    assert isinstance(said, Reply)
    assert said.body.startswith("Which one?")
    assert {"`K7Q`", "`M4X`"} <= set(re.findall("`[^`]+`", said.body))


@pytest.mark.parametrize(
    "closed",
    [
        judged("K7Q", standing=Standing.WAIVED),
        judged("K7Q", standing=Standing.COUNTED),
        judged("K7Q", baseline=BaselineState.FIXED),
        judged("K7Q", baseline=BaselineState.NOT_REEVALUATED),
    ],
    ids=["waived", "counted", "fixed", "not looked at"],
)
@pytest.mark.parametrize("typed", ["", "K7Q"])
def test_what_is_not_open_is_not_fixed(closed: Judged, typed: str) -> None:
    assert isinstance(fix(view(closed), typed), Reply)


def test_before_the_check_has_ended_it_says_so() -> None:
    for known in (EMPTY, replace(view(judged("K7Q")), settled=False)):
        said = fix(known, "K7Q")
        assert isinstance(said, Reply)
        assert "still being checked" in said.body


def test_a_thread_whose_finding_is_gone_fixes_nothing_else() -> None:
    assert isinstance(fix(view(judged("K7Q")), marker="v1:gone"), Reply)


# --- on a pull request of ours ---


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [("another way", "another way"), ("", ""), ("K7Q only app.py", "only app.py"), ("k7q", ""), ("app.py:1 another way", "another way")],
)
def test_a_refinement_on_the_page_of_a_fix_is_of_that_fix(arguments: str, asked: str) -> None:
    for known in (ours(), ours(judged("M4X", 2)), replace(ours(), review=None, settled=False)):
        (message,) = COMMANDS["refine"].run(call("refine", arguments), known)
        assert isinstance(message, RequestFix)
        assert (message.review, message.handle, message.fingerprint) == ("r0", "K7Q", "v1:K7Q")
        assert (message.instructions, message.refine, message.offered) == (asked, True, True)


def test_what_the_pull_request_brings_itself_is_named_there_as_everywhere() -> None:
    (message,) = COMMANDS["fix"].run(call("fix", "M4X"), ours(judged("M4X", 2)))
    assert isinstance(message, RequestFix)
    assert (message.review, message.handle, message.offered) == ("r1", "M4X", False)
    (message,) = COMMANDS["refine"].run(call("refine", "M4X another way"), ours(judged("M4X", 2)))
    assert isinstance(message, RequestFix)
    assert (message.handle, message.instructions, message.offered) == ("M4X", "another way", False)
    (message,) = COMMANDS["explain"].run(call("explain", marker="v1:M4X"), ours(judged("M4X", 2)))
    assert isinstance(message, Reply)
    assert "`M4X`" in message.body


def test_what_is_forgotten_is_said_to_be() -> None:
    (message,) = COMMANDS["explain"].run(call("explain"), ours(remembered=False))
    assert isinstance(message, Reply)
    assert message.body == "What was found of `K7Q` is not kept any more."


def test_where_everybody_reads_the_way_of_the_data_is_not_told() -> None:
    finding = replace(judged("K7Q").finding, source=Location("hidden.py", 3, 3), detail="From hidden.py.")
    said = []
    for openly in (True, False):
        known = ours(openly=openly)
        assert known.mends is not None
        (message,) = COMMANDS["explain"].run(call("explain"), replace(known, mends=replace(known.mends, finding=finding)))
        assert isinstance(message, Reply)
        said.append("hidden.py" in message.body)
    assert said == [False, True]
