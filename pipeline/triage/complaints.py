"""Linters and formatters that a repository declares: which they are, what they printed, and whether a patch brought new complaints. Pure.

They belong to the repository and so does their configuration, some of which is a program (`eslint.config.js`, flake8's local plug-ins):
they are only ever started in the sandbox (`pipeline.stages.lint`), and what they print is a hostile text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, TypeAdapter, ValidationError

from pipeline.model.fix import Patch, ProofCheck
from pipeline.patches import added_lines, removed_lines
from pipeline.phrases import plural
from pipeline.ports import SourceFiles

LINT = "lint and format"

_PYTHON = (".py", ".pyi")
_SCRIPT = (".js", ".jsx", ".cjs", ".mjs", ".ts", ".tsx", ".cts", ".mts")
_MAX = 2_000
"""Complaints that are read; whoever has more has other worries."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One program that looks at changed files."""

    argv: tuple[str, ...]
    """The command in front of the paths; its first word is looked for in the repository's node_modules, then on PATH."""
    formats: bool
    """True when it only tells, by its exit code, whether the files are formatted."""
    suffixes: tuple[str, ...]

    @property
    def name(self) -> str:
        """As people know it: `ruff format`."""
        return " ".join(word for word in self.argv[:2] if not word.startswith("-"))


RUFF = Tool(("ruff", "check", "--no-cache", "--quiet", "--output-format", "concise"), False, _PYTHON)
RUFF_FORMAT = Tool(("ruff", "format", "--check", "--no-cache", "--quiet"), True, _PYTHON)
FLAKE8 = Tool(("flake8",), False, _PYTHON)
BLACK = Tool(("black", "--check", "--quiet"), True, _PYTHON)
PRETTIER = Tool(("prettier", "--check"), True, _SCRIPT)
ESLINT = Tool(("eslint", "--format", "json"), False, _SCRIPT)

_FILES: tuple[tuple[str, tuple[Tool, ...]], ...] = (
    (r"\.?ruff\.toml", (RUFF, RUFF_FORMAT)),
    (r"\.flake8", (FLAKE8,)),
    (r"\.prettierrc(\..+)?|prettier\.config\.\w+", (PRETTIER,)),
    (r"\.eslintrc(\..+)?|eslint\.config\.\w+", (ESLINT,)),
)
"""Names of configuration files in the repository's root."""

_SECTIONS: tuple[tuple[str, bytes, tuple[Tool, ...]], ...] = (
    ("pyproject.toml", rb"^\[tool\.ruff[\].]", (RUFF, RUFF_FORMAT)),
    ("pyproject.toml", rb"^\[tool\.black\]", (BLACK,)),
    ("setup.cfg", rb"^\[flake8\]", (FLAKE8,)),
    ("tox.ini", rb"^\[flake8\]", (FLAKE8,)),
    ("package.json", rb'^\s*"prettier"\s*:\s*\{', (PRETTIER,)),
    ("package.json", rb'^\s*"eslintConfig"\s*:', (ESLINT,)),
)


def declared(files: SourceFiles, patch: Patch) -> tuple[Tool, ...]:
    """The tools that the repository configures and that look at a changed file, each once."""
    paths = files.paths()
    found = [tool for pattern, tools in _FILES if any(re.fullmatch(pattern, path) for path in paths) for tool in tools]
    for path, pattern, tools in _SECTIONS:
        if path in paths and re.search(pattern, files.read(path) or b"", re.MULTILINE):
            found += tools
    return tuple(tool for tool in dict.fromkeys(found) if looked_at(tool, patch.paths))


def looked_at(tool: Tool, paths: Sequence[str]) -> tuple[str, ...]:
    """The files that a tool is given. A name that could be an option is none."""
    return tuple(path for path in paths if path.endswith(tool.suffixes) and not path.startswith("-"))


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool said of the changed files."""

    complaints: tuple[tuple[str, int, str], ...] = ()
    """Path, line, and the tool's rule."""
    clean: bool = True
    """For a formatter: nothing to change."""
    trouble: str = ""
    """Why it said nothing."""


