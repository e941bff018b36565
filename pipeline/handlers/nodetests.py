"""A test for node's own runner that attacks one function: doubles for every package, a request and an answer for handlers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.handlers.frame import free_path
from pipeline.handlers.javascript import Handler, relative_import
from pipeline.model.finding import Finding
from pipeline.model.fix import ExploitTest, Frame

_BUILTIN = frozenset(
    {
        "assert",
        "buffer",
        "child_process",
        "crypto",
        "events",
        "fs",
        "http",
        "https",
        "net",
        "os",
        "path",
        "process",
        "querystring",
        "stream",
    }
    | {"timers", "url", "util", "zlib"}
)

DOUBLE = """
// Stands for any package and whatever it gives: takes every call, remembers it, and calls back.
const sent = [];
let running = false;
function double(name = "", awaited = false) {
  return new Proxy(function () {}, {
    get: (_, key) => {
      if (key === "then") return awaited ? undefined : (resolve) => resolve(double(name, true));
      if (key === Symbol.toPrimitive) return () => "";
      if (key === Symbol.iterator) return () => [][Symbol.iterator]();
      if (key === "length") return 0;
      return typeof key === "symbol" || key === "prototype" ? undefined : double(key);
    },
    apply: (_, self, given) => {
      sent.push({ name, given });
      const callback = given.at(-1);
      if (running && typeof callback === "function" && sent.length < 1000) callback(null, double(), double());
      return double(name);
    },
    construct: () => double(name),
    set: (_, key, value) => (sent.push({ name: key, given: [value] }), true),
    has: () => true,
  });
}
"""

LOAD = """
const load = Module._load;
Module._load = function (name, ...rest) {
  return name.startsWith(".") || name.startsWith("/") || Module.isBuiltin(name) ? load.call(this, name, ...rest) : double(name);
};
"""

ANSWER = """
// What a handler is given to answer with: keeps all that would be sent.
function answering() {
  const said = { body: "", headers: {}, location: "" };
  const answer = new Writable({
    write(chunk, _, done) {
      said.body += chunk;
      done();
    },
  });
  const keep = (body) => ((said.body += typeof body === "object" ? JSON.stringify(body) : body), answer);
  const set = (key, value) => ((said.headers[String(key).toLowerCase()] = value), answer);
  return Object.assign(answer, {
    said,
    locals: {},
    status: () => answer,
    sendStatus: () => answer,
    send: keep,
    json: keep,
    render: (_, values) => keep(values),
    set,
    header: set,
    setHeader: set,
    type: () => answer,
    cookie: () => answer,
    writeHead: (_, headers) => (Object.entries(headers ?? {}).forEach(([key, value]) => set(key, value)), answer),
    redirect: (...to) => ((said.location = to.at(-1)), answer),
    sendFile: (file, options) => keep(options?.root ? "" : fs.readFileSync(file, "utf8")),
    download: (file) => keep(fs.readFileSync(file, "utf8")),
  });
}
"""


@dataclass(slots=True)
class Draft:
    """A test before it is written."""

    sentence: str
    """What must not happen: `input stays out of the statement`."""
    weakness: str
    hostile: Sequence[str]
    """Expressions; each is tried."""
    checks: Sequence[str]
    """Lines after the call. `said` is what was answered, `sent` what doubles were given."""
    says: str
    before: Sequence[str] = ()
    imports: set[str] = field(default_factory=set)
    globals: Sequence[str] = ()
    """Lines before the file is loaded."""
    receiver: str = ""
    """The parameter that a double is given for."""


def write(draft: Draft, handler: Handler, finding: Finding, frame: Frame) -> ExploitTest | None:
    """The test file; None when nothing hostile would reach the handler, or there is no free name."""
    reached = handler.reach in ("route", "server") or handler.tainted or handler.reach == "method"
    stem = re.sub(r"[^a-z0-9]+", "-", f"{finding.location.path.rpartition('/')[2].rpartition('.')[0]}-{handler.name}".lower()).strip("-")
    path = free_path(frame, f"{stem}-{draft.weakness}", ".test.mjs" if handler.module else ".test.js")
    if path is None or not reached:
        return None
    target = relative_import(path, finding.location.path)
    about = f"// Hostile input to {handler.name}: {finding.rule.title[:1].lower()}{finding.rule.title[1:]} (CWE-{finding.rule.cwe})."
    imports = {"test:node:test", "assert:node:assert", *draft.imports}
    answering = handler.reach in ("route", "server")
    if answering:
        imports |= {"{ Writable }:node:stream", "fs:node:fs"}
    if handler.reach == "server":
        imports.add("http:node:http")
    call = _call(handler, draft)
    bare = not _packages(handler) and handler.reach in ("export", "default") and "double" not in str([call, draft.globals, draft.checks])
    if handler.module and not bare:
        imports |= {"{ register, syncBuiltinESMExports }:node:module" if handler.reach == "server" else "{ register }:node:module"}
    body = [about, *_imports(imports, handler.module, own=not bare)]
    if not bare:
        body += [DOUBLE.rstrip("\n"), *_hooks(handler)]
    if answering:
        body.append(ANSWER.rstrip("\n"))
    body += [*draft.globals, *_loaded(handler, target)]
    context = "context" if any("context." in line for line in draft.before) else ""
    lines = [
        "",
        f"test({json.dumps(f'{handler.name}: {draft.sentence}')}, async ({context}) => {{",
        *(f"  {line}" for line in draft.before),
        f"  for (const hostile of [{', '.join(draft.hostile)}]) {{",
        *([] if bare else ["    sent.length = 0;", "    running = true;"]),
        *(f"    {line}" for line in call),
        *(f"    {line}" for line in draft.checks),
        "  }",
        "});",
        "",
    ]
    whole = "\n".join([*body, *lines])
    try:
        content = whole.encode()
    except UnicodeEncodeError:
        return None
    return ExploitTest(path, content, f"{handler.name}: {draft.sentence}", draft.says)


def _packages(handler: Handler) -> bool:
    """True when the file loads anything but node's own modules and that of the test."""
    return any(name.split(".")[0].split("/")[0] not in _BUILTIN for name in handler.code.imports.values())


