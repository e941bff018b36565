"""The same weakness written otherwise: the rules' examples and the fixers' tables, with other names, statements, blocks and texts."""

from __future__ import annotations

import ast
import random
from collections import Counter

from pipeline.stages.examine import RunControl
from pipeline.stages.prove import Engines
from tests.e2e import variants_javascript, variants_plain, variants_python
from tests.e2e.variant_trials import Result, all_variants, put_all_through, rules, some_variants
from tests.engines import INSTALLED, needs_engines
from tests.hostile import SEED

PYTHON = """
import sqlite3

def other():
    pass

def find(cursor, name):
    cursor.execute("SELECT * FROM users WHERE name = '%s'" % name)
"""
JAVASCRIPT = """
const { exec } = require('child_process')
function other() {}
function show(file) {
  exec('cat ' + file)
}
"""
WORKFLOW = """on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - run: make
"""
DOCKERFILE = """FROM debian:12
RUN curl -k https://example.org/a -o tool.tgz && tar xzf tool.tgz
"""


def test_each_kind_changes_how_it_is_written_and_leaves_the_rest_out() -> None:
    made = dict(variants_python.variants(PYTHON, 8, random.Random(1)))
    assert set(made) == {"rename", "split", "wrap", "strings"}
    assert all("def other" not in text and "import sqlite3" in text for text in made.values())
    assert "name" not in {n.arg for n in ast.walk(ast.parse(made["rename"])) if isinstance(n, ast.arg)}
    assert len(made["split"].split("\n")) > len(made["rename"].split("\n"))
    assert " % name" not in made["strings"]
    script = dict(variants_javascript.variants("app.js", JAVASCRIPT, 5, random.Random(1)))
    assert set(script) == {"rename", "split", "wrap", "strings"}
    assert "`cat ${file}`" in script["strings"]
    assert "file" not in script["rename"].replace("function show", "")
    workflow = dict(variants_plain.variants("ci.yml", WORKFLOW, random.Random(1)))
    assert set(workflow) == {"rename", "split", "wrap", "strings"}
    assert "  build:" not in workflow["rename"]
    assert "run: |\n" in workflow["split"]
    assert workflow["wrap"].count("run:") == 2
    assert 'runs-on: "ubuntu-latest"' in workflow["strings"]
    assert set(dict(variants_plain.variants("Dockerfile", DOCKERFILE, random.Random(1)))) == {"rename", "split", "wrap", "strings"}


def test_the_same_seed_gives_the_same_variants() -> None:
    wanted = rules()[:3]
    assert some_variants(7, wanted, 4) == some_variants(7, wanted, 4)
    assert some_variants(7, wanted, 4) != some_variants(8, wanted, 4)


@needs_engines
def test_the_patches_of_every_rule_pass_on_variants_and_leave_nothing_to_do() -> None:
    seed, engines = int(SEED), Engines(RunControl(INSTALLED, lambda: True))
    fired = [result for result in put_all_through(engines, some_variants(seed, rules(), 6)) if result.fired]
    few = [rule for rule in rules() if _passed(fired)[rule] < 3]
    # Another name can be another thing: what is called `portion` is no token. There the rule is asked for everything that there is.
    fired += [result for result in put_all_through(engines, all_variants(seed, few)) if result.fired]
    failed = [f"{r.variant.seed.rule}, {r.variant.kind} of {r.variant.seed.name!r}: {r.said}" for r in fired if r.said]
    print(f"FIXWRIGHT_SEED={seed}: {len(fired)} variants that fire, {len(failed)} fail", *failed, sep="\n")
    assert {rule: _passed(fired)[rule] for rule in rules() if _passed(fired)[rule] < 3} == {}
    assert [said for said in failed if "a second run" in said] == []
    # `python -m benchmarks variants` counts them all; a fixer that leaves a rare spelling alone is no error.
    assert len(failed) * 20 <= len(fired)


def _passed(fired: list[Result]) -> Counter[str]:
    return Counter(result.variant.seed.rule for result in fired if not result.said)
