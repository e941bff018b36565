"""workflow.excessive-permissions and workflow.default-permissions: a token that may read, where the steps show that they need no more."""

from __future__ import annotations

import re

import yaml

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.workflow.document import Document, child, entry, text

_TITLE = "let the workflow's token only read"
_SAID = "The steps fetch, build and test, which needs no more than reading the repository."
_NOTE = "A script of the repository that pushes or comments with the workflow's token needs its permission named here."

_READING = re.compile(
    r"(?:actions/(?:checkout|setup-[\w-]+|cache(?:/(?:restore|save))?|upload-artifact|download-artifact)|astral-sh/setup-uv|pnpm/action-setup"
    r"|oven-sh/setup-bun|denoland/setup-deno|dtolnay/rust-toolchain|actions-rs/toolchain|swatinem/rust-cache|ruby/setup-ruby"
    r"|shivammathur/setup-php|julia-actions/setup-julia|erlef/setup-beam|golangci/golangci-lint-action|gradle/actions/setup-gradle"
    r"|gradle/wrapper-validation-action|docker/setup-(?:qemu|buildx)-action|hashicorp/setup-terraform|codecov/codecov-action"
    r"|pre-commit/action|psf/black|ludeeus/action-shellcheck|hadolint/hadolint-action)@\S+",
    re.IGNORECASE,
)
"""Actions that need nothing but the contents, or nothing at all, by their own documents."""

_WRITING = re.compile(
    r"(?i)GITHUB_TOKEN|GH_TOKEN|github\.token|ACTIONS_ID_TOKEN|id-token|\bgh\s|\bhub\s|\bgit\s+(?:push|tag|commit)\b|ghcr\.io|pkg\.github\.com"
    r"|api\.github\.com|publish|release|deploy|provenance|attest|sarif|sigstore|cosign|comment"
)
"""What hints at more than reading, in whatever a job says."""


def narrow(document: Document, finding: Finding, _files: SourceFiles) -> Change | None:
    """`permissions: write-all` of a workflow or a job becomes `contents: read`."""
    at = document.source.range_of(finding.location)
    for holder in (document.root, *document.jobs()):
        found = entry(holder, "permissions")
        if found is None or not at[0] <= document.offset(found[0].start_mark) < at[1] or text(found[1]) != "write-all":
            continue
        jobs = [job for job in document.jobs() if holder is job or (holder is document.root and entry(job, "permissions") is None)]
        if holder.flow_style or not all(_only_reads(document, job) for job in jobs):
            return None
        start, end = document.offset(found[0].end_mark), document.offset(found[1].end_mark)
        blanks = " " * found[0].start_mark.column
        return Change((Edit(start, end, f":\n{blanks}  contents: read"),), _TITLE, _SAID, (_NOTE,))
    return None


def name_them(document: Document, _finding: Finding, _files: SourceFiles) -> Change | None:
    """`permissions` with `contents: read` above the jobs of a workflow that names none."""
    jobs = entry(document.root, "jobs")
    named = [child(holder, "permissions") for holder in (document.root, *document.jobs())]
    all_jobs = list(document.jobs())
    if jobs is None or document.root.flow_style or any(named) or not all_jobs or not all(_only_reads(document, job) for job in all_jobs):
        return None
    if isinstance(child(document.root, "permissions"), yaml.Node):
        return None
    source = document.source
    at = source.line_start(document.offset(jobs[0].start_mark))
    while at > 0 and source.slice(source.line_start(at - 1), at).startswith("#"):
        at = source.line_start(at - 1)
    if at == 0:
        at = source.line_start(document.offset(jobs[0].start_mark))
    return Change((Edit(at, at, "permissions:\n  contents: read\n\n"),), _TITLE, _SAID, (_NOTE,))


def _only_reads(document: Document, job: yaml.MappingNode) -> bool:
    start, end = document.span(job)
    if _WRITING.search(document.source.slice(start, end)) or child(job, "uses") is not None:
        return False
    steps = child(job, "steps")
    if not isinstance(steps, yaml.SequenceNode) or not steps.value:
        return False
    return all(child(step, "uses") is None or _READING.fullmatch(text(child(step, "uses"))) for step in steps.value)
