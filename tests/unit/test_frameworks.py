"""Our own looks at web frameworks against their examples, and what their rules must say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.frameworks.book import RULES
from pipeline.frameworks.looking import look
from pipeline.frameworks.repetition import blows_up

SAMPLES = Path(__file__).parents[1] / "samples" / "frameworks"
every_rule = pytest.mark.parametrize("rule_id", list(RULES))


def example(rule_id: str, kind: str) -> Path:
    return SAMPLES / f"{rule_id}.{kind}.{'py' if rule_id.startswith('python') else 'html'}"


def found(rule_id: str, content: bytes) -> list[int]:
    path = "shop/settings.py" if rule_id.startswith("python") else "shop/page.html"
    return [finding.location.line for finding in look(path, content, "here") if finding.rule.id == rule_id]


@every_rule
def test_every_marked_line_fires_and_no_other(rule_id: str) -> None:
    text = example(rule_id, "bad").read_text("utf-8")
    marks = [(number, line) for number, line in enumerate(text.splitlines(), 1)]
    expected = [number + ("expect-next" in line) for number, line in marks if re.search(r"(#|//|<!--) expect", line)]
    assert expected
    assert found(rule_id, text.encode()) == expected


@every_rule
def test_the_good_example_is_silent(rule_id: str) -> None:
    assert found(rule_id, example(rule_id, "good").read_bytes()) == []


@every_rule
def test_a_rule_says_everything_a_reader_needs(rule_id: str) -> None:
    rule = RULES[rule_id]
    assert rule.id == rule_id
    assert 0 < len(rule.title.split()) <= 8
    assert rule.message.endswith(".")
    assert len(rule.message.split(". ")) <= 2
    assert re.match("(Anyone|Whoever)( .*)? can ", rule.message), "the first sentence says who can do what"
    assert rule.help.endswith(".")


@every_rule
def test_no_comment_silences_a_look(rule_id: str) -> None:
    text = example(rule_id, "bad").read_text("utf-8")
    marked = re.sub(r"(#|//) expect", r"\1 nosec noqa: login_required current_user limiter csrf_token", text)
    if rule_id.startswith("python"):
        assert found(rule_id, marked.encode()) == found(rule_id, text.encode())


@pytest.mark.parametrize("path", ["tests/test_app.py", "examples/app.py", "demoproject/settings.py", "docs/conf.py", "app.txt", "app.rb"])
def test_what_is_shown_or_tested_is_not_looked_at(path: str) -> None:
    assert look(path, example("python.hard-coded-key", "bad").read_bytes(), "here") == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"\xff\xfe{{",
        b"def f(:\n",
        b"x = " + b"(" * 5_000 + b")" * 5_000,
        b"import flask\nx = a" + b".b" * 20_000 + b"\n",
        b"import flask\nx = 1" + b" + 1" * 5_000 + b"\n",
        b"from flask import request\ndef f():\n return request" + b"[0]" * 900 + b"\n",
        b"{{" * 50_000,
        b"{%" * 50_000,
        b"{{ x|safe " * 20_000,
        b"{% raw " * 50_000 + b"{{ x }}",
        b"<script" * 50_000 + b"{{ x }}",
        b"<form method=post " * 5_000 + b"{% csrf %}",
        b"{% load x %}" + b"<form method=post>" * 5_000,
        b'<script>"{{ x|safe }}"' * 3_000,
    ],
    ids=range(16),
)
def test_garbage_is_looked_at_in_time_and_breaks_nothing(content: bytes) -> None:
    for path in ("a.py", "a.html"):
        look(path, content, "here")


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"^(\w*)*@", r"([-.\w]*[0-9a-zA-Z])*@", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"x(\d+)*y"])
def test_a_repetition_inside_a_repetition_that_fits_twice_blows_up(pattern: str) -> None:
    assert blows_up(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+",
        r"(\w+\.)+x",
        r"^[a-z0-9]+[\._]?[a-z0-9]+[@]\w+[.]\w{2,3}$",
        r"(ab)*c",
        r"(a|b)*c",
        r"(?:\s*,\s*\w+)*$",
        "(",
        r"(\w{1,3})*y",
    ],
)
def test_what_fits_in_one_way_does_not(pattern: str) -> None:
    assert not blows_up(pattern)


DJANGO = "from django.shortcuts import redirect\nfrom app.models import Note\n\n\n"
REMOVES = "def remove(request, number):\n    Note.objects.get(pk=number).delete()\n    return redirect('/')\n"


@pytest.mark.parametrize(
    ("others", "flagged"),
    [
        ("", False),
        ("def show(request):\n    raise PermissionDenied\n", False),
        ("@require_POST\ndef add(request):\n    return redirect('/')\n", False),
        ("@login_required\ndef add(request):\n    return redirect('/')\n", True),
        ("@login_required\ndef add(request):\n    return remove(request, 1)\n", False),
        ("def a(request):\n    return request.user.is_authenticated\n\ndef b(request):\n    return request.user.is_authenticated\n", True),
    ],
    ids=["nothing", "a refusal", "a decorator about methods", "a decorator", "a part of another view", "two questions"],
)
def test_a_view_of_django_must_ask_only_where_others_of_its_file_ask_for_themselves(others: str, flagged: bool) -> None:
    found = look("app/views.py", (DJANGO + REMOVES + "\n\n" + others).encode(), "here")
    assert [finding.rule.id for finding in found] == ["python.missing-authentication"] * flagged
