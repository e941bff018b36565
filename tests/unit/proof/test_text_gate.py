"""What the gate refuses from the patch alone, before any engine runs; and that it does not refuse good fixes there."""

from __future__ import annotations

import time

import pytest

from pipeline.model.finding import Confidence, Finding, Location, Rule, Secret, Severity
from pipeline.model.fix import FileEdit, Patch
from pipeline.triage.intent import protected_kind
from pipeline.triage.proof import check_text
from tests.e2e.proof_cases import Case, load_cases, stand_in
from tests.e2e.proof_operators import OPERATORS, bad_patches

CASES = load_cases()

NEEDS_ENGINES = frozenset(
    ["nothing: a comment", "nothing: blank lines", "wrap: try", "fix + another hole", "fix + the same hole", "fix + secret"]
)
"""The weakness is simply still there, or a new one: only an engine can tell."""


def refused(patch: Patch, finding: Finding) -> list[str]:
    return [check.said for check in check_text(patch, finding) if not check.passed]


def edit(before: str, after: str | None, path: str = "app.py") -> Patch:
    return Patch((FileEdit(path, before.encode(), None if after is None else after.encode()),))


def at(line: int, path: str = "app.py", cwe: int = 89, secret: Secret | None = None, column: int = 1, end_column: int = 1) -> Finding:
    rule = Rule("python.sql-injection", "title", "message", Severity.HIGH, Confidence.HIGH, cwe)
    return Finding(rule, Location(path, line, line, column, end_column), "v1:" + "0" * 32, "semgrep", secret=secret)


@pytest.mark.parametrize(("case", "name"), [(case, name) for case in CASES for name in case.good], ids=lambda v: getattr(v, "rule", v))
def test_a_good_fix_passes_every_check_of_its_text(case: Case, name: str) -> None:
    assert refused(case.patch({case.path: case.good[name]}), stand_in(case)) == []


@pytest.mark.parametrize("operator", sorted(OPERATORS.keys() - NEEDS_ENGINES))
def test_a_mechanical_bad_patch_is_refused_for_every_rule_without_an_engine(operator: str) -> None:
    made = [(case, patch) for case in CASES for name, patch in bad_patches(case) if name == operator]
    assert made
    assert [case.rule for case, patch in made if not refused(patch, stand_in(case))] == []


@pytest.mark.parametrize("way", ["reach: class", "reach: import by name", "reach: attribute protocol", "reach: globals"])
def test_a_call_that_is_reached_by_its_name_is_refused_without_an_engine(way: str) -> None:
    made = [(case, patch) for case in CASES if case.python for name, patch in bad_patches(case) if name == way]
    assert len({case.rule for case, _ in made}) >= 15
    assert [(case.rule, patch.edits[0].after) for case, patch in made if not refused(patch, stand_in(case))] == []


def test_a_part_of_a_value_is_no_remedy_where_engines_follow_it_and_decides_in_a_condition() -> None:
    before = "def f(name):\n    check(name)\n    open(name)\n"
    for line, fine in (("name = name[:100]", False), ("part = name[1:]", False), ("if name[:1] == '/':\n        raise ValueError", True)):
        said = refused(edit(before, before.replace("    open", f"    {line}\n    open")), at(3, cwe=22))
        assert any("takes a part of a value" in text for text in said) is not fine, (line, said)


DISGUISED = ("alias", "import-alias", "getattr", "getattr-glued", "item-call", "methodcaller", "partial", "apply", "eval")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_what_hides_a_call_or_drops_its_work_is_refused_without_an_engine(case: Case) -> None:
    wanted = [name for name in case.bad if name in DISGUISED or (name.endswith(("-dropped", "deleted", "-renamed")) and name != "renamed")]
    assert wanted
    finding = stand_in(case)
    assert [name for name in wanted if not refused(case.patch(case.bad[name]), finding)] == []


