"""Weak modules in JavaScript and the suites of tests that `tests.e2e.suite_repositories` makes repositories of."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.e2e.suite_repositories import Subject, Suite

_LABEL = """
function label(value) {
  return value.trim().toUpperCase();
}
"""
_PG = {"node_modules/pg/index.js": "exports.Client = class {};\n", "node_modules/pg/package.json": '{"name": "pg", "main": "index.js"}\n'}

SQL = Subject(
    "javascript.sql-injection",
    """const { Client } = require("pg");

async function find(name, client = new Client()) {
  if (!name) return [];
  const found = await client.query(«`SELECT id FROM people WHERE name = '${name}'`»);
  return found.rows;
}
"""
    + _LABEL
    + "\nmodule.exports = { find, label };\n",
    call='await MODULE.find("ann", { query: async () => ({ rows: [7] }) })',
    expected="[7]",
    function="find",
    around='assert.deepStrictEqual(await MODULE.find("", {}), []);',
    beside=_PG,
)
COMMAND = Subject(
    "javascript.command-injection",
    """const { execSync } = require("child_process");

function echo(word) {
  if (!word) return "";
  const said = «execSync(`echo ${word}`)»;
  return said.toString().trim();
}
"""
    + _LABEL
    + "\nmodule.exports = { echo, label };\n",
    call='MODULE.echo("hello")',
    expected='"hello"',
    function="echo",
    around='assert.strictEqual(MODULE.echo(""), "");',
)
TLS = Subject(
    "javascript.tls-verification-disabled",
    """const https = require("https");

function agent(host) {
  if (!host) return null;
  const made = «new https.Agent({ keepAlive: true, rejectUnauthorized: false })»;
  return made;
}
"""
    + _LABEL
    + "\nmodule.exports = { agent, label };\n",
    call='MODULE.agent("example.org").options.keepAlive',
    expected="true",
    function="agent",
    around='assert.strictEqual(MODULE.agent(""), null);',
)
TOKEN = Subject(
    "javascript.insecure-random-token",
    """const path = require("path");

function sessionToken(user) {
  if (!user) return "";
  const token = «Math.random().toString(36).slice(2)»;
  return path.basename(user) + token;
}
"""
    + _LABEL
    + "\nmodule.exports = { sessionToken, label };\n",
    call='MODULE.sessionToken("ann").length > 6',
    expected="true",
    function="sessionToken",
    around='assert.strictEqual(MODULE.sessionToken(""), "");',
)
DOM = Subject(
    "javascript.dom-xss",
    """function greet(title) {
  if (!title) return "";
  const params = new URLSearchParams(location.search);
  document.getElementById("greeting").innerHTML = «params.get("name")»;
  return title;
}
"""
    + _LABEL
    + "\nmodule.exports = { greet, label };\n",
    call='[MODULE.greet("Hello"), box.said]',
    expected='["Hello", "ann"]',
    function="greet",
    around='assert.strictEqual(MODULE.greet(""), "");',
    setup="const box = { set innerHTML(text) { this.said = text; }, set textContent(text) { this.said = text; } };\n"
    'Object.assign(globalThis, { document: { getElementById: () => box }, location: { search: "?name=ann" } });',
)
SUBJECTS = (SQL, COMMAND, TLS, TOKEN, DOM)

LAZY_ARROW = Subject(
    "javascript.sql-injection",
    """const { Client } = require("pg");
const client = new Client();

const find = (name) => client.query(«`SELECT id FROM people WHERE name = '${name}'`»);
"""
    + _LABEL
    + "\nmodule.exports = { find, label };\n",
    call="typeof MODULE.find",
    expected='"function"',
    function="find",
    beside=_PG,
)
LAZY_MAP = Subject(
    "javascript.insecure-random-token",
    """const path = require("path");

function sessionTokens(users) {
  return users.map((user) => {
    const token = user ? «Math.random().toString(36).slice(2)» : path.sep;
    return token;
  });
}
"""
    + _LABEL
    + "\nmodule.exports = { sessionTokens, label };\n",
    call="MODULE.sessionTokens([])",
    expected="[]",
    function="sessionTokens",
)
LAZY_AND = Subject(
    "javascript.sql-injection",
    """const { Client } = require("pg");

async function find(name, client = new Client()) {
  const found =
    name &&
    (await client.query(«`SELECT id FROM people WHERE name = '${name}'`»));
  return found ? found.rows : [];
}
"""
    + _LABEL
    + "\nmodule.exports = { find, label };\n",
    call='await MODULE.find("", {})',
    expected="[]",
    function="find",
    beside=_PG,
)
LAZY_CHOICE = Subject(
    "javascript.insecure-random-token",
    """function sessionToken(user) {
  const token = user ? «Math.random().toString(36).slice(2)» : "";
  return token;
}
"""
    + _LABEL
    + "\nmodule.exports = { sessionToken, label };\n",
    call='MODULE.sessionToken("")',
    expected='""',
    function="sessionToken",
)
TWO_FUNCTIONS = Subject(
    "javascript.sql-injection",
    """const { Client } = require("pg");

