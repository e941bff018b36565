"""`fixwright action`: one event of a GitHub Actions job, judged in that job. `action.yml` calls it; the environment says the rest.

Sources: docs "Variables" (GITHUB_EVENT_PATH and the others), "Workflow commands for GitHub Actions" (annotations, job summaries),
"Automatic token authentication" (the token of a pull request from a fork may only read).
"""

from __future__ import annotations

import argparse
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot import __version__
from bot.cli import OK, UNCHECKED
from bot.cli.processes import alone
from bot.cli.watch import Session, code_of, say, stopped_by_signals
from bot.logs import configure_logs
from bot.settings import read_settings
from bot.wiring import App
from pipeline.errors import NotConfigured, UsageError
from pipeline.escaping import escape
from pipeline.model.event import CommentEvent, CommentRef, Event, MergeGroupEvent, PushEvent
from pipeline.model.ids import CommitId, ReviewId
from pipeline.model.report import Check, Report
from pipeline.model.target import PullRequestRef, UserRef
from pipeline.reports.markdown import render_check
from pipeline.sandbox.workfolder import work_folder
from pipeline.stopping import Stopping
from providers.github.payloads import Moment

LARGEST_EVENT = 25_000_000
"""Bytes; GitHub sends no larger payloads (docs "Webhook events and payloads")."""
MOST_NOTES = 10
"""Annotations of one kind that GitHub shows of a step (docs "Workflow commands": 10 warnings and 10 errors)."""
LARGEST_SUMMARY = 1_000_000
"""Bytes; GitHub drops a job summary beyond 1 MiB."""
READ_ONLY = (
    "The token of this job may only read, as for every pull request from a fork: "
    "this summary stands for the check, the threads and the comment."
)
PULL_REQUEST_TARGET = (
    "pull_request_target gives a job of a fork's pull request your secrets and a token that writes, and Fixwright needs neither"
)
_ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_MORE_ESCAPES = {**_ESCAPES, ":": "%3A", ",": "%2C"}
LEVELS = {"failure": "error", "warning": "warning", "notice": "notice"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Numbered(_Part):
    number: int = Field(gt=0)
    pull_request: object = None


class _User(_Part):
    id: int
    login: str
    type: str = "User"


class _Comment(_Part):
    id: int
    body: str | None = ""
    user: _User
    created_at: Moment
    in_reply_to_id: int | None = None


class _Group(_Part):
    head_sha: str = Field(pattern=r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\z")
    base_sha: str = Field(pattern=r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\z")
    base_ref: str
    head_ref: str


class Payload(_Part):
    """What is used of the job's event; the same shapes as of webhooks."""

    action: str = ""
    pull_request: _Numbered | None = None
    issue: _Numbered | None = None
    comment: _Comment | None = None
    merge_group: _Group | None = None
    ref: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What the runner told this job."""

    event: str
    payload: Payload
    repository: str
    summary: Path | None


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("action", help="judge the event of a GitHub Actions job in that job (what action.yml calls)")
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """1 when the change is blocked, else 3 when it could not be checked, else 0."""
    job = read_job(os.environ)
    settings = read_settings(environment_of(os.environ))
    configure_logs(settings)
    stop = threading.Event()
    with alone(settings) as app, work_folder(), stopped_by_signals(stop):
        try:
            return judge(app, job, stop)
        except Stopping:
            say("the job was stopped")
            return UNCHECKED


def read_job(environment: Mapping[str, str]) -> Job:
    """The job's event. Raises NotConfigured outside of a job, UsageError for an event that is none."""
    missing = [name for name in ("GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_REPOSITORY") if not environment.get(name)]
    if missing:
        raise NotConfigured(
            f"this is no job of GitHub Actions: {missing[0]} is not set", hint="elsewhere, use: fixwright watch OWNER/REPOSITORY"
        )
    name = environment["GITHUB_EVENT_NAME"]
    if name == "pull_request_target":
        raise UsageError(PULL_REQUEST_TARGET, hint="use: on: pull_request")
    path = Path(environment["GITHUB_EVENT_PATH"])
    try:
        if path.stat().st_size > LARGEST_EVENT:
            raise UsageError("the event of this job is too large to be one")
        payload = Payload.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        what = f"{error.errors()[0]['type']}" if isinstance(error, ValidationError) else type(error).__name__
        raise UsageError(f"the event of this job cannot be read ({what})") from None
    summary = environment.get("GITHUB_STEP_SUMMARY", "")
    return Job(name, payload, environment["GITHUB_REPOSITORY"], Path(summary) if summary else None)


def environment_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Our settings from the runner's; what is set as FIXWRIGHT_* goes first."""
    ours = dict(environment)
    ours.setdefault("FIXWRIGHT_GITHUB_TOKEN", environment.get("GITHUB_TOKEN", ""))
    ours.setdefault("FIXWRIGHT_GITHUB_API_URL", environment.get("GITHUB_API_URL", ""))
    ours.setdefault("FIXWRIGHT_STATE_DIR", str(Path(environment.get("RUNNER_TEMP") or "/tmp") / "fixwright"))  # noqa: S108  # the runner's own
    ours["FIXWRIGHT_GITHUB_READ_ONLY_OK"] = "1"
    return ours


def judge(app: App, job: Job, stop: threading.Event) -> int:
    """Do what the event asks for. Raises Stopping."""
    match job.event, job.payload:
        case "pull_request", Payload(pull_request=_Numbered() as pull):
            return _pull_request(app, job, pull.number, stop)
        case "issue_comment", Payload(issue=_Numbered() as issue, comment=_Comment() as comment):
            return _comment(app, job, issue.number, comment, stop, in_thread=False) if issue.pull_request else OK
        case "pull_request_review_comment", Payload(pull_request=_Numbered() as pull, comment=_Comment() as comment):
            return _comment(app, job, pull.number, comment, stop, in_thread=True)
        case "merge_group", Payload(merge_group=_Group() as group):
            return _merge_group(app, job, group, stop)
        case "push", Payload(after=after) if after:
            return _push(app, job, stop)
        case (("schedule" | "workflow_dispatch"), _):
            return Session(app, job.repository, 0, say).once(stop)
    raise UsageError(f"the event '{job.event}' of this job is none that Fixwright judges", hint="see docs/guide/without-an-app.md")


def _pull_request(app: App, job: Job, number: int, stop: threading.Event) -> int:
    session = Session(app, job.repository, number, say)
    code = session.once(stop)
    for review in session.finished():
        _show(app, session, job, review)
    return code


def _comment(app: App, job: Job, number: int, comment: _Comment, stop: threading.Event, *, in_thread: bool) -> int:
    """A command. The job knows nothing of earlier jobs, so that it judges the pull request first.

    Only of a new comment: a workflow without `types` is also started by an edit, which may be somebody else's, and by a deletion. And
    only of a young one: who runs an old job again (docs "Re-running workflows and jobs": for 30 days, with the event of then) runs it in a
    database that has not seen the command, so that its age is all that tells.
    """
    if job.payload.action != "created" or comment.user.type == "Bot":
        return OK
    if not any(line.startswith("/") for line in (comment.body or "").splitlines()):
        return OK
    session = Session(app, job.repository, number, say)
    session.once(stop)
    thread = str(comment.in_reply_to_id or comment.id) if in_thread else ""
    place = CommentRef(PullRequestRef(session.repository, number), str(comment.id), in_thread, thread)
    sender = UserRef(str(comment.user.id), comment.user.login)
    written = comment.created_at.timestamp()
    session.deliver(CommentEvent(session.installation, place, sender, comment.body or "", written=written), f"comment:{comment.id}", stop)
    return OK


def _merge_group(app: App, job: Job, group: _Group, stop: threading.Event) -> int:
    session = Session(app, job.repository, 0, say)
    refs = [ref.removeprefix("refs/heads/") for ref in (group.base_ref, group.head_ref)]
    event = MergeGroupEvent(session.installation, session.repository, CommitId(group.head_sha), CommitId(group.base_sha), refs[0], refs[1])
    return _commit(app, session, job, event, event.head, stop)


def _push(app: App, job: Job, stop: threading.Event) -> int:
    session = Session(app, job.repository, 0, say)
    payload = job.payload
    branch = payload.ref.removeprefix("refs/heads/")
    event = PushEvent(session.installation, session.repository, UserRef("0", ""), branch, CommitId(payload.before), CommitId(payload.after))
    return _commit(app, session, job, event, event.after, stop)


def _commit(app: App, session: Session, job: Job, event: Event, head: CommitId, stop: threading.Event) -> int:
    """Judge a commit that no pull request stands for."""
    session.deliver(event, f"{event.kind}:{head}", stop)
    with app.database.read() as work:
        reviews = [summary.id for summary in work.reviews.of_head(session.repository, head)]
        verdicts = [work.reviews.verdict(review) for review in reviews if work.reviews.get(review).status.value in ("done", "failed")]
    if not session.repository.private and event.kind == "push":
        return OK  # the log of this job is public, what a default branch has is not
    for review in reviews:
        _show(app, session, job, review)
    if event.kind == "merge_group" and not verdicts:
        return UNCHECKED
    return code_of(verdicts)


def _show(app: App, session: Session, job: Job, identifier: ReviewId) -> None:
    """The job summary, and annotations where no check could be written."""
    with app.database.read() as work:
        review, verdict = work.reviews.get(identifier), work.reviews.verdict(identifier)
        source = work.reviews.policy_source(identifier)
    report = Report(verdict, review.change.head, review.change.base, tool_version=__version__, policy_source=source)
    check = render_check(report, session.host.capabilities, key="")
    muted = not session.host.capabilities.writes
    if job.summary is not None:
        write_summary(job.summary, check, muted=muted)
    if muted:
        print("\n".join(workflow_commands(check)), flush=True)


def write_summary(path: Path, check: Check, *, muted: bool) -> None:
    """Add the check's page to the job summary: the same text."""
    parts = [f"## Fixwright: {escape(check.title)}", READ_ONLY if muted else "", check.summary, check.text]
    text = "\n\n".join(part for part in parts if part)
    raw = (text + "\n").encode("utf-8", "replace")[:LARGEST_SUMMARY]
    with path.open("ab") as file:
        file.write(raw.decode("utf-8", "ignore").encode())


def workflow_commands(check: Check) -> list[str]:
    """Annotations as the runner takes them, as many as it shows. Nothing of a repository can end a command or begin one."""
    lines: list[str] = []
    for level, word in LEVELS.items():
        of_level = [annotation for annotation in check.annotations if annotation.level == level]
        for a in of_level[:MOST_NOTES]:
            where = f"file={_escaped(a.path, _MORE_ESCAPES)},line={a.line},endLine={a.end_line},title={_escaped(a.title, _MORE_ESCAPES)}"
            lines.append(f"::{word} {where}::{_escaped(a.message, _ESCAPES)}")
    return lines


def _escaped(text: str, escapes: Mapping[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text.encode("utf-8", "replace").decode())
