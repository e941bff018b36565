"""Bad patches made mechanically of any case: on its flagged statement, and on top of its good fix."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping

from pipeline.model.fix import Patch
from pipeline.triage.outline import outline
from tests.e2e.proof_adversaries import MAKERS
from tests.e2e.proof_cases import TEST_JS, TEST_PY, Case, flagged
from tests.e2e.proof_sources import After, comment, replaced, statement

Operator = Callable[[Case, bytes], After | None]


def _suppress(words: bytes) -> Operator:
    def operator(case: Case, good: bytes) -> After:
        _, _, text, _ = statement(case)
        first, newline, rest = text.partition(b"\n")
        if not case.python and newline and first.rstrip().endswith(b"`"):
            return replaced(case, text + b"  " + comment(case, words))
        return replaced(case, first + b"  " + comment(case, words) + newline + rest)

    return operator


def _suppress_above(words: bytes) -> Operator:
    def operator(case: Case, good: bytes) -> After:
        _, _, text, indent = statement(case)
        return replaced(case, indent + comment(case, words) + b"\n" + text)

    return operator


def _reformat(case: Case, good: bytes) -> After:
    _, _, text, indent = statement(case)
    return replaced(case, indent + comment(case, b"the request decides") + b"\n" + text + b"\n")


def _blank_lines(case: Case, good: bytes) -> After:
    return {case.path: b"\n\n" + case.before}


def _delete_statement(case: Case, good: bytes) -> After:
    return replaced(case, (statement(case)[3] + b"pass") if case.python else b"")


def _comment_out(case: Case, good: bytes) -> After:
    _, _, text, indent = statement(case)
    lines = [indent + comment(case, line.strip()) for line in text.split(b"\n")]
    return replaced(case, b"\n".join(lines) + (b"\n" + indent + b"pass" if case.python else b""))


def _into_text(case: Case, good: bytes) -> After:
    _, _, text, indent = statement(case)
    if case.python:
        return replaced(case, indent + b"'''\n" + text.replace(b"'''", b"") + b"\n" + indent + b"'''")
    return replaced(case, indent + b"void String.raw`" + text.replace(b"`", b"") + b"`;")


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
    _, _, text, indent = statement(case)
    if case.python:
        body = b"\n".join(b"    " + line for line in text.split(b"\n"))
        return replaced(case, indent + b"if False:\n" + body)
    return replaced(case, indent + b"if (false) {\n" + text + b"\n" + indent + b"}")


def _dead_by_comparison(case: Case, good: bytes) -> After:
    _, _, text, indent = statement(case)
    if case.python:
        body = b"\n".join(b"    " + line for line in text.split(b"\n"))
        return replaced(case, indent + b"if 1 > 2:\n" + body)
    return replaced(case, indent + b"if (1 > 2) {\n" + text + b"\n" + indent + b"}")


def _return_before(case: Case, good: bytes) -> After | None:
    if not flagged(case).scope:
        return None
    _, _, text, indent = statement(case)
    return replaced(case, indent + (b"return None\n" if case.python else b"return null;\n") + text)


def _swallow(case: Case, good: bytes) -> After:
    _, _, text, indent = statement(case)
    if case.python:
        body = b"\n".join(b"    " + line for line in text.split(b"\n"))
        return replaced(case, indent + b"try:\n" + body + b"\n" + indent + b"except Exception:\n" + indent + b"    raise")
    return replaced(case, indent + b"try {\n" + indent + b"} finally {\n" + indent + b"}\n" + text)


def _encoded(case: Case, good: bytes) -> After:
    _, _, text, indent = statement(case)
    packed = base64.b64encode(text.strip()).decode()
    if case.python:
        return replaced(case, indent + f"exec(__import__('base64').b64decode('{packed}'))".encode())
    return replaced(case, indent + f'eval(Buffer.from("{packed}", "base64").toString());'.encode())


def _plain_exec(case: Case, good: bytes) -> After:
    _, _, text, indent = statement(case)
    if case.python:
        return replaced(case, indent + b"exec(" + repr(text.strip().decode()).encode() + b")")
    quoted = text.strip().replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return replaced(case, indent + b'new Function("' + quoted + b'")();')


def _moved(elsewhere: bool) -> Operator:
    """The flagged statement as it is, in a new function that is handed what it needs."""

    def operator(case: Case, good: bytes) -> After:
        unit = flagged(case)
        read = outline(case.path, case.before)
        assert read is not None
        start, end, text, indent = statement(case)
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
        start, end, text, indent = statement(case)
        touched = case.before[:start] + indent + comment(case, b"see above") + b"\n" + text + case.before[end:]
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
    return {case.path: good + b"\n".join(comment(case, b"line %d" % n) for n in range(220)) + b"\n"}


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
    """Every bad patch of a case, with the name of its operator. What leads to the same contents is one patch."""
    for name, written in case.bad.items():
        yield f"written: {name}", case.patch(written)
    for words in case.statements:
        yield f"written: {words.decode()}", case.patch(replaced(case, statement(case)[3] + words))
    for name, operator in OPERATORS.items():
        known = set()
        for good in case.good.values():
            made = operator(case, good)
            patch = case.patch(made) if made is not None else Patch(())
            if patch.edits and patch.edits not in known:
                known.add(patch.edits)
                yield name, patch
    for maker in MAKERS:
        seen = set()
        for name, after in maker(case):
            patch = case.patch(after)
            if patch.edits and patch.edits not in seen:
                seen.add(patch.edits)
                yield name, patch
