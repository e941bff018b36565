"""Notes and discussions of the GitLab double: written, answered, resolved, outdated, taken for orders; emoji and suggestions."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from gitlab.exceptions import GitlabCreateError, GitlabDeleteError, GitlabError, GitlabGetError, GitlabHttpError, GitlabUpdateError

from tests.unit.worlds.conftest import CHANGED, GitlabScene

SHA = hashlib.sha1(b"app.py", usedforsecurity=False).hexdigest()
ADDED, FAR = {"new_line": 20}, {"new_line": 999}


def on_line(gitlab: GitlabScene, body: str = "hm", **lines: Any) -> Any:
    """A discussion of the bot's on a line; its JSON."""
    return gitlab.mr.discussions.create({"body": body, "position": gitlab.position(**lines)})


def first(discussion: Any) -> dict[str, Any]:
    note: dict[str, Any] = discussion.attributes["notes"][0]
    return note


# --- positions over the API ---


@pytest.mark.parametrize(
    "lines",
    [
        {"new_line": 20},
        {"old_line": 50},
        {"old_line": 19, "new_line": 19},
        {"old_line": 22, "new_line": 23},
        {"old_line": 5, "new_line": 5},
    ],
    ids=["added", "removed", "unchanged", "unchanged after a change", "unchanged far away"],
)
def test_a_good_position_makes_a_diff_note_that_says_where_it_stands(gitlab: GitlabScene, lines: dict[str, Any]) -> None:
    note = first(on_line(gitlab, **lines))

    assert note["type"] == "DiffNote"
    assert (note["position"]["old_line"], note["position"]["new_line"]) == (lines.get("old_line"), lines.get("new_line"))
    assert {key: note["position"][key] for key in ("base_sha", "start_sha", "head_sha")} == gitlab.mr.diff_refs
    assert (note["resolvable"], note["resolved"], note["system"]) == (True, False, False)


@pytest.mark.parametrize(
    "lines",
    [
        {"new_line": 19},
        {"old_line": 20, "new_line": 20},
        {"new_line": 50},
        {"old_line": 49},
        {"old_line": 22, "new_line": 22},
        {"new_line": 999},
        {},
    ],
)
def test_a_wrong_position_is_refused_and_leaves_nothing(gitlab: GitlabScene, lines: dict[str, Any]) -> None:
    with pytest.raises(GitlabCreateError, match="line_code") as refused:
        on_line(gitlab, **lines)

    assert refused.value.response_code == 400
    assert gitlab.world.notes(gitlab.request) == []
    assert list(gitlab.world.effects) == []


def test_a_position_without_its_commits_or_paths_is_of_no_form(gitlab: GitlabScene) -> None:
    whole = gitlab.position(new_line=20)
    for name in ("base_sha", "start_sha", "head_sha", "position_type", "new_path", "old_path"):
        with pytest.raises(GitlabCreateError, match=rf"400: position\[{name}\] is missing"):
            gitlab.mr.discussions.create({"body": "x", "position": {key: value for key, value in whole.items() if key != name}})
    with pytest.raises(GitlabCreateError, match="line_code"):
        gitlab.mr.discussions.create({"body": "x", "position": whole | {"head_sha": "0" * 40}})


def test_a_position_that_is_empty_is_none(gitlab: GitlabScene) -> None:
    nothing: list[dict[str, Any] | None] = [{}, None]
    for position in nothing:
        assert first(gitlab.mr.discussions.create({"body": "x", "position": position}))["type"] == "DiscussionNote"


def test_some_instances_let_a_wrong_position_fall(gitlab: GitlabScene) -> None:
    gitlab.world.let_positions_fall()

    note = first(on_line(gitlab, new_line=19))

    assert (note["type"], "position" in note) == ("DiscussionNote", False)
    with pytest.raises(GitlabCreateError):
        on_line(gitlab, new_line=19)


def test_a_range_of_lines_is_kept_as_it_was_given(gitlab: GitlabScene) -> None:
    ends = {
        "start": {"line_code": f"{SHA}_21_20", "type": "new", "old_line": None, "new_line": 20},
        "end": {"line_code": f"{SHA}_21_21", "type": "new", "old_line": None, "new_line": 21},
    }

    assert first(on_line(gitlab, new_line=21, line_range=ends))["position"]["line_range"] == ends
    with pytest.raises(GitlabCreateError):
        on_line(gitlab, new_line=20, line_range=ends)


