"""From nothing to the first check with a browser: the person's whole way, in Chromium, against the double of GitHub."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page as BrowserPage

from bot.asgi import make_asgi
from bot.cli.instances import setup_address
from bot.demo.local import free_port
from bot.pages.links import SetupLinks, Target
from bot.settings import engines_dir, read_settings
from bot.wiring import wire
from tests.engines import needs_engines
from tests.worlds.github.model import CheckRun
from tests.worlds.github.world import GithubWorld

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
STEPS = 10
"""Clicks and fields of a person who sets up an organization on a server: link, button, server, login, who, where, confirming, install."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed here"),
]


class Person:
    """Somebody at a browser. Every click and every field counts."""

    def __init__(self, page: BrowserPage, shots: Path) -> None:
        self.page, self.shots = page, shots
        self.steps: list[str] = []
        self.errors: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, address: str) -> None:
        self._did(f"open {address.partition('?')[0]}")
        self.page.goto(address)

    def click(self, role: Any, name: str) -> None:
        self._did(f"click {name}")
        self.page.get_by_role(role, name=name).click()

    def fill(self, label: str, text: str) -> None:
        self._did(f"fill {label}")
        self.page.get_by_label(label).fill(text)

    def _did(self, what: str) -> None:
        self.steps.append(what)

    def look(self, name: str) -> None:
        """Keep what is to be seen, in both colour schemes and on a narrow screen; nothing may stick out there."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            self.page.screenshot(path=self.shots / f"{name}-{scheme}.png", full_page=True)
        self.page.emulate_media(color_scheme="light")
        size = self.page.viewport_size
        self.page.set_viewport_size({"width": 320, "height": 640})
        self.page.screenshot(path=self.shots / f"{name}-narrow.png", full_page=True)
        assert self.page.evaluate("document.documentElement.scrollWidth") <= 320, f"{name} is wider than a narrow screen"
        if size:
            self.page.set_viewport_size(size)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's, without its sandbox only where it cannot have one: as root."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0, args=["--disable-gpu", "--disable-dev-shm-usage"]
            )
        except PlaywrightError as error:
            if "sandbox" not in error.message:
                raise
            pytest.skip("chromium has no sandbox here: an ordinary user needs unprivileged user namespaces for it")
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def fixwright_up(folder: Path) -> Iterator[tuple[str, str]]:
    """`fixwright up` with nothing set up, its output in a log; its address, and the link that the command makes that it names there."""
    url = f"http://127.0.0.1:{free_port()}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
    environment = {
        **kept,
        "FIXWRIGHT_STATE_DIR": str(folder / "state"),
        "FIXWRIGHT_ENGINES_DIR": str(engines_dir()),
        "FIXWRIGHT_PORT": url.rpartition(":")[2],
        "NO_PROXY": "127.0.0.1",
    }
    log = folder / "fixwright.log"
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "bot.cli", "up"], env=environment, stdout=file, stderr=file)
    try:
        until(lambda: _answers(url), 60, lambda: log.read_text()[-2000:])
        assert "token=" not in log.read_text()
        named = re.search(r"^  fixwright (github setup-link)$", log.read_text(), re.MULTILINE)
        assert named is not None
        command = [sys.executable, "-m", "bot.cli", *named[1].split()]
        link = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
        assert link.startswith(f"{url}/setup?token=")
        yield url, link
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def web_alone(folder: Path) -> Iterator[str]:
    """The web process's application in a thread of ours, for a look at its pages; yields a setup link."""
    port = free_port()
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(folder / "state"), "FIXWRIGHT_PORT": str(port)})
    app = wire(settings, f"unix://{folder / 'no-queue.sock'}")
    app.database.migrate()
    server = uvicorn.Server(uvicorn.Config(make_asgi(app), port=port, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, 20)
        yield setup_address(settings, SetupLinks(app.memory).make(Target()))
    finally:
        server.should_exit = True
        thread.join(20)
        app.database.dispose()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def until(condition: Callable[[], bool], seconds: float, why: Callable[[], str] = lambda: "") -> None:
    """Wait for something; with `why` when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(0.1)


@needs_engines
def test_a_person_gets_from_the_printed_link_to_the_first_check_in_a_few_steps(tmp_path: Path) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    with GithubWorld.start(tmp_path) as world, fixwright_up(tmp_path) as (url, link), chromium() as browser:
        world.organization("acme")
        repository = world.create_repository("acme", "shop", files={"app.py": "print('hello')\n"}, install=False)
        world.set_permission("ada", repository, "write")
        person = Person(browser.new_page(viewport={"width": 1100, "height": 800}), shots)
        began = time.monotonic()

        person.open(link)
        person.click("button", "Begin")
        assert "token" not in person.page.url
        person.look("1-questions")
        person.click("radio", "An organization on GitHub Enterprise Server")
        person.fill("Address of the server", world.api_url)
        person.page.get_by_label("Login of the organization").locator("visible=true").fill("acme")
        person.steps.append("fill Login of the organization")
        person.look("2-answers")
        person.click("button", "Continue")
        person.look("3-review")
        person.click("button", "Create it on GitHub")
        person.click("button", "Create GitHub App for acme")
        person.look("4-done")
        person.click("link", "Choose repositories")
        person.click("button", "Install")
        person.look("5-installed")
        assert person.page.url.startswith(f"{url}/setup/github/installed")

        (app,) = world.github.manifests.made
        world.adopt(app)
        world.commit(repository, "feature", {"app.py": "print('hello, world')\n"})
        pull = world.open_pull_request("ada", repository, "feature", "main", "Greet the world")

        def finished() -> list[CheckRun]:
            return [run for run in world.checks(repository, pull.head_sha) if run.status == "completed"]

        until(lambda: bool(finished()), 90, lambda: (tmp_path / "fixwright.log").read_text()[-3000:])
        seconds = time.monotonic() - began
        (check,) = finished()
        assert check.conclusion == "success"
        assert person.errors == []
        assert len(person.steps) <= STEPS, person.steps
        assert seconds < 300, "five minutes of a person, of which he types three fields"
        assert not [v for v in world.violations if v.side == "webhook"]


def test_the_form_can_be_used_without_a_mouse(tmp_path: Path) -> None:
    with web_alone(tmp_path) as link, chromium() as browser:
        page = browser.new_page()
        page.goto(link)
        page.get_by_role("button", name="Begin").press("Enter")
        page.wait_for_url("**/setup")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.type") == "radio"
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.value") == "person"
        assert not page.get_by_label("Login of the organization").first.is_visible(), "what is not asked is not shown"
        reached = []
        for _ in range(4):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.name || document.activeElement.textContent"))
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", "where one is can be seen"
            if reached[-1] == "Continue":
                break
        assert reached == ["mode", "public_url", "Continue"]
        page.keyboard.press("Enter")
        page.get_by_role("heading", level=1, name="Create the GitHub App").wait_for()
