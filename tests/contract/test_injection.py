"""Every hostile text through every place of text in every document that leaves: nothing of it is ever acted on.

The places are read from the code. A new renderer, answer or page fails here until it is put to the test.
"""

from __future__ import annotations

import inspect
import io
import json
import logging
import re
import subprocess
import types
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any, get_args

import pytest
from starlette.responses import Response

import pipeline.answers
import pipeline.reports
import pipeline.reports.markdown
from bot.cli.action import workflow_commands, write_summary
from bot.cli.advisory import draft_of
from bot.logs import EventFormatter, Redactor
from bot.pages import setup_views
from bot.pages.links import Outcome
from pipeline.answers import Topic, WaiverTopic
from pipeline.branches import signed_off
from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.model.command import Situation
from pipeline.model.finding import Finding, Judged, Standing, Suppression, SuppressionKind
from pipeline.model.fix import FileEdit, Fix, FixStatus, Patch, Proof, ProofCheck, ProofWord, Receipt
from pipeline.model.ids import CommitId, FindingId, FixId, Handle, RepositoryId, ReviewId
from pipeline.model.report import Check, Report
from pipeline.model.review import Remark, ReviewStatus
from pipeline.model.setup import Granted, SetupForm
from pipeline.plugins import discover
from pipeline.ports import Capabilities, Renderer
from pipeline.reports.markdown import Convention
from pipeline.reports.markdown.check import render_summary
from pipeline.trail import Trail, following
from providers.github.provider import GitHubProvider
from tests.build_reports import HEAD, hostile_report
from tests.hostile_texts import HIDDEN, HOSTILE, HOSTS, HTML, LINKS, TERMINAL
from tests.readers import Page, commit_acts_on, frame, hidden, host_acts_on, terminal_obeys

BENIGN = "plain words"
HOST = Capabilities()
RENDERERS = discover(pipeline.reports, "RENDERER", Renderer)
markdown = pipeline.reports.markdown
answers = pipeline.answers

every_text = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


# --- what is made of a text -----------------------------------------------------------------------------------------------------------


def stood(text: str, kind: SuppressionKind = SuppressionKind.WAIVER, *, expired: bool = False) -> Suppression:
    """Somebody let it stand, and wrote this."""
    return Suppression(kind, text, text, date(2027, 2, 20), expired, date(2026, 11, 22))


def hostile(text: str) -> Report:
    """`hostile_report`, with owners, waivers and a remark on the policy too."""
    made = hostile_report(text)
    blocks, warns = made.verdict.judged
    owned = replace(blocks, scopes=(text,), owners=(text, text))
    waived = [replace(one, standing=Standing.WAIVED, suppression=stood(text, kind)) for one in (blocks, warns) for kind in SuppressionKind]
    verdict = replace(made.verdict, judged=(owned, warns, *waived), remarks=(Remark(".github/fixwright.yml", 3, text),))
    return replace(made, verdict=verdict)


def patch_of(text: str) -> Patch:
    """A patch whose words are hostile."""
    return Patch((FileEdit("app/db.py", b"a\n", b"b\n"),), text, text, text, (text, text))


def proof_of(text: str) -> Proof:
    """A proof that quotes the output of tests."""
    names = ("finding gone", "nothing new", "tests", "broken on purpose")
    return Proof(ProofWord.RESCANNED, (*(ProofCheck(name, True, text) for name in names), ProofCheck("size", None, text)), (text, text))


def refusal_of(text: str) -> Proof:
    """A proof that refuses."""
    return Proof(ProofWord.REFUSED, (ProofCheck("tests", False, text), ProofCheck("parse", False, text)))


def receipt_of(text: str) -> Receipt:
    """A receipt as it is made: JSON around base64."""
    return Receipt(json.dumps({"payload": b64encode(text.encode("utf-8", "surrogateescape")).decode()}).encode(), "sha256:5d0e" + "0" * 60)


def finding_of(text: str) -> Finding:
    """The code engine's."""
    return hostile(text).verdict.judged[0].finding


def fixes_of(text: str) -> list[Fix]:
    """In every state."""
    known = Fix(FixId("f"), RepositoryId("r"), ReviewId("v"), FindingId("i"), Handle("K7Q"), FixStatus.FAILED, error=text, place=text)
    return [replace(known, status=status, proof=proof) for status in FixStatus for proof in (None, refusal_of(text))]


