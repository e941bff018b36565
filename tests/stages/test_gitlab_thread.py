"""The whole thread against the double of GitLab: delivery, scan, status, note, discussions, /fix. Its every request and answer is judged
there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.duties import tend_hosts
from bot.metrics import render
from tests.fakes import LineScanner
from tests.stages.gitlab import GitlabBench
from tests.stages.wired import VALUE, KeyScanner
from tests.worlds.gitlab.model import Discussion, MergeRequest, Note
from tests.worlds.gitlab.world import GitlabWorld

OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}
TWO = {"a.txt": OLD["a.txt"] + "BAD new\n", "c.txt": f"fine\ntoken = {VALUE}\n"}


def threads(gitlab: GitlabBench, request: MergeRequest) -> list[Discussion]:
    """Our discussions on the diff."""
    bot = gitlab.world.owner_of(gitlab.token)
    return [known for known in gitlab.world.discussions(request) if known.first.author is bot and known.first.type == "DiffNote"]


def place_of(thread: Discussion) -> tuple[str, int | None]:
    at = thread.first.original_position
    assert at is not None
    return at.new_path, at.new_line


def is_resolved(thread: Discussion) -> bool:
    """As of now."""
    return thread.resolved


def sticky(gitlab: GitlabBench, request: MergeRequest) -> list[Note]:
    """Our notes in the conversation."""
    return [note for note in gitlab.our_notes(request) if note.type is None]


def test_a_secret_and_a_bad_line_are_a_failed_status_one_note_and_two_discussions(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, TWO)
    seen: list[tuple[str, str]] = []
    gitlab.look_with(
        LineScanner(before=lambda: seen.extend((s.name, s.status) for s in gitlab.statuses(project, request.head))), KeyScanner()
    )
    gitlab.settle()
    assert ("Fixwright", "running") in seen
    (status,) = gitlab.statuses(project, request.head)
    assert status.status == "failed"
    assert "2 block" in (status.description or "")
    (note,) = sticky(gitlab, request)
    assert status.target_url == f"{gitlab.world.url}/acme/shop/-/merge_requests/{request.iid}#note_{note.id}"
    assert "2 block" in note.body
    assert note.body.count("a.txt:4") == 1
    assert note.body.count("in the thread") == 1
    bad, key = sorted(threads(gitlab, request), key=place_of)
    assert (place_of(bad), place_of(key)) == (("a.txt", 4), ("c.txt", 2))
    assert "```suggestion:-0+0\nGOOD new\n```" in bad.first.body
    assert "suggestion" not in key.first.body
    said = [status.description or "", *(n.body for n in gitlab.our_notes(request))]
    assert all(VALUE not in text for text in said)
    assert all("pull request" not in text for text in said)
    assert gitlab.dead() == []


def test_clean_and_complete_is_a_green_status_and_not_a_word_more(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "fine\n"})
    gitlab.settle()
    (status,) = gitlab.statuses(project, request.head)
    assert (status.status, status.description, status.target_url) == ("success", "No new findings: 1 file, 1 commit, 2 engines", None)
    assert gitlab.our_notes(request) == []


def test_what_is_mended_is_resolved_what_comes_back_is_opened_and_no_reply_is_touched(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, TWO)
    gitlab.settle()
    bad = min(threads(gitlab, request), key=place_of)
    human = gitlab.world.reply_in_discussion("eve", bad, "really?")
    gitlab.world.commit(project, "feature", {"a.txt": OLD["a.txt"] + "GOOD new\n"})
    gitlab.settle()
    assert is_resolved(bad)
    assert f"Gone from this change in `{request.head[:7]}`" in bad.first.body
    assert "1 blocks" in sticky(gitlab, request)[0].body
    gitlab.world.commit(project, "feature", {"a.txt": OLD["a.txt"] + "BAD new\n"})
    gitlab.settle()
    assert not is_resolved(bad)
    assert len(threads(gitlab, request)) == 2
    assert human in gitlab.world.notes(request)
    assert human.body == "really?"
    assert len(sticky(gitlab, request)) == 1


def test_scanned_again_nothing_is_said_twice(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, TWO)
    gitlab.settle()
    before = [(note.id, note.body) for note in gitlab.our_notes(request)]
    told = len(gitlab.world.notifying_calls(request))
    gitlab.world.comment("ada", request, "@fixwright scan")
    gitlab.settle()
    after = [(note.id, note.body) for note in gitlab.our_notes(request)]
    (answer,) = [entry for entry in after if entry not in before and entry[0] not in {i for i, _ in before}]
    assert "is being checked again" in answer[1]
    assert {identity for identity, _ in before} <= {identity for identity, _ in after}
    assert len(threads(gitlab, request)) == 2
    assert len(gitlab.world.notifying_calls(request)) == told + 1  # the answer
    assert [status.status for status in gitlab.statuses(project, request.head)] == ["failed"]


def test_a_draft_has_its_note_and_no_discussion_until_it_is_ready(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    gitlab.world.commit(project, "feature", TWO)
    request = gitlab.world.open_merge_request("ada", project, "feature", "main", "Change it", draft=True)
    gitlab.settle()
    assert [status.status for status in gitlab.statuses(project, request.head)] == ["failed"]
    assert threads(gitlab, request) == []
    (note,) = sticky(gitlab, request)
    assert "a.txt:4" in note.body
    gitlab.world.set_draft("ada", request, False)
    gitlab.settle()
    assert len(threads(gitlab, request)) == 2
    assert sticky(gitlab, request) == [note]


def test_of_a_fork_the_status_is_written_and_the_fix_is_shown(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    gitlab.world.set_visibility(project, "public")
    gitlab.settle()
    fork = gitlab.world.fork(project, "eve")
    gitlab.world.commit(fork, "feature", {"c.txt": "BAD new\n"}, author="eve")
    request = gitlab.world.open_merge_request("eve", project, "feature", "main", "From outside", fork=fork)
    gitlab.settle()
    (thread,) = threads(gitlab, request)
    states = [status.status for place in (project, fork) for status in gitlab.statuses(place, request.head)]
    assert states == ["failed"]
    gitlab.world.reply_in_discussion("ada", thread, "/fix")
    gitlab.settle()
    assert "suggestion:-0+0" in thread.notes[-1].body
    assert gitlab.dead() == []


def test_where_a_secret_stands_in_a_public_project_only_its_members_read(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    gitlab.world.set_visibility(project, "public")
    gitlab.settle()
    request = gitlab.change(project, TWO)
    gitlab.settle()
    (status,) = gitlab.statuses(project, request.head)
    internal = [note for note in gitlab.our_notes(request) if note.internal]
    public = [note for note in gitlab.our_notes(request) if not note.internal]
    assert len(internal) == 1
    assert "c.txt:2" in internal[0].body
    assert [place_of(thread) for thread in threads(gitlab, request)] == [("a.txt", 4)]
    assert "1 secret told to members only" in sticky(gitlab, request)[0].body
    for text in (status.description or "", *(note.body for note in public)):
        assert "c.txt" not in text
        assert "test key" not in text


def test_commands_are_for_developers_and_answered_where_they_were_given(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, TWO)
    gitlab.settle()
    bad = min(threads(gitlab, request), key=place_of)
    gitlab.world.reply_in_discussion("eve", bad, "/fix")
    gitlab.settle()
    assert "needs write permission" in bad.notes[-1].body
    asked = gitlab.world.reply_in_discussion("ada", bad, "@fixwright fix")
    gitlab.settle()
    assert [award.name for award in asked.awards] == ["eyes"]
    assert "GOOD new" in bad.notes[-1].body
    # GitLab takes this one for itself, and nobody sees it.
    gitlab.world.comment("ada", request, "/status\nnothing else")
    gitlab.settle()
    assert not any("blocks" in note.body for note in gitlab.our_notes(request) if note.created_at > asked.created_at and note.type is None)
    gitlab.world.comment("ada", request, "@fixwright status")
    gitlab.settle()
    assert any(note.body.startswith(f"`{request.head[:7]}`: fails") for note in gitlab.our_notes(request))
    assert gitlab.dead() == []


def test_a_waiver_of_somebody_else_turns_the_status_and_says_so(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    gitlab.world.set_access("bob", project, "developer")
    request = gitlab.change(project, {"c.txt": "BAD new\n"})
    gitlab.settle()
    (thread,) = threads(gitlab, request)
    gitlab.world.reply_in_discussion("ada", thread, "/waive c.txt:1 only the tests call this")
    gitlab.settle()
    assert "is in your own change" in thread.notes[-1].body
    gitlab.world.reply_in_discussion("bob", thread, "/waive c.txt:1 only the tests call this")
    gitlab.settle()
    assert thread.resolved
    (status,) = gitlab.statuses(project, request.head)
    assert status.status == "success"
    assert "1 waived" in (status.description or "")


def test_another_target_has_another_policy(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    gitlab.world.commit(project, "lax", {".gitlab/fixwright.yml": "gate: {block: never}\n"})
    request = gitlab.change(project, {"c.txt": "BAD new\n"})
    gitlab.settle()
    assert [status.status for status in gitlab.statuses(project, request.head)] == ["failed"]
    gitlab.world.retarget("ada", request, "lax")
    gitlab.settle()
    assert [status.status for status in gitlab.statuses(project, request.head)] == ["success"]


def test_what_is_closed_while_it_is_looked_at_ends_as_cancelled(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "BAD new\n"})
    gitlab.settle()
    gitlab.world.commit(project, "feature", {"d.txt": "BAD more\n"})
    head = request.head
    gitlab.take()
    gitlab.world.close("ada", request)
    gitlab.settle()
    assert {status.status for status in gitlab.statuses(project, head)} <= {"canceled"}
    assert gitlab.dead() == []


def test_the_policy_of_the_group_stands_above_its_projects_and_those_of_groups_in_it_only_tighten(gitlab: GitlabBench) -> None:
    gitlab.world.create_project("acme", "fixwright", files={"fixwright.yml": "gate: {block: never}\n"})
    above = gitlab.change(gitlab.project(OLD), {"c.txt": "BAD new\n"})
    inner = gitlab.world.create_project("acme/web", "fixwright", files={"fixwright.yml": "gate: {block: low}\n"})
    assert inner.full_path == "acme/web/fixwright"
    shop = gitlab.world.create_project("acme/web", "shop", files=OLD)
    gitlab.world.set_access("ada", shop, "developer")
    below = gitlab.change(shop, {"c.txt": "BAD new\n"})
    gitlab.world.create_project("acme/web/lax", "fixwright", files={"fixwright.yml": "gate: {block: never}\nallow: [gate.block]\n"})
    store = gitlab.world.create_project("acme/web/lax", "store", files={**OLD, ".fixwright.yml": "gate: {block: never}\n"})
    gitlab.world.set_access("ada", store, "developer")
    lax = gitlab.change(store, {"c.txt": "BAD new\n"})
    gitlab.settle()
    assert [s.status for s in gitlab.statuses(above.project, above.head)] == ["success"]
    assert [s.status for s in gitlab.statuses(shop, below.head)] == ["failed"]
    assert [s.status for s in gitlab.statuses(store, lax.head)] == ["failed"]
    said = "".join(note.body for note in gitlab.our_notes(lax))
    assert said.count("would loosen") == 2, "the group's file says it, and the project's own"


def test_a_push_to_the_protected_default_branch_is_scanned_though_no_status_may_stand_there(
    gitlab: GitlabBench, caplog: pytest.LogCaptureFixture
) -> None:
    project = gitlab.project(OLD)
    assert "main" in project.protected
    gitlab.settle()
    looked: list[str] = []
    gitlab.look_with(LineScanner(before=lambda: looked.append("")), KeyScanner())
    sha = gitlab.world.commit(project, "main", {"c.txt": "BAD pushed\n"}, author="olga")
    gitlab.settle()
    assert looked
    assert gitlab.statuses(project, sha) == []
    assert "check.not_granted" in [record.getMessage() for record in caplog.records]
    assert gitlab.dead() == []


def test_a_car_of_the_merge_train_is_judged_as_what_the_branch_would_become(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    project.merge_pipelines_enabled = project.merge_trains_enabled = True
    request = gitlab.change(project, {"c.txt": "BAD new\n"})
    gitlab.settle()
    spoken = len(gitlab.our_notes(request))
    sha = gitlab.world.board_train("ada", request)
    gitlab.world.finish_pipeline(gitlab.world.run_merge_request_pipeline(request, "train"))
    gitlab.settle()
    assert [status.status for status in gitlab.statuses(project, sha)] == ["failed"]
    assert len(gitlab.our_notes(request)) == spoken
    assert gitlab.dead() == []


def test_a_project_that_nobody_told_of_is_looked_at_with_the_first_delivery(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    other = gitlab.project({"x.txt": "BAD\n"}, "other")
    request = gitlab.change(project, {"c.txt": "fine\n"})
    # Nothing of what happened before was delivered: the webhook was set just now.
    told = gitlab.told()
    gitlab.delivered = len(told)
    gitlab.world.commit(project, "feature", {"d.txt": "fine\n"})
    gitlab.settle()
    assert [s.status for s in gitlab.statuses(project, request.head)] == ["success"]
    with gitlab.app.database.read() as work:
        ((installation, _),) = work.installations.all()
        known = {s.full_name: work.installations.listing(number) for number, s, _ in work.installations.repositories_of(installation)}
    assert {name: listing.made for name, listing in known.items()} == {project.full_path: True, other.full_path: True}


def test_a_token_that_ends_soon_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with GitlabWorld.start(tmp_path) as world:
        token = world.token_of(world.create_group("acme"), "maintainer", days=10)
        gitlab = GitlabBench(tmp_path, world, environment={"FIXWRIGHT_GITLAB_TOKEN": token})
        tend_hosts(gitlab.app)
        gitlab.settle()
        warned = [record for record in caplog.records if record.getMessage() == "credential.expires"]
        assert [(vars(one)["provider"], vars(one)["days"] in (9, 10)) for one in warned] == [("gitlab", True)]
        assert re.search(rb'fixwright_credential_expires_seconds\{instance="",provider="gitlab"\} [78]\d{5}\.', render(gitlab.app))
        assert gitlab.dead() == []
        gitlab.close()
        assert world.violations == []
