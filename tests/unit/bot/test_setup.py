"""/setup: who may open it, what it makes of answers, and what is kept of what comes back."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select, text
from starlette.testclient import TestClient

from bot.asgi import make_asgi
from bot.pages.links import LINK_SECONDS, SetupLinks, Target
from bot.pages.setup import is_unreachable
from bot.settings import read_settings
from bot.wiring import App, wire
from pipeline.store.tables import host_memory, instances
from providers.github.client import close_line
from tests.stages.github import app_key
from tests.worlds.faults import Status
from tests.worlds.github.hooks import sign
from tests.worlds.github.world import GithubWorld

PUBLIC = "http://fixwright.test"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GithubWorld]:
    made = GithubWorld(tmp_path / "github", private_key_pem=app_key())
    made.serve()
    yield made
    close_line()
    made.stop()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "state"), "FIXWRIGHT_URL": PUBLIC})
    made = wire(settings, f"unix://{tmp_path / 'no-queue.sock'}")
    made.database.migrate()
    yield made
    made.database.dispose()


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with TestClient(make_asgi(app), base_url=PUBLIC) as made:
        yield made


def link(app: App, instance: str | None = None) -> str:
    return f"/setup?token={SetupLinks(app.memory).make(Target(instance))}"


def follow(client: TestClient, address: str, *, on: bool = True) -> Any:
    """Press the button that a link shows; where that leads, or only the answer itself (`on=False`)."""
    token = Page(client.get(address)).hidden.get("token", "")
    return client.post("/setup", data={"token": token}, follow_redirects=on)


def answers(world: GithubWorld, **more: str) -> dict[str, str]:
    server = {"owner": "server", "server": world.api_url, "server_organization": "acme", "mode": "reader", "public_url": PUBLIC}
    return server | more


class Page:
    """A page as its reader sees it."""

    def __init__(self, answer: Any) -> None:
        self.status, self.headers, self.raw = answer.status_code, answer.headers, answer.text
        self.text = " ".join(html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", self.raw, flags=re.DOTALL)).split())
        self.action = html.unescape((re.findall(r'<form [^>]*action="([^"]*)"', self.raw) or [""])[-1])
        self.hidden = {html.unescape(n): html.unescape(v) for n, v in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', self.raw)}


def ask(client: TestClient, given: dict[str, str]) -> Page:
    return Page(client.post("/setup/github", data=given))


def on_github(page: Page, name: str = "") -> str:
    """The person confirms on GitHub; the address to which the browser is sent back."""
    with httpx.Client(follow_redirects=False, trust_env=False, timeout=60) as browser:
        shown = browser.post(page.action, data=page.hidden)
        assert shown.status_code == 200, shown.text
        inner = Page(shown)
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.action))
        given = inner.hidden | {"name": name or json.loads(page.hidden["manifest"])["name"]}
        made = browser.post(origin + inner.action, data=given)
        assert made.status_code == 302, made.text
        return str(made.headers["location"])


def set_up(client: TestClient, app: App, world: GithubWorld, **more: str) -> Page:
    """The whole way."""
    follow(client, link(app))
    return Page(client.get(on_github(ask(client, answers(world, **more)))))


# --- who may ---


def test_the_link_works_once_and_leaves_no_token_in_the_address(client: TestClient, app: App) -> None:
    address = link(app)
    first = follow(client, address, on=False)
    assert (first.status_code, first.headers["location"]) == (303, "/setup")
    assert "Who will own the App?" in client.get("/setup").text
    client.cookies.clear()
    again = client.get(address)
    assert again.status_code == 410
    assert "Who will own the App?" not in again.text
    assert client.post("/setup", data={"token": address.partition("=")[2]}).status_code == 410


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_look_at_the_link_by_a_program_does_not_use_it_up(client: TestClient, app: App, method: str) -> None:
    """Chats preview an address that they see, scanners of mail fetch it."""
    address = link(app)
    for _ in range(3):
        looked = client.request(method, address)
        assert looked.status_code == 200
        assert "set-cookie" not in looked.headers
        assert "Who will own the App?" not in looked.text
    assert "Who will own the App?" in follow(client, address).text


def test_the_link_is_not_followed_by_a_form_of_another_site(client: TestClient, app: App) -> None:
    token = link(app).partition("=")[2]
    assert client.post("/setup", data={"token": token}, headers={"origin": "https://evil.example"}).status_code == 403
    assert client.get(f"/setup?token={token}").status_code == 200


def test_what_the_first_start_offers_ends_with_the_first_configuration(app: App, tmp_path: Path) -> None:
    """Of the environment too: a link in an old log would let somebody add an App of theirs."""
    followed = SetupLinks(app.memory).make(Target(first=True))
    with TestClient(make_asgi(app), base_url=PUBLIC) as client:
        page = follow(client, f"/setup?token={followed}")
        assert "Who will own the App?" in page.text
        session = dict(client.cookies)
    unused = SetupLinks(app.memory).make(Target(first=True))
    kept = {name: value for name, value in app.settings.environment.items() if name.startswith("FIXWRIGHT_")}
    restarted = wire(read_settings(kept | {"FIXWRIGHT_GITHUB_APP_ID": "1"}), f"unix://{tmp_path / 'no-queue.sock'}")
    try:
        with TestClient(make_asgi(restarted), base_url=PUBLIC) as client:
            assert client.get(f"/setup?token={unused}").status_code == 410
            assert client.post("/setup", data={"token": unused}).status_code == 410
            client.cookies.update(session)
            assert client.get("/setup").status_code == 410
            client.cookies.clear()
            assert follow(client, link(restarted)).status_code == 200, "an operator may still make one for another App"
    finally:
        restarted.database.dispose()


@pytest.mark.parametrize(("url", "secure"), [("https://fixwright.test", True), ("http://fixwright.test", False)])
def test_the_cookie_is_for_tls_alone_where_the_address_of_fixwright_says_so(tmp_path: Path, url: str, secure: bool) -> None:
    """A proxy that ends TLS may ask us without, and say nothing of it."""
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "state"), "FIXWRIGHT_URL": url})
    made = wire(settings, f"unix://{tmp_path / 'no-queue.sock'}")
    made.database.migrate()
    try:
        with TestClient(make_asgi(made), base_url="http://127.0.0.1:8080") as client:
            cookie = follow(client, link(made), on=False).headers["set-cookie"].lower()
            assert ("secure" in cookie) is secure
            assert "httponly" in cookie
    finally:
        made.database.dispose()


def test_a_newer_link_ends_the_older_one_and_a_link_ends_by_itself(client: TestClient, app: App) -> None:
    older, newer = link(app), link(app)
    assert client.get(older).status_code == 410
    assert follow(client, newer).status_code == 200
    assert LINK_SECONDS <= 86_400


@pytest.mark.parametrize("token", ["", "x", "\x00", "é" * 40, "a" * 10_000])
def test_nobody_gets_in_by_guessing(client: TestClient, app: App, token: str) -> None:
    link(app)
    answer = client.get("/setup", params={"token": token})
    assert answer.status_code in (403, 410)
    assert "Who will own the App?" not in answer.text


def test_without_a_link_no_form_is_taken(client: TestClient, world: GithubWorld) -> None:
    assert ask(client, answers(world)).status == 403


def test_a_form_from_another_site_is_refused(client: TestClient, app: App, world: GithubWorld) -> None:
    follow(client, link(app))
    refused = client.post("/setup/github", data=answers(world), headers={"origin": "https://evil.example"})
    assert refused.status_code == 403


def test_behind_a_proxy_that_asks_in_its_own_name_the_browser_comes_back_to_where_it_is(app: App, world: GithubWorld) -> None:
    """nginx passes on its own Host and plain http unless it is told otherwise."""
    with TestClient(make_asgi(app), base_url="http://127.0.0.1:8080") as client:
        follow(client, link(app))
        asked = client.post("/setup/github", data=answers(world), headers={"origin": PUBLIC})
        assert asked.status_code == 200
        assert json.loads(Page(asked).hidden["manifest"])["redirect_url"] == f"{PUBLIC}/setup/github/callback"
        null = client.post("/setup/github", data=answers(world), headers={"origin": "null"})
        assert null.status_code == 403


def test_the_state_of_the_link_holds_no_token_in_the_clear(client: TestClient, app: App) -> None:
    token = link(app).partition("=")[2]
    with app.database.read() as work:
        rows = list(work.transaction.execute(select(host_memory.c.key, host_memory.c.value)))
    assert rows
    assert all(token not in row.key and token.encode() not in row.value for row in rows)
    assert all(token.encode() not in (app.memory.get(row.key) or b"") for row in rows)


# --- the way there and back ---


@pytest.mark.parametrize(("mode", "contents"), [("reader", "read"), ("fixer", "write")])
def test_the_app_is_made_stored_and_works_without_a_restart(
    client: TestClient, app: App, world: GithubWorld, mode: str, contents: str
) -> None:
    assert client.post("/webhooks/github", content=b"{}").status_code == 503
    done = set_up(client, app, world, mode=mode)
    assert done.status == 200
    made = world.github.manifests.made[0]
    assert made.permissions["contents"] == contents
    assert f"/apps/{made.slug}/installations/new" in done.raw
    body = b'{"zen": "Keep it logically awesome."}'
    headers = {"x-github-event": "ping", "x-github-delivery": "1", "x-hub-signature-256": sign(made.webhook_secret, body)}
    assert client.post("/webhooks/github", content=body, headers=headers).status_code == 202
    assert client.get("/readyz").json()["checks"]["provider github"] == "ok"
    assert list(world.violations) == []


def test_what_is_stored_is_sealed_and_no_page_shows_a_secret(client: TestClient, app: App, world: GithubWorld) -> None:
    done = set_up(client, app, world)
    made = world.github.manifests.made[0]
    with app.database.read() as work:
        (row,) = work.transaction.execute(select(instances))
    for secret in (made.webhook_secret, made.private_key_pem, made.private_key_pem.splitlines()[3]):
        assert secret.encode() not in row.settings
        assert secret not in done.raw
    assert app.configurations.of("github", "")["PRIVATE_KEY"] == made.private_key_pem


def test_a_repeated_callback_says_the_same_and_does_nothing(client: TestClient, app: App, world: GithubWorld) -> None:
    follow(client, link(app))
    back = on_github(ask(client, answers(world)))
    pages = [Page(client.get(back)) for _ in range(3)]
    assert {page.status for page in pages} == {200}
    assert len([asked for asked in world.asked if "conversions" in asked.path]) == 1
    assert "Choose repositories" in pages[2].text


def test_once_set_up_the_page_is_gone_until_another_link_is_made(client: TestClient, app: App, world: GithubWorld) -> None:
    set_up(client, app, world)
    assert client.get("/setup").status_code == 410
    assert ask(client, answers(world)).status == 410
    follow(client, link(app))
    assert client.get("/setup").status_code == 200


def test_another_browser_cannot_bring_the_code(client: TestClient, app: App, world: GithubWorld) -> None:
    follow(client, link(app))
    back = on_github(ask(client, answers(world)))
    client.cookies.clear()
    assert client.get(back).status_code == 403
    assert app.configurations.instances("github") == []


@pytest.mark.parametrize("change", ["state=wrong", "state="])
def test_a_wrong_state_is_refused_and_the_right_one_still_works(client: TestClient, app: App, world: GithubWorld, change: str) -> None:
    follow(client, link(app))
    back = on_github(ask(client, answers(world)))
    assert client.get(re.sub(r"state=[^&]*", change, back)).status_code == 403
    assert client.get(back).status_code == 200


def test_an_expired_code_is_said_and_nothing_is_stored(client: TestClient, app: App, world: GithubWorld) -> None:
    follow(client, link(app))
    back = on_github(ask(client, answers(world)))
    world.advance(3_700)
    page = Page(client.get(back))
    assert page.status == 502
    assert "valid for one hour" in page.text
    assert "Nothing was stored" in page.text
    assert app.configurations.instances("github") == []


@pytest.mark.parametrize("fault", [Status(500), Status(422, b'{"message": "no"}'), Status(200, b"not json"), Status(200, b"{}")])
def test_a_conversion_that_fails_is_a_page_and_can_be_tried_again(
    client: TestClient, app: App, world: GithubWorld, fault: Status, caplog: pytest.LogCaptureFixture
) -> None:
    follow(client, link(app))
    back = on_github(ask(client, answers(world)))
    world.faults.add("POST", "/app-manifests/.*/conversions", fault)
    refused = Page(client.get(back))
    assert refused.status == 502
    assert "Traceback" not in refused.raw
    (code,) = parse_qs(urlsplit(back).query)["code"]
    assert code not in refused.raw, "it may still be good for a key"
    assert code not in "".join(str(vars(record)) for record in caplog.records if record.name.startswith(("bot", "providers", "pipeline")))
    assert app.configurations.instances("github") == []
    assert Page(client.get(back)).status == 200


def test_a_key_that_cannot_be_stored_is_said_to_be_lost(client: TestClient, app: App, world: GithubWorld) -> None:
    """GitHub gives it only once: "try again" would be wrong."""
    follow(client, link(app))
    back = on_github(ask(client, answers(world)))
    with app.database.work() as work:
        work.transaction.execute(text("CREATE TRIGGER full BEFORE INSERT ON instances BEGIN SELECT RAISE(FAIL, 'no room'); END"))
    page = Page(client.get(back))
    assert page.status == 503
    made = world.github.manifests.made[0]
    assert "Delete that App in GitHub's settings" in page.text
    assert made.slug in page.text
    assert made.webhook_secret not in page.raw


def test_a_key_that_github_does_not_accept_yet_is_kept_and_said(client: TestClient, app: App, world: GithubWorld) -> None:
    """It is given only once: throwing it away would leave an App that nobody can use."""
    follow(client, link(app))
    back = on_github(ask(client, answers(world)))
    world.faults.add("GET", "/app$", Status(503))
    page = Page(client.get(back))
    assert page.status == 200
    assert "did not accept the new key yet" in page.text
    assert app.configurations.of("github", "")["APP_ID"] == str(world.github.manifests.made[0].id)


# --- answers ---


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"owner": "nobody"}, "Nobody was chosen"),
        ({"owner": "organization", "organization": ""}, "no login of an organization"),
        ({"owner": "organization", "organization": "../settings"}, "no login of an organization"),
        ({"owner": "organization", "organization": "a--b"}, "no login of an organization"),
        ({"server": "ftp://ghe.example.com"}, "no address of a server"),
        ({"server": "ghe"}, "no address of a server"),
        ({"server": "https://acme"}, "no address of a server"),
        ({"server": "http://ghe.example.com"}, "no address of a server"),
        ({"server": "https://user@ghe.example.com"}, "no address of a server"),
        ({"server": "https://github.com"}, "not a server of its own"),
        ({"server": "https://api.github.com"}, "not a server of its own"),
        ({"server": "https://ghe.example.com:port"}, "no address of a server"),
        ({"mode": "owner"}, "not said what the App may do"),
        ({"public_url": "fixwright"}, "no address of Fixwright"),
        ({"public_url": "https://user:pw@fixwright.example.com"}, "no address of Fixwright"),
    ],
)
def test_an_answer_that_cannot_be_used_is_said_and_the_others_are_kept(
    client: TestClient, app: App, world: GithubWorld, change: dict[str, str], said: str
) -> None:
    follow(client, link(app))
    page = ask(client, answers(world) | change)
    assert page.status == 422
    assert said in page.text
    assert 'value="acme"' in page.raw


def test_what_a_person_types_is_escaped(client: TestClient, app: App, world: GithubWorld) -> None:
    follow(client, link(app))
    nasty = '"><script>alert(1)</script>'
    page = ask(client, answers(world) | {"server": nasty, "server_organization": nasty, "public_url": nasty})
    assert page.status == 422
    assert "<script" not in page.raw
    assert html.escape(nasty, quote=True) in page.raw


@pytest.mark.parametrize(
    ("given", "action", "api"),
    [
        ({"owner": "person"}, "https://github.com/settings/apps/new", "https://api.github.com"),
        ({"owner": "organization", "organization": "acme"}, "https://github.com/organizations/acme/settings/apps/new", ""),
        ({"owner": "server", "server": "https://ghe.acme.test/"}, "https://ghe.acme.test/organizations/acme/settings/apps/new", ""),
        ({"owner": "server", "server": "acme.ghe.com"}, "https://acme.ghe.com/organizations/acme/settings/apps/new", ""),
    ],
)
def test_the_form_goes_where_the_app_is_to_live(
    client: TestClient, app: App, world: GithubWorld, given: dict[str, str], action: str, api: str
) -> None:
    follow(client, link(app))
    page = ask(client, answers(world) | given)
    assert page.action.partition("?")[0] == action
    assert len(parse_qs(urlsplit(page.action).query)["state"][0]) >= 40
    manifest = json.loads(page.hidden["manifest"])
    assert manifest["hook_attributes"] == {"url": f"{PUBLIC}/webhooks/github", "active": True}
    assert manifest["redirect_url"] == f"{PUBLIC}/setup/github/callback"
    assert manifest["public"] is False


def test_an_address_of_the_machine_itself_is_warned_of(client: TestClient, app: App, world: GithubWorld) -> None:
    follow(client, link(app))
    there = {"owner": "organization", "organization": "acme"}
    assert "GitHub cannot reach" in ask(client, answers(world, public_url="http://localhost:8080", **there)).text
    assert "GitHub cannot reach" not in ask(client, answers(world, **there)).text
    assert "GitHub cannot reach" not in ask(client, answers(world)).text
    assert [is_unreachable(url) for url in ("http://127.0.0.1", "http://[::1]:80", "http://0.0.0.0", "https://a.example")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_second_app_gets_a_name_and_secrets_of_its_own(client: TestClient, app: App, world: GithubWorld) -> None:
    set_up(client, app, world)
    set_up(client, app, world, server_organization="globex")
    first, second = world.github.manifests.made
    (name,) = [name for name in app.configurations.instances("github") if name]
    assert name.startswith("globex")
    assert second.hook_url == f"{PUBLIC}/webhooks/github/{name}"
    body = b"{}"
    for made, place in ((first, "/webhooks/github"), (second, f"/webhooks/github/{name}")):
        for other in (first, second):
            headers = {"x-github-event": "ping", "x-github-delivery": "1", "x-hub-signature-256": sign(other.webhook_secret, body)}
            answer = client.post(place, content=body, headers=headers)
            assert answer.status_code == (202 if other is made else 401)


def test_a_link_for_an_instance_replaces_that_one(client: TestClient, app: App, world: GithubWorld) -> None:
    set_up(client, app, world)
    follow(client, link(app, ""))
    client.get(on_github(ask(client, answers(world)), name="Fixwright again"))
    assert app.configurations.instances("github") == [""]
    assert app.configurations.of("github", "")["APP_ID"] == str(world.github.manifests.made[1].id)


# --- the page ---


def test_every_page_is_closed_to_scripts_frames_and_other_sites(client: TestClient, app: App, world: GithubWorld) -> None:
    pages = [
        client.get("/setup"),
        client.get(link(app)),
        follow(client, link(app)),
        client.post("/setup/github", data=answers(world)),
        client.get("/setup/github/installed"),
    ]
    for answer in pages:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text
        assert not re.search(r"""(src|href)="https?://""", answer.text)
        assert " on" not in "".join(re.findall(r"<[a-z]+( on[a-z]+=)", answer.text))


def test_every_field_has_a_label(client: TestClient, app: App) -> None:
    raw = follow(client, link(app)).text
    for identity in re.findall(r'<input type="(?:text|url)" id="([^"]+)"', raw):
        assert f'<label for="{identity}">' in raw
    assert raw.count('type="radio"') == len(re.findall(r"<label><input type=\"radio\"", raw))
