"""What the default branch has is mended, asked for by a person or by the policy: rows 5, 6 and 22 for `fixwright fix open` and for what
follows a list that moved on."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

from bot.demo import content
from tests.faults.hosts import Change, Home
from tests.faults.matrix import EVERY, KILLED, Run, fault
from tests.faults.points import Point
from tests.faults.stand import ROOT
from tests.worlds.faults import Abort, Status

WEB = "members/web.py"
FILES: Mapping[str, str] = {
    **{path: text for path, text in content.MAIN.items() if path in ("README.md", "members/__init__.py", "members/store.py")},
    WEB: f'"""Members."""\n\nfrom urllib.parse import parse_qs\n{content.CHANGE[WEB].removeprefix(content.MAIN[WEB])}',
    "tests/__init__.py": "",
    "tests/test_search.py": content.CHANGE["tests/test_search.py"],
}
"""One finding, which a fixer knows and the tests guard."""
BESIDE = FILES[WEB].replace("(line(row) for row in rows)", "([line(row) for row in rows])")
"""The line below the one that is mended is another one."""
GONE: Mapping[str, str | None] = {WEB: '"""Nobody."""\n', "tests/test_search.py": None}
POLICY = "fixes: {open: 1}\n"
PLACES = {"github": ".github/fixwright.yml", "gitlab": ".gitlab/fixwright.yml"}

GATE, OPENED = "gate", "pull request made, not noted"
ASKING = {
    "asked, not committed": Point("pipeline.stages.listedfix:begin_listed", "return", process="fix"),
    "committed, not said": Point("bot.cli._fixopen:_summary", "call", process="fix"),
}
MAKING = {
    "fix begun": Point("pipeline.stages.fix:run_fix", "call"),
    "patch made": Point("pipeline.stages.ladder:make_patch", "return"),
    GATE: Point("pipeline.sandbox.process:run_isolated", "return"),
    "proved, not noted": Point("pipeline.stages.prove:prove", "return"),
    "offering": Point("pipeline.stages.propose:propose_fix", "call"),
    "room taken": Point("pipeline.stages.room:no_room", "return"),
    "branch made, not noted": Point("host:ensure_branch", "return"),
    OPENED: Point("host:ensure_pull_request", "return"),
}
FOLLOWING = {
    "list moved on": Point("pipeline.stages.followlist:follow_list", "call"),
    "begun, not committed": Point("pipeline.stages.followlist:_begin", "return"),
    "branch made by itself, not noted": Point("host:ensure_branch", "return"),
    "pull request made by itself, not noted": Point("host:ensure_pull_request", "return"),
    "collision seen": Point("pipeline.stages.followlist:_collides", "return"),
    "begun anew, not committed": Point("pipeline.stages.followlist:_make_anew", "return"),
    "branch moved, not noted": Point("host:ensure_branch", "return"),
    "closed, not noted": Point("host:ensure_closed", "return"),
    "branch removed, not noted": Point("host:ensure_no_branch", "return"),
}
FIRST, MOVED = tuple(FOLLOWING)[:4], tuple(FOLLOWING)[4:7]
LOST = {
    "github": {
        "branch": ("POST", "/git/refs$"),
        "pull request made": ("POST", "/pulls$"),
        "word": ("POST", r"/issues/\d+/comments$"),
        "closed": ("PATCH", r"/pulls/\d+$"),
        "branch removed": ("DELETE", "/git/refs/heads/fixwright"),
    },
    "gitlab": {
        "branch": ("POST", "/repository/commits$"),
        "pull request made": ("POST", "/merge_requests$"),
        "word": ("POST", r"/merge_requests/\d+/notes$"),
        "closed": ("PUT", r"/merge_requests/\d+$"),
        "branch removed": ("DELETE", "/repository/branches/fixwright"),
    },
}
ENDING = ("word", "closed", "branch removed")


def listed(run: Run, *, by_itself: bool = False, settle: bool = True) -> Home:
    """A private repository that is known, with everything looked at once or about to be."""
    stand = run.stand
    stand.made += 1
    home = stand.new_home(f"listed-{stand.made}")
    policy = {PLACES[stand.host.name]: POLICY} if by_itself else {}
    gone = {path: None for path in content.MAIN if path not in FILES}
    stand.host.commit(home, "main", {**FILES, **gone, **policy}, "Search members")
    stand.hooks.wait()
    if settle:
        stand.quiet()
    stand.wait("the repository", lambda: name_of(run) in command(run, "bot.cli", "repositories", "list").stdout)
    return home


def name_of(run: Run) -> str:
    """Of the repository that `listed` made last."""
    return f"octo/listed-{run.stand.made}"


def look(run: Run) -> None:
    """Everything is looked at, as after an hour of quiet."""
    done = command(run, "bot.cli", "findings", "rescan", name_of(run))
    assert done.returncode == 0, done.stdout + done.stderr


def command(run: Run, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The operator's command line."""
    words = [sys.executable, "-m", program, *arguments]
    return subprocess.run(words, cwd=ROOT, env=run.stand.environment, capture_output=True, text=True, check=False, timeout=120)


