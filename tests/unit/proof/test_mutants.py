"""Breaking changed statements on purpose: every one, exactly there, and nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.model.fix import FileEdit
from pipeline.triage.mutants import MARKS, MAX_MUTANTS, WORDS, Mark, NotMutable, marked, mutants, reverts


def made(before: str, after: str, path: str = "app.py") -> list[tuple[int, str]]:
    """Lines and texts of the mutants; their marks lie nowhere."""
    marks = (Mark("none", "none", second=False) for _ in range(20))
    found = mutants(FileEdit(path, before.encode(), after.encode()), marks)
    return [(m.line, m.content.decode().replace(MARKS + "/none", "/dev/null")) for m in found]


PYTHON = [
    ("def f():\n    return 1\n", "def f():\n    return 2\n", "f()", 2),
    ("def f():\n    x = 1\n    return x\n", "def f():\n    x = 2\n    return x\n", "f()", 2),
    ("def f(a):\n    if a: return 1\n", "def f(a):\n    if a: return 2\n", "f(1)", 2),
    ("def f(a):\n    if a:\n        return 1\n", "def f(a):\n    if a is not None:\n        return 1\n", "f(0)", 2),
    ("def f(a):\n    if a: return 1\n    elif a: return 2\n", "def f(a):\n    if a: return 1\n    elif not a: return 2\n", "f(0)", 3),
    ("def f(a):\n    for x in a:\n        pass\n", "def f(a):\n    for x in list(a):\n        pass\n", "f([])", 2),
    ("def f(a):\n    while a:\n        pass\n", "def f(a):\n    while a and a:\n        pass\n", "f(0)", 2),
    ("def f(a):\n    with a:\n        pass\n", "def f(a):\n    with a as b:\n        pass\n", "f(None)", 2),
    ("def f():\n    yield 1\n", "def f():\n    yield 2\n", "list(f())", 2),
    ("f = lambda: 1\n", "f = lambda: 2\n", "f()", 1),
    ("def f(g):\n    return g(\n        1,\n        debug=True,\n    )\n", "def f(g):\n    return g(\n        1,\n    )\n", "f(str)", 2),
    # What stands in front of it may fail: it is the value that is to be reached.
    (
        "def f(a):\n    x = a.b(1)\n    return x\n",
        "def f(a):\n    x = a.b(2)\n    return x\n",
        "(f_fails(f), f(type('', (), {'b': g})))",
        2,
    ),
    # Only what changed, where the statement need not run all of itself.
    ("def f(a):\n    return a and g(1)\n", "def f(a):\n    return a and g(2)\n", "(f(0), f(1))", 2),
    (
        "def f(a):\n    return (\n        0\n        if a\n        else g(1)\n    )\n",
        "def f(a):\n    return (\n        0\n        if a\n        else g(2)\n    )\n",
        "(f(1), f(0))",
        5,
    ),
    ("def f(a):\n    return [g(b) for b in a]\n", "def f(a):\n    return [g(b, 1) for b in a]\n", "(f([]), f([1]))", 2),
    ("def f(a):\n    return {b: g(b) for b in a}\n", "def f(a):\n    return {b: g(b, 1) for b in a}\n", "(f([]), f([1]))", 2),
    ("def f(a):\n    return sorted(g(a), key=lambda b: 0)\n", "def f(a):\n    return sorted(h(a), key=lambda b: 0)\n", "f([])", 2),
    ("def f(a):\n    x = [\n        1,\n    ]; return x\n", "def f(a):\n    x = [\n        2,\n    ]; return x\n", "f(1)", 3),
]


@pytest.mark.parametrize(("before", "after", "call", "line"), PYTHON)
def test_a_changed_python_statement_crashes_when_it_is_reached_and_only_then(before: str, after: str, call: str, line: int) -> None:
    found = made(before, after)
    assert [place for place, _ in found] == [line]
    namespace: dict[str, object] = {"g": lambda *a: a, "h": lambda *a: a, "f_fails": f_fails}
    exec(found[0][1], namespace)  # noqa: S102  # our own text; defining it must not crash
    with pytest.raises(AssertionError, match=WORDS):
        eval(call, namespace)  # noqa: S307


def f_fails(f: Callable[[None], object]) -> None:
    with pytest.raises(AttributeError):
        f(None)


def untouched(folder: Path, name: str) -> Path:
    place = folder / name
    place.touch()
    os.utime(place, (0, 0))
    return place


@pytest.mark.parametrize(("before", "after", "call", "line"), PYTHON)
def test_a_mark_in_python_says_when_a_changed_statement_is_reached_and_changes_nothing(
    tmp_path: Path, before: str, after: str, call: str, line: int
) -> None:
    mark, decoy = untouched(tmp_path, "a"), untouched(tmp_path, "b")
    there, content = marked(FileEdit("app.py", before.encode(), after.encode()), iter([Mark("a", "b", second=bool(line % 2))]))
    assert [site.line for site, _ in there] == [line]
    namespace: dict[str, object] = {"g": lambda *a: a, "h": lambda *a: a, "f_fails": f_fails}
    exec(content.decode().replace(MARKS, str(tmp_path)), namespace)  # noqa: S102  # our own text
    assert mark.stat().st_mtime == 0
    with contextlib.suppress(TypeError, AttributeError):  # a case that is made to crash only
        eval(call, namespace)  # noqa: S307
    assert (mark.stat().st_mtime > 0, decoy.stat().st_mtime) == (True, 0)


JAVASCRIPT = [
    ("function f() { return 1; }\n", "function f() { return 2; }\n", "f()", 1),
    ("function f(a) {\n  if (a) return 1;\n}\n", "function f(a) {\n  if (a) return 2;\n}\n", "f(1)", 2),
    ("function f(a) {\n  if (a) {\n    return 1;\n  }\n}\n", "function f(a) {\n  if (a !== null) {\n    return 1;\n  }\n}\n", "f(0)", 2),
    ("function f(a) {\n  return a ? g(1) : 0;\n}\n", "function f(a) {\n  return a ? g(2) : 0;\n}\n", "f(0); f(1)", 2),
    ("function f(a) {\n  return a && g(1);\n}\n", "function f(a) {\n  return a && g(2);\n}\n", "f(0); f(1)", 2),
    ("function f(a) {\n  return a?.b(1);\n}\n", "function f(a) {\n  return a?.b(2);\n}\n", "f(); f({ b: () => 0 })", 2),
    ("const f = (a = g(1)) => {};\n", "const f = (a = g(2)) => {};\n", "f(1); f()", 1),
    ("const f = class {\n  a = g(1);\n};\n", "const f = class {\n  a = g(2);\n};\n", "new f()", 2),
    ("const f = (p) => {\n  return g(1).then((r) => r.a);\n};\n", "const f = (p) => {\n  return g(2).then((r) => r.a);\n};\n", "f()", 2),
    ("const f = (x) => x;\n", "const f = (x) => x + 1;\n", "f(1)", 1),
    ("const f = (x) =>\n  x;\n", "const f = (x) =>\n  x + 1;\n", "f(1)", 2),
    ("function f(a) {\n  for (const x of a) {\n  }\n}\n", "function f(a) {\n  for (const x of a.slice()) {\n  }\n}\n", "f([])", 2),
    ("function f(a) {\n  const x = 1;\n  return x;\n}\n", "function f(a) {\n  const x = 2;\n  return x;\n}\n", "f()", 2),
    ("function f(a) { switch (a) {\n  case 1:\n    g(); } }\n", "function f(a) { switch (a) {\n  case 1:\n    h(); } }\n", "f(1)", 3),
]


@pytest.mark.parametrize(("before", "after", "call", "line"), JAVASCRIPT)
def test_a_changed_javascript_statement_crashes_when_it_is_reached_and_only_then(
    tmp_path: Path, before: str, after: str, call: str, line: int
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    found = made(before, after, "app.js")
    assert [place for place, _ in found] == [line]
    mark = untouched(tmp_path, "mark")
    text = "var g = () => Promise.resolve({}), h = g;\n" + found[0][1].replace("/dev/null", str(mark))
    (tmp_path / "app.js").write_text(text)
    quiet = subprocess.run([node, "app.js"], cwd=tmp_path, capture_output=True, check=False)
    assert quiet.returncode == 0, quiet.stderr
    (tmp_path / "app.js").write_text(f"{text}\n{call};\n")
    loud = subprocess.run([node, "app.js"], cwd=tmp_path, capture_output=True, check=False)
    assert WORDS.encode() in loud.stderr
    assert mark.stat().st_mtime > 0


def test_marks_in_javascript_say_what_is_reached_and_change_nothing(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    # All in one program: each is called, but for every third.
    texts, reached, marks = [], [], []
    for number, (before, after, call, _) in enumerate(JAVASCRIPT):
        marks.append((untouched(tmp_path, f"{number}"), untouched(tmp_path, f"{number}-decoy")))
        mark = Mark(f"{number}", f"{number}-decoy", second=bool(number % 2))
        there, content = marked(FileEdit("app.js" if number % 4 else "app.ts", before.encode(), after.encode()), iter([mark]))
        assert len(there) == 1
        called = number % 3 != 0
        reached.append(called)
        text = content.decode().replace(MARKS, str(tmp_path))
        texts.append(f"(() => {{ const g = () => Promise.resolve({{}}), h = g; {text} {call if called else ''} }})();")
    (tmp_path / "app.js").write_text("\n".join(texts))
    done = subprocess.run([node, "app.js"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [mark.stat().st_mtime > 0 for mark, _ in marks] == reached
    assert not any(decoy.stat().st_mtime for _, decoy in marks)


def test_several_marks_have_numbers_and_stand_inside_of_each_other() -> None:
    marks = iter([Mark("m1", "d1", second=True), Mark("m2", "d2", second=False)])
    there, content = marked(FileEdit("app.py", b"x = f(lambda: g(1))\n", b"x = h(lambda: g(2))\n"), marks)
    assert len(there) == 2
    assert content.index(b"/m1") < content.index(b"h(lambda") < content.index(b"g(") < content.index(b"/m2") < content.index(b"2)")


def test_what_cannot_be_watched_is_not_said_to_run() -> None:
    with pytest.raises(NotMutable, match="not always evaluated"):
        made("def f(a):\n    return f'{a and g(1)}'\n", "def f(a):\n    return f'{a and g(2)}'\n")
    with pytest.raises(NotMutable, match="compared"):
        made("match a:\n    case 1 if g(1):\n        h()\n", "match a:\n    case 1 if g(2):\n        h()\n")


def test_a_field_of_a_class_runs_when_an_object_is_made_and_a_default_when_it_is_needed() -> None:
    assert [line for line, _ in made("class A {\n  a = g(1);\n}\n", "class A {\n  a = g(2);\n}\n", "app.js")] == [2]
    [(_, text)] = made("function f(a, b = g(1)) {}\n", "function f(a, b = g(2)) {}\n", "app.js")
    assert text.startswith("function f(a, b = (")


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ("import a\n", "import a\nimport b\nfrom c import (\n    d,\n)\n", "app.py"),
        ("x()\n", "x()  # said\n\n\n# more\n", "app.py"),
        ("def f():\n    'old'\n    g()\n", "def f():\n    'new'\n    g()\n", "app.py"),
        ("a();\n", "const b = require('b');\nconst { c, d } = require('./c');\na();\n", "app.js"),
        ("a();\n", "'use strict';\nimport { b } from 'b';\na();\n", "app.mjs"),
        ("a()\nb()\n", "a()\n", "app.py"),
    ],
)
def test_what_does_nothing_when_it_runs_needs_no_test(before: str, after: str, path: str) -> None:
    assert made(before, after, path) == []


def test_an_exported_declaration_stays_exported() -> None:
    [(line, text)] = made("export const a = 1;\n", "export const a = 2;\n", "app.mjs")
    assert line == 1
    assert text.startswith("export const a = (")
    [(line, text)] = made("export let a;\n", "export let b;\n", "app.mjs")
    assert text.endswith("\nexport let b;\n")


def test_every_changed_statement_is_broken_by_itself() -> None:
    found = made("def f():\n    a()\n    b()\n", "def f():\n    c()\n    d()\n")
    assert [line for line, _ in found] == [2, 3]
    assert all(text.count(WORDS) == 1 for _, text in found)


def test_too_many_changed_statements_are_not_broken_one_by_one() -> None:
    after = "def f():\n" + "".join(f"    g({n})\n" for n in range(MAX_MUTANTS + 1))
    with pytest.raises(NotMutable, match="statements changed"):
        made("def f():\n    pass\n", after)


def test_a_language_without_our_statements_is_not_guessed_at() -> None:
    with pytest.raises(NotMutable, match="language"):
        made("puts 1\n", "puts 2\n", "app.rb")


def test_each_changed_place_is_put_back_alone_and_imports_stay() -> None:
    before = b"import os\n\n\ndef f(a):\n    x = os.popen(a)\n    y = 1\n    z = os.popen(x)\n    return y, z\n"
    after = (
        before.replace(b"import os\n", b"import subprocess\n")
        .replace(b"os.popen(a)", b"subprocess.run([a])")
        .replace(b"os.popen(x)", b"subprocess.run([x])")
    )
    put_back = reverts(FileEdit("a.py", before, after))
    assert [one.line for one in put_back] == [5, 7]
    assert all(one.content.startswith(b"import subprocess\n") and one.content.count(b"os.popen") == 1 for one in put_back)


def test_a_place_that_cannot_be_put_back_alone_is_named() -> None:
    with pytest.raises(NotMutable, match=r"a\.py:1 cannot be put back alone"):
        reverts(FileEdit("a.py", b"x = [\n1,\n2]\n", b"x = (\n1,\n2)\n"))


def test_the_whole_weakness_is_what_was_before_when_one_place_changed() -> None:
    before, after = b"x = f(a)\n", b"x = g(a)\n"
    assert [one.content for one in reverts(FileEdit("a.py", before, after))] == [before]
