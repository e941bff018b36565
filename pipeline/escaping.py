"""Making hostile text harmless: for Markdown on a code host, for a terminal, for plain fields.

Everything that a repository, a comment, a payload or an engine wrote goes through here before a person or a parser sees it. Entities are
used instead of backslashes because an entity can never be Markdown structure (CommonMark 0.31, section 2.5), not even inside a table,
where a pipe behind two backslashes ends the cell. Mentions, references and links are found by hosts in the *rendered* text, where an
entity is no protection: there a zero-width space stands behind the character that would start one.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, urlsplit

BREAK = "&#8203;"
"""A zero-width space: after `@`, `#` or `:` it keeps a host from seeing a mention, a reference, a link or an emoji."""

MARKER = "<!-- fixwright"
"""How our own hidden markers begin. No text that passed through here contains it, so that a marker in what we post is ours."""

ELLIPSIS = "..."

_DRAWN_AS_NOTHING = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(chr(code) for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for code in range(first, last + 1))
)
"""Letters, marks and symbols without ink (Unicode's Default_Ignorable_Code_Point outside of the categories below, and the empty Braille
cell): two names could look alike, and variation selectors can carry a whole hidden text."""

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that never reach a reader as they are: controls, bidi and zero-width formats, lone surrogates, separators of lines."""

_ENTITY = {c: f"&#{ord(c)};" for c in "`*_[]{}\\|~$^"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

_TICKET = re.compile(r"(?<=[A-Za-z])-(?=\d)")
"""`GH-123`, `TICKET-7`: references on hosts."""

_OBJECT_NAME = re.compile(r"(?i)[0-9a-f]{7,}")
"""Bare names of commits are links on hosts, from 7 digits on."""

_COMMAND = re.compile(r"/[A-Za-z]")
"""At the start of a line: `/close`. GitLab, and programs that read comments of any host, take such a line for a command of its writer."""

_COMMIT_SIGNS = (
    (re.compile(r"\A\s*/(?=[A-Za-z])"), "/ "),  # a command to whoever reads comments
    (re.compile(r"@(?=[\w\[])"), "@ "),  # people and teams are told
    (re.compile(r"#(?=\d)"), "# "),  # 1, owner/repo#1: linked, and closed behind `fixes`
    (re.compile(r"\b(GH|gh|Gh|gH)-(?=\d)"), r"\1- "),
    (re.compile(r"([!&])(?=\d)"), r"\1 "),  # GitLab: merge requests, epics
    (re.compile(r"://"), ": //"),  # closes behind `fixes`, too
    (re.compile(r"(?i)\bwww\."), "www ."),
    (re.compile(r"(?i)\[(?=\S)(?=[^\]\[]*\b(?:skip|ci)\b)"), "[ "),  # [skip ci] and its kin keep checks from running
    (re.compile(r"(?i)\*{3}(?=no_ci)"), "*** "),
)
"""What a commit message or a title does on a host, and how it is written so that it does nothing."""

_FORGED = re.compile(r"<!--\s*fixwright", re.IGNORECASE)
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"`+")


def visible(text: str) -> str:
    """`text` on one line in which everything that cannot be seen is spelled out, and nothing else is changed.

    A control, bidi, zero-width or unassigned character becomes `\\x1b` or `\\u202e`; a byte that was no UTF-8 (a surrogate escape)
    becomes `\\xff`; tabs and line ends become one blank. The result can always be encoded as UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spell(c) for c in text.replace("\r\n", "\n"))


def exact(text: str) -> str:
    """`text` itself, for ASCII JSON, in which nothing is active. Only what is no Unicode (bytes of a path) is spelled out."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return visible(text)
    return text


def _spell(character: str) -> str:
    if character in "\n\r\t":
        return " "
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) not in _HIDDEN and character not in _DRAWN_AS_NOTHING:
        return character if character == " " or not character.isspace() else " "
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def escape(text: str) -> str:
    """Hostile text as one line of Markdown prose that shows exactly these characters and means nothing.

    No formatting, HTML, table cell, mention, reference, link, emoji, math or line break can come out of it, at any place of a line.
    """
    broken = _OBJECT_NAME.sub(lambda m: "\0".join(m.group()[n : n + 6] for n in range(0, len(m.group()), 6)), visible(text))
    broken = _TICKET.sub("-\0", broken)
    out = []
    for index, character in enumerate(broken):
        following = broken[index + 1 : index + 2]
        if character == "\0":
            out.append(BREAK)
        elif character in "@#":
            out.append(f"&#{ord(character)};{BREAK}")
        elif character in "!%~$^&*:" and following.strip():
            # GitLab: !123, %milestone, ~label, $snippet, ^alert, &epic, *iteration; both: :emoji:, http://
            out.append(_ENTITY.get(character, f"&#{ord(character)};") + BREAK)
        else:
            out.append(_ENTITY.get(character, character))
    joined = re.sub(r"(?i)\bww(?=w\.)", lambda m: m.group() + BREAK, "".join(out))
    return _inert_start(joined.strip())


