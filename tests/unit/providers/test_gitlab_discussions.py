"""Threads where GitLab does something else than it should: a small one that keeps discussions and drafts, and can be told to misbehave."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.errors import HostUnavailable, RateLimited
from pipeline.markers import marked
from pipeline.model.ids import CommitId
from pipeline.model.report import Thread, ThreadRef
from pipeline.model.target import PullRequestRef
from tests.unit.providers.github_wire import Clock, Memory
from tests.unit.providers.gitlab_wire import ME, REPOSITORY, Asked, Said, Wire

HEAD, BASE, START = CommitId("e" * 40), "b" * 40, "5" * 40
REF = PullRequestRef(REPOSITORY, 7)
ROOT = "/projects/42/merge_requests/7"
PERSON = {"id": 1, "username": "ada"}
GONE = Said(status=204, raw=b"", headers={"content-type": ""})
DIFF = {"old_path": "app.py", "new_path": "app.py", "diff": "@@ -9,1 +9,4 @@\n nine\n+ten\n+eleven\n+twelve\n"}
VERSION = {"id": 3, "head_commit_sha": HEAD, "base_commit_sha": BASE, "start_commit_sha": START}


def thread(number: int, line: int = 10, body: str = "", **more: Any) -> Thread:  # the fields of a thread
    return Thread(f"v1:{number}", "app.py", line, line, body or f"Finding {number}.", **more)


@dataclass
class Small:
    """What a GitLab keeps of one merge request."""

    discussions: list[dict[str, Any]] = field(default_factory=list)
    drafts: list[dict[str, Any]] = field(default_factory=list)
    versions: Sequence[Mapping[str, object]] = (VERSION,)
    head: str = HEAD
    plain: bool = False
    """Positions become plain threads."""
    refuses: Mapping[str, int] = field(default_factory=dict)
    """Part of `METHOD path` -> the status of every answer to it."""
    loses: bool = False
    """What is published is lost."""
    odd: bool = False
    """Publishing is answered with something that is no JSON."""
    mails: int = 0
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(100))

    def note(self, body: str, author: Mapping[str, object] = ME, kind: str = "DiffNote", **more: object) -> dict[str, Any]:
        return {
            "id": next(self._numbers),
            "type": kind,
            "body": body,
            "author": author,
            "system": False,
            "resolvable": True,
            "resolved": False,
            **more,
        }

    def discuss(self, *notes: dict[str, Any]) -> dict[str, Any]:
        made = {"id": f"{next(self._numbers):040x}", "individual_note": False, "notes": list(notes)}
        self.discussions.append(made)
        return made

    def stands(self, number: int, **more: Any) -> dict[str, Any]:  # fields of the note
        """A thread of ours from before."""
        return self.discuss(self.note(marked("thread", f"v1:{number}", f"Finding {number}."), **more))

    def answer(self, asked: Asked) -> Said | None:
        """See `Wire`."""
        call = f"{asked.method} {asked.path.removeprefix(ROOT)}"
        for part, status in self.refuses.items():
            if part in call:
                return Said({"message": "refused"}, status)
        match asked.method, asked.path.removeprefix(ROOT).strip("/").split("/"):
            case "GET", ["discussions"]:
                return Said(self.discussions)
            case "GET", [""]:
                return Said(
                    {"iid": 7, "state": "opened", "source_branch": "f", "target_branch": "main", "target_project_id": 42, "sha": self.head}
                )
            case "GET", ["versions"]:
                return Said(list(self.versions))
            case "GET", ["versions", "3"]:
                return Said({**VERSION, "real_size": "1", "diffs": [DIFF]})
            case "GET", ["draft_notes"]:
                return Said(self.drafts)
            case "POST", ["draft_notes"]:
                self.drafts.append({"id": next(self._numbers), "line_code": "code", **asked.body})
                return Said(self.drafts[-1], 201)
            case "DELETE", ["draft_notes", number]:
                self.drafts = [draft for draft in self.drafts if str(draft["id"]) != number]
                return GONE
            case "POST", ["draft_notes", "bulk_publish"]:
                return self._publish()
            case "POST", ["discussions"]:
                self.mails += 1
                return Said(self._placed(str(asked.body["body"])), 201)
            case "PUT", ["discussions", identity]:
                found = next(d for d in self.discussions if d["id"] == identity)
                for note in found["notes"]:
                    note |= {"resolved": asked.body["resolved"], "resolved_by": ME if asked.body["resolved"] else None}
                return Said(found)
            case "PUT", ["notes", number]:
                note = next(n for d in self.discussions for n in d["notes"] if str(n["id"]) == number)
                note["body"] = asked.body["body"]
                return Said(note)
            case "DELETE", ["notes", number]:
                for discussion in self.discussions:
                    discussion["notes"] = [note for note in discussion["notes"] if str(note["id"]) != number]
                self.discussions = [discussion for discussion in self.discussions if discussion["notes"]]
                return GONE
        return None

    def _publish(self) -> Said:
        self.mails += bool(self.drafts)
        for draft in self.drafts if not self.loses else ():
            self._placed(draft["note"])
        self.drafts = []
        return Said(raw=b"<html>", status=201) if self.odd else GONE

    def _placed(self, body: str) -> dict[str, Any]:
        return self.discuss(self.note(body, kind="DiscussionNote" if self.plain else "DiffNote"))

    def lead(self, *threads: Thread, memory: Memory | None = None, clock: Clock | None = None) -> Sequence[ThreadRef]:
        """What comes of wanting these."""
        self.wire = Wire(self.answer, clock or Clock())
        return self.wire.host(memory).ensure_threads(REF, HEAD, threads, "Introduction.")

    def said(self) -> list[str]:
        """First lines of all threads."""
        return [discussion["notes"][0]["body"].partition("\n")[0] for discussion in self.discussions]


def outside(refs: Sequence[ThreadRef]) -> list[bool]:
    return [ref.outside for ref in refs]


def test_several_are_one_mail_and_one_alone_needs_no_draft() -> None:
    small = Small()
    assert outside(small.lead(thread(1, 10), thread(2, 11))) == [False, False]
    assert (small.mails, small.said(), small.drafts) == (1, ["Finding 1.", "Finding 2."], [])
    small.lead(thread(1, 10), thread(2, 11), thread(3, 12))
    assert (small.mails, len(small.said())) == (2, 3)
    assert not [path for path in small.wire.paths("POST") if "draft_notes" in path]


def test_a_review_that_a_person_has_begun_with_our_account_is_not_published() -> None:
    small = Small(drafts=[{"id": 1, "note": "Hm, not sure yet.", "line_code": None}])
    assert outside(small.lead(thread(1, 10), thread(2, 11))) == [False, False]
    assert [draft["note"] for draft in small.drafts] == ["Hm, not sure yet."]
    assert (small.mails, len(small.discussions)) == (2, 2)


def test_what_a_crash_left_in_draft_is_not_published_twice() -> None:
    small = Small(drafts=[{"id": 1, "note": marked("thread", "v1:1", "Older."), "line_code": "code"}])
    small.lead(thread(1, 10), thread(2, 11))
    assert (small.said(), small.drafts, small.mails) == (["Finding 1.", "Finding 2."], [], 1)


@pytest.mark.parametrize("code", [403, 404])
def test_where_there_are_no_drafts_each_thread_has_a_mail_of_its_own(code: int) -> None:
    small = Small(refuses={"draft_notes": code})
    assert outside(small.lead(thread(1, 10), thread(2, 11))) == [False, False]
    assert small.mails == 2


def test_a_review_that_gitlab_refuses_is_opened_thread_by_thread() -> None:
    small = Small(refuses={"bulk_publish": 400})
    assert outside(small.lead(thread(1, 10), thread(2, 11))) == [False, False]
    assert (small.drafts, small.mails) == ([], 2)


def test_a_review_that_cannot_be_published_is_opened_thread_by_thread_the_next_time() -> None:
    small, clock = Small(refuses={"bulk_publish": 500}), Clock()
    memory = Memory(clock)
    with pytest.raises(HostUnavailable):
        small.lead(thread(1, 10), thread(2, 11), memory=memory, clock=clock)
    assert outside(small.lead(thread(1, 10), thread(2, 11), memory=memory, clock=clock)) == [False, False]
    assert (small.drafts, small.mails) == ([], 2)


def test_a_plain_thread_that_a_crash_left_is_taken_away_and_one_with_an_answer_stays() -> None:
    small = Small()
    small.discuss(small.note(marked("thread", "v1:1", "On no line."), kind="DiscussionNote"))
    small.discuss(small.note(marked("thread", "v1:2", "Answered."), kind="DiscussionNote"), small.note("Where?", PERSON, "DiscussionNote"))
    small.lead(thread(1))
    assert small.said() == ["Answered.", "Finding 1."]


def test_an_odd_answer_to_publishing_is_no_second_review() -> None:
    small = Small(odd=True)
    assert outside(small.lead(thread(1, 10), thread(2, 11))) == [False, False]
    assert (small.mails, len(small.discussions)) == (1, 2)


def test_what_is_lost_in_publishing_is_opened_alone() -> None:
    small = Small(loses=True)
    assert outside(small.lead(thread(1, 10), thread(2, 11))) == [False, False]
    assert len(small.discussions) == 2


def test_a_draft_without_a_line_is_not_published() -> None:
    small = Small()

    def answer(asked: Asked) -> Said | None:
        said = small.answer(asked)
        if said is not None and asked.method == "POST" and asked.path.endswith("/draft_notes") and "Finding 2" in str(asked.body["note"]):
            assert isinstance(said.value, dict)
            return Said({**said.value, "line_code": None}, 201)
        return said

    refs = Wire(answer).host().ensure_threads(REF, HEAD, [thread(1, 10), thread(2, 11), thread(3, 12)], "")
    assert outside(refs) == [False, True, False]
    assert (small.said(), small.drafts) == (["Finding 1.", "Finding 3."], [])


@pytest.mark.parametrize("wanted", [(thread(1, 10),), (thread(1, 10), thread(2, 11))], ids=["one", "two"])
def test_what_comes_back_as_a_plain_thread_is_taken_away(wanted: tuple[Thread, ...]) -> None:
    small = Small(plain=True)
    assert outside(small.lead(*wanted)) == [True] * len(wanted)
    assert small.discussions == []


def test_a_position_that_gitlab_refuses_costs_only_itself() -> None:
    small = Small(refuses={"POST /discussions": 400})
    assert outside(small.lead(thread(1, 10))) == [True]
    small = Small()
    assert outside(small.lead(thread(1, 10), thread(2, 99), thread(3, 11))) == [False, True, False]


def test_a_diff_that_gitlab_has_not_made_yet_is_waited_for() -> None:
    with pytest.raises(HostUnavailable, match="diff"):
        Small(versions=()).lead(thread(1))


def test_a_head_that_is_gone_from_the_merge_request_opens_nothing() -> None:
    small = Small(versions=(), head="1" * 40)
    assert outside(small.lead(thread(1), thread(2))) == [True, True]
    assert small.discussions == []


def test_of_two_threads_with_one_mark_the_older_stays_and_answers_are_kept() -> None:
    small = Small()
    first, second, third = (small.stands(1) for _ in range(3))
    third["notes"].append(small.note("I do not think so.", PERSON))
    (ref,) = small.lead(thread(1))
    assert ref.id == first["id"]
    assert [discussion["id"] for discussion in small.discussions] == [first["id"], third["id"]]
    assert [note["resolved"] for note in third["notes"]] == [True, True]
    assert second not in small.discussions


def test_a_mark_in_somebody_elses_note_is_nothing() -> None:
    small = Small()
    small.discuss(small.note(marked("thread", "v1:1", "Mine!"), PERSON))
    small.discuss(small.note("A person's thread.", PERSON), small.note(marked("thread", "v1:1", "An answer.")))
    assert list(Wire(small.answer).host().threads(REF)) == []
    small.lead(thread(1))
    assert small.said() == ["Mine!", "A person's thread.", "Finding 1."]


@pytest.mark.parametrize(
    ("by", "back", "opened"),
    [(PERSON, False, False), (PERSON, True, True), (ME, False, True), (None, False, True)],
    ids=["a person", "a person, and it was gone", "we", "nobody"],
)
def test_what_a_person_resolved_stays_so_unless_the_finding_was_gone(by: object, *, back: bool, opened: bool) -> None:
    small = Small()
    there = small.stands(1, resolved=True, resolved_by=by)
    small.lead(thread(1, back=back))
    assert there["notes"][0]["resolved"] is not opened


def test_a_thread_whose_finding_is_gone_says_so_once_and_no_more_when_it_is_back() -> None:
    small = Small()
    there = small.stands(1)
    for _ in range(2):
        small.lead(Thread("v1:1", "", 1, 1, "", resolved=True, note="Gone in `7bc90d1`."))
    assert there["notes"][0]["body"].count("Gone in") == 1
    assert there["notes"][0]["resolved"]
    small.lead(Thread("v1:1", "", 1, 1, "", back=True))
    assert there["notes"][0]["body"] == marked("thread", "v1:1", "Finding 1.")
    assert not there["notes"][0]["resolved"]


def test_who_may_not_resolve_says_it_in_the_text_at_least() -> None:
    small = Small(refuses={"PUT /discussions": 403})
    there = small.stands(1)
    (ref,) = small.lead(Thread("v1:1", "", 1, 1, "", resolved=True, note="Gone in `7bc90d1`."))
    assert ref.id == there["id"]
    assert "Gone in" in there["notes"][0]["body"]


def test_nothing_is_written_where_nothing_is_to_be_changed() -> None:
    small = Small()
    small.stands(1)
    small.stands(2, resolved=True, resolved_by=ME)
    small.lead(thread(1), Thread("v1:2", "", 1, 1, "", resolved=True))
    assert re.fullmatch("(GET ?)+", " ".join(asked.method for asked in small.wire.asked))


def test_a_crash_between_drafts_and_publishing_is_cleaned_up_by_whoever_opens_one_thread() -> None:
    small = Small(refuses={"bulk_publish": 429})
    clock = Clock()
    memory = Memory(clock)
    with pytest.raises(RateLimited):
        small.lead(thread(1, 10), thread(2, 11), memory=memory, clock=clock)
    assert len(small.drafts) == 2
    small.refuses = {}
    clock.now += 3_600
    small.stands(2)
    small.lead(thread(1, 10), thread(2, 11), memory=memory, clock=clock)
    assert (small.drafts, small.said()) == ([], ["Finding 2.", "Finding 1."])
