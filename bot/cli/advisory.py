"""`fixwright advisory draft`: a private draft of a security advisory on the host, when a person wants one. Never by itself."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final, Literal

from bot.cli import OK
from bot.cli.naming import NAME, find_repository
from bot.cli.processes import stored
from pipeline.errors import HostForbidden, HostNotFound, UsageError
from pipeline.escaping import code, cut, escape, prose, visible
from pipeline.model.finding import Finding, Severity
from pipeline.model.report import AdvisoryDraft
from pipeline.phrases import what, where
from pipeline.triage.handles import parse_handle

SUMMARY: Final = 1_024
"""Characters (GitHub, REST "Create a repository security advisory")."""

PLACES: Final = 50


_WORDS: Final[Mapping[Severity, Literal["low", "medium", "high", "critical"]]] = {
    Severity.LOW: "low",
    Severity.MEDIUM: "medium",
    Severity.HIGH: "high",
    Severity.CRITICAL: "critical",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("advisory", help="draft a private security advisory of a finding")
    parts = parser.add_subparsers(metavar="ACTION", required=True)
    draft = parts.add_parser("draft", help="make the draft on the host; only the repository's administrators see it")
    draft.add_argument("repository", metavar="REPOSITORY", help=NAME)
    draft.add_argument("handle", metavar="HANDLE", help="the finding, as in K7Q")
    draft.set_defaults(run=_draft)


def _draft(args: argparse.Namespace) -> int:
    with stored() as app:
        with app.database.read() as work:
            identifier, source = find_repository(work, args.repository)
            (_, _, installation) = work.installations.named(args.repository)[0]
            handle = parse_handle(args.handle)
            known = work.findings.by_handle(identifier, handle) if handle else None
            listed = work.findings.listed(identifier, source.default_branch, "open")
        name = visible(source.full_name)
        one = next((found for found in listed if known is not None and found.id == known.id), None)
        if one is None:
            raise UsageError(f"{name} has no open finding {visible(args.handle)}", hint=f"fixwright findings list {name}")
        if installation is None:
            raise UsageError(f"{name} is not installed any more")
        provider = app.plugins.providers.get(source.provider)
        if provider is None or not provider.capabilities.advisories:
            raise UsageError(f"{source.provider} has no drafts of security advisories")
        configuration = app.places.configurations.of(source.provider, source.instance)
        host = provider.connect(installation, configuration, app.memory)
        try:
            address = host.draft_advisory(source, draft_of(one.finding, one.places))
        except (HostForbidden, HostNotFound) as refused:
            raise HostForbidden(
                f"the host does not let us draft an advisory in {name}: {refused.message}",
                hint="give the App the optional permission `Repository security advisories: write`, and accept it where it is installed",
            ) from None
    print(f"drafted: {visible(address)}")
    return OK


def draft_of(finding: Finding, places: tuple[Finding, ...]) -> AdvisoryDraft:
    """What the draft says. Of a secret its kind and place, never its value or the line that holds it."""
    rule = finding.rule
    lines = [f"- {code(cut(visible(where(place)), 300))}" for place in places[:PLACES]]
    if len(places) > PLACES:
        lines.append(f"- and {len(places) - PLACES:,} more places")
    parts = [prose(rule.message), "\n".join(lines)]
    if rule.help:
        parts.append(prose(rule.help))
    parts.append(f"{escape(rule.id)}, CWE-{rule.cwe}. Drafted by Fixwright; nobody has confirmed it yet.")
    kind = finding.secret.kind if finding.secret is not None else what(finding)
    summary = visible(f"{kind} in {places[0].location.path if places else finding.location.path}")
    severity = _WORDS[finding.rule.severity]
    return AdvisoryDraft(summary[:SUMMARY], "\n\n".join(parts), severity, (f"CWE-{rule.cwe}",))
