"""The policy file: what is understood, where an error is, and that a hostile file costs nothing but an error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.errors import PolicyInvalid
from pipeline.model.finding import Confidence, Severity, Standing
from pipeline.model.scan import ScanType
from pipeline.policy import (
    KEYS,
    MAX_BYTES,
    Ignore,
    Paths,
    Policy,
    PolicyPlaces,
    PolicyScope,
    json_schema,
    load_policy,
    parse_document,
    parse_policy,
    value_of,
)

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


quick = pytest.mark.timeout(20)
"""What is tested here takes milliseconds, or for ever."""


# --- what is understood ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"# nothing but a comment\n", b"---\n", b"{}\n", b"\xef\xbb\xbf{}\n"])
def test_an_empty_file_is_the_defaults(content: bytes) -> None:
    assert parse_policy(content) == Policy()


def test_every_key_is_read() -> None:
    policy = parse_policy(
        b"engines:\n  required: [secrets_scan]\n"
        b"gate:\n  block: critical\n  warn: medium\n  confidence: high\n"
        b"on_incomplete: warn\n"
        b"paths:\n  exclude: [vendor/]\n"
        b"tests:\n  command: [python3, -m, pytest, -q]\n  timeout: 60\n"
        b"scopes:\n  pay: {paths: [pay/], owners: ['@acme/pay'], block: low}\n"
        b"ignore:\n  - {rule: python.sql-injection, path: old/, finding: K7Q, reason: constants only, until: 2027-01-31}\n"
        b"fixes: {open: 2, labels: [security], reviewers: [acme/pay, ada]}\n"
        b"schedule: daily\n"
        b"speak: {threads: 3}\n"
        b"waivers: {days: 30, by_author: true}\n"
        b"allow: [ignore, scopes]\n"
    )
    assert policy.scopes["pay"] == PolicyScope(paths=("pay/",), owners=("@acme/pay",), block="low")
    assert policy.ignore == (Ignore(rule="python.sql-injection", path="old/", finding="K7Q", reason="constants only", until="2027-01-31"),)
    assert (policy.fixes.open, policy.fixes.labels, policy.fixes.reviewers) == (2, ("security",), ("acme/pay", "ada"))
    assert policy.schedule == "daily"
    assert policy.speak.threads == 3
    assert (policy.waivers.days, policy.waivers.by_author) == (30, True)
    assert policy.allow == ("ignore", "scopes")
    assert policy.engines.required == (ScanType.SECRETS,)
    assert (policy.gate.block, policy.gate.warn, policy.gate.confidence) == ("critical", "medium", "high")
    assert policy.on_incomplete == "warn"
    assert policy.paths.exclude == ("vendor/",)
    assert (policy.tests.command, policy.tests.timeout) == (("python3", "-m", "pytest", "-q"), 60)


def test_a_scan_named_twice_is_required_once() -> None:
    assert parse_policy(b"engines: {required: [secrets_scan, secrets_scan]}").engines.required == (ScanType.SECRETS,)


@pytest.mark.parametrize(
    ("block", "confidence", "blocked"),
    [
        ("high", "medium", {(s, c) for s in ("HIGH", "CRITICAL") for c in ("MEDIUM", "HIGH")}),
        ("low", "high", {(s, "HIGH") for s in ("LOW", "MEDIUM", "HIGH", "CRITICAL")}),
        ("critical", "low", {("CRITICAL", c) for c in ("LOW", "MEDIUM", "HIGH")}),
        ("never", "low", set()),
    ],
)
def test_what_blocks_is_severity_and_confidence_together(block: str, confidence: str, blocked: set[tuple[str, str]]) -> None:
    policy = parse_policy(f"gate: {{block: {block}, confidence: {confidence}}}".encode())
    got = {(s.name, c.name) for s in Severity for c in Confidence if policy.blocks(s, c)}
    assert got == blocked


def test_what_warns_is_severity_alone() -> None:
    policy = parse_policy(b"gate: {warn: high}")
    assert [severity.name for severity in Severity if policy.warns(severity)] == ["HIGH", "CRITICAL"]


@pytest.mark.parametrize(
    ("path", "rule", "severity", "confidence", "standing", "key"),
    [
        ("app/a.py", "x.y", "HIGH", "HIGH", "blocks", "gate.block"),
        ("app/a.py", "x.y", "HIGH", "LOW", "warns", "gate.confidence"),
        ("app/a.py", "x.y", "MEDIUM", "HIGH", "warns", "gate.block"),
        ("app/a.py", "x.y", "LOW", "HIGH", "counted", "gate.block"),
        ("tests/a.py", "x.y", "CRITICAL", "HIGH", "warns", "scopes.tests.block"),
        ("pay/a.py", "x.y", "LOW", "HIGH", "blocks", "scopes.pay.block"),
        ("pay/tests/a.py", "x.y", "LOW", "HIGH", "blocks", "scopes.pay.block"),
        ("docs/a.py", "x.y", "HIGH", "HIGH", "blocks", "gate.block"),
        ("tests/a.py", "a.always", "LOW", "LOW", "blocks", "gate.rules.a.always"),
        ("pay/a.py", "a.warning", "CRITICAL", "HIGH", "warns", "gate.rules.a.warning"),
        ("pay/a.py", "a.count", "CRITICAL", "HIGH", "counted", "gate.rules.a.count"),
    ],
)
def test_first_the_rule_then_the_strictest_scope_then_the_gate_decides(
    path: str, rule: str, severity: str, confidence: str, standing: str, key: str
) -> None:
    policy = parse_policy(
        b"gate: {warn: medium, rules: {a.always: block, a.warning: warn, a.count: count}}\n"
        b"scopes: {tests: {paths: [tests/], block: never}, pay: {paths: [/pay/], block: low}, docs: {paths: [docs/], owners: [ada]}}\n"
    )
    decision = policy.decide(path, rule, Severity[severity], Confidence[confidence])
    assert (decision.standing, decision.keys[0]) == (Standing(standing), key)


def test_a_file_of_several_scopes_has_all_their_owners_once_and_mentions_nobody() -> None:
    policy = parse_policy(b"scopes: {a: {paths: [x/], owners: ['@acme/a', ada]}, b: {paths: ['*.py'], owners: [ada, bob]}}")
    assert policy.scopes_of("x/a.py") == ("a", "b")
    assert policy.owners_of("x/a.py") == ("acme/a", "ada", "bob")
    assert policy.scopes_of("y/a.js") == policy.owners_of("y/a.js") == ()


# --- errors point at the line ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"# ours\ngates:\n  block: high\n", 2, "gates: there is no such key"),
        (b"gate:\n  block: high\n  warm: low\n", 3, "gate.warm: there is no such key"),
        (b"gate:\n  warn: hihg\n", 2, "gate.warn: Input should be"),
        (b"gate:\n  block: hihg\n", 2, "gate.block: Input should be 'low', 'medium', 'high', 'critical' or 'never'"),
        (b"gate:\n\n\n  - block\n", 1, "gate"),
        (b"on_incomplete: pass\n", 1, "on_incomplete"),
        (b"tests:\n  command: pytest -q\n", 2, "tests.command"),
        (b"tests:\n  timeout: 0\n", 2, "tests.timeout"),
        (b"tests:\n  timeout: 3601\n", 2, "tests.timeout"),
        (b"paths:\n  exclude:\n    - vendor/\n    - ''\n", 4, "paths.exclude.1"),
        (b"engines:\n  required: [secrets_scan, deep_ai_scan]\n", 2, "deep_ai_scan does not exist in this version"),
        (b"engines:\n  required: [secrets_scan, 5, [x]]\n", 2, "engines.required: 5, ['x'] does not exist in this version; use"),
        (b"engines:\n  required: [isolation]\n", 2, "engines.required: isolation is no scan: name the scans, too"),
        (b"engines:\n  required: secrets_scan\n", 2, "engines.required: is a list"),
        (b"engines:\n  required: []\n", 2, "engines.required"),
        (b"gate:\n\tblock: high\n", 2, "not YAML"),
        (b"a: 1\n---\nb: 2\n", 2, "not YAML"),
        (b"- gate\n", 1, "must be a mapping"),
        (b"1: 2\n", 1, "1: "),
        (b"gate:\n  1: 2\n", 2, "gate.1: "),
        (b"gate:\n  rules:\n    Python SQL: block\n", 3, "gate.rules.Python SQL: "),
        (b"gate:\n  rules:\n    python.sql-injection: high\n", 3, "gate.rules.python.sql-injection: "),
        (b"scopes:\n  pay:\n    owners: [ada]\n", 2, "scopes.pay.paths: is missing"),
        (b"scopes:\n  pay:\n    paths: [a]\n    gate: {}\n", 4, "scopes.pay.gate: there is no such key"),
        (b"ignore:\n  - rule: a.b\n    until: 2027-01-31\n", 2, "ignore.0.reason: is missing"),
        (b"ignore:\n  - rule: a.b\n    reason: x\n", 2, "ignore.0.until: is missing"),
        (b"ignore:\n  - rule: a.b\n    reason: ' '\n    until: 2027-01-31\n", 3, "ignore.0.reason"),
        (b"ignore:\n\n  - reason: x\n    until: 2027-01-31\n", 3, "it needs a rule, a path or a finding"),
        (b"ignore:\n  - finding: 'v1:12'\n    reason: x\n    until: 2027-01-31\n", 2, "ignore.0.finding"),
        (b"fixes:\n  reviewers: ['a b']\n", 2, "fixes.reviewers.0"),
        (b"fixes:\n  open: 11\n", 2, "fixes.open: a number from 0 to 10, alone or with `by rule`, `by file` or `by package`"),
        (b"fixes:\n  open: 2 by team\n", 2, "fixes.open: a number from 0 to 10"),
        (b"schedule: hourly\n", 1, "schedule"),
        (b"speak: 1\n", 1, "speak: is a group of keys"),
        (b"scopes: [a]\n", 1, "scopes: is a group of keys"),
        (b"ignore: {rule: x}\n", 1, "ignore: is a list"),
        (b"waivers:\n  days: 0\n", 2, "waivers.days"),
        (b"allow:\n  - tests.command\n", 2, "allow.0"),
    ],
)
def test_an_error_names_the_key_and_the_line(content: bytes, line: int, said: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(content)
    assert caught.value.line == line
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_every_mistake_is_found_with_line_and_column_the_first_one_first() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(b"tests:\n  timeout: 0\ngate:\n  warm: low\n  block: hihg\nignore:\n  - {rule: x, reason: y}\n")
    found = [(e.line, e.column, e.message.partition(":")[0]) for e in (caught.value, *caught.value.others)]
    assert found == [(2, 3, "tests.timeout"), (4, 3, "gate.warm"), (5, 3, "gate.block"), (7, 5, "ignore.0.until")]


def test_lines_of_keys_are_known() -> None:
    document = parse_document(b"gate:\n  warn: low\nignore:\n  - rule: x\n    reason: y\n    until: 2027-01-31\n", "p.yml at 9d1f0aa")
    assert (document.at("gate.warn"), document.at("ignore.0.reason")) == ("p.yml:2 at 9d1f0aa", "p.yml:5 at 9d1f0aa")
    assert document.at("gate.block") == "p.yml at 9d1f0aa"


def test_limits_hold_on_patterns_and_arguments() -> None:
    long = {"exclude": ["x" * 201]}
    many = {"exclude": [f"x{n}" for n in range(101)]}
    for paths in (long, many):
        with pytest.raises(PolicyInvalid, match=r"paths\.exclude"):
            parse_policy(yaml.safe_dump({"paths": paths}).encode())
    with pytest.raises(PolicyInvalid, match=r"tests\.command"):
        parse_policy(yaml.safe_dump({"tests": {"command": ["x"] * 51}}).encode())


# --- what is left out -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "out", "kept"),
    [
        ("vendor/", ["vendor/a.py", "lib/vendor/b.py", "vendor/x/y"], ["vendor", "vendored/a.py", "a/vendor"]),
        ("*.min.js", ["a.min.js", "static/b.min.js"], ["a.js", "min.js.txt"]),
        ("docs/**", ["docs/a", "docs/a/b.py"], ["docs", "src/docs/a", "docs2/a"]),
        ("/only-root", ["only-root", "only-root/a"], ["lib/only-root", "only-root2"]),
        ("/build/", ["build/a"], ["build", "lib/build/a"]),
        ("**/gen/*.py", ["gen/a.py", "x/y/gen/a.py"], ["x/gen/y/a.py", "gen.py"]),
        ("src/*.py", ["src/a.py"], ["src/x/a.py", "lib/src/a.py"]),
        ("a?c", ["abc", "x/abc"], ["ac", "a/c"]),
        ("[ab].py", ["a.py"], ["c.py"]),
        ("Docs/", ["Docs/a"], ["docs/a"]),
        ("!keep", ["!keep"], ["keep"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_patterns_are_those_of_gitignore_without_negation(pattern: str, out: list[str], kept: list[str]) -> None:
    policy = Policy(paths=Paths(exclude=(pattern,)))
    assert [path for path in out if not policy.excluded(path)] == []
    assert [path for path in kept if policy.excluded(path)] == []


def test_one_matching_pattern_of_several_is_enough() -> None:
    policy = Policy(paths=Paths(exclude=("*.lock", "vendor/")))
    assert policy.excluded("vendor/a") and policy.excluded("x.lock") and not policy.excluded("app.py")


_PART = st.text(st.sampled_from("ab.*"), min_size=1, max_size=4).filter(lambda part: part not in (".", ".."))


@given(st.lists(_PART, min_size=1, max_size=4).map("/".join))
def test_a_path_spelled_out_leaves_out_itself_and_what_is_below(path: str) -> None:
    plain = path.replace("*", "b")
    policy = Policy(paths=Paths(exclude=(f"/{plain}",)))
    assert policy.excluded(plain) and policy.excluded(f"{plain}/below")
    assert not policy.excluded(f"{plain}x") and not policy.excluded(f"above/{plain}")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 90 + "b", "a" * 250),
        ("/" + "*a" * 90 + "b", "a" * 250),
        ("x/" + "**a" * 60 + "b", "x/" + "a" * 250),
        ("**/" * 60 + "b", "a/" * 500 + "c"),
        ("/" + "[" * 190, "[" * 200),
    ],
)
@quick
def test_no_pattern_takes_long_on_a_hostile_name(pattern: str, path: str) -> None:
    assert not Policy(paths=Paths(exclude=(pattern,))).excluded(path)


# --- hostile files --------------------------------------------------------------------------------------------------------------------


def _bomb(layers: int) -> bytes:
    """Nine aliases of nine aliases of ...: small on disk, 9 ** layers values when written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, layers)]
    return "\n".join(lines).encode()


