"""The check run `Fixwright`.

Sources: docs REST "Check runs" (50 annotations a request, which append; 65,535 characters in summary and text; three actions of
20, 40 and 20 characters, shown only on a completed run), "Using the REST API to interact with checks".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipeline.errors import HostNotFound
from pipeline.markers import same_text
from pipeline.model.report import Annotation, Check, CheckRef, CheckState
from pipeline.model.target import CommitRef
from pipeline.ports import Capabilities
from providers.github.api import Api, cut, repository_path
from providers.github.auth import CHECK
from providers.github.client import Answer, Json

log = logging.getLogger(__name__)

CHECK_NAME = "Fixwright"
"""What people see and what branch protection asks for; never changes."""
ANNOTATION_BODY = 64 * 1024
"""Bytes in an annotation's message."""
ACTION_LABEL, ACTION_DESCRIPTION, ACTION_IDENTIFIER = 20, 40, 20
"""Characters."""

_Place = tuple[str, int, int, str, str, str]


class OutputAnswer(Answer):
    """`output` of a check run."""

    annotations_count: int = 0
    title: str | None = ""
    summary: str | None = ""
    text: str | None = ""


class CheckRunAnswer(Answer):
    """A check run."""

    id: int
    external_id: str | None = None
    status: str = ""
    conclusion: str | None = None
    output: OutputAnswer = OutputAnswer()


class AnnotationAnswer(Answer):
    """An annotation as it is read back."""

    path: str
    start_line: int
    end_line: int
    annotation_level: str | None = ""
    title: str | None = ""
    message: str | None = ""


def ensure_check(api: Api, commit: CommitRef, check: Check, limits: Capabilities, known: CheckState | None = None) -> CheckRef:
    """Make or edit the check run whose `external_id` is `check.key`.

    A run that was completed is not set back to in progress, and annotations cannot be taken away: in both cases a new run of the same
    name and key takes its place, as GitHub advises; pages and branch protection look at the newest. Annotations go out first and the
    conclusion with the last batch, so that a crash half-way leaves a run in progress and never a finished one with half its content.
    """
    if known is not None:
        try:
            return _write_known(api, commit, check, limits, known)
        except HostNotFound:
            log.info("github.check_gone", extra={"run": known.id})  # GitHub deletes all but the newest 1,000 of a name
    existing = _find(api, commit, check.key)
    wanted = [_sent(annotation, limits) for annotation in check.annotations]
    there: list[_Place] = []
    if existing is not None and existing.output.annotations_count:
        there = _read_back(api, commit, existing.id)
    if existing is not None and _needs_new_run(existing, check, wanted, there):
        existing, there = None, []
    missing = _missing(wanted, there)
    if existing is not None and not missing and _is_already(existing, check, limits):
        return CheckRef(commit.commit, str(existing.id))
    return _write_all(api, commit, existing, check, missing, limits)


def _write_known(api: Api, commit: CommitRef, check: Check, limits: Capabilities, known: CheckState) -> CheckRef:
    """Write without a look. Raises HostNotFound when the run is not there any more."""
    run = CheckRunAnswer(id=int(known.id), external_id=check.key, status="in_progress") if known.id.isdigit() else None
    return _write_all(api, commit, run, check, [_sent(annotation, limits) for annotation in check.annotations], limits)


def _write_all(
    api: Api, commit: CommitRef, run: CheckRunAnswer | None, check: Check, missing: Sequence[Json], limits: Capabilities
) -> CheckRef:
    """One request for each batch of annotations, at least one."""
    size = limits.annotations
    written = _write(api, commit, run, check, missing[:size], limits, last=len(missing) <= size)
    for at in range(size, len(missing), size):
        written = _write(api, commit, written, check, missing[at : at + size], limits, last=at + size >= len(missing))
    return CheckRef(commit.commit, str(written.id))


def _write(
    api: Api, commit: CommitRef, run: CheckRunAnswer | None, check: Check, batch: Sequence[Json], limits: Capabilities, *, last: bool
) -> CheckRunAnswer:
    """One request with one batch of annotations: make the run, or edit it."""
    body = _body(check, batch, limits, finish=last or (run is not None and run.status == "completed"))
    if run is None:
        created = {"name": CHECK_NAME, "head_sha": commit.commit, "external_id": check.key, **body}
        return api.send(commit.repository, CHECK, "POST", repository_path(commit.repository, "check-runs"), created, CheckRunAnswer)
    address = repository_path(commit.repository, "check-runs", run.id)
    return api.send(commit.repository, CHECK, "PATCH", address, body, CheckRunAnswer)


