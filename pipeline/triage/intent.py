"""What a fix may touch at all: which files, how much, and no word that silences an engine. Pure; reads the patch and nothing else."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import re
from collections.abc import Iterable
from urllib.parse import quote

from pipeline.model.finding import Finding, Location
from pipeline.model.fix import FileEdit, Patch
from pipeline.patches import added_lines, removed_lines
from pipeline.policy import FILE

MAX_FILES = 5
"""A fix of one finding that touches more is not the smallest one."""

MAX_LINES = 200
"""Added plus removed."""

MAX_LINE = 4_000
"""Bytes of one added line: what is longer nobody reads, and engines may leave out the whole file."""

_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "a workflow of the build",
        (
            ".github/workflows/*",
            ".github/actions/*",
            ".gitlab-ci.y*ml",
            ".gitlab/ci/*",
            ".circleci/*",
            ".buildkite/*",
            ".woodpecker/*",
            ".woodpecker.y*ml",
            ".drone.y*ml",
            ".travis.y*ml",
            ".appveyor.y*ml",
            "appveyor.y*ml",
            "azure-pipelines.y*ml",
            "bitbucket-pipelines.y*ml",
            "Jenkinsfile",
            ".pre-commit-config.y*ml",
            ".husky/*",
        ),
    ),
    (
        "a lock file",
        (
            "package-lock.json",
            "npm-shrinkwrap.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock*",
            "poetry.lock",
            "Pipfile.lock",
            "uv.lock",
            "pdm.lock",
            "*.lock",
            "go.sum",
        ),
    ),
    ("the list of code owners", ("CODEOWNERS",)),
    ("a policy of Fixwright", (FILE, f".{FILE}")),
    (
        "what an engine leaves out",
        (
            ".semgrepignore",
            ".semgrep.y*ml",
            ".semgrep/*",
            ".gitleaks.toml",
            ".gitleaksignore",
            ".betterleaks*",
            ".gitignore",
            ".gitattributes",
            ".gitmodules",
            ".bandit",
            ".eslintignore",
            ".eslintrc*",
            "eslint.config.*",
            ".snyk",
            ".trivyignore*",
            ".secrets.baseline",
            "sonar-project.properties",
            ".dockerignore",
            "ruff.toml",
            ".ruff.toml",
        ),
    ),
    (
        "how the project builds and tests itself",
        (
            "package.json",
            "pyproject.toml",
            "setup.cfg",
            "setup.py",
            "tox.ini",
            "noxfile.py",
            "pytest.ini",
            "pytest.toml",
            ".coveragerc",
            "Makefile",
            "jest.config.*",
            "vitest.config.*",
            "babel.config.*",
            ".babelrc",
            ".mocharc*",
            ".nycrc*",
            "karma.conf.*",
            "playwright.config.*",
            ".npmrc",
            ".yarnrc*",
            "pip.conf",
            "sitecustomize.py",
            "usercustomize.py",
        ),
    ),
    (
        "a test",
        (
            "test/*",
            "tests/*",
            "__tests__/*",
            "spec/*",
            "specs/*",
            "e2e/*",
            "conftest.py",
            "test_*.py",
            "*_test.py",
            "tests.py",
            "*.test.*",
            "*.spec.*",
            "__snapshots__/*",
        ),
    ),
)
"""What a fix leaves alone unless the finding lies in that very file, by glob of the name or of a folder anywhere in the path."""

MARKERS = re.compile(
    rb"""(?ix)
    \b(?: nosem(?:grep)? | noqa | nosec | nosonar | noinspection | skipcq | nolint
        | eslint-disable(?:-\w+)* | jshint\s+ignore | tslint:\s*disable | standard:\s*ignore
        | (?:gitleaks|betterleaks|trufflehog|ggshield|kingfisher):?\s*(?:allow|ignore)
        | pragma:?\s*(?:allowlist|whitelist)\s+secret | pragma:?\s*no\s*cover
        | (?:istanbul|c8|v8)\s+ignore | coverage:\s*ignore
        | pylint:\s*disable | mypy:\s*ignore | pyright:\s*ignore | type:\s*ignore | flake8:\s*noqa | ruff:\s*noqa
        | bearer:disable | deepcode\s+ignore | snyk:ignore | checkov:skip | (?:tfsec|trivy):ignore | gosec:disable
        | devskim:\s*ignore | kics-scan\s+ignore(?:-\w+)* | trunk-ignore(?:-\w+)* | semgrep:\s*(?:ignore|disable) | biome-ignore(?:-\w+)*
        | oxlint-disable(?:-\w+)* | sourcery\s+skip | hadolint\s+(?:global\s+)?ignore | zizmor:\s*ignore | njsscan-ignore
        | shellcheck\s+disable
        | stylelint-disable(?:-\w+)* | rubocop:\s*disable | phpcs:\s*(?:disable|ignore) | psalm-suppress | detekt:\s*disable
        | fixwright:\s*(?:ignore|allow|waive|skip)
    )
    | @ts-(?:ignore|nocheck|expect-error) | lgtm\s*\[ | codeql\s*\[ | @SuppressWarnings
    """
)
"""Words by which engines are told to look away."""


def protected_kind(path: str) -> str:
    """What kind of file this is that a fix leaves alone (`a lock file`), or `""`."""
    parts = path.split("/")
    places = ["/".join(parts[start:end]) for start in range(len(parts)) for end in range(start + 1, len(parts) + 1)]
    for kind, patterns in _KINDS:
        for pattern in patterns:
            tails = places if "/" in pattern else [parts[-1]]
            if any(fnmatch.fnmatchcase(tail.lower(), pattern.lower()) for tail in tails):
                return kind
    return ""


def wrong_paths(patch: Patch, finding: Finding) -> list[str]:
    """Why a patch touches files that a fix of this finding has no business in; empty when it does not."""
    reasons = []
    for edit in patch.edits:
        kind = protected_kind(edit.path)
        if kind and edit.path != finding.location.path:
            reasons.append(f"{edit.path} is {kind}")
        if "" in edit.path.split("/") or ".." in edit.path.split("/") or "\\" in edit.path:
            reasons.append(f"{edit.path!r} is no path inside of the repository")
        if any(0xDC80 <= ord(char) <= 0xDCFF for char in edit.path):
            reasons.append(f"{edit.path!r} is no UTF-8 name")
        if b"\0" in (edit.before or b"") or b"\0" in (edit.after or b""):
            reasons.append(f"{edit.path} is binary")
    if finding.location.path not in patch.paths:
        reasons.append(f"{finding.location.path}, where the finding lies, is not changed")
    return reasons


def too_large(patch: Patch, location: Location) -> tuple[list[str], int]:
    """Why the patch is larger than a fix should be, and how many lines it adds and removes. A finding that is long itself may need more."""
    most = max(MAX_LINES, MAX_LINES // 4 + 2 * (location.end_line - location.line + 1))
    lines = sum(len(added_lines(edit)) + len(removed_lines(edit)) for edit in patch.edits)
    reasons = []
    if len(patch.edits) > MAX_FILES:
        reasons.append(f"{len(patch.edits)} files are changed, at most {MAX_FILES} are allowed")
    if lines > most:
        reasons.append(f"{lines} lines are changed, at most {most} are allowed")
    for edit in patch.edits:
        longest = max((len(text) for _, text in added_lines(edit)), default=0)
        if longest > MAX_LINE:
            reasons.append(f"{edit.path} gets a line of {longest} bytes, at most {MAX_LINE} are allowed")
    return reasons, lines


def suppressions(patch: Patch) -> list[str]:
    """Markers that the patch adds and that would make some engine look away, one sentence each."""
    reasons = []
    for edit in patch.edits:
        had = [match.group().lower() for match in MARKERS.finditer(edit.before or b"")]
        for match in MARKERS.finditer(edit.after or b""):
            word = match.group().lower()
            if word in had:
                had.remove(word)
                continue
            line = (edit.after or b"").count(b"\n", 0, match.start()) + 1
            reasons.append(f"{edit.path}:{line} silences an engine (`{word.decode('ascii', 'replace')}`)")
    return reasons


def kept_secret(patch: Patch, finding: Finding) -> list[str]:
    """Where the value of a found secret still stands after the patch, plain, in pieces, or encoded. Never repeats it."""
    if finding.secret is None:
        return []
    before = next((edit.before for edit in patch.edits if edit.path == finding.location.path), None)
    value = flagged_text(before or b"", finding.location).strip(b"\"' \t\r\n")
    if len(value) < 6:
        return []
    own = _bare(value)
    reasons = []
    for edit in patch.edits:
        old, new = edit.before or b"", edit.after or b""
        plain = _bare(new).count(own) - _bare(old).count(own)
        # Where the finding lies one copy less is asked for; elsewhere, and encoded, none more.
        stays = plain >= 0 if edit.path == finding.location.path else plain > 0
        if stays or any(new.count(form) > old.count(form) for form in _encodings(value)):
            reasons.append(f"the secret's value still stands in {edit.path}")
    return reasons


def _bare(content: bytes) -> bytes:
    """Without what may stand between the pieces of a text that a program glues together."""
    return re.sub(rb"""["'`+\s\\,()]""", b"", content)


def _encodings(value: bytes) -> Iterable[bytes]:
    yield value[::-1]
    yield value.hex().encode()
    yield value.hex().upper().encode()
    yield base64.b64encode(value).rstrip(b"=")
    yield base64.urlsafe_b64encode(value).rstrip(b"=")
    yield base64.b32encode(value).rstrip(b"=")
    yield binascii.b2a_base64(value[::-1]).strip().rstrip(b"=")
    encoded = quote(value.decode("utf-8", "replace"), safe="").encode()
    if encoded != value:
        yield encoded


def flagged_text(content: bytes, location: Location) -> bytes:
    """The text of a location, from its first column to its last."""
    lines = content.split(b"\n")
    picked = lines[location.line - 1 : location.end_line]
    if not picked:
        return b""
    if location.end_column > 1:
        picked[-1] = picked[-1][: location.end_column - 1]
    picked[0] = picked[0][location.column - 1 :]
    return b"\n".join(picked)


def emptied(edits: Iterable[FileEdit]) -> list[str]:
    """Files that the patch deletes or leaves without content."""
    reasons = []
    for edit in edits:
        if edit.before is not None and edit.after is None:
            reasons.append(f"{edit.path} is deleted")
        elif (edit.before or b"").strip() and not (edit.after or b"").strip():
            reasons.append(f"{edit.path} is emptied")
    return reasons