def _merge_bomb(layers: int) -> bytes:
    """The same with merge keys, which a YAML reader writes out."""
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, layers)]
    return "\n".join(lines).encode()


HOSTILE = {
    "a tag that makes objects": b"gate: !!python/object/apply:os.system [echo]\n",
    "a tag that names a function": b"gate:\n  block: !!python/name:os.system\n",
    "a megabyte": b"#" * 1_000_000,
    "one byte too many": b"#" * (MAX_BYTES + 1),
    "30,000 open lists": b"[" * 30_000,
    "8,000 open mappings": b"{a: " * 8_000,
    "300 levels of indentation": b"\n".join(b" " * n + b"a:" for n in range(300)),
    "400 closed lists": b"gate: " + b"[" * 400 + b"]" * 400,
    "aliases of aliases": _bomb(40),
    "aliases of aliases as patterns": _bomb(40) + b"\npaths: {exclude: *a39}\n",
    "a list that holds itself": b"&a [*a]\n",
    "a mapping that holds itself": b"gate: &a {block: *a}\n",
    "a number of 60,000 digits": b"tests: {timeout: " + b"9" * 60_000 + b"}\n",
    "a number to the base of sixty": b"tests: {timeout: 1" + b":1" * 30_000 + b"}\n",
    "infinity": b"tests: {timeout: .inf}\n",
    "an impossible date": b"gate: 2001-99-99\n",
    "a NUL": b"gate: \0",
    "Latin-1": b"paths: {exclude: [caf\xe9]}\n",
    "UTF-16": "gate: {block: low}".encode("utf-16"),
    "half of a surrogate pair": b'paths: {exclude: ["\\ud800"]}\n',
    "a list as a key": b"? [a]\n: 2\n",
    "nothing as a key": b"~: 2\n",
    "merge keys of merge keys": _merge_bomb(40),
    "a fraction to the base of sixty": b"tests: {timeout: 1" + b":1" * 30_000 + b".5}\n",
    "a key that stands twice": b"gate: {block: high}\ngate: {block: never}\n",
    "a key that stands twice inside": b"gate:\n  block: high\n  block: never\n",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@quick
def test_a_hostile_file_is_an_error_and_nothing_else(content: bytes) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(content)
    assert len(caught.value.message) < 500


@given(st.binary(max_size=300))
def test_any_bytes_are_a_policy_or_an_error(content: bytes) -> None:
    try:
        parse_policy(content)
    except PolicyInvalid as error:
        assert error.line >= 0


_WORDS = st.sampled_from(["low", "medium", "high", "critical", "never", "warn", "fail", "secrets_scan", 1, 300, None, True, "vendor/"])
_LEAVES = _WORDS | st.lists(_WORDS, max_size=3)
_KEYS = st.sampled_from(
    [
        "engines",
        "gate",
        "on_incomplete",
        "paths",
        "tests",
        "required",
        "block",
        "warn",
        "confidence",
        "exclude",
        "timeout",
        "rules",
        "scopes",
        "ignore",
        "owners",
        "reason",
        "until",
        "schedule",
        "speak",
        "threads",
        "waivers",
        "days",
        "by_author",
        "allow",
    ]
)


@given(st.dictionaries(_KEYS, _LEAVES | st.dictionaries(_KEYS, _LEAVES, max_size=3), max_size=4))
def test_what_the_schema_refuses_the_parser_refuses(document: dict[str, object]) -> None:
    """The published schema is for editors: it must not call a file good that the parser refuses, nor the other way round.

    Two differences are meant: YAML's reading is lax where no harm is done (`yes` as 1, a whole fraction), and the scans that only later
    versions have are refused by the parser with a sentence of its own.
    """
    valid = jsonschema_rs.validator_for(json_schema()).is_valid(document)
    try:
        parse_policy(yaml.safe_dump(document).encode())
        parsed = True
    except PolicyInvalid:
        parsed = False
    if not valid and parsed:
        assert True in _values(document)
    if valid and not parsed:
        pytest.fail(f"the schema takes what the parser refuses: {document}")


def _values(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _values(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _values(inner)]
    return [value]


# --- where it stands ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folders", [(), (".here",), (".here", ".there")])
def test_the_first_place_that_exists_counts(folders: tuple[str, ...]) -> None:
    places = PolicyPlaces(folders)
    files = {place: f"tests: {{timeout: {n + 1}}}".encode() for n, place in enumerate(places.files)}
    assert len(files) == len(folders) + 1
    for n, place in enumerate(places.files):
        policy, source = load_policy(places, files.get)
        assert (policy.tests.timeout, source) == (n + 1, place)
        del files[place]
    assert load_policy(places, files.get) == (Policy(), "defaults")


def test_a_broken_file_is_not_skipped_for_the_next_place() -> None:
    files = {".here/fixwright.yml": b"gate: [", ".fixwright.yml": b"gate: {block: never}"}
    with pytest.raises(PolicyInvalid):
        load_policy(PolicyPlaces((".here",)), files.get)


# --- the pages ------------------------------------------------------------------------------------------------------------------------


def test_the_published_schema_is_that_of_the_code() -> None:
    published = json.loads((REFERENCE / "policy.schema.json").read_text("utf-8"))
    program = "import json, pipeline.policy as p; print(json.dumps(p.json_schema(), indent=2))"
    assert published == json_schema(), f"renew it: .venv/bin/python -c '{program}' > docs/reference/policy.schema.json"


def test_every_key_has_its_section_with_its_default() -> None:
    page = (REFERENCE / "policy.md").read_text("utf-8")
    defaults = {key: json.loads(json.dumps(value_of(Policy(), key))) for key in (*KEYS, "allow")}
    documented = re.findall(r"^## `([a-z_.]+)`\n\nDefault: `(.*)`", page, re.MULTILINE)
    assert {name: json.loads(default) for name, default in documented} == defaults


@pytest.mark.parametrize(
    ("word", "at_once", "by"),
    [("3", 3, "none"), ("0", 0, "none"), ("10 by rule", 10, "rule"), ("0 by file", 0, "file"), ("2 by package", 2, "package")],
)
def test_the_number_of_open_fixes_may_say_what_goes_together(word: str, at_once: int, by: str) -> None:
    fixes = parse_policy(f"fixes: {{open: {word}}}\n".encode()).fixes
    assert (fixes.at_once, fixes.by) == (at_once, by)
    assert Policy.stored(Policy(fixes=fixes).model_dump_json()).fixes == fixes


def test_the_file_has_at_most_25_leaves_and_each_is_described_and_has_a_default() -> None:
    schema = json_schema()
    leaves = dict(_leaves(schema, schema["$defs"], ""))
    assert len(leaves) <= 25, sorted(leaves)
    assert [name for name, leaf in leaves.items() if not leaf.get("description")] == []
    # Inside a list or a mapping that is empty by default something must be said: what it is about, why, until when.
    needed = {"scopes.*.paths", "ignore.*.reason", "ignore.*.until"}
    assert {name for name, leaf in leaves.items() if "default" not in leaf} == needed
    at_top = {name.partition(".*")[0] for name in leaves}
    assert at_top == {*KEYS, "allow"}, "a key that merging does not know of"


def _leaves(part: dict[str, Any], parts: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value of the file that is no group of values, also those inside of lists and mappings of groups."""
    for name, value in part["properties"].items():
        inner = parts.get(str(value.get("$ref", "")).rpartition("/")[2], value)
        if "properties" in inner:
            yield from _leaves(inner, parts, f"{prefix}{name}.")
            continue
        patterns = value.get("patternProperties", {})
        nested: dict[str, Any] = value.get("items") or value.get("additionalProperties") or next(iter(patterns.values()), {})
        group = parts.get(str(nested.get("$ref", "")).rpartition("/")[2], {})
        if "properties" in group:
            yield from _leaves(group, parts, f"{prefix}{name}.*.")
        else:
            yield f"{prefix}{name}", value


def test_every_example_of_the_page_is_a_policy() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", (REFERENCE / "policy.md").read_text("utf-8"), re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        assert parse_policy(example.encode()) != Policy()


def test_what_an_older_version_kept_with_a_review_is_read_without_keys_that_are_gone() -> None:
    assert Policy.stored('{"speak": {"level": "blocking", "threads": 3}, "gone": 1}').speak.threads == 3
    with pytest.raises(ValidationError):
        Policy.model_validate_json('{"speak": {"level": "blocking"}}')
