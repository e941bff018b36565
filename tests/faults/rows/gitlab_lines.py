"""The line to GitLab over TLS: nobody listens there any more, or somebody who is not GitLab. Row 24."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from urllib.parse import urlsplit

from bot.demo.local import free_port
from tests.faults.matrix import Run, fault
from tests.faults.rows.gitlab import ONLY, gitlab, gitlab_project
from tests.faults.stand import NAMES, Stand
from tests.proxies import Authority, make_authority, tls_before

SAID = {"nobody listens": "ConnectionError", "a certificate that nobody vouches for": "SSLError"}
"""What the log says of it."""


@contextmanager
def over_tls(run: Run, trusted: Authority, port: int) -> Iterator[None]:
    """All four know GitLab by an address that speaks TLS, and GitLab itself goes by that name."""
    stand, shapes = run.stand, gitlab(run).world.gitlab.shapes
    plain, shapes.web = shapes.web, f"https://localhost:{port}"
    _stop(stand)
    try:
        stand.start(more={"FIXWRIGHT_GITLAB_URL": shapes.web, "FIXWRIGHT_CA_BUNDLE": str(trusted.bundle)})
        yield
    finally:
        _stop(stand)
        shapes.web = plain
        stand.start()


def _stop(stand: Stand) -> None:
    for name in NAMES:
        stand.parts[name].stop()


@fault(24, "the line to GitLab is cut, or leads to somebody else", steps=tuple(SAID), alone=True, hosts=ONLY)
def gitlab_line(run: Run) -> None:
    stand = run.stand
    trusted, foreign = (make_authority(stand.folder / name, "localhost") for name in ("trusted", "foreign"))
    world = urlsplit(gitlab(run).world.url)
    upstream = (world.hostname or "", world.port or 0)
    port = free_port()
    with over_tls(run, trusted, port):
        project = gitlab_project(run, "secure", "secured")
        with tls_before(upstream, trusted, port):
            before = run.begin(project, alike=False)
            stand.wait("a finished status", lambda: before.finished)
            stand.quiet()
        told = stand.log().count(SAID[run.step])
        with nullcontext() if run.step == "nobody listens" else tls_before(upstream, foreign, port):
            life = run.begin(project, alike=False)
            stand.wait("a failure", lambda: stand.log().count(SAID[run.step]) > told)
            assert not life.checks, "it was told to somebody else"
        with tls_before(upstream, trusted, port):
            run.cured()
            run.well()
            recovery = time.monotonic() - run.since
    run.cured(time.monotonic() - recovery)  # starting everything again at the old address is no part of it
