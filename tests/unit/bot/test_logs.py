"""Logs: one line an event, nothing secret in it, nothing that moves a terminal or forges another line."""

from __future__ import annotations

import ast
import base64
import json
import logging
import re
import secrets
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bot
import pipeline
import providers
from bot.logs import EventFormatter, Redactor, known_secrets
from pipeline.trail import Trail, following

RESERVED = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime"}
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
LETTERS = string.ascii_letters + string.digits


def _random(length: int, letters: str = LETTERS) -> str:
    return "".join(secrets.choice(letters) for _ in range(length))


def _pem(kind: str = "RSA ") -> tuple[str, str]:
    """Text, and a part of it that must not be seen."""
    body = "\n".join(_random(64) for _ in range(5))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----", body.split("\n")[3]


def _canaries() -> Iterator[tuple[str, str, str]]:
    """Name, text in which it stands, and what must not be seen of it. Made here: this file holds no secret."""
    for prefix in ("ghp", "gho", "ghu", "ghs", "ghr"):
        value = _random(36)
        yield f"{prefix}, old form", f"token {prefix}_{value} refused", value
    parts = [_random(40), _random(300, LETTERS + "-_"), _random(160, LETTERS + "-_")]
    for number, part in enumerate(parts):
        yield f"ghs, new form, part {number}", f"ghs_1234567_{'.'.join(parts)}", part[-20:]
    value = _random(60, LETTERS + "_")
    yield "fine-grained", f"github_pat_{value}", value
    for prefix in ("glpat", "gldt", "glrt", "glptt", "glcbt", "glft"):
        value = _random(20, LETTERS + "-_")
        yield prefix, f"x {prefix}-{value} y", value
    key = _random(16, string.ascii_uppercase + string.digits)
    yield "AWS key", f"AKIA{key}", key
    token = ".".join(
        base64.urlsafe_b64encode(text.encode()).decode().strip("=") for text in ('{"alg":"RS256"}', '{"iss":"12345"}', _random(90))
    )
    yield "JWT", f"signed {token}", token.split(".")[2]
    for kind in ("RSA ", "", "OPENSSH ", "EC "):
        text, part = _pem(kind)
        yield f"{kind}key", text, part
        yield f"{kind}key in one line", repr(text), part
        yield f"{kind}key that is cut off", text[:-60], part
    value = _random(16)
    for name, url in {
        "URL": f"https://x-access-token:{value}@github.com/a/b",
        "database URL": f"postgresql://fixwright:{value}@db/x",
        "URL without a user": f"redis://:{value}@cache:6379/0",
        "URL with an at sign in its password": f"https://u:p@{value}@host/x",
        "connection string": f"host=db user=x password={value} dbname=y",
        "quoted connection string": f"host=db password='{value}'",
    }.items():
        yield name, f"cannot reach {url}: refused", value
    for name, header in {
        "bearer": f"Authorization: Bearer {value}",
        "token": f"authorization: token {value}",
        "basic": f"Authorization: Basic {value}==",
        "headers as Python shows them": f"{{'Authorization': 'Bearer {value}', 'accept': 'x'}}",
        "headers as pairs": f"[(b'authorization', b'Basic {value}')]",
        "GitLab": f"PRIVATE-TOKEN: {value}",
        "GitLab hook": f"X-Gitlab-Token: {value}",
        "cookie": f"Cookie: session={value}",
    }.items():
        yield f"header: {name}", header, value


CANARIES = {name: (text, hidden) for name, text, hidden in _canaries()}


def _record(message: str, *args: object, **fields: object) -> logging.LogRecord:
    record = logging.LogRecord("bot.test", logging.WARNING, __file__, 1, message, args, None)
    record.__dict__.update(fields)
    return record


def _formatter(as_json: bool, known: tuple[str, ...] = ()) -> EventFormatter:
    return EventFormatter(Redactor(known), as_json=as_json)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("name", CANARIES)
def test_no_form_of_credential_gets_through(name: str, as_json: bool) -> None:
    text, hidden = CANARIES[name]
    formatter = _formatter(as_json)
    try:
        raise ValueError(text)
    except ValueError:
        failed = _record("failed")
        failed.exc_info = sys.exc_info()
    for record in (_record(text), _record("said %s", text), _record("event", error=text), _record("event", several=[text]), failed):
        line = formatter.format(record)
        assert hidden not in line
        assert "[removed]" in line


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_settings_that_are_secret_do_not_get_through_in_any_part(as_json: bool) -> None:
    pem, part = _pem()
    secret, password = _random(12, string.ascii_lowercase), _random(12, string.ascii_lowercase)
    environment = {
        "FIXWRIGHT_LOCAL_WEBHOOK_SECRET": secret,
        "FIXWRIGHT_GITHUB_PRIVATE_KEY": pem,
        "DATABASE_URL": f"postgresql://user:{password}%21@db/x",
        "FIXWRIGHT_PORT": "8080",
    }
    formatter = _formatter(as_json, tuple(known_secrets(environment)))
    line = formatter.format(_record(f"{secret}, {part} and {password}! on 8080", value=[secret, part]))
    assert not any(hidden in line for hidden in (secret, part, password))
    assert "8080" in line


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@given(text=st.text(st.characters(codec=None), max_size=60))
def test_an_event_is_one_printable_line(as_json: bool, text: str) -> None:
    formatter = _formatter(as_json)
    line = formatter.format(_record("event %s", text, field=text, path=Path("/x") / "y"))
    assert line.isprintable()
    if as_json:
        assert set(json.loads(line)) == {"time", "level", "logger", "event", "field", "path"}


