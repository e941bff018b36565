"""`fixwright doctor github`: each hop is tried and said, and what is broken is named with what to do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from pipeline.errors import FixwrightError
from pipeline.model.event import Delivery
from pipeline.model.setup import Diagnosis
from pipeline.ports import Configuration
from providers.github.client import close_line
from providers.github.manifest import FIXER, READER, asked_events
from providers.github.provider import PROVIDER, GitHubProvider
from providers.github.settings import Site
from tests.stages.github import app_key
from tests.unit.providers.github_wire import Memory
from tests.worlds.faults import Status
from tests.worlds.github.world import GithubWorld, new_key


@contextmanager
def fixwright(configuration: Configuration) -> Iterator[str]:
    """The webhook's address of a Fixwright with these settings."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            delivery = Delivery("github", "", {name.lower(): value for name, value in self.headers.items()}, body)
            try:
                assert PROVIDER.receive(delivery, configuration).event is None
                status = 202
            except FixwrightError:
                status = 401
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/webhooks/github"
        finally:
            server.shutdown()
            thread.join()


class Visit:
    """A set-up App, and what the doctor says of it."""

    def __init__(self, folder: Path, permissions: Mapping[str, str] = READER) -> None:
        self.world = GithubWorld(folder / "github", private_key_pem=app_key(), permissions=permissions)
        self.world.serve()
        self.world.app.events = asked_events()
        self.configuration = {
            "APP_ID": str(self.world.app_id),
            "PRIVATE_KEY": self.world.private_key_pem,
            "WEBHOOK_SECRET": self.world.webhook_secret,
            "API_URL": self.world.api_url,
        }

    def close(self) -> None:
        """Let go of it."""
        close_line()
        self.world.stop()

    def ask(self, **changes: str) -> dict[str, Diagnosis]:
        """The doctor's words by topic, with the webhook set to where Fixwright is."""
        with fixwright(self.configuration) as address:
            self.world.webhook_url = self.world.webhook_url or address
            try:
                return self.told(address, **changes)
            finally:
                self.world.webhook_url = None

    def told(self, address: str, **changes: str) -> dict[str, Diagnosis]:
        """The doctor's words by topic."""
        return {one.topic: one for one in PROVIDER.diagnose(self.configuration | changes, Memory(), address)}


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    made = Visit(tmp_path)
    yield made
    made.close()


def test_where_all_is_well_every_hop_is_said_to_be(visit: Visit) -> None:
    visit.world.create_repository("octo", "shop")
    visit.world.create_repository("octo", "site", private=False)
    told = visit.ask()
    assert [topic for topic, one in told.items() if one.ok is False] == []
    hops = ["settings", "connection", "clock", "App", "permissions", "events", "webhook address", "webhook content type"]
    assert [topic for topic in hops if told[topic].ok is not True] == []
    assert told["ping"].ok is True
    assert told["installation octo"].said == "reader, 2 repositories; public: octo/site"
    assert visit.world.violations == []


def test_no_word_of_it_holds_a_secret(visit: Visit) -> None:
    visit.world.create_repository("octo", "shop")
    words = " ".join(f"{one.said} {one.hint}" for one in visit.ask().values())
    assert visit.world.webhook_secret not in words
    assert visit.world.private_key_pem.splitlines()[2] not in words


def test_what_is_not_set_is_named_and_nothing_is_tried(visit: Visit) -> None:
    told = visit.ask(WEBHOOK_SECRET="")
    assert list(told) == ["settings"]
    assert "setup-link" in told["settings"].hint
    assert not visit.world.asked


def test_an_address_without_encryption_is_said_and_nothing_is_tried(visit: Visit) -> None:
    told = visit.ask(API_URL="http://ghe.example.com/api/v3")
    assert list(told) == ["settings"]
    assert "travel in clear" in told["settings"].said
    assert "https://ghe.example.com/api/v3" in told["settings"].hint


def test_a_server_that_does_not_answer_ends_the_visit(visit: Visit) -> None:
    told = visit.ask(API_URL="http://127.0.0.1:9")
    assert told["connection"].ok is False
    assert "App" not in told
    assert told["connection"].hint


def test_a_name_that_nobody_knows_is_said(visit: Visit) -> None:
    told = visit.ask(API_URL="https://api.github.invalid")
    assert told["connection"].ok is False
    assert "not known" in told["connection"].said


