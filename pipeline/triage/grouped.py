"""Which findings one pull request mends together: those of a rule, of a file or of a package. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from posixpath import dirname

from pipeline.model.finding import Finding
from pipeline.model.fix import MOST_MEMBERS, Grouping

MANIFESTS = frozenset(
    {
        "pyproject.toml",
        "setup.py",
        "setup.cfg",
        "package.json",
        "go.mod",
        "pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "Cargo.toml",
        "composer.json",
        "Gemfile",
    }
)
"""Files that say of their folder that it is a package."""

MOST_PACKAGES = 2_000
"""Folders with a manifest that are told apart in one repository."""


def packages_in(paths: Iterable[str]) -> list[str]:
    """The folders of a repository that are packages, sorted; `""` is the top. Of more than MOST_PACKAGES, the first."""
    return sorted({dirname(path) for path in paths if path.rpartition("/")[2] in MANIFESTS})[:MOST_PACKAGES]


def package_of(path: str, packages: Collection[str]) -> str:
    """The nearest package that holds a file; where none does, the folder at the top."""
    folder = dirname(path)
    while folder not in packages and folder:
        folder = dirname(folder)
    return folder if folder in packages else path.partition("/")[0] if "/" in path else ""


def grouped(findings: Sequence[Finding], by: Grouping, packages: Collection[str] = ()) -> list[tuple[Finding, ...]]:
    """Findings as one fix run each is to mend them, in the order of the first of each, at most MOST_MEMBERS in one.

    A secret stays alone: whoever merges its fix has to revoke it first.
    """
    lots: dict[tuple[str, str], list[Finding]] = {}
    for number, finding in enumerate(findings):
        key = ("", str(number)) if by == "none" or finding.secret is not None else (by, _key(finding, by, packages))
        lots.setdefault(key, []).append(finding)
    parts = [tuple(lot[start : start + MOST_MEMBERS]) for lot in lots.values() for start in range(0, len(lot), MOST_MEMBERS)]
    return sorted(parts, key=lambda part: findings.index(part[0]))


def _key(finding: Finding, by: Grouping, packages: Collection[str]) -> str:
    if by == "rule":
        return finding.rule.id
    path = finding.location.path
    return path if by == "file" else package_of(path, packages)
