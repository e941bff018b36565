"""HTML from Python: a tree of elements in which text is always escaped, and the frame that all pages share."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from starlette.responses import Response


class Html(str):
    """Text that is markup already. Only `tag` and `raw_join` make it."""

    __slots__ = ()


Child = str | Html | None
VOID = frozenset({"input", "meta", "link", "br", "hr", "img"})


def tag(name: str, /, *children: Child, **attributes: str | bool | None) -> Html:
    """One element. Children that are plain text are escaped; `class_` and `for_` lose their hyphen, `aria_label` gets one.

    Args:
        attributes: True stands alone (`checked`), None and False are left out.
    """
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        written.append(f" {label}" if value is True else f' {label}="{escape(value, quote=True)}"')
    opening = f"<{name}{''.join(written)}>"
    return Html(opening) if name in VOID else Html(f"{opening}{group(*children)}</{name}>")


def group(*children: Child) -> Html:
    """Children without an element around them."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child is not None))


STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--page:#f6f7f9;--card:#fff;--line:#d0d7de;--deed:#0b5cad;--on-deed:#fff;
--good:#1a7f37;--warn:#7d4e00;--warn-card:#fff8e5;--bad:#b3261e;--bad-card:#fff1f0}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b3;--page:#0d1117;--card:#161b22;--line:#3d444d;--deed:#6cb0ff;
--on-deed:#08121f;--good:#56d364;--warn:#f0c674;--warn-card:#272115;--bad:#ff9b92;--bad-card:#2d1716}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:42rem;margin:0 auto;padding:2rem 1.25rem 4rem}
header{font-weight:650;letter-spacing:.01em;color:var(--soft);margin-bottom:1.5rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.5rem 0}
.soft,.help{color:var(--soft)}
.help{font-size:.9rem;display:block}
.field .help{margin-top:.35rem}
ol.way{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;padding:0;margin:0 0 1.5rem;font-size:.9rem;color:var(--soft)}
ol.way [aria-current]{color:var(--ink);font-weight:650}
fieldset{border:0;padding:0;margin:1.75rem 0 0;min-width:0}
legend{font-weight:650;padding:0;margin-bottom:.5rem}
.choice{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem;margin:.5rem 0}
.choice:has(>label>input:checked){border-color:var(--deed);box-shadow:inset 0 0 0 1px var(--deed)}
.choice>label{display:grid;grid-template-columns:auto 1fr;gap:0 .75rem;cursor:pointer}
.choice>label>input{margin:.3rem 0 0;accent-color:var(--deed);width:1.1rem;height:1.1rem}
.choice .help{grid-column:2}
.asks{margin:.5rem 0 .25rem 1.85rem}
.choice:not(:has(>label>input:checked))>.asks{display:none}
.field{margin:.75rem 0}
.field>label{display:block;font-weight:600}
input[type=text],input[type=url],input[type=password]{
width:100%;font:inherit;color:inherit;background:var(--page);border:1px solid var(--soft);
border-radius:.375rem;padding:.5rem .65rem;margin-top:.25rem}
::placeholder{color:var(--soft);opacity:.75}
:focus-visible{outline:3px solid var(--deed);outline-offset:2px}
button,a.button{display:inline-block;font:inherit;font-weight:650;color:var(--on-deed);background:var(--deed);border:0;border-radius:.5rem;
padding:.65rem 1.25rem;margin-top:1.5rem;cursor:pointer;text-decoration:none}
button:hover,a.button:hover{filter:brightness(1.08)}
a{color:var(--deed)}
.note{border:1px solid var(--line);border-left:.3rem solid var(--soft);border-radius:.375rem;background:var(--card);padding:.65rem 1rem;
margin:1rem 0}
.note.warn{border-left-color:var(--warn);background:var(--warn-card)}
.note.bad{border-left-color:var(--bad);background:var(--bad-card)}
.note.good{border-left-color:var(--good)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
table{border-collapse:collapse;width:100%;font-size:.95rem}
th,td{text-align:left;vertical-align:top;padding:.45rem .9rem;border-top:1px solid var(--line)}
thead th{border-top:0;font-weight:600;color:var(--soft)}
code{font-family:ui-monospace,"SFMono-Regular","DejaVu Sans Mono",monospace;font-size:.9em;overflow-wrap:anywhere}
td code{white-space:nowrap}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:1rem 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
@media(max-width:26rem){main{padding:1.25rem .9rem 3rem}.asks{margin-left:0}th,td{padding:.4rem .55rem}dl{grid-template-columns:1fr;gap:0}
dd{margin-bottom:.5rem}thead{position:absolute;clip-path:inset(50%)}tr{display:block;border-top:1px solid var(--line);padding:.5rem .75rem}
tr:first-child{border-top:0}td{display:block;border:0;padding:0}td:nth-child(2){float:right;color:var(--soft)}td:first-child{float:left}
td:last-child{clear:both}}
@media(prefers-contrast:more){:root{--line:currentColor}}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def page(title: str, *body: Child, status: int = 200, post_to: str = "'self'") -> Response:
    """A whole page: no script, nothing from elsewhere, in no frame, kept by no cache.

    Args:
        post_to: where its forms may go, as CSP's form-action says it.
    """
    text = group(
        Html("<!doctype html>"),
        tag(
            "html",
            tag(
                "head",
                tag("meta", charset="utf-8"),
                tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
                tag("title", f"{title} - Fixwright"),
                tag("link", rel="icon", href="data:,"),  # else browsers ask for one
                tag("style", Html(STYLE)),
            ),
            tag("body", tag("main", tag("header", "Fixwright"), *body)),
            lang="en",
        ),
    )
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src 'sha256-{_STYLE_HASH}'",
            f"form-action {post_to}",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
    }
    return Response(text.encode("utf-8", "replace"), status, headers, media_type="text/html; charset=utf-8")
