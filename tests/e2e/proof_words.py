"""Bad patches made of good fixes by changing a word beside the value, the value on its way, or what else the call is given.

Each operator is a text in a good fix and what stands in its place; it is made for every case of its rules in which the text occurs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tests.e2e.proof_cases import Case
from tests.e2e.proof_sources import After

Change = tuple[str, str]
"""A pattern and its replacement, once in the file."""

NAMES: Mapping[str, tuple[Change, ...]] = {"binding: another name": ((r"([{,] ?[\"'])(\w+)([\"']: )", r"\1x\2\3"),)}
STATEMENTS: Mapping[str, tuple[Change, ...]] = {
    "words: always true": ((r"(WHERE \w+ = (?:\?|%s|\$1))", r"\1 OR 1=1"),),
    "words: turned round": ((r"(WHERE \w+) = (\?|%s|\$1)", r"\1 <> \2"), (r"(WHERE \w+) = (\?|%s|\$1)", r"\1 != \2")),
    "words: pattern": ((r"(WHERE \w+) = (\?|%s|\$1)", r"\1 LIKE \2"),),
    "words: quoted placeholder": ((r"(WHERE \w+ =) (\?|%s|\$1)", r"\1 '\2'"),),
    "words: another column": ((r"SELECT (\w+) FROM", r"SELECT \1, password FROM"), (r"WHERE \w+ =", "WHERE email =")),
    "words: no rows": ((r"(WHERE \w+ = (?:\?|%s|\$1))", r"\1 LIMIT 0"), (r"(WHERE \w+ = (?:\?|%s|\$1))", r"\1 AND 1=0")),
    "words: another driver's": ((r"(WHERE \w+ =) \?", r"\1 $1"), (r"(WHERE \w+ =) (?:%s|\$1)", r"\1 ?")),
    "words: a remark": ((r"SELECT (\w+) FROM (\w+) WHERE", r"SELECT \1 FROM \2 -- WHERE"),),
}
PYTHON_VALUES: Mapping[str, tuple[Change, ...]] = {
    "value: changed": ((r"\(name,\)", "(name.lower(),)"), (r"\(name,\)", "(name.strip(),)"), (r"\(name,\)", "(name[::-1],)")),
    "value: another kind": ((r"\(name,\)", "(int(name),)"), (r"\(name,\)", "(repr(name),)"), (r"\(name,\)", "(name.encode(),)")),
    "value: in quotes": ((r"\(name,\)", "(f\"'{name}'\",)"), (r"\(name,\)", '("%" + name + "%",)')),
    "value: changed before": ((r"(?m)^( +)(?=[^\n]*\(name,\))", r"\1name = name.lower()\n\1"),),
}
SCRIPT_VALUES: Mapping[str, tuple[Change, ...]] = {
    "value: changed": ((r"\[name\]", "[name.toLowerCase()]"), (r"\[name\]", "[name.trim()]")),
    "value: another kind": ((r"\[name\]", "[parseInt(name)]"), (r"\[name\]", "[Number(name)]")),
    "value: in quotes": ((r"\[name\]", "[`'${name}'`]"), (r"\[name\]", '["%" + name + "%"]')),
}
COMMANDS: Mapping[str, tuple[Change, ...]] = {
    "command: word gone": ((r'"-c", "1", ', ""), (r'"-c", "?1"?, ', ""), (r'"1", ', "")),
    "command: word changed": ((r'"-c", "1"', '"-c", "9"'), (r'"-c", "1"', '"-i", "1"')),
    "command: word added": ((r"(?<=, )host\]", 'host, "-f"]'), (r'"-c", "1"', '"-f", "-c", "1"')),
    "command: another surrounding": (
        (r", check=False\)", ", check=False, env={})"),
        (r", check=False\)", ', check=False, cwd="/tmp")'),
        (r", check=False\)", ", check=False, stdin=None)"),
    ),
    "command: in one word": ((r"\[\"ping\", \"-c\", \"1\", (?:\"--\", )?host\]", '["ping -c 1 " + host]'),),
    "command: value changed": ((r"(?<=, )host\]", "host.lower()]"), (r"(?<=, )host\]", "host.slice(1)]"), (r"(?<=, )host\]", "[host][0]]")),
}
PAGES: Mapping[str, tuple[Change, ...]] = {
    "markup: more": (
        (r"(</\w+>)(?=[\"'])", r"\1<script src=//evil.example/x.js></script>"),
        (r"(</\w+>)(?=[\"'])", r"\1<p>More</p>"),
    ),
    "markup: another place": ((r"<(h1|b)[^>]*>(?=[^<\n]*\{)", r"<script>x = "), (r"<(h1|b)[^>]*>", r"<\1 onclick=")),
    "markup: text gone": ((r"Hello ", ""), (r"<(h1|b)[^>]*>", "")),
    "markup: another escape": (
        (r"from (?:html|markupsafe|flask) import escape", "from re import escape"),
        (r"from (?:html|markupsafe|flask) import escape", "from shop.web import escape"),
    ),
    "markup: value changed": ((r"escape\(name\)", "escape(name.upper())"), (r"format\(name\)", "format(name.upper())")),
}
COOKIES: Mapping[str, tuple[Change, ...]] = {
    "cookie: another value": (
        (r"((?:set_cookie|cookie)\(\s*[\"']\w+[\"'], )", r'\1"x" + '),
        (r"((?:set_cookie|cookie)\(\s*)[\"']\w+[\"']", r'\1"other"'),
    ),
    "cookie: wider": ((r"secure=True", 'secure=True, domain="example.com"'), (r"secure: true", 'secure: true, domain: "example.com"')),
    "cookie: longer": ((r"secure=True", "secure=True, max_age=315360000"), (r"secure: true", "secure: true, maxAge: 315360000000")),
    "cookie: other sites": (
        (r"secure=True", 'secure=True, samesite="None"'),
        (r"samesite=\"\w+\"", 'samesite="None"'),
        (r"sameSite: \"\w+\"", 'sameSite: "none"'),
    ),
}
FOLDERS: Mapping[str, tuple[Change, ...]] = {
    "folder: turned round": ((r"(safe_join|send_from_directory)\(FOLDER, name", r"\1(name, FOLDER"),),
    "folder: another": (
        (r"(safe_join|send_from_directory)\(FOLDER", r'\1("/"'),
        (r"(safe_join|send_from_directory)\(FOLDER", r'\1("/etc"'),
    ),
    "guard: turned round": ((r"if not (\w+\.(?:startswith|is_relative_to))", r"if \1"), (r"(commonpath[^\n]*) != ", r"\1 == ")),
    "guard: does nothing": ((r"(?m)^( +)abort\(404\)$", r"\1app.logger.info(name)"),),
    "guard: at the top": ((r"(commonpath\(\[\w+, )\w+(\]\) != )\w+", r'\1"/"\2"/"'), (r"is_relative_to\(\w+\)", 'is_relative_to("/")')),
    "guard: only some": tuple(
        (rf"(?m)(if {begins}[^\n]*):$", rf"\1 and {more}:")
        for begins in (r"not \w+\.(?:startswith|is_relative_to)", r"os\.path\.commonpath")
        for more in ("len(name) > 1000", "name is None", 'name.startswith("/")')
    ),
    "guard: an assertion": ((r"(?m)if not (\w+\.(?:startswith|is_relative_to)[^\n]*):\n +\w[^\n]*$", r"assert \1"),),
    "guard: another value": tuple(
        (r"(open|send_file)\((path|place|target|file|full)\b", rf"\1({use}") for use in (r"os.path.expanduser(\2)", r'\2.replace("_", "/")')
    ),
    "guard: not worked out": (
        (r"os\.path\.(?:realpath|abspath)\(os\.path\.join\((\w+), (\w+)\)\)", r"os.path.join(os.path.realpath(\1), \2)"),
    ),
    "guard: half": (
        (r"(?m)(commonpath[^\n]*):$", r"\1 and app.debug:"),
        (r"if not (\w+\.is_relative_to[^\n]*):", r"if not \1 and app.debug:"),
    ),
}
ADDRESSES: Mapping[str, tuple[Change, ...]] = {
    "guard: turned round": (
        (
            r"if urlsplit\(target\)\.netloc or not target\.startswith\(\"/\"\):",
            'if not urlsplit(target).netloc and target.startswith("/"):',
        ),
    ),
    "redirect: constant": ((r"redirect\(target", 'redirect("/"'), (r"redirect\(to\)", 'redirect("/")')),
    "request: another part": ((r"request\.args", "request.form"), (r"req\.query\.", "req.body.")),
    "redirect: another field": ((r'args\["next"\]', 'args["then"]'), (r"query\.next", "query.then")),
}
DOCUMENTS: Mapping[str, tuple[Change, ...]] = {
    "yaml: all documents": ((r"yaml\.safe_load\(", "yaml.safe_load_all("),),
    "yaml: texts alone": ((r"yaml\.safe_load\((\w+)\)", r"yaml.load(\1, Loader=yaml.BaseLoader)"), (r"SafeLoader", "BaseLoader")),
    "yaml: another text": ((r"yaml\.safe_load\((\w+)\)", r"yaml.safe_load(\1.strip())"), (r"yaml\.load\((\w+),", r"yaml.load(\1.strip(),")),
}
REQUESTS: Mapping[str, tuple[Change, ...]] = {
    "request: another verb": ((r"requests\.get\(", "requests.delete("), (r"https\.get\(", "https.request(")),
    "request: another address": (
        (r"requests\.get\((\w+)", r"requests.get(\1.lower()"),
        (r"requests\.get\((\w+)", r'requests.get(\1 + "/x"'),
    ),
    "request: another option": (
        (r"(requests\.get\([^()\n]*)\)", r"\1, allow_redirects=False)"),
        (r"(requests\.get\([^()\n]*)\)", r'\1, headers={"a": "b"})'),
    ),
}
OPTIONS: Mapping[str, tuple[Change, ...]] = {
    "option: gone": ((r", (as_attachment|mode|timeout|headers|params)=[\w.\"']+(?=[,)])", ""),),
    "option: turned round": ((r"(check|as_attachment)=False", r"\1=True"), (r"(as_attachment)=True", r"\1=False")),
}

BY_RULE: Mapping[str, tuple[Mapping[str, tuple[Change, ...]], ...]] = {
    "python.sql-injection": (STATEMENTS, PYTHON_VALUES, NAMES),
    "javascript.sql-injection": (STATEMENTS, SCRIPT_VALUES),
    "python.command-injection": (COMMANDS, OPTIONS),
    "javascript.command-injection": (COMMANDS,),
    "python.html-injection": (PAGES,),
    "python.unescaped-output": (PAGES,),
    "python.insecure-cookie": (COOKIES,),
    "javascript.insecure-cookie": (COOKIES,),
    "python.path-traversal": (FOLDERS, OPTIONS),
    "python.open-redirect": (ADDRESSES,),
    "javascript.open-redirect": (ADDRESSES,),
    "python.unsafe-yaml": (DOCUMENTS,),
    "python.tls-verification-disabled": (OPTIONS, REQUESTS),
    "python.request-timeout": (OPTIONS, REQUESTS),
}


def bad_by_words(case: Case) -> Iterator[tuple[str, After]]:
    """Each change of each good fix in which it changes something that the fix wrote."""
    known = set(case.before.decode().split("\n"))
    for good in case.good.values():
        text = good.decode()
        for table in BY_RULE.get(case.rule, ()):
            for name, changes in table.items():
                for pattern, instead in changes:
                    made = re.sub(pattern, instead, text, count=1)
                    if made != text and made.encode() != case.before and set(text.split("\n")) - set(made.split("\n")) - known:
                        yield name, {case.path: made.encode()}
