"""emulate as a process of the test's own, on a free port of the loopback. Its state is in memory."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from tests.worlds.emulate.install import Installed

APP, INSTALLATION = 4321, 100
OWNER = "octo"
PEOPLE = ("ada", "walter", "eve", OWNER)
PERMISSIONS = {"contents": "write", "checks": "write", "pull_requests": "write", "issues": "write", "metadata": "read"}
SLUG = "fixwright"


def token_of(login: str) -> str:
    """The personal token of somebody."""
    return f"token-of-{login}"


class Emulate:
    """The server. `call` acts in somebody's name."""

    def __init__(self, installed: Installed, folder: Path, private_key_pem: str, webhook_url: str = "", webhook_secret: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        app = {
            "app_id": APP,
            "slug": SLUG,
            "name": "Fixwright",
            "private_key": private_key_pem,
            "permissions": PERMISSIONS,
            "events": ["push", "pull_request", "issue_comment", "pull_request_review_comment", "check_run"],
            "installations": [{"installation_id": INSTALLATION, "account": OWNER, "repository_selection": "all"}],
        }
        if webhook_url:
            app |= {"webhook_url": webhook_url, "webhook_secret": webhook_secret}
        seed = {
            "tokens": {token_of(login): {"login": login, "scopes": ["repo", "user"]} for login in PEOPLE},
            "github": {"users": [{"login": login} for login in PEOPLE], "apps": [app]},
        }
        (folder / "seed.json").write_text(json.dumps(seed), "utf-8")
        command = [str(installed.node), str(installed.emulate), "start", "--service", "github", "--port", str(port)]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--base-url", self.url, "--seed", str(folder / "seed.json")],
            cwd=folder,
            stdout=self._log,
            stderr=self._log,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        )
        self._http = httpx.Client(base_url=self.url, timeout=20)
        self._wait(folder / "log")

    def _wait(self, log: Path, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._http.get("/meta")
            except httpx.TransportError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise TimeoutError(f"emulate did not start: {log.read_text('utf-8', 'replace')[-1000:]}") from None
                time.sleep(0.05)
            else:
                return

    def call(self, method: str, path: str, body: object = None, who: str = OWNER) -> Any:  # what emulate answers is JSON of any shape
        """One request in somebody's name. Raises AssertionError for anything but success."""
        answer = self.ask(method, path, body, who)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None

    def ask(self, method: str, path: str, body: object = None, who: str = OWNER) -> httpx.Response:
        """One request, whatever comes."""
        headers = {"authorization": f"Bearer {token_of(who)}", "user-agent": "test"}
        return self._http.request(method, path, json=body, headers=headers)

    def stop(self) -> None:
        """End it."""
        self._http.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