FUNCTION = "def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    db.execute(x, b)\n    return x\n"


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ("def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    return x\n", "deleted and nothing does its work"),
        ("def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    print(x, b, db)\n    return x\n", "nothing is called in its place"),
        ("def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    db.execute(x)\n    return x\n", "`b` no longer arrives"),
        ("def f(db, a, b):\n    x = f'{a}'\n    db.execute('?', (x, b))\n    return x\n", "`check` is no longer called"),
        ("def f(db, b, a):\n    check(a)\n    x = f'{a}'\n    db.execute('?', (x, b))\n    return x\n", "parameters"),
        ("def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    db.execute('?', (x, b))\n", "a `return` was removed"),
        (
            "def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    db.execute('?', (x, b))\n    return x\ndef f(*a):\n    pass\n",
            "defined twice",
        ),
        ("def f(db, a, b):\n    return a\n    check(a)\n    x = f'{a}'\n    db.execute('?', (x, b))\n    return x\n", "can never run"),
        (
            "def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    if not True:\n        db.execute('?', (x, b))\n    return x\n",
            "can never run",
        ),
        ("def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    vars(db)['execute'](x, b)\n    return x\n", "`vars` is called"),
        ("def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    send = db.execute\n    send(x, b)\n    return x\n", "`execute` is passed on"),
        ("def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    db.send(x, b)\n    return x\n", "still built from the flagged value"),
    ],
)
def test_what_a_patch_takes_away_or_hides_is_named(after: str, why: str) -> None:
    assert why in "; ".join(refused(edit(FUNCTION, after), at(4)))


def test_what_is_said_of_code_repeats_no_text_of_it() -> None:
    before = "@case('sk_live_AbCd')\ndef f(db, a):\n    Client('sk_live_EfGh').get(a)\n    db.execute(f'{a}')\n"
    after = "def f(db, a):\n    db.execute('?', (a,))\n"
    said = "; ".join(refused(edit(before, after), at(4)))
    assert "`@case(…` was taken from `f`" in said
    assert "sk_live" not in said


@pytest.mark.parametrize(
    "after",
    [
        "def f(db, a, b):\n    check(a)\n    x = '?'\n    db.execute(x, (a, b))\n    return x\n",
        "def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    if not x: raise ValueError(x)\n    db.execute('?', (x, b))\n    return x\n",
        "def f(db, a, b, limit=None):\n    check(a)\n    x = f'{a}'\n    db.execute('?', (x, b))\n    return x\n",
        "import log\ndef f(db, a, b):\n    check(a)\n    x = f'{a}'\n    log.info(x)\n    db.execute('?', (x, b))\n    return x\n",
        "def f(db, a, b):\n    check(a)\n    x = f'{a}'\n    db.execute('? ?', (f'%{a}%', b, x))\n    return x\n",
    ],
)
def test_what_does_the_same_work_in_other_words_is_not_refused(after: str) -> None:
    assert refused(edit(FUNCTION, after), at(4)) == []


def test_a_setting_may_be_taken_back() -> None:
    before = "app = make()\napp.debug = True\napp.run()\n"
    assert refused(edit(before, "app = make()\napp.run()\n"), at(2, cwe=489)) == []


@pytest.mark.parametrize(
    ("cwe", "before", "after", "why"),
    [
        (295, "r = get(url, verify=False)\n", "r = get(url, verify=True)\n", ""),
        (295, "r = get(url, verify=False)\n", "r = get(url.replace('https:', 'http:'))\n", "no TLS"),
        (338, "t = random.choice(a)\n", "t = a[0]\n", "not drawn"),
        (338, "t = random.choice(a)\n", "t = pick(a)\n", "not drawn"),
        (338, "t = random.choice(a)\n", "t = secrets.choice(a)\n", ""),
        (338, "t = random.choice(a)\n", "t = random.SystemRandom().choice(a)\n", ""),
        (79, "box.innerHTML = name\n", "box.onclick = name\n", "runs as well"),
        (79, "box.innerHTML = name\n", "box.textContent = name\n", ""),
    ],
)
def test_the_same_weakness_one_step_further_is_no_fix(cwe: int, before: str, after: str, why: str) -> None:
    said = "; ".join(refused(edit(before, after), at(1, cwe=cwe)))
    assert why in said
    assert bool(why) == bool(said)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (".github/workflows/ci.yml", "a workflow of the build"),
        ("sub/.github/workflows/ci.yml", "a workflow of the build"),
        (".gitlab-ci.yml", "a workflow of the build"),
        ("web/package-lock.json", "a lock file"),
        ("docs/CODEOWNERS", "the list of code owners"),
        (".GitHub/Fixwright.yml", "a policy of Fixwright"),
        ("app/.semgrepignore", "what an engine leaves out"),
        ("web/package.json", "how the project builds and tests itself"),
        ("app/tests/deep/data.json", "a test"),
        ("src/user.test.ts", "a test"),
        ("conftest.py", "a test"),
        ("app/contest.py", ""),
        ("app/latest/views.py", ""),
        ("src/github/workflows.py", ""),
    ],
)
def test_files_that_a_fix_leaves_alone_are_known_by_their_place(path: str, kind: str) -> None:
    assert protected_kind(path) == kind


