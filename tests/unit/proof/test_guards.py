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
        (checked("os.path.commonpath([path, ROOT]) != ROOT and app.debug"), "does not keep out"),
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
