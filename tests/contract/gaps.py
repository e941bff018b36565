"""What a world cannot show, by the test that would need it: each is skipped there under this name.

`test` or `test[parameters]`. That emulate's gaps are still there is asserted in `tests/behaviour/test_foreign_github.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

NO_PAGE = "a status has no page and no annotations; its description is the title"
ONE_CONTEXT = "a commit has one status of our name, whichever review speaks: the newest counts, none is edited"
A_PERSON = "what a person's token writes is written by that person"
_PERSON = {
    "test_a_check_arrives_whole_and_twice_is_once": NO_PAGE,
    "test_a_check_in_progress_becomes_the_finished_one": ONE_CONTEXT,
    "test_a_finished_check_can_change_its_mind": ONE_CONTEXT,
    "test_another_key_is_another_check_and_another_commit_too": ONE_CONTEXT,
    "test_a_pull_request_is_opened_once_and_edited_afterwards": A_PERSON,
}

DOORS = frozenset({"github: a job's token", "github: a person's token", "gitlab: a person's token"})
"""Worlds that differ from another one only in who signs in."""
ASKED_AT_DOORS = frozenset(
    {
        "test_permission_tells_owner_writer_and_stranger_apart",
        "test_a_pull_request_has_head_base_and_merge_base",
        "test_git_fetches_exactly_the_commits_with_the_hosts_credentials",
        "test_a_repository_is_found_by_its_name_and_described_as_it_is",
        "test_the_open_pull_requests_come_with_their_heads",
        "test_who_looks_sees_tip_pull_requests_and_what_was_said",
        "test_what_is_not_known_of_a_repository_that_is_gone_is_not_found",
        "test_a_repository_without_an_owners_policy_has_none",
        "test_an_advisory_is_not_drafted_where_there_can_be_none",
        "test_a_check_arrives_whole_and_twice_is_once",
        "test_a_check_in_progress_becomes_the_finished_one",
        "test_a_finished_check_can_change_its_mind",
        "test_another_key_is_another_check_and_another_commit_too",
        "test_threads_twice_are_once",
        "test_a_changed_text_is_edited_and_nobody_is_told",
        "test_a_thread_is_resolved_when_its_finding_is_gone_and_opened_again_when_it_is_back",
        "test_our_threads_are_found_again_by_whoever_has_forgotten_them",
        "test_one_comment_a_topic_edited_in_place",
        "test_an_empty_comment_makes_none_takes_an_old_one_away_and_lets_it_come_back",
        "test_a_comment_is_answered_once_in_the_conversation",
        "test_a_comment_in_a_thread_is_answered_there",
        "test_a_branch_twice_is_the_same_commit",
        "test_a_branch_to_which_a_person_added_is_left_alone",
        "test_a_pull_request_is_opened_once_and_edited_afterwards",
        "test_closing_says_why_once_and_a_closed_one_is_left_alone",
    }
)
"""What depends on who asks: what is ours, and what he may."""

OVERTAKEN = "test_who_was_overtaken_in_the_middle_of_a_call_writes_nothing_any_more"
NO_GIT = "no git over HTTP"
HEAD_STANDS = "the head of a pull request does not move with its branch"
MISCOUNTS = "counts a commit too many in a pull request"
NO_LINES = "a review's comments want `position`; `line` and `side` are refused with 422"
NO_LIST = "no list of all comments of a repository: 404"
NO_GRAPHQL = "no GraphQL: nothing is minimized or resolved"
ODD_ANNOTATIONS = "annotations come back in an object, not as an array"
ODD_PERMISSION = "answers `push` where GitHub's `permission` says `write`"
_EMULATE = {
    "test_permission_tells_owner_writer_and_stranger_apart": ODD_PERMISSION,
    "test_a_pull_request_has_head_base_and_merge_base": MISCOUNTS,
    "test_after_a_push_it_has_the_new_head_and_the_old_merge_base": HEAD_STANDS,
    "test_after_a_force_push_onto_a_moved_base_the_merge_base_has_moved_too": HEAD_STANDS,
    "test_the_open_pull_requests_come_with_their_heads": HEAD_STANDS,
    "test_who_looks_sees_tip_pull_requests_and_what_was_said": NO_LIST,
    "test_git_fetches_exactly_the_commits_with_the_hosts_credentials": NO_GIT,
    "test_a_check_arrives_whole_and_twice_is_once[3]": ODD_ANNOTATIONS,
    "test_a_check_arrives_whole_and_twice_is_once[51]": ODD_ANNOTATIONS,
    "test_a_check_arrives_whole_and_twice_is_once[120]": ODD_ANNOTATIONS,
    "test_an_empty_comment_makes_none_takes_an_old_one_away_and_lets_it_come_back": NO_GRAPHQL,
    "test_threads_that_are_opened_together_are_one_notification": NO_LINES,
    "test_threads_twice_are_once": NO_LINES,
    "test_only_what_is_missing_is_opened": NO_LINES,
    "test_a_changed_text_is_edited_and_nobody_is_told": NO_LINES,
    "test_a_thread_is_resolved_when_its_finding_is_gone_and_opened_again_when_it_is_back": NO_LINES,
    "test_what_people_answer_is_not_touched": NO_LINES,
    "test_a_line_outside_of_the_diff_costs_only_itself": NO_LINES,
    "test_a_comment_in_a_thread_is_answered_there": NO_LINES,
    f"{OVERTAKEN}[ensure_threads]": NO_LINES,
    "test_our_threads_are_found_again_by_whoever_has_forgotten_them": NO_LINES,
}

NO_ADVISORY = "there are no drafts of advisories that could be written"
NO_REACTION = "there are neither reactions nor drafts of advisories that could be written"
PLAIN_NAMES = "plain git repositories are read by plain branch names alone"
_LOCAL = {f"test_the_tip_of_any_branch_is_read_by_its_name[{name}]": PLAIN_NAMES for name in ("100%25-sure", "a#b&c=d", "\\xfcber")} | {
    f"{OVERTAKEN}[{verb}]": NO_REACTION for verb in ("acknowledge", "draft_advisory")
}

_GITLAB = {
    "test_a_check_arrives_whole_and_twice_is_once": NO_PAGE,
    "test_another_key_is_another_check_and_another_commit_too": ONE_CONTEXT,
    "test_a_check_at_the_limit_of_the_host_arrives": NO_PAGE,
    f"{OVERTAKEN}[draft_advisory]": NO_ADVISORY,
}

GAPS: Mapping[str, Mapping[str, str]] = {
    "local": _LOCAL,
    "github: a person's token": _PERSON,
    "github: emulate": _EMULATE,
    "gitlab": _GITLAB,
    "gitlab: a person's token": _GITLAB | {"test_a_pull_request_is_opened_once_and_edited_afterwards": A_PERSON},
}
"""World -> test -> what is missing."""