def _inert_start(text: str) -> str:
    """A list, heading rule, indented block or quick action can only begin at the start of a line."""
    start = re.match(r"(\d{1,9})([.)])", text)
    if start:
        return f"{start.group(1)}&#{ord(start.group(2))};{text[start.end() :]}"
    if text[:1] in ("-", "+", "=", "/"):
        return f"&#{ord(text[0])};{text[1:]}"
    return text


def code(text: str) -> str:
    """Hostile text as an inline code span that shows exactly these characters, also inside a table.

    A pipe would split a table's cell even inside a span, and a comment opener would look like one of our markers to whoever reads the
    raw text: with those in it the text is escaped prose in a `<code>` element instead.
    """
    shown = visible(text)
    if not shown.strip():
        return "<code></code>"
    if "|" in shown or "<!--" in shown:
        return f"<code>{escape(shown)}</code>"
    fence = "`" * (longest_run(shown) + 1)
    pad = " " if shown[0] in " `" or shown[-1] in " `" else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def inert(text: str) -> str:
    """Hostile text as one line of plain text for a commit message or a title, where no entity helps: nobody is told, nothing is closed
    or linked, no check is skipped. A blank stands where one of these would begin; everything else stays, and a second time changes nothing.

    Sources: GitHub docs "Linking a pull request to an issue", "Skipping workflow runs"; GitLab docs "Skip pipelines", "Closing pattern".
    """
    shown = _OBJECT_NAME.sub(lambda m: " ".join(m.group()[n : n + 6] for n in range(0, len(m.group()), 6)), visible(text))
    for sign, instead in _COMMIT_SIGNS:
        shown = sign.sub(instead, shown)
    return shown.strip()


def longest_run(text: str) -> int:
    """Length of the longest run of backticks: a fence must be longer."""
    return max((len(run) for run in _FENCE.findall(text)), default=0)


def prose(text: str) -> str:
    """A sentence with `code` in it, as our rules write them: spans stay code, everything else is escaped. Safe for hostile text too."""
    pieces = _CODE.split(" ".join(text.split()))
    rendered = [code(piece) if index % 2 else _between(piece) for index, piece in enumerate(pieces)]
    return "".join(rendered).strip()


def sentence(text: str) -> str:
    """`prose` that ends with one full stop. (A stop added behind the escaped text could make a list of `7`.)"""
    return prose(" ".join(text.split()).rstrip(".") + ".")


def _between(piece: str) -> str:
    left = " " if piece[:1] == " " else ""
    right = " " if len(piece) > 1 and piece[-1:] == " " else ""
    return f"{left}{escape(piece)}{right}"


def link(label: str, url: str) -> str:
    """A Markdown link to one of our own pages. `label` is Markdown already; anything but http(s) leaves the label alone."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return label
    if parts.scheme not in ("http", "https") or not parts.netloc or visible(url) != url:
        return label
    return f"[{label}]({quote(url, safe=':/?#@!$&*+,;=%~._-')})"


def fenced(text: str, info: str = "") -> str:
    """A fenced block around `text`, whose fence is longer than any run of backticks inside (CommonMark 0.31, section 4.5)."""
    fence = "`" * max(3, longest_run(text) + 1)
    body = text if text.endswith("\n") or not text else text + "\n"
    return f"{fence}{info}\n{body}{fence}"


def can_be_suggested(text: str) -> bool:
    """False for lines with hidden characters, CR line ends, our own marker, or a command at the start (`/close`) that some program would
    take for ours: nobody should click them into a file unseen."""
    shown = text.replace("\n", " ").replace("\t", " ")
    return visible(shown) == shown and not _FORGED.search(text) and not any(_COMMAND.match(line) for line in text.split("\n"))


def cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, never in the middle of a character; `...` shows that something is missing."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return text
    room = max(0, limit - len(ELLIPSIS))
    return (encoded[:room].decode("utf-8", "ignore").rstrip() + ELLIPSIS)[:limit]


def size(text: str) -> int:
    """Bytes of UTF-8: what the limits of hosts are counted in here, which is never less than characters."""
    return len(text.encode("utf-8", "replace"))


def columns(text: str) -> int:
    """How many columns a terminal needs for visible text: two for East Asian wide characters, none for combining marks."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut_columns(text: str, limit: int) -> str:
    """At most `limit` terminal columns of visible text."""
    if columns(text) <= limit:
        return text
    kept, used = [], len(ELLIPSIS)
    for character in text:
        used += columns(character)
        if used > limit:
            break
        kept.append(character)
    return "".join(kept) + ELLIPSIS
