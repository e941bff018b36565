"""Which patches are nothing but an escape around values that stood there before."""

from __future__ import annotations

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.escaped import only_escaped

SHELL = """import subprocess


def look(path, verbose):
    cmd = f"ls {path}"
    if verbose:
        cmd += " -l"
    subprocess.run(cmd, shell=True)
"""
PAGE = """from flask import make_response, request


def search(count):
    page = "<h1>{}</h1> {}".format(request.args["q"], count)
    return make_response(page)
"""


def _asked(cwe: int, before: str, after: str, path: str = "app.py") -> bool:
    rule = Rule("python.rule", "title", "message", Severity.HIGH, Confidence.HIGH, cwe)
    finding = Finding(rule, Location(path, 5, 5), "v1:0", "semgrep")
    return only_escaped(Patch((FileEdit(path, before.encode(), after.encode()),)), finding)


def _shell(after: str, imports: str = "import shlex\n") -> bool:
    return _asked(78, SHELL, imports + after)


QUOTED = SHELL.replace("{path}", "{shlex.quote(path)}")


def test_a_value_that_is_quoted_for_the_shell_and_nothing_else() -> None:
    assert _shell(QUOTED)
    assert _shell(SHELL.replace("{path}", "{shlex.quote(str(path))}"))
    assert _shell(SHELL.replace("{path}", "{quote(path)}"), "from shlex import quote\n")


def test_a_value_that_is_escaped_for_a_page() -> None:
    escaped = PAGE.replace('request.args["q"]', 'escape(request.args["q"])')
    assert _asked(79, PAGE, "from markupsafe import escape\n" + escaped)
    assert _asked(79, PAGE, "from markupsafe import escape\n" + PAGE.replace('request.args["q"]', 'str(escape(request.args["q"]))'))


@pytest.mark.parametrize(
    ("after", "imports"),
    [
        (SHELL, "import shlex\n"),
        (QUOTED.replace("cmd +=", "cmd = cmd +"), "import shlex\n"),
        (QUOTED.replace('" -l"', '" -l; true"'), "import shlex\n"),
        (QUOTED.replace("subprocess.run(", "other.run("), "import shlex\n"),
        (QUOTED, ""),
        (QUOTED, "import tools as shlex\n"),
        (QUOTED, "import shlex\nshlex = tools\n"),
        (QUOTED, "import shlex\n\n\ndef quote(x):\n    return x\n\n\n"),
        (SHELL.replace("{path}", "{quote(path)}"), "from tools import quote\n"),
        (SHELL.replace("{path}", "{shlex.split(path)}"), "import shlex\n"),
        (SHELL.replace("{path}", "{shlex.quote(path)[1:-1]}"), "import shlex\n"),
        (SHELL.replace("{path}", "{shlex.quote('a') and path}"), "import shlex\n"),
        (SHELL.replace("{path}", "{html.escape(path)}"), "import html\n"),
        (SHELL.replace('f"ls {path}"', "f\"ls '{shlex.quote(path)}'\""), "import shlex\n"),
    ],
)
def test_anything_besides_is_more_than_an_escape(after: str, imports: str) -> None:
    assert not _shell(after, imports)


def test_inside_of_the_shells_own_quotes_an_escape_does_not_hold() -> None:
    before = SHELL.replace('f"ls {path}"', "f\"ls '{path}'\"")
    assert not _asked(78, before, "import shlex\n" + before.replace("{path}", "{shlex.quote(path)}"))


def test_another_kind_of_weakness_another_language_or_another_file_is_not_judged_here() -> None:
    assert not _asked(89, SHELL, "import shlex\n" + QUOTED)
    assert not _asked(78, SHELL, "import shlex\n" + QUOTED, path="app.js")