def all_answers(text: str) -> Iterator[str]:
    """Every answer to a command."""
    words = {"asked": text, "command": text, "commands": (text, text), "handle": text, "handles": (text, text), "places": (text, text)}
    made = {"error": text, "receipt": receipt_of(text), "patch": patch_of(text), "finding": finding_of(text), "suggestion": text}
    for topic in get_args(Topic):
        proofs = (None, proof_of(text), refusal_of(text)) if topic in ("refused", "suggestion", "patch", "opened") else (None,)
        for proof in proofs:
            yield answers.render_answer(topic, **words, **made, diff=f"+{text}\n", number=12, proof=proof)  # type: ignore[arg-type]  # by name


def all_waiver_answers(text: str) -> Iterator[str]:
    """Every answer to `/waive` and `/rotated`."""
    for topic in get_args(WaiverTopic):
        for place in ("", text):
            yield answers.render_waiver_answer(topic, handle=text, place=place, until=date(2027, 2, 20), reason=text, handles=(text, text))


def check_of(text: str, **more: Any) -> Check:
    """The settled check."""
    return markdown.render_check(hostile(text), HOST, key="k", details_url=f"https://host.example/{text}", **more)


def of_check(check: Check) -> Iterator[str]:
    """The parts that a host reads as Markdown."""
    yield from (check.summary, check.text)


def all_threads(text: str) -> Iterator[str]:
    """Threads of every finding, with and without a fix, and blocking again."""
    report = hostile(text)
    for judged in report.verdict.judged[:2]:
        for word in (None, *ProofWord):
            yield markdown.render_thread(judged, report, suggestion=text, fix_note=text, word=word)
        yield markdown.render_thread(
            replace(judged, standing=Standing.BLOCKS, suppression=stood(text, expired=True)), report, suggestion=None
        )


def statuses(text: str) -> Iterator[str]:
    """Answers to `/status`."""
    for status in ReviewStatus:
        situation = Situation(CommitId(HEAD), status, 12.0, 3, text)
        yield from (answers.render_status(situation, verdict) for verdict in (None, hostile(text).verdict))


def waived_ones(text: str) -> tuple[Judged, ...]:
    """What somebody let stand."""
    return hostile(text).verdict.standing(Standing.WAIVED)


def summary_of_a_job(text: str) -> str:
    """What `fixwright action` adds to the page of a job."""

    class Memory(io.BytesIO):
        def open(self, mode: str) -> Memory:
            return self

        def close(self) -> None:
            """Read afterwards."""

    file = Memory()
    write_summary(file, check_of(text), muted=True)  # type: ignore[arg-type]  # all that is asked of a path
    return file.getvalue().decode()


def vulnerabilities_of(name: str, text: str) -> Iterator[str]:
    """What GitLab reads as Markdown of a security report."""
    for vulnerability in json.loads(RENDERERS[name].render(hostile(text)))["vulnerabilities"]:
        yield from (vulnerability["description"], vulnerability.get("solution", ""))


def fields_of(name: str, text: str) -> Iterator[str]:
    """What GitLab shows as it is of a report."""
    made = json.loads(RENDERERS[name].render(hostile(text)))
    if name == "codequality":
        yield from (entry["description"] for entry in made)
    else:
        yield from (vulnerability["name"] for vulnerability in made["vulnerabilities"])
        yield from (message["value"] for message in made["scan"]["messages"])


