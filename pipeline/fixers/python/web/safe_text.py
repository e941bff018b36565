"""python.unescaped-output: only the constant text is called safe, and the values in it are escaped."""

from __future__ import annotations

import re

import libcst as cst

from pipeline.fixers.python.queries import FAR, Built
from pipeline.fixers.python.web.built import built
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code, add_argument, keyword
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.template import Hole, Template, Unit, render

_MARKUP = frozenset({"markupsafe.Markup", "flask.Markup", "jinja2.Markup", "jinja2.utils.Markup"})
_DJANGO = frozenset({"django.utils.safestring.mark_safe", "django.utils.safestring.SafeString"})
_FORMAT = "django.utils.html.format_html"
_JINJA = frozenset({"jinja2.Environment", "jinja2.sandbox.SandboxedEnvironment"})
_TITLE = "escape the values in safe text"
_SAID = "Only the text that the program brings is called safe; every value in it is escaped where it becomes part of the page."
_NOTE = "A value that is markup on purpose is shown as text from now on, unless it is called safe where it is made."
_TEMPLATES = (
    "Values are escaped in templates that end in .html, .htm or .xml. Where one of them is markup on purpose, the template needs `|safe`."
)

_UNKNOWN = frozenset({"html", "markup", "svg", "rendered", "body", "content", "widget", "fragment", "snippet", "attr", "icon", "tag"})
"""Words in names of what is likely to be markup already, in the singular."""
_PLAIN = re.compile(
    r"(?:int|float|len|bool|str|abs|round|reverse|url_for|\w+\.(?:url_for|static)|static|_|gettext|escape|conditional_escape)\("
)
"""Calls whose result is no markup, or is markup that markupsafe and Django know as such."""
_KEPT = re.compile(
    r"\.(?:strip|lstrip|rstrip|title|capitalize|upper|lower|removeprefix|removesuffix|get_absolute_url|isoformat|strftime)\([^()]*\)$"
)
_DEPTH = 4
"""Assignments that are followed back from a name."""


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """The text at the finding is made of constant safe text and escaped values; None when one of the values may be markup already."""
    for call in code.near(finding.location, cst.Call, lambda c: code.callee(c) in _MARKUP | _DJANGO | {_FORMAT} and len(c.args) == 1):
        if call.args[0].star or call.args[0].keyword is not None:
            continue
        text = built(code, call.args[0].value)
        if text is None or not all(_plain(code, hole, call) for part in text.statements for hole in part.template.holes):
            continue
        changed = _called(code, call, text) if text.statements[0].line is None else _pieces(code, call, text)
        if changed is not None:
            return changed
    return _environment(code, finding)


def why_not(code: Code, finding: Finding, _files: SourceFiles) -> str:
    """Why the text at the finding is left as it is."""
    calls = code.near(finding.location, cst.Call, lambda c: code.callee(c) in _MARKUP | _DJANGO | {_FORMAT} and len(c.args) == 1)
    texts = [text for call in calls if (text := built(code, call.args[0].value)) is not None]
    if not texts:
        return FAR if calls else ""
    plain = all(_plain(code, hole, calls[0]) for text in texts for part in text.statements for hole in part.template.holes)
    return "" if plain else "one of the values may be markup already, which would be shown as text"


# --- one text -------------------------------------------------------------------------------------------------------------------------


def _called(code: Code, call: cst.Call, text: Built) -> Change | None:
    """`Markup(f"<b>{x}</b>")` -> `Markup("<b>{}</b>").format(x)`, or `format_html("<b>{}</b>", x)` in Django."""
    django = code.callee(call) not in _MARKUP
    split = _split(code, text.statements[0].template, django=django)
    if split is None:
        return None
    literal, values = split
    edits = [Edit(*code.outer(call.args[0].value), f"{literal}, {values}" if django else literal)]
    if not django:
        end = code.span(call)[1]
        edits.append(Edit(end, end, f".format({values})"))
    elif code.callee(call) != _FORMAT:
        found = _format_html(code)
        if found is None:
            return None
        gone = {code.inner(call.func)} if isinstance(call.func, cst.Name) else set()
        edits += [Edit(*code.span(call.func), found[0]), *found[1]]
        edits += imports.drop_unused(code, gone, [code.span(call.func)], found[1])
    return Change(tuple(edits), _TITLE, _SAID, (_NOTE,))


def _split(code: Code, template: Template, *, django: bool) -> tuple[str, str] | None:
    """The constant text with braces for the values, and the values; None when one of them cannot be handed over as it is."""
    holes = template.holes
    if any("\n" in hole.code or (django and hole.spec not in {"", "!s"}) for hole in holes):
        return None  # Django escapes before it formats: a number would be text by then
    if not all(part.char for part in template.parts if isinstance(part, Unit)):
        return None  # a line of the text that goes on behind a backslash
    bodies = dict.fromkeys(range(len(template.tokens)), "")
    for part in template.parts:
        if isinstance(part, Hole):
            bodies[part.token] += "{" + ("" if part.spec == "!s" else part.spec) + "}"
        else:
            bodies[part.token] += part.raw * 2 if part.char in "{}" and holes else part.raw
    return render(code.source.data, template, bodies, range(len(template.tokens))), ", ".join(hole.code for hole in holes)


