"""The repository's policy: what is required, what blocks, what is left out.

Read from the base branch at the base commit, never from the change itself. The file is YAML; errors point at the line.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline.errors import PolicyInvalid
from pipeline.model.finding import Confidence, Severity
from pipeline.model.scan import ScanType

PLACES: Mapping[str, tuple[str, ...]] = {
    "github": (".github/fixwright.yml", ".fixwright.yml"),
    "gitlab": (".gitlab/fixwright.yml", ".fixwright.yml"),
    "local": (".github/fixwright.yml", ".gitlab/fixwright.yml", ".fixwright.yml"),
}
"""Where the policy may stand, by provider; the first one that exists is taken."""

MAX_BYTES = 64 * 1024

MAX_DEPTH = 16
"""Collections in each other; a policy has three."""

SeverityWord = Literal["low", "medium", "high", "critical"]
ConfidenceWord = Literal["low", "medium", "high"]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Engines(_Part):
    """Which scans run on every change, and which of them a green check needs."""

    required: tuple[ScanType, ...] = Field(
        default=(ScanType.SECRETS, ScanType.SEMGREP),
        description="Scans without which no check is green.",
        min_length=1,
    )

    @field_validator("required")
    @classmethod
    def _known(cls, value: tuple[ScanType, ...]) -> tuple[ScanType, ...]:
        later = [str(s) for s in value if s not in (ScanType.SECRETS, ScanType.SEMGREP)]
        if later:
            raise ValueError(f"{', '.join(later)} does not exist in this version; use secrets_scan, semgrep_scan")
        return tuple(dict.fromkeys(value))


class Gate(_Part):
    """What a new finding does to the check."""

    block: Literal[SeverityWord, "never"] = Field(default="high", description="New findings of this severity or worse fail the check.")
    warn: SeverityWord = Field(default="low", description="New findings of this severity or worse are listed; the rest is counted.")
    confidence: ConfidenceWord = Field(default="medium", description="Findings below this confidence never block.")


class Paths(_Part):
    """What is left out. Patterns are like in .gitignore without negation: `vendor/`, `*.min.js`, `docs/**`."""

    exclude: tuple[Pattern, ...] = Field(default=(), description="Files that no engine looks at.", max_length=100)


class Tests(_Part):
    """How the repository tests itself: run in a sandbox, without network, when a fix must prove itself."""

    command: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(
        default=(), description="Program and arguments, no shell. Empty: plain convention (unittest, pytest, node --test).", max_length=50
    )
    timeout: int = Field(default=300, ge=1, le=3600, description="Seconds for one run.")


class Policy(_Part):
    """The whole policy file. Everything has a default: a repository without the file is checked with these."""

    engines: Engines = Engines()
    gate: Gate = Gate()
    on_incomplete: Literal["fail", "warn"] = Field(
        default="fail", description='`warn` turns "could not check, and it is Fixwright\'s fault" into a neutral check.'
    )
    paths: Paths = Paths()
    tests: Tests = Tests()

    def excluded(self, path: str) -> bool:
        """True when the policy leaves this file out."""
        return any(_matches(pattern, path) for pattern in self.paths.exclude)

    def blocks(self, severity: Severity, confidence: Confidence) -> bool:
        """True when a new finding of this kind fails the check."""
        if self.gate.block == "never" or confidence < Confidence[self.gate.confidence.upper()]:
            return False
        return severity >= Severity.parse(self.gate.block)

    def warns(self, severity: Severity) -> bool:
        """True when a new finding of this kind is listed in the check."""
        return severity >= Severity.parse(self.gate.warn)


def _matches(pattern: str, path: str) -> bool:
    """By segments, so that the time is bounded by their number: a pattern and a file name may both be hostile."""
    folder = pattern.endswith("/")
    words = pattern.strip("/").split("/")
    if len(words) == 1 and not pattern.startswith("/"):
        words = ["**", *words]
    parts = path.split("/")
    return any(length < len(parts) or not folder for length in _lengths(words, parts))


def _lengths(words: Sequence[str], parts: Sequence[str]) -> set[int]:
    """How many leading segments of a path a pattern may take: `**` takes any number of them, at the end of a pattern at least one."""
    taken = {0}
    for number, word in enumerate(words):
        if word == "**":
            least = min(taken, default=len(parts)) + (number == len(words) - 1)
            taken = set(range(least, len(parts) + 1))
        else:
            taken = {n + 1 for n in taken if n < len(parts) and fnmatch.fnmatchcase(parts[n], word)}
    return taken


def parse_policy(content: bytes) -> Policy:
    """The policy in a file.

    Raises:
        PolicyInvalid: not UTF-8, not YAML, not a mapping, larger than 64 KiB, nested too deep, an alias, a key that is unknown or
            stands twice, or a wrong value; `line` says where.
    """
    if len(content) > MAX_BYTES:
        raise PolicyInvalid(f"the policy is larger than {MAX_BYTES // 1024} KiB")
    try:
        node = _compose(content.decode("utf-8"))
        loaded: Any = yaml.SafeLoader("").construct_document(node) if node is not None else None
    except UnicodeDecodeError:
        raise PolicyInvalid("the policy is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise PolicyInvalid(f"the policy is not YAML: {error.problem}", line=line) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise PolicyInvalid("the policy is not YAML") from error
    if loaded is None:
        return Policy()
    if not isinstance(loaded, dict):
        raise PolicyInvalid("the policy must be a mapping of keys", line=1)
    try:
        return Policy.model_validate(loaded)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        words = {"extra_forbidden": "there is no such key"}.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise PolicyInvalid(f"{where}: {words}", line=_line_of(node, first["loc"])) from None


def _compose(text: str) -> yaml.Node | None:
    """The document as nodes. A policy needs no alias, and without them nothing grows while it is read.

    Raises:
        PolicyInvalid: nested too deep, an alias (so no merge key either), or a key that stands twice: a
            reader would see one of them and the gate the other.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise PolicyInvalid("the policy is nested too deep", line=line)
        if isinstance(event, yaml.AliasEvent):
            raise PolicyInvalid("a policy cannot use aliases", line=line)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                waiting.append(value)
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        raise PolicyInvalid(f"{key.value[:100]!r} stands twice", line=key.start_mark.line + 1)
                    seen.add(key.value)
    return root


def _line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    line = node.start_mark.line + 1 if node is not None else 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if getattr(k, "value", None) == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def load_policy(provider: str, read: Callable[[str], bytes | None]) -> tuple[Policy, str]:
    """The policy in force, and where it stands (`defaults` when there is no file).

    Args:
        provider: name of the code host, which decides the places that are looked at.
        read: content of a file at the base commit, None when it does not exist.

    Raises:
        PolicyInvalid: see `parse_policy`; `path` says which file.
    """
    for path in PLACES.get(provider, PLACES["local"]):
        content = read(path)
        if content is not None:
            try:
                return parse_policy(content), path
            except PolicyInvalid as error:
                error.path = path
                raise
    return Policy(), "defaults"


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of the policy file (draft 2020-12)."""
    schema = Policy.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Fixwright policy", **schema}
