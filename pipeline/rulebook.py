"""Our own rules: what they mean to people, and the form in which the engine reads them.

A rule is a file `pipeline/rules/<language>/<name>.yml` in Semgrep's syntax. Its first entry carries our id and, under `metadata`, what
becomes a `Rule`; further entries are variants of it (`variant_of`) that find the same weakness with another confidence and may say it in
other words. `<name>.residue.yml` beside it holds patterns that are never reported: "this kind of sink, in any form", for the proof gate.

The engine is handed one JSON document: YAML anchors are resolved here, because its own YAML reader does not resolve them everywhere.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter

from pipeline.model.finding import Confidence, Rule, Severity

FOLDER = Path(__file__).with_name("rules")
"""Where the rule files lie; shipped with the package."""

_RESIDUE = ".residue.yml"
_NO_RULES = (_RESIDUE, ".bad.yml", ".good.yml")
"""Endings of files beside the rules: residues, and examples of rules about YAML."""

RESIDUE_OF = "-residue-"
"""Between the id of a rule and that of a residue pattern of it, in what the engine answers with."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What one entry that the engine knows means to us."""

    rule: Rule
    """The rule with this variant's words and confidence."""
    at_source: bool
    """True when the finding stands where the data enters, not where it ends."""
    of_parameter: bool
    """True when the data is what a function is handed."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules in all their forms."""

    rules: Mapping[str, Rule]
    """By our id, sorted."""
    variants: Mapping[str, Variant]
    """By the id that the engine answers with."""
    document: bytes
    """JSON for the engine."""
    digest: str
    """SHA-256 of the rule files, first 12 hex digits. Residues are left out: they never make a finding."""


class Measured(NamedTuple):
    """What a rule said of public repositories, and two people looked at; docs/quality.md names them."""

    right: int
    wrong: int


class _Metadata(BaseModel):
    """`metadata` of an entry; what a variant does not say is said by its rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant_of: str = ""
    title: str = ""
    severity: str = ""
    confidence: str = ""
    cwe: int = 0
    help: str = ""
    shadow: bool = False
    at: str = ""


class _Entry(BaseModel):
    """One entry of a rule file, as far as we read it; the rest is the engine's."""

    id: str
    message: str
    metadata: _Metadata


_MEASURED = TypeAdapter(dict[str, Measured])
_ENTRIES = TypeAdapter(list[dict[str, JsonValue]])


@functools.cache
def load(folder: Path = FOLDER) -> RuleBook:
    """The rules of a folder. They are our own files, so a wrong one is a bug and raises whatever it raises."""
    files = sorted(path for path in folder.glob("*/*.yml") if not path.name.endswith(_NO_RULES))
    entries = [entry for path in files for entry in _entries(path)]
    read = [_Entry.model_validate(entry) for entry in entries]
    rules = {entry.id: _rule(entry) for entry in read if not entry.metadata.variant_of}
    at_source = {entry.id for entry in read if entry.metadata.at == "source"}
    variants = {
        entry.id: Variant(
            _variant(rules[entry.metadata.variant_of], entry) if entry.metadata.variant_of else rules[entry.id],
            (entry.metadata.variant_of or entry.id) in at_source,
            entry.id.endswith(".parameter"),
        )
        for entry in read
    }
    digest = hashlib.sha256(b"\0".join(path.name.encode() + b"\0" + path.read_bytes() for path in files)).hexdigest()[:12]
    return RuleBook(dict(sorted(rules.items())), variants, _document(entries), digest)


@functools.cache
def measured(folder: Path = FOLDER) -> Mapping[str, Measured]:
    """What was measured of each rule before it was shipped, by its id; without those of which nothing was."""
    return _MEASURED.validate_json((folder / "measured.json").read_bytes())


@functools.cache
def residues(rule_ids: tuple[str, ...], folder: Path = FOLDER) -> bytes:
    """JSON for the engine with the residue patterns of some rules. Each answers with its rule's id, `RESIDUE_OF`, and its own.

    Raises:
        KeyError: there is no such rule.
    """
    return _document(entry for rule_id in rule_ids for entry in _residue(rule_id, folder))


def _residue(rule_id: str, folder: Path) -> list[dict[str, JsonValue]]:
    language, _, name = rule_id.partition(".")
    path = folder / language / f"{name}{_RESIDUE}"
    if rule_id not in load(folder).rules or not path.is_file():
        raise KeyError(rule_id)
    return [{**entry, "id": f"{rule_id}{RESIDUE_OF}{entry['id']}"} for entry in _entries(path)]


def _entries(path: Path) -> list[dict[str, JsonValue]]:
    return _ENTRIES.validate_python(yaml.safe_load(path.read_text("utf-8"))["rules"])


def _document(entries: Iterable[dict[str, JsonValue]]) -> bytes:
    """What the engine needs; our metadata stay here."""
    return json.dumps({"rules": [{key: value for key, value in entry.items() if key != "metadata"} for entry in entries]}).encode()


def _rule(entry: _Entry) -> Rule:
    about = entry.metadata
    return Rule(
        id=entry.id,
        title=about.title,
        message=entry.message,
        severity=Severity.parse(about.severity),
        confidence=Confidence[about.confidence.upper()],
        cwe=about.cwe,
        help=about.help,
        shadow=about.shadow,
    )


def _variant(rule: Rule, entry: _Entry) -> Rule:
    about = entry.metadata
    return dataclasses.replace(
        rule,
        title=about.title or rule.title,
        message=entry.message,
        confidence=Confidence[about.confidence.upper()] if about.confidence else rule.confidence,
    )
