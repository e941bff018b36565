"""Where hosts differ, in the words of `docs/reference/hosts.md`: what each can do, and behaviours that are held in another form.

What a world cannot show at all is in `gaps.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.model.review import Conclusion
from pipeline.ports import Capabilities

SHOWN = "a status knows neither `neutral` nor `action_required`: they are shown as `success` and `failed`, and the description says why"
NO_TIME = "a delivery does not say when it was signed: its id keeps it from counting twice"
NO_PROOF_OF_BODY = "a secret token proves who sends, not what: the host offers signatures"
ANY_LINE = "threads stand on any line, so none is lost"
NO_FORKS = "there are no forks"
NO_COMMAND = "nothing is to be set up on a host"
NO_FORM = "it is set up by commands: there is no page that asks"

GITLAB = ("gitlab", "gitlab: a person's token")
OTHERWISE: Mapping[str, Mapping[str, str]] = {
    "test_an_old_delivery_is_refused_where_deliveries_tell_their_age": {"github": NO_TIME, "gitlab: a secret token": NO_TIME},
    "test_a_line_outside_of_the_diff_costs_only_itself": {"local": ANY_LINE},
    "test_every_conclusion_is_shown": dict.fromkeys(GITLAB, SHOWN),
    "test_a_pull_request_from_a_fork_says_so": {"local": NO_FORKS},
    "test_the_command_that_sets_it_up_is_one": {"local": NO_COMMAND},
    "test_what_setup_asks_can_be_told_apart": {"gitlab": NO_FORM, "gitlab: a secret token": NO_FORM, "local": NO_COMMAND},
}
"""Test -> world -> how it is there. A test that asks its world what it is (`TELLTALES`) must be here, or in `NOT_OF_SENDERS`."""
NOT_OF_SENDERS: Mapping[str, Mapping[str, str]] = {"test_one_changed_byte_is_refused": {"gitlab: a secret token": NO_PROOF_OF_BODY}}
"""Test -> world that differs only in what proves its deliveries -> why it cannot be so there."""
TELLTALES = ("signs_time", "signs_body", "only_in_diff", "shown_as", "open_from_fork", "setup_command", "provider.setup", "pytest.skip")
UNKNOWN_CONCLUSIONS = {Conclusion.NEUTRAL: Conclusion.SUCCESS, Conclusion.ACTION_REQUIRED: Conclusion.FAILURE}
"""What `SHOWN` says."""


@dataclass(frozen=True)
class Ability:
    """One row of what hosts can do."""

    said: str
    shown: Callable[[Capabilities], str]
    why: Mapping[str, str]
    """Provider -> why it has none of this."""


def _yes(value: bool) -> str:
    return "yes" if value else "no"


NO_PAGE = "a commit status has a description and an address; the sticky comment carries the table, and that is its page"
OF_ONE_PIPELINE = "a status belongs to one pipeline: it is said again in each later one, when GitLab tells of it, else within the hour"
NO_LIST = "GitLab makes none while a webhook is switched off: what was missed is found by comparing, every hour"
OWN_DISK = "the host is git on our own disk; its hooks keep what nobody took"
NO_PAGES = "folders on a disk have no pages"
NO_MEMBERS_ONLY = "there is no such comment"
ABILITIES: Mapping[str, Ability] = {
    "pull_request_word": Ability("What a pull request is called", lambda c: c.pull_request_word, {}),
    "pull_request_path": Ability(
        "The page of one, below its repository's",
        lambda c: f"`{c.pull_request_path}`" if c.pull_request_path else "no",
        {"local": NO_PAGES},
    ),
    "file_page": Ability(
        "The page of a file, below its repository's", lambda c: f"`{c.file_page}`" if c.file_page else "no", {"local": NO_PAGES}
    ),
    "reference_sign": Ability("Sign before its number", lambda c: f"`{c.reference_sign}`", {}),
    "check_pages": Ability("A check has a page of its own", lambda c: _yes(c.check_pages), {"gitlab": NO_PAGE}),
    "annotations": Ability("Annotations in one request", lambda c: str(c.annotations or "no"), {"gitlab": NO_PAGE}),
    "buttons": Ability("Buttons on a check", lambda c: str(c.buttons or "no"), {"gitlab": "a status has none: commands do what they do"}),
    "max_title": Ability("Characters of a check's title", lambda c: f"{c.max_title:,}", {}),
    "max_body": Ability("Bytes of a text", lambda c: f"{c.max_body:,}", {}),
    "threads": Ability("Threads on one change, at most", lambda c: str(c.threads), {}),
    "suggestions": Ability("A thread carries a change to apply", lambda c: _yes(c.suggestions), {}),
    "suggestion_fence": Ability("Its fence", lambda c: f"`{c.suggestion_fence}`", {}),
    "internal_comments": Ability(
        "Comments for members alone",
        lambda c: _yes(c.internal_comments),
        {"github": NO_MEMBERS_ONLY, "local": "whoever reads them has the disk"},
    ),
    "advisories": Ability(
        "Private drafts of security advisories",
        lambda c: _yes(c.advisories),
        {"gitlab": "GitLab has none that a program could draft", "local": "there is nobody to publish one to"},
    ),
    "taken_commands": Ability(
        "Every command may begin with a slash",
        lambda c: "no" if c.taken_commands else "yes",
        {"gitlab": "GitLab takes `/status` for its own: write `@fixwright status`, which works for every command on every host"},
    ),
    "checks_by_pipeline": Ability(
        "A check counts for every later pipeline of its commit", lambda c: _yes(not c.checks_by_pipeline), {"gitlab": OF_ONE_PIPELINE}
    ),
    "redelivers": Ability(
        "Deliveries that were refused are asked for again", lambda c: _yes(c.redelivers), {"gitlab": NO_LIST, "local": OWN_DISK}
    ),
    "tells_installations": Ability(
        "Tells where it was let know of us",
        lambda c: _yes(c.tells_installations),
        {"gitlab": "a webhook says nothing when it is set: a group is known from its first delivery"},
    ),
    "unwritable": Ability("Folders that no fix is written to", lambda c: ", ".join(f"`{f}`" for f in c.unwritable) or "none", {}),
    "policies": Ability("Where the policy may stand", lambda c: ", ".join(f"`{f}`" for f in c.policies.files), {}),
    "local_git": Ability(
        "Git reads a folder on our disk",
        lambda c: _yes(c.local_git),
        dict.fromkeys(("github", "gitlab"), "it lies behind a network, so git is kept from reading paths"),
    ),
    "writes": Ability("May write until the host refuses", lambda c: _yes(c.writes), {}),
}
"""Field of `Capabilities` -> its row. A field without one fails the suite."""

WATCH = "`fixwright watch` looks by itself where nothing can be delivered"
NOT_WATCHED: Mapping[str, str] = {
    "gitlab": 'where GitLab cannot deliver to us, a job of its own CI scans each merge request (the guide "GitLab CI")',
    "local": "hooks of git on the same disk tell of every push",
}
"""Provider that `bot.cli.watch` does not look at -> why not."""
