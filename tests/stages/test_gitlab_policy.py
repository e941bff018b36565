"""Policies of groups that lie in each other, on the double of GitLab: who breaks the file of his group takes nothing from the one above."""

from __future__ import annotations

from html import unescape

from sqlalchemy import delete

from pipeline.store.tables import host_memory
from tests.stages.gitlab import GitlabBench
from tests.worlds.gitlab.model import MergeRequest, Project

LAX = ".gitlab/fixwright.yml"
BROKEN = "gate:\n  blok: low\n"


def project_in(gitlab: GitlabBench, group: str, own: str = "") -> Project:
    """A project of a group, in which ada may write."""
    made = gitlab.world.create_project(group, "shop", files={"a.txt": "fine\n", **({LAX: own} if own else {})})
    gitlab.world.set_access("ada", made, "developer")
    return made


def a_minute_later(gitlab: GitlabBench) -> None:
    """What is known of policies for a minute only is forgotten."""
    with gitlab.app.database.work() as work:
        fresh = host_memory.c.key.like("policy-parent:%") & ~host_memory.c.key.like("%:last")
        assert work.transaction.changed(delete(host_memory).where(fresh)) >= 1


def verdict(gitlab: GitlabBench, request: MergeRequest) -> tuple[str, str]:
    """Of the check: how it ended, and its line."""
    (status,) = gitlab.statuses(request.project, request.head)
    return status.status, status.description or ""


def said(gitlab: GitlabBench, request: MergeRequest) -> str:
    """Our notes on a merge request as a person reads them."""
    return unescape("".join(note.body for note in gitlab.our_notes(request))).replace("\u200b", "")


def test_a_new_group_with_a_broken_policy_stays_under_the_one_above_and_gets_no_green_check(gitlab: GitlabBench) -> None:
    gitlab.world.create_project("acme", "fixwright", files={"fixwright.yml": "gate: {block: high}\non_incomplete: warn\n"})
    gitlab.world.create_project("acme/web", "fixwright", files={"fixwright.yml": BROKEN})
    shop = project_in(gitlab, "acme/web", "gate: {block: never}\non_incomplete: warn\n")
    bad = gitlab.change(shop, {"c.txt": "BAD new\n"}, "bad")
    fine = gitlab.change(shop, {"c.txt": "fine\n"}, "fine")
    gitlab.settle()
    ended, line = verdict(gitlab, bad)
    assert ended == "failed"
    assert "1 blocks" in line
    ended, line = verdict(gitlab, fine)
    assert ended == "failed"
    assert "the owner's policy cannot be used" in line
    assert "acme/web/fixwright: fixwright.yml:2: gate.blok: there is no such key" in said(gitlab, bad)


def test_a_broken_policy_of_a_group_does_not_hold_the_one_above_where_it_was(gitlab: GitlabBench) -> None:
    top = gitlab.world.create_project("acme", "fixwright", files={"fixwright.yml": "gate: {block: never}\n"})
    group = gitlab.world.create_project("acme/web", "fixwright", files={"fixwright.yml": "waivers: {days: 10}\n"})
    shop = project_in(gitlab, "acme/web")
    first = gitlab.change(shop, {"c.txt": "BAD new\n"}, "first")
    gitlab.settle()
    assert verdict(gitlab, first)[0] == "success"
    gitlab.world.commit(group, "main", {"fixwright.yml": BROKEN}, author="olga")
    gitlab.world.commit(top, "main", {"fixwright.yml": "gate: {block: high}\n"}, author="olga")
    a_minute_later(gitlab)
    second = gitlab.change(shop, {"d.txt": "BAD new\n"}, "second")
    gitlab.settle()
    ended, line = verdict(gitlab, second)
    assert ended == "failed"
    assert "1 blocks" in line
    assert "The owner's policy cannot be used; its last good version is in force." in said(gitlab, second)

    # The last good version belongs to the file: a group finds it too that is new.
    gitlab.world.commit(top, "main", {"fixwright.yml": BROKEN}, author="olga")
    a_minute_later(gitlab)
    third = gitlab.change(project_in(gitlab, "acme/new"), {"d.txt": "BAD new\n"}, "third")
    gitlab.settle()
    ended, line = verdict(gitlab, third)
    assert ended == "failed"
    assert "1 blocks" in line
    assert "acme/fixwright: fixwright.yml:2: gate.blok: there is no such key. The owner's policy cannot be used;" in said(gitlab, third)