def _imports(wanted: set[str], module: bool, own: bool) -> list[str]:
    lines = []
    for entry in sorted(wanted | (set() if module or not own else {"Module:node:module"}), key=lambda entry: entry.partition(":")[2]):
        name, _, source = entry.partition(":")
        lines.append(f'import {name} from "{source}";' if module else f'const {name} = require("{source}");')
    return lines


def _hooks(handler: Handler) -> list[str]:
    lines = []
    if handler.module:
        lines += _loader(handler)
    else:
        lines.append(LOAD.rstrip("\n"))
    if handler.reach == "server":
        lines += ["", "const handlers = [];", "http.createServer = (...given) => (handlers.push(given.at(-1)), double());"]
        if handler.module:
            lines.append("syncBuiltinESMExports();")
    return lines


def _loader(handler: Handler) -> list[str]:
    """Packages of a module are replaced while it is resolved; what it takes from each by name is known from its imports."""
    taken: dict[str, set[str]] = {}
    for node in handler.code.all({"import_statement"}):
        origin = node.child_by_field_name("source")
        package = handler.code.text(origin)[1:-1] if origin is not None else ""
        names = re.findall(r"[{,]\s*([A-Za-z_$][\w$]*)", handler.code.text(node).partition("from")[0])
        taken.setdefault(package, set()).update(names)
    names = sorted({name for package, found in taken.items() if not package.startswith((".", "node:")) for name in found} - {"default"})
    exports = "".join(f"export const {name} = globalThis.double({json.dumps(name)});" for name in names)
    source = f"export default globalThis.double();{exports}"
    hook = (
        'import { isBuiltin } from "node:module"; '
        "export async function resolve(name, context, next) {"
        " if (/^[./]|^(node|file|data):/.test(name) || isBuiltin(name)) return next(name, context);"
        f" return {{ url: {json.dumps('data:text/javascript,' + source)}, shortCircuit: true }}; }}"
    )
    return [
        "",
        "globalThis.double = double;",
        f"const hook = {json.dumps(hook)};",
        'register("data:text/javascript," + encodeURIComponent(hook));',
    ]


def _loaded(handler: Handler, target: str) -> list[str]:
    quoted = json.dumps(target)
    load = f"await import({quoted})" if handler.module else f"require({quoted})"
    if handler.reach == "route":
        picked = f'({{ name, given }}) => name === "{handler.verb}" && given[0] === {json.dumps(handler.path)}'
        return ["", f"{load};", f"const handler = sent.find({picked}).given.at(-1);"]
    if handler.reach == "server":
        return ["", f"{load};", "const [handler] = handlers;"]
    return ["", f"const subject = {load};"]


def _call(handler: Handler, draft: Draft) -> list[str]:
    if handler.reach in ("route", "server"):
        areas: dict[str, list[str]] = {}
        for area, key in handler.inputs:
            areas.setdefault(area, []).append(key)
        values = [f"{area}: {{ {', '.join(f'{json.dumps(key)}: hostile' for key in keys)} }}" for area, keys in sorted(areas.items())]
        if handler.reach == "server":
            keys = [key for area, key in handler.inputs if area == "query"] or ["name"]
            where = next(iter(re.findall(r"pathname\s*===?\s*[\"'](/[\w/-]{0,60})[\"']", handler.text)), "/")
            query = " + ".join(f'"{"?" if n == 0 else "&"}{key}=" + encodeURIComponent(hostile)' for n, key in enumerate(keys))
            values = [f'method: "GET", headers: {{ host: "localhost" }}, url: "{where}" + {query}']
        request = f"{{ {', '.join(values)} }}" if values else "{}"
        return [
            "const answer = answering();",
            f"const request = {request};",
            "const done = Promise.resolve().then(() => handler(request, answer, () => {}));",
            "await Promise.race([done.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 200))]);",
            "const { said } = answer;",
        ]
    given = []
    for name in handler.parameters:
        given.append("hostile" if name in handler.tainted and name != draft.receiver else "double()")
    target = {"default": "subject" if not handler.module else "subject.default", "export": f"subject.{handler.name}"}.get(handler.reach, "")
    lines = []
    if handler.reach == "method":
        whole = _class(handler)
        if handler.verb == "static":
            target = f"{whole}.{handler.name}"
        else:
            own = sorted(set(re.findall(r"\bthis\.([A-Za-z_$][\w$]*)(?!\w*\()", handler.text)))
            lines.append(
                f"const object = Object.assign(Object.create({whole}.prototype), {{ {', '.join(f'{name}: double()' for name in own)} }});"
            )
            target = f"object.{handler.name}"
    lines += [
        f"const done = Promise.resolve().then(() => {target}({', '.join(given)}));",
        "const said = { body: String(await Promise.race([done.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 200))])) };",
    ]
    return lines


def _class(handler: Handler) -> str:
    text = handler.code.source.text
    if re.search(
        rf"\bmodule\.exports\s*=\s*{re.escape(handler.owner)}\b|\bexport\s+default\s+(?:class\s+)?{re.escape(handler.owner)}\b", text
    ):
        return "subject.default" if handler.module else "subject"
    return f"subject.{handler.owner}"
