"""From the bytes of a policy file to a policy, or to an error that points at the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.errors import PolicyInvalid
from pipeline.policy.schema import Policy

FILE = "fixwright.yml"
"""Name of every policy file; one at the top of a repository has a dot before it, but for an owner's."""

MAX_BYTES = 64 * 1024

MAX_DEPTH = 16
"""Collections in each other; a policy has four."""


class _Loader(yaml.SafeLoader):
    """Dates stay text: an impossible one ends one entry, not the whole file."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


_WORDS = {
    "extra_forbidden": "there is no such key",
    "missing": "is missing",
    "model_type": "is a group of keys",
    "dict_type": "is a group of keys",
    "tuple_type": "is a list",
}
"""Our words for errors that pydantic tells in Python's."""


@dataclass(frozen=True, slots=True)
class PolicyPlaces:
    """Where policies stand on one host; its provider says it (`Capabilities.policies`)."""

    folders: tuple[str, ...] = ()
    """Folders for files about the host itself, in which the policy of a repository may stand too (`.github`), in order."""
    owner_repository: str = ""
    """Name of the repository whose `fixwright.yml` is the policy above all repositories of its owner; empty where there is none."""

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of a repository's policy; the first one that exists is taken."""
        return (*(f"{folder}/{FILE}" for folder in self.folders), f".{FILE}")


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """One policy file as it was written."""

    policy: Policy
    """What stands in the file; `model_fields_set` of each part tells it from the defaults."""
    where: str
    """For people: `.github/fixwright.yml at 9d1f0aa`, or `defaults` when there is no file."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Line of each key that stands in the file, by dotted name: `gate.block`, `ignore.0`, `scopes.payments.block`."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Of one that was put together of several files (`pipeline.policy.merge.under`): where each key stands, in place of `lines`."""

    def at(self, key: str) -> str:
        """Where a key stands, for people: `.github/fixwright.yml:3 at 9d1f0aa`."""
        line = self.lines.get(key, 0)
        path, at, commit = self.where.rpartition(" at ")
        if not line:
            return self.where
        return f"{path}:{line} at {commit}" if at else f"{self.where}:{line}"


def parse_policy(content: bytes) -> Policy:
    """The policy in a file.

    Raises:
        PolicyInvalid: not UTF-8, not YAML, not a mapping, larger than 64 KiB, nested too deep, an alias, a key that is unknown or
            stands twice, or a wrong value; `line` and `column` say where, `others` what else is wrong.
    """
    return parse_document(content, "").policy


def parse_document(content: bytes, where: str) -> PolicyDocument:
    """The policy in a file, with the lines of its keys. Raises PolicyInvalid like `parse_policy`."""
    node, loaded = _load(content)
    if loaded is None:
        return PolicyDocument(Policy(), where)
    if not isinstance(loaded, dict):
        raise PolicyInvalid("the policy must be a mapping of keys", line=1, column=1)
    try:
        policy = Policy.model_validate(loaded)
    except ValidationError as error:
        found = [_problem(node, details["type"], details["loc"], details["msg"]) for details in error.errors()]
        first, *others = sorted(found, key=lambda problem: (problem.line, problem.column))
        first.others = tuple(others)
        raise first from None
    return PolicyDocument(policy, where, dict(_lines(node, "")))


def _load(content: bytes) -> tuple[yaml.Node | None, object]:
    if len(content) > MAX_BYTES:
        raise PolicyInvalid(f"the policy is larger than {MAX_BYTES // 1024} KiB")
    try:
        node = _compose(content.decode("utf-8"))
        return node, _Loader("").construct_document(node) if node is not None else None
    except UnicodeDecodeError:
        raise PolicyInvalid("the policy is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise PolicyInvalid(f"the policy is not YAML: {error.problem}", line=line, column=column) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise PolicyInvalid("the policy is not YAML") from error


def _problem(node: yaml.Node | None, kind: str, location: tuple[int | str, ...], message: str) -> PolicyInvalid:
    where = ".".join(str(part) for part in location if part != "[key]")
    words = _WORDS.get(kind, message.removeprefix("Value error, "))
    line, column = _place_of(node, location)
    return PolicyInvalid(f"{where}: {words}", line=line, column=column)


def _compose(text: str) -> yaml.Node | None:
    """The document as nodes. A policy needs no alias, and without them nothing grows while it is read.

    Raises:
        PolicyInvalid: nested too deep, an alias (so no merge key either), or a key that stands twice: a
            reader would see one of them and the gate the other.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise PolicyInvalid("the policy is nested too deep", line=line)
        if isinstance(event, yaml.AliasEvent):
            raise PolicyInvalid("a policy cannot use aliases", line=line)
    root = yaml.compose(text, Loader=_Loader)
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


def _place_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> tuple[int, int]:
    """Line and column, both 1-based, of the innermost part of a location that stands in the file."""
    mark = node.start_mark if node is not None else None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if getattr(k, "value", None) == str(part)), None)
            if match is None:
                break
            mark, node = match[0].start_mark, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            mark = node.start_mark
        else:
            break
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


def _lines(node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            yield name, key.start_mark.line + 1
            yield from _lines(value, f"{name}.")
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield f"{prefix}{number}", value.start_mark.line + 1
            yield from _lines(value, f"{prefix}{number}.")


def read_document(places: PolicyPlaces, read: Callable[[str], bytes | None], at: str = "") -> PolicyDocument:
    """The policy file of one state of a repository, where there is one; else the defaults.

    Args:
        places: those of the code host.
        read: content of a file of that state, None when it does not exist.
        at: which state that is, for people: the first digits of a commit, or nothing.

    Raises:
        PolicyInvalid: see `parse_policy`; `path` says which file.
    """
    for path in places.files:
        content = read(path)
        if content is not None:
            try:
                return parse_document(content, f"{path} at {at}" if at else path)
            except PolicyInvalid as error:
                error.path = path
                raise
    return PolicyDocument(Policy(), DEFAULTS)


DEFAULTS = "defaults"
"""Where a policy stands that stands nowhere."""


def load_policy(places: PolicyPlaces, read: Callable[[str], bytes | None]) -> tuple[Policy, str]:
    """The policy of a repository alone, and where it stands (`defaults` when there is no file). Raises PolicyInvalid."""
    document = read_document(places, read)
    return document.policy, document.where


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of the policy file (draft 2020-12)."""
    schema = Policy.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Fixwright policy", **schema}