MARKDOWN: Mapping[str, Callable[[str], Iterator[str]]] = {
    "render_answer": all_answers,
    "render_button_refused": lambda text: iter([answers.render_button_refused(text)]),
    "render_check": lambda text: of_check(check_of(text)),
    "render_comment": lambda text: iter(
        markdown.render_comment(hostile(text), limits, since=text, check_url=f"https://host.example/{text}")
        for limits in (HOST, Capabilities(check_pages=False))
    ),
    "render_confided": lambda text: iter(
        markdown.render_confided(hostile(text).verdict.judged * 9, hostile(text), limits)
        for limits in (HOST, Capabilities(max_body=2_000, pull_request_word="merge request"))
    ),
    "render_failed": lambda text: of_check(markdown.render_failed(text, key="k", hint=text)),
    "render_fixes": lambda text: iter([answers.render_fixes(fixes_of(text), left=3)]),
    "render_help": lambda text: iter([answers.render_help([(text, text)])]),
    "render_progress": lambda text: of_check(markdown.render_progress(key="k", details_url=text)),
    "render_pull_request_body": lambda text: iter(
        markdown.render_pull_request_body(finding_of(text), patch_of(text), proof_of(text), receipt, capabilities=HOST)
        for receipt in (None, receipt_of(text))
    ),
    "render_status": statuses,
    "render_summary": lambda text: iter(
        [render_summary(hostile(text), 5_000, shown=(), total=9, details_url=f"https://host.example/{text}")]
    ),
    "render_thread": all_threads,
    "render_waive_lines": lambda text: iter([answers.render_waive_lines(waived_ones(text), date(2027, 2, 20))]),
    "render_waived": lambda text: iter(markdown.render_waived(one) for one in waived_ones(text)),
    "render_waiver_answer": all_waiver_answers,
    "render_withdrawn": lambda text: of_check(markdown.render_withdrawn(text, key="k")),
    "draft of an advisory": lambda text: iter([draft_of(finding_of(text), (finding_of(text),) * 60).description]),
    "summary of a job": lambda text: iter([summary_of_a_job(text)]),
    "format gitlab-sast": lambda text: vulnerabilities_of("gitlab-sast", text),
    "format gitlab-secrets": lambda text: vulnerabilities_of("gitlab-secrets", text),
    "format markdown": lambda text: iter([RENDERERS["markdown"].render(hostile(text)).decode()]),
}
"""Everything that a host reads as Markdown."""

TITLES: Mapping[str, Callable[[str], Iterator[str]]] = {
    "render_annotations": lambda text: (part for a in markdown.render_annotations(hostile(text)) for part in (a.title, a.message)),
    "render_check": lambda text: iter([check_of(text).title]),
    "render_failed": lambda text: iter([markdown.render_failed(text, key="k").title]),
    "render_withdrawn": lambda text: iter([markdown.render_withdrawn(text, key="k").title]),
    "draft of an advisory": lambda text: iter([draft_of(finding_of(text), ()).summary]),
    "format codequality": lambda text: fields_of("codequality", text),
    "fields of gitlab-sast": lambda text: fields_of("gitlab-sast", text),
    "fields of gitlab-secrets": lambda text: fields_of("gitlab-secrets", text),
}
"""What a host shows as it is, on one line: titles, and the description of a status, which is the check's title."""

COMMITS: Mapping[str, Callable[[str], Iterator[str]]] = {
    "render_commit_message": lambda text: iter([markdown.render_commit_message(text, patch_of(text))]),
    "render_fix_title": lambda text: (
        markdown.render_fix_title(finding_of(text), patch, convention)
        for convention in (*Convention, markdown.detect_style([f"{text}: a"]))
        for patch in (patch_of(text), replace(patch_of(text), title=""))
    ),
}
"""Messages of commits, titles of pull requests: a host acts on them, and there is no way to escape."""


def _renderers() -> set[str]:
    """Names of all functions that make a text for a host."""
    exported = {name for name in markdown.__all__ if name.startswith("render_")}
    return exported | {name for name, one in vars(answers).items() if name.startswith("render_") and inspect.isfunction(one)}


PLAIN_TO_ALL = (
    *("attribute", "single quote"),  # are for pages
    *("skip trailer", "breaking footer"),  # git's own reader judges those
    "our receipt",  # is made of what we write ourselves: the frame of a document judges it
    *("combining", "odd blanks"),  # can be seen
)


def test_the_readers_see_what_is_hostile() -> None:
    """They do where nothing is escaped: otherwise the tests below would pass with any text."""
    blind = {name for name, text in {**HTML, **LINKS}.items() if not host_acts_on(text)}
    blind |= {name for name, text in HOSTS.items() if not (host_acts_on(text) or commit_acts_on(text))}
    blind |= {name for name, text in {**TERMINAL, **HIDDEN}.items() if not hidden(text, "")}
    assert blind == {*PLAIN_TO_ALL}


def test_every_renderer_is_put_to_the_test() -> None:
    assert _renderers() - {*MARKDOWN, *TITLES, *COMMITS} == set()
    assert len(HOSTILE) >= 60
    assert len({*HOSTILE.values()}) == len(HOSTILE)


