"""Identity of a finding: the same weakness keeps its fingerprint wherever it moves."""

from __future__ import annotations

import dataclasses
import hashlib

from pipeline.model.finding import Finding, Location
from pipeline.syntax import scope_at

EXCERPT_LINES = 10
EXCERPT_CHARACTERS = 2_000


def fingerprint(rule_id: str, scope: str, context: str) -> str:
    """First half of a finding's identity: what is wrong, not where it lies.

    Args:
        rule_id: our own rule id, e.g. "python.sql-injection"; never an engine's.
        scope: name of the enclosing function or block, "" at the top of a file.
        context: flagged source text; runs of blanks count as one. For a secret the
            value is replaced by its kind first: a hash must not be a guessing oracle.

    Returns:
        "v1:" and 32 hex digits (128 bits). The prefix changes with the recipe. Equal
        values are told apart by matching (path, then rename, then nearest place).

    Source: SARIF 2.1.0, partialFingerprints of a result.
    """
    fields = (rule_id, scope, " ".join(context.split()))
    return "v1:" + hashlib.sha256("\x1f".join(fields).encode("utf-8", errors="surrogatepass")).hexdigest()[:32]


def identify(finding: Finding, content: bytes) -> Finding:
    """The finding with `scope`, `excerpt` and `fingerprint` filled in from the file in which it stands.

    The context is the text of the flagged lines: neither their numbers nor their indentation nor the file's name are part of it.

    Args:
        finding: its rule and location are read; a secret needs `identify_secret`.
        content: the whole file; garbage is no error.
    """
    return _identified(finding, content, _flagged(content, finding.location))


def identify_secret(finding: Finding, content: bytes, value: str) -> Finding:
    """Like `identify`, with every copy of the secret in the flagged lines replaced by its kind before anything is made of them.

    Args:
        finding: `finding.secret` names the kind.
        content: the whole file.
        value: the secret as it stands in the file; it is neither kept nor repeated.
    """
    kind = f"<{finding.secret.kind}>" if finding.secret is not None else "<secret>"
    return _identified(finding, content, redact(_flagged(content, finding.location), value, kind))


def redact(text: str, value: str, kind: str) -> str:
    """`text` without the secret: every copy of `value`, also of a part that stands alone on a line of a secret of several lines."""
    if value:
        text = text.replace(value, kind)
    for part in value.splitlines():
        if part.strip():
            text = text.replace(part.strip(), kind)
    return text


def _identified(finding: Finding, content: bytes, context: str) -> Finding:
    scope = scope_at(finding.location.path, content, finding.location.line)
    excerpt = "\n".join(context.split("\n")[:EXCERPT_LINES])[:EXCERPT_CHARACTERS]
    return dataclasses.replace(finding, scope=scope, excerpt=excerpt, fingerprint=fingerprint(finding.rule.id, scope, context))


def _flagged(content: bytes, location: Location) -> str:
    """The flagged lines as text. Lines end where engines say they do (LF), with a CR before it left out."""
    lines = content.split(b"\n")[location.line - 1 : max(location.line, location.end_line)]
    return "\n".join(line.removesuffix(b"\r").decode("utf-8", errors="replace") for line in lines)
