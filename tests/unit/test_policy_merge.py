"""The owner's policy above a repository's: nothing passes below it that it does not let pass, whatever the repository's file says."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.finding import Confidence, Severity, Standing
from pipeline.model.scan import ScanType
from pipeline.policy import (
    FREE,
    KEYS,
    Ignore,
    Policy,
    PolicyDocument,
    PolicyScope,
    loosens,
    merge,
    parse_document,
    stands_in,
    under,
    value_of,
)
from pipeline.policy.patterns import matches

_BLOCK = st.sampled_from(["low", "medium", "high", "critical", "never"])
_RULES = ("a.one", "a.two")
_PATTERNS = ("pay/", "tests/", "*.py")
_PATHS = ("pay/a.py", "tests/a.py", "pay/tests/b.js", "c.py", "d.js")
_DAYS = ("2027-01-31", "2027-06-30", "never", "2027-02-31")

_scopes = st.dictionaries(
    st.sampled_from(["x", "y", "z"]),
    st.fixed_dictionaries(
        {"paths": st.lists(st.sampled_from(_PATTERNS), min_size=1, max_size=2, unique=True)},
        optional={"block": _BLOCK, "owners": st.just(["ada"])},
    ),
    max_size=3,
)
_ignores = st.lists(
    st.fixed_dictionaries(
        {"rule": st.sampled_from(_RULES), "reason": st.just("because"), "until": st.sampled_from(_DAYS)},
        optional={"path": st.sampled_from(_PATTERNS)},
    ),
    max_size=3,
)
_files = st.fixed_dictionaries(
    {},
    optional={
        "engines": st.fixed_dictionaries(
            {
                "required": st.lists(
                    st.sampled_from([ScanType.SECRETS, ScanType.SEMGREP, "isolation"]), min_size=1, max_size=3, unique=True
                ).filter(lambda required: required != ["isolation"])
            }
        ),
        "gate": st.fixed_dictionaries(
            {},
            optional={
                "block": _BLOCK,
                "warn": st.sampled_from(["low", "medium", "high", "critical"]),
                "confidence": st.sampled_from(["low", "medium", "high"]),
                "rules": st.dictionaries(st.sampled_from(_RULES), st.sampled_from(["block", "warn", "count"])),
            },
        ),
        "on_incomplete": st.sampled_from(["fail", "warn"]),
        "paths": st.fixed_dictionaries({"exclude": st.lists(st.sampled_from(_PATTERNS), max_size=3, unique=True)}),
        "scopes": _scopes,
        "ignore": _ignores,
        "schedule": st.sampled_from(["never", "weekly", "daily"]),
        "waivers": st.fixed_dictionaries({}, optional={"days": st.integers(1, 730), "by_author": st.booleans()}),
        "tests": st.just({"timeout": 5}),
    },
)
policies = _files.map(Policy.model_validate)


def document(policy: Policy, where: str = "child.yml") -> PolicyDocument:
    return PolicyDocument(policy, where)


def blocked(policy: Policy) -> set[tuple[str, str, Severity, Confidence]]:
    """Everything that a policy blocks, of some that is typical."""
    return {
        (path, rule, severity, confidence)
        for path in _PATHS
        for rule in (*_RULES, "b.other")
        for severity in Severity
        for confidence in Confidence
        if policy.decide(path, rule, severity, confidence).standing is Standing.BLOCKS
    }


def ignored(policy: Policy, today: date) -> set[tuple[str, str]]:
    return {
        (path, rule)
        for path in _PATHS
        for rule in _RULES
        for entry in policy.ignore
        if entry.holds(today) and entry.rule == rule and (entry.path is None or matches(entry.path, path))
    }


# --- the guarantee --------------------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(policies, policies)
def test_nothing_passes_below_an_owner_who_allows_nothing(parent: Policy, child: Policy) -> None:
    policy = merge(document(child), document(parent, "parent.yml")).policy
    assert blocked(parent) <= blocked(policy)
    for path in _PATHS:
        assert parent.excluded(path) or not policy.excluded(path)
    for today in (date(2027, 1, 31), date(2027, 3, 1)):
        assert ignored(policy, today) <= ignored(parent, today)
    assert set(parent.engines.required) <= set(policy.engines.required)
    assert policy.on_incomplete == "fail" or parent.on_incomplete == "warn"
    assert policy.waivers.days <= parent.waivers.days
    assert parent.waivers.by_author or not policy.waivers.by_author
    assert policy.warns(Severity.LOW) or not parent.warns(Severity.LOW)


@given(policies, policies, policies)
def test_nor_does_it_below_a_group_that_lies_in_another_one(top: Policy, group: Policy, child: Policy) -> None:
    group = group.model_copy(update={"allow": tuple(key for key in KEYS if key not in FREE)})
    above, _ = under(document(group, "group.yml"), document(top, "top.yml"))
    policy = merge(document(child), above).policy
    assert above.policy.allow == ()
    assert blocked(top) <= blocked(above.policy) <= blocked(policy)
    for path in _PATHS:
        assert top.excluded(path) or not policy.excluded(path)
    assert ignored(policy, date(2027, 1, 31)) <= ignored(top, date(2027, 1, 31))
    assert set(top.engines.required) <= set(policy.engines.required)
    assert policy.waivers.days <= top.waivers.days


@given(policies, policies)
def test_each_key_is_the_childs_or_the_parents_and_a_refused_one_is_said(parent: Policy, child: Policy) -> None:
    merged = merge(document(child), document(parent, "parent.yml"))
    refused = [key for key in KEYS if stands_in(child, key) and loosens(key, parent, child)]
    for key in KEYS:
        origin = child if stands_in(child, key) and key not in refused else parent
        assert value_of(merged.policy, key) == value_of(origin, key)
    assert len(merged.notes) == len(refused)
    assert all(f" {key} would loosen " in note for key, note in zip(refused, merged.notes, strict=True))


@given(policies, policies, st.lists(st.sampled_from([key for key in KEYS if key not in FREE]), max_size=5))
def test_what_the_owner_allows_is_the_childs(parent: Policy, child: Policy, allowed: list[str]) -> None:
    above = parent.model_copy(update={"allow": tuple(allowed)})
    merged = merge(document(child), document(above, "parent.yml")).policy
    for key in allowed:
        if stands_in(child, key):
            assert value_of(merged, key) == value_of(child, key)


@given(policies)
def test_nothing_is_looser_than_itself_and_a_key_that_nobody_knows_has_no_direction(policy: Policy) -> None:
    assert not any(loosens(key, policy, policy) for key in (*KEYS, "no.such"))


@given(policies, policies, policies, st.sampled_from([key for key in KEYS if key != "scopes"]))
def test_tighter_than_what_is_tighter_is_tighter(first: Policy, second: Policy, third: Policy, key: str) -> None:
    if not loosens(key, first, second) and not loosens(key, second, third):
        assert not loosens(key, first, third)


@given(policies, policies)
def test_a_policy_under_itself_is_itself(child: Policy, parent: Policy) -> None:
    once = merge(document(child), document(parent)).policy
    again = merge(document(once), document(parent)).policy
    assert again == once.model_copy(update={"allow": again.allow})


# --- what is looser, by example -------------------------------------------------------------------------------------------------------


def _ignore(**fields: str) -> dict[str, object]:
    return {"ignore": [{"rule": "a.one", "reason": "x", "until": "2027-01-31", **fields}]}


def _scope(block: str | None, *paths: str, name: str = "x") -> dict[str, object]:
    return {name: {"paths": list(paths), **({"block": block} if block else {})}}


@pytest.mark.parametrize(
    ("key", "parent", "child", "looser"),
    [
        ("gate.block", {"gate": {"block": "high"}}, {"gate": {"block": "critical"}}, True),
        ("gate.block", {"gate": {"block": "high"}}, {"gate": {"block": "never"}}, True),
        ("gate.block", {"gate": {"block": "high"}}, {"gate": {"block": "medium"}}, False),
        ("gate.warn", {}, {"gate": {"warn": "high"}}, True),
        ("gate.confidence", {}, {"gate": {"confidence": "high"}}, True),
        ("gate.confidence", {}, {"gate": {"confidence": "low"}}, False),
        ("gate.rules", {}, {"gate": {"rules": {"a.one": "block"}}}, False),
        ("gate.rules", {}, {"gate": {"rules": {"a.one": "warn"}}}, True),
        ("gate.rules", {"gate": {"rules": {"a.one": "block"}}}, {"gate": {"rules": {}}}, True),
        ("gate.rules", {"gate": {"rules": {"a.one": "warn"}}}, {"gate": {"rules": {"a.one": "count"}}}, True),
        ("gate.rules", {"gate": {"rules": {"a.one": "warn"}}}, {"gate": {"rules": {}}}, False),
        ("on_incomplete", {}, {"on_incomplete": "warn"}, True),
        ("paths.exclude", {"paths": {"exclude": ["a", "b"]}}, {"paths": {"exclude": ["a"]}}, False),
        ("paths.exclude", {"paths": {"exclude": ["a"]}}, {"paths": {"exclude": ["a", "b"]}}, True),
        ("engines.required", {}, {"engines": {"required": ["secrets_scan"]}}, True),
        ("engines.required", {"engines": {"required": ["secrets_scan"]}}, {}, False),
        ("engines.required", {"engines": {"required": ["secrets_scan", "isolation"]}}, {}, True),
        ("engines.required", {}, {"engines": {"required": ["secrets_scan", "semgrep_scan", "isolation"]}}, False),
        ("ignore", {}, _ignore(), True),
        ("ignore", {}, _ignore(until="tomorrow"), False),
        ("ignore", _ignore(), _ignore(), False),
        ("ignore", _ignore(), _ignore(until="2027-01-30"), False),
        ("ignore", _ignore(), _ignore(until="2027-02-01"), True),
        ("ignore", _ignore(), _ignore(path="a/"), True),
        ("ignore", _ignore(), {}, False),
        ("scopes", {}, {"scopes": _scope(None, "pay/")}, False),
        ("scopes", {}, {"scopes": _scope("low", "pay/")}, False),
        ("scopes", {}, {"scopes": _scope("never", "tests/")}, True),
        ("scopes", {"scopes": _scope("never", "tests/")}, {"scopes": _scope("never", "tests/")}, False),
        ("scopes", {"scopes": _scope("never", "tests/")}, {"scopes": _scope("never", "tests/", "pay/")}, True),
        ("scopes", {"scopes": _scope("never", "tests/")}, {"scopes": {}}, False),
        ("scopes", {"scopes": _scope("low", "pay/")}, {"scopes": {}}, True),
        ("scopes", {"scopes": _scope("low", "pay/")}, {"scopes": _scope("low", "pay/", "c.py")}, False),
        ("scopes", {"scopes": _scope("low", "pay/", "c.py")}, {"scopes": _scope("low", "pay/")}, True),
        (
            "scopes",
            {"scopes": {**_scope("never", "tests/"), **_scope("critical", "tests/pay/", name="y")}},
            {"scopes": _scope("never", "tests/")},
            True,
        ),
        ("schedule", {}, {"schedule": "never"}, True),
        ("schedule", {}, {"schedule": "daily"}, False),
        ("waivers.days", {}, {"waivers": {"days": 91}}, True),
        ("waivers.days", {}, {"waivers": {"days": 1}}, False),
        ("waivers.by_author", {}, {"waivers": {"by_author": True}}, True),
        ("tests.command", {"tests": {"command": ["a"]}}, {"tests": {"command": ["true"]}}, False),
    ],
)
def test_looser_is_what_lets_more_pass(key: str, parent: dict[str, object], child: dict[str, object], looser: bool) -> None:
    assert loosens(key, Policy.model_validate(parent), Policy.model_validate(child)) is looser


# --- where values come from -----------------------------------------------------------------------------------------------------------

PARENT = parse_document(
    b"gate:\n  block: medium\n  warn: low\nfixes:\n  labels: [security]\nallow: [paths.exclude]\n", "acme/.github: fixwright.yml"
)
CHILD = parse_document(
    b"gate:\n  block: never\n  confidence: low\npaths:\n  exclude: [vendor/]\ntests:\n  timeout: 60\n", ".github/fixwright.yml at 9d1f0aa"
)


def test_every_value_says_where_it_comes_from() -> None:
    merged = merge(CHILD, PARENT)
    origins = {key: merged.origin(key) for key in ("gate.block", "gate.confidence", "paths.exclude", "fixes.labels", "waivers.days")}
    assert origins == {
        "gate.block": "acme/.github: fixwright.yml:2",
        "gate.confidence": ".github/fixwright.yml:3 at 9d1f0aa",
        "paths.exclude": ".github/fixwright.yml:5 at 9d1f0aa",
        "fixes.labels": "acme/.github: fixwright.yml:5",
        "waivers.days": "defaults",
    }
    assert (merged.policy.gate.block, merged.policy.gate.confidence) == ("medium", "low")
    assert merged.source == ".github/fixwright.yml at 9d1f0aa, under acme/.github: fixwright.yml"


def test_what_is_refused_is_said_with_file_and_line() -> None:
    (note,) = merge(CHILD, PARENT).notes
    assert note == (
        ".github/fixwright.yml:2 at 9d1f0aa: gate.block would loosen what acme/.github: fixwright.yml says and does not allow; "
        "the owner's value stands."
    )


def test_without_an_owners_policy_the_repository_decides_alone() -> None:
    merged = merge(CHILD)
    assert (merged.policy, merged.notes, merged.parent) == (CHILD.policy, (), None)
    assert merged.origin("gate.block") == ".github/fixwright.yml:2 at 9d1f0aa"


def test_an_entry_inside_a_list_has_its_own_line() -> None:
    own = parse_document(
        b"ignore:\n  - {rule: a.b, reason: x, until: 2027-01-31}\n  - {rule: a.c, reason: y, until: 2027-01-31}\n", "p.yml"
    )
    assert merge(own).origin("ignore.1") == "p.yml:3"
    assert merge(own).origin("ignore.7") == "p.yml:1"


def test_scopes_and_ignores_survive_being_kept_and_read_again() -> None:
    policy = Policy(scopes={"pay": PolicyScope(paths=("pay/",), block="low")}, ignore=(Ignore(path="a/", reason="x", until="2027-01-31"),))
    kept = Policy.model_validate_json(policy.model_dump_json(exclude_unset=True))
    assert kept == policy
    assert [key for key in KEYS if stands_in(kept, key)] == ["scopes", "ignore"]


# --- groups that lie in each other ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "allowed"),
    [
        ("", ("gate.block", "paths.exclude")),
        ("gate: {warn: high}\n", ("gate.block", "paths.exclude")),
        ("gate: {block: low}\n", ("paths.exclude",)),
        ("gate: {block: low}\nallow: [gate.block]\n", ("gate.block",)),
        ("allow: []\n", ()),
        ("allow: [schedule, gate.block]\n", ("gate.block",)),
    ],
)
def test_a_group_allows_no_more_than_the_one_that_it_lies_in(group: str, allowed: tuple[str, ...]) -> None:
    top = parse_document(b"allow: [gate.block, paths.exclude]\n", "top.yml")
    found, notes = under(parse_document(group.encode(), "group.yml"), top)
    assert found.policy.allow == allowed
    said = "group.yml:1: top.yml does not allow to loosen schedule; that it is allowed here says nothing."
    assert (said in notes) is ("schedule" in group)


def test_a_group_within_another_loosens_what_that_one_allows_and_the_rest_is_said() -> None:
    top = parse_document(b"gate: {block: medium}\nwaivers: {days: 10}\nallow: [waivers.days]\n", "top.yml")
    group = parse_document(b"gate:\n  block: never\n  confidence: low\nwaivers: {days: 20}\n", "group.yml")
    found, notes = under(group, top)
    assert (found.policy.gate.block, found.policy.gate.confidence, found.policy.waivers.days) == ("medium", "low", 20)
    assert notes == ("group.yml:2: gate.block would loosen what top.yml says and does not allow; the owner's value stands.",)
    merged = merge(parse_document(b"waivers: {days: 30}\n", "own.yml"), found)
    assert merged.policy.waivers.days == 20
    assert merged.source == "own.yml, under group.yml, under top.yml"
    assert {key: merged.origin(key) for key in ("gate.block", "gate.confidence", "waivers.days")} == {
        "gate.block": "top.yml:1",
        "gate.confidence": "group.yml:3",
        "waivers.days": "group.yml:4",
    }
