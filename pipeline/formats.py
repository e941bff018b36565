"""Whether a file that holds no program of one language is well-formed: workflows (YAML) and Dockerfiles. Pure, for hostile text too."""

from __future__ import annotations

import functools
import re

import yaml

MAX_BYTES = 300_000
"""Larger ones are generated, or meant to keep us busy."""

MAX_DEPTH = 60
"""Of a document; people stop at ten, and reading recurses."""

_WORKFLOW = re.compile(r"(^|/)\.github/workflows/[^/]+\.ya?ml$|(^|/)action\.ya?ml$", re.IGNORECASE)
_DOCKERFILE = re.compile(r"(^|/)((docker|container)file(\.[\w.-]+)?|[^/]+\.(docker|container)file)$", re.IGNORECASE)
_NO_DOCKERFILE = re.compile(
    r"\.(md|mdx|rst|txt|j2|jinja2?|tmpl|tpl|template|erb|dockerignore|py|js|ts|go|sh|ya?ml|json|in|m4)$", re.IGNORECASE
)

# https://docs.docker.com/reference/dockerfile/#overview
# fmt: off
_INSTRUCTIONS = frozenset({
    "add", "arg", "cmd", "copy", "entrypoint", "env", "expose", "from", "healthcheck", "label", "maintainer", "onbuild", "run", "shell",
    "stopsignal", "user", "volume", "workdir",
})
# fmt: on
_HEREDOC = re.compile(r"<<-?(['\"]?)(\w+)\1")


def format_of(path: str) -> str | None:
    """`workflow` (also for a composite action), `dockerfile`, or None. A path with template marks names a template, not a workflow."""
    if "{" in path or "}" in path:
        return None
    if _WORKFLOW.search(path):
        return "workflow"
    if _DOCKERFILE.search(path) and not _NO_DOCKERFILE.search(path):
        return "dockerfile"
    return None


def well_formed(kind: str, content: bytes) -> bool:
    """Whether a file of this kind can be read at all; an empty one can."""
    return _document(content) if kind == "workflow" else _instructions(content)


def compose(text: str) -> yaml.Node | None:
    """The nodes of a YAML document, with their places in `text`.

    Returns:
        None when it holds no document, several, one too deep or too large, an unreadable one, or one in which a key stands twice.
    """
    if len(text) > MAX_BYTES or not _flat(text):
        return None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return node if node is not None and not _doubled(node) else None


def _flat(text: str) -> bool:
    """False for a document that cannot be read, or that is nested too deep to be composed. Events need no recursion."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    return False
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    return True


def _doubled(root: yaml.Node) -> bool:
    """Whether some mapping has a key twice, which hosts refuse and readers resolve differently."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue  # an alias
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) < len(keys):
                return True
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return False


@functools.lru_cache(maxsize=16)
def _document(content: bytes) -> bool:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        return True
    return isinstance(compose(text), yaml.MappingNode)


def _instructions(content: bytes) -> bool:
    """Every logical line begins with an instruction, every heredoc ends, and the first instructions are ARG and FROM."""
    found = instructions(content.decode("utf-8", errors="replace").removeprefix("\ufeff"))
    words = [word for word, _ in found]
    if any(word not in _INSTRUCTIONS for word in words):
        return False
    first = next((word for word in words if word != "arg"), "from")
    return first == "from" and (not words or "from" in words)


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile: (word in small letters, the rest with its continuations and heredocs).

    A heredoc without an end makes an instruction `""`, which there is none of.
    """
    lines = text.splitlines()
    escape = "`" if any(re.fullmatch(r"#\s*escape\s*=\s*`\s*", line) for line in lines[:5]) else "\\"
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(lines):
        logical, at = _logical(lines, at, escape)
        if not logical:
            continue
        word, _, rest = logical.partition(" ")
        body: list[str] = []
        if word.lower() in {"run", "copy", "add"}:
            for _, name in _HEREDOC.findall(rest):
                start = at
                while at < len(lines) and lines[at].strip() != name:
                    at += 1
                if at >= len(lines):
                    return [*found, ("", "")]
                body += lines[start:at]
                at += 1
        found.append((word.lower(), "\n".join([rest.strip(), *body])))
    return found


def _logical(lines: list[str], at: int, escape: str) -> tuple[str, int]:
    """The instruction that begins here, its continuations joined, and the number of the line behind it."""
    parts: list[str] = []
    while at < len(lines):
        line = " ".join(lines[at].split())
        at += 1
        if line.startswith("#") or (not line and parts):
            continue
        parts.append(line.removesuffix(escape))
        if not line.endswith(escape):
            break
    return " ".join(parts).strip(), at
