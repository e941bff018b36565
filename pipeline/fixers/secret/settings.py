"""Secrets in settings files: only formats that can read a variable, or that are allowed to have no value, are written."""

from __future__ import annotations

import re

from pipeline.fixers.secret.literals import Candidate, Taken, choose, setting_name
from pipeline.model.finding import Finding
from pipeline.rewriting.source import Edit, Source

_ENV = re.compile(r"(?:^|/)(?:\.env(?:\.[\w.-]+)?|[\w.-]+\.env|\.envrc)$")
_COMPOSE = re.compile(r"(?:^|/)(?:docker-)?compose(?:[.-][\w.-]+)?\.ya?ml$")
_SPRING = re.compile(r"(?:^|/)(?:application|bootstrap)(?:-[\w.-]+)?\.(?:properties|ya?ml)$")
_SHELL = re.compile(r"\.(?:sh|bash)$")
_NPMRC = re.compile(r"(?:^|/)\.npmrc$")

_VALUE = r"""(?P<quote>["']?)(?P<value>[^\s"'#]+)(?P=quote)\s*(?:#.*)?"""
_EQUALS = re.compile(rf"""\s*(?:export\s+)?(?P<name>[\w.:/@-]+)\s*=\s*{_VALUE}""")
_YAML = re.compile(rf"""\s*(?:-\s+(?P<item>[\w.-]+)=|(?:-\s+)?(?P<name>[\w.-]+):\s+){_VALUE}""")


def knows(path: str) -> bool:
    """True for the formats below."""
    return any(kind.search(path) for kind in (_ENV, _COMPOSE, _SPRING, _SHELL, _NPMRC))


def take(source: Source, finding: Finding) -> Taken | None:
    """The value on the line of the finding; None when the line is more than `name = value`.

    Sources: Compose file "Interpolation"; Spring Boot "Property Placeholders"; npm "npmrc, environment variables"; POSIX shell `${X:?}`.
    """
    start = source.line_start(source.range_of(finding.location)[0])
    line = source.slice(start, source.line_end(start)).rstrip("\r\n")
    match = (_YAML if source.path.endswith((".yml", ".yaml")) else _EQUALS).fullmatch(line)
    if match is None or match["value"].startswith(("$", "{", "&", "*", "!", "|", ">")):
        return None
    place = start + len(line[: match.start("value")].encode())
    candidate = Candidate(place, place + len(match["value"].encode()), match["value"])
    if choose(source, finding, [candidate]) is None or source.text.count(match["value"]) != 1:
        return None
    own = match["name"] or match.groupdict().get("item") or ""
    name = "NPM_TOKEN" if _NPMRC.search(source.path) else setting_name([own.split(":")[-1], own], finding.secret)
    if _ENV.search(source.path):
        return Taken(
            (Edit(candidate.start - len(match["quote"]), candidate.end + len(match["quote"]), ""),), "", match["value"], emptied=True
        )
    if not name:
        return None
    return Taken((_reference(source.path, candidate, match, name),), name, match["value"])


def _reference(path: str, candidate: Candidate, match: re.Match[str], name: str) -> Edit:
    if _SHELL.search(path):
        quotes = len(match["quote"])
        return Edit(candidate.start - quotes, candidate.end + quotes, f'"${{{name}:?}}"')
    return Edit(candidate.start, candidate.end, f"${{{name}}}")
