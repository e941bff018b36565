"""Templates of Django and Jinja: values that end an attribute or a script, errors that are printed whole, forms without their token."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from pipeline.frameworks.hits import Hit

ENDINGS = frozenset({".html", ".htm", ".jinja2", ".jinja", ".j2", ".djhtml"})
MAX_BYTES = 1_000_000
"""A larger one is generated."""

_FORM_LENGTH = 20_000
"""Characters of a form that are read."""

_TAG = re.compile(r"\{\{(.{0,500}?)\}\}|\{%(.{0,500}?)%\}|\{#(.{0,2000}?)#\}", re.DOTALL)
_OUTPUT = re.compile(r"^[-+]?\s*([\w.]+)((?:\s*\|\s*\w+(?::\"[^\"]*\"|\([^)]*\))?)*)\s*[-+]?$")
_VERBATIM = re.compile(r"\{%-?\s?(end)?(?:raw|verbatim)\b")
_SCRIPT = re.compile(r"<(/?)script\b[^>]{0,2000}>", re.IGNORECASE)
_FORM = re.compile(r"<form\b", re.IGNORECASE)
_POST = re.compile(r"\smethod\s*=\s*[\"']?post\b", re.IGNORECASE)
_DJANGO = re.compile(
    r"\{%-?\s*(load|url\s+['\"][\w:.-]+['\"]\s+[\w.]|url\s+['\"][\w:.-]+['\"]\s*%\}|csrf_token|comment|static\s)|\{\{\s*block\.super\s*\}\}"
)
_JINJA = re.compile(r"\{%-?\s*(macro|set|call|import|from)\b|\{\{[^}]{0,200}\w\(|url_for")
_INSIDE = re.compile(r"(^|\.)(__dict__|traceback|stack_?trace|exc_info|format_exc)$|^(exception|error|exc|err)\.(stack|args|__class__)$")
_NUMBER = re.compile(r"(^|[._])(week|month|year|day|date|time|count|total|number|num|id|pk|size|index|version|port|color)$", re.IGNORECASE)
"""What is made of digits."""
_PLAIN = re.compile(
    r"^(\w+\.)*(user_?name|first_?name|last_?name|q|query|search(_?(term|query|text))?|keywords?)$"
    r"|^(comment|review|message|note|reply|feedback)\.(text|comment|body|message)$",
    re.IGNORECASE,
)
"""What people type as plain text."""
_SAFE_MAKERS = re.compile(
    r"csrf|json|escapejs|escape|urlencode|url|css|class|icon|attr|tojson|html|render|markup|style|data|config|settings|svg", re.IGNORECASE
)


def is_template(path: str) -> bool:
    """True for a file that Django or Jinja may fill."""
    return PurePosixPath(path).suffix.lower() in ENDINGS


def is_filled(content: bytes) -> bool:
    """True when a file holds a tag of a template; without one it is only HTML."""
    return b"{{" in content or b"{%" in content


def look_at(content: bytes) -> Iterator[Hit]:
    """Everything that is found in one template. A file without a tag of a template is only HTML, and nothing is said of it."""
    if len(content) > MAX_BYTES or not is_filled(content):
        return
    text = content.decode("utf-8", errors="replace")
    for low, high in reversed(_between(_VERBATIM, text)):
        text = text[:low] + re.sub(r"[{}]", " ", text[low:high]) + text[high:]
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    scripts = _between(_SCRIPT, text)
    for tag in _TAG.finditer(text):
        if tag[1] is None:
            continue
        output = _OUTPUT.match(tag[1].strip())
        if output is None:
            continue
        filters = re.findall(r"\|\s*(\w+)", output[2])
        made = any(_SAFE_MAKERS.search(name) for name in (output[1], *filters[:-1])) or _NUMBER.search(output[1]) is not None
        if filters and filters[-1] == "safe" and not made and _quoted(text, tag.start(), tag.end(), scripts):
            yield _hit("template.unescaped-value", starts, tag.start(), tag.end(), f"`{output[1]}`")
        elif filters == ["safe"] and _PLAIN.search(output[1]) and not output[1].startswith(("form.", "block.")) and _is_page(text):
            yield _hit("template.plain-value-unescaped", starts, tag.start(), tag.end(), f"`{output[1]}`")
        if _INSIDE.search(output[1]):
            yield _hit("template.error-details", starts, tag.start(), tag.end(), f"`{output[1]}`")
    if _DJANGO.search(text) is not None and _JINJA.search(text) is None:
        yield from _forms(text, starts)


def _is_page(text: str) -> bool:
    """True for HTML; templates of mails and messages are plain text, and escape nothing."""
    return re.search(r"</\w", text) is not None


def _forms(text: str, starts: list[int]) -> Iterator[Hit]:
    begins = [match.start() for match in _FORM.finditer(text)]
    for start, after in itertools.zip_longest(begins, begins[1:], fillvalue=len(text)):
        head = text[start : min(start + 1_000, after)]
        head = head[: _tag_end(head)]
        if _POST.search(head) is None or re.search(r"action\s*+=\s*+[\"']?+\s*+(https?:|//|\{\{)", head, re.IGNORECASE):
            continue
        most = min(start + _FORM_LENGTH, after)
        end = text.find("</form", start, most)
        body = text[start : end if end >= 0 else most]
        if re.search(r"\s(hx-|up-|x-on|data-(controller|action|turbo))|@submit", head) or not re.search(
            r"submit|<button", body, re.IGNORECASE
        ):
            continue  # a script sends it
        if not re.search(r"csrf|\{%-?\s*(include|block|crispy|bootstrap)|hidden_tag|as_hidden|\{\{\s*form\s*[|}]", body, re.IGNORECASE):
            yield _hit("template.form-without-token", starts, start, start + len(head), "")


def _tag_end(head: str) -> int:
    """Where the opening tag ends: the first `>` that stands in no quotes and no tag of the template."""
    bare = re.sub(r"\{%.{0,300}?%\}|\{\{.{0,300}?\}\}", lambda m: " " * len(m[0]), head, flags=re.DOTALL)
    end = bare.find(">")
    return end + 1 if end >= 0 else len(head)


def _between(tag: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    """What stands between a tag and the one that ends it, whose first group is not empty."""
    found: list[tuple[int, int]] = []
    start = -1
    for match in tag.finditer(text):
        if not match[1] and start < 0:
            start = match.end()
        elif match[1] and start >= 0:
            found.append((start, match.start()))
            start = -1
    return found


def _quoted(text: str, start: int, end: int, scripts: list[tuple[int, int]]) -> bool:
    """True when the value stands directly in quotes: those of an attribute, or those of a text of a script."""
    before, after = text[max(0, start - 200) : start], text[end : end + 1]
    line = before.rpartition("\n")[2]
    if not line or after != line[-1] or after not in "\"'":
        return False
    script = bisect.bisect_right(scripts, (start, len(text))) - 1
    if script >= 0 and start < scripts[script][1]:
        return True
    return re.search(r"<\w[^<>]*\s[\w:@-]+\s*=\s*$", before[:-1]) is not None


def _hit(rule: str, starts: list[int], start: int, end: int, detail: str) -> Hit:
    line, column = _place(starts, start)
    end_line, end_column = _place(starts, end)
    return Hit(rule, detail=detail, line=line, column=column, end_line=end_line, end_column=end_column)


def _place(starts: list[int], offset: int) -> tuple[int, int]:
    low, high = 0, len(starts)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if starts[middle] <= offset else (low, middle)
    return low + 1, offset - starts[low] + 1
