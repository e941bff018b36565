"""`fixwright policy show|check|explain`: what is in force, what is wrong with a file, and what would happen to a finding and why."""

from __future__ import annotations

import argparse
import difflib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.cli import OK, USAGE
from bot.cli.folders import policy_places
from bot.cli.naming import NAME, find_repository
from bot.cli.processes import stored
from pipeline import rulebook
from pipeline.errors import PolicyInvalid, UsageError
from pipeline.escaping import visible
from pipeline.frameworks import book
from pipeline.model.finding import Confidence, Rule, Severity
from pipeline.phrases import short
from pipeline.policy import (
    DEFAULTS,
    KEYS,
    Effective,
    Policy,
    PolicyDocument,
    PolicyRecord,
    merge,
    parse_document,
    read_document,
    show,
    value_of,
    warnings_of,
)
from pipeline.policy.patterns import matches
from pipeline.sandbox.git import Worktree
from pipeline.stages.policies import reader

JSON_VERSION = 1
"""Of the documents of `policy --json`; see docs/reference/formats.md."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command and its parts."""
    parser = commands.add_parser("policy", help="what the policy says, what is wrong with it, and what it does to a finding")
    parts = parser.add_subparsers(metavar="ACTION", required=True)
    shown = parts.add_parser("show", help="every value that is in force, and where it comes from")
    shown.add_argument("target", nargs="?", default=".", metavar="PATH|REPOSITORY", help=f"a folder; or {NAME}: as it was judged last")
    _common(shown)
    shown.set_defaults(run=_show)
    checked = parts.add_parser("check", help="what is wrong with a policy file, with line and column")
    checked.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: the policy of the folder here")
    checked.add_argument("--owner", action="store_true", help="it is the owner's policy, which may have `allow`")
    checked.add_argument("--json", action="store_true", help="for machines")
    checked.set_defaults(run=_check)
    explained = parts.add_parser("explain", help="what happens to a finding in a file, and which line decides that")
    explained.add_argument("path", metavar="PATH", help="a file as the repository names it; it need not exist")
    explained.add_argument("--repo", type=Path, default=Path(), metavar="FOLDER", help="the repository (default: here)")
    explained.add_argument("--rule", default="", help="id of a rule: python.sql-injection")
    explained.add_argument("--severity", choices=[s.word for s in Severity], help="default: that of the rule, or each")
    explained.add_argument("--confidence", choices=[c.word for c in Confidence], help="default: that of the rule, or high")
    _common(explained)
    explained.set_defaults(run=_explain)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", metavar="REV", help="the policy of this revision instead of the files on the disk")
    parser.add_argument("--parent", type=Path, metavar="FILE", help="an owner's policy to put above it")
    parser.add_argument("--json", action="store_true", help="for machines")


# --- what is in force -----------------------------------------------------------------------------------------------------------------


