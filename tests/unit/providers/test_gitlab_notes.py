"""Notes on the double of GitLab: the sticky one and where the status leads, those for members alone, answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.errors import HostForbidden
from pipeline.markers import marked
from pipeline.model.event import CommentRef
from pipeline.model.report import Check
from pipeline.model.review import Conclusion
from providers.gitlab.notes import NOTHING_OPEN
from tests.unit.providers.gitlab_place import Place, at_ease
from tests.worlds.gitlab import GitlabWorld

# --- the sticky one ---


def test_it_is_edited_in_place_by_whoever_comes_next_and_told_once(place: Place) -> None:
    for body in ("First.", "Second.", "Second."):
        place.host.ensure_comment(place.ref, "summary", body)
    assert (place.said, place.mails) == (["Second."], 1)


def test_when_nothing_is_open_one_line_is_left_and_it_comes_back_without_a_mail(place: Place) -> None:
    place.host.ensure_comment(place.ref, "summary", "One finding.")
    place.host.ensure_comment(place.ref, "summary", "")
    assert place.said == [NOTHING_OPEN]
    place.host.ensure_comment(place.ref, "summary", "Another finding.")
    assert (place.said, place.mails) == (["Another finding."], 1)


def test_a_second_one_from_a_lost_answer_is_taken_away(place: Place) -> None:
    place.host.ensure_comment(place.ref, "summary", "First.")
    place.world.comment(place.me.username, place.request, marked("comment", "summary", "Twice."))
    place.host.ensure_comment(place.ref, "summary", "Second.")
    assert place.said == ["Second."]


def test_somebody_elses_copy_of_it_is_left_alone(place: Place) -> None:
    theirs = place.world.comment("ada", place.request, marked("comment", "summary", "Ours, they say."))
    place.host.ensure_comment(place.ref, "summary", "Ours.")
    assert place.said == ["Ours."]
    assert theirs.body.startswith("Ours, they say.")


def test_a_body_that_is_too_long_is_cut_and_still_found_again(place: Place) -> None:
    for body in ("\u2603" * 60_000, "Short."):
        place.host.ensure_comment(place.ref, "summary", body)
    assert place.said == ["Short."]


def test_the_status_leads_to_it_and_keeps_leading_there(place: Place) -> None:
    check = Check("k", "1 blocks", "", Conclusion.FAILURE)
    place.host.ensure_check(place.commit, check)
    place.host.ensure_comment(place.ref, "summary", "| table |")
    address = f"{place.world.url}/{place.project.full_path}/-/merge_requests/{place.request.iid}#note_{place.notes[0].id}"
    assert [(job.status, job.target_url) for job in place.statuses()] == [("failed", address)]
    place.host.ensure_check(place.commit, check)
    place.host.ensure_comment(place.ref, "summary", "| table |")
    assert len(place.statuses(every=True)) == 2, "what leads there already is not said again"
    place.push({"more.txt": "z\n"})
    place.host.ensure_check(place.commit, check)
    assert [job.target_url for job in place.statuses(every=True)] == [address], "the next head's leads there at once"


def test_a_status_under_way_is_left_to_end_first(place: Place) -> None:
    place.host.ensure_check(place.commit, Check("k", "Scanning", "", None))
    place.host.ensure_comment(place.ref, "summary", "Working.")
    assert [(job.status, job.target_url) for job in place.statuses(every=True)] == [("running", None)]
    place.host.ensure_check(place.commit, Check("k", "1 blocks", "", Conclusion.FAILURE))
    (ended,) = place.statuses(every=True)
    assert ended.status == "failed"
    assert ended.target_url is not None
    assert ended.target_url.endswith(f"#note_{place.notes[0].id}")


# --- for members alone ---


def test_an_internal_note_is_for_members_and_leads_nobody_to_it(world: GitlabWorld) -> None:
    place = Place(world, visibility="public")
    place.host.ensure_check(place.commit, Check("k", "1 blocks", "", Conclusion.FAILURE))
    for body in ("A key.", "Two keys.", ""):
        place.host.ensure_comment(place.ref, "secrets", body, internal=True)
    assert [(note.internal, text) for note, text in zip(place.notes, place.said, strict=True)] == [(True, NOTHING_OPEN)]
    assert [job.target_url for job in place.statuses()] == [None]
    at_ease(world)


def test_a_note_cannot_change_who_reads_it_so_it_is_made_anew(world: GitlabWorld) -> None:
    place = Place(world, visibility="public")
    place.host.ensure_comment(place.ref, "summary", "For all.")
    place.host.ensure_comment(place.ref, "summary", "For members.", internal=True)
    assert [(note.internal, text) for note, text in zip(place.notes, place.said, strict=True)] == [(True, "For members.")]
    at_ease(world)


def test_what_would_be_read_by_others_is_not_left_standing(world: GitlabWorld) -> None:
    place = Place(world, visibility="public")
    place.sign_in(world.token_of(place.project, "guest"))
    with pytest.raises(HostForbidden):
        place.host.ensure_comment(place.ref, "secrets", "A key.", internal=True)
    assert place.notes == []
    at_ease(world)


@pytest.mark.parametrize("version", ["16.8.4-ee", "15.11.0"])
def test_where_there_are_no_internal_notes_none_is_even_tried(world: GitlabWorld, version: str) -> None:
    place = Place(world, visibility="public")
    newest, world.hooks.version = world.hooks.version, version
    try:
        with pytest.raises(HostForbidden, match="no internal notes"):
            place.host.ensure_comment(place.ref, "secrets", "A key.", internal=True)
    finally:
        world.hooks.version = newest
    assert (place.mails, place.notes) == (0, [])
    at_ease(world)


# --- answers ---


def test_a_note_alone_is_answered_under_it_once(place: Place) -> None:
    asked, other = place.asks("/fix"), place.asks("/fix")
    for body in ("Working.", "Done."):
        place.host.ensure_reply(asked, "fix", body)
    place.host.ensure_reply(other, "fix", "As well.")
    threads = [[note.body.partition("\n")[0] for note in known.notes] for known in place.world.discussions(place.request)]
    assert threads == [["/fix", "Done."], ["/fix", "As well."]]


def test_a_note_alone_stays_alone_where_every_thread_must_be_resolved(place: Place) -> None:
    place.project.only_merge_if_discussions_resolved = True
    place.host.ensure_reply(place.asks("/status"), "status", "All is well.")
    assert place.said == ["All is well."]
    assert place.world.discussions(place.request) == []


def test_a_discussion_that_is_gone_is_answered_beside(place: Place) -> None:
    asked = place.asks("/fix")
    place.world.delete_note(place.world.notes(place.request)[0])
    place.host.ensure_reply(asked, "fix", "Done.")
    assert place.said == ["Done."]


def ask_internally(place: Place) -> CommentRef:
    note = place.world.comment("ada", place.request, "/rotated", internal=True)
    return CommentRef(place.ref, str(note.id), thread=note.discussion.id, internal=True)


@pytest.mark.parametrize("told", [True, False], ids=["as it was told", "as it stands there"])
def test_an_internal_note_that_stays_alone_is_answered_beside_for_members_alone(place: Place, *, told: bool) -> None:
    place.project.only_merge_if_discussions_resolved = True
    place.host.ensure_reply(replace(ask_internally(place), internal=told), "rotated", "Noted.")
    assert [(note.internal, text) for note, text in zip(place.notes, place.said, strict=True)] == [(True, "Noted.")]


def test_an_internal_note_that_is_gone_is_answered_for_members_alone(place: Place) -> None:
    asked = ask_internally(place)
    place.world.delete_note(place.world.notes(place.request)[0])
    place.host.ensure_reply(asked, "rotated", "Noted.")
    assert [(note.internal, text) for note, text in zip(place.notes, place.said, strict=True)] == [(True, "Noted.")]


def test_an_internal_note_has_no_answer_rather_than_one_for_everybody(world: GitlabWorld) -> None:
    place = Place(world, visibility="public")
    asked = ask_internally(place)
    place.sign_in(world.token_of(place.project, "guest"))
    place.host.ensure_reply(asked, "rotated", "Noted.")
    assert place.notes == []
    at_ease(world)


def test_an_answer_goes_into_the_thread_of_the_comment(place: Place) -> None:
    note = place.world.comment_on_line("ada", place.request, "app.py", 10, "Why?")
    asked = CommentRef(place.ref, str(note.id), in_thread=True, thread=note.discussion.id)
    place.host.ensure_reply(asked, "explain", "Because.")
    assert [known.body.partition("\n")[0] for known in note.discussion.notes] == ["Why?", "Because."]
    assert place.said == []


def test_a_comment_whose_discussion_is_not_known_is_answered_beside(place: Place) -> None:
    place.host.ensure_reply(replace(place.asks("/fix"), thread=""), "fix", "Done.")
    assert place.said == ["Done."]


def test_seen_is_shown_once_and_failing_at_it_is_no_error(place: Place) -> None:
    asked = place.asks("/fix")
    for _ in range(2):
        place.host.acknowledge(asked)
    note = place.world.notes(place.request)[0]
    assert [(award.name, award.user) for award in note.awards] == [("eyes", place.me)]
    place.world.delete_note(note)
    place.host.acknowledge(asked)
