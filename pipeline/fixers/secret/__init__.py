"""Fixes for secrets: the value leaves the file, and the program reads it from where it runs.

Removing a value does not unpublish it, so everything said here begins with revoking it. The value itself is never repeated: it is
only found at the place of the finding, and no text of a patch may contain it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pipeline.fixers.secret import javascript, python, settings
from pipeline.fixers.secret.literals import Taken
from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit, Patch
from pipeline.ports import SourceFiles
from pipeline.rewriting.naming import upper_snake
from pipeline.rewriting.source import Change, Source, make_patch, open_source

# Pipelines read their secrets from the host's own store and must never be written by us; keys are files, not lines.
_NEVER = re.compile(
    r"(?:^|/)(?:\.github/|\.gitlab-ci|\.circleci/|\.travis|azure-pipelines|bitbucket-pipelines|Jenkinsfile|\.drone\.yml|appveyor|"
    r"node_modules/|vendor/)|\.(?:pem|key|p12|pfx|jks|lock|min\.js)$|(?:^|/)id_(?:rsa|dsa|ecdsa|ed25519)$|package-lock\.json$"
)
_EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist")
_NAME_LIMIT = 40

Taker = Callable[[Source, Finding], Taken | None]


class SecretFixer:
    """Fixer for every rule `secrets.*`."""

    name: str = "secret"

    def answers(self, rule_id: str) -> bool:
        """True for kinds of secrets that stand as one value in a file."""
        return rule_id.startswith("secrets.") and "private-key" not in rule_id

    def fix(self, finding: Finding, files: SourceFiles) -> Patch | None:
        """Read the value from the environment; None where the file's format has no way to, or the place is not certain."""
        path = finding.location.path
        if not self.answers(finding.rule.id) or _NEVER.search(path) or (finding.secret and "private key" in finding.secret.kind.lower()):
            return None
        source = open_source(path, files.read(path))
        taker = _taker(path)
        try:
            taken = taker(source, finding) if source is not None and taker is not None else None
        except RecursionError:
            return None
        if source is None or taken is None or len(taken.name) > _NAME_LIMIT or _reveals(taken.name, taken.value):
            return None
        also = _example(files, path, taken) if taken.name else ()
        patch = make_patch(self.name, source, _change(finding, taken), also=also)
        return patch if patch is not None and _clean(patch, taken.value) else None


def _taker(path: str) -> Taker | None:
    if path.endswith((".py", ".pyw")):
        return python.take
    if path.endswith((".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")):
        return javascript.take
    return settings.take if settings.knows(path) else None


def _change(finding: Finding, taken: Taken) -> Change:
    kind = finding.secret.kind if finding.secret is not None else ""
    kind = kind if re.fullmatch(r"[A-Za-z0-9 .-]{1,30}", kind) else "secret"
    title = f"read {kind} from environment" if taken.name and not taken.emptied else f"take {kind} out of the file"
    first = "Revoke the old value first: it stays in the history whatever happens here."
    if taken.emptied:
        return Change(taken.edits, title, f"{first} The line keeps its name and has no value any more.", ("revoke the old value",))
    notes = ("revoke the old value", f"set {taken.name} where this runs") if taken.name else ("revoke the old value",)
    return Change(taken.edits, title, f"{first} It is now read from `{taken.name}` in the environment.", notes)


def _reveals(name: str, value: str) -> bool:
    """True when a name that we made holds the value: then the literal was its own name."""
    flat = upper_snake(value)
    return bool(name) and bool(flat) and flat in name


def _clean(patch: Patch, value: str) -> bool:
    """True when the value stands nowhere in what we would write."""
    texts = [patch.title, patch.explanation, *patch.notes]
    return all(value.encode() not in (edit.after or b"") for edit in patch.edits) and not any(value in text for text in texts)


def _example(files: SourceFiles, path: str, taken: Taken) -> tuple[FileEdit, ...]:
    """The name in the nearest example of a settings file, when the repository keeps one and does not have it yet."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        for name in _EXAMPLES:
            example = f"{folder}/{name}" if folder else name
            source = open_source(example, files.read(example)) if example != path else None
            if source is None:
                continue
            if re.search(rf"(?m)^\s*(?:export\s+)?{taken.name}\s*=", source.text) or taken.value in source.text:
                return ()
            lead = "" if not source.text or source.text.endswith("\n") else source.newline
            after = source.content + f"{lead}{taken.name}={source.newline}".encode(source.encoding)
            return (FileEdit(example, source.content, after),)
    return ()


FIXER = SecretFixer()