# --- the code host --------------------------------------------------------------------------------------------------------------------


@every_text
def test_a_host_acts_on_no_hostile_text(text: str) -> None:
    acted = {}
    for name, make in MARKDOWN.items():
        whole = "\n\n".join(make(text))
        if found := host_acts_on(whole, ours=("CWE-89", *(("#12",) if name == "render_answer" else ()))):
            acted[name] = found, next((made for made in make(text) if host_acts_on(made)), whole)[:500]
    assert acted == {}


@pytest.mark.parametrize("name", ["render_check", "render_pull_request_body", "draft of an advisory"])
def test_no_text_breaks_a_table_or_a_fold(name: str) -> None:
    plain = [frame(made) for made in MARKDOWN[name](BENIGN)]
    broken = [called for called, text in HOSTILE.items() if [frame(made) for made in MARKDOWN[name](text)] != plain]
    assert broken == []


def test_a_title_is_one_line_of_what_can_be_seen() -> None:
    for text in HOSTILE.values():
        for name, make in TITLES.items():
            assert [found for title in make(text) if (found := hidden(title, ""))] == [], name


def test_no_commit_and_no_title_of_ours_tells_links_closes_or_skips() -> None:
    for text in HOSTILE.values():
        for name, make in COMMITS.items():
            assert [found for message in make(text) if (found := commit_acts_on(message))] == [], name


def test_git_reads_no_trailer_from_a_message() -> None:
    messages = [message for text in HOSTILE.values() for message in COMMITS["render_commit_message"](text)]
    read = [
        subprocess.run(["git", "interpret-trailers", "--parse"], input=message.encode(), capture_output=True, check=True).stdout
        for message in messages
        if ":" in message or "#" in message
    ]
    assert len(read) > 20
    assert set(read) == {b""}


def test_a_person_who_signs_off_is_the_only_trailer() -> None:
    message = signed_off(markdown.render_commit_message("bind name", patch_of("Co-authored-by: x <y@z>")), "A", "a@b.example")
    read = subprocess.run(["git", "interpret-trailers", "--parse"], input=message.encode(), capture_output=True, check=True).stdout
    assert read == b"Signed-off-by: A <a@b.example>\n"


# --- documents ------------------------------------------------------------------------------------------------------------------------


def test_a_document_on_a_terminal_obeys_nothing_and_forges_no_line() -> None:
    for text in HOSTILE.values():
        made = RENDERERS["text"].render(hostile(text)).decode()
        assert terminal_obeys(made) == []
        later = {line.strip() for line in text.splitlines()[1:]} - {""}
        assert later & {line.strip() for line in made.splitlines()} == set()


def test_json_holds_the_text_itself_and_nothing_of_it_is_json() -> None:
    for text in HOSTILE.values():
        made = json.loads(RENDERERS["json"].render(hostile(text)))
        plain = json.loads(RENDERERS["json"].render(hostile(BENIGN)))
        assert _shape(made) == _shape(plain)


