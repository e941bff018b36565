"""python.template-injection: the template stays a constant text, and what the request holds is a variable of it."""

from __future__ import annotations

import re

import libcst as cst

from pipeline.fixers.python.queries import FAR, Built
from pipeline.fixers.python.web.built import built, from_outside
from pipeline.model.finding import Finding
from pipeline.ports import SourceFiles
from pipeline.rewriting.naming import parameter_name
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code, add_argument
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.template import Template, Unit, join, render

_SAID = "The template is a constant text again; the value is handed to it as a variable and shown as text."
_NOTE = "Markup in the value is now shown as text instead of becoming part of the page."


def fix(code: Code, finding: Finding, _files: SourceFiles) -> Change | None:
    """`{{ name }}` in the text and `name=...` in the call that renders it; None when a part of the text may be template code of ours."""
    for call in code.near(finding.location, cst.Call, lambda c: code.method(c) in {"render_template_string", "Template", "from_string"}):
        rendering = call if code.method(call) == "render_template_string" else _rendered(code, call)
        if rendering is None or not call.args or call.args[0].star or call.args[0].keyword is not None:
            continue
        text = built(code, call.args[0].value)
        if text is not None and not text.conditional and not any(arg.star for arg in rendering.args):
            return _change(code, rendering, text, filtered=code.method(call) == "Template")
    return None


def why_not(code: Code, finding: Finding, _files: SourceFiles) -> str:
    """Why the template at the finding is left as it is."""
    calls = code.near(finding.location, cst.Call, lambda c: code.method(c) in {"render_template_string", "Template", "from_string"})
    calls = [call for call in calls if call.args and (code.method(call) == "render_template_string" or _rendered(code, call) is not None)]
    texts = [text for call in calls if (text := built(code, call.args[0].value)) is not None]
    if not texts:
        return FAR if calls else ""
    if any(arg.star for call in calls for arg in call.args):
        return ""
    return "not every part of the template is certain to be text, and not template code of this program's own"


def _rendered(code: Code, call: cst.Call) -> cst.Call | None:
    """`Template(...).render(...)`: the call of render."""
    attribute = code.parent(call)
    around = code.parent(attribute) if isinstance(attribute, cst.Attribute) and attribute.attr.value == "render" else None
    return around if isinstance(around, cst.Call) else None


def _change(code: Code, rendering: cst.Call, text: Built, *, filtered: bool) -> Change | None:
    template = join([part.template for part in text.statements])
    if any(hole.spec not in {"", "!s"} or not from_outside(code, hole, rendering) for hole in template.holes):
        return None
    taken = {arg.keyword.value for arg in rendering.args if arg.keyword is not None}
    if "{{" in template.text or "{%" in template.text:
        taken |= set(re.findall(r"[A-Za-z_]\w*", template.text))
    names: dict[str, str] = {}
    bodies = dict.fromkeys(range(len(template.tokens)), "")
    said = ""
    for part in template.parts:
        if isinstance(part, Unit):
            bodies[part.token] += part.raw
            said += part.char
            continue
        if max(said.rfind("{{"), said.rfind("{%")) > max(said.rfind("}}"), said.rfind("%}")):
            return None  # inside of an expression or tag: what it means there is for people to say
        name = names.get(part.code) or parameter_name(part.code, taken)
        names[part.code] = name
        taken.add(name)
        bodies[part.token] += "{{ " + name + (" | e }}" if filtered else " }}")
    if any("\n" in value for value in names):
        return None
    edits = _texts(code, text, template, bodies)
    if edits is None:
        return None
    start, end = edits[0].start, edits[0].end
    given = [f"{name}={value}" for value, name in names.items()]
    inside = start >= code.span(rendering)[0] and bool(rendering.args) and end >= code.span(rendering.args[-1])[1]
    first = add_argument(code, rendering, given[0])
    lead = first.text[: len(first.text) - len(given[0])]
    joined = lead + given[0] + "".join((lead or ", ") + text for text in given[1:])
    if inside:
        edits = [Edit(start, end, edits[0].text + joined)] if first.start == end else []
    else:
        edits.append(Edit(first.start, first.end, joined))
    return Change(tuple(edits), "hand the value to the template as a variable", _SAID, (_NOTE,)) if edits else None


def _texts(code: Code, text: Built, template: Template, bodies: dict[int, str]) -> list[Edit] | None:
    """The statements that make the template, each with its new text; one that only added a value goes."""
    edits, token = [], 0
    for part in text.statements:
        own = range(token, token + len(part.template.tokens))
        token = own.stop
        if own:
            edits.append(Edit(*code.span(part.value), render(code.source.data, template, bodies, own)))
        elif part.line is None or not imports.removable(code, part.line):
            return None
        else:
            edits.append(imports.remove_line(code, part.line))
    return edits
