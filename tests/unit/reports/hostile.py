"""Hostile texts, and the eyes of a code host: what Markdown becomes, and what a host would find in it."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.hostile_texts import HOSTILE

SHARP = (
    *HOSTILE.values(),
    *(
        "|",
        "\\|",
        "\\",
        "-->",
        "[^1]",
        "- [ ] x",
        "> quote",
        "1. one",
        "===",
        "\n",
        "\r\n",
        "\n\n",
        "\t",
        "    code",
        "::error::x",
        "&#64;x",
        "/fix",
    ),
)
"""Pieces that mean something to Markdown, HTML, a host or a terminal."""

TEXTS = st.lists(st.one_of(st.sampled_from(SHARP), st.text(max_size=6)), max_size=8).map("".join)
"""Sharp pieces in any order, with anything between."""

FORGED = re.compile(r"<!--\s*fixwright", re.IGNORECASE)
"""One of our own hidden markers, which only a provider may write."""

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def rendered(markdown: str) -> str:
    """HTML of GitHub-flavoured Markdown as far as this matters: CommonMark, tables, raw HTML."""
    return str(_MARKDOWN.render(markdown))


class Seen(HTMLParser):
    """Tags and text of an HTML document."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.active: list[str] = []
        self.everything: list[str] = []
        self._quiet = 0
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self._quiet += tag in ("code", "pre")
        if tag not in ("br", "hr", "img", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._quiet -= tag in ("code", "pre")
        if not self._open or self._open.pop() != tag:
            self.tags.append(f"/{tag}")  # it ends something that is not open here

    def handle_comment(self, data: str) -> None:
        self.tags.append("!--")

    def handle_data(self, data: str) -> None:
        self.everything.append(data)
        if not self._quiet:
            self.active.append(data)


def seen(markdown: str) -> Seen:
    """Tags and text of rendered Markdown. Hosts look for mentions and links in `active`: text outside of code."""
    parser = Seen()
    parser.feed(rendered(markdown))
    parser.close()
    return parser


_TRIGGERS = re.compile(
    r"@[\w\[]|#\w|[!%~$^&*][\w\[\"]|://|(?i:\bwww\.)|:[\w+-]+:|\b[A-Za-z]+-\d|(?i:\b[0-9a-f]{7,64}\b)|mailto:\w",
)


def triggers(markdown: str, ours: str = "") -> list[str]:
    """What a host would make a mention, reference, link or emoji of, in the text outside of code; `ours` is removed first."""
    return triggers_in(seen(markdown), ours)


def triggers_in(read: Seen, ours: str = "") -> list[str]:
    """`triggers` of Markdown that was read already."""
    text = "\n".join(read.active)
    for allowed in filter(None, ours.split("\n")):
        text = text.replace(html.unescape(allowed), "")
    return _TRIGGERS.findall(text)


def shown(markdown: str) -> str:
    """The characters that a reader sees, without our zero-width breaks."""
    return "".join(seen(markdown).everything).replace("\u200b", "").strip("\n")
