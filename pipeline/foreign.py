"""What other scanners found: SARIF 2.1.0 files (OASIS standard with errata 01), read with suspicion. Pure.

A file is taken as a whole or not at all; single results that say nothing usable are counted. Of its prose only short plain text is kept,
and of a result about a secret none at all: tools quote the value there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard
from urllib.parse import unquote_to_bytes

from pipeline.errors import UsageError
from pipeline.escaping import visible
from pipeline.model.finding import Confidence, Rule, Severity
from pipeline.weaknesses import SECRETS

MAX_BYTES = 50 * 1024 * 1024
"""Of one file; read as a whole it takes about ten times that in memory."""

MAX_RESULTS = 25_000
"""Of one file; the first ones, as they come. Code hosts take no more either."""

MAX_RUNS = 20

PREFIX = "sarif."
"""How the ids of others' rules begin: none of ours does, whatever a tool calls itself."""

_MAX_LINE = 10_000_000
_TITLE, _TEXT, _NAME = 80, 400, 60

_CWE = re.compile(r"(?i)\bcwe[-_/ :]{0,3}0{0,4}([1-9][0-9]{0,3})\b")
_BARE = re.compile(r"0{0,4}([1-9][0-9]{0,3})")
_KEPT = re.compile(r"[^a-z0-9._-]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_DRIVE = re.compile(r"/?[A-Za-z]:/")
_SECRET_WORD = re.compile(r"(?i)\b(secrets?|passwords?|credentials?|gitleaks|trufflehog|detect-secrets|betterleaks)\b")

_WIDE_RULES = frozenset({"B201", "B506", "B701", "B702", "B703", *(f"B{n}" for n in (*range(313, 321), *range(405, 412)))})
"""Rules of Bandit that name a class too wide to tell weaknesses apart: CWE-20, CWE-94."""

_NUMBERS = (
    "B102 95 B103 732 B104 605 B105 259 B106 259 B107 259 B108 377 B113 400 B201 489 B202 22 B301 502 B302 502 B303 327 B304 327 B305 327"
    " B306 377 B307 95 B308 79 B310 918 B311 330 B312 319 B321 319 B323 295 B324 327 B501 295 B502 327 B503 327 B504 327 B505 326 B506 502"
    " B507 295 B601 78 B602 78 B603 78 B604 78 B605 78 B606 78 B607 78 B608 89 B609 78 B610 89 B611 89 B612 94 B614 502 B615 494 B701 79"
    " B702 79 B703 79 B704 79 G101 798 G107 918 G201 89 G202 89 G203 79 G204 78 G301 276 G302 276 G304 22 G305 22 G306 276 G401 328"
    " G402 295 G404 338 G501 327 G502 327 G505 327"
)

KNOWN_RULES = {
    **{name: int(cwe) for name, cwe in zip(_NUMBERS.split()[::2], _NUMBERS.split()[1::2], strict=True)},
    **{f"B{number}": 611 for number in (*range(313, 321), *range(405, 412))},
}
"""What the numbered rules of Bandit and gosec look for. Source: their own pages of these rules."""

_LEVELS = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "note": Severity.LOW, "none": Severity.LOW}
_WORDS = {
    "critical": Severity.CRITICAL, "high": Severity.HIGH, "error": Severity.HIGH, "medium": Severity.MEDIUM, "moderate": Severity.MEDIUM,
    "warning": Severity.MEDIUM, "low": Severity.LOW, "info": Severity.LOW,
}  # fmt: skip
_SURE = {"very-high": Confidence.HIGH, "high": Confidence.HIGH, "medium": Confidence.MEDIUM, "low": Confidence.LOW}

Json = object


@dataclass(frozen=True, slots=True)
class Said:
    """One result of another scanner."""

    tool: str
    """Its name as shown: `Bandit`. Plain text."""
    called: str
    """Its own id of the rule: `B608`. Plain text."""
    rule: Rule
    """Its rule in our form; `cwe` is 0 when it names none."""
    cwes: frozenset[int]
    """Every weakness that it names."""
    uri: str
    """The file: relative to the root of the scanned tree, or absolute (with a leading `/`). Decoded, `/` between parts; hostile."""
    line: int
    end_line: int
    column: int
    """1 when the result names none."""
    end_column: int
    """0 when the result names none."""
    secret: bool
    """True when it is about a secret: nothing of its place may be shown."""

    @property
    def witness(self) -> str:
        """`Bandit B608`."""
        return f"{self.tool} {self.called}"


