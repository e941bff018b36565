"""The eyes of those who read what we write, independent of how it was escaped: a code host, git, a terminal, a browser.

Each answers with what it would act on, an empty list for harmless text.
"""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

from tests.unit.reports.hostile import seen, triggers_in

_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_SOURCE_SIGNS = re.compile(
    r"\[\^|\$\$|\$`|(?<!\S)\$\S[^$\n]*\$|:[a-z_+-]+\d?:|^\s*(?:[-*+]|\d+[.)])\s+\[[ xX]\]|!\[|\]\(|\]\[|<!--",
    re.MULTILINE,
)
"""What hosts look for in the source and not in the HTML: footnotes, math, emoji, task lists, images, links, comments."""
_COMMAND = re.compile(r"^\s*/[A-Za-z]\w*", re.MULTILINE)
"""GitLab's quick actions, and the commands of programs that read comments: at the start of a line."""
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_OUR_LINK = re.compile(r"\[(?:Check|[\d,]+)\]\(https://host\.example/[A-Za-z0-9:/?#@!$&*+,;=%~._-]*\)")
"""Links to the page of a check, which the host itself told us."""
_WITHOUT_INK = {*"\u034f\u115f\u1160\u2800\u3164\uffa0", *map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0xE0100, 0xE01F0))}
BREAK = "\u200b"
"""Ours: it keeps a host from seeing a mention."""

_COMMIT_SIGNS = re.compile(
    r"(?<!\w)@\w|#\d|\bGH-\d|[!&]\d|https?://|\bwww\.\w|\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]|\*\*\*NO_CI"
    r"|\b[0-9a-f]{7,64}\b",
    re.IGNORECASE,
)
"""What GitHub and GitLab act on in commit messages and titles."""


def hidden(text: str, allowed: str = "\n") -> list[str]:
    """Characters that no reader can see, or that a terminal obeys."""
    found = {c for c in text if c not in allowed and (unicodedata.category(c) in _HIDDEN or c in _WITHOUT_INK)}
    return [f"U+{ord(c):04X}" for c in sorted(found)]


def host_acts_on(markdown: str, *, ours: tuple[str, ...] = ()) -> list[str]:
    """What a code host would make of Markdown beyond text, code, tables, folds and emphasis.

    Args:
        ours: active texts that we mean: `#12` of a pull request that we opened.
    """
    markdown = _OUR_LINK.sub("Check", markdown)
    read = seen(markdown)
    known = {"p", "code", "pre", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "h2", "details", "summary"}
    found = [f"<{tag}>" for tag in read.tags if tag not in known]
    found += triggers_in(read, ours="\n".join(ours))
    source = _FENCED.sub("", markdown)
    found += _COMMAND.findall(_FENCED.sub("", markdown))
    found += _SOURCE_SIGNS.findall(_SPAN.sub("", source))
    return [*found, *hidden("".join(read.everything), "\n\t" + BREAK), *hidden(markdown, "\n\t")]


def frame(markdown: str) -> list[str]:
    """Rows and cells of tables, folds, headings and blocks of code, in order: what no text may add to or take from."""
    return [tag for tag in seen(markdown).tags if tag in ("table", "tr", "th", "td", "details", "summary", "h2", "pre") or tag[0] == "/"]


def commit_acts_on(message: str) -> list[str]:
    """What hosts act on in a commit's message or a title."""
    return [*_COMMIT_SIGNS.findall(message), *_COMMAND.findall(message), *hidden(message)]


def terminal_obeys(text: str) -> list[str]:
    """Everything but printable characters and line feeds: a terminal that gets none of those can do nothing but print.

    The colours of our own reports are not among what commands print here: they are for terminals only.
    """
    return hidden(text)


class Page(HTMLParser):
    """An HTML page as a browser's parser sees it: elements with the names of their attributes, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.leads: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element."""
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.leads += [value or "" for name, value in attrs if name in ("href", "src", "action", "formaction")]

    def handle_comment(self, data: str) -> None:
        """A comment is one too many."""
        self.elements.append(("!--", ()))

    def handle_decl(self, decl: str) -> None:
        """The document type."""
        self.elements.append((f"!{decl.lower()}", ()))
