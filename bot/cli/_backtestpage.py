"""The page of `fixwright backtest --format html`: one file without scripts, with nothing from elsewhere, to be shown to a colleague."""

from __future__ import annotations

from collections.abc import Iterator

from bot.cli._backtestdocument import Run, afterwards, day, is_said, name_of, outcome, scope, summary
from bot.pages.html import Child, Html, group, tag
from pipeline import phrases
from pipeline.escaping import visible
from pipeline.model.backtest import Remarked, Replayed
from pipeline.model.finding import Finding, Standing

LISTED = 200
"""Findings of the check alone that are shown; the rest is counted."""

PATH = (
    "Each change was judged as it was when it was merged: the same engines, rules, policy of its base and speaking rule as a review on a "
    "host. A thread is opened for a secret, for a rule that is measured well enough, and for a finding whose fix passed the gate; the rest "
    "stands in the check."
)
AFTERWARDS = (
    "Afterwards means the branch as it is now: whether people changed the flagged line since, and whether the engines still find it. "
    "A line that was changed is no proof that the remark was right, and one that was not is no proof that it was wrong."
)

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--page:#f6f7f9;--card:#fff;--line:#d0d7de;--quiet:#c4ccd4;--spoken:#b35900;
--blocked:#b3261e;--gap:#6b4fbb;--good:#1a7f37;--add:#e6f4ea;--del:#fdeceb}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b3;--page:#0d1117;--card:#161b22;--line:#3d444d;--quiet:#3d444d;
--spoken:#f0a35e;--blocked:#ff9b92;--gap:#b8a5f5;--good:#56d364;--add:#12261a;--del:#2d1716}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:62rem;margin:0 auto;padding:2rem 1.25rem 4rem;overflow-wrap:anywhere}
header{font-weight:650;color:var(--soft);margin-bottom:1rem}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .4rem;text-wrap:balance}
h2{font-size:1.2rem;margin:2.25rem 0 .6rem}
h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
p{margin:.35rem 0}
.soft{color:var(--soft)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1.5rem 0 1rem;padding:0;list-style:none}
.figures li{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.7rem 1rem}
.figures b{display:block;font-size:1.9rem;line-height:1.15;font-variant-numeric:tabular-nums}
.strip{display:flex;flex-wrap:wrap;gap:2px;margin:.5rem 0}
.strip>*{flex:1 1 7px;min-width:7px;max-width:3rem;height:24px;border-radius:3px;background:var(--quiet)}
.strip .spoken{background:var(--spoken)}.strip .blocked{background:var(--blocked)}.strip .gap{background:var(--gap)}
.ends{display:flex;justify-content:space-between;font-size:.85rem;color:var(--soft)}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.85rem;color:var(--soft);padding:0;list-style:none;margin:.35rem 0}
.key i{display:inline-block;width:.75rem;height:.75rem;border-radius:3px;background:var(--quiet);margin-right:.4rem;vertical-align:-.05rem}
.key .spoken{background:var(--spoken)}.key .blocked{background:var(--blocked)}.key .gap{background:var(--gap)}
article{background:var(--card);border:1px solid var(--line);border-left:.3rem solid var(--quiet);border-radius:.5rem;padding:.9rem 1.1rem;
margin:.9rem 0}
article.spoken{border-left-color:var(--spoken)}article.blocked{border-left-color:var(--blocked)}article.gap{border-left-color:var(--gap)}
article:target{box-shadow:0 0 0 3px var(--line)}
.pill{display:inline-block;font-size:.8rem;font-weight:600;border:1px solid currentColor;border-radius:1rem;padding:0 .55rem;
margin-right:.4rem;white-space:nowrap}
.pill.spoken{color:var(--spoken)}.pill.blocked{color:var(--blocked)}.pill.gap{color:var(--gap)}.pill.good{color:var(--good)}
section.remark{border-top:1px solid var(--line);margin-top:.8rem;padding-top:.8rem}
code,pre{font-family:ui-monospace,"SFMono-Regular","DejaVu Sans Mono",monospace;font-size:.88em}
code{overflow-wrap:anywhere}
pre{overflow-x:auto;background:var(--page);border:1px solid var(--line);border-radius:.375rem;padding:.5rem .75rem;margin:.5rem 0}
pre.diff span{display:block}pre.diff .add{background:var(--add)}pre.diff .del{background:var(--del)}
summary{cursor:pointer;color:var(--soft);font-size:.9rem}
.after{font-size:.92rem}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
table{border-collapse:collapse;width:100%;font-size:.93rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .8rem;border-top:1px solid var(--line)}
thead th{border-top:0;font-weight:600;color:var(--soft)}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
@media print{body{background:#fff}article{break-inside:avoid}}
"""

_CLASS = {"silent": "", "spoken": "spoken", "blocked": "blocked", "not checked": "gap"}


def render_html(run: Run) -> bytes:
    """The whole page, UTF-8."""
    page = group(
        Html("<!doctype html>"),
        tag(
            "html",
            tag(
                "head",
                tag("meta", charset="utf-8"),
                tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
                tag("title", f"Backtest of {visible(run.name)} - Fixwright"),
                tag("link", rel="icon", href="data:,"),  # else browsers ask for one
                tag("style", Html(STYLE)),
            ),
            tag("body", tag("main", *_body(run))),
            lang="en",
        ),
    )
    return page.encode("utf-8", "replace")


def _body(run: Run) -> Iterator[Child]:
    yield tag("header", "Fixwright backtest")
    yield tag("h1", summary(run))
    yield tag("p", visible(scope(run)), class_="soft")
    yield _figures(run)
    yield _strip(run)
    told = run.worth_telling()
    yield tag("h2", "What it would have said")
    if not told:
        yield tag("p", "Nothing: each of these changes would have had a green check, and not a word more.")
    for one in told:
        yield _article(one)
    if run.said() or run.listed():
        yield tag("h2", "By rule")
        yield _rules(run)
    if run.listed():
        yield tag("h2", "In the check alone")
        yield _listed(run)
    yield tag("h2", "How this was made")
    yield from _method(run)


def _figures(run: Run) -> Html:
    figures = [
        (len(run.replayed), "changes replayed"),
        (run.silent, "without a word"),
        (run.spoken, "spoken on"),
        (run.blocked, "blocked"),
        (run.threads, "threads on lines"),
    ]
    if run.unchecked:
        figures.append((run.unchecked, "not checked in full"))
    return tag("ul", *(tag("li", tag("b", f"{count:,}"), words) for count, words in figures), class_="figures")


def _strip(run: Run) -> Html:
    cells = []
    for one in run.replayed:
        word = outcome(one)
        label = visible(f"{name_of(one)} {one.past.title}, {day(one.past.when)}: {word}")
        if word == "silent":
            cells.append(tag("span", title=label))
        else:
            cells.append(tag("a", class_=_CLASS[word], title=label, aria_label=label, href=f"#c{one.past.commit}"))
    first, last = run.replayed[0].past.when, run.replayed[-1].past.when
    ends = tag("div", tag("span", day(first)), tag("span", day(last)), class_="ends")
    words = ["silent", "spoken", "blocked", *(["not checked"] if run.unchecked else [])]
    key = tag("ul", *(tag("li", tag("i", class_=_CLASS[word]), word) for word in words), class_="key")
    return group(tag("div", *cells, class_="strip"), ends, key)


def _article(one: Replayed) -> Html:
    word = outcome(one)
    head = tag("h3", visible(f"{name_of(one)} {one.past.title}"))
    facts = tag("p", tag("span", word, class_=f"pill {_CLASS[word]}"), visible(one.title), class_="soft")
    merged = tag("p", f"Merged {day(one.past.when)} as ", tag("code", phrases.short(one.past.commit)), class_="soft")
    remarks = [_remark(remark) for remark in one.remarks if is_said(remark)]
    return tag("article", head, facts, merged, *remarks, class_=_CLASS[word] or None, id=f"c{one.past.commit}")


def _remark(remark: Remarked) -> Html:
    finding = remark.judged.finding
    pills = [tag("span", "blocks", class_="pill blocked")] if remark.judged.standing is Standing.BLOCKS else []
    pills += [tag("span", "thread", class_="pill spoken")] if remark.thread is not None else []
    pills += [tag("span", "with a fix", class_="pill good")] if remark.diff else []
    where = tag("p", tag("code", visible(phrases.where(finding))), " ", *pills)
    name = f" {finding.rule.id}, CWE-{finding.rule.cwe}, {finding.rule.severity.word}"
    what = tag("p", tag("strong", visible(phrases.what(finding))), name)
    why = tag("p", visible(finding.rule.message), visible(_detail(finding)))
    shown = finding.excerpt.strip() and finding.secret is None and not remark.diff
    code = tag("pre", _lines(finding.excerpt)) if shown else None
    after = tag("p", tag("span", "Afterwards: ", class_="soft"), f"{afterwards(remark)}.", class_="after")
    return tag("section", where, what, why, code, _diff(remark.diff), after, _words(remark), class_="remark")


def _detail(finding: Finding) -> str:
    """What is particular here: of a secret a clause of its own, else what the flagged code does."""
    clause = finding.detail if finding.secret is not None else f"it {finding.detail}"
    return f" {clause[:1].upper()}{clause[1:]}." if finding.detail else ""


def _words(remark: Remarked) -> Html | None:
    if remark.thread is None:
        return None
    return tag("details", tag("summary", "The thread, word for word"), tag("pre", _lines(remark.thread.body)))


def _diff(text: str) -> Html | None:
    if not text:
        return None
    rows = []
    for line in text.splitlines():
        if line.startswith(("diff ", "index ", "--- ", "+++ ")):
            continue
        kind = {"+": "add", "-": "del"}.get(line[:1])
        rows.append(tag("span", visible(line.replace("\t", "    ")) or " ", class_=kind))
    return tag("pre", *rows, class_="diff")


def _lines(text: str) -> str:
    """Lines of hostile text, in which nothing is hidden."""
    return "\n".join(visible(line.replace("\t", "    ")) for line in text.split("\n"))


def _rules(run: Run) -> Html:
    names = ("said", "blocks", "changed", "still_there", "listed")
    words = ("said", "of them blocking", "line changed since", "weakness still there", "in the check alone")
    rows = [
        tag("tr", tag("td", tag("code", rule)), *(tag("td", f"{count[name]:,}", class_="number") for name in names))
        for rule, count in run.by_rule().items()
    ]
    head = tag("thead", tag("tr", tag("th", "rule"), *(tag("th", word, class_="number") for word in words)))
    return tag("div", tag("table", head, tag("tbody", *rows)), class_="scroll")


def _listed(run: Run) -> Html:
    listed = run.listed()
    rows = [
        tag(
            "tr",
            tag("td", visible(name_of(one))),
            tag("td", day(one.past.when)),
            tag("td", tag("code", visible(phrases.where(remark.judged.finding)))),
            tag("td", visible(phrases.what(remark.judged.finding))),
            tag("td", afterwards(remark)),
        )
        for one, remark in listed[:LISTED]
    ]
    head = tag("thead", tag("tr", *(tag("th", word) for word in ("change", "merged", "where", "what", "afterwards"))))
    more = tag("p", f"and {len(listed) - LISTED:,} more", class_="soft") if len(listed) > LISTED else None
    summary_line = tag("summary", f"{phrases.plural(len(listed), 'finding')} that nobody would have been told of on a line")
    return tag("details", summary_line, tag("div", tag("table", head, tag("tbody", *rows)), class_="scroll"), more)


def _method(run: Run) -> Iterator[Child]:
    yield tag("p", PATH)
    yield tag("p", AFTERWARDS)
    yield tag("p", f"Fixwright {run.version}; {phrases.seconds(run.seconds)} on this machine; head {run.tip}.", class_="soft")
