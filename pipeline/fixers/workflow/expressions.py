"""workflow.script-injection: what strangers write reaches the script as a variable, which no shell reads as commands."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.workflow import shells
from pipeline.rewriting.workflow.document import Document, Step, child, entry, text

_TITLE = "hand the event's text to the script as a variable"
_SAID = "The text reaches the script in an environment variable, so that the shell takes it as one word and never as commands."

_HOSTILE = re.compile(
    r"\bgithub\.(head_ref\b|event\.(?:issue|discussion|comment|review|review_comment|pull_request|head_commit|commits|workflow_run|pages)\b"
    r"[\w.*\[\]]*+)"
)
_EXPRESSION = re.compile(r"\$\{\{([^{}]*+)\}\}")
_UNSURE = re.compile(r"==|!=|&&|[<>!]|\b(?:contains|startsWith|endsWith|hashFiles|fromJSON)\(")

_INTERPRETERS = re.compile(
    r"(?:^|[\s/])(?:eval|source|\.|trap|(?:ba|da|z|k)?sh|python[\d.]*|node|perl|ruby|php|g?awk|sed|jq|yq|xargs|ssh|su|psql|mysql|sqlite3|envsubst"
    r"|pwsh|powershell|cmd|git\s+bisect|find|make|for\s+\w+\s+in)(?=\s|$)"
)
"""Commands that read what they are given as a program, or words that are meant to be split: a variable alone mends nothing there."""
_PIPED = re.compile(r"\|\s*+(?:sudo\s++)?(?:(?:ba|da|z|k)?sh|python[\d.]*|node|perl|ruby|xargs|source|bc|psql|mysql)\b")
_KEPT = re.compile(r">>\s*+[\"']?\$\{?GITHUB_(?:ENV|PATH)\b|::set-env|::add-path")
"""A file whose lines become variables of later steps: a text with line breaks would set others."""
_LONG = re.compile(r"\.(?:body|message)\b")
_MAX_SCRIPT = 20_000
"""Characters; a longer one is generated, or meant to keep us busy."""
_MAX_EXPRESSIONS = 50
_WORD = re.compile(r"[\w./:@%,+-]")


@dataclass(frozen=True, slots=True)
class _Script:
    """The script of one step."""

    step: Step
    key: yaml.Node
    """The key before which `env` may stand."""
    start: int
    end: int
    style: str
    """As YAML writes it: `|`, `>`, `'`, `"`, or "" for plain."""
    javascript: bool


def fix(document: Document, finding: Finding, _files: SourceFiles) -> Change | None:
    """Put variables in the place of every such expression in the script at the finding, as far as each is certain."""
    at = document.source.range_of(finding.location)
    script = next((s for s in (_script(document, step) for step in document.steps()) if s and s.start <= at[0] < s.end), None)
    if script is None or bool(script.step.node.flow_style):
        return None
    language = "javascript" if script.javascript else _shell(document, script.step)
    body = document.source.slice(script.start, script.end)
    if not language or len(body) > _MAX_SCRIPT or (script.style == '"' and "\\" in body) or (script.style == "'" and "''" in body):
        return None
    names = _Names(document, script, body)
    edits: list[Edit] = []
    reached = False
    for match in list(_EXPRESSION.finditer(body))[:_MAX_EXPRESSIONS]:
        if not _HOSTILE.search(match[1]) or _UNSURE.search(match[1]):
            continue
        name = names.of(match[1])
        made = _replace(script, body, match, name, language) if name else None
        if made is None:
            continue
        edits += [Edit(script.start + _bytes(body, e.start), script.start + _bytes(body, e.end), e.text) for e in made]
        names.keep(match[1])
        start, end = script.start + _bytes(body, match.start()), script.start + _bytes(body, match.end())
        reached = reached or (start < at[1] and at[0] < end)
    added = names.edits() if reached else None
    return Change((*edits, *added), _TITLE, _SAID) if added is not None else None


def _bytes(body: str, at: int) -> int:
    return len(body[:at].encode())


def _script(document: Document, step: Step) -> _Script | None:
    run = entry(step.node, "run")
    if run is not None and isinstance(run[1], yaml.ScalarNode):
        return _Script(step, run[0], *_text_span(document, run[1]), run[1].style or "", False)
    held = entry(step.node, "with")
    script = entry(held[1], "script") if held is not None else None
    if held is None or script is None or not isinstance(script[1], yaml.ScalarNode):
        return None
    if not text(child(step.node, "uses")).startswith("actions/github-script@"):
        return None
    return _Script(step, held[0], *_text_span(document, script[1]), script[1].style or "", True)


def _text_span(document: Document, node: yaml.ScalarNode) -> tuple[int, int]:
    """The text of a scalar without its quotes, and without the line that begins a block."""
    start, end = document.span(node)
    if node.style in ("'", '"'):
        return start + 1, end - 1
    return (min(document.source.line_end(start), end) if node.style in ("|", ">") else start), end


def _shell(document: Document, step: Step) -> str:
    """`posix`, `powershell`, or "" for a shell that we do not write.

    Source: docs.github.com, "Workflow syntax", `jobs.<job_id>.steps[*].shell`: bash where nothing is said, PowerShell on Windows.
    """
    said = text(child(step.node, "shell"))
    for around in (step.job, document.root):
        said = said or text(child(child(child(around, "defaults"), "run"), "shell"))
    if said:
        word = said.split()[0]
        return "posix" if word in {"bash", "sh"} else "powershell" if word in {"pwsh", "powershell"} else ""
    if step.job is None:
        return ""
    runs = child(step.job, "runs-on")
    start, end = document.span(step.job)
    if runs is None or "windows" not in document.source.slice(start, end).lower():
        return "posix"
    return "powershell" if text(runs).lower().startswith("windows") else ""


class _Names:
    """The variables of one step: what is there already, and what is added."""

    def __init__(self, document: Document, script: _Script, body: str) -> None:
        self._document, self._script, self._body = document, script, body
        self._env = entry(script.step.node, "env")
        self._there: dict[str, str] = {}
        for around in (document.root, script.step.job, script.step.node):
            env = child(around, "env")
            if isinstance(env, yaml.MappingNode):
                self._there |= {text(key): text(value) for key, value in env.value}
        self._own = {text(key) for key, _ in self._env[1].value} if self._env and isinstance(self._env[1], yaml.MappingNode) else set()
        self._new: dict[str, str] = {}
        self._kept: list[str] = []

    def of(self, expression: str) -> str:
        """The variable for an expression; "" when no name is free."""
        inner = expression.strip()
        for name, value in {**self._there, **self._new}.items():
            match = _EXPRESSION.fullmatch(value.strip())
            if match and match[1].strip() == inner and re.fullmatch(r"\w+", name):
                return name
        found = _HOSTILE.search(inner)
        if found is None or ": " in inner or " #" in inner:
            return ""
        words = re.findall(r"[A-Za-z_]+", found[1].removeprefix("event."))
        wanted = "_".join(words[-2:]).upper()
        for name in (wanted, f"{wanted}_TEXT"):
            if name not in self._there and name not in self._new and not re.search(rf"\b{name}\b", self._body):
                self._new[name] = f"${{{{ {inner} }}}}"
                return name
        return ""

    def keep(self, expression: str) -> None:
        """Remember that the variable for this expression is used."""
        name = self.of(expression)
        if name in self._new and name not in self._kept:
            self._kept.append(name)

    def edits(self) -> list[Edit] | None:
        """What makes the variables that are used; None when the step's `env` cannot be written to."""
        if not self._kept:
            return []
        entries = [f"{name}: {self._new[name]}" for name in self._kept]
        document, source = self._document, self._document.source
        if self._env is None:
            at = document.offset(self._script.key.start_mark)
            blanks = " " * self._script.key.start_mark.column
            lines = "".join(f"{blanks}  {line}\n" for line in entries)
            return [Edit(at, at, f"env:\n{lines}{blanks}")]
        env = self._env[1]
        if not isinstance(env, yaml.MappingNode) or env.flow_style or not env.value:
            return None
        blanks = " " * env.value[0][0].start_mark.column
        last = env.value[-1][1]
        if isinstance(last, yaml.ScalarNode) and last.style not in ("|", ">") and last.start_mark.line == last.end_mark.line:
            at = source.line_end(document.offset(last.end_mark))
            if source.data[at - 1 : at] == b"\n":
                return [Edit(at, at, "".join(f"{blanks}{line}\n" for line in entries))]
        at = document.offset(env.value[0][0].start_mark)
        return [Edit(at, at, "".join(f"{line}\n{blanks}" for line in entries))]