def test_a_whole_file_has_no_lines(gitlab: GitlabScene) -> None:
    position = gitlab.position(path="new.py") | {"position_type": "file"}

    assert first(gitlab.mr.discussions.create({"body": "x", "position": position}))["position"]["position_type"] == "file"
    with pytest.raises(GitlabCreateError):
        gitlab.mr.discussions.create({"body": "x", "position": position | {"new_path": "no.py", "old_path": "no.py"}})


# --- the diff changes ---


def test_a_push_moves_a_note_with_its_line(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, new_line=21)
    gitlab.world.commit(gitlab.project, "feature", {"app.py": "top\n" + CHANGED}, author="ada")

    note = first(gitlab.mr.discussions.get(made.id))

    assert note["position"]["new_line"] == 22
    assert note["position"]["head_sha"] == gitlab.mr.diff_refs["head_sha"]


def test_a_push_that_takes_the_line_leaves_the_note_outdated_where_it_was(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, new_line=21)
    old = gitlab.mr.diff_refs
    gitlab.world.commit(gitlab.project, "feature", {"app.py": CHANGED.replace("line 20a\n", "")}, author="ada")

    notes = gitlab.mr.discussions.get(made.id).attributes["notes"]

    assert notes[0]["position"]["head_sha"] == old["head_sha"] != gitlab.mr.diff_refs["head_sha"]
    assert (notes[0]["resolved"], notes[1]["system"]) == (False, True)
    assert notes[1]["body"].startswith("changed this line in [version 2 of the diff]")


def test_a_rebase_with_force_makes_a_new_version_and_keeps_the_note(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, new_line=20)
    world, project = gitlab.world, gitlab.project
    world.commit(project, "main", {"other.py": "1\n"}, author="mia")
    assert len(gitlab.mr.diffs.list(get_all=True)) == 1
    world.force_push(project, "feature", {"app.py": CHANGED, "new.py": "a\nb\n"})

    versions = gitlab.mr.diffs.list(get_all=True)
    note = first(gitlab.mr.discussions.get(made.id))

    assert len(versions) == 2
    assert versions[0].start_commit_sha == versions[0].base_commit_sha == project.git.branch("main")
    assert versions[0].base_commit_sha != versions[1].base_commit_sha
    assert (note["position"]["base_sha"], note["position"]["new_line"]) == (versions[0].base_commit_sha, 20)


def test_a_note_on_an_older_version_is_shown_in_the_newest(gitlab: GitlabScene) -> None:
    old = gitlab.position(new_line=20)
    gitlab.world.commit(gitlab.project, "feature", {"app.py": "top\n" + CHANGED}, author="ada")

    note = first(gitlab.mr.discussions.create({"body": "x", "position": old}))

    assert (note["position"]["new_line"], note["position"]["head_sha"]) == (21, gitlab.mr.diff_refs["head_sha"])


# --- discussions ---


def test_a_discussion_is_answered_resolved_and_opened_again(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, new_line=20)
    answer = gitlab.by("ada").projects.get("acme/shop").mergerequests.get(1).discussions.get(made.id).notes.create({"body": "why?"})

    assert (answer.type, answer.position["new_line"], answer.author["username"]) == ("DiffNote", 20, "ada")
    made.resolved = True
    made.save()
    shown = gitlab.mr.discussions.get(made.id).attributes["notes"]
    assert [note["resolved"] for note in shown] == [True, True]
    assert shown[0]["resolved_by"]["id"] == gitlab.world.owner_of(gitlab.token).id
    made.resolved = False
    made.save()
    assert [note["resolved"] for note in gitlab.mr.discussions.get(made.id).attributes["notes"]] == [False, False]


def test_an_answer_does_not_open_a_resolved_discussion_again(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, new_line=20)
    gitlab.world.resolve("ada", gitlab.world.discussions(gitlab.request)[0])
    answer = made.notes.create({"body": "thanks"})

    assert (answer.resolved, answer.resolved_by["id"]) == (True, gitlab.world.owner_of(gitlab.token).id)


def test_who_may_resolve_is_the_author_and_developers(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, new_line=20)
    gitlab.world.set_access("rita", gitlab.project, "reporter")
    gitlab.world.set_access("ada", gitlab.project, "guest")

    def resolved_by(login: str) -> int:
        path = f"/projects/{gitlab.project.id}/merge_requests/1/discussions/{made.id}"
        try:
            gitlab.by(login).http_put(path, post_data={"resolved": True})
        except GitlabHttpError as error:
            return error.response_code or 0
        return 200

    assert (resolved_by("rita"), resolved_by("ada")) == (403, 200)


