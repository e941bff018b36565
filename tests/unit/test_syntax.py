"""Language, syntax and scope of source text."""

from __future__ import annotations

import random
import time

import pytest

from pipeline.syntax import language_of, parses, scope_at


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("app/db.py", "python"),
        ("stubs/x.pyi", "python"),
        ("A.PY", "python"),
        ("a.mjs", "javascript"),
        ("a.cjs", "javascript"),
        ("a.jsx", "javascript"),
        ("a.ts", "typescript"),
        ("a.mts", "typescript"),
        ("a.tsx", "tsx"),
        ("a.go", "go"),
        ("a.java", "java"),
        ("a.rs", None),
        ("py", None),
        (".py", None),
        ("", None),
    ],
)
def test_a_language_is_known_by_its_extension(path: str, language: str | None) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.py", b""),
        ("a.py", b"\xef\xbb\xbfx = 1\r\n"),
        ("a.py", b"# -*- coding: latin-1 -*-\nx = '\xe9'\n"),
        ("a.py", b"x = '\\d'\n"),
        ("a.py", b"type Pair[T] = tuple[T, T]\n"),
        ("a.py", b"x = f'{a['b']}'\n"),
        ("a.py", b"print 'two'\n"),
        ("a.js", b"#!/usr/bin/env node\nlet a = 1\n"),
        ("a.js", b"\xef\xbb\xbflet a = 1\n"),
        ("a.js", b"const a = <div className='x'>{name}</div>\n"),
        ("a.js", b"// @flow\nimport type {A} from 'b'; const f = (x: A): number => 1\n"),
        ("a.js", b"let s = 'caf\xe9'\n"),
        ("a.ts", b"let a = <any>b; enum C { D }\n"),
        ("a.go", b"package a\nfunc Map[T any](x []T) {}\n"),
        ("A.java", b"record A(int x) { static int f() { return switch (1) { case 1 -> 2; default -> 3; }; } }\n"),
        ("a.tsx", b"const a = <T,>(x: T) => <b>{x}</b>\n"),
    ],
)
def test_programs_parse(path: str, content: bytes) -> None:
    assert parses(path, content) is True


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.py", b"def f(:\n  pass\n"),
        ("a.py", b"x = 5 5\n"),
        ("a.py", b"\x00\x01\x02"),
        ("a.js", b"if (a) { (\n"),
        ("a.ts", b"class { class { \n"),
        ("a.tsx", b"<div>\n"),
        ("a.go", b"package a\nfunc f( {\n"),
        ("A.java", b"class A { void f( { }\n"),
    ],
)
def test_garbage_does_not_parse(path: str, content: bytes) -> None:
    assert parses(path, content) is False


@pytest.mark.parametrize(
    "content",
    [
        b"const A = styled.div<{ wide: boolean }>`width: 1px;`\n",
        b"const A = styled(Link)<{\n  /** why */\n  wide?: boolean;\n}>`\n  width: ${(p) => p.wide}px;\n`;\n",
        b"const q = gql<Answer, Variables>`query { a }`;\n",
    ],
)
@pytest.mark.parametrize("path", ["a.ts", "a.tsx"])
def test_a_template_with_a_typed_tag_is_a_program(path: str, content: bytes) -> None:
    assert parses(path, content) is True
    assert parses(path, content + b"const a = 5 5 5 ) (;\n") is False


def test_an_unknown_language_is_not_judged() -> None:
    assert parses("a.rs", b"fn main() {}") is None
    assert scope_at("a.rs", b"fn main() {}", 1) == ""


def test_scopes_of_go_and_java() -> None:
    go = b"package a\ntype Users struct{}\nfunc (u *Users) Find(name string) error {\n\treturn nil\n}\nfunc main() {\n\trun()\n}\n"
    assert [scope_at("a.go", go, line) for line in (1, 4, 7)] == ["", "Users.Find", "main"]
    java = b"package a;\nclass Users {\n  Users() {\n  }\n  String find(String name) {\n    return name;\n  }\n}\n"
    assert [scope_at("A.java", java, line) for line in (1, 3, 6)] == ["", "Users.Users", "Users.find"]


PYTHON = b"""import os

class Users:
    limit = 1

    def find(self, name):
        def inner():
            return name
        return inner

async def main():
    pass
"""


@pytest.mark.parametrize(
    ("line", "scope"),
    [(1, ""), (4, "Users"), (6, "Users.find"), (8, "Users.find.inner"), (9, "Users.find"), (12, "main"), (99, ""), (0, "")],
)
def test_scope_of_a_line_of_python(line: int, scope: str) -> None:
    assert scope_at("a.py", PYTHON, line) == scope


JAVASCRIPT = b"""class Users {
  #key = () => {
    return 1
  }
  async find(name) {
    return 1
  }
}
const load = async (a) => {
  return a.map(x => {
    return x
  })
}
app.post('/users/:id', auth, (req, res) => {
  res.send(1)
})
exports.save = function () {
  return 1
}
const table = {
  remove: function () {
    return 1
  },
  add() {
    return 1
  },
}
"""


@pytest.mark.parametrize(
    ("line", "scope"),
    [
        (3, "Users.#key"),
        (6, "Users.find"),
        (11, "load"),
        (15, "app.post:/users/:id"),
        (18, "exports.save"),
        (22, "remove"),
        (25, "add"),
        (20, ""),
    ],
)
@pytest.mark.parametrize("path", ["a.js", "a.ts", "a.tsx"])
def test_scope_of_a_line_of_javascript(path: str, line: int, scope: str) -> None:
    assert scope_at(path, JAVASCRIPT, line) == scope


def test_scope_of_typescript_names_namespaces_and_abstract_classes() -> None:
    source = b"namespace A {\n  abstract class B {\n    f(): number {\n      return 1\n    }\n  }\n}\n"
    assert scope_at("a.ts", source, 4) == "A.B.f"


@pytest.mark.parametrize("path", ["a.py", "a.js", "a.ts", "a.tsx"])
def test_garbage_never_raises(path: str) -> None:
    rng = random.Random(7)
    for size in (0, 1, 17, 400, 3_000):
        content = rng.randbytes(size) + bytes(rng.choices(b"(){}[]=>`'\"/*ab \n;,.<def class", k=size))
        parses(path, content)
        for line in (-1, 0, 1, 5, 10_000):
            assert isinstance(scope_at(path, content, line), str)


@pytest.mark.parametrize(
    "content",
    [b"not " * 100_000 + b"1", b"(" * 100_000, b"a" + b".a" * 100_000, b"if 1:\n pass\n" + b"elif 1:\n pass\n" * 20_000, b"f'{" * 3_000],
    ids=["unary", "parentheses", "attributes", "branches", "strings"],
)
def test_deep_nesting_never_raises(content: bytes) -> None:
    parses("a.py", content)
    scope_at("a.py", content, 1)
    scope_at("a.js", content, 1)


def test_many_questions_about_a_large_file_cost_one_parse() -> None:
    content = b"".join(b"def f%d(a):\n    return a + 1\n" % i for i in range(20_000))
    assert scope_at("a.py", content, 40_000) == "f19999"
    start = time.perf_counter()
    for line in range(1, 60, 2):
        assert scope_at("a.py", content, line) == f"f{line // 2}"
    assert time.perf_counter() - start < 5
