"""A check that a patch adds must keep out what is foreign: one that is turned round, or decides nothing, is no fix."""

from __future__ import annotations

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.disguise import disguises
from pipeline.triage.guards import useless_guards
from pipeline.triage.survival import Sides, sides_of


def sides(before: str, old: str, new: str, path: str, cwe: int) -> tuple[Sides, Finding]:
    line = before[: before.index(old)].count("\n") + 1
    rule = Rule("rule", "title", "message", Severity.HIGH, Confidence.HIGH, cwe)
    finding = Finding(rule, Location(path, line, line, 1, 1), "v1:" + "0" * 32, "semgrep")
    (side,) = sides_of(Patch((FileEdit(path, before.encode(), before.replace(old, new).encode()),)))
    return side, finding


def said(before: str, old: str, new: str, path: str, cwe: int) -> str:
    side, finding = sides(before, old, new, path, cwe)
    return "; ".join(useless_guards(side, finding))


GO = """
def go():
    target = request.args["next"]
    return redirect(target)
"""
TURNED = "turned round"


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("urlsplit(target).netloc", ""),
        ("urlsplit(target).scheme or urlsplit(target).netloc", ""),
        ('urlsplit(target).netloc or not target.startswith("/")', ""),
        ("urlsplit(target).netloc not in ALLOWED", ""),
        ("urlsplit(urljoin(request.host_url, target)).netloc != request.host", ""),
        ('urlsplit(target).netloc != ""', ""),
        ("not url_has_allowed_host_and_scheme(target, HOSTS)", ""),
        ("made_up(target)", ""),
        ("not (urlsplit(target).scheme or urlsplit(target).netloc)", TURNED),
        ("not urlsplit(target).netloc", TURNED),
        ('target.startswith("/")', TURNED),
        ("urlsplit(target).netloc in ALLOWED", TURNED),
        ("urlsplit(target).netloc == request.host", TURNED),
        ("url_has_allowed_host_and_scheme(target, HOSTS)", TURNED),
    ],
)
def test_what_leaves_must_be_foreign(condition: str, why: str) -> None:
    new = f'if {condition}:\n        target = "/"\n    return redirect(target)'
    found = said(GO, "return redirect(target)", new, "app.py", 601)
    assert why in found if why else found == ""


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("if not urlsplit(target).netloc:\n        return redirect(target)\n    return redirect('/')", ""),
        ("if urlsplit(target).netloc:\n        return redirect(target)\n    return redirect('/')", TURNED),
        ("return redirect(target if not urlsplit(target).netloc else '/')", ""),
        ("return redirect(target if urlsplit(target).netloc else '/')", TURNED),
        ("return redirect('/' if urlsplit(target).netloc else target)", ""),
    ],
)
def test_what_is_accepted_must_not_be_foreign(new: str, why: str) -> None:
    found = said(GO, "return redirect(target)", new, "app.py", 601)
    assert why in found if why else found == ""


def test_javascript_is_read_the_same_way() -> None:
    before = 'app.get("/go", (req, res) => {\n  const to = req.query.next;\n  res.redirect(to);\n});\n'
    good = "if (new URL(to, HERE).origin !== HERE) {\n    return res.sendStatus(400);\n  }\n  res.redirect(to);"
    assert said(before, "res.redirect(to);", good, "app.js", 601) == ""
    assert TURNED in said(before, "res.redirect(to);", good.replace("!==", "==="), "app.js", 601)
    listed = "if (!ALLOWED.includes(to)) {\n    return res.sendStatus(400);\n  }\n  res.redirect(to);"
    assert said(before, "res.redirect(to);", listed, "app.js", 601) == ""
    assert TURNED in said(before, "res.redirect(to);", listed.replace("!ALLOWED", "ALLOWED"), "app.js", 601)


FILE = """
def show(name):
    with open(os.path.join(ROOT, name)) as file:
        return file.read()
"""
OPEN = "with open(os.path.join(ROOT, name)) as file:"


def checked(condition: str, place: str = "os.path.realpath(os.path.join(ROOT, name))", leave: str = "abort(404)") -> str:
    return f"path = {place}\n    if {condition}:\n        {leave}\n    with open(path) as file:"


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (checked("os.path.commonpath([path, ROOT]) != ROOT"), ""),
        (checked("os.path.commonpath((ROOT, path)) != ROOT"), ""),
        (checked("not path.is_relative_to(ROOT)", "(Path(ROOT) / name).resolve()"), ""),
        (checked("not path.startswith(os.path.realpath(ROOT) + os.sep)"), ""),
        (checked("os.path.commonpath([path, ROOT]) == ROOT"), TURNED),
        (checked("path.startswith(os.path.realpath(ROOT) + os.sep)"), TURNED),
        (checked("os.path.commonpath([path, ROOT]) != ROOT", leave='log("bad")'), "keeps nothing out"),
        (checked("os.path.commonpath([path, ROOT]) != ROOT and app.debug"), "holds only for some"),
        (checked('os.path.commonpath([path, "/"]) != "/"'), "does not keep out"),
        (checked("os.path.commonpath([path, OTHER]) != OTHER"), "does not keep out"),
        (checked("os.path.commonpath([path, ROOT]) != ROOT", "os.path.join(ROOT, name)"), "does not keep out"),
        (checked('not path.is_relative_to("/")', "(Path(ROOT) / name).resolve()"), "does not keep out"),
    ],
)
def test_a_path_is_kept_in_the_folder_that_it_was_joined_to(new: str, why: str) -> None:
    found = said(FILE, OPEN, new, "app.py", 22)
    assert why in found if why else found == ""


