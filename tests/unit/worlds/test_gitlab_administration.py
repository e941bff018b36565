"""Webhooks, members and tokens on the GitLab double, driven by python-gitlab as its administrators drive it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gitlab
import pytest
import requests
from gitlab.exceptions import GitlabAuthenticationError, GitlabCreateError, GitlabError, GitlabGetError, GitlabHttpError

from tests.unit.worlds.receiver import Receiver, receiving
from tests.worlds import faults
from tests.worlds.gitlab import GitlabWorld
from tests.worlds.gitlab.hooks import new_signing_token
from tests.worlds.gitlab.model import Project


@dataclass
class Scene:
    """`acme/tools/shop`: ada owns `acme`, walter maintains the project, dora develops, rita only reports."""

    world: GitlabWorld
    project: Project

    def client(self, who: str, *scopes: str) -> gitlab.Gitlab:
        return gitlab.Gitlab(self.world.url, private_token=self.world.token_for(who, scopes or ("api",)))

    def shop(self, who: str = "walter") -> Any:
        return self.client(who).projects.get(self.project.id)

    def group(self, who: str = "ada") -> Any:
        return self.client(who).groups.get("acme")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with GitlabWorld.start(tmp_path_factory.mktemp("world")) as world:
        group = world.create_group("acme", owner="ada")
        world.create_group("acme/tools")
        project = world.create_project("acme/tools", "shop", files={"app.py": "x\n"})
        world.set_access("walter", project, "maintainer")
        world.set_access("dora", group, "developer")
        world.set_access("rita", project, "reporter")
        yield Scene(world, project)
        assert [violation for violation in world.violations if violation.side != "request"] == []


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as box:
        yield box


@pytest.fixture(autouse=True)
def afresh(scene: Scene) -> Iterator[None]:
    yield
    hooks, premium = scene.world.hooks, scene.world.create_group("acme")
    hooks.registered.clear()
    hooks.signs = hooks.tells_tokens = hooks.auto_disable = hooks.enterprise = True
    premium.plan = "premium"
    scene.world.advance(61)  # limits of a minute are about one test


def code(refused: pytest.ExceptionInfo[GitlabError]) -> int | None:
    return refused.value.response_code


# --- webhooks ---


def test_a_hook_is_made_read_back_changed_and_removed_and_shows_no_secret(scene: Scene) -> None:
    token, signing = "a secret of " + "this test", new_signing_token()
    made = scene.shop().hooks.create(
        {"url": "https://fixwright.example.org/webhooks/gitlab", "name": "Fixwright", "note_events": True, "token": token}
    )
    assert (made.push_events, made.note_events, made.merge_requests_events) == (True, True, False)
    assert (made.alert_status, made.disabled_until, made.project_id) == ("executable", None, scene.project.id)
    assert (made.token_present, made.signing_token_present) == (True, False)
    made.signing_token, made.push_events = signing, False
    made.save()
    again = scene.shop().hooks.get(made.id)
    assert (again.push_events, again.note_events, again.signing_token_present) == (False, True, True)
    assert token not in str(again.attributes)
    assert signing not in str(again.attributes)
    assert [hook.id for hook in scene.shop().hooks.list(get_all=True)] == [made.id]
    again.delete()
    with pytest.raises(GitlabGetError) as gone:
        scene.shop().hooks.get(made.id)
    assert code(gone) == 404


def test_secrets_do_not_follow_a_hook_to_another_address(scene: Scene) -> None:
    made = scene.shop().hooks.create({"url": "https://a.example.org/", "token": "t", "signing_token": new_signing_token()})
    kept = scene.shop().hooks.update(made.id, {"url": "https://a.example.org/", "note_events": True})
    assert (kept["token_present"], kept["signing_token_present"]) == (True, True)
    moved = scene.shop().hooks.update(made.id, {"url": "https://b.example.org/"})
    assert (moved["token_present"], moved["signing_token_present"]) == (False, False)


def test_an_instance_without_the_flag_ignores_signing_tokens_in_silence(scene: Scene) -> None:
    scene.world.hooks.signs = False
    made = scene.shop().hooks.create({"url": "https://a.example.org/", "signing_token": new_signing_token()})
    assert made.signing_token_present is False
    scene.world.hooks.tells_tokens = False
    assert "signing_token_present" not in scene.shop().hooks.get(made.id).attributes


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"url": "not an address"}, 422),
        ({"url": "ftp://example.org/"}, 422),
        ({"url": "https://example.org/", "signing_token": "plain"}, 422),
        ({"url": "https://example.org/", "signing_token": "whsec_AAAA"}, 422),
        ({"url": "https://example.org/", "branch_filter_strategy": "none"}, 400),
        ({"url": "https://example.org/", "push_events": "perhaps"}, 400),
    ],
)
def test_a_hook_that_cannot_be_is_refused(scene: Scene, given: dict[str, Any], status: int) -> None:
    with pytest.raises(GitlabCreateError) as refused:
        scene.shop().hooks.create(given)
    assert code(refused) == status
    assert scene.world.hooks.registered == {}


@pytest.mark.parametrize(("who", "status"), [("dora", 403), ("rita", 403), ("eve", 404)])
def test_hooks_of_a_project_are_its_maintainers(scene: Scene, who: str, status: int) -> None:
    lazy: Any = scene.client(who).projects.get(scene.project.id, lazy=True)
    with pytest.raises(GitlabError) as refused:
        lazy.hooks.list(get_all=True)
    assert code(refused) == status
    with pytest.raises(GitlabError) as also:
        lazy.hooks.create({"url": "https://example.org/"})
    assert code(also) == status


def test_hooks_of_a_group_are_its_owners_and_without_premium_they_stand_there_and_never_fire(scene: Scene, receiver: Receiver) -> None:
    made = scene.group().hooks.create({"url": "https://a.example.org/", "member_events": True})
    assert (made.group_id, made.member_events, made.subgroup_events) == (scene.group().id, True, False)
    with pytest.raises(GitlabError) as below:
        scene.group("dora").hooks.list(get_all=True)
    assert code(below) == 403
    hook = scene.group().hooks.create({"url": receiver.url, "push_events": True})
    for plan, fired in (("free", 0), ("premium", 1)):
        scene.world.create_group("acme").plan = plan
        assert {hook.id, made.id} == {one.id for one in scene.group().hooks.list(get_all=True)}
        tests = len(receiver.seen)
        hook.test("push_events")
        assert len(receiver.seen) == tests + 1
        scene.world.commit(scene.project, "main", {"plan.txt": plan})
        scene.world.hooks.wait()
        assert len(receiver.seen) == tests + 1 + fired
    scene.world.hooks.enterprise = False
    with pytest.raises(GitlabError) as community:
        scene.group().hooks.list(get_all=True)
    assert code(community) == 404


def test_hooks_of_the_instance_are_its_administrators(scene: Scene) -> None:
    with pytest.raises(GitlabError) as refused:
        scene.client("walter").hooks.list(get_all=True)
    assert code(refused) == 403
    scene.world.user("root").admin = True
    made = scene.client("root").hooks.create({"url": "https://a.example.org/", "push_events": False})
    assert (made.repository_update_events, made.push_events) == (True, False)
    told = scene.world.hooks_of(None)[0]
    scene.world.archive_project(scene.project)
    scene.world.archive_project(scene.project, archived=False)
    assert [delivery.event for delivery in scene.world.hooks.deliveries if delivery.hook is told] == ["project_update"] * 2


def test_a_test_request_is_delivered_and_switches_a_hook_on_again(scene: Scene, receiver: Receiver) -> None:
    made = scene.shop().hooks.create({"url": receiver.url, "token": "t"})
    (hook,) = scene.world.hooks_of(scene.project)
    scene.world.switch_off(hook, for_good=True)
    assert scene.shop().hooks.get(made.id).alert_status == "disabled"
    receiver.status = 401
    with pytest.raises(GitlabError, match="HTTP 401") as refused:
        made.test("push_events")
    assert code(refused) == 422
    assert scene.shop().hooks.get(made.id).alert_status == "disabled"
    receiver.status = 202
    made.test("push_events")
    assert scene.shop().hooks.get(made.id).alert_status == "executable"
    assert [headers["x-gitlab-event"] for headers, _ in receiver.seen] == ["Push Hook"] * 2
    with pytest.raises(GitlabError, match="Ensure the project has") as without:
        made.test("merge_requests_events")
    assert code(without) == 422


def test_a_hook_that_is_off_for_a_while_says_until_when(scene: Scene) -> None:
    scene.shop().hooks.create({"url": "https://a.example.org/"})
    (hook,) = scene.world.hooks_of(scene.project)
    scene.world.switch_off(hook)
    (seen,) = scene.shop().hooks.list(get_all=True)
    assert (seen.alert_status, seen.disabled_until[:2]) == ("temporarily_disabled", "20")
    scene.world.hooks.auto_disable = False
    assert scene.shop().hooks.get(seen.id).alert_status == "executable"


def test_five_tests_a_minute_are_enough(scene: Scene, receiver: Receiver) -> None:
    made = scene.shop().hooks.create({"url": receiver.url})
    client, path = scene.client("walter"), f"/projects/{scene.project.id}/hooks/{made.id}/test/push_events"
    for _ in range(5):
        client.http_post(path, obey_rate_limit=False)
    with pytest.raises(GitlabHttpError) as refused:
        client.http_post(path, obey_rate_limit=False)
    assert code(refused) == 429
    scene.world.advance(60)
    client.http_post(path, obey_rate_limit=False)


def test_what_was_sent_is_listed_without_secrets_and_sent_again_under_its_id(scene: Scene, receiver: Receiver) -> None:
    made = scene.shop().hooks.create({"url": receiver.url, "token": "a secret of this test"})
    receiver.status = 500
    scene.world.commit(scene.project, "main", {"app.py": "y\n"}, author="walter")
    scene.world.hooks.wait()
    client, path = scene.client("walter"), f"/projects/{scene.project.id}/hooks/{made.id}/events"
    (event,) = client.http_list(path, get_all=True, query_data={"status": "server_failure"})
    assert (event["trigger"], event["response_status"], event["request_headers"]["X-Gitlab-Token"]) == ("push_hooks", "500", "[REDACTED]")
    assert client.http_list(path, get_all=True, query_data={"status": "successful"}) == []
    receiver.status = 202
    assert client.http_post(f"{path}/{event['id']}/resend") == {"response_status": 202}
    assert len({headers["idempotency-key"] for headers, _ in receiver.seen}) == 1


# --- members ---


def test_members_are_direct_or_come_from_the_groups_above(scene: Scene) -> None:
    shop = scene.shop()
    direct = {member.username: member.access_level for member in shop.members.list(get_all=True)}
    every = {member.username: member.access_level for member in shop.members_all.list(get_all=True)}
    assert direct == {"walter": 40, "rita": 20}
    assert every == {"walter": 40, "rita": 20, "ada": 50, "dora": 30}
    dora = scene.world.user("dora")
    assert shop.members_all.get(dora.id).access_level == 30
    with pytest.raises(GitlabGetError) as refused:
        shop.members.get(dora.id)
    assert code(refused) == 404
    scene.world.set_access("dora", scene.project, "maintainer")
    assert shop.members_all.get(dora.id).access_level == 40, "of several the highest counts"
    scene.world.set_access("dora", scene.project, "none")
    assert [member.username for member in shop.members_all.list(query="dor", get_all=True)] == ["dora"]


def test_a_membership_ends_on_its_day(scene: Scene) -> None:
    scene.world.set_access("temp", scene.project, "developer")
    temp = scene.world.user("temp")
    scene.project.members[temp.id].expires_at = scene.world.gitlab.state.now().date()
    scene.world.expire()
    with pytest.raises(GitlabGetError) as refused:
        scene.shop().members_all.get(temp.id)
    assert code(refused) == 404
    with pytest.raises(GitlabGetError) as gone:
        scene.client("temp").projects.get(scene.project.id)
    assert code(gone) == 404


# --- tokens ---


def test_a_token_says_what_it_is_whatever_it_may_do(scene: Scene) -> None:
    for scopes in (("api",), ("read_api", "self_rotate"), ("read_repository",)):
        itself = scene.client("walter", *scopes).personal_access_tokens.get("self")
        assert (itself.scopes, itself.active, itself.revoked) == (list(scopes), True, False)
        assert itself.user_id == scene.world.user("walter").id
        assert itself.expires_at > scene.world.gitlab.state.now().date().isoformat()


def test_a_rotated_token_has_a_successor_and_is_dead_itself(scene: Scene) -> None:
    client = scene.client("walter", "api", "self_rotate")
    made = client.http_post("/personal_access_tokens/self/rotate")
    assert isinstance(made, dict)
    with pytest.raises(GitlabAuthenticationError):
        client.http_get("/user")
    after = gitlab.Gitlab(scene.world.url, private_token=made["token"])
    after.auth()
    assert after.user is not None
    assert after.user.username == "walter"


def test_a_token_is_refused_as_gitlab_refuses_it(scene: Scene) -> None:
    never = gitlab.Gitlab(scene.world.url, private_token="glpat-of-nobody")
    with pytest.raises(GitlabAuthenticationError, match="401"):
        never.http_get("/user")
    revoked = scene.world.token_for("walter")
    scene.world.revoke(revoked)
    ended = scene.world.token_for("walter", days=0)
    for value, text in ((revoked, "Token was revoked"), (ended, "Token is expired")):
        with pytest.raises(GitlabAuthenticationError) as refused:
            gitlab.Gitlab(scene.world.url, private_token=value).http_get("/user")
        body = refused.value.response_body
        assert body is not None
        assert text in body.decode()


@pytest.mark.parametrize(
    ("scopes", "method", "path"),
    [
        (("read_api",), "post", "/projects/{}/hooks"),
        (("read_repository",), "get", "/projects/{}"),
        (("read_user",), "get", "/projects/{}"),
        (("self_rotate",), "get", "/user"),
        (("write_repository",), "post", "/projects/{}/statuses/main"),
    ],
)
def test_a_token_without_the_scope_is_told_which_it_needs(scene: Scene, scopes: tuple[str, ...], method: str, path: str) -> None:
    client = scene.client("walter", *scopes)
    with pytest.raises(GitlabHttpError) as refused:
        getattr(client, f"http_{method}")(path.format(scene.project.id))
    assert (code(refused), str(refused.value.error_message)) == (403, "insufficient_scope")


def test_who_asks_too_often_is_told_to_wait(scene: Scene) -> None:
    client, limits = scene.client("walter"), scene.world.limits
    limits.requests = 3
    try:
        for _ in range(3):
            client.http_get("/user")
        with pytest.raises(GitlabHttpError) as refused:
            client.http_get("/user", obey_rate_limit=False)
        assert code(refused) == 429
        scene.world.advance(60)
        client.http_get("/user", obey_rate_limit=False)
    finally:
        limits.requests = 2_000


# --- failures on order ---


def test_failures_on_order_meet_the_calls_that_they_name_and_no_others(scene: Scene) -> None:
    client, orders = scene.client("walter"), scene.world.faults
    orders.add("GET", r"/user$", faults.Status(502, b"<html>502</html>", {"content-type": "text/html"}))
    orders.add("GET", r"/version$", faults.garbage())
    orders.add("POST", r"/hooks$", faults.Abort(after_work=True))
    with pytest.raises(GitlabHttpError) as away:
        client.http_get("/user")
    assert code(away) == 502
    assert isinstance(client.http_get("/version"), requests.Response), "what is no JSON is handed on as it came"
    with pytest.raises(requests.ConnectionError):
        scene.shop().hooks.create({"url": "https://a.example.org/"})
    assert len(scene.world.hooks_of(scene.project)) == 1, "it was made, and the answer was lost"
    assert not orders.open
    assert scene.world.asked[-1].status == 201