def test_a_single_note_is_listed_as_a_discussion_and_becomes_one_by_an_answer(gitlab: GitlabScene) -> None:
    note = gitlab.mr.notes.create({"body": "sticky"})
    (single,) = gitlab.mr.discussions.list(get_all=True)

    assert (single.individual_note, first(single)["type"], first(single)["resolvable"]) == (True, None, False)
    with pytest.raises(GitlabUpdateError, match="403"):
        gitlab.bot.projects.get("acme/shop").mergerequests.get(1).discussions.update(single.id, {"resolved": True})
    single.notes.create({"body": "answer"})
    (thread,) = gitlab.mr.discussions.list(get_all=True)
    assert (thread.id, thread.individual_note) == (single.id, False)
    assert [known["type"] for known in thread.attributes["notes"]] == ["DiscussionNote", "DiscussionNote"]
    assert gitlab.mr.notes.get(note.id).type == "DiscussionNote"


def test_what_gitlab_noted_itself_is_not_answered_or_edited(gitlab: GitlabScene) -> None:
    gitlab.world.close("ada", gitlab.request)
    (closed,) = gitlab.mr.discussions.list(get_all=True)

    assert (first(closed)["system"], first(closed)["body"]) == (True, "closed")
    with pytest.raises(GitlabCreateError, match="can not be replied"):
        closed.notes.create({"body": "x"})
    with pytest.raises(GitlabUpdateError, match="403"):
        gitlab.mr.notes.update(first(closed)["id"], {"body": "x"})


def test_a_note_in_a_discussion_is_changed_or_resolved_but_not_both(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, new_line=20)
    path = f"/projects/{gitlab.project.id}/merge_requests/1/discussions/{made.id}/notes/{first(made)['id']}"

    def put(body: dict[str, Any]) -> Any:
        return gitlab.bot.http_put(path, post_data=body)

    assert put({"body": "better"})["body"] == "better"
    assert put({"resolved": True})["resolved"] is True
    for body in ({}, {"body": "x", "resolved": True}):
        with pytest.raises(GitlabHttpError):
            gitlab.bot.http_put(path, post_data=body)


def test_a_discussion_without_notes_goes(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, new_line=20)
    made.notes.delete(first(made)["id"])

    with pytest.raises(GitlabGetError, match="404"):
        gitlab.mr.discussions.get(made.id)


# --- notes ---


def test_notes_come_newest_first_and_those_of_gitlab_itself_too(gitlab: GitlabScene) -> None:
    gitlab.mr.notes.create({"body": "one"})
    gitlab.world.set_draft("ada", gitlab.request, True)
    gitlab.mr.notes.create({"body": "two"})

    assert [note.body for note in gitlab.mr.notes.list(get_all=True)] == ["two", "marked this merge request as **draft**", "one"]
    comments = gitlab.mr.notes.list(get_all=True, activity_filter="only_comments", sort="asc")
    assert [note.body for note in comments] == ["one", "two"]


def test_another_ones_note_is_changed_by_maintainers_alone(gitlab: GitlabScene) -> None:
    note = gitlab.world.comment("ada", gitlab.request, "mine")

    with pytest.raises(GitlabUpdateError, match="403"):
        gitlab.mr.notes.update(note.id, {"body": "yours"})
    with pytest.raises(GitlabDeleteError, match="403"):
        gitlab.mr.notes.delete(note.id)
    gitlab.world.set_access("mia", gitlab.project, "maintainer")
    gitlab.by("mia").projects.get("acme/shop").mergerequests.get(1).notes.update(note.id, {"body": "ours"})
    assert note.body == "ours"


def test_an_internal_note_is_hidden_from_guests_and_needs_a_planner(gitlab: GitlabScene) -> None:
    gitlab.world.set_visibility(gitlab.project, "public")
    note = gitlab.mr.notes.create({"body": "secret", "internal": True})

    assert (note.internal, note.confidential) == (True, True)
    stranger = gitlab.by("bob").projects.get("acme/shop").mergerequests.get(1)
    assert stranger.notes.list(get_all=True) == []
    assert stranger.discussions.list(get_all=True) == []
    with pytest.raises(GitlabGetError, match="404"):
        stranger.notes.get(note.id)
    with pytest.raises(GitlabCreateError, match="403"):
        stranger.notes.create({"body": "x", "internal": True})