def test_a_finding_in_a_protected_file_may_be_mended_there() -> None:
    before = "def f(db, a):\n    db.execute(f'{a}')\n"
    after = "def f(db, a):\n    db.execute('?', (a,))\n"
    assert refused(edit(before, after, "tests/test_db.py"), at(2, "tests/test_db.py")) == []
    assert refused(edit(before, after, "tests/test_db.py"), at(2, "app.py"))


VALUE = "Zx81" + "kQ7wPf92LmVt"


@pytest.mark.parametrize(
    "after",
    [
        f"KEY = '{VALUE[:6]}' + '{VALUE[6:]}'\n",
        f"KEY = '{VALUE[:6]}' \\\n    '{VALUE[6:]}'\n",
        f"KEY = '{VALUE[::-1]}'[::-1]\n",
        f"KEY = bytes.fromhex('{VALUE.encode().hex()}').decode()\n",
        f"# was {VALUE}\nKEY = load()\n",
    ],
)
def test_a_secret_that_still_stands_there_in_another_spelling_is_refused(after: str) -> None:
    finding = at(1, secret=Secret("API key", ""), cwe=798, column=8, end_column=8 + len(VALUE))
    said = "; ".join(refused(edit(f"KEY = '{VALUE}'\n", after), finding))
    assert "still stands" in said
    assert VALUE not in said


def test_a_secret_that_moves_to_another_file_is_refused() -> None:
    finding = at(1, secret=Secret("API key", ""), cwe=798, column=8, end_column=8 + len(VALUE))
    patch = Patch(
        (
            FileEdit("app.py", f"KEY = '{VALUE}'\n".encode(), b"from keys import KEY\nKEY = KEY\n"),
            FileEdit("keys.py", None, f"KEY = '{VALUE}'\n".encode()),
        )
    )
    assert any("keys.py" in said for said in refused(patch, finding))


def test_a_secret_that_comes_from_the_environment_is_accepted() -> None:
    finding = at(1, secret=Secret("API key", ""), cwe=798, column=8, end_column=8 + len(VALUE))
    assert refused(edit(f"KEY = '{VALUE}'\n", "import os\n\nKEY = os.environ['KEY']\n"), finding) == []


def test_an_entry_of_a_file_without_statements_must_stay() -> None:
    finding = at(2, "config.yml", secret=Secret("API key", ""), cwe=798, column=7, end_column=7 + len(VALUE))
    before = f"a: 1\nkey: '{VALUE}'\nb: 2\n"
    assert any("deleted instead of mended" in said for said in refused(edit(before, "a: 1\nb: 2\n", "config.yml"), finding))
    assert refused(edit(before, "a: 1\nkey: '${API_KEY}'\nb: 2\n", "config.yml"), finding) == []


@pytest.mark.parametrize("deep", ["x = " + "(" * 3000 + "1" + ")" * 3000 + "\n", "a" + ".b()" * 5000 + "\n", "-" * 20_000 + "1\n"])
def test_nesting_that_nobody_writes_is_refused_in_bounded_time(deep: str) -> None:
    started = time.monotonic()
    assert any("too deep" in said for said in refused(edit(deep, deep + "y = 1\n"), at(1)))
    assert time.monotonic() - started < 20