@pytest.mark.parametrize(("hours", "word"), [(2, "ahead of"), (-2, "behind")])
def test_a_clock_that_is_wrong_is_said(hours: int, word: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    answers = httpx.MockTransport(lambda _: httpx.Response(200, json={}, headers={"date": date}))
    provider = GitHubProvider(open_client=lambda _: httpx.AsyncClient(transport=answers))
    configuration = {"APP_ID": "1", "PRIVATE_KEY": app_key(), "WEBHOOK_SECRET": "a secret of this test"}
    told = {one.topic: one for one in provider.diagnose(configuration, Memory(), "http://127.0.0.1:9/webhooks/github")}
    close_line()
    assert told["clock"].ok is False
    assert f"{word} ours" in told["clock"].said
    assert "NTP" in told["clock"].hint


def test_a_key_of_another_app_is_said(visit: Visit) -> None:
    told = visit.ask(PRIVATE_KEY=new_key())
    assert told["App"].ok is False
    assert "permissions" not in told


def test_missing_permissions_and_events_are_named(visit: Visit) -> None:
    del visit.world.app.permissions["merge_queues"]
    visit.world.app.permissions["checks"] = "read"
    visit.world.app.events = tuple(event for event in asked_events() if event != "merge_group")
    told = visit.ask()
    assert told["permissions"].ok is False
    assert "merge_queues: read" in told["permissions"].said
    assert "checks: write" in told["permissions"].said
    assert (told["events"].ok, told["events"].said) == (False, "missing: merge_group")


def test_more_than_we_use_is_named_and_what_an_owner_may_add_is_not(visit: Visit) -> None:
    visit.world.app.permissions |= {"workflows": "write", "repository_advisories": "write", "members": "read"}
    told = visit.ask()
    assert told["permissions"].ok is False
    assert "more than Fixwright uses: workflows: write" in told["permissions"].said
    assert "members" not in told["permissions"].said


def test_a_fixer_is_known_as_one(tmp_path: Path) -> None:
    visit = Visit(tmp_path, FIXER)
    try:
        visit.world.create_repository("octo", "shop")
        told = visit.ask()
        assert told["permissions"].said == "those of a fixer"
        assert told["installation octo"].said.startswith("fixer, 1 repository")
    finally:
        visit.close()


def test_a_webhook_that_goes_elsewhere_is_said(visit: Visit) -> None:
    visit.world.app.hook_url = "https://old.example.com/webhooks/github"
    visit.world.app.content_type, visit.world.app.insecure_ssl = "form", "1"
    told = visit.ask()
    assert told["webhook address"].ok is False
    assert "old.example.com" in told["webhook address"].said
    assert told["webhook content type"].ok is False
    assert told["webhook certificate"].ok is False


def test_a_running_fixwright_with_another_secret_is_found_by_the_ping(visit: Visit) -> None:
    told = visit.ask(WEBHOOK_SECRET="another one")
    assert told["ping"].ok is False
    assert "another webhook secret" in told["ping"].said


def test_a_fixwright_that_is_not_running_is_found_by_the_ping(visit: Visit) -> None:
    told = visit.told("http://127.0.0.1:9/webhooks/github")
    assert told["ping"].ok is False
    assert "nobody answers" in told["ping"].said


def test_deliveries_that_did_not_arrive_are_counted(visit: Visit) -> None:
    repository = visit.world.create_repository("octo", "shop", files={"a": "a"})
    visit.world.webhook_url = "http://127.0.0.1:9/webhooks/github"
    visit.world.commit(repository, "main", {"a": "b"})
    visit.world.hooks.wait()
    visit.world.webhook_url = None
    told = visit.ask()
    assert told["deliveries"].ok is False
    assert re.match(r"0 of the newest [1-9]\d* arrived", told["deliveries"].said)
    assert "no answer" in told["deliveries"].said


def test_a_delivery_that_we_refused_for_its_signature_is_said_to_be_two_secrets(visit: Visit) -> None:
    repository = visit.world.create_repository("octo", "shop", files={"a": "a"})
    with fixwright(visit.configuration | {"WEBHOOK_SECRET": "another one of " + "this test"}) as address:
        visit.world.webhook_url = address
        visit.world.commit(repository, "main", {"a": "b"})
        visit.world.hooks.wait()
        visit.world.webhook_url = None
    told = visit.ask()["deliveries"]
    assert told.ok is False
    assert re.fullmatch(r"GitHub's secret and ours differ: the last delivery \(\w+ at \S+\) was answered 401", told.said)
    assert "secret" in told.hint


def test_an_app_that_is_installed_nowhere_is_said_with_where_to_install_it(visit: Visit) -> None:
    told = visit.ask()
    assert told["installations"].ok is False
    assert "/apps/fixwright/installations/new" in told["installations"].hint


@pytest.mark.parametrize(
    ("api", "page"),
    [
        ("https://api.github.com", "https://github.com/apps/fixwright"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com/apps/fixwright"),
        ("https://ghe.example.com:8443/api/v3", "https://ghe.example.com:8443/github-apps/fixwright"),
    ],
)
def test_the_page_of_an_app_is_where_each_edition_has_it(api: str, page: str) -> None:
    assert Site(api).app_page("fixwright") == page


def test_an_installation_that_has_not_accepted_is_said(visit: Visit) -> None:
    repository = visit.world.create_repository("octo", "shop")
    installation = visit.world.installation_of(repository)
    assert installation is not None
    del installation.permissions["checks"]
    told = visit.ask()
    assert told["installation octo"].ok is False
    assert "checks: write" in told["installation octo"].said


@pytest.mark.parametrize("path", ["/app/hook/config", "/app/hook/deliveries", "/app/installations"])
def test_a_hop_that_fails_does_not_end_the_visit(visit: Visit, path: str) -> None:
    visit.world.create_repository("octo", "shop")
    visit.world.faults.add("GET", f"{path}$", Status(500))
    told = visit.ask()
    assert sum(one.ok is False for one in told.values()) == 1
    assert told["ping"].ok is True
