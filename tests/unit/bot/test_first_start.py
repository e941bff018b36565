"""What a first start says: how each host that this version has is set up, in that host's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from bot.asgi import make_asgi
from bot.cli.up import offer_setup
from bot.pages.links import SetupLinks, Target
from bot.settings import read_settings
from bot.wiring import App, wire
from pipeline.ports import Capabilities, Setup
from providers.github.manifest import GitHubSetup
from providers.github.provider import GitHubProvider
from providers.local import LocalProvider

PUBLIC = "http://fixwright.test"


class Third(LocalProvider):
    """A host behind a network that is set up with a command of its own."""

    name, title, setup_command = "third", "Third Host", "fixwright third setup"
    capabilities = Capabilities()


class AnotherSetup(GitHubSetup):
    """As GitHub's, in other words."""

    host_word = "Another Host"


class Paged(GitHubProvider):
    """A host that is set up with a browser, beside the one that is."""

    name, title, setup_command = "another", "Another Host", "fixwright another setup-link"

    @property
    def setup(self) -> Setup | None:
        """See `AnotherSetup`."""
        return AnotherSetup(self._open_client)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = wire(read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "state"), "FIXWRIGHT_URL": PUBLIC}), "")
    made.database.migrate()
    yield made
    made.database.dispose()


def said(app: App, capsys: pytest.CaptureFixture[str], *, terminal: bool = True) -> str:
    offer_setup(app, terminal=terminal)
    return capsys.readouterr().out


def test_every_host_behind_a_network_is_offered_as_its_plug_in_says(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    app.plugins = replace(app.plugins, providers={**app.plugins.providers, "third": Third()})
    offered = said(app, capsys)
    assert re.findall(r"^Set up (.*):$", offered, re.MULTILINE) == [
        "GitHub in a browser (this link works once, for a day)",
        "GitLab",
        "Third Host",
    ]
    assert re.search(rf"^  {PUBLIC}/setup\?token=\S+$", offered, re.MULTILINE)
    assert "\n  fixwright third setup\n" in offered


def test_a_log_gets_no_link_but_the_command_for_one(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """Who reads the logs of a machine may be anybody; the link is as good as a password until it is used."""
    offered = said(app, capsys, terminal=False)
    assert "token=" not in offered
    assert offered == "Set up GitHub:\n  fixwright github setup-link\nSet up GitLab:\n  fixwright gitlab setup\n"


def test_nothing_is_offered_once_a_host_is_set_up(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    app.configurations.save("gitlab", "", {"TOKEN": "a token of this " + "test"})
    assert said(app, capsys) == ""


def test_where_two_hosts_have_pages_each_is_offered_by_the_command_for_a_link(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """One link works at a time: the second would end the first."""
    app.plugins = replace(app.plugins, providers={"another": Paged(), **app.plugins.providers})
    offered = said(app, capsys)
    assert "token=" not in offered
    assert "Set up Another Host:\n  fixwright another setup-link\n" in offered
    assert "Set up GitHub:\n  fixwright github setup-link\n" in offered


@pytest.mark.parametrize(("provider", "other"), [("github", "another"), ("another", "github")])
def test_a_link_leads_to_the_page_of_its_own_host_alone(app: App, provider: str, other: str) -> None:
    app.plugins = replace(app.plugins, providers={"another": Paged(), **app.plugins.providers})
    with TestClient(make_asgi(app), base_url=PUBLIC) as client:
        token = SetupLinks(app.memory).make(Target(provider=provider))
        assert client.get(f"/setup?token={token}").status_code == 200
        questions = client.post("/setup", data={"token": token}).text
        assert f'action="/setup/{provider}"' in questions
        assert client.post(f"/setup/{other}", data={"public_url": PUBLIC}).status_code == 403


def test_a_link_to_a_host_that_this_version_does_not_have_opens_nothing(app: App) -> None:
    with TestClient(make_asgi(app), base_url=PUBLIC) as client:
        assert client.get(f"/setup?token={SetupLinks(app.memory).make(Target(provider='gone'))}").status_code == 410
