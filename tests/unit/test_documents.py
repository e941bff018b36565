"""The documents are true: links lead somewhere, commands and options exist, what is listed is what is there."""

from __future__ import annotations

import argparse
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline.commands
import pipeline.reports
from bot import __version__
from bot.cli import make_parser
from bot.duties import CHECKS_SECONDS, RECONCILE_SECONDS
from bot.jobs import PROBE_SECONDS, SWEEP_SECONDS
from bot.worker import ANSWER_ATTEMPTS, ATTEMPTS, BACKOFF, RENEW_SECONDS
from pipeline.plugins import discover
from pipeline.ports import Command, Renderer
from pipeline.stages.heads import AN_HOUR
from pipeline.store.host_memory import HELD_SECONDS
from pipeline.store.outbox import LEASE_SECONDS, MAX_CRASHES
from pipeline.triage import intent, proof
from tests.faults.matrix import ANY, KILLED
from tests.faults.table import BEGIN, END

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RECORDS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
PARSER = make_parser()

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def _text(path: Path) -> str:
    return path.read_text("utf-8")


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The subcommands of a parser. argparse has no public way to list them."""
    return {
        name: sub for action in parser._actions if isinstance(action, argparse._SubParsersAction) for name, sub in action.choices.items()
    }


COMMANDS = _actions(PARSER)


# --- links ----------------------------------------------------------------------------------------------------------------------------


def _links(document: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", _text(document), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    yield from re.findall(r"\[[^\]\n]*\]\(([^)\s]+)\)", text)


@every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    lost = []
    for link in _links(document):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        place = (document.parent / target).resolve() if target else document
        if not place.is_relative_to(ROOT) or not place.exists() or (anchor and anchor not in _anchors(place)):
            lost.append(link)
    assert lost == []


def _anchors(document: Path) -> set[str]:
    """GitHub's names of headings: lower case, blanks to hyphens, other punctuation dropped."""
    headings = re.findall(r"^#+ (.+)$", _text(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_is_reached_from_the_first_page() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached or document.suffix != ".md":
            continue
        reached.add(document)
        waiting += [(document.parent / link.partition("#")[0]).resolve() for link in _links(document) if not link.startswith("https://")]
    assert [path.relative_to(ROOT).as_posix() for path in DOCUMENTS if path not in reached] == []


# --- commands -------------------------------------------------------------------------------------------------------------------------


@every_document
def test_every_command_that_is_named_exists(document: Path) -> None:
    named = re.findall(r"`fixwright ([a-z]+)\b(?: ([a-z]+(?:-[a-z]+)*)\b)?", _text(document))
    unknown = [(word, part) for word, part in named if word not in COMMANDS or not _takes(COMMANDS[word], part)]
    assert unknown == []


def _takes(parser: argparse.ArgumentParser, part: str) -> bool:
    """Whether `part` can stand behind a command: an action of it when it has actions."""
    choices = set(_actions(parser)) or {str(c) for a in parser._actions if not a.option_strings and a.choices for c in a.choices}
    return not part or not choices or part in choices


def _console(document: Path) -> Iterator[str]:
    """The command lines of `console` blocks that call our program."""
    for block in re.findall(r"```console\n(.*?)```", _text(document), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ fixwright "):
                yield line.removeprefix("$ fixwright ")


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    for end in (">", "&", "|"):
        words = words[: words.index(end)] if end in words else words
    return words


SHOWN = [(document, line) for document in DOCUMENTS for line in _console(document)]


@pytest.mark.parametrize(("document", "line"), SHOWN, ids=[f"{document.stem}: {line}" for document, line in SHOWN])
def test_every_command_line_that_is_shown_is_understood(document: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        parsed = PARSER.parse_args(_words(line))
    except SystemExit:
        pytest.fail(f"{document.name}: fixwright {line}\n{capsys.readouterr().err}")
    assert callable(parsed.run)


def test_there_are_enough_examples() -> None:
    """The parametrised test above would pass with none."""
    assert len(SHOWN) > 20
    assert {"scan", "fix", "prove", "verify", "engines", "up", "local", "doctor", "keys"} <= {line.split()[0] for _, line in SHOWN}


def test_every_command_has_a_place_in_the_guide() -> None:
    guide = "".join(_text(path) for path in (ROOT / "docs" / "guide").glob("*.md"))
    assert [name for name in COMMANDS if f"fixwright {name}" not in guide] == []


def test_every_option_of_the_main_commands_is_described() -> None:
    page = _text(ROOT / "docs" / "guide" / "command-line.md")
    options = {
        option
        for name in ("scan", "fix", "prove", "verify", "engines")
        for action in COMMANDS[name]._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }
    assert {option for option in options if option not in page} == set()


@every_document
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", _text(ROOT / "Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ )make ([a-z]+)", _text(document), re.MULTILINE))
    assert named <= targets


# --- what is listed -------------------------------------------------------------------------------------------------------------------


def test_every_slash_command_has_its_section_and_none_is_invented() -> None:
    page = _text(ROOT / "docs" / "reference" / "commands.md")
    found = discover(pipeline.commands, "COMMAND", Command)
    assert re.findall(r"^## `(.+)`$", page, re.MULTILINE) == [command.usage for command in found.values()]


def test_the_gate_is_described_check_by_check_in_its_order() -> None:
    page = _text(ROOT / "docs" / "guide" / "fixes.md").partition("## The gate")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z ]+) \| (.+) \|$", page, re.MULTILINE)[1:]
    assert [name for name, _ in rows] == list(proof.ORDER)
    asked = dict(rows)
    assert f"at most {intent.MAX_FILES} files and {intent.MAX_LINES} lines" in asked[proof.SIZE]


def test_every_report_format_is_described() -> None:
    page = _text(ROOT / "docs" / "reference" / "formats.md")
    found = discover(pipeline.reports, "RENDERER", Renderer)
    assert {name for name, renderer in found.items() if f"| `{name}` | `{renderer.media_type.partition(';')[0]}` |" not in page} == set()


ROUTES = {"device", "docs", "healthz", "me", "metrics", "readyz", "redoc", "repositories", "setup", "webhooks"}
"""First steps of our web addresses, which look like commands."""


def test_no_document_offers_a_slash_command_that_does_not_exist() -> None:
    known = set(discover(pipeline.commands, "COMMAND", Command))
    for document in DOCUMENTS:
        offered = set(re.findall(r"`/([a-z]+)(?: [A-Z0-9\[\]]+)?`", _text(document)))
        assert offered - known - ROUTES == set(), document.name


@every_document
def test_every_file_that_is_named_is_there(document: Path) -> None:
    named = set(re.findall(r"`((?:bot|providers|pipeline|tests|docs|benchmarks)/[\w./-]+)`", _text(document)))
    assert [name for name in named if not re.search("NAME|LANGUAGE", name) and not (ROOT / name).exists()] == []


def test_decision_records_are_numbered_and_listed() -> None:
    assert [path.name[:4] for path in RECORDS] == [f"{number + 1:04}" for number in range(len(RECORDS))]
    index = _text(ROOT / "docs" / "decisions" / "README.md")
    assert [path.name for path in RECORDS if f"]({path.name})" not in index] == []


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_record_has_its_three_parts_in_order(record: Path) -> None:
    text = _text(record)
    assert text.startswith(f"# {record.name[:4]}: ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequence"]


def test_the_changelog_knows_this_version() -> None:
    assert re.search(rf"^## .*\b{re.escape(__version__)}\b", _text(ROOT / "CHANGELOG.md"), re.MULTILINE)
    project = tomllib.loads(_text(ROOT / "pyproject.toml"))["project"]
    assert project["version"] == __version__
    assert all((ROOT / name).stat().st_size > 100 for name in project["license-files"])


# --- what is promised -----------------------------------------------------------------------------------------------------------------


def _spoken(seconds: float) -> str:
    """As a person writes it: `30 s`, `2 min`, `1 h`."""
    for size, word in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {word}"
    return f"{seconds:g} s"


def test_the_numbers_of_reliability_are_those_of_the_code() -> None:
    page = _text(ROOT / "docs" / "reliability.md")
    rows = dict(re.findall(r"^\| ([a-z ]+) \| .* \| (.*) \|$", page, re.MULTILINE))
    assert rows["leases"] == f"{LEASE_SECONDS:g} s, renewed every {RENEW_SECONDS:g} s, swept every {SWEEP_SECONDS:g} s"
    assert HELD_SECONDS == LEASE_SECONDS, "a lock is free as soon as the message is"
    schedule = ", ".join(_spoken(seconds) for seconds in BACKOFF)
    assert rows["retries"] == f"after {schedule}; what a host waits for: {ANSWER_ATTEMPTS - ATTEMPTS} times more, hourly"
    assert rows["waiting for a host"] == f"every {_spoken(PROBE_SECONDS)}"
    assert rows["dead letters"] == f"after {MAX_CRASHES} crashes"
    assert rows["checks left behind"] == f"looked for every {_spoken(CHECKS_SECONDS)}"
    assert (RECONCILE_SECONDS, AN_HOUR) == (3_600.0, 5_000 // 5)
    assert rows["reconciliation"] == "every hour and at each start, within a fifth of the rate budget"
    assert f"within {KILLED:.0f} seconds" in page
    assert f"within {ANY:.0f} seconds" in page


def test_the_table_of_faults_has_its_place() -> None:
    page = _text(ROOT / "docs" / "reliability.md")
    section = page.partition("## The table\n")[2].partition("\n## ")[0]
    assert (section.count(BEGIN), section.count(END)) == (1, 1)
    assert section.index(BEGIN) < section.index(END)


def test_every_event_that_operation_names_is_logged_somewhere() -> None:
    page = _text(ROOT / "docs" / "operations.md")
    source = "".join(path.read_text("utf-8") for folder in ("bot", "pipeline", "providers") for path in (ROOT / folder).rglob("*.py"))
    told = re.findall(r"^\| (`[a-z]+\.[a-z_]+`(?:, `[a-z]+\.[a-z_]+`)*) \|", page, re.MULTILINE)
    told += re.findall(r"logs? (`[a-z]+\.[a-z_]+`(?:, `[a-z]+\.[a-z_]+`)*)", page)
    named = {name for group in told for name in re.findall("`([^`]+)`", group)}
    assert len(named) > 20
    assert {name for name in named if f'"{name}"' not in source} == set()


PRINTED = {
    "no worker process lives": "no {kind} process lives",
    "no relay process lives": "no {kind} process lives",
    "scans wait: ... MB free": "scans wait: {free}",
    "semgrep is not installed": "{engine.name} is not installed",
    "N messages wait, the oldest for ...": "messages wait, the oldest for ",
    "deliveries are refused: ...": "deliveries are refused: {reason}",
    "has another webhook secret": "has another webhook secret",
    "deliveries wait in files for the database": "deliveries wait in files for the database",
    "... files of kept deliveries could not be taken as a whole": "files of kept deliveries could not be taken as a whole",
    "the database does not do its work: ...": "the database does not do its work: {",
    "the queue does not answer (Redis does not answer)": "the queue does not answer ({queue})",
    "Redis takes no work:": "Redis takes no work: {",
    "has not granted ...": "has not granted {",
    "... does not answer: N messages wait for it": "does not answer: {retried.count} messages wait for it",
    "cannot be opened with this FIXWRIGHT_SECRET_KEY": "cannot be opened with this FIXWRIGHT_SECRET_KEY",
    "there is no database in the state folder ...": "there is no database in the state folder {",
    "the state folder ... cannot be used": "the state folder {folder} cannot be used",
    "N troubles at the last hourly look": " at the last hourly look",
    "the credential ends on ...": "ends on {at:",
    "GitHub's clock is N s ahead of ours": "GitHub's clock is {abs(skew):.0f} s ",
}
"""What the table of the night quotes, and how the code prints it."""


@pytest.mark.parametrize("quoted", PRINTED)
def test_the_night_table_quotes_what_is_printed(quoted: str) -> None:
    page = _text(ROOT / "docs" / "operations.md").partition("## At three in the morning")[2]
    source = "".join(path.read_text("utf-8") for folder in ("bot", "providers", "pipeline/store") for path in (ROOT / folder).rglob("*.py"))
    assert f"`{quoted}`" in page
    assert PRINTED[quoted] in source


# --- how it is said -------------------------------------------------------------------------------------------------------------------


@every_document
def test_a_document_begins_with_its_title_and_has_no_emoji(document: Path) -> None:
    text = _text(document)
    assert re.match(r"# \S", text)
    assert len(re.findall(r"^# ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)) == 1
    assert not re.search("[\U0001f300-\U0001faff☀-➿]", text)


def test_the_first_page_fits_its_purpose() -> None:
    text = _text(ROOT / "README.md")
    assert len(text.splitlines()) <= 110
    assert text.index("make demo") < 1200, "the first command stands on the first screen"
    assert "make test" in text