def _find(api: Api, commit: CommitRef, key: str) -> CheckRunAnswer | None:
    """The newest run of ours with that key."""
    app_id = api.sign_in.app_id
    query: dict[str, str | int] = {"check_name": CHECK_NAME, "filter": "all", "per_page": 100}
    if app_id.isdigit():  # a client id may stand in for the number, and is no filter
        query["app_id"] = app_id
    address = repository_path(commit.repository, "commits", commit.commit, "check-runs", **query)
    runs = api.pages(commit.repository, CHECK, address, CheckRunAnswer, inside="check_runs")
    return max((run for run in runs if run.external_id == key), key=lambda run: run.id, default=None)


def _needs_new_run(existing: CheckRunAnswer, check: Check, wanted: Sequence[Json], there: Sequence[_Place]) -> bool:
    """True when the existing run cannot become the wanted one."""
    if existing.status == "completed" and check.conclusion is None:
        return True
    return bool(set(there) - {_place(item) for item in wanted})


def _is_already(run: CheckRunAnswer, check: Check, limits: Capabilities) -> bool:
    """True when the run says all that is wanted, so that nothing has to be written."""
    if run.conclusion != (None if check.conclusion is None else check.conclusion.value):
        return False
    return (
        same_text(run.output.title, cut(check.title, limits.max_title))
        and same_text(run.output.summary, cut(check.summary, limits.max_body))
        and same_text(run.output.text, cut(check.text, limits.max_body))
    )


def _read_back(api: Api, commit: CommitRef, run: int) -> list[_Place]:
    """What was sent before a crash or by an earlier call: GitHub's own list, not our memory of it."""
    address = repository_path(commit.repository, "check-runs", run, "annotations", per_page=100)
    return [
        _place({**annotation.model_dump(), "title": annotation.title or "", "message": annotation.message or ""})
        for annotation in api.pages(commit.repository, CHECK, address, AnnotationAnswer)
    ]


def _missing(wanted: Sequence[Json], there: Sequence[_Place]) -> list[Json]:
    """What is still to be sent, in order. Equal annotations count: two wanted and one there leaves one."""
    left = list(there)
    missing: list[Json] = []
    for item in wanted:
        place = _place(item)
        if place in left:
            left.remove(place)
        else:
            missing.append(item)
    return missing


def _place(item: Json) -> _Place:
    """Identity of an annotation. Blanks do not count: GitHub may trim them."""
    return (
        str(item["path"]),
        int(str(item["start_line"])),
        int(str(item["end_line"])),
        str(item["annotation_level"]),
        " ".join(str(item["title"]).split()),
        " ".join(str(item["message"]).split()),
    )


def _sent(annotation: Annotation, limits: Capabilities) -> Json:
    """An annotation as GitHub takes it: no lone surrogates, so that it compares equal when it is read back."""
    first = max(1, annotation.line)
    return {
        "path": annotation.path.encode("utf-8", "replace").decode(),
        "start_line": first,
        "end_line": max(first, annotation.end_line),
        "annotation_level": annotation.level,
        "title": cut(annotation.title.encode("utf-8", "replace").decode(), limits.max_title),
        "message": cut(annotation.message.encode("utf-8", "replace").decode() or annotation.title, ANNOTATION_BODY),
    }


def _body(check: Check, batch: Sequence[Json], limits: Capabilities, *, finish: bool) -> dict[str, object]:
    """State and output of one request. The conclusion is said only with the last batch."""
    output: dict[str, object] = {"title": cut(check.title, limits.max_title), "summary": cut(check.summary, limits.max_body)}
    if check.text:
        output["text"] = cut(check.text, limits.max_body)
    if batch:
        output["annotations"] = list(batch)
    body: dict[str, object] = {"output": output}
    if check.details_url:
        body["details_url"] = check.details_url
    if check.conclusion is None or not finish:
        return {**body, "status": "in_progress"}
    actions = [
        {
            "label": action.label[:ACTION_LABEL],
            "description": action.description[:ACTION_DESCRIPTION],
            "identifier": action.identifier[:ACTION_IDENTIFIER],
        }
        for action in check.actions[: limits.buttons]
    ]
    return {**body, "status": "completed", "conclusion": check.conclusion.value, **({"actions": actions} if actions else {})}