class _Message(BaseModel):
    line: int = 0
    ruleId: str | None = None  # noqa: N815 - ESLint's word


class _File(BaseModel):
    filePath: str  # noqa: N815
    messages: list[_Message]


_FILE_LIST = TypeAdapter(list[_File])
_LINE = re.compile(r"(?P<path>[^:\n]{1,400}):(?P<line>[0-9]{1,7}):(?:[0-9]{1,7}:)? (?P<rule>[A-Za-z][\w/@-]{0,60})")


def read_said(tool: Tool, exit_code: int, printed: bytes, root: str) -> Said:
    """What was printed, as complaints.

    Args:
        exit_code: 0 and 1 are answers with all of these tools, everything else is trouble.
        root: the folder of the repository as the tool saw it.
    """
    if exit_code not in (0, 1):
        return Said(trouble=f"`{tool.name}` ended with {exit_code}")
    if tool.formats:
        return Said(clean=exit_code == 0)
    text = printed.decode("utf-8", "replace")
    found: list[tuple[str, int, str]] = []
    if tool is ESLINT:
        try:
            for file in _FILE_LIST.validate_json(text):
                found += [(file.filePath.removeprefix(root + "/"), m.line, m.ruleId or "error") for m in file.messages]
        except ValidationError:
            return Said(trouble=f"`{tool.name}` cannot be understood")
    else:
        for line in text.split("\n"):
            match = _LINE.match(line)
            if match is not None:
                path = match["path"].removeprefix(root + "/").removeprefix("./")
                found.append((path, int(match["line"]), match["rule"]))
    return Said(tuple(found[:_MAX]))


def new_complaints(patch: Patch, before: Said, after: Said) -> list[tuple[str, int, str]]:
    """Complaints about added lines; one that a removed line had is not new."""
    old = {(edit.path, number) for edit in patch.edits for number, _ in removed_lines(edit)}
    new = {(edit.path, number) for edit in patch.edits for number, _ in added_lines(edit)}
    had = Counter((path, rule) for path, line, rule in before.complaints if (path, line) in old)
    found = []
    for path, line, rule in after.complaints:
        if (path, line) not in new:
            continue
        if had[path, rule]:
            had[path, rule] -= 1
        else:
            found.append((path, line, rule))
    return found


def check_lint(patch: Patch, said: Sequence[tuple[Tool, Said, Said]]) -> ProofCheck:
    """Whether the tools that could be asked have nothing new to say.

    Args:
        said: tool, what it said before, and after. A formatter only counts for files that were formatted before.
    """
    new: list[str] = []
    silent: list[str] = []
    good: list[str] = []
    counted = [0, 0]
    for tool, before, after in said:
        if before.trouble or after.trouble:
            silent.append(f"{before.trouble or after.trouble}: not checked")
        elif tool.formats and not before.clean:
            silent.append(f"`{tool.name}`: the files were not formatted before")
        elif tool.formats:
            (good if after.clean else new).append(f"`{tool.name}`" if after.clean else f"`{tool.name}` would change the patched files")
        else:
            counted = [counted[0] + len(before.complaints), counted[1] + len(after.complaints)]
            found = new_complaints(patch, before, after)
            new += [f"`{tool.name}` says {rule} of {path}:{line}" for path, line, rule in found[:3]]
            new += [f"{plural(len(found) - 3, 'more complaint')}"] if len(found) > 3 else []
            good += [] if found else [f"`{tool.name}`"]
    if new or not good:
        return ProofCheck(LINT, None, "; ".join([*new, *silent]), *counted)
    return ProofCheck(LINT, True, f"nothing new from {', '.join(good)}" + "".join(f"; {text}" for text in silent), *counted)
