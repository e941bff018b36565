"""What other scanners were told to let stand: their ignore files, baselines and comments, read as grants for findings of ours. Pure.

A grant is never wider than what its author can have meant: one for code lets no secret stand and the other way round, one that names a
rule of another tool lets only the same kind of weakness stand, and what a tool was told about packages says nothing of code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import yaml

from pipeline.foreign import KNOWN_RULES
from pipeline.model.finding import Finding
from pipeline.policy.patterns import matches
from pipeline.weaknesses import same_family

Read = Callable[[str], bytes | None]

MAX_BYTES = 10 * 1024 * 1024
"""Of one file that is read; baselines are the largest."""

MAX_LINES = 100_000


@dataclass(frozen=True, slots=True)
class Grant:
    """Something that another scanner was told to let stand."""

    source: str
    """The file, with its line where that tells more: `.semgrepignore:3`."""
    text: str
    """What stands there, as far as it names anything. Hostile."""
    about: Literal["code", "secret"]
    pattern: str = ""
    """Files, as in .gitignore; empty: `path` names one."""
    but: tuple[str, ...] = ()
    """Files that the pattern takes and that a later line gives back."""
    path: str = ""
    line: int = 0
    """In `path`; 0: anywhere in it."""
    cwes: frozenset[int] = frozenset()
    """What weakness it is about; empty: any."""
    reason: str = ""
    """What its author said. Hostile."""
    until: date | None = None
    """Its own last day."""

    def covers(self, finding: Finding) -> bool:
        """Whether it lets this finding stand."""
        at = finding.location
        if (finding.secret is not None) is not (self.about == "secret"):
            return False
        if self.cwes and not same_family([finding.rule.cwe], self.cwes):
            return False
        if self.pattern:
            return matches(self.pattern, at.path) and not any(matches(one, at.path) for one in self.but)
        return at.path == self.path and (not self.line or at.line <= self.line <= max(at.line, at.end_line))


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Something that cannot become a waiver of ours."""

    source: str
    text: str
    """Hostile."""
    why: str


Entry = Grant | NotTaken


def read_all(paths: Iterable[str], read: Read) -> tuple[list[Entry], int]:
    """Everything of all formats in these files, and in how many files something stands.

    Args:
        paths: names of all files.
        read: content of one; None when it cannot be read.
    """
    entries: list[Entry] = []
    files = 0
    for path in sorted(paths):
        reader = _reader_of(path)
        content = read(path) if reader is not None or path.endswith(_CODE) else None
        if content is None:
            continue
        before = len(entries)
        if len(content) > MAX_BYTES:
            entries += [NotTaken(path, "", f"larger than {MAX_BYTES // 1024 // 1024} MB")] if reader is not None else []
        elif reader is not None:
            entries += reader(path, content.decode("utf-8", "replace"))
        elif any(mark in content for mark in (b"nosec", b"nosemgrep")):
            entries += _comments(path, content.decode("utf-8", "replace"))
        files += len(entries) > before
    return entries, files


def _reader_of(path: str) -> Callable[[str, str], Iterable[Entry]] | None:
    name = path.rpartition("/")[2].lower()
    if name in _READERS:
        return _READERS[name]
    if name.endswith(".json") and "gitleaks" in name:
        return _gitleaks_report
    return _semgrep_report if name.endswith(".json") and "semgrep" in name else None


# --- patterns of files ----------------------------------------------------------------------------------------------------------------


def _semgrepignore(path: str, text: str) -> Iterator[Entry]:
    folder = path.rpartition("/")[0]
    back: list[str] = []
    entries: list[Entry] = []
    for number, line in reversed(list(_lines(text))):
        entry = _pattern(f"{path}:{number}", folder, line.removeprefix("!"))
        if line.startswith("!") and isinstance(entry, Grant):
            back.append(entry.pattern)
        else:
            entries.append(replace(entry, but=tuple(back)) if isinstance(entry, Grant) else entry)
    yield from reversed(entries)


def _pattern(source: str, folder: str, line: str) -> Entry:
    if line.startswith(":"):
        return NotTaken(source, line, "names another file: give its lines here")
    if len(line) > 150:
        return NotTaken(source, line[:60], "a pattern of more than 150 characters")
    rooted = line.removeprefix("./")
    if folder:
        inner = "/" in rooted.rstrip("/")
        rooted = f"{folder}/{rooted.lstrip('/')}" if inner else f"{folder}/**/{rooted}"
    return Grant(source, line, "code", pattern=rooted)


# --- comments -------------------------------------------------------------------------------------------------------------------------

