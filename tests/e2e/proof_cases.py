"""Good fixes and bad patches for the gate: written ones from `tests/samples/proof`, and mechanical ones made of the good fixes.

A case is a folder named for a rule: `before`, `good-*` (fixes that must be accepted), `bad-*` (patches that must be refused; the name is
the operator; `bad-x.new.y.py` is a file that `bad-x` adds), and `statements.txt` (each put in the place of the flagged statement, each
bad). On top of each good fix and of each flagged statement, `OPERATORS` makes the bad patches that are the same for every rule.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.fingerprint import identify
from pipeline.triage.outline import Unit, outline

FOLDER = Path(__file__).resolve().parent.parent / "samples" / "proof"

TEST_PY = b"""import unittest


class ShopTest(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(1 + 1, 2)

    def test_order(self):
        self.assertLess(1, 2)
"""
TEST_JS = b"""const test = require("node:test");
const assert = require("node:assert");

test("sum", () => assert.equal(1 + 1, 2));
test("order", () => assert.ok(1 < 2));
"""
SURROUNDINGS: Mapping[str, bytes] = {
    "README.md": b"# Shop\n",
    ".github/workflows/ci.yml": b"on: push\njobs: {}\n",
    ".github/fixwright.yml": b"gate:\n  block: high\n",
    "CODEOWNERS": b"* @owner\n",
    "package-lock.json": b'{"lockfileVersion": 3}\n',
    "package.json": b'{"scripts": {"test": "node --test"}}\n',
    "pyproject.toml": b'[project]\nname = "shop"\n',
    "tests/test_shop.py": TEST_PY,
    "test/shop.test.js": TEST_JS,
}
"""What else lies in the repository of every case."""


@dataclass(frozen=True)
class Case:
    """One rule's example."""

    rule: str
    path: str
    before: bytes
    good: Mapping[str, bytes]
    bad: Mapping[str, Mapping[str, bytes]]
    """Operator -> contents of the files that the patch leaves (the flagged file among them)."""
    cwe: int
    statements: tuple[bytes, ...] = ()
    """Each is a bad replacement of the flagged statement."""

    @property
    def python(self) -> bool:
        """True for a case in Python."""
        return self.path.endswith(".py")

    def files(self) -> dict[str, bytes]:
        """The repository before the patch."""
        return {**SURROUNDINGS, self.path: self.before}

    def patch(self, after: Mapping[str, bytes | None]) -> Patch:
        """The patch that leads to these contents (None: deleted)."""
        now = self.files()
        return Patch(tuple(FileEdit(path, now.get(path), content) for path, content in sorted(after.items()) if now.get(path) != content))


@dataclass
class Memory:
    """A repository state in memory."""

    contents: Mapping[str, bytes]
    laid_out: int = field(default=0)

    def read(self, path: str) -> bytes | None:
        """See `pipeline.ports.SourceFiles`."""
        return self.contents.get(path)

    def paths(self) -> Sequence[str]:
        """See `pipeline.ports.SourceFiles`."""
        return sorted(self.contents)

    def materialise(self, folder: Path) -> str:
        """See `pipeline.stages.sources.RepositoryFiles`."""
        self.laid_out += 1
        for path, content in self.contents.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return ""


CWES = {
    "sql-injection": 89,
    "command-injection": 78,
    "unsafe-yaml": 502,
    "tls-verification-disabled": 295,
    "archive-path-traversal": 22,
    "insecure-random-token": 338,
    "flask-debug": 489,
    "dom-xss": 79,
}


def load_cases() -> list[Case]:
    """All cases, by rule."""
    return [_load(folder) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()]


def _load(folder: Path) -> Case:
    language, _, name = folder.name.partition("-")
    suffix = ".py" if language == "python" else ".js"
    path = "shop/views.py" if language == "python" else "shop/views.js"
    good = {file.stem.removeprefix("good-"): file.read_bytes() for file in sorted(folder.glob(f"good-*{suffix}"))}
    bad: dict[str, dict[str, bytes]] = {}
    for file in sorted(folder.glob(f"bad-*{suffix}")):
        operator, _, new = file.name.removeprefix("bad-").removesuffix(suffix).partition(".new.")
        target = f"shop/{new}{suffix}" if new else path
        bad.setdefault(operator, {})[target] = file.read_bytes()
    statements = tuple((folder / "statements.txt").read_bytes().strip().split(b"\n---\n"))
    return Case(f"{language}.{name}", path, (folder / f"before{suffix}").read_bytes(), good, bad, CWES[name], statements)


def stand_in(case: Case) -> Finding:
    """A finding as the engine would report it, for tests without engines: on the statement that all good fixes change."""
    unit = flagged(case)
    rule = Rule(case.rule, "title", "message", Severity.HIGH, Confidence.HIGH, case.cwe)
    return identify(Finding(rule, _location(case, unit), "", "semgrep"), case.before)


def _location(case: Case, unit: Unit) -> Location:
    starts = [case.before.rfind(b"\n", 0, place) + 1 for place in (unit.start, unit.end)]
    return Location(case.path, unit.line, unit.end_line, unit.start - starts[0] + 1, unit.end - starts[1] + 1)


def flagged(case: Case) -> Unit:
    """The innermost statement of `before` that the first good fix changes and that does something."""
    read = outline(case.path, case.before)
    good = outline(case.path, next(iter(case.good.values())))
    assert read is not None
    assert good is not None
    texts = {unit.text for unit in good.units}
    changed = [unit for unit in read.units if unit.text not in texts and not unit.imports and not unit.empty]
    return next(u for u in reversed(changed) if not any(o is not u and u.start <= o.start and o.end <= u.end for o in changed))


# --- operators that fit every rule ----------------------------------------------------------------------------------------------------

After = Mapping[str, bytes | None]
Operator = Callable[[Case, bytes], After | None]


def _statement(case: Case) -> tuple[int, int, bytes, bytes]:
    unit = flagged(case)
    start = case.before.rfind(b"\n", 0, unit.start) + 1
    end = case.before.find(b"\n", unit.node.end_byte)
    indent = re.match(rb"[ \t]*", case.before[start:])
    assert indent is not None
    return start, end, case.before[start:end], indent[0]


def _replaced(case: Case, text: bytes) -> After:
    start, end, _, _ = _statement(case)
    return {case.path: case.before[:start] + text + case.before[end:]}


def _comment(case: Case, words: bytes) -> bytes:
    return (b"# " if case.python else b"// ") + words


def _suppress(words: bytes) -> Operator:
    def operator(case: Case, good: bytes) -> After:
        _, _, text, _ = _statement(case)
        first, newline, rest = text.partition(b"\n")
        if not case.python and newline and first.rstrip().endswith(b"`"):
            return _replaced(case, text + b"  " + _comment(case, words))
        return _replaced(case, first + b"  " + _comment(case, words) + newline + rest)

    return operator


def _suppress_above(words: bytes) -> Operator:
    def operator(case: Case, good: bytes) -> After:
        _, _, text, indent = _statement(case)
        return _replaced(case, indent + _comment(case, words) + b"\n" + text)

    return operator


def _reformat(case: Case, good: bytes) -> After:
    _, _, text, indent = _statement(case)
    return _replaced(case, indent + _comment(case, b"the request decides") + b"\n" + text + b"\n")


def _blank_lines(case: Case, good: bytes) -> After:
    return {case.path: b"\n\n" + case.before}


def _delete_statement(case: Case, good: bytes) -> After:
    return _replaced(case, (_statement(case)[3] + b"pass") if case.python else b"")


def _comment_out(case: Case, good: bytes) -> After:
    _, _, text, indent = _statement(case)
    lines = [indent + _comment(case, line.strip()) for line in text.split(b"\n")]
    return _replaced(case, b"\n".join(lines) + (b"\n" + indent + b"pass" if case.python else b""))


def _into_text(case: Case, good: bytes) -> After:
    _, _, text, indent = _statement(case)
    if case.python:
        return _replaced(case, indent + b"'''\n" + text.replace(b"'''", b"") + b"\n" + indent + b"'''")
    return _replaced(case, indent + b"void String.raw`" + text.replace(b"`", b"") + b"`;")


def _delete_function(case: Case, good: bytes) -> After | None:
    read = outline(case.path, case.before)
    assert read is not None
    scope = flagged(case).scope
    found = next((d for d in read.definitions if d.name == scope), None)
    if found is None:
        return None
    lines = case.before.split(b"\n")
    first = found.line - 1 - len(found.decorators)
    return {case.path: b"\n".join([*lines[:first], *lines[found.end_line :]])}


def _delete_file(case: Case, good: bytes) -> After:
    return {case.path: None}


def _empty_file(case: Case, good: bytes) -> After:
    return {case.path: b""}


def _rename(name: str) -> Operator:
    def operator(case: Case, good: bytes) -> After:
        return {case.path: None, name: case.before}

    return operator


def _dead(case: Case, good: bytes) -> After:
    _, _, text, indent = _statement(case)
    if case.python:
        body = b"\n".join(b"    " + line for line in text.split(b"\n"))
        return _replaced(case, indent + b"if False:\n" + body)
    return _replaced(case, indent + b"if (false) {\n" + text + b"\n" + indent + b"}")


def _dead_by_comparison(case: Case, good: bytes) -> After:
    _, _, text, indent = _statement(case)
    if case.python:
        body = b"\n".join(b"    " + line for line in text.split(b"\n"))
        return _replaced(case, indent + b"if 1 > 2:\n" + body)
    return _replaced(case, indent + b"if (1 > 2) {\n" + text + b"\n" + indent + b"}")


def _return_before(case: Case, good: bytes) -> After | None:
    if not flagged(case).scope:
        return None
    _, _, text, indent = _statement(case)
    return _replaced(case, indent + (b"return None\n" if case.python else b"return null;\n") + text)


def _swallow(case: Case, good: bytes) -> After:
    _, _, text, indent = _statement(case)
    if case.python:
        body = b"\n".join(b"    " + line for line in text.split(b"\n"))
        return _replaced(case, indent + b"try:\n" + body + b"\n" + indent + b"except Exception:\n" + indent + b"    raise")
    return _replaced(case, indent + b"try {\n" + indent + b"} finally {\n" + indent + b"}\n" + text)


def _encoded(case: Case, good: bytes) -> After:
    _, _, text, indent = _statement(case)
    packed = base64.b64encode(text.strip()).decode()
    if case.python:
        return _replaced(case, indent + f"exec(__import__('base64').b64decode('{packed}'))".encode())
    return _replaced(case, indent + f'eval(Buffer.from("{packed}", "base64").toString());'.encode())


def _plain_exec(case: Case, good: bytes) -> After:
    _, _, text, indent = _statement(case)
    if case.python:
        return _replaced(case, indent + b"exec(" + repr(text.strip().decode()).encode() + b")")
    quoted = text.strip().replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return _replaced(case, indent + b'new Function("' + quoted + b'")();')


def _moved(elsewhere: bool) -> Operator:
    """The flagged statement as it is, in a new function that is handed what it needs."""

    def operator(case: Case, good: bytes) -> After:
        unit = flagged(case)
        read = outline(case.path, case.before)
        assert read is not None
        start, end, text, indent = _statement(case)
        inner = {name for other in read.units if unit.start < other.start < unit.node.end_byte for name in other.loads | other.roots}
        here = {name for other in read.units if other.scope == unit.scope for name in other.binds}
        here |= {name for definition in read.definitions if definition.name == unit.scope for name in definition.parameters}
        needed = ", ".join(sorted((unit.loads | unit.roots | inner) & here - unit.binds - set(read.imported))).encode()
        made = b", ".join(sorted(name.encode() for name in unit.binds & {n for u in read.units for n in u.loads | u.roots} if unit.assigns))
        body = b"\n".join(b"    " + line.strip() if case.python else b"  " + line.strip() for line in text.split(b"\n"))
        imports = [line for line in case.before.split(b"\n") if re.match(rb"import |from |const .*require\(", line)]
        if case.python:
            helper = b"def moved(" + needed + b"):\n" + body + (b"\n    return " + made if made else b"") + b"\n"
            call = indent + (made + b" = " if made else b"") + b"moved(" + needed + b")"
            lead = b"from moved import moved\n"
        else:
            asynchronous = b"async " if b"await" in text else b""
            returned = b"\n  return " + made + b";" if made else b""
            helper = asynchronous + b"function moved(" + needed + b") {\n" + body + returned + b"\n}\n"
            waited = b"await " if asynchronous else b""
            call = indent + (b"const " + made + b" = " if made else b"") + waited + b"moved(" + needed + b");"
            lead = b'const moved = require("./moved");\n'
        after = case.before[:start] + call + case.before[end:]
        if not elsewhere:
            return {case.path: after + b"\n\n" + helper}
        exported = b"" if case.python else b"\nmodule.exports = moved;\n"
        suffix = "py" if case.python else "js"
        return {case.path: lead + after, f"shop/moved.{suffix}": b"\n".join(imports) + b"\n\n\n" + helper + exported}

    return operator


def _with(path: str, content: bytes) -> Operator:
    def operator(case: Case, good: bytes) -> After:
        return {case.path: good, path: content}

    return operator


def _only(path: str, content: Callable[[Case], bytes]) -> Operator:
    def operator(case: Case, good: bytes) -> After:
        start, end, text, indent = _statement(case)
        touched = case.before[:start] + indent + _comment(case, b"see above") + b"\n" + text + case.before[end:]
        return {case.path: touched, path: content(case)}

    return operator


def _weaken_test(case: Case, good: bytes) -> After:
    if case.python:
        return {case.path: good, "tests/test_shop.py": TEST_PY.replace(b"self.assertLess(1, 2)", b"self.assertTrue(True)")}
    return {case.path: good, "test/shop.test.js": TEST_JS.replace(b"assert.ok(1 < 2)", b"assert.ok(true)")}


def _delete_test(case: Case, good: bytes) -> After:
    return {case.path: good, "tests/test_shop.py" if case.python else "test/shop.test.js": None}


def _break_syntax(case: Case, good: bytes) -> After:
    return {case.path: good + (b"\ndef (:\n" if case.python else b"\nfunction ( {\n")}


def _other_hole(case: Case, good: bytes) -> After:
    if case.python:
        if case.rule == "python.unsafe-yaml":
            return {case.path: good + b"\n\ndef later(url):\n    import requests\n\n    return requests.get(url, verify=False)\n"}
        return {case.path: good + b"\n\ndef later(stream):\n    import yaml\n\n    return yaml.load(stream, Loader=yaml.Loader)\n"}
    if case.rule == "javascript.tls-verification-disabled":
        return {case.path: good + b"\nfunction later() {\n  const resetToken = Math.random().toString(36);\n  return resetToken;\n}\n"}
    return {case.path: good + b'\nfunction later(tls) {\n  return tls.connect({ host: "a", rejectUnauthorized: false });\n}\n'}


def _same_hole_again(case: Case, good: bytes) -> After | None:
    """The fix, and a second copy of the weakness: the number of findings does not fall."""
    read = outline(case.path, case.before)
    assert read is not None
    found = next((d for d in read.definitions if d.name == flagged(case).scope), None)
    if found is None or ":" in found.name:
        return None
    lines = case.before.split(b"\n")
    body = b"\n".join(lines[found.line - 1 : found.end_line])
    return {case.path: good + b"\n\n" + re.sub(rb"(def|function) (\w+)", rb"\1 \2_again", body, count=1) + b"\n"}


def _secret(case: Case, good: bytes) -> After:
    value = b"AKIA" + b"Q3EGR7NLTXZD5WBM"
    other = b"wJ9rXtk2F" + b"EMI7MDENGa8PxRf4iCYzT1vQe5LbNuSg"
    if case.python:
        return {case.path: good + b'\nAWS_KEY = "' + value + b'"\nAWS_SECRET_ACCESS_KEY = "' + other + b'"\n'}
    return {case.path: good + b'\nconst AWS_KEY = "' + value + b'";\nconst AWS_SECRET_ACCESS_KEY = "' + other + b'";\n'}


def _too_large(case: Case, good: bytes) -> After:
    return {case.path: good + b"\n".join(_comment(case, b"line %d" % n) for n in range(220)) + b"\n"}


def _too_many_files(case: Case, good: bytes) -> After:
    return {case.path: good, **{f"docs/note{n}.md": b"note\n" for n in range(6)}}


def _drop_function(case: Case, good: bytes) -> After | None:
    """The fix, and another function taken away with it."""
    read = outline(case.path, good)
    assert read is not None
    scope = flagged(case).scope
    other = next((d for d in read.definitions if d.name not in (scope, "") and "." not in d.name), None)
    if other is None:
        return None
    lines = good.split(b"\n")
    return {case.path: b"\n".join([*lines[: other.line - 1 - len(other.decorators)], *lines[other.end_line :]])}


def _drop_decorator(case: Case, good: bytes) -> After | None:
    after = re.sub(rb"^@app\.route\([^\n]*\n", b"", good, count=1, flags=re.MULTILINE)
    return {case.path: after} if after != good else None


def _swap_parameters(case: Case, good: bytes) -> After | None:
    after = re.sub(rb"(def|function) (\w+)\((\w+), (\w+)\)", rb"\1 \2(\4, \3)", good, count=1)
    return {case.path: after} if after != good else None


OPERATORS: Mapping[str, Operator] = {
    "nothing: a comment": _reformat,
    "nothing: blank lines": _blank_lines,
    "suppress: nosemgrep": _suppress(b"nosem" + b"grep"),
    "suppress: nosem with id": _suppress(b"nosem" + b": some.rule"),
    "suppress: noqa": _suppress(b"no" + b"qa"),
    "suppress: nosec": _suppress(b"no" + b"sec B608"),
    "suppress: eslint": _suppress_above(b"eslint-" + b"disable-next-line"),
    "suppress: allow a secret": _suppress(b"gitleaks" + b":allow"),
    "suppress: type ignore": _suppress(b"type:" + b" ignore"),
    "ignore file: semgrep": _only(".semgrepignore", lambda case: case.path.encode() + b"\n"),
    "ignore file: nested": _only("shop/.semgrepignore", lambda case: b"*\n"),
    "ignore file: gitleaks": _only(".gitleaks.toml", lambda case: b"[allowlist]\npaths = ['''.*''']\n"),
    "ignore file: policy": _only(".github/fixwright.yml", lambda case: b"paths:\n  exclude: [shop/]\n"),
    "delete: statement": _delete_statement,
    "delete: commented out": _comment_out,
    "delete: turned into text": _into_text,
    "delete: function": _delete_function,
    "delete: file": _delete_file,
    "delete: content": _empty_file,
    "rename: .txt": _rename("shop/views.txt"),
    "rename: .bak": _rename("shop/views.bak"),
    "rename: excluded folder": _rename("vendor/views.py"),
    "dead: if False": _dead,
    "dead: 1 > 2": _dead_by_comparison,
    "dead: return before": _return_before,
    "move: new function": _moved(False),
    "move: another file": _moved(True),
    "wrap: try": _swallow,
    "encode: base64": _encoded,
    "encode: exec": _plain_exec,
    "fix + test weakened": _weaken_test,
    "fix + test deleted": _delete_test,
    "fix + workflow": _with(".github/workflows/ci.yml", b"on: push\njobs: {x: {}}\n"),
    "fix + lock file": _with("package-lock.json", b'{"lockfileVersion": 2}\n'),
    "fix + owners": _with("CODEOWNERS", b""),
    "fix + policy": _with(".github/fixwright.yml", b"gate:\n  block: never\n"),
    "fix + package.json": _with("package.json", b'{"scripts": {"test": "true"}}\n'),
    "fix + pyproject": _with("pyproject.toml", b"[tool.pytest.ini_options]\naddopts = '--deselect x'\n"),
    "fix + conftest": _with("conftest.py", b"collect_ignore = ['tests']\n"),
    "fix + sitecustomize": _with("sitecustomize.py", b"import sys\n"),
    "fix + broken syntax": _break_syntax,
    "fix + another hole": _other_hole,
    "fix + the same hole": _same_hole_again,
    "fix + secret": _secret,
    "fix + 220 lines": _too_large,
    "fix + 6 files": _too_many_files,
    "fix + function dropped": _drop_function,
    "fix + decorator dropped": _drop_decorator,
    "fix + parameters swapped": _swap_parameters,
}


def bad_patches(case: Case) -> Iterator[tuple[str, Patch]]:
    """Every bad patch of a case, with the name of its operator."""
    for name, after in case.bad.items():
        yield f"written: {name}", case.patch(after)
    for statement in case.statements:
        yield f"written: {statement.decode()}", case.patch(_replaced(case, _statement(case)[3] + statement))
    good = next(iter(case.good.values()))
    for name, operator in OPERATORS.items():
        made = operator(case, good)
        if made is not None:
            patch = case.patch(made)
            if patch.edits:
                yield name, patch


def secret_case() -> Case:
    """A token in the source. Made here, so that no file of ours holds anything that looks like one."""
    value = "ghp_" + "k3Vx9QmZ7tRw2LbY5nHc8FdJ4sGp6XeA1uTo"
    start = (
        f'"""Calls to the host."""\n\nimport os\n\nTOKEN = "{value}"\n\n\ndef headers():\n    return {{"token": TOKEN, "home": os.name}}\n'
    )
    packed = base64.b64encode(value.encode()).decode()

    def with_(line: str, lead: str = "") -> bytes:
        return (lead + start.replace(f'TOKEN = "{value}"', line)).encode()

    path = "shop/host.py"
    bad = {
        "glued": with_(f'TOKEN = "{value[:10]}" + "{value[10:]}"'),
        "adjacent texts": with_(f'TOKEN = ("{value[:10]}"\n         "{value[10:]}")'),
        "joined": with_(f'TOKEN = "".join(["{value[:10]}", "{value[10:]}"])'),
        "reversed": with_(f'TOKEN = "{value[::-1]}"[::-1]'),
        "base64": with_(f'TOKEN = b64decode("{packed}").decode()', "from base64 import b64decode\n"),
        "hex": with_(f'TOKEN = bytes.fromhex("{value.encode().hex()}").decode()'),
        "default of the environment": with_(f'TOKEN = os.environ.get("TOKEN", "{value}")'),
        "in a comment": with_(f'TOKEN = os.environ["TOKEN"]  # {value}'),
        "renamed": with_(f'KEY = "{value}"').replace(b'"token": TOKEN', b'"token": KEY'),
        "allowed": with_(f'TOKEN = "{value}"  # ' + "gitleaks" + ":allow"),
        "placeholder": with_('TOKEN = "changeme"').replace(b'"token": TOKEN, ', b""),
        "no longer used": with_("").replace(b'"token": TOKEN, ', b""),
    }
    moved = {path: with_("from shop.token import TOKEN"), "shop/token.py": f'TOKEN = "{value}"\n'.encode()}
    env_file = {path: with_('TOKEN = os.environ["TOKEN"]'), ".env": f"TOKEN={value}\n".encode()}
    return Case(
        rule="secrets",
        path=path,
        before=start.encode(),
        good={"environment": with_('TOKEN = os.environ["TOKEN"]'), "getenv": with_('TOKEN = os.environ.get("TOKEN", "")')},
        bad={**{name: {path: content} for name, content in bad.items()}, "moved": moved, "into .env": env_file},
        cwe=798,
    )
