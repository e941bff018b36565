"""What test runs print, as names of tests."""

from __future__ import annotations

import pytest

from pipeline.triage.testnames import Style, parse_tests

UNITTEST_311 = b"""test_bad (tests.test_a.T.test_bad) ... FAIL
test_doc (tests.test_a.T.test_doc)
A sentence about it. ... ok
test_error (tests.test_a.T.test_error) ... ERROR
test_expected (tests.test_a.T.test_expected) ... expected failure
test_good (tests.test_a.T.test_good) ... ok
test_skip (tests.test_a.T.test_skip) ... skipped 'not here'
test_sub (tests.test_a.T.test_sub) ... \n  test_sub (tests.test_a.T.test_sub) (i=1) ... FAIL
test_surprise (tests.test_a.T.test_surprise) ... unexpected success

======================================================================
ERROR: test_error (tests.test_a.T.test_error)
----------------------------------------------------------------------
Traceback (most recent call last):
ERROR: setUpClass (tests.test_b.U)
----------------------------------------------------------------------
Ran 8 tests in 0.002s
"""
UNITTEST_310 = b"test_good (tests.test_a.T) ... ok\ntest_bad (tests.test_a.T) ... FAIL\n\nFAIL: test_bad (tests.test_a.T)\n"
PYTEST = b"""============================= test session starts ==============================
collected 6 items

tests/test_a.py::test_good PASSED                                        [ 16%]
tests/test_a.py::TestX::test_param[a b-1] PASSED                         [ 33%]
tests/test_a.py::test_bad FAILED                                         [ 50%]
tests/test_a.py::test_setup ERROR                                        [ 66%]
tests/test_a.py::test_skip SKIPPED (why not)                             [ 83%]
tests/test_a.py::test_xfail XFAIL (known)                                [100%]

=========================== short test summary info ============================
FAILED tests/test_a.py::test_bad - assert 1 == 2
ERROR tests/test_b.py
"""
TAP = b"""TAP version 13
# Subtest: outer
    # Subtest: inner
    ok 1 - inner
      ---
      duration_ms: 0.1
      ...
    # Subtest: broken
    not ok 2 - broken
    1..2
not ok 1 - outer
# Subtest: left out
ok 2 - left out # SKIP
# Subtest: later
not ok 3 - later # TODO
ok 4 - plain
1..4
# pass 2
"""


@pytest.mark.parametrize(
    ("style", "output", "passed", "failed"),
    [
        (
            "unittest",
            UNITTEST_311,
            ("tests.test_a.T.test_doc", "tests.test_a.T.test_expected", "tests.test_a.T.test_good"),
            (
                "tests.test_a.T.test_bad",
                "tests.test_a.T.test_error",
                "tests.test_a.T.test_sub",
                "tests.test_a.T.test_surprise",
                "tests.test_b.U.setUpClass",
            ),
        ),
        ("unittest", UNITTEST_310, ("tests.test_a.T.test_good",), ("tests.test_a.T.test_bad",)),
        (
            "pytest",
            PYTEST,
            ("tests/test_a.py::TestX::test_param[a b-1]", "tests/test_a.py::test_good", "tests/test_a.py::test_xfail"),
            ("tests/test_a.py::test_bad", "tests/test_a.py::test_setup", "tests/test_b.py"),
        ),
        ("tap", TAP, ("later", "outer > inner", "plain"), ("outer", "outer > broken")),
        ("exit", PYTEST, ("tests/test_a.py::TestX::test_param[a b-1]", "tests/test_a.py::test_good", "tests/test_a.py::test_xfail"), None),
        ("exit", b"all good\n", (), ()),
        ("pytest", b"\x1b[32mtests/test_a.py::test_good PASSED\x1b[0m\n", ("tests/test_a.py::test_good",), ()),
        ("tap", b"ok 1 - same\nok 2 - same\n", ("same", "same (2)"), ()),
        ("unittest", b"\xff\xfe\x00garbage ... ok\n", (), ()),
    ],
)
def test_names_are_read_from_what_is_printed(style: Style, output: bytes, passed: tuple[str, ...], failed: tuple[str, ...] | None) -> None:
    found = parse_tests(style, output)
    assert found[0] == passed
    if failed is not None:
        assert found[1] == failed
