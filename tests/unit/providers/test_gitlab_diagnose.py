"""What doctor says of the way to GitLab, the token, its roles and the webhooks; and what the hourly look finds."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from pipeline.errors import HostUnauthorized, NotConfigured
from pipeline.model.event import Delivery
from pipeline.model.setup import Diagnosis
from providers.gitlab.provider import GitLabProvider
from tests.unit.providers.github_wire import Memory
from tests.unit.providers.gitlab_wire import SELF, TOKEN, Asked, Reply, Said, Wire

SECRET = "webhook-" + "secret" * 3
SIGNING = "whsec_" + b64encode(b"k" * 32).decode()
NOBODY = "http://127.0.0.1:9/webhooks/gitlab"


def project(number: int, level: int) -> Mapping[str, object]:
    return {
        "id": number,
        "path_with_namespace": f"acme/p{number}",
        "permissions": {"project_access": None, "group_access": {"access_level": level}},
    }


class Gitlab:
    """Answers to what doctor asks."""

    def __init__(self) -> None:
        self.user: dict[str, object] = {"id": 9, "username": "group_7_bot_0a1b", "bot": True}
        self.token: dict[str, object] = {**SELF}
        self.version: Reply = None
        self.projects: Reply = Said([project(1, 30), project(2, 50)])
        self.refused = False
        self.date = 0.0
        self.wire = Wire(self._answer)

    def _answer(self, asked: Asked) -> Reply:
        date = format_datetime(datetime.now(UTC).replace(microsecond=0), usegmt=True)
        if self.refused:
            return Said({"message": "401 Unauthorized"}, 401)
        match asked.path:
            case "/version":
                return self.version or Said({"version": "18.6.0-ee", "revision": "abc"}, headers={"date": date})
            case "/user":
                return Said(self.user)
            case "/personal_access_tokens/self":
                return Said(self.token)
            case "/projects":
                return self.projects
            case "/groups":
                return Said([])
        return None

    def look(self, hook_url: str = NOBODY, **settings: str) -> dict[str, Diagnosis]:
        """By topic; the last one of each."""
        configuration = {"TOKEN": TOKEN, "WEBHOOK_SECRET": SECRET, **settings}
        found = list(self.wire.provider().diagnose(configuration, Memory(self.wire.clock), hook_url))
        said = "".join(f"{one.topic} {one.said} {one.hint}" for one in found)
        assert not any(secret in said for secret in (TOKEN, SECRET, SIGNING))
        assert [one for one in found if one.ok is False and not one.hint] == []
        return {one.topic: one for one in found}


@contextmanager
def ourselves(configuration: Mapping[str, str], provider: GitLabProvider) -> Iterator[str]:
    """Fixwright at its address, as far as a delivery goes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                received = provider.receive(Delivery("gitlab", "", headers, body), configuration)
                status = 202 if received.event is None else 500
            except Exception:  # noqa: BLE001  # whatever it is, it is no acceptance
                status = 401
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing to the terminal."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/webhooks/gitlab"
        finally:
            server.shutdown()
            thread.join()


# --- settings and the way there ---


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"TOKEN": ""}, "FIXWRIGHT_GITLAB_TOKEN"),
        ({"WEBHOOK_SECRET": ""}, "FIXWRIGHT_GITLAB_WEBHOOK_SECRET"),
        ({"URL": "ftp://x"}, "FIXWRIGHT_GITLAB_URL"),
        ({"SIGNING_TOKEN": "whsec_x"}, "signing token"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_ends_the_look_and_is_named(settings: dict[str, str], named: str) -> None:
    gitlab = Gitlab()
    found = gitlab.look(**settings)
    assert list(found) == ["settings"]
    assert found["settings"].ok is False
    assert named in found["settings"].hint
    assert gitlab.wire.asked == []


def test_all_is_well() -> None:
    gitlab = Gitlab()
    with ourselves({"WEBHOOK_SECRET": SECRET}, gitlab.wire.provider()) as url:
        found = gitlab.look(url)
    assert [topic for topic, one in found.items() if one.ok is False] == []
    assert found["settings"].said == "access token and webhook secret are set"
    assert found["version"].said == "GitLab 18.6.0-ee"
    assert found["token"].said == "the access token of a group (group_7_bot_0a1b) is accepted"
    assert found["scopes"].said == "api"
    assert found["projects"].said == "2 projects, with the role Developer or above"
    assert found["ping"].ok


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (requests.ConnectionError("[Errno 111] Connection refused"), "Connection refused"),
        (Said(raw=b"<html>a shop</html>", headers={"content-type": "text/html"}), "no GitLab"),
        (Said([1]), "no GitLab: GitLab's answer to the question for its version is not what it documents"),
        (Said({"message": "Not Found"}, 404), "no GitLab"),
    ],
)
def test_what_does_not_answer_as_a_gitlab_ends_the_look(failure: Said | Exception, said: str) -> None:
    gitlab = Gitlab()
    gitlab.version = failure
    found = gitlab.look()
    assert found["connection"].ok is False
    assert said in found["connection"].said
    assert "token" not in found