def _replace(script: _Script, body: str, match: re.Match[str], name: str, language: str) -> list[Edit] | None:
    if language == "javascript":
        return _in_javascript(body, match, name) if script.style in ("|", "") else None
    made = _in_powershell(body, match, name) if language == "powershell" else _in_shell(body, match, name)
    if made is None:
        return None
    if script.style == "'" and any("'" in edit.text or body[edit.start : edit.end] == "'" for edit in made):
        return None
    if script.style == '"':
        made = [Edit(edit.start, edit.end, edit.text.replace('"', '\\"')) for edit in made]
    first = min(edit.start for edit in made)
    return None if script.style == "" and first == 0 else made


# --- sh and bash ----------------------------------------------------------------------------------------------------------------------


def _in_shell(body: str, match: re.Match[str], name: str) -> list[Edit] | None:
    place = shells.place(body, match.start())
    if place is None or (_INTERPRETERS.search(place.command) and place.quoting != "comment"):
        return None
    rest = _logical_rest(body, match.end())
    if _PIPED.search(rest) or (_KEPT.search(rest) and _LONG.search(match[1])):
        return None
    following = body[match.end() : match.end() + 1]
    variable = f"${{{name}}}" if re.match(r"[\w\[]", following) else f"${name}"
    if place.quoting in ("double", "heredoc", "comment"):
        return [Edit(match.start(), match.end(), variable)]
    if place.quoting == "single":
        return _unquoted(body, match, place.opened, variable)
    start, end = match.start(), match.end()
    while start > 0 and _WORD.match(body[start - 1]):
        start -= 1
    while end < len(body) and _WORD.match(body[end]):
        end += 1
    whole = body[start - 1 : start] in ("", " ", "\t", "\n", "=", "(") and body[end : end + 1] in ("", " ", "\t", "\n", ";", ")")
    if whole:
        if start == match.start() and end == match.end():
            return [Edit(start, end, f'"{variable}"')]
        return (
            [Edit(start, start, '"'), Edit(match.start(), match.end(), variable), Edit(end, end, '"')]
            if end > match.end()
            else [
                Edit(start, start, '"'),
                Edit(match.start(), match.end(), f'{variable}"'),
            ]
        )
    return [Edit(match.start(), match.end(), f'"{variable}"')]