_CODE = (".py", ".pyi", ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".go", ".java", ".yml", ".yaml", ".html", ".tf", "Dockerfile")
_NOSEMGREP = re.compile(r"(?:#|//|/\*|<!--)\s{0,5}nosem(?:grep)?\b(?::\s{0,5}([\w., /-]{1,300}))?")
_NOSEC = re.compile(r"(?:#|//|/\*)\s{0,5}#?nosec\b:?([^\n]{0,300})")
_NAMED = re.compile(r"\b([BG][0-9]{3})\b")
_OPENERS = ("#", "//", "/*", "<!--")


def _comments(path: str, text: str) -> Iterator[Entry]:
    lines = text.split("\n")[:MAX_LINES]
    for number, line in enumerate(lines, 1):
        at = f"{path}:{number}"
        said = _NOSEMGREP.search(line[:2_000])
        if said is not None:
            about = number + 1 if line.strip().startswith(_OPENERS) else number
            names = [name.strip() for name in (said[1] or "").split(",") if name.strip()]
            yield _named(at, said[0].strip(), path, about, names, _kinds_of_words)
        said = _NOSEC.search(line[:2_000])
        if said is not None:
            rules, _, reason = said[1].partition("--")
            named = _NAMED.findall(rules)
            rest = _NAMED.sub("", rules).strip(" ,.:;#-*/")
            if rest and not named and not re.fullmatch(r"[A-Za-z][\w ,.'()-]{0,200}", rest):
                named = [rest]
            yield _named(at, said[0].strip()[:80], path, number, named, _kinds_of_number, reason.strip() or (rest if not named else ""))


def _named(
    source: str, text: str, path: str, line: int, names: list[str], kinds: Callable[[str], frozenset[int]], reason: str = ""
) -> Entry:
    """A comment; one that names rules of which none can be told says nothing of what may stand."""
    cwes = frozenset[int]().union(*(kinds(name) for name in names))
    if names and not cwes:
        return NotTaken(source, text, "names a rule of the other tool whose weakness is not known here")
    return Grant(source, text, "code", path=path, line=line, cwes=cwes, reason=reason)


def _kinds_of_number(name: str) -> frozenset[int]:
    return frozenset({KNOWN_RULES[name]} if name in KNOWN_RULES else ())


_WORDS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("sql",), 89),
    (("subprocess", "command", "shell", "os-system", "child-process", "child_process"), 78),
    (("eval", "exec", "code-injection"), 95),
    (("xss", "innerhtml", "html", "escape", "autoescape", "mark-safe", "markupsafe"), 79),
    (("traversal", "path-join", "sendfile", "tarfile", "zip"), 22),
    (("yaml", "pickle", "deserial", "marshal", "jsonpickle"), 502),
    (("redirect",), 601),
    (("ssrf",), 918),
    (("xxe", "xml", "lxml"), 611),
    (("verify", "tls", "ssl", "cert"), 295),
    (("md5", "sha1", "hash", "cipher", "crypto"), 327),
    (("random",), 330),
    (("cookie", "httponly", "samesite"), 614),
    (("debug",), 489),
    (("timeout",), 400),
    (("tempfile", "mktemp", "temp-file"), 377),
    (("csrf",), 352),
    (("latest", "unpinned", "mutable-action", "pinned"), 829),
    (("template-injection", "ssti"), 1336),
)
"""Words in ids of Semgrep's registry, and what those rules are about."""


def _kinds_of_words(name: str) -> frozenset[int]:
    words = name.rpartition(".")[2].lower() or name.lower()
    return frozenset(cwe for found, cwe in _WORDS if any(word in words for word in found))


# --- secrets --------------------------------------------------------------------------------------------------------------------------

_LEAK = re.compile(r"(?:[0-9a-f]{7,64}:)?(.{1,1000}):([\w.-]{1,100}):([0-9]{1,7})")


def _gitleaksignore(path: str, text: str) -> Iterator[Entry]:
    for number, line in _lines(text):
        said = _LEAK.fullmatch(line)
        source = f"{path}:{number}"
        if said is None:
            yield NotTaken(source, line[:80], "is no fingerprint of gitleaks (FILE:RULE:LINE)")
        else:
            yield Grant(source, line[:200], "secret", path=said[1], line=int(said[3]))


