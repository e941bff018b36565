"""What happens around projects on the double of GitLab: renamed, moved, archived, made public, deleted; groups; who asks for what again."""

from __future__ import annotations

from sqlalchemy import select

from pipeline.store.tables import installations, outbox, repositories, reviews
from tests.fakes import LineScanner
from tests.stages.gitlab import GitlabBench
from tests.stages.wired import KeyScanner

OLD = {"a.txt": "fine\nBAD old\nfine\n", "b.txt": "fine\n"}


def states(gitlab: GitlabBench) -> dict[str, str]:
    """How the known projects stand, by path."""
    with gitlab.app.database.read() as work:
        return {row.full_name: row.state for row in work.transaction.execute(select(repositories.c.full_name, repositories.c.state))}


def homes(gitlab: GitlabBench) -> set[tuple[str, str]]:
    """Namespaces that we know, and how they stand."""
    with gitlab.app.database.read() as work:
        return {(row.account, row.state) for row in work.transaction.execute(select(installations.c.account, installations.c.state))}


def statuses(gitlab: GitlabBench, head: str) -> list[str]:
    """How the reviews of a head stand, oldest first."""
    with gitlab.app.database.read() as work:
        return list(work.transaction.execute(select(reviews.c.status).where(reviews.c.head == head).order_by(reviews.c.id)).scalars())


def test_a_renamed_project_is_the_same_one(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "BAD\n"})
    gitlab.settle()
    gitlab.world.rename_project(project, "store")
    gitlab.settle()
    assert states(gitlab) == {"acme/store": "active"}
    gitlab.world.commit(project, "feature", {"c.txt": "GOOD\n"})
    gitlab.settle()
    assert gitlab.statuses(project, request.head)[-1].status == "success"
    assert len(gitlab.our_notes(request)) == len({note.id for note in gitlab.our_notes(request)})
    assert gitlab.dead() == []


def test_a_project_that_moves_to_another_group_within_reach_is_the_same_one(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    gitlab.settle()
    gitlab.world.create_group("umbrella")
    gitlab.world.set_access(gitlab.world.owner_of(gitlab.token).username, gitlab.world.create_group("umbrella"), "developer")
    gitlab.world.move_project(project, "umbrella")
    gitlab.settle()
    assert states(gitlab) == {"umbrella/shop": "active"}
    request = gitlab.change(project, {"c.txt": "BAD\n"})
    gitlab.settle()
    assert gitlab.statuses(project, request.head)[-1].status == "failed"
    assert gitlab.dead() == []


def test_an_archived_project_is_left_alone_and_taken_up_again(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "BAD\n"})
    archived: list[bool] = []

    def once() -> None:
        if not archived:
            archived.append(True)
            gitlab.world.archive_project(project)
            gitlab.take()
            gitlab.work_key(f"accept:gitlab::{gitlab.world.hooks.of('project_update')[-1].id}")

    gitlab.look_with(LineScanner(before=once), KeyScanner())
    gitlab.settle()
    assert (states(gitlab), statuses(gitlab, request.head)) == ({"acme/shop": "archived"}, ["cancelled"])
    gitlab.world.archive_project(project, archived=False)
    gitlab.settle()
    assert states(gitlab) == {"acme/shop": "active"}
    assert gitlab.statuses(project, request.head)[-1].status == "failed"
    assert gitlab.dead() == []


def test_a_project_that_becomes_public_shows_nothing_of_its_default_branch_any_more(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    # Only who may push to a protected branch may set a status of it.
    gitlab.world.set_access(gitlab.world.owner_of(gitlab.token).username, project, "maintainer")
    gitlab.settle()
    head = gitlab.world.commit(project, "main", {"c.txt": "BAD\n"})
    gitlab.settle()
    assert gitlab.statuses(project, head)[-1].status == "failed"
    gitlab.world.set_visibility(project, "public")
    gitlab.settle()
    newest = gitlab.statuses(project, head)[-1]
    assert (newest.status, newest.description) == ("success", "Not shown: this repository is public")
    assert gitlab.dead() == []


def test_a_deleted_project_leaves_no_retries(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    gitlab.change(project, {"c.txt": "BAD\n"})
    gitlab.world.delete_project(project)
    gitlab.settle()
    assert set(states(gitlab).values()) == {"gone"}
    with gitlab.app.database.read() as work:
        purges = work.transaction.execute(select(outbox.c.status).where(outbox.c.kind == "purge_repository")).scalars()
        assert list(purges) == ["pending"]


def test_a_renamed_group_takes_its_projects_along(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "BAD\n"})
    gitlab.settle()
    gitlab.world.rename_group(project.namespace, "umbrella")
    gitlab.settle()
    assert states(gitlab) == {"umbrella/shop": "active"}
    assert ("umbrella", "active") in homes(gitlab)
    gitlab.world.commit(project, "feature", {"c.txt": "GOOD\n"})
    gitlab.settle()
    assert gitlab.statuses(project, request.head)[-1].status == "success"
    assert gitlab.dead() == []


def test_a_project_on_another_server_is_nobodys(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    gitlab.settle()
    before = states(gitlab)
    gitlab.world.gitlab.shapes.web = "https://gitlab.example.org"
    gitlab.world.commit(project, "feature", {"c.txt": "BAD\n"})
    gitlab.settle()
    assert states(gitlab) == before


def test_lost_rights_count_at_once(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    request = gitlab.change(project, {"c.txt": "fine\nBAD\n"})
    gitlab.settle()
    gitlab.world.set_access("ada", project, "none")
    gitlab.world.comment("ada", request, "/fix")
    gitlab.settle()
    assert any("Developer" in note.body or "permission" in note.body for note in gitlab.our_notes(request))
    assert gitlab.sent("run_fix") == 0
    assert gitlab.dead() == []


def test_an_external_status_check_is_answered_whenever_it_asks(gitlab: GitlabBench) -> None:
    project = gitlab.project(OLD)
    project.namespace.root.plan = "ultimate"
    request = gitlab.change(project, {"c.txt": "BAD\n"})
    gitlab.settle()
    # The check is new: this head was judged before anybody asked.
    gitlab.world.hooks.paused = True
    address = "https://fixwright.example.org/webhooks/gitlab"
    check = gitlab.world.add_status_check(project, "Fixwright", address, gitlab.world.webhook_secret)
    gitlab.world.edit_merge_request("ada", request, title="Another title")
    (asked,) = gitlab.world.status_check_deliveries
    for _ in range(2):
        answer = gitlab.client.post("/webhooks/gitlab", content=asked.body, headers=asked.headers)
        assert answer.status_code == 202
        gitlab.settle()
    answers = gitlab.world.gitlab.status_checks
    assert answers.status(check, request) == "failed"
    assert [one.status for one in answers.responses[request.id]] == ["failed"]
    assert gitlab.reviews(request.head) == 1
    gitlab.world.commit(project, "feature", {"c.txt": "GOOD\n"})
    gitlab.settle()
    assert answers.status(check, request) == "passed"
    assert gitlab.dead() == []
