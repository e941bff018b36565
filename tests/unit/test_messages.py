"""What is urgent: a word of a person never waits behind what takes long."""

from __future__ import annotations

from pipeline.messages import COMMAND, INTERACTIVE, NORMAL, CancelFix, Reply, RunFix, StartReview, arrived, asked
from pipeline.model.event import ButtonEvent, CommentEvent, CommentRef
from pipeline.model.ids import CommitId, FixId, InstallationId
from pipeline.model.target import Installation, PullRequestRef, SourceRepository, UserRef

INSTALLATION = Installation(InstallationId("1"), "github", "", "octo", "octo")
SOURCE = SourceRepository("github", "", "7", "octo", "shop", "")
COMMENT = CommentRef(PullRequestRef(SOURCE, 1), "5")
PERSON, BOT = UserRef("1", "ada"), UserRef("2", "a[bot]", bot=True)


def test_what_a_person_writes_or_presses_comes_before_everything_and_what_a_bot_does_not() -> None:
    for sender, priority in ((PERSON, COMMAND), (BOT, NORMAL)):
        assert arrived(CommentEvent(INSTALLATION, COMMENT, sender, "/cancel")) == priority
        assert arrived(ButtonEvent(INSTALLATION, SOURCE, sender, CommitId("0" * 40), "fix-all")) == priority


def test_what_follows_from_it_is_as_urgent_only_when_it_takes_moments() -> None:
    assert asked(CancelFix(INSTALLATION, COMMENT, PERSON)) == asked(Reply(INSTALLATION, COMMENT, "a", "b")) == COMMAND
    assert asked(StartReview(INSTALLATION, SOURCE)) == asked(RunFix(FixId("1"))) == INTERACTIVE
