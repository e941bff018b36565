"""`fixwright gitlab`, as an operator runs it, before the double of GitLab: token in, webhooks and first scans out."""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot.alone import Alone
from bot.cli import main
from bot.settings import read_settings
from bot.wiring import App, wire
from pipeline.errors import FixwrightError
from pipeline.model.event import Delivery
from pipeline.model.setup import Upkeep
from pipeline.store.tables import outbox
from providers.gitlab.provider import PROVIDER
from tests.behaviour.doors import with_instant_engines
from tests.worlds.gitlab import GitlabWorld
from tests.worlds.gitlab.hooks import Hook
from tests.worlds.gitlab.model import Namespace, Project

KEY = "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE="
FILES = {"a.txt": "fine\n"}


class Receiver(ThreadingHTTPServer):
    """The web process as far as webhooks are concerned: it verifies with the settings that are in force, and keeps nothing."""

    daemon_threads = True

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        """202 for what is proven, 401 for what is not."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            PROVIDER.receive(Delivery("gitlab", "", headers, body), self.server.operator.configuration())
            status = 202
        except FixwrightError:
            status = 401
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: pytest shows what matters."""


@dataclass
class Operator:
    """Somebody at a terminal, with a state folder."""

    world: GitlabWorld
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    said: str = ""
    receiver: Receiver = field(init=False)

    def runs(self, *words: str, stdin: str = "") -> int:
        """One command; its exit code."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        self.capsys.readouterr()
        code = main(["gitlab", *words])
        shown = self.capsys.readouterr()
        self.said = shown.out + shown.err
        return code

    def sets(self, **variables: str) -> None:
        """Environment variables without their beginning."""
        for name, value in variables.items():
            self.monkeypatch.setenv(f"FIXWRIGHT_{name}", value)

    @contextmanager
    def store(self) -> Iterator[App]:
        """What the commands left."""
        app = wire(read_settings(), "")
        try:
            yield app
        finally:
            app.database.dispose()

    def configuration(self) -> dict[str, str]:
        """Settings of the default instance as the processes see them."""
        with self.store() as app:
            return dict(app.configurations.of("gitlab", ""))

    def delivers_to(self, hook: Hook) -> int:
        """Somebody pushes; what the hook was answered."""
        place = next(place for place in self.world.gitlab.state.projects.values())
        self.world.commit(place, "main", {"b.txt": "more\n"})
        self.world.hooks.wait()
        return self.world.hooks.of("push", hook=hook)[-1].attempts[-1].status

    def tends(self) -> Upkeep:
        """The hourly look."""
        with self.store() as app:
            return PROVIDER.tend(self.configuration(), app.memory, f"{self.receiver.url}/webhooks/gitlab")

    def told(self) -> int:
        """How many events wait to be accepted, or were."""
        with self.store() as app, app.database.read() as work:
            return int(work.transaction.execute(select(func.count()).where(outbox.c.kind == "accept_event")).scalar_one())

    def works_off(self) -> dict[str, bool]:
        """What a worker does with all that was told: by repository, whether it was looked at as a whole."""
        app = with_instant_engines(wire(read_settings(), ""))
        try:
            Alone(app).work_off(threading.Event())
            with app.database.read() as work:
                known = [
                    (source.full_name, number)
                    for one, _ in work.installations.all()
                    for number, source, _ in work.installations.repositories_of(one)
                ]
                return {name: work.installations.listing(number).scanned_at is not None for name, number in known}
        finally:
            app.database.dispose()


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    with GitlabWorld.start(tmp_path, relative="/gitlab") as world:
        made = Operator(world, monkeypatch, capsys)
        for name in ("DATABASE_URL", "REDIS_URL", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        made.receiver = Receiver(made)
        threading.Thread(target=made.receiver.serve_forever, args=(0.05,), daemon=True).start()
        made.sets(STATE_DIR=str(tmp_path / "state"), SECRET_KEY=KEY, URL=made.receiver.url)
        with made.store() as app:  # as `fixwright up` has left it
            app.database.migrate()
        yield made
        made.receiver.shutdown()
        made.receiver.server_close()
        assert world.violations == []


@pytest.fixture
def group(operator: Operator) -> Namespace:
    """`acme` with two projects, one of them in a subgroup, and an archived one."""
    made = operator.world.create_group("acme")
    for namespace, name in (("acme", "shop"), ("acme/infra", "net")):
        operator.world.create_project(namespace, name, files=FILES)
    operator.world.archive_project(operator.world.create_project("acme", "old", files=FILES))
    return made


def project(operator: Operator, path: str) -> Project:
    """A project of the double."""
    return next(one for one in operator.world.gitlab.state.projects.values() if one.full_path == path)


def set_up(operator: Operator, place: Namespace | Project, level: str = "owner") -> str:
    """`fixwright gitlab setup` with a token of that place; the token."""
    token = operator.world.token_of(place, level)
    assert operator.runs("setup", "--url", operator.world.url, stdin=f"{token}\n") == 0, operator.said
    return token


def states(operator: Operator) -> list[tuple[str, str, str]]:
    """State, kind and path of each row that was printed."""
    rows = [line.removeprefix("ok").removeprefix("!!").split() for line in operator.said.splitlines()]
    return [(row[0], row[1], row[2]) for row in rows if len(row) > 2 and row[1] in ("group", "project")]


# --- setting up ---


def test_a_gitlab_is_set_up_and_a_group_connected_with_two_commands_and_no_variable(operator: Operator, group: Namespace) -> None:
    token = set_up(operator, group)
    assert token not in operator.said
    assert operator.runs("connect", "acme") == 0
    assert states(operator) == [("made", "group", "acme")]
    (hook,) = operator.world.hooks_of(group)
    configuration = operator.configuration()
    assert (hook.url, hook.signing_tokens, hook.token) == (
        f"{operator.receiver.url}/webhooks/gitlab",
        (configuration["SIGNING_TOKEN"],),
        "",
    )
    assert "a test delivery did not arrive" not in operator.said
    assert all(configuration[secret] not in operator.said for secret in ("TOKEN", "SIGNING_TOKEN", "WEBHOOK_SECRET"))


def test_what_was_connected_gets_its_first_scan_without_waiting_for_a_push(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    assert operator.runs("connect", "acme") == 0
    assert "2 of them new" in operator.said
    assert operator.works_off() == {"acme/shop": True, "acme/infra/net": True}
    assert operator.runs("connect", "acme") == 0
    assert "0 of them new" in operator.said
    assert operator.told() == 1


def test_a_second_run_keeps_everything(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    operator.runs("connect", "acme")
    before = [(hook.id, dict(hook.events), hook.signing_tokens) for hook in operator.world.hooks_of(group)]
    assert operator.runs("connect", "acme", "acme/shop") == 0
    assert states(operator) == [("kept", "group", "acme"), ("covered", "project", "acme/shop")]
    assert [(hook.id, dict(hook.events), hook.signing_tokens) for hook in operator.world.hooks_of(group)] == before


@pytest.mark.parametrize(("edition", "level"), [("community", "maintainer"), ("free", "maintainer"), ("free", "owner")])
def test_on_free_each_project_gets_a_webhook_that_fires(operator: Operator, group: Namespace, edition: str, level: str) -> None:
    operator.world.hooks.enterprise = edition != "community"
    group.plan = "free"
    set_up(operator, group, level)
    assert operator.runs("connect", operator.world.url + "/acme") == 0
    (hook,) = operator.world.hooks_of(project(operator, "acme/shop"))
    assert operator.delivers_to(hook) == 202
    assert states(operator) == [("left", "group", "acme"), ("made", "project", "acme/shop"), ("made", "project", "acme/infra/net")]
    assert [len(operator.world.hooks_of(project(operator, path))) for path in ("acme/shop", "acme/infra/net", "acme/old")] == [1, 1, 0]


@pytest.mark.parametrize(("signs", "tells"), [(False, True), (False, False)])
def test_an_instance_without_signing_tokens_gets_the_secret_token(operator: Operator, group: Namespace, signs: bool, tells: bool) -> None:
    operator.world.hooks.signs, operator.world.hooks.tells_tokens = signs, tells
    set_up(operator, group)
    assert operator.runs("connect", "acme") == 0
    (hook,) = operator.world.hooks_of(group)
    assert (hook.token, hook.signing_tokens) == (operator.configuration()["WEBHOOK_SECRET"], ())
    assert "a test delivery did not arrive" not in operator.said


def test_a_webhook_set_by_hand_with_the_wrong_secret_is_repaired_and_others_stay(operator: Operator, group: Namespace) -> None:
    shop, url = project(operator, "acme/shop"), f"{operator.receiver.url}/webhooks/gitlab"
    wrong = operator.world.add_hook(shop, url, token="somebody-guessed-it", events=("push_events", "issues_events"))
    foreign = operator.world.add_hook(shop, "https://ci.example.com/hook", token="theirs")
    operator.world.switch_off(wrong, for_good=True)
    set_up(operator, shop, "maintainer")
    assert operator.runs("connect", "acme/shop") == 0
    assert states(operator) == [("repaired", "project", "acme/shop")]
    assert operator.world.hooks_of(shop) == [wrong, foreign]
    assert (wrong.events["issues_events"], wrong.events["note_events"], wrong.failures) == (False, True, 0)
    assert (foreign.token, foreign.events["issues_events"]) == ("theirs", True)


def test_a_dry_run_writes_nothing(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    assert operator.runs("connect", "acme", "--dry-run") == 0
    assert "would be made" in operator.said
    assert operator.world.effects == []
    assert operator.told() == 0


def test_a_test_delivery_that_nobody_takes_is_said(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    operator.sets(URL="http://127.0.0.1:9")
    assert operator.runs("connect", "acme") == 0
    assert "a test delivery did not arrive" in operator.said
    assert "fixwright doctor gitlab" in operator.said


def test_on_ultimate_gitlab_asks_for_the_verdict(operator: Operator, group: Namespace) -> None:
    group.plan = "ultimate"
    set_up(operator, group)
    for _ in range(2):
        assert operator.runs("connect", "acme/shop", "--status-check") == 0
    shop = project(operator, "acme/shop")
    (check,) = operator.world.gitlab.status_checks.of(shop)
    assert (check.external_url, check.secret) == (f"{operator.receiver.url}/webhooks/gitlab", operator.configuration()["WEBHOOK_SECRET"])


def test_what_is_disconnected_is_told_of_no_more_and_not_missed(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    operator.runs("connect", "acme")
    assert operator.runs("disconnect", "acme") == 0
    assert states(operator) == [("removed", "group", "acme")]
    assert operator.world.hooks_of(group) == []
    assert operator.tends().found == ()


# --- bad input ---


@pytest.mark.parametrize(
    ("level", "scopes", "code", "said"),
    [
        ("maintainer", ("read_api",), 2, "lacks the scope api: it has read_api"),
        ("developer", ("api",), 3, "the token's role there is below Maintainer"),
    ],
)
def test_a_token_without_the_scope_or_role_it_needs_is_one_clear_line(
    operator: Operator, group: Namespace, level: str, scopes: tuple[str, ...], code: int, said: str
) -> None:
    operator.sets(GITLAB_URL=operator.world.url, GITLAB_WEBHOOK_SECRET=secrets.token_hex(10))
    operator.sets(GITLAB_TOKEN=operator.world.token_of(project(operator, "acme/shop"), level, scopes))
    assert operator.runs("connect", "acme/shop") == code
    assert said in operator.said
    assert operator.world.hooks_of(project(operator, "acme/shop")) == []


@pytest.mark.parametrize("days", [3, 60])
def test_a_token_that_ends_soon_is_set_up_with_a_warning(operator: Operator, group: Namespace, days: int) -> None:
    token = operator.world.token_of(group, "owner", days=days)
    assert operator.runs("setup", "--url", operator.world.url, stdin=f"{token}\n") == 0
    assert ("!! the token expires on" in operator.said, "in 3 days" in operator.said) == (days == 3, days == 3)


def test_a_setup_that_fails_names_what_was_given_and_the_cause(operator: Operator) -> None:
    given = "glpat-" + "x" * 20
    assert operator.runs("setup", "--url", "http://127.0.0.1:9", stdin=given) == 3
    assert "http://127.0.0.1:9 cannot be reached: " in operator.said
    assert "Connection refused" in operator.said
    assert operator.runs("setup", "--url", "gitlab.example.org", stdin=given) == 2
    assert "--url gitlab.example.org: " in operator.said
    assert "FIXWRIGHT_GITLAB_URL" not in operator.said
    assert operator.runs("setup", "--url", operator.world.url.removesuffix("/gitlab"), stdin=given) == 3
    assert "is no GitLab" in operator.said
    assert "with the path below which it lies?" in operator.said
    assert operator.runs("setup", stdin="two words") == 2
    assert "what was given is no access token" in operator.said
    assert operator.runs("rotate", "--days", "500") == 2
    assert "--days must be between 2 and 400, it is 500" in operator.said


def test_where_a_place_is_gone_nothing_is_left_to_disconnect(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    assert operator.runs("disconnect", "acme/gone") == 3
    assert "where it was deleted its webhooks are gone with it" in operator.said
    assert "gitlab connect" not in operator.said


def test_a_token_that_ended_stores_nothing(operator: Operator, group: Namespace) -> None:
    token = operator.world.token_of(group, "owner")
    operator.world.revoke(token)
    assert operator.runs("setup", "--url", operator.world.url, stdin=f"{token}\n") == 3
    assert "401" in operator.said
    assert operator.runs("instances") == 0
    assert "nothing is set up" in operator.said


def test_what_is_not_there_is_said_and_the_rest_is_connected(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    assert operator.runs("connect", "acme/nothing", "acme/shop") == 3
    assert states(operator) == [("failed", "project", "acme/nothing"), ("made", "project", "acme/shop")]


def test_a_project_that_moved_is_connected_where_it_is(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    operator.world.rename_project(project(operator, "acme/shop"), "store")
    assert operator.runs("connect", "acme/shop") == 0
    assert states(operator) == [("left", "project", "acme/shop"), ("made", "project", "acme/store")]


def test_without_secrets_in_the_environment_they_are_made_and_shown_to_be_set(operator: Operator, group: Namespace) -> None:
    operator.sets(GITLAB_URL=operator.world.url, GITLAB_TOKEN=operator.world.token_of(group, "owner"))
    assert operator.runs("connect", "acme") == 2
    made = dict(word.partition("=")[::2] for word in operator.said.split("export ")[1].split())
    assert set(made) == {"FIXWRIGHT_GITLAB_SIGNING_TOKEN", "FIXWRIGHT_GITLAB_WEBHOOK_SECRET"}
    operator.sets(**{name.removeprefix("FIXWRIGHT_"): value for name, value in made.items()})
    assert operator.runs("connect", "acme") == 0
    assert [hook.signing_tokens for hook in operator.world.hooks_of(group)] == [(made["FIXWRIGHT_GITLAB_SIGNING_TOKEN"],)]


def test_an_address_that_leads_gitlab_to_itself_is_refused(operator: Operator) -> None:
    operator.sets(GITLAB_TOKEN="glpat-" + "x" * 20, GITLAB_WEBHOOK_SECRET=secrets.token_hex(10))
    assert operator.runs("connect", "acme") == 2
    assert "set FIXWRIGHT_URL" in operator.said


# --- another token, another hand ---


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_another_token_connects_for_one_run_and_the_stored_one_stays(
    operator: Operator, group: Namespace, tmp_path: Path, way: str
) -> None:
    shop = project(operator, "acme/shop")
    own = set_up(operator, shop, "developer")
    stored = operator.configuration()
    assert operator.runs("connect", "acme/shop") == 3
    other, file = operator.world.token_of(shop, "maintainer"), tmp_path / "token"
    file.write_text(f"{other}\n")
    named, stdin = (str(file), "") if way == "file" else ("-", f"{other}\n")
    assert operator.runs("connect", "acme/shop", "--token-file", named, stdin=stdin) == 0, operator.said
    assert states(operator) == [("made", "project", "acme/shop")]
    (hook,) = operator.world.hooks_of(shop)
    assert operator.delivers_to(hook) == 202
    assert (operator.configuration(), stored["TOKEN"]) == (stored, own)
    assert operator.runs("disconnect", "acme/shop", "--token-file", named, stdin=stdin) == 0
    assert operator.world.hooks_of(shop) == []
    assert other not in operator.said


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two words\n", b"\xff\xfe\n", b"x" * 2_000])
def test_a_file_without_a_token_is_refused_and_never_quoted(
    operator: Operator, group: Namespace, tmp_path: Path, content: bytes | None
) -> None:
    set_up(operator, group)
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    assert operator.runs("connect", "acme", "--token-file", str(file)) == 2
    blank = content in (b"", b"\n", b"\xff\xfe\n")
    said = "cannot be read" if content is None else "no access token was given" if blank else "what was given is no access token"
    assert said in operator.said
    assert "words" not in operator.said
    assert operator.world.hooks_of(group) == []


class Screen(io.StringIO):
    """A terminal, also where the machine has no device for one."""

    def isatty(self) -> bool:
        return True


def test_a_webhook_by_hand_has_what_a_terminal_shows_and_a_file_gets_nothing(
    operator: Operator, group: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(operator, group)
    configuration = operator.configuration()
    both = [configuration["WEBHOOK_SECRET"], configuration["SIGNING_TOKEN"]]
    assert operator.runs("webhook") == 2
    assert [secret for secret in both if secret in operator.said] == []
    screen = Screen()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", screen)
        assert main(["gitlab", "webhook"]) == 0
    told = [line.rsplit(" ", 1)[1] for line in screen.getvalue().splitlines()]
    assert told == [f"{operator.receiver.url}/webhooks/gitlab", *both]
    shop = project(operator, "acme/shop")
    hook = operator.world.add_hook(shop, told[0], token=told[1])
    assert operator.delivers_to(hook) == 202


# --- tokens and secrets that change ---


def test_a_stored_token_is_exchanged_and_the_new_one_works(operator: Operator, group: Namespace) -> None:
    token = set_up(operator, group)
    assert operator.runs("rotate", "--days", "0") == 2
    assert operator.runs("rotate", "--days", "90") == 0
    new = operator.configuration()["TOKEN"]
    assert new not in (token, "")
    assert new not in operator.said
    assert operator.runs("connect", "acme") == 0
    old = operator.world.gitlab.tokens.find(token)
    assert old is None or old.revoked


def test_a_token_of_the_environment_is_not_exchanged(operator: Operator, group: Namespace) -> None:
    token = operator.world.token_of(group, "owner")
    operator.sets(GITLAB_URL=operator.world.url, GITLAB_TOKEN=token, GITLAB_WEBHOOK_SECRET=secrets.token_hex(10))
    assert operator.runs("rotate") == 2
    assert operator.world.owner_of(token).username


def test_new_secrets_reach_the_webhooks_and_the_old_ones_are_accepted_until_then(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    operator.runs("connect", "acme")
    old = operator.configuration()
    token = operator.world.token_of(group, "owner")
    assert operator.runs("setup", "--url", operator.world.url, "--new-secrets", stdin=token) == 0
    (hook,) = operator.world.hooks_of(group)
    delivered = operator.delivers_to(hook)
    assert operator.runs("connect", "acme") == 0
    new = operator.configuration()
    assert hook.signing_tokens == (new["SIGNING_TOKEN"],) != (old["SIGNING_TOKEN"],)
    assert new["SIGNING_TOKEN_PREVIOUS"] == old["SIGNING_TOKEN"]
    assert [delivered, operator.delivers_to(hook)] == [202, 202]


def test_an_instance_with_a_name_is_listed_connected_and_forgotten(operator: Operator, group: Namespace) -> None:
    token = operator.world.token_of(group, "owner")
    assert operator.runs("setup", "--url", operator.world.url, "--instance", "own", stdin=token) == 0
    assert operator.runs("connect", "acme", "--instance", "own") == 0
    assert [hook.url for hook in operator.world.hooks_of(group)] == [f"{operator.receiver.url}/webhooks/gitlab/own"]
    operator.runs("instances")
    assert operator.said.split()[:2] == ["own", operator.world.url + ","]
    assert operator.runs("remove", "own") == 0
    assert operator.runs("connect", "acme", "--instance", "own") == 2


# --- the hourly look ---


@pytest.mark.parametrize("for_good", [False, True])
def test_a_webhook_that_gitlab_switched_off_is_on_again_after_the_hourly_look(operator: Operator, group: Namespace, for_good: bool) -> None:
    set_up(operator, group)
    operator.runs("connect", "acme")
    (hook,) = operator.world.hooks_of(group)
    operator.world.switch_off(hook, for_good=for_good)
    upkeep = operator.tends()
    assert [(one.topic, one.ok) for one in upkeep.found] == [("webhook of acme", True)]
    assert operator.world.hooks.executable(hook)
    assert upkeep.expires is not None
    assert operator.tends().found == ()


def test_a_webhook_that_gave_way_to_the_one_of_its_group_is_not_missed(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    operator.runs("connect", "acme/shop")
    assert operator.tends().found == ()
    assert operator.runs("connect", "acme") == 0
    assert states(operator) == [("made", "group", "acme"), ("covered", "project", "acme/shop")]
    assert operator.world.hooks_of(project(operator, "acme/shop")) == []
    assert operator.tends().found == ()


def test_doctor_shows_a_webhook_that_is_off(operator: Operator, group: Namespace) -> None:
    set_up(operator, group)
    operator.runs("connect", "acme")
    operator.world.switch_off(operator.world.hooks_of(group)[0])
    with operator.store() as app:
        found = list(PROVIDER.diagnose(operator.configuration(), app.memory, f"{operator.receiver.url}/webhooks/gitlab"))
    (line,) = [one for one in found if one.topic == "webhook of acme"]
    assert (line.ok, "GitLab has switched it off" in line.said, line.hint) == (False, True, "run: fixwright gitlab connect acme")