def _gitleaks_report(path: str, text: str) -> Iterator[Entry]:
    found = _json(text)
    if not isinstance(found, list):
        yield NotTaken(path, "", "is no baseline of gitleaks")
        return
    for entry in found[:MAX_LINES]:
        file, line = (entry.get("File"), entry.get("StartLine")) if isinstance(entry, dict) else (None, None)
        if isinstance(file, str) and isinstance(line, int):
            yield Grant(path, f"{file}:{line}"[:200], "secret", path=file, line=line)
        else:
            yield NotTaken(path, "", "an entry without file and line")


def _detect_secrets(path: str, text: str) -> Iterator[Entry]:
    results = _object(_object(_json(text)).get("results"))
    if not results:
        yield NotTaken(path, "", "is no baseline of detect-secrets, or an empty one")
    for file, entries in results.items():
        for entry in entries[:MAX_LINES] if isinstance(entries, list) else ():
            known = _object(entry)
            line = known.get("line_number")
            if not isinstance(line, int):
                yield NotTaken(path, file[:200], "an entry without a line")
            elif known.get("is_secret") is True:
                yield NotTaken(path, f"{file}:{line}"[:200], "its own audit says that it is a secret: revoke it")
            else:
                yield Grant(path, f"{file}:{line}"[:200], "secret", path=file.replace("\\", "/"), line=line)


# --- other files ----------------------------------------------------------------------------------------------------------------------


def _semgrep_report(path: str, text: str) -> Iterator[Entry]:
    results = _object(_json(text)).get("results")
    if not isinstance(results, list):
        yield NotTaken(path, "", "is no output of Semgrep (--json)")
        return
    for entry in results[:MAX_LINES]:
        found = _object(entry)
        line, file = _object(found.get("start")).get("line"), found.get("path")
        named = str(_object(_object(found.get("extra")).get("metadata")).get("cwe", ""))[:500]
        name = str(found.get("check_id"))[:200]
        cwes = frozenset(int(number) for number in re.findall(r"CWE-([0-9]{1,5})", named)) or _kinds_of_words(name)
        if not isinstance(file, str) or not isinstance(line, int):
            yield NotTaken(path, name, "an entry without file and line")
        elif not cwes:
            yield NotTaken(path, f"{name} at {file}:{line}"[:200], "names a rule of the other tool whose weakness is not known here")
        else:
            yield Grant(path, f"{name} at {file}:{line}"[:200], "code", path=file.removeprefix("./"), line=line, cwes=cwes)


_TRIVY = {"DS001": 829, "DS-0001": 829}
"""Checks of Dockerfiles by Trivy that a rule of ours makes, too: an image by the tag `latest`."""
_PACKAGES = "is about a package: no engine here looks at those"


def _trivyignore(path: str, text: str) -> Iterator[Entry]:
    for number, line in _lines(text):
        source = f"{path}:{number}"
        name, *rest = line.split()
        until = next((_day(word.removeprefix("exp:")) for word in rest if word.startswith("exp:")), None)
        cwe = _TRIVY.get(name.upper().removeprefix("AVD-"))
        if cwe is not None:
            yield Grant(source, line[:80], "code", pattern="*ockerfile*", cwes=frozenset({cwe}), until=until)
        elif re.match(r"(CVE|GHSA|GO|RUSTSEC|PYSEC|TEMP|DSA|DLA)-", name, re.IGNORECASE):
            yield NotTaken(source, name[:80], _PACKAGES)
        else:
            yield NotTaken(source, name[:80], "names a check of Trivy that no rule here makes, or that is not of one place")


def _snyk(path: str, text: str) -> Iterator[Entry]:
    try:
        document = _object(yaml.safe_load(text) if len(text) < 500_000 else None)
    except (yaml.YAMLError, ValueError, RecursionError):
        document = {}
        yield NotTaken(path, "", "is no YAML")
    for name in _object(document.get("ignore")):
        yield NotTaken(path, str(name)[:80], _PACKAGES)
    for kind, patterns in _object(document.get("exclude")).items():
        for pattern in patterns if isinstance(patterns, list) else ():
            word = next(iter(pattern), "") if isinstance(pattern, dict) else pattern
            if kind in ("code", "global") and isinstance(word, str) and word:
                yield _pattern(path, path.rpartition("/")[0], word)
            else:
                yield NotTaken(path, str(word)[:80], "is not about code")


_READERS: Mapping[str, Callable[[str, str], Iterable[Entry]]] = {
    ".semgrepignore": _semgrepignore,
    ".gitleaksignore": _gitleaksignore,
    ".secrets.baseline": _detect_secrets,
    ".trivyignore": _trivyignore,
    ".snyk": _snyk,
}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n")[:MAX_LINES], 1):
        said = line.strip()
        if said and not said.startswith("#"):
            yield number, said


def _json(text: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