@dataclass(frozen=True, slots=True)
class Log:
    """Everything that one file says."""

    name: str
    """Of the file; plain text."""
    said: tuple[Said, ...]
    tools: tuple[tuple[str, str], ...]
    """Name and version of each tool of it; plain text."""
    commits: tuple[frozenset[str], ...]
    """For each run that names commits (versionControlProvenance): which it was made of, in small letters."""
    left: tuple[tuple[str, str, int], ...] = ()
    """What was not taken, as (tool, why, how many): `its own file says that it may stand`."""
    suppressed: int = 0
    """How many results its own file says may stand."""


def read_log(content: bytes, name: str) -> Log:
    """Read a SARIF file.

    Args:
        content: at most `MAX_BYTES`.
        name: how errors call it.

    Raises:
        UsageError: it is no SARIF 2.1.0 log, it has no run, or it is larger than what is read.
    """
    shown = visible(name)
    if len(content) > MAX_BYTES:
        raise too_large(name)
    try:
        log = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{shown} is not UTF-8, so it is no SARIF file") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{shown} is not JSON, so it is no SARIF file") from None
    version = _object(log).get("version")
    if not isinstance(log, dict) or not isinstance(log.get("runs"), list):
        raise UsageError(f"{shown} is JSON and no SARIF file: it has no runs")
    if version != "2.1.0":
        raise UsageError(f"{shown} is SARIF of another version than 2.1.0, which is the one that is read", hint=_plain(version, 20))
    runs = [_object(run) for run in log["runs"]]
    if not runs:
        raise UsageError(f"{shown} has no run: no scanner says anything in it")
    if len(runs) > MAX_RUNS:
        raise UsageError(f"{shown} has {len(runs)} runs; at most {MAX_RUNS} of one file are read")
    reader = _Reader()
    for run in runs:
        reader.read(run)
    left = tuple((tool, why, count) for (tool, why), count in sorted(reader.left.items()))
    return Log(shown, tuple(reader.said), tuple(dict.fromkeys(reader.tools)), tuple(reader.commits), left, reader.suppressed)


def too_large(name: str) -> UsageError:
    """What is said of a file above the limit."""
    return UsageError(
        f"{visible(name)} is larger than {MAX_BYTES // 1024 // 1024} MB, which is the most that is read of one SARIF file",
        hint="split it by runs, or let the scanner leave out code flows and snippets",
    )