def open_fix(run: Run, program: str = "bot.cli") -> subprocess.CompletedProcess[str]:
    """A person asks for what mends the finding."""
    line = next(number for number, text in enumerate(FILES[WEB].splitlines(), 1) if "connection.execute(statement)" in text)
    return command(run, program, "fix", "open", name_of(run), "--finding", f"{WEB}:{line}")


def one_offer(run: Run, home: Home) -> list[str]:
    """One branch, one pull request into `main` that says what was proved, nothing said there, and no run that goes on."""
    found, ours = [], run.stand.host.proposals(home)
    branches = our_branches(home)
    if len(ours) != 1 or len(branches) != 1:
        return [f"{len(ours)} pull requests of ours, branches {branches}"]
    (fix,) = ours[0].fixes()
    if (fix.target, fix.branch) != ("main", branches[0]) or not ours[0].is_open:
        found.append(f"it leads from {fix.branch} to {fix.target}, and is {'open' if ours[0].is_open else 'closed'}")
    if "**verified**" not in fix.words:
        found.append("the pull request does not say what was proved")
    parents = home.git.commit(str(home.git.branch(branches[0]))).parents
    if parents != (home.git.branch("main"),):
        found.append(f"it stands on {parents}")
    return found + _said(ours[0], 0)


def _said(ours: Change, words: int) -> list[str]:
    """How often we say there why it was closed."""
    closing = [body for body in ours.notes() if "so this one is closed" in body]
    return [] if len(closing) == words else [f"{len(closing)} words at its end, expected {words}"]


def one_end(run: Run, home: Home) -> list[str]:
    """The one pull request is closed with a word, and its branch is gone."""
    ours, branches = run.stand.host.proposals(home), our_branches(home)
    if len(ours) != 1 or branches or ours[0].is_open:
        return [f"{len(ours)} pull requests of ours, branches {branches}"]
    return _said(ours[0], 1)


def our_branches(home: Home) -> list[str]:
    """Below `fixwright/`."""
    return [ref.removeprefix("refs/heads/") for ref in home.git.refs() if re.match("refs/heads/fixwright/", ref)]


@fault(5, "a person is cut off while he asks for a fix of the default branch", steps=tuple(ASKING), hosts=EVERY)
def command_killed_for_a_listed_fix(run: Run) -> None:
    home = listed(run)
    look(run)
    run.stand.quiet()
    struck = run.strike(ASKING[run.step])
    assert open_fix(run, "tests.faults.points").returncode != 0
    struck()
    run.cured()
    assert open_fix(run).returncode == 0  # who was cut off asks again
    run.more.append(lambda: one_offer(run, home))


@fault(5, "a worker's child is killed while the default branch is mended", steps=(GATE, OPENED), within=KILLED, hosts=EVERY)
def child_killed_in_a_listed_fix(run: Run) -> None:
    _killed(run, MAKING[run.step])


@fault(
    6,
    "a worker and its child are killed while the default branch is mended, at each step",
    steps=tuple(MAKING),
    within=KILLED,
    hosts=EVERY,
)
def worker_killed_in_a_listed_fix(run: Run) -> None:
    _killed(run, replace(MAKING[run.step], what="kill both"))


def _killed(run: Run, point: Point) -> None:
    home = listed(run)
    look(run)
    run.stand.quiet()
    struck = run.strike(point)
    assert open_fix(run).returncode == 0
    run.more.append(lambda: one_offer(run, home))
    run.taken_over(struck())


@fault(
    6,
    "a worker and its child are killed while the list of a default branch is followed",
    steps=tuple(FOLLOWING),
    within=KILLED,
    hosts=EVERY,
)
def worker_killed_as_a_listed_fix_follows(run: Run) -> None:
    host, point = run.stand.host, replace(FOLLOWING[run.step], what="kill both")
    if run.step in FIRST:
        struck = run.strike(point)  # some hosts tell of a push alone, and that begins the first look
        home = listed(run, by_itself=True, settle=False)
        look(run)
        run.more.append(lambda: one_offer(run, home))
    else:
        home = listed(run, by_itself=True)
        look(run)
        run.stand.wait("a pull request", lambda: host.proposals(home))
        run.stand.quiet()
        struck = run.strike(point)
        host.commit(home, "main", {WEB: BESIDE} if run.step in MOVED else GONE, "Change it")
        run.more.append(lambda: (one_offer if run.step in MOVED else one_end)(run, home))
    run.taken_over(struck())


@fault(22, "the host does it and its answer is lost, while the default branch is mended", steps=tuple(LOST["github"]), hosts=EVERY)
def lost_answer_in_a_listed_fix(run: Run) -> None:
    home, stand = listed(run), run.stand
    look(run)
    stand.quiet()
    method, path = LOST[stand.host.name][run.step]
    lost = run.random.choice((Status(500, after_work=True), Status(502, after_work=True), Abort(after_work=True)))
    if run.step not in ENDING:
        stand.host.world.faults.add(method, path, lost)
    assert open_fix(run).returncode == 0
    if run.step in ENDING:
        stand.wait("a pull request", lambda: stand.host.proposals(home))
        stand.quiet()
        stand.host.world.faults.add(method, path, lost)
        stand.host.commit(home, "main", GONE, "Take it away")
    run.more.append(lambda: (one_end if run.step in ENDING else one_offer)(run, home))
    stand.wait("a lost answer", lambda: not stand.host.world.faults.open)
    run.cured()