def test_a_clock_that_differs_is_said() -> None:
    gitlab = Gitlab()
    gitlab.version = Said({"version": "18.6.0"}, headers={"date": "Fri, 01 Jan 2038 00:00:00 GMT"})
    found = gitlab.look()
    assert found["clock"].ok is False
    assert "ahead of ours" in found["clock"].said


def test_an_old_version_is_said_without_being_an_error() -> None:
    gitlab = Gitlab()
    gitlab.version = Said({"version": "15.4.6"})
    assert gitlab.look()["version"].ok is None


# --- the token ---


def test_a_refused_token_is_one_clear_line() -> None:
    gitlab = Gitlab()
    gitlab.refused = True
    found = gitlab.look()
    assert found["connection"].ok
    assert found["token"].ok is False
    assert "wrong, expired or revoked" in found["token"].hint
    assert "projects" not in found


@pytest.mark.parametrize(
    ("user", "kind"),
    [
        ({"username": "project_42_bot_0a1b", "bot": True}, "the access token of a project (project_42_bot_0a1b)"),
        ({"username": "group_42_bot", "bot": True}, "the access token of a group (group_42_bot)"),
        ({"username": "service_account_group_7_x", "bot": False}, "the token of the service account service_account_group_7_x"),
        ({"username": "jo", "bot": False}, "the personal token of jo"),
    ],
)
def test_whose_token_it_is_is_said(user: Mapping[str, object], kind: str) -> None:
    gitlab = Gitlab()
    gitlab.user.update(user)
    assert gitlab.look()["token"].said == f"{kind} is accepted"


@pytest.mark.parametrize(
    ("scopes", "ok", "said"),
    [
        (["api"], True, "api"),
        (["read_user", "api"], True, "api, read_user"),
        (["read_api"], False, "the scope `api` is missing"),
        (["api", "sudo"], False, "more than Fixwright uses: sudo"),
    ],
)
def test_scopes_are_compared_with_what_is_needed(scopes: list[str], ok: bool, said: str) -> None:
    gitlab = Gitlab()
    gitlab.token["scopes"] = scopes
    found = gitlab.look()["scopes"]
    assert found.ok is ok
    assert said in found.said


@pytest.mark.parametrize(
    ("expires", "ok", "said"),
    [
        (None, None, "does not expire"),
        ("2027-01-30", True, "in 15 days"),
        ("2027-01-29", False, "in 14 days"),
        ("2027-01-16", False, "in 1 day"),
        ("2027-01-15", False, "expired on 2027-01-15"),
        ("2026-12-01", False, "expired on 2026-12-01"),
    ],
)
def test_the_end_of_a_token_is_warned_of_two_weeks_ahead(expires: str | None, ok: bool | None, said: str) -> None:
    gitlab = Gitlab()
    gitlab.token["expires_at"] = expires
    found = gitlab.look()["expiry"]
    assert found.ok is ok
    assert said in found.said


# --- roles ---