class _Reader:
    """What the runs of one file come to."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.tools: list[tuple[str, str]] = []
        self.commits: list[frozenset[str]] = []
        self.left: Counter[tuple[str, str]] = Counter()
        self.suppressed = 0

    def read(self, run: Mapping[str, Json]) -> None:
        """One run."""
        about = _Run(run)
        self.tools.append((about.tool, _plain(about.driver.get("semanticVersion") or about.driver.get("version"), 40)))
        named = frozenset(_revisions(run))
        if named:
            self.commits.append(named)
        for entry in _list(run.get("results")):
            result = _object(entry)
            if result.get("kind", "fail") not in ("fail", "open", "review") or result.get("baselineState") == "absent":
                continue
            if _suppressed(result):
                self.suppressed += 1
                continue
            if len(self.said) >= MAX_RESULTS:
                self.left[about.tool, f"beyond the first {MAX_RESULTS:,} results of the file"] += 1
                continue
            said = about.result(result)
            if said is None:
                self.left[about.tool, "results that name no file and line"] += 1
            else:
                self.said.append(said)


class _Run:
    """One run's tool, rules and places."""

    def __init__(self, run: Mapping[str, Json]) -> None:
        tool = _object(run.get("tool"))
        self.driver = _object(tool.get("driver"))
        self.tool = _plain(self.driver.get("name"), _NAME) or "unnamed scanner"
        self._components = [self.driver, *(_object(part) for part in _list(tool.get("extensions")))]
        self._rules = [[_object(rule) for rule in _list(part.get("rules"))] for part in self._components]
        self._by_id = {str(rule.get("id")): rule for rules in reversed(self._rules) for rule in reversed(rules)}
        self._artifacts = _list(run.get("artifacts"))
        self._bases = _object(run.get("originalUriBaseIds"))

    def result(self, result: Mapping[str, Json]) -> Said | None:
        """One result, None when it has no place."""
        about = self._rule_of(result)
        name = result.get("ruleId") or _object(result.get("rule")).get("id") or about.get("id")
        place = self._place(result)
        if place is None:
            return None
        called = _plain(name, 100) or "unnamed"
        better = KNOWN_RULES[called] if self.tool.lower() == "bandit" and called in _WIDE_RULES else None
        cwes = {better} if better else {*_cwes(about), *_cwes(result)}
        secret = bool(cwes & SECRETS) or bool(_SECRET_WORD.search(f"{self.tool} {called.replace('_', ' ')}"))
        title = f"{self.tool}: {_title(about, called)}"
        message = _first(_text(about.get("fullDescription")), _text(about.get("shortDescription")))
        if not message and not secret:
            message = _plain(_text(result.get("message")), _TEXT)
        rule = Rule(
            id=_identifier(self.tool, called),
            title=title,
            message=message or f"{title}.",
            severity=_severity(result, about),
            confidence=_confidence(result, about),
            cwe=better or min(_cwes(about) or _cwes(result) or (798,) * secret or (0,), key=lambda cwe: cwe in _WIDE),
        )
        return replace(place, tool=self.tool, called=called, rule=rule, cwes=frozenset(cwes or ({798} if secret else ())), secret=secret)

    def _rule_of(self, result: Mapping[str, Json]) -> Mapping[str, Json]:
        reference = _object(result.get("rule"))
        component = _object(reference.get("toolComponent")).get("index", -1)
        rules = self._rules[component + 1] if _is_index(component, len(self._rules) - 1) else self._rules[0]
        for index in (result.get("ruleIndex"), reference.get("index")):
            if _is_index(index, len(rules)):
                return rules[index]
        name = str(result.get("ruleId") or reference.get("id"))
        return self._by_id.get(name, {}) or self._by_id.get(name.partition("/")[0], {})

    def _place(self, result: Mapping[str, Json]) -> Said | None:
        for entry in _list(result.get("locations"))[:1]:
            physical = _object(_object(entry).get("physicalLocation"))
            uri = self._uri(_object(physical.get("artifactLocation")))
            region = _object(physical.get("region")) or _object(physical.get("contextRegion"))
            line = region.get("startLine")
            if uri and _is_index(line, _MAX_LINE) and line:
                last = region.get("endLine")
                end = last if _is_index(last, _MAX_LINE) and last >= line else line
                column, stop = region.get("startColumn"), region.get("endColumn")
                return Said(
                    "", "", _NO_RULE, frozenset(), uri, line, end,
                    column if _is_index(column, _MAX_LINE) and column else 1, stop if _is_index(stop, _MAX_LINE) else 0, False,
                )  # fmt: skip
        return None

    def _uri(self, location: Mapping[str, Json]) -> str:
        index = location.get("index")
        if not location.get("uri") and _is_index(index, len(self._artifacts)):
            location = _object(_object(self._artifacts[index]).get("location"))
        uri = location.get("uri")
        if not isinstance(uri, str) or not 0 < len(uri) <= 4_096:
            return ""
        path = _path(uri)
        base = location.get("uriBaseId")
        for _ in range(5):  # a base may stand on another one
            if path.startswith("/") or not isinstance(base, str):
                break
            known = _object(self._bases.get(base))
            above = known.get("uri")
            if isinstance(above, str) and above:
                path = f"{_path(above).rstrip('/')}/{path}"
            base = known.get("uriBaseId")
        return path


_NO_RULE = Rule("", "", "", Severity.LOW, Confidence.LOW, 0)
_WIDE = frozenset({20, 74, 94, 664, 693, 707, 710})
"""Classes above many weaknesses: another number of the same rule says more."""


def _path(uri: str) -> str:
    """A URI, or what tools write in the place of one, as a path."""
    scheme = _SCHEME.fullmatch(uri)
    text = uri
    if scheme is not None and len(scheme[1]) > 1:
        if scheme[1].lower() != "file":
            return ""
        text = scheme[2]
        if text.startswith("//"):  # an authority, mostly an empty one
            text = "/" + text[2:].partition("/")[2]
    decoded = unquote_to_bytes(text).decode("utf-8", "surrogateescape").replace("\\", "/")
    if _DRIVE.match(decoded):
        decoded = "/" + decoded.lstrip("/")[2:].lstrip("/")
    return decoded


