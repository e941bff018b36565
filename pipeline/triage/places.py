"""What kind of place a file is, by its name: what stands in a test or a build script is not what visitors reach."""

from __future__ import annotations

import re

_TESTS = r"__tests__|testdata|specs?|__mocks__|mocks?|e2e|cypress|(?!(la|con|at|pro|fas|grea)tests?/)[\w.-]*tests?|tests?[_.-][\w.-]*"
"""Names of folders; `latest` and `contest` only end like one."""
_TEST_NAME = r"test_[^/]*|[^/]*[._-](test|spec)s?\.\w+|conftest\.py"

_TEST = re.compile(rf"(^|/)({_TESTS}|fixtures?)/|(^|/)({_TEST_NAME})$", re.IGNORECASE)
_EXAMPLE = re.compile(
    rf"(^|/)({_TESTS}|fixtures?|examples?|samples?|demos?|docs?|documentation|node_modules|vendor|third_party)/"
    rf"|(^|/)({_TEST_NAME}|seeds\.\w+|\.env\.(test|testing|ci)|readme[^/]*|changelog[^/]*)$"
    r"|\.(example|sample|template|dist|md|mdx|rst|adoc|ipynb|map)$|\.min\.",
    re.IGNORECASE,
)
_VENDORED = re.compile(r"(^|/)(vendors?|_vendor|third_?party|node_modules|bower_components|jspm_packages)/", re.IGNORECASE)
_TRANSLATION = re.compile(
    r"(^|/)(locales?|i18n|l10n|lang|langs|languages?|translations?)/|(^|/)(locale|messages|translations?)[_.-][a-z]{2,3}([_-]\w+)?\.\w+$"
    r"|\.(po|pot|xlf|xliff|arb|resx|strings)$",
    re.IGNORECASE,
)
_CHORE = re.compile(
    r"(^|/)(scripts?|hack|migrations?|benchmarks?|\.github|\.circleci|\.ci|ci)/"
    r"|(^|/)(build|gulpfile|gruntfile|makefile|jakefile|webpack[^/]*|rollup[^/]*|release|[^/]*\.config)\.[cm]?[jt]s$|(^|/)(setup|noxfile|fabfile)\.py$",
    re.IGNORECASE,
)


def is_test(path: str) -> bool:
    """Tests and what they are fed with."""
    return _TEST.search(path) is not None


def is_example(path: str) -> bool:
    """Where people put values that open nothing: tests, documents, templates, other people's code."""
    return _EXAMPLE.search(path) is not None


def is_vendored(path: str) -> bool:
    """Copies of other people's code, which are mended where they come from."""
    return _VENDORED.search(path) is not None


def is_translation(path: str) -> bool:
    """Texts for readers in their languages."""
    return _TRANSLATION.search(path) is not None


def is_chore(path: str) -> bool:
    """What developers run themselves: build and release scripts, migrations."""
    return _CHORE.search(path) is not None