def _effective(folder: Path, base: str | None, parent: Path | None) -> Effective:
    """The policy of a folder or a revision. Raises UsageError, and PolicyInvalid with the file in front."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    worktree = Worktree.open(folder)
    try:
        if base is None:
            own = read_document(policy_places(), worktree.read)
        else:
            if not worktree.is_git:
                raise UsageError(f"{folder} is no git repository, so there is no revision {base}", hint="leave --base out")
            commit = worktree.named(base)
            own = read_document(policy_places(), reader(worktree.as_mirror(), commit), short(commit))
    except PolicyInvalid as error:
        raise _placed(error, error.path) from None
    return merge(own, None if parent is None else _parsed(parent))


def _parsed(file: Path) -> PolicyDocument:
    try:
        return parse_document(file.read_bytes(), str(file))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except PolicyInvalid as error:
        raise _placed(error, str(file)) from None


def _placed(error: PolicyInvalid, path: str) -> PolicyInvalid:
    return PolicyInvalid(_mistake(error, path), line=error.line, column=error.column)


def _mistake(error: PolicyInvalid, path: str) -> str:
    place = ":".join(str(part) for part in (visible(path), error.line, error.column) if part)
    return f"{place}: {visible(error.message)}"


def _of_store(name: str) -> Effective:
    """The policy that judged last in a repository that this installation knows."""
    with stored() as app, app.database.read() as work:
        identifier, source = find_repository(work, name)
        found = work.policies.newest(identifier)
    if found is None:
        raise UsageError(f"nothing was judged in {source.full_name} yet", hint="fixwright policy show PATH reads a folder")
    record = PolicyRecord.model_validate_json(found[2])
    return Effective(Policy.model_validate_json(found[0]), found[1], record.origins, record.notes, record.parent)


def _show(args: argparse.Namespace) -> int:
    target = Path(args.target)
    effective = _effective(target, args.base, args.parent) if target.exists() else _of_store(args.target)
    rows = [(key, value_of(effective.policy, key), effective.origin(key)) for key in KEYS]
    if args.json:
        values = effective.policy.model_dump(mode="json", exclude={"allow"})
        origins = {key: origin for key, _, origin in rows}
        _print_json({"source": effective.source, "policy": values, "origins": origins, "notes": list(effective.notes)})
        return OK
    width = max(len(key) for key in KEYS)
    for key, value, origin in rows:
        print(f"{key:<{width}}  {visible(show(value))}{'' if origin == DEFAULTS else f'  ({visible(origin)})'}")
    for note in effective.notes:
        print(f"note: {visible(note)}")
    print(f"in force: {visible(effective.source)}")
    return OK


# --- what is wrong --------------------------------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    """2 when the file cannot be used; what is only odd is said with 0."""
    folder = Path() if args.file is None else args.file.parent
    file = args.file or _here(folder)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    try:
        document = parse_document(content, str(file))
    except PolicyInvalid as error:
        mistakes = [error, *error.others]
        if args.json:
            found = [{"line": e.line or None, "column": e.column or None, "message": e.message} for e in mistakes]
            _print_json({"file": str(file), "usable": False, "errors": found, "warnings": []})
        else:
            print("\n".join(_mistake(e, str(file)) for e in mistakes))
        return USAGE
    paths = None if args.owner else [name for name, _ in Worktree.open(folder).files()]
    odd = warnings_of(document, today=datetime.now(UTC).date(), rules=_rules(), paths=paths, owners=args.owner)
    if args.json:
        warned = [{"line": one.line or None, "key": one.key, "message": one.message} for one in odd]
        _print_json({"file": str(file), "usable": True, "errors": [], "warnings": warned})
        return OK
    for one in odd:
        print(f"{visible(str(file))}:{one.line}: warning: {visible(one.key)}: {visible(one.message)}")
    print(f"{visible(str(file))} can be used{f'; {len(odd)} to look at' if odd else ''}")
    return OK


def _here(folder: Path) -> Path:
    places = policy_places().files
    found = next((folder / place for place in places if (folder / place).is_file()), None)
    if found is None:
        raise UsageError("there is no policy file here", hint=f"it would be one of {', '.join(places)}")
    return found


# --- what would happen ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Outcome:
    severity: Severity
    standing: str
    keys: tuple[str, ...]


def _explain(args: argparse.Namespace) -> int:
    effective = _effective(args.repo, args.base, args.parent)
    policy, path = effective.policy, args.path.removeprefix("./")
    known = _rule(args.rule)
    severities = [Severity.parse(args.severity)] if args.severity else [known.severity] if known else sorted(Severity, reverse=True)
    confidence = Confidence[args.confidence.upper()] if args.confidence else known.confidence if known else Confidence.HIGH
    decided = [(severity, policy.decide(path, args.rule, severity, confidence)) for severity in severities]
    outcomes = [_Outcome(severity, decision.standing.value, decision.keys) for severity, decision in decided]
    excluded = next((f"paths.exclude.{n}" for n, pattern in enumerate(policy.paths.exclude) if matches(pattern, path)), "")
    ignores = _ignores(policy, path, args.rule)
    if args.json:
        _print_json(
            {
                "path": path,
                "rule": args.rule or None,
                "confidence": confidence.word,
                "looked_at": not excluded,
                "excluded_by": effective.origin(excluded) if excluded else None,
                "scopes": list(policy.scopes_of(path)),
                "owners": list(policy.owners_of(path)),
                "outcomes": [
                    {"severity": o.severity.word, "standing": o.standing, "decided_by": [_reason(effective, key) for key in o.keys]}
                    for o in outcomes
                ],
                "ignored_by": [_reason(effective, key) for key in ignores],
            }
        )
        return OK
    print(visible(path))
    if excluded:
        print(f"  no engine looks at it: {_said(effective, excluded)}")
        return OK
    if policy.scopes_of(path):
        owners = f", owners {', '.join(policy.owners_of(path))}" if policy.owners_of(path) else ""
        print(f"  scopes {', '.join(policy.scopes_of(path))}{visible(owners)}")
    for outcome in outcomes:
        reasons = "; ".join(_said(effective, key) for key in outcome.keys)
        print(f"  {outcome.severity.word:<8}  {outcome.standing:<7}  {reasons}")
    for key in ignores:
        entry = policy.ignore[int(key.removeprefix("ignore."))]
        one = f" (only {entry.finding})" if entry.finding else ""
        print(f"  may stand until {visible(entry.until)}{one}: {visible(entry.reason)} ({visible(effective.origin(key))})")
    return OK


def _rules() -> dict[str, Rule]:
    """Those of the engine, and those of our own looks."""
    return {**rulebook.load().rules, **book.RULES}


def _rule(name: str) -> Rule | None:
    """The rule of that name; None for none, and for one of secrets, of which there are as many as kinds. Raises UsageError."""
    rules = _rules()
    if name and name not in rules and not name.startswith("secrets."):
        near = difflib.get_close_matches(name, rules, n=3, cutoff=0.5) or sorted(rules)[:3]
        raise UsageError(f"{visible(name)} is no rule of this version", hint=f"such as {', '.join(near)}")
    return rules.get(name)


def _ignores(policy: Policy, path: str, rule: str) -> list[str]:
    """Entries that let some finding of that rule there stand today; those of a single finding too."""
    today = datetime.now(UTC).date()
    return [
        f"ignore.{number}"
        for number, entry in enumerate(policy.ignore)
        if entry.holds(today) and (entry.rule in (None, rule) or not rule) and (entry.path is None or matches(entry.path, path))
    ]


def _reason(effective: Effective, key: str) -> dict[str, Any]:
    value = _value(effective.policy, key)
    return {"key": key, "value": value.model_dump(mode="json", exclude_none=True) if hasattr(value, "model_dump") else value} | {
        "origin": effective.origin(key)
    }


def _said(effective: Effective, key: str) -> str:
    return visible(f"{key}: {show(_value(effective.policy, key))} ({effective.origin(key)})")


def _value(policy: Policy, key: str) -> Any:  # Any: a key may hold a value of any kind
    """Of a key, an entry of a list, a rule, or a scope's own mark."""
    group, _, rest = key.partition(".")
    if key.startswith("gate.rules."):
        return policy.gate.rules[key.removeprefix("gate.rules.")]
    if group == "scopes":
        return policy.scopes[rest.removesuffix(".block")].block
    if group == "ignore":
        return policy.ignore[int(rest)]
    if key.startswith("paths.exclude."):
        return policy.paths.exclude[int(key.rpartition(".")[2])]
    return value_of(policy, key)


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps({"version": JSON_VERSION, **document}, indent=2))