def _unquoted(body: str, match: re.Match[str], opened: int, variable: str) -> list[Edit] | None:
    """The single quotes around become double ones, when nothing between them would mean something else then."""
    closed = body.find("'", match.end())
    before, after = body[opened + 1 : match.start()], body[match.end() : closed]
    if closed < 0 or re.search(r"[$`\\\"!]", _EXPRESSION.sub("", before + after)):
        return None
    others = [m[1] for m in _EXPRESSION.finditer(before + after)]
    if any(not _HOSTILE.search(other) for other in others):
        return None  # its value would be read by the shell where it is not now
    return [Edit(opened, opened + 1, '"'), Edit(match.start(), match.end(), variable), Edit(closed, closed + 1, '"')]


def _logical_rest(body: str, at: int) -> str:
    """The rest of the line, with what continues it."""
    end = body.find("\n", at)
    while end > 0 and body[end - 1] == "\\":
        end = body.find("\n", end + 1)
    return body[at:] if end < 0 else body[at:end]


# --- other languages ------------------------------------------------------------------------------------------------------------------


def _in_powershell(body: str, match: re.Match[str], name: str) -> list[Edit] | None:
    """Outside of quotes, or inside of double ones. Source: learn.microsoft.com, about_Quoting_Rules, about_Environment_Variables."""
    line = body[body.rfind("\n", 0, match.start()) + 1 : match.start()]
    if "'" in line or "`" in line or re.search(r"(?i)\b(iex|invoke-expression|start-process|cmd|-command|-c)\b|[@&]", line):
        return None
    following = body[match.end() : match.end() + 1]
    return [Edit(match.start(), match.end(), f"${{env:{name}}}" if re.match(r"[\w:]", following) else f"$env:{name}")]


def _in_javascript(body: str, match: re.Match[str], name: str) -> list[Edit] | None:
    """A whole string becomes the variable; in a template it is put in; a JSON text is parsed."""
    start, end, value = match.start(), match.end(), f"process.env.{name}"
    before, after = body[start - 1 : start], body[end : end + 1]
    line = body[body.rfind("\n", 0, start) + 1 : start]
    if before == after and before in ("'", '"', "`") and line[:-1].count(before) % 2 == 0:
        return [Edit(start - 1, end + 1, value)]
    quotes = [quote for quote in "'\"`" if line.count(quote) % 2]
    if quotes == ["`"] and "//" not in line:
        return [Edit(start, end, f"${{{value}}}")]
    if not quotes and body.count("`", 0, start) % 2 == 1:
        return [Edit(start, end, f"${{{value}}}")]
    if not quotes and re.fullmatch(r"\s*toJSON\([^()]*\)\s*", match[1]) and body.count("`", 0, start) % 2 == 0:
        return [Edit(start, end, f"JSON.parse({value})")]
    return None