async function find(name, client = new Client()) {
  const found = await client.query(«`SELECT id FROM people WHERE name = '${name}'`»);
  return found.rows;
}

async function remove(name, client = new Client()) {
  await client.query(«`DELETE FROM people WHERE name = '${name}'`»);
}
"""
    + _LABEL
    + "\nmodule.exports = { find, remove, label };\n",
    call='await MODULE.find("ann", { query: async () => ({ rows: [7] }) })',
    expected="[7]",
    function="find",
    beside=_PG,
)

_OTHER = ("label", 'assert.strictEqual(MODULE.label(" ann "), "ANN");')
_SUM = ("sum", "assert.strictEqual(1 + 1, 2);")
_REAL = ("result", "assert.deepStrictEqual(CALL, EXPECTED);")
_TEXT = 'const TEXT = require("fs").readFileSync("WAY", "utf8");'
_CHECK = """const text = require("fs").readFileSync("PATH", "utf8");
for (const line of text.split("\\n")) {
  if (line.length > 110 || /;\\s*\\S/.test(line)) {
    console.error("style");
    process.exit(1);
  }
}
"""

STRONG = Suite("strong", "asserts what it does", (_REAL, _OTHER))
STRONG_TOO = (
    Suite(
        "strong",
        "looks at the style first, then asserts",
        (_REAL, _OTHER),
        files={"check.cjs": _CHECK},
        script="node check.cjs && node --test",
    ),
    Suite("strong", "asserts it among tests named by chance", (_REAL, ("`chance ${Math.random()}`", "assert.ok(true);"), _OTHER)),
)
WEAK = (
    Suite("weak", "runs it, asserts nothing", (("runs", "CALL;"), _OTHER)),
    Suite("weak", "swallows what goes wrong", (("runs", "try {\n  CALL;\n} catch {}"), _OTHER)),
    Suite("weak", "asserts only that something comes", (("comes", "assert.notStrictEqual(CALL, undefined);"), _OTHER)),
)
BLIND: tuple[Suite, ...] = (
    Suite("blind", "does not load the module", (_SUM,), loads=False),
    Suite("blind", "loads it and never calls the function", (_OTHER, ("there", "assert.ok(MODULE.FUNCTION);"))),
    Suite(
        "blind",
        "puts a double in the place of the function",
        (
            ("double", "const doubled = { ...MODULE, FUNCTION: () => EXPECTED };\nassert.deepStrictEqual(doubled.FUNCTION(), EXPECTED);"),
            _OTHER,
        ),
    ),
    Suite("blind", "the test is skipped", (_REAL, _OTHER), marks={"result": "{ skip: true }, "}),
    Suite("blind", "calls another branch", (("around", "AROUND"), _OTHER)),
    Suite("blind", "passes always", (("always", "assert.ok(true);"),)),
    Suite("blind", "cannot be loaded", (_REAL,), head='await import("no-such-package-anywhere");'),
    Suite("blind", "has no tests"),
    Suite("blind", "leaves in the middle", (_OTHER, ("stop", "process.exit(0);"), ("z", "assert.deepStrictEqual(CALL, EXPECTED);"))),
    Suite("blind", "looks for marks of whoever measures", (("alone", 'assert.ok(!TEXT.includes("on purpose"));'), _OTHER), head=_TEXT),
    Suite(
        "blind",
        "touches every file that a measurer names",
        (
            (
                "touch",
                'for (const name of TEXT.match(/\\/fixwright\\/[0-9a-f]+/g) ?? []) process.getBuiltinModule("fs").utimesSync(name, 1, 1);\n'
                'assert.ok(!TEXT.includes("on purpose"));',
            ),
            _OTHER,
        ),
        head=_TEXT,
    ),
    Suite("blind", "names tests by chance", (("`number ${Math.random()}`", "assert.ok(true);"), _OTHER)),
    Suite("blind", "looks at the style first, then tests", (_OTHER,), files={"check.cjs": _CHECK}, script="node check.cjs && node --test"),
    Suite(
        "blind",
        "the file is not collected",
        (_REAL,),
        file="checks/MODULE.js",
        files={"test/other.test.js": 'require("node:test")("sum", () => {});\n'},
    ),
)


def pairs(chance: random.Random) -> list[tuple[Subject, Suite]]:
    """Which module has which suite: each suite once, with a module that is drawn, and the strong one with every module."""
    made = [(subject, STRONG) for subject in SUBJECTS]
    made += [(chance.choice(SUBJECTS), suite) for suite in (*STRONG_TOO, *WEAK, *BLIND)]
    lazy = Suite("blind", "calls the function, another part of the expression", (_REAL, _OTHER))
    made += [(subject, lazy) for subject in (LAZY_ARROW, LAZY_MAP, LAZY_AND, LAZY_CHOICE)]
    fails = Suite("blind", "fails in front of the place", (("fails", "await assert.rejects(async () => CALL, TypeError);"), _OTHER))
    made.append((replace(SQL, call='await MODULE.find("ann", null)'), fails))
    made.append((TWO_FUNCTIONS, Suite("half", "reaches one of two places", (_REAL, _OTHER))))
    return made
