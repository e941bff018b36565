"""What is odd about a policy that can be used: entries that are over, that mean nothing, or that cannot mean what they say. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

from pipeline.policy.parse import PolicyDocument
from pipeline.policy.patterns import matches


@dataclass(frozen=True, slots=True)
class Warned:
    """Something to look at; the file can be used all the same."""

    key: str
    """Dotted: `ignore.0.until`."""
    line: int
    message: str


def warnings_of(
    document: PolicyDocument, *, today: date, rules: Collection[str], paths: Collection[str] | None, owners: bool
) -> list[Warned]:
    """Everything odd, in the order of the file.

    Args:
        rules: ids of all rules that this version knows; a rule of secrets is known by its prefix.
        paths: files of the repository; None when they are not known.
        owners: True for the owner's policy, which may have `allow`.
    """
    found = [*_ignores(document, today), *_rules(document, rules), *(_patterns(document, paths) if paths is not None else ())]
    if document.policy.allow and not owners:
        found.append(("allow", "only the owner's policy can allow something; here it says nothing"))
    lines = document.lines
    return sorted((Warned(key, lines.get(key, 0), said) for key, said in found), key=lambda warned: (warned.line, warned.key))


def _ignores(document: PolicyDocument, today: date) -> Iterator[tuple[str, str]]:
    for number, entry in enumerate(document.policy.ignore):
        if entry.last_day is None:
            yield f"ignore.{number}.until", "is no date like 2027-01-31: the entry is over, and what it ignored counts again"
        elif not entry.holds(today):
            yield f"ignore.{number}.until", f"is over since {entry.until}: what it ignored counts again"
        if entry.finding is not None and not entry.finding.startswith("v1:"):
            yield f"ignore.{number}.finding", "is a handle: only the server knows whose; the command line needs the fingerprint"


def _rules(document: PolicyDocument, rules: Collection[str]) -> Iterator[tuple[str, str]]:
    named = [(f"ignore.{number}.rule", entry.rule) for number, entry in enumerate(document.policy.ignore) if entry.rule is not None]
    named += [(f"gate.rules.{rule}", rule) for rule in document.policy.gate.rules]
    for key, rule in named:
        if rule not in rules and not rule.startswith("secrets."):
            yield key, f"{rule} is no rule of this version"


def _patterns(document: PolicyDocument, paths: Collection[str]) -> Iterator[tuple[str, str]]:
    policy = document.policy
    named = [(f"paths.exclude.{number}", pattern) for number, pattern in enumerate(policy.paths.exclude)]
    named += [(f"scopes.{name}.paths.{n}", pattern) for name, scope in policy.scopes.items() for n, pattern in enumerate(scope.paths)]
    named += [(f"ignore.{number}.path", entry.path) for number, entry in enumerate(policy.ignore) if entry.path is not None]
    for key, pattern in named:
        if not any(matches(pattern, path) for path in paths):
            yield key, f"{pattern} matches no file"
