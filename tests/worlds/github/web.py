"""The few pages of GitHub that a person sees on the way to an installed app. One person is signed in: `person`."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import parse_qs, urlencode

from tests.worlds.exchange import Request, Response
from tests.worlds.github.core import Github
from tests.worlds.github.manifests import ManifestRefused
from tests.worlds.github.model import App, Installation

_NEW = re.compile(r"/(?:organizations/([^/]+)/)?settings/apps/new\Z")
_MAKE = re.compile(r"/(?:organizations/([^/]+)/)?settings/apps\Z")
_INSTALL = re.compile(r"/(?:github-)?apps/([^/]+)/installations/new\Z")


class Web:
    """Answers what is a page; None for everything else."""

    def __init__(self, github: Github) -> None:
        self._github = github
        self.person = "ada"

    def handle(self, request: Request) -> Response | None:
        """A page, or where the browser goes next."""
        form = {name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        with self._github.state.lock:
            try:
                if (found := _NEW.match(request.path)) and request.method == "POST":
                    return self._confirm(found[1], form, query)
                if (found := _MAKE.match(request.path)) and request.method == "POST":
                    return self._make(found[1], form)
            except ManifestRefused as refused:
                return _page("Invalid GitHub App configuration", f"<p>{escape(str(refused))}</p>", 422)
            app = self._app(found[1]) if (found := _INSTALL.match(request.path)) else None
            if app is not None and request.method == "GET":
                return _page(f"Install {app.name}", _install_form(app))
            if app is not None and request.method == "POST":
                return self._install(app)
        return None

    def _confirm(self, organization: str | None, form: dict[str, str], query: dict[str, str]) -> Response:
        """The page that shows what an app will be."""
        manifest = self._github.manifests.check(form.get("manifest", ""))
        below = f"/organizations/{organization}" if organization else ""
        hidden = {"manifest": form["manifest"], "state": query.get("state", "")}
        inputs = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in hidden.items())
        owner = organization or self.person
        return _page(
            f"Create GitHub App for {owner}",
            f'<form method="post" action="{below}/settings/apps">{inputs}'
            f'<label>GitHub App name <input name="name" value="{escape(manifest.get("name", ""))}"></label> '
            f"<button>Create GitHub App for {escape(owner)}</button></form>",
        )

    def _make(self, organization: str | None, form: dict[str, str]) -> Response:
        manifest = self._github.manifests.check(form.get("manifest", ""))
        state = self._github.state
        owner = state.account(organization, "Organization") if organization else state.account(self.person)
        code = self._github.manifests.make(manifest, form.get("name", ""), owner)
        return _redirect(f"{manifest['redirect_url']}?{urlencode({'code': code, 'state': form.get('state', '')})}")

    def _install(self, app: App) -> Response:
        """On all repositories of the app's owner."""
        state = self._github.state
        number = state.new_id("installation")
        installation = Installation(number, app, app.owner, dict(app.permissions), app.events, state.now())
        state.installations[number] = installation
        covered = [repository for repository in state.repositories.values() if installation.covers(repository)]
        self._github.actions.events.installation(installation, "created", covered)
        return _redirect(f"{app.setup_url}?{urlencode({'installation_id': number, 'setup_action': 'install'})}")

    def _app(self, slug: str) -> App | None:
        return next((app for app in self._github.state.apps.values() if app.slug == slug), None)


def _install_form(app: App) -> str:
    return (
        f"<p>Install on {escape(app.owner.login)}</p>"
        '<form method="post"><label><input type="radio" name="install_target" checked> All repositories</label> '
        "<button>Install</button></form>"
    )


def _page(title: str, body: str, status: int = 200) -> Response:
    text = (
        f'<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>{escape(title)}</title><h1>{escape(title)}</h1>{body}</html>'
    )
    return Response(status, text.encode(), {"content-type": "text/html; charset=utf-8"})


def _redirect(to: str) -> Response:
    return Response(302, b"", {"location": to})