# --- a text in pieces -----------------------------------------------------------------------------------------------------------------


def _pieces(code: Code, call: cst.Call, text: Built) -> Change | None:
    """Each piece becomes safe text of its own, and what they add up to is handed on as it is."""
    safe, django = code.inner(call.func), code.callee(call) not in _MARKUP
    if code.callee(call) == _FORMAT:
        return None
    formatting = _format_html(code) if django else (safe, [])
    if formatting is None:
        return None
    edits = [Edit(*code.span(call), code.text(call.args[0].value)), *formatting[1]]
    for part in text.statements:
        if not part.template.tokens and not django:
            continue  # what is added to text of markupsafe is escaped by that
        split = _split(code, part.template, django=django) if part.template.tokens else ('"{}"', part.template.holes[0].code)
        if split is None or "\n" in split[1]:
            return None
        literal, values = split
        if not values:
            made = f"{safe}({literal})"
        else:
            made = f"{formatting[0]}({literal}, {values})" if django else f"{safe}({literal}).format({values})"
        edits.append(Edit(*code.outer(part.value), made))
    if django and all(part.template.holes for part in text.statements):
        gone = {safe} if isinstance(call.func, cst.Name) else set()
        edits += imports.drop_unused(code, gone, [code.span(call.func)], formatting[1])
    return Change(tuple(edits), _TITLE, _SAID, (_NOTE,))


def _format_html(code: Code) -> tuple[str, list[Edit]] | None:
    return imports.refer_from(code, "django.utils.html", "format_html", beside="django")


# --- values ---------------------------------------------------------------------------------------------------------------------------


def _plain(code: Code, hole: Hole, at: cst.CSTNode) -> bool:
    return _is_plain(code, hole.code, at, _DEPTH)


def _is_plain(code: Code, text: str, at: cst.CSTNode, depth: int) -> bool:
    """True for a value that is no markup yet, as far as the file tells: escaping it changes nothing that was meant."""
    while kept := _KEPT.search(text):
        text = text[: kept.start()]
    if _PLAIN.match(text) or re.fullmatch(r"-?[\d.]+|[\"'][^<>&]*[\"']", text):
        return True
    words = {word.removesuffix("s") for word in re.split(r"[\W_]+", text.lower())}
    if words & _UNKNOWN or any(word.endswith("html") for word in words):
        return False
    if re.fullmatch(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", text) or re.fullmatch(r"[A-Za-z_][\w.]*\[[\w\"'.-]+\]", text):
        return not re.match(r"[A-Z][A-Z0-9_]*\b", text.rpartition(".")[2])
    if not text.isidentifier() or depth == 0:
        return False
    bindings = code.bindings(text, code.block(at))
    return bool(bindings) and all(_bound_plain(code, binding, at, depth) for binding in bindings)


def _bound_plain(code: Code, binding: cst.CSTNode, at: cst.CSTNode, depth: int) -> bool:
    owner = code.parent(binding)
    if isinstance(owner, cst.Param):
        return True
    if isinstance(owner, cst.For | cst.CompFor):
        return True
    assign = code.parent(owner) if isinstance(owner, cst.AssignTarget) else owner
    if not isinstance(assign, cst.Assign | cst.AnnAssign) or assign.value is None:
        return False
    value = assign.value
    if isinstance(value, cst.BooleanOperation):
        return all(_is_plain(code, code.inner(side), at, depth - 1) for side in (value.left, value.right))
    return _is_plain(code, code.inner(value), at, depth - 1)


# --- Jinja ----------------------------------------------------------------------------------------------------------------------------


def _environment(code: Code, finding: Finding) -> Change | None:
    """`Environment(...)` -> `Environment(..., autoescape=select_autoescape())`."""
    for call in code.near(finding.location, cst.Call, lambda c: code.callee(c) in _JINJA):
        given = keyword(call, "autoescape")
        if any(arg.star for arg in call.args) or (given is not None and code.inner(given.value) != "False"):
            return None
        if isinstance(call.func, cst.Attribute) and code.qualified(call.func.value) == "jinja2":
            name, edits = f"{code.inner(call.func.value)}.select_autoescape", []
        else:
            found = imports.refer_from(code, "jinja2", "select_autoescape", beside="jinja2")
            if found is None:
                return None
            name, edits = found[0], list(found[1])
        text = f"{name}()"
        edits.append(Edit(*code.span(given.value), text) if given is not None else add_argument(code, call, f"autoescape={text}"))
        return Change(tuple(edits), "escape what HTML templates show", _SAID_TEMPLATES, (_TEMPLATES,))
    return None


_SAID_TEMPLATES = "Jinja escapes what HTML templates show, so that tags in a value are shown instead of being run."
