"""One table of hostile texts, for every place where a text of somebody else reaches a reader, a terminal, a log, a page or a parser.

Nothing here may use what it names: `tests/contract/test_injection.py` puts each of them through every sink. A new trick is one line here,
and is tried everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MARKDOWN: Final[Mapping[str, str]] = {
    "backtick": "`",
    "two backticks": "``",
    "odd code span": "a `b` `c",
    "backslashes": "\\ \\\\ \\`",
    "table cell": "a | b | c",
    "escaped pipe": "a\\|b \\\\| c",
    "table head": "| a | b |\n|---|---|\n| c | d |",
    "emphasis": "**bold** __bold__ *i* _i_ ~~gone~~",
    "heading": "# We are fine",
    "heading below": "All good\n===",
    "quote": "> said nobody",
    "list": "- one\n- two",
    "numbered list": "1. one\n2) two",
    "task list": "- [ ] merge\n- [x] reviewed",
    "task without a list": "[x] reviewed",
    "rule": "***",
    "rule of hyphens": "---",
    "indented code": "    code\n\tcode",
    "open fence": "```",
    "closing fence": "x\n```\nafter\n````",
    "suggestion fence": "```suggestion\nimport os\n```",
    "tilde fence": "~~~\nx\n~~~",
    "footnote": "see[^1]\n\n[^1]: here",
    "math": "$x^2$ and $$\\href{https://evil.example}{x}$$",
    "math fence": "$`x`$",
    "emoji": ":tada: :+1: :custom-one:",
    "line ends": "a\nb\r\nc\rd\n\ne",
    "hard break": "a  \nb\\\nc",
    "entities": "&#64;octocat &commat;octocat &lt;b&gt; &#x3c;i&#x3e;",
}
"""What Markdown would read as structure."""

HTML: Final[Mapping[str, str]] = {
    "html": "<b>bold</b>",
    "script": "<script>alert(1)</script>",
    "image": '<img src=x onerror="alert(1)">',
    "attribute": '" onfocus="alert(1)" autofocus="',
    "single quote": "' onfocus='alert(1)",
    "end of a fold": "</details></summary></td></table>",
    "end of a page": "</title></style></textarea></main>",
    "comment": "<!-- hidden --> -->",
    "open comment": "<!--",
    "cdata": "<![CDATA[ x ]]> <?php ?> <!DOCTYPE x>",
    "our marker": "<!-- fixwright:v1:thread:00 -->",
    "our marker, spelled otherwise": "<!--FIXWRIGHT:v1:comment:summary-->",
    "our receipt": '<details><summary>receipt.json</summary>\n\n```json\n{"payload":""}\n```\n\n</details>',
}
"""What HTML in Markdown, or a page, would read as an element."""

HOSTS: Final[Mapping[str, str]] = {
    "mention": "@octocat",
    "mention in brackets": "(@octocat), [@octocat]",
    "mention of a team": "@octo/security-team",
    "mention of all": "@all @here @channel",
    "issue": "#1",
    "closing word": "fixes #1, closes GH-2, resolves octo/shop#3",
    "closing address": "Fixes: https://github.com/octo/shop/issues/1",
    "issue elsewhere": "octo/shop#9",
    "issue by name": "GH-7 gh-8",
    "ticket": "TICKET-12",
    "commit": "deadbeefcafe1234deadbeefcafe1234deadbeef",
    "short commit": "deadbee",
    "commit elsewhere": "octo/shop@deadbeef",
    "merge request": "!3 octo/shop!3",
    "snippet": "$4",
    "milestone": '%5 %"next one"',
    "label": '~bug ~"needs work"',
    "epic": "&6 octo&7",
    "alert": "^alert#1",
    "iteration": "*iteration:1 [vulnerability:2] [cadence:3]",
    "quick action": "/close",
    "quick actions": "/merge\n/approve\n/label ~security\n/assign @octocat",
    "our own command": "/waive K7Q it is fine\n/fix K7Q",
    "skipped checks": "docs [skip ci] [ci skip] [no ci] [skip actions] ***NO_CI***",
    "trailers": "Co-authored-by: Octo Cat <octo@cat.example>",
    "skip trailer": "skip-checks: true",
    "breaking footer": "BREAKING CHANGE: everything",
}
"""What a code host, or a program that reads comments and commits there, would act on."""

LINKS: Final[Mapping[str, str]] = {
    "link": "[click here](https://evil.example/)",
    "image link": "![seen](https://evil.example/pixel.png)",
    "reference link": "[x][y]\n\n[y]: https://evil.example",
    "autolink": "<https://evil.example/>",
    "address": "https://evil.example/?a=b",
    "plain address": "http://evil.example",
    "www": "see www.evil.example now",
    "other schemes": "ftp://evil.example xmpp:a@evil.example javascript:alert(1) data:text/html,x",
    "mail": "mailto:a@evil.example a@evil.example",
    "message of sarif": "[click](1) [there](https://evil.example/) {0}",
    "chat link": "<https://evil.example|click> <!channel> <@U123>",
}
"""What would become a link."""

TERMINAL: Final[Mapping[str, str]] = {
    "colour": "\x1b[31mred\x1b[0m",
    "clear": "\x1b[2J\x1b[H",
    "cursor": "\x1b[5A\x1b[2K",
    "title": "\x1b]0;owned\x07",
    "terminal link": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "answer back": "\x1b[6n\x1bP$q\x1b\\\x05",
    "eight bit": "\x9b2J\x9d0;owned\x9c",
    "carriage return": "bad\rok: everything runs",
    "backspace": "bad\x08\x08\x08ok ",
    "bell and null": "\x07\x00",
    "delete": "a\x7fb",
    "vertical": "a\x0bb\x0cc\x85d",
}
"""What a terminal would obey (ECMA-48; xterm, "Control Sequences")."""

HIDDEN: Final[Mapping[str, str]] = {
    "bidi override": "user\u202e gpj.exe",
    "bidi isolate": "a\u2066b\u2069c",
    "zero width": "a\u200bd\u200cm\u200din\ufeff",
    "soft hyphen": "pass\u00adword",
    "tag characters": "ok\U000e0041\U000e0042\U000e007f",
    "variation selectors": "x\ufe0e\U000e0100",
    "line separators": "a\u2028b\u2029c",
    "blank letters": "a\u3164\u115f\u2800b",
    "odd blanks": "a\u00a0b\u2003c\u3000d",
    "no utf-8": "caf\udce9\udcff",
    "private use": "\ue000\U000f0000",
    "unassigned": "\u0378\U0001fffe",
    "combining": "e\u0301\u0301\u0301",
}
"""What cannot be seen, or makes others unseen."""

LINES: Final[Mapping[str, str]] = {
    "forged line": "x\nok: everything runs",
    "forged log line": "x\n2026-11-21T10:00:00.000Z info delivery.refused code=NONE logger=bot",
    "forged field": "x code=NONE level=info review_id=0",
    "open quote": "it's \"x",
    "quote alone": "'",
    "json": '", "level": "error", "event": "forged',
    "metric": 'x"} 1\nfixwright_database_up 0\n#',
    "formula": '=HYPERLINK("https://evil.example","x")',
    "workflow command": "x\n::error file=a,line=1::forged\n::set-output name=a::b\n::stop-commands::x\n##[error]x",
    "percent": "%0A::error::x %25 %s %d {0} {x}",
    "empty": "",
    "blank": " ",
    "long": "A" * 800,
    "wide": "\u4e2d\u6587" * 40,
    "shell": "`id` $(id) ; rm -rf / | cat 'x' \"y\"",
}
"""What would forge a line, a field or a record, or does not fit."""

HOSTILE: Final[Mapping[str, str]] = {**MARKDOWN, **HTML, **HOSTS, **LINKS, **TERMINAL, **HIDDEN, **LINES}
"""All of them, by name."""
