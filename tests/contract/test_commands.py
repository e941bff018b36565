"""One suite for every slash command: decisions as data, whatever a person types; and what `/fix` chooses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline.commands
from pipeline.messages import Message, Reply, RequestFix
from pipeline.model.event import CommentRef
from pipeline.model.finding import BaselineState, Confidence, Finding, Judged, Location, Rule, Severity, Standing
from pipeline.model.ids import Handle, InstallationId, ReviewId
from pipeline.model.target import Installation, Permission, PullRequestRef, SourceRepository, UserRef
from pipeline.plugins import discover
from pipeline.ports import Command, CommandCall, ReviewView
from pipeline.stages.accept.comments import COMMAND

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


VIEWS = [EMPTY, view(settled=False), view(), view(judged("K7Q")), view(judged("K7Q"), judged("M4X", 2))]


# --- every command ---


def test_the_commands_of_this_version_are_there() -> None:
    assert "fix" in COMMANDS


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


@every_command
def test_nobody_without_any_permission_may_call_it(command: Command) -> None:
    assert command.permission in (Permission.READ, Permission.WRITE, Permission.ADMIN)


@every_command
@pytest.mark.parametrize("known", VIEWS, ids=["no review", "not settled", "clean", "one", "two"])
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


# --- /fix ---


def fix(known: ReviewView, arguments: str = "", marker: str = "") -> Message:
    (message,) = COMMANDS["fix"].run(call("fix", arguments, marker), known)
    return message


def wanted(handle: str) -> RequestFix:
    return RequestFix(INSTALLATION, ReviewId("r1"), f"v1:{handle}", handle, UserRef("5", "ada"), COMMENT)


TWO: Sequence[Judged] = (judged("K7Q"), judged("M4X", 2, Standing.WARNS))


def test_the_only_open_finding_needs_no_name() -> None:
    assert fix(view(judged("K7Q"))) == wanted("K7Q")


@pytest.mark.parametrize("typed", ["M4X", "m4x", "M4X please"])
def test_a_finding_is_named_by_its_handle(typed: str) -> None:
    assert fix(view(*TWO), typed) == wanted("M4X")


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