def _identifier(tool: str, called: str) -> str:
    slug = f"{_slug(tool)}.{_slug(called)}"
    if len(slug) > 90:
        slug = f"{slug[:80]}-{hashlib.sha256(called.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return PREFIX + slug


def _slug(text: str) -> str:
    return _KEPT.sub("-", text.lower()).strip("-._") or "unnamed"


def _title(rule: Mapping[str, Json], called: str) -> str:
    short = _plain(_text(rule.get("shortDescription")), _TITLE)
    if short and called not in short:
        return short.rstrip(".")
    name = _plain(rule.get("name"), _TITLE)
    last = called.rpartition(".")[2].rpartition("/")[2]
    return (name if name and name != called else last).replace("_", " ").replace("-", " ") or called


def _first(*texts: str) -> str:
    return next((plain for text in texts if (plain := _plain(text, _TEXT))), "")


def _plain(value: Json, limit: int) -> str:
    """One line of short text in which nothing is active: no code marks, no mention, no link, no tag."""
    if not isinstance(value, str):
        return ""
    text = " ".join(visible(value[: 4 * limit]).replace("`", "'").replace("@", "(at)").replace("](", "] (").split())
    text = text.replace("<", "(").replace(">", ")")
    return text if len(text) <= limit else text[: limit - 3].rstrip() + "..."


def _text(message: Json) -> str:
    text = _object(message).get("text")
    return text if isinstance(text, str) else ""


def _cwes(thing: Mapping[str, Json]) -> tuple[int, ...]:
    """Numbers of weaknesses that a rule or a result names: in tags and properties, as a relationship, or as a taxon."""
    properties = _object(thing.get("properties"))
    found: list[str] = []
    for entry in (*_list(properties.get("tags")), *_listed(properties.get("cwe")), *_listed(properties.get("cwes"))):
        found += [match[1] for match in _CWE.finditer(entry[:300])] if isinstance(entry, str) else []
    targets = [_object(_object(entry).get("target")) for entry in _list(thing.get("relationships"))]
    for target in (*targets, *(_object(taxon) for taxon in _list(thing.get("taxa")))):
        number = _BARE.fullmatch(str(target.get("id", "")).upper().removeprefix("CWE-"))
        if number and str(_object(target.get("toolComponent")).get("name", "")).upper().startswith("CWE"):
            found.append(number[1])
    return tuple(dict.fromkeys(int(number) for number in found))


def _severity(result: Mapping[str, Json], rule: Mapping[str, Json]) -> Severity:
    """By the score, the tool's own word, else the level; as code hosts read it."""
    configured = _object(rule.get("defaultConfiguration")).get("level")
    level = result.get("level") or configured
    for properties in (_object(result.get("properties")), _object(rule.get("properties"))):
        try:
            score = float(str(properties.get("security-severity", ""))[:20])
        except ValueError:
            score = 0.0
        if 0.0 < score <= 10.0:
            return next(s for least, s in _SCORES if score >= least)
        for key in ("issue_severity", "severity"):
            word = _WORDS.get(str(properties.get(key, "")).lower())
            if word is not None:
                return word
    return _LEVELS.get(str(level), Severity.MEDIUM)


_SCORES = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.0, Severity.LOW))


def _confidence(result: Mapping[str, Json], rule: Mapping[str, Json]) -> Confidence:
    for properties in (_object(result.get("properties")), _object(rule.get("properties"))):
        for key in ("issue_confidence", "precision", "confidence"):
            sure = _SURE.get(str(properties.get(key, "")).lower())
            if sure is not None:
                return sure
    return Confidence.MEDIUM


def _suppressed(result: Mapping[str, Json]) -> bool:
    """Suppressions without a status are accepted ones (SARIF 3.35.3); one that waits or was refused suppresses nothing."""
    found = [_object(entry).get("status", "accepted") for entry in _list(result.get("suppressions"))]
    return bool(found) and all(status == "accepted" for status in found)


def _revisions(run: Mapping[str, Json]) -> Iterator[str]:
    for entry in _list(run.get("versionControlProvenance")):
        revision = _object(entry).get("revisionId")
        if isinstance(revision, str) and re.fullmatch(r"[0-9A-Fa-f]{7,64}", revision.strip()):
            yield revision.strip().lower()


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _listed(value: Json) -> list[Json]:
    return [value] if isinstance(value, str) else _list(value)


def _is_index(value: Json, end: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end