def test_an_empty_note_and_one_too_long_are_refused(gitlab: GitlabScene) -> None:
    for body, word in (("  ", "can't be blank"), ("x" * 1_000_001, "too long")):
        with pytest.raises(GitlabCreateError, match=word):
            gitlab.mr.notes.create({"body": body})
    with pytest.raises(GitlabError, match="body is missing"):
        gitlab.bot.http_post(f"/projects/{gitlab.project.id}/merge_requests/1/notes", post_data={})


def test_gitlab_swallows_its_own_commands_and_leaves_ours(gitlab: GitlabScene) -> None:
    kept = gitlab.mr.notes.create({"body": "look\n/fixwright rescan\n/draft\nthanks"})
    done = gitlab.bot.http_post(f"/projects/{gitlab.project.id}/merge_requests/1/notes", post_data={"body": "/close"})
    quoted = gitlab.mr.notes.create({"body": "```\n/reopen\n```"})

    assert kept.body == "look\n/fixwright rescan\nthanks"
    assert gitlab.mr.draft
    assert done == {"commands_changes": {}, "summary": ["Closed this merge request."]}
    assert quoted.body == "```\n/reopen\n```"
    assert gitlab.mr.state == "closed"


# --- emoji ---


def test_an_emoji_is_given_once_and_taken_back_by_its_giver(gitlab: GitlabScene) -> None:
    note = gitlab.world.comment("ada", gitlab.request, "@fixwright rescan")
    found = gitlab.mr.notes.get(note.id)
    given = found.awardemojis.create({"name": "eyes"})

    assert (given.awardable_type, given.awardable_id, given.name) == ("Note", note.id, "eyes")
    with pytest.raises(GitlabCreateError, match="404 Award Emoji Name has already been taken"):
        found.awardemojis.create({"name": "eyes"})
    with pytest.raises(GitlabCreateError, match="404 Award Emoji"):
        found.awardemojis.create({"name": "no_such_thing"})
    other = gitlab.world.react("ada", note, "heart")
    with pytest.raises(GitlabError, match="401"):
        found.awardemojis.delete(other.id)
    found.awardemojis.delete(given.id)
    assert [award.name for award in found.awardemojis.list(get_all=True)] == ["heart"]


def test_thumbs_are_counted_on_the_merge_request(gitlab: GitlabScene) -> None:
    gitlab.mr.awardemojis.create({"name": "thumbsup"})
    gitlab.world.react("ada", gitlab.request, "thumbsdown")

    assert (gitlab.mr.upvotes, gitlab.mr.downvotes) == (1, 1)


# --- suggestions ---


def test_a_suggestion_names_its_lines_and_is_applied_by_a_person(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, "try\n```suggestion:-1+0\nline nineteen\nline 20\n```\n", new_line=20)
    (shown,) = first(made)["suggestions"]

    assert (shown["from_line"], shown["to_line"], shown["appliable"], shown["applied"]) == (19, 20, True, False)
    assert shown["from_content"] == "line 19\nline twenty\n"
    assert shown["to_content"] == "line nineteen\nline 20\n"
    note = gitlab.world.notes(gitlab.request)[0]
    sha = gitlab.world.apply_suggestion("ada", note)
    assert gitlab.request.head == sha
    assert b"line 18\nline nineteen\nline 20\nline 20a\n" in (gitlab.world.read(gitlab.project, sha, "app.py") or b"")
    assert first(gitlab.mr.discussions.get(made.id))["suggestions"][0]["applied"] is True
    with pytest.raises(ValueError, match="no suggestion"):
        gitlab.world.apply_suggestion("ada", note)


def test_a_removed_line_takes_no_suggestion_and_a_longer_fence_is_another_one(gitlab: GitlabScene) -> None:
    assert first(on_line(gitlab, "```suggestion\nx\n```", old_line=50))["suggestions"] == []
    (inside,) = first(on_line(gitlab, "````suggestion:-0+0\n```\nx\n```\n````", new_line=20))["suggestions"]
    assert inside["to_content"] == "```\nx\n```\n"


def test_an_edit_reads_the_suggestions_again_and_tells_nobody(gitlab: GitlabScene) -> None:
    made = on_line(gitlab, "nothing", new_line=20)
    mails = len(gitlab.world.notifying_calls(gitlab.request))
    gitlab.mr.notes.update(first(made)["id"], {"body": "```suggestion\nx\n```"})

    assert [known["to_content"] for known in first(gitlab.mr.discussions.get(made.id))["suggestions"]] == ["x\n"]
    assert len(gitlab.world.notifying_calls(gitlab.request)) == mails
    assert [delivery.action for delivery in gitlab.world.hooks.of("note")] == ["create", "update"]