@pytest.mark.parametrize(
    ("projects", "ok", "said"),
    [
        ([], False, "none: the token's account"),
        ([project(1, 40)], True, "1 project, with the role Developer or above"),
        ([project(1, 40), project(2, 20)], False, "2; in 1 of them the role is below Developer: acme/p2"),
        ([{"id": 1, "path_with_namespace": "acme/p1"}], True, "1 project"),
        ([project(n, 20) for n in range(1, 9)], False, "acme/p5 and more"),
    ],
)
def test_roles_are_compared_with_what_is_needed(projects: list[object], ok: bool, said: str) -> None:
    gitlab = Gitlab()
    gitlab.projects = Said(projects)
    found = gitlab.look()["projects"]
    assert found.ok is ok
    assert said in found.said


def test_a_list_that_fails_does_not_end_the_look() -> None:
    gitlab = Gitlab()
    gitlab.projects = Said({"message": "boom"}, 500)
    found = gitlab.look()
    assert found["projects"].ok is False
    assert "ping" in found


# --- the way back ---


@pytest.mark.parametrize(
    ("theirs", "ok", "said"),
    [
        ({"WEBHOOK_SECRET": SECRET, "SIGNING_TOKEN": SIGNING}, True, "was accepted"),
        ({"SIGNING_TOKEN": SIGNING}, True, "was accepted"),
        ({"WEBHOOK_SECRET": SECRET}, False, "has another signing token"),
    ],
)
def test_a_signed_delivery_to_ourselves_proves_the_secret(theirs: Mapping[str, str], ok: bool, said: str) -> None:
    gitlab = Gitlab()
    gitlab.wire.clock.now = datetime.now(UTC).timestamp()
    with ourselves(theirs, GitLabProvider()) as url:
        found = gitlab.look(url, SIGNING_TOKEN=SIGNING)["ping"]
    assert found.ok is ok
    assert said in found.said


def test_another_secret_there_is_said() -> None:
    with ourselves({"WEBHOOK_SECRET": "another-" + SECRET}, GitLabProvider()) as url:
        assert "has another webhook secret" in Gitlab().look(url)["ping"].said


def test_nobody_there_is_said() -> None:
    assert "nobody answers" in Gitlab().look()["ping"].said


# --- the hourly look ---


def test_the_hourly_look_tells_when_the_token_ends() -> None:
    gitlab = Gitlab()
    gitlab.token["expires_at"] = "2027-01-20"
    upkeep = gitlab.wire.provider().tend({"TOKEN": TOKEN}, Memory(gitlab.wire.clock), NOBODY)
    assert upkeep.expires == datetime(2027, 1, 20, tzinfo=UTC)
    assert upkeep.found == ()


def test_a_token_that_was_changed_is_looked_at_anew() -> None:
    gitlab = Gitlab()
    memory = Memory(gitlab.wire.clock)
    gitlab.token["expires_at"] = "2027-01-20"
    gitlab.wire.provider().tend({"TOKEN": TOKEN}, memory, NOBODY)
    gitlab.token["expires_at"] = None
    assert gitlab.wire.provider().tend({"TOKEN": TOKEN}, memory, NOBODY).expires is None


def test_hooks_that_cannot_be_looked_at_do_not_hide_the_end_of_the_token() -> None:
    gitlab = Gitlab()
    gitlab.token["expires_at"] = "2027-01-20"
    gitlab.projects = Said({"message": "boom"}, 500)
    upkeep = gitlab.wire.provider().tend({"TOKEN": TOKEN, "WEBHOOK_SECRET": SECRET}, Memory(gitlab.wire.clock), NOBODY)
    assert upkeep.expires == datetime(2027, 1, 20, tzinfo=UTC)
    assert [one.ok for one in upkeep.found] == [False]


def test_a_refused_token_is_told_by_the_hourly_look() -> None:
    gitlab = Gitlab()
    gitlab.refused = True
    with pytest.raises(HostUnauthorized):
        gitlab.wire.provider().tend({"TOKEN": TOKEN}, Memory(gitlab.wire.clock), NOBODY)
    with pytest.raises(NotConfigured):
        gitlab.wire.provider().tend({}, Memory(gitlab.wire.clock), NOBODY)


def test_nothing_is_delivered_again() -> None:
    provider = Wire().provider()
    assert list(provider.missed({"TOKEN": TOKEN}, Memory(), datetime.now(UTC))) == []
    assert not provider.capabilities.redelivers
    assert json.dumps(provider.capabilities.pull_request_word) == '"merge request"'
