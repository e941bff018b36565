"""Our rules against their own examples, and what their files must say."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from pipeline.model.finding import Confidence
from pipeline.rulebook import FOLDER, load, residue
from pipeline.sandbox.tree import private_folder
from pipeline.scanners.semgrep import SCANNER, residues
from tests.contract.scanning import Seen, installed, look, tree

TWELVE = {
    "python.archive-path-traversal": 22,
    "python.command-injection": 78,
    "python.flask-debug": 489,
    "python.insecure-random-token": 338,
    "python.sql-injection": 89,
    "python.tls-verification-disabled": 295,
    "python.unsafe-yaml": 502,
    "javascript.command-injection": 78,
    "javascript.dom-xss": 79,
    "javascript.insecure-random-token": 338,
    "javascript.sql-injection": 89,
    "javascript.tls-verification-disabled": 295,
}
every_rule = pytest.mark.parametrize("rule_id", TWELVE)
JAVASCRIPT_ENDINGS = ("js", "mjs", "cjs", "jsx", "ts", "mts", "tsx")


def example(rule_id: str, kind: str) -> Path:
    """The file of examples: `bad` or `good`."""
    language, name = rule_id.split(".")
    return FOLDER / language / f"{name}.{kind}.{'py' if language == 'python' else 'js'}"


def expected(rule_id: str) -> set[tuple[str, int]]:
    """(rule, line) that the bad examples are marked with."""
    marks = enumerate(example(rule_id, "bad").read_text("utf-8").splitlines(), 1)
    return {(match[1], line) for line, text in marks if (match := re.search(r"(?:#|//) expect: (\S+)$", text))}


@cache
def scanned() -> Seen:
    """All examples in one run."""
    with private_folder("examples") as folder:
        files: dict[str, str | bytes] = {f"{rule}.{kind}": example(rule, kind).read_bytes() for rule in TWELVE for kind in ("bad", "good")}
        named: dict[str, str | bytes] = {
            f"{path}.{ending}": content
            for path, content in files.items()
            for ending in (("py",) if path.startswith("python") else JAVASCRIPT_ENDINGS)
        }
        return look(SCANNER, folder / "tree", named)


def places(path: str) -> Iterator[tuple[str, int]]:
    return ((finding.rule.id, finding.location.line) for finding in scanned().findings if finding.location.path == path)


@pytest.mark.engines
@every_rule
def test_every_marked_line_fires_and_no_other(rule_id: str) -> None:
    assert expected(rule_id)
    for ending in ("py",) if rule_id.startswith("python") else JAVASCRIPT_ENDINGS:
        assert sorted(places(f"{rule_id}.bad.{ending}")) == sorted(expected(rule_id)), ending


@pytest.mark.engines
@every_rule
def test_the_good_examples_are_silent(rule_id: str) -> None:
    for ending in ("py",) if rule_id.startswith("python") else JAVASCRIPT_ENDINGS:
        assert list(places(f"{rule_id}.good.{ending}")) == []


@pytest.mark.engines
def test_the_engine_reads_every_example_to_the_end() -> None:
    assert scanned().gaps == {}
    assert len(scanned().covered) == 2 * (7 + 5 * len(JAVASCRIPT_ENDINGS))


@pytest.mark.engines
@every_rule
def test_the_residue_of_a_rule_shows_every_place_that_it_reports(rule_id: str, tmp_path: Path) -> None:
    bad = example(rule_id, "bad")
    shown = residues(rule_id, tree(tmp_path / "tree", {bad.name: bad.read_bytes()}), installed(SCANNER), 60.0)
    lines = {line for place in shown for line in range(place.line, place.end_line + 1)}
    assert {line for _, line in expected(rule_id)} <= lines


HIDDEN = {
    "python.sql-injection": [
        "run = db.execute\nrun(q)",
        'getattr(db, "exec" + "ute")(q)',
        "db.execute(*[q])",
        'operator.methodcaller("execute", q)(db)',
    ],
    "python.command-injection": [
        "import os\nrun = os.system\nrun(c)",
        "import os\ngetattr(os, name)(c)",
        "__import__('os').system(c)",
        'subprocess.run(c, **{"shell": True})',
        'subprocess.run(["sh", "-c", c])',
        "from os import system as s\ns(c)",
    ],
    "python.unsafe-yaml": [
        "import yaml\nread = yaml.load\nread(x, L)",
        "from yaml import load as read",
        "import yaml\nL = yaml.Loader",
        "eval(x)",
    ],
    "python.tls-verification-disabled": [
        'requests.get(u, **{"verify": False})',
        "requests.get(u, verify=0)",
        "requests.get(u, verify=OFF)",
        "s.verify = flag",
        "import ssl\nmode = ssl.CERT_NONE",
        'setattr(s, "verify", False)',
    ],
    "python.insecure-random-token": ["import random\nx = random.random()", "from random import choice as pick", "import random as r"],
    "python.archive-path-traversal": [
        "t.extractall(d)",
        "unpack = t.extractall",
        "shutil.unpack_archive(a, d)",
        'getattr(t, "extract" + "all")(d)',
    ],
    "python.flask-debug": [
        'app.run(**{"debug": True})',
        "app.run(debug=flag)",
        "app.debug = flag",
        'setattr(app, "debug", True)',
        "go = app.run\ngo()",
    ],
    "javascript.sql-injection": [
        "const run = db.query\nrun(q)",
        'db["que" + "ry"](q)',
        "db.query.call(db, q)",
        "Reflect.apply(f, db, [q])",
    ],
    "javascript.command-injection": [
        "const run = cp.exec\nrun(c)",
        'const { exec: run } = require("child_process")',
        'spawn("sh", ["-c", c])',
        "spawn(c, { shell: yes })",
        "cp.exec.call(cp, c)",
    ],
    "javascript.dom-xss": [
        'e["inner" + "HTML"] = x',
        "Object.assign(e, { innerHTML: x })",
        "document.write.call(document, x)",
        "$(e).append(x)",
    ],
    "javascript.tls-verification-disabled": [
        "f({ rejectUnauthorized: flag })",
        'f({ ["rejectUnauthorized"]: false })',
        "f({ rejectUnauthorized })",
        "f({ checkServerIdentity: ok })",
        'process.env["NODE_TLS_" + "REJECT_UNAUTHORIZED"] = 0',
    ],
    "javascript.insecure-random-token": ["const r = Math.random", 'Math["random"]()', "const { random } = Math", "const m = Math"],
}


@pytest.mark.engines
@every_rule
def test_the_residue_sees_what_hides_from_the_rule(rule_id: str, tmp_path: Path) -> None:
    ending = "py" if rule_id.startswith("python") else "js"
    files: dict[str, str | bytes] = {f"{n}.{ending}": text + "\n" for n, text in enumerate(HIDDEN[rule_id])}
    shown = {place.path for place in residues(rule_id, tree(tmp_path / "tree", files), installed(SCANNER), 60.0)}
    assert [files[path] for path in files.keys() - shown] == []


HARMLESS = {
    "python.sql-injection": 'db.execute("SELECT * FROM t WHERE a = ?", (a,))\nq = "SELECT 1"\ndb.execute(q)\n',
    "python.command-injection": 'import subprocess\nsubprocess.run(["ping", "-c", "1", host])\nsubprocess.run("ls", shell=True)\n',
    "python.unsafe-yaml": "import yaml\nyaml.safe_load(x)\nyaml.load(x, Loader=yaml.SafeLoader)\n",
    "python.tls-verification-disabled": 'import requests\nrequests.get(u)\nrequests.get(u, verify="own.pem", timeout=3)\n',
    "python.insecure-random-token": "import secrets\ntoken = secrets.token_urlsafe(32)\npick = secrets.choice(letters)\n",
    "python.archive-path-traversal": 'import tarfile\nwith tarfile.open(a) as t:\n    t.extractall(d, filter="data")\n',
    "python.flask-debug": 'app.run(host="0.0.0.0")\napp.run(debug=False)\napp.debug = False\n',
    "javascript.sql-injection": 'db.query("SELECT * FROM t WHERE a = ?", [a])\nconst row = db.prepare("SELECT ?").get(a)\n',
    "javascript.command-injection": 'const { execFile } = require("child_process")\nexecFile("ping", ["-c", "1", host], cb)\n',
    "javascript.dom-xss": 'e.textContent = x\ne.innerHTML = ""\nlist.append(item)\n',
    "javascript.tls-verification-disabled": "f({ rejectUnauthorized: true, ca })\nf({ host })\n",
    "javascript.insecure-random-token": 'const token = crypto.randomBytes(32).toString("hex")\nconst id = crypto.randomUUID()\n',
}


@pytest.mark.engines
@every_rule
def test_the_residue_is_empty_where_the_safe_form_stands(rule_id: str, tmp_path: Path) -> None:
    name = "a.py" if rule_id.startswith("python") else "a.js"
    assert residues(rule_id, tree(tmp_path / "tree", {name: HARMLESS[rule_id]}), installed(SCANNER), 60.0) == []


TABLE = 'TABLE = "users"\n'
BY_CONSTANT = '    db.execute(f"SELECT * FROM {TABLE} WHERE x = ?", (name,))\n'
QUIET_SQL = {
    "the name of a table is a constant of the file": TABLE + "def f(db, name):\n" + BY_CONSTANT,
    "literal conditions with values": 'def f(rows, n):\n    return rows.extra(where=["name = %s"], params=[n])\n',
}
LOUD_SQL = {
    "a second hole": TABLE + 'def f(db, name):\n    db.execute(f"SELECT * FROM {TABLE} WHERE x = {name}")\n',
    "assigned twice": TABLE + "TABLE = read()\ndef f(db, name):\n" + BY_CONSTANT,
    "assigned in a function": TABLE + "def g(n):\n    global TABLE\n    TABLE = n\ndef f(db, name):\n" + BY_CONSTANT,
    "a parameter": TABLE + "def f(db, name, TABLE):\n" + BY_CONSTANT,
    "a local variable": TABLE + "def f(db, name):\n    TABLE = name\n" + BY_CONSTANT,
    "a loop": TABLE + "def f(db, name):\n  for TABLE in name:\n" + BY_CONSTANT,
    "an import": "from elsewhere import TABLE\ndef f(db, name):\n" + BY_CONSTANT,
    "an import in its place": TABLE + "from request import name as TABLE\ndef f(db, name):\n" + BY_CONSTANT,
    "written through globals": TABLE + 'def f(db, name):\n    globals()["TABLE"] = name\n' + BY_CONSTANT,
    "a condition with a hole": 'def f(rows, n):\n    return rows.extra(where=[f"name = {n}"], params=[])\n',
    "a condition that is joined": 'def f(rows, n):\n    return rows.extra(where=["name = " + n])\n',
    "another door beside": 'def f(rows, n):\n    return rows.extra(where=["a"], params=[], tables=n)\n',
}


@pytest.mark.engines
def test_the_residue_allows_only_what_is_fixed_in_the_file(tmp_path: Path) -> None:
    cases = {**QUIET_SQL, **LOUD_SQL}
    files: dict[str, str | bytes] = {f"{n}.py": text for n, text in enumerate(cases.values())}
    shown = {place.path for place in residues("python.sql-injection", tree(tmp_path / "tree", files), installed(SCANNER), 60.0)}
    assert {name for name, path in zip(cases, files, strict=True) if path in shown} == set(LOUD_SQL)


def test_the_rules_are_exactly_these() -> None:
    assert {rule.id: rule.cwe for rule in load().rules.values()} == TWELVE


@every_rule
def test_a_rule_says_everything_a_reader_needs(rule_id: str) -> None:
    rule = load().rules[rule_id]
    assert 0 < len(rule.title.split()) <= 8
    assert rule.message.endswith(".")
    assert len(rule.message.split(". ")) <= 2
    assert re.match("(Anyone|Whoever) .* can .*|Anyone who .* is offered ", rule.message), "the first sentence says who can do what"
    assert rule.help.endswith(".")
    assert not rule.shadow
    assert residue(rule_id)


def test_a_variant_is_never_surer_than_its_rule() -> None:
    for variant in load().variants.values():
        assert variant.rule.confidence <= load().rules[variant.rule.id].confidence
        assert variant.rule.severity is load().rules[variant.rule.id].severity
    assert load().variants["python.sql-injection.parameter"].rule.confidence is Confidence.MEDIUM


def test_an_unknown_rule_has_no_residue() -> None:
    for unknown in ("python.nothing", "", "..", "python.../secrets/betterleaks"):
        with pytest.raises(KeyError):
            residue(unknown)


def test_the_digest_follows_the_rules_and_not_the_residues(tmp_path: Path) -> None:
    copy = tmp_path / "rules"
    shutil.copytree(FOLDER, copy)
    assert load(copy).digest == load().digest
    changed = tmp_path / "changed"
    shutil.copytree(FOLDER, changed)
    file = changed / "python" / "unsafe-yaml.yml"
    file.write_text(file.read_text("utf-8").replace("unsafe_load_all", "unsafe_load_every"), "utf-8")
    assert load(changed).digest != load().digest
    other = tmp_path / "other"
    shutil.copytree(FOLDER, other)
    (other / "python" / "unsafe-yaml.residue.yml").write_text("rules: []\n", "utf-8")
    assert load(other).digest == load().digest
