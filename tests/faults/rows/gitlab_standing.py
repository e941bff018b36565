"""Our standing at GitLab changes: tokens end, roles are taken away, projects move, hooks are switched off. Rows 26, 27, 31 and 42."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from bot.worker import ATTEMPTS
from tests.faults.gitlab import BOT, GitlabHost
from tests.faults.lives import Life
from tests.faults.matrix import SETTLING, Run, fault
from tests.faults.rows.deliveries import an_hour_later
from tests.faults.rows.gitlab import ONLY, gitlab, gitlab_project
from tests.faults.stand import ROOT, WORKERS
from tests.worlds.faults import Status
from tests.worlds.gitlab.hooks import Hook
from tests.worlds.gitlab.model import Project
from tests.worlds.record import Asked

EXPIRED = b'{"error": "invalid_token", "error_description": "Token is expired. You can either do re-authorization or token refresh."}'
REFUSED = (401, 403, 404, 410)


def scanned(run: Run, project: Project) -> Life:
    """A change whose secrets engine waits."""
    run.stand.engine.hold()
    life = run.begin(project, alike=False)
    run.stand.wait("an engine at work", run.stand.engine.at_work)
    return life


def let_go(run: Run) -> None:
    """GitLab has said everything, and it was understood; the engine goes on."""
    run.stand.hooks.wait()
    run.stand.wait("what was said to be understood", lambda: run.stand.unfinished("accept_event") == 0)
    run.stand.engine.release()
    run.cured()


def stormed(asked: list[Asked], project: Project, most: int) -> list[str]:
    """What was asked of a project that refused it, more often than it may be."""
    places = (f"/api/v4/projects/{project.id}/", f"/{project.full_path}.git/")
    often = Counter((one.method, one.path) for one in asked if one.status in REFUSED and any(place in one.path for place in places))
    return [f"asked again and again: {often}"] if often and max(often.values()) > most else []


# --- tokens: row 26 -------------------------------------------------------------------------------------------------------------------


@fault(26, "a token of GitLab that has expired, until somebody mends it", hosts=ONLY)
def gitlab_expired(run: Run) -> None:
    world = run.stand.host.world
    refusal = Status(401, EXPIRED, {"content-type": "application/json"})
    world.faults.add("*", "/api/v4/", refusal, times=10_000)
    since = len(world.asked)
    run.begin()
    run.stand.wait("a refusal", lambda: any(one.status == 401 for one in world.asked[since:]))
    world.faults.clear()
    run.cured()


@fault(
    26, "a token of GitLab that ends in the middle of a scan, and another one is set", steps=("expired", "revoked"), alone=True, hosts=ONLY
)
def gitlab_token_ends(run: Run) -> None:
    stand, host = run.stand, gitlab(run)
    project = gitlab_project(run, "ending")
    life = scanned(run, project)
    since = len(host.world.asked)
    if run.step == "revoked":
        host.world.revoke(host.token)
    else:
        known = host.world.gitlab.tokens.find(host.token)
        assert known is not None
        known.expires_at = host.world.gitlab.state.now().date() - timedelta(days=1)
    stand.engine.release()
    stand.wait("a refusal", lambda: any(one.status == 401 for one in host.world.asked[since:]))
    assert not life.finished, "it was judged without a token"
    refused = [one for one in host.world.asked[since:] if one.status == 401]
    assert not stormed(refused, project, 5), stormed(refused, project, 5)
    for name in ("relay", *WORKERS):
        stand.parts[name].stop()
    stand.start(more={"FIXWRIGHT_GITLAB_TOKEN": host.world.token_for(BOT)})
    run.cured()


# --- roles: row 27 --------------------------------------------------------------------------------------------------------------------


@fault(27, "a role in GitLab that was taken away", hosts=ONLY)
def gitlab_forbidden(run: Run) -> None:
    """A reporter reads and speaks, and sets no status: what was begun stays as it is, the threads are opened, and a person is told."""
    stand, host = run.stand, gitlab(run)
    project = gitlab_project(run, "forbidden", "stingy")
    life = scanned(run, project)
    run.lives.remove(life)
    since, told = len(host.world.asked), stand.log().count("code=HOST_FORBIDDEN")
    host.world.set_access(BOT, project.namespace, "reporter")
    let_go(run)
    run.more.append(lambda: [] if len(life.change.threads()) == len(run.alike.threads) else ["not all threads were opened"])
    run.more.append(lambda: [] if stand.log().count("code=HOST_FORBIDDEN") > told else ["the operator is not told"])
    run.more.append(lambda: stormed(list(host.world.asked[since:]), project, 2))
    run.more.append(lambda: [problem for problem in life.problems() if "twice" in problem])


# --- projects: row 42 -----------------------------------------------------------------------------------------------------------------


def _transfer(host: GitlabHost, project: Project) -> None:
    """Into another group in which we are a member, too."""
    host.world.set_access(BOT, host.world.create_group("elsewhere"), "developer")
    host.world.move_project(project, "elsewhere")


MOVES: dict[str, Callable[[GitlabHost, Project], None]] = {
    "renamed": lambda host, project: host.world.rename_project(project, "another-name"),
    "public": lambda host, project: host.world.set_visibility(project, "public"),
    "transferred": _transfer,
    "group renamed": lambda host, project: host.world.rename_group(project.namespace, "renamed-group"),
}


@fault(42, "a project of GitLab moves in the middle of a scan", steps=tuple(MOVES), hosts=ONLY)
def gitlab_moves(run: Run) -> None:
    project = gitlab_project(run, f"moving-{run.step.replace(' ', '-')}", f"owner-{run.step.replace(' ', '-')}")
    scanned(run, project)
    MOVES[run.step](gitlab(run), project)
    let_go(run)


LOSSES: dict[str, Callable[[GitlabHost, Project], None]] = {
    "deleted": lambda host, project: host.world.delete_project(project),
    "group deleted": lambda host, project: host.world.delete_group(project.namespace),
    "not shown to us": lambda host, project: host.world.set_access(BOT, project.namespace, "none"),
    "archived": lambda host, project: host.world.archive_project(project),
}


@fault(42, "a project of GitLab goes away in the middle of a scan", steps=tuple(LOSSES), hosts=ONLY)
def gitlab_gone(run: Run) -> None:
    """What is under way at the same moment may be refused once each; nobody asks again for what is gone. Of what GitLab does not tell us
    each message learns for itself, tries as it does what fails, and is given up: a person is told."""
    host, untold = gitlab(run), run.step == "not shown to us"
    project = gitlab_project(run, "gone", f"lost-{run.step.replace(' ', '-')}")
    run.lives.remove(scanned(run, project))  # nobody can write there any more: what it shows stays as it is
    since = len(host.world.asked)
    LOSSES[run.step](host, project)
    let_go(run)
    most = 1
    if untold:
        run.stand.quiet(SETTLING)
        before, run.given_up = run.given_up, len(run.stand.dead())
        codes = Counter(code for _, code in run.stand.dead()[before:])
        assert codes.keys() <= {"GIT_UNAVAILABLE", "HOST_NOT_FOUND"}, run.stand.dead()
        most = ATTEMPTS * max(1, codes["GIT_UNAVAILABLE"])  # the branch and the merge request are two reviews
        run.cured()
    run.more.append(lambda: stormed(list(host.world.asked[since:]), project, most))


# --- hooks: row 31 --------------------------------------------------------------------------------------------------------------------


@contextmanager
def connected(run: Run, project: Project) -> Iterator[Hook]:
    """The project has a hook as `fixwright gitlab connect` makes it, and nothing else tells of it; GitLab gives up on receivers."""
    stand, host = run.stand, gitlab(run)
    host.world.set_access(BOT, project, "maintainer")
    command = [sys.executable, "-m", "bot.cli", "gitlab", "connect", project.full_path]
    done = subprocess.run(command, cwd=ROOT, env=stand.environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (hook,) = host.world.hooks_of(project)
    told, host.world.webhook_url = host.world.webhook_url, None
    host.world.hooks.auto_disable = True
    try:
        yield hook
    finally:
        host.world.hooks.auto_disable = False
        host.world.webhook_url = told


@fault(31, "GitLab switches a hook off because deliveries failed", steps=("for a while", "for good"), hosts=ONLY)
def gitlab_hook_off(run: Run) -> None:
    """The hourly look switches it on again, and brings what was lost meanwhile."""
    stand, host = run.stand, gitlab(run)
    project = gitlab_project(run, f"hooked-{run.step.replace(' ', '-')}", "hooked")
    with connected(run, project) as hook:
        stand.parts["web"].kill()
        lost = run.begin(project, alike=False)
        _fail_until_off(host, project, hook, for_good=run.step == "for good")
        stand.start("web")
        mended = stand.log().count("host.mended")
        an_hour_later(run)
        stand.wait("the hook", lambda: host.world.hooks.executable(hook))
        run.cured()
        stand.wait("the words about it", lambda: stand.log().count("host.mended") > mended, 10)
        stand.wait("what was lost", lambda: lost.finished)
        later = run.begin(project, alike=False)
        stand.wait("what it tells of", lambda: later.finished)
        assert host.world.hooks.of("merge_request", "open", hook=hook)[-1].attempts[-1].status == 202


def _fail_until_off(host: GitlabHost, project: Project, hook: Hook, *, for_good: bool) -> None:
    """What happens is told to nobody who listens, until GitLab gives up: after four times for a while, after forty for good."""
    host.world.hooks.wait()
    while host.world.hooks.executable(hook):
        host.world.commit(project, "main", {"counted.txt": f"{hook.failures}\n"}, "Count")
        host.world.hooks.wait()
    if for_good:
        host.world.switch_off(hook, for_good=True)
    else:  # it has tried again since, each time after twice as long, so that it does not come back by itself within this run
        hook.failures = 10
        hook.answered(host.world.gitlab.seconds(), well=False)
    assert hook.status(host.world.gitlab.seconds()) == ("disabled" if for_good else "temporarily_disabled")
