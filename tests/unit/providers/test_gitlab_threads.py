"""Threads on the double of GitLab, whose diffs are those of real git: each on its line, and where it stays when the diff changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.errors import HostUnavailable
from pipeline.markers import marked, unmarked
from pipeline.model.report import Thread, ThreadRef
from tests.unit.providers.gitlab_place import Place, at_ease
from tests.worlds.faults import Abort
from tests.worlds.gitlab import GitlabWorld
from tests.worlds.gitlab.model import Discussion

LINES = [f"line {n}" for n in range(1, 41)]


def text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def thread(number: int, path: str, first: int, last: int = 0, body: str = "") -> Thread:
    return Thread(f"v1:{number}", path, first, last or first, body or f"Finding {number}.")


def lead(place: Place, *threads: Thread) -> Sequence[ThreadRef]:
    return place.host.ensure_threads(place.ref, place.head, threads, "")


def where(known: Discussion) -> tuple[str, int | None, int | None]:
    position = known.first.position
    assert position is not None
    return position.new_path, position.old_line, position.new_line


def test_added_and_unchanged_lines_of_several_files_each_get_theirs(world: GitlabWorld) -> None:
    changed = {"app.py": text([*LINES[:9], "ten", *LINES[10:]]), "new.py": "one\ntwo\n", "gone.py": None}
    place = Place(world, changed=changed)
    wanted = [("app.py", 10), ("app.py", 8), ("new.py", 1), ("new.py", 2), ("gone.py", 1)]
    refs = lead(place, *(thread(n, path, line) for n, (path, line) in enumerate(wanted)))
    assert [ref.outside for ref in refs] == [False, False, False, False, True]
    assert [where(known) for known in place.threads] == [("app.py", None, 10), ("app.py", 8, 8), ("new.py", None, 1), ("new.py", None, 2)]
    assert place.mails == 1
    at_ease(world)


def test_a_renamed_file_carries_its_thread(world: GitlabWorld) -> None:
    changed = {"app.py": None, "moved/app.py": text([*LINES[:9], "ten", *LINES[10:]])}
    place = Place(world, changed=changed)
    lead(place, thread(1, "moved/app.py", 10), thread(2, "moved/app.py", 12))
    assert [where(known) for known in place.threads] == [("moved/app.py", None, 10), ("moved/app.py", 12, 12)]
    assert {known.first.position.old_path for known in place.threads if known.first.position} == {"app.py"}
    at_ease(world)


def test_several_lines_are_one_range_whatever_was_removed_between(world: GitlabWorld) -> None:
    place = Place(world, changed={"app.py": text([*LINES[:9], "ten", "eleven", *LINES[12:14], "more", *LINES[14:]])})
    lead(place, thread(1, "app.py", 10, 11), thread(2, "app.py", 10, 14))
    ends = [known.first.position.range for known in place.threads if known.first.position]
    assert [(one[0].new_line, one[1].new_line) for one in ends if one] == [(10, 11), (10, 14)]
    at_ease(world)


@pytest.mark.parametrize("path", ["with blank.py", "d\u00e4/\u2603.py", "a#b?c%20.py", "-x.py"])
def test_odd_names_are_names(world: GitlabWorld, path: str) -> None:
    place = Place(world, changed={path: "one\ntwo\n"})
    assert [ref.outside for ref in lead(place, thread(1, path, 1, 2))] == [False]
    assert [where(known) for known in place.threads] == [(path, None, 2)]
    at_ease(world)


def test_lines_of_unusual_ends_are_counted_as_git_counts_them(world: GitlabWorld) -> None:
    place = Place(world, changed={"odd.py": "a\u2028b\x0cc\rd\nsecond\nlast without an end"})
    lead(place, thread(1, "odd.py", 2), thread(2, "odd.py", 3))
    assert [where(known) for known in place.threads] == [("odd.py", None, 2), ("odd.py", None, 3)]
    at_ease(world)


def test_a_thread_belongs_to_the_head_that_was_looked_at(place: Place) -> None:
    looked_at = place.head
    place.push({"app.py": text(["first", *LINES])})
    place.host.ensure_threads(place.ref, looked_at, [thread(1, "app.py", 11)], "")
    (known,) = place.threads
    assert known.first.original_position is not None
    assert (known.first.original_position.refs.head, known.first.original_position.new_line) == (looked_at, 11)


def test_a_moved_target_branch_makes_another_diff_of_the_same_head(place: Place) -> None:
    place.push({"elsewhere.py": "x\n"}, "release")
    place.world.retarget("ada", place.request, "release")
    lead(place, thread(1, "app.py", 10))
    assert [where(known) for known in place.threads] == [("app.py", None, 10)]


def test_a_push_that_moves_the_lines_makes_no_second_thread(place: Place) -> None:
    lead(place, thread(1, "app.py", 10))
    place.world.force_push(place.project, "feature", {"app.py": text(["first", *LINES[:9], "line 10 changed", *LINES[10:]])})
    lead(place, thread(1, "app.py", 11, body="Moved."))
    (known,) = place.threads
    assert unmarked(known.first.body) == "Moved."
    assert place.mails == 1


def test_an_answer_of_a_person_survives_everything(place: Place) -> None:
    lead(place, thread(1, "app.py", 10))
    place.world.reply_in_discussion("ada", place.threads[0], "I do not think so.")
    lead(place, thread(1, "app.py", 10, body="Said anew."))
    lead(place, Thread("v1:1", "", 1, 1, "", resolved=True, note="Gone."))
    lead(place, Thread("v1:1", "", 1, 1, "", back=True))
    (known,) = place.threads
    assert [unmarked(note.body) for note in known.notes] == ["Said anew.", "I do not think so."]
    assert not known.resolved


def test_a_reader_of_the_project_may_open_threads_and_says_in_words_that_one_is_gone(world: GitlabWorld) -> None:
    place = Place(world)
    place.sign_in(world.token_of(place.project, "reporter"))
    lead(place, thread(1, "app.py", 10))
    lead(place, Thread("v1:1", "", 1, 1, "", resolved=True, note="Gone in `7bc90d1`."))
    (known,) = place.threads
    assert "Gone in" in known.first.body
    assert not known.resolved
    at_ease(world)


def test_a_whole_files_worth_of_threads_is_one_mail(place: Place) -> None:
    place.push({"many.py": text(LINES)})
    refs = lead(place, *(thread(n, "many.py", n) for n in range(1, 11)))
    assert not any(ref.outside for ref in refs)
    assert len({ref.id for ref in refs}) == 10
    assert place.mails == 1


@pytest.mark.parametrize("call", ["/bulk_publish$", "/draft_notes$", "/discussions$"])
def test_an_answer_that_got_lost_makes_no_second_thread(place: Place, call: str) -> None:
    wanted = [thread(n, "app.py", line) for n, line in enumerate([10] if call == "/discussions$" else [10, 11, 31])]
    place.world.faults.add("POST", call, Abort(after_work=True))
    with pytest.raises(HostUnavailable):
        lead(place, *wanted)
    lead(place, *wanted)
    assert [unmarked(known.first.body) for known in place.threads] == [one.body for one in wanted]
    assert place.request.drafts == []
    assert place.mails == 1


def test_a_suggestion_replaces_exactly_the_lines_of_its_thread(place: Place) -> None:
    fence = place.host.capabilities.suggestion_on(10, 11)
    lead(place, thread(1, "app.py", 10, 11, f"Better:\n\n```{fence}\nmended\n```\n\nThat is all."))
    place.world.apply_suggestion("ada", place.threads[0].first)
    changed = (place.world.read(place.project, "feature", "app.py") or b"").decode().splitlines()
    assert changed[8:12] == ["line 9", "mended", "line 11", "line 12"]


def test_where_gitlab_does_not_show_a_diff_it_is_asked_whether_the_line_was_added(world: GitlabWorld) -> None:
    long = [f"{n} {'x' * 1_000}" for n in range(250)]
    place = Place(world, files={"long.py": text(["first", *long])}, changed={"long.py": text(["first", *(f"{line}!" for line in long)])})
    refs = lead(place, thread(1, "long.py", 2), thread(2, "long.py", 1), thread(3, "long.py", 3, 5))
    assert [ref.outside for ref in refs] == [False, True, False]
    assert [where(known) for known in place.threads] == [("long.py", None, 2), ("long.py", None, 5)]
    assert place.mails == 1
    at_ease(world)


def test_a_merge_request_that_gitlab_is_still_preparing_is_waited_for(place: Place) -> None:
    versions, place.request.versions = place.request.versions, []
    place.request.prepared = False
    try:
        with pytest.raises(HostUnavailable):
            lead(place, thread(1, "app.py", 10))
    finally:
        place.request.versions, place.request.prepared = versions, True
    lead(place, thread(1, "app.py", 10))
    assert len(place.threads) == 1


@pytest.mark.parametrize("answered", [True, False])
def test_of_two_with_one_mark_the_newer_goes_unless_a_person_answered_there_whose_token_is_ours(place: Place, *, answered: bool) -> None:
    place.world.set_access("carl", place.project, "developer")
    place.sign_in(place.world.token_for("carl"))
    lead(place, thread(1, "app.py", 10))
    double = place.world.comment_on_line("carl", place.request, "app.py", 10, marked("thread", "v1:1", "Finding 1.")).discussion
    if answered:
        place.world.reply_in_discussion("carl", double, "I look into it.")
    lead(place, thread(1, "app.py", 10))
    assert [[unmarked(note.body) for note in known.notes] for known in place.threads] == [
        ["Finding 1."],
        *([["Finding 1.", "I look into it."]] if answered else []),
    ]
    assert [known.resolved for known in place.threads] == ([False, True] if answered else [False])