def test_a_value_may_be_called_path_where_no_module_is() -> None:
    new = checked("not path.startswith(os.path.realpath(ROOT) + os.sep)")
    side, finding = sides("import os\n" + FILE, OPEN, new, "app.py", 22)
    assert disguises(side, side, finding) == []
    side, finding = sides("from os import path\n" + FILE, OPEN, new, "app.py", 22)
    assert disguises(side, side, finding) == ["`path` gets a meaning of its own in added code"]
    trick = "path = Mine()\n    with open(os.path.join(ROOT, path.basename(name))) as file:"
    side, finding = sides("import os\n" + FILE, OPEN, trick, "app.py", 22)
    assert disguises(side, side, finding) == ["`path` gets a meaning of its own in added code"]


RIGHT = "not path.startswith(os.path.realpath(ROOT) + os.sep)"
SOME, ANOTHER, NOT_WORKED_OUT = "holds only for some of what is foreign", "makes another value of", "`..` is not worked out"


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (f"name and {RIGHT}", ""),
        (f"name is not None and {RIGHT}", ""),
        (f"isinstance(name, str) and {RIGHT}", ""),
        (f"{RIGHT} or not name", ""),
        (f"{RIGHT} and len(name) > 1000", SOME),
        (f"app.testing() and {RIGHT}", SOME),
        (f"{RIGHT} and name is None", SOME),
        (f"{RIGHT} and app.testing", SOME),
        (f'({RIGHT}) and (".." in path)', SOME),
        (f'{RIGHT} and name.startswith("/")', SOME),
        (f'({RIGHT}) and (".." in path or name)', SOME),
    ],
)
def test_a_check_that_asks_for_more_besides_lets_the_rest_through(condition: str, why: str) -> None:
    found = said(FILE, OPEN, checked(condition), "app.py", 22)
    assert why in found if why else found == ""


@pytest.mark.parametrize("use", ["path", "str(path)", "Path(path)", "os.path.realpath(path)"])
def test_what_was_checked_is_what_is_used(use: str) -> None:
    assert said(FILE, OPEN, checked(RIGHT).replace("open(path)", f"open({use})"), "app.py", 22) == ""


@pytest.mark.parametrize(
    "use", ["unquote(path)", "path.replace('_', '/')", "path.format(app)", "path.lower()", "str(os.path.expanduser(path))"]
)
def test_another_value_than_the_one_that_was_checked_is_told(use: str) -> None:
    assert ANOTHER in said(FILE, OPEN, checked(RIGHT).replace("open(path)", f"open({use})"), "app.py", 22)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("os.path.abspath(os.path.join(ROOT, name))", ""),
        ("os.path.normcase(os.path.realpath(os.path.join(ROOT, name)))", ""),
        ("str((Path(ROOT) / name).resolve())", ""),
        ("os.path.join(os.path.realpath(ROOT), name)", NOT_WORKED_OUT),
        ("os.path.normcase(os.path.join(os.path.realpath(ROOT), name))", NOT_WORKED_OUT),
    ],
)
def test_a_path_is_worked_out_as_a_whole_before_it_is_compared(place: str, why: str) -> None:
    found = said(FILE, OPEN, checked(RIGHT, place), "app.py", 22)
    assert why in found if why else found == ""


NODE = 'app.get("/f", (req, res) => {\n  const name = req.query.name;\n  fs.readFile(path.join(ROOT, name), done);\n});\n'


@pytest.mark.parametrize(
    ("place", "use", "why"),
    [
        ("path.resolve(ROOT, name)", "file", ""),
        ("path.join(ROOT, name)", "file", ""),
        ("path.resolve(ROOT, name)", "decodeURIComponent(file)", "makes another value of `file`"),
        ("ROOT + path.sep + name", "file", NOT_WORKED_OUT),
    ],
)
def test_paths_of_javascript_are_read_the_same_way(place: str, use: str, why: str) -> None:
    check = "if (!file.startsWith(ROOT + path.sep)) {\n    return res.sendStatus(404);\n  }"
    new = f"const file = {place};\n  {check}\n  fs.readFile({use}, done);"
    found = said(NODE, "fs.readFile(path.join(ROOT, name), done);", new, "app.js", 22)
    assert why in found if why else found == ""


@pytest.mark.parametrize(
    ("line", "trusted"),
    [
        ("from markupsafe import escape", True),
        ("from html import escape", True),
        ("import shlex", True),
        ("from re import escape", False),
        ("from shop.web import escape", False),
        ("from .web import escape", False),
        ("from shop import shlex", False),
    ],
)
def test_a_trusted_name_is_trusted_for_where_it_comes_from(line: str, trusted: bool) -> None:
    before = 'import os\n\n\ndef show(name):\n    return "<b>" + name\n'
    after = before.replace("import os\n", f"import os\n\n{line}\n").replace("+ name", "+ escape(name)")
    edit = FileEdit("app.py", before.encode(), after.encode())
    (side,) = sides_of(Patch((edit,)))
    rule = Rule("rule", "title", "message", Severity.HIGH, Confidence.HIGH, 79)
    finding = Finding(rule, Location("app.py", 5, 5, 1, 1), "v1:" + "0" * 32, "semgrep")
    told = [one for one in disguises(side, side, finding) if "trusted name" in one]
    assert bool(told) is not trusted
