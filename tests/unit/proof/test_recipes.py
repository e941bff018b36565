"""What is cut out of a release for the gate: the change that concerns the finding, whole, and nothing else of the release."""

from __future__ import annotations

from benchmarks.recipes import RECIPES, Recipe, concerning
from tests.unit.proof.test_decisions import finding

BEFORE = b"""import yaml
VERSION = "1"


def read(text):
    return yaml.load(text)


def other(value):
    return value + 1
"""
AFTER = b"""from yaml import safe_load
VERSION = "2"
LIMIT = 10


def read(text):
    return safe_load(text[:LIMIT])


def other(value):
    return value + 2
"""


def test_the_function_its_imports_and_what_it_uses_are_taken_and_nothing_else() -> None:
    recipe = Recipe(ecosystem="pypi", package="made-up", before="1", after="2", path="a.py", line=6, rule="python.unsafe-yaml")
    content = concerning(recipe, BEFORE, AFTER, finding(line=6))
    assert b"return safe_load(text[:LIMIT])" in content and b"from yaml import safe_load" in content and b"LIMIT = 10" in content
    assert b"return value + 1" in content


def test_imports_that_the_fix_does_not_use_are_another_change() -> None:
    recipe = Recipe(ecosystem="pypi", package="made-up", before="1", after="2", path="a.py", line=6, rule="python.unsafe-yaml")
    after = AFTER.replace(b"from yaml import safe_load\n", b"import warnings\nimport yaml\n").replace(b"return safe", b"return yaml.safe")
    content = concerning(recipe, BEFORE, after, finding(line=6))
    assert b"yaml.safe_load" in content and b"warnings" not in content


def test_of_a_function_that_the_release_changes_elsewhere_only_the_named_lines_are_taken() -> None:
    recipe = Recipe(ecosystem="pypi", package="made-up", before="1", after="2", path="a.py", line=4, rule="python.unsafe-yaml", lines=(4,))
    before = b"import yaml\n\ndef read(text):\n    data = yaml.load(text)\n    print(1)\n    data = data or {}\n    return data\n"
    after = before.replace(b"data or {}", b"data or []").replace(b"yaml.load", b"yaml.safe_load")
    assert concerning(recipe, before, after, finding(line=4)) == before.replace(b"yaml.load", b"yaml.safe_load")


def test_each_recipe_names_a_finding_of_a_rule_once() -> None:
    assert len({(r.package, r.path, r.line, r.rule, r.before) for r in RECIPES}) == len(RECIPES) >= 60
    assert all(r.before != r.after for r in RECIPES)
    assert all(len(r.left_out) > 30 for r in RECIPES if r.left_out), "who leaves one out says why"