@pytest.mark.parametrize("attack", ["a\nb", "a\r\x1b[2Jb", "a\u202eb", "a\x00b", "a\u2028b", "a\x7f\x9bb"])
def test_what_controls_a_terminal_is_shown_instead(attack: str) -> None:
    line = _formatter(as_json=False).format(_record(f"event {attack}"))
    assert "\\x" in line or "\\u" in line
    assert line.endswith("b logger=bot.test")
    assert not set(attack) & {c for c in line if not c.isprintable()}


def test_a_line_of_text_has_time_level_logger_event_and_fields() -> None:
    record = _record("engine.failed", engine="semgrep", reason="two words")
    record.created, record.msecs = 1_795_305_600.25, 250.0
    assert (
        _formatter(as_json=False).format(record)
        == "2026-11-22T00:00:00.250Z warning engine.failed engine=semgrep reason='two words' logger=bot.test"
    )


def test_a_number_or_word_that_only_looks_long_is_left_alone() -> None:
    said = "commit 0123456789abcdef0123456789abcdef01234567 of https://github.com/acme/members at 12:00 by a@example.org"
    assert said in _formatter(as_json=False).format(_record(said))


def test_no_field_of_ours_has_a_name_that_logging_keeps_for_itself() -> None:
    """`logging` raises KeyError for those, at the moment when something is to be said."""
    wrong = []
    for package in (bot, pipeline, providers):
        for path in Path(str(package.__path__[0])).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Dict):
                    names = {key.value for key in node.value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
                    wrong += [f"{path.name}:{node.value.lineno} {name}" for name in names & RESERVED]
    assert wrong == []


def test_every_line_of_some_work_names_the_delivery_that_caused_it() -> None:
    with following(Trail("72d3162e", 1.0, "m1", "r1")):
        text, document = (_formatter(as_json=as_json).format(_record("engine.failed", seconds=1.5)) for as_json in (False, True))
    assert " engine.failed delivery_id=72d3162e message_id=m1 review_id=r1 seconds=1.5 " in text
    said = json.loads(document)
    assert (said["event"], said["delivery_id"], said["review_id"], said["seconds"]) == ("engine.failed", "72d3162e", "r1", 1.5)
    assert "delivery_id" not in _formatter(as_json=True).format(_record("relay.queue_down"))


def test_every_event_of_ours_has_a_name_to_search_for() -> None:
    """Fixed text with a dot in it: a sentence with values in it can be neither counted nor alerted on."""
    wrong = []
    for package in (bot, pipeline, providers):
        for path in Path(str(package.__path__[0])).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                    of = node.func.value
                    name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
                    if node.args and ast.unparse(node.args[0]) == "self._manners.tripped":
                        continue  # a host's name of it is fixed text too; tests/unit/test_log_events.py reads it where it is given
                    if isinstance(of, ast.Name) and of.id == "log" and not re.fullmatch(r"[a-z_]+([.][a-z_]+)+", str(name)):
                        wrong.append(f"{path.name}:{node.lineno} {name!r}")
    assert wrong == []


def test_the_documented_events_exist() -> None:
    page = (Path(str(bot.__path__[0])).parent / "docs" / "operations.md").read_text("utf-8")
    section = page.split("## Logs")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `([a-z_]+[.][a-z_.]+)`", section, re.MULTILINE))
    source = "".join(
        path.read_text("utf-8") for package in (bot, pipeline, providers) for path in Path(str(package.__path__[0])).rglob("*.py")
    )
    assert len(named) >= 10
    assert [name for name in sorted(named) if f'"{name}"' not in source] == []


_CRASH = """
import contextlib, sys, threading
from bot.cli import main
from pipeline.leaks import remember

with contextlib.suppress(SystemExit):
    main(["--version"])
word = sys.stdin.read()
remember(word)

def fails():
    raise ValueError(f"the server refused {word}")

for what in (fails, sys.exit):
    thread = threading.Thread(target=what, name="kept")
    thread.start()
    thread.join()
"""


def test_what_a_crashed_thread_shows_goes_through_the_filter_too() -> None:
    word = _random(24)
    ended = subprocess.run([sys.executable, "-c", _CRASH], input=word, capture_output=True, text=True, timeout=60, check=True)
    assert "Exception in thread kept" in ended.stderr
    assert "ValueError: the server refused [removed]" in ended.stderr
    assert word not in ended.stderr
    assert ended.stderr.count("Traceback") == 1, "a thread that ends itself is no crash"