def _shape(value: Any) -> Any:
    """A JSON document without its texts and numbers."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    return [_shape(inner) for inner in value] if isinstance(value, list) else None


def test_sarif_has_no_link_and_no_address_of_theirs() -> None:
    for text in HOSTILE.values():
        made = RENDERERS["sarif"].render(hostile(text)).decode()
        log = json.loads(made)
        messages = list(_texts(log["runs"]))
        assert messages
        for message in messages:
            assert hidden(message, "") == []
            assert "](" not in message
        for address in re.findall(r'"uri": "([^"]*)"', made):
            assert re.fullmatch(r"[A-Za-z0-9%/._~-]+", address)


def _texts(value: Any) -> Iterator[str]:
    """Texts that a reader of SARIF shows."""
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in ("text", "justification") and isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner)


@pytest.mark.parametrize("name", ["codequality", "gitlab-sast", "gitlab-secrets"])
def test_a_report_for_gitlab_holds_paths_as_they_are_and_nothing_of_a_text_is_json(name: str) -> None:
    plain = _shape(json.loads(RENDERERS[name].render(hostile(BENIGN))))
    for text in filter(None, HOSTILE.values()):
        made = json.loads(RENDERERS[name].render(hostile(text)))
        assert _shape(made) == plain
        first = made[0] if name == "codequality" else made["vulnerabilities"][0]
        path = text.replace("\0", "")
        assert first["location"].get("path", first["location"].get("file")) in (path, visible(path))


def test_every_format_is_put_to_the_test() -> None:
    assert set(RENDERERS) == {"text", "json", "sarif", "markdown", "codequality", "gitlab-sast", "gitlab-secrets"}


def test_no_text_ends_a_workflow_command_or_begins_one() -> None:
    for text in HOSTILE.values():
        check = check_of(text)
        lines = workflow_commands(check)
        assert len(lines) == len(check.annotations)
        for line in lines:
            properties, message = re.fullmatch(r"::(?:error|warning|notice) ([^:]*)::([^\r\n]*)", line).groups()  # type: ignore[union-attr]  # None fails
            assert [part.partition("=")[0] for part in properties.split(",")] == ["file", "line", "endLine", "title"]
            assert hidden(line, "") == []
            assert "%0A" not in message.replace("%250A", "")


# --- logs -----------------------------------------------------------------------------------------------------------------------------


def _logged(text: str, *, as_json: bool) -> str:
    formatter = EventFormatter(Redactor(), as_json=as_json)
    record = logging.LogRecord("bot.test", logging.WARNING, "", 0, "message.failed", (), None)
    record.path, record.code = text, text
    with following(Trail(text, 0.0, text, text)):
        return formatter.format(record)


def test_a_line_of_the_log_is_one_line_with_its_own_fields() -> None:
    for text in HOSTILE.values():
        line = _logged(text, as_json=False)
        assert hidden(line, "") == []
        plain = r"[^\s'\"]+"
        quoted = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
        pattern = rf"\S+ warning message\.failed((?: (?:delivery_id|message_id|review_id|path|code|logger)=(?:{quoted}|{plain}))+)"
        found = re.fullmatch(pattern, line)
        assert found is not None, line
        names = re.findall(rf" (\w+)=(?:{quoted}|{plain})", found[1])
        assert sorted(set(names)) == sorted(names)


def test_a_json_line_of_the_log_is_one_object_with_its_own_fields() -> None:
    for text in HOSTILE.values():
        line = _logged(text, as_json=True)
        assert hidden(line, "") == []
        found = json.loads(line)
        assert set(found) - {"delivery_id", "message_id", "review_id"} == {"time", "level", "event", "logger", "path", "code"}
        assert (found["level"], found["event"], found["logger"]) == ("warning", "message.failed", "bot.test")


# --- pages ----------------------------------------------------------------------------------------------------------------------------

SETUP = GitHubProvider().setup


def pages(text: str) -> Mapping[str, Response]:
    """Every page, with this text wherever somebody outside can have a say."""
    assert SETUP is not None
    given = {question.name: text or BENIGN for question in SETUP.questions} | {"public_url": text}
    form = SetupForm("https://github.com/settings/apps/new", {"manifest": text}, text, text, (Granted(text, text, text),))
    wrong = UsageError(text, hint=text)
    return {
        "opening": setup_views.opening(SETUP, text),
        "questions": setup_views.questions("github", SETUP, given, wrong),
        "review": setup_views.review(SETUP, form, text, text, unreachable=True),
        "done": setup_views.done("github", SETUP, Outcome(text, text, "https://github.com/apps/x/installations/new"), text, doubt=wrong),
        "installed": setup_views.installed("github", SETUP),
        "closed": setup_views.closed(["fixwright github setup-link"], configured=True, used=True),
        "trouble": setup_views.trouble(text, text, text, 403),
    }


def test_every_page_is_put_to_the_test() -> None:
    functions = {
        name
        for name, one in vars(setup_views).items()
        if isinstance(one, types.FunctionType)
        and one.__module__ == setup_views.__name__
        and one.__annotations__.get("return") == "Response"
    }
    assert set(pages(BENIGN)) == functions


def test_no_text_becomes_an_element_or_an_attribute_of_a_page() -> None:
    plain = {name: Page(bytes(response.body).decode()).elements for name, response in pages(BENIGN).items()}
    for text in HOSTILE.values():
        for name, response in pages(text).items():
            made = Page(bytes(response.body).decode())
            assert made.elements == plain[name], name
            assert all(lead.startswith(("https://github.com/", "/setup", "data:,")) for lead in made.leads), name
